"""Windows over images: what makes convolution and pooling fast, in one place.

A window matrix has a row for every place of the window and a column for every value under it; convolution is its
product with the weights ("im2col"). Four things about it matter for speed:

1. **Channels last.** In memory order (N, H, W, C) the C values of a pixel, and those of its neighbours in the row,
are one
   contiguous run, so cutting a window copies a few long runs. Only the memory is arranged so; shapes stay (N, C, H, W).
2. **A piece at a time.** The matrix is KH KW times as large as the image. It is made for a few images, or a few rows
of a
   large one, always in the same scratch of about 1 MiB, and used while it is in the processor's second-level cache.
3. **Blocks of neighbours.** With few channels the runs are short and the product is thin. Then one row of the matrix
serves
   a block of B neighbouring outputs: its window is wider by B - 1 steps, and the weights become a banded matrix, the
   kernel repeated B times, each time one stride further on. That multiplies by zeros, and is still faster.
4. **No adding back.** The transpose of cutting windows, adding them where they overlap, is the slowest step of all; at
   stride 1 the gradient by the image needs none. See Convolution.
"""
import math

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..common import checks

SCRATCH = 1 << 20        # bytes of a window matrix that stay in the second-level cache


def pair(who, name, value, least=1):
    """``value`` as (height, width): an int stands for both."""
    both = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(both) != 2:
        raise ValueError(checks.wrong(who, name, "be one number or a pair (height, width)", repr(value)))
    return tuple(checks.count(who, name, n, least) for n in both)


