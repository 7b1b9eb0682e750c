"""Mistakes that were asked about or mended in public, rebuilt in a few lines each: second set."""
from .reading import Cases

CASES = Cases()
right, wrong, odd = CASES.right, CASES.wrong, CASES.odd

# ------------------------------------------------------------------------------------------ dense
right("fc_attributes", "FullyConnected(r(4, 4), r(1, 4)), r(6, 4)", '''
class FullyConnected:
    def __init__(self, weight, bias):
        self.weight, self.bias = weight, bias
        self.dweight, self.dbias = np.zeros_like(weight), np.zeros_like(bias)

    def forward(self, inp):
        self.inp = inp
        return inp @ self.weight.T + self.bias

    def backward(self, grad_out):
        self.dweight[...] = grad_out.T @ self.inp
        self.dbias[...] = grad_out.sum(axis=0, keepdims=True)
        return grad_out @ self.weight
''')
wrong("missing-transpose", "grad_out.T @ self.inp", "self.inp.T @ grad_out")
wrong("missing-transpose", "grad_out @ self.weight\n", "grad_out @ self.weight.T\n")
wrong("divided-by-N", "grad_out.sum(axis=0, keepdims=True)", "grad_out.mean(axis=0, keepdims=True)")

right("cache_class", "Affine(r(3, 4), r(4)), r(5, 3)", '''
class Affine:
    """The cache is handed back, not kept."""
    def __init__(self, W, b):
        self.params = {"W": W, "b": b}
        self.grads = {}

    def forward(self, x):
        z = x @ self.params["W"] + self.params["b"]
        out = 1 / (1 + np.exp(-z))
        return out, (x, z, out)

    def backward(self, dout, cache):
        x, z, out = cache
        dz = dout * out * (1 - out)
        self.grads["W"] = x.T @ dz
        self.grads["b"] = dz.sum(0)
        return dz @ self.params["W"].T
''')
wrong("wrong-local-derivative", "dout * out * (1 - out)", "dout * z * (1 - z)")
wrong("missing-local-derivative", "dz.sum(0)", "dout.sum(0)")
wrong("missing-batch-sum", "dz.sum(0)", "dz")

right("affine_relu_pair", "(affine_relu_forward, affine_relu_backward), r(4, 3), r(3, 5), r(5)", '''
def relu_forward(x):
    return np.maximum(0, x), x

def relu_backward(dout, cache):
    return dout * (cache > 0)

def affine_relu_forward(x, w, b):
    a, relu_cache = relu_forward(x @ w + b)
    return a, (x, w, relu_cache)

def affine_relu_backward(dout, cache):
    x, w, relu_cache = cache
    da = relu_backward(dout, relu_cache)
    dx = da @ w.T
    dw = x.T @ da
    db = np.sum(da, axis=0)
    return dx, dw, db
''')
wrong("inverted-mask", "(cache > 0)", "(cache < 0)")
wrong("missing-mask|stale-cache", "dw = x.T @ da", "dw = x.T @ dout")
wrong("not-returned|stale-cache", "return dx, dw, db", "return dw, dx, db")

right("bilinear", "Bilinear(r(3, 4, 2)), r(5, 3), r(5, 4)", '''
class Bilinear:
    def __init__(self, W):
        self.params, self.grads = [W], [np.zeros_like(W)]

    def forward(self, a, b):
        self.a, self.b = a, b
        return np.einsum("ni,ijk,nj->nk", a, self.params[0], b)

    def backward(self, dout):
        W, = self.params
        self.grads[0][...] = np.einsum("ni,nk,nj->ijk", self.a, dout, self.b)
        da = np.einsum("nk,ijk,nj->ni", dout, W, self.b)
        db = np.einsum("nk,ijk,ni->nj", dout, W, self.a)
        return da, db
''')
wrong("not-returned", "return da, db", "return da")
wrong("wrong-sign", 'da = np.einsum', 'da = -np.einsum')

right("column_softmax_net", "Model(r(4, 3), r(4, 1), r(2, 4), r(2, 1)), r(3, 6), ids(2, 6)", '''
class Model:
    """Samples in columns, as in the first course of the specialisation."""
    def __init__(self, W1, b1, W2, b2):
        self.params = {"W1": W1, "b1": b1, "W2": W2, "b2": b2}
        self.grads = {}

    def forward(self, X, Y):
        p = self.params
        self.X, self.Y = X, np.eye(2)[Y].T
        self.A1 = np.tanh(p["W1"] @ X + p["b1"])
        Z2 = p["W2"] @ self.A1 + p["b2"]
        e = np.exp(Z2 - Z2.max(axis=0))
        self.A2 = e / e.sum(axis=0)
        return -np.sum(self.Y * np.log(self.A2)) / X.shape[1]

    def backward(self):
        m = self.X.shape[1]
        dZ2 = (self.A2 - self.Y) / m
        dZ1 = self.params["W2"].T @ dZ2 * (1 - self.A1 ** 2)
        self.grads["W2"] = dZ2 @ self.A1.T
        self.grads["b2"] = dZ2.sum(axis=1, keepdims=True)
        self.grads["W1"] = dZ1 @ self.X.T
        self.grads["b1"] = dZ1.sum(axis=1, keepdims=True)
        return self.params["W1"].T @ dZ1
''')
wrong("divided-by-N", 'self.grads["W1"] = dZ1 @ self.X.T', 'self.grads["W1"] = dZ1 @ self.X.T / m')
wrong("missing-local-derivative|wrong-local-derivative", "@ dZ2 * (1 - self.A1 ** 2)", "@ dZ2")
wrong("summed-too-far|wrong-reshape", "dZ1.sum(axis=1, keepdims=True)", "dZ1.sum() * np.ones_like(self.params['b1'])")

