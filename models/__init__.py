"""Models: networks made of layers."""
from .alexnet import AlexNet
from .googlenet import GoogLeNet, inception, small_inception
from .graph import Graph
from .interpolant import relu_interpolant
from .lenet import LeNet
from .mlp import MLP, TwoLayerNet
from .nin import NiN
from .node import Input, node
from .resnet import ResNet, residual
from .sequential import Sequential
from .vgg import VGG

__all__ = [
    "Sequential", "Graph", "Input", "node",
    "TwoLayerNet", "MLP", "relu_interpolant",
    "LeNet", "AlexNet", "VGG", "NiN", "GoogLeNet", "inception", "small_inception", "ResNet", "residual",
]
