"""Callbacks that follow the curves: stop early, or lower the learning rate.

A callback of ``Trainer.fit`` may also have ``begin(trainer)`` and ``end(trainer)``, called before
the first epoch and after the last; ``after_step(trainer)``; and ``state`` with
``load_state(state)``, for checkpoints.
"""
import math
from typing import Any

from ..common import checks
from .state import learned, relearn

LOWER = ("loss", "perplexity", "mean_absolute_error")
HIGHER = ("accuracy", "top_k_accuracy", "precision", "recall", "f1", "roc_auc", "r2")


class Watching:
    def __init__(self, monitor: str, maximize: bool | None) -> None:
        who = type(self).__name__
        if not isinstance(monitor, str):
            raise TypeError(checks.wrong(who, "monitor", "be a name in the history", repr(monitor)))
        name = monitor.removeprefix("val_")
        if maximize is None and name not in LOWER + HIGHER:
            raise ValueError(f"{who}: is {monitor!r} better when it is higher? "
                             "Say maximize=True or maximize=False")
        higher = name in HIGHER if maximize is None else checks.flag(who, "maximize", maximize)
        self.monitor, self.sign = monitor, -1 if higher else 1

    def values(self, trainer: Any) -> list[float]:
        """The column so far, its sign such that lower is better."""
        history = trainer.history
        if self.monitor not in history:
            hint = ("; give fit validation_data" if self.monitor.startswith("val_") and
                    "val_loss" not in history else "")
            raise ValueError(f"{type(self).__name__}: the history has no {self.monitor!r}, but "
                             f"{', '.join(map(repr, history))}{hint}")
        return [self.sign * value for value in history[self.monitor]]


class Patient(Watching):
    """Counts the epochs since the best one."""

    def __init__(self, monitor: str, patience: int, maximize: bool | None) -> None:
        super().__init__(monitor, maximize)
        self.patience = checks.count(type(self).__name__, "patience", patience)
        self.best, self.best_epoch, self.waited = math.inf, 0, 0

    def begin(self, trainer: Any) -> None:
        self.best, self.best_epoch, self.waited = math.inf, 0, 0

    def improved(self, trainer: Any) -> bool:
        """Whether the epoch just finished is the best so far."""
        value, self.waited = self.values(trainer)[-1], self.waited + 1
        if value < self.best:
            self.best, self.best_epoch, self.waited = value, trainer.history["epoch"][-1], 0
        return not self.waited

    @property
    def state(self) -> dict:
        return {name: getattr(self, name) for name in ("best", "best_epoch", "waited")}

    def load_state(self, state: dict) -> None:
        vars(self).update({name: state[name] for name in self.state})


class EarlyStopping(Patient):
    """Ends a training when ``monitor`` has not improved for ``patience`` epochs.

    With ``restore_best`` the model ends with the weights and running statistics of its best epoch
    (number ``best_epoch``), even if another callback or the last epoch ends the training.

    ``maximize``: whether higher is better; None: as it is for the losses and metrics of chainrule.

    Prechelt, Early Stopping - But When? (1998).

    >>> from chainrule.datasets import make_spiral
    >>> from chainrule.models import TwoLayerNet
    >>> from chainrule.optimizers import SGD
    >>> from chainrule.training import Trainer
    >>> x, t = make_spiral(rng=0)
    >>> trainer = Trainer(TwoLayerNet(2, 10, 3, rng=0), SGD(lr=30.0))
    >>> stop = EarlyStopping("loss", patience=3)
    >>> history = trainer.fit(x, t, epochs=300, callbacks=[stop], rng=0, progress=False)
    >>> len(history) - stop.best_epoch
    3
    """

    def __init__(self, monitor: str = "val_loss", patience: int = 5, restore_best: bool = True,
                 maximize: bool | None = None) -> None:
        super().__init__(monitor, patience, maximize)
        self.restore_best = checks.flag("EarlyStopping", "restore_best", restore_best)
        self.kept: dict | None = None

    def begin(self, trainer: Any) -> None:
        super().begin(trainer)
        self.kept = None

    def __call__(self, trainer: Any) -> bool:
        if self.improved(trainer) and self.restore_best:
            self.kept = learned(trainer.model)
        return self.waited >= self.patience

    def end(self, trainer: Any) -> None:
        if self.kept is not None:
            relearn(trainer.model, self.kept)

    @property
    def state(self) -> dict:
        return {**super().state, "kept": self.kept}


class ReduceOnPlateau(Patient):
    """Multiplies the learning rate by ``factor`` when ``monitor`` has not improved for ``patience``
    epochs, then counts again from 0; the rate never falls below ``min_lr``.

    >>> ReduceOnPlateau("accuracy", factor=0.5).sign      # higher is better
    -1
    """

    def __init__(self, monitor: str = "val_loss", factor: float = 0.1, patience: int = 3,
                 min_lr: float = 0.0, maximize: bool | None = None) -> None:
        super().__init__(monitor, patience, maximize)
        self.factor = checks.number("ReduceOnPlateau", "factor", factor, math.ulp(0.0),
                                    math.nextafter(1, 0), "be a number between 0 and 1")
        self.min_lr = checks.number("ReduceOnPlateau", "min_lr", min_lr, 0.0,
                                    expected="be a number of at least 0")

    def begin(self, trainer: Any) -> None:
        super().begin(trainer)
        lr = getattr(trainer.optimizer, "lr", None)
        if not isinstance(lr, (int, float)):
            raise TypeError(checks.wrong("ReduceOnPlateau", "optimizer.lr", "be a number", repr(lr),
                                         "a schedule lowers it already"))

    def __call__(self, trainer: Any) -> None:
        if not self.improved(trainer) and self.waited >= self.patience:
            optimizer, self.waited = trainer.optimizer, 0
            optimizer.lr = min(optimizer.lr, max(optimizer.lr * self.factor, self.min_lr))
