"""Whether last layer, loss and metrics fit the task that the targets set."""
from functools import partial

import numpy as np

from ..common.metrics import accuracy, perplexity, r2, top_k_accuracy
from .report import Finding
from .signals import unwatched

LOSSES = {"SoftmaxWithLoss": "softmax", "SigmoidWithLoss": "sigmoid", "HingeLoss": "hinge",
          "KLDivergence": "divergence", "SquaredError": "distance", "Huber": "distance",
          "NormLoss": "distance", "CosineLoss": "cosine"}
OUT_OF_SHAPE = ("look at shape and dtype of the model's output and of t: labels (N,) for "
                "SoftmaxWithLoss, the output's own shape for the other losses")


class Task:
    """What the targets ask for: ``kind`` is "classes", "binary", "several" (labels that do not
    exclude each other) or "values"; ``labels``, whole numbers (N, ...), of the first two."""

    def __init__(self, t, loss=None, quantities=False):
        self.kind, self.labels, self.codes, self.one_hot = "values", None, False, False
        whole = t.dtype.kind in "iub" or t.dtype.kind == "f" and bool((t == np.floor(t)).all())
        present = np.unique(t) if whole else t[:0]
        few = 2 <= len(present) <= max(20, 0.2 * t.size ** 0.5)
        # from -1, 0 or 1, and none left out: these look like the names of classes
        names = few and present.min() in (-1, 0, 1) and np.ptp(1 * present) <= len(present)
        zero_one = whole and set(present.tolist()) <= {0, 1}
        wide = t.ndim > 1 and t.shape[-1] > 1
        rows = wide and t.min() >= 0 and np.allclose(t.sum(-1), 1, atol=1e-3)
        if quantities:
            return
        if rows:
            self.kind, self.labels, self.one_hot = "classes", t.argmax(-1), True
        elif wide and loss == "softmax" and t.dtype.kind in "iu":      # a label at each position
            self.kind, self.labels = "classes", t
        elif wide and zero_one and t.shape[-1] <= 100:
            self.kind = "several"
        elif not wide and zero_one:
            self.kind, self.labels = "binary", t.reshape(len(t)).astype(int)
        elif not wide and whole and (loss in ("softmax", "hinge") or names):
            self.kind, self.labels = "classes", t.reshape(len(t)).astype(int)
            self.codes = t.dtype.kind == "f" or t.ndim > 1

    def labels_of(self, t):
        """Targets that ask for the same as labels (N,)."""
        return t.argmax(-1) if self.one_hot else t.reshape(len(t)).astype(int)


def loss_of(model):
    """(what kind of loss a model has, or None; its class's name)"""
    loss = getattr(model, "loss", None)
    names = [base.__name__ for base in type(loss).__mro__]
    return next((LOSSES[name] for name in names if name in LOSSES), None), type(loss).__name__


def last_layer(model):
    """The last layer that changes what runs through it."""
    layers = list(getattr(model, "layers", None) or ())
    while layers:
        layer = layers.pop()
        if getattr(layer, "layers", None) and hasattr(layer, "loss_of"):
            layers += layer.layers
        elif reach(layer) != "same":
            return layer
    return None


def reach(layer):
    """What a layer without parameters puts out, tried on numbers of any size: "same", one of BOUNDS
    or "any"."""
    if getattr(layer, "params", ()):
        return "any"
    z = 20 * np.random.default_rng(0).standard_normal((200, 3))
    try:
        y = np.asarray(unwatched(layer).forward(z))
    except Exception:
        return "any"
    if y.shape != z.shape or not np.isfinite(y).all():
        return "any"
    if np.array_equal(y, z):
        return "same"
    if y.min() >= 0 and np.allclose(y.sum(axis=1), 1):
        return "probabilities"
    if y.max() <= 1 + 1e-6 and y.min() >= -1 - 1e-6:
        return "fraction" if y.min() >= 0 else "signed fraction"
    return "positive" if y.min() >= 0 else "any"


BOUNDS = {"probabilities": (0, 1), "fraction": (0, 1), "signed fraction": (-1, 1),
          "positive": (0, np.inf)}


