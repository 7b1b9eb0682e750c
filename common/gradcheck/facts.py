"""What the numbers alone say of a wrong gradient, in the order in which it is asked.

Each question takes the Evidence of one array and gives None, or the codes and the numbers that
speak for them. Where a change of the text makes the gradient right, the text is believed before all
but the first few: ``FIRST`` and ``LATER``.
"""
import contextlib
import itertools
import math

import numpy as np

from .copying import reachable
from .evidence import again, arrays_in, close
from .scaling import constant, elementwise, listed, named, passes_dout, ratio, rows


def known(e):
    return e.shaped and not np.isnan(e.G).any()


def with_scale(code, P, G, e, words):
    """``code`` if P is G, or G times a constant that says something; else None."""
    c = ratio(P, G, noise=e.noise)
    found = c and named(c, e)
    return found and ([code, *found[0]], f"{words}; {found[1]}" if found[0] else words)


# Sums over too few axes, or too many


def not_summed(e):
    """Axes too many, or copies in a row; summed over them it is right."""
    A, shape = e.A, e.value.shape
    if e.shaped or A[0].size <= e.value.size or not e.value.size:
        return None
    sums = [(A.sum(axis=axes), f"axis {listed([a - 1 for a in axes])}")
            for r in range(1, A.ndim) for axes in itertools.combinations(range(1, A.ndim), r)]
    counts = [(a // n, n) for a, n in zip(A.shape[1:], shape) if a % n == 0]
    if len(counts) == A.ndim - 1 == len(shape):
        for turns in itertools.product((0, 1), repeat=len(shape)):
            split = [pair[::-1] if turn else pair for pair, turn in zip(counts, turns)]
            axes = tuple(1 + 2 * i + turn for i, turn in enumerate(turns))
            P = A.reshape(len(A), *itertools.chain(*split)).sum(axis=axes)
            sums.append((P, f"its {math.prod(c for c, _ in counts)} copies"))
    for P, over in sums:
        words = f"shape {A.shape[1:]} for {shape}; summed over {over} it is right"
        if P[0].size == e.value.size and (
                found := with_scale("missing-batch-sum", P.reshape(e.G.shape), e.G, e, words)):
            return found
    return None


def summed_too_far(e):
    """Equal along an axis along which the true gradient varies, and equal to its sum there."""
    if np.isnan(e.G).any():
        return None
    A = e.A.reshape(len(e.A), *(1,) * (e.G.ndim - e.A.ndim), *e.A.shape[1:])
    A = A.reshape(len(A), *(1,) * (e.G.ndim - 1)) if A[0].size == 1 else A
    with contextlib.suppress(ValueError):
        A = np.broadcast_to(A, e.G.shape)
        for r in range(1, e.G.ndim):
            for axes in itertools.combinations(range(1, e.G.ndim), r):
                total = np.broadcast_to(e.G.sum(axis=axes, keepdims=True), e.G.shape)
                over, count = listed([a - 1 for a in axes]), math.prod(e.G.shape[a] for a in axes)
                words = f"the sum over axis {over} of the right gradient, the same {count} times"
                if ratio(e.G, total, noise=e.noise * e.value.size) is None and (
                        found := with_scale("summed-too-far", A, total, e, words)):
                    return found
    return None


# The right numbers in another order


def rearranged(e):
    """Right with its axes in another order, reversed, or read in another order."""
    A, G, n = e.A, e.G, e.value.ndim
    if A[0].size != e.value.size or np.isnan(G).any() or e.shaped and close(A, G, 1e-3):
        return None
    orders = list(itertools.permutations(range(1, n + 1)))[1:]
    for order in orders if A.ndim == n + 1 else ():
        axes = tuple(o - 1 for o in order)
        if (P := A.transpose(0, *order)).shape == G.shape and (found := with_scale(
                "missing-transpose", P, G, e, f"with its axes in the order {axes} it is right")):
            return found
    for r in (2, 1) if e.shaped and e.value.size > 2 else ():
        for axes in itertools.combinations(range(n, 0, -1), r):
            words = f"reversed along axis {listed([a - 1 for a in axes])} it is right"
            if found := with_scale("flipped-kernel", np.flip(A, axes), G, e, words):
                return found
    flat, words = A.reshape(len(A), -1), "the right numbers, read in the wrong order"
    if not e.shaped and (found := with_scale(
            "wrong-reshape", flat, G.reshape(flat.shape), e, f"{words}: shape {A.shape[1:]}")):
        return found
    for order in orders:
        shape = [G.shape[o] for o in order]
        back = np.argsort((0, *order))
        for P in (G.transpose(0, *order), G.reshape(len(G), *shape).transpose(back)):
            if found := with_scale("wrong-reshape", flat, P.reshape(flat.shape), e, words):
                return found
    a, g = (np.sort(M.reshape(len(M), -1), axis=1) for M in e.drawn[:2])
    if len(np.unique(g[0].round(9))) > 3 and np.allclose(a, g, 1e-5, 1e-8 + e.noise):
        return ["wrong-reshape"], "every number of the right gradient is there, at another place"
    return rows_exchanged(e)


def rows_exchanged(e):
    """The right rows of the Jacobian for the wrong outputs: dout was reshaped where it should have
    been transposed, or a neighbouring time step's is read."""
    if not e.unit or not e.shaped or len(e.A) < 4:
        return None
    B, J = e.A.reshape(len(e.A), -1), e.G.reshape(len(e.G), -1)
    scale, free, source = 1e-5 * np.abs(J).max() + 3 * e.noise, np.ones(len(J), bool), []
    if np.abs(B.sum(axis=0) - J.sum(axis=0)).max() > scale * len(B):
        return None
    for b in B:
        fits = np.flatnonzero((np.abs(J - b).max(axis=1) <= scale) & free)
        if not fits.size:
            return None
        free[fits[0]] = False
        source.append(fits[0])
    shape = e.m.y.shape
    at, of = (np.array(np.unravel_index(k, shape)) for k in (np.arange(len(B)), source))
    moved = [a for a in range(len(shape)) if np.any(at[a] != of[a])]
    if len(shape) == 3 and moved in ([0], [1]) and (
            len(np.unique((at - of)[moved[0]] % shape[moved[0]])) == 1):
        return ["stale-cache"], "every row of the Jacobian is that of a neighbouring time step"
    return ["wrong-reshape"], "every row of the Jacobian is right, but for another output"


# Presence: where backward gives zero and the numbers do not, and the reverse


def supports(A, G, e):
    """Boolean maps: A is not zero, G is not zero."""
    scale = 1e-6 * max(np.nanmax(np.abs(G), initial=0), np.abs(A).max(initial=0)) + e.noise
    return np.abs(A) > scale, np.abs(G) > scale


def mask_missing(e):
    """Right wherever the true gradient is not zero, and not zero elsewhere."""
    if not e.shaped:
        return None
    a, g = supports(e.A, e.G, e)
    measured = ~np.isnan(e.G)
    extra, both = a & ~g & measured, a & g & measured
    if not extra.any() or (g & ~a & measured).any() or not both.any():
        return None
    words = f"{int(extra.any(0).sum())} entries should be zero and are not, the others are right"
    return with_scale("missing-mask", e.A[both], e.G[both], e, words)


def mask_inverted(e):
    """Zero exactly where the true gradient is not, and the reverse; or two slopes exchanged."""
    if not known(e):
        return None
    a, g = supports(e.A, e.G, e)
    if a.any() and g.any() and not (a & g).any():
        c = np.abs(e.A[a]).mean() / np.abs(e.G[g]).mean()
        scale = [code for code in (named(c, e) or [[]])[0] if code == "dropout-scale" and e.unit]
        return ["inverted-mask", *scale], "not zero exactly where it should be zero"
    if e.unit and elementwise(e):
        b, j = np.diag(e.A.reshape(len(e.A), -1)), np.diag(e.J)
        levels = np.unique(j.round(7))
        if len(levels) == 2 and np.ptp(np.abs(levels)) and np.allclose(b, levels.sum() - j):
            return ["inverted-mask"], f"slopes {levels[0]:.4g} and {levels[1]:.4g} are exchanged"
    return None


def part_missing(e):
    """Right or zero. Which part survives says whether ids repeat, windows overlap, or a path is
    left out."""
    for A, G in rows(e) if known(e) else ():
        a, g = supports(A, G, e)
        both, lost = a & g, g & ~a
        if not lost.any() or (a & ~g).any():
            continue
        if not both.any():
            if A is e.A and not elementwise(e):
                others = any(o.param and not o.right and np.any(o.A) for o in e.m.targets)
                return ["not-written" if e.param and not others else "lost-branch"], "all zero"
            continue
        code = which_part(e, a, g) if A is e.A and e.unit else "lost-branch"
        words = (f"{int(lost.any(0).sum())} entries lack what came from some of the outputs, and "
                 "what is there is right")
        if not (elementwise(e) and A is e.A) and (
                found := with_scale(code, A[both], G[both], e, words)):
            return found
    return None


def which_part(e, a, g):
    """Of all outputs that use an entry, which ones are answered? a, g: (K, *value.shape), one row
    per output entry."""
    y = e.m.y
    a, g = a.reshape(len(a), -1), g.reshape(len(g), -1)
    order, every = np.arange(len(a))[:, None], np.arange(a.shape[1])
    last, first = np.where(g, order, -1).max(axis=0), np.where(g, order, len(a)).min(axis=0)
    uses = g.sum(axis=0)
    torn = uses > a.sum(axis=0)
    ends = [bool(a[end.clip(0, len(a) - 1), every][torn].all()) for end in (last, first)]
    if repeats(e) and ends[0] and (e.param or not ends[1]):
        return "repeated-index"
    if e.param:
        return "lost-branch"
    # windows slide: from entry to entry of one sample the first and the last of its outputs move on
    used = np.flatnonzero(uses[: e.value[0].size] if e.value.ndim else uses)
    slides = all(len(np.unique(v[used])) > 1 for v in (first, last, uses))
    images = e.value.ndim == y.ndim == 4
    windows = images or e.value.ndim > 1 and any(ends) and slides
    windows &= e.m.overwrites and not time_first(e)
    return "overlap-overwritten" if windows and not whole_channels(y, a, g) else "lost-branch"


def whole_channels(y, a, g):
    """Whether along some axis of the output, not the batch, each slice is answered in full or not
    at all."""
    for axis in range(1, y.ndim):
        A, G = (np.moveaxis(v.reshape(*y.shape, -1), axis, 0).reshape(y.shape[axis], -1)
                for v in (a, g))
        lost = (G & ~A).any(axis=1)
        if lost.any() and not lost.all() and not (A & G)[lost].any():
            return True
    return False


def repeats(e):
    """Whether the layer has integer ids, given or held, some of them repeated."""
    held = list(reachable(e.m.subject.work))
    lists = [np.array(o) for o in held if isinstance(o, (list, tuple)) and len(o) > 2
             and all(isinstance(i, (int, np.integer)) for i in o)]
    arrays = [*arrays_in(e.m.subject.inputs), *arrays_in(held), *lists]
    return any(a.dtype.kind in "iu" and a.size > len(np.unique(a)) for a in arrays)


# A term that is missing, or one too many: what is wrong is a multiple of something known


def penalty(e):
    """Backward is a constant times the right gradient, plus a multiple of the parameter itself or
    of its sign."""
    A, G, d = e.drawn
    if not e.param or e.m.y.ndim or not known(e) or e.value.size < 2:
        return None
    itself, sign = (e.value, "the parameter itself"), (np.sign(e.value), "the parameter's sign")
    for terms in [itself], [sign], [itself, sign], [sign, (np.ones(e.value.shape), "1")]:
        parts = [(d.reshape(-1, *(1,) * e.value.ndim) * term).reshape(-1) for term, _ in terms]
        basis = np.array([G.reshape(-1), *parts]).T
        c, *k = np.linalg.lstsq(basis, A.reshape(-1), rcond=None)[0]
        off, small = np.abs(basis @ (c, *k) - A.reshape(-1)).max(), 1e-5 * np.abs(A).max() + e.noise
        if off > small or abs(c) < 1e-5 or len(basis) <= len(k) + 1 or any(
                abs(f) * np.abs(part).max() < small for f, part in zip(k, parts)):
            continue
        if np.linalg.matrix_rank(basis, 1e-6 * np.abs(basis).max()) == len(basis.T) and (
                found := named(float(c), e)):
            more = " + ".join(f"{f:.4g} × {name}" for f, (_, name) in zip(k, terms))
            words = (f"backward - numerical = {more}" if abs(c - 1) < 1e-4
                     else f"backward = {c:.4g} × numerical + {more}")
            return [*found[0], "wrong-penalty"], words
    return None


def label(e):
    """Right everywhere but at the labels."""
    for t in arrays_in(e.m.subject.inputs[1:]) if known(e) and e.value.ndim > 1 else ():
        rest, classes = e.value.shape[:-1], e.value.shape[-1]
        if t.dtype.kind in "iu" and t.shape == rest and t.max() < classes:
            t = t[..., None] == np.arange(classes)
        if t.shape != e.value.shape or not np.isin(t, (0, 1)).all() or not np.any(t):
            continue
        at = t.astype(bool)
        if e.wrong()[at].sum() > 1 and (found := with_scale("missing-label-subtraction",
                e.A[:, ~at], e.G[:, ~at], e, "right everywhere but at the labels")):
            return found
    return None


def groups(shape):
    """The ways to see an array as groups: (shape, axes that make one group); the channels of images
    also split in equal parts."""
    shapes = [shape]
    if len(shape) > 1:
        shapes += [(shape[0], g, shape[1] // g, *shape[2:])
                   for g in range(2, shape[1]) if shape[1] % g == 0]
    for s in shapes:
        for r in range(1, len(s) + 1):
            for axes in itertools.combinations(range(len(s)), r):
                if math.prod(s[a] for a in axes) > 1:
                    yield s, axes


def in_span(R, basis, axes):
    """Whether R is, in each group along ``axes`` and for each draw, a combination of the basis
    arrays."""
    rest = [a for a in range(R.ndim - 1) if a not in axes]
    count = math.prod(R.shape[1 + a] for a in rest)

    def grouped(a):
        lead = a.ndim - len(rest) - len(axes)
        a = a.transpose(*range(lead), *(lead + k for k in (*rest, *axes)))
        return a.reshape(*a.shape[:lead], count, -1)

    R, basis, off = grouped(R), [grouped(b) for b in basis], 0.0
    for g in range(R.shape[1]):
        M = np.array([b[g] for b in basis]).T
        off = max(off, np.abs(R[:, g].T - M @ np.linalg.lstsq(M, R[:, g].T, rcond=None)[0]).max())
    return off < 1e-3 * np.abs(R).max()


def term_missing(e):
    """What is wrong is, in each group, a multiple of 1 or of the array itself: a path through a
    sum; or it goes entry by entry, as a skip connection does."""
    if not known(e) or e.J is None or e.m.y.ndim and not e.unit:
        return None
    A, G, _ = e.drawn
    y = e.m.y if e.m.y.shape == e.value.shape and not e.param else None
    for shape, axes in groups(e.value.shape):
        x, R, size = e.value.reshape(shape), (A - G).reshape(-1, *shape), math.prod(
            shape[a] for a in axes)
        for basis, words in ([np.ones(shape)], "1"), ([x], e.where), (
                [np.ones(shape), x], f"1 and {e.where}"):
            if size > len(basis) + 1 and np.any(basis) and in_span(R, basis, axes) and not (
                    basis[1:] and in_span(G.reshape(R.shape), basis, axes)):
                code = "lost-branch" if words == "1" else "constant-statistics"
                return [code], (f"what is missing is, in each group of {size}, a multiple "
                                f"of {words}: a path through its sums")
    if y is not None and not elementwise(e):
        R = e.J - e.A.reshape(e.J.shape)
        if np.abs(R - np.diag(np.diag(R))).max() <= 1e-6 * np.abs(e.J).max() + e.noise:
            return ["lost-branch"], "what is missing goes entry by entry, as a skip connection does"
    return None


# Structure


def invariant(e, shape, axes):
    """Whether shifting or scaling a group together changes nothing in truth, but something for
    backward."""
    axes = tuple(a + 1 for a in axes)
    x, J = e.value.reshape(shape), e.J.reshape(-1, *shape)
    B = e.A.reshape(-1, *shape) if e.unit or not e.m.y.ndim else None

    def moves(M, direction):
        M = M * direction
        return np.abs(M.sum(axis=axes)).max() / max(np.abs(M).sum(axis=axes).max(), 1e-300)

    return bool(np.any(J)) and any(
        moves(J, direction) < 0.01 and (B is None or moves(B, direction) > 0.05)
        for direction in ((x,) if e.param else (np.ones(shape), x)))


def invariance(e):
    """The output stays as it is when a group of values shifts or grows together, and backward does
    not know."""
    if not known(e) or e.J is None or e.value.ndim < 1 + e.param or not (e.param or e.m.y.ndim):
        return None
    for shape, axes in groups(e.value.shape):
        if invariant(e, shape, axes):
            return ["constant-statistics"], (
                f"{e.where} can shift or grow together along axes {axes} and change nothing, but "
                "backward says it does")
    return None


def samples(e):
    """The forward couples the samples, and backward treats each sample alone, or is wrong only from
    one to another; or the forward keeps them apart, and backward sums over them."""
    y, x = e.m.y, e.value
    if e.param or not e.unit or not e.shaped or not y.ndim or not 1 < len(x) == len(y) == e.m.batch:
        return None
    if time_first(e) or passes_dout(e):
        return None
    B, J = (M.reshape(len(y), -1, len(x), x[0].size).swapaxes(1, 2) for M in (e.A, e.G))
    other = ~np.eye(len(y), dtype=bool)
    scale = 1e-6 * np.abs(J).max() + e.noise
    within = np.abs(B[~other] - J[~other]).max() <= 10 * scale
    alone = np.abs(B[other]).max() <= scale
    if np.abs(J[other]).max() <= scale and within and not alone:
        return ["summed-too-far"], "right within each sample, and not zero from one to another"
    if np.abs(J[other]).max() <= scale or not (alone or within):
        return None
    diagonal = not np.any(np.abs(e.A.reshape(e.J.shape) * (1 - np.eye(*e.J.shape))) > scale)
    if diagonal and any(0 in axes and invariant(e, *group) for group in groups(x.shape)
                        for axes in group[1:]):
        return None  # rather the statistics of the batch
    return ["cross-sample"], (
        "the output of a sample depends on the others, but backward sends nothing from one to "
        "another" if alone else "right within each sample, wrong from one sample to another")


def time_first(e):
    """Whether the first axis is no axis of samples: samples lie in columns, or it is time, along
    which values go one way only."""
    x, y = e.value, e.m.y
    if x.ndim not in (2, 3) or y.ndim < 2:
        return False
    large = np.abs(e.J).reshape(*y.shape, *x.shape) > 1e-6 * np.abs(e.J).max() + e.noise
    if x.ndim == 2 and y.shape[-1] == x.shape[-1] > 1 and any(
            p.ndim == 2 and p.shape[1] in (len(x), 1) for p in e.m.subject.params):
        last = large.any(axis=(*range(y.ndim - 1), y.ndim))
        if not last[~np.eye(len(last), dtype=bool)].any() and not elementwise(e):
            return True
    first = large.any(axis=(*range(1, y.ndim), *range(y.ndim + 1, y.ndim + x.ndim)))
    return bool(np.triu(first, 1).any() != np.tril(first, -1).any())


def outer(e):
    """A weight's gradient is an outer product with another vector than the right one: some other
    array took the input's place."""
    if not e.unit or not e.shaped or not e.weight or e.value.ndim != 2:
        return None
    A, G = list(rows(e))[-1]
    if e.m.y.ndim == 3 and e.m.y.shape[1] > 1 and not np.any(np.abs(G) > 100 * e.noise):
        # no state came before the first step: the second
        A, G = (M.reshape(*e.m.y.shape, *e.value.shape)[:, 1].reshape(-1, *e.value.shape)
                for M in (e.A, e.G))
    columns = e.wrong().any(axis=0)  # one gate of several, side by side
    hits = 0
    for a, g in zip(A[:, :, columns], G[:, :, columns]):
        if np.abs(a).max() < 1e-9:
            continue
        u, s, vt = np.linalg.svd(g)
        t = a @ vt[0]
        if s[0] < 100 * e.noise or len(s) > 1 and s[1] > 1e-5 * s[0] + 10 * e.noise:
            return None
        if np.abs(a - np.outer(t, vt[0])).max() > 1e-4 * np.abs(a).max() or (
                ratio(t, u[:, 0], 1e-4)):
            return None
        hits += 1
    return (["stale-cache"], "an outer product with another array than the right one") if (
        hits) else None


# Experiments


def with_params(e, change):
    """(which, Evidence) with each weight for which ``change`` gives another array replaced by it,
    one at a time."""
    for i, p in enumerate(e.m.subject.params):
        if (new := change(p)) is None:
            continue
        kept = p.copy()
        p[...] = new
        try:
            yield i, again(e)
        finally:
            p[...] = kept


def square(p, first, second):
    return p.ndim > 1 and p.shape[first] == p.shape[second] > 1


def weights_alike(e):
    """Right, perhaps but for a telling constant, once a weight is symmetric, or its own mirror
    image."""
    changes = [("missing-transpose", "symmetric",
                lambda p: (p + p.swapaxes(-1, -2)) / 2 if square(p, -1, -2) else None)]
    for axes in () if e.param else ((-1,), (-2, -1), (0,), (1,), (0, 1)):
        least = max(-a if a < 0 else a + 1 for a in axes)

        def mirrored(p, axes=axes, least=least):
            # a gain is no kernel, nor is a matrix reversed along one axis
            kernel = (len(p) not in e.value.shape, axes == (-2, -1), True)[min(p.ndim, 3) - 1]
            if p.ndim >= least and kernel and max(p.shape[a] for a in axes) > 1:
                return (p + np.flip(p, axes)) / 2
            return None

        changes.append(("flipped-kernel", "its own mirror image", mirrored))
    for code, words, change in changes:
        for i, other in with_params(e, change):
            if other is not None and other.shaped and (found := with_scale(code, other.A, other.G,
                    other, f"with params[{i}] made {words} it is right")):
                return found
    return None


# Factors that change from entry to entry


def own_factors(e):
    """The right structure, with a factor of its own for each entry, row of the Jacobian or hidden
    unit: dout is not multiplied by f', or wrongly."""
    if not known(e):
        return None
    A, G, N = e.A, e.G, len(e.m.y) if e.m.y.ndim else 0
    if e.unit and e.weight and e.value.ndim > 1 and e.m.y.ndim > 1:
        units = math.prod(e.value.shape[:-1])
        A, G = (M.reshape(N, -1, units, e.value.shape[-1]).transpose(0, 3, 1, 2)
                .reshape(N * e.value.shape[-1], -1) for M in (A, G))
    a, g = supports(A, G, e)
    flat = [M.reshape(len(M), -1) for M in (A, G)]
    large = np.abs(flat[1]).max(axis=1)
    if e.unit and not np.any(flat[0][large <= 3 * e.noise]):
        c = np.array([ratio(p, q, 1e-4, 10 * e.noise) or np.nan
                      for p, q in zip(*(M[large > 1e-3 * large.max()] for M in flat))])
        if c.size > 2 and not np.isnan(c).any():
            for code, n in ("scaled-by-N", c), ("divided-by-N", 1 / c):
                whole = np.all(np.abs(n - n.round()) < 1e-4) and n.min() > 0.5 and np.ptp(n) > 0.5
                if whole and not passes_dout(e):
                    return [code], "off by a number of things, another one from part to part"
            if data_free(e):
                return ["missing-local-derivative"], (
                    f"off by factors of {c.min():.4g} to {c.max():.4g}, and backward's own factors "
                    "are the same for every sample")
            return ["wrong-local-derivative", *(["wrong-sign"] if np.all(c < 0) else [])], (
                f"off by factors of {c.min():.4g} to {c.max():.4g}")
    if e.unit and elementwise(e) and not np.any(a & ~g.any(axis=0)):
        return ["wrong-local-derivative"], "another factor at each entry"
    if np.array_equal(a, g) and g.any() and np.all((A * G)[g] > 0) and e.value.size > 4:
        c = (A / np.where(g, G, 1))[g]
        return ["wrong-local-derivative"], (
            f"right signs, and zero where it should be; off by factors of {c.min():.4g} to "
            f"{c.max():.4g}")
    return None


def data_free(e):
    """Whether backward's Jacobian is the same for every sample: by a bias or the input of each
    sample, no f'(z) is in it."""
    y, B, x = e.m.y, e.A, e.m.subject.inputs[0]
    if not e.param:
        if e.value.shape[:1] != y.shape[:1]:
            return False
        B = B.reshape(len(y), y[0].size, len(y), -1)
        B = np.array([B[n, :, n] for n in range(len(y))])
    elif e.value.ndim == 1:
        B = B.reshape(len(y), -1, B[0].size)
    elif e.value.ndim == 2 and x.ndim == 2 and x.shape[-1] == len(e.value):
        B = B.reshape(len(y), -1, *e.value.shape) / x[:, None, :, None]
    else:
        return False
    return bool(np.allclose(B, B[:1]))


FIRST = (constant, not_summed, summed_too_far, penalty)
LATER = (label, rearranged, samples, mask_missing, mask_inverted, part_missing, invariance,
         term_missing, outer, weights_alike)
