"""Checks of what a Trainer is given, before it trains."""
import inspect
import math
from contextlib import contextmanager
from itertools import chain, islice

import numpy as np

from ..common import checks, freezing
from ..common.rng import generator
from . import answers, data
from .answers import FIT, ask
from .batches import batches as minibatches
from .batches import samples

COLUMNS = {"epoch", "step", "loss", "lr", "grad_norm"}       # of the history, beside the metrics
NAMES = 'a dict gives names, as in metrics={"top_1": f, "top_5": g}'
PAIR = "train_test_split makes it; several inputs are a tuple, as in ((x, t, x_mask), t_mask)"


class Fit:
    """The arguments of ``Trainer.fit``, checked. An epoch has ``per_epoch`` batches, if known."""

    validation_weight = weight = augment = None

    def __init__(self, model, x, t, epochs, batch_size, validation_data, max_grad_norm, callbacks,
                 rng, batches, accumulate, progress, drop_last, steps_per_epoch, validation_split,
                 class_weight, sample_weight, augment):
        self.epochs = checks.count(FIT, "epochs", epochs)
        self.accumulate = checks.count(FIT, "accumulate", accumulate)
        self.progress = checks.flag(FIT, "progress", progress)
        self.callbacks = functions(FIT, "callbacks", callbacks, "[function]")
        self.validation_data = validation(validation_data)
        self.max_grad_norm = max_grad_norm
        if max_grad_norm is not None:
            checks.number(FIT, "max_grad_norm", max_grad_norm, low=math.ulp(0.0),
                          expected="be a positive number or None")
        drop_last = checks.flag(FIT, "drop_last", drop_last)
        if (batches is None) == (x is None):
            raise ValueError(f"{FIT}: takes either x and t or batches=, "
                             "a function that yields an epoch's batches")
        if class_weight is not None or sample_weight is not None:
            weighable(FIT, model)
        if batches is None:
            rng = generator(FIT, rng)
            arrays = self.samples(x, t, validation_split, class_weight, sample_weight)
            made = from_arrays(arrays, batch_size, rng, drop_last, steps_per_epoch)
        else:
            without(t=t, batch_size=batch_size, rng=rng if augment is None else None,
                    drop_last=drop_last, validation_split=validation_split,
                    sample_weight=sample_weight)
            made = from_function(batches, steps_per_epoch)
            if class_weight is not None:
                self.weight = lambda batch: (batch, data.class_weights(class_weight, batch[-1]))
        self.batches, self.per_epoch = made
        if augment is not None:
            self.augment = data.Augment(augment, generator(FIT, rng))

    def samples(self, x, t, validation_split, class_weight, sample_weight):
        """Inputs, targets and, if any, weights of rows."""
        arrays, weight = scanned(x, t), None
        if sample_weight is not None:
            weight = data.sample_weights(FIT, sample_weight, len(arrays[-1]))
        if validation_split is not None:
            if self.validation_data is not None:
                raise ValueError(f"{FIT}: takes either validation_data or validation_split")
            aside = data.set_aside(arrays[-1], validation_split)
            *x, t = (a[aside] for a in arrays)
            self.validation_data = tuple(x) if len(x) > 1 else x[0], t
            arrays = [a[~aside] for a in arrays]
            if weight is not None:
                self.validation_weight, weight = weight[aside], weight[~aside]
        if class_weight is not None:
            weight = data.product(weight, data.class_weights(class_weight, arrays[-1]))
            ask(weight.any(), FIT, "class_weight", "let some samples weigh more than 0",
                class_weight, data.CLASSES, ValueError)
        if weight is None:
            return arrays
        self.weight = lambda batch: (batch[:-1], batch[-1])
        return [*arrays, weight]

    def prepared(self, batches):
        """Each batch as the model gets it: (inputs and targets, weights of rows by name)."""
        for batch in batches:
            named = {}
            if self.weight is not None:
                batch, named["weight"] = self.weight(batch)
            yield batch if self.augment is None else self.augment(batch), named

    def groups(self, epoch):
        """The batches of an epoch, ``accumulate`` at a time, each drawn when it is needed."""
        batches = self.prepared(islice(answers.batches(self.batches, epoch), self.per_epoch))
        for first in batches:
            yield chain([first], islice(batches, self.accumulate - 1))


def from_arrays(arrays, batch_size, rng, drop_last, steps_per_epoch):
    """A function that yields an epoch's batches of x and t, and their number."""
    N, B = len(arrays[0]), checks.count(FIT, "batch_size", batch_size)
    if steps_per_epoch is not None:
        raise ValueError(f"{FIT}: steps_per_epoch belongs to batches=; "
                         "of x and t an epoch takes every sample")
    if drop_last and N < B:
        raise ValueError(f"{FIT}: drop_last leaves none of the {N} samples: batch_size is {B}")
    number = N // B if drop_last else -(-N // B)
    return lambda: minibatches(*arrays, batch_size=B, rng=rng), number


def weighable(who, model):
    """Refuse weights of samples for a model whose forward takes none."""
    ask(data.takes(model.forward, "weight"), who, f"the forward of {type(model).__name__}",
        "take the weights of samples", "none", "they come by name: forward(x, t, weight=None)")


def from_function(batches, steps_per_epoch):
    """The user's function that yields batches, and their number, or None."""
    called = callable(batches) and not hasattr(batches, "forward") and checks.fitting(batches, ())
    ask(called, FIT, "batches", "be a function of no arguments that yields an epoch's batches",
        batches, answers.BATCHES)
    if steps_per_epoch is not None:
        steps_per_epoch = checks.count(FIT, "steps_per_epoch", steps_per_epoch)
    return batches, steps_per_epoch


