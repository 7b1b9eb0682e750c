"""Losses: values by hand, the edges of each formula, what counts as a target, and their errors."""
import math

import numpy as np
import pytest

from chainrule.layers import CosineLoss, HingeLoss, Huber, KLDivergence, NormLoss, SigmoidWithLoss, SoftmaxWithLoss, SquaredError
from tests.errors import refused

log, inf = math.log, np.inf
LABELLED = [SoftmaxWithLoss, HingeLoss]
NUMERIC = [SquaredError, lambda: NormLoss(1), lambda: NormLoss(2), lambda: NormLoss(inf), CosineLoss]
SHARES = [SigmoidWithLoss, KLDivergence]
IDS = ["SquaredError", "NormLoss(1)", "NormLoss(2)", "NormLoss(inf)", "CosineLoss", "SigmoidWithLoss", "KLDivergence"]


def check(loss, x, t, value, gradient):
    """The value, and the gradient for dL/dL = 1 and for another."""
    result = loss.forward(np.asarray(x, float), np.asarray(t))
    assert type(result) is float
    np.testing.assert_allclose(result, value, rtol=1e-14, atol=1e-300)
    np.testing.assert_allclose(loss.backward(), gradient, rtol=1e-14, atol=1e-300)
    np.testing.assert_allclose(loss.backward(-3.0), -3 * np.asarray(gradient), rtol=1e-14, atol=1e-300)


