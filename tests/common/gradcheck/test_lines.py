"""Which line: of several changes that heal, by the gradients in between; of what an object does, by watching it at work."""
import numpy as np
import pytest

from chainrule.gradcheck import between, check_gradients
from chainrule.gradcheck.evidence import measure
from chainrule.gradcheck.repair import Search
from chainrule.gradcheck.subject import Subject
from tests.common.gradcheck.faulty import normal

X = normal(6, 3)


class Steps:
    """tanh(x W) scaled by a gain, in steps; right."""

    def __init__(self):
        self.params, self.grads = [normal(3, 4), normal(4)], [np.zeros((3, 4)), np.zeros(4)]

    def forward(self, x):
        W, gain = self.params
        self.x, self.z = x, x @ W
        self.h = np.tanh(self.z)
        return self.h * gain

    def backward(self, dout):
        W, gain = self.params
        self.grads[1][...] = (dout * self.h).sum(axis=0)
        dh = dout * gain
        dz = dh * (1 - self.h ** 2)
        self.grads[0][...] = self.x.T @ dz
        return dz @ W.T


class Early(Steps):
    def backward(self, dout):
        W, gain = self.params
        self.grads[1][...] = (dout * self.h).sum(axis=0)
        dh = dout * gain * 3
        dz = dh * (1 - self.h ** 2)
        self.grads[0][...] = self.x.T @ dz
        return dz @ W.T


class Late(Steps):
    def backward(self, dout):
        W, gain = self.params
        self.grads[1][...] = (dout * self.h).sum(axis=0)
        dh = dout * gain
        dz = dh * (1 - self.h ** 2) * 3
        self.grads[0][...] = self.x.T @ dz
        return dz @ W.T


class NoGain(Steps):
    def backward(self, dout):
        W, gain = self.params
        self.grads[1][...] = (dout * self.h).sum(axis=0)
        dh = dout + 0
        dz = dh * (1 - self.h ** 2)
        self.grads[0][...] = self.x.T @ dz
        return dz @ W.T


class NoSlope(Steps):
    def backward(self, dout):
        W, gain = self.params
        self.grads[1][...] = (dout * self.h).sum(axis=0)
        dh = dout * gain
        dz = dh + 0
        self.grads[0][...] = self.x.T @ dz
        return dz @ W.T


class Adds(Steps):
    def backward(self, dout):
        dx = super().backward(dout)
        before = self.grads[1] * 0
        self.grads[1] += before + 1e-3 * np.abs(dout).max() * 0 + self.grads[1] * 0
        return dx


class Accumulates(Steps):
    def backward(self, dout):
        W, gain = self.params
        self.grads[1][...] += (dout * self.h).sum(axis=0)
        dz = dout * gain * (1 - self.h ** 2)
        self.grads[0][...] = self.x.T @ dz
        return dz @ W.T


class Rebinds(Steps):
    def backward(self, dout):
        W, gain = self.params
        dz = dout * gain * (1 - self.h ** 2)
        self.grads[0][...] = self.x.T @ dz
        self.grads = [self.grads[0], (dout * self.h).sum(axis=0)]
        return dz @ W.T


class Unwritten(Steps):
    def backward(self, dout):
        W, gain = self.params
        dgain = (dout * self.h).sum(axis=0)
        dz = dout * gain * (1 - self.h ** 2)
        self.grads[0][...] = self.x.T @ dz
        return dz @ W.T + 0 * dgain.sum()


class Unreturned(Steps):
    def backward(self, dout):
        super().backward(dout)


class Spoils(Steps):
    def forward(self, x):
        x -= x.mean()
        return super().forward(x)


class SpoilsByAnotherName(Steps):
    def backward(self, dout):
        d = dout
        d[:, 0] *= 1.0 + 1e-3
        return super().backward(d)


class SpoilsCache(Steps):
    def backward(self, dout):
        self.h *= 1.5
        return super().backward(dout)


class Draws(Steps):
    def forward(self, x):
        noise = np.random.default_rng().normal(size=x.shape)
        return super().forward(x + noise)


class KeepsTheFirst(Steps):
    def backward(self, dout):
        if not hasattr(self, "first"):
            self.first = self.h
        self.h = self.first
        return super().backward(dout)


class Deaf(Steps):
    def backward(self, dout):
        W, gain = self.params
        self.grads[1][...] = (dout * self.h).sum(axis=0)
        self.grads[0][...] = self.x.T @ (dout * gain * (1 - self.h ** 2))
        return (gain * (1 - self.h ** 2)) @ W.T


CASES = [
    (Early, "dh = dout * gain * 3"), (Late, "dz = dh * (1 - self.h ** 2) * 3"), (NoGain, "dh = dout + 0"),
    (NoSlope, "dz = dh + 0"), (Accumulates, "self.grads[1][...] += (dout * self.h).sum(axis=0)"),
    (Rebinds, "self.grads = [self.grads[0], (dout * self.h).sum(axis=0)]"),
    (Unwritten, "dgain = (dout * self.h).sum(axis=0)"), (Unreturned, "super().backward(dout)"), (Spoils, "x -= x.mean()"),
    (SpoilsByAnotherName, "d = dout"), (SpoilsCache, "self.h *= 1.5"),
    (Draws, "noise = np.random.default_rng().normal(size=x.shape)"), (Deaf, "return (gain * (1 - self.h ** 2)) @ W.T"),
]


@pytest.mark.parametrize("make, text", CASES, ids=[make.__name__ for make, _ in CASES])
def test_the_line(make, text):
    report = check_gradients(make(), X, rng=0)
    lines = [f.text for f in report.findings if f.line]
    assert lines and lines[0] == text, report


def test_an_earlier_call_is_found_where_it_is_read():
    report = check_gradients(KeepsTheFirst(), X, rng=0)
    assert report.codes[0] == "stale-cache" and report.findings[0].text in (
        'if not hasattr(self, "first"):', "self.first = self.h"), report


def test_gradients_in_between():
    layer = Steps()
    search = Search(measure(Subject(Late(), (X,)), np.random.default_rng(0)))
    slopes = between.slopes(search, {"dz", "dh", "dout", "grad_h", "h_grad", "dx", "h", "nothing"})
    assert set(slopes) == {"dz", "dh", "grad_h", "h_grad"}       # x is given, out no name of forward's
    layer.params = search.subject.params
    layer.forward(X)
    dh = np.reshape(search.draws[0], search.y.shape) * layer.params[1]
    dz = dh * (1 - layer.h ** 2)
    assert between.right(slopes["dh"], dh) and between.right(slopes["dz"], dz)
    for wrong in (-dz, 2 * dz, dh, dz[:-1], dz.T, None):
        assert not between.right(slopes["dz"], wrong)


def test_what_is_watched_is_said_otherwise():
    finding = check_gradients(Spoils(), X, rng=0).findings[0]
    assert finding.repair == f"line {finding.line}, `x -= x.mean()`, is where it happens"
    finding = check_gradients(Late(), X, rng=0).findings[0]
    assert finding.repair.endswith("one change there makes it right")
