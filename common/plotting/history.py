"""The learning curves of a training run."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..common import checks
from ..common.types import Array, Axes
from ._style import COLORS, MARKERS, PLAIN, TRAIN, VALIDATION, axes_for


def plot_history(history: Any, axes: Axes | Array | None = None) -> Array:
    """One panel for the loss and one for each metric over the epochs: train and, if there is any,
    validation.

    ``history.epochs`` and ``history.steps`` are dicts of equally long lists, named as in a
    Trainer's History. Validation is measured at the end of epoch k, at k; the training loss is a
    mean over the epoch, drawn in its middle, at k - ½. Steps are drawn faint, behind the epochs.

    Several histories in one plot are a dict by their names, ``{"SGD": h, "Adam": k}``, or a list;
    of these, steps are drawn where there are no epochs.

    ``axes``: Axes, or an array with at least one for each panel; None makes a new figure. Returns
    the Axes drawn on as a flat array. Lists of different lengths, no steps at all and too few axes
    raise ValueError.

    >>> from types import SimpleNamespace
    >>> epochs = {"epoch": [1, 2], "loss": [0.9, 0.5], "val_loss": [0.8, 0.6]}
    >>> steps = {"epoch": [0.5, 1.0, 1.5, 2.0], "loss": [1.0, 0.8, 0.6, 0.4]}
    >>> axes = plot_history(SimpleNamespace(epochs=epochs, steps=steps))
    >>> [panel.get_title() for panel in axes]
    ['Loss']
    """
    runs = {name: tuple(_columns(which, getattr(run, which)) for which in ("epochs", "steps"))
            for name, run in _named(history).items()}
    named: dict[str, None] = {}
    for epochs, steps in runs.values():
        # A run that was stopped within its first epoch has steps only.
        table = epochs if len(epochs.get("epoch", ())) else steps
        if len(table.get("epoch", ())):
            named |= dict.fromkeys(key.removeprefix("val_") for key in table
                                   if key not in ("epoch", "step"))
    names = sorted(named, key=lambda name: name != "loss")
    if not names:
        raise ValueError(
            "plot_history: history should hold at least one step, got none; train first")
    panels = axes_for("plot_history", axes, len(names), "axes", f", for {', '.join(names)}")
    for panel, name in zip(panels, names):
        for i, (run, tables) in enumerate(runs.items()):
            styles = ALONE if run is None else _one_of_several(i, run, *tables)
            _draw(panel, name, *tables, *styles)
        _finish(panel, name, [table for tables in runs.values() for table in tables])
    return panels


def _named(history):
    """The histories by their names, None for the only one."""
    given = {None: history}
    if isinstance(history, Mapping) and history:
        given = {str(name): run for name, run in history.items()}
    elif isinstance(history, (list, tuple)) and history:
        given = {f"run {i}": run for i, run in enumerate(history, 1)}
    for run in given.values():
        if not all(isinstance(getattr(run, which, None), Mapping) for which in ("epochs", "steps")):
            raise TypeError(checks.wrong(
                "plot_history", "history", "have the dicts epochs and steps",
                type(history).__name__, "Trainer.fit returns such a history"))
    return given


def _columns(which, table):
    lengths = {key: len(values) for key, values in table.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(checks.wrong("plot_history", f"history.{which}",
                                      "hold lists of one length", lengths))
    return {key: np.asarray(values) for key, values in table.items()}


# (label, colour, marker) of the steps, of training and of validation
ALONE = ("train, each step", TRAIN, ""), ("train", TRAIN, "o"), ("validation", VALIDATION, "s")


def _one_of_several(i, name, epochs, steps):
    """The same for one run of several: one colour and marker each."""
    color, marker = COLORS[i % len(COLORS)], MARKERS[i % len(MARKERS)]
    stopped = not len(epochs.get("epoch", ()))
    return ((f"{name}, each step" if stopped else None, color, ""), (name, color, marker),
            (f"{name}, validation", color, marker))


def _draw(panel, name, epochs, steps, each, train, validation):
    if name in steps and each[0]:
        every = -(-len(steps[name]) // 5000)    # more points than a panel has pixels only cost time
        panel.plot(steps["epoch"][::every], steps[name][::every], color=each[1], alpha=0.35,
                   linewidth=0.8, label=each[0])
    few = len(epochs.get("epoch", ())) <= 20
    both = (name, "-", train), (f"val_{name}", "--", validation)
    for key, line, (label, color, marker) in both:
        if len(epochs.get(key, ())):
            panel.plot(epochs["epoch"] - 0.5 * (key == name), epochs[key], line,
                       marker=marker if few else None, markersize=5, color=color, label=label)


def _finish(panel, name, tables):
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    title = name.replace("_", " ")
    panel.set(xlabel="epoch")
    panel.set_ylabel(title, **PLAIN)
    panel.set_title(title[:1].upper() + title[1:], **PLAIN)
    ends = np.ceil(np.concatenate([table.get("epoch", ()) for table in tables]))
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
