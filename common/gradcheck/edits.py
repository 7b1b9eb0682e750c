"""Changes of one place in a backward, each of which would undo one mistake.

A family is a generator of (code, new node) for a place; ``code`` is what the mistake is called if
the change makes the gradient right. Where that depends on the values before and after it is
"size", "factor", "array" or "axes": see ``Change``. Where a path through statistics is added, the
name of the array that they are of comes third. In templates E stands for the expression at the
place, A and D for arrays that are at hand there, ``NP`` for NumPy.
"""
import ast
import functools
import itertools

import numpy as np

from .source import NUMPY

# of what was cached: tanh, sigmoid, ReLU, parts
SLOPES = ("1 - A ** 2", "A * (1 - A)", "A > 0", "1 - A", "A")
RARE = ("1 + A", "1 - NP.tanh(A) ** 2", "NP.cos(A)", "NP.exp(A)", "2 * A", "1 / A", "-1 / A ** 2",
        "NP.sign(A)", "3 * A ** 2", "NP.exp(-A) / (1 + NP.exp(-A)) ** 2", "1 / (1 + NP.exp(-A))",
        "-NP.sin(A)", "1 / A ** 2", "A ** 2")
TURNED = {ast.Gt: ast.Lt, ast.Lt: ast.Gt, ast.GtE: ast.LtE, ast.LtE: ast.GtE}
UNARY = ("sin", "cos", "exp", "tanh", "log", "sqrt", "sign", "abs", "sinh", "cosh", "square")
STATISTICS = ("E - A * (E * A).sum(X, keepdims=True)", "E - A * (E * A).mean(X, keepdims=True)",
              "E - E.mean(X, keepdims=True) - A * (E * A).mean(X, keepdims=True)",
              "A * (E - (E * A).sum(X, keepdims=True))", "E - (E * A).sum(X, keepdims=True)",
              "E - A * E.sum(X, keepdims=True)")


@functools.lru_cache(1000)
def template(text):
    return ast.parse(text, mode="eval").body


def fill(text, **nodes):
    """The expression of a template, with nodes, texts or constants in the place of its names."""
    return filled(template(text), {k: v if isinstance(v, ast.AST) else template(v) if isinstance(
        v, str) else ast.Constant(v) for k, v in nodes.items()})


def filled(tree, nodes):
    if isinstance(tree, ast.Name):
        return ast.Constant(NUMPY) if tree.id == "NP" else nodes.get(tree.id, tree)
    fields = {}
    for field, value in ast.iter_fields(tree):
        if isinstance(value, list):
            value = [filled(v, nodes) if isinstance(v, ast.AST) else v for v in value]
        fields[field] = filled(value, nodes) if isinstance(value, ast.AST) else value
    return type(tree)(**fields)


def names_in(node):
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def method(node, *names):
    """Whether a node is the call of a method or NumPy function of one of these names."""
    return (isinstance(node, ast.Call) and getattr(node.func, "attr",
                                                   getattr(node.func, "id", None)) in names)


def operator(node, *kinds):
    return isinstance(node, ast.BinOp) and isinstance(node.op, kinds)


def axis_of(call, args, axes, more=()):
    """The same call along other axes."""
    return ast.Call(call.func, args, [*more, ast.keyword("axis", ast.Constant(axes))])


def exchanged(elts, i, j):
    elts = list(elts)
    elts[i], elts[j] = elts[j], elts[i]
    return elts


# Upstream


def upstreams(place, scope):
    """The upstream gradient that is missing altogether."""
    if scope.deaf and (scope.whole(place) or scope.factor(place)):
        here = place.shape or ()
        for name, shape in scope.douts.items():
            wide = widened(shape, here) if len(shape) < len(here) else ()
            for text in ["A", *(f"A.reshape({w})" for w in wide), "A.sum(-1, keepdims=True)"]:
                yield "ignores-upstream", fill(f"E * {text}", E=place.node, A=name)
        given = scope.function.silent or not place.upstream
        for d in scope.others(None, upstream=True) if given else ():
            if all(1 in (a, b) or a == b for a, b in zip(d.shape[::-1], here[::-1])):
                yield "ignores-upstream", fill("E * A", E=place.node, A=d.node)
            if d.shape == here:
                yield "ignores-upstream", d.node


def widened(shape, full):
    """The shapes like ``full`` in which axes of length 1 stand for those that ``shape`` lacks."""
    for kept in itertools.combinations(range(len(full)), len(shape)):
        if tuple(full[a] for a in kept) == shape:
            yield tuple(n if a in kept else 1 for a, n in enumerate(full))


