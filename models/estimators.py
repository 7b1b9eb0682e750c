"""Networks as estimators of scikit-learn: in pipelines, grid searches and cross-validation."""
import math

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from ..common import checks
from ..common.functions import softmax
from ..layers import ReLU, SoftmaxWithLoss, SquaredError
from ..optimizers import Adam
from ..training.arguments import ask, weighable
from ..training.batches import batches
from .mlp import perceptron
from .sequential import Sequential


class Estimator(BaseEstimator):
    """What both share: the training loop, with a weight for each sample."""

    def __init__(self, model=None, optimizer=Adam, lr=0.01, epochs=200, batch_size=200,
                 random_state=None):
        self.model, self.optimizer, self.lr = model, optimizer, lr
        self.epochs, self.batch_size, self.random_state = epochs, batch_size, random_state

    def build(self, n_in, n_out, rng):
        layers = perceptron(type(self).__name__, (n_in, 64, n_out), ReLU, rng)
        return Sequential(*layers, loss=self.criterion()).astype(np.float64)

    def fit(self, X, y, sample_weight=None):
        return self.passes(X, y, sample_weight, self.epochs, first=True)

    def begin(self, n_outputs):
        seed = check_random_state(self.random_state).randint(2**31)
        self.rng_ = np.random.default_rng(seed)
        build = self.build if self.model is None else self.model
        for name, function in (("model", build), ("optimizer", self.optimizer)):
            ask(callable(function) and not hasattr(function, "layers"), type(self).__name__, name,
                "be a function that makes one", function)
        self.optimizer_, self.loss_curve_ = self.optimizer(lr=self.lr), []
        self.model_ = build(self.n_features_in_, n_outputs, self.rng_)

    def learn(self, x, t, sample_weight, epochs):
        who, model = type(self).__name__, self.model_
        if getattr(model, "loss", None) is None:
            raise TypeError(checks.wrong(who, "model", "make a model with a loss",
                                         type(model).__name__, "as in Sequential(..., loss=...)"))
        if sample_weight is not None:
            weighable(who, model)
        weight = _check_sample_weight(sample_weight, x, dtype=np.float64)
        for _ in range(checks.count(who, "epochs", epochs)):
            total = 0.0
            for *batch, w in batches(x, t, weight, batch_size=self.batch_size, rng=self.rng_):
                try:
                    weighed = {} if sample_weight is None else {"weight": w}
                    loss = model.forward(*batch, **weighed)
                    if not math.isfinite(loss):
                        raise FloatingPointError(f"the loss became {loss}")
                    model.backward()
                    self.optimizer_.update(model.params, model.grads)
                except FloatingPointError as error:
                    raise FloatingPointError(
                        f"{who}: {error}; try a smaller lr, or bring the features to one scale "
                        'first, as in make_pipeline(Normalizer("standard"), estimator)') from None
                total += loss * w.sum()
            self.loss_curve_.append(total / (weight.sum() or 1))
        return self

    def output(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return self.model_.predict(X, batch_size=1024).astype(np.float64)


class SklearnClassifier(ClassifierMixin, Estimator):
    """A network as a classifier of scikit-learn.

    - model: a function of (number of features, number of classes, generator) that makes a model
      from rows of features to rows of scores, with a loss. None: one hidden layer of 64 ReLU units.
      For images it begins with ``Reshape((-1, 1, 8, 8))``;
    - optimizer: a function of ``lr`` that makes an optimizer;
    - epochs, batch_size: of ``fit``; ``partial_fit`` passes once over what it is given;
    - random_state: as everywhere in scikit-learn.

    Labels may be of any kind; ``classes_`` has them in the order of ``predict_proba``'s columns.
    ``sample_weight`` weighs the losses: with all samples in one batch, 2 is the sample twice.

    After ``fit`` there are ``model_``, ``optimizer_`` and ``loss_curve_``, the loss of each epoch.

    >>> from sklearn.model_selection import cross_val_score
    >>> from chainrule.datasets import make_moons
    >>> bool(cross_val_score(SklearnClassifier(random_state=0), *make_moons(rng=0)).mean() > 0.95)
    True
    """

    criterion = SoftmaxWithLoss

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """One pass over the samples, from where the model stands; the first call names the
        classes."""
        return self.passes(X, y, sample_weight, 1, not hasattr(self, "model_"), classes)

    def passes(self, X, y, sample_weight, epochs, first, classes=None):
        X, y = validate_data(self, X, y, dtype=np.float64, reset=first)
        check_classification_targets(y)
        if first:
            self.classes_ = np.unique(y if classes is None else classes)
        unknown = np.setdiff1d(np.append(y, y if classes is None else classes), self.classes_)
        if len(unknown):
            raise ValueError(checks.wrong(
                "SklearnClassifier", "y", "hold the classes of the first call of partial_fit",
                repr(unknown[0]), "name all of them there: partial_fit(X, y, classes=...)"))
        if first:
            self.begin(max(2, len(self.classes_)))  # a softmax needs a rival
        return self.learn(X, np.searchsorted(self.classes_, y), sample_weight, epochs)

    def predict_proba(self, X):
        """The probabilities of the classes, (N, C)."""
        return softmax(self.output(X)[:, :len(self.classes_)])

    def predict(self, X):
        """The most probable class of each sample, (N,)."""
        likeliest = self.predict_proba(X).argmax(axis=1)
        return self.classes_[likeliest]


class SklearnRegressor(RegressorMixin, Estimator):
    """A network as a regressor of scikit-learn; y (N,) or, of several targets, (N, K).

    Arguments and attributes are those of ``SklearnClassifier``; the usual loss is SquaredError.
    Targets, too, train best at a scale of about 1:
    ``TransformedTargetRegressor(SklearnRegressor(), transformer=StandardScaler())``.

    >>> from chainrule.datasets import make_regression_1d
    >>> x, t = make_regression_1d(rng=0)
    >>> SklearnRegressor(random_state=0).fit(x, t.ravel()).score(x, t.ravel()) > 0.95
    True
    """

    criterion = SquaredError

    def partial_fit(self, X, y, sample_weight=None):
        """One pass over the samples, from where the model stands."""
        return self.passes(X, y, sample_weight, 1, not hasattr(self, "model_"))

    def passes(self, X, y, sample_weight, epochs, first):
        X, y = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True,
                             reset=first)
        self.single_ = y.ndim == 1
        t = y.reshape(len(y), -1)
        if first:
            self.begin(t.shape[1])
        return self.learn(X, t, sample_weight, epochs)

    def predict(self, X):
        """The targets of each sample, in the shape of y."""
        y = self.output(X)
        return y[:, 0] if self.single_ else y

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
