"""Less memory for one forward more."""
import copy

import numpy as np

from ..common.layer import Layer, walk
from ..common.types import Computes
from .sequential import Sequential


class Recompute(Sequential):
    """Layers in a row that keep nothing but their input, and run forward again in backward.

    A Sequential of L layers keeps L caches from forward to backward. In √L blocks of √L layers,
    each a Recompute, it keeps √L inputs and, while one block runs back, that block's √L caches, at
    the price of a second forward (a backward counts as two):

        time  3 -> 4        memory  L -> 2 √L

    Generators (Dropout), running statistics (BatchNorm) and recurrent states are set back before
    the second forward, so results and gradients are those of the plain chain. Source: Chen, Xu,
    Zhang and Guestrin, Training deep nets with sublinear memory cost (2016).

    Shapes: those of its first and last layer. Raises what Sequential raises, and TypeError for a
    loss or a penalty: these belong to the model around it.

    >>> import numpy as np
    >>> from chainrule.layers import Affine, SoftmaxWithLoss, Tanh
    >>> blocks = [Recompute(Affine.init(4, 4, rng=i), Tanh()) for i in range(3)]
    >>> model = Sequential(*blocks, loss=SoftmaxWithLoss())
    >>> loss = model.forward(np.ones((2, 4), np.float32), np.array([0, 3]))
    >>> [layer.cache is None for layer in blocks[0].layers]
    [True, True]
    >>> model.backward()
    """

    def __init__(self, *layers: Computes) -> None:
        super().__init__(*layers)

    def forward(self, x):
        before, self.cache = states(self), None
        y = super().forward(x)
        if self.training:
            self.cache = x, before
            forget(self)
        return y

    def backward(self, dout, input_gradient=False):
        """dL/dx, given dL/dy."""
        if self.cache is not None:
            x, before = self.cache
            after = states(self)
            put(self, before)
            super().forward(x)
            put(self, after)
        dx = super().backward(dout, input_gradient)
        if self.cache is not None:
            forget(self)
            self._ready = "output"
        return dx


def states(model):
    return [(layer, copy.deepcopy(getattr(layer, "buffers", None)), getattr(layer, "state", None))
            for layer in walk(model) if layer is not model]


def put(model, states):
    for layer, buffers, state in states:
        for name, value in (buffers or {}).items():
            here = layer.buffers[name]
            if isinstance(here, np.ndarray):
                here[...] = value
            elif isinstance(here, np.random.Generator):
                here.bit_generator.state = value.bit_generator.state
            else:
                layer.buffers[name] = value
        if hasattr(layer, "state"):
            layer.state = state


def forget(model):
    model.output = None
    for layer in walk(model):
        if layer is not model and isinstance(layer, Layer):
            layer.cache = None
