"""Losses: the last node of a network. ``forward(x, t)`` gives a Python float, by default the mean
over samples (of SigmoidWithLoss over elements), or an array with ``reduction="none"``.
``backward(dout=1.0)`` returns dout · dL/dx alone, each formula below times dout: targets are data
and have no gradient.

With leading axes, for example x (N, T, D), every row is a sample. Below, M is the number of rows,
here N · T; in code ``scale`` stands for dout / M, with weights for dout · w_n / Σ_n w_n (without
the division where losses are summed or kept apart: see loss.py).
"""
import math

import numpy as np

from ..common import checks
from ..common.engine.products import rows
from ..common.engine.softmax import exponentials, times_rows
from ..common.functions import sigmoid
from ..common.types import Array, ArrayLike, Reduction
from .loss import Loss, column


class SoftmaxWithLoss(Loss):
    """L = -1/M Σ_n Σ_c t_nc log y_nc with y = softmax(x): softmax and cross-entropy in one, for
    classification.

    Shapes: x (N, ..., C); t either integer labels (N, ...) or rows (N, ..., C) of shares, one-hot
    or probabilities. Rows whose integer label is ``ignore_label`` count neither in the sum nor in
    M; if no row is left, the loss and its gradient are 0.

    Forward. log y_c = z_c - log Σ_k exp z_k with z = x - max x, so that exp never overflows. The
    loss of one row is

        ℓ = (Σ_c t_c) log Σ_k exp z_k - Σ_c t_c z_c

    where Σ_c t_c = 1 and Σ_c t_c z_c = z_t if t is a label.

    Backward. From ∂ log y_c / ∂x_j = [c = j] - y_j, where [c = j] is 1 if c = j and 0 otherwise,
    follows

        dL/dx_nj = ((Σ_c t_nc) y_nj - t_nj) / M

    with t_nj = [j = t_n] if t is a label; where Σ_c t_nc = 1 it is the difference of what was
    predicted and what was true. Source: Saito, Deep Learning from Scratch, appendix A.

    Raises TypeError for labels that are not integers, ValueError for a label outside 0..C-1, a
    negative share or a wrong shape.

    >>> loss = SoftmaxWithLoss()                                              # ½ (log 2 + 0)
    >>> round(loss.forward(np.array([[0.0, 0.0], [0.0, 1000.0]]), np.array([0, 1])), 4)
    0.3466
    >>> loss.backward()
    array([[-0.25,  0.25],
           [ 0.  ,  0.  ]])
    """
    shapes = "x (N, ..., C), t any, weight? any -> L"

    def __init__(self, ignore_label: int | None = None, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self.ignore_label = (None if ignore_label is None
                             else checks.whole("SoftmaxWithLoss", "ignore_label", ignore_label))

    def forward(self, x, t, weight=None):
        if self.ignore_label is not None:
            t, weight = self.without_ignored(x, t, weight)
        return super().forward(x, t, weight)

    def losses(self, x, t):
        shape, x = x.shape, rows(x)
        e, top, total = exponentials(x)                    # exp z, max x, Σ exp z; y = e / total
        if t.ndim == 1:                                    # labels
            at = t + np.arange(0, x.size, x.shape[1])      # x.take(at) is x[n, t_n] for all n
            t_sum, losses = 1, np.log(total) - (x.take(at) - top)
        else:                                              # rows of shares
            z = np.where(t == 0, 0, x - top[:, None])           # 0 · z is 0, even where z = -∞
            at, t_sum, tz = None, t.sum(axis=1), np.einsum("nc,nc->n", t, z)
            losses = t_sum * np.log(total) - tz
        return losses.reshape(shape[:-1]), (e, total, t, t_sum, at, shape)

    def gradient(self, scale, e, total, t, t_sum, at, shape):
        scale = scale.reshape(-1) if isinstance(scale, np.ndarray) else scale
        dx = times_rows(e, t_sum * scale / total)                          # y Σ_c t_c · scale
        if at is None:                                                     # rows of shares
            dx -= t * column(scale)
        else:                                              # labels: dx[n, t_n] -= scale for all n
            dx.reshape(-1)[at] -= scale
        return dx.reshape(shape)

    def targets(self, x: Array, t: ArrayLike) -> Array:
        """Labels (M,), or rows of shares (M, C), for the M rows of x."""
        self.several_classes(x)
        if checks.as_array(t).shape != x.shape:
            return self.labels(t, x).reshape(-1)
        shares = rows(checks.array("SoftmaxWithLoss", "t", t, x.dtype))
        if shares.min() < 0:
            expected = "hold no negative shares"
            raise ValueError(checks.wrong("SoftmaxWithLoss", "t", expected, shares.min()))
        return shares

    def without_ignored(
        self, x: Array, t: ArrayLike, weight: ArrayLike | None
    ) -> tuple[ArrayLike, ArrayLike | None]:
        """Targets and weights in which rows with the label to ignore have the weight 0."""
        labels = checks.as_array(t)
        if labels.dtype.kind not in "iu" or labels.shape != x.shape[:-1]:
            return t, weight                     # no labels: rows of shares, or a mistake
        kept = labels != self.ignore_label
        weight = kept if weight is None else kept * self.weights(weight, kept, x.dtype)
        return np.where(kept, labels, 0), weight


class SigmoidWithLoss(Loss):
    """L = -mean [t log y + (1 - t) log(1 - y)] with y = σ(x): binary cross-entropy, the mean over
    all elements.

    Shapes: x any, t the same, in 0..1 (0 and 1 for labels).

    Forward. -log y = log(1 + e⁻ˣ) = log(1 + eˣ) - x and -log(1 - y) = log(1 + eˣ), so that one
    element has the loss ℓ = log(1 + eˣ) - x t; without overflow log(1 + eˣ) = max(x, 0) + log(1 +
    exp(-|x|)). Backward: the derivative of log(1 + eˣ) is eˣ / (1 + eˣ) = y, that of ℓ y - t. With
    M elements

        dL/dx = (y - t) / M

    Source: Saito, Deep Learning from Scratch 2, 4.2.

    >>> loss = SigmoidWithLoss()
    >>> round(loss.forward(np.array([[0.0, 1000.0]]), np.array([[1, 1]])), 4)      # ½ (log 2 + 0)
    0.3466
    >>> loss.backward()
    array([[-0.25,  0.  ]])
    """
    shapes = "x (N, ...), t like x, weight? any -> L"

    def losses(self, x, t):
        return np.maximum(x, 0) - x * t + np.log1p(np.exp(-np.abs(x))), (x, t)

    def gradient(self, scale, x, t):
        return (sigmoid(x) - t) * scale

    def targets(self, x: Array, t: Array) -> Array:
        if t.min() < 0 or t.max() > 1:
            raise ValueError(
                checks.wrong("SigmoidWithLoss", "t", "lie in 0..1", f"{t.min()} to {t.max()}"))
        return t


class SquaredError(Loss):
    """L = 1/M Σ_n ½ Σ_j d_nj² with d = x - t, for regression.

    Shapes: x (N, ..., D), t the same. The ½ is there for its derivative:

        dL/dx_nj = d_nj / M

    Source: Saito, Deep Learning from Scratch, 4.2.1.

    >>> loss = SquaredError()
    >>> loss.forward(np.array([[1.0, 2.0]]), np.array([[0.0, 4.0]]))
    2.5
    >>> loss.backward()
    array([[ 1., -2.]])
    """
    shapes = "x (N, ..., D), t like x, weight? any -> L"

    def losses(self, x, t):
        d = x - t
        return 0.5 * np.einsum("...d,...d->...", d, d), (d,)

    def gradient(self, scale, d):
        return d * column(scale)


class Huber(Loss):
    """L = 1/M Σ_n Σ_j h(d_nj) with d = x - t, for regression with outliers: quadratic for
    small errors, linear for large ones.

        h(d) = ½ d²                         if |d| <= delta
        h(d) = delta (|d| - ½ delta)        otherwise

    in one expression, with c = clip(d, -delta, delta): h(d) = c (d - ½ c).

    Shapes: x (N, ..., D), t the same. Backward. The slope of ½ d² is d, that of the lines
    ±delta:

        dL/dx_nj = clip(d_nj, -delta, delta) / M

    so that an outlier pulls no harder than an error of delta does. Source: Huber, Robust estimation
    of a location parameter (1964).

    >>> loss = Huber(delta=1.0)
    >>> loss.forward(np.array([[0.5, 10.0]]), np.array([[0.0, 0.0]]))          # ½ · 0.25 + (10 - ½)
    9.625
    >>> loss.backward()
    array([[0.5, 1. ]])
    """
    shapes = "x (N, ..., D), t like x, weight? any -> L"

    def __init__(self, delta: float = 1.0, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self.delta = checks.number("Huber", "delta", delta, math.ulp(0.0),
                                   expected="be a positive number")

    def losses(self, x, t):
        d = x - t
        clipped = np.clip(d, -self.delta, self.delta)
        return np.sum(clipped * (d - 0.5 * clipped), axis=-1), (clipped,)

    def gradient(self, scale, clipped):
        return clipped * column(scale)


class NormLoss(Loss):
    """L = 1/M Σ_n ‖x_n - t_n‖_p, the mean length of the error, for p = 1, 2 or ∞ (``np.inf``).

    Shapes: x (N, ..., D), t the same. Backward, with d = x - t:

        p = 1:  dL/dx_nj = sign(d_nj) / M
        p = 2:  dL/dx_n  = d_n / ‖d_n‖ / M
        p = ∞:  dL/dx_nj = sign(d_nj) / (M K_n) where |d_nj| is the largest of its row, K_n being
                           how many entries attain it; 0 elsewhere

    Where the norm has no derivative this is one of its subgradients: 0 where d_n = 0 and, for p =
    1, where d_nj = 0; for p = ∞ the mean over the entries that tie.

    >>> loss = NormLoss(2)
    >>> loss.forward(np.array([[3.0, 4.0]]), np.array([[0.0, 0.0]]))
    5.0
    >>> loss.backward()
    array([[0.6, 0.8]])
    """
    shapes = "x (N, ..., D), t like x, weight? any -> L"

    def __init__(self, p: float, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        if not isinstance(p, (int, float)) or p not in (1, 2, np.inf):
            raise ValueError(checks.wrong("NormLoss", "p", "be 1, 2 or np.inf", checks.text(p)))
        self.p = p

    def losses(self, x, t):
        d = x - t
        if self.p == 1:
            return np.abs(d).sum(axis=-1), (np.sign(d),)
        if self.p == 2:
            unit, length = directions(d)
            return length[..., 0], (unit,)
        size = np.abs(d)
        top = size.max(axis=-1, keepdims=True)
        ties = size == top
        return top[..., 0], (np.sign(d) * ties / ties.sum(axis=-1, keepdims=True, dtype=d.dtype),)

    def gradient(self, scale, slope):
        return slope * column(scale)


class HingeLoss(Loss):
    """L = 1/M Σ_n Σ_{j≠t} max(0, x_nj - x_nt + margin): every wrong class is to stay a margin below
    the right one.

    Shapes: x (N, ..., C), t integer labels (N, ...). Backward. Each violated margin pushes its
    class down and the right one up (one that is just met does neither: a subgradient):

        dL/dx_nj = [x_nj - x_nt + margin > 0] / M      for j ≠ t
        dL/dx_nt = -Σ_{j≠t} dL/dx_nj

    Source: Weston and Watkins, Support vector machines for multi-class pattern recognition (1999).

    >>> loss = HingeLoss()
    >>> loss.forward(np.array([[1.0, 0.5, -3.0]]), np.array([0]))
    0.5
    >>> loss.backward()
    array([[-1.,  1.,  0.]])
    """
    shapes = "x (N, ..., C), t any, weight? any -> L"

    def __init__(self, margin: float = 1.0, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self.margin = checks.number("HingeLoss", "margin", margin, 0,
                                    expected="be a number of at least 0")

    def losses(self, x, t):
        t = t[..., None]
        slack = np.maximum(x - np.take_along_axis(x, t, -1) + self.margin, 0)
        np.put_along_axis(slack, t, 0, -1)
        return slack.sum(axis=-1), (slack > 0, t, x.dtype)

    def gradient(self, scale, violated, t, dtype):
        # in x's dtype, since booleans times a Python float are float64
        dx = violated * np.asarray(column(scale), dtype)
        np.put_along_axis(dx, t, -dx.sum(axis=-1, keepdims=True), -1)
        return dx

    def targets(self, x: Array, t: ArrayLike) -> Array:
        return self.labels(t, x)


class KLDivergence(Loss):
    """L = 1/M Σ_n Σ_c t_nc (log t_nc - log x_nc), how far the probabilities x are from the true
    ones t; 0 where they agree.

    Shapes: x (N, ..., C), the output of a Softmax; t the same. A class with t = 0 adds nothing (0
    log 0 = 0); an x below the smallest normal number of its dtype counts as that number, by which
    the gradient divides, too, so that both stay finite and x is pushed up. Backward:

        dL/dx_nc = (-t_nc / x_nc) / M

    (as if the x_nc could move by themselves, so not 0 where x = t; behind a Softmax it is).
    Raises ValueError for negative entries; that a row sums to 1 is not checked.

    >>> loss = KLDivergence()
    >>> round(loss.forward(np.array([[0.25, 0.75]]), np.array([[0.5, 0.5]])), 4)
    0.1438
    >>> loss.backward().round(4)
    array([[-2.    , -0.6667]])
    """
    shapes = "x (N, ..., C), t like x, weight? any -> L"

    def losses(self, x, t):
        tiny = np.finfo(x.dtype).tiny
        x = np.maximum(x, tiny)
        return np.sum(t * (np.log(np.maximum(t, tiny)) - np.log(x)), axis=-1), (x, t)

    def gradient(self, scale, x, t):
        return -t / x * column(scale)

    def targets(self, x: Array, t: Array) -> Array:
        for name, p in (("x", x), ("t", t)):
            if p.min() < 0:
                raise ValueError(
                    checks.wrong("KLDivergence", name, "hold probabilities", f"{p.min()}",
                                 "put a Softmax() in front" if name == "x" else ""))
        return t


class CosineLoss(Loss):
    """L = 1/M Σ_n (1 - cos(x_n, t_n)) with cos(x, t) = x·t / (‖x‖ ‖t‖): 0 for the same direction, 2
    for opposite ones.

    Shapes: x (N, ..., D), t the same. Backward. With the unit vectors u = x/‖x‖ and v = t/‖t‖,
    du/dx = (I - u uᵀ) / ‖x‖, so

        dL/dx = (cos(x, t) u - v) / ‖x‖ / M

    This is at right angles to x, because the loss does not depend on the length of x. A vector of
    zeros has no direction: its cosine is taken as 0 (a loss of 1), and its gradient is 0.

    >>> loss = CosineLoss()
    >>> loss.forward(np.array([[2.0, 0.0]]), np.array([[0.0, 3.0]]))
    1.0
    >>> loss.backward()
    array([[ 0. , -0.5]])
    """
    shapes = "x (N, ..., D), t like x, weight? any -> L"

    def losses(self, x, t):
        (u, norm), (v, _) = directions(x), directions(t)
        cos = np.sum(u * v, axis=-1, keepdims=True)
        return 1 - cos[..., 0], (u, v, cos, np.where(norm == 0, np.inf, norm))

    def gradient(self, scale, u, v, cos, norm):
        return (cos * u - v) * (column(scale) / norm).astype(u.dtype)      # lengths are float64


def directions(a):
    """The rows of a as vectors of length 1 (a vector of zeros stays zeros), and their lengths
    (N, ..., 1) in float64. Divided by its largest absolute value first, a vector's squares stay in
    the range of float32 whatever size its entries have."""
    top = np.abs(a).max(axis=-1, keepdims=True)
    unit = a / np.where(top == 0, top.dtype.type(1), top)
    norm = np.sqrt(np.square(unit).sum(axis=-1, keepdims=True))
    unit /= np.where(norm == 0, norm.dtype.type(1), norm)
    return unit, top.astype(np.float64) * norm
