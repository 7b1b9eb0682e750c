"""The gradient checker: numerical derivatives, and which mistake a hand-written backward makes."""
from .check import check_gradients
from .numerical import jacobian, numerical_gradient
from .report import Finding, GradientReport

__all__ = ["numerical_gradient", "jacobian", "check_gradients", "GradientReport", "Finding"]
