"""What `fit` makes of its samples: some set aside, each with its weight, new ones from old."""
import functools
from collections import Counter

import numpy as np
import pytest

from chainrule.common import accuracy
from chainrule.datasets import random_shifts
from chainrule.layers import Affine, Flatten, SigmoidWithLoss, SoftmaxWithLoss, SquaredError
from chainrule.models import Graph, Input, LanguageModel, Sequential
from chainrule.optimizers import SGD, Momentum
from chainrule.training import Checkpoint, Trainer, batches
from chainrule.training.data import class_weights, labels_of, set_aside
from tests.errors import refused

RNG = np.random.default_rng(0)
X = RNG.standard_normal((30, 4))
T = np.arange(30) % 3
W = RNG.integers(0, 4, 30)


def net(loss=None, n=3, seed=0):
    return Sequential(Affine.init(4, n, rng=seed, dtype=np.float64), loss=loss or SoftmaxWithLoss())


def fit(model, x, t, **options):
    trainer = Trainer(model, SGD(0.3), metrics=())
    trainer.fit(x, t, **{"epochs": 2, "batch_size": 30, "rng": 0, "progress": False} | options)
    return trainer


def same(model, other):
    for p, q in zip(model.params, other.params, strict=True):
        np.testing.assert_allclose(p, q, rtol=1e-10, atol=1e-12)


def test_a_weight_is_worth_as_many_copies():
    weighed = fit(net(), X, T, sample_weight=W)
    copies = fit(net(), np.repeat(X, W, axis=0), np.repeat(T, W), batch_size=200)
    same(weighed.model, copies.model)
    np.testing.assert_allclose(weighed.history["loss"], copies.history["loss"])


def test_weights_in_small_batches_make_the_mean_of_an_epoch():
    history = Trainer(net(), SGD(1e-30), metrics=()).fit(
        X, T, sample_weight=W, batch_size=7, epochs=1, progress=False)
    assert history["loss"][0] == pytest.approx(net().forward(X, T, weight=W))


@pytest.mark.parametrize("t", [T, np.eye(3)[T], T[:, None] == np.arange(3)], ids=str)
def test_class_weights_are_weights_of_samples(t):
    by_sample = fit(net(), X, T, sample_weight=np.array([1.0, 5.0, 0.5])[T]).model
    t = t.astype(float) if t.dtype == bool else t
    for given in {1: 5.0, 2: 0.5}, [1.0, 5.0, 0.5]:
        same(fit(net(), X, t, class_weight=given).model, by_sample)
    both = fit(net(), X, t, class_weight={1: 5.0, 2: 0.5}, sample_weight=W).model
    same(both, fit(net(), X, T, sample_weight=W * np.array([1.0, 5.0, 0.5])[T]).model)
    of_batches = Trainer(net(), SGD(0.3), metrics=())
    of_batches.fit(batches=lambda: [(X, t.tolist())], class_weight=[1.0, 5.0, 0.5], epochs=2, progress=False)
    same(of_batches.model, by_sample)


def test_balanced_classes_weigh_alike():
    t = np.array([0] * 6 + [1] * 2 + [2, -1])
    weight = class_weights("balanced", t)
    np.testing.assert_allclose([weight[t == c].sum() for c in range(3)], 3)
    assert weight[-1] == 1


def test_weights_of_binary_targets_and_of_sequences():
    t = (X[:, :1] > 0).astype(float)
    same(fit(net(SigmoidWithLoss(), 1), X, t, class_weight={1: 3.0}).model,
         fit(net(SigmoidWithLoss(), 1), X, t, sample_weight=1 + 2 * t).model)
    ids = RNG.integers(0, 5, (6, 7))
    models = [LanguageModel(5, 4, 4, rng=0, stateful=False, dtype=np.float64) for _ in range(2)]
    fit(models[0], ids, ids, sample_weight=np.arange(6), class_weight={2: 3.0})
    fit(models[1], ids, ids, sample_weight=np.arange(6)[:, None] * np.where(ids == 2, 3.0, 1.0))
    same(*models)


