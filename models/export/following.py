"""How values run through a model, and how many axes they have on the way."""

import inspect
import itertools
import re
from typing import Any

import numpy as np

from ... import layers as L
from ...common import checks
from ...common.guard import Argument, parameter_sizes, parsed, pattern_of
from ...layers.losses import Loss
from ..graph import Graph
from ..node import Constant, Input, Select, ordered
from ..recompute import Recompute
from ..sequential import Sequential
from ..text import AttentionSeq2Seq, LanguageModel, Seq2Seq, TransformerLM
from ..text.word_vectors import WordVectors
from .registry import known, named

CHAINS: dict[type, Any] = dict.fromkeys((Sequential, Recompute, LanguageModel), True)
GRAPHS: dict[type, Any] = dict.fromkeys((Graph, TransformerLM, WordVectors), True)
TRANSLATORS: dict[type, Any] = dict.fromkeys((Seq2Seq, AttentionSeq2Seq), True)


def is_network(model):
    """Whether values go from layer to layer in it, and nothing else happens."""
    return bool(known(model, CHAINS) or known(model, GRAPHS))


def inputs_of(model):
    if known(model, GRAPHS):
        return distinct([node.name for node in model.inputs])
    return ["x", "t", "x_mask"] if known(model, TRANSLATORS) else ["x"]


def distinct(names):
    """The names, numbered where two are the same."""
    return names if len(set(names)) == len(names) else [
        f"{name}{i + 1}" for i, name in enumerate(names)]


def follow(model, inputs, visit, constant, loss=False):
    """What a network makes of ``inputs`` (with ``loss``: and targets), by ``visit(number, layer,
    *values)`` for each layer and ``constant(array)`` for each constant."""
    if known(model, CHAINS):
        x, *targets = inputs
        for i, layer in enumerate(model.layers):
            x = visit(str(i), layer, x)
        return visit("loss", model.loss, x, *targets) if loss else x
    number = {id(layer): str(i) for i, layer in enumerate(model.layers)}
    values = dict(zip([*model.inputs, *model.targets], inputs))
    ends = [model.nodes[model._end]] if loss else model.outputs
    for node in ordered(ends):
        taken = [values[n] for n in node.inputs]
        if isinstance(node, Constant):
            values[node] = constant(node.constant)
        elif isinstance(node.layer, Select):
            values[node] = taken[0][node.layer.index]
        elif not isinstance(node, Input):
            values[node] = visit(number.get(id(node.layer), "loss"), node.layer, *taken)
    outputs = tuple(values[node] for node in ends)
    return outputs if len(outputs) > 1 else outputs[0]


def first_use(model, i):
    """The layer that takes input ``i`` of a network, and as which input; else one that takes
    anything."""
    found = []

    def visit(number, layer, *values):
        found.extend((layer, at) for at, mine in enumerate(values) if mine is True)
        return (False,) * getattr(layer, "n", 9)
    follow(model, [k == i for k in range(len(inputs_of(model)))], visit, lambda array: False)
    layer, at = found[0] if found else (L.Dropout(0), 0)
    return first_use(layer, at) if is_network(layer) else (layer, at)


def argument(layer, at):
    """What a layer says of an input."""
    names = list(inspect.signature(layer.forward).parameters)
    name = names[min(at, len(names) - 1)]
    line = getattr(layer, "_arguments", None) or ()
    return next((a for a in line if a.name == name), Argument(name, None))


def sizes(layer, at, axes):
    """For each axis of an input its size, where the parameters decide it, else its letter."""
    pattern = argument(layer, at).pattern
    if not isinstance(pattern, tuple):
        pattern = ("N", "T", ...)[:axes]
    if ... in pattern:
        k = pattern.index(...)
        between = [f"D{j}" for j in range(axes - len(pattern) + 1)]
        pattern = (*pattern[:k], *between, *pattern[k + 1:])
    there = parameter_sizes(layer, layer._arguments) if getattr(layer, "_arguments", None) else {}
    return [there.get(size, size) for size in pattern]


