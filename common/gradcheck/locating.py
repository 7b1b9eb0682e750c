"""Which layer of a model is wrong, and which inputs to check a layer with."""
import contextlib
import itertools

import numpy as np

from .check import as_layer, check_gradients, quiet
from .copying import float64_copy, reachable
from .report import GradientReport


def locate(model, *inputs, rng=None):
    """The report on the first wrong layer of a model, in the order in which forward calls them; a true report
    if there is none.

    ``model`` is a chain or graph, or any object that holds layers; the arguments are those of its forward:
    ``locate(model, x, t)``. Each layer is checked alone, at the inputs that it gets there, so that no layer
    answers for another one. If all of them are right and the model is not, the report is on the model: the
    way in which it joins them is wrong. ``report.name`` says which layer.

    >>> from chainrule.layers import Affine, Sigmoid
    >>> from chainrule.models import Sequential
    >>> class Square:
    ...     params, grads = [], []
    ...     def forward(self, x):
    ...         self.x = x
    ...         return x ** 2
    ...     def backward(self, dout):
    ...         return dout * self.x
    >>> model = Sequential(Affine.init(3, 4, rng=0), Sigmoid(), Square(), Affine.init(4, 2, rng=1))
    >>> report = locate(model, np.random.default_rng(0).normal(size=(5, 3)), rng=0)
    >>> report.name, report.findings[0].code
    ('layer 2 (Square)', 'factor-half')
    """
    as_layer(model, None)
    rng = np.random.default_rng(rng)
    originals = leaves(model)
    with quiet():
        copy, = float64_copy(model)
        calls = []
        for i, layer in enumerate(leaves(copy)):
            with contextlib.suppress(AttributeError):             # an object with slots cannot be listened to
                layer.forward = listener(layer.forward, i, calls)
        with contextlib.suppress(Exception):
            copy.forward(*(np.array(x) if isinstance(x, np.ndarray) else x for x in inputs))
    places = {id(layer): i for i, layer in enumerate(getattr(model, "layers", ()))}
    for i, given in calls:
        layer = originals[i]
        report = check_gradients(layer, *given, rng=rng)
        if not report.ok and report.codes != ["uninformative"]:
            place = (
                f"layer {places[id(layer)]}"
                if id(layer) in places
                else "the loss"
                if layer is getattr(model, "loss", None)
                else "a layer"
            )
            return GradientReport(f"{place} ({report.name})", report.findings, report.notes, report.checked)
    return check_gradients(model, *inputs, rng=rng)


def listener(forward, i, calls):
    def listening(*inputs):
        calls.append((i, [np.array(x) if isinstance(x, np.ndarray) else x for x in inputs]))
        return forward(*inputs)
    return listening


def is_layer(o):
    return (
        not isinstance(o, type)
        and callable(getattr(o, "forward", None))
        and callable(getattr(o, "backward", None))
    )


def leaves(model):
    """The layers inside a model that hold no layers themselves."""
    inner = [o for o in reachable(model) if o is not model and is_layer(o)]
    return [o for o in inner if not any(p is not o and is_layer(p) for p in reachable(o))]


def example_inputs(layer, rng=None):
    """Inputs for ``check_gradients`` that show mistakes: a tuple of arrays that the layer accepts.

    Sizes are distinct primes, so that a wrong transpose fails by its shape; there are seven samples, for two
    would confuse factor 2 with N; ids and labels repeat; images are larger than any window, so that windows
    overlap. The candidates are tried on a copy. Raises ValueError if the layer takes none of them.

    >>> from chainrule.layers import Affine, SoftmaxWithLoss
    >>> [x.shape for x in example_inputs(Affine.init(3, 4))]
    [(7, 3)]
    >>> [x.shape for x in example_inputs(SoftmaxWithLoss())]
    [(7, 5), (7,)]
    """
    rng = np.random.default_rng(rng)
    params = [p for p in getattr(layer, "params", None) or () if isinstance(p, np.ndarray)]
    widths = list(dict.fromkeys(n for p in params for n in p.shape)) or [5]
    shapes = (
        [(7, D) for D in widths]
        + [(5, 3, D) for D in widths]
        + [(5, D, 7, 11) for D in [p.shape[1] for p in params if p.ndim == 4] + [3]]
    )
    rows = params[0].shape[0] if params and params[0].ndim == 2 else 5
    images = any(p.ndim == 4 for p in params)
    candidates = [(s,) for s in (shapes[::-1] if images else shapes)]
    candidates += [
        ("ids",),
        *itertools.product(shapes, ("labels",)),
        *((s, "same") for s in shapes),
        *((s, "bits") for s in shapes),
        ((3, 5), (5, 2)),
        *((s, (7, H)) for s in shapes[:1] for H in widths),
        *((s, "same", "same") for s in shapes),
    ]

    def made(kind, first):
        if kind == "ids":
            return rng.integers(0, max(2, rows // 2), size=(7, 3))
        if kind == "labels":
            return np.resize(np.arange(min(3, first.shape[-1])), first.shape[:-1])
        if kind == "bits":
            return (rng.random(first.shape) < 0.5).astype(int)
        return rng.normal(size=first.shape if kind == "same" else kind)

    for kinds in candidates:
        with contextlib.suppress(Exception), quiet():
            inputs = []
            for kind in kinds:
                inputs.append(made(kind, inputs[0] if inputs else None))
            copy, = float64_copy(layer)
            if np.isfinite(np.asarray(copy.forward(*(x.copy() for x in inputs)), float)).all():
                return tuple(inputs)
    raise ValueError(
        f"example_inputs: {type(layer).__name__} accepted none of the usual inputs; pass your own to check_gradients"
    )
