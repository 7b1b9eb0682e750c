"""What PyTorch's double backward says of the models in test_hessian.py: python -m tests.make_torch_hessian

Writes tests/common/gradcheck/data/hessian.npz: parameters, data and the dense Hessian. Made with PyTorch 2.13.
"""
import numpy as np
import torch
import torch.nn.functional as F
from torch.autograd.functional import hessian

from tests.common.gradcheck.test_hessian import MODELS, PATH, data, theta


def squared_error(y, t):
    return ((y - t) ** 2).sum() / 2 / len(y)


def classifier(activation, lam=0):
    def loss(x, t, V, b, W, c):
        return F.cross_entropy(activation(x @ V + b) @ W + c, t) + lam / 2 * ((V ** 2).sum() + (W ** 2).sum())
    return loss


def tied(x, t, W, b):
    return squared_error(torch.tanh(x @ W + b) @ W.T, t)


def graph(x1, x2, t, u, V, b, W, c, U, d):
    h = torch.tanh((x1 @ V + b) * (x2 @ W + c))
    return F.cross_entropy(h @ U + d, t) + 0.3 * squared_error(h, u)


LOSSES = {"Tanh, L2": classifier(torch.tanh, 0.1), "ReLU": classifier(torch.relu), "tied": tied, "Graph": graph}


def reference(name):
    model, arrays = MODELS[name](), [a if isinstance(a, tuple) else (a,) for a in data(name)]
    tensors = [torch.from_numpy(a) for a in (*arrays[0], *arrays[1])]
    sizes = [p.size for p in model.params]

    def loss(values):
        params = [part.reshape(p.shape) for part, p in zip(values.split(sizes), model.params)]
        return LOSSES[name](*tensors, *params)

    values = torch.from_numpy(theta(model))
    ours = model.forward(*(a for group in arrays for a in group))
    assert abs(ours - float(loss(values))) < 1e-12, name
    found = {"theta": values.numpy(), "H": hessian(loss, values).numpy()}
    return found | {f"{what}.{i}": a for what, group in zip("xt", arrays) for i, a in enumerate(group)}


if __name__ == "__main__":
    np.savez_compressed(PATH, **{f"{name}|{key}": a for name in MODELS for key, a in reference(name).items()})
