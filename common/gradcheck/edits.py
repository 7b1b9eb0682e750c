"""Changes of one place in a backward, each of which would undo one mistake.

A family is a generator of (code, new node, words) for a place; ``code`` is what the mistake is
called if the change makes the gradient right. Where that depends on the values before and after it
is "size", "factor", "array" or "axes": see ``Search.meaning``. In templates E stands for the
expression at the place, A and D for arrays that are at hand there, ``NP`` for NumPy.
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
    """The expression of a template, with nodes, or constants, in the place of its names."""
    return filled(template(text), {k: v if isinstance(v, ast.AST) else ast.Constant(v)
                                   for k, v in nodes.items()})


def filled(tree, nodes):
    if isinstance(tree, ast.Name):
        return ast.Constant(NUMPY) if tree.id == "NP" else nodes.get(tree.id, tree)
    fields = {}
    for field, value in ast.iter_fields(tree):
        if isinstance(value, list):
            value = [filled(v, nodes) if isinstance(v, ast.AST) else v for v in value]
        fields[field] = filled(value, nodes) if isinstance(value, ast.AST) else value
    return type(tree)(**fields)


def said(text, **names):
    """A template as words."""
    for key, name in {"NP.": "", **names}.items():
        text = text.replace(key, name)
    return text


def method(node, *names):
    """Whether a node is the call of a method or NumPy function of one of these names."""
    return (isinstance(node, ast.Call) and getattr(node.func, "attr",
                                                   getattr(node.func, "id", None)) in names)


def of_array(call, scope, text, k):
    """A call of a method or of NumPy's function with a template filled in for its array."""
    func, args = call.func, list(call.args)
    if scope.at(func.value) is not None:
        func = ast.Attribute(fill(text, E=func.value, K=k), func.attr, ast.Load())
    else:
        args[0] = fill(text, E=args[0], K=k)
    return ast.Call(func, args, call.keywords)


def operator(node, *kinds):
    return isinstance(node, ast.BinOp) and isinstance(node.op, kinds)


# Upstream


def upstreams(place, scope):
    """The upstream gradient that is missing altogether."""
    if scope.deaf and (scope.whole(place) or scope.factor(place)):
        here = place.shape or ()
        for name, shape in scope.douts.items():
            wide = widened(shape, here) if len(shape) < len(here) else ()
            for text in ["A", *(f"A.reshape({w})" for w in wide), "A.sum(-1, keepdims=True)"]:
                new = fill(f"E * {text}", E=place.node, A=ast.Name(name, ast.Load()))
                yield "ignores-upstream", new, f"times {said(text, A=name)}"
        given = scope.function.silent or not place.upstream
        for name, d in scope.others(None, upstream=True) if given else ():
            if all(1 in (a, b) or a == b for a, b in zip(d.shape[::-1], here[::-1])):
                yield "ignores-upstream", fill("E * A", E=place.node, A=d.node), f"times {name}"
            if d.shape == here:
                yield "ignores-upstream", d.node, f"with {name}"


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
        for op, word in ("-", "minus"), ("+", "plus"), ("*", "times"), ("/", "divided by"):
            term = "lost-branch" if other is None or 1 not in other.shape else "constant-statistics"
            yield (term if op in "+-" else factor,
                   fill(f"E {op} A", E=place.node, A=template(name)), f"{word} {name}")


# Signs and sizes


def signs(place, scope):
    node = place.node
    if scope.index(place):
        return
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "wrong-sign", node.operand, "without the minus sign"
    elif operator(node, ast.Add):
        yield ("wrong-sign", fill("A - D", A=node.left, D=node.right),
               "with the other sign of the second term")
        yield ("wrong-sign", fill("D - A", A=node.left, D=node.right),
               "with the other sign of the first term")
    elif operator(node, ast.Sub):
        yield ("wrong-sign", fill("A + D", A=node.left, D=node.right),
               "with the other sign of the second term")
        yield "wrong-sign", fill("D - A", A=node.left, D=node.right), "with the two terms exchanged"
    elif scope.handed_on(place):
        yield "wrong-sign", fill("-E", E=node), "with a minus sign"


def sizes(place, scope):
    """A factor that is a number, left out; or one that belongs there."""
    node = place.node
    if operator(node, ast.Mult, ast.Div):
        for kept, factor in ((node.left, node.right), (node.right, node.left))[
            : 1 + isinstance(node.op, ast.Mult)
        ]:
            of = scope.at(factor)
            if of is not None and not of.is_array and of.values[0] not in (0, 1):
                yield ("size", kept, f"without the factor "
                       f"{'' if isinstance(node.op, ast.Mult) else '1/'}{of.values[0]:.4g}")
    if scope.handed_on(place):
        for n in scope.sizes:
            yield "size", fill("E * K", E=node, K=n), f"times {n}"
            yield "size", fill("E / K", E=node, K=n), f"divided by {n}"


