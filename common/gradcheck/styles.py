"""The styles in which learners write a layer, each turned into forward, backward, params, grads.

``adapted`` knows a style by its names and by one trial on a copy. What is written as ours is given
back as it is.
"""
import contextlib
import inspect
import re
from typing import Any

import numpy as np

from .copying import float64_copy
from .subject import is_float, parameters, required

OF_A_GRADIENT = r"d[A-Z_]|d(out|top|elta|[hoxyz])?\d*$|.*(grad|upstream)"     # a name that says so
CACHES = ("cache", "ctx", "context", "saved", "tape")
RATES = ("lr", "rate", "eta", "alpha", "step_size")


class FunctionLayer:
    """A function with its ``gradient``, as ``check_gradients`` takes them, as a layer."""

    def __init__(self, f, gradient):
        self.f, self.gradient, self.params, self.grads = f, gradient, [], []

    def forward(self, *inputs):
        self.inputs = inputs
        return self.f(*inputs)

    def backward(self, dout):
        if not isinstance(self.gradient, np.ufunc) and required(self.gradient) > len(self.inputs):
            return self.gradient(*self.inputs, dout)
        slope = self.gradient(*self.inputs)
        if isinstance(slope, tuple):
            return tuple(None if g is None else np.asarray(g) * dout for g in slope)
        return None if slope is None else np.asarray(slope) * dout


class Adapted:
    """A layer of another style as one of ours; ``where``: the names of its parameters."""
    params: Any = ()
    grads: Any = ()
    where: Any = ()
    answers: int | None = None  # how many of the inputs get a gradient; None: all

    def __init__(self, layer):
        self.layer = layer


class Bound(Adapted):
    """A layer some of whose inputs are no arrays: a dict of settings, a word, a flag. ``given``:
    all of them, with None in the place of an array."""

    def __init__(self, layer, inputs):
        super().__init__(layer)
        self.given = [None if arraylike(x) else x for x in inputs]
        self.arrays = [i for i, x in enumerate(inputs) if arraylike(x)]
        self.where, self.answers = getattr(layer, "where", ()), getattr(layer, "answers", None)
        self.takes_dout = getattr(layer, "takes_dout", bool(parameters(layer.backward)))

    params = property(lambda self: getattr(self.layer, "params", ()))
    grads = property(lambda self: getattr(self.layer, "grads", ()))

    def forward(self, *inputs):
        given = list(self.given)
        for i, x in zip(self.arrays, inputs):
            given[i] = x
        return self.layer.forward(*given)

    def backward(self, dout=1.0):
        found = self.layer.backward(*([dout] if self.takes_dout else ()))
        if isinstance(found, tuple) and len(found) == len(self.given):
            found = tuple(found[i] for i in self.arrays)
        return found


class CachePair(Adapted):
    """``forward(*inputs) -> (out, cache)`` and ``backward(dout, cache)``: two functions; there may
    be several outputs, each with its dout."""

    def __init__(self, f, gradient):
        self.f, self.gradient = f, gradient

    def forward(self, *inputs):
        out, self.cache = apart(self.f(*inputs))
        return out

    def backward(self, dout):
        return self.gradient(*(dout if isinstance(dout, tuple) else (dout,)), self.cache)


def apart(found):
    """(output, cache) of what a forward gives: one output, or a tuple of several, before the
    cache."""
    return (found[0] if len(found) == 2 else found[:-1]), found[-1]


class LossAndGradients(Adapted):
    """``f(*inputs) -> (loss, gradients)`` of the first inputs, or a net's ``loss``, of its
    ``params``."""

    def __init__(self, f=None, net=None):
        super().__init__(net)
        self.f = f
        self.keys = list(net.params) if net is not None else []
        self.where = [f"params[{key!r}]" for key in self.keys]
        self.answers = 0 if net is not None else 1

    def call(self):
        return (self.f or self.layer.loss)(*self.inputs)

    @property
    def params(self):
        return [self.layer.params[key] for key in self.keys]

    def forward(self, *inputs):
        self.inputs = inputs
        loss, found = self.call()
        self.answers = 0 if self.keys else len(found) if isinstance(found, tuple) else 1
        return loss

    def backward(self, dout=1.0):
        _, self.found = self.call()

        def scaled(g):
            return None if g is None else np.asarray(g) * dout

        if self.keys:
            self.grads = [scaled(partner(self.found, key)) for key in self.keys]
            return None
        return tuple(map(scaled, self.found)) if self.answers > 1 else scaled(self.found)


