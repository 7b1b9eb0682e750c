"""Which layer of a model is wrong, and which inputs to check a layer with."""
import contextlib
import itertools
from typing import Any

import numpy as np

from ..common.functions import softmax
from ..common.layer import reset_states
from ..common.rng import generator
from ..common.types import Array, Computes, Seed
from .check import MODEL, check_gradients, quiet
from .copying import float64_copy, paths, spoken
from .numerical import forwarding
from .report import GradientReport
from .subject import leaves


def locate(model: Computes, *inputs: Any, rng: Seed = None) -> GradientReport:
    """The report on the first wrong layer of a model, in the order in which forward calls them; a
    true report if there is none.

    ``model`` is a chain or graph, or any object that holds layers; the arguments are those of its
    forward: ``locate(model, x, t)``. Each layer is checked alone, at the inputs that it gets there,
    so that no layer answers for another one. If all of them are right and the model is not, the
    report is on the model: the way in which it joins them is wrong. ``report.name`` says which
    layer.

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
    forwarding("locate", model)
    rng = generator("locate", rng)
    originals = leaves(model)
    with quiet():
        (copy,) = float64_copy(model)
        calls: list[Any] = []
        for i, layer in enumerate(leaves(copy)):
            # an object with slots cannot be listened to
            with contextlib.suppress(AttributeError):
                layer.forward = listener(layer.forward, i, calls)
        with contextlib.suppress(Exception):
            copy.forward(*(np.array(x) if isinstance(x, np.ndarray) else x for x in inputs))
    where = paths(model)
    for i, given in calls:
        layer = originals[i]
        report = check_gradients(layer, *given, rng=rng)
        if not report.ok and report.codes != ["uninformative"]:
            place = f"{spoken(where.get(id(layer), 'a layer'))} ({report.name})"
            return GradientReport(place, report.findings, report.notes, report.checked)
    report = check_gradients(model, *inputs, rng=rng)
    report.notes = [note for note in report.notes if note != MODEL]
    return report


def listener(forward, i, calls):
    def listening(*inputs):
        calls.append((i, [np.array(x) if isinstance(x, np.ndarray) else x for x in inputs]))
        return forward(*inputs)

    return listening


def example_inputs(layer: Computes, rng: Seed = None) -> tuple[Array, ...]:
    """Inputs for ``check_gradients`` that show mistakes: a tuple of arrays that the layer accepts.

    Sizes are distinct primes, so that a wrong transpose fails by its shape; there are seven
    samples, for two would confuse factor 2 with N; ids and labels repeat; images are larger than
    any window, so that windows overlap, or as large as a model wants them, up to 28 x 28. The
    candidates are tried on a copy. Raises ValueError if the layer takes none of them, TypeError if
    it is none.

    >>> from chainrule.layers import Affine, SoftmaxWithLoss
    >>> [x.shape for x in example_inputs(Affine.init(3, 4))]
    [(7, 3)]
    >>> [x.shape for x in example_inputs(SoftmaxWithLoss())]
    [(7, 5), (7,)]
    """
    rng = generator("example_inputs", rng)
    params = [p for p in getattr(forwarding("example_inputs", layer), "params", None) or ()
              if isinstance(p, np.ndarray)]
    kernels, groups = [p for p in params if p.ndim > 2], getattr(layer, "groups", 1)
    rows = params[0].shape[0] if params and params[0].ndim == 2 else 5
    widths = list(dict.fromkeys(n for p in params for n in p.shape)) or [5]
    channels = list(dict.fromkeys([n for p in kernels for n in (p.shape[1] * groups,
            len(p))] + [3]))
    vectors: list[Any] = [(7, D) for D in widths] + [(5, 3, D) for D in widths]
    images = [(5, C, 7, 11) for C in channels] + [(5, C, 13) for C in channels[:-1]]
    large = [(3, channels[0], *size) for size in [(17, 19)] + [(n, n) for n in range(5, 29)]]
    usual = images + vectors if kernels else vectors + images
    draws: dict[str, Any] = {"normal": lambda shape: rng.normal(size=shape),
                             "positive": lambda shape: rng.uniform(0.5, 2, shape),
                             "shares": lambda shape: softmax(rng.normal(size=shape)),
                             "ids": lambda shape: rng.integers(0, max(2, rows // 2), shape),
                             "bits": lambda shape: rng.integers(0, 2, shape),
                             "labels": lambda shape: np.resize(np.arange(min(3, shape[-1])),
            shape[:-1])}
    candidates: list[Any] = [  # what each input is, and its shape; a single one is that of all
        *itertools.product(["normal"], usual),
        ("ids", (7, 3)),
        *itertools.product(["normal labels", "normal normal", "normal bits"], usual),
        ("normal normal", (3, 5), (5, 2)),
        *(("normal normal", (7, widths[0]), (7, H)) for H in widths),
        *itertools.product(["normal normal normal"], usual),
        *(("normal normal normal", (7, widths[0]), (7, H), (7, H)) for H in widths),
        *itertools.product(["positive", "positive normal", "shares shares"], usual),
        ("ids ids", (7, 3), (7, 5)),
        *itertools.product(["normal"], large),
    ]
    (copy,) = float64_copy(layer)
    for kinds, *shapes in candidates:
        inputs = tuple(draws[kind](shape) for kind, shape in zip(kinds.split(),
                itertools.cycle(shapes)))
        with contextlib.suppress(Exception), quiet():
            reset_states(copy)
            if np.isfinite(np.asarray(copy.forward(*(x.copy() for x in inputs)), np.float64)).all():
                return inputs
            (copy,) = float64_copy(layer)  # the last one may have kept what is not finite
    raise ValueError(
        f"example_inputs: {type(layer).__name__} accepted none of the usual inputs; pass your own "
        f"to check_gradients"
    )
