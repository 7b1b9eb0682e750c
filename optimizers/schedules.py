"""Learning rates that change: functions of the step number, which is 0 at the first update.

Any function will do: ``SGD(lr=lambda step: 0.1 / (1 + 0.01 * step))``. Those below can also be
printed, compared and pickled.
"""
import math
from collections.abc import Callable
from dataclasses import dataclass

from ..common import checks
from .optimizer import AT_LEAST_0, POSITIVE


def count_of(who, step):
    """The number of a step, which may be a fraction."""
    if step.__class__ is int and 0 <= step < 2**62:
        return step
    return checks.number(who, "step", step, 0, expected="be a number of at least 0")


@dataclass(frozen=True)
class step_decay:
    """lr at first, multiplied by ``factor`` after every ``every`` steps: lr · factor^⌊step /
    every⌋.

    >>> rate = step_decay(0.1, every=100)
    >>> [round(rate(step), 6) for step in (0, 99, 100, 250)]
    [0.1, 0.1, 0.01, 0.001]
    """
    lr: float
    every: int
    factor: float = 0.1

    def __post_init__(self):
        checks.number("step_decay", "lr", self.lr, **POSITIVE)
        checks.count("step_decay", "every", self.every)
        checks.number("step_decay", "factor", self.factor, **POSITIVE)

    def __call__(self, step: float) -> float:
        try:
            return self.lr * self.factor ** (count_of("step_decay", step) // self.every)
        except OverflowError:                            # a factor above 1
            return math.inf


@dataclass(frozen=True)
class cosine_decay:
    """Half a wave from lr at step 0 down to ``final_lr`` at step ``steps``, and ``final_lr`` ever
    after.

    final_lr + (lr - final_lr) (1 + cos(π step / steps)) / 2: flat at both ends, steepest in the
    middle. Loshchilov and Hutter 2017, SGDR: Stochastic Gradient Descent with Warm Restarts.

    >>> rate = cosine_decay(0.1, steps=100)
    >>> [round(rate(step), 6) for step in (0, 50, 100, 250)]
    [0.1, 0.05, 0.0, 0.0]
    """
    lr: float
    steps: int
    final_lr: float = 0.0

    def __post_init__(self):
        checks.number("cosine_decay", "lr", self.lr, **POSITIVE)
        checks.count("cosine_decay", "steps", self.steps)
        checks.number("cosine_decay", "final_lr", self.final_lr, **AT_LEAST_0)

    def __call__(self, step: float) -> float:
        share = (1 + math.cos(math.pi * min(count_of("cosine_decay", step) / self.steps, 1))) / 2
        return self.final_lr + (self.lr - self.final_lr) * share


@dataclass(frozen=True)
class warmup:
    """A start in equal stairs: lr / steps at step 0, 2 lr / steps at step 1, ..., lr at step
    ``steps`` - 1.

    ``lr`` is a number, which then stays, or another schedule, which begins when the warm-up is
    over, at its own step 0; the stairs lead up to its first value. ``warmup(cosine_decay(0.1, 900),
    100)`` ends after 1000 steps.

    >>> rate = warmup(step_decay(0.4, every=2), steps=4)
    >>> [round(rate(step), 6) for step in range(8)]
    [0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 0.04, 0.04]
    """
    lr: float | Callable[[float], float]
    steps: int

    def __post_init__(self):
        if not callable(self.lr):
            checks.number("warmup", "lr", self.lr, **POSITIVE)
        checks.count("warmup", "steps", self.steps)

    def __call__(self, step: float) -> float:
        step = count_of("warmup", step)
        share, later = min((step + 1) / self.steps, 1), max(step - self.steps, 0)
        return share * (self.lr(later) if callable(self.lr) else self.lr)
