"""The learning curves of a training run."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..common import checks
from ..common.types import Array, Axes
from ._style import PLAIN, TRAIN, VALIDATION, axes_for


def plot_history(history: Any, axes: Axes | Array | None = None) -> Array:
    """One panel for the loss and one for each metric over the epochs: train and, if there is any, validation.

    ``history.epochs`` and ``history.steps`` are dicts of equally long lists, as a Trainer's History has them:
    "epoch" holds 1, 2, … or, for each step, how many epochs are done by then; the other keys name the
    quantities, those of validation with "val_" in front. The end of epoch k is at k. Steps are drawn faint,
    behind the epochs.

    ``axes``: Axes, or an array with at least one for each panel; None makes a new figure. Returns the Axes
    drawn on as a flat array. Lists of different lengths, no steps at all and too few axes raise ValueError.

    >>> from types import SimpleNamespace
    >>> history = SimpleNamespace(epochs={"epoch": [1, 2], "loss": [0.9, 0.5], "val_loss": [0.8, 0.6]},
    ...                           steps={"epoch": [0.5, 1.0, 1.5, 2.0], "loss": [1.0, 0.8, 0.6, 0.4]})
    >>> axes = plot_history(history)
    >>> [panel.get_title() for panel in axes]
    ['Loss']
    >>> from matplotlib import pyplot; pyplot.close(axes[0].figure)
    """
    if not all(isinstance(getattr(history, which, None), Mapping) for which in ("epochs", "steps")):
        raise TypeError(checks.wrong("plot_history", "history", "have the dicts epochs and steps", type(history).__name__,
                                     "Trainer.fit returns such a history"))
    epochs, steps = _columns("epochs", history.epochs), _columns("steps", history.steps)
    # A run that was stopped within its first epoch has steps only.
    table = epochs if len(epochs.get("epoch", ())) else steps
    named = dict.fromkeys(key.removeprefix("val_") for key in table if key not in ("epoch", "step"))
    names = sorted(named, key=lambda name: name != "loss")
    if not names or not len(table["epoch"]):
        raise ValueError("plot_history: history should hold at least one step, got none; train first")
    panels = axes_for("plot_history", axes, len(names), "axes", f", for {', '.join(names)}")
    for panel, name in zip(panels, names):
        _draw(panel, name, epochs, steps)
    return panels


def _columns(which, table):
    lengths = {key: len(values) for key, values in table.items()}
    if len(set(lengths.values())) > 1:
        expected = "hold lists of one length"
        raise ValueError(checks.wrong("plot_history", f"history.{which}", expected, lengths))
    return {key: np.asarray(values) for key, values in table.items()}


def _draw(panel, name, epochs, steps):
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    if name in steps:
        every = -(-len(steps[name]) // 5000)    # more points than a panel has pixels only cost time
        panel.plot(steps["epoch"][::every], steps[name][::every], color=TRAIN, alpha=0.35, linewidth=0.8,
                   label="train, each step")
    few = len(epochs.get("epoch", ())) <= 20
    for key, label, color, line, marker in ((name, "train", TRAIN, "-", "o"),
                                            (f"val_{name}", "validation", VALIDATION, "--", "s")):
        if len(epochs.get(key, ())):
            panel.plot(epochs["epoch"], epochs[key], line, marker=marker if few else None, markersize=5,
                       color=color, label=label)

    title = name.replace("_", " ")
    panel.set(xlabel="epoch")
    panel.set_ylabel(title, **PLAIN)
    panel.set_title(title[:1].upper() + title[1:], **PLAIN)
    ends = np.ceil(np.concatenate([table.get("epoch", ()) for table in (epochs, steps)]))
    first, last = ends.min() - 1, ends.max()
    margin = 0.03 * (last - first)
    panel.set_xlim(first - margin, last + margin)
    panel.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=True))
    if name.endswith("accuracy"):
        panel.yaxis.set_major_formatter(PercentFormatter(xmax=1, symbol=" %"))
        low, high = panel.get_ylim()
        panel.set_ylim(low, min(high, 1 + 0.03 * (1 - low)))    # no tick above 100 %
    panel.grid(alpha=0.3)
    panel.legend()
