"""Mistakes of public bug fixes and questions, rebuilt in a few lines each, for a checker that has not seen them: set beta.

Among the threads that they are after: pytorch 4355, 26637, 63314, 65200, 82545, 127608; chainer 3540, 4190; thinc 492, 578;
caffe 2308, 2312, 3185, 5105; Megatron-LM 6859; quack 53; Paddle 50997, 54341, 74716; tt-metal 56202; oneDNN 3543; mlpack 1923,
2474, 3478; burn 3864; AiDotNet 695; AiDotNet.Tensors 894; unsloth 4550; FlagGems 4992, 5218; torch-xpu-ops 4380; neon 111;
darknet 1837; mxnet-ssd 48; focal-loss 1; Pytorch-UNet 35; VNet 13, 32; tripletloss 41; g-darknet 19; tiny-cuda-nn 130;
mixture-of-experts 27; sphereface 2; sherjilozair/ctc 2; CAT 81; autobw.torch 7; candle 2337; questions on LSTM gradient checks,
the softmax Jacobian, CS231n losses and convolutions, and the course on convolutions in one dimension.
"""
from tests.exam.reading import Cases

CASES = Cases()
right, wrong, odd = CASES.right, CASES.wrong, CASES.odd

# ------------------------------------------------------------------------------------------ activations
right("isrlu", "ISRLU(0.8), signs(5, 4)", '''
class ISRLU:
    """x on the right side, x / sqrt(1 + alpha x^2) on the left."""
    def __init__(self, alpha=1.0):
        self.alpha = alpha

    def forward(self, tensor):
        negatives = np.minimum(tensor, 0)
        self.nisr = 1.0 / np.sqrt(1.0 + self.alpha * negatives ** 2)
        return tensor * self.nisr

    def backward(self, grad_out):
        return grad_out * self.nisr ** 3
''')
wrong("ignores-upstream", "grad_out * self.nisr ** 3", "self.nisr ** 3")
wrong("wrong-local-derivative", "self.nisr ** 3", "self.nisr ** 2")

right("mish_pair", "(mish, backprop_mish), r(4, 5)", '''
def mish(X):
    return X * np.tanh(np.log1p(np.exp(X))), X

def backprop_mish(dY, X):
    e = np.exp(X)
    omega = 4.0 * (X + 1.0)
    omega += 4.0 * e ** 2
    omega += e ** 3
    omega += e * (4.0 * X + 6.0)
    delta = 2.0 * e + e ** 2 + 2.0
    return dY * e * omega / delta ** 2
''')
wrong("wrong-local-derivative", "    omega += e ** 3\n", "")
wrong("wrong-local-derivative", "omega / delta ** 2", "omega / delta")

right("prelu_nchw", "PReLU(u(3)), signs(5, 3, 2, 2)", '''
class PReLU:
    def __init__(self, slope):
        self.params = {"a": slope}
        self.grads = {"a": np.zeros_like(slope)}

    def forward(self, x):
        self.x = x
        a = self.params["a"].reshape(1, -1, 1, 1)
        return np.where(x > 0, x, a * x)

    def backward(self, gy):
        a = self.params["a"].reshape(1, -1, 1, 1)
        neg = self.x <= 0
        masked = gy * self.x * neg
        self.grads["a"][...] = masked.sum(axis=(0, 2, 3))
        return gy * np.where(neg, a, 1.0)
''')
wrong("missing-mask", "gy * self.x * neg", "gy * self.x")
wrong("divided-by-N", "masked.sum(axis=(0, 2, 3))", "masked.mean(axis=(0, 2, 3))")
wrong("inverted-mask|wrong-local-derivative", "np.where(neg, a, 1.0)", "np.where(neg, 1.0, a)")
wrong("accumulates", '["a"][...] = masked', '["a"][...] += masked')  # shows at a second backward
wrong("stale-cache", "self.x = x\n", "self.x = getattr(self, 'x', x)\n")  # right after the first forward only

right("squash_capsules", "Squash(), r(3, 4, 3)", '''
class Squash:
    """Capsules (N, K, D): long vectors to length one, short ones to nearly nothing."""
    params, grads = [], []

    def forward(self, s):
        self.s = s
        self.n = np.sqrt((s * s).sum(axis=2, keepdims=True))
        self.f = self.n / (1 + self.n ** 2)
        return self.f * s

    def backward(self, dv):
        df = (dv * self.s).sum(axis=2, keepdims=True)
        dn = df * (1 - self.n ** 2) / (1 + self.n ** 2) ** 2
        ds = self.f * dv
        ds = ds + dn * self.s / self.n
        return ds
''')
wrong("constant-statistics|lost-branch", "        ds = ds + dn * self.s / self.n\n", "")
wrong("constant-statistics|wrong-local-derivative", "(1 + self.n ** 2) ** 2", "(1 + self.n ** 2)")
wrong("lost-branch", "ds = ds + dn * self.s / self.n", "ds = dn * self.s / self.n")

# ------------------------------------------------------------------------------------------ norms
right("normalize_l2_eps", "(normalize, normalize_grad), r(5, 3)", '''
def normalize(x, eps=0.3):
    norm = np.sqrt(np.sum(x ** 2, axis=1, keepdims=True))
    denom = norm + eps                # eps is added outside of the root
    return x / denom, (x, norm, denom)

def normalize_grad(gy, saved):
    x, norm, denom = saved
    dot = np.sum(gy * x, axis=1, keepdims=True)
    return (gy - x * dot / (norm * denom)) / denom
''')
wrong("constant-statistics", "(gy - x * dot / (norm * denom)) / denom", "gy / denom")
wrong("constant-statistics|wrong-local-derivative", "/ (norm * denom)", "/ (denom * denom)")
wrong("constant-statistics", "(gy - x * dot / (norm * denom))", "(gy - x * gy * x / (norm * denom))")

right("rms_norm", "RMSNorm(u(5)), r(3, 2, 5)", '''
class RMSNorm:
    def __init__(self, gain, eps=1e-5):
        self.gain, self.eps = gain, eps
        self.dgain = np.zeros_like(gain)

    def forward(self, x):
        self.x = x
        self.rstd = (np.mean(x ** 2, axis=-1, keepdims=True) + self.eps) ** -0.5
        return x * self.rstd * self.gain

    def backward(self, dy):
        x, r = self.x, self.rstd
        D = x.shape[-1]
        self.dgain[...] = np.sum(dy * x * r, axis=(0, 1))
        dxhat = dy * self.gain
        s = np.sum(dxhat * x, axis=-1, keepdims=True)
        return r * dxhat - r ** 3 / D * x * s
''')
wrong("constant-statistics", "return r * dxhat - r ** 3 / D * x * s", "return r * dxhat")
wrong("constant-statistics|wrong-local-derivative|unrecognised", "/ D * x * s", "/ D * x * s * self.gain")
wrong("missing-local-derivative|wrong-local-derivative|unrecognised", "dxhat = dy * self.gain", "dxhat = dy")
wrong("mutates-input", "dxhat = dy * self.gain", "dxhat = np.multiply(dy, self.gain, out=dy)")  # the gradient is right; dy is changed
wrong("scaled-by-N|constant-statistics", "r ** 3 / D * x", "r ** 3 * x")
wrong("not-written", "self.dgain[...] = np.sum(dy * x * r, axis=(0, 1))", "dgain = np.sum(dy * x * r, axis=(0, 1))")

right("prenorm_residual", "PreNorm(), r(4, 5), r(4, 5)", '''
def rms_backward(g, h, r):
    return r * g - h * r ** 3 * (g * h).mean(axis=-1, keepdims=True)

class PreNorm:
    """Adds to the stream first, then normalises; hands on both."""
    params, grads = [], []

    def forward(self, x, residual):
        self.h = x + residual
        self.r = 1 / np.sqrt((self.h ** 2).mean(axis=-1, keepdims=True) + 1e-6)
        return self.h * self.r, self.h.copy()

    def backward(self, dout, dstream):
        dh = rms_backward(dout, self.h, self.r) + dstream
        return dh, dh.copy()
''')
wrong("lost-branch|unrecognised", "rms_backward(dout, self.h, self.r) + dstream", "rms_backward(dout + dstream, self.h, self.r)")
wrong("lost-branch", "return dh, dh.copy()", "return dh, dstream")
wrong("lost-branch|ignores-upstream", "self.r) + dstream", "self.r)")
wrong("constant-statistics", "return r * g - h * r ** 3 * (g * h).mean(axis=-1, keepdims=True)", "return r * g")

right("group_norm", "GroupNorm(u(6), r(6)), r(3, 6, 3)", '''
class GroupNorm:
    def __init__(self, gamma, beta, groups=2, eps=1e-5):
        self.params = [gamma, beta]
        self.grads = [np.zeros_like(gamma), np.zeros_like(beta)]
        self.G, self.eps = groups, eps

    def forward(self, x):
        N, C, L = x.shape
        gamma, beta = self.params
        grouped = x.reshape(N, self.G, -1)
        centred = grouped - grouped.mean(axis=2, keepdims=True)
        self.inv = 1 / np.sqrt((centred ** 2).mean(axis=2, keepdims=True) + self.eps)
        self.xhat = centred * self.inv
        return self.xhat.reshape(x.shape) * gamma[:, None] + beta[:, None]

    def backward(self, dy):
        N, C, L = dy.shape
        xhat = self.xhat.reshape(N, C, L)
        self.grads[0][...] = (dy * xhat).sum(axis=(0, 2))
        self.grads[1][...] = dy.sum(axis=(0, 2))
        d = (dy * self.params[0][:, None]).reshape(N, self.G, -1)
        m1 = d.mean(axis=2, keepdims=True)
        m2 = (d * self.xhat).mean(axis=2, keepdims=True)
        return (self.inv * (d - m1 - self.xhat * m2)).reshape(N, C, L)
''')
wrong("wrong-reshape|stale-cache", "xhat = self.xhat.reshape(N, C, L)", "xhat = self.xhat.reshape(N, -1, self.G, L).swapaxes(1, 2).reshape(N, C, L)")
wrong("missing-local-derivative|wrong-local-derivative|unrecognised", "d = (dy * self.params[0][:, None]).reshape", "d = dy.reshape")
wrong("constant-statistics", "(d - m1 - self.xhat * m2)", "(d - self.xhat * m2)")
wrong("rebound-grads", "self.grads[1][...] = dy.sum(axis=(0, 2))", "self.grads[1] = dy.sum(axis=(0, 2))")  # another array than before
wrong("mutates-input", "centred = grouped - grouped.mean(", "centred = grouped; centred -= grouped.mean(")  # a view of x; gradient right

right("adaptive_instance_norm", "AdaIN(), r(3, 2, 5), u(3, 2), r(3, 2)", '''
class AdaIN:
    """The scale and the shift come from a style net: one pair per image and channel."""

    def forward(self, content, scale, shift):
        mu = content.mean(2)[:, :, None]
        sd = np.sqrt(content.var(2) + 1e-5)[:, :, None]
        self.n, self.sd, self.scale = (content - mu) / sd, sd, scale
        return self.n * scale[:, :, None] + shift[:, :, None]

    def backward(self, g):
        dn = g * self.scale[:, :, None]
        dscale = (g * self.n).sum(axis=2)
        dshift = g.sum(axis=2)
        dcontent = dn - dn.mean(axis=2, keepdims=True) - self.n * (dn * self.n).mean(axis=2, keepdims=True)
        return dcontent / self.sd, dscale, dshift
''')
wrong("summed-too-far", "dscale = (g * self.n).sum(axis=2)", "dscale = np.tile((g * self.n).sum(axis=(0, 2)), (len(g), 1))")
wrong("divided-by-N", "dshift = g.sum(axis=2)", "dshift = g.mean(axis=2)")
wrong("constant-statistics", " - self.n * (dn * self.n).mean(axis=2, keepdims=True)\n", "\n")
wrong("not-returned", "return dcontent / self.sd, dscale, dshift", "return dcontent / self.sd, dscale")

