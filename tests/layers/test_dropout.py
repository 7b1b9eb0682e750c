"""Dropout: the share, the mean, the modes, the generator, and its errors."""
import numpy as np
import pytest

from chainrule.layers import Dropout
from tests.errors import refused

ones = np.ones((200, 200), np.float32)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.75])
def test_the_share_p_is_dropped_and_the_mean_stays(p):
    y = Dropout(p, rng=0).forward(ones)
    assert set(np.unique(y)) == {0, np.float32(1 / (1 - p))}
    assert (y == 0).mean() == pytest.approx(p, abs=0.01)           # four standard deviations of 40,000 draws
    assert y.mean() == pytest.approx(1, abs=0.04)


def test_values_are_kept_or_dropped_each_for_itself():
    x = np.arange(1.0, 10001.0).reshape(100, 100)
    y = Dropout(0.5, rng=0).forward(x)
    assert ((y == 0) | (y == 2 * x)).all()
    for dropped in ((y == 0).mean(axis=0), (y == 0).mean(axis=1)):
        assert 0.25 < dropped.min() and dropped.max() < 0.75


def test_backward_takes_the_same_factors():
    layer = Dropout(0.4, rng=0)
    y = layer.forward(ones)
    np.testing.assert_array_equal(layer.backward(3 * ones), 3 * y)


def test_nothing_is_dropped_at_0():
    np.testing.assert_array_equal(Dropout(0).forward(ones), ones)


def test_nothing_is_dropped_in_evaluation_mode():
    layer = Dropout(0.9, rng=0)
    layer.training = False
    x = np.random.default_rng(0).standard_normal((5, 7))
    np.testing.assert_array_equal(layer.forward(x), x)
    np.testing.assert_array_equal(layer.backward(2 * x), 2 * x)


def test_each_forward_draws_anew_and_one_seed_draws_the_same():
    layer, again, other = Dropout(rng=0), Dropout(rng=np.random.default_rng(0)), Dropout(rng=1)
    first = layer.forward(ones)
    assert (first != layer.forward(ones)).any() and (first != other.forward(ones)).any()
    np.testing.assert_array_equal(again.forward(ones), first)


def test_the_generator_is_a_buffer_and_may_be_shared():
    rng = np.random.default_rng(0)
    one, other = Dropout(rng=rng), Dropout(rng=rng)
    assert one.buffers == {"rng": rng} and other.buffers["rng"] is rng
    assert (one.forward(ones) != other.forward(ones)).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_value_is_dropped_whose_draw_is_below_p(dtype):
    """So a draw of exactly 0, which may come, drops nothing at p = 0. Float32 is drawn for every dtype: all drop the same."""
    class Draws:
        def random(self, shape, dtype):
            drawn.append(dtype)
            return np.array([0.0, 0.2, 0.25, 0.3], dtype)

    drawn, layer, x = [], Dropout(0.25), np.ones(4, dtype)
    layer.buffers["rng"] = Draws()
    np.testing.assert_array_equal(layer.forward(x) > 0, [False, False, True, True])
    layer.p = 0.0
    np.testing.assert_array_equal(layer.forward(x), x)
    assert drawn == [np.float32, np.float32]


def test_defaults_and_name():
    assert repr(Dropout()) == "Dropout(p=0.5)" and repr(Dropout(0.25, rng=3)) == "Dropout(p=0.25)"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_is_kept(dtype):
    layer, x = Dropout(rng=0), np.ones((2, 3), dtype)
    assert layer.forward(x).dtype == layer.backward(x).dtype == layer.cache[0].dtype == dtype


@pytest.mark.parametrize("p", [1, 1.5, -0.1, np.nan])
def test_a_share_outside_0_to_1_is_refused(p):
    with refused(ValueError, f"Dropout: p … 0 … 1 … {p}"):
        Dropout(p)


@pytest.mark.parametrize("p", [None, "half"])
def test_what_is_no_number_is_refused(p):
    with refused(TypeError, f"Dropout: p … 0 … 1 … {p!r}"):
        Dropout(p)


def test_a_mask_stands_in_for_chance():
    layer, x = Dropout(p=0.2, rng=0), np.arange(1.0, 7).reshape(2, 3)
    mask = np.array([[True, False, True], [False, True, True]])
    before = layer.buffers["rng"].bit_generator.state
    np.testing.assert_allclose(layer.forward(x, mask), x * mask / 0.8)
    dx, none = layer.backward(np.ones((2, 3)))
    np.testing.assert_allclose(dx, mask / 0.8)
    assert none is None and layer.buffers["rng"].bit_generator.state == before
    layer.training = False
    np.testing.assert_array_equal(layer.forward(x, mask), x)
    with refused(ValueError, "Dropout: mask … (2, 3) … (3, 2) … mask.T"):
        layer.forward(x, mask.T)
