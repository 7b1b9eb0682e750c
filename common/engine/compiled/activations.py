"""Activations as loops: what NumPy passes over several times is read once."""
import numpy as np

from ..normal import CUBIC, SCALE
from ..pieces import CACHE, portions
from ..threads import spread
from . import Kept, Loop, flat

WORK = 8             # what an entry counts in ``spread``, in multiplications
WORK_OF_TANH = 32


def elementwise(loop, layer, dout):
    """The loop over dout, what the page kept and dx."""
    dx = np.empty_like(dout)
    arrays = flat(dout, layer.cache, dx)
    if arrays is None:
        return None
    spread(lambda part: loop(*[a[part] for a in arrays]), dout.size, WORK * dout.size)
    return dx


class Sigmoid:
    @staticmethod
    def backward(layer, dout):
        return elementwise(sigmoid_back, layer, dout)


@Loop
def sigmoid_back(dy, y, dx):
    for i in range(len(y)):
        dx[i] = dy[i] * (y[i] - y[i] * y[i])


class Tanh:
    @staticmethod
    def backward(layer, dout):
        return elementwise(tanh_back, layer, dout)


@Loop
def tanh_back(dy, y, dx):
    one = y.dtype.type(1)
    for i in range(len(y)):
        dx[i] = dy[i] * (one - y[i] * y[i])


class ReLU:
    @staticmethod
    def backward(layer, dout):
        return elementwise(relu_back, layer, dout)


@Loop
def relu_back(dy, y, dx):
    zero = y.dtype.type(0)
    for i in range(len(y)):
        dx[i] = dy[i] if y[i] > zero else zero * dy[i]


class GELU:
    """The tanh form. The tanh is NumPy's, whose loop is made of vectors; the cache keeps x and
    Φ(x)."""

    @staticmethod
    def forward(layer, x):
        y, P = np.empty_like(x), np.empty_like(x)
        arrays = None if layer.exact else flat(x, P, y)
        if arrays is None:
            return None
        scale, cubic = x.dtype.type(SCALE), x.dtype.type(SCALE * CUBIC)

        def job(part):
            for piece in portions(part, x.itemsize, CACHE // 10):
                a, b, c = (array[piece] for array in arrays)
                gelu_inner(a, scale, cubic, b)
                np.tanh(b, out=b)
                gelu_outer(a, b, c)

        spread(job, x.size, WORK_OF_TANH * x.size)
        layer.cache = Kept((x, P))
        return y

    @staticmethod
    def backward(layer, dout):
        x, P = layer.cache
        scale, cubic = x.dtype.type(2 * SCALE), x.dtype.type(6 * SCALE * CUBIC)
        dx = np.empty_like(x)
        arrays = flat(x, P, dout, dx)
        if arrays is None:                       # dout lies in memory otherwise than x
            turned = np.empty_like(x)
            turned[...] = dout
            arrays = flat(x, P, turned, dx)
        spread(lambda part: gelu_back(*[a[part] for a in arrays], scale, cubic), x.size,
               2 * WORK * x.size)
        return dx


NEAR = 50.0          # beyond, Φ is 0 or 1 to the last bit, and x³ might overflow


@Loop
def gelu_inner(x, scale, cubic, u):
    """u = √(2/π) (x + 0.044715 x³)."""
    top = x.dtype.type(NEAR)
    for i in range(len(x)):
        a = min(max(x[i], -top), top)
        u[i] = a * (scale + cubic * (a * a))


@Loop
def gelu_outer(x, P, y):
    """P becomes Φ = ½ (1 + P), and y = x Φ."""
    half = x.dtype.type(0.5)
    for i in range(len(x)):
        P[i] = half * P[i] + half
        y[i] = x[i] * P[i]


@Loop
def gelu_back(x, P, dy, dx, scale, cubic):
    """dx = dy (Φ + x · 2 Φ (1 - Φ) du/dx)."""
    top, one = x.dtype.type(NEAR), x.dtype.type(1)
    for i in range(len(x)):
        a = min(max(x[i], -top), top)
        dx[i] = dy[i] * (P[i] + a * ((scale + cubic * (a * a)) * (P[i] * (one - P[i]))))
