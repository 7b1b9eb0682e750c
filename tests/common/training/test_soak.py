"""Long trainings: a step takes the same memory and time, and the record grows by its numbers."""
import gc
import time
import tracemalloc

import numpy as np
import pytest

from chainrule.datasets import make_spiral
from chainrule.models import TwoLayerNet
from chainrule.optimizers import Adam
from chainrule.training import Trainer

X, T = make_spiral(rng=0)
X = X[:30].astype(np.float32)
T = T[:30]
BYTES = 4 * 8 * 1.2                  # of a step: number, loss, rate and epoch, and room to grow


def by_hand(watch, steps):
    model, optimizer = TwoLayerNet(2, 10, 3, rng=0), Adam()
    for _ in range(steps):
        model.forward(X, T)
        model.backward()
        optimizer.update(model.params, model.grads)
        watch()


def by_trainer(watch, steps):
    """One epoch, in which the batches are watched as they are drawn."""
    def batches():
        for _ in range(steps):
            watch()
            yield X, T
    trainer = Trainer(TwoLayerNet(2, 10, 3, rng=0), Adam())
    trainer.fit(batches=batches, steps_per_epoch=steps, epochs=1, progress=False)
    assert len(trainer.history.steps["epoch"]) == steps


def by_epochs(watch, steps):
    """As many epochs of one step each: two tables grow, of six columns and of three."""
    trainer = Trainer(TwoLayerNet(2, 10, 3, rng=0), Adam())
    trainer.fit(batches=lambda: [(X, T)], epochs=steps, progress=False,
                callbacks=[lambda trainer: watch()])


WAYS = {by_hand: 0.5, by_trainer: BYTES, by_epochs: 7 / 4 * BYTES}


def bytes_per_step(train, steps):
    """What a step leaves behind, measured from the second tenth of a training to its end."""
    held, count = [], 0

    def watch():
        nonlocal count
        count += 1
        if count in (steps // 5, steps):
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.start()
    try:
        train(watch, steps)
    finally:
        tracemalloc.stop()
    return (held[1] - held[0]) / (steps - steps // 5)


@pytest.mark.parametrize("train", WAYS, ids=lambda train: train.__name__)
def test_a_step_leaves_its_numbers_and_no_more(train):
    assert bytes_per_step(train, 3000) < WAYS[train]


@pytest.mark.slow
@pytest.mark.parametrize("train", WAYS, ids=lambda train: train.__name__)
def test_two_hundred_thousand_steps(train):
    steps, times = 200_000, []

    def watch():
        times.append(time.process_time())
    train(watch, steps)
    blocks = np.diff(times[::1000])
    assert np.median(blocks[-40:]) < 1.2 * np.median(blocks[:40])
    assert bytes_per_step(train, 20_000) < WAYS[train]
