"""A chain of layers."""
from ..layers.losses import Loss
from .model import Model, note


class Sequential(Model):
    """Layers in a row: y = f_n(... f_2(f_1(x))).

    Backward is the chain rule read from the right. With the Jacobians J_i = ∂f_i/∂f_{i-1},

        dL/dx = dL/dy J_n ... J_2 J_1

    is multiplied out from the left, one row vector times one Jacobian at a time: each layer's backward, last layer
    first.

    Sequential(*layers, loss=None, penalty=None); loss is a loss layer, penalty an L1 or L2. Any object with forward,
    backward, params and grads will do as a layer, a Sequential too. One training step, in full:

    >>> import numpy as np
    >>> from chainrule.layers import Affine, ReLU, SoftmaxWithLoss
    >>> from chainrule.optimizers import SGD
    >>> model = Sequential(Affine.init(4, 8, rng=0), ReLU(), Affine.init(8, 3, rng=1), loss=SoftmaxWithLoss())
    >>> model
    Sequential(
      0: Affine(W (4, 8), b (8,))
      1: ReLU()
      2: Affine(W (8, 3), b (3,))
      loss: SoftmaxWithLoss(ignore_label=None)
    )
    >>> x, t = np.ones((5, 4), np.float32), np.array([0, 1, 2, 1, 1])
    >>> optimizer = SGD(lr=0.1)
    >>> before = model.forward(x, t)
    >>> model.backward()
    >>> optimizer.update(model.params, model.grads)
    >>> model.forward(x, t) < before
    True
    >>> model.predict(x).shape
    (5, 3)

    Raises TypeError for what is no layer and for a loss among them, ValueError for one layer used twice.
    """

    def __init__(self, *layers, loss=None, penalty=None):
        who = type(self).__name__
        for i, layer in enumerate(layers):
            if isinstance(layer, (list, tuple)):
                raise TypeError(f"{who}: takes its layers one by one, got a {type(layer).__name__} of them; {who}(*layers)")
            if isinstance(layer, Loss):
                raise TypeError(f"{who}: layer {i} is a loss, which takes targets too; it goes by its name: loss={layer!r}")
        super().__init__(layers, loss, penalty)
        # Nobody reads a gradient from below the first layer that has parameters.
        self._first = next((i for i, layer in enumerate(self.layers) if layer.params), 0)

    def run(self, x):
        try:
            for layer in self.layers:
                x = layer.forward(x)
        except Exception as error:
            note(error, self, layer)
            raise
        return x

    def run_back(self, dout, input_gradient):
        lowest = 0 if input_gradient else self._first
        first = self.layers[lowest]
        wanted = getattr(first, "input_gradient", None)          # None: no Layer, which has no such flag
        if wanted and not input_gradient:
            first.input_gradient = False
        try:
            for layer in reversed(self.layers[lowest:]):
                dout = layer.backward(dout)
        except Exception as error:
            note(error, self, layer)
            raise
        finally:
            if wanted is not None:
                first.input_gradient = wanted
        return dout
