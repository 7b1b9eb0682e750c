"""Mistakes that were mended or asked about in public, rebuilt in a few lines each: the sixth set, by the other hand."""
from tests.exam.reading import Cases

CASES = Cases()
right, wrong, odd = CASES.right, CASES.wrong, CASES.odd

# ------------------------------------------------------------------------------------------ dense
right("logistic_dense", "Dense(r(3, 4), r(4)), r(6, 3)", '''
class Dense:
    """One fully connected layer with a logistic squashing."""

    def __init__(self, W, b):
        self.W = W
        self.b = b
        self.dW = np.zeros_like(W)
        self.db = np.zeros_like(b)

    def forward(self, X):
        self.X = X
        self.Z = X.dot(self.W) + self.b
        self.A = 1.0 / (1.0 + np.exp(-self.Z))
        return self.A

    def backward(self, dA):
        dZ = dA * self.A * (1.0 - self.A)
        self.dW[:] = self.X.T.dot(dZ)
        self.db[:] = dZ.sum(axis=0)
        return dZ.dot(self.W.T)
''')
wrong("wrong-local-derivative", "dA * self.A * (1.0 - self.A)", "dA * self.Z * (1.0 - self.Z)")
wrong("divided-by-N", "self.X.T.dot(dZ)", "self.X.T.dot(dZ) / self.X.shape[0]")
wrong("missing-local-derivative", "self.db[:] = dZ.sum(axis=0)", "self.db[:] = dA.sum(axis=0)")

right("plain_linear", "Linear(r(4, 3), r(3)), r(7, 4)", '''
class Linear:
    def __init__(self, weight, bias):
        self.params = [weight, bias]
        self.grads = [np.zeros_like(weight), np.zeros_like(bias)]

    def forward(self, x):
        weight, bias = self.params
        self.cache = x
        return np.matmul(x, weight) + bias

    def backward(self, grad):
        x = self.cache
        weight, _ = self.params
        dw = np.matmul(x.T, grad)
        db = np.sum(grad, axis=0)
        self.grads[0][...] = dw
        self.grads[1][...] = db
        return np.matmul(grad, weight.T)
''')
# a second backward without a fresh array gives twice the bias gradient
wrong("accumulates", "self.grads[1][...] = db", "self.grads[1] += db")
# the optimiser, which holds the first list, sees zeros for ever
wrong("rebound-grads|not-written", "self.grads[0][...] = dw\n        self.grads[1][...] = db", "self.grads = [dw, db]")
wrong("summed-too-far", "np.sum(grad, axis=0)", "np.sum(grad)")

right("tanh_net_columns", "Net(r(4, 4), r(4, 1), r(2, 4), r(2, 1)), r(4, 5)", '''
class Net:
    """X holds one example per column."""

    def __init__(self, W1, b1, W2, b2):
        self.params = {"W1": W1, "b1": b1, "W2": W2, "b2": b2}
        self.grads = {k: np.zeros_like(v) for k, v in self.params.items()}

    def forward(self, X):
        p = self.params
        self.X = X
        self.Z1 = np.dot(p["W1"], X) + p["b1"]
        self.A1 = np.tanh(self.Z1)
        return np.dot(p["W2"], self.A1) + p["b2"]

    def backward(self, dZ2):
        g, W1, W2 = self.grads, self.params["W1"], self.params["W2"]
        g["W2"][...] = np.dot(dZ2, self.A1.T)
        g["b2"][...] = np.sum(dZ2, axis=1, keepdims=True)
        dA1 = np.dot(W2.T, dZ2)
        dZ1 = dA1 * (1 - np.power(self.A1, 2))
        g["W1"][...] = np.dot(dZ1, self.X.T)
        g["b1"][...] = np.sum(dZ1, axis=1, keepdims=True)
        return np.dot(W1.T, dZ1)
''')
wrong("missing-transpose", "return np.dot(W1.T, dZ1)", "return np.dot(W1, dZ1)")
wrong("stale-cache", 'g["W2"][...] = np.dot(dZ2, self.A1.T)', 'g["W2"][...] = np.dot(dZ2, self.Z1.T)')

right("tied_autoencoder", "TiedAutoencoder(r(4, 3), r(3), r(4)), r(5, 4)", '''
class TiedAutoencoder:
    def __init__(self, W, b_enc, b_dec):
        self.params = dict(W=W, b_enc=b_enc, b_dec=b_dec)
        self.grads = {}

    def encode(self, x):
        return np.tanh(x @ self.params["W"] + self.params["b_enc"])

    def decode(self, code):
        return code @ self.params["W"].T + self.params["b_dec"]

    def forward(self, x):
        self.x = x
        self.code = self.encode(x)
        return self.decode(self.code)

    def backward(self, drec):
        W = self.params["W"]
        dcode = drec @ W
        dpre = dcode * (1.0 - self.code ** 2)
        from_decoder = drec.T @ self.code
        from_encoder = self.x.T @ dpre
        self.grads["W"] = from_decoder + from_encoder
        self.grads["b_enc"] = dpre.sum(0)
        self.grads["b_dec"] = drec.sum(0)
        return dpre @ W.T
''')
wrong("lost-branch", "from_decoder + from_encoder", "from_encoder")

# ------------------------------------------------------------------------------------------ nets with a loss
right("two_layer_reg", "TwoLayerNet(r(4, 5), r(5), r(5, 3), r(3), 0.1), r(7, 4), ids(3, 7)", '''
class TwoLayerNet(object):

    def __init__(self, W1, b1, W2, b2, reg):
        self.params = {'W1': W1, 'b1': b1, 'W2': W2, 'b2': b2}
        self.reg = reg

    def loss(self, X, y):
        W1, b1 = self.params['W1'], self.params['b1']
        W2, b2 = self.params['W2'], self.params['b2']
        N = X.shape[0]

        # forward
        hidden = np.maximum(0, X.dot(W1) + b1)
        scores = hidden.dot(W2) + b2
        scores = scores - scores.max(axis=1, keepdims=True)
        probs = np.exp(scores)
        probs /= probs.sum(axis=1, keepdims=True)
        data_loss = -np.log(probs[np.arange(N), y]).sum() / N
        loss = data_loss + self.reg * (np.sum(W1 * W1) + np.sum(W2 * W2))

        # backward
        grads = {}
        dscores = probs.copy()
        dscores[np.arange(N), y] -= 1
        dscores /= N
        grads['W2'] = hidden.T.dot(dscores) + 2 * self.reg * W2
        grads['b2'] = dscores.sum(axis=0)
        dhidden = dscores.dot(W2.T)
        dhidden[hidden <= 0] = 0
        grads['W1'] = X.T.dot(dhidden) + 2 * self.reg * W1
        grads['b1'] = dhidden.sum(axis=0)
        return loss, grads
''')
wrong("wrong-penalty", "2 * self.reg * W2", "self.reg * W2")
wrong("missing-mask", "        dhidden[hidden <= 0] = 0\n", "")
wrong("scaled-by-N", "        dscores /= N\n", "")

right("svm_naive", "LinearSVM(r(4, 3), 0.05), r(6, 4), ids(3, 6)", '''
class LinearSVM:
    def __init__(self, W, reg):
        self.params = {"W": W}
        self.reg = reg

    def loss(self, X, y):
        W = self.params["W"]
        dW = np.zeros(W.shape)
        num_classes = W.shape[1]
        num_train = X.shape[0]
        total = 0.0
        for i in range(num_train):
            scores = X[i].dot(W)
            correct = scores[y[i]]
            for j in range(num_classes):
                if j == y[i]:
                    continue
                margin = scores[j] - correct + 1  # delta = 1
                if margin > 0:
                    total += margin
                    dW[:, j] += X[i]
                    dW[:, y[i]] -= X[i]
        total = total / num_train + 0.5 * self.reg * np.sum(W * W)
        dW = dW / num_train + self.reg * W
        return total, {"W": dW}
''')
wrong("wrong-penalty", "dW / num_train + self.reg * W", "dW / num_train + 2 * self.reg * W")
wrong("lost-branch|missing-label-subtraction", "                    dW[:, y[i]] -= X[i]\n", "")

right("elastic_net", "ElasticNet(signs(4), np.array([0.3]), 0.2, 0.1), r(6, 4), r(6)", '''
class ElasticNet:
    """Least squares with both penalties."""
    def __init__(self, w, b, l1, l2):
        self.params, self.grads = [w, b], [np.zeros_like(w), np.zeros_like(b)]
        self.l1, self.l2 = l1, l2

    def forward(self, x, target):
        w, b = self.params
        self.x = x
        self.err = x @ w + b - target
        return np.mean(self.err ** 2) + self.l1 * np.abs(w).sum() + self.l2 * (w ** 2).sum()

    def backward(self, dout=1.0):
        w, b = self.params
        derr = dout * 2.0 * self.err / len(self.err)
        dpenalty = self.l1 * np.sign(w) + self.l2 * 2.0 * w
        self.grads[0][...] = self.x.T @ derr + dout * dpenalty
        self.grads[1][...] = derr.sum()
        return np.outer(derr, w)
''')
wrong("factor-half", "dout * 2.0 * self.err / len(self.err)", "dout * self.err / len(self.err)")

# ------------------------------------------------------------------------------------------ activations
right("elu_pair", "(elu_forward, elu_backward), signs(5, 4)", '''
ALPHA = 0.7

def elu_forward(x):
    out = np.where(x > 0, x, ALPHA * (np.exp(x) - 1))
    cache = (x, out)
    return out, cache

def elu_backward(dout, cache):
    x, out = cache
    slope = np.ones_like(x)
    slope[x <= 0] = out[x <= 0] + ALPHA
    return dout * slope
''')
wrong("wrong-local-derivative", "= out[x <= 0] + ALPHA", "= out[x <= 0] + 1")

right("isrlu", "ISRLU(0.8), r(4, 5)", '''
class ISRLU:
    def __init__(self, alpha):
        self.alpha = alpha

    def forward(self, inp):
        negatives = np.minimum(inp, 0)
        self.nisr = 1.0 / np.sqrt(1.0 + self.alpha * negatives ** 2)
        return inp * self.nisr

    def backward(self, grad_out):
        return grad_out * self.nisr ** 3
''')
wrong("ignores-upstream", "grad_out * self.nisr ** 3", "self.nisr ** 3")