# ------------------------------------------------------------------------------------ activations
right("swish_beta", "Swish(np.array([1.3])), r(4, 5)", '''
class Swish:
    def __init__(self, beta):
        self.params, self.grads = [beta], [np.zeros_like(beta)]

    def forward(self, x):
        self.x = x
        self.s = 1 / (1 + np.exp(-self.params[0] * x))
        return x * self.s

    def backward(self, dout):
        beta, = self.params
        x, s = self.x, self.s
        self.grads[0][...] = (dout * x * x * s * (1 - s)).sum()
        return dout * (s + beta * x * s * (1 - s))
''')
wrong("lost-branch|wrong-local-derivative", "(s + beta * x * s * (1 - s))", "(s + x * s * (1 - s))")
wrong("wrong-local-derivative|stale-cache", "(dout * x * x * s * (1 - s)).sum()", "(dout * x * s * (1 - s)).sum()")

right("mish", "Mish(), r(4, 5)", '''
class Mish:
    def forward(self, x):
        self.x = x
        self.sp = np.log1p(np.exp(x))
        self.t = np.tanh(self.sp)
        return x * self.t

    def backward(self, dout):
        sig = 1 / (1 + np.exp(-self.x))
        return dout * (self.t + self.x * (1 - self.t ** 2) * sig)
''')
wrong("wrong-local-derivative|lost-branch", "(1 - self.t ** 2) * sig", "(1 - self.t ** 2)")
wrong("wrong-local-derivative|wrong-sign", "(1 - self.t ** 2)", "(1 + self.t ** 2)")

right("logsoftmax", "LogSoftmax(), r(4, 5)", '''
class LogSoftmax:
    def forward(self, x):
        m = x.max(axis=1, keepdims=True)
        self.out = x - m - np.log(np.exp(x - m).sum(axis=1, keepdims=True))
        return self.out

    def backward(self, dout):
        return dout - np.exp(self.out) * dout.sum(axis=1, keepdims=True)
''')
wrong("constant-statistics|summed-too-far|lost-branch|wrong-local-derivative",
      "np.exp(self.out) * dout.sum(axis=1, keepdims=True)", "np.exp(self.out) * dout")
wrong("stale-cache|wrong-local-derivative", "np.exp(self.out) * dout.sum", "self.out * dout.sum")

right("maxout", "Maxout(2), apart(4, 6)", '''
class Maxout:
    def __init__(self, pieces):
        self.pieces = pieces

    def forward(self, x):
        N, D = x.shape
        self.z = x.reshape(N, D // self.pieces, self.pieces)
        self.at = self.z.argmax(axis=2)
        return self.z.max(axis=2)

    def backward(self, dout):
        dz = np.zeros_like(self.z)
        np.put_along_axis(dz, self.at[:, :, None], dout[:, :, None], axis=2)
        return dz.reshape(len(dz), -1)
''')
wrong("missing-mask", "np.put_along_axis(dz, self.at[:, :, None], dout[:, :, None], axis=2)", "dz += dout[:, :, None]")
wrong("wrong-reshape", "return dz.reshape(len(dz), -1)", "return dz.transpose(0, 2, 1).reshape(len(dz), -1)")

right("rescaled_dropout", "Dropout(0.6), r(6, 5)", '''
class Dropout:
    def __init__(self, keep):
        self.keep = keep

    def forward(self, x):
        rng = np.random.RandomState(0)
        self.mask = rng.rand(*x.shape) < self.keep
        return x * self.mask / self.keep

    def backward(self, dout):
        return dout * self.mask / self.keep
''')
wrong("dropout-scale", "dout * self.mask / self.keep", "dout * self.mask")
wrong("missing-mask", "dout * self.mask / self.keep", "dout / self.keep")
wrong("dropout-scale", "dout * self.mask / self.keep", "dout * self.mask / (1 - self.keep)")

