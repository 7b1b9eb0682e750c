"""Layers that only move, copy or add values: Repeat, Sum, Flatten."""
import numpy as np

from ..common import checks
from ..common.layer import Layer


def axis_of(layer, axis, x):
    """The axis counted from the front; an error that names the layer if x has no such axis."""
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(checks.wrong(type(layer).__name__, "x", f"have an axis {axis}", f"shape {x.shape}"))
    return axis % x.ndim


class Repeat(Layer):
    """Each slice of an axis n times in a row, as ``np.repeat(x, n, axis)``: (1, D) becomes (n, D).

    Backward. A value that is used n times collects the gradient of each use:

        dL/dx_i = Σ over the n copies of x_i of dL/dy

    so Repeat's backward is Sum's forward, and the other way round. Source: Saito, Deep Learning from Scratch 2, 1.3.4.

    >>> node = Repeat(3)
    >>> node.forward(np.array([[1.0, 2.0]]))
    array([[1., 2.],
           [1., 2.],
           [1., 2.]])
    >>> node.backward(np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]))
    array([[ 6., 60.]])
    """

    def __init__(self, n, axis=0):
        super().__init__()
        self.n, self.axis = checks.count("Repeat", "n", n), axis
        self.couples_samples = axis == 0        # the copies of a sample take the places of new samples

    def forward(self, x):
        x = self.accept(x)
        self.cache = x.shape, x.dtype, axis_of(self, self.axis, x)
        return np.repeat(x, self.n, axis=self.axis)

    def backward(self, dout):
        shape, dtype, axis = self.recall()
        front, back = shape[:axis + 1], shape[axis + 1:]
        dout = self.upstream(dout, front[:-1] + (front[-1] * self.n,) + back, dtype)
        return dout.reshape(front + (self.n,) + back).sum(axis=axis + 1)


class Sum(Layer):
    """The sum along one axis: (N, D) becomes (D,), or (1, D) with ``keepdims``.

    Backward. Every summand has derivative 1, so each receives the whole gradient, a copy:

        dL/dx_nd = dL/dy_d

    Source: Saito, Deep Learning from Scratch 2, 1.3.4.

    >>> node = Sum()
    >>> node.forward(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([4., 6.])
    >>> node.backward(np.array([1.0, 10.0]))
    array([[ 1., 10.],
           [ 1., 10.]])
    """

    def __init__(self, axis=0, keepdims=False):
        super().__init__()
        self.axis, self.keepdims = axis, keepdims
        self.couples_samples = axis == 0

    def forward(self, x):
        x = self.accept(x)
        self.cache = x.shape, x.dtype, axis_of(self, self.axis, x)
        return x.sum(axis=self.axis, keepdims=self.keepdims)

    def backward(self, dout):
        shape, dtype, axis = self.recall()
        kept = shape[:axis] + (1,) + shape[axis + 1:]
        dout = self.upstream(dout, kept if self.keepdims else shape[:axis] + shape[axis + 1:], dtype)
        return np.repeat(dout.reshape(kept), shape[axis], axis=axis)


class Flatten(Layer):
    """(N, ...) becomes (N, D): each sample a row, its entries in the order of memory ("C" order).

    Backward: nothing but places has changed, so the gradient takes the old places again:

        dL/dx = dL/dy in the shape of x

    >>> layer = Flatten()
    >>> layer.forward(np.zeros((32, 1, 8, 8))).shape
    (32, 64)
    >>> layer.backward(np.zeros((32, 64))).shape
    (32, 1, 8, 8)
    """

    def forward(self, x):
        x = self.accept(x, shape=("N", ...))
        self.cache = x.shape, x.dtype
        return x.reshape(len(x), -1).copy()

    def backward(self, dout):
        shape, dtype = self.recall()
        size = int(np.prod(shape[1:]))
        return self.upstream(dout, (shape[0], size), dtype).reshape(shape).copy()
