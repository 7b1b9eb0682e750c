"""The layers, one family per file; each with a hand-written backward."""
from .activations import GELU, LeakyReLU, ReLU, Sigmoid, Softmax, Softplus, Tanh
from .affine import Affine
from .dropout import Dropout
from .losses import CosineLoss, HingeLoss, KLDivergence, NormLoss, SigmoidWithLoss, SoftmaxWithLoss, SquaredError
from .matmul import MatMul
from .structure import Flatten, Repeat, Sum

__all__ = [
    "Affine", "MatMul", "Sigmoid", "Tanh", "ReLU", "LeakyReLU", "GELU", "Softplus", "Softmax",
    "Repeat", "Sum", "Flatten", "Dropout",
    "SoftmaxWithLoss", "SigmoidWithLoss", "SquaredError", "NormLoss", "HingeLoss", "KLDivergence", "CosineLoss",
]
