"""PyTorch's layers through the same eyes: ``torch.autograd.Function`` and modules.

torch is looked for among the modules that are loaded: whoever passes a layer of its has it.
"""
import copy
import inspect
import sys

import numpy as np

from .styles import Adapted


def adapted(layer):
    """A Function's class or a Module as a layer; None for anything else."""
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    if inspect.isclass(layer) and issubclass(layer, torch.autograd.Function):
        return TorchFunction(layer)
    return TorchModule(layer) if isinstance(layer, torch.nn.Module) else None


def tensor(x):
    torch = sys.modules["torch"]
    return torch.from_numpy(np.array(x)) if isinstance(x, (np.ndarray, np.generic)) else x


def array(x):
    return x.detach().cpu().numpy() if hasattr(x, "detach") else x


def arrays(found):
    return tuple(map(array, found)) if isinstance(found, (tuple, list)) else array(found)


class TorchFunction(Adapted):
    """``Function.apply`` forwards, the Function's own backward backwards."""

    def __init__(self, function):
        self.f = function

    def forward(self, *inputs):
        given = [tensor(x) for x in inputs]
        for x in given:
            if getattr(x, "is_floating_point", bool)():
                x.requires_grad_()
        y = self.f.apply(*given)
        first = y[0] if isinstance(y, tuple) else y
        self.kept = [first.grad_fn]
        return arrays(y)

    def backward(self, dout):
        douts = dout if isinstance(dout, tuple) else (dout,)
        found = self.f.backward(self.kept[0], *(tensor(np.asarray(d)) for d in douts))
        return arrays(found)

    def __deepcopy__(self, memo):
        return TorchFunction(self.f)  # a graph that autograd holds is not copied


class TorchModule(Adapted):
    """A module: its own backward, if it has one, else autograd's through the Functions in it."""

    def __init__(self, module):
        super().__init__(copy.deepcopy(module).double())
        self.where = [name for name, _ in self.layer.named_parameters()]

    params = property(lambda self: [array(p) for p in self.layer.parameters()])
    grads = property(lambda self: [array(p.grad) for p in self.layer.parameters()])

    def forward(self, *inputs):
        self.given = [tensor(x) for x in inputs]
        self.own = callable(getattr(self.layer, "backward", None))
        for x in self.given:
            if not self.own and x.is_floating_point():
                x.requires_grad_()
        self.y = self.layer(*self.given)
        return arrays(self.y)

    def backward(self, dout):
        torch = sys.modules["torch"]
        douts = [tensor(np.asarray(d)) for d in (dout if isinstance(dout, tuple) else (dout,))]
        if self.own:
            return arrays(self.layer.backward(*douts))
        for p in self.layer.parameters():
            p.grad = None
        torch.autograd.backward(self.y if isinstance(self.y, tuple) else (self.y,), douts,
                                retain_graph=True)
        found = tuple(array(x.grad) for x in self.given)
        for x in self.given:
            x.grad = None
        return found if len(found) > 1 else found[0]

    def __deepcopy__(self, memo):
        return TorchModule(self.layer)
