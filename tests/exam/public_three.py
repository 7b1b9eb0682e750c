"""Mistakes that were asked about or mended in public, rebuilt in a few lines each: third set."""
from .reading import Cases

CASES = Cases()
right, wrong, odd = CASES.right, CASES.wrong, CASES.odd

# ------------------------------------------------------------------------------------------ dense
right("columns_linear_relu", "(linear_activation_forward, linear_activation_backward), r(4, 5), r(3, 4), r(3, 1)", '''
def linear_activation_forward(A_prev, W, b):
    Z = np.dot(W, A_prev) + b
    return np.maximum(Z, 0), ((A_prev, W, b), Z)

def linear_backward(dZ, linear_cache):
    A_prev, W, b = linear_cache
    dW = np.dot(dZ, A_prev.T)
    db = np.sum(dZ, axis=1, keepdims=True)
    dA_prev = np.dot(W.T, dZ)
    return dA_prev, dW, db

def linear_activation_backward(dA, cache):
    linear_cache, Z = cache
    dZ = np.array(dA, copy=True)
    dZ[Z <= 0] = 0
    return linear_backward(dZ, linear_cache)
''')
wrong("divided-by-N", "np.dot(dZ, A_prev.T)", "np.dot(dZ, A_prev.T) / A_prev.shape[1]")
wrong("summed-too-far", "np.sum(dZ, axis=1, keepdims=True)", "np.full_like(b, np.sum(dZ))")
wrong("missing-mask|stale-cache", "dZ[Z <= 0] = 0", "dZ[dZ <= 0] = 0")
wrong("mutates-input", "np.array(dA, copy=True)", "dA")    # conduct: dA is not what it was after the call

right("step_dense", "FCLayer(r(4, 3), r(1, 3)), r(5, 4)", '''
class FCLayer:
    """backward makes the gradient step itself"""
    def __init__(self, weights, bias):
        self.weights = weights
        self.bias = bias

    def forward(self, input_data):
        self.input = input_data
        self.output = np.dot(self.input, self.weights) + self.bias
        return self.output

    def backward(self, output_error, learning_rate):
        input_error = np.dot(output_error, self.weights.T)
        weights_error = np.dot(self.input.T, output_error)
        bias_error = output_error.sum(axis=0, keepdims=True)

        self.weights = self.weights - learning_rate * weights_error
        self.bias = self.bias - learning_rate * bias_error
        return input_error
''')
wrong("wrong-sign", "self.bias - learning_rate * bias_error", "self.bias + learning_rate * bias_error")
wrong("divided-by-N", "output_error.sum(axis=0, keepdims=True)", "output_error.mean(axis=0, keepdims=True)")
# the weights have been changed by then
wrong("stale-cache", "        return input_error\n", "        return output_error @ self.weights.T\n")

right("tied_autoencoder", "TiedAutoencoder(r(3, 5), r(3), r(5)), r(6, 5)", '''
class TiedAutoencoder(object):

    def __init__(self, W, bh, bv):
        self.W = W
        self.bh = bh
        self.bv = bv
        self.dW = np.zeros_like(W)
        self.dbh = np.zeros_like(bh)
        self.dbv = np.zeros_like(bv)

    def forward(self, v):
        self.v = v
        self.h = 1. / (1. + np.exp(-(v.dot(self.W.T) + self.bh)))
        return self.h.dot(self.W) + self.bv

    def backward(self, dout):
        dh = dout.dot(self.W.T)
        da = dh * self.h * (1. - self.h)
        self.dbv = dout.sum(axis=0)
        self.dbh = da.sum(axis=0)
        # the matrix serves twice: decoder and encoder
        self.dW = self.h.T.dot(dout) + da.T.dot(self.v)
        return da.dot(self.W)
''')
wrong("lost-branch", "self.h.T.dot(dout) + da.T.dot(self.v)", "da.T.dot(self.v)")
wrong("wrong-local-derivative", "dh * self.h * (1. - self.h)", "dh * (1. - self.h ** 2)")
wrong("not-written", "self.dbh = da.sum(axis=0)", "dbh = da.sum(axis=0)")

right("two_layer_loss", "TwoLayerNet(r(4, 5), r(5), r(5, 3), r(3)), r(6, 4), ids(3, 6)", '''
class TwoLayerNet:
    def __init__(self, W1, b1, W2, b2, reg=0.3):
        self.params = dict(W1=W1, b1=b1, W2=W2, b2=b2)
        self.reg = reg

    def loss(self, X, y):
        W1, b1 = self.params["W1"], self.params["b1"]
        W2, b2 = self.params["W2"], self.params["b2"]
        N = X.shape[0]
        # forward
        h1 = np.maximum(0, X.dot(W1) + b1)
        scores = h1.dot(W2) + b2
        scores = scores - scores.max(axis=1, keepdims=True)
        probs = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        loss = -np.log(probs[np.arange(N), y]).sum() / N
        loss += self.reg * (np.sum(W1 * W1) + np.sum(W2 * W2))
        # backward
        grads = {}
        dscores = probs.copy()
        dscores[np.arange(N), y] -= 1
        dscores /= N
        grads["W2"] = h1.T.dot(dscores) + 2 * self.reg * W2
        grads["b2"] = dscores.sum(axis=0)
        dh1 = dscores.dot(W2.T)
        dh1[h1 <= 0] = 0
        grads["W1"] = X.T.dot(dh1) + 2 * self.reg * W1
        grads["b1"] = dh1.sum(axis=0)
        return loss, grads
''')
wrong("wrong-penalty", "+ 2 * self.reg * W2", "+ self.reg * W2")
wrong("missing-label-subtraction|unrecognised", "dscores[np.arange(N), y] -= 1", "dscores[np.arange(N), y - 1] -= 1")
wrong("missing-mask", "        dh1[h1 <= 0] = 0\n", "")
wrong("missing-batch-sum", 'dh1.sum(axis=0)', 'dh1')

right("xor_net", "XorNet(r(2, 3), r(1, 2)), r(3, 4), ids(2, 1, 4)", '''
def sigmoid(x, deriv=False):
    if deriv:
        return x * (1 - x)      # x is the sigmoid's value already
    return 1 / (1 + np.exp(-x))

class XorNet:
    """two weight matrices, samples in columns, half the squared error"""
    def __init__(self, w_0, w_1):
        self.params = [w_0, w_1]
        self.grads = [np.zeros_like(w_0), np.zeros_like(w_1)]

    def forward(self, inputs, label):
        w_0, w_1 = self.params
        self.inputs = inputs
        self.hidden = sigmoid(np.dot(w_0, inputs))
        self.output = sigmoid(np.dot(w_1, self.hidden))
        self.error = self.output - label
        return 0.5 * np.sum(self.error ** 2)

    def backward(self, dout=1.0):
        w_0, w_1 = self.params
        delta = dout * self.error * sigmoid(self.output, True)
        hidden_error = np.dot(w_1.T, delta)
        delta_hidden = hidden_error * sigmoid(self.hidden, True)
        self.grads[1][:] = np.dot(delta, self.hidden.T)
        self.grads[0][:] = np.dot(delta_hidden, self.inputs.T)
        return np.dot(w_0.T, delta_hidden)
''')
wrong("missing-local-derivative|stale-cache", "np.dot(w_1.T, delta)", "np.dot(w_1.T, dout * self.error)")
wrong("wrong-local-derivative|stale-cache", "sigmoid(self.hidden, True)", "sigmoid(np.dot(w_0, self.inputs), True)")
wrong("missing-local-derivative", "np.dot(delta, self.hidden.T)", "np.dot(dout * self.error, self.hidden.T)")
wrong("stale-cache|missing-local-derivative", "delta_hidden = hidden_error * sigmoid(self.hidden, True)",
      "delta_hidden = delta * sigmoid(self.hidden, True)")

# ------------------------------------------------------------------------------------------ activations
right("elu", "ELU(), signs(5, 4)", '''
class ELU:
    def __init__(self, alpha=0.7):
        self.alpha = alpha

    def forward(self, x):
        self.x = x
        self.y = np.where(x >= 0, x, self.alpha * (np.exp(x) - 1))
        return self.y

    def backward(self, dout):
        slope = np.where(self.x >= 0, 1., self.y + self.alpha)
        return dout * slope
''')
wrong("wrong-local-derivative", "self.y + self.alpha", "self.x + self.alpha")
wrong("missing-local-derivative|wrong-local-derivative", "self.y + self.alpha", "1.")
wrong("ignores-upstream", "return dout * slope", "return slope")

right("isrlu", "ISRLU(), signs(4, 5)", '''
class ISRLU:
    """x / sqrt(1 + a x^2) below zero, x above"""
    def __init__(self, a=1.3):
        self.a = a

    def forward(self, tensor):
        negatives = np.minimum(tensor, 0)
        self.nisr = 1 / np.sqrt(1 + self.a * negatives ** 2)
        return tensor * self.nisr

    def backward(self, grad_out):
        return grad_out * self.nisr ** 3
''')
wrong("ignores-upstream", "grad_out * self.nisr ** 3", "self.nisr ** 3")
wrong("wrong-local-derivative|constant-statistics|lost-branch", "self.nisr ** 3", "self.nisr")

right("divide", "(div, div_back), r(4, 3), signs(4, 3)", '''
def div(a, b):
    return a / b, (a, b)

def div_back(dy, cache):
    a, b = cache
    da = dy / b
    db = -dy * a / b ** 2
    return da, db
''')
wrong("wrong-sign", "-dy * a / b ** 2", "dy * a / b ** 2")
wrong("stale-cache|wrong-local-derivative", "da = dy / b", "da = dy / a")
wrong("wrong-local-derivative", "-dy * a / b ** 2", "-dy / b ** 2")

right("product_rows", "Prod(), signs(5, 3)", '''
class Prod:
    def forward(self, x):
        self.x = x
        self.y = np.prod(x, axis=1)
        return self.y

    def backward(self, dout):
        others = self.y[:, None] / self.x
        return dout[:, None] * others
''')
wrong("ignores-upstream", "return dout[:, None] * others", "return others")
wrong("missing-local-derivative|wrong-local-derivative", "self.y[:, None] / self.x", "self.y[:, None]")

right("gelu_tanh", "(gelu, gelu_backward), r(4, 6)", '''
C = np.sqrt(2 / np.pi)

def gelu(x):
    inner = C * (x + 0.044715 * x ** 3)
    t = np.tanh(inner)
    return 0.5 * x * (1 + t), (x, t)

def gelu_backward(dy, cache):
    x, t = cache
    left = 0.5 * (1 + t)
    dinner = C * (1 + 3 * 0.044715 * x ** 2)
    right = 0.5 * x * (1 - t ** 2) * dinner
    return dy * (left + right)
''')
wrong("wrong-local-derivative", "C * (1 + 3 * 0.044715 * x ** 2)", "C * (1 + 0.044715 * x ** 2)")
wrong("lost-branch|wrong-local-derivative", "dy * (left + right)", "dy * left")
wrong("wrong-local-derivative", "(1 - t ** 2)", "(1 - np.tanh(t) ** 2)")

right("prelu_channels", "PReLU(u(3)), signs(2, 3, 3, 2)", '''
class PReLU:
    """one slope for each channel of (N, C, H, W)"""
    def __init__(self, slope):
        self.params = [slope]
        self.grads = [np.zeros_like(slope)]

    def forward(self, x):
        a = self.params[0].reshape(1, -1, 1, 1)
        self.x, self.neg = x, x < 0
        self.out = np.where(self.neg, a * x, x)
        return self.out

    def backward(self, dout):
        a = self.params[0].reshape(1, -1, 1, 1)
        da = np.where(self.neg, self.x, 0.0) * dout
        self.grads[0][:] = da.sum(axis=(0, 2, 3))
        return np.where(self.neg, a * dout, dout)
''')
wrong("stale-cache", "np.where(self.neg, self.x, 0.0)", "np.where(self.neg, self.out, 0.0)")
wrong("accumulates", "self.grads[0][:] = da", "self.grads[0][:] += da")    # conduct: a second backward gives twice the first
wrong("rebound-grads", "self.grads[0][:] = da", "self.grads[0] = da")    # conduct: grads[0] is another array afterwards
wrong("summed-too-far", "da.sum(axis=(0, 2, 3))", "da.sum()")

right("maxout", "(maxout_fwd, maxout_bwd), r(5, 4), apart(4, 6), r(6)", '''
def maxout_fwd(X, W, b):
    """three units of two pieces each"""
    N = len(X)
    Z = (X @ W + b).reshape(N, 3, 2)
    which = Z.argmax(axis=2)
    best = np.take_along_axis(Z, which[..., None], axis=2)[..., 0]
    return best, (X, W, which)

def maxout_bwd(dY, cache):
    X, W, which = cache
    chosen = np.eye(2)[which]
    dZ = dY[..., None] * chosen
    dZ = dZ.reshape(len(X), -1)
    return dZ @ W.T, X.T @ dZ, dZ.sum(0)
''')
wrong("missing-mask", "dZ = dY[..., None] * chosen", "dZ = dY[..., None] * np.ones(2)")
wrong("inverted-mask", "np.eye(2)[which]", "np.eye(2)[1 - which]")

right("softmax_layer", "SoftmaxLayer(), r(5, 4)", '''
class SoftmaxLayer:
    def forward(self, X):
        E = np.exp(X - np.max(X, axis=-1, keepdims=True))
        self.S = E / np.sum(E, axis=-1, keepdims=True)
        return self.S

    def backward(self, dLdy):
        out = []
        for s, g in zip(self.S, dLdy):
            s = s.reshape(-1, 1)
            J = np.diagflat(s) - s @ s.T
            out.append(J @ g)
        return np.array(out)
''')
wrong("constant-statistics|lost-branch|wrong-local-derivative", "np.diagflat(s) - s @ s.T", "np.diagflat(s * (1 - s))")
wrong("missing-local-derivative", "out.append(J @ g)", "out.append(g)")

