"""What a random search found, setting by setting."""
from __future__ import annotations

from typing import Any

import numpy as np

from ..common import checks
from ..common.types import Array, Axes
from ._style import PLAIN, TRAIN, VALIDATION, axes_for


def plot_search(search: Any, axes: Axes | Array | None = None) -> Array:
    """One panel for each setting: the value of every trial over it, the best trial marked.

    ``search``: what ``random_search`` returns, with ``trials``, ``space`` and ``best``. The axis of
    a LogUniform is logarithmic; that of a Choice has a place for each value, around which points
    are spread. Trials that did not end in a number are crosses at the foot.

    ``axes``: Axes, or an array with at least one for each setting; None makes a new figure. Returns
    the Axes drawn on as a flat array.

    >>> from chainrule.training import LogUniform, random_search
    >>> search = random_search(lambda lr: lr ** 2, {"lr": LogUniform(0.01, 1.0)}, 5, rng=0)
    >>> axes = plot_search(search)
    >>> axes[0].get_xlabel(), axes[0].get_xscale()
    ('lr', 'log')
    """
    who = "plot_search"
    if not all(hasattr(search, name) for name in ("trials", "space", "best")):
        raise TypeError(checks.wrong(who, "search", "have trials, a space and a best",
                                     type(search).__name__, "random_search returns such a search"))
    values = np.array([np.nan if trial.value is None else trial.value for trial in search.trials])
    best = next(i for i, trial in enumerate(search.trials) if trial is search.best)
    panels = axes_for(who, axes, len(search.space), "axes", f", for {', '.join(search.space)}")
    for panel, (name, part) in zip(panels, search.space.items()):
        x = places(panel, part, [trial.params[name] for trial in search.trials])
        ended = np.isfinite(values)
        panel.plot(x[ended], values[ended], "o", color=TRAIN, alpha=0.7, label="trials")
        panel.plot(x[best], values[best], "*", color=VALIDATION, markersize=14, label="best")
        if not ended.all():
            panel.plot(x[~ended], np.zeros((~ended).sum()), "x", color="0.4", clip_on=False,
                       transform=panel.get_xaxis_transform(), label="no number")
        panel.set_xlabel(name, **PLAIN)
        panel.set_ylabel("value")
        panel.grid(alpha=0.3)
        panel.legend()
    return panels


def places(panel, part, drawn):
    """Where the values ``drawn`` stand on the x axis, which is set up for it."""
    if part.scale != "category":
        panel.set_xscale(part.scale)
        return np.array(drawn)
    panel.set_xticks(range(len(part.values)),
                     [getattr(value, "__name__", str(value)) for value in part.values], **PLAIN)
    panel.set_xlim(-0.5, len(part.values) - 0.5)
    index = [next(i for i, value in enumerate(part.values) if value is one) for one in drawn]
    return index + 0.4 * (0.618034 * np.arange(len(drawn)) % 1 - 0.5)