class Held(Adapted):
    """Parameters in a dict or as attributes, beside their gradients (``paths``); the cache handed
    out by forward and in to backward (``cached``); a backward that makes the step (``rate``)."""

    def __init__(self, layer, cached, rate):
        super().__init__(layer)
        self.cached, self.rate = cached, rate
        self.paths, self.grads, self.returned = [], [], None

    takes_dout = property(lambda self: bool(parameters(self.layer.backward)))
    where = property(lambda self: [f"{p[0]}[{p[1]!r}]" if p[1:] else p[0] for p in self.paths])
    params = property(lambda self: [read(self.layer, path) for path in self.paths])

    def forward(self, *inputs):
        y = self.layer.forward(*inputs)
        if self.cached:
            y, self.cache = apart(y)
        return y

    def backward(self, dout=1.0):
        before = [np.array(p) for p in self.params] if self.rate else []
        arrays = self.params
        extra = ([self.cache] if self.cached else []) + ([1.0] if self.rate else [])
        douts = dout if isinstance(dout, tuple) and self.cached else (dout,)
        found = self.layer.backward(*([*douts, *extra] if self.takes_dout else ()))
        if self.rate:
            self.grads = [p - q for p, q in zip(before, self.params)]
            for path, array, value in zip(self.paths, arrays, before):
                array[...] = value
                put(self.layer, path, array)
            return found
        given = next((g for g in (found, *(found if isinstance(found, tuple) else ()))
                      if isinstance(g, dict)), None)
        self.grads = [partner(given, path[-1]) if given is not None
                      else gradient_of(self.layer, path) for path in self.paths]
        if given is not None:
            rest = tuple(g for g in found if g is not given) if isinstance(found, tuple) else ()
            return rest[0] if len(rest) == 1 else rest or None
        return found


def read(layer, path):
    found = getattr(layer, path[0])
    return found[path[1]] if path[1:] else found


def put(layer, path, value):
    if path[1:]:
        getattr(layer, path[0])[path[1]] = value
    else:
        setattr(layer, path[0], value)


def partner(named, key):
    """The gradient of ``key`` in a dict, under one of the usual names; None if there is none."""
    if not isinstance(named, dict):
        return None
    for name in (key, f"d{key}", f"grad_{key}", f"{key}_grad", f"d_{key}", f"g{key}"):
        if name in named:
            return named[name]
    return {str(k).lower(): v for k, v in named.items()}.get(f"d{key}".lower())


def gradient_of(layer, path):
    """The gradient of a parameter: in a dict of gradients, or an attribute of the layer's."""
    for holder in ("grads", "gradients", "grad"):
        if (found := partner(getattr(layer, holder, None), path[-1])) is not None:
            return found
    attributes = {k: v for k, v in vars(layer).items() if k != path[-1]}
    return partner(attributes, path[-1])


def arraylike(x):
    return x is None or not isinstance(x, (dict, str, bool)) and not callable(x)


def hands_out_cache(y, names, sure=False):
    """Whether the last thing that forward returns, y, is what backward wants back as its last
    argument, and no output. ``sure``: whether it can't be anything else."""
    if not isinstance(y, tuple) or not 1 < len(y) == len(names):
        return False
    known = any(word in names[-1].lower() for word in CACHES)
    known |= bool(re.match(OF_A_GRADIENT, names[0]) and not re.match("d|.*grad", names[-1]))
    return sure or known or not is_float(y[-1])


def tried(f, inputs):
    """f at copies of the inputs, or None where it fails."""
    with contextlib.suppress(Exception):
        return f(*(x.astype(float) if is_float(x) else np.array(x) if isinstance(x, np.ndarray)
                   else x for x in map(plain, inputs)))
    return None


def plain(x):
    return (np.asarray(x) if isinstance(x, (list, np.generic)) else dict(x) if isinstance(x, dict)
            else x)


def adapted(layer, gradient, inputs):
    """The layer as an object with forward, backward, params and grads, and its inputs that are
    arrays."""
    layer = in_style(layer, gradient, inputs)
    if not all(map(arraylike, inputs)):
        return Bound(layer, inputs), tuple(filter(arraylike, inputs))
    return layer, inputs


