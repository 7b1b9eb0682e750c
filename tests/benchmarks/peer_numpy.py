"""The training step hand-written in bare NumPy, tuned: how fast NumPy can be when nothing else is asked of it.

What is not in a textbook: every array is made once and written over from step to step (`out=`); sums over an axis
are products with ones; SGD's and Momentum's learning rate is folded into the gradient of the loss; and an update goes
piece by piece, so that a piece of the parameter, its gradient and its state meet in the cache.
"""
from itertools import cycle

import numpy as np
from numpy.lib.stride_tricks import as_strided
from workloads import register

f32 = np.float32
PIECE = 32_768                                                # elements: 128 KiB a piece


def pieces(params, grads, states):
    """Views (piece of p, of g, and of each of `states` new arrays of zeros) that cover all parameters."""
    for p, g in zip(params, grads):
        flat = [a.reshape(-1) for a in (p, g, *(np.zeros_like(p) for _ in range(states)))]
        yield from ([a[i:i + PIECE] for a in flat] for i in range(0, p.size, PIECE))


def momentum(params, grads, momentum, **_):
    """v <- mu v + g, W <- W - v, where g has been multiplied by the learning rate."""
    todo, mu = list(pieces(params, grads, states=1)), f32(momentum)

    def update():
        for p, g, v in todo:
            np.multiply(v, mu, out=v)
            np.add(v, g, out=v)
            np.subtract(p, v, out=p)
    return update