right("prelu_channels", "PReLU(np.array([0.25, -0.4, 0.1])), signs(6, 3)", '''
class PReLU:
    def __init__(self, slope):
        self.params = [slope]
        self.grads = [np.zeros_like(slope)]

    def forward(self, x):
        self.x = x
        self.y = np.where(x > 0, x, self.params[0] * x)
        return self.y

    def backward(self, dy):
        neg = self.x <= 0
        self.grads[0][...] = np.sum(dy * self.x * neg, axis=0)
        return np.where(neg, dy * self.params[0], dy)
''')
wrong("stale-cache|missing-mask|missing-local-derivative", "neg = self.x <= 0", "neg = self.y <= 0")

right("gelu_tanh", "(gelu, gelu_bwd), r(3, 5)", '''
C = np.sqrt(2 / np.pi)

def gelu(x):
    t = np.tanh(C * (x + 0.044715 * x ** 3))
    return 0.5 * x * (1 + t), (x, t)

def gelu_bwd(dout, cache):
    x, t = cache
    dinner = C * (1 + 3 * 0.044715 * x ** 2)
    left = 0.5 * (1 + t)
    right = 0.5 * x * (1 - t ** 2) * dinner
    return dout * (left + right)
''')
wrong("lost-branch|wrong-local-derivative", "dout * (left + right)", "dout * left")

right("softplus_beta", "Softplus(3.0), r(4, 4)", '''
class Softplus(object):
    def __init__(self, beta):
        self.beta = beta

    def forward(self, x):
        bx = self.beta * x
        self.e = np.exp(bx)
        return np.log1p(self.e) / self.beta

    def backward(self, g):
        return g * self.e / (self.e + 1.0)
''')
wrong("ignores-upstream", "g * self.e / (self.e + 1.0)", "self.e / (self.e + 1.0)")

right("softmax_jacobian", "Softmax(), r(4, 5)", '''
class Softmax:
    def forward(self, z):
        e = np.exp(z - z.max(axis=-1, keepdims=True))
        self.probs = e / e.sum(axis=-1, keepdims=True)
        return self.probs

    def backward(self, dL):
        dz = np.empty_like(dL)
        for k in range(len(dL)):
            p = self.probs[k]
            jac = np.diag(p) - np.outer(p, p)
            dz[k] = jac @ dL[k]
        return dz
''')
wrong("constant-statistics|wrong-local-derivative", "np.diag(p) - np.outer(p, p)", "np.diag(p * (1 - p))")

right("log_softmax_fn", "(log_softmax, log_softmax_grad), r(5, 3)", '''
def log_softmax(logits):
    shifted = logits - np.max(logits, axis=1, keepdims=True)
    out = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return out, out

def log_softmax_grad(gy, logp):
    total = gy.sum(axis=1, keepdims=True)
    return gy - np.exp(logp) * total
''')
wrong("wrong-sign|constant-statistics", "gy - np.exp(logp) * total", "gy + np.exp(logp) * total")

right("maxout_pieces", "Maxout(r(3, 4, 3), apart(4, 3) * 3), r(5, 3)", '''
class Maxout:
    """weights (nI, nO, nP): the largest of nP pieces for each output."""
    def __init__(self, W, b):
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]

    def forward(self, X):
        W, b = self.params
        pieces = np.tensordot(X, W, axes=1) + b
        self.X, self.which = X, pieces.argmax(axis=-1)
        return pieces.max(axis=-1)

    def backward(self, dY):
        W, b = self.params
        nP = b.shape[1]
        chosen = np.arange(nP) == self.which[..., None]
        dpieces = chosen * dY[..., None]
        self.grads[0][...] = np.einsum("bi,bop->iop", self.X, dpieces)
        self.grads[1][...] = dpieces.sum(axis=0)
        return np.einsum("bop,iop->bi", dpieces, W)
''')
wrong("missing-mask", "dpieces = chosen * dY[..., None]", "dpieces = np.repeat(dY[..., None], nP, axis=2)")

# ------------------------------------------------------------------------------------------ losses
right("huber_rows", "HuberLoss(0.6), r(5, 3), r(5, 3)", '''
class HuberLoss:
    def __init__(self, delta):
        self.delta = delta

    def forward(self, x, t):
        self.diff = x - t
        a = np.abs(self.diff)
        self.small = a < self.delta
        y = np.where(self.small, 0.5 * np.square(a), self.delta * (a - 0.5 * self.delta))
        return y.sum(axis=1)

    def backward(self, gy):
        gx = np.where(self.small, self.diff, self.delta * np.sign(self.diff))
        gx = gy[:, None] * gx
        return gx, -gx
''')
wrong("ignores-upstream", "        gx = gy[:, None] * gx\n", "")
wrong("wrong-local-derivative", "self.delta * np.sign(self.diff))\n        gx", "np.sign(self.diff))\n        gx")

right("soft_dice", "SoftDice(), u(4, 6), ids(2, 4, 6)", '''
class SoftDice:
    """1 - 2 |p t| / (|p| + |t|), averaged over the images."""
    def forward(self, p, target):
        self.target = target
        self.inter = (p * target).sum(axis=1, keepdims=True)
        self.union = (p + target).sum(axis=1, keepdims=True) + 1e-3
        return 1.0 - np.mean(2.0 * self.inter / self.union)

    def backward(self, grad_output=1.0):
        n = self.union.shape[0]
        top = self.target * self.union - self.inter
        grad_input = -2.0 * top / (self.union * self.union)
        return grad_output * grad_input / n
''')
wrong("wrong-sign|wrong-local-derivative", "self.target * self.union - self.inter", "self.target * self.union + self.inter")
wrong("scaled-by-N", "grad_output * grad_input / n", "grad_output * grad_input")

right("focal_binary", "focal_loss, r(7), ids(2, 7)", '''
def focal_loss(x, y):
    gamma = 2.0
    p = 1.0 / (1.0 + np.exp(-x))
    pt = np.where(y == 1, p, 1 - p)
    flip = np.where(y == 1, 1.0, -1.0)
    weight = (1 - pt) ** gamma
    loss = -np.mean(weight * np.log(pt))

    dweight = -gamma * (1 - pt) ** (gamma - 1)
    dpt = -(dweight * np.log(pt) + weight / pt)
    dx = dpt * flip * pt * (1 - pt)
    return loss, dx / x.size
''')
wrong("lost-branch|wrong-local-derivative|constant-statistics", "-(dweight * np.log(pt) + weight / pt)", "-(weight / pt)")

right("contrastive_pairs", "Contrastive(2.5), r(6, 3), r(6, 3), np.array([1, 0, 0, 1, 0, 0])", '''
class Contrastive:
    def __init__(self, margin):
        self.margin = margin

    def forward(self, x0, x1, y):
        self.y = y
        self.diff = x0 - x1
        self.dist = np.sqrt(np.sum(self.diff ** 2, axis=1))
        self.mdist = self.margin - self.dist
        far = np.maximum(self.mdist, 0)
        return np.sum(y * self.dist ** 2 + (1 - y) * far ** 2) / (2.0 * len(y))

    def backward(self, gy=1.0):
        alpha = gy / len(self.y)
        pull = self.y[:, None] * self.diff
        push = (1 - self.y) * np.maximum(self.mdist, 0) / self.dist
        gx0 = alpha * (pull - push[:, None] * self.diff)
        return gx0, -gx0
''')
wrong("missing-mask", "(1 - self.y) * np.maximum(self.mdist, 0) / self.dist", "(1 - self.y) * self.mdist / self.dist")
wrong("wrong-local-derivative|missing-local-derivative", "np.maximum(self.mdist, 0) / self.dist", "np.maximum(self.mdist, 0)")

right("triplet", "TripletLoss(1.0), r(7, 3), r(7, 3), r(7, 3)", '''
class TripletLoss:
    def __init__(self, margin):
        self.margin = margin

    def forward(self, anchor, positive, negative):
        self.cache = anchor, positive, negative
        dist = np.sum((anchor - positive) ** 2 - (anchor - negative) ** 2, axis=1) + self.margin
        self.hinge = np.maximum(dist, 0)
        return self.hinge.sum() / len(anchor)

    def backward(self, gy=1.0):
        a, p, n = self.cache
        active = (self.hinge > 0)[:, None]
        scale = 2.0 * gy / len(a) * active
        da = scale * (n - p)
        dp = scale * (p - a)
        dn = scale * (a - n)
        return da, dp, dn
''')
wrong("wrong-sign", "da = scale * (n - p)", "da = scale * (p - n)")
wrong("not-returned|stale-cache", "return da, dp, dn", "return da, dn, dp")

right("gaussian_kl", "(kl_forward, kl_backward), r(5, 3), r(5, 3)", '''
def kl_forward(mu, logvar):
    # KL(N(mu, var) || N(0, 1)), mean over the batch
    var = np.exp(logvar)
    kl = -0.5 * np.sum(1 + logvar - mu ** 2 - var)
    return kl / mu.shape[0], (mu, var)

def kl_backward(dout, cache):
    mu, var = cache
    scale = dout / mu.shape[0]
    dmu = scale * mu
    dlogvar = scale * 0.5 * (var - 1)
    return dmu, dlogvar
''')
wrong("factor-2", "scale * 0.5 * (var - 1)", "scale * (var - 1)")
wrong("not-returned", "return dmu, dlogvar", "return dmu")

