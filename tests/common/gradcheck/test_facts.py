"""What the numbers alone tell, of layers whose text cannot be read; and what is solved for where no change of it heals."""
import numpy as np
import pytest

from chainrule.gradcheck import check_gradients, facts
from chainrule.gradcheck.evidence import measure
from chainrule.gradcheck.repair import Search
from chainrule.gradcheck.subject import Subject
from tests.common.gradcheck.faulty import normal

TEXT = """
class Layer:
    def __init__(self, *params):
        self.params, self.grads = list(params), [np.zeros_like(p) for p in params]
    def forward(self, x, t=None):
        self.x, self.t = x, t
        {forward}
    def backward(self, dout):
        x, t = self.x, self.t
        {backward}
"""
X, X4, IDS = normal(6, 4), normal(3, 2, 4, 5), np.array([[1, 3], [1, 0], [2, 1]])
DENSE = "return x @ self.params[0] + self.params[1]"
SOFTMAX = "e = np.exp(x); self.y = e / e.sum(axis=1, keepdims=True); "


def dense(dW="x.T @ dout", db="dout.sum(axis=0)", dx="dout @ self.params[0].T"):
    return f"self.grads[0][...] = {dW}; self.grads[1] = {db}; return {dx}"


CASES = [
    ("scaled-by-N", DENSE, dense(dW="6 * x.T @ dout"), [normal(4, 3), normal(3)], [X]),
    ("factor-half", "return x ** 2", "return dout * x", [], [X]),
    ("missing-batch-sum", DENSE, dense(db="dout"), [normal(4, 3), normal(3)], [X]),
    ("summed-too-far", DENSE, dense(db="np.full(3, dout.sum())"), [normal(4, 3), normal(3)], [X]),
    ("missing-transpose", "return x.T", "return dout", [], [X]),
    ("wrong-reshape", "return x.T", "return dout.reshape(x.shape)", [], [X]),
    ("flipped-kernel", "return np.stack([x[:, i:i + 3] @ self.params[0] for i in range(2)], 1)",
     "self.grads[0][...] = sum(x[:, i:i + 3].T @ dout[:, i] for i in range(2))[::-1]; dx = 0 * x\n"
     "        for i in range(2): dx[:, i:i + 3] += np.outer(dout[:, i], self.params[0])\n"
     "        return dx", [normal(3)], [X]),
    ("missing-mask", "return np.maximum(x, 0)", "return dout", [], [X]),
    ("inverted-mask", "return np.maximum(x, 0)", "return dout * (x < 0)", [], [X]),
    ("overlap-overwritten", "return np.stack([x[:, i:i + 3].sum(axis=1) for i in range(2)], 1)",
     "dx = 0 * x\n        for i in range(2): dx[:, i:i + 3] = dout[:, i:i + 1]\n        return dx", [], [X]),
    ("repeated-index", "return self.params[0][x]", "self.grads[0][...] = 0; self.grads[0][x] += dout", [normal(5, 2)], [IDS]),
    ("lost-branch", "return np.tanh(x) + x @ self.params[0]", "self.grads[0][...] = x.T @ dout; return dout @ self.params[0].T",
     [normal(4, 4)], [X]),
    ("lost-branch", "h, (A, B) = np.zeros((6, 4)), self.params; self.h = []\n"            # time in front, and no way back in it
     "        for v in x: h = np.tanh(v @ A + h @ B); self.h.append(h)\n"
     "        return np.array(self.h)",
     "dz = dout * (1 - np.array(self.h) ** 2); g, G = self.grads\n"
     "        g[...] = sum(v.T @ d for v, d in zip(x, dz)); G[...] = sum(h.T @ d for h, d in zip(self.h, dz[1:]))\n"
     "        return dz @ self.params[0].T", [np.tril(normal(3, 4)), 0.5 * normal(4, 4)], [normal(5, 6, 3)]),
    ("wrong-penalty", "return 0.5 * ((x @ self.params[0]) ** 2).sum()",
     "g = dout * x @ self.params[0]; self.grads[0][...] = x.T @ g + dout * self.params[0]; return g @ self.params[0].T",
     [normal(4, 3)], [X]),
    ("constant-statistics", "return x - x.mean(axis=1, keepdims=True)", "return dout * 1.0 + 0 * x", [], [X]),
    ("cross-sample", SOFTMAX.replace("axis=1", "axis=0") + "return self.y",
     "y = self.y; return y * (dout - (y * dout).sum(axis=1, keepdims=True)) * np.eye(6).sum(1)[:, None]", [], [X]),
    ("missing-label-subtraction", SOFTMAX + "return -np.log(self.y[np.arange(len(t)), t]).mean()",
     "return dout * self.y / len(t)", [], [X, np.array([0, 1, 2, 3, 1, 0])]),
    ("wrong-local-derivative", "return np.exp(x)", "return dout * x ** 2", [], [X]),
]


