"""What a hand-in's text tells before it runs: which layers lean on what is to be written, or hide
what they do. Read in the hand-in's own process: no text can bring the judge down."""
import ast
import itertools

THEIRS = ("chainrule.layers", "chainrule.models", "chainrule.common.engine", "chainrule.notebooks")
FRAMEWORKS = ("torch", "tensorflow", "keras", "jax", "autograd", "chainer", "mxnet", "theano",
              "dezero", "tinygrad", "micrograd", "thinc", "mlx", "sklearn")
CHECKER = ("chainrule.gradcheck",)
HIDING = ("importlib", "imp", "pkgutil", "runpy", "inspect", "gc", "ctypes", "subprocess",
          "multiprocessing", "socket", "pickle", "marshal", "zipimport", "_frozen_importlib",
          "faulthandler", "code", "codeop")
REFUSED = (  # packages, and what is said of a layer that uses one
    (THEIRS, "{0}: the layers are to be written, not imported"),
    (FRAMEWORKS, "{0}: the layers are to be written in NumPy"),
    (CHECKER, "{0} within a layer: a numerical derivative is no backward pass"),
    (HIDING, "{1}: marking refuses it within a layer"))
JUDGES = ("chainrule", "numpy", "builtins", "sys", "pytest", "unittest")
BUILTINS = ("__import__", "exec", "eval", "compile", "__builtins__", "__loader__", "__spec__",
            "open", "breakpoint", "input")
ATTRIBUTES = ("__globals__", "__subclasses__", "__builtins__", "__closure__", "__code__",
              "cell_contents", "f_back", "f_locals", "f_globals", "tb_frame", "gi_frame",
              "cr_frame", "_getframe", "_current_frames", "__loader__")
OF_MODULES = ("modules", "meta_path", "_exit", "system", "popen", "fork", "kill", "settrace",
              "setprofile")


def within(name, packages):
    return any(name == p or name.startswith(p + ".") for p in packages)


