"""Pictures of training and of models.

Every function draws on the Axes it is given, or else on those of a new figure, and returns them; showing,
saving and closing the figure is left to the caller.
"""
from .boundary import plot_decision_boundary
from .history import plot_history

__all__ = ["plot_decision_boundary", "plot_history"]
