"""Signature by experiment on the text: the change of one place in backward that makes the gradient
right.

Where numbers alone leave several readings, the text decides. Each change of ``edits`` undoes one
mistake; it is tried on the copy under test, at the random draws that were measured already. What
heals is the evidence: it names the line.
"""
import ast
import contextlib
import itertools
import re
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from . import between, edits
from .bounded import TimeUp
from .correction import corrections
from .evidence import agree, alike, close, effort
from .meaning import Change
from .scope import Scope, hidden_arrays
from .source import Function, as_array, lines_run, located, places_of, put, running, watched
from .subject import clear, each_float, same

# changes with much freedom: one parameter healed may be chance
SPECULATIVE = {"constant-statistics", "lost-branch"}
MOST = 10_000  # changes tried on one layer
BEYOND = 20_000  # lines after one that heals, if gradients in between are not right with it
LINES = 800_000  # of the layer's that may run for them


@dataclass
class Repair:
    """A change that heals, what it undoes, and which arrays it makes right."""
    codes: list
    function: object
    line: tuple
    heals: frozenset
    make: object  # makes the change for good
    between: int  # how many gradients of values in between are right then
    alters: bool  # whether it changes what stands there, instead of adding to it
    name: bool = False  # whether a bare name stands at the place
    lone: bool = False  # whether it is all that is assigned, or that is reshaped
    read: str = ""  # the array whose statistics a path goes through
    family: object = None
    all: bool = False  # whether nothing is wrong then


