"""The training step hand-written in bare NumPy, tuned: how fast NumPy can be when nothing else is asked of it.

What is not in a textbook: every array is made once and written over from step to step (`out=`); sums over an axis
are products with ones; SGD's and Momentum's learning rate is folded into the gradient of the loss; and an update goes
piece by piece, so that a piece of the parameter, its gradient and its state meet in the cache.
"""
from itertools import cycle

import numpy as np
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


@register("W2", "W3")
def relu_mlp(w):
    """x -> a[0] = relu(x W + b) -> ... -> a[-1], the logits."""
    params = [p.copy() for p in w.params]
    grads = [np.empty_like(p) for p in params]
    Ws, bs, dWs, dbs = params[::2], params[1::2], grads[::2], grads[1::2]
    N, last, batches = len(w.batches[0][1]), len(Ws) - 1, cycle(w.batches)
    a = [np.empty((N, size), f32) for size in w.sizes[1:]]
    d = [np.empty_like(h) for h in a[:-1]]
    zeros, ones = [np.zeros_like(b) for b in bs], np.ones(N, f32)    # maximum(a, a row of zeros) beats maximum(a, 0)
    if w.optimizer == "Adam":
        loss, update = softmax_loss(N, w.sizes[-1], 1), adam(params, grads, **w.hyper)
    else:
        loss, update = softmax_loss(N, w.sizes[-1], w.hyper["lr"]), momentum(params, grads, **w.hyper)

    def step():
        x, t = next(batches)
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