class TestSoftmaxWithLoss:
    x = np.log([[1.0, 2.0, 5.0], [1.0, 1.0, 2.0]])
    value = -(log(5 / 8) + log(1 / 4)) / 2
    gradient = [[1 / 16, 2 / 16, -3 / 16], [-3 / 8, 1 / 8, 1 / 4]]

    def test_labels(self):
        check(SoftmaxWithLoss(), self.x, [2, 0], self.value, self.gradient)

    @pytest.mark.parametrize("dtype", [int, float, bool, np.float32, np.uint8])
    def test_one_hot_rows_of_any_kind(self, dtype):
        loss, t = SoftmaxWithLoss(), np.array([[0, 0, 1], [1, 0, 0]], dtype)
        check(loss, self.x, t, self.value, self.gradient)
        loss.forward(self.x.astype(np.float32), t)
        assert loss.backward().dtype == np.float32

    def test_probabilities(self):
        value = -(log(1 / 8) + 3 * log(2 / 8) + 4 * log(5 / 8)) / 8 / 2 - log(1 / 4) / 2
        gradient = [[0, -1 / 16, 1 / 16], [-3 / 8, 1 / 8, 1 / 4]]
        check(SoftmaxWithLoss(), self.x, [[1 / 8, 3 / 8, 4 / 8], [1, 0, 0]], value, gradient)

    @pytest.mark.parametrize("dtype, size", [(float, 1e308), (np.float32, 3e38)])
    @pytest.mark.parametrize("reduction, value", [("mean", 0.0), ("none", [0.0])])
    def test_scores_further_apart_than_the_range(self, dtype, size, reduction, value):
        loss, x = SoftmaxWithLoss(reduction=reduction), np.array([[size, -size]], dtype)
        for t in (np.array([0]), np.array([[1.0, 0.0]])):
            np.testing.assert_array_equal(loss.forward(x, t), value)
            np.testing.assert_array_equal(loss.backward(), [[0, 0]])

    def test_rows_that_do_not_sum_to_1(self):
        value = -(2 * log(1 / 8) + log(2 / 8)) / 2
        check(SoftmaxWithLoss(), self.x, [[2.0, 1, 0], [0, 0, 0]], value, [[-13 / 16, -2 / 16, 15 / 16], [0, 0, 0]])

    def test_columns_in_memory(self):
        check(SoftmaxWithLoss(), np.asfortranarray(self.x), [2, 0], self.value, self.gradient)

    def test_leading_axes(self):
        x, gradient = self.x.reshape(1, 2, 1, 3), np.reshape(self.gradient, (1, 2, 1, 3))
        check(SoftmaxWithLoss(), x, [[[2], [0]]], self.value, gradient)
        check(SoftmaxWithLoss(), x, [[[[0, 0, 1]], [[1, 0, 0]]]], self.value, gradient)

    @pytest.mark.parametrize("label", [-1, 0, 2, 255])
    def test_ignored_rows_count_neither_in_the_sum_nor_in_the_mean(self, label):
        """Also where the label lies inside the range of the classes."""
        loss, x = SoftmaxWithLoss(ignore_label=label), np.insert(self.x, 1, 7.0, axis=0)
        t = [1, label, 1]
        value = -(log(2 / 8) + log(1 / 4)) / 2
        check(loss, x, t, value, [[1 / 16, -6 / 16, 5 / 16], [0, 0, 0], [1 / 8, -3 / 8, 1 / 4]])
        assert loss.count == 2

    def test_nothing_left(self):
        for loss, t in ((SoftmaxWithLoss(ignore_label=-1), [-1, -1]), (SoftmaxWithLoss(ignore_label=1), [1, 1])):
            check(loss, self.x, t, 0.0, np.zeros((2, 3)))
            assert loss.count == 0

    def test_one_sample(self):
        check(SoftmaxWithLoss(), self.x[:1], [2], -log(5 / 8), np.array([[1 / 8, 2 / 8, -3 / 8]]))

    @pytest.mark.parametrize("t", [[0, 0], [[0.0], [1.0]]])
    def test_one_column_is_for_another_loss(self, t):
        with refused(ValueError, "SoftmaxWithLoss: x … (2, 1) … SigmoidWithLoss()…"):
            SoftmaxWithLoss().forward(np.array([[7.0], [8.0]]), np.array(t))

    def test_the_number_of_rows_that_counted(self):
        loss = SoftmaxWithLoss()
        assert loss.count == 0
        loss.forward(self.x, np.array([0, 1]))
        assert loss.count == 2

    def test_a_label_to_ignore_that_does_not_occur(self):
        check(SoftmaxWithLoss(ignore_label=1), self.x, [2, 0], self.value, self.gradient)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_far_from_zero(self, dtype):
        loss, x = SoftmaxWithLoss(), np.array([[1e4, -1e4, 0], [1e4, -1e4, 0]], dtype)
        for t in (np.array([0, 1]), np.array([[1.0, 0, 0], [0, 1, 0]])):
            assert loss.forward(x, t) == 1e4
            np.testing.assert_array_equal(loss.backward(), [[0, 0, 0], [0.5, -0.5, 0]])

    @pytest.mark.parametrize("piece", [1, 7])
    def test_a_matrix_too_large_for_the_cache(self, piece, monkeypatch):
        x, t = np.random.default_rng(0).normal(scale=300.0, size=(5, 3)), np.array([0, 2, 1, 1, 0])
        for target in (t, np.eye(3)[t]):
            loss = SoftmaxWithLoss()
            value, gradient = loss.forward(x, target), loss.backward()
            monkeypatch.setattr("chainrule.common.engine.softmax.CACHE", piece * 8)
            check(SoftmaxWithLoss(), x, target, value, gradient)
            monkeypatch.undo()

    def test_a_label_that_is_ignored_elsewhere_is_refused_here(self):
        with refused(ValueError, "SoftmaxWithLoss: t … labels … 0..2 … -1 at index 1"):
            SoftmaxWithLoss().forward(self.x, np.array([0, -1]))
        with refused(ValueError, "SoftmaxWithLoss: t … labels … 0..2 … -2 at index 0"):
            SoftmaxWithLoss(ignore_label=-1).forward(self.x, np.array([-2, -1]))

    def test_negative_weights_are_refused(self):
        with refused(ValueError, "SoftmaxWithLoss: t … negative … -0.5"):
            SoftmaxWithLoss().forward(np.zeros((2, 2)), np.array([[1.5, -0.5], [0.0, 1.0]]))

    @pytest.mark.parametrize("loss", [SoftmaxWithLoss(), SoftmaxWithLoss(ignore_label=-1), HingeLoss()], ids=repr)
    def test_scores_of_many_places_for_one_label(self, loss):
        with refused(ValueError, f"{type(loss).__name__}: x … (2, C) … label … (2, 3, 5) … Flatten() … Mean(axis=1)…"):
            loss.forward(np.zeros((2, 3, 5)), np.zeros(2, int))

    @pytest.mark.parametrize("loss", [SoftmaxWithLoss(), HingeLoss()], ids=repr)
    def test_one_column_has_no_classes(self, loss):
        with refused(ValueError, f"{type(loss).__name__}: x … two classes or more … (2, 1) … SigmoidWithLoss()…"):
            loss.forward(np.ones((2, 1)), np.zeros(2, int))

    def test_labels_with_their_axes_swapped(self):
        with refused(ValueError, "SoftmaxWithLoss: t … label … (2, 3) … (3, 2) … t.T"):
            SoftmaxWithLoss().forward(np.zeros((2, 3, 5)), np.zeros((3, 2), int))

    def test_the_option_shows(self):
        assert repr(SoftmaxWithLoss()) == "SoftmaxWithLoss(ignore_label=None)"

    @pytest.mark.parametrize("label", ["pad", 0.5, True])
    def test_the_label_to_ignore_is_a_label(self, label):
        with refused(TypeError, f"SoftmaxWithLoss: ignore_label … whole number … {label!r}"):
            SoftmaxWithLoss(ignore_label=label)


