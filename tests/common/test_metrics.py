"""Metrics against values computed by hand, and the laws they keep."""
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.common.metrics import (
    accuracy,
    confusion_matrix,
    f1,
    mean_absolute_error,
    perplexity,
    precision,
    r2,
    recall,
    roc_auc,
    top_k_accuracy,
)
from tests.errors import refused

Y = np.array([[0.1, 0.7, 0.2],      # rows ranked 1 2 0 | 0 1 2 | 2 0 1 | 0 2 1
              [0.5, 0.3, 0.2],
              [0.4, 0.1, 0.5],
              [0.6, 0.1, 0.3]])
T = np.array([1, 1, 1, 2])
samples = st.lists(st.tuples(*[st.integers(-3, 3)] * 3, st.integers(0, 2)), min_size=1, max_size=9)
law = settings(derandomize=True, deadline=None, max_examples=50)


of_classes = pytest.mark.parametrize("metric", [accuracy, perplexity, confusion_matrix,
                                                lambda y, t: top_k_accuracy(y, t, k=2)],
                                     ids=["accuracy", "perplexity", "confusion_matrix", "top_k_accuracy"])


class TestAccuracy:
    def test_by_hand(self):
        assert accuracy(Y, T) == 0.25
        assert accuracy(Y, np.array([1, 0, 2, 1])) == 0.75
        assert type(accuracy(Y, T)) is float

    def test_ignored_positions_do_not_count(self):
        assert accuracy(Y, np.array([1, -1, -1, 2]), ignore_label=-1) == 0.5
        assert accuracy(Y, np.array([1, 0, 0, 2]), ignore_label=0) == 0.5

    def test_a_single_column_is_a_binary_logit(self):
        y = np.array([[2.0], [-1.0], [0.5], [0.0]])
        assert accuracy(y, np.array([[1], [0], [0], [1]])) == 0.5
        assert accuracy(y, np.array([[1.0], [0.0], [1.0], [0.0]])) == 1.0


class TestTopK:
    def test_by_hand(self):
        assert [top_k_accuracy(Y, T, k=k) for k in (1, 2, 3)] == [0.25, 0.75, 1.0]

    def test_five_is_the_default(self):
        y = np.tile(np.arange(10.0), (10, 1))
        assert top_k_accuracy(y, np.arange(10)) == 0.5

    def test_a_model_that_says_nothing_earns_nothing(self):
        assert top_k_accuracy(np.zeros((4, 4)), np.arange(4), k=2) == 0.5
        assert top_k_accuracy(np.full((4, 4), np.nan), np.arange(4), k=2) == 0.0

    @pytest.mark.parametrize("k, error, expected", [(0, ValueError, "at least 1"),
                                                    (4, ValueError, "at most … 3"),
                                                    (2.0, TypeError, "whole number")])
    def test_k_is_a_whole_number_up_to_the_classes(self, k, error, expected):
        with refused(error, f"top_k_accuracy: k … {expected} … {k}"):
            top_k_accuracy(Y, T, k=k)


class TestConfusionMatrix:
    def test_rows_are_true_and_columns_predicted(self):
        matrix = confusion_matrix(Y, T)
        np.testing.assert_array_equal(matrix, [[0, 0, 0], [1, 1, 1], [1, 0, 0]])
        assert matrix.dtype == np.int64

    def test_classes_that_do_not_occur_have_their_row_and_column(self):
        matrix = confusion_matrix(np.eye(3)[[0]], [0])
        np.testing.assert_array_equal(matrix, [[1, 0, 0], [0, 0, 0], [0, 0, 0]])

    def test_binary_logits_make_two_classes(self):
        matrix = confusion_matrix([[1.0], [2.0], [-1.0]], [[1], [0], [0]])
        np.testing.assert_array_equal(matrix, [[1, 1], [0, 1]])


