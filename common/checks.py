"""Every check that ends in a sentence: who was called, which argument, what was expected, what
came, what to do.

The guard tests the usual case in one comparison and comes here only when it fails, so a check costs
a training step next to nothing and its message can afford to be good.
"""
import contextlib
import difflib
import inspect
import math
import os
from numbers import Integral, Real
from pathlib import Path

import numpy as np

from .types import Array

FLOATS = np.dtype(np.float32), np.dtype(np.float64)
CGROUPS = "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"


def wrong(who, name, expected, got, hint=""):
    """The one form of all messages: ``Affine: x should have shape (N, ..., 784), got (32, 100);
    hint``."""
    return f"{who}: {name} should {expected}, got {got}" + (f"; {hint}" if hint else "")


def shape_text(pattern):
    """``("N", ..., 3)`` as ``(N, ..., 3)``."""
    inner = ", ".join("..." if p is ... else str(p) for p in pattern)
    return f"({inner},)" if len(pattern) == 1 else f"({inner})"


def matches(shape, pattern):
    """Whether a shape fits a pattern of sizes, names (any size) and at most one ``...`` (any
    axes)."""
    if ... in pattern:
        at, free = pattern.index(...), len(shape) - len(pattern) + 1
        pattern = pattern[:at] + ("any",) * free + pattern[at + 1:]
    return len(shape) == len(pattern) and all(
        p.__class__ is str or p == n for p, n in zip(pattern, shape))


def array(who, name, x, dtype=None, shape=None) -> Array:
    """``x`` as a float array of ``dtype`` (None: keep a float's own, refuse the rest), fitting the
    pattern ``shape``.

    Raises TypeError for what is not a numeric array, ValueError for an empty one or a wrong shape.
    """
    unmasked(who, name, x)
    # a Python number takes any dtype
    a = of_table(who, name, x, as_array(number(who, name, x) if x.__class__ is int else x))
    if a.dtype.kind not in ("f" if dtype is None else "fiub"):
        raise TypeError(
            wrong(who, name, "be an array of floats", kind_text(x, a), cast_hint(name, x, a)))
    if not a.size:
        raise ValueError(wrong(who, name, "not be empty", f"shape {a.shape}"))
    if shape is not None and not matches(a.shape, shape):
        raise ValueError(wrong(who, name, f"have shape {shape_text(shape)}", a.shape,
                               shape_hint(name, a.shape, shape)))
    if dtype is None and a.dtype.itemsize not in (4, 8):
        raise TypeError(wrong(who, name, "be float32 or float64", a.dtype,
                              f"cast it first, for instance {name}.astype(np.float32)"))
    return native(a) if dtype is None else a.astype(dtype, copy=False)


OURS = {  # arguments' names here: those in other books and libraries
    "padding": "pad", "size": "pool_h pool_w pool_size kernel_size filter_size",
    "stride": "strides", "dilation": "dilation_rate", "p": "dropout_ratio ratio rate drop_prob",
    "slope": "alpha negative_slope", "eps": "epsilon", "groups": "num_groups",
    "heads": "num_heads n_heads", "ignore_label": "ignore_index", "margin": "delta",
    "W": "weight weights", "b": "bias", "rng": "seed", "axis": "dim", "reverse": "go_backwards",
    "causal": "is_causal", "lr": "learning_rate"}
ELSEWHERE = {theirs: ours for ours, names in OURS.items() for theirs in names.split()}


def argument_names(cls, named):
    """TypeError for an argument that ``cls`` does not have, with its name here."""
    has = inspect.signature(cls.__init__).parameters
    if (cls.__init__.__qualname__ == "Layer.__init__" and cls.__name__ != "Layer"
        and cls.__module__.startswith("chainrule.")):
        has = {}                             # a layer of chainrule without options
    if any(p.kind is p.VAR_KEYWORD for p in has.values()):
        return
    for name in named:
        if name not in has:
            ours = [n for n, p in has.items() if n != "self" and p.kind is not p.VAR_POSITIONAL]
            meant = ([ELSEWHERE[name]] if ELSEWHERE.get(name) in ours
                     else difflib.get_close_matches(name, ours, 1))
            raise TypeError(f"{cls.__name__}: there is no argument {name!r}; "
                            + (f"here it is called {meant[0]}" if meant
                               else f"it takes {', '.join(ours) or 'none'}"))


