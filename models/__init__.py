"""Models: networks made of layers."""
from .export import load_torch_state, to_source, to_torch_state
from .graph import Graph
from .images import (
    VGG,
    AlexNet,
    GoogLeNet,
    LeNet,
    NiN,
    ResNet,
    inception,
    residual,
    small_inception,
)
from .interpolant import relu_interpolant
from .mlp import MLP, TwoLayerNet
from .node import Input, node
from .pretrained import load_pretrained
from .recompute import Recompute
from .sequential import Sequential
from .text import (
    CBOW,
    AttentionSeq2Seq,
    KneserNey,
    LanguageModel,
    NGram,
    Seq2Seq,
    SkipGram,
    TransformerLM,
    context_windows,
    nearest,
)

__all__ = ["Sequential", "Graph", "Input", "node", "TwoLayerNet", "MLP", "relu_interpolant",
           "LeNet", "AlexNet", "VGG", "NiN", "GoogLeNet", "inception", "small_inception", "ResNet",
           "residual", "CBOW", "SkipGram", "context_windows", "nearest", "LanguageModel", "Seq2Seq",
           "AttentionSeq2Seq", "TransformerLM", "NGram", "KneserNey", "load_pretrained",
           "Recompute", "load_torch_state", "to_source", "to_torch_state"]


def __getattr__(name):
    """The estimators need scikit-learn, which nothing else does: they are loaded when named."""
    if name not in ("SklearnClassifier", "SklearnRegressor"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from . import estimators
    except ImportError as error:
        raise ImportError(f"{name} needs scikit-learn ({error}); install it, for instance with "
                          "pip install 'chainrule[sklearn]'") from None
    return getattr(estimators, name)
