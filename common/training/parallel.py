"""Data parallel training on MPI: every rank has the model, and of each batch its share.

The gradient of a mean over a batch is the mean of its shares' gradients, weighed by their rows:

    dL/dW = Σ_r n_r · dL_r/dW / Σ_r n_r        n_r: rows that count on rank r

so the ranks take the step of one process with the whole batch. Rank 0 draws the batches and sends
each rank its rows; one Allreduce, over a flat buffer, adds up what the update needs.
"""
import contextlib
import itertools
import os
import signal
import sys
import threading
import traceback

import numpy as np

from ..common import checks
from ..common.layer import walk
from . import answers
from .accumulator import Accumulator
from .measures import AddedUp, Measures
from .state import buffers, generators


def world():
    """MPI's COMM_WORLD if mpiexec started several ranks, else None."""
    if not {"PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK"} & {*os.environ}:
        return None
    try:
        from mpi4py import MPI
    except ModuleNotFoundError:
        raise ModuleNotFoundError("mpiexec needs mpi4py, which is not installed: "
                                  'python -m pip install "chainrule[mpi]"') from None
    return MPI.COMM_WORLD if MPI.COMM_WORLD.size > 1 else None


def communicator(comm):
    answers.ask(comm is None or hasattr(comm, "Allreduce"), "Trainer", "comm",
                "be a communicator of mpi4py or None", comm, "MPI.COMM_WORLD is one")
    return comm


def accumulator(trainer, fit, epoch, bar):
    """The Accumulator of an epoch, shared or not."""
    kind = Accumulator if trainer.comm is None else SharedAccumulator
    return kind(trainer, fit, epoch, bar)


def agreed(comm, value):
    """Rank 0's value, on every rank."""
    return value if comm is None else comm.bcast(value)


@contextlib.contextmanager
def together(trainer, fit):
    """A training that all ranks begin with rank 0's model, and that ends for all if one fails."""
    model, comm = trainer.model, trainer.comm
    if comm is None:
        yield
        return
    begin_alike(model, comm)
    fit.progress = fit.progress and comm.rank == 0
    fit.batches, fit.per_epoch = Shares(fit.batches, comm), comm.bcast(fit.per_epoch)
    try:
        with interrupts(fit), penalty_once(model, comm):
            yield
    except Exception as error:
        if comm.size > 1 and not getattr(error, "everywhere", False):
            sys.stderr.write(
                f"{traceback.format_exc()}\n{answers.FIT}: rank {comm.rank} of {comm.size} failed, "
                f"which ends all of them: {type(error).__name__}: {error}\n")
            sys.stderr.flush()
            comm.Abort(1)
        raise


def begin_alike(model, comm):
    """Give each rank rank 0's arrays, and a stream of random numbers."""
    arrays = [*model.params, *statistics(model)]
    shapes = comm.allgather([a.shape for a in arrays])
    if shapes != shapes[:1] * comm.size:
        got = "; ".join(f"shapes {of} on rank {r}" for r, of in enumerate(shapes))
        raise ValueError(checks.wrong(answers.FIT, "model", "be the same on every rank", got))
    for mine, first in zip(arrays, comm.bcast(arrays)):
        mine[...] = first
    drawing = generators({"": [getattr(layer, "buffers", {}) for layer in walk(model)]})
    for rng in drawing.values() if comm.rank else ():
        bits = rng.bit_generator
        bits.state = type(bits)([comm.rank, int(rng.integers(2**63))]).state


def statistics(model):
    """The running means and variances of a model."""
    return [a for a in buffers(model).values() if isinstance(a, np.ndarray) and a.dtype.kind == "f"]


class Shares:
    """This rank's share of each batch. Without a row in it the rank is ``idle`` and given one that
    does not count, to keep step."""

    def __init__(self, batches, comm):
        self.batches, self.comm, self.idle, self.epoch = batches, comm, False, 0

    def __call__(self):
        self.epoch += 1
        whole = answers.batches(self.batches, self.epoch) if self.comm.rank == 0 else ()
        for batch in itertools.chain(whole, itertools.repeat(None)):
            shares = [None] * self.comm.size if batch is None else cut(batch, self.comm.size)
            share = self.comm.scatter(shares)
            if share is None:                                           # the end of the epoch
                return
            self.idle, arrays = share
            yield arrays


def cut(batch, ranks):
    """(idle, rows) for each rank, the shares as equal as can be."""
    arrays = [np.asarray(a) for a in batch]
    sizes = [len(a) if a.ndim else 0 for a in arrays]
    if not sizes[0] or len(set(sizes)) > 1:
        raise ValueError(checks.wrong(answers.FIT, "a batch shared by ranks",
                                      "have arrays of one length", f"lengths {sizes}"))
    shares = zip(*(np.array_split(a, ranks) for a in arrays))
    return [(False, share) if len(share[0]) else (True, tuple(a[:1] for a in arrays))
            for share in shares]


