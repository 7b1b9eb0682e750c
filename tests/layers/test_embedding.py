"""Embedding and EmbeddingDot by the one-hot product they stand for, gradients that know their rows, and errors."""
import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.common.engine.rows import RowGradient
from chainrule.common.functions import one_hot
from chainrule.common.initializers import constant
from chainrule.layers.embedding import Embedding, EmbeddingDot
from tests.errors import refused

LAYERS = [Embedding, EmbeddingDot]


def matrix(V=7, D=3):
    return np.random.default_rng(0).standard_normal((V, D))


def draw(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape)


def lookup(cls, layer, ids):
    return layer.forward(ids) if cls is Embedding else layer.forward(draw(len(ids), 3), ids[:, None])


ids_of = st.lists(st.integers(0, 6), min_size=1, max_size=30)


class TestValues:
    @given(ids_of)
    def test_a_look_up_is_a_product_with_one_hot_rows(self, ids):
        W, ids = matrix(), np.array(ids)
        layer, hot, dy = Embedding(W), one_hot(ids, 7, np.float64), draw(len(ids), 3)
        np.testing.assert_array_equal(layer.forward(ids), hot @ W)
        assert layer.backward(dy) is None
        np.testing.assert_allclose(layer.grads[0], hot.T @ dy, atol=1e-12)

    @given(ids_of)
    def test_a_dot_is_a_part_of_the_product_with_all_rows(self, ids):
        W, ids = matrix(), np.array([ids, ids[::-1]])
        layer, h, ds = EmbeddingDot(W), draw(2, 3), draw(*ids.shape)
        np.testing.assert_allclose(layer.forward(h, ids), np.take_along_axis(h @ W.T, ids, axis=1), atol=1e-12)
        dh, none = layer.backward(ds)
        scores = np.einsum("nk,nkv->nv", ds, one_hot(ids, 7, np.float64))       # the gradient of h Wᵀ
        np.testing.assert_allclose(dh, scores @ W, atol=1e-12)
        np.testing.assert_allclose(layer.grads[0], scores.T @ h, atol=1e-12)
        assert none is None

    @pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint64])
    def test_ids_of_any_integer_type_and_shape(self, dtype):
        W, ids = matrix(), np.arange(6).reshape(1, 2, 3)
        y = Embedding(W).forward(ids.astype(dtype))
        np.testing.assert_array_equal(y, W[ids])
        assert Embedding(W).forward([[0, 6]]).shape == (1, 2, 3)

    def test_dot_with_leading_axes(self):
        layer, h, ids = EmbeddingDot(matrix()), draw(2, 4, 3), np.arange(24).reshape(2, 4, 3) % 7
        flat = EmbeddingDot(matrix())
        np.testing.assert_array_equal(layer.forward(h, ids).reshape(8, 3), flat.forward(h.reshape(8, 3), ids.reshape(8, 3)))


