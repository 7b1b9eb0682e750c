"""Dense layers, activations, losses, norms, nodes, small blocks; B is the set of mistakes that a factory plants."""
import numpy as np

CASES = []
PAIRFLAGS = {}


def R(seed):
    return np.random.default_rng(seed)


def away(x, gap=0.15, at=0.0):
    """push entries off a kink"""
    d = x - at
    return at + np.where(d >= 0, d + gap, d - gap)


def sig(z):
    return 1.0 / (1.0 + np.exp(-z))


def softmax(z, axis=-1):
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


# ---------------------------------------------------------------- dense
def dense(B):
    r = R(1)
    N = 6

    class Linear:
        def __init__(self):
            self.W = r.normal(size=(4, 3))
            self.b = r.normal(size=3)
            self.params = [self.W, self.b]
            self.grads = [np.zeros_like(self.W), np.zeros((N, 3)) if 'batch' in B else np.zeros_like(self.b)]

        def forward(self, x):
            self.x = x
            return x @ self.W + self.b

        def backward(self, dout):
            dx = dout @ self.W.T
            dW = self.x.T @ dout
            db = dout.sum(axis=0)
            if 'avg' in B:
                db = dout.mean(axis=0)
            if 'far' in B:
                db = dout.sum()
            if 'batch' in B:
                db = dout
            if 'sign' in B:
                dW = -dW
            if 'dxsign' in B:
                dx = -dx
            if 'dW2' in B:
                dW = 2 * dW
            if 'rebind' in B:
                self.grads = [dW, db]
                return dx
            if 'rebind1' in B:
                self.grads[0] = dW
                self.grads[1][...] = db
                return dx
            if 'acc' in B:
                self.grads[0] += dW
                self.grads[1] += db
                return dx
            if 'nowrite' not in B:
                self.grads[1][...] = db
            self.grads[0][...] = dW
            if 'nowrite' in B:
                db = self.grads[1].copy() + db   # computed, stays local
            if 'decay' in B:
                self.W -= 0.01 * dW
            return dx

    return Linear(), (r.normal(size=(N, 4)),)


class Node:
    """little base class of one student"""
    params = None

    def __init__(self, *ps):
        self.params = list(ps)
        self.grads = [np.zeros_like(p) for p in ps]
        self.cache = {}

    def __call__(self, *a):
        return self.forward(*a)


def dense_oi(B):
    """(out, in) weights, square, cache dict"""
    r = R(2)

    class FC(Node):
        def forward(self, x):
            self.cache['inp'] = x
            return np.einsum('oi,ni->no', self.params[0], x) + self.params[1]

        def backward(self, dout):
            W, _ = self.params
            x = self.cache['inp']
            self.grads[0][...] = np.einsum('no,ni->io' if 'dWT' in B else 'no,ni->oi', dout, x)
            self.grads[1][...] = np.einsum('no->o', dout) / (len(x) if 'avg' in B else 1)
            return np.einsum('no,io->ni' if 'T' in B else 'no,oi->ni', dout, W)

    return FC(r.normal(size=(4, 4)), r.normal(size=4)), (r.normal(size=(7, 4)),)


def dense_time(B):
    """time-distributed dense, (T, N, D) time-major, loops"""
    r = R(3)

    class TimeAffine:
        def __init__(self):
            self.params = [r.normal(size=(3, 5)), r.normal(size=(5,))]
            self.grads = [np.zeros((3, 5)), np.zeros((5,))]

        def forward(self, xs):
            W, b = self.params
            self.xs = xs
            return np.stack([x.dot(W) + b for x in xs])

        def backward(self, dout):
            W, b = self.params
            dW, db = np.zeros_like(W), np.zeros_like(b)
            dxs = []
            T = len(self.xs)
            for t in range(T):
                g = dout[t]
                dxs.append(g.dot(W.T))
                x = self.xs[t - 1] if 'stale' in B else self.xs[t]
                if 'lost' in B:
                    dW = x.T.dot(g)
                else:
                    dW += x.T.dot(g)
                if 'far' in B:
                    db += g.sum()
                else:
                    db += g.sum(0)
            self.grads[0][...] = dW
            self.grads[1][...] = db
            return np.array(dxs)

    return TimeAffine(), (r.normal(size=(4, 6, 3)),)


def dense_relu(B):
    """fused Affine + ReLU, W kept (out,in)"""
    r = R(4)

    class DenseReLU:
        def __init__(self):
            self.weight = r.normal(size=(5, 4))
            self.bias = r.normal(size=(1, 5)) * .3
            self.params = [self.weight, self.bias]
            self.grads = [np.zeros_like(p) for p in self.params]

        def forward(self, x):
            self.x = x
            self.z = x @ self.weight.T + self.bias
            return np.maximum(self.z, 0)

        def backward(self, dout):
            if 'nomask' in B:
                dz = dout
            elif 'inv' in B:
                dz = dout * (self.z <= 0)
            else:
                dz = np.where(self.z > 0, dout, 0.)
            self.grads[0][...] = dz.T @ self.x * (-1 if 'sign' in B else 1)
            if 'avg' in B:
                self.grads[1][...] = dz.mean(0, keepdims=True)
            elif 'far' in B:
                self.grads[1][...] = dz.sum(keepdims=True)
            elif 'nowrite' not in B:
                self.grads[1][...] = dz.sum(0, keepdims=True)
            if 'dxnomask' in B:
                dz = dout
            return dz @ self.weight

    return DenseReLU(), (r.normal(size=(6, 4)),)


def dense_tanh(B):
    r = R(5)

    class Hidden:
        def __init__(self, n_in, n_out):
            self.params = [r.normal(size=(n_in, n_out)) * .6, r.normal(size=n_out) * .4]
            self.grads = [np.zeros_like(p) for p in self.params]
            self.tape = []

        def forward(self, x):
            a = np.tanh(x @ self.params[0] + self.params[1])
            self.tape = [x, a]
            return a

        def backward(self, delta):
            x, a = self.tape
            if 'noder' in B:
                dz = delta * 1.0
            elif 'wrong' in B:
                dz = delta * (1 - a)
            else:
                dz = delta * (1 - a ** 2)
            np.matmul(x.T, dz, out=self.grads[0])
            self.grads[1][:] = dz.sum(0)
            if 'sign' in B:
                self.grads[1][:] *= -1
            if 'half' in B:
                self.grads[0][:] *= .5
            return dz @ self.params[0].T

    return Hidden(4, 3), (r.normal(size=(7, 4)),)


def dense_sigmoid_l2(B):
    """regularised logistic regression: mean BCE + 0.5*lam*|w|^2"""
    r = R(6)
    lam = 0.37

    class LogReg:
        def __init__(self):
            self.w = r.normal(size=5)
            self.c = np.array([0.3])
            self.params = [self.w, self.c]
            self.grads = [np.zeros(5), np.zeros(1)]

        def forward(self, X, t):
            self.X, self.t = X, t
            self.p = sig(X @ self.w + self.c)
            nll = -(t * np.log(self.p) + (1 - t) * np.log(1 - self.p)).mean()
            return float(nll + .5 * lam * np.sum(self.w ** 2))

        def backward(self, dout=1.0):
            N = len(self.t)
            d = (self.p - self.t) / N
            if 'N' in B:
                d = d * N
            if 'NN' in B:
                d = d / N
            reg = lam * self.w
            if 'nopen' in B:
                reg = 0 * reg
            if 'pen2' in B:
                reg = 2 * reg
            if 'penneg' in B:
                reg = -reg
            self.grads[0][...] = dout * (self.X.T @ d + reg)
            if 'biasavg' in B:
                self.grads[1][...] = dout * d.mean()
            elif 'biassign' in B:
                self.grads[1][...] = -dout * d.sum()
            else:
                self.grads[1][...] = dout * d.sum()
            return dout * np.outer(d, self.w), None

    t = np.array([0, 1, 1, 0, 1, 0, 1], dtype=np.int64)
    return LogReg(), (r.normal(size=(7, 5)), t)


