"""What courses hand out; a faulty layer is the text of a right one with one or two lines changed, run by exec: the checker
has its numbers alone, for the text of its backward cannot be had."""
import zlib
import numpy as np

SRC, CASES = {}, []


class _Env:
    """Deterministic input makers for one case."""

    def __init__(self, name):
        rng = np.random.RandomState(zlib.crc32(name.encode()) % (2**31))
        self.d = dict(
            np=np,
            r=lambda *s: rng.standard_normal(s),
            aw=lambda *s: rng.choice([-1.0, 1.0], s) * (0.15 + 1.2 * rng.rand(*s)),  # away from zero
            u=lambda lo, hi, *s: lo + (hi - lo) * rng.rand(*s),
            pm=lambda *s: (rng.permutation(int(np.prod(s))).reshape(s) - np.prod(s) / 2 + 0.3) * (4.0 / np.prod(s)),  # all distinct
            ids=lambda hi, *s: rng.randint(0, hi, s).astype(np.int64),
            bits=lambda *s: (rng.rand(*s) < 0.6).astype(np.int64),
            I=lambda *v: np.array(v, dtype=np.int64),
        )


def _maker(name, key, patches, mk):
    src, mk0 = SRC[key]
    for p in patches:
        old, new = p.split(' => ') if ' => ' in p else (p.split(' =>')[0], '')
        assert src.count(old) == 1, (name, old, src.count(old))
        src = src.replace(old, new)
    expr = mk or mk0

    def make():
        env = _Env(name).d
        exec(compile(src, '<%s>' % key, 'exec'), env)
        return eval(expr, env)
    make.source = src
    return make


def add(key, src, mk, right=True):
    SRC[key] = (src, mk)
    if right:
        CASES.append(((), key, _maker(key, key, (), None)))


def bug(codes, name, key, *patches, mk=None):
    assert name not in [c[1] for c in CASES], name
    CASES.append((codes, name, _maker(name, key, patches, mk)))


# ------------------------------------------------------------------ dense
add('affine', '''
class Affine:
    def __init__(self, W, b):
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]
        self.x = None

    def forward(self, x):
        W, b = self.params
        out = np.dot(x, W) + b
        self.x = x
        return out

    def backward(self, dout):
        W, b = self.params
        dx = np.dot(dout, W.T)
        dW = np.dot(self.x.T, dout)
        db = np.sum(dout, axis=0)
        self.grads[0][...] = dW
        self.grads[1][...] = db
        return dx
''', 'Affine(r(5,3), r(3)), (r(6,5),)')
bug('divided-by-N', 'affine-db-mean', 'affine', 'np.sum(dout, axis=0) => np.mean(dout, axis=0)')
bug('missing-transpose', 'affine-W', 'affine', 'W.T => W', mk='Affine(r(4,4), r(4)), (r(6,4),)')
bug('rebound-grads', 'affine-list', 'affine', 'self.grads[0][...] = dW\n        self.grads[1][...] = db => self.grads = [dW, db]')
bug('not-written', 'affine-bias', 'affine', '        self.grads[1][...] = db\n =>')

add('linear3d', '''
class Module:
    def __init__(self):
        self.params, self.grads, self.cache = [], [], {}

    def register(self, value):
        self.params.append(value)
        self.grads.append(np.zeros_like(value))
        return value

class Linear(Module):
    def __init__(self, weight, bias):
        super().__init__()
        self.weight = self.register(weight)      # (out, in)
        self.bias = self.register(bias)

    def forward(self, x):                        # (batch, time, in)
        self.cache['x'] = x
        return x @ self.weight.T + self.bias

    def backward(self, dout):
        x = self.cache['x']
        self.grads[0][...] = np.einsum('bto,bti->oi', dout, x)
        self.grads[1][...] = dout.sum(axis=(0, 1))
        return np.einsum('bto,oi->bti', dout, self.weight)
''', 'Linear(r(3,5), r(3)), (r(4,6,5),)')
bug('accumulates', 'linear3d-weight', 'linear3d', "self.grads[0][...] = np => self.grads[0] += np")
bug('lost-branch', 'linear3d-first-step', 'linear3d', 'dout.sum(axis=(0, 1)) => dout[:, 1:].sum(axis=(0, 1))')

add('affine-op', '''
class AffineOp:
    def forward(self, x, w, b):
        self.cache = (x, w, b)
        return x.reshape(x.shape[0], -1).dot(w) + b

    def backward(self, dout):
        x, w, b = self.cache
        flat = x.reshape(x.shape[0], -1)
        dx = dout.dot(w.T).reshape(x.shape)
        dw = flat.T.dot(dout)
        db = dout.sum(axis=0)
        return dx, dw, db
''', 'AffineOp(), (r(5,2,3,4), r(24,3), r(3))')
bug('missing-batch-sum', 'affine-op-db', 'affine-op', 'dout.sum(axis=0) => dout')
bug('missing-transpose', 'affine-op-dw', 'affine-op', 'flat.T.dot(dout) => dout.T.dot(flat)')
bug('not-returned', 'affine-op-two-of-three', 'affine-op', 'return dx, dw, db => return dx, dw')
bug('wrong-reshape', 'affine-op-order', 'affine-op', '.reshape(x.shape)\n => .reshape(x.shape, order="F")\n')

add('affine-relu', '''
class AffineReLU:
    def __init__(self, W, b):
        self.W, self.b = W, b
        self.dW, self.db = np.zeros_like(W), np.zeros_like(b)
        self.params = [self.W, self.b]
        self.grads = [self.dW, self.db]

    def forward(self, x):
        self.x = x
        self.z = x @ self.W + self.b
        return np.maximum(0, self.z)

    def backward(self, dout):
        dz = dout * (self.z > 0)
        self.dW[:] = self.x.T @ dz
        self.db[:] = dz.sum(0)
        return dz @ self.W.T
''', 'AffineReLU(r(5,4), r(4)), (r(7,5),)')
bug('not-written', 'affine-relu-attr', 'affine-relu', 'self.dW[:] => self.dW')
bug('missing-mask', 'affine-relu-nomask', 'affine-relu', 'dout * (self.z > 0) => dout')
bug('inverted-mask', 'affine-relu-other-half', 'affine-relu', '(self.z > 0) => (self.z <= 0)')
bug('summed-too-far', 'affine-relu-db', 'affine-relu', 'dz.sum(0) => dz.sum()')
bug('mutates-input', 'affine-relu-sgd-inside', 'affine-relu', 'return dz @ self.W.T => dx = dz @ self.W.T\n        self.W -= 0.01 * self.dW\n        return dx')

add('bilinear', '''
class Bilinear:
    """ y[n, k] = x1[n] W[k] x2[n] """
    def __init__(self, W):
        self.params = [W]
        self.grads = [np.zeros_like(W)]

    def forward(self, a, b):
        self.a, self.b = a, b
        return np.einsum('ni,kij,nj->nk', a, self.params[0], b)

    def backward(self, dy):
        W = self.params[0]
        self.grads[0][...] = np.einsum('nk,ni,nj->kij', dy, self.a, self.b)
        da = np.einsum('nk,kij,nj->ni', dy, W, self.b)
        db = np.einsum('nk,kij,ni->nj', dy, W, self.a)
        return da, db
''', 'Bilinear(r(2,3,4)), (r(5,3), r(5,4))')
bug('stale-cache', 'bilinear-a-for-b', 'bilinear', 'dy, W, self.b) => dy, W, self.a)', mk='Bilinear(r(2,4,4)), (r(5,4), r(5,4))')
bug('not-returned', 'bilinear-none', 'bilinear', 'return da, db => return da, None')

# ------------------------------------------------------------------ activations
add('relu', '''
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
''', 'Relu(), (aw(5,7),)')
bug('mutates-input', 'relu-dout', 'relu', 'dout.copy() => dout')
bug('inverted-mask', 'relu-keep', 'relu', 'dx[self.mask] = 0 => dx[~self.mask] = 0')
bug('uninformative', 'relu-dead', 'relu', mk='Relu(), (-np.abs(aw(5,7)) - 1,)')

add('leaky', '''
def leaky_forward(x, slope=0.2):
    return np.where(x > 0, x, slope * x), (x, slope)

def leaky_backward(dout, cache):
    x, slope = cache
    dx = np.where(x > 0, dout, slope * dout)
    return dx

class Leaky:
    def forward(self, x):
        out, self.cache = leaky_forward(x)
        return out
    def backward(self, dout):
        return leaky_backward(dout, self.cache)
''', 'Leaky(), (aw(4,3,5),)')
bug('inverted-mask', 'leaky-swapped', 'leaky', 'np.where(x > 0, dout, slope * dout) => np.where(x > 0, slope * dout, dout)')

add('sigmoid', '''
class Sigmoid:
    def forward(self, x):
        self.out = 1 / (1 + np.exp(-x))
        return self.out
    def backward(self, dout):
        dx = dout * (1.0 - self.out) * self.out
        return dx
''', 'Sigmoid(), (r(6,4),)')
bug('wrong-local-derivative', 'sigmoid-1-y', 'sigmoid', 'dout * (1.0 - self.out) * self.out => dout * (1.0 - self.out)')
bug('ignores-upstream', 'sigmoid-local-only', 'sigmoid', 'dout * (1.0 - self.out) * self.out => (1.0 - self.out) * self.out')
bug('wrong-sign', 'sigmoid-y-1', 'sigmoid', '(1.0 - self.out) => (self.out - 1.0)')

add('tanh-dense', '''
class TanhLayer:
    def __init__(self, w, b):
        self.params = [w, b]
        self.grads = [np.zeros(w.shape), np.zeros(b.shape)]
    def forward(self, x):
        w, b = self.params
        h = np.tanh(x.dot(w) + b)
        self.memo = dict(x=x, h=h)
        return h
    def backward(self, dout):
        w, b = self.params
        x, h = self.memo['x'], self.memo['h']
        da = dout * (1 - h ** 2)
        self.grads[0][...] = x.T.dot(da)
        self.grads[1][...] = da.sum(axis=0)
        return da.dot(w.T)
''', 'TanhLayer(r(4,3), r(3)), (r(6,4),)')
bug('missing-local-derivative', 'tanh-dense-none', 'tanh-dense', 'dout * (1 - h ** 2) => dout')
bug('wrong-local-derivative', 'tanh-dense-unsquared', 'tanh-dense', '(1 - h ** 2) => (1 - h)')
bug('stale-cache', 'tanh-dense-h-for-x', 'tanh-dense', 'x.T.dot(da) => h.T.dot(da)', mk='TanhLayer(0.5*r(4,4), r(4)), (r(6,4),)')
bug('accumulates', 'tanh-dense-both', 'tanh-dense', 'self.grads[0][...] = => self.grads[0][...] +=', 'self.grads[1][...] = => self.grads[1][...] +=')

add('gelu', '''
C = np.sqrt(2 / np.pi)
class GELU:
    def forward(self, x):
        self.x = x
        self.t = np.tanh(C * (x + 0.044715 * x ** 3))
        return 0.5 * x * (1 + self.t)
    def backward(self, dout):
        x, t = self.x, self.t
        du = C * (1 + 3 * 0.044715 * x ** 2)
        return dout * (0.5 * (1 + t) + 0.5 * x * (1 - t ** 2) * du)
''', 'GELU(), (r(5,6),)')
bug('lost-branch', 'gelu-product', 'gelu', '(0.5 * (1 + t) + 0.5 * x * (1 - t ** 2) * du) => 0.5 * (1 + t)')

add('softplus', '''
class Softplus:
    def __init__(self, beta):
        self.beta = beta
    def forward(self, x):
        self.x = x
        return np.log1p(np.exp(self.beta * x)) / self.beta
    def backward(self, dout):
        return dout / (1 + np.exp(-self.beta * self.x))
''', 'Softplus(1.7), (r(4,5),)')
bug('wrong-local-derivative', 'softplus-sign-inside', 'softplus', 'np.exp(-self.beta => np.exp(self.beta')
bug('missing-local-derivative', 'softplus-pass', 'softplus', 'return dout / (1 + np.exp(-self.beta * self.x)) => return dout')

add('swish', '''
class Swish:
    def forward(self, x):
        s = 1.0 / (1.0 + np.exp(-x))
        y = x * s
        self.saved = [x, s, y]
        return y
    def backward(self, dout):
        x, s, y = self.saved
        ds = dout * x
        dx = dout * s + ds * s * (1 - s)
        return dx
''', 'Swish(), (r(5,5),)')
bug('lost-branch', 'swish-one-term', 'swish', 'dout * s + ds * s * (1 - s) => ds * s * (1 - s)')
bug('stale-cache', 'swish-y-for-x', 'swish', 'ds = dout * x => ds = dout * y')

