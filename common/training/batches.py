"""Mini-batches: a data set in small pieces."""
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from ..common import checks
from ..common.rng import generator
from ..common.types import Array, ArrayLike, Seed


def batches(
    *arrays: ArrayLike, batch_size: int = 32, rng: Seed = None, shuffle: bool = True
) -> Iterator[Any]:
    """Go once through arrays of N samples, ``batch_size`` samples at a time.

    Each sample comes exactly once, in random order (``shuffle=False``: as they stand), and sample i
    of a batch is the same sample in every array. The last batch holds what is left.

    - ``arrays``: one or more of shape (N, ...), lists and tuples of such a shape, or pandas
      DataFrames and Series of numbers. Of a memory map (``np.load(path,
      mmap_mode="r")``) only the rows of the batch are read;
    - ``rng``: a numpy.random.Generator, a seed or None. One Generator for all epochs gives each an
      order of its own; the same seed gives the same order every time.

    Returns a generator of tuples, one array (B, ...) per array given, B <= ``batch_size``; of the
    bare array where only one is given. Batches are copies.

    Raises ValueError or TypeError, when called, for arrays that are empty or differ in length and
    for a batch size that is not a positive integer.

    Why shuffle: neighbours in a file resemble each other; a batch's gradient should resemble that
    of the whole (Bottou 2012, Stochastic Gradient Descent Tricks).

    >>> x, t = np.arange(10.0).reshape(5, 2), [0, 1, 2, 3, 4]
    >>> for x_batch, t_batch in batches(x, t, batch_size=2, rng=0):
    ...     print(x_batch.shape, t_batch)
    (2, 2) [2 4]
    (2, 2) [3 0]
    (1, 2) [1]
    """
    arrays = samples("batches", *arrays)
    N, B = len(arrays[0]), checks.count("batches", "batch_size", batch_size)
    shuffle, rng = checks.flag("batches", "shuffle", shuffle), generator("batches", rng)
    order = rng.permutation(N) if shuffle else np.arange(N)
    rows = (order[i:i + B] for i in range(0, N, B))
    # Of rows in order, take is the faster way to the same copies.
    takes: list[Any] = [
        partial(a.take, axis=0) if a.flags.c_contiguous else a.__getitem__ for a in arrays]
    if len(arrays) == 1:
        return (takes[0](r) for r in rows)
    return (tuple([take(r) for take in takes]) for r in rows)


def samples(who, *arrays, **named) -> tuple[Array, ...]:
    """All as NumPy arrays (N, ...) of the same N >= 1 samples; errors speak for ``who``."""
    named = {f"array {i}": a for i, a in enumerate(arrays, 1)} | named
    if not named:
        raise TypeError(f"{who}: at least one array is needed, got none; call {who}(x, t)")
    result: list[Array] = []
    for name, given in named.items():
        a = as_array(who, name, given)
        if not a.ndim:
            raise TypeError(checks.wrong(who, name, "be an array of samples", type(given).__name__))
        if not a.size:
            raise ValueError(checks.wrong(who, name, "not be empty", f"shape {a.shape}"))
        if result and len(a) != len(result[0]):
            expected = f"hold {len(result[0])} samples as the first array does"
            raise ValueError(checks.wrong(who, name, expected, len(a)))
        result.append(a)
    return tuple(result)


def as_array(who, name, given) -> Array:
    """np.asarray, refused if masked, ragged or, of a pandas table, not of numbers."""
    checks.unmasked(who, name, given)
    try:
        a = np.asarray(given)
    except ValueError:
        raise ValueError(checks.wrong(who, name, "have rows of one length", "a ragged list",
                                      "pad the short ones")) from None
    return checks.of_table(who, name, given, a)