def ridge(B):
    """linear regression, sum of squares + lam |W|^2 + mu |W|_1"""
    r = R(7)
    lam, mu = 1.6, 2.3

    class ElasticNet:
        def __init__(self):
            self.params = [away(r.normal(size=(3, 2)), .2)]
            self.grads = [np.zeros((3, 2))]

        def forward(self, x, y):
            W, = self.params
            self.x = x
            self.res = x @ W - y
            return float((self.res ** 2).sum() + lam * (W ** 2).sum() + mu * np.abs(W).sum())

        def backward(self):
            W, = self.params
            e = 2 * self.res
            if 'half' in B:
                e = self.res
            if 'halfpen' in B:
                pen = lam * W + mu * np.sign(W)
            elif 'nol1' in B:
                pen = 2 * lam * W
            elif 'l1sign' in B:
                pen = 2 * lam * W - mu * np.sign(W)
            else:
                pen = 2 * lam * W + mu * np.sign(W)
            self.grads[0][...] = self.x.T @ e + pen
            dy = e if 'dysign' in B else -e
            return e @ W.T, dy

    return ElasticNet(), (r.normal(size=(6, 3)), r.normal(size=(6, 2)))


# ---------------------------------------------------------------- activations
def relu(B):
    r = R(10)

    class Rectifier:
        def forward(self, x):
            self.m = x > 0
            if 'mut' in B:
                x[x < 0] = 0
                return x
            return x * self.m

        def backward(self, dout):
            if 'inplace' in B:
                dout[~self.m] = 0
                return dout
            if 'inv' in B:
                return dout * ~self.m
            return dout * self.m

    x = away(r.normal(size=(5, 6)))
    if 'dead' in B:
        x = -np.abs(x)
    return Rectifier(), (x,)


def leaky(B):
    r = R(11)

    class LReLU:
        alpha = 0.1

        def forward(self, x):
            self.neg = x < 0
            out = x.copy()
            out[self.neg] *= self.alpha
            return out

        def backward(self, dout):
            dx = dout.copy()
            if 'inv' in B:
                dx[~self.neg] *= self.alpha
            else:
                dx[self.neg] *= self.alpha
            return dx

    return LReLU(), (away(r.normal(size=(6, 5))),)


def prelu(B):
    r = R(12)
    N, C = 6, 4

    class PReLU:
        def __init__(self):
            self.a = np.array([.1, .25, .4, .15])
            self.params = [self.a]
            self.grads = [np.zeros((N, C)) if 'batch' in B else np.zeros(C)]

        def forward(self, x):
            self.x = x
            return np.where(x > 0, x, self.a * x)

        def backward(self, dout):
            x = self.x
            g = dout * np.where(x > 0, 0, x)
            if 'nomask' in B:
                g = dout * x
            if 'ainv' in B:
                g = dout * np.where(x > 0, x, 0)
            if 'batch' in B:
                da = g
            elif 'far' in B:
                da = g.sum()
            elif 'avg' in B:
                da = g.sum(0) / len(x)
            else:
                da = g.sum(0)
            if 'acc' in B:
                self.grads[0] += da
            elif 'nowrite' not in B:
                self.grads[0][...] = da
            if 'dxinv' in B:
                return dout * np.where(x > 0, self.a, 1)
            return dout * np.where(x > 0, 1, self.a)

    return PReLU(), (away(r.normal(size=(N, C))),)


def sigmoid(B):
    r = R(13)

    class Logistic(Node):
        def forward(self, x):
            self.y = sig(x)
            return self.y

        def backward(self, dout):
            y = self.y
            if 'up' in B:
                return y * (1 - y)
            if 'noder' in B:
                return dout
            if 'y' in B:
                return dout * y * y
            if 'aty' in B:
                s = sig(y)
                return dout * s * (1 - s)
            return dout * y * (1 - y)

    return Logistic(), (r.normal(size=(5, 4)) * 1.5,)


def tanh_pure(B):
    def f(x):
        return np.tanh(x)

    def df(x):
        if 'wrong' in B:
            return 1 - x ** 2
        return 1 - np.tanh(x) ** 2
    return (f, df), (R(14).normal(size=(5, 3)),)


def softplus(B):
    class SoftPlus:
        def forward(self, x):
            self.x = x
            self.y = np.log1p(np.exp(x))
            return self.y

        def backward(self, dout):
            if 'aty' in B:
                return dout * sig(self.y)
            if 'neg' in B:
                return dout * sig(-self.x)
            return dout * sig(self.x)
    return SoftPlus(), (R(15).normal(size=(6, 4)),)


def swish(B):
    r = R(16)

    class Swish(Node):
        """x * sigmoid(beta x), one beta per feature"""
        def forward(self, x):
            beta, = self.params
            s = sig(beta * x)
            self.cache.update(x=x, s=s)
            return x * s

        def backward(self, dout):
            beta, = self.params
            x, s = self.cache['x'], self.cache['s']
            gb = dout * x * x * s * (1 - s)
            if 'far' in B:
                self.grads[0][...] = gb.sum()
            elif 'sign' in B:
                self.grads[0][...] = -gb.sum(0)
            else:
                self.grads[0][...] = gb.sum(0)
            if 'lost' in B:
                return dout * s
            if 'lost2' in B:
                return dout * x * beta * s * (1 - s)
            return dout * (s + x * beta * s * (1 - s))
    return Swish(np.array([.7, 1.0, 1.6, .5])), (r.normal(size=(6, 4)),)


def gelu_pure(B):
    k = np.sqrt(2 / np.pi)

    def gelu(x):
        return .5 * x * (1 + np.tanh(k * (x + .044715 * x ** 3)))

    def gelu_grad(x):
        t = np.tanh(k * (x + .044715 * x ** 3))
        inner = k * (1 + 3 * .044715 * x ** 2)
        if 'lost' in B:
            return .5 * (1 + t)
        return .5 * (1 + t) + .5 * x * (1 - t * t) * inner
    return (gelu, gelu_grad), (R(17).normal(size=(5, 4)),)


def elu(B):
    class ELU:
        def __init__(self, alpha=1.3):
            self.alpha = alpha

        def forward(self, x):
            self.x = x
            self.out = np.where(x > 0, x, self.alpha * (np.exp(np.minimum(x, 0)) - 1))
            return self.out

        def backward(self, dout):
            if 'aty' in B:
                loc = self.alpha * np.exp(self.out)
            else:
                loc = self.out + self.alpha
            if 'inv' in B:
                return dout * np.where(self.x > 0, loc, 1.0)
            return dout * np.where(self.x > 0, 1.0, loc)
    return ELU(), (away(R(18).normal(size=(7, 4))),)


def hardtanh(B):
    class Clip:
        def forward(self, x):
            self.inside = (x > -1) & (x < 1)
            return np.clip(x, -1, 1)

        def backward(self, dout):
            if 'inv' in B:
                return dout * (1 - self.inside)
            return dout * self.inside
    x = R(19).uniform(-2, 2, size=(6, 5))
    x = np.where(np.abs(np.abs(x) - 1) < .1, x * 1.3, x)
    return Clip(), (x,)


def softmax_layer(B):
    class Softmax:
        def forward(self, x):
            if 'cross' in B:
                e = np.exp(x - x.max())
                self.y = e / e.sum()
            elif 'cross0' in B:
                self.y = softmax(x, axis=0)
            else:
                self.y = softmax(x, axis=1)
            return self.y

        def backward(self, dout):
            y = self.y
            if 'mut' in B:
                dout *= y
                return dout - y * dout.sum(1, keepdims=True)
            if 'const' in B:
                return dout * y
            dx = np.empty_like(y)
            for i in range(len(y)):
                J = np.diag(y[i]) - np.outer(y[i], y[i])
                dx[i] = J @ dout[i]
            return dx
    return Softmax(), (R(20).normal(size=(5, 4)),)


def maxout(B):
    r = R(21)

    class Maxout:
        def __init__(self, d, m, k):
            self.m, self.k = m, k
            self.W = r.normal(size=(d, m * k))
            self.params, self.grads = [self.W], [np.zeros_like(self.W)]

        def forward(self, x):
            self.x = x
            z = (x @ self.W).reshape(len(x), self.m, self.k)
            self.hit = z == z.max(2, keepdims=True)
            return z.max(2)

        def backward(self, dout):
            n = len(dout)
            if 'nomask' in B:
                dz = np.repeat(dout[:, :, None], self.k, 2)
            elif 'inv' in B:
                dz = dout[:, :, None] * ~self.hit
            else:
                dz = dout[:, :, None] * self.hit
            if 'reshape' in B:
                dz = dz.transpose(0, 2, 1)
            dz = dz.reshape(n, -1)
            self.grads[0][...] = self.x.T @ dz
            if 'dx2' in B:
                dz = 2 * dz
            return dz @ self.W.T
    return Maxout(4, 3, 2), (r.normal(size=(6, 4)),)


