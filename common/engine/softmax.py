"""Exponentials of rows, and what is made of them."""
import numpy as np

from .pieces import CACHE, portions
from .products import ones, row_sums
from .threads import spread

WORK, WORK_OF_EXP = 6, 16        # what an entry counts in ``spread``, in multiplications


def exponentials(x, out=None):
    """``top = x.max(axis=1); e = np.exp(x - top[:, None])`` and ``e.sum(axis=1)``, as (e, top,
    total), of a matrix (M, C); e in ``out``, which may be x. Two entries further apart than the
    dtype's range overflow, with NumPy's warning, to exp(-∞) = 0.

    Of a large matrix a few rows at a time, so that all passes but the first find them in the cache,
    and shared out among threads; the sum is a product with ones. Over 10,000 classes in two thirds
    of the time of one thread.
    """
    M, C = x.shape
    if out is None:
        out = np.empty((M, C), x.dtype)
    if x.nbytes > CACHE and M > 1:
        def job(part):
            return [exponentials(x[rows], out[rows])[1:]
                    for rows in portions(part, C * x.itemsize, CACHE)]

        parts = sum(spread(job, M, WORK_OF_EXP * x.size), [])
        return out, *(np.concatenate(numbers) for numbers in zip(*parts))
    top = np.maximum.reduce(x, axis=1)
    np.subtract(x, top[:, None], out=out)
    np.exp(out, out=out)
    return out, top, out.dot(ones(C, out.dtype))


def times_rows(x, factors):
    """``x * factors[:, None]``: each row of a matrix times its number, by all threads if it is
    large."""
    if x.nbytes <= CACHE:
        return x * factors[:, None]
    y = np.empty_like(x)
    spread(lambda part: np.multiply(x[part], factors[part, None], out=y[part]), len(x),
           WORK * x.size)
    return y


def softmax(x, mask=None, out=None):
    """``e = np.exp(x - x.max(axis=-1, keepdims=True)); e / e.sum(axis=-1, keepdims=True)``, in
    ``out``, which may be x.

    With a ``mask`` (broadcasting) over the entries alone where it is True, 0 elsewhere; a row where
    nothing is allowed is zeros. In place, and the sum as a product with ones: a seventh faster.

    >>> softmax(np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]]), mask=np.array([[True, False, True],
    ...     [False, False, False]]))
    array([[0.5, 0. , 0.5],
           [0. , 0. , 0. ]])
    """
    if mask is not None:
        x = np.add(x, np.where(mask, 0, -np.inf).astype(x.dtype), out=out)
    top = x.max(axis=-1, keepdims=True)
    if mask is not None:
        top[top == -np.inf] = 0                   # a row with nothing allowed: exp makes it zeros
    e = np.subtract(x, top, out=out)
    np.exp(e, out=e)
    total = row_sums(e)
    if mask is not None:
        total[total == 0] = 1
    e /= total
    return e