class TestSigmoidWithLoss:
    def test_labels_and_shares(self):
        x = [[0.0, log(3), -log(3)]]
        check(SigmoidWithLoss(), x, [[1, 1, 1]], -(log(1 / 2) + log(3 / 4) + log(1 / 4)) / 3, [[-1 / 6, -1 / 12, -3 / 12]])
        check(SigmoidWithLoss(), x, [[0, False, 0]], -(log(1 / 2) + log(1 / 4) + log(3 / 4)) / 3, [[1 / 6, 3 / 12, 1 / 12]])
        value = -(log(1 / 2) + log(3 / 4) / 4 + 3 * log(1 / 4) / 4 + log(1 / 4)) / 3
        check(SigmoidWithLoss(), x, [[0.5, 0.25, 1.0]], value, [[0, 1 / 6, -3 / 12]])

    @pytest.mark.parametrize("shape", [(4,), (4, 1), (2, 2), (2, 1, 2)])
    def test_the_mean_is_over_all_elements_of_any_shape(self, shape):
        check(SigmoidWithLoss(), np.zeros(shape), np.ones(shape), log(2), np.full(shape, -1 / 8))

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_far_from_zero(self, dtype):
        loss = SigmoidWithLoss()
        assert loss.forward(np.array([[1e4, -1e4, 1e4, -1e4]], dtype), np.array([[1, 0, 0, 1]])) == 5e3
        np.testing.assert_array_equal(loss.backward(), [[0, 0, 0.25, -0.25]])

    def test_a_number_is_no_batch(self):
        with refused(ValueError, "SigmoidWithLoss: x … (N, ...) … ()"):
            SigmoidWithLoss().forward(np.array(0.5), np.array(1.0))

    @pytest.mark.parametrize("t, got", [([[0.0, 1.5]], "0.0 to 1.5"), ([[-0.5, 1.0]], "-0.5 to 1.0"), ([[0, 2]], "0.0 to 2.0")])
    def test_a_target_outside_0_to_1_is_refused(self, t, got):
        with refused(ValueError, f"SigmoidWithLoss: t … 0..1 … {got}"):
            SigmoidWithLoss().forward(np.zeros((1, 2)), np.array(t))

    @pytest.mark.parametrize("loss", [SigmoidWithLoss(), KLDivergence(), SoftmaxWithLoss()])
    def test_the_second_batch_is_checked_as_the_first(self, loss):
        x, t = np.full((1, 2), 0.5), np.full((1, 2), 0.5)
        loss.forward(x, t)
        with refused(ValueError, f"{type(loss).__name__}: t … -0.5"):
            loss.forward(x, -t)


def test_squared_error():
    check(SquaredError(), [[1, 2], [0, 0]], [[0, 4], [3, 0]], (1 + 4 + 9) / 2 / 2, [[0.5, -1], [-1.5, 0]])
    check(SquaredError(), [[[1.0, 2]], [[0, 0]]], [[[0, 4]], [[3, 0]]], (1 + 4 + 9) / 2 / 2, [[[0.5, -1]], [[-1.5, 0]]])
    check(SquaredError(), [[1.0]], [[1]], 0.0, [[0]])


