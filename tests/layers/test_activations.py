"""Activations: values by hand, the points where a formula changes, the far ends, and their errors."""
import math

import numpy as np
import pytest

from chainrule.layers import ELU, GELU, LeakyReLU, LogSumExp, ReLU, Sigmoid, SiLU, Softmax, Softplus, Tanh
from tests.errors import refused

ELEMENTWISE = [Sigmoid, Tanh, ReLU, LeakyReLU, ELU, SiLU, Softplus, GELU]


def derivative(layer, x):
    return layer.backward(np.ones_like(x))


def test_sigmoid():
    layer, x = Sigmoid(), np.array([[0.0, math.log(3), -math.log(3)]])
    np.testing.assert_allclose(layer.forward(x), [[1 / 2, 3 / 4, 1 / 4]], rtol=1e-14)
    np.testing.assert_allclose(derivative(layer, x), [[1 / 4, 3 / 16, 3 / 16]], rtol=1e-14)


def test_tanh():
    layer, x = Tanh(), np.array([[0.0, math.log(2), -math.log(2)]])
    np.testing.assert_allclose(layer.forward(x), [[0, 3 / 5, -3 / 5]], rtol=1e-14)
    np.testing.assert_allclose(derivative(layer, x), [[1, 16 / 25, 16 / 25]], rtol=1e-14)


def test_relu_and_its_corner():
    layer, x = ReLU(), np.array([[-2.0, -0.0, 0.0, 5e-324, 3.0]])
    np.testing.assert_array_equal(layer.forward(x), [[0, 0, 0, 5e-324, 3]])
    np.testing.assert_array_equal(derivative(layer, x), [[0, 0, 0, 1, 1]])


def test_leaky_relu_and_its_corner():
    layer, x = LeakyReLU(slope=0.25), np.array([[-2.0, 0.0, 3.0]])
    np.testing.assert_array_equal(layer.forward(x), [[-0.5, 0, 3]])
    np.testing.assert_array_equal(derivative(layer, x), [[0.25, 0.25, 1]])
    assert LeakyReLU().slope == 0.01
    assert LeakyReLU(slope=-1).forward(x).tolist() == [[2, 0, 3]]          # the absolute value


def test_elu_and_its_corner():
    layer, x = ELU(alpha=2.0), np.array([[-math.log(4), -1e-20, 0.0, 3.0]])
    np.testing.assert_allclose(layer.forward(x), [[-1.5, -2e-20, 0, 3]], rtol=1e-14)
    np.testing.assert_allclose(derivative(layer, x), [[0.5, 2, 2, 1]], rtol=1e-14)
    assert ELU().alpha == 1.0


def test_silu():
    layer, x = SiLU(), np.array([[0.0, math.log(3), -math.log(3)]])
    np.testing.assert_allclose(layer.forward(x), [[0, 3 / 4 * math.log(3), -1 / 4 * math.log(3)]], rtol=1e-14)
    np.testing.assert_allclose(derivative(layer, x),
                               [[1 / 2, 3 / 4 + 3 / 16 * math.log(3), 1 / 4 - 3 / 16 * math.log(3)]], rtol=1e-13)


def test_softplus():
    layer, x = Softplus(), np.array([[0.0, math.log(3), -math.log(3)]])
    np.testing.assert_allclose(layer.forward(x), [[math.log(2), math.log(4), math.log(4 / 3)]], rtol=1e-14)
    np.testing.assert_allclose(derivative(layer, x), [[1 / 2, 3 / 4, 1 / 4]], rtol=1e-14)
    np.testing.assert_array_equal(layer.forward(np.array([[-1e4, 1e4]])), [[0, 1e4]])


def test_gelu():
    layer, x = GELU(), np.array([[0.0, 2.0, -2.0]])
    t = math.tanh(math.sqrt(2 / math.pi) * (2 + 0.044715 * 8))
    np.testing.assert_allclose(layer.forward(x), [[0, 1 + t, t - 1]], rtol=1e-14)
    assert derivative(layer, x)[0, 0] == 0.5
    # The tanh form is within 0.0005 of x · P(Z <= x).
    x = np.linspace(-4, 4, 81)
    np.testing.assert_allclose(layer.forward(x), [v * (1 + math.erf(v / math.sqrt(2))) / 2 for v in x], atol=5e-4)


