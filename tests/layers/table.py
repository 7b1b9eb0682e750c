"""The table of all exported layers: how to make one, and inputs for it. The contract and the parity tests drive every row.

A row is ``Case(make, inputs)``. ``make(dtype)`` returns a new layer, always with the same parameters;
``inputs(rng, dtype, scale)`` its inputs, floats about ``scale`` large. ``name`` tells the rows of one class apart.
"""
from dataclasses import dataclass

import numpy as np

from chainrule import layers as L


@dataclass(frozen=True)
class Case:
    make: callable
    inputs: callable
    name: str = ""
    leading: bool = False       # works on the last axis only: any number of leading axes gives the same rows

    def __repr__(self):
        return self.name


def params(*shapes):
    """Arrays for a constructor: ``params((3, 4), (4,))(dtype)``, the same at each call."""
    def draw(dtype):
        rng = np.random.default_rng(5)
        return [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    return draw


def floats(*shapes):
    """Inputs that are floats of these shapes."""
    def draw(rng, dtype, scale=1.0):
        return tuple((rng.standard_normal(shape) * scale).astype(dtype) for shape in shapes)
    return draw


def positive(*shapes, largest=np.inf):
    def draw(rng, dtype, scale=1.0):
        return tuple(np.minimum((0.3 + rng.random(shape)) * scale, largest).astype(dtype) for shape in shapes)
    return draw


def away_from_0(*shapes):
    def draw(rng, dtype, scale=1.0):
        signs = (rng.choice([-1, 1], shape) for shape in shapes)
        return tuple(((0.3 + rng.random(shape)) * scale * sign).astype(dtype) for shape, sign in zip(shapes, signs))
    return draw


def scores_and_labels(shape, classes):
    def draw(rng, dtype, scale=1.0):
        return (rng.standard_normal((*shape, classes)) * scale).astype(dtype), rng.integers(0, classes, shape)
    return draw


def with_ignored(draw, label):
    def ignoring(rng, dtype, scale=1.0):
        x, t = draw(rng, dtype, scale)
        t.flat[::3] = label
        return x, t
    return ignoring


def with_weights(draw):
    def weighted(rng, dtype, scale=1.0):
        x, t = draw(rng, dtype, scale)
        return x, t, rng.random(x.shape[:-1]).astype(dtype)
    return weighted


def probabilities(rng, shape, dtype, scale=1.0):
    e = np.exp(-scale * rng.random(shape))          # at a large scale down to 0
    e[..., 0] += e.sum(axis=-1) == 0
    return (e / e.sum(axis=-1, keepdims=True)).astype(dtype)


def scores_and_probabilities(rng, dtype, scale=1.0):
    return (rng.standard_normal((5, 3)) * scale).astype(dtype), probabilities(rng, (5, 3), dtype)


def two_probabilities(rng, dtype, scale=1.0):
    return probabilities(rng, (5, 4), dtype, scale), probabilities(rng, (5, 4), dtype, scale)


def logits_and_shares(rng, dtype, scale=1.0):
    return (rng.standard_normal((5, 3)) * scale).astype(dtype), rng.random((5, 3)).astype(dtype)


def with_params(cls, *shapes, **options):
    return lambda dtype: cls(*params(*shapes)(dtype), **options)


def evaluating(cls, *shapes):
    """A BatchNorm in evaluation mode, by running statistics that are not those it starts with."""
    def make(dtype):
        layer = cls(*params(*shapes)(dtype))
        layer.running_mean[...], layer.running_var[...] = 0.5, 2.0
        layer.training = False
        return layer
    return make


def plain(cls, *args, **options):
    return lambda dtype: cls(*args, **options)


def elementwise(cls, **options):
    return [Case(plain(cls, **options), floats((5, 7)), leading=True), Case(plain(cls, **options), floats((5, 2, 3, 3)), "image")]


def sequence_and_mask(rng, dtype, scale=1.0):
    """Two sequences of 4 and 2 steps, padded."""
    return (rng.standard_normal((2, 4, 3)) * scale).astype(dtype), np.arange(4) < np.array([[4], [2]])


def with_mask(draw, shape):
    def masked(rng, dtype, scale=1.0):
        mask = rng.random(shape) < 0.6
        mask[..., 0] = True
        return *draw(rng, dtype, scale), mask
    return masked


def ids(*shape):
    return lambda rng, dtype, scale=1.0: (rng.integers(0, 4, shape),)


def vectors_and_ids(*lead):
    def draw(rng, dtype, scale=1.0):
        return (rng.standard_normal((*lead, 3)) * scale).astype(dtype), rng.integers(0, 4, (*lead, 6))
    return draw


def recurrent(cls, *shapes):
    sizes = floats((2, 4, 3))
    return [
        Case(with_params(cls, *shapes), sizes),
        Case(with_params(cls, *shapes), sequence_and_mask, "mask"),
        Case(with_params(cls, *shapes, reverse=True), sequence_and_mask, "mask, reverse"),
        Case(with_params(cls, *shapes), floats((1, 1, 3)), "one step")]


def bidirectional(cls, *shapes):
    return lambda dtype: L.Bidirectional(*(cls(*params(*shapes)(dtype), reverse=reverse) for reverse in (False, True)))


def heads(count, **options):
    """Parameters a third as large: the softmax must not be saturated."""
    draw = params(*[(6, 6), (6,)] * 4)
    return lambda dtype: L.MultiHeadAttention(*(p / 3 for p in draw(dtype)), heads=count, **options)


pair = floats((5, 3), (5, 3))
TABLE = {
    "Affine": [
        Case(with_params(L.Affine, (7, 3), (3,)), floats((5, 7)), leading=True),
        Case(lambda dtype: L.Affine(params((7, 3))(dtype)[0], None), floats((5, 7)), "no bias", leading=True),
        Case(with_params(L.Affine, (7, 3), (3,)), floats((5, 2, 7)), "3 axes"),
        Case(lambda dtype: L.Affine(params((3, 7))(dtype)[0].T, None), floats((5, 7)), "transposed W")],
    "MatMul": [
        Case(with_params(L.MatMul, (7, 3)), floats((5, 7)), "W", leading=True),
        Case(with_params(L.MatMul, (7, 3)), floats((5, 2, 7)), "W, 3 axes"),
        Case(plain(L.MatMul), floats((5, 2, 3), (5, 3, 4)), "two inputs")],
    "Sigmoid": elementwise(L.Sigmoid),
    "Tanh": elementwise(L.Tanh),
    "ReLU": elementwise(L.ReLU),
    "LeakyReLU": elementwise(L.LeakyReLU, slope=0.2),
    "GELU": elementwise(L.GELU),
    "Softplus": elementwise(L.Softplus),
    "Softmax": [Case(plain(L.Softmax), floats((5, 7)), leading=True)],
    "Repeat": [
        Case(plain(L.Repeat, 3), floats((1, 7))),
        Case(plain(L.Repeat, 3), floats((5, 7)), "each row"),
        Case(plain(L.Repeat, 2, axis=1), floats((5, 3, 2)), "axis 1")],
    "Sum": [
        Case(plain(L.Sum), floats((5, 7))),
        Case(plain(L.Sum, axis=1, keepdims=True), floats((5, 3, 2)), "axis 1, kept"),
        Case(plain(L.Sum, axis=-1), floats((5, 3, 2)), "last axis")],
    **{name: [Case(plain(getattr(L, name)), floats((5, 3), (5, 3))),
              Case(plain(getattr(L, name)), floats((5, 1, 3), (5, 4, 1)), "broadcast")]
       for name in ("Add", "Subtract", "Multiply", "Maximum")},
    "Divide": [
        Case(plain(L.Divide), away_from_0((5, 3), (5, 3))),
        Case(plain(L.Divide), away_from_0((5, 1, 3), (5, 4, 1)), "broadcast")],
    "Power": [
        Case(plain(L.Power, 3), floats((5, 7)), "cube"), Case(plain(L.Power, 0.5), positive((5, 7)), "root"),
        Case(plain(L.Power, -2), away_from_0((5, 7)), "negative"),
        Case(plain(L.Power), positive((5, 3), (5, 3), largest=3.0), "two inputs")],
    "Exp": [Case(plain(L.Exp), positive((5, 7), largest=80.0), leading=True)],
    "Log": [Case(plain(L.Log), positive((5, 7)), leading=True)],
    "Sin": elementwise(L.Sin),
    "Mean": [
        Case(plain(L.Mean), floats((5, 7))), Case(plain(L.Mean, axis=(1, 2)), floats((5, 3, 2)), "two axes"),
        Case(plain(L.Mean, axis=None), floats((5, 3)), "all")],
    "Branch": [Case(plain(L.Branch, 3), floats((5, 7)))],
    "Reshape": [Case(plain(L.Reshape, (-1, 2, 3)), floats((5, 6))), Case(plain(L.Reshape, (3, 10)), floats((5, 6)), "all")],
    "Transpose": [Case(plain(L.Transpose, (0, 2, 1)), floats((5, 2, 3))), Case(plain(L.Transpose), floats((5, 3)), "reversed"),
                  Case(plain(L.Transpose, (1, 2, 0)), floats((5, 2, 3)), "cycle")],
    "Concatenate": [
        Case(plain(L.Concatenate), floats((5, 2), (5, 3), (5, 1))),
        Case(plain(L.Concatenate, axis=-1), floats((5, 2, 3), (5, 2, 1)), "last axis")],
    "Last": [Case(plain(L.Last), floats((5, 3, 2))), Case(plain(L.Last), sequence_and_mask, "mask")],
    "Flatten": [Case(plain(L.Flatten), floats((5, 2, 3, 4)))],
    "Dropout": [Case(plain(L.Dropout, 0.4, rng=0), floats((5, 7)))],
    "Embedding": [
        Case(with_params(L.Embedding, (4, 3)), ids(5), leading=True),
        Case(with_params(L.Embedding, (4, 3)), ids(5, 2, 3), "3 axes")],
    "EmbeddingDot": [Case(with_params(L.EmbeddingDot, (4, 3)), vectors_and_ids(5), leading=True)],
    "RNNCell": [Case(with_params(L.RNNCell, (3, 5), (5, 5), (5,)), floats((2, 3), (2, 5)))],
    "LSTMCell": [Case(with_params(L.LSTMCell, (3, 20), (5, 20), (20,)), floats((2, 3), (2, 5), (2, 5)))],
    "GRUCell": [Case(with_params(L.GRUCell, (3, 15), (5, 15), (15,), (15,)), floats((2, 3), (2, 5)))],
    "RNN": recurrent(L.RNN, (3, 5), (5, 5), (5,)),
    "LSTM": recurrent(L.LSTM, (3, 20), (5, 20), (20,)),
    "GRU": recurrent(L.GRU, (3, 15), (5, 15), (15,), (15,)),
    "Bidirectional": [
        Case(bidirectional(L.GRU, (3, 15), (5, 15), (15,), (15,)), floats((2, 4, 3)), "GRU"),
        Case(bidirectional(L.LSTM, (3, 20), (5, 20), (20,)), sequence_and_mask, "LSTM, mask")],
    "Attention": [
        Case(plain(L.Attention), floats((2, 3, 4), (2, 5, 4), (2, 5, 2))),
        Case(plain(L.Attention), with_mask(floats((2, 3, 4), (2, 5, 4), (2, 5, 2)), (2, 3, 5)), "mask")],
    "MultiHeadAttention": [
        Case(heads(2), floats((2, 4, 6)), "itself"),
        Case(heads(3, causal=True), floats((2, 4, 6)), "causal"),
        Case(heads(2), floats((2, 3, 6), (2, 4, 6)), "memory"),
        Case(heads(2), with_mask(floats((2, 3, 6), (2, 4, 6)), (2, 3, 4)), "mask")],
    "PositionalEncoding": [
        Case(plain(L.PositionalEncoding), floats((2, 4, 5)), "sinusoids"),
        Case(with_params(L.PositionalEncoding, (6, 5)), floats((2, 4, 5)), "learned")],
    "BatchNorm": [
        Case(with_params(L.BatchNorm, (4,), (4,)), floats((5, 4))),
        Case(with_params(L.BatchNorm, (3,), (3,)), floats((5, 3, 2, 4)), "image"),
        Case(evaluating(L.BatchNorm, (3,), (3,)), floats((5, 3, 2, 4)), "evaluation")],
    "LayerNorm": [
        Case(with_params(L.LayerNorm, (7,), (7,)), floats((5, 7)), leading=True),
        Case(with_params(L.LayerNorm, (4,), (4,)), floats((5, 3, 4)), "3 axes")],
    "GroupNorm": [Case(with_params(L.GroupNorm, (6,), (6,), groups=2), floats((5, 6, 2, 3)))],
    "Convolution": [
        Case(with_params(L.Convolution, (4, 3, 3, 3), (4,)), floats((5, 3, 7, 6))),
        Case(with_params(L.Convolution, (4, 2, 3, 2), (4,), stride=2, padding=1), floats((5, 2, 7, 6)), "stride, padding"),
        Case(with_params(L.Convolution, (3, 2, 3, 3), (3,), padding="same", dilation=2), floats((5, 2, 7, 6)), "same, dilation"),
        Case(with_params(L.Convolution, (4, 1, 3, 3), (4,), groups=2), floats((5, 2, 5, 5)), "groups"),
        Case(lambda dtype: L.Convolution(params((4, 2, 1, 1))(dtype)[0]), floats((5, 2, 3, 3)), "1 x 1, no bias")],
    "Convolution1D": [
        Case(with_params(L.Convolution1D, (4, 3, 3), (4,)), floats((5, 3, 7))),
        Case(with_params(L.Convolution1D, (4, 2, 3), (4,), stride=2, padding=1), floats((5, 2, 8)), "stride, padding"),
        Case(with_params(L.Convolution1D, (4, 1, 2), (4,), groups=2, dilation=3, padding="same"), floats((5, 2, 7)),
             "same, groups"),
        Case(lambda dtype: L.Convolution1D(params((3, 4, 2))(dtype)[0]), floats((5, 4, 6)), "no bias")],
    "TransposedConvolution": [
        Case(with_params(L.TransposedConvolution, (3, 4, 3, 2), (4,)), floats((5, 3, 4, 3))),
        Case(with_params(L.TransposedConvolution, (2, 4, 3, 4), (4,), stride=2, padding=1, output_padding=(1, 0)),
             floats((5, 2, 4, 3)), "stride, padding"),
        Case(with_params(L.TransposedConvolution, (4, 1, 2, 3), (2,), groups=2, dilation=(1, 2), stride=(3, 1)),
             floats((5, 4, 2, 3)), "groups, dilation"),
        Case(lambda dtype: L.TransposedConvolution(params((3, 2, 2, 2))(dtype)[0], stride=2), floats((5, 3, 2, 3)), "no bias")],
    "MaxPool": [
        Case(plain(L.MaxPool, 2), floats((5, 2, 4, 6))),
        Case(plain(L.MaxPool, 3, stride=2, padding=1), floats((5, 2, 7, 6)), "overlap, padding")],
    "AveragePool": [
        Case(plain(L.AveragePool, 2), floats((5, 2, 4, 6))),
        Case(plain(L.AveragePool, 3, stride=2, padding=1), floats((5, 2, 7, 6)), "overlap, padding")],
    "GlobalAveragePool": [Case(plain(L.GlobalAveragePool), floats((5, 3, 4, 2)))],
    "SoftmaxWithLoss": [
        Case(plain(L.SoftmaxWithLoss), scores_and_labels((5,), 3), "labels", leading=True),
        Case(plain(L.SoftmaxWithLoss), scores_and_labels((5, 2), 3), "labels, 3 axes"),
        Case(plain(L.SoftmaxWithLoss), scores_and_probabilities, "probabilities", leading=True),
        Case(plain(L.SoftmaxWithLoss), with_weights(scores_and_labels((5, 2), 3)), "weights"),
        Case(plain(L.SoftmaxWithLoss, reduction="none"), scores_and_labels((5,), 3), "each"),
        Case(plain(L.SoftmaxWithLoss, reduction="sum"), scores_and_probabilities, "sum"),
        Case(plain(L.SoftmaxWithLoss, ignore_label=-1), with_ignored(scores_and_labels((5, 2), 3), -1), "ignored labels")],
    "SigmoidWithLoss": [Case(plain(L.SigmoidWithLoss), logits_and_shares)],
    "SquaredError": [
        Case(plain(L.SquaredError), pair, leading=True),
        Case(plain(L.SquaredError), floats((5, 2, 3), (5, 2, 3)), "3 axes")],
    "NormLoss": [Case(plain(L.NormLoss, p), pair, f"p = {p}", leading=True) for p in (1, 2, np.inf)],
    "Huber": [Case(plain(L.Huber), pair, leading=True), Case(plain(L.Huber, delta=0.3), floats((5, 2, 3), (5, 2, 3)), "delta")],
    "HingeLoss": [
        Case(plain(L.HingeLoss), scores_and_labels((5,), 4), leading=True),
        Case(plain(L.HingeLoss, margin=0.5), scores_and_labels((5, 2), 4), "margin, 3 axes")],
    "KLDivergence": [Case(plain(L.KLDivergence), two_probabilities, leading=True)],
    "CosineLoss": [Case(plain(L.CosineLoss), pair, leading=True)],
}
CASES = {f"{name}, {case.name}" if case.name else name: case for name, cases in TABLE.items() for case in cases}
