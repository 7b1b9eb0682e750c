"""Features on one scale, by statistics of the training data."""
from typing import Any, Literal, Self

import numpy as np

from ..common import checks
from ..common.types import Array, ArrayLike
from ..training.batches import samples

KINDS = ("minmax", "standard", "pca-whiten", "zca-whiten")


class Normalizer:
    """Puts features on one scale: ``fit`` computes statistics, ``transform`` applies them, to
    other data too.

    With the columns' minimum, maximum, mean μ and standard deviation σ, and their covariance matrix
    Σ = U diag(λ) Uᵀ, the largest λ first:

        "minmax"        y = (x - min) / (max - min)        0 to 1
        "standard"      y = (x - μ) / σ                    mean 0, variance 1
        "pca-whiten"    y = (x - μ) U diag(λ)^(-½)         uncorrelated, variance 1
        "zca-whiten"    y = (x - μ) U diag(λ)^(-½) Uᵀ      the same, as close to x as can be

    - x (..., D): statistics over all axes but the last, float64 inside; y has the shape of x and
      its float dtype, float32 for whole numbers. Images, one feature per pixel: ``x.reshape(N,
      -1)``;
    - eps: added to λ, so that noise in directions of small variance is not blown up.

    A constant column becomes 0, and so does a direction of variance 0 when whitening.
    ``constant_`` lists the constant columns, by name if x is a DataFrame, else by number.

    Fit on training data only (Keras says ``adapt``): statistics of the test data would leak into
    training. Works in scikit-learn's pipelines.

    Raises ValueError or TypeError for NaN, text or other columns than those of ``fit``,
    RuntimeError for a transform before it. Source of the whitenings: Kessy, Lewin and Strimmer,
    Optimal whitening (2018).

    >>> x = np.array([[1.0, 5.0, 10.0], [3.0, 5.0, 30.0], [2.0, 5.0, 20.0]])
    >>> normalizer = Normalizer("minmax").fit(x)
    >>> normalizer.transform(x)
    array([[0. , 0. , 0. ],
           [1. , 0. , 1. ],
           [0.5, 0. , 0.5]])
    >>> normalizer.constant_
    [1]
    """

    def __init__(
        self, kind: Literal["minmax", "standard", "pca-whiten", "zca-whiten"] = "standard",
        eps: float = 0.0,
    ) -> None:
        self.kind, self.eps = checks.one_of("Normalizer", "kind", kind, KINDS), eps
        checks.number("Normalizer", "eps", eps, low=0.0,
                      expected="be a finite number of at least 0")

    def fit(self, x: ArrayLike, y: Any = None) -> Self:
        """Compute the statistics of x (..., D); y is ignored."""
        a, _ = floats(x, ("N", ..., "D"))
        D = a.shape[-1]
        a = a.reshape(-1, D)
        low, high = a.min(axis=0), a.max(axis=0)
        varies = high > low
        self.n_features_in_ = D
        self.columns_ = list(getattr(x, "columns", ()))
        self.constant_ = [name for name, v in zip(self.columns_ or range(D), varies) if not v]
        self.shift_ = np.where(varies, a.mean(axis=0), low)    # a mean of equals may be rounded
        if self.kind == "minmax":
            self.shift_, self.scale_ = low, high - low
        elif self.kind == "standard":
            self.scale_ = np.where(varies, a.std(axis=0), 0)
        else:
            self.axes_, self.scale_ = principal(a - self.shift_, self.eps)
        return self

    def transform(self, x: ArrayLike) -> Array:
        """x (..., D) on the new scale."""
        a, dtype = self.fitting(x)
        a = a - self.shift_
        if "whiten" in self.kind:
            a = a @ self.axes_
        a = np.divide(a, self.scale_, out=np.zeros_like(a), where=self.scale_ > 0)
        return (a @ self.axes_.T if self.kind == "zca-whiten" else a).astype(dtype)

    def inverse_transform(self, x: ArrayLike) -> Array:
        """What ``transform`` made, x (..., D), back on the scale of the data."""
        a, dtype = self.fitting(x)
        a = (a @ self.axes_ if self.kind == "zca-whiten" else a) * self.scale_
        return ((a @ self.axes_.T if "whiten" in self.kind else a) + self.shift_).astype(dtype)

    def fit_transform(self, x: ArrayLike, y: Any = None) -> Array:
        """``fit(x).transform(x)``"""
        return self.fit(x).transform(x)

    def fitting(self, x: ArrayLike) -> tuple[Array, Any]:
        """x in float64, with as many columns as were fitted, and the dtype of the answer."""
        if not hasattr(self, "scale_"):
            raise RuntimeError("Normalizer: transform was called before fit; call fit(x) on the "
                               "training data")
        a, dtype = floats(x)
        if a.shape[-1] != self.n_features_in_:
            raise ValueError(checks.wrong(
                "Normalizer", "x", "have the columns of the data it was fitted on, shape "
                f"(..., {self.n_features_in_})", a.shape))
        names = list(getattr(x, "columns", self.columns_))
        if self.columns_ and names != self.columns_:
            raise ValueError(checks.wrong(
                "Normalizer", "x", "have the columns of the data it was fitted on, "
                f"{self.columns_}", names))
        return a, dtype

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The options as a dict, as scikit-learn expects."""
        return {"kind": self.kind, "eps": self.eps}

    def set_params(self, **options: Any) -> Self:
        """Change options, as scikit-learn does."""
        for name in options:
            checks.one_of("Normalizer", "an option", name, ("kind", "eps"))
        Normalizer.__init__(self, **(self.get_params() | options))
        return self

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import Tags, TargetTags, TransformerTags
        return Tags(estimator_type="transformer", target_tags=TargetTags(required=False),
                    transformer_tags=TransformerTags())

    def __repr__(self) -> str:
        return f"Normalizer({self.kind!r}{f', eps={self.eps:g}' if self.eps else ''})"


def floats(x, shape=None):
    """x in float64, and the float dtype of the answer."""
    (a,) = samples("Normalizer", x=x)
    dtype = np.float64 if a.dtype.kind == "f" and a.dtype.itemsize >= 8 else np.float32
    a = checks.array("Normalizer", "x", a, np.float64, shape)
    checks.finite("Normalizer", "x", a)
    return a, dtype


def principal(a, eps):
    """The axes U (D, D) of centered data as columns, the largest entry of each positive, and the
    deviations √(λ + eps) along them, 0 without variance."""
    variances, U = np.linalg.eigh(a.T @ a / len(a))
    variances, U = variances[::-1], U[:, ::-1]
    U = U * np.sign(U[np.abs(U).argmax(axis=0), np.arange(len(U))])
    none = variances <= len(U) * np.finfo(np.float64).eps * variances[0]
    return U, np.sqrt(np.where(none, 0, variances + eps))
