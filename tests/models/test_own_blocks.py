"""Layers inside a user's own layer: wherever it holds them, they hear of training and prediction, and are in files."""
import threading
from collections import deque
from types import SimpleNamespace

import numpy as np
import pytest

from chainrule.common import Layer
from chainrule.common.layer import reset_states, walk
from chainrule.layers import LSTM, Affine, BatchNorm, Dropout, SoftmaxWithLoss
from chainrule.models import Sequential

WAYS = {"attributes": lambda s, a, b: vars(s).update(norm=a, drop=b), "a list": lambda s, a, b: vars(s).update(parts=[a, b]),
        "a tuple": lambda s, a, b: vars(s).update(parts=(a, b)),
        "a dict": lambda s, a, b: vars(s).update(parts={"n": a, "d": b}),
        "layers": lambda s, a, b: vars(s).update(layers=[a, b]),
        "a dict of lists": lambda s, a, b: vars(s).update(p={"x": [a, [b]]}),
        "a deque": lambda s, a, b: vars(s).update(parts=deque([a, b])),
        "a namespace": lambda s, a, b: vars(s).update(parts=SimpleNamespace(n=a, d=b)),
        "a part without params": lambda s, a, b: vars(s).update(part=Part(a, b))}
ways = pytest.mark.parametrize("keep", WAYS.values(), ids=WAYS)
X = np.random.default_rng(0).standard_normal((9, 4)).astype(np.float32)


class Part:
    """With forward alone; and in a circle."""

    def __init__(self, norm, drop):
        self.norm, self.drop, self.itself = norm, drop, [self]

    def forward(self, x):
        return self.drop.forward(self.norm.forward(x))


class Block(Layer):
    def __init__(self, keep, base=True):
        if base:
            super().__init__()
        norm, drop = BatchNorm.init(8), Dropout(0.5, rng=0)
        keep(self, norm, drop)
        self.run = [norm.forward, drop.forward], [drop.backward, norm.backward]
        self.params, self.grads = norm.params, norm.grads

    def forward(self, x):
        for f in self.run[0]:
            x = f(x)
        return x

    def backward(self, dout):
        for f in self.run[1]:
            dout = f(dout)
        return dout


def net(keep):
    return Sequential(Affine.init(4, 8, rng=0), Sequential(Block(keep)), loss=SoftmaxWithLoss())


def inside(model, kind):
    return next(layer for layer in walk(model) if isinstance(layer, kind))


@ways
def test_prediction_reaches_them_and_leaves_no_trace(keep):
    model = net(keep)
    norm = inside(model, BatchNorm)
    before = norm.running_mean.copy()
    np.testing.assert_array_equal(model.predict(X), model.predict(X))
    assert np.array_equal(norm.running_mean, before) and norm.training and inside(model, Dropout).training
    model.training = False
    assert not norm.training


@ways
def test_their_buffers_are_in_files(keep, tmp_path):
    model, other = net(keep), net(keep)
    for _ in range(5):
        model.forward(X + 5)
    model.save(tmp_path / "m")
    other.load(tmp_path / "m")
    np.testing.assert_array_equal(inside(other, BatchNorm).running_mean, inside(model, BatchNorm).running_mean)
    np.testing.assert_array_equal(model.predict(X), other.predict(X))


def test_a_layer_that_is_referred_to_twice_is_found_once():
    block = Block(WAYS["attributes"])
    block.again, block.me = block.norm, block
    assert [type(layer).__name__ for layer in walk(block)] == ["Block", "BatchNorm", "Dropout"]


def test_states_reach_them():
    class Reader(Layer):
        def __init__(self):
            super().__init__()
            self.lstm = LSTM.init(4, 3, rng=0, stateful=True)

        def forward(self, x):
            return self.lstm.forward(x)
    reader = Reader()
    first = reader.forward(X[None])
    assert not np.array_equal(first, reader.forward(X[None]))
    reset_states(reader)
    np.testing.assert_array_equal(first, reader.forward(X[None]))


def test_several_threads_may_evaluate_one_model():
    for _ in range(20):
        model = Sequential(Affine.init(4, 8, rng=0), BatchNorm.init(8), Dropout(0.5, rng=0))
        start = threading.Barrier(4)

        def work(model=model, start=start):
            start.wait()
            for _ in range(20):
                model.predict(X)
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(layer.training for layer in walk(model))
