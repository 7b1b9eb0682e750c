"""The pure functions: values known by hand, laws that hold for any input, and safety far from 0."""
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chainrule.common import cross_entropy, log_softmax, logsumexp, one_hot, relu, sigmoid, softmax
from chainrule.common.functions import sum_to
from tests.errors import refused

SHAPED = [sigmoid, relu, softmax, log_softmax]
rows = hnp.arrays(np.float64, hnp.array_shapes(min_dims=1, max_dims=3, max_side=4), elements=st.floats(-50, 50))


def test_values_by_hand():
    x = np.array([[-1.0, 0.0, 2.0]])
    e = [math.exp(v) for v in x[0]]
    np.testing.assert_allclose(sigmoid(x), [[1 / (1 + math.exp(-v)) for v in x[0]]], rtol=1e-14)
    np.testing.assert_array_equal(relu(x), [[0, 0, 2]])
    np.testing.assert_allclose(softmax(x), [[v / sum(e) for v in e]], rtol=1e-14)
    np.testing.assert_allclose(log_softmax(x), [[math.log(v / sum(e)) for v in e]], rtol=1e-14)


@pytest.mark.parametrize("function", SHAPED)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 1, 3)])
def test_shape_and_dtype_are_kept_and_the_argument_too(function, dtype, shape):
    x = np.linspace(-2, 2, math.prod(shape)).reshape(shape).astype(dtype)
    before = x.copy()
    y = function(x)
    assert y.shape == shape and y.dtype == dtype
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_far_from_zero(dtype):
    x = np.array([[-1e4, 0, 1e4]], dtype)
    np.testing.assert_array_equal(sigmoid(x), [[0, 0.5, 1]])
    np.testing.assert_array_equal(relu(x), [[0, 0, 1e4]])
    np.testing.assert_array_equal(softmax(x), [[0, 0, 1]])
    np.testing.assert_array_equal(log_softmax(x), [[-2e4, -1e4, 0]])
    np.testing.assert_array_equal(softmax(np.full((1, 4), 1e4, dtype)), np.full((1, 4), 0.25))


def test_each_row_has_its_own_scale():
    x = np.array([[1e4, 0.0], [-1e4, -1e4]])
    np.testing.assert_array_equal(softmax(x), [[1, 0], [0.5, 0.5]])
    np.testing.assert_array_equal(log_softmax(x), [[0, -1e4], [-math.log(2)] * 2])


@pytest.mark.parametrize("function", SHAPED)
def test_lists_are_arrays_too(function):
    np.testing.assert_array_equal(function([[-1.0, 2.0]]), function(np.array([[-1.0, 2.0]])))


@given(rows)
@settings(max_examples=40, deadline=None)
def test_laws(x):
    np.testing.assert_allclose(sigmoid(x) + sigmoid(-x), 1, rtol=1e-14)
    np.testing.assert_allclose(relu(x) - relu(-x), x)
    np.testing.assert_allclose(softmax(x).sum(axis=-1), 1, rtol=1e-14)
    np.testing.assert_allclose(softmax(x + 3), softmax(x), rtol=1e-12)
    np.testing.assert_allclose(np.exp(log_softmax(x)), softmax(x), rtol=1e-12)
    np.testing.assert_allclose(softmax(x), softmax(x.reshape(-1, x.shape[-1])).reshape(x.shape), rtol=1e-14)


@given(rows, st.sampled_from([-1, 0, None]), st.booleans())
@settings(max_examples=40, deadline=None)
def test_logsumexp(x, axis, keepdims):
    y = logsumexp(x, axis, keepdims)
    expected = np.log(np.exp(x).sum(axis=axis, keepdims=keepdims))
    assert type(y) is type(expected) and y.shape == expected.shape
    np.testing.assert_allclose(y, expected, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(softmax(x, axis), np.exp(x - logsumexp(x, axis, keepdims=True)), rtol=1e-12)
    np.testing.assert_allclose(log_softmax(x, axis), x - logsumexp(x, axis, keepdims=True), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_logsumexp_far_from_zero(dtype):
    y = logsumexp(np.array([[-3e4, -3e4], [3e4, 0], [3e4, -np.inf]], dtype))
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, np.array([-3e4 + math.log(2), 3e4, 3e4], dtype))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64])
def test_whole_numbers_are_those_of_floats(dtype):
    """A difference of small unsigned integers would wrap around."""
    x = np.array([[3, 5, 100]], dtype)
    for function in (softmax, log_softmax, logsumexp):
        np.testing.assert_array_equal(function(x), function(x.astype(np.float64)))


@pytest.mark.parametrize("function", [softmax, log_softmax, logsumexp])
@pytest.mark.parametrize("axis, error, message", [
    (0.5, TypeError, "axis … whole number … 0.5"), (2, ValueError, "x … axis … 2 … shape (2, 3)"),
    ((1, -1), ValueError, "x … axes … (1, -1) … shape (2, 3)"),
    ((0, 0), ValueError, "axis … tuple … None … (0, 0)")])
