"""Which classes a model confuses."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..common import checks
from ..common.functions import softmax
from ..common.metrics import _labelled, confusion_matrix
from ..common.types import ArrayLike, Axes
from ._style import PLAIN, axes_for, best_columns, color_bar, names_of, show_tiles


def plot_confusion(y_or_matrix: ArrayLike, t: ArrayLike | None = None, ax: Axes | None = None,
                   labels: Iterable[Any] | None = None, x: ArrayLike | None = None,
                   most: int = 6) -> Axes:
    """The confusion matrix: how many samples of each true class (row) were taken for each class
    (column).

    Only errors are shaded, by their number, so that a few show beside many right answers; these
    stand on the pale blue diagonal. Cells without an error stay empty; where counts would be too
    small to read, a colour bar shows them.

    ``y_or_matrix``: scores y (N, C), logits or probabilities, with targets ``t`` as in metrics; or
    without t the matrix of counts (C, C). ``labels``: the names of the classes, 0, 1, … by default.

    ``x``: the images (N, 1 or 3, H, W). With them, the ``most`` errors that the model was surest of
    stand to the right, each with its true → predicted class and the probability that it gave to its
    answer, on an inset Axes, ``ax.child_axes[0]``, for which a figure with ``layout="constrained"``
    makes room.

    Returns ``ax``, or the Axes of a new figure. Wrong shapes, numbers that are not finite,
    and negative counts raise ValueError.

    >>> y = np.array([[2.0, 0.0], [0.0, 3.0], [1.0, 0.0]])
    >>> ax = plot_confusion(y, t=[0, 0, 1], labels=["cat", "dog"], x=np.zeros((3, 1, 4, 4)))
    >>> ax.get_title()
    '2 of 3 wrong (accuracy 33.3 %)'
    >>> [text.get_text() for text in ax.child_axes[0].texts]
    ['cat → dog\\n95 %', 'dog → cat\\n73 %']
    """
    who, given = "plot_confusion", checks.as_array(y_or_matrix)
    if t is None:
        if x is not None:
            raise ValueError(
                f"{who}: x needs the scores y and the targets t of its samples, got only counts")
        matrix = _counts(who, given)
    else:
        if given.ndim == 1:
            raise ValueError(checks.wrong(
                who, "y", "be scores (N, C)", f"shape {given.shape}",
                "pass what the model gives, not its argmax, and the targets t after it"))
        y, t = _labelled(who, y_or_matrix, t)
        checks.finite(who, "y", y)
        matrix = confusion_matrix(y, t)
    classes = len(matrix)
    labels = names_of(who, "labels", range(classes) if labels is None else labels, classes,
                      f"the {classes} classes")
    checks.count(who, "most", most)
    if x is not None:
        x = checks.as_array(x)
        checks.array(who, "x", x, x.dtype, (len(y), "1 or 3", "H", "W"))
        if x.shape[1] not in (1, 3):
            raise ValueError(checks.wrong(who, "x", "hold images of 1 or 3 channels", x.shape[1]))

    ax = axes_for(who, ax, width=5.0 if x is None else 7.6, height=5.0)[0]
    _draw_matrix(ax, matrix, labels)
    if x is not None:
        ax.set_anchor("W")
        inset = ax.inset_axes([1.08, 0, 0.6, 1])
        ax.figure.canvas.figure.draw_without_rendering()        # only now is the inset's size known
        _draw_samples(who, inset, x, y, t, labels, most)
    return ax


def _counts(who, matrix):
    checks.array(who, "matrix", matrix, matrix.dtype)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(checks.wrong(who, "matrix", "be square, (classes, classes)", matrix.shape,
                                      "of scores y, pass the targets t too"))
    if not ((matrix >= 0) & (matrix == np.rint(matrix))).all() or not matrix.any():
        raise ValueError(
            checks.wrong(who, "matrix", "hold counts: whole numbers, none negative, not all 0",
                         f"{matrix.min():g} to {matrix.max():g}"))
    return matrix.astype(np.int64)


def _draw_matrix(ax, matrix, labels):
    from matplotlib import colormaps
    from matplotlib.ticker import MaxNLocator

    classes, total, right = len(matrix), matrix.sum(), matrix.trace()
    errors = np.ma.array(matrix, mask=np.eye(classes, dtype=bool))
    top = max(errors.filled(0).max(), 4)     # a single error is no alarm
    ax.imshow(errors, cmap=colormaps["Oranges"].with_extremes(bad="#d3e5f3"), vmin=0, vmax=top)
    box = ax.get_window_extent()
    cell = min(box.width, box.height) / classes * 72 / ax.figure.dpi
    size = min(10, cell / (0.6 * len(str(matrix.max())) + 0.4))
    if size < 4:
        color_bar(ax, ticks=MaxNLocator(integer=True))
    else:
        for i, j in zip(*np.nonzero(matrix + np.eye(classes))):
            color = "white" if i != j and matrix[i, j] > 0.6 * top else "black"
            ax.text(j, i, matrix[i, j], ha="center", va="center", fontsize=size, color=color)
    every = -(-classes // 20)
    ticks = range(0, classes, every)
    slanted = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if _long(labels) else {}
    ax.set_xticks(ticks, labels[::every], **slanted, **PLAIN)
    ax.set_yticks(ticks, labels[::every], **PLAIN)
    ax.set(xlabel="predicted", ylabel="true",
           title=f"{total - right} of {total} wrong (accuracy {100 * right / total:.1f} %)")


def _long(labels):
    return max(map(len, labels)) > 3


def _draw_samples(who, ax, x, y, t, labels, most):
    probabilities = y if (y >= 0).all() and np.allclose(y.sum(axis=1), 1, atol=1e-3) else softmax(y)
    predicted, sure = y.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != t)
    wrong = wrong[np.argsort(-sure[wrong], kind="stable")][:most]
    ax.set_title("Surest errors,\ntrue → predicted", fontsize="medium")
    if not len(wrong):
        ax.text(0.5, 0.5, "none", ha="center", va="center", transform=ax.transAxes)
        ax.axis("off")
        return
    images = x[wrong].astype(np.float64).transpose(0, 2, 3, 1)
    low, high = (0, 1) if images.min() >= 0 and images.max() <= 1 else (images.min(), images.max())
    images = (images - low) / ((high - low) or 1)
    arrow = "\n→ " if _long(labels) else " → "
    captions = [f"{labels[t[i]]}{arrow}{labels[predicted[i]]}\n{100 * sure[i]:.0f} %"
                for i in wrong]
    columns = best_columns(len(wrong), *x.shape[2:], shape=0.75)
    show_tiles(who, images[..., 0] if x.shape[1] == 1 else images, ax, columns, captions,
               cmap="gray", vmin=0, vmax=1)
