"""Depthwise convolution as loops.

An image gets its margin of zeros. Then P numbers in a row, whole pixels and whole vectors, meet the
same P weights, and so do the next P; with a stride in the row, pixels are filled up to whole
vectors. A sum stays in a register until it is done: 0.6 of the time of loops over sums in memory.
"""
import math

import numpy as np
from numba.extending import register_jitable

from ..channels import channels_last
from ..threads import spread
from . import Loop
from .lanes import BYTES, add, aligned, copy, load, multiply_add, store, zeros


def convolve(x, W, b, y, stride, pads, dilation, apart):
    """common/engine/depthwise.py has the shapes; y is channels last, and one stretch of memory."""
    images, (C, _, KH, KW), (D, P) = lines(channels_last(x)), W.shape, pitch(x, stride)
    weights = np.zeros((KH * KW + 1, P // D, D), x.dtype)              # the last one is the bias
    weights[:-1, :, :C] = W.reshape(C, 1, -1).T
    weights[-1, :, :C] = 0 if b is None else b
    arrays = images, weights.reshape(-1, P), lines(y)
    numbers = KW, C, D, P, *stride, *pads[0], *pads[1], *dilation, *apart
    spread(lambda part: convolve_rows(part.start, part.stop, *arrays, *numbers), len(x),
           4 * y.size * KH * KW)


def weight_gradient(x, W, dy, stride, pads, dilation):
    images, (C, _, KH, KW), (D, P) = lines(channels_last(x)), W.shape, pitch(x, stride)
    dweights = np.zeros((len(x), KH * KW, C), x.dtype)
    numbers = KW, C, D, P, *stride, *pads[0], *pads[1], *dilation
    spread(lambda part: weight_rows(part.start, part.stop, images, dweights, lines(dy), *numbers),
           len(x), 4 * dy.size * KH * KW)
    return dweights.sum(axis=0).T.reshape(W.shape)


def lines(a):
    """(N, H, W, C) as (N, H, W C)."""
    return np.ascontiguousarray(a).reshape(*a.shape[:2], -1)


def pitch(x, stride):
    """How many numbers there are from one pixel to the next, and in the shortest run of whole
    pixels that is one of whole vectors."""
    lanes = BYTES // x.itemsize
    D = x.shape[1] if stride[1] == 1 else -(-x.shape[1] // lanes) * lanes
    return D, math.lcm(D, lanes)


@register_jitable
def copy_pixels(a, to, C, from_pitch, to_pitch):
    if from_pitch == to_pitch:
        copy(a, to)
    else:
        for p in range(len(a) // from_pitch):
            copy(a[p * from_pitch:p * from_pitch + C], to[p * to_pitch:])


@Loop
def convolve_rows(start, stop, x, w, y, KW, C, D, P, SH, SW, top, bottom, left, right, DH, DW,
                  AH, AW):
    """A row of windows leaves out the taps that meet a row of zeros."""
    (_, H, width), (_, OH, OW) = x.shape, y.shape
    OW, width, height = OW // C, (width // C - 1) * AW + 1, (H - 1) * AH + 1
    T, L, step, line = len(w) - 1, OW * D, SW * P, (left + width + right) * D
    image, lanes = aligned((top + height + bottom) * line + step, x), BYTES // x.itemsize
    sums, weights = aligned(L + P, x), aligned(w.size, x)
    bias = w[T]
    starts, count = np.empty(T, np.intp), -1
    for n in range(start, stop):
        for h in range(H):
            copy_pixels(x[n, h], image[(top + h * AH) * line + left * D:], C, C, AW * D)
        for i in range(OH):
            rest, out = image[i * SH * line:], y[n, i]
            if AH > 1 or count < 0:
                count = 0
                for t in range(T):
                    if (i * SH + t // KW * DH - top) % AH == 0:
                        starts[count] = t // KW * DH * line + t % KW * DW * D
                        weights[count * P:(count + 1) * P] = w[t]
                        count += 1
            whole = D == C and L % lanes == 0
            to = out if whole else sums
            for p in range(0, P, lanes):
                e, at, places = p, p, (L - p + P - 1) // P
                for _ in range(places // 4):
                    s0 = s1 = s2 = s3 = load(bias, p)
                    for t in range(count):
                        weight, a = load(weights, t * P + p), starts[t] + at
                        s0 = multiply_add(load(rest, a), weight, s0)
                        s1 = multiply_add(load(rest, a + step), weight, s1)
                        s2 = multiply_add(load(rest, a + 2 * step), weight, s2)
                        s3 = multiply_add(load(rest, a + 3 * step), weight, s3)
                    store(to, e, s0)
                    store(to, e + P, s1)
                    store(to, e + 2 * P, s2)
                    store(to, e + 3 * P, s3)
                    e, at = e + 4 * P, at + 4 * step
                for _ in range(places % 4):
                    s0 = load(bias, p)
                    for t in range(count):
                        weight, a = load(weights, t * P + p), starts[t] + at
                        s0 = multiply_add(load(rest, a), weight, s0)
                    store(to, e, s0)
                    e, at = e + P, at + step
            if not whole:
                copy_pixels(sums[:L], out, C, D, C)


@Loop
def weight_rows(start, stop, x, dw, dy, KW, C, D, P, SH, SW, top, bottom,
                left, right, DH, DW):
    """dL/dw (N, T, C) of each image."""
    (_, H, width), (_, OH, OW) = x.shape, dy.shape
    OW, width = OW // C, width // C
    T, L, step, line = dw.shape[1], OW * D, SW * P, (left + width + right) * D
    image, lanes = aligned((top + H + bottom) * line + step, x), BYTES // x.itemsize
    sums, row = aligned(T * P, x), aligned(L, x)
    starts = np.array([t // KW * DH * line + t % KW * DW * D for t in range(T)])
    for n in range(start, stop):
        for h in range(H):
            copy_pixels(x[n, h], image[(top + h) * line + left * D:], C, C, D)
        sums[:] = 0
        for i in range(OH):
            rest = image[i * SH * line:]
            copy_pixels(dy[n, i], row, C, C, D)
            for p in range(0, P, lanes):
                count = (L - p - lanes + P) // P
                for t in range(0, T, 3):
                    a = starts[t] + p
                    b, c = starts[min(t + 1, T - 1)] + p, starts[min(t + 2, T - 1)] + p
                    a0 = b0 = c0 = a1 = b1 = c1 = zeros(x)
                    e, at = p, 0
                    for _ in range(count // 2):
                        d = load(row, e)
                        a0 = multiply_add(load(rest, a + at), d, a0)
                        b0 = multiply_add(load(rest, b + at), d, b0)
                        c0 = multiply_add(load(rest, c + at), d, c0)
                        d, at = load(row, e + P), at + step
                        a1 = multiply_add(load(rest, a + at), d, a1)
                        b1 = multiply_add(load(rest, b + at), d, b1)
                        c1 = multiply_add(load(rest, c + at), d, c1)
                        e, at = e + 2 * P, at + step
                    if count % 2:
                        d = load(row, e)
                        a0 = multiply_add(load(rest, a + at), d, a0)
                        b0 = multiply_add(load(rest, b + at), d, b0)
                        c0 = multiply_add(load(rest, c + at), d, c0)
                    s = t * P + p
                    store(sums, s, add(load(sums, s), add(a0, a1)))
                    if t + 1 < T:
                        store(sums, s + P, add(load(sums, s + P), add(b0, b1)))
                    if t + 2 < T:
                        store(sums, s + 2 * P, add(load(sums, s + 2 * P), add(c0, c1)))
            # what is left of the row, less than a vector: the next one holds pixels that no window
            # has, and 0 times a NaN there would be NaN
            for e in range(L // lanes * lanes, L):
                for t in range(T):
                    sums[t * P + e % P] += row[e] * rest[starts[t] + e]
        for t in range(T):
            for e in range(t * P, (t + 1) * P, D):
                for c in range(C):
                    dw[n, t, c] += sums[e + c]
