"""Losses: the last node of a network. ``forward(x, t)`` gives a Python float, the mean over samples;
``backward(dout=1.0)`` gives dL/dx alone, for targets are data and have no gradient.

With leading axes, x (N, T, D) say, every row is a sample and M below is the number of rows, N · T.
"""
import copy
import math

import numpy as np

from ..common import checks
from ..common.functions import sigmoid
from ..common.layer import Layer

PIECE = 2**18       # elements: 1 MiB of float32


class Loss(Layer):
    """What losses share: how many rows they took the mean over, labels, and the upstream gradient, which is a number."""
    count = 0                   # of what the last forward took the mean over: rows, or elements

    def labels(self, t, x, ignore_label=None):
        if x.ndim > 2 and checks.as_array(t).shape == x.shape[:1]:
            raise ValueError(checks.wrong(type(self).__name__, "x", f"have shape ({len(x)}, C) for one label per sample", x.shape,
                                          "Flatten() each sample in front of the last Affine, or Mean(axis=1) over time"))
        return checks.labels(type(self).__name__, t, x.shape[:-1], x.shape[-1], ignore_label)

    def in_float64(self, x, t):
        """The loss of a float32 x, where the way to it leads past float32's range."""
        return copy.copy(self).forward(x.astype(np.float64), t)

    def number(self, dout):
        """The gradient from above, dL/d(this loss), a Python float."""
        return checks.number(type(self).__name__, "dout", dout, expected="be one finite number, as the loss is")


def rows(x):
    return x.size // x.shape[-1]


class SoftmaxWithLoss(Loss):
    """L = -1/M Σ_n Σ_c t_nc log y_nc with y = softmax(x): softmax and cross-entropy in one, for classification.

    Shapes: x (N, ..., C); t either integer labels (N, ...) or rows (N, ..., C) of weights, one-hot or probabilities.
    Rows whose integer label is ``ignore_label`` count neither in the sum nor in M; if none is left, the loss and its
    gradient are 0.

    Backward. From log y_c = x_c - log Σ_k exp(x_k) follows ∂ log y_c / ∂x_j = [c = j] - y_j, and with Σ_c t_nc = 1

        dL/dx_nj = dL/dL · (y_nj - t_nj) / M

    the difference of what was predicted and what was true. (For rows t that do not sum to 1, y_nj is multiplied by
    their sum.) Computed from log Σ exp(x - max x), so that scores of any size are safe. Source: Saito, Deep Learning
    from Scratch, appendix A.

    Raises TypeError for labels that are no integers, ValueError for a label outside 0..C-1, a negative weight or a
    wrong shape.

    >>> loss = SoftmaxWithLoss()
    >>> round(loss.forward(np.array([[0.0, 0.0], [0.0, 1000.0]]), np.array([0, 1])), 4)      # ½ (log 2 + 0)
    0.3466
    >>> loss.backward()
    array([[-0.25,  0.25],
           [ 0.  ,  0.  ]])
    """
    shapes = "x (N, ..., C), t any -> L"

    def __init__(self, ignore_label=None):
        super().__init__()
        self.ignore_label = None if ignore_label is None else checks.whole("SoftmaxWithLoss", "ignore_label", ignore_label)

    def forward(self, x, t):
        checks.unmasked("SoftmaxWithLoss", "t", t)
        given, t = t, checks.as_array(t)
        C = x.shape[-1]
        if C == 1:
            raise ValueError(checks.wrong("SoftmaxWithLoss", "x", "have a column for each of two classes or more", x.shape,
                                          "SigmoidWithLoss() is the loss for one column, with targets 0 and 1"))
        z = x.reshape(-1, C)
        e, top, total = exponentials(z)                    # y = e / total
        self.count, weight, at = len(z), None, None
        if t.shape == x.shape:
            t = checks.array("SoftmaxWithLoss", "t", t, x.dtype).reshape(z.shape)
            if t.min() < 0:
                raise ValueError(checks.wrong("SoftmaxWithLoss", "t", "hold no negative weights", t.min()))
            weight = t.sum(axis=1)
            with np.errstate(over="ignore"):
                loss = weight.dot(np.log(total)) - np.vdot(t, z - top[:, None])
        else:
            t = self.labels(given, x, self.ignore_label).reshape(-1)
            if self.ignore_label is not None:
                weight = (t != self.ignore_label).astype(e.dtype)
                self.count = int(np.count_nonzero(weight))
                t = np.where(weight, t, 0)
            at = t + np.arange(0, z.size, C)               # where in the flat array each row's label stands
            with np.errstate(over="ignore"):
                rows = np.log(total) - (z.take(at) - top)
                loss = np.add.reduce(rows) if weight is None else weight.dot(rows)
        self.cache = e, total, t, at, weight, x.shape
        if not math.isfinite(loss) and x.dtype == np.float32:
            return self.in_float64(x, given)
        return float(loss) / max(self.count, 1)

    def backward(self, dout=1.0):
        e, total, t, at, weight, shape = self.cache
        scale = self.number(dout) / max(self.count, 1)
        weight = scale if weight is None else weight * scale
        dx = e * (weight / total)[:, None]
        if at is None:
            dx -= t * scale
        else:
            dx.reshape(-1)[at] -= weight
        return dx.reshape(shape)


