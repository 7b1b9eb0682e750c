"""Convolution against its definition in plain loops. (PyTorch's values: test_parity.)"""
import textwrap
import threading

import numpy as np
import pytest

from chainrule.common.engine import convolution as engine
from chainrule.common.engine import depthwise, threads
from chainrule.layers import Convolution, Convolution1D, TransposedConvolution
from tests.errors import refused


def by_loops(x, W, b, dy, stride=(1, 1), pads=((0, 0), (0, 0)), dilation=(1, 1), groups=1):
    """The definition: (y, dx, dW, db). Each y is the sum of a filter times the window under it, so that dy of it is handed to the
    filter times the window, and to the window times the filter."""
    (N, C, H, W_), (F, D, KH, KW) = x.shape, W.shape
    (top, bottom), (left, right) = pads
    padded = np.zeros((N, C, top + H + bottom, left + W_ + right))
    padded[:, :, top:top + H, left:left + W_] = x
    OH = (padded.shape[2] - (KH - 1) * dilation[0] - 1) // stride[0] + 1
    OW = (padded.shape[3] - (KW - 1) * dilation[1] - 1) // stride[1] + 1
    y, dpadded, dW = np.empty((N, F, OH, OW)), np.zeros_like(padded), np.zeros_like(W)
    for n in range(N):
        for f in range(F):
            first = f // (F // groups) * D
            for i in range(OH):
                for j in range(OW):
                    h, w = i * stride[0], j * stride[1]
                    window = np.s_[n, first:first + D, h:h + (KH - 1) * dilation[0] + 1:dilation[0],
                                   w:w + (KW - 1) * dilation[1] + 1:dilation[1]]
                    y[n, f, i, j] = np.sum(W[f] * padded[window]) + b[f]
                    if dy is not None:
                        dW[f] += dy[n, f, i, j] * padded[window]
                        dpadded[window] += dy[n, f, i, j] * W[f]
    return y, dpadded[:, :, top:top + H, left:left + W_], dW, None if dy is None else dy.sum(axis=(0, 2, 3))


def close(a, b, tolerance=1e-10):
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max())


def compare(shape, filters, b=True, dtype=np.float64, seed=0, pads=None, tolerance=1e-10, **options):
    """A layer against the loops, with and without the input's gradient; the layer."""
    rng = np.random.default_rng(seed)
    W = rng.standard_normal(filters)
    bias = rng.standard_normal(filters[0]) if b else np.zeros(filters[0])
    x = rng.standard_normal(shape)
    layer = Convolution(W.astype(dtype), bias.astype(dtype) if b else None, **options)
    if pads is None:
        pads = tuple((p, p) for p in layer.padding)
    loops = dict(stride=layer.stride, pads=pads, dilation=layer.dilation, groups=layer.groups)
    y = layer.forward(x.astype(dtype))
    dy = rng.standard_normal(y.shape)
    expected, dx, dW, db = by_loops(x, W, bias, dy, **loops)
    close(y, expected, tolerance)
    for wanted in (True, False):
        layer.input_gradient = wanted
        for g in layer.grads:
            g[...] = np.nan
        got = layer.backward(dy.astype(dtype))
        assert got is None if not wanted else got.dtype == y.dtype == dtype
        if wanted:
            close(got, dx, tolerance)
        close(layer.grads[0], dW, tolerance)
        if b:
            close(layer.grads[1], db, tolerance)
    return layer


