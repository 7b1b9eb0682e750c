"""Frozen layers keep weights and running statistics; backward ends at the lowest that learns."""
import copy
import pickle

import numpy as np
import pytest

from chainrule.common import L2, Layer
from chainrule.common.files import read_arrays, write_arrays
from chainrule.common.layer import held, walk
from chainrule.layers import Affine, BatchNorm, Dropout, Embedding, ReLU, SoftmaxWithLoss
from chainrule.models import Graph, Input, LanguageModel, Seq2Seq, Sequential
from chainrule.optimizers import SGD, Adam, AdamW, Momentum
from chainrule.training import Trainer
from tests.errors import refused

RNG = np.random.default_rng(0)
X = RNG.standard_normal((8, 4))
T = np.arange(8) % 3


class Watched(Affine):
    """Counts its backwards."""
    backwards = 0

    def backward(self, dout):
        self.backwards += 1
        return super().backward(dout)


def affine(n, m, seed):
    return Watched.init(n, m, rng=seed, dtype=np.float64)


def chain():
    return Sequential(affine(4, 5, 0), BatchNorm.init(5, dtype=np.float64), ReLU(),
                      Sequential(affine(5, 5, 1), Dropout(0.5, rng=0)), affine(5, 3, 2),
                      loss=SoftmaxWithLoss(), penalty=L2(0.1))


def graph():
    x = Input()
    h = affine(4, 5, 0)(x)
    y = affine(5, 3, 2)(ReLU()(BatchNorm.init(5, dtype=np.float64)(h)) + affine(5, 5, 1)(h))
    return Graph(x, y, loss=SoftmaxWithLoss(), penalty=L2(0.1))


def train(model, optimizer, steps=3):
    for _ in range(steps):
        model.forward(X, T)
        model.backward()
        optimizer.update(model.params, model.grads)


def changed(model, before):
    return [not np.array_equal(p, q) for p, q in zip(model.params, before, strict=True)]


@pytest.mark.parametrize("make", [chain, graph])
@pytest.mark.parametrize("optimizer", [SGD(0.1, weight_decay=0.1), Momentum(0.1), Adam(), AdamW()],
                         ids=repr)
def test_frozen_layers_stay_and_the_others_learn(make, optimizer):
    model, optimizer = make(), copy.deepcopy(optimizer)
    train(model, optimizer, 1)                                # with momentum of its own by now
    first, norm = model.layers[0], next(m for m in model.layers if isinstance(m, BatchNorm))
    first.backwards, before, mean = 0, [p.copy() for p in model.params], norm.running_mean.copy()
    model.freeze("0", norm)
    train(model, optimizer)
    still = [any(p is q for q in (*first.params, *norm.params)) for p in model.params]
    assert changed(model, before) == [not s for s in still] and any(still)
    assert np.array_equal(norm.running_mean, mean)
    assert first.backwards == 0
    assert all(not g.any() for g, s in zip(model.grads, still) if s)
    model.unfreeze()
    train(model, optimizer)
    assert all(changed(model, before)) and first.backwards == 3
    assert not np.array_equal(norm.running_mean, mean)


def test_gradients_of_what_learns_are_those_of_the_whole():
    model = Sequential(affine(4, 5, 0), ReLU(), affine(5, 5, 1), ReLU(), affine(5, 3, 2),
                       loss=SoftmaxWithLoss())
    model.forward(X, T)
    model.backward()
    whole = [g.copy() for g in model.grads]
    model.freeze(model.layers[2])                       # in the middle: gradients pass through
    model.forward(X, T)
    model.backward()
    for k, (g, h) in enumerate(zip(model.grads, whole)):
        np.testing.assert_array_equal(g, 0 * h if k in (2, 3) else h)
    model.freeze("0")
    model.forward(X, T)
    assert model.backward(input_gradient=True).shape == X.shape


