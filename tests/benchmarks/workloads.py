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


def he(rng, shape, n_in):
    W = rng.standard_normal(shape, np.float32)
    W *= (2 / n_in) ** 0.5
    return W


def noise(rng, shape, classes, batch):
    """8 batches of random images or vectors x (batch, *shape) with random labels t (batch,)."""
    return [(rng.standard_normal((batch, *shape), np.float32), rng.integers(classes, size=batch)) for _ in range(8)]


def mlp(sizes, batch, activation, optimizer, **hyper):
    """A multilayer perceptron on noise, x (batch, sizes[0]); He's weights.

    `activation` names the class in chainrule.layers and torch.nn, `optimizer` the one in chainrule.optimizers.
    """
    rng, params = np.random.default_rng(7), []
    for n_in, n_out in pairwise(sizes):
        params += [he(rng, (n_in, n_out), n_in), np.zeros(n_out, np.float32)]
    return SimpleNamespace(sizes=sizes, params=params, batches=noise(rng, sizes[:1], sizes[-1], batch),
                           activation=activation, optimizer=optimizer, hyper=hyper)


def cnn(shape, convolutions, sizes, batch, optimizer, **hyper):
    """A convolutional network on noise, x (batch, *shape) with square images; He's weights.

    `convolutions` lists (filters, size, padding, pool): square filters of stride 1, a ReLU, and if `pool` says so a 2x2
    maximum pooling. `sizes`, which comes back complete, are those of the affine layers at the end, ReLU between them.
    """
    rng, params = np.random.default_rng(7), []
    channels, side, _ = shape
    for filters, size, padding, pool in convolutions:
        W = he(rng, (filters, channels, size, size), channels * size * size)
        params += [W, np.zeros(filters, np.float32)]
        channels, side = filters, (side + 2 * padding - size + 1) // (1 + pool)
    sizes = channels * side * side, *sizes
    for n_in, n_out in pairwise(sizes):
        params += [he(rng, (n_in, n_out), n_in), np.zeros(n_out, np.float32)]
    return SimpleNamespace(convolutions=convolutions, sizes=sizes, params=params,
                           batches=noise(rng, shape, sizes[-1], batch), optimizer=optimizer, hyper=hyper)


def gaussian(rng, *shape, std=0.1):
    W = rng.standard_normal(shape, np.float32)
    W *= std
    return W


def tokens(rng, classes, *shapes):
    """8 batches of arrays of random ids, one of each shape."""
    return [tuple(rng.integers(classes, size=shape) for shape in shapes) for _ in range(8)]


def lstm(vocabulary, dimension, hidden, steps, batch, optimizer, clip, **hyper):
    """A language model: words x (batch, steps) -> vectors -> LSTM -> scores of all words; t (batch, steps) of the next.

    The state goes on from batch to batch; gradients are clipped to the norm `clip`.
    """
    rng, zeros = np.random.default_rng(7), partial(np.zeros, dtype=np.float32)
    params = [gaussian(rng, vocabulary, dimension), gaussian(rng, dimension, 4 * hidden),
              gaussian(rng, hidden, 4 * hidden), zeros(4 * hidden), gaussian(rng, hidden, vocabulary), zeros(vocabulary)]
    return SimpleNamespace(vocabulary=vocabulary, dimension=dimension, hidden=hidden, params=params, clip=clip,
                           batches=tokens(rng, vocabulary, (batch, steps), (batch, steps)), optimizer=optimizer, hyper=hyper)


def transformer(vocabulary, dimension, heads, steps, batch, optimizer, **hyper):
    """One block of a causal Transformer, pre-norm: tokens x (batch, steps) -> scores of the next one, t (batch, steps).

    The parameters are those of chainrule's TransformerLM, in its order.
    """
    rng, D = np.random.default_rng(7), dimension
    norm = np.ones(D, np.float32), np.zeros(D, np.float32)

    def affine(n_in, n_out):
        return gaussian(rng, n_in, n_out, std=n_in ** -0.5), np.zeros(n_out, np.float32)

    params = [gaussian(rng, vocabulary, D), gaussian(rng, steps, D),
              *norm, *affine(D, D), *affine(D, D), *affine(D, D), *affine(D, D),
              *norm, *affine(D, 4 * D), *affine(4 * D, D), *norm, *affine(D, vocabulary)]
    return SimpleNamespace(vocabulary=vocabulary, dimension=D, heads=heads, params=params,
                           batches=tokens(rng, vocabulary, (batch, steps), (batch, steps)), optimizer=optimizer, hyper=hyper)


def cbow(vocabulary, dimension, context, negatives, batch, optimizer, **hyper):
    """Word vectors: the mean vector of some words around against a true word and random others.

    A batch is (words around, words in question, labels): the first word in question is the true one, its label is 1.
    """
    rng, asked = np.random.default_rng(7), 1 + negatives
    params = [gaussian(rng, vocabulary, dimension), gaussian(rng, vocabulary, dimension)]
    labels = np.zeros((batch, asked), np.float32)
    labels[:, 0] = 1
    return SimpleNamespace(params=params, asked=asked, optimizer=optimizer, hyper=hyper, batches=[
        (*words, labels) for words in tokens(rng, vocabulary, (batch, context), (batch, asked))])


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
    "W4": Workload(
        "LeNet-5 on 28x28, batch 64, Momentum",
        partial(cnn, shape=(1, 28, 28), convolutions=((6, 5, 2, True), (16, 5, 0, True)), sizes=(120, 84, 10), batch=64,
                optimizer="Momentum", lr=0.01, momentum=0.9),
        torch=(0.95, 0.65)),
    "W5": Workload(
        "VGG-like on 3x32x32 (32-32-pool-64-64-pool-256-10), batch 64, Adam",
        partial(cnn, shape=(3, 32, 32), sizes=(256, 10), batch=64, optimizer="Adam", lr=3e-5,
                convolutions=((32, 3, 1, False), (32, 3, 1, True), (64, 3, 1, False), (64, 3, 1, True))),
        torch=(1.0, 0.75)),
    "W6": Workload(
        "LSTM language model, 10,000 words, D 100, H 100, T 35, batch 20, SGD with clipping",
        partial(lstm, vocabulary=10_000, dimension=100, hidden=100, steps=35, batch=20, clip=0.25,
                optimizer="SGD", lr=20.0),
        torch=(0.62, 0.45)),
    "W7": Workload(
        "Transformer block, 100 tokens, d 128, 4 heads, T 64, batch 16, Adam",
        partial(transformer, vocabulary=100, dimension=128, heads=4, steps=64, batch=16, optimizer="Adam", lr=1e-3),
        torch=(0.85, 0.58)),
    "W8": Workload(
        "CBOW, 10,000 words, 5 negative samples, H 100, 10 words around, batch 100, Adam",
        partial(cbow, vocabulary=10_000, dimension=100, context=10, negatives=5, batch=100, optimizer="Adam", lr=1e-3),
        torch=(0.40, 0.40)),
    "W8s": Workload(
        "the same with SGD, on the rows that occur",
        partial(cbow, vocabulary=10_000, dimension=100, context=10, negatives=5, batch=100, optimizer="SGD", lr=0.5),
        torch=(0.30, 0.30)),
}
