"""Normalisation as loops: a row, or a sample, is read from memory once and written once.

In the cache stand x itself and, for each row, channel or group, mean μ and scale s: u = (x - μ) s
is made again in backward, which costs less than to fetch it.
"""
import numpy as np

from ..channels import as_lines, from_lines
from ..threads import spread
from . import Kept, Loop

WORK = 8             # what an entry of a normalisation counts in ``spread``, in multiplications
BLOCK = 1 << 16      # entries that are read twice while they are in the cache
LONG = 64            # columns of a line


class LayerNorm:
    @staticmethod
    def forward(layer, x):
        (gamma, beta), D = layer.params, x.shape[-1]
        rows = np.ascontiguousarray(x).reshape(-1, D)
        y, (mu, s) = np.empty_like(rows), np.empty((2, len(rows)), x.dtype)
        eps = x.dtype.type(layer.eps)
        spread(lambda part: rows_forward(rows[part], gamma, beta, eps, y[part], mu[part], s[part]),
               len(rows), WORK * x.size)
        layer.cache = Kept((rows, mu, s))
        return y.reshape(x.shape)

    @staticmethod
    def backward(layer, dout):
        (gamma, _), (dgamma, dbeta), (x, mu, s) = layer.params, layer.grads, layer.cache
        dy = np.ascontiguousarray(dout).reshape(x.shape)
        dx = np.empty_like(x)

        def job(part):
            sums = np.zeros((2, len(gamma)), x.dtype)
            rows_backward(dy[part], x[part], gamma, mu[part], s[part], dx[part], *sums)
            return sums

        dgamma[...], dbeta[...] = sum(spread(job, len(x), WORK * x.size))
        return dx.reshape(dout.shape) if layer.input_gradient else None


@Loop
def rows_forward(x, gamma, beta, eps, y, mu, s):
    """y = gamma (x - μ) s + beta, mean μ and s = 1 / √(σ² + eps) of each row."""
    one = gamma.dtype.type(1)
    M, D = x.shape
    for r in range(M):
        total = 0 * one
        for j in range(D):
            total += x[r, j]
        mean = total / gamma.dtype.type(D)
        squares = 0 * one
        for j in range(D):
            squares += (x[r, j] - mean) * (x[r, j] - mean)
        scale = one / np.sqrt(squares / gamma.dtype.type(D) + eps)
        mu[r], s[r] = mean, scale
        for j in range(D):
            y[r, j] = gamma[j] * ((x[r, j] - mean) * scale) + beta[j]


@Loop
def rows_backward(dy, x, gamma, mu, s, dx, dgamma, dbeta):
    """dx = s (du - mean(du) - u mean(du u)) with du = gamma dy; the sums of dy u and dy are added
    to dgamma and dbeta."""
    M, D = x.shape
    n = gamma.dtype.type(D)
    for r in range(M):
        mean, scale = mu[r], s[r]
        first = second = gamma.dtype.type(0)
        for j in range(D):
            u = (x[r, j] - mean) * scale
            du = dy[r, j] * gamma[j]
            first += du
            second += du * u
            dgamma[j] += dy[r, j] * u
            dbeta[j] += dy[r, j]
        first /= n
        second /= n
        for j in range(D):
            u = (x[r, j] - mean) * scale
            dx[r, j] = scale * (dy[r, j] * gamma[j] - first - u * second)


