"""The places of one function of the user's, and the arrays at hand there: what the changes ask
about."""
import ast
import itertools
from dataclasses import dataclass

import numpy as np

from . import edits
from .source import all_bits
from .subject import is_layer


@dataclass
class Other:
    """An array at hand in a function."""
    node: ast.expr
    values: list
    upstream: bool

    @property
    def shape(self):
        return np.shape(self.values[0])

    @property
    def kind(self):
        return self.values[0].dtype.kind

    @property
    def mask(self):
        return all_bits(self.values)


class Scope:
    """What the changes ask about the places of one function."""

    def __init__(self, function, places, locals_, counts, inputs, weights=()):
        self.function, self.places, self.sizes, self.inputs = function, places, counts, inputs
        self.weights = weights
        self.unshaped = False  # whether a gradient has not its array's shape
        self.deaf, self.douts = False, {}  # whether dout is left out somewhere; its names, shapes
        self.loss = False
        self.survey()
        self.scalars = {ast.unparse(p.node): p.values[0] for p in places if p.simple
                        and not p.upstream and np.ndim(p.values[0]) == 0
                        and isinstance(p.values[0], (int, float, np.number)) and not self.index(p)}
        self.counters = {ast.unparse(p.node): max(p.values) for p in places
                         if isinstance(p.node, ast.Name) and len(p.values) > 1
                         and all(isinstance(v, (int, np.integer)) for v in p.values)}
        self.unread = unread(self.function.tree)
        self.varying = {p.node.id for p in places if isinstance(p.node, ast.Name)
                        and np.ndim(p.values[0]) == 0}
        self.objects = {}
        self.arrays = {}
        for p in places:
            if p.is_array and p.simple and not self.index(p):
                self.arrays.setdefault(ast.unparse(p.node), Other(p.node, p.values, p.upstream))
        steps = [f"{t}{more}" for t in self.counters for more in ("", " + 1", " - 1")]
        for name, values, upstream in locals_:
            if isinstance(values, type):
                self.objects[name] = values
                continue
            for step in steps if "{t}" in name else ():
                at = edits.template(name.replace("{t}", step))
                self.arrays.setdefault(ast.unparse(at), Other(at, values, upstream))
            if "{t}" in name:
                continue
            if not np.ndim(values[0]):
                self.scalars.setdefault(name, values[0])
                continue
            self.arrays.setdefault(name, Other(edits.template(name), values, upstream))

    def heard(self, douts):
        """Take in the names and shapes of dout, whose parts in a loop are at hand, too."""
        self.douts = douts
        loops = dict.fromkeys(n.id for s in ast.walk(self.function.tree) if isinstance(s, ast.For)
                              for n in ast.walk(s.target) if getattr(n, "id", 0) in self.counters)
        for name, shape in douts.items():
            axes = range(len(shape))
            for kept in (k for r in axes for k in itertools.combinations(axes, r)):
                for turns in itertools.combinations(loops, len(shape) - len(kept)):
                    at = [":" if a in kept else turns[a - sum(k < a for k in kept)] for a in axes]
                    if any(t != ":" and self.counters[t] >= n for t, n in zip(at, shape)):
                        continue
                    part = f"{name}[{', '.join(at)}]"
                    self.arrays.setdefault(part, Other(
                        edits.template(part),
                        [np.full([shape[a] for a in kept], np.nan)], True))

    def survey(self):
        """Where each node of the tree, as it now stands, hangs."""
        self.of = {id(p.node): p for p in self.places
                   if not isinstance(p.node, (ast.Tuple, ast.List))}
        self.parents = {id(child): (parent, field) for parent in ast.walk(self.function.tree)
                        for field, value in ast.iter_fields(parent)
                        for child in (value if isinstance(value, list) else [value])
                        if isinstance(child, ast.AST)}
        self.places = [p for p in self.places if id(p.node) in self.parents]

    def at(self, node):
        return self.of.get(id(node))

    def others(self, shape, upstream):
        """The arrays at hand, of any shape if it is None, but for gradients that stood there
        before."""
        return [o for name, o in self.arrays.items() if (shape is None or o.shape == shape)
                and o.upstream == upstream and "grads" not in name]

    def beside(self, place, upstream):
        """Those of its shape with another name."""
        name = ast.unparse(place.node)
        return [o for o in self.others(place.shape, upstream) if ast.unparse(o.node) != name]

    def parent(self, place):
        return self.parents[id(place.node)]

    def handed_on(self, place):
        """Whether it is a gradient, or a loss's before dout comes in, as it is handed on."""
        return place.is_array and (place.upstream or self.loss) and self.whole(place)

    def whole(self, place):
        """Whether a value is handed on: assigned, returned, added, multiplied as a
        matrix, summed."""
        parent = self.parent(place)[0]
        return not self.index(place) and (
            isinstance(parent, (ast.Assign, ast.AugAssign, ast.Return, ast.Tuple, ast.List,
                                ast.Call, ast.Starred))
            or edits.operator(parent, ast.Add, ast.Sub, ast.MatMult)
            or getattr(parent, "attr", None) in ("sum", "mean", "T", "reshape", "transpose", "dot"))

    def factor(self, place):
        """Whether it is a factor of a matrix product."""
        parent, field = self.parent(place)
        return (edits.operator(parent, ast.MatMult) or isinstance(parent, ast.Call)
                and field == "args" or getattr(parent, "attr", None) == "dot")

    def above(self, place):
        """(parent, field), from a place up to its statement."""
        node = place.node
        while id(node) in self.parents and not isinstance(node, ast.stmt):
            node, field = self.parents[id(node)]
            yield node, field

    def index(self, place):
        """Whether it stands inside square brackets."""
        return any(isinstance(parent, ast.Subscript) and field == "slice"
                   for parent, field in self.above(place))

    def within_range(self, place):
        """Whether it stands in the bounds of a loop."""
        return any(edits.method(parent, "range") for parent, _ in self.above(place))

    def at_labels(self, place):
        """Whether it stands in brackets on the left of an assignment, among integers."""
        *_, (_, field) = self.above(place)
        return self.index(place) and field == "target" and (
            np.asarray(place.values[0]).dtype.kind in "iu")

    def product(self, place):
        """The whole product that a place is a factor of."""
        while edits.operator(self.parent(place)[0], ast.Mult,
                             ast.Div) and (above := self.at(self.parent(place)[0])):
            place = above
        return place

    def made_of(self, new, old):
        """Whether what a node stands for is computed from the names in another one, by the
        assignments of the function."""
        names, sought = edits.names_in(new), edits.names_in(old)
        for _ in range(9):
            for s in ast.walk(self.function.tree):
                if (isinstance(s, ast.Assign) and s.lineno <= old.lineno
                        and names & set().union(*map(edits.names_in, s.targets))):
                    names = names | edits.names_in(s.value)
        return bool(names & sought) or not edits.names_in(new)

    def weight(self, other):
        """Whether an array is a parameter."""
        return any(p.shape == other.shape and np.array_equal(p, other.values[0])
                   for p in self.weights)

    def outermost(self, place):
        """The largest expression around a place that does not depend on dout: the factor that it
        belongs to."""
        while not place.upstream:
            parent = self.parent(place)[0]
            above = self.at(parent)
            if (isinstance(parent, (ast.Attribute, ast.keyword, ast.Tuple)) and above is None
                and id(parent) in self.parents):
                above = self.at(self.parents[id(parent)][0])
            if above is None or above.upstream:
                break
            place = above
        return place

    def other_half(self, place, array, slope):
        """Whether of a (1 - a) the half that ``slope`` is not multiplies the gradient at a place
        already, or does so next."""
        v, a = place.values[0], array.values[0]
        half = 1 - a if slope == "A" else a
        same = [p.values[0] for p in self.places if p.is_gradient and p.shape == place.shape]
        return any(np.allclose(q, v * half) or np.allclose(v, q * half) for q in same)

    def beside_upstream(self, place):
        """Whether it is a whole factor beside the upstream gradient."""
        parent = self.at(self.parent(place)[0])
        return parent is not None and parent.upstream and not place.upstream


