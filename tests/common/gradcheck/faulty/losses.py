"""Losses, and normalisation."""
import numpy as np

from . import cases, normal

T = np.array([0, 2, 1, 3, 3, 0, 1])


class SoftmaxLoss:
    def __init__(self, fault, one_hot=False):
        self.fault, self.params, self.grads = fault, [], []

    def forward(self, x, t):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self.y = e / e.sum(axis=1, keepdims=True)
        self.t = t if t.ndim == 2 else np.eye(x.shape[1])[t]
        return -np.sum(self.t * np.log(self.y + 1e-12)) / len(x)

    def backward(self, dout=1):
        y, t, N = self.y, self.t, len(self.y)
        return {"no mean": dout * (y - t), "no label": dout * y / N, "sign": dout * (t - y) / N, "ignores dout": (y - t) / N,
                "per element": dout * (y - t) / y.size, "twice over": dout * (y - t) / N / N, "doubled": 2 * dout * (y - t) / N,
                "no label, no mean": dout * y, "sign, no mean": dout * (t - y)}.get(self.fault, dout * (y - t) / N)


class LabelLoss:
    """Saito's way: subtract 1 at the labels."""

    def __init__(self, fault):
        self.fault, self.params, self.grads = fault, [], []

    def forward(self, x, t):
        e = np.exp(x)
        self.y, self.t = e / e.sum(axis=1, keepdims=True), t
        return float(-np.log(self.y[np.arange(len(t)), t]).mean())

    def backward(self, dout=1.0):
        dx = self.y.copy() if self.fault != "own cache" else self.y
        if self.fault != "no label":
            dx[np.arange(len(self.t)), self.t] -= 1
        dx *= dout
        if self.fault == "no mean":
            return dx
        return dx / len(dx) if self.fault != "tuple" else (dx / len(dx), None)


class NoArgumentLoss(LabelLoss):
    def backward(self):
        return super().backward(1.0)


class MSE:
    def __init__(self, fault, per="sample"):
        self.fault, self.params, self.grads = fault, [], []

    def forward(self, x, t):
        self.d = x - t
        return np.mean(self.d ** 2)

    def backward(self, dout=1):
        d, M = self.d, self.d.size
        return {"no two": dout * d / M, "no mean": dout * 2 * d, "sign": -dout * 2 * d / M, "twice": dout * 4 * d / M,
                "by N": dout * 2 * d / len(d), "ones": 2 * d / M, "none": None}.get(self.fault, dout * 2 * d / M)


class HalfSquares:
    """½ Σ d², no mean."""

    def __init__(self, fault):
        self.fault, self.params, self.grads = fault, [], []

    def forward(self, x, t):
        self.d = x - t
        return 0.5 * np.sum(self.d ** 2)

    def backward(self, dout=1):
        return dout * {"doubled": 2 * self.d, "mean": self.d / len(self.d), "sign": -self.d}.get(self.fault, self.d)


class Hinge:
    def __init__(self, fault):
        self.fault, self.params, self.grads = fault, [], []

    def forward(self, x, t):
        self.t = t = 2 * t - 1
        self.m = 1 - x * t
        return np.maximum(self.m, 0).mean()

    def backward(self, dout=1):
        g = -self.t * dout / self.t.size
        return {"no mask": g, "inverted": g * (self.m <= 0), "sign": -g * (self.m > 0)}.get(self.fault, g * (self.m > 0))


class SigmoidLoss:
    def __init__(self, fault):
        self.fault, self.params, self.grads = fault, [], []

    def forward(self, x, t):
        self.y, self.t = 1 / (1 + np.exp(-x)), t
        return -np.mean(t * np.log(self.y) + (1 - t) * np.log(1 - self.y))

    def backward(self, dout=1):
        y, t, M = self.y, self.t, self.y.size
        return dout * {"no mean": y - t, "sigmoid twice": (y - t) * y * (1 - y) / M, "by N": (y - t) / len(y)}.get(
            self.fault, (y - t) / M
        )


