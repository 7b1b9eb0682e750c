"""The compiled floor against the pages: the same numbers to rounding, whatever the memory is like."""
import copy
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from chainrule import layers, optimizers
from chainrule.common.engine import compiled, convolution, depthwise, rows, threads
from chainrule.common.engine.products import repeated
from chainrule.models import Sequential

pytestmark = pytest.mark.skipif(not compiled.installed(), reason="numba is not installed: no loops to compile")
TOLERANCE = {np.float32: 2e-6, np.float64: 1e-13}


def channels_last(x):
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


MEMORY = {"as it reads": lambda x: x, "channels last": channels_last, "every second": lambda x: x.repeat(2, 0)[::2],
          "turned": lambda x: np.ascontiguousarray(x.T).T}
LAYERS = {
    "LayerNorm": (lambda dtype: layers.LayerNorm.init(12, dtype=dtype), [(6, 12), (4, 5, 12)]),
    "GroupNorm": (lambda dtype: layers.GroupNorm.init(12, 3, dtype=dtype), [(6, 12, 5, 4), (3, 12, 40), (5, 12)]),
    "BatchNorm": (lambda dtype: layers.BatchNorm.init(12, dtype=dtype), [(6, 12, 5, 4), (3, 12, 40), (50, 12)]),
    "Sigmoid": (lambda dtype: layers.Sigmoid(), [(6, 12), (3, 2, 5, 4)]),
    "Tanh": (lambda dtype: layers.Tanh(), [(6, 12), (3, 2, 5, 4)]),
    "ReLU": (lambda dtype: layers.ReLU(), [(6, 12), (3, 2, 5, 4)]),
    "GELU": (lambda dtype: layers.GELU(), [(6, 12), (3, 2, 5, 4)]),
    "GELU, exact": (lambda dtype: layers.GELU(exact=True), [(6, 12)]),
}
RULES = {
    "SGD": lambda: optimizers.SGD(0.1), "SGD, decay": lambda: optimizers.SGD(0.1, weight_decay=0.3),
    "Momentum": lambda: optimizers.Momentum(0.1, 0.8), "Nesterov": lambda: optimizers.Nesterov(0.1, 0.8),
    "AdaGrad": lambda: optimizers.AdaGrad(0.1), "RMSProp": lambda: optimizers.RMSProp(0.1, 0.9),
    "RMSProp, centered": lambda: optimizers.RMSProp(0.1, 0.9, centered=True),
    "Adam": lambda: optimizers.Adam(0.1, 0.8, 0.95), "Adam, amsgrad": lambda: optimizers.Adam(0.1, 0.8, 0.5, amsgrad=True),
    "AdamW": lambda: optimizers.AdamW(0.1, 0.8, 0.95, weight_decay=0.3),
}


def both(run):
    """What ``run`` returns on the pages and on the loops."""
    results = []
    for name in "numpy", "compiled":
        with compiled.floor(name, large=1):
            results.append(run())
    return results


def same(pages, loops, tolerance):
    assert len(pages) == len(loops)
    for a, b in zip(pages, loops):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(b, a, rtol=tolerance, atol=tolerance * max(1, np.abs(a).max()))


def learned(layer, seed):
    """The layer with parameters that are no zeros and ones."""
    rng = np.random.default_rng(seed)
    for p in layer.params:
        p[...] = rng.standard_normal(p.shape)
    return layer


