"""Rules that give every parameter a rate of its own, by the size of its gradients so far."""
import numpy as np

from ..common.types import Array, Rate
from . import _lazy
from .optimizer import AT_LEAST_0, FRACTION, POSITIVE, Optimizer


class AdaGrad(Optimizer):
    """A rate that falls with all gradients so far: h <- h + g², W <- W - lr g / (√h + eps).

    A parameter that is rarely used (the vector of a rare word) keeps a large rate. All rates only ever fall.

    Duchi, Hazan and Singer 2011, Adaptive Subgradient Methods for Online Learning.

    >>> W, dW = np.array([1.0, 1.0]), np.array([0.001, 100.0])
    >>> AdaGrad(lr=0.1).update([W], [dW])
    >>> W.round(3)
    array([0.9, 0.9])
    """
    names = ("h",)
    skips_zeros = True

    def __init__(self, lr: Rate = 0.01, eps: float = 1e-8) -> None:
        super().__init__(lr)
        self.eps = self._number("eps", eps, **POSITIVE)

    def rule(self, lr, p, g, h):
        h += g * g
        p -= lr * g / (np.sqrt(h) + self.eps)


class RMSProp(Optimizer):
    """AdaGrad that forgets: h <- decay h + (1 - decay) g², W <- W - lr g / (√h + eps).

    h is a running mean of g², so that rates can rise again. It starts at zero, which makes the first steps
    long: the very first is lr / √(1 - decay), by default ten times lr.

    Tieleman and Hinton 2012, Neural Networks for Machine Learning, lecture 6.5.

    >>> W, dW = np.array([1.0, 1.0]), np.array([0.001, 100.0])
    >>> RMSProp(lr=0.01).update([W], [dW])
    >>> W.round(3)
    array([0.9, 0.9])
    """
    names = ("h",)

    def __init__(self, lr: Rate = 0.01, decay: float = 0.99, eps: float = 1e-8) -> None:
        super().__init__(lr)
        self.decay = self._number("decay", decay, **FRACTION)
        self.eps = self._number("eps", eps, **POSITIVE)

    def rule(self, lr, p, g, h):
        h *= self.decay
        h += (1 - self.decay) * (g * g)
        p -= lr * g / (np.sqrt(h) + self.eps)


class Adam(Optimizer):
    """Momentum and RMSProp in one, with both means right from the first step:

        m <- beta1 m + (1 - beta1) g           m̂ = m / (1 - beta1^t)
        v <- beta2 v + (1 - beta2) g²          v̂ = v / (1 - beta2^t)
        W <- W - lr m̂ / (√v̂ + eps)

    t being the number of the step, from 1. m and v are running means of g and g² that start at zero: after t steps the
    weights of all gradients so far sum to 1 - beta^t, and m̂ and v̂ are divided by that. A step is seldom longer than
    lr, whatever the scale of the gradients. Where a gradient names its rows, as an Embedding's does, m and v are kept in
    another form (_lazy.py).

    Kingma and Ba 2015, Adam: A Method for Stochastic Optimization.

    >>> W, dW = np.array([1.0, 1.0]), np.array([0.001, -100.0])
    >>> Adam(lr=0.1).update([W], [dW])
    >>> W.round(3)
    array([0.9, 1.1])
    """
    names = ("m", "v")
    lazy = _lazy

    def __init__(self, lr: Rate = 1e-3, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> None:
        super().__init__(lr)
        self.beta1 = self._number("beta1", beta1, **FRACTION)
        self.beta2 = self._number("beta2", beta2, **FRACTION)
        self.eps = self._number("eps", eps, **POSITIVE)

    def rule(self, lr, p, g, m, v):
        m *= self.beta1
        m += (1 - self.beta1) * g
        v *= self.beta2
        v += (1 - self.beta2) * (g * g)
        c1, c2 = 1 - self.beta1 ** self.step, 1 - self.beta2 ** self.step
        p -= lr / c1 * m / (np.sqrt(v / c2) + self.eps)


class AdamW(Adam):
    """Adam with decoupled weight decay: W <- (1 - lr weight_decay) W - lr m̂ / (√v̂ + eps).

    The gradient of a penalty λ/2 ΣW² would be divided by √v̂ with the rest, so that weights with large
    gradients hardly decay. Here every parameter, biases too, decays at the same rate.

    Loshchilov and Hutter 2019, Decoupled Weight Decay Regularization.

    >>> W, dW = np.array([1.0, 1.0]), np.array([0.0, -100.0])
    >>> AdamW(lr=0.1, weight_decay=0.5).update([W], [dW])
    >>> W.round(3)
    array([0.95, 1.05])
    """
    def __init__(
        self,
        lr: Rate = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(lr, beta1, beta2, eps)
        self.weight_decay = self._number("weight_decay", weight_decay, **AT_LEAST_0)

    def rule(self, lr, p, g, m, v):
        self.decay(lr, p)
        super().rule(lr, p, g, m, v)

    def decay(self, lr: float, p: Array) -> None:
        p *= 1 - lr * self.weight_decay
