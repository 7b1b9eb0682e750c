"""The Trainer writes the same three lines as anyone would by hand, keeps a record, and refuses bad data before it starts."""
import csv
import functools
import weakref
from itertools import islice, repeat
from pathlib import Path

import numpy as np
import pytest

from chainrule.common import L2, accuracy, confusion_matrix, perplexity, r2, roc_auc, top_k_accuracy
from chainrule.datasets import text_batches
from chainrule.layers import Affine, Dropout, ReLU, SoftmaxWithLoss, SquaredError
from chainrule.models import CBOW, Graph, Input, LanguageModel, Seq2Seq, Sequential, SkipGram
from chainrule.optimizers import SGD, Adam, step_decay
from chainrule.training import EarlyStopping, History, Trainer, answers, batches
from tests.errors import refused


def network(seed=0, **options):
    return Sequential(Affine.init(3, 8, rng=seed, dtype=np.float64), ReLU(), Affine.init(8, 4, rng=seed + 1, dtype=np.float64),
                      **({"loss": SoftmaxWithLoss()} | options))


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((22, 3))
    return x, (x[:, 0] > 0) + 2 * (x[:, 1] > 0)


def fit(trainer, data, **options):
    return trainer.fit(*data, **({"epochs": 3, "batch_size": 5, "rng": 1, "progress": False} | options))


def test_fit_is_the_three_lines_over_shuffled_batches(data):
    by_hand, optimizer, rng = network(), SGD(0.3), np.random.default_rng(1)
    losses = []
    for _ in range(3):
        for x, t in batches(*data, batch_size=5, rng=rng):
            losses.append(by_hand.forward(x, t))
            by_hand.backward()
            optimizer.update(by_hand.params, by_hand.grads)
    trainer = Trainer(network(), SGD(0.3))
    history = fit(trainer, data)
    assert history.steps["loss"] == losses and len(losses) == 3 * 5          # 22 samples: the last batch has 2
    for p, q in zip(by_hand.params, trainer.model.params, strict=True):
        np.testing.assert_array_equal(p, q)


def test_the_history_of_epochs_and_steps(data):
    trainer = Trainer(network(), SGD(step_decay(0.3, every=5)), metrics=(accuracy, functools.partial(top_k_accuracy, k=2)))
    history = fit(trainer, data, validation_data=(data[0][:7], data[1][:7]), max_grad_norm=0.1)
    assert list(history.epochs) == ["epoch", "loss", "accuracy", "top_k_accuracy",
                                    "val_loss", "val_accuracy", "val_top_k_accuracy"]
    assert history["epoch"] == [1, 2, 3] and len(history) == 3 and history is trainer.history
    weights = np.array([5, 5, 5, 5, 2]) / 22
    np.testing.assert_allclose(history["loss"], np.reshape(history.steps["loss"], (3, 5)) @ weights)
    assert history.steps["step"] == list(range(1, 16))
    np.testing.assert_allclose(history.steps["epoch"], np.arange(1, 16) / 5)
    np.testing.assert_allclose(history.steps["lr"], np.repeat([0.3, 0.03, 0.003], 5))
    assert min(history.steps["grad_norm"]) > 0.1          # the norm before clipping
    assert history["val_loss"][-1] == trainer.evaluate(data[0][:7], data[1][:7])["loss"]


def test_accuracy_in_the_history_is_over_all_samples_of_the_epoch(data):
    history = fit(Trainer(network(), SGD(1e-12)), data)          # a model that stands still
    assert history["accuracy"][0] == pytest.approx(accuracy(network().forward(data[0]), data[1]))


def words():
    return text_batches(np.arange(60) % 7, batch_size=2, steps=4)          # 29 in a row: the last batch has one step of time


def test_means_over_batches_of_different_lengths_are_exact():
    model, top_3 = LanguageModel(7, 8, 8, rng=0), functools.partial(top_k_accuracy, k=3)
    history = Trainer(model, SGD(1e-12), metrics=(accuracy, top_3, perplexity)).fit(batches=words, epochs=1, progress=False)
    x, t = (np.concatenate(arrays, axis=1) for arrays in zip(*words()))
    y = model.predict(x)
    assert history["accuracy"] == [accuracy(y, t)] and history["top_k_accuracy"] == [top_3(y, t)]
    np.testing.assert_allclose(history["perplexity"], [perplexity(y, t)], rtol=1e-6)