def output_and_loss(model, task, t, y):
    """Findings on the last layer, with outputs y or None, and the loss."""
    loss, name = loss_of(model)
    last = last_layer(model)
    end = reach(last) if last is not None else "any"
    at, kind = f"the last layer, {type(last).__name__}", task.kind
    C = y.shape[-1] if y is not None and y.ndim > 1 else 1

    found = partial(Finding, certain=True)
    labelled = kind in ("classes", "binary")
    if loss in ("softmax", "sigmoid", "hinge") and end in BOUNDS:
        yield found("wrong-output", at, f"{name} takes scores of any size, and this layer "
                    f"puts out {BOUNDS[end][0]} to {BOUNDS[end][1]}",
                    f"leave out {type(last).__name__}()"
                    + (": the loss has one inside" if loss != "hinge" else ""))
    if loss == "divergence" and end != "probabilities":
        yield found("wrong-output", at, f"{name} takes probabilities, and this layer can put "
                    "out any number", "a Softmax() at the end, or SoftmaxWithLoss()")
    if labelled and not task.one_hot and loss in ("softmax", "hinge"):
        low, high = int(task.labels.min()), int(task.labels.max())
        ignored = getattr(model.loss, "ignore_label", None)
        if ignored is not None and ignored in (low, high):
            kept = task.labels[task.labels != ignored]
            low, high = (int(kept.min()), int(kept.max())) if kept.size else (0, 0)
        shape = f"labels {low} to {high}, {C} outputs"
        if C == 1:
            yield found("wrong-output", at, shape, f"an output for each of {high + 1} classes"
                        ", or SigmoidWithLoss() for two")
        elif low < 0 or high >= C and len(np.unique(task.labels)) <= C:
            yield found("labels-mismatch", "t", f"{shape}: the loss takes 0 to {C - 1}",
                        "number the classes from 0: np.unique(t, return_inverse=True)[1]")
        elif high >= C:
            yield found("wrong-output", at, shape, f"{high + 1} outputs, one for each class")
        elif 2 * (high + 1) <= C <= 200 and high < 50 and len(t) >= 20 * C:
            yield found("wrong-output", at, f"{shape}: most are never right",
                        f"{high + 1} outputs, one for each class")
        if y is not None and y.ndim > task.labels.ndim + 1:
            yield found("wrong-output", at, f"outputs {y.shape} for labels {task.labels.shape}",
                        "Flatten() before the last Affine, or Last() after a recurrent layer")
    if task.one_hot and C != t.shape[-1] and y is not None:
        yield found("wrong-output", at, f"{t.shape[-1]} classes, {C} outputs",
                    "an output for each class")
    if labelled and loss in ("distance", "cosine"):
        yield found("wrong-loss", name, f"t names {len(np.unique(task.labels))} classes; "
                    f"{name} treats them as quantities",
                    "SigmoidWithLoss()" if kind == "binary" else
                    "SoftmaxWithLoss(), with an output for each class and integer labels")
    if kind == "several" and loss in ("softmax", "divergence", "hinge", "distance", "cosine"):
        yield found("wrong-loss", name, f"rows of t have {t.sum(-1).min():g} to "
                    f"{t.sum(-1).max():g} ones: the classes do not exclude each other",
                    "SigmoidWithLoss(), a yes or no for each class")
    if loss == "sigmoid":
        yield from of_sigmoid(task, t, name, C, at)
    if kind == "values" and loss in ("softmax", "hinge"):
        yield found("wrong-loss", name, f"t holds quantities from {t.min():.4g} to "
                    f"{t.max():.4g}, no classes", "SquaredError()")
    if kind == "values" and loss == "cosine":
        length = np.linalg.norm(t.reshape(-1, t.shape[-1] if t.ndim > 1 else 1), axis=1)
        if t.ndim == 1 or t.shape[-1] == 1 or length.std() > 0.1 * length.mean():
            yield found("wrong-loss", name, "t differs in length, from "
                        f"{length.min():.3g} to {length.max():.3g}, which this loss "
                        "does not see", "SquaredError()")
    if y is not None and y.shape != t.shape and (kind == "values" and loss == "distance" or (
            loss is None and y.size == t.size and kind != "classes")):
        yield found("labels-mismatch", "t", f"the outputs have shape {y.shape}, t {t.shape}",
                    "t.reshape(y.shape) if they are the same numbers")
    if kind == "values" and loss == "distance":
        low, high = BOUNDS.get(end, (-np.inf, np.inf))
        beyond = float(((t < low - 0.01) | (t > high + 0.01)).mean())
        if end == "probabilities" or beyond > 0.02:
            yield found("wrong-output", at, f"t goes from {t.min():.4g} to {t.max():.4g}, "
                        f"this layer's outputs from {low} to {high}",
                        f"leave out {type(last).__name__}(), or scale t into this range")


