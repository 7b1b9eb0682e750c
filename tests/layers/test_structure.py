"""Layers that move, copy or add: against NumPy, each other's backward, and their errors."""
import numpy as np
import pytest

from chainrule.layers import Branch, Concatenate, Flatten, Last, Mean, Repeat, Reshape, Sum, Transpose
from tests.errors import refused

x = np.arange(24.0).reshape(2, 3, 4)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
class TestEveryAxis:
    def test_repeat(self, axis):
        node = Repeat(3, axis=axis)
        np.testing.assert_array_equal(node.forward(x), np.repeat(x, 3, axis=axis))
        np.testing.assert_array_equal(node.backward(np.repeat(x, 3, axis=axis)), 3 * x)
        # Each copy of an entry counts alone: 1 for the first, 10 for the second, 100 for the third.
        weights = np.moveaxis(np.ones_like(np.repeat(x, 3, axis=axis)), axis, -1) * np.tile([1.0, 10.0, 100.0], x.shape[axis])
        np.testing.assert_array_equal(node.backward(np.moveaxis(weights, -1, axis)), np.full(x.shape, 111.0))

    @pytest.mark.parametrize("keepdims", [False, True])
    def test_sum(self, axis, keepdims):
        node = Sum(axis=axis, keepdims=keepdims)
        y = node.forward(x)
        np.testing.assert_array_equal(y, x.sum(axis=axis, keepdims=keepdims))
        kept = x.sum(axis=axis, keepdims=True)
        np.testing.assert_array_equal(node.backward(y), np.broadcast_to(kept, x.shape))

    def test_sum_and_repeat_are_each_other_s_backward(self, axis):
        repeat, total = Repeat(5, axis=axis), Sum(axis=axis, keepdims=True)
        row = total.forward(x)
        many = repeat.forward(row)
        other = Sum(axis=axis, keepdims=True)
        np.testing.assert_array_equal(repeat.backward(many), other.forward(many))
        np.testing.assert_array_equal(other.backward(row), many)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, (0, 2), (-1, 1), (0, 1, 2), ()])
def test_sum_over_several_axes(axis, keepdims):
    node = Sum(axis=axis, keepdims=keepdims)
    y = node.forward(x)
    np.testing.assert_array_equal(y, x.sum(axis=axis, keepdims=keepdims))
    np.testing.assert_array_equal(node.backward(y), np.broadcast_to(x.sum(axis=axis, keepdims=True), x.shape))


def test_one_axis():
    node = Sum()
    assert node.forward(np.array([1.0, 2.0])) == 3
    np.testing.assert_array_equal(node.backward(np.array(5.0)), [5, 5])
    np.testing.assert_array_equal(Repeat(2).forward(np.array([1.0, 2.0])), [1, 1, 2, 2])


def test_defaults():
    assert (Repeat(2).axis, Sum().axis, Sum().keepdims) == (0, 0, False)


def test_flatten():
    layer = Flatten()
    np.testing.assert_array_equal(layer.forward(x), x.reshape(2, 12))
    np.testing.assert_array_equal(layer.backward(10 * x.reshape(2, 12)), 10 * x)
    assert layer.forward(x[:, 0]).shape == (2, 4) and layer.forward(x[0, 0]).shape == (4, 1)
    assert layer.backward(np.ones((4, 1))).shape == (4,)


def test_flatten_reads_the_places_not_the_memory():
    layer, channels_last = Flatten(), np.asfortranarray(x)
    np.testing.assert_array_equal(layer.forward(channels_last), x.reshape(2, 12))


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [0, -1, None, (0, 2)])
def test_mean(axis, keepdims):
    node = Mean(axis=axis, keepdims=keepdims)
    y = node.forward(x)
    np.testing.assert_allclose(y, x.mean(axis=axis, keepdims=keepdims), rtol=1e-14)
    n = x.size // y.size
    np.testing.assert_allclose(node.backward(y), np.broadcast_to(x.mean(axis=axis, keepdims=True) / n, x.shape), rtol=1e-14)


def test_branch():
    node = Branch(3)
    for y in node.forward(x):
        np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(node.backward((x, None, 10 * x)), 11 * x)
    np.testing.assert_array_equal(node.backward([None, None, None]), 0 * x)
    assert Branch().n == 2


def test_reshape():
    node = Reshape((-1, 2, 6))
    np.testing.assert_array_equal(node.forward(x), x.reshape(2, 2, 6))
    np.testing.assert_array_equal(node.backward(10 * x.reshape(2, 2, 6)), 10 * x)


@pytest.mark.parametrize("axes", [None, (0, 1, 2), (2, 0, 1), (1, 2, 0), (0, -1, 1), (-3, -1, -2), (-1, -3, -2)])
def test_transpose(axes):
    node = Transpose(axes)
    np.testing.assert_array_equal(node.forward(x), x.transpose(axes))
    np.testing.assert_array_equal(node.backward(10 * x.transpose(axes)), 10 * x)


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_concatenate(axis):
    node, parts = Concatenate(axis=axis), np.split(np.arange(384.0).reshape(8, 6, 8), [1, 4], axis=axis)
    y = node.forward(*parts)
    np.testing.assert_array_equal(y, np.arange(384.0).reshape(8, 6, 8))
    for part, dx in zip(parts, node.backward(10 * y), strict=True):
        np.testing.assert_array_equal(dx, 10 * part)
    np.testing.assert_array_equal(node.forward(x), x)