def test_ignored_labels_do_not_count_in_a_mean(data):
    x, t = data
    t = np.where(np.arange(22) < 13, -1, t)          # in batches of 5: none, none, two and five labels, and two
    model, metric = network(loss=SoftmaxWithLoss(ignore_label=-1)), functools.partial(accuracy, ignore_label=-1)
    trainer = Trainer(model, SGD(), metrics=[metric])
    assert trainer.evaluate(x, t, batch_size=5)["accuracy"] == metric(model.predict(x), t)
    assert np.isnan(trainer.evaluate(x[:13], t[:13], batch_size=5)["accuracy"])


def test_any_other_metric_sees_all_samples_at_once(data):
    x, t = data[0], (data[0][:, :1] > 0).astype(float)
    model = Sequential(Affine.init(3, 1, rng=0, dtype=np.float64), loss=SquaredError())
    shown = Trainer(model, SGD(), metrics=(roc_auc, r2)).evaluate(x, t, batch_size=5)
    assert (shown["roc_auc"], shown["r2"]) == (roc_auc(model.predict(x), t), r2(model.predict(x), t))


def test_the_scores_of_an_epoch_are_not_kept(data):
    trainer, outputs, alive = Trainer(network(), SGD()), [], []

    def epoch():
        for batch in batches(*data, batch_size=2):
            yield batch
            outputs.append(weakref.ref(trainer.model.output))
            alive.append(sum(output() is not None for output in outputs))
    trainer.fit(batches=epoch, epochs=1, progress=False)
    assert alive == [1] * 11


def test_an_epoch_without_batches_is_refused():
    once, message = words(), "Trainer.fit: batches() … 2 … batches=lambda: text_batches(ids)"
    trainer = Trainer(LanguageModel(7, 8, 8, rng=0), SGD())
    with refused(ValueError, message):
        trainer.fit(batches=lambda: once, epochs=4, progress=False)
    assert len(trainer.history) == 1
    with refused(ValueError, message):
        trainer.fit(batches=list, epochs=2, progress=False)


ids = np.random.default_rng(0).integers(0, 6, (20, 3))
negative = {"dimension": 8, "counts": np.ones(6), "negatives": 2, "rng": 0}


@pytest.mark.parametrize("model, x, t, reason", [
    (SkipGram(6, dimension=8, rng=0), ids[:, 0], ids, "accuracy: t … (20,) … (20, 3))"),
    (Seq2Seq(6, 4, 4, rng=0), ids, ids, "accuracy: t … (20, 2) … (20, 3))"),
    (Seq2Seq(6, 4, 4, rng=0), (ids, ids, ids > -1), ids > -1, "accuracy: t … bool"),
])
def test_a_model_whose_output_does_not_suit_is_refused_at_the_first_batch(model, x, t, reason):
    message = f"… accuracy … {type(model).__name__} … ({reason} … Trainer(model, optimizer, metrics=())"
    trainer = Trainer(model, Adam())
    with refused(ValueError, f"Trainer.fit: {message}"):
        trainer.fit(x, t, batch_size=20, progress=False)
    assert not trainer.history.steps["epoch"]
    with refused(ValueError, f"Trainer.evaluate: {message}"):
        trainer.evaluate(x, t)
    history = Trainer(model, Adam(), metrics=()).fit(x, t, epochs=2, validation_data=(x, t), progress=False)
    assert list(history.epochs) == ["epoch", "loss", "val_loss"]


@pytest.mark.parametrize("model, x, t", [(CBOW(6, **negative), ids, ids[:, 0]), (SkipGram(6, **negative), ids[:, 0], ids[:, 1])])
def test_a_model_that_keeps_no_output_is_trained_without_accuracy(model, x, t):
    history = Trainer(model, Adam()).fit(x, t, epochs=2, validation_data=(x, t), progress=False)
    assert list(history.epochs) == ["epoch", "loss", "val_loss"]
    with refused(TypeError, f"Trainer.fit: {type(model).__name__} … no output…"):
        Trainer(model, Adam(), metrics=(r2,)).fit(x, t, epochs=1, progress=False)


