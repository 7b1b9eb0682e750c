"""The parameters of several layers as one pair of lists, an array that layers share listed once."""
from operator import is_

import numpy as np

from ..common import checks
from ..common.layer import is_model
from ..common.sharing import relation
from ..layers.losses import Loss
from .freezing import Arrays, holders


def names_of(layer):
    """The names of a layer's parameters; of those appended later, too."""
    names = list(getattr(layer, "names", None) or ())
    count = len(getattr(layer, "params", ()))
    return names + [f"params.{j}" for j in range(len(names), count)]


class Parameters:
    """``params``, ``grads`` and ``names`` over ``layers``, paired.

    Layers share a weight by holding the same whole array, or its transpose. It is listed once, as
    its first holder has it; its gradient, an array of its own, is the sum over the holders, which
    ``gather()`` forms after a backward.
    """

    def __init__(self, layers):
        self.params, self.grads, self.names = Arrays(), Arrays(), []
        self.held = []  # per layer and kind: the list and what was in it
        gradients = []  # per listed array: its holders' gradients, in the listed orientation
        for i, layer in enumerate(layers):
            grads = getattr(layer, "grads", None)
            grads = [np.zeros_like(p) for p in layer.params] if grads is None else grads
            for kind in ("params", "grads") if layer.params and hasattr(layer, "grads") else ():
                self.held.append(
                    (i, layer, kind, getattr(layer, kind), tuple(getattr(layer, kind))))
            for name, p, g in zip(names_of(layer), layer.params, grads):
                name = f"{i}.{name}"
                k, how = next(((k, how) for k, q in enumerate(self.params)
                               if (how := relation(q, p))), (None, None))
                if how == "overlap":
                    raise ValueError(
                        f"the parameters {self.names[k]} and {name} overlap in part of their "
                        "memory; share the whole array or its transpose, or give each layer a copy")
                if how:
                    gradients[k].append(g if how == "same" else g.T)
                else:
                    self.params.append(p)
                    self.names.append(name)
                    gradients.append([g])
        self.grads += [h[0] if len(h) == 1 else np.zeros_like(p)
                       for p, h in zip(self.params, gradients)]
        self.shared = [(own, h) for own, h in zip(self.grads, gradients) if len(h) > 1]
        for arrays in (self.params, self.grads):
            arrays.hold(holders(self.params, layers))
        self.layers = tuple(layers)
        self.listed = {"params": tuple(self.params), "grads": tuple(self.grads)}
        self.named = dict(zip(self.names, self.params))
        self.holding = [layer for _, layer, kind, *_ in self.held if kind == "params"]
        self.all = [*layers, *self.params, *self.grads]
        for layer in self.holding:
            self.all += [*layer.params, *layer.grads]

    def gather(self):
        for own, (first, *others) in self.shared:
            own[...] = first
            for g in others:
                own += g

    def check(self, model, kinds=("params", "grads")):
        """RuntimeError if ``model`` has other layers by now, or if an array in its lists or theirs
        was replaced."""
        now = [*model.layers, *model.params, *model.grads]
        for layer in self.holding:
            now += layer.params or ()
            now += layer.grads or ()
        if len(now) == len(self.all) and all(map(is_, now, self.all)):
            return
        who = type(model).__name__
        if len(model.layers) != len(self.layers) or not all(map(is_, model.layers, self.layers)):
            raise RuntimeError(
                f"{who}: its layers are not those that it was made of, and its params are still "
                "theirs; make a new model of the layers you want, which may be the old ones")
        for kind in kinds:
            arrays, known = getattr(model, kind), self.listed[kind]
            if len(arrays) == len(known) and all(map(is_, arrays, known)):
                continue
            for j, a in enumerate(arrays):
                if not any(a is there for there in known):
                    raise RuntimeError(
                        f"{who}: {kind}[{j}] was replaced by an array that no layer knows of; "
                        f"write into the one that was there: {kind}[{j}][...] = value")
        for i, layer, kind, then, arrays in self.held:
            now = getattr(layer, kind)
            if kind in kinds and (now is not then or len(now) != len(arrays)
                                  or not all(map(is_, now, arrays))):
                raise RuntimeError(
                    f"layer {i} ({type(layer).__name__}) replaced its {kind} list or an array in "
                    "it, so the model's own list no longer shows the truth; write into the array: "
                    f"self.{kind}[i][...] = value")