def in_style(layer, gradient, inputs):
    if isinstance(layer, tuple) and len(layer) == 2 and gradient is None:
        layer, gradient = layer
    if inspect.isclass(layer):
        raise TypeError(
            f"check_gradients: layer should be an object, got the class {layer.__name__}; make "
            f"one: {layer.__name__}(...)"
        )
    if gradient is not None:
        if not callable(layer) or not callable(gradient):
            raise TypeError(
                "check_gradients: with gradient=..., both should be functions: check_gradients(f, "
                "x, gradient=df)"
            )
        names = [p.name for p in parameters(gradient)]
        # gradient(*inputs, dout), which begins as the function does
        whole = len(names) == len(inputs) + 1 and names[0] == parameters(layer)[0].name
        if hands_out_cache(tried(layer, inputs), names, sure=not whole):
            return CachePair(layer, gradient)
        return FunctionLayer(layer, gradient)
    if not callable(getattr(layer, "forward", None)):
        if callable(getattr(layer, "loss", None)) and isinstance(getattr(layer, "params", None),
                dict):
            return LossAndGradients(net=layer)
        if inspect.isroutine(layer):
            y = tried(layer, inputs)
            if isinstance(y, tuple) and len(y) == 2 and np.ndim(y[0]) == 0:
                return LossAndGradients(layer)
        raise TypeError(
            f"check_gradients: layer should have forward and backward, got {type(layer).__name__}; "
            "a function goes with its derivative: check_gradients(f, x, gradient=df)"
        )
    return held(layer, inputs)


def held(layer, inputs):
    """A layer whose parameters lie in a dict or are attributes, or whose backward wants a cache or
    a learning rate, as one with lists; any other as it is."""
    params, grads = (getattr(layer, name, None) for name in ("params", "grads"))
    if not callable(getattr(layer, "backward", None)):
        return layer
    names = [p.name for p in parameters(layer.backward)]
    rate = any(n.lower() in RATES or n.lower().endswith(("_rate", "_lr")) for n in names[1:])
    cached = False
    if len(names) > 1 and not rate or len(names) > 2:
        (trial,) = float64_copy(layer)
        cached = hands_out_cache(tried(trial.forward, inputs), names[: len(names) - rate])
    lists = isinstance(params, (list, tuple)) and (params or isinstance(grads, (list, tuple)))
    if lists and not cached and not rate:
        return layer
    made = Held(layer, cached, rate)
    if isinstance(params, dict):
        made.paths = [("params", key) for key, p in params.items() if is_float(p)]
    elif lists:
        made.paths = [("params", i) for i, p in enumerate(params)]
        if not rate:
            return Lists(layer)
    elif hasattr(layer, "__dict__"):
        made.paths = [(name,) for name in attributes(layer, made, inputs)]
    return made if made.paths or cached or rate else layer


class Lists(Held):
    """Lists of params and grads, with a cache that is handed round."""

    def __init__(self, layer):
        Adapted.__init__(self, layer)
        self.cached, self.rate, self.paths = True, False, []

    where = ()
    params = property(lambda self: self.layer.params)
    grads = property(lambda self: self.layer.grads, lambda self, value: None)


def attributes(layer, made, inputs):
    """The attributes that are parameters: float arrays from before the first forward that have a
    gradient beside them after a backward, or that the backward has moved."""
    names = [name for name, value in vars(layer).items() if is_float(value)]
    with contextlib.suppress(Exception):
        (trial,) = float64_copy(made)
        y = tried(trial.forward, inputs)
        before = {name: np.array(getattr(trial.layer, name)) for name in names}
        one = (np.ones(np.shape(y)) if not isinstance(y, tuple)
               else tuple(np.ones(np.shape(p)) for p in y))
        trial.backward(one if np.ndim(y) or isinstance(y, tuple) else 1.0)
        if made.rate:
            return [n for n in names if not np.array_equal(before[n], getattr(trial.layer, n))]
        beside = [n for n in names if gradient_of(trial.layer, (n,)) is not None]
        return [n for n in beside if not any(gradient_of(trial.layer, (m,)) is getattr(trial.layer,
                n) for m in names)]
    return []


def innermost(layer):
    while isinstance(layer, Adapted) and getattr(layer, "layer", None) is not None:
        layer = layer.layer
    return layer


def name_of(layer):
    """What a report calls the layer: its class, or its function."""
    if isinstance(layer, tuple) and layer:
        layer = layer[0]
    f = getattr(layer, "f", layer)
    return getattr(f, "__name__", None) or type(layer).__name__
