"""Homework of well-known courses, each layer a class of its own."""
import numpy as np

def G(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)

def K(seed, high, *shape):
    return np.random.default_rng(seed).integers(0, high, size=shape).astype(np.int64)

def F(a):
    return np.asarray(a, dtype=np.float32)

def A(*v):
    return np.array(v, dtype=np.int64)



class Affine:
    def __init__(self, W, b):
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]
        self.x = None
        self.original_x_shape = None

    def forward(self, x):
        W, b = self.params
        self.original_x_shape = x.shape
        x = x.reshape(x.shape[0], -1)
        self.x = x
        return np.dot(x, W) + b

    def backward(self, dout):
        W, b = self.params
        dx = np.dot(dout, W.T)
        dW = np.dot(self.x.T, dout)
        db = np.sum(dout, axis=0)
        self.grads[0][...] = dW
        self.grads[1][...] = db
        return dx.reshape(*self.original_x_shape)


class AffineV2:
    def __init__(self, W, b):
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]
        self.x = None
        self.original_x_shape = None

    def forward(self, x):
        W, b = self.params
        self.original_x_shape = x.shape
        x = x.reshape(x.shape[0], -1)
        self.x = x
        return np.dot(x, W) + b

    def backward(self, dout):
        W, b = self.params
        dx = np.dot(dout, W.T)
        dW = np.dot(self.x.T, dout)
        db = np.sum(dout, axis=0)
        self.grads[0][...] = dW
        self.grads[1][...] = db
        return dx.reshape(*self.original_x_shape)


class AffineV3:
    def __init__(self, W, b):
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]
        self.x = None
        self.original_x_shape = None

    def forward(self, x):
        W, b = self.params
        self.original_x_shape = x.shape
        x = x.reshape(x.shape[0], -1)
        self.x = x
        return np.dot(x, W) + b

    def backward(self, dout):
        W, b = self.params
        dx = np.dot(dout, W.T)
        dW = np.dot(self.x.T, dout)
        db = np.sum(dout, axis=0)
        self.grads[0][...] = dW
        self.grads[1][...] = db
        return dx.reshape(*self.original_x_shape)


class AffineV4:
    def __init__(self, W, b):
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]
        self.x = None
        self.original_x_shape = None

    def forward(self, x):
        W, b = self.params
        self.original_x_shape = x.shape
        x = x.reshape(x.shape[0], -1)
        self.x = x
        return np.dot(x, W) + b

    def backward(self, dout):
        W, b = self.params
        dx = np.dot(dout, W.T)
        dW = np.dot(self.x.T, dout)
        db = np.mean(dout, axis=0)
        self.grads[0][...] = dW
        self.grads[1][...] = db
        return dx.reshape(*self.original_x_shape)


class AffineV5:
    def __init__(self, W, b):
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]
        self.x = None
        self.original_x_shape = None

    def forward(self, x):
        W, b = self.params
        self.original_x_shape = x.shape
        x = x.reshape(x.shape[0], -1)
        self.x = x
        return np.dot(x, W) + b

    def backward(self, dout):
        W, b = self.params
        dx = np.dot(dout, W.T)
        dW = np.dot(self.x.T, dout)
        db = np.sum(dout, axis=0)
        self.grads = [dW, db]
        return dx.reshape(*self.original_x_shape)


class AffineV6:
    def __init__(self, W, b):
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]
        self.x = None
        self.original_x_shape = None

    def forward(self, x):
        W, b = self.params
        self.original_x_shape = x.shape
        x = x.reshape(x.shape[0], -1)
        self.x = x
        return np.dot(x, W) + b

    def backward(self, dout):
        W, b = self.params
        dx = np.dot(dout, W)
        dW = np.dot(self.x.T, dout)
        db = np.sum(dout, axis=0)
        self.grads[0][...] = dW
        self.grads[1][...] = db
        return dx.reshape(*self.original_x_shape)


class AffineV7:
    def __init__(self, W, b):
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]
        self.x = None
        self.original_x_shape = None

    def forward(self, x):
        W, b = self.params
        self.original_x_shape = x.shape
        x = x.reshape(x.shape[0], -1)
        self.x = x
        return np.dot(x, W) + b

    def backward(self, dout):
        W, b = self.params
        dx = np.dot(dout, W.reshape(W.shape[1], -1))
        dW = np.dot(self.x.T, dout) / self.x.shape[0]
        db = np.sum(dout, axis=0)
        self.grads[0][...] = dW
        self.grads[1][...] = db
        return dx.reshape(*self.original_x_shape)


class AffineV8:
    def __init__(self, W, b):
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]
        self.x = None
        self.original_x_shape = None

    def forward(self, x):
        W, b = self.params
        self.original_x_shape = x.shape
        x = x.reshape(x.shape[0], -1)
        self.x = x
        return np.dot(x, W) + b

    def backward(self, dout):
        W, b = self.params
        dx = np.dot(dout, W.T)
        dW = -np.dot(self.x.T, dout)
        db = np.sum(dout)
        self.grads[0][...] = dW
        self.grads[1][...] = db
        return dx.reshape(*self.original_x_shape)


class AffineV9:
    def __init__(self, W, b):
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]
        self.x = None
        self.original_x_shape = None

    def forward(self, x):
        W, b = self.params
        self.original_x_shape = x.shape
        x = x.reshape(x.shape[0], -1)
        self.x = x
        return np.dot(x, W) + b

    def backward(self, dout):
        W, b = self.params
        dx = 2 * np.dot(dout, W.T)
        dW = np.dot(self.x.T, dout)
        db = np.sum(dout, axis=0)
        self.grads[0][...] += dW
        self.grads[1][...] = db
        return dx.reshape(*self.original_x_shape)


class LinearFn(object):
    """affine_forward / affine_backward put in one object, w and b come in as inputs."""

    def forward(self, x, w, b):
        N = x.shape[0]
        out = x.reshape(N, -1).dot(w) + b
        self.cache = (x, w, b)
        return out

    def backward(self, dout):
        x, w, b = self.cache
        N = x.shape[0]
        dx = dout.dot(w.T).reshape(x.shape, order='F')
        dw = x.reshape(N, -1).T.dot(dout)
        db = dout.sum(axis=0)
        return dx, dw, db


class LinearFnV2(object):
    """affine_forward / affine_backward put in one object, w and b come in as inputs."""

    def forward(self, x, w, b):
        N = x.shape[0]
        out = x.reshape(N, -1).dot(w) + b
        self.cache = (x, w, b)
        return out

    def backward(self, dout):
        x, w, b = self.cache
        N = x.shape[0]
        dx = dout.dot(w.T).reshape(x.shape)
        dw = x.reshape(N, -1)[:, :, None] * dout[:, None, :]
        db = -dout.sum(axis=0)
        return dx, dw, db


class TorchStyleLinear:
    # weight kept as (out, in)
    def __init__(self, weight, bias):
        self.weight, self.bias = weight, bias
        self.weight_grad = np.zeros(weight.shape)
        self.bias_grad = np.zeros(bias.shape)
        self.params = [self.weight, self.bias]
        self.grads = [self.weight_grad, self.bias_grad]

    def forward(self, inp):
        self.inp = inp
        return inp @ self.weight.T + self.bias

    def backward(self, grad_out):
        self.weight_grad[:] = grad_out.T @ self.inp
        self.bias_grad[:] = grad_out.sum(0)
        return grad_out @ self.weight


class TorchStyleLinearV2:
    # weight kept as (out, in)
    def __init__(self, weight, bias):
        self.weight, self.bias = weight, bias
        self.weight_grad = np.zeros(weight.shape)
        self.bias_grad = np.zeros(bias.shape)
        self.params = [self.weight, self.bias]
        self.grads = [self.weight_grad, self.bias_grad]

    def forward(self, inp):
        self.inp = inp
        return inp @ self.weight.T + self.bias

    def backward(self, grad_out):
        weight_grad = grad_out.T @ self.inp
        self.bias_grad[:] = grad_out.sum(0)
        return grad_out @ self.weight


class BlockLinear:
    """Two layers: linear, tanh, linear. All by hand."""
    def __init__(self, W1, b1, W2, b2):
        self.params = [W1, b1, W2, b2]
        self.grads = [np.zeros_like(p) for p in self.params]

    def forward(self, x):
        W1, b1, W2, b2 = self.params
        z1 = x @ W1 + b1
        a1 = np.tanh(z1)
        z2 = a1 @ W2 + b2
        self.mem = dict(x=x, z1=z1, a1=a1)
        return z2

    def backward(self, dz2):
        W1, b1, W2, b2 = self.params
        m = self.mem
        dW2 = m['a1'].T @ dz2
        db2 = dz2.sum(0)
        da1 = dz2 @ W2.T
        dz1 = da1 * (1 - m['a1'] ** 2)
        dW1 = m['x'].T @ dz1
        db1 = dz1.sum(0)
        for g, new in zip(self.grads, (dW1, db1, dW2, db2)):
            g[...] = new
        return dz1 @ W1.T


class BlockLinearV2:
    """Two layers: linear, tanh, linear. All by hand."""
    def __init__(self, W1, b1, W2, b2):
        self.params = [W1, b1, W2, b2]
        self.grads = [np.zeros_like(p) for p in self.params]

    def forward(self, x):
        W1, b1, W2, b2 = self.params
        z1 = x @ W1 + b1
        a1 = np.tanh(z1)
        z2 = a1 @ W2 + b2
        self.mem = dict(x=x, z1=z1, a1=a1)
        return z2

    def backward(self, dz2):
        W1, b1, W2, b2 = self.params
        m = self.mem
        dW2 = m['z1'].T @ dz2
        db2 = dz2.sum(0)
        da1 = dz2 @ W2.T
        dz1 = da1 * (1 - m['a1'] ** 2)
        dW1 = m['x'].T @ dz1
        db1 = dz1.sum(0)
        for g, new in zip(self.grads, (dW1, db1, dW2, db2)):
            g[...] = new
        return dz1 @ W1.T


class BlockLinearV3:
    """Two layers: linear, tanh, linear. All by hand."""
    def __init__(self, W1, b1, W2, b2):
        self.params = [W1, b1, W2, b2]
        self.grads = [np.zeros_like(p) for p in self.params]

    def forward(self, x):
        W1, b1, W2, b2 = self.params
        z1 = x @ W1 + b1
        a1 = np.tanh(z1)
        z2 = a1 @ W2 + b2
        self.mem = dict(x=x, z1=z1, a1=a1)
        return z2

    def backward(self, dz2):
        W1, b1, W2, b2 = self.params
        m = self.mem
        dW2 = m['a1'].T @ dz2
        db2 = dz2.sum(0)
        da1 = dz2 @ W2.T
        dz1 = da1
        dW1 = m['x'].T @ dz1
        db1 = dz1.sum(0)
        for g, new in zip(self.grads, (dW1, db1, dW2, db2)):
            g[...] = new
        return dz1 @ W1.T


class BlockLinearV4:
    """Two layers: linear, tanh, linear. All by hand."""
    def __init__(self, W1, b1, W2, b2):
        self.params = [W1, b1, W2, b2]
        self.grads = [np.zeros_like(p) for p in self.params]

    def forward(self, x):
        W1, b1, W2, b2 = self.params
        z1 = x @ W1 + b1
        a1 = np.tanh(z1)
        z2 = a1 @ W2 + b2
        self.mem = dict(x=x, z1=z1, a1=a1)
        return z2

    def backward(self, dz2):
        W1, b1, W2, b2 = self.params
        m = self.mem
        dW2 = m['a1'].T @ dz2
        db2 = dz2.mean(0)
        da1 = dz2 @ W2.T
        dz1 = da1 * (1 - m['a1'])
        dW1 = m['x'].T @ dz1
        db1 = dz1.sum(0)
        for g, new in zip(self.grads, (dW1, db1, dW2, db2)):
            g[...] = new
        return dz1 @ W1.T


class Relu:
    def __init__(self):
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


class ReluV2:
    def __init__(self):
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


class ReluV3:
    def __init__(self):
        self.mask = None

    def forward(self, x):
        self.mask = (x <= 0)
        out = x.copy()
        out[self.mask] = 0
        return out

    def backward(self, dout):
        dout[self.mask] = 0
        dx = dout
        return dx


class ReluV4:
    def __init__(self):
        self.mask = None  # set in forward

    def forward(self, x):
        self.mask = (x <= 0)
        out = x.copy()
        out[self.mask] = 0
        return out

    def backward(self, dout):
        dx = dout.copy()
        dx[self.mask] = 0
        return dx


def LeakyReLUFn_leaky_forward(x, slope):
    out = np.where(x > 0, x, slope * x)
    return out, x

def LeakyReLUFn_leaky_backward(dout, cache, slope):
    x = cache
    dx = np.where(x < 0, dout, slope * dout)
    return dx

class LeakyReLUFn:
    def forward(self, x):
        out, self.cache = LeakyReLUFn_leaky_forward(x, 0.1)
        return out
    def backward(self, dout):
        return LeakyReLUFn_leaky_backward(dout, self.cache, 0.1)


class PReLU:
    def __init__(self, alpha):
        self.params = [alpha]        # one slope per channel
        self.grads = [np.zeros_like(alpha)]

    def forward(self, x):            # x: N, C, L
        self.x = x
        self.neg = (x < 0).astype(float)
        a = self.params[0][None, :, None]
        return x * (1 - self.neg) + a * x * self.neg

    def backward(self, dout):
        a = self.params[0][None, :, None]
        self.grads[0][...] = np.sum(dout * self.x * self.neg, axis=(0, 2))
        return dout * (1 - self.neg) + dout * a * self.neg


class PReLUV2:
    def __init__(self, alpha):
        self.params = [alpha]        # one slope per channel
        self.grads = [np.zeros_like(alpha)]

    def forward(self, x):            # x: N, C, L
        self.x = x
        self.neg = (x < 0).astype(float)
        a = self.params[0][None, :, None]
        return x * (1 - self.neg) + a * x * self.neg

    def backward(self, dout):
        a = self.params[0][None, :, None]
        self.grads[0][...] = np.sum(dout * self.x * self.neg)
        return dout * (1 - self.neg) + dout * a * self.neg


class Sigmoid:
    def __init__(self):
        self.params, self.grads = [], []
        self.out = None

    def forward(self, x):
        out = 1 / (1 + np.exp(-x))
        self.out = out
        return out

    def backward(self, dout):
        dx = dout * (1.0 - self.out) * self.out
        return dx


class SigmoidV2:
    def __init__(self):
        self.params, self.grads = [], []
        self.out = None

    def forward(self, x):
        out = 1 / (1 + np.exp(-x))
        self.out = out
        return out

    def backward(self, dout):
        dx = dout * (1.0 - self.out) * self.out
        return dx


class SigmoidV3:
    def __init__(self):
        self.params, self.grads = [], []
        self.out = None

    def forward(self, x):
        out = 1 / (1 + np.exp(-x))
        self.out = out
        return out

    def backward(self, dout):
        dx = dout * (1.0 - self.out)
        return dx


class SigmoidV4:
    def __init__(self):
        self.params, self.grads = [], []
        self.out = None

    def forward(self, x):
        out = 1 / (1 + np.exp(-x))
        self.out = out
        return out

    def backward(self, dout):
        dx = dout * (self.out - 1.0) * self.out
        return dx


class TanhAct:
    def forward(self, *xs):
        (x,) = xs
        self.saved = [x, np.tanh(x)]
        return self.saved[-1]

    def backward(self, g):
        y = self.saved[-1]
        return g * (1 - np.tanh(y) ** 2)


class Swish:
    def forward(self, x):
        s = 1.0 / (1.0 + np.exp(-x))
        self.x, self.s = x, s
        return x * s

    def backward(self, dout):
        x, s = self.x, self.s
        return dout * x * s * (1 - s)


class Elu:
    def __init__(self, alpha=1.3):
        self.alpha = alpha
    def forward(self, x):
        self.x = x
        self.y = np.where(x > 0, x, self.alpha * (np.exp(np.minimum(x, 0)) - 1))
        return self.y
    def backward(self, dout):
        slope = np.where(self.x > 0, 1.0, self.y + self.alpha)
        return dout * slope


class Dropout:
    def __init__(self, p, seed):
        self.p = p            # probability to drop
        self.seed = seed

    def forward(self, x):
        rng = np.random.RandomState(self.seed)
        keep = 1 - self.p
        self.mask = (rng.rand(*x.shape) < keep) / keep
        return x * self.mask

    def backward(self, dout):
        dx = dout * self.mask
        return dx


class DropoutV2:
    def __init__(self, p, seed):
        self.p = p            # probability to drop
        self.seed = seed

    def forward(self, x):
        rng = np.random
        keep = 1 - self.p
        self.mask = (rng.rand(*x.shape) < keep) / keep
        return x * self.mask

    def backward(self, dout):
        dx = dout * self.mask
        return dx


class DropoutV3:
    def __init__(self, p, seed):
        self.p = p            # probability to drop
        self.seed = seed

    def forward(self, x):
        rng = np.random.RandomState(self.seed)
        keep = 1 - self.p
        self.mask = (rng.rand(*x.shape) < keep) / keep
        return x * self.mask

    def backward(self, dout):
        dx = dout * self.mask / (1 - self.p)
        return dx


class DropoutV4:
    def __init__(self, p, seed):
        self.p = p            # probability to drop
        self.seed = seed

    def forward(self, x):
        rng = np.random.RandomState(self.seed)
        keep = 1 - self.p
        self.mask = (rng.rand(*x.shape) < keep) / keep
        return x * self.mask

    def backward(self, dout):
        dx = dout / (1 - self.p)
        return dx


class DropoutV5:
    def __init__(self, p, seed):
        self.p = p            # probability to drop
        self.seed = seed

    def forward(self, x):
        rng = np.random.RandomState(self.seed)
        keep = 1 - self.p
        self.mask = (rng.rand(*x.shape) < keep) / keep
        return x * self.mask

    def backward(self, dout):
        dx = dout * (self.mask > 0)
        return dx


class SaitoDropout:
    def __init__(self, dropout_ratio=0.3):
        self.dropout_ratio = dropout_ratio
        self.mask = None
        self.rng_state = 3

    def forward(self, x, train_flg=True):
        if train_flg:
            r = np.random.default_rng(self.rng_state)
            self.mask = r.random(x.shape) > self.dropout_ratio
            return x * self.mask
        return x * (1.0 - self.dropout_ratio)

    def backward(self, dout):
        return dout * self.mask


class SaitoDropoutV2:
    def __init__(self, dropout_ratio=0.3):
        self.dropout_ratio = dropout_ratio
        self.mask = None
        self.rng_state = 3

    def forward(self, x, train_flg=True):
        if train_flg:
            r = np.random.default_rng(self.rng_state)
            self.mask = r.random(x.shape) > self.dropout_ratio
            return x * self.mask
        return x * (1.0 - self.dropout_ratio)

    def backward(self, dout):
        return dout * self.mask / (1.0 - self.dropout_ratio)


class FcDrop:
    """fc layer followed by inverted dropout"""
    def __init__(self, W, b, keep=0.7):
        self.keep = keep
        self.params = [W, b]
        self.grads = [np.empty_like(W), np.empty_like(b)]
    def forward(self, x):
        z = x.dot(self.params[0]) + self.params[1]
        self.m = np.random.RandomState(11).uniform(size=z.shape) < self.keep
        self.x = x
        return z * self.m / self.keep
    def backward(self, dout):
        dz = dout * self.m
        self.grads[0][:] = self.x.T.dot(dz)
        self.grads[1][:] = dz.sum(axis=0)
        return dz.dot(self.params[0])


class FcDropV2:
    """fc layer followed by inverted dropout"""
    def __init__(self, W, b, keep=0.7):
        self.keep = keep
        self.params = [W, b]
        self.grads = [np.empty_like(W), np.empty_like(b)]
    def forward(self, x):
        z = x.dot(self.params[0]) + self.params[1]
        self.m = np.random.RandomState(11).uniform(size=z.shape) < self.keep
        self.x = x
        return z * self.m / self.keep
    def backward(self, dout):
        dz = dout * self.m / self.keep
        self.grads[0][:] = -self.x.T.dot(dz)
        self.grads[1][:] = (dout / self.keep).sum(axis=0)
        return dz.dot(self.params[0].T)


class AffineRelu:
    def __init__(self, w, b):
        self.params = [w, b]
        self.grads = [np.zeros_like(w), np.zeros_like(b)]

    def forward(self, x):
        a = np.dot(x, self.params[0]) + self.params[1]
        out = np.maximum(0, a)
        self.cache = (x, a, out)
        return out

    def backward(self, dout):
        x, a, out = self.cache
        da = dout * (a > 0)
        np.dot(x.T, da, out=self.grads[0])
        np.sum(da, axis=0, out=self.grads[1])
        return np.dot(da, self.params[0].T)


class AffineReluV2:
    def __init__(self, w, b):
        self.params = [w, b]
        self.grads = [np.zeros_like(w), np.zeros_like(b)]

    def forward(self, x):
        a = np.dot(x, self.params[0]) + self.params[1]
        out = np.maximum(0, a)
        self.cache = (x, a, out)
        return out

    def backward(self, dout):
        x, a, out = self.cache
        da = dout * (a <= 0)
        np.dot(x.T, da, out=self.grads[0])
        np.sum(da, axis=0, out=self.grads[1])
        return np.dot(da, self.params[0].T)


class AffineReluV3:
    def __init__(self, w, b):
        self.params = [w, b]
        self.grads = [np.zeros_like(w), np.zeros_like(b)]

    def forward(self, x):
        a = np.dot(x, self.params[0]) + self.params[1]
        out = np.maximum(0, a)
        self.cache = (x, a, out)
        return out

    def backward(self, dout):
        x, a, out = self.cache
        da = dout * (out > 0)
        np.dot(x.T, da, out=self.grads[0])
        np.sum(da, axis=0, out=self.grads[1])
        return np.dot(da, self.params[0].T)


class AffineReluV4:
    def __init__(self, w, b):
        self.params = [w, b]
        self.grads = [np.zeros_like(w), np.zeros_like(b)]

    def forward(self, x):
        a = np.dot(x, self.params[0]) + self.params[1]
        out = np.maximum(0, a)
        self.cache = (x, a, out)
        return out

    def backward(self, dout):
        x, a, out = self.cache
        da = dout * (a > 0)
        np.dot(x.T, da, out=self.grads[0])
        np.sum(dout, axis=0, out=self.grads[1])
        return np.dot(da, self.params[0].T) / 2


class MulLayer:
    def __init__(self):
        self.x = None
        self.y = None

    def forward(self, x, y):
        self.x = x
        self.y = y
        return x * y

    def backward(self, dout):
        dx = dout * self.y
        dy = dout * self.x
        return dx, dy


class MulLayerV2:
    def __init__(self):
        self.x = None
        self.y = None

    def forward(self, x, y):
        self.x = x
        self.y = y
        return x * y

    def backward(self, dout):
        dx = dout * self.x
        dy = dout * self.x
        return dx, dy


class MulLayerV3:
    def __init__(self):
        self.x = None
        self.y = None

    def forward(self, x, y):
        self.x = x
        self.y = y
        return x * y

    def backward(self, dout):
        dx = self.y
        dy = self.x
        return dx, dy


class AddLayer:
    def forward(self, x, y):
        return x + y
    def backward(self, dout):
        dx = dout * 1
        dy = dout / 2
        return dx, dy


class Power2:
    def forward(self, x):
        self.x = x
        return (x ** 2).sum(axis=1)
    def backward(self, dout):
        return self.x * dout[:, None]


class DivideScaled:
    """out = a / b, b is shared by a whole row"""
    def forward(self, a, b):
        self.a, self.b = a, b
        return a / b[:, None]
    def backward(self, dout):
        da = dout
        db = -(dout * self.a).sum(axis=1) / self.b
        return da, db


class SoftmaxWithLoss:
    def __init__(self):
        self.loss = None
        self.y = None
        self.t = None

    def forward(self, x, t):
        self.t = t
        z = x - np.max(x, axis=1, keepdims=True)
        e = np.exp(z)
        self.y = e / np.sum(e, axis=1, keepdims=True)
        n = x.shape[0]
        self.loss = -np.mean(np.log(self.y[np.arange(n), t] + 1e-12))
        return self.loss

    def backward(self, dout=1):
        batch_size = self.t.shape[0]
        dx = self.y.copy()
        dx[np.arange(batch_size), self.t] -= 1
        dx = dx * dout / batch_size
        return dx


class SoftmaxWithLossV2:
    def __init__(self):
        self.loss = None
        self.y = None
        self.t = None

    def forward(self, x, t):
        self.t = t
        z = x - np.max(x, axis=1, keepdims=True)
        e = np.exp(z)
        self.y = e / np.sum(e, axis=1, keepdims=True)
        n = x.shape[0]
        self.loss = -np.mean(np.log(self.y[np.arange(n), t] + 1e-12))
        return self.loss

    def backward(self, dout=1):
        batch_size = self.t.shape[0]
        dx = self.y.copy()
        dx[np.arange(batch_size), self.t] -= 1
        dx = dx * dout / batch_size
        return dx


class SoftmaxWithLossV3:
    def __init__(self):
        self.loss = None
        self.y = None
        self.t = None

    def forward(self, x, t):
        self.t = t
        z = x - np.max(x, axis=1, keepdims=True)
        e = np.exp(z)
        self.y = e / np.sum(e, axis=1, keepdims=True)
        n = x.shape[0]
        self.loss = -np.mean(np.log(self.y[np.arange(n), t] + 1e-12))
        return self.loss

    def backward(self, dout=1):
        batch_size = self.t.shape[0]
        dx = self.y.copy()
        dx = dx * dout / batch_size
        return dx


class SoftmaxWithLossV4:
    def __init__(self):
        self.loss = None
        self.y = None
        self.t = None

    def forward(self, x, t):
        self.t = t
        z = x - np.max(x, axis=1, keepdims=True)
        e = np.exp(z)
        self.y = e / np.sum(e, axis=1, keepdims=True)
        n = x.shape[0]
        self.loss = -np.mean(np.log(self.y[np.arange(n), t] + 1e-12))
        return self.loss

    def backward(self, dout=1):
        batch_size = self.t.shape[0]
        dx = self.y.copy()
        dx[np.arange(batch_size), self.t] -= 1
        dx = dx * dout
        return dx


class SoftmaxWithLossV5:
    def __init__(self):
        self.loss = None
        self.y = None
        self.t = None

    def forward(self, x, t):
        self.t = t
        z = x - np.max(x, axis=1, keepdims=True)
        e = np.exp(z)
        self.y = e / np.sum(e, axis=1, keepdims=True)
        n = x.shape[0]
        self.loss = -np.mean(np.log(self.y[np.arange(n), t] + 1e-12))
        return self.loss

    def backward(self, dout=1):
        batch_size = self.t.shape[0]
        dx = self.y.copy()
        dx[np.arange(batch_size), self.t] -= 1
        dx = dx / batch_size
        return dx


class SoftmaxWithLossV6:
    def __init__(self):
        self.loss = None
        self.y = None
        self.t = None

    def forward(self, x, t):
        self.t = t
        z = x - np.max(x, axis=1, keepdims=True)
        e = np.exp(z)
        self.y = e / np.sum(e)
        n = x.shape[0]
        self.loss = -np.mean(np.log(self.y[np.arange(n), t] + 1e-12))
        return self.loss

    def backward(self, dout=1):
        batch_size = self.t.shape[0]
        dx = self.y.copy()
        dx[np.arange(batch_size), self.t] -= 1
        dx = dx * dout / batch_size
        return dx


class SoftmaxWithLossV7:
    def __init__(self):
        self.loss = None
        self.y = None
        self.t = None

    def forward(self, x, t):
        self.t = t
        z = x - np.max(x, axis=1, keepdims=True)
        e = np.exp(z)
        self.y = e / np.sum(e, axis=1, keepdims=True)
        n = x.shape[0]
        self.loss = -np.mean(np.log(self.y[np.arange(n), t] + 1e-12))
        return self.loss

    def backward(self, dout=1):
        batch_size = self.t.shape[0]
        dx = self.y.copy()
        dx[np.arange(batch_size), self.t] -= 1
        dx = dx * dout
        return -dx


class CrossEntropyOneHot:
    # sum over the batch, targets are one hot floats
    def forward(self, logits, target):
        p = np.exp(logits - logits.max(1)[:, None])
        p /= p.sum(1)[:, None]
        self.p, self.target = p, target
        return float(-(target * np.log(p)).sum())

    def backward(self):
        return (self.p - self.target) / self.p.shape[0]


class MeanSquared:
    def forward(self, y, t):
        self.diff = y - t
        return np.mean(self.diff ** 2)
    def backward(self, dout=1.0):
        return dout * 2 * self.diff


class SumSquaredError:
    def forward(self, y, t):
        self.y = y
        self.t = t
        return 0.5 * np.sum((y - t) ** 2)
    def backward(self, dout=1.0):
        return dout * (self.y - self.t)


class SumSquaredErrorV2:
    def forward(self, y, t):
        self.y = y
        self.t = t
        return 0.5 * np.sum((y - t) ** 2)
    def backward(self, dout=1.0):
        return dout * 2 * (self.y - self.t)


