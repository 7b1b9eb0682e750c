"""Mistakes that were asked about or mended in public, rebuilt in a few lines each: first set."""
from .reading import Cases

CASES = Cases()
right, wrong, odd = CASES.right, CASES.wrong, CASES.odd

# ------------------------------------------------------------------------------------------ dense
right("dense_dict", "Dense(r(4, 4), r(4)), r(6, 4)", '''
class Dense:
    def __init__(self, W, b):
        self.params = {"W": W, "b": b}
        self.grads = {"W": np.zeros_like(W), "b": np.zeros_like(b)}

    def forward(self, X):
        self.X = X
        self.Z = X @ self.params["W"] + self.params["b"]
        self.A = np.tanh(self.Z)
        return self.A

    def backward(self, dA):
        dZ = dA * (1 - self.A ** 2)
        self.grads["W"] = self.X.T @ dZ
        self.grads["b"] = dZ.sum(axis=0)
        return dZ @ self.params["W"].T
''')
wrong("wrong-local-derivative|stale-cache", "(1 - self.A ** 2)", "(1 - self.Z ** 2)")
wrong("missing-transpose", 'self.params["W"].T', 'self.params["W"]')
wrong("divided-by-N", 'dZ.sum(axis=0)', 'dZ.sum(axis=0) / len(self.X)')
wrong("missing-local-derivative", 'return dZ @', 'return dA @')

right("column_dense", "Layer(r(3, 5), r(3, 1)), r(5, 7)", '''
class Layer:
    """Samples in columns: Z = W A + b."""
    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward(self, A_prev):
        self.A_prev = A_prev
        self.Z = np.dot(self.W, A_prev) + self.b
        return np.maximum(0, self.Z)

    def backward(self, dA):
        m = self.A_prev.shape[1]
        dZ = np.array(dA, copy=True)
        dZ[self.Z <= 0] = 0
        self.dW = np.dot(dZ, self.A_prev.T)
        self.db = np.sum(dZ, axis=1, keepdims=True)
        return np.dot(self.W.T, dZ)
''')
wrong("divided-by-N", "self.dW = np.dot(dZ, self.A_prev.T)", "self.dW = np.dot(dZ, self.A_prev.T) / m")
wrong("missing-mask|stale-cache", "self.dW = np.dot(dZ,", "self.dW = np.dot(dA,")
wrong("summed-too-far", "np.sum(dZ, axis=1, keepdims=True)", "np.sum(dZ)")
wrong("missing-mask", "dZ[self.Z <= 0] = 0", "dZ[self.A_prev.sum() > 1e9] = 0")

right("affine_pair", "(affine_forward, affine_backward), r(4, 2, 3), r(6, 5), r(5)", '''
def affine_forward(x, w, b):
    out = x.reshape(x.shape[0], -1).dot(w) + b
    cache = (x, w, b)
    return out, cache

def affine_backward(dout, cache):
    x, w, b = cache
    dx = dout.dot(w.T).reshape(x.shape)
    dw = x.reshape(x.shape[0], -1).T.dot(dout)
    db = dout.sum(axis=0)
    return dx, dw, db
''')
wrong("wrong-reshape", "dout.dot(w.T).reshape(x.shape)", "dout.dot(w.T)")
wrong("wrong-reshape", "dout.dot(w.T).reshape(x.shape)", "dout.dot(w.T).reshape(x.shape, order='F')")
wrong("divided-by-N", "dout.sum(axis=0)", "np.mean(dout, 0)")

right("mul_layer", "Mul(), r(3, 4), r(3, 4)", '''
class Mul:
    def forward(self, x, y):
        self.x = x
        self.y = y
        return x * y

    def backward(self, dout):
        dx = dout * self.y
        dy = dout * self.x
        return dx, dy
''')
wrong("stale-cache|wrong-local-derivative", "dx = dout * self.y", "dx = dout * self.x")
wrong("stale-cache|not-returned", "return dx, dy", "return dy, dx")