def glu(B):
    """gated linear unit with two weight matrices: (xV) * sigmoid(xU + c)"""
    r = R(22)

    class Gated:
        def __init__(self):
            self.V, self.U, self.c = r.normal(size=(4, 3)), r.normal(size=(4, 3)), r.normal(size=3)
            self.params = [self.V, self.U, self.c]
            self.grads = [np.zeros_like(p) for p in self.params]

        def forward(self, x):
            self.x = x
            self.h = x @ self.V
            self.g = sig(x @ self.U + self.c)
            return self.h * self.g

        def backward(self, dout):
            h, g, x = self.h, self.g, self.x
            dh = dout * g
            dg = dout * h
            ds = dg * g * (1 - g)
            if 'noder' in B:
                ds = dg
            if 'wrong' in B:
                ds = dg * g * g
            if 'stale' in B:
                ds = dout * g * g * (1 - g)      # g where h belongs
            self.grads[0][...] = x.T @ dh
            if 'Vsign' in B:
                self.grads[0][...] *= -1
            self.grads[1][...] = x.T @ ds
            if 'cavg' in B:
                self.grads[2][...] = ds.mean(0)
            elif 'cno' in B:
                pass
            else:
                self.grads[2][...] = ds.sum(0)
            if 'lost' in B:
                return dh @ self.V.T
            return dh @ self.V.T + ds @ self.U.T
    return Gated(), (r.normal(size=(6, 4)),)


# ---------------------------------------------------------------- losses
def ce_labels(B):
    class SoftmaxCrossEntropy:
        def forward(self, x, t):
            self.t = t
            self.p = softmax(x)
            n = np.arange(len(t))
            return float(-np.log(self.p[n, t]).mean())

        def backward(self, dout=1.0):
            N = len(self.t)
            d = self.p.copy()
            if 'mut' in B:
                pass
            if 'nolabel' not in B:
                d[np.arange(N), self.t] -= 1
            if 'sign' in B:
                d = -d
            if 'N' not in B:
                d /= N
            if 'NN' in B:
                d /= N
            if 'up' in B:
                return d, None
            return d * dout, None
    return SoftmaxCrossEntropy(), (R(30).normal(size=(6, 4)), np.array([0, 3, 1, 1, 2, 0], dtype=np.int64))


def ce_onehot(B):
    """sum over the batch, one-hot, backward() without args"""
    class XEnt:
        def forward(self, x, t):
            self.T = t
            self.y = softmax(x)
            return float(-(t * np.log(self.y)).sum())

        def backward(self):
            if 'nolabel' in B:
                return self.y
            if 'NN' in B:
                return (self.y - self.T) / len(self.T)
            if 'sign' in B:
                return self.T - self.y
            return self.y - self.T

        # targets are data: their gradient is not asked for
    class Wrapped(XEnt):
        def __init__(self, t):
            self.fixed = t

        def forward(self, x):
            return XEnt.forward(self, x, self.fixed)
    t = np.eye(4)[[2, 0, 1, 3, 3, 1, 0]]
    return Wrapped(t), (R(31).normal(size=(7, 4)),)


def linear_ce(B):
    """classifier head: x W + b, label CE (mean), ignore_index = -1"""
    r = R(32)

    class Head:
        ignore = -1

        def __init__(self):
            self.params = [r.normal(size=(3, 5)), r.normal(size=5)]
            self.grads = [np.zeros((3, 5)), np.zeros(5)]

        def forward(self, x, t):
            self.x, self.t = x, t
            self.y = softmax(x @ self.params[0] + self.params[1])
            self.ok = t != self.ignore
            self.n = self.ok.sum()
            s = 0.0
            for i in range(len(t)):
                if self.ok[i]:
                    s -= np.log(self.y[i, t[i]])
            return float(s / self.n)

        def backward(self, dout=1.0):
            dz = self.y.copy()
            for i, lab in enumerate(self.t):
                if 'nolabel' in B:
                    break
                if self.ok[i]:
                    dz[i, lab] -= 1
            if 'nomask' not in B:
                dz *= self.ok[:, None]
            dz *= dout / (1 if 'N' in B else self.n)
            self.grads[0][...] = self.x.T @ dz
            if 'bno' not in B:
                self.grads[1][...] = dz.sum(0)
            if 'bsign' in B:
                self.grads[1][...] *= -1
            return dz @ self.params[0].T, None
    t = np.array([4, 0, -1, 2, 1, -1, 3], dtype=np.int64)
    return Head(), (r.normal(size=(7, 3)), t)


def bce_prob(B):
    """binary cross-entropy on probabilities, mean; both p and t given as float arrays"""
    class BCE:
        def forward(self, p, t):
            self.p, self.t = p, t
            return float(np.mean(-(t * np.log(p) + (1 - t) * np.log(1 - p))))

        def backward(self, dout=1.0):
            p, t = self.p, self.t
            dp = (p - t) / (p * (1 - p))
            if 'lost' in B:
                dp = -t / p
            if 'sign' in B:
                dp = -dp
            dt = np.log(1 - p) - np.log(p)
            if 'tsign' in B:
                dt = -dt
            n = 1 if 'N' in B else p.size
            if 'notret' in B:
                return dout * dp / n, None
            return dout * dp / n, dout * dt / p.size
    r = R(33)
    return BCE(), (r.uniform(.15, .85, size=(5, 3)), r.uniform(0.1, .9, size=(5, 3)))


def mse(B):
    """0.5 * mean over the batch of squared distance"""
    class HalfMSE:
        def forward(self, y, t):
            self.diff = y - t
            return .5 * float((self.diff ** 2).sum() / len(y))

        def backward(self, dout=1.0):
            d = self.diff * dout / len(self.diff)
            if 'two' in B:
                d = 2 * d
            if 'N' in B:
                d = d * len(self.diff)
            if 'up' in B:
                d = self.diff / len(self.diff)
            return d, (d if 'tsign' in B else -d)
    r = R(34)
    return HalfMSE(), (r.normal(size=(5, 3)), r.normal(size=(5, 3)))


def huber(B):
    class Huber:
        delta = .8

        def forward(self, y, t):
            self.t = t
            r_ = y - t
            self.r = r_
            a = np.abs(r_)
            return float(np.where(a <= self.delta, .5 * r_ ** 2, self.delta * (a - .5 * self.delta)).sum())

        def backward(self, dout=1.0):
            small = np.abs(self.r) <= self.delta
            quad, lin = self.r, self.delta * np.sign(self.r)
            if 'inv' in B:
                g = np.where(small, lin, quad)
            elif 'nomask' in B:
                g = quad
            else:
                g = np.where(small, quad, lin)
            if 'NN' in B:
                g = g / len(g)
            if 'half' in B:
                g = g / 2
            return dout * g, dout * (g if 'tsign' in B else -g)
    r = R(35)
    t = r.normal(size=(6, 4))
    d = r.uniform(-2, 2, size=(6, 4))
    d = np.where(np.abs(np.abs(d) - .8) < .1, d * 1.4, d)
    return Huber(), (t + d, t)


def hinge(B):
    """multi-class hinge (Crammer/Weston sum form), mean over the batch"""
    class SVMLoss:
        def forward(self, s, t):
            n = np.arange(len(t))
            m = s - s[n, t][:, None] + 1
            m[n, t] = 0
            self.m, self.t = m, t
            return float(np.maximum(m, 0).sum() / len(t))

        def backward(self, dout=1.0):
            n = np.arange(len(self.t))
            g = (self.m > 0).astype(float)
            if 'inv' in B:
                g = (self.m < 0).astype(float)
            if 'nomask' in B:
                g = np.ones_like(self.m)
                g[n, self.t] = 0
            if 'lost' not in B:
                g[n, self.t] = -g.sum(1)
            if 'sign' in B:
                g = -g
            if 'N' not in B:
                g = g / len(n)
            return g * dout, None
    r = R(36)
    s = r.normal(size=(6, 4)) * 1.5
    t = np.array([1, 0, 3, 2, 2, 1], dtype=np.int64)
    if 'sat' in B:
        s = s * .1 + 6 * np.eye(4)[t]
    else:
        m = s - s[np.arange(6), t][:, None] + 1
        s = np.where(np.abs(m) < .1, s + .25, s)
    return SVMLoss(), (s, t)


