"""Where the time of a training step goes, layer by layer."""
import time
from collections import namedtuple
from statistics import median
from typing import Any

import numpy as np

from ..common import checks
from ..common.types import ArrayLike, Axes
from .summary import Summary, numbered, twin_of

Row = namedtuple("Row", "index layer forward backward cached multiply_adds share")


class Profile(Summary):
    """The table that ``model.profile(x, t)`` gives: text when printed, HTML in a notebook, numbers
    in ``rows`` and the totals, a picture by ``plot``.

    One row per layer:

    - forward, backward: milliseconds, the median over the steps that were run;
    - cached, multiply_adds: as in a ``Summary``;
    - share: of the rate at which this machine multiplies large matrices (``rate``, multiply-adds
      per second, one thread), the part that the layer reached, counting twice its multiply-adds for
      the way back. A dash where there are none: such a layer moves memory.

    What the model does between its layers, and what a node of a Graph adds up, is in no row.
    """

    words = 2

    def __init__(self, title: str, rows: list[Row], rate: float) -> None:
        self.title, self.rows, self.rate = title, rows, rate
        self.forward, self.backward = (sum(getattr(r, name) for r in rows)
                                       for name in ("forward", "backward"))

    def cells(self):
        yield ("", "layer", "forward ms", "backward ms", "cached bytes", "multiply-adds",
               "share of BLAS")
        for r in self.rows:
            yield (r.index, r.layer, f"{r.forward:.3f}", f"{r.backward:.3f}", *(
                "-" if n is None else f"{n:,}" for n in (r.cached, r.multiply_adds)),
                "-" if r.share is None else f"{r.share:.0%}")
        yield ("total", "", f"{self.forward:.3f}", f"{self.backward:.3f}", *(
            f"{sum(getattr(r, name) or 0 for r in self.rows):,}"
            for name in ("cached", "multiply_adds")), "")

    def plot(self, ax: Axes | None = None) -> Axes:
        """A bar for each layer, forward and backward, in milliseconds."""
        import matplotlib.pyplot as plt
        if ax is None:
            _, ax = plt.subplots(figsize=(6, 0.8 + 0.25 * len(self.rows)), layout="constrained")
        places = range(len(self.rows))
        forward = [r.forward for r in self.rows]
        ax.barh(places, forward, label="forward")
        ax.barh(places, [r.backward for r in self.rows], left=forward, label="backward")
        ax.set_yticks(places, [f"{r.index} {r.layer}" for r in self.rows])
        ax.invert_yaxis()
        ax.set_xlabel("milliseconds a step")
        ax.legend()
        return ax


def profile(model: Any, *inputs: ArrayLike, steps: int = 5) -> Profile:
    """A Profile of forward and backward, in training mode, on a copy of the model."""
    who = f"{type(model).__name__}.profile"
    steps = checks.count(who, "steps", steps)
    if len(inputs) < 2 or getattr(model, "loss", None) is None:
        loss = " and no loss" if getattr(model, "loss", None) is None else ""
        raise TypeError(f"{who}: takes inputs and targets, as in profile(x, t), of a model with a "
                        f"loss; got {len(inputs)} arrays{loss}")
    summed = model.summary(*inputs)
    twin, pairs = twin_of(model, "params")
    twin.training = True
    spent: dict[tuple[int, str], list[float]] = {}
    for original, double in pairs:
        for way in "forward", "backward":
            if double is not twin and hasattr(double, "__dict__"):
                setattr(double, way, timed(getattr(double, way), spent, (id(original), way)))
    for _ in range(1 + steps):
        twin.forward(*inputs)
        twin.backward()
    rate, rows = blas_rate(), []
    layers = dict(numbered(model))
    for row in summed.rows:
        forward, backward = (1e3 * median(spent.get((id(layers[row.index]), way), [0.0])[-steps:])
                             for way in ("forward", "backward"))
        macs = row.multiply_adds or None
        share = macs and 3 * macs / ((forward + backward) / 1e3 or np.inf) / rate
        rows.append(Row(row.index, row.layer, forward, backward, row.cached, row.multiply_adds,
                        share))
    return Profile(f"{summed.title}, a step", rows, rate)


def timed(function, spent, key):
    def run(*inputs, **named):
        start = time.perf_counter()
        try:
            return function(*inputs, **named)
        finally:
            spent.setdefault(key, []).append(time.perf_counter() - start)
    return run


def blas_rate(n=512):
    """Multiply-adds per second of a product of two (n, n) matrices in float32, one thread."""
    from ..common.engine import threads
    a, best = np.ones((n, n), np.float32), np.inf
    with threads.one_thread():
        for _ in range(5):
            start = time.perf_counter()
            a.dot(a)
            best = min(best, time.perf_counter() - start)
    return n ** 3 / best
