"""Second derivatives without the matrix: Hessian times vector, and what Krylov methods make of
it."""
from typing import Any

import numpy as np

from ..common import checks
from ..common.layer import Layer, walk
from ..common.types import Array, ArrayLike, Inputs, Model
from .copying import float64_copy

EPS = np.finfo(np.float64).eps
FIRST, SHRINK, TRIALS = 3e-5, 8, 6  # steps from 3e-5 down to 1e-9 of the length of θ
# how well a step and its half agree, relative to the product
AGREE, GIVE_UP = 1e-8, 1e-3


def hessian_vector_product(model: Model, x: Inputs, t: Inputs | None, v: ArrayLike) -> Array:
    """H v for the Hessian H = ∂²L/∂θ∂θᵀ of the loss L = ``model.forward(x, t)``, penalty included;
    H is never formed.

    Shapes: θ (P,): all of ``model.params`` in order, each row by row, one after the other; v (P,);
    H v (P,), in float64. ``x`` and ``t`` may be tuples, for a Graph of several inputs or targets.

    H v is the derivative of the gradient g along v: how g changes as θ moves that way. Pearlmutter
    differentiates backward itself and has H v exactly, for the price of two gradients. A backward
    written by hand stays as it is; but it gives g at any θ, and central differences of g are all
    that is needed:

        D(h) = (g(θ + h v) - g(θ - h v)) / 2h = H v + O(h²)
        H v = (4 D(h/2) - D(h)) / 3 + O(h⁴)   the h² terms cancel (Richardson)

    in float64 with h ‖v‖ = 3·10⁻⁵ max(1, ‖θ‖): h⁴ is nothing, rounding some 10⁻¹⁶/h ≈ 10⁻¹¹ of g.
    At a ReLU, H is, as in every framework, that of the smooth piece on which θ lies. A step across
    a kink shows, for then D(h) and D(h/2) differ; it is made 8 times shorter until they agree to
    10⁻⁸. A product costs four gradients, and two more at the start.

    All of it happens on a float64 copy; the model is left as it was. The copy keeps the model's
    mode, and each gradient starts from the same state: Dropout drops the same entries each time
    (those that its generator draws next, in float64), a stateful RNN starts from the same h. For
    the loss without dropout set ``model.training = False`` first.

    Raises ValueError for a v of another length or with NaN in it, and if θ lies on a kink, so that
    g jumps there. Source: Pearlmutter, Fast exact multiplication by the Hessian (1994), which
    starts from the difference.

    A quadratic, L = ½ mean (w x - t)²; its H is the mean of x²:

    >>> from chainrule.layers import Affine, SquaredError
    >>> from chainrule.models import Sequential
    >>> model = Sequential(Affine(np.array([[3.0]]), None), loss=SquaredError())
    >>> x = np.array([[1.0], [2.0], [4.0]])
    >>> hessian_vector_product(model, x, 0 * x, np.array([1.0])).round(8)
    array([7.])
    """
    return Products("hessian_vector_product", model, x, t)(v)


def HessianOperator(model: Model, x: Inputs, t: Inputs | None) -> Any:
    """The Hessian of ``model.forward(x, t)`` as a ``scipy.sparse.linalg.LinearOperator`` (P, P).

    Krylov methods ask of a matrix only its products with vectors: ``H @ v`` is
    ``hessian_vector_product(model, x, t, v)``, at the parameters as they are when the operator is
    made; after a step make another. Raises ImportError without SciPy, and what
    ``hessian_vector_product`` raises.

    ``eigsh`` finds the directions in which the loss is most curved, and how much; ``cg`` solves H d
    = -g, a Newton step, where H is positive definite; where it is not, add
    ``aslinearoperator(damping * np.eye(P))`` until it is:

    >>> from chainrule.layers import Affine, SquaredError
    >>> from chainrule.models import Sequential
    >>> from scipy.sparse.linalg import cg, eigsh
    >>> rng = np.random.default_rng(0)
    >>> x, t = rng.standard_normal((20, 3)), rng.standard_normal((20, 1))
    >>> model = Sequential(Affine(np.zeros((3, 1)), np.zeros(1)), loss=SquaredError())
    >>> H = HessianOperator(model, x, t)
    >>> H.shape, eigsh(H, k=1, v0=np.ones(4), return_eigenvectors=False).round(4)
    ((4, 4), array([1.352]))
    >>> before = model.forward(x, t)
    >>> model.backward()
    >>> step, _ = cg(H, -np.concatenate([g.ravel() for g in model.grads]), rtol=1e-10)
    >>> W, b = model.params
    >>> W += step[:3, None]
    >>> b += step[3:]
    >>> loss = model.forward(x, t)                # a quadratic: one step, and the gradient is zero
    >>> model.backward()
    >>> loss < before, bool(max(abs(g).max() for g in model.grads) < 1e-9)
    (True, True)
    """
    try:
        from scipy.sparse.linalg import LinearOperator
    except ImportError:
        raise ImportError(
            'HessianOperator: SciPy is missing; pip install "chainrule[notebooks]" installs it'
        ) from None
    product = Products("HessianOperator", model, x, t)

    def matvec(v):
        return product(np.reshape(v, -1))

    return LinearOperator((product.theta.size,) * 2, matvec=matvec, rmatvec=matvec,
                          dtype=np.float64)


