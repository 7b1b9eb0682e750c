"""Optimizers: rules that change parameters by their gradients; schedules of the learning rate;
clipping."""
from ..training.clipping import clip_gradients
from .adaptive import AdaDelta, AdaGrad, Adam, AdaMax, AdamW, RMSProp
from .optimizer import Optimizer
from .schedules import cosine_decay, step_decay, warmup
from .sgd import SGD, Momentum, Nesterov

__all__ = ["AdaDelta", "AdaGrad", "AdaMax", "Adam", "AdamW", "Momentum", "Nesterov", "Optimizer",
           "RMSProp", "SGD", "clip_gradients", "cosine_decay", "step_decay", "warmup"]
