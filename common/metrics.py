"""How good a model is, as functions of (output, target): a Python float each, except for the
confusion matrix.

For classes the output y holds scores (N, ..., C), logits or probabilities, and the target t integer
labels (N, ...) or rows (N, ..., C) of probabilities, one-hot for instance, of which the largest is
the class. A last axis of size 1 is a binary logit and stands for the scores (0, y): y > 0 means
class 1, t has y's shape and holds 0 or 1.

Wrong shapes, empty arrays and labels out of range raise ValueError, labels that are not integers
TypeError. Positions whose integer label is ``ignore_label`` do not count; if none is left, the
result is nan.
"""
import functools
import inspect
import weakref
from collections.abc import Callable
from typing import Any, ParamSpec

import numpy as np

from . import checks
from .functions import log_softmax
from .types import Array, ArrayLike

P = ParamSpec("P")                              # the arguments of a metric


def averaged(
    then: Callable[[float], float] = float,
) -> Callable[[Callable[P, Any]], Callable[P, float]]:
    """Make a metric of a function that returns a value for each position that counts, (M,):
    ``then`` of their mean.

    The Trainer adds such a metric up batch by batch, whatever the shapes of the batches, and keeps
    no outputs:

    >>> @averaged()
    ... def absolute_error(y, t):
    ...     return np.abs(y - t).reshape(-1)
    >>> absolute_error(np.array([[1.0, 3.0]]), np.array([[0.0, 0.0]]))
    2.0
    """
    def decorate(values):
        @functools.wraps(values)
        def metric(*arguments, **options):
            return then(_mean(values(*arguments, **options)))
        metric.__signature__ = inspect.signature(values).replace(return_annotation=float)
        AVERAGED[metric] = values, then
        return metric
    return decorate


AVERAGED: Any = weakref.WeakKeyDictionary()     # {metric: (its values, what is made of their mean)}


def as_mean(metric):
    """(values, then) of a metric made by ``averaged``, also within a functools.partial, or None."""
    if isinstance(metric, functools.partial) and metric.func in AVERAGED:
        values, then = AVERAGED[metric.func]
        return functools.partial(values, *metric.args, **metric.keywords), then
    return AVERAGED.get(metric) if inspect.isfunction(metric) else None


@averaged()
def accuracy(y: ArrayLike, t: ArrayLike, ignore_label: int | None = None) -> Array:
    """The share of positions whose largest score stands at the true class.

    >>> accuracy([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]], [1, 0, 0, 0])
    0.75
    """
    y, t = _labelled("accuracy", y, t, ignore_label)
    return y.argmax(axis=1) == t


@averaged()
def top_k_accuracy(y: ArrayLike, t: ArrayLike, k: int = 5) -> Array:
    """The share of positions whose true class is among the k largest scores; of equals the first
    counts.

    >>> top_k_accuracy([[0.5, 0.3, 0.2], [0.2, 0.3, 0.5]], [1, 0], k=2)
    0.5
    """
    y, t = _labelled("top_k_accuracy", y, t)
    classes = y.shape[1]
    if checks.count("top_k_accuracy", "k", k) > classes:
        raise ValueError(
            checks.wrong("top_k_accuracy", "k", f"be at most the {classes} classes", k))
    true = y[np.arange(len(y)), t][:, None]
    # Counting what stands before the true class is faster than sorting. A nan stands before
    # everything.
    before = ~(y <= true) | (y == true) & (np.arange(classes) < t[:, None])
    return before.sum(axis=1) < k


def confusion_matrix(y: ArrayLike, t: ArrayLike) -> Array:
    """Counts (C, C), int64: row i, column j says how many samples of class i were taken for class
    j.

    >>> confusion_matrix([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]], [1, 0, 0])
    array([[1, 1],
           [0, 1]])
    """
    y, t = _labelled("confusion_matrix", y, t)
    C = y.shape[1]
    cells = (t * C + y.argmax(axis=1)).astype(np.intp)             # of 32 bits in a browser
    return np.bincount(cells, minlength=C * C).reshape(C, C).astype(np.int64, copy=False)


def _of_classes(who, y, t, average, ignore_label, formula):
    """``formula(hits, guessed, true)``, the counts of right predictions, of all, and of samples, of
    each class, averaged over those that occur."""
    if average is not None:
        checks.one_of(who, "average", average, ("macro", "micro", "weighted", "binary"))
    y, t = _labelled(who, y, t, ignore_label)
    C, guess = y.shape[1], y.argmax(axis=1)
    t = t.astype(np.intp)
    hits, guessed, true = (np.bincount(a, minlength=C) for a in (t[guess == t], guess, t))
    if average == "micro":
        return float(formula(hits.sum(), guessed.sum(), true.sum()))
    each = formula(hits, guessed, true)
    if average is None:
        return each
    if average == "binary":
        if C != 2:
            raise ValueError(checks.wrong(who, "y", 'have two classes for average="binary"', C,
                                          'average="macro" is the mean over classes'))
        return float(each[1])
    weight = true if average == "weighted" else (guessed + true > 0).astype(float)
    return float(each @ weight / weight.sum()) if weight.any() else np.nan


