"""Training: the loop, its record, callbacks and checkpoints, mini-batches and clipping."""
from .batches import batches
from .callbacks import EarlyStopping, ReduceOnPlateau
from .checkpoint import Checkpoint
from .clipping import clip_gradients
from .history import History
from .live import LivePlot
from .trainer import Trainer

__all__ = ["Trainer", "History", "Checkpoint", "EarlyStopping", "ReduceOnPlateau", "LivePlot",
           "batches", "clip_gradients"]