# ------------------------------------------------------------------------------------ convolution
right("im2col_conv", "Convolution(r(3, 2, 2, 2), r(3)), r(2, 2, 4, 4)", '''
def im2col(x, k):
    N, C, H, W = x.shape
    h, w = H - k + 1, W - k + 1
    col = np.zeros((N, C, k, k, h, w))
    for i in range(k):
        for j in range(k):
            col[:, :, i, j] = x[:, :, i:i + h, j:j + w]
    return col.transpose(0, 4, 5, 1, 2, 3).reshape(N * h * w, -1)

def col2im(col, shape, k):
    N, C, H, W = shape
    h, w = H - k + 1, W - k + 1
    col = col.reshape(N, h, w, C, k, k).transpose(0, 3, 4, 5, 1, 2)
    x = np.zeros(shape)
    for i in range(k):
        for j in range(k):
            x[:, :, i:i + h, j:j + w] += col[:, :, i, j]
    return x

class Convolution:
    def __init__(self, W, b):
        self.params, self.grads = [W, b], [np.zeros_like(W), np.zeros_like(b)]

    def forward(self, x):
        W, b = self.params
        FN, C, k, _ = W.shape
        N, C, H, _ = x.shape
        self.shape, self.col, self.col_W = x.shape, im2col(x, k), W.reshape(FN, -1).T
        out = self.col @ self.col_W + b
        return out.reshape(N, H - k + 1, -1, FN).transpose(0, 3, 1, 2)

    def backward(self, dout):
        W, b = self.params
        FN, C, k, _ = W.shape
        dout = dout.transpose(0, 2, 3, 1).reshape(-1, FN)
        self.grads[1][...] = dout.sum(axis=0)
        dW = self.col.T @ dout
        self.grads[0][...] = dW.transpose(1, 0).reshape(W.shape)
        dcol = dout @ self.col_W.T
        return col2im(dcol, self.shape, k)
''')
wrong("wrong-reshape|missing-transpose", "dout.transpose(0, 2, 3, 1).reshape(-1, FN)", "dout.reshape(-1, FN)")
wrong("wrong-reshape|missing-transpose", "dW.transpose(1, 0).reshape(W.shape)", "dW.reshape(W.shape)")
wrong("overlap-overwritten", "x[:, :, i:i + h, j:j + w] += col", "x[:, :, i:i + h, j:j + w] = col")

right("depthwise", "Depthwise(r(3, 3)), r(2, 3, 6)", '''
class Depthwise:
    """One kernel of three for each channel, zeros beside the borders."""
    def __init__(self, K):
        self.params, self.grads = [K], [np.zeros_like(K)]

    def forward(self, x):
        K, = self.params
        self.xp = np.pad(x, ((0, 0), (0, 0), (1, 1)))
        T = x.shape[2]
        return sum(self.xp[:, :, k:k + T] * K[:, k, None] for k in range(3))

    def backward(self, dout):
        K, = self.params
        T = dout.shape[2]
        dxp = np.zeros_like(self.xp)
        for k in range(3):
            self.grads[0][:, k] = (dout * self.xp[:, :, k:k + T]).sum(axis=(0, 2))
            dxp[:, :, k:k + T] += dout * K[:, k, None]
        return dxp[:, :, 1:-1]
''')
wrong("wrong-reshape", "return dxp[:, :, 1:-1]", "return dxp[:, :, :-2]")
wrong("flipped-kernel", "+= dout * K[:, k, None]", "+= dout * K[:, 2 - k, None]")
wrong("overlap-overwritten|lost-branch", "dxp[:, :, k:k + T] += dout", "dxp[:, :, k:k + T] = dout")

right("upsample", "Upsample(2), r(2, 2, 3, 3)", '''
class Upsample:
    def __init__(self, scale):
        self.scale = scale

    def forward(self, x):
        s = self.scale
        return x.repeat(s, axis=2).repeat(s, axis=3)

    def backward(self, dout):
        N, C, H, W = dout.shape
        s = self.scale
        return dout.reshape(N, C, H // s, s, W // s, s).sum(axis=(3, 5))
''')
wrong("divided-by-N", ".sum(axis=(3, 5))", ".mean(axis=(3, 5))")
wrong("wrong-reshape", "H // s, s, W // s, s).sum(axis=(3, 5))", "s, H // s, s, W // s).sum(axis=(2, 4))")
wrong("lost-branch|overlap-overwritten", "return dout.reshape(N, C, H // s, s, W // s, s).sum(axis=(3, 5))",
      "return dout[:, :, ::s, ::s]")

right("avgpool_loops", "(avg_pool_forward, avg_pool_backward), r(2, 2, 4, 4), {'pool': 2, 'stride': 2}", '''
def avg_pool_forward(x, pool_param):
    p, s = pool_param["pool"], pool_param["stride"]
    N, C, H, W = x.shape
    out = np.zeros((N, C, (H - p) // s + 1, (W - p) // s + 1))
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            out[:, :, i, j] = x[:, :, i * s:i * s + p, j * s:j * s + p].mean(axis=(2, 3))
    return out, (x, pool_param)

def avg_pool_backward(dout, cache):
    x, pool_param = cache
    p, s = pool_param["pool"], pool_param["stride"]
    dx = np.zeros_like(x)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            dx[:, :, i * s:i * s + p, j * s:j * s + p] += dout[:, :, i, j, None, None] / p ** 2
    return dx
''')
wrong("scaled-by-N", "/ p ** 2", "/ p")
wrong("missing-mask|overlap-overwritten|lost-branch|stale-cache", "for i in range(dout.shape[2]):",
      "for i in range(1, dout.shape[2]):")

