"""The text of the functions that run in backward: looked at while it runs, and run with one place
of it changed."""
import ast
import contextlib
import gc
import inspect
import sys
import textwrap
import types
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# constants that stand for an object in a changed tree
NUMPY, LOOK = "\0numpy", "\0look"
# how many of the values of an expression in a loop are kept
SIGHTS = 40


@dataclass(eq=False)
class Place:
    """An expression in a function: where it hangs in the tree, the values it had, whether they
    change with dout, and whether they are the same (``bare``) for other inputs."""
    function: object
    node: ast.expr
    parent: ast.AST
    field: str
    index: int | None
    values: Sequence = ()
    upstream: bool = False
    bare: bool = False

    @property
    def shape(self):
        return np.shape(self.values[0]) if self.values else None

    @property
    def is_array(self):
        return (bool(self.values) and isinstance(self.values[0], np.ndarray)
                and self.values[0].ndim > 0)

    @property
    def is_gradient(self):
        """Whether it is an array that changes with dout."""
        return self.is_array and self.upstream

    @property
    def simple(self):
        """Whether it is read as it is: a name, an attribute, an element."""
        return isinstance(self.node, (ast.Name, ast.Attribute, ast.Subscript))

    @property
    def mask(self):
        return self.is_array and all_bits(self.values)

    def put(self, node):
        put(self.parent, self.field, self.index, node)


def all_bits(values):
    """Whether all values are 0 or 1, some of each."""
    return all(np.isin(v, (0, 1)).all() for v in values) and any(np.ptp(v * 1.0) for v in values)


def put(parent, field, index, node):
    if index is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[index] = node


class Function:
    """A Python function of the user's, as a tree that can be changed in place and run."""

    def __init__(self, code):
        self.code = code
        self.holders = [f for f in gc.get_referrers(code) if isinstance(f, types.FunctionType)
                        and f.__code__ is code]
        lines, self.first = inspect.getsourcelines(code)
        (self.tree,) = ast.parse(textwrap.dedent("".join(lines))).body
        if not self.holders or not isinstance(self.tree, ast.FunctionDef):
            raise OSError("no function")
        self.tree.decorator_list = []
        self.lines = lines
        # Inside a class of the same name, for private names and super(), inside a function that has
        # the closure's names.
        owner = code.co_qualname.split(".")[-2:-1]
        owner = owner[0] if owner and owner[0].isidentifier() else "_"
        names = [ast.Name(n, ast.Store()) for n in code.co_freevars if n != "__class__"]
        free = [ast.Assign([n], ast.Constant(None)) for n in names]
        self.module = ast.Module([ast.FunctionDef("closure",
                                                  ast.arguments([], [], None, [], [], None, []),
                                                  [*free,
                                                   ast.ClassDef(owner, [], [], [self.tree], [])],
                                                  [])], [])
        ast.fix_missing_locations(self.module)

    def compiled(self, look=None):
        """The code of the tree as it now stands; None where it cannot take the place of the old
        one."""
        code = compile(self.module, self.code.co_filename, "exec")
        for name in ("closure", None, self.tree.name):
            code = next(c for c in code.co_consts if isinstance(c, types.CodeType)
                        and name in (None, c.co_name))
        if code.co_freevars != self.code.co_freevars:
            return None
        return with_objects(code, {NUMPY: np, LOOK: look})

    @contextlib.contextmanager
    def replaced(self, code):
        """The function runs ``code``, if there is one, for the length of a ``with`` block."""
        before = [f.__code__ for f in self.holders]
        try:
            for f in self.holders:
                f.__code__ = code or f.__code__
            yield
        finally:
            for f, kept in zip(self.holders, before):
                f.__code__ = kept

    @contextlib.contextmanager
    def looked_at(self, place, look):
        """At a place stands ``look(0, its value)`` for the length of a ``with`` block; says whether
        that could be done."""
        code = self.with_node(place, look_at(ast.Constant(0), place.node), look)
        with self.replaced(code):
            yield code is not None

    def with_node(self, place, node, look=None):
        """The code with another node at a place."""
        place.put(located(node, place.node))
        try:
            return self.compiled(look)
        finally:
            place.put(place.node)

    @contextlib.contextmanager
    def open(self, place):
        """A Trial of other expressions at a place, for the length of a ``with`` block."""
        trial = Trial(self, place)
        with self.replaced(trial.code):
            yield trial

    def line(self, node):
        """The line of a node as the user wrote it, with its number in the file."""
        n = min(max(getattr(node, "lineno", 1), 1), len(self.lines))
        return self.first + n - 1, self.lines[n - 1].strip()


