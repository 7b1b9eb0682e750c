"""Word vectors: words that occur in like company get like vectors."""
import copy
from typing import Any

import numpy as np

from ...common import checks, initializers
from ...common.layer import Layer
from ...common.rng import generator
from ...common.types import Array, ArrayLike, DType, Seed
from ...datasets.sequence_batches import sequence
from ...layers import Embedding, EmbeddingDot, MatMul, Mean, SigmoidWithLoss, SoftmaxWithLoss
from ..graph import Graph
from ..node import Input, Node


class NegativeSampler(Layer):
    """K random words for each true one, by frequency: t (N,) or (N, C) to ids and labels, both (N,
    C (1 + K)).

        p_i ∝ n_i^¾, over all words but the true one

    The power ¾ lifts rare words. Of each group of 1 + K ids the first is the true word, with label
    1, the others have label 0. A draw is the word into whose interval of [0, 1), p long, a uniform
    number falls; that of the true word is jumped over. In evaluation mode every call draws the
    same. Targets have no gradient.

    Raises ValueError unless at least two words have a count above 0. Source: Mikolov et al.,
    Distributed representations of words and phrases and their compositionality (2013), 2.2.

    >>> ids, labels = NegativeSampler([5, 3, 2], 4, rng=0).forward(np.array([2, 0]))
    >>> ids
    array([[2, 1, 0, 0, 0],
           [0, 2, 2, 2, 2]])
    >>> labels
    array([[1., 0., 0., 0., 0.],
           [1., 0., 0., 0., 0.]], dtype=float32)
    """

    def __init__(
        self, counts: Any, negatives: int = 5, power: float = 0.75, rng: Seed = None
    ) -> None:
        super().__init__()
        counts = checks.array("NegativeSampler", "counts", counts, np.float64, ("V",))
        if counts.min() < 0 or (counts > 0).sum() < 2:
            raise ValueError(checks.wrong("NegativeSampler", "counts",
                                          "be at least 0, and above it for two words or more",
                                          counts, "Vocabulary.from_text counts"))
        self.negatives = checks.count("NegativeSampler", "negatives", negatives)
        p = np.where(counts > 0, counts, 1) ** power * (counts > 0)
        self.ends = np.cumsum(p / p.sum())  # of the words' intervals
        self.p = np.diff(self.ends, prepend=0)
        self.buffers["rng"] = generator("NegativeSampler", rng)

    def forward(self, t):
        t = checks.row_numbers("NegativeSampler", "t", t, len(self.p))
        N, K = len(t), self.negatives
        true = t.reshape(N, -1, 1)
        rng = self.buffers["rng"] if self.training else copy.deepcopy(self.buffers["rng"])
        u = rng.random(true.shape[:2] + (K,)) * (self.ends[-1] - self.p[true])
        u += np.where(u >= self.ends[true] - self.p[true], self.p[true], 0)
        drawn = np.minimum(self.ends.searchsorted(u, side="right"), len(self.p) - 1)
        ids = np.concatenate([true, drawn], axis=2)
        labels = np.zeros(ids.shape, np.float32)
        labels[..., 0] = 1
        return ids.reshape(N, -1), labels.reshape(N, -1)

    def backward(self, dout):
        return None


class Shares(Layer):
    """The share (N, V) of every word in each row of t (N, C), for a softmax."""

    guarded = False  # what is wrong with t is SkipGram's to say

    def __init__(self, vocabulary):
        super().__init__()
        self.vocabulary = vocabulary

    def forward(self, t):
        checks.unmasked("SkipGram", "t", t)
        t, V = checks.row_numbers("SkipGram", "t", t, self.vocabulary), self.vocabulary
        rows = np.arange(0, len(t) * V, V).reshape(-1, *[1] * (t.ndim - 1))
        counts = np.bincount((rows + t).ravel(), minlength=len(t) * V)
        return counts.reshape(len(t), V) / (t.size / len(t))

    def backward(self, dout):
        return None