def numbers(who, name, x, axes=0) -> Array:
    """``x`` as an array of real numbers, of any dtype, with at least so many axes."""
    if x.__class__ is np.ndarray and x.dtype.kind == "f" and x.ndim >= axes and x.size:
        return x
    unmasked(who, name, x)
    a = as_array(x)
    if a.dtype.kind not in "fiu":
        raise TypeError(wrong(who, name, "be an array of numbers", kind_text(x, a)))
    if a.ndim < axes or axes and not a.shape[-1]:
        raise ValueError(wrong(who, name, f"have shape {shape_text((..., 'C'))}", a.shape))
    return a


def float_type(who, name, dtype):
    found = dtype_of(dtype)
    if found is None or found not in FLOATS:
        raise TypeError(wrong(who, name, "be np.float32 or np.float64", text(dtype)))
    return found


def dtype_of(dtype):
    """np.dtype(dtype); None for what names none, and for None itself, NumPy's float64."""
    try:
        return None if dtype is None else np.dtype(dtype)
    except (TypeError, ValueError, SyntaxError, AttributeError):
        return None


def native(a):
    """The array in this machine's byte order: itself, if it is."""
    return a if a.dtype.isnative else a.astype(a.dtype.newbyteorder("="))


def unmasked(who, name, x):
    """Refuse a masked array, whose mask nothing here would heed."""
    if isinstance(x, np.ndarray) and hasattr(x, "mask"):
        raise TypeError(wrong(who, name, "be an array without a mask", "a masked array",
                              f"{name}.filled(0) fills what is masked"))


def as_array(x) -> Array:
    """np.asarray, but an empty array of objects for a ragged list, which NumPy refuses."""
    try:
        return np.asarray(x)
    except ValueError:
        return np.empty(0, object)


def of_table(who, name, given, a) -> Array:
    """``a``, NumPy's array of ``given``; float64 for a pandas table of several dtypes. TypeError
    for the first column that does not hold numbers."""
    table = given.to_frame() if hasattr(given, "to_frame") else given
    if a.dtype.kind in "fiub" or not hasattr(table, "columns"):
        return a
    columns = [(label, np.asarray(column)) for label, column in table.items()]
    for label, values in columns:
        if values.dtype.kind not in "fiub":
            raise TypeError(wrong(
                who, f"column {label!r} of {name}", "hold numbers", kind_text(values, values),
                "np.unique(column, return_inverse=True)[1] numbers words; fill what is missing"))
    return np.column_stack([values for _, values in columns]).astype(np.float64)


def kind_text(x, a):
    """What x is, where it is not an array of the right kind; ``a`` is ``as_array(x)``."""
    if a.dtype.kind != "O":
        return f"{a.dtype} {type(x).__name__}"
    if not a.size and hasattr(x, "__len__") and len(x):
        return f"a ragged {type(x).__name__}"
    if not a.ndim or not a.size:
        return type(x).__name__
    kinds = list(dict.fromkeys(type(o).__name__ for o in a.flat[:1000]))
    return f"{type(x).__name__} of objects ({', '.join(kinds[:3])}{', ...' * (len(kinds) > 3)})"


def dtype_text(x):
    if not isinstance(x, np.ndarray):
        return type(x).__name__
    return kind_text(x, x) if x.dtype.kind == "O" else x.dtype