right("lrn_channels", "LRN(), r(3, 5, 2)", '''
class LRN:
    def __init__(self, n=3, alpha=0.6, beta=0.75, k=1.0):
        self.half, self.alpha, self.beta, self.k = n // 2, alpha, beta, k

    def near(self, c, C):
        return slice(max(0, c - self.half), min(C, c + self.half + 1))

    def forward(self, a):
        C = a.shape[1]
        self.a = a
        self.scale = np.full(a.shape, self.k)
        for c in range(C):
            self.scale[:, c] += self.alpha * (a[:, self.near(c, C)] ** 2).sum(axis=1)
        self.b = a * self.scale ** -self.beta
        return self.b.copy()

    def backward(self, top_diff):
        C = self.a.shape[1]
        ratio = top_diff * self.b / self.scale
        bottom_diff = top_diff * self.scale ** -self.beta
        for c in range(C):
            total = ratio[:, self.near(c, C)].sum(axis=1)
            bottom_diff[:, c] -= 2 * self.alpha * self.beta * self.a[:, c] * total
        return bottom_diff
''')
wrong("factor-half|constant-statistics|wrong-local-derivative", "-= 2 * self.alpha", "-= self.alpha")
wrong("lost-branch|constant-statistics", "total = ratio[:, self.near(c, C)].sum(axis=1)", "total = ratio[:, c]")
wrong("stale-cache|wrong-local-derivative|constant-statistics", "ratio = top_diff * self.b", "ratio = top_diff * self.a")
wrong("wrong-sign|constant-statistics", "bottom_diff[:, c] -= 2", "bottom_diff[:, c] += 2")

right("batchnorm_staged", "(bn_forward, bn_backward), r(6, 3), u(3), r(3)", '''
def bn_forward(x, gamma, beta):
    mu = x.mean(axis=0)
    xmu = x - mu
    var = (xmu ** 2).mean(axis=0)
    ivar = 1.0 / np.sqrt(var + 1e-5)
    return gamma * xmu * ivar + beta, (xmu, ivar, gamma)

def bn_backward(dout, cache):
    xmu, ivar, gamma = cache
    N = len(xmu)
    dbeta = dout.sum(axis=0)
    dgamma = (dout * xmu * ivar).sum(axis=0)
    dxhat = dout * gamma
    dvar = (dxhat * xmu).sum(axis=0) * -0.5 * ivar ** 3
    dxmu = dxhat * ivar
    dxmu = dxmu + 2.0 / N * xmu * dvar
    dx = dxmu - dxmu.mean(axis=0)
    return dx, dgamma, dbeta
''')
wrong("wrong-sign|constant-statistics", "* -0.5 *", "* 0.5 *")
wrong("constant-statistics|wrong-local-derivative", "ivar ** 3", "ivar ** 2")
wrong("constant-statistics", "dx = dxmu - dxmu.mean(axis=0)", "dx = dxmu")
wrong("scaled-by-N|constant-statistics", "2.0 / N * xmu", "2.0 * xmu")

right("weight_norm_fc", "WNLinear(r(4, 3), u(3), r(3)), r(5, 4)", '''
class WNLinear:
    """w = g v / |v|, one g per output."""
    def __init__(self, v, g, b):
        self.params = {"v": v, "g": g, "b": b}
        self.grads = {k: np.zeros_like(p) for k, p in self.params.items()}

    def forward(self, x):
        v, g, b = (self.params[k] for k in "vgb")
        self.norm = np.linalg.norm(v, axis=0)
        self.w = g * v / self.norm
        self.x = x
        return x @ self.w + b

    def backward(self, dout):
        v, g = self.params["v"], self.params["g"]
        dw = self.x.T @ dout
        dg = (dw * v).sum(axis=0) / self.norm
        self.grads["g"][...] = dg
        self.grads["v"][...] = g / self.norm * (dw - dg * v / self.norm)
        self.grads["b"][...] = dout.sum(axis=0)
        return dout @ self.w.T
''')
wrong("constant-statistics", "g / self.norm * (dw - dg * v / self.norm)", "g / self.norm * dw")
wrong("stale-cache", "return dout @ self.w.T", "return dout @ v.T")
wrong("missing-local-derivative|wrong-local-derivative", 'self.grads["g"][...] = dg\n', 'self.grads["g"][...] = dg * self.norm\n')

right("spectral_norm", "SpectralLinear(1.7 * r(4, 4), u(4), u(4)), r(5, 4)", '''
class SpectralLinear:
    """Weights over their spectral norm; u and v are from the power method and stay as they are here."""
    def __init__(self, W, u, v):
        self.u, self.v = u / np.linalg.norm(u), v / np.linalg.norm(v)
        self.params, self.grads = [W], [np.zeros_like(W)]

    def forward(self, x):
        W = self.params[0]
        self.sigma = self.u @ W @ self.v
        self.Wbar = W / self.sigma
        self.x = x
        return x @ self.Wbar

    def backward(self, dy):
        dWbar = self.x.T @ dy
        inner = np.sum(dWbar * self.Wbar)
        self.grads[0][...] = (dWbar - inner * np.outer(self.u, self.v)) / self.sigma
        return dy @ self.Wbar.T
''')
wrong("constant-statistics", "(dWbar - inner * np.outer(self.u, self.v)) / self.sigma", "dWbar / self.sigma")
wrong("missing-transpose", "np.outer(self.u, self.v)", "np.outer(self.v, self.u)")
wrong("stale-cache", "return dy @ self.Wbar.T", "return dy @ self.params[0].T")

# ------------------------------------------------------------------------------------------ losses
right("focal_softmax", "focal_loss, r(6, 4), ids(4, 6)", '''
def focal_loss(scores, y, gamma=2.0):
    n = len(y)
    rows = np.arange(n)
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    pt = p[rows, y]
    loss = -np.mean((1 - pt) ** gamma * np.log(pt))

    dpt = gamma * (1 - pt) ** (gamma - 1) * np.log(pt) - (1 - pt) ** gamma / pt
    dscores = -p * pt[:, None]
    dscores[rows, y] += pt
    dscores *= dpt[:, None] / n
    return loss, dscores
''')
wrong("lost-branch|wrong-local-derivative", "dpt = gamma * (1 - pt) ** (gamma - 1) * np.log(pt) - (1 - pt)", "dpt = -(1 - pt)")
wrong("wrong-sign|wrong-local-derivative", "np.log(pt) - (1 - pt)", "np.log(pt) + (1 - pt)")
wrong("missing-label-subtraction", "    dscores[rows, y] += pt\n", "")
wrong("scaled-by-N", "dpt[:, None] / n", "dpt[:, None]")
wrong("mutates-input", "e = np.exp(scores - scores.max(axis=1, keepdims=True))", "scores -= scores.max(axis=1, keepdims=True); e = np.exp(scores)")  # gradient right

right("dice_per_image", "DiceLoss(), u(5, 6), ids(2, 5, 6)", '''
class DiceLoss:
    def forward(self, pred, target):
        self.pred, self.target = pred, target
        self.inter = (pred * target).sum(axis=1, keepdims=True)
        self.union = (pred ** 2).sum(axis=1, keepdims=True) + (target ** 2).sum(axis=1, keepdims=True)
        return 1 - np.mean(2 * self.inter / self.union)

    def backward(self, grad_output=1.0):
        top = self.target * self.union - 2 * self.pred * self.inter
        return -grad_output * 2 * top / (self.union * self.union) / len(self.pred)
''')
wrong("wrong-sign|wrong-local-derivative|constant-statistics", "self.union - 2 * self.pred", "self.union + 2 * self.pred")
wrong("wrong-local-derivative", "top / (self.union * self.union)", "top / self.union * self.union")
wrong("wrong-sign", "return -grad_output", "return grad_output")
wrong("scaled-by-N", " / len(self.pred)", "")

right("contrastive_pairs", "ContrastiveLoss(), r(7, 3), r(7, 3), np.array([1, 0, 0, 1, 0, 0, 0])", '''
class ContrastiveLoss:
    """sim = 1: pull together; sim = 0: push apart, up to the margin."""
    def __init__(self, margin=2.5):
        self.margin = margin

    def forward(self, a, b, sim):
        self.diff, self.sim = a - b, sim
        self.dist = np.sqrt((self.diff ** 2).sum(axis=1))
        self.gap = np.maximum(self.margin - self.dist, 0)
        return (sim * self.dist ** 2 + (1 - sim) * self.gap ** 2).sum() / (2 * len(a))

    def backward(self, top=1.0):
        push = -(1 - self.sim) * self.gap / self.dist
        coef = top * (self.sim + push) / len(self.diff)
        da = coef[:, None] * self.diff
        return da, -da
''')
wrong("wrong-sign", "return da, -da", "return da, da.copy()")
wrong("wrong-local-derivative|missing-local-derivative|constant-statistics", "* self.gap / self.dist", "* self.gap")
wrong("missing-mask", "* self.gap / self.dist", "* (self.margin - self.dist) / self.dist")
wrong("factor-2", "coef = top * (self.sim", "coef = 2 * top * (self.sim")

right("triplet", "TripletLoss(), r(7, 3), r(7, 3), r(7, 3)", '''
class TripletLoss:
    def __init__(self, margin=0.5):
        self.margin = margin

    def forward(self, anchor, positive, negative):
        x_a, x_p, x_n = self.triple = anchor, positive, negative
        ap = ((x_a - x_p) ** 2).sum(axis=1)
        an = ((x_a - x_n) ** 2).sum(axis=1)
        per_sample = ap - an + self.margin
        self.active = per_sample > 0
        return np.maximum(per_sample, 0).mean()

    def backward(self, dloss=1.0):
        x_a, x_p, x_n = self.triple
        w = 2 * dloss * self.active[:, None] / len(x_a)
        d_anchor = w * (x_n - x_p)
        d_positive = w * (x_p - x_a)
        d_negative = w * (x_a - x_n)
        return d_anchor, d_positive, d_negative
''')
wrong("lost-branch|wrong-local-derivative", "w * (x_p - x_a)", "w * -x_a")
wrong("factor-half", "w = 2 * dloss", "w = dloss")
wrong("missing-mask", "dloss * self.active[:, None] / len", "dloss / len")
wrong("not-returned|stale-cache", "return d_anchor, d_positive, d_negative", "return d_anchor, d_negative, d_positive")

right("squared_hinge", "svm_loss, r(6, 4), ids(4, 6)", '''
def svm_loss(x, y):
    """Multi-class hinge, squared."""
    N = x.shape[0]
    correct = x[np.arange(N), y]
    margins = np.maximum(0, x - correct[:, np.newaxis] + 1.0)
    margins[np.arange(N), y] = 0
    loss = np.sum(margins ** 2) / N
    dx = 2 * margins / N
    dx[np.arange(N), y] -= dx.sum(axis=1)
    return loss, dx
''')
wrong("factor-half", "dx = 2 * margins / N", "dx = margins / N")
wrong("lost-branch|missing-label-subtraction", "    dx[np.arange(N), y] -= dx.sum(axis=1)\n", "")
wrong("wrong-local-derivative", "dx = 2 * margins / N", "dx = (margins > 0) / N")
wrong("wrong-sign", "dx[np.arange(N), y] -= dx.sum(axis=1)", "dx[np.arange(N), y] += dx.sum(axis=1)")

