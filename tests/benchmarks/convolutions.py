"""Every kind of convolution and pooling by itself, forward and backward, beside PyTorch's where it is installed.

    python tests/benchmarks/convolutions.py               all kinds
    python tests/benchmarks/convolutions.py depthwise     those with the word in their name

CPU time on one thread, medians over rounds in which the two take turns. In training PyTorch keeps its arrays, and so
do we; here both get fresh ones, so that small differences mean nothing.
"""
import os
import sys
import time
from statistics import median

if __name__ == "__main__":
    os.environ |= dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"], "1")
import numpy as np

from chainrule.layers import AveragePool, Convolution, MaxPool

ROUNDS = 9
KINDS = {                                                     # images, channels, side; filters, size, options
    "5x5, one channel": (64, 1, 28, 6, 5, dict(padding=2)),
    "5x5, few channels": (64, 6, 14, 16, 5, {}),
    "3x3, colours": (64, 3, 32, 32, 3, dict(padding=1)),
    "3x3, 32 channels": (16, 32, 32, 32, 3, dict(padding=1)),
    "3x3, 64 channels": (16, 64, 16, 64, 3, dict(padding=1)),
    "3x3, 512 channels": (4, 512, 7, 512, 3, dict(padding=1)),
    "1x1": (16, 64, 32, 64, 1, {}),
    "1x1, stride 2": (16, 64, 32, 128, 1, dict(stride=2)),
    "3x3, stride 2": (16, 64, 32, 128, 3, dict(stride=2, padding=1)),
    "7x7, colours, stride 2": (4, 3, 112, 64, 7, dict(stride=2, padding=3)),
    "11x11, colours, stride 4": (2, 3, 227, 96, 11, dict(stride=4)),
    "3x3, dilated": (16, 32, 32, 32, 3, dict(padding=2, dilation=2)),
    "3x3, four groups": (16, 64, 16, 64, 3, dict(padding=1, groups=4)),
    "5x5, two groups": (2, 96, 27, 256, 5, dict(padding=2, groups=2)),
    "3x3, depthwise": (32, 32, 32, 32, 3, dict(padding=1, groups=32)),
    "3x3, depthwise, stride 2": (32, 64, 32, 64, 3, dict(padding=1, groups=64, stride=2)),
    "5x5, depthwise": (32, 16, 32, 16, 5, dict(padding=2, groups=16)),
    "maximum 2x2": (32, 64, 32, MaxPool, 2, {}),
    "maximum 2x2, few channels": (64, 6, 28, MaxPool, 2, {}),
    "maximum 3x3, stride 2": (32, 64, 32, MaxPool, 3, dict(stride=2, padding=1)),
    "mean 2x2": (32, 64, 32, AveragePool, 2, {}),
}


def ours(N, C, side, filters, size, options):
    """A function that goes forward and back once, channels last in memory, as between two of our layers."""
    layer = filters(size, **options) if isinstance(filters, type) else Convolution.init(C, filters, size, rng=0, **options)
    x = np.random.default_rng(0).standard_normal((N, side, side, C), np.float32).transpose(0, 3, 1, 2)
    dy = np.ones_like(layer.forward(x))
    return lambda: (layer.forward(x), layer.backward(dy))


def theirs(torch, N, C, side, filters, size, options):
    """The same in PyTorch's own order of memory."""
    names = {MaxPool: torch.nn.MaxPool2d, AveragePool: torch.nn.AvgPool2d}
    layer = names[filters](size, **options) if filters in names else torch.nn.Conv2d(C, filters, size, **options)
    x = torch.randn((N, C, side, side), requires_grad=True)
    dy = torch.ones_like(layer(x))
    return lambda: layer(x).backward(dy)


def milliseconds(function):
    start = time.process_time()
    function()
    return 1e3 * (time.process_time() - start)


def main(words):
    try:
        import torch
        torch.set_num_threads(1)
    except ImportError:
        torch = None
    print(f"{'forward and backward':28} {'chainrule ms':>13} {'torch ms':>9} {'ratio':>6}")
    for kind, what in KINDS.items():
        if not all(word in kind for word in words):
            continue
        steps = [ours(*what)] + ([theirs(torch, *what)] if torch else [])
        times = [[milliseconds(step) for step in steps] for _ in range(ROUNDS + 1)][1:]
        mine, *other = (median(column) for column in zip(*times))
        print(f"{kind:28} {mine:13.2f}", *(f"{t:9.2f} {mine / t:6.2f}" for t in other), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
