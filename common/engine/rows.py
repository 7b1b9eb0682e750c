"""Rows of a matrix by their number: what look-up layers share."""
import numpy as np

from . import compiled


def forgetting(name):
    """The method ``name`` of arrays, which writes in place."""
    def method(self, *arguments, **options):
        forget(self)
        return getattr(np.ndarray, name)(self, *arguments, **options)
    method.__name__ = name
    return method


class RowGradient(np.ndarray):
    """A gradient (V, D) that is zero except in some rows: a true dense array that also carries
    ``rows``.

    ``rows`` are the numbers, each once, of all rows that may differ from zero, or None if that is
    not known. An optimizer for which a zero gradient means no step may touch those rows only, for
    example 1,000 instead of 10,000; all others read the array as usual.

    >>> dW = RowGradient.zeros_like(np.ones((4, 2)))
    >>> dW.write(np.array([3, 1, 3]), np.array([[1.0, 1.0], [2.0, 2.0], [5.0, 5.0]]))
    >>> dW.rows, dW.tolist()
    (array([1, 3]), [[0.0, 0.0], [2.0, 2.0], [0.0, 0.0], [6.0, 6.0]])

    Scaling it in place by a finite number keeps ``rows``; whatever else writes into it forgets
    them: an assignment, an operator, NumPy's functions and methods, also through a slice or another
    view of this class. A copy or a slice has no rows, a result is a plain array. Not seen is what
    is written through a plain view, ``np.asarray(dW)`` for example, or by another library: set
    ``dW.rows = None`` there.

    >>> dW *= 0.5
    >>> dW.rows
    array([1, 3])
    >>> dW += 1.0
    >>> dW.rows is None
    True
    """

    @classmethod
    def zeros_like(cls, W):
        dW = np.zeros_like(W).view(cls)
        dW.rows = np.empty(0, np.intp)
        return dW

    def write(self, ids, values):
        """Overwrite: row i becomes the sum of all ``values[k]`` with ``ids[k] == i``, every other
        row zero.

        Without sorting: each use of an id writes its number into the id's place and its values into
        the id's row, where the last one's stay. The others, mostly few, are added.
        """
        dense = self.view(np.ndarray)
        if self.rows is not None and compiled.takes(values) and dense.dtype == values.dtype:
            from .compiled.rows import write
            self.rows = write(dense, self.rows, ids, values)
            return
        if self.rows is None:
            dense[...] = 0
        else:
            set_rows(dense, self.rows, np.zeros_like(dense[:1]))
        set_rows(dense, ids, values)
        uses, place = np.arange(len(ids)), np.empty(len(dense), np.intp)
        place[ids] = uses
        last = place.take(ids) == uses
        self.rows, again = ids[last], np.flatnonzero(~last)
        add_rows(dense, ids.take(again), values.take(again, axis=0))

    def __array_finalize__(self, parent):
        self.rows = None

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **kwargs):
        # 0 times a finite number stays 0.
        scaling = (ufunc in (np.multiply, np.divide) and method == "__call__" and inputs[0] is self
                   and np.ndim(inputs[1]) == 0 and np.isfinite(inputs[1])
                   and (ufunc is np.multiply or inputs[1] != 0))
        for a in () if scaling else inputs[:1] if method == "at" else out:
            forget(a)
        if out:
            kwargs["out"] = tuple(map(plain, out))
        result = getattr(ufunc, method)(*map(plain, inputs), **kwargs)
        return result if not out else out[0] if len(out) == 1 else out

    def __array_function__(self, function, types, arguments, options):
        out = arguments[:1] if function in WRITERS else options.get("out")
        for a in out if isinstance(out, tuple) else (out,):
            forget(a)
        return super().__array_function__(function, types, arguments, options)

    __setitem__, put, fill, sort, partition, setfield, byteswap = map(
        forgetting, ("__setitem__", "put", "fill", "sort", "partition", "setfield", "byteswap"))

    @property
    def flat(self):
        forget(self)                    # an iterator that can write, and cannot be watched
        return super().flat


WRITERS = {np.copyto, np.put, np.place, np.putmask, np.put_along_axis, np.fill_diagonal}


def forget(a):
    """The rows of this array are no longer known, nor those of the one that it is a view of."""
    while isinstance(a, RowGradient):
        a.rows, a = None, a.base


def set_rows(a, ids, values):
    """a[ids] = values. Rows of one stretch of memory move as single items: a third faster."""
    if a.flags.c_contiguous and values.flags.c_contiguous and a.dtype == values.dtype:
        a, values = (matrix.view(f"V{a[0].nbytes}")[:, 0] for matrix in (a, values))
    a[ids] = values


def add_rows(a, ids, values):
    """a[ids[k]] += values[k] for every k, one after the other."""
    if a.flags.c_contiguous:                # in one axis np.add.at is several times faster
        D = a.shape[1]
        a, ids, values = (a.reshape(-1), (ids[:, None] * D + np.arange(D)).reshape(-1),
                          values.reshape(-1))
    np.add.at(a, ids, values)


def plain(a):
    return a.view(np.ndarray) if isinstance(a, RowGradient) else a
