"""Mini-batches of a long text, and of sequences of similar lengths."""
from collections.abc import Iterable, Iterator

import numpy as np

from ..common import checks
from ..common.rng import generator
from ..common.types import Array, ArrayLike, Pair, Seed
from ..training.batches import samples


def text_batches(ids: ArrayLike, batch_size: int = 20, steps: int = 35) -> Iterator[Pair]:
    """Go once through a text, in order, at ``batch_size`` places in parallel, to predict each token
    from those before.

    The text is cut into N = ``batch_size`` streams of L = (len(ids) - 1) // N tokens, one after the
    other. A batch is the next T = ``steps`` tokens of every stream, with the token after each as
    its target. In the first batch

        x[n, i] = ids[n·L + i],   t[n, i] = ids[n·L + i + 1],   i = 0..T-1.

    So row n of a batch continues row n of the batch before, and a recurrent layer with
    ``stateful=True`` can carry its state over (truncated back-propagation through time).

    The last batch is shorter if T does not divide L. The rest of the text, fewer than N tokens, is
    left out; with ``batch_size=1`` nothing is.

    - ids (M,): integers, M > N.

    Returns a generator of (x, t), both (N, T), copies: ``trainer.fit(batches=lambda:
    text_batches(ids))``.

    Raises TypeError for ids that are not integers, ValueError for another shape and for too few of
    them, at the call itself. Source: Saito, Deep Learning from Scratch 2, chapter 5.

    >>> for x, t in text_batches(np.arange(8), batch_size=2, steps=2):
    ...     print(x.tolist(), t.tolist())
    [[0, 1], [3, 4]] [[1, 2], [4, 5]]
    [[2], [5]] [[3], [6]]
    """
    who = "text_batches"
    N, T = checks.count(who, "batch_size", batch_size), checks.count(who, "steps", steps)
    ids = sequence(who, "ids", ids)
    L = (len(ids) - 1) // N
    if not L:
        raise ValueError(checks.wrong(who, "ids", f"hold more than batch_size={N} tokens",
                                      len(ids)))
    x, t = (ids[start:start + N * L].reshape(N, L) for start in (0, 1))
    return ((x[:, i:i + T].copy(), t[:, i:i + T].copy()) for i in range(0, L, T))


def pair_batches(
    x: Iterable[ArrayLike], t: Iterable[ArrayLike], batch_size: int = 32, padding: int = 0,
    rng: Seed = None,
) -> Iterator[tuple[Array, Array, Array, Array]]:
    """Go once through pairs of sequences, ``batch_size`` pairs of similar lengths at a time, to
    keep padding short.

    The pairs are sorted by the length of x, ties by that of t, and cut into batches, which come in
    random order. Each pair comes exactly once.

    - x, t: two lists of equally many sequences of integers, each of length at least 1;
    - padding: the id that fills up short sequences;
    - rng: a numpy.random.Generator, a seed or None. One Generator for all epochs gives each
      epoch its own order.

    Returns a generator of (x, t, x_mask, t_mask): x and x_mask (B, Tx), t and t_mask (B, Tt), B <=
    ``batch_size``, as wide as the longest sequence of the batch; x and t int64; the masks bool,
    True on tokens and False on padding.

    Raises TypeError for a sequence that is not of integers, ValueError for an empty one and for
    lists that are empty or differ in length, at the call itself.

    >>> pairs = pair_batches([[1, 2], [3], [4, 5]], [[6], [7, 8], [9, 10, 11]], batch_size=2, rng=0)
    >>> for x, t, x_mask, t_mask in pairs:
    ...     print(x.tolist(), t.tolist(), x_mask.tolist())
    [[4, 5]] [[9, 10, 11]] [[True, True]]
    [[3, 0], [1, 2]] [[7, 8], [6, 0]] [[True, False], [True, True]]
    """
    who, rng = "pair_batches", generator("pair_batches", rng)
    B, padding = checks.count(who, "batch_size", batch_size), checks.whole(who, "padding", padding)
    x, t = ([sequence(who, f"{name}[{i}]", s)
             for i, s in enumerate(checks.items(who, name, given, "sequences"))]
            for name, given in (("x", x), ("t", t)))
    if not x or len(x) != len(t):
        raise ValueError(checks.wrong(who, "x and t", "hold equally many sequences, at least one",
                                      f"{len(x)} and {len(t)}"))

    def batch(rows):
        (x_ids, x_mask), (t_ids, t_mask) = (padded([s[i] for i in rows], padding) for s in (x, t))
        return x_ids, t_ids, x_mask, t_mask
    return (batch(rows) for rows in of_like_lengths((t, x), B, rng))