class TestRocAuc:
    @pytest.mark.parametrize("scores, t, area", [
        ([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], 3 / 4),
        ([1.0, 2.0], [0, 1], 1.0),
        ([1.0, 2.0], [1, 0], 0.0),
        ([1.0, 1.0], [1, 0], 0.5),
        ([1.0, 1.0, 1.0, 2.0, 0.0], [1, 0, 0, 1, 0], (1 + 0.5 + 0.5 + 3) / 6),
        ([-1e4, 1e4, 0.0], [0, 1, 1], 1.0),
    ])
    def test_by_hand(self, scores, t, area):
        assert roc_auc(scores, t) == pytest.approx(area)
        assert type(roc_auc(scores, t)) is float

    def test_columns_and_float_labels_are_fine(self):
        assert roc_auc([[0.1], [0.4], [0.35], [0.8]], [[0.0], [0.0], [1.0], [1.0]]) == 0.75

    @pytest.mark.parametrize("scores, t, message", [
        ([0.1, 0.2], [1, 1], "roc_auc: t … 0 … 1 … [1]"),
        ([0.1, 0.2], [1, 2], "roc_auc: t … 0 … 1 … [1, 2]"),
        ([0.1, 0.2], [0.5, 1.0], "roc_auc: t … 0 … 1 … [0.5, 1.0]"),
        ([0.1, 0.2, 0.3], [-1, 0, 1], "roc_auc: t … 0 … 1 … [-1, 0, 1]"),
        ([[0.1], [0.2]], [0, 1], "roc_auc: t … (2, 1) … (2,)"),
        ([0.1, 0.2, 0.3], [0, 1], "roc_auc: t … (3,) … (2,)"),
        ([0.1, np.nan], [0, 1], "roc_auc: scores … finite … nan at index (1,)"),
        (np.zeros(0), [], "roc_auc: scores … empty"),
    ])
    def test_errors(self, scores, t, message):
        with refused(ValueError, f"{message}…"):
            roc_auc(scores, t)

    @law
    @given(st.lists(st.tuples(st.integers(-9, 9), st.booleans())), st.randoms(use_true_random=False))
    def test_laws(self, pairs, random):
        pairs += [(0, True), (0, False)]
        s, t = np.array(pairs, float).T
        area = roc_auc(s, t)
        assert roc_auc(1 - s, t) == pytest.approx(1 - area)           # the order turned round
        assert roc_auc(s, 1 - t) == pytest.approx(1 - area)           # the classes exchanged
        assert roc_auc(3 * s**3 + s, t) == pytest.approx(area)        # only the order counts
        random.shuffle(pairs)
        assert roc_auc(*np.array(pairs, float).T) == pytest.approx(area)
        duels = [[(a > b) + (a == b) / 2 for b in s[t == 0]] for a in s[t == 1]]
        assert area == pytest.approx(np.mean(duels))


class TestPerplexity:
    def test_by_hand(self):
        assert perplexity(np.zeros((2, 7)), [3, 6]) == pytest.approx(7)
        y = np.log([[0.5, 0.25, 0.25], [0.125, 0.125, 0.75]])
        assert perplexity(y, [0, 1]) == pytest.approx(4.0)            # the geometric mean of 2 and 8
        assert type(perplexity(y, [0, 1])) is float

    def test_logits_may_be_shifted(self):
        assert perplexity(Y + 100, T) == pytest.approx(perplexity(Y, T))

    def test_probability_targets(self):
        p = np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
        y = np.log([[0.5, 0.25, 0.25], [0.25, 0.25, 0.5]])
        assert perplexity(y, p) == pytest.approx(2 ** ((0.5 + 1 + 1) / 2))

    def test_ignored_positions_do_not_count(self):
        assert perplexity(Y, [1, 9, 9, 2], ignore_label=9) == pytest.approx(perplexity(Y[[0, 3]], [1, 2]))

    def test_binary_logits(self):
        assert perplexity([[math.log(3)]], [[1]]) == pytest.approx(4 / 3)
        assert perplexity([[math.log(3)]], [[0]]) == pytest.approx(4)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_safe_at_large_logits(self, dtype):
        y = np.array([[1e4, -1e4, 0.0]], dtype)
        assert perplexity(y, [0]) == 1.0
        assert perplexity(y, [1]) == math.inf
        assert perplexity(np.array([[500.0, 0.0]], dtype), [1]) == pytest.approx(math.exp(500))

    def test_float32_does_not_lose_a_long_mean(self):
        y = np.zeros((200_000, 3), np.float32)
        assert perplexity(y, np.zeros(200_000, int)) == pytest.approx(3, rel=2e-7)