class IgnoreLoss:
    """Softmax cross-entropy where label -1 does not count."""

    def __init__(self, fault):
        self.fault, self.params, self.grads = fault, [], []

    def forward(self, x, t):
        e = np.exp(x)
        self.y, self.t, self.on = e / e.sum(axis=1, keepdims=True), t, t >= 0
        return -np.log(self.y[np.arange(len(t)), t])[self.on].mean()

    def backward(self, dout=1.0):
        d = self.y.copy()
        d[np.arange(len(d)), self.t] -= 1
        if self.fault != "no mask":
            d[~self.on if self.fault != "inverted" else self.on] = 0
        return dout * d / self.on.sum()


class Norm:
    """Batch normalisation over axis 0, layer normalisation over the last axis, group-wise over all."""

    def __init__(self, fault, axis, D=4):
        self.fault, self.axis = fault, axis
        self.params, self.grads = [normal(D, seed=9) + 2, normal(D)], [np.zeros(D), np.zeros(D)]

    def forward(self, x):
        self.std = np.sqrt(x.var(axis=self.axis, keepdims=True) + 1e-5)
        self.xhat = (x - x.mean(axis=self.axis, keepdims=True)) / self.std
        self.x = x
        return self.params[0] * self.xhat + self.params[1]

    def backward(self, dout):
        fault, gamma, axis, xhat = self.fault, self.params[0], self.axis, self.xhat
        lead = tuple(range(dout.ndim - 1))
        dgamma, dbeta = (dout * (self.x if fault == "dgamma from x" else xhat)).sum(lead), dout.sum(lead)
        if fault == "dgamma all":
            dgamma = np.sum(dout * xhat)
        if fault.startswith("dbeta mean"):
            dbeta = dout.mean(lead)
        if fault == "params per sample":
            self.grads[0], self.grads[1] = dout * xhat, dout
        else:
            self.grads[0][...], self.grads[1][...] = dgamma, dbeta
        d = dout * gamma
        if fault == "no gamma":
            d = dout
        mean, corr = d.mean(axis=axis, keepdims=True), (d * xhat).mean(axis=axis, keepdims=True)
        return {
            "all constant": d,
            "mean constant": d - xhat * corr,
            "variance constant": d - mean,
            "sums for means": d - mean * d.shape[axis] - xhat * corr * d.shape[axis],
            "sign": -(d - mean - xhat * corr),
            "dbeta mean, all constant": d,
        }.get(fault, d - mean - xhat * corr) / self.std


class BatchNorm(Norm):
    pass


class LayerNorm(Norm):
    pass


class Centre:
    def __init__(self, fault):
        self.fault, self.params, self.grads = fault, [], []

    def forward(self, x):
        return x - x.mean(axis=1, keepdims=True)

    def backward(self, d):
        return d if self.fault == "constant" else d - d.mean(axis=1, keepdims=True)


class UnitLength:
    def __init__(self, fault):
        self.fault, self.params, self.grads = fault, [], []

    def forward(self, x):
        self.n = np.sqrt((x ** 2).sum(-1, keepdims=True))
        self.y = x / self.n
        return self.y

    def backward(self, d):
        if self.fault == "constant":
            return d / self.n
        return (d - self.y * (d * self.y).sum(-1, keepdims=True)) / self.n


class BatchMean:
    """y = x times the mean of the batch's tanh: couples samples."""

    def __init__(self, fault):
        self.fault, self.params, self.grads = fault, [], []

    def forward(self, x):
        self.x, self.m = x, np.tanh(x).mean(axis=0)
        return x * self.m

    def backward(self, d):
        own = (1 - np.tanh(self.x) ** 2) / len(d)
        if self.fault == "own sample only":
            return d * self.m + d * self.x * own
        return d * self.m + (d * self.x).sum(axis=0) * own


class Contrastive:
    """InfoNCE between two views: -mean log softmax(a bᵀ) at the diagonal."""

    def __init__(self, fault):
        self.fault, self.params, self.grads = fault, [], []

    def forward(self, a, b):
        s = a @ b.T
        e = np.exp(s - s.max(axis=1, keepdims=True))
        self.a, self.b, self.p = a, b, e / e.sum(axis=1, keepdims=True)
        return -np.log(np.diag(self.p)).mean()

    def backward(self, dout=1.0):
        N = len(self.a)
        if self.fault == "negatives ignored":
            ds = np.diag(np.diag(self.p) - 1) / N * dout
        else:
            ds = (self.p - np.eye(N)) / N * dout
        return ds @ self.b, ds.T @ self.a


