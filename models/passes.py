"""What surrounds the loops of forward, backward and predict: order of calls, BLAS's threads, short
errors, evaluation mode."""
import contextlib
from types import TracebackType

import numpy as np

from ..common import checks
from ..common.engine import threads
from ..common.layer import evaluation
from .sharing import trainable


class Pass:
    """A run through a model: ``with Forward(model, ...):`` or ``with Backward(model, ...):``.

    BLAS keeps to one thread unless the model is small (common/engine/threads.py). Only the model's
    layers decide that, so a training that is resumed computes exactly what it would have computed.
    An error gets a note that names the layer in which it arose, and loses this package's frames.
    """
    limit = None
    told = ()          # the layers that are told that the gradients of their inputs are not wanted

    def __enter__(self):
        self.told = [layer for layer in self.told if layer.input_gradient]
        for layer in self.told:
            layer.input_gradient = False
        if self.model._own_threads:
            self.limit = threads.one_thread()
            self.limit.__enter__()
        return self

    def __exit__(self, kind, error, traceback):
        if self.limit is not None:
            self.limit.__exit__()
        for layer in self.told:
            layer.input_gradient = True
        if error is None:
            self.finish()
        elif isinstance(error, Exception):
            note(error, self.model, traceback)
            plainly(error)


class Forward(Pass):
    """A forward, with targets or without; afterwards the model knows which backward may follow."""

    def __init__(self, model, targets, weight=None):
        self.model, self.targets = model, targets
        if weight is not None and not targets:
            raise TypeError(checks.wrong(type(model).__name__, "weight", "be None without targets",
                                         "one", "it is for the rows of the loss"))
        if targets and model.loss is None:
            who = type(model).__name__
            raise RuntimeError(f"{who}: forward(x, t) needs a loss, as in "
                               f"{who}(..., loss=SoftmaxWithLoss())")
        model._ready = None

    def finish(self):
        self.model._ready = "loss" if self.targets else "output"


class Backward(Pass):
    """A backward. ``wanted``: it returns the inputs' gradients; ``full``: it computes them, too,
    which a model inside another may be told not to."""

    def __init__(self, model, dout, input_gradient):
        self.model, self.dout = model, dout
        if model._ready is None:
            raise RuntimeError(f"{type(model).__name__}: backward was called before forward; call "
                               "forward(x, t) first (predict keeps nothing for backward)")
        if dout is None and model._ready == "output":
            raise RuntimeError(
                f"{type(model).__name__}: backward() follows forward(x, t), which gives "
                "a loss; after forward(x) say what the output's gradient is: backward(dout)")
        if input_gradient is not False:
            who = f"{type(model).__name__}.backward"
            input_gradient = checks.flag(who, "input_gradient", input_gradient)
        self.wanted = input_gradient or dout is not None
        self.full = self.wanted and model.input_gradient
        self.frozen = model._parameters.params.frozen
        if self.frozen != model._frozen:            # where backward ends is to be found anew
            model._frozen = self.frozen
            model.find_lowest()
        self.told = () if self.full else model._lowest
        if model._forward_only:                     # a layer without backward: say which
            trainable(model.layers)

    @property
    def layers(self):
        """A chain's layers down to the first that learns; all of them if dL/dx is wanted."""
        return self.model.layers[0 if self.full else self.model._first:]

    def finish(self):
        model = self.model
        model._parameters.check(model)
        model._parameters.gather()
        if model._ready == "loss" and model.penalty is not None:
            scale = 1.0 if self.dout is None else self.dout
            model.penalty.add_gradients(model.params, model.grads, scale)
        for k in self.frozen:
            model.grads[k][...] = 0


def note(error, model, traceback):
    """Note on an error in which layer it arose: the one that the model's loop calls ``layer``."""
    while traceback is not None:
        here, traceback = traceback.tb_frame.f_locals, traceback.tb_next
        below = traceback.tb_frame.f_locals.get("self") if traceback else None
        if here.get("self") is model and "layer" in here and below is not model:
            for i, layer in enumerate(model.layers):
                if layer is here["layer"]:
                    kind = type(layer).__name__
                    error.add_note(f"in layer {i} of {type(model).__name__}: {kind}")
            return


def plainly(error):
    """Take this package's frames out of an error's traceback: the user's, their layers' and NumPy's
    are left."""
    kept, frames, traceback = None, [], error.__traceback__
    while traceback is not None:
        frames.append(traceback)
        traceback = traceback.tb_next
    for one in reversed(frames):
        if not one.tb_frame.f_globals.get("__name__", "").startswith("chainrule."):
            kept = TracebackType(kept, one.tb_frame, one.tb_lasti, one.tb_lineno)
    error.__traceback__ = kept


@contextlib.contextmanager
def predicting(model):
    """Evaluation mode: afterwards flags, statistics, states and generators are as before, even if
    it fails, and caches are empty."""
    try:
        with evaluation(model):
            yield
    finally:
        model._ready = model.output = None


def in_batches(model, forward, inputs, batch_size):
    """``forward`` of ``inputs``, ``batch_size`` samples at a time; the outputs joined, for several
    outputs a tuple."""
    from ..training.batches import batches
    if batch_size is None:
        return forward(*inputs)
    parts = []
    for part in batches(*inputs, batch_size=batch_size, shuffle=False):
        model.reset_states()          # samples do not follow each other, wherever they are cut
        parts.append(forward(*part) if isinstance(part, tuple) else forward(part))
    if isinstance(parts[0], tuple):
        return tuple(map(np.concatenate, zip(*parts)))
    return np.concatenate(parts)
