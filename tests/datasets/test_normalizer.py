"""Normalizer: the formulas, any leading axes, what is constant, and scikit-learn's habits."""
import pickle

import numpy as np
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.datasets import Normalizer
from chainrule.datasets.normalizer import KINDS
from tests.errors import refused

TABLE = pandas.DataFrame({"a": [1.0, 2.0], "b": [3.0, 5.0]})
quickly = settings(derandomize=True, deadline=None, max_examples=60)


def drawn(*shape, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    mixed = rng.standard_normal(shape) @ rng.standard_normal((shape[-1], shape[-1]))
    return (mixed + rng.standard_normal(shape[-1]) * 5).astype(dtype)


def covariance(y):
    return np.cov(y.reshape(-1, y.shape[-1]).T, bias=True)


@pytest.mark.parametrize("kind", KINDS)
@quickly
@given(lead=st.lists(st.integers(1, 6), max_size=3), D=st.integers(1, 5), seed=st.integers(0, 99))
def test_any_leading_axes_there_and_back(kind, lead, D, seed):
    x = drawn(20, *lead, D, seed=seed)
    before = x.copy()
    normalizer = Normalizer(kind).fit(x)
    y = normalizer.transform(x)
    np.testing.assert_allclose(normalizer.inverse_transform(y), x, atol=1e-9)
    np.testing.assert_array_equal(x, before)
    flat = Normalizer(kind).fit_transform(x.reshape(-1, D))
    np.testing.assert_allclose(y.reshape(-1, D), flat, atol=1e-9)


def test_minmax_and_standard_are_their_formulas():
    x, new = drawn(50, 4), drawn(9, 4, seed=1)
    y = Normalizer("minmax").fit(x).transform(new)
    np.testing.assert_allclose(y, (new - x.min(0)) / (x.max(0) - x.min(0)))
    inside = Normalizer("minmax").fit_transform(x)
    assert inside.min() == 0 and inside.max() == 1
    np.testing.assert_allclose(Normalizer().fit(x).transform(new), (new - x.mean(0)) / x.std(0))


def test_whitening_leaves_variance_1_and_no_correlation():
    x = drawn(200, 5)
    pca, zca = (Normalizer(kind).fit_transform(x) for kind in KINDS[2:])
    for y in pca, zca:
        np.testing.assert_allclose(covariance(y), np.eye(5), atol=1e-8)
    centered = x - x.mean(axis=0)
    variances = np.linalg.eigvalsh(covariance(x))[::-1]
    along = np.abs(np.linalg.lstsq(centered, pca * np.sqrt(variances), rcond=None)[0])
    assert np.linalg.norm(along, axis=0) == pytest.approx(1)                  # axes of length 1
    C = centered.T @ zca
    np.testing.assert_allclose(C, C.T, atol=1e-6)                             # zca turns nothing
    assert np.trace(C) > abs(np.trace(centered.T @ pca))


def test_eps_damps_directions_of_small_variance():
    x = np.random.default_rng(0).standard_normal((500, 2)) * [1, 1e-3]
    assert Normalizer("pca-whiten").fit_transform(x).std(axis=0) == pytest.approx([1, 1])
    small = Normalizer("pca-whiten", eps=0.01).fit_transform(x).std(axis=0)[1]
    assert small == pytest.approx(1e-2, rel=0.2)


@pytest.mark.parametrize("kind", KINDS)
def test_a_constant_column_becomes_0_and_is_listed(kind):
    x = drawn(30, 3)
    x[:, 1] = 0.1                                                 # the mean of thirty is not 0.1
    normalizer = Normalizer(kind).fit(x)
    y = normalizer.transform(x)
    assert normalizer.constant_ == [1] and np.isfinite(y).all()
    assert (y[:, 2 if kind == "pca-whiten" else 1] == 0).all()
    np.testing.assert_allclose(normalizer.inverse_transform(y), x, atol=1e-12)
    assert normalizer.inverse_transform(y)[0, 1] == pytest.approx(0.1, abs=1e-15)


def test_columns_that_depend_on_others_are_no_noise():
    x = drawn(40, 3)
    x = np.hstack([x, x[:, :1] + x[:, 1:2]])
    y = Normalizer("zca-whiten").fit_transform(x)
    assert np.sort(np.linalg.eigvalsh(covariance(y))) == pytest.approx([0, 1, 1, 1], abs=1e-8)


@pytest.mark.parametrize("dtype, expected", [
    ("f4", "f4"), ("f8", "f8"), (">f4", "f4"), (">f8", "f8"), ("f2", "f4"), ("i8", "f4"),
    ("u1", "f4"), ("?", "f4")])
def test_dtypes(dtype, expected):
    x = np.array([[0, 1], [1, 0], [1, 1]]).astype(dtype)
    y = Normalizer().fit(x).transform(x)
    assert y.dtype == np.dtype(expected)


def test_a_data_frame_names_its_columns():
    table = pandas.DataFrame({"age": [1.0, 2, 3], "one": 1, "sex": [True, False, True]})
    normalizer = Normalizer("minmax").fit(table)
    assert normalizer.constant_ == ["one"] and repr(normalizer) == "Normalizer('minmax')"
    np.testing.assert_array_equal(normalizer.transform(table)[:, 0], [0, 0.5, 1])
    table["name"] = ["a", "b", "c"]
    with refused(TypeError, "Normalizer: … 'name' … x … ndarray of objects (str)…"):
        normalizer.fit(table)


@pytest.mark.parametrize("call, error, message", [
    (lambda: Normalizer("max"), ValueError,
     "Normalizer: kind should be 'minmax' or 'standard' or 'pca-whiten' or 'zca-whiten', "
     "got 'max'"),
    (lambda: Normalizer(eps=-1), ValueError,
     "Normalizer: eps should be a finite number of at least 0, got -1"),
    (lambda: Normalizer().transform(np.ones((2, 2))), RuntimeError,
     "Normalizer: transform was called before fit; call fit(x) on the training data"),
    (lambda: Normalizer().fit([[1.0], [np.nan]]), ValueError,
     "Normalizer: x should hold finite numbers only, got nan at index (1, 0)"),
    (lambda: Normalizer().fit(drawn(3, 2)).transform(drawn(3, 4)), ValueError,
     "Normalizer: x should have the columns of the data it was fitted on, shape (..., 2), "
     "got (3, 4)"),
    (lambda: Normalizer().fit([1.0, 2.0]), ValueError,
     "Normalizer: x should have shape (N, ..., D), got (2,)"),
    (lambda: Normalizer().fit(TABLE).transform(TABLE[["b", "a"]]), ValueError,
     "Normalizer: x should have the columns of the data it was fitted on, ['a', 'b'], "
     "got ['b', 'a']"),
    (lambda: Normalizer().fit([["a"]]), TypeError,
     "Normalizer: x should be an array of floats, got <U1 ndarray"),
    (lambda: Normalizer().set_params(mode="x"), ValueError,
     "Normalizer: an option should be 'kind' or 'eps', got 'mode'"),
])
def test_in_a_sentence(call, error, message):
    with refused(error, message):
        call()


def test_in_pipelines_of_scikit_learn():
    from sklearn.base import clone
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    x, t = drawn(60, 4), np.arange(60) % 2
    x[t == 1] += 3
    pipeline = make_pipeline(Normalizer(), LogisticRegression())
    search = GridSearchCV(pipeline, {"normalizer__kind": KINDS}, cv=3).fit(x, t)
    assert search.best_score_ > 0.9
    assert not np.isnan(search.cv_results_["mean_test_score"]).any()
    fitted = Normalizer("minmax", eps=0.5).fit(x)
    fresh = clone(fitted)
    assert fresh.get_params() == {"kind": "minmax", "eps": 0.5} and not hasattr(fresh, "scale_")
    copy = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copy.transform(x), fitted.transform(x))