def test_batches_that_make_no_array_for_a_metric_of_the_whole_are_refused(data):
    message = "Trainer.fit: … r2 … {} … one array…"
    with refused(ValueError, message.format("LanguageModel")):
        Trainer(LanguageModel(7, 8, 8, rng=0), SGD(), metrics=(r2,)).fit(batches=words, epochs=1, progress=False)
    x, t = Input(), Input()
    y = Affine.init(3, 4, rng=0, dtype=np.float64)(x)
    with refused(ValueError, message.format("Graph")):
        fit(Trainer(Graph(x, [y, y + y], t, loss=SoftmaxWithLoss()(y, t)), SGD(), metrics=(r2,)), data, batch_size=22)


def test_each_epoch_begins_from_fresh_states(data):
    class Reader:
        params, grads, begun = (), (), 0

        def forward(self, x):
            return x

        def backward(self, dout):
            return dout

        def reset_state(self):
            self.begun += 1
    reader = Reader()
    fit(Trainer(Sequential(reader, *network().layers, loss=SoftmaxWithLoss()), SGD(0.1)), data, epochs=3)
    assert reader.begun == 3


def test_samples_do_not_follow_each_other_in_evaluate():
    trainer = Trainer(LanguageModel(6, 8, 8, rng=0), SGD(), metrics=())
    assert trainer.evaluate(ids, ids, batch_size=5)["loss"] == pytest.approx(trainer.evaluate(ids, ids)["loss"], rel=1e-6)


def test_an_epoch_without_end_is_mentioned():
    endless = answers.batches(lambda: repeat((0, 0)), epoch=1)
    assert sum(1 for _ in islice(endless, 1_000_000)) == 1_000_000
    with pytest.warns(UserWarning, match="passed a million batches .* steps_per_epoch="):
        next(endless)


def test_a_metric_of_the_whole_that_fails_is_named(data):
    with refused(ValueError, "Trainer.fit: … r2 … Sequential … (r2: t … (22, 4) … (22,))…"):
        fit(Trainer(network(), SGD(), metrics=(r2,)), data)
    with refused(ValueError, "Trainer.fit: … fifth … Sequential … (index 4 … 4)…"):
        fit(Trainer(network(), SGD(), metrics={"fifth": lambda y, t: y[:, 4].mean()}), data)


def top(k):
    return functools.partial(top_k_accuracy, k=k)


def test_a_dict_gives_metrics_their_names(data):
    metrics = {"top 1": top(1), "top 2": top(2), "right": lambda y, t: np.float32(np.sum(y.argmax(axis=1) == t)),
               "all": lambda y, t: np.all(y.argmax(axis=1) == t)}
    trainer = Trainer(network(), SGD(1e-12), metrics)
    history = fit(trainer, data, epochs=1, validation_data=data)
    values = {name: metric(network().forward(data[0]), data[1]) for name, metric in metrics.items()}
    assert {name: history[name][0] for name in metrics} == values == {name: history[f"val_{name}"][0] for name in metrics}
    assert list(trainer.evaluate(*data)) == ["loss", *metrics] and type(history["right"][0]) is float


@pytest.mark.parametrize("metrics, error, message", [
    ([accuracy, top(1), roc_auc, top(2)], ValueError,
     "metrics[1] and metrics[3] … 'top_k_accuracy' for both … metrics={\"top_1\": f, \"top_5\": g}"),
    ([lambda y, t: 0.0, lambda y, t: 1.0], ValueError, "metrics[0] and metrics[1] … '<lambda>' for both…"),
    *[({"a": accuracy, name: accuracy}, ValueError, f"metrics[1] … {name!r}…")
      for name in ("loss", "epoch", "step", "lr", "grad_norm", "val_accuracy")],
    ({1: top(1)}, TypeError, "metrics … 1…"),
    ({"a": accuracy, "b": 0.5}, TypeError, "metrics[1] … 0.5…"),
])
def test_a_metric_takes_no_other_column_of_the_history(metrics, error, message):
    with refused(error, f"Trainer: {message}"):
        Trainer(network(), SGD(), metrics)


