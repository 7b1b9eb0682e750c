"""Models: networks made of layers."""
import importlib
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from .export import load_torch_state, to_source, to_torch_state

__all__ = ["Sequential", "Graph", "Input", "node", "TwoLayerNet", "MLP", "relu_interpolant",
           "LeNet", "AlexNet", "VGG", "NiN", "GoogLeNet", "inception", "small_inception", "ResNet",
           "residual", "CBOW", "SkipGram", "context_windows", "nearest", "LanguageModel", "Seq2Seq",
           "AttentionSeq2Seq", "TransformerLM", "NGram", "KneserNey", "load_pretrained",
           "Recompute", "load_torch_state", "to_source", "to_torch_state"]
LATER = {
    "SklearnClassifier": "estimators", "SklearnRegressor": "estimators",
    "load_torch_state": "export", "to_source": "export", "to_torch_state": "export",
}


def __getattr__(name):
    """What is loaded when it is named; the estimators need scikit-learn, which nothing else
    does."""
    if name not in LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = importlib.import_module(f".{LATER[name]}", __name__)
    except ImportError as error:
        raise ImportError(f"{name} needs scikit-learn ({error}); install it, for instance with "
                          "pip install 'chainrule[sklearn]'") from None
    return getattr(module, name)