SWEEP = {
    "1x1": [(2, 3, 4, 5), (4, 3, 1, 1)],
    "1x1 on one pixel": [(1, 1, 1, 1), (1, 1, 1, 1)],
    "3x3": [(2, 3, 5, 7), (4, 3, 3, 3)],
    "3x3, many channels": [(2, 11, 4, 6), (16, 11, 3, 3)],
    "3x3, many channels, padded": [(2, 11, 4, 6), (16, 11, 3, 3), dict(padding=(1, 2))],
    "many channels, padding beyond the window": [(1, 11, 3, 3), (16, 11, 1, 3), dict(padding=(2, 0))],
    "many channels, dilated": [(1, 11, 5, 8), (16, 11, 2, 3), dict(dilation=(3, 2), padding=(1, 3))],
    "many channels, dilated, not padded": [(1, 11, 5, 8), (16, 11, 2, 3), dict(dilation=(3, 2))],
    "many channels, stride": [(2, 11, 5, 6), (16, 11, 3, 3), dict(stride=2, padding=1)],
    "many channels, fewer filters": [(2, 11, 5, 6), (5, 11, 3, 3)],
    "many channels, many more filters": [(2, 4, 5, 6), (10, 4, 3, 3)],
    "many channels, groups": [(2, 22, 4, 3), (32, 11, 2, 3), dict(groups=2, padding=1)],
    "one channel, wide": [(2, 1, 6, 28), (6, 1, 5, 5), dict(padding=2)],
    "as large as the image": [(2, 3, 4, 5), (2, 3, 4, 5)],
    "larger than the image": [(2, 2, 2, 3), (2, 2, 4, 5), dict(padding=2)],
    "no bias": [(2, 2, 4, 4), (3, 2, 2, 2), dict(b=False)],
    "asymmetric": [(2, 2, 7, 6), (3, 2, 1, 4), dict(stride=(3, 1), padding=(0, 2))],
    "stride not dividing": [(2, 2, 8, 9), (3, 2, 3, 3), dict(stride=(2, 4))],
    "stride beyond the window": [(2, 2, 9, 8), (3, 2, 2, 2), dict(stride=3)],
    "dilation": [(2, 2, 9, 8), (3, 2, 3, 2), dict(dilation=(2, 3), padding=1)],
    "dilation, every second window meets the next": [(1, 2, 9, 9), (3, 2, 2, 2), dict(dilation=2)],
    "dilation and stride": [(1, 2, 9, 8), (3, 2, 3, 2), dict(dilation=2, stride=(2, 3))],
    "groups": [(2, 6, 5, 4), (4, 3, 3, 2), dict(groups=2)],
    "depthwise": [(2, 4, 6, 8), (4, 1, 3, 3), dict(groups=4, padding=1)],
    "depthwise, one row": [(1, 3, 1, 5), (3, 1, 1, 2), dict(groups=3)],
    "depthwise, stride": [(2, 3, 8, 9), (3, 1, 3, 2), dict(groups=3, stride=2, padding=1)],
    "depthwise, stride down": [(2, 3, 8, 7), (3, 1, 3, 2), dict(groups=3, stride=(3, 1))],
    "depthwise, stride across, beyond the window": [(2, 3, 4, 11), (3, 1, 1, 2), dict(groups=3, stride=(1, 4))],
    "depthwise, dilated": [(2, 3, 8, 9), (3, 1, 3, 2), dict(groups=3, dilation=(2, 3), padding=(1, 2), b=False)],
    "depthwise, dilation and stride": [(2, 3, 9, 9), (3, 1, 2, 3), dict(groups=3, dilation=(3, 2), stride=(1, 2))],
    "depthwise, padding beyond the window": [(2, 3, 4, 5), (3, 1, 2, 2), dict(groups=3, padding=2)],
    "depthwise, same, even window": [(2, 3, 5, 4), (3, 1, 2, 4), dict(groups=3, padding="same", pads=((0, 1), (1, 2)))],
    "depthwise, two filters each, stride": [(2, 3, 6, 8), (6, 1, 3, 3), dict(groups=3, stride=2)],
    "same": [(2, 2, 5, 4), (3, 2, 3, 5), dict(padding="same", pads=((1, 1), (2, 2)))],
    "same, even window": [(2, 2, 5, 4), (3, 2, 2, 4), dict(padding="same", pads=((0, 1), (1, 2)))],
    "same, dilated": [(2, 2, 5, 4), (3, 2, 2, 2), dict(padding="same", dilation=(3, 1), pads=((1, 2), (0, 1)))],
    "same, stride": [(2, 2, 5, 8), (3, 2, 3, 4), dict(padding="same", stride=(2, 3), pads=((1, 1), (1, 1)))],
    "same, stride beyond the window": [(2, 2, 7, 4), (3, 2, 2, 1), dict(padding="same", stride=(3, 4), pads=((0, 1), (0, 0)))],
    "same, depthwise, stride": [(2, 3, 6, 5), (3, 1, 3, 3), dict(groups=3, padding="same", stride=2, pads=((0, 1), (1, 1)))],
    "same, many channels, even window": [(1, 11, 5, 4), (16, 11, 2, 4), dict(padding="same", pads=((0, 1), (1, 2)))],
}


@pytest.mark.parametrize("name", SWEEP)
def test_values_and_gradients_are_those_of_the_loops(name):
    shape, filters, *options = SWEEP[name]
    compare(shape, filters, **(options[0] if options else {}))


