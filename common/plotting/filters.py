"""What a convolution looks for, and what it makes of an image."""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..common import checks
from ..common.types import ArrayLike, Axes
from ._style import color_bar, number_of, show_tiles


def plot_filters(W: Any, ax: Axes | None = None, most: int = 64) -> Axes:
    """The filters W (F, C, KH, KW) of a convolution: up to ``most`` tiles, on one scale, 0 in
    mid-grey.

    ``W``: an array, or a layer or model that holds one as its first parameter. By the number of
    channels C:

    - 1: a tile for each filter under its number, negative weights dark, positive ones bright;
    - 3: the same in colour: a pixel is reddish where the weight of the red channel is above the
      others;
    - any other: a row for each of the first √most filters, in it one grey tile for each of the
      first √most channels.

    Returns ``ax``, or the Axes of a new figure. A wrong shape and numbers that are not
    finite raise ValueError.

    >>> ax = plot_filters(np.array([[[[-1.0, 1.0]], [[1.0, -1.0]]]]))
    >>> ax.get_title(), ax.get_xlabel(), ax.get_ylabel()
    ('1 filter, 2 channels', 'channel', 'filter')
    """
    who = "plot_filters"
    checks.count(who, "most", most)
    if hasattr(W, "params"):
        if not W.params:
            got = f"{type(W).__name__} without"
            raise ValueError(checks.wrong(who, "W", "be an array or a layer that has one", got))
        W = W.params[0]
    if checks.as_array(W).ndim == 2:
        raise ValueError(checks.wrong(
            who, "W", "have shape (F, C, KH, KW)", np.shape(W),
            "the weights (C KH KW, F) of an Affine on flat images are W.T.reshape(F, C, KH, KW)"))
    W = checks.array(who, "W", W, np.float64, ("F", "C", "KH", "KW"))
    checks.finite(who, "W", W)
    F, C, KH, KW = W.shape
    top = np.abs(W).max() or 1.0
    grey = {"cmap": "gray", "vmin": -top, "vmax": top}

    if C in (1, 3):
        W = W[:most]
        tiles, look = (W[:, 0], grey) if C == 1 else (0.5 + W.transpose(0, 2, 3, 1) / (2 * top), {})
        ax, _, _ = show_tiles(who, tiles, ax, captions=[str(f) for f in range(len(W))], **look)
        ax.set_title(number_of(len(W), F, "filter"))
    else:
        W = W[:math.isqrt(most), :math.isqrt(most)]
        filters, channels = W.shape[:2]
        ax, columns, rows = show_tiles(who, W.reshape(-1, KH, KW), ax, channels, **grey)
        ax.set_xticks(columns, range(channels))
        ax.set_yticks(rows, range(filters))
        ax.set(xlabel="channel", ylabel="filter",
               title=f"{number_of(filters, F, 'filter')}, {number_of(channels, C, 'channel')}")
    if C != 3:
        color_bar(ax)
    return ax


def plot_activations(
    y: ArrayLike, ax: Axes | None = None, sample: int = 0, most: int = 64
) -> Axes:
    """The feature maps of one sample, each under the number of its channel, all on one scale.

    ``y``: maps (C, H, W), or those of a batch (N, C, H, W), of which ``sample`` is drawn; the first
    ``most`` channels are shown. If any value is negative, blue is below 0, white 0, red above;
    else, as after a ReLU, black is 0.

    Returns ``ax``, or the Axes of a new figure. A wrong shape, a sample that is not there,
    and numbers that are not finite raise ValueError.

    >>> ax = plot_activations(np.ones((5, 6, 4, 4)), sample=2)
    >>> ax.get_title(), [text.get_text() for text in ax.texts]
    ('Sample 2: 6 channels', ['0', '1', '2', '3', '4', '5'])
    """
    who = "plot_activations"
    checks.count(who, "most", most)
    if hasattr(y, "forward"):
        raise TypeError(checks.wrong(who, "y", "be an array, the output of a layer",
                                     type(y).__name__, "layer.forward(x) gives one"))
    y = checks.as_array(y)
    y = checks.array(who, "y", y, y.dtype, ("C", "H", "W") if y.ndim == 3 else ("N", "C", "H", "W"))
    batch = y[None] if y.ndim == 3 else y
    if checks.count(who, "sample", sample, least=0) >= len(batch):
        raise ValueError(checks.wrong(who, "sample", f"be in 0..{len(batch) - 1}", sample))
    maps = batch[sample, :most].astype(np.float64)
    checks.finite(who, "y", maps)

    top = np.abs(maps).max() or 1.0
    signed = maps.min() < 0
    look = {"cmap": "RdBu_r", "vmin": -top} if signed else {"cmap": "magma", "vmin": 0}
    ax, _, _ = show_tiles(who, maps, ax, captions=[str(c) for c in range(len(maps))], vmax=top,
                          **look)
    title = number_of(len(maps), batch.shape[1], "channel")
    ax.set_title(title if y.ndim == 3 else f"Sample {sample}: {title}")
    color_bar(ax)
    return ax