def scalars(place, scope):
    """A number at hand, left out as a factor."""
    if scope.handed_on(place):
        for name, value in scope.scalars.items():
            if value in (0, 1):
                continue
            number = ast.parse(name, mode="eval").body
            for text in ("E * K", "E / K", "E * K ** 0.5", "E / K ** 0.5") + (
                ("E / (1 - K)", "E * (1 - K)") if 0 < value < 1 else ()
            ):
                yield "size", fill(text, E=place.node, K=number), said(text, E="it", K=name)


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
                yield "size", ast.parse(name, mode="eval").body, f"with {name}"
        for name, other in scope.others(None, upstream=False):
            if other.mask:
                yield "size", fill("A.sum()", A=other.node), f"with {name}.sum()"


def means(place, scope):
    """Sums that should be means, and the reverse; sums over other axes."""
    node = place.node
    if not (method(node, "sum", "mean") and isinstance(node.func, ast.Attribute)
            and place.upstream):
        return
    name, other = node.func.attr, "mean" if node.func.attr == "sum" else "sum"
    code = "divided-by-N" if name == "mean" else "scaled-by-N"
    yield (code, ast.Call(ast.Attribute(node.func.value, other, ast.Load()), node.args,
                          node.keywords), f"with {other} for {name}")
    inner = scope.at(node.func.value)
    array = inner or scope.at(node.args[0] if node.args else None)
    axes = range(len(array.shape)) if array is not None else ()
    kept = node.args[: inner is None]
    others = [k for k in node.keywords if k.arg != "axis"]
    for r in range(1, len(axes) + 1):
        for chosen in itertools.combinations(axes, r):
            axis = ast.keyword("axis", ast.Constant(chosen))
            yield "axes", ast.Call(node.func, kept, [axis, *others]), f"with axis={chosen}"
            if not others:
                same = ast.keyword("keepdims", ast.Constant(True))
                yield "axes", ast.Call(node.func, kept, [axis, same]), f"with axis={chosen}, kept"


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
            words = f"summed over axis {', '.join(map(str, chosen))}"
            for text in ("E.sum(axis=K)", "E.sum(axis=K, keepdims=True)"):
                yield "missing-batch-sum", fill(text, E=array.node, K=chosen), words


def labels(place, scope):
    """The one-hot labels that softmax with cross-entropy subtracts."""
    if not place.is_array or not (scope.whole(place) or isinstance(scope.parent(place)[0],
            ast.BinOp)):
        return
    one_hot = "(NP.arange(E.shape[-1]) == A[..., None])"
    rest = f"E * (1 - {one_hot})"  # a margin's: minus the sum of all others
    for name, t in scope.others(place.shape[:-1], upstream=False):
        if t.kind in "iu" and t.values[0].min() >= 0 and t.values[0].max() < place.shape[-1]:
            for text, words in ((f"E - {one_hot}", "less 1"),
                                (f"{rest} - {one_hot} * ({rest}).sum(-1, keepdims=True)",
                                 "minus the others' sum")):
                new = fill(text, E=place.node, A=t.node)
                yield "missing-label-subtraction", new, f"{words} at {name}"
    for name, t in scope.others(place.shape, upstream=False):
        if ((t.mask or any(np.array_equal(t.values[0], x) for x in scope.inputs[1:]))
            and all(np.allclose(v.sum(axis=-1), 1) for v in t.values)):
            yield "missing-label-subtraction", fill("E - A", E=place.node, A=t.node), f"less {name}"


# Places


def transposes(place, scope):
    node, n = place.node, len(place.shape or ())
    if not place.is_array:
        return
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield "missing-transpose", node.value, "without the transpose"
        if n > 2:
            last = fill("E.swapaxes(-1, -2)", E=node.value)
            yield "missing-transpose", last, "with its last two axes exchanged alone"
    elif n == 2 and (scope.factor(place) and not isinstance(node, ast.BinOp)
                     or scope.handed_on(place)):
        yield "missing-transpose", fill("E.T", E=node), "transposed"
    elif n in (3, 4) and scope.factor(place):
        yield ("missing-transpose", fill("E.swapaxes(-1, -2)", E=node),
               "with its last two axes exchanged")
    if method(node, "transpose") and isinstance(node.func, ast.Attribute) and n <= 4:
        yield "missing-transpose", node.func.value, "without the transpose"
        for order in itertools.permutations(range(n)):
            if order != tuple(range(n)):
                new = fill("E.transpose(K)", E=node.func.value, K=order)
                yield "missing-transpose", new, f"with the axes in the order {order}"
    if method(node, "swapaxes") and isinstance(node.func, ast.Attribute):
        yield "missing-transpose", node.func.value, "without the exchange of axes"


