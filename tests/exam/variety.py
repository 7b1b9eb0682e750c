"""All kinds of layers, each faulty one written out by itself."""
import zlib
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

CASES = []


class _R:
    """A small generator of inputs, the same at every make()."""

    def __init__(self, name):
        self.g = np.random.default_rng(zlib.crc32(name.encode()))

    def __call__(self, *s):
        return self.g.normal(size=s)

    def u(self, lo, hi, *s):
        return self.g.uniform(lo, hi, size=s)

    def far(self, *s):
        """Of both signs, away from zero."""
        return self.g.choice([-1.0, 1.0], size=s) * self.g.uniform(0.2, 1.6, size=s)

    def ids(self, n, *s):
        return self.g.integers(0, n, size=s)

    def perm(self, *s):
        """Distinct values, well apart (no ties for a maximum)."""
        n = int(np.prod(s))
        return ((self.g.permutation(n) - n / 2 + 0.3) * 0.17).reshape(s)


def add(codes, name, build):
    def make():
        return build(_R(name))
    CASES.append((codes, name, make))


def sigm(z):
    return 1.0 / (1.0 + np.exp(-z))


def smax(z, axis=-1):
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


class Layer:
    params = ()
    grads = ()

    def own(self, *ps):
        self.params = list(ps)
        self.grads = [np.zeros_like(p) for p in ps]


# ------------------------------------------------------------------ dense
class Affine(Layer):
    def __init__(self, W, b):
        self.own(W, b)

    def forward(self, x):
        self.x = x
        return x @ self.params[0] + self.params[1]

    def backward(self, dout):
        W, b = self.params
        self.grads[0][...] = self.x.T @ dout
        self.grads[1][...] = dout.sum(axis=0)
        return dout @ W.T


class LinearOI:
    """torch-like (out, in) weights, dict cache."""

    def __init__(self, weight, bias):
        self.p = {'weight': weight, 'bias': bias}
        self.g = {k: np.zeros_like(v) for k, v in self.p.items()}
        self.params = [self.p['weight'], self.p['bias']]
        self.grads = [self.g['weight'], self.g['bias']]
        self.cache = {}

    def forward(self, x):
        self.cache['x'] = x
        return np.einsum('...i,oi->...o', x, self.p['weight']) + self.p['bias']

    def backward(self, dout):
        x = self.cache['x']
        d2 = dout.reshape(-1, dout.shape[-1])
        np.matmul(d2.T, x.reshape(-1, x.shape[-1]), out=self.g['weight'])
        np.sum(d2, axis=0, out=self.g['bias'])
        return d2.dot(self.p['weight']).reshape(x.shape)


class AffineReLU(Layer):
    def __init__(self, W, b):
        self.own(W, b)

    def forward(self, x):
        z = x @ self.params[0] + self.params[1]
        self.cache = x, z > 0
        return np.where(z > 0, z, 0.0)

    def backward(self, dout):
        x, on = self.cache
        dz = dout * on
        self.grads[0][...] = x.T @ dz
        self.grads[1][...] = dz.sum(0)
        return dz @ self.params[0].T


class MLP(Layer):
    """x -> tanh(x W1 + b1) W2 + b2"""

    def __init__(self, W1, b1, W2, b2):
        self.own(W1, b1, W2, b2)

    def forward(self, x):
        W1, b1, W2, b2 = self.params
        self.x = x
        self.h = np.tanh(x @ W1 + b1)
        return self.h @ W2 + b2

    def backward(self, dout):
        W1, b1, W2, b2 = self.params
        dh = dout @ W2.T
        da = dh * (1 - self.h ** 2)
        for g, v in zip(self.grads, (self.x.T @ da, da.sum(0), self.h.T @ dout, dout.sum(0))):
            g[...] = v
        return da @ W1.T


class Bilinear(Layer):
    """y[n,k] = a[n] W[k] b[n]"""

    def __init__(self, W):
        self.own(W)

    def forward(self, a, b):
        self.a, self.b = a, b
        return np.einsum('ni,kij,nj->nk', a, self.params[0], b)

    def backward(self, dout):
        W = self.params[0]
        self.grads[0][:] = np.einsum('nk,ni,nj->kij', dout, self.a, self.b)
        return np.einsum('nk,kij,nj->ni', dout, W, self.b), np.einsum('nk,kij,ni->nj', dout, W, self.a)


class Residual(Layer):
    """x + relu(x W1) W2"""

    def __init__(self, W1, W2):
        self.own(W1, W2)

    def forward(self, x):
        self.x = x
        self.z = x @ self.params[0]
        self.a = np.maximum(self.z, 0)
        return x + self.a @ self.params[1]

    def backward(self, dout):
        W1, W2 = self.params
        self.grads[1][...] = self.a.T @ dout
        dz = (dout @ W2.T) * (self.z > 0)
        self.grads[0][...] = self.x.T @ dz
        return dout + dz @ W1.T


class Highway(Layer):
    def __init__(self, Wh, bh, Wt, bt):
        self.own(Wh, bh, Wt, bt)

    def forward(self, x):
        Wh, bh, Wt, bt = self.params
        h = np.tanh(x @ Wh + bh)
        t = sigm(x @ Wt + bt)
        self.c = (x, h, t)
        return t * h + (1 - t) * x

    def backward(self, dout):
        Wh, bh, Wt, bt = self.params
        x, h, t = self.c
        dzh = dout * t * (1 - h * h)
        dzt = dout * (h - x) * t * (1 - t)
        self.grads[0][...] = x.T @ dzh
        self.grads[1][...] = dzh.sum(0)
        self.grads[2][...] = x.T @ dzt
        self.grads[3][...] = dzt.sum(0)
        return dzh @ Wh.T + dzt @ Wt.T + dout * (1 - t)


class GLU:
    def forward(self, x):
        self.a, self.b = np.split(x, 2, axis=-1)
        self.s = sigm(self.b)
        return self.a * self.s

    def backward(self, dout):
        return np.concatenate([dout * self.s, dout * self.a * self.s * (1 - self.s)], axis=-1)


class TiedAutoencoder(Layer):
    """sigmoid(x W + b) W^T + c : the same W twice"""

    def __init__(self, W, b, c):
        self.own(W, b, c)

    def forward(self, x):
        W, b, c = self.params
        self.x, self.h = x, sigm(x @ W + b)
        return self.h @ W.T + c

    def backward(self, dout):
        W, b, c = self.params
        dz = (dout @ W) * self.h * (1 - self.h)
        self.grads[0][...] = self.x.T @ dz + dout.T @ self.h
        self.grads[1][...] = dz.sum(axis=0)
        self.grads[2][...] = dout.sum(axis=0)
        return dz @ W.T


class Maxout(Layer):
    def __init__(self, W, b):           # W (K, in, out), b (K, out)
        self.own(W, b)

    def forward(self, x):
        z = np.einsum('ni,kio->kno', x, self.params[0]) + self.params[1][:, None]
        self.x, self.win = x, z.argmax(0)
        return z.max(0)

    def backward(self, dout):
        K = self.params[0].shape[0]
        dz = np.stack([dout * (self.win == k) for k in range(K)])
        self.grads[0][...] = np.einsum('ni,kno->kio', self.x, dz)
        self.grads[1][...] = dz.sum(1)
        return np.einsum('kno,kio->ni', dz, self.params[0])


class WeightNormLinear(Layer):
    """W = g v/|v| per output column, no bias"""

    def __init__(self, v, g):
        self.own(v, g)

    def forward(self, x):
        v, g = self.params
        self.n = np.sqrt((v ** 2).sum(0))
        self.W = v / self.n * g
        self.x = x
        return x @ self.W

    def backward(self, dout):
        v, g = self.params
        dW = self.x.T @ dout
        u = v / self.n
        dg = (dW * u).sum(0)
        self.grads[1][...] = dg
        self.grads[0][...] = g / self.n * (dW - u * dg)
        return dout @ self.W.T


class RBF(Layer):
    """exp(-gamma |x - c|^2)"""

    def __init__(self, centres, gamma):
        self.own(centres)
        self.gamma = gamma

    def forward(self, x):
        self.diff = x[:, None, :] - self.params[0][None]
        self.y = np.exp(-self.gamma * (self.diff ** 2).sum(-1))
        return self.y

    def backward(self, dout):
        d = (-2 * self.gamma * dout * self.y)[..., None] * self.diff
        self.grads[0][...] = -d.sum(axis=0)
        return d.sum(axis=1)


class FactorMachine(Layer):
    """second-order factorisation machine -> (N,)"""

    def __init__(self, w, V):
        self.own(w, V)

    def forward(self, x):
        w, V = self.params
        self.x = x
        self.xv = x @ V
        return x @ w + 0.5 * (self.xv ** 2 - (x ** 2) @ V ** 2).sum(1)

    def backward(self, dout):
        w, V = self.params
        x = self.x
        self.grads[0][...] = x.T @ dout
        self.grads[1][...] = x.T @ (dout[:, None] * self.xv) - V * ((x ** 2).T @ dout)[:, None]
        return dout[:, None] * (w + self.xv @ V.T - x * (V ** 2).sum(1))


class SoftMoE(Layer):
    """sum_e gate_e(x) * (x W_e)"""

    def __init__(self, Wg, We):
        self.own(Wg, We)

    def forward(self, x):
        Wg, We = self.params
        self.x = x
        self.gate = smax(x @ Wg)
        self.out = np.einsum('ni,eio->neo', x, We)
        return np.einsum('ne,neo->no', self.gate, self.out)

    def backward(self, dout):
        Wg, We = self.params
        dg = np.einsum('no,neo->ne', dout, self.out)
        ds = self.gate * (dg - (dg * self.gate).sum(1, keepdims=True))
        self.grads[0][...] = self.x.T @ ds
        self.grads[1][...] = np.einsum('ni,ne,no->eio', self.x, self.gate, dout)
        return ds @ Wg.T + np.einsum('ne,no,eio->ni', self.gate, dout, We)


# ------------------------------------------------------------- elementwise
class ReLUOwnCopy:
    def forward(self, x):
        self.neg = x <= 0
        out = x.copy()
        out[self.neg] = 0
        return out

    def backward(self, dout):
        dx = np.array(dout)
        dx[self.neg] = 0
        return dx


class LeakyReLU:
    def __init__(self, a=0.15):
        self.a = a

    def forward(self, x):
        self.pos = x > 0
        return np.where(self.pos, x, self.a * x)

    def backward(self, dout):
        return np.where(self.pos, dout, self.a * dout)


class PReLU(Layer):
    """one slope per channel, x (N, C, L)"""

    def __init__(self, a):
        self.own(a)

    def forward(self, x):
        self.x = x
        return np.maximum(x, 0) + self.params[0][:, None] * np.minimum(x, 0)

    def backward(self, dout):
        self.grads[0][...] = (dout * np.minimum(self.x, 0)).sum(axis=(0, 2))
        return dout * np.where(self.x > 0, 1.0, self.params[0][:, None])


class Sigmoid:
    def forward(self, x):
        self.out = 1 / (1 + np.exp(-x))
        return self.out

    def backward(self, dout):
        return dout * self.out * (1 - self.out)


class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, dout):
        return dout * (1 - self.y ** 2)


class Softplus:
    def forward(self, x):
        self.x = x
        return np.logaddexp(0, x)

    def backward(self, dout):
        return dout / (1 + np.exp(-self.x))


class SiLU:
    def forward(self, x):
        self.x, self.s = x, sigm(x)
        return x * self.s

    def backward(self, dout):
        return dout * (self.s + self.x * self.s * (1 - self.s))


class GELU:
    K = np.sqrt(2 / np.pi)

    def forward(self, x):
        self.x = x
        self.t = np.tanh(self.K * (x + 0.044715 * x ** 3))
        return 0.5 * x * (1 + self.t)

    def backward(self, dout):
        x, t = self.x, self.t
        return dout * (0.5 * (1 + t) + 0.5 * x * (1 - t ** 2) * self.K * (1 + 3 * 0.044715 * x ** 2))


class ELU:
    def __init__(self, alpha=0.7):
        self.alpha = alpha

    def forward(self, x):
        self.y = np.where(x > 0, x, self.alpha * np.expm1(np.minimum(x, 0)))
        self.x = x
        return self.y

    def backward(self, dout):
        return dout * np.where(self.x > 0, 1.0, self.y + self.alpha)


class Hardtanh:
    def forward(self, x):
        self.inside = (x > -1) & (x < 1)
        return np.clip(x, -1, 1)

    def backward(self, dout):
        return dout * self.inside


class Square:
    def forward(self, x):
        self.x = x
        return x * x

    def backward(self, dout):
        return dout * 2 * self.x


class LogEps:
    def forward(self, x):
        self.x = x
        return np.log(x + 1e-3)

    def backward(self, dout):
        return dout / (self.x + 1e-3)


# ------------------------------------------------------------ small nodes
class BroadcastAdd:
    """column (N,1) + row (D,)"""

    def forward(self, a, b):
        self.sa, self.sb = a.shape, b.shape
        return a + b

    @staticmethod
    def fold(d, shape):
        while d.ndim > len(shape):
            d = d.sum(axis=0)
        for i, s in enumerate(shape):
            if s == 1 and d.shape[i] != 1:
                d = d.sum(axis=i, keepdims=True)
        return d

    def backward(self, dout):
        return self.fold(dout, self.sa), self.fold(dout, self.sb)


class MatMul:
    def forward(self, a, b):
        self.a, self.b = a, b
        return a @ b

    def backward(self, dout):
        return dout @ np.swapaxes(self.b, -1, -2), np.swapaxes(self.a, -1, -2) @ dout


class Subtract:
    def forward(self, a, b):
        return a - b

    def backward(self, dout):
        return dout, -dout


class Divide:
    def forward(self, a, b):
        self.a, self.b = a, b
        return a / b

    def backward(self, dout):
        return dout / self.b, -dout * self.a / self.b ** 2


class MaximumNode:
    def forward(self, a, b):
        self.m = a > b
        return np.maximum(a, b)

    def backward(self, dout):
        return np.where(self.m, dout, 0), np.where(self.m, 0, dout)


class MeanTime:
    """(N,T,D) -> (N,D)"""

    def forward(self, x):
        self.shape = x.shape
        return x.mean(axis=1)

    def backward(self, dout):
        N, T, D = self.shape
        return np.repeat(dout[:, None, :], T, axis=1) / T


class SplitThree:
    """three outputs"""

    def forward(self, x):
        self.w = x.shape[1] // 3
        a, b, c = x[:, :self.w], x[:, self.w:2 * self.w], x[:, 2 * self.w:]
        self.t = np.tanh(b)
        return a * 2.0, self.t, c.copy()

    def backward(self, *douts):
        if len(douts) == 1:
            douts = douts[0]
        return np.concatenate([2 * douts[0], douts[1] * (1 - self.t ** 2), douts[2]], axis=1)


class TwoHeads(Layer):
    """a trunk and two heads: policy logits and a value; two outputs"""

    def __init__(self, W, Wp, wv):
        self.own(W, Wp, wv)

    def forward(self, x):
        W, Wp, wv = self.params
        self.x, self.h = x, np.tanh(x @ W)
        return self.h @ Wp, self.h @ wv

    def backward(self, *douts):
        dp, dv = douts[0] if len(douts) == 1 else douts
        W, Wp, wv = self.params
        self.grads[1][...] = self.h.T @ dp
        self.grads[2][...] = self.h.T @ dv
        da = (dp @ Wp.T + dv[:, None] * wv) * (1 - self.h ** 2)
        self.grads[0][...] = self.x.T @ da
        return da @ W.T


class Concat:
    def forward(self, a, b, c):
        self.cut = np.cumsum([a.shape[-1], b.shape[-1]])
        return np.concatenate((a, b, c), axis=-1)

    def backward(self, dout):
        return tuple(np.split(dout, self.cut, axis=-1))


class TransposeLayer:
    def __init__(self, axes):
        self.axes = axes

    def forward(self, x):
        return x.transpose(self.axes)

    def backward(self, dout):
        return dout.transpose(np.argsort(self.axes))


class PixelShuffle:
    def __init__(self, s=2):
        self.s = s

    def forward(self, x):
        N, C, H, W = x.shape
        s = self.s
        self.shape = x.shape
        return x.reshape(N, C // s ** 2, s, s, H, W).transpose(0, 1, 4, 2, 5, 3).reshape(N, C // s ** 2, H * s, W * s)

    def backward(self, dout):
        N, C, H, W = self.shape
        s = self.s
        return dout.reshape(N, C // s ** 2, H, s, W, s).transpose(0, 1, 3, 5, 2, 4).reshape(self.shape)


class Upsample:
    def forward(self, x):
        return x.repeat(2, axis=2).repeat(3, axis=3)

    def backward(self, dout):
        N, C, H, W = dout.shape
        return dout.reshape(N, C, H // 2, 2, W // 3, 3).sum(axis=(3, 5))


class ReverseCumsum:
    def forward(self, x):
        return np.cumsum(x, axis=1)

    def backward(self, dout):
        return np.cumsum(dout[:, ::-1], axis=1)[:, ::-1]


class Gram:
    """style loss feature: G = F F^T / L per sample, x (N, C, L)"""

    def forward(self, x):
        self.x = x
        return np.einsum('ncl,ndl->ncd', x, x) / x.shape[2]

    def backward(self, dout):
        return np.matmul(dout + dout.transpose(0, 2, 1), self.x) / self.x.shape[2]


# ------------------------------------------------------------ convolution
class Conv1d(Layer):
    """loops; x (N,C,L), W (F,C,K)"""

    def __init__(self, W, b, stride=1):
        self.own(W, b)
        self.stride = stride

    def forward(self, x):
        W, b = self.params
        F, C, K = W.shape
        T = (x.shape[2] - K) // self.stride + 1
        out = np.zeros((x.shape[0], F, T))
        for t in range(T):
            s = t * self.stride
            out[:, :, t] = np.tensordot(x[:, :, s:s + K], W, axes=([1, 2], [1, 2])) + b
        self.x = x
        return out

    def backward(self, dout):
        W, b = self.params
        K = W.shape[2]
        dx = np.zeros_like(self.x)
        dW = np.zeros_like(W)
        for t in range(dout.shape[2]):
            s = t * self.stride
            dW += np.tensordot(dout[:, :, t], self.x[:, :, s:s + K], axes=(0, 0))
            dx[:, :, s:s + K] += np.tensordot(dout[:, :, t], W, axes=(1, 0))
        self.grads[0][...] = dW
        self.grads[1][...] = dout.sum(axis=(0, 2))
        return dx


def im2col(x, kh, kw, st, pad):
    N, C, H, W = x.shape
    oh, ow = (H + 2 * pad - kh) // st + 1, (W + 2 * pad - kw) // st + 1
    img = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)])
    col = np.zeros((N, C, kh, kw, oh, ow))
    for i in range(kh):
        for j in range(kw):
            col[:, :, i, j] = img[:, :, i:i + st * oh:st, j:j + st * ow:st]
    return col.transpose(0, 4, 5, 1, 2, 3).reshape(N * oh * ow, -1)


