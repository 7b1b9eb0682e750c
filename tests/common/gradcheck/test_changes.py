"""Kinds of changes, each in a layer of its own: the code and the line that the checker names."""
import os
import subprocess
import sys

import pytest

from chainrule.gradcheck import check_gradients
from tests.exam.reading import Cases, mark

CASES = Cases()
right, wrong = CASES.right, CASES.wrong

right("distances_in_loops", "Distances(), r(3, 2), r(4, 2)", '''
class Distances:
    def forward(self, a, b):
        self.a, self.b = a, b
        return np.array([[((p - q) ** 2).sum() for q in b] for p in a])

    def backward(self, d):
        a, b = self.a, self.b
        da, db = np.zeros_like(a), np.zeros_like(b)
        for i in range(len(a)):
            for j in range(len(b)):
                piece = 2 * (a[i] - b[j]) * d[i, j]
                da[i] += piece
                db[j] -= piece
        return da, db
''')
wrong("ignores-upstream", "2 * (a[i] - b[j]) * d[i, j]", "2 * (a[i] - b[j])")

right("dout_under_its_own_name", "Tanh(), r(4, 3)", '''
class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, d):
        d = d * (1 - self.y ** 2)
        return d
''')
wrong("ignores-upstream", "d * (1 - self.y ** 2)", "1 - self.y ** 2")
wrong("wrong-local-derivative", "self.y ** 2", "self.y")

right("pooled_blocks", "Blocks(), apart(2, 2, 4, 4)", '''
class Blocks:
    def forward(self, x):
        N, C, H, W = x.shape
        blocks = x.reshape(N, C, H // 2, 2, W // 2, 2)
        y = blocks.max(axis=(3, 5))
        self.hit = blocks == y[:, :, :, None, :, None]
        return y

    def backward(self, d):
        dx = d[:, :, :, None, :, None] * self.hit
        N, C, h, _, w, _ = dx.shape
        return dx.reshape(N, C, 2 * h, 2 * w)
''')
wrong("ignores-upstream", "d[:, :, :, None, :, None] * self.hit", "self.hit * 1.0")

right("rows_that_count", "Hinge(4.0), r(6, 3), r(6, 3), r(6, 3)", '''
class Hinge:
    def __init__(self, margin):
        self.margin = margin

    def forward(self, a, p, n):
        self.a, self.p, self.n = a, p, n
        gap = ((a - p) ** 2).sum(1) - ((a - n) ** 2).sum(1) + self.margin
        self.on = (gap > 0)[:, None]
        return np.maximum(gap, 0).sum()

    def backward(self, dout=1.0):
        scale = 2 * dout * self.on
        return scale * (self.n - self.p), scale * (self.p - self.a), scale * (self.a - self.n)
''')
wrong("missing-mask", "2 * dout * self.on", "2 * dout")
wrong("lost-branch|wrong-local-derivative", "scale * (self.a - self.n)", "scale * self.a")

right("lasso", "Lasso(r(4, 2), r(1)), r(6, 4), r(6, 2)", '''
class Lasso:
    rate = 0.3

    def __init__(self, W, b):
        self.params = {"W": W, "b": b}

    def loss(self, X, t):
        W, b = self.params["W"], self.params["b"]
        d = (X @ W + b - t) / len(t)
        dW = X.T @ d
        dW += self.rate * np.sign(W)
        return (d ** 2).sum() * len(t) / 2 + self.rate * np.abs(W).sum(), {"W": dW, "b": d.sum(keepdims=True)[0]}
''')
wrong("wrong-penalty", "self.rate * np.sign(W)", "self.rate")
wrong("wrong-penalty", "d.sum(keepdims=True)[0]", "d.sum(keepdims=True)[0] + self.rate * b")

right("margins_in_loops", "SVM(r(4, 3)), r(6, 4), ids(3, 6)", '''
class SVM:
    def __init__(self, W):
        self.params = {"W": W}

    def loss(self, X, y):
        W = self.params["W"]
        total, dW = 0.0, np.zeros_like(W)
        for i in range(len(X)):
            scores = X[i] @ W
            for j in range(len(scores)):
                if j != y[i] and scores[j] - scores[y[i]] + 1 > 0:
                    total += scores[j] - scores[y[i]] + 1
                    dW[:, j] += X[i]
                    dW[:, y[i]] -= X[i]
        return total, {"W": dW}
''')
wrong("lost-branch|missing-label-subtraction", "                    dW[:, y[i]] -= X[i]\n", "")

right("groups_of_channels", "Scale(2, r(2)), r(3, 6, 4)", '''
class Scale:
    def __init__(self, groups, g):
        self.groups, self.params, self.grads = groups, [g], [np.zeros_like(g)]

    def forward(self, x):
        self.x = x
        return x * np.repeat(self.params[0], x.shape[1] // self.groups)[:, None]

    def backward(self, d):
        g, each, dx = self.params[0], d.shape[1] // self.groups, np.empty_like(d)
        self.grads[0][...] = (d * self.x).reshape(len(d), self.groups, -1).sum(axis=(0, 2))
        for c in range(d.shape[1]):
            k = c // each
            dx[:, c] = d[:, c] * g[k]
        return dx
''')
wrong("stale-cache|wrong-reshape", "c // each", "c % self.groups")

right("rows_normalised", "Norm(), r(4, 5)", '''
class Norm:
    def forward(self, x):
        self.y, self.s = x - x.mean(axis=1, keepdims=True), x.std(axis=1, keepdims=True)
        self.y = self.y / self.s
        return self.y

    def backward(self, d):
        mean = d.mean(axis=1, keepdims=True)
        through = self.y * (d * self.y).mean(axis=1, keepdims=True)
        return (d - mean - through) / self.s
''')
wrong("constant-statistics", "d - mean - through", "d - through")
wrong("constant-statistics", "d - mean - through", "d - mean")