class TestNormLoss:
    x, t = [[3, -4, 0], [1, 1, 1]], [[0, 0, 0], [1, 1, 1]]

    def test_1(self):
        check(NormLoss(1), self.x, self.t, 7 / 2, [[0.5, -0.5, 0], [0, 0, 0]])

    def test_2(self):
        check(NormLoss(2), self.x, self.t, 5 / 2, [[0.3, -0.4, 0], [0, 0, 0]])

    def test_inf(self):
        check(NormLoss(inf), self.x, self.t, 4 / 2, [[0, -0.5, 0], [0, 0, 0]])

    def test_ties_share(self):
        check(NormLoss(inf), [[2, -2, 1, 2]], [[0, 0, 0, 0]], 2.0, [[1 / 3, -1 / 3, 0, 1 / 3]])

    @pytest.mark.parametrize("p, row", [(1, [2, 0]), (2, [2, 0]), (inf, [2, 0])])
    def test_leading_axes(self, p, row):
        check(NormLoss(p), [[row, [0, 0]], [[0, 0], row]], np.zeros((2, 2, 2)), 1.0,
              [[[0.25, 0], [0, 0]], [[0, 0], [0.25, 0]]])

    @pytest.mark.parametrize("p", [3, 0, -inf, None, "2", np.nan])
    def test_another_p_is_refused(self, p):
        with refused(ValueError, f"NormLoss: p … 1 … 2 … np.inf … {p!r}"):
            NormLoss(p)
        assert [repr(NormLoss(p)) for p in (1, 2, inf)] == ["NormLoss(p=1)", "NormLoss(p=2)", "NormLoss(p=inf)"]


class TestHingeLoss:
    def test_by_hand(self):
        check(HingeLoss(), [[1, 0.5, -3], [0, 2, 1.5]], [0, 2], (0.5 + 1.5) / 2, [[-0.5, 0.5, 0], [0, 0.5, -0.5]])
        check(HingeLoss(), [[0.0, 0, 0]], [1], 2.0, [[1, -2, 1]])
        check(HingeLoss(margin=2), [[1, 0.5, -3]], [0], 1.5, [[-1, 1, 0]])

    def test_exactly_at_the_margin_nothing_is_violated(self):
        check(HingeLoss(), [[1, 0, 2]], [2], 0.0, [[0, 0, 0]])
        check(HingeLoss(), [[1, 1.5, 2]], [2], 0.5, [[0, 1, -1]])

    def test_without_margin_equal_scores_are_no_violation(self):
        check(HingeLoss(margin=0), [[1, 1, 2]], [0], 1.0, [[-1, 0, 1]])

    def test_leading_axes(self):
        check(HingeLoss(), [[[1, 0.5, -3]], [[0, 2, 1.5]]], [[0], [2]], (0.5 + 1.5) / 2, [[[-0.5, 0.5, 0]], [[0, 0.5, -0.5]]])

    def test_a_margin_is_no_negative_number(self):
        with refused(ValueError, "HingeLoss: margin … at least 0 … -1"):
            HingeLoss(margin=-1)
        with refused(TypeError, "HingeLoss: margin … at least 0 … 'wide'"):
            HingeLoss(margin="wide")
        assert repr(HingeLoss()) == "HingeLoss(margin=1.0)"


class TestKLDivergence:
    def test_by_hand(self):
        check(KLDivergence(), [[0.25, 0.75], [0.5, 0.5]], [[0.5, 0.5], [0.5, 0.5]], log(4 / 3) / 4, [[-1, -1 / 3], [-0.5, -0.5]])

    def test_it_is_0_where_both_agree(self):
        check(KLDivergence(), [[0.25, 0.75]], [[0.25, 0.75]], 0.0, [[-1, -1]])

    def test_a_true_probability_of_0_adds_nothing(self):
        check(KLDivergence(), [[0.25, 0.75]], [[0, 1]], -log(0.75), [[0, -4 / 3]])
        check(KLDivergence(), [[0.0, 1.0]], [[0, 1]], 0.0, [[0, -1]])

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_a_predicted_probability_of_0_stays_finite(self, dtype):
        loss, tiny = KLDivergence(), float(np.finfo(dtype).tiny)
        assert loss.forward(np.array([[0, 1]], dtype), np.array([[1, 0]])) == pytest.approx(-log(tiny), rel=1e-6)
        np.testing.assert_allclose(loss.backward(), [[-1 / tiny, 0]], rtol=1e-6)

    def test_leading_axes(self):
        gradient = [[[-1, -1 / 3]], [[-0.5, -0.5]]]
        check(KLDivergence(), [[[0.25, 0.75]], [[0.5, 0.5]]], np.full((2, 1, 2), 0.5), log(4 / 3) / 4, gradient)

    def test_negative_entries_are_refused(self):
        good, bad = np.array([[0.5, 0.5]]), np.array([[1.5, -0.5]])
        with refused(ValueError, "KLDivergence: x … -0.5 … Softmax()…"):
            KLDivergence().forward(bad, good)
        with refused(ValueError, "KLDivergence: t … -0.5"):
            KLDivergence().forward(good, bad)


