"""What a classifier makes of the plane."""
from __future__ import annotations

from typing import Any

import numpy as np

from ..common import checks
from ..common.types import ArrayLike, Axes
from ._style import COLORS, MARKERS, axes_for


def plot_decision_boundary(model: Any, x: ArrayLike, t: ArrayLike, ax: Axes | None = None,
                           resolution: int = 200) -> Axes:
    """The region of the plane that a model gives to each class, and the samples, each as its true
    class.

    ``model``: an object with ``predict``, or a function, from points (M, 2) to scores (M, classes);
    a single column is a binary logit, class 1 where it is positive. It is asked at resolution ×
    resolution points, in the dtype of x (N, 2). ``t`` holds labels (N,) or one-hot rows (N,
    classes). Returns ``ax``, or the Axes of a new figure. Wrong shapes, labels without a
    score, and numbers that are not finite raise ValueError.

    >>> ax = plot_decision_boundary(lambda x: x, [[2.0, 1.0], [0.0, 1.0]], [0, 1])
    >>> ax.get_xlabel(), [text.get_text() for text in ax.get_legend().get_texts()]
    ('$x_1$', ['class 0', 'class 1'])
    """
    who = "plot_decision_boundary"
    if isinstance(model, type) or not callable(getattr(model, "predict", model)):
        raise TypeError(checks.wrong(who, "model", "be an object with predict, or a function",
                                     checks.text(model)))
    x = checks.array(who, "x", x, shape=("N", 2))
    checks.finite(who, "x", x)
    checks.count(who, "resolution", resolution, least=2)
    checks.room(who, "resolution", (resolution, resolution), each=64, got=resolution)
    low, high = x.min(axis=0), x.max(axis=0)
    margin = np.where(high > low, 0.1 * (high - low), 0.5)
    low, high = low - margin, high + margin
    centres = low + (np.arange(resolution)[:, None] + 0.5) / resolution * (high - low)
    grid = np.stack(np.meshgrid(*centres.T), axis=-1).reshape(-1, 2).astype(x.dtype)

    scores = np.asarray(getattr(model, "predict", model)(grid))
    if scores.ndim != 2 or len(scores) != len(grid):
        expected = f"give scores of shape ({len(grid)}, classes) for x of shape {grid.shape}"
        raise ValueError(checks.wrong(who, "model", expected, scores.shape))
    if np.isnan(scores).any():
        raise ValueError(checks.wrong(who, "model", "give scores that are numbers", "nan"))
    if scores.shape[1] == 1:
        scores = np.hstack([np.zeros_like(scores), scores])
    classes = scores.shape[1]
    t = checks.as_array(t)
    t = checks.labels(who, t.argmax(axis=1) if t.shape == (len(x), classes) else t, (len(x),),
                      classes)

    from matplotlib.colors import to_rgb

    ax = axes_for(who, ax, width=5.5, height=4.5)[0]
    colors = np.array([to_rgb(COLORS[c % len(COLORS)]) for c in range(classes)])
    regions = scores.argmax(axis=1).reshape(resolution, resolution)
    place = {"origin": "lower", "extent": (low[0], high[0], low[1], high[1])}
    ax.imshow(1 - 0.4 * (1 - colors[regions]), aspect="auto", **place)
    borders = np.arange(regions.min(), regions.max()) + 0.5
    if len(borders):
        ax.contour(regions, borders, colors="white", linewidths=1, **place)
    for c in range(classes):
        ax.scatter(*x[t == c].T, s=22, color=colors[c], marker=MARKERS[c % len(MARKERS)],
                   edgecolor="black", linewidth=0.6, label=f"class {c}")
    ax.set(xlabel="$x_1$", ylabel="$x_2$")
    # a figure that lays itself out makes room outside
    if classes > 5 and ax.figure.get_layout_engine():
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)
    else:
        ax.legend(ncols=-(-classes // 5), fontsize="small")
    return ax
