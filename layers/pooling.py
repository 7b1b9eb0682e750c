"""Pooling: one value for a whole window, channel by channel."""
from functools import reduce

import numpy as np

from ..common import checks
from ..common.layer import Layer
from ._windows import SCRATCH, channels_first, channels_last, pair, places, taps


class Pool(Layer):
    """What MaxPool and AveragePool share. A subclass names the ufunc that joins two values, the value of the padding
    and the arrays ``kept`` for backward, and says in ``spread`` how windows hand their gradients back.

    Works on a few images at a time, padded, as (m, H, W, C). With few channels it joins along the rows at every
    place, also where the stride passes over, and picks the wanted ones afterwards: a few long runs of memory beat
    many short ones.
    """
    join = padded_with = None

    def __init__(self, size, stride=None, padding=0):
        """size, stride (None: the size) and padding: ints or pairs (height, width)."""
        super().__init__()
        who = type(self).__name__
        self.size = pair(who, "size", size)
        self.stride = self.size if stride is None else pair(who, "stride", stride)
        self.padding = pair(who, "padding", padding, least=0)
        if any(2 * p > k for p, k in zip(self.padding, self.size)):
            raise ValueError(checks.wrong(who, "padding", f"be at most half of the window {self.size}", self.padding))

    def forward(self, x):
        x = self.accept(x, shape=("N", "C", "H", "W"))
        down, across, skip = self._window(x.shape)
        y = np.empty((len(x), *self._places(x.shape), x.shape[1]), x.dtype)
        for images in self._pieces(x):
            y[images] = self.joined(self.joined(self._padded(x[images]), down), across)[:, :, ::skip]
        self.cache = x.shape, x.dtype, *self.kept(x)
        return channels_first(y)

    def backward(self, dout):
        shape, dtype, *kept = self.recall()
        (N, C, H, W), (PH, PW) = shape, self.padding
        dout = self.upstream(dout, (N, C, *self._places(shape)), dtype)
        window = self._window(shape)
        dx = np.empty((N, H, W, C), dtype)
        for images in self._pieces(dx):
            part = dx[images]
            dpadded = np.empty((len(part), H + 2 * PH, W + 2 * PW, C), dtype) if PH or PW else part
            dpadded[...] = 0
            self.spread(channels_last(dout[images]), dpadded, *window, *(self._padded(x[images]) for x in kept))
            if PH or PW:
                part[...] = dpadded[:, PH:PH + H, PW:PW + W]
        return channels_first(dx)

    def kept(self, x):
        """The arrays that spread needs besides the gradient."""
        return ()

    def joined(self, pixels, window):
        """The values at all places of a window, joined."""
        return reduce(self.join, [pixels[at] for at in window])

    def _places(self, shape):
        return places(type(self).__name__, shape, self.size, self.stride, [(p, p) for p in self.padding])

    def _window(self, shape):
        """(down, across, skip): where the values of the window's rows lie, where those of its columns, for all
        windows at once; every skip-th place in a row is wanted."""
        (OH, OW), (KH, KW), (SH, SW) = self._places(shape), self.size, self.stride
        skip = SW if shape[1] < 16 else 1
        across = taps((OW - 1) * skip + 1, KW, SW // skip)
        return [np.s_[:, at] for at in taps(OH, KH, SH)], [np.s_[:, :, at] for at in across], skip

    def _pieces(self, x):
        """As many images at a time as stay in the cache."""
        m = max(1, SCRATCH // 4 * len(x) // x.nbytes)
        return [slice(n, min(n + m, len(x))) for n in range(0, len(x), m)]

    def _padded(self, x):
        """Images (m, C, H, W) as (m, H + padding, W + padding, C)."""
        (m, C, H, W), (PH, PW) = x.shape, self.padding
        if not (PH or PW):
            return np.ascontiguousarray(channels_last(x))
        padded = np.full((m, H + 2 * PH, W + 2 * PW, C), self.padded_with, x.dtype)
        padded[:, PH:PH + H, PW:PW + W] = channels_last(x)
        return padded


class MaxPool(Pool):
    """y_ncij = the largest of the values of channel c in the KH x KW window at (i · stride, j · stride).

    Shapes: x (N, C, H, W), y (N, C, OH, OW), OH = (H + 2 padding - KH) // stride + 1; what is left over at the right
    and at the bottom is not used. The padding is -∞ and never wins; it is at most half the window, so that no window
    lies outside.

    Backward. The maximum is its largest argument, so that one alone receives the gradient; windows that overlap add up:

        dL/dx_ncpq = Σ over the windows (i, j) that have their maximum at (p, q) of dL/dy_ncij

    Of several equal maxima the first in row-major order of the window (along the first row, then the second, ...)
    receives it all, as in PyTorch. Kept for backward: x. Source: Saito, Deep Learning from Scratch, 7.3.

    >>> layer = MaxPool(2)
    >>> layer.forward(np.array([[[[1.0, 2.0, 0.0, 0.0], [4.0, 3.0, 0.0, 0.0]]]]))
    array([[[[4., 0.]]]])
    >>> layer.backward(np.array([[[[10.0, 20.0]]]]))
    array([[[[ 0.,  0., 20.,  0.],
             [10.,  0.,  0.,  0.]]]])
    """
    join, padded_with = np.maximum, -np.inf

    def kept(self, x):
        return x,

    def spread(self, dy, dx, down, across, skip, x):
        """From y to the first row of the window that holds the maximum, from there to the first pixel that holds the row's."""
        row = self.joined(x, across)
        drow = np.zeros_like(row)
        hand_over(row, self.joined(row, down), every(dy, skip), drow, down)
        hand_over(x, row, drow, dx, across)


def every(y, skip):
    """(m, OH, OW, C) with skip - 1 zeros between neighbours in a row."""
    if skip == 1:
        return y
    m, OH, OW, C = y.shape
    wide = np.zeros((m, OH, (OW - 1) * skip + 1, C), y.dtype)
    wide[:, :, ::skip] = y
    return wide


def hand_over(x, y, dy, dx, window):
    """Put dy into dx, all zeros, at the first of the window's places where x is the maximum y: what one does not
    take, the next is offered, and the last takes the rest."""
    for i, at in enumerate(window[:-1]):
        taken = np.multiply(dy, x[at] == y, out=None if i else dx[at])
        if i:
            dx[at] += taken
        dy = dy - taken
    dx[window[-1]] += dy


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
    join, padded_with = np.add, 0.0

    def forward(self, x):
        y = super().forward(x)
        y /= self.size[0] * self.size[1]
        return y

    def spread(self, dy, dx, down, across, skip):
        share = every(dy / (self.size[0] * self.size[1]), skip)
        dcolumns = np.zeros((len(dx), dy.shape[1], *dx.shape[2:]), dx.dtype)
        for at in across:
            dcolumns[at] += share
        for at in down:
            dx[at] += dcolumns


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

    def forward(self, x):
        x = self.accept(x, shape=("N", "C", "H", "W"))
        self.cache = x.shape, x.dtype
        return x.mean(axis=(2, 3))

    def backward(self, dout):
        (N, C, H, W), dtype = self.recall()
        dout = self.upstream(dout, (N, C), dtype)
        dx = np.empty((N, H, W, C), dtype)
        dx[...] = (dout / (H * W))[:, None, None, :]
        return channels_first(dx)
