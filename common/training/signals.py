"""What runs through a model's layers, and what steps change."""
import copy
import math
from types import SimpleNamespace

import numpy as np

from ..common.layer import held, is_model, reset_states
from .clipping import length
from .report import Finding
from .samples import are_ids
from .trial import Watch, named

INITIALIZER = "Affine.init(..., initializer=he) for ReLU, xavier for sigmoid and tanh"


class Signals:
    """One forward and backward of some samples through a copy, seen from inside. ``weights``:
    (path, layer) of each layer with parameters of two axes or more; ``slopes``: those of each
    nonlinearity, by its path."""

    def __init__(self, model, x, t):
        self.model = copy.deepcopy(model)
        self.watch = watch = Watch(self.model)
        reset_states(self.model)
        self.loss = float(self.model.forward(*x, t))
        wanted = {"input_gradient": not are_ids(x[0])} if is_model(self.model) else {}
        self.model.backward(**wanted)
        self.norm = length(self.model.grads)
        layers = watch.layers
        self.weights = [(path, layer) for path, layer in layers.items() if path in watch.made
                        and any(np.ndim(p) > 1 for p in getattr(layer, "params", ()))]
        if not self.weights:                               # a model that holds its arrays itself
            self.weights = [(f"params[{i}]", SimpleNamespace(params=[p]))
                            for i, p in enumerate(self.model.params) if np.ndim(p) > 1]
        self.tables = {path for path, _ in self.weights
                       if isinstance(watch.taken.get(path), np.ndarray)
                       and watch.taken[path].dtype.kind in "iu"}
        self.slopes = {path: s for path, layer in layers.items() if path in watch.made
                       and (s := slopes(layer, watch.taken[path], watch.made[path])) is not None}


def slopes(layer, z, y):
    """For an elementwise nonlinearity, (slopes at z as a share of the largest, whether it flattens
    on both sides); None for any other layer."""
    if getattr(layer, "params", None) or getattr(y, "shape", None) != getattr(z, "shape", 0):
        return None
    f = unwatched(layer)

    def run(a):
        return np.array(f.forward(a))
    grid = np.linspace(-30, 30, 601).reshape(-1, 1)
    try:
        curve = run(grid)[:, 0]
        elementwise = np.allclose(run(grid[::-1].reshape(1, -1))[0, ::-1], curve)
        steep = np.gradient(curve, grid[:, 0])
        if not elementwise or not np.isfinite(curve).all() or np.ptp(steep) < 1e-3:
            return None
        z = np.asarray(z, float)
        h = 1e-3 * np.maximum(1, np.abs(z))
        here = np.abs(run(z + h) - run(z - h)) / (2 * h)
    except Exception:
        return None
    flat = 0.02 * np.abs(steep).max()
    return here / np.abs(steep).max(), bool(abs(steep[0]) < flat and abs(steep[-1]) < flat)


def unwatched(layer):
    """A copy in evaluation mode, which no Watch sees."""
    f = copy.deepcopy(layer)
    for name in ("forward", "backward"):
        getattr(f, "__dict__", {}).pop(name, None)
    if hasattr(f, "training"):
        f.training = False
    return f


def flat_units(signals, when):
    """Dead units, whose slope is always 0, and units in the flat ends of their curve; not after the
    last layer of weights."""
    order = list(signals.watch.made)
    last = max((order.index(path) for path, _ in signals.weights if path in order), default=-1)
    for path, (share, two_sided) in signals.slopes.items():
        if order.index(path) >= last:
            continue
        layer = signals.watch.layers[path]
        shares = share.transpose(0, 2, 3, 1) if share.ndim == 4 else share     # channels are units
        shares = shares.reshape(-1, shares.shape[-1])
        if two_sided:
            flat = float((shares < 0.05).mean())
            if flat > 0.5:
                yield Finding("saturated-units", named(path, layer), f"{when}, {flat:.0%} of its "
                              "values lie where its slope is below 5 % of the largest",
                              "inputs of variance 1, smaller first weights or learning rate")
        else:
            dead = float((shares.max(axis=0) < 1e-4).mean())
            if dead > 0.5:
                yield Finding("dead-units", named(path, layer), f"{when}, {dead:.0%} of its units "
                              f"have slope 0 for all {len(share)} samples", "biases of 0, weights "
                              "by he, a smaller learning rate, or LeakyReLU()")