def unread(tree):
    """The names that a function gives to values and never reads."""
    names = [n for n in ast.walk(tree) if isinstance(n, ast.Name)]
    read = {n.id for n in names if isinstance(n.ctx, ast.Load)}
    return [n for n in dict.fromkeys(n.id for n in names) if n not in read]


def hidden_arrays(one, two):
    """The arrays at hand in a function that its text may not read: locals that nobody uses,
    attributes of self."""
    number = (int, float, np.number)
    for name, v in one.items():
        if isinstance(v, np.ndarray) and v.ndim:
            yield name, [v.copy()], not np.array_equal(v, two.get(name, v))
        elif isinstance(v, number) and not isinstance(v, bool) and v == two.get(name, v):
            yield name, [v], False
        elif is_layer(v) and name != "self":
            yield name, type(v), False
        elif isinstance(v, dict):
            yield from in_dict(name, v)
    for name, v in vars(one["self"]).items() if hasattr(one.get("self"), "__dict__") else ():
        if isinstance(v, np.ndarray) and v.ndim:
            yield f"self.{name}", [v.copy()], False
            if v.ndim == 3:
                yield f"self.{name}[:, {{t}}]", [v[:, 0].copy()], False
        elif isinstance(v, number) and not isinstance(v, bool):
            yield f"self.{name}", [v], False
        if isinstance(v, dict):
            yield from in_dict(f"self.{name}", v)
        arrays = [part for part in v if isinstance(part, np.ndarray)] if isinstance(v, list) else []
        if len({part.shape for part in arrays}) == 1 and arrays[-1].ndim:
            yield f"self.{name}[{{t}}]", [arrays[-1].copy()], False
        if isinstance(v, (tuple, list)) and len(v) < 12:
            for i, part in enumerate(v):
                if isinstance(part, np.ndarray) and part.ndim:
                    yield f"self.{name}[{i}]", [part.copy()], name == "grads"


def in_dict(name, held):
    """The arrays of a dict, but for gradients."""
    for key, v in held.items() if "grad" not in name else ():
        if isinstance(v, np.ndarray) and v.ndim and isinstance(key, (str, int)):
            yield f"{name}[{key!r}]", [v.copy()], False
