"""A chain of layers."""
from typing import Any

from ..common.layer import Layer
from ..common.types import ArrayLike, Computes, Inputs, Penalty
from .freezing import learns
from .model import Model
from .passes import Backward, Forward
from .predicting import in_batches
from .sharing import in_a_row


class Sequential(Model):
    """Layers one after another: y = f_n(... f_2(f_1(x))).

    Backward is the chain rule. With y_0 = x, y_i = f_i(y_{i-1}), f_1 being ``layers[0]``, and the
    Jacobians J_i = ∂y_i/∂y_{i-1},

        dL/dx = (((dL/dy J_n) J_{n-1}) ... ) J_1

    a row vector times one Jacobian at a time, the last layer's first. Layer i's ``backward(dout)``
    is given dout = dL/dy_i and returns dL/dy_{i-1} = dout J_i, without making J_i; on the way it
    fills in the gradients of its parameters. With targets, L is the loss layer's value plus the
    penalty (``loss_of``), and dL/dy is what the loss layer's backward returns. ``Forward`` and
    ``Backward`` (passes.py) see to everything else.

    ``loss`` is a loss layer, ``penalty`` an L1 or L2. Any object with forward, backward, params and
    grads will do as a layer, a Sequential too. One training step, in full:

    >>> import numpy as np
    >>> from chainrule.layers import Affine, ReLU, SoftmaxWithLoss
    >>> from chainrule.optimizers import SGD
    >>> model = Sequential(Affine.init(4, 8, rng=0), ReLU(), Affine.init(8, 3, rng=1),
    ...     loss=SoftmaxWithLoss())
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

    Raises TypeError for anything but layers, and for a loss among them; ValueError for no layers,
    for one object used twice, for parameters that overlap in part, for a layer with a penalty of
    its own, and for a penalty together with a loss of ``reduction="none"``.
    """
    _first = 0                    # where backward ends: the place of the lowest layer that learns

    def __init__(
        self, *layers: Computes, loss: Computes | None = None, penalty: Penalty | None = None
    ) -> None:
        super().__init__(in_a_row(type(self).__name__, layers), loss, penalty)

    def forward(self, x, t=None, *, weight=None):
        """The output y or, with targets t, the loss: a float, penalty included (an array if the
        loss has ``reduction="none"``); ``weight``, with targets: how much each row counts in it."""
        with Forward(self, t is not None, weight):
            y = x
            for layer in self.layers:       # errors.py reads the name ``layer`` to say which failed
                y = layer.forward(y)
            self.output = y
            return y if t is None else self.loss_of(y, t, weight)

    def backward(self, dout=None, input_gradient=False):
        """Fill ``grads``. After ``forward(x, t)``: with the gradients of the loss, penalty
        included, times ``dout`` (by default 1; a number, or an array as the loss is). After
        ``forward(x)``: with those of Σ dout · y, where ``dout``, dL/dy, must be given.

        Returns dL/dx if ``dout`` is given or ``input_gradient`` is true; else None, without
        computing it. (A model inside another returns None, too, where that one has no use for it.)
        """
        with Backward(self, dout, input_gradient) as run:
            dout = self.output_gradient(dout)
            first = 0 if run.full else self._first
            for layer in reversed(self.layers[first:]):
                dout = layer.backward(dout)
        return dout if run.full else None

    def predict(self, x: ArrayLike, batch_size: int | None = None) -> Any:
        """The output for x in evaluation mode: Dropout drops nothing, BatchNorm uses its running
        statistics. ``batch_size``: how many samples at a time, None for all.

        Recurrent layers start from fresh states. Afterwards flags, running statistics, states and
        generators are as before, even if it fails; caches are empty, so that a backward needs
        another forward."""
        return in_batches(self, self.forward, (x,), batch_size)

    def find_lowest(self) -> None:
        # At the first layer that learns; without parameters at layer 0, if all are frozen nowhere.
        first = len(self.layers) if self.params else 0
        self._first = next((i for i, layer in enumerate(self.layers) if learns(layer)), first)
        lowest = self.layers[self._first:self._first + 1]
        self._lowest = [layer for layer in lowest if isinstance(layer, Layer)]

    def vertices_and_edges(
        self, values: bool = False, x: Inputs | None = None
    ) -> tuple[list[Any], list[tuple[int, int]]]:
        """What ``plotting.draw`` draws."""
        from .vertices import of_chain
        return of_chain(self, values, x)
