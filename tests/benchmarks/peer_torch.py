"""PyTorch eager, as its tutorials write a training step."""
import os
from itertools import cycle, pairwise

import torch
from torch import nn
from workloads import register

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))


@register("W1", "W2", "W3")
def mlp(w):
    layers = []
    for n_in, n_out in pairwise(w.sizes):
        layers += [nn.Linear(n_in, n_out), getattr(nn, w.activation)()]
    model = nn.Sequential(*layers[:-1])
    with torch.no_grad():
        for parameter, start in zip(model.parameters(), w.params):
            parameter.copy_(torch.from_numpy(start.T))        # a weight is (O, I) here
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
