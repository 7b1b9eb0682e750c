"""TwoLayerNet and MLP: sizes, activations, initialisers, seeds, and that they learn."""
import numpy as np
import pytest

from chainrule.common import L2
from chainrule.datasets import load_digits, make_spiral
from chainrule.layers import Affine, LeakyReLU, ReLU, Sigmoid, Tanh
from chainrule.models import MLP, TwoLayerNet
from chainrule.optimizers import SGD, Adam
from chainrule.training import Trainer
from tests.errors import refused


def test_two_layer_net_is_the_network_of_the_book():
    model = TwoLayerNet(2, 10, 3, rng=0)
    assert [type(layer) for layer in model.layers] == [Affine, Sigmoid, Affine]
    assert [p.shape for p in model.params] == [(2, 10), (10,), (10, 3), (3,)]
    assert all(p.dtype == np.float32 for p in model.params)
    assert [type(layer) for layer in TwoLayerNet(2, 10, 3, activation=ReLU).layers] == [Affine, ReLU, Affine]
    assert TwoLayerNet(2, 10, 3, penalty=L2(0.1)).penalty.lam == 0.1


def test_mlp_takes_sizes_and_images():
    model = MLP([64, 32, 16, 10], activation=Tanh, rng=0)
    assert [p.shape for p in model.params if p.ndim > 1] == [(64, 32), (32, 16), (16, 10)]
    x = np.random.default_rng(0).random((5, 1, 8, 8), np.float32)
    np.testing.assert_array_equal(model.predict(x), model.predict(x.reshape(5, 64)))


def test_weights_follow_the_seed_and_the_activation():
    a, b, c = (MLP([400, 300, 10], rng=seed).params[0] for seed in (0, 0, 1))
    assert (a == b).all() and (a != c).any()
    assert a.std() == pytest.approx(np.sqrt(2 / 400), rel=0.02)                                  # He
    assert MLP([400, 300, 10], Tanh, rng=0).params[0].std() == pytest.approx(np.sqrt(2 / 700), rel=0.02)      # Glorot
    model = MLP([50, 50, 50], rng=0)
    assert (model.params[0] != model.params[2]).any() and not model.params[1].any()


def test_two_layer_net_learns_the_spiral():
    x, t = make_spiral(rng=0)
    trainer = Trainer(TwoLayerNet(2, 10, 3, rng=0), SGD(lr=1.0))
    history = trainer.fit(x, t, epochs=200, batch_size=30, rng=0, progress=False)
    assert history["accuracy"][-1] > 0.9


def test_an_mlp_reads_digits():
    (x, t), (x_test, t_test) = load_digits()
    trainer = Trainer(MLP([64, 64, 10], rng=0), Adam())
    trainer.fit(x, t, epochs=8, rng=0, progress=False)
    assert trainer.evaluate(x_test, t_test)["accuracy"] > 0.93


@pytest.mark.parametrize("sizes, error, message", [
    ([784], ValueError, "MLP: sizes … [784, 10] … [784]"),
    ([784, 0, 10], ValueError, "MLP: sizes[1] … at least 1 … 0"),
    (5, TypeError, "MLP: sizes … [784, 10] … 5"),
    ([784, 10.0], TypeError, "MLP: sizes[1] … whole number … 10.0"),
])
def test_bad_sizes(sizes, error, message):
    with refused(error, message):
        MLP(sizes)


def test_what_is_no_class_of_activations_is_refused():
    message = "activation … class … {} … activation=ReLU…"
    for activation, got in (("relu", "'relu'"), (ReLU(), "ReLU()")):
        with refused(TypeError, f"MLP: {message.format(got)}"):
            MLP([4, 3, 2], activation=activation)
        with refused(TypeError, f"TwoLayerNet: {message.format(got)}"):
            TwoLayerNet(4, 3, 2, activation=activation)
    assert MLP([4, 3, 2], activation=lambda: LeakyReLU(0.1)).layers[2].slope == 0.1


def test_a_size_of_a_two_layer_net_has_a_name():
    with refused(ValueError, "TwoLayerNet: hidden_size … at least 1 … 0"):
        TwoLayerNet(4, 0, 2)
