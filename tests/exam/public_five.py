"""Mistakes that were asked about or mended in public, rebuilt in a few lines each: fifth set, by another hand.

The line above a layer says where the mistakes were seen (repository and issue, or forum).
"""
from tests.exam.reading import Cases

CASES = Cases()
right, wrong, odd = CASES.right, CASES.wrong, CASES.odd

# ------------------------------------------------------------------------------------------ dense
# Bot-Academy/NeuralNetworkFromScratch#3, arthurdouillard/deepcourse#6, sausheong/gonn#8
right("sigmoid_mlp", "Mlp(r(5, 3), r(5), r(2, 5), r(2)), r(7, 3), r(7, 2)", '''
class Mlp:
    def __init__(self, hidden_w, hidden_b, out_w, out_b):
        self.params = [hidden_w, hidden_b, out_w, out_b]
        self.grads = [np.zeros_like(p) for p in self.params]

    @staticmethod
    def squash(z):
        return 1.0 / (1.0 + np.exp(-z))

    def forward(self, x, target):
        hw, hb, ow, ob = self.params
        self.x, self.target = x, target
        self.hidden = self.squash(x @ hw.T + hb)
        self.out = self.squash(self.hidden @ ow.T + ob)
        return 0.5 * np.sum((self.out - target) ** 2)

    def backward(self, dout=1.0):
        out_delta = dout * (self.out - self.target) * self.out * (1 - self.out)
        hidden_err = out_delta @ self.params[2]
        hidden_delta = hidden_err * self.hidden * (1 - self.hidden)
        self.grads[0][...] = hidden_delta.T @ self.x
        self.grads[1][...] = hidden_delta.sum(axis=0)
        self.grads[2][...] = out_delta.T @ self.hidden
        self.grads[3][...] = out_delta.sum(axis=0)
        return hidden_delta @ self.params[0]
''')
wrong("missing-local-derivative|stale-cache", "= hidden_delta.sum(axis=0)", "= hidden_err.sum(axis=0)")
wrong("wrong-local-derivative", "self.hidden * (1 - self.hidden)", "(self.hidden - (1 - self.hidden))")

# harvard-edge/cs249r_book#1781
right("matrix_vector", "Project(r(4, 4), r(4)), r(4)", '''
class Project:
    """One vector at a time."""
    def __init__(self, M, c):
        self.M, self.c = M, c
        self.dM, self.dc = np.zeros_like(M), np.zeros_like(c)

    def forward(self, v):
        self.v = v
        return self.M @ v + self.c

    def backward(self, dy):
        self.dM = np.outer(dy, self.v)
        self.dc = dy.copy()
        return self.M.T @ dy
''')
wrong("missing-transpose", "np.outer(dy, self.v)", "np.outer(self.v, dy)")

# tenstorrent/tt-metal#40008, pytorch/pytorch#1787
right("token_gate", "(gate_fwd, gate_bwd), r(3, 4, 5), r(3, 4, 1)", '''
def gate_fwd(h, g):
    return h * g, (h, g)

def gate_bwd(dy, saved):
    h, g = saved
    dh = dy * g
    dg = np.sum(dy * h, axis=-1, keepdims=True)     # g was stretched over the last axis
    return dh, dg
''')
wrong("missing-batch-sum", "np.sum(dy * h, axis=-1, keepdims=True)", "dy * h")
wrong("not-returned", "return dh, dg", "return dh")

# chainer/chainer#6953
right("mul_add", "MulAdd(), r(6, 3), r(6, 3), r(6, 3)", '''
class MulAdd:
    def forward(self, x, y, z):
        self.retained = x, y
        return x * y + z

    def backward(self, gw):
        x, y = self.retained
        gx = y * gw
        gy = x * gw
        gz = gw
        return gx, gy, gz
''')
wrong("stale-cache", "gy = x * gw", "gy = y * gw")

# Bot-Academy/NeuralNetworkFromScratch#3, andersbll/nnet#4
right("dense_with_step", "Dense(r(4, 3), r(1, 3)), r(6, 4)", '''
class Dense:
    def __init__(self, weights, bias):
        self.weights = weights
        self.bias = bias

    def forward(self, input):
        self.input = input
        return np.dot(input, self.weights) + self.bias

    def backward(self, output_gradient, learning_rate):
        weights_gradient = np.dot(self.input.T, output_gradient)
        input_gradient = np.dot(output_gradient, self.weights.T)
        self.weights -= learning_rate * weights_gradient
        self.bias -= learning_rate * output_gradient.sum(axis=0, keepdims=True)
        return input_gradient
''')
# the step is made first: dx is that of the new weights (it shows as far as the learning rate is not tiny)
wrong("stale-cache|mutates-cache", "input_gradient = np.dot(output_gradient, self.weights.T)\n        self.weights -= learning_rate * weights_gradient",
      "self.weights -= learning_rate * weights_gradient\n        input_gradient = np.dot(output_gradient, self.weights.T)")

# ------------------------------------------------------------------------------------------ activations
# pytorch/pytorch#4355
right("isrlu", "ISRLU(0.7), r(6, 4)", '''
class ISRLU:
    params, grads = [], []

    def __init__(self, alpha=1.0):
        self.alpha = alpha

    def forward(self, tensor):
        negatives = np.minimum(tensor, 0)
        self.nisr = 1 / np.sqrt(1.0 + self.alpha * negatives ** 2)
        return tensor * self.nisr

    def backward(self, grad_out):
        return grad_out * self.nisr ** 3
''')
wrong("ignores-upstream", "return grad_out * self.nisr ** 3", "return self.nisr ** 3")

# tenstorrent/tt-metal#6534
right("hard_sigmoid", "HardSigmoid(), 3 * apart(6, 5)", '''
class HardSigmoid:
    params = []
    grads = []

    def forward(self, x):
        t = x / 6 + 0.5
        self.inside = (t > 0) & (t < 1)
        return np.clip(t, 0, 1)

    def backward(self, dout):
        return np.where(self.inside, dout / 6, 0)
''')
wrong("missing-mask", "np.where(self.inside, dout / 6, 0)", "dout / 6")

# andersbll/nnet#4, community.deeplearning.ai (tanh and sech)
right("activation_table", "FullyConnected(r(3, 4), r(4), 'tanh'), r(7, 3)", '''
def tanh(x):
    return np.tanh(x)

def tanh_d(x):
    e = np.exp(2 * x)
    return 4 * e / (e + 1) ** 2

def sigmoid(x):
    return 1 / (1 + np.exp(-x))

def sigmoid_d(x):
    return sigmoid(x) * (1 - sigmoid(x))

TABLE = {"tanh": (tanh, tanh_d), "sigmoid": (sigmoid, sigmoid_d)}


class FullyConnected:
    def __init__(self, W, b, name):
        self.W, self.b = W, b
        self.fun, self.fun_d = TABLE[name]

    def forward(self, x):
        self.last_input = x
        self.z = x.dot(self.W) + self.b
        self.a = self.fun(self.z)
        return self.a

    def backward(self, output_grad):
        delta = output_grad * self.fun_d(self.z)
        self.dW = self.last_input.T.dot(delta)
        self.db = delta.sum(axis=0)
        return delta.dot(self.W.T)
''')
wrong("wrong-local-derivative", "return 4 * e / (e + 1) ** 2", "return (e - 1) / (e + 1)")
wrong("stale-cache|wrong-local-derivative", "self.fun_d(self.z)", "self.fun_d(self.a)")

# NVlabs/tiny-cuda-nn#130
right("softplus_from_output", "Softplus(3.0), r(5, 4)", '''
class Softplus:
    """The derivative is taken from the output alone."""
    def __init__(self, k):
        self.k = k

    def forward(self, x):
        self.y = np.log1p(np.exp(self.k * x)) / self.k
        return self.y

    def backward(self, dL_dy):
        return dL_dy * (1 - np.exp(-self.k * self.y))
''')
wrong("wrong-local-derivative", "np.exp(-self.k * self.y)", "np.exp(-self.y)")

# apache/mxnet#1265
right("elu_from_output", "(elu, elu_grad), r(6, 4)", '''
A = 1.7

def elu(x):
    out = np.where(x > 0, x, A * (np.exp(np.minimum(x, 0)) - 1))
    return out, (x, out)

def elu_grad(dout, cache):
    x, out = cache
    return dout * np.where(x > 0, 1.0, out + A)
''')
wrong("wrong-local-derivative", "out + A)", "out)")

# PaddlePaddle/Paddle#12538, flagos-ai/FlagGems#4992
right("prelu_per_channel", "PReLU(signs(4)), apart(3, 4, 2, 4)", '''
class PReLU:
    def __init__(self, alpha):
        self.params = {"alpha": alpha}
        self.grads = {}

    def forward(self, x):
        a = self.params["alpha"][None, :, None, None]
        self.x = x
        self.out = np.where(x > 0, x, a * x)
        return self.out

    def backward(self, dout):
        a = self.params["alpha"][None, :, None, None]
        negative = self.x <= 0
        self.grads["alpha"] = np.sum(dout * self.x * negative, axis=(0, 2, 3))
        return np.where(self.x > 0, dout, a * dout)
''')
wrong("stale-cache|wrong-local-derivative", "negative = self.x <= 0", "negative = self.out <= 0")
wrong("summed-too-far|missing-batch-sum", "axis=(0, 2, 3)", "axis=(0, 1, 2)")

# sony/nnabla#690, neoml-lib/neoml#787
right("gelu_tanh", "GELU(), r(5, 4)", '''
C = np.sqrt(2 / np.pi)


class GELU:
    params, grads = [], []

    def _inner(self, x):
        return C * (x + 0.044715 * x ** 3)

    def _inner_prime(self, x):
        return C * (1 + 3 * 0.044715 * x ** 2)

    def forward(self, x):
        self.x = x
        self.t = np.tanh(self._inner(x))
        return 0.5 * x * (1 + self.t)

    def backward(self, dout):
        left = 0.5 * (1 + self.t)
        right = 0.5 * self.x * (1 - self.t ** 2) * self._inner_prime(self.x)
        return dout * (left + right)
''')
wrong("wrong-local-derivative", "(1 + 3 * 0.044715 * x ** 2)", "(1 + 0.044715 * x ** 2)")

# RubixML/ML#437, pytorch/pytorch#110815
right("swish_beta", "Swish(u(4)), r(6, 4)", '''
class Swish:
    def __init__(self, beta):
        self.params, self.grads = [beta], [np.zeros_like(beta)]

    def forward(self, x):
        beta = self.params[0]
        self.x, self.s = x, 1 / (1 + np.exp(-beta * x))
        return x * self.s

    def backward(self, dout):
        beta = self.params[0]
        slope = self.s * (1 - self.s)
        self.grads[0][...] = (dout * self.x ** 2 * slope).sum(axis=0)
        return dout * (self.s + beta * self.x * slope)
''')
wrong("summed-too-far", "slope).sum(axis=0)", "slope).sum()")

# explosion/thinc#199
right("maxout", "Maxout(r(4, 3, 5), r(4, 3)), r(6, 5)", '''
class Maxout:
    def __init__(self, W, b):
        self.params, self.grads = {"W": W, "b": b}, {}

    def forward(self, X):
        pieces = np.einsum("bi,opi->bop", X, self.params["W"]) + self.params["b"]
        self.X, self.which = X, pieces.argmax(axis=-1)
        return pieces.max(axis=-1)

    def backward(self, dY):
        nP = self.params["b"].shape[1]
        chosen = np.eye(nP)[self.which]
        dpieces = dY[:, :, None] * chosen
        self.grads["W"] = np.einsum("bop,bi->opi", dpieces, self.X)
        self.grads["b"] = dpieces.sum(axis=0)
        return np.einsum("bop,opi->bi", dpieces, self.params["W"])
''')
wrong("wrong-reshape", 'self.grads["b"] = dpieces.sum(axis=0)', 'self.grads["b"] = dpieces.sum(axis=0).ravel()')

# explosion/thinc#492
right("on_one_item", "(forward, backprop), r(4, 2), r(4, 3), r(4, 5), r(3, 3)", '''
def forward(first, X, last, W):
    """The layer works on the middle one of three; the others go past it."""
    Y = np.tanh(X @ W)
    return first, Y, last, (first, X, last, W, Y)

def backprop(d_first, dY, d_last, memory):
    first, X, last, W, Y = memory
    dZ = dY * (1 - Y * Y)
    return d_first, dZ @ W.T, d_last, X.T @ dZ
''')
wrong("ignores-upstream|stale-cache", "return d_first, dZ @ W.T, d_last, X.T @ dZ", "return first, dZ @ W.T, last, X.T @ dZ")

# tenstorrent/tt-metal#48201, elixir-nx/nx#1779, Theano/Theano#1010
right("learned_clip", "Clip(np.array([-0.5, -0.7, -0.4]), np.array([0.6, 0.3, 0.8])), apart(7, 3)", '''
class Clip:
    """Both limits are learned, one pair for each feature."""
    def __init__(self, low, high):
        self.params = [low, high]
        self.grads = [np.zeros_like(low), np.zeros_like(high)]

    def forward(self, x):
        self.x = x
        low, high = self.params
        return np.minimum(np.maximum(x, low), high)

    def backward(self, g):
        low, high = self.params
        above_low = self.x >= low
        below_high = self.x <= high
        self.grads[0][...] = np.where(above_low, 0.0, g).sum(axis=0)
        self.grads[1][...] = np.where(below_high, 0.0, g).sum(axis=0)
        return np.where(above_low & below_high, g, 0.0)
''')
wrong("inverted-mask", "np.where(above_low & below_high, g, 0.0)", "np.where(above_low & below_high, 0.0, g)")
# g comes in twice: g² (a backward that is not linear in dout)
wrong("ignores-upstream|wrong-local-derivative|unrecognised", "return np.where(above_low & below_high, g, 0.0)",
      "return g * np.where(above_low & below_high, g, 0.0)")