def unread(place, scope):
    """A value that was computed and is not read anywhere."""
    inner = place.is_gradient and operator(place.node, ast.Add, ast.Sub)
    for name in scope.unread if inner or scope.handed_on(place) else ():
        other = scope.arrays.get(name)
        if other is None and name not in scope.scalars:
            continue
        factor = ("size" if other is None else "missing-mask" if other.mask
                  else "missing-local-derivative" if place.bare else "wrong-local-derivative")
        term = "lost-branch" if other is None or 1 not in other.shape else "constant-statistics"
        for op in "-+*/":
            yield term if op in "+-" else factor, fill(f"E {op} A", E=place.node, A=name)


# Signs and sizes


def signs(place, scope):
    node = place.node
    if scope.index(place):
        return
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "wrong-sign", node.operand
    elif operator(node, ast.Add, ast.Sub):
        for text in ("A - D" if isinstance(node.op, ast.Add) else "A + D"), "D - A":
            yield "wrong-sign", fill(text, A=node.left, D=node.right)
    elif scope.handed_on(place):
        yield "wrong-sign", fill("-E", E=node)


def sizes(place, scope):
    """A factor that is a number, left out; or one that belongs there."""
    node = place.node
    if operator(node, ast.Mult, ast.Div):
        for kept, factor in ((node.left, node.right), (node.right, node.left))[
            : 1 + isinstance(node.op, ast.Mult)
        ]:
            of = scope.at(factor)
            if of is not None and not of.is_array and of.values[0] not in (0, 1):
                yield "size", kept
    for n in scope.sizes if scope.handed_on(place) else ():
        yield "size", fill("E * K", E=node, K=n)
        yield "size", fill("E / K", E=node, K=n)


def scalars(place, scope):
    """A number at hand, left out as a factor."""
    for name, value in scope.scalars.items() if scope.handed_on(place) else ():
        if value not in (0, 1):
            for text in ("E * K", "E / K", "E * K ** 0.5", "E / K ** 0.5") + (
                ("E / (1 - K)", "E * (1 - K)") if 0 < value < 1 else ()
            ):
                yield "size", fill(text, E=place.node, K=template(name))


def numbers(place, scope):
    """Another number: a size, a share, the number of those that count."""
    node = place.node
    if place.is_array or isinstance(node, ast.Constant) or not place.values or scope.index(place):
        return
    if isinstance(node, (ast.Call, ast.Name, ast.Attribute, ast.Subscript)) and isinstance(
        scope.parent(place)[0], (ast.BinOp, ast.AugAssign)
    ):
        for name, value in scope.scalars.items():
            if value != place.values[0]:
                yield "size", template(name)
        for other in scope.others(None, upstream=False):
            if other.mask:
                yield "size", fill("A.sum()", A=other.node)


def means(place, scope):
    """Sums that should be means, and the reverse; sums over other axes."""
    node = place.node
    if not (method(node, "sum", "mean") and isinstance(node.func, ast.Attribute)
            and place.upstream):
        return
    code, other = (("scaled-by-N", "mean") if node.func.attr == "sum"
                   else ("divided-by-N", "sum"))
    yield code, ast.Call(ast.Attribute(node.func.value, other, ast.Load()), node.args,
                         node.keywords)
    inner = scope.at(node.func.value)
    array = inner or scope.at(node.args[0] if node.args else None)
    axes = range(len(array.shape)) if array is not None else ()
    kept = node.args[: inner is None]
    others = [k for k in node.keywords if k.arg != "axis"]
    for r in range(1, len(axes) + 1):
        for chosen in itertools.combinations(axes, r):
            yield "axes", axis_of(node, kept, chosen, others)
            if not others:
                same = ast.keyword("keepdims", ast.Constant(True))
                yield "axes", axis_of(node, kept, chosen, [same])


def sums(place, scope):
    """A sum that is missing, or of which one part is there."""
    node = place.node
    if not scope.handed_on(place):
        return
    inner = scope.at(node.value) if isinstance(node, ast.Subscript) else None
    for array in (inner, place if scope.unshaped else None):
        if array is None or not array.is_gradient:
            continue
        axes = range(len(array.shape))
        for chosen in (c for r in (1, len(axes) - 1) for c in itertools.combinations(axes, r) if c):
            for text in ("E.sum(axis=K)", "E.sum(axis=K, keepdims=True)"):
                yield "missing-batch-sum", fill(text, E=array.node, K=chosen)


