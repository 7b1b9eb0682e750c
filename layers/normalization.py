"""Normalisation: values with mean 0 and variance 1, over the batch, over a sample's features, or
over groups of channels.

``standardize`` returns u, s, μ and σ², ``standardize_back`` is LayerNorm's formula of dL/dx; what
is handed to both, ``row_means`` and the like, takes the means (common/engine/normalization.py).

For speed, images are worked on as *lines*: (N, C, H, W) as (N H, W C), with the C channels of each
pixel side by side (common/engine/channels.py). A line holds its channels W times over, so each
channel's mean is repeated W times to fit; ``mu[:C]`` are the C means once. ``tiled`` repeats gamma
and beta likewise, ``sums_in_lines`` adds up what belongs to one channel.
"""
from typing import Self

import numpy as np

from ..common import checks
from ..common.engine.channels import as_lines, from_lines, sums_in_lines, tiled
from ..common.engine.normalization import (
    channel_means,
    group_means,
    row_means,
    standardize,
    standardize_back,
)
from ..common.layer import Layer, Renamed
from ..common.types import Array, DType


class Normalization(Layer):
    """A scale gamma and a shift beta, one of each per feature or channel, and the small number eps
    under the root."""

    def __init__(self, gamma: Array, beta: Array, eps: float) -> None:
        who = type(self).__name__
        checks.needed(who, gamma=gamma, beta=beta)
        super().__init__(gamma=gamma, beta=beta)
        self.eps = checks.number(who, "eps", eps, 0, expected="be a number of at least 0")

    @classmethod
    def fresh(cls, n: int, dtype: DType) -> tuple[Array, Array]:
        """gamma = 1 and beta = 0, (n,) each."""
        n, dtype = (checks.count(cls.__name__, "n", n),
                    checks.float_type(cls.__name__, "dtype", dtype))
        checks.room(cls.__name__, "n", (n,))
        return np.ones(n, dtype), np.zeros(n, dtype)

    def scale_and_shift(self, u: Array) -> Array:
        """y = gamma · u + beta. The last axis of u holds the features once, in a line once for
        every pixel, so gamma and beta are tiled."""
        gamma, beta = self.params
        y = u * tiled(gamma, u)
        y += tiled(beta, u)
        return y

    def scale_and_shift_back(self, dout: Array, u: Array) -> Array:
        """dL/du = gamma · dL/dy, and dL/dgamma = Σ dL/dy · u, dL/dbeta = Σ dL/dy, with Σ over all
        axes but that of the features or channels."""
        (gamma, _), (dgamma, dbeta) = self.params, self.grads
        dgamma[...] = sums_in_lines(dout * u, len(gamma))
        dbeta[...] = sums_in_lines(dout, len(gamma))
        return dout * tiled(gamma, u)


class LayerNorm(Normalization):
    """y = gamma · (x - μ) / √(σ² + eps) + beta, mean μ and variance σ² over the last axis: each
    sample by itself.

    Shapes: x and y (N, ..., D), gamma and beta (D,).

    Backward. With u = (x - μ) s, s = 1 / √(σ² + eps), means over the last axis, and Σ over all axes
    but that one,

        dL/dgamma = Σ dL/dy · u        dL/dbeta = Σ dL/dy        dL/du = gamma · dL/dy
        dL/dx = s · (dL/du - mean(dL/du) - u · mean(dL/du · u))

    the last because every x_j moves μ and s, which every u_k contains. With ∂σ²/∂x_j =
    2 (x_j - μ) / D, and [j = k] = 1 if j = k, else 0,

        ∂μ/∂x_j = 1/D        ∂s/∂x_j = -½ s³ ∂σ²/∂x_j = -s² u_j / D
        ∂u_k/∂x_j = s ([j = k] - 1/D) + (x_k - μ) ∂s/∂x_j = s ([j = k] - 1/D - u_j u_k / D)

    and dL/dx_j = Σ_k dL/du_k ∂u_k/∂x_j is the line above. Source: Ba, Kiros and Hinton, Layer
    normalization (2016).

    >>> layer = LayerNorm(gamma=np.array([1.0, 1.0]), beta=np.array([0.0, 5.0]), eps=0)
    >>> layer.forward(np.array([[10.0, 20.0]]))
    array([[-1.,  6.]])
    >>> layer.backward(np.array([[1.0, 0.0]]))                 # two values can only become -1 and 1
    array([[0., 0.]])
    """
    shapes = "x (N, ..., D), gamma (D), beta (D) -> y (N, ..., D)"

    def __init__(self, gamma: Array, beta: Array, eps: float = 1e-5) -> None:
        super().__init__(gamma, beta, eps)

    @classmethod
    def init(cls, n: int, eps: float = 1e-5, dtype: DType = np.float32) -> Self:
        """A layer with gamma = 1 and beta = 0.

        n: how many features there are, D.
        eps: what is added to the variance, a number of at least 0.
        dtype: np.float32 or np.float64, that of gamma and beta.
        """
        return cls(*cls.fresh(n, dtype), eps)

    def forward(self, x):
        u, s, *_ = standardize(x, row_means, self.eps)
        self.cache = u, s
        return self.scale_and_shift(u)

    def backward(self, dout):
        u, s = self.cache
        du = self.scale_and_shift_back(dout, u)
        return standardize_back(du, u, s, row_means) if self.input_gradient else None