def test_every_twin_is_tested():
    assert {name.split(",")[0] for name in LAYERS} | {name.split(",")[0] for name in RULES} == set(compiled.TWINS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("memory", MEMORY)
@pytest.mark.parametrize("name", LAYERS)
def test_a_layers_twin_gives_what_its_page_gives(name, memory, dtype, monkeypatch):
    monkeypatch.setattr(threads, "WORTH", 16)                       # shared out among threads, as large arrays are
    monkeypatch.setattr(threads, "LATE", 0)
    make, shapes = LAYERS[name]
    for seed, shape in enumerate(shapes):
        rng = np.random.default_rng(seed)
        x, dout = (MEMORY[memory]((3 * rng.standard_normal(shape) + mean).astype(dtype)) for mean in (1, 0))
        before = x.copy(), dout.copy()

        def run(x=x, dout=dout, seed=seed):
            layer = learned(make(dtype), seed)
            y = layer.forward(x)
            dx = layer.backward(dout)
            again = layer.backward(dout)
            np.testing.assert_array_equal(dx, again)
            layer.input_gradient = False
            grads = [g.copy() for g in layer.grads]
            assert layer.params == [] or layer.backward(dout) is None
            return y, dx, *grads, *layer.grads, *map(np.asarray, layer.buffers.values())

        same(*both(run), TOLERANCE[dtype])
        np.testing.assert_array_equal(x, before[0])
        np.testing.assert_array_equal(dout, before[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("memory", ["as it reads", "channels last", "every second"])
@pytest.mark.parametrize("name", RULES)
def test_a_rules_twin_gives_what_its_page_gives(name, memory, dtype):
    def run():
        rng, optimizer = np.random.default_rng(0), RULES[name]()
        p = MEMORY[memory](rng.standard_normal((4, 3, 5, 2)).astype(dtype))
        for _ in range(4):
            optimizer.update([p], [MEMORY[memory](rng.standard_normal(p.shape).astype(dtype))])
        return p, *map(np.asarray, optimizer.state.values())

    same(*both(run), TOLERANCE[dtype])


@pytest.mark.parametrize("name", [name for name in LAYERS if "Norm" in name])
def test_prediction_is_the_same(name):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6, 12, 40) if name != "LayerNorm" else (6, 40, 12))
    same(*both(lambda: [Sequential(learned(LAYERS[name][0](np.float64), 1)).predict(x)]), 1e-13)


@pytest.mark.parametrize("name", LAYERS)
def test_nan_and_infinity_stay_visible(name):
    for odd in np.nan, np.inf:
        x = np.ones(LAYERS[name][1][0])
        x[0, 0] = odd
        with np.errstate(invalid="ignore"):
            pages, loops = both(lambda x=x: LAYERS[name][0](np.float64).forward(x))
        np.testing.assert_array_equal(np.isnan(loops), np.isnan(pages))


def test_a_constant_row_stays_zero():
    x = np.full((4, 12), 1e6, np.float32)
    for y in both(lambda: layers.LayerNorm.init(12).forward(x)):
        assert (y == 0).all()


def test_means_far_from_zero_lose_nothing():
    """Numbers near 10,000 are a thousandth apart in float32; a variance as mean square less squared mean would be noise."""
    x = (1e4 + np.random.default_rng(0).standard_normal((64, 12, 8, 8))).astype(np.float32)
    exact = (x - x.mean((0, 2, 3), np.float64, keepdims=True)) / x.std((0, 2, 3), np.float64, keepdims=True)
    for arranged in x, channels_last(x):
        for y in both(lambda x=arranged: layers.BatchNorm.init(12, eps=0).forward(x)):
            np.testing.assert_allclose(y, exact, atol=1e-2)


def test_a_subclass_runs_what_it_says():
    class Doubled(layers.LayerNorm):
        def forward(self, x):
            return 2 * super().forward(x)

    x = np.random.default_rng(0).standard_normal((6, 12))
    same(*both(lambda: [Doubled.init(12, dtype=np.float64).forward(x)]), 1e-13)

    class Uphill(optimizers.SGD):
        def rule(self, lr, p, g):
            p += lr * g

    with compiled.floor("compiled", large=1):
        p = np.zeros(3)
        Uphill(0.5).update([p], [np.ones(3)])
    assert p.tolist() == [0.5] * 3


def test_small_arrays_stay_with_the_page():
    layer = layers.LayerNorm.init(4)
    with compiled.floor("compiled", large=9):
        layer.forward(np.ones((2, 4), np.float32))
        assert not isinstance(layer.cache, compiled.Kept)
        layer.forward(np.ones((3, 4), np.float32))
        assert isinstance(layer.cache, compiled.Kept)
    with compiled.floor("numpy", large=9):
        layer.forward(np.ones((3, 4), np.float32))
        assert not isinstance(layer.cache, compiled.Kept)


def test_errors_are_the_pages():
    for message in both(lambda: str(pytest.raises(ValueError, layers.BatchNorm.init(12).forward, np.ones((1, 12))).value)):
        assert message.startswith("BatchNorm: x ") and "(1, 12)" in message


def test_several_threads_at_once_and_copies():
    x = np.random.default_rng(0).standard_normal((64, 12))
    with compiled.floor("compiled", large=1):
        layer = layers.LayerNorm.init(12, dtype=np.float64)
        expected = layer.forward(x)
        twins = [copy.deepcopy(layer) for _ in range(8)]
        with ThreadPoolExecutor(8) as pool:
            for y in pool.map(lambda twin: twin.forward(x), twins):
                np.testing.assert_array_equal(y, expected)


def test_a_long_compilation_says_so(monkeypatch, capsys, tmp_path):
    from numba import config
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))              # nothing is on disk there
    monkeypatch.setattr(compiled, "SLOW", -1.0)
    loop = compiled.Loop(lambda x: x + 1)
    loop.__name__ = "plus_one"
    assert loop(1.0) == 2.0 and loop(2.0) == 3.0
    assert capsys.readouterr().err.count("plus_one was compiled in") == 1