def imports(node):
    """(the name that is bound, the module or module.name that it stands for)."""
    if isinstance(node, ast.Import):
        return [(alias.asname, alias.name) if alias.asname else (alias.name.split(".")[0],) * 2
                for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [(alias.asname or alias.name, f"{node.module or ''}.{alias.name}")
                for alias in node.names]
    return []


def dotted(node):
    """``a.b.c`` as a string, or None for what is no chain of names."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(names)]) if isinstance(node, ast.Name) else None


def assigned(node):
    """The targets that a statement writes to, flat."""
    targets = (node.targets if isinstance(node, ast.Assign | ast.Delete) else
               [node.target] if isinstance(node, ast.AugAssign | ast.AnnAssign | ast.For) else [])
    while targets:
        target, *targets = targets
        if isinstance(target, ast.Tuple | ast.List):
            targets += target.elts
        else:
            yield target


class Module:
    """The text of a hand-in, statement by statement."""

    def __init__(self, tree):
        self.body = [node for node in tree.body
                     if not (isinstance(node, ast.If) and "__main__" in ast.dump(node.test))]
        self.stands_for = dict(pair for node in self.body for inner in ast.walk(node)
                               for pair in imports(inner))
        self.bound = {}  # a name of the module: statements that bind it
        for node in self.body:
            for name in self.binds(node):
                self.bound.setdefault(name, []).append(node)

    def binds(self, node):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            return {node.name}
        inner = list(ast.walk(node))
        return ({n.id for n in inner if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
                | {n.name for n in inner if isinstance(n, ast.FunctionDef | ast.ClassDef)}
                | {name for n in inner for name, _ in imports(n)})

    def full(self, node):
        """What a chain of names stands for, imports looked up: ``np.exp`` is ``numpy.exp``."""
        text = dotted(node)
        if text is None:
            return None
        first, dot, rest = text.partition(".")
        return self.stands_for.get(first, first) + dot + rest

    def complaint(self, statement, importing):
        """The first thing in a statement that a marked layer must not have; its imports count where
        ``importing``."""
        for node in ast.walk(statement):
            at = f"line {getattr(node, 'lineno', 0)}"
            names = [full for _, full in imports(node)] if importing else []
            if isinstance(node, ast.Name | ast.Attribute):
                names.append(self.full(node) or "")
            for name, (packages, words) in itertools.product(names, REFUSED):
                if within(name, packages):
                    return f"{at} uses " + words.format(name, name.split(".")[0])
            if isinstance(node, ast.Name) and node.id in BUILTINS and node.id not in self.bound:
                return f"{at} uses {node.id}: marking refuses it within a layer"
            if isinstance(node, ast.Attribute) and (
                    node.attr in ATTRIBUTES or node.attr in OF_MODULES and self.imported(node)):
                return f"{at} uses .{node.attr}: marking refuses it within a layer"
            if replaced := self.replaced(node):
                return f"{at} replaces {replaced}: the judge is not to be touched"
        return None

    def replaced(self, node):
        """The name in NumPy, chainrule or Python that a statement writes over, or None."""
        for target in assigned(node):
            if isinstance(target, ast.Subscript):
                target = target.value
                if dotted(target) is None or "__dict__" not in dotted(target):
                    continue
            if isinstance(target, ast.Attribute):
                name = self.full(target)
                if name and self.imported(target) and within(name, JUDGES):
                    return name
        if (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
                and node.func.id in ("setattr", "delattr") and node.args
                and self.imported(node.args[0]) and within(self.full(node.args[0]), JUDGES)):
            return f"a part of {self.full(node.args[0])}"
        return None

    def imported(self, node):
        text = dotted(node)
        return text is not None and text.split(".")[0] in self.stands_for

    def reached(self, name):
        """The statements that a name leads to: the last that binds it, and all that bind what it
        uses."""
        seen = self.bound.get(name, [])[-1:]
        for statement in seen:  # which grows meanwhile
            for node in ast.walk(statement):
                seen += [more for more in self.bound.get(getattr(node, "id", None), ())
                         if more not in seen]
        return seen

    def refused(self, name):
        """Why a layer is not marked, as a sentence, or None."""
        last = max((self.body.index(statement) for statement in self.bound.get(name, ())),
                   default=-1)
        for statement in self.body[last + 1:]:
            if "*" in self.binds(statement) and within(statement.module or "", THEIRS):
                return (f"line {statement.lineno} uses all of {statement.module}: the layers are "
                        "to be written, not imported")
        for statement in self.reached(name):
            of_imports = isinstance(statement, ast.Import | ast.ImportFrom)
            found = self.complaint(statement, not of_imports or name in self.binds(statement))
            if found:
                return found
        defining = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef
        for statement in self.body:  # done to all layers, since bound to no name
            for node in () if isinstance(statement, defining) else ast.walk(statement):
                if replaced := self.replaced(node):
                    return f"line {node.lineno} replaces {replaced}: the judge is not to be touched"
        return None

    def lines(self, name, text):
        """Where a layer's backward makes each gradient: ``{"x": (line, text), "params[0]": …}``."""
        methods = [node for statement in self.bound.get(name, ()) for node in ast.walk(statement)
                   if isinstance(node, ast.FunctionDef) and node.name == "backward"]
        places = {}
        for node in (node for method in methods for node in ast.walk(method)):
            if isinstance(node, ast.Return):
                places["x"] = node.lineno
            if isinstance(node, ast.stmt) and not isinstance(node, ast.FunctionDef):
                for where in filter(None, map(parameter, ast.walk(node))):
                    places.setdefault(where, node.lineno)
        return {where: (line, text[line - 1].strip()) for where, line in places.items()}


def parameter(node):
    """``params[1]`` for the node ``….grads[1]``, else None."""
    if (isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute)
            and node.value.attr == "grads" and isinstance(node.slice, ast.Constant)):
        return f"params[{node.slice.value}]"
    return None


def scan(source, names):
    """What is refused and where gradients are made, for each layer's name."""
    module = Module(ast.parse(source))
    text = source.decode("utf-8", "replace").splitlines()
    refused = {name: module.refused(name) for name in names}
    return {"refused": {name: why for name, why in refused.items() if why},
            "lines": {name: module.lines(name, text) for name in names}}