def test_layers_inside_models_and_models_inside_models():
    model = chain()
    model.layers[3].freeze("0")                     # by the inner one, after the outer was made
    before = [p.copy() for p in model.params]
    train(model, Adam())
    assert changed(model, before) == [True] * 4 + [False] * 2 + [True] * 2
    assert model.layers[3].layers[1].training and not model.layers[3].layers[0].training
    model.unfreeze()
    model.freeze(model.layers[3])
    assert [layer.training for layer in model.layers[3].layers] == [False, False]
    model.training = False
    model.training = True
    assert [layer.training for layer in model.layers[3].layers] == [False, False]
    model.predict(X)
    assert [layer.training for layer in model.layers[3].layers] == [False, False]
    for again in pickle.loads(pickle.dumps(model)), copy.deepcopy(model):
        before = [p.copy() for p in again.params]
        train(again, Adam())
        assert changed(again, before) == [True] * 4 + [False] * 2 + [True] * 2


def test_a_block_of_ones_own():
    class Block(Layer):
        def __init__(self):
            super().__init__()
            self.a, self.norm = affine(4, 4, 0), BatchNorm.init(4, dtype=np.float64)
            self.params, self.grads = [[*getattr(self.a, kind), *getattr(self.norm, kind)]
                                       for kind in ("params", "grads")]

        def forward(self, x):
            return x + self.norm.forward(self.a.forward(x))

        def backward(self, dout):
            return dout + self.a.backward(self.norm.backward(dout))
    model = Sequential(Block(), affine(4, 3, 1), loss=SoftmaxWithLoss())
    model.freeze("0.norm")
    before = [p.copy() for p in model.params]
    train(model, Adam())
    assert changed(model, before) == [True, True, False, False, True, True]
    assert not model.layers[0].norm.running_mean.any()
    model.freeze("0")
    assert model.params.frozen == [0, 1, 2, 3]


def test_a_shared_weight_is_frozen_with_any_of_its_holders():
    ids = RNG.integers(0, 6, (4, 5))
    model = LanguageModel(6, 4, 4, tied=True, stateful=False, rng=0)
    W = model.layers[0].W
    for layer in model.layers[0], model.layers[-1]:
        model.freeze(layer)
        before, optimizer = W.copy(), Adam(0.1)
        for _ in range(3):
            model.forward(ids, ids)
            model.backward()
            optimizer.update(model.params, model.grads)
        assert np.array_equal(W, before)
        model.unfreeze()


def test_rows_that_adam_lets_drift_rest_while_frozen():
    """The momentum of an Embedding's rows neither moves them nor fades until they learn again."""
    model = Sequential(Embedding.init(9, 4, rng=0, dtype=np.float64), affine(4, 3, 0),
                       loss=SoftmaxWithLoss())
    optimizer, ids = Adam(0.1), np.arange(6) % 4

    def step():
        model.forward(ids, np.arange(6) % 3)
        model.backward()
        optimizer.update(model.params, model.grads)
    step()
    before, state = model.params[0].copy(), optimizer.state
    model.freeze("0")
    step()
    assert np.array_equal(model.params[0], before)
    np.testing.assert_allclose(optimizer.state["m.0"], state["m.0"])
    model.unfreeze()
    step()
    assert not np.array_equal(model.params[0], before)


def test_a_model_with_a_backward_of_its_own():
    model, ids = Seq2Seq(6, 4, 4, rng=0), RNG.integers(0, 6, (3, 4))
    model.freeze(model.encoder)
    before = [p.copy() for p in model.params]
    Trainer(model, Adam(0.1), metrics=()).fit(ids, ids, epochs=2, progress=False)
    frozen = {id(p) for p in model.encoder.params}
    assert changed(model, before) == [id(p) not in frozen for p in model.params]


def of(model):
    return [path for path, layer in held(model) if getattr(layer, "frozen", False)]


