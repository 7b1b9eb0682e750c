"""What is said of a loss or a gradient that is not finite."""
import contextlib

import numpy as np

from ..common import checks
from .answers import FIT


def refuse_loss(loss, batch, epoch, number, max_norm):
    """FloatingPointError for a loss that is not finite; ValueError if the data of the batch are
    not."""
    for j, a in enumerate(batch):
        checks.finite(FIT, f"array {j} of batch {number} in epoch {epoch}", a)
    raise FloatingPointError(f"{FIT}: the loss became {loss} in epoch {epoch}, batch {number}; "
                             f"try a smaller learning rate{or_clip(max_norm)}")


@contextlib.contextmanager
def naming_the_layer(model, row, max_norm):
    """Around an update, whose step and loss stand in ``row``: the optimizer's error for a gradient
    that is not finite becomes one that names the layer."""
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
    """The advice to clip, or the bound that was not small enough."""
    return (", or clip the gradients with max_grad_norm=1.0" if max_norm is None else
            f" (max_grad_norm is {max_norm:g})")


def where(model):
    """Which gradient is not finite, and of which layer, if the model names its parameters."""
    i = next((i for i, g in enumerate(model.grads) if not np.isfinite(g).all()), None)
    names, layers = getattr(model, "names", ()), getattr(model, "layers", ())
    if i is None or i >= len(names):
        return ""
    number = names[i].partition(".")[0]
    known = number.isdecimal() and int(number) < len(layers)
    kind = f" ({type(layers[int(number)]).__name__})" if known else ""
    return f", the gradient of {names[i]}: layer {number}{kind}"