add('elu', '''
class ELU:
    def __init__(self, alpha=1.5):
        self.alpha = alpha
    def forward(self, x):
        self.inp = x
        self.neg = self.alpha * (np.exp(np.minimum(x, 0)) - 1)
        return np.where(x > 0, x, self.neg)
    def backward(self, d):
        g = np.ones_like(d)
        sel = self.inp <= 0
        g[sel] = self.neg[sel] + self.alpha
        return d * g
''', 'ELU(), (aw(6,5),)')
bug('ignores-upstream', 'elu-g', 'elu', 'return d * g => return g')

add('prelu', '''
class PReLU:
    def __init__(self, a):
        self.params = [a]                       # one slope per channel
        self.grads = [np.zeros_like(a)]
    def forward(self, x):                       # NCHW
        self.x = x
        a = self.params[0].reshape(1, -1, 1, 1)
        return np.where(x > 0, x, a * x)
    def backward(self, dout):
        x = self.x
        a = self.params[0].reshape(1, -1, 1, 1)
        self.grads[0][...] = (dout * np.where(x > 0, 0, x)).sum(axis=(0, 2, 3))
        return dout * np.where(x > 0, 1, a)
''', 'PReLU(u(0.1,0.4,3)), (aw(4,3,2,5),)')
bug('summed-too-far', 'prelu-slope', 'prelu', '.sum(axis=(0, 2, 3)) => .sum()')
bug('missing-mask', 'prelu-slope-all', 'prelu', 'np.where(x > 0, 0, x) => x')

# ------------------------------------------------------------------ losses
add('softmax-loss', '''
def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)

class SoftmaxWithLoss:
    def __init__(self):
        self.params, self.grads = [], []
    def forward(self, x, t):
        self.t = t
        self.y = softmax(x)
        n = x.shape[0]
        return -np.sum(np.log(self.y[np.arange(n), t] + 1e-12)) / n
    def backward(self, dout=1):
        batch_size = self.t.shape[0]
        dx = self.y.copy()
        dx[np.arange(batch_size), self.t] -= 1
        dx *= dout
        dx = dx / batch_size
        return dx
''', 'SoftmaxWithLoss(), (r(6,4), ids(4,6))')
bug('missing-label-subtraction', 'softmax-loss-y', 'softmax-loss', '        dx[np.arange(batch_size), self.t] -= 1\n =>')
bug('scaled-by-N', 'softmax-loss-sum', 'softmax-loss', 'dx = dx / batch_size => pass')
bug('ignores-upstream', 'softmax-loss-dout', 'softmax-loss', '        dx *= dout\n =>')
bug('wrong-sign', 'softmax-loss-t-y', 'softmax-loss', 'dx = dx / batch_size => dx = -dx / batch_size')

add('onehot-ce', '''
class CrossEntropy:
    """ scores (N, C), labels (N,), summed over the batch """
    def __init__(self, tau=1.0):
        self.tau = tau
    def forward(self, scores, labels):
        z = scores / self.tau
        z = z - z.max(1)[:, None]
        logp = z - np.log(np.exp(z).sum(1))[:, None]
        self.p = np.exp(logp)
        self.onehot = np.eye(scores.shape[1])[labels]
        return float(-(self.onehot * logp).sum())
    def backward(self, dout=1.0):
        return dout * (self.p - self.onehot) / self.tau
''', 'CrossEntropy(2.5), (r(5,3), ids(3,5))')
bug('missing-label-subtraction', 'onehot-ce-p', 'onehot-ce', '(self.p - self.onehot) => self.p')
bug('divided-by-N', 'onehot-ce-mean', 'onehot-ce', '(self.p - self.onehot) => (self.p - self.onehot) / len(self.p)', mk='CrossEntropy(), (r(7,3), ids(3,7))')

add('time-ce', '''
class TimeSoftmaxWithLoss:
    def __init__(self, ignore_label=-1):
        self.ignore_label = ignore_label
    def forward(self, xs, ts):
        N, T, V = xs.shape
        mask = (ts != self.ignore_label)
        xs = xs.reshape(N * T, V)
        ts = ts.reshape(N * T)
        mask = mask.reshape(N * T)
        e = np.exp(xs - xs.max(axis=1, keepdims=True))
        ys = e / e.sum(axis=1, keepdims=True)
        ls = np.log(ys[np.arange(N * T), ts]) * mask
        self.cache = (ts, ys, mask, (N, T, V))
        return -np.sum(ls) / mask.sum()
    def backward(self, dout=1.0):
        ts, ys, mask, (N, T, V) = self.cache
        dx = ys.copy()
        dx[np.arange(N * T), ts] -= 1
        dx *= dout
        dx /= mask.sum()
        dx *= mask[:, np.newaxis]
        return dx.reshape((N, T, V))
''', 'TimeSoftmaxWithLoss(), (r(4,3,5), I([1,0,-1],[4,-1,-1],[2,2,3],[0,-1,-1]))')
bug('missing-mask', 'time-ce-pads', 'time-ce', '        dx *= mask[:, np.newaxis]\n =>')
bug('missing-label-subtraction', 'time-ce-label', 'time-ce', '        dx[np.arange(N * T), ts] -= 1\n =>')
bug('scaled-by-N', 'time-ce-no-mean', 'time-ce', '        dx /= mask.sum()\n =>')

add('mse', '''
class MSELoss:
    def forward(self, pred, target):
        self.diff = pred - target
        return np.mean(self.diff ** 2)
    def backward(self, dout=1.0):
        g = 2 * dout * self.diff / self.diff.size
        return g, -g
''', 'MSELoss(), (r(5,3), r(5,3))')
bug('factor-half', 'mse-no-two', 'mse', '2 * dout => dout')
bug('scaled-by-N', 'mse-no-mean', 'mse', ' / self.diff.size =>')
bug('wrong-sign', 'mse-target', 'mse', 'return g, -g => return g, g')

add('half-squares', '''
class SquaredError:
    def __init__(self, target):
        self.target = target
    def forward(self, y):
        self.y = y
        return 0.5 * np.sum((y - self.target) ** 2)
    def backward(self):
        return self.y - self.target
''', 'SquaredError(r(5,3)), (r(5,3),)')
bug('factor-2', 'half-squares-two', 'half-squares', 'return self.y - self.target => return 2 * (self.y - self.target)')
bug('divided-by-N', 'half-squares-mean', 'half-squares', 'return self.y - self.target => return (self.y - self.target) / self.y.shape[0]')

add('bce', '''
class BCEWithLogits:
    def forward(self, z, t):
        self.t = t
        self.p = 1 / (1 + np.exp(-z))
        self.n = len(z)
        loss = -(t * np.log(self.p) + (1 - t) * np.log(1 - self.p))
        return loss.mean()
    def backward(self, dout=1):
        return dout * (self.p - self.t) / self.n
''', 'BCEWithLogits(), (r(7), I(0,1,1,0,1,0,1))')
bug('divided-by-N', 'bce-twice', 'bce', ' / self.n => / self.n / self.n')
bug('wrong-local-derivative', 'bce-extra-sigmoid', 'bce', '(self.p - self.t) / self.n => (self.p - self.t) * self.p * (1 - self.p) / self.n')

add('svm', '''
class SVM:
    """ multiclass hinge with L2, as in assignment 1; loss = mean hinge + reg * sum(W*W) """
    def __init__(self, W, reg):
        self.params = [W]
        self.grads = [np.zeros_like(W)]
        self.reg = reg
    def forward(self, X, y):
        W = self.params[0]
        n = X.shape[0]
        s = X.dot(W)
        margin = s - s[np.arange(n), y][:, None] + 1.0
        margin[np.arange(n), y] = 0
        self.X, self.y, self.pos = X, y, margin > 0
        return np.maximum(margin, 0).sum() / n + self.reg * np.sum(W * W)
    def backward(self, dout=1.0):
        W = self.params[0]
        n = self.X.shape[0]
        ds = self.pos.astype(float)
        ds[np.arange(n), self.y] = -self.pos.sum(axis=1)
        ds *= dout / n
        self.grads[0][...] = self.X.T.dot(ds) + dout * 2 * self.reg * W
        return ds.dot(W.T)
''', 'SVM(0.4*r(5,4), 0.3), (r(6,5), ids(4,6))')
bug('wrong-penalty', 'svm-reg-half', 'svm', 'dout * 2 * self.reg * W => dout * self.reg * W')
bug('lost-branch', 'svm-correct-class', 'svm', '        ds[np.arange(n), self.y] = -self.pos.sum(axis=1)\n =>')
bug('uninformative', 'svm-satisfied', 'svm', mk='SVM(4.0*np.eye(4), 0.0), (np.eye(4)[[0,2,1,3,2]], I(0,2,1,3,2))')

add('huber', '''
class Huber:
    def __init__(self, delta):
        self.delta = delta
    def forward(self, x, t):
        self.e = x - t
        a = np.abs(self.e)
        self.small = a <= self.delta
        per = np.where(self.small, 0.5 * self.e ** 2, self.delta * (a - 0.5 * self.delta))
        return per.sum(axis=1).mean()
    def backward(self, dout=1.0):
        dx = np.where(self.small, self.e, self.delta * np.sign(self.e))
        return dout * dx / len(dx)
''', 'Huber(0.8), (r(6,3), r(6,3))', right=False)
add('huber-const', SRC['huber'][0].replace('def __init__(self, delta):', 'def __init__(self, delta, t):\n        self.t = t').replace('forward(self, x, t)', 'forward(self, x)').replace('x - t', 'x - self.t'),
    'Huber(0.8, r(6,3)), (r(6,3),)')
bug('inverted-mask', 'huber-regions', 'huber-const', 'np.where(self.small, self.e, self.delta * np.sign(self.e)) => np.where(~self.small, self.e, self.delta * np.sign(self.e))')
bug('scaled-by-N', 'huber-no-mean', 'huber-const', ' / len(dx) =>')
bug('missing-mask', 'huber-all-quadratic', 'huber-const', 'dx = np.where(self.small, self.e, self.delta * np.sign(self.e)) => dx = self.e')

add('triplet', '''
class TripletLoss:
    def __init__(self, margin=1.0):
        self.m = margin
    def forward(self, a, p, n):
        self.a, self.p, self.n = a, p, n
        d = ((a - p) ** 2).sum(1) - ((a - n) ** 2).sum(1) + self.m
        self.active = (d > 0).astype(float)[:, None]
        return (d * (d > 0)).sum()
    def backward(self, dout=1.0):
        a, p, n = self.a, self.p, self.n
        k = dout * self.active
        da = 2 * k * (a - p) - 2 * k * (a - n)
        dp = -2 * k * (a - p)
        dn = 2 * k * (a - n)
        return da, dp, dn
''', 'TripletLoss(), (r(7,3), r(7,3), r(7,3))')
bug('lost-branch', 'triplet-anchor', 'triplet', '2 * k * (a - p) - 2 * k * (a - n)\n => 2 * k * (a - p)\n')
bug('wrong-sign', 'triplet-negative', 'triplet', 'dn = 2 * k => dn = -2 * k')

add('hinge-binary', '''
class Hinge:
    def forward(self, s, t):          # t in {-1, 1}
        self.s, self.t = s, t
        return np.sum(np.maximum(0, 1 - t * s) ** 2)
    def backward(self, dout=1.0):
        slack = np.maximum(0, 1 - self.t * self.s)
        return dout * -2 * self.t * slack
''', 'Hinge(), (r(8), I(1,-1,1,1,-1,-1,1,-1))')
bug('factor-half', 'hinge-binary-square', 'hinge-binary', '-2 * self.t => -1 * self.t')

# ------------------------------------------------------------------ regularisation
add('softmax-reg', '''
class SoftmaxRegression:
    def __init__(self, W, b, lam):
        self.W, self.b, self.lam = W, b, lam
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]
    def forward(self, X, y):
        s = X @ self.W + self.b
        s = s - s.max(axis=1, keepdims=True)
        P = np.exp(s)
        P /= P.sum(axis=1, keepdims=True)
        self.X, self.y, self.P = X, y, P
        data = -np.log(P[range(len(y)), y]).mean()
        return data + 0.5 * self.lam * (self.W ** 2).sum()
    def backward(self, dout=1.0):
        D = self.P.copy()
        D[range(len(self.y)), self.y] -= 1
        D = D / len(self.y) * dout
        self.grads[0][...] = self.X.T @ D + self.lam * self.W * dout
        self.grads[1][...] = D.sum(axis=0)
        return D @ self.W.T
''', 'SoftmaxRegression(r(5,3), r(3), 0.4), (r(7,5), ids(3,7))')
bug('wrong-penalty', 'softmax-reg-forgotten', 'softmax-reg', ' + self.lam * self.W * dout =>')
bug('missing-label-subtraction', 'softmax-reg-P', 'softmax-reg', '        D[range(len(self.y)), self.y] -= 1\n =>')