def _share(a, b):
    """a / b, 0 where b is 0."""
    return np.divide(a, b, out=np.zeros(np.shape(b)), where=b != 0)


def precision(y: ArrayLike, t: ArrayLike, average: str | None = "macro",
              ignore_label: int | None = None) -> Any:
    """Of the samples that were taken for a class, the share that are of it: TP / (TP + FP).

    - average: "macro", the mean over the classes that occur in t or among the predictions;
      "weighted", with the number of samples of each class as its weight; "micro", all classes
      counted together, which is the accuracy; "binary", of class 1 of two; None, an array (C,).

    A class that nothing was taken for has precision 0, as in scikit-learn. Source: van Rijsbergen,
    Information Retrieval (1979), chapter 7.

    >>> y, t = [[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6]], [1, 0, 0, 1]
    >>> precision(y, t, average=None).round(3), recall(y, t, average=None)
    (array([1.   , 0.667]), array([0.5, 1. ]))
    """
    return _of_classes("precision", y, t, average, ignore_label,
                       lambda hits, guessed, true: _share(hits, guessed))


def recall(y: ArrayLike, t: ArrayLike, average: str | None = "macro",
           ignore_label: int | None = None) -> Any:
    """Of the samples of a class, the share that was taken for it: TP / (TP + FN). ``average`` as in
    ``precision``.

    >>> recall([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]], [1, 0, 0], average="binary")
    1.0
    """
    return _of_classes("recall", y, t, average, ignore_label,
                       lambda hits, guessed, true: _share(hits, true))


def f1(y: ArrayLike, t: ArrayLike, average: str | None = "macro",
       ignore_label: int | None = None) -> Any:
    """The harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN). ``average`` as in
    ``precision``.

    >>> round(f1([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]], [1, 0, 0]), 4)
    0.6667
    """
    return _of_classes("f1", y, t, average, ignore_label,
                       lambda hits, guessed, true: _share(2 * hits, guessed + true))


def roc_auc(scores: ArrayLike, t: ArrayLike) -> float:
    """The area under the ROC curve: how often a 1 scores above a 0, a tie counting half.

    It is the rank statistic U of Mann and Whitney (1947) as a share of its maximum (Fawcett 2006,
    An introduction to ROC analysis). ``scores`` and t have one shape, t holds the labels 0 and 1,
    each at least once. For a network with two outputs the score is y[:, 1] - y[:, 0].

    >>> roc_auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    0.75
    """
    given = checks.as_array(scores)
    if given.dtype.kind in "iub" and ((given == 0) | (given == 1)).all():
        raise TypeError(checks.wrong("roc_auc", "scores", "be an array of floats", "labels, 0 or 1",
                                     "pass the scores from which these were decided"))
    scores = checks.array("roc_auc", "scores", scores)
    checks.finite("roc_auc", "scores", scores)
    t = checks.numbers("roc_auc", "t", checks.as_array(t))
    if t.shape != scores.shape:
        raise ValueError(
            checks.wrong("roc_auc", "t", f"have the shape of scores, {scores.shape}", t.shape))
    present = np.unique(t)
    if not np.array_equal(present, [0, 1]):
        raise ValueError(
            checks.wrong("roc_auc", "t", "hold 0 and 1, both of them", present[:5].tolist()))
    positive, negative = scores[t == 1], np.sort(scores[t == 0])
    below = np.searchsorted(negative, positive, "left")
    not_above = np.searchsorted(negative, positive, "right")
    return float((below + not_above).sum() / (2 * positive.size * negative.size))


def _exp(x):
    with np.errstate(over="ignore"):
        return float(np.exp(x))


@averaged(_exp)
def perplexity(y: ArrayLike, t: ArrayLike, ignore_label: int | None = None) -> Array:
    """exp(mean of -log softmax(y)_t): among how many equally likely classes the model is still
    guessing.

    y holds logits, and the mean is the loss of SoftmaxWithLoss. Past exp(709) the result is inf.
    (Saito, Deep Learning from Scratch 2, chapter 5.5.)

    >>> round(perplexity(np.zeros((3, 10)), [0, 4, 9]), 9)
    10.0
    """
    y, t = _flat("perplexity", y, t, ignore_label)
    log_p = log_softmax(y)
    return -log_p[np.arange(len(t)), t] if t.ndim == 1 else -(t * log_p).sum(axis=1)


@averaged()
def mean_absolute_error(y: ArrayLike, t: ArrayLike) -> Array:
    """The mean of |y - t| over all elements, in the unit of t. y and t have one shape.

    >>> mean_absolute_error([[1.0, 3.0]], [[0.0, 0.5]])
    1.75
    """
    y = checks.array("mean_absolute_error", "y", y, np.float64, ("N", ...))
    t = checks.array("mean_absolute_error", "t", t, np.float64, y.shape)
    return np.abs(y - t).reshape(-1)


