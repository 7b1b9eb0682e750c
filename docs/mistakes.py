"""For each code of the checker: a right layer, one line of it made wrong, and inputs that show it.

``pages()`` gives the page "Why the checker says so" its text; tests/docs holds every row to what it
says.
"""
import tempfile
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import NamedTuple

import numpy as np

from chainrule.gradcheck import check_gradients
from chainrule.gradcheck.rules import HINTS

RNG = np.random.default_rng(0)
X, W, B = RNG.normal(size=(7, 3)), RNG.normal(size=(3, 4)), RNG.normal(size=4)
LABELS = np.array([0, 2, 1, 1, 0, 2, 0])

AFFINE = """
class Affine:
    def __init__(self, W, b):
        self.params, self.grads = [W, b], [np.zeros_like(W), np.zeros_like(b)]

    def forward(self, x):
        self.x = x
        return x @ self.params[0] + self.params[1]

    def backward(self, dout):
        self.grads[0][...] = self.x.T @ dout
        self.grads[1][...] = dout.sum(axis=0)
        return dout @ self.params[0].T
"""
RELU = """
class ReLU:
    params, grads = [], []

    def forward(self, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, dout):
        return dout * self.mask
"""
SIGMOID = """
class Sigmoid:
    params, grads = [], []

    def forward(self, x):
        self.y = 1 / (1 + np.exp(-x))
        return self.y

    def backward(self, dout):
        return dout * self.y * (1 - self.y)
"""
TRIPLED = """
class TripledSigmoid:
    params, grads = [], []

    def __init__(self):
        self.sigmoid = Sigmoid()

    def forward(self, x):
        y = self.sigmoid.forward(x)
        y = y * 3
        return y

    def backward(self, dout):
        return self.sigmoid.backward(dout * 3)
""" + SIGMOID
SQUARE = """
class Square:
    params, grads = [], []

    def forward(self, x):
        self.x = x
        return x ** 2

    def backward(self, dout):
        return dout * 2 * self.x
"""
HALF_SQUARE = """
class HalfSquare:
    params, grads = [], []

    def forward(self, x):
        self.x = x
        return x ** 2 / 2

    def backward(self, dout):
        return dout * self.x
"""
SWISH = """
class Swish:
    params, grads = [], []

    def forward(self, x):
        self.x, self.s = x, 1 / (1 + np.exp(-x))
        return x * self.s

    def backward(self, dout):
        dx = dout * self.s
        dx += dout * self.x * self.s * (1 - self.s)
        return dx
"""
EMBEDDING = """
class Embedding:
    def __init__(self, W):
        self.params, self.grads = [W], [np.zeros_like(W)]

    def forward(self, ids):
        self.ids = ids
        return self.params[0][ids]

    def backward(self, dout):
        self.grads[0][...] = 0
        np.add.at(self.grads[0], self.ids, dout)
"""
SOFTMAX_LOSS = """
class SoftmaxWithLoss:
    params, grads = [], []

    def forward(self, x, t):
        p = np.exp(x - x.max(axis=1, keepdims=True))
        self.p, self.t = p / p.sum(axis=1, keepdims=True), t
        return -np.log(self.p[np.arange(len(t)), t]).mean()

    def backward(self, dout=1.0):
        dx = self.p.copy()
        dx[np.arange(len(dx)), self.t] -= 1
        return dout * dx / len(dx)
"""
DROPOUT = """
class Dropout:
    params, grads = [], []

    def forward(self, x):
        self.mask = np.random.default_rng(1).random(x.shape) > 0.4
        return x * self.mask / 0.6

    def backward(self, dout):
        return dout * self.mask / 0.6
"""
CENTRE = """
class Centre:
    params, grads = [], []

    def forward(self, x):
        return x - x.mean(axis=1, keepdims=True)

    def backward(self, dout):
        return dout - dout.mean(axis=1, keepdims=True)
"""
STANDARDIZE = """
class Standardize:
    params, grads = [], []

    def forward(self, x):
        self.s = 1 / x.std(axis=1, keepdims=True)
        self.u = (x - x.mean(axis=1, keepdims=True)) * self.s
        return self.u

    def backward(self, dout):
        du = dout - dout.mean(axis=1, keepdims=True)
        return self.s * (du - self.u * (dout * self.u).mean(axis=1, keepdims=True))
"""
FILTER = """
class Filter:
    def __init__(self, w):
        self.params, self.grads = [w], [np.zeros_like(w)]

    def forward(self, x):
        w, K, T = self.params[0], len(self.params[0]), x.shape[1]
        self.x = x
        return sum(x[:, k:T - K + 1 + k] * w[k] for k in range(K))

    def backward(self, dout):
        w, K, T = self.params[0], len(self.params[0]), dout.shape[1]
        dx = np.zeros_like(self.x)
        for k in range(K):
            self.grads[0][k] = (self.x[:, k:k + T] * dout).sum()
            dx[:, k:k + T] += dout * w[k]
        return dx
"""
TURN = """
class Turn:
    params, grads = [], []

    def forward(self, x):
        self.shape = x.shape
        return x.transpose(1, 0, 2).reshape(x.shape[1], -1)

    def backward(self, dout):
        M, N, D = self.shape
        return dout.reshape(N, M, D).transpose(1, 0, 2)
"""
MULTIPLY = """
class Multiply:
    params, grads = [], []

    def forward(self, a, b):
        self.a, self.b = a, b
        return a * b

    def backward(self, dout):
        return dout * self.b, dout * self.a
"""
RIDGE = """
class Ridge:
    def __init__(self, W):
        self.params, self.grads = [W], [np.zeros_like(W)]

    def forward(self, x, t):
        self.x, self.e = x, x @ self.params[0] - t
        return (self.e ** 2).sum() / 2 + 0.1 / 2 * (self.params[0] ** 2).sum()

    def backward(self, dout=1.0):
        self.grads[0][...] = dout * (self.x.T @ self.e + 0.1 * self.params[0])
        return dout * self.e @ self.params[0].T
"""


