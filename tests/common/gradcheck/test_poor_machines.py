"""The checker where no thread can start and time.thread_time is missing, as in a browser; inputs of integers; rounding."""
import threading
import time

import numpy as np
import pytest

from chainrule.gradcheck import check_gradients, numerical_gradient
from chainrule.layers import BatchNorm, Sum
from chainrule.models import Sequential


class Square:
    params, grads = [], []

    def forward(self, x):
        self.x = x
        return x ** 2

    def backward(self, dout):
        return dout * 2 * self.x


class Half(Square):
    def backward(self, dout):
        return dout * self.x


@pytest.fixture
def browser(monkeypatch):
    def start(thread):
        raise RuntimeError("can't start new thread")
    monkeypatch.setattr(threading.Thread, "start", start)
    monkeypatch.delattr(time, "thread_time", raising=False)


X = np.random.default_rng(0).normal(size=(5, 3))


def test_without_threads_the_verdicts_are_the_same(browser):
    assert check_gradients(Square(), X, rng=0).findings == []
    report = check_gradients(Half(), X, rng=0)
    assert [f.code for f in report.findings] == ["factor-2"] or report.findings[0].code.startswith(("factor", "scaled"))
    assert "thread" not in str(report)


def test_integers_are_told_to_become_floats():
    report = check_gradients(Square(), np.arange(6).reshape(2, 3), rng=0)
    assert "x.astype(float)" in str(report) and "both signs" not in str(report)


class NoVariance(BatchNorm):
    """Batch normalisation whose backward forgets that x moves the mean and the variance."""
    def backward(self, dout):
        u, s, shape, _ = self.recall()
        dout = self.scale_and_shift_back(dout, u)
        return s * (dout - dout.mean(axis=0))


def test_a_gradient_of_rounding_alone_tells_nothing():
    """Under a sum the gradient of a normalisation is 0: right and wrong backward agree but for rounding."""
    x = np.random.default_rng(0).normal(size=(7, 3))
    for cls in BatchNorm, NoVariance:
        model = Sequential(cls(np.ones(3), np.zeros(3)), Sum(axis=None))
        numeric = numerical_gradient(lambda x, model=model: model.forward(x), x.copy())
        assert np.abs(numeric).max() < 1e-8
    assert check_gradients(BatchNorm(np.ones(3), np.zeros(3)), x, rng=0).ok
    assert not check_gradients(NoVariance(np.ones(3), np.zeros(3)), x, rng=0).ok


def test_numerical_gradient_of_a_closure_that_looks_elsewhere():
    W = np.array([1.0, -3.0])
    np.testing.assert_allclose(numerical_gradient(lambda _: (W ** 2).sum(), W), [2, -6], rtol=1e-8)
    assert W.tolist() == [1, -3]


def test_numerical_gradient_restores_when_f_raises():
    W = np.array([1.0, 2.0])
    with pytest.raises(ZeroDivisionError):
        numerical_gradient(lambda x: 1 / 0, W)
    assert W.tolist() == [1, 2]


def test_numerical_gradient_says_that_f_does_not_look_at_x():
    W, copy = np.ones(2), np.ones(2)
    with pytest.warns(UserWarning, match="same value whatever x is"):
        numerical_gradient(lambda x: (copy ** 2).sum(), W)
    assert not numerical_gradient(lambda x: np.maximum(x, 0).sum(), -W).any()         # flat here, not everywhere

