"""Learning rates as functions of the step, which counts from 0."""
import math
import pickle

import numpy as np
import pytest

from chainrule.optimizers import SGD, cosine_decay, step_decay, warmup
from tests.errors import refused


def values(schedule, steps):
    return [schedule(step) for step in steps]


def test_step_decay_falls_at_every_multiple():
    assert values(step_decay(0.8, every=3, factor=0.5), range(8)) == [0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.2, 0.2]
    assert step_decay(1.0, 10)(10) == 0.1


def test_cosine_decay_is_half_a_wave():
    rate = cosine_decay(0.5, steps=8, final_lr=0.1)
    assert values(rate, (0, 4, 8, 9, 1000)) == pytest.approx([0.5, 0.3, 0.1, 0.1, 0.1], rel=1e-15)
    assert rate(2) == pytest.approx(0.3 + 0.2 * math.sqrt(0.5))
    assert cosine_decay(0.5, 8)(8) == 0.0


def test_cosine_decay_never_leaves_the_allowed_rates():
    for steps in (1, 3, 7, 10):
        assert all(0 <= r <= 0.1 for r in values(cosine_decay(0.1, steps), range(2 * steps)))


def test_warmup_to_a_number():
    assert values(warmup(0.5, steps=4), range(6)) == [0.125, 0.25, 0.375, 0.5, 0.5, 0.5]
    assert values(warmup(0.3, steps=1), range(3)) == [0.3, 0.3, 0.3]


def test_warmup_to_a_schedule_which_then_begins_at_its_own_zero():
    after = step_decay(0.5, every=2, factor=0.5)
    rate = warmup(after, steps=4)
    assert values(rate, range(4)) == [0.125, 0.25, 0.375, 0.5]
    assert values(rate, range(4, 12)) == values(after, range(8))


def test_an_optimizer_follows_its_schedule():
    W, dW = np.zeros(1), np.ones(1)
    optimizer = SGD(lr=warmup(step_decay(1.0, every=1, factor=0.5), steps=2))
    for expected in (-0.5, -1.5, -2.5, -3.0, -3.25):
        optimizer.update([W], [dW])
        assert W == expected


@pytest.mark.parametrize("schedule", [step_decay(0.1, 2), cosine_decay(1, 2), warmup(step_decay(1, 2), 3)])
def test_schedules_can_be_pickled_and_compared(schedule):
    assert pickle.loads(pickle.dumps(schedule)) == schedule


@pytest.mark.parametrize("make, name, settings", [
    (step_decay, "lr", (0.0, 1)), (step_decay, "lr", (math.nan, 1)), (step_decay, "every", (0.1, 0)),
    (step_decay, "every", (0.1, 2.5)), (step_decay, "factor", (1, 1, 0)), (step_decay, "factor", (1, 1, -2)),
    (cosine_decay, "lr", (-1, 1)), (cosine_decay, "lr", (abs, 1)), (cosine_decay, "steps", (0.1, -3)),
    (cosine_decay, "final_lr", (0.1, 1, -0.1)),
    (warmup, "lr", (0, 1)), (warmup, "lr", ("fast", 1)), (warmup, "steps", (0.1, 0))])
def test_a_setting_out_of_range_is_refused(make, name, settings):
    with refused((ValueError, TypeError), f"{make.__name__}: {name} … {settings[0 if name == 'lr' else -1]!r}"):
        make(*settings)
