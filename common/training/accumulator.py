"""What a training step does besides forward, backward and update."""
import math

import numpy as np

from . import answers
from .clipping import clip_gradients
from .measures import Mean, Measures


class Accumulator:
    """What surrounds an update: checks losses, adds up batches, clips, records.

    The gradients of B batches are joined into those of one large batch. Batch b has the loss L_b
    with the penalty R in it, the gradient g_b with ∂R/∂W, and n_b, the loss layer's ``count``: the
    sum of the weights of its rows (of SigmoidWithLoss its elements), 1 each without weights, 0 for
    those ignored. (Of a Graph with several losses the first one's: exact if all count alike.)

        loss Σ_b n_b L_b / Σ_b n_b,  gradient Σ_b n_b g_b / Σ_b n_b     where losses are means
        loss Σ_b L_b - (B - 1) R,    gradient Σ_b g_b - (B - 1) ∂R/∂W   where they are sums

    Of means R comes out once, Σ_b n_b R / Σ_b n_b = R; in a sum it stands B times, so B - 1 are
    taken off. If no row counts, the penalty's loss and gradient remain, as the last batch gave
    them. ``measures`` has the epoch's loss and metrics; where losses are sums, its loss is the mean
    of the L_b, whatever B is.
    """

    def __init__(self, trainer, fit, epoch, bar):
        self.model, self.optimizer, self.history = trainer.model, trainer.optimizer, trainer.history
        self.measures = Measures(trainer.model, trainer.metrics, answers.FIT)
        self.epoch, self.batch, self.bar, self.max_norm = epoch, 0, bar, fit.max_grad_norm
        self.loss, self.batches = Mean(), 0                  # of this group
        several = fit.accumulate > 1
        self.sums = [np.zeros_like(g) for g in self.model.grads] if several else []

    def checked(self, loss, batch):
        """The loss of a batch as one finite Python float."""
        self.batch += 1
        loss = answers.loss(loss, answers.FIT)
        if not math.isfinite(loss):
            self.refuse(loss, batch)
        return loss

    def add(self, loss, batch):
        """Add a batch: its loss, its metrics and, if there are several batches, its gradients."""
        n = self.measures.add(loss, batch)                   # n_b; 1 where losses are sums
        self.latest = loss
        self.loss.add(n * loss, n)
        self.batches += 1
        for s, g in zip(self.sums, self.model.grads):
            s += n * g
        self.bar.batch(loss)

    def prepare(self):
        """Put the gradients of the whole group into ``grads``, clip them, and note what ``record``
        will write: lr, too, before the update counts the step."""
        if self.sums:
            self.join()
        self.row = {"step": len(self.history.steps.get("step", ())) + 1,
                    "loss": self.loss.value(self.latest)}
        if self.max_norm is not None:
            self.row["grad_norm"] = clip_gradients(self.model.grads, self.max_norm)
        lr = getattr(self.optimizer, "lr", None)
        self.row["lr"] = lr(self.optimizer.step) if callable(lr) else lr

    def join(self):
        """Turn the sums into the gradients of one large batch."""
        if self.measures.summed():
            self.penalize_once()
            self.loss.count = 1                              # sums are divided by nothing
        n = self.loss.count                                  # Σ_b n_b
        for s, g in zip(self.sums, self.model.grads):
            if n:                                            # else g is the penalty's alone
                g[...] = s / n
            s[...] = 0

    def penalize_once(self):
        """Take B - 1 of the B penalties out of the sums."""
        model, penalty = self.model, getattr(self.model, "penalty", None)
        if penalty is not None and self.batches > 1:
            frozen = getattr(model.params, "frozen", ())
            learning = [k for k in range(len(model.params)) if k not in frozen]
            penalty.add_gradients([model.params[k] for k in learning],
                                  [self.sums[k] for k in learning], 1 - self.batches)
            self.loss.sum -= (self.batches - 1) * penalty.loss(model.params)

    def record(self):
        self.history.add_step(**self.row)
        self.loss, self.batches = Mean(), 0

    def refuse(self, loss, batch):
        answers.refuse_loss(loss, batch, self.epoch, self.batch, self.max_norm)

    def naming_the_layer(self):
        return answers.naming_the_layer(self.model, self.row, self.max_norm)
