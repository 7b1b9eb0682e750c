"""PyTorch eager, as its tutorials write a training step."""
import os
from itertools import cycle, pairwise

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from workloads import register

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))


def training_step(w, model, starts, loss_of, batches=None, clip=None):
    """The step that is the same for every network; `starts`: the initial values of its parameters, in their order."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    with torch.no_grad():
        for p, start in zip(parameters, starts, strict=True):
            p.copy_(torch.from_numpy(start))
    rule = torch.optim.Adam if w.optimizer == "Adam" else torch.optim.SGD
    optimizer = rule(parameters, **w.hyper)
    batches = cycle([tuple(map(torch.from_numpy, batch)) for batch in batches or w.batches])

    def step():
        optimizer.zero_grad()
        loss = loss_of(*next(batches))
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(parameters, clip)
        optimizer.step()
        return loss.item()
    return step


def classifier_step(w, model):
    """An Affine's weight is (O, I) here."""
    criterion = nn.CrossEntropyLoss()
    starts = [p.T if p.ndim == 2 else p for p in w.params]
    return training_step(w, model, starts, lambda x, t: criterion(model(x), t))


def affine(sizes, activation):
    layers = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), getattr(nn, activation)()]
    return layers[:-1]


@register("W1", "W2", "W3")
def mlp(w):
    return classifier_step(w, nn.Sequential(*affine(w.sizes, w.activation)))


@register("W4", "W5")
def cnn(w):
    layers, channels = [], w.batches[0][0].shape[1]
    for filters, size, padding, pool in w.convolutions:
        layers += [nn.Conv2d(channels, filters, size, padding=padding), nn.ReLU()]
        if pool:
            layers.append(nn.MaxPool2d(2))
        channels = filters
    return classifier_step(w, nn.Sequential(*layers, nn.Flatten(), *affine(w.sizes, "ReLU")))


class LanguageModel(nn.Module):
    """Time first, which is nn.LSTM's default; of its two biases one is enough."""

    def __init__(self, V, D, H):
        super().__init__()
        self.embedding, self.lstm, self.output = nn.Embedding(V, D), nn.LSTM(D, H), nn.Linear(H, V)
        self.lstm.bias_hh_l0.requires_grad_(False).zero_()
        self.state = None

    def forward(self, x):
        h, state = self.lstm(self.embedding(x), self.state)
        self.state = tuple(s.detach() for s in state)
        return self.output(h.flatten(0, 1))


@register("W6")
def lstm(w):
    E, Wx, Wh, b, Wo, bo = w.params
    model = LanguageModel(w.vocabulary, w.dimension, w.hidden)
    batches = [tuple(np.ascontiguousarray(a.T) for a in batch) for batch in w.batches]
    return training_step(w, model, [E, Wx.T, Wh.T, b, Wo.T, bo],
                         lambda x, t: functional.cross_entropy(model(x), t.flatten()), batches, w.clip)


class Transformer(nn.Module):
    def __init__(self, V, D, heads, steps):
        super().__init__()
        self.heads = heads
        self.embedding, self.position = nn.Embedding(V, D), nn.Parameter(torch.empty(steps, D))
        self.norm1, self.queries_keys_values, self.joined = nn.LayerNorm(D), nn.Linear(D, 3 * D), nn.Linear(D, D)
        self.norm2, self.wide, self.narrow = nn.LayerNorm(D), nn.Linear(D, 4 * D), nn.Linear(4 * D, D)
        self.norm3, self.output = nn.LayerNorm(D), nn.Linear(D, V)

    def forward(self, ids):
        x = self.embedding(ids) + self.position
        q, k, v = (a.unflatten(-1, (self.heads, -1)).transpose(1, 2)
                   for a in self.queries_keys_values(self.norm1(x)).chunk(3, dim=-1))
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.joined(y.transpose(1, 2).flatten(2))
        x = x + self.narrow(functional.gelu(self.wide(self.norm2(x)), approximate="tanh"))
        return self.output(self.norm3(x))


@register("W7")
def transformer(w):
    E, P, g1, h1, Wq, bq, Wk, bk, Wv, bv, *rest = w.params
    starts = [E, P, g1, h1, np.concatenate([Wq, Wk, Wv], axis=1), np.concatenate([bq, bk, bv]), *rest]
    starts = [p if p.ndim == 1 or i < 2 else p.T for i, p in enumerate(starts)]
    # A module's own parameters come before those of its parts.
    starts[:2] = P, E
    model = Transformer(w.vocabulary, w.dimension, w.heads, len(P))
    return training_step(w, model, starts, lambda x, t: functional.cross_entropy(model(x).flatten(0, 1), t.flatten()))


@register("W8", "W8s")
def cbow(w):
    """Dense gradients, as nn.Embedding has them unless told otherwise."""
    words_in, words_out = (nn.Embedding(*p.shape) for p in w.params)

    def loss_of(around, asked, labels):
        scores = torch.bmm(words_out(asked), words_in(around).mean(1).unsqueeze(2)).squeeze(2)
        return functional.binary_cross_entropy_with_logits(scores, labels, reduction="sum") / len(labels)
    return training_step(w, nn.ModuleList([words_in, words_out]), w.params, loss_of)
