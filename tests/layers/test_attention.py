"""Attention, its heads and positions: by loops over the formulas, masks down to nothing allowed, and errors."""
import numpy as np
import pytest

from chainrule.layers.affine import Affine
from chainrule.layers.attention import Attention, MultiHeadAttention, PositionalEncoding
from tests.errors import refused


def draw(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape)


def same(a, b, tolerance=1e-12):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def by_loops(q, k, v, allowed):
    """The formula of one sample, entry by entry: outputs and weights."""
    w = np.zeros((len(q), len(k)))
    for i in range(len(q)):
        for j in np.flatnonzero(allowed[i]):
            w[i, j] = np.exp(sum(a * b for a, b in zip(q[i], k[j])) / np.sqrt(len(q[i])))
        if w[i].any():
            w[i] /= w[i].sum()
    return w @ v, w


@pytest.mark.parametrize("call, message", [
    (lambda: MultiHeadAttention.init(0, 1), "MultiHeadAttention: dimension … at least 1 … 0"),
    (lambda: MultiHeadAttention.init(4, 0), "MultiHeadAttention: heads … at least 1 … 0"),
    (lambda: PositionalEncoding.init(0, 4), "PositionalEncoding: length … at least 1 … 0")])
def test_a_size_that_is_none_is_refused(call, message):
    with refused(ValueError, message):
        call()


class TestAttention:
    @pytest.mark.parametrize("N, Tq, Tk, D, E", [(1, 1, 1, 1, 1), (2, 3, 5, 4, 2), (3, 5, 1, 2, 7)])
    def test_the_formula(self, N, Tq, Tk, D, E):
        layer, q, k, v = Attention(), draw(N, Tq, D), draw(N, Tk, D, seed=2), draw(N, Tk, E, seed=3)
        mask = draw(N, Tq, Tk, seed=4) > 0
        for given, allowed in (((), np.ones_like(mask)), ((mask,), mask)):
            y = layer.forward(q, k, v, *given)
            for n in range(N):
                expected, weights = by_loops(q[n], k[n], v[n], allowed[n])
                same(y[n], expected)
                same(layer.weights[n], weights)

    def test_the_gradients_through_the_jacobian_of_the_softmax(self):
        layer, q, k, v, dy = Attention(), draw(2, 3, 4), draw(2, 5, 4, seed=2), draw(2, 5, 2, seed=3), draw(2, 3, 2, seed=4)
        layer.forward(q, k, v, draw(2, 3, 5, seed=5) > -1)
        dq, dk, dv, _ = layer.backward(dy)
        for n in range(2):
            ds = np.array([(np.diag(w) - np.outer(w, w)) @ (v[n] @ d) for w, d in zip(layer.weights[n], dy[n])])
            same(dq[n], ds @ k[n] / 2)                       # 2 = √D
            same(dk[n], ds.T @ q[n] / 2)
            same(dv[n], layer.weights[n].T @ dy[n])

    def test_a_mask_of_one_row_or_one_sample_counts_for_all(self):
        q, k, v = draw(2, 3, 4), draw(2, 5, 4, seed=2), draw(2, 5, 2, seed=3)
        row, sample = draw(2, 1, 5, seed=4) > 0, draw(1, 3, 5, seed=5) > 0
        for mask in (row, sample):
            same(Attention().forward(q, k, v, mask), Attention().forward(q, k, v, np.broadcast_to(mask, (2, 3, 5))))

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_a_query_that_may_look_at_nothing(self, dtype):
        layer, q, k, v = Attention(), *(draw(2, 3, 4, seed=s).astype(dtype) for s in (1, 2, 3))
        mask = np.ones((2, 3, 3), bool)
        mask[0, 1] = mask[1] = False
        y = layer.forward(q, k, v, mask)
        assert not y[0, 1].any() and not y[1].any() and not layer.weights[1].any() and y[0, 0].any()
        dq, dk, dv, none = layer.backward(np.ones_like(y))
        assert all(np.isfinite(d).all() for d in (dq, dk, dv))
        assert not dq[0, 1].any() and not dq[1].any() and not dk[1].any() and not dv[1].any() and dq[0, 0].any()
        assert none is None

    @pytest.mark.parametrize("layer", [Attention(), MultiHeadAttention.init(4, 2, rng=0, dtype=np.float64)])
    def test_padding_may_hold_anything(self, layer):
        q, k, v, mask = draw(2, 3, 4), draw(2, 5, 4, seed=2), draw(2, 5, 4, seed=3), np.arange(5) < [[[3]], [[4]]]
        memory = (k, v) if isinstance(layer, Attention) else (k,)

        def all_values():
            return [layer.forward(q, *memory, mask), *layer.backward(q)[:-1], *(g.copy() for g in layer.grads)]
        expected = all_values()
        for a in memory:
            a[0, 3:], a[1, 4:] = np.nan, np.inf
        for a, b in zip(expected, all_values(), strict=True):
            np.testing.assert_array_equal(a, b)
        assert np.isnan(k[0, 3:]).all()

    def test_what_is_masked_has_no_influence_and_no_gradient(self):
        layer, q, k, v = Attention(), draw(1, 2, 4), draw(1, 5, 4, seed=2), draw(1, 5, 3, seed=3)
        mask = (np.arange(5) < 3)[None, None]
        y = layer.forward(q, k, v, mask)
        _, dk, dv, _ = layer.backward(np.ones_like(y))
        assert not dk[:, 3:].any() and not dv[:, 3:].any()
        same(y, Attention().forward(q, k[:, :3], v[:, :3]))

    def test_scores_of_any_size(self):
        layer = Attention()
        y = layer.forward(*(draw(2, 3, 4, seed=s).astype(np.float32) * 1e4 for s in (1, 2, 3)))
        assert np.isfinite(y).all() and all(np.isfinite(d).all() for d in layer.backward(y))

    def test_shapes_that_do_not_fit(self):
        layer, q = Attention(), draw(2, 3, 4)
        with refused(ValueError, "Attention: q … (N, ..., Tq, D) … (2, 3)"):
            layer.forward(q[..., 0], q, q)
        with refused(ValueError, "Attention: k … (2, Tk, 4) … (2, 3, 5)"):
            layer.forward(q, draw(2, 3, 5), q)
        with refused(ValueError, "Attention: v … (2, 3, E) … (2, 4, 4)"):
            layer.forward(q, q, draw(2, 4, 4))

    @pytest.mark.parametrize("layer, inputs", [
        (Attention(), 3), (MultiHeadAttention.init(4, heads=2, rng=0, dtype=np.float64), 2)], ids=lambda a: type(a).__name__)
    def test_masks_that_do_not_fit(self, layer, inputs):
        x, name = draw(2, 3, 4), type(layer).__name__
        with refused(ValueError, f"{name}: mask … (2, 3, 3) … (3, 3)"):
            layer.forward(*[x] * inputs, np.ones((3, 3), bool))
        with refused(ValueError, f"{name}: mask … (2, 1, 3) … (4, 1, 3)"):
            layer.forward(*[x] * inputs, np.ones((4, 1, 3), bool))
        with refused(ValueError, f"{name}: mask … (2, 3, 3) … (2, 3)…"):
            layer.forward(*[x] * inputs, np.ones((2, 3), bool))
        with refused(TypeError, f"{name}: mask … booleans … float64 ndarray…"):
            layer.forward(*[x] * inputs, np.ones((2, 3, 3)))


