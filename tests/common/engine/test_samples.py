"""Layers that run on pieces of a large batch, as threads share them out."""
import numpy as np
import pytest

from chainrule.common.engine import compiled, samples, threads
from chainrule.layers import GroupNorm, LayerNorm
from chainrule.models import Sequential

LAYERS = {"LayerNorm": lambda dtype: LayerNorm.init(12, dtype=dtype),
          "GroupNorm": lambda dtype: GroupNorm.init(12, 3, dtype=dtype)}
SHAPES = {"LayerNorm": [(7, 12), (5, 3, 12), (2, 12)], "GroupNorm": [(7, 12, 5, 4), (5, 12), (3, 12, 40)]}
MEMORY = {"as it reads": lambda x: x, "axes turned": lambda x: np.ascontiguousarray(np.moveaxis(x, 1, -1)).swapaxes(-1, 1)
          if x.ndim == 3 else np.ascontiguousarray(x.T).T, "every second": lambda x: x.repeat(2, 0)[::2]}


@pytest.fixture
def shared(monkeypatch):
    """Three threads and small pieces for any batch; what is asked for sets how many threads there are."""
    count = [3]
    monkeypatch.setattr(threads, "threads", lambda: count[0])
    monkeypatch.setattr(samples, "threads", lambda: count[0])
    monkeypatch.setattr(threads, "WORTH", 16)
    monkeypatch.setattr(threads, "LATE", 0)
    monkeypatch.setattr(samples, "LARGE", 1)
    monkeypatch.setattr(samples, "CACHE", 100)
    with compiled.floor("numpy"):
        yield count


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("memory", MEMORY)
@pytest.mark.parametrize("name, shape", [(name, shape) for name in SHAPES for shape in SHAPES[name]])
def test_pieces_give_what_the_page_gives(shared, name, shape, memory, dtype):
    rng = np.random.default_rng(0)
    x, dout = (MEMORY[memory](rng.standard_normal(shape).astype(dtype)) for _ in range(2))
    x[1].flat[3] = np.nan                                      # of one sample alone
    found = []
    for shared[0] in 3, 1:
        layer = LAYERS[name](dtype)
        for p in layer.params:
            p[...] = np.linspace(-1, 2, p.size)
        y, dx = layer.forward(x), layer.backward(dout)
        assert (type(layer.cache) is samples.Pieces) == (shared[0] == 3)
        grads = [g.copy() for g in layer.grads]
        np.testing.assert_array_equal(layer.backward(dout), dx)
        for g, before in zip(layer.grads, grads):              # and not added up
            np.testing.assert_array_equal(g, before)
        layer.input_gradient = False
        layer.grads[0][...] = 7
        assert layer.backward(dout) is None
        np.testing.assert_array_equal(layer.grads[0], grads[0])
        found.append((y, dx, *grads))
    for a, b in zip(*found):
        assert a.dtype == b.dtype == dtype
        np.testing.assert_allclose(a, b, rtol=0, atol=100 * np.finfo(dtype).eps)


def test_one_sample_and_a_class_of_a_users_own_run_as_they_are_written(shared):
    class Noted(LayerNorm):
        def scale_and_shift(self, u):
            self.seen = u.shape
            return super().scale_and_shift(u)

    layer = Noted.init(4)
    layer.forward(np.ones((6, 4), np.float32))
    assert layer.seen == (6, 4)
    layer = LayerNorm.init(4)
    layer.forward(np.ones((1, 4), np.float32))
    assert type(layer.cache) is tuple


def test_its_memory_is_counted(shared):
    model, found = Sequential(LayerNorm.init(12, dtype=np.float64)), []
    for shared[0] in 1, 3:
        found.append(model.summary(np.ones((40, 12))).cached)
    assert found == [8 * 40 * (12 + 1)] * 2                    # u and s