def test_an_axis_that_is_none(function, axis, error, message):
    with refused(error, f"{function.__name__}: {message}"):
        function(np.ones((2, 3)), axis=axis)


def test_a_single_number_has_all_its_axes():
    assert logsumexp(3.5, axis=None) == 3.5 and softmax(3.5, axis=None) == 1 and log_softmax(3.5, axis=()) == 0
    with refused(ValueError, "softmax: x … axis 0 … shape ()"):
        softmax(3.5, axis=(0,))


def test_nothing_along_an_axis():
    with refused(ValueError, "logsumexp: x … axis … 0 … shape (0, 3)"):
        logsumexp(np.ones((0, 3)), axis=0)


class TestOneHot:
    @pytest.mark.parametrize("t", [2, [2], [0, 2, 1], [[0, 1], [2, 2]], np.zeros(0, int)])
    def test_one_in_its_place_and_zero_elsewhere(self, t):
        y = one_hot(t, 3)
        assert y.shape == (*np.shape(t), 3) and y.dtype == np.float32
        np.testing.assert_array_equal(y, np.eye(3)[t])

    def test_any_dtype(self):
        assert one_hot([1], 2, dtype=np.float64).dtype == np.float64

    def test_what_is_no_label_is_refused(self):
        with refused(ValueError, "one_hot: t … labels … 0..2 … 3 at index 1"):
            one_hot([0, 3], 3)
        with refused(TypeError, "one_hot: t … class … labels … float64 … t.astype(int)…"):
            one_hot([0.0], 3)
        with refused(ValueError, "one_hot: classes … at least 1 … 0"):
            one_hot([0], 0)
        with refused(TypeError, "one_hot: classes … whole number … 3.0"):
            one_hot([0], 3.0)


class TestCrossEntropy:
    y = np.array([[0.25, 0.75], [0.5, 0.5]])

    def test_the_mean_over_samples(self):
        expected = -(math.log(0.75) + math.log(0.5)) / 2
        for t in ([1, 0], [[0, 1], [1, 0]], [[0.0, 1.0], [1.0, 0.0]]):
            value = cross_entropy(self.y, t)
            assert type(value) is float and value == pytest.approx(expected, rel=1e-14)
        assert cross_entropy(self.y[:, None], [[1], [0]]) == pytest.approx(expected, rel=1e-14)
        assert cross_entropy(self.y[None], [[1, 0]]) == pytest.approx(expected, rel=1e-14)
        assert cross_entropy(self.y[0], 1) == pytest.approx(-math.log(0.75), rel=1e-14)

    def test_weights_between_the_classes(self):
        assert cross_entropy(self.y, [[0.5, 0.5], [0, 0]]) == pytest.approx(-(math.log(0.25) + math.log(0.75)) / 4, rel=1e-14)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_a_probability_of_zero_stays_finite(self, dtype):
        y = np.array([[0, 1]], dtype)
        assert cross_entropy(y, [0]) == pytest.approx(-math.log(np.finfo(dtype).tiny), rel=1e-6)
        assert cross_entropy(y, [1]) == 0

    def test_what_is_no_target_is_refused(self):
        with refused(ValueError, "cross_entropy: t … labels … 0..1 … 2 at index 1"):
            cross_entropy(self.y, [0, 2])
        with refused(ValueError, "cross_entropy: t … label … (2,) … (3,)"):
            cross_entropy(self.y, [0, 1, 1])

    def test_what_are_no_probabilities_is_refused(self):
        with refused(ValueError, "cross_entropy: y … (..., C) … ()"):
            cross_entropy(0.5, 0)
        with refused(ValueError, "cross_entropy: y … empty … shape (0, 3)"):
            cross_entropy(np.ones((0, 3)), np.zeros(0, int))
        with refused(TypeError, "cross_entropy: y … array … int64 ndarray … y.astype(np.float32)"):
            cross_entropy(np.ones((1, 3), np.int64), [0])


class TestSumTo:
    @given(hnp.mutually_broadcastable_shapes(num_shapes=2, min_dims=0, max_dims=4, max_side=3), st.randoms())
    @settings(max_examples=150, deadline=None)
    def test_it_is_the_transpose_of_broadcasting(self, shapes, random):
        """<broadcast(a), x> = <a, sum_to(x)> for every a, which defines it, for every pattern of broadcasting."""
        shape, result = shapes.input_shapes[0], shapes.result_shape
        rng = np.random.default_rng(random.randint(0, 99))
        a, x = rng.integers(-9, 9, shape).astype(float), rng.integers(-9, 9, result).astype(float)
        summed = sum_to(x, shape)
        assert summed.shape == shape
        assert np.sum(np.broadcast_to(a, result) * x) == np.sum(a * summed)

    def test_dtype_and_an_equal_shape_are_kept(self):
        x = np.ones((2, 3), np.float32)
        assert sum_to(x, (3,)).dtype == np.float32
        assert sum_to(x, (2, 3)) is x
