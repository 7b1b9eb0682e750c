"""Recompute: the numbers of the plain chain, in less memory."""
import copy
import tracemalloc

import numpy as np
import pytest

from chainrule.gradcheck import check_gradients
from chainrule.layers import LSTM, Affine, BatchNorm, Dropout, SoftmaxWithLoss, SquaredError, Tanh
from chainrule.models import Recompute, Sequential
from chainrule.optimizers import Momentum

X = np.random.default_rng(5).standard_normal((8, 6))
T = np.arange(8) % 3


def net(block):
    rng, layers = np.random.default_rng(0), []
    for i in range(3):
        layers.append(block(Affine.init(6, 6, rng=rng, dtype=np.float64), BatchNorm.init(6, dtype=np.float64), Tanh(),
                            Dropout(0.3, rng=i)))
    return Sequential(*layers, Affine.init(6, 3, rng=rng, dtype=np.float64), loss=SoftmaxWithLoss())


def test_a_training_is_that_of_the_plain_chain_to_the_last_bit():
    plain, saving = net(Sequential), net(Recompute)
    optimizers = Momentum(0.1), Momentum(0.1)
    for _ in range(4):
        assert plain.forward(X, T) == saving.forward(X, T)
        a, b = plain.backward(input_gradient=True), saving.backward(input_gradient=True)
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(saving.backward(input_gradient=True), b)              # as often as one likes
        for model, optimizer in zip((plain, saving), optimizers):
            optimizer.update(model.params, model.grads)
        for p, q in zip(plain.params, saving.params):
            np.testing.assert_array_equal(p, q)
    for a, b in zip(plain.layers[:3], saving.layers[:3]):
        for name in "running_mean", "running_var":
            np.testing.assert_array_equal(getattr(a.layers[1], name), getattr(b.layers[1], name))
        assert a.layers[3].buffers["rng"].bit_generator.state == b.layers[3].buffers["rng"].bit_generator.state
    np.testing.assert_array_equal(plain.predict(X), saving.predict(X))


def test_recurrent_states_are_met_again():
    def make(block):
        return block(LSTM.init(3, 4, stateful=True, rng=0, dtype=np.float64), Tanh())
    plain, saving, x = make(Sequential), make(Recompute), np.random.default_rng(0).standard_normal((2, 5, 3))
    for _ in range(3):
        np.testing.assert_array_equal(plain.forward(x), saving.forward(x))
        np.testing.assert_array_equal(plain.backward(np.ones((2, 5, 4))), saving.backward(np.ones((2, 5, 4))))
        for g, h in zip(plain.grads, saving.grads):
            np.testing.assert_array_equal(g, h)


def test_evaluation_keeps_caches_as_usual():
    saving = Recompute(Affine.init(6, 4, rng=0, dtype=np.float64), Tanh())
    saving.forward(X)                                           # a trace in training, which the next must not go back to
    saving.training = False
    y = saving.forward(2 * X)
    saving.backward(np.ones_like(y))
    np.testing.assert_allclose(saving.grads[1], (1 - y * y).sum(axis=0))


def test_it_is_a_layer_like_others():
    layer = Recompute(Affine.init(3, 4, rng=0, dtype=np.float64), Tanh())
    assert check_gradients(layer, np.random.default_rng(0).standard_normal((5, 3))).ok
    x = np.ones((2, 3))
    layer.forward(x)
    np.testing.assert_array_equal(copy.deepcopy(layer).forward(x), layer.forward(x))


def test_a_hundred_layers_in_the_memory_of_twenty():
    def peak(block):
        rng = np.random.default_rng(0)
        layers = [Affine.init(64, 64, rng=rng) if i % 2 == 0 else Tanh() for i in range(100)]
        blocks = [Recompute(*layers[i:i + block]) for i in range(0, 100, block)] if block else layers
        model, x = Sequential(*blocks, loss=SquaredError()), rng.standard_normal((1000, 64)).astype(np.float32)
        model.forward(x, x)
        model.backward()
        model = copy.deepcopy(model)                                      # without caches
        tracemalloc.start()
        try:
            model.forward(x, x)
            model.backward()
            return tracemalloc.get_traced_memory()[1] / x.nbytes
        finally:
            tracemalloc.stop()

    assert peak(0) > 50
    assert peak(10) < 22


def test_a_loss_stands_outside():
    with pytest.raises(TypeError):
        Recompute(Affine.init(3, 4, rng=0), loss=SquaredError())
