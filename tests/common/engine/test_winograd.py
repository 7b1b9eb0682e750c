"""Winograd's convolution against window matrices: the same numbers, and the same for what is not finite."""
from functools import partial

import numpy as np
import pytest

from chainrule.common.engine import compiled, convolution, threads, winograd
from chainrule.layers import Convolution, TransposedConvolution

pytestmark = pytest.mark.skipif(not compiled.installed(), reason="numba is not installed: no loops to compile")


def draw(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def passes(x, W, b=None, **options):
    """y, dL/dx, dL/dW, the same without dL/dx, and y sent back by a transposed convolution."""
    y = convolution.convolve(x, W, b, **options)
    dy = np.cos(np.arange(y.size, dtype=np.float32)).reshape(y.shape).astype(x.dtype)
    back = convolution.transposed_convolve(dy, W, x.shape, **options)
    return [y, *convolution.convolve_back(dy, x, W, **options),
            convolution.convolve_back(dy, x, W, **options, want_dx=False)[1], back]


def on(floor, *arguments, **options):
    with compiled.floor(floor, large=1):
        return passes(*arguments, **options)


@pytest.fixture
def taken(monkeypatch):
    """What Winograd's functions returned."""
    seen = []

    def kept(function, *arguments):
        seen.append(function(*arguments))
        return seen[-1]

    for name in "convolve", "convolve_back":
        monkeypatch.setattr(winograd, name, partial(kept, getattr(winograd, name)))
    return seen


@pytest.mark.parametrize("seed", range(40))
def test_it_gives_what_window_matrices_give(seed, taken, monkeypatch):
    rng = np.random.default_rng(seed)

    def size(least, most):
        return int(rng.integers(least, most + 1))

    G, D, each, N, dilation = size(1, 4), size(1, 5), size(2, 4), size(1, 4), (size(1, 3), size(1, 3))
    pads = tuple((size(0, 2 * d), size(0, 2 * d)) for d in dilation)
    H, width = (size(max(1, 2 * d + 1 - sum(p)), 13) for d, p in zip(dilation, pads))
    x, W = draw(seed, N, G * D, H, width), draw(seed + 1, G * each, D, 3, 3)
    b = draw(seed + 2, G * each) if seed % 2 else None
    for name, value in {"LANES": size(1, 16), "SHARES": size(1, 9), "CACHE": size(1, 40) * 400}.items():
        monkeypatch.setattr(winograd, name, value)                          # some tiles at a time
    monkeypatch.setattr(winograd, "takes", lambda x, W, stride: compiled.takes(x))
    pages, loops = (on(floor, x, W, b, pads=pads, dilation=dilation, groups=G) for floor in ("numpy", "compiled"))
    assert len(taken) == 4 and all(taken)
    for page, loop in zip(pages, loops):
        assert page.shape == loop.shape
        np.testing.assert_allclose(loop, page, rtol=1e-12, atol=1e-12 * np.abs(page).max())


@pytest.mark.parametrize("C, F", [(8, 8), (32, 32), (128, 16)])
def test_its_error_in_single_precision_is_of_the_size_of_theirs(C, F):
    x, W = draw(0, 4, C, 20, 20).astype(np.float32), (draw(1, F, C, 3, 3) * (2 / 9 / C) ** 0.5).astype(np.float32)
    exact, *singles = on("numpy", x.astype(float), W.astype(float)), on("numpy", x, W), on("compiled", x, W)
    for right, page, loop in zip(exact, *singles):
        of_page, of_loop = (np.sqrt(np.square(a - right).mean() / np.square(right).mean()) for a in (page, loop))
        assert loop.dtype == np.float32 and of_page < 5e-7 and of_loop < 1e-6


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("place", ["x", "W", "dy"])
def test_what_is_not_finite_is_left_to_window_matrices(place, bad, taken):
    """A number near the end of the range too: sums of four of them are not finite, though y is."""
    arrays = {"x": draw(0, 3, 4, 9, 9), "W": draw(1, 5, 4, 3, 3) / 30, "dy": draw(2, 3, 5, 9, 9)}
    arrays = {name: a.astype(np.float32) for name, a in arrays.items()}
    arrays[place].flat[-1], (x, W, dy) = bad, arrays.values()
    arrays[place].flat[-2] = bad
    results = []
    for floor in "numpy", "compiled":
        with compiled.floor(floor, large=1):
            results.append((convolution.convolve(x, W, pads=((1, 1), (1, 1))),
                            *convolution.convolve_back(dy, x, W, pads=((1, 1), (1, 1)))))
    assert len(taken) == 2 and not all(taken)
    for page, loop in zip(*results):
        np.testing.assert_array_equal(np.isfinite(loop), np.isfinite(page))
        np.testing.assert_allclose(loop, page, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("place", list(np.ndindex(2, 2, 2)))
def test_one_place_that_is_not_finite_is_enough(place, monkeypatch):
    """A corner's pixel reaches one output alone; here among many tiles, the first or the last."""
    monkeypatch.setattr(winograd, "CACHE", 400)
    x, W = draw(0, 2, 4, 8, 8), draw(1, 4, 4, 3, 3)
    x[-place[0], :, -place[1], -place[2]] = np.inf
    with np.errstate(invalid="ignore"):
        (page, *_), (loop, *_) = on("numpy", x, W), on("compiled", x, W)
    np.testing.assert_array_equal(loop, page)


@pytest.mark.parametrize("width, weight", [(1, 1.1), (2, 0.1)])
def test_no_warning_comes_from_what_is_thrown_away(width, weight):
    """In one product a number leaves the range, in the other infinity meets its negative."""
    x = np.zeros((1, 2, 9, 9), np.float32)
    x[0, 0, 3, 3:3 + width], x[0, 1, 3, 3:3 + width] = 3e38, -3e38
    with compiled.floor("compiled", large=1), np.errstate(all="raise", under="ignore"):
        W = np.full((4, 2, 3, 3), weight, np.float32)
        y = convolution.convolve(x, W)
        _, dW = convolution.convolve_back(np.full_like(y, 1e-3), x, W)
    assert np.isfinite(y).all() and np.isfinite(dW).all()


def test_sums_over_tiles_that_leave_the_range_are_thrown_away_too():
    """Two infinite sums of the same sign, whose difference makes dL/dW."""
    x, dy, W = np.zeros((1, 2, 9, 9), np.float32), np.zeros((1, 4, 7, 7), np.float32), np.full((4, 2, 3, 3), 0.1, np.float32)
    x[..., ::2], dy[..., ::2] = 8e18, 1e18
    with compiled.floor("compiled", large=1), np.errstate(all="raise", under="ignore"):
        _, dW = convolution.convolve_back(dy, x, W)
    np.testing.assert_allclose(dW, np.broadcast_to(np.float32([28 * 8e36, 0, 28 * 8e36]), W.shape), rtol=1e-5)


@pytest.mark.parametrize("n, d, tiles", [(1, 1, 1), (8, 1, 4), (9, 1, 5), (8, 2, 2), (9, 2, 3), (5, 3, 1)])
def test_there_are_no_more_tiles_than_cover_the_places(n, d, tiles):
    made = winograd.Tiles((1, n, n), np.empty((4, 4, 3, 3)), (d, d), 1)
    assert (made.high, made.wide, made.across) == (tiles, tiles, d * tiles)


@pytest.mark.parametrize("groups, D, each, split", [(1, 8, 8, 1), (4, 8, 8, 2), (4, 8, 4, 2), (4, 4, 16, 4), (3, 8, 8, 3),
                                                    (32, 1, 1, 2), (2, 64, 64, 2), (6, 4, 4, 2)])
def test_groups_share_products_of_sixteen_channels(groups, D, each, split):
    assert winograd.Tiles((1, 9, 9), np.empty((groups * each, D, 3, 3)), (1, 1), groups).split == split


def test_bits_do_not_depend_on_threads(monkeypatch):
    x, W, b = (draw(i, *shape).astype(np.float32) for i, shape in enumerate([(5, 8, 20, 17), (12, 8, 3, 3), (12,)]))
    monkeypatch.setattr(threads, "WORTH", 16)
    monkeypatch.setattr(threads, "LATE", 0)
    monkeypatch.setattr(winograd, "CACHE", 30_000)
    runs = []
    for count in 1, 2, 3, 8:
        monkeypatch.setattr(threads, "threads", lambda count=count: count)
        runs.append(on("compiled", x, W, b, pads=((1, 1), (0, 2))))
    for again in runs[1:]:
        for a, c in zip(runs[0], again):
            np.testing.assert_array_equal(c, a)


@pytest.mark.parametrize("shape, filters, stride, taken", [
    ((32, 32, 32, 32), (32, 32, 3, 3), (1, 1), True), ((1, 64, 16, 16), (64, 64, 3, 3), (1, 1), True),
    ((32, 32, 32, 32), (32, 32, 3, 3), (2, 1), False), ((32, 32, 32, 32), (32, 32, 1, 3), (1, 1), False),
    ((32, 3, 32, 32), (64, 3, 3, 3), (1, 1), False), ((32, 64, 32, 32), (3, 64, 3, 3), (1, 1), False),
    ((8, 512, 7, 7), (512, 512, 3, 3), (1, 1), False), ((2, 100, 10, 10), (100, 100, 3, 3), (1, 1), False),
    ((1, 16, 16, 16), (16, 16, 3, 3), (1, 1), False)])
def test_it_is_taken_where_it_gains(shape, filters, stride, taken):
    with compiled.floor("compiled"):
        assert winograd.takes(np.empty(shape), np.empty(filters), stride) == taken
    with compiled.floor("numpy"):
        assert not winograd.takes(np.empty(shape), np.empty(filters), stride)


def test_wider_padding_than_windows_needs():
    """dL/dx is no convolution of dL/dy then; y is one of x all the same."""
    x, W, options = draw(0, 2, 4, 6, 6), draw(1, 4, 4, 3, 3), {"pads": ((3, 0), (0, 4))}
    for page, loop in zip(on("numpy", x, W, **options), on("compiled", x, W, **options)):
        np.testing.assert_allclose(loop, page, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", [Convolution, TransposedConvolution])
def test_layers_go_this_way(kind, taken):
    layer = kind.init(8, 8, 3, padding=1, rng=0)
    with compiled.floor("compiled"):
        layer.forward(np.ones((2, 8, 32, 32), np.float32))
        assert len(taken) == 1
        layer.backward(np.ones((2, 8, 32, 32), np.float32))
    assert len(taken) == (2 if kind is Convolution else 3) and all(taken)
