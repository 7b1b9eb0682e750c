"""Pooling: each row of a window is reduced to one value, then these values to one.

So a window of KH KW values takes KH + KW - 2 steps, not KH KW - 1. It goes a few images at a time,
padded, as (m, H, W, C), so that they stay in the cache. The pixels of a row that are joined are
copied out of it first: with few channels they are short runs of memory, which are slow to compute
with.
"""
from functools import reduce
from itertools import repeat

import numpy as np

from . import compiled, depthwise
from .channels import channels_first, channels_last
from .pieces import CACHE, portions
from .windows import places, taps

WIDE = 16            # channels from which a pixel fills a vector


def max_pool(x, size, stride, padding):
    """(y, notes). The loops, x being padded with -∞:

        for n, c, i, j in np.ndindex(y.shape):
            y[n, c, i, j] = x[n, c, i * SH:i * SH + KH, j * SW:j * SW + KW].max()

    x (N, C, H, W), y (N, C, OH, OW), channels last in memory. ``notes`` are for ``max_pool_back``:
    for each value but the first, in a row of the window and among the maxima of the rows, a byte:
    whether it is larger than all before it.
    """
    _, C, _, W = x.shape
    if compiled.takes(x) and size[0] * size[1] < 256 and C > 1 and W * C >= 16:
        from .compiled import pooling as loops
        return loops.max_pool(x, size, stride, padding)
    pooling = Pooling(x.shape, size, stride, padding)
    y, notes = pooling.join(x, -np.inf, largest, noting=True)
    if any(padding) and y.min() == -np.inf:
        # A window of nothing but -∞: the padding would be its first value. With the smallest number
        # for -∞ it is not.
        _, notes = pooling.join(np.maximum(x, np.finfo(x.dtype).min, dtype=x.dtype), -np.inf,
                                largest, noting=True)
    return y, notes


def max_pool_back(dy, notes, shape, size, stride, padding):
    """dL/dx of x with this shape. The loops, dx being as large as the padded x, whose margin is cut
    off at the end:

        for n, c, i, j in np.ndindex(dy.shape):
            window, dwindow = (a[n, c, i * SH:i * SH + KH, j * SW:j * SW + KW] for a in (x, dx))
            dwindow.flat[window.argmax()] += dy[n, c, i, j]   # argmax: the first of several
    """
    if len(notes) == 1:                                   # made by a loop
        from .compiled import pooling as loops
        return loops.max_pool_back(dy, *notes, shape, size, stride, padding)
    return Pooling(shape, size, stride, padding).share(dy, to_the_largest, notes)


def average_pool(x, size, stride, padding):
    """The loops, x being padded with 0: ``y[n, c, i, j] = window.mean()``, the windows as in
    ``max_pool``."""
    pads, (N, C, *_) = [(p, p) for p in padding], x.shape
    y = np.empty((N, *places("pooling", x.shape, size, stride, pads), C), x.dtype)
    if even_filters(y, size, x, stride, pads):
        return channels_first(y)
    return Pooling(x.shape, size, stride, padding).join(x, 0.0, mean)[0]


def average_pool_back(dy, shape, size, stride, padding):
    """dL/dx: ``dwindow += dy[n, c, i, j] / (KH * KW)``, the loops as in ``max_pool_back``."""
    N, C, *image = shape
    dx = np.empty((N, *image, C), dy.dtype)
    rest = [(k - 1 - p, n + p - (count - 1) * s - 1)
            for k, p, n, count, s in zip(size, padding, image, dy.shape[2:], stride)]
    if even_filters(dx, size, dy, (1, 1), rest, stride):
        return channels_first(dx)
    return Pooling(shape, size, stride, padding).share(dy, evenly)


def even_filters(y, size, x, stride, pads, apart=(1, 1)):
    """Whether y is filled, by loops: with x convolved with means, each channel by itself."""
    C = x.shape[1]
    fits = compiled.takes(min(x, y, key=np.size)) and C >= WIDE
    if fits:
        W = np.full((C, 1, *size), 1 / (size[0] * size[1]), x.dtype)
        depthwise.convolve(x, W, None, y, stride, pads, (1, 1), apart)
    return fits


def largest(values, larger):
    """The largest of the arrays, entry by entry; larger[k] notes where the next one is larger than
    all before it."""
    y, *rest = values
    for value, wins in zip(rest, larger):
        np.greater(value, y, out=wins)
        y = np.maximum(value, y)
    return y


