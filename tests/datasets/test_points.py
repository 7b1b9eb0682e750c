"""Moons, circles and a sine: the stated formulas without noise, shapes, seeds, mistakes."""
import numpy as np
import pytest

from chainrule.datasets import make_circles, make_moons, make_regression_1d
from tests.errors import refused


@pytest.mark.parametrize("make", [make_moons, make_circles])
def test_points_of_two_classes_in_random_order(make):
    x, t = make(n_per_class=60, rng=0)
    assert (x.shape, x.dtype, t.shape, t.dtype) == ((120, 2), np.float32, (120,), np.int64)
    assert np.bincount(t).tolist() == [60, 60] and 10 < t[:60].sum() < 50
    np.testing.assert_array_equal(make(60, rng=0)[0], x)
    assert (make(60, rng=1)[0] != x).any()
    still, labels = make(60, noise=0.0, rng=0)
    np.testing.assert_array_equal(labels, t)
    assert 0 < np.abs(x - still).std() < 0.15


def test_moons_lie_on_half_circles():
    x, t = make_moons(50, noise=0.0, rng=0)
    upper, lower = x[t == 0], [1, 0.5] - x[t == 1]
    for half in upper, lower:
        assert np.hypot(*half.T) == pytest.approx(1, abs=1e-6) and (half[:, 1] > -1e-6).all()
        angles = np.sort(np.arccos(half[:, 0].clip(-1, 1)))
        assert angles == pytest.approx(np.linspace(0, np.pi, 50), abs=1e-3)


def test_circles_have_their_radii_and_equal_angles():
    x, t = make_circles(40, noise=0.0, factor=0.25, rng=0)
    for c, r in enumerate((1, 0.25)):
        assert np.hypot(*x[t == c].T) == pytest.approx(r, abs=1e-6)
        angles = np.sort(np.arctan2(*x[t == c].T))
        assert np.diff(angles) == pytest.approx(2 * np.pi / 40, abs=1e-4)


def test_a_sine_with_noise():
    x, t = make_regression_1d(4000, noise=0.3, rng=0)
    assert (x.shape, t.shape, x.dtype, t.dtype) == ((4000, 1), (4000, 1), np.float32, np.float32)
    assert np.abs(x).max() < np.pi + 1e-6 and x.std() == pytest.approx(np.pi / np.sqrt(3), rel=0.05)
    assert (t - np.sin(x)).std() == pytest.approx(0.3, rel=0.05)
    np.testing.assert_array_equal(make_regression_1d(4000, 0.3, rng=0)[1], t)


@pytest.mark.parametrize("call, error, message", [
    (lambda: make_moons(0), ValueError, "make_moons: n_per_class should be at least 1, got 0"),
    (lambda: make_moons(noise=-1), ValueError,
     "make_moons: noise should be a finite number of at least 0, got -1"),
    (lambda: make_circles(factor=2.0), ValueError,
     "make_circles: factor should be a number in 0..1, got 2.0"),
    (lambda: make_regression_1d(2.5), TypeError,
     "make_regression_1d: n should be a whole number, got 2.5"),
])
def test_in_a_sentence(call, error, message):
    with refused(error, message):
        call()
