"""What test_parallel.py runs on ranks: ``on_ranks.py CASE FILE``; FILE gets rank 0's answer."""
import json
import os
import signal
import sys
import tempfile
from functools import partial

import numpy as np

from chainrule.common import L2, roc_auc
from chainrule.layers import (
    Affine,
    BatchNorm,
    Dropout,
    Embedding,
    ReLU,
    SigmoidWithLoss,
    SoftmaxWithLoss,
    Sum,
)
from chainrule.models import Sequential
from chainrule.optimizers import SGD, Adam
from chainrule.training import Checkpoint, Trainer

RNG = np.random.default_rng(0)
X = RNG.standard_normal((22, 3))
T = (X[:, 0] > 0) + 2 * (X[:, 1] > 0)
IDS = RNG.integers(0, 6, (22, 4))


def rate(lr):
    return partial(SGD, lr)


def affine(n_in, n_out, seed):
    return Affine.init(n_in, n_out, rng=seed, dtype=np.float64)


def network(seed, *layers, loss=None, **options):
    return Sequential(affine(3, 8, seed), *layers, ReLU(), affine(8, 4, seed + 1),
                      loss=loss or SoftmaxWithLoss(), **options)


def ignored():
    t = T.copy()
    t[[0, 1, 2, 3, 7]] = -1
    return t


def endless():
    """Batches of 1 to 5 rows without end."""
    for k in range(10**9):
        yield X[k % 17:k % 17 + 1 + k % 5], T[k % 17:k % 17 + 1 + k % 5]


def summed(seed):
    return network(seed, loss=SoftmaxWithLoss(reduction="sum"), penalty=L2(0.1))


def embedding(seed):
    return Sequential(Embedding.init(6, 8, rng=seed, dtype=np.float64), Sum(axis=1),
                      affine(8, 4, seed), loss=SoftmaxWithLoss())


def auc(y, t):
    return roc_auc(y[:, 0], t[:, 0])


# name: functions that make the model (of a seed) and the optimizer; data; options of Trainer, fit
SAME = {
    "plain": (network, rate(0.3), (X, T), {}, {}),
    "adam-clipped-penalty": (partial(network, penalty=L2(0.1)), partial(Adam, 0.05), (X, T),
                             {}, {"max_grad_norm": 0.1}),
    "accumulate": (network, rate(0.3), (X, T), {}, {"accumulate": 2}),
    "ignored": (lambda seed: network(seed, loss=SoftmaxWithLoss(ignore_label=-1)), rate(0.3),
                (X, ignored()), {"metrics": ()}, {}),
    "all-ignored": (lambda seed: network(seed, loss=SoftmaxWithLoss(ignore_label=-1),
                                         penalty=L2(0.1)),
                    rate(0.3), (X, 0 * T - 1), {"metrics": ()}, {"accumulate": 2}),
    "sum": (summed, rate(0.03), (X, T), {}, {}),
    "sum-frozen-clipped": (summed, rate(0.03), (X, T), {},
                           {"accumulate": 2, "freeze": ("0",), "max_grad_norm": 0.1}),
    "embedding": (embedding, rate(0.3), (IDS, T), {}, {}),
    "metrics": (lambda seed: Sequential(affine(3, 1, seed), loss=SigmoidWithLoss()), rate(0.3),
                (X, T[:, None] % 2), {"metrics": [auc]}, {}),
    "batches": (network, rate(0.3), (), {}, {"batches": endless, "steps_per_epoch": 7}),
}


def train(name, seed, comm=None):
    make, optimizer, data, of_trainer, options = SAME[name]
    trainer = Trainer(make(seed), optimizer(), **of_trainer, comm=comm)
    if data:
        options = {"batch_size": 5, "rng": seed, "validation_data": data} | options
    trainer.fit(*data, epochs=3, progress=False, **options)
    return trainer


def answer(trainer):
    """What must not depend on the number of ranks."""
    return {"params": [p.ravel().tolist() for p in trainer.model.params],
            "epochs": trainer.history.epochs, "steps": trainer.history.steps}


def same(comm):
    """Every rank with another seed: rank 0's counts."""
    found = {name: answer(train(name, seed=10 * comm.rank, comm=comm)) for name in SAME}
    everywhere = comm.allgather(found)
    assert all(other == everywhere[0] for other in everywhere)
    return found


def statistics(comm):
    """The running mean and variance after one step."""
    model = network(0, BatchNorm.init(8, dtype=np.float64))
    Trainer(model, SGD(0.1), comm=comm).fit(X, T, epochs=1, batch_size=22, rng=0, progress=False)
    kept = [a.tolist() for a in model.layers[1].buffers.values()]
    assert comm.allgather(kept) == [kept] * comm.size
    return kept


def dropout(comm):
    """What the generator of dropout draws next on each rank, after each epoch."""
    rng, drawn = np.random.default_rng(0), []
    trainer = Trainer(network(0, Dropout(0.5, rng=rng)), SGD(0.1), comm=comm)
    trainer.fit(X, T, epochs=2, batch_size=8, rng=1, progress=False,
                callbacks=[lambda trainer: drawn.append(rng.random())])
    return comm.allgather(drawn)


class Breaking:
    """Ends a training after so many steps on every rank."""
    last = True

    def __init__(self, steps):
        self.steps = steps

    def __call__(self, trainer):
        pass

    def after_step(self, trainer):
        if len(trainer.history.steps["step"]) == self.steps:
            raise KeyboardInterrupt


