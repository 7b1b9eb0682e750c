"""The layer under test, on a float64 copy: how it is run forwards and backwards without a trace on the original."""
import inspect
from dataclasses import dataclass, field

import numpy as np

from ..layer import Layer
from .copying import float64_copy, reachable


@dataclass
class Backward:
    """One backward: the gradient of each input (None where none came back) and of each parameter, as they came."""
    inputs: list
    params: list
    raw: object = field(default=None, repr=False)       # what backward returned, untouched


class FunctionLayer:
    """A function f with its gradient function, as a layer.

    ``gradient(*inputs)`` gives the gradient of a scalar f, or f'(x) of an elementwise f; with one argument more than f,
    ``gradient(*inputs, dout)`` gives the gradient of Σ dout · f.
    """

    def __init__(self, f, gradient):
        self.f, self.gradient, self.params, self.grads = f, gradient, [], []

    def forward(self, *inputs):
        self.inputs = inputs
        return self.f(*inputs)

    def backward(self, dout):
        if accepts(self.gradient, len(self.inputs) + 1):
            return self.gradient(*self.inputs, dout)
        slope = self.gradient(*self.inputs)
        if isinstance(slope, tuple):
            return tuple(None if g is None else np.asarray(g) * dout for g in slope)
        return None if slope is None else np.asarray(slope) * dout


def accepts(function, n):
    """Whether a callable takes n positional arguments (True where Python cannot tell)."""
    try:
        inspect.signature(function).bind(*range(n))
    except TypeError:
        return False
    except ValueError:
        return True
    return True


class Subject:
    """A layer and its inputs. ``pristine`` is the float64 copy that never runs; ``work`` the one that does."""

    def __init__(self, layer, inputs):
        self.pristine, = float64_copy(layer)
        self.inputs = tuple(as_input(x) for x in inputs)
        for g in self.grads_of(self.pristine):
            if isinstance(g, np.ndarray) and g.flags.writeable:
                g[...] = 0
        self.restart()
        self.takes_dout = accepts(self.pristine.backward, 1) if hasattr(self.pristine, "backward") else True
        self.parts = None                       # the shapes of the outputs, where there are several

    def restart(self):
        """Throw the working copy away and take a fresh one."""
        self.work, = float64_copy(self.pristine)
        self.params = list(getattr(self.work, "params", None) or ())
        self.generators = generators_of(self.work)
        self.states = [g.bit_generator.state for g in self.generators]

    @staticmethod
    def grads_of(layer):
        return list(getattr(layer, "grads", None) or ())

    def output(self, inputs=None):
        """forward on the working copy, generators in ``buffers`` rewound; outputs of a tuple are joined to one flat array."""
        for g, state in zip(self.generators, self.states):
            g.bit_generator.state = state
        inputs = self.inputs if inputs is None else inputs
        y = self.work.forward(*(x.copy() if isinstance(x, np.ndarray) else x for x in inputs))
        if isinstance(y, tuple):
            ys = [np.asarray(part, np.float64) for part in y]
            self.parts = [part.shape for part in ys]
            return np.concatenate([part.reshape(-1) for part in ys])
        self.parts = None
        return np.array(y, np.float64)

    def backward(self, dout):
        """backward on the working copy, after an ``output()``; dout of the output's shape."""
        if self.parts is not None:
            ends = np.cumsum([int(np.prod(shape)) for shape in self.parts])
            dout = tuple(d.reshape(shape) for d, shape in zip(np.split(dout, ends[:-1]), self.parts))
        else:
            dout = float(dout) if np.ndim(dout) == 0 else np.array(dout)
        dx = self.work.backward(dout) if self.takes_dout else self.work.backward()
        several = isinstance(dx, tuple) or isinstance(dx, list) and len(dx) == len(self.inputs) != 1
        found = list(dx) if several else [dx]
        found += [None] * (len(self.inputs) - len(found))
        # Copies: a layer may reuse the arrays it returns.
        return Backward([copied(g) for g in found], [copied(g) for g in self.grads_of(self.work)], dx)


def as_input(x):
    """A float input in float64, an integer one as it is."""
    if x is None:
        return None
    a = np.asarray(x)
    return np.array(a, np.float64) if a.dtype.kind == "f" else a.copy() if isinstance(x, np.ndarray) else a


def copied(g):
    return None if g is None else np.array(g)


def generators_of(layer):
    """The random generators that Layer subclasses keep in ``buffers``, at any depth."""
    return [b for o in reachable(layer) if isinstance(o, Layer)
            for b in getattr(o, "buffers", {}).values() if isinstance(b, np.random.Generator)]