def adam(params, grads, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """On m / (1 - beta1) and v / (1 - beta2), a pass less each; the factors go into the step size and eps."""
    todo, scratch, steps = list(pieces(params, grads, states=2)), np.empty(PIECE, f32), 0
    b1, b2 = f32(beta1), f32(beta2)

    def update():
        nonlocal steps
        steps += 1
        root = ((1 - beta2 ** steps) / (1 - beta2)) ** 0.5
        size, small = f32(lr * (1 - beta1) / (1 - beta1 ** steps) * root), f32(eps * root)
        for p, g, m, v in todo:
            s = scratch[:len(p)]
            np.multiply(m, b1, out=m)
            np.add(m, g, out=m)
            np.multiply(v, b2, out=v)
            np.multiply(g, g, out=s)
            np.add(v, s, out=v)
            np.sqrt(v, out=s)
            np.add(s, small, out=s)
            np.divide(m, s, out=s)
            np.multiply(s, size, out=s)
            np.subtract(p, s, out=p)
    return update


def softmax_loss(N, K, scale):
    """loss(y, t): the mean cross-entropy; the logits y (N, K) become their own gradient times `scale`."""
    rows, ones, total, scale = np.arange(N) * K, np.ones(K, f32), np.empty((N, 1), f32), f32(scale / N)

    def loss(y, t):
        np.subtract(y, np.maximum.reduce(y, axis=1, keepdims=True), out=y)
        np.exp(y, out=y)
        np.matmul(y, ones, out=total[:, 0])
        true, flat = rows + t, y.reshape(-1)
        value = np.log(flat[true] / total[:, 0])
        np.multiply(y, scale / total, out=y)
        flat[true] -= scale
        return -float(value.sum()) / N
    return loss


def affine_relu(params, grads, sizes, N, loss):
    """run(x, t, dx=None): the loss of x -> a[0] = relu(x W + b) -> ... -> a[-1], the logits; fills grads and dx."""
    Ws, bs, dWs, dbs = params[::2], params[1::2], grads[::2], grads[1::2]
    last = len(Ws) - 1
    a = [np.empty((N, size), f32) for size in sizes[1:]]
    d = [np.empty_like(h) for h in a[:-1]]
    zeros, ones = [np.zeros_like(b) for b in bs], np.ones(N, f32)    # maximum(a, a row of zeros) beats maximum(a, 0)

    def run(x, t, dx=None):
        h = x
        for i in range(last + 1):
            np.matmul(h, Ws[i], out=a[i])
            np.add(a[i], bs[i], out=a[i])
            if i < last:
                np.maximum(a[i], zeros[i], out=a[i])
            h = a[i]
        value = loss(h, t)
        dout = h
        for i in range(last, -1, -1):
            np.matmul((a[i - 1] if i else x).T, dout, out=dWs[i])
            np.matmul(ones, dout, out=dbs[i])
            if i:
                np.matmul(dout, Ws[i].T, out=d[i - 1])
                dout = np.multiply(d[i - 1], a[i - 1] > 0, out=d[i - 1])
        if dx is not None:
            np.matmul(dout, Ws[0].T, out=dx)
        return value
    return run


def loss_and_update(w, params, grads):
    """The loss, with the learning rate folded in where the rule allows it, and the update rule."""
    N, K = len(w.batches[0][1]), w.sizes[-1]
    if w.optimizer == "Adam":
        return softmax_loss(N, K, 1), adam(params, grads, **w.hyper)
    return softmax_loss(N, K, w.hyper["lr"]), momentum(params, grads, **w.hyper)


@register("W2", "W3")
def relu_mlp(w):
    params = [p.copy() for p in w.params]
    grads = [np.empty_like(p) for p in params]
    loss, update = loss_and_update(w, params, grads)
    run, batches = affine_relu(params, grads, w.sizes, len(w.batches[0][1]), loss), cycle(w.batches)

    def step():
        value = run(*next(batches))
        update()
        return value
    return step


def windows(x, size, width):
    """Every window of `size` rows and `width` pixels of x (N, H, W, C), as a view (N, OH, OW, size, width C)."""
    (N, H, W, C), (n, h, w, c) = x.shape, x.strides
    return as_strided(x, (N, H - size + 1, W - width + 1, size, width * C), (n, h, w, h, c))


def halves(a, run):
    """The first and the second of each pair of neighbours; a neighbour is `run` values."""
    pairs = a.reshape(-1, 2, run)
    return pairs[:, 0], pairs[:, 1]


class Stage:
    """x (N, H, W, C), padded already -> y, the convolution (N, OH, OW, F) -> maximum of 2x2 -> plus bias -> ReLU -> o.

    Pooling first comes to the same, and leaves bias and ReLU a quarter of the work. `each` images at a time, so that
    their window matrix, its product with the kernel K (KH, KW, C, F) and the gradient of that stay in the cache.
    """

    def __init__(self, x, K, b, dK, db, pool, each, width, run):
        """`width` pixels a window; `run` values, in a row of y, between two that are pooled together."""
        (N, H, W, C), (size, _, _, F) = x.shape, K.shape
        OH, OW = H - size + 1, W - size + 1
        self.x, self.K, self.b, self.dK, self.db = x, K, b, dK, db
        self.pieces = [slice(n, n + each) for n in range(0, N, each)]
        self.windows = windows(x, size, width)
        self.cut = np.empty((each, *self.windows.shape[1:]), f32)
        self.matrix = self.cut.reshape(-1, size * width * C)
        self.y = self.o = np.empty((N, OH, OW, F), f32)
        self.dy = np.empty((each, OH, OW, F), f32)
        self.pooling = []                                     # (run, before, after, gradient of before)
        if pool:
            rows, drows = np.empty((N, OH // 2, OW, F), f32), np.empty((each, OH // 2, OW, F), f32)
            self.o = np.empty((N, OH // 2, OW // 2, F), f32)
            self.pooling = [(OW * F, self.y, rows, self.dy), (run, rows, self.o, drows)]
        _, height, width, _ = self.o.shape
        self.bias, self.zeros, self.ones = np.empty((width, F), f32), np.zeros(width * F, f32), np.ones(each * height, f32)

    def forward(self, out=None):
        """Fills o, and `out` with the same."""
        weights, line = self.weights(), len(self.zeros)
        self.bias[...] = self.b
        for s in self.pieces:
            np.copyto(self.cut, self.windows[s])
            np.matmul(self.matrix, weights, out=self.y[s].reshape(len(self.matrix), -1))
            for run, before, after, _ in self.pooling:
                np.maximum(*halves(before[s], run), out=after[s].reshape(-1, run))
            o = self.o[s].reshape(-1, line)
            np.add(o, self.bias.reshape(line), out=o)
            np.maximum(o, self.zeros, out=o)
            if out is not None:
                out[s] = self.o[s]

    def backward(self, do):
        """Fills dK, db and, where wanted, dx; overwrites do."""
        line = len(self.zeros)
        self.db[...] = 0
        for s in self.pieces:
            d = do[s].reshape(-1, line)
            np.multiply(d, self.o[s].reshape(-1, line) > 0, out=d)
            self.db += (self.ones @ d).reshape(-1, len(self.b)).sum(axis=0)
            for run, before, _, dbefore in self.pooling[::-1]:
                (first, second), (dfirst, dsecond), d = halves(before[s], run), halves(dbefore, run), d.reshape(-1, run)
                np.multiply(d, first >= second, out=dfirst)
                np.subtract(d, dfirst, out=dsecond)
                d = dbefore
            self.gradients(s, d)


class RowStage(Stage):
    """For few channels: a window as wide as the image, and one banded matrix with K once for each output of a row.

    It multiplies by zeros, and copies one long run for each row of K in place of a short one for each row and output.
    Its columns are even outputs first, odd ones behind, so that pooling joins two long runs, too. All images at once.
    """

    def __init__(self, x, K, b, dK, db, dx=None):
        (N, _, W, C), (size, _, _, F) = x.shape, K.shape
        OW = W - size + 1
        super().__init__(x, K, b, dK, db, True, each=N, width=W, run=OW // 2 * F)
        self.dx = dx
        self.band, self.dband = (np.zeros((size, W, C, 2, OW // 2, F), f32) for _ in range(2))
        h, w, c, odd, j, f = self.band.strides
        self.kernels, self.dkernels = (as_strided(a, (size, size, C, F, 2, OW // 2), (h, w, c, f, odd + w, j + 2 * w))
                                       for a in (self.band, self.dband))
        self.dcut = np.empty_like(self.cut)

    def flat(self, band):
        return band.reshape(self.matrix.shape[1], -1)

    def weights(self):
        self.kernels[...] = self.K[..., None, None]
        return self.flat(self.band)

    def gradients(self, s, dy):
        """dx: each window's gradient is added back to where it was cut from."""
        dy = dy.reshape(len(self.matrix), -1)
        np.matmul(self.matrix.T, dy, out=self.flat(self.dband))
        np.add.reduce(self.dkernels, axis=(4, 5), out=self.dK)
        if self.dx is not None:
            np.matmul(dy, self.flat(self.band).T, out=self.dcut.reshape(self.matrix.shape))
            self.dx[...] = 0
            for k in range(len(self.K)):
                rows = self.dx[:, k:k + self.dcut.shape[1]]
                np.add(rows, self.dcut[:, :, 0, k].reshape(rows.shape), out=rows)


class PixelStage(Stage):
    """For more channels: a window of the kernel's size for each output.

    If dx is wanted, both gradients come from the windows of dy, padded: times the turned kernel they are dx; transposed,
    times x without its padding (`pixels`, of dx's shape), they are dK turned. Nothing has to be added back.
    """

    def __init__(self, x, K, b, dK, db, pool, pixels=None, dx=None):
        size, _, C, F = K.shape
        super().__init__(x, K, b, dK, db, pool, each=1, width=size, run=F)
        self.pixels, self.dx = pixels, dx
        if dx is not None:
            pad = size - 1 - (x.shape[1] - dx.shape[1]) // 2
            self.padded = np.zeros((1, *(n + 2 * pad for n in self.dy.shape[1:3]), F), f32)
            self.inside = self.padded[:, pad:-pad, pad:-pad]
            self.dwindows = windows(self.padded, size, size)
            self.dcut = np.empty(self.dwindows.shape, f32)
            self.turned, self.dturned = (np.empty((size, size, F, C), f32) for _ in range(2))

    def weights(self):
        return self.K.reshape(-1, len(self.b))

    def backward(self, do):
        self.dK[...] = 0
        if self.dx is None:
            return super().backward(do)
        self.turned[...] = self.K[::-1, ::-1].swapaxes(2, 3)
        self.dturned[...] = 0
        super().backward(do)
        self.dK[...] = self.dturned[::-1, ::-1].swapaxes(2, 3)

    def gradients(self, s, dy):
        if self.dx is None:
            np.copyto(self.cut, self.windows[s])
            self.dK += np.matmul(self.matrix.T, dy.reshape(len(self.matrix), -1)).reshape(self.dK.shape)
        else:
            self.inside[...] = dy.reshape(self.dy.shape)
            np.copyto(self.dcut, self.dwindows)
            turned = self.turned.reshape(-1, self.turned.shape[3])
            matrix, pixels, dx = self.dcut.reshape(-1, len(turned)), self.pixels[s], self.dx[s]
            np.matmul(matrix, turned, out=dx.reshape(len(matrix), -1))
            self.dturned += np.matmul(matrix.T, pixels.reshape(len(matrix), -1)).reshape(self.dturned.shape)


@register("W4", "W5")
def cnn(w):
    """Channels last everywhere, also in the rows of the first affine layer's weight."""
    N, C, side, _ = w.batches[0][0].shape
    convolutions = 2 * len(w.convolutions)
    params = [p.transpose(2, 3, 1, 0).copy() if p.ndim == 4 else p.copy() for p in w.params]
    grads = [np.empty_like(p) for p in params]
    loss, update = loss_and_update(w, params, grads)
    stages, inside, dos = [], [], []                          # inside: x without its padding; dos: dL/do
    for i, (F, _, padding, pool) in enumerate(w.convolutions):
        x = np.zeros((N, side + 2 * padding, side + 2 * padding, C), f32)
        inside.append(x[:, padding:padding + side, padding:padding + side])
        arguments = x, *params[2 * i:2 * i + 2], *grads[2 * i:2 * i + 2]
        dx, pixels = (dos[-1], stages[-1].o) if i else (None, None)
        stages.append(RowStage(*arguments, dx) if F < 32 else PixelStage(*arguments, pool, pixels, dx))
        dos.append(np.empty_like(stages[-1].o))
        _, side, _, C = dos[-1].shape
    W = params[convolutions]
    W[...] = W.reshape(C, side * side, -1).swapaxes(0, 1).reshape(W.shape)
    run = affine_relu(params[convolutions:], grads[convolutions:], w.sizes, N, loss)
    batches = cycle(w.batches)

    def step():
        x, t = next(batches)
        inside[0][...] = x.transpose(0, 2, 3, 1)
        for stage, out in zip(stages, [*inside[1:], None]):
            stage.forward(out)
        value = run(stages[-1].o.reshape(N, -1), t, dos[-1].reshape(N, -1))
        for stage, do in zip(stages[::-1], dos[::-1]):
            stage.backward(do)
        update()
        return value
    return step


@register("W1")
def tiny_mlp(w):
    """One hidden layer of sigmoids, features first: A (H, I+1) = [W1.T b1], B (K, H+1) = [W2.T b2], samples in columns.

    Arrays this small cost only the calls, so there are as few as possible: the bias is a column of the weights against
    a row of ones, all parameters lie in one array and are updated at once, what depends on the data alone is made
    beforehand.
    """
    (I, H, K), N, (W1, b1, W2, b2) = w.sizes, len(w.batches[0][1]), w.params
    lr = f32(w.hyper["lr"] / N)
    params = np.concatenate([np.vstack([W1, b1]).T.reshape(-1), np.vstack([W2, b2]).T.reshape(-1)])
    grads = np.empty_like(params)
    A, B = params[:H * (I + 1)].reshape(H, I + 1), params[H * (I + 1):].reshape(K, H + 1)
    dA, dB = grads[:A.size].reshape(A.shape), grads[A.size:].reshape(B.shape)
    h1, y, s, picked = np.ones((H + 1, N), f32), np.empty((K, N), f32), np.empty(N, f32), np.empty(N, f32)
    h, d, slope, half = h1[:H], np.empty((H, N), f32), np.empty((H, N), f32), np.full((H, N), 0.5, f32)
    h1T, W2T, ones = h1.T, B[:, :H].T, np.ones(K, f32)
    column, data = np.arange(N), []
    for x, t in w.batches:
        x1 = np.vstack([x.T, np.ones(N, f32)])
        data.append((x1, np.ascontiguousarray(x1.T), np.equal.outer(range(K), t) * lr, t * N + column))
    batches = cycle(data)
    rate = np.full(N, lr)
    multiply, add, subtract, divide, matmul = np.multiply, np.add, np.subtract, np.divide, np.matmul
    tanh, exp, log, maximum, total, take = np.tanh, np.exp, np.log, np.maximum.reduce, np.add.reduce, y.reshape(-1).take

    def step():
        x1, x1T, target, true = next(batches)
        A.dot(x1, h)
        multiply(h, half, h)                                  # sigmoid(a) = tanh(a / 2) / 2 + 1 / 2
        tanh(h, h)
        multiply(h, half, h)
        add(h, half, h)
        B.dot(h1, y)
        subtract(y, maximum(y, 0, None, s), y)
        exp(y, y)
        ones.dot(y, s)
        take(true, 0, picked, "clip")
        divide(picked, s, picked)
        loss = -total(log(picked, picked)) / N
        divide(rate, s, s)                                    # y <- lr / N (softmax - one-hot)
        multiply(y, s, y)
        subtract(y, target, y)
        matmul(y, h1T, dB)
        matmul(W2T, y, d)
        multiply(h, h, slope)                                 # sigmoid' = h - h^2
        subtract(h, slope, slope)
        multiply(d, slope, d)
        d.dot(x1T, dA)
        subtract(params, grads, params)
        return loss

    def products():
        x1, x1T, *_ = data[0]
        A.dot(x1, h)
        B.dot(h1, y)
        matmul(y, h1T, dB)
        matmul(W2T, y, d)
        d.dot(x1T, dA)

    step.products = products                                  # for peer_products.py, which cannot see a call of .dot
    return step


def empty(*shapes):
    return [np.empty(shape, f32) for shape in shapes]


class Dense:
    """y = x W + b, where W is (I, O)."""

    def __init__(self, rows, W, b, dW, db):
        self.W, self.b, self.dW, self.db = W, b, dW, db
        self.y, self.ones = np.empty((rows, len(b)), f32), np.ones(rows, f32)

    def forward(self, x):
        self.x = x
        np.matmul(x, self.W, out=self.y)
        return np.add(self.y, self.b, out=self.y)

    def backward(self, dy, dx):
        np.matmul(self.x.T, dy, out=self.dW)
        np.matmul(self.ones, dy, out=self.db)
        return np.matmul(dy, self.W.T, out=dx)


class Norm:
    """y = gamma u + beta with u = (x - mean) s, s = 1 / sqrt(variance + 1e-5)."""

    def __init__(self, rows, gamma, beta, dgamma, dbeta):
        self.gamma, self.beta, self.dgamma, self.dbeta = gamma, beta, dgamma, dbeta
        self.u, self.y, self.tmp = (np.empty((rows, len(gamma)), f32) for _ in range(3))
        self.s, self.mean, self.ones = np.empty((rows, 1), f32), np.empty((rows, 1), f32), np.ones(rows, f32)
        self.average = np.full(len(gamma), 1 / len(gamma), f32)

    def forward(self, x):
        u, s = self.u, self.s
        np.matmul(x, self.average, out=self.mean[:, 0])
        np.subtract(x, self.mean, out=u)
        np.multiply(u, u, out=self.tmp)
        np.matmul(self.tmp, self.average, out=s[:, 0])
        np.add(s, f32(1e-5), out=s)
        np.sqrt(s, out=s)
        np.reciprocal(s, out=s)
        np.multiply(u, s, out=u)
        np.multiply(u, self.gamma, out=self.y)
        return np.add(self.y, self.beta, out=self.y)

    def backward(self, dy, dx):
        """Adds to dx; overwrites dy."""
        u, tmp = self.u, self.tmp
        np.matmul(self.ones, dy, out=self.dbeta)
        np.multiply(dy, u, out=tmp)
        np.matmul(self.ones, tmp, out=self.dgamma)
        du = np.multiply(dy, self.gamma, out=dy)
        np.multiply(du, u, out=tmp)
        np.matmul(tmp, self.average, out=self.mean[:, 0])
        np.multiply(u, self.mean, out=tmp)
        np.matmul(du, self.average, out=self.mean[:, 0])
        np.subtract(du, self.mean, out=du)
        np.subtract(du, tmp, out=du)
        np.multiply(du, self.s, out=du)
        np.add(dx, du, out=dx)


class Attention:
    """Causal self-attention on queries, keys and values side by side, qkv (N T, 3 D)."""

    def __init__(self, N, T, D, heads):
        self.scale, self.D = f32((D // heads) ** -0.5), D
        self.dqkv, self.y = np.empty((N * T, 3 * D), f32), np.empty((N * T, D), f32)
        self.w, self.dw = np.empty((N, heads, T, T), f32), np.empty((N, heads, T, T), f32)
        self.sums, self.ones = np.empty((N, heads, T, 1), f32), np.ones(T, f32)
        self.future = np.triu(np.full((T, T), -1e9, f32), 1)
        self.shape = N, T, -1, heads, D // heads

    def heads(self, a):
        """(N T, k D) as k views (N, heads, T, D / heads)."""
        return a.reshape(self.shape).transpose(2, 0, 3, 1, 4)

    def forward(self, qkv):
        np.multiply(qkv[:, :self.D], self.scale, out=qkv[:, :self.D])
        self.q, self.k, self.v = self.heads(qkv)
        w, sums = self.w, self.sums
        np.matmul(self.q, self.k.swapaxes(2, 3), out=w)
        np.add(w, self.future, out=w)
        np.subtract(w, np.maximum.reduce(w, axis=3, keepdims=True), out=w)
        np.exp(w, out=w)
        np.matmul(w, self.ones, out=sums[..., 0])
        np.reciprocal(sums, out=sums)
        np.multiply(w, sums, out=w)
        np.matmul(w, self.v, out=self.heads(self.y)[0])
        return self.y

    def backward(self, dy):
        w, dw, sums, (dy,), (dq, dk, dv) = self.w, self.dw, self.sums, self.heads(dy), self.heads(self.dqkv)
        np.matmul(w.swapaxes(2, 3), dy, out=dv)
        np.matmul(dy, self.v.swapaxes(2, 3), out=dw)
        np.multiply(dw, w, out=dw)
        np.matmul(dw, self.ones, out=sums[..., 0])
        np.multiply(w, sums, out=w)
        np.subtract(dw, w, out=dw)
        np.matmul(dw, self.k, out=dq)
        np.matmul(dw.swapaxes(2, 3), self.q, out=dk)
        np.multiply(self.dqkv[:, :self.D], self.scale, out=self.dqkv[:, :self.D])
        return self.dqkv


class Gelu:
    """y = x (1 + t) / 2, t = tanh(a x + b x^3)."""
    a, b = f32((2 / np.pi) ** 0.5), f32(0.044715 * (2 / np.pi) ** 0.5)

    def __init__(self, rows, D):
        self.y, self.t, self.slope = empty(*[(rows, D)] * 3)

    def forward(self, x):
        t, y, self.x = self.t, self.y, x
        np.multiply(x, x, out=t)
        np.multiply(t, self.b, out=t)
        np.add(t, self.a, out=t)
        np.multiply(t, x, out=t)
        np.tanh(t, out=t)
        np.add(t, f32(1), out=y)
        np.multiply(y, x, out=y)
        return np.multiply(y, f32(0.5), out=y)

    def backward(self, dy):
        """dy becomes dx: times [1 + t + x (1 - t^2) (a + 3 b x^2)] / 2."""
        x, t, slope = self.x, self.t, self.slope
        np.multiply(x, x, out=slope)
        np.multiply(slope, f32(3 * self.b), out=slope)
        np.add(slope, self.a, out=slope)
        np.multiply(slope, x, out=slope)
        np.multiply(t, t, out=x)                              # x is not needed any more
        np.subtract(f32(1), x, out=x)
        np.multiply(slope, x, out=slope)
        np.add(slope, t, out=slope)
        np.add(slope, f32(1), out=slope)
        np.multiply(slope, f32(0.5), out=slope)
        return np.multiply(dy, slope, out=dy)


@register("W7")
def transformer(w):
    N, T = w.batches[0][0].shape
    V, D, rows = w.vocabulary, w.dimension, N * T
    E, P, g1, h1, Wq, bq, Wk, bk, Wv, bv, *rest = w.params
    params = [p.copy() for p in (E, P, g1, h1, np.concatenate([Wq, Wk, Wv], axis=1), np.concatenate([bq, bk, bv]), *rest)]
    grads = [np.empty_like(p) for p in params]
    pairs = iter(list(zip(params[2::2], params[3::2], grads[2::2], grads[3::2])))
    norm1, qkv, joined = Norm(rows, *next(pairs)), Dense(rows, *next(pairs)), Dense(rows, *next(pairs))
    norm2, wide, narrow = Norm(rows, *next(pairs)), Dense(rows, *next(pairs)), Dense(rows, *next(pairs))
    norm3, output = Norm(rows, *next(pairs)), Dense(rows, *next(pairs))
    (E, P, *_), (dE, dP, *_) = params, grads
    attention, gelu, loss = Attention(N, T, D, w.heads), Gelu(rows, 4 * D), softmax_loss(rows, V, 1)
    x0, x, dy, dwide, hot = empty((N, T, D), (rows, D), (rows, D), (rows, 4 * D), (rows, V))
    update, row, batches = adam(params, grads, **w.hyper), np.arange(rows) * V, cycle(w.batches)

    def step():
        ids, t = next(batches)
        np.take(E, ids, 0, out=x0, mode="clip")
        np.add(x0, P, out=x0)
        x1 = joined.forward(attention.forward(qkv.forward(norm1.forward(x0.reshape(rows, D)))))
        np.add(x1, x0.reshape(rows, D), out=x1)
        np.add(narrow.forward(gelu.forward(wide.forward(norm2.forward(x1)))), x1, out=x)
        scores = output.forward(norm3.forward(x))
        value = loss(scores, t.reshape(-1))
        output.backward(scores, dy)
        dx = x                                                # done with the value, it takes the gradient
        dx[...] = 0
        norm3.backward(dy, dx)
        norm2.backward(wide.backward(gelu.backward(narrow.backward(dx, dwide)), dy), dx)
        norm1.backward(qkv.backward(attention.backward(joined.backward(dx, dy)), dy), dx)
        np.add.reduce(dx.reshape(N, T, D), axis=0, out=dP)
        hot[...] = 0                                          # for a hundred tokens a product with one-hot rows
        hot.reshape(-1)[row + ids.reshape(-1)] = 1
        np.matmul(hot.T, dx, out=dE)
        update()
        return value
    return step


class Rows:
    """Sums the gradients of equal ids, n ids of `vocabulary` and as many rows of `width` values, and adds the sums to a matrix.

    Each use of an id notes its place; the note that stays is the last one's, which collects the rows of the others.
    """

    def __init__(self, vocabulary, n, width):
        self.place, self.uses, self.columns = np.empty(vocabulary, np.intp), np.arange(n), np.arange(width)
        self.sums, self.rows = np.empty((n, width), f32), np.empty((n, width), f32)

    def collect(self, ids, values):
        """The distinct ids, and the sums of their rows."""
        self.place[ids] = self.uses
        last = self.place.take(ids)
        kept = last == self.uses
        again = np.flatnonzero(~kept)
        entries = last.take(again)[:, None] * len(self.columns) + self.columns
        np.add.at(values.reshape(-1), entries.reshape(-1), values.take(again, axis=0).reshape(-1))
        kept = np.flatnonzero(kept)
        return ids.take(kept), values.take(kept, axis=0, out=self.sums[:len(kept)], mode="clip")

    def of(self, W, ids):
        """A copy of W[ids], over the last one."""
        return W.take(ids, axis=0, out=self.rows[:len(ids)], mode="clip")

    def add(self, W, ids, values):
        rows = self.of(W, ids)
        np.add(rows, values, out=rows)
        W[ids] = rows


@register("W6")
def lstm(w):
    """Time first. Rows of the output layer in groups of `EACH`, so that their scores stay in the cache from the product to
    the gradients: scores (EACH, V) <- exp, less their sum at the true word. What is missing, a division of each row by
    that sum, is made up for on the narrow side, in dh and in the factor h of dWo. No maximum is subtracted unless a score
    is large. The bias of the output layer is a row of Wo against a column of ones.
    """
    EACH = 140
    (N, T), V, D, H, lr = w.batches[0][0].shape, w.vocabulary, w.dimension, w.hidden, w.hyper["lr"]
    E, Wx, Wh, b, Wo, bo = (p.copy() for p in w.params)
    params = [Wx, Wh, b, np.vstack([Wo, bo])]
    Wo = params[3]
    dWx, dWh, db, dWo = grads = [np.empty_like(p) for p in params]
    rows = N * T
    x, dx, q, tmp, dc, dh = empty((rows, D), (rows, D), (N, 4 * H), (N, H), (N, H), (T, N, H))
    gates, dgates, tanh_c, by_c, by_h, c_by_h = empty(*[(T, N, 4, H)] * 2, (T, N, H), (T, N, 3, H), *[(T, N, H)] * 2)
    h, c, ones = np.zeros((T + 1, N, H), f32), np.zeros((T + 1, N, H), f32), np.ones(rows, f32)
    flat, dflat = gates.reshape(rows, -1), dgates.reshape(rows, -1)
    scale = np.repeat(f32([0.5, 0.5, 1, 0.5]), H)             # sigmoid(a) = tanh(a / 2) / 2 + 1 / 2, gates i, f, g, o
    shift = 1 - scale
    h1, words, row = np.ones((rows, H + 1), f32), np.ones(V, f32), np.arange(EACH) * V
    dh1, scores, part, sums, true = empty(h1.shape, (EACH, V), Wo.shape, rows, rows)
    table = Rows(V, rows, D)
    batches = cycle([tuple(np.ascontiguousarray(a.T).reshape(-1) for a in batch) for batch in w.batches])

    def forward(ids):
        np.take(E, ids, 0, out=x, mode="clip")
        h[0], c[0] = h[T], c[T]
        np.matmul(x, Wx, out=flat)
        np.add(flat, b, out=flat)
        for t in range(T):
            a = flat[t * N:(t + 1) * N]
            np.matmul(h[t], Wh, out=q)
            np.add(a, q, out=a)
            np.multiply(a, scale, out=a)
            np.tanh(a, out=a)
            np.multiply(a, scale, out=a)
            np.add(a, shift, out=a)
            i, f, g, o = gates[t].swapaxes(0, 1)
            np.multiply(f, c[t], out=c[t + 1])
            np.multiply(i, g, out=tmp)
            np.add(c[t + 1], tmp, out=c[t + 1])
            np.tanh(c[t + 1], out=tanh_c[t])
            np.multiply(o, tanh_c[t], out=h[t + 1])

    def output(t):
        """The sum of the losses; dWo and dh."""
        h1[:, :H] = h[1:].reshape(rows, H)
        dWo[...] = 0
        for start in range(0, rows, EACH):
            s = slice(start, min(start + EACH, rows))
            y, at = scores[:s.stop - start], row[:s.stop - start] + t[s]
            np.matmul(h1[s], Wo, out=y)
            if not -60 < y.min() <= y.max() < 60:
                np.subtract(y, y.max(axis=1, keepdims=True), out=y)
            np.exp(y, out=y)
            np.matmul(y, words, out=sums[s])
            true[s] = y.reshape(-1)[at]
            y.reshape(-1)[at] -= sums[s]
            np.matmul(y, Wo.T, out=dh1[s])
            np.divide(h1[s], (sums[s] * f32(rows))[:, None], out=h1[s])
            np.matmul(h1[s].T, y, out=part)
            np.add(dWo, part, out=dWo)
        h1[:, H] = 1
        np.divide(dh1[:, :H].reshape(T, N, H), (sums * f32(rows)).reshape(T, N, 1), out=dh)
        return -float(np.log(true / sums).sum())

    def backward():
        i, f, g, o = gates.transpose(2, 0, 1, 3)
        for slot, gate, factor in (0, i, g), (1, f, c[:-1]):
            k = by_c[:, :, slot]
            np.multiply(gate, gate, out=k)
            np.subtract(gate, k, out=k)
            np.multiply(k, factor, out=k)
        k = by_c[:, :, 2]
        np.multiply(g, g, out=k)
        np.subtract(f32(1), k, out=k)
        np.multiply(k, i, out=k)
        np.multiply(o, o, out=by_h)
        np.subtract(o, by_h, out=by_h)
        np.multiply(by_h, tanh_c, out=by_h)
        np.multiply(tanh_c, tanh_c, out=c_by_h)
        np.subtract(f32(1), c_by_h, out=c_by_h)
        np.multiply(c_by_h, o, out=c_by_h)
        dc[...] = 0
        for t in reversed(range(T)):
            if t < T - 1:
                np.matmul(dflat[(t + 1) * N:(t + 2) * N], Wh.T, out=tmp)
                np.add(dh[t], tmp, out=dh[t])
            np.multiply(dh[t], c_by_h[t], out=tmp)
            np.add(dc, tmp, out=dc)
            np.multiply(dc[:, None], by_c[t], out=dgates[t, :, :3])
            np.multiply(dh[t], by_h[t], out=dgates[t, :, 3])
            np.multiply(dc, f[t], out=dc)
        np.matmul(h[:-1].reshape(rows, H).T, dflat, out=dWh)
        np.matmul(x.T, dflat, out=dWx)
        np.matmul(ones, dflat, out=db)
        np.matmul(dflat, Wx.T, out=dx)

    def step():
        ids, t = next(batches)
        forward(ids)
        loss = output(t)
        backward()
        seen, dE = table.collect(ids, dx)
        norm = sum(float(np.vdot(g, g)) for g in (*grads, dE)) ** 0.5
        rate = f32(lr * min(1, w.clip / norm))
        for p, g in zip(params, grads):
            np.multiply(g, rate, out=g)
            np.subtract(p, g, out=p)
        np.multiply(dE, -rate, out=dE)
        table.add(E, seen, dE)
        return loss / rows
    return step


def lazy_adam(params, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """Adam on gradients that are zero but in a few rows: the sums m = beta1^k M and v = beta2^k S^2 are kept as M and S.

    What decays is one number each, beta1^k and beta2^k; M and S change in the few rows alone, and all that is left to do
    everywhere is W -= size M / (S + small). Every 100 steps the numbers are multiplied in, and begin at 1 again.
    """
    steps, scratch, states = 0, np.empty(PIECE, f32), [(W, np.zeros_like(W), np.zeros_like(W)) for W in params]

    def update(gradients):
        """gradients: (Rows, ids, their gradients), which are overwritten, for each parameter."""
        nonlocal steps
        steps += 1
        k = steps % 100
        d1, d2 = beta1 ** k, beta2 ** k
        root = ((1 - beta2 ** steps) / (1 - beta2) / d2) ** 0.5
        size, small = f32(lr * (1 - beta1) / (1 - beta1 ** steps) * root * d1), f32(eps * root)
        for (W, M, S), (table, ids, g) in zip(states, gradients):
            if k == 0:
                M *= f32(beta1 ** 100)
                S *= f32(beta2 ** 50)
            np.multiply(g, f32(1 / d1), out=g)
            table.add(M, ids, g)
            np.multiply(g, g, out=g)
            np.multiply(g, f32(d1 * d1 / d2), out=g)
            s = table.of(S, ids)
            np.multiply(s, s, out=s)
            np.add(s, g, out=s)
            S[ids] = np.sqrt(s, out=s)
            W, M, S = W.reshape(-1), M.reshape(-1), S.reshape(-1)
            for i in range(0, W.size, PIECE):
                p = W[i:i + PIECE]
                s = np.add(S[i:i + PIECE], small, out=scratch[:len(p)])
                np.divide(M[i:i + PIECE], s, out=s)
                np.multiply(s, size, out=s)
                np.subtract(p, s, out=p)
    return update


@register("W8", "W8s")
def cbow(w):
    (N, C), (_, K) = (a.shape for a in w.batches[0][:2])
    params = words_in, words_out = [p.copy() for p in w.params]
    V, H = words_in.shape
    around, out, doutput, h, dh, scores = empty((N * C, H), (N * K, H), (N, K, H), (N, 1, H), (N, 1, H), (N, K))
    mean = np.full((1, C), 1 / C, f32)
    vectors, outs, lr = around.reshape(N, C, H), out.reshape(N, K, H), w.hyper["lr"]
    table_in, table_out = Rows(V, N * C, H), Rows(V, N * K, H)
    adam = lazy_adam(params, **w.hyper) if w.optimizer == "Adam" else None
    batches, half = cycle(w.batches), f32(0.5)

    def step():
        ids, asked, labels = next(batches)
        ids, asked = ids.reshape(-1), asked.reshape(-1)
        np.take(words_in, ids, 0, out=around, mode="clip")
        np.matmul(mean, vectors, out=h)
        np.take(words_out, asked, 0, out=out, mode="clip")
        np.matmul(outs, h.swapaxes(1, 2), out=scores[:, :, None])
        np.multiply(scores, half, out=scores)                 # sigmoid(a) = tanh(a / 2) / 2 + 1 / 2
        np.tanh(scores, out=scores)
        np.multiply(scores, half, out=scores)
        np.add(scores, half, out=scores)
        np.subtract(scores, labels, out=scores)               # label - this is what the model got wrong
        loss = -float(np.log(1 - np.abs(scores)).sum()) / N
        np.multiply(scores, f32((1 if adam else -lr) / N), out=scores)
        np.matmul(scores[:, None], outs, out=dh)
        np.multiply(scores[:, :, None], h, out=doutput)
        np.multiply(dh, f32(1 / C), out=dh)
        vectors[...] = dh
        gradients = [(table_in, *table_in.collect(ids, around)),
                     (table_out, *table_out.collect(asked, doutput.reshape(-1, H)))]
        if adam:
            adam(gradients)
        else:
            for W, (table, *gradient) in zip(params, gradients):
                table.add(W, *gradient)
        return loss
    return step