def dropping(comm):
    model = network(0, BatchNorm.init(8, dtype=np.float64), Dropout(0.5, rng=3))
    return Trainer(model, Adam(0.05), comm=comm)


def four_epochs(trainer, *callbacks):
    trainer.fit(X, T, epochs=4, batch_size=6, rng=7, progress=False, callbacks=callbacks)


def broken_off(path, comm, every, after):
    """Write a checkpoint, and break the training off after so many steps, four to an epoch."""
    try:
        four_epochs(dropping(comm), Checkpoint(path, every=every), Breaking(after))
    except KeyboardInterrupt:
        comm.Barrier()


def resumed(comm):
    """What every rank has after a whole training, after one that was broken off within an epoch
    and resumed, and after one that was broken off at the end of an epoch."""
    def everything(trainer):
        kept = [a.tolist() for a in trainer.model.layers[1].buffers.values()]
        return comm.allgather({**answer(trainer), "statistics": kept})

    def again(every, after):
        with tempfile.TemporaryDirectory() as own:
            path = comm.bcast(f"{own}/run.safetensors")
            broken_off(path, comm, every, after)
            trainer = dropping(comm).resume(path)
            four_epochs(trainer, Checkpoint(path, every=every))
            comm.Barrier()
        return everything(trainer)
    whole = dropping(comm)
    four_epochs(whole)
    return everything(whole), again(3, 7), again("epoch", 9)


def other_number(comm):
    """How many epochs there are after one process goes on with what all ranks began, and all ranks
    with what one began; and what one process says to a checkpoint within an epoch of all."""
    alone = comm.Split(comm.rank)
    with tempfile.TemporaryDirectory() as own:
        path = f"{comm.bcast(own)}/run.safetensors"
        broken_off(path, comm, "epoch", 9)
        fewer = dropping(alone).resume(path)
        four_epochs(fewer)
        comm.Barrier()
        broken_off(path, comm, 3, 7)
        try:
            sentence = dropping(alone).resume(path) and None
        except ValueError as error:
            sentence = str(error).partition("fit ")[2]
        comm.Barrier()
        if comm.rank == 0:
            broken_off(path, alone, "epoch", 9)
        comm.Barrier()
        more = dropping(comm).resume(path)
        four_epochs(more, Checkpoint(path))
        drawn = more.model.layers[2].buffers["rng"].random()
        comm.Barrier()
    return comm.allgather((len(fewer.history), len(more.history), sentence, drawn))


def stop(comm):
    """After how many epochs each rank stops, where each would stop after another number."""
    trainer = Trainer(network(0), SGD(0.1), comm=comm)
    enough = 2 + comm.rank
    trainer.fit(X, T, epochs=9, rng=0, callbacks=[lambda trainer: len(trainer.history) == enough])
    return comm.allgather(len(trainer.history))


def nan(comm):
    """Data that are not finite, on one rank."""
    model = network(0)
    bad = X.copy()
    bad[-1] = np.nan                                        # in the last rank's share
    try:
        with np.errstate(all="ignore"):
            trainer = Trainer(model, SGD(0.1), comm=comm)
            trainer.fit(batches=lambda: [(bad, T)], epochs=1, progress=False)
    except (FloatingPointError, ValueError) as error:
        return comm.allgather(str(error))


class Overflowing(ReLU):
    """Its gradient is infinite on the last rank."""
    last = False

    def backward(self, dout):
        return dout * np.inf if self.last else dout


def gradient(comm):
    """A gradient that is not finite, on one rank."""
    model = network(0, Overflowing())
    model.layers[1].last = comm.rank == comm.size - 1
    try:
        with np.errstate(all="ignore"):
            Trainer(model, SGD(0.1), comm=comm).fit(X, T, epochs=1, rng=0, progress=False)
    except FloatingPointError as error:
        return comm.allgather(str(error))


def interrupted(comm):
    """The epochs and steps that each rank has recorded when Ctrl-C reaches one of them."""
    def press(trainer):
        if comm.rank == comm.size - 1:
            os.kill(os.getpid(), signal.SIGINT)
    trainer = Trainer(network(0), SGD(0.1), comm=comm)
    try:
        trainer.fit(X, T, epochs=9, batch_size=5, rng=0, progress=False, callbacks=[press])
    except KeyboardInterrupt:
        return comm.allgather((len(trainer.history), trainer.history.steps["step"][-1]))


def different(comm):
    """Models of two shapes."""
    model = Sequential(affine(3, 4 + comm.rank, 0), loss=SoftmaxWithLoss())
    try:
        Trainer(model, SGD(0.1), comm=comm).fit(X, T, epochs=1)
    except ValueError as error:
        return comm.allgather(str(error))


def broken(comm, end):
    def callback(trainer):
        if comm.rank == 1:
            end()
    trainer = Trainer(network(0), SGD(0.1), comm=comm)
    trainer.fit(X, T, epochs=10**9, rng=0, progress=False, callbacks=[callback])


def killed(comm):
    """One rank is killed from outside."""
    broken(comm, lambda: os.kill(os.getpid(), signal.SIGKILL))


def failing(comm):
    """One rank raises an error of its own."""
    def end():
        raise OSError("the disk is full")
    broken(comm, end)


if __name__ == "__main__":
    from mpi4py import MPI
    result = globals()[sys.argv[1]](MPI.COMM_WORLD)
    if MPI.COMM_WORLD.rank == 0:
        with open(sys.argv[2], "w") as file:
            json.dump(result, file, default=list)
