"""The training loop."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from typing import Any

from ..common.layer import evaluation, every_array, reset_states, shared
from ..common.metrics import accuracy
from ..common.sharing import tie
from ..common.types import ArrayLike, Inputs, Metric, Model, PathLike, Seed, UpdateRule
from . import answers, arguments, checkpoint, parallel
from .batches import batches as minibatches
from .data import sample_weights
from .history import History
from .measures import Measures
from .progress import Progress
from .run import Run


class Trainer:
    """Trains a model, epoch by epoch: forward and backward for each mini-batch, an update for each
    or for every few of them; and keeps a history.

    - model: any object with ``forward(x, t)`` -> loss, ``backward()``, ``params`` and ``grads``;
    - optimizer: any object with ``update(params, grads)``;
    - metrics: functions of (output, target) that return a number, taken over all samples of an
      epoch; a list, or a dict that names them: ``metrics={"top_1": f, "top_5": g}``. They need a
      model that keeps its last ``output``, as Sequential and Graph do. ``accuracy``,
      ``top_k_accuracy`` and ``perplexity`` are added up batch by batch; for any other metric the
      outputs of an epoch are kept. For other outputs than class scores give others, or ``()``;
    - comm: None, or a communicator of mpi4py, ``MPI.COMM_WORLD``: then every rank of MPI takes its
      share of each batch, and all take the same steps (see parallel.py).

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

    def __init__(
        self,
        model: Model,
        optimizer: UpdateRule,
        metrics: Sequence[Metric] | Mapping[str, Metric] = (accuracy,),
        comm: Any = None,
    ) -> None:
        arguments.parts(model, optimizer)
        self.model, self.optimizer = model, optimizer
        self.metrics = arguments.named(metrics)
        self.comm = parallel.communicator(comm)
        self.history = History()
        self.run: Run | None = None                   # the fit under way
        self.resumed: dict | None = None              # what ``resume`` has left for the next fit

    def fit(
        self,
        x: Inputs | None = None,
        t: ArrayLike | None = None,
        epochs: int = 10,
        batch_size: int = 32,
        validation_data: tuple[Inputs, ArrayLike] | None = None,
        max_grad_norm: float | None = None,
        callbacks: Sequence[Callable[[Trainer], bool | None]] = (),
        rng: Seed = None,
        batches: Callable[[], Iterable[Sequence[ArrayLike]]] | None = None,
        accumulate: int = 1,
        progress: bool = True,
        drop_last: bool = False,
        steps_per_epoch: int | None = None,
        validation_split: float | None = None,
        class_weight: Mapping[int, float] | Sequence[float] | str | None = None,
        sample_weight: ArrayLike | None = None,
        augment: Callable[..., Any] | None = None,
        freeze: Any = (),
    ) -> History:
        """Train for ``epochs`` passes over the samples, each in a new order; returns the History.

        A second call trains for ``epochs`` more, numbered from where the first one ended, into a
        new History.

        x: an array of samples or, for a model of several inputs, a tuple of them; t: their
            targets. A model with several targets gets all but the last of them in x, after the
            inputs: ``fit((x, t1), t2)``.
        batch_size: samples per mini-batch; the last one of an epoch may be smaller.
        validation_data: (x, t), evaluated after each epoch; x may be a tuple, as for a Seq2Seq:
            ((x, t, x_mask), t_mask).
        max_grad_norm: gradients are clipped to this norm (see clip_gradients).
        callbacks: functions called after each epoch with this trainer; one that returns True
            ends the training; for example EarlyStopping, ReduceOnPlateau or Checkpoint.
        rng: a Generator, a seed or None, for the shuffling and for augment.
        batches: instead of x and t, a function that yields an epoch's batches in order, each a
            tuple (x, ..., t). It is called anew for each epoch:
            ``batches=lambda: text_batches(ids)``.
        accumulate: batches per update, whose gradient is that of one large batch,
            Σ_b n_b g_b / Σ_b n_b where n_b rows of batch b count (see Accumulator for weights and
            for losses that are sums). BatchNorm still normalises each batch by itself.
        progress: show a progress bar.
        drop_last: leave out the last batch of an epoch if it is smaller.
        steps_per_epoch: for ``batches`` that never end, how many of them make an epoch; the next
            epoch calls the function anew.
        validation_split: instead of validation_data, a share of the samples: the last ones (of each
            class, if t holds class labels), taken before shuffling.
        class_weight: how much a class counts in the loss, {class: weight} or a list; a class that
            a dict leaves out counts 1; "balanced" for N / (C N_c), so that all classes weigh alike.
        sample_weight: how much a sample counts in the loss, (N,), or each row of its targets; also
            of the samples that validation_split takes. Metrics are not weighted.
        augment: a function of a batch's inputs and a Generator that returns as many new inputs,
            such as random_shifts.
        freeze: layers of the model, or their names such as "0", that keep their parameters and
            running statistics during this fit: see Model.freeze.

        Raises ValueError for NaN or infinities in the data, for data of different lengths, for
        numbers that are not positive, for x, t, batch_size, drop_last, validation_split or
        sample_weight together with batches (rng too, unless there is an augment), for an epoch
        without batches and for metrics that do not suit the model's output; TypeError for arguments
        of another kind and for a metric that does not return a number; FloatingPointError if the
        loss, or a gradient (as the optimizers of this package find), becomes NaN or infinite. The
        record so far stays in ``self.history``, even after an error or Ctrl-C.
        """
        fit = arguments.Fit(self.model, x, t, epochs, batch_size, validation_data,
                            max_grad_norm, callbacks, rng, batches, accumulate, progress, drop_last,
                            steps_per_epoch, validation_split, class_weight, sample_weight, augment)
        with (arguments.frozen(self.model, freeze) as frozen, parallel.together(self, fit),
              closing(Run(self, fit, frozen)) as run, closing(Progress(fit, run.batches)) as bar):
            for epoch in run.epochs():
                bar.begin(epoch)
                row = {"epoch": epoch} | self._epoch(epoch, run, bar)
                if fit.validation_data is not None:
                    x_val, t_val = fit.validation_data
                    scores = self.evaluate(x_val, t_val, sample_weight=fit.validation_weight)
                    row |= {f"val_{name}": value for name, value in scores.items()}
                row = parallel.agreed(self.comm, row)           # by all ranks, with MPI
                self.history.add_epoch(**row)
                bar.end(row)
                run.after_epoch()
        return self.history

    def _epoch(self, epoch, run, bar):
        """One pass over the batches, from fresh recurrent states; returns its loss and metrics.

        A training step is forward, backward, update; the other lines reset states, check, add up,
        clip, record. With ``accumulate`` a group has several batches, and the update takes their
        gradients as those of one large batch: see accumulator.py for the formula.
        """
        model, optimizer = self.model, self.optimizer
        accumulator = parallel.accumulator(self, run.fit, epoch, bar)   # of all ranks, with MPI
        reset_states(model)                 # here alone: within an epoch batches of a text go on
        with self.history.in_epoch(epoch):
            for group in run.groups(accumulator):
                for batch, named in group:          # (x, ..., t), and {"weight": ...} or {}
                    loss = model.forward(*batch, **named)
                    loss = accumulator.checked(loss, batch)     # is it a finite number?
                    model.backward()
                    accumulator.add(loss, batch)            # loss, metrics, gradients
                accumulator.prepare()                       # the group's gradients, clipped
                with accumulator.naming_the_layer():        # whose gradient is not finite
                    optimizer.update(model.params, model.grads)
                accumulator.record()
        return accumulator.measures.summary()

    def resume(self, path: PathLike) -> Trainer:
        """Go back to where a ``Checkpoint`` was written: weights, optimizer and history at once,
        the rest when ``fit`` is called. If that is called with the same arguments as before, it
        goes on up to ``epochs`` in total, and ends bit for bit as if there had been no break.

        Raises ValueError, with nothing changed, for a file that is not whole or not a checkpoint,
        and for another model or optimizer; ``fit`` does so for other callbacks and generators.
        """
        self.resumed = checkpoint.resume(self, path)
        return self

    def evaluate(self, x: Inputs, t: ArrayLike, batch_size: int = 256,
                 sample_weight: ArrayLike | None = None) -> dict[str, float]:
        """The loss and the metrics of samples x with targets t in evaluation mode, as a dict.

        ``sample_weight``: how much each sample counts in the loss. Parameters, running
        statistics, recurrent states and training mode stay as they are; caches are empty
        afterwards, so a backward needs a new forward.
        """
        data, weighs = arguments.scanned(x, t, who="Trainer.evaluate"), sample_weight is not None
        if weighs:
            arguments.weighable("Trainer.evaluate", self.model)
            data = *data, sample_weights("Trainer.evaluate", sample_weight, len(data[-1]))
        measures = Measures(self.model, self.metrics, "Trainer.evaluate")
        with evaluation(self.model):
            for batch in minibatches(*data, batch_size=batch_size, shuffle=False):
                reset_states(self.model)    # batches of samples do not continue each other
                weight = {"weight": batch[-1]} if weighs else {}
                batch = batch[:-1] if weighs else batch
                loss = self.model.forward(*batch, **weight)
                measures.add(answers.loss(loss, "Trainer.evaluate"), batch)
        return measures.summary()

    def __getstate__(self):
        """What ``copy`` and ``pickle`` keep, with which arrays of the model's layers are one."""
        return {**vars(self), "_shared": shared(self.model)}

    def __setstate__(self, state):
        found = state.pop("_shared")
        vars(self).update(state)
        tie(every_array(self.model), found)

    def __repr__(self) -> str:
        return (f"Trainer({type(self.model).__name__}, {self.optimizer!r}, "
                f"metrics=[{', '.join(self.metrics)}], history={self.history!r})")
