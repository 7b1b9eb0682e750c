"""How much a model has right."""
import numpy as np

from . import samples, targets
from .trial import outputs, sampled


def score(model, task, data):
    """The share of right labels, or R²; None where neither applies."""
    if data is None:
        return None
    x, t = sampled(2000, *data, seed=2)
    y = outputs(model, x, t)
    labels = None if y is None else right(model, task, y, t)
    if labels is not None:
        return float(labels.mean())
    if y is None or task.kind != "values" or y.size != t.size:
        return None
    return samples.explained(samples.columns(y.reshape(t.shape)), samples.columns(t))


def right(model, task, y, t):
    """Which labels outputs y have right; None where that is no question."""
    several = y.ndim > 1 and y.shape[-1] > 1
    if task.kind == "classes" and several:
        labels = t.argmax(-1) if task.one_hot else t
        if labels.size * y.shape[-1] != y.size:
            return None
        labels = labels.reshape(y.shape[:-1])
        return (y.argmax(-1) == labels)[labels >= 0]
    if task.kind == "binary" and several:
        return y.argmax(-1) == task.labels_of(t)
    if task.kind in ("binary", "several") and y.size == t.size:
        return (y.reshape(t.shape) > cut(model)) == (t > 0.5)
    if task.kind == "classes" and y.size == t.size:
        return np.round(y.reshape(t.shape)) == t
    return None


def cut(model):
    """Above which output a model says yes: 0 for scores, 0.5 for fractions."""
    last = targets.last_layer(model)
    bounded = last is not None and targets.reach(last) in ("fraction", "probabilities")
    return 0.5 if bounded or targets.loss_of(model)[0] == "distance" else 0.0


def recalls(model, task, data):
    """{class: the share of its samples that are recognised}; empty where that is unknown."""
    t, y = data[1], outputs(model, *data)
    found = None if y is None else right(model, task, y, t)
    labels = task.labels_of(t)
    if found is None or len(found) != len(labels):
        return {}
    found = found.reshape(len(labels), -1)[:, 0]
    return {int(c): float(found[labels == c].mean()) for c in np.unique(labels)}
