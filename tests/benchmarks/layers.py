"""Single layers, forward and backward, and steps of optimizers: both floors beside PyTorch, in one process.

    python tests/benchmarks/layers.py                        one thread
    OMP_NUM_THREADS=2 python tests/benchmarks/layers.py Norm         two threads; those with "Norm" in their name

The three take turns, in a new order each time; each first runs for 10 ms uncounted, until the threads of the one before
sleep, then three times. The table gives the first fifth of the times of each, over PyTorch's: with one thread the
processor's time, which other programs change little. BLAS keeps to one thread for ours, as in a model. Needs torch;
without numba the columns of the two floors are the same.
"""
import argparse
import os

os.environ["OPENBLAS_NUM_THREADS"] = os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.pop("OPENBLAS_CORETYPE", None)

import time

import numpy as np
import torch

from chainrule import layers, optimizers
from chainrule.common.engine import compiled, threads

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("part", nargs="?", default="")
parser.add_argument("--rounds", type=int, default=25)
options = parser.parse_args()
THREADS = int(os.environ["OMP_NUM_THREADS"])
clock = time.process_time if THREADS == 1 else time.perf_counter
torch.set_num_threads(THREADS)
rng = np.random.default_rng(0)
SETTLING = 0.01      # seconds; PyTorch's threads stay awake for some milliseconds after a run, on a processor that ours need


def floats(*shape, last=False):
    """Random numbers; ``last``: with channels last in memory."""
    if not last:
        return rng.standard_normal(shape, np.float32)
    N, C, *rest = shape
    return np.moveaxis(rng.standard_normal((N, *rest, C), np.float32), -1, 1)


def layer(name, ours, theirs, x):
    y = ours.forward(x)
    dout = np.empty_like(y)
    dout[...] = rng.standard_normal(y.shape)
    last = x.ndim == 4 and not x.flags.c_contiguous
    memory = torch.channels_last if last else torch.contiguous_format
    tx = torch.tensor(x).contiguous(memory_format=memory).requires_grad_()
    td = torch.tensor(dout).contiguous(memory_format=memory)

    def run():
        ours.forward(x)
        ours.backward(dout)

    def run_theirs():
        y = theirs(tx)
        (y[0] if isinstance(y, tuple) else y).backward(td)
    return name, {"numpy": on("numpy", run), "compiled": on("compiled", run), "torch": run_theirs}


def step(name, make, theirs, shape=(2000, 1000)):
    g, runs = floats(*shape), {}
    for floor in "numpy", "compiled":
        p, optimizer = floats(*shape), make()
        runs[floor] = on(floor, lambda p=p, optimizer=optimizer: optimizer.update([p], [g]))
    parameter = torch.nn.Parameter(torch.tensor(floats(*shape)))
    parameter.grad = torch.tensor(g)
    return name, runs | {"torch": theirs([parameter]).step}


def on(floor, run):
    def there():
        with compiled.floor(floor), threads.one_thread():
            run()
    return there


def cases():
    nn = torch.nn
    for last in False, True:
        x, how = floats(32, 64, 32, 32, last=last), "channels last" if last else "as it reads"
        yield lambda x=x, how=how: layer(f"BatchNorm, {how}", layers.BatchNorm.init(64), nn.BatchNorm2d(64), x)
        yield lambda x=x, how=how: layer(f"GroupNorm, {how}", layers.GroupNorm.init(64, 8), nn.GroupNorm(8, 64), x)
    yield lambda: layer("BatchNorm (512, 1024)", layers.BatchNorm.init(1024), nn.BatchNorm1d(1024), floats(512, 1024))
    yield lambda: layer("LayerNorm (8192, 256)", layers.LayerNorm.init(256), nn.LayerNorm(256), floats(8192, 256))
    yield lambda: layer("LayerNorm (16, 64, 128)", layers.LayerNorm.init(128), nn.LayerNorm(128), floats(16, 64, 128))
    for name, ours, theirs in (("GELU", layers.GELU(), nn.GELU("tanh")), ("Sigmoid", layers.Sigmoid(), nn.Sigmoid()),
                               ("Tanh", layers.Tanh(), nn.Tanh()), ("ReLU", layers.ReLU(), nn.ReLU())):
        yield lambda name=name, ours=ours, theirs=theirs: layer(f"{name} (1024, 512)", ours, theirs, floats(1024, 512))
    for name, channels, size, how in (
            ("3x3", 32, 3, {}), ("7x7, stride 2", 32, 7, {"stride": 2, "padding": 3}), ("1x1", 64, 1, {}),
            ("3x3, stride 2", 32, 3, {"stride": 2, "padding": 1}), ("3x3, dilation 2", 32, 3, {"dilation": 2}),
            ("3x3, 4 groups", 32, 3, {"groups": 4}), ("3x3, depthwise", 32, 3, {"groups": 32, "padding": 1}),
            ("3x3, depthwise, stride 2", 32, 3, {"groups": 32, "padding": 1, "stride": 2}),
            ("3x3, depthwise, dilation 2", 32, 3, {"groups": 32, "padding": 2, "dilation": 2})):
        yield lambda name=name, channels=channels, size=size, how=how: layer(
            f"Convolution {name}", layers.Convolution.init(channels, channels, size, rng=0, **how),
            nn.Conv2d(channels, channels, size, **how), floats(32, channels, 32, 32, last=True))
    for name, ours, theirs in (("MaxPool 2", layers.MaxPool(2), nn.MaxPool2d(2)),
                               ("MaxPool 3, stride 2", layers.MaxPool(3, 2, 1), nn.MaxPool2d(3, 2, 1)),
                               ("AveragePool 2", layers.AveragePool(2), nn.AvgPool2d(2))):
        yield lambda name=name, ours=ours, theirs=theirs: layer(name, ours, theirs, floats(32, 32, 32, 32, last=True))
    for name, ours, theirs in (("RNN", layers.RNN, nn.RNN), ("LSTM", layers.LSTM, nn.LSTM), ("GRU", layers.GRU, nn.GRU)):
        for units in 100, 512:
            yield lambda name=name, ours=ours, theirs=theirs, units=units: layer(
                f"{name} of {units}", ours.init(units, units, rng=0), theirs(units, units, batch_first=True),
                floats(20, 35, units))
    yield lambda: step("SGD, 2,000,000", optimizers.SGD, lambda p: torch.optim.SGD(p, 0.01))
    yield lambda: step("Momentum, 2,000,000", optimizers.Momentum, lambda p: torch.optim.SGD(p, 0.01, momentum=0.9))
    yield lambda: step("Adam, 2,000,000", optimizers.Adam, torch.optim.Adam)


def measured(runs):
    times = {name: [] for name in runs}
    for run in runs.values():
        run()
        run()
    for _ in range(options.rounds):
        for name in rng.permutation(list(runs)):
            until = time.perf_counter() + SETTLING
            while time.perf_counter() < until:
                runs[name]()
            for _ in range(3):
                start = clock()
                runs[name]()
                times[name].append(clock() - start)
    return {name: float(np.percentile(t, 20)) for name, t in times.items()}


print(f"{THREADS} thread{'s' * (THREADS > 1)}; milliseconds, and over PyTorch's")
for case in cases():
    name, runs = case()
    if options.part in name:
        times = measured(runs)
        print(f"{name:40}" + "".join(f"{floor:>12} {1e3 * t:7.2f} {t / times['torch']:5.2f}"
                                     for floor, t in times.items()), flush=True)
