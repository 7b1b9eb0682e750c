"""Models: networks made of layers."""
from .alexnet import AlexNet
from .googlenet import GoogLeNet, inception, small_inception
from .graph import Graph
from .interpolant import relu_interpolant
from .language_model import LanguageModel
from .lenet import LeNet
from .mlp import MLP, TwoLayerNet
from .ngram import KneserNey, NGram
from .nin import NiN
from .node import Input, node
from .resnet import ResNet, residual
from .seq2seq import AttentionSeq2Seq, Seq2Seq
from .sequential import Sequential
from .transformer import TransformerLM
from .vgg import VGG
from .word_vectors import CBOW, SkipGram, context_windows, nearest

__all__ = [
    "Sequential", "Graph", "Input", "node",
    "TwoLayerNet", "MLP", "relu_interpolant",
    "LeNet", "AlexNet", "VGG", "NiN", "GoogLeNet", "inception", "small_inception", "ResNet", "residual",
    "CBOW", "SkipGram", "context_windows", "nearest", "LanguageModel", "Seq2Seq", "AttentionSeq2Seq", "TransformerLM",
    "NGram", "KneserNey",
]
