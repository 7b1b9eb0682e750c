"""What everything stands on: the contract of a layer, and functions that layers, models and
training share."""
from .functions import cross_entropy, log_softmax, logsumexp, one_hot, relu, sigmoid, softmax
from .initializers import constant, gaussian, he, orthogonal, uniform, xavier
from .layer import Layer
from .metrics import (
    accuracy,
    confusion_matrix,
    f1,
    mean_absolute_error,
    perplexity,
    precision,
    r2,
    recall,
    roc_auc,
    top_k_accuracy,
)
from .regularizers import L1, L2

__all__ = ["Layer", "sigmoid", "softmax", "log_softmax", "logsumexp", "relu", "one_hot",
           "cross_entropy", "constant", "gaussian", "uniform", "xavier", "he", "orthogonal", "L1",
           "L2", "accuracy", "top_k_accuracy", "confusion_matrix", "roc_auc", "perplexity", "r2",
           "precision", "recall", "f1", "mean_absolute_error"]