class WordVectors(Graph):
    """What CBOW and SkipGram share: W_in, W_out and the two losses (see CBOW)."""

    def __init__(
        self, vocabulary: int, dimension: int = 100, counts: ArrayLike | None = None,
        negatives: int = 0, rng: Seed = None, dtype: DType = np.float32,
    ) -> None:
        who, rng = type(self).__name__, generator(type(self).__name__, rng)
        checks.counts(who, vocabulary=vocabulary, dimension=dimension)
        dtype = checks.float_type(who, "dtype", dtype)
        x, t = Input("x"), Input("t")
        h = self.hidden(Embedding.init(vocabulary, dimension, rng=rng, dtype=dtype)(x))
        if checks.count(who, "negatives", negatives, least=0):
            if checks.as_array(counts).shape != (vocabulary,) or hasattr(counts, "counts"):
                got = (type(counts).__name__ if hasattr(counts, "counts")
                       else checks.as_array(counts).shape or checks.text(counts))
                raise ValueError(
                    checks.wrong(who, "counts", f"hold {vocabulary} numbers, how often each word "
                                 "occurs, for negative sampling", got, "Vocabulary.counts does"))
            drawn = NegativeSampler(counts, negatives, rng=rng)(t)
            scores = EmbeddingDot.init(vocabulary, dimension, rng=rng, dtype=dtype)(h, drawn[0])
            super().__init__(x, h, t, loss=(1 + negatives) * SigmoidWithLoss()(scores, drawn[1]))
        else:
            draw = initializers.gaussian
            output = MatMul.init(dimension, vocabulary, rng=rng, initializer=draw, dtype=dtype)(h)
            super().__init__(x, output, t,
                             loss=SoftmaxWithLoss()(output, self.wanted(t, vocabulary)))
        self.negatives = negatives

    def forward(self, *arrays, weight=None):
        who = type(self).__name__
        x, *targets = map(checks.as_array, arrays or (0.0,))
        fits = x.ndim == len(self.axes)
        if fits and len(targets) == 1 and targets[0].shape[:1] != x.shape[:1]:
            t = targets[0]
            raise ValueError(
                checks.wrong(who, "t", f"have {len(x)} rows", len(t) if t.ndim else t))
        if weight is not None and x.ndim:  # before negative words are drawn
            weight = checks.array(who, "weight", weight, np.float32, x.shape[:1])
        if not fits and x.dtype.kind in "iu":
            hint = "x, t" if len(self.axes) == 2 else "t, x"
            raise ValueError(checks.wrong(who, "x", f"have shape {checks.shape_text(self.axes)}",
                                          x.shape, f"as from {hint} = context_windows(ids)"))
        result = super().forward(*arrays, weight=weight)
        if self.negatives:
            self.output = None  # h, and not scores of words: no metric fits
        return result

    @property
    def vectors(self) -> Array:
        """W_in (V, D): row i is the vector of word i."""
        return self.params[0]

    def scores(self, x: ArrayLike) -> Array:
        """s (N, V): of every word, with either loss."""
        y = self.predict(x)
        return y.dot(self.params[1].T) if self.negatives else y


class CBOW(WordVectors):
    """Continuous bag of words: guess a word from the C words around it.

        h = mean of W_in[x_1], ..., W_in[x_C]        s = h W_outᵀ        p = softmax(s)

    Shapes: x (N, C) ids of the contexts, t (N,) ids of the words between, both from
    ``context_windows``; h (N, D), s (N, V). The rows of W_in, ``vectors`` (V, D), are the aim.

    - vocabulary: the number of words V; dimension: D;
    - negatives: K, 0 for the full softmax, whose cost grows with V. K > 0 is negative sampling: do
      not name the true word t among V, tell it from K random ones w_1..w_K,

          L = -log σ(h · W_out[t]) - Σ_k log σ(-h · W_out[w_k])

      and only the rows of these words get a gradient (SGD and AdaGrad touch no others). All vectors
      learn in common that most scores are negative: ``vectors - vectors.mean(axis=0)`` tells words
      better apart;
    - counts (V,): how often each word occurs (``Vocabulary.counts``), for ``NegativeSampler``.

    ``forward(x)`` and ``predict(x)`` give s, with negative sampling h (``scores(x)`` gives s). The
    loss is the mean over N. Sources: Mikolov et al., Efficient estimation of word
    representations in vector space, and Distributed representations of words and phrases and their
    compositionality (both 2013); Saito, Deep Learning from Scratch 2, chapters 3 and 4.

    Raises ValueError for an id outside 0..V-1 and for negatives without counts, TypeError for ids
    that are not integers.

    >>> from chainrule.training import Trainer
    >>> from chainrule.optimizers import Adam
    >>> # 0 or 1, 2 or 3, ...
    >>> ids = np.tile([0, 2, 4], 100) + np.random.default_rng(0).integers(0, 2, 300)
    >>> x, t = context_windows(ids, 1)
    >>> model = CBOW(6, dimension=8, counts=np.bincount(ids), negatives=3, rng=0)
    >>> _ = Trainer(model, Adam(lr=0.01), metrics=()).fit(x, t, epochs=30, rng=0, progress=False)
    >>> nearest(model.vectors, [0, 2, 4], k=1)[0]
    array([[1],
           [3],
           [5]])
    """

    axes = ("N", "C")

    def hidden(self, embedded: Node) -> Node:
        return Mean(axis=1)(embedded)

    def wanted(self, t: Node, vocabulary: int) -> Node:
        return t