def col2im(col, shape, kh, kw, st, pad):
    N, C, H, W = shape
    oh, ow = (H + 2 * pad - kh) // st + 1, (W + 2 * pad - kw) // st + 1
    col = col.reshape(N, oh, ow, C, kh, kw).transpose(0, 3, 4, 5, 1, 2)
    img = np.zeros((N, C, H + 2 * pad + st - 1, W + 2 * pad + st - 1))
    for i in range(kh):
        for j in range(kw):
            img[:, :, i:i + st * oh:st, j:j + st * ow:st] += col[:, :, i, j]
    return img[:, :, pad:H + pad, pad:W + pad]


class Conv2d(Layer):
    def __init__(self, W, b, stride=1, pad=0):
        self.own(W, b)
        self.st, self.pad = stride, pad

    def forward(self, x):
        W, b = self.params
        F, C, kh, kw = W.shape
        N, _, H, Wd = x.shape
        oh, ow = (H + 2 * self.pad - kh) // self.st + 1, (Wd + 2 * self.pad - kw) // self.st + 1
        self.xs = x.shape
        self.col = im2col(x, kh, kw, self.st, self.pad)
        out = self.col @ W.reshape(F, -1).T + b
        return out.reshape(N, oh, ow, F).transpose(0, 3, 1, 2)

    def backward(self, dout):
        W, b = self.params
        F, C, kh, kw = W.shape
        d = dout.transpose(0, 2, 3, 1).reshape(-1, F)
        self.grads[1][...] = d.sum(axis=0)
        self.grads[0][...] = (d.T @ self.col).reshape(W.shape)
        return col2im(d @ W.reshape(F, -1), self.xs, kh, kw, self.st, self.pad)


class ConvNHWC(Layer):
    """channels last, windows and einsum; W (kh,kw,C,F), no bias"""

    def __init__(self, W):
        self.own(W)

    def forward(self, x):
        W = self.params[0]
        self.x = x
        self.win = sliding_window_view(x, W.shape[:2], axis=(1, 2))   # N oh ow C kh kw
        return np.einsum('nxycij,ijcf->nxyf', self.win, W)

    def backward(self, dout):
        W = self.params[0]
        kh, kw = W.shape[:2]
        self.grads[0][...] = np.einsum('nxycij,nxyf->ijcf', self.win, dout)
        p = np.pad(dout, ((0, 0), (kh - 1, kh - 1), (kw - 1, kw - 1), (0, 0)))
        dwin = sliding_window_view(p, (kh, kw), axis=(1, 2))
        return np.einsum('nxyfij,ijcf->nxyc', dwin, W[::-1, ::-1])


class Depthwise1d(Layer):
    """W (C,K), own filter per channel, 'valid'"""

    def __init__(self, W):
        self.own(W)

    def forward(self, x):
        W = self.params[0]
        self.x = x
        return np.einsum('nctk,ck->nct', sliding_window_view(x, W.shape[1], axis=2), W)

    def backward(self, dout):
        W = self.params[0]
        C, K = W.shape
        dx = np.zeros(self.x.shape)
        T = dout.shape[2]
        for k in range(K):
            self.grads[0][:, k] = (dout * self.x[:, :, k:k + T]).sum(axis=(0, 2))
            dx[:, :, k:k + T] += dout * W[:, k][:, None]
        return dx


class ConvTranspose1d(Layer):
    """x (N,C,L), W (C,F,K), stride s"""

    def __init__(self, W, s=2):
        self.own(W)
        self.s = s

    def forward(self, x):
        W = self.params[0]
        N, C, L = x.shape
        self.x = x
        out = np.zeros((N, W.shape[1], (L - 1) * self.s + W.shape[2]))
        for l in range(L):
            out[:, :, l * self.s:l * self.s + W.shape[2]] += np.einsum('nc,cfk->nfk', x[:, :, l], W)
        return out

    def backward(self, dout):
        W = self.params[0]
        K = W.shape[2]
        dx = np.empty_like(self.x)
        dW = np.zeros_like(W)
        for l in range(self.x.shape[2]):
            d = dout[:, :, l * self.s:l * self.s + K]
            dx[:, :, l] = np.einsum('nfk,cfk->nc', d, W)
            dW += np.einsum('nc,nfk->cfk', self.x[:, :, l], d)
        self.grads[0][...] = dW
        return dx


class CausalConvFunc(Layer):
    """np.convolve along time for each sample: y = (x * w)[:T]; x (N,T), w (K,)"""

    def __init__(self, w):
        self.own(w)

    def forward(self, x):
        self.x = x
        return np.stack([np.convolve(row, self.params[0])[:x.shape[1]] for row in x])

    def backward(self, dout):
        w = self.params[0]
        K, T = len(w), dout.shape[1]
        dw = np.zeros(K)
        dx = np.zeros_like(self.x)
        for n in range(len(dout)):
            for k in range(K):
                dw[k] += np.dot(dout[n, k:], self.x[n, :T - k])
            dx[n] = np.convolve(dout[n], w[::-1])[K - 1:]
        self.grads[0][...] = dw
        return dx


class MaxPool2d:
    def __init__(self, k=3, s=2):
        self.k, self.s = k, s

    def forward(self, x):
        k, s = self.k, self.s
        self.x = x
        N, C, H, W = x.shape
        oh, ow = (H - k) // s + 1, (W - k) // s + 1
        out = np.empty((N, C, oh, ow))
        for i in range(oh):
            for j in range(ow):
                out[:, :, i, j] = x[:, :, i * s:i * s + k, j * s:j * s + k].max(axis=(2, 3))
        self.out = out
        return out

    def backward(self, dout):
        k, s = self.k, self.s
        dx = np.zeros_like(self.x)
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                w = self.x[:, :, i * s:i * s + k, j * s:j * s + k]
                m = w == self.out[:, :, i, j][:, :, None, None]
                dx[:, :, i * s:i * s + k, j * s:j * s + k] += m * dout[:, :, i, j][:, :, None, None]
        return dx


class AvgPool1d:
    def __init__(self, k=3, s=1):
        self.k, self.s = k, s

    def forward(self, x):
        self.shape = x.shape
        w = sliding_window_view(x, self.k, axis=2)[:, :, ::self.s]
        return w.mean(axis=-1)

    def backward(self, dout):
        dx = np.zeros(self.shape)
        for t in range(dout.shape[2]):
            dx[:, :, t * self.s:t * self.s + self.k] += dout[:, :, t:t + 1] / self.k
        return dx


class GlobalAvgPool:
    def forward(self, x):
        self.hw = x.shape[2:]
        return x.mean(axis=(2, 3))

    def backward(self, dout):
        h, w = self.hw
        return np.tile(dout[:, :, None, None], (1, 1, h, w)) / (h * w)


class SEBlock(Layer):
    """squeeze and excite over channels; x (N,C,L)"""

    def __init__(self, W1, W2):
        self.own(W1, W2)

    def forward(self, x):
        W1, W2 = self.params
        s = x.mean(2)
        z = s @ W1
        e = sigm(np.maximum(z, 0) @ W2)
        self.c = x, s, z, e
        return x * e[:, :, None]

    def backward(self, dout):
        W1, W2 = self.params
        x, s, z, e = self.c
        de = (dout * x).sum(2)
        du = de * e * (1 - e)
        self.grads[1][...] = np.maximum(z, 0).T @ du
        dz = (du @ W2.T) * (z > 0)
        self.grads[0][...] = s.T @ dz
        ds = dz @ W1.T
        return dout * e[:, :, None] + ds[:, :, None] / x.shape[2]


# ---------------------------------------------------------- normalisation
class BatchNorm(Layer):
    def __init__(self, gamma, beta, eps=1e-5):
        self.own(gamma, beta)
        self.eps = eps
        self.running_mean = np.zeros_like(gamma)
        self.running_var = np.ones_like(gamma)

    def forward(self, x):
        mu, var = x.mean(0), x.var(0)
        self.running_mean = 0.9 * self.running_mean + 0.1 * mu
        self.running_var = 0.9 * self.running_var + 0.1 * var
        self.std = np.sqrt(var + self.eps)
        self.xhat = (x - mu) / self.std
        return self.params[0] * self.xhat + self.params[1]

    def backward(self, dout):
        gamma, beta = self.params
        N = dout.shape[0]
        self.grads[0][...] = (dout * self.xhat).sum(0)
        self.grads[1][...] = dout.sum(0)
        dxh = dout * gamma
        return (N * dxh - dxh.sum(0) - self.xhat * (dxh * self.xhat).sum(0)) / (N * self.std)


class BatchNorm2d(Layer):
    def __init__(self, gamma, beta):
        self.own(gamma, beta)

    def forward(self, x):
        ax = (0, 2, 3)
        self.xc = x - x.mean(axis=ax, keepdims=True)
        self.var = (self.xc ** 2).mean(axis=ax, keepdims=True)
        self.istd = 1 / np.sqrt(self.var + 1e-4)
        return self.xc * self.istd * self.params[0][None, :, None, None] + self.params[1].reshape(1, -1, 1, 1)

    def backward(self, dout):
        ax = (0, 2, 3)
        m = dout.shape[0] * dout.shape[2] * dout.shape[3]
        self.grads[1][...] = dout.sum(axis=ax)
        self.grads[0][...] = (dout * self.xc * self.istd).sum(axis=ax)
        d = dout * self.params[0][None, :, None, None]
        dvar = (d * self.xc).sum(axis=ax, keepdims=True) * -0.5 * self.istd ** 3
        dxc = d * self.istd + 2 * self.xc * dvar / m
        return dxc - dxc.mean(axis=ax, keepdims=True)


class LayerNorm(Layer):
    def __init__(self, g, b):
        self.own(g, b)

    def forward(self, x):
        mu = x.mean(-1, keepdims=True)
        self.s = np.sqrt(x.var(-1, keepdims=True) + 1e-6)
        self.n = (x - mu) / self.s
        return self.n * self.params[0] + self.params[1]

    def backward(self, dout):
        ax = tuple(range(dout.ndim - 1))
        self.grads[0][...] = np.sum(dout * self.n, axis=ax)
        self.grads[1][...] = np.sum(dout, axis=ax)
        d = dout * self.params[0]
        return (d - d.mean(-1, keepdims=True) - self.n * (d * self.n).mean(-1, keepdims=True)) / self.s


class GroupNorm(Layer):
    def __init__(self, G, gamma):
        self.own(gamma)
        self.G = G

    def forward(self, x):
        N, C, L = x.shape
        self.sh = x.shape
        xg = x.reshape(N, self.G, -1)
        self.sd = (xg.var(2, keepdims=True) + 1e-5) ** 0.5
        self.xh = (xg - xg.mean(2, keepdims=True)) / self.sd
        return self.xh.reshape(x.shape) * self.params[0][:, None]

    def backward(self, dout):
        N, C, L = self.sh
        self.grads[0][...] = (dout * self.xh.reshape(self.sh)).sum((0, 2))
        d = (dout * self.params[0][:, None]).reshape(N, self.G, -1)
        dx = (d - d.mean(2, keepdims=True) - self.xh * (d * self.xh).mean(2, keepdims=True)) / self.sd
        return dx.reshape(self.sh)


class RMSNorm(Layer):
    def __init__(self, g):
        self.own(g)

    def forward(self, x):
        self.x = x
        self.r = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6)
        return x * self.r * self.params[0]

    def backward(self, dout):
        x, r = self.x, self.r
        self.grads[0][...] = (dout * x * r).reshape(-1, x.shape[-1]).sum(0)
        d = dout * self.params[0]
        return d * r - x * r ** 3 * (d * x).mean(-1, keepdims=True)


class InstanceNorm:
    """(N,C,L), no parameters"""

    def forward(self, x):
        self.s = x.std(axis=2, keepdims=True) + 1e-3          # eps outside the root
        self.sd = x.std(axis=2, keepdims=True)
        self.c = x - x.mean(axis=2, keepdims=True)
        return self.c / self.s

    def backward(self, dout):
        L = dout.shape[2]
        ds = -(dout * self.c).sum(axis=2, keepdims=True) / self.s ** 2
        dc = dout / self.s + ds * self.c / (L * self.sd)
        return dc - dc.mean(axis=2, keepdims=True)


class L2Normalize:
    def forward(self, x):
        self.n = np.sqrt(np.sum(x * x, axis=1, keepdims=True) + 1e-8)
        self.y = x / self.n
        return self.y

    def backward(self, dout):
        return (dout - self.y * np.sum(dout * self.y, axis=1, keepdims=True)) / self.n


class Softmax:
    def forward(self, x):
        self.y = smax(x)
        return self.y

    def backward(self, dout):
        g = self.y * dout
        return g - self.y * g.sum(axis=-1, keepdims=True)


class LogSoftmax:
    def forward(self, x):
        z = x - x.max(1, keepdims=True)
        self.out = z - np.log(np.exp(z).sum(1, keepdims=True))
        return self.out

    def backward(self, dout):
        return dout - np.exp(self.out) * dout.sum(1, keepdims=True)


class Standardize:
    """whole sample to mean 0 and std 1, (N,D)"""

    def forward(self, x):
        self.s = x.std(axis=1, keepdims=True)
        self.z = (x - x.mean(axis=1, keepdims=True)) / self.s
        return self.z

    def backward(self, dout):
        return np.stack([(d - d.mean() - z * np.mean(d * z)) / s for d, z, s in zip(dout, self.z, self.s)])


# ---------------------------------------------------------------- dropout
class Dropout:
    def __init__(self, p, seed):
        self.p, self.seed = p, seed

    def forward(self, x):
        self.mask = np.random.default_rng(self.seed).random(x.shape) >= self.p
        return x * self.mask / (1 - self.p)

    def backward(self, dout):
        return dout * self.mask / (1 - self.p)


class SpatialDropout:
    """whole channels, the generator is rewound at every forward"""

    def __init__(self, p, gen):
        self.p, self.gen = p, gen
        self.state = gen.bit_generator.state

    def forward(self, x):
        self.gen.bit_generator.state = self.state
        self.keep = (self.gen.random(x.shape[:2]) > self.p)[:, :, None] / (1 - self.p)
        return x * self.keep

    def backward(self, dout):
        return dout * self.keep


class AffineDropout(Layer):
    """dropout(x) W with a mask given from outside"""

    def __init__(self, W, mask, p):
        self.own(W)
        self.mask, self.p = mask, p

    def forward(self, x):
        self.xd = x * self.mask / (1 - self.p)
        return self.xd @ self.params[0]

    def backward(self, dout):
        self.grads[0][...] = self.xd.T @ dout
        return (dout @ self.params[0].T) * self.mask / (1 - self.p)


# ------------------------------------------------------------- embeddings
class Embedding(Layer):
    def __init__(self, W):
        self.own(W)

    def forward(self, ids):
        self.ids = ids
        return self.params[0][ids]

    def backward(self, dout):
        self.grads[0][...] = 0
        np.add.at(self.grads[0], self.ids, dout)
        return None


class EmbeddingBag(Layer):
    """mean of the rows, (N,T) -> (N,D)"""

    def __init__(self, W):
        self.own(W)

    def forward(self, ids):
        self.ids = ids
        return self.params[0][ids].mean(axis=1)

    def backward(self, dout):
        dW = np.zeros_like(self.params[0])
        T = self.ids.shape[1]
        for row, d in zip(self.ids, dout):
            for i in row:
                dW[i] += d / T
        self.grads[0][...] = dW


class OneHotEmbedding(Layer):
    """token + position, as a one-hot product"""

    def __init__(self, E, P):
        self.own(E, P)

    def forward(self, ids):
        self.oh = np.eye(self.params[0].shape[0])[ids]
        return self.oh @ self.params[0] + self.params[1]

    def backward(self, dout):
        self.grads[0][...] = np.tensordot(self.oh, dout, axes=([0, 1], [0, 1]))
        self.grads[1][...] = dout.sum(axis=0)
        return None


class GatherRows:
    """x (N,T,D), one fixed list of steps, repeats allowed"""

    def __init__(self, idx):
        self.idx = idx

    def forward(self, x):
        self.sh = x.shape
        return x[:, self.idx]

    def backward(self, dout):
        dx = np.zeros(self.sh)
        for k, i in enumerate(self.idx):
            dx[:, i] += dout[:, k]
        return dx


class EdgeConv(Layer):
    """messages along edges: y[dst] += x[src] W for a batch of graphs with the same edges; x (N,V,D)"""

    def __init__(self, W, src, dst):
        self.own(W)
        self.src, self.dst = src, dst

    def forward(self, x):
        self.x = x
        y = np.zeros(x.shape[:2] + (self.params[0].shape[1],))
        m = x[:, self.src] @ self.params[0]
        for e, d in enumerate(self.dst):
            y[:, d] += m[:, e]
        return y

    def backward(self, dout):
        dm = dout[:, self.dst]
        self.grads[0][...] = np.einsum('nei,neo->io', self.x[:, self.src], dm)
        dx = np.zeros_like(self.x)
        np.add.at(dx, (slice(None), self.src), dm @ self.params[0].T)
        return dx


