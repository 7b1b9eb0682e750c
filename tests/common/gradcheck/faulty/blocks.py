"""Blocks and models in which one layer changes in place what another one reads later, with and without harm."""
import numpy as np

from chainrule.layers import Affine, Sigmoid, Tanh
from chainrule.models import Graph, Input, Sequential, node

from . import normal


class Plain:
    params, grads = (), ()


class Triple(Plain):
    """y = 3x, in place."""

    def forward(self, x):
        x *= 3
        return x

    def backward(self, dout):
        return 3 * dout


class Relu(Plain):
    """In place both ways."""

    def forward(self, x):
        self.mask = x > 0
        x *= self.mask
        return x

    def backward(self, dout):
        dout *= self.mask
        return dout


class Square(Plain):
    def forward(self, x):
        self.x = x
        return x ** 2

    def backward(self, dout):
        return dout * self.x * 2


class Halves(Square):
    """Halves in backward what it kept, which a layer before it may keep, too."""

    def backward(self, dout):
        self.x *= 0.5
        return dout * self.x * 4


class Half(Square):
    """Forgets the factor 2."""

    def backward(self, dout):
        return dout * self.x


class Block:
    """Layers that it holds in a dict."""

    def __init__(self, **layers):
        self.layers = layers
        self.params = [p for layer in layers.values() for p in layer.params]
        self.grads = [g for layer in layers.values() for g in layer.grads]


class Scaled(Block):
    def forward(self, x):
        y = self.layers["squash"].forward(self.layers["affine"].forward(x))
        y *= 3
        return y

    def backward(self, dout):
        return self.layers["affine"].backward(self.layers["squash"].backward(3 * dout))


class ScaledMean(Scaled):
    """A mean where the sum over the samples should be."""

    def backward(self, dout):
        dx = super().backward(dout)
        self.grads[1] /= len(dout)
        return dx


class Own(Block):
    """tanh(x) · 3x, for which the block keeps x."""

    def forward(self, x):
        self.x, t = x + 1, np.tanh(x + 1)
        return t * self.layers["triple"].forward(self.x)

    def backward(self, dout):
        t = np.tanh(self.x)
        return self.layers["triple"].backward(dout * t) + dout * 3 * self.x * (1 - t ** 2)


class Residual(Block):
    """relu(x) + 2x: one dout for both."""

    def forward(self, x):
        return self.layers["relu"].forward(x.copy()) + x

    def backward(self, dout):
        return self.layers["relu"].backward(dout) + dout


class Kept(Residual):
    def backward(self, dout):
        return self.layers["relu"].backward(dout.copy()) + dout


def affine(n_in=3, n_out=5, seed=0):
    return Affine.init(n_in, n_out, rng=seed)


def graph():
    x = Input("x")
    h = node(Square(), affine()(x))
    return Graph(x, [node(Triple(), h), affine(5, 2)(h)])


X = normal(7, 3)
CASES = [(codes, f"{name}:blocks", lambda make=make: (make(), (X.copy(),))) for codes, name, make in [
    ("mutates-cache", "Sigmoid, Triple", lambda: Sequential(affine(), Sigmoid(), Triple(), affine(5, 2))),
    ("mutates-cache", "Sigmoid, Halves", lambda: Sequential(affine(), Sigmoid(), Halves(), affine(5, 2))),
    ("mutates-cache", "Tanh in a block, Triple", lambda: Sequential(Sequential(affine(), Tanh()), Triple(), affine(5, 2))),
    ("mutates-cache", "Square and Triple of one value", graph),
    ("mutates-cache", "a block scales in place", lambda: Scaled(affine=affine(), squash=Sigmoid())),
    ("mutates-cache", "a block keeps x", lambda: Own(triple=Triple())),
    ("mutates-cache", "one dout for two", lambda: Residual(relu=Relu())),
    (("mutates-cache", "divided-by-N"), "a block scales in place, mean", lambda: ScaledMean(affine=affine(), squash=Sigmoid())),
    (("mutates-cache", "factor-half"), "Sigmoid, Triple, Half", lambda: Sequential(Sigmoid(), Triple(), Half())),
    ((), "Affine, Triple", lambda: Sequential(affine(), Triple(), affine(5, 2))),
    ((), "Affine, Relu", lambda: Sequential(affine(), Relu(), affine(5, 2), Tanh())),
    ((), "dout copied", lambda: Kept(relu=Relu())),
    ("factor-half", "Affine, Triple, Half", lambda: Sequential(affine(), Triple(), Half())),
    ("factor-half", "Half, Triple", lambda: Sequential(Half(), Triple())),
]]