class BatchNorm:
    @staticmethod
    def forward(layer, x):
        if not layer.training:
            return None
        (gamma, beta), C, kind = layer.params, x.shape[1], layout(x)
        layer.check_batch(x)
        a = kind.matrix(x)
        mu, var = kind.moments(a, C)
        layer.follow(mu, var, M=x.size // C)
        s = 1 / np.sqrt(var + x.dtype.type(layer.eps))
        y = kind.scaled(a, mu, s * gamma, beta)
        layer.cache = Kept((a, mu, s, kind))
        return kind.back(y, x.shape)

    @staticmethod
    def backward(layer, dout):
        (gamma, _), (dgamma, dbeta), (x, mu, s, kind) = layer.params, layer.grads, layer.cache
        dy, M = kind.matrix(dout), x.size // len(gamma)
        dbeta[...], dgamma[...] = kind.sums(dy, x, mu, s)
        if not layer.input_gradient:
            return None
        # s (gamma dy - mean(gamma dy) - u mean(gamma dy u)), as a number times dy, x and 1 each
        a, b = s * gamma, -s * s * gamma * dgamma / M
        dx = kind.combined(dy, a, x, b, -a * dbeta / M - b * mu)
        return kind.back(dx, dout.shape)


class GroupNorm:
    @staticmethod
    def forward(layer, x):
        (gamma, beta), kind = layer.params, layout(x)
        a = kind.samples(x)
        y, (mu, s) = np.empty_like(a), np.empty((2, len(a), layer.groups), x.dtype)
        eps = x.dtype.type(layer.eps)
        spread(lambda part: kind.groups_forward(a[part], gamma, beta, eps, y[part], mu[part],
                                                s[part]), len(a), WORK * x.size)
        layer.cache = Kept((a, mu, s, kind))
        return kind.back(y, x.shape)

    @staticmethod
    def backward(layer, dout):
        (gamma, _), (dgamma, dbeta), (x, mu, s, kind) = layer.params, layer.grads, layer.cache
        dy, dx = kind.samples(dout), np.empty_like(x)

        def job(part):
            sums = np.zeros((2, len(gamma)), x.dtype)
            kind.groups_backward(dy[part], x[part], gamma, mu[part], s[part], dx[part], *sums)
            return sums

        dgamma[...], dbeta[...] = sum(spread(job, len(x), WORK * x.size))
        return kind.back(dx, dout.shape) if layer.input_gradient else None


class Planes:
    """x (N, C, ...) in the order in which it reads: a matrix (N C, S), each row of one channel."""

    def matrix(x):
        return np.ascontiguousarray(x).reshape(x.shape[0] * x.shape[1], -1)

    def samples(x):
        return np.ascontiguousarray(x).reshape(*x.shape[:2], -1)

    def back(a, shape):
        return a.reshape(shape)

    def groups_forward(*arrays):
        plane_groups_forward(*arrays)

    def groups_backward(*arrays):
        plane_groups_backward(*arrays)

    def each(values, a):
        """A number for every row, from one for each channel."""
        return np.tile(values, len(a) // len(values))

    def row_moments(a):
        mu, var = np.empty((2, len(a)), a.dtype)
        share(row_moments, a, mu, var)
        return mu, var

    def row_sums(dy, a, mu, s):
        first, second = np.empty((2, len(a)), a.dtype)
        share(row_sums, dy, a, Planes.each(mu, a), Planes.each(s, a), first, second)
        return first, second

    def moments(a, C):
        return together(1, *(m.reshape(-1, C) for m in Planes.row_moments(a)))

    def sums(dy, a, mu, s):
        return (m.reshape(-1, len(mu)).sum(axis=0) for m in Planes.row_sums(dy, a, mu, s))

    def scaled(a, mu, k, b):
        y = np.empty_like(a)
        share(scale_rows, a, *(Planes.each(m, a) for m in (mu, k, b)), y)
        return y

    def combined(dy, k, a, b, c):
        dx = np.empty_like(a)
        share(combine_rows, dy, Planes.each(k, a), a, Planes.each(b, a), Planes.each(c, a), dx)
        return dx


class Lines:
    """x (N, C, ..., W) with channels last: a matrix (M, w C), some pixels in a row, as many as it
    takes for long lines; what is done to a channel is done to all its columns."""

    def matrix(x):
        C, W = x.shape[1], x.shape[-1] if x.ndim > 2 else 1
        w = next(w for w in range(1, W + 1) if W % w == 0 and (w * C >= LONG or w == W))
        return np.ascontiguousarray(as_lines(x)).reshape(-1, w * C)

    def samples(x):
        return np.ascontiguousarray(as_lines(x)).reshape(len(x), -1, x.shape[1])

    def back(a, shape):
        return from_lines(a, shape)

    def groups_forward(*arrays):
        groups_forward(*arrays)

    def groups_backward(*arrays):
        groups_backward(*arrays)

    def each(values, a):
        return np.tile(values, a.shape[1] // len(values))

    def moments(a, C):
        """A few lines at a time: what is in the cache is read a second time for its variance."""
        lines = max(1, BLOCK // a.shape[1])
        blocks = range(0, len(a), lines)
        mus, variances = np.empty((2, len(blocks), a.shape[1]), a.dtype)

        def job(part):
            for k in range(part.start, part.stop):
                column_moments(a[k * lines:(k + 1) * lines], mus[k], variances[k])

        spread(job, len(blocks), WORK * a.size)
        n = np.array([len(a[i:i + lines]) for i in blocks], a.dtype)[:, None]
        mu, var = together(n, mus, variances)
        return together(1, mu.reshape(-1, C), var.reshape(-1, C))

    def sums(dy, a, mu, s):
        mu, s, C = Lines.each(mu, a), Lines.each(s, a), len(mu)

        def job(part):
            sums = np.zeros((2, a.shape[1]), a.dtype)
            column_sums(dy[part], a[part], mu, s, *sums)
            return sums

        return sum(spread(job, len(a), WORK * a.size)).reshape(2, -1, C).sum(axis=1)

    def scaled(a, mu, k, b):
        y, (mu, k, b) = np.empty_like(a), (Lines.each(m, a) for m in (mu, k, b))
        spread(lambda part: scale_columns(a[part], mu, k, b, y[part]), len(a), WORK * a.size)
        return y

    def combined(dy, k, a, b, c):
        dx, (k, b, c) = np.empty_like(a), (Lines.each(m, a) for m in (k, b, c))
        spread(lambda part: combine_columns(dy[part], k, a[part], b, c, dx[part]), len(a),
               WORK * a.size)
        return dx


def layout(x):
    """Planes where those are long and one stretch of memory each, else Lines."""
    return Planes if x.ndim > 2 and x.flags.c_contiguous and x[0, 0].size >= 16 else Lines


def share(loop, *arrays):
    """The loop over the rows of all arrays, a share for each thread."""
    size = max(a.size for a in arrays)
    spread(lambda part: loop(*[a[part] for a in arrays]), len(arrays[0]), WORK * size)


def together(n, mus, variances):
    """Mean and variance of the whole from those of its parts, ``n`` values each:
    σ² = Σ n_i (σ_i² + (μ_i - μ)²) / Σ n_i."""
    n = np.broadcast_to(n, mus.shape)
    total = n.sum(axis=0).astype(mus.dtype)
    mu = (n * mus).sum(axis=0, dtype=mus.dtype) / total
    var = (n * (variances + (mus - mu) ** 2)).sum(axis=0, dtype=mus.dtype)
    return mu, var / total


@Loop
def row_moments(x, mu, var):
    M, S = x.shape
    n = mu.dtype.type(S)
    for r in range(M):
        total = squares = 0 * n
        for j in range(S):
            total += x[r, j]
        mean = total / n
        for j in range(S):
            squares += (x[r, j] - mean) * (x[r, j] - mean)
        mu[r], var[r] = mean, squares / n


@Loop
def row_sums(dy, x, mu, s, first, second):
    """Σ dy and Σ dy u, u = (x - μ) s."""
    M, S = x.shape
    for r in range(M):
        mean, scale = mu[r], s[r]
        a = b = 0 * mean
        for j in range(S):
            a += dy[r, j]
            b += dy[r, j] * ((x[r, j] - mean) * scale)
        first[r], second[r] = a, b


@Loop
def scale_rows(x, mu, k, b, y):
    """y = (x - μ) k + b."""
    M, S = x.shape
    for r in range(M):
        mean, factor, shift = mu[r], k[r], b[r]
        for j in range(S):
            y[r, j] = (x[r, j] - mean) * factor + shift


@Loop
def combine_rows(dy, k, x, b, c, dx):
    """dx = k dy + b x + c."""
    M, S = x.shape
    for r in range(M):
        kr, br, cr = k[r], b[r], c[r]
        for j in range(S):
            dx[r, j] = kr * dy[r, j] + br * x[r, j] + cr


# In the loops below arrays made on the spot take part: the compiler knows that nothing else is in
# their memory, and makes vectors of the inner loops.

@Loop
def column_moments(x, mu, var):
    M, L = x.shape
    n = mu.dtype.type(M)
    mean, squares = np.zeros(L, x.dtype), np.zeros(L, x.dtype)
    for i in range(M):
        for c in range(L):
            mean[c] += x[i, c]
    for c in range(L):
        mean[c] /= n
    for i in range(M):
        for c in range(L):
            squares[c] += (x[i, c] - mean[c]) * (x[i, c] - mean[c])
    for c in range(L):
        mu[c], var[c] = mean[c], squares[c] / n


@Loop
def column_sums(dy, x, mu, s, first, second):
    M, L = x.shape
    mean, scale = mu.copy(), s.copy()
    a, b = np.zeros(L, x.dtype), np.zeros(L, x.dtype)
    for i in range(M):
        for c in range(L):
            a[c] += dy[i, c]
            b[c] += dy[i, c] * ((x[i, c] - mean[c]) * scale[c])
    first[:], second[:] = a, b


@Loop
def scale_columns(x, mu, k, b, y):
    M, L = x.shape
    mean, factor, shift = mu.copy(), k.copy(), b.copy()
    for i in range(M):
        for c in range(L):
            y[i, c] = (x[i, c] - mean[c]) * factor[c] + shift[c]


@Loop
def combine_columns(dy, k, x, b, c, dx):
    M, L = x.shape
    k, b, c = k.copy(), b.copy(), c.copy()
    for i in range(M):
        for j in range(L):
            dx[i, j] = k[j] * dy[i, j] + b[j] * x[i, j] + c[j]


@Loop
def groups_forward(x, gamma, beta, eps, y, mu, s):
    """As ``rows_forward``, over the channels of a group at all pixels of a sample."""
    N, S, C = x.shape
    G = mu.shape[1]
    width = C // G
    n = gamma.dtype.type(S * width)
    a, b = np.empty(C, x.dtype), np.empty(C, x.dtype)
    for k in range(N):
        a[:] = 0
        for i in range(S):
            for c in range(C):
                a[c] += x[k, i, c]
        for g in range(G):
            mu[k, g] = a[g * width:(g + 1) * width].sum() / n
        for c in range(C):
            a[c] = mu[k, c // width]
        b[:] = 0
        for i in range(S):
            for c in range(C):
                b[c] += (x[k, i, c] - a[c]) * (x[k, i, c] - a[c])
        for g in range(G):
            variance = b[g * width:(g + 1) * width].sum() / n
            s[k, g] = gamma.dtype.type(1) / np.sqrt(variance + eps)
        for c in range(C):
            b[c] = s[k, c // width] * gamma[c]
        for i in range(S):
            for c in range(C):
                y[k, i, c] = (x[k, i, c] - a[c]) * b[c] + beta[c]


@Loop
def groups_backward(dy, x, gamma, mu, s, dx, dgamma, dbeta):
    N, S, C = x.shape
    G = mu.shape[1]
    width = C // G
    n = gamma.dtype.type(S * width)
    mean, scale = np.empty(C, x.dtype), np.empty(C, x.dtype)
    first, second = np.empty(C, x.dtype), np.empty(C, x.dtype)
    for k in range(N):
        for c in range(C):
            mean[c], scale[c] = mu[k, c // width], s[k, c // width]
        first[:] = 0
        second[:] = 0
        for i in range(S):
            for c in range(C):
                first[c] += dy[k, i, c]
                second[c] += dy[k, i, c] * ((x[k, i, c] - mean[c]) * scale[c])
        for c in range(C):
            dbeta[c] += first[c]
            dgamma[c] += second[c]
            first[c] *= gamma[c]
            second[c] *= gamma[c]
        for g in range(G):
            first[g * width:(g + 1) * width] = first[g * width:(g + 1) * width].sum() / n
            second[g * width:(g + 1) * width] = second[g * width:(g + 1) * width].sum() / n
        for i in range(S):
            for c in range(C):
                u = (x[k, i, c] - mean[c]) * scale[c]
                dx[k, i, c] = scale[c] * (dy[k, i, c] * gamma[c] - first[c] - u * second[c])


@Loop
def plane_groups_forward(x, gamma, beta, eps, y, mu, s):
    """The same for x (N, C, S), where the channels of a group are one stretch of memory."""
    N, C, S = x.shape
    G = mu.shape[1]
    width = C // G
    n = gamma.dtype.type(S * width)
    for k in range(N):
        for g in range(G):
            channels = range(g * width, (g + 1) * width)
            total = squares = 0 * n
            for c in channels:
                for i in range(S):
                    total += x[k, c, i]
            mean = total / n
            for c in channels:
                for i in range(S):
                    squares += (x[k, c, i] - mean) * (x[k, c, i] - mean)
            scale = gamma.dtype.type(1) / np.sqrt(squares / n + eps)
            mu[k, g], s[k, g] = mean, scale
            for c in channels:
                factor, shift = scale * gamma[c], beta[c]
                for i in range(S):
                    y[k, c, i] = (x[k, c, i] - mean) * factor + shift


@Loop
def plane_groups_backward(dy, x, gamma, mu, s, dx, dgamma, dbeta):
    N, C, S = x.shape
    G = mu.shape[1]
    width = C // G
    n = gamma.dtype.type(S * width)
    for k in range(N):
        for g in range(G):
            channels = range(g * width, (g + 1) * width)
            mean, scale = mu[k, g], s[k, g]
            first = second = 0 * n
            for c in channels:
                a = b = 0 * n
                for i in range(S):
                    a += dy[k, c, i]
                    b += dy[k, c, i] * ((x[k, c, i] - mean) * scale)
                dbeta[c] += a
                dgamma[c] += b
                first += a * gamma[c] / n
                second += b * gamma[c] / n
            for c in channels:
                factor = scale * gamma[c]
                slope = scale * scale * second
                shift = scale * first - slope * mean
                for i in range(S):
                    dx[k, c, i] = factor * dy[k, c, i] - slope * x[k, c, i] - shift