# -------------------------------------------------------------- recurrent
class RNN(Layer):
    """time-major: xs (T,N,D), h0 (N,H) -> hs (T,N,H)"""

    def __init__(self, Wx, Wh, b):
        self.own(Wx, Wh, b)

    def forward(self, xs, h0):
        Wx, Wh, b = self.params
        hs = [h0]
        for x in xs:
            hs.append(np.tanh(x @ Wx + hs[-1] @ Wh + b))
        self.xs, self.hs = xs, hs
        return np.array(hs[1:])

    def backward(self, dout):
        Wx, Wh, b = self.params
        dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
        dxs = np.zeros_like(self.xs)
        dh = np.zeros_like(self.hs[0])
        for t in range(len(self.xs) - 1, -1, -1):
            dz = (dout[t] + dh) * (1 - self.hs[t + 1] ** 2)
            dWx += self.xs[t].T @ dz
            dWh += self.hs[t].T @ dz
            db += dz.sum(0)
            dxs[t] = dz @ Wx.T
            dh = dz @ Wh.T
        self.grads[0][...], self.grads[1][...], self.grads[2][...] = dWx, dWh, db
        return dxs, dh


class LSTM(Layer):
    """x (N,T,D) -> all h (N,T,H); W (D+H, 4H), gates i f o g"""

    def __init__(self, W, b):
        self.own(W, b)

    def forward(self, x):
        W, b = self.params
        N, T, D = x.shape
        H = W.shape[1] // 4
        h, c = np.zeros((N, H)), np.zeros((N, H))
        self.D, self.H, self.mem, out = D, H, [], []
        for t in range(T):
            xh = np.hstack([x[:, t], h])
            z = xh @ W + b
            i, f, o = sigm(z[:, :H]), sigm(z[:, H:2 * H]), sigm(z[:, 2 * H:3 * H])
            g = np.tanh(z[:, 3 * H:])
            c_prev, c = c, f * c + i * g
            h = o * np.tanh(c)
            self.mem.append((xh, i, f, o, g, c_prev, c))
            out.append(h)
        return np.stack(out, axis=1)

    def backward(self, dout):
        W, b = self.params
        D, H = self.D, self.H
        N, T, _ = dout.shape
        dW, db = np.zeros_like(W), np.zeros_like(b)
        dx = np.zeros((N, T, D))
        dh, dc = np.zeros((N, H)), np.zeros((N, H))
        for t in reversed(range(T)):
            xh, i, f, o, g, c_prev, c = self.mem[t]
            dh = dh + dout[:, t]
            tc = np.tanh(c)
            dc = dc + dh * o * (1 - tc ** 2)
            dz = np.hstack([dc * g * i * (1 - i), dc * c_prev * f * (1 - f),
                            dh * tc * o * (1 - o), dc * i * (1 - g ** 2)])
            dW += xh.T @ dz
            db += dz.sum(0)
            dxh = dz @ W.T
            dx[:, t], dh = dxh[:, :D], dxh[:, D:]
            dc = dc * f
        self.grads[0][...] = dW
        self.grads[1][...] = db
        return dx


class GRUCell(Layer):
    """one step: x (N,D), h (N,H); W (D,3H), U (H,3H), order z r n"""

    def __init__(self, W, U):
        self.own(W, U)

    def forward(self, x, h):
        W, U = self.params
        H = h.shape[1]
        a, u = x @ W, h @ U[:, :2 * H]
        z, r = sigm(a[:, :H] + u[:, :H]), sigm(a[:, H:2 * H] + u[:, H:])
        n = np.tanh(a[:, 2 * H:] + (r * h) @ U[:, 2 * H:])
        self.c = x, h, z, r, n
        return (1 - z) * n + z * h

    def backward(self, dout):
        W, U = self.params
        x, h, z, r, n = self.c
        H = h.shape[1]
        dan = dout * (1 - z) * (1 - n ** 2)
        drh = dan @ U[:, 2 * H:].T
        dar = drh * h * r * (1 - r)
        daz = dout * (h - n) * z * (1 - z)
        da = np.concatenate([daz, dar, dan], axis=1)
        self.grads[0][...] = x.T @ da
        self.grads[1][:, :2 * H] = h.T @ da[:, :2 * H]
        self.grads[1][:, 2 * H:] = (r * h).T @ dan
        dh = dout * z + drh * r + da[:, :2 * H] @ U[:, :2 * H].T
        return da @ W.T, dh


# -------------------------------------------------------------- attention
class DotAttention:
    """q,k,v (N,T,D); causal"""

    def forward(self, q, k, v):
        T = q.shape[1]
        self.sc = 1 / np.sqrt(q.shape[-1])
        s = q @ k.swapaxes(1, 2) * self.sc
        s = np.where(np.tri(T, dtype=bool), s, -1e9)
        self.a = smax(s)
        self.q, self.k, self.v = q, k, v
        return self.a @ self.v

    def backward(self, dout):
        dv = self.a.swapaxes(1, 2) @ dout
        da = dout @ self.v.swapaxes(1, 2)
        ds = self.a * (da - (da * self.a).sum(-1, keepdims=True)) * self.sc
        return ds @ self.k, ds.swapaxes(1, 2) @ self.q, dv


class SelfAttention(Layer):
    """one head, x (N,T,D); Wq, Wk, Wv"""

    def __init__(self, Wq, Wk, Wv):
        self.own(Wq, Wk, Wv)

    def forward(self, x):
        Wq, Wk, Wv = self.params
        self.x = x
        self.q, self.k, self.v = x @ Wq, x @ Wk, x @ Wv
        self.a = smax(np.einsum('nid,njd->nij', self.q, self.k) / np.sqrt(Wq.shape[1]))
        return self.a @ self.v

    def backward(self, dout):
        Wq, Wk, Wv = self.params
        dv = np.einsum('nij,nid->njd', self.a, dout)
        da = np.einsum('nid,njd->nij', dout, self.v)
        ds = self.a * (da - np.sum(da * self.a, axis=-1, keepdims=True)) / np.sqrt(Wq.shape[1])
        dq = np.einsum('nij,njd->nid', ds, self.k)
        dk = np.einsum('nij,nid->njd', ds, self.q)
        for g, d in zip(self.grads, (dq, dk, dv)):
            g[...] = np.einsum('nti,nto->io', self.x, d)
        return dq @ Wq.T + dk @ Wk.T + dv @ Wv.T


class SplitHeads:
    """(N,T,H*D) -> (N,H,T,D)"""

    def __init__(self, H):
        self.H = H

    def forward(self, x):
        N, T, E = x.shape
        return x.reshape(N, T, self.H, E // self.H).transpose(0, 2, 1, 3)

    def backward(self, dout):
        N, H, T, D = dout.shape
        return dout.transpose(0, 2, 1, 3).reshape(N, T, H * D)


class AttentionPool(Layer):
    """scores x w, softmax over time with padding, weighted sum; x (N,T,D)"""

    def __init__(self, w, lengths):
        self.own(w)
        self.lengths = lengths

    def forward(self, x):
        self.x = x
        live = np.arange(x.shape[1]) < self.lengths[:, None]
        s = np.where(live, x @ self.params[0], -np.inf)
        self.a = smax(s)
        return (self.a[..., None] * x).sum(1)

    def backward(self, dout):
        da = (self.x * dout[:, None]).sum(-1)
        ds = self.a * (da - (self.a * da).sum(1, keepdims=True))
        self.grads[0][...] = np.einsum('nt,ntd->d', ds, self.x)
        return self.a[..., None] * dout[:, None] + ds[..., None] * self.params[0]


class RoPE:
    """rotate pairs of features by position; (N,T,D)"""

    def forward(self, x):
        T, D = x.shape[1:]
        ang = np.arange(T)[:, None] * 0.7 ** np.arange(D // 2)
        self.c, self.s = np.cos(ang), np.sin(ang)
        y = np.empty_like(x)
        y[..., 0::2] = x[..., 0::2] * self.c - x[..., 1::2] * self.s
        y[..., 1::2] = x[..., 0::2] * self.s + x[..., 1::2] * self.c
        return y

    def backward(self, dout):
        dx = np.empty_like(dout)
        dx[..., 0::2] = dout[..., 0::2] * self.c + dout[..., 1::2] * self.s
        dx[..., 1::2] = dout[..., 1::2] * self.c - dout[..., 0::2] * self.s
        return dx


# ----------------------------------------------------------------- losses
class SoftmaxCE:
    def forward(self, x, t):
        self.y, self.t = smax(x), t
        return -np.log(self.y[np.arange(len(t)), t] + 1e-12).mean()

    def backward(self, dout=1.0):
        dx = self.y.copy()
        dx[np.arange(len(self.t)), self.t] -= 1
        return dout * dx / len(self.t), None


class SoftmaxCEPlain:
    """backward() without argument, dx only (t are integers)"""

    def forward(self, x, t):
        self.N = x.shape[0]
        self.onehot = np.eye(x.shape[1])[t]
        self.p = smax(x)
        return float(-np.sum(self.onehot * np.log(np.clip(self.p, 1e-15, 1))) / self.N)

    def backward(self):
        return (self.p - self.onehot) / self.N


class MSE:
    def forward(self, y, t):
        self.d = y - t
        return np.mean(self.d ** 2)

    def backward(self, dout=1.0):
        g = dout * 2 * self.d / self.d.size
        return g, -g


class HalfSquares:
    """1/2 sum of squares"""

    def forward(self, y, t):
        self.d = y - t
        return 0.5 * np.sum(self.d ** 2)

    def backward(self, dout=1.0):
        return dout * self.d, -dout * self.d


class SumSquaresPerSample:
    """sum over features of squares, averaged over samples"""

    def forward(self, y, t):
        self.d = y - t
        return (self.d ** 2).sum(axis=1).mean()

    def backward(self, dout=1.0):
        return dout * 2 * self.d / len(self.d), -dout * 2 * self.d / len(self.d)


class BCELogits:
    def forward(self, z, t):
        self.z, self.t = z, t
        return np.mean(np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z))))

    def backward(self, dout=1.0):
        return dout * (sigm(self.z) - self.t) / self.z.size, -dout * self.z / self.z.size


class BCEProb:
    """probabilities in, clipped logs"""

    def forward(self, p, t):
        self.p, self.t = np.clip(p, 1e-7, 1 - 1e-7), t
        return -np.sum(np.where(t == 1, np.log(self.p), np.log(1 - self.p))) / len(p)

    def backward(self, dout=1.0):
        return dout * (self.p - self.t) / (self.p * (1 - self.p)) / len(self.p), None


class Huber:
    def __init__(self, delta=0.8):
        self.delta = delta

    def forward(self, y, t):
        self.e = y - t
        a = np.abs(self.e)
        return np.where(a < self.delta, 0.5 * a ** 2, self.delta * (a - 0.5 * self.delta)).sum()

    def backward(self, dout=1.0):
        g = dout * np.clip(self.e, -self.delta, self.delta)
        return g, -g


class MAE:
    def forward(self, y, t):
        self.s = np.sign(y - t)
        return np.abs(y - t).mean()

    def backward(self, dout=1.0):
        return dout * self.s / self.s.size, -dout * self.s / self.s.size


class BinaryHinge:
    """labels +-1 as integers"""

    def forward(self, s, t):
        self.t = t
        self.m = 1 - t * s
        return np.maximum(0, self.m).mean()

    def backward(self, dout=1.0):
        return dout * np.where(self.m > 0, -self.t, 0) / len(self.t)


class MultiHinge:
    """Weston-Watkins (cs231n svm), mean over samples"""

    def forward(self, s, y):
        r = np.arange(len(y))
        m = s - s[r, y][:, None] + 1
        m[r, y] = 0
        self.v, self.y = m > 0, y
        return np.maximum(m, 0).sum() / len(y)

    def backward(self, dout=1.0):
        r = np.arange(len(self.y))
        g = self.v.astype(float)
        g[r, self.y] = -g.sum(axis=1)
        return dout * g / len(self.y), None


class Triplet:
    def forward(self, a, p, n):
        self.ap, self.an = a - p, a - n
        l = (self.ap ** 2).sum(1) - (self.an ** 2).sum(1) + 0.5
        self.on = (l > 0)[:, None]
        return np.maximum(l, 0).mean()

    def backward(self, dout=1.0):
        k = dout * 2 * self.on / len(self.on)
        return k * (self.ap - self.an), -k * self.ap, k * self.an


class InfoNCE:
    """rows of a against all rows of b"""

    def __init__(self, tau=0.5):
        self.tau = tau

    def forward(self, a, b):
        self.a, self.b = a, b
        self.p = smax(a @ b.T / self.tau, axis=1)
        return -np.log(np.diag(self.p)).mean()

    def backward(self, dout=1.0):
        g = dout * (self.p - np.eye(len(self.p))) / len(self.p) / self.tau
        return g @ self.b, g.T @ self.a


class PairwiseRepulsion:
    """sum over pairs of exp(-|xi-xj|^2): rightly couples samples"""

    def forward(self, x):
        self.diff = x[:, None] - x[None]
        self.k = np.exp(-(self.diff ** 2).sum(-1))
        return self.k.sum() / 2

    def backward(self, dout=1.0):
        return dout * (-2 * self.k[..., None] * self.diff).sum(1)


class VAEKL:
    def forward(self, mu, logvar):
        self.mu, self.lv = mu, logvar
        return -0.5 * np.sum(1 + logvar - mu ** 2 - np.exp(logvar)) / len(mu)

    def backward(self, dout=1.0):
        return dout * self.mu / len(self.mu), dout * 0.5 * (np.exp(self.lv) - 1) / len(self.mu)


class Reparam:
    def __init__(self, eps):
        self.eps = eps

    def forward(self, mu, logvar):
        self.sd = np.exp(0.5 * logvar)
        return mu + self.sd * self.eps

    def backward(self, dout):
        return dout, dout * 0.5 * self.sd * self.eps


class CosineLoss:
    def forward(self, a, b):
        self.na = np.sqrt((a * a).sum(1, keepdims=True) + 1e-12)
        self.nb = np.sqrt((b * b).sum(1, keepdims=True) + 1e-12)
        self.ua, self.ub = a / self.na, b / self.nb
        self.c = (self.ua * self.ub).sum(1, keepdims=True)
        return np.sum(1 - self.c)

    def backward(self, dout=1.0):
        return (-dout * (self.ub - self.c * self.ua) / self.na, -dout * (self.ua - self.c * self.ub) / self.nb)


class TimeSoftmaxCE:
    """x (N,T,V), labels (N,T), -1 ignored; mean over the live positions"""

    def forward(self, x, t):
        N, T, V = x.shape
        self.sh = x.shape
        self.y = smax(x.reshape(-1, V))
        self.t = t.reshape(-1)
        self.live = self.t != -1
        lp = np.log(self.y[np.arange(N * T), np.where(self.live, self.t, 0)])
        return -(lp * self.live).sum() / self.live.sum()

    def backward(self, dout=1.0):
        d = self.y.copy()
        d[np.arange(len(self.t)), self.t] -= 1
        d *= self.live[:, None] * dout / self.live.sum()
        return d.reshape(self.sh)


class SmoothCE:
    def __init__(self, eps=0.2):
        self.eps = eps

    def forward(self, x, t):
        V = x.shape[1]
        self.q = np.full(x.shape, self.eps / V)
        self.q[np.arange(len(t)), t] += 1 - self.eps
        lse = np.log(np.exp(x).sum(1, keepdims=True))
        self.p = np.exp(x - lse)
        return -(self.q * (x - lse)).sum() / len(t)

    def backward(self, dout=1.0):
        return dout * (self.p - self.q) / len(self.q), None


class WeightedCE:
    def __init__(self, w):
        self.w = w

    def forward(self, x, t):
        self.wt = self.w[t]
        self.t, self.p = t, smax(x)
        return -(self.wt * np.log(self.p[np.arange(len(t)), t])).sum() / self.wt.sum()

    def backward(self, dout=1.0):
        g = self.p.copy()
        g[np.arange(len(self.t)), self.t] -= 1
        return dout * g * (self.wt / self.wt.sum())[:, None]


class FocalLoss:
    """p in (0,1), binary labels as integers, gamma=2, sum"""

    def forward(self, p, t):
        self.q = np.where(t == 1, p, 1 - p)
        self.sg = np.where(t == 1, 1.0, -1.0)
        return -np.sum((1 - self.q) ** 2 * np.log(self.q))

    def backward(self, dout=1.0):
        q = self.q
        return dout * self.sg * (2 * (1 - q) * np.log(q) - (1 - q) ** 2 / q)


class RidgeCE(Layer):
    """softmax regression with weight decay: the loss holds W"""

    def __init__(self, W, lam):
        self.own(W)
        self.lam = lam

    def forward(self, x, t):
        W = self.params[0]
        self.x, self.t = x, t
        self.p = smax(x @ W)
        return -np.log(self.p[np.arange(len(t)), t]).mean() + 0.5 * self.lam * np.sum(W ** 2)

    def backward(self, dout=1.0):
        W = self.params[0]
        d = self.p.copy()
        d[np.arange(len(self.t)), self.t] -= 1
        d *= dout / len(self.t)
        self.grads[0][...] = self.x.T @ d + dout * self.lam * W
        return d @ W.T, None


class LassoRegression(Layer):
    def __init__(self, w, b, lam):
        self.own(w, b)
        self.lam = lam

    def forward(self, x, t):
        w, b = self.params
        self.x = x
        self.e = x @ w + b - t
        return (self.e ** 2).mean() + self.lam * np.abs(w).sum()

    def backward(self, dout=1.0):
        w, b = self.params
        d = 2 * self.e / len(self.e) * dout
        self.grads[0][...] = self.x.T @ d + dout * self.lam * np.sign(w)
        self.grads[1][...] = d.sum()
        return np.outer(d, w), -d