def cast_hint(name, x, a):
    """What makes an array of floats of x, where something does, or nothing."""
    objects = a.dtype.kind == "O" and a.ndim and list(a.flat)
    if objects and all(isinstance(o, np.ndarray) and o.shape == objects[0].shape for o in objects):
        return f"np.stack({name}) makes one array of them"
    # Columns of a table are often objects that are booleans or numbers all the same; of None a cast
    # would make NaN.
    if a.dtype.kind not in "iub" and not (
            objects and all(isinstance(o, Real | np.bool_) for o in objects)):
        return ""
    made = f"{name}.astype(np.float32)" if hasattr(x, "astype") else f"np.array({name}, np.float32)"
    return f"cast it first, for instance {made}"


def shape_hint(name, shape, pattern):
    """What most often leads from this shape to the expected one, or nothing."""
    last = pattern[-1] if pattern else None
    if len(pattern) == 4 and isinstance(pattern[1], int) and pattern[2:] == ("H", "W"):
        C = pattern[1]
        if len(shape) == 4 and shape[1] != C == shape[3]:
            return "the channels come before the rows: x.transpose(0, 3, 1, 2)"
        if len(shape) == 3 and shape[0] == C:
            return "one image is a batch of one: x[None]"
        return ("images of one channel have an axis for it: x[:, None]"
                if len(shape) == 3 and C == 1 else "")
    if ... in pattern and len(shape) > 2 and np.prod(shape[1:]) == last:
        return "flatten each sample first, with Flatten() in front of this layer"
    if shape == (last,):
        return f"one sample is a row of its own: {name}[None, :]"
    if not all(isinstance(p, int) for p in pattern):
        return ""
    # else a reshape would scramble the entries
    if [n for n in shape if n != 1] == [n for n in pattern if n != 1]:
        return f"the number of entries fits: reshape it to {shape_text(pattern)}"
    if sorted(shape) == sorted(pattern):
        axes = ", ".join(str(shape.index(n)) for n in pattern)
        return (
            "it is transposed: " + (f"{name}.T" if len(shape) == 2 else f"{name}.transpose({axes})")
            if len(set(shape)) == len(shape) else "its axes are in another order")
    return ""


def integers_hint(name, a, classes):
    """What makes ids or labels integers, if they came as something else, or nothing."""
    if a.dtype.kind == "O":
        return (f"{name}.astype(int) makes them" if a.size
                and all(isinstance(o, Integral) for o in a.flat) else "")
    if a.dtype.kind not in "fb" or not np.array_equal(a, np.floor(a)):
        return ""
    one_hot = (a.ndim > 1 and a.shape[-1] == classes and ((a == 0) | (a == 1)).all()
               and (a.sum(axis=-1) == 1).all())
    return (f"these are one-hot rows: {name}.argmax(axis=-1) makes them" if one_hot
            else f"{name}.astype(int) makes them")


def labels(who, t, shape, classes, ignore_label=None) -> Array:
    """``t`` as integer labels of exactly ``shape``, each in 0..classes-1 or ``ignore_label``."""
    unmasked(who, "t", t)
    given, t = t, as_array(t)
    # an empty list becomes an array of floats
    if t.dtype.kind not in "iu" and (t.size or t.dtype.kind == "O"):
        words = t.size and all(isinstance(o, str) for o in t.flat)
        hint = ("np.unique(t, return_inverse=True)[1] numbers words" if words
                else integers_hint("t", t, classes))
        got = kind_text(given, t) if t.dtype.kind == "O" else t.dtype
        raise TypeError(wrong(who, "t", "hold integer class labels", got, hint))
    if t.shape != shape:
        raise ValueError(wrong(who, "t", f"have one label per row of x, shape {shape}", t.shape,
                               shape_hint("t", t.shape, shape)))
    t = t.astype(np.intp, copy=False)
    # One unsigned reduction: a negative label is a huge unsigned number.
    if t.size and np.maximum.reduce(t.view(np.uintp), axis=None) >= classes:
        bad = (t < 0) | (t >= classes)
        if ignore_label is not None:
            bad &= t != ignore_label
        if bad.any():
            at = tuple(int(i) for i in np.argwhere(bad)[0])
            where = at[0] if len(at) == 1 else at
            raise ValueError(
                wrong(who, "t", f"hold labels in 0..{classes - 1}", f"{t[at]} at index {where}"))
    return t


