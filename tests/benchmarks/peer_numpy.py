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
    return step
