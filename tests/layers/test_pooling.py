"""Pooling against its definition in plain loops. (PyTorch's values: test_parity.)"""
import numpy as np
import pytest

from chainrule.common.engine import compiled
from chainrule.layers.pooling import AveragePool, GlobalAveragePool, MaxPool
from tests.errors import refused


def by_loops(layer, x, dy):
    """The definition: (y, dx). A maximum hands its gradient to the first place that holds it, row by row; a mean to all."""
    (N, C, H, W), (KH, KW), (SH, SW), (PH, PW) = x.shape, layer.size, layer.stride, layer.padding
    largest = isinstance(layer, MaxPool)
    padded = np.full((N, C, H + 2 * PH, W + 2 * PW), -np.inf if largest else 0.0)
    padded[:, :, PH:PH + H, PW:PW + W] = x
    y, dpadded = np.empty_like(dy), np.zeros_like(padded)
    for n, c, i, j in np.ndindex(dy.shape):
        at = np.s_[n, c, i * SH:i * SH + KH, j * SW:j * SW + KW]
        window = padded[at]
        if largest:
            y[n, c, i, j] = window.max()
            first = np.unravel_index(window.argmax(), window.shape)        # argmax: the first in row-major order
            dpadded[at][first] += dy[n, c, i, j]
        else:
            y[n, c, i, j] = window.mean()
            dpadded[at] += dy[n, c, i, j] / window.size
    return y, dpadded[:, :, PH:PH + H, PW:PW + W]


SWEEP = {
    "2x2": [(2, 3, 6, 4), dict(size=2)],
    "2x2, many channels": [(2, 17, 6, 4), dict(size=2)],
    "1x1": [(2, 3, 4, 5), dict(size=1)],
    "one pixel": [(1, 1, 1, 1), dict(size=1)],
    "as large as the image": [(2, 3, 4, 5), dict(size=(4, 5))],
    "overlapping": [(2, 3, 7, 9), dict(size=3, stride=2)],
    "overlapping, many channels": [(2, 16, 7, 9), dict(size=3, stride=(1, 2), padding=1)],
    "stride 1": [(2, 2, 5, 6), dict(size=(2, 3), stride=1, padding=(1, 0))],
    "stride not dividing": [(2, 3, 7, 5), dict(size=2)],
    "stride beyond the window": [(2, 3, 8, 9), dict(size=2, stride=(3, 4))],
    "stride beyond the window, many channels": [(2, 16, 8, 9), dict(size=2, stride=(3, 4))],
    "asymmetric": [(2, 2, 9, 4), dict(size=(4, 1), stride=(2, 3), padding=(2, 0))],
    "padded and overlapping across alone": [(2, 2, 4, 9), dict(size=(2, 7), stride=(2, 1), padding=(0, 3))],
}
every = pytest.mark.parametrize("name", SWEEP)
both = pytest.mark.parametrize("cls", [MaxPool, AveragePool])


def compare(layer, x, tolerance=1e-12):
    y = layer.forward(x)
    dy = np.random.default_rng(1).standard_normal(y.shape)
    expected = by_loops(layer, x.astype(float), dy)
    for got, wanted in zip((y, layer.backward(dy)), expected, strict=True):
        assert got.dtype == x.dtype
        np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance)


@both
@every
def test_values_and_gradients_are_those_of_the_loops(cls, name):
    shape, options = SWEEP[name]
    compare(cls(**options), np.random.default_rng(0).standard_normal(shape))


@every
def test_of_equal_maxima_the_first_in_row_major_order_gets_the_gradient(name):
    shape, options = SWEEP[name]
    compare(MaxPool(**options), np.random.default_rng(0).integers(0, 2, shape).astype(float))


def test_first_means_along_the_rows_first():
    layer = MaxPool(2)
    layer.forward(np.array([[[[0.0, 1.0], [1.0, 1.0]]]]))
    np.testing.assert_array_equal(layer.backward(np.full((1, 1, 1, 1), 5.0)), [[[[0, 5], [0, 0]]]])
    layer.forward(np.array([[[[0.0, 0.0], [1.0, 1.0]]]]))
    np.testing.assert_array_equal(layer.backward(np.full((1, 1, 1, 1), 5.0)), [[[[0, 0], [5, 0]]]])


