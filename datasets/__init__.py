"""Data to learn from: loaders, generators, preprocessing and mini-batches."""
from ..common.training.batches import batches
from .digits import load_digits
from .mnist import load_mnist
from .preprocessing import train_test_split
from .spiral import make_spiral

__all__ = ["batches", "load_digits", "load_mnist", "make_spiral", "train_test_split"]
