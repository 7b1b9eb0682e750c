"""Signature by experiment on the text: the change of one place in backward that makes the gradient
right.

Where numbers alone leave several readings, the text decides. Each change of ``edits`` undoes one
mistake; it is tried on the copy under test, at the random draws that were measured already. What
heals is the evidence: it names the line.
"""
import ast
import contextlib
import itertools
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from . import edits
from .bounded import TimeUp
from .copying import reachable
from .correction import corrections
from .evidence import agree, close, effort
from .scaling import elementwise, named, ratio
from .source import Function, all_bits, as_array, lines_run, places_of, put, running, watched
from .subject import grads_of, is_layer

MOST = 10_000  # changes tried on one layer
LINES = 200_000  # of the layer's that may run for them


@dataclass
class Repair:
    """A change that heals, what it undoes, and which arrays it makes right."""
    codes: list
    words: str
    function: object
    line: tuple
    heals: frozenset
    make: object  # makes the change for good
    name: bool = False  # whether a bare name stands at the place
    lone: bool = False  # whether it is all that is assigned, or that is reshaped
    all: bool = False  # whether nothing is wrong then

    @property
    def alters(self):
        """Whether it changes what stands there, instead of adding to it."""
        return self.words.startswith("with") and "statistics" not in self.words


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
        self.survey()
        self.scalars = {ast.unparse(p.node): p.values[0] for p in places if p.simple
                        and not p.upstream and np.ndim(p.values[0]) == 0
                        and isinstance(p.values[0], (int, float, np.number)) and not self.index(p)}
        self.counters = {ast.unparse(p.node): None for p in places if isinstance(p.node, ast.Name)
                         and len(p.values) > 1 and all(isinstance(v, (int, np.integer))
                                                       for v in p.values)}
        self.objects = {}
        self.arrays = {}
        for p in places:
            if (p.is_array and isinstance(p.node, (ast.Name, ast.Attribute, ast.Subscript))
                and not self.index(p)):
                self.arrays.setdefault(ast.unparse(p.node), Other(p.node, p.values, p.upstream))
        steps = [f"{t}{more}" for t in self.counters for more in ("", " + 1", " - 1")]
        for name, values, upstream in locals_:
            if isinstance(values, type):
                self.objects[name] = values
                continue
            for step in steps if "{t}" in name else ():
                at = ast.parse(name.replace("{t}", step), mode="eval").body
                self.arrays.setdefault(ast.unparse(at), Other(at, values, upstream))
            if "{t}" in name:
                continue
            if not np.ndim(values[0]):
                self.scalars.setdefault(name, values[0])
                continue
            self.arrays.setdefault(name, Other(ast.parse(name, mode="eval").body, values, upstream))

    def survey(self):
        """Where each node of the tree, as it now stands, hangs."""
        self.of = {id(p.node): p for p in self.places if not isinstance(p.node,
                (ast.Tuple, ast.List))}
        self.parents = {id(child): (parent, field) for parent in ast.walk(self.function.tree)
                        for field, value in ast.iter_fields(parent)
                        for child in (value if isinstance(value, list) else [value])
                        if isinstance(child, ast.AST)}
        self.places = [p for p in self.places if id(p.node) in self.parents]

    def at(self, node):
        return self.of.get(id(node))

    def others(self, shape, upstream):
        return [
            (name, o)
            for name, o in self.arrays.items()
            if (shape is None or o.shape == shape)
            and o.upstream == upstream
            and "grads" not in name  # what stood there before
        ]

    def parent(self, place):
        return self.parents[id(place.node)]

    def whole(self, place):
        """Whether it is a gradient as it is handed on: assigned, returned, added, multiplied as a
        matrix, summed."""
        parent, field = self.parent(place)
        return not self.index(place) and (isinstance(parent,
                                                     (ast.Assign, ast.AugAssign, ast.Return,
                                                      ast.Tuple, ast.List, ast.Call, ast.Starred))
                                          or edits.operator(parent, ast.Add, ast.Sub, ast.MatMult)
                                          or getattr(parent, "attr", None) in ("sum", "mean", "T",
                "reshape", "transpose", "dot"))

    def factor(self, place):
        """Whether it is a factor of a matrix product."""
        parent, field = self.parent(place)
        return (edits.operator(parent, ast.MatMult) or isinstance(parent, ast.Call)
                and field == "args" or getattr(parent, "attr", None) == "dot")

    def index(self, place):
        """Whether it stands inside square brackets."""
        node = place.node
        while id(node) in self.parents:
            parent, field = self.parents[id(node)]
            if isinstance(parent, ast.Subscript) and field == "slice":
                return True
            if isinstance(parent, ast.stmt):
                return False
            node = parent
        return False

    def within_range(self, place):
        """Whether it stands in the bounds of a loop."""
        node = place.node
        while id(node) in self.parents and not isinstance(node, ast.stmt):
            node = self.parents[id(node)][0]
            if edits.method(node, "range"):
                return True
        return False

    def at_labels(self, place):
        """Whether it stands in brackets on the left of an assignment, among integers."""
        node, seen = place.node, None
        while id(node) in self.parents and not isinstance(node, ast.stmt):
            seen, node = node, self.parents[id(node)][0]
        return self.index(place) and getattr(node, "target", None) is seen and (
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
        names, sought = names_in(new), names_in(old)
        for _ in range(9):
            for s in ast.walk(self.function.tree):
                if isinstance(s, ast.Assign) and names & set().union(*map(names_in, s.targets)):
                    names = names | names_in(s.value)
        return bool(names & sought) or not names_in(new)

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


class Search:
    """All changes tried on one measurement."""

    def __init__(self, m):
        self.m, self.subject, self.found = m, m.subject, []
        self.corrections = []  # where no change heals
        self.fixed = frozenset()  # what a change made for good has healed
        self.targets = m.targets or m.failed
        self.wrong = [t for t in self.targets if not (t.right or t.facts.get("right"))]
        self.draws = self.draws_of(self.wrong[0])
        self.y = self.subject.output()
        one, two = (self.subject.backward(np.asarray(self.draws[0]).reshape(self.y.shape))
                    for _ in range(2))
        self.kept = (not self.subject.fresh_each_time and two.error is None
                     and all(p is q or p is not None and np.array_equal(p, q)
                             for p, q in zip(one.inputs + one.params, two.inputs + two.params)))
        self.stale = True
        lines = lines_run(lambda: self.subject.gradients(self.draws[0]))
        weight = sum(t.value.size for t in self.targets) // 1000
        self.cost = lines + weight + 1
        self.left = int(np.clip(LINES / self.cost, 100, MOST))
        x = next((x for x in self.subject.inputs if isinstance(x, np.ndarray) and x.ndim), self.y)
        self.counts = sorted({2, m.batch, *x.shape[1:2], int(np.prod(x.shape[:2])),
                              *self.y.shape[:1]} - {0, 1})

    @staticmethod
    def draws_of(e):
        return e.facts.get("random", (e.A, e.G, e.douts))[2]

    def run(self):
        """Look for the change that heals most, make it, and look on for what is still wrong."""
        scopes = [Scope(function, places, locals_, self.counts, self.subject.inputs,
                        self.subject.params) for function, places, locals_ in self.functions()]
        for scope in scopes:
            scope.unshaped = any(not e.shaped for e in self.wrong)
        self.arrays_at = {n: o.values[0] for s in scopes for n, o in s.arrays.items()}
        with contextlib.ExitStack() as stack:
            while len(self.fixed) < len(self.wrong) and (found := self.first(scopes)):
                best = likeliest(found)
                best.make()
                stack.enter_context(best.function.replaced(best.function.compiled()))
                self.found.append(best)
                self.fixed |= best.heals
        if not self.found and self.subject.takes_dout and not self.subject.fresh_each_time:
            self.corrections = list(corrections(self, scopes))
        return self

    def first(self, scopes):
        """What heals: the search ends with the first family in which a change heals all. Places
        that seem to reach what is right as well, as a mask does, come last."""
        found, rest = [], range(len(self.wrong))
        for scope in scopes:
            found += self.statements(scope)
        near = [(scope, self.telling(scope)) for scope in scopes]
        far = [(scope, [p for p in scope.places if p not in places]) for scope, places in near]
        for places in (near, far):
            for family in edits.FAMILIES:
                if any(len(self.fixed | r.heals) == len(rest) for r in found):
                    return found
                for scope, some in places:
                    for place in some:
                        found += self.changes(scope, place, family)
            if found:
                return found
            self.left = min(self.left, MOST // 8)
        return found

    def telling(self, scope):
        """The places at which a change can heal: one there reaches wrong entries, and no others."""
        self.base = self.gradients(self.draws[0])
        if self.base is None:
            return scope.places
        off = [self.off(e, self.base) for e in self.targets]
        return [place for place in scope.places if self.reaches(scope, place, off)]

    def reaches(self, scope, place, off):
        v = place.values[0]
        if np.asarray(v).dtype.kind in "iu":
            return True
        # in a loop, one turn of it: in the others a change may do nothing
        turns = {0, len(place.values) // 2, len(place.values) - 1}
        return any(self.moves_wrong(self.shaken(scope.function, place, k), off) for k in turns)

    def shaken(self, function, place, turn):
        """What backward gives with another value at a place in one turn of its loop; None if it
        fails."""
        with self.shaking(function, place, turn) as works:
            return self.gradients(self.draws[0], again=False) if works else None

    @staticmethod
    def shaking(function, place, turn):
        """Another value at a place in one turn of its loop, for the length of a ``with`` block."""
        rng, count = np.random.default_rng(31), itertools.count()

        def other(_, value):
            if next(count) != turn:
                return value
            a = np.asarray(as_array(value))
            if a.dtype.kind == "b":
                new = a ^ (rng.random(a.shape) < 0.5)
            else:
                new = a * rng.uniform(0.5, 1.5, a.shape) if np.any(a) else rng.normal(size=a.shape)
            return value.new_tensor(new) if hasattr(value, "new_tensor") else new

        return function.looked_at(place, other)

    def moves_wrong(self, got, off):
        """Whether wrong entries change, and no others; taken to be so where nothing is known."""
        if got is None:
            return True
        touched = False
        for e, wrong in zip(self.targets, off):
            p, q = (self.of(e, b) for b in (self.base, got))
            if p is None or q is None or p.shape != q.shape or wrong is None:
                touched |= p is not q
                continue
            moved = ~(np.abs(p - q) <= 1e-9 * np.abs(p).max(initial=0))
            if (moved & ~wrong).any():
                return False
            touched |= moved.any()
        return touched

    def off(self, e, got):
        """The entries that a change may move, for the first draw: all but those in slices that are
        right throughout. None where the shape is wrong."""
        P, G = self.of(e, got), e.facts.get("random", (e.A, e.G))[1][0]
        if P is None or P.shape != G.shape:
            return None
        scale = max(np.nanmax(np.abs(G), initial=0), np.abs(P).max(initial=0))
        wrong = ~(np.abs(P - G) <= 1e-6 * scale + e.noise + e.slack)
        still = np.zeros(wrong.shape, bool)
        for axis in range(wrong.ndim):
            others = tuple(a for a in range(wrong.ndim) if a != axis)
            still |= ~wrong.any(axis=others, keepdims=True)
        return ~still

    @staticmethod
    def of(e, got):
        found = got.params if e.param else got.inputs
        return found[e.index] if e.index < len(found) else None

    def tell_upstream(self, function, places):
        """Where dout does not come in, or elsewhere: an upstream gradient is what moves the
        gradients, leaves the output as it is, and is no array that forward has kept."""
        self.subject.restart()
        self.subject.output()
        kept = [a for a in reachable(self.subject.work) if isinstance(a, np.ndarray)]
        base, floats = self.gradients(self.draws[0]), []
        for place in places:
            place.upstream = False
            if not place.is_array or place.values[0].dtype.kind != "f" or base is None:
                continue
            with self.shaking(function, place, 0):
                y = self.subject.output(watch=False)
            self.subject.output(watch=False)
            got = self.shaken(function, place, 0)
            if not close(y, self.y, 1e-12):
                kept.append(place.values[0])
            elif got is not None and not all(map(agree, got.inputs + got.params,
                                                 base.inputs + base.params)):
                floats.append(place)
        for place in floats:
            place.upstream = not any(a.shape == place.shape and np.array_equal(a, place.values[0])
                                     for a in kept)

    def changes(self, scope, place, family):
        """The Repairs that a family has for a place."""
        found = []
        with scope.function.open(place) as trial:
            for code, node, words in family(place, scope):
                if self.left <= 0:
                    break
                self.left -= 1
                if trial.put(node) and (healed := self.healed()):
                    found.append((code, node, words, healed))
        return [r for change in found for r in self.repair(scope, place, *change)]

    def functions(self):
        """Each function of backward, with the values its places had, and whether they depend on
        dout."""
        d, subject = self.draws[0], self.subject
        other = 1.7 * d + 0.3 * np.random.default_rng(21).normal(size=np.shape(d))
        subject.output()
        codes = running(lambda: subject.backward(d))
        subject.output()
        again = running(lambda: subject.backward(other))
        for code, locals_ in codes.items():
            try:
                function = Function(code)
                with function.replaced(function.compiled()):
                    same = self.subject.gradients(d)
            except (OSError, TypeError, SyntaxError, ValueError):
                continue
            if not all(map(agree, same.inputs + same.params,
                           self.m.backwards[0].inputs + self.m.backwards[0].params)):
                continue  # the text has changed since it was loaded
            places = places_of(function)
            moved = tuple(1.3 * x + 0.1 if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x
                          for x in subject.inputs)
            seen = [watched(function, places, lambda run=run: subject.gradients(*run))
                    for run in ((d,), (other,), (d, moved))]
            for i, place in enumerate(places):
                place.bare = not differ(seen[0].get(i, [0]), seen[2].get(i, []))
                place.values = seen[0].get(i, [])
                place.upstream = not subject.takes_dout or differ(place.values, seen[1].get(i, []))
                # a sum that begins with the number 0 is an array all the same
                place.values = [v for v in place.values if np.ndim(v)] or place.values
            if not any(p.upstream for p in places) or not subject.takes_dout:
                self.tell_upstream(function, places)
            # a while loop may never end once a number that it counts with is changed
            endless = any(isinstance(node, ast.While) for node in ast.walk(function.tree))
            yield (function, [p for p in places if p.values and (p.is_array or not endless)],
                   list(hidden_arrays(locals_, again.get(code, {}))))

    def repair(self, scope, place, code, node, words, healed):
        """The Repair that a change is, in a list; [] for what may be chance."""
        function, spot, old = scope.function, (place.parent, place.field, place.index), place.node
        by_chance = code in SPECULATIVE and len(healed) < 2 <= len(self.wrong)
        if by_chance and all(self.wrong[i].param for i in healed):
            return []
        located(node, old)
        codes = self.meaning(code, function, spot, old, node, place, scope, healed)

        def make():
            place.put(node)
            place.node = node
            scope.survey()

        name = isinstance(old, ast.Name)
        above, field = scope.parent(place)
        reshaped = codes == ["wrong-reshape"] and getattr(above, "attr", "") == "reshape"
        lone = name and (isinstance(above, ast.Assign) or reshaped)
        return [Repair(codes, words, function, function.line(old), healed, make, name, lone)]

    def statements(self, scope):
        """The Repairs that an assignment is which adds."""
        function, changes = scope.function, list(edits.statements(scope.function.tree, scope.at))
        # one change, or the same wherever ids stand on the left
        at_ids = [c for c in changes if c[-1] == "with np.add.at"
                  and isinstance(getattr(c[1], c[2])[c[3]], ast.AugAssign)]
        for several in [*([c] for c in changes), *[at_ids] * (len(at_ids) > 1)]:
            self.left -= 1
            spots = [(*spot, getattr(*spot[:2])[spot[2]], new) for _, *spot, new, _ in several]
            if healed := self.tried(function, spots):
                code, words, old = several[0][0], several[0][-1], spots[0][-2]

                def make(spots=spots):
                    for *spot, _, new in spots:
                        put(*spot, new)

                yield Repair([code], words, function, function.line(old), healed, make)

    def tried(self, function, spots):
        """What heals with nodes in the place of old ones: (parent, field, index, old, new)."""
        for *spot, old, node in spots:
            located(node, old)
            put(*spot, node)
        try:
            code = function.compiled()
            if code is None:
                return None
            with function.replaced(code):
                return self.healed()
        except (Exception, TimeUp):
            return None
        finally:
            for *spot, old, _ in spots:
                put(*spot, old)

    def healed(self):
        """The wrong arrays that are right with the function as it now runs; None if there are none,
        or if others suffer."""
        healed = set(range(len(self.wrong)))
        for k in (None, *range(len(self.draws))):
            try:
                got = self.gradients(self.draws[k or 0], again=k is not None)
            except (Exception, TimeUp):
                self.subject.restart()
                self.stale, got = True, None
            if got is None:
                return None
            k = k or 0
            healed = {i for i in healed if self.agrees(self.wrong[i], got, k)}
            if not healed > self.fixed:
                return None
        if not all(self.agrees(t, got, k) for t in self.targets if t not in self.wrong):
            return None
        return frozenset(healed - self.fixed)

    def gradients(self, dout, again=True):
        """What backward gives; None if it fails, or if forward gives another output than before.
        ``again``: with a forward before it. The first look at a change does without, where backward
        leaves the caches as they are."""
        subject = self.subject
        if again or not self.kept or self.stale:
            y = subject.output(watch=False)
            self.stale = False
            if y.shape != self.y.shape or not close(y, self.y, 1e-12):
                subject.restart()  # a change may have spoilt the parameters
                self.stale = True
                return None
        for g in grads_of(subject.work):
            if isinstance(g, np.ndarray) and g.flags.writeable:
                g[...] = 0
        got = subject.backward(np.asarray(dout).reshape(self.y.shape))
        moved = any(p is not q for p, q in zip(subject.params, subject.work.params)) if (
            subject.params) else False
        if got.error is not None or moved:
            subject.restart()
            self.stale = True
            return None
        return got

    @staticmethod
    def agrees(e, got, k):
        _, G, _ = e.facts.get("random", (e.A, e.G, e.douts))
        P = Search.of(e, got)
        return P is not None and P.shape == G[k].shape and close(P, G[k], 1e-5, e.noise)

    def meaning(self, code, function, spot, old, node, place, scope, healed):
        """The codes of a change that heals: by what it does to the value at its place, or by its
        family."""
        parent = scope.parent(place)[0]
        if scope.within_range(place):
            return ["lost-branch"]
        if not self.y.ndim and scope.at_labels(place):
            return ["missing-label-subtraction"]
        if code == "flipped-kernel" and place.is_gradient and not all(self.wrong[i].weight
                for i in healed):
            return ["wrong-reshape"]  # no kernel, but the order of what comes back
        if code == "missing-transpose" and (edits.method(old, "reshape")
                                            or getattr(parent, "attr", "") == "reshape"):
            return ["wrong-reshape"]
        if code in ("missing-transpose", "wrong-reshape", "constant-statistics", "flipped-kernel",
                    "missing-label-subtraction", "missing-batch-sum"):
            return [code]
        if code == "lost-branch" and not place.upstream and edits.operator(node, ast.Sub):
            after = self.values(function, spot, old, node, SimpleNamespace(node=old)) or []
            if any(is_half(place.values, after, o.values) for o in scope.arrays.values()):
                return ["wrong-local-derivative"]
        if code == "lost-branch" and self.is_target(node):
            return ["missing-label-subtraction"]
        if code == "lost-branch":
            return [code]
        if code == "plain factor":
            alone = all(elementwise(self.wrong[i]) or not self.y.ndim for i in healed)
            return ["wrong-local-derivative" if alone else "missing-local-derivative"]
        if isinstance(old, ast.Constant) and old.value == 1 and code == "factor":
            after = self.values(function, spot, old, node, SimpleNamespace(node=old))
            if after and np.ndim(after[0]) and not edits.method(node, "sign"):
                return ["missing-mask" if all_bits(after) else "missing-local-derivative"]
        if code == "order":
            return ["not-returned" if isinstance(place.parent, ast.Return) else "wrong-reshape"]
        if code == "step":
            return ["stale-cache"]
        if code == "index":
            mirrored = "-" in ast.unparse(old) and "-" not in ast.unparse(node)
            return ["flipped-kernel" if mirrored else "stale-cache"]
        if code == "term":
            before, after = place.values, self.values(function, spot, old, node, place)
            if (after and len(after) == len(before) and any(self.of_a_parameter(b - a)
                    for b, a in zip(before, after))):
                return ["wrong-penalty"]
            if any(p.is_gradient and p.node is not old and len(p.values) == len(before)
                   and all(np.allclose(b - a, v) for b, a, v in zip(before, after, p.values))
                   for n in ast.walk(node) if (p := scope.at(n))):
                return ["factor-2"]  # the same term twice
            return ["factor-2" if constant(before, after or []) else "wrong-local-derivative"]
        root = scope.outermost(place)
        before, after = root.values, self.values(function, spot, old, node, root)
        if not after or len(before) != len(after):
            return [code] if code in FINAL else ["wrong-local-derivative"]
        if not any(map(np.any, before)):
            return ["lost-branch"]
        if edits.method(old, "sum", "mean") and code in ("divided-by-N", "scaled-by-N"):
            return [code]
        term = scope.product(root)
        above = scope.parent(term)[0]
        if isinstance(above, (ast.BinOp, ast.AugAssign)) and isinstance(above.op,
                (ast.Add, ast.Sub)):
            changed = self.values(function, spot, old, node, term) or [np.zeros(0)]
            if any(self.of_a_parameter(np.asarray(v[0], float)) for v in (term.values, changed)):
                return ["wrong-penalty"]
        above, field = scope.parent(root)
        c = constant(before, after)
        if c and divides(above, field):
            c = 1 / c
        if c and (found := named(c, self.wrong[0])) and found[0]:
            return found[0]
        # in a sum with a number it is rather another function's derivative: 1 + y² for 1 - y²
        if each := per_turn(before, after, divides(above, field)):
            return [each]
        if code in FINAL and (code != "wrong-sign" or root.upstream or not beside_a_number(old)):
            return [code]
        if code == "axes":
            fewer = np.size(after[0]) < np.size(before[0]) and not isinstance(above, ast.BinOp)
            return ["missing-batch-sum" if fewer else "summed-too-far"]
        if code == "array" and place.upstream:
            c = [np.divide(b, a, out=np.ones(np.shape(b)), where=a != 0)
                 for a, b in zip(before, after)]
            if all(np.isin(v, (0, 1)).all() for v in c):
                return ["missing-mask"]
            if not scope.made_of(node, old):
                return ["stale-cache"]
            return ["missing-local-derivative" if self.a_factor(function, spot, old, node, c)
                    else "lost-branch"]
        if all(np.size(v) > 1 and np.isin(v, (0, 1)).all() for v in [*before, *after]):
            inverted = all(np.array_equal(b * 1, 1 - a * 1) for b, a in zip(before, after))
            return ["inverted-mask"] if inverted else ["missing-mask"]
        # or transposed
        itself = np.array_equal(*(np.sort(p.values[0], None) for p in (root, place)))
        if code == "array" and itself and scope.beside_upstream(root):
            return ["stale-cache"]
        # inside a function: its derivative at another place, or another array
        if code == "array":
            old, new = place.values[0], self.values(function, spot, place.node, node, place)
            monotone = new and np.array_equal(np.argsort(old, axis=None),
                                              np.argsort(new[0], axis=None))
            return ["wrong-local-derivative" if monotone else "stale-cache"]
        return ["wrong-local-derivative"]

    def is_target(self, node):
        """Whether a change subtracts an array that is a loss's target."""
        if self.y.ndim or not edits.operator(node, ast.Sub):
            return False
        values = self.arrays_at.get(ast.unparse(node.right))
        targets = [x for x in self.subject.inputs[1:] if isinstance(x, np.ndarray)]
        return values is not None and any(t.shape == values.shape and np.array_equal(t, values)
                                          for t in targets)

    def of_a_parameter(self, v):
        """Whether it is a multiple of a parameter, or of its sign."""
        same = [p for p in self.subject.params if p.shape == v.shape]
        for p in (p for p in same if v.size > 2):
            basis = np.array([p.reshape(-1), np.sign(p).reshape(-1)]).T
            off = np.abs(basis @ np.linalg.lstsq(basis, v.reshape(-1), rcond=None)[0] - v.reshape(-1))
            if np.any(v) and np.ptp(p) and off.max() < 1e-6 * np.abs(v).max():
                return True
        return False

    def a_factor(self, function, spot, old, node, c):
        """Whether what the change multiplies a gradient with, c, is the same for another dout."""
        place = SimpleNamespace(node=old)
        if len(self.draws) < 2 or not self.subject.takes_dout:
            return False
        before, after = (self.values(function, spot, old, n, place, self.draws[1])
                         for n in (old, node))
        if not before or not after or len(before) != len(c):
            return False
        other = [np.divide(b, a, out=np.ones(np.shape(b)), where=a != 0)
                 for a, b in zip(before, after)]
        return all(np.allclose(p, q) for p, q in zip(c, other))

    def values(self, function, spot, old, node, root, dout=None):
        """The values of ``root`` with the change made."""
        put(*spot, node)
        if root.node is old:
            parent, field, index = spot
        else:
            parent, field, index, node = root.parent, root.field, root.index, root.node
        place = SimpleNamespace(put=lambda n: put(parent, field, index, n), node=node)
        try:
            return watched(function, [place], lambda: self.subject.gradients(self.draws[0]
                    if dout is None else dout)).get(0)
        except (Exception, TimeUp):
            return None
        finally:
            put(*spot, old)


# changes with much freedom: one parameter healed may be chance
SPECULATIVE = {"constant-statistics", "lost-branch"}
FINAL = {"wrong-sign", "divided-by-N", "scaled-by-N", "missing-mask", "missing-local-derivative",
         "wrong-local-derivative", "stale-cache", "inverted-mask"}


def likeliest(found):
    """The Repair that heals most; of several, what alters what stands there, before what adds to
    it. What is added would do at any place on the way, and is likeliest missing where one name is
    given for another, as in dx = dout, or is only reshaped; then at the last place where something
    is computed."""
    most = max(len(r.heals) for r in found)
    best = [r for r in found if len(r.heals) == most]
    computed = [r for r in best if not r.name]
    for likely in (lambda r: r.alters, lambda r: r.lone):
        if some := [r for r in best if likely(r)]:
            return some[0]
    return (computed or best)[-1]


def located(node, old):
    """Give the new nodes of a change the place of the old one in the text."""
    place = {name: getattr(old, name) for name in ("lineno", "col_offset", "end_lineno",
                                                   "end_col_offset")}
    stack = [node]
    while stack:
        n = stack.pop()
        if not hasattr(n, "lineno") and "lineno" in n._attributes:
            vars(n).update(place)
        stack.extend(c for _, v in ast.iter_fields(n) for c in (v if isinstance(v, list) else [v])
                     if isinstance(c, ast.AST) and not hasattr(c, "lineno"))


def constant(before, after):
    """c with before = c after, everywhere, or None."""
    try:
        b, a = (np.concatenate([np.ravel(np.asarray(v, float)) for v in vs])
                for vs in (before, after))
    except (TypeError, ValueError):
        return None
    return ratio(b, a) if b.shape == a.shape and b.size else None


def beside_a_number(node):
    parts = (getattr(node, "left", node), getattr(node, "right", node))
    return any(isinstance(p, ast.Constant) for p in parts)


def divides(parent, field):
    """Whether what hangs in this field of a node is a divisor."""
    return isinstance(getattr(parent, "op", None), ast.Div) and field in ("right", "value")


def names_in(node):
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def per_turn(before, after, divisor):
    """The code of a factor that is a number of things, another one in each turn of a loop."""
    c = [ratio(*(np.ravel(np.asarray(v, float)) for v in pair)) if np.shape(pair[0]) == np.shape(
        pair[1]) else None for pair in zip(before, after)]
    if len(c) < 2 or not all(c):
        return None
    for code, turns in ("scaled-by-N", c), ("divided-by-N", [1 / v for v in c]):
        if all(abs(v - round(v)) < 1e-6 and v > 1 - 1e-6 for v in turns):
            return {"scaled-by-N": "divided-by-N", "divided-by-N": "scaled-by-N"}[code] if (
                divisor) else code
    return None


def is_half(before, after, others):
    """Whether ``after`` is ``before`` times 1 - s, for the s of each turn: half of a slope, no
    path."""
    return len(before) == len(after) == len(others) and all(np.shape(b) == np.shape(s)
            and np.allclose(a, b * (1 - s)) for b, a, s in zip(before, after, others))


def differ(p, q):
    return len(p) != len(q) or any(np.shape(a) != np.shape(b) or not np.array_equal(a, b)
                                   for a, b in zip(p, q))


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


def search(m):
    """All changes that heal, by array: {where: Repair}, the one that heals most."""
    done = Search(m)
    clock = getattr(m.subject.call, "__self__", SimpleNamespace(seconds=0))
    limit, clock.seconds = clock.seconds, min(clock.seconds, 0.3 + 20 * effort(m.subject))
    try:
        done.run()
    finally:
        clock.seconds = limit  # a change may make a loop endless
        m.subject.restart()
    m.corrections = done.corrections
    for r in done.found:
        r.all = len(r.heals) == len(done.wrong)
    return {e.where: max((r for r in done.found if i in r.heals), key=lambda r: len(r.heals))
            for i, e in enumerate(done.wrong) if any(i in r.heals for r in done.found)}