class SvmLossNaive:
    """multiclass hinge loss of a linear classifier, naive loops, L2 penalty"""
    def __init__(self, W, reg):
        self.reg = reg
        self.params = [W]
        self.grads = [np.zeros_like(W)]

    def forward(self, X, y):
        W = self.params[0]
        dW = np.zeros(W.shape)
        dX = np.zeros(X.shape)
        num_classes = W.shape[1]
        num_train = X.shape[0]
        loss = 0.0
        for i in range(num_train):
            scores = X[i].dot(W)
            correct = scores[y[i]]
            for j in range(num_classes):
                if j == y[i]:
                    continue
                margin = scores[j] - correct + 1
                if margin > 0:
                    loss += margin
                    dW[:, j] += X[i]
                    dW[:, y[i]] -= X[i]
                    dX[i] += W[:, j] - W[:, y[i]]
        loss /= num_train
        dW /= num_train
        dX /= num_train
        loss += self.reg * np.sum(W * W)
        dW += 2 * self.reg * W
        self.dW, self.dX = dW, dX
        return loss

    def backward(self, dout=1.0):
        self.grads[0][...] = dout * self.dW
        return dout * self.dX


class SvmLossNaiveV2:
    """multiclass hinge loss of a linear classifier, naive loops, L2 penalty"""
    def __init__(self, W, reg):
        self.reg = reg
        self.params = [W]
        self.grads = [np.zeros_like(W)]

    def forward(self, X, y):
        W = self.params[0]
        dW = np.zeros(W.shape)
        dX = np.zeros(X.shape)
        num_classes = W.shape[1]
        num_train = X.shape[0]
        loss = 0.0
        for i in range(num_train):
            scores = X[i].dot(W)
            correct = scores[y[i]]
            for j in range(num_classes):
                if j == y[i]:
                    continue
                margin = scores[j] - correct + 1
                if margin > 0:
                    loss += margin
                    dW[:, j] += X[i]
                    dW[:, y[i]] -= X[i]
                    dX[i] += W[:, j] - W[:, y[i]]
        loss /= num_train
        dW /= num_train
        dX /= num_train
        loss += self.reg * np.sum(W * W)
        dW += self.reg * W
        self.dW, self.dX = dW, dX
        return loss

    def backward(self, dout=1.0):
        self.grads[0][...] = dout * self.dW
        return dout * self.dX


class SvmLossNaiveV3:
    """multiclass hinge loss of a linear classifier, naive loops, L2 penalty"""
    def __init__(self, W, reg):
        self.reg = reg
        self.params = [W]
        self.grads = [np.zeros_like(W)]

    def forward(self, X, y):
        W = self.params[0]
        dW = np.zeros(W.shape)
        dX = np.zeros(X.shape)
        num_classes = W.shape[1]
        num_train = X.shape[0]
        loss = 0.0
        for i in range(num_train):
            scores = X[i].dot(W)
            correct = scores[y[i]]
            for j in range(num_classes):
                if j == y[i]:
                    continue
                margin = scores[j] - correct + 1
                if margin > 0:
                    loss += margin
                    dW[:, j] += X[i]
                    dW[:, y[i]] -= X[i]
                    dX[i] += W[:, j] - W[:, y[i]]
        loss /= num_train
        dW /= num_train
        loss += self.reg * np.sum(W * W)
        self.dW, self.dX = dW, dX
        return loss

    def backward(self, dout=1.0):
        self.grads[0][...] = dout * self.dW
        return dout * self.dX


class SvmLossNaiveV4:
    """multiclass hinge loss of a linear classifier, naive loops, L2 penalty"""
    def __init__(self, W, reg):
        self.reg = reg
        self.params = [W]
        self.grads = [np.zeros_like(W)]

    def forward(self, X, y):
        W = self.params[0]
        dW = np.zeros(W.shape)
        dX = np.zeros(X.shape)
        num_classes = W.shape[1]
        num_train = X.shape[0]
        loss = 0.0
        for i in range(num_train):
            scores = X[i].dot(W)
            correct = scores[y[i]]
            for j in range(num_classes):
                if j == y[i]:
                    continue
                margin = scores[j] - correct + 1
                if margin > 0:
                    loss += margin
                    dW[:, j] += X[i]
                    dW[:, y[i]] -= X[i]
                    dX[i] += W[:, j]
        loss /= num_train
        dW /= num_train
        dX /= num_train
        loss += self.reg * np.sum(W * W)
        dW += 2 * self.reg * W
        self.dW, self.dX = dW, dX
        return loss

    def backward(self, dout=1.0):
        self.grads[0] += dout * self.dW
        return dout * self.dX


class SvmLossVec:
    def forward(self, x, y):
        N = x.shape[0]
        correct = x[np.arange(N), y]
        margins = np.maximum(0, x - correct[:, None] + 1.0)
        margins[np.arange(N), y] = 0
        self.margins, self.y = margins, y
        return np.sum(margins) / N

    def backward(self, dout=1.0):
        N = self.margins.shape[0]
        dx = np.zeros(self.margins.shape)
        dx[self.margins > 0] = 1
        dx[np.arange(N), self.y] -= np.sum(self.margins > 0, axis=1)
        return dout * dx / N


class SoftmaxClassifier:
    def __init__(self, W, b, lam=0.2):
        self.lam = lam
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]

    def forward(self, X, y):
        W, b = self.params
        s = X @ W + b
        s = s - s.max(axis=1, keepdims=True)
        P = np.exp(s)
        P = P / P.sum(axis=1, keepdims=True)
        self.X, self.y, self.P = X, y, P
        data = -np.log(P[range(len(y)), y]).mean()
        return data + 0.5 * self.lam * (W ** 2).sum()

    def backward(self, dout=1.0):
        W, b = self.params
        ds = self.P.copy()
        ds[range(len(self.y)), self.y] -= 1
        ds *= dout / len(self.y)
        dW = self.X.T @ ds
        dW -= dout * self.lam * W
        db = ds.sum(axis=0)
        self.grads[0][...] = dW
        self.grads[1][...] = db
        return ds @ W.T


class SoftmaxClassifierV2:
    def __init__(self, W, b, lam=0.2):
        self.lam = lam
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]

    def forward(self, X, y):
        W, b = self.params
        s = X @ W + b
        s = s - s.max(axis=1, keepdims=True)
        P = np.exp(s)
        P = P / P.sum(axis=1, keepdims=True)
        self.X, self.y, self.P = X, y, P
        data = -np.log(P[range(len(y)), y]).mean()
        return data + 0.5 * self.lam * (W ** 2).sum()

    def backward(self, dout=1.0):
        W, b = self.params
        ds = self.P.copy()
        ds[range(len(self.y)), self.y] -= 1
        ds *= dout / len(self.y)
        dW = self.X.T @ ds
        db = ds.mean(axis=0)
        self.grads[0][...] = dW
        self.grads[1][...] = db
        return ds @ W.T


class SoftmaxClassifierV3:
    def __init__(self, W, b, lam=0.2):
        self.lam = lam
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]

    def forward(self, X, y):
        W, b = self.params
        s = X @ W + b
        s = s - s.max(axis=1, keepdims=True)
        P = np.exp(s)
        P = P / P.sum(axis=1, keepdims=True)
        self.X, self.y, self.P = X, y, P
        data = -np.log(P[range(len(y)), y]).mean()
        return data + 0.5 * self.lam * (W ** 2).sum()

    def backward(self, dout=1.0):
        W, b = self.params
        ds = self.P.copy()
        ds *= dout / len(self.y)
        dW = self.X.T @ ds
        dW += dout * self.lam * W
        db = ds.sum(axis=0)
        self.grads[0][...] = dW
        return ds @ W.T


class SigmoidWithLoss:
    def __init__(self):
        self.params, self.grads = [], []
        self.loss = None
        self.y = None
        self.t = None
    def forward(self, x, t):
        self.t = t
        self.y = 1 / (1 + np.exp(-x))
        p = np.c_[1 - self.y, self.y]
        self.loss = -np.log(p[np.arange(len(t)), t]).mean()
        return self.loss
    def backward(self, dout=1):
        batch_size = self.t.shape[0]
        dx = (self.y - self.t) * dout / batch_size
        return dx


class BceWithLogits:
    """binary cross entropy, mean over everything, float targets; gives dx only"""
    def forward(self, logits, targets):
        self.cache = logits, targets
        l = np.maximum(logits, 0) - logits * targets + np.log1p(np.exp(-np.abs(logits)))
        return l.mean()
    def backward(self, dout=1.0):
        z, t = self.cache
        p = 1 / (1 + np.exp(-z))
        return dout * (p - t) / z.size


class BceWithLogitsV2:
    """binary cross entropy, mean over everything, float targets; gives dx only"""
    def forward(self, logits, targets):
        self.cache = logits, targets
        l = np.maximum(logits, 0) - logits * targets + np.log1p(np.exp(-np.abs(logits)))
        return l.mean()
    def backward(self, dout=1.0):
        z, t = self.cache
        p = 1 / (1 + np.exp(-z))
        return dout * 2 * (p - t) / z.size


class HuberLoss:
    def __init__(self, delta=0.8):
        self.delta = delta
    def forward(self, pred, target):
        self.r = pred - target
        a = np.abs(self.r)
        quad = 0.5 * self.r ** 2
        lin = self.delta * (a - 0.5 * self.delta)
        return np.where(a <= self.delta, quad, lin).sum() / len(pred)
    def backward(self, dout=1.0):
        inside = np.abs(self.r) <= self.delta
        g = np.where(inside, self.r, self.delta * np.sign(self.r))
        g = g * dout / len(g)
        return g, -g


class HuberLossV2:
    def __init__(self, delta=0.8):
        self.delta = delta
    def forward(self, pred, target):
        self.r = pred - target
        a = np.abs(self.r)
        quad = 0.5 * self.r ** 2
        lin = self.delta * (a - 0.5 * self.delta)
        return np.where(a <= self.delta, quad, lin).sum() / len(pred)
    def backward(self, dout=1.0):
        inside = np.abs(self.r) <= self.delta
        g = np.where(inside, self.delta * np.sign(self.r), self.r)
        g = g * dout / len(g)
        return g, -g


class HuberLossV3:
    def __init__(self, delta=0.8):
        self.delta = delta
    def forward(self, pred, target):
        self.r = pred - target
        a = np.abs(self.r)
        quad = 0.5 * self.r ** 2
        lin = self.delta * (a - 0.5 * self.delta)
        return np.where(a <= self.delta, quad, lin).sum() / len(pred)
    def backward(self, dout=1.0):
        inside = np.abs(self.r) <= self.delta
        g = np.where(inside, self.r, self.delta * np.sign(self.r))
        g = g * dout / len(g)
        return g, g


class Softmax:
    def forward(self, x):
        e = np.exp(x - np.max(x, axis=-1, keepdims=True))
        self.out = e / e.sum(axis=-1, keepdims=True)
        return self.out
    def backward(self, dout):
        dx = self.out * dout
        sumdx = np.sum(dx, axis=-1, keepdims=True)
        dx -= self.out * sumdx
        return dx


class SoftmaxV2:
    def forward(self, x):
        e = np.exp(x - np.max(x, axis=-1, keepdims=True))
        self.out = e / e.sum(axis=-1, keepdims=True)
        return self.out
    def backward(self, dout):
        dx = self.out * dout
        sumdx = np.sum(dx, axis=-1, keepdims=True)
        return dx


class NtXent:
    """contrastive: z1[i] and z2[i] belong together, the other samples are the negatives"""
    def __init__(self, tau=0.5):
        self.tau = tau
    def forward(self, z1, z2):
        S = z1 @ z2.T / self.tau
        S = S - S.max(axis=1, keepdims=True)
        P = np.exp(S)
        P /= P.sum(axis=1, keepdims=True)
        self.z1, self.z2, self.P = z1, z2, P
        return -np.mean(np.log(np.diag(P)))
    def backward(self, dout=1.0):
        n = len(self.P)
        dS = dout * (self.P - np.eye(n)) / n / self.tau
        return dS @ self.z2, dS.T @ self.z1


class NtXentV2:
    """contrastive: z1[i] and z2[i] belong together, the other samples are the negatives"""
    def __init__(self, tau=0.5):
        self.tau = tau
    def forward(self, z1, z2):
        S = z1 @ z2.T / self.tau
        S = S - S.max(axis=1, keepdims=True)
        P = np.exp(S)
        P /= P.sum(axis=1, keepdims=True)
        self.z1, self.z2, self.P = z1, z2, P
        return -np.mean(np.log(np.diag(P)))
    def backward(self, dout=1.0):
        n = len(self.P)
        dS = dout * (self.P - np.eye(n)) / n / self.tau
        d = np.diag(dS)[:, None]
        return d * self.z2, d * self.z1


class PairDistanceLoss:
    """all pairs of the batch are pushed apart: mean of exp(-|xi-xj|^2)"""
    def forward(self, x):
        n = x.shape[0]
        self.D = x[:, None, :] - x[None, :, :]
        self.E = np.exp(-(self.D ** 2).sum(-1))
        np.fill_diagonal(self.E, 0)
        return self.E.sum() / (n * (n - 1))
    def backward(self, dout=1.0):
        n = len(self.E)
        c = dout / (n * (n - 1))
        dx = np.zeros((n, self.D.shape[2]))
        for i in range(n):
            for j in range(n):
                g = -2 * c * self.E[i, j] * self.D[i, j]
                dx[i] += g
                dx[j] -= g
        return dx


class TripletLoss:
    def __init__(self, margin=1.0):
        self.margin = margin
    def forward(self, a, p, n):
        self.ap, self.an = a - p, a - n
        v = (self.ap ** 2).sum(1) - (self.an ** 2).sum(1) + self.margin
        self.on = (v > 0).astype(float)[:, None] / len(a)
        return np.maximum(v, 0).mean()
    def backward(self, dout=1.0):
        da = 2 * (self.ap - self.an) * self.on * dout
        dp = -2 * self.ap * self.on * dout
        dn = 2 * self.an * self.on * dout
        return da, dp, dn


class TripletLossV2:
    def __init__(self, margin=1.0):
        self.margin = margin
    def forward(self, a, p, n):
        self.ap, self.an = a - p, a - n
        v = (self.ap ** 2).sum(1) - (self.an ** 2).sum(1) + self.margin
        self.on = (v > 0).astype(float)[:, None] / len(a)
        return np.maximum(v, 0).mean()
    def backward(self, dout=1.0):
        da = 2 * (self.ap - self.an) * self.on * dout
        dp = -2 * self.ap * self.on * dout
        dn = 2 * self.an * self.on * dout
        return da, None, dn


class TripletLossV3:
    def __init__(self, margin=1.0):
        self.margin = margin
    def forward(self, a, p, n):
        self.ap, self.an = a - p, a - n
        v = (self.ap ** 2).sum(1) - (self.an ** 2).sum(1) + self.margin
        self.on = (v > 0).astype(float)[:, None] / len(a)
        return np.maximum(v, 0).mean()
    def backward(self, dout=1.0):
        da = 2 * self.ap * self.on * dout
        dp = -2 * self.ap * self.on * dout
        dn = self.an * self.on * dout
        return da, dp, dn


class KLGauss:
    # VAE penalty, mean over the batch
    def forward(self, mu, logvar):
        self.mu, self.logvar = mu, logvar
        return -0.5 * np.sum(1 + logvar - mu ** 2 - np.exp(logvar)) / mu.shape[0]
    def backward(self, dout=1.0):
        n = self.mu.shape[0]
        dmu = dout * self.mu / n
        dlogvar = dout * 0.5 * (np.exp(self.logvar) - 1) / n
        return dmu, dlogvar


class KLGaussV2:
    # VAE penalty, mean over the batch
    def forward(self, mu, logvar):
        self.mu, self.logvar = mu, logvar
        return -0.5 * np.sum(1 + logvar - mu ** 2 - np.exp(logvar)) / mu.shape[0]
    def backward(self, dout=1.0):
        n = self.mu.shape[0]
        dmu = dout * 2 * self.mu / n
        dlogvar = dout * 0.5 * (np.exp(self.logvar) - 1)
        return dmu, dlogvar


class LabelSmoothing:
    def __init__(self, eps=0.1):
        self.eps = eps
    def forward(self, z, labels):
        n, c = z.shape
        q = np.full((n, c), self.eps / c)
        q[np.arange(n), labels] += 1 - self.eps
        e = np.exp(z - z.max(1, keepdims=True))
        self.p, self.q = e / e.sum(1, keepdims=True), q
        return -(q * np.log(self.p)).sum() / n
    def backward(self, dout=1.0):
        return dout * self.p / len(self.q)


class RidgeLoss:
    def __init__(self, w, lam):
        self.w, self.lam = w, lam
        self.gw = np.zeros_like(w)
        self.params, self.grads = [self.w], [self.gw]
    def forward(self, X, t):
        self.X = X
        self.e = X @ self.w - t
        return 0.5 * np.mean(self.e ** 2) + 0.5 * self.lam * self.w @ self.w
    def backward(self, dout=1.0):
        de = dout * self.e / self.e.shape[0]
        self.gw[:] = self.X.T @ de
        self.gw += dout * self.lam * self.w
        return np.outer(de, self.w)


class RidgeLossV2:
    def __init__(self, w, lam):
        self.w, self.lam = w, lam
        self.gw = np.zeros_like(w)
        self.params, self.grads = [self.w], [self.gw]
    def forward(self, X, t):
        self.X = X
        self.e = X @ self.w - t
        return 0.5 * np.mean(self.e ** 2) + 0.5 * self.lam * self.w @ self.w
    def backward(self, dout=1.0):
        de = dout * self.e / self.e.shape[0]
        self.gw[:] = self.X.T @ de
        return np.outer(de, self.w)


class RidgeLossV3:
    def __init__(self, w, lam):
        self.w, self.lam = w, lam
        self.gw = np.zeros_like(w)
        self.params, self.grads = [self.w], [self.gw]
    def forward(self, X, t):
        self.X = X
        self.e = X @ self.w - t
        return 0.5 * np.mean(self.e ** 2) + 0.5 * self.lam * self.w @ self.w
    def backward(self, dout=1.0):
        de = dout * self.e / self.e.shape[0]
        self.gw[:] = self.X.T @ de
        self.gw += dout * self.lam * self.w
        self.w -= 0.1 * self.gw
        return np.outer(de, self.w)


class RidgeLossV4:
    def __init__(self, w, lam):
        self.w, self.lam = w, lam
        self.gw = np.zeros_like(w)
        self.params, self.grads = [self.w], [self.gw]
    def forward(self, X, t):
        self.X = X
        self.e = X @ self.w - t
        return 0.5 * np.mean(self.e ** 2) + 0.5 * self.lam * self.w @ self.w
    def backward(self, dout=1.0):
        de = dout * self.e / self.e.shape[0]
        self.gw[:] = self.X.T @ de
        self.gw += dout * 2 * self.lam * self.w
        return 2 * np.outer(de, self.w)


class CosineEmbedding:
    def forward(self, u, v):
        self.nu = np.sqrt((u * u).sum(1, keepdims=True))
        self.nv = np.sqrt((v * v).sum(1, keepdims=True))
        self.uh, self.vh = u / self.nu, v / self.nv
        self.c = (self.uh * self.vh).sum(1, keepdims=True)
        return self.c[:, 0]
    def backward(self, dout):
        d = dout[:, None]
        du = d * self.vh / self.nu
        dv = -d * (self.uh - self.c * self.vh) / self.nv
        return du, dv


def QuadFn_f(w):
    return np.sum(w ** 3) + 2.0 * np.sum(w)

def QuadFn_df(w):
    return 3 * w ** 2 + 2.0


class BatchNormStaged:
    """batchnorm, backward walks the graph node by node"""
    def __init__(self, eps=1e-5):
        self.eps = eps

    def forward(self, x, gamma, beta):
        N, D = x.shape
        mu = 1. / N * np.sum(x, axis=0)
        xmu = x - mu
        sq = xmu ** 2
        var = 1. / N * np.sum(sq, axis=0)
        sqrtvar = np.sqrt(var + self.eps)
        ivar = 1. / sqrtvar
        xhat = xmu * ivar
        out = gamma * xhat + beta
        self.cache = (xhat, gamma, xmu, ivar, sqrtvar, var)
        return out

    def backward(self, dout):
        xhat, gamma, xmu, ivar, sqrtvar, var = self.cache
        N, D = dout.shape
        dbeta = np.sum(dout, axis=0)
        dgamma = np.sum(dout * xhat, axis=0)
        dxhat = dout * gamma
        divar = np.sum(dxhat * xmu, axis=0)
        dxmu1 = dxhat * ivar
        dsqrtvar = -1. / (sqrtvar ** 2) * divar
        dvar = 0.5 / np.sqrt(var + self.eps) * dsqrtvar
        dsq = 1. / N * np.ones((N, D)) * dvar
        dxmu2 = 2 * xmu * dsq
        dx1 = dxmu1 + dxmu2
        dmu = -1 * np.sum(dxmu1 + dxmu2, axis=0)
        dx2 = 1. / N * np.ones((N, D)) * dmu
        dx = dx1 + dx2
        return dx, dgamma, dbeta


class BatchNormStagedV2:
    """batchnorm, backward walks the graph node by node"""
    def __init__(self, eps=1e-5):
        self.eps = eps

    def forward(self, x, gamma, beta):
        N, D = x.shape
        mu = 1. / N * np.sum(x, axis=0)
        xmu = x - mu
        sq = xmu ** 2
        var = 1. / N * np.sum(sq, axis=0)
        sqrtvar = np.sqrt(var + self.eps)
        ivar = 1. / sqrtvar
        xhat = xmu * ivar
        out = gamma * xhat + beta
        self.cache = (xhat, gamma, xmu, ivar, sqrtvar, var)
        return out

    def backward(self, dout):
        xhat, gamma, xmu, ivar, sqrtvar, var = self.cache
        N, D = dout.shape
        dbeta = np.sum(dout, axis=0)
        dgamma = np.sum(dout * xhat, axis=0)
        dxhat = dout * gamma
        divar = np.sum(dxhat * xmu, axis=0)
        dxmu1 = dxhat * ivar
        dsqrtvar = -1. / (sqrtvar ** 2) * divar
        dvar = 0.5 / np.sqrt(var + self.eps) * dsqrtvar
        dsq = 1. / N * np.ones((N, D)) * dvar
        dxmu2 = 2 * xmu * dsq
        dx1 = dxmu1
        dmu = -1 * np.sum(dxmu1, axis=0)
        dx2 = 1. / N * np.ones((N, D)) * dmu
        dx = dx1 + dx2
        return dx, dgamma, dbeta


class BatchNormStagedV3:
    """batchnorm, backward walks the graph node by node"""
    def __init__(self, eps=1e-5):
        self.eps = eps

    def forward(self, x, gamma, beta):
        N, D = x.shape
        mu = 1. / N * np.sum(x, axis=0)
        xmu = x - mu
        sq = xmu ** 2
        var = 1. / N * np.sum(sq, axis=0)
        sqrtvar = np.sqrt(var + self.eps)
        ivar = 1. / sqrtvar
        xhat = xmu * ivar
        out = gamma * xhat + beta
        self.cache = (xhat, gamma, xmu, ivar, sqrtvar, var)
        return out

    def backward(self, dout):
        xhat, gamma, xmu, ivar, sqrtvar, var = self.cache
        N, D = dout.shape
        dbeta = np.sum(dout, axis=0)
        dgamma = dout * xhat
        dxhat = dout * gamma
        divar = np.sum(dxhat * xmu, axis=0)
        dxmu1 = dxhat * ivar
        dsqrtvar = -1. / (sqrtvar ** 2) * divar
        dvar = 0.5 / np.sqrt(var + self.eps) * dsqrtvar
        dsq = 1. / N * np.ones((N, D)) * dvar
        dxmu2 = 2 * xmu * dsq
        dx1 = dxmu1 + dxmu2
        dmu = -1 * np.sum(dxmu1 + dxmu2, axis=0)
        dx2 = 1. / N * np.ones((N, D)) * dmu
        dx = dx1 + dx2
        return dx, dgamma, dbeta


class BatchNormStagedV4:
    """batchnorm, backward walks the graph node by node"""
    def __init__(self, eps=1e-5):
        self.eps = eps

    def forward(self, x, gamma, beta):
        N, D = x.shape
        mu = 1. / N * np.sum(x, axis=0)
        xmu = x - mu
        sq = xmu ** 2
        var = 1. / N * np.sum(sq, axis=0)
        sqrtvar = np.sqrt(var + self.eps)
        ivar = 1. / sqrtvar
        xhat = xmu * ivar
        out = gamma * xhat + beta
        self.cache = (xhat, gamma, xmu, ivar, sqrtvar, var)
        return out

    def backward(self, dout):
        xhat, gamma, xmu, ivar, sqrtvar, var = self.cache
        N, D = dout.shape
        dbeta = np.sum(dout, axis=0)
        dgamma = np.sum(dout * xmu, axis=0)
        dxhat = dout * gamma
        divar = np.sum(dxhat * xmu, axis=0)
        dxmu1 = dxhat * ivar
        dsqrtvar = -1. / (sqrtvar ** 2) * divar
        dvar = 0.5 / np.sqrt(var + self.eps) * dsqrtvar
        dsq = 1. / N * np.ones((N, D)) * dvar
        dxmu2 = 2 * xmu * dsq
        dx1 = dxmu1 + dxmu2
        dmu = -1 * np.sum(dxmu1 + dxmu2, axis=0)
        dx2 = 1. / N * np.ones((N, D)) * dmu
        dx = dx1 + dx2
        return dx, dgamma, dbeta


class BatchNormStagedV5:
    """batchnorm, backward walks the graph node by node"""
    def __init__(self, eps=1e-5):
        self.eps = eps

    def forward(self, x, gamma, beta):
        N, D = x.shape
        mu = 1. / N * np.sum(x, axis=0)
        xmu = x - mu
        sq = xmu ** 2
        var = 1. / N * np.sum(sq, axis=0)
        sqrtvar = np.sqrt(var + self.eps)
        ivar = 1. / sqrtvar
        xhat = xmu * ivar
        out = gamma * xhat + beta
        self.cache = (xhat, gamma, xmu, ivar, sqrtvar, var)
        return out

    def backward(self, dout):
        xhat, gamma, xmu, ivar, sqrtvar, var = self.cache
        N, D = dout.shape
        dbeta = np.sum(dout) * np.ones(D)
        dgamma = np.sum(dout * xhat, axis=0)
        dxhat = dout * gamma
        divar = np.sum(dxhat * xmu, axis=0)
        dxmu1 = dxhat * ivar
        dsqrtvar = -1. / (sqrtvar ** 2) * divar
        dvar = 0.5 / np.sqrt(var + self.eps) * dsqrtvar
        dsq = 1. / N * np.ones((N, D)) * dvar
        dxmu2 = 2 * xmu * dsq
        dx1 = dxmu1 + dxmu2
        dmu = -1 * np.sum(dxmu1 + dxmu2, axis=0)
        dx2 = 1. / N * np.ones((N, D)) * dmu
        dx = dxmu1
        return dx, dgamma, dbeta


class BatchNormAlt:
    def __init__(self, gamma, beta, eps=1e-6):
        self.params = [gamma, beta]
        self.grads = [np.zeros_like(gamma), np.zeros_like(beta)]
        self.eps = eps
        self.running_mean = np.zeros_like(gamma)
        self.momentum = 0.9

    def forward(self, x):
        gamma, beta = self.params
        mu, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = self.momentum * self.running_mean + (1 - self.momentum) * mu
        self.std = np.sqrt(var + self.eps)
        self.xn = (x - mu) / self.std
        return gamma * self.xn + beta

    def backward(self, dout):
        gamma, beta = self.params
        N = dout.shape[0]
        dgamma = (dout * self.xn).sum(axis=0)
        dbeta = dout.sum(axis=0)
        dx = (gamma / self.std) / N * (N * dout - dbeta - self.xn * dgamma)
        self.grads[0][...] = dgamma
        self.grads[1][...] = dbeta
        return dx


class BatchNormAltV2:
    def __init__(self, gamma, beta, eps=1e-6):
        self.params = [gamma, beta]
        self.grads = [np.zeros_like(gamma), np.zeros_like(beta)]
        self.eps = eps
        self.running_mean = np.zeros_like(gamma)
        self.momentum = 0.9

    def forward(self, x):
        gamma, beta = self.params
        mu, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = self.momentum * self.running_mean + (1 - self.momentum) * mu
        self.std = np.sqrt(var + self.eps)
        self.xn = (x - mu) / self.std
        return gamma * self.xn + beta

    def backward(self, dout):
        gamma, beta = self.params
        N = dout.shape[0]
        dgamma = (dout * self.xn).sum(axis=0)
        dbeta = dout.sum(axis=0)
        dx = (gamma / self.std) / N * (N * dout - dbeta - self.xn * dgamma)
        self.grads[0][...] = dgamma
        self.grads[1][...] = dbeta
        return dx


class BatchNormAltV3:
    def __init__(self, gamma, beta, eps=1e-6):
        self.params = [gamma, beta]
        self.grads = [np.zeros_like(gamma), np.zeros_like(beta)]
        self.eps = eps
        self.running_mean = np.zeros_like(gamma)
        self.momentum = 0.9

    def forward(self, x):
        gamma, beta = self.params
        mu, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = self.momentum * self.running_mean + (1 - self.momentum) * mu
        self.std = np.sqrt(var + self.eps)
        self.xn = (x - mu) / self.std
        return gamma * self.xn + beta

    def backward(self, dout):
        gamma, beta = self.params
        N = dout.shape[0]
        dgamma = (dout * self.xn).sum(axis=0)
        dbeta = dout.sum(axis=0)
        dx = (gamma / self.std) * (N * dout - dbeta - self.xn * dgamma)
        self.grads[0][...] = dgamma
        self.grads[1][...] = dbeta
        return dx