right("time_softmax_loss", "TimeSoftmaxWithLoss(), r(3, 4, 5), ids(6, 3, 4) - 1", '''
class TimeSoftmaxWithLoss:
    def __init__(self):
        self.params, self.grads = [], []
        self.ignore_label = -1

    def forward(self, xs, ts):
        N, T, V = xs.shape
        mask = (ts != self.ignore_label).reshape(N * T)
        xs = xs.reshape(N * T, V)
        ts = ts.reshape(N * T)
        ys = np.exp(xs - xs.max(axis=1, keepdims=True))
        ys = ys / ys.sum(axis=1, keepdims=True)
        ls = np.log(ys[np.arange(N * T), ts]) * mask  # what is -1 is masked out
        self.cache = (ts, ys, mask, (N, T, V))
        return -np.sum(ls) / mask.sum()

    def backward(self, dout=1):
        ts, ys, mask, shape = self.cache
        dx = ys.copy()
        dx[np.arange(len(ts)), ts] -= 1
        dx = dx * dout / mask.sum()
        dx = dx * mask[:, np.newaxis]
        return dx.reshape(shape)
''')
wrong("missing-mask", "        dx = dx * mask[:, np.newaxis]\n", "")
wrong("missing-label-subtraction", "        dx[np.arange(len(ts)), ts] -= 1\n", "")
wrong("ignores-upstream", "dx = dx * dout / mask.sum()", "dx = dx / mask.sum()")

right("ctc_small", "CTC([0, 1, 0, 2, 0]), r(5, 3)", '''
class CTC:
    """One utterance: logits (T, V), a fixed labelling with blanks (0) between."""
    def __init__(self, path):
        self.path = path

    def _sweep(self, probs):
        T, L = len(probs), len(self.path)
        table = np.zeros((T, L))
        table[0, :2] = probs[0, self.path[:2]]
        for t in range(1, T):
            for s, label in enumerate(self.path):
                way = table[t - 1, s]
                if s > 0:
                    way += table[t - 1, s - 1]
                if s > 1 and label != 0 and label != self.path[s - 2]:
                    way += table[t - 1, s - 2]
                table[t, s] = way * probs[t, label]
        return table

    def forward(self, logits):
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        self.probs = e / e.sum(axis=1, keepdims=True)
        self.alpha = self._sweep(self.probs)
        self.total = self.alpha[-1, -1] + self.alpha[-1, -2]
        return -np.log(self.total)

    def _betas(self):
        mirror = CTC(self.path[::-1])
        return mirror._sweep(self.probs[::-1])[::-1, ::-1]

    def backward(self, dout=1.0):
        joint = self.alpha * self._betas() / self.probs[:, self.path]
        occupancy = np.zeros_like(self.probs)
        for s, label in enumerate(self.path):
            occupancy[:, label] += joint[:, s]
        return dout * (self.probs - occupancy / self.total)
''')
wrong("ignores-upstream", "return dout * (self.probs", "return (self.probs")
wrong("repeated-index|lost-branch", "occupancy[:, label] += joint[:, s]", "occupancy[:, label] = joint[:, s]")

# ------------------------------------------------------------------------------------------ arithmetic
right("divide_broadcast", "Div(), r(5, 3), u(3)", '''
class Div:
    """a / b, with b for all rows alike."""
    def forward(self, a, b):
        self.input = (a, b)
        return a / b

    def backward(self, dy):
        a, b = self.input
        da = dy / b
        db = -dy * a / b ** 2
        return da, db.sum(axis=0)
''')
wrong("wrong-sign", "db = -dy * a / b ** 2", "db = dy * a / b ** 2")
wrong("missing-batch-sum", "return da, db.sum(axis=0)", "return da, db")

right("row_std", "RowStd(), r(4, 5)", '''
class RowStd:
    def forward(self, a):
        self.centred = a - a.mean(axis=1, keepdims=True)
        self.s = np.sqrt((self.centred ** 2).mean(axis=1, keepdims=True))
        return self.s[:, 0]

    def backward(self, g):
        n = self.centred.shape[1]
        dvar = g[:, None] / (2 * self.s)
        return dvar * 2 * self.centred / n
''')
wrong("missing-local-derivative|wrong-local-derivative", "g[:, None] / (2 * self.s)", "g[:, None]")

right("permute_axes", "Permute((2, 0, 1)), r(3, 3, 3)", '''
class Permute:
    def __init__(self, axes):
        self.axes = axes

    def forward(self, x):
        return np.ascontiguousarray(x.transpose(self.axes))

    def backward(self, gy):
        inv_axes = tuple(np.argsort(self.axes))
        return gy.transpose(inv_axes)
''')
wrong("missing-transpose|wrong-reshape", "inv_axes = tuple(np.argsort(self.axes))", "inv_axes = self.axes")

right("running_total", "CumSum(), r(3, 6)", '''
class CumSum:
    def forward(self, x):
        return np.cumsum(x, axis=1)

    def backward(self, dy):
        reverse = dy[:, ::-1]
        return np.cumsum(reverse, axis=1)[:, ::-1]
''')
wrong("missing-transpose|flipped-kernel|unrecognised",
      "reverse = dy[:, ::-1]\n        return np.cumsum(reverse, axis=1)[:, ::-1]",
      "return np.cumsum(dy, axis=1)")

right("sort_rows", "Sort(), apart(4, 6)", '''
class Sort:
    def forward(self, x):
        self.order = np.argsort(x, axis=1)
        return np.take_along_axis(x, self.order, axis=1)

    def backward(self, dsorted):
        back = np.argsort(self.order, axis=1)
        return np.take_along_axis(dsorted, back, axis=1)
''')
wrong("missing-transpose|wrong-reshape",
      "np.take_along_axis(dsorted, back, axis=1)", "np.take_along_axis(dsorted, self.order, axis=1)")

# ------------------------------------------------------------------------------------------ convolution and pooling
right("conv_loops", "(conv_forward, conv_backward), r(3, 5, 5, 2), r(3, 3, 2, 2), r(1, 1, 1, 2)", '''
STRIDE, PAD = 2, 1

def zero_pad(X, pad):
    return np.pad(X, ((0, 0), (pad, pad), (pad, pad), (0, 0)))

def conv_forward(A_prev, W, b):
    (m, n_H_prev, n_W_prev, n_C_prev) = A_prev.shape
    (f, f, n_C_prev, n_C) = W.shape
    n_H = int((n_H_prev - f + 2 * PAD) / STRIDE) + 1
    n_W = int((n_W_prev - f + 2 * PAD) / STRIDE) + 1
    Z = np.zeros((m, n_H, n_W, n_C))
    A_prev_pad = zero_pad(A_prev, PAD)
    for i in range(m):
        for h in range(n_H):
            for w in range(n_W):
                top, left = h * STRIDE, w * STRIDE
                a_slice = A_prev_pad[i, top:top + f, left:left + f, :]
                for c in range(n_C):
                    Z[i, h, w, c] = np.sum(a_slice * W[:, :, :, c]) + b[0, 0, 0, c]
    return Z, (A_prev, W, b)

def conv_backward(dZ, cache):
    (A_prev, W, b) = cache
    (m, n_H, n_W, n_C) = dZ.shape
    f = W.shape[0]
    A_pad = zero_pad(A_prev, PAD)
    dA_pad = np.zeros_like(A_pad)
    dW = np.zeros_like(W)
    db = np.zeros_like(b)
    for i in range(m):
        for h in range(n_H):
            for w in range(n_W):
                for c in range(n_C):
                    vert_start = h * STRIDE
                    horiz_start = w * STRIDE
                    vert_end, horiz_end = vert_start + f, horiz_start + f
                    a_slice = A_pad[i, vert_start:vert_end, horiz_start:horiz_end, :]
                    dA_pad[i, vert_start:vert_end, horiz_start:horiz_end, :] += W[:, :, :, c] * dZ[i, h, w, c]
                    dW[:, :, :, c] += a_slice * dZ[i, h, w, c]
                    db[:, :, :, c] += dZ[i, h, w, c]
    dA_prev = dA_pad[:, PAD:-PAD, PAD:-PAD, :]
    return dA_prev, dW, db
''')
wrong("unrecognised|flipped-kernel|stale-cache", "vert_start = h * STRIDE\n                    horiz_start = w * STRIDE",
      "vert_start = h\n                    horiz_start = w")
wrong("overlap-overwritten", "horiz_start:horiz_end, :] += W", "horiz_start:horiz_end, :] = W")
wrong("divided-by-N", "return dA_prev, dW, db", "return dA_prev, dW / m, db")

right("conv_im2col", "Convolution(r(3, 2, 3, 3), r(3), 1, 1), r(2, 2, 4, 4)", '''
def im2col(img, fh, fw, stride, pad):
    N, C, H, W = img.shape
    oh = (H + 2 * pad - fh) // stride + 1
    ow = (W + 2 * pad - fw) // stride + 1
    img = np.pad(img, [(0, 0), (0, 0), (pad, pad), (pad, pad)])
    col = np.zeros((N, C, fh, fw, oh, ow))
    for y in range(fh):
        for x in range(fw):
            col[:, :, y, x] = img[:, :, y:y + stride * oh:stride, x:x + stride * ow:stride]
    return col.transpose(0, 4, 5, 1, 2, 3).reshape(N * oh * ow, -1)

def col2im(col, shape, fh, fw, stride, pad):
    N, C, H, W = shape
    oh = (H + 2 * pad - fh) // stride + 1
    ow = (W + 2 * pad - fw) // stride + 1
    col = col.reshape(N, oh, ow, C, fh, fw).transpose(0, 3, 4, 5, 1, 2)
    img = np.zeros((N, C, H + 2 * pad, W + 2 * pad))
    for y in range(fh):
        for x in range(fw):
            img[:, :, y:y + stride * oh:stride, x:x + stride * ow:stride] += col[:, :, y, x]
    return img[:, :, pad:H + pad, pad:W + pad]

class Convolution:
    def __init__(self, W, b, stride, pad):
        self.W, self.b = W, b
        self.dW, self.db = np.zeros_like(W), np.zeros_like(b)
        self.stride, self.pad = stride, pad

    def forward(self, x):
        FN, C, FH, FW = self.W.shape
        N = len(x)
        oh = 1 + (x.shape[2] + 2 * self.pad - FH) // self.stride
        ow = 1 + (x.shape[3] + 2 * self.pad - FW) // self.stride
        self.x_shape = x.shape
        self.col = im2col(x, FH, FW, self.stride, self.pad)
        self.col_W = self.W.reshape(FN, -1).T
        out = self.col @ self.col_W + self.b
        return out.reshape(N, oh, ow, FN).transpose(0, 3, 1, 2)

    def backward(self, dout):
        FN, C, FH, FW = self.W.shape
        dflat = dout.transpose(0, 2, 3, 1).reshape(-1, FN)
        self.db[...] = dflat.sum(axis=0)
        dcol_W = self.col.T @ dflat
        self.dW[...] = dcol_W.transpose(1, 0).reshape(FN, C, FH, FW)
        dcol = dflat @ self.col_W.T
        return col2im(dcol, self.x_shape, FH, FW, self.stride, self.pad)
''')
wrong("overlap-overwritten", "x:x + stride * ow:stride] += col", "x:x + stride * ow:stride] = col")
wrong("wrong-reshape|missing-transpose", "dout.transpose(0, 2, 3, 1).reshape(-1, FN)", "dout.reshape(-1, FN)")

