"""First values: shape, dtype, scale and repeatability of every initializer."""
from functools import partial

import numpy as np
import pytest

from chainrule.common.initializers import constant, gaussian, he, orthogonal, uniform, xavier
from tests.errors import refused

ALL = [constant, gaussian, uniform, xavier, he, orthogonal]
RANDOM = ALL[1:]


@pytest.mark.parametrize("initializer", ALL)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 2, 3, 3), (2, 3, 7)])
def test_shape_and_dtype_are_those_asked_for(initializer, dtype, shape):
    W = initializer(shape, rng=0, dtype=dtype)
    assert W.shape == shape
    assert W.dtype == dtype
    assert W.flags.c_contiguous
    assert W.flags.writeable


@pytest.mark.parametrize("initializer", ALL)
def test_float32_is_the_default(initializer):
    assert initializer((2, 3)).dtype == np.float32


@pytest.mark.parametrize("initializer", RANDOM)
class TestRandomness:
    def test_a_seed_repeats(self, initializer):
        np.testing.assert_array_equal(initializer((3, 4), rng=7), initializer((3, 4), rng=7))

    def test_seeds_differ(self, initializer):
        assert not np.array_equal(initializer((3, 4), rng=7), initializer((3, 4), rng=8))

    def test_a_generator_moves_on(self, initializer):
        rng = np.random.default_rng(7)
        first, second = initializer((3, 4), rng=rng), initializer((3, 4), rng=rng)
        np.testing.assert_array_equal(first, initializer((3, 4), rng=7))
        assert not np.array_equal(first, second)

    def test_none_is_a_fresh_draw(self, initializer):
        assert not np.array_equal(initializer((3, 4)), initializer((3, 4)))

    def test_the_global_generator_is_left_alone(self, initializer):
        before = np.random.get_state()[1].copy()
        initializer((3, 4), rng=0)
        np.testing.assert_array_equal(np.random.get_state()[1], before)

    def test_a_seed_means_the_same_weights_in_every_dtype(self, initializer):
        double = initializer((3, 4), rng=7, dtype=np.float64)
        np.testing.assert_array_equal(initializer((3, 4), rng=7, dtype=np.float32), double.astype(np.float32))


def test_constant_fills_with_its_value():
    np.testing.assert_array_equal(constant((2, 2)), np.zeros((2, 2)))
    np.testing.assert_array_equal(constant((3,), value=1.5), [1.5, 1.5, 1.5])
    np.testing.assert_array_equal(constant(2, value=-1), [-1, -1])


FANS = [((60, 50), 60, 50), ((50, 60), 50, 60), ((30, 20, 5), 100, 150),
        ((40, 10, 3, 2), 60, 240), ((10, 40, 3, 2), 240, 60)]


@pytest.mark.parametrize("shape, fan_in, fan_out", FANS)
def test_variances_follow_the_fans(shape, fan_in, fan_out):
    n = np.prod(shape)
    for initializer, variance in [(gaussian, 0.01**2), (partial(gaussian, std=3.0), 9.0),
                                  (xavier, 2 / (fan_in + fan_out)), (he, 2 / fan_in),
                                  (partial(xavier, gain=3.0), 18 / (fan_in + fan_out)), (partial(he, gain=0.5), 0.5 / fan_in),
                                  (partial(he, mode="fan_out"), 2 / fan_out)]:
        W = initializer(shape, rng=1, dtype=np.float64)
        # The mean of n squares of normal numbers has the relative standard deviation sqrt(2 / n).
        assert np.square(W).mean() == pytest.approx(variance, rel=4 * np.sqrt(2 / n))
        assert abs(W.mean()) < 4 * np.sqrt(variance / n)
        # Normal, not another distribution of this variance: 4.55 % lie beyond two standard deviations.
        beyond = np.mean(np.abs(W) > 2 * np.sqrt(variance))
        assert beyond == pytest.approx(0.0455, abs=4 * np.sqrt(0.0455 / n))


@pytest.mark.parametrize("shape, fan_in, fan_out", FANS)
def test_uniform_numbers_fill_their_bounds(shape, fan_in, fan_out):
    n = np.prod(shape)
    for initializer, bound in [(uniform, 0.05), (partial(uniform, bound=3.0), 3.0),
                               (partial(xavier, distribution="uniform", gain=2.0), 2 * np.sqrt(6 / (fan_in + fan_out))),
                               (partial(he, distribution="uniform"), np.sqrt(6 / fan_in)),
                               (partial(he, distribution="uniform", mode="fan_out"), np.sqrt(6 / fan_out))]:
        W = initializer(shape, rng=1, dtype=np.float64)
        assert bound * (1 - 20 / n) < np.abs(W).max() <= bound                # missed with probability exp(-20)
        # The squares of U(-a, a) have the mean a²/3 and the relative standard deviation √(4/5).
        assert np.square(W).mean() == pytest.approx(bound ** 2 / 3, rel=4 * np.sqrt(0.8 / n))
        assert abs(W.mean()) < 4 * bound / np.sqrt(3 * n)


