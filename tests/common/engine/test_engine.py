"""Every function of the engine against the plain expression or loop in its docstring."""
import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from chainrule.common.engine import (
    channels,
    convolution,
    lazy,
    normal,
    normalization,
    pieces,
    pooling,
    products,
    recurrence,
    rows,
    softmax,
    squares,
)
from chainrule.layers import GRUCell, LSTMCell, RNNCell


def given(*strategies, **named):
    """The same examples at every run, however long one takes."""
    return lambda test: settings(deadline=None, derandomize=True)(drawn(*strategies, **named)(test))


seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 5)
leads = st.lists(sizes, min_size=1, max_size=3).map(tuple)
flags = st.booleans()


def draw(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def same(a, b, tolerance=1e-12):
    assert np.shape(a) == np.shape(b)
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@given(seeds, leads, sizes, sizes)
def test_products(seed, lead, D, F):
    x, W = draw(seed, *lead, D), draw(seed + 1, D, F)
    same(products.product(x, W), x @ W)
    out = np.empty((int(np.prod(lead)), F))
    assert products.product(products.rows(x), W, out=out) is out
    same(out, (x @ W).reshape(-1, F))
    same(products.rows(x), x.reshape(-1, D))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("N", [1, 8, 20, 48, 65])
@pytest.mark.parametrize("K, F", [(180, 190), (256, 1024), (300, 30)])
def test_few_rows_times_a_large_matrix(K, F, N, dtype):
    x = draw(0, N, K).astype(dtype)
    for W in (draw(1, K, F).astype(dtype), draw(1, F, K).astype(dtype).T):
        for y in (products.product(x, W), *(products.repeated(W, N, times)(x) for times in (1, 16))):
            same(y, x @ W, 1e-12 if dtype is np.float64 else 1e-4)
            assert y.flags.c_contiguous and y.dtype == dtype


@given(seeds, leads, sizes, flags)
def test_sums(seed, lead, D, keepdims):
    x = draw(seed, *lead, D)
    same(products.column_sums(x), x.sum(axis=tuple(range(len(lead)))))
    same(products.row_sums(x), x.sum(axis=-1, keepdims=True))
    for axis in range(x.ndim):
        same(products.axis_sum(x, axis, keepdims), x.sum(axis=axis, keepdims=keepdims))


@given(seeds, st.lists(st.sampled_from([(), (3,), (2, 5), (0, 4), (1200,), (11_000,)]), max_size=5), flags, flags)
def test_sum_of_squares(seed, shapes, transposed, single):
    arrays = [draw(seed + i, *shape).astype(np.float32 if single else float) for i, shape in enumerate(shapes)]
    arrays = [a.T if transposed else a[..., ::2] if i % 2 and a.ndim else a for i, a in enumerate(arrays)]
    squared, more = squares.SumOfSquares(arrays), draw(seed, 4, 2)
    for _ in range(2):                                       # the second time of other numbers
        expected = sum(np.sum(np.square(a, dtype=float)) for a in arrays)
        assert squared() == pytest.approx(expected, rel=1e-4 if single else 1e-12)
        assert squared([more]) == pytest.approx(expected + np.sum(more ** 2), rel=1e-4 if single else 1e-12)
        for a in arrays:
            a *= 2
    for a in arrays:
        for bad in (np.inf, -np.inf, np.nan) if a.size else ():
            kept = a.flat[-1]
            a.flat[-1] = bad
            assert not squared() < math.inf
            a.flat[-1] = kept
    assert squared() < math.inf and not squared([np.array([1.0, np.nan])]) < math.inf


@given(seeds, st.lists(sizes, min_size=2, max_size=4).map(tuple), flags)
def test_channels(seed, shape, last):
    x = draw(seed, *shape)
    if last:
        x = np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1)
    axes = (0, *range(2, x.ndim))
    same(channels.channel_sums(x), x.sum(axis=axes))
    lines = channels.as_lines(x)
    np.testing.assert_array_equal(channels.from_lines(lines, x.shape), x)
    b = draw(seed, shape[1])
    expected = x + b.reshape(-1, *(1,) * (x.ndim - 2))
    np.testing.assert_array_equal(channels.from_lines(lines + channels.tiled(b, lines), x.shape), expected)
    same(normalization.channel_means(shape[1])(lines)[:shape[1]], x.mean(axis=axes))