class NegSampling(Layer):
    """skip-gram: centre ids (N,), target and noise ids (N,K), the first is the true one"""

    def __init__(self, Win, Wout):
        self.own(Win, Wout)

    def forward(self, c, o):
        Win, Wout = self.params
        self.c, self.o = c, o
        self.h, self.u = Win[c], Wout[o]
        s = np.einsum('nd,nkd->nk', self.h, self.u)
        self.lab = np.zeros_like(s)
        self.lab[:, 0] = 1
        self.s = sigm(s)
        return -(np.log(self.s[:, 0]).sum() + np.log(1 - self.s[:, 1:]).sum()) / len(c)

    def backward(self, dout=1.0):
        ds = dout * (self.s - self.lab) / len(self.c)
        for g in self.grads:
            g.fill(0)
        np.add.at(self.grads[0], self.c, np.einsum('nk,nkd->nd', ds, self.u))
        np.add.at(self.grads[1], self.o, ds[..., None] * self.h[:, None])
        return None, None


class GANGenerator:
    """-mean log sigmoid(d): the non-saturating loss"""

    def forward(self, d):
        self.d = d
        return np.logaddexp(0, -d).mean()

    def backward(self, dout=1.0):
        return -dout * sigm(-self.d) / self.d.size

# ============================================================ right layers
class Counting(Layer):
    """stateful: counts its calls, keeps a history of norms; output untouched by it"""

    def __init__(self, w):
        self.own(w)
        self.calls, self.history = 0, []

    def forward(self, x):
        self.calls += 1
        self.history.append(float(np.linalg.norm(x)))
        self.x = x
        return x * self.params[0]

    def backward(self, dout):
        np.einsum('nd,nd->d', dout, self.x, out=self.grads[0])
        return dout * self.params[0]


class InPlaceChain:
    """(tanh(x) * 3 + 1)^2 in one own buffer, backward in one too"""

    def forward(self, x):
        buf = np.array(x)
        np.tanh(buf, out=buf)
        self.th = buf.copy()
        buf *= 3
        buf += 1
        self.lin = buf.copy()
        buf **= 2
        return buf

    def backward(self, dout):
        d = dout * 2
        d *= self.lin
        d *= 3
        d *= 1 - self.th * self.th
        return d


class Float32Affine(Affine):
    pass


class LogSumExpPool:
    def forward(self, x):
        m = x.max(axis=1, keepdims=True)
        e = np.exp(3.0 * (x - m))
        self.p = e / e.sum(1, keepdims=True)
        return m[:, 0] + np.log(e.mean(1)) / 3.0

    def backward(self, dout):
        return self.p * dout[:, None]


class StandardDeviation:
    def forward(self, x):
        self.xc = x - x.mean(axis=1, keepdims=True)
        self.sd = np.sqrt((self.xc ** 2).mean(1) + 1e-8)
        return self.sd

    def backward(self, dout):
        return dout[:, None] * self.xc / (self.xc.shape[1] * self.sd[:, None])


class MaskedMean:
    """x (N,T,D), lengths (N,) ints"""

    def forward(self, x, lengths):
        self.m = (np.arange(x.shape[1])[None] < lengths[:, None]).astype(float)
        self.n = lengths[:, None].astype(float)
        self.T = x.shape[1]
        return (x * self.m[:, :, None]).sum(1) / self.n

    def backward(self, dout):
        return (dout / self.n)[:, None, :] * self.m[:, :, None], None


class RegisteredNet:
    """a little net out of parts; the lists are collected from the parts"""

    def __init__(self, W1, b1, W2, b2):
        self.layers = [Affine(W1, b1), ReLUOwnCopy(), Affine(W2, b2), Sigmoid()]
        self.params, self.grads = [], []
        for l in self.layers:
            self.params += list(getattr(l, 'params', []))
            self.grads += list(getattr(l, 'grads', []))

    def forward(self, x):
        for l in self.layers:
            x = l.forward(x)
        return x

    def backward(self, dout):
        for l in self.layers[::-1]:
            dout = l.backward(dout)
        return dout


def swish(x):
    return x / (1 + np.exp(-1.3 * x))


def dswish(x):
    s = 1 / (1 + np.exp(-1.3 * x))
    return s + 1.3 * x * s * (1 - s)


def bump(x):
    return np.exp(-x ** 2 / 2)


def dbump(x):
    return -x * bump(x)


def labels(r, V, n):
    return r.ids(V, n)


add((), 'right linear (out,in) on sequences', lambda r: (LinearOI(r(3, 4), r(3)), (r(5, 2, 4),)))
add((), 'right affine+relu', lambda r: (AffineReLU(r(4, 6), r(6)), (r(5, 4),)))
add((), 'right two-layer block', lambda r: (MLP(r(3, 5), r(5), r(5, 2), r(2)), (r(6, 3),)))
add((), 'right bilinear', lambda r: (Bilinear(r(2, 3, 4)), (r(5, 3), r(5, 4))))
add((), 'right residual', lambda r: (Residual(r(4, 6), r(6, 4)), (r(5, 4),)))
add((), 'right GLU', lambda r: (GLU(), (r(5, 8),)))
add((), 'right tied autoencoder', lambda r: (TiedAutoencoder(r(5, 3), r(3), r(5)), (r(4, 5),)))
add((), 'right maxout', lambda r: (Maxout(r(3, 4, 2), r(3, 2)), (r(5, 4),)))
add((), 'right weight norm', lambda r: (WeightNormLinear(r(4, 3), r(3)), (r(5, 4),)))
add((), 'right rbf', lambda r: (RBF(r(4, 3), 0.3), (r(5, 3),)))
add((), 'right factorisation machine', lambda r: (FactorMachine(r(5), r(5, 3)), (r(6, 5),)))
add((), 'right soft mixture', lambda r: (SoftMoE(r(4, 3), r(3, 4, 2)), (r(5, 4),)))
add((), 'right relu on own copy', lambda r: (ReLUOwnCopy(), (r.far(5, 6),)))
add((), 'right prelu', lambda r: (PReLU(r.u(.1, .4, 3)), (r.far(4, 3, 5),)))
add((), 'right broadcast add', lambda r: (BroadcastAdd(), (r(5, 1), r(4))))
add((), 'right in-place chain', lambda r: (InPlaceChain(), (r(5, 4),)))
add((), 'right maximum of two', lambda r: (MaximumNode(), (r(5, 4), r(5, 4))))
add((), 'right three outputs', lambda r: (SplitThree(), (r(5, 9),)))
add((), 'right two heads', lambda r: (TwoHeads(r(4, 6), r(6, 3), r(6)), (r(5, 4),)))
add((), 'right pixel shuffle', lambda r: (PixelShuffle(), (r(4, 8, 2, 3),)))
add((), 'right gram', lambda r: (Gram(), (r(4, 3, 5),)))
add((), 'right conv1d stride 2', lambda r: (Conv1d(r(3, 2, 4), r(3), 2), (r(4, 2, 9),)))
add((), 'right conv2d padded', lambda r: (Conv2d(r(2, 3, 3, 2), r(2), 2, 1), (r(4, 3, 5, 6),)))
add((), 'right conv nhwc', lambda r: (ConvNHWC(r(3, 2, 2, 3)), (r(4, 5, 4, 2),)))
add((), 'right transposed conv', lambda r: (ConvTranspose1d(r(2, 3, 4)), (r(4, 2, 5),)))
add((), 'right causal convolution', lambda r: (CausalConvFunc(r(3)), (r(4, 7),)))
add((), 'right max pool overlapping', lambda r: (MaxPool2d(), (r.perm(4, 2, 5, 7),)))
add((), 'right squeeze-excite', lambda r: (SEBlock(r(4, 3), r(3, 4)), (r(5, 4, 6),)))
add((), 'right batch norm with running state', lambda r: (BatchNorm(r(3), r(3)), (r(6, 3),)))
add((), 'right batch norm 2d', lambda r: (BatchNorm2d(r(3), r(3)), (r(4, 3, 2, 3),)))
add((), 'right layer norm', lambda r: (LayerNorm(r(6), r(6)), (r(4, 3, 6),)))
add((), 'right group norm', lambda r: (GroupNorm(2, r(4)), (r(4, 4, 5),)))
add((), 'right instance norm, eps outside the root', lambda r: (InstanceNorm(), (r(4, 3, 6),)))
add((), 'right spatial dropout with a generator', lambda r: (SpatialDropout(.3, np.random.default_rng(8)), (r(4, 5, 3),)))
add((), 'right embedding repeated ids', lambda r: (Embedding(r(6, 3)), (np.array([[1, 4, 1], [0, 4, 4], [5, 1, 2], [1, 1, 3]]),)))
add((), 'right embedding bag', lambda r: (EmbeddingBag(r(7, 3)), (np.array([[1, 4, 1], [0, 4, 4], [5, 1, 2], [1, 1, 3]]),)))
add((), 'right edge conv', lambda r: (EdgeConv(r(3, 2), [0, 1, 1, 3, 0], [2, 2, 0, 1, 2]), (r(4, 4, 3),)))
add((), 'right time-major rnn', lambda r: (RNN(r(3, 4), r(4, 4) * .6, r(4)), (r(6, 5, 3), r(5, 4))))
add((), 'right lstm', lambda r: (LSTM(r(7, 16) * .6, r(16)), (r(5, 4, 3),)))
add((), 'right gru cell', lambda r: (GRUCell(r(3, 12), r(4, 12)), (r(5, 3), r(5, 4))))
add((), 'right causal attention', lambda r: (DotAttention(), (r(4, 5, 3), r(4, 5, 3), r(4, 5, 3))))
add((), 'right padded attention pooling', lambda r: (AttentionPool(r(3), np.array([5, 2, 4, 3])), (r(4, 5, 3),)))
add((), 'right rope', lambda r: (RoPE(), (r(4, 5, 6),)))
add((), 'right clipped bce (t float: None)', lambda r: (BCEProb(), (r.u(.1, .9, 6), r.ids(2, 6))))
add((), 'right bce with logits, soft targets', lambda r: (BCELogits(), (r(5, 3), r.u(.1, .9, 5, 3))))
add((), 'right triplet', lambda r: (Triplet(), (r(6, 3), r(6, 3), r(6, 3))))
add((), 'right infonce', lambda r: (InfoNCE(), (r(5, 3), r(5, 3))))
add((), 'right pair repulsion', lambda r: (PairwiseRepulsion(), (r(6, 2),)))
add((), 'right negative sampling', lambda r: (NegSampling(r(6, 3), r(6, 3)),
    (np.array([1, 3, 1, 5]), np.array([[0, 2, 2], [4, 0, 5], [2, 2, 3], [0, 4, 1]]))))
add((), 'right ridge softmax regression', lambda r: (RidgeCE(r(4, 3), .3), (r(6, 4), r.ids(3, 6))))
add((), 'right net of parts', lambda r: (RegisteredNet(r(4, 5), r(5), r(5, 2), r(2)), (r(6, 4),)))
add((), 'right float32 affine', lambda r: (Float32Affine(r(4, 3).astype(np.float32), r(3).astype(np.float32)), (r(5, 4).astype(np.float32),)))
add((), 'right tiny tanh', lambda r: (Tanh(), (r(5, 4) * 1e-4,)))
add((), 'right large affine', lambda r: (Affine(r(4, 3) * 1e3, r(3) * 1e3), (r(5, 4) * 1e3,)))
add((), 'right counting scale', lambda r: (Counting(r(4)), (r(5, 4),)))
add((), 'right masked mean', lambda r: (MaskedMean(), (r(4, 5, 3), np.array([5, 2, 3, 1]))))
add((), 'right function swish', lambda r: ((swish, dswish), (r(7),)))
add((), 'right time softmax with ignored labels', lambda r: (TimeSoftmaxCE(), (r(4, 3, 5), np.array([[1, -1, 0], [4, 2, 2], [3, -1, -1], [0, 0, 1]]))))
add((), 'right lasso', lambda r: (LassoRegression(r.far(4), r(1), .2), (r(6, 4), r(6))))

add((), 'right binary hinge', lambda r: (BinaryHinge(), (np.array([.3, -.4, 1.7, .2, -2.0, 3.1]), np.array([1, 1, 1, -1, -1, 1]))))
add((), 'right multiclass hinge', lambda r: (MultiHinge(), (r(6, 4), r.ids(4, 6))))
add((), 'right softmax ce, backward()', lambda r: (SoftmaxCEPlain(), (r(6, 4), r.ids(4, 6))))
add((), 'right focal loss', lambda r: (FocalLoss(), (r.u(.1, .9, 6), r.ids(2, 6))))
add((), 'right cosine loss', lambda r: (CosineLoss(), (r(5, 3), r(5, 3))))

# ================================================== faulty: about the object
# --- nondeterministic
class DropoutAda:
    def __init__(self, p):
        self.p = p

    def forward(self, x):
        self.mask = (np.random.rand(*x.shape) > self.p) / (1 - self.p)
        return x * self.mask

    def backward(self, dout):
        return dout * self.mask


class SamplerAda:
    """VAE sampling"""

    def forward(self, mu, logvar):
        self.std = np.exp(logvar / 2)
        self.eps = np.random.standard_normal(mu.shape)
        return mu + self.std * self.eps

    def backward(self, dout):
        return dout, dout * self.eps * self.std / 2


class RNNAda(Layer):
    """keeps the last state for the next call ('stateful')"""

    def __init__(self, Wx, Wh):
        self.own(Wx, Wh)
        self.h = None

    def forward(self, xs):
        Wx, Wh = self.params
        N, T, D = xs.shape
        if self.h is None:
            self.h = np.zeros((N, Wh.shape[0]))
        self.hs = [self.h]
        for t in range(T):
            self.h = np.tanh(xs[:, t] @ Wx + self.h @ Wh)
            self.hs.append(self.h)
        self.xs = xs
        return np.stack(self.hs[1:], 1)

    def backward(self, dout):
        Wx, Wh = self.params
        for g in self.grads:
            g[...] = 0
        dx, dh = np.zeros_like(self.xs), 0
        for t in reversed(range(dout.shape[1])):
            dz = (dout[:, t] + dh) * (1 - self.hs[t + 1] ** 2)
            self.grads[0][...] += self.xs[:, t].T @ dz
            self.grads[1][...] += self.hs[t].T @ dz
            dx[:, t] = dz @ Wx.T
            dh = dz @ Wh.T
        return dx


class StochasticDepthAda(Layer):
    """a residual block that is dropped now and then; generator goes on"""

    def __init__(self, W, seed):
        self.own(W)
        self.rng = np.random.default_rng(seed)

    def forward(self, x):
        self.x = x
        self.keep = (self.rng.random((len(x), 1)) < 0.6).astype(float)
        self.h = np.tanh(x @ self.params[0])
        return x + self.keep * self.h

    def backward(self, dout):
        dz = dout * self.keep * (1 - self.h ** 2)
        self.grads[0][...] = self.x.T @ dz
        return dout + dz @ self.params[0].T


add('nondeterministic', 'nondeterministic: dropout np.random', lambda r: (DropoutAda(.4), (r(5, 6),)))
add('nondeterministic', 'nondeterministic: vae sampling fresh noise', lambda r: (SamplerAda(), (r(5, 3), r(5, 3))))
add('nondeterministic', 'nondeterministic: stateful rnn', lambda r: (RNNAda(r(3, 4), r(4, 4)), (r(5, 3, 3),)))
add('nondeterministic', 'nondeterministic: stochastic depth', lambda r: (StochasticDepthAda(r(4, 4), 3), (r(8, 4),)))

# --- uninformative (the layers are right)
add('uninformative', 'uninformative: relu only negative', lambda r: (ReLUOwnCopy(), (-r.u(.3, 2, 5, 4),)))
add('uninformative', 'uninformative: hinge all satisfied', lambda r: (BinaryHinge(), (np.array([3.0, -2.5, 4.0, -1.9, 2.2]), np.array([1, -1, 1, -1, 1]))))
add('uninformative', 'uninformative: triplet all satisfied', lambda r: (Triplet(), (r(5, 3) * .05, r(5, 3) * .05, 4 + r(5, 3) * .1)))
add('uninformative', 'uninformative: dropout that drops all', lambda r: (AffineDropout(r(4, 3), np.zeros((5, 4)), .3), (r(5, 4),)))


# --- mutates-input
class ReLUBea:
    def forward(self, x):
        self.mask = x <= 0
        x[self.mask] = 0
        return x

    def backward(self, dout):
        return np.where(self.mask, 0, dout)


class TanhBea(Tanh):
    def backward(self, dout):
        dout *= 1 - self.y ** 2
        return dout


class SoftmaxCEBea(SoftmaxCE):
    def forward(self, x, t):
        x -= x.max(axis=1, keepdims=True)
        self.y, self.t = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True), t
        return -np.log(self.y[np.arange(len(t)), t]).mean()


class AffineBea(Layer):
    """backward also makes the SGD step"""

    def __init__(self, W, b, lr=0.1):
        self.own(W, b)
        self.lr = lr

    def forward(self, x):
        self.x = x
        return x @ self.params[0] + self.params[1]

    def backward(self, dout):
        dx = dout @ self.params[0].T
        self.grads[0][...] = self.x.T @ dout
        self.grads[1][...] = dout.sum(0)
        for p, g in zip(self.params, self.grads):
            p -= self.lr * g
        return dx


add('mutates-input', 'mutates-input: relu in place', lambda r: (ReLUBea(), (r.far(5, 4),)))
add('mutates-input', 'mutates-input: tanh dout in place', lambda r: (TanhBea(), (r(5, 4),)))
add('mutates-input', 'mutates-input: softmax shift in place', lambda r: (SoftmaxCEBea(), (r(5, 4), r.ids(4, 5))))
add('mutates-input', 'mutates-input: sgd step in backward', lambda r: (AffineBea(r(4, 3), r(3)), (r(5, 4),)))


# --- cross-sample
class SoftmaxCai(Softmax):
    def forward(self, x):
        e = np.exp(x - x.max())
        self.y = e / e.sum(axis=0)
        return self.y


class NormalizeCai:
    def forward(self, x):
        self.n = np.linalg.norm(x)            # meant: of each row
        self.u = x / self.n
        return self.u

    def backward(self, dout):
        return (dout - self.u * (dout * self.u).sum(axis=1, keepdims=True)) / self.n


class CumsumCai(ReverseCumsum):
    """running sum over the steps"""

    def forward(self, x):
        return np.cumsum(x, axis=0)


