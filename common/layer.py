"""The contract of a layer, and the base class that makes it easy to keep."""
import contextlib
import inspect
import threading
from collections import deque
from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Never, Self

import numpy as np

from . import checks
from .guard import guard, out_of_order, parameter_sizes
from .heap import keep_freed_memory
from .sharing import shared_arrays, tie
from .types import Array, DType, Shape

keep_freed_memory()


class Parameter:
    """A layer's array under its name, ``layer.W`` or, its gradient, ``layer.dW``: reading gives the
    array of the list, assigning writes into it."""

    def __init__(self, name, of):
        self.name, self.of, self.list = name, of, "params" if name == of else "grads"

    def __get__(self, layer, owner=None):
        if layer is None:
            return self
        names = vars(layer).get("names", ())
        if self.of in names:
            return getattr(layer, self.list)[names.index(self.of)]
        if self.name in vars(layer):                        # assigned before Layer.__init__
            return vars(layer)[self.name]
        raise AttributeError(f"{type(layer).__name__} has no {self.name}")

    def __set__(self, layer, value):
        names = vars(layer).get("names", ())
        if self.of not in names:
            vars(layer)[self.name] = value
            return
        array = getattr(layer, self.list)[names.index(self.of)]
        if value is not array:
            array[...] = checks.array(type(layer).__name__, self.name, value, array.dtype,
                                      array.shape)


class Renamed:
    """What another book calls by ``name``: an AttributeError that says what it is called here."""

    def __init__(self, here):
        self.here = here

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, layer, owner=None):
        raise AttributeError(
            f"{(owner or type(layer)).__name__} has no {self.name}; here it is called {self.here}")

    def __set__(self, layer, value):
        self.__get__(layer)


class Frozen:
    """A layer's ``frozen``. ``Frozen.changed`` is another object after each assignment, so that a
    model need not ask all its layers at every step."""
    changed = object()

    def __get__(self, layer, owner=None):
        return self if layer is None else vars(layer).get("frozen", False)

    def __set__(self, layer, flag):
        vars(layer)["frozen"], Frozen.changed = flag, object()