def test_every_loss_of_a_graph_is_weighed():
    def graph():
        x, t = Input(), Input()
        y = Affine.init(4, 3, rng=0, dtype=np.float64)(x)
        return Graph(x, y, t, loss=SoftmaxWithLoss()(y, t) + 0.5 * SoftmaxWithLoss()(y, t))
    weighed = fit(graph(), X, T, sample_weight=W, batch_size=8)
    np.testing.assert_allclose(weighed.evaluate(X, T, sample_weight=W)["loss"],
                               weighed.model.forward(np.repeat(X, W, axis=0), np.repeat(T, W)))
    x, t = Input(), Input()
    with refused(TypeError, "Graph: weight … loss layers…"):
        Graph(x, x, t, loss=x * t).forward(2.0, 3.0, weight=1.0)


class TestValidationSplit:
    def test_the_last_samples_of_every_class(self):
        t = np.array([0] * 10 + [1] * 20 + [2] * 5)
        aside = set_aside(t, 0.2)
        assert np.flatnonzero(aside).tolist() == [8, 9, 26, 27, 28, 29, 34]
        assert np.array_equal(set_aside(np.eye(3)[t], 0.2), aside)

    @pytest.mark.parametrize("t", [X, np.arange(30), RNG.integers(0, 9, (30, 4))], ids=len)
    def test_the_last_ones_where_targets_are_no_labels(self, t):
        assert np.flatnonzero(set_aside(t, 0.1)).tolist() == [27, 28, 29]

    def test_a_class_of_one_sample_is_trained_on(self):
        aside = set_aside(np.array([0] * 9 + [7] + [1] * 10), 0.25)
        assert aside.sum() == 5 and not aside[9]

    def test_before_shuffling(self):
        aside = set_aside(T, 0.3)
        split = fit(net(), X, T, validation_split=0.3, batch_size=4, sample_weight=W)
        by_hand = fit(net(), X[~aside], T[~aside], batch_size=4, sample_weight=W[~aside])
        same(split.model, by_hand.model)
        expected = by_hand.evaluate(X[aside], T[aside], sample_weight=W[aside])["loss"]
        assert split.history["val_loss"][-1] == pytest.approx(expected)
        assert expected == pytest.approx(by_hand.model.forward(X[aside], T[aside], weight=W[aside]))

    def test_several_inputs(self):
        a, b = Input(), Input()
        layer = functools.partial(Affine.init, 4, 3, dtype=np.float64)
        model = Graph([a, b], layer(rng=0)(a) + layer(rng=1)(b), loss=SoftmaxWithLoss())
        assert len(fit(model, (X, X), T, validation_split=0.5).history["val_loss"]) == 2


class TestAugment:
    def test_images_that_move(self):
        images = RNG.random((20, 1, 5, 5)).astype(np.float32)
        models = [Sequential(Flatten(), Affine.init(25, 3, rng=0), loss=SoftmaxWithLoss())
                  for _ in range(2)]
        by_one = functools.partial(random_shifts, most=1)
        fit(models[0], images, T[:20], augment=by_one, batch_size=8)
        rng, optimizer = np.random.default_rng(0), SGD(0.3)
        for _ in range(2):
            for x, t in batches(images, T[:20], batch_size=8, rng=rng):
                models[1].forward(random_shifts(x, rng, most=1), t)
                models[1].backward()
                optimizer.update(models[1].params, models[1].grads)
        same(*models)

    def test_functions_of_two_arguments_and_batches_of_the_users(self):
        seen = []

        def noisy(batch, generator):
            seen.append(generator.integers(1000))
            return batch + 1
        shifted = Trainer(net(), SGD(0.3), metrics=())
        shifted.fit(batches=lambda: [(X, T)], augment=noisy, rng=5, epochs=2, progress=False)
        same(shifted.model, fit(net(), X + 1, T).model)
        assert seen == np.random.default_rng(5).integers(1000, size=2).tolist()


