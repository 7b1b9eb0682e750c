"""The gradient checker: numerical derivatives, and which mistake a hand-written backward makes."""
from .check import check_gradients
from .hessian import HessianOperator, hessian_vector_product
from .locating import example_inputs, locate
from .numeric import Numeric
from .numerical import jacobian, numerical_gradient
from .report import Finding, GradientReport

__all__ = ["numerical_gradient", "jacobian", "check_gradients", "GradientReport", "Finding",
           "Numeric", "locate", "example_inputs", "hessian_vector_product", "HessianOperator"]
