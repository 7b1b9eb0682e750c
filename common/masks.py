"""Masks of attention: arrays of booleans, True where a query may look at a key."""
import numpy as np

from . import checks


def attention_mask(who, mask, lead, Tq, Tk):
    """A mask as booleans (*lead, Tq, Tk), where each axis but the last may be 1; ``lead`` is (N,)
    or more."""
    shape = np.shape(mask)
    if shape == (lead[0], Tk):
        raise ValueError(
            checks.wrong(who, "mask", f"have shape {(*lead, Tq, Tk)}", shape,
                         "if it says which keys there are, mask[:, None] says so to every query"))
    wanted = (*lead, Tq)
    if len(shape) == len(wanted) + 1:
        wanted = tuple(1 if given == 1 else n for given, n in zip(shape, wanted))
    return checks.boolean(who, "mask", mask, (*wanted, Tk))


def seen(memory, mask):
    """``memory`` (..., Tk, D) with zeros where no query may look: padding may hold anything, NaN
    too, and 0 · NaN is NaN. The mask may be None: then all of it."""
    if mask is None:
        return memory
    allowed = mask.any(axis=-2)
    return memory if allowed.all() else np.where(allowed[..., None], memory, 0)