# -------------------------------------------------------------------------------------------- norm
right("batchnorm_short", "BatchNorm(u(4), r(4)), r(6, 4)", '''
class BatchNorm:
    def __init__(self, gamma, beta):
        self.params = [gamma, beta]
        self.grads = [np.zeros_like(gamma), np.zeros_like(beta)]
        self.running_var = np.ones_like(gamma)

    def forward(self, x):
        gamma, beta = self.params
        var = x.var(axis=0)
        self.running_var = 0.9 * self.running_var + 0.1 * var
        self.ivar = 1 / np.sqrt(var + 1e-5)
        self.xhat = (x - x.mean(axis=0)) * self.ivar
        return gamma * self.xhat + beta

    def backward(self, dout):
        gamma, beta = self.params
        N = len(dout)
        dbeta = dout.sum(axis=0)
        dgamma = (self.xhat * dout).sum(axis=0)
        self.grads[0][...] = dgamma
        self.grads[1][...] = dbeta
        return gamma * self.ivar / N * (N * dout - dbeta - self.xhat * dgamma)
''')
wrong("constant-statistics", "(N * dout - dbeta - self.xhat * dgamma)", "(N * dout - self.xhat * dgamma)")
wrong("stale-cache|constant-statistics", "gamma * self.ivar / N * (N", "gamma / np.sqrt(self.running_var + 1e-5) / N * (N")
wrong("scaled-by-N", "gamma * self.ivar / N * (N", "gamma * self.ivar * (N")

right("groupnorm", "GroupNorm(2, u(4)), r(3, 4, 3)", '''
class GroupNorm:
    def __init__(self, groups, gamma):
        self.groups = groups
        self.params, self.grads = [gamma], [np.zeros_like(gamma)]

    def forward(self, x):
        N, C, L = x.shape
        z = x.reshape(N, self.groups, -1)
        self.s = np.sqrt(z.var(axis=2, keepdims=True) + 1e-5)
        self.z = (z - z.mean(axis=2, keepdims=True)) / self.s
        return self.z.reshape(x.shape) * self.params[0][:, None]

    def backward(self, dout):
        N, C, L = dout.shape
        self.grads[0][...] = (dout * self.z.reshape(dout.shape)).sum(axis=(0, 2))
        dz = (dout * self.params[0][:, None]).reshape(N, self.groups, -1)
        inner = (dz * self.z).mean(axis=2, keepdims=True)
        dx = (dz - dz.mean(axis=2, keepdims=True) - self.z * inner) / self.s
        return dx.reshape(N, C, L)
''')
wrong("constant-statistics", "inner = (dz * self.z).mean(axis=2, keepdims=True)",
      "inner = (dz * self.z).mean(axis=1, keepdims=True)")
wrong("scaled-by-N|constant-statistics", "inner = (dz * self.z).mean(axis=2, keepdims=True)",
      "inner = (dz * self.z).sum(axis=2, keepdims=True)")

right("rmsnorm", "RMSNorm(u(5)), r(2, 3, 5)", '''
class RMSNorm:
    def __init__(self, g, eps=1e-6):
        self.params, self.grads, self.eps = [g], [np.zeros_like(g)], eps

    def forward(self, x):
        self.x = x
        self.r = 1 / np.sqrt((x ** 2).mean(-1, keepdims=True) + self.eps)
        return x * self.r * self.params[0]

    def backward(self, dout):
        g, = self.params
        x, r = self.x, self.r
        self.grads[0][...] = (dout * x * r).sum(axis=(0, 1))
        h = dout * g
        return r * h - x * r ** 3 * (h * x).mean(-1, keepdims=True)
''')
wrong("constant-statistics|wrong-local-derivative", "x * r ** 3 *", "x * r ** 2 *")
wrong("constant-statistics", "return r * h - x * r ** 3 * (h * x).mean(-1, keepdims=True)", "return r * h")
wrong("missing-batch-sum|summed-too-far", "(dout * x * r).sum(axis=(0, 1))", "(dout * x * r).sum(axis=1)[0]")

# ----------------------------------------------------------------------------------------- losses
right("svm_vectorised", "SVM(r(5, 3), 0.1), r(4, 5), ids(3, 4)", '''
class SVM:
    def __init__(self, W, reg):
        self.params, self.grads, self.reg = [W], [np.zeros_like(W)], reg

    def forward(self, X, y):
        W, = self.params
        self.X, self.y = X, y
        rows = np.arange(len(y))
        scores = X @ W
        self.margins = np.maximum(0, scores - scores[rows, y][:, None] + 1)
        self.margins[rows, y] = 0
        return self.margins.sum() / len(y) + self.reg * (W * W).sum()

    def backward(self):
        W, = self.params
        N = len(self.y)
        binary = (self.margins > 0) * 1.0
        binary[np.arange(N), self.y] = -binary.sum(axis=1)
        self.grads[0][...] = self.X.T @ binary / N + 2 * self.reg * W
        return binary @ W.T / N
''')
wrong("wrong-penalty", "+ 2 * self.reg * W", "+ self.reg * W")
wrong("wrong-sign|missing-label-subtraction", "= -binary.sum(axis=1)", "= binary.sum(axis=1)")
wrong("missing-label-subtraction|lost-branch|wrong-local-derivative", "= -binary.sum(axis=1)", "= -1")

right("focal", "Focal(2.0), r(6), (r(6) > 0) * 1.0", '''
class Focal:
    def __init__(self, gamma):
        self.gamma = gamma

    def forward(self, z, t):
        self.p = 1 / (1 + np.exp(-z))
        self.t = t
        self.pt = np.where(t == 1, self.p, 1 - self.p)
        return -((1 - self.pt) ** self.gamma * np.log(self.pt)).mean()

    def backward(self, dout=1.0):
        g, pt = self.gamma, self.pt
        dpt = g * (1 - pt) ** (g - 1) * np.log(pt) - (1 - pt) ** g / pt
        sign = np.where(self.t == 1, 1, -1)
        return dout * dpt * sign * self.p * (1 - self.p) / len(pt)
''')
wrong("lost-branch|wrong-local-derivative|constant-statistics", "dpt = g * (1 - pt) ** (g - 1) * np.log(pt) - (1 - pt) ** g / pt",
      "dpt = -(1 - pt) ** g / pt")
