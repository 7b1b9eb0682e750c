"""Copies by copy.deepcopy and pickle, and model.astype: they compute and learn as the original does, sharing included."""
import copy
import pickle

import numpy as np
import pytest

from chainrule.common import Layer
from chainrule.layers import Affine, Dropout, Embedding, ReLU, SoftmaxWithLoss
from chainrule.models import Graph, Input, LanguageModel, Sequential
from chainrule.optimizers import Adam, Momentum
from chainrule.training import Trainer
from tests.errors import refused

COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda a: pickle.loads(pickle.dumps(a)),
          "twice": lambda a: copy.deepcopy(pickle.loads(pickle.dumps(a)))}
copies = pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
IDS = np.random.default_rng(1).integers(0, 20, (4, 8))


def autoencoder():
    W = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    inner = Sequential(Affine(W), ReLU())
    return Sequential(inner, Affine(W.T), loss=SoftmaxWithLoss())


def graph():
    W = np.random.default_rng(0).standard_normal((4, 4)).astype(np.float32)
    x = Input("x")
    h = ReLU()(Affine(W)(x))
    return Graph(x, Affine(W.T)(h) + Affine(W)(h) * 2, loss=SoftmaxWithLoss())


def language_model():
    return LanguageModel(20, 16, 16, tied=True, stateful=False, rng=0)


MODELS = {"autoencoder": (autoencoder, (np.eye(4, dtype=np.float32), np.arange(4))), "graph": (graph, (np.eye(4), np.arange(4))),
          "language model": (language_model, (IDS, IDS))}
models = pytest.mark.parametrize("make, data", MODELS.values(), ids=MODELS)


def trained(model, data, steps=20):
    optimizer = Adam(0.01)
    for _ in range(steps):
        model.forward(*data)
        model.backward()
        optimizer.update(model.params, model.grads)
    return model.forward(*data)


@copies
@models
def test_a_copy_learns_as_the_original(copied, make, data):
    model = make()
    twin = copied(model)
    assert len(twin.params) == len(model.params) and twin.names == model.names
    assert trained(twin, data) == trained(model, data)
    assert not any(np.shares_memory(p, q) for p in model.params for q in twin.params)


@copies
@models
def test_a_copy_that_learned_is_saved_whole(copied, make, data, tmp_path):
    twin, other = copied(make()), make()
    trained(twin, data)
    twin.save(tmp_path / "m")
    other.load(tmp_path / "m")
    np.testing.assert_array_equal(twin.predict(data[0]), other.predict(data[0]))


@copies
def test_a_copy_carries_no_caches(copied):
    model = autoencoder()
    model.forward(np.eye(4, dtype=np.float32), np.arange(4))
    twin = copied(model)
    assert model.layers[1].cache is not None and all(layer.cache is None for layer in (*twin.layers, *twin.layers[0].layers))
    with refused(RuntimeError, "Sequential: backward … forward…"):
        twin.backward()
    assert copied(model.layers[1]).cache is None


@copies
def test_graphs_of_any_length(copied):
    n = x = Input("x")
    for _ in range(3000):
        n = ReLU()(n)
    model = Graph(x, n * 2)
    twin = copied(model)
    assert twin.forward(np.array([1.0, -1.0])).tolist() == [2, 0] and twin.backward(np.ones(2)).tolist() == [2, 0]
    assert twin.inputs[0] is twin.nodes[0] and twin.inputs[0].name == "x"


@copies
def test_a_trainer_goes_on_as_its_original(copied):
    x, t = np.random.default_rng(0).standard_normal((30, 4)).astype(np.float32), np.arange(30) % 4
    trainer = Trainer(autoencoder(), Momentum(0.05))
    trainer.fit(x, t, epochs=2, rng=0, progress=False)
    twin = copied(trainer)
    losses = [each.fit(x, t, epochs=2, rng=1, progress=False)["loss"] for each in (trainer, twin)]
    assert losses[0] == losses[1]


