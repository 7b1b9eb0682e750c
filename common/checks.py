"""Every check that ends in a sentence: who was called, which argument, what was expected, what came, what to do.

The layers test the usual case themselves in one comparison and come here only when it fails, so a check costs a
training step next to nothing and its message can afford to be good.
"""
import math

import numpy as np


def wrong(who, name, expected, got, hint=""):
    """The one form of all messages: ``Affine: x should have shape (N, ..., 784), got (32, 100); hint``."""
    return f"{who}: {name} should {expected}, got {got}" + (f"; {hint}" if hint else "")


def shape_text(pattern):
    """``("N", ..., 3)`` as ``(N, ..., 3)``."""
    inner = ", ".join("..." if p is ... else str(p) for p in pattern)
    return f"({inner},)" if len(pattern) == 1 else f"({inner})"


def matches(shape, pattern):
    """Whether a shape fits a pattern of sizes, names (any size) and at most one ``...`` (any axes).

    >>> matches((32, 3, 8, 8), ("N", 3, "H", "W")), matches((5,), ("N", ..., 5)), matches((2, 9, 5), ("N", ..., 5))
    (True, False, True)
    """
    if ... in pattern:
        at, free = pattern.index(...), len(shape) - len(pattern) + 1
        pattern = pattern[:at] + ("any",) * free + pattern[at + 1:]
    return len(shape) == len(pattern) and all(p.__class__ is str or p == n for p, n in zip(pattern, shape))


def array(who, name, x, dtype=None, shape=None):
    """``x`` as a float array of ``dtype`` (None: keep a float's own, refuse the rest), fitting the pattern ``shape``.

    Raises TypeError for what is no numeric array, ValueError for an empty one or a wrong shape.
    """
    unmasked(who, name, x)
    a = as_array(float(x) if x.__class__ is int else x)          # a Python number takes any dtype
    if a.dtype.kind not in ("f" if dtype is None else "fiub"):
        made = f"{name}.astype(np.float32)" if hasattr(x, "astype") else f"np.array({name}, np.float32)"
        cast = f"; cast it first, for instance {made}" if a.dtype.kind in "iub" else ""
        raise TypeError(wrong(who, name, "be an array of floats", kind_text(x, a)) + cast)
    if not a.size:
        raise ValueError(wrong(who, name, "not be empty", f"shape {a.shape}"))
    if shape is not None and not matches(a.shape, shape):
        raise ValueError(wrong(who, name, f"have shape {shape_text(shape)}", a.shape, shape_hint(name, a.shape, shape)))
    if dtype is None and a.dtype.itemsize not in (4, 8):
        raise TypeError(wrong(who, name, "be float32 or float64", a.dtype,
                              f"cast it first, for instance {name}.astype(np.float32)"))
    return native(a) if dtype is None else a.astype(dtype, copy=False)


def float_type(who, name, dtype):
    """``dtype`` as a NumPy dtype, float32 or float64 in this machine's byte order."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if found is None or found not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise TypeError(wrong(who, name, "be np.float32 or np.float64", repr(dtype)))
    return found


def native(a):
    """The array in this machine's byte order: itself, if it is."""
    return a if a.dtype.isnative else a.astype(a.dtype.newbyteorder("="))


def unmasked(who, name, x):
    """Refuse a masked array, whose mask nothing here would heed."""
    if isinstance(x, np.ndarray) and hasattr(x, "mask"):
        raise TypeError(wrong(who, name, "be an array without a mask", "a masked array",
                              f"{name}.filled(0) fills what is masked"))


def as_array(x):
    """np.asarray, but an empty array of objects for a ragged list, which NumPy refuses."""
    try:
        return np.asarray(x)
    except ValueError:
        return np.empty(0, object)


def kind_text(x, a):
    return type(x).__name__ if a.dtype.kind == "O" else f"{a.dtype} {type(x).__name__}"


def shape_hint(name, shape, pattern):
    """What most often leads from the received shape to the expected one, or nothing."""
    last = pattern[-1] if pattern else None
    if ... in pattern and len(shape) > 2 and np.prod(shape[1:]) == last:
        return "flatten each sample first, with Flatten() in front of this layer"
    if shape == (last,):
        return f"one sample is a row of its own: {name}[None, :]"
    if not all(isinstance(p, int) for p in pattern):
        return ""
    if [n for n in shape if n != 1] == [n for n in pattern if n != 1]:      # else a reshape would scramble the entries
        return f"the number of entries fits: reshape it to {shape_text(pattern)}"
    if sorted(shape) == sorted(pattern):
        axes = ", ".join(str(shape.index(n)) for n in pattern)
        return ("it is transposed: " + (f"{name}.T" if len(shape) == 2 else f"{name}.transpose({axes})")
                if len(set(shape)) == len(shape) else "its axes are in another order")
    return ""