def reshapes(place, scope):
    node = place.node
    if not (method(node, "reshape") and isinstance(node.func, ast.Attribute) and place.is_array):
        return
    inner = node.func.value
    if node.keywords:
        yield "wrong-reshape", ast.Call(node.func, node.args, []), "in NumPy's own order"
    array = scope.at(inner)
    n, shape = len(array.shape) if array is not None else 0, tuple(map(int, place.shape))
    for order in itertools.permutations(range(n)) if 2 <= n <= 5 else ():
        if order != tuple(range(n)):
            moved = ast.Attribute(fill("E.transpose(K)", E=inner, K=order), "reshape", ast.Load())
            words = f"with the axes in the order {order} before the reshape"
            yield "wrong-reshape", ast.Call(moved, node.args, node.keywords), words
    for order in itertools.permutations(range(len(shape))) if len(shape) <= 5 else ():
        if order != tuple(range(len(shape))):
            first, back = tuple(shape[i] for i in order), tuple(map(int, np.argsort(order)))
            new = fill("E.reshape(S).transpose(K)", E=inner, S=first, K=back)
            yield ("wrong-reshape", new,
                   f"reshaped to {first}, then with the axes in the order {back}")


def flips(place, scope):
    node = place.node
    if not place.is_array or scope.index(place):
        return
    if place.upstream:
        if method(node, "cumsum", "cumprod"):
            for axis in range(len(place.shape)):
                turned = of_array(node, scope, "NP.flip(E, K)", axis)
                new = fill("NP.flip(E, K)", E=turned, K=axis)
                yield "missing-transpose", new, f"from the other end of axis {axis}"
        if scope.whole(place):
            for axis in range(len(place.shape)):
                if place.shape[axis] > 1:
                    text = f"E[{':, ' * axis}::-1]"
                    yield "flipped-kernel", fill(text, E=node), f"reversed along axis {axis}"
        return
    if method(node, "flip", "rot90", "fliplr", "flipud"):
        yield "flipped-kernel", node.args[0], "not reversed"
    parts = getattr(node, "slice", None)
    if any(isinstance(p, ast.Slice) and isinstance(p.step, ast.UnaryOp)
           for p in getattr(parts, "elts", [parts])):
        yield "flipped-kernel", node.value, "not reversed"
    elif place.simple:
        if len(place.shape) > 1:
            yield ("flipped-kernel", fill("E[..., ::-1, ::-1]", E=node),
                   "reversed along its last two axes")
        if not isinstance(place.parent, ast.Attribute):
            yield "flipped-kernel", fill("E[..., ::-1]", E=node), "reversed along its last axis"
            yield "flipped-kernel", fill("E[::-1]", E=node), "reversed along its first axis"


