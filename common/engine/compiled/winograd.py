"""Winograd's transforms as loops: common/engine/winograd.py has the formulas and the letters.

The pixels of a row are laid apart: those of each phase (their column modulo the dilation) by
themselves, even ones first. So all that meets one entry of a transform, in a whole row of tiles, is
one stretch of memory. What the loops keep for themselves begins where a line of the cache does.
"""
import numpy as np

from . import Loop


@Loop
def to_tiles(x, tiles, first, high, wide, top, left, DH, DW, form):
    """Images x (N, H, W, C) to ``tiles`` (16, T, C), from the row of tiles number ``first`` on. A
    row (i, j, f, g) of ``form`` says: f times row, or column, i of a tile, and g times j."""
    (H, W, C), kind = x.shape[1:], x.dtype.type
    T, count, run, step = tiles.shape[1], form[:, 1].max() + 1, wide * C, 2 * DW
    phase, size, out = run + C, step * (run + C), tiles.reshape(-1)
    lines = np.zeros(5 * size + 64 // x.itemsize, x.dtype)
    lines = lines[-lines.ctypes.data % 64 // x.itemsize:]
    mixed = lines[4 * size:]
    for r in range(T // (DW * wide)):
        n, p, t = (first + r) // (DH * high), (first + r) // high % DH, (first + r) % high
        for k in range(2 if count == 4 and r > 0 and t > 0 else 0, count):     # two are there yet
            h, line = p + (2 * t + k) * DH - top, lines[(2 * t + k) % 4 * size:]
            if h < 0 or h >= H:
                line[:size] = 0
                continue
            row = x[n, h].reshape(-1)
            for q in range(step):
                w, to = q - left, line[q * phase:]
                for s in range(max(0, -(w // step)), min(wide, (W - 1 - w) // step) + 1):
                    a, b = row[(w + s * step) * C:], to[s * C:]
                    for c in range(C):
                        b[c] = a[c]
        for k in range(4):
            i, j, f, g = form[k, 0], form[k, 1], kind(form[k, 2]), kind(form[k, 3])
            a, b = lines[(2 * t + i) % 4 * size:], lines[(2 * t + j) % 4 * size:]
            for e in range(size):
                mixed[e] = f * a[e] + g * b[e]
            for l in range(4):
                i, j, f, g = form[l, 0], form[l, 1], kind(form[l, 2]), kind(form[l, 3])
                for q in range(DW):
                    a = mixed[(i % 2 * DW + q) * phase + i // 2 * C:]
                    b = mixed[(j % 2 * DW + q) * phase + j // 2 * C:]
                    to = out[((4 * k + l) * T + (r * DW + q) * wide) * C:]
                    for e in range(run):
                        to[e] = f * a[e] + g * b[e]


@Loop
def from_tiles(tiles, y, first, high, wide, DH, DW, bias):
    """The rows of tiles (16, T, F) from number ``first`` on, transformed back to images y (N, OH,
    OW, F), with the bias (F,) added. Whether all of it is finite."""
    OH, OW, F = y.shape[1:]
    T, length, step = tiles.shape[1], DW * wide * F, 2 * DW
    entries, apart = tiles.reshape(-1), 4 * T * F
    sums = np.empty(7 * length + 64 // y.itemsize, y.dtype)
    sums = sums[-sums.ctypes.data % 64 // y.itemsize:]
    zero = odd = y.dtype.type(0)
    a, b, c, d = sums, sums[length:], sums[2 * length:], sums[3 * length:]
    pixels, biases = sums[4 * length:], sums[6 * length:]
    for s in range(0, length, F):
        biases[s:s + F] = bias
    for r in range(T * F // length):
        n, p, t = (first + r) // (DH * high), (first + r) // high % DH, (first + r) % high
        for k in range(min(2, (OH - p + DH - 1) // DH - 2 * t)):
            for l in range(4):
                to, u = sums[l * length:], entries[(l + 4 * k) * T * F + r * length:]
                v, w = u[apart:], u[2 * apart:]
                if k == 0:
                    for e in range(length):
                        to[e] = u[e] + v[e] + w[e]
                else:
                    for e in range(length):
                        to[e] = u[e] - v[e] - w[e]
            for e in range(length):
                value = a[e] + b[e] + c[e] + biases[e]
                pixels[e] = value
                odd += value * zero
            more = pixels[length:]
            for e in range(length):
                value = b[e] - c[e] - d[e] + biases[e]
                more[e] = value
                odd += value * zero
            row = y[n, p + (2 * t + k) * DH].reshape(-1)
            for q in range(step):
                for s in range((OW - 1 - q) // step + 1):
                    u, v = pixels[(q * wide + s) * F:], row[(q + s * step) * F:]
                    for f in range(F):
                        v[f] = u[f]
    return odd == 0
