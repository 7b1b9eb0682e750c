"""What a convolution looks for."""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..common import checks
from ..common.types import Axes
from ._tiles import color_bar, number_of, show_tiles


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

    Returns ``ax``, or for None the Axes of a new figure. A wrong shape and numbers that are not
    finite raise ValueError.

    >>> ax = plot_filters(np.array([[[[-1.0, 1.0]], [[1.0, -1.0]]]]))
    >>> ax.get_title(), ax.get_xlabel(), ax.get_ylabel()
    ('1 filter, 2 channels', 'channel', 'filter')
    >>> from matplotlib import pyplot; pyplot.close(ax.figure)
    """
    who = "plot_filters"
    checks.count(who, "most", most)
    if hasattr(W, "params"):
        if not W.params:
            got = f"{type(W).__name__} without"
            raise ValueError(checks.wrong(who, "W", "be an array or a layer that has one", got))
        W = W.params[0]
    if checks.as_array(W).ndim == 2:
        raise ValueError(
            checks.wrong(
                who, "W", "have shape (F, C, KH, KW)", np.shape(W),
                "the weights (C KH KW, F) of an Affine on flat images are W.T.reshape(F, C, KH, "
                "KW)"))
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
