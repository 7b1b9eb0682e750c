"""Convolution, as products of window matrices with the weights ("im2col").

A window matrix has a row for every place of the window and a column for every value under it. Four
things about it matter for speed:

1. **Channels last.** Then cutting a window copies a few long runs of memory (channels.py).
2. **A piece at a time.** The matrix is KH KW times as large as the image. It is made for a few
   images, or a few rows of a large one, and used while it is in the processor's second-level cache
   (pieces.py).
3. **Blocks of neighbours.** With few channels the runs are short and the product is thin. Then one
   row of the matrix serves a block of B neighbouring outputs: its window is wider by B - 1 steps,
   and the weights become a banded matrix, the kernel repeated B times, each time one stride further
   on. That multiplies by zeros, and is still faster.
4. **No adding back.** The transpose of cutting windows, adding them where they overlap, is slow; at
   stride 1 the gradient by the image needs none. Otherwise whole windows are added, not pixels.

Images are shared out among threads (threads.py). Filters that see one channel each go another way
(depthwise.py), and so do those of 3 x 3 where there are compiled loops (winograd.py).
"""
import numpy as np
from numpy.lib.stride_tricks import as_strided

from . import compiled, depthwise, threads, winograd
from .channels import channels_first, channels_last, tiled
from .pieces import CACHE, portions
from .windows import places


def convolve(x, W, b=None, stride=(1, 1), pads=((0, 0), (0, 0)), dilation=(1, 1), groups=1):
    """The loops, x being padded with zeros, ``pads`` = ((top, bottom), (left, right)):

        for n, f, i, j in np.ndindex(y.shape):
            g = f // (F // groups)   # the group of filter f, with channels of its own
            window = x[n, g * D:(g + 1) * D, i * SH:, j * SW:][:, :KH * DH:DH, :KW * DW:DW]
            y[n, f, i, j] = np.sum(W[f] * window) + b[f]

    x (N, C, H, W), W (F, D = C / groups, KH, KW), b (F,), y (N, F, OH, OW), channels last in
    memory; or, with one axis less, x (N, C, T), W (F, D, K), y (N, F, OT). One product of all
    windows at once would take 2-3 times longer, the loops themselves some hundred times.
    """
    if x.ndim == 3:                                                    # images one pixel high
        options = in_a_row(stride, pads, dilation)
        return convolve(x[:, :, None], W[:, :, None], b, *options, groups)[:, :, 0]
    windows = windows_for(x.shape, W, stride, pads, dilation, groups)
    y = np.empty((len(x), *windows.places, len(W)), W.dtype)
    if one_channel_each(W, groups):
        depthwise.convolve(x, W, b, y, stride, pads, dilation)
        return channels_first(y)
    if winograd.takes(x, W, stride) and winograd.convolve(x, W, b, y, pads, dilation, groups):
        return channels_first(y)
    band = windows.band(W).transpose(0, 2, 1)

    def multiply(part):
        for images, rows, matrix in windows.pieces(x, part):
            windows.multiply(matrix, band, y[images, rows])
            if b is not None:
                add_bias(y[images, rows], b)

    windows.spread(multiply, len(x))
    return channels_first(y)


