"""How the loss responds to the learning rate."""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..common import checks
from ..common.types import ArrayLike, Axes, Inputs
from . import arguments
from .clipping import length
from .report import Finding
from .trial import Case

SMALLER = "a tenth of the learning rate; lr_range(trainer, x, t).plot() shows which suits"


class LearningRates:
    """Losses after the same few steps from the same start, at several learning rates.

    ``rates``; ``losses``, of the samples in evaluation mode, infinite where the steps diverged;
    ``start``, the loss before.
    """

    def __init__(self, rates, losses, start, steps, current):
        self.rates, self.losses = rates, np.array(losses)
        self.start, self.steps, self.current = start, steps, current

    @property
    def best(self) -> float:
        return float(self.rates[self.losses.argmin()])

    @property
    def middle(self) -> int:
        """Which of the rates is the optimizer's own."""
        return int(np.argmin(np.abs(np.log(self.rates / (self.current or 1.0)))))

    @property
    def factor(self) -> float:
        """The best rate by the optimizer's own."""
        return self.best / self.current if self.current else 1.0

    def plot(self, ax: Axes | None = None) -> Axes:
        """The losses over the rates; returns the Axes."""
        from matplotlib import pyplot
        ax = pyplot.subplots()[1] if ax is None else ax
        shown = np.where(np.isfinite(self.losses), np.minimum(self.losses, 3 * self.start), np.nan)
        ax.semilogx(self.rates, shown, "o-", label=f"after {self.steps} steps")
        ax.axhline(self.start, color="gray", linestyle=":", label="before")
        if self.current is not None:
            ax.axvline(self.current, color="C1", linestyle="--", label="the optimizer's")
        ax.set(xlabel="learning rate", ylabel="loss", title="Learning rates")
        ax.legend()
        return ax

    def __repr__(self) -> str:
        low, high = self.rates[0], self.rates[-1]
        return (f"LearningRates({len(self.rates)} from {low:.3g} to {high:.3g}: "
                f"loss {self.losses.min():.4g} at {self.best:.3g}, {self.start:.4g} before)")


def lr_range(trainer: Any, x: Inputs, t: ArrayLike, steps: int = 50, ax: Axes | None = None,
             **fit_arguments: Any) -> LearningRates:
    """Try learning rates from 10,000 times smaller to 10,000 times larger than the optimizer's.

    Each makes ``steps`` steps on a copy, all from the same start with the same batches; the model
    and the optimizer stay as they are. The result is plotted on ``ax``; ``.best`` is the rate with
    the lowest loss: a third of it is a cautious choice. (After Smith 2017, Cyclical learning rates
    for training neural networks, whose test raises the rate within one run.)

    >>> from chainrule.datasets import make_spiral
    >>> from chainrule.models import MLP
    >>> from chainrule.optimizers import SGD
    >>> from chainrule.training import Trainer
    >>> x, t = make_spiral(rng=0)
    >>> found = lr_range(Trainer(MLP([2, 20, 3], rng=0), SGD(lr=1e-4)), x, t)
    >>> found.best > 0.01
    True
    >>> from matplotlib import pyplot; pyplot.close("all")
    """
    arguments.examined("lr_range", trainer, x, t, fit_arguments)
    if ax is not None:
        from ..plotting._style import axes_for
        axes_for("lr_range", ax)
    steps = checks.count("lr_range", "steps", steps, most=10**6)
    found = sweep(Case(trainer, x, t, fit_arguments), steps)
    found.plot(ax)
    return found


def sweep(case, steps, seconds=math.inf):
    """``lr_range`` without the picture."""
    lr = getattr(case.trainer.optimizer, "lr", None)
    if callable(lr):
        lr = max(lr(k) for k in range(steps))
    x, t = case.sample()
    start, losses = case.trial().loss(x, t), []
    factors = [10 ** k for k in np.arange(-4, 4.5, 0.5)]
    for factor in factors:                           # and on while the last is the best
        trial = case.trial(rate=factor)
        made = trial.run(steps, seconds / len(factors))
        loss = trial.loss(x, t) if np.isfinite(made).all() else math.inf
        losses.append(loss)
        if len(losses) == len(factors) and loss <= min(losses) < math.inf and factor < 1e9:
            factors.append(10 ** 0.5 * factor)
    return LearningRates(np.array(factors) * (lr or 1.0), losses, start, steps, lr)


def update_ratio(trial):
    """The size of an update by that of the weights, over a few steps."""
    before = [p.copy() for p in trial.model.params]
    trial.run(5, 0.5)
    moved, size = length(map(np.subtract, trial.model.params, before)), length(before)
    return moved / size / max(1, len(trial.losses)) if size else 0.0


def of_schedule(plan):
    """A learning rate that is next to nothing for most of the training."""
    if plan[0] is not None and max(plan) > 0:
        gone = sum(lr < 1e-4 * max(plan) for lr in plan) / len(plan)
        if gone > 0.7:
            yield Finding("learning-rate-too-low", "optimizer.lr", f"it falls from {max(plan):.3g} "
                          f"to {plan[-1]:.3g}: for {gone:.0%} of the steps it is next to nothing",
                          "a schedule that falls over the whole training, such as cosine_decay")


def of_rates(rates, lr, ratio):
    """A rate at which steps achieve far less than at another; a low one only if updates are small
    beside the weights: some losses fall slowly."""
    if lr == 0:
        yield Finding("learning-rate-too-low", "optimizer.lr", "it is 0", "a positive rate")
        return
    now, start = rates.losses[rates.middle], rates.start
    low, high = rates.losses[:rates.middle - 1], rates.losses[rates.middle + 2:]
    where = f"optimizer.lr = {lr:.3g}"
    text = f"after {rates.steps} steps the loss is {now:.4g}, from {start:.4g}; with {{}} {{}}"
    if low.size and start - low.min() > max(0.01 * abs(start), 1.5 * (start - now)):
        yield Finding("learning-rate-too-high", where, text.format(
            f"{rates.rates[low.argmin()]:.2g} it is", f"{low.min():.4g}"), SMALLER)
    elif high.size and ratio < 2e-4 and high.min() < 0.9 * start and (
            start - high.min() > 3 * (start - now)):
        at = rates.rates[rates.middle + 2 + high.argmin()]
        yield Finding("learning-rate-too-low", where, text.format(
            f"{at:.2g} it is", f"{high.min():.4g}") + f"; a step changes weights by {ratio:.1e} of "
            "their size, 1e-3 is usual", f"about {at / 3:.1g}")
