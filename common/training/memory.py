"""How much memory a training step takes, predicted and measured."""
import contextlib
import copy
import tracemalloc

import numpy as np

from ..common.checks import bytes_text
from ..common.layer import walk
from .report import Finding


class Step:
    """The bytes of a training step with batches of B samples: ``predicted``, the sum of ``parts``.
    Those that grow with B, by ``each`` a sample, are seen in two small batches."""

    def __init__(self, case):
        B = case.batch_size
        if case.function is not None:
            B = max((len(batch[-1]) for batch in case.batches()), default=B)
        self.case, self.B = case, min(B, len(case.t))
        small, large = min(2, self.B), min(8, self.B)
        first, (fixed, kept, passing) = self.run(small), self.run(large)
        more = (self.B - large) / max(1, large - small)
        kept, passing = (max(n, n + more * (n - m)) for n, m in zip((kept, passing), first[1:]))
        self.parts = fixed | {"kept for backward": round(kept), "temporary": round(passing)}
        self.each = (kept + passing) / self.B
        self.predicted = sum(self.parts.values())

    @np.errstate(all="ignore")
    def run(self, rows):
        """A step of a copy with a few samples: the parts that do not depend on their number, what
        forward keeps, and the rest at the peak."""
        model, optimizer, *_ = copy.deepcopy(self.case.origin)
        batch = [a[:rows].copy() for a in (*self.case.x, self.case.t)]
        known = [*model.params, *model.grads]
        with Traced() as forward:
            model.forward(*batch)
        kept = nbytes([*batch, *caches(model)], but=known)
        with Traced() as backward:
            model.backward()
        with contextlib.suppress(FloatingPointError):
            optimizer.update(model.params, model.grads)
        fixed = {"parameters": nbytes(model.params), "gradients": nbytes(model.grads),
                 "optimizer": nbytes(arrays(vars(optimizer)), but=known)}
        return fixed, kept, max(backward.peak, forward.peak - kept)

    @np.errstate(all="ignore")
    def measured(self):
        """The bytes of a real step at its peak."""
        model, optimizer, *_ = copy.deepcopy(self.case.origin)
        with contextlib.suppress(FloatingPointError), Traced() as traced:
            model.forward(*(a[:self.B].copy() for a in (*self.case.x, self.case.t)))
            model.backward()
            optimizer.update(model.params, model.grads)
        return traced.peak + self.parts["parameters"] + self.parts["gradients"]

    def __str__(self):
        parts = ", ".join(f"{name} {bytes_text(n)}" for name, n in self.parts.items())
        return f"{bytes_text(self.predicted)} ({parts})"


class Traced:
    """``peak``: the most bytes that were allocated at once in a ``with`` block."""

    def __enter__(self):
        self.running = tracemalloc.is_tracing()
        tracemalloc.start()
        self.before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        return self

    def __exit__(self, *error):
        self.peak = tracemalloc.get_traced_memory()[1] - self.before
        if not self.running:
            tracemalloc.stop()


def too_large(step, data, limit):
    """A step that does not fit into memory beside the data."""
    if step.predicted + data <= limit:
        return
    room = limit - data - step.predicted + step.each * step.B
    fits = max(0, int(0.8 * room / step.each)) if step.each else 0
    yield Finding("too-little-memory", f"batch_size={step.B}", f"predicted: a step takes {step}, "
                  f"the data {bytes_text(data)}; this machine has {bytes_text(limit)}",
                  f"batch_size={fits} with accumulate={-(-step.B // fits)} makes the same "
                  "steps" if fits else "a smaller model, or float32 for float64", True)


def caches(model):
    """All arrays that layers keep for backward."""
    for layer in (*walk(model), getattr(model, "loss", None)):
        yield from arrays({name: value for name, value in getattr(layer, "__dict__", {}).items()
                           if name not in ("params", "grads", "buffers", "layers", "loss")})


def arrays(value, depth=4):
    """The arrays within containers."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, (dict, list, tuple)) and depth:
        for item in value.values() if isinstance(value, dict) else value:
            yield from arrays(item, depth - 1)


def nbytes(found, but=()):
    """The bytes of arrays, shared memory once, that of the arrays in ``but`` not at all."""
    owners, others = ({id(owner(a)): owner(a) for a in some} for some in (found, but))
    return sum(a.nbytes for key, a in owners.items() if key not in others)


def owner(a):
    """The array whose memory it is."""
    while isinstance(a.base, np.ndarray):
        a = a.base
    return a