class AttentionCai(DotAttention):
    """time-major q,k,v (T,N,D) were promised; batch-major comes"""

    def forward(self, q, k, v):
        self.sc = 1 / np.sqrt(q.shape[-1])
        self.q, self.k, self.v = q, k, v
        s = q @ k.swapaxes(1, 2) * self.sc
        e = np.exp(s - s.max())
        self.a = e / e.sum(axis=0, keepdims=True)
        return self.a @ v


class LayerNormCai(LayerNorm):
    def forward(self, x):
        self.s = np.sqrt(x.var() + 1e-6)
        self.n = (x - x.mean()) / self.s
        return self.n * self.params[0] + self.params[1]


add('cross-sample', 'cross-sample: softmax axis 0', lambda r: (SoftmaxCai(), (r(5, 4),)))
add('cross-sample', 'cross-sample: l2 norm of the whole batch', lambda r: (NormalizeCai(), (r(5, 4),)))
add('cross-sample', 'cross-sample: cumsum axis 0', lambda r: (CumsumCai(), (r(5, 4),)))
add('cross-sample', 'cross-sample: layer norm over everything', lambda r: (LayerNormCai(r(4), r(4)), (r(5, 4),)))
add('cross-sample', 'cross-sample: attention softmax over the batch', lambda r: (AttentionCai(), (r(4, 5, 3), r(4, 5, 3), r(4, 5, 3))))


# --- ignores-upstream
class SigmoidDev(Sigmoid):
    def backward(self, dout):
        return self.out * (1 - self.out)


class SoftmaxCEDev(SoftmaxCE):
    def backward(self, dout=1.0):
        d = self.y.copy()
        d[np.arange(len(self.t)), self.t] -= 1
        return d / len(self.t), None


class TripletDev(Triplet):
    def backward(self, dout=1.0):
        k = 2 * self.on / len(self.on)
        return k * (self.ap - self.an), -k * self.ap, k * self.an


class NormDev:
    """|x| of each row"""

    def forward(self, x):
        self.n = np.linalg.norm(x, axis=1)
        self.x = x
        return self.n

    def backward(self, dout):
        return self.x / self.n[:, None]


add('ignores-upstream', 'ignores-upstream: sigmoid', lambda r: (SigmoidDev(), (r(5, 4),)))
add('ignores-upstream', 'ignores-upstream: softmax ce', lambda r: (SoftmaxCEDev(), (r(5, 4), r.ids(4, 5))))
add('ignores-upstream', 'ignores-upstream: triplet', lambda r: (TripletDev(), (r(6, 3), r(6, 3), r(6, 3))))
add('ignores-upstream', 'ignores-upstream: row norm', lambda r: (NormDev(), (r(5, 4),)))


# --- not-returned
class BilinearEmil(Bilinear):
    def backward(self, dout):
        self.grads[0][:] = np.einsum('nk,ni,nj->kij', dout, self.a, self.b)
        da = np.einsum('nk,kij,nj->ni', dout, self.params[0], self.b)
        return da


class AffineEmil(Affine):
    def backward(self, dout):
        self.grads[0][...] = self.x.T @ dout
        self.grads[1][...] = dout.sum(axis=0)
        self.dx = dout @ self.params[0].T


class GRUEmil(GRUCell):
    def backward(self, dout):
        dx, dh = super().backward(dout)
        return dx, None


class AttentionEmil(DotAttention):
    def backward(self, dout):
        da = dout @ self.v.swapaxes(1, 2)
        ds = self.a * (da - (da * self.a).sum(-1, keepdims=True)) * self.sc
        return ds @ self.k, ds.swapaxes(1, 2) @ self.q


add('not-returned', 'not-returned: bilinear only da', lambda r: (BilinearEmil(r(2, 3, 4)), (r(5, 3), r(5, 4))))
add('not-returned', 'not-returned: affine no return', lambda r: (AffineEmil(r(4, 3), r(3)), (r(5, 4),)))
add('not-returned', 'not-returned: gru no dh', lambda r: (GRUEmil(r(3, 12), r(4, 12)), (r(5, 3), r(5, 4))))
add('not-returned', 'not-returned: attention no dv', lambda r: (AttentionEmil(), (r(4, 5, 3), r(4, 5, 3), r(4, 5, 3))))


# --- not-written
class EmbeddingFay(Embedding):
    def backward(self, dout):
        dW = self.grads[0]
        dW = np.zeros_like(dW)
        for i, d in zip(self.ids.ravel(), dout.reshape(-1, dout.shape[-1])):
            dW[i] += d


class LayerNormFay(LayerNorm):
    def backward(self, dout):
        dgamma = (dout * self.n).sum(axis=0)
        self.grads[1][...] = dout.sum(axis=0)
        d = dout * self.params[0]
        return (d - d.mean(-1, keepdims=True) - self.n * (d * self.n).mean(-1, keepdims=True)) / self.s


class Conv1dFay(Conv1d):
    def backward(self, dout):
        W, b = self.params
        K = W.shape[2]
        dx = np.zeros_like(self.x)
        self.grads[0][...] = 0
        for t in range(dout.shape[2]):
            s = t * self.stride
            self.grads[0][...] += np.tensordot(dout[:, :, t], self.x[:, :, s:s + K], axes=(0, 0))
            dx[:, :, s:s + K] += np.tensordot(dout[:, :, t], W, axes=(1, 0))
        self.db = dout.sum(axis=(0, 2))
        return dx


class SoftMoEFay(SoftMoE):
    def backward(self, dout):
        Wg, We = self.params
        dg = np.einsum('no,neo->ne', dout, self.out)
        ds = self.gate * (dg - (dg * self.gate).sum(1, keepdims=True))
        self.grads[1][...] = np.einsum('ni,ne,no->eio', self.x, self.gate, dout)
        return ds @ Wg.T + np.einsum('ne,no,eio->ni', self.gate, dout, We)


add('not-written', 'not-written: embedding local name', lambda r: (EmbeddingFay(r(6, 3)), (np.array([[1, 4, 1], [0, 4, 2], [5, 1, 2], [1, 1, 3]]),)))
add('not-written', 'not-written: layer norm gamma', lambda r: (LayerNormFay(r(6), r(6)), (r(5, 6),)))
add('not-written', 'not-written: conv bias', lambda r: (Conv1dFay(r(3, 2, 3), r(3)), (r(4, 2, 6),)))
add('not-written', 'not-written: gating weights', lambda r: (SoftMoEFay(r(4, 3), r(3, 4, 2)), (r(5, 4),)))


# --- rebound-grads
class AffineGina(Affine):
    def backward(self, dout):
        self.grads = [self.x.T @ dout, dout.sum(axis=0)]
        return dout @ self.params[0].T


class RMSNormGina(RMSNorm):
    def backward(self, dout):
        x, r = self.x, self.r
        self.grads[0] = (dout * x * r).sum(0)
        d = dout * self.params[0]
        return d * r - x * r ** 3 * (d * x).mean(-1, keepdims=True)


class LSTMGina(LSTM):
    def forward(self, x):
        self.grads = [np.zeros_like(p) for p in self.params]
        return super().forward(x)


class PReLUGina(PReLU):
    def backward(self, dout):
        self.grads[0] = self.grads[0] * 0 + (dout * np.minimum(self.x, 0)).sum(axis=(0, 2))
        return dout * np.where(self.x > 0, 1.0, self.params[0][:, None])


add('rebound-grads', 'rebound-grads: affine new list', lambda r: (AffineGina(r(4, 3), r(3)), (r(5, 4),)))
add('rebound-grads', 'rebound-grads: rms norm new array', lambda r: (RMSNormGina(r(6)), (r(5, 6),)))
add('rebound-grads', 'rebound-grads: lstm new list in forward', lambda r: (LSTMGina(r(6, 12) * .6, r(12)), (r(5, 3, 3),)))
add('rebound-grads', 'rebound-grads: prelu cleared by a new array', lambda r: (PReLUGina(r.u(.1, .4, 3)), (r.far(4, 3, 5),)))


# --- accumulates
class AffineHugo(Affine):
    def backward(self, dout):
        self.grads[0] += self.x.T @ dout
        self.grads[1] += dout.sum(axis=0)
        return dout @ self.params[0].T


class EmbeddingHugo(Embedding):
    def backward(self, dout):
        np.add.at(self.grads[0], self.ids, dout)


class AvgPoolHugo(AvgPool1d):
    def forward(self, x):
        self.dx = np.zeros(x.shape)
        return sliding_window_view(x, self.k, axis=2)[:, :, ::self.s].mean(axis=-1)

    def backward(self, dout):
        for t in range(dout.shape[2]):
            self.dx[:, :, t * self.s:t * self.s + self.k] += dout[:, :, t:t + 1] / self.k
        return self.dx


class RNNHugo(RNN):
    def backward(self, dout):
        Wx, Wh, b = self.params
        dxs = np.zeros_like(self.xs)
        dh = np.zeros_like(self.hs[0])
        for t in range(len(self.xs) - 1, -1, -1):
            dz = (dout[t] + dh) * (1 - self.hs[t + 1] ** 2)
            self.grads[0][...] += self.xs[t].T @ dz
            self.grads[1][...] += self.hs[t].T @ dz
            self.grads[2][...] += dz.sum(0)
            dxs[t] = dz @ Wx.T
            dh = dz @ Wh.T
        return dxs, dh


add('accumulates', 'accumulates: affine +=', lambda r: (AffineHugo(r(4, 3), r(3)), (r(5, 4),)))
add('accumulates', 'accumulates: embedding add.at', lambda r: (EmbeddingHugo(r(6, 3)), (np.array([[1, 4, 1], [0, 4, 2], [5, 1, 2], [1, 1, 3]]),)))
add('accumulates', 'accumulates: avg pool dx made in forward', lambda r: (AvgPoolHugo(), (r(4, 2, 6),)))
add('accumulates', 'accumulates: rnn never cleared', lambda r: (RNNHugo(r(3, 4), r(4, 4) * .6, r(4)), (r(4, 5, 3), r(5, 4))))

# ========================================================= faulty: mistakes
# --- missing-batch-sum
class AffineIda(Affine):
    def backward(self, dout):
        self.grads[0][...] = self.x.T @ dout
        self.grads[1] = dout
        return dout @ self.params[0].T


class LinearNodeIda:
    """a node with everything as an input: x, W, b"""

    def forward(self, x, W, b):
        self.x, self.W = x, W
        return x @ W + b

    def backward(self, dout):
        return dout @ self.W.T, self.x.T @ dout, dout


class ScaleNodeIda:
    """x (N,T,D) * s (D,)"""

    def forward(self, x, s):
        self.x, self.s = x, s
        return x * s

    def backward(self, dout):
        return dout * self.s, (dout * self.x).sum(axis=1)


class ConvIda(Conv1d):
    def backward(self, dout):
        dx = super().backward(dout)
        K = self.params[0].shape[2]
        win = sliding_window_view(self.x, K, axis=2)
        self.grads[0] = np.einsum('nft,nctk->nfck', dout, win)
        return dx


add('missing-batch-sum', 'missing-batch-sum: affine bias', lambda r: (AffineIda(r(4, 3), r(3)), (r(5, 4),)))
add('missing-batch-sum', 'missing-batch-sum: node x W b', lambda r: (LinearNodeIda(), (r(5, 4), r(4, 3), r(3))))
add('missing-batch-sum', 'missing-batch-sum: scale node', lambda r: (ScaleNodeIda(), (r(4, 5, 3), r(3))))
add('missing-batch-sum', 'missing-batch-sum: conv weights per sample', lambda r: (ConvIda(r(3, 2, 3), r(3)), (r(4, 2, 6),)))


# --- missing-transpose
class AffineJan(Affine):
    def backward(self, dout):
        self.grads[0][...] = self.x.T @ dout
        self.grads[1][...] = dout.sum(axis=0)
        return dout @ self.params[0]


class RNNJan(RNN):
    def backward(self, dout):
        Wx, Wh, b = self.params
        for g in self.grads:
            g[...] = 0
        dxs = np.zeros_like(self.xs)
        dh = np.zeros_like(self.hs[0])
        for t in range(len(self.xs) - 1, -1, -1):
            dz = (dout[t] + dh) * (1 - self.hs[t + 1] ** 2)
            self.grads[0][...] += self.xs[t].T @ dz
            self.grads[1][...] += self.hs[t].T @ dz
            self.grads[2][...] += dz.sum(0)
            dxs[t] = dz @ Wx.T
            dh = dz @ Wh
        return dxs, dh


class TransposeJan(TransposeLayer):
    def backward(self, dout):
        return dout.transpose(self.axes)


class MatMulJan(MatMul):
    def backward(self, dout):
        return dout @ np.swapaxes(self.b, -1, -2), self.a @ dout


class LinearJan(LinearOI):
    def backward(self, dout):
        x = self.cache['x']
        self.g['weight'][...] = x.T @ dout
        self.g['bias'][...] = dout.sum(0)
        return dout @ self.p['weight']


add('missing-transpose', 'missing-transpose: affine square W', lambda r: (AffineJan(r(4, 4), r(4)), (r(6, 4),)))
add('missing-transpose', 'missing-transpose: rnn Wh', lambda r: (RNNJan(r(3, 4), r(4, 4) * .6, r(4)), (r(4, 5, 3), r(5, 4))))
add('missing-transpose', 'missing-transpose: permutation not inverted', lambda r: (TransposeJan((0, 2, 3, 1)), (r(5, 3, 3, 3),)))
add('missing-transpose', 'missing-transpose: matmul a', lambda r: (MatMulJan(), (r(4, 3, 3), r(4, 3, 5))))
add('missing-transpose', 'missing-transpose: linear dW in (in,out)', lambda r: (LinearJan(r(4, 4), r(4)), (r(6, 4),)))


# --- scaled-by-N
class MSEKim(MSE):
    def backward(self, dout=1.0):
        return 2 * dout * self.d, -2 * dout * self.d


class SoftmaxCEKim(SoftmaxCE):
    def backward(self, dout=1.0):
        dx = self.y.copy()
        dx[np.arange(len(self.t)), self.t] -= 1
        return dout * dx, None


class MeanTimeKim(MeanTime):
    def backward(self, dout):
        return np.broadcast_to(dout[:, None, :], self.shape).copy()


class GlobalAvgPoolKim(GlobalAvgPool):
    def backward(self, dout):
        h, w = self.hw
        return np.ones((1, 1, h, w)) * dout[:, :, None, None]


add('scaled-by-N', 'scaled-by-N: mse', lambda r: (MSEKim(), (r(5, 3), r(5, 3))))
add('scaled-by-N', 'scaled-by-N: softmax ce', lambda r: (SoftmaxCEKim(), (r(6, 4), r.ids(4, 6))))
add('scaled-by-N', 'scaled-by-N: mean over time', lambda r: (MeanTimeKim(), (r(4, 5, 3),)))
add('scaled-by-N', 'scaled-by-N: global average pool', lambda r: (GlobalAvgPoolKim(), (r(4, 2, 3, 5),)))


# --- divided-by-N
class AffineLea(Affine):
    def backward(self, dout):
        self.grads[0][...] = self.x.T @ dout
        self.grads[1][...] = dout.mean(axis=0)
        return dout @ self.params[0].T


class HingeLea(BinaryHinge):
    def forward(self, s, t):
        self.t = t
        self.m = 1 - t * s
        return np.maximum(0, self.m).sum()


class MLPLea(MLP):
    def backward(self, dout):
        W1, b1, W2, b2 = self.params
        m = len(self.x)
        da = (dout @ W2.T) * (1 - self.h ** 2)
        self.grads[0][...] = self.x.T @ da / m
        self.grads[1][...] = da.sum(0) / m
        self.grads[2][...] = self.h.T @ dout / m
        self.grads[3][...] = dout.sum(0) / m
        return da @ W1.T


class SoftmaxCELea(SoftmaxCE):
    def backward(self, dout=1.0):
        N = len(self.t)
        dx = self.y / N
        dx[np.arange(N), self.t] -= 1 / N
        return dout * dx / N, None


add('divided-by-N', 'divided-by-N: affine bias mean', lambda r: (AffineLea(r(4, 3), r(3)), (r(5, 4),)))
add('divided-by-N', 'divided-by-N: hinge of a sum', lambda r: (HingeLea(), (np.array([.3, -.4, 1.7, .2, -2.0]), np.array([1, 1, 1, -1, -1]))))
add('divided-by-N', 'divided-by-N: coursera 1/m', lambda r: (MLPLea(r(3, 5), r(5), r(5, 2), r(2)), (r(6, 3),)))
add('divided-by-N', 'divided-by-N: ce divided twice', lambda r: (SoftmaxCELea(), (r(6, 4), r.ids(4, 6))))


# --- wrong-sign
class SubtractMia(Subtract):
    def backward(self, dout):
        return dout, dout


class GANMia(GANGenerator):
    def backward(self, dout=1.0):
        return dout * sigm(-self.d) / self.d.size


class TripletMia(Triplet):
    def backward(self, dout=1.0):
        k = dout * 2 * self.on / len(self.on)
        return k * (self.ap - self.an), -k * self.ap, -k * self.an


class RBFMia(RBF):
    def backward(self, dout):
        d = (-2 * self.gamma * dout * self.y)[..., None] * self.diff
        self.grads[0][...] = d.sum(axis=0)
        return d.sum(axis=1)


add('wrong-sign', 'wrong-sign: subtract', lambda r: (SubtractMia(), (r(5, 4), r(5, 4))))
add('wrong-sign', 'wrong-sign: gan generator', lambda r: (GANMia(), (r(6),)))
add('wrong-sign', 'wrong-sign: triplet negative', lambda r: (TripletMia(), (r(6, 3), r(6, 3), r(6, 3))))
add('wrong-sign', 'wrong-sign: rbf centres', lambda r: (RBFMia(r(4, 3), .3), (r(5, 3),)))


# --- factor-2
class HalfSquaresNora(HalfSquares):
    def backward(self, dout=1.0):
        return 2 * dout * self.d, -2 * dout * self.d


class HuberNora(Huber):
    def backward(self, dout=1.0):
        g = dout * np.where(np.abs(self.e) < self.delta, 2 * self.e, 2 * self.delta * np.sign(self.e))
        return g, -g