def test_exact_gelu():
    layer, x = GELU(exact=True), np.linspace(-8, 8, 321)
    P = [(1 + math.erf(v / math.sqrt(2))) / 2 for v in x]
    np.testing.assert_allclose(layer.forward(x), x * P, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(derivative(layer, x), P + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi), rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(layer.forward(x), GELU().forward(x), atol=5e-4)
    assert repr(layer) == "GELU(exact=True)"


@pytest.mark.parametrize("axis", [-1, 0, (0, 2), (-1, 1), None, ()])
@pytest.mark.parametrize("keepdims", [False, True])
def test_log_sum_exp(axis, keepdims):
    layer, x = LogSumExp(axis, keepdims), np.random.default_rng(0).standard_normal((2, 3, 4))
    y = layer.forward(x)
    np.testing.assert_allclose(y, np.log(np.exp(x).sum(axis=axis, keepdims=keepdims)), rtol=1e-13)
    dout = np.random.default_rng(1).standard_normal(np.shape(y))
    e = np.exp(x)
    kept = np.reshape(dout, e.sum(axis=axis, keepdims=True).shape)
    np.testing.assert_allclose(layer.backward(dout), kept * e / e.sum(axis=axis, keepdims=True), rtol=1e-13)


def test_log_sum_exp_over_an_axis_that_is_none():
    with refused(TypeError, "LogSumExp: axis … whole number … 0.5"):
        LogSumExp(axis=0.5)
    with refused(ValueError, "LogSumExp: x … axis … 2 … shape (2, 3)"):
        LogSumExp(axis=2).forward(np.ones((2, 3)))


def test_softmax():
    layer, x = Softmax(), np.log([[1.0, 2.0, 5.0], [1.0, 1.0, 2.0]])
    np.testing.assert_allclose(layer.forward(x), [[1 / 8, 2 / 8, 5 / 8], [1 / 4, 1 / 4, 1 / 2]], rtol=1e-14)
    np.testing.assert_allclose(layer.backward(np.array([[1.0, 0, 0], [0, 0, 1]])),
                               [[7 / 64, -2 / 64, -5 / 64], [-1 / 8, -1 / 8, 1 / 4]], rtol=1e-14)
    np.testing.assert_allclose(layer.backward(np.ones((2, 3))), 0, atol=1e-16)       # the outputs' sum is constant


@pytest.mark.parametrize("cls", ELEMENTWISE)
def test_the_far_ends_are_flat_or_straight(cls):
    layer = cls()
    x = np.array([[-1e4, 1e4]], np.float32)
    layer.forward(x)
    left, right = {Sigmoid: (0, 0), Tanh: (0, 0), LeakyReLU: (np.float32(0.01), 1)}.get(cls, (0, 1))
    np.testing.assert_array_equal(derivative(layer, x), [[left, right]])


@pytest.mark.parametrize("cls", [*ELEMENTWISE, Softmax])
@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 1, 2, 3)])
def test_any_shape(cls, shape):
    layer, x = cls(), np.linspace(-1, 1, math.prod(shape)).reshape(shape)
    assert layer.forward(x).shape == layer.backward(x).shape == shape


def test_softmax_needs_an_axis():
    with refused(ValueError, "Softmax: x … (..., C) … ()"):
        Softmax().forward(np.array(1.0))


@pytest.mark.parametrize("slope", ["steep", None])
def test_a_slope_is_a_number(slope):
    with refused(TypeError, f"LeakyReLU: slope … finite … {slope!r}"):
        LeakyReLU(slope=slope)
    with refused(ValueError, "LeakyReLU: slope … finite … inf"):
        LeakyReLU(slope=np.inf)
    with refused(TypeError, f"ELU: alpha … finite … {slope!r}"):
        ELU(alpha=slope)


@pytest.mark.parametrize("cls", [*ELEMENTWISE, Softmax])
def test_dout_has_the_shape_of_the_output(cls):
    layer = cls()
    layer.forward(np.ones((2, 3)))
    with refused(ValueError, f"{cls.__name__}: dout … (2, 3) … (3, 3)"):
        layer.backward(np.ones((3, 3)))
