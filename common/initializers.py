"""First values of weights: functions of ``(shape, rng=None, dtype=np.float32)`` that return a new
array.

Layers call ``initializer(shape, rng=rng, dtype=dtype)``; ``functools.partial`` fixes an option
in advance:

>>> from functools import partial
>>> initializer = partial(gaussian, std=0.1)
>>> initializer((2, 3), rng=0, dtype=np.float64).shape
(2, 3)

Why the scale matters: a layer multiplies the variance of its signal by fan_in · Var(W) on the way
forward and that of its gradient by fan_out · Var(W) on the way back. Away from 1 either grows or
dies exponentially with depth (Saito, Deep Learning from Scratch, chapter 6.2; Goodfellow, Bengio
and Courville, Deep Learning, chapter 8.4).

Fans, the numbers of products that meet in one output and that one input feeds: an Affine W has
shape (fan_in, fan_out); a convolution W (F, C, KH, KW) has fan_in = C·KH·KW and fan_out = F·KH·KW.

Numbers are drawn in float64 and then rounded, so one seed means the same weights in every dtype.
``rng`` is a numpy.random.Generator, a seed or None. A shape that is not made of positive whole
numbers, or has too few axes, an option that is not finite and a negative seed raise ValueError; a
dtype that is not a float type and an invalid ``rng`` raise TypeError.
"""
from collections.abc import Sequence
from typing import Literal

import numpy as np

from . import checks
from .rng import generator
from .types import Array, Distribution, DType, Seed, Shape

PIECE = 1 << 16        # numbers drawn at once


def constant(
    shape: int | Sequence[int], rng: Seed = None, dtype: DType = np.float32, value: float = 0.0
) -> Array:
    """Every entry is ``value``, nothing is drawn. For biases, not for weights: equal units stay
    equal.

    >>> constant((2,), value=0.5)
    array([0.5, 0.5], dtype=float32)
    """
    generator("constant", rng)  # only checked
    return np.full(_sizes("constant", shape, dtype), checks.number("constant", "value", value),
                   dtype)


def gaussian(
    shape: int | Sequence[int], rng: Seed = None, dtype: DType = np.float32, std: float = 0.01
) -> Array:
    """W ~ N(0, std²), whatever the fans are. In a deep network prefer ``xavier`` or ``he``.

    >>> round(float(gaussian((300, 200), rng=0).std()), 3)
    0.01
    """
    std = checks.number("gaussian", "std", std, low=0, expected="be a finite number, 0 or larger")
    return _drawn("gaussian", _sizes("gaussian", shape, dtype), rng, dtype, std, "normal")


def uniform(
    shape: int | Sequence[int], rng: Seed = None, dtype: DType = np.float32, bound: float = 0.05
) -> Array:
    """W ~ U(-bound, bound), whatever the fans are: of variance bound² / 3.

    >>> round(float(np.abs(uniform((300, 200), rng=0)).max()), 3)
    0.05
    """
    bound = checks.number("uniform", "bound", bound, low=0,
                          expected="be a finite number, 0 or larger")
    return _drawn("uniform", _sizes("uniform", shape, dtype), rng, dtype, bound / np.sqrt(3),
                  "uniform")


def xavier(
    shape: int | Sequence[int], rng: Seed = None, dtype: DType = np.float32, gain: float = 1.0,
    distribution: Distribution = "normal",
) -> Array:
    """W ~ N(0, gain² · 2 / (fan_in + fan_out)), the compromise between fan_in · Var(W) = 1 and
    fan_out · Var(W) = 1.

    With ``distribution="uniform"`` W ~ U(-a, a) of the same variance: a = gain · √(6 / (fan_in +
    fan_out)). For units that are linear near 0, such as tanh (Glorot and Bengio 2010, Understanding
    the difficulty of training deep feedforward neural networks).

    >>> round(float(xavier((300, 200), rng=0).var() * (300 + 200)), 1)
    2.0
    """
    shape, gain = _sizes("xavier", shape, dtype, axes=2), checks.number("xavier", "gain", gain)
    return _drawn("xavier", shape, rng, dtype, gain * np.sqrt(2 / sum(_fans(shape))), distribution)


def he(
    shape: int | Sequence[int], rng: Seed = None, dtype: DType = np.float32, gain: float = 1.0,
    distribution: Distribution = "normal", mode: Literal["fan_in", "fan_out"] = "fan_in",
) -> Array:
    """W ~ N(0, gain² · 2 / fan_in): ReLU keeps half of the signal's second moment, so fan_in ·
    Var(W) has to be 2.

    With ``distribution="uniform"`` W ~ U(-a, a) of the same variance: a = gain · √(6 / fan_in).
    ``mode="fan_out"`` keeps the second moment of the gradient instead. A LeakyReLU has the gain 1 /
    √(1 + slope²), a linear layer 1 / √2. (He, Zhang, Ren and Sun 2015, Delving deep into
    rectifiers. PyTorch's kaiming_normal_ and kaiming_uniform_, where the √2 is part of the gain.)

    >>> round(float(he((300, 200), rng=0).var() * 300), 1)
    2.0
    """
    shape, gain = _sizes("he", shape, dtype, axes=2), checks.number("he", "gain", gain)
    fan = _fans(shape)[checks.one_of("he", "mode", mode, ("fan_in", "fan_out")) == "fan_out"]
    return _drawn("he", shape, rng, dtype, gain * np.sqrt(2 / fan), distribution)


