"""Checks of what the model and the user's functions return during training."""
import contextlib
import warnings

import numpy as np

from ..common import checks

BATCHES = "as in batches=lambda: text_batches(ids)"
FIT = "Trainer.fit"


def ask(fits, who, name, expected, got, hint="", error=TypeError):
    """An error unless it ``fits``."""
    if not fits:
        raise error(checks.wrong(who, name, expected, kind(got), hint))


def kind(value):
    """What a value is, in a word or two."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of length {len(value)}"
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    known = isinstance(value, (str, int, float, type(None)))
    return repr(value) if known else type(value).__name__


def batches(function, epoch):
    made, i = function(), 0
    ask(hasattr(made, "__iter__") and getattr(made, "ndim", 1), FIT, "batches()",
        "return the batches of an epoch or yield them", made, BATCHES)
    for i, batch in enumerate(made, 1):
        if i == 1_000_001:
            warnings.warn(f"{FIT}: an epoch of batches() has passed a million batches and goes on; "
                          "if it never ends, steps_per_epoch= says how many make an epoch",
                          UserWarning, stacklevel=2)
        ask(isinstance(batch, (tuple, list)) and len(batch) > 1, FIT, f"batch {i} of batches()",
            "be a tuple (x, t), inputs first", batch)
        yield batch
    if not i:
        raise ValueError(f"{FIT}: batches() yielded nothing in epoch {epoch}; "
                         f"it must return a new iterator each time, {BATCHES}")


def loss(value, who):
    """What a model's forward returned for a loss, as a Python float."""
    if value.__class__ is float:
        return value
    a = checks.as_array(value)
    ask(a.ndim == 0 and a.dtype.kind in "iuf", who, "the loss that model.forward returns",
        "be one number", value, "if an input is missing, the targets were taken for it: "
        "several inputs are a tuple, as in x=(x1, x2)")
    return float(a)


def metric(value, name, who):
    """What a metric returned, as a Python float."""
    a = checks.as_array(value)
    ask(a.ndim == 0 and a.dtype.kind in "biuf", who, f"the metric {name}", "return one number",
        value, "anything else can be computed after training, as in "
        "confusion_matrix(model.predict(x), t)")
    return float(a)


def stops(value, i):
    ask(value is None or isinstance(value, (bool, np.bool_)), FIT, f"callbacks[{i}]",
        "return True to end the training, else False or None", value)
    return bool(value)


def refuse_loss(loss, batch, epoch, number, max_norm):
    """FloatingPointError for a loss that is not finite, ValueError if the batch is not."""
    for j, a in enumerate(batch):
        checks.finite(FIT, f"array {j} of batch {number} in epoch {epoch}", a)
    raise FloatingPointError(f"{FIT}: the loss became {loss} in epoch {epoch}, batch {number}; "
                             f"try a smaller learning rate{or_clip(max_norm)}")


@contextlib.contextmanager
def naming_the_layer(model, row, max_norm):
    """An update's error for a gradient that is not finite names the layer."""
    try:
        yield
    except FloatingPointError as error:
        if all(np.isfinite(g).all() for g in model.grads):
            raise                               # of NumPy, under np.seterr(all="raise")
        raise FloatingPointError(
            f"{FIT}: step {row['step']} has a gradient that is not finite{where(model)}. {error}. "
            f"The loss, {row['loss']:.4g}, is finite: a backward of that layer or of one after it "
            "divides by zero or overflows where its forward does not (check_gradients shows "
            "which), or the weights have grown too large: try a smaller learning rate"
            f"{or_clip(max_norm)}") from error


def or_clip(max_norm):
    return (", or clip the gradients with max_grad_norm=1.0" if max_norm is None else
            f" (max_grad_norm is {max_norm:g})")


def where(model):
    """Which gradient is not finite, and of which layer."""
    i = next((i for i, g in enumerate(model.grads) if not np.isfinite(g).all()), None)
    names, layers = getattr(model, "names", ()), getattr(model, "layers", ())
    if i is None or i >= len(names):
        return ""
    number = names[i].partition(".")[0]
    known = number.isdecimal() and int(number) < len(layers)
    kind = f" ({type(layers[int(number)]).__name__})" if known else ""
    return f", the gradient of {names[i]}: layer {number}{kind}"
