"""The layer under test, on a float64 copy: how it is run forwards and backwards without a trace on
the original."""
import contextlib
import inspect
from dataclasses import dataclass, field

import numpy as np

from ..common import checks
from ..common.layer import Layer
from .copying import Recording, float64_copy, reachable


@dataclass
class Backward:
    """One backward: the gradient of each input and of each parameter (None where there is none), as
    they came."""
    inputs: list
    params: list
    error: object = None  # the exception it ended with, or None
    raw: object = field(default=None, repr=False)  # what backward returned, untouched

    @property
    def all(self):
        return self.inputs + self.params

    def of(self, e):
        """The gradient of the array that an Evidence is of."""
        found = self.params if e.param else self.inputs
        return found[e.index] if e.index < len(found) else None


def parameters(function):
    """The parameters a callable can be given by position; one without a signature counts as taking
    a single one."""
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return [inspect.Parameter("x", inspect.Parameter.POSITIONAL_ONLY)]
    return [p for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD,
                                           p.VAR_POSITIONAL)]


def required(function):
    return sum(p.default is p.empty and p.kind is not p.VAR_POSITIONAL
               for p in parameters(function))


class Subject:
    """A layer and its inputs. ``pristine`` is the float64 copy (without ``cast`` one of the same
    dtypes) that never runs, ``work`` the one that does; ``call`` runs a student's function."""

    def __init__(self, layer, inputs, call=lambda f, *args: f(*args), cast=True):
        self.call, self.cast, self.tolerance = call, cast, 1e-6
        self.efforts = {}  # of a forward, by the shapes of the inputs
        (self.pristine,) = float64_copy(layer, cast=cast)
        self.inputs = tuple(as_input(x, cast) for x in inputs)
        clear(self.pristine)
        self.has_backward = callable(getattr(self.pristine, "backward", None))
        self.takes_dout = (not self.has_backward or getattr(self.pristine, "takes_dout",
                None) is not False and bool(parameters(self.pristine.backward)))
        self.parts = None  # the shapes of the outputs, where there are several
        # forward keeps state: take a fresh copy for every call
        self.fresh_each_time = False
        self.dtype = np.dtype(np.float64)  # of the last output, as it came
        # grads keep what did not fit into them, instead of raising
        self.recording = False
        self.changed = set()  # what a call changed that it should not have
        self.restart()

    def name(self, i, param):
        """What a report calls input or parameter i."""
        if not param:
            return called(i)
        names = getattr(self.work, "where", ())
        return names[i] if i < len(names) else f"params[{i}]"

    def named(self, found):
        """(name, gradient) of all that one Backward gave."""
        for param, gradients in ((False, found.inputs), (True, found.params)):
            yield from ((self.name(i, param), g) for i, g in enumerate(gradients))

    def restart(self):
        """Throw the working copy away and take a fresh one."""
        recording = [id(g) for g in grads_of(self.pristine)] if self.recording else ()
        (self.work,) = float64_copy(self.pristine, cast=self.cast, recording=recording)
        self.params = list(getattr(self.work, "params", None) or ())
        self.generators = generators_of(self.work)
        self.states = [g.bit_generator.state for g in self.generators]
        self.recurrent = [o for o in reachable(self.work) if isinstance(o, Layer)
                          and hasattr(o, "reset_state")]

    def arrays(self):
        """All that the working copy holds."""
        return [a for a in reachable(self.work) if isinstance(a, np.ndarray)]

    def output(self, inputs=None, watch=True):
        """forward on the working copy, generators in ``buffers`` rewound and recurrent Layers begun
        anew; the outputs of a tuple joined to one flat array. ``watch``: see whether it changes its
        inputs or parameters."""
        if self.fresh_each_time:
            values = [p.copy() for p in self.params]
            self.restart()
            np.random.seed(0)  # noqa: NPY002  a student may draw from it
            for p, value in zip(self.params, values):
                p[...] = value
        for g, state in zip(self.generators, self.states):
            g.bit_generator.state = state
        for layer in self.recurrent:
            layer.reset_state()
        inputs = self.inputs if inputs is None else inputs
        watch = watch or bool(
            self.changed
        )  # off in long loops, once the layer is known to leave all as it is
        given = [x.copy() if watch and isinstance(x, np.ndarray) else x for x in inputs]
        before = [p.copy() for p in self.params] if watch else ()
        y = self.call(self.work.forward, *given)
        self.compare(before, self.params)
        self.given = (inputs, given) if watch else ((), ())
        self.compare_inputs()
        if isinstance(y, tuple):
            ys = list(map(as_output, y))
            self.parts = [part.shape for part in ys]
            return np.concatenate([part.reshape(-1) for part in ys])
        self.parts = None
        self.dtype = (np.asarray(y).dtype if isinstance(y, (np.ndarray, np.floating))
                      else np.dtype(np.float64))
        return as_output(y)

    def compare_inputs(self):
        for i, (x, now) in enumerate(zip(*self.given)):
            if isinstance(x, np.ndarray) and not same(x, now):
                self.changed.add(self.name(i, False))

    def compare(self, before, now):
        for i, (a, b) in enumerate(zip(before, now)):
            if not same(a, b):
                self.changed.add(self.name(i, True))
                b[...] = a

    def backward(self, dout):
        """backward on the working copy, after an ``output()``; dout of the output's shape."""
        several = self.parts is not None
        kept = [dout]
        if several:
            ends = np.cumsum([int(np.prod(shape)) for shape in self.parts])
            kept = [d.reshape(shape) for d, shape in zip(np.split(dout, ends[:-1]), self.parts)]
        given = tuple(np.array(d, np.float64) if several or np.ndim(d) else float(d) for d in kept)
        before, error, raw = [p.copy() for p in self.params], None, None
        try:
            # backward(d1, d2)
            apart = several and required(self.work.backward) == len(given) > 1
            args = (given,) if several and not apart else given
            raw = self.call(self.work.backward, *(args if apart or self.takes_dout else ()))
        except Exception as e:
            error = e
        self.compare(before, self.params)
        self.compare_inputs()
        if not all(map(same, kept, given)):
            self.changed.add("dout")
        listed = isinstance(raw, tuple) or isinstance(raw, list) and len(raw) == len(self.inputs)
        found = list(raw) if listed else [raw]
        floats = [i for i, x in enumerate(self.inputs) if is_float(x)]
        if len(found) == len(floats) < len(self.inputs) and raw is not None and floats[0] > 0:
            # gradients of those inputs alone that have one, after ids for example
            found = [dict(zip(floats, found)).get(i) for i in range(len(self.inputs))]
        found += [None] * (len(self.inputs) - len(found))
        # Copies: a layer may reuse the arrays it returns.
        return Backward([copied(g) for g in found], [copied(g) for g in grads_of(self.work)], error,
                        raw)

    def gradients(self, dout, inputs=None, cleared=True):
        """forward and backward in one; ``cleared``: with grads set to zero first, so that a
        backward that adds gives its first answer."""
        y = self.output(inputs)
        if cleared:
            clear(self.work)
        return self.backward(np.asarray(dout).reshape(y.shape))


