"""A network that needs no training: the piecewise linear function through given samples."""
import numpy as np

from ..common import checks
from ..common.types import Array, ArrayLike
from ..layers import Affine, ReLU
from .sequential import Sequential

WHO = "relu_interpolant"


def relu_interpolant(x: ArrayLike, y: ArrayLike) -> Sequential:
    """A network ``Sequential(Affine, ReLU, Affine)`` in float64 that passes through the samples:
    ``np.interp``, linear between neighbours and constant outside. N samples take N + 1 hidden
    units.

    Shapes: x (N,) or (N, 1), in any order; y (N,) or (N, D). The network takes (M, 1) and gives (M,
    D), D = 1 for y (N,).

    Derivation. A piecewise linear function is one value and its changes of slope. relu(x - a) is 0
    up to a, then rises with slope 1; relu(a - x) does so to the left. With x_1 < ... < x_N, slopes
    s_i = (y_{i+1} - y_i) / (x_{i+1} - x_i), s_0 = s_N = 0, and an anchor x_m,

        p(x) = y_m + Σ_{i≥m} c_i relu(x - x_i) + Σ_{i≤m} c_i relu(x_i - x),   c_i = s_i - s_{i-1}

    where x_m, with a unit to either side, has c = s_m to the right and -s_{m-1} to the left. A
    hidden weight is ±1 and its bias ∓x_i, so that x - x_i is exact for an x close to x_i, however
    far from 0 both are.

    Rounding is some 10⁻¹⁶ of what is added up, |y_m| + Σ |c_i| |x - x_i|, least with the anchor in
    the middle. A smooth function sampled 1,000 times is met to 10⁻¹⁴ of the largest |y|; 1,000
    values of white noise, evenly spaced, to 10⁻¹¹, at random places to 10⁻⁹. Samples so steep that
    10⁻⁶ is in danger are refused.

    Error between samples of a twice differentiable f: on a piece of length h, f - p vanishes at
    both ends, so f(x) - p(x) = f''(ξ)/2 (x - x_i)(x - x_{i+1}) (Rolle, twice), and

        |f(x) - p(x)| ≤ max|f''| h² / 8

    Twice the units, a quarter of the error: the universal approximation theorem in one dimension,
    with a recipe. Sources: Cybenko (1989) and Hornik (1991) for the theorem; Stoer and Bulirsch,
    2.1, for the bound.

    Raises ValueError for NaN, for different y at one x, for samples too steep for float64.

    >>> model = relu_interpolant([0.0, 1.0, 3.0], [1.0, 3.0, -1.0])
    >>> model
    Sequential(
      0: Affine(W (1, 4), b (4,))
      1: ReLU()
      2: Affine(W (4, 1), b (1,))
    )
    >>> model.predict(np.array([[-9.0], [0.0], [0.5], [1.0], [2.0], [3.0], [9.0]])).ravel()
    array([ 1.,  1.,  2.,  3.,  1., -1., -1.])
    """
    x, y = samples(x, y)
    m = len(x) // 2
    with np.errstate(all="ignore"):
        slope = np.diff(y, axis=0) / np.diff(x)[:, None]
        changes = np.vstack(
            [np.diff(part, axis=0, prepend=0, append=0) for part in (slope[:m], slope[m:])])
        kinks = np.hstack([x[:m + 1], x[m:]])
        side = np.where(np.arange(len(kinks)) <= m, -1.0, 1.0)
        # Most is added up at the ends, by the units of that side.
        most = max(np.max(np.abs(end - kinks[part]) @ np.abs(changes[part]))
                   for end, part in ((x[0], side < 0), (x[-1], side > 0)))
    if not np.finfo(np.float64).eps * most <= 1e-6 * np.abs(y).max():
        raise ValueError(
            f"{WHO}: the samples are too steep for float64: terms of size {most:.1e} should cancel "
            f"to {np.abs(y).max():.1e}; leave out samples whose x nearly coincide")
    return Sequential(Affine(side[None, :], -side * kinks), ReLU(), Affine(changes, y[m]))


def samples(x, y) -> tuple[Array, Array]:
    """x (N,) increasing, y (N, D): sorted, each x once."""
    x, y = (checks.array(WHO, name, a, np.float64) for name, a in (("x", x), ("y", y)))
    if x.shape not in ((x.size,), (x.size, 1)):
        raise ValueError(checks.wrong(WHO, "x", "have shape (N,) or (N, 1)", x.shape))
    if y.ndim not in (1, 2):
        raise ValueError(checks.wrong(WHO, "y", "have shape (N,) or (N, D)", y.shape))
    checks.finite(WHO, "x", x)
    checks.finite(WHO, "y", y)
    if len(x) != len(y):
        raise ValueError(checks.wrong(WHO, "y", f"hold as many samples as x, {len(x)}", len(y)))
    order = np.argsort(x.reshape(-1), kind="stable")
    x, y = x.reshape(-1)[order], y.reshape(len(y), -1)[order]
    new = np.r_[True, x[1:] > x[:-1]]
    clash = np.flatnonzero(~new[1:] & np.any(y[1:] != y[:-1], axis=1))
    if clash.size:
        i = clash[0]
        raise ValueError(checks.wrong(WHO, "y", "be the same where x is",
                                      f"{y[i].tolist()} and {y[i + 1].tolist()} at x = {x[i]}",
                                      "a function has one value there: average them, for example"))
    return x[new], y[new]