def integers_hint(name, a, classes):
    """How ids or class labels in 0..classes-1 become integers, if they came as floats or booleans, or nothing."""
    if a.dtype.kind not in "fb" or not np.array_equal(a, np.floor(a)):
        return ""
    one_hot = a.ndim > 1 and a.shape[-1] == classes and ((a == 0) | (a == 1)).all() and (a.sum(axis=-1) == 1).all()
    return f"these are one-hot rows: {name}.argmax(axis=-1) makes them" if one_hot else f"{name}.astype(int) makes them"


def labels(who, t, shape, classes, ignore_label=None, name="t"):
    """Class labels as an integer array of exactly ``shape``, each in 0..classes-1 (or ``ignore_label``)."""
    unmasked(who, name, t)
    t = as_array(t)
    if t.dtype.kind not in "iu" and (t.size or t.dtype.kind == "O"):        # an empty list becomes an array of floats
        raise TypeError(wrong(who, name, "hold integer class labels", t.dtype, integers_hint(name, t, classes)))
    if t.shape != shape:
        raise ValueError(wrong(who, name, f"have one label per row of x, shape {shape}", f"{t.shape}",
                               shape_hint(name, t.shape, shape)))
    t = t.astype(np.intp, copy=False)
    # One unsigned reduction: a negative label is a huge unsigned number.
    if t.size and np.maximum.reduce(t.view(np.uintp), axis=None) >= classes:
        bad = (t < 0) | (t >= classes)
        if ignore_label is not None:
            bad &= t != ignore_label
        if bad.any():
            at = tuple(int(i) for i in np.argwhere(bad)[0])
            where = at[0] if len(at) == 1 else at
            raise ValueError(wrong(who, name, f"hold labels in 0..{classes - 1}", f"{t[at]} at index {where}"))
    return t


def finite(who, name, x):
    """Refuse NaN and infinities, naming the first one's index."""
    x = np.asarray(x)
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(x))[0])
        raise ValueError(wrong(who, name, "hold finite numbers only", f"{x[at]} at index {at}"))


def count(who, name, n, least=1):
    """``n`` as a Python int of at least ``least``."""
    if isinstance(n, (bool, np.bool_)) or not isinstance(n, (int, np.integer)):
        sized = hasattr(n, "__len__") and type(n).__module__ not in ("builtins", "numpy")         # a Vocabulary, say
        raise TypeError(wrong(who, name, "be a whole number", type(n).__name__ if sized else repr(n),
                              f"len({name}) is one" if sized else ""))
    if n < least:
        raise ValueError(wrong(who, name, f"be at least {least}", n))
    return int(n)


def counts(who, **sizes):
    """``count`` for each of several named numbers."""
    for name, n in sizes.items():
        count(who, name, n)


def kind_of(who, name, kind, example, *methods):
    """Refuse what makes no layers when it is called: a name, an object that is a layer, a class without ``methods``."""
    is_layer = hasattr(kind, "forward") and not isinstance(kind, type)
    if is_layer or not callable(kind) or not all(hasattr(kind, m) for m in methods):
        raise TypeError(wrong(who, name, f"be a class such as {example}", getattr(kind, "__name__", None) or repr(kind),
                              f"{name}={example}, without quotes or brackets"))


def whole(who, name, value):
    """``value`` as a Python int of any sign."""
    return count(who, name, value, least=-math.inf)


def number(who, name, value, low=-math.inf, high=math.inf, expected="be a finite number"):
    """``value`` as a Python float in [low, high]."""
    try:
        if isinstance(value, (str, bytes, bool, complex, np.bool_, np.complexfloating)):
            raise TypeError
        result = float(value) if isinstance(value, float) or np.ndim(value) == 0 else math.nan
    except (TypeError, ValueError):
        raise TypeError(wrong(who, name, expected, repr(value))) from None
    if not (math.isfinite(result) and low <= result <= high):
        raise ValueError(wrong(who, name, expected, repr(value)))
    return result


def parameters(who, params):
    """The named parameters of a layer: float arrays of one dtype that an optimizer can write into."""
    dtypes = {}
    for name, p in params.items():
        if not isinstance(p, np.ndarray) or p.dtype.kind != "f":
            got = p.dtype if isinstance(p, np.ndarray) else type(p).__name__
            raise TypeError(wrong(who, name, "be a NumPy array of floats", got, f"{who}.init(...) makes one"))
        if isinstance(p, np.matrix) or hasattr(p, "mask"):
            raise TypeError(wrong(who, name, "be a plain NumPy array", f"a {type(p).__name__}", f"np.array({name}) makes one"))
        if p.dtype.itemsize not in (4, 8):
            raise TypeError(wrong(who, name, "be float32 or float64", p.dtype, f"cast it first: {name}.astype(np.float32)"))
        if not p.size:
            raise ValueError(wrong(who, name, "not be empty", f"shape {p.shape}"))
        if not p.flags.writeable:
            raise ValueError(wrong(who, name, "be writable, for the optimizer changes it in place",
                                   "a read-only array", f"pass {name}.copy()"))
        dtypes.setdefault(p.dtype, name)
    if len(dtypes) > 1:
        got = " and ".join(f"{name} of {dtype}" for dtype, name in dtypes.items())
        raise TypeError(wrong(who, "all parameters", "have one dtype", got))