class GroupNorm(Normalization):
    """y = gamma · (x - μ) / √(σ² + eps) + beta, mean μ and variance σ² over a group of C / groups
    channels of one sample.

    Shapes: x and y (N, C, ...), gamma and beta (C,). One group is layer normalisation over all of a
    sample (but with one gamma and beta for each channel), C groups "instance normalisation". The
    size of the batch does not matter.

    Backward: as for LayerNorm, with means over a sample's group, and Σ over all axes but that of
    the channels. Source: Wu and He, Group normalization (2018).

    >>> layer = GroupNorm(gamma=np.array([1.0, 1.0]), beta=np.array([0.0, 5.0]), groups=2, eps=0)
    >>> layer.forward(np.array([[[10.0, 20.0], [1.0, 3.0]]]))
    array([[[-1.,  1.],
            [ 4.,  6.]]])
    >>> layer.backward(np.array([[[1.0, 1.0], [1.0, 0.0]]]))
    array([[[0., 0.],
            [0., 0.]]])
    """
    shapes = "x (N, C, ...), gamma (C), beta (C) -> y (N, C, ...)"

    def __init__(self, gamma: Array, beta: Array, groups: int, eps: float = 1e-5) -> None:
        super().__init__(gamma, beta, eps)
        self.groups = checks.count("GroupNorm", "groups", groups)
        if len(gamma) % groups:
            raise ValueError(checks.wrong("GroupNorm", "groups",
                                          f"divide the number of channels, {len(gamma)}", groups))

    @classmethod
    def init(cls, n: int, groups: int, eps: float = 1e-5, dtype: DType = np.float32) -> Self:
        """A layer with gamma = 1 and beta = 0.

        n: how many channels there are, C.
        groups: into how many parts of equal size they fall.
        eps: what is added to the variance, a number of at least 0.
        dtype: np.float32 or np.float64, that of gamma and beta.
        """
        return cls(*cls.fresh(n, dtype), groups, eps)

    def forward(self, x):
        means = group_means(x.shape[1], self.groups)
        lines = as_lines(x)                 # by samples, (N, H, W C): a mean stays within a sample
        u, s, *_ = standardize(lines.reshape(len(x), -1, lines.shape[1]), means, self.eps)
        self.cache = u, s, x.shape, means
        return from_lines(self.scale_and_shift(u), x.shape)

    def backward(self, dout):
        u, s, shape, means = self.cache
        du = self.scale_and_shift_back(as_lines(dout).reshape(u.shape), u)
        return from_lines(standardize_back(du, u, s, means), shape) if self.input_gradient else None


