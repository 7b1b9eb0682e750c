"""`accumulate=k` makes the step of a batch k times as large, for every loss and uneven batches."""
import inspect
import itertools

import numpy as np
import pytest

from chainrule import layers
from chainrule.common import L1, L2
from chainrule.layers import Affine, ReLU, SigmoidWithLoss, Softmax, SoftmaxWithLoss
from chainrule.layers.losses import Loss
from chainrule.models import CBOW, Graph, Input, LanguageModel, Seq2Seq, Sequential, SkipGram
from chainrule.optimizers import SGD
from chainrule.training import Trainer

RNG = np.random.default_rng(0)
X, Y, T = RNG.standard_normal((33, 4)), RNG.standard_normal((33, 3)), np.arange(33) % 3
P, IDS = np.abs(Y) / np.abs(Y).sum(axis=1, keepdims=True), RNG.integers(0, 6, (33, 5))
CUTS = [0, 1, 4, 20, 33]

TARGETS = {                                            # of every loss: its options, and targets
    "SoftmaxWithLoss": [({}, T), ({}, P), ({"ignore_label": 2}, T)],
    "SigmoidWithLoss": [({}, Y > 0)],
    "SquaredError": [({}, Y)], "Huber": [({"delta": 0.3}, Y)], "HingeLoss": [({}, T)],
    "NormLoss": [({"p": 1}, Y), ({"p": 2}, Y), ({"p": np.inf}, Y)], "KLDivergence": [({}, P)],
    "CosineLoss": [({}, Y)],
}


def test_every_loss_is_in_the_table():
    exported = [getattr(layers, name) for name in layers.__all__]
    losses = [c for c in exported if inspect.isclass(c) and issubclass(c, Loss) and c is not Loss]
    assert {c.__name__ for c in losses} == set(TARGETS)


def steps(make, arrays, accumulate, **options):
    """The model and the history of two epochs of two steps each."""
    model = make()
    cuts = CUTS if accumulate else [0, 33]
    batches = [tuple(a[i:j] for a in arrays) for i, j in itertools.pairwise(cuts)]
    trainer = Trainer(model, SGD(0.01), metrics=())
    history = trainer.fit(batches=lambda: 2 * batches, accumulate=4 if accumulate else 1, epochs=2,
                          progress=False, **options)
    return model, history


