"""What surrounds the loops of forward and backward: order of calls, threads, errors, and the
gradients of penalties, shared and frozen weights."""
from ..common import checks
from ..common.engine import threads
from .errors import note, plainly
from .sharing import trainable


class Pass:
    """A run through a model: ``with Forward(model, ...):`` or ``with Backward(model, ...):``.

    Unless the model is small, BLAS keeps to one thread: layers have threads of their own, from
    which it would take the processors (common/engine/threads.py). Only the model's layers decide
    that, so that a training resumed tomorrow computes the same. See errors.py for errors.
    """
    limit = None
    muted = ()         # layers whose inputs' gradients are not read

    def __enter__(self):
        self.muted = [layer for layer in self.muted if layer.input_gradient]
        for layer in self.muted:
            layer.input_gradient = False
        if self.model._own_threads:
            self.limit = threads.one_thread()
            self.limit.__enter__()
        return self

    def __exit__(self, kind, error, traceback):
        if self.limit is not None:
            self.limit.__exit__()
        for layer in self.muted:
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
    """A backward. ``full``: it goes through all layers and returns the inputs' gradients; else it
    ends at the lowest layer that learns."""

    def __init__(self, model, dout, input_gradient):
        self.model, self.dout = model, dout
        self.check_order()
        if input_gradient is not False:
            who = f"{type(model).__name__}.backward"
            input_gradient = checks.flag(who, "input_gradient", input_gradient)
        # a model inside another may have been told that nothing below it reads them
        self.full = (input_gradient or dout is not None) and model.input_gradient
        self.frozen = model._parameters.params.frozen
        if self.frozen != model._frozen:
            model._frozen = self.frozen
            model.find_lowest()
        self.muted = () if self.full else model._lowest
        if model._forward_only:                     # an error that names a layer without backward
            trainable(model.layers)

    def check_order(self):
        """RuntimeError unless this backward may follow the model's last forward."""
        model = self.model
        if model._ready is None:
            raise RuntimeError(f"{type(model).__name__}: backward was called before forward; call "
                               "forward(x, t) first (predict keeps nothing for backward)")
        if self.dout is None and model._ready == "output":
            raise RuntimeError(
                f"{type(model).__name__}: backward() follows forward(x, t), which gives "
                "a loss; after forward(x) say what the output's gradient is: backward(dout)")

    def finish(self):
        model = self.model
        model._parameters.check(model)
        model._parameters.gather()
        if model._ready == "loss" and model.penalty is not None:
            scale = 1.0 if self.dout is None else self.dout
            model.penalty.add_gradients(model.params, model.grads, scale)
        for k in self.frozen:
            model.grads[k][...] = 0
