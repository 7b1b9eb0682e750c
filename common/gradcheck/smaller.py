"""Signatures in a smaller case: the same mistake with one sample or with one or two time steps
alone, where less is mixed."""
import contextlib

import numpy as np

from . import additive, local
from .evidence import measure
from .rules import RULES, Rule, repaired


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
    Rule(few_steps, "(any) lost-branch", "named with one or two time steps alone"),
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