class NoOutput(TypeError):
    """What forward gives is no array of numbers."""


def as_output(y):
    """An output in float64."""
    with contextlib.suppress(TypeError, ValueError):
        if y is not None and not np.iscomplexobj(y):
            return np.array(y, np.float64)
    raise NoOutput(f"forward returned {checks.kind_text(y, checks.as_array(y))}, where an array of "
                   "floats is asked, or a tuple of them")


def called(i):
    """What a report calls input i."""
    return "x" if i == 0 else f"inputs[{i}]"


def is_layer(o):
    return not isinstance(o, type) and all(callable(getattr(o, name, None))
                                           for name in ("forward", "backward"))


def leaves(model):
    """The layers inside a model that hold no layers themselves."""
    inner = [o for o in reachable(model) if o is not model and is_layer(o)]
    return [o for o in inner if not any(p is not o and is_layer(p) for p in reachable(o))]


def grads_of(layer):
    grads = getattr(layer, "grads", None)
    return list(grads) if isinstance(grads, (list, tuple)) else []


def clear(layer):
    for g in grads_of(layer):
        if isinstance(g, np.ndarray) and g.flags.writeable:
            g[...] = 0


def is_float(a):
    return isinstance(a, np.ndarray) and a.dtype.kind == "f"


def each_float(inputs, f):
    """The inputs with ``f(x)`` in the place of each array of floats."""
    return tuple(f(x) if is_float(x) else x for x in inputs)


def cut(inputs, batch, samples, width=None):
    """The inputs with so many samples of a batch alone, and so many entries along other axes."""
    return tuple(x[(slice(samples), *[slice(width)] * (x.ndim - 1))]
                 if isinstance(x, np.ndarray) and x.ndim and len(x) == batch else x for x in inputs)


def as_input(x, cast=True):
    """A float input in float64, an integer one as it is."""
    if x is None:
        return None
    a = np.array(checks.as_array(x))
    return a.astype(np.float64) if a.dtype.kind == "f" and cast else a


def same(a, b):
    return np.array_equal(a, b) or bool(np.all((a == b) | (a != a) & (b != b)))


def copied(g):
    """A gradient as an array of its own; what is no array of numbers becomes an empty one, a wrong
    shape."""
    if g is None:
        return None
    if isinstance(g, Recording) and g.attempt is not None:
        return g.attempt
    try:
        return np.array(g, np.float64)
    except (TypeError, ValueError):
        return np.zeros(0)


def generators_of(layer):
    """The random generators that Layer subclasses keep in ``buffers``, at any depth."""
    return [b for o in reachable(layer) if isinstance(o, Layer)
            for b in getattr(o, "buffers", {}).values() if isinstance(b, np.random.Generator)]