wrong("not-written|lost-branch", "self.grads[0][...] = np.where(above_low, 0.0, g).sum(axis=0)", "self.grads[0][...] = 0")

# apache/singa#510
right("elementwise_min", "Min(), r(6, 4), r(6, 4)", '''
class Min:
    def forward(self, a, b):
        m = a - b
        self.mask0 = m < 0
        self.mask1 = m > 0
        return self.mask0 * a + self.mask1 * b

    def backward(self, dy):
        return self.mask0 * dy, self.mask1 * dy
''')
wrong("ignores-upstream", "return self.mask0 * dy, self.mask1 * dy", "return self.mask0 * 1.0, self.mask1 * 1.0")

# tenstorrent/tt-metal#6533, #6542
right("ldexp", "(ldexp, ldexp_bw), r(5, 3), r(5, 3)", '''
M_LN2 = np.log(2.0)

def ldexp(mantissa, exponent):
    scale = np.power(2.0, exponent)
    return mantissa * scale, (mantissa, scale)

def ldexp_bw(grad, cache):
    mantissa, scale = cache
    tpow = grad * scale
    return tpow, mantissa * tpow * M_LN2
''')
wrong("ignores-upstream", "mantissa * tpow * M_LN2", "mantissa * scale * M_LN2")

# ------------------------------------------------------------------------------------------ losses
# newbe.dev (the derivative of the softmax function), pjreddie/darknet#96, ai.stackexchange 35741
right("softmax_by_jacobian", "Softmax(), r(5, 4)", '''
class Softmax:
    params, grads = [], []

    def forward(self, x):
        shifted = np.exp(x - x.max(axis=1, keepdims=True))
        self.x = x
        self.value = shifted / shifted.sum(axis=1, keepdims=True)
        return self.value

    def backward(self, dout):
        dx = np.empty_like(dout)
        for n in range(len(dout)):
            s, z = self.value[n], self.x[n]
            jac = np.diagflat(s) - np.outer(s, s)
            dx[n] = jac @ dout[n]
        return dx
''')
wrong("stale-cache|wrong-local-derivative", "np.diagflat(s) - np.outer(s, s)", "np.diagflat(s) - np.outer(s, z)")
wrong("constant-statistics|wrong-local-derivative|lost-branch", "np.diagflat(s) - np.outer(s, s)", "np.diagflat(s * (1 - s))")

# mlpack/mlpack#2360
right("log_softmax", "(log_softmax, log_softmax_back), r(6, 3)", '''
def log_softmax(x):
    y = x - x.max(1, keepdims=True)
    y = y - np.log(np.exp(y).sum(1, keepdims=True))
    return y, y

def log_softmax_back(gy, y):
    total = gy.sum(axis=1, keepdims=True)
    return gy - np.exp(y) * total
''')
wrong("wrong-sign|wrong-local-derivative", "gy - np.exp(y) * total", "gy + np.exp(y) * total")
wrong("ignores-upstream", "gy - np.exp(y) * total", "gy - np.exp(y)")
# the scores of the caller are shifted, too
wrong("mutates-input", "y = x - x.max(1, keepdims=True)", "x -= x.max(1, keepdims=True); y = x")

# kcxain/dlsys#4
right("logsumexp_axes", "LogSumExp((1, 2)), r(5, 2, 3)", '''
class LogSumExp:
    def __init__(self, axes=None):
        self.axes = axes

    def forward(self, Z):
        self.Z = Z
        self.Z_max = Z.max(axis=self.axes, keepdims=True)
        self.S = np.exp(Z - self.Z_max).sum(axis=self.axes, keepdims=True)
        return np.log(self.S).squeeze(self.axes) + self.Z_max.squeeze(self.axes)

    def backward(self, out_grad):
        shape = [1 if i in self.axes else n for i, n in enumerate(self.Z.shape)]
        g = out_grad.reshape(shape)
        return g * np.exp(self.Z - self.Z_max) / self.S
''')
wrong("wrong-local-derivative", "np.exp(self.Z - self.Z_max) / self.S", "np.exp(self.Z - self.Z_max)")

# the books' TimeSoftmaxWithLoss (ignore_label), jcjohnson-style loss functions
right("cross_entropy_ignoring", "masked_ce, r(7, 4), np.array([0, 2, -1, 3, 1, -1, 2])", '''
def masked_ce(scores, labels):
    """Labels of -1 do not count, neither in the sum nor in the mean."""
    keep = labels != -1
    safe = np.where(keep, labels, 0)
    p = np.exp(scores - scores.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    rows = np.arange(len(labels))
    count = keep.sum()
    loss = -(np.log(p[rows, safe]) * keep).sum() / count
    d = p.copy()
    d[rows, safe] -= 1
    d *= keep[:, None]
    d /= count
    return loss, d
''')
wrong("missing-mask", "    d *= keep[:, None]\n", "")
wrong("scaled-by-N|divided-by-N", "d /= count", "d /= len(labels)")

# milesial/Pytorch-UNet#35, faustomilletari/VNet#13 and #32, mattmacy/torchbiomed#2
right("dice_loss", "DiceLoss(), u(5, 6), ids(2, 5, 6)", '''
class DiceLoss:
    def forward(self, prob, gt):
        self.prob, self.gt = prob, gt
        self.inter = (prob * gt).sum(axis=1, keepdims=True)
        self.union = (prob ** 2).sum(axis=1, keepdims=True) + (gt ** 2).sum(axis=1, keepdims=True)
        dice = 2 * self.inter / self.union
        return 1 - dice.mean()

    def backward(self, grad_output=1.0):
        top = self.gt * self.union - 2 * self.prob * self.inter
        ddice = 2 * top / self.union ** 2
        return -grad_output * ddice / len(self.prob)
''')
wrong("wrong-sign|wrong-local-derivative", "self.gt * self.union - 2", "self.gt * self.union + 2")
wrong("wrong-local-derivative", "2 * top / self.union ** 2", "2 * top / self.union * self.union")
wrong("scaled-by-N", "-grad_output * ddice / len(self.prob)", "-grad_output * ddice")

# clcarwin/focal_loss_pytorch, orchardbirds/bokbokbok
right("focal_loss", "FocalLoss(2.5), r(9), ids(2, 9)", '''
class FocalLoss:
    def __init__(self, gamma):
        self.gamma = gamma

    def forward(self, logit, y):
        self.sign = 2 * y - 1
        self.pt = 1 / (1 + np.exp(-self.sign * logit))
        return -np.mean((1 - self.pt) ** self.gamma * np.log(self.pt))

    def backward(self, dout=1.0):
        pt, gamma = self.pt, self.gamma
        of_log = -(1 - pt) ** gamma / pt
        of_factor = gamma * (1 - pt) ** (gamma - 1) * np.log(pt)
        dpt = (of_log + of_factor) / pt.size
        return dout * dpt * self.sign * pt * (1 - pt)
''')
wrong("lost-branch|wrong-local-derivative", "(of_log + of_factor)", "of_log")

# luhaofang/tripletloss#41 and #56, xiaolonw/caffe-video_triplet#2
right("triplet_loss", "TripletLoss(0.4), r(8, 3), r(8, 3), r(8, 3)", '''
class TripletLoss:
    def __init__(self, margin):
        self.margin = margin

    def forward(self, anchor, pos, neg):
        self.a, self.p, self.n = anchor, pos, neg
        gap = np.sum((anchor - pos) ** 2, 1) - np.sum((anchor - neg) ** 2, 1) + self.margin
        self.active = (gap > 0)[:, None]
        return np.maximum(gap, 0).mean()

    def backward(self, dout=1):
        scale = 2 * dout * self.active / len(self.a)
        d_anchor = scale * (self.n - self.p)
        d_pos = scale * (self.p - self.a)
        d_neg = scale * (self.a - self.n)
        return d_anchor, d_pos, d_neg
''')
wrong("missing-mask", "scale = 2 * dout * self.active / len(self.a)", "scale = 2 * dout / len(self.a)")
wrong("lost-branch|wrong-local-derivative", "scale * (self.a - self.n)", "scale * self.a")

# BVLC/caffe's contrastive loss layer and its legacy version
right("contrastive_loss", "(contrastive, contrastive_backward), r(8, 3), r(8, 3), np.array([1, 0, 0, 1, 0, 1, 0, 0])", '''
MARGIN = 2.0

def contrastive(left, right, same):
    diff = left - right
    dist = np.sqrt((diff ** 2).sum(1))
    short = np.maximum(MARGIN - dist, 0)
    loss = (same * dist ** 2 + (1 - same) * short ** 2).sum() / (2 * len(same))
    return loss, (diff, dist, short, same)

def contrastive_backward(dloss, cache):
    diff, dist, short, same = cache
    pull = same[:, None] * diff
    push = ((1 - same) * short / dist)[:, None] * diff
    dleft = dloss * (pull - push) / len(same)
    return dleft, -dleft, None
''')
wrong("wrong-local-derivative", "(1 - same) * short / dist)", "(1 - same) * short)")
wrong("wrong-sign", "dleft, -dleft, None", "dleft, dleft, None")

# chainer/chainer#1178 and #940, BobMcDear/attorch#13
right("huber_rows", "HuberLoss(0.8), r(6, 4), r(6, 4)", '''
class HuberLoss:
    """One loss for each row."""
    def __init__(self, delta):
        self.delta = delta

    def forward(self, x0, x1):
        self.diff = x0 - x1
        a = np.abs(self.diff)
        y = np.where(a <= self.delta, 0.5 * a ** 2, self.delta * (a - 0.5 * self.delta))
        return y.sum(axis=1)

    def backward(self, gy):
        near = np.abs(self.diff) <= self.delta
        gx = np.where(near, self.diff, self.delta * np.sign(self.diff))
        gx = gx * gy.reshape(-1, 1)
        return gx, -gx
''')
wrong("wrong-local-derivative|missing-mask", "near = np.abs(self.diff) <= self.delta", "near = self.diff <= self.delta")

# flagos-ai/FlagGems#5212, the udacity miniflow MSE
right("mse", "MSE(), r(6, 3), r(6, 3)", '''
class MSE:
    def forward(self, pred, target):
        self.diff = pred - target
        return np.mean(self.diff ** 2)

    def backward(self):
        return 2.0 / self.diff.size * self.diff
''')
wrong("scaled-by-N", "2.0 / self.diff.size", "2.0 / len(self.diff)")
wrong("factor-half", "2.0 / self.diff.size", "1.0 / self.diff.size")

# jingtinghuang/CS231n-Spring-2017#3, mantasu/cs231n#9, cs231n.github.io#89
right("svm_loops", "LinearSVM(r(4, 3)), r(6, 4), ids(3, 6)", '''
class LinearSVM:
    reg = 0.3

    def __init__(self, W):
        self.params = {"W": W}

    def loss(self, X, y):
        W = self.params["W"]
        dW = np.zeros(W.shape)
        num_train, num_classes = X.shape[0], W.shape[1]
        loss = 0.0
        for i in range(num_train):
            scores = X[i].dot(W)
            for j in range(num_classes):
                if j == y[i]:
                    continue
                margin = scores[j] - scores[y[i]] + 1
                if margin > 0:
                    loss += margin
                    dW[:, j] += X[i]
                    dW[:, y[i]] -= X[i]
        loss /= num_train
        dW /= num_train
        loss += self.reg * np.sum(W * W)
        dW += 2 * self.reg * W
        return loss, {"W": dW}
''')
wrong("wrong-penalty", "dW += 2 * self.reg * W", "dW += self.reg * W")
wrong("lost-branch|missing-label-subtraction", "                    dW[:, y[i]] -= X[i]\n", "")

# Kaixhin/Autoencoders#9, alecGraves/BVAE-tf#7
right("vae_bottleneck", "Bottleneck(r(6, 3), r(6, 3)), r(6, 3), 0.5 * r(6, 3)", '''
class Bottleneck:
    """A draw with fixed noise, its distance to a target, and the KL term."""
    def __init__(self, eps, target):
        self.eps, self.target = eps, target

    def forward(self, mu, logvar):
        self.mu, self.logvar = mu, logvar
        self.std = np.exp(logvar / 2)
        self.miss = mu + self.std * self.eps - self.target
        kl = -0.5 * np.sum(1 + logvar - mu ** 2 - np.exp(logvar))
        return (0.5 * np.sum(self.miss ** 2) + kl) / len(mu)

    def backward(self, dout=1.0):
        n = len(self.mu)
        dz = self.miss / n
        dmu = dz + self.mu / n
        dlogvar = dz * self.eps * 0.5 * self.std
        dlogvar = dlogvar + 0.5 * (np.exp(self.logvar) - 1) / n
        return dout * dmu, dout * dlogvar
''')
wrong("factor-2|wrong-local-derivative", "dz * self.eps * 0.5 * self.std", "dz * self.eps * self.std")
wrong("wrong-sign|wrong-local-derivative", "0.5 * (np.exp(self.logvar) - 1) / n", "0.5 * (1 - np.exp(self.logvar)) / n")

# community.deeplearning.ai (dAL), chainer/chainer#7057
right("bce_columns", "BinaryCost(), 1 / (1 + np.exp(-r(1, 7))), ids(2, 1, 7)", '''
class BinaryCost:
    """AL and Y are rows, (1, m)."""
    params, grads = [], []

    def forward(self, AL, Y):
        self.AL, self.Y, m = AL, Y, Y.shape[1]
        return -np.sum(Y * np.log(AL) + (1 - Y) * np.log(1 - AL)) / m

    def backward(self, dout=1.0):
        AL, Y = self.AL, self.Y
        dAL = -(Y / AL) + (1 - Y) / (1 - AL)
        return dout * dAL / Y.shape[1]
''')
wrong("wrong-local-derivative", "(1 - Y) / (1 - AL)\n", "(1 - Y) / 1 - AL\n")