class TestRows:
    def test_backward_writes_the_new_rows_and_clears_the_old(self):
        layer = Embedding(matrix())
        for ids in ([0, 5, 0], [5, 2]):
            layer.forward(np.array(ids))
            layer.backward(np.ones((len(ids), 3)))
            expected = np.zeros((7, 3))
            np.add.at(expected, ids, 1)
            np.testing.assert_array_equal(layer.grads[0], expected)
            np.testing.assert_array_equal(np.sort(layer.grads[0].rows), np.unique(ids))

    def test_before_the_first_backward_no_row_is_touched(self):
        dW = Embedding(matrix()).grads[0]
        assert isinstance(dW, RowGradient) and not dW.any() and dW.rows.size == 0

    @settings(deadline=None)
    @given(ids_of, st.sampled_from("CF"), st.sampled_from("CF"))
    def test_equal_ids_add_up_in_any_memory_order_and_are_named_once(self, ids, order, of_values):
        dW, values = RowGradient.zeros_like(np.zeros((7, 3), order=order)), np.array(draw(len(ids), 3), order=of_values)
        before = values.copy()
        dW.write(np.array(ids), values)
        np.testing.assert_allclose(dW, one_hot(np.array(ids), 7, np.float64).T @ values, atol=1e-12)
        np.testing.assert_array_equal(np.sort(dW.rows), np.unique(ids))
        np.testing.assert_array_equal(values, before)

    @pytest.fixture
    def dW(self):
        dW = RowGradient.zeros_like(np.ones((5, 2)))
        dW.write(np.array([3, 1]), np.array([[1.0, 2.0], [3.0, 4.0]]))
        return dW

    @pytest.mark.parametrize("scale", [
        lambda g: g.__imul__(0.5), lambda g: g.__itruediv__(2), lambda g: np.multiply(g, np.float32(0.5), out=g)])
    def test_scaling_keeps_the_rows(self, dW, scale):
        assert scale(dW) is dW
        assert dW.rows.tolist() == [3, 1] and dW[3].tolist() == [0.5, 1.0]

    @pytest.mark.parametrize("write", [
        lambda g: g.__iadd__(1.0), lambda g: g.__setitem__(0, 9.0), lambda g: np.add(g, 1, out=g),
        lambda g: np.multiply(2.0, 3.0, out=g), lambda g: np.clip(g, 1, 2, out=g),
        lambda g: np.multiply(g, np.ones((5, 2)), out=g), lambda g: np.add.at(g, 0, 1.0),
        lambda g: np.copyto(g, 1.0), lambda g: g.put([0], 9.0), lambda g: np.put(g, [0], 9.0), lambda g: g.fill(1.0),
        lambda g: np.putmask(g, g == 0, 1.0), lambda g: np.place(g, g == 0, [1.0]), lambda g: g.sort(axis=0),
        lambda g: np.put_along_axis(g, np.zeros((5, 1), int), 1.0, 1), lambda g: np.fill_diagonal(g, 3.0),
        lambda g: np.sum(np.ones((2, 5, 2)), axis=0, out=g), lambda g: np.take(np.ones((9, 2)), range(5), axis=0, out=g),
        lambda g: g[1:].__iadd__(1.0), lambda g: g.T.__setitem__(0, 1.0), lambda g: g.reshape(-1)[2:].fill(1.0),
        lambda g: [row.__iadd__(1.0) for row in g], lambda g: g.flat.__setitem__(0, 1.0), lambda g: g.view().put([0], 1.0),
        lambda g: g.__imul__(np.inf), lambda g: g.__itruediv__(0.0)])
    @pytest.mark.filterwarnings("ignore:(invalid|divide)")
    def test_other_writing_forgets_them_and_the_next_backward_still_clears_all(self, dW, write):
        write(dW)
        assert dW.rows is None
        dW.write(np.array([2]), np.array([[7.0, 7.0]]))
        assert dW.rows.tolist() == [2] and dW.tolist() == [[0, 0], [0, 0], [7, 7], [0, 0], [0, 0]]

    def test_writing_writes(self, dW):
        dW[0] = 9.0
        assert dW.tolist() == [[9, 9], [3, 4], [0, 0], [1, 2], [0, 0]]

    def test_reading_it_into_others_keeps_the_rows(self, dW):
        sums, whole, parts = np.ones((5, 2)), np.empty((5, 2)), np.empty((5, 2))
        assert np.add(dW, 1.0, out=whole) is whole and whole[3].tolist() == [2, 3]
        np.add.at(sums, slice(None), dW)
        assert sums[3].tolist() == [2, 3]
        out = np.modf(dW, out=(parts, whole))
        assert out[0] is parts and out[1] is whole and whole[3].tolist() == [1, 2] and not parts.any()
        assert dW.rows.tolist() == [3, 1]

    def test_a_result_is_a_plain_array_and_a_copy_has_no_rows(self, dW):
        assert type(dW * 2) is np.ndarray and type(np.sqrt(dW)) is np.ndarray and type(np.asarray(dW)) is np.ndarray
        for other in (dW.copy(), copy.deepcopy(dW), pickle.loads(pickle.dumps(dW)), dW[1:], dW.reshape(-1)):
            assert getattr(other, "rows", None) is None
        assert dW.rows.tolist() == [3, 1]

    def test_a_copied_layer_goes_on(self):
        layer = Embedding(matrix())
        layer.forward(np.array([1, 2]))
        layer.backward(np.ones((2, 3)))
        twin = pickle.loads(pickle.dumps(layer))
        twin.forward(np.array([4]))
        twin.backward(np.ones((1, 3)))
        assert twin.grads[0].any(axis=1).tolist() == [False] * 4 + [True] + [False] * 2
        assert layer.grads[0].rows.tolist() == [1, 2]