class Layer:
    """An object with ``forward``, ``backward``, ``params`` and ``grads``.

    - ``forward(*inputs)`` returns the output and puts into ``self.cache`` what backward needs;
    - ``backward(dout)`` takes the gradient of the loss L by the output, dL/dy, **overwrites**
      ``grads`` in place with dL/dparams, and returns dL/dx, for several inputs a tuple. Between the
      two an output belongs to its layer: Sigmoid, Tanh, Softmax, Exp and others keep it for
      backward, so ``y *= 3`` there makes wrong gradients (``y = y * 3`` does not); and so do
      inputs. ``check_gradients`` finds it;
    - ``params`` and ``grads`` are two paired lists of arrays, the same objects for the layer's
      whole life: optimizers change ``params[i]`` in place, ``grads[i]`` has the shape and dtype of
      ``params[i]``.

    A layer of your own states its formula and nothing else:

    >>> class Scale(Layer):
    ...     '''y = a * x; dL/da = sum(dL/dy * x), dL/dx = dL/dy * a.'''
    ...     shapes = "x (...), a (1) -> y (...)"
    ...     def __init__(self, a):
    ...         super().__init__(a=a)
    ...     def forward(self, x):
    ...         self.cache = x
    ...         return x * self.params[0]
    ...     def backward(self, dout):
    ...         self.grads[0][...] = np.sum(dout * self.cache)
    ...         return dout * self.params[0]
    >>> layer = Scale(np.array([3.0]))
    >>> layer
    Scale(a (1,))
    >>> layer.forward(np.array([[1.0, 2.0]]))
    array([[3., 6.]])
    >>> layer.backward(np.array([[1.0, 10.0]]))
    array([[ 3., 30.]])
    >>> layer.grads
    [array([21.])]

    ``shapes`` is for the guard (guard.py), which checks inputs and ``dout`` before the layer sees
    them; it may be left out. Nothing else in the framework insists on this base class; any class
    with the four works in models, trainer, optimizers and the gradient checker.
    """
    # False while a model predicts: Dropout and BatchNorm behave differently then
    training = True
    input_gradient = True     # False: dL/dx is not wanted, backward may return None instead
    frozen = Frozen()         # True: it keeps its parameters and buffers, see Model.freeze
    guarded = True            # False: a class with checks of its own, such as a model
    train_flg, train_flag, is_training = (Renamed("training") for _ in range(3))

    _made, _fits, _seen, _arguments = None, (), None, None          # the guard's: see guard.py

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        if cls.guarded:
            guard(cls)

    def __new__(cls, *arguments, **named):
        if named:
            checks.argument_names(cls, named)
        return super().__new__(cls)

    def __init__(self, *arguments: Never, **params: Array | None) -> None:
        """Keep the named arrays as parameters (one that is None is left out) and make their
        gradients."""
        if arguments:
            who, mine = type(self).__name__, type(self).__init__ is Layer.__init__
            raise TypeError(
                f"{who}: made without arguments, {who}(); it is forward(x) that takes arrays"
                if mine
                else f"{who}: Layer.__init__ takes parameters by name, as in super().__init__(W=W)")
        arrays = {name: p for name, p in params.items() if p is not None}
        checks.parameters(type(self).__name__, arrays)
        arrays = {name: checks.native(p) for name, p in arrays.items()}
        self.names = tuple(arrays)
        for name in arrays:
            for named in (name, f"d{name}"):
                if not hasattr(type(self), named):
                    setattr(type(self), named, Parameter(named, name))
        self.params: list[Array] = list(arrays.values())
        parameter_sizes(self, self._arguments or (), check=True)
        self.grads: list[Array] = [np.zeros_like(p) for p in self.params]
        self.buffers: dict[str, Any] = {}   # other state: running means, a generator
        self.cache: Any = None              # what backward needs: an array or a tuple of arrays

    def forward(self, *inputs):
        raise NotImplementedError(
            f"{type(self).__name__} has no forward yet: write forward(self, x)")

    def backward(self, dout):
        raise NotImplementedError(
            f"{type(self).__name__} has no backward yet: write backward(self, dout)")

    def __call__(self, *inputs):
        """On arrays the same as ``forward``; on nodes of a Graph a new node."""
        if inputs and hasattr(inputs[0], "connect"):
            return inputs[0].connect(self, *inputs)
        return self.forward(*inputs)

    if TYPE_CHECKING:
        def __getattr__(self, name: str) -> Any: ...     # a parameter, under its own name

    def accept(
        self, x: Any, last: int | None = None, shape: Sequence[Any] | None = None, name: str = "x"
    ) -> Array:
        """An input as an array of the parameters' dtype (without parameters: of its own float
        dtype).

        ``last`` asks for shape (N, ..., last), ``shape`` for any pattern such as ``("N", 3, "H",
        "W")``. Raises TypeError or ValueError naming layer, argument, expected and received.
        """
        dtype = self.params[0].dtype if self.params else None
        return checks.array(type(self).__name__, name, x, dtype,
                            shape if last is None else ("N", ..., last))

    def recall(self) -> Any:
        """What forward left in the cache; RuntimeError before the first forward."""
        if self.cache is None:
            raise out_of_order(self)
        return self.cache

    def upstream(self, dout: Any, shape: Shape, dtype: Any) -> Array:
        """The gradient that came from above, in the output's dtype; an error unless it has the
        output's shape."""
        return checks.array(type(self).__name__, "dout", dout, dtype, shape)

    def astype(self, dtype: DType) -> Self:
        """A copy that computes in ``dtype``, np.float32 or np.float64; weights that are shared here
        are shared there.

        >>> Layer(a=np.zeros(2, np.float32)).astype(np.float64).params
        [array([0., 0.])]
        """
        from ..gradcheck.copying import float64_copy
        wanted = checks.float_type(f"{type(self).__name__}.astype", "dtype", dtype)
        copy, = float64_copy(self, dtype=wanted)
        return copy

    def __getstate__(self):
        """What ``copy`` and ``pickle`` keep: no caches, and which arrays of layers are one."""
        return {**vars(self), "cache": None, "_made": None, "_fits": (), "_seen": None,
                "_shared": shared(self)}

    def __setstate__(self, state):
        found = state.pop("_shared", ())
        vars(self).update(state)
        tie(every_array(self), found)

    def __repr__(self):
        # A constructor argument that is kept under its own name is an option worth showing.
        options = (name for name in inspect.signature(type(self).__init__).parameters
                   if name in vars(self) and name not in ("params", *self.names))
        parts = [f"{name} {p.shape}" for name, p in zip(self.names, self.params)]
        parts += [f"{name}={getattr(self, name)!r}" for name in options]
        return f"{type(self).__name__}({', '.join(parts)})"