# sherjilozair/ctc#2, pytorch/pytorch#52241, thu-spmi/CAT#81
right("ctc_one_sequence", "CTC(), np.log(share(6, 4)), np.array([1, 1, 3])", '''
class CTC:
    """-log p(labels | logp), logp (T, K) with the blank at 0, by the forward and backward variables."""

    def forward(self, logp, labels):
        y = np.exp(logp)
        T, S = len(y), 2 * len(labels) + 1
        ext = np.zeros(S, int)
        ext[1::2] = labels
        skip = np.array([s > 1 and ext[s] != 0 and ext[s] != ext[s - 2] for s in range(S)])
        alpha, beta = np.zeros((T, S)), np.zeros((T, S))
        alpha[0, :2] = y[0, ext[:2]]
        beta[-1, -2:] = y[-1, ext[-2:]]
        for t in range(1, T):
            for s in range(S):
                a = alpha[t - 1, s] + (alpha[t - 1, s - 1] if s else 0) + (alpha[t - 1, s - 2] if skip[s] else 0)
                alpha[t, s] = a * y[t, ext[s]]
        for t in range(T - 2, -1, -1):
            for s in range(S):
                b = beta[t + 1, s] + (beta[t + 1, s + 1] if s + 1 < S else 0)
                b += beta[t + 1, s + 2] if s + 2 < S and skip[s + 2] else 0
                beta[t, s] = b * y[t, ext[s]]
        self.y, self.ext, self.alpha, self.beta = y, ext, alpha, beta
        self.p = alpha[-1, -2:].sum()
        return -np.log(self.p)

    def backward(self, dout=1.0):
        grad = np.zeros_like(self.y)
        for t in range(len(grad)):
            for s, k in enumerate(self.ext):
                occupied = self.alpha[t, s] * self.beta[t, s] / self.y[t, k]
                grad[t, k] -= occupied / self.p
        return dout * grad
''')
wrong("ignores-upstream", "return dout * grad", "return grad")
wrong("repeated-index|lost-branch|overlap-overwritten", "grad[t, k] -= occupied / self.p", "grad[t, k] = -occupied / self.p")
wrong("wrong-local-derivative|missing-local-derivative", "self.beta[t, s] / self.y[t, k]", "self.beta[t, s]")

# hankcs/CS224n#5, ZacBi/CS224n-2019-solutions#4
right("skipgram_negatives", "SkipGram(r(6, 3), r(6, 3)), np.array([0, 3, 3, 5]), np.array([1, 2, 4, 1]), np.array([[2, 2], [0, 5], [0, 1], [3, 3]])", '''
def sigmoid(z):
    return 1 / (1 + np.exp(-z))


class SkipGram:
    def __init__(self, center, outside):
        self.params = [center, outside]
        self.grads = [np.zeros_like(center), np.zeros_like(outside)]

    def forward(self, c, o, negatives):
        V, U = self.params
        self.index = c, o, negatives
        self.good = sigmoid(np.sum(V[c] * U[o], axis=1))
        self.bad = sigmoid(np.einsum("nd,nkd->nk", V[c], U[negatives]))
        return -np.log(self.good).sum() - np.log(1 - self.bad).sum()

    def backward(self, dout=1.0):
        V, U = self.params
        dV, dU = self.grads
        c, o, negatives = self.index
        d_good = dout * (self.good - 1)
        d_bad = dout * self.bad
        dV.fill(0)
        dU.fill(0)
        at_center = d_good[:, None] * U[o] + np.einsum("nk,nkd->nd", d_bad, U[negatives])
        np.add.at(dV, c, at_center)
        np.add.at(dU, o, d_good[:, None] * V[c])
        np.add.at(dU, negatives, d_bad[:, :, None] * V[c][:, None])
''')
wrong("repeated-index", "np.add.at(dU, negatives, d_bad[:, :, None] * V[c][:, None])", "dU[negatives] += d_bad[:, :, None] * V[c][:, None]")
wrong("missing-label-subtraction|wrong-local-derivative", "dout * (self.good - 1)", "dout * self.good")

# ------------------------------------------------------------------------------------------ convolution, pooling, sampling
# community.deeplearning.ai (rot180 on filters), fanghao6666/neural-networks-and-deep-learning#3
right("conv_channels_last", "(conv_forward, conv_backward), r(3, 4, 4, 2), r(3, 3, 2, 3), r(1, 1, 1, 3)", '''
STRIDE, PAD = 2, 1

def conv_forward(A_prev, W, b):
    m, n_H, n_W, _ = A_prev.shape
    f, _, _, n_C = W.shape
    A_pad = np.pad(A_prev, ((0, 0), (PAD, PAD), (PAD, PAD), (0, 0)))
    out_H, out_W = (n_H - f + 2 * PAD) // STRIDE + 1, (n_W - f + 2 * PAD) // STRIDE + 1
    Z = np.zeros((m, out_H, out_W, n_C))
    for i in range(m):
        for h in range(out_H):
            for w in range(out_W):
                a_slice = A_pad[i, h * STRIDE:h * STRIDE + f, w * STRIDE:w * STRIDE + f, :]
                for c in range(n_C):
                    Z[i, h, w, c] = np.sum(a_slice * W[:, :, :, c]) + b[0, 0, 0, c]
    return Z, (A_prev, W, b)

def conv_backward(dZ, cache):
    A_prev, W, b = cache
    m, out_H, out_W, n_C = dZ.shape
    f = W.shape[0]
    A_pad = np.pad(A_prev, ((0, 0), (PAD, PAD), (PAD, PAD), (0, 0)))
    dA_pad, dW, db = np.zeros_like(A_pad), np.zeros_like(W), np.zeros_like(b)
    for i in range(m):
        for h in range(out_H):
            for w in range(out_W):
                top, left = h * STRIDE, w * STRIDE
                for c in range(n_C):
                    dA_pad[i, top:top + f, left:left + f, :] += W[:, :, :, c] * dZ[i, h, w, c]
                    dW[:, :, :, c] += A_pad[i, top:top + f, left:left + f, :] * dZ[i, h, w, c]
                    db[:, :, :, c] += dZ[i, h, w, c]
    return dA_pad[:, PAD:-PAD, PAD:-PAD, :], dW, db
''')
wrong("flipped-kernel", "+= W[:, :, :, c] * dZ[i, h, w, c]", "+= np.rot90(W[:, :, :, c], 2) * dZ[i, h, w, c]")

# sebgao/cTensor#3, renmengye/np-conv2d#2, ravin-d-27/PyDeepFlow#85
right("conv_im2col", "Conv2D(r(4, 2, 3, 3), r(4), {'stride': 2, 'pad': 1}), r(3, 2, 5, 5)", '''
def indices(shape, f, stride, pad):
    _, C, H, W = shape
    rows, cols = (H + 2 * pad - f) // stride + 1, (W + 2 * pad - f) // stride + 1
    i0 = np.tile(np.repeat(np.arange(f), f), C)
    j0 = np.tile(np.arange(f), f * C)
    i1, j1 = stride * np.repeat(np.arange(rows), cols), stride * np.tile(np.arange(cols), rows)
    k = np.repeat(np.arange(C), f * f)[:, None]
    return k, i0[:, None] + i1, j0[:, None] + j1, rows, cols


class Conv2D:
    def __init__(self, W, b, conv_param):
        self.W, self.b = W, b
        self.stride, self.pad = conv_param["stride"], conv_param["pad"]

    def forward(self, x):
        F, p = len(self.W), self.pad
        self.shape = x.shape
        self.k, self.i, self.j, rows, cols = indices(x.shape, self.W.shape[2], self.stride, p)
        padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        self.col = padded[:, self.k, self.i, self.j]                    # (N, C f f, positions)
        y = self.W.reshape(F, -1) @ self.col + self.b[:, None]
        return y.reshape(len(x), F, rows, cols)

    def backward(self, dout):
        N, C, H, W = self.shape
        F, p = len(self.W), self.pad
        d = dout.reshape(N, F, -1)
        self.db = d.sum(axis=(0, 2))
        self.dW = np.einsum("nfl,nkl->fk", d, self.col).reshape(self.W.shape)
        dcol = self.W.reshape(F, -1).T @ d
        dx = np.zeros((N, C, H + 2 * p, W + 2 * p))
        np.add.at(dx, (slice(None), self.k, self.i, self.j), dcol)
        return dx[:, :, p:-p, p:-p]
''')
wrong("repeated-index|overlap-overwritten", "np.add.at(dx, (slice(None), self.k, self.i, self.j), dcol)", "dx[:, self.k, self.i, self.j] += dcol")
wrong("divided-by-N", "self.col).reshape(self.W.shape)", "self.col).reshape(self.W.shape) / (N * d.shape[2])")
wrong("wrong-reshape", "d = dout.reshape(N, F, -1)", "d = dout.transpose(0, 2, 3, 1).reshape(N, F, -1)")

# NervanaSystems/neon#111, huggingface/candle#2337
right("conv1d_dilated", "(conv1d, conv1d_bprop), r(3, 2, 9), r(4, 2, 3)", '''
DILATION = 2

def conv1d(x, w):
    K = w.shape[2]
    T = x.shape[2] - DILATION * (K - 1)
    y = np.zeros((len(x), len(w), T))
    for m in range(T):
        for k in range(K):
            y[:, :, m] += x[:, :, m + k * DILATION] @ w[:, :, k].T
    return y, (x, w)

def conv1d_bprop(E, cache):
    x, w = cache
    grad_x, grad_w = np.zeros_like(x), np.zeros_like(w)
    for m in range(E.shape[2]):
        for k in range(w.shape[2]):
            d = m + k * DILATION
            grad_x[:, :, d] += E[:, :, m] @ w[:, :, k]
            grad_w[:, :, k] += E[:, :, m].T @ x[:, :, d]
    return grad_x, grad_w
''')
wrong("flipped-kernel|unrecognised", "d = m + k * DILATION", "d = m + k")

# pytorch/pytorch#63314
right("conv_transpose1d", "Deconv(r(2, 3, 3), 2), r(4, 2, 4)", '''
class Deconv:
    def __init__(self, w, stride):
        self.params, self.grads, self.s = [w], [np.zeros_like(w)], stride

    def forward(self, x):
        w, s = self.params[0], self.s
        self.x, K = x, w.shape[2]
        y = np.zeros((len(x), w.shape[1], (x.shape[2] - 1) * s + K))
        for i in range(x.shape[2]):
            y[:, :, i * s:i * s + K] += np.einsum("nc,cok->nok", x[:, :, i], w)
        return y

    def backward(self, dy):
        w, s = self.params[0], self.s
        K, dx, dw = w.shape[2], np.zeros_like(self.x), self.grads[0]
        dw[...] = 0
        for i in range(dx.shape[2]):
            start = i * s
            piece = dy[:, :, start:start + K]
            dx[:, :, i] = np.einsum("nok,cok->nc", piece, w)
            dw += np.einsum("nc,nok->cok", self.x[:, :, i], piece)
        return dx
''')
wrong("flipped-kernel|unrecognised", "start = i * s\n", "start = i\n")

# 0809zheng/CS231n-assignment2019#19
right("max_pool_naive", "(max_pool_forward_naive, max_pool_backward_naive), apart(3, 2, 4, 5), {'pool': 3, 'stride': 1}", '''
def max_pool_forward_naive(x, pool_param):
    p, s = pool_param["pool"], pool_param["stride"]
    N, C, H, W = x.shape
    out = np.zeros((N, C, (H - p) // s + 1, (W - p) // s + 1))
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            out[:, :, i, j] = x[:, :, i * s:i * s + p, j * s:j * s + p].max(axis=(2, 3))
    return out, (x, pool_param)

def max_pool_backward_naive(dout, cache):
    x, pool_param = cache
    p, s = pool_param["pool"], pool_param["stride"]
    dx = np.zeros_like(x)
    for n in range(dout.shape[0]):
        for c in range(dout.shape[1]):
            for i in range(dout.shape[2]):
                for j in range(dout.shape[3]):
                    window = x[n, c, i * s:i * s + p, j * s:j * s + p]
                    row, col = np.unravel_index(window.argmax(), window.shape)
                    dx[n, c, i * s + row, j * s + col] += dout[n, c, i, j]
    return dx, None
''')
wrong("overlap-overwritten", "j * s + col] += dout", "j * s + col] = dout")

# tracel-ai/burn#5604, pytorch/pytorch#198119
right("avg_pool_ceil", "AvgPool(3, 2), r(4, 2, 8)", '''
class AvgPool:
    """The last window hangs over the end; it is divided by what lies inside."""
    params = grads = ()

    def __init__(self, kernel, stride):
        self.kernel, self.stride = kernel, stride

    def windows(self, size):
        return [(a, min(a + self.kernel, size)) for a in range(0, size, self.stride)]

    def forward(self, x):
        self.shape = x.shape
        return np.stack([x[..., a:b].mean(axis=-1) for a, b in self.windows(x.shape[-1])], axis=-1)

    def backward(self, dout):
        dx = np.zeros(self.shape)
        for n, (a, b) in enumerate(self.windows(self.shape[-1])):
            dx[..., a:b] += dout[..., n:n + 1] / (b - a)
        return dx
''')
wrong("scaled-by-N|divided-by-N|wrong-local-derivative", "/ (b - a)", "/ self.kernel")