def without(batch_size, **others):
    """Refuse arguments that belong to x where ``batches`` replaces it."""
    if batch_size.__class__ is not int or batch_size != 32:
        others["batch_size"] = batch_size
    for name, value in others.items():
        ask(value is None or value is False, FIT, name, "be left out beside batches=", value,
            "each batch is a tuple (x, ..., t) and comes as the function yields it", ValueError)


def scanned(x, t, x_name="x", t_name="t", who=FIT):
    """Inputs and targets as a flat tuple of finite arrays."""
    names, arrays = flat(who, x, t, x_name, t_name)
    for name, a in zip(names, arrays):
        checks.finite(who, name, a)
    return arrays


def flat(who, x, t, x_name="x", t_name="t"):
    """The names of inputs and targets, and these as arrays of the same samples."""
    if t is None:
        raise TypeError(f"{who}: {t_name} is missing; the targets of x are needed for a loss")
    several = isinstance(x, tuple)
    if several and any(isinstance(a, (tuple, int, float)) for a in x):
        raise TypeError(checks.wrong(
            who, x_name, "be an array", "a tuple of rows", "a tuple stands for several inputs; "
            f"of rows make one array: {x_name}=np.array({x_name})"))
    if isinstance(x, list) and len(x) != len(t) and any(
            isinstance(a, np.ndarray) and a.shape[:1] == np.shape(t)[:1] for a in x):
        raise TypeError(checks.wrong(
            who, x_name, "be an array, or a tuple of several inputs", f"a list of {len(x)} arrays",
            f"several inputs are a tuple: {x_name}=tuple({x_name})"))
    inputs = {f"{x_name}[{i}]": a for i, a in enumerate(x)} if several else {x_name: x}
    ask(inputs, who, x_name, "hold at least one input", x)
    inputs[t_name] = t
    return inputs, samples(who, **inputs)


def validation(data):
    if pair(FIT, data):
        scanned(*data, "validation x", "validation t")
    return data


def pair(who, data):
    is_pair = isinstance(data, (tuple, list)) and len(data) == 2
    ask(data is None or is_pair, who, "validation_data", "be (x, t)", data, PAIR)
    return data


@contextmanager
def frozen(model, layers):
    """Freeze layers, given or named, in a ``with`` block, which gets the paths of those frozen
    before; None if nothing is to be."""
    layers = layers if isinstance(layers, (list, tuple)) else [layers]
    if not layers:
        yield None
        return
    ask(hasattr(model, "freeze"), FIT, "freeze", "go with a model that can freeze its layers",
        type(model), "as Sequential and Graph can")
    before = freezing.frozen(model)
    try:
        model.freeze(*layers)
        if len(set(model.params.frozen)) == len(model.params):
            raise ValueError(f"{FIT}: freeze leaves no layer that learns")
        yield before
    finally:
        freezing.freeze_exactly(model, before)


def parts(model, optimizer):
    for name, value, method in (("model", model, "forward"), ("optimizer", optimizer, "update")):
        is_class, hint = isinstance(value, type), "Trainer(model, optimizer) is the order"
        if is_class:
            hint = f"make one: {value.__name__}(...)"
        ask(hasattr(value, method) and not is_class, "Trainer", name,
            f"be an object with {method}", value, hint)


def functions(who, name, given, example):
    """A list or tuple of functions, as a tuple."""
    hint = f"as in {name}={example}"
    ask(isinstance(given, (list, tuple)), who, name, "be a list or tuple of functions", given, hint)
    for i, function in enumerate(given):
        ask(callable(function) and not isinstance(function, type), who, f"{name}[{i}]",
            "be a function", function, hint)
    return tuple(given)


def named(metrics):
    """The metrics by their names in the history."""
    by_key = isinstance(metrics, dict)
    given = functions("Trainer", "metrics", list(metrics.values()) if by_key else metrics,
                      "(accuracy,)")
    names = list(metrics) if by_key else [name_of(metric) for metric in given]
    for i, name in enumerate(names):
        ask(isinstance(name, str), "Trainer", "metrics", "have names for keys", name, NAMES)
        first = names.index(name)
        if first < i:
            raise ValueError(checks.wrong(
                "Trainer", f"metrics[{first}] and metrics[{i}]", "have two names in the history",
                f"{name!r} for both", NAMES))
        ask(name not in COLUMNS and not name.startswith("val_"), "Trainer", f"metrics[{i}]",
            "have a name that the history has no other use for", name, NAMES, ValueError)
    return dict(zip(names, given))


def name_of(function):
    """The name of a function, or of the one inside a functools.partial."""
    function = getattr(function, "func", function)
    return getattr(function, "__name__", type(function).__name__)


def examined(who, trainer, x, t, options):
    """Refuse arguments with which no step can be made; faults in the data are the doctor's."""
    ask(all(hasattr(trainer, name) for name in ("model", "optimizer", "fit")), who, "trainer",
        "be a Trainer", trainer)
    for name in options:
        ask(data.takes(trainer.fit, name), who, "arguments", "be those of Trainer.fit", name,
            ", ".join(inspect.signature(trainer.fit).parameters))
    for name in ("epochs", "batch_size", "accumulate"):
        checks.count(who, name, options.get(name, 1))
    given = {"": (x, t), "validation ": pair(who, options.get("validation_data")) or (x, t)}
    if options.get("batches") is not None:
        from_function(options["batches"], options.get("steps_per_epoch"))
        return
    for part, (inputs, targets) in given.items():
        for name, a in zip(*flat(who, inputs, targets, f"{part}x", f"{part}t")):
            if a.dtype.kind not in "fiub":
                raise TypeError(checks.wrong(who, name, "be an array of numbers",
                                             checks.kind_text(a, a)))