right("lowrank", "LoRA(r(4, 3), r(2, 3), r(4, 2), 8.0), r(5, 4)", '''
class LoRA:
    def __init__(self, W, A, B, alpha):
        self.params = [W, A, B]
        self.grads = [np.zeros_like(p) for p in self.params]
        self.scale = alpha / A.shape[0]

    def forward(self, x):
        W, A, B = self.params
        self.x, self.h = x, x @ B
        return x @ W + self.scale * (self.h @ A)

    def backward(self, dout):
        W, A, B = self.params
        dh = self.scale * (dout @ A.T)
        self.grads[0][...] = self.x.T @ dout
        self.grads[1][...] = self.scale * self.h.T @ dout
        self.grads[2][...] = self.x.T @ dh
        return dout @ W.T + dh @ B.T
''')
wrong("wrong-local-derivative|dropout-scale", "= self.scale * self.h.T @ dout", "= self.h.T @ dout")
wrong("lost-branch", "dout @ W.T + dh @ B.T", "dout @ W.T")

# ------------------------------------------------------------------------------------ activations
right("elu", "ELU(0.7), signs(4, 5)", '''
class ELU:
    def __init__(self, alpha):
        self.alpha = alpha

    def forward(self, x):
        self.x = x
        self.out = np.where(x > 0, x, self.alpha * (np.exp(x) - 1))
        return self.out

    def backward(self, dout):
        slope = np.where(self.x > 0, 1.0, self.out + self.alpha)
        return dout * slope
''')
wrong("wrong-local-derivative", "self.out + self.alpha", "self.out + 1")
wrong("inverted-mask|wrong-local-derivative", "np.where(self.x > 0, 1.0", "np.where(self.x < 0, 1.0")

right("prelu", "PReLU(u(4)), signs(5, 4)", '''
class PReLU:
    def __init__(self, a):
        self.params, self.grads = [a], [np.zeros_like(a)]

    def forward(self, x):
        self.x = x
        return np.maximum(x, 0) + self.params[0] * np.minimum(x, 0)

    def backward(self, dout):
        neg = self.x < 0
        self.grads[0][:] = (dout * self.x * neg).sum(0)
        return dout * np.where(neg, self.params[0], 1)
''')
wrong("missing-mask", "(dout * self.x * neg)", "(dout * self.x)")
wrong("inverted-mask", "neg = self.x < 0", "neg = self.x > 0")

right("softmax_axis", "Softmax(), r(3, 4, 5)", '''
class Softmax:
    def forward(self, x):
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        self.y = e / e.sum(axis=-1, keepdims=True)
        return self.y

    def backward(self, dout):
        g = self.y * dout
        return g - self.y * g.sum(axis=-1, keepdims=True)
''')
wrong("summed-too-far|constant-statistics|wrong-local-derivative", "g.sum(axis=-1, keepdims=True)",
      "g.sum(axis=1, keepdims=True)")
wrong("constant-statistics|lost-branch|wrong-local-derivative", "return g - self.y * g.sum(axis=-1, keepdims=True)",
      "return self.y * (1 - self.y) * dout")

right("gelu_tanh", "GELU(), r(4, 5)", '''
class GELU:
    def forward(self, x):
        self.x = x
        c = np.sqrt(2 / np.pi)
        self.t = np.tanh(c * (x + 0.044715 * x ** 3))
        return 0.5 * x * (1 + self.t)

    def backward(self, dout):
        x, t = self.x, self.t
        c = np.sqrt(2 / np.pi)
        du = c * (1 + 3 * 0.044715 * x ** 2)
        return dout * (0.5 * (1 + t) + 0.5 * x * (1 - t ** 2) * du)
''')
wrong("wrong-local-derivative", "3 * 0.044715", "0.044715")
wrong("lost-branch|wrong-local-derivative", "(0.5 * (1 + t) + 0.5 * x * (1 - t ** 2) * du)", "0.5 * (1 + t)")

# ------------------------------------------------------------------------------------ convolution
right("conv_loops", "(conv_forward, conv_backward), r(2, 2, 5, 5), r(3, 2, 3, 3), r(3), {'stride': 2, 'pad': 1}", '''
def conv_forward(x, w, b, conv_param):
    stride, pad = conv_param["stride"], conv_param["pad"]
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    Ho, Wo = 1 + (H + 2 * pad - HH) // stride, 1 + (W + 2 * pad - WW) // stride
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    out = np.zeros((N, F, Ho, Wo))
    for i in range(Ho):
        for j in range(Wo):
            window = xp[:, :, i * stride:i * stride + HH, j * stride:j * stride + WW]
            out[:, :, i, j] = np.tensordot(window, w, axes=([1, 2, 3], [1, 2, 3])) + b
    return out, (x, w, b, conv_param)

def conv_backward(dout, cache):
    x, w, b, conv_param = cache
    stride, pad = conv_param["stride"], conv_param["pad"]
    _, _, HH, WW = w.shape
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            rows, cols = slice(i * stride, i * stride + HH), slice(j * stride, j * stride + WW)
            dw += np.tensordot(dout[:, :, i, j], xp[:, :, rows, cols], axes=(0, 0))
            dxp[:, :, rows, cols] += np.tensordot(dout[:, :, i, j], w, axes=(1, 0))
    db = dout.sum(axis=(0, 2, 3))
    return dxp[:, :, pad:-pad, pad:-pad], dw, db
''')
wrong("overlap-overwritten", "dxp[:, :, rows, cols] +=", "dxp[:, :, rows, cols] =")
wrong("summed-too-far", "db = dout.sum(axis=(0, 2, 3))", "db = dout.sum() * np.ones_like(b)")
wrong("wrong-reshape|not-returned", "return dxp[:, :, pad:-pad, pad:-pad], dw", "return dxp, dw")
wrong("overlap-overwritten", "dw += np.tensordot", "dw[...] = np.tensordot")