right("causal_dilated", "CausalConv(r(3, 2, 3), r(3), 2), r(3, 7, 2)", '''
class CausalConv:
    """kernel[k] sees what was k * dilation steps after the first tap."""
    def __init__(self, kernel, bias, dilation):
        self.params = {"kernel": kernel, "bias": bias}
        self.grads = {"kernel": np.zeros_like(kernel), "bias": np.zeros_like(bias)}
        self.d = dilation

    def forward(self, seq):
        kernel = self.params["kernel"]
        K, T = len(kernel), seq.shape[1]
        self.past = (K - 1) * self.d
        self.padded = np.pad(seq, ((0, 0), (self.past, 0), (0, 0)))
        out = np.zeros((len(seq), T, kernel.shape[2])) + self.params["bias"]
        for k in range(K):
            out += self.padded[:, k * self.d:k * self.d + T] @ kernel[k]
        return out

    def backward(self, dout):
        kernel = self.params["kernel"]
        K, T = len(kernel), dout.shape[1]
        dpadded = np.zeros_like(self.padded)
        for k in range(K):
            first = k * self.d
            self.grads["kernel"][k] = np.einsum("nti,nto->io", self.padded[:, first:first + T], dout)
            dpadded[:, first:first + T] += dout @ kernel[k].T
        self.grads["bias"][...] = dout.sum(axis=(0, 1))
        return dpadded[:, self.past:]
''')
wrong("flipped-kernel", "dout @ kernel[k].T", "dout @ kernel[K - 1 - k].T")

right("transposed_conv", "Deconv(r(2, 3, 3, 3), r(3), 2), r(2, 2, 3, 2)", '''
class Deconv:
    def __init__(self, W, b, stride):
        self.W, self.b, self.s = W, b, stride
        self.dW = np.zeros_like(W)
        self.db = np.zeros_like(b)

    def windows(self, rows, cols):
        k = self.W.shape[-1]
        for i in range(rows):
            for j in range(cols):
                yield i, j, np.s_[i * self.s:i * self.s + k], np.s_[j * self.s:j * self.s + k]

    def forward(self, x):
        N, _, H, Wd = x.shape
        self.x = x
        k = self.W.shape[-1]
        out = np.zeros((N, self.W.shape[1], (H - 1) * self.s + k, (Wd - 1) * self.s + k))
        for i, j, rows, cols in self.windows(H, Wd):
            out[:, :, rows, cols] += np.einsum("nc,cokl->nokl", x[:, :, i, j], self.W)
        return out + self.b.reshape(1, -1, 1, 1)

    def backward(self, dout):
        H, Wd = self.x.shape[2:]
        dx = np.zeros_like(self.x)
        dW = np.zeros_like(self.W)
        for i, j, rows, cols in self.windows(H, Wd):
            patch = dout[:, :, rows, cols]
            dx[:, :, i, j] = np.einsum("nokl,cokl->nc", patch, self.W)
            dW += np.einsum("nc,nokl->cokl", self.x[:, :, i, j], patch)
        self.dW[...] = dW
        self.db[...] = dout.sum(axis=(0, 2, 3))
        return dx
''')
wrong("missing-batch-sum|lost-branch", 'dW += np.einsum', 'dW = np.einsum')
wrong("flipped-kernel", '"nokl,cokl->nc", patch, self.W)', '"nokl,cokl->nc", patch, self.W[:, :, ::-1, ::-1])')

right("max_pool_overlap", "MaxPool(3, 2), apart(2, 2, 5, 7)", '''
class MaxPool:
    def __init__(self, size, stride):
        self.size, self.stride = size, stride

    def forward(self, X):
        self.X = X
        N, C, H, W = X.shape
        out_h = (H - self.size) // self.stride + 1
        out_w = (W - self.size) // self.stride + 1
        out = np.empty((N, C, out_h, out_w))
        for r in range(out_h):
            for c in range(out_w):
                out[:, :, r, c] = self.region(X, r, c).max(axis=(2, 3))
        self.out = out
        return out

    def region(self, A, r, c):
        r0, c0 = r * self.stride, c * self.stride
        return A[:, :, r0:r0 + self.size, c0:c0 + self.size]

    def backward(self, dout):
        dX = np.zeros(self.X.shape)
        for r in range(dout.shape[2]):
            for c in range(dout.shape[3]):
                block = self.region(self.X, r, c)
                mask = block == self.out[:, :, r, c][:, :, None, None]
                target = self.region(dX, r, c)
                target += mask * dout[:, :, r, c][:, :, None, None]
        return dX
''')
wrong("overlap-overwritten", "target += mask *", "target[...] = mask *")

right("ragged_mean", "(mean_pool, mean_pool_grad), r(9, 3), np.array([4, 3, 2])", '''
def mean_pool(X, lengths):
    Y = np.zeros((len(lengths), X.shape[1]))
    start = 0
    for i, length in enumerate(lengths):
        Y[i] = X[start:start + length].mean(axis=0)
        start += length
    return Y, lengths

def mean_pool_grad(dY, lengths):
    dX = np.zeros((lengths.sum(), dY.shape[1]))
    start = 0
    for i, length in enumerate(lengths):
        dX[start:start + length] = dY[i] / length
        start += length
    return dX
''')
wrong("scaled-by-N|missing-local-derivative", "= dY[i] / length", "= dY[i]")

right("upsample_nearest", "Upsample(3), r(2, 2, 2, 3)", '''
class Upsample:
    def __init__(self, scale):
        self.scale = scale

    def forward(self, x):
        s = self.scale
        return x.repeat(s, axis=-2).repeat(s, axis=-1)

    def backward(self, dout):
        s = self.scale
        n, c, h, w = dout.shape
        blocks = dout.reshape(n, c, h // s, s, w // s, s)
        return blocks.sum(axis=(3, 5))
''')
wrong("divided-by-N", "blocks.sum(axis=(3, 5))", "blocks.mean(axis=(3, 5))")

right("linear_resample", "(resize, resize_grad), r(4, 5)", '''
def plan(n_in, n_out):
    """The neighbours below and above of each output, and the share of the one above."""
    place = np.arange(n_out) * (n_in - 1) / (n_out - 1)
    low = np.minimum(place.astype(int), n_in - 2)
    return low, low + 1, place - low

def resize(x):
    low, high, share = plan(x.shape[1], 8)
    out = (1 - share) * x[:, low] + share * x[:, high]
    return out, (x.shape, low, high, share)

def resize_grad(dout, cache):
    shape, low, high, share = cache
    dx = np.zeros(shape)
    np.add.at(dx, (slice(None), low), (1 - share) * dout)
    np.add.at(dx, (slice(None), high), share * dout)
    return dx
''')
wrong("repeated-index", "np.add.at(dx, (slice(None), high), share * dout)", "dx[:, high] += share * dout")

# ------------------------------------------------------------------------------------------ normalisation
right("batchnorm_steps", "BatchNorm(u(3), r(3)), r(5, 3)", '''
class BatchNorm:
    def __init__(self, gamma, beta, eps=1e-5, momentum=0.9):
        self.params = {"gamma": gamma, "beta": beta}
        self.grads = {}
        self.eps, self.momentum = eps, momentum
        self.running_mean, self.running_var = np.zeros_like(beta), np.ones_like(gamma)

    def forward(self, x):
        mu = x.mean(axis=0)
        xmu = x - mu
        var = np.mean(xmu ** 2, axis=0)
        ivar = 1.0 / np.sqrt(var + self.eps)
        xhat = xmu * ivar
        m = self.momentum
        self.running_mean = m * self.running_mean + (1 - m) * mu
        self.running_var = m * self.running_var + (1 - m) * var
        self.cache = xmu, ivar, xhat
        return self.params["gamma"] * xhat + self.params["beta"]

    def backward(self, dout):
        xmu, ivar, xhat = self.cache
        N = len(dout)
        self.grads["beta"] = dout.sum(axis=0)
        self.grads["gamma"] = np.sum(dout * xhat, axis=0)
        dxhat = dout * self.params["gamma"]
        dvar = np.sum(dxhat * xmu, axis=0) * -0.5 * ivar ** 3
        dxmu = dxhat * ivar + dvar * 2.0 * xmu / N
        dmu = -dxmu.sum(axis=0)
        return dxmu + dmu / N
''')
wrong("missing-local-derivative|wrong-local-derivative", 'dxhat = dout * self.params["gamma"]', "dxhat = dout")
wrong("constant-statistics|lost-branch", "return dxmu + dmu / N", "return dxmu")
wrong("wrong-sign|constant-statistics|wrong-local-derivative", "* -0.5 * ivar ** 3", "* 0.5 * ivar ** 3")

right("batchnorm_images", "SpatialBN(u(2), r(2)), r(3, 2, 2, 3)", '''
class SpatialBN:
    AXES = (0, 2, 3)

    def __init__(self, gamma, beta):
        self.gamma, self.beta = gamma, beta
        self.dgamma, self.dbeta = np.zeros_like(gamma), np.zeros_like(beta)

    def forward(self, x):
        mean = x.mean(self.AXES, keepdims=True)
        self.inv = 1 / np.sqrt(x.var(self.AXES, keepdims=True) + 1e-5)
        self.xn = (x - mean) * self.inv
        return self.gamma[:, None, None] * self.xn + self.beta[:, None, None]

    def backward(self, dy):
        N, C, H, W = dy.shape
        M = N * H * W
        sum_dy = dy.sum(self.AXES, keepdims=True)
        sum_dyx = (dy * self.xn).sum(self.AXES, keepdims=True)
        self.dbeta[...] = sum_dy.ravel()
        self.dgamma[...] = sum_dyx.ravel()
        scale = self.gamma[:, None, None] * self.inv
        return scale * (dy - sum_dy / M - self.xn * sum_dyx / M)
''')
wrong("constant-statistics|scaled-by-N|unrecognised", "M = N * H * W", "M = N")