def variance_gain(p):
    """fan_in · mean(W²): what a layer multiplies the size² of its signal by."""
    fan = p.shape[0] if p.ndim == 2 else math.prod(p.shape[1:])
    return fan * float(np.mean(np.square(p, dtype=float)))


def first_values(signals):
    """First weights far from those that keep the variance of signals."""
    gains = [(variance_gain(p), name) for name in signals.weights if name[0] not in signals.tables
             for p in name[1].params if p.ndim > 1 and np.any(p)]
    off = [math.log10(gain / 3) if gain > 3 else min(0.0, math.log10(gain / 0.2))
           for gain, _ in gains]
    worst = max(off, key=abs, default=0.0)
    if abs(sum(off)) > 3.5 or worst > 0.9 or worst < -1.9:
        gain, name = gains[off.index(worst)]
        yield Finding("bad-initialisation", named(*name), f"fan_in · Var(W) is {gain:.3g}; "
                      "about 1 for sigmoid and tanh or 2 for ReLU keeps the variance of signals",
                      INITIALIZER)


def equal_columns(layer):
    """Whether all units of a layer have the same weights."""
    flat = [np.atleast_2d(p) if p.ndim < 3 else p.reshape(len(p), -1).T
            for p in layer.params if p.ndim > 1 or p.size > 1]
    return all(p.shape[1] > 1 and np.ptp(p, axis=1).max() <= 1e-5 * np.abs(p).max() for p in flat)


def equal_units(before, after):
    """Hidden layers whose units were equal and stay equal."""
    for (path, layer), (_, later) in list(zip(before.weights, after.weights))[:-1]:
        if path not in before.tables and equal_columns(layer) and equal_columns(later):
            p = next(p for p in layer.params if p.ndim > 1)
            yield Finding("bad-initialisation", named(path, layer), f"all {p.shape[-1]} columns of "
                          f"its weights are equal (the first entry is {p.flat[0]:.3g}) and stay "
                          "so: its units compute and learn the same", INITIALIZER, True)
    if len(before.weights) > 1 and not any(
            np.any(p) for _, layer in before.weights for p in layer.params if p.ndim > 1):
        yield Finding("bad-initialisation", named(*before.weights[0]),
                      "every weight of the model is 0", INITIALIZER, True)


def size(a):
    return float(np.sqrt(np.mean(np.square(a, dtype=float)))) if isinstance(a, np.ndarray) else 0.0


def flow(signals, clipped):
    """Gradients that shrink or grow from layer to layer, or over time."""
    back = signals.watch.back
    arriving = [(path, s) for path, _ in signals.weights if (s := size(back.get(path, [0])[0])) > 0]
    for path, layer in signals.weights:
        dx = back.get(path, (None, None))[1]
        if isinstance(dx, np.ndarray) and dx.ndim == 3 and dx.shape[1] >= 8:
            over_time = np.sqrt(np.square(dx, dtype=float).mean(axis=(0, 2)))
            early, late = over_time[:2].mean(), over_time[-2:].mean()
            recurrent = any(p.ndim == 2 and p.shape[1] % p.shape[0] == 0 for p in layer.params[1:2])
            if not recurrent or not np.isfinite([early, late]).all():
                continue
            text = (f"over {dx.shape[1]} time steps its gradient goes from {late:.2g} at the last "
                    f"to {early:.2g} at the first")
            if late > 0 and early < 1e-4 * late:
                yield Finding("vanishing-gradient", named(path, layer), text,
                              "LSTM or GRU, an orthogonal Wh, shorter sequences")
            elif early > 1e3 * late and late > 0 and not clipped:
                yield Finding("exploding-gradient", named(path, layer), text,
                              "max_grad_norm=1.0, an orthogonal Wh")
    if len(arriving) >= 3:
        (low, first), (high, last) = arriving[0], arriving[-1]
        layer = signals.watch.layers[low]
        text = (f"the gradient is {last:.2g} at layer {high} and {first:.2g} when it reaches "
                f"layer {low}")
        if first < 2e-3 * last:
            yield Finding("vanishing-gradient", named(low, layer), text, "ReLU for sigmoid, first "
                          "weights by he or xavier, BatchNorm, skip connections, fewer layers")
        elif first > 1e3 * last and not clipped:
            yield Finding("exploding-gradient", named(low, layer), text,
                          "first weights by he or xavier, BatchNorm, max_grad_norm=1.0")
    if signals.norm > 1e4 * max(1.0, abs(signals.loss)) and not clipped:
        yield Finding("exploding-gradient", "the model", f"the norm of all gradients is "
                      f"{signals.norm:.3g}, the loss {signals.loss:.3g}",
                      "max_grad_norm=1.0, inputs and first weights of variance 1")


