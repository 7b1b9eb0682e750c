"""Training: the loop, its record, mini-batches and clipping, and what is wrong with a training."""
from .batches import batches
from .clipping import clip_gradients
from .doctor import doctor, preflight
from .history import History
from .report import Finding, Report
from .sweep import lr_range
from .trainer import Trainer

__all__ = ["Trainer", "History", "Report", "Finding", "batches", "clip_gradients", "doctor",
           "lr_range", "preflight"]
