"""The change of one place that heals: each family of changes finds its mistake, and nothing of the user's is left changed."""
import ast
import textwrap
from pathlib import Path

import numpy as np
import pytest

from chainrule.gradcheck import check_gradients, edits, repair
from chainrule.gradcheck.evidence import measure
from chainrule.gradcheck.repair import Search
from chainrule.gradcheck.source import Function, running
from chainrule.gradcheck.subject import Subject
from tests.common.gradcheck.faulty import normal


class Two:
    """tanh(x A) B + x, right; the parts that a variant changes are methods."""

    def __init__(self):
        self.params = [normal(4, 3), normal(3, 4)]
        self.grads = [np.zeros_like(p) for p in self.params]

    def forward(self, x):
        A, B = self.params
        self.x, self.z = x, x @ A
        self.h = np.tanh(self.z)
        return self.h @ B + x

    def backward(self, dout):
        A, B = self.params
        self.grads[1][...] = self.h.T @ dout
        dz = dout @ B.T * (1 - self.h ** 2)
        self.grads[0][...] = self.x.T @ dz
        return dz @ A.T + dout


class Minus(Two):
    def backward(self, dout):
        A, B = self.params
        self.grads[1][...] = self.h.T @ dout
        dz = -dout @ B.T * (1 - self.h ** 2)
        self.grads[0][...] = self.x.T @ dz
        return dz @ A.T + dout


class Plus(Two):
    def backward(self, dout):
        A, B = self.params
        self.grads[1][...] = self.h.T @ dout
        dz = dout @ B.T * (1 + self.h ** 2)
        self.grads[0][...] = self.x.T @ dz
        return dz @ A.T + dout


class Halved(Two):
    def backward(self, dout):
        A, B = self.params
        self.grads[1][...] = self.h.T @ dout
        dz = 0.5 * (dout @ B.T) * (1 - self.h ** 2)
        self.grads[0][...] = self.x.T @ dz
        return dz @ A.T + dout


class Alone(Two):
    def backward(self, dout):
        A, B = self.params
        self.grads[1][...] = self.h.T @ dout
        dz = dout @ B.T * (1 - self.h ** 2)
        self.grads[0][...] = self.x.T @ dz
        return dz @ A.T


class Bare(Two):
    def backward(self, dout):
        A, B = self.params
        self.grads[1][...] = self.h.T @ dout
        dz = dout @ B.T
        self.grads[0][...] = self.x.T @ dz
        return dz @ A.T + dout


class Before(Two):
    def backward(self, dout):
        A, B = self.params
        self.grads[1][...] = self.z.T @ dout
        dz = dout @ B.T * (1 - self.h ** 2)
        self.grads[0][...] = self.x.T @ dz
        return dz @ A.T + dout


class Averaged(Two):
    def backward(self, dout):
        A, B = self.params
        self.grads[1][...] = np.einsum("nh,no->nho", self.h, dout).mean(axis=0)
        dz = dout @ B.T * (1 - self.h ** 2)
        self.grads[0][...] = self.x.T @ dz
        return dz @ A.T + dout


class Cubed(Two):
    def backward(self, dout):
        A, B = self.params
        self.grads[1][...] = self.h.T @ dout
        dz = dout @ B.T * (1 - self.h ** 3)
        self.grads[0][...] = self.x.T @ dz
        return dz @ A.T + dout


class Square(Two):
    """With square weights a transpose can be forgotten."""

    def __init__(self):
        self.params = [normal(4, 4), normal(4, 4, seed=5)]
        self.grads = [np.zeros_like(p) for p in self.params]

    def backward(self, dout):
        A, B = self.params
        self.grads[1][...] = self.h.T @ dout
        dz = dout @ B * (1 - self.h ** 2)
        self.grads[0][...] = self.x.T @ dz
        return dz @ A.T + dout


class Window:
    """Sums of three neighbours."""

    params, grads = (), ()

    def forward(self, x):
        self.n = x.shape[1]
        return np.stack([x[:, i:i + 3].sum(axis=1) for i in range(self.n - 2)], axis=1)

    def backward(self, dout):
        dx = np.zeros((len(dout), self.n))
        for i in range(self.n - 2):
            dx[:, i:i + 3] = dout[:, i:i + 1]
        return dx


class Rows:
    def __init__(self):
        self.params = [normal(5, 2)]
        self.grads = [np.zeros((5, 2))]

    def forward(self, ids):
        self.ids = ids
        return self.params[0][ids]

    def backward(self, dout):
        self.grads[0][...] = 0
        self.grads[0][self.ids] += dout


def searched(layer, *inputs):
    """All changes tried, whatever the rules say."""
    return Search(measure(Subject(layer, inputs), np.random.default_rng(0))).run()


X = normal(6, 4)
CASES = [
    (Minus, X, "wrong-sign", "-dout @ B.T"), (Plus, X, "wrong-local-derivative", "1 + self.h ** 2"),
    (Halved, X, "factor-half", "0.5"), (Alone, X, "lost-branch", "return dz @ A.T"),
    (Bare, X, "missing-local-derivative", "dz = dout @ B.T"),
    (Before, X, "stale-cache", "self.z.T"), (Averaged, X, "divided-by-N", "mean(axis=0)"),
    (Cubed, X, "wrong-local-derivative", "** 3"), (Square, X, "missing-transpose", "dout @ B "),
    (Window, normal(3, 7), "overlap-overwritten", "dx[:, i:i + 3] ="),
    (Rows, np.array([1, 3, 1, 0, 1, 2]), "repeated-index", "+= dout"),
]


