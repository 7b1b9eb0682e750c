"""Make tests/models/export/data/torch.npz again: modules of PyTorch, their states, and what they compute.

    python -m tests.make_torch_export                        (needs torch)

For each module of ``modules()`` below, float64: state/..., inputs x0, x1, ..., the output y, the gradient dout that it is
given, and the gradients of all parameters, grad/...; for "language model" the loss on ids x0 with targets x1.
"""
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

PATH = Path(__file__).parent / "models" / "export" / "data" / "torch.npz"


class LSTMLanguageModel(nn.Module):
    """As most tutorials have it: two layers in one nn.LSTM, modules under names of their own."""

    def __init__(self):
        super().__init__()
        self.encoder, self.rnn = nn.Embedding(11, 4), nn.LSTM(4, 5, num_layers=2, batch_first=True)
        self.decoder = nn.Linear(5, 11)

    def forward(self, ids):
        return self.decoder(self.rnn(self.encoder(ids))[0])


class LeNet(nn.Module):
    """Names and style of torchvision's models, in small, for images of 12 x 12."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 2, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(2, 4, 5), nn.ReLU(), nn.MaxPool2d(2))
        self.classifier = nn.Sequential(
            nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3))

    def forward(self, x):
        return self.classifier(torch.flatten(self.features(x), 1))


def modules():
    """{name: (module, shapes of its inputs, how it is called)}"""
    first = lambda m, x: m(x)[0]  # noqa: E731
    plain = lambda m, *x: m(*x)  # noqa: E731
    return {
        "Linear": (nn.Linear(4, 3), [(5, 4)], plain),
        "Conv2d": (nn.Conv2d(4, 6, (3, 2), stride=2, padding=1, groups=2), [(2, 4, 6, 5)], plain),
        "BatchNorm2d": (nn.BatchNorm2d(3), [(4, 3, 2, 2)], plain),
        "LayerNorm": (nn.LayerNorm(5), [(2, 3, 5)], plain),
        "Embedding": (nn.Embedding(7, 3), [], lambda m: m(torch.tensor([[3, 1, 3], [0, 6, 2]]))),
        "RNN": (nn.RNN(3, 4, batch_first=True), [(2, 5, 3)], first),
        "LSTM": (nn.LSTM(3, 4, batch_first=True), [(2, 5, 3)], first),
        "GRU": (nn.GRU(3, 4, batch_first=True), [(2, 5, 3)], first),
        "LSTM, bidirectional": (nn.LSTM(3, 4, batch_first=True, bidirectional=True), [(2, 5, 3)], first),
        "MultiheadAttention": (nn.MultiheadAttention(6, 2, batch_first=True), [(2, 4, 6)],
                               lambda m, x: m(x, x, x, need_weights=False)[0]),
        "lenet": (LeNet(), [(2, 1, 12, 12)], plain),
    }


def main():
    torch.manual_seed(0)
    arrays = {}

    def keep(name, values):
        arrays.update({f"{name}/{key}": torch.as_tensor(value).detach().numpy().copy() for key, value in values.items()})
    for name, (module, shapes, call) in modules().items():
        module.double()
        for p in module.parameters():                       # attention's biases begin as zeros, gammas as ones
            nn.init.normal_(p, std=0.5)
        inputs = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
        keep(f"{name}/state", module.state_dict())
        y = call(module, *inputs)
        dout = torch.randn_like(y)
        y.backward(dout)
        keep(name, {**{f"x{i}": x for i, x in enumerate(inputs)}, **{f"dx{i}": x.grad for i, x in enumerate(inputs)},
                    "y": y, "dout": dout})
        keep(f"{name}/grad", {key: p.grad for key, p in module.named_parameters()})
        keep(f"{name}/after", {key: a for key, a in module.state_dict().items() if "running" in key})
    model, ids = LSTMLanguageModel().double(), torch.randint(0, 11, (3, 8))
    scores = model(ids[:, :-1])
    keep("language model/state", model.state_dict())
    keep("language model", {"x0": ids[:, :-1], "x1": ids[:, 1:],
                            "y": F.cross_entropy(scores.flatten(0, 1), ids[:, 1:].flatten())})
    PATH.parent.mkdir(exist_ok=True)
    np.savez_compressed(PATH, **arrays)


if __name__ == "__main__":
    main()
