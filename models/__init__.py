"""Models: networks made of layers."""
from .mlp import MLP, TwoLayerNet
from .sequential import Sequential

__all__ = ["Sequential", "TwoLayerNet", "MLP"]