class BatchNormAltV4:
    def __init__(self, gamma, beta, eps=1e-6):
        self.params = [gamma, beta]
        self.grads = [np.zeros_like(gamma), np.zeros_like(beta)]
        self.eps = eps
        self.running_mean = np.zeros_like(gamma)
        self.momentum = 0.9

    def forward(self, x):
        gamma, beta = self.params
        mu, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = self.momentum * self.running_mean + (1 - self.momentum) * mu
        self.std = np.sqrt(var + self.eps)
        self.xn = (x - self.running_mean) / self.std
        return gamma * self.xn + beta

    def backward(self, dout):
        gamma, beta = self.params
        N = dout.shape[0]
        dgamma = (dout * self.xn).sum(axis=0)
        dbeta = dout.sum(axis=0)
        dx = (gamma / self.std) / N * (N * dout - dbeta - self.xn * dgamma)
        self.grads[0][...] = dgamma
        self.grads[1][...] = dbeta
        return dx


class BatchNormAltV5:
    def __init__(self, gamma, beta, eps=1e-6):
        self.params = [gamma, beta]
        self.grads = [np.zeros_like(gamma), np.zeros_like(beta)]
        self.eps = eps
        self.running_mean = np.zeros_like(gamma)
        self.momentum = 0.9

    def forward(self, x):
        gamma, beta = self.params
        mu, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = self.momentum * self.running_mean + (1 - self.momentum) * mu
        self.std = np.sqrt(var + self.eps)
        self.xn = (x - mu) / self.std
        return gamma * self.xn + beta

    def backward(self, dout):
        gamma, beta = self.params
        N = dout.shape[0]
        dgamma = (dout * self.xn).sum(axis=0)
        dbeta = dout.sum(axis=0)
        dx = dout * gamma / self.std
        self.grads[0][...] = dgamma
        return dx


class LayerNorm:
    def forward(self, x, gamma, beta):
        self.gamma = gamma
        mu = x.mean(axis=1, keepdims=True)
        v = ((x - mu) ** 2).mean(axis=1, keepdims=True)
        self.inv = 1 / np.sqrt(v + 1e-5)
        self.xhat = (x - mu) * self.inv
        return gamma * self.xhat + beta

    def backward(self, dout):
        D = dout.shape[1]
        dgamma = np.sum(dout * self.xhat, axis=0)
        dbeta = np.sum(dout, axis=0)
        g = dout * self.gamma
        dx = self.inv * (g - g.mean(axis=1, keepdims=True)
                         - self.xhat * (g * self.xhat).mean(axis=1, keepdims=True))
        return dx, dgamma, dbeta


class LayerNormV2:
    def forward(self, x, gamma, beta):
        self.gamma = gamma
        mu = x.mean(axis=0)
        v = ((x - mu) ** 2).mean(axis=1, keepdims=True)
        self.inv = 1 / np.sqrt(v + 1e-5)
        self.xhat = (x - mu) * self.inv
        return gamma * self.xhat + beta

    def backward(self, dout):
        D = dout.shape[1]
        dgamma = np.sum(dout * self.xhat, axis=0)
        dbeta = np.sum(dout, axis=0)
        g = dout * self.gamma
        dx = self.inv * (g - g.mean(axis=1, keepdims=True)
                         - self.xhat * (g * self.xhat).mean(axis=1, keepdims=True))
        return dx, dgamma, dbeta


class LayerNormV3:
    def forward(self, x, gamma, beta):
        self.gamma = gamma
        mu = x.mean(axis=1, keepdims=True)
        v = ((x - mu) ** 2).mean(axis=1, keepdims=True)
        self.inv = 1 / np.sqrt(v + 1e-5)
        self.xhat = (x - mu) * self.inv
        return gamma * self.xhat + beta

    def backward(self, dout):
        D = dout.shape[1]
        dgamma = np.sum(dout, axis=0)
        dbeta = dout
        g = dout * self.gamma
        dx = self.inv * (g - g.mean(axis=1, keepdims=True)
                         - self.xhat * (g * self.xhat).mean(axis=1, keepdims=True))
        return dx, dgamma, dbeta


class RMSNormChan:
    """(N, T, D), gain over D"""
    def __init__(self, g):
        self.g = g
        self.dg = np.zeros_like(g)
    params = property(lambda self: [self.g])
    grads = property(lambda self: [self.dg])
    def forward(self, x):
        self.x = x
        self.r = np.sqrt((x ** 2).mean(-1, keepdims=True) + 1e-8)
        return x / self.r * self.g
    def backward(self, dout):
        x, r = self.x, self.r
        self.dg[...] = (dout * x / r).sum(axis=(0, 1))
        u = dout * self.g
        return u / r - x * (u * x).mean(-1, keepdims=True) / r ** 3


def SpatialBatchNorm_bn(x, gamma, beta):
    mu = x.mean(0)
    std = np.sqrt(x.var(0) + 1e-5)
    xh = (x - mu) / std
    return xh * gamma + beta, (xh, gamma, std)

def SpatialBatchNorm_bn_back(d, cache):
    xh, gamma, std = cache
    m = d.shape[0]
    dg, db = (d * xh).sum(0), d.sum(0)
    dx = gamma / (m * std) * (m * d - db - xh * dg)
    return dx, dg, db

class SpatialBatchNorm:
    def forward(self, x, gamma, beta):
        N, C, H, W = x.shape
        flat = x.transpose(0, 2, 3, 1).reshape(-1, C)
        out, self.cache = SpatialBatchNorm_bn(flat, gamma, beta)
        return out.reshape(N, H, W, C).transpose(0, 3, 1, 2)

    def backward(self, dout):
        N, C, H, W = dout.shape
        dflat = dout.transpose(0, 2, 3, 1).reshape(-1, C)
        dx, dgamma, dbeta = SpatialBatchNorm_bn_back(dflat, self.cache)
        dx = dx.reshape(N, H, W, C).transpose(0, 3, 1, 2)
        return dx, dgamma, dbeta


def SpatialBatchNormV2_bn(x, gamma, beta):
    mu = x.mean(0)
    std = np.sqrt(x.var(0) + 1e-5)
    xh = (x - mu) / std
    return xh * gamma + beta, (xh, gamma, std)

def SpatialBatchNormV2_bn_back(d, cache):
    xh, gamma, std = cache
    m = d.shape[0]
    dg, db = (d * xh).sum(0), d.sum(0)
    dx = gamma / (m * std) * (m * d - db - xh * dg)
    return dx, dg, db

class SpatialBatchNormV2:
    def forward(self, x, gamma, beta):
        N, C, H, W = x.shape
        flat = x.transpose(0, 2, 3, 1).reshape(-1, C)
        out, self.cache = SpatialBatchNormV2_bn(flat, gamma, beta)
        return out.reshape(N, H, W, C).transpose(0, 3, 1, 2)

    def backward(self, dout):
        N, C, H, W = dout.shape
        dflat = dout.transpose(0, 2, 3, 1).reshape(-1, C)
        dx, dgamma, dbeta = SpatialBatchNormV2_bn_back(dflat, self.cache)
        dx = dx.reshape(N, C, H, W)
        return dx, dgamma, dbeta


def SpatialBatchNormV3_bn(x, gamma, beta):
    mu = x.mean(0)
    std = np.sqrt(x.var(0) + 1e-5)
    xh = (x - mu) / std
    return xh * gamma + beta, (xh, gamma, std)

def SpatialBatchNormV3_bn_back(d, cache):
    xh, gamma, std = cache
    m = d.shape[0]
    dg, db = (d * xh).sum(0), d.sum(0)
    dx = gamma / (m * std) * (m * d - xh * dg)
    return dx, dg, db

class SpatialBatchNormV3:
    def forward(self, x, gamma, beta):
        N, C, H, W = x.shape
        flat = x.transpose(0, 2, 3, 1).reshape(-1, C)
        out, self.cache = SpatialBatchNormV3_bn(flat, gamma, beta)
        return out.reshape(N, H, W, C).transpose(0, 3, 1, 2)

    def backward(self, dout):
        N, C, H, W = dout.shape
        dflat = dout.transpose(0, 2, 3, 1).reshape(-1, C)
        dx, dgamma, dbeta = SpatialBatchNormV3_bn_back(dflat, self.cache)
        dx = dx.reshape(N, H, W, C).transpose(0, 3, 1, 2)
        return dx, dgamma


class GroupNorm:
    def __init__(self, gamma, beta, G):
        self.params = [gamma, beta]          # shape (1, C, 1, 1)
        self.grads = [np.zeros_like(gamma), np.zeros_like(beta)]
        self.G = G

    def forward(self, x):
        N, C, H, W = x.shape
        xg = x.reshape(N, self.G, -1)
        mean = xg.mean(axis=2, keepdims=True)
        var = xg.var(axis=2, keepdims=True)
        self.std = np.sqrt(var + 1e-5)
        self.xg_hat = (xg - mean) / self.std
        self.x_hat = self.xg_hat.reshape(N, C, H, W)
        return self.params[0] * self.x_hat + self.params[1]

    def backward(self, dout):
        N, C, H, W = dout.shape
        dgamma = np.sum(dout * self.x_hat, axis=(0, 2, 3), keepdims=True)
        dbeta = np.sum(dout, axis=(0, 2, 3), keepdims=True)
        d = (dout * self.params[0]).reshape(N, self.G, -1)
        M = d.shape[2]
        s1 = d.sum(axis=2, keepdims=True)
        s2 = (d * self.xg_hat).sum(axis=2, keepdims=True)
        dx = (M * d - s1 - self.xg_hat * s2) / (M * self.std)
        self.grads[0][...] = dgamma
        self.grads[1][...] = dbeta
        return dx.reshape(N, C, H, W)


class GroupNormV2:
    def __init__(self, gamma, beta, G):
        self.params = [gamma, beta]          # shape (1, C, 1, 1)
        self.grads = [np.zeros_like(gamma), np.zeros_like(beta)]
        self.G = G

    def forward(self, x):
        N, C, H, W = x.shape
        xg = x.reshape(N, self.G, -1)
        mean = xg.mean(axis=2, keepdims=True)
        var = xg.var(axis=2, keepdims=True)
        self.std = np.sqrt(var + 1e-5)
        self.xg_hat = (xg - mean) / self.std
        self.x_hat = self.xg_hat.reshape(N, C, H, W)
        return self.params[0] * self.x_hat + self.params[1]

    def backward(self, dout):
        N, C, H, W = dout.shape
        dgamma = np.sum(dout * self.x_hat, axis=(0, 2, 3), keepdims=True)
        dbeta = np.sum(dout, keepdims=True)
        d = (dout * self.params[0]).reshape(N, self.G, -1)
        M = d.shape[2]
        s1 = d.sum(axis=2, keepdims=True)
        s2 = (d * self.xg_hat).sum(axis=2, keepdims=True)
        dx = (M * d - s1 - self.xg_hat * s2) / (M * self.std)
        self.grads[0][...] = dgamma
        self.grads[1][...] = dbeta
        return dx.reshape(N, C, H, W)


class Standardise:
    """every column of the batch minus its mean"""
    def forward(self, x):
        return x - x.mean(axis=0)
    def backward(self, dout):
        return dout - dout.mean(axis=0)


class UnitRows:
    def forward(self, x):
        self.n = np.linalg.norm(x)
        self.y = x / self.n
        return self.y
    def backward(self, dout):
        inner = (dout * self.y).sum(axis=1, keepdims=True)
        return (dout - self.y * inner) / self.n


class ConvNaive:
    """conv_forward_naive / conv_backward_naive with loops"""
    def __init__(self, stride=1, pad=1):
        self.stride, self.pad = stride, pad

    def forward(self, x, w, b):
        s, p = self.stride, self.pad
        N, C, H, W = x.shape
        F, _, HH, WW = w.shape
        Ho = 1 + (H + 2 * p - HH) // s
        Wo = 1 + (W + 2 * p - WW) // s
        xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        out = np.zeros((N, F, Ho, Wo))
        for n in range(N):
            for f in range(F):
                for i in range(Ho):
                    for j in range(Wo):
                        win = xp[n, :, i * s:i * s + HH, j * s:j * s + WW]
                        out[n, f, i, j] = np.sum(win * w[f]) + b[f]
        self.cache = (x, w, b, xp)
        return out

    def backward(self, dout):
        x, w, b, xp = self.cache
        s, p = self.stride, self.pad
        N, F, Ho, Wo = dout.shape
        HH, WW = w.shape[2:]
        H, W = x.shape[2:]
        dxp = np.zeros_like(xp)
        dw = np.zeros_like(w)
        db = np.sum(dout, axis=(0, 2, 3))
        for n in range(N):
            for f in range(F):
                for i in range(Ho):
                    for j in range(Wo):
                        win = xp[n, :, i * s:i * s + HH, j * s:j * s + WW]
                        dw[f] += dout[n, f, i, j] * win
                        dxp[n, :, i * s:i * s + HH, j * s:j * s + WW] += dout[n, f, i, j] * w[f]
        dx = dxp[:, :, p:p + H, p:p + W]
        return dx, dw, db


class ConvNaiveV2:
    """conv_forward_naive / conv_backward_naive with loops"""
    def __init__(self, stride=1, pad=1):
        self.stride, self.pad = stride, pad

    def forward(self, x, w, b):
        s, p = self.stride, self.pad
        N, C, H, W = x.shape
        F, _, HH, WW = w.shape
        Ho = 1 + (H + 2 * p - HH) // s
        Wo = 1 + (W + 2 * p - WW) // s
        xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        out = np.zeros((N, F, Ho, Wo))
        for n in range(N):
            for f in range(F):
                for i in range(Ho):
                    for j in range(Wo):
                        win = xp[n, :, i * s:i * s + HH, j * s:j * s + WW]
                        out[n, f, i, j] = np.sum(win * w[f]) + b[f]
        self.cache = (x, w, b, xp)
        return out

    def backward(self, dout):
        x, w, b, xp = self.cache
        s, p = self.stride, self.pad
        N, F, Ho, Wo = dout.shape
        HH, WW = w.shape[2:]
        H, W = x.shape[2:]
        dxp = np.zeros_like(xp)
        dw = np.zeros_like(w)
        db = np.sum(dout, axis=(0, 2, 3))
        for n in range(N):
            for f in range(F):
                for i in range(Ho):
                    for j in range(Wo):
                        win = xp[n, :, i * s:i * s + HH, j * s:j * s + WW]
                        dw[f] += dout[n, f, i, j] * win
                        dxp[n, :, i * s:i * s + HH, j * s:j * s + WW] += dout[n, f, i, j] * w[f, :, ::-1, ::-1]
        dx = dxp[:, :, p:p + H, p:p + W]
        return dx, dw, db


class ConvNaiveV3:
    """conv_forward_naive / conv_backward_naive with loops"""
    def __init__(self, stride=1, pad=1):
        self.stride, self.pad = stride, pad

    def forward(self, x, w, b):
        s, p = self.stride, self.pad
        N, C, H, W = x.shape
        F, _, HH, WW = w.shape
        Ho = 1 + (H + 2 * p - HH) // s
        Wo = 1 + (W + 2 * p - WW) // s
        xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        out = np.zeros((N, F, Ho, Wo))
        for n in range(N):
            for f in range(F):
                for i in range(Ho):
                    for j in range(Wo):
                        win = xp[n, :, i * s:i * s + HH, j * s:j * s + WW]
                        out[n, f, i, j] = np.sum(win * w[f]) + b[f]
        self.cache = (x, w, b, xp)
        return out

    def backward(self, dout):
        x, w, b, xp = self.cache
        s, p = self.stride, self.pad
        N, F, Ho, Wo = dout.shape
        HH, WW = w.shape[2:]
        H, W = x.shape[2:]
        dxp = np.zeros_like(xp)
        dw = np.zeros_like(w)
        db = np.sum(dout, axis=(2, 3))
        for n in range(N):
            for f in range(F):
                for i in range(Ho):
                    for j in range(Wo):
                        win = xp[n, :, i * s:i * s + HH, j * s:j * s + WW]
                        dw[f] += dout[n, f, i, j] * win
                        dxp[n, :, i * s:i * s + HH, j * s:j * s + WW] += dout[n, f, i, j] * w[f]
        dx = dxp[:, :, p:p + H, p:p + W]
        return dx, dw, db


class ConvNaiveV4:
    """conv_forward_naive / conv_backward_naive with loops"""
    def __init__(self, stride=1, pad=1):
        self.stride, self.pad = stride, pad

    def forward(self, x, w, b):
        s, p = self.stride, self.pad
        N, C, H, W = x.shape
        F, _, HH, WW = w.shape
        Ho = 1 + (H + 2 * p - HH) // s
        Wo = 1 + (W + 2 * p - WW) // s
        xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        out = np.zeros((N, F, Ho, Wo))
        for n in range(N):
            for f in range(F):
                for i in range(Ho):
                    for j in range(Wo):
                        win = xp[n, :, i * s:i * s + HH, j * s:j * s + WW]
                        out[n, f, i, j] = np.sum(win * w[f]) + b[f]
        self.cache = (x, w, b, xp)
        return out

    def backward(self, dout):
        x, w, b, xp = self.cache
        s, p = self.stride, self.pad
        N, F, Ho, Wo = dout.shape
        HH, WW = w.shape[2:]
        H, W = x.shape[2:]
        dxp = np.zeros_like(xp)
        dw = np.zeros_like(w)
        db = np.sum(dout, axis=(0, 2, 3))
        for n in range(N):
            for f in range(F):
                for i in range(Ho):
                    for j in range(Wo):
                        win = xp[n, :, i * s:i * s + HH, j * s:j * s + WW]
                        dw[f] += dout[n, f, i, j] * win
                        dxp[n, :, i * s:i * s + HH, j * s:j * s + WW] = dout[n, f, i, j] * w[f]
        dx = dxp[:, :, p:p + H, p:p + W]
        return dx, dw, db


class ConvNaiveV5:
    """conv_forward_naive / conv_backward_naive with loops"""
    def __init__(self, stride=1, pad=1):
        self.stride, self.pad = stride, pad

    def forward(self, x, w, b):
        s, p = self.stride, self.pad
        N, C, H, W = x.shape
        F, _, HH, WW = w.shape
        Ho = 1 + (H + 2 * p - HH) // s
        Wo = 1 + (W + 2 * p - WW) // s
        xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        out = np.zeros((N, F, Ho, Wo))
        for n in range(N):
            for f in range(F):
                for i in range(Ho):
                    for j in range(Wo):
                        win = xp[n, :, i * s:i * s + HH, j * s:j * s + WW]
                        out[n, f, i, j] = np.sum(win * w[f]) + b[f]
        self.cache = (x, w, b, xp)
        return out

    def backward(self, dout):
        x, w, b, xp = self.cache
        s, p = self.stride, self.pad
        N, F, Ho, Wo = dout.shape
        HH, WW = w.shape[2:]
        H, W = x.shape[2:]
        dxp = np.zeros_like(xp)
        dw = np.zeros_like(w)
        db = np.mean(dout, axis=(0, 2, 3))
        for n in range(N):
            for f in range(F):
                for i in range(Ho):
                    for j in range(Wo):
                        win = xp[n, :, i * s:i * s + HH, j * s:j * s + WW]
                        dw[f] += dout[n, f, i, j] * win
                        dxp[n, :, i * s:i * s + HH, j * s:j * s + WW] += dout[n, f, i, j] * w[f, :, ::-1, ::-1]
        dx = dxp[:, :, p:p + H, p:p + W]
        return dx, dw, db


def Convolution_im2col(x, fh, fw, stride, pad):
    N, C, H, W = x.shape
    oh = (H + 2 * pad - fh) // stride + 1
    ow = (W + 2 * pad - fw) // stride + 1
    img = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)], 'constant')
    col = np.zeros((N, C, fh, fw, oh, ow), dtype=x.dtype)
    for y in range(fh):
        for xx in range(fw):
            col[:, :, y, xx] = img[:, :, y:y + stride * oh:stride, xx:xx + stride * ow:stride]
    return col.transpose(0, 4, 5, 1, 2, 3).reshape(N * oh * ow, -1)

def Convolution_col2im(col, shape, fh, fw, stride, pad):
    N, C, H, W = shape
    oh = (H + 2 * pad - fh) // stride + 1
    ow = (W + 2 * pad - fw) // stride + 1
    col = col.reshape(N, oh, ow, C, fh, fw).transpose(0, 3, 4, 5, 1, 2)
    img = np.zeros((N, C, H + 2 * pad, W + 2 * pad), dtype=col.dtype)
    for y in range(fh):
        for xx in range(fw):
            img[:, :, y:y + stride * oh:stride, xx:xx + stride * ow:stride] += col[:, :, y, xx]
    return img[:, :, pad:H + pad, pad:W + pad]

class Convolution:
    def __init__(self, W, b, stride=1, pad=0):
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]
        self.stride = stride
        self.pad = pad

    def forward(self, x):
        W, b = self.params
        FN, C, FH, FW = W.shape
        N, C, H, wd = x.shape
        oh = (H + 2 * self.pad - FH) // self.stride + 1
        ow = (wd + 2 * self.pad - FW) // self.stride + 1
        col = Convolution_im2col(x, FH, FW, self.stride, self.pad)
        col_W = W.reshape(FN, -1).T
        out = np.dot(col, col_W) + b
        self.x = x
        self.col = col
        self.col_W = col_W
        return out.reshape(N, oh, ow, -1).transpose(0, 3, 1, 2)

    def backward(self, dout):
        W, b = self.params
        FN, C, FH, FW = W.shape
        dout = dout.transpose(0, 2, 3, 1).reshape(-1, FN)
        db = np.sum(dout, axis=0)
        dW = np.dot(self.col.T, dout)
        dW = dW.transpose(1, 0).reshape(FN, C, FH, FW)
        self.grads[0][...] = dW
        self.grads[1][...] = db
        dcol = np.dot(dout, self.col_W.T)
        dx = Convolution_col2im(dcol, self.x.shape, FH, FW, self.stride, self.pad)
        return dx


def ConvolutionV2_im2col(x, fh, fw, stride, pad):
    N, C, H, W = x.shape
    oh = (H + 2 * pad - fh) // stride + 1
    ow = (W + 2 * pad - fw) // stride + 1
    img = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)], 'constant')
    col = np.zeros((N, C, fh, fw, oh, ow), dtype=x.dtype)
    for y in range(fh):
        for xx in range(fw):
            col[:, :, y, xx] = img[:, :, y:y + stride * oh:stride, xx:xx + stride * ow:stride]
    return col.transpose(0, 4, 5, 1, 2, 3).reshape(N * oh * ow, -1)

def ConvolutionV2_col2im(col, shape, fh, fw, stride, pad):
    N, C, H, W = shape
    oh = (H + 2 * pad - fh) // stride + 1
    ow = (W + 2 * pad - fw) // stride + 1
    col = col.reshape(N, oh, ow, C, fh, fw).transpose(0, 3, 4, 5, 1, 2)
    img = np.zeros((N, C, H + 2 * pad, W + 2 * pad), dtype=col.dtype)
    for y in range(fh):
        for xx in range(fw):
            img[:, :, y:y + stride * oh:stride, xx:xx + stride * ow:stride] += col[:, :, y, xx]
    return img[:, :, pad:H + pad, pad:W + pad]

class ConvolutionV2:
    def __init__(self, W, b, stride=1, pad=0):
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]
        self.stride = stride
        self.pad = pad

    def forward(self, x):
        W, b = self.params
        FN, C, FH, FW = W.shape
        N, C, H, wd = x.shape
        oh = (H + 2 * self.pad - FH) // self.stride + 1
        ow = (wd + 2 * self.pad - FW) // self.stride + 1
        col = ConvolutionV2_im2col(x, FH, FW, self.stride, self.pad)
        col_W = W.reshape(FN, -1).T
        out = np.dot(col, col_W) + b
        self.x = x
        self.col = col
        self.col_W = col_W
        return out.reshape(N, oh, ow, -1).transpose(0, 3, 1, 2)

    def backward(self, dout):
        W, b = self.params
        FN, C, FH, FW = W.shape
        dout = dout.transpose(0, 2, 3, 1).reshape(-1, FN)
        db = np.sum(dout, axis=0)
        dW = np.dot(self.col.T, dout)
        dW = dW.transpose(1, 0).reshape(FN, C, FH, FW)
        self.grads[0][...] = dW
        self.grads[1][...] = db
        dcol = np.dot(dout, self.col_W.T)
        dx = ConvolutionV2_col2im(dcol, self.x.shape, FH, FW, self.stride, self.pad)
        return dx


def ConvolutionV3_im2col(x, fh, fw, stride, pad):
    N, C, H, W = x.shape
    oh = (H + 2 * pad - fh) // stride + 1
    ow = (W + 2 * pad - fw) // stride + 1
    img = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)], 'constant')
    col = np.zeros((N, C, fh, fw, oh, ow), dtype=x.dtype)
    for y in range(fh):
        for xx in range(fw):
            col[:, :, y, xx] = img[:, :, y:y + stride * oh:stride, xx:xx + stride * ow:stride]
    return col.transpose(0, 4, 5, 1, 2, 3).reshape(N * oh * ow, -1)

def ConvolutionV3_col2im(col, shape, fh, fw, stride, pad):
    N, C, H, W = shape
    oh = (H + 2 * pad - fh) // stride + 1
    ow = (W + 2 * pad - fw) // stride + 1
    col = col.reshape(N, oh, ow, C, fh, fw).transpose(0, 3, 4, 5, 1, 2)
    img = np.zeros((N, C, H + 2 * pad, W + 2 * pad), dtype=col.dtype)
    for y in range(fh):
        for xx in range(fw):
            img[:, :, y:y + stride * oh:stride, xx:xx + stride * ow:stride] += col[:, :, y, xx]
    return img[:, :, pad:H + pad, pad:W + pad]

class ConvolutionV3:
    def __init__(self, W, b, stride=1, pad=0):
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]
        self.stride = stride
        self.pad = pad

    def forward(self, x):
        W, b = self.params
        FN, C, FH, FW = W.shape
        N, C, H, wd = x.shape
        oh = (H + 2 * self.pad - FH) // self.stride + 1
        ow = (wd + 2 * self.pad - FW) // self.stride + 1
        col = ConvolutionV3_im2col(x, FH, FW, self.stride, self.pad)
        col_W = W.reshape(FN, -1).T
        out = np.dot(col, col_W) + b
        self.x = x
        self.col = col
        self.col_W = col_W
        return out.reshape(N, oh, ow, -1).transpose(0, 3, 1, 2)

    def backward(self, dout):
        W, b = self.params
        FN, C, FH, FW = W.shape
        dout = dout.transpose(0, 2, 3, 1).reshape(-1, FN)
        db = np.sum(dout, axis=0)
        dW = np.dot(self.col.T, dout)
        dW = dW.transpose(1, 0).reshape(FN, C, FH, FW)
        self.grads[0][...] = dW
        self.grads[1][...] = db
        dcol = np.dot(dout, self.col_W.T)
        dx = ConvolutionV3_col2im(dcol, self.x.shape, FH, FW, self.stride, self.pad)
        return dx


def ConvolutionV4_im2col(x, fh, fw, stride, pad):
    N, C, H, W = x.shape
    oh = (H + 2 * pad - fh) // stride + 1
    ow = (W + 2 * pad - fw) // stride + 1
    img = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)], 'constant')
    col = np.zeros((N, C, fh, fw, oh, ow), dtype=x.dtype)
    for y in range(fh):
        for xx in range(fw):
            col[:, :, y, xx] = img[:, :, y:y + stride * oh:stride, xx:xx + stride * ow:stride]
    return col.transpose(0, 4, 5, 1, 2, 3).reshape(N * oh * ow, -1)

def ConvolutionV4_col2im(col, shape, fh, fw, stride, pad):
    N, C, H, W = shape
    oh = (H + 2 * pad - fh) // stride + 1
    ow = (W + 2 * pad - fw) // stride + 1
    col = col.reshape(N, oh, ow, C, fh, fw).transpose(0, 3, 4, 5, 1, 2)
    img = np.zeros((N, C, H + 2 * pad, W + 2 * pad), dtype=col.dtype)
    for y in range(fh):
        for xx in range(fw):
            img[:, :, y:y + stride * oh:stride, xx:xx + stride * ow:stride] += col[:, :, y, xx]
    return img[:, :, pad:H + pad, pad:W + pad]

class ConvolutionV4:
    def __init__(self, W, b, stride=1, pad=0):
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]
        self.stride = stride
        self.pad = pad

    def forward(self, x):
        W, b = self.params
        FN, C, FH, FW = W.shape
        N, C, H, wd = x.shape
        oh = (H + 2 * self.pad - FH) // self.stride + 1
        ow = (wd + 2 * self.pad - FW) // self.stride + 1
        col = ConvolutionV4_im2col(x, FH, FW, self.stride, self.pad)
        col_W = W.reshape(FN, -1).T
        out = np.dot(col, col_W) + b
        self.x = x
        self.col = col
        self.col_W = col_W
        return out.reshape(N, oh, ow, -1).transpose(0, 3, 1, 2)

    def backward(self, dout):
        W, b = self.params
        FN, C, FH, FW = W.shape
        dout = dout.transpose(0, 2, 3, 1).reshape(-1, FN)
        db = np.sum(dout, axis=0)
        dW = np.dot(self.col.T, dout)
        dW = dW.reshape(FN, C, FH, FW)
        self.grads[0][...] = dW
        self.grads[1][...] = db
        dcol = np.dot(dout, self.col_W.T)
        dx = ConvolutionV4_col2im(dcol, self.x.shape, FH, FW, self.stride, self.pad)
        return dx