def crops(place, scope):
    """A border that forward added and backward should cut off."""
    node = place.node
    shapes = {np.shape(x) for x in scope.inputs}
    if scope.handed_on(place):
        for shape in shapes:
            if shape != place.shape and np.prod(shape) == np.prod(place.shape):
                yield "wrong-reshape", fill("E.reshape(K)", E=node, K=shape), f"reshaped to {shape}"
            more = [a - b for a, b in zip(place.shape, shape)]
            if len(shape) != len(place.shape) or min(more) < 0 or not any(more):
                continue
            for start in {tuple(m // 2 for m in more), tuple(0 for m in more)}:
                cut = [slice(s, s + n) for s, n in zip(start, shape)]
                yield ("wrong-reshape", fill("E[K]", E=node,
                                             K=ast.Tuple([ast.Slice(ast.Constant(c.start),
                        ast.Constant(c.stop)) for c in cut], ast.Load())),
                       "with the border cut off")


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
        cut = [ast.Slice() if s is None else ast.Slice(ast.Constant(s), ast.Constant(s + n))
               for s, n in zip(start, place.shape)]
        new = ast.Subscript(node.value, ast.Tuple(cut, ast.Load()), ast.Load())
        code = "wrong-reshape" if place.upstream else "stale-cache"
        yield code, new, f"with the part that begins at {start}"


def objects(place, scope):
    """A method of another object of the same kind; or a backward that is not called."""
    node = place.node
    if isinstance(node, ast.Call) and isinstance(getattr(node.func, "value", None), ast.Name):
        mine = node.func.value.id
        for name, kind in scope.objects.items():
            if name != mine and kind is scope.objects.get(mine):
                func = ast.Attribute(ast.Name(name, ast.Load()), node.func.attr, ast.Load())
                yield "stale-cache", ast.Call(func, node.args, node.keywords), f"with {name}"
    if scope.handed_on(place):
        for name, kind in scope.objects.items():
            if callable(getattr(kind, "backward", None)):
                new = fill("O.backward(E)", O=ast.Name(name, ast.Load()), E=node)
                yield "array", new, f"through {name}.backward"


def inner_factors(place, scope):
    """A factor that is missing in one term of a sum, or in one side of a matrix product."""
    if place.is_array and not place.upstream and scope.factor(place) and not scope.index(place):
        for name, other in scope.others(place.shape, upstream=False):
            if name != ast.unparse(place.node):
                yield "stale-cache", fill("E * A", E=place.node, A=other.node), f"times {name}"
    if place.is_array and not place.upstream and operator(scope.parent(place)[0], ast.Add, ast.Sub):
        for name, other in scope.others(None, upstream=False):
            if other.shape == place.shape or np.prod(other.shape) == 1:
                for text in ("E * A", "E / A"):
                    yield "factor", fill(text, E=place.node, A=other.node), f"times {name}"


def orders(place, scope):
    """Two of several things side by side, exchanged: parts that are joined, or indices."""
    node = place.node
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple):
        at = [i for i, e in enumerate(node.slice.elts) if isinstance(e, (ast.Name, ast.BinOp))]
        for i, j in itertools.combinations(at, 2):
            elts = list(node.slice.elts)
            elts[i], elts[j] = elts[j], elts[i]
            new = ast.Subscript(node.value, ast.Tuple(elts, ast.Load()), ast.Load())
            yield "missing-transpose", new, f"with indices {i} and {j} exchanged"
    whole = node if isinstance(node, (ast.Tuple, ast.List)) else None
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], (ast.Tuple, ast.List)):
        whole = node.args[0]
    for i, j in itertools.combinations(range(len(whole.elts) if whole else 0), 2):
        elts = list(whole.elts)
        elts[i], elts[j] = elts[j], elts[i]
        new = type(whole)(elts, ast.Load())
        if whole is not node:
            new = ast.Call(node.func, [new, *node.args[1:]], node.keywords)
        yield "order", new, f"with parts {i} and {j} exchanged"


# Masks and local derivatives


def masks(place, scope):
    node = place.node
    if isinstance(node, ast.Compare) and type(node.ops[0]) in TURNED:
        turned = ast.Compare(node.left, [TURNED[type(node.ops[0])]()], node.comparators)
        yield "inverted-mask", turned, "with the comparison turned round"
    if place.is_array and not place.upstream and all(np.all(v == 1) for v in place.values):
        for name, other in scope.others(place.shape, upstream=False):
            if other.kind == "f":
                yield "missing-mask", fill("A > 0", A=other.node), f"with {name} > 0"
    if place.mask and not place.upstream:
        yield ("inverted-mask", fill("~E" if place.values[0].dtype.kind == "b" else "1 - E",
                                     E=place.node), "inverted")
    if scope.handed_on(place):
        for name, other in scope.others(place.shape, upstream=False):
            if other.mask:
                yield "missing-mask", fill("E * A", E=place.node, A=other.node), f"times {name}"


def gains(place, scope):
    """A factor that is missing and is the same along some axes: a gain, a mask per row."""
    if scope.loss and place.upstream and place.shape == () and scope.whole(place):
        for name, other in scope.others(None, upstream=False):
            code = "missing-mask" if other.mask else "wrong-local-derivative"
            for text in ("A", "A[:, None]"):
                yield code, fill(f"E * {text}", E=place.node, A=other.node), f"times {name}"
    if scope.handed_on(place) and len(place.shape) > 1:
        for name, other in scope.others(None, upstream=False):
            shape = other.shape
            if shape == place.shape or not 0 < len(shape) <= len(place.shape):
                continue
            code = "missing-mask" if other.mask else "missing-local-derivative"
            wide = [("A", shape)]
            if len(shape) == 1:
                after = len(place.shape) - 1
                wide += [(f"A.reshape({(-1, *(1,) * k)})", (*shape, *(1,) * k))
                         for k in range(1, after + 1)]
            for text, full in wide:
                if all(a in (b, 1) or b == 1 for a, b in zip(full[::-1], place.shape[::-1])):
                    for sign, word in (("*", "times"), ("/", "divided by")):
                        new = fill(f"E {sign} {text}", E=place.node, A=other.node)
                        yield ("wrong-local-derivative" if sign == "/" and not place.bare
                               else code), new, f"{word} {said(text, A=name)}"


