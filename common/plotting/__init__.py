"""Pictures of training and of models.

Every function draws on the Axes it is given, or else on those of a new figure, and returns them;
showing, saving and closing the figure is left to the caller.
"""
from .attention import plot_attention
from .boundary import plot_decision_boundary
from .confusion import plot_confusion
from .drawing import draw
from .embedding import plot_embedding
from .filters import plot_activations, plot_filters
from .gradient_flow import plot_gradient_flow
from .history import plot_history
from .moving import slide
from .search import plot_search

__all__ = ["draw", "plot_activations", "plot_attention", "plot_confusion", "plot_decision_boundary",
           "plot_embedding", "plot_filters", "plot_gradient_flow", "plot_history", "plot_search",
           "slide"]