def with_labels(cls, fault):
    return cls(fault), (normal(7, 4), T)


def with_rows(cls, fault):
    return cls(fault), (normal(7, 4), np.eye(4)[T])


def with_targets(cls, fault):
    return cls(fault), (normal(7, 3), normal(7, 3, seed=5))


def with_bits(cls, fault):
    return cls(fault), (2 * normal(7, 3), (normal(7, 3, seed=5) > 0).astype(int))


def ignoring(cls, fault):
    return cls(fault), (normal(7, 4), np.array([0, -1, 1, 3, -1, 0, 1]))


STATISTICS = {
    "all constant": "constant-statistics",
    "mean constant": "constant-statistics",
    "variance constant": "constant-statistics",
}
CASES = [
    *cases(
        SoftmaxLoss,
        with_labels,
        {
            "": (),
            "no mean": "scaled-by-N",
            "no label": "missing-label-subtraction",
            "sign": "wrong-sign",
            "ignores dout": "ignores-upstream",
            "twice over": "divided-by-N",
            "per element": "divided-by-N",
            "doubled": "factor-2",
            "no label, no mean": ("missing-label-subtraction", "scaled-by-N"),
            "sign, no mean": ("wrong-sign", "scaled-by-N"),
        },
    ),
    *cases(
        type("OneHotLoss", (SoftmaxLoss,), {}),
        with_rows,
        {"": (), "no label": "missing-label-subtraction", "no mean": "scaled-by-N"},
    ),
    *cases(
        LabelLoss,
        with_labels,
        {"": (), "own cache": "mutates-cache", "tuple": (), "no label": "missing-label-subtraction", "no mean": "scaled-by-N"},
    ),
    *cases(NoArgumentLoss, with_labels, {"": (), "no label": "missing-label-subtraction", "no mean": "scaled-by-N"}),
    *cases(
        MSE,
        with_targets,
        {
            "": (),
            "no two": "factor-half",
            "no mean": "scaled-by-N",
            "sign": "wrong-sign",
            "twice": "factor-2",
            "by N": "scaled-by-N",
            "ones": "ignores-upstream",
            "none": "not-returned",
        },
    ),
    *cases(HalfSquares, with_targets, {"": (), "doubled": "factor-2", "mean": "divided-by-N", "sign": "wrong-sign"}),
    *cases(Hinge, with_bits, {"": (), "no mask": "missing-mask", "inverted": "inverted-mask", "sign": "wrong-sign"}),
    *cases(
        SigmoidLoss,
        with_bits,
        {"": (), "no mean": "scaled-by-N", "sigmoid twice": "wrong-local-derivative", "by N": "scaled-by-N"},
    ),
    *cases(IgnoreLoss, ignoring, {"": (), "no mask": "missing-mask"}),
    *cases(
        BatchNorm,
        lambda c, f: (c(f, 0), (normal(7, 4),)),
        {
            "": (),
            **STATISTICS,
            "dgamma from x": "stale-cache",
            "dgamma all": "summed-too-far",
            "dbeta mean": "divided-by-N",
            "sign": "wrong-sign",
            "params per sample": "missing-batch-sum",
            "dbeta mean, all constant": ("divided-by-N", "constant-statistics"),
        },
    ),
    *cases(
        LayerNorm,
        lambda c, f: (c(f, -1, 7), (normal(5, 7),)),
        {
            "": (),
            **STATISTICS,
            "dgamma from x": "stale-cache",
            "dgamma all": "summed-too-far",
            "params per sample": "missing-batch-sum",
        },
    ),
    *cases(type("LayerNorm3", (Norm,), {}), lambda c, f: (c(f, -1, 7), (normal(3, 2, 7),)), {"": (), **STATISTICS}),
    *cases(Centre, lambda c, f: (c(f), (normal(5, 4),)), {"": (), "constant": "constant-statistics"}),
    *cases(UnitLength, lambda c, f: (c(f), (normal(5, 4),)), {"": (), "constant": "constant-statistics"}),
    *cases(BatchMean, lambda c, f: (c(f), (normal(5, 3),)), {"": (), "own sample only": "cross-sample"}),
    *cases(Contrastive, lambda c, f: (c(f), (normal(5, 3), normal(5, 3, seed=4))), {"": (), "negatives ignored": "cross-sample"}),
]