class TestErrors:
    @pytest.mark.parametrize("axis", [3, -4])
    @pytest.mark.parametrize("node", [lambda axis: Repeat(2, axis=axis), lambda axis: Sum(axis=axis)])
    def test_an_axis_that_x_has_not(self, node, axis):
        node = node(axis)
        with refused(ValueError, f"{type(node).__name__}: x … axis … {axis} … shape (2, 3, 4)"):
            node.forward(x)

    @pytest.mark.parametrize("make", [lambda axis: Repeat(2, axis=axis), lambda axis: Sum(axis=axis)])
    def test_an_axis_is_a_whole_number(self, make):
        name = type(make(0)).__name__
        for axis in (0.5, "rows"):
            with refused(TypeError, f"{name}: axis … whole number … {axis!r}"):
                make(axis)
        with refused(TypeError, "Sum: axis … whole number … None"):
            Sum(axis=(0, None))

    def test_how_often(self):
        with refused(ValueError, "Repeat: n … at least 1 … 0"):
            Repeat(0)
        with refused(TypeError, "Repeat: n … whole number … 2.0"):
            Repeat(2.0)

    def test_dout(self):
        node = Repeat(2, axis=1)
        node.forward(x)
        with refused(ValueError, "Repeat: dout … (2, 6, 4) … (2, 3, 4)"):
            node.backward(x)
        node = Sum(axis=1)
        node.forward(x)
        with refused(ValueError, "Sum: dout … (2, 4) … (2, 3)"):
            node.backward(x[:, :, 0])
        node = Flatten()
        node.forward(x)
        with refused(ValueError, "Flatten: dout … (2, 12) … (2, 4)"):
            node.backward(x[:, 0])

    def test_flatten_keeps_samples_apart_so_there_must_be_some(self):
        with refused(ValueError, "Flatten: x … (N, ...) … ()"):
            Flatten().forward(np.array(1.0))

    @pytest.mark.parametrize("dout, got", [((x,), "1"), ([x] * 3, "3"), (x, "ndarray"), (None, "NoneType")])
    def test_branch_takes_a_gradient_for_each_output(self, dout, got):
        node = Branch(2)
        node.forward(x)
        with refused(ValueError, f"Branch: dout … tuple … 2 … {got}"):
            node.backward(dout)

    def test_reshape_keeps_the_number_of_entries(self):
        with refused(ValueError, "Reshape: x … (-1, 5) … 24 entries in shape (2, 3, 4)"):
            Reshape((-1, 5)).forward(x)

    @pytest.mark.parametrize("axes", [(0, 1), (0, 1, 1), (1, 2, 3), (0, 3, 2), (0, 1, -4), (0, 1, 2, 3)])
    def test_transpose_names_every_axis_once(self, axes):
        with refused(ValueError, f"Transpose: x … {len(axes)} … axes … {axes} … shape (2, 3, 4)"):
            Transpose(axes).forward(x)

    def test_concatenate_joins_what_fits(self):
        with refused(ValueError, "Concatenate: inputs[1] … (2, D, 4) … (2, 3, 5)"):
            Concatenate().forward(x, np.ones((2, 3, 5)))
        with refused(TypeError, "Concatenate: … at least one input … none"):
            Concatenate().forward()
        with refused(TypeError, "Concatenate: inputs[1] … array of floats … int64…"):
            Concatenate().forward(x, np.ones((2, 3, 4), np.int64))
        with refused(ValueError, "Concatenate: x … axis … 3 … shape (2, 3, 4)"):
            Concatenate(axis=3).forward(x)


def test_inputs_in_a_list_are_refused():
    a = np.ones((2, 3))
    with refused(TypeError, "Concatenate: … Concatenate()(a, b) … list…"):
        Concatenate()([a, a])


def test_last_of_sequences_of_any_length():
    x, mask = np.arange(24.0).reshape(4, 3, 2), np.array([[1, 1, 1], [1, 0, 0], [1, 0, 1], [0, 0, 0]], bool)
    x[1, 1:] = np.nan
    node = Last()
    np.testing.assert_array_equal(node.forward(x, mask), [x[0, 2], x[1, 0], x[2, 2], [0, 0]])
    dx, none = node.backward(np.ones((4, 2)))
    expected = np.zeros((4, 3, 2))
    expected[0, 2] = expected[1, 0] = expected[2, 2] = 1
    np.testing.assert_array_equal(dx, expected)
    assert none is None
    with refused(ValueError, "Last: mask … (4, 3) … (3, 4) … mask.T"):
        node.forward(x, mask.T)
