"""Six steps of every optimizer, and the schedules, against PyTorch's, stored in data/ by tests/make_torch_reference.py.

Start and gradients are float32 numbers, the same for all; the stored steps are PyTorch's in float64. The rule: no entry is
further from the reference than 1e-10 (float64) or 1e-5 (float32) times the largest entry of its array.
"""
import copy
from pathlib import Path

import numpy as np
import pytest

from chainrule import optimizers as O
from chainrule.optimizers import cosine_decay, step_decay, warmup

PATH = Path(__file__).parent / "data" / "steps.npz"
TOLERANCE = {np.float64: 1e-10, np.float32: 1e-5}
SCHEDULES = {
    "step_decay": step_decay(0.2, every=2, factor=0.5),
    "cosine_decay": cosine_decay(0.2, steps=5, final_lr=0.02),
    "warmup": warmup(0.2, steps=4),
    "warmup, cosine_decay": warmup(cosine_decay(0.2, steps=4), steps=2),
}
CASES = {
    "SGD": O.SGD(0.2),
    "SGD, weight decay": O.SGD(0.2, weight_decay=0.3),
    "SGD, weight decay, schedule": O.SGD(SCHEDULES["step_decay"], weight_decay=0.3),
    "Momentum": O.Momentum(0.2, momentum=0.7),
    "Momentum, schedule": O.Momentum(SCHEDULES["step_decay"], momentum=0.7),
    "Nesterov": O.Nesterov(0.2, momentum=0.7),
    "Nesterov, schedule": O.Nesterov(SCHEDULES["cosine_decay"], momentum=0.7),
    "AdaGrad": O.AdaGrad(0.2, eps=0.01),
    "AdaGrad, schedule": O.AdaGrad(SCHEDULES["warmup"]),
    "RMSProp": O.RMSProp(0.02, decay=0.8, eps=0.01),
    "RMSProp, schedule": O.RMSProp(SCHEDULES["cosine_decay"]),
    "RMSProp, centered": O.RMSProp(0.02, decay=0.8, eps=0.01, centered=True),
    "AdaDelta": O.AdaDelta(eps=0.01),
    "AdaDelta, schedule": O.AdaDelta(SCHEDULES["step_decay"], rho=0.7),
    "Adam": O.Adam(0.2, beta1=0.7, beta2=0.8, eps=0.01),
    "Adam, schedule": O.Adam(SCHEDULES["warmup"]),
    "Adam, amsgrad": O.Adam(0.2, beta1=0.7, beta2=0.5, eps=0.01, amsgrad=True),
    "AdamW": O.AdamW(0.2, beta1=0.7, beta2=0.8, eps=0.01, weight_decay=0.3),
    "AdamW, schedule": O.AdamW(SCHEDULES["warmup, cosine_decay"], weight_decay=0.3),
    "AdamW, amsgrad": O.AdamW(0.2, beta1=0.7, beta2=0.5, eps=0.01, weight_decay=0.3, amsgrad=True),
    "AdaMax": O.AdaMax(0.2, beta1=0.7, beta2=0.8, eps=0.01),
    "AdaMax, schedule": O.AdaMax(SCHEDULES["warmup"]),
}


@pytest.fixture(scope="module")
def stored():
    with np.load(PATH) as data:
        return dict(data)


def test_every_exported_rule_and_schedule_is_compared():
    rules = {name for name in O.__all__ if isinstance(getattr(O, name), type) and issubclass(getattr(O, name), O.Optimizer)}
    assert {type(optimizer).__name__ for optimizer in CASES.values()} == rules - {"Optimizer"}
    assert {type(rate).__name__ for rate in SCHEDULES.values()} == {"step_decay", "cosine_decay", "warmup"}


@pytest.mark.parametrize("dtype", TOLERANCE, ids=["float64", "float32"])
@pytest.mark.parametrize("name", CASES)
def test_steps_are_those_of_pytorch(stored, name, dtype):
    optimizer = copy.deepcopy(CASES[name])
    params = [stored[f"start.{i}"].astype(dtype) for i in range(2)]
    grads = [np.empty_like(p) for p in params]
    for step in range(len(stored["grads.0"])):
        for i, g in enumerate(grads):
            g[...] = stored[f"grads.{i}"][step]
        optimizer.update(params, grads)
        for i, p in enumerate(params):
            expected = stored[f"{name}|{i}"][step]
            assert p.dtype == dtype
            assert np.abs(p - expected).max() <= TOLERANCE[dtype] * np.abs(expected).max(), f"params[{i}] at step {step}"


@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_are_those_of_pytorch(stored, name):
    expected = stored[f"{name}|lr"]
    np.testing.assert_allclose([SCHEDULES[name](step) for step in range(len(expected))], expected, rtol=1e-10, atol=1e-16)
