"""Inputs for every exported layer, drawn from a seed: many shapes and scales, kinks and ties included."""
import numpy as np

from chainrule import layers as L
from chainrule.models import MLP, Sequential, TwoLayerNet


def floats(rng, *shape, dtype=np.float64):
    """Normal numbers; sometimes a few zeros and ties among them, where ReLU, max and |x| have kinks."""
    x = rng.normal(size=shape)
    if rng.random() < 0.3:
        x = np.round(x * 2) / 2
    return (x * rng.choice([1.0, 1.0, 1.0, 1e-3, 30.0])).astype(dtype)


def lead(rng):
    return tuple(int(n) for n in rng.integers(1, 6, size=rng.integers(1, 3)))


def weights(rng, *shape, dtype=np.float64):
    return (rng.normal(size=shape) * rng.choice([1.0, 1.0, 1e-4, 1e3])).astype(dtype)


def probabilities(rng, *shape):
    p = rng.random(shape) + 0.01
    return p / p.sum(axis=-1, keepdims=True)


def elementwise(make):
    return lambda rng, dtype: (make(), (floats(rng, *lead(rng), int(rng.integers(1, 6)), dtype=dtype),))


def loss(make, targets):
    def case(rng, dtype):
        x = floats(rng, *lead(rng), int(rng.integers(2, 6)), dtype=dtype)
        return make(), (x, targets(rng, x))
    return case


def labels(rng, x):
    return rng.integers(0, x.shape[-1], size=x.shape[:-1])


def affine(rng, dtype):
    D, O = rng.integers(1, 6, size=2)
    b = None if rng.random() < 0.3 else weights(rng, O, dtype=dtype)
    return L.Affine(weights(rng, D, O, dtype=dtype), b), (floats(rng, *lead(rng), D, dtype=dtype),)


def matmul(rng, dtype):
    N, K, M = rng.integers(1, 5, size=3)
    return L.MatMul(), (floats(rng, N, K, dtype=dtype), floats(rng, K, M, dtype=dtype))


def held_matmul(rng, dtype):
    D, O = rng.integers(1, 6, size=2)
    return L.MatMul(weights(rng, D, O, dtype=dtype)), (floats(rng, *lead(rng), D, dtype=dtype),)


def kl(rng, dtype):
    x = probabilities(rng, *lead(rng), int(rng.integers(2, 6)))
    return L.KLDivergence(), (x, probabilities(rng, *x.shape))


def network(rng, dtype):
    x = rng.normal(size=(int(rng.integers(1, 7)), 3))
    t = rng.integers(0, 4, size=len(x))
    make = rng.choice(3)
    if make == 0:
        return TwoLayerNet(3, 5, 4, rng=int(rng.integers(100))), (x, t)
    if make == 1:
        return MLP([3, 6, 5, 4], rng=int(rng.integers(100))), (x, t)
    inner = Sequential(L.Affine.init(3, 5, rng=1), L.ReLU(), L.Dropout(0.3, rng=2))
    return Sequential(inner, L.Tanh(), L.Affine.init(5, 4, rng=3)), (x,)


CASES = {
    "Affine": affine,
    "MatMul": matmul,
    "MatMul(W)": held_matmul,
    "models": network,
    **{
        name: elementwise(getattr(L, name))
        for name in ("Sigmoid", "Tanh", "ReLU", "LeakyReLU", "ELU", "SiLU", "GELU", "Softplus", "Flatten")
    },
    "Dropout": elementwise(lambda: L.Dropout(rng=0)),
    "GELU(exact)": elementwise(lambda: L.GELU(exact=True)),
    "Softmax": elementwise(L.Softmax),
    "LogSumExp": elementwise(L.LogSumExp),
    "Repeat": elementwise(lambda: L.Repeat(3, axis=-1)),
    "Repeat(axis=0)": elementwise(lambda: L.Repeat(2)),
    "Sum": elementwise(L.Sum),
    "Sum(keepdims)": elementwise(lambda: L.Sum(axis=-1, keepdims=True)),
    "SoftmaxWithLoss": loss(L.SoftmaxWithLoss, labels),
    "SoftmaxWithLoss(rows)": loss(L.SoftmaxWithLoss, lambda rng, x: probabilities(rng, *x.shape)),
    "SoftmaxWithLoss(ignore_label)": loss(lambda: L.SoftmaxWithLoss(ignore_label=0), labels),
    "SigmoidWithLoss": loss(L.SigmoidWithLoss, lambda rng, x: rng.integers(0, 2, size=x.shape)),
    "SquaredError": loss(L.SquaredError, lambda rng, x: floats(rng, *x.shape)),
    "NormLoss(1)": loss(lambda: L.NormLoss(1), lambda rng, x: floats(rng, *x.shape)),
    "NormLoss(2)": loss(lambda: L.NormLoss(2), lambda rng, x: floats(rng, *x.shape)),
    "NormLoss(inf)": loss(lambda: L.NormLoss(np.inf), lambda rng, x: floats(rng, *x.shape)),
    "HingeLoss": loss(L.HingeLoss, labels),
    "KLDivergence": kl,
    "CosineLoss": loss(L.CosineLoss, lambda rng, x: floats(rng, *x.shape)),
}
