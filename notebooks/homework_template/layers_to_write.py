"""Homework: five layers. Write ``forward`` and ``backward`` of each; ``python -m pytest -q test_homework.py`` gives the mark.

Samples are rows. ``backward`` writes the gradients of the parameters into ``self.grads`` (``self.grads[0][...] = dW``) and
returns the gradient of the input.
"""
import numpy as np


class Affine:
    """y = x W + b; x (N, D), W (D, M), b (M,)."""
    def __init__(self, W, b):
        self.params, self.grads = [W, b], [np.zeros_like(W), np.zeros_like(b)]

    def forward(self, x):
        raise NotImplementedError

    def backward(self, dout):
        raise NotImplementedError


class ReLU:
    """y = max(0, x)."""
    params, grads = [], []

    def forward(self, x):
        raise NotImplementedError

    def backward(self, dout):
        raise NotImplementedError


class Sigmoid:
    """y = 1 / (1 + exp(-x))."""
    params, grads = [], []

    def forward(self, x):
        raise NotImplementedError

    def backward(self, dout):
        raise NotImplementedError


class Embedding:
    """y = W[ids]; ids (N, T) of integers, which may repeat, W (V, D). The ids have no gradient: backward returns None."""
    def __init__(self, W):
        self.params, self.grads = [W], [np.zeros_like(W)]

    def forward(self, ids):
        raise NotImplementedError

    def backward(self, dout):
        raise NotImplementedError


class SoftmaxWithLoss:
    """The mean over the samples of -log softmax(x)[t], a number; x (N, C), labels t (N,). backward returns the gradient of x."""
    params, grads = [], []

    def forward(self, x, t):
        raise NotImplementedError

    def backward(self, dout=1.0):
        raise NotImplementedError