# intel/torch-xpu-ops#4380, flagos-ai/FlagGems#5219
right("bilinear_upsample", "Upsample(2), r(2, 2, 4, 3)", '''
class Upsample:
    def __init__(self, scale):
        self.scale = scale

    def taps(self, n):
        """For each output: the entry before it, the one behind it, and how near the latter is."""
        at = np.clip((np.arange(n * self.scale) + 0.5) / self.scale - 0.5, 0, n - 1)
        low = np.floor(at).astype(int)
        return list(zip(low, np.minimum(low + 1, n - 1), at - low))

    def forward(self, x):
        self.x_shape = x.shape
        rows, cols = self.taps(x.shape[2]), self.taps(x.shape[3])
        out = np.empty(x.shape[:2] + (len(rows), len(cols)))
        for i, (r0, r1, a) in enumerate(rows):
            for j, (c0, c1, b) in enumerate(cols):
                top = (1 - b) * x[:, :, r0, c0] + b * x[:, :, r0, c1]
                bottom = (1 - b) * x[:, :, r1, c0] + b * x[:, :, r1, c1]
                out[:, :, i, j] = (1 - a) * top + a * bottom
        return out

    def backward(self, dout):
        dx = np.zeros(self.x_shape)
        rows, cols = self.taps(dx.shape[2]), self.taps(dx.shape[3])
        for i, (r0, r1, a) in enumerate(rows):
            for j, (c0, c1, b) in enumerate(cols):
                d = dout[:, :, i, j]
                dx[:, :, r0, c0] += (1 - a) * (1 - b) * d
                dx[:, :, r0, c1] += (1 - a) * b * d
                dx[:, :, r1, c0] += a * (1 - b) * d
                dx[:, :, r1, c1] += a * b * d
        return dx
''')
wrong("lost-branch", "                dx[:, :, r1, c1] += a * b * d\n", "")
wrong("stale-cache|wrong-local-derivative", "+= (1 - a) * b * d", "+= (1 - b) * a * d")

# ------------------------------------------------------------------------------------------ normalisation
# iamshnoo on mlpack/mlpack#2474, mlpack/mlpack#1923, the staged batchnorm of many a CS231n solution
right("batchnorm_stages", "(batchnorm_forward, batchnorm_backward), r(6, 4), r(4), r(4)", '''
def batchnorm_forward(x, gamma, beta, eps=1e-5):
    N, D = x.shape
    mu = 1. / N * np.sum(x, axis=0)
    xmu = x - mu
    var = 1. / N * np.sum(xmu ** 2, axis=0)
    sqrtvar = np.sqrt(var + eps)
    ivar = 1. / sqrtvar
    xhat = xmu * ivar
    return gamma * xhat + beta, (xhat, gamma, xmu, ivar, sqrtvar)

def batchnorm_backward(dout, cache):
    xhat, gamma, xmu, ivar, sqrtvar = cache
    N, D = dout.shape
    dbeta = np.sum(dout, axis=0)
    dgamma = np.sum(dout * xhat, axis=0)
    dxhat = dout * gamma
    divar = np.sum(dxhat * xmu, axis=0)
    dsqrtvar = -1. / sqrtvar ** 2 * divar
    dvar = 0.5 / sqrtvar * dsqrtvar
    dxmu = dxhat * ivar
    dxmu = dxmu + 2 * xmu * np.ones((N, D)) * dvar / N
    dmu = -np.sum(dxmu, axis=0)
    dx = dxmu + np.ones((N, D)) * dmu / N
    return dx, dgamma, dbeta
''')
wrong("constant-statistics|lost-branch", "dx = dxmu + np.ones((N, D)) * dmu / N", "dx = dxmu")
wrong("wrong-local-derivative|constant-statistics", "-1. / sqrtvar ** 2 * divar", "-1. / sqrtvar * divar")
wrong("stale-cache|wrong-local-derivative", "dgamma = np.sum(dout * xhat, axis=0)", "dgamma = np.sum(dout * xmu, axis=0)")

# flagos-ai/FlagGems#5392, azret on karpathy/llm.c#763
right("layernorm_tokens", "LayerNorm(r(5), r(5)), r(3, 4, 5)", '''
class LayerNorm:
    def __init__(self, gamma, beta, eps=1e-5):
        self.gamma, self.beta, self.eps = gamma, beta, eps
        self.dgamma = self.dbeta = None

    def forward(self, x):
        centred = x - x.mean(-1, keepdims=True)
        self.rstd = 1 / np.sqrt((centred ** 2).mean(-1, keepdims=True) + self.eps)
        self.norm = centred * self.rstd
        return self.norm * self.gamma + self.beta

    def backward(self, dout):
        self.dgamma = np.einsum("btd,btd->d", dout, self.norm)
        self.dbeta = np.einsum("btd->d", dout)
        dnorm = dout * self.gamma
        dx = dnorm - dnorm.mean(-1, keepdims=True)
        dx -= self.norm * (dnorm * self.norm).mean(-1, keepdims=True)
        return dx * self.rstd
''')
wrong("missing-local-derivative|wrong-local-derivative", "dnorm = dout * self.gamma", "dnorm = dout")
wrong("missing-batch-sum", '"btd,btd->d", dout, self.norm)', '"btd,btd->td", dout, self.norm)')

# linkedin/Liger-Kernel#1376, tenstorrent/tt-metal#56202, state-spaces/mamba#547
right("groupnorm", "GroupNorm(2, r(4), r(4)), r(3, 4, 2, 3)", '''
class GroupNorm:
    def __init__(self, num_groups, weight, bias):
        self.G = num_groups
        self.params = {"weight": weight, "bias": bias}
        self.grads = {"weight": np.zeros_like(weight), "bias": np.zeros_like(bias)}

    def forward(self, X):
        N, C, H, W = self.shape = X.shape
        flat = X.reshape(N, self.G, -1)
        self.X = X
        self.mean = flat.mean(axis=2)
        self.rstd = 1 / np.sqrt(flat.var(axis=2) + 1e-5)
        self.xhat = (flat - self.mean[..., None]) * self.rstd[..., None]
        w, b = (self.params[k][None, :, None, None] for k in ("weight", "bias"))
        return self.xhat.reshape(X.shape) * w + b

    def backward(self, dY):
        N, C, H, W = self.shape
        channels_per_group = C // self.G
        hidden_size = channels_per_group * H * W
        for c in range(C):
            g = c // channels_per_group
            x_hat = (self.X[:, c] - self.mean[:, g, None, None]) * self.rstd[:, g, None, None]
            self.grads["weight"][c] = (dY[:, c] * x_hat).sum()
            self.grads["bias"][c] = dY[:, c].sum()
        d = (dY * self.params["weight"][None, :, None, None]).reshape(N, self.G, -1)
        c1 = (d * self.xhat).sum(axis=2, keepdims=True) / hidden_size
        c2 = d.sum(axis=2, keepdims=True) / hidden_size
        return ((d - self.xhat * c1 - c2) * self.rstd[..., None]).reshape(self.shape)
''')
wrong("wrong-local-derivative|scaled-by-N|constant-statistics", "hidden_size = channels_per_group * H * W", "hidden_size = W")
wrong("stale-cache|wrong-reshape", "g = c // channels_per_group", "g = c % self.G")

# Dao-AILab/quack#53, azret on karpathy/llm.c#763
right("rms_prenorm", "PreNorm(r(4)), r(6, 4), r(6, 4)", '''
class PreNorm:
    """Gives the normed sum and the sum itself, and the cache."""
    def __init__(self, g):
        self.params, self.grads = [g], [np.zeros_like(g)]

    def forward(self, x, residual):
        res_out = residual + x
        rms = np.sqrt((res_out ** 2).mean(axis=-1, keepdims=True) + 1e-6)
        return self.params[0] * res_out / rms, res_out, (res_out, rms)

    def backward(self, dout, dres_out, cache):
        h, rms = cache
        n = h / rms
        self.grads[0][...] = (dout * n).sum(axis=0)
        wd = dout * self.params[0]
        dnorm = (wd - n * (wd * n).mean(axis=-1, keepdims=True)) / rms
        dres = dres_out + dnorm
        return dres, dres.copy()
''')
wrong("lost-branch|ignores-upstream", "dres = dres_out + dnorm", "dres = dnorm")
wrong("scaled-by-N|wrong-local-derivative|constant-statistics", "(wd * n).mean(axis=-1, keepdims=True)", "(wd * n).sum(axis=-1, keepdims=True)")

# google/flax#5576, flagos-ai/Torch-FL#173
right("weight_norm", "WeightNorm(r(3, 4), r(3)), r(6, 4)", '''
class WeightNorm:
    def __init__(self, v, g):
        self.v, self.g = v, g
        self.dv, self.dg = np.zeros_like(v), np.zeros_like(g)

    def forward(self, x):
        self.x = x
        self.length = np.linalg.norm(self.v, axis=1, keepdims=True)
        self.w = self.g[:, None] * self.v / self.length
        return x @ self.w.T

    def backward(self, dout):
        dw = dout.T @ self.x
        unit = self.v / self.length
        along = (dw * unit).sum(axis=1, keepdims=True)
        self.dg[...] = along[:, 0]
        self.dv[...] = self.g[:, None] / self.length * (dw - along * unit)
        return dout @ self.w
''')
wrong("constant-statistics|lost-branch", "(dw - along * unit)", "dw")

# jhjacobsen/invertible-resnet#4, ferrine on pytorch/pytorch#6929
right("spectral_norm", "SpectralDense(r(3, 4), 0.5 * u(3), 0.5 * u(4)), r(5, 4)", '''
class SpectralDense:
    """The vectors of the power iteration stand still during the step."""
    def __init__(self, W, left, right):
        self.params, self.grads = [W], [np.zeros_like(W)]
        self._left, self._right = left, right

    def forward(self, x):
        W, = self.params
        self.x = x
        self.sigma = self._left @ W @ self._right
        return x @ (W / self.sigma).T

    def backward(self, dy):
        W, = self.params
        d_bar = dy.T @ self.x
        d_sigma = -(d_bar * W).sum() / self.sigma ** 2
        self.grads[0][:] = d_bar / self.sigma + d_sigma * np.outer(self._left, self._right)
        return dy @ W / self.sigma
''')
wrong("constant-statistics|lost-branch", "d_bar / self.sigma + d_sigma * np.outer(self._left, self._right)", "d_bar / self.sigma")

# tyandzx/caffe#3
right("cosine_similarity", "(cos_sim, cos_sim_grad), r(6, 4), r(6, 4)", '''
def cos_sim(A, B):
    na, nb = np.sqrt((A * A).sum(1)), np.sqrt((B * B).sum(1))
    s = (A * B).sum(1) / (na * nb)
    return s, (A, B, na, nb, s)

def cos_sim_grad(ds, cache):
    A, B, na, nb, s = cache
    dA = ds[:, None] * (B / (na * nb)[:, None] - A * (s / na ** 2)[:, None])
    dB = ds[:, None] * (A / (na * nb)[:, None] - B * (s / nb ** 2)[:, None])
    return dA, dB
''')
wrong("wrong-local-derivative|constant-statistics", "A * (s / na ** 2)[:, None]", "A * (s / na)[:, None]")

# ------------------------------------------------------------------------------------------ recurrent
# qixianbiao/RNN#2, matheusfacure and others (gradients that are never set back)
right("rnn_sequence", "CharRNN(r(4, 3), 0.5 * r(4, 4), r(2, 4), r(4), r(2)), r(5, 3)", '''
class CharRNN:
    def __init__(self, Wxh, Whh, Why, bh, by):
        self.params = [Wxh, Whh, Why, bh, by]
        self.grads = [np.zeros_like(p) for p in self.params]

    def forward(self, xs):
        Wxh, Whh, Why, bh, by = self.params
        self.xs, self.hs = xs, []
        h = np.zeros(len(bh))
        for x in xs:
            h = np.tanh(Wxh @ x + Whh @ h + bh)
            self.hs.append(h)
        return np.array([Why @ h + by for h in self.hs])

    def backward(self, dys):
        Wxh, Whh, Why, bh, by = self.params
        for g in self.grads:
            g[...] = 0
        dWxh, dWhh, dWhy, dbh, dby = self.grads
        dxs, dh_next = np.zeros_like(self.xs), np.zeros(len(bh))
        for t in range(len(dys) - 1, -1, -1):
            h_prev = self.hs[t - 1] if t > 0 else np.zeros(len(bh))
            dWhy += np.outer(dys[t], self.hs[t])
            dby += dys[t]
            dh = Why.T @ dys[t] + dh_next
            dt = dh * (1 - self.hs[t] ** 2)
            dWxh += np.outer(dt, self.xs[t])
            dWhh += np.outer(dt, h_prev)
            dbh += dt
            dxs[t] = Wxh.T @ dt
            dh_next = Whh.T @ dt
        return dxs
''')
wrong("stale-cache", "h_prev = self.hs[t - 1] if t > 0 else np.zeros(len(bh))", "h_prev = self.hs[t - 1]")
wrong("lost-branch", "dh = Why.T @ dys[t] + dh_next", "dh = Why.T @ dys[t]")
# nothing is set to zero: a second backward gives twice as much
wrong("accumulates", "        for g in self.grads:\n            g[...] = 0\n", "")

# apache/mxnet#4057, cthorey/CS231#1, CaptainE/RNN-LSTM-in-numpy#1
right("lstm_step", "(lstm_step, lstm_step_back), r(5, 3), r(5, 2), r(5, 2), r(3, 8), r(2, 8), r(8)", '''
def sig(z):
    return 1 / (1 + np.exp(-z))

def lstm_step(x, h_prev, c_prev, Wx, Wh, b):
    a = x @ Wx + h_prev @ Wh + b
    ai, af, ao, ag = np.split(a, 4, axis=1)
    i, f, o, g = sig(ai), sig(af), sig(ao), np.tanh(ag)
    c = f * c_prev + i * g
    t = np.tanh(c)
    return o * t, c, (x, h_prev, c_prev, Wx, Wh, i, f, o, g, c, t)

def lstm_step_back(dh, dc_next, cache):
    x, h_prev, c_prev, Wx, Wh, i, f, o, g, c, t = cache
    dc = dc_next + dh * o * (1 - t ** 2)
    dai = dc * g * i * (1 - i)
    daf = dc * c_prev * f * (1 - f)
    dao = dh * t * o * (1 - o)
    dag = dc * i * (1 - g ** 2)
    da = np.hstack([dai, daf, dao, dag])
    return da @ Wx.T, da @ Wh.T, dc * f, x.T @ da, h_prev.T @ da, da.sum(axis=0)
''')
wrong("lost-branch|ignores-upstream", "dc = dc_next + dh * o * (1 - t ** 2)", "dc = dh * o * (1 - t ** 2)")
wrong("missing-local-derivative", "daf = dc * c_prev * f * (1 - f)", "daf = dc * c_prev")

