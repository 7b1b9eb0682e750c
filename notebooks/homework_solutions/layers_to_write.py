"""Solutions of the homework: one way to write each layer. 10 of 10.

Samples are rows. ``backward`` writes the gradients of the parameters into ``self.grads`` (``self.grads[0][...] = dW``) and
returns the gradient of the input.
"""
import numpy as np


class Affine:
    """y = x W + b; x (N, D), W (D, M), b (M,)."""
    def __init__(self, W, b):
        self.params, self.grads = [W, b], [np.zeros_like(W), np.zeros_like(b)]

    def forward(self, x):
        W, b = self.params
        self.x = x
        return x @ W + b

    def backward(self, dout):
        W, b = self.params
        self.grads[0][...] = self.x.T @ dout
        self.grads[1][...] = dout.sum(axis=0)
        return dout @ W.T


class ReLU:
    """y = max(0, x)."""
    params, grads = [], []

    def forward(self, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, dout):
        return dout * self.mask


class Sigmoid:
    """y = 1 / (1 + exp(-x))."""
    params, grads = [], []

    def forward(self, x):
        self.y = 1 / (1 + np.exp(-x))
        return self.y

    def backward(self, dout):
        return dout * self.y * (1 - self.y)


class Embedding:
    """y = W[ids]; ids (N, T) of integers, which may repeat, W (V, D). The ids have no gradient: backward returns None."""
    def __init__(self, W):
        self.params, self.grads = [W], [np.zeros_like(W)]

    def forward(self, ids):
        self.ids = ids
        return self.params[0][ids]

    def backward(self, dout):
        self.grads[0][...] = 0
        np.add.at(self.grads[0], self.ids, dout)           # equal ids add up


class SoftmaxWithLoss:
    """The mean over the samples of -log softmax(x)[t], a number; x (N, C), labels t (N,). backward returns the gradient of x."""
    params, grads = [], []

    def forward(self, x, t):
        e = np.exp(x - x.max(axis=1, keepdims=True))       # the largest is 1: nothing overflows
        self.p, self.t = e / e.sum(axis=1, keepdims=True), t
        return -np.log(self.p[np.arange(len(t)), t]).mean()

    def backward(self, dout=1.0):
        dx = self.p.copy()
        dx[np.arange(len(dx)), self.t] -= 1
        return dout * dx / len(dx)
