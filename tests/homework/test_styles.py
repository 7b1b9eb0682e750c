"""Homework that imports us, written as the books and courses write theirs."""
import numpy as np
import pytest

from chainrule.layers import Affine, ReLU, Sigmoid, SoftmaxWithLoss
from chainrule.models import Sequential
from chainrule.optimizers import SGD, Adam, Momentum, clip_gradients
from tests.errors import refused

X = np.random.default_rng(0).standard_normal((30, 4))
T = np.arange(30) % 3


class OnlyForward:
    """Deep Learning from Scratch 2, chapter 1.2: forward and params, no backward yet."""
    def __init__(self, W, b):
        self.params = [W, b]

    def forward(self, x):
        W, b = self.params
        return np.dot(x, W) + b


class TestTheSecondBooksFirstPages:
    def model(self):
        rng = np.random.default_rng(0)
        return Sequential(OnlyForward(rng.standard_normal((4, 5)), np.zeros(5)), Sigmoid(),
                          OnlyForward(rng.standard_normal((5, 3)), np.zeros(3)), loss=SoftmaxWithLoss())

    def test_they_predict(self):
        model = self.model()
        first, _, last = model.layers
        hidden = 1 / (1 + np.exp(-first.forward(X)))
        np.testing.assert_allclose(model.predict(X), last.forward(hidden), rtol=1e-12)
        assert len(model.params) == 4 and model.forward(X, T) > 0

    def test_training_them_says_what_is_missing(self):
        model = self.model()
        model.forward(X, T)
        with refused(TypeError, "… layer 0 (OnlyForward) … backward … grads…"):
            model.backward()


class TestTheFirstBooksDicts:
    """Deep Learning from Scratch, chapters 5 and 6: params and grads as dicts, gradients new at each call."""
    def gradients(self, params):
        layers = [Affine(params["W1"], params["b1"]), ReLU(), Affine(params["W2"], params["b2"])]
        x, loss = X, SoftmaxWithLoss()
        for layer in layers:
            x = layer.forward(x)
        value, dout = loss.forward(x, T), loss.backward()
        for layer in reversed(layers):
            dout = layer.backward(dout)
        first, _, last = layers
        return value, {"W1": first.dW, "b1": first.db, "W2": last.dW, "b2": last.db}

    def parameters(self):
        rng = np.random.default_rng(0)
        return {"W1": rng.standard_normal((4, 8)), "b1": np.zeros(8), "W2": rng.standard_normal((8, 3)), "b2": np.zeros(3)}

    @pytest.mark.parametrize("rule", [SGD(0.5), Momentum(0.1), Adam(0.05)])
    def test_a_net_that_is_made_anew_at_each_step_learns(self, rule):
        params, losses = self.parameters(), []
        for _ in range(40):
            loss, grads = self.gradients(params)
            assert clip_gradients(grads, 5.0) > 0
            rule.update(params, grads)
            losses.append(loss)
        assert losses[-1] < 0.7 * losses[0]
        assert set(rule.state) - {"step"} == {f"{name}.{key}" for name in rule.names for key in params}


def affine_forward(x, w, b):
    layer = Affine(w, b)
    return layer.forward(x), layer


def affine_backward(dout, cache):
    return cache.backward(dout), cache.dW, cache.db


class TestCS231n:
    """The course's functions (out, cache), and its solver with one rule for each key."""
    def test_functions_around_layers(self):
        rng = np.random.default_rng(0)
        w, b, dout = rng.standard_normal((4, 3)), rng.standard_normal(3), rng.standard_normal((30, 3))
        out, cache = affine_forward(X, w, b)
        dx, dw, db = affine_backward(dout, cache)
        np.testing.assert_allclose(out, X @ w + b, rtol=1e-12)
        for mine, right in (dx, dout @ w.T), (dw, X.T @ dout), (db, dout.sum(axis=0)):
            np.testing.assert_allclose(mine, right, rtol=1e-12)

    def test_a_solver_with_a_rule_for_each_key(self):
        rng = np.random.default_rng(0)
        params = {"W1": rng.standard_normal((4, 3)), "b1": np.zeros(3)}
        rules, losses = {key: Adam(0.1) for key in params}, []
        for _ in range(60):
            scores, cache = affine_forward(X, params["W1"], params["b1"])
            loss = SoftmaxWithLoss()
            losses.append(loss.forward(scores, T))
            _, *grads = affine_backward(loss.backward(), cache)
            for (key, p), g in zip(params.items(), grads):
                rules[key].update([p], [g])
        assert losses[-1] < 0.7 * losses[0]