# deeplearning4j/deeplearning4j#8838, hanbt/learn_dl#53, lhnguyen102/cuTAGI#77
right("lstm_gates_apart", "(run_lstm, run_lstm_back), r(4, 2), 0.7 * r(3, 5), r(3, 5), 0.7 * r(3, 5), r(3, 5), r(3), r(3), r(3), r(3)", '''
def sigmoid(v):
    return 1.0 / (1.0 + np.exp(-v))

def run_lstm(xs, Wf, Wi, Wo, Wg, bf, bi, bo, bg):
    """All outputs, and the last cell."""
    h, c, steps, hs = np.zeros(len(bf)), np.zeros(len(bf)), [], []
    for x in xs:
        z, c_old = np.concatenate([h, x]), c
        f, i, o, g = sigmoid(Wf @ z + bf), sigmoid(Wi @ z + bi), sigmoid(Wo @ z + bo), np.tanh(Wg @ z + bg)
        c = f * c_old + i * g
        h = o * np.tanh(c)
        steps.append((z, f, i, o, g, c_old, c))
        hs.append(h)
    return np.array(hs), c, (steps, Wf, Wi, Wo, Wg)

def run_lstm_back(dhs, dc_last, cache):
    steps, Wf, Wi, Wo, Wg = cache
    H = dhs.shape[1]
    dWf, dWi, dWo, dWg = (np.zeros_like(W) for W in (Wf, Wi, Wo, Wg))
    dbf, dbi, dbo, dbg = np.zeros((4, H))
    dh, dc = np.zeros(H), dc_last
    dxs = []
    for t in reversed(range(len(steps))):
        z, f, i, o, g, c_old, c = steps[t]
        dh = dh + dhs[t]
        dc = dc + dh * o * (1 - np.tanh(c) ** 2)
        delta_f = dc * c_old * f * (1 - f)
        delta_i = dc * g * i * (1 - i)
        delta_o = dh * np.tanh(c) * o * (1 - o)
        delta_g = dc * i * (1 - g * g)
        dWf += np.outer(delta_f, z); dbf += delta_f
        dWi += np.outer(delta_i, z); dbi += delta_i
        dWo += np.outer(delta_o, z); dbo += delta_o
        dWg += np.outer(delta_g, z); dbg += delta_g
        dz = Wf.T @ delta_f + Wi.T @ delta_i + Wo.T @ delta_o + Wg.T @ delta_g
        dh, dc = dz[:H], dc * f
        dxs.insert(0, dz[H:])
    return np.array(dxs), dWf, dWi, dWo, dWg, dbf, dbi, dbo, dbg
''')
wrong("lost-branch|ignores-upstream", "dh, dc = np.zeros(H), dc_last", "dh, dc = np.zeros(H), np.zeros(H)")
wrong("stale-cache", "dbi += delta_i", "dbi += delta_f")

# the documentation of TensorFlow's GRUBlockCellGrad, CRAN's rnn (vignette on GRU units)
right("gru_cell", "GRUCell(r(3, 6), r(2, 4), r(2, 2)), r(5, 3), r(5, 2)", '''
class GRUCell:
    """x (N, 3), h (N, 2): u and r from one product, the candidate from x and r * h."""
    def __init__(self, Wx, Wur, Wc):
        self.params = {"Wx": Wx, "Wur": Wur, "Wc": Wc}
        self.grads = {k: np.zeros_like(v) for k, v in self.params.items()}

    def forward(self, x, h):
        p, H = self.params, h.shape[1]
        ax = x @ p["Wx"]
        ur = 1 / (1 + np.exp(-(ax[:, :2 * H] + h @ p["Wur"])))
        u, r = ur[:, :H], ur[:, H:]
        c = np.tanh(ax[:, 2 * H:] + (r * h) @ p["Wc"])
        self.saved = x, h, u, r, c
        return u * h + (1 - u) * c

    def backward(self, d_h):
        x, h, u, r, c = self.saved
        p = self.params
        d_c_bar = d_h * (1 - u) * (1 - c * c)
        d_u_bar = d_h * (h - c) * u * (1 - u)
        d_hr = d_c_bar @ p["Wc"].T
        d_r_bar = d_hr * h * r * (1 - r)
        d_ur_bar = np.concatenate([d_u_bar, d_r_bar], axis=1)
        self.grads["Wx"] = x.T @ np.concatenate([d_ur_bar, d_c_bar], axis=1)
        self.grads["Wur"] = h.T @ d_ur_bar
        self.grads["Wc"] = (r * h).T @ d_c_bar
        d_x = np.concatenate([d_ur_bar, d_c_bar], axis=1) @ p["Wx"].T
        d_h_prev = d_ur_bar @ p["Wur"].T + d_hr * r + d_h * u
        return d_x, d_h_prev
''')
wrong("ignores-upstream", "d_hr * r + d_h * u", "d_hr * r + u")
wrong("stale-cache", "(r * h).T @ d_c_bar", "h.T @ d_c_bar")
wrong("lost-branch", 'd_ur_bar @ p["Wur"].T + d_hr * r + d_h * u', 'd_ur_bar @ p["Wur"].T + d_h * u')

# mlpack/mlpack#1742, keras-team/keras#1001 and #1431
right("bidirectional", "Bidirectional(Cell(r(2, 3), r(3, 3)), Cell(r(2, 3), r(3, 3))), r(4, 5, 2)", '''
class Cell:
    """h_t = tanh(x_t U + h_(t-1) V) over (N, T, D)."""
    def __init__(self, U, V):
        self.params, self.grads = [U, V], [np.zeros_like(U), np.zeros_like(V)]

    def forward(self, x):
        U, V = self.params
        self.x, self.h = x, np.zeros((len(x), x.shape[1] + 1, len(V)))
        for t in range(x.shape[1]):
            self.h[:, t + 1] = np.tanh(x[:, t] @ U + self.h[:, t] @ V)
        return self.h[:, 1:].copy()

    def backward(self, dout):
        U, V = self.params
        dx, carry = np.zeros_like(self.x), 0.0
        self.grads[0][...], self.grads[1][...] = 0, 0
        for t in range(dout.shape[1])[::-1]:
            d = (dout[:, t] + carry) * (1 - self.h[:, t + 1] ** 2)
            self.grads[0] += self.x[:, t].T @ d
            self.grads[1] += self.h[:, t].T @ d
            dx[:, t], carry = d @ U.T, d @ V.T
        return dx


class Bidirectional:
    def __init__(self, ahead, back):
        self.ahead, self.back = ahead, back
        self.params = ahead.params + back.params
        self.grads = ahead.grads + back.grads

    def forward(self, x):
        left = self.ahead.forward(x)
        right = self.back.forward(x[:, ::-1])[:, ::-1]
        return np.concatenate([left, right], axis=2)

    def backward(self, dout):
        H = dout.shape[2] // 2
        d_left, d_right = dout[:, :, :H], dout[:, :, H:]
        dx = self.ahead.backward(d_left)
        dx_back = self.back.backward(d_right[:, ::-1])
        return dx + dx_back[:, ::-1]
''')
wrong("wrong-reshape|stale-cache|flipped-kernel", "return dx + dx_back[:, ::-1]", "return dx + dx_back")

# deeplearning4j/deeplearning4j#509 (GravesLSTM: peepholes)
right("peephole_step", "Peephole(r(3, 6), r(2), r(2), r(2)), r(5, 3), r(5, 2)", '''
class Peephole:
    """A cell without recurrent weights: only the gates look at the cell."""
    def __init__(self, W, p_i, p_f, p_o):
        self.params = [W, p_i, p_f, p_o]
        self.grads = [np.zeros_like(p) for p in self.params]

    def forward(self, x, c_old):
        W, p_i, p_f, p_o = self.params
        s = lambda v: 1 / (1 + np.exp(-v))
        a_i, a_f, a_o = np.split(x @ W, 3, axis=1)
        i, f = s(a_i + p_i * c_old), s(a_f + p_f * c_old)
        c = f * c_old + i
        o = s(a_o + p_o * c)
        self.kept = x, c_old, i, f, c, o
        return o * np.tanh(c)

    def backward(self, dy):
        W, p_i, p_f, p_o = self.params
        x, c_old, i, f, c, o = self.kept
        d_o = dy * np.tanh(c) * o * (1 - o)
        d_c = dy * o * (1 - np.tanh(c) ** 2) + d_o * p_o
        d_i = d_c * i * (1 - i)
        d_f = d_c * c_old * f * (1 - f)
        da = np.hstack((d_i, d_f, d_o))
        self.grads[0][...] = x.T @ da
        self.grads[1][...] = (d_i * c_old).sum(0)
        self.grads[2][...] = (d_f * c_old).sum(0)
        self.grads[3][...] = (d_o * c).sum(0)
        return da @ W.T, d_c * f + d_i * p_i + d_f * p_f
''')
wrong("lost-branch", "dy * o * (1 - np.tanh(c) ** 2) + d_o * p_o", "dy * o * (1 - np.tanh(c) ** 2)")

# the books' stateful TimeRNN
right("leaky_state", "LeakyIntegrator(r(3, 2)), r(4, 5, 3)", '''
class LeakyIntegrator:
    decay = 0.6

    def __init__(self, W):
        self.W, self.dW = W, np.zeros_like(W)
        self.h = None

    def forward(self, xs):
        self.xs, out = xs, []
        self.h = np.zeros((len(xs), self.W.shape[1]))
        for t in range(xs.shape[1]):
            self.h = self.decay * self.h + xs[:, t] @ self.W
            out.append(self.h)
        return np.stack(out, axis=1)

    def backward(self, dhs):
        dxs, dh = np.empty_like(self.xs), 0
        self.dW[...] = 0
        for t in reversed(range(dhs.shape[1])):
            dh = self.decay * dh + dhs[:, t]
            self.dW += self.xs[:, t].T @ dh
            dxs[:, t] = dh @ self.W.T
        return dxs
''')
# the state goes on from one call to the next: two forwards give two answers
wrong("nondeterministic", "        self.h = np.zeros((len(xs), self.W.shape[1]))\n",
      "        if self.h is None:\n            self.h = np.zeros((len(xs), self.W.shape[1]))\n")

# ------------------------------------------------------------------------------------------ attention
# fla-org/flash-linear-attention#6, HKUSTDial/flash-sparse-attention#109, mlc-ai/mlc-llm#3426
right("causal_attention", "CausalAttention(r(4, 3), r(4, 3), r(4, 3)), r(3, 4)", '''
class CausalAttention:
    """One sequence, one head."""
    def __init__(self, Wq, Wk, Wv):
        self.params = {"Wq": Wq, "Wk": Wk, "Wv": Wv}
        self.grads = {}

    def forward(self, X):
        p = self.params
        self.X, self.Q, self.K, self.V = X, X @ p["Wq"], X @ p["Wk"], X @ p["Wv"]
        self.scale = 1 / np.sqrt(self.Q.shape[1])
        S = self.Q @ self.K.T * self.scale
        S = np.where(np.tri(len(X), dtype=bool), S, -np.inf)
        E = np.exp(S - S.max(axis=1, keepdims=True))
        self.P = E / E.sum(axis=1, keepdims=True)
        return self.P @ self.V

    def backward(self, dO):
        p, X, P = self.params, self.X, self.P
        dV = P.T @ dO
        dP = dO @ self.V.T
        dS = P * (dP - (dP * P).sum(axis=1, keepdims=True))
        dS *= self.scale
        dQ = dS @ self.K
        dK = dS.T @ self.Q
        self.grads["Wq"], self.grads["Wk"], self.grads["Wv"] = X.T @ dQ, X.T @ dK, X.T @ dV
        return dQ @ p["Wq"].T + dK @ p["Wk"].T + dV @ p["Wv"].T
''')
wrong("missing-local-derivative|wrong-local-derivative", "        dS *= self.scale\n", "")
wrong("missing-transpose", "dK = dS.T @ self.Q", "dK = dS @ self.Q")

# candle-org/candle#95, FareedKhan-dev/train-llm-from-scratch#3
right("heads", "(attend, attend_back), r(2, 3, 4), r(2, 3, 4), r(2, 3, 4)", '''
HEADS = 2

def to_heads(a):
    B, T, E = a.shape
    return a.reshape(B, T, HEADS, E // HEADS).swapaxes(1, 2)

def from_heads(a):
    B, H, T, D = a.shape
    return a.swapaxes(1, 2).reshape(B, T, H * D)

def attend(q, k, v):
    q, k, v = to_heads(q), to_heads(k), to_heads(v)
    w = np.exp(q @ k.swapaxes(2, 3) / np.sqrt(q.shape[-1]))
    w /= w.sum(axis=-1, keepdims=True)
    return from_heads(w @ v), (q, k, v, w)

def attend_back(dout, cache):
    q, k, v, w = cache
    dctx = to_heads(dout)
    dw = dctx @ v.swapaxes(2, 3)
    dv = w.swapaxes(2, 3) @ dctx
    ds = w * (dw - np.sum(w * dw, axis=-1, keepdims=True)) / np.sqrt(q.shape[-1])
    return from_heads(ds @ k), from_heads(ds.swapaxes(2, 3) @ q), from_heads(dv)
''')
wrong("wrong-reshape", "dctx = to_heads(dout)", "dctx = dout.reshape(q.shape)")
wrong("missing-transpose", "dv = w.swapaxes(2, 3) @ dctx", "dv = w @ dctx")

