"""Maximum pooling as loops, where windows overlap: in less than half of the time. Those that do not
gain nothing."""
import numpy as np

from ..channels import channels_first, channels_last
from ..threads import spread
from ..windows import places
from . import Loop

WORK = 8             # what a value under a window counts in ``spread``, in multiplications


def max_pool(x, size, stride, padding):
    """(y, notes) as in common/engine/pooling.py; the notes are one array (N, OH, OW, C), for each
    maximum the number of its place in the window."""
    (N, C, _, _), (KH, KW) = x.shape, size
    shape = N, *places("pooling", x.shape, size, stride, [(p, p) for p in padding]), C
    y, at = np.empty(shape, x.dtype), np.empty(shape, np.uint8)
    pixels = np.ascontiguousarray(channels_last(x))
    spread(lambda part: largest(pixels[part], y[part], at[part], KH, KW, *stride, *padding), N,
           WORK * y.size * KH * KW)
    return channels_first(y), [at]


def max_pool_back(dy, at, shape, size, stride, padding):
    """dL/dx of x with this shape."""
    (N, C, H, W), dout = shape, np.ascontiguousarray(channels_last(dy))
    dx = np.zeros((N, H, W, C), dy.dtype)
    spread(lambda part: to_the_largest(dout[part], at[part], dx[part], size[1], *stride, *padding),
           N, WORK * dx.size)
    return channels_first(dx)


@Loop
def largest(x, y, at, KH, KW, SH, SW, PH, PW):
    """Down the columns first, for a whole row of the image; then along it. Of equal values that one
    wins which stands in a higher row, or in the same row before the other; NaN, the first of them,
    beats every number."""
    N, H, W, C = x.shape
    OH, OW = y.shape[1:3]
    line = (W + 2 * PW) * C
    high, k_high = np.full(line, -np.inf, x.dtype), np.full(line, 255, np.uint8)
    value, k_value = high[PW * C:PW * C + W * C], k_high[PW * C:PW * C + W * C]
    runs, length = (1, OW * C) if SW == 1 else (OW, C)
    best, k_best, l_best = (np.empty(OW * C, x.dtype), np.empty(OW * C, np.uint8),
                            np.empty(OW * C, np.uint8))
    for n in range(N):
        for i in range(OH):
            top = i * SH - PH
            start = max(0, -top)
            row = x[n, top + start].reshape(-1)
            for e in range(W * C):
                value[e] = row[e]
            for e in range(W * C):
                k_value[e] = start
            for k in range(start + 1, min(KH, H - top)):
                row, number = x[n, top + k].reshape(-1), np.uint8(k)
                for e in range(W * C):
                    u, v = row[e], value[e]
                    k_value[e] = number if (u > v) | (u != u) & (v == v) else k_value[e]
                for e in range(W * C):
                    u, v = row[e], value[e]
                    value[e] = u if (u > v) | (u != u) & (v == v) else v
            for r in range(runs):
                to, k_to, l_to = best[r * C:], k_best[r * C:], l_best[r * C:]
                a, k_a = high[r * SW * C:], k_high[r * SW * C:]
                for e in range(length):
                    to[e] = a[e]
                for e in range(length):
                    k_to[e] = k_a[e]
                for e in range(length):
                    l_to[e] = 0
                for l in range(1, KW):
                    b, k_b, number = a[l * C:], k_a[l * C:], np.uint8(l)
                    for e in range(length):
                        u, v = b[e], to[e]
                        wins = (u > v) | (u != u) & (v == v) | (u == v) & (k_b[e] < k_to[e])
                        l_to[e] = number if wins else l_to[e]
                    for e in range(length):
                        u, v = b[e], to[e]
                        wins = (u > v) | (u != u) & (v == v) | (u == v) & (k_b[e] < k_to[e])
                        k_to[e] = k_b[e] if wins else k_to[e]
                    for e in range(length):
                        u, v = b[e], to[e]
                        to[e] = u if (u > v) | (u != u) & (v == v) else v
            out, place = y[n, i].reshape(-1), at[n, i].reshape(-1)
            for e in range(OW * C):
                out[e] = best[e]
            for e in range(OW * C):
                place[e] = k_best[e] * KW + l_best[e]


@Loop
def to_the_largest(dy, at, dx, KW, SH, SW, PH, PW):
    N, OH, OW, C = dy.shape
    for n in range(N):
        for i in range(OH):
            for j in range(OW):
                for c in range(C):
                    k, l = at[n, i, j, c] // KW, at[n, i, j, c] % KW
                    dx[n, i * SH - PH + k, j * SW - PW + l, c] += dy[n, i, j, c]