class TestR2:
    def test_by_hand(self):
        assert r2([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]) == 1.0
        assert r2([2.0, 2.0, 2.0], [1.0, 2.0, 3.0]) == 0.0
        assert r2([3.0, 2.0, 1.0], [1.0, 2.0, 3.0]) == -3.0
        assert r2([1, 2, 4], [1, 2, 3]) == 0.5
        assert type(r2([1.0, 2.0], [1.0, 3.0])) is float

    def test_outputs_are_averaged_over_all_leading_axes(self):
        y = np.array([[1.0, 30.0], [2.0, 20.0], [3.0, 10.0]])
        t = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
        assert r2(y, t) == -1.0                                       # the mean of 1 and -3
        four = [0, 1, 2, 1]
        assert r2(y[four].reshape(2, 2, 2), t[four].reshape(2, 2, 2)) == r2(y[four], t[four])

    def test_float32_far_from_zero_keeps_its_digits(self):
        t = np.array([10000.0, 10001.0, 10002.0], np.float32)
        assert r2(t + np.array([0, 0, 1], np.float32), t) == 0.5

    @pytest.mark.parametrize("y, t, message", [
        ([1.0, 2.0], [3.0, 3.0], "r2: t … the same target"),
        ([[1.0, 1.0], [2.0, 2.0]], [[1.0, 0.1], [2.0, 0.1]], "r2: t"),
        ([1.0], [1.0], "r2: t"),
        ([[1.0], [2.0]], [1.0, 2.0], "r2: t … (2, 1) … (2,)"),
        ([1.0, 2.0], [1.0, 2.0, 3.0], "r2: t … (2,) … (3,)"),
        ([], [], "r2: y … empty"),
        (1.0, 1.0, "r2: y … (N, ...) … ()"),
    ])
    def test_errors(self, y, t, message):
        with refused(ValueError, f"{message}…"):
            r2(y, t)

    @law
    @given(st.floats(0.1, 100), st.floats(-100, 100))
    def test_units_do_not_matter(self, a, b):
        y, t = np.array([1.0, 2.5, 3.0, 4.0]), np.array([1.0, 2.0, 3.0, 5.0])
        assert r2(a * y + b, a * t + b) == pytest.approx(r2(y, t))


class TestAllMetricsOfClasses:
    @of_classes
    def test_one_hot_and_integer_targets_agree(self, metric):
        np.testing.assert_allclose(metric(Y, np.eye(3)[T]), metric(Y, T))
        np.testing.assert_allclose(metric(Y, np.eye(3, dtype=int)[T]), metric(Y, T))

    @of_classes
    def test_any_leading_axes(self, metric):
        np.testing.assert_allclose(metric(Y.reshape(2, 2, 3), T.reshape(2, 2)), metric(Y, T))
        np.testing.assert_allclose(metric(Y.reshape(2, 2, 3), np.eye(3)[T].reshape(2, 2, 3)), metric(Y, T))

    @of_classes
    @law
    @given(data=st.data())
    def test_the_order_of_samples_does_not_matter(self, metric, data):
        rows = data.draw(samples)
        shuffled = data.draw(st.permutations(rows))
        results = [metric(np.array(r, float)[:, :3], np.array(r)[:, 3]) for r in (rows, shuffled)]
        np.testing.assert_allclose(*results)

    @law
    @given(data=st.data())
    def test_they_agree_with_each_other(self, data):
        rows = data.draw(samples)
        y, t = np.array(rows, float)[:, :3], np.array(rows)[:, 3]
        assert top_k_accuracy(y, t, k=1) == accuracy(y, t)
        assert top_k_accuracy(y, t, k=3) == 1.0
        assert np.trace(confusion_matrix(y, t)) / len(t) == pytest.approx(accuracy(y, t))
        np.testing.assert_array_equal(confusion_matrix(y, t).sum(axis=1), np.bincount(t, minlength=3))

    @of_classes
    def test_arguments_are_left_as_they_are(self, metric):
        y, t = Y.copy(), T.copy()
        metric(y, t)
        np.testing.assert_array_equal(y, Y)
        np.testing.assert_array_equal(t, T)

    @of_classes
    @pytest.mark.parametrize("y, t, error, message", [
        (Y, [0, 1, 2, 3], ValueError, "t … labels … 0..2 … 3 at index 3"),
        (Y, [0, -1, 2, 1], ValueError, "t … labels … 0..2 … -1 at index 1"),
        (Y, [0.0, 1.0, 2.0, 1.0], TypeError, "t … integer … labels … float64"),
        (Y, [True, False, True, True], TypeError, "t … integer … labels … bool"),
        (Y, T[:, None], ValueError, "t … one label"),
        (Y, T[:3], ValueError, "t … one label"),
        (Y[:, :1], [0, 1, 0, 1], ValueError,
         "t … (4, 1) … 0 … 1 … (4,)"),
        (Y[:, :1], [[0], [1], [2], [1]], ValueError,
         "t … 0 … 1 … 2"),
        (np.ones((3, 1)), [[0.0], [1.0], [0.25]], ValueError, "t … 0 … 1 … 0.25"),
        (Y, np.ones((4, 3)), ValueError,
         "t … labels … sum to 1 … 1 to 1 … sum"),
        (Y, [[2.0, -1.0, 0.0]] * 4, ValueError, "t … labels … probabilities"),
        (Y[0], [1, 1, 1], ValueError, "y … (N, ..., C) … (3,)"),
        (Y[:0], T[:0], ValueError, "y … empty"),
        (Y.astype(int), T, TypeError, "y … array of floats"),
        (np.eye(3, dtype=int), np.eye(3, dtype=int), TypeError, "y … array of floats"),
        (T, T, TypeError, f"y … (N, ..., C) … labels, {T.dtype} (4,)"),
        (np.ones(4), T, TypeError, "y … (N, ..., C) … labels, float64 (4,)"),
        (np.ones((4, 3), int), np.ones((4, 3), int), TypeError,
         "y … (N, ..., C) … labels, int64 (4, 3)"),
    ])
    def test_errors(self, metric, y, t, error, message):
        with refused(error, f"… {message}…"):
            metric(y, t)

    @pytest.mark.parametrize("metric", [accuracy, perplexity])
    def test_only_the_label_to_ignore_may_be_out_of_range(self, metric):
        message = f"{metric.__name__}: t … labels … 0..2 … -2 at index 1"
        with refused(ValueError, message):
            metric(Y, [-1, -2, 0, 0], ignore_label=-1)

    @pytest.mark.parametrize("metric", [accuracy, perplexity])
    def test_nothing_left_to_measure_is_nan(self, metric):
        assert math.isnan(metric(Y, [-1, -1, -1, -1], ignore_label=-1))