class Mistake(NamedTuple):
    """``right`` stands in ``source``; ``wrong`` in its place makes the mistake. ``right`` "": the
    layer is right, and the inputs are what the checker speaks of."""
    code: str
    source: str
    right: str
    wrong: str
    params: tuple
    inputs: tuple


DB = "self.grads[1][...] = dout.sum(axis=0)"
MASKED = "return dout * self.mask"
AFFINES, RELUS = ((W, B), (X,)), ((), (X,))
MISTAKES = [
    Mistake("wrong-sign", SOFTMAX_LOSS, "return dout * dx / len(dx)", "return -dout * dx / len(dx)", (), (X, LABELS)),
    Mistake("divided-by-N", AFFINE, DB, "self.grads[1][...] = dout.mean(axis=0)", *AFFINES),
    Mistake("scaled-by-N", SOFTMAX_LOSS, "return dout * dx / len(dx)", "return dout * dx", (), (X, LABELS)),
    Mistake("factor-half", SQUARE, "return dout * 2 * self.x", "return dout * self.x", (), (X,)),
    Mistake("factor-2", HALF_SQUARE, "return dout * self.x", "return dout * 2 * self.x", (), (X,)),
    Mistake("missing-batch-sum", AFFINE, DB, "self.grads[1] = dout", *AFFINES),
    Mistake("summed-too-far", AFFINE, DB, "self.grads[1][...] = dout.sum()", *AFFINES),
    Mistake("missing-transpose", AFFINE, "return dout @ self.params[0].T", "return dout @ self.params[0]",
            (RNG.normal(size=(4, 4)), B), (RNG.normal(size=(7, 4)),)),
    Mistake("wrong-reshape", TURN, "return dout.reshape(N, M, D).transpose(1, 0, 2)", "return dout.reshape(M, N, D)",
            (), (RNG.normal(size=(5, 3, 2)),)),
    Mistake("flipped-kernel", FILTER, "dx[:, k:k + T] += dout * w[k]", "dx[:, k:k + T] += dout * w[K - 1 - k]",
            (RNG.normal(size=3),), (RNG.normal(size=(5, 11)),)),
    Mistake("overlap-overwritten", FILTER, "dx[:, k:k + T] += dout * w[k]", "dx[:, k:k + T] = dout * w[k]",
            (RNG.normal(size=3),), (RNG.normal(size=(5, 11)),)),
    Mistake("missing-mask", RELU, MASKED, "return dout", *RELUS),
    Mistake("inverted-mask", RELU, MASKED, "return dout * ~self.mask", *RELUS),
    Mistake("dropout-scale", DROPOUT, "return dout * self.mask / 0.6", "return dout * self.mask", (), (X,)),
    Mistake("missing-local-derivative", SIGMOID, "return dout * self.y * (1 - self.y)", "return dout", (), (X,)),
    Mistake("wrong-local-derivative", SIGMOID, "return dout * self.y * (1 - self.y)", "return dout * self.y * (1 + self.y)",
            (), (X,)),
    Mistake("ignores-upstream", SIGMOID, "return dout * self.y * (1 - self.y)", "return self.y * (1 - self.y)", (), (X,)),
    Mistake("lost-branch", SWISH, "dx += dout * self.x * self.s * (1 - self.s)", "dx = dout * self.x * self.s * (1 - self.s)",
            (), (X,)),
    Mistake("constant-statistics", STANDARDIZE, "return self.s * (du - self.u * (dout * self.u).mean(axis=1, keepdims=True))",
            "return self.s * du", (), (RNG.normal(size=(7, 5)),)),
    Mistake("cross-sample", CENTRE, "return x - x.mean(axis=1, keepdims=True)", "return x - x.mean(axis=0, keepdims=True)",
            (), (X,)),
    Mistake("missing-label-subtraction", SOFTMAX_LOSS, "dx[np.arange(len(dx)), self.t] -= 1", "pass", (), (X, LABELS)),
    Mistake("repeated-index", EMBEDDING, "np.add.at(self.grads[0], self.ids, dout)", "self.grads[0][self.ids] += dout",
            (RNG.normal(size=(6, 4)),), (np.array([[1, 2, 1], [5, 1, 2]]),)),
    Mistake("wrong-penalty", RIDGE, "(self.x.T @ self.e + 0.1 * self.params[0])", "(self.x.T @ self.e)",
            (W,), (X, RNG.normal(size=(7, 4)))),
    Mistake("stale-cache", MULTIPLY, "return dout * self.b, dout * self.a", "return dout * self.b, dout * self.b",
            (), (X, RNG.normal(size=(7, 3)))),
    Mistake("not-returned", MULTIPLY, "return dout * self.b, dout * self.a", "return dout * self.b",
            (), (X, RNG.normal(size=(7, 3)))),
    Mistake("not-written", AFFINE, DB, "db = dout.sum(axis=0)", *AFFINES),
    Mistake("rebound-grads", AFFINE, DB, "self.grads[1] = dout.sum(axis=0)", *AFFINES),
    Mistake("accumulates", AFFINE, DB, "self.grads[1][...] += dout.sum(axis=0)", *AFFINES),
    Mistake("mutates-input", RELU, "return x * self.mask", "x *= self.mask; return x", *RELUS),
    Mistake("mutates-cache", TRIPLED, "y = y * 3", "y *= 3", (), (X,)),
    Mistake("nondeterministic", DROPOUT, "np.random.default_rng(1)", "np.random.default_rng()", (), (X,)),
    Mistake("unrecognised", SIGMOID, "return dout * self.y * (1 - self.y)", "return dout * np.sqrt(self.y - 1)", (), (X,)),
    Mistake("uninformative", RELU, "", "", (), (-np.abs(X),)),
    Mistake("kink", RELU, "", "", (), (np.where(X > 0, X, 0),)),
    Mistake("precision", SQUARE, "return x ** 2", "return (x.astype(np.float32) ** 2).astype(x.dtype)", (), (X,)),
]