class TestCosineLoss:
    def test_by_hand(self):
        check(CosineLoss(), [[3, 4], [0, 2]], [[1, 0], [0, 5]], (1 - 0.6 + 0) / 2, [[-0.064, 0.048], [0, 0]])
        check(CosineLoss(), [[3, 4]], [[-3, -4]], 2.0, [[0, 0]])

    def test_lengths_do_not_matter(self):
        x, t = np.array([[3.0, 4.0]]), np.array([[1.0, 0.0]])
        loss = CosineLoss()
        assert loss.forward(x, t) == pytest.approx(0.4, rel=1e-14)
        assert loss.forward(1e4 * x, 1e-4 * t) == pytest.approx(0.4, rel=1e-14)
        np.testing.assert_allclose(loss.backward(), [[-12.8e-6, 9.6e-6]], rtol=1e-12)

    def test_a_vector_of_zeros_has_no_direction(self):
        check(CosineLoss(), [[0, 0], [3, 4]], [[1, 0], [1, 0]], (1 + 0.4) / 2, [[0, 0], [-0.064, 0.048]])
        check(CosineLoss(), [[3, 4], [0, 0]], [[0, 0], [0, 0]], 1.0, [[0, 0], [0, 0]])

    def test_leading_axes(self):
        check(CosineLoss(), [[[3, 4]], [[0, 2]]], [[[1, 0]], [[0, 5]]], 0.2, [[[-0.064, 0.048]], [[0, 0]]])


@pytest.mark.parametrize("loss", LABELLED)
class TestLabels:
    x = np.zeros((5, 3))

    def refuses(self, loss, error, message, t, x=None):
        with refused(error, f"{loss.__name__}: {message}"):
            loss().forward(self.x if x is None else x, t)

    @pytest.mark.parametrize("bad, at", [(-1, 3), (3, 0), (99, 4)])
    def test_outside_the_classes(self, loss, bad, at):
        t = np.zeros(5, int)
        t[at] = bad
        self.refuses(loss, ValueError, f"t … labels … 0..2 … {bad} at index {at}", t)
        self.refuses(loss, ValueError, f"t … labels … 0..2 … {bad} at index {(at, 0)}", t[:, None], self.x[:, None])

    @pytest.mark.parametrize("dtype", [float, bool])
    def test_no_integers(self, loss, dtype):
        self.refuses(loss, TypeError, f"t … integer … labels … {np.dtype(dtype)} … t.astype(int)…",
                     np.zeros(5, dtype))

    @pytest.mark.parametrize("t, got", [
        (None, "NoneType"), (list("abcde"), "<U1 … np.unique(t, return_inverse=True)[1]…"),
        ([[0], [1, 2]], "a ragged list")])
    def test_no_numbers(self, loss, t, got):
        self.refuses(loss, TypeError, f"t … integer … labels … {got}", t)

    def test_a_column_against_a_vector(self, loss):
        self.refuses(loss, ValueError, "t … label … (5,) … (5, 1) … (5,)", np.zeros((5, 1), int))

    @pytest.mark.parametrize("length", [1, 4, 6])
    def test_another_length(self, loss, length):
        t = np.zeros(length, int)
        self.refuses(loss, ValueError, f"t … label … (5,) … {t.shape}", t)

    def test_rows_of_x_have_two_axes_or_more(self, loss):
        self.refuses(loss, ValueError, "x … (N, ..., C) … (3,)", np.array(0), np.zeros(3))

    def test_rows_of_another_width(self, loss):
        self.refuses(loss, ValueError, "t … label … (5,) … (5, 4)", np.zeros((5, 4), int))


