"""The losses as ONNX operators: the loss of each row, and their mean or sum."""


import numpy as np

from ... import layers as L
from .registry import writes


def written(*classes):
    """Register a function that writes the losses of all rows, and which count (None: all)."""
    def register(function):
        @writes(*classes)
        def loss(to, layer, x, t):
            losses, kept = function(to, layer, x, t)
            if kept is not None:
                losses = to.Where(kept, losses, 0.0)
            if layer.reduction == "none":
                return losses
            total = to.ReduceSum(losses, keepdims=0)
            if layer.reduction == "sum":
                return total
            counted = to.Size(losses) if kept is None else to.ReduceSum(
                to.Cast(kept, to=7), keepdims=0)  # 7: int64
            return to.Div(total, to.CastLike(to.Max(counted, 1), total))
        return function
    return register


def picked(to, x, t):
    """x at the label of each row."""
    return to.Squeeze(to.GatherElements(x, to.Unsqueeze(t, [-1]), axis=-1), [-1])


def summed(to, x):
    return to.ReduceSum(x, [-1], keepdims=0)


@written(L.SoftmaxWithLoss)
def softmax_with_loss(to, layer, x, t):
    kept = None  # t: labels
    if layer.ignore_label is not None:
        kept = to.Not(to.Equal(t, layer.ignore_label))
        t = to.Where(kept, t, 0)
    return to.Neg(picked(to, to.LogSoftmax(x, axis=-1), t)), kept


@written(L.SigmoidWithLoss)
def sigmoid_with_loss(to, layer, x, t):
    return to.Sub(to.Softplus(x), to.Mul(x, t)), None


@written(L.SquaredError)
def squared_error(to, layer, x, t):
    d = to.Sub(x, t)
    return to.Mul(summed(to, to.Mul(d, d)), 0.5), None


@written(L.Huber)
def huber(to, layer, x, t):
    d = to.Sub(x, t)
    c = to.Clip(d, -layer.delta, layer.delta)
    return summed(to, to.Mul(c, to.Sub(d, to.Mul(c, 0.5)))), None


@written(L.NormLoss)
def norm_loss(to, layer, x, t):
    d, axes = to.Sub(x, t), [-1]
    if layer.p == np.inf:
        return to.ReduceMax(to.Abs(d), axes, keepdims=0), None
    return to.op("ReduceL1" if layer.p == 1 else "ReduceL2", d, axes, keepdims=0), None


@written(L.HingeLoss)
def hinge_loss(to, layer, x, t):
    slack = to.Max(to.Add(to.Sub(x, to.Unsqueeze(picked(to, x, t), [-1])), layer.margin), 0.0)
    return to.Sub(summed(to, slack), layer.margin), None  # the right class is margin itself


@written(L.KLDivergence)
def kl_divergence(to, layer, x, t):
    tiny = np.finfo(to.dtype).tiny
    log_t, log_x = (to.Log(to.Max(a, tiny)) for a in (t, x))
    return summed(to, to.Mul(t, to.Sub(log_t, log_x))), None


@written(L.CosineLoss)
def cosine_loss(to, layer, x, t):
    def unit(a):
        length = to.ReduceL2(a, [-1], keepdims=1)
        return to.Div(a, to.Where(to.Equal(length, 0.0), 1.0, length))
    return to.Sub(1.0, summed(to, to.Mul(unit(x), unit(t)))), None
