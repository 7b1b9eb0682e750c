"""What `Trainer.fit` costs beside the three lines of a step by hand, on W1, the smallest of steps."""
import importlib
import time
from pathlib import Path
from statistics import median

import pytest

from chainrule import layers, models, optimizers
from chainrule.training import Trainer


@pytest.fixture(scope="module")
def w1():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent)
        return importlib.import_module("workloads").WORKLOADS["W1"].make()


def parts(w):
    (W, b, V, c), activation = w.params, getattr(layers, w.activation)
    model = models.Sequential(layers.Affine(W.copy(), b.copy()), activation(),
                              layers.Affine(V.copy(), c.copy()), loss=layers.SoftmaxWithLoss())
    return model, getattr(optimizers, w.optimizer)(**w.hyper)


def by_hand(w, epochs):
    model, optimizer = parts(w)
    start = time.process_time()
    for _ in range(epochs):
        for x, t in w.batches:
            model.forward(x, t)
            model.backward()
            optimizer.update(model.params, model.grads)
    return time.process_time() - start


def by_trainer(w, epochs):
    trainer = Trainer(*parts(w))
    start = time.process_time()
    trainer.fit(batches=lambda: w.batches, epochs=epochs, progress=False)
    return time.process_time() - start


@pytest.mark.slow
def test_fit_costs_at_most_forty_per_cent(w1):
    """Each pair of times is taken back to back, as other work on the machine slows both."""
    assert median(by_trainer(w1, 60) / by_hand(w1, 60) for _ in range(41)) < 1.4
