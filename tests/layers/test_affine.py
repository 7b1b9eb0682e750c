"""Affine by hand, its construction, and its errors."""
import numpy as np
import pytest

from chainrule.common.initializers import constant
from chainrule.layers import Affine
from tests.errors import refused

W = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


def test_values_and_gradients_by_hand():
    layer = Affine(W, np.array([0.5, 0.0, -0.5]))
    x, dout = np.array([[1.0, 10.0], [2.0, 0.0]]), np.array([[1.0, 0.0, 2.0], [0.0, -1.0, 3.0]])
    np.testing.assert_array_equal(layer.forward(x), [[41.5, 52, 62.5], [2.5, 4, 5.5]])
    np.testing.assert_array_equal(layer.backward(dout), [[7, 16], [7, 13]])
    np.testing.assert_array_equal(layer.grads[0], [[1, -2, 8], [10, 0, 20]])
    np.testing.assert_array_equal(layer.grads[1], [1, -1, 5])


def test_without_the_input_gradient_the_parameters_still_get_theirs():
    layer = Affine(W, None)
    layer.forward(np.array([[1.0, 10.0]]))
    layer.input_gradient = False
    assert layer.backward(np.array([[1.0, 2.0, 3.0]])) is None
    np.testing.assert_array_equal(layer.grads[0], [[1, 2, 3], [10, 20, 30]])


def test_the_given_arrays_are_kept():
    b = np.zeros(3)
    layer = Affine(W, b)
    assert layer.params[0] is W and layer.params[1] is b and layer.names == ("W", "b")
    assert Affine(W, None).params[0] is W and Affine(W, None).names == ("W",)


def test_the_bias_is_not_added_to_the_cached_input():
    layer, x = Affine(np.eye(2), np.ones(2)), np.zeros((1, 2))
    layer.forward(x)
    assert not x.any() and not layer.cache.any()


class TestInit:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_shapes_and_dtype(self, dtype):
        layer = Affine.init(4, 3, rng=0, dtype=dtype)
        assert [(p.shape, p.dtype) for p in layer.params] == [((4, 3), dtype), ((3,), dtype)]
        assert not layer.params[1].any()

    def test_float32_by_default(self):
        assert Affine.init(4, 3).params[0].dtype == np.float32

    def test_he_by_default_and_any_other(self):
        assert Affine.init(200, 300, rng=0).params[0].std() == pytest.approx(0.1, rel=0.02)
        assert (Affine.init(4, 3, initializer=constant).params[0] == 0).all()

    def test_one_seed_one_layer(self):
        same, again, other = (Affine.init(4, 3, rng=seed).params[0] for seed in (0, 0, 1))
        assert (same == again).all() and (same != other).any()
        rng = np.random.default_rng(0)
        assert (Affine.init(4, 3, rng=rng).params[0] == same).all() and (Affine.init(4, 3, rng=rng).params[0] != same).any()

    def test_without_bias(self):
        assert Affine.init(4, 3, bias=False).names == ("W",)

    def test_a_size_that_is_none_is_refused(self):
        with refused(ValueError, "Affine: n_in … at least 1 … 0"):
            Affine.init(0, 3)
        with refused(TypeError, "Affine: n_out … whole number … 2.5"):
            Affine.init(3, 2.5)


class TestConstructionErrors:
    @pytest.mark.parametrize("bad, got", [([[1.0, 2.0, 3.0]], "list"), (np.ones((2, 3), int), "int64"), (None, "None"),
                                          (64, "int … Affine.init(...)")])
    def test_W_is_a_float_array(self, bad, got):
        with refused(TypeError, f"Affine: W … array of floats … {got}…"):
            Affine(bad, np.zeros(3))

    def test_W_has_two_axes(self):
        with refused(ValueError, "Affine: W … (I, O) … (3,)"):
            Affine(np.ones(3), None)
        with refused(ValueError, "Affine: W … (I, O) … (2, 3, 1)"):
            Affine(np.ones((2, 3, 1)), None)

    @pytest.mark.parametrize("shape, hint", [
        ((2,), ""), ((4,), ""), ((3, 1), "… (3,)")])
    def test_b_has_one_entry_per_column(self, shape, hint):
        with refused(ValueError, f"Affine: b … (3,) … {shape}{hint}"):
            Affine(W, np.zeros(shape))

    def test_one_dtype(self):
        with refused(TypeError, "Affine: all parameters … one dtype … W … float64 … float32"):
            Affine(W, np.zeros(3, np.float32))

    def test_writable(self):
        b = np.broadcast_to(0.0, 3)
        with refused(ValueError, "Affine: b … writable … a read-only array … b.copy()"):
            Affine(W, b)


class TestInputErrors:
    @pytest.mark.parametrize("shape, got", [
        ((5, 3), "(5, 3)"), ((2, 5), "(2, 5)"), ((2,), "(2,) … x[None, :]"), ((3,), "(3,)"),
        ((5, 2, 1), "(5, 2, 1) … Flatten()…")])
    def test_the_last_axis_is_that_of_W(self, shape, got):
        with refused(ValueError, f"Affine: x … (N, ..., 2) … {got}"):
            Affine(W, None).forward(np.ones(shape))

    def test_dout_has_the_shape_of_the_output(self):
        layer = Affine(W, None)
        layer.forward(np.ones((5, 2)))
        with refused(ValueError, "Affine: dout … (5, 3) … (5, 2)"):
            layer.backward(np.ones((5, 2)))
        with refused(ValueError, "Affine: dout … (5, 3) … (1, 3)"):
            layer.backward(np.ones((1, 3)))