@pytest.mark.parametrize("make", [*NUMERIC, *SHARES], ids=IDS)
class TestTargets:
    x = np.full((5, 3), 0.5)

    @pytest.mark.parametrize("shape", [(5,), (3,), (4, 3), (6, 3), (1, 3), (5, 1), (3, 5), (5, 3, 1), ()])
    def test_another_shape_is_refused_never_broadcast(self, make, shape):
        loss = make()
        with refused(ValueError, f"{type(loss).__name__}: t … (5, 3) … {shape}…"):
            loss.forward(self.x, np.full(shape, 0.5))

    def test_a_vector_against_a_column(self, make):
        loss = make()
        with refused(ValueError, f"{type(loss).__name__}: t … (5, 1) … (5,)…"):
            loss.forward(self.x[:, :1], self.x[:, 0])

    def test_they_are_cast_to_x(self, make):
        loss, x = make(), self.x.astype(np.float32)
        for t in (self.x, np.ones((5, 3), int), [[1, 0, 0]] * 5):
            assert type(loss.forward(x, t)) is float and loss.backward().dtype == np.float32

    def test_what_is_no_number_is_refused(self, make):
        loss = make()
        with refused(TypeError, f"{type(loss).__name__}: t … array … NoneType"):
            loss.forward(self.x, None)


@pytest.mark.parametrize("make, pattern", [
    (SquaredError, "(N, ..., D)"), (lambda: NormLoss(2), "(N, ..., D)"), (CosineLoss, "(N, ..., D)"),
    (KLDivergence, "(N, ..., C)")])
def test_rows_of_x_have_two_axes_or_more(make, pattern):
    with refused(ValueError, f"{type(make()).__name__}: x … {pattern} … (3,)"):
        make().forward(np.ones(3), np.ones(3))


@pytest.mark.parametrize("make", [*LABELLED, *NUMERIC, *SHARES], ids=["SoftmaxWithLoss", "HingeLoss", *IDS])
class TestUpstream:
    def loss(self, make):
        loss, x = make(), np.array([[0.2, 0.8]], np.float32)
        loss.forward(x, np.array([0]) if make in LABELLED else x[:, ::-1])
        return loss

    @pytest.mark.parametrize("dout", [2, 2.0, np.float64(2), np.array(2.0)])
    def test_any_number_scales_the_gradient_in_its_dtype(self, make, dout):
        loss = self.loss(make)
        dx = loss.backward(dout)
        assert dx.dtype == np.float32 and dx.any()
        np.testing.assert_allclose(dx, 2 * loss.backward(), rtol=1e-6)

    def test_what_is_not_one_number_is_refused(self, make):
        loss = self.loss(make)
        for dout in (np.ones(1), np.inf):
            with refused(ValueError, f"{type(loss).__name__}: dout … finite … {dout!r}"):
                loss.backward(dout)
        with refused(TypeError, f"{type(loss).__name__}: dout … finite … 'up'"):
            loss.backward("up")


EVERY = [SoftmaxWithLoss, HingeLoss, *NUMERIC, Huber, *SHARES]
EVERY_ID = ["SoftmaxWithLoss", "HingeLoss", *IDS[:5], "Huber", *IDS[5:]]


def problem(make, lead=(4,), seed=0):
    """Scores or probabilities x (*lead, 3), and targets."""
    rng = np.random.default_rng(seed)
    x, t = rng.random((*lead, 3)) + 0.1, rng.random((*lead, 3))
    x /= x.sum(axis=-1, keepdims=True)
    return x, rng.integers(0, 3, lead) if make in LABELLED else t / t.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("lead", [(4,), (2, 3)])