def ragged_batches(
    x: Iterable[ArrayLike], t: ArrayLike, batch_size: int = 32, padding: float = 0,
    rng: Seed = None,
) -> Iterator[tuple[Array, Array, Array]]:
    """Go once through sequences of different lengths and their targets, ``batch_size``
    of similar lengths at a time, to keep padding short.

    - x: a list of N sequences (T_n, ...), all of ids or all of vectors, T_n >= 1;
    - t (N, ...): the targets, one for each sequence;
    - padding: the id, or the number, that fills up short sequences;
    - rng: a numpy.random.Generator, a seed or None. One Generator for all epochs gives each
      epoch its own order.

    Returns a generator of (x, mask, t): x (B, T, ...), B <= ``batch_size``, as long as the longest
    sequence of the batch, int64 or the sequences' float dtype; mask (B, T) bool, True on steps and
    False on padding; t (B, ...). Each sequence comes exactly once. A recurrent layer takes the
    mask: ``lstm.forward(x, mask)``.

    Raises TypeError or ValueError for sequences that are empty or do not fit each other, and for
    another number of targets, at the call itself.

    >>> for x, mask, t in ragged_batches([[1, 2], [3], [4, 5, 6]], [7, 8, 9], batch_size=2, rng=0):
    ...     print(x.tolist(), mask.tolist(), t)
    [[4, 5, 6]] [[True, True, True]] [9]
    [[3, 0], [1, 2]] [[True, False], [True, True]] [8 7]
    """
    who, rng = "ragged_batches", generator("ragged_batches", rng)
    B = checks.count(who, "batch_size", batch_size)
    rows = [steps(who, f"x[{i}]", s) for i, s in enumerate(checks.items(who, "x", x, "sequences"))]
    (targets,) = samples(who, t=t)
    if not rows or len(rows) != len(targets):
        raise ValueError(checks.wrong(who, "x and t", "hold equally many sequences and targets",
                                      f"{len(rows)} and {len(targets)}"))
    kind, width = rows[0].dtype, rows[0].shape[1:]
    for i, s in enumerate(rows):
        if s.shape[1:] != width or s.dtype.kind != kind.kind:
            expected = f"be of the kind of x[0], {kind} {checks.shape_text(('T', *width))}"
            raise ValueError(checks.wrong(who, f"x[{i}]", expected, f"{s.dtype} {s.shape}"))
    padding = (checks.whole(who, "padding", padding) if kind.kind == "i"
               else checks.number(who, "padding", padding))

    def batch(numbers):
        filled, mask = padded([rows[i] for i in numbers], padding)
        return filled, mask, targets[numbers]
    return (batch(numbers) for numbers in of_like_lengths((rows,), B, rng))


def steps(who, name, s) -> Array:
    """A sequence (T, ...) of ids, as int64, or of floats."""
    (a,) = samples(who, **{name: s})
    return a.astype(np.int64) if a.dtype.kind in "iu" else checks.array(who, name, a)


def of_like_lengths(sequences, B, rng):
    """The indices of each batch of B sequences of similar lengths, in random order; of several
    lists the last comes first."""
    mixed = rng.permutation(len(sequences[0]))
    # lexsort is stable: equal lengths stay mixed.
    order = mixed[np.lexsort([[len(s[i]) for i in mixed] for s in sequences])]
    return (order[i:i + B] for i in rng.permutation(np.arange(0, len(order), B)))


def padded(sequences, padding):
    """Sequences (T_n, ...) as one array (B, T, ...), and the mask (B, T) of what is not padding."""
    lengths = np.array([len(s) for s in sequences])
    mask = np.arange(lengths.max()) < lengths[:, None]
    together = np.concatenate(sequences)
    filled = np.full((*mask.shape, *together.shape[1:]), padding, together.dtype)
    filled[mask] = together
    return filled, mask


def sequence(who, name, ids) -> Array:
    """``ids`` as an array of integers of one axis, not empty."""
    given, ids = ids, checks.as_array(ids)
    if ids.dtype.kind in "US":
        raise TypeError(checks.wrong(who, name, "hold integers", "text",
                                     "Vocabulary.encode makes ids of it"))
    if ids.ndim != 1 or not ids.size:
        got = "a ragged list" if ids.dtype.kind == "O" and ids.ndim else f"shape {ids.shape}"
        raise ValueError(checks.wrong(who, name, "be a sequence of at least one id, shape (T,)",
                                      got))
    if ids.dtype.kind not in "iu":
        raise TypeError(checks.wrong(who, name, "hold integers", checks.kind_text(given, ids)))
    return ids
