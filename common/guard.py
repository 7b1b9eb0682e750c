"""The guard around every layer's forward and backward, so that a page states its formula and
nothing else.

A layer says its shapes in one line, parameters among them:

    shapes = "x (N, ..., I), W (I, O), b (O) -> y (N, ..., O)"

Parameters must fit when the layer is made. Before ``forward`` each input must be an array of floats
that fits, else there is a TypeError or ValueError; it is cast to the dtype of the parameters, or
without any to that of the first input. By shape and dtype of what was returned the guard checks and
casts ``dout`` before ``backward``; it refuses a backward without a forward.

In the line a letter is a size: that of a parameter, or the one that an earlier input has there;
``...`` stands for any axes, the same in every input; and

    x? (N, T)          may be left out, or be None
    mask bool (N, T)   holds booleans; ``bool any`` those of any shape
    a float            has any shape, its own; beside an array a Python number will do
    *inputs float      stands for all inputs that are left, at least one
    t any              is left to the layer: labels, ids and masks have checks of their own
    t like x           has exactly the shape of x, and is cast to its dtype
    W (F, C / groups)  makes C as many times larger as the attribute ``groups`` says

What a line cannot say, such as that two inputs broadcast, a layer's ``check_inputs(*inputs)`` does,
which gets them checked and cast.

The line belongs to the forward in the same class or, where a class has a line alone, to the one
that it inherits. A forward without a line has arrays of another float dtype cast, and the order of
calls and dout checked, no more. Guarded is the class's own method: ``super().forward(x)`` is a
plain call, and a forward that is assigned later is not guarded. Inputs of the shapes and dtypes of
the call before are not looked at again.
"""
import functools
import inspect
import re
from typing import Any, NamedTuple

import numpy as np

from . import checks
from .engine import compiled

ANY, FLOAT, NUMBER, SEVERAL = "any", "float", "number", "several"
MISSING = object()


class Argument(NamedTuple):
    """One input of the line; a ``pattern`` of None: its shape is left to the layer."""
    name: str
    pattern: Any
    optional: bool = False
    several: bool = False
    boolean: bool = False


def parsed(line):
    """The arguments of a line, parameters among them, as a tuple."""
    found = re.findall(r"(\*?)(\w+)(\??) (bool )?(any|float|like \w+|\([^)]*\))",
                       line.partition("->")[0])
    return tuple(Argument(name, ANY if kind and text == ANY else pattern_of(text), bool(mark),
                          bool(star), bool(kind)) for star, name, mark, kind, text in found)


def pattern_of(text):
    if text in (ANY, FLOAT) or text.startswith("like"):
        return None if text == ANY else text.split()[-1]
    sizes = [size.strip() for size in text.strip("()").split(",") if size.strip()]
    return tuple(... if size == "..." else int(size) if size.isdecimal() else size
                 for size in sizes)


def guard(cls):
    """Wrap the forward and backward that stand in the body of ``cls``; its line is read where
    either stands."""
    line = vars(cls).get("shapes")
    if line or "forward" in vars(cls):
        cls._arguments = parsed(line) if line else None
    compiled.use_twin(cls)
    if wrappable(cls, "forward"):
        cls.forward = guarded_forward(cls.forward,
                                      several=not cls.__module__.startswith("chainrule."))
    if wrappable(cls, "backward"):
        cls.backward = guarded_backward(cls.backward)


def wrappable(cls, name):
    method = vars(cls).get(name)
    return type(method) is type(wrappable) and not hasattr(method, "guarded")


def guarded_forward(forward, several):
    """``several``: a class of a user's, which may run forward more than once before backward. Of
    another the old cache goes first, so that its memory is used again."""
    @functools.wraps(forward)
    def guarded(self, x=MISSING, /, *more, **named):
        __tracebackhide__ = True
        if self.__class__.forward is not guarded:                   # super().forward(x)
            return forward(self, *given(x, more), **named)
        fits = self._fits
        if not (more or named or x is MISSING) and len(fits) == 1 and fitted(x, fits[0]):
            if not several:
                self.cache = self._made = None
            y = forward(self, x)
        else:
            inputs = given(x, more)
            if named or not inputs or len(inputs) != len(fits) or not all(
                map(fitted, inputs, fits)):
                inputs, named = admitted(self, self._arguments, forward, inputs, named)
            if not several:
                self.cache = self._made = None
            y = forward(self, *inputs, **named)
        self._made = made = (y.shape, y.dtype) if y.__class__ is np.ndarray else described(y)
        if several and made[0].__class__ is tuple:
            self._seen = {*(self._seen or ()), made[0]}
        return y
    return of_its_own(guarded)