@pytest.mark.parametrize("name", ["3x3", "3x3, many channels, padded", "groups", "dilation and stride"])
def test_so_they_are_in_float32(name):
    shape, filters, *options = SWEEP[name]
    compare(shape, filters, dtype=np.float32, tolerance=1e-5, **(options[0] if options else {}))


@pytest.mark.parametrize("scratch", [1, 1500, 6000])
@pytest.mark.parametrize("name", SWEEP)
def test_the_size_of_the_pieces_changes_nothing(name, scratch, monkeypatch):
    for module in engine, depthwise:
        monkeypatch.setattr(module, "CACHE", scratch)
    shape, filters, *options = SWEEP[name]
    compare((3, *shape[1:]), filters, **(options[0] if options else {}))


@pytest.mark.parametrize("B", [1, 2, 3, 4, 6, 12])
@pytest.mark.parametrize("stride", [1, 2])
def test_the_size_of_the_blocks_changes_nothing(B, stride, monkeypatch):
    monkeypatch.setattr("chainrule.common.engine.convolution.block", lambda *_: B)
    compare((2, 2, 4, 12 * stride + 1), (3, 2, 3, 2), stride=stride)


@pytest.mark.parametrize("filters, groups, OW, expected", [
    ((6, 1, 5, 5), 1, 28, 7), ((16, 6, 5, 5), 1, 10, 2), ((8, 4, 3, 3), 1, 32, 4), ((8, 4, 3, 3), 1, 31, 1),
    ((64, 64, 3, 3), 1, 16, 1), ((9, 2, 1, 1), 1, 8, 1), ((8, 4, 3, 3), 4, 32, 8)])
def test_few_channels_get_larger_blocks(filters, groups, OW, expected):
    assert engine.block(filters, groups, (9, OW), (1, 1)) == expected
    assert engine.block(filters, groups, (9, OW), (1, 2)) == 1     # a dilated window has gaps that a block would fill


@pytest.mark.parametrize("scratch, options, expected", [
    (1, {}, [(1, 1)] * 16),                                               # 576 bytes in a row of windows, 2304 in an image's
    (1500, {}, [(1, 2), (1, 2)] * 4),
    (1500, dict(filters=8), [(1, 4)] * 4),                                # so many weights are worth 2 · 8 · 144 bytes
    (1500, dict(filters=4, block=2), [(2, 4), (2, 4)]),                   # here 2 · 2 · 4 · 192, twice an image's 1536
    (1500, dict(groups=2), [(1, 2), (1, 2)] * 4),
    (5000, {}, [(2, 4), (2, 4)]), (7000, {}, [(2, 4), (2, 4)]),           # 3 and 1 would be unequal
    (10**6, {}, [(4, 4)]),
    (600, dict(size=(1, 1), places=(2, 2), stride=(5, 5)), [(1, 2)] * 4)])            # the image is larger than its windows
def test_a_piece_is_what_stays_in_the_cache(scratch, options, expected, monkeypatch):
    monkeypatch.setattr(engine, "CACHE", scratch)
    usual = dict(size=(3, 3), filters=1, places=(4, 4), stride=(1, 1), pads=((0, 0), (0, 0)), dilation=(1, 1), groups=1)
    windows = engine.Windows((4, 2, 6, 6), np.dtype(float), **usual | options)
    pieces = list(windows.pieces(np.zeros((4, 2, 6, 6)), slice(0, 4)))
    assert [(images.stop - images.start, rows.stop - rows.start) for images, rows, _ in pieces] == expected
    assert all(np.shares_memory(matrix, pieces[0][2]) for *_, matrix in pieces)


def test_what_is_left_of_a_window_beside_the_outputs():
    """In pixels: in front of the first output, and behind the last one."""
    for n, k, stride, padding, dilation, expected in [
            (6, 3, 1, 0, 1, (2, 2)), (6, 3, 1, 1, 1, (1, 1)), (6, 1, 1, 2, 1, (-2, -2)), (6, 2, 1, 0, 3, (3, 3)),
            (6, 3, 2, 1, 1, (1, 2)), (7, 3, 4, 0, 1, (2, 2)), (7, 2, 3, 1, 2, (1, 1))]:
        x, W = np.zeros((1, 1, n, 4)), np.zeros((1, 1, k, 1))
        windows = engine.windows_for(x.shape, W, (stride, 1), ((padding, padding), (0, 0)), (dilation, 1), groups=1)
        assert windows.rest(x.shape) == [expected, (0, 0)]


