"""Rules that give every entry of a parameter a rate of its own, made of its gradients so far.

``Optimizer.update`` advances ``step`` and calls ``rule`` for each parameter W (a large one in
pieces, or compiled) with its gradient g and its state: the arrays that ``names`` lists, of W's
shape, zeros at first, kept from step to step.
"""
import numpy as np

from ..common import checks
from ..common.types import Rate
from .optimizer import AT_LEAST_0, FRACTION, POSITIVE, Optimizer


class AdaGrad(Optimizer):
    """A rate that falls with every gradient: h <- h + g², W <- W - lr g / (√h + eps).

    What is rarely used, such as the vector of a rare word, keeps a large rate. With a constant lr
    no rate ever rises.

    Duchi, Hazan and Singer 2011, Adaptive Subgradient Methods for Online Learning.

    >>> W, dW = np.array([1.0, 1.0]), np.array([0.001, 100.0])
    >>> AdaGrad(lr=0.1).update([W], [dW])
    >>> W.round(3)
    array([0.9, 0.9])
    """
    names = ("h",)
    skips_zeros = True                   # where g = 0 neither h nor W changes

    def __init__(self, lr: Rate = 0.01, eps: float = 1e-8) -> None:
        super().__init__(lr)
        self.eps = self._number("eps", eps, **POSITIVE)

    def rule(self, lr, W, g, h):
        h += g * g
        W -= lr * g / (np.sqrt(h) + self.eps)


class RMSProp(Optimizer):
    """AdaGrad that forgets: h <- decay h + (1 - decay) g², W <- W - lr g / (√h + eps).

    h is a running mean of g², so that rates can rise again. It starts at zero, which makes the
    first steps long: the very first is lr / √(1 - decay), by default ten times lr (centered
    lr / √(decay (1 - decay))).

    With ``centered=True`` the variance of g replaces the mean of its square:

        m <- decay m + (1 - decay) g          W <- W - lr g / (√(h - m²) + eps)

    so that steps are long where gradients agree, and short where they only change their sign. Where
    gradients hardly change, h - m² is nearly 0 and a step may be as long as lr g / eps: choose a
    larger eps.

    Tieleman and Hinton 2012, Neural Networks for Machine Learning, lecture 6.5; centered: Graves
    2013, Generating Sequences With Recurrent Neural Networks (there eps stands under the root).

    >>> W, dW = np.array([1.0, 1.0]), np.array([0.001, 100.0])
    >>> RMSProp(lr=0.01).update([W], [dW])
    >>> W.round(3)
    array([0.9, 0.9])
    """

    def __init__(
        self, lr: Rate = 0.01, decay: float = 0.99, eps: float = 1e-8, centered: bool = False
    ) -> None:
        super().__init__(lr)
        self.decay = self._number("decay", decay, **FRACTION)
        self.eps = self._number("eps", eps, **POSITIVE)
        self.centered = checks.flag(type(self).__name__, "centered", centered)

    @property
    def names(self) -> tuple[str, ...]:
        return ("h", "m") if self.centered else ("h",)

    def rule(self, lr, W, g, h, m=None):
        decay = self.decay
        h *= decay
        h += (1 - decay) * (g * g)
        if self.centered:
            m *= decay
            m += (1 - decay) * g
            h = np.maximum(h - m * m, 0)      # h itself stays; rounding may leave less than 0
        W -= lr * g / (np.sqrt(h) + self.eps)


class AdaDelta(Optimizer):
    """Each step about as long as those before it, so in W's own unit; eps sets the length of the
    first ones, and stands in for a rate.

        E[g²] <- rho E[g²] + (1 - rho) g²
        Δ = √(E[Δ²] + eps) / √(E[g²] + eps) · g
        E[Δ²] <- rho E[Δ²] + (1 - rho) Δ²
        W <- W - lr Δ

    E stands for a running mean, d in the code for Δ; the state is ``Eg2`` and ``Ed2``. Both start
    at zero, so the first step is √(eps / (1 - rho)), by default 0.003, for any gradient well above
    that number; from there the steps grow slowly as long as the gradients keep their size. The
    paper has no lr; lr = 1 is its rule.

    Zeiler 2012, ADADELTA: An Adaptive Learning Rate Method.

    >>> W, dW = np.array([1.0, 1.0]), np.array([0.1, -100.0])
    >>> AdaDelta().update([W], [dW])
    >>> W.round(4)
    array([0.9968, 1.0032])
    """
    names = ("Eg2", "Ed2")

    def __init__(self, lr: Rate = 1.0, rho: float = 0.9, eps: float = 1e-6) -> None:
        super().__init__(lr)
        self.rho = self._number("rho", rho, **FRACTION)
        self.eps = self._number("eps", eps, **POSITIVE)

    def rule(self, lr, W, g, Eg2, Ed2):
        rho, eps = self.rho, self.eps
        Eg2 *= rho
        Eg2 += (1 - rho) * (g * g)
        d = np.sqrt(Ed2 + eps) / np.sqrt(Eg2 + eps) * g
        Ed2 *= rho
        Ed2 += (1 - rho) * (d * d)
        W -= lr * d