def row_numbers(who, name, ids, rows) -> Array:
    given, ids = ids, of_table(who, name, ids, as_array(ids))
    if not ids.size and ids.dtype.kind != "O":           # np.array([]) holds floats
        raise ValueError(wrong(who, name, "not be empty", f"shape {ids.shape}"))
    if ids.dtype.kind not in "iu":
        got, hint = kind_text(given, ids), integers_hint(name, ids, rows)
        if ids.dtype.kind in "US":
            got, hint = "text", "Vocabulary.encode makes ids of it"
        elif not ids.size:
            got = "a ragged list"
            hint = "fill the short rows up to one length, and mask what was added"
        raise TypeError(wrong(who, name, f"hold integers in 0..{rows - 1}", got, hint))
    numbers = ids.astype(np.intp, copy=False)
    # One unsigned reduction: a negative number is a huge unsigned one.
    if np.maximum.reduce(numbers.view(np.uintp), axis=None) >= rows:
        raise ValueError(wrong(who, name, f"hold integers in 0..{rows - 1}",
                               first(ids, (ids < 0) | (ids >= rows))))
    return numbers


def boolean(who, name, mask, shape) -> Array:
    mask = as_array(mask)
    if mask.dtype.kind in "iu" and len(shape) == 2 and mask.shape == (shape[0],):
        raise ValueError(
            wrong(who, name, f"have shape {shape_text(shape)}", mask.shape,
                  f"if these are lengths, np.arange({shape[-1]}) < {name}[:, None] makes it"))
    if mask.dtype != bool:
        raise TypeError(wrong(who, name, "hold booleans", kind_text(mask, mask),
                                     f"{name} != 0 makes them" if mask.dtype.kind in "iuf" else ""))
    if not matches(mask.shape, shape):
        raise ValueError(wrong(who, name, f"have shape {shape_text(shape)}", mask.shape,
                                      shape_hint(name, mask.shape, shape)))
    return mask


def first(x, bad):
    """The first entry of x where ``bad`` is True, and its index, in words."""
    at = tuple(int(i) for i in np.argwhere(bad)[0])
    return f"{x[at]} at index {at}"