def ConvolutionV5_im2col(x, fh, fw, stride, pad):
    N, C, H, W = x.shape
    oh = (H + 2 * pad - fh) // stride + 1
    ow = (W + 2 * pad - fw) // stride + 1
    img = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)], 'constant')
    col = np.zeros((N, C, fh, fw, oh, ow), dtype=x.dtype)
    for y in range(fh):
        for xx in range(fw):
            col[:, :, y, xx] = img[:, :, y:y + stride * oh:stride, xx:xx + stride * ow:stride]
    return col.transpose(0, 4, 5, 1, 2, 3).reshape(N * oh * ow, -1)

def ConvolutionV5_col2im(col, shape, fh, fw, stride, pad):
    N, C, H, W = shape
    oh = (H + 2 * pad - fh) // stride + 1
    ow = (W + 2 * pad - fw) // stride + 1
    col = col.reshape(N, oh, ow, C, fh, fw).transpose(0, 3, 4, 5, 1, 2)
    img = np.zeros((N, C, H + 2 * pad, W + 2 * pad), dtype=col.dtype)
    for y in range(fh):
        for xx in range(fw):
            img[:, :, y:y + stride * oh:stride, xx:xx + stride * ow:stride] = col[:, :, y, xx]
    return img[:, :, pad:H + pad, pad:W + pad]

class ConvolutionV5:
    def __init__(self, W, b, stride=1, pad=0):
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]
        self.stride = stride
        self.pad = pad

    def forward(self, x):
        W, b = self.params
        FN, C, FH, FW = W.shape
        N, C, H, wd = x.shape
        oh = (H + 2 * self.pad - FH) // self.stride + 1
        ow = (wd + 2 * self.pad - FW) // self.stride + 1
        col = ConvolutionV5_im2col(x, FH, FW, self.stride, self.pad)
        col_W = W.reshape(FN, -1).T
        out = np.dot(col, col_W) + b
        self.x = x
        self.col = col
        self.col_W = col_W
        return out.reshape(N, oh, ow, -1).transpose(0, 3, 1, 2)

    def backward(self, dout):
        W, b = self.params
        FN, C, FH, FW = W.shape
        dout = dout.transpose(0, 2, 3, 1).reshape(-1, FN)
        db = np.sum(dout, axis=0)
        dW = np.dot(self.col.T, dout)
        dW = dW.transpose(1, 0).reshape(FN, C, FH, FW)
        self.grads[0][...] = dW
        self.grads[1][...] = db
        dcol = np.dot(dout, self.col_W.T)
        dx = ConvolutionV5_col2im(dcol, self.x.shape, FH, FW, self.stride, self.pad)
        return dx


def ConvolutionV6_im2col(x, fh, fw, stride, pad):
    N, C, H, W = x.shape
    oh = (H + 2 * pad - fh) // stride + 1
    ow = (W + 2 * pad - fw) // stride + 1
    img = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)], 'constant')
    col = np.zeros((N, C, fh, fw, oh, ow), dtype=x.dtype)
    for y in range(fh):
        for xx in range(fw):
            col[:, :, y, xx] = img[:, :, y:y + stride * oh:stride, xx:xx + stride * ow:stride]
    return col.transpose(0, 4, 5, 1, 2, 3).reshape(N * oh * ow, -1)

def ConvolutionV6_col2im(col, shape, fh, fw, stride, pad):
    N, C, H, W = shape
    oh = (H + 2 * pad - fh) // stride + 1
    ow = (W + 2 * pad - fw) // stride + 1
    col = col.reshape(N, oh, ow, C, fh, fw).transpose(0, 3, 4, 5, 1, 2)
    img = np.zeros((N, C, H + 2 * pad, W + 2 * pad), dtype=col.dtype)
    for y in range(fh):
        for xx in range(fw):
            img[:, :, y:y + stride * oh:stride, xx:xx + stride * ow:stride] += col[:, :, y, xx]
    return img[:, :, pad:H + pad, pad:W + pad]

class ConvolutionV6:
    def __init__(self, W, b, stride=1, pad=0):
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]
        self.stride = stride
        self.pad = pad

    def forward(self, x):
        W, b = self.params
        FN, C, FH, FW = W.shape
        N, C, H, wd = x.shape
        oh = (H + 2 * self.pad - FH) // self.stride + 1
        ow = (wd + 2 * self.pad - FW) // self.stride + 1
        col = ConvolutionV6_im2col(x, FH, FW, self.stride, self.pad)
        col_W = W.reshape(FN, -1).T
        out = np.dot(col, col_W) + b
        self.x = x
        self.col = col
        self.col_W = col_W
        return out.reshape(N, oh, ow, -1).transpose(0, 3, 1, 2)

    def backward(self, dout):
        W, b = self.params
        FN, C, FH, FW = W.shape
        dout = dout.transpose(0, 2, 3, 1).reshape(-1, FN)
        db = np.sum(dout, axis=0)
        dW = np.dot(self.col.T, dout)
        dW = dW.transpose(1, 0).reshape(FN, C, FH, FW)
        self.grads[0][...] = dW
        self.grads[1] = db
        dcol = np.dot(dout, self.col_W.T)
        dx = ConvolutionV6_col2im(dcol, self.x.shape, FH, FW, self.stride, self.pad)
        return dx


def ConvolutionV7_im2col(x, fh, fw, stride, pad):
    N, C, H, W = x.shape
    oh = (H + 2 * pad - fh) // stride + 1
    ow = (W + 2 * pad - fw) // stride + 1
    img = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)], 'constant')
    col = np.zeros((N, C, fh, fw, oh, ow), dtype=x.dtype)
    for y in range(fh):
        for xx in range(fw):
            col[:, :, y, xx] = img[:, :, y:y + stride * oh:stride, xx:xx + stride * ow:stride]
    return col.transpose(0, 4, 5, 1, 2, 3).reshape(N * oh * ow, -1)

def ConvolutionV7_col2im(col, shape, fh, fw, stride, pad):
    N, C, H, W = shape
    oh = (H + 2 * pad - fh) // stride + 1
    ow = (W + 2 * pad - fw) // stride + 1
    col = col.reshape(N, oh, ow, C, fh, fw).transpose(0, 3, 4, 5, 1, 2)
    img = np.zeros((N, C, H + 2 * pad, W + 2 * pad), dtype=col.dtype)
    for y in range(fh):
        for xx in range(fw):
            img[:, :, y:y + stride * oh:stride, xx:xx + stride * ow:stride] += col[:, :, y, xx]
    return img[:, :, pad:H + pad, pad:W + pad]

class ConvolutionV7:
    def __init__(self, W, b, stride=1, pad=0):
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]
        self.stride = stride
        self.pad = pad

    def forward(self, x):
        W, b = self.params
        FN, C, FH, FW = W.shape
        N, C, H, wd = x.shape
        oh = (H + 2 * self.pad - FH) // self.stride + 1
        ow = (wd + 2 * self.pad - FW) // self.stride + 1
        col = ConvolutionV7_im2col(x, FH, FW, self.stride, self.pad)
        col_W = W.reshape(FN, -1).T
        out = np.dot(col, col_W) + b
        self.x = x
        self.col = col
        self.col_W = col_W
        return out.reshape(N, oh, ow, -1).transpose(0, 3, 1, 2)

    def backward(self, dout):
        W, b = self.params
        FN, C, FH, FW = W.shape
        dout = dout.reshape(-1, FN)
        db = np.sum(dout)
        dW = np.dot(self.col.T, dout)
        dW = dW.transpose(1, 0).reshape(FN, C, FH, FW)
        self.grads[0][...] = dW
        self.grads[1][...] = db
        dcol = np.dot(dout, self.col_W.T)
        dx = ConvolutionV7_col2im(dcol, self.x.shape, FH, FW, self.stride, self.pad)
        return dx


def ConvolutionV8_im2col(x, fh, fw, stride, pad):
    N, C, H, W = x.shape
    oh = (H + 2 * pad - fh) // stride + 1
    ow = (W + 2 * pad - fw) // stride + 1
    img = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)], 'constant')
    col = np.zeros((N, C, fh, fw, oh, ow), dtype=x.dtype)
    for y in range(fh):
        for xx in range(fw):
            col[:, :, y, xx] = img[:, :, y:y + stride * oh:stride, xx:xx + stride * ow:stride]
    return col.transpose(0, 4, 5, 1, 2, 3).reshape(N * oh * ow, -1)

def ConvolutionV8_col2im(col, shape, fh, fw, stride, pad):
    N, C, H, W = shape
    oh = (H + 2 * pad - fh) // stride + 1
    ow = (W + 2 * pad - fw) // stride + 1
    col = col.reshape(N, oh, ow, C, fh, fw).transpose(0, 3, 4, 5, 1, 2)
    img = np.zeros((N, C, H + 2 * pad, W + 2 * pad), dtype=col.dtype)
    for y in range(fh):
        for xx in range(fw):
            img[:, :, y:y + stride * oh:stride, xx:xx + stride * ow:stride] += col[:, :, y, xx]
    return img[:, :, pad:H + pad, pad:W + pad]

class ConvolutionV8:
    def __init__(self, W, b, stride=1, pad=0):
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]
        self.stride = stride
        self.pad = pad

    def forward(self, x):
        W, b = self.params
        FN, C, FH, FW = W.shape
        N, C, H, wd = x.shape
        oh = (H + 2 * self.pad - FH) // self.stride + 1
        ow = (wd + 2 * self.pad - FW) // self.stride + 1
        col = ConvolutionV8_im2col(x, FH, FW, self.stride, self.pad)
        col_W = W.reshape(FN, -1).T
        out = np.dot(col, col_W) + b
        self.x = x
        self.col = col
        self.col_W = col_W
        return out.reshape(N, oh, ow, -1).transpose(0, 3, 1, 2)

    def backward(self, dout):
        W, b = self.params
        FN, C, FH, FW = W.shape
        dout = dout.transpose(0, 2, 3, 1).reshape(-1, FN)
        db = np.sum(dout, axis=0)
        dW = np.dot(self.col.T, dout)
        dW = dW.transpose(1, 0).reshape(FN, C, FH, FW)
        self.dW = dW
        self.grads[1][...] = db
        dcol = np.dot(dout, W[:, :, ::-1, ::-1].reshape(FN, -1))
        dx = ConvolutionV8_col2im(dcol, self.x.shape, FH, FW, self.stride, self.pad)
        return dx


class ConvNHWC:
    """channels last, kernel (K, K, Cin, Cout), stride 1; the input gradient is again a convolution"""
    def __init__(self, weight):
        self.params = [weight]
        self.grads = [np.zeros_like(weight)]

    @staticmethod
    def conv(Z, W):
        K = W.shape[0]
        N, H, Wd, C = Z.shape
        Ns, Hs, Ws, Cs = Z.strides
        V = np.lib.stride_tricks.as_strided(Z, (N, H - K + 1, Wd - K + 1, K, K, C), (Ns, Hs, Ws, Hs, Ws, Cs))
        return np.einsum('nhwklc,klco->nhwo', V, W)

    def forward(self, Z):
        self.Z = Z
        return self.conv(Z, self.params[0])

    def backward(self, out_grad):
        W = self.params[0]
        K = W.shape[0]
        padded = np.pad(out_grad, ((0, 0), (K - 1, K - 1), (K - 1, K - 1), (0, 0)))
        Wt = np.flip(W, (0, 1)).transpose(0, 1, 3, 2)
        dZ = self.conv(padded, np.ascontiguousarray(Wt))
        Zt = np.ascontiguousarray(self.Z.transpose(3, 1, 2, 0))
        Gt = np.ascontiguousarray(out_grad.transpose(1, 2, 0, 3))
        dW = np.zeros_like(W)
        for i in range(K):
            for j in range(K):
                patch = Zt[:, i:i + Gt.shape[0], j:j + Gt.shape[1], :]
                dW[i, j] = np.einsum('chwn,hwno->co', patch, Gt)
        self.grads[0][...] = dW
        return dZ


class ConvNHWCV2:
    """channels last, kernel (K, K, Cin, Cout), stride 1; the input gradient is again a convolution"""
    def __init__(self, weight):
        self.params = [weight]
        self.grads = [np.zeros_like(weight)]

    @staticmethod
    def conv(Z, W):
        K = W.shape[0]
        N, H, Wd, C = Z.shape
        Ns, Hs, Ws, Cs = Z.strides
        V = np.lib.stride_tricks.as_strided(Z, (N, H - K + 1, Wd - K + 1, K, K, C), (Ns, Hs, Ws, Hs, Ws, Cs))
        return np.einsum('nhwklc,klco->nhwo', V, W)

    def forward(self, Z):
        self.Z = Z
        return self.conv(Z, self.params[0])

    def backward(self, out_grad):
        W = self.params[0]
        K = W.shape[0]
        padded = np.pad(out_grad, ((0, 0), (K - 1, K - 1), (K - 1, K - 1), (0, 0)))
        Wt = W.transpose(0, 1, 3, 2)
        dZ = self.conv(padded, np.ascontiguousarray(Wt))
        Zt = np.ascontiguousarray(self.Z.transpose(3, 1, 2, 0))
        Gt = np.ascontiguousarray(out_grad.transpose(1, 2, 0, 3))
        dW = np.zeros_like(W)
        for i in range(K):
            for j in range(K):
                patch = Zt[:, i:i + Gt.shape[0], j:j + Gt.shape[1], :]
                dW[i, j] = np.einsum('chwn,hwno->co', patch, Gt)
        self.grads[0][...] = dW
        return dZ


class ConvNHWCV3:
    """channels last, kernel (K, K, Cin, Cout), stride 1; the input gradient is again a convolution"""
    def __init__(self, weight):
        self.params = [weight]
        self.grads = [np.zeros_like(weight)]

    @staticmethod
    def conv(Z, W):
        K = W.shape[0]
        N, H, Wd, C = Z.shape
        Ns, Hs, Ws, Cs = Z.strides
        V = np.lib.stride_tricks.as_strided(Z, (N, H - K + 1, Wd - K + 1, K, K, C), (Ns, Hs, Ws, Hs, Ws, Cs))
        return np.einsum('nhwklc,klco->nhwo', V, W)

    def forward(self, Z):
        self.Z = Z
        return self.conv(Z, self.params[0])

    def backward(self, out_grad):
        W = self.params[0]
        K = W.shape[0]
        padded = np.pad(out_grad, ((0, 0), (K - 1, K - 1), (K - 1, K - 1), (0, 0)))
        Wt = np.flip(W, (0, 1))
        dZ = self.conv(padded, np.ascontiguousarray(Wt))
        Zt = np.ascontiguousarray(self.Z.transpose(3, 1, 2, 0))
        Gt = np.ascontiguousarray(out_grad.transpose(1, 2, 0, 3))
        dW = np.zeros_like(W)
        for i in range(K):
            for j in range(K):
                patch = Zt[:, i:i + Gt.shape[0], j:j + Gt.shape[1], :]
                dW[i, j] = np.einsum('chwn,hwno->co', patch, Gt)
        self.grads[0][...] = dW
        return dZ


class ConvNHWCV4:
    """channels last, kernel (K, K, Cin, Cout), stride 1; the input gradient is again a convolution"""
    def __init__(self, weight):
        self.params = [weight]
        self.grads = [np.zeros_like(weight)]

    @staticmethod
    def conv(Z, W):
        K = W.shape[0]
        N, H, Wd, C = Z.shape
        Ns, Hs, Ws, Cs = Z.strides
        V = np.lib.stride_tricks.as_strided(Z, (N, H - K + 1, Wd - K + 1, K, K, C), (Ns, Hs, Ws, Hs, Ws, Cs))
        return np.einsum('nhwklc,klco->nhwo', V, W)

    def forward(self, Z):
        self.Z = Z
        return self.conv(Z, self.params[0])

    def backward(self, out_grad):
        W = self.params[0]
        K = W.shape[0]
        padded = np.pad(out_grad, ((0, 0), (K - 1, K - 1), (K - 1, K - 1), (0, 0)))
        Wt = np.flip(W, (0, 1)).transpose(0, 1, 3, 2)
        dZ = self.conv(padded, np.ascontiguousarray(Wt))
        Zt = np.ascontiguousarray(self.Z.transpose(3, 1, 2, 0))
        Gt = np.ascontiguousarray(out_grad.transpose(1, 2, 0, 3))
        dW = np.zeros_like(W)
        for i in range(K):
            for j in range(K):
                patch = Zt[:, i:i + Gt.shape[0], j:j + Gt.shape[1], :]
                dW[K - 1 - i, K - 1 - j] = np.einsum('chwn,hwno->co', patch, Gt)
        self.grads[0][...] = 2 * dW
        return dZ


class CausalConv1d:
    def forward(self, x, k):               # x (N, T), k (K,)
        self.x, self.k = x, k
        self.xp = np.concatenate([np.zeros((x.shape[0], len(k) - 1)), x], axis=1)
        T = x.shape[1]
        return sum(k[i] * self.xp[:, len(k) - 1 - i:len(k) - 1 - i + T] for i in range(len(k)))

    def backward(self, dout):
        T, K = self.x.shape[1], len(self.k)
        dxp = np.zeros_like(self.xp)
        dk = np.zeros(K)
        for i in range(K):
            a = K - 1 - i
            dxp[:, a:a + T] += self.k[i] * dout
            dk[i] = np.sum(dout * self.xp[:, a:a + T])
        return dxp[:, K - 1:], dk


class CausalConv1dV2:
    def forward(self, x, k):               # x (N, T), k (K,)
        self.x, self.k = x, k
        self.xp = np.concatenate([np.zeros((x.shape[0], len(k) - 1)), x], axis=1)
        T = x.shape[1]
        return sum(k[i] * self.xp[:, len(k) - 1 - i:len(k) - 1 - i + T] for i in range(len(k)))

    def backward(self, dout):
        T, K = self.x.shape[1], len(self.k)
        dxp = np.zeros_like(self.xp)
        dk = np.zeros(K)
        for i in range(K):
            a = K - 1 - i
            dxp[:, a:a + T] += self.k[a] * dout
            dk[i] = np.sum(dout * self.xp[:, a:a + T])
        return dxp[:, K - 1:], dk


class DepthwiseConv:
    def __init__(self, w, b):
        self.w, self.b = w, b
        self.params = [w, b]
        self.grads = [np.zeros_like(w), np.zeros_like(b)]
    def forward(self, x):
        k = self.w.shape[1]
        self.x = x
        oh, ow = x.shape[2] - k + 1, x.shape[3] - k + 1
        y = np.zeros(x.shape[:2] + (oh, ow))
        for i in range(k):
            for j in range(k):
                y += self.w[None, :, i, j, None, None] * x[:, :, i:i + oh, j:j + ow]
        return y + self.b[None, :, None, None]
    def backward(self, dy):
        k = self.w.shape[1]
        oh, ow = dy.shape[2:]
        dx = np.zeros_like(self.x)
        gw = self.grads[0]
        for i in range(k):
            for j in range(k):
                gw[:, i, j] = np.einsum('ncij,ncij->c', dy, self.x[:, :, i:i + oh, j:j + ow])
                dx[:, :, i:i + oh, j:j + ow] += self.w[None, :, i, j, None, None] * dy
        self.grads[1][...] = dy.sum((0, 2, 3))
        return dx


class DepthwiseConvV2:
    def __init__(self, w, b):
        self.w, self.b = w, b
        self.params = [w, b]
        self.grads = [np.zeros_like(w), np.zeros_like(b)]
    def forward(self, x):
        k = self.w.shape[1]
        self.x = x
        oh, ow = x.shape[2] - k + 1, x.shape[3] - k + 1
        y = np.zeros(x.shape[:2] + (oh, ow))
        for i in range(k):
            for j in range(k):
                y += self.w[None, :, i, j, None, None] * x[:, :, i:i + oh, j:j + ow]
        return y + self.b[None, :, None, None]
    def backward(self, dy):
        k = self.w.shape[1]
        oh, ow = dy.shape[2:]
        dx = np.zeros_like(self.x)
        gw = self.grads[0]
        for i in range(k):
            for j in range(k):
                gw[:, i, j] = np.einsum('ncij,ncij->c', dy, self.x[:, :, i:i + oh, j:j + ow])
                dx[:, :, i:i + oh, j:j + ow] += self.w[None, :, i, j, None, None] * dy
        return dx


class DepthwiseConvV3:
    def __init__(self, w, b):
        self.w, self.b = w, b
        self.params = [w, b]
        self.grads = [np.zeros_like(w), np.zeros_like(b)]
    def forward(self, x):
        k = self.w.shape[1]
        self.x = x
        oh, ow = x.shape[2] - k + 1, x.shape[3] - k + 1
        y = np.zeros(x.shape[:2] + (oh, ow))
        for i in range(k):
            for j in range(k):
                y += self.w[None, :, i, j, None, None] * x[:, :, i:i + oh, j:j + ow]
        return y + self.b[None, :, None, None]
    def backward(self, dy):
        k = self.w.shape[1]
        oh, ow = dy.shape[2:]
        dx = np.zeros_like(self.x)
        gw = self.grads[0]
        for i in range(k):
            for j in range(k):
                gw[:, i, j] = np.einsum('ncij,ncij->c', dy, self.x[:, :, i:i + oh, j:j + ow])
                dx[:, :, i:i + oh, j:j + ow] = self.w[None, :, i, j, None, None] * dy
        self.grads[1][...] = dy.sum()
        return dx


