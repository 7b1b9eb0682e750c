"""Elementwise layers and losses in float32 are what they are in float64, to the ends of float32's range: no overflow on the
way to a value that is in it, no warning, no NaN."""
import numpy as np
import pytest

from chainrule import layers

SIZES = [1e-38, 1e-30, 1e-20, 1e-10, 1.0, 1e10, 1e18, 1e20, 1e30, 3e38]
X = np.array([[sign * size for size in SIZES for sign in (1, -1)]], np.float32)
LARGEST = float(np.finfo(np.float32).max)


def compare(make, *inputs, dout=None, tolerance=1e-5):
    narrow, wide = make(), make()
    y, expected = narrow.forward(*inputs), wide.forward(*(x.astype(np.float64) if x.dtype.kind == "f" else x for x in inputs))
    douts = [np.ones_like(y), np.ones_like(expected)] if dout is None else [dout, dout]
    found, right = (g if isinstance(g, tuple) else (g,) for g in (narrow.backward(douts[0]), wide.backward(douts[1])))
    for a, b in zip((y, *found), (expected, *right)):
        assert np.ndim(a) == 0 or a.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=2e-38)


@pytest.mark.parametrize("name", ["Sigmoid", "Tanh", "ReLU", "LeakyReLU", "Softplus", "GELU", "Sin"])
def test_activations(name):
    compare(getattr(layers, name), X)


def test_exp_and_log():
    compare(layers.Exp, X[np.abs(X) < 80][None])
    compare(layers.Log, np.abs(X))


@pytest.mark.parametrize("exponent", [2, 3, 0.5, -1, -2])
def test_power(exponent):
    x = np.abs(X.astype(np.float64))
    keep = np.maximum(x ** exponent, x ** (exponent - 1)) < LARGEST / 4
    compare(lambda: layers.Power(exponent), x[keep].astype(np.float32)[None])


PAIRS = [a.reshape(1, -1).astype(np.float64) for a in np.meshgrid(X[0], X[0])]
BINARY = {"Add": lambda a, b: [a + b], "Subtract": lambda a, b: [a - b], "Multiply": lambda a, b: [a * b],
          "Divide": lambda a, b: [a / b, 1 / b, a / b / b], "Maximum": lambda a, b: [a]}


@pytest.mark.parametrize("name", BINARY)
def test_arithmetic(name):
    keep = np.all([np.abs(value) < LARGEST / 2 for value in BINARY[name](*PAIRS)], axis=0)
    compare(getattr(layers, name), *(a[keep].astype(np.float32)[None] for a in PAIRS))


ROWS = np.array([[1, -1, 0.5], [1, 1, 0.25]])
LOSSES = {"SquaredError": (layers.SquaredError, 0 * ROWS), "1": (lambda: layers.NormLoss(1), 0 * ROWS),
          "2": (lambda: layers.NormLoss(2), 0 * ROWS), "inf": (lambda: layers.NormLoss(np.inf), 0 * ROWS),
          "CosineLoss": (layers.CosineLoss, ROWS[:, ::-1].copy()), "SigmoidWithLoss": (layers.SigmoidWithLoss, (ROWS > 0) * 1.0)}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("make, t", LOSSES.values(), ids=LOSSES)
def test_losses(make, t, size):
    compare(make, (ROWS * size).astype(np.float32), t.astype(np.float32), dout=1.0)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["HingeLoss", "SoftmaxWithLoss"])
def test_losses_of_labels(name, size):
    """Their differences of two scores may be past float32's range."""
    compare(getattr(layers, name), (ROWS * size).astype(np.float32), np.array([1, 0]), dout=1.0)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("t", [np.eye(3)[[1, 0]], [[0.2, 0.3, 0.5]] * 2, [[0.0, 0.5, 0.5], [0, 2, 0]]],
                         ids=["one-hot", "shares", "any"])
def test_softmax_with_rows_of_weights(t, size):
    compare(layers.SoftmaxWithLoss, (ROWS * size).astype(np.float32), np.float32(t), dout=1.0)


@pytest.mark.parametrize("name", ["HingeLoss", "SoftmaxWithLoss"])
def test_the_sum_over_samples_may_be_past_the_range(name):
    compare(getattr(layers, name), np.tile((ROWS * 1e38).astype(np.float32), (4, 1)), np.array([1, 0] * 4), dout=1.0)


def test_softmax_with_a_label_to_ignore():
    compare(lambda: layers.SoftmaxWithLoss(ignore_label=-1), (ROWS * 3e38).astype(np.float32), np.array([-1, 0]), dout=1.0)
    compare(lambda: layers.SoftmaxWithLoss(ignore_label=-1), (ROWS * 3e38).astype(np.float32), np.array([1, -1]), dout=1.0)