def of_sigmoid(task, t, name, C, at):
    """Findings on SigmoidWithLoss."""
    if task.kind == "classes" and task.one_hot:
        yield Finding("wrong-loss", name, f"each row of t names one of {t.shape[-1]} classes; "
                      "this loss asks a yes or no for each", "SoftmaxWithLoss()", True)
    elif task.kind == "classes":
        present = np.unique(t)
        if len(present) == 2:
            yield Finding("labels-mismatch", "t", f"labels {present[0]:g} and {present[1]:g}; the "
                          "loss takes 0 and 1", f"t = (t == {present[1]:g})", True)
        else:
            code = "wrong-output" if C == 1 else "wrong-loss"
            yield Finding(code, at if C == 1 else name, f"{len(present)} classes, {C} outputs for "
                          "a yes or no", f"{len(present)} outputs and SoftmaxWithLoss()", True)
    elif task.kind == "values" and (t.min() < 0 or t.max() > 1):
        yield Finding("wrong-loss", name, f"t goes from {t.min():.4g} to {t.max():.4g}; this loss "
                      "takes 0 to 1", "SquaredError()", True)


def metrics(given, model, task, t, y):
    """Findings on metrics, tried on perfect outputs and on those of other samples."""
    if y is None or len(t) < 2:
        return
    good, loss = ideal(task, t, y), loss_of(model)[0]
    other = good[np.random.default_rng(0).permutation(len(t))]
    for name, metric in given.items():
        def value(output, metric=metric):
            return float(np.asarray(metric(output, t)))
        plain = getattr(metric, "func", metric)
        of_classes = plain in (accuracy, top_k_accuracy, perplexity)
        try:
            best, chance, real = value(good), value(other), value(y)
        except Exception as error:
            yield Finding("wrong-metric", name, f"it fails on these outputs and targets ({error})",
                          fitting(task), True)
            continue
        small = value(0.3 * good) if y.shape[-1:] == (1,) and loss == "sigmoid" else best
        if task.kind == "values" and of_classes or task.kind != "values" and plain is r2:
            evidence = f"t holds {'quantities' if task.kind == 'values' else 'classes'}"
        elif best == chance or not np.isfinite([best, real]).any():
            evidence = f"it gives {best:.4g} for perfect outputs and for those of other samples"
        elif ("acc" in name.lower() and task.kind != "several" and
              (best < 0.99 or small < 0.99)):
            evidence = f"it gives {min(best, small):.4g} for outputs that are all right"
        else:
            continue
        yield Finding("wrong-metric", name, evidence, fitting(task), True)


def fitting(task):
    if task.kind == "values":
        return "metrics=(r2,), or metrics=() to watch the loss alone"
    return "metrics=(accuracy,) for scores (N, C) and labels (N,), or one logit (N, 1) and t (N, 1)"


def ideal(task, t, y):
    """Outputs that say what t says."""
    if task.labels is not None and y.ndim > task.labels.ndim and (
            y.shape[-1] > max(1, task.labels.max())):
        return 10.0 * (task.labels[..., None] == np.arange(y.shape[-1])).astype(y.dtype)
    a = t.astype(y.dtype)
    if task.kind in ("binary", "several"):
        return 2 * a - 1
    return a + (1e-3 * a.std() * np.random.default_rng(1).standard_normal(a.shape)).astype(y.dtype)
