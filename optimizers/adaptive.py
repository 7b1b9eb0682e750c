"""Rules that give every parameter a rate of its own, by the size of its gradients so far."""
import math

import numpy as np

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

    def __init__(self, lr=0.01, eps=1e-8):
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

    def __init__(self, lr=0.01, decay=0.99, eps=1e-8):
        super().__init__(lr)
        self.decay = self._number("decay", decay, **FRACTION)
        self.eps = self._number("eps", eps, **POSITIVE)

    def rule(self, lr, p, g, h):
        h *= self.decay
        h += (1 - self.decay) * (g * g)
        p -= lr * g / (np.sqrt(h) + self.eps)


class Adam(Optimizer):
    """Momentum and RMSProp in one, with both means right from the first step: W <- W - lr m̂ / (√v̂ + eps).

    m̂ is the mean of all gradients so far and v̂ that of their squares, where the gradient of i steps ago has
    the weight beta^i. Kept are the weighted sums, m <- beta1 m + g and v <- beta2 v + g²; a mean is such a
    sum divided by the sum of the weights:

        m̂ = m / (1 + beta1 + ... + beta1^(t-1)) = m (1 - beta1) / (1 - beta1^t),    and v̂ likewise,

    t being the number of the step, from 1. The paper keeps (1 - beta1) m and (1 - beta2) v and calls the
    division by 1 - beta^t a correction of the bias; the steps are the same. A step is seldom longer than lr,
    whatever the scale of the gradients.

    m and v decay everywhere in every step. The arrays m and r hold m / beta1^k and √(v / beta2^k), which do not:
    instead of making all that is there smaller, a step makes the new gradient larger. So they change only where it
    is not zero, and of a gradient that names its rows nothing else is read. k counts the steps since the powers
    were last multiplied in, before they get small.

    Kingma and Ba 2015, Adam: A Method for Stochastic Optimization.

    >>> W, dW = np.array([1.0, 1.0]), np.array([0.001, -100.0])
    >>> Adam(lr=0.1).update([W], [dW])
    >>> W.round(3)
    array([0.9, 1.1])
    """
    names = ("m", "r")

    def __init__(self, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
        super().__init__(lr)
        self.beta1 = self._number("beta1", beta1, **FRACTION)
        self.beta2 = self._number("beta2", beta2, **FRACTION)
        self.eps = self._number("eps", eps, **POSITIVE)

    def rule(self, lr, p, g, m, r):
        self.learn(g, m, r)
        self.drift(lr, p, m, r)

    def learn(self, g, m, r):
        power1, power2, _ = self._powers()
        m += g / power1
        r *= r
        r += g * g / power2
        np.sqrt(r, out=r)

    def drift(self, lr, p, m, r):
        power1, power2, last = self._powers()
        mean = power1 / weight_sum(self.beta1, self.step)                    # m̂ = mean · m
        root = math.sqrt(power2 / weight_sum(self.beta2, self.step))         # √v̂ = root · r
        # p -= lr * mean * m / (root * r + eps) in one temporary array
        move = r + self.eps / root
        np.divide(m, move, out=move)
        move *= lr * mean / root
        p -= move
        if last:
            m *= power1 * self.beta1
            r *= math.sqrt(power2 * self.beta2)

    def _powers(self):
        """beta1^k, beta2^k, and whether to multiply them in after this step: before the smaller one is below a tenth."""
        smaller = min(self.beta1, self.beta2)
        span = max(1, int(math.log(0.1, smaller))) if smaller else 1
        k = (self.step - 1) % span
        return self.beta1 ** k, self.beta2 ** k, k == span - 1


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
    def __init__(self, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01):
        super().__init__(lr, beta1, beta2, eps)
        self.weight_decay = self._number("weight_decay", weight_decay, **AT_LEAST_0)

    def drift(self, lr, p, m, r):
        p *= 1 - lr * self.weight_decay
        super().drift(lr, p, m, r)


def weight_sum(beta, t):
    """1 + beta + ... + beta^(t-1)."""
    return (1 - beta ** t) / (1 - beta)
