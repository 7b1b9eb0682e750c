"""Training: the loop, its record, mini-batches and clipping; random search."""
from .batches import batches
from .clipping import clip_gradients
from .history import History
from .search import Choice, LogUniform, Uniform, random_search
from .trainer import Trainer

__all__ = ["Trainer", "History", "batches", "clip_gradients",
           "random_search", "Choice", "Uniform", "LogUniform"]
