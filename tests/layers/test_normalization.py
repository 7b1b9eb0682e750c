"""BatchNorm, LayerNorm and GroupNorm against the formula, and numerical gradients. (PyTorch's values: test_parity.)"""
import numpy as np
import pytest

from chainrule.gradcheck import numerical_gradient
from chainrule.layers.normalization import BatchNorm, GroupNorm, LayerNorm
from tests.errors import refused


def parameters(n, dtype=np.float64):
    rng = np.random.default_rng(0)
    return rng.standard_normal(n).astype(dtype), rng.standard_normal(n).astype(dtype)


def standardized(x, axes, eps=1e-5):
    return (x - x.mean(axis=axes, keepdims=True)) / np.sqrt(x.var(axis=axes, keepdims=True) + eps)


def draw(*shape):
    return np.random.default_rng(1).standard_normal(shape) * 3 + 2


def channels(p, x):
    return p.reshape(1, -1, *[1] * (x.ndim - 2))


CASES = {
    "BatchNorm": (BatchNorm(*parameters(4)), draw(5, 4), lambda x: standardized(x, 0), 1),
    "BatchNorm, image": (BatchNorm(*parameters(3), eps=0.1), draw(2, 3, 2, 4), lambda x: standardized(x, (0, 2, 3), 0.1), 1),
    "LayerNorm": (LayerNorm(*parameters(4)), draw(5, 4), lambda x: standardized(x, -1), -1),
    "LayerNorm, sequence": (LayerNorm(*parameters(4), eps=0.1), draw(2, 3, 4), lambda x: standardized(x, -1, 0.1), -1),
    "GroupNorm": (GroupNorm(*parameters(6), 2), draw(5, 6), lambda x: standardized(x.reshape(5, 2, 3), 2).reshape(5, 6), 1),
    "GroupNorm, image": (GroupNorm(*parameters(4), groups=2, eps=0.1), draw(2, 4, 3, 2),
                         lambda x: standardized(x.reshape(2, 2, -1), 2, 0.1).reshape(x.shape), 1),
}
every = pytest.mark.parametrize("name", CASES)


def by_definition(name, x, *params):
    _, _, u, axis = CASES[name]
    gamma, beta = (p if axis == -1 else channels(p, x) for p in params)
    return gamma * u(x) + beta


@every
def test_values_are_those_of_the_formula(name):
    layer, x, _, _ = CASES[name]
    np.testing.assert_allclose(layer.forward(x), by_definition(name, x, *layer.params), rtol=1e-12, atol=1e-12)


@every
def test_gradients_are_the_numerical_ones(name):
    layer, x, _, _ = CASES[name]
    y = layer.forward(x)
    dy = np.random.default_rng(2).standard_normal(y.shape)
    dx = layer.backward(dy)

    gamma, beta = layer.params
    for analytic, function, at in zip((dx, *layer.grads), (lambda v: by_definition(name, v, gamma, beta),
                                                           lambda v: by_definition(name, x, v, beta),
                                                           lambda v: by_definition(name, x, gamma, v)), (x, gamma, beta)):
        np.testing.assert_allclose(analytic, numerical_gradient(function, at, dy), rtol=0, atol=1e-7)


@every
def test_without_the_inputs_gradient_the_others_are_the_same(name):
    layer, x, _, _ = CASES[name]
    y = layer.forward(x)
    layer.backward(np.ones_like(y))
    expected = [g.copy() for g in layer.grads]
    for g in layer.grads:
        g[...] = np.nan
    layer.input_gradient = False
    try:
        assert layer.backward(np.ones_like(y)) is None
    finally:
        layer.input_gradient = True
    np.testing.assert_array_equal(layer.grads, expected)


def test_batch_norm_follows_mean_and_unbiased_variance():
    layer = BatchNorm(*parameters(3), momentum=0.25)
    first, second = draw(2, 3, 2, 2), draw(4, 3, 1, 3) + 1
    mean, var = np.zeros(3), np.ones(3)
    for x in (first, second):
        layer.forward(x)
        mean = 0.75 * mean + 0.25 * x.mean(axis=(0, 2, 3))
        var = 0.75 * var + 0.25 * x.var(axis=(0, 2, 3), ddof=1)
    np.testing.assert_allclose(layer.running_mean, mean, rtol=1e-12)
    np.testing.assert_allclose(layer.running_var, var, rtol=1e-12)
    assert layer.buffers["running_mean"] is layer.running_mean and layer.buffers["running_var"] is layer.running_var


