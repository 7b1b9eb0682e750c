"""Pooling: one value for a whole window, channel by channel."""
import numpy as np

from ..common import checks
from ..common.engine.channels import channels_first
from ..common.engine.pooling import average_pool, average_pool_back, max_pool, max_pool_back
from ..common.engine.windows import pair, places
from ..common.layer import Layer
from ..common.types import Array, Shape, Size


class Pool(Layer):
    """What MaxPool and AveragePool share: a window and its steps."""
    shapes = "x (N, C, H, W) -> y (N, C, OH, OW)"

    def __init__(self, size: Size, stride: Size | None = None, padding: Size = 0) -> None:
        """size, stride (None: the size) and padding: ints or pairs (height, width)."""
        super().__init__()
        who = type(self).__name__
        self.size = pair(who, "size", size)
        self.stride = self.size if stride is None else pair(who, "stride", stride)
        self.padding = pair(who, "padding", padding, least=0)
        if any(2 * p > k for p, k in zip(self.padding, self.size)):
            raise ValueError(
                checks.wrong(who, "padding", f"be at most half of the window {self.size}",
                             self.padding))
        # the window's places, as slices
        checks.room(who, "size", (sum(self.size),), each=200, got=size)
        checks.room(who, "padding", [2 * p + 1 for p in self.padding], got=padding)

    def output_shape(self, shape: Shape) -> Shape:
        """The shape of y for x of ``shape`` (N, C, H, W); ValueError if the window is larger than
        the padded image."""
        pads = [(p, p) for p in self.padding]
        return (*shape[:2], *places(type(self).__name__, shape, self.size, self.stride, pads))

    def check_inputs(self, x: Array) -> None:
        self.output_shape(x.shape)


class MaxPool(Pool):
    """y_ncij = the largest of the values of channel c in the KH x KW window at (i · stride, j ·
    stride).

    Shapes: x (N, C, H, W), y (N, C, OH, OW), OH = (H + 2 padding - KH) // stride + 1; what is left
    over at the right and at the bottom is not used. The padding is -∞ and never wins; it is at most
    half the window, so that no window lies outside.

    Backward. The maximum is the largest value itself, so only that one receives the gradient; where
    windows overlap, gradients add up:

        dL/dx_ncpq = Σ over the windows (i, j) that have their maximum at (p, q) of dL/dy_ncij

    Of several equal maxima the first in row-major order of the window (along the first row, then
    the second, ...) receives it all, as in PyTorch. Kept for backward: a byte for each value but
    the first, whether it is larger than all before it, among the values of a row of the window and
    among the maxima of the rows (a compiled loop keeps one, the maximum's place). Source: Saito,
    Deep Learning from Scratch, 7.3.

    >>> layer = MaxPool(2)
    >>> layer.forward(np.array([[[[1.0, 2.0, 0.0, 0.0], [4.0, 3.0, 0.0, 0.0]]]]))
    array([[[[4., 0.]]]])
    >>> layer.backward(np.array([[[[10.0, 20.0]]]]))
    array([[[[ 0.,  0., 20.,  0.],
             [10.,  0.,  0.,  0.]]]])
    """
    shapes = Pool.shapes

    def forward(self, x):
        y, notes = max_pool(x, self.size, self.stride, self.padding)
        self.cache = x.shape, *notes
        return y

    def backward(self, dout):
        shape, *notes = self.cache
        return max_pool_back(dout, notes, shape, self.size, self.stride, self.padding)


class AveragePool(Pool):
    """y_ncij = the mean of the values of channel c in the KH x KW window at (i · stride, j ·
    stride); zeros of the padding count.

    Shapes: x (N, C, H, W), y (N, C, OH, OW), OH = (H + 2 padding - KH) // stride + 1; what is left
    over at the right and at the bottom is not used. The padding is at most half the window.

    Backward. Each of the KH · KW values has derivative 1 / (KH · KW): the gradient is shared out
    evenly, and overlaps add up:

        dL/dx_ncpq = Σ over the windows (i, j) that contain (p, q) of dL/dy_ncij / (KH · KW)

    Source: LeCun et al., Gradient-based learning applied to document recognition (1998).

    >>> layer = AveragePool(2)
    >>> layer.forward(np.array([[[[1.0, 2.0, 0.0], [4.0, 3.0, 9.0]]]]))
    array([[[[2.5]]]])
    >>> layer.backward(np.array([[[[4.0]]]]))
    array([[[[1., 1., 0.],
             [1., 1., 0.]]]])
    """
    shapes = Pool.shapes

    def forward(self, x):
        self.cache = x.shape
        return average_pool(x, self.size, self.stride, self.padding)

    def backward(self, dout):
        return average_pool_back(dout, self.cache, self.size, self.stride, self.padding)


class GlobalAveragePool(Layer):
    """y_nc = the mean of channel c over the whole image: (N, C, H, W) becomes (N, C), whatever H
    and W are.

    Backward. Each of the H · W values has derivative 1 / (H · W), so

        dL/dx_ncpq = dL/dy_nc / (H · W)

    Before the loss it replaces the Affine layers, with their many weights and their fixed image
    size. Source: Lin, Chen and Yan, Network in network (2014).

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