def report(mistake, right=False):
    """The checker's report about a layer that is wrong, or right."""
    source = mistake.source
    if mistake.right and not right:
        source = source.replace(mistake.right, mistake.wrong)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "mine.py"
        path.write_text("import numpy as np\n\n" + source, encoding="utf-8")
        module = module_from_spec(spec := spec_from_file_location("mine", path))
        spec.loader.exec_module(module)
        name = source.split("class ")[1].split(":")[0]
        layer = getattr(module, name)(*(p.copy() for p in mistake.params))
        return check_gradients(layer, *(x.copy() for x in mistake.inputs), rng=0)


def page():
    """The page, in Markdown."""
    lines = [(Path(__file__).parent / "why_the_checker_says_so.head.txt").read_text("utf-8")]
    for mistake in MISTAKES:
        wrong = mistake.source.replace(mistake.right, mistake.wrong) if mistake.right else mistake.source
        lines += [f"(code-{mistake.code})=", f"## {mistake.code}", "", HINTS[mistake.code][0].upper()
                  + HINTS[mistake.code][1:] + ".", "", "```python", wrong.strip(), "```", "",
                  "```text", str(report(mistake)), "```", ""]
        if mistake.right:
            lines += ["Repair:", "", "```diff", f"- {mistake.wrong}", f"+ {mistake.right}", "```", ""]
    return "\n".join(lines)