right("distillation", "KDLoss(), r(5, 4), share(5, 4)", '''
class KDLoss:
    """T^2 KL(teacher || student at temperature T), mean over the batch."""
    T = 2.0

    def forward(self, student, target):
        z = student / self.T
        z = z - z.max(axis=1, keepdims=True)
        self.logp = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        self.q = target
        return self.T ** 2 * np.sum(self.q * (np.log(self.q) - self.logp)) / len(target)

    def backward(self, dout=1.0):
        d = np.exp(self.logp) - self.q
        return dout * self.T * d / len(d)
''')
wrong("factor-2", "dout * self.T * d", "dout * self.T ** 2 * d")
wrong("wrong-sign", "np.exp(self.logp) - self.q", "self.q - np.exp(self.logp)")
wrong("missing-label-subtraction", "d = np.exp(self.logp) - self.q", "d = np.exp(self.logp)")
wrong("divided-by-N", "d / len(d)", "d / d.size")

right("ctc_one_utterance", "CTC(), r(5, 4), np.array([2, 1, 2])", '''
class CTC:
    """logits (T, K), labels (L,); class 0 is the blank."""

    def forward(self, logits, labels):
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        ext = np.zeros(2 * len(labels) + 1, dtype=int)
        ext[1::2] = labels
        y, T, S = p[:, ext], len(p), len(ext)
        jump = np.array([s >= 2 and ext[s] != 0 and ext[s] != ext[s - 2] for s in range(S)])
        alpha, beta = np.zeros((T, S)), np.zeros((T, S))
        alpha[0, :2] = y[0, :2]
        for t in range(1, T):
            prev = alpha[t - 1]
            alpha[t] = prev
            alpha[t, 1:] += prev[:-1]
            alpha[t, 2:] += prev[:-2] * jump[2:]
            alpha[t] *= y[t]
        beta[-1, -2:] = 1
        for t in range(T - 2, -1, -1):
            after = beta[t + 1] * y[t + 1]
            beta[t] = after
            beta[t, :-1] += after[1:]
            beta[t, :-2] += after[2:] * jump[2:]
        self.p, self.ext = p, ext
        self.total = alpha[-1, -2:].sum()
        self.posterior = alpha * beta / self.total
        return -np.log(self.total)

    def backward(self, dout=1.0):
        occupied = np.zeros_like(self.p)
        for s, k in enumerate(self.ext):
            occupied[:, k] += self.posterior[:, s]
        return dout * (self.p - occupied)
''')
wrong("repeated-index|overlap-overwritten|lost-branch", "occupied[:, k] += self", "occupied[:, k] = self")
wrong("ignores-upstream", "return dout * (self.p - occupied)", "return self.p - occupied")
wrong("constant-statistics|lost-branch", "dout * (self.p - occupied)", "dout * -occupied")
wrong("wrong-local-derivative|missing-local-derivative", "+= self.posterior[:, s]\n", "+= self.posterior[:, s] / self.p[:, k]\n")

# ------------------------------------------------------------------------------------------ convolution and pooling
right("conv_loops", "(conv_forward, conv_backward), r(2, 2, 5, 5), r(3, 2, 3, 3), r(3)", '''
def conv_forward(x, w, b, stride=2, pad=1):
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    out = np.zeros((N, F, (H + 2 * pad - HH) // stride + 1, (W + 2 * pad - WW) // stride + 1))
    for n, f, i, j in np.ndindex(out.shape):
        r, c = i * stride, j * stride
        out[n, f, i, j] = np.sum(xp[n, :, r:r + HH, c:c + WW] * w[f]) + b[f]
    return out, (xp, w, stride, pad)

def conv_backward(dout, cache):
    xp, w, stride, pad = cache
    F, C, HH, WW = w.shape
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for n, f, i, j in np.ndindex(dout.shape):
        top, left = i * stride, j * stride
        dw[f] += dout[n, f, i, j] * xp[n, :, top:top + HH, left:left + WW]
        dxp[n, :, top:top + HH, left:left + WW] += dout[n, f, i, j] * w[f]
    db = dout.sum(axis=(0, 2, 3))
    return dxp[:, :, pad:-pad, pad:-pad], dw, db
''')
wrong("overlap-overwritten|lost-branch", "left:left + WW] += dout[n, f, i, j] * w[f]", "left:left + WW] = dout[n, f, i, j] * w[f]")
wrong("flipped-kernel", "+= dout[n, f, i, j] * w[f]\n", "+= dout[n, f, i, j] * w[f, :, ::-1, ::-1]\n")
wrong("wrong-reshape|stale-cache|unrecognised", "dxp[:, :, pad:-pad, pad:-pad]", "dxp[:, :, :-2 * pad, :-2 * pad]")
wrong("stale-cache|wrong-reshape|unrecognised", "top, left = i * stride, j * stride", "top, left = i, j")
wrong("lost-branch|overlap-overwritten|missing-batch-sum", "dw[f] += dout", "dw[f] = dout")

right("conv_signal_bank", "FilterBank(r(2, 3), r(2)), r(7)", '''
class FilterBank:
    """One signal (T,), several filters (F, K), each slid over it without padding."""
    def __init__(self, w, b):
        self.w, self.b = w, b
        self.dw, self.db = np.zeros_like(w), np.zeros_like(b)

    def forward(self, x):
        self.x = x
        return np.array([np.correlate(x, w, "valid") + b for w, b in zip(self.w, self.b)])

    def backward(self, dy):
        dx = 0
        for f, d in enumerate(dy):
            self.dw[f] = np.correlate(self.x, d, "valid")
            self.db[f] = d.sum()
            dx = dx + np.convolve(d, self.w[f], "full")
        return dx
''')
wrong("flipped-kernel", 'np.correlate(self.x, d, "valid")', 'np.correlate(d, self.x, "valid")')
wrong("flipped-kernel", 'np.convolve(d, self.w[f], "full")', 'np.correlate(d, self.w[f], "full")')
wrong("divided-by-N", "self.db[f] = d.sum()", "self.db[f] = d.mean()")
wrong("lost-branch", 'dx = dx + np.convolve', 'dx = np.convolve')

right("transposed_conv", "ConvTranspose(r(2, 3, 3), r(3)), r(3, 2, 4)", '''
class ConvTranspose:
    """(N, C, T) -> (N, F, (T - 1) stride + K)."""
    def __init__(self, w, b, stride=2):
        self.params = [w, b]
        self.grads = [np.zeros_like(w), np.zeros_like(b)]
        self.stride = stride

    def forward(self, x):
        w, b = self.params
        (N, C, T), (_, F, K), s = x.shape, w.shape, self.stride
        self.x = x
        y = np.zeros((N, F, (T - 1) * s + K)) + b[:, None]
        for t in range(T):
            y[:, :, t * s:t * s + K] += np.einsum("nc,cfk->nfk", x[:, :, t], w)
        return y

    def backward(self, dy):
        w, s = self.params[0], self.stride
        K = w.shape[2]
        dw, db = self.grads
        dw[...] = 0
        db[...] = dy.sum(axis=(0, 2))
        dx = np.empty_like(self.x)
        for t in range(self.x.shape[2]):
            win = dy[:, :, t * s:t * s + K]
            dw += np.einsum("nc,nfk->cfk", self.x[:, :, t], win)
            dx[:, :, t] = np.einsum("nfk,cfk->nc", win, w)
        return dx
''')
wrong("stale-cache|unrecognised", "win = dy[:, :, t * s:t * s + K]", "win = dy[:, :, t:t + K]")
wrong("lost-branch|overlap-overwritten|missing-batch-sum", "dw += np.einsum(", "dw[...] = np.einsum(")
wrong("accumulates", "        dw[...] = 0\n", "")  # shows at a second backward
wrong("flipped-kernel", 'np.einsum("nfk,cfk->nc", win, w)', 'np.einsum("nfk,cfk->nc", win, w[:, :, ::-1])')

right("max_pool_reshape", "MaxPool(), apart(2, 2, 4, 6)", '''
class MaxPool:
    """Windows 2 x 2 that do not overlap."""
    def forward(self, x):
        N, C, H, W = x.shape
        tiles = x.reshape(N, C, H // 2, 2, W // 2, 2)
        out = tiles.max(axis=(3, 5))
        self.hit = tiles == out[:, :, :, None, :, None]
        self.shape = x.shape
        return out

    def backward(self, d):
        spread = d[:, :, :, None, :, None] * self.hit
        return spread.reshape(self.shape)
''')
wrong("inverted-mask", "* self.hit\n", "* ~self.hit\n")
wrong("missing-mask", "* self.hit\n", "* np.ones(self.hit.shape)\n")
wrong("wrong-reshape|missing-transpose", "return spread.reshape(self.shape)", "return spread.transpose(0, 1, 2, 4, 3, 5).reshape(self.shape)")

right("avg_pool_borders", "AvgPool(), r(3, 7)", '''
class AvgPool:
    """Mean of the neighbours, stride 1; at the borders over those that exist."""
    def __init__(self, radius=1):
        self.radius = radius

    def window(self, i):
        return max(0, i - self.radius), min(self.T, i + self.radius + 1)

    def forward(self, x):
        self.T = x.shape[1]
        return np.stack([x[:, slice(*self.window(i))].mean(axis=1) for i in range(self.T)], axis=1)

    def backward(self, dy):
        dx = np.zeros(dy.shape)
        for i in range(self.T):
            lo, hi = self.window(i)
            dx[:, lo:hi] += dy[:, i, None] / (hi - lo)
        return dx
''')
wrong("overlap-overwritten", "dx[:, lo:hi] += dy", "dx[:, lo:hi] = dy")
wrong("scaled-by-N|missing-local-derivative|wrong-local-derivative", "dy[:, i, None] / (hi - lo)", "dy[:, i, None]")
wrong("wrong-local-derivative|divided-by-N|unrecognised", "/ (hi - lo)", "/ (2 * self.radius + 1)")

right("bilinear_upsample", "Upsample(5, 6), r(2, 3, 3)", '''
def along(n_in, n_out):
    at = np.arange(n_out) * (n_in - 1) / (n_out - 1)
    low = np.minimum(at.astype(int), n_in - 2)
    return low, at - low

class Upsample:
    """(N, H, W) -> (N, height, width), corners aligned."""
    def __init__(self, height, width):
        self.size = height, width

    def forward(self, x):
        self.shape = x.shape
        y = np.empty((len(x),) + self.size)
        rows, fr = along(x.shape[1], self.size[0])
        cols, fc = along(x.shape[2], self.size[1])
        for i, j in np.ndindex(self.size):
            p, q, a, b = rows[i], cols[j], fr[i], fc[j]
            y[:, i, j] = ((1 - a) * ((1 - b) * x[:, p, q] + b * x[:, p, q + 1])
                          + a * ((1 - b) * x[:, p + 1, q] + b * x[:, p + 1, q + 1]))
        return y

    def backward(self, dy):
        dx = np.zeros(self.shape)
        rows, fr = along(self.shape[1], self.size[0])
        cols, fc = along(self.shape[2], self.size[1])
        for i, j in np.ndindex(self.size):
            g, p, q = dy[:, i, j], rows[i], cols[j]
            a, b = fr[i], fc[j]
            dx[:, p, q] += (1 - a) * (1 - b) * g
            dx[:, p, q + 1] += (1 - a) * b * g
            dx[:, p + 1, q] += a * (1 - b) * g
            dx[:, p + 1, q + 1] += a * b * g
        return dx
''')
wrong("overlap-overwritten|lost-branch", "dx[:, p, q + 1] += (1 - a) * b * g", "dx[:, p, q + 1] = (1 - a) * b * g")
wrong("lost-branch", "            dx[:, p + 1, q + 1] += a * b * g\n", "")
wrong("wrong-local-derivative|stale-cache", "dx[:, p + 1, q] += a * (1 - b) * g", "dx[:, p + 1, q] += b * (1 - a) * g")
wrong("stale-cache|wrong-local-derivative", "a, b = fr[i], fc[j]\n            dx", "a, b = fr[i], fr[i]\n            dx")