def slopes(place, scope, choice=SLOPES):
    """dout times a local derivative that is missing."""
    if scope.handed_on(place):
        for (name, other), slope in itertools.product(scope.others(place.shape, upstream=False),
                                                      choice):
            half = slope in ("A", "1 - A") and scope.other_half(place, other, slope)
            code = "missing-local-derivative"
            if slope == "A > 0" or other.mask:
                code = "missing-mask"
            elif half or slope in RARE and not place.bare:
                code = "wrong-local-derivative"
            elif slope == "A" and not (place.bare or scope.weight(other)):
                code = "plain factor"
            yield (code, fill(f"E * ({slope})", E=place.node, A=other.node),
                   f"times {said(slope, A=name)}")


def other_slopes(place, scope, choice=SLOPES):
    """A factor that is another function of what is at hand."""
    if place.is_array and scope.beside_upstream(place):
        for (name, other), slope in itertools.product(scope.others(place.shape, upstream=False),
                                                      choice):
            yield "factor", fill(slope, A=other.node), f"with {said(slope, A=name)}"


def rare_slopes(place, scope):
    yield from slopes(place, scope, RARE)
    yield from other_slopes(place, scope, RARE)


def factors(place, scope):
    """A factor that is wrong in itself, or lacks a term."""
    node = place.node
    if place.is_array and scope.beside_upstream(place):
        for text in ("E - 1", "E + 1", "1 - E", "E / E", "E * E", "NP.sqrt(E)", "NP.exp(E)",
                     "1 / E"):
            yield "factor", fill(text, E=node), f"with {said(text, E='it')}"
        for name, other in scope.others(place.shape, upstream=False):
            if all(map(np.array_equal, other.values, place.values)):
                continue
            yield "lost-branch", fill("E - A", E=node, A=other.node), f"less {name}"
            yield "lost-branch", fill("A - E", E=node, A=other.node), f"{name} less it"
            yield "lost-branch", fill("E + A", E=node, A=other.node), f"plus {name}"
    if place.simple and place.is_array and not place.upstream and not scope.index(place):
        for text in (*("2 * E", "E / 2", "E ** 2", "1 / E", "NP.exp(E)", "NP.log(E)", "NP.sqrt(E)"),
                     *("NP.tanh(E)", "1 / (1 + NP.exp(-E))", "NP.sign(E)", "-E", "1 - E")):
            yield "factor", fill(text, E=node), f"with {said(text, E='it')}"
    if place.is_array and not place.upstream and operator(node, ast.Add, ast.Sub, ast.Mult):
        yield "factor", node.left, "with its first part alone"
        yield "factor", node.right, "with its second part alone"


def constants(place, scope):
    node = place.node
    if isinstance(node, ast.Constant) and not isinstance(place.parent, ast.keyword):
        if scope.index(place) or method(place.parent, "range"):
            for n in (node.value - 1, node.value + 1):
                yield "step", ast.Constant(n), f"with {n} for {node.value}"
        else:
            v = node.value
            if isinstance(place.parent, ast.Tuple) and isinstance(v, int):
                axes = [n for n in range(5) if n != v]  # of a shape's, or an order's
                yield from (("wrong-reshape", ast.Constant(n), f"with {n} for {v}") for n in axes)
                return
            for n in {0, 1, 2, 3, 0.5, -1, v + 1, v - 1, 2 * v, 3 * v, v / 2, v / 3, -v} - {v}:
                yield "factor", ast.Constant(n), f"with {n} for {v}"
            for name in scope.scalars:
                yield "factor", ast.parse(name, mode="eval").body, f"with {name} for {v}"
            parent = scope.parent(place)[0]
            around = scope.at(parent) if method(parent, "where") else None
            for name, other in scope.others(around.shape, False) if around is not None else ():
                for text in ("A", "NP.sign(A)") if other.kind == "f" else ():
                    yield "factor", fill(text, A=other.node), f"with {said(text, A=name)} for {v}"