def test_what_is_drawn_is_the_generators_by_a_factor():
    normal, level = np.random.default_rng(0).standard_normal((30, 20)), np.random.default_rng(0).uniform(-1, 1, (30, 20))
    for initializer, expected in [(partial(xavier, gain=5 / 3), 5 / 3 * np.sqrt(2 / 50) * normal),
                                  (partial(he, gain=2.0, mode="fan_out"), 2 * np.sqrt(2 / 20) * normal),
                                  (partial(uniform, bound=0.3), 0.3 * level),
                                  (partial(xavier, distribution="uniform"), np.sqrt(6 / 50) * level),
                                  (partial(he, gain=1 / np.sqrt(2), distribution="uniform"), np.sqrt(3 / 30) * level)]:
        np.testing.assert_allclose(initializer((30, 20), rng=0, dtype=np.float64), expected, rtol=1e-14)


def test_he_keeps_the_signal_through_twenty_relu_layers():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 256))
    for _ in range(20):
        x = np.maximum(x @ he((256, 256), rng=rng, dtype=np.float64), 0)
    assert 0.3 < np.square(x).mean() < 3


class TestOrthogonal:
    @pytest.mark.parametrize("shape", [(4, 4), (6, 3), (5, 1)])
    def test_columns_of_a_tall_matrix_are_orthonormal(self, shape):
        W = orthogonal(shape, rng=0, dtype=np.float64)
        np.testing.assert_allclose(W.T @ W, np.eye(shape[1]), atol=1e-14)

    @pytest.mark.parametrize("shape", [(4, 4), (3, 6), (1, 5)])
    def test_rows_of_a_wide_matrix_are_orthonormal(self, shape):
        W = orthogonal(shape, rng=0, dtype=np.float64)
        np.testing.assert_allclose(W @ W.T, np.eye(shape[0]), atol=1e-14)

    def test_filters_of_a_convolution_are_orthonormal(self):
        W = orthogonal((4, 2, 3, 3), rng=0, dtype=np.float64).reshape(4, 18)
        np.testing.assert_allclose(W @ W.T, np.eye(4), atol=1e-14)

    def test_gain_is_a_factor(self):
        W = orthogonal((4, 3), rng=0)
        np.testing.assert_allclose(orthogonal((4, 3), rng=0, gain=2.5), 2.5 * W, rtol=1e-6)

    @pytest.mark.parametrize("shape", [(2, 2), (2, 3), (3, 2)])
    def test_no_direction_is_preferred(self, shape):
        """Averaged over draws every entry is 0; uncorrected, QR gives the diagonal one sign."""
        rng = np.random.default_rng(0)
        mean = np.mean([orthogonal(shape, rng=rng) for _ in range(600)], axis=0)
        assert np.abs(mean).max() < 4 / np.sqrt(2 * 600)

    def test_the_diagonal_of_r_is_positive(self):
        """The Gram-Schmidt factor of the normal matrix that was drawn."""
        A = np.random.default_rng(3).standard_normal((5, 3))
        assert (np.diag(orthogonal((5, 3), rng=3, dtype=np.float64).T @ A) > 0).all()


@pytest.mark.parametrize("initializer", ALL)
class TestErrors:
    @pytest.mark.parametrize("shape", [(0, 3), (3, -1), (2.0, 3), (2, "3"), None, "ab"])
    def test_a_shape_of_positive_whole_numbers(self, initializer, shape):
        message = f"{initializer.__name__}: shape … positive whole numbers … {shape!r}"
        with refused(ValueError, message):
            initializer(shape)

    @pytest.mark.parametrize("dtype", [int, np.uint8, complex, bool])
    def test_a_float_dtype(self, initializer, dtype):
        with refused(TypeError, f"{initializer.__name__}: dtype … float type…"):
            initializer((2, 3), dtype=dtype)


@pytest.mark.parametrize("initializer", [xavier, he, orthogonal])
@pytest.mark.parametrize("shape", [(3,), 3, ()])
def test_fans_need_two_axes(initializer, shape):
    sizes = (3,) if shape == 3 else shape
    with refused(ValueError, f"{initializer.__name__}: shape … (fan_in, fan_out) … {sizes}…"):
        initializer(shape)


@pytest.mark.parametrize("call, message", [
    (partial(gaussian, std=-1), "gaussian: std … finite … 0 … -1"),
    (partial(gaussian, std=np.inf), "gaussian: std … finite … 0 … inf"),
    (partial(constant, value=np.nan), "constant: value … finite … nan"),
    (partial(uniform, bound=-1), "uniform: bound … finite … 0 … -1"),
    (partial(xavier, gain=np.inf), "xavier: gain … finite … inf"),
    (partial(he, gain=np.nan), "he: gain … finite … nan"),
    (partial(he, mode="in"), "he: mode … 'fan_in' … 'fan_out' … 'in'"),
    (partial(xavier, distribution="gauss"), "xavier: distribution … 'normal' … 'uniform' … 'gauss'"),
    (partial(he, distribution=None), "he: distribution … 'normal' … 'uniform' … None"),
    (partial(orthogonal, gain=np.nan), "orthogonal: gain … finite … nan"),
])
def test_options_are_finite(call, message):
    with refused(ValueError, message):
        call((2, 2))
