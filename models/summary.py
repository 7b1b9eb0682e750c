"""What a model costs, layer by layer: sizes, work and time."""
import copy
import math
import time
from collections import namedtuple
from html import escape
from statistics import median

import numpy as np

from .. import layers
from ..common import checks
from ..common.layer import walk
from ..common.printing import printable
from ..common.types import Axes
from ..training.memory import arrays, nbytes

# shapes, and the layer's twin after the run
Observation = namedtuple("Observation", "inputs output layer")
Row = namedtuple("Row", "index layer output parameters cached multiply_adds")
Timing = namedtuple("Timing", "index layer forward backward cached multiply_adds share")


class Summary:
    """The table that ``model.summary(x)`` gives: text when printed, HTML in a notebook, numbers in
    ``rows`` and the totals.

    One row per layer; those of a model that is layer 3 are numbered 3.0, 3.1, ...:

    - output: the shape, for the batch that was given;
    - parameters: how many numbers it learns; an array that two layers share counts in the first;
    - cached: bytes that it keeps from forward to backward, but for parameters and what a layer
      above keeps too, such as an input;
    - multiply_adds: of one forward over the batch, in products of matrices and in convolutions;
      everything else, of far lower order, counts as 0.

    A dash: a layer did not run, or is of a class of your own without a method
    ``multiply_adds(*input_shapes, output_shape)``.

    >>> from chainrule.models import MLP
    >>> MLP([64, 32, 10], rng=0).summary(np.zeros((5, 64), np.float32))
    MLP on (5, 64)
    <BLANKLINE>
           layer    output   parameters  cached bytes  multiply-adds
    ----------------------------------------------------------------
    0      Flatten  (5, 64)           0             0              0
    1      Affine   (5, 32)       2,080         1,280         10,240
    2      ReLU     (5, 32)           0           640              0
    3      Affine   (5, 10)         330             0          1,600
    ----------------------------------------------------------------
    total                         2,410         1,920         11,840
    """

    words = 3  # columns of text, before those of numbers

    def __init__(self, title, rows):
        self.title, self.rows = title, rows
        self.parameters, self.cached, self.multiply_adds = (sum(n or 0 for n in column)
                                                            for column in self.columns())

    def columns(self):
        return list(zip(*self.rows))[3:]

    def cells(self):
        """The table as text, its first row the headings, its last the totals."""
        yield "", "layer", "output", "parameters", "cached bytes", "multiply-adds"
        for index, layer, output, *numbers in self.rows:
            yield (index, layer, "-" if output is None else str(output),
                   *("-" if n is None else f"{n:,}" for n in numbers))
        yield ("total", "", "", *(f"{'≥ ' * (None in column)}{sum(n or 0 for n in column):,}"
                                  for column in self.columns()))

    def __repr__(self):
        cells = list(self.cells())
        widths = [max(map(len, column)) for column in zip(*cells)]
        lines = ["  ".join(f"{c:<{w}}" if i < self.words else f"{c:>{w}}"
                           for i, (c, w) in enumerate(zip(row, widths))) for row in cells]
        rule = "-" * len(lines[0])
        return printable("\n".join([self.title, "", lines[0], rule, *lines[1:-1], rule, lines[-1]]))

    def _repr_html_(self):
        head, *body, total = self.cells()

        def line(cells, tag):
            sides = ["left"] * self.words + ["right"] * len(cells)
            return "<tr>" + "".join(f'<{tag} style="text-align: {side}">{escape(c)}</{tag}>'
                                    for c, side in zip(cells, sides)) + "</tr>"

        rows = [line(head, "th"), *(line(row, "td") for row in body), line(total, "th")]
        return f"<table><caption>{escape(self.title)}</caption>{''.join(rows)}</table>"


def summary(model, *inputs):
    """See ``Model.summary``: one forward in training mode, of a copy."""
    if not inputs:
        raise TypeError(
            f"{type(model).__name__}: summary takes an input, as in summary(x), for shapes and "
            "bytes depend on it; got none")
    seen = observe(model, inputs, training=True)
    every = list(numbered(model))
    counted = [p for _, layer in every for p in layer.params]  # memory that no cache adds to
    rows, listed = [], []
    for index, layer in every:
        new = [p for p in layer.params if not any(np.shares_memory(p, q) for q in listed)]
        listed += new
        count, name, ran = sum(p.size for p in new), type(layer).__name__, seen.get(id(layer))
        if ran:
            cost = multiply_adds(layer, *ran.inputs, output=ran.output)
            rows.append(Row(index, name, ran.output, count, cached(ran.layer, counted), cost))
        # others belong to the loss, and no targets were given
        elif layer.params:
            rows.append(Row(index, name, None, count, None, None))
    return Summary(f"{type(model).__name__} on {', '.join(str(np.shape(x)) for x in inputs)}", rows)


