"""Learning curves that grow while a model trains."""
from __future__ import annotations

import sys
from typing import Any

import numpy as np

from ..common.types import Array, Axes


class LivePlot:
    """A callback that draws the learning curves after each epoch: in a notebook they grow in place.

    ``trainer.fit(x, t, callbacks=[LivePlot()])``. ``axes``: Axes, or an array with one for each
    panel, to draw on; by default those of a new figure. They are kept, to be saved or changed.
    """

    def __init__(self, axes: Axes | Array | None = None) -> None:
        self.given, self.axes = axes, axes
        self.history: Any = None
        self.shown: Any = None

    def __call__(self, trainer: Any) -> None:
        if trainer.history is not self.history:                # a training begins
            self.history, self.axes, self.shown = trainer.history, self.given, None
        for panel in [] if self.axes is None else np.ravel(np.asarray(self.axes, object)):
            panel.clear()
        self.axes = panels = trainer.history.plot(self.axes)
        figure = panels[0].figure
        figure.canvas.draw_idle()
        if self.shown is not None:
            self.shown.update(figure)
        elif self.given is None and in_notebook():
            self.shown = displayed(figure)


def displayed(figure):
    """The figure below the cell, in whose place its ``update`` shows another."""
    from IPython.display import display
    from matplotlib import pyplot
    pyplot.close(figure)                               # else the cell shows it once more
    return display(figure, display_id=True)


def in_notebook() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")
