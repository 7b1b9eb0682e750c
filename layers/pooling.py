"""Pooling: one value for a whole window, channel by channel."""
from functools import reduce
from itertools import repeat

import numpy as np

from ..common import checks
from ..common.layer import Layer
from ._windows import SCRATCH, channels_first, channels_last, pair, places, taps


class Pool(Layer):
    """What MaxPool and AveragePool share: the values in each row of a window are joined to one, then the rows' values are.

    A subclass names the value of the padding and writes ``join(values, notes)``, for the values along one axis of
    all windows at once, and ``share(dy, n, notes)``, the gradients of these n values, the last one first.
    With ``takes_notes``, join has a boolean array for each value but the first to leave what share will need.

    Works on a few images at a time, padded, as (m, H, W, C), so that they stay in the cache. The pixels of a row that
    are joined are copied out of it first: of few channels they are short runs in memory, slow to calculate with.
    """
    shapes = "x (N, C, H, W) -> y (N, C, OH, OW)"

    padded_with, takes_notes = 0.0, False

    def __init__(self, size, stride=None, padding=0):
        """size, stride (None: the size) and padding: ints or pairs (height, width)."""
        super().__init__()
        who = type(self).__name__
        self.size = pair(who, "size", size)
        self.stride = self.size if stride is None else pair(who, "stride", stride)
        self.padding = pair(who, "padding", padding, least=0)
        if any(2 * p > k for p, k in zip(self.padding, self.size)):
            raise ValueError(checks.wrong(who, "padding", f"be at most half of the window {self.size}", self.padding))
        checks.room(who, "size", (sum(self.size),), each=200, got=size)                   # the window's places, as slices
        checks.room(who, "padding", [2 * p + 1 for p in self.padding], got=padding)

    def forward(self, x):
        (N, C, H, _), (OH, OW), (KH, KW) = x.shape, self._places(x.shape), self.size
        y = np.empty((N, OH, OW, C), x.dtype)
        shapes = (KW - 1, N, H + 2 * self.padding[0], OW, C), (KH - 1, N, OH, OW, C)
        notes = [np.empty(shape if self.takes_notes else (0, N), bool) for shape in shapes]
        across, down = self._axes(x.shape)
        for images in self._pieces(x):
            values = self._padded(x[images])
            values = self.join([pixels(values)[at].copy().view(x.dtype).reshape(*values.shape[:2], OW, C) for at in across],
                               notes[0][:, images])
            y[images] = self.join([values[at] for at in down], notes[1][:, images])
        self.cache = x.shape, x.dtype, *notes
        return channels_first(y)

    def backward(self, dout):
        shape, dtype, *notes = self.cache
        (N, C, H, W), (PH, PW), OW = shape, self.padding, self._places(shape)[1]
        dy = channels_last(dout)
        across, down = self._axes(shape)
        overlap = [s < k for s, k in zip(self.stride, self.size)]
        dx = np.empty((N, H, W, C), dtype)
        for images in self._pieces(dx):
            part = dx[images]
            drows = np.empty((len(part), H + 2 * PH, OW, C), dtype)
            dpadded = np.empty((len(part), H + 2 * PH, W + 2 * PW, C), dtype) if PH or PW else part
            put(self.share(np.ascontiguousarray(dy[images]), len(down), notes[1][:, images]), drows, down, overlap[0])
            put(self.share(drows, len(across), notes[0][:, images]), dpadded, across, overlap[1])
            if PH or PW:
                part[...] = dpadded[:, PH:PH + H, PW:PW + W]
        return channels_first(dx)

    def _places(self, shape):
        return places(type(self).__name__, shape, self.size, self.stride, [(p, p) for p in self.padding])

    def _axes(self, shape):
        """(across, down): where in (m, H, W, C) the values under all windows lie, along their rows and down their columns."""
        (OH, OW), (KH, KW), (SH, SW) = self._places(shape), self.size, self.stride
        return [np.s_[:, :, at] for at in taps(OW, KW, SW)], [np.s_[:, at] for at in taps(OH, KH, SH)]

    def _pieces(self, x):
        """As many images at a time as stay in the cache."""
        m = max(1, SCRATCH // 2 * len(x) // x.nbytes)
        return [slice(n, min(n + m, len(x))) for n in range(0, len(x), m)]

    def _padded(self, x):
        """Images (m, C, H, W) as (m, H + padding, W + padding, C)."""
        (m, C, H, W), (PH, PW) = x.shape, self.padding
        if not (PH or PW):
            return np.ascontiguousarray(channels_last(x))
        padded = np.full((m, H + 2 * PH, W + 2 * PW, C), self.padded_with, x.dtype)
        padded[:, PH:PH + H, PW:PW + W] = channels_last(x)
        return padded


def put(gradients, dx, window, overlap):
    """Put the gradients of a window's values, the last one first, to where in dx the values lie; the rest of dx is 0."""
    if overlap or len(window) * dx[window[0]].size < dx.size:
        dx[...] = 0
    for at, gradient in zip(window[::-1], gradients):
        if overlap:
            dx[at] += gradient
        else:
            pixels(dx)[at] = pixels(gradient)


def pixels(a):
    """(m, H, W, C) seen as (m, H, W), each pixel one item: they are copied faster than their values one by one."""
    return a.view(f"V{a.shape[-1] * a.itemsize}")[..., 0]


class MaxPool(Pool):
    """y_ncij = the largest of the values of channel c in the KH x KW window at (i · stride, j · stride).

    Shapes: x (N, C, H, W), y (N, C, OH, OW), OH = (H + 2 padding - KH) // stride + 1; what is left over at the right
    and at the bottom is not used. The padding is -∞ and never wins; it is at most half the window, so that no window
    lies outside.

    Backward. The maximum is its largest argument, so that one alone receives the gradient; windows that overlap add up:

        dL/dx_ncpq = Σ over the windows (i, j) that have their maximum at (p, q) of dL/dy_ncij

    Of several equal maxima the first in row-major order of the window (along the first row, then the second, ...)
    receives it all, as in PyTorch. Kept for backward: a byte for each value but the first, whether it is larger than all
    before it, among the values of a row of the window and among the maxima of the rows.
    Source: Saito, Deep Learning from Scratch, 7.3.

    >>> layer = MaxPool(2)
    >>> layer.forward(np.array([[[[1.0, 2.0, 0.0, 0.0], [4.0, 3.0, 0.0, 0.0]]]]))
    array([[[[4., 0.]]]])
    >>> layer.backward(np.array([[[[10.0, 20.0]]]]))
    array([[[[ 0.,  0., 20.,  0.],
             [10.,  0.,  0.,  0.]]]])
    """
    shapes = Pool.shapes
    padded_with, takes_notes = -np.inf, True

    def forward(self, x):
        y = super().forward(x)
        if any(self.padding) and y.min() == -np.inf:
            # A window of nothing but -∞: the padding would be its first value. With the smallest number for -∞ it is not.
            super().forward(np.maximum(x, np.finfo(y.dtype).min, dtype=y.dtype))
        return y

    def join(self, values, larger):
        """The largest so far, value by value."""
        y, *rest = values
        for value, wins in zip(rest, larger):
            np.greater(value, y, out=wins)
            y = np.maximum(value, y)
        return y

    def share(self, dy, n, larger):
        """The last value that was larger than all before it takes the gradient; the others are left with 0."""
        for wins in larger[::-1]:
            taken = dy * wins
            yield taken
            dy = dy - taken
        yield dy


class AveragePool(Pool):
    """y_ncij = the mean of the values of channel c in the KH x KW window at (i · stride, j · stride); zeros of the
    padding count.

    Shapes: x (N, C, H, W), y (N, C, OH, OW), OH = (H + 2 padding - KH) // stride + 1; what is left over at the right
    and at the bottom is not used. The padding is at most half the window.

    Backward. Each of the KH · KW values has derivative 1 / (KH · KW): the gradient is shared out evenly, and overlaps
    add up:

        dL/dx_ncpq = Σ over the windows (i, j) that contain (p, q) of dL/dy_ncij / (KH · KW)

    Source: LeCun et al., Gradient-based learning applied to document recognition (1998).

    >>> layer = AveragePool(2)
    >>> layer.forward(np.array([[[[1.0, 2.0, 0.0], [4.0, 3.0, 9.0]]]]))
    array([[[[2.5]]]])
    >>> layer.backward(np.array([[[[4.0]]]]))
    array([[[[1., 1., 0.],
             [1., 1., 0.]]]])
    """
    def join(self, values, _):
        return reduce(np.add, values) / len(values)

    def share(self, dy, n, _):
        return repeat(dy / n, n)


class GlobalAveragePool(Layer):
    """y_nc = the mean of channel c over the whole image: (N, C, H, W) becomes (N, C), whatever H and W are.

    Backward. Each of the H · W values has derivative 1 / (H · W), so

        dL/dx_ncpq = dL/dy_nc / (H · W)

    In front of the loss it stands in for the Affine layers, their weights and their fixed image size.
    Source: Lin, Chen and Yan, Network in network (2014).

    >>> layer = GlobalAveragePool()
    >>> layer.forward(np.array([[[[1.0, 2.0], [3.0, 4.0]]]]))
    array([[2.5]])
    >>> layer.backward(np.array([[8.0]]))
    array([[[[2., 2.],
             [2., 2.]]]])
    """
    shapes = "x (N, C, H, W) -> y (N, C)"

    def forward(self, x):
        self.cache = x.shape, x.dtype
        return x.mean(axis=(2, 3))

    def backward(self, dout):
        (N, C, H, W), dtype = self.cache
        dx = np.empty((N, H, W, C), dtype)
        dx[...] = (dout / (H * W))[:, None, None, :]
        return channels_first(dx)