def functions(place, scope):
    """Another function of one argument."""
    node = place.node
    name = getattr(getattr(node, "func", None), "attr", "")
    if name in UNARY and len(node.args) == 1:
        for other in UNARY:
            if other != name:
                new = ast.Call(ast.Attribute(node.func.value, other, ast.Load()), node.args, [])
                yield "factor", new, f"with {other} for {name}"
    if isinstance(node, ast.Call) and len(node.args) == 1 and not place.upstream:
        yield "factor", node.args[0], "without the function"
    if place.is_array and not place.upstream and isinstance(scope.parent(place)[0], (
            ast.BinOp, ast.AugAssign)):
        for power in 2, 3:
            yield "factor", fill("E ** K", E=node, K=power), f"to the power of {power}"
    if not place.is_array and operator(scope.parent(place)[0], ast.Pow):
        for text in "E - 1", "E + 1":
            yield "factor", fill(text, E=node), f"with {said(text, E=ast.unparse(node))}"
    if not place.is_array and place.simple and not scope.index(place) and isinstance(
            place.values[0], (float, np.floating)):
        for name, other in scope.others(None, upstream=False):
            if scope.weight(other):
                yield "factor", fill("E * NP.sign(A)", E=node, A=other.node), f"times sign {name}"
    if method(node, "expand_dims", "repeat", "flip", "concatenate", "stack", "roll"):
        given = [k for k in node.keywords if k.arg == "axis"]
        rest = [k for k in node.keywords if k.arg != "axis"]
        at = scope.at(given[0].value if given else node.args[-1])
        for other in range(len(place.shape or ())):
            size = len(at.values[0]) if at is not None and np.ndim(at.values[0]) else 1
            for axes in itertools.combinations(range(len(place.shape)), size) if not other else ():
                axis = ast.keyword("axis", ast.Constant(axes if size > 1 else axes[0]))
                kept = node.args if given else node.args[:-1]
                yield "wrong-reshape", ast.Call(node.func, kept, [*rest, axis]), f"with axis={axes}"
    if method(node, "where") and len(node.args) == 3:
        new = ast.Call(node.func, [node.args[0], node.args[2], node.args[1]], [])
        yield "inverted-mask", new, "with the two sides exchanged"


# The wrong array


def swaps(place, scope):
    """Another array of the same shape."""
    if place.is_array and (place.simple or not place.upstream):
        for name, other in scope.others(place.shape, upstream=place.upstream):
            if other.kind == place.values[0].dtype.kind and name != ast.unparse(place.node):
                yield "array", other.node, f"with {name}"


def steps(place, scope):
    """The same list or axis, one step earlier or later."""
    if (isinstance(place.node, (ast.Name, ast.BinOp)) and scope.index(place)
        and all(isinstance(v, (int, np.integer)) for v in place.values)):
        for name in scope.counters:
            if name != ast.unparse(place.node):
                yield "index", ast.Name(name, ast.Load()), f"at {name}"
        for text in ("E - 1", "E + 1", "E - 2", "E + 2"):
            yield ("stale-cache", fill(text, E=place.node),
                   f"at {said(text, E=ast.unparse(place.node))}")
    if operator(place.node, ast.Add, ast.Sub) and scope.index(place) and not place.is_array:
        turned = ast.Sub() if isinstance(place.node.op, ast.Add) else ast.Add()
        yield ("index", ast.BinOp(place.node.left, turned, place.node.right),
               "with the other sign in the index")
    if operator(place.node, ast.Mod, ast.FloorDiv) and not place.is_array:
        for name, op in itertools.product(scope.scalars, ("//", "%")):
            new = fill(f"A {op} K", A=place.node.left, K=template(name))
            yield "stale-cache", new, f"with {ast.unparse(place.node.left)} {op} {name}"


def indices(place, scope):
    """Another count wherever it stands in one pair of brackets: another loop's, or a stride's
    multiple."""
    node = place.node
    if not isinstance(node, ast.Subscript):
        return
    inside = {n.id for n in ast.walk(node.slice) if isinstance(n, ast.Name)} & set(scope.counters)
    steps = [n for n, v in scope.scalars.items() if isinstance(v, (int, np.integer)) and 1 < v < 9]
    for name in sorted(inside):
        texts = [*(c for c in scope.counters if c != name),
                 *(f"{name} * {n}" for n in ("2", *steps))]
        turned = f"{scope.counters[name]} - {name}"
        for text in (*texts, f"{name} + 1", f"{name} - 1", turned):
            at = filled(node.slice, {name: ast.parse(text, mode="eval").body})
            code = "mirrored" if text == turned else "index"
            yield code, ast.Subscript(node.value, at, ast.Load()), f"at {text} for {name}"


