"""A product of few rows with a matrix that is used again and again.

BLAS puts a matrix into the order of its loops for every product anew, which takes as long as the
product with 20 rows itself. Here that is done once.
"""
import numpy as np
from numba.extending import register_jitable

from ..threads import spread
from . import Loop
from .lanes import BYTES, add, filled, load, multiply_add, store, zeros

CHUNK = 128          # rows of a block that stay in the first-level cache


def times(W):
    """``lambda h: h @ W`` for W (K, F) and h (N, K): W in blocks (K, B), B four vectors."""
    (K, F), B = W.shape, 4 * BYTES // W.itemsize
    count = -(-F // B)
    room = np.zeros(count * K * B + BYTES, W.dtype)
    blocks = room[-room.ctypes.data % BYTES // W.itemsize:][:count * K * B]
    blocks = blocks.reshape(count, K, B)
    for block, f in zip(blocks, range(0, F, B)):
        columns = W[:, f:f + B]
        block[:, :columns.shape[1]] = columns

    def multiply(h):
        y = np.zeros((len(h) + len(h) % 2, count * B), W.dtype)
        spread(lambda part: add_blocks(part.start, part.stop, h, blocks, y), count, y.size * K)
        return np.ascontiguousarray(y[:len(h), :F])
    return multiply


@Loop
def add_blocks(start, stop, h, blocks, y):
    """y += h @ W, a block of columns for two rows at a time: eight sums in registers."""
    (N, K), V = h.shape, BYTES // h.itemsize
    nothing = (zeros(h), zeros(h), zeros(h), zeros(h))
    for f in range(start, stop):
        block, F = blocks[f].reshape(-1), f * 4 * V
        for first in range(0, K, CHUNK):
            for n in range(0, N, 2):
                h0, h1, a, b = h[n], h[min(n + 1, N - 1)], nothing, nothing
                for k in range(first, min(first + CHUNK, K)):
                    at = k * 4 * V
                    w = (load(block, at), load(block, at + V), load(block, at + 2 * V),
                         load(block, at + 3 * V))
                    a, b = plus(a, h0[k], w), plus(b, h1[k], w)
                for r, sums in enumerate((a, b)):
                    for e, s in enumerate(sums):
                        at = F + e * V
                        store(y[n + r], at, add(load(y[n + r], at), s))


@register_jitable
def plus(sums, number, w):
    v = filled(number, w[0])
    return (multiply_add(v, w[0], sums[0]), multiply_add(v, w[1], sums[1]),
            multiply_add(v, w[2], sums[2]), multiply_add(v, w[3], sums[3]))