right("conv1d", "Conv1d(r(3, 2, 3), r(3)), r(2, 2, 7)", '''
class Conv1d:
    def __init__(self, K, b):
        self.params = [K, b]
        self.grads = [np.zeros_like(K), np.zeros_like(b)]

    def forward(self, x):
        K, b = self.params
        self.x, L = x, x.shape[2] - K.shape[2] + 1
        return sum(np.einsum("ncl,fc->nfl", x[:, :, k:k + L], K[:, :, k]) for k in range(K.shape[2])) + b[:, None]

    def backward(self, dout):
        K, b = self.params
        dx, L = np.zeros_like(self.x), dout.shape[2]
        for k in range(K.shape[2]):
            self.grads[0][:, :, k] = np.einsum("ncl,nfl->fc", self.x[:, :, k:k + L], dout)
            dx[:, :, k:k + L] += np.einsum("nfl,fc->ncl", dout, K[:, :, k])
        self.grads[1][...] = dout.sum(axis=(0, 2))
        return dx
''')
wrong("flipped-kernel", 'np.einsum("nfl,fc->ncl", dout, K[:, :, k])', 'np.einsum("nfl,fc->ncl", dout, K[:, :, -1 - k])')
wrong("flipped-kernel", "self.grads[0][:, :, k] =", "self.grads[0][:, :, K.shape[2] - 1 - k] =")

right("maxpool", "MaxPool(2), apart(2, 3, 4, 4)", '''
class MaxPool:
    def __init__(self, size):
        self.size = size

    def forward(self, x):
        N, C, H, W = x.shape
        p = self.size
        self.windows = x.reshape(N, C, H // p, p, W // p, p)
        self.out = self.windows.max(axis=(3, 5))
        return self.out

    def backward(self, dout):
        N, C, h, p, w, _ = self.windows.shape
        mask = self.windows == self.out[:, :, :, None, :, None]
        dx = mask * dout[:, :, :, None, :, None]
        return dx.reshape(N, C, h * p, w * p)
''')
wrong("missing-mask", "dx = mask * dout[:, :, :, None, :, None]", "dx = np.ones_like(mask) * dout[:, :, :, None, :, None]")
wrong("missing-mask|divided-by-N|wrong-local-derivative", "dx = mask * dout[:, :, :, None, :, None]",
      "dx = np.broadcast_to(dout[:, :, :, None, :, None] / p ** 2, mask.shape)")

right("avgpool_global", "GAP(), r(2, 3, 4, 5)", '''
class GAP:
    def forward(self, x):
        self.shape = x.shape
        return x.mean(axis=(2, 3))

    def backward(self, dout):
        N, C, H, W = self.shape
        return np.broadcast_to(dout[:, :, None, None] / (H * W), self.shape).copy()
''')
wrong("scaled-by-N", "/ (H * W)", "/ H")

