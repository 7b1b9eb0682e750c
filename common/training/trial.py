"""Trainings on a copy: the model, the optimizer and the generators stay as they are."""
import copy
import math
import time
from contextlib import contextmanager
from itertools import islice

import numpy as np

from ..common.layer import evaluation, held, is_model
from . import answers, data
from .arguments import flat
from .history import History
from .state import generators

# What a trial does without: it is judged from outside.
OUTSIDE = {"epochs", "validation_data", "validation_split", "callbacks", "progress", "rng"}


class Case:
    """A training before it begins: inputs, a tuple, targets, options and copies."""

    def __init__(self, trainer, x, t, options):
        self.trainer, self.options, self.validation = trainer, dict(options), None
        self.function = self.options.get("batches")
        if x is None:
            x, t = joined(self.batches())
        self.x, self.t = arrays_of(x, t)
        weight = self.options.get("sample_weight")
        self.weight = None if weight is None else np.asarray(weight)
        self.epochs = int(options.get("epochs", 10))
        self.batch_size = int(options.get("batch_size", 32))
        self.origin = copy.deepcopy((trainer.model, trainer.optimizer, options.get("freeze", ()),
                                     options.get("rng")))
        if options.get("validation_data") is not None:
            x, t = options["validation_data"]
            self.validation = arrays_of(x, t)
        elif options.get("validation_split") is not None:
            aside = data.set_aside(self.t, options["validation_split"])
            self.validation = at(aside, self.x, self.t)
            self.x, self.t = at(~aside, self.x, self.t)
            self.weight = None if self.weight is None else self.weight[~aside]

    @property
    def steps(self):
        """Updates in the whole training."""
        batches = -(-len(self.t) // self.batch_size)
        if self.function is not None:
            batches = self.options.get("steps_per_epoch") or sum(1 for _ in self.batches())
        elif self.options.get("drop_last"):
            batches = len(self.t) // self.batch_size
        return self.epochs * max(1, -(-batches // int(self.options.get("accumulate", 1))))

    def batches(self):
        """The first batches that the user's function yields."""
        with unchanged(self.function):
            yield from islice(answers.batches(self.function, 1),
                              self.options.get("steps_per_epoch") or 10_000)

    def sample(self, n=256):
        return sampled(n, self.x, self.t)

    def trial(self, **changes):
        return Trial(self, **changes)


def arrays_of(x, t):
    *x, t = flat("preflight", x, t)[1]
    return tuple(x), t


def at(rows, x, t):
    return tuple(a[rows] for a in x), t[rows]


def sampled(n, x, t, seed=0):
    """Inputs and targets of n samples at random, the same at each call."""
    return at(np.random.default_rng(seed).permutation(len(t))[:n], x, t)


def parts(x, t):
    """Inputs and targets in batches (x, ..., t)."""
    return ((*(a[i:i + 256] for a in x), t[i:i + 256]) for i in range(0, len(t), 256))


class Trial:
    """The very steps of ``fit``, of a copy, perhaps with changes: ``rate`` times the learning rate,
    other x or t, some ``rows`` only, a model that ``prepare`` changes, options."""

    def __init__(self, case, rate=1.0, x=None, t=None, rows=None, prepare=None, **options):
        self.model, self.optimizer, frozen, self.rng = copy.deepcopy(case.origin)
        self.case = case
        given = {name: v for name, v in case.options.items() if name not in OUTSIDE}
        if x is not None or rows is not None or "batch_size" in options:
            given |= {"batches": None, "steps_per_epoch": None, "drop_last": False}
        rows = slice(None) if rows is None else rows
        self.x, self.t = at(rows, case.x if x is None else x, case.t if t is None else t)
        if case.weight is not None:
            given["sample_weight"] = case.weight[rows]
        self.options = given | {"freeze": frozen} | options
        lr = getattr(self.optimizer, "lr", None)
        if rate != 1.0 and lr is not None:
            self.optimizer.lr = (lambda step: rate * lr(step)) if callable(lr) else rate * lr
        if prepare is not None:
            prepare(self.model)

    def run(self, steps, seconds=math.inf):
        """The losses of steps, until number or time is over or one is not finite."""
        trainer, options = copy.copy(self.case.trainer), self.options
        trainer.model, trainer.optimizer, trainer.metrics = self.model, self.optimizer, {}
        trainer.comm, trainer.resumed, trainer.history = None, None, History()
        given = {}
        if options.get("batches") is None:
            given = {"x": self.x if len(self.x) > 1 else self.x[0], "t": self.t}
        if given or options.get("augment") is not None:
            given["rng"] = 0 if self.rng is None else self.rng
        ended = []
        try:
            with aside(options):
                trainer.fit(**given, **options, epochs=steps, progress=False,
                            callbacks=[Until(steps, seconds)])
        except Enough:
            pass
        except FloatingPointError:
            ended = [math.inf]
        self.losses = [*trainer.history.steps.get("loss", ()), *ended]
        return self.losses

    def loss(self, x, t):
        """The loss of samples in evaluation mode; infinite where it cannot be had."""
        with evaluation(self.model), np.errstate(all="ignore"):
            total = sum(float(self.model.forward(*batch)) * len(batch[-1]) for batch in parts(x, t))
        return total / len(t) if math.isfinite(total) else math.inf


class Enough(Exception):
    """Ends a trial."""


class Until:
    """Ends a trial after so many steps or seconds of the processor's time."""

    def __init__(self, steps, seconds):
        self.left, self.end = steps, time.process_time() + seconds

    def __call__(self, trainer):
        pass

    def after_step(self, trainer):
        self.left -= 1
        if self.left <= 0 or time.process_time() >= self.end:
            raise Enough


@contextmanager
def unchanged(*objects):
    """After this block the generators that these objects hold are as they were before."""
    found = generators(dict(enumerate(objects))).values()
    before = [rng.bit_generator.state for rng in found]
    try:
        yield
    finally:
        for rng, state in zip(found, before):
            rng.bit_generator.state = state


@contextmanager
def aside(options, model=None):
    """No warnings; afterwards the generators of model and functions are as they were."""
    functions = options.get("batches"), options.get("augment")
    with unchanged(model, *functions), np.errstate(all="ignore"):
        yield


def joined(batches):
    """Inputs and targets of the first batches, as (x, t)."""
    made, count = [], 0
    for batch in batches:
        made.append(tuple(map(np.asarray, batch)))
        count += len(made[-1][0])
        if count >= 2000 or made[-1][0].shape[1:] != made[0][0].shape[1:]:
            break
    made = [m for m in made if all(a.shape[1:] == b.shape[1:] for a, b in zip(m, made[0]))]
    *x, t = map(np.concatenate, zip(*made))
    return tuple(x), t


def outputs(model, x, t):
    """What a model makes of inputs x, in evaluation mode, or None."""
    made = []
    with evaluation(model):
        for *inputs, targets in parts(x, t):
            if is_model(model):
                y = model.forward(*inputs)
            else:
                model.forward(*inputs, targets)
                y = getattr(model, "output", None)
            if not isinstance(y, np.ndarray):
                return None
            made.append(np.array(y))
    return np.concatenate(made) if all(y.shape[1:] == made[0].shape[1:] for y in made) else None


class Watch:
    """What the layers of a model take, make and get back, by their paths."""

    def __init__(self, model):
        self.layers, self.taken, self.made, self.back, self.first = {}, {}, {}, {}, None
        for path, layer in held(model):
            if layer is model or getattr(layer, "layers", None):
                continue
            self.layers[path] = layer
            self.wrap(path, layer)
        loss = getattr(model, "loss", None)
        if hasattr(loss, "forward"):
            self.wrap("loss", loss)

    def wrap(self, path, layer):
        forward, backward = layer.forward, getattr(layer, "backward", None)

        def watched(*inputs, **named):
            y = forward(*inputs, **named)
            self.taken[path], self.made[path] = inputs[0] if inputs else None, y
            self.look(path, layer, "output", y)
            return y

        def returned(*douts, **named):
            dx = backward(*douts, **named)
            self.back[path] = (douts[0] if douts else None, dx)
            self.look(path, layer, "gradient", dx)
            return dx
        layer.forward = watched
        if backward is not None:
            layer.backward = returned

    def look(self, path, layer, which, value):
        """Note the first array that is not finite."""
        known = self.first is None and isinstance(value, (np.ndarray, float, np.floating))
        if known and not np.isfinite(value).all():
            self.first = f"the {which} of {named(path, layer)}"


def named(path, layer):
    kind = type(layer).__name__
    return f"layer {path} ({kind})" if path[:1].isdigit() else kind if path == "loss" else path
