"""What a layer makes of an image."""
from __future__ import annotations

import numpy as np

from ..common import checks
from ..common.types import ArrayLike, Axes
from ._tiles import color_bar, number_of, show_tiles


def plot_activations(
    y: ArrayLike, ax: Axes | None = None, sample: int = 0, most: int = 64
) -> Axes:
    """The feature maps of one sample, each under the number of its channel, all on one scale.

    ``y``: maps (C, H, W), or those of a batch (N, C, H, W), of which ``sample`` is drawn; the first
    ``most`` channels are shown. If any value is negative, blue is below 0, white 0, red above;
    else, as after a ReLU, black is 0.

    Returns ``ax``, or for None the Axes of a new figure. A wrong shape, a sample that is not there,
    and numbers that are not finite raise ValueError.

    >>> ax = plot_activations(np.ones((5, 6, 4, 4)), sample=2)
    >>> ax.get_title(), [text.get_text() for text in ax.texts]
    ('Sample 2: 6 channels', ['0', '1', '2', '3', '4', '5'])
    >>> from matplotlib import pyplot; pyplot.close(ax.figure)
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
