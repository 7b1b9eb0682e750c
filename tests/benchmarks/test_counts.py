"""What a training step costs, in counts that need no quiet machine: memory held and asked for, and products made.

``python tests/benchmarks/counts.py`` prints them. A change that costs more fails here; one that costs less should lower
the figures.
"""
import importlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from chainrule.common.engine import compiled
from chainrule.layers import Affine

FLOORS = "numpy", pytest.param("compiled", marks=pytest.mark.skipif(
    not compiled.installed(), reason="numba is not installed: no loops to compile"))


def loss(classes, scores=1):
    """Numbers a row: the scores, which ``model.output`` is, their exponentials and the sum of these; and 8 bytes for
    where the label stands."""
    return 4 * ((scores + 1) * classes + 1) + 8


def window(values):
    """Bytes of notes of a 2 x 2 maximum pooling of so many values: one in each row, one among the rows."""
    return values // 2 + values // 4


def affine(n, first=True):
    """Products of n Affine layers: y, dW, db and, but for the first layer of a model, dx."""
    return 4 * n - first


# Bytes that a forward leaves for backward: what an activation keeps is the next layer's input, and there once.
HELD = {
    "W1": 4096 * (4 * 10 + loss(3)),
    "W2": 128 * (4 * (256 + 128) + loss(10)),
    "W3": 512 * (4 * (2048 + 2048) + loss(10)),
    # a ReLU's output and the pooled one, twice; two hidden layers
    "W4": 64 * (4 * (6 * 28**2 + 6 * 14**2 + 16 * 10**2 + 16 * 5**2 + 120 + 84)
                + window(6 * 28**2) + window(16 * 10**2) + loss(10)),
    "W5": 64 * (4 * (2 * 32 * 32**2 + 32 * 16**2 + 2 * 64 * 16**2 + 64 * 8**2 + 256)
                + window(32 * 32**2) + window(64 * 16**2) + loss(10)),
    # the LSTM: 4 gates, tanh c, its input and output; h and c of 36 steps, the state that goes on, two scales of the gates
    "W6": 35 * 20 * (4 * (4 + 1 + 1 + 1) * 100 + loss(10_000)) + 4 * 100 * (2 * 36 * 20 + 2 * 20 + 2 * 4),
    # LayerNorms 3 x (u, y, s), q, k, v, their mean and the heads joined; GELU: x, Φ, y; 4 heads' weights; the mask
    "W7": 16 * 64 * (4 * ((3 * 2 + 5) * 128 + 3 + 3 * 512 + 4 * 64) + loss(100)) + 64**2,
    # the vectors of 6 words in question, the mean of those around, the scores
    "W8": 4 * 100 * (6 * 100 + 100 + 6) + 2 * 8,
}
HELD["W8s"] = HELD["W8"]
HELD_BY_LOOPS = {"W4": -64 * 2 * (6 * 14**2 + 16 * 5**2), "W5": -64 * 2 * (32 * 16**2 + 64 * 8**2),
                 "W7": 4 * 16 * 64 * (3 - 512)}               # of a LayerNorm each row's mean too; of a GELU x alone
# Products of forward and backward. The loss adds up exponentials by one, over a large matrix piece by piece. A
# convolution makes one for each piece of images in forward, another for dW and for dx in backward, one for db.
PRODUCTS = {
    "W1": affine(2) + 1,
    "W2": affine(3) + 1,
    "W3": affine(3) + 1,
    "W4": affine(3, first=False) + 1 + 4 + (4 + 2 + 2),
    "W5": affine(2, first=False) + 1 + (7 + 4) + 4,            # of the first convolution alone, and each one's db
    "W6": affine(1, first=False) + 22 + 35 + 35 + 5,           # each step's h Wh and dq Whᵀ; x Wx, dx, dWx, dWh, db
    "W7": affine(7, first=False) + 1 + 2 + 4 + 2,              # attention: two, back four, and the softmax's two sums
    "W8": 3,                                                   # the mean, the scores, back from them
}
PRODUCTS["W8s"] = PRODUCTS["W8"]
# a LayerNorm's means and sums; the other three convolutions, with window matrices or with Winograd's tiles
PRODUCTS_OF_PAGES = {"W5": 109 + 2 * 128, "W7": 3 * 6}
PRODUCTS_OF_LOOPS = {"W5": 3 * 112}
# (arrays of 64 KiB or more, KiB at most beyond what is held): what is asked for and given back within the step. On
# pages the temporaries of Adam, GELU and the normalisations count, loops have none; a convolution asks for one window
# matrix and its product per piece, or with Winograd's tiles for sums over eight shares of these.
ASKED = {
    "W1": {"numpy": (9, 640), "compiled": (9, 640)},
    "W2": {"numpy": (15, 322), "compiled": (8, 322)},
    "W3": {"numpy": (1747, 9250), "compiled": (8, 8234)},
    "W4": {"numpy": (77, 2681), "compiled": (54, 2357)},
    "W5": {"numpy": (620, 18473), "compiled": (263, 18275)},
    "W6": {"numpy": (102, 27619), "compiled": (55, 27618)},
    "W7": {"numpy": (159, 5386), "compiled": (53, 5253)},
    "W8": {"numpy": (80, 2113), "compiled": (16, 2113)},
    "W8s": {"numpy": (12, 1359), "compiled": (10, 1359)},
}


@pytest.fixture(scope="module")
def counts():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent)
        yield importlib.import_module("counts")


@pytest.mark.parametrize("floor", FLOORS)
@pytest.mark.parametrize("workload", HELD)
def test_a_step_costs_what_it_must(counts, workload, floor):
    with compiled.floor(floor):
        step = counts.counted(workload)
    loops = floor == "compiled"
    assert step.held == HELD[workload] + loops * HELD_BY_LOOPS.get(workload, 0)
    more = (PRODUCTS_OF_LOOPS if loops else PRODUCTS_OF_PAGES).get(workload, 0)
    assert step.products == PRODUCTS[workload] + more
    arrays, peak = ASKED[workload][floor]
    assert step.arrays <= arrays
    assert step.peak / 1024 < 1.02 * peak + 16                 # Python's own objects differ from version to version


def test_every_workload_has_figures(counts):
    assert set(HELD) == set(PRODUCTS) == set(ASKED) == set(counts.WORKLOADS)


@pytest.mark.parametrize("what, more", [("held", lambda layer, x: setattr(layer, "again", x.copy())),
                                        ("products", lambda layer, x: np.dot(x, layer.W)),
                                        ("products", lambda layer, x: x.dot(layer.W)),
                                        ("products", lambda layer, x: np.einsum("ni,io->no", x, layer.W)),
                                        ("arrays", lambda layer, x: x + 1), ("peak", lambda layer, x: np.tile(x, 9))])
def test_what_costs_more_is_seen(counts, monkeypatch, what, more):
    before, forward = counts.counted("W2"), Affine.forward
    monkeypatch.setattr(Affine, "forward", lambda layer, x: (forward(layer, x), more(layer, x))[0])
    assert getattr(counts.counted("W2"), what) > 1.03 * getattr(before, what)


def test_large_arrays_are_counted_while_the_block_lasts_and_outlive_it(counts):
    seen = SimpleNamespace(arrays=0)
    with counts.arrays_counted(seen):
        kept = [np.ones(counts.LARGE // 8), np.zeros(counts.LARGE // 8), np.empty(counts.LARGE // 8 - 1)]
    np.ones(counts.LARGE)
    assert seen.arrays == 2
    kept[0].resize(counts.LARGE)                               # its memory is managed by what made it
    kept.clear()