class SkipGram(WordVectors):
    """The other way round: guess the C words around a word from it.

        h = W_in[x]        s = h W_outᵀ        p = softmax(s), for each of the C words the same

    Shapes: x (N,) ids of words, t (N, C) ids around them, or (N,) one each: ``t, x =
    context_windows(ids)``. The loss is the mean over all N · C pairs. All else as in CBOW; C times
    as many words to guess make it slower, and better for rare words.

    >>> model = SkipGram(10, dimension=4, rng=0)
    >>> # log 10: knows nothing yet
    >>> round(model.forward(np.array([3, 7]), np.array([[2, 4], [6, 8]])), 2)
    2.3
    """

    axes = ("N",)

    def hidden(self, embedded: Node) -> Node:
        return embedded

    def wanted(self, t: Node, vocabulary: int) -> Node:
        return Shares(vocabulary)(t)


def context_windows(ids: ArrayLike, size: int = 2) -> tuple[Array, Array]:
    """Each word of a text (T,) that has ``size`` words on both sides, and what stands there.

    Returns contexts (M, 2 · size) and words (M,), M = T - 2 · size. Of several sentences
    ``np.concatenate`` each one's windows, so that none reaches into the next.

    >>> context_windows(np.array([10, 11, 12, 13]), 1)
    (array([[10, 12],
           [11, 13]]), array([11, 12]))
    """
    ids, size = (sequence("context_windows", "ids", ids),
                 checks.count("context_windows", "size", size))
    if len(ids) <= 2 * size:
        raise ValueError(
            checks.wrong("context_windows", "ids", f"be a text of at least {2 * size + 1} words",
                         f"shape {ids.shape}"))
    windows = np.lib.stride_tricks.sliding_window_view(ids, 2 * size + 1)
    return np.delete(windows, size, axis=1), windows[:, size].copy()


def nearest(vectors: ArrayLike, ids: ArrayLike, k: int = 10) -> tuple[Array, Array]:
    """The k words whose vectors point most nearly the way of each word's in ``ids`` (n,), itself
    left out.

    Returns their ids and the cosines, both (n, k), the nearest first; ``vectors`` (V, D). Put any
    other vector q, such as an analogy's ``king - man + woman``, below them:
    ``nearest(np.vstack([vectors, q]), [len(vectors)])``.

    >>> nearest(np.array([[1.0, 0.0], [0.0, 9.0], [5.0, 5.0], [0.0, 0.0]]), [0], k=2)
    (array([[2, 1]]), array([[0.70710678, 0.        ]]))
    """
    vectors = checks.array("nearest", "vectors", vectors, shape=("V", "D"))
    if (checks.as_array(ids).shape[-1:] == vectors.shape[1:]
        and checks.as_array(ids).dtype.kind == "f"):
        raise TypeError(checks.wrong(
            "nearest", "ids", f"hold integers in 0..{len(vectors) - 1}", "a vector",
            "put it below the others: nearest(np.vstack([vectors, q]), [len(vectors)])"))
    ids = checks.row_numbers("nearest", "ids", ids, len(vectors))
    if ids.ndim != 1:
        hint = "" if ids.ndim else "for one word, [id]"
        raise ValueError(checks.wrong("nearest", "ids", "have shape (n,)", ids.shape, hint))
    if not 0 < checks.count("nearest", "k", k) < len(vectors):
        raise ValueError(checks.wrong("nearest", "k", f"be in 1..{len(vectors) - 1}", k))
    units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True),
                                 np.finfo(vectors.dtype).tiny)
    cosines = units[ids].dot(units.T)
    cosines[np.arange(len(ids)), ids] = -np.inf
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(cosines, order, axis=1)