def labels(place, scope):
    """The one-hot labels that softmax with cross-entropy subtracts."""
    if not place.is_array or not (scope.whole(place) or isinstance(scope.parent(place)[0],
            ast.BinOp)):
        return
    one_hot = "(NP.arange(E.shape[-1]) == A[..., None])"
    rest = f"E * (1 - {one_hot})"  # a margin's: minus the sum of all others
    for t in scope.others(place.shape[:-1], upstream=False):
        if t.kind in "iu" and t.values[0].min() >= 0 and t.values[0].max() < place.shape[-1]:
            for text in f"E - {one_hot}", f"{rest} - {one_hot} * ({rest}).sum(-1, keepdims=True)":
                yield "missing-label-subtraction", fill(text, E=place.node, A=t.node)
    for t in scope.others(place.shape, upstream=False):
        if ((t.mask or any(np.array_equal(t.values[0], x) for x in scope.inputs[1:]))
            and all(np.allclose(v.sum(axis=-1), 1) for v in t.values)):
            yield "missing-label-subtraction", fill("E - A", E=place.node, A=t.node)


# Places


def transposes(place, scope):
    node, n = place.node, len(place.shape or ())
    if not place.is_array:
        return
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield "missing-transpose", node.value
        if n > 2:
            yield "missing-transpose", fill("E.swapaxes(-1, -2)", E=node.value)
    elif n == 2 and (scope.factor(place) and not isinstance(node, ast.BinOp)
                     or scope.handed_on(place)):
        yield "missing-transpose", fill("E.T", E=node)
    elif n in (3, 4) and scope.factor(place):
        yield "missing-transpose", fill("E.swapaxes(-1, -2)", E=node)
    if method(node, "transpose", "swapaxes") and isinstance(node.func, ast.Attribute):
        yield "missing-transpose", node.func.value
    if method(node, "transpose") and isinstance(node.func, ast.Attribute) and n <= 4:
        for order in orders_of(n):
            yield "missing-transpose", fill("E.transpose(K)", E=node.func.value, K=order)


def orders_of(n):
    """All orders of n axes but their own."""
    return list(itertools.permutations(range(n)))[1:] if n <= 5 else ()


def reshapes(place, scope):
    node = place.node
    if not (method(node, "reshape") and isinstance(node.func, ast.Attribute) and place.is_array):
        return
    inner = node.func.value
    if node.keywords:
        yield "wrong-reshape", ast.Call(node.func, node.args, [])
    array = scope.at(inner)
    for order in orders_of(len(array.shape) if array is not None else 0):
        moved = fill("E.transpose(K).reshape", E=inner, K=order)
        yield "wrong-reshape", ast.Call(moved, node.args, node.keywords)
    shape = tuple(map(int, place.shape))
    for order in orders_of(len(shape)):
        first, back = tuple(shape[i] for i in order), tuple(map(int, np.argsort(order)))
        yield "wrong-reshape", fill("E.reshape(S).transpose(K)", E=inner, S=first, K=back)


def flips(place, scope):
    node = place.node
    if not place.is_array or scope.index(place):
        return
    axes = range(len(place.shape))
    if place.upstream:
        for axis in axes if method(node, "cumsum", "cumprod") else ():
            turned = of_array(node, scope, "NP.flip(E, K)", axis)
            yield "missing-transpose", fill("NP.flip(E, K)", E=turned, K=axis)
        for axis in axes if scope.whole(place) else ():
            if place.shape[axis] > 1:
                yield "flipped-kernel", fill(f"E[{':, ' * axis}::-1]", E=node)
        return
    if method(node, "flip", "rot90", "fliplr", "flipud"):
        yield "flipped-kernel", node.args[0]
    parts = getattr(node, "slice", None)
    if any(isinstance(p, ast.Slice) and isinstance(p.step, ast.UnaryOp)
           for p in getattr(parts, "elts", [parts])):
        yield "flipped-kernel", node.value
    elif place.simple:
        if len(axes) > 1:
            yield "flipped-kernel", fill("E[..., ::-1, ::-1]", E=node)
        if not isinstance(place.parent, ast.Attribute):
            yield "flipped-kernel", fill("E[..., ::-1]", E=node)
            yield "flipped-kernel", fill("E[::-1]", E=node)


def of_array(call, scope, text, k):
    """A call of a method or of NumPy's function with a template filled in for its array."""
    func, args = call.func, list(call.args)
    if scope.at(func.value) is not None:
        func = ast.Attribute(fill(text, E=func.value, K=k), func.attr, ast.Load())
    else:
        args[0] = fill(text, E=args[0], K=k)
    return ast.Call(func, args, call.keywords)