class VAEKLNora(VAEKL):
    def backward(self, dout=1.0):
        n = len(self.mu)
        return dout * 2 * self.mu / n, dout * 0.5 * (np.exp(self.lv) - 1) / n


class ReparamNora(Reparam):
    def backward(self, dout):
        return dout, dout * self.sd * self.eps


add('factor-2', 'factor-2: half squares', lambda r: (HalfSquaresNora(), (r(5, 3), r(5, 3))))
add('factor-2', 'factor-2: huber', lambda r: (HuberNora(), (r(5, 3), r(5, 3))))
add('factor-2', 'factor-2: vae kl mu', lambda r: (VAEKLNora(), (r(5, 3), r(5, 3))))
add('factor-2', 'factor-2: reparam logvar', lambda r: (ReparamNora(r(5, 3)), (r(5, 3), r(5, 3))))


# --- factor-half
class SquareOle(Square):
    def backward(self, dout):
        return dout * self.x


class PerSampleOle(SumSquaresPerSample):
    def backward(self, dout=1.0):
        g = dout * self.d / len(self.d)
        return g, -g


class RBFOle(RBF):
    def backward(self, dout):
        d = (-self.gamma * dout * self.y)[..., None] * self.diff
        self.grads[0][...] = -d.sum(axis=0)
        return d.sum(axis=1)


class EnergyOle:
    """|x|^2 of each sample"""

    def forward(self, x):
        self.x = x
        return np.einsum('nd,nd->n', x, x)

    def backward(self, dout):
        return self.x * dout[:, None]


add('factor-half', 'factor-half: square', lambda r: (SquareOle(), (r(5, 4),)))
add('factor-half', 'factor-half: squares per sample', lambda r: (PerSampleOle(), (r(5, 3), r(5, 3))))
add('factor-half', 'factor-half: rbf', lambda r: (RBFOle(r(4, 3), .3), (r(5, 3),)))
add('factor-half', 'factor-half: energy', lambda r: (EnergyOle(), (r(6, 3),)))


# --- dropout-scale
class DropoutPia(Dropout):
    def backward(self, dout):
        return dout * self.mask


class SpatialDropoutPia(SpatialDropout):
    def backward(self, dout):
        return dout * self.keep / (1 - self.p)


class AffineDropoutPia(AffineDropout):
    def backward(self, dout):
        self.grads[0][...] = self.xd.T @ dout
        return (dout @ self.params[0].T) * self.mask


class EmbeddingDropoutPia(Layer):
    """dropout of whole rows of the table"""

    def __init__(self, E, p, seed):
        self.own(E)
        self.p, self.seed = p, seed

    def forward(self, ids):
        E, = self.params
        self.ids = ids
        self.row = np.random.RandomState(self.seed).rand(len(E), 1) > self.p
        return (E * self.row / (1 - self.p))[ids]

    def backward(self, dout):
        dE = np.zeros_like(self.params[0])
        np.add.at(dE, self.ids, dout)
        self.grads[0][...] = dE * self.row
        return None


add('dropout-scale', 'dropout-scale: dropout', lambda r: (DropoutPia(.3, 5), (r(5, 6),)))
add('dropout-scale', 'dropout-scale: spatial doubled', lambda r: (SpatialDropoutPia(.3, np.random.default_rng(8)), (r(4, 5, 3),)))
add('dropout-scale', 'dropout-scale: affine dropout', lambda r: (AffineDropoutPia(r(4, 3), (r.u(0, 1, 5, 4) > .4) * 1.0, .4), (r(5, 4),)))
add('dropout-scale', 'dropout-scale: embedding rows', lambda r: (EmbeddingDropoutPia(r(6, 3), .35, 2), (np.array([[1, 4, 1], [0, 4, 2], [5, 1, 2], [1, 1, 3]]),)))


# --- summed-too-far
class AffineQuin(Affine):
    def backward(self, dout):
        self.grads[0][...] = self.x.T @ dout
        self.grads[1][...] = dout.sum()
        return dout @ self.params[0].T


class PositionQuin(OneHotEmbedding):
    def backward(self, dout):
        self.grads[0][...] = np.tensordot(self.oh, dout, axes=([0, 1], [0, 1]))
        self.grads[1][...] = dout.sum(axis=(0, 1))
        return None


class PReLUQuin(PReLU):
    def backward(self, dout):
        self.grads[0][...] = np.sum(dout * np.minimum(self.x, 0))
        return dout * np.where(self.x > 0, 1.0, self.params[0][:, None])


class BroadcastAddQuin(BroadcastAdd):
    def backward(self, dout):
        return np.full(self.sa, dout.sum()), dout.sum(axis=0)


add('summed-too-far', 'summed-too-far: affine bias', lambda r: (AffineQuin(r(4, 3), r(3)), (r(5, 4),)))
add('summed-too-far', 'summed-too-far: positions', lambda r: (PositionQuin(r(6, 3), r(4, 3)), (r.ids(6, 5, 4),)))
add('summed-too-far', 'summed-too-far: prelu slopes', lambda r: (PReLUQuin(r.u(.1, .4, 3)), (r.far(4, 3, 5),)))
add('summed-too-far', 'summed-too-far: broadcast column', lambda r: (BroadcastAddQuin(), (r(5, 1), r(4))))


# --- flipped-kernel
class NHWCRosa(ConvNHWC):
    def backward(self, dout):
        W = self.params[0]
        kh, kw = W.shape[:2]
        self.grads[0][...] = np.einsum('nxycij,nxyf->ijcf', self.win, dout)
        p = np.pad(dout, ((0, 0), (kh - 1, kh - 1), (kw - 1, kw - 1), (0, 0)))
        return np.einsum('nxyfij,ijcf->nxyc', sliding_window_view(p, (kh, kw), axis=(1, 2)), W)


class DepthwiseRosa(Depthwise1d):
    def backward(self, dout):
        W = self.params[0]
        C, K = W.shape
        T = dout.shape[2]
        for k in range(K):
            self.grads[0][:, k] = (dout * self.x[:, :, k:k + T]).sum(axis=(0, 2))
        p = np.pad(dout, ((0, 0), (0, 0), (K - 1, K - 1)))
        return np.einsum('nctk,ck->nct', sliding_window_view(p, K, axis=2), W)


class CausalRosa(CausalConvFunc):
    def backward(self, dout):
        w = self.params[0]
        K, T = len(w), dout.shape[1]
        self.grads[0][...] = [np.sum(dout[:, k:] * self.x[:, :T - k]) for k in range(K)]
        return np.stack([np.convolve(d, w)[K - 1:] for d in dout])


class ConvRosa(Conv1d):
    def backward(self, dout):
        dx = super().backward(dout)
        K = self.params[0].shape[2]
        win = sliding_window_view(self.x, K, axis=2)
        self.grads[0][...] = np.einsum('nft,nctk->fck', dout, win)[:, :, ::-1]
        return dx


add('flipped-kernel', 'flipped-kernel: nhwc', lambda r: (NHWCRosa(r(3, 2, 2, 3)), (r(4, 5, 4, 2),)))
add('flipped-kernel', 'flipped-kernel: depthwise', lambda r: (DepthwiseRosa(r(2, 3)), (r(4, 2, 7),)))
add('flipped-kernel', 'flipped-kernel: causal', lambda r: (CausalRosa(r(3)), (r(4, 7),)))
add('flipped-kernel', 'flipped-kernel: conv1d dW', lambda r: (ConvRosa(r(3, 2, 4), r(3)), (r(4, 2, 7),)))


# --- wrong-reshape
class SplitHeadsSam(SplitHeads):
    def backward(self, dout):
        N, H, T, D = dout.shape
        return dout.reshape(N, T, H * D)


class PixelShuffleSam(PixelShuffle):
    def backward(self, dout):
        return dout.reshape(self.shape)


class Conv2dSam(Conv2d):
    def backward(self, dout):
        W, b = self.params
        F, C, kh, kw = W.shape
        d = dout.reshape(-1, F)
        self.grads[1][...] = dout.sum(axis=(0, 2, 3))
        d_ok = dout.transpose(0, 2, 3, 1).reshape(-1, F)
        self.grads[0][...] = (d_ok.T @ self.col).reshape(W.shape)
        return col2im(d @ W.reshape(F, -1), self.xs, kh, kw, self.st, self.pad)


class FlattenSam:
    """column-major flattening, matlab style"""

    def forward(self, x):
        self.sh = x.shape
        return np.stack([s.flatten(order='F') for s in x])

    def backward(self, dout):
        return dout.reshape(self.sh)


class TimeMajorSam:
    """(N,T,D) -> (T,N,D)"""

    def forward(self, x):
        self.sh = x.shape
        return np.swapaxes(x, 0, 1)

    def backward(self, dout):
        return dout.reshape(self.sh)


add('wrong-reshape', 'wrong-reshape: split heads', lambda r: (SplitHeadsSam(2), (r(4, 5, 6),)))
add('wrong-reshape', 'wrong-reshape: pixel shuffle', lambda r: (PixelShuffleSam(), (r(4, 8, 2, 3),)))
add('wrong-reshape', 'wrong-reshape: conv2d dout', lambda r: (Conv2dSam(r(2, 3, 3, 2), r(2), 1, 1), (r(4, 3, 4, 5),)))
add('wrong-reshape', 'wrong-reshape: flatten F order', lambda r: (FlattenSam(), (r(4, 2, 3, 5),)))
add('wrong-reshape', 'wrong-reshape: time major', lambda r: (TimeMajorSam(), (r(4, 5, 3),)))

# --- lost-branch
class ResidualTom(Residual):
    def backward(self, dout):
        W1, W2 = self.params
        self.grads[1][...] = self.a.T @ dout
        dz = (dout @ W2.T) * (self.z > 0)
        self.grads[0][...] = self.x.T @ dz
        return dz @ W1.T


class RNNTom(RNN):
    def backward(self, dout):
        Wx, Wh, b = self.params
        dz = dout * (1 - np.array(self.hs[1:]) ** 2)
        self.grads[0][...] = np.einsum('tni,tnh->ih', self.xs, dz)
        self.grads[1][...] = np.einsum('tni,tnh->ih', np.array(self.hs[:-1]), dz)
        self.grads[2][...] = dz.sum(axis=(0, 1))
        return dz @ Wx.T, dz[0] @ Wh.T


class TiedTom(TiedAutoencoder):
    def backward(self, dout):
        W, b, c = self.params
        dz = (dout @ W) * self.h * (1 - self.h)
        self.grads[0][...] = self.x.T @ dz
        self.grads[1][...] = dz.sum(axis=0)
        self.grads[2][...] = dout.sum(axis=0)
        return dz @ W.T


class SiLUTom(SiLU):
    def backward(self, dout):
        return dout * self.x * self.s * (1 - self.s)


class SelfAttentionTom(SelfAttention):
    def backward(self, dout):
        dx = super().backward(dout)
        Wq, Wk, Wv = self.params
        dv = np.einsum('nij,nid->njd', self.a, dout)
        return dx - dv @ Wv.T


class EdgeTom(EdgeConv):
    def backward(self, dout):
        dm = dout[:, self.dst]
        dx = np.zeros_like(self.x)
        for e, s in enumerate(self.src):
            self.grads[0][...] = self.x[:, s].T @ dm[:, e]
            dx[:, s] += dm[:, e] @ self.params[0].T
        return dx


add('lost-branch', 'lost-branch: residual skip', lambda r: (ResidualTom(r(4, 6), r(6, 4)), (r(5, 4),)))
add('lost-branch', 'lost-branch: rnn no way back in time', lambda r: (RNNTom(r(3, 4), r(4, 4) * .6, r(4)), (r(4, 5, 3), r(5, 4))))
add('lost-branch', 'lost-branch: tied weights', lambda r: (TiedTom(r(5, 3), r(3), r(5)), (r(4, 5),)))
add('lost-branch', 'lost-branch: silu product rule', lambda r: (SiLUTom(), (r(5, 4),)))
add('lost-branch', 'lost-branch: edge weights = for +=', lambda r: (EdgeTom(r(3, 2), [0, 1, 1, 3, 0], [2, 2, 0, 1, 2]), (r(4, 4, 3),)))


# --- wrong-penalty
class RidgeUli(RidgeCE):
    def backward(self, dout=1.0):
        W = self.params[0]
        d = self.p.copy()
        d[np.arange(len(self.t)), self.t] -= 1
        d *= dout / len(self.t)
        self.grads[0][...] = self.x.T @ d
        return d @ W.T, None


class RidgeUwe(RidgeCE):
    def backward(self, dout=1.0):
        W = self.params[0]
        d = self.p.copy()
        d[np.arange(len(self.t)), self.t] -= 1
        d *= dout / len(self.t)
        self.grads[0][...] = self.x.T @ d + dout * 2 * self.lam * W
        return d @ W.T, None


class LassoUli(LassoRegression):
    def backward(self, dout=1.0):
        w, b = self.params
        d = 2 * self.e / len(self.e) * dout
        self.grads[0][...] = self.x.T @ d - dout * self.lam * np.sign(w)
        self.grads[1][...] = d.sum()
        return np.outer(d, w), -d


class TwoLayerSVMUli(Layer):
    """cs231n style: two-layer net with hinge and reg * sum(W*W) on both layers"""

    def __init__(self, W1, W2, reg):
        self.own(W1, W2)
        self.reg = reg

    def forward(self, X, y):
        W1, W2 = self.params
        self.X, self.h = X, np.tanh(X @ W1)
        self.svm = MultiHinge()
        return self.svm.forward(self.h @ W2, y) + self.reg * (np.sum(W1 * W1) + np.sum(W2 * W2))

    def backward(self, dout=1.0):
        W1, W2 = self.params
        ds, _ = self.svm.backward(dout)
        da = (ds @ W2.T) * (1 - self.h ** 2)
        self.grads[1][...] = self.h.T @ ds + dout * self.reg * W2
        self.grads[0][...] = self.X.T @ da + dout * self.reg * W1
        return da @ W1.T, None


add('wrong-penalty', 'wrong-penalty: ridge without', lambda r: (RidgeUli(r(4, 3), .3), (r(6, 4), r.ids(3, 6))))
add('wrong-penalty', 'wrong-penalty: ridge doubled', lambda r: (RidgeUwe(r(4, 3), .3), (r(6, 4), r.ids(3, 6))))
add('wrong-penalty', 'wrong-penalty: lasso minus', lambda r: (LassoUli(r.far(4), r(1), .2), (r(6, 4), r(6))))
add('wrong-penalty', 'wrong-penalty: two-layer halved', lambda r: (TwoLayerSVMUli(r(4, 5), r(5, 3), .2), (r(6, 4), r.ids(3, 6))))


# --- repeated-index
class EmbeddingVic(Embedding):
    def backward(self, dout):
        self.grads[0][...] = 0
        self.grads[0][self.ids] += dout
        return None


class GatherVic(GatherRows):
    def backward(self, dout):
        dx = np.zeros(self.sh)
        dx[:, self.idx] = dout
        return dx


class NegSamplingVic(NegSampling):
    def backward(self, dout=1.0):
        ds = dout * (self.s - self.lab) / len(self.c)
        for g in self.grads:
            g.fill(0)
        np.add.at(self.grads[0], self.c, np.einsum('nk,nkd->nd', ds, self.u))
        self.grads[1][self.o] += ds[..., None] * self.h[:, None]
        return None, None


class EdgeVic(EdgeConv):
    def backward(self, dout):
        dm = dout[:, self.dst]
        self.grads[0][...] = np.einsum('nei,neo->io', self.x[:, self.src], dm)
        dx = np.zeros_like(self.x)
        dx[:, self.src] += dm @ self.params[0].T
        return dx


REP = np.array([[1, 4, 1], [0, 4, 2], [5, 1, 2], [1, 1, 3]])
add('repeated-index', 'repeated-index: embedding fancy +=', lambda r: (EmbeddingVic(r(6, 3)), (REP.copy(),)))
add('repeated-index', 'repeated-index: gather', lambda r: (GatherVic([0, 2, 2, 3, 0]), (r(4, 5, 3),)))
add('repeated-index', 'repeated-index: negative sampling', lambda r: (NegSamplingVic(r(6, 3), r(6, 3)),
    (np.array([1, 3, 1, 5]), np.array([[0, 2, 2], [4, 0, 5], [2, 2, 3], [0, 4, 1]]))))
add('repeated-index', 'repeated-index: edges', lambda r: (EdgeVic(r(3, 2), [0, 1, 1, 3, 0], [2, 2, 0, 1, 2]), (r(4, 4, 3),)))


# --- missing-mask
class TimeCEWim(TimeSoftmaxCE):
    def backward(self, dout=1.0):
        d = self.y.copy()
        d[np.arange(len(self.t)), self.t] -= 1
        return (d * dout / self.live.sum()).reshape(self.sh)


class MaskedMeanWim(MaskedMean):
    def backward(self, dout):
        return np.repeat((dout / self.n)[:, None, :], self.T, axis=1), None


class HingeWim(BinaryHinge):
    def backward(self, dout=1.0):
        return -dout * self.t / len(self.t)


class DropoutWim(Dropout):
    def backward(self, dout):
        return dout / (1 - self.p)


class ResidualWim(Residual):
    def backward(self, dout):
        W1, W2 = self.params
        self.grads[1][...] = self.a.T @ dout
        dz = dout @ W2.T
        self.grads[0][...] = self.x.T @ dz
        return dout + dz @ W1.T


add('missing-mask', 'missing-mask: ignored labels', lambda r: (TimeCEWim(), (r(4, 3, 5), np.array([[1, -1, 0], [4, 2, 2], [3, -1, -1], [0, 0, 1]]))))
add('missing-mask', 'missing-mask: masked mean', lambda r: (MaskedMeanWim(), (r(4, 5, 3), np.array([5, 2, 3, 1]))))
add('missing-mask', 'missing-mask: hinge', lambda r: (HingeWim(), (np.array([.3, -.4, 1.7, .2, -2.0, 3.1]), np.array([1, 1, 1, -1, -1, 1]))))
add('missing-mask', 'missing-mask: dropout', lambda r: (DropoutWim(.3, 5), (r(5, 6),)))
add(frozenset({'missing-mask', 'missing-local-derivative'}), 'relu in a residual block', lambda r: (ResidualWim(r(4, 6), r(6, 4)), (r(5, 4),)))


