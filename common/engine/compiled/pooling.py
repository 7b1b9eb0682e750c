"""Maximum pooling as loops: what is best so far in a window, and its number, stay in registers."""
import numpy as np

from ..channels import channels_first, channels_last
from ..threads import spread
from ..windows import places
from . import Loop
from .depthwise import lines
from .lanes import (
    BYTES,
    aligned,
    copy,
    filled,
    if_before,
    if_equal,
    load,
    load_like,
    multiply_add,
    store,
    zeros,
)

WORK = 8             # what a value under a window counts in ``spread``, in multiplications


def max_pool(x, size, stride, padding):
    """(y, notes) as in common/engine/pooling.py; the notes are one array (N, OH, OW, C), for each
    maximum the number of its place in the window."""
    (N, C, _, _), (KH, KW) = x.shape, size
    shape = N, *places("pooling", x.shape, size, stride, [(p, p) for p in padding]), C
    y, at = np.empty(shape, x.dtype), np.empty(shape, np.uint8)
    arrays = [lines(a) for a in (channels_last(x), y, at)]
    spread(lambda part: largest(part.start, part.stop, *arrays, C, KH, KW, *stride, *padding), N,
           WORK * y.size * KH * KW)
    return channels_first(y), [at]


def max_pool_back(dy, at, shape, size, stride, padding):
    """dL/dx of x with this shape."""
    N, C, H, W = shape
    dx = np.empty((N, H, W, C), dy.dtype)
    arrays = [lines(a) for a in (channels_last(dy), at, dx)]
    loop, numbers = to_the_largest, (C, *size, *stride, *padding)
    if size == stride and not any(padding) and H % size[0] == W % size[1] == 0:
        loop, numbers = to_the_only_largest, (C, *size)
    spread(lambda part: loop(part.start, part.stop, *arrays, *numbers), N, WORK * dx.size)
    return channels_first(dx)


@Loop
def largest(start, stop, x, y, at, C, KH, KW, SH, SW, PH, PW):
    """Down the columns first, for a whole row of the image; then along it. Of equal values that one
    wins which stands in a higher row, or in the same row before the other; NaN, the first of them,
    beats every number. The margin, -∞, beats nothing."""
    (_, H, WC), (_, OH, L) = x.shape, y.shape
    lanes, low = BYTES // x.itemsize, x.dtype.type(-np.inf)
    high, number = aligned(WC + 2 * PW * C + lanes, x), np.empty(WC + 2 * PW * C + lanes, np.uint8)
    best, best_number = aligned(L + lanes, x), np.empty(L + lanes, np.uint8)
    high[:], number[:] = low, 255
    runs, length = (1, L) if SW == 1 else (L // C, C)
    for n in range(start, stop):
        for i in range(OH):
            top = i * SH - PH
            for e in range(0, WC, lanes):
                e = min(e, WC - lanes)
                v, k = filled(low, zeros(x)), filled(np.uint8(max(0, -top)), zeros(x))
                for row in range(max(0, -top), min(KH, H - top)):
                    u = load(x[n, top + row], e)
                    k_u = filled(np.uint8(row), v)
                    k, v = if_before(u, v, k_u, k, k_u, k), if_before(u, v, k_u, k, u, v)
                store(high, PW * C + e, v)
                store(number, PW * C + e, k)
            to, place = (y[n, i], at[n, i]) if length >= lanes else (best, best_number)
            for run in range(runs):
                for c in range(0, length, lanes):
                    c = max(0, min(c, length - lanes))
                    s, o = run * SW * C + c, run * C + c
                    v = load(high, s)
                    k, l = load_like(number, s, v), filled(np.uint8(0), v)
                    for column in range(1, KW):
                        u = load(high, s + column * C)
                        k_u = load_like(number, s + column * C, v)
                        l = if_before(u, v, k_u, k, filled(np.uint8(column), v), l)
                        k, v = if_before(u, v, k_u, k, k_u, k), if_before(u, v, k_u, k, u, v)
                    store(to, o, v)
                    store(place, o, multiply_add(k, filled(np.uint8(KW), v), l))
            if length < lanes:
                copy(best[:L], y[n, i])
                copy(best_number[:L], at[n, i])


@Loop
def to_the_largest(start, stop, dy, at, dx, C, KH, KW, SH, SW, PH, PW):
    (_, OH, L), WC = dy.shape, dx.shape[2]
    starts = np.array([(t // KW - PH) * WC + (t % KW - PW) * C for t in range(KH * KW)])
    for n in range(start, stop):
        image = dx[n].reshape(-1)
        image[:] = 0
        for i in range(OH):
            d, k = dy[n, i], at[n, i]
            for j in range(0, L, C):
                here = i * SH * WC + j * SW
                for e in range(j, j + C):
                    image[here + starts[k[e]] + e - j] += d[e]


@Loop
def to_the_only_largest(start, stop, dy, at, dx, C, KH, KW):
    """The same for windows side by side that leave nothing over. A vector is wider than the rest of
    a pixel: the next pixel overwrites what it leaves there, and so lines have some room."""
    (_, OH, L), WC, lanes = dy.shape, dx.shape[2], BYTES // dx.itemsize
    room = -C % lanes and lanes
    line, last = WC + room, (C - 1) // lanes * lanes
    starts = np.array([t // KW * line + t % KW * C for t in range(KH * KW)])
    rows, douts = aligned(KH * line, dx), aligned(L + lanes, dx)
    numbers = np.empty(L + lanes, np.uint8)
    for n in range(start, stop):
        for i in range(OH):
            d, k, to = dy[n, i], at[n, i], dx[n].reshape(-1)[i * KH * WC:]
            if room:
                copy(d, douts)
                copy(k, numbers)
                d, k, to = douts, numbers, rows
            for j in range(0, L, C):
                for c in range(j + last, j - 1, -lanes):
                    u = load(d, c)
                    number = load_like(k, c, u)
                    for t in range(KH * KW):
                        v = if_equal(number, filled(np.uint8(t), u), u)
                        store(to, starts[t] + j * (KW - 1) + c, v)
            if room:
                for row in range(KH):
                    copy(rows[row * line:row * line + WC], dx[n, i * KH + row])