right("log_softmax", "LogSoftmax(), r(6, 3)", '''
class LogSoftmax:
    def forward(self, z):
        m = z.max(axis=1, keepdims=True)
        self.lsm = z - m - np.log(np.exp(z - m).sum(axis=1, keepdims=True))
        return self.lsm

    def backward(self, dout):
        p = np.exp(self.lsm)
        return dout - p * dout.sum(axis=1, keepdims=True)
''')
wrong("constant-statistics|lost-branch|wrong-local-derivative", "p * dout.sum(axis=1, keepdims=True)", "p * dout")
wrong("stale-cache|wrong-local-derivative", "p = np.exp(self.lsm)", "p = self.lsm")

# ------------------------------------------------------------------------------------------ losses
right("softmax_loss_pairless", "softmax_loss, r(6, 4), ids(4, 6)", '''
def softmax_loss(x, y):
    """returns the loss and its gradient"""
    shifted = x - np.max(x, axis=1, keepdims=True)
    Z = np.sum(np.exp(shifted), axis=1, keepdims=True)
    log_probs = shifted - np.log(Z)
    N = x.shape[0]
    loss = -np.sum(log_probs[np.arange(N), y]) / N
    dx = np.exp(log_probs)
    dx[np.arange(N), y] -= 1
    dx = dx / N
    return loss, dx
''')
wrong("scaled-by-N", "    dx = dx / N\n", "")
wrong("divided-by-N|unrecognised", "dx = dx / N", "dx = dx / x.size")

right("multiclass_svm", "LinearSVM(r(4, 3)), r(7, 4), ids(3, 7)", '''
class LinearSVM:
    def __init__(self, W):
        self.params = {"W": W}

    def loss(self, X, y):
        W, reg, n = self.params["W"], 0.05, len(X)
        scores = X @ W
        rows = np.arange(n)
        margins = np.maximum(0, scores - scores[rows, y][:, None] + 1)
        margins[rows, y] = 0
        loss = margins.sum() / n + 0.5 * reg * np.sum(W ** 2)

        hit = (margins > 0).astype(float)
        hit[rows, y] = -hit.sum(axis=1)
        dW = X.T @ hit / n
        dW += reg * W
        return loss, {"W": dW}
''')
wrong("lost-branch|missing-label-subtraction", "        hit[rows, y] = -hit.sum(axis=1)\n", "")
wrong("wrong-penalty", "        dW += reg * W\n", "        dW += reg * np.sum(W)\n")
wrong("missing-label-subtraction|lost-branch", "hit[rows, y] = -hit.sum(axis=1)", "hit[rows, y] = -1")

right("huber", "Huber(0.8), apart(5, 3), 0.1 * r(5, 3)", '''
class Huber:
    """mean over all entries"""
    def __init__(self, delta):
        self.delta = delta

    def forward(self, pred, target):
        d = self.delta
        self.diff = pred - target
        small = np.abs(self.diff) <= d
        each = np.where(small, 0.5 * self.diff ** 2, d * (np.abs(self.diff) - 0.5 * d))
        return each.mean()

    def backward(self, dout=1.0):
        g = np.clip(self.diff, -self.delta, self.delta)
        return dout * g / self.diff.size
''')
wrong("ignores-upstream", "return dout * g", "return g")
wrong("wrong-local-derivative", "np.clip(self.diff, -self.delta, self.delta)", "np.clip(self.diff, -1, 1)")
wrong("scaled-by-N", "/ self.diff.size", "/ len(self.diff)")

right("contrastive", "Contrastive(), 0.6 * r(6, 3), 0.6 * r(6, 3), np.array([1, 0, 0, 1, 0, 0])", '''
class Contrastive:
    margin = 2.0

    def forward(self, x0, x1, y):
        self.diff = x0 - x1
        self.y = y
        self.dist = np.sqrt((self.diff ** 2).sum(axis=1))
        self.gap = np.maximum(self.margin - self.dist, 0)
        return 0.5 * np.mean(y * self.dist ** 2 + (1 - y) * self.gap ** 2)

    def backward(self, gy=1.0):
        alpha = gy / len(self.y)
        y = self.y[:, None]
        same = y * self.diff
        other = -(1 - y) * (self.gap / self.dist)[:, None] * self.diff
        gx0 = alpha * (same + other)
        return gx0, -gx0
''')
wrong("wrong-sign", "return gx0, -gx0", "return gx0, gx0")
wrong("wrong-local-derivative|missing-local-derivative|unrecognised", "(self.gap / self.dist)[:, None]", "self.gap[:, None]")
wrong("missing-local-derivative|wrong-local-derivative|unrecognised", "(self.gap / self.dist)[:, None] * self.diff",
      "(self.gap / self.dist)[:, None]")

right("triplet", "Triplet(), r(6, 3), r(6, 3), r(6, 3)", '''
class Triplet:
    def __init__(self, margin=1.0):
        self.margin = margin

    def forward(self, anchor, positive, negative):
        self.a, self.p, self.n = anchor, positive, negative
        gap = np.sum((anchor - positive) ** 2 - (anchor - negative) ** 2, axis=1) + self.margin
        self.active = (gap > 0).astype(float)[:, None]
        return float(np.sum(np.maximum(gap, 0)))

    def backward(self, dout=1.0):
        scale = 2 * dout * self.active
        da = scale * (self.n - self.p)
        dp = scale * (self.p - self.a)
        dn = scale * (self.a - self.n)
        return da, dp, dn
''')
wrong("factor-half", "scale = 2 * dout * self.active", "scale = dout * self.active")
wrong("missing-mask", "scale = 2 * dout * self.active", "scale = 2 * dout")
wrong("not-returned", "return da, dp, dn", "return da, dp")
wrong("lost-branch|stale-cache", "scale * (self.n - self.p)", "scale * (self.a - self.p)")

right("dice", "DiceLoss(), u(4, 6), ids(2, 4, 6)", '''
class DiceLoss:
    """1 - dice, one for each image, then the mean"""
    def forward(self, prob, mask):
        self.mask = mask
        self.inter = np.sum(prob * mask, axis=1, keepdims=True)
        self.union = np.sum(prob, axis=1, keepdims=True) + np.sum(mask, axis=1, keepdims=True) + 1e-3
        return np.mean(1 - 2 * self.inter / self.union)

    def backward(self, dout=1.0):
        top = self.mask * self.union - self.inter
        dprob = -2 * top / self.union ** 2
        return dout * dprob / len(self.mask)
''')
wrong("wrong-sign|wrong-local-derivative|constant-statistics", "self.mask * self.union - self.inter",
      "self.mask * self.union + self.inter")
wrong("constant-statistics|lost-branch", "self.mask * self.union - self.inter", "self.mask * self.union")
wrong("wrong-local-derivative|missing-local-derivative|unrecognised", "-2 * top / self.union ** 2",
      "-2 * top / self.union * self.union")

right("focal_binary", "FocalLoss(), r(7), ids(2, 7)", '''
class FocalLoss:
    gamma = 2

    def forward(self, logits, targets):
        prob = 1 / (1 + np.exp(-logits))
        self.sign = 2 * targets - 1
        self.pt = np.where(targets == 1, prob, 1 - prob)
        return -np.sum((1 - self.pt) ** self.gamma * np.log(self.pt))

    def backward(self, dout=1.0):
        pt, g = self.pt, self.gamma
        dpt = g * (1 - pt) ** (g - 1) * np.log(pt)
        dpt -= (1 - pt) ** g / pt
        dlogit = dpt * pt * (1 - pt) * self.sign
        return dout * dlogit
''')
wrong("lost-branch|wrong-local-derivative", "        dpt -= (1 - pt) ** g / pt\n", "        dpt = -(1 - pt) ** g / pt\n")
wrong("wrong-sign|wrong-local-derivative", "pt * (1 - pt) * self.sign", "pt * (1 - pt)")
wrong("missing-local-derivative|wrong-local-derivative", "dpt * pt * (1 - pt) * self.sign", "dpt * self.sign")

right("vae_kl", "(kl_forward, kl_backward), r(5, 3), r(5, 3)", '''
def kl_forward(mu, logvar):
    N = mu.shape[0]
    kl = -0.5 * np.sum(1 + logvar - mu ** 2 - np.exp(logvar)) / N
    return kl, (mu, logvar, N)

def kl_backward(dkl, cache):
    mu, logvar, N = cache
    dmu = dkl * mu / N
    dlogvar = dkl * 0.5 * (np.exp(logvar) - 1) / N
    return dmu, dlogvar
''')
wrong("wrong-sign", "(np.exp(logvar) - 1)", "(1 - np.exp(logvar))")
wrong("factor-2", "dkl * 0.5 * (np.exp", "dkl * (np.exp")
wrong("wrong-local-derivative|lost-branch", "(np.exp(logvar) - 1)", "np.exp(logvar)")
wrong("not-returned|stale-cache", "return dmu, dlogvar", "return dlogvar, dmu")

right("center_loss", "CenterLoss(r(4, 3)), r(7, 3), np.array([0, 2, 2, 1, 0, 2, 3])", '''
class CenterLoss:
    def __init__(self, centers):
        self.params, self.grads = [centers], [np.zeros_like(centers)]

    def forward(self, feature, label):
        self.label = label
        self.diff = feature - self.params[0][label]
        return (self.diff ** 2).sum() / 2.0 / len(label)

    def backward(self, dout=1.0):
        g = dout * self.diff / len(self.label)
        dcenters = np.zeros_like(self.params[0])
        np.add.at(dcenters, self.label, -g)
        self.grads[0][...] = dcenters
        return g
''')
wrong("repeated-index", "np.add.at(dcenters, self.label, -g)", "dcenters[self.label] -= g")
wrong("wrong-sign", "np.add.at(dcenters, self.label, -g)", "np.add.at(dcenters, self.label, g)")
wrong("scaled-by-N", "dout * self.diff / len(self.label)", "dout * self.diff")

right("ctc_like", "AlignLoss([1, 3, 1]), r(6, 4)", '''
class AlignLoss:
    """-log of the sum over all monotonic alignments of the labels to T steps, each label at least once"""
    params, grads = [], []

    def __init__(self, labels):
        self.labels = labels

    def forward(self, logits):
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        self.p = e / e.sum(axis=1, keepdims=True)
        T, L = len(logits), len(self.labels)
        self.a = np.zeros((T, L))
        self.a[0, 0] = self.p[0, self.labels[0]]
        for t in range(1, T):
            for l in range(L):
                before = self.a[t - 1, l] + (self.a[t - 1, l - 1] if l > 0 else 0.0)
                self.a[t, l] = before * self.p[t, self.labels[l]]
        return -np.log(self.a[-1, -1])

    def backward(self, dout=1.0):
        T, L = self.a.shape
        da, dp = np.zeros((T, L)), np.zeros_like(self.p)
        da[-1, -1] = -dout / self.a[-1, -1]
        for t in reversed(range(1, T)):
            for l in range(L):
                k = self.labels[l]
                before = self.a[t - 1, l] + (self.a[t - 1, l - 1] if l > 0 else 0.0)
                dp[t, k] += da[t, l] * before
                dbefore = da[t, l] * self.p[t, k]
                da[t - 1, l] += dbefore
                if l > 0:
                    da[t - 1, l - 1] += dbefore
        dp[0, self.labels[0]] += da[0, 0]
        return self.p * (dp - (dp * self.p).sum(axis=1, keepdims=True))
''')
wrong("constant-statistics", "(dp - (dp * self.p).sum(axis=1, keepdims=True))", "dp")
wrong("repeated-index|overlap-overwritten|lost-branch", "dp[t, k] += da[t, l] * before", "dp[t, k] = da[t, l] * before")
wrong("lost-branch", "        dp[0, self.labels[0]] += da[0, 0]\n", "")

right("barlow_offdiagonal", "Decorrelate(), r(5, 4)", '''
class Decorrelate:
    """sum of the squared off-diagonal entries of the second-moment matrix"""
    def forward(self, Z):
        self.Z = Z
        self.off = Z.T @ Z / len(Z)
        self.off[np.diag_indices(Z.shape[1])] = 0
        return (self.off ** 2).sum()

    def backward(self, dout=1.0):
        dM = 2 * dout * self.off
        return self.Z @ (dM + dM.T) / len(self.Z)
''')
wrong("factor-half", "2 * dout * self.off", "dout * self.off")
wrong("scaled-by-N", "(dM + dM.T) / len(self.Z)", "(dM + dM.T)")

right("smooth_l1", "(smooth_l1, smooth_l1_grad), apart(4, 5), 0.1 * r(4, 5)", '''
BETA = 0.6

def smooth_l1(a, b):
    d = a - b
    n = np.abs(d)
    y = np.where(n < BETA, 0.5 * d * d / BETA, n - 0.5 * BETA)
    return y.sum(axis=1), d

def smooth_l1_grad(g, d):
    inside = np.abs(d) < BETA
    da = np.where(inside, d / BETA, np.sign(d)) * g[:, None]
    return da, -da
''')
wrong("wrong-local-derivative", "np.where(inside, d / BETA, np.sign(d))", "np.where(inside, d, np.sign(d))")
wrong("wrong-local-derivative|unrecognised", "inside = np.abs(d) < BETA", "inside = d < BETA")
wrong("wrong-sign|wrong-local-derivative", "np.where(inside, d / BETA, np.sign(d))", "np.where(inside, d / BETA, 1)")

right("masked_cross_entropy", "MaskedCE(), r(7, 4), np.array([1, -1, 3, 0, -1, 2, 1])", '''
class MaskedCE:
    """label -1: not counted; the mean over the others"""
    def forward(self, scores, labels):
        z = scores - scores.max(axis=-1, keepdims=True)
        self.logp = z - np.log(np.exp(z).sum(axis=-1, keepdims=True))
        self.valid = labels >= 0
        self.labels = np.where(self.valid, labels, 0)
        picked = self.logp[np.arange(len(labels)), self.labels]
        return -(picked * self.valid).sum() / self.valid.sum()

    def backward(self, dout=1.0):
        grad = np.exp(self.logp)
        grad[np.arange(len(grad)), self.labels] -= 1.0
        grad = grad * self.valid[:, None]
        return dout * grad / self.valid.sum()
''')
wrong("missing-mask", "        grad = grad * self.valid[:, None]\n", "")
wrong("divided-by-N|unrecognised", "grad / self.valid.sum()", "grad / len(grad)")
wrong("inverted-mask", "grad = grad * self.valid[:, None]", "grad = grad * ~self.valid[:, None]")