def finite(who, name, x):
    """Refuse NaN and infinities, naming the first one's index."""
    x = np.asarray(x)
    if x.dtype.kind != "f" or not x.size:
        return
    rows = x[None] if not x.ndim else x
    each = max(1, (len(rows) << 24) // x.size)              # in parts: x may be a memory map
    for i in range(0, len(rows), each):
        part = np.isfinite(rows[i:i + each])
        if not part.all():
            first, *rest = (int(n) for n in np.argwhere(~part)[0])
            at = (i + first, *rest) if x.ndim else ()
            raise ValueError(wrong(who, name, "hold finite numbers only", f"{x[at]} at index {at}"))


def count(who, name, n, least=1, most=2**62) -> int:
    """``n`` as a Python int of at least ``least`` and at most ``most``."""
    if isinstance(n, (bool, np.bool_)) or not isinstance(n, (int, np.integer)):
        # such as a Vocabulary
        sized = hasattr(n, "__len__") and type(n).__module__ not in ("builtins", "numpy")
        got, hint = (type(n).__name__, f"len({name}) is one") if sized else (repr(n), "")
        raise TypeError(wrong(who, name, "be a whole number", got, hint))
    if n < least:
        raise ValueError(wrong(who, name, f"be at least {least}", whole_text(n)))
    if n > most:
        raise ValueError(wrong(who, name, f"be at most {most}", whole_text(n)))
    return int(n)


def whole_text(n):
    """A whole number, or how large it is where no one would read its digits."""
    return str(n) if abs(n) < 10**24 else f"a number of {math.floor(math.log10(abs(n))) + 1} digits"


def counts(who, **sizes):
    for name, n in sizes.items():
        count(who, name, n)


def kind_of(who, name, kind, example, *methods, given=None):
    """Refuse what makes no layers when called: a name, a layer, a class without ``methods`` or that
    does not take the arguments ``given``."""
    is_layer = hasattr(kind, "forward") and not isinstance(kind, type)
    if (is_layer or not callable(kind) or not all(hasattr(kind, m) for m in methods)
            or given is not None and not fitting(kind, given)):
        raise TypeError(
            wrong(who, name, f"be a class such as {example}",
                  getattr(kind, "__name__", None) or repr(kind),
                  f"{name}={example}, without quotes or brackets"))


def fitting(function, arguments, named=None):
    """Whether a function, as far as it can be known, takes these arguments."""
    try:
        inspect.signature(function).bind(*arguments, **(named or {}))
        return True
    except TypeError:
        return False
    except ValueError:                               # it does not say what it takes
        return True


def whole(who, name, value):
    return count(who, name, value, least=-2**62)


def axis(who, value):
    """``value`` if it is an axis, a tuple of different ones, or None for all."""
    given = () if value is None else value if isinstance(value, tuple) else (value,)
    given = [whole(who, "axis", a) for a in given]
    if len(set(given)) < len(given):
        raise ValueError(
            wrong(who, "axis", "be an axis, a tuple of different ones or None for all", value))
    return tuple(given) if isinstance(value, tuple) else given[0] if given else None


def axes(who, axis, x):
    """The axes of x that ``axis`` names, counted from the front, as a tuple."""
    if axis is None:
        return tuple(range(x.ndim))
    given = axis if isinstance(axis, tuple) else (axis,)
    for a in given:
        if not -x.ndim <= a < x.ndim:
            raise ValueError(wrong(who, "x", f"have an axis {a}", f"shape {x.shape}"))
    counted = tuple(a % x.ndim for a in given)
    if len(set(counted)) < len(counted):                       # 1 and -1 of two axes
        raise ValueError(wrong(who, "x", f"have different axes {axis}", f"shape {x.shape}"))
    return counted


def broadcasting(who, a, b, but=0):
    """ValueError unless the axes of a and b, all ``but`` the last ones, broadcast as in NumPy."""
    lead_a, lead_b = a.shape[:a.ndim - but], b.shape[:b.ndim - but]
    if not all(m == n or m == 1 or n == 1 for m, n in zip(lead_a[::-1], lead_b[::-1])):
        axes = "the leading axes of a and b" if but else "a and b"
        expected = "broadcast" if but else "have shapes that broadcast"
        raise ValueError(wrong(who, axes, expected, f"{a.shape} and {b.shape}"))


def side_by_side(who, inputs, axis):
    """ValueError unless the inputs have the same shape but along this axis."""
    pattern = tuple("D" if i == axis else n for i, n in enumerate(inputs[0].shape))
    for i, x in enumerate(inputs):
        array(who, f"inputs[{i}]", x, x.dtype, pattern)


def flag(who, name, value) -> bool:
    """``value`` as a Python bool: True, False, or the numbers 1 and 0."""
    if not isinstance(value, (bool, int, np.bool_, np.integer)) or value not in (0, 1):
        raise TypeError(wrong(who, name, "be True or False", text(value)))
    return bool(value)


def one_of(who, name, value, choices):
    if not isinstance(value, (str, int, float)) or isinstance(value, bool) or value not in choices:
        raise ValueError(wrong(who, name, "be " + " or ".join(map(repr, choices)), text(value)))
    return value


def text(value):
    """What came, in a word or two: a long repr would hide the sentence."""
    if isinstance(value, int) and not isinstance(value, bool):
        return whole_text(value)
    return (type(value).__name__ if isinstance(value, np.ndarray) or len(repr(value)) > 200
            else repr(value))


def single(value):
    """Whether it is one thing, not a row of them: a number, a class, a node."""
    return (isinstance(value, type) or hasattr(value, "connect") or getattr(value, "ndim", 1) == 0
            or not hasattr(value, "__iter__"))


def items(who, name, values, what):
    """``values`` as a list; TypeError for what holds none: a number, a text, a node."""
    if isinstance(values, (str, bytes, set, dict)) or single(values):
        raise TypeError(wrong(who, name, f"be a list of {what}", text(values)))
    return list(values)


def room(who, name, shape, each=8, got=None):
    """Refuse a size whose array of ``shape``, ``each`` bytes an entry, does not fit into memory."""
    needed = each * math.prod(map(int, shape))
    if needed > 2**28 and needed > (there := memory()):
        raise ValueError(
            wrong(who, name, f"make an array that fits into memory, {bytes_text(there)}",
                  f"{shape_text(tuple(map(whole_text, shape))) if got is None else got}, "
                  f"{bytes_text(needed)}", "make it smaller"))


def memory():
    """The bytes of the machine, or those that its user or container may have."""
    sizes = [2**46]
    with contextlib.suppress(AttributeError, ValueError, OSError):     # Windows has no sysconf
        sizes.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in CGROUPS:
        with contextlib.suppress(OSError, ValueError):                 # "max", or no container
            sizes.append(int(Path(path).read_text("utf-8")))
    with contextlib.suppress(ImportError):                             # nor such limits
        import resource
        sizes.append(resource.getrlimit(resource.RLIMIT_AS)[0] % 2**64)          # none is -1
    return min(n for n in sizes if n > 0)


def bytes_text(n):
    for unit in ("bytes", "KB", "MB", "GB", "TB"):
        if n < 1000:
            return f"{n:.3g} {unit}"
        n /= 1000 if n < 1e300 else 10**300
    return f"{n:.3g} PB" if n < 1000 else "thousands of PB"


def number(who, name, value, low=-math.inf, high=math.inf, expected="be a finite number") -> float:
    try:
        if isinstance(value, (str, bytes, bool, complex, np.bool_, np.complexfloating)):
            raise TypeError
        result = (float(value) if isinstance(value, (float, int)) or as_array(value).ndim == 0
                  else math.nan)
    except OverflowError:
        result = math.inf
    except (TypeError, ValueError):
        raise TypeError(wrong(who, name, expected, repr(value))) from None
    if not (math.isfinite(result) and low <= result <= high):
        raise ValueError(
            wrong(who, name, expected, text(value) if isinstance(value, int) else repr(value)))
    return result


def needed(who, **params):
    """Refuse None for a parameter that the layer cannot do without."""
    for name, p in params.items():
        if p is None:
            raise TypeError(wrong(who, name, "be a NumPy array of floats", "None",
                                  f"{who}.init(...) makes one"))


def parameters(who, params):
    """A layer's parameters: float arrays of one dtype that an optimizer can write into."""
    dtypes = {}
    for name, p in params.items():
        if not isinstance(p, np.ndarray) or p.dtype.kind != "f":
            raise TypeError(wrong(who, name, "be a NumPy array of floats", dtype_text(p),
                                  f"{who}.init(...) makes one"))
        if isinstance(p, np.matrix) or hasattr(p, "mask"):
            raise TypeError(wrong(who, name, "be a plain NumPy array", f"a {type(p).__name__}",
                                  f"np.array({name}) makes one"))
        if p.dtype.itemsize not in (4, 8):
            raise TypeError(wrong(who, name, "be float32 or float64", p.dtype,
                                  f"cast it first: {name}.astype(np.float32)"))
        if not p.size:
            raise ValueError(wrong(who, name, "not be empty", f"shape {p.shape}"))
        if not p.flags.writeable:
            expected = "be writable, because the optimizer changes it in place"
            raise ValueError(wrong(who, name, expected, "a read-only array", f"pass {name}.copy()"))
        dtypes.setdefault(p.dtype, name)
    if len(dtypes) > 1:
        got = " and ".join(f"{name} of {dtype}" for dtype, name in dtypes.items())
        raise TypeError(wrong(who, "all parameters", "have one dtype", got))