# pytorch/pytorch#67916 and #60877 (attention lab)
right("tanh_attention", "(attn_forward, attn_backward), r(5, 3), r(4, 3), r(4, 2)", '''
def attn_forward(q, k, v):
    """The weights are given out too."""
    a = np.tanh(q @ k.T)
    return a @ v, a, (q, k, v, a)

def attn_backward(grad_output, grad_attn, ctx):
    q, k, v, a = ctx
    grad_a = grad_output @ v.T + grad_attn
    grad_x = grad_a * (1 - a ** 2)
    return grad_x @ k, grad_x.T @ q, a.T @ grad_output
''')
wrong("lost-branch|ignores-upstream", "grad_a = grad_output @ v.T + grad_attn", "grad_a = grad_output @ v.T")

# PaddlePaddle/Paddle#74716, huggingface/candle#3612
right("rotary", "Rotary(r(3, 4), r(3, 4)), r(2, 3, 4)", '''
class Rotary:
    """The tables need not be alike in their two halves."""
    params, grads = [], []

    def __init__(self, cos, sin):
        self.cos, self.sin = cos, sin

    @staticmethod
    def turn(x):
        half = x.shape[-1] // 2
        return np.concatenate([-x[..., half:], x[..., :half]], axis=-1)

    def forward(self, x):
        return x * self.cos + self.turn(x) * self.sin

    def backward(self, d):
        return d * self.cos - self.turn(d * self.sin)
''')
wrong("wrong-reshape|stale-cache|wrong-local-derivative", "self.turn(d * self.sin)", "self.turn(d) * self.sin")
wrong("wrong-sign", "d * self.cos - self", "d * self.cos + self")

# ooples/AiDotNet.Tensors#894
right("relative_bias", "RelativeBias(r(2, 7)), r(3, 2, 4, 4)", '''
class RelativeBias:
    """scores (B, heads, T, T) + table[head, i - j + T - 1]."""
    def __init__(self, table):
        self.table = table
        self.dtable = np.zeros_like(table)

    def forward(self, scores):
        T = scores.shape[-1]
        self.bucket = np.arange(T)[:, None] - np.arange(T)[None] + T - 1
        return scores + self.table[:, self.bucket]

    def backward(self, dscores):
        self.dtable[...] = 0
        per_pair = dscores.sum(axis=0)
        np.add.at(self.dtable, (slice(None), self.bucket), per_pair)
        return dscores
''')
wrong("repeated-index", "np.add.at(self.dtable, (slice(None), self.bucket), per_pair)", "self.dtable[:, self.bucket] += per_pair")

# ------------------------------------------------------------------------------------------ gather, order, shapes
# tenstorrent/tt-metal#6232, the assignments on word embeddings
right("scaled_embedding", "Embedding(r(6, 5)), np.array([[1, 4, 1, 0], [2, 1, 0, 0], [5, 5, 4, 0]])", '''
class Embedding:
    """Times sqrt(D), as in the transformer; id 0 is padding and gives zeros."""
    def __init__(self, weight):
        self.params, self.grads = [weight], [np.zeros_like(weight)]

    def forward(self, ids):
        self.ids = ids
        self.real = (ids != 0)[..., None]
        return self.params[0][ids] * self.real * np.sqrt(self.params[0].shape[1])

    def backward(self, dout):
        dW, = self.grads
        dW[...] = 0
        np.add.at(dW, self.ids, dout * self.real * np.sqrt(dW.shape[1]))
''')
wrong("missing-mask", "dout * self.real * np.sqrt(dW.shape[1])", "dout * np.sqrt(dW.shape[1])")

# pytorch/pytorch#1631, apache/mxnet#9172
right("gather_rows", "(gather, gather_grad), r(4, 5), np.array([[0, 0, 3], [1, 4, 1], [2, 2, 2], [3, 0, 1]])", '''
def gather(x, index):
    return np.take_along_axis(x, index, axis=1), (x.shape, index)

def gather_grad(dy, cache):
    shape, index = cache
    dx = np.zeros(shape)
    for i in range(shape[0]):
        for j, place in enumerate(index[i]):
            dx[i, place] += dy[i, j]
    return dx
''')
wrong("repeated-index|overlap-overwritten|lost-branch", "dx[i, place] += dy[i, j]", "dx[i, place] = dy[i, j]")

# pocketpy/cTensor#24 (mean over a dimension), scatter-mean questions
right("segment_mean", "SegmentMean(4), r(7, 3), np.array([0, 2, 2, 1, 0, 2, 3])", '''
class SegmentMean:
    def __init__(self, segments):
        self.segments = segments

    def forward(self, x, owner):
        self.owner = owner
        self.count = np.bincount(owner, minlength=self.segments)
        total = np.zeros((self.segments, x.shape[1]))
        np.add.at(total, owner, x)
        return total / self.count[:, None]

    def backward(self, dout):
        share = dout / self.count[:, None]
        return share[self.owner]
''')
wrong("scaled-by-N|divided-by-N|wrong-local-derivative", "share = dout / self.count[:, None]", "share = dout / self.segments")

# Theano/Theano#5317, chainer/chainer#4523
right("cumprod", "Cumprod(), signs(5, 4)", '''
class Cumprod:
    def forward(self, x):
        self.x, self.y = x, np.cumprod(x, axis=1)
        return self.y

    def backward(self, gy):
        later = np.cumsum((gy * self.y)[:, ::-1], axis=1)[:, ::-1]
        return later / self.x
''')
wrong("missing-transpose|flipped-kernel|unrecognised", "np.cumsum((gy * self.y)[:, ::-1], axis=1)[:, ::-1]", "np.cumsum(gy * self.y, axis=1)")

# gradients through a sort (questions on np.argsort and its inverse)
right("ordered_weights", "OrderedWeights(r(5)), apart(6, 5)", '''
class OrderedWeights:
    """A weight for the smallest, one for the second smallest, ..."""
    def __init__(self, w):
        self.w, self.dw = w, np.zeros_like(w)

    def forward(self, x):
        self.x = x
        self.perm = np.argsort(x, axis=1)
        self.ranked = np.take_along_axis(x, self.perm, axis=1)
        return self.ranked * self.w

    def backward(self, dout):
        self.dw[:] = (dout * self.ranked).sum(axis=0)
        d_ranked = dout * self.w
        back = np.argsort(self.perm, axis=1)
        return np.take_along_axis(d_ranked, back, axis=1)
''')
wrong("missing-transpose|wrong-reshape", "back = np.argsort(self.perm, axis=1)", "back = self.perm")
wrong("stale-cache", "(dout * self.ranked).sum(axis=0)", "(dout * self.x).sum(axis=0)")

# ------------------------------------------------------------------------------------------ gates, parts, and the rest
# PaulGitt on ageron/handson-ml#173, timomernick/pytorch-capsule#8
right("capsule_squash", "Squash(), r(4, 3, 5)", '''
class Squash:
    """s |s| / (1 + |s|²), along the last axis."""
    params, grads = [], []

    def forward(self, s):
        self.s = s
        self.sq = (s ** 2).sum(-1, keepdims=True)
        self.mag = np.sqrt(self.sq)
        self.factor = self.mag / (1 + self.sq)
        return self.factor * s

    def backward(self, dv):
        d_factor = (dv * self.s).sum(-1, keepdims=True)
        d_mag = d_factor * (1 - self.sq) / (1 + self.sq) ** 2
        return dv * self.factor + d_mag * self.s / self.mag
''')
wrong("constant-statistics|lost-branch", "dv * self.factor + d_mag * self.s / self.mag", "dv * self.factor")
wrong("wrong-local-derivative|wrong-sign", "(1 - self.sq) / (1 + self.sq) ** 2", "(1 + self.sq) / (1 + self.sq) ** 2")

# ooples/AiDotNet#1080, jingyaogong/minimind#859, huggingface/transformers#48687
right("mixture_top2", "TopTwo(r(3, 4), r(4, 3, 2)), r(6, 3)", '''
class TopTwo:
    """Each row goes to two of four experts; their softmax weights are made to sum to one."""
    def __init__(self, router, experts):
        self.params = [router, experts]
        self.grads = [np.zeros_like(router), np.zeros_like(experts)]

    def forward(self, x):
        router, experts = self.params
        self.x = x
        logits = x @ router
        self.top = np.argsort(logits, axis=1)[:, -2:]
        e = np.exp(np.take_along_axis(logits, self.top, axis=1))
        self.weight = e / e.sum(axis=1, keepdims=True)
        self.each = np.einsum("ni,nkio->nko", x, experts[self.top])
        return np.einsum("nk,nko->no", self.weight, self.each)

    def backward(self, dout):
        router, experts = self.params
        d_weight = np.einsum("no,nko->nk", dout, self.each)
        d_top = self.weight * (d_weight - (self.weight * d_weight).sum(axis=1, keepdims=True))
        d_logits = np.zeros((len(dout), router.shape[1]))
        np.put_along_axis(d_logits, self.top, d_top, axis=1)
        d_each = self.weight[:, :, None] * dout[:, None, :]
        self.grads[0][...] = self.x.T @ d_logits
        self.grads[1][...] = 0
        np.add.at(self.grads[1], self.top, np.einsum("ni,nko->nkio", self.x, d_each))
        dx = np.einsum("nko,nkio->ni", d_each, experts[self.top])
        return dx + d_logits @ router.T
''')
wrong("lost-branch", "return dx + d_logits @ router.T", "return dx")
wrong("constant-statistics|lost-branch", "(d_weight - (self.weight * d_weight).sum(axis=1, keepdims=True))", "d_weight")

# mlpack/mlpack#1761 (highway)
right("highway", "Highway(r(4, 4), r(4, 4), r(4)), r(6, 4)", '''
class Highway:
    def __init__(self, WH, WT, bT):
        self.params = {"WH": WH, "WT": WT, "bT": bT}
        self.grads = {}

    def forward(self, x):
        p = self.params
        self.x = x
        self.H = np.tanh(x @ p["WH"])
        self.T = 1 / (1 + np.exp(-(x @ p["WT"] + p["bT"])))
        return self.T * self.H + (1 - self.T) * x

    def backward(self, dout):
        p, x, H, T = self.params, self.x, self.H, self.T
        dH = dout * T * (1 - H ** 2)
        dT = dout * (H - x) * T * (1 - T)
        self.grads["WH"] = x.T @ dH
        self.grads["WT"] = x.T @ dT
        self.grads["bT"] = dT.sum(0)
        carried = dout * (1 - T)
        return carried + dH @ p["WH"].T + dT @ p["WT"].T
''')
wrong("lost-branch|wrong-local-derivative", "dT = dout * (H - x) * T", "dT = dout * H * T")

# questions on tied autoencoders
right("tied_autoencoder", "Tied(r(4, 4), r(4)), r(6, 4)", '''
class Tied:
    def __init__(self, W, b):
        self.W, self.b = W, b
        self.dW, self.db = np.zeros_like(W), np.zeros_like(b)

    def forward(self, x):
        self.x = x
        self.code = np.tanh(x @ self.W + self.b)
        return self.code @ self.W.T

    def backward(self, dout):
        of_decoder = dout.T @ self.code
        d_code = dout @ self.W * (1 - self.code ** 2)
        of_encoder = self.x.T @ d_code
        self.dW[...] = of_decoder + of_encoder
        self.db[...] = d_code.sum(axis=0)
        return d_code @ self.W.T
''')
wrong("lost-branch", "self.dW[...] = of_decoder + of_encoder", "self.dW[...] = of_encoder")
wrong("missing-transpose", "of_decoder = dout.T @ self.code", "of_decoder = self.code.T @ dout")

# dmlc/dgl#148, MeetUo and others on tkipf/gcn#142
right("graph_conv", "GraphConv(share(5, 5), r(3, 4)), r(5, 3)", '''
class GraphConv:
    """A is not symmetric: each row is divided by its own degree."""
    def __init__(self, A, W):
        self.A = A
        self.params, self.grads = {"W": W}, {}

    def forward(self, X):
        self.AX = self.A @ X
        self.Z = self.AX @ self.params["W"]
        return np.maximum(self.Z, 0)

    def backward(self, dY):
        dZ = dY * (self.Z > 0)
        self.grads["W"] = self.AX.T @ dZ
        return self.A.T @ dZ @ self.params["W"].T
''')
wrong("missing-transpose", "return self.A.T @ dZ", "return self.A @ dZ")

# the inverted dropout of CS231n solutions
right("dropout_seeded", "Dropout(0.6), r(6, 5)", '''
class Dropout:
    """keep: the share that stays. The seed makes every forward draw alike."""
    def __init__(self, keep, seed=3):
        self.keep, self.seed = keep, seed

    def forward(self, x):
        self.rng = np.random.default_rng(self.seed)
        self.mask = self.rng.random(x.shape) < self.keep
        return x * self.mask / self.keep

    def backward(self, dout):
        return dout * self.mask / self.keep
''')
wrong("dropout-scale", "return dout * self.mask / self.keep", "return dout * self.mask")
# drawn anew: another mask than forward's
wrong("stale-cache|nondeterministic|dropout-scale|missing-mask", "return dout * self.mask / self.keep",
      "return dout * (self.rng.random(dout.shape) < self.keep) / self.keep")

# NVIDIA/apex#1430, NVIDIA/caffe#523
right("residual_block", "Residual(r(4, 4), r(4)), r(6, 4)", '''
class Residual:
    def __init__(self, W, b):
        self.params, self.grads = [W, b], [np.zeros_like(W), np.zeros_like(b)]

    def forward(self, x):
        self.x = x
        z = x @ self.params[0] + self.params[1]
        self.mask = z > 0
        return x + z * self.mask

    def backward(self, dout):
        d = dout.copy()
        d *= self.mask
        self.grads[0][...] = self.x.T @ d
        self.grads[1][...] = d.sum(axis=0)
        return dout + d @ self.params[0].T
''')
# dout itself is masked, and so the way past the block is, too
wrong("mutates-input", "d = dout.copy()", "d = dout")
# the number is right, but grads[1] is another array afterwards
wrong("rebound-grads", "self.grads[1][...] = d.sum(axis=0)", "self.grads[1] = d.sum(axis=0)")

