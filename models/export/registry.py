"""What each layer is elsewhere: its arrays in PyTorch, and how it is written there and in ONNX."""

from collections.abc import Callable
from typing import Any, NamedTuple

from ... import layers as L
from ...common import checks
from ...common.layer import is_model

ONNX: dict[type, Callable[..., Any]] = {}
SOURCE: dict[type, Callable[..., Any]] = {}
LAYOUT: dict[type, dict[str, str]] = {}
RECURRENT = L.RNN, L.LSTM, L.GRU
# The methods and attributes that say what a layer computes.
FORMULAS = {"forward", "rule", "value", "scaled", "losses", "run", "encode", "decode"}


class Torch(NamedTuple):
    """A layer as PyTorch code: ``call`` with ``{0}``, ``{1}``, ... in the place of its inputs and
    ``{m}`` in that of the module that ``module`` makes, if it needs one.

    >>> Torch("{m}({0})", "nn.ReLU()").call.format("x", m="self.relu")
    'self.relu(x)'
    """
    call: str
    module: str = ""


def register_exporter(
    cls: type, onnx: Callable[..., Any] | None = None,
    source: Callable[..., Any] | None = None,
) -> None:
    """Say how a layer of your own is exported.

    - onnx: a function of an ``OnnxWriter``, the layer and a value for each input of ``forward``,
      which returns the value of the output; ``to.Mul(a, b)`` adds the operator Mul, and
      ``to.array(a)`` an array;
    - source: a function of the layer that returns a ``Torch``.

    They hold for subclasses that compute the same, too. ``to_torch_state`` needs nothing: the
    arrays keep their names.

    Raises TypeError unless ``cls`` is a class and the others are functions.

    >>> from chainrule.layers import Tanh
    >>> class Shrink(Tanh):
    ...     def forward(self, x):
    ...         return x - super().forward(x)
    >>> register_exporter(Shrink, onnx=lambda to, layer, x: to.Sub(x, to.Tanh(x)),
    ...     source=lambda layer: Torch("{0} - torch.tanh({0})"))
    """
    who = "register_exporter"
    if not isinstance(cls, type):
        raise TypeError(checks.wrong(who, "cls", "be a class", checks.text(cls)))
    for name, function, table in ("onnx", onnx, ONNX), ("source", source, SOURCE):
        if function is not None:
            if not callable(function):
                raise TypeError(checks.wrong(who, name, "be a function", checks.text(function)))
            table[cls] = function


def writes(*classes, table=ONNX):
    def register(function):
        table.update(dict.fromkeys(classes, function))
        return function
    return register


def known(layer, table):
    """What the table says of the layer's class, or of one above that computes the same."""
    if any(callable(getattr(layer, "__dict__", {}).get(name)) for name in FORMULAS):
        return None
    for cls in type(layer).__mro__:
        if cls in table:
            return table[cls]
        if not FORMULAS.isdisjoint(vars(cls)):
            return None
    return None


def base(layer, *classes):
    return next(cls for cls in type(layer).__mro__ if cls in classes)


def halves(layer):
    """A Bidirectional's recurrent layers, or the layer alone; NotImplementedError for a first
    state, which PyTorch's modules and ONNX's operators do not hold."""
    parts = [layer.ahead, layer.back] if isinstance(layer, L.Bidirectional) else [layer]
    if any(part.initial_state is not None for part in parts):
        raise NotImplementedError("its initial_state has a fixed number of samples; set it to None")
    return parts


def alike(parts):
    """Whether recurrent layers are of one kind and size, as PyTorch's and ONNX's pairs are."""
    return len({(base(part, *RECURRENT), *part.params[0].shape) for part in parts}) == 1


def output_padding(layer):
    """padding="same" implies one where a stride is wider than the filter."""
    if layer.padding != "same":
        return layer.output_padding
    return tuple(max(s - span, 0) for span, s in zip(layer.spans(), layer.stride))


def named(path, layer):
    return f"layer {path} ({type(layer).__name__})" if path else type(layer).__name__


def foreign(who, path, layer, option):
    what = "a model with a forward of its own" if is_model(layer) else "a layer of your own"
    return TypeError(
        f"{who}: {named(path, layer)} cannot be exported, it is {what}; to say how it is written, "
        "call chainrule.models.export.register_exporter"
        f"({type(layer).__name__}, {option}=...)")


def unfit(who, path, layer, why):
    return ValueError(f"{who}: {named(path, layer)} cannot be exported: {why}")
