"""Winograd's transforms as loops: common/engine/winograd.py has the formulas and the letters.

With a dilation DW, DW neighbours in a row belong to as many tiles. Such runs of DW C entries are
laid apart, the even ones first, and then the odd ones. So all that meets one entry of a transform,
in a whole row of tiles, is one stretch of memory. What the loops keep for themselves begins where a
line of the cache does.
"""
import numpy as np

from . import Loop


@Loop
def to_tiles(x, tiles, first, high, wide, top, left, DH, DW, form):
    """Images x (N, H, W, C) to ``tiles`` (16, T, C), from the row of tiles number ``first`` on. A
    row (i, j, f, g) of ``form`` says: f times row, or column, i of a tile, and g times j."""
    (H, W, C), kind = x.shape[1:], x.dtype.type
    T, count, run, length = tiles.shape[1], form[:, 1].max() + 1, DW * C, wide * DW * C
    half, size, out = length + run, 2 * (length + run), tiles.reshape(-1)
    lines = np.zeros(5 * size + 64 // x.itemsize, x.dtype)
    lines = lines[-lines.ctypes.data % 64 // x.itemsize:]
    mixed = lines[4 * size:]
    for r in range(T * C // length):
        n, p, t = (first + r) // (DH * high), (first + r) // high % DH, (first + r) % high
        for k in range(2 if count == 4 and r > 0 and t > 0 else 0, count):     # two are there yet
            h, line = p + (2 * t + k) * DH - top, lines[(2 * t + k) % 4 * size:]
            if h < 0 or h >= H:
                line[:size] = 0
                continue
            row = x[n, h].reshape(-1)
            for s in range(2 * wide + 2):
                w = max(0, s * DW - left)
                a, to = row[w * C:], line[s % 2 * half + s // 2 * run + (w - s * DW + left) * C:]
                for e in range((min((s + 1) * DW - left, W) - w) * C):
                    to[e] = a[e]
        for k in range(4):
            i, j, f, g = form[k, 0], form[k, 1], kind(form[k, 2]), kind(form[k, 3])
            a, b = lines[(2 * t + i) % 4 * size:], lines[(2 * t + j) % 4 * size:]
            for e in range(size):
                mixed[e] = f * a[e] + g * b[e]
            for l in range(4):
                i, j, f, g = form[l, 0], form[l, 1], kind(form[l, 2]), kind(form[l, 3])
                a, b = mixed[i % 2 * half + i // 2 * run:], mixed[j % 2 * half + j // 2 * run:]
                to = out[(4 * k + l) * T * C + r * length:]
                for e in range(length):
                    to[e] = f * a[e] + g * b[e]


@Loop
def from_tiles(tiles, y, first, high, wide, DH, DW, bias):
    """The rows of tiles (16, T, F) from number ``first`` on, transformed back to images y (N, OH,
    OW, F), with the bias (F,) added. Whether all of it is finite."""
    OH, OW, F = y.shape[1:]
    T, run, length = tiles.shape[1], DW * F, wide * DW * F
    entries, apart, zero = tiles.reshape(-1), 4 * T * F, y.dtype.type(0)
    sums = np.empty(7 * length + 64 // y.itemsize, y.dtype)
    sums = sums[-sums.ctypes.data % 64 // y.itemsize:]
    a, b, c, d = sums, sums[length:], sums[2 * length:], sums[3 * length:]
    even, odd, biases, strange = sums[4 * length:], sums[5 * length:], sums[6 * length:], zero
    for s in range(0, length, F):
        biases[s:s + F] = bias
    for r in range(T * F // length):
        n, p, t = (first + r) // (DH * high), (first + r) // high % DH, (first + r) % high
        for k in range(min(2, (OH - p + DH - 1) // DH - 2 * t)):
            for l in range(4):
                to, u = sums[l * length:], entries[(4 * k + l) * T * F + r * length:]
                v, w = u[apart:], u[2 * apart:]
                if k == 0:
                    for e in range(length):
                        to[e] = u[e] + v[e] + w[e]
                else:
                    for e in range(length):
                        to[e] = u[e] - v[e] - w[e]
            for e in range(length):
                value = a[e] + b[e] + c[e] + biases[e]
                even[e] = value
                strange += value * zero
            for e in range(length):
                value = b[e] - c[e] - d[e] + biases[e]
                odd[e] = value
                strange += value * zero
            row = y[n, p + (2 * t + k) * DH].reshape(-1)
            for s in range(2 * wide):
                pixels, to = (odd if s % 2 else even)[s // 2 * run:], row[s * run:]
                for e in range(min(run, OW * F - s * run)):
                    to[e] = pixels[e]
    return strange == 0