# -------------------------------------------------------------------------------------------- norm
right("batchnorm_steps", "(batchnorm_forward, batchnorm_backward), r(6, 4), u(4), r(4), {'mode': 'train', 'eps': 1e-5}", '''
def batchnorm_forward(x, gamma, beta, bn_param):
    eps = bn_param.get("eps", 1e-5)
    mu = x.mean(axis=0)
    xmu = x - mu
    var = (xmu ** 2).mean(axis=0)
    std = np.sqrt(var + eps)
    xhat = xmu / std
    bn_param["running_mean"] = 0.9 * bn_param.get("running_mean", 0 * mu) + 0.1 * mu
    return gamma * xhat + beta, (xhat, xmu, std, gamma)

def batchnorm_backward(dout, cache):
    xhat, xmu, std, gamma = cache
    N = dout.shape[0]
    dbeta = dout.sum(axis=0)
    dgamma = (dout * xhat).sum(axis=0)
    dxhat = dout * gamma
    dstd = -(dxhat * xmu).sum(axis=0) / std ** 2
    dvar = 0.5 * dstd / std
    dxmu = dxhat / std + 2 * xmu * dvar / N
    dmu = -dxmu.sum(axis=0)
    return dxmu + dmu / N, dgamma, dbeta
''')
wrong("stale-cache", "dgamma = (dout * xhat)", "dgamma = (dout * xmu)")
wrong("constant-statistics", "return dxmu + dmu / N", "return dxmu")
wrong("constant-statistics|factor-2|wrong-local-derivative", "0.5 * dstd / std", "dstd / std")
wrong("stale-cache|wrong-local-derivative|missing-local-derivative|lost-branch", "dxhat = dout * gamma", "dxhat = dout")

right("layernorm", "LayerNorm(u(5), r(5)), r(4, 5)", '''
class LayerNorm:
    def __init__(self, g, b, eps=1e-5):
        self.params, self.grads, self.eps = [g, b], [np.zeros_like(g), np.zeros_like(b)], eps

    def forward(self, x):
        g, b = self.params
        m = x.mean(-1, keepdims=True)
        self.rstd = 1 / np.sqrt(x.var(-1, keepdims=True) + self.eps)
        self.n = (x - m) * self.rstd
        return self.n * g + b

    def backward(self, dout):
        g, b = self.params
        self.grads[0][...] = (dout * self.n).sum(0)
        self.grads[1][...] = dout.sum(0)
        dn = dout * g
        return (dn - dn.mean(-1, keepdims=True) - self.n * (dn * self.n).mean(-1, keepdims=True)) * self.rstd
''')
wrong("constant-statistics", "- dn.mean(-1, keepdims=True) - self.n", "- self.n")
wrong("summed-too-far|constant-statistics|cross-sample", "dn - dn.mean(-1, keepdims=True)", "dn - dn.mean(0, keepdims=True)")
wrong("wrong-sign|constant-statistics", "- self.n * (dn * self.n)", "+ self.n * (dn * self.n)")

right("l2norm", "L2Normalize(), r(4, 3)", '''
class L2Normalize:
    def forward(self, x):
        self.norm = np.sqrt((x * x).sum(axis=1, keepdims=True))
        self.y = x / self.norm
        return self.y

    def backward(self, dout):
        inner = (dout * self.y).sum(axis=1, keepdims=True)
        return (dout - self.y * inner) / self.norm
''')
wrong("constant-statistics", "(dout - self.y * inner) / self.norm", "dout / self.norm")

# ----------------------------------------------------------------------------------------- losses
right("softmax_ce", "SoftmaxWithLoss(), r(5, 4), ids(4, 5)", '''
class SoftmaxWithLoss:
    def forward(self, x, t):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self.y, self.t = e / e.sum(axis=1, keepdims=True), t
        return -np.log(self.y[np.arange(len(t)), t] + 1e-12).mean()

    def backward(self, dout=1):
        N = self.t.shape[0]
        dx = self.y.copy()
        dx[np.arange(N), self.t] -= 1
        return dx * (dout / N)
''')
wrong("scaled-by-N", "dx * (dout / N)", "dx * dout")
wrong("missing-label-subtraction|wrong-reshape|repeated-index", "dx[np.arange(N), self.t] -= 1", "dx[:, self.t] -= 1")
wrong("mutates-cache|accumulates|mutates-input|stale-cache", "dx = self.y.copy()", "dx = self.y")
wrong("ignores-upstream", "dx * (dout / N)", "dx / N")

right("bce_logits", "BCE(), r(6, 1), (r(6, 1) > 0) * 1.0", '''
class BCE:
    def forward(self, z, t):
        self.t = t
        self.p = 1 / (1 + np.exp(-z))
        return -np.mean(t * np.log(self.p) + (1 - t) * np.log(1 - self.p))

    def backward(self, dout=1.0):
        return dout * (self.p - self.t) / self.t.size
''')
wrong("wrong-sign", "(self.p - self.t)", "(self.t - self.p)")
wrong("wrong-local-derivative", "(self.p - self.t)", "(self.p - self.t) * self.p * (1 - self.p)")