@pytest.mark.parametrize("shape, filters, options, expected", [
    ((1, 3, 6, 6), (3, 1, 3, 3), dict(groups=3), "channel_by_channel"),
    ((1, 3, 6, 6), (3, 1, 3, 3), dict(groups=3, stride=2), "channel_by_channel"),
    ((1, 3, 6, 6), (3, 1, 2, 2), dict(groups=3, padding=2), "from_windows_of_x"),
    ((1, 3, 6, 6), (6, 1, 3, 3), dict(groups=3), "from_windows_of_x"),
    ((1, 1, 6, 6), (1, 1, 3, 3), {}, "from_windows_of_x"),
    ((1, 4, 6, 6), (9, 4, 3, 3), {}, "from_windows_of_dy"),
    ((1, 4, 6, 6), (9, 4, 3, 3), dict(padding=2), "from_windows_of_dy"),
    ((1, 4, 6, 6), (9, 4, 3, 3), dict(padding=(0, 3)), "from_windows_of_x"),
    ((1, 4, 6, 6), (9, 4, 3, 3), dict(stride=(1, 2)), "from_windows_of_x"),
    ((1, 4, 6, 6), (9, 4, 3, 3), dict(stride=(2, 1)), "from_windows_of_x"),
    ((1, 4, 6, 6), (10, 4, 3, 3), {}, "from_windows_of_x"),
    ((1, 3, 6, 6), (6, 3, 3, 3), {}, "from_windows_of_x"),
    ((1, 8, 6, 6), (16, 4, 3, 3), dict(groups=2), "from_windows_of_dy")])
def test_each_kind_goes_back_its_own_way(shape, filters, options, expected, monkeypatch):
    """The ways give the same gradients, each in its own time. (Winograd's has tests of its own.)"""
    ways = []
    monkeypatch.setattr(engine.winograd, "takes", lambda *_: False)
    for name in "channel_by_channel", "from_windows_of_x", "from_windows_of_dy":
        monkeypatch.setattr(engine, name, lambda *_, name=name: ways.append(name) or (None, 0))
    monkeypatch.setattr(depthwise, "convolve", lambda *_: ways.append("depthwise.convolve"))
    layer = Convolution(np.zeros(filters), **options)
    layer.backward(layer.forward(np.zeros(shape)))
    assert ways == ["depthwise.convolve"] * (filters[0] == filters[1] * options.get("groups", 1) == 3) + [expected]


@pytest.mark.parametrize("name", ["3x3", "3x3, many channels, padded", "many channels, groups", "stride not dividing"])
def test_several_threads_change_nothing(name, monkeypatch):
    used = []

    def recording(job, count, work):
        used.append((count, work))
        return spread(lambda part: (barrier.wait(10), job(part))[1], count, work)
    spread, barrier = threads.spread, threading.Barrier(3)
    monkeypatch.setattr(engine.winograd, "takes", lambda *_: False)                 # its jobs are no images
    monkeypatch.setattr(threads, "spread", recording)
    monkeypatch.setattr(threads, "threads", lambda: 3)
    monkeypatch.setattr(threads, "WORTH", 1)
    monkeypatch.setattr(threads, "LATE", 0)
    shape, filters, *options = SWEEP[name]
    compare((5, *shape[1:]), filters, **(options[0] if options else {}))
    assert [count for count, _ in used] == [5] * 3                  # forward, and backward with and without dx


def test_work_is_counted_in_multiplications(monkeypatch):
    works = []
    monkeypatch.setattr(threads, "spread", lambda job, count, work: works.append(work) or [job(slice(0, count))])
    layer = Convolution.init(6, 4, (3, 2), groups=2, dilation=(1, 2), rng=0)             # dilated: no blocks, no zeros
    layer.backward(layer.forward(np.zeros((5, 6, 7, 9), np.float32)))
    assert works == [5 * (5 * 7) * 4 * (3 * 3 * 2)] * 2                  # images, places, filters, weights of each


def test_keeps_its_input_and_nothing_larger():
    layer = Convolution.init(3, 4, 3, rng=0)
    x = np.ones((2, 3, 8, 8), np.float32)
    layer.forward(x)
    assert layer.cache is x


