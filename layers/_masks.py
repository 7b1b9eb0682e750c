"""Masks: arrays of booleans, True where there is something."""
from ..common import checks


def boolean(who, name, mask, shape):
    """``mask`` as an array of booleans that fits the pattern ``shape``; TypeError or ValueError if it is none."""
    mask = checks.as_array(mask)
    if mask.dtype.kind in "iu" and len(shape) == 2 and mask.shape == (shape[0],):
        raise ValueError(checks.wrong(who, name, f"have shape {checks.shape_text(shape)}", mask.shape,
                                      f"if these are lengths, np.arange({shape[-1]}) < {name}[:, None] makes it"))
    if mask.dtype != bool:
        raise TypeError(checks.wrong(who, name, "hold booleans", checks.kind_text(mask, mask),
                                     f"{name} != 0 makes them" if mask.dtype.kind in "iuf" else ""))
    if not checks.matches(mask.shape, shape):
        raise ValueError(checks.wrong(who, name, f"have shape {checks.shape_text(shape)}", mask.shape,
                                      checks.shape_hint(name, mask.shape, shape)))
    return mask
