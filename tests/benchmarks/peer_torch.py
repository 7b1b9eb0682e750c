"""PyTorch eager, as its tutorials write a training step."""
import os
from itertools import cycle, pairwise

import torch
from torch import nn
from workloads import register

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))


def training_step(w, model):
    """Given parameters and the step that is the same for every network."""
    with torch.no_grad():
        for parameter, start in zip(model.parameters(), w.params):
            start = torch.from_numpy(start)
            parameter.copy_(start.T if start.ndim == 2 else start)        # an Affine's weight is (O, I) here
    criterion = nn.CrossEntropyLoss()
    rule = torch.optim.Adam if w.optimizer == "Adam" else torch.optim.SGD
    optimizer = rule(model.parameters(), **w.hyper)
    batches = cycle([(torch.from_numpy(x), torch.from_numpy(t)) for x, t in w.batches])

    def step():
        x, t = next(batches)
        optimizer.zero_grad()
        loss = criterion(model(x), t)
        loss.backward()
        optimizer.step()
        return loss.item()
    return step


def affine(sizes, activation):
    layers = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), getattr(nn, activation)()]
    return layers[:-1]


@register("W1", "W2", "W3")
def mlp(w):
    return training_step(w, nn.Sequential(*affine(w.sizes, w.activation)))


@register("W4", "W5")
def cnn(w):
    layers, channels = [], w.batches[0][0].shape[1]
    for filters, size, padding, pool in w.convolutions:
        layers += [nn.Conv2d(channels, filters, size, padding=padding), nn.ReLU()]
        if pool:
            layers.append(nn.MaxPool2d(2))
        channels = filters
    return training_step(w, nn.Sequential(*layers, nn.Flatten(), *affine(w.sizes, "ReLU")))
