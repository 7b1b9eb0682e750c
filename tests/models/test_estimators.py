"""The estimators pass all of scikit-learn's checks, and work in its tools."""
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pandas
import pytest
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import make_regression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from chainrule.common import L2
from chainrule.datasets import Normalizer, load_digits, make_moons
from chainrule.layers import Affine, ReLU, Reshape, SoftmaxWithLoss, SquaredError
from chainrule.models import LeNet, Sequential, SklearnClassifier, SklearnRegressor
from chainrule.optimizers import SGD, Momentum
from tests.errors import refused

x, t = make_moons(60, rng=0)
words = np.array(["no", "yes"])[t]


@parametrize_with_checks([SklearnClassifier(), SklearnRegressor()])
def test_scikit_learns_checks(estimator, check):
    """All of them: none is expected to fail."""
    check(estimator)


def linear(n_in, n_out, rng):
    return Sequential(Affine.init(n_in, n_out, rng=rng), loss=SoftmaxWithLoss())


def small_images(n_in, n_out, rng):
    lenet = LeNet((1, 8, 8), rng=rng)
    return Sequential(Reshape((-1, 1, 8, 8)), *lenet.layers, loss=lenet.loss)


def test_probabilities_and_labels_of_any_kind():
    model = SklearnClassifier(random_state=0).fit(x, words)
    proba = model.predict_proba(x)
    assert model.classes_.tolist() == ["no", "yes"] and model.score(x, words) > 0.97
    assert proba.shape == (120, 2) and proba.sum(axis=1) == pytest.approx(1)
    np.testing.assert_array_equal(model.classes_[proba.argmax(axis=1)], model.predict(x))
    assert len(model.loss_curve_) == 200 and model.loss_curve_[-1] < model.loss_curve_[0] / 5