right("triplet", "Triplet(0.5), r(5, 3), r(5, 3), r(5, 3)", '''
class Triplet:
    def __init__(self, margin):
        self.margin = margin

    def forward(self, a, p, n):
        self.dp, self.dn = a - p, a - n
        gap = (self.dp ** 2).sum(1) - (self.dn ** 2).sum(1) + self.margin
        self.active = gap > 0
        return np.maximum(gap, 0).mean()

    def backward(self, dout=1.0):
        s = 2 * dout * self.active[:, None] / len(self.active)
        return s * (self.dp - self.dn), -s * self.dp, s * self.dn
''')
wrong("wrong-sign", "-s * self.dp, s * self.dn", "-s * self.dp, -s * self.dn")
wrong("missing-mask", "s = 2 * dout * self.active[:, None]", "s = 2 * dout * np.ones((len(self.active), 1))")

# -------------------------------------------------------------------------- embedding, recurrent
right("embedding", "Embedding(r(6, 3)), np.array([[0, 2, 2], [5, 1, 0]])", '''
class Embedding:
    def __init__(self, W):
        self.params, self.grads, self.idx = [W], [np.zeros_like(W)], None

    def forward(self, idx):
        self.idx = idx
        return self.params[0][idx]

    def backward(self, dout):
        dW, = self.grads
        dW[...] = 0
        np.add.at(dW, self.idx, dout)
''')
wrong("repeated-index", "np.add.at(dW, self.idx, dout)", "dW[self.idx] = dout")
wrong("accumulates", "        dW[...] = 0\n", "")
wrong("rebound-grads|not-written", "dW[...] = 0\n", "dW = np.zeros_like(dW)\n")

right("rnn_cs231n", "VanillaRNN(r(3, 4), r(4, 4), r(4)), r(2, 5, 3), r(2, 4)", '''
class VanillaRNN:
    def __init__(self, Wx, Wh, b):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(p) for p in self.params]

    def forward(self, x, h0):
        Wx, Wh, b = self.params
        self.x, self.h = x, [h0]
        for t in range(x.shape[1]):
            self.h.append(np.tanh(x[:, t] @ Wx + self.h[-1] @ Wh + b))
        return np.stack(self.h[1:], axis=1)

    def backward(self, dout):
        Wx, Wh, b = self.params
        for g in self.grads:
            g.fill(0)
        dx, dprev = np.zeros_like(self.x), 0
        for t in range(dout.shape[1] - 1, -1, -1):
            da = (dout[:, t] + dprev) * (1 - self.h[t + 1] ** 2)
            dx[:, t] = da @ Wx.T
            dprev = da @ Wh.T
            self.grads[0] += self.x[:, t].T @ da
            self.grads[1] += self.h[t].T @ da
            self.grads[2] += da.sum(0)
        return dx, dprev
''')
wrong("lost-branch", "da = (dout[:, t] + dprev) *", "da = dout[:, t] *")
wrong("stale-cache|wrong-local-derivative", "(1 - self.h[t + 1] ** 2)", "(1 - self.h[t] ** 2)")
wrong("stale-cache", "self.h[t].T @ da", "self.h[t + 1].T @ da")
wrong("overlap-overwritten|lost-branch|accumulates", "self.grads[1] +=", "self.grads[1][...] =")

right("lstm_step", "LSTMCell(r(3, 16), r(4, 16), r(16)), r(5, 3), r(5, 4), r(5, 4)", '''
class LSTMCell:
    def __init__(self, Wx, Wh, b):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(p) for p in self.params]

    def forward(self, x, h, c):
        Wx, Wh, b = self.params
        f, g, i, o = np.split(x @ Wx + h @ Wh + b, 4, axis=1)
        f, i, o, g = (1 / (1 + np.exp(-f)), 1 / (1 + np.exp(-i)), 1 / (1 + np.exp(-o)), np.tanh(g))
        c_next = f * c + g * i
        h_next = o * np.tanh(c_next)
        self.cache = x, h, c, f, g, i, o, c_next
        return h_next, c_next

    def backward(self, dh, dc):
        Wx, Wh, b = self.params
        x, h, c, f, g, i, o, c_next = self.cache
        t = np.tanh(c_next)
        ds = dc + dh * o * (1 - t ** 2)
        df = ds * c * f * (1 - f)
        di = ds * g * i * (1 - i)
        dg = ds * i * (1 - g ** 2)
        do = dh * t * o * (1 - o)
        dA = np.hstack((df, dg, di, do))
        self.grads[0][...] = x.T @ dA
        self.grads[1][...] = h.T @ dA
        self.grads[2][...] = dA.sum(axis=0)
        return dA @ Wx.T, dA @ Wh.T, ds * f
''')
wrong("wrong-local-derivative", "dg = ds * i * (1 - g ** 2)", "dg = ds * i * g * (1 - g)")
wrong("wrong-reshape|stale-cache|wrong-local-derivative", "np.hstack((df, dg, di, do))", "np.hstack((df, di, dg, do))")
wrong("lost-branch", "ds = dc + dh * o * (1 - t ** 2)", "ds = dh * o * (1 - t ** 2)")
wrong("missing-local-derivative|lost-branch|stale-cache|wrong-local-derivative", "return dA @ Wx.T, dA @ Wh.T, ds * f",
      "return dA @ Wx.T, dA @ Wh.T, ds")