@pytest.mark.parametrize("metric, got", [
    (confusion_matrix, "an array of shape (4, 4)"), (lambda y, t: None, "None"), (lambda y, t: "good", "'good'"),
    (lambda y, t: (0.5, 0.6), "a tuple of length 2"), (lambda y, t: [[1], [1, 2]], "a list of length 2"),
])
def test_a_metric_returns_one_number(metric, got, data):
    message = f"… metric {'confusion_matrix' if metric is confusion_matrix else '<lambda>'} … {got}…"
    trainer = Trainer(network(), SGD(0.1), metrics=(accuracy, metric))
    with refused(TypeError, f"Trainer.evaluate: {message}"):
        trainer.evaluate(*data)
    with refused(TypeError, f"Trainer.fit: {message}"):
        fit(trainer, data)
    assert len(trainer.history.steps["loss"]) == len(trainer.history.steps["epoch"]) == 5          # the first epoch is on record
    assert repr(trainer.history) == "History(0 epochs)"


def test_a_function_around_a_metric_has_its_own_values(data):
    @functools.wraps(accuracy)
    def error(y, t):
        return 1 - accuracy(y, t)
    trainer = Trainer(network(), SGD(), metrics={"right": accuracy, "wrong": error})
    assert trainer.evaluate(*data)["wrong"] == 1 - trainer.evaluate(*data)["right"]


def test_what_stands_in_a_partial_comes_first(data):
    fixed = functools.partial(accuracy, network(5).predict(data[0]), data[1])          # then output and target are too many
    with refused(ValueError, "Trainer.evaluate: … accuracy … Sequential … 2 to 3 … 4…"):
        Trainer(network(), SGD(), [fixed]).evaluate(*data)


class OwnModel:
    """A student's model, which keeps its output or does not."""

    def __init__(self, keep):
        self.layer, self.loss_layer, self.keep = Affine.init(3, 4, rng=0), SoftmaxWithLoss(), keep
        self.params, self.grads = self.layer.params, self.layer.grads

    def forward(self, x, t):
        y = self.layer.forward(x)
        if self.keep:
            self.output = y
        return self.loss_layer.forward(y, t)

    def backward(self):
        self.layer.backward(self.loss_layer.backward())


def test_a_model_of_ones_own_has_metrics_from_the_first_epoch_if_it_keeps_its_output(data):
    assert len(fit(Trainer(OwnModel(keep=True), SGD()), data)["accuracy"]) == 3
    for metrics in {}, {"metrics": ()}:
        assert list(fit(Trainer(OwnModel(keep=False), SGD(), **metrics), data).epochs) == ["epoch", "loss"]
    trainer = Trainer(OwnModel(keep=False), SGD(), metrics=[accuracy, perplexity])
    with refused(TypeError, "Trainer.fit: OwnModel … no output … self.output = y…"):
        fit(trainer, data)


def test_clipping_bounds_the_step(data):
    trainer = Trainer(network(), SGD(1.0))
    before = [p.copy() for p in trainer.model.params]
    fit(trainer, data, epochs=1, batch_size=22, max_grad_norm=0.01)
    moved = np.sqrt(sum(np.sum((p - q) ** 2) for p, q in zip(trainer.model.params, before, strict=True)))
    assert moved == pytest.approx(0.01)


def test_accumulated_batches_count_as_one(data):
    whole, parts = (Trainer(network(penalty=L2(0.1)), SGD(0.3)) for _ in range(2))
    fit(whole, data, batch_size=15, batches=None)
    history = parts.fit(epochs=3, accumulate=3, progress=False, batches=regroup(data, 15, 5))
    assert len(history.steps["step"]) == 6
    np.testing.assert_allclose(history.steps["loss"], whole.history.steps["loss"])
    for p, q in zip(whole.model.params, parts.model.params, strict=True):
        np.testing.assert_allclose(p, q)


