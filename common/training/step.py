"""What a training step needs besides its three lines: checks, accumulation, clipping, a record."""
import math

import numpy as np

from ..common import checks
from . import answers
from .clipping import clip_gradients
from .measures import Mean, Measures


class Step:
    """The step being made: its loss and gradients so far; ``measures`` are those of the epoch.

    ``with step:`` surrounds the update.
    """

    def __init__(self, trainer, fit, epoch, bar):
        self.model, self.optimizer, self.history = trainer.model, trainer.optimizer, trainer.history
        self.measures = Measures(trainer.model, trainer.metrics, answers.FIT)
        self.epoch, self.batch, self.bar, self.max_norm = epoch, 0, bar, fit.max_grad_norm
        self.loss, self.batches = Mean(), 0                  # of this step
        several = fit.accumulate > 1
        self.sums = [np.zeros_like(g) for g in self.model.grads] if several else []

    def each(self, group):
        """The batches of a group, one after the other; each is counted in after its backward."""
        for batch, weight in group:
            yield batch, weight
            self.add(self.latest, batch)

    def check(self, loss, batch):
        """Keep the loss of a batch as a Python float; an error unless it is one finite number."""
        self.batch += 1
        self.latest = loss = answers.loss(loss, answers.FIT)
        if not math.isfinite(loss):
            for j, a in enumerate(batch):
                name = f"array {j} of batch {self.batch} in epoch {self.epoch}"
                checks.finite(answers.FIT, name, a)
            raise FloatingPointError(
                f"{answers.FIT}: the loss became {loss} in epoch {self.epoch}, batch {self.batch}; "
                f"try a smaller learning rate{self.or_clip()}")

    def add(self, loss, batch):
        """Count in a batch: its loss, metrics and, of several batches, gradients."""
        weight = self.measures.add(loss, batch)
        self.loss.add(weight * loss, weight)
        self.batches += 1
        for s, g in zip(self.sums, self.model.grads):
            s += weight * g
        self.bar.batch(loss)

    def __enter__(self):
        """Join the gradients of several batches and clip them."""
        self.row = {"step": len(self.history.steps.get("step", ())) + 1,
                    "loss": self.joined() if self.sums else self.loss.value(0.0)}
        if self.max_norm is not None:
            self.row["grad_norm"] = clip_gradients(self.model.grads, self.max_norm)
        lr = getattr(self.optimizer, "lr", None)
        self.row["lr"] = lr(self.optimizer.step) if callable(lr) else lr

    def __exit__(self, kind, error, traceback):
        """Record the update that was made in between."""
        if kind is None:
            self.history.add_step(**self.row)
            self.loss, self.batches = Mean(), 0
        elif isinstance(error, FloatingPointError):
            raise FloatingPointError(
                f"{answers.FIT}: step {self.row['step']} has a gradient that is not finite"
                f"{where(self.model)}. {error}. The loss, {self.row['loss']:.4g}, is finite: a "
                "backward of that layer or of one after it divides by zero or overflows where its "
                "forward does not (check_gradients shows which), or the weights have grown too "
                f"large: try a smaller learning rate{self.or_clip()}") from error

    def joined(self):
        """Make of the losses and gradients of several batches those of one; returns the loss.

        Means are averaged, by the rows of each batch, and so is the penalty, the same in each. Sums
        are added up, and of the penalty, too, there is one for each batch: all but one are taken
        away.
        """
        model, summed, count = self.model, self.measures.summed(), self.loss.count
        for s, g in zip(self.sums, model.grads):
            if count:                                    # else every label is ignored
                g[...] = s if summed else s / count
            s[...] = 0
        penalty = getattr(model, "penalty", None)
        if not summed or penalty is None:
            return self.loss.sum if summed else self.loss.value(0.0)
        frozen = getattr(model.params, "frozen", ())
        pairs = [pair for k, pair in enumerate(zip(model.params, model.grads)) if k not in frozen]
        penalty.add_gradients(*zip(*pairs), 1 - self.batches)
        return self.loss.sum - (self.batches - 1) * penalty.loss(model.params)

    def or_clip(self):
        """The advice to clip, or the bound that was not small enough."""
        return (", or clip the gradients with max_grad_norm=1.0" if self.max_norm is None else
                f" (max_grad_norm is {self.max_norm:g})")


def where(model):
    """Which gradient is not finite, and of which layer, if the model names its parameters."""
    i = next((i for i, g in enumerate(model.grads) if not np.isfinite(g).all()), None)
    names, layers = getattr(model, "names", ()), getattr(model, "layers", ())
    if i is None or i >= len(names):
        return ""
    number = names[i].partition(".")[0]
    known = number.isdecimal() and int(number) < len(layers)
    kind = f" ({type(layers[int(number)]).__name__})" if known else ""
    return f", the gradient of {names[i]}: layer {number}{kind}"
