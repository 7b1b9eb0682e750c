"""What is measured, and by whom: the table of workloads and the registry of peers.

A new workload is an entry of WORKLOADS; a new peer is a file `peer_<name>.py` whose builders are marked

    @register("W1", "W2")
    def build(w):        # w: what the workload's make() returned; its parameters are copied, not trained
        ...
        return step      # step(): forward, loss, backward, update on the next batch; returns the loss
"""
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from types import SimpleNamespace

import numpy as np

PEERS = defaultdict(dict)              # {peer: {workload: builder}}


def register(*workloads):
    def add(build):
        peer = build.__module__.removeprefix("peer_")
        PEERS[peer].update(dict.fromkeys(workloads, build))
        return build
    return add


@dataclass(frozen=True)
class Workload:
    """`make()` returns the batches, initial parameters and hyper-parameters, the same ones at every call.

    The targets are times of chainrule's step as a fraction of another's. `torch`: of PyTorch's, (with a BLAS that uses
    AVX2, with one that uses AVX-512), since PyTorch brings a BLAS of its own. `numpy`: of the hand-written step's;
    None where the arrays are so small that the calls are all there is to measure.
    """
    what: str
    make: Callable
    torch: tuple
    numpy: float | None = 1.10


def mlp(sizes, batch, activation, optimizer, **hyper):
    """A multilayer perceptron on noise, x (batch, sizes[0]), with random labels t (batch,): 8 batches; He's weights.

    `activation` names the class in chainrule.layers and torch.nn, `optimizer` the one in chainrule.optimizers.
    """
    rng = np.random.default_rng(7)
    params = []
    for n_in, n_out in pairwise(sizes):
        W = rng.standard_normal((n_in, n_out), np.float32)
        W *= (2 / n_in) ** 0.5
        params += [W, np.zeros(n_out, np.float32)]
    batches = [(rng.standard_normal((batch, sizes[0]), np.float32), rng.integers(sizes[-1], size=batch))
               for _ in range(8)]
    return SimpleNamespace(sizes=sizes, params=params, batches=batches,
                           activation=activation, optimizer=optimizer, hyper=hyper)


WORKLOADS = {
    "W1": Workload(
        "spiral MLP 2-10-3, sigmoid, batch 30, SGD",
        partial(mlp, sizes=(2, 10, 3), batch=30, activation="Sigmoid", optimizer="SGD", lr=1.0),
        torch=(0.30, 0.30), numpy=None),
    "W2": Workload(
        "MLP 784-256-128-10, ReLU, batch 128, Momentum",
        partial(mlp, sizes=(784, 256, 128, 10), batch=128, activation="ReLU",
                optimizer="Momentum", lr=0.01, momentum=0.9),
        torch=(0.82, 0.60)),
    "W3": Workload(
        "MLP 1024-2048-2048-10, ReLU, batch 512, Adam",
        partial(mlp, sizes=(1024, 2048, 2048, 10), batch=512, activation="ReLU", optimizer="Adam", lr=1e-4),
        torch=(0.80, 0.50), numpy=1.05),
}
