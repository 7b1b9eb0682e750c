"""Layers that only move, copy or add values."""
import math
from collections.abc import Sequence

import numpy as np

from ..common import checks
from ..common.engine.products import axis_sum
from ..common.layer import Layer
from ..common.types import Array, Axis


class Repeat(Layer):
    """Each slice of an axis n times, one after another, as ``np.repeat(x, n, axis)``: (1, D)
    becomes (n, D).

    Backward. A value that is used n times collects the gradient of each use:

        dL/dx_i = Σ over the n copies of x_i of dL/dy

    so Repeat's backward is Sum's forward, and the other way round. Source: Saito, Deep Learning
    from Scratch 2, 1.3.4.

    >>> node = Repeat(3)
    >>> node.forward(np.array([[1.0, 2.0]]))
    array([[1., 2.],
           [1., 2.],
           [1., 2.]])
    >>> node.backward(np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]))
    array([[ 6., 60.]])
    """
    shapes = "x (...) -> y (...)"

    def __init__(self, n: int, axis: int = 0) -> None:
        super().__init__()
        self.n, self.axis = checks.count("Repeat", "n", n), checks.whole("Repeat", "axis", axis)

    def check_inputs(self, x: Array) -> None:
        checks.axes("Repeat", self.axis, x)
        checks.room("Repeat", "n", (x.size, self.n), x.itemsize, got=self.n)

    def forward(self, x):
        self.cache = x.shape
        return np.repeat(x, self.n, self.axis)

    def backward(self, dout):
        shape, axis = self.cache, self.axis % dout.ndim
        front, back = shape[:axis + 1], shape[axis + 1:]
        return dout.reshape(*front, self.n, *back).sum(axis=axis + 1)