class SharedAccumulator(Accumulator):
    """Adds up what each rank has of its share: the sums over all ranks are in ``flat``."""

    def __init__(self, trainer, fit, epoch, bar):
        super().__init__(trainer, fit, epoch, bar)
        self.comm, self.shares = trainer.comm, fit.batches
        self.measures, self.interrupted = SharedMeasures(trainer), fit.interrupted
        self.statistics, self.rows, grads = statistics(self.model), 0, self.model.grads
        arrays = [*grads, *self.statistics]
        sizes = [a.size for a in arrays]
        self.flat = np.zeros(sum(sizes) + 4, np.result_type(np.float32, *grads))
        *parts, self.numbers = np.split(self.flat, np.cumsum(sizes, dtype=int))
        parts = [part.reshape(a.shape) for part, a in zip(parts, arrays)]
        self.sums, self.running = parts[:len(grads)], parts[len(grads):]

    def checked(self, loss, batch):
        """The loss of this share; ``prepare`` sees whether all are finite."""
        self.batch, self.seen = self.batch + 1, batch
        self.latest = answers.loss(loss, answers.FIT)
        return self.latest

    def add(self, loss, batch):
        if not self.shares.idle:
            super().add(loss, batch)
            self.rows += len(batch[0])

    def prepare(self):
        """Add up the gradients, statistics and losses of all ranks."""
        from mpi4py import MPI
        summed = self.measures.summed()
        if summed:                                          # rank 0 has a penalty for each batch
            self.penalize_once()
        for total, mine in zip(self.running, self.statistics):
            total[...] = self.rows * mine
        count = self.loss.count if self.comm.rank == 0 or not summed else 0
        self.numbers[...] = self.loss.sum, count, self.rows, bool(self.interrupted)
        self.comm.Allreduce(MPI.IN_PLACE, self.flat)
        self.loss.sum, self.loss.count, rows, interrupted = map(float, self.numbers)
        for mine, total in zip(self.statistics, self.running):
            mine[...] = total / rows
        self.rows, self.batches = 0, 1
        if interrupted:
            self.interrupted.clear()
            raise KeyboardInterrupt
        with everywhere():
            loss = self.loss.value(self.latest)
            if not np.isfinite(loss):
                self.refuse(loss, self.seen)
            super().prepare()

    @contextlib.contextmanager
    def naming_the_layer(self):
        with everywhere(), super().naming_the_layer():
            yield


@contextlib.contextmanager
def everywhere():
    """An error in this block is one on all ranks, and no reason to end the others."""
    try:
        yield
    except Exception as error:
        error.everywhere = True
        raise


class SharedMeasures(Measures):
    """Measures of each rank's rows, until they are summed up."""

    def __init__(self, trainer):
        super().__init__(trainer.model, trainer.metrics, answers.FIT)
        self.allgather = trainer.comm.allgather        # a function: not part of a checkpoint

    def summary(self):
        mine = {name: (m.mean.sum, m.mean.count) if isinstance(m, AddedUp) else
                (m.outputs, m.targets) for name, m in self.metrics.items()}
        parts = self.allgather((self.loss.sum, self.loss.count, mine))
        self.loss.sum = sum(part[0] for part in parts)
        self.loss.count = sum(part[1] for part in parts[:1 if self.summed() else None])
        self.metrics = {name: self.metrics[name] for name in parts[0][2]}    # rank 0 is never idle
        for name, metric in self.metrics.items():
            first, second = (sum(column[1:], column[0]) for column in
                             zip(*(part[2][name] for part in parts if name in part[2])))
            if isinstance(metric, AddedUp):
                metric.mean.sum, metric.mean.count = first, second
            else:
                metric.outputs, metric.targets = first, second
        return super().summary()


@contextlib.contextmanager
def penalty_once(model, comm):
    """Where shares of a loss are summed, not averaged, rank 0 alone adds the penalty."""
    penalty = getattr(model, "penalty", None)
    summed = getattr(getattr(model, "loss", None), "reduction", "mean") == "sum"
    shared = summed and penalty is not None
    if shared and comm.rank:
        model.penalty = None
    try:
        yield
    finally:
        if shared:
            model.penalty = penalty


@contextlib.contextmanager
def interrupts(fit):
    """Ctrl-C waits for the end of a step, in which all ranks hear of it."""
    fit.interrupted = []
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda *_: fit.interrupted.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if fit.interrupted:
        raise KeyboardInterrupt
