"""Signatures of size: the gradient is the right one times a constant, and what that constant
says."""
import itertools

import numpy as np

from .copying import reachable
from .evidence import again
from .styles import innermost


def ratio(P, Q, tol=1e-5, noise=0.0):
    """The constant c with P = c Q, or None. Entries of Q that are NaN were not measured."""
    if P.shape != Q.shape:
        return None
    known = ~np.isnan(Q)
    P, Q = P[known], Q[known]
    if not P.size or not np.isfinite(P).all() or not np.abs(Q).max() > 3 * noise or not np.any(P):
        return None
    c = float(P @ Q / (Q @ Q))
    return c if c and np.abs(P - c * Q).max() <= tol * np.abs(P).max() + abs(c) * noise else None


def sizes(e):
    """Every number of things that a mean can be over: products of axes of inputs and outputs, of
    windows, of labels that count."""
    subject, y = e.m.subject, e.m.y
    found = set()
    for a in [*(x for x in subject.inputs if isinstance(x, np.ndarray)), y, e.value]:
        for r in range(1, a.ndim + 1):
            found |= {int(np.prod(c)) for c in itertools.combinations(a.shape, r)}
    for n in list(attributes(subject.work)):
        found |= {n, n * n}
    # entries that count: of a mask, of labels that are not all one kind
    for a in subject.inputs:
        if isinstance(a, np.ndarray) and (a.dtype.kind in "iub" or np.isin(a, (0, 1)).all()):
            found |= {
                int(np.sum(a != ignored)) for ignored in (0, -1, a.min(initial=0), a.max(initial=0))
            }
    return {n for n in found if n > 1}


def counted(e):
    """(size, how many count) of each mask and of labels some of which may not count."""
    for a in e.m.subject.inputs:
        if (
            isinstance(a, np.ndarray)
            and a.size > 2
            and (a.dtype.kind in "iub" or np.isin(a, (0, 1)).all())
        ):
            for ignored in (0, -1):
                if 1 < (n := int(np.sum(a != ignored))) < a.size:
                    yield a.size, n


def attributes(layer):
    """The whole numbers among a layer's attributes and in its closure: window sizes, strides."""
    closures = [
        cell.cell_contents
        for f in vars(type(layer)).values()
        for cell in getattr(f, "__closure__", None) or ()
    ]
    for value in (*getattr(innermost(layer), "__dict__", {}).values(), *closures):
        for v in value if isinstance(value, tuple) else (value,):
            if isinstance(v, (int, np.integer)) and not isinstance(v, bool) and 1 < v < 100:
                yield int(v)


def dropped(e):
    """1/(1-p) of a dropout: the layer multiplies each entry by 0 or one constant, whatever the
    entry is. None if it does not."""
    if "dropout" not in e.m.subject.__dict__:
        e.m.subject.dropout = measure_dropout(e.m.subject, e.m.y)
    return e.m.subject.dropout


def measure_dropout(subject, y):
    x = subject.inputs[0] if subject.inputs else None
    if x is None or x.shape != y.shape or not y.ndim or len(subject.inputs) > 1:
        return None
    try:
        flipped = subject.output((-x,))
    except Exception:
        return None
    zero, nonzero = (y == 0) & (x != 0), y != 0
    if not np.allclose(flipped, -y) or not zero.any() or not nonzero.any():
        return None
    scale = y[nonzero] / x[nonzero]
    return float(scale.flat[0]) if np.ptp(scale) < 1e-6 else None


def kept_part(c, e):
    """Whether c or 1/c is a round part of 1, and about the part of entries that a cached mask
    keeps."""
    if not 0.05 < min(c, 1 / c) < 0.99:
        return False
    subject = e.m.subject
    subject.output()
    given = [x for x in subject.inputs if isinstance(x, np.ndarray)]
    shares = (
        [v for v in vars(subject.work).values() if isinstance(v, float)]
        if hasattr(subject.work, "__dict__")
        else []
    )
    for q in (c, 1 / c):
        if not 0.05 < q < 0.99 or abs(q * 20 - round(q * 20)) > 1e-3:
            continue
        # p or 1 - p among the attributes
        told = any(abs(v - q) < 1e-6 or abs(1 - v - q) < 1e-6 for v in shares)
        for mask in reachable(subject.work):
            if (
                not isinstance(mask, np.ndarray)
                or mask.dtype.kind not in "bf"
                or mask.size < (3 if told else 8)
            ):
                continue
            if (
                not mask.any()
                or mask.all()
                or any(mask.shape == x.shape and np.array_equal(mask, x) for x in given)
            ):
                continue
            top, kept = mask.max(), mask != 0
            levels = np.all(mask[kept] == top)
            spread = abs(kept.mean() - q) < 3 * np.sqrt(q * (1 - q) / mask.size)
            plain = top == 1 and (told or spread and e.m.y.ndim and mask.size >= 20)
            if levels and (plain or (told or spread) and abs(top - 1 / q) < 1e-6):
                return True
    return False


