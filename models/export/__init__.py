"""The way out: models as files and code of PyTorch and ONNX, and their weights back."""
from .registry import Torch, register_exporter
from .source import to_source
from .state import load_torch_state, to_torch_state

__all__ = ["Torch", "load_torch_state", "register_exporter", "to_source", "to_torch_state"]
