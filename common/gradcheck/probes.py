"""Signatures by experiment: change one thing about the layer or its inputs and see whether the
mistake goes away."""
import itertools

import numpy as np

from .evidence import again, close
from .scaling import named, ratio
from .support import supports


def with_params(e, change):
    """Evidence with each weight for which ``change`` gives another array replaced by it, one at a
    time."""
    for i, p in enumerate(e.m.subject.params):
        new = change(p)
        if new is None:
            continue
        kept = p.copy()
        p[...] = new
        try:
            yield i, kept, again(e)
        finally:
            p[...] = kept


def heals(found):
    return found is not None and found.right and np.abs(found.G).max() > 10 * found.noise


def but_size(words, codes):
    return f"{words} up to a constant" if codes else words


def heals_but_size(found):
    """The codes of the constant that is left over, [] if it is right; None if more is wrong."""
    if found is None or not found.shaped or np.abs(found.G).max() <= 10 * found.noise:
        return None
    c = 1.0 if found.right else ratio(found.A, found.G, noise=found.noise)
    return [] if c == 1 else (named(c, found) or (None,))[0] if c else None


def batch_of_one(e, codes):
    """Two samples: is a factor 2 that of N? With one sample alone it would be gone."""
    if e.m.batch != 2 or not {"factor-2", "factor-half"} & set(codes):
        return codes
    alone = again(
        e,
        tuple(
            x[:1] if isinstance(x, np.ndarray) and x.ndim and len(x) == 2 else x
            for x in e.m.subject.inputs
        ),
    )
    if not heals(alone):
        return codes
    return [
        {"factor-2": "scaled-by-N", "factor-half": "divided-by-N"}.get(code, code) for code in codes
    ]


def symmetric(e):
    """Experiment: with a square weight made symmetric the mistake is gone."""
    for i, _, found in with_params(
        e, lambda p: (p + p.T) / 2 if p.ndim == 2 and p.shape[0] == p.shape[1] > 1 else None
    ):
        if (codes := heals_but_size(found)) is not None:
            return ["missing-transpose", *codes], but_size(
                f"with params[{i}] made symmetric it is right", codes
            )
    return None


def mirrored(e):
    """Experiment: with a kernel made its own mirror image the mistake is gone."""
    if e.param:
        return None

    def mirror(axes):
        def image(p):
            if (
                p.ndim < max(-a if a < 0 else a + 1 for a in axes)
                or max(p.shape[a] for a in axes) < 2
            ):
                return None
            return (p + np.flip(p, axes)) / 2

        return image

    for axes in ((-1,), (-2, -1), (0,), (1,), (0, 1)):
        for i, _, found in with_params(e, mirror(axes)):
            if (codes := heals_but_size(found)) is not None:
                words = but_size(f"with params[{i}] made its own mirror image it is right", codes)
                return ["flipped-kernel", *codes], words
    for i, _, found in with_params(
        e,
        lambda p: (
            (p + p.swapaxes(-1, -2)) / 2 if p.ndim > 2 and p.shape[-1] == p.shape[-2] else None
        ),
    ):
        if heals(found):
            return [
                "missing-transpose"
            ], f"with params[{i}] made symmetric in its last two axes it is right"
    return None


