"""Activations: elementwise functions without parameters, and softmax and the logarithm of its sum.

An elementwise y = f(x) has a diagonal Jacobian, so backward is one product: dL/dx = dL/dy · f'(x).
All of them take any shape and keep the input's float dtype.
"""
import numpy as np

from ..common import checks
from ..common.engine import normal
from ..common.functions import logsumexp, relu, sigmoid, softmax
from ..common.layer import Layer
from ..common.types import Axis


class Sigmoid(Layer):
    """y = 1 / (1 + exp(-x)), the logistic function.

    Backward: dy/dx = exp(-x) / (1 + exp(-x))² = y (1 - y), so

        dL/dx = dL/dy · y (1 - y)

    at most a quarter: ten of these one after another divide the gradient by a million. Source:
    Saito, Deep Learning from Scratch, 5.5.2.

    >>> layer = Sigmoid()
    >>> layer.forward(np.array([[0.0, -1000.0]]))
    array([[0.5, 0. ]])
    >>> layer.backward(np.array([[1.0, 1.0]]))
    array([[0.25, 0.  ]])
    """
    shapes = "x (...) -> y (...)"

    def forward(self, x):
        self.cache = y = sigmoid(x)
        return y

    def backward(self, dout):
        y = self.cache
        return dout * (y - y * y)


class Tanh(Layer):
    """y = tanh x = (exp(x) - exp(-x)) / (exp(x) + exp(-x)).

    Backward: dy/dx = 1 - tanh² x, so

        dL/dx = dL/dy · (1 - y²)

    >>> layer = Tanh()
    >>> layer.forward(np.array([[0.0, 1000.0]]))
    array([[0., 1.]])
    >>> layer.backward(np.array([[2.0, 2.0]]))
    array([[2., 0.]])
    """
    shapes = "x (...) -> y (...)"

    def forward(self, x):
        self.cache = y = np.tanh(x)
        return y

    def backward(self, dout):
        y = self.cache
        return dout * (1 - y * y)


class ReLU(Layer):
    """y = max(0, x), the rectified linear unit.

    Backward: the gradient passes where x was positive and stops elsewhere,

        dL/dx = dL/dy · [y > 0]

    At x = 0, where there is no derivative, the subgradient 0 is taken, as PyTorch does.
    Source: Nair and Hinton, Rectified linear units improve restricted Boltzmann machines (2010).

    >>> layer = ReLU()
    >>> layer.forward(np.array([[-1.0, 0.0, 2.0]]))
    array([[0., 0., 2.]])
    >>> layer.backward(np.array([[5.0, 5.0, 5.0]]))
    array([[0., 0., 5.]])
    """
    shapes = "x (...) -> y (...)"

    def forward(self, x):
        self.cache = y = relu(x)
        return y

    def backward(self, dout):
        y = self.cache
        return dout * (y > 0)


class LeakyReLU(Layer):
    """y = x where x > 0, slope · x elsewhere.

    Backward:

        dL/dx = dL/dy · (1 where x > 0, slope elsewhere)

    Source: Maas, Hannun and Ng, Rectifier nonlinearities improve neural network acoustic models
    (2013).

    >>> layer = LeakyReLU(slope=0.1)
    >>> layer.forward(np.array([[-10.0, 2.0]]))
    array([[-1.,  2.]])
    >>> layer.backward(np.array([[1.0, 1.0]]))
    array([[0.1, 1. ]])
    """
    shapes = "x (...) -> y (...)"

    def __init__(self, slope: float = 0.01) -> None:
        super().__init__()
        self.slope = checks.number("LeakyReLU", "slope", slope)

    def forward(self, x):
        self.cache = factor = np.where(x > 0, x.dtype.type(1), x.dtype.type(self.slope))
        return x * factor

    def backward(self, dout):
        factor = self.cache
        return dout * factor


class ELU(Layer):
    """y = x where x > 0, α (exp(x) - 1) elsewhere: the exponential linear unit, which ends smoothly
    at -α.

    Backward:

        dL/dx = dL/dy · (1 where x > 0, α exp(x) elsewhere)

    Source: Clevert, Unterthiner and Hochreiter, Fast and accurate deep network learning by
    exponential linear units (2016).

    >>> layer = ELU(alpha=2.0)
    >>> layer.forward(np.array([[-1000.0, 0.0, 3.0]]))
    array([[-2.,  0.,  3.]])
    >>> layer.backward(np.array([[1.0, 1.0, 1.0]]))
    array([[0., 2., 1.]])
    """
    shapes = "x (...) -> y (...)"

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = checks.number("ELU", "alpha", alpha)

    def forward(self, x):
        self.cache = x
        return np.where(x > 0, x, self.alpha * np.expm1(np.minimum(x, 0)))

    def backward(self, dout):
        x = self.cache
        return dout * np.where(x > 0, x.dtype.type(1), self.alpha * np.exp(np.minimum(x, 0)))


class SiLU(Layer):
    """y = x σ(x), the sigmoid linear unit, also called swish: nearly ReLU, but smooth, with a dip
    to -0.28 at -1.28.

    Backward, by the product rule with σ' = σ (1 - σ):

        dL/dx = dL/dy · σ(x) (1 + x (1 - σ(x)))

    Source: Elfwing, Uchibe and Doya, Sigmoid-weighted linear units for neural network function
    approximation in reinforcement learning (2018).

    >>> layer = SiLU()
    >>> layer.forward(np.array([[-1000.0, 0.0, 1.0]])).round(4)
    array([[-0.    ,  0.    ,  0.7311]])
    >>> layer.backward(np.array([[1.0, 1.0, 1.0]])).round(4)
    array([[-0.    ,  0.5   ,  0.9277]])
    """
    shapes = "x (...) -> y (...)"

    def forward(self, x):
        s = sigmoid(x)
        self.cache = x, s
        return x * s

    def backward(self, dout):
        x, s = self.cache
        return dout * (s * (1 + x * (1 - s)))