def check(make, arrays, tolerance=1e-12, **options):
    (one, whole), (several, parts) = (steps(make, arrays, k, **options) for k in (False, True))
    np.testing.assert_allclose(parts.steps["loss"], whole.steps["loss"], rtol=tolerance)
    for p, q in zip(one.params, several.params, strict=True):
        np.testing.assert_allclose(p, q, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("penalty", [None, L1(0.1), L2(0.1)], ids=repr)
@pytest.mark.parametrize("name, options, t",
                         [(name, *row) for name, rows in TARGETS.items() for row in rows])
class TestEveryLoss:
    def make(self, name, options, penalty, reduction, dtype=np.float64):
        loss = getattr(layers, name)(**options, reduction=reduction)
        first, second = (Affine.init(*n, rng=n[0], dtype=dtype) for n in ((4, 5), (5, 3)))
        end = [Softmax()] if name == "KLDivergence" else []
        return Sequential(first, ReLU(), second, *end, loss=loss, penalty=penalty)

    def test_in_float64(self, name, options, t, penalty, reduction):
        check(lambda: self.make(name, options, penalty, reduction), (X, t))

    def test_in_float32_to_six_digits(self, name, options, t, penalty, reduction):
        check(lambda: self.make(name, options, penalty, reduction, np.float32), (X, t), 1e-6)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_weighed_clipped_and_frozen(reduction):
    def make():
        model = Sequential(Affine.init(4, 5, rng=0, dtype=np.float64), ReLU(),
                           Affine.init(5, 3, rng=1, dtype=np.float64),
                           loss=SoftmaxWithLoss(reduction=reduction), penalty=L2(0.1))
        model.freeze("0")
        return model
    check(make, (X, T), class_weight={0: 3.0, 2: 0.0}, max_grad_norm=0.1)


def test_labels_that_are_all_ignored_leave_the_penalty():
    t = np.full(33, -1)
    check(lambda: Sequential(Affine.init(4, 3, rng=0, dtype=np.float64), penalty=L2(0.5),
                             loss=SoftmaxWithLoss(ignore_label=-1)), (X, t))


def penalised(**options):
    return Sequential(Affine.init(4, 3, rng=0, dtype=np.float64), penalty=L2(0.5),
                      loss=SoftmaxWithLoss(ignore_label=-1, **options))


@pytest.mark.parametrize("accumulate, steps", [(1, 12), (3, 4)])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_if_no_row_counts_the_loss_is_the_penalty(reduction, accumulate, steps):
    """As forward says it, at each step, in each epoch and in evaluate."""
    model, t = penalised(reduction=reduction), np.full(33, -1)
    trainer, first = Trainer(model, SGD(0.1), metrics=()), model.forward(X, t)
    assert first > 0 and trainer.evaluate(X, t, batch_size=9) == {"loss": first}
    history = trainer.fit(X, t, epochs=2, batch_size=6, accumulate=accumulate, rng=0,
                          progress=False)
    losses = first * (1 - 0.1 * 0.5) ** (2 * np.arange(steps))     # each step: W is (1 - ηλ) W
    np.testing.assert_allclose(history.steps["loss"], losses)
    np.testing.assert_allclose(history.epochs["loss"], losses.reshape(2, -1).mean(axis=1))


def test_a_batch_whose_weights_are_all_zero_costs_the_penalty():
    model, w = penalised(), np.arange(33) == 3
    penalty, whole = model.forward(X, np.full(33, -1)), model.forward(X, T, weight=w)
    model.freeze("0")
    history = Trainer(model, SGD(0.1), metrics=()).fit(
        X, T, epochs=1, batch_size=6, rng=0, progress=False, sample_weight=w)
    np.testing.assert_allclose(sorted(history.steps["loss"]), [*[penalty] * 5, whole])
    np.testing.assert_allclose(history.epochs["loss"], whole)


def test_losses_of_graphs():
    def make():
        x, t = Input(), Input()
        y = Affine.init(4, 3, rng=0, dtype=np.float64)(x)
        a, b = SoftmaxWithLoss(ignore_label=2)(y, t), SoftmaxWithLoss(ignore_label=2)(ReLU()(y), t)
        return Graph(x, y, t, loss=a + 0.3 * b)
    check(make, (X, T))


@pytest.mark.parametrize("make, arrays", [
    (lambda: LanguageModel(6, 4, 4, stateful=False, rng=0, dtype=np.float64), (IDS, IDS)),
    (lambda: Seq2Seq(6, 4, 4, rng=0, dtype=np.float64), (IDS, IDS, IDS > -1, IDS < 5)),
    (lambda: CBOW(6, dimension=4, rng=0, dtype=np.float64), (IDS[:, :2], IDS[:, 2])),
    (lambda: SkipGram(6, dimension=4, rng=0, dtype=np.float64), (IDS[:, 2], IDS[:, 3])),
], ids=["LanguageModel", "Seq2Seq", "CBOW", "SkipGram"])
def test_models_of_text(make, arrays):
    check(make, arrays)


def test_batches_of_any_length_in_time():
    """Rows are counted, not samples: here each batch has sequences of its own length."""
    def make():
        return Sequential(Affine.init(4, 1, rng=0, dtype=np.float64), loss=SigmoidWithLoss())
    x, t = RNG.standard_normal((3, 10, 4)), RNG.integers(0, 2, (3, 10, 1))
    parts = [(x[:, i:j], t[:, i:j]) for i, j in itertools.pairwise([0, 1, 7, 10])]
    models = [make(), make()]
    for model, batches, k in zip(models, ([(x, t)], parts), (1, 3)):
        Trainer(model, SGD(0.1), metrics=()).fit(
            batches=lambda batches=batches: batches, accumulate=k, epochs=1, progress=False)
    for p, q in zip(*(m.params for m in models), strict=True):
        np.testing.assert_allclose(p, q, rtol=1e-12)