class MaxPoolNaive:
    def __init__(self, size, stride):
        self.size, self.stride = size, stride

    def forward(self, x):
        k, s = self.size, self.stride
        N, C, H, W = x.shape
        self.x = x
        out = np.zeros((N, C, (H - k) // s + 1, (W - k) // s + 1))
        for i in range(out.shape[2]):
            for j in range(out.shape[3]):
                out[:, :, i, j] = x[:, :, i * s:i * s + k, j * s:j * s + k].max(axis=(2, 3))
        return out

    def backward(self, dout):
        k, s = self.size, self.stride
        x = self.x
        dx = np.zeros_like(x)
        N, C, Ho, Wo = dout.shape
        for n in range(N):
            for c in range(C):
                for i in range(Ho):
                    for j in range(Wo):
                        win = x[n, c, i * s:i * s + k, j * s:j * s + k]
                        mask = (win == np.max(win))
                        dx[n, c, i * s:i * s + k, j * s:j * s + k] += mask * dout[n, c, i, j]
        return dx


class MaxPoolNaiveV2:
    def __init__(self, size, stride):
        self.size, self.stride = size, stride

    def forward(self, x):
        k, s = self.size, self.stride
        N, C, H, W = x.shape
        self.x = x
        out = np.zeros((N, C, (H - k) // s + 1, (W - k) // s + 1))
        for i in range(out.shape[2]):
            for j in range(out.shape[3]):
                out[:, :, i, j] = x[:, :, i * s:i * s + k, j * s:j * s + k].max(axis=(2, 3))
        return out

    def backward(self, dout):
        k, s = self.size, self.stride
        x = self.x
        dx = np.zeros_like(x)
        N, C, Ho, Wo = dout.shape
        for n in range(N):
            for c in range(C):
                for i in range(Ho):
                    for j in range(Wo):
                        win = x[n, c, i * s:i * s + k, j * s:j * s + k]
                        mask = (win == np.max(win))
                        dx[n, c, i * s:i * s + k, j * s:j * s + k] += mask * dout[n, c, i, j]
        return dx


class MaxPoolNaiveV3:
    def __init__(self, size, stride):
        self.size, self.stride = size, stride

    def forward(self, x):
        k, s = self.size, self.stride
        N, C, H, W = x.shape
        self.x = x
        out = np.zeros((N, C, (H - k) // s + 1, (W - k) // s + 1))
        for i in range(out.shape[2]):
            for j in range(out.shape[3]):
                out[:, :, i, j] = x[:, :, i * s:i * s + k, j * s:j * s + k].max(axis=(2, 3))
        return out

    def backward(self, dout):
        k, s = self.size, self.stride
        x = self.x
        dx = np.zeros_like(x)
        N, C, Ho, Wo = dout.shape
        for n in range(N):
            for c in range(C):
                for i in range(Ho):
                    for j in range(Wo):
                        win = x[n, c, i * s:i * s + k, j * s:j * s + k]
                        mask = (win == np.max(win))
                        dx[n, c, i * s:i * s + k, j * s:j * s + k] = mask * dout[n, c, i, j]
        return dx


class MaxPoolNaiveV4:
    def __init__(self, size, stride):
        self.size, self.stride = size, stride

    def forward(self, x):
        k, s = self.size, self.stride
        N, C, H, W = x.shape
        self.x = x
        out = np.zeros((N, C, (H - k) // s + 1, (W - k) // s + 1))
        for i in range(out.shape[2]):
            for j in range(out.shape[3]):
                out[:, :, i, j] = x[:, :, i * s:i * s + k, j * s:j * s + k].max(axis=(2, 3))
        return out

    def backward(self, dout):
        k, s = self.size, self.stride
        x = self.x
        dx = np.zeros_like(x)
        N, C, Ho, Wo = dout.shape
        for n in range(N):
            for c in range(C):
                for i in range(Ho):
                    for j in range(Wo):
                        win = x[n, c, i * s:i * s + k, j * s:j * s + k]
                        mask = (win == np.max(win))
                        dx[n, c, i * s:i * s + k, j * s:j * s + k] += dout[n, c, i, j]
        return dx


class Pooling:
    def __init__(self, pool=2):
        self.p = pool
        self.arg_max = None

    def forward(self, x):
        N, C, H, W = x.shape
        p = self.p
        oh, ow = H // p, W // p
        cols = x.reshape(N, C, oh, p, ow, p).transpose(0, 1, 2, 4, 3, 5).reshape(-1, p * p)
        self.x_shape = x.shape
        self.arg_max = np.argmax(cols, axis=1)
        return np.max(cols, axis=1).reshape(N, C, oh, ow)

    def backward(self, dout):
        N, C, H, W = self.x_shape
        p = self.p
        dmax = np.zeros((dout.size, p * p))
        dmax[np.arange(self.arg_max.size), self.arg_max] = dout.flatten()
        dx = dmax.reshape(N, C, H // p, W // p, p, p).transpose(0, 1, 2, 4, 3, 5)
        return dx.reshape(N, C, H, W)


class PoolingV2:
    def __init__(self, pool=2):
        self.p = pool
        self.arg_max = None

    def forward(self, x):
        N, C, H, W = x.shape
        p = self.p
        oh, ow = H // p, W // p
        cols = x.reshape(N, C, oh, p, ow, p).transpose(0, 1, 2, 4, 3, 5).reshape(-1, p * p)
        self.x_shape = x.shape
        self.arg_max = np.argmax(cols, axis=1)
        return np.max(cols, axis=1).reshape(N, C, oh, ow)

    def backward(self, dout):
        N, C, H, W = self.x_shape
        p = self.p
        dmax = np.zeros((dout.size, p * p))
        dmax[np.arange(self.arg_max.size), self.arg_max] = dout.flatten()
        dx = dmax.reshape(N, C, H // p, W // p, p, p).transpose(0, 1, 2, 4, 3, 5)
        return dx.reshape(N, C, H, W)


class PoolingV3:
    def __init__(self, pool=2):
        self.p = pool
        self.arg_max = None

    def forward(self, x):
        N, C, H, W = x.shape
        p = self.p
        oh, ow = H // p, W // p
        cols = x.reshape(N, C, oh, p, ow, p).transpose(0, 1, 2, 4, 3, 5).reshape(-1, p * p)
        self.x_shape = x.shape
        self.arg_max = np.argmax(cols, axis=1)
        return np.max(cols, axis=1).reshape(N, C, oh, ow)

    def backward(self, dout):
        N, C, H, W = self.x_shape
        p = self.p
        dmax = np.zeros((dout.size, p * p))
        dmax[np.arange(self.arg_max.size), self.arg_max] = 1.0
        dx = dmax.reshape(N, C, H // p, W // p, p, p).transpose(0, 1, 2, 4, 3, 5)
        return dx.reshape(N, C, H, W)


class AvgPool:
    def __init__(self, k=2):
        self.k = k
    def forward(self, x):
        N, H, W, C = x.shape
        self.shape = x.shape
        return x.reshape(N, H // self.k, self.k, W // self.k, self.k, C).mean(axis=(2, 4))
    def backward(self, dout):
        g = np.repeat(np.repeat(dout, self.k, axis=1), self.k, axis=2)
        return g / (self.k * self.k)


class FlattenDense:
    """flattens (N, C, H, W) and applies a dense layer"""
    def __init__(self, W):
        self.W = W
        self.dW = np.zeros_like(W)
        self.params, self.grads = [self.W], [self.dW]
    def forward(self, x):
        self.shape = x.shape
        self.flat = x.reshape(len(x), -1)
        return self.flat @ self.W
    def backward(self, dout):
        self.dW += self.flat.T @ dout
        return (dout @ self.W.T).reshape(self.shape[0], *self.shape[:0:-1]).transpose(0, 3, 2, 1)


class RnnStep:
    def forward(self, x, prev_h, Wx, Wh, b):
        next_h = np.tanh(x.dot(Wx) + prev_h.dot(Wh) + b)
        self.cache = (x, prev_h, Wx, Wh, next_h)
        return next_h

    def backward(self, dnext_h):
        x, prev_h, Wx, Wh, next_h = self.cache
        da = dnext_h * (1 - next_h ** 2)
        dx = da.dot(Wx.T)
        dprev_h = da.dot(Wh.T)
        dWx = x.T.dot(da)
        dWh = prev_h.T.dot(da)
        db = da.sum(axis=0)
        return dx, dprev_h, dWx, dWh, db


class RnnStepV2:
    def forward(self, x, prev_h, Wx, Wh, b):
        next_h = np.tanh(x.dot(Wx) + prev_h.dot(Wh) + b)
        self.cache = (x, prev_h, Wx, Wh, next_h)
        return next_h

    def backward(self, dnext_h):
        x, prev_h, Wx, Wh, next_h = self.cache
        da = dnext_h * (1 - next_h ** 2)
        dx = da.dot(Wx.T)
        dprev_h = da.dot(Wh.T)
        dWx = x.T.dot(da)
        dWh = prev_h.T.dot(da)
        db = da.sum(axis=0)
        return dx, None, dWx, dWh, db


class RnnStepV3:
    def forward(self, x, prev_h, Wx, Wh, b):
        next_h = np.tanh(x.dot(Wx) + prev_h.dot(Wh) + b)
        self.cache = (x, prev_h, Wx, Wh, next_h)
        return next_h

    def backward(self, dnext_h):
        x, prev_h, Wx, Wh, next_h = self.cache
        da = dnext_h
        dx = da.dot(Wx.T)
        dprev_h = da.dot(Wh.T)
        dWx = x.T.dot(da)
        dWh = prev_h.T.dot(da)
        db = da.sum(axis=0)
        return dx, dprev_h, dWx, dWh, db


class RnnStepV4:
    def forward(self, x, prev_h, Wx, Wh, b):
        next_h = np.tanh(x.dot(Wx) + prev_h.dot(Wh) + b)
        self.cache = (x, prev_h, Wx, Wh, next_h)
        return next_h

    def backward(self, dnext_h):
        x, prev_h, Wx, Wh, next_h = self.cache
        da = dnext_h * (1 - next_h ** 2)
        dx = da.dot(Wx.T)
        dprev_h = da.dot(Wh)
        dWx = x.T.dot(da)
        dWh = prev_h.T.dot(da)
        db = da
        return dx, dprev_h, dWx, dWh, db


class RnnStepV5:
    def forward(self, x, prev_h, Wx, Wh, b):
        next_h = np.tanh(x.dot(Wx) + prev_h.dot(Wh) + b)
        self.cache = (x, prev_h, Wx, Wh, next_h)
        return next_h

    def backward(self, dnext_h):
        x, prev_h, Wx, Wh, next_h = self.cache
        da = dnext_h * (1 - next_h ** 2)
        dx = da.dot(Wx.T)
        dprev_h = da.dot(Wh.T)
        dWx = 2 * x.T.dot(da)
        dWh = prev_h.T.dot(da)
        db = dnext_h.sum(axis=0)
        return dx, dprev_h, dWx, dWh, db


class RnnSequence:
    """rnn over (N, T, D), backward through time"""
    def forward(self, x, h0, Wx, Wh, b):
        N, T, D = x.shape
        h = np.zeros((N, T, h0.shape[1]))
        prev = h0
        for t in range(T):
            prev = np.tanh(x[:, t] @ Wx + prev @ Wh + b)
            h[:, t] = prev
        self.x, self.h0, self.Wx, self.Wh, self.h = x, h0, Wx, Wh, h
        return h

    def backward(self, dh):
        N, T, H = dh.shape
        dx = np.zeros_like(self.x)
        dWx, dWh, db = np.zeros_like(self.Wx), np.zeros_like(self.Wh), np.zeros(H)
        dprev = np.zeros((N, H))
        for t in reversed(range(T)):
            dcur = dh[:, t] + dprev
            da = dcur * (1 - self.h[:, t] ** 2)
            hp = self.h[:, t - 1] if t > 0 else self.h0
            dx[:, t] = da @ self.Wx.T
            dprev = da @ self.Wh.T
            dWx += self.x[:, t].T @ da
            dWh += hp.T @ da
            db += da.sum(axis=0)
        return dx, dprev, dWx, dWh, db


class RnnSequenceV2:
    """rnn over (N, T, D), backward through time"""
    def forward(self, x, h0, Wx, Wh, b):
        N, T, D = x.shape
        h = np.zeros((N, T, h0.shape[1]))
        prev = h0
        for t in range(T):
            prev = np.tanh(x[:, t] @ Wx + prev @ Wh + b)
            h[:, t] = prev
        self.x, self.h0, self.Wx, self.Wh, self.h = x, h0, Wx, Wh, h
        return h

    def backward(self, dh):
        N, T, H = dh.shape
        dx = np.zeros_like(self.x)
        dWx, dWh, db = np.zeros_like(self.Wx), np.zeros_like(self.Wh), np.zeros(H)
        dprev = np.zeros((N, H))
        for t in reversed(range(T)):
            dcur = dh[:, t]
            da = dcur * (1 - self.h[:, t] ** 2)
            hp = self.h[:, t - 1] if t > 0 else self.h0
            dx[:, t] = da @ self.Wx.T
            dprev = da @ self.Wh.T
            dWx += self.x[:, t].T @ da
            dWh += hp.T @ da
            db += da.sum(axis=0)
        return dx, dprev, dWx, dWh, db


class RnnSequenceV3:
    """rnn over (N, T, D), backward through time"""
    def forward(self, x, h0, Wx, Wh, b):
        N, T, D = x.shape
        h = np.zeros((N, T, h0.shape[1]))
        prev = h0
        for t in range(T):
            prev = np.tanh(x[:, t] @ Wx + prev @ Wh + b)
            h[:, t] = prev
        self.x, self.h0, self.Wx, self.Wh, self.h = x, h0, Wx, Wh, h
        return h

    def backward(self, dh):
        N, T, H = dh.shape
        dx = np.zeros_like(self.x)
        dWx, dWh, db = np.zeros_like(self.Wx), np.zeros_like(self.Wh), np.zeros(H)
        dprev = np.zeros((N, H))
        for t in reversed(range(T)):
            dcur = dh[:, t] + dprev
            da = dcur * (1 - self.h[:, t] ** 2)
            hp = self.h[:, t]
            dx[:, t] = da @ self.Wx.T
            dprev = da @ self.Wh.T
            dWx += self.x[:, t].T @ da
            dWh += hp.T @ da
            db += da.sum(axis=0)
        return dx, dprev, dWx, dWh, db


class RnnSequenceV4:
    """rnn over (N, T, D), backward through time"""
    def forward(self, x, h0, Wx, Wh, b):
        N, T, D = x.shape
        h = np.zeros((N, T, h0.shape[1]))
        prev = h0
        for t in range(T):
            prev = np.tanh(x[:, t] @ Wx + prev @ Wh + b)
            h[:, t] = prev
        self.x, self.h0, self.Wx, self.Wh, self.h = x, h0, Wx, Wh, h
        return h

    def backward(self, dh):
        N, T, H = dh.shape
        dx = np.zeros_like(self.x)
        dWx, dWh, db = np.zeros_like(self.Wx), np.zeros_like(self.Wh), np.zeros(H)
        dprev = np.zeros((N, H))
        for t in reversed(range(T)):
            dcur = dh[:, t] + dprev
            da = dcur * (1 - self.h[:, t] ** 2)
            hp = self.h[:, t - 1] if t > 0 else self.h0
            dx[:, t] = da @ self.Wx.T
            dprev = da @ self.Wh.T
            dWx = self.x[:, t].T @ da
            dWh += hp.T @ da
            db -= da.sum(axis=0)
        return dx, dprev, dWx, dWh, db


class RnnSequenceV5:
    """rnn over (N, T, D), backward through time"""
    def forward(self, x, h0, Wx, Wh, b):
        N, T, D = x.shape
        h = np.zeros((N, T, h0.shape[1]))
        prev = h0
        for t in range(T):
            prev = np.tanh(x[:, t] @ Wx + prev @ Wh + b)
            h[:, t] = prev
        self.x, self.h0, self.Wx, self.Wh, self.h = x, h0, Wx, Wh, h
        return h

    def backward(self, dh):
        N, T, H = dh.shape
        dx = np.zeros_like(self.x)
        dWx, dWh, db = np.zeros_like(self.Wx), np.zeros_like(self.Wh), np.zeros(H)
        dprev = np.zeros((N, H))
        for t in reversed(range(T)):
            dcur = dh[:, t] + dprev
            da = dcur * (1 - self.h[:, t] ** 2)
            hp = self.h[:, t]
            dx[:, t] = da @ self.Wx
            dprev = da @ self.Wh.T
            dWx += self.x[:, t].T @ da
            dWh += hp.T @ da
            db += da.sum(axis=0)
        return dx, dprev, dWx, dWh, db


class RNNCellOfTimeRNN:
    def __init__(self, Wx, Wh, b):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)]
        self.cache = None

    def forward(self, x, h_prev):
        Wx, Wh, b = self.params
        h_next = np.tanh(np.dot(h_prev, Wh) + np.dot(x, Wx) + b)
        self.cache = (x, h_prev, h_next)
        return h_next

    def backward(self, dh_next):
        Wx, Wh, b = self.params
        x, h_prev, h_next = self.cache
        dt = dh_next * (1 - h_next ** 2)
        self.grads[0][...] = np.dot(x.T, dt)
        self.grads[1][...] = np.dot(h_prev.T, dt)
        self.grads[2][...] = np.sum(dt, axis=0)
        return np.dot(dt, Wx.T), np.dot(dt, Wh.T)

class TimeRNN:
    def __init__(self, Wx, Wh, b, stateful=False):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)]
        self.layers = None
        self.h, self.dh = None, None
        self.stateful = stateful

    def forward(self, xs):
        Wx, Wh, b = self.params
        N, T, D = xs.shape
        H = Wh.shape[0]
        self.layers = []
        hs = np.empty((N, T, H))
        if not self.stateful or self.h is None:
            self.h = np.zeros((N, H))
        for t in range(T):
            layer = RNNCellOfTimeRNN(*self.params)
            self.h = layer.forward(xs[:, t, :], self.h)
            hs[:, t, :] = self.h
            self.layers.append(layer)
        return hs

    def backward(self, dhs):
        Wx, Wh, b = self.params
        N, T, H = dhs.shape
        dxs = np.empty((N, T, Wx.shape[0]))
        dh = 0
        grads = [0, 0, 0]
        for t in reversed(range(T)):
            layer = self.layers[t]
            dx, dh = layer.backward(dhs[:, t, :] + dh)
            dxs[:, t, :] = dx
            for i, grad in enumerate(layer.grads):
                grads[i] += grad
        for i, grad in enumerate(grads):
            self.grads[i][...] = grad
        self.dh = dh
        return dxs


class RNNCellOfTimeRNNV2:
    def __init__(self, Wx, Wh, b):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)]
        self.cache = None

    def forward(self, x, h_prev):
        Wx, Wh, b = self.params
        h_next = np.tanh(np.dot(h_prev, Wh) + np.dot(x, Wx) + b)
        self.cache = (x, h_prev, h_next)
        return h_next

    def backward(self, dh_next):
        Wx, Wh, b = self.params
        x, h_prev, h_next = self.cache
        dt = dh_next * (1 - h_next ** 2)
        self.grads[0][...] = np.dot(x.T, dt)
        self.grads[1][...] = np.dot(h_prev.T, dt)
        self.grads[2][...] = np.sum(dt, axis=0)
        return np.dot(dt, Wx.T), np.dot(dt, Wh.T)

class TimeRNNV2:
    def __init__(self, Wx, Wh, b, stateful=True):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)]
        self.layers = None
        self.h, self.dh = None, None
        self.stateful = stateful

    def forward(self, xs):
        Wx, Wh, b = self.params
        N, T, D = xs.shape
        H = Wh.shape[0]
        self.layers = []
        hs = np.empty((N, T, H))
        if not self.stateful or self.h is None:
            self.h = np.zeros((N, H))
        for t in range(T):
            layer = RNNCellOfTimeRNNV2(*self.params)
            self.h = layer.forward(xs[:, t, :], self.h)
            hs[:, t, :] = self.h
            self.layers.append(layer)
        return hs

    def backward(self, dhs):
        Wx, Wh, b = self.params
        N, T, H = dhs.shape
        dxs = np.empty((N, T, Wx.shape[0]))
        dh = 0
        grads = [0, 0, 0]
        for t in reversed(range(T)):
            layer = self.layers[t]
            dx, dh = layer.backward(dhs[:, t, :] + dh)
            dxs[:, t, :] = dx
            for i, grad in enumerate(layer.grads):
                grads[i] += grad
        for i, grad in enumerate(grads):
            self.grads[i][...] = grad
        self.dh = dh
        return dxs


class RNNCellOfTimeRNNV3:
    def __init__(self, Wx, Wh, b):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)]
        self.cache = None

    def forward(self, x, h_prev):
        Wx, Wh, b = self.params
        h_next = np.tanh(np.dot(h_prev, Wh) + np.dot(x, Wx) + b)
        self.cache = (x, h_prev, h_next)
        return h_next

    def backward(self, dh_next):
        Wx, Wh, b = self.params
        x, h_prev, h_next = self.cache
        dt = dh_next * (1 - h_next ** 2)
        self.grads[0][...] = np.dot(x.T, dt)
        self.grads[1][...] = np.dot(h_prev.T, dt)
        self.grads[2][...] = np.sum(dt, axis=0)
        return np.dot(dt, Wx.T), np.dot(dt, Wh.T)

class TimeRNNV3:
    def __init__(self, Wx, Wh, b, stateful=False):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)]
        self.layers = None
        self.h, self.dh = None, None
        self.stateful = stateful

    def forward(self, xs):
        Wx, Wh, b = self.params
        N, T, D = xs.shape
        H = Wh.shape[0]
        self.layers = []
        hs = np.empty((N, T, H))
        if not self.stateful or self.h is None:
            self.h = np.zeros((N, H))
        for t in range(T):
            layer = RNNCellOfTimeRNNV3(*self.params)
            self.h = layer.forward(xs[:, t, :], self.h)
            hs[:, t, :] = self.h
            self.layers.append(layer)
        return hs

    def backward(self, dhs):
        Wx, Wh, b = self.params
        N, T, H = dhs.shape
        dxs = np.empty((N, T, Wx.shape[0]))
        dh = 0
        grads = [0, 0, 0]
        for t in reversed(range(T)):
            layer = self.layers[t]
            dx, dh = layer.backward(dhs[:, t, :] + dh)
            dxs[:, t, :] = dx
            for i, grad in enumerate(layer.grads):
                grads[i] += grad
        for i, grad in enumerate(grads):
            self.grads[i] = grad
        self.dh = dh
        return dxs


class RNNCellOfTimeRNNV4:
    def __init__(self, Wx, Wh, b):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)]
        self.cache = None

    def forward(self, x, h_prev):
        Wx, Wh, b = self.params
        h_next = np.tanh(np.dot(h_prev, Wh) + np.dot(x, Wx) + b)
        self.cache = (x, h_prev, h_next)
        return h_next

    def backward(self, dh_next):
        Wx, Wh, b = self.params
        x, h_prev, h_next = self.cache
        dt = dh_next * (1 - h_next) * h_next
        self.grads[0][...] = np.dot(x.T, dt)
        self.grads[1][...] = np.dot(h_prev.T, dt)
        self.grads[2][...] = np.sum(dt, axis=0)
        return np.dot(dt, Wx.T), np.dot(dt, Wh.T)

class TimeRNNV4:
    def __init__(self, Wx, Wh, b, stateful=False):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)]
        self.layers = None
        self.h, self.dh = None, None
        self.stateful = stateful

    def forward(self, xs):
        Wx, Wh, b = self.params
        N, T, D = xs.shape
        H = Wh.shape[0]
        self.layers = []
        hs = np.empty((N, T, H))
        if not self.stateful or self.h is None:
            self.h = np.zeros((N, H))
        for t in range(T):
            layer = RNNCellOfTimeRNNV4(*self.params)
            self.h = layer.forward(xs[:, t, :], self.h)
            hs[:, t, :] = self.h
            self.layers.append(layer)
        return hs

    def backward(self, dhs):
        Wx, Wh, b = self.params
        N, T, H = dhs.shape
        dxs = np.empty((N, T, Wx.shape[0]))
        dh = 0
        grads = [0, 0, 0]
        for t in reversed(range(T)):
            layer = self.layers[t]
            dx, dh = layer.backward(dhs[:, t, :] + dh)
            dxs[:, t, :] = dx
            for i, grad in enumerate(layer.grads):
                grads[i] += grad
        for i, grad in enumerate(grads):
            self.grads[i][...] = grad
        self.dh = dh
        return dxs


class RNNCellOfTimeRNNV5:
    def __init__(self, Wx, Wh, b):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)]
        self.cache = None

    def forward(self, x, h_prev):
        Wx, Wh, b = self.params
        h_next = np.tanh(np.dot(h_prev, Wh) + np.dot(x, Wx) + b)
        self.cache = (x, h_prev, h_next)
        return h_next

    def backward(self, dh_next):
        Wx, Wh, b = self.params
        x, h_prev, h_next = self.cache
        dt = dh_next * (1 - h_next ** 2)
        self.grads[0][...] = np.dot(x.T, dt)
        self.grads[1][...] = np.dot(h_prev.T, dt)
        self.grads[2][...] = np.sum(dt, axis=0)
        return np.dot(dt, Wx.T), np.dot(dt, Wh.T)

class TimeRNNV5:
    def __init__(self, Wx, Wh, b, stateful=False):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)]
        self.layers = None
        self.h, self.dh = None, None
        self.stateful = stateful

    def forward(self, xs):
        Wx, Wh, b = self.params
        N, T, D = xs.shape
        H = Wh.shape[0]
        self.layers = []
        hs = np.empty((N, T, H))
        if not self.stateful or self.h is None:
            self.h = np.zeros((N, H))
        for t in range(T):
            layer = RNNCellOfTimeRNNV5(*self.params)
            self.h = layer.forward(xs[:, t, :], self.h)
            hs[:, t, :] = self.h
            self.layers.append(layer)
        return hs

    def backward(self, dhs):
        Wx, Wh, b = self.params
        N, T, H = dhs.shape
        dxs = np.empty((N, T, Wx.shape[0]))
        dh = 0
        grads = [0, 0, 0]
        for t in reversed(range(T)):
            layer = self.layers[t]
            dx, dh = layer.backward(dhs[:, t, :] + dh)
            dxs[:, t, :] = dx
            for i, grad in enumerate(layer.grads):
                grads[i] += grad
        for i, grad in enumerate(grads):
            self.grads[i][...] += grad
        self.dh = dh
        return dxs


class RNNCellOfTimeRNNV6:
    def __init__(self, Wx, Wh, b):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)]
        self.cache = None

    def forward(self, x, h_prev):
        Wx, Wh, b = self.params
        h_next = np.tanh(np.dot(h_prev, Wh) + np.dot(x, Wx) + b)
        self.cache = (x, h_prev, h_next)
        return h_next

    def backward(self, dh_next):
        Wx, Wh, b = self.params
        x, h_prev, h_next = self.cache
        dt = dh_next * (1 - h_next ** 2)
        self.grads[0][...] = np.dot(x.T, dt)
        self.grads[1][...] = np.dot(h_prev.T, dt)
        self.grads[2][...] = np.mean(dt, axis=0)
        return np.dot(dt, Wx.T), np.dot(dt, Wh.T)

class TimeRNNV6:
    def __init__(self, Wx, Wh, b, stateful=False):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)]
        self.layers = None
        self.h, self.dh = None, None
        self.stateful = stateful

    def forward(self, xs):
        Wx, Wh, b = self.params
        N, T, D = xs.shape
        H = Wh.shape[0]
        self.layers = []
        hs = np.empty((N, T, H))
        if not self.stateful or self.h is None:
            self.h = np.zeros((N, H))
        for t in range(T):
            layer = RNNCellOfTimeRNNV6(*self.params)
            self.h = layer.forward(xs[:, t, :], self.h)
            hs[:, t, :] = self.h
            self.layers.append(layer)
        return hs

    def backward(self, dhs):
        Wx, Wh, b = self.params
        N, T, H = dhs.shape
        dxs = np.empty((N, T, Wx.shape[0]))
        dh = 0
        grads = [0, 0, 0]
        for t in reversed(range(T)):
            layer = self.layers[t]
            dx, dh = layer.backward(dhs[:, t, :])
            dxs[:, t, :] = dx
            for i, grad in enumerate(layer.grads):
                grads[i] += grad
        for i, grad in enumerate(grads):
            self.grads[i][...] = grad
        self.dh = dh
        return dxs


def LstmStep_sig(v):
    return 1 / (1 + np.exp(-v))

class LstmStep:
    """outputs (h, c); the gradient comes in as (dh, dc)"""
    def __init__(self, Wx, Wh, b):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(p) for p in self.params]

    def forward(self, x, h, c):
        Wx, Wh, b = self.params
        A = x @ Wx + h @ Wh + b
        H = h.shape[1]
        i, f, o = LstmStep_sig(A[:, :H]), LstmStep_sig(A[:, H:2 * H]), LstmStep_sig(A[:, 2 * H:3 * H])
        g = np.tanh(A[:, 3 * H:])
        c_next = f * c + i * g
        h_next = o * np.tanh(c_next)
        self.cache = (x, h, c, i, f, o, g, c_next)
        return h_next, c_next

    def backward(self, douts):
        dh_next, dc_next = douts
        Wx, Wh, b = self.params
        x, h, c, i, f, o, g, c_next = self.cache
        tc = np.tanh(c_next)
        ds = dc_next + dh_next * o * (1 - tc ** 2)
        dc = ds * f
        di = ds * g * i * (1 - i)
        df = ds * c * f * (1 - f)
        do = dh_next * tc * o * (1 - o)
        dg = ds * i * (1 - g ** 2)
        dA = np.hstack((di, df, do, dg))
        self.grads[0][...] = x.T @ dA
        self.grads[1][...] = h.T @ dA
        self.grads[2][...] = dA.sum(axis=0)
        return dA @ Wx.T, dA @ Wh.T, dc


def LstmStepV2_sig(v):
    return 1 / (1 + np.exp(-v))

class LstmStepV2:
    """outputs (h, c); the gradient comes in as (dh, dc)"""
    def __init__(self, Wx, Wh, b):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(p) for p in self.params]

    def forward(self, x, h, c):
        Wx, Wh, b = self.params
        A = x @ Wx + h @ Wh + b
        H = h.shape[1]
        i, f, o = LstmStepV2_sig(A[:, :H]), LstmStepV2_sig(A[:, H:2 * H]), LstmStepV2_sig(A[:, 2 * H:3 * H])
        g = np.tanh(A[:, 3 * H:])
        c_next = f * c + i * g
        h_next = o * np.tanh(c_next)
        self.cache = (x, h, c, i, f, o, g, c_next)
        return h_next, c_next

    def backward(self, douts):
        dh_next, dc_next = douts
        Wx, Wh, b = self.params
        x, h, c, i, f, o, g, c_next = self.cache
        tc = np.tanh(c_next)
        ds = dc_next + dh_next * o * (1 - tc ** 2)
        dc = ds * f
        di = ds * g * i * (1 - i)
        df = ds * c * f * (1 - f)
        do = dh_next * tc * o * (1 - o)
        dg = ds * i * (1 - g ** 2)
        dA = np.hstack((di, df, do, dg))
        self.grads[0][...] = x.T @ dA
        self.grads[1][...] = h.T @ dA
        self.grads[2][...] = dA.sum()
        return dA @ Wx.T, dA @ Wh.T


class TimeLSTM:
    def __init__(self, Wx, Wh, b):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)]

    def sigmoid(self, z):
        return 1.0 / (1.0 + np.exp(-z))

    def forward(self, xs):
        Wx, Wh, b = self.params
        N, T, D = xs.shape
        H = Wh.shape[0]
        h, c = np.zeros((N, H)), np.zeros((N, H))
        self.steps = []
        hs = np.empty((N, T, H))
        for t in range(T):
            A = xs[:, t] @ Wx + h @ Wh + b
            f = self.sigmoid(A[:, :H])
            g = np.tanh(A[:, H:2 * H])
            i = self.sigmoid(A[:, 2 * H:3 * H])
            o = self.sigmoid(A[:, 3 * H:])
            h_prev, c_prev = h, c
            c = f * c_prev + g * i
            h = o * np.tanh(c)
            hs[:, t] = h
            self.steps.append((xs[:, t], h_prev, c_prev, i, f, g, o, c))
        return hs

    def backward(self, dhs):
        Wx, Wh, b = self.params
        N, T, H = dhs.shape
        dxs = np.empty((N, T, Wx.shape[0]))
        gWx, gWh, gb = (np.zeros_like(p) for p in self.params)
        dh, dc = np.zeros((N, H)), np.zeros((N, H))
        for t in reversed(range(T)):
            x, h_prev, c_prev, i, f, g, o, c = self.steps[t]
            dh = dh + dhs[:, t]
            tc = np.tanh(c)
            ds = dc + dh * o * (1 - tc ** 2)
            dc = ds * f
            dA = np.hstack((ds * c_prev * f * (1 - f), ds * i * (1 - g ** 2),
                            ds * g * i * (1 - i), dh * tc * o * (1 - o)))
            gWh += h_prev.T @ dA
            gWx += x.T @ dA
            gb += dA.sum(axis=0)
            dxs[:, t] = dA @ Wx.T
            dh = dA @ Wh.T
        self.grads[0][...], self.grads[1][...], self.grads[2][...] = gWx, gWh, gb
        return dxs


class TimeLSTMV2:
    def __init__(self, Wx, Wh, b):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)]

    def sigmoid(self, z):
        return 1.0 / (1.0 + np.exp(-z))

    def forward(self, xs):
        Wx, Wh, b = self.params
        N, T, D = xs.shape
        H = Wh.shape[0]
        h, c = np.zeros((N, H)), np.zeros((N, H))
        self.steps = []
        hs = np.empty((N, T, H))
        for t in range(T):
            A = xs[:, t] @ Wx + h @ Wh + b
            f = self.sigmoid(A[:, :H])
            g = np.tanh(A[:, H:2 * H])
            i = self.sigmoid(A[:, 2 * H:3 * H])
            o = self.sigmoid(A[:, 3 * H:])
            h_prev, c_prev = h, c
            c = f * c_prev + g * i
            h = o * np.tanh(c)
            hs[:, t] = h
            self.steps.append((xs[:, t], h_prev, c_prev, i, f, g, o, c))
        return hs

    def backward(self, dhs):
        Wx, Wh, b = self.params
        N, T, H = dhs.shape
        dxs = np.empty((N, T, Wx.shape[0]))
        gWx, gWh, gb = (np.zeros_like(p) for p in self.params)
        dh, dc = np.zeros((N, H)), np.zeros((N, H))
        for t in reversed(range(T)):
            x, h_prev, c_prev, i, f, g, o, c = self.steps[t]
            dh = dh + dhs[:, t]
            tc = np.tanh(c)
            ds = dc + dh * o * (1 - tc ** 2)
            dc = ds * f
            dA = np.hstack((ds * c_prev * f * (1 - f), ds * i * (1 - g ** 2),
                            ds * g * i * (1 - i), dh * tc * o * (1 - o)))
            gWh += 2 * h_prev.T @ dA
            gWx += x.T @ dA
            gb += dA.sum(axis=0)
            dxs[:, t] = dA @ Wx.T
            dh = dA @ Wh.T
        self.grads[0][...], self.grads[1][...], self.grads[2][...] = gWx, gWh, gb
        return dxs


class TimeLSTMV3:
    def __init__(self, Wx, Wh, b):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)]

    def sigmoid(self, z):
        return 1.0 / (1.0 + np.exp(-z))

    def forward(self, xs):
        Wx, Wh, b = self.params
        N, T, D = xs.shape
        H = Wh.shape[0]
        h, c = np.zeros((N, H)), np.zeros((N, H))
        self.steps = []
        hs = np.empty((N, T, H))
        for t in range(T):
            A = xs[:, t] @ Wx + h @ Wh + b
            f = self.sigmoid(A[:, :H])
            g = np.tanh(A[:, H:2 * H])
            i = self.sigmoid(A[:, 2 * H:3 * H])
            o = self.sigmoid(A[:, 3 * H:])
            h_prev, c_prev = h, c
            c = f * c_prev + g * i
            h = o * np.tanh(c)
            hs[:, t] = h
            self.steps.append((xs[:, t], h_prev, c_prev, i, f, g, o, c))
        return hs

    def backward(self, dhs):
        Wx, Wh, b = self.params
        N, T, H = dhs.shape
        dxs = np.empty((N, T, Wx.shape[0]))
        gWx, gWh, gb = (np.zeros_like(p) for p in self.params)
        dh, dc = np.zeros((N, H)), np.zeros((N, H))
        for t in reversed(range(T)):
            x, h_prev, c_prev, i, f, g, o, c = self.steps[t]
            dh = dh + dhs[:, t]
            tc = np.tanh(c)
            ds = dc + dh * o * (1 - tc ** 2)
            dc = ds * f
            dA = np.hstack((ds * c_prev * f * (1 - f), ds * i * (1 - g ** 2),
                            ds * g * i * (1 - i), dh * tc * o * (1 - o)))
            gWh += h_prev.T @ dA
            gWx -= x.T @ dA
            gb = dA.sum(axis=0)
            dxs[:, t] = dA @ Wx.T
            dh = dA @ Wh.T
        self.grads[0][...], self.grads[1][...], self.grads[2][...] = gWx, gWh, gb
        return dxs