wrong("wrong-sign|missing-label-subtraction", "sign = np.where(self.t == 1, 1, -1)", "sign = 1")

right("kl_gauss", "KL(), r(4, 3), r(4, 3)", '''
class KL:
    """Of a normal distribution N(mu, exp(logvar)) from the standard one."""
    def forward(self, mu, logvar):
        self.mu, self.logvar = mu, logvar
        return -0.5 * np.sum(1 + logvar - mu ** 2 - np.exp(logvar)) / len(mu)

    def backward(self, dout=1.0):
        N = len(self.mu)
        dmu = dout * self.mu / N
        dlogvar = dout * 0.5 * (np.exp(self.logvar) - 1) / N
        return dmu, dlogvar
''')
wrong("factor-2", "0.5 * (np.exp(self.logvar) - 1)", "(np.exp(self.logvar) - 1)")
wrong("wrong-sign", "(np.exp(self.logvar) - 1)", "(1 - np.exp(self.logvar))")
wrong("wrong-local-derivative|stale-cache", "(np.exp(self.logvar) - 1)", "(self.logvar - 1)")

right("masked_mse", "MaskedMSE(), r(4, 3), r(4, 3), (np.arange(12).reshape(4, 3) % 3 > 0) * 1.0", '''
class MaskedMSE:
    def forward(self, y, t, mask):
        self.d, self.mask = (y - t) * mask, mask
        return (self.d ** 2).sum() / mask.sum()

    def backward(self, dout=1.0):
        return dout * 2 * self.d / self.mask.sum()
''')
wrong("divided-by-N|wrong-local-derivative", "self.d / self.mask.sum()", "self.d / self.mask.size")
wrong("factor-half", "dout * 2 * self.d", "dout * self.d")

# -------------------------------------------------------------------------- embedding, recurrent
right("cbow", "CBOW(r(7, 3), r(3, 7)), np.array([[0, 2], [2, 5], [6, 6]]), np.array([1, 4, 3])", '''
class CBOW:
    def __init__(self, W_in, W_out):
        self.params = [W_in, W_out]
        self.grads = [np.zeros_like(W_in), np.zeros_like(W_out)]

    def forward(self, contexts, target):
        W_in, W_out = self.params
        self.c, self.t = contexts, target
        self.h = W_in[contexts].mean(axis=1)
        s = self.h @ W_out
        e = np.exp(s - s.max(axis=1, keepdims=True))
        self.p = e / e.sum(axis=1, keepdims=True)
        return -np.log(self.p[np.arange(len(target)), target]).mean()

    def backward(self, dout=1):
        W_in, W_out = self.params
        N = len(self.t)
        ds = self.p.copy()
        ds[np.arange(N), self.t] -= 1
        ds *= dout / N
        self.grads[1][...] = self.h.T @ ds
        dh = ds @ W_out.T / self.c.shape[1]
        self.grads[0][...] = 0
        for i in range(self.c.shape[1]):
            np.add.at(self.grads[0], self.c[:, i], dh)
''')
wrong("repeated-index", "np.add.at(self.grads[0], self.c[:, i], dh)", "self.grads[0][self.c[:, i]] = dh")
wrong("scaled-by-N|factor-2", "dh = ds @ W_out.T / self.c.shape[1]", "dh = ds @ W_out.T")

right("gru_cell", "GRUCell(r(3, 12), r(4, 12)), r(5, 3), r(5, 4)", '''
class GRUCell:
    def __init__(self, Wx, Wh):
        self.params = [Wx, Wh]
        self.grads = [np.zeros_like(Wx), np.zeros_like(Wh)]

    def forward(self, x, h_prev):
        Wx, Wh = self.params
        H = Wh.shape[0]
        z = 1 / (1 + np.exp(-(x @ Wx[:, :H] + h_prev @ Wh[:, :H])))
        r = 1 / (1 + np.exp(-(x @ Wx[:, H:2 * H] + h_prev @ Wh[:, H:2 * H])))
        h_hat = np.tanh(x @ Wx[:, 2 * H:] + (r * h_prev) @ Wh[:, 2 * H:])
        self.cache = (x, h_prev, z, r, h_hat)
        return (1 - z) * h_prev + z * h_hat

    def backward(self, dh):
        Wx, Wh = self.params
        H = Wh.shape[0]
        x, h_prev, z, r, h_hat = self.cache
        dh_hat = dh * z
        dh_prev = dh * (1 - z)
        dt = dh_hat * (1 - h_hat ** 2)
        dhr = dt @ Wh[:, 2 * H:].T
        dh_prev += r * dhr
        dz = (dh * h_hat - dh * h_prev) * z * (1 - z)
        dr = dhr * h_prev * r * (1 - r)
        dh_prev += dz @ Wh[:, :H].T + dr @ Wh[:, H:2 * H].T
        gates = np.hstack([dz, dr, dt])
        self.grads[0][...] = x.T @ gates
        self.grads[1][...] = np.hstack([h_prev.T @ dz, h_prev.T @ dr, (r * h_prev).T @ dt])
        return gates @ Wx.T, dh_prev
''')
wrong("lost-branch", "dz = (dh * h_hat - dh * h_prev) *", "dz = dh * h_hat *")
wrong("stale-cache|lost-branch", "(r * h_prev).T @ dt", "h_prev.T @ dt")
wrong("lost-branch", "        dh_prev += r * dhr\n", "")
wrong("wrong-local-derivative", "dr = dhr * h_prev * r * (1 - r)", "dr = dhr * h_prev * (1 - r ** 2)")

