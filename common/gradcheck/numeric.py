"""A layer whose backward is not written yet, working already."""
import numpy as np

from ..common import checks
from ..common.layer import Layer
from ..common.types import Computes
from .numerical import columns, forwarding
from .subject import Subject, is_float


class Numeric(Layer):
    """A layer without a backward, with gradients by trying: a chain trains before it is finished.

        Sequential(Affine.init(4, 8), Numeric(MyActivation()), Affine.init(8, 3),
        loss=SoftmaxWithLoss())

    Parameters are those of the layer itself; what it draws from generators in its ``buffers`` is
    drawn again alike. Costs two forwards per entry of the inputs and parameters, so it is for small
    layers, and for the time until the backward is written. Raises TypeError for what has no
    forward, ValueError for a dout that has not the output's shape.

    >>> class Cube:
    ...     def forward(self, x):
    ...         return x ** 3
    >>> layer = Numeric(Cube())
    >>> layer.forward(np.array([1.0, 2.0]))
    array([1., 8.])
    >>> layer.backward(np.array([1.0, 1.0])).round(6)
    array([ 3., 12.])
    """

    def __init__(self, layer: Computes) -> None:
        super().__init__()
        self.layer = forwarding("Numeric", layer)
        self.layers = (layer,)
        self.params = list(getattr(layer, "params", ()))
        self.names = tuple(getattr(layer, "names", None)
                           or (f"params.{i}" for i in range(len(self.params))))
        self.grads = [np.zeros_like(p) for p in self.params]
        self.buffers = getattr(layer, "buffers", {})

    def forward(self, *inputs):
        # a copy of the layer as it is before this forward
        subject = Subject(self.layer, inputs)
        y = self.layer.forward(*inputs)
        self.cache = subject, np.shape(y), [getattr(x, "dtype", None) for x in inputs]
        return y

    def backward(self, dout=1.0):
        subject, shape, dtypes = self.recall()
        weights = checks.array("Numeric", "dout", dout, np.float64, shape)

        def gradient(f, x):
            return np.array([np.sum(weights * c.reshape(shape))
                             for c in columns(f, x)]).reshape(x.shape)

        for g, p in zip(self.grads, subject.params):
            g[...] = gradient(lambda p: subject.output(), p)
        if not self.input_gradient:
            return None
        found = []
        given = subject.inputs
        for i, x in enumerate(given):
            if not is_float(x):
                found.append(None)
                continue
            found.append(gradient(lambda x, i=i: subject.output((*given[:i], x, *given[i + 1 :])),
                                  x.copy()).astype(dtypes[i] or float))
        if not shape:  # a loss gives the gradient of its first input alone
            return found[0]
        return found[0] if len(found) == 1 else tuple(found)

    def __repr__(self):
        return f"Numeric({self.layer!r})"
