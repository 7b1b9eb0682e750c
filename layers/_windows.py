"""Windows over images: what makes convolution and pooling fast, in one place.

A window matrix has a row for every place of the window and a column for every value under it; convolution is its
product with the weights ("im2col"). Four things about it matter for speed:

1. **Channels last.** In memory order (N, H, W, C) the C values of a pixel, and those of its neighbours in the row, are
   one contiguous run, so cutting a window copies a few long runs. Only the memory is arranged so; shapes stay
   (N, C, H, W).
2. **A piece at a time.** The matrix is KH KW times as large as the image. It is made for a few images, or a few rows of
   a large one, of little more than 1 MiB, and used while it is in the processor's second-level cache.
3. **Blocks of neighbours.** With few channels the runs are short and the product is thin. Then one row of the matrix
   serves a block of B neighbouring outputs: its window is wider by B - 1 steps, and the weights become a banded matrix,
   the kernel repeated B times, each time one stride further on. That multiplies by zeros, and is still faster.
4. **No adding back.** The transpose of cutting windows, adding them where they overlap, is slow; at stride 1 the
   gradient by the image needs none. See Convolution. Where it is needed, whole windows are added, not single pixels.

Images are shared out among threads: ``common/threads.py``. Filters that see one channel each: ``_depthwise.py``.
"""
import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..common import checks, threads

