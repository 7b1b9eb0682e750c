"""The gradient check: hand-written backward against numerical derivatives, with a verdict in words."""
import inspect

import numpy as np

from .numerical import columns
from .report import Finding, GradientReport
from .subject import FunctionLayer, Subject

TOLERANCE = 1e-6


def check_gradients(layer, *inputs, gradient=None, rng=None):
    """stage 1"""
    if inspect.isclass(layer):
        raise TypeError(f"check_gradients: layer should be an object, got the class {layer.__name__}; "
                        f"make one: {layer.__name__}(...)")
    if isinstance(layer, tuple):
        layer, gradient = layer
    name = getattr(layer, "__name__", type(layer).__name__)
    if gradient is not None:
        layer = FunctionLayer(layer, gradient)
    rng = np.random.default_rng(rng)
    subject = Subject(layer, inputs)
    y = subject.output()
    dout = rng.normal(size=y.shape) if y.ndim else rng.uniform(0.5, 2)
    if not subject.takes_dout:
        dout = np.ones(y.shape)
    back = subject.backward(dout)
    findings, checked = [], []
    scalar = y.ndim == 0
    for i, (x, a) in enumerate(zip(subject.inputs, back.inputs)):
        if x is None or x.dtype.kind != "f" or (a is None and scalar and i > 0):
            continue
        where = "x" if i == 0 else f"inputs[{i}]"

        def f(x, i=i):
            return subject.output(subject.inputs[:i] + (x,) + subject.inputs[i + 1:])
        g = np.array([np.sum(dout * c) for c in columns(f, x.copy())]).reshape(x.shape)
        checked.append(where)
        findings += compare(where, a, g, "not-returned")
    grads = back.params + [None] * (len(subject.params) - len(back.params))
    for i, (p, a) in enumerate(zip(subject.params, grads)):
        where = f"params[{i}]"
        g = np.array([np.sum(dout * c) for c in columns(lambda p: subject.output(), p)]).reshape(p.shape)
        checked.append(where)
        missing = a is None or not np.any(a) and np.any(g)
        findings += compare(where, None if missing else a, g, "not-written")
    return GradientReport(name, findings, (), checked)


def compare(where, a, g, missing):
    if a is None:
        if np.any(g):
            yield Finding(missing, where, f"no gradient; numerically its largest entry is {np.abs(g).max():.4g}", "return it")
        return
    a = np.asarray(a)
    if a.shape != g.shape:
        yield Finding("unrecognised", where, f"the gradient has shape {a.shape}, should have {g.shape}", "the shapes")
        return
    error = np.abs(a - g)
    if not error.max(initial=0) <= TOLERANCE * max(np.abs(g).max(), np.abs(a).max(), 1e-30):
        at = tuple(int(i) for i in np.unravel_index(np.argmax(error), error.shape))
        yield Finding("unrecognised", where, f"worst at {at}: backward {a[at]:.6g}, numerical {g[at]:.6g}", "the formula")