def axes_after(path, layer, *axes):
    """How many axes a layer's output has, of several a tuple; ValueError for inputs that it does
    not take."""
    if is_network(layer):
        return follow(layer, axes, axes_after, np.ndim)
    first, line = axes[0], getattr(layer, "shapes", None)
    said = {a.name: a for a in parsed(line)} if isinstance(line, str) else {}
    more = None  # how many axes ... stands for
    for name, have in zip(inspect.signature(layer.forward).parameters, axes):
        pattern = said[name].pattern if name in said else None
        if pattern is None and name in said and said[name].boolean:
            pattern = ("N",) * first  # an attention's, as long as a query
        if isinstance(pattern, tuple):
            least = len(pattern) - (... in pattern)
            if have < least or have > least and ... not in pattern:
                raise ValueError(f"{named(path, layer)} takes {name} "
                                 f"{checks.shape_text(pattern)}, no array of {have} axes")
            if ... in pattern:
                more = have - least if more is None else max(more, have - least)
    least = 1 + max((max(a, -1 - a) for a in axes_named(layer)), default=-1)
    turned = isinstance(layer, L.Transpose) and layer.axes
    if first < least or turned and first != len(turned):
        raise ValueError(f"{named(path, layer)} takes no array of {first} axes")
    if isinstance(layer, Loss):
        rows = first - (not isinstance(layer, L.SigmoidWithLoss))
        return rows if layer.reduction == "none" else 0
    if isinstance(layer, L.Embedding):
        return first + 1
    if isinstance(layer, L.Branch):
        return (first,) * layer.n
    if isinstance(layer, L.Reshape):
        return len(layer.shape)
    if isinstance(layer, L.Sum | L.LogSumExp):
        return first if layer.keepdims else 0 if layer.axis is None else \
            first - len(axes_named(layer))
    outputs = map(pattern_of, re.findall(r"\([^)]*\)", (line or "").partition("->")[2]))
    counted = [len(p) if ... not in p else max(axes) if more is None else len(p) - 1 + more
               for p in outputs]
    return max(axes) if not counted else counted[0] if len(counted) == 1 else tuple(counted)


def targets_of(who, model, axes):
    """(name, number of axes, whether it holds labels) of each target, as losses say it."""
    names = ["t"] if known(model, CHAINS) else distinct([node.name for node in model.targets])
    found = {}

    def visit(number, layer, *values):
        if isinstance(layer, Loss):
            x, t = values
            labelled = isinstance(layer, L.SoftmaxWithLoss | L.HingeLoss)
            found.setdefault(t, (x - labelled, labelled))
            return axes_after(number, layer, x, x)
        if any(isinstance(value, str) for value in values):
            raise ValueError(f"{who}: {named(number, layer)}, which the targets go into, cannot be "
                             "exported; leave out loss=True")
        return axes_after(number, layer, *values)
    follow(model, [*axes, *names], visit, np.ndim, loss=True)
    return [(name, *found[name]) for name in names]


def axes_named(layer):
    axis = getattr(layer, "axis", None)
    return axis if isinstance(axis, tuple) else () if axis is None else (axis,)


def axes_of_inputs(who, model, examples=()):
    """How many axes the inputs have: those of examples, else the fewest that every layer takes, two
    first. A translator's mask needs an example."""
    names = inputs_of(model)
    translator = bool(known(model, TRANSLATORS))
    if translator and len(examples) < 3:
        names = names[:2]
    if examples and len(examples) != len(names):
        raise ValueError(checks.wrong(who, "the examples", f"be of {', '.join(names)}",
                                      f"{len(examples)} of them"))
    given = []
    for name, example in zip(names, examples):
        a = checks.as_array(example)
        if a.dtype.kind not in "fiub":
            raise TypeError(checks.wrong(who, f"the example of {name}", "be an array of numbers",
                                         checks.kind_text(example, a)))
        given.append(a.ndim)
    if translator:
        return (2,) * len(names)
    if not given and getattr(model, "axes", None):  # word vectors say it
        return (len(model.axes),)
    problem = None
    many = itertools.product((2, 3, 4, 1, 5), repeat=len(names))
    for axes in [tuple(given)] if given else many:
        try:
            follow(model, axes, axes_after, np.ndim)
            return axes
        except ValueError as error:
            problem = problem or error
    raise ValueError(f"{who}: {problem}" if given else
                     f"{who}: how many axes the inputs have cannot be told from the layers "
                     f"({problem}); give an example of each")
