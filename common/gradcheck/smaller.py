"""Signatures in a smaller case: the same mistake with one sample or with one or two time steps
alone, where less is mixed."""
import contextlib

import numpy as np

from . import additive, local, probes
from .evidence import measure
from .rules import RULES, Rule, repaired
from .scaling import ratio
from .tensors import cached


@contextlib.contextmanager
def part(e, inputs):
    """The same array's evidence for other inputs, measured with all others beside it; None if there
    is none."""
    subject = e.m.subject
    kept = subject.inputs, vars(subject).pop("cached", None)
    try:
        subject.inputs = inputs
        try:
            m = measure(subject, np.random.default_rng(1))
        except Exception:
            m = None
        yield (
            None
            if m is None or m.error is not None
            else next((o for o in m.targets if o.where == e.where), None)
        )
    finally:
        subject.inputs = kept[0]
        vars(subject).pop("cached", None)
        if kept[1] is not None:
            subject.cached = kept[1]


def named_there(there):
    """What the table says about the smaller case."""
    signatures = [rule.signature for rule in RULES if rule.signature is not repaired]
    return next(
        (found for signature in signatures if (found := signature(there)) and found[0]), None
    )


def one_sample(e):
    """Experiment: one sample of a loss alone, where no hidden unit is both on and off."""
    if e.m.y.ndim or e.m.batch < 2:
        return None
    for k in range(min(3, e.m.batch)):
        with part(e, tuple(
                x[k:k + 1] if isinstance(x, np.ndarray) and x.ndim and len(x) == e.m.batch else x
                for x in e.m.subject.inputs)) as found:
            if found is None or found.right or not found.shaped:
                continue
            result = named_there(found) or hidden(found)
        if result and result[0][0] in SEEN_ALONE:
            return result[0], f"with one sample alone: {result[1]}"
    return None


SEEN_ALONE = {
    "missing-mask",
    "inverted-mask",
    "lost-branch",
    "overlap-overwritten",
    "wrong-sign",
    "stale-cache",
    "missing-local-derivative",
}


def hidden(e):
    """For one sample: a bias off by 1/f' in each hidden unit; a weight's outer product with another
    cached row."""
    if not e.param or np.abs(e.G).max() <= 100 * e.noise:
        return None
    if e.value.ndim == 1 and np.all(np.abs(e.G) > 100 * e.noise):
        c = (e.A / e.G)[0]
        if np.all(c > 1 - 1e-6) and np.ptp(c) > 1e-4 and local.reciprocal_slope(e, c):
            return [
                "missing-local-derivative"
            ], "each hidden unit is off by a factor of its own, which is 1 / f'"
    if e.value.ndim == 2 and min(e.value.shape) > 1:
        (u, s, v), (p, r, q) = np.linalg.svd(e.A[0]), np.linalg.svd(e.G[0])
        if (
            s[1] < 1e-5 * s[0]
            and r[1] < 1e-4 * r[0]
            and ratio(v[0], q[0], 1e-4)
            and not ratio(u[:, 0], p[:, 0], 1e-3)
        ):
            for name, t in cached(e):
                if t.size == u[:, 0].size and ratio(u[:, 0], t.reshape(-1), 1e-4):
                    return [
                        "stale-cache"
                    ], f"the outer product is formed with {name} where another array belongs"
    return None


def few_steps(e):
    """Experiment: one time step alone, then two: what is wrong there is wrong within a step, or
    carried wrongly."""
    inputs = e.m.subject.inputs
    x = inputs[0] if inputs else None
    if (
        not isinstance(x, np.ndarray)
        or x.ndim < 2 + (x.dtype.kind == "f")
        or x.ndim > 3
        or x.shape[1] < 3
    ):
        return None
    right = False
    for T in (1, 2):
        with part(
            e,
            tuple(
                v[:, :T]
                if isinstance(v, np.ndarray) and v.ndim > 1 and v.shape[:2] == x.shape[:2]
                else v
                for v in inputs
            ),
        ) as found:
            if found is None or not found.shaped:
                return None
            if found.right or found.facts.get("right"):
                right = np.abs(found.G).max() > 100 * found.noise
                continue
            result = named_there(found)
        if result:
            return result[0], f"with {T} time step{'s' * (T > 1)} alone: {result[1]}"
        if right and np.any(found.G):
            return [
                "lost-branch"
            ], "with one time step it is right: what is carried from step to step is incomplete"
        return None
    return None


# For arrays that no rule of the table names. Where another array is named, only a size or a
# structure counts here: the rest may follow from what was named.
LAST = [
    Rule(one_sample, "missing-mask inverted-mask lost-branch", "named with one sample alone"),
    Rule(few_steps, "(any) lost-branch", "named with one or two time steps alone"),
    Rule(
        probes.path_incomplete,
        "lost-branch",
        "right once a weight is zero: what comes back through it is wrong",
    ),
    Rule(
        additive.own_multiple,
        "lost-branch",
        "wrong by a multiple of the array itself in each row or column",
    ),
    Rule(
        local.same_signs,
        "wrong-local-derivative",
        "right signs and zeros, another factor at each entry",
    ),
]
BESIDES = {
    "missing-mask",
    "repeated-index",
    "divided-by-N",
    "scaled-by-N",
    "summed-too-far",
    "wrong-local-derivative",
}