def regroup(data, large, small):
    """The batches that ``fit`` would draw with ``rng=1``, each cut into smaller ones."""
    rng = np.random.default_rng(1)

    def epoch():
        for batch in batches(*data, batch_size=large, rng=rng):
            yield from batches(*batch, batch_size=small, shuffle=False)
    return epoch


def test_ignored_rows_do_not_weigh(data):
    x, t = data
    t = np.where(np.arange(22) < 10, -1, t)
    model = network(loss=SoftmaxWithLoss(ignore_label=-1))
    trainer = Trainer(model, SGD(0.1), metrics=())
    assert trainer.evaluate(x, t, batch_size=4)["loss"] == pytest.approx(model.forward(x, t))


def test_batches_in_which_every_label_is_ignored_change_nothing(data):
    trainer = Trainer(network(loss=SoftmaxWithLoss(ignore_label=-1)), SGD(0.1), metrics=())
    before = [p.copy() for p in trainer.model.params]
    fit(trainer, (data[0], np.full(22, -1)), epochs=1, batch_size=4, accumulate=2)
    for p, q in zip(trainer.model.params, before, strict=True):
        np.testing.assert_array_equal(p, q)


def test_several_inputs_come_as_a_tuple():
    class Difference:
        params, grads = [np.ones(1)], [np.zeros(1)]

        def forward(self, a, b, t):
            self.error = self.params[0] * (a - b) - t
            self.a, self.b = a, b
            return float(0.5 * np.mean(self.error ** 2))

        def backward(self):
            self.grads[0][...] = np.mean(self.error * (self.a - self.b))
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 40))
    trainer = Trainer(Difference(), SGD(0.5))
    history = trainer.fit((a, b), 3 * (a - b), epochs=30, batch_size=10, rng=0, progress=False)
    assert list(history.epochs) == ["epoch", "loss"]          # a model without an output has no metrics
    assert trainer.model.params[0] == pytest.approx(3.0)


def test_evaluate_is_in_evaluation_mode_and_leaves_no_trace(data):
    model = Sequential(Affine.init(3, 4, rng=0), Dropout(0.5, rng=0), loss=SoftmaxWithLoss())
    trainer = Trainer(model, SGD())
    first = trainer.evaluate(*data, batch_size=5)
    assert first == trainer.evaluate(*data, batch_size=5) and model.training
    assert first["loss"] == pytest.approx(trainer.evaluate(*data)["loss"])
    with refused(RuntimeError, "Dropout: backward … forward…"):
        model.backward()


def test_callbacks_see_the_trainer_and_may_stop_it(data):
    seen = []

    def stop(trainer):
        seen.append(trainer.history["loss"][-1])
        return len(seen) == 2
    history = fit(Trainer(network(), SGD(0.1)), data, epochs=9, callbacks=[stop])
    assert len(history) == 2 and seen == history["loss"]


def test_regression_without_metrics():
    x = np.linspace(-1, 1, 30)[:, None]
    trainer = Trainer(Sequential(Affine.init(1, 1, rng=0, dtype=np.float64), loss=SquaredError()), SGD(0.5), metrics=())
    trainer.fit(x, 2 * x + 1, epochs=60, rng=0, progress=False)
    np.testing.assert_allclose([trainer.model.params[0].item(), trainer.model.params[1].item()], [2, 1], atol=1e-3)


def test_the_progress_bar_shows_loss_and_validation_accuracy(data, capsys):
    fit(Trainer(network(), Adam()), data, progress=True, validation_data=data)
    shown = capsys.readouterr().err
    assert "epoch 3/3" in shown and "loss " in shown and "val_accuracy " in shown and "15/15" in shown


def nan_at(a, index, value=np.nan):
    a = a.copy()
    a[index] = value
    return a