class TestMultiHeadAttention:
    def make(self, D=6, heads=3, **options):
        layer = MultiHeadAttention.init(D, heads, rng=0, dtype=np.float64, **options)
        for b in layer.params[1::2]:
            b[...] = np.linspace(-1, 1, D)
        return layer

    def test_it_is_affine_maps_around_attention_in_each_head(self):
        layer, x, memory = self.make(), draw(2, 4, 6), draw(2, 5, 6, seed=2)
        mask, dy = draw(2, 4, 5, seed=3) > -1, draw(2, 4, 6, seed=4)
        maps = [Affine(*layer.params[i:i + 2]) for i in (0, 2, 4, 6)]
        heads = [Attention() for _ in range(3)]
        q, k, v = (m.forward(a) for m, a in zip(maps, (x, memory, memory)))
        columns = [slice(2 * i, 2 * i + 2) for i in range(3)]
        joined = np.concatenate([h.forward(q[..., c], k[..., c], v[..., c], mask) for h, c in zip(heads, columns)], axis=2)
        same(layer.forward(x, memory, mask), maps[3].forward(joined))
        same(layer.weights, np.stack([h.weights for h in heads], axis=1))
        dq, dk, dv = (np.empty_like(a) for a in (q, k, v))
        djoined = maps[3].backward(dy)
        for h, c in zip(heads, columns):
            dq[..., c], dk[..., c], dv[..., c], _ = h.backward(djoined[..., c])
        dx, dmemory, none = layer.backward(dy)
        same(dx, maps[0].backward(dq))
        same(dmemory, maps[1].backward(dk) + maps[2].backward(dv))
        for g, expected in zip(layer.grads, [g for m in maps for g in m.grads]):
            same(g, expected)
        assert none is None

    def test_self_attention_is_both_roles_of_one_input(self):
        alone, both, x, dy = self.make(), self.make(), draw(2, 4, 6), draw(2, 4, 6, seed=2)
        same(alone.forward(x), both.forward(x, x))
        same(alone.backward(dy), sum(both.backward(dy)))

    def test_a_gradient_for_each_input_that_was_given(self):
        layer, x, mask = self.make(), draw(2, 4, 6), np.ones((2, 4, 4), bool)
        dx = layer.backward(layer.forward(x))
        assert isinstance(dx, np.ndarray)
        for inputs, count in (((x, x), 2), ((x, x, mask), 3), ((x, None, mask), 2)):
            assert len(layer.backward(layer.forward(*inputs))) == count

    def test_causal_steps_see_no_later_one(self):
        layer, x, dy = self.make(causal=True), draw(2, 5, 6), draw(2, 5, 6, seed=2)
        y = layer.forward(x)
        changed = x.copy()
        changed[:, 3:] += 1
        np.testing.assert_array_equal(layer.forward(changed)[:, :3], y[:, :3])
        for t in range(5):                                   # each step is what it would be at the end of its sequence
            same(layer.forward(x[:, :t + 1])[:, t], y[:, t])
        layer.forward(x)
        dy[:, 2:] = 0
        assert not layer.backward(dy)[:, 2:].any()

    def test_causal_and_a_mask_together(self):
        layer, x, real = self.make(causal=True), draw(2, 4, 6), np.arange(4) < np.array([[4], [2]])
        layer.forward(x, None, real[:, None])
        seen = layer.weights > 0
        np.testing.assert_array_equal(seen, np.broadcast_to((np.tri(4, dtype=bool) & real[:, None])[:, None], seen.shape))

    def test_what_a_mask_and_causality_hide_together_may_be_anything(self):
        layer, query, memory = self.make(causal=True), draw(2, 3, 6), draw(2, 3, 6, seed=1)
        mask = np.ones((2, 3, 3), bool)
        mask[:, 2, 2] = False                                # the last step, from the only query that comes so late
        y = layer.forward(query, memory, mask)
        grads = [layer.backward(y)[:2], [g.copy() for g in layer.grads]]
        memory[:, 2] = np.nan
        np.testing.assert_array_equal(layer.forward(query, memory, mask), y)
        for now, before in zip((layer.backward(y)[:2], layer.grads), grads):
            for a, b in zip(now, before):
                assert np.isfinite(a).all()
                np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)

    def test_a_query_that_may_look_at_nothing(self):
        layer, x = self.make(), draw(2, 4, 6)
        y = layer.forward(x, None, np.zeros((2, 4, 4), bool))
        np.testing.assert_array_equal(y, np.broadcast_to(layer.params[7], y.shape))          # the bias bo alone
        dx, _ = layer.backward(y)
        assert not dx.any() and np.isfinite(layer.grads[0]).all()

    def test_init(self):
        layer = MultiHeadAttention.init(300, heads=4, rng=0)
        assert layer.names == ("Wq", "bq", "Wk", "bk", "Wv", "bv", "Wo", "bo")
        assert {p.dtype for p in layer.params} == {np.dtype(np.float32)} and not any(b.any() for b in layer.params[1::2])
        assert all(W.std() == pytest.approx(300 ** -0.5, rel=0.02) for W in layer.params[::2])
        assert (layer.params[0] != layer.params[2]).any() and repr(layer).endswith("heads=4, causal=False)")

    def test_arrays_and_heads_that_do_not_fit(self):
        W, b = np.ones((6, 6)), np.ones(6)
        with refused(ValueError, "MultiHeadAttention: heads … D … 6 … 4"):
            MultiHeadAttention(W, b, W, b, W, b, W, b, heads=4)
        with refused(ValueError, "MultiHeadAttention: Wv … (6, 6) … (6, 5)"):
            MultiHeadAttention(W, b, W, b, W[:, 1:], b, W, b, heads=2)
        with refused(ValueError, "MultiHeadAttention: heads … at least 1 … 0"):
            MultiHeadAttention(W, b, W, b, W, b, W, b, heads=0)

    def test_inputs_that_do_not_fit(self):
        layer = self.make(causal=True)
        with refused(ValueError, "MultiHeadAttention: query … (N, Tq, 6) … (2, 4, 5)"):
            layer.forward(draw(2, 4, 5))
        with refused(ValueError, "MultiHeadAttention: memory … (2, Tk, 6) … (3, 4, 6)"):
            layer.forward(draw(2, 4, 6), draw(3, 4, 6))
        with refused(ValueError, "MultiHeadAttention: memory … 4 … 5"):
            layer.forward(draw(2, 4, 6), draw(2, 5, 6))