@given(seeds, sizes, sizes, sizes, sizes)
def test_group_means(seed, N, groups, each, W):
    x = draw(seed, N, groups * each, 3, W)
    lines = channels.as_lines(x).reshape(N, 3, -1)
    expected = np.repeat(x.reshape(N, groups, each, 3, W).mean(axis=(2, 3, 4)), each, axis=1)
    same(normalization.group_means(groups * each, groups)(lines)[:, 0, :groups * each], expected)


@given(seeds, leads, st.integers(2, 6), st.floats(0, 1))
def test_standardize(seed, lead, D, eps):
    x, du = draw(seed, *lead, D), draw(seed + 1, *lead, D)
    u, s, mu, var = normalization.standardize(x, normalization.row_means, eps)
    same(mu, x.mean(axis=-1, keepdims=True))
    same(var, x.var(axis=-1, keepdims=True))
    same(s, 1 / np.sqrt(x.var(axis=-1, keepdims=True) + eps), 1e-9)
    same(u, (x - mu) / np.sqrt(var + eps), 1e-9)

    def mean(a):
        return a.mean(axis=-1, keepdims=True)
    same(normalization.standardize_back(du, u, s, normalization.row_means), s * (du - mean(du) - u * mean(du * u)), 1e-9)


def of_math(function, x):
    return np.array([function(v) for v in x.ravel()]).reshape(x.shape)


@given(seeds, leads, st.floats(1e-300, 20))
def test_erf(seed, shape, scale):
    x = scale * draw(seed, *shape)
    np.testing.assert_allclose(normal.erf(x), of_math(math.erf, x), rtol=1e-15, atol=0)
    single = x.astype(np.float32)
    y = normal.erf(single)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, of_math(math.erf, single), rtol=4e-7, atol=1e-37)


def test_erf_over_its_whole_range():
    x = np.concatenate([np.linspace(-7, 7, 200_001), np.logspace(-300, 300, 2001), [0.0, -0.0, np.inf, -np.inf, np.nan, 0.5, 6]])
    y = normal.erf(x)
    np.testing.assert_allclose(y, of_math(math.erf, x), rtol=1e-15, atol=0)
    np.testing.assert_array_equal(np.signbit(y[x == 0]), np.signbit(x[x == 0]))
    np.testing.assert_array_equal(normal.erf(x[:99].reshape(3, 33).T), y[:99].reshape(3, 33).T)
    assert normal.erf(np.array(0.0)).shape == ()


@given(seeds, leads, st.floats(0.1, 9))
def test_normal(seed, shape, scale):
    x = scale * draw(seed, *shape)
    same(normal.cdf(x), 0.5 * (1 + of_math(math.erf, x / np.sqrt(2))), 1e-15)
    same(normal.density(x), np.exp(-x * x / 2) / np.sqrt(2 * np.pi), 1e-14)
    y = normal.tanh_cdf(x)
    same(y, 0.5 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x ** 3))), 1e-14)
    same(normal.tanh_density(x, y), 2 * y * (1 - y) * np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x ** 2), 1e-14)
    c = draw(seed, 4)
    same(normal.polynomial(c, x), np.polyval(c, x), 1e-11)
    same(normal.quotient((c, (1.0, 0.0, 1.0)), x), np.polyval(c, x) / (x * x + 1), 1e-11)


