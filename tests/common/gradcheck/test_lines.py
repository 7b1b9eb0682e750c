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


class Exchanged:
    """A share a (1 - b) of each column; backward takes each for the other."""
    params, grads = (), ()

    def forward(self, x):
        self.a, self.b = np.array([0.2, 0.7, 0.4]), np.array([0.9, 0.3, 0.6])
        return np.stack([a * (1 - b) * x[:, i] for i, (a, b) in enumerate(zip(self.a, self.b))], axis=1)

    def backward(self, dout):
        dx = np.zeros_like(dout)
        for i in range(3):
            a, b = self.a[i], self.b[i]
            dx[:, i] += b * (1 - a) * dout[:, i]
        return dx


class Wraps:
    """A recurrence h_t = tanh(x_t + w h_{t-1}) whose dw takes the last step's h for the one before the first."""

    def __init__(self):
        self.params, self.grads = [normal(3)], [np.zeros(3)]

    def forward(self, x):
        self.h, h = np.zeros_like(x), 0
        for t in range(x.shape[1]):
            h = self.h[:, t] = np.tanh(x[:, t] + self.params[0] * h)
        return self.h.copy()

    def backward(self, dout):
        dx, carry = np.zeros_like(dout), 0
        self.grads[0][...] = 0
        for t in range(dout.shape[1] - 1, -1, -1):
            dz = (dout[:, t] + carry) * (1 - self.h[:, t] ** 2)
            self.grads[0] += (dz * self.h[:, t - 1]).sum(axis=0)
            dx[:, t], carry = dz, dz * self.params[0]
        return dx


class Gathers:
    """y = x in an order for each row; backward reads in that order where it should write."""
    params, grads = (), ()

    def forward(self, x):
        self.order = np.argsort(x, axis=1)
        return np.take_along_axis(x, self.order, axis=1)

    def backward(self, dout):
        dx = np.zeros_like(dout)
        for n in range(len(dx)):
            dx[n] = dout[n, self.order[n]]
        return dx


class Mirrored:
    """y_i = Σ_k w_k x_{i+k}; backward takes the kernel from its other end."""

    def __init__(self):
        self.params, self.grads = [normal(3)], [np.zeros(3)]

    def forward(self, x):
        self.x, w = x, self.params[0]
        return sum(w[k] * x[:, k:k + 5] for k in range(3))

    def backward(self, dout):
        dx, w = np.zeros_like(self.x), self.params[0]
        for k in range(3):
            self.grads[0][k] = (dout * self.x[:, k:k + 5]).sum()
            dx[:, k:k + 5] += w[2 - k] * dout
        return dx


class Inverse(Gathers):
    def backward(self, dout):
        return np.take_along_axis(dout, self.order, axis=1)

    def forward(self, x):
        self.order = np.argsort(x, axis=1)
        self.inverse = np.argsort(self.order, axis=1)
        return np.take_along_axis(x, self.order, axis=1)


class OtherColumns:
    """y = x[:, :2] * w; dw reads the last two columns."""

    def __init__(self):
        self.params, self.grads = [normal(2)], [np.zeros(2)]

    def forward(self, x):
        self.x = x
        return x[:, :2] * self.params[0]

    def backward(self, dout):
        self.grads[0][...] = (dout * self.x[:, -2:]).sum(axis=0)
        dx = np.zeros_like(self.x)
        dx[:, :2] = dout * self.params[0]
        return dx


class Subtracts:
    """y = x less half of its left neighbour; that half comes back with the wrong sign."""
    params, grads = (), ()

    def forward(self, x):
        return x - np.roll(x, 1, axis=1) * 0.5

    def backward(self, dout):
        ratio = 0.5 * np.roll(dout, -1, axis=1)
        dx = 1.0 * dout
        for i in range(dx.shape[1]):
            dx[:, i] += ratio[:, i]
        return dx


@pytest.mark.parametrize("layer, x, codes, text", [
    (Subtracts(), normal(4, 5), ["wrong-sign"], "dx[:, i] += ratio[:, i]"),
    (Exchanged(), normal(5, 3), ["wrong-local-derivative"], "a, b = self.a[i], self.b[i]"),
    (Wraps(), normal(4, 5, 3), ["stale-cache"], "self.grads[0] += (dz * self.h[:, t - 1]).sum(axis=0)"),
    (Gathers(), normal(4, 6), ["missing-transpose"], "dx[n] = dout[n, self.order[n]]"),
    (Mirrored(), normal(4, 7), ["flipped-kernel"], "dx[:, k:k + 5] += w[2 - k] * dout"),
    (Inverse(), normal(4, 6), ["missing-transpose"], "return np.take_along_axis(dout, self.order, axis=1)"),
    (OtherColumns(), normal(5, 4), ["stale-cache"], "self.grads[0][...] = (dout * self.x[:, -2:]).sum(axis=0)"),
], ids=lambda v: type(v).__name__ if hasattr(v, "forward") else None)
def test_changes_of_places_and_orders(layer, x, codes, text):
    report = check_gradients(layer, x, rng=0)
    assert report.codes == codes and report.findings[0].text == text, report


class Numbers:
    """6 x², whose backward lacks a factor 2: another number at either of two places would heal it."""
    params, grads = (), ()

    def forward(self, x):
        self.x = x
        return 6 * x ** 2

    def backward(self, dout):
        slope = 3 * self.x
        return dout * (2 * slope)


class Factors(Numbers):
    """2 x³ / 3; twice the factor at either place would heal it."""

    def forward(self, x):
        self.x = x
        return 2 * x ** 3 / 3

    def backward(self, dout):
        slope = dout * self.x
        return slope * self.x


@pytest.mark.parametrize("layer", [Numbers(), Factors()])
def test_what_alters_a_value_is_likeliest_at_the_first_place(layer):
    finding = check_gradients(layer, X, rng=0).findings[0]
    assert finding.code == "factor-half" and finding.text.startswith("slope = "), finding
