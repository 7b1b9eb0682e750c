"""Depthwise convolution as loops.

An image gets its margin of zeros, and with a stride SW the pixels 0, SW, 2 SW, ... of a row stand
side by side, then 1, SW + 1, ...: so all that meets one weight of the window in a row of windows is
one stretch of memory. Three weights, or four rows of dL/dy, are taken at a time, so that sums are
fetched and put back less often.
"""
import numpy as np

from ..channels import channels_last
from ..threads import spread
from . import Loop


def convolve(x, W, y, stride, pads, dilation):
    """common/engine/depthwise.py has the shapes; y is channels last, and one stretch of memory."""
    images, weights = as_rows(x), as_rows(W[None, :, 0])[0]
    numbers = (*stride, *pads[0], *pads[1], *dilation)
    spread(lambda part: convolve_rows(images[part], weights, y[part], *numbers), len(x),
           4 * y.size * weights.shape[0] * weights.shape[1])


def weight_gradient(x, W, dy, stride, pads, dilation):
    images = as_rows(x)
    numbers = (*stride, *pads[0], *pads[1], *dilation)

    def job(part):
        dweights = np.zeros((*W.shape[2:], len(W)), x.dtype)
        weight_rows(images[part], dweights, dy[part], *numbers)
        return dweights

    total = sum(spread(job, len(x), 4 * dy.size * W[0].size))
    return total.transpose(2, 0, 1)[:, None]


def as_rows(x):
    """(N, C, H, W) as a new (N, H, W, C), or the old one if its channels are last in memory."""
    return np.ascontiguousarray(channels_last(x))


@Loop
def convolve_rows(x, w, y, SH, SW, top, bottom, left, right, DH, DW):
    N, H, width, C = x.shape
    OH, OW = y.shape[1:3]
    KH, KW = w.shape[:2]
    L, apart = OW * C, (left + width + right + SW - 1) // SW         # pixels from 0 to 1
    line, (runs, length) = SW * apart * C, (1, width * C) if SW == 1 else (width, C)
    weights, starts = np.empty((KH * KW, L), x.dtype), np.empty(KH * KW, np.intp)
    for t in range(KH * KW):
        k, j = t // KW, t % KW
        starts[t] = k * DH * line + (j * DW % SW * apart + j * DW // SW) * C
        for o in range(OW):
            weights[t, o * C:(o + 1) * C] = w[k, j]
    sums, image = np.empty(L, x.dtype), np.zeros((top + H + bottom) * line, x.dtype)
    for n in range(N):
        for h in range(H):
            row, padded = x[n, h].reshape(-1), image[(top + h) * line:]
            for p in range(runs):
                run, to = row[p * C:], padded[((left + p) % SW * apart + (left + p) // SW) * C:]
                for e in range(length):
                    to[e] = run[e]
        for i in range(OH):
            rest = image[i * SH * line:]
            sums[:] = 0
            t = 0
            while t < KH * KW:
                a, wa = rest[starts[t]:], weights[t]
                if t + 2 < KH * KW:
                    b, c = rest[starts[t + 1]:], rest[starts[t + 2]:]
                    wb, wc = weights[t + 1], weights[t + 2]
                    for e in range(L):
                        sums[e] += a[e] * wa[e] + b[e] * wb[e] + c[e] * wc[e]
                    t += 3
                else:
                    for e in range(L):
                        sums[e] += a[e] * wa[e]
                    t += 1
            out = y[n, i].reshape(-1)
            for e in range(L):
                out[e] = sums[e]


@Loop
def weight_rows(x, dw, dy, SH, SW, top, bottom, left, right, DH, DW):
    """Add up dL/dw (KH, KW, C)."""
    N, H, width, C = x.shape
    OH, OW = dy.shape[1:3]
    KH, KW = dw.shape[:2]
    L, apart = OW * C, (left + width + right + SW - 1) // SW
    line, (runs, length) = SW * apart * C, (1, width * C) if SW == 1 else (width, C)
    sums, image = np.zeros((KH * KW, L), x.dtype), np.zeros((top + H + bottom) * line, x.dtype)
    for n in range(N):
        for h in range(H):
            row, padded = x[n, h].reshape(-1), image[(top + h) * line:]
            for p in range(runs):
                run, to = row[p * C:], padded[((left + p) % SW * apart + (left + p) // SW) * C:]
                for e in range(length):
                    to[e] = run[e]
        i, step, douts = 0, SH * line, dy[n].reshape(-1)
        while i < OH:
            rest, da = image[i * step:], douts[i * L:]
            db, dc, dd = da[L:], da[2 * L:], da[3 * L:]
            for t in range(KH * KW):
                k, j, part = t // KW, t % KW, sums[t]
                a = rest[k * DH * line + (j * DW % SW * apart + j * DW // SW) * C:]
                if i + 3 < OH:
                    b, c, d = a[step:], a[2 * step:], a[3 * step:]
                    for e in range(L):
                        part[e] += a[e] * da[e] + b[e] * db[e] + c[e] * dc[e] + d[e] * dd[e]
                else:
                    for e in range(L):
                        part[e] += a[e] * da[e]
            i += 4 if i + 3 < OH else 1
    for t in range(KH * KW):
        for o in range(OW):
            for c in range(C):
                dw[t // KW, t % KW, c] += sums[t, o * C + c]