def numbered(model, prefix=""):
    """(number, layer) for every layer that is not a model itself; the loss at the end."""
    for i, layer in enumerate(model.layers):
        if getattr(layer, "layers", ()):
            yield from numbered(layer, f"{prefix}{i}.")
        else:
            yield f"{prefix}{i}", layer
    if hasattr(getattr(model, "loss", None), "forward"):
        yield f"{prefix}loss", model.loss


def observe(model, inputs, training=False):
    """Run a copy of the model; {id of each layer that ran: Observation}."""
    twin, pairs = twin_of(model, "params", "grads")
    twin.training = training
    seen = {}
    for layer, double in pairs:
        if hasattr(double, "__dict__"):
            watch(double, seen, id(layer))
    twin.forward(*(checks.as_array(x).copy() if isinstance(x, (np.ndarray, list, tuple)) else x
                   for x in inputs))
    return seen


def twin_of(model, *shared):
    """A copy of the model that shares the arrays in these lists, and the pairs (layer, its
    copy)."""
    originals = list(everything(model))
    memo = {id(a): a for layer in originals for name in shared for a in getattr(layer, name)}
    twin = copy.deepcopy(model, memo)
    return twin, list(zip(originals, everything(twin)))


def everything(model):
    for layer in walk(model):
        yield layer
        if hasattr(getattr(layer, "loss", None), "forward"):
            yield layer.loss


def watch(layer, seen, key):
    forward = layer.forward

    def watched(*inputs):
        y = forward(*inputs)
        seen[key] = Observation(tuple(map(shape, inputs)), shape(y), layer)
        return y

    layer.forward = watched


def shape(y):
    return tuple(map(shape, y)) if isinstance(y, tuple) else np.shape(y)


def cached(layer, counted):
    """The bytes that the caches of a layer and of those in it add to the arrays counted before;
    None without a cache."""
    caches = [inner.cache for inner in walk(layer) if hasattr(inner, "cache")]
    found = list(arrays(caches))
    total = nbytes(found, but=counted)
    counted += found
    return total if caches else None


# By the class that has the forward, given the layer and the shapes of output and inputs.
FORMULAS = {
    **dict.fromkeys(("Affine", "RNNCell", "LSTMCell", "GRUCell", "Recurrent", "Bidirectional"),
                    lambda layer, y, x, *more: math.prod(x[:-1]) * sum(
                        W.size for W in layer.params if W.ndim > 1)),
    **dict.fromkeys(("MatMul", "EmbeddingDot"), lambda layer, y, a, b=None: math.prod(y) * a[-1]),
    **dict.fromkeys(("Convolution", "Convolution1D"),
                    lambda layer, y, x: math.prod(y) * layer.params[0][0].size),
    "TransposedConvolution": lambda layer, y, x: math.prod(x) * layer.params[0][0].size,
    **dict.fromkeys(("Embedding", "PositionalEncoding"), lambda layer, y, x: 0),
    "Attention": lambda layer, y, q, k, v, mask=None: math.prod(q[:2]) * k[1] * (q[2] + v[2]),
    "MultiHeadAttention": lambda layer, y, q, k=None, mask=None: (
        2 * math.prod(q) * (q[2] + (k or q)[1]) + 2 * math.prod(k or q) * q[2]),
}


def multiply_adds(layer, *inputs, output):
    """How many a forward takes, given the shapes, or None if that is not known."""
    if hasattr(layer, "multiply_adds"):
        return layer.multiply_adds(*inputs, output)
    home = next((c for c in type(layer).__mro__ if "forward" in vars(c)), object)
    if not home.__module__.startswith(layers.__name__):
        return None
    if home.__name__ not in FORMULAS:
        return None if any(p.ndim > 1 for p in layer.params) else 0
    return FORMULAS[home.__name__](layer, output, *inputs)


