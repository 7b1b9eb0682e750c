"""Training: the loop, its record, mini-batches and clipping."""
from .batches import batches
from .clipping import clip_gradients
from .history import History
from .live import LivePlot
from .trainer import Trainer

__all__ = ["Trainer", "History", "LivePlot", "batches", "clip_gradients"]
