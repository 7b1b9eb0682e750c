"""What ``Trainer.fit`` does with its samples: split, weights, augmentation."""
import inspect
import math
from collections.abc import Mapping

import numpy as np

from ..common import checks
from .answers import FIT, ask

AUGMENT = "as in augment=random_shifts or augment=lambda x, rng: x + rng.normal(0, 0.1, x.shape)"
CLASSES = 'as in class_weight={0: 1.0, 1: 5.0}, or class_weight="balanced"'


def labels_of(t):
    """Targets as class labels: integers as they are, of rows of probabilities the largest; or
    None."""
    rows = t.dtype.kind in "fiub" and t.ndim > 1 and t.shape[-1] > 1
    if rows and t.min() >= 0 and np.allclose(t.sum(axis=-1), 1, atol=1e-3):
        return t.argmax(axis=-1)
    if t.dtype.kind in "iu":
        return t
    binary = t.dtype.kind in "fb" and np.isin(t, (0, 1)).all()
    return t.astype(np.int64) if binary else None


def quotas(sizes, n, then=()):
    """How many of ``n`` samples come from each class, as ``train_test_split`` says; ``then`` breaks
    ties."""
    q, remainder = np.divmod(sizes * n, sizes.sum())
    q[np.lexsort((*then, -remainder, sizes == 1))[:n - q.sum()]] += 1
    return q


def set_aside(t, share):
    """Which of N samples ``validation_split`` takes, as ``fit`` says: (N,) of bool."""
    share, N = checks.number(FIT, "validation_split", share), len(t)
    n = math.ceil(round(share * N, 6))
    if not (0 < share < 1 and 0 < n < N):
        raise ValueError(checks.wrong(
            FIT, "validation_split",
            f"be a share between 0 and 1 that leaves each part some of the {N} samples", share))
    labels = labels_of(t)
    if labels is None or labels.size > N:
        return np.arange(N) >= N - n
    _, c, sizes = np.unique(labels.reshape(-1), return_inverse=True, return_counts=True)
    order = np.argsort(c, kind="stable")                        # the classes one after the other
    ends = np.cumsum(sizes)
    q = quotas(sizes, n, then=(-order[ends - 1],))
    aside = np.zeros(N, bool)
    aside[order] = np.arange(N) >= np.repeat(ends - q, sizes)
    return aside


def sample_weights(who, given, N):
    """A weight for each of N samples, or for each of their rows; at least 0."""
    weight = checks.array(who, "sample_weight", given, np.float64, (N, ...))
    checks.finite(who, "sample_weight", weight)
    if weight.min() < 0 or not weight.any():
        raise ValueError(checks.wrong(who, "sample_weight", "hold numbers of at least 0, "
                                      "and not zeros alone", weight.min()))
    return weight


def class_weights(given, t):
    """The weight of each row's class; a class without one weighs 1."""
    labels = labels_of(np.asarray(t))
    ask(labels is not None, FIT, "class_weight", "go with targets that are class labels", t)
    if isinstance(given, str):
        ask(given == "balanced", FIT, "class_weight", 'be a dict, a list or "balanced"', given,
            CLASSES, ValueError)
        classes, sizes = np.unique(labels[labels >= 0], return_counts=True)
        given = dict(zip(classes.tolist(), sizes.sum() / (len(sizes) * sizes)))
    elif not isinstance(given, Mapping):
        ask(checks.as_array(given).ndim == 1, FIT, "class_weight",
            'be a dict, a list or "balanced"', given, CLASSES)
        if labels.max() >= len(given):
            raise ValueError(checks.wrong(
                FIT, "class_weight", f"hold a weight for class {labels.max()}, too",
                f"{len(given)} weights", CLASSES))
        given = dict(enumerate(given))
    weight = np.ones(labels.shape)
    for label, w in given.items():
        label = checks.count(FIT, "a key of class_weight", label, least=0)
        weight[labels == label] = checks.number(FIT, f"class_weight[{label}]", w, low=0,
                                                expected="be a number of at least 0")
    return weight


def product(weight, other):
    """Two weights of rows, or of samples; None is 1."""
    if weight is None:
        return other
    low, high = sorted((weight, other), key=np.ndim)
    return low.reshape(low.shape + (1,) * (high.ndim - low.ndim)) * high


class Augment:
    """The user's ``function(x, rng)``, called for each batch."""

    def __init__(self, function, rng):
        self.function, self.rng = function, rng
        self.by_name = callable(function) and takes(function, "rng")
        fits = self.by_name or callable(function) and checks.fitting(function, (0, 0))
        ask(fits and not isinstance(function, type), FIT, "augment",
            "be a function of a batch and rng", function, AUGMENT)

    def __call__(self, batch):
        *x, t = batch
        given, rng = tuple(x) if len(x) > 1 else x[0], self.rng
        made = self.function(given, rng=rng) if self.by_name else self.function(given, rng)
        inputs = made if len(x) > 1 and isinstance(made, tuple) else (made,)
        ask([np.shape(a)[:1] for a in inputs] == [np.shape(a)[:1] for a in x], FIT, "augment",
            f"return {len(x)} array{'s' * (len(x) > 1)} of {len(x[0])} samples, as given", made)
        return *inputs, t


def takes(function, name):
    """Whether a function says that it takes an argument of this name."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:                                               # it does not say what it takes
        return False
    return any(p.name == name or p.kind is p.VAR_KEYWORD for p in parameters)