def kl(B):
    """KL(p || softmax(z)), p positive weights (not necessarily normalised), batch mean"""
    class KLDiv:
        def forward(self, z, p):
            self.z, self.p = z, p
            self.q = softmax(z)
            return float((p * (np.log(p) - np.log(self.q))).sum() / len(p))

        def backward(self, dout=1.0):
            N = len(self.p)
            dz = self.q * self.p.sum(1, keepdims=True) - self.p
            dp = np.log(self.p) - np.log(self.q) + 1
            if 'sign' in B:
                dz = -dz
            if 'const' in B:
                dz = -self.p
            if 'lost' in B:
                dp = dp - 1
            if 'pN' in B:
                dp = dp * N
            if 'notret' in B:
                return dz * dout / N, None
            return dz * dout / N, dp * dout / N
    r = R(37)
    return KLDiv(), (r.normal(size=(5, 4)), r.uniform(.1, .6, size=(5, 4)))


def triplet(B):
    class Triplet:
        def __init__(self, margin=1.0):
            self.margin = margin

        def forward(self, a, p, n):
            self.saved = a, p, n
            v = ((a - p) ** 2).sum(1) - ((a - n) ** 2).sum(1) + self.margin
            self.on = v > 0
            return float(np.maximum(v, 0).sum())

        def backward(self, dout=1.0):
            a, p, n = self.saved
            m = self.on[:, None].astype(float) * dout
            if 'nomask' in B:
                m = np.ones_like(m) * dout
            da = 2 * (n - p) * m
            if 'lost' in B:
                da = 2 * (a - p) * m
            dp = 2 * (p - a) * m
            dn = 2 * (a - n) * m
            if 'half' in B:
                da, dp, dn = da / 2, dp / 2, dn / 2
            if 'psign' in B:
                dp = -dp
            if 'stale' in B:
                dn = 2 * (a - p) * m
            if 'nNN' in B:
                dn = dn / len(a)
            return da, dp, (None if 'notret' in B else dn)
    r = R(38)
    a = r.normal(size=(6, 3))
    p = a + r.normal(size=(6, 3)) * .8
    n = a + r.normal(size=(6, 3)) * .9
    n[1] += 2.5
    n[4] -= 2.5
    if 'sat' in B:
        p, n = a + .1 * (p - a), a + 4 + (n - a) * .2
    return Triplet(), (a, p, n)


def contrastive(B):
    class Contrastive:
        m = 2.0

        def forward(self, u, v, same):
            self.u, self.v, self.same = u, v, same
            self.d = np.sqrt(((u - v) ** 2).sum(1))
            near = np.maximum(self.m - self.d, 0)
            return float(np.mean(.5 * same * self.d ** 2 + .5 * (1 - same) * near ** 2))

        def backward(self, dout=1.0):
            N = len(self.d)
            near = np.maximum(self.m - self.d, 0)
            if 'nomask' in B:
                near = self.m - self.d
            coef = self.same - (1 - self.same) * near / self.d
            if 'inv' in B:
                coef = (1 - self.same) - self.same * near / self.d
            if 'sign' in B:
                coef = self.same + (1 - self.same) * near / self.d
            du = dout * coef[:, None] * (self.u - self.v) / N
            if 'two' in B:
                du = 2 * du
            return du, -du, None
    r = R(39)
    u = r.normal(size=(7, 3))
    v = u + r.normal(size=(7, 3)) * .6
    v[2] += 3.0
    return Contrastive(), (u, v, np.array([1, 0, 0, 1, 0, 1, 0], dtype=np.int64))


def focal(B):
    class Focal:
        gamma = 2.0

        def forward(self, z, t):
            self.t = t
            p = sig(z)
            self.pt = np.where(t == 1, p, 1 - p)
            return float((-(1 - self.pt) ** self.gamma * np.log(self.pt)).mean())

        def backward(self, dout=1.0):
            pt, g = self.pt, self.gamma
            dpt = g * (1 - pt) ** (g - 1) * np.log(pt) - (1 - pt) ** g / pt
            if 'lost' in B:
                dpt = -(1 - pt) ** g / pt
            dz = dpt * pt * (1 - pt) * np.where(self.t == 1, 1, -1)
            if 'noder' in B:
                dz = dpt * np.where(self.t == 1, 1, -1)
            if 'nosgn' in B:
                dz = -dz
            n = 1 if 'N' in B else self.t.size
            return (dz / n) if 'up' in B else dout * dz / n, None
    return Focal(), (R(40).normal(size=(5, 3)) * 1.2, R(41).integers(0, 2, size=(5, 3)).astype(np.int64))


def center_loss(B):
    """0.5 sum |x - c_t|^2 with learned class centres"""
    r = R(42)

    class CenterLoss:
        def __init__(self, k, d):
            self.C = r.normal(size=(k, d))
            self.params = [self.C]
            self.grads = [np.zeros_like(self.C)]

        def forward(self, x, t):
            self.t = t
            self.e = x - self.C[t]
            return .5 * float((self.e ** 2).sum())

        def backward(self, dout=1.0):
            g = self.grads[0]
            g[...] = 0
            if 'rep' in B:
                g[self.t] -= dout * self.e
            else:
                np.subtract.at(g, self.t, dout * self.e)
            if 'cneg' in B:
                g *= -1
            dx = dout * self.e
            if 'two' in B:
                dx = 2 * dx
            if 'NN' in B:
                dx = dx / len(self.t)
            return dx, None
    return CenterLoss(4, 3), (r.normal(size=(7, 3)), np.array([1, 1, 0, 3, 1, 0, 2], dtype=np.int64))


def embed_bias(B):
    """x * scale[id] + shift[id]: conditional affine (FiLM by class)"""
    r = R(43)

    class CondScale:
        def __init__(self):
            self.params = [1 + .3 * r.normal(size=(3, 4)), r.normal(size=(3, 4))]
            self.grads = [np.zeros((3, 4)), np.zeros((3, 4))]

        def forward(self, x, ids):
            self.x, self.ids = x, ids
            return x * self.params[0][ids] + self.params[1][ids]

        def backward(self, dout):
            for g, v in zip(self.grads, (dout * self.x, dout)):
                g[...] = 0
                if 'rep' in B:
                    for i, k in enumerate(self.ids):
                        g[k] = v[i]
                else:
                    for i, k in enumerate(self.ids):
                        g[k] += v[i]
            dx = dout * self.params[0][self.ids]
            if 'noder' in B:
                dx = dout.copy()
            if 'sign' in B:
                dx = -dx
            return dx, None
    return CondScale(), (r.normal(size=(6, 4)), np.array([2, 0, 2, 1, 0, 2], dtype=np.int64))


# ---------------------------------------------------------------- dropout and noise
def dropout(B):
    r = R(50)

    class Dropout:
        def __init__(self, p, seed=3):
            self.p = p
            self.seed = seed
            self.rs = np.random.RandomState(seed)

        def forward(self, x):
            rs = self.rs if 'random' in B else np.random.RandomState(self.seed)
            self.mask = rs.rand(*x.shape) >= self.p
            return x * self.mask / (1 - self.p)

        def backward(self, dout):
            if 'noscale' in B:
                return dout * self.mask
            if 'twice' in B:
                return dout * self.mask / (1 - self.p) ** 2
            if 'inv' in B:
                return dout * ~self.mask / (1 - self.p)
            if 'nomask' in B:
                return dout / (1 - self.p)
            return dout * self.mask / (1 - self.p)
    return Dropout(.3), (r.normal(size=(6, 5)),)


def dense_dropout(B):
    """fused dense, dropout on the hidden, (keep prob kept)"""
    r = R(51)

    class DropDense:
        def __init__(self):
            self.keep = .6
            self.params = [r.normal(size=(5, 4)), r.normal(size=4)]
            self.grads = [np.zeros((5, 4)), np.zeros(4)]

        def forward(self, x):
            g = np.random.default_rng(11)
            self.m = (g.random(x.shape) < self.keep) / self.keep
            self.xd = x * self.m
            self.x = x
            return self.xd @ self.params[0] + self.params[1]

        def backward(self, dout):
            self.grads[0][...] = (self.x if 'stale' in B else self.xd).T @ dout
            self.grads[1][...] = dout.sum(0) * (-1 if 'bsign' in B else 1)
            if 'bavg' in B:
                self.grads[1][...] = dout.mean(0)
            dxd = dout @ self.params[0].T
            if 'noscale' in B:
                return dxd * (self.m > 0)
            if 'nomask' in B:
                return dxd
            return dxd * self.m
    return DropDense(), (r.normal(size=(7, 5)),)


