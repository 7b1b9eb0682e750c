"""Mistakes of a forward, named by what it gives beside what it should give."""
from dataclasses import dataclass

import numpy as np

from ... import layers

CLOSE = 1e-9  # float32 is not
ELEMENTWISE = ("Sigmoid", "Tanh", "ReLU", "Softplus", "SiLU", "GELU", "Exp", "Sin")


@dataclass
class Finding:
    """A mistake; ``words``: the evidence; ``line``: its number and text, if known."""
    code: str
    method: str
    where: str = ""
    words: str = ""
    line: tuple | None = None


def encoded(a):
    return {"dtype": str(a.dtype), "shape": list(a.shape), "values": a.ravel().tolist()}


def array(item):
    """An answer's array, or None for what is none."""
    try:
        return np.array(item["values"], float).reshape([int(n) for n in item["shape"]])
    except (TypeError, KeyError, ValueError, OverflowError):
        return None


def close(a, b, tolerance=CLOSE):
    """Whether two arrays agree, up to a share of the largest entry."""
    if a is None or a.shape != b.shape or not np.isfinite(a).all():
        return False
    return bool(np.abs(a - b).max(initial=0) <= tolerance * max(np.abs(b).max(initial=0), 1e-300))


def wrong(pairs):
    """The Findings on a forward, at most one of each code, given trials and answers."""
    found = {}
    for trial, answer in pairs:
        for finding in of_one(trial, answer):
            found.setdefault(finding.code, finding)
    return list(found.values())


def of_one(trial, answer):
    if answer.get("error") and answer.get("stage") in (None, "made", "forward"):
        method = "__init__" if answer.get("stage") == "made" else "forward"
        yield Finding(answer["kind"], method, words=answer["error"])
        return
    y = array(answer.get("y"))
    if y is None:
        asked = f"an array of shape {trial.y.shape}" if trial.y.ndim else "a number"
        yield Finding("no-array", "forward", "y",
                      f"it returns {named(answer.get('y'))}, where {asked} is asked")
        return
    if not close(y, trial.y):
        code, words = reading(trial, y)
        yield Finding(code, "forward", "y", words)
    elif not close(array(answer.get("y_again")), y):
        yield Finding("nondeterministic", "forward", "y", "a second call gives another answer")
    if answer.get("changed"):
        yield Finding("mutates-input", "forward", "x", "the input is changed: work on a copy, or "
                      "write out-of-place")


def named(item):
    if item is None:
        return "None"
    if isinstance(item, list):
        return f"a tuple of {len(item)}"
    return item.get("strange", "no array") if isinstance(item, dict) else "no array"


def reading(trial, y):
    """The first (code, sentence) that fits what a forward gives."""
    want = trial.y
    if not np.isfinite(y).all():
        return "not-finite", f"{np.sum(~np.isfinite(y))} of {y.size} entries are not finite"
    if found := of_a_shape(y, want) if want.ndim else of_a_loss(trial.inputs[0], y, want):
        return found
    y = y.reshape(want.shape)  # a loss may be an array of one entry
    if close(y, -want):
        return "wrong-sign-in-forward", "it has the other sign everywhere"
    for look in (of_sums, of_parameters, of_functions, of_all_entries, of_samples):
        if found := look(trial, y, want):
            return found
    at = tuple(int(i) for i in np.unravel_index(np.argmax(np.abs(y - want)), want.shape))
    return "wrong-values", f"at {at} it is {y[at]:.6g}, where {want[at]:.6g} is right"


def of_a_loss(x, y, want):
    """A loss is one number, the mean over samples (N, C)."""
    N, C = len(x), x.shape[-1]
    if y.size > 1 and close(np.asarray(y.mean()), want):
        return "no-batch-mean", (f"it returns an array of shape {y.shape}, one loss a sample: no "
                                 "mean over the batch")
    if y.size != 1 or y.ndim and close(y.reshape(()), want):
        return "wrong-shape", f"it returns an array of shape {y.shape}, where a number is asked"
    y = y.reshape(())
    if close(y, want * N):
        return "no-batch-mean", (f"it is {N} times too large, N = {N}: a sum, no mean over the "
                                 "batch")
    if close(y, want / N):
        return "divided-by-N-in-forward", f"it is divided by N = {N} once too often"
    if close(y, want / C):
        return "wrong-mean", f"it is divided by C = {C} too: the mean is over the samples alone"
    return None


def of_a_shape(y, want):
    if y.shape == want.shape:
        return None
    if y.T.shape == want.shape and close(y.T, want):
        return "transposed-output", f"it is transposed: {y.shape}, where {want.shape} is asked"
    if y.size == want.size and close(y.reshape(want.shape), want):
        return "wrong-shape", (f"the right numbers in the shape {y.shape}, where {want.shape} is "
                               "asked")
    return "wrong-shape", f"it has shape {y.shape}, where {want.shape} is asked"


def of_sums(trial, y, want):
    """Probabilities sum to 1 in each row."""
    if not sums_to_one(want) or sums_to_one(y):
        return None
    if np.allclose(y.sum(axis=0), 1):
        return "wrong-axis", "columns sum to 1, where rows should: the axis is the wrong one"
    first = y.reshape(-1, y.shape[-1])[0].sum()
    return "rows-do-not-sum-to-1", f"rows do not sum to 1: the first sums to {first:.4g}"


def sums_to_one(y):
    return bool(y.ndim and np.allclose(y.sum(axis=-1), 1) and (y >= 0).all())


def of_parameters(trial, y, want):
    for i, name in enumerate(trial.names):
        without = [np.zeros_like(p) if j == i else p for j, p in enumerate(trial.parameters)]
        if close(y, np.asarray(trial.task.reference(without).forward(*trial.inputs), float)):
            return "parameter-not-used", f"it is what comes with {name} = 0: {name} is not used"
    return None


def of_functions(trial, y, want):
    x, *others = trial.inputs
    if others or x.dtype.kind != "f" or x.shape != want.shape:
        return None
    for words, other in (("its input", x), ("|x|", np.abs(x)), ("min(0, x)", np.minimum(x, 0)),
                         ("the mask x > 0", (x > 0).astype(float)), ("exp(-x)", np.exp(-x)),
                         ("1 / (1 + exp(x))", 1 / (1 + np.exp(x)))):
        if close(y, other):
            return "another-function", f"it is {words}"
    for name in ELEMENTWISE:
        if name != trial.task.name and close(y, getattr(layers, name)().forward(x)):
            return "another-function", f"it is what {name} gives"
    return None


def of_all_entries(trial, y, want):
    if np.allclose(y, want, rtol=1e-5, atol=1e-6):
        return "low-precision", ("it agrees to some digits only: a constant too many in the "
                                 "formula, or float32 on the way")
    where = np.abs(want) > 1e-12
    if where.any() and not np.any(y[~where]):
        ratio = y[where] / want[where]
        if np.ptp(ratio) <= 1e-6 * np.abs(ratio).max():
            return "wrong-factor", f"it is {ratio.flat[0]:.4g} times what it should be, everywhere"
    if np.ptp(y - want) <= 1e-6 * np.abs(y - want).max():
        return "constant-added", f"it is larger by {(y - want).flat[0]:.4g} everywhere"
    return None


def of_samples(trial, y, want):
    rows = [i for i in range(len(want) if want.ndim else 0) if not close(y[i], want[i])]
    if trial.inputs[0].ndim > 1 and want.ndim and len(rows) < len(want):
        return "some-rows-wrong", (f"{len(rows)} of {len(want)} samples are wrong, the first is "
                                   f"{rows[0]}")
    return None