def relist(model):
    """Make the lists over all layers anew, inner models' first; the list objects stay."""
    for layer in model.layers:
        if is_model(layer):
            relist(layer)
    made = Parameters(model.layers)
    model.params[:], model.grads[:] = made.params, made.grads
    for arrays in (model.params, model.grads):
        arrays.hold(made.params.holders)
    made.params, made.grads, model._parameters = model.params, model.grads, made


def in_a_row(who, layers):
    for i, layer in enumerate(layers):
        if isinstance(layer, (list, tuple)):
            raise TypeError(f"{who}: takes its layers one by one, got a {type(layer).__name__} of "
                            f"them; {who}(*layers)")
        if isinstance(layer, Loss):
            raise TypeError(f"{who}: layer {i} is a loss, which takes targets too; it goes by its "
                            f"name: loss={layer!r}")
    return layers


def checked(layers):
    """The layers as a list, each an object that keeps the contract, none there twice."""
    layers = list(layers)
    seen = {}
    for i, layer in enumerate(layers):
        who = f"layer {i} ({type(layer).__name__})"
        if isinstance(layer, type):
            raise TypeError(f"layer {i} is the class {layer.__name__}; a model takes objects: "
                            f"{layer.__name__}(...)")
        missing = [name for name in ("forward", "backward", "params", "grads")
                   if not hasattr(layer, name)]
        # the others may be missing, as on the first pages of the books: see ``trainable``
        if "forward" in missing or "params" in missing:
            raise TypeError(
                f"{who} has no {', '.join(missing)}; a layer has forward, backward, params and "
                "grads" + ("; call super().__init__() in its __init__"
                            if missing == ["params", "grads"] else ""))
        if getattr(layer, "penalty", None) is not None:
            raise ValueError(
                f"{who} has a penalty of its own, which would be lost inside another model; give "
                "the penalty to the outer one")
        if not hasattr(layer, "grads"):
            continue
        if len(layer.params) != len(layer.grads):
            raise ValueError(
                f"{who} has {len(layer.params)} params but {len(layer.grads)} grads; the lists are "
                "paired")
        for j, (p, g) in enumerate(zip(layer.params, layer.grads)):
            if (not isinstance(p, np.ndarray) or not isinstance(g, np.ndarray)
                or (p.shape, p.dtype) != (g.shape, g.dtype)):
                raise ValueError(
                    checks.wrong(who, f"grads[{j}]",
                                 f"be an array like params[{j}], which is {described(p)}",
                                 described(g), "np.zeros_like(p) makes one"))
        for inner in placed(layer):
            if id(inner) in seen:
                raise ValueError(
                    f"one {type(inner).__name__} object stands at two places, in layers "
                    f"{seen[id(inner)]} and {i}; its second forward would overwrite the cache of "
                    "the first. To share weights, make two layers that hold the same arrays: "
                    "Affine(W, b) and Affine(W, b)")
            seen[id(inner)] = i
    return layers


def placed(layer):
    """The layer and all inside a model; what a user's layer refers to may stand elsewhere, too."""
    yield layer
    for inner in getattr(layer, "layers", ()):
        yield from placed(inner)


def trainable(layers):
    for i, layer in enumerate(layers):
        missing = [name for name in ("backward", "grads") if not hasattr(layer, name)]
        if missing:
            raise TypeError(
                f"layer {i} ({type(layer).__name__}) has no {' and no '.join(missing)}; with "
                "forward and params alone a model predicts, to train it each layer needs backward "
                "and grads")


def described(a):
    return f"{a.dtype} {a.shape}" if isinstance(a, np.ndarray) else type(a).__name__