def noise(B):
    class GaussianNoise:
        def __init__(self):
            self.gen = np.random.default_rng(0)

        def forward(self, x):
            g = self.gen if 'random' in B else np.random.default_rng(0)
            self.k = 1 + .2 * g.normal(size=x.shape)
            return x * self.k

        def backward(self, dout):
            return dout * self.k
    return GaussianNoise(), (R(52).normal(size=(5, 4)),)


# ---------------------------------------------------------------- normalisation
def batchnorm(B):
    r = R(60)

    class BatchNorm:
        eps = 1e-5

        def __init__(self, d):
            self.gamma = r.uniform(.5, 1.5, size=d)
            self.beta = r.normal(size=d)
            self.params = [self.gamma, self.beta]
            self.grads = [np.zeros(d), np.zeros(d)]

        def forward(self, x):
            self.mu = x.mean(0)
            self.xc = x - self.mu
            self.std = np.sqrt((self.xc ** 2).mean(0) + self.eps)
            self.xh = self.xc / self.std
            return self.gamma * self.xh + self.beta

        def backward(self, dout):
            N = len(dout)
            dg = (dout * self.xh).sum(0)
            db = dout.sum(0)
            if 'stale' in B:
                dg = (dout * self.xc).sum(0)
            if 'bavg' in B:
                db = dout.mean(0)
            if 'nog' not in B:
                self.grads[0][...] = dg
            self.grads[1][...] = db
            dxh = dout * self.gamma
            if 'nogamma' in B:
                dxh = dout
            if 'const' in B:
                return dxh / self.std
            dxc = dxh / self.std
            dstd = -(dxh * self.xc).sum(0) / self.std ** 2
            if 'novar' not in B:
                dxc = dxc + self.xc * dstd / (N * self.std)
            if 'nomean' in B:
                return dxc
            return dxc - dxc.mean(0)
    return BatchNorm(4), (r.normal(size=(6, 4)) * 1.5 + .5,)


def layernorm(B):
    r = R(61)

    class LN(Node):
        def forward(self, x):
            ax = 0 if 'cross' in B else -1
            mu = x.mean(axis=ax, keepdims=True)
            iv = 1 / np.sqrt(x.var(axis=ax, keepdims=True) + 1e-6)
            xh = (x - mu) * iv
            self.cache = dict(xh=xh, iv=iv, x=x)
            return xh * self.params[0] + self.params[1]

        def backward(self, dout):
            xh, iv = self.cache['xh'], self.cache['iv']
            self.grads[0][...] = (dout * (self.cache['x'] if 'stale' in B else xh)).sum(0)
            if 'gfar' in B:
                self.grads[0][...] = (dout * xh).sum()
            self.grads[1][...] = dout.sum(0) * (-1 if 'bsign' in B else 1)
            if 'bavg' in B:
                self.grads[1][...] = dout.mean(0)
            g = dout * self.params[0]
            if 'const' in B:
                return g * iv
            if 'novar' in B:
                return iv * (g - g.mean(-1, keepdims=True))
            return iv * (g - g.mean(-1, keepdims=True) - xh * (g * xh).mean(-1, keepdims=True))
    return LN(r.uniform(.5, 1.5, size=5), r.normal(size=5)), (r.normal(size=(6, 5)) * 1.3,)


def groupnorm(B):
    """(N, G*C) features in G groups, no affine"""
    r = R(62)

    class GroupNorm:
        G = 2

        def forward(self, x):
            self.shape = x.shape
            z = x.reshape(x.shape[0], self.G, -1)
            self.c = z - z.mean(2, keepdims=True)
            self.s = np.sqrt((self.c ** 2).mean(2, keepdims=True) + 1e-5)
            self.h = self.c / self.s
            return self.h.reshape(x.shape)

        def backward(self, dout):
            g = dout.reshape(self.h.shape)
            if 'novar' in B:
                d = (g - g.mean(2, keepdims=True)) / self.s
            elif 'nomean' in B:
                d = (g - self.h * (g * self.h).mean(2, keepdims=True)) / self.s
            elif 'noder' in B:
                d = g
            else:
                d = (g - g.mean(2, keepdims=True) - self.h * (g * self.h).mean(2, keepdims=True)) / self.s
            return d.reshape(self.shape)
    return GroupNorm(), (r.normal(size=(5, 8)),)


def rmsnorm(B):
    r = R(63)

    class RMSNorm:
        def __init__(self, d):
            self.params = [r.uniform(.6, 1.4, d)]
            self.grads = [np.zeros(d)]

        def forward(self, x):
            self.x = x
            self.r = np.sqrt((x ** 2).mean(-1, keepdims=True) + 1e-6)
            return self.params[0] * x / self.r

        def backward(self, dout):
            x, rr = self.x, self.r
            gg = dout * x / rr
            if 'gsign' in B:
                gg = -gg
            self.grads[0][...] = gg.reshape(-1, gg.shape[-1]).sum(0)
            if 'gavg' in B:
                self.grads[0][...] = gg.reshape(-1, gg.shape[-1]).mean(0)
            g = dout * self.params[0]
            if 'const' in B:
                return g / rr
            return g / rr - x * (g * x).mean(-1, keepdims=True) / rr ** 3
    return RMSNorm(5), (r.normal(size=(3, 4, 5)),)


def l2norm(B):
    class UnitRows:
        def forward(self, x):
            if 'cross' in B:
                self.n = np.linalg.norm(x)
            else:
                self.n = np.linalg.norm(x, axis=1, keepdims=True)
            self.y = x / self.n
            return self.y

        def backward(self, dout):
            if 'const' in B:
                return dout / self.n
            return (dout - self.y * (dout * self.y).sum(1, keepdims=True)) / self.n
    return UnitRows(), (R(64).normal(size=(5, 4)),)


def center(B):
    """subtract the mean feature vector of the batch"""
    class Center:
        def forward(self, x):
            return x - x.mean(axis=0)

        def backward(self, dout):
            return dout - dout.mean(axis=0)
    return Center(), (R(65).normal(size=(6, 3)),)


# ---------------------------------------------------------------- elementwise and broadcasting nodes
def mul(B):
    class Multiply:
        def forward(self, a, b):
            self.a, self.b = a, b
            return a * b

        def backward(self, dout):
            if 'notret' in B:
                return dout * self.b, None
            if 'stale' in B:
                return dout * self.b, dout * self.b
            return dout * self.b, dout * self.a
    r = R(70)
    return Multiply(), (r.normal(size=(5, 3)), r.normal(size=(5, 3)))


def div(B):
    class Divide:
        def forward(self, a, b):
            self.ab = (a, b)
            return a / b

        def backward(self, dout):
            a, b = self.ab
            da = dout / b
            db = -dout * a / b ** 2
            if 'sign' in B:
                db = -db
            if 'noder' in B:
                da = dout.copy()
            return da, db
    r = R(71)
    return Divide(), (r.normal(size=(6, 3)), r.uniform(.6, 2, size=(6, 3)))


def sub_bc(B):
    """a (N,D) - b (D,)"""
    class Subtract:
        def forward(self, a, b):
            return a - b

        def backward(self, dout):
            if 'batch' in B:
                return dout, -dout
            if 'sign' in B:
                return dout, dout.sum(axis=0)
            if 'far' in B:
                return dout, -np.full(dout.shape[1], dout.sum())
            return dout, -dout.sum(axis=0)
    r = R(72)
    return Subtract(), (r.normal(size=(6, 4)), r.normal(size=4))


def scale_bc(B):
    """a (N,T,D) * s (N,1,D)"""
    class ScaleBy:
        def forward(self, a, s):
            self.a, self.s = a, s
            return a * s

        def backward(self, dout):
            da = dout * self.s
            ds = (dout * self.a).sum(axis=1, keepdims=True)
            if 'batch' in B:
                ds = dout * self.a
            if 'far' in B:
                ds = np.broadcast_to((dout * self.a).sum(axis=(1, 2), keepdims=True), self.s.shape).copy()
            if 'avg' in B:
                ds = (dout * self.a).mean(axis=1, keepdims=True)
            if 'noder' in B:
                da = dout.copy()
            return da, ds
    r = R(73)
    return ScaleBy(), (r.normal(size=(5, 4, 3)), r.normal(size=(5, 1, 3)))