right("layernorm_btc", "(layernorm_forward, layernorm_backward), r(2, 3, 5), u(5), r(5)", '''
def layernorm_forward(x, w, b):
    mean = x.mean(-1, keepdims=True)
    rstd = ((x - mean) ** 2).mean(-1, keepdims=True) + 1e-5
    rstd = rstd ** -0.5
    norm = (x - mean) * rstd
    return norm * w + b, (w, norm, rstd)

def layernorm_backward(dout, cache):
    w, norm, rstd = cache
    db = dout.sum((0, 1))
    dw = (dout * norm).sum((0, 1))
    dnorm = dout * w
    dnorm_mean = dnorm.mean(-1, keepdims=True)
    dnorm_norm_mean = (dnorm * norm).mean(-1, keepdims=True)
    dx = dnorm - dnorm_mean - norm * dnorm_norm_mean
    dx = dx * rstd
    return dx, dw, db
''')
wrong("constant-statistics", "dx = dnorm - dnorm_mean - norm * dnorm_norm_mean", "dx = dnorm - norm * dnorm_norm_mean")

right("rmsnorm_weight", "RMSNorm(u(4)), r(6, 4)", '''
class RMSNorm:
    def __init__(self, w):
        self.params = [w]
        self.grads = [np.zeros_like(w)]

    def forward(self, x):
        self.x = x
        self.r = 1.0 / np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-6)
        return self.params[0] * x * self.r

    def backward(self, g):
        w, = self.params
        x, r = self.x, self.r
        D = x.shape[-1]
        self.grads[0][...] = (g * x * r).sum(axis=0)
        s = np.sum(g * w * x, axis=-1, keepdims=True)
        through_rms = r ** 3 * x * s / D
        return g * w * r - through_rms
''')
wrong("constant-statistics|wrong-local-derivative|unrecognised",
      "through_rms = r ** 3 * x * s / D", "through_rms = w * r ** 3 * x * s / D")
wrong("constant-statistics", "return g * w * r - through_rms", "return g * w * r")
wrong("missing-local-derivative|wrong-local-derivative|constant-statistics",
      "return g * w * r - through_rms", "return g * r - through_rms")

right("prenorm_residual", "(prenorm_forward, prenorm_backward), r(4, 5), r(4, 5)", '''
def prenorm_forward(x, residual):
    """Gives the normalised sum, and the sum itself for the next block."""
    stream = x + residual
    rms = np.sqrt(np.mean(stream ** 2, axis=1, keepdims=True))
    out = stream / rms
    return out, stream, (out, rms)

def dnorm(g, out, rms):
    return (g - out * np.mean(g * out, axis=1, keepdims=True)) / rms

def prenorm_backward(dout, dstream, cache):
    out, rms = cache
    dsum = dstream + dnorm(dout, out, rms)
    return dsum, dsum
''')
wrong("unrecognised|lost-branch", "dstream + dnorm(dout, out, rms)", "dnorm(dstream + dout, out, rms)")

right("instance_norm", "InstanceNorm(), r(2, 2, 3, 4)", '''
class InstanceNorm:
    def forward(self, x):
        ax = (2, 3)
        self.std = np.sqrt(x.var(axis=ax, keepdims=True) + 1e-5)
        self.z = (x - x.mean(axis=ax, keepdims=True)) / self.std
        return self.z

    def backward(self, dz):
        avg = lambda a: a.mean(axis=(2, 3), keepdims=True)
        return (dz - avg(dz) - self.z * avg(dz * self.z)) / self.std
''')
wrong("cross-sample", "ax = (2, 3)", "ax = (0, 2, 3)")

right("weight_norm", "WeightNormLinear(r(4, 3), u(3)), r(6, 4)", '''
class WeightNormLinear:
    """w = g v / |v|, a column for each unit (Salimans and Kingma)."""
    def __init__(self, V, g):
        self.V, self.g = V, g
        self.dV, self.dg = np.zeros_like(V), np.zeros_like(g)

    def forward(self, x):
        self.x = x
        self.norm = np.linalg.norm(self.V, axis=0)
        self.unit = self.V / self.norm
        self.W = self.g * self.unit
        return x @ self.W

    def backward(self, dy):
        dW = self.x.T @ dy
        self.dg[...] = np.sum(dW * self.unit, axis=0)
        self.dV[...] = self.g / self.norm * (dW - self.unit * self.dg)
        return dy @ self.W.T
''')
wrong("constant-statistics", "self.g / self.norm * (dW - self.unit * self.dg)", "self.g / self.norm * dW")

# ------------------------------------------------------------------------------------------ recurrent
right("time_rnn", "TimeRNN(r(3, 4), r(4, 4) * 0.5, r(4)), r(2, 5, 3)", '''
class TimeRNN:
    def __init__(self, Wx, Wh, b):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)]

    def forward(self, xs):
        Wx, Wh, b = self.params
        N, T, _ = xs.shape
        self.xs = xs
        self.hs = np.zeros((N, T + 1, len(b)))
        for t in range(T):
            self.hs[:, t + 1] = np.tanh(self.hs[:, t] @ Wh + xs[:, t] @ Wx + b)
        return self.hs[:, 1:].copy()

    def backward(self, dhs):
        Wx, Wh, b = self.params
        dxs = np.empty_like(self.xs)
        dWx, dWh, db = 0, 0, 0
        dh_next = 0
        for t in reversed(range(dhs.shape[1])):
            h_prev, h_next = self.hs[:, t], self.hs[:, t + 1]
            dh = dhs[:, t] + dh_next
            dt = dh * (1 - h_next ** 2)
            db = db + dt.sum(axis=0)
            dWh = dWh + h_prev.T @ dt
            dWx = dWx + self.xs[:, t].T @ dt
            dxs[:, t] = dt @ Wx.T
            dh_next = dt @ Wh.T
        for grad, value in zip(self.grads, (dWx, dWh, db)):
            grad[...] = value
        return dxs
''')
wrong("lost-branch", "dh = dhs[:, t] + dh_next", "dh = dhs[:, t]")
wrong("stale-cache", "dt = dh * (1 - h_next ** 2)", "dt = dh * (1 - h_prev ** 2)")
wrong("lost-branch|missing-batch-sum", "dWh = dWh + h_prev.T @ dt", "dWh = h_prev.T @ dt")

right("lstm_step_pair", "(lstm_step_forward, lstm_step_backward), r(3, 4), r(3, 2), r(3, 2), r(4, 8), r(2, 8), r(8)", '''
def sigmoid(z):
    return 1 / (1 + np.exp(-z))

def lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b):
    a = x @ Wx + prev_h @ Wh + b
    ai, af, ao, ag = np.split(a, 4, axis=1)
    i, f, o, g = sigmoid(ai), sigmoid(af), sigmoid(ao), np.tanh(ag)
    next_c = f * prev_c + i * g
    tc = np.tanh(next_c)
    next_h = o * tc
    return next_h, next_c, (x, prev_h, prev_c, Wx, Wh, i, f, o, g, tc, next_c)

def lstm_step_backward(dnext_h, dnext_c, cache):
    x, prev_h, prev_c, Wx, Wh, i, f, o, g, tc, next_c = cache
    do = dnext_h * tc
    dc = dnext_c + dnext_h * o * (1 - tc ** 2)
    df = dc * prev_c
    di = dc * g
    dg = dc * i
    dprev_c = dc * f
    dai = di * i * (1 - i)
    daf = df * f * (1 - f)
    dao = do * o * (1 - o)
    dag = dg * (1 - g ** 2)
    da = np.hstack((dai, daf, dao, dag))
    return da @ Wx.T, da @ Wh.T, dprev_c, x.T @ da, prev_h.T @ da, da.sum(axis=0)
''')
wrong("lost-branch", "dc = dnext_c + dnext_h * o * (1 - tc ** 2)", "dc = dnext_h * o * (1 - tc ** 2)")
wrong("wrong-local-derivative|stale-cache", "dnext_h * o * (1 - tc ** 2)", "dnext_h * o * (1 - np.tanh(tc) ** 2)")
wrong("missing-local-derivative", "daf = df * f * (1 - f)", "daf = df")

right("gru_cell", "GRUCell(r(3, 4), r(4, 4), r(3, 4), r(4, 4), r(3, 4), r(4, 4)), r(5, 3), r(5, 4)", '''
class GRUCell:
    """z update, r reset, n candidate; no biases."""
    names = ["Wz", "Uz", "Wr", "Ur", "Wn", "Un"]

    def __init__(self, *weights):
        self.params = dict(zip(self.names, weights))
        self.grads = {}

    def forward(self, x, h):
        p = self.params
        sig = lambda a: 1 / (1 + np.exp(-a))
        z = sig(x @ p["Wz"] + h @ p["Uz"])
        r = sig(x @ p["Wr"] + h @ p["Ur"])
        rh = r * h
        n = np.tanh(x @ p["Wn"] + rh @ p["Un"])
        self.saved = x, h, z, r, rh, n
        return (1 - z) * n + z * h

    def backward(self, dnew):
        p, (x, h, z, r, rh, n) = self.params, self.saved
        dz = dnew * (h - n) * z * (1 - z)
        dn = dnew * (1 - z) * (1 - n ** 2)
        drh = dn @ p["Un"].T
        dr = drh * h * r * (1 - r)
        dh = dnew * z
        dh = dh + drh * r
        dh = dh + dz @ p["Uz"].T + dr @ p["Ur"].T
        dx = dz @ p["Wz"].T + dr @ p["Wr"].T + dn @ p["Wn"].T
        self.grads = {"Wz": x.T @ dz, "Uz": h.T @ dz,
                      "Wr": x.T @ dr, "Ur": h.T @ dr,
                      "Wn": x.T @ dn, "Un": rh.T @ dn}
        return dx, dh
''')
wrong("lost-branch", "        dh = dh + drh * r\n", "")
wrong("wrong-sign", "dnew * (h - n) * z * (1 - z)", "dnew * (n - h) * z * (1 - z)")
wrong("stale-cache", '"Un": rh.T @ dn', '"Un": h.T @ dn')