class Products:
    """v -> H v at one θ."""

    def __init__(self, who, model, x, t):
        missing = [name for name in ("forward", "backward", "params", "grads")
                   if not hasattr(model, name)]
        if missing:
            got = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
            raise TypeError(checks.wrong(who, "model",
                                         "be an object with forward, backward, params and grads",
                                         got))
        if not model.params:
            raise ValueError(f"{who}: the model has no parameters to differentiate by")
        self.who = who
        arrays = [array for name, given in (("x", x), ("t", t))
                  for array in several(who, name, given)]
        if not checks.fitting(model.forward, arrays):
            raise TypeError(
                checks.wrong(
                    who,
                    "x and t",
                    "be what model.forward takes",
                    f"{len(arrays)} arrays",
                    "a tuple stands for several inputs; of rows make one array",
                )
            )
        self.model, *self.arrays = float64_copy(model, *arrays)
        for layer in walk(self.model):
            if isinstance(layer, Layer):
                # nothing that each copy would carry along
                layer.cache = None
        self.theta = flat(self.model.params)
        g = self.gradient(self.theta)
        checks.finite(who, "the gradient", g)
        # The size of the terms that add up to g, whose rounding is its noise; at a minimum g itself
        # says nothing.
        self.length = max(1.0, np.linalg.norm(self.theta))
        away = np.random.default_rng(0).standard_normal(g.size)
        away *= FIRST * self.length / np.linalg.norm(away)
        terms = np.linalg.norm(g) + np.linalg.norm(self.gradient(self.theta + away) - g) / FIRST
        self.noise = 10 * EPS * terms

    def gradient(self, theta):
        """g(θ), on a fresh copy: whatever a forward changes (generators, running means) is as it
        was."""
        (model,) = float64_copy(self.model)
        ends = np.cumsum([p.size for p in model.params])
        for p, part in zip(model.params, np.split(theta, ends[:-1])):
            p[...] = part.reshape(p.shape)
        loss = model.forward(*self.arrays)
        if np.ndim(loss):
            raise ValueError(checks.wrong(self.who, "model.forward(x, t)",
                                          "give a loss, one number", f"shape {np.shape(loss)}"))
        model.backward()
        return flat(model.grads)

    def difference(self, h, v):
        return (self.gradient(self.theta + h * v) - self.gradient(self.theta - h * v)) / (2 * h)

    def __call__(self, v):
        v = checks.array(self.who, "v", v, np.float64, self.theta.shape)
        checks.finite(self.who, "v", v)
        size = np.linalg.norm(v)
        if size == 0:
            return np.zeros_like(v)
        best, v = np.inf, v / size
        for h in self.length * FIRST / SHRINK ** np.arange(TRIALS):
            D, half = self.difference(h, v), self.difference(h / 2, v)
            apart, noise = np.linalg.norm(D - half), self.noise / h
            if apart < best:
                best, product = apart, (4 * half - D) / 3
            if apart <= AGREE * np.linalg.norm(half) + noise:
                break
        else:
            if not best <= GIVE_UP * np.linalg.norm(product) + noise:
                raise ValueError(
                    f"{self.who}: the gradient jumps at the parameters, so there is no second "
                    f"derivative; "
                    "an input of a ReLU or its like is exactly 0 (move the parameters a little), "
                    "or forward "
                    "is random"
                )
        return size * product


def several(who, name, given):
    """What a tuple holds, or the one array that came, as arrays of numbers; None is left out."""
    for i, x in enumerate(given if isinstance(given, tuple) else (given,)):
        a = checks.as_array(x)
        if x is not None and a.dtype.kind not in "fiub":
            place = f"{name}[{i}]" if isinstance(given, tuple) else name
            raise TypeError(checks.wrong(who, place, "be an array of numbers",
                                         checks.kind_text(x, a)))
        if x is not None:
            yield a


def flat(arrays):
    return np.concatenate([np.asarray(a, np.float64).reshape(-1) for a in arrays])
