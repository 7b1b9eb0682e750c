"""The opponents of a neural language model: n-grams, counted."""
from collections.abc import Iterator
from typing import Any, Self

import numpy as np

from ...common import checks
from ...common.types import Array, ArrayLike
from .generating import TextModel, a_text, sequences


class NGram(TextModel):
    """p(next token | the n - 1 before it), from counts of 1, 2, ... n tokens in a row,
    interpolated.

        p(w | h) = Σ_k λ_k p_k(w | h)   p_0 = 1 / V   p_k = c(h_k w) / c(h_k)   k = 1..n

    h_k is the end of h, k - 1 tokens long, and c how often a sequence occurs in the text. Where h_k
    never occurs, p_k is p_{k-1}. n = 1 is the unigram model, n = 3 the trigram model.

    The weights λ, ``weights`` (n + 1,), are those under which a held-out part of the text is
    likeliest (of text that was counted, λ_n = 1 is best), found by expectation maximisation,

        λ_k <- mean of λ_k p_k(w | h) / p(w | h) over the tokens held out.

    - vocabulary: the number of tokens V; n: the order, (V + 1)^n < 2^63.

    Source: Jelinek and Mercer, Interpolated estimation of Markov source parameters from sparse data
    (1980); Jurafsky and Martin, Speech and Language Processing, chapter 3.

    >>> ids = np.array([0, 1, 0, 2] * 20)
    >>> unigram, trigram = (NGram(3, n).fit(ids) for n in (1, 3))
    >>> round(unigram.perplexity(ids), 2), round(trigram.perplexity(ids), 2)
    (2.84, 1.0)
    >>> trigram.generate([1, 0], 5, temperature=0)
    array([2, 0, 1, 0, 2])
    """

    def __init__(self, vocabulary: int, n: int = 3) -> None:
        who = type(self).__name__
        self.vocabulary, self.n = (checks.count(who, "vocabulary", vocabulary),
                                   checks.count(who, "n", n))
        # a sequence is the number whose digits are its ids, V being "no token"
        self.base = self.vocabulary + 1
        if self.n > 62 or self.base ** self.n >= 2 ** 63:
            raise ValueError(
                checks.wrong(who, "n",
                             f"be smaller for a vocabulary of {vocabulary}: (V + 1)^n < 2^63", n))
        self.tables: Any = None

    def fit(self, ids: ArrayLike, held_out: float = 0.1) -> Self:
        """Count a text ids (M,), all but the share ``held_out`` at its end; tune on that; then
        count all. Returns self.

        Raises ValueError if that leaves nothing to count, or nothing to tune on.
        """
        who, ids = f"{type(self).__name__}.fit", sequences(self, "ids", ids, axes=1)
        windows = self.windows(ids)
        share = checks.number(who, "held_out", held_out, 0, 1, "be a number in 0..1")
        cut = len(ids) - round(len(ids) * share)
        if not 0 < cut < len(ids):
            raise ValueError(
                checks.wrong(who, "held_out",
                             f"leave some of {len(ids)} tokens to count and some to tune on",
                             held_out))
        self.count(windows[:cut])
        self.tune(windows[cut:])
        self.count(windows)
        return self

    def windows(self, ids: Array) -> Array:
        """Each token after the n - 1 before it, (M, n), with "no token" before the first."""
        start = np.full(self.n - 1, self.vocabulary)
        return np.lib.stride_tricks.sliding_window_view(np.concatenate([start, ids]), self.n)

    def numbers(self, windows: Array) -> Array:
        return windows @ self.base ** np.arange(windows.shape[-1])[::-1]

    def count(self, windows: Array) -> None:
        """For k = 1..n: the k-grams, c of each, the h_k, c of each, and how many tokens follow
        it."""
        self.tables = []
        grams, c = np.unique(self.numbers(windows), return_counts=True)
        for k in reversed(range(self.n)):
            contexts, at = np.unique(grams // self.base, return_inverse=True)
            self.tables.insert(0, (grams, c, contexts, np.bincount(at, c), np.bincount(at)))
            grams, at = np.unique(grams % self.base ** k, return_inverse=True)
            c = self.shortened(at, c)

    def shortened(self, at: Array, c: Array) -> Array:
        """Counts of the sequences that are left when the first token is taken off."""
        return np.bincount(at, c)

    def found(self, windows: Array) -> Iterator[tuple[Array, ...]]:
        """For k = 1..n: c(h_k w), c(h_k) and the number of tokens seen after h_k, each (M,)."""
        if self.tables is None:
            raise RuntimeError(
                f"{type(self).__name__}: nothing was counted yet; call fit(ids) first")
        for k, (grams, c, contexts, total, kinds) in enumerate(self.tables):
            number = self.numbers(windows[:, self.n - 1 - k:])
            yield (*looked_up(grams, number, c),
                   *looked_up(contexts, number // self.base, total, kinds))

    def parts(self, windows: Array) -> Array:
        """p_0 ... p_n of each window's last token, (M, n + 1)."""
        p = [np.full(len(windows), 1 / self.vocabulary)]
        for c, total, _ in self.found(windows):
            p.append(np.where(total > 0, c / np.maximum(total, 1), p[-1]))
        return np.stack(p, axis=1)

    def tune(self, windows: Array) -> None:
        p = self.parts(windows)
        self.weights = np.full(self.n + 1, 1 / (self.n + 1))
        for _ in range(100):
            shares = p * self.weights
            self.weights = (shares / shares.sum(axis=1, keepdims=True)).mean(axis=0)

    def mixed(self, windows: Array) -> Array:
        """p of each window's last token."""
        return self.parts(windows) @ self.weights

    def log_probabilities(self, ids: ArrayLike, steps: int | None = None) -> Array:
        """log p of each token of a text ids (M,) but the first, (M - 1,), all at once,
        whatever ``steps`` is."""
        ids = a_text(self, ids)
        if steps is not None:
            checks.count(type(self).__name__, "steps", steps)
        return np.log(self.mixed(self.windows(ids)[1:]))

    def forward(self, x):
        """log p of every token after x (1, T), as scores (1, 1, V)."""
        every = np.arange(self.vocabulary)
        before = np.broadcast_to(self.windows(np.append(x[0], 0))[-1, :-1],
                                 (len(every), self.n - 1))
        return np.log(self.mixed(np.column_stack([before, every])))[None, None]


class KneserNey(NGram):
    """The strongest of the simple n-grams: a discount in place of weights, and other counts for the
    shorter ones.

        p_k(w | h) = max(c_k(h_k w) - d, 0) / c_k(h_k) + d · kinds(h_k) / c_k(h_k) · p_{k-1}(w | h)

    From every sequence seen d is taken off, and what is gained goes to the shorter context: the
    more tokens were seen to follow h_k, the likelier is another. c_n counts as before, but for
    k < n

        c_k(v) = the number of different tokens seen in front of v:

    "Francisco" is frequent, but only after "San", so elsewhere it is unlikely. ``discount`` d is
    the one of 0.05, 0.1, ... 0.95 that makes the held-out text likeliest.

    Source: Kneser and Ney, Improved backing-off for m-gram language modeling (1995), interpolated
    as in Chen and Goodman, An empirical study of smoothing techniques for language modeling (1999).

    >>> ids = np.array([0, 1, 0, 2] * 20)
    >>> model = KneserNey(3, n=3).fit(ids)
    >>> model.discount, model.generate([1, 0], 5, temperature=0)
    (0.05, array([2, 0, 1, 0, 2]))
    """

    discount = None  # until fit

    def shortened(self, at: Array, c: Array) -> Array:
        return np.bincount(at)

    def tune(self, windows: Array) -> None:
        def surprise(d):
            self.discount = d
            return -np.log(self.mixed(windows)).mean()
        self.discount = min((d / 20 for d in range(1, 20)), key=surprise)

    def mixed(self, windows: Array) -> Array:
        p: Any = 1 / self.vocabulary
        d = self.discount
        for c, total, kinds in self.found(windows):
            p = np.where(total > 0, (np.maximum(c - d, 0) + d * kinds * p) / np.maximum(total, 1),
                         p)
        return p


def looked_up(keys, wanted, *values):
    """The values of the sorted ``keys`` that are ``wanted``, else 0."""
    at = np.minimum(keys.searchsorted(wanted), len(keys) - 1)
    return [np.where(keys[at] == wanted, v[at], 0) for v in values]