@pytest.mark.parametrize("change, error, message", [
    (lambda x, t: dict(x=nan_at(x, (7, 2))), ValueError, "Trainer.fit: x … nan at index (7, 2)"),
    (lambda x, t: dict(x=nan_at(x, (0, 1), -np.inf)), ValueError, "Trainer.fit: x … -inf at index (0, 1)"),
    (lambda x, t: dict(x=(x, nan_at(x, (3, 0)))), ValueError, "Trainer.fit: x[1] … nan at index (3, 0)"),
    (lambda x, t: dict(t=nan_at(t.astype(float), 4)), ValueError, "Trainer.fit: t … nan at index (4,)"),
    (lambda x, t: dict(validation_data=(nan_at(x, (1, 1)), t)), ValueError, "Trainer.fit: validation x … nan at index (1, 1)"),
    (lambda x, t: dict(t=t[:-1]), ValueError, "Trainer.fit: t … 22 … 21"),
    (lambda x, t: dict(x=x[:0], t=t[:0]), ValueError, "Trainer.fit: x … shape (0, 3)"),
    (lambda x, t: dict(t=None), TypeError, "Trainer.fit: t … x…"),
    (lambda x, t: dict(x=None), ValueError, "Trainer.fit: … batches= … epoch's…"),
    (lambda x, t: dict(epochs=0), ValueError, "Trainer.fit: epochs … 1 … 0"),
    (lambda x, t: dict(epochs=1.5), TypeError, "Trainer.fit: epochs … 1.5"),
    (lambda x, t: dict(batch_size=-4), ValueError, "Trainer.fit: batch_size … 1 … -4"),
    (lambda x, t: dict(accumulate=0), ValueError, "Trainer.fit: accumulate … 1 … 0"),
    (lambda x, t: dict(max_grad_norm=0), ValueError, "Trainer.fit: max_grad_norm … None … 0"),
    (lambda x, t: dict(max_grad_norm="1"), TypeError, "Trainer.fit: max_grad_norm … None … '1'"),
    (lambda x, t: dict(progress=x), TypeError, "Trainer.fit: progress … True … False … ndarray"),
    (lambda x, t: dict(drop_last=x), TypeError, "Trainer.fit: drop_last … True … False … ndarray"),
    (lambda x, t: dict(x=None, t=None, batches=words, steps_per_epoch=0), ValueError, "Trainer.fit: steps_per_epoch … 1 … 0"),
    (lambda x, t: dict(x=[[1.0, 2.0], [1.0]], t=[0, 1]), ValueError, "Trainer.fit: x … a ragged list…"),
    (lambda x, t: dict(t=[[1.0, 2.0], [1.0]]), ValueError, "Trainer.fit: t … a ragged list…"),
    (lambda x, t: dict(x=()), TypeError, "Trainer.fit: x … 0"),
    *[(lambda x, t, v=v: dict(validation_data=v(x, t)), TypeError,
       f"Trainer.fit: validation_data … (x, t) … {got} … ((x, t, x_mask), t_mask)")
      for v, got in ((lambda x, t: x, "an array of shape (22, 3)"), (lambda x, t: x[:2], "an array of shape (2, 3)"),
                     (lambda x, t: (x,), "a tuple of length 1"), (lambda x, t: 0.2, "0.2"),
                     (lambda x, t: (x, t, x, t), "a tuple of length 4"))],
    *[(lambda x, t, b=b: dict(x=None, t=None, batches=b), TypeError, f"Trainer.fit: {name} … {message}")
      for b, name, message in (
          (words(), "batches", "generator … batches=lambda: text_batches(ids)"),
          (list(words()), "batches", "a list of length 8…"),
          (ReLU(), "batches", "ReLU…"),
          (lambda epoch: words(), "batches", "function…"),
          (lambda: np.array(3.0), "batches()", "array of shape ()…"),
          (lambda: None, "batches()", "None…"),
          (lambda: [np.ones((2, 3))], "batch 1 of batches()", "(x, t) … (2, 3)"),
          (lambda: [(np.ones(3),)], "batch 1 of batches()", "(x, t) … 1"))],
    *[(lambda x, t, k=k, v=v: {"x": None, "t": None, "batches": words, k: t if v is None else v}, ValueError,
       f"Trainer.fit: … {k} … batches= … {got}…")
      for k, v, got in (("t", None, "an array of shape (22,)"), ("batch_size", 64, "64"), ("rng", 0, "0"),
                        ("batch_size", np.ones(3), "an array of shape (3,)"), ("drop_last", True, "True"))],
    (lambda x, t: dict(rng="seed"), TypeError, "Trainer.fit: rng … numpy.random.Generator … (a … 0) … None … 'seed'"),
    (lambda x, t: dict(callbacks=print), TypeError, "Trainer.fit: callbacks … builtin_function_or_method … callbacks=[function]"),
    (lambda x, t: dict(callbacks=["stop"]), TypeError, "Trainer.fit: callbacks[0] … 'stop'…"),
    (lambda x, t: dict(callbacks=[EarlyStopping]), TypeError, "Trainer.fit: callbacks[0] … class EarlyStopping…"),
])
def test_bad_arguments_are_refused_and_nothing_is_lost(change, error, message, data):
    trainer = Trainer(network(), SGD(0.1))
    before = [p.copy() for p in trainer.model.params]
    arguments = {"x": data[0], "t": data[1], "progress": False} | change(*data)
    with refused(error, message):
        trainer.fit(**arguments)
    for p, q in zip(trainer.model.params, before, strict=True):
        np.testing.assert_array_equal(p, q)