def test_a_step_does_not_depend_on_the_one_before():
    rng = np.random.default_rng(0)
    layer, x = Convolution.init(2, 3, 3, padding=1, rng=0, dtype=np.float64), rng.standard_normal((4, 2, 6, 6))
    first = layer.forward(x)
    layer.forward(rng.standard_normal((7, 2, 9, 5)))
    np.testing.assert_array_equal(layer.forward(x), first)


def test_channels_last_in_memory_alone():
    layer = Convolution.init(2, 3, 3, rng=0)
    y = layer.forward(np.ones((4, 2, 6, 5), np.float32))
    dx = layer.backward(np.ones_like(y))
    assert y.shape == (4, 3, 4, 3) and y.transpose(0, 2, 3, 1).flags.c_contiguous
    assert dx.shape == (4, 2, 6, 5) and dx.transpose(0, 2, 3, 1).flags.c_contiguous


def test_init_draws_filters_and_passes_the_options_on():
    layer = Convolution.init(4, 6, (3, 2), stride=2, padding=(1, 0), dilation=(1, 3), groups=2, rng=0)
    assert repr(layer) == "Convolution(W (6, 2, 3, 2), b (6,), stride=(2, 2), padding=(1, 0), dilation=(1, 3), groups=2)"
    assert layer.params[0].dtype == np.float32 and layer.params[0].std() > 0 and not layer.params[1].any()
    np.testing.assert_array_equal(*(Convolution.init(4, 6, 3, rng=7).params[0] for _ in range(2)))
    assert [p.shape for p in Convolution.init(4, 6, 3, bias=False, rng=0, dtype=np.float64).params] == [(6, 4, 3, 3)]


W = np.zeros((4, 2, 3, 5))


@pytest.mark.parametrize("call, error, message", [
    (lambda: Convolution(W[0]), ValueError, "Convolution: W … (F, C / groups, KH, KW) … (2, 3, 5)"),
    (lambda: Convolution(W, np.zeros(3)), ValueError, "Convolution: b … (4,) … (3,)"),
    (lambda: Convolution(W, groups=3), ValueError, "Convolution: groups … 4 … 3"),
    (lambda: Convolution(W, stride=0), ValueError, "Convolution: stride … at least 1 … 0"),
    (lambda: Convolution(W, stride=1.5), TypeError, "Convolution: stride … whole number … 1.5"),
    (lambda: Convolution(W, stride=(1, 2, 3)), ValueError,
     "Convolution: stride … (height, width) … (1, 2, 3)"),
    (lambda: Convolution(W, dilation=0), ValueError, "Convolution: dilation … at least 1 … 0"),
    (lambda: Convolution(W, padding=-1), ValueError, "Convolution: padding … at least 0 … -1"),
    (lambda: Convolution(W, padding="valid"), ValueError,
     "Convolution: padding … \"same\" … 'valid'"),
    (lambda: Convolution(W, groups=0), ValueError, "Convolution: groups … at least 1 … 0"),
    (lambda: Convolution.init(0, 3, 3), ValueError, "Convolution: n_in … at least 1 … 0"),
    (lambda: Convolution.init(3, 0, 3), ValueError, "Convolution: n_out … at least 1 … 0"),
    (lambda: Convolution.init(3, 3, 3, groups=0), ValueError, "Convolution: groups … at least 1 … 0"),
    (lambda: Convolution.init(3, 3, 0), ValueError, "Convolution: size … at least 1 … 0"),
    (lambda: Convolution.init(5, 4, 3, groups=2), ValueError,
     "Convolution: groups … 5 … 2"),
    (lambda: Convolution(W).forward(np.zeros((1, 3, 8, 8))), ValueError,
     "Convolution: x … (N, 2, H, W) … (1, 3, 8, 8)"),
    (lambda: Convolution(W, groups=2).forward(np.zeros((1, 2, 8, 8))), ValueError,
     "Convolution: x … (N, 4, H, W) … (1, 2, 8, 8)"),
    (lambda: Convolution(W).forward(np.zeros((1, 2, 8, 4))), ValueError,
     "Convolution: x … 3 … 5 … 8 x 4…"),
    (lambda: Convolution(W, padding=1, dilation=3).forward(np.zeros((1, 2, 4, 14))), ValueError,
     "Convolution: x … 7 … 13 … 6 x 16 with its padding…"),
])
def test_errors_name_the_numbers(call, error, message):
    with refused(error, message):
        call()