# andersbll/nnet#4, chainer/chainer#261, thtrieu/qclass_dl#3
right("elastic_regression", "ElasticNet(signs(4, 1), r(1)), r(7, 4), r(7, 1)", '''
class ElasticNet:
    """Mean of squares, and a penalty on the weights alone."""
    l1, l2 = 0.2, 0.5

    def __init__(self, W, b):
        self.params = {"W": W, "b": b}

    def loss(self, X, y):
        W, b = self.params["W"], self.params["b"]
        err = X @ W + b - y
        value = (err ** 2).mean() + self.l1 * np.abs(W).sum() + 0.5 * self.l2 * (W ** 2).sum()
        d = 2 * err / len(y)
        dW = X.T @ d
        dW += self.l1 * np.sign(W)
        dW += self.l2 * W
        return value, {"W": dW, "b": d.sum(axis=0)}
''')
wrong("wrong-penalty|wrong-sign", "dW += self.l2 * W", "dW -= self.l2 * W")
wrong("wrong-penalty", "self.l1 * np.sign(W)", "self.l1")
wrong("wrong-penalty", '"b": d.sum(axis=0)}', '"b": d.sum(axis=0) + self.l2 * b}')

# linkedin/Liger-Kernel#272 (#1251): the output of one layer is changed in place by the next
right("two_layers_in_one", "Model(), r(6, 4)", '''
class Exp:
    params, grads = [], []

    def forward(self, x):
        self.y = np.exp(x)
        return self.y

    def backward(self, dy):
        return dy * self.y


class Normalise:
    params, grads = [], []

    def forward(self, e):
        total = e.sum(axis=1, keepdims=True)
        self.p, self.total = e / total, total
        return self.p

    def backward(self, dp):
        return (dp - (dp * self.p).sum(axis=1, keepdims=True)) / self.total


class Model:
    params, grads = [], []

    def __init__(self):
        self.exp, self.normalise = Exp(), Normalise()

    def forward(self, x):
        e = self.exp.forward(x)
        e = e + 0.1
        return self.normalise.forward(e)

    def backward(self, dout):
        return self.exp.backward(self.normalise.backward(dout))
''')
wrong("mutates-cache", "        e = e + 0.1\n", "        e += 0.1\n")

# ------------------------------------------------------------------------------------------ right, of an unusual make
odd("odd_conv_windows", "StridedViews(r(3, 2, 2, 3), r(3)), r(2, 2, 4, 5)", '''
class StridedViews:
    """Convolution by a view of all windows and one einsum; back by the full correlation with turned kernels."""
    def __init__(self, w, b):
        self.w, self.b = w, b
        self.dw, self.db = np.zeros_like(w), np.zeros_like(b)

    def forward(self, x):
        self.win = np.lib.stride_tricks.sliding_window_view(x, self.w.shape[2:], axis=(2, 3))
        return np.einsum("nchwij,fcij->nfhw", self.win, self.w, optimize=True) + self.b[:, None, None]

    def backward(self, dy):
        kh, kw = self.w.shape[2:]
        np.einsum("nchwij,nfhw->fcij", self.win, dy, out=self.dw)
        self.db[:] = np.einsum("nfhw->f", dy)
        wide = np.pad(dy, ((0, 0), (0, 0), (kh - 1, kh - 1), (kw - 1, kw - 1)))
        seen = np.lib.stride_tricks.sliding_window_view(wide, (kh, kw), axis=(2, 3))
        return np.einsum("nfhwij,fcij->nchw", seen, self.w[:, :, ::-1, ::-1])
''')

odd("odd_in_place", "InPlaceElu(), r(5, 4)", '''
class InPlaceElu:
    """Works in place, but only on arrays of its own."""
    params = []
    grads = []

    def forward(self, x):
        y = np.array(x)
        low = y < 0
        np.expm1(y, out=y, where=low)
        self.slope = np.ones_like(y)
        self.slope[low] += y[low]
        return y

    def backward(self, dout):
        out = np.array(dout)
        out *= self.slope
        return out
''')

odd("odd_columns_deep", "LLayer([r(4, 3), r(3, 4), r(1, 3)], [r(4, 1), r(3, 1), r(1, 1)]), r(3, 6), ids(2, 1, 6)", '''
class LLayer:
    """Samples in columns; any depth; caches in a list."""
    def __init__(self, Ws, bs):
        self.L = len(Ws)
        self.params = {f"W{l + 1}": W for l, W in enumerate(Ws)} | {f"b{l + 1}": b for l, b in enumerate(bs)}
        self.grads = {}

    def forward(self, X, Y):
        A, self.caches, self.Y = X, [], Y
        for l in range(1, self.L + 1):
            Z = np.dot(self.params[f"W{l}"], A) + self.params[f"b{l}"]
            self.caches.append((A, Z))
            A = np.tanh(Z) if l < self.L else 1 / (1 + np.exp(-Z))
        self.AL = A
        return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))

    def backward(self, dout=1.0):
        m = self.Y.shape[1]
        dZ = dout * (self.AL - self.Y)
        for l in reversed(range(1, self.L + 1)):
            A_prev, _ = self.caches[l - 1]
            self.grads[f"W{l}"] = 1 / m * dZ @ A_prev.T
            self.grads[f"b{l}"] = 1 / m * dZ.sum(axis=1, keepdims=True)
            dA = self.params[f"W{l}"].T @ dZ
            if l > 1:
                dZ = dA * (1 - np.tanh(self.caches[l - 2][1]) ** 2)
        return dA / m
''')

odd("odd_single_sequence", "Elman(r(3, 2), 0.5 * r(3, 3)), r(5, 2)", '''
class Elman:
    """One sequence; only the last state comes out."""
    def __init__(self, U, V):
        self.params, self.grads = [U, V], [np.zeros_like(U), np.zeros_like(V)]

    def forward(self, seq):
        self.trace = [(None, np.zeros(3))]
        for x in seq:
            self.trace.append((x, np.sin(self.params[0] @ x + self.params[1] @ self.trace[-1][1])))
        return self.trace[-1][1].copy()

    def backward(self, d):
        for g in self.grads:
            g.fill(0.0)
        back = []
        while len(self.trace) - len(back) > 1:
            k = len(self.trace) - len(back) - 1
            x, h = self.trace[k][0], self.trace[k - 1][1]
            d = d * np.cos(self.params[0] @ x + self.params[1] @ h)
            self.grads[0] += np.outer(d, x)
            self.grads[1] += np.outer(d, h)
            back.append(self.params[0].T @ d)
            d = self.params[1].T @ d
        return np.stack(back[::-1])
''')

odd("odd_kink_avoided", "TotalVariation(), apart(4, 7)", '''
class TotalVariation:
    """The sum of the steps' sizes in each row."""
    def forward(self, x):
        self.step = np.sign(np.diff(x, axis=1))
        return np.abs(np.diff(x, axis=1)).sum(axis=1)

    def backward(self, dout):
        d = dout[:, None] * self.step
        return np.pad(d, ((0, 0), (1, 0))) - np.pad(d, ((0, 0), (0, 1)))
''')

odd("odd_kink_met", "(relu, relu_grad), np.array([[0.0, -1.2, 0.7], [2.1, 0.0, -0.4], [0.5, 0.3, 0.0]])", '''
def relu(x):
    """Some inputs are exactly zero."""
    return np.where(x > 0, x, 0.0), x

def relu_grad(g, x):
    return np.where(x > 0, g, 0.0)
''')

odd("odd_kink_met_ties", "MaxOfRow(), np.array([[1.0, 2.0, 2.0], [0.3, -0.4, 0.1], [5.0, 4.0, 3.0]])", '''
class MaxOfRow:
    """Two entries tie; the first of them gets it all."""
    params, grads = [], []

    def forward(self, x):
        self.shape, self.best = x.shape, x.argmax(axis=1)
        return x.max(axis=1)

    def backward(self, dout):
        dx = np.zeros(self.shape)
        dx[np.arange(len(dx)), self.best] = dout
        return dx
''')

odd("odd_many_outputs", "(moments, moments_back), r(6, 4)", '''
def moments(x):
    """Mean, variance and what is left, each an output of its own."""
    mean = x.mean(axis=0)
    rest = x - mean
    return mean, (rest ** 2).mean(axis=0), rest, (rest,)

def moments_back(d_mean, d_var, d_rest, cache):
    rest, = cache
    n = rest.shape[0]
    dx = d_rest + 2 * rest * d_var / n
    return dx - dx.mean(axis=0) + d_mean / n
''')

odd("odd_bag_of_words", "EmbeddingBag(r(7, 3)), np.array([4, 1, 1, 6, 0, 4, 4]), np.array([0, 3, 3, 5])", '''
class EmbeddingBag:
    """Ids one after the other, and where each bag begins; a bag may be empty."""
    def __init__(self, table):
        self.params, self.grads = {"table": table}, {"table": np.zeros_like(table)}

    def forward(self, ids, offsets):
        ends = list(offsets[1:]) + [len(ids)]
        self.bags = [ids[a:b] for a, b in zip(offsets, ends)]
        return np.array([self.params["table"][bag].sum(axis=0) for bag in self.bags])

    def backward(self, dout):
        g = self.grads["table"]
        g *= 0
        for row, bag in zip(dout, self.bags):
            for i in bag:
                g[i] += row
''')

odd("odd_closure", "(linear, run_backprop), r(6, 3), r(4, 3), r(4)", '''
def linear(X, W, b):
    """The cache is a function."""
    def backprop(dY):
        return dY @ W, dY.T @ X, dY.sum(axis=0)
    return X @ W.T + b, backprop

def run_backprop(dY, backprop):
    return backprop(dY)
''')

odd("odd_loss_and_grads", "TwoLayerNet(r(4, 5), r(5), r(5, 3), r(3)), r(6, 4), ids(3, 6)", '''
class TwoLayerNet:
    def __init__(self, W1, b1, W2, b2, reg=0.1):
        self.params = dict(W1=W1, b1=b1, W2=W2, b2=b2)
        self.reg = reg

    def loss(self, X, y=None):
        W1, b1, W2, b2 = (self.params[k] for k in ("W1", "b1", "W2", "b2"))
        hidden = np.maximum(0, X @ W1 + b1)
        scores = hidden @ W2 + b2
        if y is None:
            return scores
        N = X.shape[0]
        probs = np.exp(scores - scores.max(axis=1, keepdims=True))
        probs /= probs.sum(axis=1, keepdims=True)
        loss = -np.log(probs[range(N), y]).mean() + self.reg * (np.sum(W1 * W1) + np.sum(W2 * W2))
        grads = {}
        dscores = probs
        dscores[range(N), y] -= 1
        dscores /= N
        grads["W2"] = hidden.T @ dscores + 2 * self.reg * W2
        grads["b2"] = dscores.sum(axis=0)
        dhidden = dscores @ W2.T
        dhidden[hidden <= 0] = 0
        grads["W1"] = X.T @ dhidden + 2 * self.reg * W1
        grads["b1"] = dhidden.sum(axis=0)
        return loss, grads
''')

odd("odd_running_statistics", "RunningNorm(r(3), r(3)), r(7, 3)", '''
class RunningNorm:
    """Keeps running averages and a count of its calls; what it gives in training does not depend on them."""
    momentum = 0.9

    def __init__(self, gamma, beta):
        self.gamma, self.beta = gamma, beta
        self.dgamma, self.dbeta = np.zeros_like(gamma), np.zeros_like(beta)
        self.running_mean, self.running_var, self.calls = np.zeros(3), np.ones(3), 0
        self.train = True

    def forward(self, x):
        self.calls += 1
        if self.train:
            mean, var = x.mean(0), x.var(0)
            self.running_mean = self.momentum * self.running_mean + (1 - self.momentum) * mean
            self.running_var = self.momentum * self.running_var + (1 - self.momentum) * var
        else:
            mean, var = self.running_mean, self.running_var
        self.std = np.sqrt(var + 1e-7)
        self.xn = (x - mean) / self.std
        return self.gamma * self.xn + self.beta

    def backward(self, dout):
        n = dout.shape[0]
        self.dbeta = dout.sum(axis=0)
        self.dgamma = (self.xn * dout).sum(axis=0)
        return self.gamma / self.std / n * (n * dout - self.dbeta - self.xn * self.dgamma)
''')

odd("odd_layer_in_layer", "Scaled(Inner(r(3, 3)), np.array(0.7)), r(5, 3)", '''
class Inner:
    def __init__(self, W):
        self.params, self.grads = [W], [np.zeros_like(W)]

    def forward(self, x):
        self.x, self.y = x, np.arctan(x @ self.params[0])
        return self.y

    def backward(self, dy):
        dz = dy / (1 + np.tan(self.y) ** 2)
        self.grads[0][...] = self.x.T @ dz
        return dz @ self.params[0].T


class Scaled:
    """x + a f(x), with a number a (an array without axes) that is learned."""
    def __init__(self, inner, a):
        self.inner, self.a = inner, a
        self.params = inner.params + [a]
        self.grads = inner.grads + [np.zeros_like(a)]

    def forward(self, x):
        self.fx = self.inner.forward(x)
        return x + self.a * self.fx

    def backward(self, dout):
        self.grads[-1][...] = np.vdot(dout, self.fx)
        return dout + self.inner.backward(self.a * dout)
''')

odd("odd_even_glu", "GatedHalves(), r(5, 6)", '''
class GatedHalves:
    """The number of features must be even."""
    def forward(self, x):
        assert x.shape[1] % 2 == 0
        self.v, gate = np.split(x, 2, axis=1)
        self.s = 1 / (1 + np.exp(-gate))
        return self.v * self.s

    def backward(self, d):
        return np.hstack([d * self.s, d * self.v * self.s * (1 - self.s)])
''')