@pytest.mark.parametrize("options, error, message", [
    ({"validation_split": 0.001, "x": X[:1], "t": T[:1]}, ValueError, "validation_split … 0 and 1 … 1 samples … 0.001"),
    ({"validation_split": 1.0}, ValueError, "validation_split … 0 and 1 … 30 samples … 1.0"),
    ({"validation_split": "0.1"}, TypeError, "validation_split … '0.1'"),
    ({"validation_split": 0.1, "validation_data": (X, T)}, ValueError, "… validation_data … validation_split"),
    ({"sample_weight": W[:-1]}, ValueError, "sample_weight … (30, ...) … (29,)"),
    ({"sample_weight": -W}, ValueError, "sample_weight … 0 … -3.0"),
    ({"sample_weight": 0 * W}, ValueError, "sample_weight … zeros … 0.0"),
    ({"sample_weight": np.where(W, 1, np.nan)}, ValueError, "sample_weight … nan at index (2,)"),
    ({"class_weight": "balance"}, ValueError, 'class_weight … "balanced" … \'balance\'…'),
    ({"class_weight": {0: 0, 1: 0, 2: 0}}, ValueError, "class_weight … more than 0 … dict…"),
    ({"class_weight": [1, 2]}, ValueError, "class_weight … class 2 … 2 weights…"),
    ({"class_weight": {"a": 2}}, TypeError, "… key of class_weight … 'a'"),
    ({"class_weight": {0: -1}}, ValueError, "class_weight[0] … 0 … -1"),
    ({"class_weight": 3.0}, TypeError, "class_weight … dict … 3.0…"),
    ({"class_weight": {0: 2}, "t": X}, TypeError, "class_weight … labels … (30, 4)"),
    ({"augment": 3}, TypeError, "augment … 3; … augment=random_shifts…"),
    ({"augment": len}, TypeError, "augment … builtin_function_or_method…"),
    ({"augment": lambda x, rng: x[1:]}, TypeError, "augment … 1 array … 30 samples…"),
    ({"augment": lambda x, rng: None}, TypeError, "augment … None…"),
    ({"x": None, "t": None, "batches": lambda: [(X, T)], "sample_weight": W}, ValueError,
     "sample_weight … batches=…"),
    ({"x": None, "t": None, "batches": lambda: [(X, T)], "validation_split": 0.1}, ValueError,
     "validation_split … batches=…"),
])
def test_what_cannot_be_is_refused(options, error, message):
    model = net()
    with refused(error, f"Trainer.fit: {message}"):
        Trainer(model, SGD(0.3)).fit(**{"x": X, "t": T, "progress": False} | options)
    same(model, net())


def test_models_and_losses_without_weights_are_named():
    class Own:
        params, grads = [np.ones(1)], [np.zeros(1)]

        def forward(self, x, t):
            return 0.0

        def backward(self):
            pass

    class OldLoss(SquaredError):
        def forward(self, x, t):
            return super().forward(x, t)
    with refused(TypeError, "Trainer.fit: … forward of Own … forward(x, t, weight=None)"):
        fit(Own(), X, T, class_weight={0: 2})
    with refused(TypeError, "OldLoss: … forward(self, x, t, weight=None)"):
        fit(net(OldLoss()), X, X[:, :3], sample_weight=W)


def test_metrics_know_no_weights():
    trainer = Trainer(net(), SGD(0.1))
    expected = accuracy(trainer.model.predict(X), T)
    assert trainer.evaluate(X, T, sample_weight=W)["accuracy"] == expected


def test_labels_are_recognised():
    assert labels_of(np.array([[1.0], [0.0]])).tolist() == [[1], [0]]
    assert Counter(labels_of(np.eye(3)[T]).tolist()) == Counter(T.tolist())
    assert labels_of(X) is None and labels_of(T) is T


@pytest.mark.parametrize("of_batches", [False, True])
def test_a_training_goes_on_in_the_middle_of_an_epoch(of_batches, tmp_path):
    """Augmentation draws on, weights and frozen layers are as before: equal to the last bit."""
    def train(*callbacks, resume=False):
        trainer = Trainer(net(), Momentum(0.1), metrics=())
        if resume:
            trainer.resume(tmp_path / "run")
        data = {"x": X, "t": T, "batch_size": 4, "sample_weight": W, "validation_split": 0.2}
        if of_batches:
            data = {"batches": lambda: batches(X, T, batch_size=4, shuffle=False)}
        trainer.fit(**data, epochs=3, class_weight={1: 2.0}, rng=0, progress=False, accumulate=2,
                    augment=lambda x, rng: x + rng.normal(0, 0.1, x.shape), callbacks=callbacks)
        return trainer
    whole = train()
    train(Checkpoint(tmp_path / "run", every=5))
    again = train(Checkpoint(tmp_path / "run", every=5), resume=True)
    for p, q in zip(whole.model.params, again.model.params, strict=True):
        assert np.array_equal(p, q)
    assert whole.history.steps == again.history.steps
    assert whole.history.epochs == again.history.epochs