right("line_sampler", "(sample, sample_grad), r(2, 6), np.array([0.3, 1.6, 3.2, 1.1, 4.7])", '''
def sample(signal, where):
    """Signals (C, T) read at real positions (M,), between the two neighbours."""
    left = np.floor(where).astype(int)
    frac = where - left
    out = (1 - frac) * signal[:, left] + frac * signal[:, left + 1]
    return out, (signal, left, frac)

def sample_grad(dout, cache):
    signal, left, frac = cache
    dsignal = np.zeros_like(signal)
    for c in range(len(signal)):
        np.add.at(dsignal[c], left, (1 - frac) * dout[c])
        np.add.at(dsignal[c], left + 1, frac * dout[c])
    slope = signal[:, left + 1] - signal[:, left]
    dwhere = (dout * slope).sum(axis=0)
    return dsignal, dwhere
''')
wrong("repeated-index", "np.add.at(dsignal[c], left, (1 - frac) * dout[c])", "dsignal[c][left] += (1 - frac) * dout[c]")
wrong("wrong-sign", "signal[:, left + 1] - signal[:, left]\n", "signal[:, left] - signal[:, left + 1]\n")
wrong("lost-branch", "        np.add.at(dsignal[c], left + 1, frac * dout[c])\n", "")
wrong("missing-batch-sum", "(dout * slope).sum(axis=0)", "dout * slope")

# ------------------------------------------------------------------------------------------ recurrent
right("peephole_lstm", "PeepholeLSTM(r(2, 8), r(2, 8), r(8), r(3, 2)), r(4, 3, 2)", '''
def sigmoid(a):
    return 1 / (1 + np.exp(-a))

class PeepholeLSTM:
    """(T, N, D) -> (T, N, H); gates i, f, g, o; i and f look at the old cell, o at the new one."""
    def __init__(self, W, U, b, P):
        self.params = [W, U, b, P]
        self.grads = [np.zeros_like(p) for p in self.params]

    def forward(self, xs):
        W, U, b, P = self.params
        H = len(U)
        h = c = np.zeros((xs.shape[1], H))
        self.tape, outs = [], []
        for x in xs:
            a = x @ W + h @ U + b
            i = sigmoid(a[:, :H] + P[0] * c)
            f = sigmoid(a[:, H:2 * H] + P[1] * c)
            g = np.tanh(a[:, 2 * H:3 * H])
            cell = f * c + i * g
            o = sigmoid(a[:, 3 * H:] + P[2] * cell)
            squashed = np.tanh(cell)
            self.tape.append((x, h, c, i, f, g, o, cell, squashed))
            h, c = o * squashed, cell
            outs.append(h)
        return np.array(outs)

    def backward(self, dhs):
        W, U, b, P = self.params
        for grad in self.grads:
            grad[...] = 0
        dW, dU, db, dP = self.grads
        dh = dc = np.zeros(dhs.shape[1:])
        dxs = []
        for (x, h, c, i, f, g, o, cell, squashed), from_above in zip(self.tape[::-1], dhs[::-1]):
            dh = dh + from_above
            do = dh * squashed * o * (1 - o)
            dc = dc + dh * o * (1 - squashed ** 2)
            dc = dc + do * P[2]
            di = dc * g * i * (1 - i)
            df = dc * c * f * (1 - f)
            dg = dc * i * (1 - g ** 2)
            da = np.hstack([di, df, dg, do])
            dW += x.T @ da
            dU += h.T @ da
            db += da.sum(axis=0)
            dP[0] += (di * c).sum(axis=0)
            dP[1] += (df * c).sum(axis=0)
            dP[2] += (do * cell).sum(axis=0)
            dxs.append(da @ W.T)
            dh = da @ U.T
            dc = dc * f + di * P[0] + df * P[1]
        return np.array(dxs[::-1])
''')
wrong("lost-branch", "            dc = dc + do * P[2]\n", "")
wrong("lost-branch", "dc = dc * f + di * P[0] + df * P[1]", "dc = dc * f")
wrong("stale-cache", "(do * cell).sum", "(do * c).sum")
wrong("wrong-local-derivative|stale-cache", "dh * o * (1 - squashed ** 2)", "dh * o * (1 - cell ** 2)")
wrong("wrong-reshape", "np.array(dxs[::-1])", "np.array(dxs)")
wrong("lost-branch", "dc = dc + dh * o", "dc = dh * o")
wrong("lost-branch", "dU += h.T @ da", "dU[...] = h.T @ da")

right("gru_step", "(gru_step, gru_step_back), r(4, 3), r(4, 2), r(3, 6), r(2, 6), r(6)", '''
def sig(a):
    return 1 / (1 + np.exp(-a))

def gru_step(x, h, Wx, Wh, b):
    H = h.shape[1]
    ax = x @ Wx + b
    ah = h @ Wh[:, :2 * H]
    z, r = sig(ax[:, :H] + ah[:, :H]), sig(ax[:, H:2 * H] + ah[:, H:])
    rh = r * h
    n = np.tanh(ax[:, 2 * H:] + rh @ Wh[:, 2 * H:])
    return z * h + (1 - z) * n, (x, h, Wx, Wh, z, r, rh, n)

def gru_step_back(dnext, cache):
    x, h, Wx, Wh, z, r, rh, n = cache
    H = h.shape[1]
    dz = dnext * (h - n) * z * (1 - z)
    dn = dnext * (1 - z) * (1 - n ** 2)
    drh = dn @ Wh[:, 2 * H:].T
    dr = drh * h * r * (1 - r)
    dzr = np.hstack((dz, dr))
    dax = np.hstack((dz, dr, dn))
    dh = dnext * z
    dh += drh * r
    dh += dzr @ Wh[:, :2 * H].T
    dWh = np.hstack((h.T @ dzr, rh.T @ dn))
    return dax @ Wx.T, dh, x.T @ dax, dWh, dax.sum(axis=0)
''')
wrong("lost-branch", "    dh += drh * r\n", "")
wrong("stale-cache", "rh.T @ dn", "h.T @ dn")
wrong("wrong-sign", "(h - n) * z * (1 - z)", "(n - h) * z * (1 - z)")
wrong("missing-local-derivative|wrong-local-derivative", "dr = drh * h * r * (1 - r)", "dr = drh * h")
wrong("stale-cache|wrong-local-derivative", "dr = drh * h *", "dr = drh * rh *")

right("bidirectional", "BiRnn(r(2, 3), r(3, 3), r(2, 3), r(3, 3)), r(3, 4, 2)", '''
class Rnn:
    def __init__(self, Wx, Wh):
        self.params, self.grads = [Wx, Wh], [np.zeros_like(Wx), np.zeros_like(Wh)]

    def forward(self, x):
        Wx, Wh = self.params
        self.x, self.hs = x, np.zeros(x.shape[:2] + (len(Wh),))
        h = self.hs[:, 0] * 0
        for t in range(x.shape[1]):
            h = self.hs[:, t] = np.tanh(x[:, t] @ Wx + h @ Wh)
        return self.hs

    def backward(self, dhs):
        (Wx, Wh), (dWx, dWh) = self.params, self.grads
        dWx[...], dWh[...] = 0, 0
        dx, carry = np.zeros_like(self.x), 0
        for t in range(self.x.shape[1] - 1, -1, -1):
            da = (dhs[:, t] + carry) * (1 - self.hs[:, t] ** 2)
            dWx += self.x[:, t].T @ da
            if t > 0:
                dWh += self.hs[:, t - 1].T @ da
            dx[:, t] = da @ Wx.T
            carry = da @ Wh.T
        return dx

class BiRnn:
    """Both directions, their outputs added."""
    def __init__(self, Wx1, Wh1, Wx2, Wh2):
        self.there, self.back = Rnn(Wx1, Wh1), Rnn(Wx2, Wh2)
        self.params = self.there.params + self.back.params
        self.grads = self.there.grads + self.back.grads

    def forward(self, x):
        left = self.there.forward(x)
        right = self.back.forward(x[:, ::-1])
        return left + right[:, ::-1]

    def backward(self, dout):
        d1 = self.there.backward(dout)
        d2 = self.back.backward(dout[:, ::-1])
        return d1 + d2[:, ::-1]
''')
wrong("wrong-reshape|missing-transpose", "self.back.backward(dout[:, ::-1])", "self.back.backward(dout)")
wrong("lost-branch", "return d1 + d2[:, ::-1]", "return d1")
wrong("wrong-reshape", "return d1 + d2[:, ::-1]", "return d1 + d2")
wrong("mutates-cache", "return left + right[:, ::-1]", "left += right[:, ::-1]; return left")
wrong("stale-cache", "            if t > 0:\n                dWh += self.hs[:, t - 1].T @ da", "            dWh += self.hs[:, t - 1].T @ da")
wrong("lost-branch", "(dhs[:, t] + carry)", "dhs[:, t]")

right("leaky_integrator", "Leaky(np.array([0.6, 0.8, 0.3])), r(4, 5, 3)", '''
class Leaky:
    """y_t = x_t + a y_{t-1}, one a per feature; (N, T, D)."""
    def __init__(self, a):
        self.a, self.da = a, np.zeros_like(a)

    def forward(self, x):
        y = x.copy()
        for t in range(1, y.shape[1]):
            y[:, t] += self.a * y[:, t - 1]
        self.y = y
        return y.copy()

    def backward(self, dy):
        dx = dy.copy()
        for t in range(dx.shape[1] - 1, 0, -1):
            dx[:, t - 1] += self.a * dx[:, t]
        self.da[...] = (dx[:, 1:] * self.y[:, :-1]).sum(axis=(0, 1))
        return dx
''')
wrong("missing-transpose|wrong-reshape", "            dx[:, t - 1] += self.a * dx[:, t]", "            t = dx.shape[1] - t; dx[:, t] += self.a * dx[:, t - 1]")
wrong("lost-branch|stale-cache", "dx[:, t - 1] += self.a * dx[:, t]", "dx[:, t - 1] += self.a * dy[:, t]")
wrong("stale-cache", "* self.y[:, :-1])", "* self.y[:, 1:])")
wrong("stale-cache|lost-branch", "(dx[:, 1:] * self.y", "(dy[:, 1:] * self.y")
wrong("mutates-input", "dx = dy.copy()", "dx = dy")  # the gradients are right; the upstream gradient is changed