right("time_lstm", "TimeLSTM(r(2, 12), r(3, 12), r(12)), r(2, 4, 2)", '''
def sigmoid(x):
    return 1 / (1 + np.exp(-x))

class TimeLSTM:
    def __init__(self, Wx, Wh, b):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(p) for p in self.params]

    def forward(self, xs):
        Wx, Wh, b = self.params
        N, T, D = xs.shape
        h = c = np.zeros((N, Wh.shape[0]))
        hs, self.steps = [], []
        for t in range(T):
            a = xs[:, t] @ Wx + h @ Wh + b
            i, f, o, g = np.split(a, 4, axis=1)
            i, f, o, g = sigmoid(i), sigmoid(f), sigmoid(o), np.tanh(g)
            c_next = f * c + i * g
            self.steps.append((xs[:, t], h, c, i, f, o, g, c_next))
            h, c = o * np.tanh(c_next), c_next
            hs.append(h)
        return np.stack(hs, axis=1)

    def backward(self, dhs):
        Wx, Wh, b = self.params
        dWx, dWh, db = (np.zeros_like(p) for p in self.params)
        dxs, dh, dc = [], 0, 0
        for t in reversed(range(dhs.shape[1])):
            x, h, c, i, f, o, g, c_next = self.steps[t]
            dh_next = dhs[:, t] + dh
            tc = np.tanh(c_next)
            dc_next = dc + dh_next * o * (1 - tc ** 2)
            da = np.hstack([dc_next * g * i * (1 - i), dc_next * c * f * (1 - f), dh_next * tc * o * (1 - o), dc_next * i * (1 - g ** 2)])
            dWx += x.T @ da
            dWh += h.T @ da
            db += da.sum(axis=0)
            dxs.insert(0, da @ Wx.T)
            dh, dc = da @ Wh.T, dc_next * f
        for grad, value in zip(self.grads, (dWx, dWh, db)):
            grad[...] = value
        return np.stack(dxs, axis=1)
''')
wrong("lost-branch", "dc_next = dc + dh_next * o", "dc_next = dh_next * o")
wrong("wrong-reshape", "dxs.insert(0, da @ Wx.T)", "dxs.append(da @ Wx.T)")
wrong("lost-branch", "dh, dc = da @ Wh.T, dc_next * f", "dh, dc = 0, dc_next * f")
wrong("stale-cache|wrong-local-derivative", "dc_next * c * f * (1 - f)", "dc_next * c_next * f * (1 - f)")

# -------------------------------------------------------------------------------------- attention
right("causal", "SelfAttention(r(4, 4), r(4, 4), r(4, 4)), r(2, 3, 4)", '''
class SelfAttention:
    def __init__(self, Wq, Wk, Wv):
        self.params = [Wq, Wk, Wv]
        self.grads = [np.zeros_like(p) for p in self.params]

    def forward(self, x):
        Wq, Wk, Wv = self.params
        q, k, v = x @ Wq, x @ Wk, x @ Wv
        T = x.shape[1]
        s = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[2])
        s = np.where(np.tril(np.ones((T, T))) == 1, s, -1e9)
        e = np.exp(s - s.max(-1, keepdims=True))
        a = e / e.sum(-1, keepdims=True)
        self.cache = x, q, k, v, a
        return a @ v

    def backward(self, dout):
        Wq, Wk, Wv = self.params
        x, q, k, v, a = self.cache
        dv = a.transpose(0, 2, 1) @ dout
        da = dout @ v.transpose(0, 2, 1)
        ds = a * (da - (da * a).sum(-1, keepdims=True)) / np.sqrt(q.shape[2])
        dq = ds @ k
        dk = ds.transpose(0, 2, 1) @ q
        self.grads[0][...] = np.einsum("ntd,nte->de", x, dq)
        self.grads[1][...] = np.einsum("ntd,nte->de", x, dk)
        self.grads[2][...] = np.einsum("ntd,nte->de", x, dv)
        return dq @ Wq.T + dk @ Wk.T + dv @ Wv.T
''')
wrong("missing-transpose", "dk = ds.transpose(0, 2, 1) @ q", "dk = ds @ q")
wrong("lost-branch", "+ dk @ Wk.T + dv @ Wv.T", "+ dv @ Wv.T")
wrong("missing-transpose", "dv = a.transpose(0, 2, 1) @ dout", "dv = a @ dout")

