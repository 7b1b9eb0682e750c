"""Training: the loop, its record, callbacks and checkpoints, mini-batches and clipping; random
search."""
from .batches import batches
from .callbacks import EarlyStopping, ReduceOnPlateau
from .checkpoint import Checkpoint
from .clipping import clip_gradients
from .history import History
from .live import LivePlot
from .search import Choice, LogUniform, Uniform, random_search
from .trainer import Trainer

__all__ = ["Trainer", "History", "LivePlot", "Checkpoint", "EarlyStopping", "ReduceOnPlateau",
           "batches", "clip_gradients", "random_search", "Choice", "Uniform", "LogUniform"]