add('lasso', '''
class Lasso:
    """ mean squared error of a linear model plus lam * |w|_1 """
    def __init__(self, w, lam):
        self.params = [w]
        self.grads = [np.zeros_like(w)]
        self.lam = lam
    def forward(self, X):
        w = self.params[0]
        self.X = X
        self.pred = X @ w
        return np.mean(self.pred ** 2) + self.lam * np.abs(w).sum()
    def backward(self, dout=1.0):
        w = self.params[0]
        g = 2 * self.pred / len(self.pred)
        self.grads[0][...] = dout * (self.X.T @ g + self.lam * np.sign(w))
        return dout * np.outer(g, w)
''', 'Lasso(aw(5), 0.7), (r(6,5),)')
bug('wrong-penalty', 'lasso-minus', 'lasso', '+ self.lam * np.sign(w) => - self.lam * np.sign(w)')

add('two-layer', '''
class TwoLayerNet:
    def __init__(self, W1, b1, W2, b2, reg):
        self.params = [W1, b1, W2, b2]
        self.grads = [np.zeros_like(p) for p in self.params]
        self.reg = reg
    def forward(self, X, y):
        W1, b1, W2, b2 = self.params
        h = np.maximum(0, X.dot(W1) + b1)
        scores = h.dot(W2) + b2
        scores = scores - scores.max(axis=1, keepdims=True)
        probs = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        self.cache = X, y, h, probs
        n = X.shape[0]
        loss = -np.log(probs[np.arange(n), y]).sum() / n
        return loss + self.reg * (np.sum(W1 * W1) + np.sum(W2 * W2))
    def backward(self, dout=1.0):
        W1, b1, W2, b2 = self.params
        X, y, h, probs = self.cache
        n = X.shape[0]
        ds = probs.copy()
        ds[np.arange(n), y] -= 1
        ds = ds * dout / n
        gW2 = h.T.dot(ds) + 2 * self.reg * W2 * dout
        gb2 = ds.sum(axis=0)
        dh = ds.dot(W2.T)
        dh[h <= 0] = 0
        gW1 = X.T.dot(dh) + 2 * self.reg * W1 * dout
        gb1 = dh.sum(axis=0)
        for i, g in enumerate([gW1, gb1, gW2, gb2]):
            self.grads[i][...] = g
        return dh.dot(W1.T)
''', 'TwoLayerNet(r(5,6), r(6), r(6,3), r(3), 0.2), (r(7,5), ids(3,7))')
bug('wrong-penalty', 'two-layer-reg-W1', 'two-layer', '2 * self.reg * W1 => 4 * self.reg * W1')
bug('missing-mask', 'two-layer-relu', 'two-layer', '        dh[h <= 0] = 0\n =>')
bug('rebound-grads', 'two-layer-items', 'two-layer', 'self.grads[i][...] = g => self.grads[i] = g')

add('activity-penalty', '''
class ActivityPenalty:
    """ identity plus a loss: returns 0.5*mean over batch of |x|^2 * weight """
    def __init__(self, weight):
        self.weight = weight
    def forward(self, x):
        self.x = x
        return self.weight * 0.5 * (x ** 2).sum() / x.shape[0]
    def backward(self, dout=1.0):
        return dout * self.weight * self.x / self.x.shape[0]
''', 'ActivityPenalty(0.8), (r(5,6),)')
bug(frozenset({'factor-2', 'wrong-penalty'}), 'activity-penalty-two', 'activity-penalty', 'self.weight * self.x / => self.weight * 2 * self.x /')

# ------------------------------------------------------------------ dropout
add('dropout', '''
class Dropout:
    def __init__(self, p, seed):
        self.p, self.seed = p, seed
        self.train = True
    def forward(self, x):
        if not self.train:
            return x
        rng = np.random.RandomState(self.seed)
        self.mask = rng.rand(*x.shape) > self.p
        return x * self.mask / (1 - self.p)
    def backward(self, dout):
        return dout * self.mask / (1 - self.p)
''', 'Dropout(0.4, 3), (r(6,8),)')
bug('dropout-scale', 'dropout-bwd-unscaled', 'dropout', 'return dout * self.mask / (1 - self.p) => return dout * self.mask')
bug('missing-mask', 'dropout-bwd-unmasked', 'dropout', 'return dout * self.mask / => return dout /')
bug('nondeterministic', 'dropout-fresh', 'dropout', 'np.random.RandomState(self.seed) => np.random')
bug('inverted-mask', 'dropout-dropped', 'dropout', 'return dout * self.mask / => return dout * ~self.mask /')

add('dropout-given', '''
class MaskedDropout:
    """ the 0/1 keep mask comes with the batch; keep probability q """
    def __init__(self, q):
        self.q = q
    def forward(self, x, keep):
        self.scale = keep / self.q
        return x * self.scale
    def backward(self, dout):
        return dout * self.scale, None
''', 'MaskedDropout(0.7), (r(5,9), bits(5,9))')
bug('dropout-scale', 'dropout-given-twice', 'dropout-given', 'dout * self.scale, => dout * self.scale / self.q,')

add('dropout-dense', '''
class DenseDrop:
    def __init__(self, W, b, ratio):
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]
        self.ratio = ratio
        self.keep = np.random.RandomState(11).rand(W.shape[1]) >= ratio
    def forward(self, x):
        self.x = x
        h = x @ self.params[0] + self.params[1]
        return h * self.keep / (1 - self.ratio)
    def backward(self, dout):
        dh = dout * self.keep / (1 - self.ratio)
        self.grads[0][...] = self.x.T @ dh
        self.grads[1][...] = dh.sum(axis=0)
        return dh @ self.params[0].T
''', 'DenseDrop(r(4,8), r(8), 0.3), (r(5,4),)', right=False)
bug('dropout-scale', 'dropout-dense-scale', 'dropout-dense', 'dh = dout * self.keep / (1 - self.ratio) => dh = dout * self.keep')
bug('dropout-scale', 'dropout-old-style', 'dropout', 'return x * self.mask / (1 - self.p) => return x * self.mask', mk='Dropout(0.25, 5), (r(4,9),)')

add('noise', '''
class GaussianNoise:
    def __init__(self, sigma, seed):
        self.sigma = sigma
        self.rng = np.random.RandomState(seed)
        self.eps = None
    def forward(self, x):
        if self.eps is None:
            self.eps = self.rng.standard_normal(x.shape)
        return x * (1 + self.sigma * self.eps)
    def backward(self, dout):
        return dout * (1 + self.sigma * self.eps)
''', 'GaussianNoise(0.3, 4), (r(5,4),)', right=False)
bug('nondeterministic', 'noise-fresh', 'noise', '        if self.eps is None:\n            self.eps => \n        self.eps')

# ------------------------------------------------------------------ normalisation
add('batchnorm', '''
class BatchNorm:
    def __init__(self, gamma, beta, eps=1e-5):
        self.gamma, self.beta, self.eps = gamma, beta, eps
        self.params = [gamma, beta]
        self.grads = [np.zeros_like(gamma), np.zeros_like(beta)]
    def forward(self, x):
        mu = x.mean(axis=0)
        self.xc = x - mu
        var = np.mean(self.xc ** 2, axis=0)
        self.std = np.sqrt(var + self.eps)
        self.xn = self.xc / self.std
        return self.gamma * self.xn + self.beta
    def backward(self, dout):
        N = dout.shape[0]
        dbeta = dout.sum(axis=0)
        dgamma = np.sum(self.xn * dout, axis=0)
        dxn = self.gamma * dout
        dxc = dxn / self.std
        dstd = -np.sum((dxn * self.xc) / (self.std * self.std), axis=0)
        dvar = 0.5 * dstd / self.std
        dxc += (2.0 / N) * self.xc * dvar
        dmu = np.sum(dxc, axis=0)
        dx = dxc - dmu / N
        self.grads[0][...] = dgamma
        self.grads[1][...] = dbeta
        return dx
''', 'BatchNorm(r(4), r(4)), (r(7,4),)')
bug(frozenset({'constant-statistics', 'cross-sample'}), 'batchnorm-no-mean-path', 'batchnorm', 'dx = dxc - dmu / N => dx = dxc')
bug('summed-too-far', 'batchnorm-gamma', 'batchnorm', 'np.sum(self.xn * dout, axis=0) => np.sum(self.xn * dout)')
bug('stale-cache', 'batchnorm-xc-for-xn', 'batchnorm', 'np.sum(self.xn * dout, axis=0) => np.sum(self.xc * dout, axis=0)', mk='BatchNorm(r(4), r(4)), (2.5*r(7,4),)')

add('bn-eval', '''
class BatchNormEval:
    def __init__(self, gamma, beta, mean, var):
        self.params = [gamma, beta]
        self.grads = [np.zeros_like(gamma), np.zeros_like(beta)]
        self.mean, self.var = mean, var
    def forward(self, x):
        self.std = np.sqrt(self.var + 1e-5)
        self.xhat = (x - self.mean) / self.std
        return self.params[0] * self.xhat + self.params[1]
    def backward(self, dout):
        self.grads[0][...] = (dout * self.xhat).sum(axis=0)
        self.grads[1][...] = dout.sum(axis=0)
        return dout * self.params[0] / self.std
''', 'BatchNormEval(r(4), r(4), r(4), u(0.5,2,4)), (r(6,4),)')
bug('nondeterministic', 'bn-eval-running', 'bn-eval', '        self.std = np.sqrt => \n        self.mean = 0.9 * self.mean + 0.1 * x.mean(axis=0)\n        self.std = np.sqrt')
bug('divided-by-N', 'bn-eval-beta', 'bn-eval', 'dout.sum(axis=0) => dout.mean(axis=0)')

add('layernorm', '''
class LayerNorm:
    def __init__(self, g, b, eps=1e-6):
        self.params = [g, b]
        self.grads = [np.zeros_like(g), np.zeros_like(b)]
        self.eps = eps
    def forward(self, x):
        m = x.mean(-1, keepdims=True)
        v = x.var(-1, keepdims=True)
        self.inv = 1 / np.sqrt(v + self.eps)
        self.xhat = (x - m) * self.inv
        return self.params[0] * self.xhat + self.params[1]
    def backward(self, dy):
        ax = tuple(range(dy.ndim - 1))
        self.grads[0][...] = (dy * self.xhat).sum(axis=ax)
        self.grads[1][...] = dy.sum(axis=ax)
        d = dy * self.params[0]
        dx = self.inv * (d - d.mean(-1, keepdims=True) - self.xhat * (d * self.xhat).mean(-1, keepdims=True))
        return dx
''', 'LayerNorm(r(6), r(6)), (r(4,3,6),)')
bug('constant-statistics', 'layernorm-plain', 'layernorm', '(d - d.mean(-1, keepdims=True) - self.xhat * (d * self.xhat).mean(-1, keepdims=True)) => d')
bug('constant-statistics', 'layernorm-variance', 'layernorm', ' - self.xhat * (d * self.xhat).mean(-1, keepdims=True)) => )')
bug('cross-sample', 'layernorm-axis-mixup', 'layernorm', 'm = x.mean(-1, keepdims=True) => m = x.mean(0, keepdims=True)', 'v = x.var(-1, keepdims=True) => v = x.var(0, keepdims=True)')
bug('summed-too-far', 'layernorm-gain', 'layernorm', '(dy * self.xhat).sum(axis=ax) => (dy * self.xhat).sum()')

add('rmsnorm', '''
class RMSNorm:
    def __init__(self, w):
        self.params = [w]
        self.grads = [np.zeros_like(w)]
    def forward(self, x):
        self.x = x
        self.rms = np.sqrt((x * x).mean(axis=1, keepdims=True) + 1e-8)
        return x / self.rms * self.params[0]
    def backward(self, dout):
        w, x, rms = self.params[0], self.x, self.rms
        D = x.shape[1]
        g = dout * w
        self.grads[0][...] = np.sum(dout * x / rms, axis=0)
        return g / rms - x * np.sum(g * x, axis=1, keepdims=True) / (D * rms ** 3)
''', 'RMSNorm(r(5)), (r(6,5),)')
bug('constant-statistics', 'rmsnorm-const', 'rmsnorm', ' - x * np.sum(g * x, axis=1, keepdims=True) / (D * rms ** 3) =>')
bug('cross-sample', 'rmsnorm-global', 'rmsnorm', '(x * x).mean(axis=1, keepdims=True) => (x * x).mean()')
bug('missing-batch-sum', 'rmsnorm-w-per-row', 'rmsnorm', 'np.zeros_like(w)] => np.zeros((6, len(w)))]', 'np.sum(dout * x / rms, axis=0) => dout * x / rms')

