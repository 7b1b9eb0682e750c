"""Deep learning in NumPy: every layer's backward pass written by hand, readable on one screen,
proved by a gradient check.

``import chainrule`` costs nothing: each package is loaded when it is first named.

>>> import chainrule
>>> chainrule.layers.ReLU()
ReLU()
"""
import importlib

__version__ = "0.2.0"
__all__ = ["common", "layers", "models", "optimizers", "datasets", "training", "gradcheck",
           "plotting"]


def __getattr__(name):
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(
        f"module {__name__!r} has no attribute {name!r}; it holds the packages {', '.join(__all__)}"
    )


def __dir__():
    return sorted({*globals(), *__all__})
