"""How much of the gradient arrives at each layer."""
from __future__ import annotations

from typing import Any

import numpy as np

from ..common import checks
from ..common.types import Axes
from ._style import PLAIN, TRAIN, VALIDATION, axes_for


def plot_gradient_flow(model: Any, ax: Axes | None = None) -> Axes:
    """For each parameter array, layer by layer, the mean |gradient| and its ratio to the mean
    |weight|, on a log axis.

    ``model``: any object with paired ``params`` and ``grads``, after a backward. Gradients that
    shrink from layer to layer towards the input vanish; those that grow explode. The ratio times
    the learning rate is the relative step of plain SGD, of which about 0.001 is usual (CS231n,
    Neural networks, part 3).

    A line joins the weights, arrays of two or more axes; biases, arrays of one, are open markers. A
    gradient of zeros is a cross at the foot of the axis; parameters of zeros have no ratio.

    Returns ``ax``, or the Axes of a new figure. No parameters, and gradients that are not
    finite, raise ValueError; gradients that are all zero, as before the first backward,
    RuntimeError.

    >>> from types import SimpleNamespace
    >>> model = SimpleNamespace(params=[np.full((2, 2), 4.0)], grads=[np.full((2, 2), -0.2)])
    >>> ax = plot_gradient_flow(model)
    >>> [(line.get_label(), line.get_ydata().tolist()) for line in ax.get_lines()]
    [('|gradient|', [0.2]), ('|gradient| / |weight|', [0.05])]
    """
    who = "plot_gradient_flow"
    if not (hasattr(model, "params") and hasattr(model, "grads")):
        raise TypeError(checks.wrong(who, "model", "have params and grads", type(model).__name__))
    if not (count := len(model.params)):
        raise ValueError(checks.wrong(who, "model", "have parameters", "none"))
    names = list(getattr(model, "names", None) or (f"params[{i}]" for i in range(count)))
    for name, g in zip(names, model.grads):
        checks.finite(who, f"the gradient of {name}", g)
    gradient, weight = (np.array([np.mean(np.abs(a), dtype=np.float64) for a in arrays])
                        for arrays in (model.grads, model.params))
    if not gradient.any():
        raise RuntimeError(
            f"{who}: all gradients are zero; call forward(x, t) and backward() first")

    size = np.where(gradient > 0, gradient, np.nan)
    ratio = size / np.where(weight > 0, weight, np.nan)
    is_weight = np.array([p.ndim > 1 for p in model.params])
    at = np.arange(count)

    ax = axes_for(who, ax, width=min(max(5.5, 0.28 * count), 14.0), height=4.0)[0]

    def draw(chosen, values, look, **options):
        if np.isfinite(values[chosen]).any():
            ax.plot(at[chosen], values[chosen], look, **options)

    for values, label, line, marker, color in (
        (size, "|gradient|", "-", "o", TRAIN),
        (ratio, "|gradient| / |weight|", "--", "s", VALIDATION)):
        draw(is_weight, values, line + marker, color=color, label=label)
        draw(~is_weight, values, marker, color=color, markerfacecolor="white",
             label=f"{label}, biases")
    ax.set(yscale="log", xlim=(-0.5, count - 0.5), title="Gradient flow",
           xlabel="parameters, first layer to last", ylabel="mean size, or ratio of means")
    low, high = ax.get_ylim()
    ax.set_ylim(low, high * (high / low) ** 0.35)        # room for the legend
    draw(gradient == 0, np.zeros(count), "x", color="black", markersize=8, clip_on=False,
         transform=ax.get_xaxis_transform(), label="gradient is zero")
    every = -(-count // 80)
    ax.set_xticks(at[::every], names[::every], rotation=90 if count > 8 else 0, fontsize="small",
                  **PLAIN)
    ax.grid(alpha=0.3)
    ax.legend(loc="upper center", ncols=2, fontsize="x-small")
    return ax