def gain(B):
    """learned scalar gain and per-position bias for (N, T, D); params 0-d and (T,1)"""
    r = R(74)

    class Gain:
        def __init__(self):
            self.params = [np.array([1.7]), r.normal(size=(4, 1))]
            self.grads = [np.zeros(1), np.zeros((4, 1))]

        def forward(self, x):
            self.x = x
            return self.params[0] * x + self.params[1]

        def backward(self, dout):
            self.grads[0][0] = (dout * self.x).sum()
            if 'gN' in B:
                self.grads[0][0] = (dout * self.x).sum() / len(self.x)
            self.grads[1][...] = dout.sum(axis=(0, 2))[:, None]
            if 'far' in B:
                self.grads[1][...] = dout.sum()
            if 'noder' in B:
                return dout.copy()
            return dout * self.params[0]
    return Gain(), (r.normal(size=(5, 4, 3)),)


def power(B):
    """x ** e with learned exponent per feature"""
    r = R(75)

    class Power(Node):
        def forward(self, x):
            self.x = x
            self.y = x ** self.params[0]
            return self.y

        def backward(self, dout):
            e = self.params[0]
            self.grads[0][...] = (dout * self.y * np.log(self.x)).sum(axis=0)
            if 'stale' in B:
                self.grads[0][...] = (dout * self.x * np.log(self.x)).sum(axis=0)
            if 'wrong' in B:
                return dout * e * self.x ** e
            if 'noder' in B:
                return dout + 0
            return dout * e * self.x ** (e - 1)
    return Power(np.array([2., 1.4, .5])), (r.uniform(.5, 2.2, size=(6, 3)),)


def log_exp(B):
    """log(sum_j exp(x_j)) per row, plus exp(-x) features: returns concatenated"""
    class LogSumExp:
        def forward(self, x):
            self.x = x
            m = x.max(1, keepdims=True)
            self.l = m + np.log(np.exp(x - m).sum(1, keepdims=True))
            self.e = np.exp(-x)
            return np.concatenate([self.l, self.e], axis=1)

        def backward(self, dout):
            d1, d2 = dout[:, :1], dout[:, 1:]
            first = d1 * np.exp(self.x - self.l)
            second = -d2 * self.e
            if 'lost' in B:
                return second
            return first + second
    return LogSumExp(), (R(76).normal(size=(6, 4)),)


def explog_pure(B):
    kind = next(iter(B)) if B else ''
    if kind == 'sign':
        return ((lambda x: np.exp(-x)), (lambda x: np.exp(-x))), (R(77).normal(size=(5, 4)),)
    if kind == 'half':
        return ((lambda x: x ** 2), (lambda x: x)), (R(77).normal(size=(5, 4)),)
    if kind == 'two':
        return ((lambda x: np.sqrt(x)), (lambda x: 1 / np.sqrt(x))), (R(77).uniform(.5, 2, size=(5, 4)),)
    return ((lambda x: np.log(x)), (lambda x: 1 / x)), (R(77).uniform(.5, 2, size=(5, 4)),)


def matmul(B):
    """batched A @ B"""
    class MatMul:
        def forward(self, A, Bm):
            self.saved = (A, Bm)
            return A @ Bm

        def backward(self, dout):
            A, Bm = self.saved
            if 'T' in B:
                return dout @ Bm, A.swapaxes(1, 2) @ dout
            if 'notret' in B:
                return dout @ Bm.swapaxes(1, 2), None
            if 'reshape' in B:
                return dout @ Bm.swapaxes(1, 2), A.reshape(A.shape[0], A.shape[2], A.shape[1]) @ dout
            return dout @ Bm.swapaxes(1, 2), A.swapaxes(1, 2) @ dout
    r = R(78)
    sh = ((5, 2, 3), (5, 3, 3))
    return MatMul(), (r.normal(size=sh[0]), r.normal(size=sh[1]))


def bilinear(B):
    """u^T M v per sample, square M"""
    r = R(79)

    class Bilinear:
        def __init__(self, d):
            self.params = [r.normal(size=(d, d))]
            self.grads = [np.zeros((d, d))]

        def forward(self, u, v):
            self.u, self.v = u, v
            return np.einsum('ni,ij,nj->n', u, self.params[0], v)

        def backward(self, dout):
            M, = self.params
            self.grads[0][...] = np.einsum('n,ni,nj->ji' if 'MT' in B else 'n,ni,nj->ij', dout, self.u, self.v)
            if 'stale' in B:
                self.grads[0][...] = np.einsum('n,ni,nj->ij', dout, self.u, self.u)
            d = dout[:, None]
            du = d * (self.v @ (M if 'T' in B else M.T))
            dv = d * (self.u @ M)
            if 'vsign' in B:
                dv = -dv
            if 'v2' in B:
                dv = 2 * dv
            return du, dv
    return Bilinear(4), (r.normal(size=(6, 4)), r.normal(size=(6, 4)))


# ---------------------------------------------------------------- reshaping, windows, kernels
def flatten_dense(B):
    r = R(80)

    class FlatDense:
        def __init__(self):
            self.params = [r.normal(size=(12, 3))]
            self.grads = [np.zeros((12, 3))]

        def forward(self, x):
            self.shp = x.shape
            self.flat = x.reshape(len(x), -1)
            return self.flat @ self.params[0]

        def backward(self, dout):
            self.grads[0][...] = self.flat.T @ dout
            if 'Wsign' in B:
                self.grads[0][...] *= -1
            if 'Whalf' in B:
                self.grads[0][...] /= 2
            d = dout @ self.params[0].T
            if 'order' in B:
                n, h, w = self.shp
                return d.reshape(n, w, h).transpose(0, 2, 1)
            return d.reshape(self.shp)
    return FlatDense(), (r.normal(size=(5, 3, 4)),)


def swap_scale(B):
    """(N,T,C) -> channels first (N,C,T), scaled per channel"""
    r = R(81)

    class ToChannelsFirst(Node):
        def forward(self, x):
            self.x = x
            return x.transpose(0, 2, 1) * self.params[0][:, None]

        def backward(self, dout):
            self.grads[0][...] = (dout * self.x.transpose(0, 2, 1)).sum(axis=(0, 2))
            if 'far' in B:
                self.grads[0][...] = (dout * self.x.transpose(0, 2, 1)).sum()
            d = dout * self.params[0][:, None]
            if 'reshape' in B:
                return d.reshape(self.x.shape)
            return d.transpose(0, 2, 1)
    return ToChannelsFirst(np.array([.5, 1.4, 2.0])), (r.normal(size=(5, 4, 3)),)


def fir(B):
    """causal FIR filter over features: y_t = sum_k w_k x_{t-k}"""
    r = R(82)

    class FIR:
        def __init__(self, k):
            self.w = r.normal(size=k)
            self.params, self.grads = [self.w], [np.zeros(k)]

        def forward(self, x):
            self.x = x
            y = np.zeros_like(x)
            for k in range(len(self.w)):
                y[:, k:] += self.w[k] * x[:, :x.shape[1] - k]
            return y

        def backward(self, dout):
            K, T = len(self.w), dout.shape[1]
            dx = np.zeros_like(self.x)
            w = self.w[::-1] if 'flip' in B else self.w
            dw = np.zeros(K)
            for k in range(K):
                dx[:, :T - k] += w[k] * dout[:, k:]
                dw[k] = (dout[:, k:] * self.x[:, :T - k]).sum()
            if 'flipw' in B:
                dw = dw[::-1]
            if 'wavg' in B:
                dw = dw / len(self.x)
            self.grads[0][...] = dw
            return dx
    return FIR(3), (r.normal(size=(5, 7)),)