right("chamfer", "Chamfer(), r(5, 2), r(4, 2)", '''
class Chamfer:
    """each point to its nearest one of the other set, both ways"""
    def forward(self, p, q):
        self.p, self.q = p, q
        dist = ((p[:, None] - q[None]) ** 2).sum(axis=2)
        self.to_q, self.to_p = dist.argmin(axis=1), dist.argmin(axis=0)
        return dist.min(axis=1).sum() + dist.min(axis=0).sum()

    def backward(self, dout=1.0):
        a = 2 * dout * (self.p - self.q[self.to_q])
        b = 2 * dout * (self.q - self.p[self.to_p])
        dp, dq = a.copy(), b.copy()
        np.subtract.at(dq, self.to_q, a)
        np.subtract.at(dp, self.to_p, b)
        return dp, dq
''')
wrong("lost-branch", "        np.subtract.at(dp, self.to_p, b)\n", "")
wrong("repeated-index", "np.subtract.at(dq, self.to_q, a)", "dq[self.to_q] -= a")
wrong("wrong-sign", "np.subtract.at(dp, self.to_p, b)", "np.add.at(dp, self.to_p, b)")

# ------------------------------------------------------------------------------------------ convolution and pooling
right("conv_nhwc_loops", "(conv_forward, conv_backward), r(2, 5, 5, 2), r(3, 3, 2, 2), r(1, 1, 1, 2)", '''
STRIDE, PAD = 2, 1

def zero_pad(X, pad):
    return np.pad(X, ((0, 0), (pad, pad), (pad, pad), (0, 0)))

def conv_forward(A_prev, W, b):
    m, n_H_prev, n_W_prev, _ = A_prev.shape
    f, _, _, n_C = W.shape
    n_H = (n_H_prev - f + 2 * PAD) // STRIDE + 1
    n_W = (n_W_prev - f + 2 * PAD) // STRIDE + 1
    Z = np.zeros((m, n_H, n_W, n_C))
    A_prev_pad = zero_pad(A_prev, PAD)
    for i in range(m):
        for h in range(n_H):
            for w in range(n_W):
                top, left = h * STRIDE, w * STRIDE
                for c in range(n_C):
                    a_slice = A_prev_pad[i, top:top + f, left:left + f]
                    Z[i, h, w, c] = np.sum(a_slice * W[..., c]) + b[0, 0, 0, c]
    return Z, (A_prev, W, b)

def conv_backward(dZ, cache):
    A_prev, W, b = cache
    f = W.shape[0]
    m, n_H, n_W, n_C = dZ.shape
    A_prev_pad = zero_pad(A_prev, PAD)
    dA_prev_pad = np.zeros(A_prev_pad.shape)
    dW, db = np.zeros(W.shape), np.zeros(b.shape)
    for i in range(m):
        for h in range(n_H):
            for w in range(n_W):
                vert_start = h * STRIDE
                horiz_start = w * STRIDE
                rows, cols = slice(vert_start, vert_start + f), slice(horiz_start, horiz_start + f)
                for c in range(n_C):
                    dA_prev_pad[i, rows, cols] += W[..., c] * dZ[i, h, w, c]
                    dW[..., c] += A_prev_pad[i, rows, cols] * dZ[i, h, w, c]
                    db[..., c] += dZ[i, h, w, c]
    dA_prev = dA_prev_pad[:, PAD:-PAD, PAD:-PAD, :]
    return dA_prev, dW, db
''')
wrong("unrecognised|stale-cache", "vert_start = h * STRIDE\n                horiz_start = w * STRIDE",
      "vert_start = h\n                horiz_start = w")
wrong("lost-branch|missing-batch-sum|overlap-overwritten", "db[..., c] += dZ[i, h, w, c]", "db[..., c] = dZ[i, h, w, c]")
wrong("overlap-overwritten", "dA_prev_pad[i, rows, cols] += W", "dA_prev_pad[i, rows, cols] = W")
wrong("unrecognised|wrong-reshape", "dA_prev_pad[:, PAD:-PAD, PAD:-PAD, :]", "dA_prev_pad[:, :-2 * PAD, :-2 * PAD, :]")

right("conv_im2col", "Convolution(r(3, 2, 2, 2), r(3)), r(2, 2, 4, 4)", '''
def im2col(x, fh, fw):
    N, C, H, W = x.shape
    oh, ow = H - fh + 1, W - fw + 1
    col = np.zeros((N, C, fh, fw, oh, ow))
    for i in range(fh):
        for j in range(fw):
            col[:, :, i, j] = x[:, :, i:i + oh, j:j + ow]
    return col.transpose(0, 4, 5, 1, 2, 3).reshape(N * oh * ow, -1)

def col2im(col, shape, fh, fw):
    N, C, H, W = shape
    oh, ow = H - fh + 1, W - fw + 1
    col = col.reshape(N, oh, ow, C, fh, fw).transpose(0, 3, 4, 5, 1, 2)
    img = np.zeros(shape)
    for i in range(fh):
        for j in range(fw):
            img[:, :, i:i + oh, j:j + ow] += col[:, :, i, j]
    return img

class Convolution:
    def __init__(self, W, b):
        self.W, self.b = W, b
        self.dW, self.db = np.zeros_like(W), np.zeros_like(b)

    def forward(self, x):
        FN, C, FH, FW = self.W.shape
        N, C, H, W = x.shape
        self.shape = x.shape
        self.col = im2col(x, FH, FW)
        self.col_W = self.W.reshape(FN, -1).T
        out = self.col @ self.col_W + self.b
        return out.reshape(N, H - FH + 1, W - FW + 1, -1).transpose(0, 3, 1, 2)

    def backward(self, dout):
        FN, C, FH, FW = self.W.shape
        dout = dout.transpose(0, 2, 3, 1).reshape(-1, FN)
        self.db = np.sum(dout, axis=0)
        dW = self.col.T @ dout
        self.dW = dW.transpose(1, 0).reshape(FN, C, FH, FW)
        dcol = dout @ self.col_W.T
        return col2im(dcol, self.shape, FH, FW)
''')
wrong("wrong-reshape|missing-transpose", "dW.transpose(1, 0).reshape(FN, C, FH, FW)", "dW.reshape(FN, C, FH, FW)")
wrong("wrong-reshape|missing-transpose", "dout = dout.transpose(0, 2, 3, 1).reshape(-1, FN)", "dout = dout.reshape(-1, FN)")
wrong("overlap-overwritten", "img[:, :, i:i + oh, j:j + ow] += col", "img[:, :, i:i + oh, j:j + ow] = col")

right("dilated_conv1d", "DilatedConv(r(2, 3, 3)), r(3, 2, 8)", '''
class DilatedConv:
    """(N, C, T) -> (N, K, T - 4), dilation 2, causal"""
    d = 2

    def __init__(self, w):
        self.params, self.grads = {"w": w}, {"w": np.zeros_like(w)}

    def forward(self, x):
        w = self.params["w"]
        self.x = x
        self.T = x.shape[2] - self.d * (w.shape[2] - 1)
        y = 0
        for k in range(w.shape[2]):
            s = k * self.d
            y = y + np.einsum("nct,co->not", x[:, :, s:s + self.T], w[:, :, k])
        return y

    def backward(self, dy):
        w = self.params["w"]
        dx = np.zeros_like(self.x)
        dw = np.zeros_like(w)
        for k in range(w.shape[2]):
            at = slice(k * self.d, k * self.d + self.T)
            dw[:, :, k] = np.einsum("nct,not->co", self.x[:, :, at], dy)
            dx[:, :, at] += np.einsum("not,co->nct", dy, w[:, :, k])
        self.grads["w"][...] = dw
        return dx
''')
wrong("unrecognised|flipped-kernel|stale-cache", "at = slice(k * self.d, k * self.d + self.T)", "at = slice(k, k + self.T)")
wrong("flipped-kernel", "dy, w[:, :, k])", "dy, w[:, :, -1 - k])")
wrong("overlap-overwritten", "dx[:, :, at] += ", "dx[:, :, at] = ")
wrong("not-written", '        self.grads["w"][...] = dw\n', "")

right("transposed_conv1d", "(up_forward, up_backward), r(4, 3), r(3), r(1)", '''
def up_forward(x, w, b):
    """stride 2: each input lays its kernel over the output"""
    N, T = x.shape
    y = np.zeros((N, 2 * (T - 1) + len(w)))
    for t in range(T):
        for k in range(len(w)):
            y[:, 2 * t + k] += x[:, t] * w[k]
    return y + b, (x, w)

def up_backward(dy, cache):
    x, w = cache
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for t in range(x.shape[1]):
        for k in range(len(w)):
            g = dy[:, 2 * t + k]
            dx[:, t] += g * w[k]
            dw[k] += np.sum(g * x[:, t])
    return dx, dw, np.array([dy.sum()])
''')
wrong("flipped-kernel", "dx[:, t] += g * w[k]", "dx[:, t] += g * w[len(w) - 1 - k]")
wrong("lost-branch|overlap-overwritten", "dx[:, t] += g * w[k]", "dx[:, t] = g * w[k]")
wrong("divided-by-N", "np.sum(g * x[:, t])", "np.mean(g * x[:, t])")

right("depthwise", "Depthwise(r(3, 2, 2), r(3)), r(2, 3, 3, 4)", '''
class Depthwise:
    def __init__(self, k, b):
        self.params = [k, b]
        self.grads = [np.zeros_like(p) for p in self.params]

    def windows(self, x):
        return np.lib.stride_tricks.sliding_window_view(x, (2, 2), axis=(2, 3))

    def forward(self, x):
        self.x = x
        k, b = self.params
        return np.einsum("nchwij,cij->nchw", self.windows(x), k) + b[:, None, None]

    def backward(self, dout):
        k = self.params[0]
        H, W = dout.shape[2:]
        self.grads[0][...] = np.einsum("nchwij,nchw->cij", self.windows(self.x), dout)
        self.grads[1][...] = np.einsum("nchw->c", dout)
        dx = np.zeros(self.x.shape)
        for c in range(len(k)):
            for i in range(2):
                for j in range(2):
                    dx[:, c, i:i + H, j:j + W] += dout[:, c] * k[c, i, j]
        return dx
''')
wrong("flipped-kernel|missing-transpose", "dout[:, c] * k[c, i, j]", "dout[:, c] * k[c, j, i]")
wrong("stale-cache|unrecognised", "dout[:, c] * k[c, i, j]", "dout[:, 0] * k[c, i, j]")

right("maxpool_overlap", "(max_pool_forward_naive, max_pool_backward_naive), apart(2, 1, 4, 5)", '''
HH = WW = 3
stride = 1

def max_pool_forward_naive(x):
    N, C, H, W = x.shape
    H_out, W_out = 1 + (H - HH) // stride, 1 + (W - WW) // stride
    out = np.zeros((N, C, H_out, W_out))
    for n in range(N):
        for c in range(C):
            for i in range(H_out):
                for j in range(W_out):
                    out[n, c, i, j] = np.max(x[n, c, i * stride:i * stride + HH, j * stride:j * stride + WW])
    return out, x

def max_pool_backward_naive(dout, cache):
    x = cache
    dx = np.zeros(x.shape)
    N, C, H_out, W_out = dout.shape
    for n in range(N):
        for c in range(C):
            for i in range(H_out):
                for j in range(W_out):
                    best = np.argmax(x[n, c, i * stride:i * stride + HH, j * stride:j * stride + WW])
                    row, col = divmod(best, WW)
                    dx[n, c, i * stride + row, j * stride + col] += dout[n, c, i, j]
    return dx
''')
wrong("overlap-overwritten", "j * stride + col] += dout", "j * stride + col] = dout")
wrong("missing-transpose|wrong-reshape|unrecognised", "row, col = divmod(best, WW)", "col, row = divmod(best, WW)")

right("convolve_1d", "Conv1D(r(3), r(1)), r(8)", '''
class Conv1D:
    """one signal, one kernel, with numpy's own functions"""
    def __init__(self, kernel, bias):
        self.params = {"kernel": kernel, "bias": bias}
        self.grads = {}

    def forward(self, signal):
        self.signal = signal
        return np.correlate(signal, self.params["kernel"], mode="valid") + self.params["bias"]

    def backward(self, d):
        self.grads["bias"] = np.array([d.sum()])
        self.grads["kernel"] = np.correlate(self.signal, d, mode="valid")
        return np.convolve(d, self.params["kernel"], mode="full")
''')
wrong("flipped-kernel|wrong-reshape", "np.correlate(self.signal, d, mode=\"valid\")",
      "np.correlate(d, self.signal, mode=\"valid\")")
wrong("flipped-kernel", "np.convolve(d, self.params[\"kernel\"], mode=\"full\")",
      "np.correlate(d, self.params[\"kernel\"], mode=\"full\")")

right("maxpool_patches", "MaxPoolingLayer(2), apart(4, 6, 2)", '''
class MaxPoolingLayer:
    """one image (H, W, C), patches beside each other"""
    def __init__(self, kernel_size):
        self.kernel_size = kernel_size

    def patches(self):
        k = self.kernel_size
        for h in range(self.image.shape[0] // k):
            for w in range(self.image.shape[1] // k):
                yield self.image[h * k:(h + 1) * k, w * k:(w + 1) * k], h, w

    def forward(self, image):
        self.image = image
        k = self.kernel_size
        out = np.zeros((image.shape[0] // k, image.shape[1] // k, image.shape[2]))
        for patch, h, w in self.patches():
            out[h, w] = np.amax(patch, axis=(0, 1))
        return out

    def backward(self, dE_dY):
        dE_dk = np.zeros(self.image.shape)
        k = self.kernel_size
        for patch, h, w in self.patches():
            max_val = np.amax(patch, axis=(0, 1))
            for i in range(k):
                for j in range(k):
                    for c in range(patch.shape[2]):
                        if patch[i, j, c] == max_val[c]:
                            dE_dk[h * k + i, w * k + j, c] = dE_dY[h, w, c]
        return dE_dk
''')
wrong("lost-branch|unrecognised|overlap-overwritten", "        return dE_dk\n", "            return dE_dk\n")
wrong("inverted-mask", "if patch[i, j, c] == max_val[c]:", "if patch[i, j, c] != max_val[c]:")