@given(seeds, leads, sizes, st.floats(0.1, 500), flags, flags)
def test_softmax(seed, lead, D, scale, masked, in_place):
    x = scale * draw(seed, *lead, D)
    mask = draw(seed + 1, *lead[-1:], D) > 0 if masked else np.ones((1, D), bool)
    top = np.where(mask, x, -np.inf).max(axis=-1, keepdims=True)
    e = np.exp(np.where(mask & (top > -np.inf), x - np.where(top > -np.inf, top, 0), -np.inf))
    total = e.sum(axis=-1, keepdims=True)
    expected = np.divide(e, total, out=np.zeros_like(e), where=total > 0)
    x_given = x.copy()
    y = softmax.softmax(x_given, mask if masked else None, out=x_given if in_place else None)
    same(y, expected)
    assert y is x_given if in_place else np.array_equal(x_given, x)


@pytest.mark.parametrize("cache", [1, 200, 1 << 20])
@given(seed=seeds, M=st.integers(1, 9), C=sizes, in_place=flags)
def test_exponentials(cache, seed, M, C, in_place):
    x = 300 * draw(seed, M, C)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(softmax, "CACHE", cache)
        x_given = x.copy()
        e, top, total = softmax.exponentials(x_given, out=x_given if in_place else None)
        same(softmax.times_rows(e, top), e * top[:, None])
    same(top, x.max(axis=1))
    same(e, np.exp(x - x.max(axis=1)[:, None]))
    same(total, e.sum(axis=1))


@given(st.lists(sizes, max_size=4).map(tuple), st.integers(80, 4000), st.integers(0, 3))
def test_pieces(shape, cache, turned):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "CACHE", cache)
        a = np.zeros(shape).T if turned else np.zeros(shape)
        b = np.arange(a.size, dtype=float).reshape(a.shape)
        for x, y in pieces.pieces(a, b):
            x += y
        np.testing.assert_array_equal(a, b)


@given(st.integers(0, 9), st.integers(1, 30), st.integers(1, 20), st.integers(1, 200))
def test_portions(start, count, nbytes, limit):
    cut = pieces.portions(slice(start, start + count), nbytes, limit)
    assert [i for part in cut for i in range(part.start, part.stop)] == list(range(start, start + count))
    lengths = [part.stop - part.start for part in cut]
    assert all(n == 1 or n * nbytes <= limit for n in lengths) and max(lengths) - min(lengths) < len(cut) + 1


@given(seeds, sizes, sizes, st.lists(st.integers(0, 4), max_size=8))
def test_rows(seed, extra, D, ids):
    V, values = 4 + extra, draw(seed, len(ids), D)
    expected = np.zeros((V, D))
    np.add.at(expected, ids, values)
    dW = rows.RowGradient.zeros_like(expected)
    dW.write(np.array([1, 2, 1]), np.ones((3, D)))
    dW.write(np.array(ids, np.intp), values)
    same(np.asarray(dW), expected)
    assert set(dW.rows.tolist()) == set(ids) and len(dW.rows) == len(set(ids))


betas = st.sampled_from([0.0, 0.05, 0.3, 0.9, 0.999])


@given(seeds, st.integers(1, 40), betas, betas)
def test_lazy(seed, steps, beta1, beta2):
    rng, rule, eps, lr = np.random.default_rng(seed), SimpleNamespace(beta1=beta1, beta2=beta2, eps=1e-3, step=0), 1e-3, 0.1
    p = draw(seed, 5, 2)
    W, M, V = p.copy(), np.zeros((5, 2)), np.zeros((5, 2))
    m, r = np.zeros((5, 2)), np.zeros((5, 2))
    for t in range(1, steps + 1):
        rule.step = t
        ids, g = rng.permutation(5)[:2], np.zeros((5, 2))
        g[ids] = rng.standard_normal((2, 2))
        M, V = beta1 * M + (1 - beta1) * g, beta2 * V + (1 - beta2) * g * g
        W -= lr * M / (1 - beta1 ** t) / (np.sqrt(V / (1 - beta2 ** t)) + eps)
        rows_m, rows_r = m[ids], r[ids]
        lazy.learn(rule, g[ids], rows_m, rows_r)
        m[ids], r[ids] = rows_m, rows_r
        lazy.drift(rule, lr, p, m, r)
        same(p, W, 1e-10)
        paper = M * (beta1 > 0), V * (beta2 > 0)                # a beta of 0 forgets all
        for a, b in zip((*lazy.shown(rule, m, r), *lazy.kept(rule, *paper)), (*paper, m, r)):
            same(a, b, 1e-7)


