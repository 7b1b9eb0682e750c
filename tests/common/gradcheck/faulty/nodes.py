"""Nodes of a graph: arithmetic, Maximum, Repeat, Sum, Mean, Concatenate, MatMul."""
import numpy as np

from . import cases, normal


class Node:
    def __init__(self, fault=""):
        self.fault, self.params, self.grads = fault, [], []

    def forward(self, *inputs):
        self.inputs = inputs
        self.y = self.f(*inputs)
        return self.y

    def backward(self, d):
        return self.df(d, *self.inputs)


class Multiply(Node):
    def f(self, a, b):
        return a * b

    def df(self, d, a, b):
        return {"swapped": (d * a, d * b), "one only": d * b, "None": (d * b, None), "sign": (d * b, -d * a), "dout": (d, d),
                "list": [d * b, d * a], "swapped, sign": (-d * a, d * a)}.get(self.fault, (d * b, d * a))


class Subtract(Node):
    def f(self, a, b):
        return a - b

    def df(self, d, a, b):
        return d, d if self.fault == "sign" else -d


class Add(Node):
    """With broadcasting of b."""

    def f(self, a, b):
        return a + b

    def df(self, d, a, b):
        return d, d if self.fault == "not summed" else d.mean(axis=0) if self.fault == "mean" else d.sum(axis=0)


class Divide(Node):
    def f(self, a, b):
        return a / b

    def df(self, d, a, b):
        return {"sign": (d / b, d * a / b**2), "not squared": (d / b, -d * a / b), "one": d / b}.get(
            self.fault, (d / b, -d * a / b**2)
        )


class Power(Node):
    def f(self, x):
        return x ** 3

    def df(self, d, x):
        return {"no factor": d * x ** 2, "same power": d * 3 * x ** 3, "power one": d * 3 * x}.get(self.fault, d * 3 * x ** 2)


class Square(Node):
    def f(self, x):
        return x * x

    def df(self, d, x):
        return {"one factor": d * x}.get(self.fault, 2 * d * x)


class Log(Node):
    def f(self, x):
        return np.log(x)

    def df(self, d, x):
        return {"times": d * x, "y": d / self.y, "unchanged": d, "sign": -d / x}.get(self.fault, d / x)


class Sin(Node):
    def f(self, x):
        return np.sin(x)

    def df(self, d, x):
        return {"sin": d * np.sin(x), "sign": -d * np.cos(x), "at y": d * np.cos(self.y)}.get(self.fault, d * np.cos(x))


class Maximum(Node):
    def f(self, a, b):
        return np.maximum(a, b)

    def df(self, d, a, b):
        return {"no mask": (d, d), "inverted": (d * (a <= b), d * (a > b)), "all to a": (d, 0 * d)}.get(
            self.fault, (d * (a > b), d * (a <= b))
        )


class Repeat(Node):
    def f(self, x):
        return np.repeat(x, 3, axis=0)

    def df(self, d, x):
        parts = d.reshape(len(x), 3, -1)
        return {"first": parts[:, 0], "mean": parts.mean(1), "tile order": d.reshape(3, len(x), -1).sum(0),
                "not summed": d}.get(self.fault, parts.sum(1))


class Sum(Node):
    def f(self, x):
        return x.sum(axis=0)

    def df(self, d, x):
        return {"not broadcast": d, "divided": np.broadcast_to(d / len(x), x.shape)}.get(self.fault, np.broadcast_to(d, x.shape))


class Mean(Node):
    def f(self, x):
        return x.mean(axis=1)

    def df(self, d, x):
        return np.repeat(d[:, None], x.shape[1], axis=1) / (1 if self.fault else x.shape[1])


class Concatenate(Node):
    def f(self, a, b):
        return np.concatenate([a, b], axis=1)

    def df(self, d, a, b):
        n = a.shape[1]
        return {"first part twice": (d[:, :n], d[:, : b.shape[1]]), "second lost": (d[:, :n], 0 * b)}.get(
            self.fault, (d[:, :n], d[:, n:])
        )