right("avgpool_reshape", "AvgPool(), r(2, 2, 4, 6)", '''
class AvgPool:
    """2 x 2, by reshaping"""
    def forward(self, x):
        n, c, h, w = x.shape
        return x.reshape(n, c, h // 2, 2, w // 2, 2).mean(axis=(3, 5))

    def backward(self, dout):
        big = dout.repeat(2, axis=2).repeat(2, axis=3)
        return big / 4.0
''')
wrong("scaled-by-N", "return big / 4.0", "return big")
wrong("wrong-reshape|unrecognised", "dout.repeat(2, axis=2).repeat(2, axis=3)", "np.tile(dout, (1, 1, 2, 2))")

right("masked_mean_pool", "ReduceMean(np.array([3, 1, 2])), r(6, 4)", '''
class ReduceMean:
    """ragged: rows of several texts one after the other, and how long each is"""
    def __init__(self, lengths):
        self.lengths = lengths

    def forward(self, X):
        Y, start = [], 0
        for length in self.lengths:
            Y.append(X[start:start + length].sum(axis=0) / length)
            start += length
        return np.array(Y)

    def backward(self, dY):
        dX = np.zeros((self.lengths.sum(), dY.shape[1]))
        start = 0
        for i, length in enumerate(self.lengths):
            dX[start:start + length] = dY[i] / length
            start += length
        return dX
''')
wrong("scaled-by-N", "dY[i] / length", "dY[i]")
wrong("lost-branch|unrecognised", "dX[start:start + length] = dY[i] / length", "dX[start] = dY[i] / length")

right("bilinear_upsample", "Upsample(5, 7), r(2, 3, 4)", '''
class Upsample:
    """bilinear, corners aligned; (C, H, W)"""
    def __init__(self, oh, ow):
        self.oh, self.ow = oh, ow

    def corners(self, i, j):
        _, H, W = self.shape
        y, x = i * (H - 1) / (self.oh - 1), j * (W - 1) / (self.ow - 1)
        y0, x0 = int(y), int(x)
        y1, x1 = min(y0 + 1, H - 1), min(x0 + 1, W - 1)
        fy, fx = y - y0, x - x0
        return [(y0, x0, (1 - fy) * (1 - fx)), (y0, x1, (1 - fy) * fx), (y1, x0, fy * (1 - fx)), (y1, x1, fy * fx)]

    def forward(self, img):
        self.shape = img.shape
        out = np.zeros((img.shape[0], self.oh, self.ow))
        for i in range(self.oh):
            for j in range(self.ow):
                for a, b, w in self.corners(i, j):
                    out[:, i, j] += w * img[:, a, b]
        return out

    def backward(self, dout):
        dimg = np.zeros(self.shape)
        for i in range(self.oh):
            for j in range(self.ow):
                for a, b, w in self.corners(i, j):
                    dimg[:, a, b] += w * dout[:, i, j]
        return dimg
''')
wrong("overlap-overwritten", "dimg[:, a, b] += w * dout[:, i, j]", "dimg[:, a, b] = w * dout[:, i, j]")
wrong("lost-branch|overlap-overwritten|unrecognised",
      "for j in range(self.ow):\n                for a, b, w in self.corners(i, j):\n                    dimg",
      "for j in range(self.ow - 1):\n                for a, b, w in self.corners(i, j):\n                    dimg")
wrong("missing-local-derivative|wrong-local-derivative|unrecognised", "dimg[:, a, b] += w * dout[:, i, j]",
      "dimg[:, a, b] += dout[:, i, j] * (w > 0)")

# ------------------------------------------------------------------------------------------ normalisation
right("batchnorm_steps", "(batchnorm_forward, batchnorm_backward), r(6, 3), u(3), r(3)", '''
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
    # through the standard deviation
    divar = np.sum(dxhat * xmu, axis=0)
    dsqrtvar = -1. / (sqrtvar ** 2) * divar
    dvar = 0.5 * ivar * dsqrtvar
    dxmu = dxhat * ivar + 2 * xmu * dvar / N
    # through the mean
    dmu = -1 * np.sum(dxmu, axis=0)
    dx = dxmu + dmu / N
    return dx, dgamma, dbeta
''')
wrong("constant-statistics|lost-branch", "dx = dxmu + dmu / N", "dx = dxmu")
wrong("constant-statistics|wrong-sign", "-1. / (sqrtvar ** 2) * divar", "1. / (sqrtvar ** 2) * divar")
wrong("stale-cache", "np.sum(dout * xhat, axis=0)", "np.sum(dout * xmu, axis=0)")
wrong("missing-local-derivative|wrong-local-derivative", "dxhat = dout * gamma", "dxhat = dout")
wrong("constant-statistics|scaled-by-N", "2 * xmu * dvar / N", "2 * xmu * dvar")

right("layernorm_3d", "LayerNorm(u(5), r(5)), r(3, 4, 5)", '''
class LayerNorm:
    def __init__(self, g, b, eps=1e-5):
        self.params = {"g": g, "b": b}
        self.grads = {"g": np.zeros_like(g), "b": np.zeros_like(b)}
        self.eps = eps

    def forward(self, x):
        mean = x.mean(-1, keepdims=True)
        self.rstd = (x.var(-1, keepdims=True) + self.eps) ** -0.5
        self.norm = (x - mean) * self.rstd
        return self.norm * self.params["g"] + self.params["b"]

    def backward(self, dout):
        self.grads["g"][...] = (dout * self.norm).sum((0, 1))
        self.grads["b"][...] = dout.sum((0, 1))
        dn = dout * self.params["g"]
        dx = dn - dn.mean(-1, keepdims=True)
        dx -= self.norm * (dn * self.norm).mean(-1, keepdims=True)
        return dx * self.rstd
''')
wrong("constant-statistics", "        dx -= self.norm * (dn * self.norm).mean(-1, keepdims=True)\n", "")
wrong("missing-local-derivative|wrong-local-derivative|unrecognised", "return dx * self.rstd", "return dx")
wrong("accumulates", '["b"][...] = dout', '["b"][...] += dout')    # conduct: a second backward gives twice the first
wrong("constant-statistics|cross-sample", "dn - dn.mean(-1, keepdims=True)", "dn - dn.mean(0, keepdims=True)")

right("rmsnorm", "(rms_fwd, rms_bwd), r(4, 4), u(4)", '''
def rms_fwd(x, w):
    inv = 1 / np.sqrt(np.mean(x * x, axis=1, keepdims=True) + 1e-6)
    return w * x * inv, (x, w, inv)

def rms_bwd(dy, cache):
    x, w, inv = cache
    n = x.shape[1]
    dw = np.sum(dy * x * inv, axis=0)
    wdy = w * dy
    c = np.sum(wdy * x, axis=1)[:, None] * inv ** 2 / n
    dx = inv * (wdy - x * c)
    return dx, dw
''')
wrong("constant-statistics|stale-cache", "np.sum(wdy * x, axis=1)[:, None]", "np.sum(dy * x, axis=1)[:, None]")
wrong("constant-statistics|missing-transpose|cross-sample|unrecognised", "np.sum(wdy * x, axis=1)[:, None] *",
      "np.sum(wdy * x, axis=1) *")
wrong("missing-batch-sum", "dw = np.sum(dy * x * inv, axis=0)", "dw = dy * x * inv")

right("groupnorm", "GroupNorm(u(4), r(4)), r(3, 4, 2, 3)", '''
class GroupNorm:
    G = 2

    def __init__(self, gamma, beta):
        self.gamma, self.beta = gamma, beta
        self.dgamma, self.dbeta = np.zeros_like(gamma), np.zeros_like(beta)

    def forward(self, x):
        N, C, H, W = x.shape
        v = x.reshape(N, self.G, -1)
        mu, var = v.mean(2, keepdims=True), v.var(2, keepdims=True)
        self.std = np.sqrt(var + 1e-5)
        self.xhat = ((v - mu) / self.std).reshape(x.shape)
        return self.xhat * self.gamma.reshape(1, C, 1, 1) + self.beta.reshape(1, C, 1, 1)

    def backward(self, dout):
        N, C, H, W = dout.shape
        self.dgamma[:] = (dout * self.xhat).sum((0, 2, 3))
        self.dbeta[:] = dout.sum((0, 2, 3))
        d = (dout * self.gamma.reshape(1, C, 1, 1)).reshape(N, self.G, -1)
        h = self.xhat.reshape(N, self.G, -1)
        M = C // self.G * H * W
        d = d - d.sum(2, keepdims=True) / M - h * (d * h).sum(2, keepdims=True) / M
        return (d / self.std).reshape(dout.shape)
''')
wrong("constant-statistics|scaled-by-N", "M = C // self.G * H * W", "M = C // self.G * W")
wrong("summed-too-far", "dout.sum((0, 2, 3))", "dout.sum()")
wrong("missing-local-derivative|wrong-local-derivative|unrecognised", "(dout * self.gamma.reshape(1, C, 1, 1)).reshape",
      "dout.reshape")

right("weight_norm", "WeightNormDense(r(3, 4), u(3), r(3)), r(5, 4)", '''
class WeightNormDense:
    """W = g v / |v|, row by row"""
    def __init__(self, v, g, b):
        self.v, self.g, self.b = v, g, b
        self.dv, self.dg, self.db = np.zeros_like(v), np.zeros_like(g), np.zeros_like(b)

    def weight(self):
        self.norm = np.linalg.norm(self.v, axis=1, keepdims=True)
        self.unit = self.v / self.norm
        return self.g[:, None] * self.unit

    def forward(self, x):
        self.x, self.w = x, self.weight()
        return x @ self.w.T + self.b

    def backward(self, dout):
        dw = dout.T @ self.x
        self.db = dout.sum(0)
        self.dg = (dw * self.unit).sum(1)
        tangent = dw - self.dg[:, None] * self.unit
        self.dv = self.g[:, None] / self.norm * tangent
        return dout @ self.w
''')
wrong("constant-statistics", "dw - self.dg[:, None] * self.unit", "dw")
wrong("wrong-local-derivative|missing-local-derivative|unrecognised", "self.g[:, None] / self.norm * tangent",
      "self.g[:, None] * tangent")
wrong("stale-cache", "(dw * self.unit).sum(1)", "(dw * self.v).sum(1)")
wrong("stale-cache", "return dout @ self.w\n", "return dout @ self.v\n")

right("spectral_norm", "SpectralDense(r(4, 3), np.array([.5, .5, .5, .5]), np.array([.6, 0, .8])), r(5, 4)", '''
class SpectralDense:
    """the vectors u and v are kept from the power iteration, and are constants here"""
    def __init__(self, W, u, v):
        self.params, self.grads = [W], [np.zeros_like(W)]
        self._u, self._v = tuple(u), tuple(v)

    def forward(self, x):
        W, = self.params
        self.x = x
        self.uv = np.outer(self._u, self._v)
        self.sigma = np.sum(self.uv * W)
        self.Wbar = W / self.sigma
        return x @ self.Wbar

    def backward(self, dout):
        G = self.x.T @ dout
        self.grads[0][...] = (G - np.sum(G * self.Wbar) * self.uv) / self.sigma
        return dout @ self.Wbar.T
''')
wrong("constant-statistics", "(G - np.sum(G * self.Wbar) * self.uv) / self.sigma", "G / self.sigma")
wrong("stale-cache", "dout @ self.Wbar.T", "dout @ self.params[0].T")

# ------------------------------------------------------------------------------------------ recurrent
right("rnn_over_time", "(rnn_forward, rnn_backward), r(2, 4, 3), r(2, 5), r(3, 5), 0.5 * r(5, 5), r(5)", '''
def rnn_step(x, h, Wx, Wh, b):
    return np.tanh(x @ Wx + h @ Wh + b)

def rnn_forward(x, h0, Wx, Wh, b):
    hs = [h0]
    for t in range(x.shape[1]):
        hs.append(rnn_step(x[:, t], hs[-1], Wx, Wh, b))
    return np.stack(hs[1:], axis=1), (x, hs, Wx, Wh)

def rnn_backward(dh, cache):
    x, hs, Wx, Wh = cache
    dx, dWx, dWh = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh)
    db = np.zeros(len(Wh))
    dnext = np.zeros_like(hs[0])
    for t in range(x.shape[1] - 1, -1, -1):
        da = (dh[:, t] + dnext) * (1 - hs[t + 1] ** 2)
        dx[:, t] = da @ Wx.T
        dWx += x[:, t].T @ da
        dWh += hs[t].T @ da
        db += da.sum(axis=0)
        dnext = da @ Wh.T
    return dx, dnext, dWx, dWh, db
''')
wrong("lost-branch", "(dh[:, t] + dnext)", "dh[:, t]")
wrong("stale-cache", "dWh += hs[t].T @ da", "dWh += hs[t + 1].T @ da")
wrong("lost-branch", "dWx += x[:, t].T @ da", "dWx = x[:, t].T @ da")
wrong("missing-transpose", "dnext = da @ Wh.T", "dnext = da @ Wh")
wrong("stale-cache|wrong-local-derivative", "(1 - hs[t + 1] ** 2)", "(1 - hs[t] ** 2)")