# ------------------------------------------------------------------------------------------ attention
right("causal_heads", "CausalAttention(r(6, 6), r(6, 6), r(6, 6), r(6, 6)), r(2, 4, 6) / 2", '''
class CausalAttention:
    def __init__(self, Wq, Wk, Wv, Wo, heads=2):
        self.params = {"q": Wq, "k": Wk, "v": Wv, "o": Wo}
        self.grads = {name: np.zeros_like(w) for name, w in self.params.items()}
        self.heads = heads

    def split(self, a):
        B, T, D = a.shape
        return a.reshape(B, T, self.heads, D // self.heads).transpose(0, 2, 1, 3)

    def merge(self, a):
        B, _, T, _ = a.shape
        return a.transpose(0, 2, 1, 3).reshape(B, T, -1)

    def forward(self, x):
        p = self.params
        q, k, v = (self.split(x @ p[name]) for name in "qkv")
        self.scale = q.shape[-1] ** -0.5
        s = q @ k.swapaxes(2, 3) * self.scale
        s[..., np.triu(np.ones(s.shape[2:]), 1) > 0] = -1e9
        e = np.exp(s - s.max(axis=-1, keepdims=True))
        w = e / e.sum(axis=-1, keepdims=True)
        mixed = self.merge(w @ v)
        self.cache = x, q, k, v, w, mixed
        return mixed @ p["o"]

    def backward(self, dout):
        x, q, k, v, w, mixed = self.cache
        p, g = self.params, self.grads
        g["o"][...] = np.einsum("btd,bte->de", mixed, dout)
        dmixed = self.split(dout @ p["o"].T)
        dv = w.swapaxes(2, 3) @ dmixed
        dw = dmixed @ v.swapaxes(2, 3)
        ds = w * (dw - (dw * w).sum(axis=-1, keepdims=True))
        ds = ds * self.scale
        dq = ds @ k
        dk = ds.swapaxes(2, 3) @ q
        dx = np.zeros_like(x)
        for name, d in zip("qkv", (dq, dk, dv)):
            flat = self.merge(d)
            g[name][...] = np.einsum("btd,bte->de", x, flat)
            dx += flat @ p[name].T
        return dx
''')
wrong("constant-statistics", "ds = w * (dw - (dw * w).sum(axis=-1, keepdims=True))", "ds = w * dw")
wrong("missing-transpose", "dk = ds.swapaxes(2, 3) @ q", "dk = ds @ q")
wrong("wrong-reshape", "flat = self.merge(d)", "flat = d.reshape(x.shape)")
wrong("lost-branch", "dx += flat @ p[name].T", "dx = flat @ p[name].T")
wrong("missing-local-derivative|wrong-local-derivative|unrecognised", "        ds = ds * self.scale\n", "")
wrong("missing-transpose", "dx += flat @ p[name].T", "dx += flat @ p[name]")
wrong("constant-statistics|wrong-local-derivative", "ds = w * (dw - (dw * w).sum(axis=-1, keepdims=True))", "ds = w * (1 - w) * dw")

right("rotary", "Rotary(r(4, 6), r(4, 6)), r(3, 4, 6)", '''
def rotate_half(x):
    half = x.shape[-1] // 2
    return np.concatenate([-x[..., half:], x[..., :half]], axis=-1)

class Rotary:
    """The tables (T, D) are given; their halves need not be alike."""
    params, grads = [], []

    def __init__(self, cos, sin):
        self.tables = cos, sin

    def forward(self, x):
        cos, sin = self.tables
        return x * cos + rotate_half(x) * sin

    def backward(self, dy):
        cos, sin = self.tables
        return dy * cos - rotate_half(dy * sin)
''')
wrong("wrong-reshape|missing-transpose|unrecognised", "rotate_half(dy * sin)", "rotate_half(dy) * sin")
wrong("wrong-sign|missing-transpose", "dy * cos - rotate_half", "dy * cos + rotate_half")
wrong("lost-branch", "return dy * cos - rotate_half(dy * sin)", "return dy * cos")

right("relative_bias", "RelBias(r(7)), r(3, 4, 4)", '''
class RelBias:
    """Adds table[i - j] to the scores (B, T, T)."""
    def __init__(self, table):
        self.table, self.dtable = table, np.zeros_like(table)

    def forward(self, scores):
        T = scores.shape[-1]
        self.rel = np.arange(T)[:, None] - np.arange(T) + len(self.table) // 2
        return scores + self.table[self.rel]

    def backward(self, dscores):
        per_pair = dscores.sum(axis=0)
        self.dtable[...] = 0
        np.add.at(self.dtable, self.rel, per_pair)
        return dscores.copy()
''')
wrong("repeated-index", "np.add.at(self.dtable, self.rel, per_pair)", "self.dtable[self.rel] += per_pair")
wrong("divided-by-N", "per_pair = dscores.sum(axis=0)", "per_pair = dscores.mean(axis=0)")
wrong("missing-transpose|flipped-kernel", "np.add.at(self.dtable, self.rel, per_pair)", "np.add.at(self.dtable, self.rel.T, per_pair)")
wrong("accumulates", "        self.dtable[...] = 0\n", "")  # shows at a second backward

# ------------------------------------------------------------------------------------------ gates, experts, blocks
right("highway", "Highway(r(3, 3), r(3), r(3, 3), r(3)), r(5, 3)", '''
class Highway:
    def __init__(self, WH, bH, WT, bT):
        self.WH, self.bH, self.WT, self.bT = WH, bH, WT, bT
        self.dWH, self.dbH, self.dWT, self.dbT = (np.zeros_like(a) for a in (WH, bH, WT, bT))

    def forward(self, x):
        self.x = x
        self.H = np.tanh(x @ self.WH + self.bH)
        self.T = 1 / (1 + np.exp(-(x @ self.WT + self.bT)))
        return self.H * self.T + x * (1 - self.T)

    def backward(self, dy):
        dzh = dy * self.T * (1 - self.H ** 2)
        dzt = dy * (self.H - self.x) * self.T * (1 - self.T)
        self.dWH[...] = self.x.T @ dzh
        self.dWT[...] = self.x.T @ dzt
        self.dbH[...] = dzh.sum(axis=0)
        self.dbT[...] = dzt.sum(axis=0)
        return dy * (1 - self.T) + dzh @ self.WH.T + dzt @ self.WT.T
''')
wrong("lost-branch", "(self.H - self.x)", "self.H")
wrong("missing-local-derivative|wrong-local-derivative", "(self.H - self.x) * self.T * (1 - self.T)", "(self.H - self.x)")
wrong("lost-branch", "return dy * (1 - self.T) + dzh", "return dzh")
wrong("missing-transpose", "dzt @ self.WT.T", "dzt @ self.WT")

right("top2_experts", "(moe_forward, moe_backward), r(5, 3), r(3, 4), r(4, 3, 2)", '''
def moe_forward(x, Wg, We):
    """The two likeliest of the experts, their gates made to sum to one."""
    e = np.exp(x @ Wg)
    p = e / e.sum(axis=1, keepdims=True)
    keep = p >= np.sort(p, axis=1)[:, [-2]]
    total = (p * keep).sum(axis=1, keepdims=True)
    gate = p * keep / total
    each = np.einsum("nd,edm->nem", x, We)
    y = np.einsum("ne,nem->nm", gate, each)
    return y, (x, Wg, We, p, keep, total, gate, each)

def moe_backward(dy, cache):
    x, Wg, We, p, keep, total, gate, each = cache
    dgate = np.einsum("nm,nem->ne", dy, each)
    deach = gate[:, :, None] * dy[:, None, :]
    dkept = (dgate - (dgate * gate).sum(axis=1, keepdims=True)) / total
    dp = dkept * keep
    dz = p * (dp - (dp * p).sum(axis=1, keepdims=True))
    dx = np.einsum("nem,edm->nd", deach, We)
    dx = dx + dz @ Wg.T
    return dx, x.T @ dz, np.einsum("nd,nem->edm", x, deach)
''')
wrong("constant-statistics", "dkept = (dgate - (dgate * gate).sum(axis=1, keepdims=True)) / total", "dkept = dgate / total")
wrong("missing-mask", "dp = dkept * keep", "dp = dkept")
wrong("lost-branch", "    dx = dx + dz @ Wg.T\n", "")

right("drop_path", "DropPath(r(3, 3)), r(6, 3)", '''
class DropPath:
    """x + branch(x); the branch is left out for some of the samples."""
    def __init__(self, W, p=0.4):
        self.params, self.grads, self.p = [W], [np.zeros_like(W)], p

    def forward(self, x):
        rng = np.random.default_rng(5)
        self.alive = rng.random((len(x), 1)) >= self.p
        self.x, self.branch = x, np.tanh(x @ self.params[0])
        return x + self.branch * self.alive / (1 - self.p)

    def backward(self, dout):
        dbranch = dout * self.alive / (1 - self.p)
        dz = dbranch * (1 - self.branch ** 2)
        self.grads[0][...] = self.x.T @ dz
        return dout + dz @ self.params[0].T
''')
wrong("dropout-scale", "dbranch = dout * self.alive / (1 - self.p)", "dbranch = dout * self.alive")
wrong("missing-mask", "dbranch = dout * self.alive / (1 - self.p)", "dbranch = dout / (1 - self.p)")
wrong("lost-branch", "return dout + dz @", "return dz @")
wrong("nondeterministic", "np.random.default_rng(5)", "np.random.default_rng()")  # two forwards differ

right("on_some_columns", "OnColumns(r(2, 3)), r(5, 4)", '''
class OnColumns:
    """A dense layer for the first columns; the others go past it."""
    def __init__(self, W):
        self.params, self.grads = {"W": W}, {"W": np.zeros_like(W)}

    def forward(self, X):
        k = len(self.params["W"])
        self.X = X
        return np.hstack([X[:, :k] @ self.params["W"], X[:, k:]])

    def backward(self, dY):
        k, m = self.params["W"].shape
        mine, rest = dY[:, :m], dY[:, m:]
        self.grads["W"][...] = self.X[:, :k].T @ mine
        dX = np.empty_like(self.X)
        dX[:, :k] = mine @ self.params["W"].T
        dX[:, k:] = rest
        return dX
''')
wrong("ignores-upstream|stale-cache", "dX[:, k:] = rest", "dX[:, k:] = self.X[:, k:]")
wrong("lost-branch|not-returned", "dX[:, k:] = rest", "dX[:, k:] = 0")
wrong("stale-cache", "self.X[:, :k].T @ mine", "self.X[:, -k:].T @ mine")

right("tied_autoencoder", "Tied(r(4, 3), r(3), r(4)), r(5, 4)", '''
class Tied:
    def __init__(self, W, b, c):
        self.params = [W, b, c]
        self.grads = [np.zeros_like(p) for p in self.params]

    def forward(self, x):
        W, b, c = self.params
        self.x, self.h = x, np.tanh(x @ W + b)
        return self.h @ W.T + c

    def backward(self, dy):
        W = self.params[0]
        dW, db, dc = self.grads
        da = dy @ W * (1 - self.h ** 2)
        dW[...] = self.x.T @ da
        dW += dy.T @ self.h
        db[...] = da.sum(axis=0)
        dc[...] = dy.sum(axis=0)
        return da @ W.T
''')
wrong("lost-branch", "        dW += dy.T @ self.h\n", "")
wrong("lost-branch", "dW += dy.T @ self.h", "dW[...] = dy.T @ self.h")
wrong("missing-local-derivative|wrong-local-derivative", "da = dy @ W * (1 - self.h ** 2)", "da = dy @ W")