def windows(B):
    """sliding window dense: windows of 3, step 2, shared weight vector per output"""
    r = R(83)

    class Windowed:
        def __init__(self):
            self.params = [r.normal(size=(3, 2)), r.normal(size=2)]
            self.grads = [np.zeros((3, 2)), np.zeros(2)]

        def forward(self, x):
            self.x = x
            self.starts = range(0, x.shape[1] - 2, 2)
            return np.stack([x[:, s:s + 3] @ self.params[0] + self.params[1] for s in self.starts], axis=1)

        def backward(self, dout):
            dx = np.zeros_like(self.x)
            dW = np.zeros((3, 2))
            for i, s in enumerate(self.starts):
                g = dout[:, i]
                if 'over' in B:
                    dx[:, s:s + 3] = g @ self.params[0].T
                else:
                    dx[:, s:s + 3] += g @ self.params[0].T
                if 'lost' in B:
                    dW = self.x[:, s:s + 3].T @ g
                else:
                    dW += self.x[:, s:s + 3].T @ g
            self.grads[0][...] = dW
            db = dout.sum(axis=(0, 1))
            if 'bavg' in B:
                db = db / len(dout)
            if 'bsign' in B:
                db = -db
            self.grads[1][...] = db
            return dx
    return Windowed(), (r.normal(size=(5, 9)),)


def moving_average(B):
    class MovingAverage:
        def __init__(self, k=3):
            self.k = k

        def forward(self, x):
            self.L = x.shape[1]
            return np.stack([x[:, i:i + self.k].mean(1) for i in range(self.L - self.k + 1)], 1)

        def backward(self, dout):
            dx = np.zeros((dout.shape[0], self.L))
            for i in range(dout.shape[1]):
                v = dout[:, i:i + 1] / self.k
                if 'over' in B:
                    dx[:, i:i + self.k] = v
                else:
                    dx[:, i:i + self.k] += v
            return dx
    return MovingAverage(), (R(84).normal(size=(6, 7)),)


def meanpool(B):
    """mean over the T axis of (N,T,D)"""
    class MeanPool:
        def forward(self, h):
            self.T = h.shape[1]
            return h.mean(axis=1)

        def backward(self, dout):
            d = np.repeat(dout[:, None, :], self.T, axis=1)
            if 'N' in B:
                return d
            return d / self.T
    return MeanPool(), (R(85).normal(size=(6, 5, 3)),)


# ---------------------------------------------------------------- blocks
def mlp(B):
    """two-layer: tanh hidden"""
    r = R(90)

    class TwoLayerNet:
        def __init__(self, d, h, o):
            self.p = {'W1': r.normal(size=(d, h)) * .7, 'b1': r.normal(size=h) * .3,
                      'W2': r.normal(size=(h, o)), 'b2': r.normal(size=o)}
            self.params = list(self.p.values())
            self.grads = [np.zeros_like(v) for v in self.params]

        def forward(self, x):
            p = self.p
            self.x = x
            self.a1 = x @ p['W1'] + p['b1']
            self.z1 = np.tanh(self.a1)
            return self.z1 @ p['W2'] + p['b2']

        def backward(self, dout):
            p = self.p
            g = {}
            g['W2'] = (self.a1 if 'stale' in B else self.z1).T @ dout
            g['b2'] = dout.sum(0)
            dz = dout @ p['W2'].T
            if 'noder' in B:
                da = dz
            elif 'aty' in B:
                da = dz * (1 - np.tanh(self.z1) ** 2)
            elif 'wrong' in B:
                da = dz * (1 - self.z1)
            else:
                da = dz * (1 - self.z1 ** 2)
            g['W1'] = self.x.T @ da
            g['b1'] = da.sum(0)
            if 'b1avg' in B:
                g['b1'] = da.mean(0)
            if 'b2sign' in B:
                g['b2'] = -g['b2']
            if 'b2far' in B:
                g['b2'] = g['b2'].sum()
            for q, k in zip(self.grads, ('W1', 'b1', 'W2', 'b2')):
                if k == 'b2' and 'b2no' in B:
                    continue
                q[...] = g[k]
            return da @ p['W1'].T
    return TwoLayerNet(4, 5, 3), (r.normal(size=(6, 4)),)


def resblock(B):
    """y = x + relu(x W1 + b1) W2"""
    r = R(91)

    class ResBlock:
        def __init__(self, d, h):
            self.W1, self.b1, self.W2 = r.normal(size=(d, h)), r.normal(size=h), r.normal(size=(h, d)) * .6
            self.params = [self.W1, self.b1, self.W2]
            self.grads = [np.zeros_like(q) for q in self.params]

        def forward(self, x):
            a = x @ self.W1 + self.b1
            h = np.where(a > 0, a, 0)
            self.c = (x, a, h)
            return x + h @ self.W2

        def backward(self, dout):
            x, a, h = self.c
            gW1, gb1, gW2 = self.grads
            gW2[...] = h.T @ dout
            if 'W2sign' in B:
                gW2 *= -1
            if 'W2half' in B:
                gW2 *= .5
            dh = dout @ self.W2.T
            da = dh if 'nomask' in B else dh * (a > 0)
            if 'inv' in B:
                da = dh * (a <= 0)
            gW1[...] = x.T @ da
            gb1[...] = da.sum(0) / (len(x) if 'avg' in B else 1)
            if 'bsign' in B:
                gb1 *= -1
            dx = da @ self.W1.T
            if 'skip' not in B:
                dx = dx + dout
            return dx
    return ResBlock(4, 6), (r.normal(size=(6, 4)),)


def tied(B):
    """tied autoencoder: tanh(x W) W^T, squared error mean"""
    r = R(92)

    class TiedAE:
        def __init__(self, d, h):
            self.W = r.normal(size=(d, h)) * .6
            self.params, self.grads = [self.W], [np.zeros((d, h))]

        def forward(self, x):
            self.x = x
            self.h = np.tanh(x @ self.W)
            return self.h @ self.W.T

        def backward(self, dout):
            dh = dout @ self.W
            da = dh * (1 - self.h ** 2)
            enc = self.x.T @ da
            dec = dout.T @ self.h
            if 'lostenc' in B:
                self.grads[0][...] = dec
            elif 'lostdec' in B:
                self.grads[0][...] = enc
            else:
                self.grads[0][...] = enc + dec
            if 'dxnoder' in B:
                da = dh
            return da @ self.W.T
    return TiedAE(5, 3), (r.normal(size=(6, 5)),)


def siamese(B):
    """the same encoder (own Linear with a cache) for two inputs, codes multiplied"""
    r = R(93)

    class Lin:
        def __init__(self):
            self.W = r.normal(size=(4, 3))
            self.gW = np.zeros((4, 3))
            self.stack = []

        def forward(self, x):
            self.stack.append(x)
            self.last = x
            return x @ self.W

        def backward(self, d):
            x = self.stack.pop()
            if 'stale' in B:
                x = self.last
            self.gW += x.T @ d
            return d @ self.W.T

    class Siamese:
        def __init__(self):
            self.enc = Lin()
            self.params = [self.enc.W]
            self.grads = [self.enc.gW]

        def forward(self, a, b):
            self.enc.stack.clear()
            self.ya = self.enc.forward(a)
            self.yb = self.enc.forward(b)
            return self.ya * self.yb

        def backward(self, dout):
            self.enc.gW[...] = 0
            keep = list(self.enc.stack)
            db = self.enc.backward(dout * self.ya)
            if 'lost' in B:
                self.enc.gW[...] = 0
            da = self.enc.backward(dout * self.yb)
            self.enc.stack[:] = keep
            return da, db
    return Siamese(), (r.normal(size=(6, 4)), r.normal(size=(6, 4)))


def highway(B):
    """t*h + (1-t)*x with t = sigmoid(x Wt), h = relu-free tanh(x Wh)"""
    r = R(94)

    class Highway:
        def __init__(self, d):
            self.params = [r.normal(size=(d, d)), r.normal(size=(d, d)), r.normal(size=d)]
            self.grads = [np.zeros_like(p) for p in self.params]

        def forward(self, x):
            Wt, Wh, bt = self.params
            self.x = x
            self.t = sig(x @ Wt + bt)
            self.h = np.tanh(x @ Wh)
            return self.t * self.h + (1 - self.t) * x

        def backward(self, dout):
            Wt, Wh, bt = self.params
            x, t, h = self.x, self.t, self.h
            dt = dout * (h - x)
            if 'lostgate' in B:
                dt = dout * h
            dzt = dt * t * (1 - t)
            dzh = dout * t * (1 - h ** 2)
            if 'noder' in B:
                dzh = dout * t
            self.grads[0][...] = x.T @ dzt
            self.grads[1][...] = x.T @ dzh
            self.grads[2][...] = dzt.mean(0) if 'avg' in B else dzt.sum(0)
            if 'nob' in B:
                self.grads[2][...] = 0
            dx = dzt @ (Wt if 'T' in B else Wt.T) + dzh @ Wh.T
            if 'carry' not in B:
                dx = dx + dout * (1 - t)
            return dx
    return Highway(4), (r.normal(size=(7, 4)),)