right("squeeze_excite", "SE(r(4, 4)), r(2, 4, 3, 3)", '''
class SE:
    """Channels scaled by a gate that is computed from their means."""
    def __init__(self, W):
        self.params, self.grads = [W], [np.zeros_like(W)]

    def forward(self, x):
        W, = self.params
        self.x, self.m = x, x.mean(axis=(2, 3))
        self.g = 1 / (1 + np.exp(-self.m @ W))
        return x * self.g[:, :, None, None]

    def backward(self, dout):
        W, = self.params
        dg = (dout * self.x).sum(axis=(2, 3))
        da = dg * self.g * (1 - self.g)
        self.grads[0][...] = self.m.T @ da
        dm = da @ W.T
        area = self.x.shape[2] * self.x.shape[3]
        return dout * self.g[:, :, None, None] + dm[:, :, None, None] / area
''')
wrong("lost-branch|constant-statistics", "self.g[:, :, None, None] + dm[:, :, None, None] / area", "self.g[:, :, None, None]")
wrong("scaled-by-N|lost-branch", "dm[:, :, None, None] / area", "dm[:, :, None, None]")
wrong("divided-by-N", "dg = (dout * self.x).sum(axis=(2, 3))", "dg = (dout * self.x).mean(axis=(2, 3))")

# ------------------------------------------------------------------------------------ whole nets
right("three_layers", "Net(r(4, 5) * 0.6, r(5, 5) * 0.6, r(5, 3) * 0.6), r(6, 4), ids(3, 6)", '''
class Linear:
    def __init__(self, W):
        self.W = W

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, d):
        self.dW = self.x.T @ d
        return d @ self.W.T

class ReLU:
    def forward(self, x):
        self.on = x > 0
        return x * self.on

    def backward(self, d):
        return d * self.on

class Net:
    def __init__(self, *weights):
        self.params = list(weights)
        self.grads = [np.zeros_like(W) for W in weights]
        self.linear = [Linear(W) for W in weights]
        self.relu = [ReLU(), ReLU()]

    def forward(self, x, t):
        l1, l2, l3 = self.linear
        r1, r2 = self.relu
        z = l3.forward(r2.forward(l2.forward(r1.forward(l1.forward(x)))))
        z = z - z.max(axis=1, keepdims=True)
        self.p, self.t = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True), t
        return -np.log(self.p[np.arange(len(t)), t]).mean()

    def backward(self):
        d = self.p.copy()
        d[np.arange(len(d)), self.t] -= 1
        d /= len(d)
        l1, l2, l3 = self.linear
        r1, r2 = self.relu
        d = l3.backward(d)
        d = r2.backward(d)
        d = l2.backward(d)
        d = r1.backward(d)
        d = l1.backward(d)
        for g, l in zip(self.grads, self.linear):
            g[...] = l.dW
        return d
''')
wrong("missing-mask", "        d = r1.backward(d)\n", "")
wrong("stale-cache|missing-mask", "        d = r2.backward(d)\n", "        d = r1.backward(d)\n")
wrong("scaled-by-N", "        d /= len(d)\n", "")
wrong("stale-cache|missing-mask", "self.relu = [ReLU(), ReLU()]", "self.relu = [ReLU()] * 2")

right("cosine_siamese", "Cosine(), r(4, 3), r(4, 3)", '''
class Cosine:
    def forward(self, a, b):
        self.a, self.b = a, b
        self.na = np.sqrt((a ** 2).sum(axis=1))
        self.nb = np.sqrt((b ** 2).sum(axis=1))
        self.c = (a * b).sum(axis=1) / (self.na * self.nb)
        return self.c

    def backward(self, dout):
        na, nb, c, d = self.na[:, None], self.nb[:, None], self.c[:, None], dout[:, None]
        da = d * (self.b / (na * nb) - c * self.a / na ** 2)
        db = d * (self.a / (na * nb) - c * self.b / nb ** 2)
        return da, db
''')
wrong("constant-statistics|lost-branch", "(self.b / (na * nb) - c * self.a / na ** 2)", "self.b / (na * nb)")
wrong("constant-statistics|stale-cache", "c * self.b / nb ** 2", "c * self.b / na ** 2")