def silent(forward, backward, *params):
    space = {"np": np}
    exec(TEXT.format(forward=forward, backward=backward), space)
    return space["Layer"](*params)


@pytest.mark.parametrize("code, forward, backward, params, inputs", CASES, ids=[case[0] for case in CASES])
def test_numbers_alone_name_the_mistake(code, forward, backward, params, inputs):
    layer = silent(forward, backward, *params)
    report = check_gradients(layer, *inputs, rng=0)
    mistakes = [c for c in report.codes if c not in ("rebound-grads", "uninformative")]
    assert mistakes[:1] == [code] and all(f.line is None for f in report.findings), report


def test_a_constant_is_no_constant_for_a_single_number():
    layer = silent("return (x ** 3).sum()", "return dout * x")
    assert check_gradients(layer, np.array([0.7]), rng=0).codes[0] not in ("factor-half", "factor-2", "scaled-by-N")


class Gate:
    """x tanh(x A) + sin(x B), right; a variant lacks a part that no change of one place brings back."""

    def __init__(self):
        self.params = [normal(4, 4), normal(4, 4, seed=3)]
        self.grads = [np.zeros((4, 4)), np.zeros((4, 4))]

    def forward(self, x):
        A, B = self.params
        self.x, self.h = x, np.tanh(x @ A)
        return x * self.h + np.sin(x @ B)

    def backward(self, dout):
        A, B = self.params
        dz = dout * self.x * (1 - self.h ** 2)
        du = dout * np.cos(self.x @ B)
        self.grads[0][...], self.grads[1][...] = self.x.T @ dz, self.x.T @ du
        return dz @ A.T + du @ B.T + dout * self.h


class Lacks(Gate):
    def backward(self, dout):
        A, B = self.params
        dz = dout * self.x * (1 - self.h ** 2)
        du = dout * np.cos(self.x @ B)
        self.grads[0][...], self.grads[1][...] = self.x.T @ dz, self.x.T @ du
        return dz @ A.T


class Shuffled(Gate):
    def backward(self, dout):
        A, B = self.params
        dz = dout * self.x * (1 - self.h ** 2)
        du = dout * np.cos(self.x @ B)
        self.grads[0][...], self.grads[1][...] = self.x.T @ dz, self.x.T @ du
        return dz @ A.T + du @ B.T + (dout * self.h)[[3, 1, 0, 5, 2, 4]]


@pytest.mark.parametrize("make, code, telling", [(Lacks, "lost-branch", False), (Shuffled, "wrong-reshape", True)])
def test_what_should_stand_at_a_place_is_solved_for(make, code, telling):
    m = measure(Subject(make(), (X,)), np.random.default_rng(0))
    search = Search(m).run()
    assert not search.found and any(c.codes == [code] and c.telling == telling for c in search.corrections)
    assert check_gradients(make(), X, rng=0).codes == [code]
    assert check_gradients(Gate(), X, rng=0).ok


def test_every_question_is_asked_once():
    asked = facts.FIRST + facts.LATER
    assert len(set(asked)) == len(asked) and all(ask.__doc__ for ask in asked)