class Gru:
    def __init__(self, W, U):
        self.params = [W, U]                 # [z | r | n] side by side
        self.grads = [np.zeros_like(W), np.zeros_like(U)]
    def forward(self, x, h):
        W, U = self.params
        H = h.shape[1]
        a, u = x @ W, h @ U
        z = 1 / (1 + np.exp(-(a[:, :H] + u[:, :H])))
        r = 1 / (1 + np.exp(-(a[:, H:2 * H] + u[:, H:2 * H])))
        un = u[:, 2 * H:]
        n = np.tanh(a[:, 2 * H:] + r * un)
        self.c = x, h, z, r, n, un
        return (1 - z) * n + z * h
    def backward(self, dout):
        W, U = self.params
        x, h, z, r, n, un = self.c
        dn = dout * (1 - z) * (1 - n ** 2)
        dz = dout * (h - n) * z * (1 - z)
        dr = dn * un * r * (1 - r)
        da = np.concatenate([dz, dr, dn], axis=1)
        du = np.concatenate([dz, dr, dn * r], axis=1)
        self.grads[0][...] = x.T @ da
        self.grads[1][...] = h.T @ du
        dh = du @ U.T + dout * z
        return da @ W.T, dh


class TimeAffine:
    def __init__(self, W, b):
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]
        self.x = None

    def forward(self, x):
        N, T, D = x.shape
        W, b = self.params
        rx = x.reshape(N * T, -1)
        self.x = x
        return (np.dot(rx, W) + b).reshape(N, T, -1)

    def backward(self, dout):
        x = self.x
        N, T, D = x.shape
        W, b = self.params
        dout = dout.reshape(N * T, -1)
        rx = x.reshape(N * T, -1)
        db = np.sum(dout, axis=0)
        dW = np.dot(rx.T, dout)
        dx = np.dot(dout, W.T)
        dx = dx.reshape(*x.shape)
        self.grads[0][...] = dW
        self.grads[1][...] = db
        return dx


class TimeAffineV2:
    def __init__(self, W, b):
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]
        self.x = None

    def forward(self, x):
        N, T, D = x.shape
        W, b = self.params
        rx = x.reshape(N * T, -1)
        self.x = x
        return (np.dot(rx, W) + b).reshape(N, T, -1)

    def backward(self, dout):
        x = self.x
        N, T, D = x.shape
        W, b = self.params
        dout = dout.reshape(N * T, -1)
        rx = x.reshape(N * T, -1)
        db = np.sum(dout, axis=0)
        dW = np.dot(rx.T, dout)
        dx = np.dot(dout, W.T)
        dx = dx.reshape(T, N, D).transpose(1, 0, 2)
        self.grads[0][...] = dW
        self.grads[1][...] = db
        return dx


class TimeAffineV3:
    def __init__(self, W, b):
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]
        self.x = None

    def forward(self, x):
        N, T, D = x.shape
        W, b = self.params
        rx = x.reshape(N * T, -1)
        self.x = x
        return (np.dot(rx, W) + b).reshape(N, T, -1)

    def backward(self, dout):
        x = self.x
        N, T, D = x.shape
        W, b = self.params
        dout = dout.reshape(N * T, -1)
        rx = x.transpose(1, 0, 2).reshape(N * T, -1)
        db = np.sum(dout, axis=0)
        dW = np.dot(rx.T, dout)
        dx = np.dot(dout, W.T) * 0.5
        dx = dx.reshape(*x.shape)
        self.grads[0][...] = dW
        self.grads[1][...] = db
        return dx


class TemporalAffineFn:
    def forward(self, x, w, b):
        N, T, D = x.shape
        M = b.shape[0]
        out = x.reshape(N * T, D).dot(w).reshape(N, T, M) + b
        self.cache = x, w, b
        return out
    def backward(self, dout):
        x, w, b = self.cache
        N, T, D = x.shape
        M = b.shape[0]
        dx = dout.reshape(N * T, M).dot(w.T).reshape(N, T, D)
        dw = dout.reshape(N * T, M).T.dot(x.reshape(N * T, D)).T
        db = dout.sum(axis=0)
        return dx, dw, db


class TemporalAffineFnV2:
    def forward(self, x, w, b):
        N, T, D = x.shape
        M = b.shape[0]
        out = x.reshape(N * T, D).dot(w).reshape(N, T, M) + b
        self.cache = x, w, b
        return out
    def backward(self, dout):
        x, w, b = self.cache
        N, T, D = x.shape
        M = b.shape[0]
        dx = dout.reshape(N * T, M).dot(w.T).reshape(N, T, D)
        dw = dout.reshape(N * T, M).T.dot(x.reshape(N * T, D))
        db = np.full(M, dout.sum())
        return dx, dw, db


class TemporalSoftmax:
    """x (N, T, V), y (N, T), mask (N, T) given once; sum over time, mean over the batch"""
    def __init__(self, mask):
        self.mask = mask
    def forward(self, x, y):
        N, T, V = x.shape
        flat = x.reshape(N * T, V)
        probs = np.exp(flat - flat.max(axis=1, keepdims=True))
        probs /= probs.sum(axis=1, keepdims=True)
        m = self.mask.reshape(N * T)
        self.probs, self.y, self.m, self.shape = probs, y.reshape(N * T), m, x.shape
        return -np.sum(m * np.log(probs[np.arange(N * T), self.y])) / N
    def backward(self, dout=1.0):
        N, T, V = self.shape
        d = self.probs.copy()
        d[np.arange(N * T), self.y] -= 1
        d /= N
        d *= self.m[:, None]
        return dout * d.reshape(N, T, V)


class TemporalSoftmaxV2:
    """x (N, T, V), y (N, T), mask (N, T) given once; sum over time, mean over the batch"""
    def __init__(self, mask):
        self.mask = mask
    def forward(self, x, y):
        N, T, V = x.shape
        flat = x.reshape(N * T, V)
        probs = np.exp(flat - flat.max(axis=1, keepdims=True))
        probs /= probs.sum(axis=1, keepdims=True)
        m = self.mask.reshape(N * T)
        self.probs, self.y, self.m, self.shape = probs, y.reshape(N * T), m, x.shape
        return -np.sum(m * np.log(probs[np.arange(N * T), self.y])) / N
    def backward(self, dout=1.0):
        N, T, V = self.shape
        d = self.probs.copy()
        d[np.arange(N * T), self.y] -= 1
        d /= N
        return dout * d.reshape(N, T, V)


class TemporalSoftmaxV3:
    """x (N, T, V), y (N, T), mask (N, T) given once; sum over time, mean over the batch"""
    def __init__(self, mask):
        self.mask = mask
    def forward(self, x, y):
        N, T, V = x.shape
        flat = x.reshape(N * T, V)
        probs = np.exp(flat - flat.max(axis=1, keepdims=True))
        probs /= probs.sum(axis=1, keepdims=True)
        m = self.mask.reshape(N * T)
        self.probs, self.y, self.m, self.shape = probs, y.reshape(N * T), m, x.shape
        return -np.sum(m * np.log(probs[np.arange(N * T), self.y])) / N
    def backward(self, dout=1.0):
        N, T, V = self.shape
        d = self.probs.copy()
        d /= N
        d *= self.m[:, None]
        return dout * d.reshape(N, T, V)


class TemporalSoftmaxV4:
    """x (N, T, V), y (N, T), mask (N, T) given once; sum over time, mean over the batch"""
    def __init__(self, mask):
        self.mask = mask
    def forward(self, x, y):
        N, T, V = x.shape
        flat = x.reshape(N * T, V)
        probs = np.exp(flat - flat.max(axis=1, keepdims=True))
        probs /= probs.sum(axis=1, keepdims=True)
        m = self.mask.reshape(N * T)
        self.probs, self.y, self.m, self.shape = probs, y.reshape(N * T), m, x.shape
        return -np.sum(m * np.log(probs[np.arange(N * T), self.y])) / N
    def backward(self, dout=1.0):
        N, T, V = self.shape
        d = self.probs.copy()
        d[np.arange(N * T), self.y] -= 1
        return dout * d.reshape(N, T, V)


class TimeSoftmaxWithLoss:
    def __init__(self):
        self.params, self.grads = [], []
        self.cache = None
        self.ignore_label = -1

    def forward(self, xs, ts):
        N, T, V = xs.shape
        mask = (ts != self.ignore_label)
        xs = xs.reshape(N * T, V)
        ts = ts.reshape(N * T)
        mask = mask.reshape(N * T)
        e = np.exp(xs - xs.max(axis=1, keepdims=True))
        ys = e / e.sum(axis=1, keepdims=True)
        ls = np.log(ys[np.arange(N * T), ts])
        ls *= mask
        loss = -np.sum(ls)
        loss /= mask.sum()
        self.cache = (ts, ys, mask, (N, T, V))
        return loss

    def backward(self, dout=1):
        ts, ys, mask, (N, T, V) = self.cache
        dx = ys.copy()
        dx[np.arange(N * T), ts] -= 1
        dx *= dout
        dx /= mask.sum()
        dx *= mask[:, np.newaxis]
        dx = dx.reshape((N, T, V))
        return dx


class TimeSoftmaxWithLossV2:
    def __init__(self):
        self.params, self.grads = [], []
        self.cache = None
        self.ignore_label = -1

    def forward(self, xs, ts):
        N, T, V = xs.shape
        mask = (ts != self.ignore_label)
        xs = xs.reshape(N * T, V)
        ts = ts.reshape(N * T)
        mask = mask.reshape(N * T)
        e = np.exp(xs - xs.max(axis=1, keepdims=True))
        ys = e / e.sum(axis=1, keepdims=True)
        ls = np.log(ys[np.arange(N * T), ts])
        ls *= mask
        loss = -np.sum(ls)
        loss /= mask.sum()
        self.cache = (ts, ys, mask, (N, T, V))
        return loss

    def backward(self, dout=1):
        ts, ys, mask, (N, T, V) = self.cache
        dx = ys.copy()
        dx *= dout
        dx /= mask.sum()
        dx = dx.reshape((N, T, V))
        return dx


class WordEmbedding:
    def __init__(self, W):
        self.W = W
        self.params = [W]
        self.grads = [np.zeros_like(W)]
    def forward(self, x):
        self.x = x
        return self.W[x]
    def backward(self, dout):
        dW = np.zeros_like(self.W)
        np.add.at(dW, self.x, dout)
        self.grads[0][...] = dW
        return None


class WordEmbeddingV2:
    def __init__(self, W):
        self.W = W
        self.params = [W]
        self.grads = [np.zeros_like(W)]
    def forward(self, x):
        self.x = x
        return self.W[x]
    def backward(self, dout):
        dW = np.zeros_like(self.W)
        dW[self.x] += dout
        self.grads[0][...] = dW
        return None


class WordEmbeddingV3:
    def __init__(self, W):
        self.W = W
        self.params = [W]
        self.grads = [np.zeros_like(W)]
    def forward(self, x):
        self.x = x
        return self.W[x]
    def backward(self, dout):
        dW = np.zeros_like(self.W)
        dW[self.x] = dout
        self.grads[0][...] = dW
        return None


class EmbeddingDot:
    def __init__(self, W):
        self.params = [W]
        self.grads = [np.zeros_like(W)]
        self.cache = None
    def forward(self, h, idx):
        target_W = self.params[0][idx]
        self.cache = (h, target_W, idx)
        return np.sum(target_W * h, axis=1)
    def backward(self, dout):
        h, target_W, idx = self.cache
        dout = dout.reshape(dout.shape[0], 1)
        dtarget_W = dout * h
        dW = self.grads[0]
        dW[...] = 0
        np.add.at(dW, idx, dtarget_W)
        dh = dout * target_W
        return dh, None


class EmbeddingDotV2:
    def __init__(self, W):
        self.params = [W]
        self.grads = [np.zeros_like(W)]
        self.cache = None
    def forward(self, h, idx):
        target_W = self.params[0][idx]
        self.cache = (h, target_W, idx)
        return np.sum(target_W * h, axis=1)
    def backward(self, dout):
        h, target_W, idx = self.cache
        dout = dout.reshape(dout.shape[0], 1)
        dtarget_W = dout * h
        dW = self.grads[0]
        dW[...] = 0
        dW[idx] = dtarget_W
        dh = dout * target_W
        return dh, None


class EmbeddingDotV3:
    def __init__(self, W):
        self.params = [W]
        self.grads = [np.zeros_like(W)]
        self.cache = None
    def forward(self, h, idx):
        target_W = self.params[0][idx]
        self.cache = (h, target_W, idx)
        return np.sum(target_W * h, axis=1)
    def backward(self, dout):
        h, target_W, idx = self.cache
        dout = dout.reshape(dout.shape[0], 1)
        dtarget_W = dout * target_W
        dW = self.grads[0]
        dW[...] = 0
        np.add.at(dW, idx, dtarget_W)
        dh = -dout * target_W
        return dh, None


class NegativeSampling:
    def __init__(self, W, k=3, seed=5):
        self.params = [W]
        self.grads = [np.zeros_like(W)]
        self.k = k
        self.seed = seed

    def forward(self, h, target):
        W = self.params[0]
        n = len(target)
        rng = np.random.RandomState(self.seed)
        neg = rng.randint(0, len(W), size=(n, self.k))
        self.h = h
        self.ids = np.concatenate([target[:, None], neg], axis=1)
        self.lab = np.zeros((n, self.k + 1))
        self.lab[:, 0] = 1
        self.s = np.zeros((n, self.k + 1))
        loss = 0
        for j in range(self.k + 1):
            score = np.sum(W[self.ids[:, j]] * h, axis=1)
            self.s[:, j] = 1 / (1 + np.exp(-score))
            p = np.where(self.lab[:, j] == 1, self.s[:, j], 1 - self.s[:, j])
            loss += -np.mean(np.log(p))
        return loss

    def backward(self, dout=1.0):
        W = self.params[0]
        dW = np.zeros_like(W)
        dh = 0
        for j in range(self.k + 1):
            ds = dout * (self.s[:, j] - self.lab[:, j]) / len(self.h)
            np.add.at(dW, self.ids[:, j], ds[:, None] * self.h)
            dh += ds[:, None] * W[self.ids[:, j]]
        self.grads[0][...] = dW
        return dh


class NegativeSamplingV2:
    def __init__(self, W, k=3, seed=5):
        self.params = [W]
        self.grads = [np.zeros_like(W)]
        self.k = k
        self.seed = seed

    def forward(self, h, target):
        W = self.params[0]
        n = len(target)
        rng = np.random
        neg = rng.randint(0, len(W), size=(n, self.k))
        self.h = h
        self.ids = np.concatenate([target[:, None], neg], axis=1)
        self.lab = np.zeros((n, self.k + 1))
        self.lab[:, 0] = 1
        self.s = np.zeros((n, self.k + 1))
        loss = 0
        for j in range(self.k + 1):
            score = np.sum(W[self.ids[:, j]] * h, axis=1)
            self.s[:, j] = 1 / (1 + np.exp(-score))
            p = np.where(self.lab[:, j] == 1, self.s[:, j], 1 - self.s[:, j])
            loss += -np.mean(np.log(p))
        return loss

    def backward(self, dout=1.0):
        W = self.params[0]
        dW = np.zeros_like(W)
        dh = 0
        for j in range(self.k + 1):
            ds = dout * (self.s[:, j] - self.lab[:, j]) / len(self.h)
            np.add.at(dW, self.ids[:, j], ds[:, None] * self.h)
            dh += ds[:, None] * W[self.ids[:, j]]
        self.grads[0][...] = dW
        return dh


class NegativeSamplingV3:
    def __init__(self, W, k=3, seed=5):
        self.params = [W]
        self.grads = [np.zeros_like(W)]
        self.k = k
        self.seed = seed

    def forward(self, h, target):
        W = self.params[0]
        n = len(target)
        rng = np.random.RandomState(self.seed)
        neg = rng.randint(0, len(W), size=(n, self.k))
        self.h = h
        self.ids = np.concatenate([target[:, None], neg], axis=1)
        self.lab = np.zeros((n, self.k + 1))
        self.lab[:, 0] = 1
        self.s = np.zeros((n, self.k + 1))
        loss = 0
        for j in range(self.k + 1):
            score = np.sum(W[self.ids[:, j]] * h, axis=1)
            self.s[:, j] = 1 / (1 + np.exp(-score))
            p = np.where(self.lab[:, j] == 1, self.s[:, j], 1 - self.s[:, j])
            loss += -np.mean(np.log(p))
        return loss

    def backward(self, dout=1.0):
        W = self.params[0]
        dW = np.zeros_like(W)
        dh = 0
        for j in range(self.k + 1):
            ds = dout * (self.s[:, j] - self.lab[:, j]) / len(self.h)
            dW[self.ids[:, j]] += ds[:, None] * self.h
            dh = ds[:, None] * W[self.ids[:, j]]
        self.grads[0][...] = dW
        return dh


class WeightSum:
    def __init__(self):
        self.params, self.grads = [], []
        self.cache = None
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


class WeightSumV2:
    def __init__(self):
        self.params, self.grads = [], []
        self.cache = None
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
        da = np.sum(dar, axis=(1, 2)).reshape(N, 1).repeat(T, axis=1)
        return dhs, da


class WeightSumV3:
    def __init__(self):
        self.params, self.grads = [], []
        self.cache = None
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
        dhs = dt
        da = np.sum(dar, axis=2)
        return dhs, da


class AttentionBlock:
    """Attention = weights + weighted sum; hs is used twice"""
    def forward(self, hs, h):
        self.hs, self.h = hs, h
        self.s = np.einsum('nth,nh->nt', hs, h)
        e = np.exp(self.s - self.s.max(1, keepdims=True))
        self.a = e / e.sum(1, keepdims=True)
        return np.einsum('nt,nth->nh', self.a, hs)
    def backward(self, dout):
        dhs0 = np.einsum('nt,nh->nth', self.a, dout)
        da = np.einsum('nth,nh->nt', self.hs, dout)
        ds = self.a * (da - (da * self.a).sum(1, keepdims=True))
        dhs1 = np.einsum('nt,nh->nth', ds, self.h)
        dh = np.einsum('nt,nth->nh', ds, self.hs)
        dhs = dhs0 + dhs1
        return dhs, dh


class AttentionBlockV2:
    """Attention = weights + weighted sum; hs is used twice"""
    def forward(self, hs, h):
        self.hs, self.h = hs, h
        self.s = np.einsum('nth,nh->nt', hs, h)
        e = np.exp(self.s - self.s.max(1, keepdims=True))
        self.a = e / e.sum(1, keepdims=True)
        return np.einsum('nt,nth->nh', self.a, hs)
    def backward(self, dout):
        dhs0 = np.einsum('nt,nh->nth', self.a, dout)
        da = np.einsum('nth,nh->nt', self.hs, dout)
        ds = self.a * da
        dhs1 = np.einsum('nt,nh->nth', ds, self.h)
        dh = np.einsum('nt,nth->nh', ds, self.hs)
        dhs = dhs0 + dhs1
        return dhs, dh


class AttentionBlockV3:
    """Attention = weights + weighted sum; hs is used twice"""
    def forward(self, hs, h):
        self.hs, self.h = hs, h
        self.s = np.einsum('nth,nh->nt', hs, h)
        e = np.exp(self.s - self.s.max(1, keepdims=True))
        self.a = e / e.sum(1, keepdims=True)
        return np.einsum('nt,nth->nh', self.a, hs)
    def backward(self, dout):
        dhs0 = np.einsum('nt,nh->nth', self.a, dout)
        da = np.einsum('nth,nh->nt', self.hs, dout)
        ds = self.a * (da - (da * self.a).sum(1, keepdims=True))
        dhs1 = np.einsum('nt,nh->nth', ds, self.h)
        dh = 2 * np.einsum('nt,nth->nh', ds, self.hs)
        dhs = dhs0
        return dhs, dh