right("lstm_step", "(lstm_step_forward, lstm_step_backward), r(4, 3), r(4, 5), r(4, 5), r(3, 20), r(5, 20), r(20)", '''
def sigmoid(z):
    return 1 / (1 + np.exp(-z))

def lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b):
    H = prev_h.shape[1]
    a = x @ Wx + prev_h @ Wh + b
    i, f, o = sigmoid(a[:, :H]), sigmoid(a[:, H:2 * H]), sigmoid(a[:, 2 * H:3 * H])
    g = np.tanh(a[:, 3 * H:])
    next_c = f * prev_c + i * g
    tc = np.tanh(next_c)
    next_h = o * tc
    return next_h, next_c, (x, prev_h, prev_c, Wx, Wh, i, f, o, g, tc)

def lstm_step_backward(dnext_h, dnext_c, cache):
    x, prev_h, prev_c, Wx, Wh, i, f, o, g, tc = cache
    do = dnext_h * tc
    dc = dnext_c + dnext_h * o * (1 - tc ** 2)
    di, df, dg = dc * g, dc * prev_c, dc * i
    da = np.hstack([di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g ** 2)])
    dprev_c = dc * f
    return da @ Wx.T, da @ Wh.T, dprev_c, x.T @ da, prev_h.T @ da, da.sum(axis=0)
''')
wrong("lost-branch", "dc = dnext_c + dnext_h", "dc = dnext_h")
wrong("missing-local-derivative", "df * f * (1 - f)", "df")
wrong("stale-cache", "dprev_c = dc * f", "dprev_c = dc * i")
wrong("lost-branch|stale-cache", "dprev_c = dc * f", "dprev_c = dnext_c * f")
wrong("stale-cache|wrong-local-derivative", "dg * (1 - g ** 2)", "dg * (1 - tc ** 2)")

right("gru_sequence", "GRU(r(3, 4), r(3, 4), r(3, 4), r(4, 4), r(4, 4), r(4, 4)), r(5, 3)", '''
def sig(v):
    return 1.0 / (1.0 + np.exp(-v))

class GRU:
    """one sequence (T, D), from h = 0; h' = z h + (1 - z) n"""
    names = ["Wz", "Wr", "Wn", "Uz", "Ur", "Un"]

    def __init__(self, *matrices):
        self.params = dict(zip(self.names, matrices))
        self.grads = {n: np.zeros_like(m) for n, m in self.params.items()}

    def forward(self, xs):
        p, h, self.steps = self.params, np.zeros(4), []
        out = np.zeros((len(xs), 4))
        for t, x in enumerate(xs):
            z = sig(x @ p["Wz"] + h @ p["Uz"])
            r = sig(x @ p["Wr"] + h @ p["Ur"])
            n = np.tanh(x @ p["Wn"] + (r * h) @ p["Un"])
            self.steps.append((x, h, z, r, n))
            h = out[t] = z * h + (1 - z) * n
        return out

    def backward(self, dout):
        p, g = self.params, self.grads
        for n in self.names:
            g[n][...] = 0
        dxs, dh = np.zeros((len(dout), 3)), np.zeros(4)
        for t in reversed(range(len(dout))):
            x, h, z, r, n = self.steps[t]
            dh = dh + dout[t]
            dz = dh * (h - n) * z * (1 - z)
            dn = dh * (1 - z) * (1 - n ** 2)
            drh = p["Un"] @ dn
            dr = drh * h * r * (1 - r)
            g["Wz"] += np.outer(x, dz); g["Uz"] += np.outer(h, dz)
            g["Wr"] += np.outer(x, dr); g["Ur"] += np.outer(h, dr)
            g["Wn"] += np.outer(x, dn); g["Un"] += np.outer(r * h, dn)
            dxs[t] = p["Wz"] @ dz + p["Wr"] @ dr + p["Wn"] @ dn
            dh = dh * z + drh * r + p["Uz"] @ dz + p["Ur"] @ dr
        return dxs
''')
wrong("lost-branch", "dh = dh * z + drh * r + p", "dh = dh * z + p")
wrong("wrong-sign", "dz = dh * (h - n)", "dz = dh * (n - h)")
wrong("stale-cache", "np.outer(r * h, dn)", "np.outer(h, dn)")
wrong("stale-cache", "dr = drh * h * r", "dr = drh * n * r")

right("peephole_cell", "Peephole(r(3, 12), r(3), r(3)), r(4, 3), r(4, 3)", '''
class Peephole:
    """gates look at the cell: the forget gate at the old one, the output gate at the new one"""
    def __init__(self, W, pf, po):
        self.params = [W, pf, po]
        self.grads = [np.zeros_like(W), np.zeros_like(pf), np.zeros_like(po)]

    def forward(self, x, c_old):
        W, pf, po = self.params
        a_i, a_f, a_o, a_g = np.split(x @ W, 4, axis=1)
        s = lambda v: 1 / (1 + np.exp(-v))
        i, f, g = s(a_i), s(a_f + pf * c_old), np.tanh(a_g)
        c = f * c_old + i * g
        o = s(a_o + po * c)
        self.kept = x, c_old, i, f, g, c, o
        return o * np.tanh(c)

    def backward(self, dh):
        W, pf, po = self.params
        x, c_old, i, f, g, c, o = self.kept
        tc = np.tanh(c)
        da_o = dh * tc * o * (1 - o)
        dc = dh * o * (1 - tc * tc) + da_o * po
        da_f = dc * c_old * f * (1 - f)
        da_i = dc * g * i * (1 - i)
        da_g = dc * i * (1 - g * g)
        dc_old = dc * f + da_f * pf
        da = np.concatenate([da_i, da_f, da_o, da_g], axis=1)
        self.grads[0][...] = x.T @ da
        self.grads[1][...] = (da_f * c_old).sum(0)
        self.grads[2][...] = (da_o * c).sum(0)
        return da @ W.T, dc_old
''')
wrong("lost-branch", "(1 - tc * tc) + da_o * po", "(1 - tc * tc)")
wrong("lost-branch", "dc * f + da_f * pf", "dc * f")
wrong("stale-cache", "(da_o * c).sum(0)", "(da_o * c_old).sum(0)")
wrong("wrong-reshape|stale-cache|unrecognised", "np.concatenate([da_i, da_f, da_o, da_g], axis=1)",
      "np.concatenate([da_f, da_i, da_o, da_g], axis=1)")

right("bidirectional", "BiRNN(r(3, 4), 0.5 * r(4, 4)), r(2, 5, 3)", '''
class Direction:
    def __init__(self, Wx, Wh):
        self.Wx, self.Wh = Wx, Wh

    def run(self, x):
        self.x, self.h = x, [np.zeros((len(x), len(self.Wh)))]
        for t in range(x.shape[1]):
            self.h.append(np.tanh(x[:, t] @ self.Wx + self.h[-1] @ self.Wh))
        return np.stack(self.h[1:], 1)

    def back(self, dy):
        dWx, dWh, dx, carry = 0, 0, np.empty_like(self.x), 0
        for t in reversed(range(dy.shape[1])):
            d = (dy[:, t] + carry) * (1 - self.h[t + 1] ** 2)
            dWx, dWh = dWx + self.x[:, t].T @ d, dWh + self.h[t].T @ d
            dx[:, t], carry = d @ self.Wx.T, d @ self.Wh.T
        return dx, dWx, dWh

class BiRNN:
    """the same weights in both directions, the two outputs side by side"""
    def __init__(self, Wx, Wh):
        self.params = {"Wx": Wx, "Wh": Wh}
        self.grads = {}

    def forward(self, x):
        self.there, self.back_again = Direction(**self.params), Direction(**self.params)
        a = self.there.run(x)
        b = self.back_again.run(x[:, ::-1])[:, ::-1]
        return np.concatenate([a, b], axis=2)

    def backward(self, dout):
        H = dout.shape[2] // 2
        dx1, dWx1, dWh1 = self.there.back(dout[:, :, :H])
        dx2, dWx2, dWh2 = self.back_again.back(dout[:, ::-1, H:])
        self.grads["Wx"] = dWx1 + dWx2
        self.grads["Wh"] = dWh1 + dWh2
        return dx1 + dx2[:, ::-1]
''')
wrong("wrong-reshape|unrecognised", "return dx1 + dx2[:, ::-1]", "return dx1 + dx2")
wrong("lost-branch", 'self.grads["Wh"] = dWh1 + dWh2', 'self.grads["Wh"] = dWh1')
wrong("wrong-reshape|unrecognised", "dout[:, ::-1, H:]", "dout[:, :, H:]")

right("lstm_cell_columns", "LSTMCell(*[r(3, 5) for _ in range(4)], *[r(3, 1) for _ in range(4)]), r(2, 4), r(3, 4), r(3, 4)", '''
class LSTMCell:
    """samples in columns, one matrix for each gate, as in the course on sequence models"""
    def __init__(self, Wf, Wi, Wc, Wo, bf, bi, bc, bo):
        self.params = {"Wf": Wf, "Wi": Wi, "Wc": Wc, "Wo": Wo, "bf": bf, "bi": bi, "bc": bc, "bo": bo}
        self.grads = {}

    def forward(self, xt, a_prev, c_prev):
        P = self.params
        S = lambda z: 1 / (1 + np.exp(-z))
        concat = np.concatenate([a_prev, xt])
        ft = S(P["Wf"] @ concat + P["bf"])
        it = S(P["Wi"] @ concat + P["bi"])
        cct = np.tanh(P["Wc"] @ concat + P["bc"])
        ot = S(P["Wo"] @ concat + P["bo"])
        c_next = ft * c_prev + it * cct
        self.cache = concat, c_prev, c_next, ft, it, cct, ot
        return ot * np.tanh(c_next)

    def backward(self, da_next):
        P, G = self.params, self.grads
        concat, c_prev, c_next, ft, it, cct, ot = self.cache
        dot = da_next * np.tanh(c_next) * ot * (1 - ot)
        dc = da_next * ot * (1 - np.tanh(c_next) ** 2)
        dcct = dc * it * (1 - cct ** 2)
        dit = dc * cct * it * (1 - it)
        dft = dc * c_prev * ft * (1 - ft)
        for gate, d in zip("fico", (dft, dit, dcct, dot)):
            G["W" + gate] = d @ concat.T
        G["bf"] = np.sum(dft, axis=1, keepdims=True)
        G["bi"] = np.sum(dit, axis=1, keepdims=True)
        G["bc"] = np.sum(dcct, axis=1, keepdims=True)
        G["bo"] = np.sum(dot, axis=1, keepdims=True)
        dconcat = P["Wf"].T @ dft + P["Wi"].T @ dit + P["Wc"].T @ dcct + P["Wo"].T @ dot
        n_a = len(ft)
        return dconcat[n_a:], dconcat[:n_a], dc * ft
''')
wrong("stale-cache", 'G["bi"] = np.sum(dit, axis=1, keepdims=True)', 'G["bi"] = np.sum(dft, axis=1, keepdims=True)')
wrong("lost-branch", ' + P["Wo"].T @ dot', "")
wrong("wrong-local-derivative", "da_next * ot * (1 - np.tanh(c_next) ** 2)", "da_next * ot * (1 - c_next ** 2)")
wrong("not-returned|wrong-reshape|stale-cache", "return dconcat[n_a:], dconcat[:n_a], dc * ft",
      "return dconcat[:len(concat) - n_a], dconcat[len(concat) - n_a:], dc * ft")

# ------------------------------------------------------------------------------------------ attention
right("causal_attention", "(attend, attend_backward), r(4, 3), r(4, 3), r(4, 3)", '''
def softmax(s):
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)

def attend(Q, K, V):
    T, d = Q.shape
    scores = Q @ K.T / np.sqrt(d)
    scores = np.where(np.tri(T, dtype=bool), scores, -1e9)
    P = softmax(scores)
    return P @ V, (Q, K, V, P)

def attend_backward(dO, cache):
    Q, K, V, P = cache
    dV = P.T @ dO
    dP = dO @ V.T
    dS = P * (dP - (dP * P).sum(axis=-1, keepdims=True))
    dS = dS / np.sqrt(Q.shape[1])
    dQ = dS @ K
    dK = dS.T @ Q
    return dQ, dK, dV
''')
wrong("constant-statistics", "P * (dP - (dP * P).sum(axis=-1, keepdims=True))", "P * dP")
wrong("missing-local-derivative|wrong-local-derivative|unrecognised", "    dS = dS / np.sqrt(Q.shape[1])\n", "")
wrong("missing-transpose", "dK = dS.T @ Q", "dK = dS @ Q")
wrong("constant-statistics|wrong-local-derivative|lost-branch", "P * (dP - (dP * P).sum(axis=-1, keepdims=True))",
      "P * (1 - P) * dP")

right("tanh_attention", "(attn, attn_back), r(3, 4), r(3, 4), r(3, 2)", '''
def attn(q, k, v):
    """two outputs: the values' mixture and the weights themselves"""
    a = np.tanh(np.matmul(q, k.T))
    return np.matmul(a, v), a, (q, k, v, a)

def attn_back(grad_out, grad_a, saved):
    q, k, v, a = saved
    total = np.matmul(grad_out, v.T) + grad_a
    inner = total * (1 - a * a)
    return np.matmul(inner, k), np.matmul(inner.T, q), np.matmul(a.T, grad_out)
''')
wrong("lost-branch", "np.matmul(grad_out, v.T) + grad_a", "np.matmul(grad_out, v.T)")
wrong("missing-transpose", "np.matmul(a.T, grad_out)", "np.matmul(a, grad_out)")
wrong("stale-cache", "np.matmul(inner, k), np", "np.matmul(inner, q), np")