@pytest.mark.parametrize("make", EVERY, ids=EVERY_ID)
class TestReduction:
    def run(self, make, lead, reduction, weight=None, dout=None):
        loss, (x, t) = make(), problem(make, lead)
        loss.reduction = reduction
        value = loss.forward(x, t) if weight is None else loss.forward(x, t, weight)
        return value, loss.backward() if dout is None else loss.backward(dout), loss.count

    def test_mean_and_sum_of_the_single_losses(self, make, lead):
        each, slopes, count = self.run(make, lead, "none")
        assert each.shape == (*lead, 3) if make is SigmoidWithLoss else each.shape == lead
        for reduction, n in ("sum", 1), ("mean", each.size):
            value, dx, same = self.run(make, lead, reduction)
            assert type(value) is float and same == count == each.size
            np.testing.assert_allclose(value, each.sum() / n, rtol=1e-13)
            np.testing.assert_allclose(dx, slopes / n, rtol=1e-13)

    def test_each_row_counts_by_its_weight(self, make, lead):
        each, slopes, _ = self.run(make, lead, "none")
        weight = np.random.default_rng(5).integers(0, 3, lead).astype(float)
        weight.flat[0] = 2
        w = np.broadcast_to(weight[..., None], each.shape) if each.ndim > len(lead) else weight
        for reduction, total in ("none", None), ("sum", 1), ("mean", w.sum()):
            value, dx, count = self.run(make, lead, reduction, weight)
            np.testing.assert_allclose(value, w * each if total is None else (w * each).sum() / total, rtol=1e-13)
            np.testing.assert_allclose(dx, weight[..., None] * slopes / (total or 1), rtol=1e-13)
            assert count == w.sum()

    def test_a_gradient_for_each_loss(self, make, lead):
        each, slopes, _ = self.run(make, lead, "none")
        dout = np.random.default_rng(6).standard_normal(each.shape)
        _, dx, _ = self.run(make, lead, "none", dout=dout)
        np.testing.assert_allclose(dx, slopes * (dout if each.ndim > len(lead) else dout[..., None]), rtol=1e-13)

    def test_nothing_left(self, make, lead):
        value, dx, count = self.run(make, lead, "mean", np.zeros(lead))
        assert value == 0 == count and not dx.any()

    @pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
    def test_a_row_of_weight_0_may_hold_anything(self, make, lead, reduction):
        first, weight = (0,) * len(lead), np.ones(lead)
        weight[first] = 0
        right = self.run(make, lead, reduction, weight)
        for anything in np.nan, np.inf:
            loss, (x, t) = make(), problem(make, lead)
            loss.reduction, x[first] = reduction, anything
            value = loss.forward(x, t, weight)
            np.testing.assert_array_equal(value, right[0])
            np.testing.assert_array_equal(loss.backward(), right[1])

    def test_in_float32(self, make, lead):
        loss, (x, t) = make(), problem(make, lead)
        x, t = x.astype(np.float32), t if make in LABELLED else t.astype(np.float32)
        for reduction in "mean", "sum", "none":
            loss.reduction = reduction
            y = loss.forward(x, t, np.full(lead, 0.5))
            assert reduction != "none" or y.dtype == np.float32
            assert loss.backward().dtype == np.float32

    def test_weights_that_are_none(self, make, lead):
        loss, (x, t) = make(), problem(make, lead)
        who = type(loss).__name__
        with refused(ValueError, f"{who}: weight … ({lead[0]} … (7,)…"):
            loss.forward(x, t, np.ones(7))
        with refused(ValueError, f"{who}: weight … negative … -1.0"):
            loss.forward(x, t, np.full(lead, -1.0))
        with refused(TypeError, f"{who}: weight … array of floats … str…"):
            loss.forward(x, t, "heavy")


def test_an_ignored_row_counts_for_nothing_whatever_its_weight():
    loss, x = SoftmaxWithLoss(ignore_label=-1), np.zeros((3, 2))
    value = loss.forward(x, np.array([0, -1, 1]), np.array([1.0, 5.0, 3.0]))
    assert loss.count == 4 and value == pytest.approx(log(2))
    np.testing.assert_allclose(loss.backward(), [[-1 / 8, 1 / 8], [0, 0], [3 / 8, -3 / 8]])


def test_an_ignored_row_may_hold_anything():
    loss = SoftmaxWithLoss(ignore_label=-1)
    assert loss.forward(np.array([[0.0, 0.0], [np.nan, np.inf]]), np.array([0, -1])) == pytest.approx(log(2))
    np.testing.assert_array_equal(loss.backward(), [[-0.5, 0.5], [0, 0]])


def test_another_reduction_is_refused():
    with refused(ValueError, "Huber: reduction … 'mean' … 'sum' … 'none' … 'average'"):
        Huber(reduction="average")
    assert repr(Huber(reduction="sum")) == "Huber(delta=1.0, reduction='sum')" and repr(Huber()) == "Huber(delta=1.0)"


class TestHuber:
    def test_by_hand(self):
        check(Huber(), [[0.5, 3, -3], [0, 1, 0]], [[0, 0, 0], [0, 0, 0]], (0.125 + 2.5 + 2.5 + 0.5) / 2,
              [[0.25, 0.5, -0.5], [0, 0.5, 0]])
        check(Huber(delta=2), [[0.5, 3, -3]], [[0, 0, 0]], 0.125 + 4 + 4, [[0.5, 2, -2]])

    def test_delta_is_a_positive_number(self):
        for delta in (0, -1):
            with refused(ValueError, f"Huber: delta … positive … {delta}"):
                Huber(delta=delta)