def to_the_largest(dy, n, larger):
    """The gradients of the n arrays, the last one first: the last one that was larger than all
    before it takes it all."""
    for wins in larger[::-1]:
        taken = dy * wins
        yield taken
        dy = dy - taken
    yield dy


def mean(values, _):
    return reduce(np.add, values) / len(values)


def evenly(dy, n, _):
    return repeat(dy / n, n)


class Pooling:
    """Windows of ``size`` over images of this shape, (N, C, H, W): their values joined, their
    gradients shared out.

    ``join(values, notes)`` makes one array of several, ``share(dy, n, notes)`` yields the gradients
    of these n, the last one first.
    """

    def __init__(self, shape, size, stride, padding):
        self.shape, self.size, self.padding = shape, size, padding
        self.places = OH, OW = places("pooling", shape, size, stride, [(p, p) for p in padding])
        (KH, KW), (SH, SW) = size, stride
        # Where in (m, H, W, C) the values under all windows lie, along their rows and down their
        # columns.
        self.across, self.down = ([np.s_[:, :, at] for at in taps(OW, KW, SW)],
                                  [np.s_[:, at] for at in taps(OH, KH, SH)])
        self.overlap = [s < k for s, k in zip(stride, size)]

    def join(self, x, padded_with, join, noting=False):
        """(y, notes), the notes along the rows and down the columns."""
        (N, C, H, _), (OH, OW), (KH, KW) = self.shape, self.places, self.size
        y = np.empty((N, OH, OW, C), x.dtype)
        shapes = (KW - 1, N, H + 2 * self.padding[0], OW, C), (KH - 1, N, OH, OW, C)
        notes = [np.empty(shape if noting else (0, N), bool) for shape in shapes]
        for images in self.portions(x):
            values = self.padded(x[images], padded_with)
            row = [pixels(values)[at].copy().view(x.dtype).reshape(*values.shape[:2], OW, C)
                   for at in self.across]
            values = join(row, notes[0][:, images])
            y[images] = join([values[at] for at in self.down], notes[1][:, images])
        return channels_first(y), notes

    def share(self, dy, share, notes=((), ())):
        """dL/dx."""
        (N, C, H, W), (PH, PW), OW = self.shape, self.padding, self.places[1]
        dy, dx = channels_last(dy), np.empty((N, H, W, C), dy.dtype)
        for images in self.portions(dx):
            part = dx[images]
            by_rows, by_columns = (note[:, images] if len(note) else () for note in notes)
            drows = np.empty((len(part), H + 2 * PH, OW, C), dy.dtype)
            dpadded = (np.empty((len(part), H + 2 * PH, W + 2 * PW, C), dy.dtype) if PH or PW
                       else part)
            put(share(np.ascontiguousarray(dy[images]), len(self.down), by_columns), drows,
                self.down, self.overlap[0])
            put(share(drows, len(self.across), by_rows), dpadded, self.across, self.overlap[1])
            if PH or PW:
                part[...] = dpadded[:, PH:PH + H, PW:PW + W]
        return channels_first(dx)

    def portions(self, x):
        """As many images at a time as stay in the cache."""
        return portions(slice(0, len(x)), x.nbytes // len(x), CACHE // 2)

    def padded(self, x, value):
        """Images (m, C, H, W) as (m, H + padding, W + padding, C)."""
        (m, C, H, W), (PH, PW) = x.shape, self.padding
        if not (PH or PW):
            return np.ascontiguousarray(channels_last(x))
        padded = np.full((m, H + 2 * PH, W + 2 * PW, C), value, x.dtype)
        padded[:, PH:PH + H, PW:PW + W] = channels_last(x)
        return padded


def put(gradients, dx, window, overlap):
    """Put the gradients of a window's values, the last one first, to where in dx the values lie;
    the rest of dx is 0."""
    if overlap or len(window) * dx[window[0]].size < dx.size:
        dx[...] = 0
    for at, gradient in zip(window[::-1], gradients):
        if overlap:
            dx[at] += gradient
        else:
            pixels(dx)[at] = pixels(gradient)


def pixels(a):
    """(m, H, W, C) seen as (m, H, W), each pixel one item: they are copied faster than their values
    one by one."""
    return a.view(f"V{a.shape[-1] * a.itemsize}")[..., 0]
