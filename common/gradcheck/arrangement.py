"""Signatures of place: right numbers at wrong places or in a wrong shape, sums over too many axes
or too few."""
import itertools
import math

import numpy as np

from .evidence import close
from .scaling import named, ratio


def with_scale(code, P, e, words):
    """``code`` if P is the numerical gradient up to a constant that says something (or says
    nothing: 1)."""
    c = ratio(P, e.G, noise=e.noise)
    if c is None:
        return None
    if abs(c - 1) < 1e-4:
        return [code], words
    found = named(c, e)
    return ([code, *found[0]], f"{words}; {found[1]}") if found else None


def not_summed(e):
    """Signature: the gradient has axes too many; summed over them it is right."""
    A, shape = e.A, e.value.shape
    if e.shaped or A[0].size <= e.value.size or A[0].size == 0:
        return None
    for r in range(1, A.ndim):
        for axes in itertools.combinations(range(1, A.ndim), r):
            P = A.sum(axis=axes)
            if P[0].size == e.value.size:
                found = with_scale(
                    "missing-batch-sum",
                    P.reshape(e.G.shape),
                    e,
                    f"shape {A.shape[1:]} for {shape}; summed over axis {listed(axes)} it is right",
                )
                if found:
                    return found
    if A.ndim == e.G.ndim:  # copies in a row
        counts = [a // n for a, n in zip(A.shape[1:], shape)]
        if all(a % n == 0 for a, n in zip(A.shape[1:], shape)):
            for split in itertools.product(
                *[((c, n), (n, c)) if c > 1 else ((c, n),) for c, n in zip(counts, shape)]
            ):
                P = A.reshape(len(A), *itertools.chain(*split))
                axes = tuple(
                    1 + 2 * i + (0 if (c, n) == pair else 1)
                    for i, (c, n, pair) in enumerate(zip(counts, shape, split))
                )
                found = with_scale(
                    "missing-batch-sum",
                    P.sum(axis=axes).reshape(e.G.shape),
                    e,
                    f"shape {A.shape[1:]} for {shape}; summed over its {math.prod(counts)} copies "
                    f"it is right",
                )
                if found:
                    return found
    return None


def listed(axes):
    return ", ".join(str(a - 1) for a in axes)


def summed_too_far(e):
    """Signature: equal along an axis along which the true gradient varies, and equal to its sum
    there."""
    if np.isnan(e.G).any():
        return None
    try:
        A = np.broadcast_to(
            e.A.reshape(len(e.A), *(1,) * (e.G.ndim - e.A.ndim), *e.A.shape[1:]), e.G.shape
        )
    except ValueError:
        if e.A[0].size != 1:
            return None
        A = np.broadcast_to(e.A.reshape(len(e.A), *(1,) * (e.G.ndim - 1)), e.G.shape)
    for r in range(1, e.G.ndim):
        for axes in itertools.combinations(range(1, e.G.ndim), r):
            total = np.broadcast_to(e.G.sum(axis=axes, keepdims=True), e.G.shape)
            c = ratio(A, total, noise=e.noise * e.value.size)
            if c and ratio(e.G, total, noise=e.noise * e.value.size) is None:
                count = int(np.prod([e.G.shape[a] for a in axes]))
                words = f"the sum over axis {listed(axes)} of the right gradient, the same {count} times"
                found = ([], "") if abs(c - 1) < 1e-4 else named(c, e)
                if found:
                    return ["summed-too-far", *found[0]], words
    return None


def transposed(e):
    """Signature: with its axes in another order it is right."""
    A, shape = e.A, e.value.shape
    n = A.ndim - 1
    if n < 2 or A[0].size != e.value.size:
        return None
    for order in itertools.permutations(range(1, n + 1)):
        if order != tuple(range(1, n + 1)):
            P = A.transpose(0, *order)
            if P.shape == e.G.shape:
                words = f"shape {A.shape[1:]} for {shape}; " if not e.shaped else ""
                found = with_scale(
                    "missing-transpose",
                    P,
                    e,
                    f"{words}transposed to the order {tuple(o - 1 for o in order)} it is right",
                )
                if found:
                    return found
    return None


def swapped_jacobian(e):
    """Signature: the Jacobian is transposed, in all or in one pair of axes: W or the scores not
    transposed in backward."""
    if not e.unit or not e.shaped:
        return None
    y, x = e.m.y, e.value
    B = e.A.reshape(*y.shape, *x.shape)
    J = e.G.reshape(B.shape)
    pairs = [
        (i, y.ndim + j)
        for i in range(y.ndim)
        for j in range(x.ndim)
        if y.shape[i] == x.shape[j] > 1
    ]
    if y.shape == x.shape:
        swaps = [p for p in pairs if p[1] - y.ndim == p[0]]
        pairs = [c for r in (1, 2) for c in itertools.combinations(swaps, r)]
    else:
        pairs = [(p,) for p in pairs]
    for pair in pairs:
        P = B
        for i, j in pair:
            P = P.swapaxes(i, j)
        if ratio(P, B) is None:
            found = with_scale(
                "missing-transpose",
                P.reshape(e.G.shape),
                e,
                "the Jacobian is the transposed of the right one",
            )
            if found and ratio(J, B) is None:
                return found
    return None


def reshaped(e):
    """Signature: the right numbers, in the order of a reshape instead of a transpose, or of another
    memory order."""
    if (
        e.A[0].size != e.value.size
        or e.value.ndim < 2
        and e.shaped
        or np.isnan(e.G).any()
        or nearly(e)
    ):
        return None
    K, shape = len(e.A), e.value.shape
    flat = e.A.reshape(K, -1)
    if not e.shaped:
        found = with_scale(
            "wrong-reshape",
            flat.reshape(e.G.shape),
            e,
            f"shape {e.A.shape[1:]}; reshaped to {shape} it is right",
        )
        if found:
            return found
    for order in itertools.permutations(range(len(shape))):
        if order == tuple(range(len(shape))):
            continue
        # A = G transposed, then poured row by row into the shape; or G poured, then transposed.
        P = e.G.transpose(0, *(o + 1 for o in order)).reshape(K, -1)
        Q = (
            e.G.reshape(K, *(shape[o] for o in order))
            .transpose(0, *(1 + order.index(i) for i in range(len(shape))))
            .reshape(K, -1)
        )
        for R in (P, Q):
            c = ratio(flat, R, noise=e.noise)
            if c:
                found = ([], "") if abs(c - 1) < 1e-4 else named(c, e)
                if found:
                    return [
                        "wrong-reshape",
                        *found[0],
                    ], "the right numbers, read in the wrong order"
    if e.unit:  # a permutation that is none of these
        a, g = np.sort(e.A.reshape(K, -1), axis=1), np.sort(e.G.reshape(K, -1), axis=1)
        if (
            ratio(a, g, noise=e.noise)
            and abs(ratio(a, g, noise=e.noise) - 1) < 1e-4
            and np.all(np.sort(e.A.reshape(K, -1), axis=0).sum(1) != 0)
            or moved(e)
        ):
            return [
                "wrong-reshape"
            ], "every number of the right gradient is there, at another place"
    return None


def nearly(e):
    """Whether each entry is right but for a thousandth: no matter of places."""
    return e.shaped and close(e.A, e.G, 1e-3)


def moved(e):
    """Whether for random upstream gradients the entries are the right ones in another order."""
    A, G, _ = e.facts.get("random", (e.A, e.G, None))
    K = len(A)
    a, g = np.sort(A.reshape(K, -1), axis=1), np.sort(G.reshape(K, -1), axis=1)
    return (
        G[0].size > 3
        and np.ptp(g[0]) > 0
        and len(np.unique(g[0].round(9))) > 3
        and np.allclose(a, g, rtol=1e-5, atol=1e-8 + e.noise)
    )


def rows_exchanged(e):
    """Signature: the right rows of the Jacobian for the wrong outputs: dout was reshaped where it
    should have been transposed."""
    if not e.unit or not e.shaped or len(e.A) < 4 or nearly(e):
        return None
    B, J = e.A.reshape(len(e.A), -1), e.G.reshape(len(e.G), -1)
    scale = 1e-5 * np.abs(J).max() + 3 * e.noise
    if np.abs(B.sum(axis=0) - J.sum(axis=0)).max() > scale * len(B):
        return None
    taken, source = np.zeros(len(J), bool), []
    for b in B:
        fits = np.flatnonzero((np.abs(J - b).max(axis=1) <= scale) & ~taken)
        if not fits.size:
            return None
        taken[fits[0]] = True
        source.append(fits[0])
    at, of = (np.array(np.unravel_index(rows, e.m.y.shape)) for rows in (np.arange(len(B)), source))
    axes = [a for a in range(e.m.y.ndim) if np.any(at[a] != of[a])]
    if (
        e.m.y.ndim == 3
        and len(axes) == 1
        and axes[0] < 2
        and len(np.unique((at - of)[axes[0]] % e.m.y.shape[axes[0]])) == 1
    ):
        return ["stale-cache"], "every row of the Jacobian is that of a neighbouring time step"
    return [
        "wrong-reshape"
    ], "every row of the Jacobian is right, but for another output: dout is read in the wrong order"


def flipped(e):
    """Signature: reversed along one or two axes it is right; or backward is right once the kernel
    is its own mirror image."""
    if e.shaped and e.value.ndim > 1 or e.value.shape > (2,) and e.shaped:
        for r in (2, 1):
            for axes in itertools.combinations(range(e.G.ndim - 1, 0, -1), r):
                found = with_scale(
                    "flipped-kernel",
                    np.flip(e.A, axes),
                    e,
                    f"reversed along axis {listed(axes)} it is right",
                )
                if found:
                    return found
    return None
