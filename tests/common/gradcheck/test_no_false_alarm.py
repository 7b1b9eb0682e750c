"""Every exported layer is right, whatever the inputs: kinks, ties, tiny and huge values, float32."""
import contextlib

import numpy as np
import pytest

from chainrule import layers as L
from chainrule.gradcheck import check_gradients, locate
from chainrule.layers import __all__ as exported
from chainrule.models import MLP, Sequential
from tests.common.gradcheck.right import CASES as SHAPES
from tests.layers.table import CASES, TABLE


def inputs_of(case, seed):
    rng, dtype = np.random.default_rng(seed), np.float32 if seed % 3 == 0 else np.float64
    inputs = case.inputs(rng, dtype, (1.0, 1.0, 1e-3, 10.0)[seed % 4])
    layer = case.make(dtype)
    if seed % 5 == 4:                # halves and wholes: zeros and ties, where the layer takes them
        tied = tuple(np.round(2 * x) / 2 if getattr(x, "dtype", None) == dtype and x.min() < 0 else x for x in inputs)
        with contextlib.suppress(ValueError):
            case.make(dtype).forward(*tied)
            inputs = tied
    return layer, inputs


def sweep(case, seeds):
    for seed in seeds:
        layer, inputs = inputs_of(case, seed)
        report = check_gradients(layer, *inputs, rng=seed)
        assert report.ok or report.codes == ["uninformative"], report


def sweep_shapes(case, seeds):
    for seed in seeds:
        layer, inputs = case(np.random.default_rng(seed), np.float32 if seed % 3 == 0 else np.float64)
        report = check_gradients(layer, *inputs, rng=seed)
        assert report.ok or report.codes == ["uninformative"], report


def test_all_exported_layers_are_checked():
    assert set(exported) <= set(TABLE)


@pytest.mark.parametrize("name", CASES)
def test_right(name):
    sweep(CASES[name], (1, 4))


@pytest.mark.parametrize("name", SHAPES)
def test_right_for_many_shapes(name):
    sweep_shapes(SHAPES[name], range(6))


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_right_200_seeds(name):
    sweep(CASES[name], range(200))


@pytest.mark.slow
@pytest.mark.parametrize("name", SHAPES)
def test_right_for_many_shapes_200_seeds(name):
    sweep_shapes(SHAPES[name], range(200))


def test_relu_at_exactly_zero_and_pooling_ties():
    x = np.array([[0.0, 0.0, -1.0], [2.0, 0.0, 1.0], [0.5, 0.0, 0.0]])
    assert check_gradients(L.ReLU(), x, rng=0).codes == ["kink"]
    assert check_gradients(L.ReLU(), np.zeros((5, 3)), rng=0).ok
    assert check_gradients(L.MaxPool(2), np.round(np.random.default_rng(0).random((2, 2, 6, 6)) * 2), rng=0).ok
    assert check_gradients(L.MaxPool(2), np.ones((2, 1, 4, 4)), rng=0).ok


@pytest.mark.parametrize("scale", [1e-8, 1e-4, 1e6])
def test_tiny_and_huge_gradients(scale):
    rng = np.random.default_rng(0)
    x, W = rng.normal(size=(5, 3)), rng.normal(size=(3, 4)) * scale
    assert check_gradients(L.Affine(W, np.zeros(4)), x, rng=0).ok
    assert check_gradients(L.Affine(rng.normal(size=(3, 4)), rng.normal(size=4)), x * scale, rng=0).ok


@pytest.mark.parametrize("scale", [1e-8, 1e6])
def test_mistakes_in_tiny_and_huge_gradients_are_seen(scale):
    class Half(L.Affine):
        def backward(self, dout):
            return super().backward(dout) / 2
    rng = np.random.default_rng(0)
    report = check_gradients(Half(rng.normal(size=(3, 4)) * scale, np.zeros(4)), rng.normal(size=(5, 3)), rng=0)
    assert report.codes == ["factor-half"], report


def test_whole_models():
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(5, 3)), rng.integers(0, 4, 5)
    assert check_gradients(MLP([3, 6, 4], rng=0), x, t, rng=0)
    assert check_gradients(MLP([3, 6, 4], rng=0), x, rng=0)
    assert locate(MLP([3, 6, 4], rng=0), x, t, rng=0)


def test_large_layers_are_sampled():
    rng = np.random.default_rng(0)

    class OneRow(L.Affine):
        def backward(self, dout):
            dx = super().backward(dout)
            self.grads[0][3] = 0
            return dx
    x = rng.normal(size=(8, 784))
    good, bad = (check_gradients(cls.init(784, 256, rng=1), x, rng=0) for cls in (L.Affine, OneRow))
    assert good.ok and "large" in good.notes[0]
    assert not bad.ok and bad.findings[0].where == "params[0]" and bad.findings[0].text == "self.grads[0][3] = 0"


@pytest.mark.parametrize("layer", [L.ReLU(), L.MaxPool(2)], ids=repr)
def test_kinks_of_large_layers(layer):
    x = np.maximum(np.random.default_rng(0).normal(size=(4, 8, 16, 16)), 0)        # zeros and ties, as images have
    report = check_gradients(layer, x, rng=0)
    assert report.ok and report.codes == ["kink"], report

    class Half(type(layer)):
        def backward(self, dout):
            return super().backward(dout) / 2
    half = Half.__new__(Half)
    half.__dict__.update(layer.__dict__)
    assert check_gradients(half, x, rng=0).codes == ["factor-half"]


def test_images_with_a_black_border_blame_no_layer():
    x, t = np.zeros((5, 1, 8, 8)), np.arange(5)
    x[:, :, 2:6, 2:6] = np.random.default_rng(0).random((5, 1, 4, 4))
    for activation in (L.ReLU, L.GELU):
        model = Sequential(L.Convolution.init(1, 8, 3, padding=1, rng=0), activation(), L.MaxPool(2), L.Flatten(),
                           L.Affine.init(128, 10, rng=1), loss=L.SoftmaxWithLoss())
        assert locate(model, x, t, rng=0)
