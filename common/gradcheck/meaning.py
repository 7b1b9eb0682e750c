"""What a change that heals is called: by the family it is of, or by what it does to the values at
its place."""
import ast
import itertools
from types import SimpleNamespace

import numpy as np

from . import edits
from .bounded import TimeUp
from .scaling import elementwise, named, ratio
from .source import all_bits, put, watched

# what these families undo has the family's name
BY_FAMILY = {"missing-transpose", "wrong-reshape", "constant-statistics", "flipped-kernel",
             "missing-label-subtraction", "missing-batch-sum", "ignores-upstream"}
# so have these, where the values say nothing else
FINAL = {"wrong-sign", "divided-by-N", "scaled-by-N", "missing-mask", "missing-local-derivative",
         "wrong-local-derivative", "stale-cache", "inverted-mask"}


class Change:
    """One change that heals: of a Search, at a place of a scope, with the code of its family, the
    new node, and the numbers of the wrong arrays that it heals."""

    def __init__(self, search, scope, place, code, node, healed):
        self.search, self.scope, self.place, self.code, self.node = search, scope, place, code, node
        self.old, self.healed = place.node, [search.wrong[i] for i in healed]
        self.loss = not search.y.ndim
        self.parent = scope.parent(place)[0]

    def codes(self):
        """The codes of the mistake, most important first: the first of the two halves of the table
        that says something."""
        return self.by_family() or self.by_values() or ["wrong-local-derivative"]

    def by_family(self):
        """The codes, if the kind of the change and where it stands tell; else None."""
        code, old, node, scope, place = self.code, self.old, self.node, self.scope, self.place
        if scope.within_range(place):
            return ["lost-branch"]
        if self.loss and scope.at_labels(place):
            return ["missing-label-subtraction"]
        kernels = all(e.weight for e in self.healed)
        if code == "flipped-kernel" and place.is_gradient and not kernels:
            return ["wrong-reshape"]  # no kernel, but the order of what comes back
        reshaped = edits.method(old, "reshape") or getattr(self.parent, "attr", "") == "reshape"
        if code == "missing-transpose" and reshaped:
            return ["wrong-reshape"]
        if code in BY_FAMILY or code in FINAL and edits.method(old, "sum", "mean"):
            return [code]
        if code == "lost-branch":
            half = not place.upstream and edits.operator(node, ast.Sub) and self.is_half()
            return ["wrong-local-derivative" if half
                    else "missing-label-subtraction" if self.of_a_target() else code]
        if code == "plain factor":
            alone = self.loss or all(map(elementwise, self.healed))
            return ["wrong-local-derivative" if alone else "missing-local-derivative"]
        if code == "factor" and isinstance(old, ast.Constant) and old.value == 1:
            after = self.here()
            if after and np.ndim(after[0]) and not edits.method(node, "sign"):
                return ["missing-mask" if all_bits(after) else "missing-local-derivative"]
        if code == "order":
            kinds = {ast.Return: "not-returned", ast.Assign: "stale-cache"}
            return [kinds.get(type(place.parent), "wrong-reshape") if isinstance(old, ast.Tuple)
                    else "wrong-reshape"]
        if code in ("step", "index", "mirrored"):
            mirrored = code == "mirrored" or (
                code == "index" and "-" in ast.unparse(old) and "-" not in ast.unparse(node))
            return ["flipped-kernel" if mirrored else "stale-cache"]
        return self.term() if code == "term" else None

    def term(self):
        """Of a term too many: a penalty, the same term twice, or a wrong derivative."""
        before, after = self.place.values, self.values(self.place) or []
        rest = self.old.right if self.node is self.old.left else self.old.left
        held = [p for n in ast.walk(rest) if (p := self.scope.at(n)) and p.simple and p.is_array]
        if held and all(map(self.scope.weight, held)):
            return ["wrong-penalty"]
        terms = [b - a for b, a in zip(before, after)] if len(after) == len(before) else []
        if any(map(self.of_a_parameter, terms)):
            return ["wrong-penalty"]
        twice = any(p.is_gradient and len(p.values) == len(terms) > 0
                    and all(map(np.allclose, terms, p.values))
                    for n in ast.walk(self.node) if (p := self.scope.at(n)))
        return ["factor-2" if twice or constant(before, after) else "wrong-local-derivative"]

    def by_values(self):
        """The codes, if the values before and after it tell, of the largest expression around the
        place that does not depend on dout; else None."""
        code, scope, place = self.code, self.scope, self.place
        root = scope.outermost(place)
        above, field = scope.parent(root)
        before, after = root.values, self.values(root)
        if not after or len(before) != len(after):
            return [code] if code in FINAL else None
        if not any(map(np.any, before)):
            return ["lost-branch"]
        if self.of_a_penalty(scope.product(root)):
            return ["wrong-penalty"]
        divisor = isinstance(getattr(above, "op", None), ast.Div) and field in ("right", "value")
        c = constant(before, after)
        if c and (found := named(1 / c if divisor else c, self.search.wrong[0])) and found[0]:
            return found[0]
        if each := per_turn(before, after, divisor):
            return [each]
        if not root.upstream and not all_bits(before) and mirrored(before, after):
            return ["flipped-kernel"]
        if not (code == "array" or root.upstream or all_bits(before)) and permuted(before, after):
            return ["wrong-reshape"]
        if code == "size" and all(not np.ndim(v[0]) and np.ptp(v) for v in (before, after)):
            return ["stale-cache"]
        # in a sum with a number it is rather another function's derivative: 1 + y² for 1 - y²
        derivative = code == "wrong-sign" and not root.upstream and beside_a_number(self.old)
        if code in FINAL and not derivative:
            return [code]
        if code == "axes":
            fewer = np.size(after[0]) < np.size(before[0]) and not isinstance(above, ast.BinOp)
            return ["missing-batch-sum" if fewer else "summed-too-far"]
        if code == "array" and isinstance(self.parent, ast.Compare):
            return ["stale-cache"]  # a mask made of another array
        if code == "array" and place.upstream:
            return self.another_gradient(before, after)
        if (code == "array" and place.values[0].dtype.kind in "iu" and (new := self.here())
            and all(np.array_equal(b, np.argsort(a, -1)) for b, a in zip(place.values, new))):
            return ["missing-transpose"]  # an order for its inverse
        if code == "array" and not place.mask and not all(e.param for e in self.healed) and all(
                np.isin(v, (0, 1)).all() for v in quotients(after, before)):
            return ["missing-mask"]
        if all(np.size(v) > 1 and np.isin(v, (0, 1)).all() for v in [*before, *after]):
            inverted = all(np.array_equal(b * 1, 1 - a * 1) for b, a in zip(before, after))
            return ["inverted-mask" if inverted else "missing-mask"]
        if code == "array":
            # the factor itself, or transposed, is another one; or it is so inside a function
            itself = np.array_equal(*(np.sort(p.values[0], None) for p in (root, place)))
            new = self.values(place)
            monotone = new and np.array_equal(*(np.argsort(v[0], axis=None)
                                                for v in (place.values, new)))
            factor = itself and scope.beside_upstream(root)
            return ["stale-cache" if factor or not monotone else "wrong-local-derivative"]
        return None

    def another_gradient(self, before, after):
        """The code of one upstream gradient for another one."""
        c = quotients(before, after)
        if all(np.isin(v, (0, 1)).all() for v in c):
            return ["missing-mask"]
        if permuted(before, after):
            return ["wrong-reshape"]
        if not self.scope.made_of(self.node, self.old):
            return ["stale-cache"]
        same = False  # for another dout
        if len(self.search.draws) > 1 and self.search.subject.takes_dout:
            draw = self.search.draws[1]
            here = SimpleNamespace(node=self.old)
            pair = [self.values(here, node, draw) for node in (self.old, self.node)]
            same = all(pair) and len(pair[0]) == len(pair[1]) == len(c) and all(
                map(np.allclose, c, quotients(*pair)))
        return ["missing-local-derivative" if same else "lost-branch"]

    def is_half(self):
        """Whether what stands there becomes itself times 1 - s, for an s at hand: half of a slope,
        no path."""
        before, after = self.place.values, self.here() or []
        return any(len(before) == len(after) == len(o.values) and all(
            np.shape(b) == np.shape(s) and np.allclose(a, b * (1 - s))
            for b, a, s in zip(before, after, o.values)) for o in self.scope.arrays.values())

    def of_a_target(self):
        """Whether it subtracts an array that is a loss's target."""
        if not self.loss or not edits.operator(self.node, ast.Sub):
            return False
        value = self.search.arrays_at.get(ast.unparse(self.node.right))
        answered = {e.index for e in self.search.targets if not e.param}
        return value is not None and any(
            isinstance(t, np.ndarray) and t.shape == value.shape and np.array_equal(t, value)
            for i, t in enumerate(self.search.subject.inputs) if i and i not in answered)

    def of_a_penalty(self, term):
        """Whether a term of a sum is made of a parameter and its sign, before the change or
        after."""
        above = self.scope.parent(term)[0]
        if not isinstance(getattr(above, "op", None), (ast.Add, ast.Sub)):
            return False
        return any(v and self.of_a_parameter(np.asarray(v[0], float))
                   for v in (term.values, self.values(term)))

    def of_a_parameter(self, v):
        """Whether it is a combination of a parameter and its sign."""
        for p in self.search.subject.params if np.size(v) > 2 and np.any(v) else ():
            if p.shape == v.shape and np.ptp(p):
                basis = np.array([p.reshape(-1), np.sign(p).reshape(-1)]).T
                k = np.linalg.lstsq(basis, v.reshape(-1), rcond=None)[0]
                if np.abs(basis @ k - v.reshape(-1)).max() < 1e-6 * np.abs(v).max():
                    return True
        return False

    def here(self):
        return self.values(SimpleNamespace(node=self.old))

    def values(self, root, node=None, dout=None):
        """The values of ``root`` with the change made; None if backward fails."""
        spot = self.place.parent, self.place.field, self.place.index
        node = self.node if node is None else node
        put(*spot, node)
        if root.node is self.old:
            at, seen = spot, node
        else:
            at, seen = (root.parent, root.field, root.index), root.node
        hole = SimpleNamespace(put=lambda n: put(*at, n), node=seen)
        dout = self.search.draws[0] if dout is None else dout
        try:
            return watched(self.scope.function, [hole],
                           lambda: self.search.subject.gradients(dout)).get(0)
        except (Exception, TimeUp):
            return None
        finally:
            put(*spot, self.old)


def constant(before, after):
    """c with before = c after, everywhere, or None."""
    try:
        b, a = (np.concatenate([np.ravel(np.asarray(v, float)) for v in vs])
                for vs in (before, after))
    except (TypeError, ValueError):
        return None
    return ratio(b, a) if b.shape == a.shape and b.size else None


def permuted(before, after):
    """Whether the same numbers stand there in another order."""
    return all(np.size(b) > 2 and np.array_equal(np.sort(b, None), np.sort(a, None))
               for b, a in zip(before, after))


def mirrored(before, after):
    """Whether each value is the other one, reversed along some of its axes."""
    return any(all(np.array_equal(b, np.flip(a, axes)) for b, a in zip(before, after))
               for r in (1, 2) for axes in itertools.combinations(range(np.ndim(before[0])), r))


def quotients(before, after):
    """What each value is multiplied with; 1 where it is 0."""
    return [np.divide(b, a, out=np.ones(np.shape(b)), where=a != 0) for b, a in zip(before, after)]


def beside_a_number(node):
    parts = (getattr(node, "left", node), getattr(node, "right", node))
    return any(isinstance(p, ast.Constant) for p in parts)


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
