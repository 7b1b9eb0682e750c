"""The layers, one family per file; each with a hand-written backward."""
from .activations import (
    ELU,
    GELU,
    LeakyReLU,
    LogSumExp,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from .affine import Affine
from .arithmetic import Add, Divide, Exp, Log, Maximum, Multiply, Power, Sin, Subtract
from .attention import Attention, MultiHeadAttention, PositionalEncoding
from .convolution import Convolution, Convolution1D, TransposedConvolution
from .dropout import Dropout
from .embedding import Embedding, EmbeddingDot
from .losses import (
    CosineLoss,
    HingeLoss,
    Huber,
    KLDivergence,
    NormLoss,
    SigmoidWithLoss,
    SoftmaxWithLoss,
    SquaredError,
)
from .matmul import MatMul
from .normalization import BatchNorm, GroupNorm, LayerNorm
from .pooling import AveragePool, GlobalAveragePool, MaxPool
from .recurrent import GRU, LSTM, RNN, Bidirectional, GRUCell, LSTMCell, RNNCell
from .structure import Branch, Concatenate, Flatten, Last, Mean, Repeat, Reshape, Sum, Transpose

__all__ = ["Affine", "MatMul", "Sigmoid", "Tanh", "ReLU", "LeakyReLU", "ELU", "SiLU", "GELU",
           "Softplus", "Softmax", "Add", "Subtract", "Multiply", "Divide", "Power", "Exp", "Log",
           "Sin", "Maximum", "LogSumExp", "Repeat", "Sum", "Mean", "Branch", "Last", "Flatten",
           "Reshape", "Transpose", "Concatenate", "Dropout", "BatchNorm", "LayerNorm", "GroupNorm",
           "Convolution", "Convolution1D", "TransposedConvolution", "MaxPool", "AveragePool",
           "GlobalAveragePool", "Embedding", "EmbeddingDot", "RNNCell", "LSTMCell", "GRUCell",
           "RNN", "LSTM", "GRU", "Bidirectional", "Attention", "MultiHeadAttention",
           "PositionalEncoding", "SoftmaxWithLoss", "SigmoidWithLoss", "SquaredError", "NormLoss",
           "Huber", "HingeLoss", "KLDivergence", "CosineLoss"]