right("two_way_rnn", "BiRNN(r(2, 3), r(3, 3) * 0.5, r(2, 3), r(3, 3) * 0.5), r(2, 4, 2)", '''
def sweep(x, W, U):
    h = np.zeros((len(x), U.shape[0]))
    states = [h]
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] @ W + h @ U)
        states.append(h)
    return states

def sweep_back(g, x, states, W, U):
    dW, dU, dx = np.zeros_like(W), np.zeros_like(U), np.zeros_like(x)
    carry = 0
    for t in range(x.shape[1] - 1, -1, -1):
        da = (g[:, t] + carry) * (1 - states[t + 1] ** 2)
        dW += x[:, t].T @ da
        dU += states[t].T @ da
        dx[:, t] = da @ W.T
        carry = da @ U.T
    return dx, dW, dU

class BiRNN:
    def __init__(self, Wf, Uf, Wb, Ub):
        self.params = [Wf, Uf, Wb, Ub]
        self.grads = [np.zeros_like(p) for p in self.params]

    def forward(self, x):
        Wf, Uf, Wb, Ub = self.params
        self.x, self.rx = x, x[:, ::-1]
        self.sf = sweep(self.x, Wf, Uf)
        self.sb = sweep(self.rx, Wb, Ub)
        ahead = np.stack(self.sf[1:], axis=1)
        behind = np.stack(self.sb[1:], axis=1)[:, ::-1]
        return np.concatenate([ahead, behind], axis=2)

    def backward(self, dout):
        Wf, Uf, Wb, Ub = self.params
        H = len(Uf)
        dxf, *gf = sweep_back(dout[:, :, :H], self.x, self.sf, Wf, Uf)
        dxb, *gb = sweep_back(dout[:, ::-1, H:], self.rx, self.sb, Wb, Ub)
        for mine, new in zip(self.grads, gf + gb):
            mine[...] = new
        return dxf + dxb[:, ::-1]
''')
wrong("wrong-reshape|flipped-kernel|unrecognised", "dxf + dxb[:, ::-1]", "dxf + dxb")

# ------------------------------------------------------------------------------------------ attention
right("causal_attention", "CausalAttention(), r(2, 4, 3), r(2, 4, 3), r(2, 4, 3)", '''
class CausalAttention:
    def forward(self, q, k, v):
        T, d = q.shape[1:]
        scores = q @ k.transpose(0, 2, 1) / np.sqrt(d)
        scores = np.where(np.tril(np.ones((T, T), bool)), scores, -1e30)
        e = np.exp(scores - scores.max(axis=-1, keepdims=True))
        self.att = e / e.sum(axis=-1, keepdims=True)
        self.q, self.k, self.v = q, k, v
        return self.att @ v

    def backward(self, dout):
        att, q, k, v = self.att, self.q, self.k, self.v
        dv = att.transpose(0, 2, 1) @ dout
        datt = dout @ v.transpose(0, 2, 1)
        dscores = att * (datt - (datt * att).sum(axis=-1, keepdims=True))
        dscores = dscores / np.sqrt(q.shape[-1])
        dq = dscores @ k
        dk = dscores.transpose(0, 2, 1) @ q
        return dq, dk, dv
''')
wrong("missing-local-derivative|wrong-local-derivative", "        dscores = dscores / np.sqrt(q.shape[-1])\n", "")
wrong("missing-transpose", "dk = dscores.transpose(0, 2, 1) @ q", "dk = dscores @ q")
wrong("constant-statistics", "att * (datt - (datt * att).sum(axis=-1, keepdims=True))", "att * datt")

right("multi_head", "MultiHead(r(4, 12) * 0.5, r(4, 4), 2), r(2, 3, 4)", '''
class MultiHead:
    def __init__(self, W_qkv, W_out, heads):
        self.params = {"W_qkv": W_qkv, "W_out": W_out}
        self.grads = {}
        self.heads = heads

    def split(self, a):
        B, T, D = a.shape
        return a.reshape(B, T, self.heads, D // self.heads).transpose(0, 2, 1, 3)

    def merge(self, a):
        B, _, T, _ = a.shape
        return a.transpose(0, 2, 1, 3).reshape(B, T, -1)

    def forward(self, x):
        self.x = x
        q, k, v = map(self.split, np.split(x @ self.params["W_qkv"], 3, axis=-1))
        s = np.einsum("bhid,bhjd->bhij", q, k) / np.sqrt(q.shape[-1])
        w = np.exp(s - s.max(-1, keepdims=True))
        w /= w.sum(-1, keepdims=True)
        self.q, self.k, self.v, self.w = q, k, v, w
        self.ctx = self.merge(w @ v)
        return self.ctx @ self.params["W_out"]

    def backward(self, dy):
        q, k, v, w = self.q, self.k, self.v, self.w
        D = dy.shape[-1]
        flat = lambda a: a.reshape(-1, a.shape[-1])
        self.grads["W_out"] = flat(self.ctx).T @ flat(dy)
        dctx = self.split(dy @ self.params["W_out"].T)
        dw = dctx @ v.swapaxes(-1, -2)
        dv = w.swapaxes(-1, -2) @ dctx
        ds = w * (dw - np.sum(dw * w, -1, keepdims=True)) / np.sqrt(q.shape[-1])
        dq = ds @ k
        dk = ds.swapaxes(-1, -2) @ q
        dqkv = np.concatenate([self.merge(dq), self.merge(dk), self.merge(dv)], axis=-1)
        self.grads["W_qkv"] = flat(self.x).T @ flat(dqkv)
        return dqkv @ self.params["W_qkv"].T
''')
wrong("stale-cache", "flat(self.ctx).T @ flat(dy)", "flat(self.x).T @ flat(dy)")

right("rotary", "Rotary(6), r(2, 5, 6)", '''
def rotate_half(x):
    x1, x2 = np.split(x, 2, axis=-1)
    return np.concatenate([-x2, x1], axis=-1)

class Rotary:
    def __init__(self, dim):
        rates = 1.0 / 10.0 ** (np.arange(dim) / dim)  # a rate for each entry, not for each pair
        self.rates = rates

    def forward(self, x):
        angle = np.arange(x.shape[1])[:, None] * self.rates
        self.cos, self.sin = np.cos(angle), np.sin(angle)
        return x * self.cos + rotate_half(x) * self.sin

    def backward(self, g):
        return g * self.cos - rotate_half(g * self.sin)
''')
wrong("wrong-sign|missing-transpose", "g * self.cos - rotate_half(g * self.sin)", "g * self.cos + rotate_half(g * self.sin)")
wrong("wrong-reshape|unrecognised|missing-transpose", "rotate_half(g * self.sin)", "rotate_half(g) * self.sin")

right("relative_bias", "RelativeBias(r(7, 2)), r(3, 2, 4, 4)", '''
class RelativeBias:
    """scores (N, heads, T, T) + table[j - i]"""
    def __init__(self, table):
        self.table = table
        self.dtable = np.zeros_like(table)

    def forward(self, scores):
        T = scores.shape[-1]
        self.rel = np.arange(T)[None, :] - np.arange(T)[:, None] + T - 1
        return scores + self.table[self.rel].transpose(2, 0, 1)

    def backward(self, dscores):
        per_place = dscores.sum(axis=0).transpose(1, 2, 0)
        self.dtable[...] = 0
        np.add.at(self.dtable, self.rel, per_place)
        return dscores
''')
wrong("repeated-index", "np.add.at(self.dtable, self.rel, per_place)", "self.dtable[self.rel] += per_place")
# the table's gradient grows with every backward
wrong("accumulates", "        self.dtable[...] = 0\n", "")

# ------------------------------------------------------------------------------------------ embedding
right("makemore", "CharMLP(r(5, 2), r(6, 4), r(4)), ids(5, 6, 3)", '''
class CharMLP:
    """Context of three characters, embedded side by side, one tanh layer."""
    def __init__(self, C, W1, b1):
        self.C, self.W1, self.b1 = C, W1, b1
        self.dC, self.dW1, self.db1 = (np.zeros_like(p) for p in (C, W1, b1))

    def forward(self, Xb):
        self.Xb = Xb
        self.emb = self.C[Xb]
        self.embcat = self.emb.reshape(len(Xb), -1)
        self.h = np.tanh(self.embcat @ self.W1 + self.b1)
        return self.h

    def backward(self, dh):
        dhpreact = (1.0 - self.h ** 2) * dh
        self.dW1[...] = self.embcat.T @ dhpreact
        self.db1[...] = dhpreact.sum(0)
        demb = (dhpreact @ self.W1.T).reshape(self.emb.shape)
        self.dC[...] = 0
        for k in range(self.Xb.shape[0]):
            for j in range(self.Xb.shape[1]):
                self.dC[self.Xb[k, j]] += demb[k, j]
''')
wrong("repeated-index", "            for j in range(self.Xb.shape[1]):\n                self.dC[self.Xb[k, j]] += demb[k, j]",
      "            self.dC[self.Xb[k]] += demb[k]")
wrong("wrong-reshape",
      "(dhpreact @ self.W1.T).reshape(self.emb.shape)", "(dhpreact @ self.W1.T).reshape(len(self.Xb), 2, 3).transpose(0, 2, 1)")

