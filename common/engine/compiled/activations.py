"""Activations as loops: what NumPy passes over several times is read once."""
import numpy as np

from ..normal import CUBIC, SCALE
from ..pieces import CACHE, portions
from ..threads import spread
from . import Kept, Loop, flat

WORK = 8              # what an entry counts in ``spread``, in multiplications
WORK_OF_TANH = 32


def elementwise(loop, kept, dout):
    """The loop over dout, what forward kept and dx."""
    dx = np.empty_like(dout)
    arrays = flat(dout, kept, dx)
    if arrays is None:
        return None
    spread(lambda part: loop(*[a[part] for a in arrays]), dout.size, WORK * dout.size)
    return dx


def arranged(a, like):
    """a, in memory as ``like`` is."""
    if a.strides == like.strides:
        return a
    turned = np.empty_like(like)
    turned[...] = a
    return turned


class Sigmoid:
    @staticmethod
    def forward(layer, x):
        y = np.empty_like(x)
        arrays = flat(x, y)
        if arrays is None:
            return None

        from .exponential import sigmoid
        spread(lambda part: sigmoid(*[a[part] for a in arrays]), x.size, WORK * x.size)
        layer.cache = Kept((y,))
        return y

    @staticmethod
    def backward(layer, dout):
        y, = layer.cache
        return elementwise(sigmoid_back, y, arranged(dout, y))


@Loop
def sigmoid_back(dy, y, dx):
    for i in range(len(y)):
        dx[i] = dy[i] * (y[i] - y[i] * y[i])


class Tanh:
    @staticmethod
    def backward(layer, dout):
        return elementwise(tanh_back, layer.cache, dout)


@Loop
def tanh_back(dy, y, dx):
    one = y.dtype.type(1)
    for i in range(len(y)):
        dx[i] = dy[i] * (one - y[i] * y[i])


class ReLU:
    @staticmethod
    def backward(layer, dout):
        return elementwise(relu_back, layer.cache, dout)


@Loop
def relu_back(dy, y, dx):
    zero = y.dtype.type(0)
    for i in range(len(y)):
        dx[i] = dy[i] if y[i] > zero else zero * dy[i]


class GELU:
    """The tanh form. The tanh is NumPy's, whose loop is made of vectors. The cache keeps x alone:
    Φ(x) is made again in backward, a piece at a time, for a third less memory."""

    @staticmethod
    def forward(layer, x):
        y = np.empty_like(x)
        arrays = None if layer.exact else flat(x, y)
        if arrays is None:
            return None
        in_pieces(gelu_outer, *arrays)
        layer.cache = Kept((x,))
        return y

    @staticmethod
    def backward(layer, dout):
        x, = layer.cache
        dx = np.empty_like(x)
        in_pieces(gelu_back, *flat(x, arranged(dout, x), dx))
        return dx


def in_pieces(loop, x, *arrays):
    """``loop(x, tanh u, *arrays, √(2/π), 0.044715 √(2/π))``, u = √(2/π) (x + 0.044715 x³), a piece
    at a time."""
    numbers = x.dtype.type(SCALE), x.dtype.type(SCALE * CUBIC)

    def job(part):
        pieces = portions(part, x.itemsize, CACHE // 10)
        tanh = np.empty(pieces[0].stop - pieces[0].start, x.dtype)
        for piece in pieces:
            u = tanh[:piece.stop - piece.start]
            gelu_inner(x[piece], *numbers, u)
            np.tanh(u, out=u)
            loop(x[piece], u, *[a[piece] for a in arrays], *numbers)

    spread(job, x.size, WORK_OF_TANH * x.size)


NEAR = 50.0          # beyond, Φ is 0 or 1 to the last bit, and x³ might overflow


@Loop
def gelu_inner(x, scale, cubic, u):
    """u = √(2/π) (x + 0.044715 x³)."""
    top = x.dtype.type(NEAR)
    for i in range(len(x)):
        a = min(max(x[i], -top), top)
        u[i] = a * (scale + cubic * (a * a))


@Loop
def gelu_outer(x, tanh, y, scale, cubic):
    """y = x Φ, Φ = ½ (1 + tanh u)."""
    half = x.dtype.type(0.5)
    for i in range(len(x)):
        y[i] = x[i] * (half * tanh[i] + half)


@Loop
def gelu_back(x, tanh, dy, dx, scale, cubic):
    """dx = dy (Φ + x Φ'), Φ' = 2 Φ (1 - Φ) du/dx = ½ (1 - tanh² u) du/dx."""
    top, one, half = x.dtype.type(NEAR), x.dtype.type(1), x.dtype.type(0.5)
    cubic *= x.dtype.type(3)
    for i in range(len(x)):
        a = min(max(x[i], -top), top)
        slope = a * (half * (one - tanh[i] * tanh[i])) * (scale + cubic * (a * a))
        dx[i] = dy[i] * (half + half * tanh[i] + slope)