class Softplus(Layer):
    """y = log(1 + exp(x)), a smooth ReLU, computed as max(0, x) + log(1 + exp(-|x|)), which cannot
    overflow.

    Backward: dy/dx = exp(x) / (1 + exp(x)) = σ(x), so

        dL/dx = dL/dy · σ(x)

    Source: Dugas et al., Incorporating second-order functional knowledge for better option pricing
    (2000).

    >>> layer = Softplus()
    >>> layer.forward(np.array([[-1000.0, 0.0, 20.0]])).round(4)
    array([[ 0.    ,  0.6931, 20.    ]])
    >>> layer.backward(np.array([[1.0, 1.0, 1.0]])).round(4)
    array([[0. , 0.5, 1. ]])
    """
    shapes = "x (...) -> y (...)"

    def forward(self, x):
        self.cache = x
        return relu(x) + np.log1p(np.exp(-np.abs(x)))

    def backward(self, dout):
        x = self.cache
        return dout * sigmoid(x)


class GELU(Layer):
    """y = x Φ(x), Φ(x) = P(Z ≤ x) for a standard normal Z: by default Φ in its tanh form, with
    ``exact=True`` Φ itself,

        tanh form   Φ(x) ≈ ½ (1 + tanh u), u = √(2/π) (x + 0.044715 x³)   Φ'(x) ≈ 2 Φ (1 - Φ) du/dx
        exact   Φ(x) = ½ (1 + erf(x/√2))   Φ'(x) = exp(-x²/2) / √(2π)

    Backward, by the product rule:

        dL/dx = dL/dy · (Φ(x) + x Φ'(x))

    The two y differ by less than 0.0005, and the tanh form takes at most a fifth of the time. Use
    the one that a network was trained with. Source: Hendrycks and Gimpel, Gaussian error linear
    units (2016).

    >>> layer = GELU()
    >>> layer.forward(np.array([[-1000.0, 0.0, 1.0]])).round(4)
    array([[-0.    ,  0.    ,  0.8412]])
    >>> layer.backward(np.array([[1.0, 1.0, 1.0]])).round(4)
    array([[0.   , 0.5  , 1.083]])
    >>> GELU(exact=True).forward(np.array([[-1000.0, 0.0, 1.0]])).round(4)
    array([[-0.    ,  0.    ,  0.8413]])
    """
    shapes = "x (...) -> y (...)"

    def __init__(self, exact: bool = False) -> None:
        super().__init__()
        self.exact = checks.flag("GELU", "exact", exact)

    def forward(self, x):
        # beyond, Φ is 0 or 1 to the last bit, and x³ might overflow
        near = np.clip(x, -50, 50)
        P = normal.cdf(near) if self.exact else normal.tanh_cdf(near)
        self.cache = near, P
        return x * P

    def backward(self, dout):
        x, P = self.cache
        slope = normal.density(x) if self.exact else normal.tanh_density(x, P)
        slope *= x
        slope += P
        slope *= dout
        return slope


class Softmax(Layer):
    """y_j = exp(x_j) / Σ_k exp(x_k) along the last axis: positive, and summing to 1.

    Backward. Every output depends on every input of its row: ∂y_k/∂x_j = y_k ([j = k] - y_j).
    Summed over k,

        dL/dx_j = y_j (dL/dy_j - Σ_k dL/dy_k y_k)

    For training a classifier, SoftmaxWithLoss is the safer and simpler choice. Source: Bridle
    (1990); Saito, chapter 3.5.

    >>> layer = Softmax()
    >>> layer.forward(np.array([[1000.0, 1000.0]]))
    array([[0.5, 0.5]])
    >>> layer.backward(np.array([[1.0, 0.0]]))
    array([[ 0.25, -0.25]])
    """
    shapes = "x (..., C) -> y (..., C)"

    def forward(self, x):
        self.cache = y = softmax(x)
        return y

    def backward(self, dout):
        y = self.cache
        g = dout * y
        return g - y * g.sum(axis=-1, keepdims=True)


class LogSumExp(Layer):
    """y = log Σ_j exp(x_j) along an axis, several axes or (``axis=None``) all: a smooth maximum, at
    most log n above it.

    Backward. ∂y/∂x_j = exp(x_j) / Σ_k exp(x_k), so softmax shares the gradient out:

        dL/dx_j = dL/dy · softmax(x)_j

    Source: Goodfellow, Bengio and Courville, Deep Learning (2016), chapter 4.1.

    >>> layer = LogSumExp()
    >>> layer.forward(np.array([[1000.0, 1000.0], [0.0, -1000.0]])).round(4)
    array([1000.6931,    0.    ])
    >>> layer.backward(np.array([1.0, 3.0]))
    array([[0.5, 0.5],
           [3. , 0. ]])
    """
    shapes = "x (N, ...) -> y (...)"

    def __init__(self, axis: Axis = -1, keepdims: bool = False) -> None:
        super().__init__()
        self.axis, self.keepdims = (checks.axis("LogSumExp", axis),
                                    checks.flag("LogSumExp", "keepdims", keepdims))

    def forward(self, x):
        axes = checks.axes("LogSumExp", self.axis, x)
        self.cache = x, axes
        return logsumexp(x, axes, self.keepdims)

    def backward(self, dout):
        x, axes = self.cache
        return (dout if self.keepdims else np.expand_dims(dout, axes)) * softmax(x, axes)