right("net_softplus_elastic", "Net(r(3, 4), r(4), r(4, 3), r(3)), r(6, 3), ids(3, 6)", '''
class Net:
    def __init__(self, W1, b1, W2, b2, l2=0.3, l1=0.2):
        self.params = {"W1": W1, "b1": b1, "W2": W2, "b2": b2}
        self.l2, self.l1 = l2, l1

    def loss(self, X, y):
        W1, b1, W2, b2 = (self.params[k] for k in ("W1", "b1", "W2", "b2"))
        N = len(X)
        hidden = np.log1p(np.exp(X @ W1 + b1))
        scores = hidden @ W2 + b2
        scores -= scores.max(axis=1, keepdims=True)
        probs = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        data = -np.log(probs[np.arange(N), y]).mean()
        penalty = 0.5 * self.l2 * np.sum(W1 ** 2) + self.l1 * np.abs(W2).sum()

        grads = {}
        d = probs
        d[np.arange(N), y] -= 1
        d /= N
        grads["W2"] = hidden.T @ d + self.l1 * np.sign(W2)
        grads["b2"] = d.sum(axis=0)
        dhidden = d @ W2.T * (1 - np.exp(-hidden))
        grads["W1"] = X.T @ dhidden + self.l2 * W1
        grads["b1"] = dhidden.sum(axis=0)
        return data + penalty, grads
''')
wrong("wrong-penalty", "X.T @ dhidden + self.l2 * W1", "X.T @ dhidden + 2 * self.l2 * W1")
wrong("wrong-penalty", "self.l1 * np.sign(W2)", "self.l1 * W2")
wrong("wrong-local-derivative", "(1 - np.exp(-hidden))", "hidden / (1 + hidden)")
wrong("scaled-by-N", "        d /= N\n", "")
wrong("missing-batch-sum", 'grads["b1"] = dhidden.sum(axis=0)', 'grads["b1"] = dhidden')
wrong("divided-by-N", 'grads["b2"] = d.sum(axis=0)', 'grads["b2"] = d.mean(axis=0)')

# ------------------------------------------------------------------------------------------ ids, order, sums
right("token_and_place", "Embed(r(6, 3), r(5, 3)), ids(6, 4, 5)", '''
class Embed:
    def __init__(self, words, places):
        self.words, self.places = words, places
        self.dwords, self.dplaces = np.zeros_like(words), np.zeros_like(places)

    def forward(self, ids):
        self.ids = ids
        self.root = np.sqrt(self.words.shape[1])
        return self.words[ids] * self.root + self.places[:ids.shape[1]]

    def backward(self, dout):
        scaled = dout * self.root
        self.dwords[...] = 0
        np.add.at(self.dwords, self.ids, scaled)
        self.dplaces[:self.ids.shape[1]] = dout.sum(axis=0)
        return None
''')
wrong("repeated-index", "np.add.at(self.dwords, self.ids, scaled)", "self.dwords[self.ids] += scaled")
wrong("missing-local-derivative|wrong-local-derivative", "scaled = dout * self.root", "scaled = dout")
wrong("divided-by-N", "dout.sum(axis=0)", "dout.mean(axis=0)")
wrong("accumulates", "        self.dwords[...] = 0\n", "")  # shows at a second backward

right("ordered_weights", "Owa(r(4)), apart(5, 4)", '''
class Owa:
    """Weights by rank: the smallest entry of a row gets the first one."""
    def __init__(self, w):
        self.params, self.grads = [w], [np.zeros_like(w)]

    def forward(self, x):
        self.order = np.argsort(x, axis=1)
        self.sorted = np.take_along_axis(x, self.order, axis=1)
        self.x = x
        return self.sorted * self.params[0]

    def backward(self, dy):
        self.grads[0][...] = (dy * self.sorted).sum(axis=0)
        ds = dy * self.params[0]
        inverse = np.argsort(self.order, axis=1)
        return np.take_along_axis(ds, inverse, axis=1)
''')
wrong("missing-transpose|wrong-reshape", "np.take_along_axis(ds, inverse, axis=1)", "np.take_along_axis(ds, self.order, axis=1)")
wrong("stale-cache", "(dy * self.sorted)", "(dy * self.x)")
wrong("wrong-reshape|missing-transpose", "return np.take_along_axis(ds, inverse, axis=1)", "return ds")
wrong("rebound-grads", "self.grads[0][...] = (dy * self.sorted).sum(axis=0)", "self.grads = [(dy * self.sorted).sum(axis=0)]")  # another array

right("running_max", "CumMax(), apart(4, 6)", '''
class CumMax:
    def forward(self, x):
        self.source = np.zeros(x.shape, dtype=int)
        for n, row in enumerate(x):
            best = 0
            for t, value in enumerate(row):
                if value > row[best]:
                    best = t
                self.source[n, t] = best
        return np.take_along_axis(x, self.source, axis=1)

    def backward(self, dy):
        dx = np.zeros(dy.shape)
        for n in range(len(dx)):
            np.add.at(dx[n], self.source[n], dy[n])
        return dx
''')
wrong("repeated-index", "np.add.at(dx[n], self.source[n], dy[n])", "dx[n, self.source[n]] = dy[n]")
wrong("missing-transpose", "np.add.at(dx[n], self.source[n], dy[n])", "dx[n] = dy[n, self.source[n]]")

right("cumulative_product", "(cumprod, cumprod_grad), u(4, 5)", '''
def cumprod(x):
    y = np.cumprod(x, axis=1)
    return y, (x, y)

def cumprod_grad(dy, cache):
    x, y = cache
    weighted = dy * y
    later = np.cumsum(weighted[:, ::-1], axis=1)[:, ::-1]
    return later / x
''')
wrong("missing-local-derivative|wrong-local-derivative", "return later / x", "return later")
wrong("lost-branch", "return later / x", "return weighted / x")
wrong("missing-transpose|wrong-reshape", "later = np.cumsum(weighted[:, ::-1], axis=1)[:, ::-1]", "later = np.cumsum(weighted, axis=1)")
wrong("wrong-local-derivative|stale-cache|missing-local-derivative", "weighted = dy * y", "weighted = dy")

right("graph_mean", "GraphConv(ids(2, 5, 5) + np.eye(5), r(3, 2), r(2)), r(5, 3)", '''
class GraphConv:
    """Mean over those that a node points at, then a dense layer; nodes in rows."""
    def __init__(self, adjacency, W, b):
        self.A = adjacency / adjacency.sum(axis=1, keepdims=True)
        self.params, self.grads = [W, b], [np.zeros_like(W), np.zeros_like(b)]

    def forward(self, x):
        self.x = x
        self.agg = self.A @ x
        return self.agg @ self.params[0] + self.params[1]

    def backward(self, dout):
        self.grads[0][...] = self.agg.T @ dout
        self.grads[1][...] = dout.sum(0)
        dagg = dout @ self.params[0].T
        return self.A.T @ dagg
''')
wrong("missing-transpose", "return self.A.T @ dagg", "return self.A @ dagg")
wrong("stale-cache", "self.agg.T @ dout", "self.x.T @ dout")
wrong("lost-branch|cross-sample", "return self.A.T @ dagg", "return dagg")

right("segment_mean", "SegmentMean(3), r(7, 2), np.array([0, 2, 1, 0, 0, 2, 0])", '''
class SegmentMean:
    """Rows with the same id are averaged."""
    def __init__(self, n):
        self.n = n

    def forward(self, x, seg):
        self.seg, self.count = seg, np.bincount(seg, minlength=self.n)
        out = np.zeros((self.n, x.shape[1]))
        np.add.at(out, seg, x)
        return out / self.count[:, None]

    def backward(self, dout):
        share = dout / self.count[:, None]
        return share[self.seg]
''')
wrong("scaled-by-N|missing-local-derivative|wrong-local-derivative", "share = dout / self.count[:, None]", "share = dout")
wrong("divided-by-N|wrong-local-derivative", "share = dout / self.count[:, None]", "share = dout / len(self.seg)")

# ------------------------------------------------------------------------------------------ some more
right("dilated_im2col", "DilatedConv(r(3, 2, 3), r(3)), r(3, 2, 6)", '''
class DilatedConv:
    """(N, C, T) -> (N, F, T); taps two apart; as a matrix product."""
    def __init__(self, W, b, dilation=2):
        self.params, self.grads = [W, b], [np.zeros_like(W), np.zeros_like(b)]
        self.dilation = dilation

    def forward(self, x):
        W, b = self.params
        (N, C, T), (F, _, K) = x.shape, W.shape
        self.pad = self.dilation * (K - 1) // 2
        xp = np.pad(x, ((0, 0), (0, 0), (self.pad, self.pad)))
        self.taps = np.arange(T)[:, None] + self.dilation * np.arange(K)
        self.col = xp[:, :, self.taps].transpose(0, 2, 1, 3).reshape(N * T, C * K)
        self.x_shape = x.shape
        out = self.col @ W.reshape(F, -1).T + b
        return out.reshape(N, T, F).transpose(0, 2, 1)

    def backward(self, dout):
        W, b = self.params
        (N, C, T), (F, _, K) = self.x_shape, W.shape
        flat = dout.transpose(0, 2, 1).reshape(-1, F)
        self.grads[0][...] = (flat.T @ self.col).reshape(W.shape)
        self.grads[1][...] = flat.sum(axis=0)
        dcol = (flat @ W.reshape(F, -1)).reshape(N, T, C, K)
        dxp = np.zeros((N, C, T + 2 * self.pad))
        for k in range(K):
            dxp[:, :, self.taps[:, k]] += dcol[..., k].transpose(0, 2, 1)
        return dxp[:, :, self.pad:self.pad + T]
''')
wrong("wrong-reshape|missing-transpose", "flat = dout.transpose(0, 2, 1).reshape(-1, F)", "flat = dout.reshape(-1, F)")
wrong("overlap-overwritten|lost-branch|repeated-index", "dxp[:, :, self.taps[:, k]] += dcol", "dxp[:, :, self.taps[:, k]] = dcol")
wrong("flipped-kernel", "+= dcol[..., k].", "+= dcol[..., K - 1 - k].")
wrong("wrong-reshape|unrecognised|stale-cache", "self.taps[:, k]] +=", "np.arange(T) + k] +=")
wrong("accumulates", "self.grads[1][...] = flat", "self.grads[1][...] += flat")  # shows at a second backward

right("huber_sum", "Huber(), 2 * r(6, 3), r(6, 3)", '''
class Huber:
    """Summed over the outputs, mean over the samples."""
    def __init__(self, delta=0.7):
        self.delta = delta

    def forward(self, pred, target):
        self.e = pred - target
        size = np.abs(self.e)
        inner = 0.5 * self.e ** 2
        outer = self.delta * (size - 0.5 * self.delta)
        return np.where(size <= self.delta, inner, outer).sum() / len(pred)

    def backward(self, dout=1.0):
        slope = np.clip(self.e, -self.delta, self.delta)
        return dout * slope / len(self.e)
''')
wrong("missing-mask|wrong-local-derivative", "slope = np.clip(self.e, -self.delta, self.delta)", "slope = self.e")
wrong("wrong-local-derivative", "np.clip(self.e, -self.delta, self.delta)", "np.where(np.abs(self.e) <= self.delta, self.e, np.sign(self.e))")
wrong("divided-by-N", "slope / len(self.e)", "slope / self.e.size")
wrong("ignores-upstream", "return dout * slope", "return slope")

right("vae_latent", "Latent(), r(5, 3), r(5, 3)", '''
class Latent:
    """Mean and log variance -> a draw z, and the KL divergence of each sample from N(0, 1)."""
    def forward(self, mu, logvar):
        self.eps = np.random.default_rng(2).normal(size=mu.shape)
        self.mu, self.var, self.std = mu, np.exp(logvar), np.exp(0.5 * logvar)
        kl = 0.5 * (mu ** 2 + self.var - 1 - logvar).sum(axis=1)
        return mu + self.std * self.eps, kl

    def backward(self, dz, dkl):
        dkl = dkl[:, None]
        dmu = dz + dkl * self.mu
        dlogvar = 0.5 * dz * self.eps * self.std
        dlogvar += 0.5 * dkl * (self.var - 1)
        return dmu, dlogvar
''')
wrong("factor-2|wrong-local-derivative", "dlogvar = 0.5 * dz", "dlogvar = dz")
wrong("lost-branch|ignores-upstream", "        dlogvar += 0.5 * dkl * (self.var - 1)\n", "")
wrong("wrong-local-derivative|stale-cache", "0.5 * dz * self.eps * self.std", "0.5 * dz * self.eps * self.var")
wrong("nondeterministic", "np.random.default_rng(2).normal", "np.random.default_rng().normal")  # two forwards differ

