"""The styles in which learners write a layer, each turned into forward, backward, params, grads.

``adapted`` knows a style by its names and by one trial on a copy. What is written as ours is given
back as it is.
"""
import contextlib
import inspect
import re
from typing import Any

import numpy as np

from .copying import float64_copy, places
from .subject import is_float, parameters, required

OF_A_GRADIENT = r"d[A-Z_]|d(out|top|elta|[hoxyz])?\d*$|.*(grad|upstream)"     # a name that says so
CACHES = ("cache", "ctx", "context", "saved", "tape")
MARK = "d|g|grad|gradient|delta|nabla"          # beside a parameter's name, its gradient's
NEUTRAL = "param|parameter|value|data|array|tensor"
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
        loss, found = (self.f or self.layer.loss)(*self.inputs)
        if self.f and isinstance(found, dict):           # under the names of its arguments
            found = tuple(gradient_of({"grad": found}, (p.name,)) for p in parameters(self.f))
            while found and found[-1] is None:
                found = found[:-1]
        return loss, found if isinstance(found, tuple) or self.keys else (found,)

    @property
    def params(self):
        return [self.layer.params[key] for key in self.keys]

    def forward(self, *inputs):
        self.inputs = inputs
        loss, found = self.call()
        self.answers = 0 if self.keys else max(len(found), 1)
        return loss

    def backward(self, dout=1.0):
        _, self.found = self.call()

        def scaled(g):
            return None if g is None else np.asarray(g) * dout

        if self.keys:
            self.grads = [scaled(gradient_of({"grad": self.found}, (key,))) for key in self.keys]
            return None
        found = tuple(map(scaled, self.found))
        return found[0] if len(found) == 1 else found or None


class Known(dict):
    """Where gradients are: the same in all copies of a layer."""

    def __deepcopy__(self, memo):
        return self


class Held(Adapted):
    """Parameters that lie anywhere in the layer (``paths``), beside their gradients or returned
    with them; the cache handed out by forward and in to backward (``cached``); a backward that
    makes the step (``rate``)."""

    def __init__(self, layer, cached, rate):
        super().__init__(layer)
        self.cached, self.rate = cached, rate
        self.paths, self.where, self.grads, self.known = [], [], [], Known()

    takes_dout = property(lambda self: bool(parameters(self.layer.backward)))
    params = property(lambda self: [read(self.layer, path) for path in self.paths])

    def forward(self, *inputs):
        self.inputs = len(inputs)
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
        several = found if isinstance(found, tuple) else (found,)
        named = [g for g in several if isinstance(g, dict)]
        rest = tuple(g for g in several if not isinstance(g, dict))
        self.grads = [gradient_of({"grad": named[0]} if named else self.layer, path, self.known)
                      for path in self.paths]
        if all(g is None for g in self.grads) and len(rest) == self.inputs + len(self.paths):
            self.grads, rest = list(rest[self.inputs:]), rest[:self.inputs]      # dx, dW, db
        if len(rest) == len(several):
            return found
        return rest[0] if len(rest) == 1 else rest or None


def read(o, path):
    for key in path:
        o = o[key] if isinstance(o, (dict, list, tuple)) else getattr(o, key)
    return o


def put(layer, path, value):
    holder = read(layer, path[:-1])
    if isinstance(holder, (dict, list)):
        holder[path[-1]] = value
    else:
        setattr(holder, path[-1], value)


def words(path):
    """The keys of a path as plain words, the last first, but for those that say nothing."""
    found = [str(key).lower().replace("_", "") for key in reversed(path)]
    return [word for word in found if len(path) == 1 or not re.fullmatch(f"({NEUTRAL})s?", word)]


def labelled(holder):
    """(path, its words, whether another one says gradient) of all that ``holder`` holds."""
    grads = getattr(holder, "grads", None)               # a property, perhaps
    for at, _, g in places([holder, {"grads": grads} if isinstance(grads, (dict, list)) else ()]):
        if g is not None and not isinstance(g, (dict, list, tuple)):
            found = words(at[1:])
            yield at[1:], found, False
            for i, word in enumerate(found):
                if re.fullmatch(f"({MARK})s?", word):
                    yield at[1:], found[:i] + found[i + 1:], True


