"""MatMul: by hand, every way of broadcasting, and its errors."""
import numpy as np
import pytest

from chainrule.common.initializers import constant
from chainrule.layers import Add, Affine, Divide, MatMul, Maximum, Multiply, Power
from tests.errors import refused


def test_two_inputs_by_hand():
    node = MatMul()
    np.testing.assert_array_equal(node.forward(np.array([[1.0, 2.0]]), np.array([[3.0, 5.0], [4.0, 6.0]])), [[11, 17]])
    da, db = node.backward(np.array([[10.0, 1.0]]))
    np.testing.assert_array_equal(da, [[35, 46]])
    np.testing.assert_array_equal(db, [[10, 1], [20, 2]])


def test_held_weights_are_an_affine_without_bias():
    W = np.arange(6.0).reshape(2, 3)
    rng = np.random.default_rng(0)
    x, dout = rng.standard_normal((4, 5, 2)), rng.standard_normal((4, 5, 3))
    node, affine = MatMul(W), Affine(W, None)
    assert node.params[0] is W and node.names == ("W",)
    np.testing.assert_allclose(node.forward(x), affine.forward(x), rtol=1e-14)
    np.testing.assert_allclose(node.backward(dout), affine.backward(dout), rtol=1e-14)
    np.testing.assert_allclose(node.grads[0], affine.grads[0], rtol=1e-14)
    node.input_gradient = False
    assert node.backward(2 * dout) is None
    np.testing.assert_allclose(node.grads[0], 2 * affine.grads[0], rtol=1e-14)


@pytest.mark.parametrize("lead_a, lead_b", [
    ((), ()), ((5,), (5,)), ((5,), ()), ((), (5,)), ((5,), (1,)), ((1,), (5,)), ((1,), ()),
    ((4, 1), (5,)), ((4, 5), (5,)), ((1, 5), (4, 1))])
def test_an_input_that_was_broadcast_collects_the_gradient_of_each_use(lead_a, lead_b):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((*lead_a, 2, 3)), rng.standard_normal((*lead_b, 3, 4))
    node = MatMul()
    y = node.forward(a, b)
    np.testing.assert_allclose(y, a @ b, rtol=1e-14)
    dout = rng.standard_normal(y.shape)
    da, db = node.backward(dout)
    assert da.shape == a.shape and db.shape == b.shape
    # y is linear in a and in b, so <da, a> = <dout, y> = <db, b>, and the same for any other a or b.
    other_a, other_b = rng.standard_normal(a.shape), rng.standard_normal(b.shape)
    np.testing.assert_allclose(np.vdot(da, other_a), np.vdot(dout, other_a @ b), rtol=1e-12)
    np.testing.assert_allclose(np.vdot(db, other_b), np.vdot(dout, a @ other_b), rtol=1e-12)


def test_each_input_keeps_its_dtype():
    node = MatMul()
    y = node.forward(np.ones((2, 3), np.float32), np.ones((3, 4)))
    da, db = node.backward(y)
    assert (y.dtype, da.dtype, db.dtype) == (np.float64, np.float32, np.float64)
    y = node.forward(np.ones((2, 3)), np.ones((3, 4), np.float32))
    da, db = node.backward(y)
    assert (y.dtype, da.dtype, db.dtype) == (np.float64, np.float64, np.float32)


def test_init():
    node = MatMul.init(200, 300, rng=0)
    W, = node.params
    assert W.shape == (200, 300) and W.dtype == np.float32 and W.std() == pytest.approx(0.1, rel=0.02)
    assert (MatMul.init(200, 300, rng=0).params[0] == W).all()
    assert MatMul.init(2, 3, dtype=np.float64, initializer=constant).params[0].tolist() == [[0, 0, 0]] * 2
    assert MatMul.init(2, 3, dtype=np.float64).params[0].dtype == np.float64


class TestErrors:
    def test_one_input_or_two(self):
        with refused(TypeError, "MatMul: … two inputs … one … MatMul(W)…"):
            MatMul().forward(np.ones((2, 3)))
        with refused(TypeError, "MatMul: … one input … two … MatMul()…"):
            MatMul(np.ones((3, 4))).forward(np.ones((2, 3)), np.ones((3, 4)))

    @pytest.mark.parametrize("a, b, message", [
        ((3,), (3, 4), "a … (..., N, K) … (3,)"), ((2, 3), (3,), "b … (..., 3, M) … (3,)"),
        ((2, 3), (2, 3), "b … (..., 3, M) … (2, 3)"),
        ((5, 2, 3), (4, 3, 2), "… a and b … (5, 2, 3) and (4, 3, 2)")])
    def test_shapes(self, a, b, message):
        with refused(ValueError, f"MatMul: {message}"):
            MatMul().forward(np.ones(a), np.ones(b))

    def test_after_a_forward_that_was_refused_the_one_before_counts(self):
        node, a, b = MatMul(), np.ones((2, 3)), np.ones((3, 4))
        node.forward(a, b)
        with pytest.raises(ValueError):
            node.forward(np.ones((5, 2, 3)), np.ones((4, 3, 2)))
        assert [d.shape for d in node.backward(np.ones((2, 4)))] == [(2, 3), (3, 4)]

    def test_W(self):
        with refused(ValueError, "MatMul: W … (K, M) … (3,)"):
            MatMul(np.ones(3))
        with refused(TypeError, "MatMul: W … NumPy … array … list … MatMul.init(...)…"):
            MatMul([[1.0]])
        with refused(ValueError, "MatMul: x … (N, ..., 3) … (2, 4)"):
            MatMul(np.ones((3, 2))).forward(np.ones((2, 4)))

    def test_dout(self):
        node = MatMul()
        node.forward(np.ones((5, 2, 3)), np.ones((3, 4)))
        with refused(ValueError, "MatMul: dout … (5, 2, 4) … (2, 4)"):
            node.backward(np.ones((2, 4)))


@pytest.mark.parametrize("node", [Add, Multiply, Divide, Maximum, Power])
def test_the_gradients_of_arithmetic_have_their_inputs_dtypes(node):
    node, a, b = node(), np.full((2, 3), 2, np.float32), np.full(3, 3.0)
    y = node.forward(a, b)
    da, db = node.backward(y)
    assert (y.dtype, da.dtype, db.dtype) == (np.float64, np.float32, np.float64)