right("box_decode", "Decode(r(5, 2), u(5, 2)), r(5, 4)", '''
class Decode:
    """Offsets (N, 4) to anchors -> corners (N, 4); sizes as logarithms."""
    def __init__(self, centres, sizes):
        self.centres, self.sizes = centres, sizes

    def forward(self, t):
        mid = self.centres + t[:, :2] * self.sizes
        self.wh = self.sizes * np.exp(t[:, 2:])
        return np.hstack([mid - 0.5 * self.wh, mid + 0.5 * self.wh])

    def backward(self, dbox):
        low, high = dbox[:, :2], dbox[:, 2:]
        dmid = low + high
        dwh = 0.5 * (high - low)
        return np.hstack([dmid * self.sizes, dwh * self.wh])
''')
wrong("missing-local-derivative|wrong-local-derivative", "dwh * self.wh", "dwh")
wrong("wrong-sign", "0.5 * (high - low)", "0.5 * (high + low)")
wrong("stale-cache|wrong-local-derivative", "dwh * self.wh", "dwh * self.sizes")
wrong("lost-branch", "dmid = low + high", "dmid = high")

right("glu_halves", "(glu, glu_bwd), r(4, 6)", '''
def glu(x):
    a, b = np.split(x, 2, axis=-1)
    s = 1 / (1 + np.exp(-b))
    return a * s, (a, s)

def glu_bwd(dy, cache):
    a, s = cache
    da = dy * s
    db = dy * a * s * (1 - s)
    return np.concatenate((da, db), axis=-1)
''')
wrong("wrong-reshape|stale-cache", "np.concatenate((da, db), axis=-1)", "np.concatenate((db, da), axis=-1)")
wrong("missing-local-derivative|wrong-local-derivative", "db = dy * a * s * (1 - s)", "db = dy * a")
wrong("wrong-local-derivative", "a * s * (1 - s)", "a * (1 - s ** 2)")

right("pixel_shuffle", "PixelShuffle(), r(2, 8, 2, 3)", '''
class PixelShuffle:
    """(N, 4 C, H, W) -> (N, C, 2 H, 2 W)."""
    r = 2

    def forward(self, x):
        N, C, H, W = x.shape
        r = self.r
        y = x.reshape(N, C // r ** 2, r, r, H, W).transpose(0, 1, 4, 2, 5, 3)
        return y.reshape(N, C // r ** 2, H * r, W * r)

    def backward(self, dy):
        N, C, H, W = dy.shape
        r = self.r
        d = dy.reshape(N, C, H // r, r, W // r, r)
        d = d.transpose(0, 1, 3, 5, 2, 4)
        return d.reshape(N, C * r ** 2, H // r, W // r)
''')
wrong("missing-transpose|wrong-reshape", "d.transpose(0, 1, 3, 5, 2, 4)", "d.transpose(0, 1, 5, 3, 2, 4)")
wrong("wrong-reshape|missing-transpose", "        d = d.transpose(0, 1, 3, 5, 2, 4)\n", "")

right("layernorm_c_style", "LayerNormC(u(4), r(4)), r(2, 3, 4)", '''
class LayerNormC:
    """Written as one would in C."""
    def __init__(self, weight, bias):
        self.params = [weight, bias]
        self.grads = [np.zeros_like(weight), np.zeros_like(bias)]

    def forward(self, inp):
        B, T, C = inp.shape
        self.inp, self.mean, self.rstd = inp, np.zeros((B, T)), np.zeros((B, T))
        out = np.zeros_like(inp)
        for b in range(B):
            for t in range(T):
                m = inp[b, t].sum() / C
                v = ((inp[b, t] - m) ** 2).sum() / C
                self.mean[b, t], self.rstd[b, t] = m, 1 / np.sqrt(v + 1e-5)
                for i in range(C):
                    n = (inp[b, t, i] - m) * self.rstd[b, t]
                    out[b, t, i] = n * self.params[0][i] + self.params[1][i]
        return out

    def backward(self, dout):
        B, T, C = dout.shape
        dweight, dbias = self.grads
        dweight[:] = dbias[:] = 0
        dinp = np.zeros_like(dout)
        for b in range(B):
            for t in range(T):
                norm = (self.inp[b, t] - self.mean[b, t]) * self.rstd[b, t]
                dnorm_mean = dnorm_norm_mean = 0.0
                for i in range(C):
                    dnorm = self.params[0][i] * dout[b, t, i]
                    dnorm_mean += dnorm / C
                    dnorm_norm_mean += dnorm * norm[i] / C
                for i in range(C):
                    dnorm = self.params[0][i] * dout[b, t, i]
                    dbias[i] += dout[b, t, i]
                    dweight[i] += norm[i] * dout[b, t, i]
                    dval = dnorm - dnorm_mean - norm[i] * dnorm_norm_mean
                    dinp[b, t, i] += dval * self.rstd[b, t]
        return dinp
''')
wrong("constant-statistics", "dval = dnorm - dnorm_mean - norm[i]", "dval = dnorm - norm[i]")
wrong("accumulates", "        dweight[:] = dbias[:] = 0\n", "")  # shows at a second backward
wrong("lost-branch|overlap-overwritten|missing-batch-sum", "dbias[i] += dout[b, t, i]", "dbias[i] = dout[b, t, i]")
wrong("constant-statistics|lost-branch", "dnorm_norm_mean += dnorm * norm[i] / C", "dnorm_norm_mean = dnorm * norm[i] / C")
wrong("stale-cache", "dweight[i] += norm[i] * dout", "dweight[i] += self.inp[b, t, i] * dout")

right("additive_attention", "Bahdanau(r(3, 4), r(2, 4), r(4)), r(3, 5, 3), r(3, 2), np.array([5, 2, 4])", '''
class Bahdanau:
    """States (N, T, D), a query (N, Q) and the lengths -> the context (N, D)."""
    def __init__(self, W, U, v):
        self.params = dict(W=W, U=U, v=v)
        self.grads = {}

    def forward(self, H, q, lengths):
        p = self.params
        self.H, self.q = H, q
        self.z = np.tanh(H @ p["W"] + (q @ p["U"])[:, None])
        s = self.z @ p["v"]
        s = np.where(np.arange(s.shape[1]) < lengths[:, None], s, -np.inf)
        e = np.exp(s - s.max(axis=1, keepdims=True))
        self.a = e / e.sum(axis=1, keepdims=True)
        return np.einsum("nt,ntd->nd", self.a, H)

    def backward(self, dc):
        p = self.params
        da = np.einsum("nd,ntd->nt", dc, self.H)
        ds = self.a * (da - (self.a * da).sum(axis=1, keepdims=True))
        dz = ds[:, :, None] * p["v"] * (1 - self.z ** 2)
        dq_side = dz.sum(axis=1)
        self.grads["v"] = np.einsum("nt,ntk->k", ds, self.z)
        self.grads["W"] = np.einsum("ntd,ntk->dk", self.H, dz)
        self.grads["U"] = self.q.T @ dq_side
        dH = self.a[:, :, None] * dc[:, None]
        dH += dz @ p["W"].T
        return dH, dq_side @ p["U"].T
''')
wrong("lost-branch", "        dH += dz @ p[\"W\"].T\n", "")
wrong("constant-statistics", "self.a * (da - (self.a * da).sum(axis=1, keepdims=True))", "self.a * da")
wrong("lost-branch|missing-batch-sum", "dq_side = dz.sum(axis=1)", "dq_side = dz[:, -1]")
wrong("divided-by-N", "dq_side = dz.sum(axis=1)", "dq_side = dz.mean(axis=1)")
wrong("missing-local-derivative|wrong-local-derivative", 'p["v"] * (1 - self.z ** 2)', 'p["v"]')
wrong("not-returned", 'return dH, dq_side @ p["U"].T', "return dH")

right("squeeze_excite", "SqueezeExcite(r(3, 3)), r(2, 3, 5)", '''
class SqueezeExcite:
    def __init__(self, W):
        self.W, self.dW = W, np.zeros_like(W)

    def forward(self, x):
        self.x = x
        self.squeezed = x.mean(axis=2)
        self.gate = 1 / (1 + np.exp(-self.squeezed @ self.W))
        return x * self.gate[:, :, None]

    def backward(self, dy):
        dgate = (dy * self.x).sum(axis=2)
        da = dgate * self.gate * (1 - self.gate)
        self.dW[...] = self.squeezed.T @ da
        dsqueezed = da @ self.W.T
        dx = dy * self.gate[:, :, None]
        return dx + dsqueezed[:, :, None] / self.x.shape[2]
''')
wrong("lost-branch", "return dx + dsqueezed[:, :, None] / self.x.shape[2]", "return dx")
wrong("scaled-by-N", "dsqueezed[:, :, None] / self.x.shape[2]", "dsqueezed[:, :, None]")
wrong("divided-by-N", "dgate = (dy * self.x).sum(axis=2)", "dgate = (dy * self.x).mean(axis=2)")
wrong("missing-transpose", "dsqueezed = da @ self.W.T", "dsqueezed = da @ self.W")
wrong("not-written", "self.dW[...] = self.squeezed.T @ da", "dW = self.squeezed.T @ da")

# ------------------------------------------------------------------------------------------ right, of an unusual make
odd("odd_softmax_jacobians", "Softmax(), r(4, 3)", '''
class Softmax:
    """Row by row, with the whole Jacobian."""
    def forward(self, x):
        self.rows = []
        for row in x:
            e = [np.exp(v - max(row)) for v in row]
            self.rows.append([v / sum(e) for v in e])
        return np.array(self.rows)

    def backward(self, dout):
        dx = []
        for s, d in zip(self.rows, dout):
            J = [[s[i] * ((i == j) - s[j]) for j in range(len(s))] for i in range(len(s))]
            dx.append([sum(d[i] * J[i][j] for i in range(len(s))) for j in range(len(s))])
        return np.array(dx)
''')

odd("odd_trilinear_einsum", "Tri(r(2, 3, 2, 2)), r(4, 2), r(4, 3), r(4, 2)", '''
class Tri:
    def __init__(self, core):
        self.params, self.grads = [core], [np.zeros_like(core)]

    def forward(self, a, b, c):
        self.abc = a, b, c
        return np.einsum("ijkl,ni,nj,nk->nl", self.params[0], a, b, c)

    def backward(self, g):
        (a, b, c), core = self.abc, self.params[0]
        self.grads[0][...] = np.einsum("nl,ni,nj,nk->ijkl", g, a, b, c)
        return (np.einsum("ijkl,nl,nj,nk->ni", core, g, b, c),
                np.einsum("ijkl,ni,nl,nk->nj", core, a, g, c),
                np.einsum("ijkl,ni,nj,nl->nk", core, a, b, g))
''')

odd("odd_inplace_on_copies", "LeakyInPlace(), signs(4, 5)", '''
class LeakyInPlace:
    def forward(self, x):
        self.low = x < 0
        y = np.array(x)
        y[self.low] *= 0.1
        y += 2
        y **= 2
        self.twice_root = 2 * np.sqrt(y)
        return y

    def backward(self, dy):
        d = dy.copy()
        d *= self.twice_root
        d[self.low] *= 0.1
        return d
''')
# (0.1 x + 2 > 0 for all x that make gives, so the root is the value that was squared)