def distinct(e):
    """Experiment: with ids that do not repeat the mistake is gone."""
    subject = e.m.subject
    for i, ids in enumerate(subject.inputs):
        if (
            not isinstance(ids, np.ndarray)
            or ids.dtype.kind not in "iu"
            or ids.size == len(np.unique(ids))
            or ids.min() < 0
            or not e.m.y.ndim
            and ids.ndim < 2
            and not e.param
        ):
            continue
        for pool in (np.arange(ids.max() + 1), *(np.arange(len(p)) for p in subject.params)):
            if pool.size >= ids[:1].size:
                n = max(1, min(len(ids), pool.size // max(1, ids[0].size if ids.ndim > 1 else 1)))
                fresh = np.resize(pool, ids[:n].shape)
                codes = None
                if (n > 1 or e.m.y.ndim or e.param) and fresh.size <= pool.size:
                    codes = heals_but_size(
                        again(
                            e,
                            tuple(
                                fresh
                                if k == i
                                else x[:n]
                                if isinstance(x, np.ndarray) and x.ndim and len(x) == len(ids)
                                else x
                                for k, x in enumerate(subject.inputs)
                            ),
                        )
                    )
                if codes is not None:
                    return ["repeated-index", *codes], but_size(
                        "with ids that do not repeat it is right", codes
                    )
    return None


def same_inputs(e):
    """Experiment: with two inputs of one shape made equal it is right: one was cached in the place
    of the other."""
    inputs = e.m.subject.inputs
    for (k, other), (i, x) in itertools.combinations(enumerate(inputs), 2):
        alike = all(
            isinstance(v, np.ndarray) and v.dtype.kind == "f" and v.shape == np.shape(x)
            for v in (x, other)
        )
        if alike and heals(again(e, (*inputs[:i], other, *inputs[i + 1 :]))):
            return (
                ["stale-cache"],
                f"with inputs {k} and {i} equal it is right: what one left stands where the "
                f"other's belongs",
            )
    return None


def one_token(e):
    """Experiment: one time step alone. Softmax over it is 1 whatever its score; and a reshape
    cannot be confused with a transpose."""
    inputs = e.m.subject.inputs
    x = inputs[0]
    if (
        not e.param
        or not isinstance(x, np.ndarray)
        or x.ndim != 3
        or x.shape[1] < 2
        or (e.m.y.ndim != 3 or e.m.y.shape[1] != x.shape[1])
        and (e.m.y.ndim != 2 or e.value.shape != x.shape[2:])
    ):
        return None
    found = again(
        e,
        units=True,
        inputs=tuple(
            v[:, :1] if isinstance(v, np.ndarray) and v.ndim > 1 and v.shape[1] == x.shape[1] else v
            for v in inputs
        ),
    )
    if found is None or not found.shaped:
        return None
    if np.abs(found.G).max() <= 10 * found.noise < np.abs(found.A).max():
        if with_its_output(found):
            return (
                ["stale-cache"],
                "at the first time step an outer product with that step's own output, where the "
                "state before it is zero",
            )
        return (
            ["constant-statistics"],
            "with one time step alone the gradient should vanish, for softmax over one score is "
            "constant",
        )
    if e.m.y.ndim < 3:
        return None
    J = next(
        (
            o.J.reshape(*e.m.y.shape, *x.shape)
            for o in e.m.targets
            if o.where == "x" and o.J is not None
        ),
        None,
    )
    if found.right and J is not None and np.any(np.abs(J[:, 0, :, :, -1]) > 1e-9):
        wrong = sum(o.param and not o.right for o in e.m.targets)
        code = "wrong-reshape" if wrong > 1 else "missing-transpose"
        return (
            [code],
            f"with one time step alone it is right; {wrong} parameters are wrong with several: "
            f"time and heads are mixed up",
        )
    return None


def steps_masked(e):
    """Experiment: with the mask over time that is among the inputs set to 1 everywhere it is
    right."""
    inputs = e.m.subject.inputs
    for i, mask in enumerate(inputs):
        if (
            not isinstance(mask, np.ndarray)
            or mask.ndim != 2
            or i == e.index
            and not e.param
            or not np.isin(mask, (0, 1)).all()
            or not np.ptp(mask * 1)
            or mask.shape != inputs[0].shape[:2]
        ):
            continue
        if not heals(again(e, (*inputs[:i], np.ones_like(mask), *inputs[i + 1 :]))):
            continue
        x = next((o for o in e.m.targets if o.where == "x" and o.shaped), None)
        if x is None:
            return ["missing-mask"], f"with inputs[{i}] 1 everywhere it is right"
        a, g = supports(x.A, x.G, x)
        if (a & ~g).any():
            return (
                ["missing-mask"],
                f"with inputs[{i}] 1 everywhere it is right; without, a gradient where it should "
                f"be zero",
            )
        if (g & ~a).any():
            return [
                "lost-branch"
            ], f"with inputs[{i}] 1 everywhere it is right: what passes by where it is 0 is missing"
    return None


def with_its_output(e):
    """Whether each output sends back to a weight an outer product with the state to which that
    output belongs."""
    H = e.m.y.shape[-1]
    if not e.unit or e.value.ndim != 2 or len(e.value) != H:
        return False
    h = np.repeat(e.m.y.reshape(-1, H), H, axis=0)[:, :, None]
    along = (
        h
        * (h * e.A).sum(axis=1, keepdims=True)
        / np.maximum((h * h).sum(axis=1, keepdims=True), 1e-300)
    )
    return np.abs(e.A - along).max() <= 1e-6 * np.abs(e.A).max()


def single_sample(e):
    """Experiment: for a loss over coupled samples, one sample's gradient depends on the others, and
    backward is wrong about it."""
    subject, y = e.m.subject, e.m.y
    if (
        e.param
        or e.m.batch < 3
        or y.ndim
        or not e.value.ndim
        or len(e.value) != e.m.batch
        or not e.shaped
        or e.J is None
    ):
        return None
    moved = [x.copy() if isinstance(x, np.ndarray) else x for x in subject.inputs]
    for x in moved:
        if isinstance(x, np.ndarray) and x.dtype.kind == "f" and x.ndim and len(x) == e.m.batch:
            x[-1] += 0.1 * np.random.default_rng(3).normal(size=x[-1].shape)
    found, before = again(e, tuple(moved)), again(e)
    if found is None or before is None or not np.abs(found.J[:, :1]).size:
        return None
    n = e.value[0].size
    if close(found.J[:, :-n], before.J[:, :-n], 1e-6, e.noise) or ratio(
        found.J[:, :-n], before.J[:, :-n]
    ):
        return None
    return [
        "cross-sample"
    ], "a sample's gradient depends on the other samples; backward is wrong about it"
