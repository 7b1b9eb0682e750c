"""What the functions of common/engine save: their time over that of the plain expressions in their docstrings.

    python tests/benchmarks/engine.py                  one thread; both take turns, medians

Below 1 the engine is faster.
"""
import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import argparse
import time

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from chainrule.common.engine import (
    channels,
    convolution,
    normalization,
    pieces,
    pooling,
    products,
    recurrence,
    rows,
    softmax,
    squares,
)
from chainrule.layers import GRUCell, LSTMCell, RNNCell

rng = np.random.default_rng(0)


def floats(*shape):
    return rng.standard_normal(shape, np.float32)


def rows_with_mean(x, eps=1e-5):
    return (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + eps)


def rows_back(du, u, s):
    return s * (du - du.mean(axis=-1, keepdims=True) - u * (du * u).mean(axis=-1, keepdims=True))


def plain_softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def plain_exponentials(x):
    top = x.max(axis=1)
    e = np.exp(x - top[:, None])
    return e, top, e.sum(axis=1)


def one_product(x, W):
    """All windows at once."""
    windows = sliding_window_view(x, W.shape[2:], axis=(2, 3))
    return np.tensordot(windows, W, axes=((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2)


def step_of_adam(arrays, cut):
    for p, g, m, v in pieces.pieces(*arrays) if cut else [arrays]:
        m *= 0.9
        m += 0.1 * g
        v *= 0.999
        v += 0.001 * (g * g)
        p -= 1e-3 * m / (np.sqrt(v) + 1e-8)


def scattered(shape, ids, values):
    dW = np.zeros(shape, np.float32)
    np.add.at(dW, ids, values)


def run_cells(cell, x, state):
    for t in range(x.shape[1]):
        new = cell.forward(x[:, t], *state)
        state = new if isinstance(new, tuple) else (new,)


def cases():
    """(name, engine, plain)."""
    x, W = floats(32, 64, 128), floats(128, 128)
    yield "product (32, 64, 128)", lambda: products.product(x, W), lambda: x @ W
    few, V = floats(32, 1024), floats(512, 1024)
    yield "product (32, 1024) (512, 1024).T", lambda: products.product(few, V.T), lambda: few @ V.T
    for name, Wh, N in ("forward", floats(512, 2048), 20), ("back", floats(512, 2048).T, 20):
        h, times = floats(N, len(Wh)), products.repeated(Wh, N, 35)
        yield f"repeated, an LSTM of 512 {name}", lambda h=h, times=times: times(h), lambda h=h, Wh=Wh: h.dot(Wh)
    a = floats(4096, 256)
    yield "column_sums (4096, 256)", lambda: products.column_sums(a), lambda: a.sum(axis=0)
    yield "row_sums (4096, 256)", lambda: products.row_sums(a), lambda: a.sum(axis=1, keepdims=True)
    image = np.ascontiguousarray(floats(32, 28, 28, 6)).transpose(0, 3, 1, 2)
    yield "channel_sums (32, 6, 28, 28)", lambda: channels.channel_sums(image), lambda: image.sum(axis=(0, 2, 3))
    u, s, *_ = normalization.standardize(a, normalization.row_means, 1e-5)
    yield "standardize", lambda: normalization.standardize(a, normalization.row_means, 1e-5), lambda: rows_with_mean(a)
    yield ("standardize_back", lambda: normalization.standardize_back(a, u, s, normalization.row_means),
           lambda: rows_back(a, u, s))
    scores, out = floats(16, 4, 64, 64), np.empty((16, 4, 64, 64), np.float32)
    yield "softmax (16, 4, 64, 64)", lambda: softmax.softmax(scores, out=out), lambda: plain_softmax(scores)
    wide = floats(700, 10_000)
    yield "exponentials (700, 10000)", lambda: softmax.exponentials(wide), lambda: plain_exponentials(wide)
    for shape, filters in ((32, 1, 28, 28), (6, 1, 5, 5)), ((32, 32, 32, 32), (32, 32, 3, 3)):
        y, V = floats(*shape), floats(*filters)
        yield f"convolve {shape[1:]}, {filters}", lambda y=y, V=V: convolution.convolve(y, V), lambda y=y, V=V: one_product(y, V)
    picture = floats(32, 16, 28, 28)
    yield ("max_pool 2", lambda: pooling.max_pool(picture, (2, 2), (2, 2), (0, 0)),
           lambda: picture.reshape(32, 16, 14, 2, 14, 2).max(axis=(3, 5)))
    arrays = [floats(2000, 1000) for _ in range(4)]
    arrays[3] = np.abs(arrays[3])
    yield "Adam in pieces, 2,000,000", lambda: step_of_adam(arrays, True), lambda: step_of_adam(arrays, False)
    ids, values, dW = rng.integers(0, 10_000, 1000), floats(1000, 100), rows.RowGradient.zeros_like(floats(10_000, 100))
    yield "RowGradient.write", lambda: dW.write(ids, values), lambda: scattered(dW.shape, ids, values)
    gradients = [floats(784, 256), floats(256), floats(256, 128), floats(128), floats(128, 10), floats(10)]
    yield ("SumOfSquares of an MLP's gradients", squares.SumOfSquares(gradients),
           lambda: all(np.isfinite(g).all() for g in gradients))
    small = [floats(n) for n in (20, 10, 30, 3)]
    yield "SumOfSquares, 63", squares.SumOfSquares(small), lambda: all(np.isfinite(g).all() for g in small)
    for kind, cell in (recurrence.Elman, RNNCell), (recurrence.LSTM, LSTMCell), (recurrence.GRU, GRUCell):
        for N, H in (20, 100), (64, 256):
            step, sequence = cell.init(H, H, rng=0), floats(N, 35, H)
            first = np.zeros((len(step.state_names), N, H), np.float32)
            yield (f"{cell.__name__}, N {N}, H {H}",
                   lambda k=kind, c=step, x=sequence, f=first: recurrence.forward(k, x, f, c.params),
                   lambda c=step, x=sequence, f=first: run_cells(c, x, tuple(f)))


def timed(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="for each function")
    options = parser.parse_args()
    for name, engine, plain in cases():
        both, end = [], time.perf_counter() + options.seconds
        while len(both) < 7 or time.perf_counter() < end:
            both.append((timed(engine), timed(plain)))
        times, others = np.median(both[2:], axis=0)
        print(f"{name:36} {times / others:6.2f}   {1e3 * times:8.3f} ms, {1e3 * others:8.3f} ms", flush=True)


if __name__ == "__main__":
    main()
