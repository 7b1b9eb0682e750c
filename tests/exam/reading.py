"""How the sets of mistakes whose source can be read are written down, and marked.

    python -m tests.exam.reading public_one          # prints what is missed
    python -m tests.exam.reading public_one lstm_step:1     # prints one layer and the report on it

``right(name, make, source)`` states a right layer and an expression that makes it with its inputs; ``wrong(codes, old, new)``
changes one place of the layer above. Any of ``codes`` ("a|b") is a right first answer. ``odd`` is a right layer of an unusual
make. The line that was changed is known, so the line that the checker names can be marked too.
"""
import difflib
import linecache
import sys
import zlib

import numpy as np


class Case:
    def __init__(self, name, codes, text, make, lines=frozenset()):
        self.name, self.codes, self.text, self.expression, self.lines = name, codes, text, make, lines

    def make(self):
        """The layer, and its inputs: the same at every call."""
        rng = np.random.default_rng(zlib.crc32(self.name.split(":")[0].encode()))
        file = f"<{self.name}>"
        linecache.cache[file] = len(self.text), None, self.text.splitlines(True), file
        space = {"np": np, "__name__": self.name}
        exec(compile(self.text, file, "exec"), space)
        numbers = {
            "r": lambda *shape: rng.normal(size=shape),
            "apart": lambda *shape: rng.permutation(np.arange(np.prod(shape)) - np.prod(shape) / 2 + 0.3).reshape(shape) * 3 / np.prod(shape),
            "u": lambda *shape: rng.uniform(0.2, 1.5, size=shape),
            "signs": lambda *shape: rng.choice([-1, 1], size=shape) * rng.uniform(0.3, 1.5, size=shape),
            "ids": lambda n, *shape: rng.integers(0, n, size=shape),
            "share": lambda *shape: (lambda e: e / e.sum(axis=-1, keepdims=True))(np.exp(rng.normal(size=shape))),
            "onehot": lambda n, d: np.eye(d)[rng.integers(0, d, size=n)],
        }
        layer, *inputs = eval(self.expression, space | numbers)
        return layer, inputs


class Cases(list):
    """The cases of one set, in order."""

    def right(self, name, make, source):
        self.base = name, make, source.strip("\n") + "\n"
        self.append(Case(name, (), self.base[2], make))

    odd = right

    def wrong(self, codes, old, new, make=None):
        name, expression, text = self.base
        assert text.count(old) == 1, (name, old, text.count(old))
        changed = text.replace(old, new)
        count = sum(case.name.startswith(name + ":") for case in self) + 1
        self.append(Case(f"{name}:{count}", tuple(codes.split("|")), changed, make or expression, changed_lines(text, changed)))


def changed_lines(text, changed):
    """The lines of ``changed`` that are not as in ``text``; where lines are lost, those on both sides."""
    lines = set()
    for tag, _, _, first, last in difflib.SequenceMatcher(None, text.splitlines(), changed.splitlines(), autojunk=False).get_opcodes():
        if tag != "equal":
            lines |= set(range(first + 1, last + 1)) or {first, first + 1}
    return frozenset(lines)


def mark(case, check):
    """(first answer right, the codes found, the line named or None, line right)."""
    layer, inputs = case.make()
    report = check(layer, *inputs, rng=0)
    if not case.codes:
        return report.ok, report.codes, None, None
    line = next((f.line for f in report.findings if f.line), None)
    return report.codes[:1] and report.codes[0] in case.codes, report.codes, line, line and line in case.lines


def marked(cases, check):
    """(marks, those missed): how many there are, right at first, with a line, with the right line; right layers and those
    passed."""
    marks, missed = dict.fromkeys(("wrong", "first", "line", "right line", "right", "passed"), 0), []
    for case in cases:
        ok, codes, line, rightly = mark(case, check)
        for name, more in (("wrong", bool(case.codes)), ("right", not case.codes), ("first" if case.codes else "passed", ok),
                           ("line", line), ("right line", rightly)):
            marks[name] += bool(more)
        if not ok or line and not rightly:
            missed.append((case.name, case.codes, codes, line, sorted(case.lines)))
    return marks, missed


if __name__ == "__main__":
    from importlib import import_module

    from chainrule.gradcheck import check_gradients

    name, *only = sys.argv[1:]
    cases = [case for case in import_module(f"tests.exam.{name}").CASES if not only or case.name in only]
    for case in cases if only else ():
        layer, inputs = case.make()
        print(case.text, check_gradients(layer, *inputs, rng=0), sep="\n")
    marks, missed = marked(cases, check_gradients)
    print(*missed, marks, sep="\n")