# --- inverted-mask
class ReLUXia(ReLUOwnCopy):
    def backward(self, dout):
        return dout * self.neg


class HardtanhXia(Hardtanh):
    def backward(self, dout):
        dx = dout.copy()
        dx[self.inside] = 0
        return dx


class AffineDropoutXia(AffineDropout):
    def backward(self, dout):
        self.grads[0][...] = self.xd.T @ dout
        return (dout @ self.params[0].T) * (1 - self.mask) / (1 - self.p)


class MaximumXia(MaximumNode):
    def backward(self, dout):
        return dout * ~self.m, dout * self.m


class LeakyXia(LeakyReLU):
    def backward(self, dout):
        return np.where(self.pos, self.a * dout, dout)


add('inverted-mask', 'inverted-mask: relu', lambda r: (ReLUXia(), (r.far(5, 4),)))
add('inverted-mask', 'inverted-mask: hardtanh', lambda r: (HardtanhXia(), (np.linspace(-2.3, 2.4, 20).reshape(5, 4),)))
add('inverted-mask', 'inverted-mask: affine dropout', lambda r: (AffineDropoutXia(r(4, 3), (r.u(0, 1, 5, 4) > .4) * 1.0, .4), (r(5, 4),)))
add('inverted-mask', 'inverted-mask: maximum', lambda r: (MaximumXia(), (r(5, 4), r(5, 4))))
add('inverted-mask', 'inverted-mask: leaky', lambda r: (LeakyXia(), (r.far(5, 4),)))


# --- missing-local-derivative
class TanhYan(Tanh):
    def backward(self, dout):
        return dout


class MLPYan(MLP):
    def backward(self, dout):
        W1, b1, W2, b2 = self.params
        da = dout @ W2.T
        for g, v in zip(self.grads, (self.x.T @ da, da.sum(0), self.h.T @ dout, dout.sum(0))):
            g[...] = v
        return da @ W1.T


class GRUYan(GRUCell):
    def backward(self, dout):
        W, U = self.params
        x, h, z, r, n = self.c
        H = h.shape[1]
        dan = dout * (1 - z)
        drh = dan @ U[:, 2 * H:].T
        dar = drh * h * r * (1 - r)
        daz = dout * (h - n) * z * (1 - z)
        da = np.concatenate([daz, dar, dan], axis=1)
        self.grads[0][...] = x.T @ da
        self.grads[1][:, :2 * H] = h.T @ da[:, :2 * H]
        self.grads[1][:, 2 * H:] = (r * h).T @ dan
        return da @ W.T, dout * z + drh * r + da[:, :2 * H] @ U[:, :2 * H].T


class RNNYan(RNN):
    def backward(self, dout):
        Wx, Wh, b = self.params
        for g in self.grads:
            g.fill(0)
        dxs, dh = np.zeros_like(self.xs), 0
        for t in reversed(range(len(dout))):
            dz = dout[t] + dh
            self.grads[0][...] += self.xs[t].T @ dz
            self.grads[1][...] += self.hs[t].T @ dz
            self.grads[2][...] += dz.sum(axis=0)
            dxs[t] = dz @ Wx.T
            dh = dz @ Wh.T
        return dxs, dh


add('missing-local-derivative', 'missing-local-derivative: tanh', lambda r: (TanhYan(), (r(5, 4),)))
add('missing-local-derivative', 'missing-local-derivative: two-layer', lambda r: (MLPYan(r(3, 5), r(5), r(5, 2), r(2)), (r(6, 3),)))
add('missing-local-derivative', 'missing-local-derivative: gru candidate', lambda r: (GRUYan(r(3, 12), r(4, 12)), (r(5, 3), r(5, 4))))
add('missing-local-derivative', 'missing-local-derivative: rnn', lambda r: (RNNYan(r(3, 4), r(4, 4) * .6, r(4)), (r(4, 5, 3), r(5, 4))))


# --- wrong-local-derivative
class SigmoidZoe(Sigmoid):
    def backward(self, dout):
        s = 1 / (1 + np.exp(-self.out))
        return dout * s * (1 - s)


class TanhZoe(Tanh):
    def backward(self, dout):
        return dout * (1 - self.y)


class LSTMZoe(LSTM):
    def backward(self, dout):
        W, b = self.params
        D, H = self.D, self.H
        N, T, _ = dout.shape
        dW, db = np.zeros_like(W), np.zeros_like(b)
        dx = np.zeros((N, T, D))
        dh, dc = np.zeros((N, H)), np.zeros((N, H))
        for t in reversed(range(T)):
            xh, i, f, o, g, c_prev, c = self.mem[t]
            dh = dh + dout[:, t]
            tc = np.tanh(c)
            dc = dc + dh * o * (1 - tc ** 2)
            dz = np.hstack([dc * g * i * (1 - i), dc * c_prev * f * (1 - f),
                            dh * tc * o * (1 - o), dc * i * g * (1 - g)])
            dW += xh.T @ dz
            db += dz.sum(0)
            dxh = dz @ W.T
            dx[:, t], dh = dxh[:, :D], dxh[:, D:]
            dc = dc * f
        self.grads[0][...] = dW
        self.grads[1][...] = db
        return dx


class ELUZoe(ELU):
    def backward(self, dout):
        return dout * np.where(self.x > 0, 1.0, self.alpha * np.exp(self.y))


def dbump_zoe(x):
    return -bump(x)


class SoftplusZoe(Softplus):
    def backward(self, dout):
        s = sigm(self.x)
        return dout * s * (1 - s)


add('wrong-local-derivative', 'wrong-local-derivative: sigmoid at y', lambda r: (SigmoidZoe(), (r(5, 4),)))
add('wrong-local-derivative', 'wrong-local-derivative: tanh 1-y', lambda r: (TanhZoe(), (r(5, 4),)))
add('wrong-local-derivative', 'wrong-local-derivative: lstm candidate as sigmoid', lambda r: (LSTMZoe(r(6, 12) * .6, r(12)), (r(5, 3, 3),)))
add('wrong-local-derivative', 'wrong-local-derivative: elu at y', lambda r: (ELUZoe(), (r.far(5, 4),)))
add('wrong-local-derivative', 'wrong-local-derivative: softplus sigmoid prime', lambda r: (SoftplusZoe(), (r(5, 4),)))
add('wrong-local-derivative', 'wrong-local-derivative: function bump inner derivative', lambda r: ((bump, dbump_zoe), (r(7),)))


# --- constant-statistics
class BatchNormAbe(BatchNorm):
    def backward(self, dout):
        self.grads[0][...] = (dout * self.xhat).sum(0)
        self.grads[1][...] = dout.sum(0)
        return dout * self.params[0] / self.std


class LayerNormAbe(LayerNorm):
    def backward(self, dout):
        self.grads[0][...] = np.sum(dout * self.n, axis=(0, 1))
        self.grads[1][...] = np.sum(dout, axis=(0, 1))
        d = dout * self.params[0]
        return (d - d.mean(-1, keepdims=True)) / self.s


class L2NormalizeAbe(L2Normalize):
    def backward(self, dout):
        return dout / self.n


class RMSNormAbe(RMSNorm):
    def backward(self, dout):
        self.grads[0][...] = (dout * self.x * self.r).sum(0)
        return dout * self.params[0] * self.r


class GroupNormAbe(GroupNorm):
    def backward(self, dout):
        N, C, L = self.sh
        self.grads[0][...] = (dout * self.xh.reshape(self.sh)).sum((0, 2))
        d = (dout * self.params[0][:, None]).reshape(N, self.G, -1)
        dx = (d - self.xh * (d * self.xh).mean(2, keepdims=True)) / self.sd
        return dx.reshape(self.sh)


add('constant-statistics', 'constant-statistics: batch norm', lambda r: (BatchNormAbe(r(3), r(3)), (r(6, 3),)))
add('constant-statistics', 'constant-statistics: layer norm variance', lambda r: (LayerNormAbe(r(6), r(6)), (r(4, 3, 6),)))
add('constant-statistics', 'constant-statistics: l2 normalise', lambda r: (L2NormalizeAbe(), (r(5, 4),)))
add('constant-statistics', 'constant-statistics: rms norm', lambda r: (RMSNormAbe(r(6)), (r(5, 6),)))
add('constant-statistics', 'constant-statistics: group norm mean', lambda r: (GroupNormAbe(2, r(4)), (r(4, 4, 5),)))


# --- missing-label-subtraction
class SoftmaxCEBob(SoftmaxCE):
    def backward(self, dout=1.0):
        return dout * self.y / len(self.t), None


class RidgeBob(RidgeCE):
    def backward(self, dout=1.0):
        W = self.params[0]
        d = dout * self.p / len(self.t)
        self.grads[0][...] = self.x.T @ d + dout * self.lam * W
        return d @ W.T, None


class TimeCEBob(TimeSoftmaxCE):
    def backward(self, dout=1.0):
        d = self.y * self.live[:, None] * (dout / self.live.sum())
        return d.reshape(self.sh)


class WeightedCEBob(WeightedCE):
    def backward(self, dout=1.0):
        self.p[np.arange(len(self.t)), self.t] - 1
        return dout * self.p * (self.wt / self.wt.sum())[:, None]


add('missing-label-subtraction', 'missing-label-subtraction: softmax ce', lambda r: (SoftmaxCEBob(), (r(6, 4), r.ids(4, 6))))
add('missing-label-subtraction', 'missing-label-subtraction: softmax regression', lambda r: (RidgeBob(r(4, 3), .3), (r(6, 4), r.ids(3, 6))))
add('missing-label-subtraction', 'missing-label-subtraction: time softmax', lambda r: (TimeCEBob(), (r(4, 3, 5), np.array([[1, -1, 0], [4, 2, 2], [3, -1, -1], [0, 0, 1]]))))
add('missing-label-subtraction', 'missing-label-subtraction: class weights', lambda r: (WeightedCEBob(np.array([.5, 1.5, 2., .7])), (r(6, 4), r.ids(4, 6))))


# --- overlap-overwritten
class Conv1dCleo(Conv1d):
    def backward(self, dout):
        W, b = self.params
        K = W.shape[2]
        dx = np.zeros_like(self.x)
        dW = np.zeros_like(W)
        for t in range(dout.shape[2]):
            s = t * self.stride
            dW += np.tensordot(dout[:, :, t], self.x[:, :, s:s + K], axes=(0, 0))
            dx[:, :, s:s + K] = np.tensordot(dout[:, :, t], W, axes=(1, 0))
        self.grads[0][...] = dW
        self.grads[1][...] = dout.sum(axis=(0, 2))
        return dx


class MaxPoolCleo(MaxPool2d):
    def backward(self, dout):
        k, s = self.k, self.s
        dx = np.zeros_like(self.x)
        N, C, oh, ow = dout.shape
        for n in range(N):
            for c in range(C):
                for i in range(oh):
                    for j in range(ow):
                        w = self.x[n, c, i * s:i * s + k, j * s:j * s + k]
                        a, b = np.unravel_index(w.argmax(), w.shape)
                        dx[n, c, i * s + a, j * s + b] = dout[n, c, i, j]
        return dx


class AvgPoolCleo(AvgPool1d):
    def backward(self, dout):
        dx = np.zeros(self.shape)
        for t in range(dout.shape[2]):
            dx[:, :, t * self.s:t * self.s + self.k] = dout[:, :, t:t + 1] / self.k
        return dx


class Conv2dCleo(Conv2d):
    def backward(self, dout):
        W, b = self.params
        F, C, kh, kw = W.shape
        N, _, oh, ow = dout.shape
        d = dout.transpose(0, 2, 3, 1).reshape(-1, F)
        self.grads[1][...] = d.sum(axis=0)
        self.grads[0][...] = (d.T @ self.col).reshape(W.shape)
        dcol = (d @ W.reshape(F, -1)).reshape(N, oh, ow, C, kh, kw).transpose(0, 3, 4, 5, 1, 2)
        dx = np.zeros(self.xs)
        for i in range(kh):
            for j in range(kw):
                dx[:, :, i:i + oh, j:j + ow] = dcol[:, :, i, j]
        return dx


class FrameCleo:
    """cut a signal into overlapping frames, times a window; x (N,L) -> (N,T,K)"""

    def __init__(self, win, hop):
        self.win, self.hop = win, hop

    def forward(self, x):
        self.L, K = x.shape[1], len(self.win)
        return np.stack([x[:, s:s + K] * self.win for s in range(0, self.L - K + 1, self.hop)], axis=1)

    def backward(self, dout):
        dx = np.zeros((len(dout), self.L))
        for f in range(dout.shape[1]):
            dx[:, f * self.hop:f * self.hop + len(self.win)] = dout[:, f] * self.win
        return dx


add('overlap-overwritten', 'overlap-overwritten: conv1d', lambda r: (Conv1dCleo(r(3, 2, 4), r(3), 2), (r(4, 2, 8),)))
add('overlap-overwritten', 'overlap-overwritten: max pool', lambda r: (MaxPoolCleo(3, 1), (r.perm(4, 2, 5, 6),)))
add('overlap-overwritten', 'overlap-overwritten: avg pool', lambda r: (AvgPoolCleo(), (r(4, 2, 6),)))
add('overlap-overwritten', 'overlap-overwritten: conv2d col2im', lambda r: (Conv2dCleo(r(2, 3, 3, 2), r(2)), (r(4, 3, 5, 4),)))
add('overlap-overwritten', 'overlap-overwritten: frames', lambda r: (FrameCleo(np.hanning(6)[1:-1] + .2, 2), (r(4, 10),)))


# --- stale-cache
class RNNDan(RNN):
    def backward(self, dout):
        Wx, Wh, b = self.params
        for g in self.grads:
            g.fill(0)
        dxs, dh = np.zeros_like(self.xs), np.zeros_like(self.hs[0])
        for t in reversed(range(len(dout))):
            dz = (dout[t] + dh) * (1 - self.hs[t + 1] ** 2)
            self.grads[0][...] += self.xs[t].T @ dz
            self.grads[1][...] += self.hs[t + 1].T @ dz
            self.grads[2][...] += dz.sum(axis=0)
            dxs[t] = dz @ Wx.T
            dh = dz @ Wh.T
        return dxs, dh


class SiameseDan(Layer):
    """the same encoder for a and b, output <ea, eb> per sample"""

    def __init__(self, W):
        self.own(W)

    def encode(self, x):
        self.x = x
        self.h = np.tanh(x @ self.params[0])
        return self.h

    def encode_back(self, d):
        dz = d * (1 - self.h ** 2)
        return self.x.T @ dz, dz @ self.params[0].T

    def forward(self, a, b):
        self.ea = self.encode(a)
        self.eb = self.encode(b)
        return (self.ea * self.eb).sum(axis=1)

    def backward(self, dout):
        Wb, db = self.encode_back(dout[:, None] * self.ea)
        Wa, da = self.encode_back(dout[:, None] * self.eb)
        self.grads[0][...] = Wa + Wb
        return da, db


class LSTMDan(LSTM):
    def backward(self, dout):
        W, b = self.params
        D, H = self.D, self.H
        N, T, _ = dout.shape
        dW, db = np.zeros_like(W), np.zeros_like(b)
        dx = np.zeros((N, T, D))
        dh, dc = np.zeros((N, H)), np.zeros((N, H))
        for t in reversed(range(T)):
            xh, i, f, o, g, c_prev, c = self.mem[t]
            dh = dh + dout[:, t]
            tc = np.tanh(c)
            dc = dc + dh * o * (1 - tc ** 2)
            dz = np.hstack([dc * g * i * (1 - i), dc * c * f * (1 - f),
                            dh * tc * o * (1 - o), dc * i * (1 - g ** 2)])
            dW += xh.T @ dz
            db += dz.sum(0)
            dxh = dz @ W.T
            dx[:, t], dh = dxh[:, :D], dxh[:, D:]
            dc = dc * f
        self.grads[0][...] = dW
        self.grads[1][...] = db
        return dx


class MLPDan(MLP):
    def forward(self, x):
        W1, b1, W2, b2 = self.params
        self.x = x
        self.z = x @ W1 + b1
        self.h = np.tanh(self.z)
        return self.h @ W2 + b2

    def backward(self, dout):
        W1, b1, W2, b2 = self.params
        da = (dout @ W2.T) * (1 - self.h ** 2)
        self.grads[2][...] = self.z.T @ dout
        self.grads[3][...] = dout.sum(0)
        self.grads[0][...] = self.x.T @ da
        self.grads[1][...] = da.sum(0)
        return da @ W1.T


add('stale-cache', 'stale-cache: rnn h_t for h_(t-1)', lambda r: (RNNDan(r(3, 4), r(4, 4) * .6, r(4)), (r(4, 5, 3), r(5, 4))))
add('stale-cache', 'stale-cache: siamese last call', lambda r: (SiameseDan(r(4, 3)), (r(5, 4), r(5, 4))))
add('stale-cache', 'stale-cache: lstm c for c_prev', lambda r: (LSTMDan(r(6, 12) * .6, r(12)), (r(5, 3, 3),)))
add('stale-cache', 'stale-cache: two-layer z for h', lambda r: (MLPDan(r(3, 5), r(5), r(5, 2), r(2)), (r(6, 3),)))

# ================================================================== pairs
class P01(Affine):
    def backward(self, dout):
        self.grads[0][...] = self.x.T @ dout
        self.grads[1][...] = np.mean(dout, axis=0)
        return dout @ self.params[0]


class P02(Affine):
    def backward(self, dout):
        self.grads[0] += self.x.T @ dout
        self.grads[1][...] = -np.sum(dout, axis=0)
        return dout @ self.params[0].T


class P03(Affine):
    def backward(self, dout):
        self.grads[0][...] = self.x.T @ dout
        self.db = dout.sum(0)
        return dout @ self.params[0]


class P04(Bilinear):
    def backward(self, dout):
        self.grads[0][...] = -np.einsum('nk,ni,nj->kij', dout, self.a, self.b)
        return np.einsum('nk,kij,nj->ni', dout, self.params[0], self.b), None