@pytest.mark.parametrize("model, optimizer, metrics, message", [
    (network(), Adam, (), "optimizer … the class Adam … Adam(...)"),
    (Sequential, Adam(), (), "model … the class Sequential … Sequential(...)"),
    (Adam(), network(), (), "model … Adam … Trainer(model, optimizer)…"),
    (network(), Adam(), "accuracy", "metrics … 'accuracy' … metrics=(accuracy,)"),
    (network(), Adam(), accuracy, "metrics … function…"),
    (network(), Adam(), ["accuracy"], "metrics[0] … 'accuracy'…"),
])
def test_what_no_trainer_is_made_of(model, optimizer, metrics, message):
    with refused(TypeError, f"Trainer: {message}"):
        Trainer(model, optimizer, metrics)


@pytest.mark.parametrize("answer, got", [(np.ones(3), "an array of shape (3,)"), (0.5, "0.5"), ("go on", "'go on'")])
def test_a_callback_answers_true_false_or_nothing(answer, got, data):
    with refused(TypeError, f"Trainer.fit: callbacks[1] … True … False … None … {got}"):
        fit(Trainer(network(), SGD(0.1)), data, callbacks=[lambda trainer: np.False_, lambda trainer: answer])


def test_a_loss_that_is_not_finite_stops_the_training_and_says_what_to_do(data):
    trainer = Trainer(network(), SGD(0.1))
    fit(trainer, data, epochs=1)
    trainer.model.params[0][...] = np.nan
    with refused(FloatingPointError, "Trainer.fit: … nan … epoch 2, batch 1…"):
        fit(trainer, data)


def test_data_that_are_not_finite_are_named_also_in_batches_of_ones_own(data):
    x, t = data
    bad = [(x, t), (nan_at(x, (7, 2)), t)]
    with refused(ValueError, "Trainer.fit: array 0 … batch 2 … epoch 1 … nan at index (7, 2)"):
        Trainer(network(), SGD(0.1)).fit(batches=lambda: bad, progress=False)


@pytest.mark.parametrize("loss, got", [(np.ones((22, 4)), "an array of shape (22, 4)"), (None, "None")])
def test_a_model_returns_one_number_for_a_loss(loss, got, data):
    class Unreduced(OwnModel):
        def forward(self, x, t):
            super().forward(x, t)
            return loss
    trainer = Trainer(Unreduced(keep=True), SGD())
    message = f"… loss … model.forward … {got}…"
    with refused(TypeError, f"Trainer.fit: {message}"):
        fit(trainer, data)
    with refused(TypeError, f"Trainer.evaluate: {message}"):
        trainer.evaluate(*data)


def test_an_input_that_is_missing(data):
    a, b = Input(), Input()
    model = Graph([a, b], Affine.init(3, 3, rng=0)(a) + b, loss=SquaredError())
    fit(Trainer(model, SGD(), metrics=()), ((data[0], data[0]), data[0]), epochs=1)
    with refused(TypeError, "Trainer.fit: … (5, 3) … x=(x1, x2)"):
        fit(Trainer(model, SGD(), metrics=()), (data[0], data[0]))


