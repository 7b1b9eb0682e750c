"""model.profile: where a step spends its time. What is asserted are counts and orders, no seconds."""
import time

import numpy as np
from matplotlib import pyplot as plt

from chainrule.common.layer import Layer
from chainrule.layers import Affine, Dropout, ReLU, SoftmaxWithLoss
from chainrule.models import MLP, Sequential
from tests.errors import refused

X, T = np.random.default_rng(0).standard_normal((64, 20)).astype(np.float32), np.arange(64) % 10


class Slow(Layer):
    def forward(self, x):
        time.sleep(0.02)
        return x

    def backward(self, dout):
        time.sleep(0.04)
        return dout


def test_the_slow_layer_is_the_slow_row():
    model = Sequential(Affine.init(20, 10, rng=0), Slow(), loss=SoftmaxWithLoss())
    profile = model.profile(X, T, steps=2)
    assert [row.index for row in profile.rows] == ["0", "1", "loss"]
    slow = max(profile.rows, key=lambda row: row.forward + row.backward)
    assert slow.layer == "Slow" and slow.forward >= 20 and slow.backward >= 40
    assert profile.forward == sum(row.forward for row in profile.rows)


def test_counts_are_those_of_the_summary():
    model = MLP([20, 30, 10], rng=0)
    profile, summary = model.profile(X, T, steps=1), model.summary(X, T)
    assert [(row.cached, row.multiply_adds) for row in profile.rows] == [row[4:6] for row in summary.rows]
    shares = [row.share is not None for row in profile.rows]
    assert shares == [bool(row.multiply_adds) for row in profile.rows]
    assert all(row.share > 0 for row in profile.rows if row.share is not None)


def test_the_model_stays_as_it_is():
    model = Sequential(Affine.init(20, 30, rng=0), ReLU(), Dropout(0.5, rng=0), Affine.init(30, 10, rng=1),
                       loss=SoftmaxWithLoss())
    model.forward(X, T)
    model.backward()
    arrays = [a.copy() for a in (*model.params, *model.grads)]
    state = model.layers[2].buffers["rng"].bit_generator.state
    model.profile(X, T, steps=1)
    for a, b in zip(arrays, (*model.params, *model.grads)):
        np.testing.assert_array_equal(a, b)
    assert model.layers[2].buffers["rng"].bit_generator.state == state
    model.backward()                                              # of the forward before


def test_table_and_picture():
    profile = MLP([20, 30, 10], rng=0).profile(X, T, steps=1)
    lines = repr(profile).splitlines()
    assert lines[0] == "MLP on (64, 20), (64,), a step" and "forward ms" in lines[2] and lines[-1].startswith("total")
    assert profile._repr_html_().count("<tr>") == len(profile.rows) + 2
    ax = profile.plot()
    assert [label.get_text() for label in ax.get_yticklabels()] == [f"{r.index} {r.layer}" for r in profile.rows]
    assert len(ax.patches) == 2 * len(profile.rows)
    plt.close(ax.figure)


def test_without_targets_or_loss():
    with refused(TypeError, "MLP.profile: … targets … profile(x, t)…"):
        MLP([20, 30, 10], rng=0).profile(X)
    with refused(TypeError, "Sequential.profile: … profile(x, t) … loss; … 2 arrays and no loss"):
        Sequential(ReLU()).profile(X, T)