right("cbow_negative", "CBOW(r(6, 3), r(6, 3)), ids(6, 5, 4), ids(6, 5), ids(2, 5)", '''
class CBOW:
    """The mean of the context's vectors against one word, which is right (1) or drawn (0)."""
    def __init__(self, W_in, W_out):
        self.params = [W_in, W_out]
        self.grads = [np.zeros_like(W_in), np.zeros_like(W_out)]

    def forward(self, contexts, words, label):
        W_in, W_out = self.params
        h = W_in[contexts].mean(axis=1)
        score = np.sum(h * W_out[words], axis=1)
        f = 1 / (1 + np.exp(-score))
        self.cache = contexts, words, label, h, f
        return -np.mean(np.log(np.where(label == 1, f, 1 - f)))

    def backward(self, dout=1.0):
        W_in, W_out = self.params
        contexts, words, label, h, f = self.cache
        g = dout * (f - label)[:, None] / len(f)
        dh = g * W_out[words]
        window = contexts.shape[1]
        for grad in self.grads:
            grad.fill(0)
        np.add.at(self.grads[1], words, g * h)
        for c in range(window):
            np.add.at(self.grads[0], contexts[:, c], dh / window)
''')
wrong("scaled-by-N", "contexts[:, c], dh / window)", "contexts[:, c], dh)")
wrong("wrong-local-derivative",
      "g = dout * (f - label)[:, None] / len(f)", "g = dout * ((f - label) * f * (1 - f))[:, None] / len(f)")

# ------------------------------------------------------------------------------------------ dropout, gates, joins
right("dropout_seeded", "Dropout(0.4), r(5, 6)", '''
class Dropout:
    def __init__(self, p, seed=7):
        self.p = p
        self.seed = seed

    def forward(self, X):
        rng = np.random.default_rng(self.seed)
        self.keep = rng.random(X.shape) >= self.p
        return X * self.keep / (1.0 - self.p)

    def backward(self, dLdy):
        dLdx = dLdy * self.keep
        return dLdx / (1.0 - self.p)
''')
wrong("missing-mask|dropout-scale", "dLdx = dLdy * self.keep", "dLdx = dLdy")
wrong("dropout-scale", "return dLdx / (1.0 - self.p)", "return dLdx")
# another mask at every call
wrong("nondeterministic", "np.random.default_rng(self.seed)", "np.random.default_rng()")

right("highway", "Highway(r(4, 4), r(4, 4), r(4)), r(5, 4)", '''
class Highway:
    def __init__(self, W_h, W_t, b_t):
        self.W_h, self.W_t, self.b_t = W_h, W_t, b_t

    def forward(self, x):
        self.x = x
        self.h = np.tanh(x @ self.W_h)
        self.t = 1 / (1 + np.exp(-(x @ self.W_t + self.b_t)))
        return self.t * self.h + (1 - self.t) * x

    def backward(self, dy):
        dh = dy * self.t * (1 - self.h ** 2)
        dt = dy * (self.h - self.x) * self.t * (1 - self.t)
        self.dW_h = self.x.T @ dh
        self.dW_t = self.x.T @ dt
        self.db_t = dt.sum(axis=0)
        dx = dy * (1 - self.t)
        dx += dh @ self.W_h.T
        dx += dt @ self.W_t.T
        return dx
''')
wrong("lost-branch", "        dx += dt @ self.W_t.T\n", "")

right("mixture", "Mixture(r(3, 2), r(2, 3, 4)), r(6, 3)", '''
class Mixture:
    """Soft mixture: every expert answers, the router's shares weigh the answers."""
    def __init__(self, router, experts):
        self.params = {"router": router, "experts": experts}
        self.grads = {name: np.zeros_like(value) for name, value in self.params.items()}

    def forward(self, x):
        logits = x @ self.params["router"]
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        share = e / e.sum(axis=1, keepdims=True)
        answers = np.einsum("ni,eio->neo", x, self.params["experts"])
        cache = x, share, answers
        return np.einsum("ne,neo->no", share, answers), cache

    def backward(self, dout, cache):
        x, share, answers = cache
        danswers = share[:, :, None] * dout[:, None, :]
        self.grads["experts"][...] = np.einsum("ni,neo->eio", x, danswers)
        dx = np.einsum("neo,eio->ni", danswers, self.params["experts"])
        dshare = np.einsum("no,neo->ne", dout, answers)
        dlogits = share * (dshare - np.sum(share * dshare, axis=1, keepdims=True))
        self.grads["router"][...] = x.T @ dlogits
        return dx + dlogits @ self.params["router"].T
''')
wrong("lost-branch", 'return dx + dlogits @ self.params["router"].T', "return dx")
wrong("not-written", '        self.grads["router"][...] = x.T @ dlogits\n', "")

right("squash_capsules", "Squash(), r(3, 4, 2)", '''
class Squash:
    """Capsules (N, caps, d): a long vector comes out with length near one."""
    def forward(self, s):
        n2 = np.sum(s ** 2, axis=-1, keepdims=True)
        n = np.sqrt(n2)
        coef = n / (1.0 + n2)
        return coef * s, (s, n, n2, coef)

    def backward(self, dv, cache):
        s, n, n2, coef = cache
        along = np.sum(dv * s, axis=-1, keepdims=True)
        dcoef = (1.0 - n2) / (1.0 + n2) ** 2
        return dv * coef + along * dcoef * s / n
''')
wrong("constant-statistics|lost-branch", "dv * coef + along * dcoef * s / n", "dv * coef")

right("relu_in_block", "Block(r(3, 4), r(4)), signs(6, 3)", '''
class ReLU:
    def forward(self, x):
        self.mask = x <= 0
        out = x.copy()
        out[self.mask] = 0
        return out

    def backward(self, dout):
        dx = dout.copy()
        dx[self.mask] = 0
        return dx

class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, dout):
        return dout * (1 - self.y * self.y)

class Block:
    """relu -> linear -> tanh, and a fixed gain of one half at the end."""
    def __init__(self, W, b):
        self.W, self.b = W, b
        self.dW, self.db = np.zeros_like(W), np.zeros_like(b)
        self.relu, self.tanh = ReLU(), Tanh()

    def forward(self, x):
        self.a = self.relu.forward(x)
        y = self.tanh.forward(self.a @ self.W + self.b)
        y = y * 0.5
        return y

    def backward(self, dy):
        dz = self.tanh.backward(dy * 0.5)
        self.dW[...] = self.a.T @ dz
        self.db[...] = dz.sum(axis=0)
        return self.relu.backward(dz @ self.W.T)
''')
# forward writes zeros into the caller's x
wrong("mutates-input", "out = x.copy()", "out = x")
# halves the array that Tanh keeps for its backward
wrong("mutates-cache", "y = y * 0.5", "y *= 0.5")

right("relu_book", "Relu(), signs(4, 5)", '''
class Relu:
    def __init__(self):
        self.params, self.grads = [], []
        self.mask = None

    def forward(self, x):
        self.mask = (x <= 0)
        out = x.copy()
        out[self.mask] = 0
        return out

    def backward(self, dout):
        dx = dout.copy()
        dx[self.mask] = 0
        return dx
''')
# backward writes zeros into the gradient that it is given
wrong("mutates-input", "dx = dout.copy()", "dx = dout")

# ------------------------------------------------------------------------------------------ right ones of an odd make
odd("rnn_one_sequence", "Elman(r(2, 3), r(3, 3), r(3)), r(6, 2)", '''
import math

class Elman:
    """One sequence (T, D), number by number."""
    def __init__(self, W, U, b):
        self.params = [W, U, b]
        self.grads = [np.zeros_like(W), np.zeros_like(U), np.zeros_like(b)]

    def forward(self, seq):
        W, U, b = self.params
        H = len(b)
        self.seq, self.trace = seq, [[0.0] * H]
        for row in seq:
            past = self.trace[-1]
            now = []
            for j in range(H):
                total = b[j]
                for i, value in enumerate(row):
                    total += value * W[i, j]
                for k in range(H):
                    total += past[k] * U[k, j]
                now.append(math.tanh(total))
            self.trace.append(now)
        return np.array(self.trace[1:])

    def backward(self, dout):
        W, U, b = self.params
        gW, gU, gb = self.grads
        for g in self.grads:
            g *= 0
        dseq = np.zeros(self.seq.shape)
        later = [0.0] * len(b)
        for t in range(len(dout) - 1, -1, -1):
            now, past = self.trace[t + 1], self.trace[t]
            delta = [(dout[t, j] + later[j]) * (1 - now[j] ** 2) for j in range(len(b))]
            later = [0.0] * len(b)
            for j, d in enumerate(delta):
                gb[j] += d
                for i in range(len(W)):
                    gW[i, j] += self.seq[t, i] * d
                    dseq[t, i] += W[i, j] * d
                for k in range(len(b)):
                    gU[k, j] += past[k] * d
                    later[k] += U[k, j] * d
        return dseq
''')

odd("einsum_heads", "(attend, attend_back), r(2, 2, 3, 4), r(2, 2, 5, 4), r(2, 2, 5, 3)", '''
def attend(query, key, value):
    logits = np.einsum("...qd,...kd->...qk", query, key) * query.shape[-1] ** -0.5
    top = logits.max(-1, keepdims=True)
    weights = np.exp(logits - top)
    np.divide(weights, weights.sum(-1, keepdims=True), out=weights)
    out = np.einsum("...qk,...kv->...qv", weights, value)
    return out, dict(query=query, key=key, value=value, weights=weights, out=out)

def attend_back(dout, saved):
    q, k, v, w, out = (saved[name] for name in ("query", "key", "value", "weights", "out"))
    dv = np.einsum("...qk,...qv->...kv", w, dout)
    row = np.einsum("...qv,...qv->...q", dout, out)  # the sum of the softmax, as the fast kernels take it
    dlogits = w * (np.einsum("...qv,...kv->...qk", dout, v) - row[..., None]) * q.shape[-1] ** -0.5
    return np.einsum("...qk,...kd->...qd", dlogits, k), np.einsum("...qk,...qd->...kd", dlogits, q), dv
''')

odd("in_place_own_buffers", "Scaled(u(4)), r(5, 4)", '''
class Scaled:
    """All in place, but only in arrays of its own."""
    def __init__(self, scale):
        self.params = [scale]
        self.grads = [np.zeros_like(scale)]
        self.buffer = None

    def forward(self, x):
        self.buffer = np.array(x)
        np.sin(self.buffer, out=self.buffer)
        self.slope, self.scratch = np.cos(x), np.empty_like(self.buffer)
        answer = self.buffer.copy()
        answer *= self.params[0]
        answer += 1
        return answer

    def backward(self, dout):
        g = np.array(dout)
        np.sum(np.multiply(self.buffer, g, out=self.scratch), axis=0, out=self.grads[0])
        g *= self.params[0]
        g *= self.slope
        return g
''')

