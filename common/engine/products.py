"""Matrix products, and sums as products."""
from functools import lru_cache

import numpy as np

from . import compiled, threads

LARGE = 1 << 15        # entries of a matrix from which its order in memory matters


def rows(x):
    """``x.reshape(-1, x.shape[-1])``: (..., D) as a matrix (M, D)."""
    return x if x.ndim == 2 else x.reshape(-1, x.shape[-1])


def product(x, W, out=None):
    """``x @ W`` for x (..., I) and W (I, O), written to ``out`` if there is one (for a matrix x).

    As one matrix product: BLAS knows no further axes, and NumPy would call it for every one of the
    leading ones. While a model keeps BLAS to one thread (threads.py), a large product is shared out
    among our own. Few rows times a large transposed matrix, dx = dy Wᵀ of a mini-batch of 32, say,
    take half the time on many processors if W stands first, as it lies in memory.

    >>> product(np.ones((4, 5, 3)), np.ones((3, 2))).shape
    (4, 5, 2)
    """
    if x.ndim != 2:
        return product(rows(x), W).reshape(*x.shape[:-1], W.shape[1])
    if W.size < LARGE and not threads.allowed:
        return x.dot(W) if out is None else np.matmul(x, W, out=out)
    if out is None and W.size >= LARGE and 8 <= len(x) <= 48 and W.flags.f_contiguous:
        return np.ascontiguousarray(shared(W.T, x.T).T)
    return shared(x, W, out)


def shared(x, W, out=None):
    """``product`` of matrices, by all threads if it is large."""
    if not threads.allowed or len(x) * W.size < 2 * threads.WORTH or threads.threads() == 1:
        return x.dot(W) if out is None else np.matmul(x, W, out=out)
    (R, K), F = x.shape, W.shape[1]
    if out is None:
        out = np.empty((R, F), x.dtype)
    if R >= F:
        threads.spread(lambda part: np.matmul(x[part], W, out=out[part]), R, R * K * F)
    else:
        threads.spread(lambda part: np.matmul(x, W[:, part], out=out[:, part]), F, R * K * F)
    return out


def repeated(W, N, times):
    """``lambda h: h @ W``, to be called for so many h (N, K): with W in the order of memory in
    which BLAS is fastest for few rows. A step back through an LSTM takes half the time, and one
    forward 0.6 of it where rows of W lie a multiple of 4 KB apart, which all fall into the same
    lines of the cache; a compiled loop a third to two thirds of that."""
    if times >= 8 and 4 <= N <= 24 and compiled.takes(W, 8):
        from .compiled import products as loops
        if loops.BYTES > 16:
            return loops.times(W)
    if 12 <= N <= 64:
        apart = times >= 16 and W.size >= 1 << 18 and W.strides[0] % 4096 == 0
        if apart or W.size >= 1 << 16 and W.flags.f_contiguous:
            first = np.ascontiguousarray(W.T)
            return lambda h: np.ascontiguousarray(shared(first, h.T).T)
        if times >= 16:
            W = np.ascontiguousarray(W)
    return lambda h: shared(h, W)


@lru_cache(maxsize=64)
def remembered_ones(n, dtype):
    ones = np.ones(n, dtype)
    ones.flags.writeable = False
    return ones


def ones(n, dtype):
    """``np.ones(n, dtype)``, read-only. Short ones are kept: to make one takes as long as the
    product that it is for."""
    return remembered_ones(n, dtype) if n <= 1 << 12 else np.ones(n, dtype)


def column_sums(x, out=None):
    """``x.sum(axis=(0, ..., -2))``: all but the last axis summed, (..., D) to (D,).

    As a product of a row of ones with the matrix: 2-3 times faster.

    >>> column_sums(np.array([[1.0, 10.0], [2.0, 20.0]]))
    array([ 3., 30.])
    """
    x = rows(x)
    return ones(len(x), x.dtype).dot(x, out)


def row_sums(x):
    """``x.sum(axis=-1, keepdims=True)``: (..., D) to (..., 1).

    As a product with a column of ones: 2-3 times faster.

    >>> row_sums(np.array([[1.0, 10.0], [2.0, 20.0]]))
    array([[11.],
           [22.]])
    """
    return np.matmul(x, ones(x.shape[-1], x.dtype)[:, None])


def axis_sum(x, axis, keepdims=False):
    """``x.sum(axis=axis, keepdims=keepdims)``, of one axis.

    As a product with a vector of ones: 2-3 times faster.
    """
    front, back = x.shape[:axis], x.shape[axis + 1:]
    y = np.matmul(ones(x.shape[axis], x.dtype), x.reshape(*front, x.shape[axis], -1))
    return y.reshape(front + (1,) * keepdims + back)