def not_moved(before, after):
    """Parameters that do not learn although a gradient arrives, and layers that let none
    through."""
    for path, layer in held(after.model):
        own = getattr(layer, "params", ())
        if layer is not after.model and own and not getattr(layer, "layers", None) and not any(
                np.shares_memory(p, q) for p in own for q in after.model.params):
            yield Finding("frozen", named(path, layer), "its parameters are not in model.params",
                          "list them, the same arrays, in model.params and model.grads", True)
    cut = None
    for path, layer in after.watch.layers.items():
        dout, dx = after.watch.back.get(path, (None, None))
        own = list(zip(getattr(layer, "params", ()), getattr(layer, "grads", ())))
        own = [(p, g) for p, g in own if p.ndim > 1] or own
        alive = size(dout) > 1e-20 and path in before.watch.back and (
            size(before.watch.back[path][0]) > 1e-20)
        taken = after.watch.taken.get(path)
        if own and alive and np.any(taken) and not any(g.any() for _, g in own):
            yield Finding("frozen", named(path, layer), f"a gradient of size {size(dout):.2g} "
                          "reaches it, its own grads are 0", "backward writes self.grads[i][...] = "
                          "dW; check_gradients(layer, x)", True)
        passes = getattr(layer, "input_gradient", True) and not own
        if (alive and passes and isinstance(dx, np.ndarray) and not dx.any() and path != "loss"
                and path not in after.slopes):
            cut = path, layer
    if not any(g.any() for g in after.model.grads) and not after.watch.back:
        yield Finding("frozen", "the model", "its grads are 0 after backward",
                      "backward writes grads[i][...] = dW, in place", True)
    if cut is not None:
        yield Finding("frozen", named(*cut), "a gradient reaches it and none leaves it: nothing "
                      "below learns", "what backward returns, dL/dx; check_gradients(layer, x)",
                      True)


def straight(model, before):
    """Layers of weights with nothing but straight lines between."""
    lines, last = [], None
    weights = {path for path, _ in before.weights}
    for path, y in before.watch.made.items():
        if path == "loss":
            break
        z = before.watch.taken[path]
        arrays = isinstance(y, np.ndarray) and isinstance(z, np.ndarray)
        if path in before.tables or not arrays or not affine(before.watch.layers[path], z):
            last = None
        elif path in weights:
            if last is not None:
                lines.append((last, path, np.prod(z.shape[1:])))
            last = path
    if lines and len(getattr(model, "layers", ())) and not branches(before):
        wide = [(a, b) for a, b, inner in lines
                if inner >= min(np.prod(before.watch.taken[a].shape[1:]),
                                np.prod(before.watch.made[b].shape[1:]))]
        for a, b in wide[:1]:
            yield Finding("missing-nonlinearity", f"between layers {a} and {b}", "the two together "
                          "are one linear map: f(u + v) - f(u) - f(v) + f(0) is 0 for all u, v",
                          "a ReLU() between them", len(wide) == len(weights) - 1)


def branches(signals):
    """Whether a layer takes what is not the output of the one before."""
    order = [path for path in signals.watch.made if path != "loss"]
    return any(signals.watch.taken[b] is not signals.watch.made[a] and
               np.shape(signals.watch.taken[b]) != np.shape(signals.watch.made[a])
               for a, b in zip(order, order[1:]))


def affine(layer, z):
    """Whether f(u + v) - f(u) - f(v) + f(0) is 0 in evaluation mode."""
    f = unwatched(layer)
    u, v = np.random.default_rng(0).standard_normal((2, 4, *z.shape[1:])).astype(
        z.dtype if z.dtype.kind == "f" else np.float32)
    try:
        made = [np.array(f.forward(a), float) for a in (u + v, u, v, 0 * u)]
    except Exception:
        return False
    rest = made[0] - made[1] - made[2] + made[3]
    return bool(np.abs(rest).max() <= 1e-4 * max(np.abs(m).max() for m in made) + 1e-30)
