"""The training loop."""
import math
from itertools import islice

import numpy as np

from ..common import checks
from ..common.layer import evaluation, reset_states
from ..common.metrics import accuracy, parts
from ..common.rng import generator
from . import arguments
from .batches import batches as minibatches
from .clipping import clip_gradients
from .history import History


class Trainer:
    """Trains a model: the three lines of a step, for every mini-batch of every epoch, and a record of what happened.

    - model: anything with ``forward(x, t)`` -> loss, ``backward()``, ``params`` and ``grads``;
    - optimizer: anything with ``update(params, grads)``;
    - metrics: functions of (output, target) that return a number, computed over all samples of an epoch; in a list, or
      in a dict that names them: ``metrics={"top_1": f, "top_5": g}``. They need a model that keeps
      its last ``output``, as Sequential and Graph do. Accuracy, top_k_accuracy and perplexity are added up batch by
      batch; for any other one an epoch's outputs are kept. ``metrics=()`` for a model whose output is no scores of
      classes.

    >>> from chainrule.datasets import make_spiral
    >>> from chainrule.models import TwoLayerNet
    >>> from chainrule.optimizers import SGD
    >>> x, t = make_spiral(rng=0)
    >>> trainer = Trainer(TwoLayerNet(2, 10, 3, rng=0), SGD(lr=1.0))
    >>> history = trainer.fit(x, t, epochs=20, batch_size=30, rng=0, progress=False)
    >>> history["loss"][-1] < history["loss"][0]
    True
    >>> sorted(trainer.evaluate(x, t))
    ['accuracy', 'loss']
    """

    def __init__(self, model, optimizer, metrics=(accuracy,)):
        arguments.parts(model, optimizer)
        self.model, self.optimizer = model, optimizer
        self.metrics = arguments.named(metrics)
        self.history = History()

    def fit(self, x=None, t=None, epochs=10, batch_size=32, validation_data=None, max_grad_norm=None, callbacks=(), rng=None,
            batches=None, accumulate=1, progress=True, drop_last=False, steps_per_epoch=None):
        """Train for ``epochs`` passes over the samples, shuffled anew each time, and return the History of it.

        x: an array of samples or, for a model of several inputs, a tuple of them; t: their targets. Of several targets
            all but the last stand in x, behind the inputs: ``fit((x, t1), t2)``.
        batch_size: samples per mini-batch; the last one of an epoch may be smaller.
        validation_data: (x, t), evaluated after each epoch; x may be a tuple, as in ((x, t, x_mask), t_mask).
        max_grad_norm: gradients are clipped to this norm (see clip_gradients).
        callbacks: functions called after each epoch with this trainer; one that returns True ends the training.
        rng: a Generator, a seed or None, for the shuffling.
        batches: in place of x and t a function that yields an epoch's batches in order, each a tuple (x, ..., t). It
            is called anew for each epoch: ``batches=lambda: text_batches(ids)``.
        accumulate: batches per update; gradients are averaged over their samples, as if they were one batch.
        progress: show a progress bar.
        drop_last: leave out what is left of the samples at the end of an epoch, where it fills no batch.
        steps_per_epoch: how many of the batches that ``batches`` yields make an epoch, if it yields them without end.

        Raises ValueError for NaN or infinities in the data, for data of different lengths, for epochs or batch_size
        that are not positive, for t, batch_size or rng beside batches, for an epoch without batches and for metrics
        that do not suit the model's output; TypeError for arguments of another kind and for a metric that returns no
        number; FloatingPointError if the loss becomes NaN or infinite. The record so far stays in ``self.history``,
        also then and after Ctrl-C.
        """
        epochs = checks.count("Trainer.fit", "epochs", epochs)
        accumulate = checks.count("Trainer.fit", "accumulate", accumulate)
        if (batches is None) == (x is None):
            raise ValueError("Trainer.fit: takes either x and t or batches=, a function that yields an epoch's batches")
        if batches is not None:
            arguments.alone(t=t, batch_size=None if batch_size == 32 else batch_size, rng=rng)
        rng, steps = generator("Trainer.fit", rng), None
        if batches is None:
            data = arguments.scanned(x, t)
            batch_size = checks.count("Trainer.fit", "batch_size", batch_size)
            if steps_per_epoch is not None:
                raise ValueError("Trainer.fit: steps_per_epoch belongs to batches=; of x and t an epoch takes every sample")
            if drop_last and len(data[0]) < batch_size:
                raise ValueError(f"Trainer.fit: drop_last leaves none of the {len(data[0])} samples: batch_size is {batch_size}")
            steps = epochs * (len(data[0]) // batch_size if drop_last else -(-len(data[0]) // batch_size))

            def batches():
                made = minibatches(*data, batch_size=batch_size, rng=rng)
                return (batch for batch in made if not drop_last or len(batch[0]) == batch_size)
        elif steps_per_epoch is not None:
            steps_per_epoch = checks.count("Trainer.fit", "steps_per_epoch", steps_per_epoch)
            steps = epochs * steps_per_epoch
        arguments.ask(callable(batches), "Trainer.fit", "batches", "be a function that yields an epoch's batches", batches,
                      arguments.BATCHES)
        validation_data = arguments.validation(validation_data)
        callbacks = arguments.functions("Trainer.fit", "callbacks", callbacks, "[function]")

        self.history = history = History()
        with progress_bar(steps, progress) as bar:
            for epoch in range(1, epochs + 1):
                bar.set_description(f"epoch {epoch}/{epochs}", refresh=False)
                made = self._epoch(epoch, batches, accumulate, max_grad_norm, bar, steps_per_epoch)
                row = {"epoch": epoch, **made}
                if validation_data is not None:
                    row |= {f"val_{name}": value for name, value in self.evaluate(*validation_data).items()}
                history.add_epoch(**row)
                bar.tail = "".join(f", {name} {value:.4f}" for name, value in row.items() if name.startswith("val_"))
                bar.set_postfix_str(f"loss {row['loss']:.4f}{bar.tail}")
                stop = [arguments.ends(i, callback(self)) for i, callback in enumerate(callbacks)]   # all of them are called
                if any(stop):
                    break
        return history

    def _epoch(self, epoch, batches, accumulate, max_grad_norm, bar, most):
        """One pass over the batches, from fresh recurrent states: an update for every ``accumulate`` of them, and one for
        what is left over."""
        model, steps = self.model, self.history.steps
        total, group, before = Record(model, self.metrics), Record(model), len(self.history.steps.get("step", ()))
        sums = [np.zeros_like(g) for g in model.grads] if accumulate > 1 else None
        reset_states(model)
        try:
            for i, batch in enumerate(islice(arguments.epoch_of(batches, epoch), most), 1):
                loss = arguments.loss_of("Trainer.fit", model.forward(*batch))
                if not math.isfinite(loss):
                    for j, a in enumerate(batch):
                        checks.finite("Trainer.fit", f"array {j} of batch {i} in epoch {epoch}", a)
                    raise FloatingPointError(f"Trainer.fit: the loss became {loss} in epoch {epoch}, batch {i}; try a smaller "
                                             f"learning rate{or_clip(max_grad_norm)}")
                model.backward()
                total.add(loss, batch)
                weight = group.add(loss, batch)
                if sums:
                    for s, g in zip(sums, model.grads):
                        s += weight * g
                if i % accumulate == 0:
                    self._update(group, sums, max_grad_norm)
                    group = Record(model)
                bar.set_postfix_str(f"loss {loss:.4f}{bar.tail}", refresh=False)
                bar.update()
            if group.weight:
                self._update(group, sums, max_grad_norm)
        finally:
            made = len(steps.get("step", ())) - before
            steps.setdefault("epoch", []).extend(epoch - 1 + (k + 1) / made for k in range(made))
        return total.summary()

    def _update(self, group, sums, max_grad_norm):
        """One step of the optimizer, on the gradients of the batches in ``group``, averaged over their samples."""
        model, row = self.model, {}
        for s, g in zip(sums or (), model.grads):
            g[...] = s / max(group.weight, 1)          # 0: every label was ignored, every gradient is 0
            s[...] = 0
        if max_grad_norm is not None:
            row["grad_norm"] = clip_gradients(model.grads, max_grad_norm)
        lr = getattr(self.optimizer, "lr", None)
        row["lr"] = lr(self.optimizer.step) if callable(lr) else lr
        try:
            self.optimizer.update(model.params, model.grads)
        except FloatingPointError as error:
            raise FloatingPointError(self._sick_gradient(error, group.loss(), max_grad_norm)) from error
        self.history.add_step(step=len(self.history.steps.get("step", ())) + 1, loss=group.loss(), **row)

    def _sick_gradient(self, error, loss, max_grad_norm):
        """What to say where the loss is finite and a gradient is not: where, when, and what to do."""
        model, step = self.model, len(self.history.steps.get("step", ())) + 1
        i = next((i for i, g in enumerate(model.grads) if not np.isfinite(g).all()), None)
        names, layers = getattr(model, "names", ()), getattr(model, "layers", ())
        where = ""
        if i is not None and i < len(names):
            number = names[i].partition(".")[0]
            kind = f" ({type(layers[int(number)]).__name__})" if number.isdecimal() and int(number) < len(layers) else ""
            where = f", the gradient of {names[i]}: layer {number}{kind}"
        return (f"Trainer.fit: step {step} has a gradient that is not finite{where}. {error}. The loss, {loss:.4g}, is finite: a "
                "backward of that layer or of one after it divides by zero or overflows where its forward does not "
                "(check_gradients shows which), or the weights have grown too far: try a smaller learning rate"
                f"{or_clip(max_grad_norm)}")

    def evaluate(self, x, t, batch_size=256):
        """The loss and the metrics of samples x with targets t in evaluation mode, as a dict; leaves no trace in the model."""
        record = Record(self.model, self.metrics, "Trainer.evaluate")
        with evaluation(self.model):
            for batch in minibatches(*arguments.scanned(x, t, who="Trainer.evaluate"), batch_size=batch_size, shuffle=False):
                reset_states(self.model)
                record.add(arguments.loss_of(record.who, self.model.forward(*batch)), batch)
        return record.summary()


def or_clip(max_grad_norm):
    return ", or clip the gradients with max_grad_norm=1.0" if max_grad_norm is None else f" (max_grad_norm is {max_grad_norm:g})"


class Record:
    """The losses of several batches, and their metrics."""

    def __init__(self, model, metrics=None, who="Trainer.fit"):
        self.model, self.who, self.weight, self.sum = model, who, 0, 0.0
        self.measures = [Measure(name, metric) for name, metric in (metrics or {}).items()]

    def add(self, loss, batch):
        """Count a batch in, by the samples that its loss is the mean of; returns how many these are."""
        weight = getattr(getattr(self.model, "loss", None), "count", None)      # rows that a loss did not ignore
        weight = len(batch[0]) if weight is None else weight
        self.weight += weight
        self.sum += weight * loss
        if getattr(self.model, "output", None) is None:
            if [measure.metric for measure in self.measures] not in ([], [accuracy]):          # accuracy is there by default
                raise TypeError(checks.wrong(self.who, type(self.model).__name__, "keep its last output for the metrics",
                                             "no output", "write self.output = y in its forward"))
            self.measures = []
        for measure in self.measures:
            self.suited(measure, measure.add, self.model.output, batch[-1])
        return weight

    def loss(self):
        return self.sum / max(self.weight, 1)

    def summary(self):
        values = {measure.name: self.suited(measure, measure.value) for measure in self.measures}
        return {"loss": self.loss()} | {name: arguments.one_number(self.who, name, value) for name, value in values.items()}

    def suited(self, measure, method, *arrays):
        try:
            return method(*arrays)
        except (TypeError, ValueError, IndexError) as error:
            ignored = getattr(getattr(self.model, "loss", None), "ignore_label", None)
            cure = "to train without it: Trainer(model, optimizer, metrics=())" if f"got {ignored} at" not in str(error) else (
                f"the loss ignores the label {ignored}, the metric does not: metrics={{{measure.name!r}: "
                f"functools.partial({measure.name}, ignore_label={ignored})}}")
            raise ValueError(f"{self.who}: the metric {measure.name} does not suit {type(self.model).__name__} and these targets "
                             f"({error}); {cure}") from error


class Measure:
    """A metric over several batches: a mean (see ``metrics.averaged``) is added up; for any other, outputs and targets are
    kept."""

    def __init__(self, name, metric):
        self.name, self.metric = name, metric
        self.values, self.then = parts(metric) or (None, None)
        self.sum, self.count, self.kept = 0.0, 0, []

    def add(self, output, target):
        if self.values:
            values = self.values(output, target)
            self.sum, self.count = self.sum + float(values.sum(dtype=np.float64)), self.count + values.size
            return
        # Copies: a user's batches, or a model's outputs, may share one buffer.
        self.kept.append(tuple(a if isinstance(a, tuple) else np.array(a) for a in (output, target)))
        for first, a in zip(self.kept[0], (output, target)):
            if isinstance(a, tuple) or np.shape(a)[1:] != np.shape(first)[1:]:
                raise ValueError("it needs an epoch's outputs as one array, and these batches do not make one")

    def value(self):
        if self.values:
            return self.then(self.sum / self.count if self.count else np.nan)
        return self.metric(*map(np.concatenate, zip(*self.kept)))


def progress_bar(total, progress):
    if progress:
        from tqdm.auto import tqdm
    else:
        from tqdm import tqdm  # auto looks for notebook widgets even for a bar that is not shown
    bar = tqdm(total=total, disable=not progress, unit="batch", dynamic_ncols=True)
    bar.tail = ""          # the validation results of the last epoch
    return bar