class TestConstruction:
    @pytest.mark.parametrize("cls", LAYERS)
    def test_init(self, cls):
        layer = cls.init(1000, 50, rng=0)
        W, = layer.params
        assert W.shape == (1000, 50) and W.dtype == np.float32 and W.std() == pytest.approx(0.01, rel=0.02)
        assert (cls.init(1000, 50, rng=0).params[0] == W).all() and (cls.init(1000, 50, rng=1).params[0] != W).any()
        assert not cls.init(4, 2, initializer=constant).params[0].any()
        assert cls.init(4, 2, dtype=np.float64).grads[0].dtype == np.float64

    @pytest.mark.parametrize("cls", LAYERS)
    def test_the_given_array_is_kept(self, cls):
        W = matrix()
        assert cls(W).params[0] is W

    @pytest.mark.parametrize("cls", LAYERS)
    def test_a_vector_is_no_table(self, cls):
        with refused(ValueError, f"{cls.__name__}: W … (V, D) … (7,)"):
            cls(np.ones(7))


class TestErrors:
    @pytest.mark.parametrize("cls", LAYERS)
    @pytest.mark.parametrize("bad", [7, -1, 10**12])
    def test_an_id_out_of_range(self, cls, bad):
        index = "(1,)" if cls is Embedding else "(1, 0)"
        with refused(ValueError, f"{cls.__name__}: ids … integers … 0..6 … {bad} at index {index}"):
            lookup(cls, cls(matrix()), np.array([0, bad, 2]))

    @pytest.mark.parametrize("cls", LAYERS)
    def test_ids_that_are_no_integers(self, cls):
        sentence = f"{cls.__name__}: ids … integers … 0..6 …"
        with refused(TypeError, f"{sentence} float64 ndarray … ids.astype(int)…"):
            lookup(cls, cls(matrix()), np.array([0.0, 1.0]))
        with refused(TypeError, f"{sentence} float64 ndarray … one-hot … ids.argmax(axis=-1)…"):
            lookup(cls, cls(matrix()), np.eye(7))
        with refused(TypeError, f"{sentence} text … Vocabulary.encode…"):
            lookup(cls, cls(matrix()), np.array(["one", "two"]))

    @pytest.mark.parametrize("cls", LAYERS)
    def test_a_size_that_is_none(self, cls):
        with refused(ValueError, f"{cls.__name__}: vocabulary … at least 1 … 0"):
            cls.init(0, 7)
        with refused(ValueError, f"{cls.__name__}: dimension … at least 1 … 0"):
            cls.init(7, 0)

    def test_rows_of_several_lengths(self):
        with refused(TypeError, "Embedding: ids … integers … 0..6 … a ragged list…"):
            Embedding(matrix()).forward([[1, 2], [3]])

    def test_no_ids(self):
        with refused(ValueError, "Embedding: ids … empty … shape (2, 0)"):
            Embedding(matrix()).forward(np.ones((2, 0), int))
        with refused(ValueError, "Embedding: ids … empty … shape (0,)"):
            Embedding(matrix()).forward([])

    def test_ids_for_other_samples(self):
        with refused(ValueError, "EmbeddingDot: ids … (2, K) … (3, 4)"):
            EmbeddingDot(matrix()).forward(draw(2, 3), np.ones((3, 4), int))
        with refused(ValueError, "EmbeddingDot: ids … (2, 4, K) … (2, 5, 6)"):
            EmbeddingDot(matrix()).forward(draw(2, 4, 3), np.ones((2, 5, 6), int))
        with refused(ValueError, "EmbeddingDot: h … (N, ..., 3) … (2, 4)"):
            EmbeddingDot(matrix()).forward(draw(2, 4), np.ones((2, 4), int))
