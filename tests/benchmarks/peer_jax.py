"""JAX: a training step as one function, compiled by jit; derivatives by value_and_grad."""
import os
from contextlib import suppress
from itertools import cycle

with suppress(AttributeError):                                # XLA makes a thread for each processor that it may use
    there = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, there[-int(os.environ.get("OMP_NUM_THREADS", len(there))):])

import jax
import jax.numpy as jnp
from jax import lax, nn
from workloads import register


def training_step(w, params, loss_of, state=None, clip=None):
    """The step that is the same for every network: loss_of(params, state, *batch) -> (loss, next state)."""
    rule = {"SGD": sgd, "Momentum": momentum, "Adam": adam}[w.optimizer]

    def train(params, memory, state, batch):
        (loss, state), grads = jax.value_and_grad(loss_of, has_aux=True)(params, state, *batch)
        if clip:
            norm = jnp.sqrt(sum(jnp.sum(g * g) for g in grads))
            grads = [g * jnp.minimum(1, clip / (norm + 1e-6)) for g in grads]
        return *rule(params, grads, memory, **w.hyper), state, loss

    train, zeros = jax.jit(train, donate_argnums=(0, 1, 2)), lambda: [jnp.zeros_like(p) for p in params]
    params = [jnp.array(p) for p in params]
    now = params, (zeros(), zeros(), jnp.zeros(())), state
    batches = cycle([tuple(map(jnp.asarray, batch)) for batch in w.batches])

    def step():
        nonlocal now
        *now, loss = train(*now, next(batches))
        return loss.item()
    return step


def sgd(params, grads, memory, lr):
    return [p - lr * g for p, g in zip(params, grads)], memory


def momentum(params, grads, memory, lr, momentum):
    v = [momentum * v - lr * g for v, g in zip(memory[0], grads)]
    return [p + v for p, v in zip(params, v)], (v, *memory[1:])


def adam(params, grads, memory, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    t = memory[2] + 1
    m = [beta1 * m + (1 - beta1) * g for m, g in zip(memory[0], grads)]
    v = [beta2 * v + (1 - beta2) * g * g for v, g in zip(memory[1], grads)]
    size, root = lr / (1 - beta1 ** t), jnp.sqrt(1 - beta2 ** t)
    return [p - size * m / (jnp.sqrt(v) / root + eps) for p, m, v in zip(params, m, v)], (m, v, t)


def cross_entropy(scores, t):
    return -jnp.take_along_axis(nn.log_softmax(scores), t[:, None], axis=1).mean()


def affine(x, W, b):
    return x @ W + b


def perceptron(x, params, activation):
    for W, b in zip(params[:-2:2], params[1::2]):
        x = activation(affine(x, W, b))
    return affine(x, *params[-2:])


@register("W1", "W2", "W3")
def mlp(w):
    activation = getattr(nn, w.activation.lower())
    return training_step(w, w.params, lambda params, state, x, t: (cross_entropy(perceptron(x, params, activation), t), state))


@register("W4", "W5")
def cnn(w):
    def loss_of(params, state, x, t):
        for i, (*_, padding, pool) in enumerate(w.convolutions):
            W, b = params[2 * i:2 * i + 2]
            x = nn.relu(convolution(x, W, padding) + b[:, None, None])
            if pool:
                x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
        return cross_entropy(perceptron(x.reshape(len(x), -1), params[2 * len(w.convolutions):], nn.relu), t), state
    return training_step(w, w.params, loss_of)


def convolution(x, W, padding):
    return lax.conv_general_dilated(x, W, (1, 1), [(padding, padding)] * 2, dimension_numbers=("NCHW", "OIHW", "NCHW"))


@register("W6")
def lstm(w):
    def loss_of(params, state, x, t):
        E, Wx, Wh, b, Wo, bo = params

        def cell(state, a):
            h, c = state
            i, f, g, o = jnp.split(a + h @ Wh, 4, axis=1)
            c = nn.sigmoid(f) * c + nn.sigmoid(i) * jnp.tanh(g)
            h = nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        state, h = lax.scan(cell, state, affine(E[x.T], Wx, b))
        return cross_entropy(affine(h.reshape(-1, w.hidden), Wo, bo), t.T.reshape(-1)), state

    start = jnp.zeros((2, len(w.batches[0][0]), w.hidden))
    return training_step(w, w.params, loss_of, (start[0], start[1]), w.clip)


def layer_norm(x, gamma, beta):
    x -= x.mean(axis=-1, keepdims=True)
    return gamma * x * lax.rsqrt((x * x).mean(axis=-1, keepdims=True) + 1e-5) + beta


@register("W7")
def transformer(w):
    def loss_of(params, state, ids, t):
        E, P, g1, h1, Wq, bq, Wk, bk, Wv, bv, Wo, bo, g2, h2, W1, b1, W2, b2, g3, h3, W, b = params
        (N, T), D = ids.shape, w.dimension

        def heads(x):
            return x.reshape(N, T, w.heads, -1).swapaxes(1, 2)

        x = E[ids] + P
        u = layer_norm(x, g1, h1)
        q, k, v = (heads(affine(u, *pair)) for pair in ((Wq, bq), (Wk, bk), (Wv, bv)))
        scores = q @ k.swapaxes(-1, -2) * (D // w.heads) ** -0.5
        weights = nn.softmax(jnp.where(jnp.tri(T, dtype=bool), scores, -jnp.inf))
        x += affine((weights @ v).swapaxes(1, 2).reshape(N, T, D), Wo, bo)
        x += affine(nn.gelu(affine(layer_norm(x, g2, h2), W1, b1)), W2, b2)
        return cross_entropy(affine(layer_norm(x, g3, h3), W, b).reshape(N * T, -1), t.reshape(-1)), state
    return training_step(w, w.params, loss_of)


@register("W8", "W8s")
def cbow(w):
    def loss_of(params, state, around, asked, labels):
        words_in, words_out = params
        scores = jnp.einsum("nd,nkd->nk", words_in[around].mean(axis=1), words_out[asked])
        return (nn.softplus(scores) - labels * scores).sum() / len(labels), state
    return training_step(w, w.params, loss_of)
