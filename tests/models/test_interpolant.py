"""The constructed network: through every sample, straight between them, level beyond, within the bound."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.gradcheck import check_gradients
from chainrule.layers import Affine, ReLU, SquaredError
from chainrule.models import Sequential
from chainrule.models.interpolant import relu_interpolant
from tests.errors import refused

EPS = np.finfo(np.float64).eps


def value(model, x):
    return model.predict(np.asarray(x, float)[:, None])[:, 0]


def relative(model, x, y):
    return np.abs(value(model, x) - y).max() / np.abs(y).max()


def spaced(kind, n=1000):
    rng = np.random.default_rng(0)
    return {"even": np.linspace(0, 1, n), "random": np.sort(rng.random(n)),
            "gaps of all sizes": np.cumsum(10 ** rng.uniform(-6, 0, n)),
            "far from 0": 1e8 + np.sort(rng.random(n)) * 1e3, "far below 0": -1e5 + np.linspace(0, 1, n)}[kind]


TARGETS = {"sin": lambda z: np.sin(20 * z), "root": np.sqrt, "kink": lambda z: abs(z - 0.3),
           "offset": lambda z: 1e6 + np.sin(5 * z)}


# The function

@pytest.mark.parametrize("kind", ["even", "random", "gaps of all sizes", "far from 0", "far below 0"])
@pytest.mark.parametrize("target", TARGETS)
def test_a_thousand_samples_are_met_to_twelve_digits(kind, target):
    x = np.unique(spaced(kind))
    y = TARGETS[target]((x - x[0]) / (x[-1] - x[0]))
    model = relu_interpolant(x, y)
    assert relative(model, x, y) < 1e-13
    middle = (x[1:] + x[:-1]) / 2
    assert relative(model, middle, np.interp(middle, x, y)) < 1e-12


@pytest.mark.parametrize("n", [1, 2, 3, 4, 17])
def test_it_is_linear_between_the_samples_and_constant_beyond(n):
    rng = np.random.default_rng(n)
    x, y = rng.permutation(n) + 0.3 * rng.random(n), rng.standard_normal(n)
    at = np.r_[np.linspace(-5, n + 5, 200), x]
    order = np.argsort(x)
    np.testing.assert_allclose(value(relu_interpolant(x, y), at), np.interp(at, x[order], y[order]), rtol=0, atol=1e-13)


numbers = st.floats(-1e6, 1e6)


@settings(deadline=None, max_examples=100, derandomize=True)
@given(st.dictionaries(numbers.filter(lambda x: x == 0 or abs(x) > 1e-100), numbers, min_size=1, max_size=12))
def test_whatever_the_samples_the_error_is_that_of_rounding_a_sum_of_its_terms(points):
    x, y = np.array(list(points)), np.array(list(points.values()))
    try:
        model = relu_interpolant(x, y)
    except ValueError as error:
        assert "too steep" in str(error)
        return
    (W, b), (c, anchor) = model.layers[0].params, model.layers[2].params
    terms = np.maximum(x[:, None] * W + b, 0) @ np.abs(c[:, 0]) + np.abs(anchor)
    assert np.all(np.abs(value(model, x) - y) <= 2 * (len(x) + 4) * EPS * (terms + np.abs(y).max()))


@settings(deadline=None, max_examples=100, derandomize=True)
@given(st.lists(st.tuples(st.floats(0.05, 1), st.floats(-1, 1)), min_size=2, max_size=20),
       st.floats(-1e3, 1e3), st.floats(0.01, 100))
def test_samples_that_are_not_too_close_are_met_to_twelve_digits(steps, offset, scale):
    gaps, y = np.array(steps).T
    x = offset + scale * np.cumsum(gaps)
    got = value(relu_interpolant(x, y), x)
    assert np.abs(got - y).max() <= 1e-12 * np.abs(y).max()


@pytest.mark.parametrize("f, second", [(np.sin, 1.0), (np.exp, np.exp(2.0)), (lambda x: x ** 2, 2.0)])
@pytest.mark.parametrize("n", [5, 33, 129])
def test_between_samples_the_error_keeps_the_bound(f, second, n):
    x, at = np.linspace(0, 2, n), np.linspace(0, 2, 5001)
    error, bound = np.abs(value(relu_interpolant(x, f(x)), at) - f(at)).max(), second * (2 / (n - 1)) ** 2 / 8
    assert 0.5 * bound < error <= bound * (1 + 1e-9)


def test_several_outputs_are_interpolated_side_by_side():
    x, y = spaced("random", 20), np.random.default_rng(1).standard_normal((20, 3))
    got = relu_interpolant(x, y).predict(x[:, None])
    assert got.shape == (20, 3)
    np.testing.assert_allclose(got, y, atol=1e-11)


# The network

def test_it_is_a_float64_network_of_one_unit_more_than_samples():
    x, y = spaced("random", 20).astype(np.float32), np.arange(20)
    model = relu_interpolant(x[:, None], y)
    assert type(model) is Sequential and [type(layer) for layer in model.layers] == [Affine, ReLU, Affine]
    assert [p.shape for p in model.params] == [(1, 21), (21,), (21, 1), (1,)]
    assert {p.dtype for p in model.params} == {np.dtype(np.float64)}
    assert set(np.unique(model.params[0])) == {-1.0, 1.0}
    assert relative(model, x, y) < 1e-12


def test_it_can_be_trained_further_and_shares_nothing_with_the_samples():
    x, y = np.array([0.0, 1.0, 2.0]), np.array([[1.0], [2.0], [4.0]])
    model = relu_interpolant(x, y)
    model.loss = SquaredError()
    assert check_gradients(model, x[:, None] + 0.3, y, rng=0)
    for p in model.params:
        p[...] = 0
    np.testing.assert_array_equal(y.ravel(), [1, 2, 4])
    np.testing.assert_array_equal(x, [0, 1, 2])


def test_a_repeated_sample_counts_once():
    model = relu_interpolant([1.0, 0.0, 1.0, 0.0], [5.0, 2.0, 5.0, 2.0])
    assert model.params[0].shape == (1, 3)
    np.testing.assert_array_equal(value(model, [0, 1]), [2, 5])


# Errors

@pytest.mark.parametrize("x, y, message", [
    ([0.0, 1.0, 1.0], [1.0, 2.0, 3.0],
     "y … [2.0] and [3.0] at x = 1.0…"),
    ([0.0, 1.0], [1.0, 2.0, 3.0], "y … x … 2 … 3"),
    ([0.0, np.nan], [1.0, 2.0], "x … finite … nan at index (1,)"),
    ([0.0, 1.0], [np.inf, 2.0], "y … finite … inf at index (0,)"),
    ([[0.0, 1.0]], [1.0], "x … (N,) … (N, 1) … (1, 2)"),
    ([0.0], [[[1.0]]], "y … (N,) … (N, D) … (1, 1, 1)"),
    ([], [], "x … empty … shape (0,)"),
])
def test_wrong_samples_are_refused(x, y, message):
    with refused(ValueError, f"relu_interpolant: {message}"):
        relu_interpolant(x, y)


@pytest.mark.parametrize("gap", [1e-12, 1e-300, 5e-324])
def test_samples_too_steep_for_float64_are_refused(gap):
    with refused(ValueError, "relu_interpolant: … float64…"):
        relu_interpolant([-1.0, 0.0, gap, 1.0], [0.0, 1.0, -1.0, 0.0])


def test_steep_samples_at_the_ends_are_fine_for_their_bends_go_outwards():
    x, y = np.array([0.0, 1e-11, 0.5, 1 - 1e-11, 1.0]), np.array([1.0, 0.0, 0.0, 0.0, 1.0])
    assert relative(relu_interpolant(x, y), x, y) < 1e-15