def orthogonal(
    shape: int | Sequence[int], rng: Seed = None, dtype: DType = np.float32, gain: float = 1.0
) -> Array:
    """``gain`` times a uniformly random matrix with orthonormal columns (orthonormal rows where it
    is wide).

    A square one keeps the length of every vector, not only on average: the choice for Wh (H, H) of
    a recurrent layer, which is applied once per time step. With more than two axes, the first is
    one side of the matrix and all the others together the other: the filters of a convolution W (F,
    C, KH, KW) are the rows of an (F, C·KH·KW) matrix. (Saxe, McClelland and Ganguli 2013, Exact
    solutions to the nonlinear dynamics of learning in deep linear neural networks.)

    >>> W = orthogonal((5, 3), rng=0, dtype=np.float64)
    >>> np.allclose(W.T @ W, np.eye(3))
    True
    """
    shape = _sizes("orthogonal", shape, dtype, axes=2)
    gain = checks.number("orthogonal", "gain", gain)
    rows, columns = shape[0], int(np.prod(shape[1:]))
    tall = max(rows, columns), min(rows, columns)
    Q, R = np.linalg.qr(generator("orthogonal", rng).standard_normal(tall))
    # QR's signs favour some directions; with a positive diagonal of R every Q is equally likely
    Q *= gain * np.sign(np.diag(R))
    return np.ascontiguousarray(Q if rows >= columns else Q.T, dtype).reshape(shape)


def _drawn(who, shape, rng, dtype, std, distribution) -> Array:
    """Numbers of mean 0 and of this standard deviation; those of U(-a, a) have a / √3."""
    rng, W = generator(who, rng), np.empty(shape, dtype)
    normal = checks.one_of(who, "distribution", distribution, ("normal", "uniform")) == "normal"
    # float64 numbers, a few at a time: of all at once there would be three times the memory of W
    for part in np.array_split(W.reshape(-1), W.size // PIECE + 1):
        part[:] = (rng.standard_normal(part.size) * std if normal
                   else rng.uniform(-1, 1, part.size) * (np.sqrt(3) * std))
    return W


def _fans(shape):
    if len(shape) == 2:
        return shape
    F, C, *kernel = shape
    field = int(np.prod(kernel))
    return C * field, F * field


def _sizes(who, shape, dtype, axes=0) -> Shape:
    """The shape as a tuple of ints, if the dtype is a float's: small weights as integers are 0."""
    found = checks.dtype_of(dtype)
    if found is None or found.kind != "f":
        got = checks.text(dtype) if found is None else found
        raise TypeError(checks.wrong(who, "dtype", "be a float type", got, "np.float32 is usual"))
    sizes = tuple(shape) if np.ndim(checks.as_array(shape)) else (shape,)
    if not all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n > 0
               for n in sizes):
        raise ValueError(
            checks.wrong(who, "shape", "be made of positive whole numbers", repr(shape)))
    if len(sizes) < axes:
        expected = "be (fan_in, fan_out), or (F, C, KH, KW) for a convolution"
        raise ValueError(
            checks.wrong(who, "shape", expected, sizes, "constant and gaussian take any shape"))
    # drawn in float64, with a gradient of the same shape
    checks.room(who, "shape", sizes, each=16)
    return sizes


def weights(who, initializer, shape, rng, dtype, name="initializer") -> Array:
    """What a layer's ``init`` begins with: the array of this shape and dtype that ``initializer``
    makes."""
    dtype, rng, shape = (checks.float_type(who, "dtype", dtype), generator(who, rng),
                         tuple(map(int, shape)))
    if (isinstance(initializer, type) or not callable(initializer)
        or hasattr(initializer, "forward")):
        known = isinstance(initializer, str) and initializer in ("constant", "gaussian", "uniform",
                                                                 "xavier", "he", "orthogonal")
        raise TypeError(checks.wrong(who, name, "be a function such as he, of chainrule.common",
                                     checks.text(initializer),
                                     f"{name}={initializer}, without quotes" if known else ""))
    checks.room(who, "the sizes", shape, each=16)
    W = initializer(shape, rng=rng, dtype=dtype)
    if not isinstance(W, np.ndarray) or W.shape != shape or W.dtype.kind != "f":
        got = f"{W.dtype} of shape {W.shape}" if isinstance(W, np.ndarray) else type(W).__name__
        raise TypeError(checks.wrong(who, name, f"return an array of floats of shape {shape}", got))
    return W.astype(dtype, copy=False)