class MatMul(Node):
    def f(self, a, b):
        return a @ b

    def df(self, d, a, b):
        if self.fault == "da":
            return d @ b, a.T @ d
        if self.fault == "db":
            return d @ b.T, a @ d
        if self.fault == "order":
            return d @ b.T, d.T @ a
        return d @ b.T, a.T @ d


class Square2(Node):
    """A fan-out by hand: y = x + x."""

    def f(self, x):
        return np.sin(x) + x ** 2

    def df(self, d, x):
        dx = d * np.cos(x)
        if self.fault:
            dx = d * 2 * x
        else:
            dx = dx + d * 2 * x
        return dx


class Scale:
    """y = a x with one number a."""

    def __init__(self, fault):
        self.fault, self.params, self.grads = fault, [np.array([1.7])], [np.zeros(1)]

    def forward(self, x):
        self.x = x
        return self.params[0] * x

    def backward(self, d):
        if self.fault == "a not summed":
            self.grads[0] = d * self.x
        elif self.fault == "rows":
            self.grads[0] = (d * self.x).sum(axis=1)
        elif self.fault == "mean":
            self.grads[0][...] = (d * self.x).mean()
        else:
            self.grads[0][...] = (d * self.x).sum()
        return d if self.fault == "unchanged" else d * self.params[0]


def one(cls, fault):
    return cls(fault), (normal(5, 3),)


def positive(cls, fault):
    return cls(fault), (np.abs(normal(5, 3)) + 0.3,)


def two(cls, fault):
    return cls(fault), (normal(5, 3), normal(5, 3, seed=3))


CASES = [
    *cases(
        Multiply,
        two,
        {
            "": (),
            "swapped": "stale-cache",
            "one only": "not-returned",
            "None": "not-returned",
            "sign": "wrong-sign",
            "dout": "missing-local-derivative",
            "list": (),
            "swapped, sign": ("stale-cache", "wrong-sign"),
        },
    ),
    *cases(Subtract, two, {"": (), "sign": "wrong-sign"}),
    *cases(
        Add, lambda c, f: (c(f), (normal(5, 3), normal(3))), {"": (), "not summed": "missing-batch-sum", "mean": "divided-by-N"}
    ),
    *cases(
        Divide,
        lambda c, f: (c(f), (normal(5, 3), np.abs(normal(5, 3, seed=1)) + 0.4)),
        {"": (), "sign": "wrong-sign", "not squared": "wrong-local-derivative", "one": "not-returned"},
    ),
    *cases(Power, one, {"": (), "same power": "wrong-local-derivative", "power one": "wrong-local-derivative"}),
    *cases(Square, one, {"": (), "one factor": "factor-half"}),
    *cases(
        Log,
        positive,
        {
            "": (),
            "times": "wrong-local-derivative",
            "y": "wrong-local-derivative",
            "unchanged": "missing-local-derivative",
            "sign": "wrong-sign",
        },
    ),
    *cases(Sin, one, {"": (), "sin": "wrong-local-derivative", "sign": "wrong-sign", "at y": "wrong-local-derivative"}),
    *cases(Maximum, two, {"": (), "no mask": "missing-mask", "inverted": "inverted-mask"}),
    *cases(Repeat, one, {"": (), "first": "lost-branch", "mean": "divided-by-N", "tile order": "wrong-reshape"}),
    *cases(Sum, one, {"": (), "divided": "divided-by-N"}),
    *cases(Mean, one, {"": (), "no mean": "scaled-by-N"}),
    *cases(Concatenate, lambda c, f: (c(f), (normal(5, 3), normal(5, 2))), {"": (), "second lost": "lost-branch"}),
    *cases(
        MatMul,
        lambda c, f: (c(f), (normal(3, 4), normal(4, 2))),
        {"": (), "da": "missing-transpose", "db": "missing-transpose", "order": "missing-transpose"},
    ),
    *cases(Square2, one, {"": (), "overwritten": "lost-branch"}),
    *cases(
        Scale,
        one,
        {
            "": (),
            "a not summed": "missing-batch-sum",
            "rows": "missing-batch-sum",
            "mean": "divided-by-N",
            "unchanged": "missing-local-derivative",
        },
    ),
]