def exponentials(x, out=None):
    """e = exp(x - max x) for each row of a matrix (M, C), in ``out`` if there is one, max x and Σ e, both (M,).

    Of a large matrix a few rows at a time, so that all passes but the first find them in the cache.
    """
    M, C = x.shape
    if out is None and M * C > PIECE:
        e, each = np.empty((M, C), x.dtype), max(1, PIECE // C)
        pieces = [exponentials(x[i:i + each], e[i:i + each]) for i in range(0, M, each)]
        return e, *(np.concatenate(numbers) for numbers in list(zip(*pieces))[1:])
    top = np.maximum.reduce(x, axis=1)
    with np.errstate(over="ignore"):                                # exp(-inf) is 0, too
        e = np.subtract(x, top[:, None], out=out, order="C")        # rows in memory, for flat indices
    np.exp(e, out=e)
    return e, top, e.dot(np.ones(C, e.dtype))


class SigmoidWithLoss(Loss):
    """L = -mean [t log y + (1 - t) log(1 - y)] with y = σ(x): binary cross-entropy, the mean over all elements.

    Shapes: x any, t the same, in 0..1 (0 and 1 for labels).

    Forward, without overflow or log 0: -t log y - (1 - t) log(1 - y) = max(x, 0) - x t + log(1 + exp(-|x|)).
    Backward, with M elements: the derivative of log(1 + exp(x)) - x t is

        dL/dx = dL/dL · (y - t) / M

    Source: Saito, Deep Learning from Scratch 2, 4.2.4.

    >>> loss = SigmoidWithLoss()
    >>> round(loss.forward(np.array([[0.0, 1000.0]]), np.array([[1, 1]])), 4)      # ½ (log 2 + 0)
    0.3466
    >>> loss.backward()
    array([[-0.25,  0.  ]])
    """
    shapes = "x (N, ...), t like x -> L"

    def forward(self, x, t):
        self.count = x.size
        if t.min() < 0 or t.max() > 1:
            raise ValueError(checks.wrong("SigmoidWithLoss", "t", "lie in 0..1", f"{t.min()} to {t.max()}"))
        self.cache = x, t
        return float(np.mean(np.maximum(x, 0) - x * t + np.log1p(np.exp(-np.abs(x)))))

    def backward(self, dout=1.0):
        x, t = self.cache
        return (sigmoid(x) - t) * (self.number(dout) / self.count)


class SquaredError(Loss):
    """L = 1/M Σ_n ½ Σ_d (x_nd - t_nd)², for regression.

    Shapes: x (N, ..., D), t the same. The ½ is there for its derivative:

        dL/dx_nd = dL/dL · (x_nd - t_nd) / M

    Source: Saito, Deep Learning from Scratch, 4.2.1.

    >>> loss = SquaredError()
    >>> loss.forward(np.array([[1.0, 2.0]]), np.array([[0.0, 4.0]]))
    2.5
    >>> loss.backward()
    array([[ 1., -2.]])
    """
    shapes = "x (N, ..., D), t like x -> L"

    def forward(self, x, t):
        self.cache = d = x - t
        self.count = rows(x)
        total = float(np.vdot(d, d))
        return self.in_float64(x, t) if total == np.inf and x.dtype == np.float32 else 0.5 * total / self.count

    def backward(self, dout=1.0):
        d = self.cache
        return d * (self.number(dout) / self.count)


class NormLoss(Loss):
    """L = 1/M Σ_n ‖x_n - t_n‖_p, the mean length of the error, for p = 1, 2 or ∞ (``np.inf``).

    Shapes: x (N, ..., D), t the same. Backward, with d = x - t:

        p = 1:  dL/dx = sign(d) / M
        p = 2:  dL/dx = d / ‖d‖ / M
        p = ∞:  dL/dx = sign(d) / M at the largest |d|, 0 elsewhere; ties share evenly

    times dL/dL. Where the norm has no derivative (p = 1: d_j = 0; else d = 0) the subgradient 0 is taken.

    >>> loss = NormLoss(2)
    >>> loss.forward(np.array([[3.0, 4.0]]), np.array([[0.0, 0.0]]))
    5.0
    >>> loss.backward()
    array([[0.6, 0.8]])
    """
    shapes = "x (N, ..., D), t like x -> L"

    def __init__(self, p):
        super().__init__()
        if not isinstance(p, (int, float)) or p not in (1, 2, np.inf):
            raise ValueError(checks.wrong("NormLoss", "p", "be 1, 2 or np.inf", checks.text(p)))
        self.p = p

    def forward(self, x, t):
        self.cache = d = x - t
        self.count = rows(x)
        if self.p == 1:
            return float(np.abs(d).sum(axis=-1, dtype=np.float64).mean())
        if self.p == 2:
            unit, length = directions(d)
            return float(length.mean())
        return float(np.abs(d).max(axis=-1).mean(dtype=np.float64))

    def backward(self, dout=1.0):
        d = self.cache
        scale = self.number(dout) / self.count
        if self.p == 1:
            return np.sign(d) * scale
        if self.p == 2:
            return directions(d)[0] * scale
        size = np.abs(d)
        top = size == size.max(axis=-1, keepdims=True)
        return np.sign(d) * (top / top.sum(axis=-1, keepdims=True, dtype=d.dtype)) * scale


def directions(a):
    """The rows of a as vectors of length 1 (one of zeros stays so), and their lengths (N, ..., 1) in float64. Divided by its
    largest entry first, a vector's squares stay in the range of float32 wherever its entries are."""
    top = np.abs(a).max(axis=-1, keepdims=True)
    unit = a / np.where(top == 0, top.dtype.type(1), top)
    norm = np.sqrt(np.square(unit).sum(axis=-1, keepdims=True))
    unit /= np.where(norm == 0, norm.dtype.type(1), norm)
    return unit, top.astype(np.float64) * norm


class HingeLoss(Loss):
    """L = 1/M Σ_n Σ_{j≠t} max(0, x_nj - x_nt + margin): every wrong class is to stay a margin below the right one.

    Shapes: x (N, ..., C), t integer labels (N, ...). Backward. Each violated margin pushes its class down and the
    right one up:

        dL/dx_nj = dL/dL · [x_nj - x_nt + margin > 0] / M      for j ≠ t
        dL/dx_nt = -Σ_{j≠t} dL/dx_nj

    Source: Weston and Watkins, Support vector machines for multi-class pattern recognition (1999).

    >>> loss = HingeLoss()
    >>> loss.forward(np.array([[1.0, 0.5, -3.0]]), np.array([0]))
    0.5
    >>> loss.backward()
    array([[-1.,  1.,  0.]])
    """
    shapes = "x (N, ..., C), t any -> L"

    def __init__(self, margin=1.0):
        super().__init__()
        self.margin = checks.number("HingeLoss", "margin", margin, 0, expected="be a number of at least 0")

    def forward(self, x, t):
        t, self.count = self.labels(t, x)[..., None], rows(x)
        with np.errstate(over="ignore"):
            slack = np.maximum(x - np.take_along_axis(x, t, -1) + self.margin, 0)
        np.put_along_axis(slack, t, 0, -1)
        self.cache = slack, t
        loss = float(slack.sum(dtype=np.float64)) / self.count
        return self.in_float64(x, t[..., 0]) if loss == np.inf and x.dtype == np.float32 else loss

    def backward(self, dout=1.0):
        slack, t = self.cache
        dx = (slack > 0) * slack.dtype.type(self.number(dout) / self.count)
        np.put_along_axis(dx, t, -dx.sum(axis=-1, keepdims=True), -1)
        return dx


class KLDivergence(Loss):
    """L = 1/M Σ_n Σ_c t_nc (log t_nc - log x_nc), how far the probabilities x are from the true ones t; 0 where they
    agree.

    Shapes: x (N, ..., C), the output of a Softmax; t the same. A class with t = 0 adds nothing (0 log 0 = 0); x = 0
    counts as the smallest positive number of its dtype, so the loss stays finite. Backward:

        dL/dx_nc = dL/dL · (-t_nc / x_nc) / M

    Raises ValueError for negative entries, which are no probabilities.

    >>> loss = KLDivergence()
    >>> round(loss.forward(np.array([[0.25, 0.75]]), np.array([[0.5, 0.5]])), 4)
    0.1438
    >>> loss.backward().round(4)
    array([[-2.    , -0.6667]])
    """
    shapes = "x (N, ..., C), t like x -> L"

    def forward(self, x, t):
        self.count = rows(x)
        for name, p in (("x", x), ("t", t)):
            if p.min() < 0:
                raise ValueError(checks.wrong("KLDivergence", name, "hold probabilities", f"{p.min()}",
                                              "put a Softmax() in front" if name == "x" else ""))
        tiny = np.finfo(x.dtype).tiny
        x = np.maximum(x, tiny)
        self.cache = x, t
        return float(np.sum(t * (np.log(np.maximum(t, tiny)) - np.log(x)), dtype=np.float64)) / self.count

    def backward(self, dout=1.0):
        x, t = self.cache
        return -t / x * (self.number(dout) / self.count)


class CosineLoss(Loss):
    """L = 1/M Σ_n (1 - cos(x_n, t_n)) with cos(x, t) = x·t / (‖x‖ ‖t‖): 0 for the same direction, 2 for opposite ones.

    Shapes: x (N, ..., D), t the same. Backward. With the unit vectors u = x/‖x‖ and v = t/‖t‖, du/dx = (I - u uᵀ) /
    ‖x‖, so

        dL/dx = dL/dL · (cos(x, t) u - v) / ‖x‖ / M

    which is at right angles to x: its length does not matter. A vector of zeros has no direction; its cosine and
    gradient are 0.

    >>> loss = CosineLoss()
    >>> loss.forward(np.array([[2.0, 0.0]]), np.array([[0.0, 3.0]]))
    1.0
    >>> loss.backward()
    array([[ 0. , -0.5]])
    """
    shapes = "x (N, ..., D), t like x -> L"

    def forward(self, x, t):
        self.count = rows(x)
        (u, norm), (v, _) = directions(x), directions(t)
        cos = np.sum(u * v, axis=-1, keepdims=True)
        self.cache = u, v, cos, np.where(norm == 0, np.inf, norm)
        return 1.0 - float(cos.mean())

    def backward(self, dout=1.0):
        u, v, cos, norm = self.cache
        scale = self.number(dout) / self.count / norm
        return (cos * u - v) * scale.astype(u.dtype)