def located(node, old):
    """A new node, with its new parts, at the old one's place in the text."""
    return ast.fix_missing_locations(node if hasattr(node, "lineno")
                                     else ast.copy_location(node, old))


def look_at(*nodes):
    """A call of the object that LOOK stands for."""
    return ast.Call(ast.Attribute(ast.Constant(LOOK), "__call__", ast.Load()), [*nodes], [])


class Trial:
    """A function with a hole in the place of one expression: each expression put there is compiled
    alone, which takes a tenth of the time of the whole function."""

    def __init__(self, function, place):
        self.expression = None
        self.names = function.holders[0].__globals__
        node = ast.Call(ast.Name("locals", ast.Load()), [], [])
        self.code = function.with_node(place, look_at(node), self.value)

    def put(self, node):
        """Whether the expression could be put there."""
        try:
            expression = ast.fix_missing_locations(ast.Expression(node))
            code = compile(expression, "<change>", "eval")
        except (SyntaxError, TypeError, ValueError):
            return False
        self.expression = with_objects(code, {NUMPY: np})
        return self.code is not None

    def value(self, names):
        return eval(self.expression, {**self.names, **names})


def with_objects(code, objects):
    consts = tuple(objects.get(c, c) if isinstance(c, str) else with_objects(c, objects)
                   if isinstance(c, types.CodeType) else c for c in code.co_consts)
    return code.replace(co_consts=consts) if consts != code.co_consts else code


def running(run):
    """The code of each function of the user's that runs during ``run()``, with its local values at
    the end."""
    found, mine = {}, sys.getprofile()

    def watch(frame, event, _):
        code = frame.f_code
        if event == "return" and users(code, frame):
            found.setdefault(code, dict(frame.f_locals))

    sys.setprofile(watch)
    try:
        run()
    finally:
        sys.setprofile(mine)
    return found


def lines_run(run, whose=None):
    """How many lines of the user's functions (of those that ``whose`` says) ``run()`` takes: what
    it costs, on any machine."""
    count, before = 0, sys.gettrace()

    def within(frame, event, _):
        nonlocal count
        count += event == "line"
        return within

    whose = whose or users
    sys.settrace(lambda frame, *_: within if whose(frame.f_code, frame) else None)
    try:
        run()
    finally:
        sys.settrace(before)
    return count


def users(code, frame):
    """Whether a function is the user's own: not Python's, NumPy's or ours."""
    top = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    theirs = {"numpy", "scipy", "torch", "chainrule", *sys.stdlib_module_names} - {"__main__"}
    return top not in theirs and not code.co_name.startswith("<")


def places_of(function):
    """Every expression of a function that gives a number or an array, in the order of the text."""
    found, stack = [], [function.tree]
    while stack:
        parent = stack.pop()
        below = []
        for field, value in ast.iter_fields(parent):
            if field == "test" or isinstance(parent, ast.FunctionDef) and field != "body":
                continue
            for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if not isinstance(node, ast.AST):
                    continue
                below.append(node)
                if readable(node, parent, field):
                    found.append(Place(function, node, parent, field, index))
        stack.extend(reversed(below))
    return found


def readable(node, parent, field):
    if isinstance(node, ast.Tuple) and field == "slice":
        return False
    if isinstance(parent, (ast.JoinedStr, ast.FormattedValue)) or isinstance(node, ast.Constant):
        return isinstance(node, ast.Constant) and type(node.value) in (int, float)
    return (isinstance(node, (ast.Name, ast.Attribute, ast.Subscript, ast.BinOp, ast.UnaryOp,
                              ast.Call, ast.Compare, ast.IfExp, ast.Tuple, ast.List))
            and isinstance(getattr(node, "ctx", ast.Load()), ast.Load) and field != "func")


def as_array(value):
    """A tensor of PyTorch's as an array; anything else as it is."""
    return value.detach().numpy() if hasattr(value, "detach") else value


def watched(function, places, run):
    """``run()`` with all values of the places noted: {number of the place: values}."""
    seen = {}

    def look(i, value):
        kept_as = as_array(value)
        if isinstance(value, (tuple, list)):
            seen.setdefault(i, [0])
        elif (isinstance(kept_as, (np.ndarray, np.number, int, float))
              and np.size(kept_as) < 100_000):
            kept = seen.setdefault(i, [])
            if len(kept) < SIGHTS:
                kept.append(np.array(kept_as) if isinstance(kept_as, np.ndarray) else kept_as)
        return value

    for i, place in reversed(list(enumerate(places))):
        place.put(look_at(ast.Constant(i), place.node))
    try:
        ast.fix_missing_locations(function.module)
        code = function.compiled(look)
    finally:
        for place in places:
            place.put(place.node)
    if code is not None:
        with function.replaced(code):
            run()
    return seen
