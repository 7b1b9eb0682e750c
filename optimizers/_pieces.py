"""Arrays in pieces that stay in the cache: why an update is fast although it reads as in the book.

A rule such as Adam passes some ten times over parameter, gradient and state. On whole arrays each pass
fetches them from main memory again; on pieces of 32,768 elements all passes but the first find them in the
cache, and temporary arrays are small. Adam on six million parameters takes half the time.
"""
import numpy as np

SIZE = 32_768      # elements; four float32 arrays and two temporaries of this size fill 0.75 MiB


def pieces(*arrays):
    """Cut arrays of one shape into the same pieces of about SIZE elements: a list of tuples of views.

    The cuts run along the axis of the largest stride of the first array (its rows, or its columns where it is
    transposed in memory), so that a piece is one stretch of memory. A piece has at least one row, however
    long.

    >>> [(a.shape, b.shape) for a, b in pieces(np.zeros((50, 1000)), np.ones((50, 1000)))]
    [((32, 1000), (32, 1000)), ((18, 1000), (18, 1000))]

    A rule never meets an array without axes, on which NumPy's arithmetic would not stay an array:

    >>> pieces(np.array(3.0))
    [(array([3.]),)]
    """
    first = arrays[0]
    if first.size <= SIZE:
        return [tuple(np.atleast_1d(a) for a in arrays)]
    axes = sorted(range(first.ndim), key=lambda axis: -first.strides[axis])
    arrays = [a.transpose(axes) for a in arrays]
    length = len(arrays[0])
    rows = max(1, SIZE * length // first.size)
    return [tuple(a[i:i + rows] for a in arrays) for i in range(0, length, rows)]
