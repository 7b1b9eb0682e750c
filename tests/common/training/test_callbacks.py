"""Trainings that end early, rates that fall, and what callbacks are told."""
import numpy as np
import pytest

from chainrule.common import accuracy
from chainrule.layers import Affine, BatchNorm, SoftmaxWithLoss
from chainrule.models import Sequential
from chainrule.optimizers import SGD, cosine_decay
from chainrule.training import EarlyStopping, History, ReduceOnPlateau, Trainer
from tests.errors import refused

X = np.random.default_rng(0).standard_normal((40, 4)).astype(np.float32)
T = np.arange(40) % 3


def trained(values, *callbacks, name="mine", lr=0.1, epochs=None):
    """A trainer after an epoch for each value, which stands in the history as the metric ``name``;
    weights and running means after each epoch."""
    given, after = iter(values), []
    model = Sequential(BatchNorm.init(4), Affine.init(4, 3, rng=0), loss=SoftmaxWithLoss())
    trainer = Trainer(model, SGD(lr), metrics={name: lambda y, t: next(given)})

    def look(trainer):
        after.append((model.params[-1].copy(), model.layers[0].running_mean.copy()))
    trainer.fit(X, T, epochs=epochs or len(values), callbacks=[look, *callbacks], rng=0,
                progress=False)
    return trainer, after


def stands_at(trainer, after, epoch):
    weights, mean = after[epoch - 1]
    return (np.array_equal(trainer.model.params[-1], weights)
            and np.array_equal(trainer.model.layers[0].running_mean, mean))


def test_early_stopping_goes_back_to_the_best_epoch():
    stop = EarlyStopping("mine", patience=2, maximize=False)
    trainer, after = trained([3, 1, 2, 1, 0], stop)
    assert len(trainer.history) == 4 and stop.best_epoch == 2 and stands_at(trainer, after, 2)


def test_or_stays_where_it_is():
    stop = EarlyStopping("mine", patience=2, restore_best=False, maximize=False)
    trainer, after = trained([3, 1, 2, 1, 0], stop)
    assert len(trainer.history) == 4 and stands_at(trainer, after, 4)


def test_the_best_is_restored_where_the_epochs_run_out():
    trainer, after = trained([3, 1, 2], EarlyStopping("mine", maximize=False))
    assert len(trainer.history) == 3 and stands_at(trainer, after, 2)


def test_higher_is_better_for_an_accuracy_and_nan_is_never_best():
    nan = float("nan")
    trainer, after = trained([nan, 0.2, 0.8, nan, 0.5, 0.9], EarlyStopping("accuracy", patience=3),
                             name="accuracy")
    assert stands_at(trainer, after, 6)
    trainer, after = trained([0.2, 0.8, nan, 0.5, 0.9], EarlyStopping("accuracy", patience=2),
                             name="accuracy")
    assert len(trainer.history) == 4 and stands_at(trainer, after, 2)


def test_each_fit_counts_anew():
    stop = EarlyStopping("mine", patience=2, maximize=False)
    trainer, _ = trained([1, 2, 3, 4, 5, 6, 7], stop, epochs=3)
    assert len(trainer.fit(X, T, epochs=3, callbacks=[stop], progress=False)) == 3
    assert trainer.history["epoch"] == [4, 5, 6] and stop.best_epoch == 4


def test_the_rate_falls_on_a_plateau():
    falling = ReduceOnPlateau("mine", 0.5, patience=2, min_lr=0.03, maximize=False)
    trainer, _ = trained([3, 2, 2, 2, 2, 2, 2, 2, 1], falling)
    rates = trainer.history.steps["lr"][::2]
    assert rates == [0.1] * 4 + [0.05] * 2 + [0.03] * 3 and trainer.optimizer.lr == 0.03


def test_a_rate_below_the_least_is_left():
    trainer, _ = trained([1, 2, 3], ReduceOnPlateau("mine", patience=1, min_lr=1.0, maximize=False))
    assert trainer.optimizer.lr == 0.1


def test_a_schedule_is_refused_before_anything_is_done():
    with refused(TypeError, "ReduceOnPlateau: optimizer.lr … cosine_decay(lr=0.1, steps=10, final_lr=0.0)…"):
        trained([1], ReduceOnPlateau("loss"), lr=cosine_decay(0.1, 10))


@pytest.mark.parametrize("kind", [EarlyStopping, ReduceOnPlateau])
@pytest.mark.parametrize("options, error, message", [
    ({"monitor": "mine"}, ValueError, "… 'mine' … maximize=True or maximize=False"),
    ({"monitor": 3}, TypeError, "monitor … 3"),
    ({"patience": 0}, ValueError, "patience … 1 … 0"),
    ({"maximize": "yes"}, TypeError, "maximize … True … False … 'yes'"),
])
def test_arguments(kind, options, error, message):
    with refused(error, f"{kind.__name__}: {message}"):
        kind(**options)


@pytest.mark.parametrize("factor", [0, 1, 2.0, -0.5])
def test_the_factor_is_a_share(factor):
    with refused(ValueError, "ReduceOnPlateau: factor … 0 … 1…"):
        ReduceOnPlateau(factor=factor)


def test_what_the_history_has_not_is_named():
    message = "EarlyStopping: … 'val_loss' … 'epoch', 'loss', 'mine' … validation_data"
    with refused(ValueError, message):
        trained([1], EarlyStopping())


def test_callbacks_hear_of_beginning_steps_and_end():
    heard = []

    class Ear:
        def begin(self, trainer):
            heard.append("begin")

        def after_step(self, trainer):
            heard.append(len(trainer.history.steps["step"]))

        def __call__(self, trainer):
            heard.append("epoch")

        def end(self, trainer):
            heard.append("end")
    trained([1, 2], Ear())
    assert heard == ["begin", 1, 2, "epoch", 3, 4, "epoch", "end"]


def test_a_second_fit_counts_on_and_says_so(capsys):
    model = Sequential(Affine.init(4, 3, rng=0), loss=SoftmaxWithLoss())
    trainer = Trainer(model, SGD(0.1), metrics=(accuracy,))
    first = trainer.fit(X, T, epochs=2, progress=False)
    second = trainer.fit(X, T, epochs=3, validation_data=(X, T))
    assert first["epoch"] == [1, 2] and second["epoch"] == [3, 4, 5]
    assert second.steps["epoch"] == [2.5, 3, 3.5, 4, 4.5, 5]
    assert repr(second).startswith("History(3 epochs after 2 of an earlier fit: loss ")
    assert "epoch 5/5" in capsys.readouterr().err
    assert repr(History()) == "History(0 epochs)"