def test_numba_is_imported_at_first_use():
    code = "import sys, chainrule; chainrule.layers.LayerNorm.init(4); sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_are_written_and_added_up(dtype):
    rng = np.random.default_rng(0)
    batches = [(rng.integers(0, 7, 12), rng.standard_normal((12, 3)).astype(dtype)) for _ in range(3)]

    def run():
        gradient, seen = rows.RowGradient.zeros_like(np.zeros((9, 3), dtype)), []
        for ids, values in batches:
            gradient.write(ids, values)
            assert len(set(gradient.rows.tolist())) == len(gradient.rows) and set(gradient.rows) == set(ids)
            seen.append(np.array(gradient))
        gradient[0] = 1.0                                            # rows are not known any more
        gradient.write(*batches[0])
        return *seen, np.array(gradient)

    pages, loops = both(run)
    same(pages, loops, TOLERANCE[dtype])
    same([loops[0]], [loops[3]], TOLERANCE[dtype])


@pytest.mark.parametrize("rule", [lambda: optimizers.SGD(0.5), lambda: optimizers.AdaGrad(0.5),
                                  lambda: optimizers.Adam(0.1, 0.6, 0.7), lambda: optimizers.AdamW(0.1, weight_decay=0.2)])
def test_steps_by_rows(rule):
    def run():
        rng, layer, optimizer = np.random.default_rng(0), layers.Embedding.init(9, 4, rng=0, dtype=np.float64), rule()
        for _ in range(12):
            layer.forward(rng.integers(0, 9, 5))
            layer.backward(rng.standard_normal((5, 4)))
            optimizer.update(layer.params, layer.grads)
        return layer.params[0], *map(np.asarray, optimizer.state.values())

    same(*both(run), 1e-12)