class TestFiles:
    @pytest.mark.parametrize("make", [chain, graph])
    @pytest.mark.parametrize("freeze, thaw", [
        ((), ()), (("0",), ()), (("0", "3"), ()), (("0", "1", "2", "3"), ("3",))])
    def test_what_is_frozen_comes_back_and_nothing_else(self, make, freeze, thaw, tmp_path):
        model, other = make(), make()
        model.freeze(*freeze)
        if thaw:
            model.unfreeze(*thaw)
        model.save(tmp_path / "m")
        other.freeze("4")
        other.load(tmp_path / "m")
        assert of(other) == of(model)
        assert [layer.training for layer in walk(other)] == [
            layer.training for layer in walk(model)]
        for m in model, other:
            train(m, Adam())
        assert all(map(np.array_equal, model.params, other.params))

    def test_inside_a_frozen_layer_one_may_learn(self, tmp_path):
        model, other = chain(), chain()
        model.freeze("3")
        model.unfreeze("3.0")
        model.save(tmp_path / "m")
        other.load(tmp_path / "m")
        assert of(other) == ["3", "3.1"]
        assert [layer.training for layer in other.layers[3].layers] == [True, False]

    def test_an_older_file_leaves_it_as_it_is(self, tmp_path):
        model = chain()
        model.freeze("0")
        model.save(tmp_path / "m")
        arrays, text = read_arrays("test", tmp_path / "m", "save")
        assert text.pop("frozen") == {"0": True}
        write_arrays(tmp_path / "m", arrays, text)
        model.freeze("1")
        model.load(tmp_path / "m")
        assert of(model) == ["0", "1"]

    def test_a_file_that_does_not_fit_freezes_nothing(self, tmp_path):
        model = chain()
        model.freeze("0")
        model.save(tmp_path / "m")
        other = Sequential(affine(4, 3, 0))
        with refused(ValueError, "… Sequential…"):
            other.load(tmp_path / "m")
        assert of(other) == []


class TestFit:
    def test_as_long_as_it_lasts(self):
        model = chain()
        model.freeze("4")
        trainer, before = Trainer(model, Momentum(0.1)), [p.copy() for p in model.params]
        trainer.fit(X, T, epochs=2, freeze=["0", model.layers[1]], progress=False)
        assert changed(model, before) == [False] * 4 + [True] * 2 + [False] * 2
        assert model.params.frozen == [6, 7]
        model.freeze("3")
        model.unfreeze("3.0")
        trainer.fit(X, T, epochs=1, freeze="3", progress=False)
        assert of(model) == ["3", "3.1", "4"]
        model.unfreeze("3")
        trainer.fit(X, T, epochs=1, progress=False)
        assert changed(model, before) == [True] * 6 + [False] * 2
        with refused(ValueError, "Trainer.fit: array 0 … batch 1 … epoch 5 … nan at index (0, 0)"):
            trainer.fit(batches=lambda: [(X * np.nan, T)], freeze="0", progress=False)
        assert model.params.frozen == [6, 7]

    def test_accumulated_and_clipped(self):
        model = chain()
        before = [p.copy() for p in model.params]
        history = Trainer(model, Adam()).fit(X, T, epochs=2, batch_size=4, accumulate=2, freeze="0",
                                             max_grad_norm=1e-3, progress=False)
        assert changed(model, before) == [False] * 2 + [True] * 6
        assert min(history.steps["grad_norm"]) > 1e-3

    @pytest.mark.parametrize("freeze, message", [
        ("7", "layers … names, '0', …"), ([ReLU()], "ReLU()…"), (3, "3…"), (["0", "1", "3", "4"], "learns")])
    def test_what_cannot_be_frozen(self, freeze, message):
        model = chain()
        with refused(ValueError, f"… freeze … {message}"):
            Trainer(model, SGD()).fit(X, T, freeze=freeze, progress=False)
        assert not model.params.frozen

    def test_models_that_cannot(self):
        class Own:
            params, grads = [np.ones(1)], [np.zeros(1)]

            def forward(self, x, t):
                return 0.0

            def backward(self):
                pass
        with refused(TypeError, "… freeze … model … the class Own…"):
            Trainer(Own(), SGD()).fit(X, T, freeze="0", progress=False)
