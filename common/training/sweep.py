"""How the loss answers to the learning rate."""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..common import checks
from ..common.types import ArrayLike, Axes, Inputs
from . import arguments
from .trial import Case

FACTORS = tuple(10.0 ** k for k in np.arange(-4, 4.5, 0.5))


class LearningRates:
    """Losses after the same few steps from the same start, at several learning rates.

    ``rates``; ``losses``, of the samples in evaluation mode, infinite where the steps diverged;
    ``start``, the loss before; ``best``, the rate with the smallest loss.
    """

    def __init__(self, rates, losses, start, steps, current=None):
        self.rates, self.losses = np.asarray(rates, float), np.asarray(losses, float)
        self.start, self.steps, self.current = start, steps, current

    @property
    def best(self) -> float:
        return float(self.rates[self.losses.argmin()])

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
    and the optimizer stay as they are. The result is plotted on ``ax``; ``.best`` is the rate whose
    loss fell most: a third of it is a cautious choice. (After Smith 2017, Cyclical learning rates
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


def sweep(case, steps, seconds=math.inf, factors=FACTORS):
    """``lr_range`` without the picture."""
    lr = getattr(case.trainer.optimizer, "lr", None)
    if callable(lr):
        lr = max(lr(k) for k in range(steps))
    x, t = case.sample()
    start, losses = case.trial().loss(x, t), []
    factors = list(factors)
    for factor in factors:                                # goes on as long as the last is the best
        trial = case.trial(rate=factor)
        made = trial.run(steps, seconds / len(factors))
        loss = trial.loss(x, t) if np.isfinite(made).all() else math.inf
        losses.append(loss)
        if len(losses) == len(factors) and loss <= min(losses) < math.inf and factor < 1e9:
            factors.append(10 ** 0.5 * factor)
    return LearningRates(np.array(factors) * (lr or 1.0), losses, start, steps, lr)