@pytest.mark.parametrize("n, k, stride, dilation, expected", [
    (5, 3, 1, 1, 5), (5, 3, 2, 1, 3), (6, 3, 2, 1, 3), (7, 1, 3, 1, 3), (4, 5, 4, 1, 1), (9, 2, 2, 3, 5), (2, 3, 5, 2, 1)])
def test_same_makes_as_many_places_as_the_stride_fits(n, k, stride, dilation, expected):
    """Keras: OH = ceil(H / stride), the odd row of padding at the bottom."""
    layer = Convolution.init(1, 1, (k, 1), stride=(stride, 1), padding="same", dilation=(dilation, 1), rng=0)
    (before, behind), _ = layer.options((1, 1, n, 4))["pads"]
    assert layer.forward(np.zeros((1, 1, n, 4))).shape == layer.output_shape((1, 1, n, 4)) == (1, 1, expected, 4)
    assert before <= behind <= before + 1


class TestConvolution1D:
    def test_it_is_a_convolution_of_one_row(self):
        rng = np.random.default_rng(0)
        W, b, x = rng.standard_normal((4, 3, 3)), rng.standard_normal(4), rng.standard_normal((2, 3, 9))
        for options in dict(stride=2, padding=1), dict(dilation=2, padding="same"), dict(stride=3, padding="same"):
            line, image = Convolution1D(W, b, **options), Convolution(W[:, :, None], b, **{
                k: v if v == "same" else (int(k != "padding"), v) for k, v in options.items()})
            y = line.forward(x)
            np.testing.assert_allclose(y, image.forward(x[:, :, None])[:, :, 0])
            assert line.output_shape(x.shape) == y.shape
            dx, expected = line.backward(y), image.backward(y[:, :, None])
            np.testing.assert_allclose(dx, expected[:, :, 0])
            np.testing.assert_allclose(line.grads[0], image.grads[0][:, :, 0])
            np.testing.assert_allclose(line.grads[1], image.grads[1])
            line.input_gradient = False
            assert line.backward(y) is None

    @pytest.mark.parametrize("call, error, message", [
        (lambda: Convolution1D(W), ValueError, "Convolution1D: W … (F, C / groups, K) … (4, 2, 3, 5)"),
        (lambda: Convolution1D(W[0], stride=(1, 2)), TypeError, "Convolution1D: stride … whole number … (1, 2)"),
        (lambda: Convolution1D(W[0]).forward(np.zeros((2, 3, 4))), ValueError,
         "Convolution1D: x … 5 … 4…"),
        (lambda: Convolution1D(W[0]).forward(np.zeros((2, 4, 9))), ValueError,
         "Convolution1D: x … (N, 3, T) … (2, 4, 9)")])
    def test_errors(self, call, error, message):
        with refused(error, message):
            call()


