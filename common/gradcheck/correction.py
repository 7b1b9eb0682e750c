"""Where no change of the text heals: the array that, added at one place, would make all right.

Backward is linear in every upstream gradient in it. So for a place in the text the numbers that
have to be added there are the solution of a linear system, one column for each entry of the array
at that place. Where there is a solution, the mistake may be; and what stands there beside what should
says which it is.
"""
import ast
import contextlib
from typing import NamedTuple

import numpy as np

from . import edits
from .facts import in_span
from .scaling import elementwise, named, ratio

ENTRIES, COLUMNS, LINES = 120, 1500, 80_000  # unknowns at one place, in all; lines run for them


class Correction(NamedTuple):
    """A place that can be corrected: the codes, and its line; ``telling``: whether what has to be
    done there is more than to add something."""
    codes: list
    line: tuple
    telling: bool
    sure: bool  # whether no factor there comes from a line before

    @property
    def words(self):
        return f"another array in line {self.line[0]}, `{self.line[1]}`, would make all right"


def corrections(search, scopes):
    """The Corrections that make all wrong arrays right and leave the others as they are."""
    bases = [search.gradients(d) for d in search.draws[:2]]
    if None in bases:
        return
    left = min(COLUMNS, LINES // search.cost)
    for scope in scopes:
        near = search.telling(scope)
        for place in near + [p for p in scope.places if p not in near]:
            size = sum(v.size for v in place.values) if place.is_gradient else 0
            shapes = {np.shape(v) for v in place.values}
            if not 0 < size <= min(ENTRIES, left) or len(shapes) > 1 or not scope.whole(place):
                continue
            left -= size
            if (found := solved(search, scope, place, bases)) is not None:
                codes, telling = reading(search, scope, place, *found)
                yield Correction(codes, scope.function.line(place.node), telling,
                                 not computed_before(scope, place))


def computed_before(scope, place):
    """Whether a factor of a product there is a name that stands for what was computed before."""
    factors = ([p for p in scope.places if isinstance(p.node, ast.Name) and not p.upstream
                and any(p.node is n for n in ast.walk(place.node))]
               if edits.operator(place.node, ast.Mult, ast.Div) else [])
    assigned = {t.id for s in ast.walk(scope.function.tree) if isinstance(s, ast.Assign)
                and not isinstance(s.value, (ast.Name, ast.Attribute))
                for t in s.targets if isinstance(t, ast.Name)}
    return any(p.node.id in assigned for p in factors)


def flat(search, got):
    """All gradients of one backward end to end; None if a shape is not as it should be."""
    parts = [got.of(e) for e in search.targets]
    if any(p is None or p.shape != e.value.shape for p, e in zip(parts, search.targets)):
        return None
    return np.concatenate([p.reshape(-1) for p in parts])


def solved(search, scope, place, bases):
    """(what stands at the place, what should) for two draws of dout; None where nothing there makes
    all right, or more than one thing does."""
    shape, turns = place.shape, len(place.values)
    size, columns, stood = int(np.prod(shape)), [], []
    for draw in range(2):
        with put_in(scope, place, lambda t, v: v) as seen:
            got = search.gradients(search.draws[draw])
            if got is None or [v.shape for v in seen[-turns:]] != [shape] * turns:
                return None
            stood.append(np.array(seen[-turns:]))
    base = flat(search, bases[0])
    for turn in range(turns):
        for i in range(size):
            def moved(t, v, turn=turn, i=i):
                return v + (np.arange(size) == i).reshape(shape) if t == turn else v

            with put_in(scope, place, moved):
                got = search.gradients(search.draws[0], again=False)
            got = None if got is None else flat(search, got)
            if got is None or base is None:
                return None
            columns.append(got - base)
    L, should = np.array(columns).T, []
    if np.linalg.matrix_rank(L, 1e-9 * np.abs(L).max(initial=0)) < L.shape[1]:
        return None
    for draw, got in enumerate(bases):
        G = np.concatenate([e.drawn[1][draw].reshape(-1) for e in search.targets])
        lack = G - flat(search, got)
        delta = np.linalg.lstsq(L, lack, rcond=None)[0]
        if np.abs(L @ delta - lack).max() > 1e-6 * np.abs(G).max() + 1e-9:
            return None
        should.append(stood[draw] + delta.reshape(stood[draw].shape))
    return stood, should


@contextlib.contextmanager
def put_in(scope, place, what):
    """At a place stands ``what(turn, its value)`` for the length of a ``with`` block; gives the
    values as they come."""
    seen = []

    def look(_, value):
        seen.append(np.array(value))
        return what(len(seen) - 1, value)

    with scope.function.looked_at(place, look):
        yield seen


def reading(search, scope, place, stood, should):
    """(codes, whether they tell more than that something is missing) of what stands at a place and
    what should."""
    (p, p2), (q, q2) = stood, should
    c = ratio(p.reshape(-1), q.reshape(-1), 1e-4)
    if c and abs(c - 1) > 1e-6 and (found := named(c, search.wrong[0])):
        return found[0], True
    near = {"rtol": 1e-4, "atol": 1e-6 * np.abs(q).max()}
    if p.size > 3 and np.allclose(np.sort(p, None), np.sort(q, None), **near):
        return ["wrong-reshape"], True
    live = (np.abs(p) > 1e-9) & (np.abs(p2) > 1e-9)
    f, f2 = (np.divide(b, a, out=np.ones(a.shape), where=live) for a, b in ((p, q), (p2, q2)))
    if live.any() and np.allclose(f, f2, **near) and np.allclose(q[~live], p[~live], **near):
        if np.isin(f.round(6), (0, 1)).all():
            return ["missing-mask"], True
        if search.y.ndim:  # else one draw is a multiple of the other, and of anything
            alone = all(map(elementwise, search.wrong))
            for code, n in ("scaled-by-N", 1 / f[live]), ("divided-by-N", f[live]):
                if not alone and np.allclose(n, n.round(), **near) and n.min() > 0.5:
                    return [code], True
            itself = np.isin(p.round(9), np.round(search.draws[0], 9)).all()
            return ["missing-local-derivative" if itself else "wrong-local-derivative"], True
    if search.y.ndim and p[0].ndim > 1 and len(p) == 1:
        for axes in ((p[0].ndim - 1,), (0,), tuple(range(1, p[0].ndim))):
            for other in scope.others(p[0].shape, upstream=False):
                basis, size = [other.values[0]], np.prod([p[0].shape[a] for a in axes])
                stands, lacks = (np.array([v[0], w[0]]) for v, w in ((p, p2), (q - p, q2 - p2)))
                if size > 2 and in_span(lacks, basis, axes) and not in_span(stands, basis, axes):
                    return ["constant-statistics"], True
    return ["lost-branch"], False