def guarded_backward(backward):
    @functools.wraps(backward)
    def guarded(self, dout=MISSING, /, *more, **named):
        __tracebackhide__ = True
        if self.__class__.backward is not guarded:
            return backward(self, *given(dout, more), **named)
        made = self._made
        if made is None:
            if hasattr(type(self).forward, "guarded") and "forward" not in vars(self):
                raise out_of_order(self)
        # None: of several, all comes by the others
        elif (dout is not MISSING and not fitted(dout, made)
              and (dout is not None or not (more or named))):
            dout = fitting(self, dout, *made)
        if more or named or dout is MISSING:
            return backward(self, *given(dout, more), **named)
        return backward(self, dout)
    return of_its_own(guarded)


def of_its_own(guarded):
    """The wrapper with a copy of its code: Python adapts code to the classes that it meets, and
    here it meets one: 3 % of the step of a small network."""
    guarded.guarded, guarded.__code__ = True, guarded.__code__.replace()
    return guarded


def given(first, more):
    return more if first is MISSING else (first, *more)


def fitted(x, fit):
    """Whether x is an array of that shape and dtype; ``fit`` is None for what is not looked at."""
    return fit is None or (x.__class__ is np.ndarray and x.dtype is fit[1] and x.shape == fit[0])


def admitted(layer, arguments, forward, inputs, named):
    """The inputs, positional and named, checked and cast; ``layer._fits`` gets the shapes and
    dtypes of those that needed no cast, for the next call."""
    who, params = type(layer).__name__, getattr(layer, "params", ())
    dtype = params[0].dtype if len(params) and isinstance(params[0], np.ndarray) else None
    layer._fits = ()
    if arguments is None:
        taken = [cast(who, "an input", x, dtype) for x in inputs]
        named = {name: cast(who, name, x, dtype) for name, x in named.items()}
        looked_at = [True] * len(taken)
    else:
        # the others are parameters
        names = argument_names(forward)
        sizes, seen, taken, named = parameter_sizes(layer, arguments), {}, list(inputs), dict(named)
        wanted = [a for a in arguments if a.name in names]
        if wanted and wanted[-1].several:
            wanted[-1:] = one_by_one(who, wanted[-1], inputs[len(wanted) - 1:])
        looked_at = [a.pattern is not None for a in wanted] + [False] * len(inputs)
        needed = [a.name for a in wanted[len(inputs):] if not a.optional and a.name not in named]
        if needed or len(inputs) > len(wanted):
            expected = f"be given {', '.join(a.name for a in wanted)}"
            raise TypeError(checks.wrong(who, "forward", expected, f"{len(inputs)} inputs"))
        for i, argument in enumerate(wanted):
            name, pattern = argument.name, argument.pattern
            given = inputs[i] if i < len(inputs) else named.get(name)
            if pattern is None or given is None and argument.optional:
                continue
            like = seen.get(pattern) if isinstance(pattern, str) else None
            if like is not None:
                a = checks.array(who, name, given, like.dtype, like.shape)
            elif argument.boolean:
                shape = (...,) if pattern == ANY else known(pattern, sizes)
                a = checks.boolean(who, name, given, shape)
            elif pattern == FLOAT:
                beside = dtype                    # a Python number takes that of the first array
                if dtype is None and isinstance(given, (int, float)):
                    beside = next((x.dtype for x in inputs
                                   if isinstance(x, np.ndarray | np.float32)), None)
                a = checks.array(who, name, given, beside)
            else:
                a = checks.array(who, name, given, dtype, known(pattern, sizes))
                a = a.astype(next(iter(seen.values()), a).dtype, copy=False)
                bind(pattern, a.shape, sizes)
            seen[name] = a
            if i < len(inputs):
                taken[i] = a
            else:
                named[name] = a
        if hasattr(layer, "check_inputs"):
            layer.check_inputs(*taken, **named)
    if not named and all(a is x and x.__class__ is np.ndarray
                         for a, x, look in zip(taken, inputs, looked_at) if look):
        layer._fits = tuple((a.shape, a.dtype) if look else None
                            for a, look in zip(taken, looked_at))
    return tuple(taken), named