def exchanges(place, scope):
    """Two names exchanged wherever they stand in an expression; a value of the step before the
    first one, which the last one's took the place of."""
    node = place.node
    names = sorted({n.id for n in ast.walk(node) if isinstance(n, ast.Name)} & {
        *scope.scalars, *scope.counters, *scope.arrays, *scope.varying})
    if operator(node, ast.Mult) and len(names) > 1:
        for a, b in itertools.combinations(names, 2):
            new = filled(node, {a: ast.Name(b, ast.Load()), b: ast.Name(a, ast.Load())})
            yield "stale-cache", new, f"with {a} and {b} exchanged"
    for name in names if isinstance(node, ast.Subscript) else ():
        if name in scope.counters and f"{name} - 1" in ast.unparse(node.slice):
            new = fill("E * (T > 0)", E=node, T=ast.Name(name, ast.Load()))
            yield "stale-cache", new, f"only where {name} > 0"


# Sums


def terms(place, scope):
    """A term that is missing, or one too many."""
    node = place.node
    if place.is_gradient and operator(node, ast.Add, ast.Sub):
        yield "term", node.left, "without the second term"
        if isinstance(node.op, ast.Add):
            yield "term", node.right, "without the first term"
    if scope.handed_on(place) and not operator(node, ast.Add):
        for name, other in scope.others(place.shape, upstream=True):
            if name != ast.unparse(place.node):
                yield "lost-branch", fill("E + A", E=place.node, A=other.node), f"plus {name}"
                yield "lost-branch", fill("E - A", E=place.node, A=other.node), f"minus {name}"


def inner_terms(place, scope):
    """A term that is missing in a factor."""
    if place.is_gradient and operator(scope.parent(place)[0], ast.Mult):
        for name, other in scope.others(place.shape, upstream=True):
            if name != ast.unparse(place.node):
                yield "lost-branch", fill("E + A", E=place.node, A=other.node), f"plus {name}"


def pairs(place, scope):
    """Each upstream gradient with each other array, by their names, at a gradient that is handed
    on."""
    if scope.handed_on(place):
        yield from itertools.product(scope.others(None, upstream=True),
                                     scope.others(None, upstream=False))


def added(place, name, d, other, a, product):
    new = fill(f"E {product}", E=place.node, D=d.node, A=a.node)
    return "lost-branch", new, said(product, D=name, A=other)


def products_of_matrices(place, scope):
    """A term that is missing and goes through a weight."""
    for (name, d), (other, a) in pairs(place, scope):
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
                    yield added(place, name, d, other, a, product)


def products_of_arrays(place, scope, slopes=("A",)):
    """A term that is missing and is an upstream gradient times an array."""
    for (name, d), (other, a) in pairs(place, scope):
        if d.shape == place.shape and a.shape in (d.shape, d.shape[-1:], (1, *d.shape[1:])):
            for slope, sign in itertools.product(slopes, "+-"):
                yield added(place, name, d, other, a, f"{sign} D * ({slope})")


def paths(place, scope):
    yield from products_of_arrays(place, scope, (*SLOPES[:2], "1 - A"))


def statistics(place, scope):
    """A path through a mean, a variance or a normaliser that is missing, from what stands there or
    from another upstream gradient."""
    if not scope.handed_on(place) or len(place.shape) < 2:
        return
    n = len(place.shape)
    start = [place.node, *(d.node for _, d in scope.others(place.shape, upstream=True))]
    for axes in dict.fromkeys([(n - 1,), (0,), tuple(range(1, n)), (0, *range(2, n))]):
        new = fill("E - E.mean(X, keepdims=True)", E=place.node, X=axes)
        yield "constant-statistics", new, f"less its mean over axis {axes}"
        for node, (name, other), text in itertools.product(
                start, scope.others(place.shape, upstream=False), STATISTICS):
            words = f"with a path through the statistics of {name}"
            yield "constant-statistics", fill(text, E=node, A=other.node, X=axes), words


# In this order: the first family in which something heals has found it.
FAMILIES = [upstreams, unread, signs, means, sums, labels, orders, transposes, slices, crops, masks,
            indices, flips, steps, swaps, constants, functions, factors, terms, reshapes,
            inner_factors, slopes, gains, objects, exchanges, products_of_matrices, other_slopes,
            inner_terms, numbers, scalars, sizes, products_of_arrays, statistics,
            rare_slopes, paths]