# ------------------------------------------------------------------------------- odd right layers
odd("odd_column_rnn", "Cell(r(4, 3), r(4, 4), r(4, 1)), r(3, 5), r(4, 5)", '''
class Cell:
    """Columns, gradients as attributes."""
    def __init__(self, Wax, Waa, ba):
        self.Wax, self.Waa, self.ba = Wax, Waa, ba

    def forward(self, xt, a_prev):
        self.xt, self.a_prev = xt, a_prev
        self.a = np.tanh(self.Wax @ xt + self.Waa @ a_prev + self.ba)
        return self.a

    def backward(self, da):
        dz = da * (1 - self.a ** 2)
        self.dWax, self.dWaa = dz @ self.xt.T, dz @ self.a_prev.T
        self.dba = dz.sum(axis=1, keepdims=True)
        return self.Wax.T @ dz, self.Waa.T @ dz
''')
odd("odd_whole_array_norm", "FrobeniusScale(), r(3, 4)", '''
class FrobeniusScale:
    def forward(self, x):
        self.n = np.linalg.norm(x)
        self.y = x / self.n
        return self.y

    def backward(self, d):
        return (d - self.y * np.vdot(self.y, d)) / self.n
''')
odd("odd_smooth_l1", "SmoothL1(0.5), np.array([[0.5, -0.5, 2.0], [0.1, -3.0, 0.2]]), np.zeros((2, 3))", '''
class SmoothL1:
    def __init__(self, beta):
        self.beta = beta

    def forward(self, x, t):
        self.d = x - t
        a = np.abs(self.d)
        return np.where(a < self.beta, 0.5 * a ** 2 / self.beta, a - 0.5 * self.beta).sum()

    def backward(self, dout=1.0):
        return dout * np.where(np.abs(self.d) < self.beta, self.d / self.beta, np.sign(self.d))
''')
odd("odd_power_of_two", "Haar(), r(2, 8)", '''
class Haar:
    def forward(self, x):
        if x.shape[1] & (x.shape[1] - 1):
            raise ValueError("2, 4, 8, 16 … samples")
        return np.hstack([x[:, ::2] + x[:, 1::2], x[:, ::2] - x[:, 1::2]]) / np.sqrt(2)

    def backward(self, d):
        s, w = np.split(d / np.sqrt(2), 2, axis=1)
        dx = np.empty_like(d)
        dx[:, ::2], dx[:, 1::2] = s + w, s - w
        return dx
''')
odd("odd_list_input", "Gather(np.array([2, 0, 2])), r(4, 3)", '''
class Gather:
    def __init__(self, at):
        self.at = at

    def forward(self, x):
        self.n = len(x)
        return x[self.at]

    def backward(self, d):
        dx = np.zeros((self.n, d.shape[1]))
        np.add.at(dx, self.at, d)
        return dx
''')
odd("odd_solve", "Solve(np.eye(3) * 3 + r(3, 3) * 0.2), r(3, 2)", '''
class Solve:
    """y = A⁻¹ b."""
    def __init__(self, A):
        self.params, self.grads = [A], [np.zeros_like(A)]

    def forward(self, b):
        self.y = np.linalg.solve(self.params[0], b)
        return self.y

    def backward(self, d):
        db = np.linalg.solve(self.params[0].T, d)
        self.grads[0][...] = -db @ self.y.T
        return db
''')
odd("odd_cumsum", "Cumsum(), r(3, 5)", '''
class Cumsum:
    def forward(self, x):
        return np.cumsum(x, axis=1)

    def backward(self, d):
        return np.cumsum(d[:, ::-1], axis=1)[:, ::-1]
''')
odd("odd_eval_bn", "FrozenBN(r(3), u(3)), r(4, 3)", '''
class FrozenBN:
    """With the running statistics, as at test time."""
    def __init__(self, mean, var):
        self.mean, self.var = mean, var

    def forward(self, x):
        return (x - self.mean) / np.sqrt(self.var + 1e-5)

    def backward(self, d):
        return d / np.sqrt(self.var + 1e-5)
''')
odd("odd_norm_pair", "(scale_forward, scale_backward), r(4, 3), np.array(0.7)", '''
def scale_forward(x, s):
    return x * s, (x, s)

def scale_backward(dout, cache):
    x, s = cache
    return dout * s, np.sum(dout * x)
''')
odd("odd_reg_net", "Net(r(3, 2)), r(4, 3), r(4, 2)", '''
class Net:
    def __init__(self, W):
        self.params = {"W": W}

    def loss(self, X, y):
        W = self.params["W"]
        d = X @ W - y
        return 0.5 * (d ** 2).mean() + 0.05 * np.abs(W).sum(), {"W": X.T @ d / d.size + 0.05 * np.sign(W)}
''')
odd("odd_pixel_shuffle", "Shuffle(2), r(2, 4, 2, 2)", '''
class Shuffle:
    def __init__(self, r):
        self.r = r

    def forward(self, x):
        N, C, H, W = x.shape
        r = self.r
        return x.reshape(N, C // r**2, r, r, H, W).transpose(0, 1, 4, 2, 5, 3).reshape(N, C // r**2, H * r, W * r)

    def backward(self, d):
        N, C, H, W = d.shape
        r = self.r
        return d.reshape(N, C, H // r, r, W // r, r).transpose(0, 1, 3, 5, 2, 4).reshape(N, C * r**2, H // r, W // r)
''')
odd("odd_median", "Median(), apart(3, 5)", '''
class Median:
    def forward(self, x):
        self.shape, self.at = x.shape, np.argsort(x, axis=1)[:, 2]
        return np.median(x, axis=1)

    def backward(self, d):
        dx = np.zeros(self.shape)
        dx[np.arange(len(d)), self.at] = d
        return dx
''')
odd("odd_kwargs", "Mixer(r(3, 3)), r(2, 3)", '''
class Mixer:
    def __init__(self, W):
        self.params, self.grads = [W], [np.zeros_like(W)]

    def forward(self, x, *, train=True):
        self.x = x
        return x + x @ self.params[0]

    def backward(self, dout, **kwargs):
        self.grads[0][...] = self.x.T @ dout
        return dout + dout @ self.params[0].T
''')
odd("odd_complex_inside", "Spectrum(), r(3, 4)", '''
class Spectrum:
    """The real part of the discrete Fourier transform."""
    def forward(self, x):
        return np.fft.fft(x, axis=1).real

    def backward(self, d):
        return np.fft.fft(d, axis=1).real
''')
odd("odd_two_outputs", "Split(), r(4, 5)", '''
class Split:
    def forward(self, x):
        self.y = np.tanh(x[:, 2:])
        return x[:, :2] * 2, self.y

    def backward(self, da, db):
        return np.hstack([2 * da, db * (1 - self.y ** 2)])
''')