class TestPositionalEncoding:
    @pytest.mark.parametrize("D", [1, 4, 7])
    def test_the_waves(self, D):
        p = PositionalEncoding().forward(np.zeros((1, 9, D)))[0]
        for t in range(9):
            for d in range(D):
                wave = t / 10000 ** (2 * (d // 2) / D)
                assert p[t, d] == pytest.approx(np.cos(wave) if d % 2 else np.sin(wave), abs=1e-12)

    def test_they_are_added_and_the_gradient_passes(self):
        layer, x = PositionalEncoding(), draw(2, 5, 4).astype(np.float32)
        y = layer.forward(x)
        assert y.dtype == np.float32
        np.testing.assert_allclose(y - x, np.broadcast_to(layer.forward(np.zeros_like(x)), x.shape), atol=1e-6)
        np.testing.assert_array_equal(layer.backward(y), y)

    def test_learned_positions(self):
        W = draw(6, 4)
        layer, x, dy = PositionalEncoding(W), draw(2, 5, 4), draw(2, 5, 4, seed=2)
        np.testing.assert_array_equal(layer.forward(x), x + W[:5])
        layer.grads[0][...] = 9
        np.testing.assert_array_equal(layer.backward(dy), dy)
        np.testing.assert_array_equal(layer.grads[0], [*dy.sum(axis=0), np.zeros(4)])
        assert PositionalEncoding.init(6, 4, rng=0).params[0].shape == (6, 4)

    def test_a_sequence_longer_than_the_table(self):
        with refused(ValueError, "PositionalEncoding: x … at most 6 … 7"):
            PositionalEncoding(draw(6, 4)).forward(draw(2, 7, 4))


class TestDropout:
    def test_the_weights_are_dropped_in_training_alone(self):
        q, k, v, dy = draw(2, 3, 4), draw(2, 5, 4, seed=2), draw(2, 5, 2, seed=3), draw(2, 3, 2, seed=4)
        layer, plain = Attention(dropout=0.4, rng=0), Attention()
        y = layer.forward(q, k, v)
        m, _ = layer.dropout.cache
        same(y, np.matmul(layer.weights * m, v))
        assert 0 < (m == 0).mean() < 1
        given = layer.backward(dy)
        for i, (x, d) in enumerate(zip((q, k, v), given)):
            direction, eps = draw(*x.shape, seed=9), 1e-6
            moved = [q, k, v]
            moved[i] = x + eps * direction
            a, b, c = moved
            w = Attention()
            w.forward(a, b, c)
            change = np.matmul(w.weights * m, c) - y
            np.testing.assert_allclose(np.vdot(change, dy) / eps, np.vdot(d, direction), rtol=1e-4)
        layer.training = False
        np.testing.assert_array_equal(layer.forward(q, k, v), plain.forward(q, k, v))

    def test_of_several_heads(self):
        layer, x = MultiHeadAttention.init(6, heads=2, dropout=0.5, rng=0, dtype=np.float64), draw(2, 4, 6)
        assert not np.array_equal(layer.forward(x), layer.forward(x))
        layer.training = False
        np.testing.assert_array_equal(layer.forward(x), layer.forward(x))
        with refused(ValueError, "MultiHeadAttention: dropout … 0 … 1 … 1.5"):
            MultiHeadAttention.init(6, heads=2, dropout=1.5)


def test_keys_and_values_take_the_dtype_of_the_queries():
    rng = np.random.default_rng(0)
    q, k, v = rng.normal(size=(1, 2, 3)).astype(np.float32), rng.normal(size=(1, 4, 3)), rng.normal(size=(1, 4, 5))
    layer = Attention()
    y = layer.forward(q, k, v)
    assert {a.dtype for a in (y, layer.weights, *layer.backward(y))} == {np.dtype(np.float32)}