right("multihead", "MultiHead(r(4, 4), r(4, 4), r(4, 4), r(4, 4)), r(2, 3, 4)", '''
class MultiHead:
    h = 2

    def __init__(self, Wq, Wk, Wv, Wo):
        self.params = [Wq, Wk, Wv, Wo]
        self.grads = [np.zeros_like(W) for W in self.params]

    def split(self, t):
        N, T, D = t.shape
        return t.reshape(N, T, self.h, D // self.h).transpose(0, 2, 1, 3)

    def merge(self, t):
        N, h, T, d = t.shape
        return t.transpose(0, 2, 1, 3).reshape(N, T, h * d)

    def forward(self, x):
        Wq, Wk, Wv, Wo = self.params
        q, k, v = [self.split(x @ W) for W in (Wq, Wk, Wv)]
        s = q @ k.transpose(0, 1, 3, 2) * q.shape[-1] ** -0.5
        a = np.exp(s - s.max(-1, keepdims=True))
        a = a / a.sum(-1, keepdims=True)
        y = self.merge(a @ v)
        self.cache = x, q, k, v, a, y
        return y @ Wo

    def backward(self, dout):
        Wq, Wk, Wv, Wo = self.params
        x, q, k, v, a, y = self.cache
        self.grads[3][...] = np.einsum("nti,nto->io", y, dout)
        dy = self.split(dout @ Wo.T)
        dv = a.transpose(0, 1, 3, 2) @ dy
        da = dy @ v.transpose(0, 1, 3, 2)
        ds = a * (da - (da * a).sum(-1, keepdims=True)) * q.shape[-1] ** -0.5
        dq, dk = ds @ k, ds.transpose(0, 1, 3, 2) @ q
        dx = np.zeros_like(x)
        for W, G, d in zip((Wq, Wk, Wv), self.grads, (dq, dk, dv)):
            d = self.merge(d)
            G[...] = np.einsum("nti,nto->io", x, d)
            dx += d @ W.T
        return dx
''')
wrong("wrong-reshape", "            d = self.merge(d)\n", "            d = d.reshape(x.shape)\n")
wrong("lost-branch", "dx += d @ W.T", "dx = d @ W.T")
wrong("stale-cache", 'np.einsum("nti,nto->io", y, dout)', 'np.einsum("nti,nto->io", x, dout)')
wrong("missing-transpose", "dy = self.split(dout @ Wo.T)", "dy = self.split(dout @ Wo)")

right("rotary", "Rotary(), r(2, 5, 6)", '''
def rotate_half(x):
    half = x.shape[-1] // 2
    return np.concatenate([-x[..., half:], x[..., :half]], axis=-1)

class Rotary:
    def table(self, T, D):
        freq = 10.0 ** (-np.arange(D // 2) / (D // 2))
        angle = np.outer(np.arange(T), freq)
        angle = np.hstack([angle, angle])
        return np.cos(angle), np.sin(angle)

    def forward(self, x):
        self.cos, self.sin = self.table(*x.shape[1:])
        return x * self.cos + rotate_half(x) * self.sin

    def backward(self, g):
        return g * self.cos - rotate_half(g * self.sin)
''')
wrong("wrong-sign|missing-transpose", "g * self.cos - rotate_half", "g * self.cos + rotate_half")
wrong("lost-branch", "return g * self.cos - rotate_half(g * self.sin)", "return g * self.cos")

right("relative_bias", "RelativeBias(r(2, 7)), r(3, 2, 4, 4)", '''
class RelativeBias:
    """scores (N, heads, T, T) plus a learned number for each head and distance"""
    def __init__(self, table):
        self.table, self.dtable = table, np.zeros_like(table)

    def forward(self, scores):
        T = scores.shape[-1]
        self.at = np.arange(T)[:, None] - np.arange(T) + 3
        return scores + self.table[:, self.at]

    def backward(self, dout):
        per_head = dout.sum(axis=0)
        self.dtable[...] = 0
        for h in range(len(self.table)):
            np.add.at(self.dtable[h], self.at, per_head[h])
        return dout
''')
wrong("repeated-index", "np.add.at(self.dtable[h], self.at, per_head[h])", "self.dtable[h][self.at] += per_head[h]")
wrong("divided-by-N", "dout.sum(axis=0)", "dout.mean(axis=0)")
wrong("accumulates", "        self.dtable[...] = 0\n", "")    # conduct: a second backward gives twice the first

# ------------------------------------------------------------------------------------------ embedding, dropout
right("tied_embedding", "TiedLM(r(5, 3)), np.array([[1, 3, 1], [0, 1, 4]])", '''
class TiedLM:
    """the mean of the word vectors, scored against the same table"""
    def __init__(self, E):
        self.params, self.grads = [E], [np.zeros_like(E)]

    def forward(self, ids):
        E, = self.params
        self.ids = ids
        self.h = E[ids].mean(axis=1)
        return self.h @ E.T

    def backward(self, dlogits):
        E, = self.params
        dE = self.grads[0]
        dE[...] = dlogits.T @ self.h
        dh = dlogits @ E / self.ids.shape[1]
        for row, d in zip(self.ids, dh):
            for i in row:
                dE[i] += d
''')
wrong("lost-branch", "                dE[i] += d\n", "                pass\n")
wrong("repeated-index", "            for i in row:\n                dE[i] += d\n", "            dE[row] += d\n")
wrong("scaled-by-N", "dlogits @ E / self.ids.shape[1]", "dlogits @ E")

right("padded_embedding", "(embed, embed_back), np.array([[2, 0, 1], [3, 2, 2], [0, 0, 1], [1, 3, 0]]), r(4, 5)", '''
SCALE = np.sqrt(5)

def embed(ids, table):
    """id 0 is padding and gives zeros"""
    mask = (ids != 0)[..., None]
    return table[ids] * SCALE * mask, (ids, mask, table.shape)

def embed_back(dout, cache):
    ids, mask, shape = cache
    g = np.zeros(shape)
    np.add.at(g, ids, dout * SCALE * mask)
    return g
''')
wrong("missing-mask", "dout * SCALE * mask", "dout * SCALE")
wrong("missing-local-derivative|wrong-local-derivative|unrecognised", "dout * SCALE * mask", "dout * mask")
wrong("repeated-index", "np.add.at(g, ids, dout * SCALE * mask)", "g[ids] = dout * SCALE * mask")

right("dropout_seeded", "Dropout(0.3), r(6, 5)", '''
class Dropout:
    def __init__(self, p, seed=3):
        self.p, self.seed = p, seed

    def forward(self, x):
        rng = np.random.default_rng(self.seed)
        keep = 1 - self.p
        self.mask = rng.uniform(size=x.shape) < keep
        return x * self.mask / keep

    def backward(self, dout):
        dx = dout * self.mask
        dx = dx / (1 - self.p)
        return dx
''')
wrong("dropout-scale", "        dx = dx / (1 - self.p)\n", "")
wrong("dropout-scale", "dx / (1 - self.p)", "dx / self.p")
# conduct: two forwards give two answers
wrong("nondeterministic", "np.random.default_rng(self.seed)", "np.random.default_rng()")
wrong("missing-mask", "dx = dout * self.mask", "dx = dout * 1.0")

# ------------------------------------------------------------------------------------------ residual and gating
right("residual_block", "Residual(r(4, 3), r(3, 4)), r(5, 4)", '''
class Residual:
    def __init__(self, W1, W2):
        self.W1, self.W2 = W1, W2
        self.dW1, self.dW2 = np.zeros_like(W1), np.zeros_like(W2)

    def forward(self, x):
        self.x = x
        self.a = x @ self.W1
        self.h = np.maximum(self.a, 0)
        out = self.h @ self.W2
        return out + x

    def backward(self, dout):
        self.dW2[...] = self.h.T @ dout
        da = np.where(self.a > 0, dout @ self.W2.T, 0)
        self.dW1[...] = self.x.T @ da
        dx = da @ self.W1.T
        dx = dx + dout
        return dx
''')
wrong("lost-branch", "        dx = dx + dout\n", "")
# conduct: x is changed, and the cache with it
wrong("mutates-input", "        out = self.h @ self.W2\n        return out + x\n",
      "        x += self.h @ self.W2\n        return x\n")
wrong("factor-2|unrecognised", "dx = dx + dout\n", "dx = dx + dout + dout\n")

right("highway", "(highway, highway_back), r(5, 3), r(3, 3), r(3), r(3, 3), r(3)", '''
def highway(x, Wh, bh, Wt, bt):
    h = np.tanh(x @ Wh + bh)
    t = 1 / (1 + np.exp(-(x @ Wt + bt)))
    return t * h + (1 - t) * x, (x, Wh, Wt, h, t)

def highway_back(dy, cache):
    x, Wh, Wt, h, t = cache
    dh_in = dy * t * (1 - h ** 2)
    dt_in = dy * (h - x) * t * (1 - t)
    dx = dh_in @ Wh.T
    dx += dt_in @ Wt.T
    dx += dy * (1 - t)
    return dx, x.T @ dh_in, dh_in.sum(0), x.T @ dt_in, dt_in.sum(0)
''')
wrong("lost-branch", "dy * (h - x) * t", "dy * h * t")
wrong("lost-branch", "    dx += dt_in @ Wt.T\n", "")
wrong("wrong-local-derivative|stale-cache", "dx += dy * (1 - t)", "dx += dy * t")

right("squeeze_excite", "SE(r(3, 3)), r(2, 3, 2, 3)", '''
class SE:
    """each channel times a gate that looks at the channels' means"""
    def __init__(self, W):
        self.params, self.grads = {"W": W}, {"W": np.zeros_like(W)}

    def forward(self, x):
        self.x = x
        self.s = x.mean((2, 3))
        self.g = 1 / (1 + np.exp(-self.s @ self.params["W"]))
        return x * self.g[:, :, None, None]

    def backward(self, dout):
        area = self.x.shape[2] * self.x.shape[3]
        dg = (dout * self.x).sum((2, 3))
        dz = dg * self.g * (1 - self.g)
        self.grads["W"][...] = self.s.T @ dz
        ds = dz @ self.params["W"].T / area
        return dout * self.g[:, :, None, None] + ds[:, :, None, None]
''')
wrong("lost-branch|constant-statistics", "return dout * self.g[:, :, None, None] + ds[:, :, None, None]",
      "return dout * self.g[:, :, None, None]")
wrong("scaled-by-N", '@ self.params["W"].T / area', '@ self.params["W"].T')
wrong("divided-by-N", "(dout * self.x).sum((2, 3))", "(dout * self.x).mean((2, 3))")

# ------------------------------------------------------------------------------------------ order, scatter and gather
right("cumsum_rows", "(cumsum, cumsum_grad), r(4, 5)", '''
def cumsum(x):
    return np.add.accumulate(x, axis=1), x.shape

def cumsum_grad(g, cache):
    return np.flip(np.cumsum(np.flip(g, axis=1), axis=1), axis=1)
''')
wrong("missing-transpose|wrong-reshape", "np.flip(np.cumsum(np.flip(g, axis=1), axis=1), axis=1)", "np.cumsum(g, axis=1)")
wrong("wrong-reshape|missing-transpose|unrecognised", "np.flip(np.cumsum(np.flip(g, axis=1), axis=1), axis=1)",
      "np.cumsum(np.flip(g, axis=1), axis=1)")

right("cumprod", "CumProd(), signs(3, 5)", '''
class CumProd:
    def forward(self, x):
        self.x = x
        self.y = np.cumprod(x, axis=-1)
        return self.y

    def backward(self, dout):
        weighted = dout * self.y
        tail = np.cumsum(weighted[:, ::-1], axis=-1)[:, ::-1]
        return tail / self.x
''')
wrong("stale-cache|wrong-local-derivative|unrecognised", "return tail / self.x", "return tail / self.y")
wrong("missing-transpose|wrong-reshape|lost-branch|unrecognised", "np.cumsum(weighted[:, ::-1], axis=-1)[:, ::-1]",
      "np.cumsum(weighted, axis=-1)")

right("sort_rows", "SortRows(), apart(4, 5)", '''
class SortRows:
    def forward(self, x):
        self.order = np.argsort(x, axis=1)
        return np.take_along_axis(x, self.order, axis=1)

    def backward(self, dout):
        dx = np.empty_like(dout)
        np.put_along_axis(dx, self.order, dout, axis=1)
        return dx
''')
wrong("missing-transpose|wrong-reshape", "np.put_along_axis(dx, self.order, dout, axis=1)",
      "dx[...] = np.take_along_axis(dout, self.order, axis=1)")
wrong("wrong-reshape|missing-transpose", "np.put_along_axis(dx, self.order, dout, axis=1)", "dx[...] = dout")

right("topk_pool", "KMax(2), apart(3, 6, 2)", '''
class KMax:
    """the k largest of each channel over time, summed: (N, T, C) -> (N, C)"""
    def __init__(self, k):
        self.k = k

    def forward(self, x):
        self.shape = x.shape
        self.idx = np.argpartition(-x, self.k, axis=1)[:, :self.k]
        return np.take_along_axis(x, self.idx, axis=1).sum(axis=1)

    def backward(self, dout):
        dx = np.zeros(self.shape)
        spread = np.repeat(dout[:, None, :], self.k, axis=1)
        np.put_along_axis(dx, self.idx, spread, axis=1)
        return dx
''')
wrong("lost-branch|unrecognised|missing-mask", "np.put_along_axis(dx, self.idx, spread, axis=1)",
      "np.put_along_axis(dx, self.idx[:, :1], dout[:, None], axis=1)")
wrong("divided-by-N|factor-half", "spread = np.repeat(dout[:, None, :], self.k, axis=1)",
      "spread = np.repeat(dout[:, None, :], self.k, axis=1) / self.k")
wrong("missing-mask", "dx = np.zeros(self.shape)", "dx = np.ones(self.shape) * dout[:, None, :]")

right("graph_conv", "GCN(r(3, 2)), r(4, 3)", '''
class GCN:
    """A is not symmetric: rows are normalised"""
    A = np.array([[1, 1, 0, 0], [0, 1, 1, 1], [0, 0, 1, 0], [1, 0, 1, 1.]])

    def __init__(self, W):
        self.W, self.dW = W, np.zeros_like(W)

    def forward(self, H):
        self.L = self.A / self.A.sum(axis=1, keepdims=True)
        self.M = self.L @ H
        return np.tanh(self.M @ self.W)

    def backward(self, dout):
        Y = np.tanh(self.M @ self.W)
        dZ = dout * (1 - Y * Y)
        self.dW[...] = self.M.T @ dZ
        return self.L.T @ dZ @ self.W.T
''')
wrong("missing-transpose", "return self.L.T @ dZ", "return self.L @ dZ")
wrong("cross-sample|lost-branch", "return self.L.T @ dZ @ self.W.T", "return dZ @ self.W.T")
wrong("stale-cache|wrong-local-derivative", "(1 - Y * Y)", "(1 - np.tanh(Y) ** 2)")

