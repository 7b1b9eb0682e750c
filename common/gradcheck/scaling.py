"""Facts of size: the gradient is the right one times a constant, and what that constant says."""
import itertools

import numpy as np

from .copying import reachable
from .evidence import again, arrays_in
from .styles import innermost
from .subject import each_float


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


def flags(a):
    """Whether an array may say which entries count: integers, or nothing but 0 and 1."""
    return a.dtype.kind in "iub" or bool(np.isin(a, (0, 1)).all())


def sizes(e):
    """Every number of things that a mean can be over: products of axes of inputs and outputs, of
    windows, of labels that count."""
    given, found = arrays_in(e.m.subject.inputs), set()
    for a in [*given, e.m.y, e.value]:
        for r in range(1, a.ndim + 1):
            found |= {int(np.prod(c)) for c in itertools.combinations(a.shape, r)}
    for n in numbers(e.m.subject.work):
        if isinstance(n, (int, np.integer)) and 1 < n < 100:
            found |= {int(n), int(n) ** 2}
    for a in filter(flags, given):
        no = (0, -1, a.min(initial=0), a.max(initial=0))
        found |= {int(np.sum(a != ignored)) for ignored in no}
    return {n for n in found if n > 1}


def counted(e):
    """(size, how many count) of each mask and of labels some of which may not count."""
    for a in filter(flags, arrays_in(e.m.subject.inputs)):
        for ignored in (0, -1) if a.size > 2 else ():
            if 1 < (n := int(np.sum(a != ignored))) < a.size:
                yield a.size, n


def numbers(layer):
    """The numbers among a layer's attributes and in its closure: windows, strides, shares."""
    for f in vars(type(layer)).values():
        yield from numbers_in(f)
        for cell in getattr(f, "__closure__", None) or ():
            yield from numbers_in(cell.cell_contents)
    for value in getattr(innermost(layer), "__dict__", {}).values():
        yield from numbers_in(value)


def numbers_in(value):
    for v in value if isinstance(value, tuple) else (value,):
        if isinstance(v, (int, float, np.number)) and not isinstance(v, bool):
            yield v


def kept_shares(e, rounds=False):
    """The share that a dropout keeps: of each mask the layer holds, if it is a number of the
    layer's, or 1 over what the mask multiplies with; ``rounds``: or a round number."""
    subject = e.m.subject
    subject.output()
    held = list(reachable(subject.work))
    told = {q for o in held if hasattr(o, "__dict__") or o is subject.work
            for p in numbers(o) if 0 < p < 1 for q in (p, 1 - p)}
    for mask in arrays_in(held):
        if mask.dtype.kind not in "bf" or mask.size < 3 or mask.all() or not mask.any():
            continue
        if any(mask.shape == x.shape and np.array_equal(mask, x)
               for x in arrays_in(subject.inputs)):
            continue
        top, share = float(mask.max()), np.mean(mask != 0)
        if np.any(mask[mask != 0] != top):
            continue
        guesses = {k / 20 for k in range(1, 20)} if rounds and e.m.y.ndim and mask.size > 19 else ()
        for q in told.union({1 / top} - {1}, guesses):
            if abs(share - q) < 3 * np.sqrt(max(0, q * (1 - q)) / mask.size):
                yield q


def named(c, e):
    """The codes that a constant ratio backward : numerical stands for, with the words; None where
    it says nothing."""
    codes, words, batch = [], f"backward = {c:.4g} × numerical", e.m.batch
    if c < 0:
        codes, c = ["wrong-sign"], -c

    def near(*numbers):
        return any(abs(c - a) < 1e-4 * a for a in numbers)

    def over(n, more=""):
        return [*codes, "divided-by-N" if c < 1 else "scaled-by-N"], words + more

    if near(1):
        return codes, words
    shares = set(kept_shares(e))
    if any(near(*(v**k for v in (q, 1 - q, q / (1 - q)) for k in (-2, -1, 1, 2)))
           for q in shares - {0.5}):
        return [*codes, "dropout-scale"], f"{words}; a mask keeps the share {max(shares):.4g}"
    if near(2, 0.5):
        if 0.5 in shares and any(e.m.y.shape == x.shape for x in e.m.subject.inputs[:1]):
            return [*codes, "dropout-scale"], f"{words}; a mask keeps the half"
        if 2 in {batch, *e.m.y.shape} and c > 1:
            words += " (an axis of length 2 would look the same)"
        return [*codes, "factor-2" if c > 1 else "factor-half"], words
    for total, n in counted(e):
        if near(n / total, total / n):
            return over(n, f": {n} of {total} count")
    for extra, k in ((), 1), (("factor-2",), 2), (("factor-half",), 0.5):
        for n in sorted(sizes(e)) if not extra or not elementwise(e) else ():
            if near(n * k, k / n):
                code = "scaled-by-N" if near(n * k) else "divided-by-N"
                return [*codes, code, *extra], f"{words}, and {n} = {meaning(n, e)}"
    for n in sorted({*e.value.shape, *e.m.y.shape} - {0, 1}):
        if near(np.sqrt(n), 1 / np.sqrt(n)):
            words += f": the root of {n}, the length of an axis, is missing or one too many"
            return [*codes, "wrong-local-derivative"], words
    for n in range(1, batch):
        if near(n / batch, batch / n):
            return over(n, f": {n} of {batch} samples")
    if any(near(q, 1 / q) for q in kept_shares(e, rounds=True)):
        return [*codes, "dropout-scale"], f"{words}, the share that a mask keeps"
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
    other = again(e, each_float(e.m.subject.inputs, lambda x: x * rng.uniform(0.8, 1.2, x.shape)))
    d = other and other.shaped and ratio(other.A, other.G, noise=other.noise)
    return c if d and abs(c - d) < 1e-4 * abs(c) else None


def constant(e):
    """One constant over all entries."""
    c = everywhere(e)
    if not c:
        return None
    found = named(c, e)
    if passes_dout(e) and elementwise(e) and "dropout-scale" not in (found or [[]])[0]:
        return (found if abs(c + 1) < 1e-4
                else (["missing-local-derivative"], "dout comes back unchanged"))
    return found


def passes_dout(e):
    return e.A.shape == e.douts.shape and np.array_equal(e.A, e.douts)


def elementwise(e):
    """Whether output i depends on entry i alone."""
    if e.J is None or e.value.shape != e.m.y.shape:
        return False
    return not np.any(np.abs(e.J - np.diag(np.diag(e.J))) > 1e-6 * np.abs(e.J).max() + e.noise)


def rows(e):
    """A and G; then, for an output over time, only what the first step's output sends back."""
    yield e.A, e.G
    if e.unit and e.m.y.ndim == 3:
        first = np.zeros(e.m.y.shape, bool)
        first[:, 0] = True
        yield e.A[first.reshape(-1)], e.G[first.reshape(-1)]


def listed(numbers):
    numbers = list(map(int, numbers))
    whole = len(numbers) > 3 and numbers[-1] - numbers[0] == len(numbers) - 1
    return f"{numbers[0]}..{numbers[-1]}" if whole else str(numbers)