@both
@pytest.mark.parametrize("scratch", [1, 2000])
def test_the_size_of_the_pieces_changes_nothing(cls, scratch, monkeypatch):
    monkeypatch.setattr("chainrule.common.engine.pooling.CACHE", scratch)
    compare(cls(3, stride=2, padding=1), np.random.default_rng(0).standard_normal((5, 2, 6, 7)))


@both
def test_float32_and_any_order_of_memory(cls):
    x = np.random.default_rng(0).standard_normal((2, 5, 4, 3), np.float32)
    compare(cls(2), x, 1e-6)
    compare(cls(2), x.transpose(0, 3, 1, 2), 1e-6)
    compare(cls(2), x[:, ::-1, :, ::2], 1e-6)


@pytest.mark.parametrize("floor, each", [("numpy", 3), ("compiled", 1)])
def test_a_maximum_takes_notes_a_byte_each_a_mean_none(floor, each):
    bytes_kept = []
    with compiled.floor(floor, large=1):
        for layer in MaxPool(2), AveragePool(2):
            layer.forward(np.ones((5, 3, 4, 8)))
            bytes_kept.append(sum(getattr(a, "nbytes", 0) for a in layer.cache))
    assert bytes_kept == [5 * 3 * 2 * 4 * (each if compiled.installed() else 3), 0]


def test_the_padding_of_a_maximum_never_wins_and_that_of_a_mean_counts():
    x = np.full((1, 1, 2, 2), -4.0)
    np.testing.assert_array_equal(MaxPool(2, padding=1).forward(x), np.full((1, 1, 2, 2), -4))
    np.testing.assert_array_equal(AveragePool(2, padding=1).forward(x), np.full((1, 1, 2, 2), -1))


def test_global_average():
    rng = np.random.default_rng(0)
    layer, x = GlobalAveragePool(), rng.standard_normal((2, 3, 4, 5))
    np.testing.assert_allclose(layer.forward(x), [[image.sum() / 20 for image in sample] for sample in x], atol=1e-15)
    dy = rng.standard_normal((2, 3))
    np.testing.assert_allclose(layer.backward(dy), [[np.full((4, 5), d / 20) for d in row] for row in dy], atol=1e-15)


def test_the_options_show():
    assert repr(MaxPool(3, stride=2, padding=(1, 0))) == "MaxPool(size=(3, 3), stride=(2, 2), padding=(1, 0))"
    assert repr(AveragePool((2, 3))) == "AveragePool(size=(2, 3), stride=(2, 3), padding=(0, 0))"


@pytest.mark.parametrize("call, error, message", [
    (lambda: MaxPool(0), ValueError, "MaxPool: size … at least 1 … 0"),
    (lambda: MaxPool(2.0), TypeError, "MaxPool: size … whole number … 2.0"),
    (lambda: AveragePool(2, stride=(1, 0)), ValueError, "AveragePool: stride … at least 1 … 0"),
    (lambda: MaxPool(3, padding=-1), ValueError, "MaxPool: padding … at least 0 … -1"),
    (lambda: MaxPool(3, padding=2), ValueError, "MaxPool: padding … (3, 3) … (2, 2)"),
    (lambda: AveragePool((4, 1), padding=(2, 1)), ValueError,
     "AveragePool: padding … (4, 1) … (2, 1)"),
    (lambda: MaxPool(3).forward(np.zeros((1, 2, 5, 2))), ValueError,
     "MaxPool: x … 3 … 3 … 5 x 2…"),
    (lambda: MaxPool(2).forward(np.zeros((2, 5, 5))), ValueError, "MaxPool: x … (N, C, H, W) … (2, 5, 5)"),
    (lambda: GlobalAveragePool().forward(np.zeros((2, 5))), ValueError,
     "GlobalAveragePool: x … (N, C, H, W) … (2, 5)"),
    (lambda: MaxPool(2).forward(np.zeros((1, 1, 2, 2), int)), TypeError,
     "MaxPool: x … array … int64 ndarray … x.astype(np.float32)"),
])
def test_errors_name_the_numbers(call, error, message):
    with refused(error, message):
        call()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_padding_does_not_win_over_minus_infinity(dtype):
    """A window that holds nothing but -∞: its first value takes the gradient, as in PyTorch, and not the padding."""
    layer = MaxPool(2, padding=1)
    y = layer.forward(np.full((1, 1, 2, 2), -np.inf, dtype))
    assert (y == -np.inf).all() and y.dtype == dtype
    assert layer.backward(np.array([[[[1, 2], [3, 4]]]], dtype)).tolist() == [[[[1, 2], [3, 4]]]]