right("kernel_from_the_front", "Filter(r(3)), r(2, 7)", '''
class Filter:
    def __init__(self, w):
        self.params, self.grads = [w], [np.zeros_like(w)]

    def forward(self, x):
        self.x, (w,) = x, self.params
        return np.stack([x[:, t:t + 3] @ w for t in range(5)], axis=1)

    def backward(self, d):
        w, dx = self.params[0], np.zeros_like(self.x)
        self.grads[0][...] = 0
        for t in range(5):
            dx[:, t:t + 3] += d[:, t:t + 1] * w
            self.grads[0] += d[:, t] @ self.x[:, t:t + 3]
        return dx
''')
wrong("flipped-kernel", "d[:, t:t + 1] * w", "d[:, t:t + 1] * np.flip(w)")

right("list_of_words", "Words(r(4, 2), [1, 3, 1]), u()", '''
class Words:
    def __init__(self, table, ids):
        self.ids, self.params, self.grads = ids, [table], [np.zeros_like(table)]

    def forward(self, scale):
        self.scale = scale
        return scale * self.params[0][self.ids]

    def backward(self, d):
        table = self.params[0]
        self.grads[0][...] = 0
        for row, word in zip(range(len(self.ids)), self.ids):
            self.grads[0][word] += self.scale * d[row]
        return np.asarray((d * table[self.ids]).sum())
''')
wrong("repeated-index|overlap-overwritten", "self.grads[0][word] += self.scale", "self.grads[0][word] = self.scale")

right("ids_one_by_one", "Words(r(4, 2)), ids(3, 5)", '''
class Words:
    def __init__(self, table):
        self.params, self.grads = [table], [np.zeros_like(table)]

    def forward(self, ids):
        self.ids = ids
        return self.params[0][ids]

    def backward(self, d):
        self.grads[0][...] = 0
        for row, word in enumerate(self.ids):
            self.grads[0][word] += d[row]
''')
wrong("repeated-index", "self.grads[0][word] += d[row]", "self.grads[0][word] = d[row]")

right("divergence", "Divergence(), r(3, 2), r(3, 2)", '''
class Divergence:
    def forward(self, mean, logvar):
        self.mean, self.var = mean, np.exp(logvar)
        return 0.5 * (mean ** 2 + self.var - logvar - 1).sum()

    def backward(self, dout=1.0):
        dmean = dout * self.mean
        dlogvar = dout * 0.5 * (self.var - 1)
        return dmean, dlogvar
''')
wrong("not-returned", "return dmean, dlogvar", "return dmean")

right("leak_by_sign", "Leaky(0.1), r(4, 3)", '''
class Leaky:
    def __init__(self, slope):
        self.slope = slope

    def forward(self, x):
        self.x, self.noise = x, np.cos(7 * x)
        return np.where(x > 0, x, self.slope * x)

    def backward(self, d):
        positive = self.x > 0
        return np.where(positive, d, self.slope * d)
''')
wrong("stale-cache|wrong-local-derivative", "positive = self.x > 0", "positive = self.noise > 0")

right("drawn_again", "Dropout(0.6), r(5, 4)", '''
class Dropout:
    def __init__(self, keep):
        self.keep = keep

    def forward(self, x):
        self.rng = np.random.default_rng(3)
        self.mask = self.rng.random(x.shape) < self.keep
        return x * self.mask

    def backward(self, d):
        return d * self.mask
''')
wrong("missing-mask|stale-cache", "d * self.mask", "d * (self.rng.random(d.shape) < self.keep)")

right("an_axis_too_far", "Dense(r(3, 2), r(2)), r(4, 3)", '''
class Dense:
    def __init__(self, W, b):
        self.params, self.grads = [W, b], [np.zeros_like(W), np.zeros_like(b)]

    def forward(self, x):
        self.x, (W, b) = x, self.params
        return x @ W + b

    def backward(self, d):
        self.grads[0][...] = self.x.T @ d
        self.grads[1][...] = d.sum(axis=0)
        return d @ self.params[0].T
''')
wrong("unrecognised", "d.sum(axis=0)", "d.sum(axis=2)")


right("what_is_hidden_may_be_nan", "Hidden(), r(4) + np.array([np.nan, 0, 0, 0])", '''
class Hidden:
    seen = np.array([False, True, True, True])

    def forward(self, x):
        self.x = np.where(self.seen, x, 0)
        return self.x ** 2

    def backward(self, d):
        return 2 * d * self.x
''')
wrong("factor-half", "2 * d * self.x", "d * self.x")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_change_is_named_with_its_line(case):
    right_first, codes, line, right_line = mark(case, check_gradients)
    assert right_first, codes
    assert not case.codes or right_line, (line, sorted(case.lines))


def test_the_order_of_sets_decides_nothing():
    """What is found is the same whatever Python's hashes of strings are."""
    look = ("from tests.common.gradcheck.test_changes import *\n"
            "for case in CASES:\n"
            "    if case.name in ('margins_in_loops:1', 'distances_in_loops:1', 'kernel_from_the_front:1'):\n"
            "        print(mark(case, check_gradients), check_gradients(*(lambda l, i: (l, *i))(*case.make()), rng=0))")
    said = {subprocess.run([sys.executable, "-c", look], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True,
                           text=True, check=True).stdout for seed in ("1", "2", "3")}
    assert len(said) == 1 and "SVM" in said.pop()
