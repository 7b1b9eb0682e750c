"""Vectors as named points in the plane."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..common import checks
from ..common.types import ArrayLike, Axes
from ._style import PLAIN, TRAIN, axes_for, names_of


def plot_embedding(vectors: ArrayLike, names: Iterable[Any], ax: Axes | None = None) -> Axes:
    """Rows (V, D) as points of the plane, each beside its name: what lies close together?

    More than two numbers a row are projected on the two directions in which the rows differ most
    (principal components): with the rows centred, X = U S Vᵀ, the points are the first two columns
    of U S. The axes say how much of the variance they show; the rest may still tell two close
    points apart. Both axes have one scale, so that distances compare.

    ``names``: V strings, "" for none. Each takes the place nearest to its point that covers no
    point and no other name, where points crowd first; thin lines lead to those farther off. Names
    that find no place are left out, and the title counts them. Places are right for the size that
    the Axes has now: draw the rest of the figure before.

    Returns ``ax``, or the Axes of a new figure. Wrong shapes and numbers that are not
    finite raise ValueError.

    >>> ax = plot_embedding([[0, 0, 3.0], [0, 0, -3.0], [1.0, 0, 0]], ["up", "down", "side"])
    >>> ax.get_xlabel()
    'principal component 1 (96 % of the variance)'
    >>> sorted(text.get_text() for text in ax.texts)
    ['down', 'side', 'up']
    """
    who = "plot_embedding"
    vectors = checks.array(who, "vectors", vectors, shape=("V", "D"))
    checks.finite(who, "vectors", vectors)
    V, D = vectors.shape
    if D < 2:
        raise ValueError(
            checks.wrong(who, "vectors", "have two columns or more", f"shape {vectors.shape}"))
    names = names_of(who, "names", [names] if isinstance(names, str) else names, V,
                     f"the {V} rows of vectors")
    points, axes = ((vectors, ("$x_1$", "$x_2$")) if D == 2
                    else _principal_components(vectors.astype(np.float64)))

    ax = axes_for(who, ax, width=7.5, height=6.0)[0]
    ax.scatter(*points.T, s=16, color=TRAIN, zorder=2)
    ax.set(xlabel=axes[0], ylabel=axes[1], title=f"{V} points")
    ax.set_aspect("equal", adjustable="datalim")
    ax.margins(0.12)
    left_out = _write_names(ax, points, names)
    if left_out:
        ax.set_title(f"{V} points, {left_out} without their names")
    return ax


def _principal_components(X):
    """The first two, (V, 2), and their names. Signs are free: each direction's largest entry is
    positive."""
    X = X - X.mean(axis=0)
    U, S, Vt = np.linalg.svd(X, full_matrices=False)
    signs = np.sign(Vt[np.arange(len(Vt)), np.abs(Vt).argmax(axis=1)])
    points = np.zeros((len(X), 2))
    points[:, :len(S)] = (U * S * signs)[:, :2]
    shares = 100 * (points ** 2).sum(axis=0) / max((X ** 2).sum(), np.finfo(float).tiny)
    return points, [f"principal component {i} ({share:.0f} % of the variance)"
                    for i, share in enumerate(shares, 1)]


# The places for a name, best first: the end of a line from its point, in points (the shortest lines
# are not drawn), the name standing on the far side of it.
_REACH = 3.5, 11, 18, 26, 36, 48, 62, 80, 100
_ANGLES = np.radians([0, 180, 45, -45, 135, -135, 90, -90, 20, -20, 160, -160, 70, -70, 110, -110])
_DIRECTIONS = np.tile(np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1), (len(_REACH), 1))
_LINES = np.repeat(_REACH, len(_ANGLES))[:, None] * _DIRECTIONS
_SIDES = np.clip(np.sqrt(2) * _DIRECTIONS, -1, 1)


# Boxes are (x0, y0, x1, y1), lines the same from one end to the other, in pixels.

def _boxes_touch(a, b):
    """(A, B): whether box a (A, 4) and box b (B, 4) have a piece in common."""
    (x0, y0, x1, y1), (left, low, right, top) = a.T[..., None], b.T
    return (x0 < right) & (left < x1) & (y0 < top) & (low < y1)


def _line_meets_box(a, b):
    """(A, B): whether line a (A, 4) goes through box b (B, 4), between all its sides at once."""
    (x0, y0, x1, y1), (left, low, right, top) = a.T[..., None], b.T
    dx, dy = x1 - x0 + 1e-9, y1 - y0 + 1e-9
    first, second = np.sort([[(left - x0) / dx, (low - y0) / dy],
                             [(right - x0) / dx, (top - y0) / dy]], axis=0)
    enter, leave = first.max(axis=0), second.min(axis=0)
    return (enter < leave) & (enter < 1) & (leave > 0)


def _lines_cross(a, b):
    """(A, B): whether line a (A, 4) has its ends on two sides of line b (B, 4), and b of a."""
    def side(line, point):
        way, there = line[..., 2:] - line[..., :2], point - line[..., :2]
        return way[..., 0] * there[..., 1] - way[..., 1] * there[..., 0] > 0
    a = a[:, None]
    return (side(a, b[:, :2]) != side(a, b[:, 2:])) & (side(b, a[..., :2]) != side(b, a[..., 2:]))


def _write_names(ax, points, names):
    """The names beside their points; how many found no place."""
    # only now is the size of the Axes known; a layout may settle in two steps
    for _ in range(2):
        ax.figure.canvas.figure.draw_without_rendering()
    pixel = ax.figure.dpi / 72
    at = ax.transData.transform(points)
    frame = ax.get_window_extent()
    ruler = ax.text(0, 0, "", fontsize="small", **PLAIN)
    marks = np.hstack([at - 3 * pixel, at + 3 * pixel])
    written, lines = np.empty((0, 4)), np.empty((0, 4))
    crowd = np.exp(-(((at[:, None] - at) / (50 * pixel, 25 * pixel)) ** 2).sum(axis=-1)).sum(axis=1)
    left_out = 0
    for i in (i for i in np.argsort(-crowd, kind="stable") if names[i]):
        ruler.set_text(names[i])
        # apart like words, or more
        half = np.array(ruler.get_window_extent().size) / 2 + (3 * pixel, pixel)
        ends = at[i] + pixel * _LINES
        centres = ends + _SIDES * half
        box, line = (np.hstack([centres - half, centres + half]),
                     np.hstack([np.broadcast_to(at[i], ends.shape), ends]))
        # marks that overlap cannot be avoided
        others = marks[np.abs(at - at[i]).max(axis=1) > 6 * pixel]
        free = np.flatnonzero(
            (box[:, :2] > frame.p0).all(axis=1) & (box[:, 2:] < frame.p1).all(axis=1))
        for meet, a, b in ((_boxes_touch, box, marks), (_boxes_touch, box, written),
                           (_line_meets_box, line, others), (_line_meets_box, line, written),
                           (_lines_cross, line, lines)):
            free = free[~meet(a[free], b).any(axis=1)]
        free = free[~_line_meets_box(lines, box[free]).any(axis=0)]
        if not free.size:
            left_out += 1
            continue
        best, arrow = free[0], None
        written = np.vstack([written, box[best]])
        if best >= len(_ANGLES):
            lines = np.vstack([lines, line[best]])
            arrow = {"arrowstyle": "-", "linewidth": 0.6, "color": "0.5", "shrinkA": 1.5,
                     "shrinkB": 2.5, "patchA": None, "relpos": tuple(0.5 - _SIDES[best] / 2)}
        ax.annotate(names[i], points[i], (centres[best] - at[i]) / pixel,
                    textcoords="offset points", ha="center", va="center", fontsize="small",
                    arrowprops=arrow, **PLAIN)
    ruler.remove()
    return left_out
