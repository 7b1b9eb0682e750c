"""Data to learn from: loaders, generators, preprocessing and mini-batches."""
from ..training.batches import batches
from .catalogue import class_names
from .images import load_cifar10, load_digits, load_fashion_mnist, load_mnist
from .normalizer import Normalizer
from .points import make_circles, make_moons, make_regression_1d, make_spiral
from .preprocessing import merge, random_crops, random_flips, random_shifts, train_test_split
from .sequence_batches import pair_batches, ragged_batches, text_batches
from .sequences import make_addition, make_dates
from .text import load_ptb, load_python_docs
from .vocabulary import Vocabulary, read_text

__all__ = [
    "batches", "class_names", "load_cifar10", "load_digits", "load_fashion_mnist", "load_mnist",
    "load_ptb", "load_python_docs", "make_addition", "make_circles", "make_dates", "make_moons",
    "make_regression_1d", "make_spiral", "merge", "Normalizer", "pair_batches", "ragged_batches",
    "random_crops", "random_flips", "random_shifts", "read_text", "text_batches",
    "train_test_split", "Vocabulary"]