def statements(tree, at):
    """(code, parent, field, index, new statement, words) for assignments that should add."""
    fields = [(parent, field, body) for parent in ast.walk(tree)
              for field, body in ast.iter_fields(parent)]
    for parent, field, body in (f for f in fields if isinstance(f[2], list)):
        for i, s in enumerate(body):
            adds = isinstance(s, ast.AugAssign) and isinstance(s.op, (ast.Add, ast.Sub))
            if not adds and not (isinstance(s, ast.Assign) and len(s.targets) == 1):
                continue
            target = s.target if adds else s.targets[0]
            if adds and isinstance(target, ast.Subscript):
                yield from at_another_entry(parent, field, i, s, at, tree)
            if adds:
                turned = ast.Sub() if isinstance(s.op, ast.Add) else ast.Add()
                new = ast.AugAssign(target, turned, s.value)
                yield "wrong-sign", parent, field, i, new, "with the other sign"
            if (isinstance(target, ast.Tuple) and isinstance(s.value, ast.Tuple)
                and all(isinstance(t, ast.Name) for t in target.elts)):
                sums = [ast.BinOp(ast.Name(t.id, ast.Load()), ast.Add(), v)
                        for t, v in zip(target.elts, s.value.elts)]
                new = ast.Assign([target], ast.Tuple(sums, ast.Load()))
                yield "lost-branch", parent, field, i, new, "with += for ="
            if not adds and isinstance(target, (ast.Name, ast.Subscript, ast.Attribute)):
                yield (assigned(target, at, tree), parent, field, i,
                       ast.AugAssign(target, ast.Add(), s.value), "with += for =")
            parts = getattr(getattr(target, "slice", None), "elts", ())
            if parts and isinstance(parts[0], ast.Slice) and parts[0].upper is None:
                rows = fill("NP.arange(len(A))", A=ast.parse(ast.unparse(target.value),
                        mode="eval").body)
                entry = ast.Tuple([rows, *parts[1:]], ast.Load())
                new = ast.Subscript(target.value, entry, ast.Store())
                yield ("missing-label-subtraction", parent, field, i,
                       ast.AugAssign(new, s.op, s.value) if adds else ast.Assign([new], s.value),
                       "at one entry of each row")
            held = at(s.value.slice) if isinstance(s.value, ast.Subscript) else None
            parts = getattr(s.value.slice, "elts", ()) if isinstance(s.value, ast.Subscript) else ()
            if parts and all(isinstance(p, (ast.Name, ast.Constant)) for p in parts[:-1]):
                held = at(parts[-1])
            if held is not None and held.is_array and held.values[0].dtype.kind in "iu":
                where = ast.parse(ast.unparse(target), mode="eval").body
                rows = s.value.value
                if parts:
                    rows = ast.Subscript(rows, ast.Tuple(list(parts[:-1]), ast.Load()), ast.Load())
                new = fill("NP.add.at(A, I, V)", A=where, I=held.node, V=rows)
                yield "missing-transpose", parent, field, i, ast.Expr(new), "scattered"
            if isinstance(target, ast.Subscript):
                read = ast.parse(ast.unparse(target.value), mode="eval").body
                value = s.value
                if adds and isinstance(s.op, ast.Sub):
                    value = ast.UnaryOp(ast.USub(), value)
                new = fill("NP.add.at(A, I, V)", A=read, I=as_index(target.slice), V=value)
                yield "repeated-index", parent, field, i, ast.Expr(new), "with np.add.at"


def at_another_entry(parent, field, i, s, at, tree):
    """The same added at another entry as well, or subtracted there, as a margin is from its label's
    column."""
    inside = {n.id for n in ast.walk(s.target.slice) if isinstance(n, ast.Name)}
    others = {ast.unparse(n): n for n in ast.walk(tree) if isinstance(n, (ast.Name, ast.Subscript))
              and (p := at(n)) is not None and np.ndim(p.values[0]) == 0
              and all(isinstance(v, (int, np.integer)) for v in p.values)}
    for name, (text, other) in itertools.product(sorted(inside), others.items()):
        if text not in inside:
            where = filled(ast.parse(ast.unparse(s.target), mode="eval").body, {name: other})
            where.ctx = ast.Store()
            for op in ast.Add(), ast.Sub():
                more = ast.AugAssign(where, op, s.value)
                both = ast.If(ast.Constant(True), [s, more], [])
                yield "lost-branch", parent, field, i, both, f"at {text} as well"


def assigned(target, at, tree):
    """= for +=, by what stands on its left side: ids, a window, or anything else. ``at`` gives the
    Place of a node, or None."""
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
