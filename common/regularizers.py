"""Penalties on large weights: J = L + s, the loss of the data plus a term of the parameters.

Only weights are penalised, arrays of two or more axes: a bias or the scale of a normalisation has
few values and does not make a function wiggle. (Goodfellow, Bengio and Courville, Deep Learning,
chapter 7.1; Saito, Deep Learning from Scratch, chapter 6.4.)
"""
from collections.abc import Callable, Sequence

import numpy as np

from . import checks
from .types import Array


class _Penalty:
    """s = lam · Σ value(W), ds/dW = lam · slope(W), for a strength ``lam`` that is finite and not
    negative.

    ``params`` and ``grads`` are a model's paired lists: a shared array stands there, and counts,
    once.
    """
    value: Callable[[Array], float]
    slope: Callable[[Array], Array]

    def __init__(self, lam: float) -> None:
        name = type(self).__name__
        self.lam = checks.number(name, "lam", lam, low=0,
                                 expected="be a finite number, 0 or larger")

    def loss(self, params: Sequence[Array]) -> float:
        """s as a Python float."""
        return self.lam * sum(self.value(W) for W in arrays(self, "params", params) if W.ndim > 1)

    def add_gradients(
        self, params: Sequence[Array], grads: Sequence[Array], dout: float = 1.0
    ) -> None:
        """Add dout · ds/dW to each weight's gradient, in place; dout is dL/dJ, 1 for the loss
        itself."""
        params, grads = arrays(self, "params", params), arrays(self, "grads", grads)
        if [W.shape for W in params] != [dW.shape for dW in grads]:
            raise ValueError(checks.wrong(type(self).__name__, "grads", "have the shapes of params",
                                          [dW.shape for dW in grads]))
        dout = checks.number(type(self).__name__, "dout", dout)
        for W, dW in zip(params, grads):
            if W.ndim > 1:
                dW += dout * self.lam * self.slope(W)

    def __repr__(self):
        return f"{type(self).__name__}(lam={self.lam})"


def arrays(penalty, name, given):
    """``given`` as a list of float arrays; those of ``grads`` can be written into."""
    who, found = type(penalty).__name__, checks.items(type(penalty).__name__, name, given, "arrays")
    for i, a in enumerate(found):
        if not isinstance(a, np.ndarray) or a.dtype.kind != "f":
            raise TypeError(
                checks.wrong(who, f"{name}[{i}]", "be a NumPy array of floats", checks.text(a)))
        if name == "grads" and not a.flags.writeable:
            raise ValueError(checks.wrong(who, f"{name}[{i}]", "be writable", "a read-only array"))
    return found


class L2(_Penalty):
    """s = lam/2 · Σ W², ds/dW = lam · W: the larger a weight, the harder it is pulled towards 0.

    In the Bayesian reading s is -log of a Gaussian prior on the weights, of variance 1/lam.

    >>> W, dW = np.array([[3.0, -4.0]]), np.zeros((1, 2))
    >>> penalty = L2(0.1)
    >>> penalty.loss([W])
    1.25
    >>> penalty.add_gradients([W], [dW])
    >>> dW
    array([[ 0.3, -0.4]])
    """

    @staticmethod
    def value(W: Array) -> float:
        # np.vdot would be faster, but sum adds in pairs: in float32 that is worth two or three
        # digits.
        return 0.5 * float(np.square(W).sum())

    @staticmethod
    def slope(W: Array) -> Array:
        return W


class L1(_Penalty):
    """s = lam · Σ |W|, ds/dW = lam · sign(W): small weights are pulled as hard as large ones, many
    to 0.

    In the Bayesian reading s is -log of a Laplace prior on the weights, of scale 1/lam. At W = 0,
    where |W| has no derivative, 0 is taken.

    >>> L1(0.5).loss([np.array([[3.0, -4.0]])])
    3.5
    """

    @staticmethod
    def value(W: Array) -> float:
        return float(np.abs(W).sum())

    @staticmethod
    def slope(W: Array) -> Array:
        return np.sign(W)
