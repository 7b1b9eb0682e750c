"""Derivatives by trying."""
from types import SimpleNamespace

import numpy as np
import pytest

from chainrule.common.layer import Layer
from chainrule.gradcheck import Numeric, jacobian, numerical_gradient
from chainrule.layers import Affine, Dropout, Softmax
from tests.errors import refused


def test_the_gradient_of_a_polynomial():
    x = np.array([[1.0, -2.0], [0.5, 3.0]])
    np.testing.assert_allclose(numerical_gradient(lambda x: (x ** 3).sum(), x), 3 * x ** 2, rtol=1e-8)


def test_weights_of_an_array_output():
    x, dout = np.array([0.3, -1.0]), np.array([2.0, -5.0])
    np.testing.assert_allclose(numerical_gradient(np.sin, x, dout), dout * np.cos(x), rtol=1e-8)


def test_x_is_never_changed_and_may_be_of_any_dtype():
    x = np.array([1, 2])
    def spoil(x):
        x *= 2
        return (x ** 2).sum()
    np.testing.assert_allclose(numerical_gradient(spoil, x), [8, 16], rtol=1e-7)
    assert x.tolist() == [1, 2]


def test_a_given_step():
    assert numerical_gradient(lambda x: (x ** 3).sum(), np.array([0.0]), eps=0.1) == pytest.approx(0.01)


def test_the_shape_of_dout_is_checked():
    with refused(ValueError, "numerical_gradient: f … (2,); pass dout…"):
        numerical_gradient(np.sin, np.ones(2))
    with refused(ValueError, "numerical_gradient: dout … f(x), (2,) … (3,)"):
        numerical_gradient(np.sin, np.ones(2), np.ones(3))


@pytest.mark.parametrize("layer", [Affine.init(3, 4, rng=0), Softmax(), Dropout(0.5, rng=0)])
def test_the_jacobian_both_ways(layer):
    x = np.random.default_rng(0).normal(size=(2, 3))
    by_backward, by_trying = jacobian(layer, x), jacobian(layer, x, numerical=True)
    assert by_backward.shape == (layer.forward(x.astype(np.float32)).size, x.size)
    np.testing.assert_allclose(by_backward, by_trying, atol=1e-8)


def test_the_jacobian_is_row_major():
    W = np.arange(6.0).reshape(2, 3)
    J = jacobian(Affine(W, None), np.ones((1, 2))).reshape(1, 3, 1, 2)
    np.testing.assert_allclose(J[0, :, 0, :], W.T)


@pytest.mark.parametrize("arguments, error, message", [
    ((3, np.ones(2)), TypeError, "f … function … array … 3"),
    ((np.sum, "ab"), TypeError, "x … array … <U2 str"),
    ((np.sum, np.ones(2), None, "a"), TypeError, "eps … above 0 … 'a'"),
    ((np.sum, np.ones(2), None, 0), ValueError, "eps … above 0 … 0"),
    ((np.sum, np.ones(2), None, -0.1), ValueError, "eps … above 0 … -0.1"),
    ((np.sum, np.full(2, 1e9), None, 1e-8), ValueError, "eps … above 0 … 1e-08"),
    ((lambda x: None, np.ones(2)), TypeError, "f … array … NoneType"),
    ((lambda x: "ab", np.ones(2)), TypeError, "f … array … <U2 str"),
])
def test_what_has_no_gradient(arguments, error, message):
    with refused(error, f"numerical_gradient: {message}"):
        numerical_gradient(*arguments)


def test_a_step_far_below_1_serves_an_x_as_small():
    assert numerical_gradient(lambda x: x ** 2, np.array(1e-12), eps=1e-15) == pytest.approx(2e-12)


class Wrong(Layer):
    """x + x, with a backward that gives what it is told to."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, x):
        return x + x

    def backward(self, dout):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize("layer, x, error, message", [
    (np.sin, np.ones(2), TypeError, "jacobian: layer … forward and backward … <ufunc 'sin'>"),
    (Softmax, np.ones(2), TypeError, "jacobian: layer … object … the class Softmax … Softmax(...)"),
    (Softmax(), "ab", TypeError, "jacobian: x … array … <U2 str"),
    (Wrong(None), np.ones(2), TypeError, "jacobian: backward(dout) … array … NoneType"),
    (Wrong(np.ones(3)), np.ones(2), ValueError, "jacobian: backward(dout) … (2,) … (3,)"),
    (Wrong(KeyError("k")), np.ones(2), KeyError, "'k'"),
])
def test_what_has_no_jacobian(layer, x, error, message):
    with refused(error, message):
        jacobian(layer, x)


def test_the_numerical_jacobian_needs_no_backward():
    layer = SimpleNamespace(forward=lambda x: 3 * x)
    np.testing.assert_allclose(jacobian(layer, [1, 2], numerical=True), 3 * np.eye(2), rtol=1e-9)
    with refused(TypeError, "jacobian: layer … forward and backward … namespace…"):
        jacobian(layer, [1, 2])


def test_numeric_refuses_what_has_no_forward_and_another_dout():
    with refused(TypeError, "Numeric: layer … forward … 3"):
        Numeric(3)
    with refused(TypeError, "Numeric: layer … forward … <ufunc 'sin'>"):
        Numeric(np.sin)
    with refused(TypeError, "Numeric: layer … object … the class Softmax … Softmax(...)"):
        Numeric(Softmax)
    layer = Numeric(Softmax())
    layer.forward(np.ones((2, 3)))
    for dout in (np.ones(6), np.ones((2, 4)), 1.0):
        with refused(ValueError, "Numeric: dout … (2, 3)…"):
            layer.backward(dout)
