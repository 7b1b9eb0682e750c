"""How the cost of a training step grows: with the batch, the width, the depth and the length of a sequence.

    python tests/benchmarks/growth.py --picture docs/growth.png              one thread, some five minutes

Beside each step stand its matrix products alone, on arrays of the same sizes, in turns; the median of the rounds counts.
What lies between the two lines is everything else: Python, activations, the loss, the optimizer.
"""
import argparse
import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
os.environ.pop("OPENBLAS_CORETYPE", None)

import time
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np

from chainrule.layers import LSTM, Affine, Last, SoftmaxWithLoss
from chainrule.models import MLP, Sequential
from chainrule.optimizers import Momentum

rng = np.random.default_rng(0)


def floats(*shape):
    return rng.standard_normal(shape, np.float32)


def training_step(model, x, classes):
    t, optimizer = rng.integers(classes, size=len(x)), Momentum(0.01)

    def step():
        model.forward(x, t)
        model.backward()
        optimizer.update(model.params, model.grads)
    return step


def mlp(batch=64, width=128, depth=3):
    """(step, its products, samples)."""
    sizes = [64, *[width] * (depth - 1), 10]
    step = training_step(MLP(sizes, rng=0), floats(batch, 64), 10)
    arrays = [(floats(batch, i), floats(i, o), floats(batch, o)) for i, o in pairwise(sizes)]

    def products():
        for k, (x, W, dy) in enumerate(arrays):
            x.dot(W)
            x.T.dot(dy)
            if k:
                dy.dot(W.T)
    return step, products, batch


def lstm(T=32, batch=20, units=64):
    model = Sequential(LSTM.init(units, units, rng=0), Last(), Affine.init(units, 10, rng=1), loss=SoftmaxWithLoss())
    step = training_step(model, floats(batch, T, units), 10)
    x, Wx, h, da = floats(T * batch, units), floats(units, 4 * units), floats(batch, units), floats(batch, 4 * units)
    every = floats(T * batch, 4 * units)

    def products():
        x.dot(Wx)
        for _ in range(T):
            h.dot(Wx)
        for _ in range(T):
            da.dot(Wx.T)
        x.T.dot(every)
        x.T.dot(every)
    return step, products, batch * T


def sweeps():
    yield "batch", [1, 4, 16, 64, 256, 1024, 4096], lambda n: mlp(batch=n), "sample"
    yield "width", [16, 64, 256, 1024, 4096], lambda n: mlp(width=n), "sample"
    yield "depth", [2, 5, 10, 20, 50, 100, 200], lambda n: mlp(depth=n), "sample"
    yield "T", [8, 32, 128, 512, 1024], lambda n: lstm(T=n), "time step of a sequence"


def measured(step, products, seconds):
    """Seconds of a step and of its products."""
    times, end = ([], []), time.perf_counter() + seconds
    step()
    products()
    while time.perf_counter() < end or len(times[0]) < 5:
        for function, found in zip((step, products), times):
            start = time.perf_counter()
            function()
            found.append(time.perf_counter() - start)
    return map(median, times)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each point")
    options = parser.parse_args()
    curves = []
    for name, values, make, unit in sweeps():
        rows = []
        for value in values:
            step, products, samples = make(value)
            whole, bare = (1e6 * t / samples for t in measured(step, products, options.seconds))
            rows.append((value, whole, bare))
            print(f"{name:6}{value:6}   {whole:10.2f} µs a {unit}, products alone {bare:10.2f}   {bare / whole:5.2f}", flush=True)
        curves.append((name, unit, rows))
    if options.picture:
        draw(curves, options.picture)


def draw(curves, path):
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    fig, axes = plt.subplots(1, 4, figsize=(12, 3.2), layout="constrained")
    for ax, (name, unit, rows) in zip(axes, curves):
        values, whole, bare = zip(*rows)
        ax.loglog(values, whole, "o-", label="training step")
        ax.loglog(values, bare, "s--", label="its products alone")
        ax.set_xlabel(name)
        ax.set_title(f"µs a {unit}", fontsize=10)
        ax.grid(alpha=0.3, which="both")
    axes[0].legend()
    fig.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