class Sum(Layer):
    """The sum along an axis, several axes or (``axis=None``) all: (N, D) becomes (D,), or (1, D)
    with ``keepdims``.

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
    shapes = "x (...) -> y (...)"

    def __init__(self, axis: Axis = 0, keepdims: bool = False) -> None:
        super().__init__()
        who = type(self).__name__
        self.axis, self.keepdims = checks.axis(who, axis), checks.flag(who, "keepdims", keepdims)

    def forward(self, x):
        axes = checks.axes(type(self).__name__, self.axis, x)
        self.cache = x.shape, axes
        return self.scaled(axis_sum(x, axes[0], self.keepdims) if len(axes) == 1
                           else x.sum(axes, keepdims=self.keepdims))

    def backward(self, dout):
        shape, axes = self.cache
        kept = tuple(1 if i in axes else n for i, n in enumerate(shape))
        dout = self.scaled(dout)
        return np.broadcast_to(np.reshape(dout, kept), shape).copy()

    def scaled(self, values):
        """The sums, or their gradients, times the derivative of the output by each summand."""
        return values


class Mean(Sum):
    """The mean along an axis, several axes or (``axis=None``) all; axes as in Sum.

    Backward. Each of the n averaged values has derivative 1/n:

        dL/dx_nd = dL/dy_d / n

    >>> node = Mean()
    >>> node.forward(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([2., 3.])
    >>> node.backward(np.array([1.0, 10.0]))
    array([[0.5, 5. ],
           [0.5, 5. ]])
    """

    def scaled(self, values):
        shape, axes = self.cache
        return values / values.dtype.type(math.prod(shape[i] for i in axes))


class Last(Layer):
    """The last step of each sequence: y_n = x_n,T, the vector that stands for all of it after a
    recurrent layer.

    Shapes: x (N, T, D), y (N, D). With a mask (N, T), False at padding, the last step is the last
    one where it is True; a sequence without any gives zeros.

    Backward. The other steps are not part of y:

        dL/dx_nt = dL/dy_n for the last t, else 0

    With a mask backward returns (dL/dx, None).

    >>> node, x = Last(), np.array([[[1.0], [2.0], [3.0]]])
    >>> node.forward(x), node.forward(x, np.array([[True, True, False]]))
    (array([[3.]]), array([[2.]]))
    >>> node.backward(np.array([[10.0]]))[0].tolist()
    [[[0.0], [10.0], [0.0]]]
    """
    shapes = "x (N, T, D), mask? bool (N, T) -> y (N, D)"

    def forward(self, x, mask=None):
        N, T, _ = x.shape
        steps = np.ones((N, T), bool) if mask is None else mask
        last = np.arange(N), T - 1 - steps[:, ::-1].argmax(axis=1)
        some = steps.any(axis=1)[:, None]
        self.cache = x.shape, *last, some, mask is not None
        return np.where(some, x[last], 0)

    def backward(self, dout):
        shape, *last, some, masked = self.cache
        dx = np.zeros(shape, dout.dtype)
        dx[tuple(last)] = np.where(some, dout, 0)
        return (dx, None) if masked else dx


class Branch(Layer):
    """One input, n outputs, each a copy of it: a value that is used at n places.

    Backward. x reaches the loss through every copy, and the paths add up (None stands for a copy
    that was not used):

        dL/dx = Σ_i dL/dy_i

    >>> node = Branch(2)
    >>> node.forward(np.array([1.0, 2.0]))
    (array([1., 2.]), array([1., 2.]))
    >>> node.backward((np.array([1.0, 1.0]), np.array([10.0, 20.0])))
    array([11., 21.])
    """
    shapes = "x (...) -> y (...)"

    def __init__(self, n: int = 2) -> None:
        super().__init__()
        self.n = checks.count("Branch", "n", n)

    def check_inputs(self, x: Array) -> None:
        checks.room("Branch", "n", (self.n,), x.nbytes + 100, got=self.n)

    def forward(self, x):
        self.cache = x.shape, x.dtype
        return tuple(x.copy() for _ in range(self.n))

    def backward(self, dout):
        shape, dtype = self.cache
        if not isinstance(dout, (tuple, list)) or len(dout) != self.n:
            raise ValueError(
                checks.wrong("Branch", "dout",
                             f"be a tuple of {self.n} gradients, one for each output",
                             len(dout) if isinstance(dout, (tuple, list)) else type(dout).__name__))
        return sum((d for d in dout if d is not None), np.zeros(shape, dtype))


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
    shapes = "x (N, ...) -> y (N, D)"

    def forward(self, x):
        self.cache = x.shape
        return np.array(x, order="C").reshape(len(x), -1)

    def backward(self, dout):
        return dout.reshape(self.cache).copy()


class Reshape(Layer):
    """The same entries in another shape, in "C" order; ``shape`` as in np.reshape, where -1 stands
    for what is left over.

    Backward: only places have changed, so the gradient takes the old ones again, dL/dx = dL/dy in
    the shape of x.

    >>> node = Reshape((-1, 2, 3))
    >>> node.forward(np.zeros((5, 6))).shape
    (5, 2, 3)
    >>> node.backward(np.zeros((5, 2, 3))).shape
    (5, 6)
    """
    shapes = "x (...) -> y (...)"

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        if isinstance(shape, (int, np.integer)):
            raise TypeError(
                checks.wrong("Reshape", "shape", "be a tuple", checks.text(shape),
                             f"Reshape((-1, {checks.whole_text(shape)})) makes rows of that size"))
        self.shape = tuple(checks.count("Reshape", f"shape[{i}]", n, least=-1)
                           for i, n in enumerate(checks.items("Reshape", "shape", shape, "sizes")))
        if self.shape.count(-1) > 1:
            raise ValueError(checks.wrong("Reshape", "shape", "have one -1 at most", self.shape))

    def check_inputs(self, x: Array) -> None:
        try:
            x.reshape(self.shape)
        except ValueError:
            raise ValueError(
                checks.wrong("Reshape", "x", f"have as many entries as shape {self.shape}",
                             f"{x.size} entries in shape {x.shape}")) from None

    def forward(self, x):
        self.cache = x.shape
        return x.reshape(self.shape).copy()

    def backward(self, dout):
        return dout.reshape(self.cache).copy()


class Transpose(Layer):
    """The axes in another order; ``axes`` as in np.transpose: output axis i is input axis
    ``axes[i]``; None reverses them.

    Backward: the inverse order brings every entry back, dL/dx = transpose(dL/dy, argsort(axes)).

    >>> node = Transpose((0, 2, 1))
    >>> node.forward(np.zeros((5, 2, 3))).shape
    (5, 3, 2)
    >>> node.backward(np.zeros((5, 3, 2))).shape
    (5, 2, 3)
    """
    shapes = "x (...) -> y (...)"

    def __init__(self, axes: Sequence[int] | None = None) -> None:
        super().__init__()
        if axes is not None:
            given = enumerate(checks.items("Transpose", "axes", axes, "axes"))
            axes = tuple(checks.whole("Transpose", f"axes[{i}]", a) for i, a in given)
        self.axes = axes

    def check_inputs(self, x: Array) -> None:
        n, axes = x.ndim, range(x.ndim) if self.axes is None else self.axes
        if sorted(a % n if -n <= a < n else -1 for a in axes) != list(range(n)):
            expected = f"have {len(axes)} axes, to be ordered as {axes}"
            raise ValueError(checks.wrong("Transpose", "x", expected, f"shape {x.shape}"))

    def forward(self, x):
        return x.transpose(self.axes).copy()

    def backward(self, dout):
        axes = range(dout.ndim)[::-1] if self.axes is None else self.axes
        return dout.transpose(np.argsort(np.array(axes) % dout.ndim)).copy()


class Concatenate(Layer):
    """Inputs side by side along one axis, ``axis=1`` the features or channels of each sample.

    Backward: every input gets the part of the gradient that stands where it stood.

    >>> node = Concatenate()
    >>> node.forward(np.array([[1.0]]), np.array([[2.0, 3.0]]))
    array([[1., 2., 3.]])
    >>> node.backward(np.array([[10.0, 20.0, 30.0]]))
    (array([[10.]]), array([[20., 30.]]))
    """
    shapes = "*inputs float -> y float"

    def __init__(self, axis: int = 1) -> None:
        super().__init__()
        self.axis = checks.whole("Concatenate", "axis", axis)

    def check_inputs(self, *inputs: Array) -> None:
        axis, = checks.axes("Concatenate", self.axis, inputs[0])
        checks.side_by_side("Concatenate", inputs, axis)

    def forward(self, *inputs):
        self.cache = [x.shape[self.axis] for x in inputs], [x.dtype for x in inputs]
        return np.concatenate(inputs, self.axis)

    def backward(self, dout):
        sizes, dtypes = self.cache
        parts = np.split(dout, np.cumsum(sizes)[:-1], self.axis)
        return tuple(part.astype(dtype) for part, dtype in zip(parts, dtypes))