class Profile(Summary):
    """The table that ``model.profile(x, t)`` gives: text when printed, HTML in a notebook, numbers
    in ``rows`` and the totals, a picture by ``plot``.

    One row per layer:

    - forward, backward: milliseconds, the median over the steps that were run;
    - cached, multiply_adds: as in a ``Summary``;
    - share: the part that the layer reached of the rate at which this machine multiplies large
      matrices (``rate``, multiply-adds per second, one thread); backward counts twice. A dash: it
      has none, and moves memory. A convolution of 3 x 3 may reach more than 100 %, since compiled
      loops take fewer (common/engine/winograd.py).

    What happens between the layers, such as the sums of a Graph's nodes, is in no row.
    """

    words = 2

    def __init__(self, title, rows, rate):
        self.title, self.rows, self.rate = title, rows, rate
        self.forward, self.backward = (sum(getattr(r, name) for r in rows)
                                       for name in ("forward", "backward"))

    def cells(self):
        yield ("", "layer", "forward ms", "backward ms", "cached bytes", "multiply-adds",
               "share of BLAS")
        for r in self.rows:
            yield (r.index, r.layer, f"{r.forward:.3f}", f"{r.backward:.3f}", *(
                "-" if n is None else f"{n:,}" for n in (r.cached, r.multiply_adds)),
                "-" if r.share is None else f"{r.share:.0%}")
        yield ("total", "", f"{self.forward:.3f}", f"{self.backward:.3f}", *(
            f"{sum(getattr(r, name) or 0 for r in self.rows):,}"
            for name in ("cached", "multiply_adds")), "")

    def plot(self, ax: Axes | None = None) -> Axes:
        """A bar for each layer, forward and backward, in milliseconds."""
        import matplotlib.pyplot as plt
        if ax is None:
            _, ax = plt.subplots(figsize=(6, 0.8 + 0.25 * len(self.rows)), layout="constrained")
        places = range(len(self.rows))
        forward = [r.forward for r in self.rows]
        ax.barh(places, forward, label="forward")
        ax.barh(places, [r.backward for r in self.rows], left=forward, label="backward")
        ax.set_yticks(places, [f"{r.index} {r.layer}" for r in self.rows])
        ax.invert_yaxis()
        ax.set_xlabel("milliseconds a step")
        ax.legend()
        return ax


def profile(model, *inputs, steps=5):
    """See ``Model.profile``: steps of a copy, in training mode."""
    who = f"{type(model).__name__}.profile"
    steps = checks.count(who, "steps", steps)
    if len(inputs) < 2 or getattr(model, "loss", None) is None:
        loss = " and no loss" if getattr(model, "loss", None) is None else ""
        raise TypeError(f"{who}: takes inputs and targets, as in profile(x, t), of a model with a "
                        f"loss; got {len(inputs)} arrays{loss}")
    summed = model.summary(*inputs)
    twin, pairs = twin_of(model, "params")
    twin.training = True
    spent = {}
    for original, double in pairs:
        for way in "forward", "backward":
            if double is not twin and hasattr(double, "__dict__"):
                setattr(double, way, timed(getattr(double, way), spent, (id(original), way)))
    for _ in range(1 + steps):
        twin.forward(*inputs)
        twin.backward()
    rate, rows = blas_rate(), []
    layers = dict(numbered(model))
    for row in summed.rows:
        forward, backward = (1e3 * median(spent.get((id(layers[row.index]), way), [0.0])[-steps:])
                             for way in ("forward", "backward"))
        macs = row.multiply_adds or None
        share = macs and 3 * macs / ((forward + backward) / 1e3 or np.inf) / rate
        rows.append(Timing(row.index, row.layer, forward, backward, row.cached, row.multiply_adds,
                        share))
    return Profile(f"{summed.title}, a step", rows, rate)


def timed(function, spent, key):
    def run(*inputs, **named):
        start = time.perf_counter()
        try:
            return function(*inputs, **named)
        finally:
            spent.setdefault(key, []).append(time.perf_counter() - start)
    return run


def blas_rate(n=512):
    """Multiply-adds per second of products (n, n) x (n, n) in float32, one thread."""
    from ..common.engine import threads
    a, best = np.ones((n, n), np.float32), np.inf
    with threads.one_thread():
        for _ in range(5):
            start = time.perf_counter()
            a.dot(a)
            best = min(best, time.perf_counter() - start)
    return n ** 3 / best