# -------------------------------------------------------------------------------------- attention
right("attention", "Attention(2), r(2, 3, 4), r(2, 5, 4), r(2, 5, 4)", '''
class Attention:
    """Heads side by side, dot products over the root of a head's size."""
    def __init__(self, heads):
        self.heads = heads

    def split(self, x):
        N, T, D = x.shape
        return x.reshape(N, T, self.heads, D // self.heads).transpose(0, 2, 1, 3)

    def join(self, x):
        N, h, T, d = x.shape
        return x.transpose(0, 2, 1, 3).reshape(N, T, h * d)

    def forward(self, q, k, v):
        self.q, self.k, self.v = map(self.split, (q, k, v))
        s = self.q @ self.k.swapaxes(-1, -2) / np.sqrt(self.q.shape[-1])
        e = np.exp(s - s.max(-1, keepdims=True))
        self.a = e / e.sum(-1, keepdims=True)
        return self.join(self.a @ self.v)

    def backward(self, dout):
        dout = self.split(dout)
        dv = self.a.swapaxes(-1, -2) @ dout
        da = dout @ self.v.swapaxes(-1, -2)
        ds = self.a * (da - (da * self.a).sum(-1, keepdims=True)) / np.sqrt(self.q.shape[-1])
        dq = ds @ self.k
        dk = ds.swapaxes(-1, -2) @ self.q
        return self.join(dq), self.join(dk), self.join(dv)
''')
wrong("wrong-local-derivative|scaled-by-N|dropout-scale", " / np.sqrt(self.q.shape[-1])\n        dq", "\n        dq")
wrong("constant-statistics|lost-branch|wrong-local-derivative", "(da - (da * self.a).sum(-1, keepdims=True))", "da")
wrong("wrong-reshape", "return self.join(dq),", "return dq.reshape(dq.shape[0], dq.shape[2], -1),")
wrong("stale-cache", "dq = ds @ self.k", "dq = ds @ self.v")

# ------------------------------------------------------------------------------------ whole nets
right("two_layer_net", "TwoLayerNet(r(4, 6) * 0.5, r(6), r(6, 3) * 0.5, r(3)), r(5, 4), ids(3, 5)", '''
class TwoLayerNet:
    def __init__(self, W1, b1, W2, b2, reg=0.1):
        self.params = {"W1": W1, "b1": b1, "W2": W2, "b2": b2}
        self.reg = reg

    def loss(self, X, y=None):
        W1, b1, W2, b2 = (self.params[k] for k in ("W1", "b1", "W2", "b2"))
        h = np.maximum(0, X @ W1 + b1)
        scores = h @ W2 + b2
        if y is None:
            return scores
        e = np.exp(scores - scores.max(1, keepdims=True))
        p = e / e.sum(1, keepdims=True)
        N = len(X)
        loss = -np.log(p[np.arange(N), y]).mean() + 0.5 * self.reg * ((W1 ** 2).sum() + (W2 ** 2).sum())
        ds = p.copy()
        ds[np.arange(N), y] -= 1
        ds /= N
        grads = {"W2": h.T @ ds + self.reg * W2, "b2": ds.sum(0)}
        dh = ds @ W2.T
        dh[h <= 0] = 0
        grads["W1"] = X.T @ dh + self.reg * W1
        grads["b1"] = dh.sum(0)
        return loss, grads
''')
wrong("wrong-penalty", "grads[\"W1\"] = X.T @ dh + self.reg * W1", "grads[\"W1\"] = X.T @ dh + 2 * self.reg * W1")
wrong("missing-mask", "        dh[h <= 0] = 0\n", "")
wrong("missing-label-subtraction", "        ds[np.arange(N), y] -= 1\n", "")

