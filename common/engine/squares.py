"""One look through all gradients."""
from contextvars import Context

import numpy as np

from . import threads

SHORT = 1 << 10        # entries up to which vectors are joined
LONG = 10_000          # entries from which BLAS would use its threads for a product
WORK = 8               # what an entry counts in ``spread``, in multiplications

# NumPy's warnings off: an errstate's own way in and out takes longer than a short product
QUIET = Context()
if np.__version__[0] > "1":                     # before, they were off for a thread, not a context
    QUIET.run(np.seterr, over="ignore", invalid="ignore")


class SumOfSquares:
    """``sum(np.sum(a * a) for a in arrays)``, again and again, of arrays that change in place.

    Infinite or NaN where an entry is, and where squares leave the dtype's range, without NumPy's
    warnings. Products of vectors with themselves read each entry once and write none: a third to
    two thirds of the time of ``np.isfinite(a).all()``. Short vectors are joined, since a call takes
    longer than its product, and for long ones BLAS keeps to one thread (threads.py).

    >>> W, b = np.array([[1.0, 2.0]]), np.array([3.0])
    >>> squares = SumOfSquares([W, b])
    >>> float(squares()), float(squares([np.array([10.0])]))
    (14.0, 114.0)
    >>> b[0] = np.inf
    >>> float(squares())
    inf
    """

    def __init__(self, arrays):
        flat = [(a, a.ravel("K")) for a in arrays]
        vectors = [v for a, v in flat if np.may_share_memory(a, v)]
        self.scattered = [a for a, v in flat if not np.may_share_memory(a, v)]
        self.short = [v for v in vectors if v.size <= SHORT]
        self.others = [v for v in vectors if v.size > SHORT]
        self.long = any(v.size > LONG for v in vectors)

    def __call__(self, more=()):
        """``more``: arrays that are looked through this time, too."""
        vectors = self.others
        if self.short:
            vectors = [np.concatenate(self.short), *vectors]
        if more or self.scattered:
            vectors = [*vectors, *[a.reshape(-1) for a in (*self.scattered, *more)]]
        look = alone if self.long or more else total
        if QUIET:
            return QUIET.copy().run(look, vectors)
        with np.errstate(over="ignore", invalid="ignore"):
            return look(vectors)


def total(vectors):
    return sum([v.dot(v) for v in vectors])


def alone(vectors):
    with threads.one_thread():
        return sum([square for v in vectors for square in threads.spread(
            lambda part, v=v: v[part].dot(v[part]), v.size, WORK * v.size)])