odd("odd_columns_cost", "logistic_cost, r(1, 3), np.array([[0.2]]), r(3, 6), ids(2, 1, 6)", '''
def logistic_cost(w, b, X, Y):
    """Samples in columns: X (D, m), Y (1, m)."""
    m = X.shape[1]
    A = 1 / (1 + np.exp(-(w @ X + b)))
    cost = -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) / m
    dZ = (A - Y) / m
    return cost, (dZ @ X.T, np.sum(dZ, axis=1, keepdims=True), w.T @ dZ)
''')

odd("odd_last_state", "LastState(r(2, 3), r(3, 3), r(3)), r(5, 2)", '''
class LastState:
    """One sequence (T, D); only the last state is handed on."""
    def __init__(self, U, V, b):
        self.U, self.V, self.b = U, V, b
        self.dU, self.dV, self.db = np.zeros_like(U), np.zeros_like(V), np.zeros_like(b)

    def forward(self, seq):
        states = [np.zeros(len(self.b))]
        for x in seq:
            states.append(np.tanh(x @ self.U + states[-1] @ self.V + self.b))
        self.seq, self.states = seq, states
        return states[-1].copy()

    def backward(self, d):
        for g in (self.dU, self.dV, self.db):
            g.fill(0)
        out = []
        for x, before, after in zip(self.seq[::-1], self.states[-2::-1], self.states[:0:-1]):
            d = d * (1 - after * after)
            self.dU += np.outer(x, d)
            self.dV += np.outer(before, d)
            self.db += d
            out.insert(0, self.U @ d)
            d = self.V @ d
        return np.array(out)
''')

odd("odd_ties_shared", "MaxShared(), np.array([[1.0, 3.0, 3.0], [2.0, -1.0, 0.5], [-2.0, -2.0, -4.0]])", '''
class MaxShared:
    """Where two are largest each gets half: what central differences say too."""
    def forward(self, x):
        top = x.max(axis=1)
        self.won = x == top[:, None]
        return top

    def backward(self, d):
        return d[:, None] * self.won / self.won.sum(axis=1, keepdims=True)
''')

odd("odd_absolute_at_zero", "Lasso(np.array([[0.0, 0.7], [-0.4, 0.0], [1.1, 0.3]])), r(4, 3)", '''
class Lasso:
    """Some weights are exactly zero, where |w| has its kink; sign(0) = 0."""
    lam = 0.3

    def __init__(self, W):
        self.W, self.dW = W, np.zeros_like(W)

    def forward(self, x):
        self.x = x
        return (x @ self.W).sum(axis=1) + self.lam * np.abs(self.W).sum()

    def backward(self, d):
        self.dW[...] = (self.x * d[:, None]).sum(axis=0)[:, None] + self.lam * d.sum() * np.sign(self.W)
        return d[:, None] * self.W.sum(axis=1)
''')

odd("odd_three_outputs", "Chunk(), r(4, 6)", '''
class Chunk:
    """Three outputs from one array; three gradients come back."""
    def forward(self, x):
        self.shape = x.shape
        a, b, c = np.split(x, 3, axis=1)
        self.t = np.tanh(b)
        return a * 2, self.t.copy(), c[:, ::-1].copy()

    def backward(self, da, db, dc):
        dx = np.zeros(self.shape)
        w = dx.shape[1] // 3
        dx[:, :w] = 2 * da
        dx[:, w:2 * w] = db * (1 - self.t ** 2)
        dx[:, 2 * w:] = dc[:, ::-1]
        return dx
''')

odd("odd_bag_of_words", "Bag(r(6, 3)), ids(6, 8), np.array([0, 3, 4])", '''
class Bag:
    """All ids in one row; bag k goes from offsets[k] to the next; the mean of each."""
    def __init__(self, table):
        self.params, self.grads = {"table": table}, {}

    def forward(self, ids, offsets):
        ends = list(offsets[1:]) + [len(ids)]
        self.bags = [ids[a:b] for a, b in zip(offsets, ends)]
        return np.array([self.params["table"][bag].mean(axis=0) for bag in self.bags])

    def backward(self, dout):
        g = np.zeros_like(self.params["table"])
        for bag, d in zip(self.bags, dout):
            for i in bag:
                g[i] += d / len(bag)
        self.grads["table"] = g
''')

odd("odd_closure_cache", "(forward, backward), r(4, 3), r(3, 2)", '''
def forward(x, w):
    z = x @ w
    y = np.sin(z)

    def pull(dy):
        dz = dy * np.cos(z)
        return dz @ w.T, x.T @ dz

    return y, pull

def backward(dy, pull):
    return pull(dy)
''')

odd("odd_net_of_loss", "Regressor(r(3, 2), r(2), r(2, 1)), r(6, 3), r(6, 1)", '''
class Regressor:
    """loss -> (loss, grads), with a penalty; a product of two paths inside."""
    def __init__(self, W, b, v):
        self.params = {"W": W, "b": b, "v": v}

    def loss(self, X, y):
        W, b, v = self.params["W"], self.params["b"], self.params["v"]
        a = X @ W + b
        gate = 1 / (1 + np.exp(-a))
        hidden = a * gate
        error = hidden @ v - y
        value = 0.5 * np.mean(error ** 2) + 0.05 * np.sum(W * W)
        de = error / error.size
        dhidden = de @ v.T
        da = dhidden * (gate + a * gate * (1 - gate))
        return value, {"v": hidden.T @ de, "b": da.sum(axis=0), "W": X.T @ da + 0.1 * W}
''')

odd("odd_running_statistics", "RunningNorm(u(3), r(3)), r(6, 3)", '''
class RunningNorm:
    """Keeps running statistics, which training does not read."""
    def __init__(self, gamma, beta, momentum=0.9):
        self.params, self.grads = [gamma, beta], [np.zeros_like(gamma), np.zeros_like(beta)]
        self.running_mean, self.running_var, self.momentum = np.zeros_like(gamma), np.ones_like(gamma), momentum
        self.steps = 0

    def forward(self, x):
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = self.momentum * self.running_mean + (1 - self.momentum) * mean
        self.running_var = self.momentum * self.running_var + (1 - self.momentum) * var
        self.steps += 1
        self.std = np.sqrt(var + 1e-5)
        self.z = (x - mean) / self.std
        return self.z * self.params[0] + self.params[1]

    def backward(self, d):
        self.grads[0][...] = np.einsum("nd,nd->d", d, self.z)
        self.grads[1][...] = np.ones(len(d)) @ d
        g = d * self.params[0]
        return (g - g.mean(axis=0) - self.z * (g * self.z).mean(axis=0)) / self.std
''')

odd("odd_block_of_layers", "Block([Dense(r(3, 4), r(4)), Dense(r(4, 3), r(3))]), r(5, 3)", '''
class Dense:
    def __init__(self, W, b):
        self.params, self.grads = [W, b], [np.zeros_like(W), np.zeros_like(b)]

    def forward(self, x):
        self.x, self.y = x, np.tanh(x @ self.params[0] + self.params[1])
        return self.y

    def backward(self, d):
        d = d * (1 - self.y ** 2)
        self.grads[0][...], self.grads[1][...] = self.x.T @ d, d.sum(0)
        return d @ self.params[0].T

class Block:
    """x + f(x) with layers inside, each called twice in a row would be wrong; each is called once."""
    def __init__(self, layers):
        self.layers = layers
        self.params = [p for layer in layers for p in layer.params]
        self.grads = [g for layer in layers for g in layer.grads]

    def forward(self, x):
        y = x
        for layer in self.layers:
            y = layer.forward(y)
        return x + y

    def backward(self, d):
        inner = d
        for layer in reversed(self.layers):
            inner = layer.backward(inner)
        return d + inner
''')

odd("odd_haar_pairs", "Haar(), r(3, 6)", '''
class Haar:
    """Sums and differences of neighbours; the length must be even."""
    def forward(self, x):
        if x.shape[1] % 2:
            raise ValueError("an even length, please")
        even, odds = x[:, ::2], x[:, 1::2]
        return np.hstack([even + odds, even - odds]) / np.sqrt(2)

    def backward(self, d):
        s, t = np.hsplit(d / np.sqrt(2), 2)
        dx = np.empty(d.shape)
        dx[:, 0::2] = s + t
        dx[:, 1::2] = s - t
        return dx
''')

odd("odd_linear_solve", "(solve, solve_grad), r(3, 3) + 4 * np.eye(3), r(3, 2)", '''
def solve(A, B):
    X = np.linalg.solve(A, B)
    return X, (A, X)

def solve_grad(dX, cache):
    A, X = cache
    dB = np.linalg.solve(A.T, dX)
    return -dB @ X.T, dB
''')

odd("odd_recomputed", "Checkpointed(r(3, 3)), r(4, 3)", '''
class Checkpointed:
    """Keeps its input only; backward runs forward again. Three steps with the same weights."""
    def __init__(self, W):
        self.W, self.dW = W, np.zeros_like(W)

    def steps(self, x):
        seen = [x]
        for _ in range(3):
            seen.append(np.tanh(seen[-1] @ self.W) + 0.5 * seen[-1])
        return seen

    def forward(self, x):
        self.x = x
        return self.steps(x)[-1]

    def backward(self, d):
        total = np.zeros_like(self.W)
        for s in self.steps(self.x)[2::-1]:
            g = d * (1 - np.tanh(s @ self.W) ** 2)
            total += s.T @ g
            d = g @ self.W.T + 0.5 * d
        self.dW[...] = total
        return d
''')

odd("odd_fourier_circular", "Circular(r(6)), r(3, 6)", '''
class Circular:
    def __init__(self, kernel):
        self.params, self.grads = [kernel], [np.zeros_like(kernel)]

    def forward(self, x):
        self.X, self.K = np.fft.fft(x, axis=1), np.fft.fft(self.params[0])
        return np.fft.ifft(self.X * self.K, axis=1).real

    def backward(self, d):
        D = np.fft.fft(d, axis=1)
        self.grads[0][...] = np.fft.ifft((D * self.X.conj()).sum(axis=0)).real
        return np.fft.ifft(D * self.K.conj(), axis=1).real
''')

odd("odd_masked_mean", "MaskedMean(), r(3, 4, 2), np.array([4, 1, 3])", '''
class MaskedMean:
    """Mean over the steps that a sequence really has; the lengths are integers."""
    def forward(self, x, lengths):
        self.w = (np.arange(x.shape[1]) < lengths[:, None]) / lengths[:, None]
        return (x * self.w[:, :, None]).sum(axis=1)

    def backward(self, d):
        return np.multiply.outer(d, np.ones(self.w.shape[1])).swapaxes(1, 2) * self.w[:, :, None]
''')

odd("odd_lstm_cell_pair", "(cell, cell_back), r(3, 2), r(3, 2), r(3, 2), r(2, 8), r(2, 8), r(8)", '''
def cell(x, h, c, Wx, Wh, b):
    a = x @ Wx + h @ Wh + b
    i, f, o, g = np.split(a, 4, axis=1)
    i, f, o = (1 / (1 + np.exp(-v)) for v in (i, f, o))
    g = np.tanh(g)
    c2 = f * c + i * g
    t = np.tanh(c2)
    return o * t, c2, (x, h, c, Wx, Wh, i, f, o, g, t)

def cell_back(dh2, dc2, cache):
    x, h, c, Wx, Wh, i, f, o, g, t = cache
    dc2 = dc2 + dh2 * o * (1 - t * t)
    da = np.hstack([dc2 * g * i * (1 - i), dc2 * c * f * (1 - f), dh2 * t * o * (1 - o), dc2 * i * (1 - g * g)])
    return da @ Wx.T, da @ Wh.T, dc2 * f, x.T @ da, h.T @ da, da.sum(axis=0)
''')