@functools.lru_cache(1000)
def argument_names(forward):
    return tuple(inspect.signature(forward).parameters)


def one_by_one(who, argument, inputs):
    """For an argument that stands for several one for each of the inputs."""
    if not inputs:
        raise TypeError(checks.wrong(who, "forward", "be given at least one input", "none"))
    first = inputs[0]
    if isinstance(first, (list, tuple)) and any(isinstance(x, np.ndarray) for x in first):
        expected = f"be given its inputs one by one, as in {who}()(a, b)"
        raise TypeError(checks.wrong(who, "forward", expected, f"a {type(first).__name__} of them"))
    return [Argument(f"{argument.name}[{i}]", argument.pattern) for i in range(len(inputs))]


def parameter_sizes(layer, arguments, check=False):
    """The sizes that the parameters' letters stand for. ``check``: ValueError for a parameter whose
    shape is not the line's."""
    sizes = {}
    for name, p in zip(layer.names, layer.params):
        pattern = next((a.pattern for a in arguments if a.name == name), None)
        if pattern is None:
            continue
        for _ in range(1 + check):                      # twice: one letter may stand at two axes
            if check:
                checks.array(type(layer).__name__, name, p, p.dtype, known(pattern, sizes))
            for letter, n in zip(pattern, p.shape):
                if isinstance(letter, str):
                    letter, _, factor = letter.partition(" / ")
                    sizes.setdefault(letter, n * getattr(layer, factor) if factor else n)
    return sizes


def known(pattern, sizes):
    """The pattern with the sizes that are known in place of their letters, and the axes in place of
    ``...``."""
    known = [sizes.get(letter, letter) for letter in pattern]
    return sum((size if isinstance(size, tuple) else (size,) for size in known), ())


def bind(pattern, shape, sizes):
    """Note the size of each letter, and the axes that ``...`` stands for."""
    front = pattern.index(...) if ... in pattern else len(pattern)
    back = len(shape) - (len(pattern) - front - 1)
    sizes.update(zip(pattern[:front], shape[:front]))
    if ... in pattern:
        sizes[...] = shape[front:back]
        sizes.update(zip(pattern[front + 1:], shape[back:]))


def cast(who, name, x, dtype):
    """An input of a class without a line: an array of floats in the parameters' dtype, anything
    else as it is."""
    if not isinstance(x, np.ndarray):
        return x
    checks.unmasked(who, name, x)
    if (x.dtype.kind != "f" or x.dtype in checks.FLOATS and dtype in (None, x.dtype)
        and x.dtype.isnative):
        return x
    return checks.array(who, name, x, dtype) if x.size else x


def described(y):
    if isinstance(y, (np.ndarray, np.floating)):
        return y.shape, y.dtype
    if isinstance(y, tuple):
        return SEVERAL, tuple(map(described, y))
    return NUMBER, None


def fitting(layer, dout, shape, dtype):
    """``dout`` as an array of the output's shape and dtype; ValueError or TypeError if it cannot be
    one. Among several None stands for zero; the gradient of a number is left to the loss."""
    if shape is NUMBER:
        return dout
    if shape is SEVERAL:
        if not isinstance(dout, (tuple, list)) or len(dout) != len(dtype):
            return dout
        return tuple(None if d is None else fitting(layer, d, *each)
                     for d, each in zip(dout, dtype))
    given = getattr(dout, "shape", shape)
    if given in (layer._seen or ()):                    # of an earlier forward, perhaps
        shape = given
    return checks.array(type(layer).__name__, "dout", dout, dtype if dtype.kind == "f" else None,
                        shape)


def out_of_order(layer):
    """The error where forward has not run, or its caches were dropped."""
    return RuntimeError(f"{type(layer).__name__}: backward was called before forward; "
                        "call forward(x) first (predict keeps nothing for backward)")
