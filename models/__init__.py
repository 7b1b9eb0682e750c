"""Models: networks made of layers."""
from .graph import Graph
from .interpolant import relu_interpolant
from .mlp import MLP, TwoLayerNet
from .node import Input, node
from .sequential import Sequential

__all__ = ["Sequential", "Graph", "Input", "node", "TwoLayerNet", "MLP", "relu_interpolant"]