@pytest.mark.parametrize("shape", [(1, 3), (2, 3, 2, 2)])
def test_batch_norm_in_evaluation_uses_the_running_statistics_and_leaves_them(shape):
    layer = BatchNorm(*parameters(3), eps=0.01)
    layer.running_mean[...], layer.running_var[...] = [1, 2, 3], [4, 0, 1]
    layer.training = False
    x = draw(*shape)
    gamma, beta = (channels(p, x) for p in layer.params)
    s = channels(1 / np.sqrt(np.array([4.01, 0.01, 1.01])), x)
    u = (x - channels(np.array([1, 2, 3]), x)) * s
    y = layer.forward(x)
    np.testing.assert_allclose(y, gamma * u + beta, rtol=1e-12)
    dy = np.random.default_rng(2).standard_normal(shape)
    np.testing.assert_allclose(layer.backward(dy), gamma * s * dy, rtol=1e-12)
    rest = tuple(i for i in range(x.ndim) if i != 1)
    np.testing.assert_allclose(layer.grads, [(dy * u).sum(axis=rest), dy.sum(axis=rest)], rtol=1e-10)
    np.testing.assert_array_equal([layer.running_mean, layer.running_var], [[1, 2, 3], [4, 0, 1]])


@pytest.mark.parametrize("layer, shape", [
    (BatchNorm.init(3), (4, 3, 5, 5)), (GroupNorm.init(4, 2), (3, 4, 5, 5)), (LayerNorm.init(6), (3, 6))])
def test_fresh_layers_are_float32_and_standardize(layer, shape):
    y = layer.forward(draw(*shape).astype(np.float32))
    assert y.dtype == np.float32 and layer.backward(np.ones_like(y)).dtype == np.float32
    assert all(b.dtype == np.float32 for b in layer.buffers.values())
    assert abs(y.mean()) < 1e-6 and abs(y.std() - 1) < 1e-4


def test_a_large_mean_does_not_cost_the_variance():
    """The mean is taken off before squaring: E[x²] - E[x]² would be all rounding here."""
    x = (1000 + np.random.default_rng(0).standard_normal((64, 1))).astype(np.float32)
    np.testing.assert_allclose(BatchNorm.init(1).forward(x), standardized(x.astype(float), 0), atol=1e-3)


@pytest.mark.parametrize("call, error, message", [
    (lambda: BatchNorm.init(3).forward(np.ones((1, 3))), ValueError,
     "BatchNorm: x … (1, 3) … predict … drop_last=True … batch_size"),
    (lambda: BatchNorm.init(3).forward(np.ones((1, 3, 1, 1))), ValueError,
     "BatchNorm: x … (1, 3, 1, 1) … predict … drop_last=True … batch_size"),
    (lambda: BatchNorm.init(3).forward(np.ones((2, 4))), ValueError, "BatchNorm: x … (N, 3, ...) … (2, 4)"),
    (lambda: BatchNorm.init(3).forward(np.ones((2, 4, 5, 5))), ValueError,
     "BatchNorm: x … (N, 3, ...) … (2, 4, 5, 5)"),
    (lambda: BatchNorm(np.ones(3), np.ones(3), momentum=2), ValueError, "BatchNorm: momentum … 0..1 … 2"),
    (lambda: BatchNorm.init(3, momentum=-0.5), ValueError, "BatchNorm: momentum … 0..1 … -0.5"),
    (lambda: BatchNorm(np.ones(3), np.ones(2)), ValueError, "BatchNorm: beta … (3,) … (2,)"),
    (lambda: LayerNorm(np.ones((3, 1)), np.ones(3)), ValueError, "LayerNorm: gamma … (D,) … (3, 1)"),
    (lambda: LayerNorm(np.ones(3), np.ones(3), eps=-1), ValueError, "LayerNorm: eps … at least 0 … -1"),
    (lambda: LayerNorm.init(3).forward(np.ones((2, 4))), ValueError, "LayerNorm: x … (N, ..., 3) … (2, 4)"),
    (lambda: LayerNorm.init(0), ValueError, "LayerNorm: n … at least 1 … 0"),
    (lambda: GroupNorm.init(4, 0), ValueError, "GroupNorm: groups … at least 1 … 0"),
    (lambda: GroupNorm.init(4, 3), ValueError, "GroupNorm: groups … 4 … 3"),
    (lambda: GroupNorm.init(4, groups=2).forward(np.ones((2, 3, 5))), ValueError,
     "GroupNorm: x … (N, 4, ...) … (2, 3, 5)"),
])
def test_errors_name_the_numbers(call, error, message):
    with refused(error, message):
        call()


def test_batch_norm_may_follow_the_biased_variance():
    x = np.random.default_rng(0).standard_normal((6, 3, 2, 2))
    layer = BatchNorm.init(3, momentum=1.0, unbiased=False, dtype=np.float64)
    layer.forward(x)
    np.testing.assert_allclose(layer.running_var, x.var(axis=(0, 2, 3)))