right("scatter_messages", "(scatter_mean, scatter_mean_grad), r(6, 3)", '''
TARGET = np.array([0, 2, 0, 1, 2, 0])

def scatter_mean(msg):
    count = np.bincount(TARGET, minlength=3)[:, None]
    total = np.zeros((3, msg.shape[1]))
    np.add.at(total, TARGET, msg)
    return total / count, count

def scatter_mean_grad(dout, count):
    return (dout / count)[TARGET]
''')
wrong("scaled-by-N", "(dout / count)[TARGET]", "dout[TARGET]")
wrong("wrong-reshape|unrecognised", "(dout / count)[TARGET]", "np.repeat(dout / count, 2, axis=0)")

right("batch_matmul", "BatchMatMul(), r(3, 3, 3), r(3, 3, 3)", '''
class BatchMatMul:
    def forward(self, a, b):
        self.saved = a, b
        return np.matmul(a, b)

    def backward(self, gy):
        a, b = self.saved
        ga = np.matmul(gy, b.swapaxes(1, 2))
        gb = np.matmul(a.swapaxes(1, 2), gy)
        return ga, gb
''')
wrong("missing-transpose|wrong-reshape", "np.matmul(a.swapaxes(1, 2), gy)", "np.matmul(a.T, gy)")
wrong("missing-transpose", "np.matmul(gy, b.swapaxes(1, 2))", "np.matmul(gy, b)")
wrong("missing-transpose|unrecognised", "np.matmul(a.swapaxes(1, 2), gy)", "np.matmul(gy, a.swapaxes(1, 2))")
wrong("not-returned", "return ga, gb", "return ga, None")

right("sum_two_axes", "SumAxes(), r(3, 3, 3, 2)", '''
class SumAxes:
    """sum over the axes 1 and 2"""
    def forward(self, x):
        self.x = x
        return (x ** 3).sum(axis=(1, 2))

    def backward(self, grad_output):
        g = np.expand_dims(grad_output, (1, 2))
        return 3 * self.x ** 2 * np.broadcast_to(g, self.x.shape)
''')
wrong("wrong-reshape|missing-transpose|unrecognised", "np.expand_dims(grad_output, (1, 2))",
      "np.expand_dims(grad_output, (0, 2))")
wrong("wrong-local-derivative", "3 * self.x ** 2 *", "2 * self.x *")
wrong("missing-local-derivative", "return 3 * self.x ** 2 * np.broadcast_to", "return 1 * np.broadcast_to")

right("broadcast_scale", "(scale_shift, scale_shift_back), r(4, 3, 3), u(3, 1), r(1, 3)", '''
def unbroadcast(g, shape):
    while g.ndim > len(shape):
        g = g.sum(axis=0)
    for axis, n in enumerate(shape):
        if n == 1:
            g = g.sum(axis=axis, keepdims=True)
    return g

def scale_shift(x, s, t):
    return x * s + t, (x, s, t)

def scale_shift_back(g, cache):
    x, s, t = cache
    gs = unbroadcast(g * x, s.shape)
    gt = unbroadcast(g, t.shape)
    return g * s, gs, gt
''')
wrong("missing-batch-sum", "            g = g.sum(axis=axis, keepdims=True)\n", "            g = g\n")
wrong("missing-transpose|wrong-reshape", "return g * s, gs, gt", "return g * s.T, gs, gt")
wrong("missing-local-derivative", "unbroadcast(g * x, s.shape)", "unbroadcast(g, s.shape)")

right("cosine_pairs", "CosineEmbedding(), r(5, 4), r(5, 4)", '''
class CosineEmbedding:
    def forward(self, a, b):
        self.na = np.linalg.norm(a, axis=1, keepdims=True)
        self.nb = np.linalg.norm(b, axis=1, keepdims=True)
        self.ua, self.ub = a / self.na, b / self.nb
        self.cos = (self.ua * self.ub).sum(axis=1, keepdims=True)
        return 1 - self.cos[:, 0]

    def backward(self, dout):
        d = -dout[:, None]
        da = d * (self.ub - self.cos * self.ua) / self.na
        db = d * (self.ua - self.cos * self.ub) / self.nb
        return da, db
''')
wrong("constant-statistics", "(self.ub - self.cos * self.ua) / self.na", "self.ub / self.na")
wrong("wrong-sign", "d = -dout[:, None]", "d = dout[:, None]")
wrong("stale-cache", "(self.ua - self.cos * self.ub) / self.nb", "(self.ua - self.cos * self.ub) / self.na")

right("bce_logits", "(bce, bce_back), r(6, 2), ids(2, 6, 2)", '''
def bce(z, t):
    """stable form, weight 3 on the positives, mean over all entries"""
    w = np.where(t == 1, 3.0, 1.0)
    each = w * (np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z))))
    return each.mean(), (z, t, w)

def bce_back(dloss, cache):
    z, t, w = cache
    y = 1 / (1 + np.exp(-z))
    return dloss * w * (y - t) / z.size
''')
wrong("wrong-sign", "(y - t)", "(t - y)")
wrong("missing-label-subtraction", "(y - t)", "y")
wrong("scaled-by-N|factor-2", "/ z.size", "/ z.shape[0]")
wrong("wrong-local-derivative", "(y - t)", "(y - t) * y * (1 - y)")

# ------------------------------------------------------------------------------------------ capsules, experts, penalties, state
right("capsule_squash", "Squash(), r(3, 4, 5)", '''
class Squash:
    """(N, capsules, length): long vectors become almost unit vectors"""
    def forward(self, s):
        self.s = s
        self.sq = np.sum(s ** 2, axis=2, keepdims=True)
        self.norm = np.sqrt(self.sq)
        self.factor = self.norm / (1 + self.sq)
        return self.factor * s

    def backward(self, dv):
        dfactor = np.sum(dv * self.s, axis=2, keepdims=True)
        slope = (1 - self.sq) / (1 + self.sq) ** 2
        dnorm = dfactor * slope
        return self.factor * dv + dnorm * self.s / self.norm
''')
wrong("constant-statistics|lost-branch", "return self.factor * dv + dnorm * self.s / self.norm", "return self.factor * dv")
wrong("wrong-local-derivative|constant-statistics|unrecognised", "(1 - self.sq) / (1 + self.sq) ** 2", "1 / (1 + self.sq) ** 2")
wrong("cross-sample", "self.sq = np.sum(s ** 2, axis=2, keepdims=True)", "self.sq = np.sum(s ** 2, axis=0, keepdims=True)")

right("experts", "MoE(r(3, 2), r(2, 3, 4)), r(5, 3)", '''
class MoE:
    """every expert answers; a softmax gate mixes them"""
    def __init__(self, gate, experts):
        self.params = {"gate": gate, "experts": experts}
        self.grads = {k: np.zeros_like(v) for k, v in self.params.items()}

    def forward(self, x):
        z = x @ self.params["gate"]
        z = np.exp(z - z.max(1, keepdims=True))
        p = z / z.sum(1, keepdims=True)
        y = np.einsum("ni,eio->neo", x, self.params["experts"])
        self.kept = x, p, y
        return np.einsum("ne,neo->no", p, y)

    def backward(self, dout):
        x, p, y = self.kept
        dy = p[:, :, None] * dout[:, None, :]
        dp = np.einsum("neo,no->ne", y, dout)
        dz = p * (dp - np.sum(dp * p, axis=1, keepdims=True))
        self.grads["gate"][...] = x.T @ dz
        self.grads["experts"][...] = np.einsum("ni,neo->eio", x, dy)
        dx = np.einsum("neo,eio->ni", dy, self.params["experts"])
        dx += dz @ self.params["gate"].T
        return dx
''')
wrong("lost-branch", '        dx += dz @ self.params["gate"].T\n', "")
wrong("not-written", '        self.grads["gate"][...] = x.T @ dz\n', '        self.grads["gate"][...] = 0\n')
wrong("constant-statistics", "p * (dp - np.sum(dp * p, axis=1, keepdims=True))", "p * dp")
wrong("missing-local-derivative|lost-branch|stale-cache|unrecognised", "dy = p[:, :, None] * dout[:, None, :]",
      "dy = np.ones_like(p)[:, :, None] * dout[:, None, :]")

right("elastic_net", "ElasticNet(signs(4)), r(7, 4), r(7)", '''
class ElasticNet:
    l1, l2 = 0.4, 0.25

    def __init__(self, w):
        self.params = {"w": w}

    def loss(self, X, y):
        w = self.params["w"]
        residual = X @ w - y
        value = np.mean(residual ** 2) + self.l1 * np.abs(w).sum() + self.l2 * w @ w
        grad = 2 * X.T @ residual / len(y)
        grad = grad + self.l1 * np.sign(w) + 2 * self.l2 * w
        return value, {"w": grad}
''')
wrong("wrong-penalty", "self.l1 * np.sign(w)", "self.l1 * np.abs(w)")
wrong("wrong-penalty", " + self.l1 * np.sign(w) + 2 * self.l2 * w", "")
wrong("factor-half", "2 * X.T @ residual / len(y)", "X.T @ residual / len(y)")

right("orthogonal_penalty", "OrthoRegression(r(4, 3)), r(5, 4), r(5, 3)", '''
class OrthoRegression:
    """squared error, and a penalty |W'W - 1|^2 that keeps the columns apart"""
    def __init__(self, W, strength=0.2):
        self.params = {"W": W}
        self.strength = strength

    def loss(self, X, y):
        W = self.params["W"]
        error = X @ W - y
        gap = W.T @ W - np.eye(W.shape[1])
        total = 0.5 * np.sum(error ** 2) / len(X) + self.strength * np.sum(gap ** 2)
        dW = X.T @ error / len(X)
        dW += 4 * self.strength * W @ gap
        return total, {"W": dW}
''')
wrong("wrong-penalty|factor-half", "4 * self.strength * W @ gap", "2 * self.strength * W @ gap")
wrong("wrong-penalty|lost-branch", "        dW += 4 * self.strength * W @ gap\n", "")
wrong("scaled-by-N", "X.T @ error / len(X)", "X.T @ error")

right("batchnorm_running", "BatchNorm2d(u(2), r(2)), r(3, 2, 2, 3)", '''
class BatchNorm2d:
    """keeps running statistics for later; channels first"""
    def __init__(self, gamma, beta, momentum=0.9):
        self.gamma, self.beta, self.momentum = gamma, beta, momentum
        self.dgamma, self.dbeta = np.zeros_like(gamma), np.zeros_like(beta)
        self.running_mean, self.running_var = 0.0, 1.0
        self.train = True

    def forward(self, x):
        N, C, H, W = x.shape
        rows = x.transpose(0, 2, 3, 1).reshape(-1, C)
        if self.train:
            mu, var = rows.mean(0), rows.var(0)
            self.running_mean = self.momentum * self.running_mean + (1 - self.momentum) * mu
            self.running_var = self.momentum * self.running_var + (1 - self.momentum) * var
        else:
            mu, var = self.running_mean, self.running_var
        self.inv = 1 / np.sqrt(var + 1e-5)
        self.xn = (rows - mu) * self.inv
        out = self.gamma * self.xn + self.beta
        return out.reshape(N, H, W, C).transpose(0, 3, 1, 2)

    def backward(self, dout):
        N, C, H, W = dout.shape
        d = dout.transpose(0, 2, 3, 1).reshape(-1, C)
        self.dbeta = d.sum(0)
        self.dgamma = (d * self.xn).sum(0)
        M = len(d)
        dx = self.gamma * self.inv / M * (M * d - self.dbeta - self.xn * self.dgamma)
        return dx.reshape(N, H, W, C).transpose(0, 3, 1, 2)
''')
wrong("wrong-reshape|missing-transpose", "return dx.reshape(N, H, W, C).transpose(0, 3, 1, 2)", "return dx.reshape(N, C, H, W)")
wrong("constant-statistics|scaled-by-N", "M = len(d)", "M = N")
wrong("wrong-reshape|missing-transpose", "return dx.reshape(N, H, W, C).transpose(0, 3, 1, 2)",
      "return dx.reshape(N, W, H, C).transpose(0, 3, 2, 1)")
wrong("constant-statistics", "(M * d - self.dbeta - self.xn * self.dgamma)", "(M * d)")
# conduct: two forwards give two answers
wrong("nondeterministic|constant-statistics", "mu, var = rows.mean(0), rows.var(0)\n",
      "mu, var = 0.5 * (rows.mean(0) + self.running_mean), rows.var(0)\n")

right("stacked_sigmoid", "Doubled(r(3, 4), r(4)), r(5, 3)", '''
class Dense:
    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout):
        self.dW, self.db = self.x.T @ dout, dout.sum(0)
        return dout @ self.W.T

class Sigmoid:
    def forward(self, x):
        self.out = 1 / (1 + np.exp(-x))
        return self.out

    def backward(self, dout):
        return dout * self.out * (1 - self.out)

class Doubled:
    """2 sigmoid(x W + b) - 1"""
    def __init__(self, W, b):
        self.dense, self.act = Dense(W, b), Sigmoid()
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]

    def forward(self, x):
        y = self.act.forward(self.dense.forward(x))
        y = 2 * y
        return y - 1

    def backward(self, dout):
        dx = self.dense.backward(self.act.backward(2 * dout))
        self.grads[0][...] = self.dense.dW
        self.grads[1][...] = self.dense.db
        return dx
''')
wrong("mutates-cache", "        y = 2 * y\n", "        y *= 2\n")    # conduct: what Sigmoid keeps is changed
wrong("factor-half", "self.act.backward(2 * dout)", "self.act.backward(dout)")
wrong("missing-local-derivative", "self.dense.backward(self.act.backward(2 * dout))", "self.dense.backward(2 * dout)")