class Adam(Optimizer):
    """Momentum and RMSProp in one, corrected for the start of both means at zero:

        m <- beta1 m + (1 - beta1) g           m̂ = m / (1 - beta1^t)
        v <- beta2 v + (1 - beta2) g²          v̂ = v / (1 - beta2^t)
        W <- W - lr m̂ / (√v̂ + eps)

    where t = 1, 2, ... is the number of the step. m and v are running means that start at zero:
    after t steps the factors with which the gradients so far enter sum to only 1 - beta^t, and
    dividing by that sum gives the means m̂ and v̂. A step is seldom longer than lr, whatever the
    scale of the gradients, and never longer than (1 - beta1) / √((1 - beta2) (1 - beta1² / beta2))
    lr, by default 7.3 lr (by Cauchy and Schwarz, for beta1² < beta2).

    With ``amsgrad=True`` the largest v so far, v_max <- max(v_max, v), replaces v in v̂, as in
    PyTorch (the paper corrects neither m nor v): a rare large gradient is not forgotten.

    Kingma and Ba 2015, Adam: A Method for Stochastic Optimization; amsgrad: Reddi, Kale and Kumar
    2018, On the Convergence of Adam and Beyond.

    >>> W, dW = np.array([1.0, 1.0]), np.array([0.001, -100.0])
    >>> Adam(lr=0.1).update([W], [dW])
    >>> W.round(3)
    array([0.9, 1.1])
    """

    def __init__(self, lr: Rate = 1e-3, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8,
                 amsgrad: bool = False) -> None:
        super().__init__(lr)
        self.beta1 = self._number("beta1", beta1, **FRACTION)
        self.beta2 = self._number("beta2", beta2, **FRACTION)
        self.eps = self._number("eps", eps, **POSITIVE)
        self.amsgrad = checks.flag(type(self).__name__, "amsgrad", amsgrad)

    @property
    def names(self) -> tuple[str, ...]:
        return ("m", "v", "v_max") if self.amsgrad else ("m", "v")

    def rule(self, lr, W, g, m, v, v_max=None):
        beta1, beta2, t = self.beta1, self.beta2, self.step
        m *= beta1
        m += (1 - beta1) * g
        v *= beta2
        v += (1 - beta2) * (g * g)
        if self.amsgrad:
            v = np.maximum(v_max, v, out=v_max)              # the running mean itself stays
        m_hat = m / (1 - beta1**t)
        v_hat = v / (1 - beta2**t)
        W -= lr * m_hat / (np.sqrt(v_hat) + self.eps)


class AdamW(Adam):
    """Adam with decoupled weight decay: W <- (1 - lr weight_decay) W - lr m̂ / (√v̂ + eps).

    In Adam the gradient of a penalty λ/2 ΣW² would be divided by √v̂ with the rest, and weights
    with large gradients would hardly decay. Here every parameter, biases too, decays at the same
    rate (times lr, as in PyTorch; in the paper times its schedule alone).

    Loshchilov and Hutter 2019, Decoupled Weight Decay Regularization.

    >>> W, dW = np.array([1.0, 1.0]), np.array([0.0, -100.0])
    >>> AdamW(lr=0.1, weight_decay=0.5).update([W], [dW])
    >>> W.round(3)
    array([0.95, 1.05])
    """

    def __init__(self, lr: Rate = 1e-3, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8,
                 weight_decay: float = 0.01, amsgrad: bool = False) -> None:
        super().__init__(lr, beta1, beta2, eps, amsgrad)
        self.weight_decay = self._number("weight_decay", weight_decay, **AT_LEAST_0)

    def rule(self, lr, W, g, *state):
        W *= 1 - lr * self.weight_decay
        super().rule(lr, W, g, *state)


class AdaMax(Optimizer):
    """Adam with the largest |g| so far, slowly forgotten, instead of the root of a mean of squares:

        m <- beta1 m + (1 - beta1) g
        u <- max(beta2 u, |g| + eps)
        W <- W - lr m / ((1 - beta1^t) u)

    u starts at zero and needs no correction. Of all means (E[|g|^p])^(1/p), Adam's has p = 2, and
    this one p = ∞.

    Kingma and Ba 2015, Adam: A Method for Stochastic Optimization, section 7.1; eps, which keeps u
    from being 0, is PyTorch's.

    >>> W, dW = np.array([1.0, 1.0]), np.array([0.001, -100.0])
    >>> AdaMax(lr=0.1).update([W], [dW])
    >>> W.round(3)
    array([0.9, 1.1])
    """
    names = ("m", "u")

    def __init__(
        self, lr: Rate = 2e-3, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8
    ) -> None:
        super().__init__(lr)
        self.beta1 = self._number("beta1", beta1, **FRACTION)
        self.beta2 = self._number("beta2", beta2, **FRACTION)
        self.eps = self._number("eps", eps, **POSITIVE)

    def rule(self, lr, W, g, m, u):
        beta1, beta2, t = self.beta1, self.beta2, self.step
        m *= beta1
        m += (1 - beta1) * g
        np.maximum(beta2 * u, np.abs(g) + self.eps, out=u)
        W -= lr / (1 - beta1**t) * m / u