SCRATCH = 5 << 18        # bytes that stay in the second-level cache


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

    As many as bring the length of a run times the width of the product, (B KW D) (B F / G), near 2048, which was
    measured to be best over channels from 1 to 64; a divisor of OW, for every block is full.
    """
    (F, D, _, KW), OW = shape, places[1]
    if KW == 1 or dilation[1] > 1:
        return 1
    wanted = (2048 * groups / (KW * D * F)) ** 0.5
    return min((B for B in range(1, OW + 1) if OW % B == 0), key=lambda B: max(B / wanted, wanted / B))


def portions(part, nbytes, limit):
    """Slices that cut ``part``, a slice of things of so many bytes each, into about equal portions within the limit.

    >>> portions(slice(2, 7), nbytes=10, limit=45)
    [slice(2, 5, None), slice(5, 7, None)]
    """
    count = part.stop - part.start
    each = max(1, limit // nbytes)
    each = -(-count // -(-count // each))
    return [slice(n, min(n + each, part.stop)) for n in range(part.start, part.stop, each)]


def in_groups(a, groups, block=1):
    """(..., W, F), of any number of pixels, seen as (groups, pixels / block, block, F / groups)."""
    return a.reshape(-1, block, groups, a.shape[-1] // groups).transpose(2, 0, 1, 3)


class Windows:
    """The window matrices of images (N, C, H, W), a piece at a time.

    Letters: G groups of D = C / G channels, B outputs in a block, T pixels of a row under a block's window. The
    matrix for m images and R rows of output is (G, m R OW / B, KH T D).
    """

    def __init__(self, shape, dtype, size, filters, places, stride=(1, 1), pads=((0, 0), (0, 0)), dilation=(1, 1),
                 groups=1, block=1):
        self.size, self.places, self.stride, self.pads, self.dilation = size, places, stride, pads, dilation
        self.dtype, self.groups, self.block, self.filters = dtype, groups, block, filters
        self.width = (block - 1) * stride[1] + size[1]                                                     # T
        self.columns = size[0] * self.width * shape[1] // groups                                           # KH T D

    def rest(self, shape):
        """The padding that turns outputs, a stride apart, back into images of this shape: what is left of a window
        on each side when its last and its first pixel lie on an output. Below 0 where padding was wider than windows."""
        rest = []
        for n, count, k, s, d, (before, _) in zip(shape[2:], self.places, self.size, self.stride, self.dilation, self.pads):
            rest.append(((k - 1) * d - before, n + before - (count - 1) * s - 1))
        return rest

    def pieces(self, x, part):
        """(images, rows, window matrix) for one piece after another of the images x[part]. With many filters pieces
        are larger, for each gives a gradient by all weights, and all those are added up. The next matrix takes the place
        of the one before."""
        (OH, OW), padded, nbytes = self.places, self.blank(1, x.shape), self.columns * self.dtype.itemsize
        row, limit = OW // self.block * self.groups * nbytes, max(SCRATCH, 2 * self.block * self.filters * nbytes)
        scratch = np.empty(0, self.dtype)
        for images in portions(part, max(row * OH, padded.nbytes), limit):
            m = images.stop - images.start
            padded = self.blank(m, x.shape) if padded.shape[1] < m else padded[:, :m]
            self.inside(padded)[...] = self.grouped(x[images])
            for rows in portions(slice(0, OH), row, limit):
                windows = self._cut(padded, rows)
                if scratch.size < windows.size:
                    scratch = np.empty(windows.size, self.dtype)
                matrix = scratch[:windows.size].reshape(windows.shape)
                np.copyto(matrix, windows)
                yield images, rows, matrix.reshape(self.groups, -1, self.columns)

    def spread(self, job, images):
        """[job(part), ...] for parts of so many images, in threads if that pays."""
        OH, OW = self.places
        return threads.spread(job, images, images * OH * OW * self.columns * self.filters)

    def blank(self, m, shape):
        """Zeros (G, m, H + padding, W + padding, D) for m images of this shape (N, C, H, W)."""
        (_, C, H, W), G = shape, self.groups
        return np.zeros((G, m, H + sum(self.pads[0]), W + sum(self.pads[1]), C // G), self.dtype)

    def grouped(self, x):
        """Images (m, C, H, W) seen as (G, m, H, W, D)."""
        (m, C, H, W), G = x.shape, self.groups
        return x.reshape(m, G, C // G, H, W).transpose(1, 0, 3, 4, 2)

    def inside(self, padded):
        """The view of padded images without their padding."""
        (top, bottom), (left, right) = self.pads
        return padded[:, :, top:padded.shape[2] - bottom, left:padded.shape[3] - right]

    def _cut(self, padded, rows):
        """The windows of these rows of output, overlapping, as a view (G, m, R, OW / B, KH, T, D)."""
        (SH, SW), (DH, DW), B = self.stride, self.dilation, self.block
        g, i, h, w, d = padded.strides
        return as_strided(padded[:, :, rows.start * SH:], (
            *padded.shape[:2], rows.stop - rows.start, self.places[1] // B, self.size[0], self.width, padded.shape[4]),
            (g, i, h * SH, w * SW * B, h * DH, w * DW, d))

    def multiply(self, matrix, weights, out):
        """out = matrix · weights, with ``out`` the (m, R, OW, F) that this piece makes."""
        lanes = in_groups(out, self.groups, self.block)
        if self.groups == 1:
            np.matmul(matrix, weights, out=lanes.reshape(1, matrix.shape[1], -1))
        else:
            lanes[...] = np.matmul(matrix, weights).reshape(lanes.shape)

    def add_back(self, matrix, rows, padded):
        """The transpose of cutting: each entry of a window matrix is added to the pixel of ``padded`` that it would be
        cut from. Windows that overlap cannot be added at once; in a row of windows every ``apart``-th can."""
        windows = self._cut(padded, rows)
        matrix = matrix.reshape(windows.shape)
        apart = -(-((self.width - 1) * self.dilation[1] + 1) // (self.block * self.stride[1]))
        for first in range(min(apart, windows.shape[3])):
            for k in range(self.size[0]):
                pixels = windows[:, :, :, first::apart, k]
                pixels += matrix[:, :, :, first::apart, k]

    def band(self, W):
        """The banded matrix (G, B F / G, KH T D) with the weights W (F, D, KH, KW): its transpose is what the windows are
        multiplied with."""
        (F, D, KH, KW), G = W.shape, self.groups
        band = np.zeros((G, self.block * F // G, self.columns), W.dtype)
        self.kernels(band)[...] = W.reshape(G, F // G, D, KH, KW, 1)
        return band

    def kernels(self, band):
        """The places of the weights in a banded matrix, B for each, as a view (G, F / G, D, KH, KW, B)."""
        (KH, KW), G, B, T = self.size, self.groups, self.block, self.width
        band = band.reshape(G, B, self.filters // G, KH, T, -1)
        g, b, f, h, w, d = band.strides
        return as_strided(band, (G, self.filters // G, band.shape[5], KH, KW, B), (g, f, d, h, w, b + self.stride[1] * w))
