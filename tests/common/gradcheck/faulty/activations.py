"""Elementwise functions, softmax and dropout."""
import numpy as np

from . import cases, normal


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class Plain:
    """No parameters; forward caches x and y."""

    def __init__(self, fault=""):
        self.fault = fault
        self.params, self.grads = [], []

    def forward(self, x):
        self.x = x
        self.y = self.f(x)
        return self.y

    def backward(self, dout):
        return self.df(dout, self.x, self.y, self.fault)


class Sigmoid(Plain):
    def f(self, x):
        return sigmoid(x)

    def df(self, d, x, y, fault):
        return {
            "y": d * y,
            "1 - y": d * (1 - y),
            "at y": d * sigmoid(y) * (1 - sigmoid(y)),
            "unchanged": d,
            "y only": y * (1 - y),
            "sign": -d * y * (1 - y),
            "x": d * x * (1 - x),
            "plus": d * y * (1 + y),
            "scaled": 2 * d * y * (1 - y),
            "one": d.sum(axis=0) * y * (1 - y),
            "squared upstream": d * d * y * (1 - y),
            "sign and doubled": -2 * d * y * (1 - y),
        }.get(fault, d * y * (1 - y))


class Tanh(Plain):
    def f(self, x):
        return np.tanh(x)

    def df(self, d, x, y, fault):
        return {"x": d * (1 - x ** 2), "y": d * (1 - y), "at y": d * (1 - np.tanh(y) ** 2), "sign inside": d * (y ** 2 - 1),
                "unchanged": d, "doubled": 2 * d * (1 - y ** 2), "plus": d * (1 + y ** 2)}.get(fault, d * (1 - y ** 2))


class Softplus(Plain):
    def f(self, x):
        return np.log1p(np.exp(x))

    def df(self, d, x, y, fault):
        return {"at y": d * sigmoid(y), "unchanged": d, "square": d * sigmoid(x) ** 2}.get(fault, d * sigmoid(x))


class Exp(Plain):
    def f(self, x):
        return np.exp(x)

    def df(self, d, x, y, fault):
        return {"x": d * x, "at y": d * np.exp(y), "unchanged": d}.get(fault, d * y)


class Swish(Plain):
    def f(self, x):
        return x * sigmoid(x)

    def df(self, d, x, y, fault):
        s = sigmoid(x)
        return {"first term": d * s, "second term": d * x * s * (1 - s), "y": d * y}.get(fault, d * (s + x * s * (1 - s)))


class GELU(Plain):
    def f(self, x):
        return 0.5 * x * (1 + np.tanh(0.8 * x))

    def df(self, d, x, y, fault):
        t = np.tanh(0.8 * x)
        a, b = 0.5 * (1 + t), 0.5 * x * (1 - t * t) * 0.8
        return {"first term": d * a, "second term": d * b, "inner forgotten": d * (a + b / 0.8)}.get(fault, d * (a + b))


class ReLU(Plain):
    def f(self, x):
        return np.where(x > 0, x, 0)

    def df(self, d, x, y, fault):
        if fault == "dout in place":
            d[x <= 0] = 0
            return d
        if fault == "dout in place, inverted":
            d[x > 0] = 0
            return d
        return {"no mask": d, "inverted": d * (x <= 0), "mask only": (x > 0) * 1.0, "negative too": d * np.sign(x),
                "no mask, sign": -d}.get(fault, d * (x > 0))


class MaskReLU:
    """Saito's, with a boolean mask that is set to zero."""

    def __init__(self, fault):
        self.fault, self.params, self.grads = fault, [], []

    def forward(self, x):
        self.mask = x <= 0
        out = x if self.fault == "x in place" else x.copy()
        out[self.mask] = 0
        return out

    def backward(self, dout):
        dout = dout.copy()
        dout[~self.mask if self.fault == "inverted" else self.mask] = 0
        return dout


class LeakyReLU(Plain):
    def f(self, x):
        return np.where(x > 0, x, 0.1 * x)

    def df(self, d, x, y, fault):
        return {"swapped": d * np.where(x > 0, 0.1, 1), "as relu": d * (x > 0), "unchanged": d}.get(
            fault, d * np.where(x > 0, 1, 0.1)
        )


class Clip(Plain):
    def f(self, x):
        return np.clip(x, -0.5, 0.5)

    def df(self, d, x, y, fault):
        return {"no mask": d, "inverted": d * (np.abs(x) > 0.5)}.get(fault, d * (np.abs(x) < 0.5))


class Softmax(Plain):
    def f(self, x):
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)

    def df(self, d, x, y, fault):
        g = d * y
        return {"normaliser constant": g, "as sigmoid": d * y * (1 - y), "sum of dout": y * (d - d.sum(axis=-1, keepdims=True)),
                "plus": g + y * g.sum(axis=-1, keepdims=True), "unchanged": d,
                "sum over batch": g - y * g.sum(axis=0, keepdims=True), "sum over all": g - y * g.sum(),
                }.get(fault, g - y * g.sum(axis=-1, keepdims=True))


class LogSoftmax(Plain):
    def f(self, x):
        z = x - x.max(axis=-1, keepdims=True)
        return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))

    def df(self, d, x, y, fault):
        return {"normaliser constant": d, "mean": d - d.sum(-1, keepdims=True) / d.shape[-1]
                }.get(fault, d - np.exp(y) * d.sum(axis=-1, keepdims=True))