add('groupnorm', '''
class GroupNorm:
    def __init__(self, G, gamma, beta):
        self.G = G
        self.params = [gamma, beta]                 # (1, C, 1, 1)
        self.grads = [np.zeros_like(gamma), np.zeros_like(beta)]
    def forward(self, x):
        N, C, H, W = x.shape
        xg = x.reshape(N, self.G, -1)
        mu = xg.mean(axis=2, keepdims=True)
        sd = np.sqrt(xg.var(axis=2, keepdims=True) + 1e-5)
        xn = (xg - mu) / sd
        self.cache = (xn, sd, x.shape)
        return self.params[0] * xn.reshape(x.shape) + self.params[1]
    def backward(self, dout):
        xn, sd, shape = self.cache
        self.grads[0][...] = (dout * xn.reshape(shape)).sum(axis=(0, 2, 3), keepdims=True)
        self.grads[1][...] = dout.sum(axis=(0, 2, 3), keepdims=True)
        d = (dout * self.params[0]).reshape(xn.shape)
        m = xn.shape[2]
        dx = (m * d - d.sum(axis=2, keepdims=True) - xn * (d * xn).sum(axis=2, keepdims=True)) / (m * sd)
        return dx.reshape(shape)
''', 'GroupNorm(2, r(1,4,1,1), r(1,4,1,1)), (r(5,4,2,3),)')
bug('constant-statistics', 'groupnorm-mean-const', 'groupnorm', 'd - d.sum(axis=2, keepdims=True) - xn => d - xn')
bug('scaled-by-N', 'groupnorm-forgot-m', 'groupnorm', '/ (m * sd) => / sd')

add('unit-rows', '''
class NormalizeRows:
    def forward(self, v):
        self.n = np.linalg.norm(v, axis=1, keepdims=True)
        self.u = v / self.n
        return self.u
    def backward(self, dout):
        inner = np.sum(dout * self.u, axis=1, keepdims=True)
        return (dout - self.u * inner) / self.n
''', 'NormalizeRows(), (r(6,3),)')
bug('constant-statistics', 'unit-rows-norm', 'unit-rows', '(dout - self.u * inner) / self.n => dout / self.n')

add('softmax-op', '''
class Softmax:
    def forward(self, x):
        m = np.max(x, axis=-1, keepdims=True)
        e = np.exp(x - m)
        self.out = e / np.sum(e, axis=-1, keepdims=True)
        return self.out
    def backward(self, dout):
        dx = self.out * dout
        sumdx = np.sum(dx, axis=-1, keepdims=True)
        dx -= self.out * sumdx
        return dx
''', 'Softmax(), (r(5,4),)')
bug('constant-statistics', 'softmax-op-diag', 'softmax-op', '        dx -= self.out * sumdx\n =>')
bug('wrong-local-derivative', 'softmax-op-y-1-y', 'softmax-op', '        dx -= self.out * sumdx\n => \n        dx = dout * self.out * (1 - self.out)\n')
bug('mutates-input', 'softmax-op-shift', 'softmax-op', 'e = np.exp(x - m) => x -= m\n        e = np.exp(x)')
bug('cross-sample', 'softmax-op-axis0', 'softmax-op', 'np.sum(e, axis=-1, keepdims=True) => np.sum(e, axis=0, keepdims=True)')

add('log-softmax', '''
class LogSoftmax:
    def forward(self, x):
        top = x.max(axis=1, keepdims=True)
        self.lp = x - top - np.log(np.exp(x - top).sum(axis=1, keepdims=True))
        return self.lp
    def backward(self, dout):
        return dout - np.exp(self.lp) * dout.sum(axis=1, keepdims=True)
''', 'LogSoftmax(), (r(6,5),)')
bug('stale-cache', 'log-softmax-lp', 'log-softmax', 'np.exp(self.lp) * => self.lp *')
bug('summed-too-far', 'log-softmax-all', 'log-softmax', 'dout.sum(axis=1, keepdims=True) => dout.sum()')

# ------------------------------------------------------------------ convolution
add('conv-naive', '''
class ConvNaive:
    def __init__(self, w, b, stride=1, pad=1):
        self.params = [w, b]
        self.grads = [np.zeros_like(w), np.zeros_like(b)]
        self.stride, self.pad = stride, pad
    def forward(self, x):
        w, b = self.params
        s, p = self.stride, self.pad
        N, C, H, W = x.shape
        F, _, HH, WW = w.shape
        Ho, Wo = (H + 2 * p - HH) // s + 1, (W + 2 * p - WW) // s + 1
        xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        out = np.zeros((N, F, Ho, Wo))
        for i in range(Ho):
            for j in range(Wo):
                win = xp[:, :, i * s:i * s + HH, j * s:j * s + WW]
                out[:, :, i, j] = np.tensordot(win, w, axes=([1, 2, 3], [1, 2, 3])) + b
        self.cache = (x.shape, xp)
        return out
    def backward(self, dout):
        w, b = self.params
        s, p = self.stride, self.pad
        shape, xp = self.cache
        F, C, HH, WW = w.shape
        dxp, dw = np.zeros_like(xp), np.zeros_like(w)
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                win = xp[:, :, i * s:i * s + HH, j * s:j * s + WW]
                d = dout[:, :, i, j]
                dw += np.tensordot(d, win, axes=([0], [0]))
                dxp[:, :, i * s:i * s + HH, j * s:j * s + WW] += np.tensordot(d, w, axes=([1], [0]))
        self.grads[0][...] = dw
        self.grads[1][...] = dout.sum(axis=(0, 2, 3))
        return dxp[:, :, p:p + shape[2], p:p + shape[3]]
''', 'ConvNaive(r(2,3,3,3), r(2)), (r(4,3,5,4),)')
bug('overlap-overwritten', 'conv-naive-windows', 'conv-naive', 'j * s:j * s + WW] += => j * s:j * s + WW] =')
bug('flipped-kernel', 'conv-naive-flip', 'conv-naive', 'np.tensordot(d, w, axes => np.tensordot(d, w[:, :, ::-1, ::-1], axes')
bug('summed-too-far', 'conv-naive-b', 'conv-naive', 'dout.sum(axis=(0, 2, 3)) => dout.sum()')
bug('wrong-sign', 'conv-naive-dw', 'conv-naive', 'dw += => dw -=')

add('conv-im2col', '''
def im2col(x, k, s=1):
    N, C, H, W = x.shape
    oh, ow = (H - k) // s + 1, (W - k) // s + 1
    col = np.zeros((N, C, k, k, oh, ow))
    for y in range(k):
        for z in range(k):
            col[:, :, y, z] = x[:, :, y:y + s * oh:s, z:z + s * ow:s]
    return col.transpose(0, 4, 5, 1, 2, 3).reshape(N * oh * ow, -1)

def col2im(col, shape, k, s=1):
    N, C, H, W = shape
    oh, ow = (H - k) // s + 1, (W - k) // s + 1
    col = col.reshape(N, oh, ow, C, k, k).transpose(0, 3, 4, 5, 1, 2)
    img = np.zeros(shape)
    for y in range(k):
        for z in range(k):
            img[:, :, y:y + s * oh:s, z:z + s * ow:s] += col[:, :, y, z]
    return img

class Convolution:
    def __init__(self, W, b, stride=1):
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]
        self.stride = stride
    def forward(self, x):
        W, b = self.params
        FN, C, k, _ = W.shape
        s = self.stride
        N, _, H, Wd = x.shape
        oh, ow = (H - k) // s + 1, (Wd - k) // s + 1
        self.col = im2col(x, k, s)
        self.shape = x.shape
        out = self.col @ W.reshape(FN, -1).T + b
        return out.reshape(N, oh, ow, FN).transpose(0, 3, 1, 2)
    def backward(self, dout):
        W, b = self.params
        FN, C, k, _ = W.shape
        dout = dout.transpose(0, 2, 3, 1).reshape(-1, FN)
        self.grads[1][...] = dout.sum(axis=0)
        self.grads[0][...] = (self.col.T @ dout).transpose(1, 0).reshape(FN, C, k, k)
        dcol = dout @ W.reshape(FN, -1)
        return col2im(dcol, self.shape, k, self.stride)
''', 'Convolution(r(3,2,3,3), r(3), 2), (r(4,2,7,5),)')
bug('wrong-reshape', 'conv-im2col-dout', 'conv-im2col', 'dout.transpose(0, 2, 3, 1).reshape(-1, FN) => dout.reshape(-1, FN)')
bug('wrong-reshape', 'conv-im2col-dW', 'conv-im2col', '.transpose(1, 0).reshape(FN, C, k, k) => .reshape(FN, C, k, k)')
bug('overlap-overwritten', 'conv-im2col-col2im', 'conv-im2col', 'z:z + s * ow:s] += => z:z + s * ow:s] =')
bug('missing-transpose', 'conv-im2col-kernel-axes', 'conv-im2col', '.transpose(1, 0).reshape(FN, C, k, k) => .transpose(1, 0).reshape(FN, C, k, k).transpose(0, 1, 3, 2)')

add('conv1d', '''
class Conv1D:
    """ cross-correlation, one filter bank (F, C, K), valid """
    def __init__(self, K, bias):
        self.K = K
        self.params = [K, bias]
        self.grads = [np.zeros_like(K), np.zeros_like(bias)]
    def forward(self, x):
        self.x = x
        k = self.K.shape[2]
        L = x.shape[2] - k + 1
        out = np.stack([np.einsum('nck,fck->nf', x[:, :, t:t + k], self.K) for t in range(L)], axis=2)
        return out + self.params[1][:, None]
    def backward(self, dout):
        k = self.K.shape[2]
        L = dout.shape[2]
        self.grads[0][...] = np.stack([np.einsum('nfl,ncl->fc', dout, self.x[:, :, j:j + L]) for j in range(k)], axis=2)
        self.grads[1][...] = dout.sum(axis=(0, 2))
        padded = np.pad(dout, ((0, 0), (0, 0), (k - 1, k - 1)))
        flip = self.K[:, :, ::-1]
        return np.stack([np.einsum('nfk,fck->nc', padded[:, :, t:t + k], flip) for t in range(self.x.shape[2])], axis=2)
''', 'Conv1D(r(3,2,4), r(3)), (r(5,2,9),)')
bug('flipped-kernel', 'conv1d-noflip', 'conv1d', 'self.K[:, :, ::-1] => self.K')
bug('flipped-kernel', 'conv1d-dK', 'conv1d', 'for j in range(k)], axis=2) => for j in range(k)][::-1], axis=2)')
bug('divided-by-N', 'conv1d-bias', 'conv1d', 'dout.sum(axis=(0, 2)) => dout.sum(axis=2).mean(axis=0)')
bug('missing-batch-sum', 'conv1d-bias-positions', 'conv1d', 'np.zeros_like(bias)] => np.zeros((len(bias), 6))]', 'dout.sum(axis=(0, 2)) => dout.sum(axis=0)')

add('conv-last', '''
class ConvNHWC:
    """ channels last, weight (k, k, cin, cout), as in the dlsys homework """
    def __init__(self, weight):
        self.params = [weight]
        self.grads = [np.zeros_like(weight)]
    def _windows(self, a, k):
        N, H, W, C = a.shape
        s0, s1, s2, s3 = a.strides
        return np.lib.stride_tricks.as_strided(a, (N, H - k + 1, W - k + 1, k, k, C), (s0, s1, s2, s1, s2, s3))
    def forward(self, x):
        self.x = np.ascontiguousarray(x)
        w = self.params[0]
        return np.einsum('nhwabc,abcd->nhwd', self._windows(self.x, w.shape[0]), w)
    def backward(self, g):
        w = self.params[0]
        k = w.shape[0]
        self.grads[0][...] = np.einsum('nhwabc,nhwd->abcd', self._windows(self.x, k), g)
        gp = np.pad(g, ((0, 0), (k - 1, k - 1), (k - 1, k - 1), (0, 0)))
        wf = np.flip(w, (0, 1))
        return np.einsum('nhwabd,abcd->nhwc', self._windows(gp, k), wf)
''', 'ConvNHWC(r(3,3,2,4)), (r(4,5,4,2),)')
bug('flipped-kernel', 'conv-last-one-axis', 'conv-last', 'np.flip(w, (0, 1)) => np.flip(w, 0)')
bug('missing-transpose', 'conv-last-channels', 'conv-last', "'nhwabd,abcd->nhwc' => 'nhwabd,abdc->nhwc'", mk='ConvNHWC(r(2,2,3,3)), (r(4,5,4,3),)')