def places(who, shape, size, stride, pads, dilation=(1, 1)):
    """How many places (OH, OW) a window has in images (N, C, H, W): OH = (H + padding - (KH - 1) dilation - 1) // stride + 1."""
    spans = [(k - 1) * d + 1 for k, d in zip(size, dilation)]
    padded = [n + sum(p) for n, p in zip(shape[2:], pads)]
    if spans[0] > padded[0] or spans[1] > padded[1]:
        around = " with its padding" if any(map(sum, pads)) else ""
        raise ValueError(checks.wrong(who, "x", f"be at least as large as the window, {spans[0]} x {spans[1]}",
                                      f"{padded[0]} x {padded[1]}{around}", "make the window smaller or padding larger"))
    return tuple((n - span) // s + 1 for n, span, s in zip(padded, spans, stride))


def taps(count, size, stride=1, dilation=1):
    """For each of the ``size`` positions inside a window, the slice of what lies there in all ``count`` windows of an
    axis.

    >>> taps(3, 2, stride=2)
    [slice(0, 5, 2), slice(1, 6, 2)]
    """
    return [slice(k * dilation, k * dilation + (count - 1) * stride + 1, stride) for k in range(size)]


def channels_last(x):
    """(N, C, H, W) seen as (N, H, W, C)."""
    return x.transpose(0, 2, 3, 1)


def channels_first(x):
    """(N, H, W, C) seen as (N, C, H, W)."""
    return x.transpose(0, 3, 1, 2)


def block(shape, groups, places, dilation):
    """How many neighbouring outputs one row of the window matrix should serve, for weights of this shape (F, D, KH,
    KW).

    As many as bring the length of a run times the width of the product, (B KW D) (B F / G), near 8192, which was
    measured to be best over channels from 1 to 64; a divisor of OW, for every block is full.
    """
    (F, D, _, KW), OW = shape, places[1]
    if KW == 1 or dilation[1] > 1:
        return 1
    wanted = (8192 * groups / (KW * D * F)) ** 0.5
    return min((B for B in range(1, OW + 1) if OW % B == 0), key=lambda B: max(B / wanted, wanted / B))


def portions(count, nbytes):
    """Slices that cut ``count`` things of so many bytes each into equal portions that stay in the cache."""
    each = max(1, SCRATCH // nbytes)
    each = -(-count // -(-count // each))
    return [slice(n, min(n + each, count)) for n in range(0, count, each)]


def in_groups(a, groups, block=1):
    """(..., W, F), of any number of pixels, seen as (groups, pixels / block, block, F / groups)."""
    return a.reshape(-1, block, groups, a.shape[-1] // groups).transpose(2, 0, 1, 3)


class Windows:
    """The window matrices of images (N, C, H, W), a piece at a time.

    Letters: G groups of D = C / G channels, B outputs in a block, T pixels of a row under a block's window. The
    matrix for m images and R rows of output is (G, m R OW / B, KH T D).
    """

    def __init__(self, shape, dtype, size, places, stride=(1, 1), pads=((0, 0), (0, 0)), dilation=(1, 1), groups=1, block=1):
        self.size, self.places, self.stride, self.pads, self.dilation = size, places, stride, pads, dilation
        self.dtype, self.groups, self.block = dtype, groups, block
        self.width = (block - 1) * stride[1] + size[1]                                                     # T
        self.row = places[1] // block * size[0] * self.width * shape[1] * dtype.itemsize    # bytes for one row of output
        self.padded = None

    def pieces(self, x):
        """(images, rows, window matrix) for one piece of x after another; the next overwrites the matrix."""
        for images in portions(len(x), self.row * self.places[0]):
            self.load(x[images])
            for rows in portions(self.places[0], self.row):
                yield images, rows, self.cut(rows)

    def load(self, x):
        """Put images (m, C, H, W) into the padded scratch (G, m, H + padding, W + padding, D)."""
        (m, C, H, W), G = x.shape, self.groups
        if self.padded is None or self.padded.shape[1] != m:
            (top, bottom), (left, right) = self.pads
            self.padded = np.zeros((G, m, top + H + bottom, left + W + right, C // G), self.dtype)
            self._inside, self._view = self.inside(self.padded), self._windows()
            self._matrix = np.empty(0, self.dtype)
        self._inside[...] = x.reshape(m, G, C // G, H, W).transpose(1, 0, 3, 4, 2)

    def inside(self, padded):
        """The view of a padded scratch without its padding."""
        (top, bottom), (left, right) = self.pads
        return padded[:, :, top:padded.shape[2] - bottom, left:padded.shape[3] - right]

    def _windows(self):
        """All windows of the scratch, overlapping, as a view (G, m, OH, OW / B, KH, T, D)."""
        G, m, _, _, D = self.padded.shape
        (OH, OW), (SH, SW), (DH, DW), B = self.places, self.stride, self.dilation, self.block
        g, i, h, w, d = self.padded.strides
        return as_strided(self.padded, (G, m, OH, OW // B, self.size[0], self.width, D),
                          (g, i, h * SH, w * SW * B, h * DH, w * DW, d), writeable=False)

    def cut(self, rows):
        """The window matrix of the loaded images for these rows of output."""
        windows = self._view[:, :, rows]
        if windows.shape != self._matrix.shape:
            self._matrix = np.empty(windows.shape, self.dtype)
        np.copyto(self._matrix, windows)
        return self._matrix.reshape(self.groups, -1, math.prod(windows.shape[4:]))

    def multiply(self, matrix, weights, out):
        """out = matrix · weights, with ``out`` the (m, R, OW, F) that this piece makes."""
        lanes = in_groups(out, self.groups, self.block)
        if self.groups == 1:
            np.matmul(matrix[0], weights[0], out=lanes.reshape(matrix.shape[1], -1))
        else:
            lanes[...] = np.matmul(matrix, weights).reshape(lanes.shape)

    def add_back(self, matrix, rows, padded):
        """The transpose of cut: each entry of a window matrix is added to the pixel of ``padded`` that it would be cut from."""
        G, m, _, _, D = padded.shape
        (SH, SW), (DH, DW), blocks = self.stride, self.dilation, self.places[1] // self.block
        matrix = matrix.reshape(G, m, -1, blocks, self.size[0], self.width, D)
        for i, down in enumerate(taps(matrix.shape[2], self.size[0], SH, DH)):
            lines = padded[:, :, rows.start * SH:][:, :, down]
            for j, across in enumerate(taps(self.width, blocks, DW, self.block * SW)):
                lines[:, :, :, across] += matrix[:, :, :, j, i]

    def band(self, shape):
        """(band, kernels): a matrix of zeros (G, KH T D, B F / G) that the windows are to be multiplied with, and a
        view of the places in it that belong to the weights W of this shape (F, D, KH, KW): (F, D, KH, KW, B), B
        places for each weight."""
        (F, D, KH, KW), G, B = shape, self.groups, self.block
        band = np.zeros((G, KH, self.width, D, B, F // G), self.dtype)
        g, h, w, d, b, f = band.strides
        kernels = as_strided(band, (G, F // G, D, KH, KW, B), (g, f, d, h, w, b + self.stride[1] * w))
        return band.reshape(G, -1, B * (F // G)), kernels
