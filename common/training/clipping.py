"""A bound on the length of a step."""
import math

import numpy as np

from ..common import checks
from ..common.types import Arrays


def clip_gradients(grads: Arrays, max_norm: float) -> float:
    """Shorten all gradients by one factor, in place, if together they exceed ``max_norm``; return
    their norm.

    norm = √Σ_i Σ grads[i]², over all arrays as one long vector. Where norm > max_norm, every array
    is multiplied by max_norm / norm, which keeps the direction. Recurrent networks need it: at a
    cliff of the loss one step would undo all that was learned. Call it between backward and update.

    - ``grads``: a list or dict of float arrays; ``max_norm``: a positive number.

    Returns the norm before clipping, a Python float, summed in float64: no float32 gradient is too
    large or too small for it. A norm that is not finite (a NaN, an infinity, or float64 entries
    beyond 1e150) leaves the gradients as they are.

    Raises TypeError for a gradient that is no float array, ValueError unless ``max_norm`` is
    positive.

    Pascanu, Mikolov and Bengio 2013, On the difficulty of training recurrent neural networks.

    >>> grads = [np.array([3.0]), np.array([0.0, -4.0])]
    >>> clip_gradients(grads, max_norm=1.0)
    5.0
    >>> grads
    [array([0.6]), array([ 0. , -0.8])]
    """
    who = "clip_gradients"
    max_norm = checks.number(who, "max_norm", max_norm, low=math.ulp(0.0),
                             expected="be a positive number")
    if not isinstance(grads, dict):
        grads = dict(enumerate(checks.items(who, "grads", grads, "arrays")))
    for i, g in grads.items():
        if not isinstance(g, np.ndarray) or g.dtype.kind != "f":
            raise TypeError(checks.wrong(who, f"grads[{i!r}]", "be a NumPy array of floats",
                                         checks.dtype_text(g)))
        if not g.flags.writeable:
            raise ValueError(checks.wrong(who, f"grads[{i!r}]", "be writable", "a read-only array"))
    norm = length(grads.values())
    if max_norm < norm < math.inf:
        for g in grads.values():
            g *= max_norm / norm
    return norm


def length(arrays):
    """√Σ_i Σ arrays[i]²."""
    return math.sqrt(sum(map(square, arrays)))


def square(g):
    """Σ g² in float64, piece by piece; of a gradient that names its ``rows``, in these alone."""
    rows = getattr(g, "rows", None)
    g = np.asarray(g if rows is None else g.take(rows, axis=0)).ravel("K")
    pieces = (g[i:i + 2**15].astype(np.float64, copy=False) for i in range(0, g.size, 2**15))
    return sum(float(piece.dot(piece)) for piece in pieces)