# ------------------------------------------------------------------ pooling
add('maxpool', '''
class MaxPool:
    def __init__(self, size, stride):
        self.size, self.stride = size, stride
    def forward(self, x):
        self.x = x
        k, s = self.size, self.stride
        N, C, H, W = x.shape
        out = np.zeros((N, C, (H - k) // s + 1, (W - k) // s + 1))
        for i in range(out.shape[2]):
            for j in range(out.shape[3]):
                out[:, :, i, j] = x[:, :, i * s:i * s + k, j * s:j * s + k].max(axis=(2, 3))
        self.out = out
        return out
    def backward(self, dout):
        k, s = self.size, self.stride
        dx = np.zeros_like(self.x)
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                win = self.x[:, :, i * s:i * s + k, j * s:j * s + k]
                m = win == self.out[:, :, i, j][:, :, None, None]
                dx[:, :, i * s:i * s + k, j * s:j * s + k] += m * dout[:, :, i, j][:, :, None, None]
        return dx
''', 'MaxPool(3, 2), (pm(4,2,7,5),)')
bug('overlap-overwritten', 'maxpool-windows', 'maxpool', 'j * s:j * s + k] += m => j * s:j * s + k] = m')
bug('missing-mask', 'maxpool-everyone', 'maxpool', '+= m * dout[:, :, i, j] => += dout[:, :, i, j]')
bug('inverted-mask', 'maxpool-losers', 'maxpool', 'm = win == => m = win !=')

add('avgpool', '''
class AvgPool1d:
    def __init__(self, k, stride):
        self.k, self.stride = k, stride
    def forward(self, x):                     # (N, L, C)
        self.in_shape = x.shape
        n = (x.shape[1] - self.k) // self.stride + 1
        return np.stack([x[:, i * self.stride:i * self.stride + self.k].mean(axis=1) for i in range(n)], axis=1)
    def backward(self, dout):
        dx = np.zeros(self.in_shape)
        for i in range(dout.shape[1]):
            a = i * self.stride
            dx[:, a:a + self.k] += dout[:, i:i + 1] / self.k
        return dx
''', 'AvgPool1d(5, 3), (r(4,11,2),)')
bug('scaled-by-N', 'avgpool-k', 'avgpool', ' / self.k\n => \n')
bug('overlap-overwritten', 'avgpool-windows', 'avgpool', 'a:a + self.k] += => a:a + self.k] =')

add('gap', '''
class GlobalAveragePool:
    def forward(self, x):
        self.shape = x.shape
        return x.mean(axis=(2, 3))
    def backward(self, dout):
        N, C, H, W = self.shape
        return np.ones(self.shape) * dout[:, :, None, None] / (H * W)
''', 'GlobalAveragePool(), (r(4,3,5,3),)')
bug('ignores-upstream', 'gap-ones', 'gap', 'np.ones(self.shape) * dout[:, :, None, None] / => np.ones(self.shape) /')
bug('divided-by-N', 'gap-batch', 'gap', '/ (H * W) => / (N * H * W)')

add('max-last', '''
class MaxOverTime:
    def forward(self, x):
        self.idx = x.argmax(axis=1)
        self.shape = x.shape
        return x.max(axis=1)
    def backward(self, dout):
        N, T, D = self.shape
        dx = np.zeros(self.shape)
        n, d = np.ogrid[:N, :D]
        dx[n, self.idx, d] = dout
        return dx
''', 'MaxOverTime(), (pm(4,5,3),)')
bug('missing-mask', 'max-last-broadcast', 'max-last', 'dx[n, self.idx, d] = dout => dx += dout[:, None, :]')

# ------------------------------------------------------------------ embedding
add('embedding', '''
class Embedding:
    def __init__(self, W):
        self.params = [W]
        self.grads = [np.zeros_like(W)]
        self.idx = None
    def forward(self, idx):
        W, = self.params
        self.idx = idx
        return W[idx]
    def backward(self, dout):
        dW, = self.grads
        dW[...] = 0
        np.add.at(dW, self.idx, dout)
        return None
''', 'Embedding(r(7,3)), (I(1,0,3,1,5,1),)')
bug('repeated-index', 'embedding-assign', 'embedding', 'np.add.at(dW, self.idx, dout) => dW[self.idx] = dout')
bug('repeated-index', 'embedding-buffered', 'embedding', 'np.add.at(dW, self.idx, dout) => dW[self.idx] += dout', mk='Embedding(r(6,4)), (I([2,0,2],[5,1,1],[0,3,4],[2,2,5]),)')
bug('rebound-grads', 'embedding-new', 'embedding', 'dW[...] = 0 => dW = np.zeros_like(self.params[0])', 'np.add.at(dW, self.idx, dout) => np.add.at(dW, self.idx, dout)\n        self.grads[0] = dW')
bug('accumulates', 'embedding-nozero', 'embedding', '        dW[...] = 0\n =>')

add('bag', '''
class EmbeddingBag:
    """ CBOW input side: the mean of the context vectors """
    def __init__(self, W):
        self.params = [W]
        self.grads = [np.zeros_like(W)]
    def forward(self, contexts):
        self.contexts = contexts
        return self.params[0][contexts].mean(axis=1)
    def backward(self, dout):
        N, K = self.contexts.shape
        g = np.zeros_like(self.params[0])
        for n in range(N):
            for k in range(K):
                g[self.contexts[n, k]] += dout[n] / K
        self.grads[0][...] = g
''', 'EmbeddingBag(r(6,4)), (I([0,2,2],[4,1,5],[3,3,0],[1,2,5],[4,4,4]),)')
bug('repeated-index', 'bag-loop', 'bag', 'g[self.contexts[n, k]] += => g[self.contexts[n, k]] =')
bug('scaled-by-N', 'bag-mean', 'bag', 'dout[n] / K => dout[n]')

add('gather', '''
class GatherRows:
    def forward(self, table, rows):
        self.n, self.rows = table.shape, rows
        return table[rows]
    def backward(self, dout):
        d = np.zeros(self.n)
        for i, row in enumerate(self.rows):
            d[row] += dout[i]
        return d, None
''', 'GatherRows(), (r(5,3), I(4,0,4,2,1,4,2))', right=False)
bug('repeated-index', 'gather-rows', 'gather', 'd[row] += => d[row] =')

add('pos-embedding', '''
class TokenAndPosition:
    def __init__(self, E, P):
        self.params = [E, P]
        self.grads = [np.zeros_like(E), np.zeros_like(P)]
    def forward(self, ids):
        self.ids = ids
        T = ids.shape[1]
        return self.params[0][ids] + self.params[1][:T]
    def backward(self, dout):
        dE, dP = self.grads
        dE.fill(0)
        dP.fill(0)
        np.add.at(dE, self.ids, dout)
        dP[:dout.shape[1]] = dout.sum(axis=0)
''', 'TokenAndPosition(r(6,3), r(5,3)), (ids(6,4,5),)')
bug('summed-too-far', 'pos-embedding-time', 'pos-embedding', 'dout.sum(axis=0) => dout.sum(axis=(0, 1))')
bug('not-written', 'pos-embedding-P', 'pos-embedding', '        dP[:dout.shape[1]] = dout.sum(axis=0)\n =>')

# ------------------------------------------------------------------ recurrent
add('rnn-cell', '''
class RNN:
    def __init__(self, Wx, Wh, b):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)]
        self.cache = None
    def forward(self, x, h_prev):
        Wx, Wh, b = self.params
        t = np.dot(h_prev, Wh) + np.dot(x, Wx) + b
        h_next = np.tanh(t)
        self.cache = (x, h_prev, h_next)
        return h_next
    def backward(self, dh_next):
        Wx, Wh, b = self.params
        x, h_prev, h_next = self.cache
        dt = dh_next * (1 - h_next ** 2)
        db = np.sum(dt, axis=0)
        dWh = np.dot(h_prev.T, dt)
        dh_prev = np.dot(dt, Wh.T)
        dWx = np.dot(x.T, dt)
        dx = np.dot(dt, Wx.T)
        self.grads[0][...] = dWx
        self.grads[1][...] = dWh
        self.grads[2][...] = db
        return dx, dh_prev
''', 'RNN(0.5*r(4,3), 0.5*r(3,3), r(3)), (r(5,4), r(5,3))')
bug('stale-cache', 'rnn-cell-h-next', 'rnn-cell', 'np.dot(h_prev.T, dt) => np.dot(h_next.T, dt)')
bug('missing-transpose', 'rnn-cell-Wh', 'rnn-cell', 'np.dot(dt, Wh.T) => np.dot(dt, Wh)')
bug('not-returned', 'rnn-cell-only-dx', 'rnn-cell', 'return dx, dh_prev => return dx')
bug('missing-local-derivative', 'rnn-cell-no-tanh', 'rnn-cell', 'dt = dh_next * (1 - h_next ** 2) => dt = dh_next')
bug('wrong-local-derivative', 'rnn-cell-tanh-of-h', 'rnn-cell', '(1 - h_next ** 2) => (1 - np.tanh(h_next) ** 2)')

add('time-rnn', '''
class TimeRNN:
    def __init__(self, Wx, Wh, b):
        self.Wx, self.Wh, self.b = Wx, Wh, b
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(p) for p in self.params]
        self.h = None
    def forward(self, xs):                      # time major (T, N, D)
        T, N, _ = xs.shape
        h = np.zeros((N, self.Wh.shape[0]))
        self.xs, self.hs = xs, [h]
        for x in xs:
            h = np.tanh(x @ self.Wx + h @ self.Wh + self.b)
            self.hs.append(h)
        return np.array(self.hs[1:])
    def backward(self, dhs):
        dWx, dWh, db = np.zeros_like(self.Wx), np.zeros_like(self.Wh), np.zeros_like(self.b)
        dxs = np.empty_like(self.xs)
        dh = 0
        for t in range(len(dhs) - 1, -1, -1):
            da = (dhs[t] + dh) * (1 - self.hs[t + 1] ** 2)
            dWx += self.xs[t].T @ da
            dWh += self.hs[t].T @ da
            db += da.sum(axis=0)
            dxs[t] = da @ self.Wx.T
            dh = da @ self.Wh.T
        for g, d in zip(self.grads, (dWx, dWh, db)):
            g[...] = d
        return dxs
''', 'TimeRNN(0.6*r(3,4), 0.5*r(4,4), r(4)), (r(5,6,3),)')
bug('lost-branch', 'time-rnn-no-dh', 'time-rnn', 'da = (dhs[t] + dh) => da = dhs[t]')
bug('stale-cache', 'time-rnn-off-by-one', 'time-rnn', 'dWh += self.hs[t].T => dWh += self.hs[t + 1].T')
bug('lost-branch', 'time-rnn-last-write', 'time-rnn', 'db += da => db = da')
bug('nondeterministic', 'time-rnn-stateful', 'time-rnn', 'h = np.zeros((N, self.Wh.shape[0])) => h = np.zeros((N, self.Wh.shape[0])) if self.h is None else self.h', 'return np.array(self.hs[1:]) => self.h = h\n        return np.array(self.hs[1:])')

add('lstm-cell', '''
def sig(z):
    return 1 / (1 + np.exp(-z))

class LSTMCell:
    def __init__(self, Wx, Wh, b):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)]
    def forward(self, x, h, c):
        Wx, Wh, b = self.params
        H = h.shape[1]
        A = x @ Wx + h @ Wh + b
        f, g, i, o = sig(A[:, :H]), np.tanh(A[:, H:2*H]), sig(A[:, 2*H:3*H]), sig(A[:, 3*H:])
        c_next = f * c + g * i
        tc = np.tanh(c_next)
        self.cache = x, h, c, f, g, i, o, tc
        return o * tc
    def backward(self, dh):
        Wx, Wh, b = self.params
        x, h, c, f, g, i, o, tc = self.cache
        ds = dh * o * (1 - tc ** 2)
        dc = ds * f
        di = ds * g * i * (1 - i)
        df = ds * c * f * (1 - f)
        do = dh * tc * o * (1 - o)
        dg = ds * i * (1 - g ** 2)
        dA = np.hstack((df, dg, di, do))
        self.grads[0][...] = x.T @ dA
        self.grads[1][...] = h.T @ dA
        self.grads[2][...] = dA.sum(axis=0)
        return dA @ Wx.T, dA @ Wh.T, dc
''', 'LSTMCell(0.6*r(3,16), 0.6*r(4,16), r(16)), (r(5,3), r(5,4), r(5,4))')
bug('not-returned', 'lstm-cell-no-dc', 'lstm-cell', 'return dA @ Wx.T, dA @ Wh.T, dc => return dA @ Wx.T, dA @ Wh.T')
bug('stale-cache', 'lstm-cell-i-o', 'lstm-cell', 'ds = dh * o * => ds = dh * i *')

