"""Pictures that a slider moves."""
from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..common import checks
from ..common.types import Array, Axes
from ._style import axes_for


def slide(
    paint: Callable[..., Any], values: Iterable[Any], name: str = "", start: Any = None,
    axes: Axes | Array | None = None, panels: int = 1,
) -> Array:
    """A picture of one value, and in a notebook a slider below it that shows the others.

    - paint: a function ``paint(ax, value)`` that draws on empty Axes; for several panels
      ``paint(axes, value)``, with an array of Axes;
    - values: what the slider runs through, in this order; name: what they are called beside it;
    - start: the value of the picture at first, one of ``values``; None: the last one;
    - axes: as many Axes as ``panels``, or None for those of a new figure.

    Returns the Axes as a flat array. The still picture is what a saved notebook keeps, and all
    there is in a program or without ipywidgets.

    Raises ValueError for no values and for a start that is not one of them, TypeError for what is
    no function or no list.

    >>> def line(ax, slope):
    ...     ax.plot([0, 1], [0, slope])
    >>> axes = slide(line, [0.5, 1.0, 2.0], "slope", start=1.0)
    >>> axes[0].lines[0].get_ydata().tolist()
    [0.0, 1.0]
    """
    if not callable(paint):
        raise TypeError(checks.wrong("slide", "paint", "be a function of Axes and a value",
                                     checks.text(paint)))
    if not np.iterable(values):
        raise TypeError(checks.wrong("slide", "values", "be a list", checks.text(values)))
    choices = list(values)
    if not choices:
        raise ValueError(checks.wrong("slide", "values", "hold at least one", "none"))
    panels = checks.count("slide", "panels", panels)
    place = len(choices) - 1 if start is None else next(
        (i for i, value in enumerate(choices) if value is start or np.array_equal(value, start)),
        -1)
    if place < 0:
        raise ValueError(checks.wrong("slide", "start", "be one of values", repr(start)))
    drawn = axes_for("slide", axes, panels, "axes")
    figure = drawn[0].figure

    def show(i):
        for ax in drawn:
            ax.clear()
        paint(drawn[0] if panels == 1 else drawn, choices[i])

    from ..training.live import displayed, in_notebook

    show(place)
    if in_notebook():
        picture = displayed(figure)
        try:
            from IPython.display import display
            from ipywidgets import Layout, SelectionSlider
        except ImportError:
            return drawn

        def moved(change):
            show(change["new"])
            picture.update(figure)

        labels = [f"{c:g}" if isinstance(c, float) else str(c) for c in choices]
        slider = SelectionSlider(
            options=[(label, i) for i, label in enumerate(labels)], index=place, description=name,
            continuous_update=False, layout=Layout(width="60%"))
        slider.observe(moved, "index")
        display(slider)
    return drawn