class Search:
    """All changes tried on one measurement."""

    def __init__(self, m):
        self.m, self.subject, self.found = m, m.subject, []
        self.corrections = []  # where no change heals
        self.fixed = frozenset()  # what a change made for good has healed
        self.targets = m.targets or m.failed
        self.wrong = [t for t in self.targets if not t.right]
        self.draws = self.wrong[0].drawn[2]
        self.y = self.subject.output()
        one, two = (self.subject.backward(np.asarray(self.draws[0]).reshape(self.y.shape))
                    for _ in range(2))
        self.kept = (not self.subject.fresh_each_time and two.error is None
                     and all(p is q or p is not None and np.array_equal(p, q)
                             for p, q in zip(one.all, two.all)))
        self.stale, self.inputs = True, [np.array(x) for x in self.arrays()]
        lines = lines_run(lambda: self.subject.gradients(self.draws[0]))
        weight = sum(t.value.size for t in self.targets) // 1000
        self.cost = lines + weight + 1
        self.left = int(np.clip(LINES / self.cost, 100, MOST))
        x = next((x for x in self.subject.inputs if isinstance(x, np.ndarray) and x.ndim), self.y)
        self.counts = sorted({2, m.batch, *x.shape, int(np.prod(x.shape[:2])), *self.y.shape}
                             - {0, 1})

    def run(self):
        """Look for the change that heals most, make it, and look on for what is still wrong."""
        scopes = [Scope(function, places, locals_, self.counts, self.subject.inputs,
                        self.subject.params) for function, places, locals_ in self.functions()]
        dout, names = np.reshape(self.draws[0], self.y.shape), set()
        one, two = (self.subject.gradients(k * dout) for k in (1, 2))
        pairs = [(p, q) for e in self.wrong if (p := one.of(e)) is not None
                 and (q := two.of(e)) is not None]
        deaf = self.subject.takes_dout and not all(
            agree(2 * p, q) and not 0 < np.abs(p).max(initial=0) < 1e-12 for p, q in pairs)
        for scope in scopes:
            scope.deaf = deaf
            scope.unshaped = any(not e.shaped for e in self.wrong)
            floats = {n: v for n, v in scope.function.locals.items()
                      if isinstance(a := as_array(v), (np.ndarray, np.floating, float))
                      and np.asarray(a).dtype.kind == "f"}
            scope.loss, code = not self.y.ndim, scope.function.code
            given = code.co_varnames[code.co_varnames[:1] == ("self",):code.co_argcount]
            # a name of dout may stand for something else at the end
            scope.heard({n: dout.shape if n in given else np.shape(v) for n, v in floats.items()
                         if n in given[:1] or np.array_equal(v, dout)})
            names |= floats.keys()
        self.m.overwrites = not scopes or any(
            isinstance(n, ast.Assign) and isinstance(t, ast.Subscript)
            for s in scopes for n in ast.walk(s.function.tree) for t in getattr(n, "targets", ()))
        self.slopes = between.slopes(self, names)
        self.arrays_at = {n: o.values[0] for s in scopes for n, o in s.arrays.items()}
        with contextlib.ExitStack() as stack:
            while len(self.fixed) < len(self.wrong) and (found := self.first(scopes)):
                best = likeliest(found)
                best.make()
                stack.enter_context(best.function.replaced(best.function.compiled()))
                self.found.append(best)
                self.fixed |= best.heals
            if self.found:
                self.subject.output()
                again = [self.subject.backward(np.reshape(self.draws[0], self.y.shape))
                         for _ in range(2)]
                self.m.settled = alike(*again)
        unsure = self.m.sampled or self.m.failed or self.subject.fresh_each_time
        if not self.found and self.subject.takes_dout and not unsure:
            self.corrections = list(corrections(self, scopes))
        return self

    def first(self, scopes):
        """What heals: the search ends with the first family in which a change heals all. Places
        that seem to reach what is right as well, as a mask does, come last."""
        found = []
        for scope in scopes:
            found += self.statements(scope)
        near = [(scope, self.telling(scope)) for scope in scopes]
        far = [(scope, [p for p in scope.places if p not in places]) for scope, places in near]
        found = self.families(near, found)
        if self.whole(found):
            return found
        # a mask reaches what is right as well; what is left goes to another mistake's search
        spare = max(0, self.left - (BEYOND // self.cost if found else MOST // 8))
        self.left -= spare
        found = self.families(far, found)
        self.left += spare
        return found

    def whole(self, found):
        """How many gradients in between are right, at most, with a change that heals all, and 1."""
        every = len(self.wrong) - len(self.fixed)
        return max((r.between + 1 for r in found if len(r.heals) == every), default=0)

    def families(self, places, found):
        """With what the families find, one after the other."""
        for family in edits.FAMILIES:
            if self.whole(found) > len(self.slopes):
                break
            if self.whole(found):
                self.left = min(self.left, BEYOND // self.cost)
            for scope, some in places:
                for place in some:
                    found += self.changes(scope, place, family)
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
            p, q = self.base.of(e), got.of(e)
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
        P, G = got.of(e), e.drawn[1][0]
        if P is None or P.shape != G.shape:
            return None
        scale = max(np.nanmax(np.abs(G), initial=0), np.abs(P).max(initial=0))
        wrong = ~(np.abs(P - G) <= 1e-6 * scale + e.noise + e.slack)
        still = np.zeros(wrong.shape, bool)
        for axis in range(wrong.ndim):
            others = tuple(a for a in range(wrong.ndim) if a != axis)
            still |= ~wrong.any(axis=others, keepdims=True)
        return ~still

    def tell_upstream(self, function, places):
        """Where dout does not come in, or elsewhere: an upstream gradient is what moves the
        gradients, leaves the output as it is, and is no array that forward has kept."""
        self.subject.restart()
        self.subject.output()
        kept = self.subject.arrays()
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
            elif got is not None and not alike(got, base):
                floats.append(place)
        for place in floats:
            place.upstream = not any(a.shape == place.shape and np.array_equal(a, place.values[0])
                                     for a in kept)

    def changes(self, scope, place, family):
        """The Repairs that a family has for a place."""
        found = []
        with scope.function.open(place) as trial:
            for code, node, *read in family(place, scope):
                if self.left <= 0:
                    break
                self.left -= 1
                if trial.put(node) and (healed := self.healed()):
                    found.append((code, node, healed, self.rightly_between(), family, *read))
        return [r for change in found for r in self.repair(scope, place, *change)]

    def rightly_between(self):
        """How many of the gradients in between are right with the functions as they now run."""
        if not self.slopes:
            return 0
        self.subject.output()
        codes = running(lambda: self.subject.backward(np.reshape(self.draws[0], self.y.shape)))
        values = {name: v for locals_ in codes.values() for name, v in locals_.items()}
        return sum(between.right(pairs, values.get(name)) for name, pairs in self.slopes.items())

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
                function.locals, compiled = locals_, function.compiled()
                with function.replaced(compiled):
                    same = self.subject.gradients(d)
            except (OSError, TypeError, SyntaxError, ValueError):
                continue
            if compiled is None or not alike(same, self.m.backwards[0]):
                continue  # the text has changed since it was loaded
            places = places_of(function)
            moved = each_float(subject.inputs, lambda x: 1.3 * x + 0.1)
            seen = []
            for run in (d, moved), (other,), (d,):
                seen.append({})
                with contextlib.suppress(Exception):  # forward may refuse other inputs
                    seen[-1] = watched(function, places, lambda run=run: subject.gradients(*run))
            for i, place in enumerate(places):
                place.bare = not differ(seen[2].get(i, [0]), seen[0].get(i, []))
                place.values = seen[2].get(i, [])
                place.upstream = not subject.takes_dout or differ(place.values, seen[1].get(i, []))
                # a sum that begins with the number 0 is an array all the same
                place.values = [v for v in place.values if np.ndim(v)] or place.values
            function.silent = not any(p.upstream for p in places)
            if function.silent or not subject.takes_dout:
                self.tell_upstream(function, places)
            # a while loop may never end once a number that it counts with is changed
            endless = any(isinstance(node, ast.While) for node in ast.walk(function.tree))
            yield (function, [p for p in places if p.values and (p.is_array or not endless)],
                   list(hidden_arrays(locals_, again.get(code, {}))))

    def repair(self, scope, place, code, node, healed, rightly, family, read=""):
        """The Repair that a change is, in a list; [] for what may be chance."""
        function, old = scope.function, place.node
        by_chance = code in SPECULATIVE and len(healed) < 2 <= len(self.wrong)
        if by_chance and all(self.wrong[i].param for i in healed):
            return []
        located(node, old)
        codes = Change(self, scope, place, code, node, healed).codes()

        def make():
            place.put(node)
            place.node = node
            scope.survey()

        name = isinstance(old, ast.Name)
        above, field = scope.parent(place)
        reshaped = codes == ["wrong-reshape"] and getattr(above, "attr", "") == "reshape"
        lone = name and (isinstance(above, ast.Assign) or reshaped)
        alters = codes != ["constant-statistics"] and old not in ast.walk(node)
        return [Repair(codes, function, function.line(old), healed, make, rightly, alters, name,
                       lone, read, family)]

    def statements(self, scope):
        """The Repairs that an assignment is which adds."""
        function, changes = scope.function, list(edits.statements(scope.function.tree, scope.at))
        # one change, or the same wherever ids stand on the left
        at_ids = [c for c in changes if c[0] == "repeated-index" and isinstance(c[-1], ast.Expr)
                  and isinstance(getattr(c[1], c[2])[c[3]], ast.AugAssign)]
        for several in [*([c] for c in changes), *[at_ids] * (len(at_ids) > 1)]:
            self.left -= 1
            spots = [(*spot, getattr(*spot[:2])[spot[2]], new) for _, *spot, new in several]
            if healed := self.tried(function, spots):
                *_, old, new = spots[0]

                def make(spots=spots):
                    for *spot, _, new in spots:
                        put(*spot, new)

                yield Repair([several[0][0]], function, function.line(old), healed[0], make,
                             healed[1], old not in ast.walk(new))

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
                healed = self.healed()
                return healed and (healed, self.rightly_between())
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
                got = self.restart()
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
            if getattr(subject.work, "rate", False):
                subject.restart()  # backward has made a step
            y = subject.output(watch=False)
            self.stale = False
            if y.shape != self.y.shape or not close(y, self.y, 1e-12):
                return self.restart()
        clear(subject.work)
        got = subject.backward(np.asarray(dout).reshape(self.y.shape))
        moved = any(p is not q for p, q in zip(subject.params, subject.work.params)) if (
            subject.params) else False
        if (got.error is not None or moved
            or not all(map(same, self.arrays(), self.inputs))):
            return self.restart()
        return got

    def arrays(self):
        return [x for x in self.subject.inputs if isinstance(x, np.ndarray)]

    def restart(self):
        """A change may have spoilt the parameters, or written to the inputs."""
        self.subject.restart()
        for x, kept in zip(self.arrays(), self.inputs):
            x[...] = kept
        self.stale = True

    @staticmethod
    def agrees(e, got, k):
        P, G = got.of(e), e.drawn[1][k]
        return P is not None and P.shape == G.shape and close(P, G, 1e-5, e.noise)


def likeliest(found):
    """The Repair that heals most; of several, what alters what stands there, before what adds to
    it. What is added would do at any place on the way, and is likeliest missing where one name is
    given for another, as in dx = dout, or is only reshaped; a path through statistics where they
    are read already; then at the last place where something is computed."""
    def rank(r):
        return len(r.heals), r.between, -[None, *edits.FAMILIES].index(r.family)

    most = max(map(rank, found))
    best = [r for r in found if rank(r) == most]
    computed = [r for r in best if not r.name]

    def reads(r):
        return r.read and re.search(rf"(?<!\w){re.escape(r.read)}(?!\w)", r.line[1])

    def sums(r):
        return r.codes == ["constant-statistics"] and re.search(r"\b(mean|sum)\b", r.line[1])

    if best[0].family is edits.unread:  # it belongs where the rest is summed up
        return (computed or best)[-1]
    if turned := [r for r in best if r.codes == ["flipped-kernel"]]:
        return next((r for r in turned if r.alters), turned[-1])
    silent = best[0].family is edits.upstreams
    for likely in (lambda r: r.alters and not silent,
                   lambda r: r.family in (edits.signs, edits.factors), lambda r: r.lone, sums,
                   reads):
        if some := [r for r in best if likely(r)]:
            return some[0]
    if silent:  # dout is missing where a gradient is named, if that is done
        return ([r for r in computed if re.match(r"(self\.)?(d|grad)", r.line[1])] or best)[-1]
    return (computed or best)[-1]


def differ(p, q):
    return len(p) != len(q) or any(np.shape(a) != np.shape(b) or not np.array_equal(a, b)
                                   for a, b in zip(p, q))


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