# Attributes of a layer that hold no layers.
OWN = {"_made", "_fits", "_seen", "params", "grads", "names", "layers", "buffers", "cache", "state",
       "dstate"}


def walk(layer):
    """The layer and every layer that it holds: a model's in order, those of a layer of your own
    wherever they are, as attributes, in lists or in dicts; each once."""
    return (inner for _, inner in held(layer))


def held(layer, path="", seen=None):
    """(path, layer) for the layer itself and for each one that it holds, such as
    ``("blocks.0.norm", BatchNorm)``."""
    seen = {} if seen is None else seen
    if id(layer) in seen:
        return
    seen[id(layer)] = layer
    yield path, layer
    start = f"{path}." if path else ""
    model = is_model(layer)
    layers = getattr(layer, "layers", None) or ()
    for i, inner in layers.items() if isinstance(layers, dict) else enumerate(layers):
        yield from held(inner, f"{start}{i}" if model else f"{start}layers.{i}", seen)
    for name, value in () if model else getattr(layer, "__dict__", {}).items():
        if name not in OWN:
            yield from among(value, f"{start}{name}", seen)


def is_model(layer):
    """Whether it is a model, whose arrays are those of its layers."""
    return hasattr(layer, "loss_of")


def among(value, path, seen):
    """``held`` of each layer that ``value`` is or, being a collection, a namespace or an object
    with forward but without params, holds."""
    if isinstance(value, (list, tuple, deque)):
        items: Any = enumerate(value)
    elif isinstance(value, dict):
        items = value.items()
    elif isinstance(value, type) or not (
            hasattr(value, "forward") or isinstance(value, SimpleNamespace)):
        return
    elif hasattr(value, "params"):
        yield from held(value, path, seen)
        return
    else:
        items = vars(value).items() if hasattr(value, "__dict__") else ()
    if id(value) not in seen:
        seen[id(value)] = value
        for key, item in items:
            yield from among(item, f"{path}.{key}", seen)


def every_array(model):
    """(the list, the place in it) of each parameter of each layer."""
    return [(layer.params, j) for layer in walk(model)
            if not is_model(layer) and isinstance(getattr(layer, "params", None), list)
            for j, p in enumerate(layer.params) if isinstance(p, np.ndarray)]


def shared(model):
    return shared_arrays([params[j] for params, j in every_array(model)])


def reset_states(model: Any) -> None:
    """Let every recurrent layer inside begin anew."""
    for layer in walk(model):
        if hasattr(layer, "reset_state"):
            layer.reset_state()


lock = threading.Lock()
# By a layer's id: how many evaluate it, its flag before, its state before.
evaluating: dict[int, list[Any]] = {}


@contextlib.contextmanager
def evaluation(model):
    """Evaluation mode in a ``with`` block, from fresh states; afterwards flags and the states that
    recurrent layers carry are as they were, and caches are empty."""
    layers = list(walk(model))
    with lock:
        for layer in layers:
            users = evaluating.setdefault(
                id(layer), [0, getattr(layer, "training", None), getattr(layer, "state", None)])
            users[0] += 1
    try:
        for layer in layers:
            if hasattr(layer, "training"):
                layer.training = False
        reset_states(model)
        yield
    finally:
        with lock:
            for layer in layers:
                users = evaluating[id(layer)]
                users[0] -= 1
                if users[0]:                     # the last of several threads puts everything back
                    continue
                _, training, state = evaluating.pop(id(layer))
                if hasattr(layer, "training"):
                    layer.training = training
                if hasattr(layer, "reset_state"):
                    layer.state = state
        for layer in layers:
            if isinstance(layer, Layer):
                layer.cache = layer._made = None
