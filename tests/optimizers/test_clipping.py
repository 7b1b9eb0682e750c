"""clip_gradients: one factor for all gradients, exact at any magnitude."""
import math

import numpy as np
import pytest

from chainrule.common.engine.rows import RowGradient
from chainrule.optimizers import clip_gradients as exported
from chainrule.training.clipping import clip_gradients
from tests.errors import refused


def test_it_is_the_same_function_in_both_places():
    assert exported is clip_gradients


def test_the_norm_is_over_all_arrays_and_the_direction_stays():
    a, b = np.array([[2.0, 0.0], [0.0, -4.0]]), np.array(4.0)
    norm = clip_gradients([a, b], max_norm=1.5)
    assert norm == 6.0 and type(norm) is float
    np.testing.assert_array_equal(a, [[0.5, 0.0], [0.0, -1.0]])
    assert b == 1.0


@pytest.mark.parametrize("max_norm", [5.0, 5.1, 1e30])
def test_a_norm_up_to_the_bound_changes_no_bit(max_norm):
    g = np.array([3.0, -4.0], np.float32)
    assert clip_gradients([g], max_norm) == 5.0
    np.testing.assert_array_equal(g, np.array([3.0, -4.0], np.float32))


@pytest.mark.parametrize("magnitude", [1e30, 3e38, 1e-30, 1e-44])
def test_float32_of_any_magnitude(magnitude):
    g = np.full((300, 400), magnitude, np.float32)
    expected = float(g[0, 0]) * math.sqrt(g.size)
    assert clip_gradients([g[:100], g[100:]], expected / 4) == pytest.approx(expected, rel=1e-12)
    assert g.dtype == np.float32
    if magnitude > 1e-40:
        np.testing.assert_allclose(g, magnitude / 4, rtol=1e-6)


def test_any_memory_layout():
    base = np.arange(24.0).reshape(4, 6)
    expected = base / np.linalg.norm(base) * 2
    for g in (np.asfortranarray(base), np.repeat(base, 2, axis=1)[:, ::2], base[::-1].copy()[::-1]):
        assert clip_gradients([g], 2.0) == pytest.approx(math.sqrt(np.sum(base ** 2)))
        np.testing.assert_allclose(g, expected)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_norm_that_is_not_finite_is_returned_and_nothing_is_scaled(bad):
    a, b = np.array([3.0, bad], np.float32), np.array([100.0])
    norm = clip_gradients([a, b], 1.0)
    assert math.isnan(norm) if math.isnan(bad) else norm == math.inf
    np.testing.assert_array_equal(a, np.array([3.0, bad], np.float32))
    assert b == 100.0


def test_of_a_gradient_that_names_its_rows_these_count():
    dW = RowGradient.zeros_like(np.zeros((5, 2)))
    dW.write(np.array([3, 1, 3]), np.array([[1.0, 2.0], [4.0, 4.0], [1.0, 0.0]]))
    assert clip_gradients([dW], 3.0) == 6.324555320336759          # √(2² + 2² + 4² + 4²)
    assert np.linalg.norm(dW) == pytest.approx(3.0) and sorted(dW.rows.tolist()) == [1, 3]
    dW[0] = 4.0                                                     # now nobody knows which
    assert clip_gradients([dW], 100.0) == pytest.approx(math.sqrt(9 + 32))


def test_more_than_a_piece():
    g = np.arange(200_000, dtype=np.float32)
    assert clip_gradients([g], 1e12) == math.sqrt(sum(i * i for i in range(200_000)))


def test_no_gradients():
    assert clip_gradients([], 1.0) == 0.0
    assert clip_gradients([np.zeros((0, 3)), np.zeros(2)], 1.0) == 0.0


@pytest.mark.parametrize("max_norm", [0, -1.0, math.nan, math.inf, None, "1 or so"])
def test_the_bound_must_be_positive(max_norm):
    with refused((ValueError, TypeError), f"clip_gradients: max_norm … {max_norm!r}"):
        clip_gradients([np.ones(1)], max_norm)


@pytest.mark.parametrize("bad", [None, [1.0], np.array([1, 2])])
def test_a_gradient_that_is_no_float_array_is_named_and_nothing_is_scaled(bad):
    g = np.array([9.0])
    with refused(TypeError, "clip_gradients: grads[1] … NumPy…"):
        clip_gradients([g, bad], 1.0)
    assert g == 9.0
