"""L1 and L2: what they add to the loss and to the gradients."""
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.common.regularizers import L1, L2
from tests.errors import refused

W = np.array([[1.0, -2.0], [0.0, 3.0]])
PENALTIES = [L1, L2]


def test_l2_by_hand():
    dW = np.array([[1.0, 1.0], [1.0, 1.0]])
    assert L2(0.1).loss([W]) == pytest.approx(0.1 / 2 * 14)
    L2(0.1).add_gradients([W], [dW])
    np.testing.assert_allclose(dW, [[1.1, 0.8], [1.0, 1.3]])


def test_l1_by_hand():
    dW = np.array([[1.0, 1.0], [1.0, 1.0]])
    assert L1(0.1).loss([W]) == pytest.approx(0.1 * 6)
    L1(0.1).add_gradients([W], [dW])
    np.testing.assert_allclose(dW, [[1.1, 0.9], [1.0, 1.1]])


@pytest.mark.parametrize("penalty", PENALTIES)
class TestBoth:
    def test_biases_and_scales_are_left_out(self, penalty):
        b, db = np.array([5.0, 5.0]), np.array([1.0, 2.0])
        scalar, dscalar = np.array(5.0), np.array(1.0)
        assert penalty(0.3).loss([b, scalar]) == 0.0
        assert isinstance(penalty(0.3).loss([]), float)
        penalty(0.3).add_gradients([b, scalar], [db, dscalar])
        np.testing.assert_array_equal(db, [1.0, 2.0])
        assert dscalar == 1.0

    def test_all_weights_count_of_any_number_of_axes(self, penalty):
        s = penalty(0.3)
        deep = np.arange(16.0).reshape(2, 2, 2, 2)
        assert s.loss([W, np.ones(3), deep]) == pytest.approx(s.loss([W]) + s.loss([deep.reshape(4, 4)]))
        grads = [np.zeros_like(W), np.zeros(3), np.zeros_like(deep)]
        s.add_gradients([W, np.ones(3), deep], grads)
        assert grads[2].any()

    def test_gradient_is_the_slope_of_the_loss(self, penalty):
        s, grad, eps = penalty(0.7), np.zeros((2, 3)), 1e-6
        V = np.array([[0.5, -1.5, 2.0], [3.0, -0.25, 1.0]])
        s.add_gradients([V], [grad])
        for i in np.ndindex(V.shape):
            step = np.zeros_like(V)
            step[i] = eps
            assert grad[i] == pytest.approx((s.loss([V + step]) - s.loss([V - step])) / (2 * eps), rel=1e-6)

    def test_gradients_are_changed_in_place_and_weights_not_at_all(self, penalty):
        V, dV = W.astype(np.float32), np.ones((2, 2), np.float32)
        grads = [dV]
        loss = penalty(np.float64(0.3)).loss([V])
        penalty(np.float64(0.3)).add_gradients([V], grads)
        assert grads[0] is dV
        assert dV.dtype == np.float32
        assert not np.array_equal(dV, np.ones((2, 2)))
        np.testing.assert_array_equal(V, W)
        assert type(loss) is float

    def test_an_upstream_gradient_is_a_factor(self, penalty):
        once, thrice = np.zeros((2, 2)), np.zeros((2, 2))
        penalty(0.3).add_gradients([W], [once])
        penalty(0.3).add_gradients([W], [thrice], dout=3.0)
        np.testing.assert_allclose(thrice, 3 * once)

    def test_zero_strength_changes_nothing(self, penalty):
        dW = np.ones((2, 2))
        assert penalty(0).loss([W]) == 0.0
        penalty(0).add_gradients([W], [dW])
        np.testing.assert_array_equal(dW, np.ones((2, 2)))

    def test_a_transposed_weight_counts_the_same(self, penalty):
        V = np.arange(-3.0, 3.0).reshape(2, 3)
        assert penalty(0.3).loss([V.T]) == pytest.approx(penalty(0.3).loss([V]))

    def test_float32_sums_keep_their_digits(self, penalty):
        V = np.full((2000, 500), 0.1, np.float32)
        v = float(V[0, 0])
        exact = V.size * (v if penalty is L1 else v * v / 2)
        assert penalty(1.0).loss([V]) == pytest.approx(exact, rel=2e-6)

    def test_lists_must_pair(self, penalty):
        with pytest.raises(ValueError):
            penalty(0.3).add_gradients([W, W], [np.zeros_like(W)])

    @pytest.mark.parametrize("lam", [-0.1, math.nan, math.inf])
    def test_strength_is_finite_and_not_negative(self, penalty, lam):
        with refused(ValueError, f"{penalty.__name__}: lam … finite … 0 … {lam}"):
            penalty(lam)

    def test_strength_is_a_number(self, penalty):
        with refused(TypeError, f"{penalty.__name__}: lam … finite…"):
            penalty("strong")

    def test_repr_says_how_to_make_it(self, penalty):
        assert repr(penalty(1e-4)) == f"{penalty.__name__}(lam=0.0001)"


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.floats(0, 10), st.floats(0, 10))
def test_loss_is_linear_in_the_strength(a, b):
    for penalty in PENALTIES:
        assert penalty(a + b).loss([W]) == pytest.approx(penalty(a).loss([W]) + penalty(b).loss([W]))
