"""The optimizers' rules as loops: parameter, gradient and state are each read and written once.

The letters are the pages', optimizers/sgd.py and optimizers/adaptive.py; p is their W.
"""
import numpy as np

from ..threads import spread
from . import Loop

WORK = 16            # what an entry counts in ``spread``, in multiplications


def run(loop, arrays, *numbers):
    """The loop over flat arrays of one length, a share for each thread, with numbers of their
    dtype."""
    numbers = [arrays[0].dtype.type(a) for a in numbers]
    spread(lambda part: loop(*[a[part] for a in arrays], *numbers), len(arrays[0]),
           WORK * len(arrays[0]))


class SGD:
    @staticmethod
    def rule(optimizer, lr, p, g):
        run(sgd, (p, g), lr, 1 - lr * optimizer.weight_decay)


@Loop
def sgd(p, g, lr, keep):
    for i in range(len(p)):
        p[i] = keep * p[i] - lr * g[i]


class Momentum:
    @staticmethod
    def rule(optimizer, lr, p, g, v):
        run(momentum, (p, g, v), lr, optimizer.momentum)


@Loop
def momentum(p, g, v, lr, mu):
    for i in range(len(p)):
        v[i] = mu * v[i] + lr * g[i]
        p[i] -= v[i]


class Nesterov:
    @staticmethod
    def rule(optimizer, lr, p, g, v):
        run(nesterov, (p, g, v), lr, optimizer.momentum)


@Loop
def nesterov(p, g, v, lr, mu):
    for i in range(len(p)):
        v[i] = mu * v[i] + lr * g[i]
        p[i] -= mu * v[i] + lr * g[i]


class AdaGrad:
    @staticmethod
    def rule(optimizer, lr, p, g, h):
        run(adagrad, (p, g, h), lr, optimizer.eps)


@Loop
def adagrad(p, g, h, lr, eps):
    for i in range(len(p)):
        h[i] += g[i] * g[i]
        p[i] -= lr * g[i] / (np.sqrt(h[i]) + eps)


class RMSProp:
    @staticmethod
    def rule(optimizer, lr, p, g, h, m=None):
        decay, eps = optimizer.decay, optimizer.eps
        if m is None:
            run(rmsprop, (p, g, h), lr, decay, 1 - decay, eps)
        else:
            run(centered, (p, g, h, m), lr, decay, 1 - decay, eps)


@Loop
def rmsprop(p, g, h, lr, decay, rest, eps):
    for i in range(len(p)):
        h[i] = decay * h[i] + rest * (g[i] * g[i])
        p[i] -= lr * g[i] / (np.sqrt(h[i]) + eps)


@Loop
def centered(p, g, h, m, lr, decay, rest, eps):
    for i in range(len(p)):
        h[i] = decay * h[i] + rest * (g[i] * g[i])
        m[i] = decay * m[i] + rest * g[i]
        p[i] -= lr * g[i] / (np.sqrt(max(h[i] - m[i] * m[i], 0 * eps)) + eps)


class Adam:
    @staticmethod
    def rule(optimizer, lr, p, g, m, v, v_max=None, keep=1):
        beta1, beta2, t = optimizer.beta1, optimizer.beta2, optimizer.step
        numbers = (lr / (1 - beta1 ** t), beta1, 1 - beta1, beta2, 1 - beta2, 1 - beta2 ** t,
                   optimizer.eps, keep)
        if v_max is None:
            run(adam, (p, g, m, v), *numbers)
        else:
            run(amsgrad, (p, g, m, v, v_max), *numbers)


class AdamW:
    @staticmethod
    def rule(optimizer, lr, p, g, *state):
        Adam.rule(optimizer, lr, p, g, *state, keep=1 - lr * optimizer.weight_decay)


@Loop
def adam(p, g, m, v, lr, beta1, rest1, beta2, rest2, bias2, eps, keep):
    for i in range(len(p)):
        m[i] = beta1 * m[i] + rest1 * g[i]
        v[i] = beta2 * v[i] + rest2 * (g[i] * g[i])
        p[i] = keep * p[i] - lr * m[i] / (np.sqrt(v[i] / bias2) + eps)


@Loop
def amsgrad(p, g, m, v, v_max, lr, beta1, rest1, beta2, rest2, bias2, eps, keep):
    for i in range(len(p)):
        m[i] = beta1 * m[i] + rest1 * g[i]
        v[i] = beta2 * v[i] + rest2 * (g[i] * g[i])
        v_max[i] = max(v_max[i], v[i])
        p[i] = keep * p[i] - lr * m[i] / (np.sqrt(v_max[i] / bias2) + eps)


@Loop
def drift(p, m, r, lr, eps):
    """The step of common/engine/lazy.py."""
    for i in range(len(p)):
        p[i] -= lr * (m[i] / (r[i] + eps))