class BatchSoftmax(Plain):
    """Normalised over the whole array; backward as if over rows."""
    def f(self, x):
        e = np.exp(x)
        return e / (e.sum(axis=0) if self.fault == "over samples" else e.sum())

    def df(self, d, x, y, fault):
        g = d * y
        return g - y * (g.sum() if fault == "" else g.sum(axis=-1, keepdims=True))


class Dropout(Plain):
    p = 0.3

    def f(self, x):
        rng = np.random.default_rng(7)
        if self.fault == "random":
            rng = np.random
        self.mask = rng.random(x.shape) > self.p
        return x * self.mask / (1 - self.p)

    def df(self, d, x, y, fault):
        m, q = self.mask, 1 - self.p
        return {
            "unscaled": d * m,
            "scaled twice": d * m / q**2,
            "multiplied": d * m * q,
            "no mask": d / q,
            "inverted": d * ~m / q,
            "inverted unscaled": d * ~m,
        }.get(fault, d * m / q)


class HalfDropout(Dropout):
    p = 0.5


class Noise:
    def __init__(self, fault, scale=0.1):
        self.rng, self.params, self.grads = np.random.default_rng(0), [], []

    def forward(self, x):
        return x + 0.1 * self.rng.normal(size=x.shape)

    def backward(self, dout):
        return dout


class RandomSlope:
    def __init__(self, fault):
        self.fault, self.params, self.grads = fault, [], []

    def forward(self, x):
        self.s = np.where(x > 0, 1, np.random.uniform(0, 0.3, x.shape))
        return x * self.s

    def backward(self, dout):
        return -dout * self.s if self.fault == "sign" else dout * self.s


def one(cls, fault):
    return cls(fault), (normal(5, 3),)


def more(cls, fault):
    return cls(fault), (normal(5, 7),)


CASES = [
    *cases(
        Sigmoid,
        one,
        {
            "": (),
            "y": "wrong-local-derivative",
            "1 - y": "wrong-local-derivative",
            "at y": "wrong-local-derivative",
            "unchanged": "missing-local-derivative",
            "y only": "ignores-upstream",
            "sign": "wrong-sign",
            "x": "wrong-local-derivative",
            "plus": "wrong-local-derivative",
            "scaled": "factor-2",
            "squared upstream": "ignores-upstream",
            "sign and doubled": ("wrong-sign", "factor-2"),
        },
    ),
    *cases(
        Tanh,
        more,
        {
            "": (),
            "x": "wrong-local-derivative",
            "y": "wrong-local-derivative",
            "at y": "wrong-local-derivative",
            "sign inside": "wrong-sign",
            "unchanged": "missing-local-derivative",
            "doubled": "factor-2",
            "plus": "wrong-local-derivative",
        },
    ),
    *cases(
        Softplus,
        one,
        {"": (), "at y": "wrong-local-derivative", "unchanged": "missing-local-derivative", "square": "wrong-local-derivative"},
    ),
    *cases(
        Exp,
        one,
        {"": (), "x": "wrong-local-derivative", "at y": "wrong-local-derivative", "unchanged": "missing-local-derivative"},
    ),
    *cases(Swish, more, {"": (), "first term": "lost-branch", "second term": "lost-branch", "y": "wrong-local-derivative"}),
    *cases(
        GELU,
        one,
        {"": (), "first term": "lost-branch", "second term": "lost-branch", "inner forgotten": "wrong-local-derivative"},
    ),
    *cases(
        ReLU,
        more,
        {
            "": (),
            "dout in place": "mutates-input",
            "no mask": "missing-mask",
            "inverted": "inverted-mask",
            "mask only": "ignores-upstream",
            "dout in place, inverted": ("inverted-mask", "mutates-input"),
            "no mask, sign": ("missing-mask", "wrong-sign"),
        },
    ),
    *cases(MaskReLU, one, {"": (), "x in place": "mutates-input", "inverted": "inverted-mask"}),
    *cases(
        LeakyReLU,
        more,
        {"": (), "swapped": "inverted-mask", "as relu": "wrong-local-derivative", "unchanged": "missing-local-derivative"},
    ),
    *cases(Clip, more, {"": (), "no mask": "missing-mask", "inverted": "inverted-mask"}),
    *cases(
        Softmax,
        one,
        {
            "": (),
            "normaliser constant": "constant-statistics",
            "as sigmoid": "constant-statistics",
            "unchanged": "missing-local-derivative",
        },
    ),
    *cases(LogSoftmax, more, {"": (), "normaliser constant": "constant-statistics"}),
    *cases(BatchSoftmax, one, {"": (), "over samples": "cross-sample", "over all": "cross-sample"}),
    *cases(
        Dropout,
        more,
        {
            "": (),
            "random": "nondeterministic",
            "unscaled": "dropout-scale",
            "scaled twice": "dropout-scale",
            "no mask": "missing-mask",
            "inverted": "inverted-mask",
            "inverted unscaled": ("inverted-mask", "dropout-scale"),
        },
    ),
    *cases(HalfDropout, more, {"": (), "unscaled": "dropout-scale", "scaled twice": "dropout-scale"}),
    *cases(Noise, one, {"": "nondeterministic"}),
    *cases(RandomSlope, one, {"": "nondeterministic", "sign": ("nondeterministic", "wrong-sign")}),
]