def three(B):
    """three layers with long skip from the first hidden: sigmoid, swish, linear"""
    r = R(95)

    class Deep:
        def __init__(self):
            self.Ws = [r.normal(size=(3, 5)), r.normal(size=(5, 5)), r.normal(size=(5, 2))]
            self.params = self.Ws
            self.grads = [np.zeros_like(w) for w in self.Ws]

        def forward(self, x):
            A, Bw, C = self.Ws
            self.x = x
            self.h1 = sig(x @ A)
            self.h2 = np.tanh(self.h1 @ Bw)
            self.s = self.h2 + self.h1
            return self.s @ C

        def backward(self, dout):
            A, Bw, C = self.Ws
            self.grads[2][...] = (self.h2 if 'stale' in B else self.s).T @ dout
            if 'C2' in B:
                self.grads[2][...] *= 2
            ds = dout @ C.T
            d2 = ds * (1 - self.h2 ** 2)
            self.grads[1][...] = self.h1.T @ d2
            d1 = d2 @ (Bw if 'T' in B else Bw.T)
            if 'skip' not in B:
                d1 = d1 + ds
            d0 = d1 * self.h1 * (self.h1 if 'wrong' in B else 1 - self.h1)
            self.grads[0][...] = self.x.T @ d0
            return d0 @ A.T
    return Deep(), (r.normal(size=(6, 3)),)


# ---------------------------------------------------------------- the list
def add(codes, f, *flags):
    if isinstance(codes, str):
        pass
    name = f.__name__ + '_' + '_'.join(flags or ['right'])
    CASES.append((codes, name, lambda f=f, B=frozenset(flags): f(B)))
    if isinstance(codes, tuple) and codes:
        PAIRFLAGS[name] = (f, flags)


def S(code, *items):
    for f, flag in items:
        add(code, f, flag)


S('nondeterministic', (dropout, 'random'), (noise, 'random'))
S('uninformative', (relu, 'dead'), (hinge, 'sat'), (triplet, 'sat'))
S('mutates-input', (relu, 'mut'), (relu, 'inplace'), (dense, 'decay'))
S('cross-sample', (softmax_layer, 'cross'), (layernorm, 'cross'), (l2norm, 'cross'))
S('ignores-upstream', (sigmoid, 'up'), (ce_labels, 'up'), (focal, 'up'))
S('not-returned', (mul, 'notret'), (kl, 'notret'), (matmul, 'notret'))
S('not-written', (dense, 'nowrite'), (prelu, 'nowrite'), (batchnorm, 'nog'))
S('rebound-grads', (dense, 'rebind'), (dense, 'rebind1'))
S('accumulates', (dense, 'acc'), (prelu, 'acc'))
S('missing-batch-sum', (dense, 'batch'), (prelu, 'batch'), (sub_bc, 'batch'))
S('missing-transpose', (dense_oi, 'T'), (bilinear, 'T'), (bilinear, 'MT'), (matmul, 'T'))
S('scaled-by-N', (ce_labels, 'N'), (bce_prob, 'N'), (meanpool, 'N'))
S('divided-by-N', (dense, 'avg'), (ce_onehot, 'NN'), (prelu, 'avg'))
S('wrong-sign', (div, 'sign'), (kl, 'sign'), (explog_pure, 'sign'))
S('factor-2', (mse, 'two'), (explog_pure, 'two'), (contrastive, 'two'))
S('factor-half', (ridge, 'half'), (triplet, 'half'), (explog_pure, 'half'))
S('dropout-scale', (dropout, 'noscale'), (dropout, 'twice'), (dense_dropout, 'noscale'))
S('summed-too-far', (dense_time, 'far'), (swish, 'far'), (scale_bc, 'far'))
S('flipped-kernel', (fir, 'flip'), (fir, 'flipw'))
S('wrong-reshape', (maxout, 'reshape'), (flatten_dense, 'order'), (swap_scale, 'reshape'))
S('lost-branch', (tied, 'lostenc'), (swish, 'lost'), (resblock, 'skip'), (highway, 'lostgate'))
S('wrong-penalty', (dense_sigmoid_l2, 'nopen'), (dense_sigmoid_l2, 'penneg'), (ridge, 'halfpen'), (ridge, 'nol1'))
S('repeated-index', (center_loss, 'rep'), (embed_bias, 'rep'))
S('missing-mask', (dense_relu, 'nomask'), (linear_ce, 'nomask'), (hinge, 'nomask'), (triplet, 'nomask'))
S('inverted-mask', (leaky, 'inv'), (hardtanh, 'inv'), (dropout, 'inv'))
S('missing-local-derivative', (dense_tanh, 'noder'), (gain, 'noder'), (sigmoid, 'noder'))
S('wrong-local-derivative', (sigmoid, 'y'), (softplus, 'aty'), (elu, 'aty'), (mlp, 'wrong'))
S('constant-statistics', (layernorm, 'const'), (rmsnorm, 'const'), (groupnorm, 'novar'))
add(frozenset({'constant-statistics', 'cross-sample'}), batchnorm, 'novar')
S('missing-label-subtraction', (ce_labels, 'nolabel'), (linear_ce, 'nolabel'))
S('overlap-overwritten', (moving_average, 'over'), (windows, 'over'))
S('stale-cache', (siamese, 'stale'), (mlp, 'stale'), (bilinear, 'stale'))
add(frozenset({'stale-cache', 'missing-mask'}), dense_dropout, 'stale')

for f in (dense, dense_oi, dense_time, dense_relu, dense_sigmoid_l2, ridge, prelu, swish, gelu_pure, elu, softmax_layer, maxout, glu,
          linear_ce, huber, kl, contrastive, focal, center_loss, batchnorm, rmsnorm, center, power, tied, siamese, highway, windows, log_exp, dropout, groupnorm):
    add((), f)

add(('wrong-sign', 'summed-too-far'), dense, 'dxsign', 'far')
add(('missing-transpose', 'divided-by-N'), dense_oi, 'T', 'avg')
add(('stale-cache', 'summed-too-far'), dense_time, 'stale', 'far')
add(('missing-mask', 'wrong-sign'), resblock, 'nomask', 'W2sign')
add(('lost-branch', 'factor-half'), resblock, 'skip', 'W2half')
add(('wrong-penalty', 'divided-by-N'), dense_sigmoid_l2, 'nopen', 'biasavg')
add(('wrong-penalty', 'wrong-sign'), ridge, 'halfpen', 'dysign')
add(('lost-branch', 'wrong-sign'), swish, 'lost', 'sign')
add(('inverted-mask', 'summed-too-far'), prelu, 'dxinv', 'far')
add(('lost-branch', 'not-written'), glu, 'lost', 'cno')
add(('wrong-local-derivative', 'wrong-sign'), glu, 'wrong', 'Vsign')
add(('missing-label-subtraction', 'not-written'), linear_ce, 'nolabel', 'bno')
add(('repeated-index', 'missing-local-derivative'), embed_bias, 'rep', 'noder')
add(('dropout-scale', 'divided-by-N'), dense_dropout, 'noscale', 'bavg')
add(('constant-statistics', 'stale-cache'), layernorm, 'const', 'stale')
add(('constant-statistics', 'divided-by-N'), rmsnorm, 'const', 'gavg')
add(('missing-transpose', 'factor-2'), bilinear, 'T', 'v2')
add(('wrong-reshape', 'factor-half'), flatten_dense, 'order', 'Whalf')
add(('overlap-overwritten', 'lost-branch'), windows, 'over', 'lost')
add(('missing-local-derivative', 'not-written'), mlp, 'noder', 'b2no')
add(('flipped-kernel', 'divided-by-N'), fir, 'flip', 'wavg')
add(('lost-branch', 'factor-2'), three, 'skip', 'C2')
add(('repeated-index', 'factor-2'), center_loss, 'rep', 'two')
add(('wrong-sign', 'stale-cache'), triplet, 'psign', 'stale')
