"""Activations: elementwise functions without parameters, and softmax along the last axis.

An elementwise y = f(x) has a diagonal Jacobian, so backward is one product: dL/dx = dL/dy · f'(x). All of them take
any shape and keep the input's float dtype.
"""
import numpy as np

from ..common import checks
from ..common.functions import relu, sigmoid, softmax
from ..common.layer import Layer


class Sigmoid(Layer):
    """y = 1 / (1 + exp(-x)), the logistic function.

    Backward: dy/dx = exp(-x) / (1 + exp(-x))² = y (1 - y), so

        dL/dx = dL/dy · y (1 - y)

    at most a quarter: ten of these in a row divide the gradient by a million. Source: Saito, Deep Learning from
    Scratch, 5.5.2.

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

    Source: Maas, Hannun and Ng, Rectifier nonlinearities improve neural network acoustic models (2013).

    >>> layer = LeakyReLU(slope=0.1)
    >>> layer.forward(np.array([[-10.0, 2.0]]))
    array([[-1.,  2.]])
    >>> layer.backward(np.array([[1.0, 1.0]]))
    array([[0.1, 1. ]])
    """
    shapes = "x (...) -> y (...)"

    def __init__(self, slope=0.01):
        super().__init__()
        self.slope = checks.number("LeakyReLU", "slope", slope)

    def forward(self, x):
        self.cache = factor = np.where(x > 0, x.dtype.type(1), x.dtype.type(self.slope))
        return x * factor

    def backward(self, dout):
        factor = self.cache
        return dout * factor


class Softplus(Layer):
    """y = log(1 + exp(x)), a smooth ReLU, computed as max(0, x) + log(1 + exp(-|x|)), which cannot overflow.

    Backward: dy/dx = exp(x) / (1 + exp(x)) = σ(x), so

        dL/dx = dL/dy · σ(x)

    Source: Dugas et al., Incorporating second-order functional knowledge for better option pricing (2000).

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
    """y = ½ x (1 + tanh u), u = √(2/π) (x + 0.044715 x³): the tanh form of x · P(Z ≤ x), Z standard normal.

    Backward, by the product rule, with t = tanh u and dt/dx = (1 - t²) du/dx:

        dL/dx = dL/dy · [½ (1 + t) + ½ x (1 - t²) √(2/π) (1 + 3 · 0.044715 x²)]

    Source: Hendrycks and Gimpel, Gaussian error linear units (2016).

    >>> layer = GELU()
    >>> layer.forward(np.array([[-1000.0, 0.0, 1.0]])).round(4)
    array([[-0.    ,  0.    ,  0.8412]])
    >>> layer.backward(np.array([[1.0, 1.0, 1.0]])).round(4)
    array([[0.   , 0.5  , 1.083]])
    """
    shapes = "x (...) -> y (...)"

    scale, cubic = float(np.sqrt(2 / np.pi)), 0.044715

    # One array takes each step of a formula: with a new one for every operator this would be the slowest layer of a Transformer.

    def forward(self, x):
        bent = np.clip(x, -50, 50)            # beyond, t is ±1 to the last bit, and x³ might overflow
        t = bent * bent
        t *= self.scale * self.cubic
        t += self.scale
        t *= bent
        t = np.tanh(t)
        self.cache = bent, t
        y = 1 + t
        y *= 0.5
        y *= x
        return y

    def backward(self, dout):
        x, t = self.cache
        slope = x * x
        slope *= 3 * self.scale * self.cubic
        slope += self.scale
        slope *= x                  # x du/dx
        slope *= 1 - t * t
        slope += t
        slope += 1
        slope *= 0.5
        slope *= dout
        return slope


class Softmax(Layer):
    """y_j = exp(x_j) / Σ_k exp(x_k) along the last axis: positive, and summing to 1.

    Backward. Every output depends on every input of its row: ∂y_k/∂x_j = y_k ([j = k] - y_j). Summed over k,

        dL/dx_j = y_j (dL/dy_j - Σ_k dL/dy_k y_k)

    For training a classifier, SoftmaxWithLoss is the safer and simpler choice. Source: Bridle (1990); Saito, chapter
    3.5.

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