add('gru-cell', '''
class GRU:
    def __init__(self, Wx, Wh):
        self.params = [Wx, Wh]
        self.grads = [np.zeros_like(Wx), np.zeros_like(Wh)]
    def forward(self, x, h):
        Wx, Wh = self.params
        H = h.shape[1]
        s = lambda a: 1 / (1 + np.exp(-a))
        z = s(x @ Wx[:, :H] + h @ Wh[:, :H])
        r_ = s(x @ Wx[:, H:2*H] + h @ Wh[:, H:2*H])
        n = np.tanh(x @ Wx[:, 2*H:] + (r_ * h) @ Wh[:, 2*H:])
        self.saved = x, h, z, r_, n
        return (1 - z) * h + z * n
    def backward(self, dh):
        Wx, Wh = self.params
        x, h, z, r_, n = self.saved
        H = h.shape[1]
        dn = dh * z * (1 - n ** 2)
        dz = dh * (n - h) * z * (1 - z)
        drh = dn @ Wh[:, 2*H:].T
        dr = drh * h * r_ * (1 - r_)
        self.grads[0][...] = x.T @ np.hstack([dz, dr, dn])
        self.grads[1][...] = np.hstack([h.T @ dz, h.T @ dr, (r_ * h).T @ dn])
        dx = np.hstack([dz, dr, dn]) @ Wx.T
        dhp = dh * (1 - z)
        dhp = dhp + drh * r_
        dhp = dhp + dz @ Wh[:, :H].T + dr @ Wh[:, H:2*H].T
        return dx, dhp
''', 'GRU(0.7*r(3,12), 0.6*r(4,12)), (r(5,3), r(5,4))')
bug('lost-branch', 'gru-cell-highway', 'gru-cell', 'dhp = dhp + drh * r_ => dhp = drh * r_')
bug('wrong-sign', 'gru-cell-z', 'gru-cell', 'dh * (n - h) * => dh * (h - n) *')

# ------------------------------------------------------------------ attention
add('sdpa', '''
class ScaledDotProductAttention:
    def forward(self, q, k, v):
        d = q.shape[-1]
        s = q @ k.transpose(0, 2, 1) / np.sqrt(d)
        s = s - s.max(-1, keepdims=True)
        a = np.exp(s)
        a = a / a.sum(-1, keepdims=True)
        self.cache = (q, k, v, a, d)
        return a @ v
    def backward(self, dout):
        q, k, v, a, d = self.cache
        da = dout @ v.transpose(0, 2, 1)
        dv = a.transpose(0, 2, 1) @ dout
        ds = a * (da - (a * da).sum(-1, keepdims=True)) / np.sqrt(d)
        dq = ds @ k
        dk = ds.transpose(0, 2, 1) @ q
        return dq, dk, dv
''', 'ScaledDotProductAttention(), (r(4,5,3), r(4,6,3), r(4,6,2))')
bug('constant-statistics', 'sdpa-normaliser', 'sdpa', '(da - (a * da).sum(-1, keepdims=True)) => da')
bug('missing-transpose', 'sdpa-dv', 'sdpa', 'dv = a.transpose(0, 2, 1) @ dout => dv = a @ dout', mk='ScaledDotProductAttention(), (r(4,5,3), r(4,5,3), r(4,5,2))')
bug('not-returned', 'sdpa-no-v', 'sdpa', 'return dq, dk, dv => return dq, dk')
bug('cross-sample', 'sdpa-over-batch', 'sdpa', 'a = a / a.sum(-1, keepdims=True) => a = a / a.sum(0, keepdims=True)')

add('causal-self-attention', '''
class CausalSelfAttention:
    def __init__(self, Wqkv, Wo, heads):
        self.params = [Wqkv, Wo]
        self.grads = [np.zeros_like(Wqkv), np.zeros_like(Wo)]
        self.h = heads
    def split(self, a):
        N, T, D = a.shape
        return a.reshape(N, T, self.h, D // self.h).transpose(0, 2, 1, 3)
    def merge(self, a):
        N, h, T, d = a.shape
        return a.transpose(0, 2, 1, 3).reshape(N, T, h * d)
    def forward(self, x):
        Wqkv, Wo = self.params
        q, k, v = [self.split(p) for p in np.split(x @ Wqkv, 3, axis=2)]
        T = x.shape[1]
        c = 1 / np.sqrt(q.shape[-1])
        s = q @ k.swapaxes(2, 3) * c
        s = np.where(np.tri(T) > 0, s, -1e9)
        p = np.exp(s - s.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        y = self.merge(p @ v)
        self.cache = x, q, k, v, p, y, c
        return y @ Wo
    def backward(self, dout):
        Wqkv, Wo = self.params
        x, q, k, v, p, y, c = self.cache
        self.grads[1][...] = np.tensordot(y, dout, ((0, 1), (0, 1)))
        dy = self.split(dout @ Wo.T)
        dp = dy @ v.swapaxes(2, 3)
        dv = p.swapaxes(2, 3) @ dy
        ds = p * (dp - (dp * p).sum(-1, keepdims=True))
        dq = ds @ k * c
        dk = ds.swapaxes(2, 3) @ q * c
        dqkv = np.concatenate([self.merge(g) for g in (dq, dk, dv)], axis=2)
        self.grads[0][...] = np.tensordot(x, dqkv, ((0, 1), (0, 1)))
        return dqkv @ Wqkv.T
''', 'CausalSelfAttention(0.6*r(4,12), r(4,4), 2), (r(4,3,4),)')
bug('wrong-reshape', 'causal-heads', 'causal-self-attention', 'dy = self.split(dout @ Wo.T) => dy = (dout @ Wo.T).reshape(y.shape[0], self.h, y.shape[1], -1)')

add('attention-weights', '''
class AttentionSum:
    """ hs (N, T, H) weighted by a (N, T), as in book 2 chapter 8 """
    def forward(self, hs, a):
        N, T, H = hs.shape
        ar = a.reshape(N, T, 1).repeat(H, axis=2)
        t = hs * ar
        self.cache = (hs, ar)
        return np.sum(t, axis=1)
    def backward(self, dc):
        hs, ar = self.cache
        N, T, H = hs.shape
        dt = dc.reshape(N, 1, H).repeat(T, axis=1)
        dar = dt * hs
        dhs = dt * ar
        da = np.sum(dar, axis=2)
        return dhs, da
''', 'AttentionSum(), (r(4,5,3), r(4,5))', right=False)
bug('ignores-upstream', 'attention-weights-dhs', 'attention-weights', 'dhs = dt * ar => dhs = ar', 'dar = dt * hs => dar = hs')
bug('stale-cache', 'attention-weights-t', 'attention-weights', 'self.cache = (hs, ar) => self.cache = (t, ar)')

# ------------------------------------------------------------------ small models
add('residual', '''
class ResidualBlock:
    def __init__(self, W1, W2):
        self.params = [W1, W2]
        self.grads = [np.zeros_like(W1), np.zeros_like(W2)]
    def forward(self, x):
        W1, W2 = self.params
        h = np.tanh(x @ W1)
        self.acts = [x, h]
        return x + h @ W2
    def backward(self, dout):
        W1, W2 = self.params
        x, h = self.acts
        self.grads[1][...] = h.T @ dout
        da = dout @ W2.T * (1 - h * h)
        self.grads[0][...] = x.T @ da
        return dout + da @ W1.T
''', 'ResidualBlock(0.5*r(4,6), r(6,4)), (r(5,4),)')
bug('lost-branch', 'residual-skip', 'residual', 'return dout + da @ W1.T => return da @ W1.T')
bug('factor-2', 'residual-skip-twice', 'residual', 'self.grads[1][...] = h.T @ dout => self.grads[1][...] = h.T @ (dout + dout)')

add('shared-act', '''
class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y
    def backward(self, d):
        return d * (1 - self.y ** 2)

class Encoder:
    def __init__(self, A, B):
        self.params = [A, B]
        self.grads = [np.zeros_like(A), np.zeros_like(B)]
        self.act1, self.act2 = Tanh(), Tanh()
    def forward(self, x):
        A, B = self.params
        self.x = x
        self.h = self.act1.forward(x @ A)
        return self.act2.forward(self.h @ B)
    def backward(self, dout):
        A, B = self.params
        d2 = self.act2.backward(dout)
        self.grads[1][...] = self.h.T @ d2
        d1 = self.act1.backward(d2 @ B.T)
        self.grads[0][...] = self.x.T @ d1
        return d1 @ A.T
''', 'Encoder(0.6*r(5,4), 0.6*r(4,4)), (r(6,5),)')
bug('stale-cache', 'shared-act-one-object', 'shared-act', 'self.act1, self.act2 = Tanh(), Tanh() => self.act1 = self.act2 = Tanh()')

add('tied-autoencoder', '''
class TiedAutoencoder:
    def __init__(self, W):
        self.params = [W]
        self.grads = [np.zeros_like(W)]
    def forward(self, x):
        W, = self.params
        self.x = x
        self.h = 1 / (1 + np.exp(-(x @ W)))
        return self.h @ W.T
    def backward(self, dout):
        W, = self.params
        dW = dout.T @ self.h
        dh = dout @ W
        dz = dh * self.h * (1 - self.h)
        dW = dW + self.x.T @ dz
        self.grads[0][...] = dW
        return dz @ W.T
''', 'TiedAutoencoder(r(5,3)), (r(6,5),)')
bug('lost-branch', 'tied-decoder', 'tied-autoencoder', 'dW = dW + self.x.T => dW = self.x.T')
bug('rebound-grads', 'tied-rebound', 'tied-autoencoder', 'self.grads[0][...] = dW => self.grads = [dW]')

add('deep-mlp', '''
class MLP:
    def __init__(self, sizes, seed):
        rs = np.random.RandomState(seed)
        self.params, self.grads = [], []
        for m, n in zip(sizes[:-1], sizes[1:]):
            self.params += [rs.randn(m, n) / np.sqrt(m), 0.1 * rs.randn(n)]
        self.grads = [np.zeros_like(p) for p in self.params]
        self.L = len(sizes) - 1
    def forward(self, x):
        self.a = [x]
        for l in range(self.L):
            z = self.a[-1] @ self.params[2 * l] + self.params[2 * l + 1]
            self.a.append(1 / (1 + np.exp(-z)) if l < self.L - 1 else z)
        return self.a[-1]
    def backward(self, delta):
        for l in reversed(range(self.L)):
            self.grads[2 * l][...] = self.a[l].T @ delta
            self.grads[2 * l + 1][...] = delta.sum(axis=0)
            delta = delta @ self.params[2 * l].T
            if l > 0:
                delta = delta * self.a[l] * (1 - self.a[l])
        return delta
''', 'MLP([4,6,5,3], 2), (r(7,4),)')
bug('missing-local-derivative', 'deep-mlp-sigmoid', 'deep-mlp', '            if l > 0:\n                delta = delta * self.a[l] * (1 - self.a[l])\n =>')

# ------------------------------------------------------------------ elementwise and structural nodes
add('mul-node', '''
class MulLayer:
    def __init__(self):
        self.x = self.y = None
    def forward(self, x, y):
        self.x, self.y = x, y
        return x * y
    def backward(self, dout):
        dx = dout * self.y
        dy = dout * self.x
        return dx, dy
''', 'MulLayer(), (r(5,3), r(5,3))')
bug('stale-cache', 'mul-node-swapped', 'mul-node', 'dx = dout * self.y => dx = dout * self.x')

add('square', '''
class Square:
    def forward(self, x):
        self.x = x
        return x ** 2
    def backward(self, gy):
        return 2 * self.x * gy
''', 'Square(), (aw(5,4),)', right=False)
bug('factor-half', 'square-x', 'square', '2 * self.x * gy => self.x * gy')

add('sqrt', '''
class Sqrt:
    def forward(self, x):
        self.y = np.sqrt(x)
        return self.y
    def backward(self, gy):
        return gy / (2 * self.y)
''', 'Sqrt(), (u(0.5,3,4,5),)', right=False)
bug('factor-2', 'sqrt-no-half', 'sqrt', '(2 * self.y) => self.y')

add('div', '''
class Div:
    def forward(self, a, b):
        self.a, self.b = a, b
        return a / b
    def backward(self, gy):
        ga = gy / self.b
        gb = gy * (-self.a / self.b ** 2)
        return ga, gb
''', 'Div(), (r(5,4), u(0.6,2,5,4))')
bug('wrong-sign', 'div-denominator', 'div', '(-self.a / self.b ** 2) => (self.a / self.b ** 2)')

