"""Gradients of the values in between: what ``dvar`` in backward should be, if forward computes
``var``."""
import ast
import contextlib
import re

import numpy as np

from .source import Function, Place, running

STEP = 1e-6
PREFIX = re.compile(r"(d|grad|delta|g)_?(?=\w)|_?grad(ient)?$")


def slopes(search, names):
    """{name of a local of backward: [(direction, derivative of Σ dout y in that direction)]}, for
    those of ``names`` that are named after a value of forward's, which the output depends on."""
    subject, wanted = search.subject, {}
    for name in names:
        wanted.setdefault(PREFIX.sub("", name, count=1), []).append(name)
    found, rng = {}, np.random.default_rng(41)
    for code in running(subject.output):
        with contextlib.suppress(OSError, TypeError, SyntaxError, ValueError):
            function = Function(code)
            for node in ast.walk(function.tree):
                for target in node.targets if isinstance(node, ast.Assign) else ():
                    parts = enumerate(getattr(target, "elts", ()))
                    for part, t in [*parts] or [(None, target)]:
                        of = getattr(t, "id", getattr(t, "attr", None))
                        if mine := [n for n in wanted.get(of, ()) if n != of]:
                            place = Place(function, node.value, node, "value", None)
                            pairs = list(measured(search, place, part, rng))
                            found.update(dict.fromkeys(mine, pairs))
    subject.restart()
    search.stale = True
    return {name: pairs for name, pairs in found.items() if pairs}


def measured(search, place, part, rng):
    """Two (direction, derivative) of one value of forward's, or of a ``part`` of several that are
    assigned together; none where it takes several, or where the output does not depend on it."""
    subject, dout, sight = search.subject, search.draws[0], []

    def along(h):
        def look(_, value):
            one = value if part is None else value[part]
            sight.append(np.asarray(one))
            moved = one + h * v if h else one
            return moved if part is None else [*value[:part], moved, *value[part + 1:]]

        with place.function.looked_at(place, look) as works:
            return np.sum(dout * subject.output(watch=False)) if works else None

    with contextlib.suppress(Exception):
        base = along(0)
        if base is None or len(sight) != 1 or sight[0].dtype.kind != "f":
            return
        for _ in range(2):
            v = rng.normal(size=sight[0].shape)
            slope = (along(STEP) - along(-STEP)) / (2 * STEP)
            if abs(slope) > 1e-6 * np.abs(v).sum():
                yield v, slope


def right(pairs, value):
    """Whether a gradient says what the derivatives say."""
    return all(np.shape(value) == v.shape and abs(np.sum(value * v) - slope) <= 1e-4 * (
        abs(slope) + np.abs(value * v).max(initial=0)) for v, slope in pairs)