class P05(LayerNorm):
    def backward(self, dout):
        self.grads[0][...] = (dout * self.n).sum()
        self.grads[1][...] = dout.sum(axis=0)
        return dout * self.params[0] / self.s


class P06(BatchNorm):
    def backward(self, dout):
        self.grads[0][...] = (dout * self.xhat).sum(0)
        dbeta = dout.sum(0)
        return dout * self.params[0] / self.std


class P07(Conv1d):
    def backward(self, dout):
        W, b = self.params
        K = W.shape[2]
        dx, dW = np.zeros_like(self.x), np.zeros_like(W)
        for t in range(dout.shape[2]):
            s = t * self.stride
            dW += np.einsum('nf,nck->fck', dout[:, :, t], self.x[:, :, s:s + K])
            dx[:, :, s:s + K] = np.einsum('nf,fck->nck', dout[:, :, t], W)
        self.grads[0][...] = dW
        self.grads[1][...] = dout.sum(axis=2).mean(axis=0)
        return dx


class P08(Depthwise1d):
    def backward(self, dout):
        W = self.params[0]
        K, T = W.shape[1], dout.shape[2]
        for k in range(K):
            self.grads[0][:, k] += (dout * self.x[:, :, k:k + T]).sum(axis=(0, 2))
        p = np.pad(dout, ((0, 0), (0, 0), (K - 1, K - 1)))
        return np.einsum('nctk,ck->nct', sliding_window_view(p, K, axis=2), W)


class P09(OneHotEmbedding):
    def forward(self, ids):
        self.ids = ids
        return self.params[0][ids] + self.params[1]

    def backward(self, dout):
        self.grads[0][...] = 0
        self.grads[0][self.ids] += dout
        self.grads[1][...] = dout.sum(axis=(0, 1))
        return None


class P10(RidgeCE):
    def backward(self, dout=1.0):
        d = dout * self.p / len(self.t)
        self.grads[0][...] = self.x.T @ d
        return d @ self.params[0].T, None


class P11(RidgeCE):
    def backward(self, dout=1.0):
        d = self.p.copy()
        d[np.arange(len(self.t)), self.t] -= 1
        d *= dout
        self.grads[0][...] = self.x.T @ d - dout * self.lam * self.params[0]
        return d @ self.params[0].T, None


class P12(RNN):
    def backward(self, dout):
        Wx, Wh, b = self.params
        for g in self.grads:
            g.fill(0)
        dxs, dh = np.zeros_like(self.xs), 0
        for t in reversed(range(len(dout))):
            dz = (dout[t] + dh) * (1 - self.hs[t + 1] ** 2)
            self.grads[0][...] += self.xs[t].T @ dz
            self.grads[1][...] += self.hs[t + 1].T @ dz
            self.grads[2][...] += dz.mean(axis=0)
            dxs[t] = dz @ Wx.T
            dh = dz @ Wh.T
        return dxs, dh


class P13(LSTM):
    def backward(self, dout):
        W, b = self.params
        D, H = self.D, self.H
        N, T, _ = dout.shape
        dx = np.zeros((N, T, D))
        dh, dc = np.zeros((N, H)), np.zeros((N, H))
        for t in reversed(range(T)):
            xh, i, f, o, g, c_prev, c = self.mem[t]
            dh = dh + dout[:, t]
            tc = np.tanh(c)
            dc = dc + dh * o * (1 - tc ** 2)
            dz = np.hstack([dc * g * i * (1 - i), dc * c_prev * f * (1 - f),
                            dh * tc * o * (1 - o), dc * i * (1 - g)])
            self.grads[0][...] += xh.T @ dz
            self.grads[1][...] += dz.sum(0)
            dxh = dz @ W.T
            dx[:, t], dh = dxh[:, :D], dxh[:, D:]
            dc = dc * f
        return dx


class P14(AffineDropout):
    def backward(self, dout):
        self.grads = [self.xd.T @ dout]
        return (dout @ self.params[0].T) * self.mask


class P15(PReLU):
    def backward(self, dout):
        self.grads[0][...] = (dout * np.minimum(self.x, 0)).sum()
        return dout * np.where(self.x < 0, 1.0, self.params[0][:, None])


class P16(SEBlock):
    def backward(self, dout):
        W1, W2 = self.params
        x, s, z, e = self.c
        du = (dout * x).sum(2) * e * (1 - e)
        self.grads[1] += np.maximum(z, 0).T @ du
        dz = (du @ W2.T) * (z > 0)
        self.grads[0] += s.T @ dz
        return dout * e[:, :, None]


class P17(Residual):
    def backward(self, dout):
        W1, W2 = self.params
        dW2 = self.a.T @ dout
        dz = (dout @ W2.T) * (self.z > 0)
        self.grads[0][...] = self.x.T @ dz
        return dz @ W1.T


class P18(Highway):
    def backward(self, dout):
        Wh, bh, Wt, bt = self.params
        x, h, t = self.c
        dzh = dout * t * (1 - h * h)
        dzt = dout * (x - h) * t * (1 - t)
        self.grads[0][...] = x.T @ dzh
        self.grads[1][...] = dzh.mean(0)
        self.grads[2][...] = x.T @ dzt
        self.grads[3][...] = dzt.sum(0)
        return dzh @ Wh.T + dzt @ Wt.T + dout * (1 - t)


class P19(DotAttention):
    def backward(self, dout):
        da = dout @ self.v.swapaxes(1, 2)
        ds = self.a * (da - (da * self.a).sum(-1, keepdims=True)) * self.sc
        return ds @ self.k, ds @ self.q, None


class P20(Triplet):
    def backward(self, dout=1.0):
        k = 2 * self.on / len(self.on)
        return k * (self.ap - self.an), -k * self.ap, -k * self.an


class P21(SoftmaxCE):
    def backward(self, dout=1.0):
        d = self.y.copy()
        d[np.arange(len(self.t)), self.t] -= 1
        return d, None


class P22(MSE):
    def backward(self, dout=1.0):
        g = 2 * dout * self.d
        return g, g


class P23(VAEKL):
    def backward(self, dout=1.0):
        n = len(self.mu)
        return 2 * dout * self.mu / n, 0.5 * dout * (1 - np.exp(self.lv)) / n


class P24(Tanh):
    def backward(self, dout):
        dout *= 1 - self.y
        return dout


class P25(AffineReLU):
    def backward(self, dout):
        x, on = self.cache
        dout[~on] = 0
        self.grads[0][...] = x.T @ dout
        self.grads[1][...] = dout.mean(0)
        return dout @ self.params[0].T


class P26(RMSNorm):
    def backward(self, dout):
        self.grads[0] = (dout * self.x * self.r).sum(0)
        return dout * self.params[0] * self.r


class P27(GRUCell):
    def backward(self, dout):
        W, U = self.params
        x, h, z, r, n = self.c
        H = h.shape[1]
        dan = dout * (1 - z)
        dar = (dan @ U[:, 2 * H:].T) * h * r * (1 - r)
        daz = dout * (h - n) * z * (1 - z)
        da = np.concatenate([daz, dar, dan], axis=1)
        self.grads[0][...] = x.T @ da
        self.grads[1][...] = np.hstack([h.T @ da[:, :2 * H], (r * h).T @ dan])
        return da @ W.T


class P28(TiedAutoencoder):
    def backward(self, dout):
        W, b, c = self.params
        dz = (dout @ W) * self.h * (1 - self.h)
        self.grads[0][...] = dout.T @ self.h
        self.grads[1][...] = dz.sum(axis=0)
        self.grads[2][...] = dout.sum(axis=0) / len(dout)
        return dz @ W.T


class P29(Embedding):
    def backward(self, dout):
        self.grads[0][self.ids] += dout


class P30(NegSampling):
    def backward(self, dout=1.0):
        ds = dout * (self.s - self.lab) / len(self.c)
        for g in self.grads:
            g.fill(0)
        np.subtract.at(self.grads[0], self.c, np.einsum('nk,nkd->nd', ds, self.u))
        self.grads[1][self.o] += ds[..., None] * self.h[:, None]
        return None, None


class P31(Conv2d):
    def backward(self, dout):
        W, b = self.params
        F, C, kh, kw = W.shape
        d = dout.transpose(0, 2, 3, 1).reshape(-1, F)
        self.grads[1][...] = dout.sum()
        self.grads[0][...] = (d.T @ self.col).reshape(W.shape)
        return col2im(dout.reshape(-1, F) @ W.reshape(F, -1), self.xs, kh, kw, self.st, self.pad)


class P32(LinearNodeIda):
    def backward(self, dout):
        return dout @ self.W, self.x.T @ dout, dout


class P33(MLP):
    def backward(self, dout):
        W1, b1, W2, b2 = self.params
        da = dout @ W2.T
        self.grads[0][...] = self.x.T @ da
        self.grads[1][...] = da.sum(0)
        self.grads[2][...] = self.h.T @ dout
        return da @ W1.T


class P34(RBF):
    def backward(self, dout):
        d = (-self.gamma * dout * self.y)[..., None] * self.diff
        self.grads[0] -= d.sum(axis=0)
        return d.sum(axis=1)


class P35(FactorMachine):
    def backward(self, dout):
        w, V = self.params
        x = self.x
        self.grads[0] = x * dout[:, None]
        self.grads[1][...] = x.T @ (dout[:, None] * self.xv)
        return dout[:, None] * (w + self.xv @ V.T - x * (V ** 2).sum(1))


class P36(WeightNormLinear):
    def backward(self, dout):
        v, g = self.params
        dW = self.x.T @ dout
        self.grads[1] += (dW * v / self.n).sum(0)
        self.grads[0][...] = g / self.n * dW
        return dout @ self.W.T


class P37(TimeSoftmaxCE):
    def backward(self, dout=1.0):
        d = self.y.copy()
        d[np.arange(len(self.t)), self.t] -= 1
        return (d / self.live.sum()).reshape(self.sh)


class P38(BinaryHinge):
    def backward(self, dout=1.0):
        return -dout * self.t


class P39(LassoRegression):
    def backward(self, dout=1.0):
        w, b = self.params
        d = 2 * self.e / len(self.e) * dout
        self.grads[0][...] = self.x.T @ d - dout * self.lam * np.sign(w)
        self.grads[1][...] = d.mean()
        return np.outer(d, w), -d


class P40(LinearOI):
    def backward(self, dout):
        x = self.cache['x']
        self.g['weight'][...] = x.T @ dout
        self.g['bias'][...] = dout.sum()
        return dout @ self.p['weight']


class P41(CosineLoss):
    def backward(self, dout=1.0):
        return -dout * self.ub / self.na, dout * (self.ua - self.c * self.ub) / self.nb


class P42(InfoNCE):
    def backward(self, dout=1.0):
        g = dout * self.p / len(self.p) / self.tau
        return g @ self.b, g @ self.a


class P43(LayerNormCai):
    """forward: one mean and one deviation for everything"""

    def backward(self, dout):
        self.grads[0][...] = (dout * self.n).sum(axis=0)
        dbeta = dout.sum(axis=0)
        d = dout * self.params[0]
        return (d - d.mean(-1, keepdims=True) - self.n * (d * self.n).mean(-1, keepdims=True)) / self.s


IGN = np.array([[1, -1, 0], [4, 2, 2], [3, -1, -1], [0, 0, 1]])
NEG_C, NEG_O = np.array([1, 3, 1, 5]), np.array([[0, 2, 2], [4, 0, 5], [2, 2, 3], [0, 4, 1]])
add(('divided-by-N', 'missing-transpose'), 'pair affine 1', lambda r: (P01(r(4, 4), r(4)), (r(6, 4),)))
add(('accumulates', 'wrong-sign'), 'pair affine 2', lambda r: (P02(r(4, 3), r(3)), (r(5, 4),)))
add(('not-written', 'missing-transpose'), 'pair affine 3', lambda r: (P03(r(4, 4), r(4)), (r(6, 4),)))
add(('not-returned', 'wrong-sign'), 'pair bilinear', lambda r: (P04(r(2, 3, 4)), (r(5, 3), r(5, 4))))
add(('constant-statistics', 'summed-too-far'), 'pair layer norm', lambda r: (P05(r(6), r(6)), (r(5, 6),)))
add(('constant-statistics', 'not-written'), 'pair batch norm', lambda r: (P06(r(3), r(3)), (r(6, 3),)))
add(('overlap-overwritten', 'divided-by-N'), 'pair conv1d', lambda r: (P07(r(3, 2, 4), r(3), 2), (r(5, 2, 8),)))
add(('flipped-kernel', 'accumulates'), 'pair depthwise', lambda r: (P08(r(2, 3)), (r(4, 2, 7),)))
add(('repeated-index', 'summed-too-far'), 'pair token+position', lambda r: (P09(r(6, 3), r(3, 3)), (REP.copy(),)))
add(('missing-label-subtraction', 'wrong-penalty'), 'pair ridge 1', lambda r: (P10(r(4, 3), .3), (r(6, 4), r.ids(3, 6))))
add(('scaled-by-N', 'wrong-penalty'), 'pair ridge 2', lambda r: (P11(r(4, 3), .3), (r(6, 4), r.ids(3, 6))))
add(('stale-cache', 'divided-by-N'), 'pair rnn', lambda r: (P12(r(3, 4), r(4, 4) * .6, r(4)), (r(4, 5, 3), r(5, 4))))
add(('accumulates', 'wrong-local-derivative'), 'pair lstm', lambda r: (P13(r(6, 12) * .6, r(12)), (r(5, 3, 3),)))
add(('dropout-scale', 'rebound-grads'), 'pair affine dropout', lambda r: (P14(r(4, 3), (r.u(0, 1, 5, 4) > .4) * 1.0, .4), (r(5, 4),)))
add(('inverted-mask', 'summed-too-far'), 'pair prelu', lambda r: (P15(r.u(.1, .4, 3)), (r.far(4, 3, 5),)))
add(('lost-branch', 'accumulates'), 'pair squeeze-excite', lambda r: (P16(r(4, 3), r(3, 4)), (r(5, 4, 6),)))
add(('lost-branch', 'not-written'), 'pair residual', lambda r: (P17(r(4, 6), r(6, 4)), (r(5, 4),)))
add(('wrong-sign', 'divided-by-N'), 'pair highway', lambda r: (P18(r(3, 3), r(3), r(3, 3), r(3)), (r(5, 3),)))
add(('not-returned', 'missing-transpose'), 'pair attention', lambda r: (P19(), (r(4, 5, 3), r(4, 5, 3), r(4, 5, 3))))
add(('ignores-upstream', 'wrong-sign'), 'pair triplet', lambda r: (P20(), (r(6, 3), r(6, 3), r(6, 3))))
add(('ignores-upstream', 'scaled-by-N'), 'pair softmax ce', lambda r: (P21(), (r(6, 4), r.ids(4, 6))))
add(('scaled-by-N', 'wrong-sign'), 'pair mse', lambda r: (P22(), (r(5, 3), r(5, 3))))
add(('factor-2', 'wrong-sign'), 'pair vae kl', lambda r: (P23(), (r(5, 3), r(5, 3))))
add(('mutates-input', 'wrong-local-derivative'), 'pair tanh', lambda r: (P24(), (r(5, 4),)))
add(('mutates-input', 'divided-by-N'), 'pair affine relu', lambda r: (P25(r(4, 6), r(6)), (r(5, 4),)))
add(('rebound-grads', 'constant-statistics'), 'pair rms norm', lambda r: (P26(r(6)), (r(5, 6),)))
add(('not-returned', 'missing-local-derivative'), 'pair gru', lambda r: (P27(r(3, 12), r(4, 12)), (r(5, 3), r(5, 4))))
add(('lost-branch', 'divided-by-N'), 'pair tied', lambda r: (P28(r(5, 3), r(3), r(5)), (r(4, 5),)))
add(('accumulates', 'repeated-index'), 'pair embedding', lambda r: (P29(r(6, 3)), (REP.copy(),)))
add(('repeated-index', 'wrong-sign'), 'pair negative sampling', lambda r: (P30(r(6, 3), r(6, 3)), (NEG_C.copy(), NEG_O.copy())))
add(('wrong-reshape', 'summed-too-far'), 'pair conv2d', lambda r: (P31(r(2, 3, 3, 2), r(2), 1, 1), (r(4, 3, 4, 5),)))
add(('missing-batch-sum', 'missing-transpose'), 'pair node', lambda r: (P32(), (r(6, 4), r(4, 4), r(4))))
add(('missing-local-derivative', 'not-written'), 'pair two-layer 1', lambda r: (P33(r(3, 5), r(5), r(5, 2), r(2)), (r(6, 3),)))
add(('factor-half', 'accumulates'), 'pair rbf', lambda r: (P34(r(4, 3), .3), (r(5, 3),)))
add(('lost-branch', 'missing-batch-sum'), 'pair factorisation machine', lambda r: (P35(r(5), r(5, 3)), (r(6, 5),)))
add(('constant-statistics', 'accumulates'), 'pair weight norm', lambda r: (P36(r(4, 3), r(3)), (r(5, 4),)))
add(('missing-mask', 'ignores-upstream'), 'pair time softmax', lambda r: (P37(), (r(4, 3, 5), IGN.copy())))
add(('missing-mask', 'scaled-by-N'), 'pair hinge', lambda r: (P38(), (np.array([.3, -.4, 1.7, .2, -2.0, 3.1]), np.array([1, 1, 1, -1, -1, 1]))))
add(('wrong-penalty', 'divided-by-N'), 'pair lasso', lambda r: (P39(r.far(4), r(1), .2), (r(6, 4), r(6))))
add(('missing-transpose', 'summed-too-far'), 'pair linear', lambda r: (P40(r(4, 4), r(4)), (r(6, 4),)))
add(('constant-statistics', 'wrong-sign'), 'pair cosine', lambda r: (P41(), (r(5, 3), r(5, 3))))
add(('missing-label-subtraction', 'missing-transpose'), 'pair infonce', lambda r: (P42(), (r(5, 3), r(5, 3))))
add(('cross-sample', 'not-written'), 'pair layer norm 2', lambda r: (P43(r(4), r(4)), (r(5, 4),)))