add('exp-node', '''
class Exp:
    def forward(self, x):
        self.y = np.exp(x)
        return self.y
    def backward(self, dy):
        return dy * self.y
''', 'Exp(), (r(6,3),)', right=False)
bug('missing-local-derivative', 'exp-node-pass', 'exp-node', 'dy * self.y => dy')
bug('mutates-input', 'exp-node-inplace', 'exp-node', 'return dy * self.y => dy *= self.y\n        return dy')

add('broadcast-add', '''
class AddBias:
    def forward(self, x, b):
        return x + b
    def backward(self, dout):
        return dout, dout.sum(axis=(0, 1))
''', 'AddBias(), (r(4,6,3), r(3))', right=False)
bug('missing-batch-sum', 'broadcast-add-time-only', 'broadcast-add', 'dout.sum(axis=(0, 1)) => dout')

add('transpose-node', '''
class Permute:
    def __init__(self, axes):
        self.axes = axes
    def forward(self, x):
        return x.transpose(self.axes)
    def backward(self, dout):
        return dout.transpose(np.argsort(self.axes))
''', 'Permute((0,2,3,1)), (r(5,2,3,4),)')
bug('missing-transpose', 'transpose-node-same', 'transpose-node', 'np.argsort(self.axes) => self.axes', mk='Permute((0,2,3,1)), (r(5,3,3,3),)')
bug('wrong-reshape', 'transpose-node-reshape', 'transpose-node', 'return x.transpose(self.axes) => self.shape = x.shape\n        return x.transpose(self.axes)', 'dout.transpose(np.argsort(self.axes)) => dout.reshape(self.shape)')

add('concat', '''
class Concat:
    def forward(self, a, b, c):
        self.cuts = np.cumsum([a.shape[1], b.shape[1]])
        return np.concatenate([a, b, c], axis=1)
    def backward(self, dout):
        return tuple(np.split(dout, self.cuts, axis=1))
''', 'Concat(), (r(4,2), r(4,3), r(4,5))')

add('repeat-node', '''
class Repeat:
    def __init__(self, T):
        self.T = T
    def forward(self, h):
        return np.repeat(h[:, None, :], self.T, axis=1)
    def backward(self, dout):
        return dout.sum(axis=1)
''', 'Repeat(5), (r(4,3),)')
bug('divided-by-N', 'repeat-mean', 'repeat-node', 'dout.sum(axis=1) => dout.mean(axis=1)')

add('step', '''
class Step:
    def forward(self, x):
        self.shape = x.shape
        return (x > 0).astype(float)
    def backward(self, dout):
        return np.zeros(self.shape)
''', 'Step(), (aw(5,3),)', right=False)
bug('uninformative', 'step-zero', 'step')
bug('uninformative', 'dropout-everything', 'dropout-given', mk='MaskedDropout(0.7), (r(5,4), np.zeros((5,4), dtype=np.int64))')

add('variance', '''
class RowVariance:
    def forward(self, x):
        self.c = x - x.mean(axis=1, keepdims=True)
        return (self.c ** 2).mean(axis=1)
    def backward(self, dout):
        n = self.c.shape[1]
        return 2 * self.c / n * dout[:, None]
''', 'RowVariance(), (r(4,7),)')
bug('factor-half', 'variance-two', 'variance', '2 * self.c => self.c')

add('glu', '''
class GLU:
    def forward(self, x):
        a, b = np.split(x, 2, axis=-1)
        s = 1 / (1 + np.exp(-b))
        self.cache = {'a': a, 's': s}
        return a * s
    def backward(self, dout):
        a, s = self.cache['a'], self.cache['s']
        return np.concatenate([dout * s, dout * a * s * (1 - s)], axis=-1)
''', 'GLU(), (r(5,8),)')
bug('accumulates', 'glu-inplace-cache', 'glu', "self.cache = {'a': a, 's': s} => self.cache = {'a': a, 's': s}\n        self.total = np.zeros_like(x)", 'return np.concatenate([dout * s, dout * a * s * (1 - s)], axis=-1) => self.total += np.concatenate([dout * s, dout * a * s * (1 - s)], axis=-1)\n        return self.total.copy()')

add('clip', '''
class HardTanh:
    def forward(self, x):
        self.inside = np.abs(x) < 1
        return np.clip(x, -1, 1)
    def backward(self, dout):
        return dout * self.inside
''', 'HardTanh(), (1.3*r(6,5),)')
bug('inverted-mask', 'clip-outside', 'clip', 'dout * self.inside => dout * (1 - self.inside)')

# ------------------------------------------------------------------ function and gradient
add('fn-sigmoid', '''
def sigmoid(x):
    return 1 / (1 + np.exp(-x))
def sigmoid_grad(x):
    return sigmoid(x) * (1 - sigmoid(x))
''', '((sigmoid, sigmoid_grad), (r(7),))')
bug('wrong-local-derivative', 'fn-sigmoid-at-y', 'fn-sigmoid', 'sigmoid(x) * (1 - sigmoid(x)) => sigmoid(sigmoid(x)) * (1 - sigmoid(sigmoid(x)))')
add('fn-half-sigmoid', '''
def f(x):
    return 0.5 * (1 + np.tanh(x / 2))
def df(x):
    return 0.25 * (1 - np.tanh(x / 2) ** 2)
''', '((f, df), (r(6),))', right=False)
bug('factor-2', 'fn-half-sigmoid-chain', 'fn-half-sigmoid', '0.25 * => 0.5 *')
add('fn-cube', '''
def f(x):
    return x ** 3 - np.cos(x)
def df(x):
    return 3 * x ** 2 + np.sin(x)
''', '((f, df), (aw(6),))')
bug('lost-branch', 'fn-cube-term', 'fn-cube', '3 * x ** 2 + np.sin(x) => 3 * x ** 2')
add('fn-cos', '''
def f(x):
    return np.cos(x)
def df(x):
    return -np.sin(x)
''', '((f, df), (r(8),))', right=False)
bug('wrong-sign', 'fn-cos-minus', 'fn-cos', 'return -np.sin(x) => return np.sin(x)')

# ------------------------------------------------------------------ rarer homework
add('weight-norm', '''
class WeightNormDense:
    def __init__(self, V, g):
        self.params = [V, g]
        self.grads = [np.zeros_like(V), np.zeros_like(g)]
    def forward(self, x):
        V, g = self.params
        self.x = x
        self.norm = np.sqrt((V ** 2).sum(axis=0))
        self.U = V / self.norm
        return x @ (g * self.U)
    def backward(self, dout):
        V, g = self.params
        dW = self.x.T @ dout
        dg = (dW * self.U).sum(axis=0)
        self.grads[1][...] = dg
        self.grads[0][...] = g / self.norm * (dW - self.U * dg)
        return dout @ (g * self.U).T
''', 'WeightNormDense(r(5,3), u(0.5,2,3)), (r(6,5),)')
bug('constant-statistics', 'weight-norm-V', 'weight-norm', '(dW - self.U * dg) => dW')

add('neg-sampling', '''
class NegativeSamplingLoss:
    """ first column: the true word, the rest: sampled noise words """
    def __init__(self, W):
        self.params = [W]
        self.grads = [np.zeros_like(W)]
    def forward(self, h, words):
        W = self.params[0]
        self.h, self.words = h, words
        self.Ww = W[words]                                  # (N, S, D)
        score = np.sum(self.Ww * h[:, None, :], axis=2)
        self.label = np.zeros_like(score)
        self.label[:, 0] = 1
        self.p = 1 / (1 + np.exp(-score))
        like = np.where(self.label == 1, self.p, 1 - self.p)
        return -np.log(like).sum() / len(h)
    def backward(self, dout=1):
        ds = (self.p - self.label) * dout / len(self.h)
        dWw = ds[:, :, None] * self.h[:, None, :]
        dh = np.sum(ds[:, :, None] * self.Ww, axis=1)
        self.grads[0][...] = 0
        np.add.at(self.grads[0], self.words, dWw)
        return dh
''', 'NegativeSamplingLoss(r(7,3)), (r(5,3), I([1,2,2,0],[3,1,6,2],[1,0,5,5],[6,4,1,3],[2,1,0,6]))')
bug('repeated-index', 'neg-sampling-scatter', 'neg-sampling', 'np.add.at(self.grads[0], self.words, dWw) => self.grads[0][self.words] += dWw')

add('deconv1d', '''
class ConvTranspose1d:
    def __init__(self, w, stride):
        self.params = [w]                                   # (C, F, K)
        self.grads = [np.zeros_like(w)]
        self.stride = stride
    def forward(self, x):
        w, = self.params
        self.x = x
        C, F, K = w.shape
        N, _, L = x.shape
        out = np.zeros((N, F, (L - 1) * self.stride + K))
        for i in range(L):
            out[:, :, i * self.stride:i * self.stride + K] += np.einsum('nc,cfk->nfk', x[:, :, i], w)
        return out
    def backward(self, dout):
        w, = self.params
        K = w.shape[2]
        dx = np.zeros_like(self.x)
        dw = np.zeros_like(w)
        for i in range(self.x.shape[2]):
            win = dout[:, :, i * self.stride:i * self.stride + K]
            dx[:, :, i] = np.einsum('nfk,cfk->nc', win, w)
            dw += np.einsum('nc,nfk->cfk', self.x[:, :, i], win)
        self.grads[0][...] = dw
        return dx
''', 'ConvTranspose1d(r(3,2,4), 2), (r(5,3,6),)')
bug('flipped-kernel', 'deconv1d-dx', 'deconv1d', "'nfk,cfk->nc', win, w) => 'nfk,cfk->nc', win, w[:, :, ::-1])")
bug('lost-branch', 'deconv1d-dw', 'deconv1d', 'dw += => dw =')

add('depthwise', '''
class DepthwiseConv:
    def __init__(self, w):
        self.params = [w]
        self.grads = [np.zeros_like(w)]
    def forward(self, x):
        w = self.params[0]
        k = w.shape[1]
        H, W = x.shape[2] - k + 1, x.shape[3] - k + 1
        self.x = x
        return sum(x[:, :, i:i + H, j:j + W] * w[:, i, j][:, None, None] for i in range(k) for j in range(k))
    def backward(self, dout):
        w = self.params[0]
        H, W = dout.shape[2:]
        dx = np.zeros_like(self.x)
        for i in range(w.shape[1]):
            for j in range(w.shape[2]):
                self.grads[0][:, i, j] = (self.x[:, :, i:i + H, j:j + W] * dout).sum(axis=(0, 2, 3))
                dx[:, :, i:i + H, j:j + W] += dout * w[:, i, j][:, None, None]
        return dx
''', 'DepthwiseConv(r(3,3,3)), (r(4,3,6,5),)')
bug('overlap-overwritten', 'depthwise-dx', 'depthwise', 'j:j + W] += dout => j:j + W] = dout')

add('upsample', '''
class NearestUpsample:
    def __init__(self, fh, fw):
        self.f = fh, fw
    def forward(self, x):
        self.shape = x.shape
        return x.repeat(self.f[0], axis=2).repeat(self.f[1], axis=3)
    def backward(self, dout):
        N, C, H, W = self.shape
        fh, fw = self.f
        return dout.reshape(N, C, H, fh, W, fw).sum(axis=(3, 5))
''', 'NearestUpsample(2, 3), (r(4,2,3,5),)')
bug('wrong-reshape', 'upsample-blocks', 'upsample', 'dout.reshape(N, C, H, fh, W, fw).sum(axis=(3, 5)) => dout.reshape(N, C, fh, H, fw, W).sum(axis=(2, 4))')
bug('divided-by-N', 'upsample-mean', 'upsample', '.sum(axis=(3, 5)) => .mean(axis=(3, 5))')

add('cosine', '''
class CosineSimilarity:
    def forward(self, a, b):
        self.a, self.b = a, b
        self.na = np.linalg.norm(a, axis=1)
        self.nb = np.linalg.norm(b, axis=1)
        self.s = np.einsum('ij,ij->i', a, b) / (self.na * self.nb)
        return self.s
    def backward(self, dout):
        a, b, na, nb = self.a, self.b, self.na[:, None], self.nb[:, None]
        c, d = self.s[:, None], dout[:, None]
        da = d * (b / (na * nb) - c * a / na ** 2)
        db = d * (a / (na * nb) - c * b / nb ** 2)
        return da, db
''', 'CosineSimilarity(), (r(6,4), r(6,4))')
bug('not-returned', 'cosine-only-a', 'cosine', 'return da, db => return da')

