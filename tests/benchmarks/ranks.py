"""Time of a data parallel step on MPI, beside the formula of docs/scaling_up.md.

    for n in 1 2 4; do mpiexec -n $n python tests/benchmarks/ranks.py; done

One thread per rank. Rank 0 prints, in milliseconds: the step; then what the formula is made of, the
step of one process alone with all rows and with its share, and the Allreduce by itself.
"""
import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import time

import numpy as np
from mpi4py import MPI

from chainrule.models import MLP
from chainrule.optimizers import SGD
from chainrule.training import Trainer

SIZES, ROWS, STEPS = [784, 256, 10], 512, 300


class Timed(SGD):
    """Notes when each update has ended."""

    def update(self, params, grads):
        super().update(params, grads)
        self.ends = [*getattr(self, "ends", ()), time.perf_counter()]


def step(rows, comm):
    """The time of a step in milliseconds, the least of many, since other programs run too."""
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((rows, SIZES[0]), np.float32), rng.integers(0, 10, rows)
    optimizer = Timed(0.01)
    trainer = Trainer(MLP(SIZES, rng=0), optimizer, comm=comm)
    trainer.fit(batches=lambda: [(x, t)] * STEPS, epochs=1, progress=False)
    return 1000 * min(np.diff(optimizer.ends))


def allreduce(comm):
    flat = np.zeros(sum(p.size for p in MLP(SIZES).params), np.float32)
    seconds = []
    for _ in range(STEPS):
        comm.Barrier()
        start = time.perf_counter()
        comm.Allreduce(MPI.IN_PLACE, flat)
        seconds.append(time.perf_counter() - start)
    return 1000 * min(seconds)


if __name__ == "__main__":
    comm = MPI.COMM_WORLD
    shared, reducing = step(ROWS, comm), allreduce(comm)
    if comm.rank == 0:
        whole, share = (step(rows, None) for rows in (ROWS, ROWS // comm.size))
        print(f"{comm.size} ranks: step {shared:.2f}; alone {whole:.2f}, of a share {share:.2f}; "
              f"Allreduce {reducing:.2f}", flush=True)
    comm.Barrier()
