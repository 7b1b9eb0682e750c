"""Derivatives by trying."""
import numpy as np
import pytest

from chainrule.common.gradcheck import jacobian, numerical_gradient
from chainrule.layers import Affine, Dropout, Softmax


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
    with pytest.raises(ValueError, match="pass dout"):
        numerical_gradient(np.sin, np.ones(2))
    with pytest.raises(ValueError, match="shape of f"):
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