odd("odd_power_spectrum", "(spectrum, spectrum_back), r(3, 8)", '''
def spectrum(x):
    """|FFT|² of an even number of samples; inside, the numbers are complex."""
    X = np.fft.rfft(x, axis=1)
    return X.real ** 2 + X.imag ** 2, (X, x.shape[1])

def spectrum_back(dP, cache):
    X, n = cache
    k = np.arange(X.shape[1])[:, None] * np.arange(n)
    return 2 * ((dP * X.real) @ np.cos(2 * np.pi * k / n) - (dP * X.imag) @ np.sin(2 * np.pi * k / n))
''')

odd("odd_solve", "Solve(r(4, 4) + 3 * np.eye(4)), r(4, 3)", '''
class Solve:
    """A^-1 B, and log |det A| next to it."""
    def __init__(self, A):
        self.params, self.grads = [A], [np.zeros_like(A)]

    def forward(self, B):
        A, = self.params
        self.X = np.linalg.solve(A, B)
        return self.X, np.linalg.slogdet(A)[1], (A.copy(), self.X.copy())

    def backward(self, dX, dlogdet, cache):
        A, X = cache
        dB = np.linalg.solve(A.T, dX)
        self.grads[0][...] = dlogdet * np.linalg.inv(A).T - dB @ X.T
        return dB
''')

odd("odd_lengths", "MaskedMean(), r(4, 5, 3), np.array([5, 2, 3, 1])", '''
class MaskedMean:
    """Sequences of different lengths, filled up; what lies beyond the length does not count."""
    def forward(self, x, lengths):
        self.use = (np.arange(x.shape[1]) < lengths[:, None]) / lengths[:, None]
        return (x * self.use[:, :, None]).sum(axis=1)

    def backward(self, dout):
        return self.use[:, :, None] * dout[:, None, :]
''')

odd("odd_slope_in_forward", "Mish(), r(6, 3)", '''
class Mish:
    """The derivative is worked out while going forward, with a step in the complex plane."""
    params, grads = [], []

    @staticmethod
    def f(z):
        e = np.exp(z)
        n = e * e + 2 * e
        return z * n / (n + 2)

    def forward(self, x):
        self.slope = self.f(x + 1e-30j).imag / 1e-30
        return self.f(x)

    def backward(self, dout):
        return np.multiply(dout, self.slope)
''')

odd("odd_ids_first", "Lookup(), ids(4, 5), r(4, 3)", '''
class Lookup:
    """The table is an input, and comes after the ids."""
    def forward(self, ids, table):
        self.ids, self.rows = ids, len(table)
        return table[ids]

    def backward(self, dout):
        one_hot = np.equal.outer(np.arange(self.rows), self.ids).astype(float)
        return None, one_hot @ dout
''')

odd("odd_forward_again", "Checkpointed(r(3, 3), r(3, 3)), r(5, 3)", '''
class Checkpointed:
    """Keeps the input alone and goes forward once more on the way back."""
    def __init__(self, A, B):
        self.params, self.grads = {"A": A, "B": B}, {}

    def steps(self, x):
        yield x
        h = np.tanh(x @ self.params["A"])
        yield h
        yield np.tanh(h @ self.params["B"])

    def forward(self, x):
        self.x = x.copy()
        *_, last = self.steps(x)
        return last

    def backward(self, dout):
        x, h, y = self.steps(self.x)
        d2 = dout * (1 - y * y)
        self.grads["B"] = h.T @ d2
        d1 = (d2 @ self.params["B"].T) * (1 - h * h)
        self.grads["A"] = x.T @ d1
        return d1 @ self.params["A"].T
''')

odd("odd_tape", "Taped(r(4, 3), r(3)), r(5, 4)", '''
class Taped:
    """Each step puts its way back on a tape."""
    def __init__(self, w, s):
        self.params, self.grads = [w, s], [np.zeros_like(w), np.zeros_like(s)]

    def forward(self, x):
        w, s = self.params
        tape = []

        z = x @ w
        def undo_product(d):
            self.grads[0][...] = x.T @ d
            return d @ w.T
        tape.append(undo_product)

        y = z * z * z
        tape.append(lambda d: 3 * z * z * d)

        def undo_scale(d):
            self.grads[1][...] = (d * y).sum(axis=0)
            return d * s
        tape.append(undo_scale)
        self.tape = tape
        return y * s

    def backward(self, d):
        for undo in reversed(self.tape):
            d = undo(d)
        return d
''')

odd("odd_triple_loops", "(pairwise, pairwise_grad), r(4, 3), r(5, 3)", '''
def pairwise(a, b):
    """Squared distances of all pairs, number by number."""
    n, m, k = len(a), len(b), len(a[0])
    out = np.zeros((n, m))
    for i in range(n):
        for j in range(m):
            for l in range(k):
                out[i, j] += (a[i, l] - b[j, l]) ** 2
    return out, (a, b)

def pairwise_grad(d, cache):
    a, b = cache
    da, db = np.zeros(a.shape), np.zeros(b.shape)
    for i in range(len(a)):
        for j in range(len(b)):
            for l in range(a.shape[1]):
                piece = 2 * (a[i, l] - b[j, l]) * d[i, j]
                da[i, l] += piece
                db[j, l] -= piece
    return da, db
''')

odd("odd_trilinear", "Trilinear(r(2, 3, 4, 2)), r(5, 2), r(5, 3), r(5, 4)", '''
class Trilinear:
    def __init__(self, core):
        self.core = core
        self.dcore = np.zeros_like(core)

    def forward(self, a, b, c):
        self.abc = a, b, c
        return np.einsum("na,nb,nc,abco->no", a, b, c, self.core)

    def backward(self, d):
        a, b, c = self.abc
        self.dcore[...] = np.einsum("na,nb,nc,no->abco", a, b, c, d)
        return (np.einsum("no,nb,nc,abco->na", d, b, c, self.core),
                np.einsum("no,na,nc,abco->nb", d, a, c, self.core),
                np.einsum("no,na,nb,abco->nc", d, a, b, self.core))
''')

odd("odd_chain_crf", "CRF(r(3, 3)), r(5, 3), np.array([0, 2, 1, 1, 0])", '''
def logsumexp(a, axis):
    top = a.max(axis=axis, keepdims=True)
    return np.log(np.exp(a - top).sum(axis=axis)) + top.squeeze(axis)


class CRF:
    """The negative log-likelihood of a path of tags in one sentence."""
    def __init__(self, transitions):
        self.params, self.grads = {"T": transitions}, {}

    def forward(self, emissions, tags):
        T = self.params["T"]
        self.e, self.tags, self.alpha = emissions, tags, [emissions[0]]
        for e in emissions[1:]:
            self.alpha.append(e + logsumexp(self.alpha[-1][:, None] + T, 0))
        self.logZ = logsumexp(self.alpha[-1], 0)
        path = emissions[np.arange(len(tags)), tags].sum() + T[tags[:-1], tags[1:]].sum()
        return self.logZ - path

    def backward(self, dout=1.0):
        T, n = self.params["T"], len(self.e)
        beta = [np.zeros(len(T))]
        for e in self.e[:0:-1]:
            beta.insert(0, logsumexp(T + (e + beta[0])[None, :], 1))
        de, dT = np.zeros_like(self.e), np.zeros_like(T)
        for t in range(n):
            de[t] = np.exp(self.alpha[t] + beta[t] - self.logZ)
            de[t, self.tags[t]] -= 1
            if t:
                dT += np.exp(self.alpha[t - 1][:, None] + T + (self.e[t] + beta[t])[None] - self.logZ)
                dT[self.tags[t - 1], self.tags[t]] -= 1
        self.grads["T"] = dout * dT
        return dout * de
''')

odd("odd_recursive_tree", "TreeSum(0.6 * r(3, 6), r(3)), r(4, 3)", '''
class TreeSum:
    """The leaves are joined two by two, by one and the same layer, until one vector is left."""
    def __init__(self, W, b):
        self.W, self.b = W, b
        self.dW, self.db = np.zeros_like(W), np.zeros_like(b)

    def up(self, leaves):
        if len(leaves) == 1:
            return leaves[0], ()
        half = len(leaves) // 2
        left, of_left = self.up(leaves[:half])
        right, of_right = self.up(leaves[half:])
        both = np.concatenate([left, right])
        out = np.tanh(self.W @ both + self.b)
        return out, (out, both, of_left, of_right)

    def down(self, d, node):
        if not node:
            return [d]
        out, both, of_left, of_right = node
        dz = d * (1 - out ** 2)
        self.dW += np.outer(dz, both)
        self.db += dz
        dl, dr = np.split(self.W.T @ dz, 2)
        return self.down(dl, of_left) + self.down(dr, of_right)

    def forward(self, x):
        y, self.tree = self.up(x)
        return y

    def backward(self, dy):
        self.dW[...] = self.db[...] = 0
        return np.array(self.down(dy, self.tree))
''')

odd("odd_used_twice", "Siamese(r(4, 3)), r(6, 4), r(6, 4)", '''
class Siamese:
    """One weight for both inputs."""
    def __init__(self, W):
        self.W, self.dW = W, np.zeros_like(W)

    def encode(self, x):
        y = np.tanh(x @ self.W)
        def back(dy):
            dz = dy * (1 - y ** 2)
            self.dW += x.T @ dz
            return dz @ self.W.T
        return y, back

    def forward(self, left, right):
        (a, self.back_a), (b, self.back_b) = self.encode(left), self.encode(right)
        self.diff = a - b
        return (self.diff ** 2).sum(axis=1)

    def backward(self, dout):
        self.dW[...] = 0
        d = 2 * dout[:, None] * self.diff
        return self.back_a(d), self.back_b(-d)
''')

odd("odd_haar_levels", "Haar(2), r(3, 8)", '''
class Haar:
    """Two levels of the Haar transform; the length must be a multiple of four. An orthogonal map: back is its inverse."""
    def __init__(self, levels):
        self.levels = levels

    def forward(self, x):
        out, n = x.astype(float), x.shape[1]
        for _ in range(self.levels):
            a, b = out[:, 0:n:2].copy(), out[:, 1:n:2].copy()
            out[:, :n // 2], out[:, n // 2:n] = (a + b) / np.sqrt(2), (a - b) / np.sqrt(2)
            n //= 2
        return out

    def backward(self, dout):
        d, n = dout.copy(), dout.shape[1] >> self.levels
        for _ in range(self.levels):
            s, t = d[:, :n].copy(), d[:, n:2 * n].copy()
            d[:, 0:2 * n:2], d[:, 1:2 * n:2] = (s + t) / np.sqrt(2), (s - t) / np.sqrt(2)
            n *= 2
        return d
''')

odd("odd_fixed_noise", "NoisyGate(0.3), r(6, 4)", '''
class NoisyGate:
    """A generator with a fixed seed, made anew at each forward; noise is added and some entries are dropped."""
    def __init__(self, p):
        self.p = p

    def forward(self, x):
        rng = np.random.RandomState(11)
        self.keep = (rng.uniform(size=x.shape) >= self.p) / (1 - self.p)
        self.gain = 1 + 0.1 * rng.standard_normal(x.shape)
        return x * self.keep * self.gain

    def backward(self, dout):
        return dout * self.keep * self.gain
''')

odd("odd_unrolled_optimiser", "Unrolled(r(4, 3), np.array(0.1)), r(4, 2)", '''
class Unrolled:
    """Three steps of gradient descent on |A z - x|² / 2 from z = 0, with a step size that is learned."""
    def __init__(self, A, step):
        self.params, self.grads = [A, step], [np.zeros_like(A), np.zeros_like(step)]

    def forward(self, x):
        A, step = self.params
        self.x, self.zs = x, [np.zeros((A.shape[1], x.shape[1]))]
        for _ in range(3):
            z = self.zs[-1]
            self.zs.append(z - step * A.T @ (A @ z - x))
        return self.zs[-1]

    def backward(self, dz):
        A, step = self.params
        dA, dstep, dx = np.zeros_like(A), 0.0, 0
        for z in self.zs[-2::-1]:
            r = A @ z - self.x
            dstep -= (dz * (A.T @ r)).sum()
            dr = -step * A @ dz
            dA += -step * r @ dz.T + dr @ z.T
            dx = dx - dr
            dz = dz + A.T @ dr
        self.grads[0][...], self.grads[1][...] = dA, dstep
        return dx
''')

odd("odd_factorisation_machine", "FM(r(5), r(5, 2)), r(7, 5)", '''
class FM:
    """x w + the products of all pairs of features, by the trick with the square of the sum."""
    def __init__(self, w, V):
        self.w, self.V = w, V

    def forward(self, x):
        self.x, self.xv = x, x @ self.V
        return x @ self.w + 0.5 * (self.xv ** 2 - x ** 2 @ self.V ** 2).sum(axis=1)

    def backward(self, dy):
        col = dy[:, None]
        self.dw = self.x.T @ dy
        self.dV = self.x.T @ (col * self.xv) - (self.x ** 2 * col).sum(0)[:, None] * self.V
        return col * (self.w + self.xv @ self.V.T - self.x * (self.V ** 2).sum(axis=1))
''')

odd("odd_group_of_lists", "Depthwise([r(3), r(3)], np.array([0.5, -1.5])), r(4, 2, 6)", '''
class Depthwise:
    """A filter of its own for each channel, by np.convolve; the filters are a list."""
    def __init__(self, filters, bias):
        self.params = [*filters, bias]
        self.grads = [np.zeros_like(p) for p in self.params]

    def forward(self, x):
        self.x = x
        *filters, bias = self.params
        return np.array([[np.convolve(row, f, mode="valid") + b for row, f, b in zip(sample, filters, bias)] for sample in x])

    def backward(self, dout):
        *filters, _ = self.params
        dx = np.empty_like(self.x)
        for g in self.grads:
            g[...] = 0
        for n, sample in enumerate(dout):
            for c, d in enumerate(sample):
                dx[n, c] = np.convolve(d, filters[c][::-1], mode="full")
                self.grads[c] += np.convolve(self.x[n, c], d[::-1], mode="valid")[::-1]
                self.grads[-1][c] += d.sum()
        return dx
''')
