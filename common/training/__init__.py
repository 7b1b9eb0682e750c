"""Training: the loop, its record, callbacks and checkpoints, mini-batches and clipping; random
search; what is wrong with a training."""
from .batches import batches
from .callbacks import EarlyStopping, ReduceOnPlateau
from .checkpoint import Checkpoint
from .clipping import clip_gradients
from .doctor import doctor, preflight
from .history import History
from .live import LivePlot
from .report import Finding, Report
from .search import Choice, LogUniform, Uniform, random_search
from .sweep import lr_range
from .trainer import Trainer

__all__ = [
    "Trainer", "History", "LivePlot", "Checkpoint", "EarlyStopping", "ReduceOnPlateau", "batches",
    "clip_gradients", "random_search", "Choice", "Uniform", "LogUniform", "doctor", "preflight",
    "lr_range", "Report", "Finding",
]