def place_of_gradient(candidates, path):
    """Where the gradient of the parameter at ``path`` is: under the name that is nearest to its
    own, ``dW``, ``grads["W"]``, ``W.grad``, ``weights_gradient``; None if there is none."""
    mine, found = words(path), []
    match = [re.compile(rf"({MARK}|d\w*d)?{re.escape(w.rstrip('s') or w)}s*(grad(ient)?s?)?").fullmatch
             for w in mine]
    for at, theirs, says_so in candidates:
        hits = [fits(word) for fits, word in zip(match, theirs)]
        if hits and all(hits) and (says_so or any(hit[1] or hit[2] for hit in hits)):
            # gW may be another parameter
            found.append((abs(len(theirs) - len(mine)), theirs[0] == f"g{mine[0]}", at))
    return min(found, key=lambda one: one[:2])[2] if found else None


def gradient_of(holder, path, known=None):
    """The gradient of the parameter at ``path``, or None; ``known``: where those found before
    are."""
    known = {} if known is None else known
    with contextlib.suppress(LookupError, AttributeError):
        if path in known and (g := read(holder, known[path])) is not None:
            return g
    if (at := place_of_gradient(labelled(holder), path)) is None:
        return None
    known[path] = at
    return read(holder, at)


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
        if callable(layer):
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
    lists = (isinstance(params, (list, tuple)) and (params or isinstance(grads, (list, tuple)))
             and all(isinstance(p, np.ndarray) for p in params))
    if lists and not cached and not rate:
        return layer
    made = Held(layer, cached, rate)
    if lists and not rate:
        return Lists(layer)
    if isinstance(params, (dict, list, tuple)):
        keys = params if isinstance(params, dict) else range(len(params))
        made.paths = [("params", key) for key in keys if is_float(params[key])]
        made.where = [f"params[{key!r}]" for _, key in made.paths]
    if not made.paths:
        found = attributes(made, inputs)
        made.paths, made.where = [path for path, _ in found], [text for _, text in found]
    return made if made.paths or cached or rate or params is not None and not lists else layer


class Lists(Held):
    """Lists of params and grads, with a cache that is handed round."""

    def __init__(self, layer):
        super().__init__(layer, cached=True, rate=False)

    params = property(lambda self: self.layer.params)
    grads = property(lambda self: self.layer.grads, lambda self, value: None)


def attributes(made, inputs):
    """(path, text) of each parameter: a float array that was there before the first forward, and
    still is, for which the layer has a gradient after a backward, or that the backward has moved.
    Not one that several hold, each with a gradient of its own."""
    with contextlib.suppress(Exception):
        (trial,) = float64_copy(made)
        held = [(path, text, v, v.copy()) for path, text, v in places(trial.layer) if is_float(v)]
        y = tried(trial.forward, inputs)
        kept = {id(v) for *_, v in places(trial.layer)}
        held = [place for place in held if id(place[2]) in kept]
        one = (np.ones(np.shape(y)) if not isinstance(y, tuple)
               else tuple(np.ones(np.shape(p)) for p in y))
        given = trial.backward(one if np.ndim(y) or isinstance(y, tuple) else 1.0)
        candidates = list(labelled(trial.layer))
        grads = [at if at is None else read(trial.layer, at) for at in (
            place_of_gradient(candidates, path) for path, *_ in held)]
        count = len({id(v) for _, _, v, _ in held}) + len(inputs)
        returned = (isinstance(given, tuple) and len(given) == count
                    and all(g is not None for g in given))
        found = {}
        for (path, text, v, before), g in zip(held, grads):
            if made.rate:
                is_one = not np.array_equal(before, read(trial.layer, path))
            else:
                is_one = returned or g is not None and not any(
                    h is v or h is not None and h is not g and np.shares_memory(u, v)
                    and not np.may_share_memory(g, h) for (*_, u, _), h in zip(held, grads))
            if is_one:
                found.setdefault(id(v), (path, text))
        return list(found.values())
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
