"""Trainings on a copy: the model, the optimizer and the generators stay as they are."""
import copy
import math
import time
from itertools import chain, islice

import numpy as np

from ..common.layer import evaluation, held, reset_states
from .batches import batches as minibatches
from .clipping import clip_gradients


class Case:
    """A training before it begins: inputs, a tuple, targets, options of fit, and copies."""

    def __init__(self, trainer, x, t, options):
        self.trainer, self.options = trainer, dict(options)
        self.function = self.options.get("batches")
        if x is None and self.function is not None:
            x, t = joined(self.function)
        self.x = tuple(map(np.asarray, x)) if isinstance(x, tuple) else (np.asarray(x),)
        self.t = np.asarray(t)
        self.epochs = int(options.get("epochs", 10))
        self.batch_size = int(options.get("batch_size", 32))
        self.origin = copy.deepcopy((trainer.model, trainer.optimizer))
        self.validation = None
        if options.get("validation_data") is not None:
            x, t = options["validation_data"]
            inputs = x if isinstance(x, tuple) else (x,)
            self.validation = tuple(map(np.asarray, inputs)), np.asarray(t)
        elif options.get("validation_split"):
            last = last_share(self.t, options["validation_split"])
            self.validation = tuple(a[last] for a in self.x), self.t[last]
            self.x, self.t = tuple(a[~last] for a in self.x), self.t[~last]

    @property
    def steps_per_epoch(self):
        if self.function is not None:
            return max(1, self.options.get("steps_per_epoch") or self.counted)
        return max(1, -(-len(self.t) // self.batch_size))

    @property
    def counted(self):
        with unchanged(self.function):
            return sum(1 for _ in islice(self.function(), 10_000))

    def sample(self, n=256):
        """Inputs and targets of n samples at random, the same at each call."""
        rows = np.random.default_rng(0).permutation(len(self.t))[:n]
        return tuple(a[rows] for a in self.x), self.t[rows]

    def trial(self, **changes):
        return Trial(self, **changes)


class Trial:
    """A training of a copy: ``rate`` times its learning rate, other data or batches if given."""

    def __init__(self, case, rate=1.0, x=None, t=None, batch_size=None, prepare=None):
        self.model, self.optimizer = copy.deepcopy(case.origin)
        self.case, self.losses = case, []
        self.x, self.t = case.x if x is None else x, case.t if t is None else t
        self.function = case.function if x is None and batch_size is None else None
        self.batch_size = batch_size or case.batch_size
        lr = getattr(self.optimizer, "lr", None)
        if rate != 1.0 and lr is not None:
            self.optimizer.lr = (lambda step: rate * lr(step)) if callable(lr) else rate * lr
        if prepare is not None:
            prepare(self.model)

    def run(self, steps, seconds=math.inf, each=None):
        """The losses of steps, until the number or the time is over or one is not finite."""
        end, bound = time.process_time() + seconds, self.case.options.get("max_grad_norm")
        model, made = self.model, 0
        with np.errstate(all="ignore"):
            while made < steps and time.process_time() < end:
                reset_states(model)
                for batch in self.epoch():
                    loss = float(model.forward(*batch))
                    self.losses.append(loss)
                    if not math.isfinite(loss):
                        return self.losses
                    model.backward()
                    if bound is not None:
                        clip_gradients(model.grads, bound)
                    if each is not None:
                        each(self)
                    try:
                        self.optimizer.update(model.params, model.grads)
                    except FloatingPointError:
                        self.losses.append(math.inf)
                        return self.losses
                    made += 1
                    if made >= steps or time.process_time() >= end:
                        break
        return self.losses

    def epoch(self):
        """The batches of an epoch, in an order that is the same for every trial."""
        if self.function is not None:
            with unchanged(self.function):
                yield from islice(self.function(), self.case.options.get("steps_per_epoch"))
        else:
            yield from minibatches(*self.x, self.t, batch_size=self.batch_size,
                                   rng=len(self.losses))

    def loss(self, x, t):
        """The loss of samples in evaluation mode; infinite where it cannot be had."""
        total = 0.0
        with evaluation(self.model), np.errstate(all="ignore"):
            for i in range(0, len(t), 256):
                batch = (*(a[i:i + 256] for a in x), t[i:i + 256])
                total += float(self.model.forward(*batch)) * len(batch[-1])
        return total / len(t) if math.isfinite(total) else math.inf


def last_share(t, share):
    """Which samples validation_split takes: the last ones, of labels the last of each class."""
    last = np.zeros(len(t), bool)
    labelled = t.ndim == 1 and t.dtype.kind in "iub"
    for c in np.unique(t) if labelled else [None]:
        rows = np.flatnonzero(t == c) if labelled else np.arange(len(t))
        last[rows[len(rows) - round(share * len(rows)):]] = True
    return last


class unchanged:
    """``with unchanged(function):`` the random generators that a function of the user's holds
    are afterwards as they were before."""

    def __init__(self, *functions):
        self.generators = [g for function in functions if function is not None
                           for g in generators(function)]

    def __enter__(self):
        self.before = [copy.deepcopy(g.bit_generator.state) for g in self.generators]

    def __exit__(self, *error):
        for g, state in zip(self.generators, self.before):
            g.bit_generator.state = state


def generators(function):
    """The generators in a function's closure, defaults and globals, in a partial or an object."""
    code = getattr(function, "__code__", None)
    cells = (cell.cell_contents for cell in getattr(function, "__closure__", None) or ())
    known = getattr(function, "__globals__", {})
    named = (known[name] for name in (code.co_names if code else ()) if name in known)
    inner = getattr(function, "func", None), getattr(function, "__self__", None)
    kept = getattr(function, "args", ()), (getattr(function, "keywords", None) or {}).values()
    for value in chain(cells, named, getattr(function, "__defaults__", None) or (), *kept, inner,
                       vars(function).values() if hasattr(function, "__dict__") else ()):
        if isinstance(value, np.random.Generator):
            yield value


def joined(function, most=2000):
    """Inputs and targets of the first batches that a function yields, as (x, t)."""
    with unchanged(function):
        parts, count = [], 0
        for batch in function():
            parts.append(tuple(map(np.asarray, batch)))
            count += len(parts[-1][0])
            if count >= most or parts[-1][0].shape[1:] != parts[0][0].shape[1:]:
                break
    parts = [p for p in parts if all(a.shape[1:] == b.shape[1:] for a, b in zip(p, parts[0]))]
    *x, t = map(np.concatenate, zip(*parts))
    return tuple(x), t


def outputs(model, x, t):
    """What a model makes of inputs x, in evaluation mode, or None."""
    parts = []
    with evaluation(model), np.errstate(all="ignore"):
        for i in range(0, len(t), 256):
            inputs = tuple(a[i:i + 256] for a in x)
            if hasattr(model, "loss_of"):
                y = model.forward(*inputs)
            else:
                model.forward(*inputs, t[i:i + 256])
                y = getattr(model, "output", None)
            if not isinstance(y, np.ndarray):
                return None
            parts.append(np.array(y))
    return np.concatenate(parts) if all(p.shape[1:] == parts[0].shape[1:] for p in parts) else None


class Watch:
    """What the layers of a model take, make and get back, kept by the path of each layer."""

    def __init__(self, model):
        self.layers, self.taken, self.made, self.back, self.first = {}, {}, {}, {}, None
        for path, layer in held(model):
            if layer is model or getattr(layer, "layers", None):
                continue
            self.layers[path] = layer
            self.wrap(path, layer)
        loss = getattr(model, "loss", None)
        if loss is not None and hasattr(loss, "forward"):
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
        if self.first is None and isinstance(value, (np.ndarray, float, np.floating)):
            a = np.asarray(value)
            if a.dtype.kind == "f" and not np.isfinite(a).all():
                self.first = f"the {which} of {named(path, layer)}"


def named(path, layer):
    """What a layer is called in a report."""
    kind = type(layer).__name__
    return f"layer {path} ({kind})" if path[:1].isdigit() else kind if path == "loss" else path
