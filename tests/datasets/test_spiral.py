"""make_spiral: the formula of its docstring, in random order."""
import numpy as np
import pytest

from chainrule.datasets import make_spiral
from tests.errors import refused


def test_shapes_dtypes_and_class_counts():
    x, t = make_spiral(rng=0)
    assert (x.shape, x.dtype, t.shape, t.dtype) == ((300, 2), np.float32, (300,), np.int64)
    assert np.bincount(t).tolist() == [100, 100, 100]
    assert np.bincount(make_spiral(7, classes=5, rng=0)[1]).tolist() == [7] * 5


def test_without_noise_the_points_lie_on_the_arms():
    n, classes = 50, 4
    x, t = make_spiral(n, classes, noise=0.0, rng=0)
    for c in range(classes):
        r = np.arange(1, n + 1) / n
        theta = np.pi / 2 * c + 4 * r
        arm = x[t == c][np.argsort(np.hypot(*x[t == c].T))]
        np.testing.assert_allclose(arm, np.stack([r * np.sin(theta), r * np.cos(theta)], axis=1), atol=1e-6)


def test_noise_turns_the_points_by_normal_angles_of_deviation_0_2_and_keeps_the_radii():
    n = 2000
    x, _ = make_spiral(n, classes=1, rng=0)
    r = np.hypot(*x.T.astype(float))
    np.testing.assert_allclose(np.sort(r), np.arange(1, n + 1) / n, atol=1e-6)
    turn = np.angle(np.exp(1j * (np.arctan2(x[:, 0], x[:, 1]) - 4 * r)))
    assert abs(turn.mean()) < 0.02 and abs(turn.std() - 0.2) < 0.01
    assert abs((np.abs(turn) > 0.4).mean() - 0.0455) < 0.015                # beyond two standard deviations
    assert abs(np.corrcoef(turn, r)[0, 1]) < 0.1


def test_classes_are_mixed_so_that_batches_in_order_hold_them_all():
    _, t = make_spiral(rng=0)
    assert all(set(batch) == {0, 1, 2} for batch in t.reshape(10, 30))


def test_a_seed_repeats_the_points():
    same = make_spiral(rng=1)[0], make_spiral(rng=np.random.default_rng(1))[0]
    np.testing.assert_array_equal(*same)
    assert not np.array_equal(same[0], make_spiral(rng=2)[0])


@pytest.mark.parametrize("options, error, message", [
    ({"n_per_class": 0}, ValueError, "make_spiral: n_per_class … 1 … 0"),
    ({"n_per_class": 1.5}, TypeError, "make_spiral: n_per_class … 1.5"),
    ({"classes": 0}, ValueError, "make_spiral: classes … 1 … 0"),
    ({"classes": True}, TypeError, "make_spiral: classes … True"),
    ({"noise": -0.1}, ValueError, "make_spiral: noise … 0 … -0.1"),
    ({"noise": float("nan")}, ValueError, "make_spiral: noise … nan"),
    ({"noise": float("inf")}, ValueError, "make_spiral: noise … inf"),
    ({"noise": "much"}, TypeError, "make_spiral: noise … 0 … 'much'"),
])
def test_a_mistake_is_named(options, error, message):
    with refused(error, message):
        make_spiral(**options)