windows = st.fixed_dictionaries({"size": st.tuples(sizes, sizes), "stride": st.tuples(st.integers(1, 3), st.integers(1, 3))})


@given(seeds, st.tuples(sizes, sizes, st.integers(1, 8), st.integers(1, 8)), windows, st.tuples(flags, flags), flags)
def test_pooling(seed, shape, options, padded, ties):
    (KH, KW), (SH, SW) = options["size"], options["stride"]
    PH, PW = padding = tuple(k // 2 * p for k, p in zip((KH, KW), padded))
    (N, C, H, W) = shape = (*shape[:2], max(shape[2], KH - 2 * PH, 1), max(shape[3], KW - 2 * PW, 1))
    x = draw(seed, *shape).round(0 if ties else 9)
    margins = (0, 0), (0, 0), (PH, PH), (PW, PW)
    for largest in True, False:
        padded_x = np.pad(x, margins, constant_values=-np.inf if largest else 0)
        y = np.empty((N, C, (H + 2 * PH - KH) // SH + 1, (W + 2 * PW - KW) // SW + 1))
        dy, dx = draw(seed + 1, *y.shape), np.zeros_like(padded_x)
        for n, c, i, j in np.ndindex(y.shape):
            window, dwindow = (a[n, c, i * SH:i * SH + KH, j * SW:j * SW + KW] for a in (padded_x, dx))
            y[n, c, i, j] = window.max() if largest else window.mean()
            if largest:
                dwindow[np.unravel_index(window.argmax(), window.shape)] += dy[n, c, i, j]
            else:
                dwindow += dy[n, c, i, j] / (KH * KW)
        dx = dx[:, :, PH:PH + H, PW:PW + W]
        if largest:
            got, notes = pooling.max_pool(x, (KH, KW), (SH, SW), padding)
            got_dx = pooling.max_pool_back(dy, notes, shape, (KH, KW), (SH, SW), padding)
        else:
            got = pooling.average_pool(x, (KH, KW), (SH, SW), padding)
            got_dx = pooling.average_pool_back(dy, shape, (KH, KW), (SH, SW), padding)
        same(got, y)
        same(got_dx, dx)


@given(st.data())
def test_convolution(data):
    seed, groups, dx = data.draw(seeds), data.draw(st.integers(1, 3)), data.draw(flags)
    N, D, each, KH, KW = [data.draw(st.integers(1, most)) for most in (3, 5, 4, 3, 4)]
    (SH, SW), (DH, DW) = stride, dilation = [data.draw(st.tuples(st.integers(1, 3), st.integers(1, 2))) for _ in range(2)]
    (top, bottom), (left, right) = pads = tuple([data.draw(st.tuples(st.integers(0, 3), st.integers(0, 3))) for _ in range(2)])
    H = data.draw(st.integers(max(1, (KH - 1) * DH + 1 - top - bottom), 9 + DH * KH))
    width = data.draw(st.integers(max(1, (KW - 1) * DW + 1 - left - right), 9 + DW * KW))
    x, W, b = draw(seed, N, groups * D, H, width), draw(seed + 1, groups * each, D, KH, KW), draw(seed + 2, groups * each)
    padded = np.pad(x, ((0, 0), (0, 0), *pads))
    OH = (padded.shape[2] - (KH - 1) * DH - 1) // SH + 1
    OW = (padded.shape[3] - (KW - 1) * DW - 1) // SW + 1
    y = np.empty((N, groups * each, OH, OW))
    dy, dW, dpadded = draw(seed + 3, *y.shape), np.zeros_like(W), np.zeros_like(padded)
    for n, f, i, j in np.ndindex(y.shape):
        g = f // each
        at = np.s_[n, g * D:(g + 1) * D, i * SH:i * SH + (KH - 1) * DH + 1:DH, j * SW:j * SW + (KW - 1) * DW + 1:DW]
        y[n, f, i, j] = np.sum(W[f] * padded[at]) + b[f]
        dW[f] += dy[n, f, i, j] * padded[at]
        dpadded[at] += dy[n, f, i, j] * W[f]
    options = {"stride": stride, "pads": pads, "dilation": dilation, "groups": groups}
    same(convolution.convolve(x, W, b, **options), y, 1e-10)
    got_dx, got_dW = convolution.convolve_back(dy, x, W, **options, want_dx=dx)
    same(got_dW, dW, 1e-10)
    assert dx or got_dx is None
    same(convolution.transposed_convolve(dy, W, x.shape, **options), dpadded[:, :, top:top + H, left:left + width], 1e-10)
    if dx:
        same(got_dx, dpadded[:, :, top:top + H, left:left + width], 1e-10)


@pytest.mark.parametrize("kind, cell", [(recurrence.Elman, RNNCell), (recurrence.LSTM, LSTMCell), (recurrence.GRU, GRUCell)])
@given(seed=seeds, T=sizes, N=sizes, D=sizes, H=sizes, masked=flags, ends=flags, reverse=flags)
def test_recurrence(kind, cell, seed, T, N, D, H, masked, ends, reverse):
    step = cell.init(D, H, rng=seed, dtype=np.float64)
    for k, b in enumerate(step.params[2:]):
        b[...] = draw(seed + k, b.size)
    S = len(step.state_names)
    x, first = draw(seed, N, T, D), draw(seed + 1, S, N, H)
    mask = draw(seed + 2, N, T, 1) > 0 if masked else np.ones((N, T, 1), bool)
    dout, dlast = draw(seed + 3, N, T, H) if ends else None, draw(seed + 4, S, N, H)
    steps = range(T)[::-1] if reverse else range(T)

    def forward(t, state):
        new = step.forward(x[:, t], *state)
        return np.array(new if S > 1 else [new])

    state, before, y = first, {}, np.empty((N, T, H))
    for t in steps:
        before[t] = state
        state = np.where(mask[:, t], forward(t, state), state)
        y[:, t] = state[0] * mask[:, t]
    expected_dx, dstate, grads = np.zeros_like(x), dlast, [np.zeros_like(g) for g in step.grads]
    for t in reversed(steps):
        if dout is not None:
            dstate = dstate + np.concatenate([(dout[:, t] * mask[:, t])[None], np.zeros((S - 1, N, H))])
        forward(t, before[t])
        passed = np.where(mask[:, t], dstate, 0)
        dx, *dold = step.backward(tuple(passed) if S > 1 else passed[0])
        expected_dx[:, t], dstate = dx, np.where(mask[:, t], dold, dstate)
        for total, g in zip(grads, step.grads):
            total += g

    got, last, cache = recurrence.forward(kind, x, first, step.params, mask[..., 0] if masked else None, reverse)
    same(got, y, 1e-9)
    same(last, state, 1e-9)
    got_grads = [np.empty_like(g) for g in grads]
    got_dx, dfirst = recurrence.backward(cache, dout, dlast.copy(), step.params, got_grads)
    same(got_dx, expected_dx, 1e-9)
    same(dfirst, dstate, 1e-9)
    for a, b in zip(got_grads, grads):
        same(a, b, 1e-9)
    assert recurrence.backward(cache, dout, dlast.copy(), step.params, got_grads, dx=False)[0] is None