def convolve_back(
    dy, x, W, stride=(1, 1), pads=((0, 0), (0, 0)), dilation=(1, 1), groups=1, want_dx=True
):
    """(dL/dx, dL/dW) of ``convolve``. The loops, dx being as large as the padded x, whose margin is
    cut off at the end:

        for n, f, i, j in np.ndindex(dy.shape):
            dW[f] += dy[n, f, i, j] * window                             # of x, as in convolve
            dwindow += dy[n, f, i, j] * W[f]                             # the same window, of dx

    dL/dx is None unless ``want_dx``. Of four ways the one is taken that is fastest for the shapes.
    """
    if x.ndim == 3:
        options = in_a_row(stride, pads, dilation)
        arrays = (a[:, :, None] for a in (dy, x, W))
        return tuple(None if d is None else d[:, :, 0]
                     for d in convolve_back(*arrays, *options, groups, want_dx))
    windows, dy = windows_for(x.shape, W, stride, pads, dilation, groups), channels_last(dy)
    rest = windows.rest(x.shape)
    if min(map(min, rest)) >= 0:
        if one_channel_each(W, groups):
            return channel_by_channel(x, W, dy, rest, stride, pads, dilation, want_dx)
        if winograd.takes(x, W, stride):
            found = winograd.convolve_back(dy, x, W, rest, dilation, groups, want_dx)
            if found:
                return found
        if stride == (1, 1) and W.shape[1] >= max(4, len(W) // groups // 2):
            return from_windows_of_dy(x, W, dy, rest, dilation, groups, want_dx)
    return from_windows_of_x(x, W, dy, windows, want_dx)


def transposed_convolve(
    x, W, shape, stride=(1, 1), pads=((0, 0), (0, 0)), dilation=(1, 1), groups=1
):
    """``convolve_back(x, np.zeros(shape), W, ...)[0]``: what a convolution with these options sends
    back to images of this shape, (N, F, OH, OW), if x (N, C, H, W) is the gradient of its output; W
    is (C, F / groups, KH, KW).
    """
    (N, F, OH, OW), G = shape, groups
    windows = windows_for(shape, W, stride, pads, dilation, groups)
    y = channels_first(np.empty((N, OH, OW, F), W.dtype))
    if winograd.takes(x, W, stride) and winograd.convolve(
            x, winograd.turned(W, G), None, channels_last(y), windows.rest(shape), dilation, G):
        return y
    band, pixels = windows.band(W), channels_last(x)

    def add(part):
        for images, cuts in windows.cuts(shape, part):
            padded = windows.blank(images.stop - images.start, shape)
            for rows in cuts:
                lanes = in_groups(pixels[images, rows], G, windows.block)
                windows.add_back(np.matmul(lanes.reshape(G, lanes.shape[1], -1), band), rows,
                                 padded)
            windows.grouped(y[images])[...] = windows.inside(padded)

    windows.spread(add, N)
    return y


def in_a_row(stride, pads, dilation):
    """The options along one axis as those of images one pixel high."""
    return (1, *stride), ((0, 0), *pads), (1, *dilation)


def windows_for(shape, W, stride, pads, dilation, groups):
    at = places("Convolution", shape, W.shape[2:], stride, pads, dilation)
    return Windows(shape, W.dtype, W.shape[2:], len(W), at, stride, pads, dilation, groups,
                   block(W.shape, groups, at, dilation))


def one_channel_each(W, groups):
    return W.shape[1] == 1 < len(W) == groups


def add_bias(y, b):
    """y (m, R, OW, F) += b (F,)."""
    each = y.reshape(-1, y.shape[2] * y.shape[3])
    each += tiled(b, each)


def channel_by_channel(x, W, dy, rest, stride, pads, dilation, wanted):
    dW = depthwise.weight_gradient(x, W, np.ascontiguousarray(dy), stride, pads, dilation)
    if not wanted:
        return None, dW
    dx = np.empty((len(x), *x.shape[2:], len(W)), W.dtype)
    depthwise.convolve(channels_first(dy), W[:, :, ::-1, ::-1], None, dx, (1, 1), rest, dilation,
                       apart=stride)
    return channels_first(dx), dW


def from_windows_of_dy(x, W, dy, rest, dilation, G, wanted):
    """Both gradients from one window matrix, that of dL/dy: times the turned filters it is dL/dx;
    transposed, times x, it is dL/dW turned round. At stride 1 only, and slower for few channels;
    else in half the time, because nothing is added back."""
    F, D, KH, KW = W.shape
    N, C, H, width = x.shape
    turned = (
        W.reshape(G, F // G, D, KH, KW)[..., ::-1, ::-1].transpose(0, 3, 4, 1, 2).reshape(G, -1, D))
    pixels, dx = channels_last(x), np.empty((N, H, width, C), W.dtype) if wanted else None
    dout = channels_first(dy)
    windows = Windows(dout.shape, W.dtype, (KH, KW), C, (H, width), (1, 1), rest, dilation, G)

    def gradients(part):
        dturned = np.zeros_like(turned)
        for images, rows, matrix in windows.pieces(dout, part):
            if wanted:
                windows.multiply(matrix, turned, dx[images, rows])
            dturned += np.matmul(matrix.transpose(0, 2, 1),
                                 in_groups(pixels[images, rows], G)[:, :, 0])
        return dturned

    dturned = sum(windows.spread(gradients, N)).reshape(G, KH, KW, F // G, D)
    dW = dturned.transpose(0, 3, 4, 1, 2)[..., ::-1, ::-1].reshape(W.shape)
    return channels_first(dx) if wanted else None, dW


def from_windows_of_x(x, W, dy, windows, wanted):
    """As for Affine, with y = windows(x) · bandᵀ: dL/dband = (dL/dy)ᵀ · windows(x), to be summed
    over the B places of a weight, and dL/dx = dL/dy · band, each window's values added back to
    where it was cut from."""
    band, G = windows.band(W), windows.groups
    N, C, H, width = x.shape
    dx = channels_first(np.empty((N, H, width, C), W.dtype)) if wanted else None

    def gradients(part):
        dband = np.zeros_like(band)
        for images, rows, matrix in windows.pieces(x, part):
            lanes = in_groups(dy[images, rows], G, windows.block).reshape(G, matrix.shape[1], -1)
            dband += np.matmul(lanes.transpose(0, 2, 1), matrix)
            if not wanted:
                continue
            if rows.start == 0:
                padded = windows.blank(images.stop - images.start, x.shape)
            # the matrix has done its work
            windows.add_back(np.matmul(lanes, band, out=matrix), rows, padded)
            if rows.stop == windows.places[0]:
                windows.grouped(dx[images])[...] = windows.inside(padded)
        return windows.kernels(dband).sum(axis=-1)

    return dx, sum(windows.spread(gradients, N)).reshape(W.shape)


def block(shape, groups, places, dilation):
    """How many neighbouring outputs one row of the window matrix should serve, for weights of this
    shape (F, D, KH, KW).

    As many as bring the length of a run times the width of the product, (B KW D) (B F / G), near
    2048, which was measured to be best over channels from 1 to 64; a divisor of OW, because every
    block is full.
    """
    (F, D, _, KW), OW = shape, places[1]
    if KW == 1 or dilation[1] > 1:
        return 1
    wanted = (2048 * groups / (KW * D * F)) ** 0.5
    return min((B for B in range(1, OW + 1) if OW % B == 0),
               key=lambda B: max(B / wanted, wanted / B))


def in_groups(a, groups, block=1):
    """(..., W, F), of any number of pixels, seen as (groups, pixels / block, block, F / groups)."""
    return a.reshape(-1, block, groups, a.shape[-1] // groups).transpose(2, 0, 1, 3)


class Windows:
    """The window matrices of images (N, C, H, W), a piece at a time.

    Letters: G groups of D = C / G channels, B outputs in a block, T pixels of a row under a block's
    window. The matrix for m images and R rows of output is (G, m R OW / B, KH T D).
    """

    def __init__(self, shape, dtype, size, filters, places, stride, pads, dilation, groups,
                 block=1):
        self.size, self.places, self.stride, self.dilation = size, places, stride, dilation
        self.pads, self.dtype, self.groups, self.block = pads, dtype, groups, block
        self.filters, self.width = filters, (block - 1) * stride[1] + size[1]         # F, T
        self.columns = size[0] * self.width * shape[1] // groups                      # KH T D

    def rest(self, shape):
        """The padding that turns outputs, a stride apart, back into images of this shape: what is
        left of a window on each side when its last and its first pixel lie on an output. Below 0
        where padding was wider than windows."""
        return [((k - 1) * d - before, n + before - (count - 1) * s - 1)
                for n, count, k, s, d, (before, _) in zip(
                    shape[2:], self.places, self.size, self.stride, self.dilation, self.pads)]

    def cuts(self, shape, part):
        """(images, rows of output of each piece) for one portion after another of the images
        ``part`` of this shape. With many filters pieces are larger, because each gives a gradient
        by all weights, and all those are added up."""
        (OH, OW), nbytes = self.places, self.columns * self.dtype.itemsize
        row, limit = (OW // self.block * self.groups * nbytes,
                      max(CACHE, 2 * self.block * self.filters * nbytes))
        for images in portions(part, max(row * OH, self.blank(1, shape).nbytes), limit):
            yield images, portions(slice(0, OH), row, limit)

    def pieces(self, x, part):
        """(images, rows, window matrix) for one piece after another of the images x[part]. The next
        matrix takes the place of the one before."""
        padded, scratch = self.blank(0, x.shape), np.empty(0, self.dtype)
        for images, cuts in self.cuts(x.shape, part):
            m = images.stop - images.start
            padded = self.blank(m, x.shape) if padded.shape[1] < m else padded[:, :m]
            self.inside(padded)[...] = self.grouped(x[images])
            for rows in cuts:
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
        """The windows of these rows of output, overlapping, as a view (G, m, R, OW / B, KH, T,
        D)."""
        (SH, SW), (DH, DW), B = self.stride, self.dilation, self.block
        g, i, h, w, d = padded.strides
        return as_strided(padded[:, :, rows.start * SH :],
                          (*padded.shape[:2], rows.stop - rows.start, self.places[1] // B,
                           self.size[0], self.width, padded.shape[4]),
                          (g, i, h * SH, w * SW * B, h * DH, w * DW, d))

    def multiply(self, matrix, weights, out):
        """out = matrix · weights, with ``out`` the (m, R, OW, F) that this piece makes."""
        lanes = in_groups(out, self.groups, self.block)
        if self.groups == 1:
            np.matmul(matrix, weights, out=lanes.reshape(1, matrix.shape[1], -1))
        else:
            lanes[...] = np.matmul(matrix, weights).reshape(lanes.shape)

    def add_back(self, matrix, rows, padded):
        """The transpose of cutting: each entry of a window matrix is added to the pixel of
        ``padded`` that it would be cut from. Windows that overlap cannot be added at once; in a row
        of windows every ``apart``-th can."""
        if compiled.takes(matrix):
            from .compiled.windows import add_back
            add_back(self, matrix, rows, padded)
            return
        windows = self._cut(padded, rows)
        matrix = matrix.reshape(windows.shape)
        apart = -(-((self.width - 1) * self.dilation[1] + 1) // (self.block * self.stride[1]))
        for first in range(min(apart, windows.shape[3])):
            for k in range(self.size[0]):
                pixels = windows[:, :, :, first::apart, k]
                pixels += matrix[:, :, :, first::apart, k]

    def band(self, W):
        """The banded matrix (G, B F / G, KH T D) with the weights W (F, D, KH, KW): its transpose
        is what the windows are multiplied with."""
        (F, D, KH, KW), G = W.shape, self.groups
        band = np.zeros((G, self.block * F // G, self.columns), W.dtype)
        self.kernels(band)[...] = W.reshape(G, F // G, D, KH, KW, 1)
        return band

    def kernels(self, band):
        """The places of the weights in a banded matrix, B for each, as a view (G, F / G, D, KH, KW,
        B)."""
        (KH, KW), G, B, T = self.size, self.groups, self.block, self.width
        band = band.reshape(G, B, self.filters // G, KH, T, -1)
        g, b, f, h, w, d = band.strides
        return as_strided(band, (G, self.filters // G, band.shape[5], KH, KW, B),
                          (g, f, d, h, w, b + self.stride[1] * w))
