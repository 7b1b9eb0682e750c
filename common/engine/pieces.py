"""Arrays in pieces that stay in the cache.

Several passes over a large array each fetch it from main memory again. Over one piece after another
all passes but the first find it in the cache, and temporary arrays are small.
"""
import numpy as np

CACHE = 5 << 18        # bytes that stay in a second-level cache: 1.25 MiB


def pieces(*arrays):
    """``[tuple(arrays)]``, cut up: arrays of one shape as a list of tuples of views, a tenth of the
    cache each.

    Adam's ten passes and two temporaries take four fifths of the time on two million parameters.

    The cuts run along the axis of the largest stride of the first array (its rows, or its columns
    where it is transposed in memory), so that a piece is one stretch of memory. A piece has at
    least one row, however long.

    >>> [(a.shape, b.shape) for a, b in pieces(np.zeros((25, 1000)), np.ones((25, 1000)))]
    [((16, 1000), (16, 1000)), ((9, 1000), (9, 1000))]

    A rule never meets an array without axes, on which NumPy's arithmetic would not stay an array:

    >>> pieces(np.array(3.0))
    [(array([3.]),)]
    """
    first = arrays[0]
    if first.nbytes <= CACHE // 10:
        return [tuple(np.atleast_1d(a) for a in arrays)]
    axes = sorted(range(first.ndim), key=lambda axis: -first.strides[axis])
    arrays = [a.transpose(axes) for a in arrays]
    length = len(arrays[0])
    rows = max(1, CACHE // 10 * length // first.nbytes)
    return [tuple(a[i:i + rows] for a in arrays) for i in range(0, length, rows)]


def portions(part, nbytes, limit):
    """``[part]``, cut up: slices of about equal length that cover the slice ``part`` of things of
    ``nbytes`` each, within the limit.

    >>> portions(slice(2, 7), nbytes=10, limit=45)
    [slice(2, 5, None), slice(5, 7, None)]
    """
    count = part.stop - part.start
    each = max(1, limit // nbytes)
    each = -(-count // -(-count // each))
    return [slice(n, min(n + each, part.stop)) for n in range(part.start, part.stop, each)]