class TestTransposedConvolution:
    @pytest.mark.parametrize("options", [
        {}, dict(stride=2), dict(stride=(2, 3), padding=(1, 0), output_padding=(1, 2)), dict(padding="same", stride=(2, 1)),
        dict(dilation=(2, 1), groups=2), dict(padding="same", stride=4)], ids=str)
    @pytest.mark.parametrize("cache", [1, 10**6])
    def test_it_is_the_way_back_of_a_convolution(self, options, cache, monkeypatch):
        """<y, transposed(x)> = <convolution(y), x>, for the same weights and options."""
        monkeypatch.setattr(engine, "CACHE", cache)
        rng = np.random.default_rng(0)
        W, x = rng.standard_normal((4, 3, 3, 2)), rng.standard_normal((5, 4, 4, 3))
        layer = TransposedConvolution(W, **options)
        y = layer.forward(x)
        assert y.shape == layer.output_shape(x.shape)
        g = rng.standard_normal(y.shape)
        back = engine.convolve(g, W, **layer.options())
        assert back.shape == x.shape
        np.testing.assert_allclose(np.vdot(g, y), np.vdot(back, x))
        np.testing.assert_allclose(layer.backward(g), back)
        direction, eps = rng.standard_normal(W.shape), 1e-6
        W += eps * direction
        np.testing.assert_allclose(np.vdot(layer.forward(x) - y, g) / eps, np.vdot(layer.grads[0], direction), rtol=1e-5)

    def test_same_multiplies_the_size_by_the_stride(self):
        for k, stride in (3, 2), (2, 2), (4, 2), (1, 3), (5, 1):
            layer = TransposedConvolution.init(2, 3, k, stride=stride, padding="same", rng=0)
            assert layer.forward(np.zeros((1, 2, 5, 7), np.float32)).shape == (1, 3, 5 * stride, 7 * stride)

    def test_init(self):
        layer = TransposedConvolution.init(4, 6, (3, 2), stride=2, groups=2, rng=0)
        assert [p.shape for p in layer.params] == [(4, 3, 3, 2), (6,)]
        assert repr(layer) == ("TransposedConvolution(W (4, 3, 3, 2), b (6,), stride=(2, 2), padding=(0, 0), "
                               "output_padding=(0, 0), dilation=(1, 1), groups=2)")

    @pytest.mark.parametrize("call, message", [
        (lambda: TransposedConvolution(W, stride=2, output_padding=1, padding="same"),
         'TransposedConvolution: output_padding … padding="same" … 1'),
        (lambda: TransposedConvolution(W, stride=2, output_padding=2),
         "TransposedConvolution: output_padding … (2, 2) … 2"),
        (lambda: TransposedConvolution(W, np.zeros(4)), "TransposedConvolution: b … (2,) … (4,)"),
        (lambda: TransposedConvolution(W, padding=5).forward(np.zeros((1, 4, 2, 2))),
         "TransposedConvolution: padding … -6 x -4"),
        (lambda: TransposedConvolution.init(4, 3, 2, groups=2),
         "TransposedConvolution: groups … 3 … 2"),
        (lambda: TransposedConvolution(W).forward(np.zeros((1, 3, 2, 2))),
         "TransposedConvolution: x … (N, 4, H, W) … (1, 3, 2, 2)")])
    def test_errors(self, call, message):
        with refused(ValueError, message):
            call()


@pytest.mark.parametrize("layer, shape, expected", [
    (Convolution1D(np.zeros((4, 3, 2))), (7, 3, 5), (7, 4, 4)),
    (Convolution1D(np.zeros((4, 3, 2)), stride=2, padding=1, dilation=2), (7, 3, 6), (7, 4, 3)),
    (Convolution1D(np.zeros((4, 3, 2)), stride=2, padding="same"), (7, 3, 5), (7, 4, 3)),
    (Convolution(np.zeros((4, 3, 2, 1)), stride=(1, 2), padding=(1, 0)), (7, 3, 5, 6), (7, 4, 6, 3)),
    (TransposedConvolution(np.zeros((3, 4, 1, 2))), (7, 3, 1, 1), (7, 4, 1, 2))])
def test_the_shape_of_the_output(layer, shape, expected):
    assert layer.output_shape(shape) == layer.forward(np.zeros(shape)).shape == expected


def loops(layer, first):
    """The paragraph of a docstring that begins with ``first``, as code."""
    text = layer.__doc__[layer.__doc__.index(f"        {first}"):]
    return textwrap.dedent(text[:text.index("\n\n")])


def test_the_loops_of_the_docstring_are_the_layer():
    rng = np.random.default_rng(0)
    x, W, b = rng.normal(size=(2, 3, 5, 6)), rng.normal(size=(4, 3, 2, 3)), rng.normal(size=4)
    layer = Convolution(W, b)
    dy = rng.normal(size=layer.forward(x).shape)
    arrays = {"np": np, "x": x, "W": W, "b": b, "dy": dy, "KH": 2, "KW": 3,
              "y": np.zeros_like(dy), "dx": np.zeros_like(x), "dW": np.zeros_like(W), "db": np.zeros(4)}
    exec(loops(Convolution, "for n, f, i, j"), arrays)
    for name, expected in ("y", layer.forward(x)), ("dx", layer.backward(dy)), ("dW", layer.dW), ("db", layer.db):
        np.testing.assert_allclose(arrays[name], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("s", [1, 2, 4])
def test_the_loops_of_the_transposed_convolution(s):
    rng = np.random.default_rng(0)
    x, W, b = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(3, 2, 2, 3)), rng.normal(size=2)
    expected = TransposedConvolution(W, b, stride=s).forward(x)
    arrays = {"np": np, "x": x, "W": W, "b": b, "s": s, "KH": 2, "KW": 3, "y": np.zeros_like(expected)}
    exec(loops(TransposedConvolution, "for n, c, p, q"), arrays)
    np.testing.assert_allclose(arrays["y"], expected, rtol=1e-12, atol=1e-12)