@copies
def test_a_generator_of_a_copy_is_its_own(copied):
    layer = Dropout(0.5, rng=0)
    twin = copied(layer)
    assert np.array_equal(layer.forward(np.ones((2, 9))), twin.forward(np.ones((2, 9))))


@copies
def test_lists_that_a_layer_took_from_another_stay_one(copied):
    twin = copied(Sequential(Holder(), loss=SoftmaxWithLoss()))
    assert twin.layers[0].params is twin.layers[0].inner.params and twin.params[0] is twin.layers[0].inner.params[0]


class Holder(Layer):
    def __init__(self):
        super().__init__()
        self.inner = Affine.init(4, 4, rng=0)
        self.params, self.grads = self.inner.params, self.inner.grads

    def forward(self, x):
        return self.inner.forward(x)

    def backward(self, dout):
        return self.inner.backward(dout)


class Tied(Layer):
    """Scores by the table from which the vectors came; with its inner layers' lists."""

    def __init__(self):
        super().__init__()
        self.table = Embedding.init(5, 3, rng=0)
        self.scores = {"last": Affine(self.table.W.T)}


class OwnNet:
    """No base class: what holds the arrays together is the trainer's to know."""

    def __init__(self):
        self.body, self.loss = Tied(), SoftmaxWithLoss()
        self.params, self.grads = [self.body.table.W], [np.zeros_like(self.body.table.W)]

    def forward(self, ids, t):
        return self.loss.forward(self.body.scores["last"].forward(self.body.table.forward(ids)), t)

    def backward(self):
        table, last = self.body.table, self.body.scores["last"]
        table.backward(last.backward(self.loss.backward()))
        self.grads[0][...] = table.dW + last.dW.T


@copies
@pytest.mark.parametrize("make, body", [(Tied, lambda a: a), (lambda: Trainer(OwnNet(), Adam(), metrics=()),
                                                              lambda a: a.model.body)])
def test_what_a_layer_of_ones_own_ties_stays_tied(copied, make, body):
    original = make()
    twin = body(copied(original))
    W = twin.table.W
    assert np.shares_memory(W, twin.scores["last"].W) and not np.shares_memory(W, body(original).table.W)
    W[2, 1] = 7
    assert twin.scores["last"].W[1, 2] == 7


class Unmade(Layer):
    """Its __init__ has no super().__init__(): no lists."""

    def __init__(self):
        self.inner = {"a": SoftmaxWithLoss()}


@copies
def test_a_layer_without_lists_is_copied(copied):
    assert isinstance(copied(Unmade()).inner["a"], SoftmaxWithLoss)


@copies
def test_a_trainer_of_a_model_without_a_base_class_goes_on_as_its_original(copied):
    trainer, ids = Trainer(OwnNet(), Adam(0.1), metrics=()), np.arange(5)
    trainer.fit(ids, ids, epochs=2, rng=0, progress=False)
    twin = copied(trainer)
    assert twin.fit(ids, ids, epochs=9, rng=1, progress=False)["loss"] == trainer.fit(
        ids, ids, epochs=9, rng=1, progress=False)["loss"]


@models
def test_astype_is_a_copy_in_another_dtype(make, data):
    model = make()
    wide = model.astype(np.float64)
    assert {p.dtype for p in (*wide.params, *wide.grads)} == {np.dtype(np.float64)} and model.params[0].dtype == np.float32
    assert len(wide.params) == len(model.params)
    assert trained(wide, data) == pytest.approx(trained(model, data), rel=1e-3)
    assert wide.astype(np.float32).params[0].dtype == np.float32


@pytest.mark.parametrize("dtype", [np.float16, np.longdouble, int, ">f4", "nonsense", None.__class__])
def test_astype_takes_the_two_types_that_compute(dtype):
    with refused(TypeError, "Embedding.astype: dtype … np.float32 … np.float64…"):
        Embedding.init(3, 2).astype(dtype)