def r2(y: ArrayLike, t: ArrayLike) -> float:
    """The coefficient of determination 1 - Σ(t - y)² / Σ(t - mean t)²: 1 is perfect, 0 as good as
    the mean.

    y and t have one shape, (N,) or (N, ..., D); over several outputs D the mean is taken. Constant
    targets leave nothing to explain and raise ValueError.

    >>> r2([1.0, 2.0, 4.0], [1.0, 2.0, 3.0])
    0.5
    """
    y = checks.array("r2", "y", y, np.float64, ("N", ...))
    t = checks.array("r2", "t", t, np.float64, y.shape)
    outputs = t.shape[-1] if t.ndim > 1 else 1
    y, t = y.reshape(-1, outputs), t.reshape(-1, outputs)
    if (t == t[0]).all(axis=0).any():
        raise ValueError(
            "r2: t should vary, got the same target for every sample; r2 is not defined there")
    unexplained = np.square(t - y).sum(axis=0) / np.square(t - t.mean(axis=0)).sum(axis=0)
    return float(np.mean(1 - unexplained))


def _labelled(who, y, t, ignore_label=None) -> tuple[Array, Array]:
    """Scores (M, C) and labels (M,) of the M positions that count."""
    y, t = _flat(who, y, t, ignore_label)
    return y, t if t.ndim == 1 else t.argmax(axis=1)


def _scores(who, y, t):
    """``y`` as scores (N, ..., C); TypeError or ValueError for labels in their place."""
    a = checks.as_array(y)
    whole = (a.dtype.kind in "iub" or a.dtype.kind == "f" and a.ndim == 1
             and np.array_equal(a, np.floor(a)))
    one_hot = t.ndim > 1 and t.dtype.kind in "fiub" and (t.sum(axis=-1) == 1).all()
    if whole and a.shape == t.shape and a.shape[-1:] != (1,) and not one_hot:
        raise TypeError(checks.wrong(
            who, "y", "hold scores, shape (N, ..., C)", f"labels, {a.dtype} {a.shape}",
            "pass the scores whose argmax they are; the share of right labels is (y == t).mean()"))
    return checks.array(who, "y", y, shape=("N", ..., "C"))


def _flat(who, y, t, ignore_label=None) -> tuple[Array, Array]:
    """Scores (M, C) and labels (M,) or probabilities (M, C) of the M positions that count."""
    if ignore_label is None and _plain(y, t):
        return y, t
    checks.unmasked(who, "t", t)
    given, t = t, checks.as_array(t)
    y = _scores(who, y, t)
    if ignore_label is not None:
        ignore_label = checks.whole(who, "ignore_label", ignore_label)
    if t.shape == y.shape and t.dtype.kind not in "fiub":
        raise TypeError(checks.wrong(who, "t", "hold class labels, or rows of probabilities",
                                     checks.kind_text(given, t)))
    if y.shape[-1] == 1:
        if t.shape != y.shape:
            expected = f"have shape {y.shape}, a 0 or 1 for each binary logit"
            raise ValueError(checks.wrong(who, "t", expected, t.shape))
        other = t[(t != 0) & (t != 1)]
        if other.size:
            raise ValueError(checks.wrong(who, "t", "hold 0 or 1 for each binary logit", other[0]))
        y, t = np.concatenate([np.zeros_like(y), y], axis=-1), np.concatenate([1 - t, t], axis=-1)
    classes = y.shape[-1]
    if t.shape == y.shape:
        sums = t.sum(axis=-1)
        if not ((t >= 0).all() and np.allclose(sums, 1, atol=1e-3)):
            expected = "hold class labels, or rows of probabilities that sum to 1"
            got = (f"{t.min():g} to {t.max():g}, in rows that sum to {sums.min():g} to "
                   f"{sums.max():g}")
            raise ValueError(checks.wrong(who, "t", expected, got))
        return y.reshape(-1, classes), t.reshape(-1, classes)
    t = checks.labels(who, given, y.shape[:-1], classes, ignore_label)
    if ignore_label is None:
        return y.reshape(-1, classes), t.reshape(-1)
    keep = t != ignore_label
    return y[keep], t[keep]


def _plain(y, t):
    """Whether y and t are scores (N, C) and labels (N,) beyond doubt, as in most steps."""
    return (y.__class__ is t.__class__ is np.ndarray and y.dtype in checks.FLOATS
            and t.dtype == np.int64 and y.ndim == 2 and y.shape[1] > 1
            and t.ndim == 1 and len(t) == len(y) > 0
            and t.view(np.uint64).max() < y.shape[1])             # a negative label is large there


def _mean(values):
    return float(np.mean(values, dtype=np.float64)) if values.size else np.nan