@pytest.mark.parametrize("make, x, code, text", CASES, ids=[make.__name__ for make, *_ in CASES])
def test_the_change_that_heals_names_mistake_and_line(make, x, code, text):
    before = make.backward.__code__
    search = searched(make(), x)
    assert [r.codes for r in search.found] == [[code]], search.found
    number, line = search.found[0].line
    assert text in line and search.found[0].heals == set(range(len(search.wrong)))
    assert Path(__file__).read_text().splitlines()[number - 1].strip() == line
    assert make.backward.__code__ is before


def test_two_mistakes_are_found_one_after_the_other():
    class Both(Two):
        def backward(self, dout):
            A, B = self.params
            self.grads[1][...] = self.h.T @ dout * 2
            dz = dout @ B.T * (1 - self.h ** 2)
            self.grads[0][...] = self.x.T @ dz
            return dz @ A.T - dout

    search = searched(Both(), X)
    assert sorted(code for r in search.found for code in r.codes) == ["factor-2", "wrong-sign"]


def test_a_right_layer_under_the_search_is_left_alone():
    assert check_gradients(Two(), X, rng=0).ok


def test_closures_super_and_private_names():
    def made(scale):
        class Scaled(Two):
            def forward(self, x):
                self.__kept = x
                return scale * super().forward(x)

            def backward(self, dout):
                dx = super().backward(dout * scale)
                return dx + 0 * self.__kept - dout * scale + (dout * scale if scale > 5 else 0)
        return Scaled()

    report = check_gradients(made(3.0), X, rng=0)
    assert report.codes == ["lost-branch"], report


def test_a_layer_without_text_is_judged_by_its_numbers():
    space = {"np": np, "Two": Two}
    exec(textwrap.dedent("""
        class Silent(Two):
            def backward(self, dout):
                A, B = self.params
                self.grads[1][...] = self.h.T @ dout
                dz = dout @ B.T * (1 - self.h)
                self.grads[0][...] = self.x.T @ dz
                return dz @ A.T + dout
    """), space)
    report = check_gradients(space["Silent"](), X, rng=0)
    assert report.codes == ["wrong-local-derivative"], report


def test_a_change_that_never_ends_is_given_up(monkeypatch):
    monkeypatch.setattr("chainrule.gradcheck.check.LIMIT", 0.3)

    class Loop(Two):
        def backward(self, dout):
            A, B = self.params
            self.grads[1][...] = self.h.T @ dout
            dz, i = dout @ B.T * (1 - self.h ** 2) * 1.0, 0
            while i < 3:
                dz, i = dz * (2 - self.h), i + 1
            self.grads[0][...] = self.x.T @ dz
            return dz @ A.T + dout

    report = check_gradients(Loop(), X, rng=0)
    assert not report.ok and "endless" not in str(report)


def test_the_search_ends_after_so_many_changes_whatever_they_take(monkeypatch):
    monkeypatch.setattr(repair, "MOST", 5)
    search = Search(measure(Subject(Bare(), (X,)), np.random.default_rng(0)))
    assert search.run().found == [] and search.left <= 0


def test_places_that_reach_what_is_right_are_passed_by():
    search = Search(measure(Subject(Before(), (X,)), np.random.default_rng(0)))
    search.subject.output()
    (function, places, locals_), = search.functions()
    scope = repair.Scope(function, places, locals_, search.counts, search.subject.inputs)
    texts = [ast.unparse(place.node) for place in search.telling(scope)]
    assert "self.z.T" in texts and "dout @ B.T" not in texts


def test_functions_of_the_user_are_seen_and_no_others():
    layer = Two()
    layer.forward(X)
    codes = running(lambda: layer.backward(X))
    assert [code.co_name for code in codes] == ["backward"]
    function = Function(next(iter(codes)))
    assert function.compiled().co_code == function.code.co_code


def test_templates():
    node = edits.fill("E * (1 - A) + NP.ones(K)", E=ast.Name("p", ast.Load()), A=ast.Name("q", ast.Load()), K=(2, 3))
    assert ast.unparse(node) == "p * (1 - q) + '\\x00numpy'.ones((2, 3))"
    assert edits.assigned(ast.parse("d[i:i + 2] = 1").body[0].targets[0], {}.get, ast.Module([], [])) == "overlap-overwritten"
    assert edits.assigned(ast.parse("d[i] = 1").body[0].targets[0], {}.get, ast.Module([], [])) == "lost-branch"


def test_two_mistakes_in_two_functions():
    class Apart(Two):
        def first(self, dz):
            self.grads[0][...] = self.x.T @ dz * 2
            return dz @ self.params[0].T

        def backward(self, dout):
            self.grads[1][...] = -self.h.T @ dout
            return self.first(dout @ self.params[1].T * (1 - self.h ** 2)) + dout

    before = Apart.first.__code__, Apart.backward.__code__
    search = searched(Apart(), X)
    assert sorted(code for r in search.found for code in r.codes) == ["factor-2", "wrong-sign"]
    assert (Apart.first.__code__, Apart.backward.__code__) == before


def test_a_text_that_has_changed_since_is_not_read(tmp_path):
    import importlib.util
    path = tmp_path / "homework.py"
    text = textwrap.dedent("""
        import numpy as np
        class Cubes:
            params, grads = (), ()
            def forward(self, x):
                self.x = x
                return np.sum(x ** 3, axis=1)
            def backward(self, dout):
                return dout[:, None] * (1 - self.x)
    """)
    path.write_text(text)
    spec = importlib.util.spec_from_file_location("homework", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    path.write_text(text.replace("* (1 - self.x)", "* -3 * self.x ** 2"))       # one sign from right, but not what runs
    assert searched(module.Cubes(), X).found == []
