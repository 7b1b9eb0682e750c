"""Normalisation: values with mean 0 and variance 1, over the batch, over a sample's features, or over groups of channels."""
import numpy as np

from ..common import checks
from ..common.layer import Layer


def standardize(x, axis, eps):
    """(u, s, μ, σ²): mean μ and variance σ² of a matrix x along one axis, s = 1 / √(σ² + eps) and u = (x - μ) · s."""
    mu = mean(x, axis)
    u = x - mu
    var = mean(u * u, axis)
    s = 1 / np.sqrt(var + x.dtype.type(eps))
    u *= s
    return u, s, mu, var


def standardize_back(du, u, s, axis):
    """dL/dx of u = standardize(x): what du has along the two directions that u cannot move in, (1, ..., 1) and u, is
    taken out.

        dL/dx = s · (du - mean(du) - u · mean(du · u))

    Every x of a line moves its mean and its variance too: with M values on the line ∂mean/∂x = 1/M and ∂s/∂x = -s² u
    / M.
    """
    dx = u * -mean(du * u, axis)
    dx += du
    dx -= mean(du, axis)
    dx *= s
    return dx


def mean(x, axis):
    """The mean of a matrix along one axis, which is kept; as a product with a vector of ones, 2-3 times as fast as ``x.mean``."""
    ones = np.ones(x.shape[axis], x.dtype)
    total = ones.dot(x)[None, :] if axis == 0 else x.dot(ones)[:, None]
    return total / x.dtype.type(len(ones))


class Normalization(Layer):
    """A scale gamma and a shift beta, one of each per feature or channel, and the small number eps under the root."""

    def __init__(self, gamma, beta, eps):
        who = type(self).__name__
        super().__init__(gamma=gamma, beta=beta)
        checks.array(who, "gamma", gamma, gamma.dtype, ("D",))
        checks.array(who, "beta", beta, beta.dtype, gamma.shape)
        self.eps = checks.number(who, "eps", eps, 0, expected="be a number of at least 0")

    @classmethod
    def init(cls, n, *options, dtype=np.float32, **named):
        """A layer for n features or channels with gamma = 1 and beta = 0; options as in the constructor."""
        n = checks.count(cls.__name__, "n", n)
        return cls(np.ones(n, dtype), np.zeros(n, dtype), *options, **named)

    def scale_and_shift(self, u):
        """y = gamma · u + beta, along the last axis of a matrix u."""
        gamma, beta = self.params
        y = u * gamma
        y += beta
        return y

    def scale_and_shift_back(self, dout, u):
        """dL/du = gamma · dL/dy, and dL/dgamma = Σ dL/dy · u, dL/dbeta = Σ dL/dy."""
        (gamma, _), (dgamma, dbeta) = self.params, self.grads
        ones = np.ones(len(u), u.dtype)
        np.dot(ones, dout * u, out=dgamma)
        np.dot(ones, dout, out=dbeta)
        return dout * gamma


class LayerNorm(Normalization):
    """y = gamma · (x - μ) / √(σ² + eps) + beta, mean μ and variance σ² over the last axis: each sample by itself.

    Shapes: x and y (N, ..., D), gamma and beta (D,).

    Backward. With u = (x - μ) s, s = 1 / √(σ² + eps), and means over the last axis,

        dL/dgamma = Σ dL/dy · u        dL/dbeta = Σ dL/dy        dL/du = gamma · dL/dy
        dL/dx = s · (dL/du - mean(dL/du) - u · mean(dL/du · u))

    the last for every x_j moves μ and σ, which every u_k contains: ∂u_k/∂x_j = s ([j = k] - 1/D - u_j u_k / D).
    Source: Ba, Kiros and Hinton, Layer normalization (2016).

    >>> layer = LayerNorm(gamma=np.array([1.0, 1.0]), beta=np.array([0.0, 5.0]), eps=0)
    >>> layer.forward(np.array([[10.0, 20.0]]))
    array([[-1.,  6.]])
    >>> layer.backward(np.array([[1.0, 0.0]]))                 # two values can only become -1 and 1
    array([[0., 0.]])
    """

    def __init__(self, gamma, beta, eps=1e-5):
        super().__init__(gamma, beta, eps)

    def forward(self, x):
        x = self.accept(x, last=len(self.params[0]))
        u, s, *_ = standardize(x.reshape(-1, x.shape[-1]), 1, self.eps)
        self.cache = u, s, x.shape
        return self.scale_and_shift(u).reshape(x.shape)

    def backward(self, dout):
        u, s, shape = self.recall()
        dout = self.upstream(dout, shape, u.dtype)
        du = self.scale_and_shift_back(dout.reshape(u.shape), u)
        return standardize_back(du, u, s, 1).reshape(shape) if self.input_gradient else None


