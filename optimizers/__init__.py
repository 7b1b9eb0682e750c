"""Optimizers: rules that change parameters by their gradients; schedules of the learning rate; clipping."""
from ..training.clipping import clip_gradients
from .adaptive import AdaGrad, Adam, AdamW, RMSProp
from .optimizer import Optimizer
from .schedules import cosine_decay, step_decay, warmup
from .sgd import SGD, Momentum, Nesterov

__all__ = ["AdaGrad", "Adam", "AdamW", "Momentum", "Nesterov", "Optimizer", "RMSProp", "SGD",
           "clip_gradients", "cosine_decay", "step_decay", "warmup"]
