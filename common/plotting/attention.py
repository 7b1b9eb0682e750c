"""Where attention looks."""
from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..common import checks
from ..common.types import Array, ArrayLike, Axes
from ._style import PLAIN, axes_for, color_bar, names_of

VISIBLE = str.maketrans({" ": "␣", "\n": "↵", "\t": "→"})


def plot_attention(weights: ArrayLike, queries: Iterable[str] | None = None,
                   keys: Iterable[str] | None = None, ax: Axes | Array | None = None) -> Any:
    """The weights (Tq, Tk) of attention: row i says how much query i looks at each key, white 0,
    dark blue 1.

    The scale is always 0 to 1, so pictures can be compared. ``queries`` and ``keys`` name rows and
    columns: Tq and Tk tokens, as a list or as a str of one character each (blanks and line breaks
    are made visible); else they are numbered. With ``keys`` left out and Tq = Tk, as in
    self-attention, the queries stand on both axes.

    With three axes, (heads, Tq, Tk), there is a panel for each head of one sample, and ``ax`` is an
    array with at least one Axes each. From a batch, (N, Tq, Tk) or (N, heads, Tq, Tk), one sample
    is ``weights[0]``.

    Returns ``ax``, or the Axes of a new figure; for heads a flat array of them. A wrong
    shape, weights outside 0..1, a wrong number of names and too few Axes raise ValueError.

    >>> weights = [[0.9, 0.1, 0.0], [0.0, 0.5, 0.5]]
    >>> ax = plot_attention(weights, queries="ab", keys=["le", "chat", "noir"])
    >>> [text.get_text() for text in ax.get_xticklabels()], ax.images[0].get_clim()
    (['le', 'chat', 'noir'], (0.0, 1.0))
    """
    who = "plot_attention"
    weights = checks.array(who, "weights", weights, np.float64)
    if weights.ndim not in (2, 3):
        raise ValueError(checks.wrong(
            who, "weights", "have shape (Tq, Tk), or (heads, Tq, Tk) for the heads of one sample",
            weights.shape, "one sample of a batch is weights[0]" if weights.ndim > 3 else ""))
    checks.finite(who, "weights", weights)
    low, high = weights.min(), weights.max()
    if low < 0 or high > 1 + 1e-3:
        raise ValueError(checks.wrong(who, "weights", "be in 0..1", f"{low:g} to {high:g}",
                                      "pass them after the softmax"))
    Tq, Tk = weights.shape[-2:]
    if keys is None and Tq == Tk:
        keys = queries
    names = [[token.translate(VISIBLE)
              for token in names_of(who, name, range(n) if given is None else given, n,
                                    f"{n} tokens, one for each {line} of weights")]
             for name, given, n, line in (("queries", queries, Tq, "row"),
                                          ("keys", keys, Tk, "column"))]

    heads = weights.reshape(-1, Tq, Tk)
    width, height = (min(max(0.22 * n, 2.5), 9) for n in (Tk, Tq))
    panels = axes_for(who, ax, len(heads), each=", one for each head of one sample",
                      width=width + 1.7, height=height + 1.2)
    for h, panel in enumerate(panels):
        panel.imshow(heads[h], cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
        panel.set(xlabel="key", ylabel="query")
        if weights.ndim == 3:
            panel.set_title(f"head {h}")
        _name(panel, *names)
    color_bar(panels[-1])
    if ax is None:
        # the layout takes two passes to find room for names and squares
        panels[0].figure.draw_without_rendering()
    return panels if weights.ndim == 3 else panels[0]


def _name(panel, queries, keys):
    """Names on both axes, as large as fits; of names too small to read every second, third ..."""
    box, long = panel.get_window_extent(), max(map(len, keys))
    upright = 90 if long > 2 else 0
    for axis, names, extent, letters in ((panel.xaxis, keys, box.width, 1 if upright else long),
                                         (panel.yaxis, queries, box.height, 1)):
        # for a letter, in points
        room = extent / len(names) * 72 / panel.figure.dpi / (0.25 + 0.75 * letters)
        every = math.ceil(5 / room)
        axis.set_ticks(range(0, len(names), every), names[::every],
                       fontsize=min(10, 0.9 * room * every), **PLAIN)
    panel.tick_params(axis="x", rotation=upright)