def test_ctrl_c_keeps_the_record_so_far(data):
    trainer = Trainer(network(), SGD(0.1))

    def interrupt(trainer):
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        fit(trainer, data, callbacks=[interrupt])
    assert len(trainer.history) == 1 and len(trainer.history.steps["epoch"]) == len(trainer.history.steps["loss"]) == 5


def test_history_to_csv(tmp_path, data):
    history = fit(Trainer(network(), SGD(0.1)), data)
    history.to_csv(tmp_path / "epochs.csv")
    history.to_csv(tmp_path / "steps.csv", per="step")
    for name, table in (("epochs", history.epochs), ("steps", history.steps)):
        with open(tmp_path / f"{name}.csv", newline="") as file:
            header, *rows = csv.reader(file)
        assert header == list(table)
        np.testing.assert_array_equal(np.array(rows, float).T, list(table.values()))


@pytest.mark.parametrize("change, error, message", [
    ({"per": "batch"}, ValueError, "History.to_csv: per should be 'epoch' or 'step', got 'batch'"),
    ({"per": np.ones(3)}, ValueError, "History.to_csv: per should be 'epoch' or 'step', got ndarray"),
    ({"path": 1}, TypeError, "History.to_csv: path should be a path, got 1"),
    ({"path": "nowhere/epochs.csv"}, FileNotFoundError,
     f"[Errno 2] History.to_csv: No such file or directory: {str(Path('nowhere/epochs.csv'))!r}"),
])
def test_no_place_for_a_history(change, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with refused(error, message):
        History().to_csv(**{"path": "epochs.csv"} | change)
    assert not list(tmp_path.iterdir())


def test_the_steps_of_an_epoch_divide_it_evenly():
    history = History()
    for epoch, steps in ((1, 4), (2, 2), (3, 0)):
        with history.in_epoch(epoch):
            for _ in range(steps):
                history.add_step(step=1, loss=0.5)
    assert history.steps["epoch"] == [0.25, 0.5, 0.75, 1.0, 1.5, 2.0]


def test_what_a_trainer_looks_like(data):
    trainer = Trainer(network(), SGD(0.1), metrics={"right": accuracy, "top_2": top(2)})
    assert repr(trainer) == ("Trainer(Sequential, SGD(lr=0.1, weight_decay=0.0), metrics=[right, top_2], "
                             "history=History(0 epochs))")
    fit(trainer, data, epochs=1)
    assert repr(trainer).endswith(f"history={trainer.history!r})") and "History(1 epoch: loss " in repr(trainer)


def test_a_name_that_is_not_in_the_history():
    history = History()
    history.add_epoch(epoch=1, loss=0.5)
    history.add_step(step=1, loss=0.5, lr=0.1)
    with refused(KeyError, "… 'accuracy' … 'epoch', 'loss'…"):
        history["accuracy"]
    with refused(KeyError, "… 'lr' … 'epoch', 'loss'; history.steps['lr']…"):
        history["lr"]
    assert "loss" in history and "lr" not in history and list(history) == ["epoch", "loss"]


def test_sums_of_batches_make_the_sum_of_all():
    """With reduction="sum" accumulated gradients add up, and an epoch's loss is the mean of its batches' sums."""
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((7, 3)), rng.standard_normal((7, 2))
    one, several = (Sequential(Affine.init(3, 2, rng=1, dtype=np.float64), loss=SquaredError(reduction="sum")) for _ in range(2))
    Trainer(one, SGD(0.01), metrics=()).fit(batches=lambda: [(x, t)], epochs=1, progress=False)
    history = Trainer(several, SGD(0.01), metrics=()).fit(
        batches=lambda: [(x[:4], t[:4]), (x[4:], t[4:])], accumulate=2, epochs=1, progress=False)
    for a, b in zip(one.params, several.params):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    fresh = Sequential(Affine.init(3, 2, rng=1, dtype=np.float64), loss=SquaredError(reduction="sum"))
    np.testing.assert_allclose(history["loss"], [fresh.forward(x, t) / 2])