def named(c, e):
    """The codes that a constant ratio backward : numerical stands for, with the words; None where
    it says nothing."""
    codes, words = [], f"backward = {c:.4g} × numerical"
    if c < 0:
        codes.append("wrong-sign")
        c = -c
    if abs(c - 1) < 1e-4:
        return codes, words

    def near(a):
        return abs(c - a) < 1e-4 * a

    s, known = dropped(e), sizes(e)
    batch = e.m.batch
    if s and (near(s) and s != 1 or near(1 / s) and s != 1):
        return [*codes, "dropout-scale"], f"{words}, where the kept entries are scaled by {s:.4g}"
    if s and s != 1 and not any(near(n) or near(1 / n) for n in (2, batch)):
        return [*codes, "dropout-scale"], f"{words}, where the kept entries are scaled by {s:.4g}"
    if s == 1 and c != 1 and near(1 / np.mean(e.m.y != 0)):
        return [*codes, "dropout-scale"], words
    if near(2) or near(0.5):
        if 2 in {batch} | set(e.m.y.shape) and c > 1:
            words += " (an axis of length 2 would look the same)"
        return [*codes, "factor-2" if c > 1 else "factor-half"], words
    # a mean over the wrong number: not all labels count, or not all that a mask covers
    for total, n in counted(e):
        if near(n / total) or near(total / n):
            code = "divided-by-N" if c < 1 else "scaled-by-N"
            return [*codes, code], f"{words}: {n} of {total} count"
    for extra, k in ((), 1), (("factor-2",), 2), (("factor-half",), 0.5):
        for n in sorted(known) if not extra or not elementwise(e) else ():
            if near(n * k):
                return [*codes, "scaled-by-N", *extra], f"{words}, and {n} = {meaning(n, e)}"
            if near(k / n):
                return [*codes, "divided-by-N", *extra], f"{words}, and {n} = {meaning(n, e)}"
    if kept_part(c, e):
        return [*codes, "dropout-scale"], f"{words}, the part that a mask keeps"
    for n in sorted({n for a in (e.value, e.m.y) for n in a.shape} - {1}):
        if near(np.sqrt(n)) or near(1 / np.sqrt(n)):
            words = f"{words}: the root of {n}, the length of an axis, is missing or one too many"
            return [*codes, "wrong-local-derivative"], words
    for n in range(1, batch):
        if near(n / batch) or near(batch / n):
            code = "divided-by-N" if c < 1 else "scaled-by-N"
            return [*codes, code], f"{words}: {n} of {batch} samples"
    return None


def meaning(n, e):
    x = e.m.subject.inputs[0]
    if n == e.m.batch:
        return "the number of samples"
    if n == x.size:
        return "the number of entries of x"
    if n in x.shape:
        return f"the length of axis {x.shape.index(n)} of x"
    return "the number of values in a group or window"


def everywhere(e):
    """The constant between backward and the numbers; of a single number, which is a multiple of any
    other, only if it is the same at other inputs."""
    c = e.shaped and ratio(e.A, e.G, noise=e.noise)
    if not c or e.m.y.ndim or np.sum(np.abs(e.G[0]) > e.noise) > 1:
        return c
    rng = np.random.default_rng(17)
    floats = [isinstance(x, np.ndarray) and x.dtype.kind == "f" for x in e.m.subject.inputs]
    moved = tuple(
        x * rng.uniform(0.8, 1.2, x.shape) if is_float else x
        for x, is_float in zip(e.m.subject.inputs, floats)
    )
    other = again(e, moved)
    d = other and other.shaped and ratio(other.A, other.G, noise=other.noise)
    return c if d and abs(c - d) < 1e-4 * abs(c) else None


def constant(e):
    """Signature: one constant over all entries."""
    c = everywhere(e)
    if not c:
        return None
    if passes_dout(e) and elementwise(e) and not (abs(c + 1) < 1e-4 or dropped(e)):
        return ["missing-local-derivative"], "dout comes back unchanged"
    return named(c, e)


def odd_constant(e):
    """Signature: a constant over all entries that is no size of anything."""
    c = everywhere(e)
    if not c or f"{c:.6g}" == "1":
        return None
    return ["wrong-local-derivative"], f"backward = {c:.6g} × numerical, everywhere"


def passes_dout(e):
    return e.A.shape == e.douts.shape and np.array_equal(e.A, e.douts)


def elementwise(e):
    """Whether output i depends on entry i alone."""
    if e.J is None or e.value.shape != e.m.y.shape:
        return False
    return not np.any(np.abs(e.J - np.diag(np.diag(e.J))) > 1e-6 * np.abs(e.J).max() + e.noise)


def partly_constant(e):
    """Signature: right on some slices of an axis, times one telling constant on all the others (one
    gate's sign, say).

    In a sequence only the first step's rows are looked at: in later ones several steps are mixed.
    """
    if not e.shaped or e.A.ndim < 2:
        return None
    for A, G in rows(e):
        for axis in range(A.ndim - 1, 0, -1):
            if A.shape[axis] < 2:
                continue
            a, g = np.moveaxis(A, axis, 0), np.moveaxis(G, axis, 0)
            scale = 1e-5 * max(np.nanmax(np.abs(g)), np.abs(a).max()) + e.noise
            wrong = np.array([np.nanmax(np.abs(p - q)) > scale for p, q in zip(a, g)])
            if not wrong.any() or wrong.all() or np.isnan(g[wrong]).all():
                continue
            live = np.array([np.nanmax(np.abs(q)) > scale for q in g])
            c = ratio(a[wrong], g[wrong], noise=e.noise)
            if c and (live & ~wrong).any():
                found = named(c, e)
                if found and found[0]:
                    return (
                        found[0],
                        f"{found[1]}, in slices {listed(np.flatnonzero(wrong))} of axis {axis - 1} "
                        f"only",
                    )
    return None


def rows(e):
    """A and G; then, for an output over time, only what the first step's output sends back."""
    yield e.A, e.G
    if e.unit and e.m.y.ndim == 3:
        first = np.zeros(e.m.y.shape, bool)
        first[:, 0] = True
        yield e.A[first.reshape(-1)], e.G[first.reshape(-1)]


def listed(numbers):
    numbers = list(map(int, numbers))
    return (
        f"{numbers[0]}..{numbers[-1]}"
        if len(numbers) > 3 and numbers[-1] - numbers[0] == len(numbers) - 1
        else str(numbers)
    )