def crops(place, scope):
    """A border that forward added and backward should cut off."""
    node = place.node
    for shape in {np.shape(x) for x in scope.inputs} if scope.handed_on(place) else ():
        if shape != place.shape and np.prod(shape) == np.prod(place.shape):
            yield "wrong-reshape", fill("E.reshape(K)", E=node, K=shape)
        more = [a - b for a, b in zip(place.shape, shape)]
        if len(shape) != len(place.shape) or min(more) < 0 or not any(more):
            continue
        for start in {tuple(m // 2 for m in more), tuple(0 for m in more)}:
            yield "wrong-reshape", part(node, start, shape)


def part(node, starts, sizes):
    """An array's part that begins at these places; None: the whole axis."""
    cut = [ast.Slice() if s is None else ast.Slice(ast.Constant(s), ast.Constant(s + n))
           for s, n in zip(starts, sizes)]
    return ast.Subscript(node, ast.Tuple(cut, ast.Load()), ast.Load())


def slices(place, scope):
    """A part of the same size, cut out elsewhere."""
    node = place.node
    inner = scope.at(node.value) if isinstance(node, ast.Subscript) else None
    if not place.is_array or inner is None or len(inner.shape) != len(place.shape):
        return
    more = [a - b for a, b in zip(inner.shape, place.shape)]
    if scope.index(place) or not 0 < sum(m > 0 for m in more) < 3:
        return
    starts = [range(m + 1) if m > 0 else [None] for m in more]
    for start in itertools.islice(itertools.product(*starts), 40):
        yield ("wrong-reshape" if place.upstream else "stale-cache",
               part(node.value, start, place.shape))


def objects(place, scope):
    """A method of another object of the same kind; or a backward that is not called."""
    node = place.node
    if isinstance(node, ast.Call) and isinstance(getattr(node.func, "value", None), ast.Name):
        mine = node.func.value.id
        for name, kind in scope.objects.items():
            if name != mine and kind is scope.objects.get(mine):
                func = ast.Attribute(template(name), node.func.attr, ast.Load())
                yield "stale-cache", ast.Call(func, node.args, node.keywords)
    for name, kind in scope.objects.items() if scope.handed_on(place) else ():
        if callable(getattr(kind, "backward", None)):
            yield "array", fill("O.backward(E)", O=name, E=node)


def inner_factors(place, scope):
    """A factor that is missing in one term of a sum, or in one side of a matrix product."""
    if not place.is_array or place.upstream:
        return
    if scope.factor(place) and not scope.index(place):
        for other in scope.beside(place, upstream=False):
            yield "stale-cache", fill("E * A", E=place.node, A=other.node)
    if operator(scope.parent(place)[0], ast.Add, ast.Sub):
        for other in scope.others(None, upstream=False):
            if other.shape == place.shape or np.prod(other.shape) == 1:
                for text in ("E * A", "E / A"):
                    yield "factor", fill(text, E=place.node, A=other.node)


def orders(place, scope):
    """Two of several things side by side, exchanged: parts that are joined, or indices."""
    node = place.node
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple):
        elts = node.slice.elts
        at = [i for i, e in enumerate(elts) if isinstance(e, (ast.Name, ast.BinOp))]
        for pair in itertools.combinations(at, 2):
            index = ast.Tuple(exchanged(elts, *pair), ast.Load())
            yield "missing-transpose", ast.Subscript(node.value, index, ast.Load())
    call = node if isinstance(node, ast.Call) and node.args else None
    whole = call.args[0] if call else node
    if isinstance(whole, (ast.Tuple, ast.List)):
        for pair in itertools.combinations(range(len(whole.elts)), 2):
            new = type(whole)(exchanged(whole.elts, *pair), ast.Load())
            yield "order", (ast.Call(call.func, [new, *call.args[1:]], call.keywords) if call
                            else new)


# Masks and local derivatives


def masks(place, scope):
    node = place.node
    if isinstance(node, ast.Compare) and type(node.ops[0]) in TURNED:
        yield "inverted-mask", ast.Compare(node.left, [TURNED[type(node.ops[0])]()],
                                           node.comparators)
    others = scope.others(place.shape, upstream=False)
    if place.is_array and not place.upstream and all(np.all(v == 1) for v in place.values):
        for other in others:
            if other.kind == "f":
                yield "missing-mask", fill("A > 0", A=other.node)
    if place.mask and not place.upstream:
        yield "inverted-mask", fill("~E" if place.values[0].dtype.kind == "b" else "1 - E", E=node)
    for other in others if scope.handed_on(place) else ():
        if other.mask:
            yield "missing-mask", fill("E * A", E=node, A=other.node)


def gains(place, scope):
    """A factor that is missing and is the same along some axes: a gain, a mask per row."""
    if scope.loss and place.upstream and place.shape == () and scope.whole(place):
        for other in scope.others(None, upstream=False):
            code = "missing-mask" if other.mask else "wrong-local-derivative"
            for text in ("A", "A[:, None]"):
                yield code, fill(f"E * {text}", E=place.node, A=other.node)
    if not scope.handed_on(place) or len(place.shape) < 2:
        return
    for other in scope.others(None, upstream=False):
        shape = other.shape
        if shape == place.shape or not 0 < len(shape) <= len(place.shape):
            continue
        code = "missing-mask" if other.mask else "missing-local-derivative"
        wide = [("A", shape)]
        for k in range(1, len(place.shape)) if len(shape) == 1 else ():
            wide.append((f"A.reshape({(-1, *(1,) * k)})", (*shape, *(1,) * k)))
        for text, full in wide:
            if all(a in (b, 1) or b == 1 for a, b in zip(full[::-1], place.shape[::-1])):
                for sign in "*/":
                    new = fill(f"E {sign} {text}", E=place.node, A=other.node)
                    yield ("wrong-local-derivative" if sign == "/" and not place.bare
                           else code), new


def slopes(place, scope, choice=SLOPES):
    """dout times a local derivative that is missing."""
    others = scope.others(place.shape, upstream=False) if scope.handed_on(place) else ()
    for other, slope in itertools.product(others, choice):
        half = slope in ("A", "1 - A") and scope.other_half(place, other, slope)
        code = "missing-local-derivative"
        if slope == "A > 0" or other.mask:
            code = "missing-mask"
        elif half or slope in RARE and not place.bare:
            code = "wrong-local-derivative"
        elif slope == "A" and not (place.bare or scope.weight(other)):
            code = "plain factor"
        yield code, fill(f"E * ({slope})", E=place.node, A=other.node)


def other_slopes(place, scope, choice=SLOPES):
    """A factor that is another function of what is at hand."""
    if place.is_array and scope.beside_upstream(place):
        for other, slope in itertools.product(scope.others(place.shape, upstream=False), choice):
            yield "factor", fill(slope, A=other.node)


def rare_slopes(place, scope):
    yield from slopes(place, scope, RARE)
    yield from other_slopes(place, scope, RARE)


def factors(place, scope):
    """A factor that is wrong in itself, or lacks a term."""
    node = place.node
    if place.is_array and scope.beside_upstream(place):
        for text in ("E - 1", "E + 1", "1 - E", "E / E", "E * E", "NP.sqrt(E)", "NP.exp(E)",
                     "1 / E"):
            yield "factor", fill(text, E=node)
        for other in scope.others(place.shape, upstream=False):
            if not all(map(np.array_equal, other.values, place.values)):
                for text in "E - A", "A - E", "E + A":
                    yield "lost-branch", fill(text, E=node, A=other.node)
    if not place.is_array or place.upstream:
        return
    if place.simple and not scope.index(place):
        for text in (*("2 * E", "E / 2", "E ** 2", "1 / E", "NP.exp(E)", "NP.log(E)", "NP.sqrt(E)"),
                     *("NP.tanh(E)", "1 / (1 + NP.exp(-E))", "NP.sign(E)", "-E", "1 - E")):
            yield "factor", fill(text, E=node)
    if operator(node, ast.Add, ast.Sub, ast.Mult):
        yield "factor", node.left
        yield "factor", node.right


def constants(place, scope):
    node = place.node
    if not isinstance(node, ast.Constant) or isinstance(place.parent, ast.keyword):
        return
    v = node.value
    if scope.index(place) or method(place.parent, "range"):
        yield from (("step", ast.Constant(n)) for n in (v - 1, v + 1))
        return
    if isinstance(place.parent, ast.Tuple) and isinstance(v, int):  # a shape, or an order
        yield from (("wrong-reshape", ast.Constant(n)) for n in range(5) if n != v)
        return
    for n in {0, 1, 2, 3, 0.5, -1, v + 1, v - 1, 2 * v, 3 * v, v / 2, v / 3, -v} - {v}:
        yield "factor", ast.Constant(n)
    yield from (("factor", template(name)) for name in scope.scalars)
    parent = scope.parent(place)[0]
    around = scope.at(parent) if method(parent, "where") else None
    for other in scope.others(around.shape, False) if around is not None else ():
        for text in ("A", "NP.sign(A)") if other.kind == "f" else ():
            yield "factor", fill(text, A=other.node)


def functions(place, scope):
    """Another function of one argument."""
    node = place.node
    name = getattr(getattr(node, "func", None), "attr", "")
    if name in UNARY and len(node.args) == 1:
        for other in UNARY:
            if other != name:
                yield "factor", ast.Call(ast.Attribute(node.func.value, other, ast.Load()),
                                         node.args, [])
    if isinstance(node, ast.Call) and len(node.args) == 1 and not place.upstream:
        yield "factor", node.args[0]
    texts = []
    if place.is_array and not place.upstream and isinstance(scope.parent(place)[0], (
            ast.BinOp, ast.AugAssign)):
        texts = "E ** 2", "E ** 3"
    if not place.is_array and operator(scope.parent(place)[0], ast.Pow):
        texts = "E - 1", "E + 1"
    yield from (("factor", fill(text, E=node)) for text in texts)
    if not place.is_array and place.simple and not scope.index(place) and isinstance(
            place.values[0], (float, np.floating)):
        for other in scope.others(None, upstream=False):
            if scope.weight(other):
                yield "factor", fill("E * NP.sign(A)", E=node, A=other.node)
    if place.shape and method(node, "expand_dims", "repeat", "flip", "concatenate", "stack",
                              "roll"):
        given = [k for k in node.keywords if k.arg == "axis"]
        rest = [k for k in node.keywords if k.arg != "axis"]
        at = scope.at(given[0].value if given else node.args[-1])
        size = len(at.values[0]) if at is not None and np.ndim(at.values[0]) else 1
        for axes in itertools.combinations(range(len(place.shape)), size):
            yield "wrong-reshape", axis_of(node, node.args if given else node.args[:-1],
                                           axes if size > 1 else axes[0], rest)
    if method(node, "where") and len(node.args) == 3:
        yield "inverted-mask", ast.Call(node.func, exchanged(node.args, 1, 2), [])


# The wrong array


def swaps(place, scope):
    """Another array of the same shape."""
    if place.is_array and (place.simple or not place.upstream):
        for other in scope.beside(place, place.upstream):
            if other.kind == place.values[0].dtype.kind:
                yield "array", other.node


def steps(place, scope):
    """The same list or axis, one step earlier or later."""
    node = place.node
    if (isinstance(node, (ast.Name, ast.BinOp)) and scope.index(place)
        and all(isinstance(v, (int, np.integer)) for v in place.values)):
        for name in scope.counters:
            if name != ast.unparse(node):
                yield "index", template(name)
        for text in ("E - 1", "E + 1", "E - 2", "E + 2"):
            yield "stale-cache", fill(text, E=node)
    if operator(node, ast.Add, ast.Sub) and scope.index(place) and not place.is_array:
        yield "index", ast.BinOp(node.left, opposite(node.op), node.right)
    if operator(node, ast.Mod, ast.FloorDiv) and not place.is_array:
        for name, op in itertools.product(scope.scalars, ("//", "%")):
            yield "stale-cache", fill(f"A {op} K", A=node.left, K=template(name))


def opposite(op):
    return ast.Sub() if isinstance(op, ast.Add) else ast.Add()


def indices(place, scope):
    """Another count wherever it stands in one pair of brackets: another loop's, or a stride's
    multiple."""
    node = place.node
    if not isinstance(node, ast.Subscript):
        return
    steps = [n for n, v in scope.scalars.items() if isinstance(v, (int, np.integer)) and 1 < v < 9]
    for name in sorted(names_in(node.slice) & {*scope.counters}):
        turned = f"{scope.counters[name]} - {name}"
        for text in (*(c for c in scope.counters if c != name),
                     *(f"{name} * {n}" for n in ("2", *steps)),
                     f"{name} + 1", f"{name} - 1", turned):
            at = filled(node.slice, {name: template(text)})
            yield ("mirrored" if text == turned else "index",
                   ast.Subscript(node.value, at, ast.Load()))


def exchanges(place, scope):
    """Two names exchanged wherever they stand in an expression; a value of the step before the
    first one, which the last one's took the place of."""
    node = place.node
    names = sorted(names_in(node) & {*scope.scalars, *scope.counters, *scope.arrays,
                                     *scope.varying})
    if operator(node, ast.Mult) and len(names) > 1:
        for a, b in itertools.combinations(names, 2):
            yield "stale-cache", filled(node, {a: template(b), b: template(a)})
    for name in names if isinstance(node, ast.Subscript) else ():
        if name in scope.counters and f"{name} - 1" in ast.unparse(node.slice):
            yield "stale-cache", fill("E * (T > 0)", E=node, T=name)


# Sums


def terms(place, scope):
    """A term that is missing, or one too many."""
    node = place.node
    if place.is_gradient and operator(node, ast.Add, ast.Sub):
        yield "term", node.left
        if isinstance(node.op, ast.Add):
            yield "term", node.right
    if scope.handed_on(place) and not operator(node, ast.Add):
        for other, sign in itertools.product(scope.beside(place, upstream=True), "+-"):
            yield "lost-branch", fill(f"E {sign} A", E=node, A=other.node)


def inner_terms(place, scope):
    """A term that is missing in a factor."""
    if place.is_gradient and operator(scope.parent(place)[0], ast.Mult):
        for other in scope.beside(place, upstream=True):
            yield "lost-branch", fill("E + A", E=place.node, A=other.node)


def pairs(place, scope):
    """Each upstream gradient with each other array, at a gradient that is handed on."""
    if scope.handed_on(place):
        yield from itertools.product(scope.others(None, upstream=True),
                                     scope.others(None, upstream=False))


def added(place, d, a, product):
    return "lost-branch", fill(f"E {product}", E=place.node, D=d.node, A=a.node)


def products_of_matrices(place, scope):
    """A term that is missing and goes through a weight."""
    for d, a in pairs(place, scope):
        if len(a.shape) == 2 <= len(d.shape):
            rows = len(d.shape) == 2
            for product, shape, fits in (
                ("+ D @ A.T", (*d.shape[:-1], a.shape[0]), d.shape[-1] == a.shape[1]),
                ("+ D @ A", (*d.shape[:-1], a.shape[1]), d.shape[-1] == a.shape[0]),
                ("+ A.T @ D", (a.shape[1], d.shape[-1]), rows and d.shape[0] == a.shape[0]),
                ("+ A @ D", (a.shape[0], d.shape[-1]), rows and d.shape[0] == a.shape[1]),
                ("+ D.T @ A", (d.shape[-1], a.shape[1]), rows and d.shape[0] == a.shape[0]),
            ):
                if fits and shape == place.shape:
                    yield added(place, d, a, product)


def products_of_arrays(place, scope, slopes=("A",)):
    """A term that is missing and is an upstream gradient times an array."""
    for d, a in pairs(place, scope):
        if d.shape == place.shape and a.shape in (d.shape, d.shape[-1:], (1, *d.shape[1:])):
            for slope, sign in itertools.product(slopes, "+-"):
                yield added(place, d, a, f"{sign} D * ({slope})")


def paths(place, scope):
    yield from products_of_arrays(place, scope, (*SLOPES[:2], "1 - A"))


def statistics(place, scope):
    """A path through a mean, a variance or a normaliser that is missing, from what stands there or
    from another upstream gradient."""
    if not scope.handed_on(place) or len(place.shape) < 2:
        return
    n = len(place.shape)
    start = [place.node, *(d.node for d in scope.others(place.shape, upstream=True))]
    for axes in dict.fromkeys([(n - 1,), (0,), tuple(range(1, n)), (0, *range(2, n))]):
        yield "constant-statistics", fill("E - E.mean(X, keepdims=True)", E=place.node, X=axes)
        for node, other, text in itertools.product(
                start, scope.others(place.shape, upstream=False), STATISTICS):
            yield ("constant-statistics", fill(text, E=node, A=other.node, X=axes),
                   ast.unparse(other.node))


# In this order: the first family in which something heals has found it.
FAMILIES = [upstreams, unread, signs, means, sums, labels, orders, transposes, slices, crops, masks,
            indices, flips, steps, swaps, constants, functions, factors, terms, reshapes,
            inner_factors, slopes, gains, objects, exchanges, products_of_matrices, other_slopes,
            inner_terms, numbers, scalars, sizes, products_of_arrays, statistics,
            rare_slopes, paths]


def statements(tree, at):
    """(code, parent, field, index, new statement) for assignments that should add."""
    fields = [(parent, field, body) for parent in ast.walk(tree)
              for field, body in ast.iter_fields(parent) if isinstance(body, list)]
    for parent, field, body in fields:
        for i, s in enumerate(body):
            for code, new in assignments(s, at, tree):
                yield code, parent, field, i, new


def assignments(s, at, tree):
    """(code, new statement) for one assignment. ``at`` gives the Place of a node, or None."""
    adds = isinstance(s, ast.AugAssign) and isinstance(s.op, (ast.Add, ast.Sub))
    if not adds and not (isinstance(s, ast.Assign) and len(s.targets) == 1):
        return
    target, value = s.target if adds else s.targets[0], s.value
    entry = isinstance(target, ast.Subscript)
    if adds:
        yield from at_another_entry(s, at, tree) if entry else ()
        yield "wrong-sign", ast.AugAssign(target, opposite(s.op), value)
    if (isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
        and all(isinstance(t, ast.Name) for t in target.elts)):
        sums = [fill("A + D", A=t.id, D=v) for t, v in zip(target.elts, value.elts)]
        yield "lost-branch", ast.Assign([target], ast.Tuple(sums, ast.Load()))
    if not adds and isinstance(target, (ast.Name, ast.Subscript, ast.Attribute)):
        yield assigned(target, at, tree), ast.AugAssign(target, ast.Add(), value)
    read = template(ast.unparse(target.value)) if entry else None
    parts = getattr(target.slice, "elts", ()) if entry else ()
    if parts and isinstance(parts[0], ast.Slice) and parts[0].upper is None:
        one = ast.Tuple([fill("NP.arange(len(A))", A=read), *parts[1:]], ast.Load())
        new = ast.Subscript(target.value, one, ast.Store())
        yield ("missing-label-subtraction",
               ast.AugAssign(new, s.op, value) if adds else ast.Assign([new], value))
    if isinstance(value, ast.Subscript):
        rows, ids = value.value, at(value.slice)
        parts = getattr(value.slice, "elts", ())
        if parts and all(isinstance(p, (ast.Name, ast.Constant)) for p in parts[:-1]):
            ids = at(parts[-1])
        if ids is not None and ids.is_array and ids.values[0].dtype.kind in "iu":
            if parts:
                rows = ast.Subscript(rows, ast.Tuple(list(parts[:-1]), ast.Load()), ast.Load())
            yield "missing-transpose", scattered(ast.unparse(target), ids.node, rows)
    if entry:
        if adds and isinstance(s.op, ast.Sub):
            value = ast.UnaryOp(ast.USub(), value)
        yield "repeated-index", scattered(read, as_index(target.slice), value)


def scattered(array, ids, values):
    return ast.Expr(fill("NP.add.at(A, I, V)", A=array, I=ids, V=values))


def at_another_entry(s, at, tree):
    """The same added at another entry as well, or subtracted there, as a margin is from its label's
    column."""
    inside = names_in(s.target.slice)
    others = {ast.unparse(n): n for n in ast.walk(tree) if isinstance(n, (ast.Name, ast.Subscript))
              and (p := at(n)) is not None and np.ndim(p.values[0]) == 0
              and all(isinstance(v, (int, np.integer)) for v in p.values)}
    for name, (text, other) in itertools.product(sorted(inside), others.items()):
        if text not in inside:
            where = filled(template(ast.unparse(s.target)), {name: other})
            where.ctx = ast.Store()
            for op in ast.Add(), ast.Sub():
                both = [s, ast.AugAssign(where, op, s.value)]
                yield "lost-branch", ast.If(ast.Constant(True), both, [])


def assigned(target, at, tree):
    """= for +=, by what stands on its left side: ids, a window, or anything else."""
    parts = getattr(getattr(target, "slice", None), "elts", [getattr(target, "slice", None)])
    places = [at(p) for p in parts]
    if any(place and place.is_array and place.values[0].dtype.kind in "iu" for place in places):
        return "repeated-index"
    loops = [s for s in ast.walk(tree) if isinstance(s, ast.For) and not method(s.iter, "range")]
    # entries of lists, ids perhaps
    listed = {getattr(t, "id", None) for s in loops for t in (
        getattr(s.target, "elts", ())[1:] if method(s.iter, "enumerate") else [s.target])}
    turns = [place.values for place in places if place and np.ndim(place.values[0]) == 0]
    if turns and any(len(t) > 1 for t in turns) and len(set(zip(*turns))) < min(map(len, turns)):
        ids = any(isinstance(p, ast.Name) and p.id in listed for p in parts)
        return "repeated-index" if ids else "overlap-overwritten"  # one entry, written again
    window = any(isinstance(p, ast.BinOp) or isinstance(p, ast.Slice) and p.upper is not None
                 and not isinstance(p.upper, ast.Constant) for p in parts)
    return "overlap-overwritten" if window else "lost-branch"


def as_index(node):
    """A subscript's inside as an expression of its own."""
    if isinstance(node, ast.Slice):
        parts = [p if p is not None else ast.Constant(None)
                 for p in (node.lower, node.upper, node.step)]
        return ast.Call(ast.Name("slice", ast.Load()), parts, [])
    if isinstance(node, ast.Tuple):
        return ast.Tuple([as_index(n) for n in node.elts], ast.Load())
    return node