@pytest.mark.parametrize("kind", [layers.GELU, layers.Sigmoid, layers.Tanh])
def test_dout_in_other_memory(kind):
    rng = np.random.default_rng(0)
    x, dout = channels_last(rng.standard_normal((3, 2, 5, 4))), rng.standard_normal((3, 2, 5, 4))

    def run():
        layer = kind()
        return layer.forward(x), layer.backward(dout)

    same(*both(run), 1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", [{}, {"reverse": True}, {"stateful": True}, {"masked": True}])
@pytest.mark.parametrize("kind", [layers.RNN, layers.LSTM, layers.GRU])
def test_recurrent_layers(kind, options, dtype):
    rng, options = np.random.default_rng(0), dict(options)
    x, dout = (rng.standard_normal((3, 7, D)).astype(dtype) for D in (5, 6))
    mask = rng.random((3, 7)) < 0.7 if options.pop("masked", False) else None

    def run():
        layer = learned(kind.init(5, 6, rng=0, dtype=dtype), 1)
        for name, value in options.items():
            setattr(layer, name, value)
        layer.forward(x)
        y = layer.forward(x, mask)                              # if stateful from another state than zeros
        state = layer.state if isinstance(layer.state, tuple) else (layer.state,)
        dstate = tuple(np.cos(s) for s in state)
        dstate = dstate if len(dstate) > 1 else dstate[0]
        first, grads = layer.backward(dout, dstate), [g.copy() for g in layer.grads]
        again = layer.backward(dout, dstate)
        for a, b in zip((*grads, *[first[0] if mask is not None else first]),
                        (*layer.grads, *[again[0] if mask is not None else again])):
            np.testing.assert_array_equal(a, b)
        dfirst = layer.dstate if isinstance(layer.dstate, tuple) else (layer.dstate,)
        return y, *state, *dfirst, first[0] if mask is not None else first, *grads

    same(*both(run), TOLERANCE[dtype] * 10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("N, K, F", [(4, 1, 1), (5, 130, 64), (7, 257, 70), (20, 20, 33), (64, 3, 128)])
def test_a_product_that_is_repeated(N, K, F, turned, dtype, monkeypatch):
    monkeypatch.setattr(threads, "WORTH", 16)
    monkeypatch.setattr(threads, "LATE", 0)
    rng = np.random.default_rng(0)
    W, h = rng.standard_normal((K, F)).astype(dtype), rng.standard_normal((2, N, K)).astype(dtype)
    h[1, 2, 0] = np.nan
    from chainrule.common.engine.compiled import products
    W = W.T.copy().T if turned else W
    with compiled.floor("compiled", large=1):
        ways = [products.times(W), repeated(W, N, 8)]             # the second one BLAS's, where registers are short
    assert (ways[1].__module__ == products.__name__) == (4 <= N <= 24 and W.size >= 8 and products.BYTES > 16)
    for times_W in ways:
        for each in h:
            y = times_W(each)
            assert y.dtype == dtype and y.flags.c_contiguous
            np.testing.assert_allclose(y, np.einsum("nk,kf->nf", each, W), rtol=0, atol=2 * (K + 20) * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_over_the_whole_range(dtype):
    far = {np.float32: 87.0, np.float64: 708.0}[dtype]
    x = np.concatenate([np.linspace(-far, far, 5001), [-0.3466, 0.3466, 0.0]]).astype(dtype)
    ends = np.array([np.inf, 1e30, 40, -far - 3, -1e30, -np.inf, np.nan], dtype)
    with compiled.floor("compiled", large=1):
        y, y_ends = (layers.Sigmoid().forward(a) for a in (x, ends))
    exact = 1 / (1 + np.exp(-x.astype(np.float64)))
    # k log 2 is rounded, and k times its error is one of exp a
    assert (np.abs(y - exact) <= exact * np.finfo(dtype).eps * (4 + np.maximum(-x, 0))).all()
    np.testing.assert_array_equal(y_ends, np.array([1, 1, 1, 0, 0, 0, np.nan], dtype))


def test_a_gates_nan_stays_where_it_is():
    x = np.zeros((2, 4, 5))
    x[1, 2, 3] = np.nan
    for kind in layers.LSTM, layers.GRU:
        def run(kind=kind):
            layer = kind.init(5, 6, rng=0, dtype=np.float64)
            y = layer.forward(x)
            return y, layer.backward(np.ones_like(y))
        for a, b in zip(*both(run)):
            np.testing.assert_array_equal(np.isnan(a), np.isnan(b))


CONVOLUTIONS = [   # channels, filters, size; stride, pads, dilation, groups
    (5, 5, (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 5), (4, 4, (3, 2), (2, 3), ((1, 0), (0, 2)), (1, 1), 4),
    (3, 3, (2, 5), (1, 2), ((0, 1), (2, 2)), (3, 1), 3), (2, 2, (1, 1), (3, 2), ((0, 0), (0, 0)), (1, 1), 2),
    (3, 3, (5, 4), (3, 3), ((2, 2), (4, 0)), (1, 2), 3), (3, 3, (4, 4), (1, 1), ((0, 3), (3, 1)), (2, 2), 3),
    (3, 4, (3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1), 1), (2, 6, (7, 5), (2, 1), ((3, 3), (2, 2)), (1, 1), 1),
    (4, 8, (3, 3), (1, 1), ((0, 0), (1, 2)), (2, 3), 2), (6, 2, (2, 3), (3, 2), ((4, 0), (0, 4)), (2, 1), 1),
    (4, 4, (3, 3), (2, 2), ((1, 1), (1, 0)), (1, 1), 4), (1, 6, (5, 5), (1, 1), ((2, 2), (2, 2)), (1, 1), 1),
    (4, 12, (3, 3), (2, 2), ((0, 1), (1, 0)), (1, 1), 4), (16, 16, (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 16),
    (24, 24, (2, 3), (1, 1), ((0, 1), (1, 0)), (1, 2), 24), (17, 17, (2, 2), (2, 2), ((1, 1), (0, 1)), (1, 1), 17)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("memory", ["as it reads", "channels last", "every second"])
@pytest.mark.parametrize("C, F, size, stride, pads, dilation, G", CONVOLUTIONS)
def test_convolutions(C, F, size, stride, pads, dilation, G, memory, dtype, monkeypatch):
    """Depthwise ones, and those whose gradient adds windows back."""
    monkeypatch.setattr(threads, "WORTH", 16)
    monkeypatch.setattr(threads, "LATE", 0)
    monkeypatch.setattr(convolution, "CACHE", 4000)              # some rows at a time
    rng, options = np.random.default_rng(0), dict(stride=stride, pads=pads, dilation=dilation, groups=G)
    x = MEMORY[memory](rng.standard_normal((3, C, 13, 12)).astype(dtype))
    W, bias = rng.standard_normal((F, C // G, *size)).astype(dtype), rng.standard_normal(F).astype(dtype)

    def run():
        y = convolution.convolve(x, W, bias, **options)
        np.testing.assert_allclose(y - convolution.convolve(x, W, None, **options), np.broadcast_to(
            bias[:, None, None], y.shape), rtol=0, atol=100 * np.finfo(dtype).eps)
        dy = MEMORY[memory](np.cos(np.arange(y.size)).reshape(y.shape).astype(dtype))
        both = convolution.convolve_back(dy, x, W, **options)
        for a, b in zip(both, convolution.convolve_back(dy, x, W, **options)):
            np.testing.assert_array_equal(a, b)
        back = convolution.transposed_convolve(dy, W, x.shape, **options)
        return y, *both, convolution.convolve_back(dy, x, W, **options, want_dx=False)[1], back

    same(*both(run), TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("memory", ["as it reads", "channels last", "every second"])
@pytest.mark.parametrize("size, stride, padding", [
    ((3, 3), (2, 2), (1, 1)), ((3, 2), (1, 1), (0, 1)), ((2, 5), (2, 3), (1, 2)), ((4, 3), (3, 4), (2, 0)),
    ((11, 9), (1, 1), (0, 0)), ((2, 2), (2, 2), (0, 0)), ((4, 1), (4, 1), (0, 0)), ((2, 2), (3, 2), (0, 0)),
    ((6, 5), (6, 5), (0, 0)), ((2, 2), (2, 2), (1, 1)), ((2, 2), (1, 2), (0, 0))])
@pytest.mark.parametrize("shape", [(3, 4, 11, 9), (2, 16, 12, 10), (2, 19, 12, 10)])
def test_maximum_pooling(size, stride, padding, shape, memory, dtype, monkeypatch):
    """With ties, which go to the first of the window, and windows of nothing but -∞."""
    monkeypatch.setattr(threads, "WORTH", 16)
    monkeypatch.setattr(threads, "LATE", 0)
    x = MEMORY[memory](np.random.default_rng(0).integers(-2, 3, shape).astype(dtype))
    x[0, :, :6, :6] = -np.inf

    def run():
        layer = layers.MaxPool(size, stride, padding)
        y = layer.forward(x)
        dx = layer.backward(MEMORY[memory](1.0 + np.arange(y.size, dtype=dtype).reshape(y.shape)))
        assert (layer.cache[1].dtype == np.uint8) == (compiled.running() == "compiled")
        return y, dx

    for a, b in zip(*both(run)):
        np.testing.assert_array_equal(b, a)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("memory", ["as it reads", "channels last", "every second"])
@pytest.mark.parametrize("size, stride, padding", [
    ((2, 2), (2, 2), (0, 0)), ((3, 3), (2, 2), (1, 1)), ((3, 2), (1, 1), (0, 1)), ((2, 5), (2, 3), (1, 2)),
    ((4, 3), (3, 4), (2, 0)), ((2, 2), (3, 2), (0, 0)), ((12, 10), (1, 1), (0, 0)), ((5, 1), (5, 7), (0, 0))])
@pytest.mark.parametrize("C", [15, 16, 19])
def test_average_pooling(size, stride, padding, C, memory, dtype, monkeypatch):
    monkeypatch.setattr(threads, "WORTH", 16)
    monkeypatch.setattr(threads, "LATE", 0)
    x = MEMORY[memory](np.random.default_rng(0).standard_normal((2, C, 12, 10)).astype(dtype))
    x[1, 2, 3, 4], x[0, 14, 11, 9] = np.nan, np.inf
    calls, convolve = [], depthwise.convolve
    monkeypatch.setattr(depthwise, "convolve", lambda *arguments: calls.append(1) or convolve(*arguments))

    def run():
        layer = layers.AveragePool(size, stride, padding)
        y = layer.forward(x)
        dout = MEMORY[memory](1.0 + np.arange(y.size, dtype=dtype).reshape(y.shape) / y.size)
        dout[0, 3, 0, 0] = np.nan
        return y, layer.backward(dout)

    same(*both(run), TOLERANCE[dtype])
    assert len(calls) == 2 * (C >= 16)                         # on the loops, there and back, with channels enough


@pytest.mark.parametrize("shape", [(2, 1, 12, 20), (2, 3, 12, 4)])
def test_maximum_pooling_of_one_channel_or_of_rows_shorter_than_a_vector_is_the_pages(shape):
    x = np.random.default_rng(0).standard_normal(shape)

    def run():
        layer = layers.MaxPool(2)
        y = layer.forward(x)
        assert len(layer.cache) == 3
        return y, layer.backward(y)

    same(*both(run), 0)


@pytest.mark.parametrize("corner", [(0, 0), (0, 10), (10, 0), (5, 5)])
def test_maximum_pooling_shows_nan(corner):
    x = np.random.default_rng(0).standard_normal((2, 5, 11, 11))
    x[1, 2][corner] = np.nan

    def run():
        layer = layers.MaxPool(3, 2, 1)
        return layer.forward(x), layer.backward(np.ones((2, 5, 6, 6)))

    (y, dx), (z, dz) = both(run)
    np.testing.assert_array_equal(z, y)
    np.testing.assert_array_equal(dz[0], dx[0])
    assert dz.sum() == y.size                                  # each window's gradient lands in the image, once


@pytest.mark.parametrize("G, stride", [(5, (1, 1)), (5, (2, 2)), (1, (2, 2))])
@pytest.mark.parametrize("place", [(3, 3), (2, 6), (6, 0)])
def test_nan_in_a_pixel_is_seen_where_a_window_has_it(G, stride, place):
    x, W = np.ones((2, 5, 7, 7)), np.ones((5, 5 // G, 3, 3))
    x[(1, 2, *place)] = np.nan

    def run():
        y = convolution.convolve(x, W, None, stride, groups=G)
        return y, *convolution.convolve_back(y, x, W, stride, groups=G)

    for a, b in zip(*both(run)):
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b))


def test_gelu_far_from_zero():
    x = np.array([[-1e30, -60.0, -1e-30, 60.0, 1e30]])

    def run():
        layer = layers.GELU()
        return layer.forward(x), layer.backward(np.ones_like(x))

    same(*both(run), 1e-13)


def test_a_numba_that_cannot_be_imported_is_as_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)                 # import numba: ImportError
    compiled.installed.cache_clear()
    try:
        assert compiled.running() == "numpy"
        with compiled.floor("compiled", large=1):
            layer = layers.LayerNorm.init(4)
            layer.forward(np.ones((2, 4), np.float32))
        assert not isinstance(layer.cache, compiled.Kept)                # the page ran
    finally:
        monkeypatch.undo()
        compiled.installed.cache_clear()


def test_no_folder_to_keep_the_code_in(monkeypatch):
    import numba
    njit, asked = numba.njit, []

    def refusing(**options):
        asked.append(options.get("cache", False))
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return njit(**options)

    monkeypatch.setattr(numba, "njit", refusing)
    assert compiled.Loop(lambda x: x + 1)(1.0) == 2.0 and asked == [True, False]