class GroupNorm(Normalization):
    """y = gamma · (x - μ) / √(σ² + eps) + beta, mean μ and variance σ² over a group of C / groups channels of one
    sample.

    Shapes: x and y (N, C, ...), gamma and beta (C,). One group is layer normalisation over all of a sample, C groups
    "instance normalisation". The batch plays no part, however small it is.

    Backward: as for LayerNorm, with means over a sample's group, and sums for gamma and beta over all but the channels.
    Source: Wu and He, Group normalization (2018).

    >>> layer = GroupNorm(gamma=np.array([1.0, 1.0]), beta=np.array([0.0, 5.0]), groups=2, eps=0)
    >>> layer.forward(np.array([[[10.0, 20.0], [1.0, 3.0]]]))
    array([[[-1.,  1.],
            [ 4.,  6.]]])
    >>> layer.backward(np.array([[[1.0, 1.0], [1.0, 0.0]]]))
    array([[[0., 0.],
            [0., 0.]]])
    """

    def __init__(self, gamma, beta, groups, eps=1e-5):
        super().__init__(gamma, beta, eps)
        self.groups = checks.count("GroupNorm", "groups", groups)
        if len(gamma) % groups:
            raise ValueError(checks.wrong("GroupNorm", "groups", f"divide the number of channels, {len(gamma)}", groups))

    def forward(self, x):
        x = self.accept(x, shape=("N", len(self.params[0]), ...))
        u, s, *_ = standardize(x.reshape(len(x) * self.groups, -1), 1, self.eps)
        self.cache = u, s, x.shape
        gamma, beta = (p[:, None] for p in self.params)
        y = gamma * u.reshape(len(x), len(gamma), -1)
        y += beta
        return y.reshape(x.shape)

    def backward(self, dout):
        u, s, shape = self.recall()
        (gamma, _), (dgamma, dbeta) = self.params, self.grads
        dout = self.upstream(dout, shape, u.dtype).reshape(shape[0], len(gamma), -1)
        (dout * u.reshape(dout.shape)).sum(axis=(0, 2), out=dgamma)
        dout.sum(axis=(0, 2), out=dbeta)
        if not self.input_gradient:
            return None
        return standardize_back((dout * gamma[:, None]).reshape(u.shape), u, s, 1).reshape(shape)


class BatchNorm(Normalization):
    """y = gamma · (x - μ) / √(σ² + eps) + beta, mean μ and variance σ² of each channel over the batch (and over the
    image).

    Shapes: x and y (N, C) or (N, C, H, W), or with any other axes behind C, gamma and beta (C,).

    In training μ and σ² are those of the batch, of M = N H W values for each channel, and the running ones follow them:

        running = (1 - momentum) · running + momentum · batch

    where the variance goes in as its unbiased estimate σ² M / (M - 1), as in PyTorch. In evaluation mode μ and σ² are
    the running ones, and samples no longer depend on each other. ``running_mean`` and ``running_var`` are kept in
    ``buffers``.

    Backward, in training: as for LayerNorm, with means over the batch. In evaluation mode μ and s are constants and

        dL/dx = gamma · s · dL/dy

    Raises ValueError in training for a single value per feature: it has no variance.
    Source: Ioffe and Szegedy, Batch normalization (2015).

    >>> layer = BatchNorm(gamma=np.array([1.0, 2.0]), beta=np.array([0.0, 5.0]), eps=0)
    >>> layer.forward(np.array([[10.0, 0.0], [20.0, 4.0]]))
    array([[-1.,  3.],
           [ 1.,  7.]])
    >>> layer.running_mean, layer.running_var
    (array([1.5, 0.2]), array([5.9, 1.7]))
    >>> layer.backward(np.array([[1.0, 1.0], [1.0, 1.0]]))     # a shift of the whole batch changes nothing
    array([[0., 0.],
           [0., 0.]])
    """
    couples_samples = True

    def __init__(self, gamma, beta, momentum=0.1, eps=1e-5):
        super().__init__(gamma, beta, eps)
        self.momentum = checks.number("BatchNorm", "momentum", momentum, 0, 1, "be a number in 0..1")
        self.buffers["running_mean"], self.buffers["running_var"] = np.zeros_like(gamma), np.ones_like(gamma)

    running_mean = property(lambda self: self.buffers["running_mean"])
    running_var = property(lambda self: self.buffers["running_var"])

    def forward(self, x):
        x = self.accept(x, shape=("N", len(self.params[0]), ...))
        rows = as_rows(x)
        if self.training:
            M = len(rows)
            if M == 1:
                raise ValueError(checks.wrong("BatchNorm", "x", "have more than one value per channel in training", x.shape,
                                              "make the batch larger, or predict"))
            u, s, mu, var = standardize(rows, 0, self.eps)
            for running, batch in ((self.running_mean, mu[0]), (self.running_var, var[0] * (M / (M - 1)))):
                running += self.momentum * (batch - running)
        else:
            s = 1 / np.sqrt(self.running_var + x.dtype.type(self.eps))
            u = (rows - self.running_mean) * s
        self.cache = u, s, x.shape
        return from_rows(self.scale_and_shift(u), x.shape)

    def backward(self, dout):
        u, s, shape = self.recall()
        du = self.scale_and_shift_back(as_rows(self.upstream(dout, shape, u.dtype)), u)
        if not self.input_gradient:
            return None
        # In training s keeps its axis: (1, C).
        return from_rows(standardize_back(du, u, s, 0) if s.ndim == 2 else du * s, shape)


def as_rows(x):
    """(N, C, H, W) as (N · H · W, C); a matrix as it is."""
    return np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])


def from_rows(rows, shape):
    """The inverse of as_rows, for this shape of x."""
    N, C, *rest = shape
    return np.moveaxis(rows.reshape(N, *rest, C), -1, 1)
