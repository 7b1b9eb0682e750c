"""Right layers with two mistakes put on top: one in each of two gradients, or both in one."""
import itertools

import numpy as np

from . import activations, dense, images, losses, nodes, sequences

MISTAKES = {
    "wrong-sign": lambda g, N: -g,
    "factor-2": lambda g, N: 2 * g,
    "divided-by-N": lambda g, N: g / N,
    "scaled-by-N": lambda g, N: g * N,
    "missing-transpose": lambda g, N: g.T,
    "summed-too-far": lambda g, N: np.broadcast_to(g.sum(axis=0), g.shape),
}


class TwoMistakes:
    """A layer whose gradients go through functions: ``changes[where]``, a list of (mistake, samples)."""

    def __init__(self, layer, changes):
        self.layer, self.changes = layer, changes
        self.params, self.grads = layer.params, layer.grads

    def forward(self, *inputs):
        return self.layer.forward(*inputs)

    def backward(self, dout=1.0):
        dx = self.layer.backward(dout)
        for i, g in enumerate(self.grads):
            g[...] = self.changed(f"params[{i}]", g)
        if isinstance(dx, tuple):
            return tuple(self.changed("x" if i == 0 else f"inputs[{i}]", g) for i, g in enumerate(dx))
        return self.changed("x", dx)

    def changed(self, where, g):
        for code, N in self.changes.get(where, ()):
            g = MISTAKES[code](g, N)
        return g


def pair(one, two):
    """one, two: (where, code). The case, or None where the second mistake is none for that shape."""
    def of(module, name):
        make = next(make for codes, n, make in module.CASES if n == name)

        def build():
            layer, inputs = make()
            changes = {}
            for where, code in (one, two):
                changes.setdefault(where, []).append((code, len(inputs[0])))
            return TwoMistakes(layer, changes), inputs
        return (one[1], two[1]), f"{name} {one[1]} in {one[0]}, {two[1]} in {two[0]}", build
    return of


SAME = ("wrong-sign", "factor-2"), ("wrong-sign", "divided-by-N"), ("wrong-sign", "summed-too-far")
APART = list(itertools.combinations(("wrong-sign", "factor-2", "divided-by-N", "summed-too-far"), 2))
CASES = [
    *(pair(("params[0]", a), ("params[0]", b))(dense, "Affine:right") for a, b in SAME),
    *(pair(("x", a), ("params[0]", b))(dense, "Affine:right") for a, b in APART),
    *(pair(("params[0]", a), ("params[1]", b))(dense, "TwoLayer:right") for a, b in APART[:4]),
    *(pair(("params[0]", a), ("x", b))(images, "Conv:right") for a, b in APART[:4]),
    *(pair(("params[1]", a), ("params[2]", b))(sequences, "RNN:right") for a, b in APART[:4]),
    *(pair(("params[1]", a), ("x", b))(sequences, "LSTM:right") for a, b in APART[:3]),
    *(pair(("x", a), ("inputs[1]", b))(nodes, "Multiply:right") for a, b in APART),
    *(pair(("x", a), ("x", b))(losses, "SoftmaxLoss:right") for a, b in SAME[:2]),
    *(pair(("x", a), ("x", b))(activations, "Tanh:right") for a, b in SAME),
    *(pair(("params[0]", a), ("x", b))(losses, "BatchNorm:right") for a, b in APART[:3]),
    pair(("params[0]", "missing-transpose"), ("x", "wrong-sign"))(dense, "Square:right"),
    pair(("params[0]", "missing-transpose"), ("params[0]", "wrong-sign"))(dense, "Square:right"),
    pair(("params[0]", "missing-transpose"), ("params[1]", "divided-by-N"))(dense, "Square:right"),
]