right("residual_block", "Residual(r(4, 4) * 0.5, r(4, 4) * 0.5), r(5, 4)", '''
class Residual:
    def __init__(self, W1, W2):
        self.params = [W1, W2]
        self.grads = [np.zeros_like(W1), np.zeros_like(W2)]

    def forward(self, x):
        W1, W2 = self.params
        self.x = x
        self.h = np.maximum(x @ W1, 0)
        return x + self.h @ W2

    def backward(self, dout):
        W1, W2 = self.params
        self.grads[1][...] = self.h.T @ dout
        dh = dout @ W2.T * (self.h > 0)
        self.grads[0][...] = self.x.T @ dh
        return dout + dh @ W1.T
''')
wrong("lost-branch", "return dout + dh @ W1.T", "return dh @ W1.T")
wrong("missing-mask", "dh = dout @ W2.T * (self.h > 0)", "dh = dout @ W2.T")

# ------------------------------------------------------------------------------- odd right layers
odd("odd_single_sequence", "Sequence(r(3, 4), r(4, 4)), r(6, 3)", '''
class Sequence:
    """One sequence (T, D), no batch."""
    def __init__(self, Wx, Wh):
        self.params, self.grads = [Wx, Wh], [np.zeros_like(Wx), np.zeros_like(Wh)]

    def forward(self, x):
        Wx, Wh = self.params
        self.x, self.h = x, np.zeros((len(x) + 1, Wh.shape[0]))
        for t in range(len(x)):
            self.h[t + 1] = np.tanh(x[t] @ Wx + self.h[t] @ Wh)
        return self.h[1:].copy()

    def backward(self, dout):
        Wx, Wh = self.params
        dWx, dWh, dx, dh = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(self.x), 0
        for t in reversed(range(len(dout))):
            da = (dout[t] + dh) * (1 - self.h[t + 1] ** 2)
            dWx += np.outer(self.x[t], da)
            dWh += np.outer(self.h[t], da)
            dx[t], dh = Wx @ da, Wh @ da
        self.grads[0][...], self.grads[1][...] = dWx, dWh
        return dx
''')
odd("odd_columns", "ColumnBN(), r(4, 6)", '''
class ColumnBN:
    def forward(self, x):
        self.s = x.std(axis=1, keepdims=True)
        self.y = (x - x.mean(axis=1, keepdims=True)) / self.s
        return self.y

    def backward(self, d):
        return (d - d.mean(axis=1, keepdims=True) - self.y * (d * self.y).mean(axis=1, keepdims=True)) / self.s
''')
odd("odd_even_sizes", "Halve(), r(2, 6)", '''
class Halve:
    """GLU: one half gates the other, so the size must be even."""
    def forward(self, x):
        if x.shape[1] % 2:
            raise ValueError("an even number of features")
        a, b = np.split(x, 2, axis=1)
        self.a, self.s = a, 1 / (1 + np.exp(-b))
        return a * self.s

    def backward(self, d):
        return np.concatenate([d * self.s, d * self.a * self.s * (1 - self.s)], axis=1)
''')
odd("odd_huber_seam", "Huber(), np.array([[1.0, -1.0], [0.3, 2.5]]), np.zeros((2, 2))", '''
class Huber:
    def forward(self, x, t):
        self.d = x - t
        a = np.abs(self.d)
        return np.where(a <= 1, 0.5 * a ** 2, a - 0.5).mean()

    def backward(self, dout=1):
        return dout * np.clip(self.d, -1, 1) / self.d.size
''')
odd("odd_lazy_params", "Lazy(3), r(4, 5)", '''
class Lazy:
    def __init__(self, units):
        self.units, self.params, self.grads = units, [], []

    def forward(self, x):
        if not self.params:
            self.params.append(np.linspace(-1, 1, x.shape[1] * self.units).reshape(-1, self.units))
            self.grads.append(np.zeros_like(self.params[0]))
        self.x = x
        return x @ self.params[0]

    def backward(self, dout):
        self.grads[0][...] = self.x.T @ dout
        return dout @ self.params[0].T
''')
odd("odd_property_params", "Scale(r(3)), r(4, 3)", '''
class Scale:
    def __init__(self, g):
        self.g, self.dg = g, np.zeros_like(g)

    @property
    def params(self):
        return [self.g]

    @property
    def grads(self):
        return [self.dg]

    def forward(self, x):
        self.x = x
        return x * self.g

    def backward(self, dout):
        self.dg[...] = (dout * self.x).sum(0)
        return dout * self.g
''')
odd("odd_float32_inside", "Half(), r(3, 4).astype(np.float32)", '''
class Half:
    def forward(self, x):
        self.x = np.asarray(x)
        return np.log1p(np.exp(-np.abs(self.x))) + np.maximum(self.x, 0)

    def backward(self, dout):
        return dout / (1 + np.exp(-self.x))
''')
odd("odd_tied", "Tied(r(4, 4)), r(3, 4)", '''
class Tied:
    """y = tanh(x W) Wᵀ: one weight, used twice."""
    def __init__(self, W):
        self.params, self.grads = [W], [np.zeros_like(W)]

    def forward(self, x):
        W, = self.params
        self.x, self.h = x, np.tanh(x @ W)
        return self.h @ W.T

    def backward(self, d):
        W, = self.params
        da = (d @ W) * (1 - self.h ** 2)
        self.grads[0][...] = self.x.T @ da + d.T @ self.h
        return da @ W.T
''')
odd("odd_contrastive", "InfoNCE(), r(4, 3), r(4, 3)", '''
class InfoNCE:
    """Every sample against all others of the batch."""
    def forward(self, a, b):
        self.a, self.b = a, b
        s = a @ b.T
        e = np.exp(s - s.max(1, keepdims=True))
        self.p = e / e.sum(1, keepdims=True)
        return -np.log(np.diag(self.p)).mean()

    def backward(self, dout=1.0):
        ds = dout * (self.p - np.eye(len(self.p))) / len(self.p)
        return ds @ self.b, ds.T @ self.a
''')
odd("odd_zero_d", "Gain(np.array(0.7)), r(3, 2)", '''
class Gain:
    def __init__(self, g):
        self.params, self.grads = [g], [np.zeros_like(g)]

    def forward(self, x):
        self.x = x
        return x * self.params[0]

    def backward(self, dout):
        self.grads[0][...] = (self.x * dout).sum()
        return dout * self.params[0]
''')
odd("odd_update", "Linear(r(3, 2), r(1, 2)), r(4, 3)", '''
class Linear:
    """Steps in backward, as the first tutorials do."""
    def __init__(self, W, b):
        self.weights, self.bias = W, b

    def forward(self, x):
        self.input = x
        return x @ self.weights + self.bias

    def backward(self, grad, learning_rate):
        dx = grad @ self.weights.T
        self.weights -= learning_rate * self.input.T @ grad
        self.bias -= learning_rate * grad.sum(axis=0, keepdims=True)
        return dx
''')
odd("odd_slots", "Cube(), r(5)", '''
class Cube:
    __slots__ = ("x",)

    def forward(self, x):
        self.x = x
        return x ** 3

    def backward(self, dout):
        return 3 * dout * self.x ** 2
''')
odd("odd_loss_function", "softmax_loss, r(4, 3), ids(3, 4)", '''
def softmax_loss(x, y):
    shifted = x - x.max(axis=1, keepdims=True)
    logp = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    N = len(y)
    loss = -logp[np.arange(N), y].sum() / N
    dx = np.exp(logp)
    dx[np.arange(N), y] -= 1
    return loss, dx / N
''')
odd("odd_tied_maximum", "TopTwo(), apart(3, 6)", '''
class TopTwo:
    """Keeps the two largest of a row, in order."""
    def forward(self, x):
        self.shape, self.at = x.shape, np.argsort(-x, axis=1)[:, :2]
        return np.take_along_axis(x, self.at, axis=1)

    def backward(self, dout):
        dx = np.zeros(self.shape)
        np.put_along_axis(dx, self.at, dout, axis=1)
        return dx
''')
odd("odd_dropout_seeded", "Dropout(0.4), r(6, 5)", '''
class Dropout:
    def __init__(self, p, seed=3):
        self.p, self.rng = p, np.random.RandomState(seed)
        self.mask = None

    def forward(self, x, train=True):
        if self.mask is None or self.mask.shape != x.shape:
            self.mask = (self.rng.rand(*x.shape) > self.p) / (1 - self.p)
        return x * self.mask

    def backward(self, dout):
        return dout * self.mask
''')