class BatchNorm(Normalization):
    """y = gamma · (x - μ) / √(σ² + eps) + beta, mean μ and variance σ² of each channel over the
    batch (and over the image).

    Shapes: x and y (N, C) or (N, C, H, W), or with any other axes after C, gamma and beta (C,).

    In training μ and σ² are those of the batch, of M values for each channel (N, of images N H W),
    and the running ones follow them:

        running = (1 - momentum) · running + momentum · batch

    where the variance goes in as its unbiased estimate σ² M / (M - 1), as in PyTorch, or with
    ``unbiased=False`` as σ², as in Keras 3 (whose momentum is 1 minus this one). A batch whose
    variance overflows does not move them. In evaluation mode μ and σ² are the running ones, and
    samples no longer depend on each other. ``running_mean`` and ``running_var`` are kept in
    ``buffers``.

    Backward, in training: as for LayerNorm, with means over the batch (and the image) in place of
    the last axis, and Σ over all axes but that of the channels. In evaluation mode μ and
    s = 1 / √(σ² + eps) are constants and

        dL/dx = gamma · s · dL/dy

    Raises ValueError in training for a single value per channel: its variance is 0, and y would be
    beta whatever x is.
    Source: Ioffe and Szegedy, Batch normalization (2015).

    >>> layer = BatchNorm(gamma=np.array([1.0, 2.0]), beta=np.array([0.0, 5.0]), eps=0)
    >>> layer.forward(np.array([[10.0, 0.0], [20.0, 4.0]]))
    array([[-1.,  3.],
           [ 1.,  7.]])
    >>> layer.running_mean, layer.running_var
    (array([1.5, 0.2]), array([5.9, 1.7]))
    >>> # a shift of the whole batch changes nothing
    >>> layer.backward(np.array([[1.0, 1.0], [1.0, 1.0]]))
    array([[0., 0.],
           [0., 0.]])
    """
    shapes = "x (N, C, ...), gamma (C), beta (C) -> y (N, C, ...)"

    # their names in other books: an error says the one here
    moving_mean, moving_var = Renamed("running_mean"), Renamed("running_var")

    def __init__(
        self, gamma: Array, beta: Array, momentum: float = 0.1, eps: float = 1e-5,
        unbiased: bool = True,
    ) -> None:
        super().__init__(gamma, beta, eps)
        self.unbiased = checks.flag("BatchNorm", "unbiased", unbiased)
        self.momentum = checks.number("BatchNorm", "momentum", momentum, 0, 1,
                                      "be a number in 0..1")
        self.buffers["running_mean"] = np.zeros_like(gamma)
        self.buffers["running_var"] = np.ones_like(gamma)

    @classmethod
    def init(
        cls, n: int, momentum: float = 0.1, eps: float = 1e-5, unbiased: bool = True,
        dtype: DType = np.float32,
    ) -> Self:
        """A layer with gamma = 1 and beta = 0.

        n: how many features or channels there are, C.
        momentum: how far running mean and variance go towards those of each batch, 0..1.
        eps: what is added to the variance, a number of at least 0.
        unbiased: False: the running variance follows σ² itself.
        dtype: np.float32 or np.float64, that of gamma and beta.
        """
        return cls(*cls.fresh(n, dtype), momentum, eps, unbiased)

    @property
    def running_mean(self) -> Array:
        return self.buffers["running_mean"]

    @property
    def running_var(self) -> Array:
        return self.buffers["running_var"]

    def forward(self, x):
        lines, C = as_lines(x), x.shape[1]
        if self.training:
            self.check_batch(x)
            u, s, mu, var = standardize(lines, channel_means(C), self.eps)
            self.follow(mu[:C], var[:C], M=x.size // C)
        else:
            s = tiled(1 / np.sqrt(self.running_var + self.eps), lines)
            u = (lines - tiled(self.running_mean, lines)) * s
        self.cache = u, s, x.shape, self.training
        return from_lines(self.scale_and_shift(u), x.shape)

    def backward(self, dout):
        u, s, shape, in_training = self.cache
        du = self.scale_and_shift_back(as_lines(dout), u)
        if not self.input_gradient:
            return None
        return from_lines(standardize_back(du, u, s, channel_means(shape[1])) if in_training
                          else du * s, shape)

    def check_batch(self, x: Array) -> None:
        if x.size == x.shape[1]:
            raise ValueError(
                checks.wrong(
                    "BatchNorm", "x", "have more than one value per channel in training", x.shape,
                    "make the batch larger, or predict; if it is what is left of the "
                    "data at the end of an epoch, fit(..., drop_last=True) or another batch_size"))

    def follow(self, mu: Array, var: Array, M: int) -> None:
        """Move the running mean and variance towards those of a batch, with M values for each
        channel."""
        if np.isfinite(var).all():
            for running, batch in ((self.running_mean, mu),
                                   (self.running_var, var * (M / (M - 1) if self.unbiased else 1))):
                running += self.momentum * (batch - running)
