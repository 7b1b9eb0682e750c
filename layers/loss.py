"""What losses share: a mean, sum or array over rows, weights, and what is checked."""
import math
from typing import Any

import numpy as np

from ..common import checks
from ..common.layer import Layer
from ..common.types import Array, ArrayLike, Reduction


class Loss(Layer):
    """The mean over rows, L = Σ_n w_n ℓ_n / Σ_n w_n, so that

        dout · dL/dx_n = dℓ_n/dx_n · scale_n        scale_n = dout · w_n / Σ_n w_n

    (for ``"sum"`` and ``"none"`` scale_n = dout · w_n, where ``"none"`` has a dout for each row).

    A subclass states ℓ, the loss of one row, and its derivative:

    - ``losses(x, t)`` returns the losses of all rows (N, ...), and a tuple of what the derivative
      needs;
    - ``gradient(scale, *needed)`` returns dℓ/dx · scale, where scale is a number or has one for
      each row;
    - ``targets(x, t)``, where t has to be checked or brought into shape, returns what ``losses``
      takes for t.

    Options of every loss:

    - ``reduction``: ``"mean"``, ``"sum"`` for Σ_n w_n ℓ_n, or ``"none"`` for the array of all w_n
      ℓ_n, whose backward takes an array of gradients, by default ones;
    - ``forward(x, t, weight=None)``: w (N, ...), one number of at least 0 for each row (of
      SigmoidWithLoss each element), or without the last axis, for all along it; without w all are
      1. A row of weight 0 does not count, even if NaN stands in it (but labels and probabilities
      must be such: for padding there is ``ignore_label``). If no row counts, loss and gradient are
      0.

    After forward ``count`` is Σ_n w_n (for SigmoidWithLoss, over elements); the Trainer weighs the
    losses of batches by it.
    """
    count = 0

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__()
        self.reduction = checks.one_of(type(self).__name__, "reduction", reduction,
                                       ("mean", "sum", "none"))

    def forward(self, x, t, weight=None):
        # where float32 overflows ``total`` computes again; an array of losses shows inf
        with np.errstate(over="ignore", invalid="ignore"):
            losses, needed = self.losses(x, self.targets(x, t))
            weight = None if weight is None else self.weights(weight, losses, x.dtype)
            self.cache = weight, *needed
            self.count = losses.size if weight is None else float(weight.sum())
            if self.reduction == "none":
                return weighted(losses, weight).astype(x.dtype, copy=False)
            total = self.total(weighted(losses, weight), weight, x, t)
        return total / (self.count or 1) if self.reduction == "mean" else total

    def backward(self, dout=1.0):
        weight, *needed = self.cache
        scale = dout if self.reduction == "none" else checks.number(
            type(self).__name__, "dout", dout, expected="be one finite number, as the loss is")
        if self.reduction == "mean":
            scale /= self.count or 1
        if weight is None:
            return self.gradient(scale, *needed)
        with np.errstate(invalid="ignore"):                  # 0 · ∞ is NaN
            dx = self.gradient(weight * scale, *needed)
        dx[weight == 0] = 0
        return dx

    def targets(self, x: Array, t: Any) -> Any:
        """The targets as ``losses`` takes them."""
        return t

    def total(self, terms: Array, weight: Array | None, x: Array, t: ArrayLike) -> float:
        """The sum of the terms w_n ℓ_n; where float32 overflowed, computed again in float64."""
        total = float(np.add.reduce(terms, axis=None))
        if not math.isfinite(total) and x.dtype == np.float32:
            x = x.astype(np.float64)
            losses, _ = self.losses(x, self.targets(x, t))
            total = float(np.add.reduce(weighted(losses, weight), axis=None))
        return total

    def weights(self, weight: ArrayLike, losses: Array, dtype: Any) -> Array:
        """The weights in the shape of the losses; without the last axis they count along it."""
        who = type(self).__name__
        weight = checks.array(who, "weight", weight, dtype)
        if weight.shape != losses.shape and weight.shape == losses.shape[:-1]:
            weight = np.broadcast_to(weight[..., None], losses.shape)
        checks.array(who, "weight", weight, dtype, losses.shape)
        if weight.min() < 0:
            raise ValueError(checks.wrong(who, "weight", "hold no negative numbers", weight.min()))
        return weight

    def labels(self, t: ArrayLike, x: Array) -> Array:
        """Integer labels, one for each row of x."""
        self.several_classes(x)
        if x.ndim > 2 and checks.as_array(t).shape == x.shape[:1]:
            raise ValueError(
                checks.wrong(
                    type(self).__name__, "x", f"have shape ({len(x)}, C) for one label per sample",
                    x.shape,
                    "Flatten() each sample in front of the last Affine, or Mean(axis=1) over time"))
        return checks.labels(type(self).__name__, t, x.shape[:-1], x.shape[-1])

    def several_classes(self, x: Array) -> None:
        """ValueError for one column: of one class no loss can be but 0."""
        if x.shape[-1] == 1:
            raise ValueError(checks.wrong(
                type(self).__name__, "x", "have a column for each of two classes or more", x.shape,
                "SigmoidWithLoss() is the loss for one column, with targets 0 and 1"))

    def __repr__(self):
        return super().__repr__().replace(", reduction='mean'", "").replace("reduction='mean'", "")


def weighted(values, weight):
    """``values * weight``, 0 where the weight is 0; without weights the values."""
    return values if weight is None else np.where(weight == 0, 0, weight * values)


def column(scale):
    """One number for each row as a column beside the row's entries; a number as it is."""
    return scale[..., None] if isinstance(scale, np.ndarray) else scale