def test_pipelines_searches_and_cross_validation():
    pipeline = make_pipeline(Normalizer(), SklearnClassifier(epochs=100, random_state=0))
    assert cross_val_score(pipeline, x, words, cv=3).mean() > 0.9
    grid = {"sklearnclassifier__lr": [1e-6, 0.03], "sklearnclassifier__model": [None, linear],
            "normalizer__kind": ["minmax", "zca-whiten"]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(x, words)
    assert search.best_params_["sklearnclassifier__lr"] == 0.03
    assert search.best_params_["sklearnclassifier__model"] is None            # moons are not linear


def test_any_model_and_any_optimizer():
    (x, t), (x_test, t_test) = load_digits()
    model = SklearnClassifier(small_images, Momentum, lr=0.05, epochs=10, batch_size=32,
                              random_state=0)
    score = model.fit(x.reshape(len(x), -1), t).score(x_test.reshape(len(x_test), -1), t_test)
    assert score > 0.9 and isinstance(model.optimizer_, Momentum)


def test_a_random_state_repeats_the_result():
    models = (SklearnClassifier(epochs=5, batch_size=16, random_state=seed) for seed in (1, 1, 2))
    first, second, other = (model.fit(x, t).predict_proba(x) for model in models)
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


def test_a_weight_is_so_many_samples():
    weight = np.random.default_rng(0).integers(0, 4, len(x))
    weighted = SklearnClassifier(random_state=0).fit(x, words, sample_weight=weight)
    repeated = SklearnClassifier(random_state=0, batch_size=1000)
    repeated.fit(x.repeat(weight, axis=0), words.repeat(weight))
    np.testing.assert_allclose(weighted.predict_proba(x), repeated.predict_proba(x), rtol=1e-6)
    assert weighted.loss_curve_[-1] == pytest.approx(repeated.loss_curve_[-1])


def test_partial_fit_goes_on():
    model = SklearnClassifier(random_state=0)
    model.partial_fit(x[t == 0], words[t == 0], classes=["yes", "no"])
    assert model.classes_.tolist() == ["no", "yes"]
    for _ in range(200):
        model.partial_fit(x, words)
    assert model.score(x, words) > 0.97 and len(model.loss_curve_) == 201
    with refused(ValueError, "SklearnClassifier: y … partial_fit … np.str_('maybe')…"):
        model.partial_fit(x[:1], ["maybe"])


def test_a_first_call_that_was_refused_settles_nothing():
    model = SklearnClassifier(random_state=0)
    with refused(ValueError, "SklearnClassifier: y … first call …"):
        model.partial_fit(x, words, classes=["no"])
    model.partial_fit(x, words, classes=["no", "yes"])
    with refused(ValueError, "SklearnClassifier: y … first call … np.str_('maybe')…"):
        model.partial_fit(x, words, classes=["no", "yes", "maybe"])


def test_a_penalty_counts():
    def largest(penalty):
        def build(n_in, n_out, rng):
            return Sequential(Affine.init(n_in, n_out, rng=rng), loss=SoftmaxWithLoss(),
                              penalty=penalty)
        model = SklearnClassifier(build, SGD, lr=0.1, random_state=0).fit(x, t)
        return np.abs(model.model_.params[0]).max()
    assert largest(L2(1.0)) < 0.3 < largest(None)


def test_partial_fit_of_a_regressor():
    model, y = SklearnRegressor(random_state=0), np.hypot(*x.T)
    for _ in range(150):
        model.partial_fit(x, y)
    assert model.score(x, y) > 0.9


def test_one_class():
    model = SklearnClassifier(epochs=2).fit(x, np.full(len(x), 7))
    assert (model.predict(x) == 7).all() and (model.predict_proba(x) == 1).all()


@pytest.mark.parametrize("targets", [1, 3])
def test_regression_of_one_target_or_several(targets):
    x, y = make_regression(200, 5, n_targets=targets, random_state=0)
    model = TransformedTargetRegressor(SklearnRegressor(random_state=0),
                                       transformer=StandardScaler())
    model.fit(x, y)
    assert model.score(x, y) > 0.95 and model.predict(x).shape == y.shape


@pytest.mark.parametrize("through", ["pickle", "joblib"])
def test_copies_predict_and_learn_as_the_original_does(through, tmp_path):
    model = SklearnClassifier(linear, epochs=3, random_state=0).fit(x, words)
    if through == "pickle":
        copy = pickle.loads(pickle.dumps(model))
    else:
        joblib.dump(model, tmp_path / "model")
        copy = joblib.load(tmp_path / "model")
    for each in model, copy:
        each.partial_fit(x, words)
    np.testing.assert_array_equal(copy.predict_proba(x), model.predict_proba(x))
    assert clone(model).get_params() == model.get_params() and not hasattr(clone(model), "model_")


def test_tables_and_their_names():
    table = pandas.DataFrame(x, columns=["east", "north"])
    model = SklearnClassifier(epochs=2, random_state=0).fit(table, pandas.Series(words))
    assert model.feature_names_in_.tolist() == ["east", "north"]
    with refused(ValueError, "… feature names … west…"):
        model.predict(table.rename(columns={"east": "west"}))


def test_mistakes():
    for optimizer in "adam", SGD():
        with refused(TypeError, "SklearnClassifier: optimizer should be a function that makes one, "
                                f"got {'SGD' if optimizer != 'adam' else repr(optimizer)}"):
            SklearnClassifier(optimizer=optimizer).fit(x, t)
    with refused(TypeError, "SklearnRegressor: model should be a function that makes one, got "
                            "Sequential"):
        SklearnRegressor(deep(2, 1, 0)).fit(x, t)
    with refused(TypeError, "SklearnClassifier: model should make a model with a loss, got Affine; "
                            "as in Sequential(..., loss=...)"):
        SklearnClassifier(lambda n_in, n_out, rng: Affine.init(n_in, n_out)).fit(x, t)
    with refused(ValueError, "SklearnClassifier: epochs should be at least 1, got 0"):
        SklearnClassifier(epochs=0).fit(x, t)
    message = "SklearnRegressor: … lr…"
    with np.errstate(all="ignore"), refused(FloatingPointError, message):
        SklearnRegressor(deep, SGD, lr=1e6, random_state=0).fit(x, 10.0 * t)


def deep(n_in, n_out, rng):
    layers = Affine.init(n_in, 50, rng=rng), ReLU(), Affine.init(50, n_out, rng=rng)
    return Sequential(*layers, loss=SquaredError())


def test_scikit_learn_is_imported_when_it_is_named():
    code = """
import sys, chainrule.models
assert "sklearn" not in sys.modules
sys.modules["sklearn"] = None
for name in "SklearnClassifier", "SklearnTransformer":
    try:
        getattr(chainrule.models, name)
    except (ImportError, AttributeError) as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    first, second = done.stdout.splitlines()
    assert first.startswith("SklearnClassifier needs scikit-learn (") and not done.stderr
    assert "chainrule[sklearn]" in first
    assert second == "module 'chainrule.models' has no attribute 'SklearnTransformer'"
