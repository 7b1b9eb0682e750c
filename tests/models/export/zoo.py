"""Every model of the zoo, small, and inputs for it, by name; networks of one layer for each row of tests/layers/table.py."""
import numpy as np

from chainrule.layers import GRU, LSTM, RNN, AveragePool, Sigmoid
from chainrule.layers.losses import Loss
from chainrule.models import (
    CBOW,
    MLP,
    VGG,
    AlexNet,
    AttentionSeq2Seq,
    GoogLeNet,
    Graph,
    Input,
    LanguageModel,
    LeNet,
    NiN,
    ResNet,
    Seq2Seq,
    SkipGram,
    TransformerLM,
    TwoLayerNet,
    relu_interpolant,
    small_inception,
)
from tests.layers.table import CASES

V = 11


def floats(*shape):
    return lambda rng: (rng.standard_normal(shape).astype(np.float32),)


def ids(*shapes):
    return lambda rng: tuple(rng.integers(0, V, shape) for shape in shapes)


def masked(*shapes):
    """Of three questions the last is empty."""
    return lambda rng: (*ids(*shapes)(rng), np.arange(5) < np.array([[5], [3], [0]]))


ZOO = {
    "MLP": (lambda: MLP([6, 5, 3], rng=0), floats(3, 6)),
    "TwoLayerNet": (lambda: TwoLayerNet(4, 5, 3, rng=0), floats(3, 4)),
    "relu_interpolant": (lambda: relu_interpolant([0.0, 1.0, 3.0], [1.0, 3.0, -1.0]).astype(np.float32), floats(5, 1)),
    "LeNet": (lambda: LeNet((1, 12, 12), rng=0), floats(3, 1, 12, 12)),
    "LeNet of 1998": (lambda: LeNet((1, 8, 8), pool=AveragePool, activation=Sigmoid, rng=0), floats(3, 1, 8, 8)),
    "AlexNet": (lambda: AlexNet((1, 8, 8), 3, rng=0), floats(2, 1, 8, 8)),
    "VGG": (lambda: VGG(6, (3, 8, 8), 4, rng=0), floats(2, 3, 8, 8)),
    "NiN": (lambda: NiN((1, 8, 8), 4, rng=0), floats(2, 1, 8, 8)),
    "GoogLeNet": (lambda: GoogLeNet((1, 8, 8), 4, auxiliary=True, rng=0), floats(2, 1, 8, 8)),
    "small_inception": (lambda: small_inception((1, 8, 8), 4, rng=0), floats(2, 1, 8, 8)),
    "ResNet 8": (lambda: ResNet(8, (1, 8, 8), 4, rng=0), floats(2, 1, 8, 8)),
    "ResNet 18": (lambda: ResNet(18, (3, 16, 16), 4, rng=0), floats(2, 3, 16, 16)),
    "LanguageModel": (lambda: LanguageModel(V, 4, 5, depth=2, dropout=0.1, rng=0), ids((3, 5))),
    "LanguageModel, tied GRU": (lambda: LanguageModel(V, 4, 4, cell=GRU, tied=True, rng=0), ids((3, 5))),
    "TransformerLM": (lambda: TransformerLM(V, 8, 2, 2, 6, dropout=0.1, rng=0), ids((3, 5))),
    "TransformerLM, tied, waves": (lambda: TransformerLM(V, 8, 2, 1, 6, "sinusoidal", tied=True, rng=0), ids((3, 5))),
    "CBOW": (lambda: CBOW(V, 4, rng=0), ids((3, 4))),
    "SkipGram, sampled": (lambda: SkipGram(V, 4, counts=np.ones(V, int), negatives=3, rng=0), ids((3,))),
    **{f"Seq2Seq, {cell.__name__}": (lambda cell=cell: Seq2Seq(V, 4, 6, cell=cell, rng=0), ids((3, 5), (3, 4)))
       for cell in (RNN, LSTM, GRU)},
    "Seq2Seq, reverse, peeky": (lambda: Seq2Seq(V, 4, 6, reverse=True, peeky=True, rng=0), masked((3, 5), (3, 4))),
    "Seq2Seq, GRU, peeky": (lambda: Seq2Seq(V, 4, 6, peeky=True, cell=GRU, rng=0), masked((3, 5), (3, 4))),
    "AttentionSeq2Seq": (lambda: AttentionSeq2Seq(V, 4, 6, reverse=True, rng=0), masked((3, 5), (3, 4))),
}


def disturbed(model):
    """The model with parameters and running statistics that are not those it starts with."""
    rng = np.random.default_rng(1)
    from chainrule.common.layer import walk
    for layer in walk(model):
        if hasattr(layer, "running_mean"):
            layer.running_mean[...] = rng.standard_normal(layer.running_mean.shape)
            layer.running_var[...] = 0.5 + rng.random(layer.running_var.shape)
    for p in model.params:
        if p.ndim == 1:
            p += rng.standard_normal(p.shape).astype(p.dtype) / 10
    return model


def zoo(name):
    """A model and inputs."""
    make, inputs = ZOO[name]
    return disturbed(make()), inputs(np.random.default_rng(0))


LOSSES = {name: case for name, case in CASES.items() if isinstance(case.make(np.float32), Loss) and "prob" not in name
          and name not in ("SoftmaxWithLoss, sum", "SoftmaxWithLoss, weights")}                 # these have other targets
LAYERS = {name: case for name, case in CASES.items() if not isinstance(case.make(np.float32), Loss)}


def network(name, dtype):
    """A row of the table of layers as a Graph, and inputs."""
    case = LAYERS[name]
    layer, inputs = case.make(dtype), case.inputs(np.random.default_rng(0), dtype, 1.0)
    nodes = [Input() for _ in inputs]
    y, n = layer(*nodes), {"LSTMCell": 2, "Branch": 3}.get(type(layer).__name__)
    return Graph(nodes, [y[i] for i in range(n)] if n else y), inputs


def unseen(name, dtype):
    """A row of the table with a mask, and inputs of which the first sample may see nothing, and the second not its first step,
    where it holds NaN."""
    model, inputs = network(name, dtype)
    *arrays, mask = (a.copy() for a in inputs)
    mask[0], mask[1, ..., 0], mask[1, ..., -1] = False, False, True
    if mask.ndim == 3:
        mask[1, 0] = False                                                  # one query of the second, too
    for a in arrays[-2:] if name.startswith("A") else arrays[-1:]:          # keys and values, or what stands for both
        a[1, 0] = np.nan
    return model, (*arrays, mask)