add('highway', '''
class Highway:
    def __init__(self, Wh, Wt, bt):
        self.params = [Wh, Wt, bt]
        self.grads = [np.zeros_like(p) for p in self.params]
    def forward(self, x):
        Wh, Wt, bt = self.params
        h = np.tanh(x @ Wh)
        t = 1 / (1 + np.exp(-(x @ Wt + bt)))
        self.cache = (x, h, t)
        return t * h + (1 - t) * x
    def backward(self, dout):
        Wh, Wt, bt = self.params
        x, h, t = self.cache
        dh = dout * t * (1 - h ** 2)
        dt = dout * (h - x) * t * (1 - t)
        self.grads[0][...] = x.T @ dh
        self.grads[1][...] = x.T @ dt
        self.grads[2][...] = dt.sum(axis=0)
        return dh @ Wh.T + dt @ Wt.T + dout * (1 - t)
''', 'Highway(0.6*r(4,4), 0.6*r(4,4), r(4)), (r(6,4),)')
bug('lost-branch', 'highway-carry', 'highway', ' + dout * (1 - t)\n => \n')
bug('wrong-local-derivative', 'highway-gate', 'highway', '(h - x) * t * (1 - t) => (h - x) * t')
bug('stale-cache', 'highway-h-for-x', 'highway', 'self.grads[1][...] = x.T @ dt => self.grads[1][...] = h.T @ dt')
bug(('lost-branch', 'not-written'), 'p-highway', 'highway', ' + dout * (1 - t)\n => \n', '        self.grads[2][...] = dt.sum(axis=0)\n =>')


add('distance', '''
class PairDistance:
    def forward(self, a, b):
        self.d = a - b
        self.y = np.sqrt((self.d ** 2).sum(axis=1))
        return self.y
    def backward(self, dout):
        g = (dout / self.y)[:, None] * self.d
        return g, -g
''', 'PairDistance(), (r(6,3), r(6,3))')

# ------------------------------------------------------------------ two mistakes at once
P = bug
P(('divided-by-N', 'missing-transpose'), 'p-affine', 'affine', 'np.sum(dout, axis=0) => np.mean(dout, axis=0)', 'W.T => W', mk='Affine(r(4,4), r(4)), (r(6,4),)')
P(('overlap-overwritten', 'summed-too-far'), 'p-conv-naive-a', 'conv-naive', 'j * s:j * s + WW] += => j * s:j * s + WW] =', 'dout.sum(axis=(0, 2, 3)) => dout.sum()')
P(('flipped-kernel', 'wrong-sign'), 'p-conv-naive-b', 'conv-naive', 'np.tensordot(d, w, axes => np.tensordot(d, w[:, :, ::-1, ::-1], axes', 'dw += => dw -=')
P(('missing-transpose', 'overlap-overwritten'), 'p-conv-im2col', 'conv-im2col', '.transpose(1, 0).reshape(FN, C, k, k) => .transpose(1, 0).reshape(FN, C, k, k).transpose(0, 1, 3, 2)', 'z:z + s * ow:s] += => z:z + s * ow:s] =')
P(('missing-batch-sum', 'flipped-kernel'), 'p-conv1d', 'conv1d', 'np.zeros_like(bias)] => np.zeros((len(bias), 6))]', 'dout.sum(axis=(0, 2)) => dout.sum(axis=0)', 'for j in range(k)], axis=2) => for j in range(k)][::-1], axis=2)')
P(('missing-batch-sum', 'wrong-reshape'), 'p-affine-op', 'affine-op', 'dout.sum(axis=0) => dout', '.reshape(x.shape)\n => .reshape(x.shape, order="F")\n')
P(('summed-too-far', 'inverted-mask'), 'p-prelu', 'prelu', '.sum(axis=(0, 2, 3)) => .sum()', 'return dout * np.where(x > 0, 1, a) => return dout * np.where(x > 0, a, 1)')
P(('constant-statistics', 'summed-too-far'), 'p-layernorm', 'layernorm', '(d - d.mean(-1, keepdims=True) - self.xhat * (d * self.xhat).mean(-1, keepdims=True)) => d', '(dy * self.xhat).sum(axis=ax) => (dy * self.xhat).sum()')
P(('stale-cache', 'divided-by-N'), 'p-batchnorm', 'batchnorm', 'np.sum(self.xn * dout, axis=0) => np.sum(x_in * dout, axis=0)', 'dbeta = dout.sum(axis=0) => dbeta = dout.mean(axis=0)\n        x_in = self.x', 'mu = x.mean(axis=0) => self.x = x\n        mu = x.mean(axis=0)')
P(('constant-statistics', 'wrong-sign'), 'p-groupnorm', 'groupnorm', 'd - d.sum(axis=2, keepdims=True) - xn => d - xn', 'self.grads[1][...] = dout.sum => self.grads[1][...] = -dout.sum')
P(('scaled-by-N', 'wrong-penalty'), 'p-svm', 'svm', 'ds *= dout / n => ds *= dout', 'dout * 2 * self.reg * W => dout * self.reg * W')
P(('missing-label-subtraction', 'wrong-penalty'), 'p-softmax-reg', 'softmax-reg', '        D[range(len(self.y)), self.y] -= 1\n =>', ' + self.lam * self.W * dout =>')
P(('missing-mask', 'wrong-penalty'), 'p-two-layer', 'two-layer', '        dh[h <= 0] = 0\n =>', 'h.T.dot(ds) + 2 * self.reg * W2 * dout => h.T.dot(ds) - 2 * self.reg * W2 * dout')
P(('missing-label-subtraction', 'missing-mask'), 'p-time-ce', 'time-ce', '        dx[np.arange(N * T), ts] -= 1\n =>', '        dx *= mask[:, np.newaxis]\n =>')
P(('stale-cache', 'missing-transpose'), 'p-rnn-cell-a', 'rnn-cell', 'np.dot(h_prev.T, dt) => np.dot(h_next.T, dt)', 'np.dot(dt, Wh.T) => np.dot(dt, Wh)')
P(('not-returned', 'wrong-sign'), 'p-rnn-cell-b', 'rnn-cell', 'return dx, dh_prev => return dx', 'dWx = np.dot => dWx = -np.dot')
P(('stale-cache', 'lost-branch'), 'p-time-rnn', 'time-rnn', 'dWh += self.hs[t].T => dWh += self.hs[t + 1].T', 'db += da => db = da')
P(('not-returned', 'wrong-local-derivative'), 'p-lstm-cell', 'lstm-cell', 'return dA @ Wx.T, dA @ Wh.T, dc => return dA @ Wx.T, dA @ Wh.T', 'dg = ds * i * (1 - g ** 2) => dg = ds * i * g * (1 - g)')
P(('missing-transpose', 'constant-statistics'), 'p-sdpa', 'sdpa', 'dv = a.transpose(0, 2, 1) @ dout => dv = a @ dout', '(da - (a * da).sum(-1, keepdims=True)) => da', mk='ScaledDotProductAttention(), (r(4,5,3), r(4,5,3), r(4,5,2))')
P(('not-written', 'wrong-reshape'), 'p-causal', 'causal-self-attention', '        self.grads[1][...] = np.tensordot(y, dout, ((0, 1), (0, 1)))\n =>', 'dy = self.split(dout @ Wo.T) => dy = (dout @ Wo.T).reshape(y.shape[0], self.h, y.shape[1], -1)')
P(('repeated-index', 'not-written'), 'p-tokens-a', 'pos-embedding', 'np.add.at(dE, self.ids, dout) => dE[self.ids] = dout', '        dP[:dout.shape[1]] = dout.sum(axis=0)\n =>')
P(('repeated-index', 'divided-by-N'), 'p-tokens-b', 'pos-embedding', 'np.add.at(dE, self.ids, dout) => dE[self.ids] += dout', 'dout.sum(axis=0) => dout.mean(axis=0)')
P(('dropout-scale', 'missing-transpose'), 'p-drop-a', 'dropout-dense', 'dh = dout * self.keep / (1 - self.ratio) => dh = dout * self.keep', 'self.params[0].T => self.params[0]', mk='DenseDrop(r(6,6), r(6), 0.3), (r(5,6),)')
P(('dropout-scale', 'rebound-grads'), 'p-drop-b', 'dropout-dense', 'dh = dout * self.keep / (1 - self.ratio) => dh = dout * self.keep / (1 - self.ratio) ** 2', 'self.grads[1][...] = dh => self.grads[1] = dh')
P(('inverted-mask', 'accumulates'), 'p-affine-relu-a', 'affine-relu', '(self.z > 0) => (self.z <= 0)', 'self.dW[:] = => self.dW +=')
P(('missing-local-derivative', 'rebound-grads'), 'p-tanh-a', 'tanh-dense', 'dout * (1 - h ** 2) => dout', 'self.grads[0][...] = x => self.grads[0] = x')
P(('wrong-local-derivative', 'accumulates'), 'p-tanh-b', 'tanh-dense', '(1 - h ** 2) => h * (1 - h)', 'self.grads[1][...] = => self.grads[1] +=')
P(('mutates-input', 'summed-too-far'), 'p-tanh-c', 'tanh-dense', 'da = dout * (1 - h ** 2) => dout *= 1 - h ** 2\n        da = dout', 'da.sum(axis=0) => da.sum()')
P(('factor-half', 'wrong-sign'), 'p-mse-a', 'mse', '2 * dout => dout', 'return g, -g => return g, g')
P(('scaled-by-N', 'not-returned'), 'p-mse-b', 'mse', ' / self.diff.size =>', 'return g, -g => return g')
P(('factor-half', 'lost-branch'), 'p-triplet', 'triplet', 'dp = -2 * k => dp = -k', '2 * k * (a - p) - 2 * k * (a - n)\n => 2 * k * (a - p)\n')
P(('factor-2', 'lost-branch'), 'p-residual', 'residual', 'self.grads[1][...] = h.T @ dout => self.grads[1][...] = h.T @ (dout + dout)', 'return dout + da @ W1.T => return da @ W1.T')
P(('factor-2', 'wrong-sign'), 'p-distance', 'distance', '[:, None] * self.d => [:, None] * 2 * self.d', 'return g, -g => return g, g')
P(('missing-local-derivative', 'accumulates'), 'p-deep-mlp', 'deep-mlp', '            if l > 0:\n                delta = delta * self.a[l] * (1 - self.a[l])\n =>', 'self.grads[2 * l][...] = self => self.grads[2 * l] += self')
P(('ignores-upstream', 'missing-label-subtraction'), 'p-softmax-loss', 'softmax-loss', '        dx *= dout\n =>', '        dx[np.arange(batch_size), self.t] -= 1\n =>')
P(('cross-sample', 'divided-by-N'), 'p-layernorm-b', 'layernorm', 'm = x.mean(-1, keepdims=True) => m = x.mean(0, keepdims=True)', 'v = x.var(-1, keepdims=True) => v = x.var(0, keepdims=True)', 'self.grads[1][...] = dy.sum => self.grads[1][...] = dy.mean')
P(('factor-half', 'wrong-penalty'), 'p-lasso', 'lasso', 'g = 2 * self.pred => g = self.pred', '+ self.lam * np.sign(w) => - self.lam * np.sign(w)')

# ------------------------------------------------------------------ keep the counts even
_DROP = set('''swish-y-for-x svm-correct-class huber-all-quadratic activity-penalty-two softmax-op-y-1-y log-softmax-lp mul-node-swapped
rmsnorm-const softmax-op-diag groupnorm-mean-const half-squares-mean bce-twice bn-eval-beta conv1d-bias sigmoid-local-only relu-keep leaky-swapped
clip-outside swish-one-term triplet-anchor gru-cell-highway fn-cube-term linear3d-first-step softplus-pass dropout-bwd-unmasked max-last-broadcast
affine-relu-nomask conv-im2col-kernel-axes rnn-cell-Wh sdpa-dv lstm-cell-no-dc time-ce-no-mean huber-no-mean bag-mean bilinear-a-for-b
batchnorm-xc-for-xn lstm-cell-i-o affine-relu-db prelu-slope batchnorm-gamma bce-extra-sigmoid conv-im2col-dW sigmoid-y-1 mse-target triplet-negative
tanh-dense-both gap-ones rnn-cell-only-dx tied-rebound softmax-reg-P conv-im2col-col2im gather-rows dropout-everything huber-regions
tanh-dense-h-for-x conv-naive-dw gelu-product
affine sigmoid softplus swish elu hinge-binary bilinear mul-node div fn-cube affine-relu leaky unit-rows variance avgpool log-softmax
rnn-cell activity-penalty distance
gap tanh-dense embedding relu residual affine-op two-layer bn-eval
repeat-mean affine-db-mean conv-naive-flip tied-decoder fn-sigmoid-at-y
embedding-buffered avgpool-windows transpose-node-reshape unit-rows-norm affine-op-two-of-three
p-tokens-b p-mse-b'''.split())
assert not _DROP - {c[1] for c in CASES}, _DROP - {c[1] for c in CASES}
CASES = [c for c in CASES if c[1] not in _DROP]