odd("columns", "Columns(r(4, 3), r(4, 1)), r(3, 7)", '''
class Columns:
    """(D, N): an affine map and a softmax down each column."""
    def __init__(self, W, b):
        self.params, self.grads = {"W": W, "b": b}, {}

    def forward(self, X):
        Z = self.params["W"] @ X + self.params["b"]
        E = np.exp(Z - Z.max(axis=0))
        self.X, self.P = X, E / E.sum(axis=0)
        return self.P

    def backward(self, dP):
        dZ = self.P * (dP - (dP * self.P).sum(axis=0))
        self.grads["W"] = dZ @ self.X.T
        self.grads["b"] = dZ.sum(axis=1).reshape(-1, 1)
        return self.params["W"].T @ dZ
''')

odd("kinks_met", "(soft_shrink, soft_shrink_back), np.array([[0.0, 1.2, -0.8], [0.2, -1.5, 0.0], [0.9, 0.0, -0.1]])", '''
def soft_shrink(x):
    """|x| where x may be nought, plus a flat stretch."""
    return np.abs(x) + np.maximum(np.abs(x) - 0.5, 0), x

def soft_shrink_back(dout, x):
    side = np.sign(x)
    return dout * (side + side * (np.abs(x) > 0.5))
''')

odd("several_outputs", "(moments, moments_back), r(5, 4), u(4)", '''
def moments(x, w):
    """Weighted mean and spread of each row, and the largest entry of each column."""
    share = w / w.sum()
    mean = x @ share
    centred = x - mean[:, None]
    var = centred ** 2 @ share
    top = x.max(axis=0)
    return mean, var, top, (x, w, share, centred)

def moments_back(dmean, dvar, dtop, cache):
    x, w, share, centred = cache
    dx = np.outer(dmean, share) + 2 * dvar[:, None] * centred * share
    dx[x.argmax(axis=0), np.arange(x.shape[1])] += dtop
    dshare = dmean @ x + dvar @ centred ** 2
    # the mean inside the spread moves too, but the spread is stationary in it
    dw = (dshare - dshare @ share) / w.sum()
    return dx, dw
''')

odd("lengths_and_ids", "BagOfWords(r(6, 3)), ids(6, 4, 5), np.array([5, 2, 3, 1])", '''
class BagOfWords:
    def __init__(self, table):
        self.params = [table]
        self.grads = [np.zeros_like(table)]

    def forward(self, words, lengths):
        self.words = words
        self.inside = (np.arange(words.shape[1]) < lengths[:, None]) / lengths[:, None]
        return np.einsum("nt,ntd->nd", self.inside, self.params[0][words])

    def backward(self, dout):
        counts = np.zeros((len(dout), len(self.params[0])))
        for n, (sentence, weights) in enumerate(zip(self.words, self.inside)):
            counts[n] = np.bincount(sentence, weights, minlength=counts.shape[1])
        self.grads[0][:] = counts.T @ dout
''')

odd("closure_tape", "Taped(r(3, 4), r(4, 2)), r(5, 3)", '''
class Taped:
    """Every step of forward leaves a function on the tape."""
    def __init__(self, A, B):
        self.A, self.B = A, B
        self.dA, self.dB = np.zeros_like(A), np.zeros_like(B)

    def product(self, x, weight, grad):
        def undo(g):
            grad[...] = x.T @ g
            return g @ weight.T
        self.tape.append(undo)
        return x @ weight

    def swish(self, x):
        s = 1 / (1 + np.exp(-x))
        self.tape.append(lambda g: g * s * (1 + x * (1 - s)))
        return x * s

    def forward(self, x):
        self.tape = []
        return self.product(self.swish(self.product(x, self.A, self.dA)), self.B, self.dB)

    def backward(self, g):
        for undo in reversed(self.tape):
            g = undo(g)
        return g
''')

odd("hinge_with_grad", "multiclass_hinge, apart(6, 4), ids(4, 6)", '''
def multiclass_hinge(x, y):
    rows = np.arange(len(x))
    gaps = x - x[rows, y][:, np.newaxis] + 0.7
    gaps[rows, y] = 0
    over = gaps.clip(min=0)
    dx = 2 * over / len(x)
    dx[rows, y] = -dx.sum(axis=1)
    return (over ** 2).sum() / len(x), dx
''')

odd("running_statistics", "Whiten(u(3)), r(6, 3)", '''
class Whiten:
    """Keeps averages for later, and counts its calls; the answer hangs on this batch alone."""
    def __init__(self, gain):
        self.gain, self.dgain = gain, np.zeros_like(gain)
        self.seen = 0
        self.average = None

    def forward(self, x):
        centre = x.mean(0)
        self.average = centre if self.average is None else 0.9 * self.average + 0.1 * centre
        self.seen += len(x)
        self.last = x - centre
        return self.gain * self.last

    def backward(self, dy):
        np.einsum("nd,nd->d", dy, self.last, out=self.dgain)
        flow = dy * self.gain
        return flow - flow.mean(0)
''')

odd("layer_in_layer", "Residual(Stack([Affine(r(4, 4)), Tanh(), Affine(r(4, 4))])), r(5, 4)", '''
class Affine:
    def __init__(self, W):
        self.params, self.grads = [W], [np.zeros_like(W)]

    def forward(self, x):
        self.x = x
        return x @ self.params[0]

    def backward(self, d):
        self.grads[0][...] = self.x.T @ d
        return d @ self.params[0].T

class Tanh:
    params, grads = [], []

    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, d):
        return d - d * self.y ** 2

class Stack:
    def __init__(self, layers):
        self.layers = layers

    @property
    def params(self):
        return [p for layer in self.layers for p in layer.params]

    @property
    def grads(self):
        return [g for layer in self.layers for g in layer.grads]

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, d):
        for layer in self.layers[::-1]:
            d = layer.backward(d)
        return d

class Residual:
    def __init__(self, inner):
        self.inner = inner
        self.params, self.grads = inner.params, inner.grads

    def forward(self, x):
        return x + self.inner.forward(x)

    def backward(self, d):
        return d + self.inner.backward(d)
''')

odd("even_halves", "GLU(), r(4, 3, 6)", '''
class GLU:
    """Needs an even last axis: the second half opens and shuts the first."""
    def forward(self, x):
        assert x.shape[-1] % 2 == 0, "the last axis must be even"
        value, gate = np.array_split(x, 2, axis=-1)
        self.value, self.open = value, 0.5 * (1 + np.tanh(gate / 2))
        return self.value * self.open

    def backward(self, dy):
        return np.concatenate([dy * self.open, dy * self.value * self.open * (1 - self.open)], axis=-1)
''')

odd("haar_step", "Haar(), r(2, 4, 6)", '''
class Haar:
    """One step of the wavelet, in both axes, which must be even; an orthogonal map, so backward is its inverse."""
    def forward(self, image):
        a, b = image[:, 0::2, 0::2], image[:, 0::2, 1::2]
        c, d = image[:, 1::2, 0::2], image[:, 1::2, 1::2]
        return np.stack([a + b + c + d, a - b + c - d, a + b - c - d, a - b - c + d], axis=1) / 2

    def backward(self, dbands):
        p, q, r, s = np.moveaxis(dbands, 1, 0)
        n, h, w = p.shape
        dimage = np.empty((n, 2 * h, 2 * w))
        for i, j, value in ((0, 0, p + q + r + s), (0, 1, p - q + r - s), (1, 0, p + q - r - s), (1, 1, p - q - r + s)):
            dimage[:, i::2, j::2] = value / 2
        return dimage
''')

odd("ring_convolution", "RingConv(r(7)), r(4, 7)", '''
class RingConv:
    """Circular convolution by way of the Fourier transform."""
    def __init__(self, kernel):
        self.kernel, self.dkernel = kernel, np.zeros_like(kernel)

    def forward(self, x):
        self.fx, self.fk, self.n = np.fft.rfft(x), np.fft.rfft(self.kernel), x.shape[-1]
        return np.fft.irfft(self.fx * self.fk, self.n)

    def backward(self, dy):
        fdy = np.fft.rfft(dy)
        self.dkernel[...] = np.fft.irfft((fdy * self.fx.conj()).sum(axis=0), self.n)
        return np.fft.irfft(fdy * self.fk.conj(), self.n)
''')

odd("fixed_point", "Equilibrium(r(3, 3) * 0.2, r(2, 3)), r(4, 2)", '''
class Equilibrium:
    """h = tanh(h A + x B), found by going round; the gradient by the implicit function theorem."""
    def __init__(self, A, B):
        self.params = {"A": A, "B": B}
        self.grads = {"A": np.zeros_like(A), "B": np.zeros_like(B)}

    def forward(self, x):
        self.x, h = x, 0
        for _ in range(200):
            h = np.tanh(h @ self.params["A"] + x @ self.params["B"]) if np.ndim(h) else np.tanh(x @ self.params["B"])
        self.h = h
        return h.copy()

    def backward(self, dh):
        A, B = self.params["A"], self.params["B"]
        slope = 1 - self.h ** 2
        da = np.empty_like(dh)
        for n in range(len(dh)):
            # (I - diag(slope) A^T) transposed, one sample at a time
            da[n] = slope[n] * np.linalg.solve(np.eye(len(A)) - A * slope[n], dh[n])
        self.grads["A"][...] = self.h.T @ da
        self.grads["B"][...] = self.x.T @ da
        return da @ B.T
''')

odd("linear_solve", "(solve, solve_back), r(3, 4, 4) + 4 * np.eye(4), r(3, 4, 2)", '''
def solve(A, B):
    X = np.linalg.solve(A, B)
    return X, (A, X)

def solve_back(dX, cache):
    A, X = cache
    dB = np.linalg.solve(np.swapaxes(A, 1, 2), dX)
    return -dB @ np.swapaxes(X, 1, 2), dB
''')