right("attention_pool", "AttentivePool(r(4, 3), r(3)), r(2, 5, 4)", '''
class AttentivePool:
    """weights over time from a small net; the weighted mean of x"""
    def __init__(self, W, v):
        self.params, self.grads = {"W": W, "v": v}, {}

    def forward(self, x):
        W, v = self.params["W"], self.params["v"]
        u = np.tanh(x @ W)
        e = np.exp(u @ v)
        alpha = e / e.sum(axis=1, keepdims=True)
        return (alpha[..., None] * x).sum(axis=1), (x, u, alpha)

    def backward(self, dout, cache):
        x, u, alpha = cache
        W, v = self.params["W"], self.params["v"]
        dalpha = np.einsum("nd,ntd->nt", dout, x)
        de = alpha * (dalpha - (alpha * dalpha).sum(axis=1, keepdims=True))
        self.grads["v"] = np.einsum("nt,nth->h", de, u)
        dpre = de[..., None] * v * (1 - u ** 2)
        self.grads["W"] = np.einsum("ntd,nth->dh", x, dpre)
        dx = alpha[..., None] * dout[:, None, :]
        dx = dx + dpre @ W.T
        return dx
''')
wrong("lost-branch", "        dx = dx + dpre @ W.T\n", "")
wrong("lost-branch", "dx = dx + dpre @ W.T", "dx = dpre @ W.T")
wrong("missing-local-derivative", "* v * (1 - u ** 2)", "* v")
wrong("missing-batch-sum", 'np.einsum("nt,nth->h", de, u)', 'np.einsum("nt,nth->nh", de, u)')

# ------------------------------------------------------------------------------------------ right, of an unusual make
odd("odd_three_loops", "Slow(r(3, 2), r(3, 1)), r(2, 5)", '''
class Slow:
    """samples in columns, everything by hand"""
    def __init__(self, W, b):
        self.W, self.b = W, b
        self.dW, self.db = np.zeros(W.shape), np.zeros(b.shape)

    def forward(self, X):
        self.X = X
        Y = np.zeros((self.W.shape[0], X.shape[1]))
        for o in range(Y.shape[0]):
            for n in range(Y.shape[1]):
                total = self.b[o, 0]
                for i in range(X.shape[0]):
                    total = total + self.W[o, i] * X[i, n]
                Y[o, n] = total
        return Y

    def backward(self, dY):
        dX = np.zeros(self.X.shape)
        self.dW.fill(0)
        self.db.fill(0)
        for o in range(dY.shape[0]):
            for n in range(dY.shape[1]):
                self.db[o, 0] += dY[o, n]
                for i in range(self.X.shape[0]):
                    self.dW[o, i] += dY[o, n] * self.X[i, n]
                    dX[i, n] += dY[o, n] * self.W[o, i]
        return dX
''')

odd("odd_trilinear", "(tri, tri_back), r(4, 2), r(4, 3), r(4, 2), r(2, 3, 2, 5)", '''
def tri(a, b, c, core):
    return np.einsum("ni,nj,nk,ijko->no", a, b, c, core, optimize=True), (a, b, c, core)

def tri_back(g, cache):
    a, b, c, core = cache
    part = np.einsum("no,ijko->nijk", g, core)
    return (np.einsum("nijk,nj,nk->ni", part, b, c), np.einsum("nijk,ni,nk->nj", part, a, c),
            np.einsum("nijk,ni,nj->nk", part, a, b), np.einsum("no,ni,nj,nk->ijko", g, a, b, c))
''')

odd("odd_closure", "Closing(r(3, 3)), r(4, 3)", '''
class Closing:
    """what backward needs is held by a function that forward makes"""
    def __init__(self, W):
        self.params = [W]
        self.grads = [np.zeros_like(W)]
        self._back = None

    def forward(self, x):
        W = self.params[0]
        y = np.sin(x @ W)

        def back(dy):
            dz = dy * np.cos(x @ W)
            self.grads[0][...] = x.T @ dz
            return dz @ W.T

        self._back = back
        return y

    def backward(self, dy):
        return self._back(dy)
''')

odd("odd_single_sequence", "Echo(u(3), r(3)), r(6, 3)", '''
class Echo:
    """y_t = x_t + sigmoid(a) y_{t-1}, y_{-1} = s; no batch"""
    def __init__(self, a, s):
        self.params, self.grads = {"a": a, "s": s}, {}

    def forward(self, x):
        k = self.k = 1 / (1 + np.exp(-self.params["a"]))
        self.y = [self.params["s"]]
        for row in x:
            self.y.append(row + k * self.y[-1])
        return np.array(self.y[1:])

    def backward(self, dy):
        dx, carry, dk = [], np.zeros_like(self.k), np.zeros_like(self.k)
        for t in range(len(dy) - 1, -1, -1):
            carry = carry + dy[t]
            dx.insert(0, carry)
            dk += carry * self.y[t]
            carry = carry * self.k
        self.grads["a"] = dk * self.k * (1 - self.k)
        self.grads["s"] = carry
        return np.array(dx)
''')

odd("odd_embedding_bag", "Bag(r(5, 3), u(5)), np.array([[0, 2, 2], [4, 1, 0]])", '''
class Bag:
    """weighted sum of the rows; integers in, each word has a weight of its own"""
    def __init__(self, table, weight):
        self.params = [table, weight]
        self.grads = [np.zeros_like(p) for p in self.params]

    def forward(self, ids):
        table, weight = self.params
        self.ids = ids
        return np.einsum("nt,ntd->nd", weight[ids], table[ids])

    def backward(self, dout):
        table, weight = self.params
        onehot = (self.ids[..., None] == np.arange(len(table))).sum(axis=1).astype(float)
        at = onehot.T @ dout
        self.grads[0][...] = weight[:, None] * at
        self.grads[1][...] = (table * at).sum(axis=1)
''')

odd("odd_abs_at_zero", "Abs(), np.array([[0.0, 1.5, -2.0], [0.5, 0.0, -0.25]])", '''
class Abs:
    """two of the inputs lie on the corner; the sign there is 0"""
    def forward(self, x):
        self.sign = np.sign(x)
        return np.abs(x)

    def backward(self, dout):
        return dout * self.sign
''')

odd("odd_max_with_ties", "RowMax(), np.array([[1.0, 3.0, 3.0, 0.0], [2.0, -1.0, 0.5, 1.0], [4.0, 4.0, 1.0, 2.0]])", '''
class RowMax:
    """equal maxima share the gradient"""
    def forward(self, x):
        self.best = x == x.max(axis=1, keepdims=True)
        return x.max(axis=1)

    def backward(self, dout):
        share = self.best / self.best.sum(axis=1, keepdims=True)
        return share * dout[:, None]
''')

odd("odd_three_outputs", "QKV(r(3, 6), r(6)), r(2, 4, 3)", '''
class QKV:
    def __init__(self, W, b):
        self.W, self.b = W, b
        self.dW, self.db = np.zeros_like(W), np.zeros_like(b)

    def forward(self, x):
        self.x = x
        q, k, v = np.split(x @ self.W + self.b, 3, axis=-1)
        return q, k, v

    def backward(self, dq, dk, dv):
        d = np.concatenate((dq, dk, dv), axis=-1)
        self.db[:] = d.sum(axis=(0, 1))
        self.dW[:] = np.tensordot(self.x, d, axes=((0, 1), (0, 1)))
        return d @ self.W.T
''')

odd("odd_loss_function", "poisson_loss, r(6), np.array([0, 2, 1, 5, 0, 3])", '''
def poisson_loss(log_rate, counts):
    """a value and its gradient at once, for counts"""
    rate = np.exp(log_rate)
    return float(np.mean(rate - counts * log_rate)), (rate - counts) / counts.size
''')

odd("odd_moving_average", "Tracked(u(3)), r(5, 3)", '''
class Tracked:
    """counts its calls and follows the mean of what it has seen; neither goes into the output"""
    def __init__(self, gain):
        self.params, self.grads = {"gain": gain}, {"gain": np.zeros_like(gain)}
        self.calls, self.seen = 0, np.zeros(3)

    def forward(self, x):
        self.calls += 1
        self.seen = 0.99 * self.seen + 0.01 * x.mean(axis=0)
        self.centred = x - x.mean(axis=0)
        return self.centred * self.params["gain"]

    def backward(self, dout):
        self.grads["gain"][...] = (dout * self.centred).sum(axis=0)
        d = dout * self.params["gain"]
        return d - d.mean(axis=0)
''')

odd("odd_layer_in_layer", "Twice(r(4, 4), r(4)), r(3, 4)", '''
class Inner:
    def __init__(self, W, b):
        self.params, self.grads = [W, b], [np.zeros_like(W), np.zeros_like(b)]
        self.stack = []

    def forward(self, x):
        y = np.tanh(x @ self.params[0] + self.params[1])
        self.stack.append((x, y))
        return y

    def backward(self, dy):
        x, y = self.stack.pop()
        d = dy * (1 - y ** 2)
        self.grads[0] += x.T @ d
        self.grads[1] += d.sum(axis=0)
        return d @ self.params[0].T

class Twice:
    """the same layer used two times, with a stack for what each use keeps"""
    def __init__(self, W, b):
        self.inner = Inner(W, b)
        self.params, self.grads = self.inner.params, self.inner.grads

    def forward(self, x):
        self.inner.stack.clear()
        out = self.inner.forward(self.inner.forward(x))
        self.kept = list(self.inner.stack)
        return out

    def backward(self, dout):
        for g in self.grads:
            g[...] = 0
        self.inner.stack[:] = self.kept
        return self.inner.backward(self.inner.backward(dout))
''')

odd("odd_haar", "Haar(), r(3, 4, 2)", '''
class Haar:
    """(N, T, C), T must be even: sums and differences of neighbours"""
    def forward(self, x):
        if x.shape[1] % 2:
            raise ValueError("T must be even")
        even, odd = x[:, ::2], x[:, 1::2]
        return np.concatenate([even + odd, even - odd], axis=2) / np.sqrt(2)

    def backward(self, dout):
        low, high = np.split(dout / np.sqrt(2), 2, axis=2)
        dx = np.empty((len(dout), 2 * dout.shape[1], low.shape[2]))
        dx[:, ::2] = low + high
        dx[:, 1::2] = low - high
        return dx
''')

odd("odd_own_buffer", "Leaky(), signs(4, 5)", '''
class Leaky:
    """works in place, on arrays of its own"""
    def forward(self, x):
        self.low = x < 0
        out = x.copy()
        out[self.low] *= 0.1
        out += 1
        return out

    def backward(self, dout):
        dx = np.array(dout)
        np.multiply(dx, 0.1, out=dx, where=self.low)
        return dx
''')

odd("odd_fft", "(circular, circular_back), r(3, 7), r(7)", '''
def circular(x, k):
    """circular convolution over the last axis"""
    X, K = np.fft.rfft(x), np.fft.rfft(k)
    return np.fft.irfft(X * K, n=7), (X, K)

def circular_back(g, cache):
    X, K = cache
    G = np.fft.rfft(g)
    return np.fft.irfft(G * K.conj(), n=7), np.fft.irfft((G * X.conj()).sum(axis=0), n=7)
''')

odd("odd_solve", "Solve(), 3 * np.eye(3) + 0.5 * r(3, 3), r(3, 2)", '''
class Solve:
    """y = A^-1 b, without a batch"""
    def forward(self, A, b):
        self.A = A
        self.y = np.linalg.solve(A, b)
        return self.y

    def backward(self, dy):
        db = np.linalg.solve(self.A.T, dy)
        return -db @ self.y.T, db
''')

odd("odd_temperature", "Tempered(np.array(0.7)), r(5, 4)", '''
class Tempered:
    """softmax at a learned temperature, a number with no axes"""
    def __init__(self, t):
        self.params, self.grads = [t], [np.zeros(())]

    def forward(self, x):
        self.x = x
        e = np.exp((x - x.max(axis=1, keepdims=True)) / self.params[0])
        self.p = e / e.sum(axis=1, keepdims=True)
        return self.p

    def backward(self, dout):
        t = self.params[0]
        dz = self.p * (dout - (dout * self.p).sum(axis=1, keepdims=True))
        self.grads[0][...] = -(dz * self.x).sum() / t ** 2
        return dz / t
''')

odd("odd_masked_inputs", "MaskedMean(), r(3, 4, 2), np.array([[1, 1, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0]], dtype=bool)", '''
class MaskedMean:
    """a mask of booleans as the second input, that gets no gradient"""
    def forward(self, x, mask):
        self.w = mask / mask.sum(axis=1, keepdims=True)
        return np.einsum("nt,ntd->nd", self.w, x)

    def backward(self, dout):
        return self.w[:, :, None] * dout[:, None, :], None
''')

odd("odd_lstm_scan", "(scan, scan_back), r(2, 3), r(2, 3), u(3)", '''
def scan(x, c, w):
    """two outputs and a cache: a gate, and the state it lets through"""
    gate = 1 / (1 + np.exp(-w * x))
    state = gate * c
    return gate, state, dict(x=x, c=c, w=w, gate=gate)

def scan_back(dgate, dstate, cache):
    c, gate = cache["c"], cache["gate"]
    dz = (dgate + dstate * c) * gate * (1 - gate)
    return dz * cache["w"], dstate * gate, (dz * cache["x"]).sum(axis=0)
''')

odd("odd_neighbour_inputs", "Pairwise(), r(4, 3), r(5, 3)", '''
class Pairwise:
    """squared distances of every a to every b: the numbers of rows differ"""
    def forward(self, a, b):
        self.a, self.b = a, b
        return (a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * a @ b.T

    def backward(self, g):
        da = 2 * (g.sum(1)[:, None] * self.a - g @ self.b)
        db = 2 * (g.sum(0)[:, None] * self.b - g.T @ self.a)
        return da, db
''')

odd("odd_net_by_names", "Net(r(3, 4), r(4, 2)), r(5, 3), r(5, 2)", '''
class Net:
    """a loss in one method, a dict of gradients, layers as a list of functions"""
    def __init__(self, *weights):
        self.params = {f"W{i}": W for i, W in enumerate(weights)}

    def loss(self, X, y):
        kept, h = [], X
        for W in self.params.values():
            kept.append(h)
            h = np.arctan(h @ W)
        loss, d, grads = np.sum((h - y) ** 2), 2 * (h - y), {}
        for name, W in reversed(list(self.params.items())):
            h = kept.pop()
            d = d / (1 + (h @ W) ** 2)
            grads[name] = h.T @ d
            d = d @ W.T
        return loss, grads
''')