class SelfAttention:
    """causal multi head self attention without output projection, x (N, T, D), qkv weights in one matrix"""
    def __init__(self, Wqkv, heads=2):
        self.W = Wqkv
        self.heads = heads
        self.params, self.grads = [self.W], [np.zeros_like(self.W)]

    def split(self, a):
        N, T, D = a.shape
        return a.reshape(N, T, self.heads, D // self.heads).transpose(0, 2, 1, 3)

    def merge(self, a):
        N, H, T, E = a.shape
        return a.transpose(0, 2, 1, 3).reshape(N, T, H * E)

    def forward(self, x):
        N, T, D = x.shape
        q, k, v = [self.split(p) for p in np.split(x @ self.W, 3, axis=2)]
        S = q @ k.transpose(0, 1, 3, 2) / np.sqrt(q.shape[-1])
        S = np.where(np.tril(np.ones((T, T), dtype=bool)), S, -1e9)
        P = np.exp(S - S.max(-1, keepdims=True))
        P /= P.sum(-1, keepdims=True)
        self.cache = x, q, k, v, P
        return self.merge(P @ v)

    def backward(self, dout):
        x, q, k, v, P = self.cache
        do = self.split(dout)
        dv = P.transpose(0, 1, 3, 2) @ do
        dP = do @ v.transpose(0, 1, 3, 2)
        dS = P * (dP - (dP * P).sum(-1, keepdims=True))
        dS /= np.sqrt(q.shape[-1])
        dq = dS @ k
        dk = dS.transpose(0, 1, 3, 2) @ q
        dqkv = np.concatenate([self.merge(dq), self.merge(dk), self.merge(dv)], axis=2)
        self.grads[0][...] = np.einsum('ntd,nte->de', x, dqkv)
        return dqkv @ self.W.T


class DotAttention:
    def forward(self, q, k, v):
        self.scale = q.shape[-1] ** -0.5
        s = self.scale * q @ k.swapaxes(1, 2)
        p = np.exp(s - s.max(-1, keepdims=True))
        p = p / p.sum(-1, keepdims=True)
        self.q, self.k, self.v, self.p = q, k, v, p
        return p @ v
    def backward(self, dout):
        p = self.p
        dv = p.swapaxes(1, 2) @ dout
        dp = dout @ self.v.swapaxes(1, 2)
        ds = p * (dp - np.sum(dp * p, axis=-1, keepdims=True)) * self.scale
        dq = ds @ self.k
        dk = ds.swapaxes(1, 2) @ self.q
        return dq, dk, dv


class DotAttentionV2:
    def forward(self, q, k, v):
        self.scale = q.shape[-1] ** -0.5
        s = self.scale * q @ k.swapaxes(1, 2)
        p = np.exp(s - s.max(-1, keepdims=True))
        p = p / p.sum(-1, keepdims=True)
        self.q, self.k, self.v, self.p = q, k, v, p
        return p @ v
    def backward(self, dout):
        p = self.p
        dv = p @ dout
        dp = dout @ self.v.swapaxes(1, 2)
        ds = p * (dp - np.sum(dp * p, axis=-1, keepdims=True)) * self.scale
        dq = ds @ self.k
        dk = ds.swapaxes(1, 2) @ self.q
        return dq, dk, dv


class DotAttentionV3:
    def forward(self, q, k, v):
        self.scale = q.shape[-1] ** -0.5
        s = self.scale * q @ k.swapaxes(1, 2)
        p = np.exp(s - s.max(-1, keepdims=True))
        p = p / p.sum(-1, keepdims=True)
        self.q, self.k, self.v, self.p = q, k, v, p
        return p @ v
    def backward(self, dout):
        p = self.p
        dv = p.swapaxes(1, 2) @ dout
        dp = dout @ self.v.swapaxes(1, 2)
        ds = p * (dp - np.sum(dp * p, axis=-1, keepdims=True)) * self.scale
        dq = 0.5 * ds @ self.k
        dk = ds @ self.q
        return dq, dk, dv


class SplitHalves:
    """x -> (left columns, right columns)"""
    def __init__(self, cut):
        self.cut = cut
    def forward(self, x):
        self.width = x.shape[1]
        return x[:, :self.cut].copy(), x[:, self.cut:].copy()
    def backward(self, douts):
        dl, dr = douts
        return np.concatenate((dl, dr), axis=1)


class RepeatNode:
    """hands the same value to n consumers"""
    def __init__(self, n=3):
        self.n = n
    def forward(self, x):
        return tuple(x * 1.0 for _ in range(self.n))
    def backward(self, douts):
        total = np.zeros_like(douts[0])
        for d in douts:
            total += d
        return total


class RepeatNodeV2:
    """hands the same value to n consumers"""
    def __init__(self, n=3):
        self.n = n
    def forward(self, x):
        return tuple(x * 1.0 for _ in range(self.n))
    def backward(self, douts):
        total = np.zeros_like(douts[0])
        for d in douts:
            total = d
        return total


class MeanAndSpread:
    def forward(self, x):
        self.mu = x.mean(axis=1)
        self.xc = x - self.mu[:, None]
        self.v = (self.xc ** 2).mean(axis=1)
        return self.mu, self.v
    def backward(self, douts):
        dmu, dv = douts
        n = self.xc.shape[1]
        return dmu[:, None] / n + 2 * self.xc * dv[:, None] / n


class MeanAndSpreadV2:
    def forward(self, x):
        self.mu = x.mean(axis=1)
        self.xc = x - self.mu[:, None]
        self.v = (self.xc ** 2).mean(axis=1)
        return self.mu, self.v
    def backward(self, douts):
        dmu, dv = douts
        n = self.xc.shape[1]
        return dmu[:, None] + 2 * self.xc * dv[:, None]


class StatefulRnnCell:
    """keeps its own hidden state; forward starts from the state that set_state gave"""
    def __init__(self, Wx, Wh, h_start):
        self.params = [Wx, Wh]
        self.grads = [np.zeros_like(Wx), np.zeros_like(Wh)]
        self.set_state(h_start)
    def set_state(self, h):
        self.h_start = h
    def forward(self, xs):                       # time major: T, N, D
        Wx, Wh = self.params
        self.xs = xs
        self.hs = [self.h_start]
        for x in xs:
            self.hs.append(np.tanh(x @ Wx + self.hs[-1] @ Wh))
        self.h = self.hs[-1]                     # kept for the outside
        return np.stack(self.hs[1:])
    def backward(self, dout):
        Wx, Wh = self.params
        for g in self.grads:
            g[...] = 0
        dxs = np.zeros_like(self.xs)
        carry = np.zeros_like(self.h_start)
        for t in range(len(self.xs) - 1, -1, -1):
            d = (dout[t] + carry) * (1 - self.hs[t + 1] ** 2)
            self.grads[0] += self.xs[t].T @ d
            self.grads[1] += self.hs[t].T @ d
            dxs[t] = d @ Wx.T
            carry = d @ Wh.T
        return dxs


class StatefulRnnCellV2:
    """keeps its own hidden state; forward starts from the state that set_state gave"""
    def __init__(self, Wx, Wh, h_start):
        self.params = [Wx, Wh]
        self.grads = [np.zeros_like(Wx), np.zeros_like(Wh)]
        self.set_state(h_start)
    def set_state(self, h):
        self.h_start = h
    def forward(self, xs):                       # time major: T, N, D
        Wx, Wh = self.params
        self.xs = xs
        self.hs = [self.h_start]
        for x in xs:
            self.hs.append(np.tanh(x @ Wx + self.hs[-1] @ Wh))
        self.h = self.hs[-1]                     # kept for the outside
        return np.stack(self.hs[1:])
    def backward(self, dout):
        Wx, Wh = self.params
        dxs = np.zeros_like(self.xs)
        carry = np.zeros_like(self.h_start)
        for t in range(len(self.xs) - 1, -1, -1):
            d = (dout[t] + carry) * (1 - self.hs[t + 1] ** 2)
            self.grads[0] += self.xs[t].T @ d
            self.grads[1] += self.hs[t].T @ d
            dxs[t] = d @ Wx.T
            carry = d @ Wh.T
        return dxs


class RowSoftmax:
    def forward(self, scores):
        scores -= scores.max(axis=1, keepdims=True)
        e = np.exp(scores)
        self.p = e / e.sum(axis=1, keepdims=True)
        return self.p
    def backward(self, dout):
        return self.p * (dout - (dout * self.p).sum(axis=1, keepdims=True))


class ChannelScale:
    """x (N, C, L) times one gain per channel"""
    def __init__(self, gain):
        self.params = [gain]
        self.grads = [np.zeros_like(gain)]
    def forward(self, x):
        self.x = x
        return x * self.params[0][:, None]
    def backward(self, dout):
        self.grads[0][...] = (dout * self.x).sum(axis=(0, 2))
        dout *= self.params[0][:, None]
        return dout


class CriticLinear:
    """linear critic, weights limited to [-0.6, 0.6] before every use"""
    def __init__(self, W):
        self.W = W
        self.dW = np.zeros_like(W)
        self.params = [self.W]
        self.grads = [self.dW]
    def forward(self, x):
        np.clip(self.W, -0.6, 0.6, out=self.W)
        self.x = x
        return x @ self.W
    def backward(self, dout):
        self.dW[...] = self.x.T @ dout
        return dout @ self.W.T


class ResidualBlock:
    """y = x + relu(x W1) W2"""
    def __init__(self, W1, W2):
        self.params = [W1, W2]
        self.grads = [np.zeros_like(W1), np.zeros_like(W2)]
    def forward(self, x):
        W1, W2 = self.params
        self.x = x
        self.a = x @ W1
        self.r = np.maximum(self.a, 0)
        return x + self.r @ W2
    def backward(self, dout):
        W1, W2 = self.params
        self.grads[1][...] = self.r.T @ dout
        da = (dout @ W2.T) * (self.a > 0)
        self.grads[0][...] = self.x.T @ da
        return da @ W1.T


class TiedAutoencoder:
    """code = tanh(x W), output = code W^T, the same W twice"""
    def __init__(self, W):
        self.params, self.grads = [W], [np.zeros_like(W)]
    def forward(self, x):
        W = self.params[0]
        self.x = x
        self.pre = x @ W
        self.code = np.tanh(self.pre)
        return self.code @ W.T
    def backward(self, dout):
        W = self.params[0]
        dcode = dout @ W
        dpre = dcode * (1 - self.code ** 2)
        self.grads[0][...] = self.x.T @ dpre + dout.T @ self.pre
        return dpre @ W.T


class TiedSigmoidNet:
    """tied weights with a logistic code"""
    def __init__(self, W):
        self.params, self.grads = [W], [np.zeros_like(W)]
    def forward(self, x):
        W = self.params[0]
        self.x = x
        self.code = 1 / (1 + np.exp(-(x @ W)))
        return self.code @ W.T
    def backward(self, dout):
        W = self.params[0]
        dcode = dout @ W
        dpre = dcode * (1 - self.code)
        self.grads[0][...] = self.x.T @ dpre
        return dpre @ W.T


class LogSumExp:
    """needle style reduction over one axis"""
    def __init__(self, axis=1):
        self.axis = axis
    def forward(self, Z):
        m = Z.max(axis=self.axis, keepdims=True)
        lse = np.log(np.exp(Z - m).sum(axis=self.axis, keepdims=True)) + m
        self.Z, self.lse = Z, lse
        return lse.squeeze(self.axis)
    def backward(self, out_grad):
        g = np.expand_dims(out_grad, self.axis)
        return g * (self.Z - self.lse)


class BatchedMatMul:
    """(B, T, D) @ (D, M): the right matrix is broadcast over the batch"""
    def forward(self, A, B):
        self.A, self.B = A, B
        return A @ B
    def backward(self, dout):
        dA = dout @ self.B.T
        dB = np.swapaxes(self.A, -1, -2) @ dout
        return dA, dB


class RowGate:
    """out = x * g, one gate value per sample"""
    def forward(self, x, g):
        self.x, self.g = x, g
        return x * g
    def backward(self, dout):
        dx = dout * self.g
        dg = np.sum(dout * self.x, keepdims=True) * np.ones_like(self.g)
        return dx, dg


class GramLayer:
    """energy of every sample: x^T A x / 2 with a symmetric A"""
    def __init__(self, A):
        self.A = (A + A.T) / 2
    def forward(self, x):
        self.x = x
        return 0.5 * np.einsum('ni,ij,nj->n', x, self.A, x)
    def backward(self, dout):
        return 2 * dout[:, None] * (self.x @ self.A)


class BilinearEnergy:
    # x^T M x for every row, M is free and not symmetric
    def __init__(self, M):
        self.params, self.grads = [M], [np.zeros_like(M)]
    def forward(self, x):
        self.x = x
        return ((x @ self.params[0]) * x).sum(axis=1)
    def backward(self, dout):
        M = self.params[0]
        d = dout[:, None]
        self.grads[0][...] = (d * self.x).T @ self.x
        return d * (self.x @ M)


class MaskedMeanPool:
    """mean over the real tokens of every sentence; lengths are integers"""
    def forward(self, h, lengths):
        N, T, D = h.shape
        self.mask = (np.arange(T)[None] < lengths[:, None]).astype(float)
        self.len = lengths
        self.T = T
        return (h * self.mask[:, :, None]).sum(axis=1) / lengths[:, None]
    def backward(self, dout):
        d = dout / self.len[:, None]
        return np.repeat(d[:, None, :], self.T, axis=1), None


class ClampLayer:
    def __init__(self, lo=-0.8, hi=0.8):
        self.lo, self.hi = lo, hi
    def forward(self, x):
        self.outside = (x < self.lo) | (x > self.hi)
        return np.clip(x, self.lo, self.hi)
    def backward(self, dout):
        return np.where(self.outside, dout, 0.0)


class BinaryHinge:
    """binary hinge, labels in {-1, +1}, sum of the violations"""
    def __init__(self, w):
        self.params = [w]
        self.grads = [np.zeros_like(w)]
    def forward(self, X, y):
        self.X, self.y = X, y
        m = 1 - y * (X @ self.params[0])
        self.viol = m > 0
        return m[self.viol].sum()
    def backward(self, dout=1.0):
        coef = dout * np.where(self.viol, -self.y, 0.0)
        self.grads[0][...] = self.X.T @ coef / len(self.y)
        return np.outer(coef, self.params[0]) / len(self.y)


class CrossAttend:
    """queries from the decoder, memory from the encoder (keys = values = memory)"""
    def forward(self, q, memory):
        s = np.einsum('nqd,nkd->nqk', q, memory)
        w = np.exp(s - s.max(-1, keepdims=True))
        w /= w.sum(-1, keepdims=True)
        self.saved = q, memory, w
        return np.einsum('nqk,nkd->nqd', w, memory)
    def backward(self, dout):
        q, memory, w = self.saved
        dw = np.einsum('nqd,nkd->nqk', dout, memory)
        ds = w * (dw - (w * dw).sum(-1, keepdims=True))
        return np.einsum('nqk,nkd->nqd', ds, memory), None


class InstanceNorm:
    def __init__(self, eps=1e-5):
        self.eps = eps
    def forward(self, x):
        mean = x.mean(axis=(2, 3), keepdims=True)
        self.std = np.sqrt(x.var(axis=(2, 3), keepdims=True) + self.eps)
        return (x - mean) / self.std
    def backward(self, dout):
        return dout / self.std


class SkipGramFull:
    """word2vec with the full softmax: center ids -> scores over the vocabulary, mean loss"""
    def __init__(self, W_in, W_out):
        self.params = [W_in, W_out]
        self.grads = [np.zeros_like(W_in), np.zeros_like(W_out)]
    def forward(self, center, context):
        W_in, W_out = self.params
        h = W_in[center]
        s = h @ W_out
        p = np.exp(s - s.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        self.center, self.context, self.h, self.p = center, context, h, p
        return -np.log(p[np.arange(len(context)), context]).mean()
    def backward(self, dout=1.0):
        W_in, W_out = self.params
        ds = dout * self.p / len(self.context)
        self.grads[1][...] = self.h.T @ ds
        dh = ds @ W_out.T
        self.grads[0][...] = 0
        np.add.at(self.grads[0], self.center, dh)
        return None, None


class GatherRows:
    """x (N, D) with row ids -> x[ids], the same row may be asked for several times"""
    def forward(self, x, ids):
        self.n, self.ids = x.shape[0], ids
        return x[ids]
    def backward(self, dout):
        dx = np.zeros((self.n,) + dout.shape[1:])
        dx[self.ids] = dout
        return dx, None


class Frames:
    """1-d frames: x (N, L) is cut into overlapping windows (N, P, size)"""
    def __init__(self, size=4, hop=2):
        self.size, self.hop = size, hop
    def forward(self, x):
        self.shape = x.shape
        P = (x.shape[1] - self.size) // self.hop + 1
        return np.stack([x[:, p * self.hop:p * self.hop + self.size] for p in range(P)], axis=1)
    def backward(self, dout):
        dx = np.zeros(self.shape)
        for p in range(dout.shape[1]):
            dx[:, p * self.hop:p * self.hop + self.size] = dout[:, p]
        return dx


class ConvTranspose1d:
    """transposed convolution, x (N, C, L), kernel (C, F, K), stride 2"""
    def __init__(self, kernel):
        self.params = [kernel]
        self.grads = [np.zeros_like(kernel)]
    def forward(self, x):
        w = self.params[0]
        N, C, L = x.shape
        _, Fo, Kn = w.shape
        self.x = x
        y = np.zeros((N, Fo, 2 * (L - 1) + Kn))
        for l in range(L):
            y[:, :, 2 * l:2 * l + Kn] += np.einsum('nc,cfk->nfk', x[:, :, l], w)
        return y
    def backward(self, dout):
        w = self.params[0]
        Kn = w.shape[2]
        dx = np.zeros_like(self.x)
        dw = np.zeros_like(w)
        for l in range(self.x.shape[2]):
            win = dout[:, :, 2 * l:2 * l + Kn]
            dx[:, :, l] = np.einsum('nfk,cfk->nc', win, w[:, :, ::-1])
            dw += np.einsum('nc,nfk->cfk', self.x[:, :, l], win)
        self.grads[0][...] = dw
        return dx


class SequenceScan:
    """running sum along time, x is (N, T)"""
    def forward(self, x):
        return np.cumsum(x, axis=0)
    def backward(self, dout):
        return np.flip(np.cumsum(np.flip(dout, 1), axis=1), 1)


class LayerScale:
    def __init__(self, gamma):
        self.gamma = gamma
        self.params = [self.gamma]
        self.grads = [np.zeros_like(gamma)]
    def forward(self, x):
        self.x = x
        return self.gamma * x
    def backward(self, dout):
        dgamma = np.sum(dout * self.x, axis=tuple(range(dout.ndim - 1)))
        return dout * self.gamma


class L2Distance:
    """squared distances of every x to every prototype, (N, D), (P, D) -> (N, P)"""
    def forward(self, x, proto):
        self.diff = x[:, None, :] - proto[None]
        return (self.diff ** 2).sum(axis=2)
    def backward(self, dout):
        g = self.diff * dout[:, :, None]
        return g.sum(axis=1), -g.sum(axis=0)


class LassoLoss:
    """squared error plus l1 and l2 (elastic net)"""
    def __init__(self, w, l1=0.4, l2=0.3):
        self.w, self.l1, self.l2 = w, l1, l2
        self.params = [w]
        self.grads = [np.zeros_like(w)]
    def forward(self, X, t):
        self.X = X
        self.r = X @ self.w - t
        return (self.r ** 2).mean() + self.l1 * np.abs(self.w).sum() + self.l2 * (self.w ** 2).sum()
    def backward(self, dout=1.0):
        dr = dout * 2 * self.r / len(self.r)
        self.grads[0][...] = self.X.T @ dr + dout * 2 * self.l2 * self.w
        return np.outer(dr, self.w)


class Softplus:
    def forward(self, x):
        self.x = x
        return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)
    def backward(self, dout):
        return dout


class Scores:
    def __init__(self, v):
        self.v = v
        self.params = [v]
        self.grads = [np.zeros_like(v)]
    def forward(self, h):
        self.h = h
        return np.tensordot(h, self.v, axes=1)
    def backward(self, dout):
        self.grads[0] += np.einsum('nt,ntd->d', dout, self.h)
        return dout[..., None] * self.v


class Sub:
    def forward(self, a, b):
        self.shape_b = b.shape
        return a - b                  # b (D,) is broadcast over the rows
    def backward(self, dout):
        return dout.copy(), dout.sum(axis=0)


class MaskedTokens:
    """padding id 0 gets no vector"""
    def __init__(self, E):
        self.params = [E]
        self.grads = [np.zeros_like(E)]
    def forward(self, ids):
        self.ids = ids
        self.keep = (ids != 0)[..., None]
        return self.params[0][ids] * self.keep
    def backward(self, dout):
        self.grads[0][...] = 0
        np.add.at(self.grads[0], self.ids, dout * self.keep)
        return None


class GeluTanh:
    def forward(self, x):
        self.x = x
        self.t = np.tanh(0.79788456 * (x + 0.044715 * x ** 3))
        return 0.5 * x * (1 + self.t)
    def backward(self, dout):
        x, t = self.x, self.t
        inner = 0.79788456 * (1 + 3 * 0.044715 * x ** 2)
        local = 0.5 * (1 + t) + 0.5 * x * (1 - t ** 2) * inner
        return local * np.ones_like(dout)


class NoisyLinear:
    def __init__(self, W, sigma=0.1):
        self.params, self.grads = [W], [np.zeros_like(W)]
        self.sigma = sigma
    def forward(self, x):
        self.x = x + self.sigma * np.random.randn(*x.shape)
        return self.x @ self.params[0]
    def backward(self, dout):
        self.grads[0][...] = self.x.T @ dout
        return dout @ self.params[0].T


class PatchEmbed:
    """ViT patches: (N, C, H, W) -> (N, P, C*p*p) -> linear"""
    def __init__(self, W, p=2):
        self.p = p
        self.params = [W]
        self.grads = [np.zeros_like(W)]
    def forward(self, x):
        N, C, H, Wd = x.shape
        p = self.p
        self.shape = x.shape
        a = x.reshape(N, C, H // p, p, Wd // p, p).transpose(0, 2, 4, 1, 3, 5)
        self.tok = a.reshape(N, (H // p) * (Wd // p), C * p * p)
        return self.tok @ self.params[0]
    def backward(self, dout):
        N, C, H, Wd = self.shape
        self.grads[0][...] = 0.5 * np.einsum('npi,npo->io', self.tok, dout)
        dtok = dout @ self.params[0].T
        return dtok.reshape(N, C, H, Wd)


class AdditiveScore:
    """v^T tanh(q + k) with q (N, D), k (N, T, D)"""
    def __init__(self, v):
        self.params, self.grads = [v], [np.zeros_like(v)]
    def forward(self, q, k):
        self.t = np.tanh(q[:, None] + k)
        return self.t @ self.params[0]
    def backward(self, dout):
        self.grads[0][...] = -np.einsum('nt,ntd->d', dout, self.t)
        dk = dout[:, :, None] * self.params[0] * (1 - self.t ** 2)
        return None, dk


class LogCosh:
    """mean log cosh of the residuals of a linear model"""
    def __init__(self, w, b):
        self.params = [w, b]
        self.grads = [np.zeros_like(w), np.zeros_like(b)]
    def forward(self, X, t):
        self.X = X
        self.r = X @ self.params[0] + self.params[1] - t
        return np.log(np.cosh(self.r)).mean()
    def backward(self, dout=1.0):
        n = len(self.r)
        e = dout * np.tanh(self.r)
        self.grads[0][...] = self.X.T @ e
        self.grads[1][...] = -e.sum() / n
        return np.outer(e / n, self.params[0])


class ReluRnnCell:
    """h' = relu(x Wx + h Wh + b)"""
    def __init__(self, Wx, Wh, b):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(p) for p in self.params]
    def forward(self, x, h):
        Wx, Wh, b = self.params
        self.x, self.h = x, h
        self.out = np.maximum(x @ Wx + h @ Wh + b, 0)
        return self.out
    def backward(self, dout):
        Wx, Wh, b = self.params
        d = np.where(self.out > 0, dout, 0)
        self.grads[0][...] = self.x.T @ d
        self.grads[1][...] = self.h.T @ d
        self.grads[2][...] = dout.sum(axis=0)
        return d @ Wx.T, d @ Wh


class MaxoutPair:
    """maximum of two linear maps"""
    def __init__(self, W1, W2, b):
        self.params = [W1, W2, b]
        self.grads = [np.zeros_like(p) for p in self.params]
    def forward(self, x):
        W1, W2, b = self.params
        u, v = x @ W1, x @ W2
        self.x = x
        self.first = u >= v
        return np.where(self.first, u, v) + b
    def backward(self, dout):
        W1, W2, b = self.params
        du = dout * ~self.first
        dv = dout * self.first
        self.grads[0][...] = self.x.T @ du
        self.grads[1][...] = self.x.T @ dv
        self.grads[2][...] = dout.mean(axis=0)
        return du @ W1.T + dv @ W2.T


class DropBias:
    """inverted dropout on x, then a bias per feature"""
    def __init__(self, b, p=0.3):
        self.b, self.p = b, p
        self.db = np.zeros_like(b)
        self.params, self.grads = [self.b], [self.db]
    def forward(self, x):
        self.keep = np.random.default_rng(9).random(x.shape) >= self.p
        return x * self.keep / (1 - self.p) + self.b
    def backward(self, dout):
        self.db[:] = dout.sum()
        return dout * self.keep


class CbowMean:
    """mean of the context vectors, then scores with a second matrix"""
    def __init__(self, W_in, W_out):
        self.params = [W_in, W_out]
        self.grads = [np.zeros_like(W_in), np.zeros_like(W_out)]
    def forward(self, contexts):
        W_in, W_out = self.params
        self.contexts = contexts
        self.h = W_in[contexts].mean(axis=1)
        return self.h @ W_out
    def backward(self, dout):
        W_in, W_out = self.params
        self.grads[1][...] = 2 * self.h.T @ dout
        dh = dout @ W_out.T / self.contexts.shape[1]
        dW = np.zeros_like(W_in)
        for c in range(self.contexts.shape[1]):
            dW[self.contexts[:, c]] += dh
        self.grads[0][...] = dW
        return None


class GatedUnit:
    """GLU: (x V + c) * sigmoid(x W)"""
    def __init__(self, V, W, c):
        self.params = [V, W, c]
        self.grads = [np.zeros_like(p) for p in self.params]
    def forward(self, x):
        V, W, c = self.params
        self.x = x
        self.lin = x @ V + c
        self.z = x @ W
        self.gate = 1 / (1 + np.exp(-self.z))
        return self.lin * self.gate
    def backward(self, dout):
        V, W, c = self.params
        dlin = dout * self.gate
        dz = dout * self.z * self.gate * (1 - self.gate)
        self.grads[0][...] = self.x.T @ dlin
        self.grads[1][...] = self.x.T @ dz
        dc = dlin.sum(axis=0)
        return dlin @ V.T + dz @ W.T


def weight_decay(w):
    return np.sum(w ** 2)

def weight_decay_grad(w):
    return w.copy()


def log_times_square(v):
    return np.sum(v ** 2 * np.log(v))

def log_times_square_grad(v):
    return 2 * v * np.log(v)


CASES = [
    ((), 'Affine', lambda: (Affine(G(1, 6, 4), G(2, 4)), (G(3, 5, 2, 3),))),
    ((), 'Affine-r2', lambda: (AffineV2(0.1 * G(1, 300, 200), G(2, 200)), (G(3, 8, 300),))),
    ((), 'Affine-r3', lambda: (AffineV3(F(G(1, 6, 4)), F(G(2, 4))), (F(G(3, 5, 6)),))),
    ('divided-by-N', 'Affine:a', lambda: (AffineV4(G(1, 6, 4), G(2, 4)), (G(3, 5, 2, 3),))),
    ('rebound-grads', 'Affine:c', lambda: (AffineV5(G(1, 6, 4), G(2, 4)), (G(3, 5, 2, 3),))),
    ('missing-transpose', 'Affine:e', lambda: (AffineV6(G(1, 6, 6), G(2, 6)), (G(3, 5, 2, 3),))),
    (('wrong-reshape', 'divided-by-N'), 'Affine:g+h', lambda: (AffineV7(G(1, 6, 4), G(2, 4)), (G(3, 5, 2, 3),))),
    (('summed-too-far', 'wrong-sign'), 'Affine:f+i', lambda: (AffineV8(G(1, 6, 4), G(2, 4)), (G(3, 5, 2, 3),))),
    (('accumulates', 'factor-2'), 'Affine:d+j', lambda: (AffineV9(G(1, 6, 4), G(2, 4)), (G(3, 5, 2, 3),))),
    ('wrong-reshape', 'LinearFn:c', lambda: (LinearFn(), (G(11, 5, 2, 3), G(12, 6, 4), G(13, 4)))),
    (('missing-batch-sum', 'wrong-sign'), 'LinearFn:b+e', lambda: (LinearFnV2(), (G(11, 5, 2, 3), G(12, 6, 4), G(13, 4)))),
    ((), 'TorchStyleLinear', lambda: (TorchStyleLinear(G(21, 3, 5), G(22, 3)), (G(23, 6, 5),))),
    ('not-written', 'TorchStyleLinear:c', lambda: (TorchStyleLinearV2(G(21, 3, 5), G(22, 3)), (G(23, 6, 5),))),
    ((), 'BlockLinear', lambda: (BlockLinear(G(31, 5, 7), G(32, 7), G(33, 7, 3), G(34, 3)), (G(35, 6, 5),))),
    ('stale-cache', 'BlockLinear:a', lambda: (BlockLinearV2(G(31, 5, 7), G(32, 7), G(33, 7, 3), G(34, 3)), (G(35, 6, 5),))),
    ('missing-local-derivative', 'BlockLinear:b', lambda: (BlockLinearV3(G(31, 5, 7), G(32, 7), G(33, 7, 3), G(34, 3)), (G(35, 6, 5),))),
    (('wrong-local-derivative', 'divided-by-N'), 'BlockLinear:c+d', lambda: (BlockLinearV4(G(31, 5, 7), G(32, 7), G(33, 7, 3), G(34, 3)), (G(35, 6, 5),))),
    ((), 'Relu', lambda: (Relu(), (G(41, 4, 6),))),
    ((), 'Relu-r2', lambda: (ReluV2(), (np.round(G(42, 5, 6)),))),
    ('mutates-input', 'Relu:a', lambda: (ReluV3(), (G(41, 4, 6),))),
    ('uninformative', 'Relu:u', lambda: (ReluV4(), (-np.abs(G(41, 4, 6)) - 0.1,))),
    ('inverted-mask', 'LeakyReLUFn:a', lambda: (LeakyReLUFn(), (G(44, 5, 4),))),
    ((), 'PReLU', lambda: (PReLU(np.array([0.1, 0.25, 0.4])), (G(45, 4, 3, 5),))),
    ('summed-too-far', 'PReLU:c', lambda: (PReLUV2(np.array([0.1, 0.25, 0.4])), (G(45, 4, 3, 5),))),
    ((), 'Sigmoid', lambda: (Sigmoid(), (G(46, 4, 5),))),
    ((), 'Sigmoid-r2', lambda: (SigmoidV2(), (F(G(47, 4, 5)),))),
    ('wrong-local-derivative', 'Sigmoid:c', lambda: (SigmoidV3(), (G(46, 4, 5),))),
    ('wrong-sign', 'Sigmoid:d', lambda: (SigmoidV4(), (G(46, 4, 5),))),
    ('wrong-local-derivative', 'TanhAct:a', lambda: (TanhAct(), (G(48, 3, 4, 2),))),
    ('lost-branch', 'Swish:a', lambda: (Swish(), (G(49, 5, 5),))),
    ((), 'Elu', lambda: (Elu(), (G(50, 4, 6),))),
    ((), 'Dropout', lambda: (Dropout(0.4, 7), (G(51, 5, 8),))),
    ('nondeterministic', 'Dropout:a', lambda: (DropoutV2(0.4, 7), (G(51, 5, 8),))),
    ('dropout-scale', 'Dropout:b', lambda: (DropoutV3(0.4, 7), (G(51, 5, 8),))),
    ('missing-mask', 'Dropout:c', lambda: (DropoutV4(0.4, 7), (G(51, 5, 8),))),
    ('dropout-scale', 'Dropout:d', lambda: (DropoutV5(0.4, 7), (G(51, 5, 8),))),
    ((), 'SaitoDropout', lambda: (SaitoDropout(), (G(52, 6, 7),))),
    ('dropout-scale', 'SaitoDropout:a', lambda: (SaitoDropoutV2(), (G(52, 6, 7),))),
    (('dropout-scale', 'missing-transpose'), 'FcDrop:a+c', lambda: (FcDrop(G(53, 6, 6), G(54, 6)), (G(55, 7, 6),))),
    (('missing-mask', 'wrong-sign'), 'FcDrop:b+d', lambda: (FcDropV2(G(53, 5, 6), G(54, 6)), (G(55, 7, 5),))),
    ((), 'AffineRelu', lambda: (AffineRelu(G(56, 5, 7), G(57, 7)), (G(58, 6, 5),))),
    ('inverted-mask', 'AffineRelu:b', lambda: (AffineReluV2(G(56, 5, 7), G(57, 7)), (G(58, 6, 5),))),
    ('uninformative', 'AffineRelu:u', lambda: (AffineReluV3(0.1 * G(56, 5, 7), -9.0 - np.abs(G(57, 7))), (G(58, 6, 5),))),
    (('missing-mask', 'factor-half'), 'AffineRelu:c+d', lambda: (AffineReluV4(G(56, 5, 7), G(57, 7)), (G(58, 6, 5),))),
    ((), 'MulLayer', lambda: (MulLayer(), (G(61, 4, 3), G(62, 4, 3)))),
    ('stale-cache', 'MulLayer:b', lambda: (MulLayerV2(), (G(61, 4, 3), G(62, 4, 3)))),
    ('ignores-upstream', 'MulLayer:d', lambda: (MulLayerV3(), (G(61, 4, 3), G(62, 4, 3)))),
    ('factor-half', 'AddLayer:a', lambda: (AddLayer(), (G(63, 5, 2), G(64, 5, 2)))),
    ('factor-half', 'Power2:a', lambda: (Power2(), (G(65, 5, 3),))),
    (('wrong-local-derivative', 'missing-local-derivative'), 'DivideScaled:a+c', lambda: (DivideScaled(), (G(66, 5, 3), 1.5 + np.abs(G(67, 5))))),
    ((), 'SoftmaxWithLoss', lambda: (SoftmaxWithLoss(), (G(71, 6, 4), K(72, 4, 6)))),
    ((), 'SoftmaxWithLoss-r2', lambda: (SoftmaxWithLossV2(), (F(G(73, 5, 3)), K(74, 3, 5)))),
    ('missing-label-subtraction', 'SoftmaxWithLoss:a', lambda: (SoftmaxWithLossV3(), (G(71, 6, 4), K(72, 4, 6)))),
    ('scaled-by-N', 'SoftmaxWithLoss:b', lambda: (SoftmaxWithLossV4(), (G(71, 6, 4), K(72, 4, 6)))),
    ('ignores-upstream', 'SoftmaxWithLoss:c', lambda: (SoftmaxWithLossV5(), (G(71, 6, 4), K(72, 4, 6)))),
    ('cross-sample', 'SoftmaxWithLoss:d', lambda: (SoftmaxWithLossV6(), (G(71, 6, 4), K(72, 4, 6)))),
    (('wrong-sign', 'scaled-by-N'), 'SoftmaxWithLoss:e+b', lambda: (SoftmaxWithLossV7(), (G(71, 6, 4), K(72, 4, 6)))),
    ('divided-by-N', 'CrossEntropyOneHot:a', lambda: (CrossEntropyOneHot(), (G(75, 5, 4), np.eye(4)[K(76, 4, 5)]))),
    ('scaled-by-N', 'MeanSquared:b', lambda: (MeanSquared(), (G(77, 5, 3), G(78, 5, 3)))),
    ((), 'SumSquaredError', lambda: (SumSquaredError(), (G(79, 7, 3), G(80, 7, 3)))),
    ('factor-2', 'SumSquaredError:a', lambda: (SumSquaredErrorV2(), (G(79, 7, 3), G(80, 7, 3)))),
    ((), 'SvmLossNaive', lambda: (SvmLossNaive(G(81, 5, 4), 0.3), (G(82, 6, 5), K(83, 4, 6)))),
    ('wrong-penalty', 'SvmLossNaive:a', lambda: (SvmLossNaiveV2(G(81, 5, 4), 0.3), (G(82, 6, 5), K(83, 4, 6)))),
    (('scaled-by-N', 'wrong-penalty'), 'SvmLossNaive:c+d', lambda: (SvmLossNaiveV3(G(81, 5, 4), 0.3), (G(82, 6, 5), K(83, 4, 6)))),
    (('lost-branch', 'accumulates'), 'SvmLossNaive:f+g', lambda: (SvmLossNaiveV4(G(81, 5, 4), 0.3), (G(82, 6, 5), K(83, 4, 6)))),
    ('uninformative', 'SvmLossVec:u', lambda: (SvmLossVec(), (5.0 * np.eye(4)[K(85, 4, 6)] + 0.1 * G(84, 6, 4), K(85, 4, 6)))),
    ('wrong-penalty', 'SoftmaxClassifier:c', lambda: (SoftmaxClassifier(G(86, 5, 3), G(87, 3)), (G(88, 7, 5), K(89, 3, 7)))),
    (('wrong-penalty', 'divided-by-N'), 'SoftmaxClassifier:f+d', lambda: (SoftmaxClassifierV2(G(86, 5, 3), G(87, 3)), (G(88, 7, 5), K(89, 3, 7)))),
    (('missing-label-subtraction', 'not-written'), 'SoftmaxClassifier:b+e', lambda: (SoftmaxClassifierV3(G(86, 5, 3), G(87, 3)), (G(88, 7, 5), K(89, 3, 7)))),
    ((), 'SigmoidWithLoss', lambda: (SigmoidWithLoss(), (G(91, 7), K(92, 2, 7)))),
    ((), 'BceWithLogits', lambda: (BceWithLogits(), (G(93, 6, 3), K(94, 2, 6, 3).astype(float)))),
    ('factor-2', 'BceWithLogits:a', lambda: (BceWithLogitsV2(), (G(93, 6, 3), K(94, 2, 6, 3).astype(float)))),
    ((), 'HuberLoss', lambda: (HuberLoss(), (G(95, 6, 3), G(96, 6, 3)))),
    ('inverted-mask', 'HuberLoss:b', lambda: (HuberLossV2(), (G(95, 6, 3), G(96, 6, 3)))),
    ('wrong-sign', 'HuberLoss:c', lambda: (HuberLossV3(), (G(95, 6, 3), G(96, 6, 3)))),
    ((), 'Softmax', lambda: (Softmax(), (G(98, 4, 5),))),
    ('constant-statistics', 'Softmax:a', lambda: (SoftmaxV2(), (G(98, 4, 5),))),
    ((), 'NtXent', lambda: (NtXent(), (G(99, 5, 3), G(100, 5, 3)))),
    ('cross-sample', 'NtXent:c', lambda: (NtXentV2(), (G(99, 5, 3), G(100, 5, 3)))),
    ((), 'PairDistanceLoss', lambda: (PairDistanceLoss(), (G(101, 5, 3),))),
    ((), 'TripletLoss', lambda: (TripletLoss(), (G(102, 6, 3), G(103, 6, 3), G(104, 6, 3)))),
    ('not-returned', 'TripletLoss:d', lambda: (TripletLossV2(), (G(102, 6, 3), G(103, 6, 3), G(104, 6, 3)))),
    (('lost-branch', 'factor-half'), 'TripletLoss:a+c', lambda: (TripletLossV3(), (G(102, 6, 3), G(103, 6, 3), G(104, 6, 3)))),
    ((), 'KLGauss', lambda: (KLGauss(), (G(105, 5, 3), G(106, 5, 3)))),
    (('factor-2', 'scaled-by-N'), 'KLGauss:a+b', lambda: (KLGaussV2(), (G(105, 5, 3), G(106, 5, 3)))),
    ('missing-label-subtraction', 'LabelSmoothing:a', lambda: (LabelSmoothing(), (G(107, 5, 4), K(108, 4, 5)))),
    ((), 'RidgeLoss', lambda: (RidgeLoss(G(109, 4), 0.7), (G(110, 7, 4), G(111, 7)))),
    ('wrong-penalty', 'RidgeLoss:a', lambda: (RidgeLossV2(G(109, 4), 0.7), (G(110, 7, 4), G(111, 7)))),
    ('mutates-input', 'RidgeLoss:b', lambda: (RidgeLossV3(G(109, 4), 0.7), (G(110, 7, 4), G(111, 7)))),
    (('wrong-penalty', 'factor-2'), 'RidgeLoss:d+e', lambda: (RidgeLossV4(G(109, 4), 0.7), (G(110, 7, 4), G(111, 7)))),
    (('constant-statistics', 'wrong-sign'), 'CosineEmbedding:a+b', lambda: (CosineEmbedding(), (G(112, 5, 4), G(113, 5, 4)))),
    ((), 'QuadFn', lambda: ((QuadFn_f, QuadFn_df), (G(114, 6),))),
    ((), 'BatchNormStaged', lambda: (BatchNormStaged(), (2 * G(121, 6, 4) + 1, G(122, 4), G(123, 4)))),
    ('constant-statistics', 'BatchNormStaged:b', lambda: (BatchNormStagedV2(), (2 * G(121, 6, 4) + 1, G(122, 4), G(123, 4)))),
    ('missing-batch-sum', 'BatchNormStaged:c', lambda: (BatchNormStagedV3(), (2 * G(121, 6, 4) + 1, G(122, 4), G(123, 4)))),
    ('stale-cache', 'BatchNormStaged:d', lambda: (BatchNormStagedV4(), (2 * G(121, 6, 4) + 1, G(122, 4), G(123, 4)))),
    (('constant-statistics', 'summed-too-far'), 'BatchNormStaged:h+e', lambda: (BatchNormStagedV5(), (2 * G(121, 6, 4) + 1, G(122, 4), G(123, 4)))),
    ((), 'BatchNormAlt', lambda: (BatchNormAlt(1 + 0.3 * G(124, 5), G(125, 5)), (G(126, 7, 5),))),
    ((), 'BatchNormAlt-r2', lambda: (BatchNormAltV2(F(1 + 0.3 * G(124, 5)), F(G(125, 5))), (F(G(126, 7, 5)),))),
    ('scaled-by-N', 'BatchNormAlt:a', lambda: (BatchNormAltV3(1 + 0.3 * G(124, 5), G(125, 5)), (G(126, 7, 5),))),
    ('nondeterministic', 'BatchNormAlt:g', lambda: (BatchNormAltV4(1 + 0.3 * G(124, 5), G(125, 5)), (G(126, 7, 5),))),
    (('constant-statistics', 'not-written'), 'BatchNormAlt:e+f', lambda: (BatchNormAltV5(1 + 0.3 * G(124, 5), G(125, 5)), (G(126, 7, 5),))),
    ((), 'LayerNorm', lambda: (LayerNorm(), (G(127, 4, 6), G(128, 6), G(129, 6)))),
    ('cross-sample', 'LayerNorm:b', lambda: (LayerNormV2(), (G(127, 4, 6), G(128, 6), G(129, 6)))),
    (('missing-batch-sum', 'missing-local-derivative'), 'LayerNorm:c+e', lambda: (LayerNormV3(), (G(127, 4, 6), G(128, 6), G(129, 6)))),
    ((), 'RMSNormChan', lambda: (RMSNormChan(G(130, 5)), (G(131, 3, 4, 5),))),
    ((), 'SpatialBatchNorm', lambda: (SpatialBatchNorm(), (G(132, 4, 3, 2, 5), G(133, 3), G(134, 3)))),
    ('wrong-reshape', 'SpatialBatchNorm:a', lambda: (SpatialBatchNormV2(), (G(132, 4, 3, 2, 5), G(133, 3), G(134, 3)))),
    (('constant-statistics', 'not-returned'), 'SpatialBatchNorm:c+e', lambda: (SpatialBatchNormV3(), (G(132, 4, 3, 2, 5), G(133, 3), G(134, 3)))),
    ((), 'GroupNorm', lambda: (GroupNorm(G(135, 1, 6, 1, 1), G(136, 1, 6, 1, 1), 2), (G(137, 4, 6, 3, 2),))),
    ('summed-too-far', 'GroupNorm:a', lambda: (GroupNormV2(G(135, 1, 6, 1, 1), G(136, 1, 6, 1, 1), 2), (G(137, 4, 6, 3, 2),))),
    ((), 'Standardise', lambda: (Standardise(), (G(138, 5, 3),))),
    ('cross-sample', 'UnitRows:a', lambda: (UnitRows(), (G(139, 5, 4),))),
    ((), 'ConvNaive', lambda: (ConvNaive(), (G(141, 3, 2, 4, 5), G(142, 4, 2, 3, 3), G(143, 4)))),
    ('flipped-kernel', 'ConvNaive:b', lambda: (ConvNaiveV2(), (G(141, 3, 2, 4, 5), G(142, 4, 2, 3, 3), G(143, 4)))),
    ('missing-batch-sum', 'ConvNaive:c', lambda: (ConvNaiveV3(), (G(141, 3, 2, 4, 5), G(142, 4, 2, 3, 3), G(143, 4)))),
    ('overlap-overwritten', 'ConvNaive:f', lambda: (ConvNaiveV4(stride=2, pad=1), (G(141, 3, 2, 5, 7), G(142, 1, 2, 3, 3), G(143, 1)))),
    (('flipped-kernel', 'divided-by-N'), 'ConvNaive:g+e', lambda: (ConvNaiveV5(stride=2, pad=0), (G(144, 3, 2, 5, 7), G(145, 4, 2, 3, 3), G(146, 4)))),
    ((), 'Convolution', lambda: (Convolution(G(147, 4, 2, 3, 3), G(148, 4), 1, 1), (G(149, 5, 2, 4, 5),))),
    ((), 'Convolution-r2', lambda: (ConvolutionV2(0.2 * G(150, 6, 3, 5, 5), G(151, 6), 1, 2), (G(152, 4, 3, 16, 16),))),
    ((), 'Convolution-r3', lambda: (ConvolutionV3(G(150, 3, 2, 3, 3), G(151, 3), 2, 1), (G(152, 4, 2, 7, 5),))),
    ('wrong-reshape', 'Convolution:b', lambda: (ConvolutionV4(G(147, 4, 2, 3, 3), G(148, 4), 1, 1), (G(149, 5, 2, 4, 5),))),
    ('overlap-overwritten', 'Convolution:c', lambda: (ConvolutionV5(G(147, 4, 2, 3, 3), G(148, 4), 1, 1), (G(149, 5, 2, 4, 5),))),
    ('rebound-grads', 'Convolution:h', lambda: (ConvolutionV6(G(147, 4, 2, 3, 3), G(148, 4), 1, 1), (G(149, 5, 2, 4, 5),))),
    (('wrong-reshape', 'summed-too-far'), 'Convolution:a+d', lambda: (ConvolutionV7(G(147, 4, 2, 3, 3), G(148, 4), 1, 1), (G(149, 5, 2, 4, 5),))),
    (('flipped-kernel', 'not-written'), 'Convolution:f+g', lambda: (ConvolutionV8(G(147, 4, 2, 3, 3), G(148, 4), 1, 1), (G(149, 5, 2, 4, 5),))),
    ((), 'ConvNHWC', lambda: (ConvNHWC(G(153, 3, 3, 2, 4)), (G(154, 5, 5, 6, 2),))),
    ('flipped-kernel', 'ConvNHWC:a', lambda: (ConvNHWCV2(G(153, 3, 3, 2, 4)), (G(154, 5, 5, 6, 2),))),
    ('missing-transpose', 'ConvNHWC:c', lambda: (ConvNHWCV3(G(153, 3, 3, 4, 4)), (G(154, 3, 5, 4, 4),))),
    (('flipped-kernel', 'factor-2'), 'ConvNHWC:e+d', lambda: (ConvNHWCV4(G(153, 3, 3, 2, 4)), (G(154, 5, 5, 6, 2),))),
    ((), 'CausalConv1d', lambda: (CausalConv1d(), (G(155, 4, 7), G(156, 3)))),
    ('flipped-kernel', 'CausalConv1d:a', lambda: (CausalConv1dV2(), (G(155, 4, 7), G(156, 3)))),
    ((), 'DepthwiseConv', lambda: (DepthwiseConv(G(157, 3, 2, 2), G(158, 3)), (G(159, 4, 3, 4, 5),))),
    ('not-written', 'DepthwiseConv:c', lambda: (DepthwiseConvV2(G(157, 3, 2, 2), G(158, 3)), (G(159, 4, 3, 4, 5),))),
    (('overlap-overwritten', 'summed-too-far'), 'DepthwiseConv:a+b', lambda: (DepthwiseConvV3(G(157, 3, 2, 2), G(158, 3)), (G(159, 4, 3, 4, 5),))),
    ((), 'MaxPoolNaive', lambda: (MaxPoolNaive(2, 2), (G(161, 3, 2, 4, 6),))),
    ((), 'MaxPoolNaive-r2', lambda: (MaxPoolNaiveV2(3, 1), (G(162, 3, 2, 5, 4),))),
    ('overlap-overwritten', 'MaxPoolNaive:a', lambda: (MaxPoolNaiveV3(3, 2), (G(161, 3, 2, 7, 5),))),
    ('missing-mask', 'MaxPoolNaive:b', lambda: (MaxPoolNaiveV4(2, 2), (G(161, 3, 2, 4, 6),))),
    ((), 'Pooling', lambda: (Pooling(), (G(163, 3, 2, 4, 6),))),
    ((), 'Pooling-r2', lambda: (PoolingV2(), (np.round(G(164, 3, 2, 4, 4)),))),
    ('ignores-upstream', 'Pooling:b', lambda: (PoolingV3(), (G(163, 3, 2, 4, 6),))),
    ((), 'AvgPool', lambda: (AvgPool(3), (G(165, 4, 3, 6, 2),))),
    (('wrong-reshape', 'accumulates'), 'FlattenDense:a+c', lambda: (FlattenDense(G(166, 12, 5)), (G(167, 4, 2, 3, 2),))),
    ((), 'RnnStep', lambda: (RnnStep(), (G(171, 5, 3), G(172, 5, 4), G(173, 3, 4), G(174, 4, 4), G(175, 4)))),
    ('not-returned', 'RnnStep:e', lambda: (RnnStepV2(), (G(171, 5, 3), G(172, 5, 4), G(173, 3, 4), G(174, 4, 4), G(175, 4)))),
    ('missing-local-derivative', 'RnnStep:f', lambda: (RnnStepV3(), (G(171, 5, 3), G(172, 5, 4), G(173, 3, 4), G(174, 4, 4), G(175, 4)))),
    (('missing-transpose', 'missing-batch-sum'), 'RnnStep:c+d', lambda: (RnnStepV4(), (G(171, 5, 3), G(172, 5, 4), G(173, 3, 4), G(174, 4, 4), G(175, 4)))),
    (('missing-local-derivative', 'factor-2'), 'RnnStep:g+h', lambda: (RnnStepV5(), (G(171, 5, 3), G(172, 5, 4), G(173, 3, 4), G(174, 4, 4), G(175, 4)))),
    ((), 'RnnSequence', lambda: (RnnSequence(), (G(176, 4, 5, 3), G(177, 4, 6), 0.5 * G(178, 3, 6), 0.4 * G(179, 6, 6), 0.3 * G(180, 6)))),
    ('lost-branch', 'RnnSequence:a', lambda: (RnnSequenceV2(), (G(176, 4, 5, 3), G(177, 4, 6), 0.5 * G(178, 3, 6), 0.4 * G(179, 6, 6), 0.3 * G(180, 6)))),
    ('stale-cache', 'RnnSequence:b', lambda: (RnnSequenceV3(), (G(176, 4, 5, 3), G(177, 4, 6), 0.5 * G(178, 3, 6), 0.4 * G(179, 6, 6), 0.3 * G(180, 6)))),
    (('lost-branch', 'wrong-sign'), 'RnnSequence:c+f', lambda: (RnnSequenceV4(), (G(176, 4, 5, 3), G(177, 4, 6), 0.5 * G(178, 3, 6), 0.4 * G(179, 6, 6), 0.3 * G(180, 6)))),
    (('stale-cache', 'missing-transpose'), 'RnnSequence:b+e', lambda: (RnnSequenceV5(), (G(176, 4, 5, 6), G(177, 4, 6), 0.5 * G(178, 6, 6), 0.4 * G(179, 6, 6), 0.3 * G(180, 6)))),
    ((), 'TimeRNN', lambda: (TimeRNN(0.6 * G(181, 3, 5), 0.4 * G(182, 5, 5), 0.2 * G(183, 5)), (G(184, 4, 6, 3),))),
    ('nondeterministic', 'TimeRNN:n', lambda: (TimeRNNV2(0.6 * G(181, 3, 5), 0.4 * G(182, 5, 5), 0.2 * G(183, 5)), (G(184, 4, 6, 3),))),
    ('rebound-grads', 'TimeRNN:c', lambda: (TimeRNNV3(0.6 * G(181, 3, 5), 0.4 * G(182, 5, 5), 0.2 * G(183, 5)), (G(184, 4, 6, 3),))),
    ('wrong-local-derivative', 'TimeRNN:d', lambda: (TimeRNNV4(0.6 * G(181, 3, 5), 0.4 * G(182, 5, 5), 0.2 * G(183, 5)), (G(184, 4, 6, 3),))),
    ('accumulates', 'TimeRNN:e', lambda: (TimeRNNV5(0.6 * G(181, 3, 5), 0.4 * G(182, 5, 5), 0.2 * G(183, 5)), (G(184, 4, 6, 3),))),
    (('lost-branch', 'divided-by-N'), 'TimeRNN:b+g', lambda: (TimeRNNV6(0.6 * G(181, 3, 5), 0.4 * G(182, 5, 5), 0.2 * G(183, 5)), (G(184, 4, 6, 3),))),
    ((), 'LstmStep', lambda: (LstmStep(G(185, 3, 16), 0.5 * G(186, 4, 16), G(187, 16)), (G(188, 5, 3), G(189, 5, 4), G(190, 5, 4)))),
    (('not-returned', 'summed-too-far'), 'LstmStep:d+e', lambda: (LstmStepV2(G(185, 3, 16), 0.5 * G(186, 4, 16), G(187, 16)), (G(188, 5, 3), G(189, 5, 4), G(190, 5, 4)))),
    ((), 'TimeLSTM', lambda: (TimeLSTM(0.7 * G(191, 3, 16), 0.5 * G(192, 4, 16), 0.5 * G(193, 16)), (G(194, 5, 4, 3),))),
    ('factor-2', 'TimeLSTM:d', lambda: (TimeLSTMV2(0.7 * G(191, 3, 16), 0.5 * G(192, 4, 16), 0.5 * G(193, 16)), (G(194, 5, 4, 3),))),
    (('lost-branch', 'wrong-sign'), 'TimeLSTM:b+c', lambda: (TimeLSTMV3(0.7 * G(191, 3, 16), 0.5 * G(192, 4, 16), 0.5 * G(193, 16)), (G(194, 5, 4, 3),))),
    ((), 'Gru', lambda: (Gru(G(195, 3, 12), G(196, 4, 12)), (G(197, 5, 3), G(198, 5, 4)))),
    ((), 'TimeAffine', lambda: (TimeAffine(G(201, 4, 6), G(202, 6)), (G(203, 5, 3, 4),))),
    ('wrong-reshape', 'TimeAffine:a', lambda: (TimeAffineV2(G(201, 4, 6), G(202, 6)), (G(203, 5, 3, 4),))),
    (('wrong-reshape', 'factor-half'), 'TimeAffine:b+c', lambda: (TimeAffineV3(G(201, 4, 6), G(202, 6)), (G(203, 5, 3, 4),))),
    ('missing-batch-sum', 'TemporalAffineFn:a', lambda: (TemporalAffineFn(), (G(204, 5, 3, 4), G(205, 4, 6), G(206, 6)))),
    (('missing-transpose', 'summed-too-far'), 'TemporalAffineFn:b+c', lambda: (TemporalAffineFnV2(), (G(204, 5, 3, 6), G(205, 6, 6), G(206, 6)))),
    ((), 'TemporalSoftmax', lambda: (TemporalSoftmax((G(207, 5, 3) > -0.5).astype(float)), (G(208, 5, 3, 4), K(209, 4, 5, 3)))),
    ('missing-mask', 'TemporalSoftmax:a', lambda: (TemporalSoftmaxV2((G(207, 5, 3) > -0.5).astype(float)), (G(208, 5, 3, 4), K(209, 4, 5, 3)))),
    ('missing-label-subtraction', 'TemporalSoftmax:b', lambda: (TemporalSoftmaxV3((G(207, 5, 3) > -0.5).astype(float)), (G(208, 5, 3, 4), K(209, 4, 5, 3)))),
    (('missing-mask', 'scaled-by-N'), 'TemporalSoftmax:a+c', lambda: (TemporalSoftmaxV4((G(207, 5, 3) > -0.5).astype(float)), (G(208, 5, 3, 4), K(209, 4, 5, 3)))),
    ((), 'TimeSoftmaxWithLoss', lambda: (TimeSoftmaxWithLoss(), (G(210, 4, 5, 3), K(211, 4, 4, 5) - 1))),
    (('missing-mask', 'missing-label-subtraction'), 'TimeSoftmaxWithLoss:b+d', lambda: (TimeSoftmaxWithLossV2(), (G(210, 4, 5, 3), K(211, 4, 4, 5) - 1))),
    ((), 'WordEmbedding', lambda: (WordEmbedding(G(212, 7, 3)), (A(1, 4, 1, 0, 6, 4).reshape(2, 3),))),
    ('repeated-index', 'WordEmbedding:a', lambda: (WordEmbeddingV2(G(212, 7, 3)), (A(1, 4, 1, 0, 6, 4).reshape(2, 3),))),
    ('repeated-index', 'WordEmbedding:b', lambda: (WordEmbeddingV3(G(212, 7, 3)), (A(1, 4, 1, 0, 6, 4).reshape(2, 3),))),
    ((), 'EmbeddingDot', lambda: (EmbeddingDot(G(217, 6, 4)), (G(218, 5, 4), A(3, 0, 3, 5, 0)))),
    ('repeated-index', 'EmbeddingDot:a', lambda: (EmbeddingDotV2(G(217, 6, 4)), (G(218, 5, 4), A(3, 0, 3, 5, 0)))),
    (('stale-cache', 'wrong-sign'), 'EmbeddingDot:b+d', lambda: (EmbeddingDotV3(G(217, 6, 4)), (G(218, 5, 4), A(3, 0, 3, 5, 0)))),
    ((), 'NegativeSampling', lambda: (NegativeSampling(G(219, 6, 4)), (G(220, 5, 4), A(2, 0, 2, 5, 1)))),
    ('nondeterministic', 'NegativeSampling:b', lambda: (NegativeSamplingV2(G(219, 6, 4)), (G(220, 5, 4), A(2, 0, 2, 5, 1)))),
    (('lost-branch', 'repeated-index'), 'NegativeSampling:a+c', lambda: (NegativeSamplingV3(G(219, 6, 4)), (G(220, 5, 4), A(2, 0, 2, 5, 1)))),
    ((), 'WeightSum', lambda: (WeightSum(), (G(221, 4, 5, 3), G(222, 4, 5)))),
    ('summed-too-far', 'WeightSum:a', lambda: (WeightSumV2(), (G(221, 4, 5, 3), G(222, 4, 5)))),
    ('missing-local-derivative', 'WeightSum:b', lambda: (WeightSumV3(), (G(221, 4, 5, 3), G(222, 4, 5)))),
    ((), 'AttentionBlock', lambda: (AttentionBlock(), (0.8 * G(225, 4, 5, 3), G(226, 4, 3)))),
    ('constant-statistics', 'AttentionBlock:c', lambda: (AttentionBlockV2(), (0.8 * G(225, 4, 5, 3), G(226, 4, 3)))),
    (('lost-branch', 'factor-2'), 'AttentionBlock:a+b', lambda: (AttentionBlockV3(), (0.8 * G(225, 4, 5, 3), G(226, 4, 3)))),
    ((), 'SelfAttention', lambda: (SelfAttention(0.6 * G(227, 6, 18)), (G(228, 3, 4, 6),))),
    ((), 'DotAttention', lambda: (DotAttention(), (G(229, 4, 3, 5), G(230, 4, 3, 5), G(231, 4, 3, 2)))),
    ('missing-transpose', 'DotAttention:a', lambda: (DotAttentionV2(), (G(229, 4, 3, 5), G(230, 4, 3, 5), G(231, 4, 3, 2)))),
    (('missing-transpose', 'factor-half'), 'DotAttention:b+c', lambda: (DotAttentionV3(), (G(229, 4, 3, 5), G(230, 4, 3, 5), G(231, 4, 3, 2)))),
    ((), 'SplitHalves', lambda: (SplitHalves(2), (G(241, 5, 5),))),
    ((), 'RepeatNode', lambda: (RepeatNode(), (G(242, 4, 3),))),
    ('lost-branch', 'RepeatNode:a', lambda: (RepeatNodeV2(), (G(242, 4, 3),))),
    ((), 'MeanAndSpread', lambda: (MeanAndSpread(), (G(243, 4, 6),))),
    ('scaled-by-N', 'MeanAndSpread:a', lambda: (MeanAndSpreadV2(), (G(243, 4, 6),))),
    ((), 'StatefulRnnCell', lambda: (StatefulRnnCell(0.5 * G(244, 3, 4), 0.5 * G(245, 4, 4), 0.3 * G(246, 5, 4)), (G(247, 6, 5, 3),))),
    ('accumulates', 'StatefulRnnCell:a', lambda: (StatefulRnnCellV2(0.5 * G(244, 3, 4), 0.5 * G(245, 4, 4), 0.3 * G(246, 5, 4)), (G(247, 6, 5, 3),))),
    ('mutates-input', 'RowSoftmax', lambda: (RowSoftmax(), (G(248, 5, 4),))),
    ('mutates-input', 'ChannelScale', lambda: (ChannelScale(G(249, 3)), (G(250, 4, 3, 5),))),
    ('mutates-input', 'CriticLinear', lambda: (CriticLinear(G(251, 5, 3)), (G(252, 6, 5),))),
    ('lost-branch', 'ResidualBlock', lambda: (ResidualBlock(G(253, 4, 6), G(254, 6, 4)), (G(255, 5, 4),))),
    ('stale-cache', 'TiedAutoencoder', lambda: (TiedAutoencoder(G(256, 6, 4)), (G(257, 5, 6),))),
    (('lost-branch', 'wrong-local-derivative'), 'TiedSigmoidNet', lambda: (TiedSigmoidNet(G(258, 6, 4)), (G(259, 5, 6),))),
    ('wrong-local-derivative', 'LogSumExp', lambda: (LogSumExp(), (G(260, 4, 5),))),
    ('missing-batch-sum', 'BatchedMatMul', lambda: (BatchedMatMul(), (G(261, 5, 3, 4), G(262, 4, 2)))),
    ('summed-too-far', 'RowGate', lambda: (RowGate(), (G(263, 5, 4), G(264, 5, 1)))),
    ('factor-2', 'GramLayer', lambda: (GramLayer(G(265, 4, 4)), (G(266, 5, 4),))),
    ('lost-branch', 'BilinearEnergy', lambda: (BilinearEnergy(G(267, 4, 4)), (G(268, 5, 4),))),
    ('missing-mask', 'MaskedMeanPool', lambda: (MaskedMeanPool(), (G(269, 4, 5, 3), A(2, 5, 3, 1)))),
    ('inverted-mask', 'ClampLayer', lambda: (ClampLayer(), (G(270, 5, 4),))),
    ('divided-by-N', 'BinaryHinge', lambda: (BinaryHinge(0.5 * G(271, 4)), (G(272, 7, 4), 2 * K(273, 2, 7) - 1))),
    ('not-returned', 'CrossAttend', lambda: (CrossAttend(), (0.6 * G(274, 4, 2, 3), G(275, 4, 5, 3)))),
    ('constant-statistics', 'InstanceNorm', lambda: (InstanceNorm(), (G(276, 3, 2, 3, 4),))),
    ('missing-label-subtraction', 'SkipGramFull', lambda: (SkipGramFull(G(277, 6, 3), G(278, 3, 6)), (A(1, 4, 1, 0, 5), A(2, 0, 3, 3, 1)))),
    ('repeated-index', 'GatherRows', lambda: (GatherRows(), (G(279, 5, 3), A(4, 0, 0, 2, 4, 1)))),
    ('overlap-overwritten', 'Frames', lambda: (Frames(), (G(280, 4, 10),))),
    ('flipped-kernel', 'ConvTranspose1d', lambda: (ConvTranspose1d(G(281, 3, 2, 3)), (G(282, 4, 3, 5),))),
    ('cross-sample', 'SequenceScan', lambda: (SequenceScan(), (G(283, 5, 4),))),
    ('not-written', 'LayerScale', lambda: (LayerScale(G(284, 4)), (G(285, 3, 5, 4),))),
    ('factor-half', 'L2Distance', lambda: (L2Distance(), (G(286, 5, 3), G(287, 4, 3)))),
    ('wrong-penalty', 'LassoLoss', lambda: (LassoLoss(G(288, 4)), (G(289, 7, 4), G(290, 7)))),
    ('missing-local-derivative', 'Softplus', lambda: (Softplus(), (G(291, 5, 3),))),
    ('accumulates', 'Scores', lambda: (Scores(G(292, 4)), (G(293, 3, 5, 4),))),
    ('wrong-sign', 'Sub', lambda: (Sub(), (G(294, 5, 3), G(295, 3)))),
    ('uninformative', 'MaskedTokens', lambda: (MaskedTokens(G(296, 6, 3)), (np.zeros((4, 5), dtype=np.int64),))),
    ('ignores-upstream', 'GeluTanh', lambda: (GeluTanh(), (G(297, 5, 4),))),
    ('nondeterministic', 'NoisyLinear', lambda: (NoisyLinear(G(298, 4, 3)), (G(299, 5, 4),))),
    (('factor-half', 'wrong-reshape'), 'PatchEmbed', lambda: (PatchEmbed(G(301, 8, 5)), (G(302, 3, 2, 4, 6),))),
    (('not-returned', 'wrong-sign'), 'AdditiveScore', lambda: (AdditiveScore(G(303, 4)), (G(304, 5, 4), G(305, 5, 3, 4)))),
    (('scaled-by-N', 'wrong-sign'), 'LogCosh', lambda: (LogCosh(G(306, 4), G(307, 1)), (G(308, 7, 4), G(309, 7)))),
    (('missing-transpose', 'missing-mask'), 'ReluRnnCell', lambda: (ReluRnnCell(G(310, 3, 5), G(311, 5, 5), G(312, 5)), (G(313, 6, 3), G(314, 6, 5)))),
    (('inverted-mask', 'divided-by-N'), 'MaxoutPair', lambda: (MaxoutPair(G(315, 4, 3), G(316, 4, 3), G(317, 3)), (G(318, 6, 4),))),
    (('dropout-scale', 'summed-too-far'), 'DropBias', lambda: (DropBias(G(319, 4)), (G(320, 6, 4),))),
    (('repeated-index', 'factor-2'), 'CbowMean', lambda: (CbowMean(G(321, 6, 3), G(322, 3, 5)), (A(0, 2, 3, 3, 4, 0, 5, 1, 0, 1, 2, 0, 4, 4, 1).reshape(5, 3),))),
    (('stale-cache', 'not-written'), 'GatedUnit', lambda: (GatedUnit(G(323, 4, 3), G(324, 4, 3), G(325, 3)), (G(326, 6, 4),))),
    ('factor-half', 'weight_decay', lambda: ((weight_decay, weight_decay_grad), (G(331, 3, 4),))),
    ('lost-branch', 'log_times_square', lambda: ((log_times_square, log_times_square_grad), (0.5 + np.abs(G(332, 6)),))),
]