class TestPrecisionRecallAndF1:
    @pytest.mark.parametrize("average", ["macro", "micro", "weighted", None])
    @pytest.mark.parametrize("name", ["precision", "recall", "f1"])
    def test_scikit_learn_agrees(self, name, average):
        metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is the reference here")
        theirs = getattr(metrics, f"{name}_score")
        for seed in range(20):
            rng = np.random.default_rng(seed)
            y, t = rng.standard_normal((12, 5)), rng.integers(0, 4, 12)          # class 4 may occur among predictions, or not
            labels = None if average else range(5)
            expected = theirs(t, y.argmax(axis=1), labels=labels, average=average, zero_division=0)
            np.testing.assert_allclose({"precision": precision, "recall": recall, "f1": f1}[name](y, t, average=average),
                                       expected, rtol=1e-12)

    def test_a_rare_class_counts_as_much_as_the_other(self):
        """Nine right of ten, and not one of the rare class: what accuracy does not see."""
        y, t = np.tile([1.0, 0.0], (10, 1)), np.array([0] * 9 + [1])
        assert accuracy(y, t) == 0.9 and recall(y, t) == 0.5 and recall(y, t, average="binary") == 0.0
        assert precision(y, t, average="binary") == 0.0 and f1(y, t, average="weighted") == pytest.approx(0.9 * 18 / 19)

    def test_binary_logits_and_ignored_labels(self):
        y, t = np.array([[2.0], [-1.0], [3.0]]), np.array([[1], [1], [0]])
        assert precision(y, t, average="binary") == recall(y, t, average="binary") == 0.5
        scores, labels = np.eye(3)[[0, 1, 2, 2]], np.array([0, 1, -1, 1])
        assert precision(scores, labels, average=None, ignore_label=-1).tolist() == [1.0, 1.0, 0.0]
        assert np.isnan(f1(scores, [-1] * 4, ignore_label=-1))

    def test_arguments(self):
        with refused(ValueError, "f1: average … 'mean'"):
            f1(np.eye(3), [0, 1, 2], average="mean")
        with refused(ValueError, "recall: y … binary … 3…"):
            recall(np.eye(3), [0, 1, 2], average="binary")
        with refused(TypeError, "precision: y … (N, ..., C) … (3,)…"):
            precision([0, 1, 1], [0, 1, 0])


def test_mean_absolute_error():
    assert mean_absolute_error([[1.0, -3.0]], [[0.0, 0.5]]) == 2.25
    assert mean_absolute_error(np.float32([1, 2, 4]), [1, 2, 3]) == pytest.approx(1 / 3)
    with refused(ValueError, "mean_absolute_error: t … (2,) … (3,)"):
        mean_absolute_error([1.0, 2.0], [1.0, 2.0, 3.0])
