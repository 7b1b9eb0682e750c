"""Signatures of presence: where backward gives zero and the numbers do not, and the reverse."""
import numpy as np

from .copying import reachable
from .scaling import dropped, elementwise, named, passes_dout, ratio, rows


def supports(A, G, e):
    """Boolean maps: A is not zero, G is not zero."""
    scale = max(np.nanmax(np.abs(G), initial=0), np.abs(A).max(initial=0))
    return np.abs(A) > 1e-6 * scale + e.noise, np.abs(G) > 1e-6 * scale + e.noise


def common_ratio(A, G, both, e):
    """The codes for the constant A : G where both are there; None if it is no telling constant."""
    c = ratio(A[both], G[both], noise=e.noise)
    if c is None:
        return None
    return ([], "") if abs(c - 1) < 1e-4 else named(c, e)


def mask_missing(e):
    """Signature: right wherever the true gradient is not zero, and not zero elsewhere."""
    if not e.shaped:
        return None
    a, g = supports(e.A, e.G, e)
    g |= np.isnan(e.G)
    extra, both = a & ~g & ~np.isnan(e.G), a & g & ~np.isnan(e.G)
    if not extra.any() or (g & ~a & ~np.isnan(e.G)).any() or not both.any():
        return None
    found = common_ratio(e.A, e.G, both, e)
    if found is None and e.J is not None and elementwise(e) and passes_dout(e) and dropped(e):
        # dropout that passes dout on: no mask and no scale
        found = [], ""
    if found is None:
        return None
    return ["missing-mask", *found[0]], (
        f"{int(extra.any(0).sum())} entries should be zero and are not; "
        f"the others are right{' up to a constant' if found[0] else ''}"
    )


def mask_inverted(e):
    """Signature: zero exactly where the true gradient is not, and the reverse; or two slopes
    swapped."""
    if not e.shaped or np.isnan(e.G).any():
        return None
    a, g = supports(e.A, e.G, e)
    if a.any() and g.any() and not (a & g).any():
        codes = ["inverted-mask"]
        s = dropped(e)
        if s and e.unit:
            c = float(e.A[a].mean() / e.G[g].mean())
            if abs(abs(c) - 1) > 1e-4:
                codes += (named(c, e) or ([],))[0]
        return (
            codes,
            f"not zero at {int(a.any(0).sum())} entries, all of them entries where it should be "
            f"zero",
        )
    if e.unit and elementwise(e):
        b, j = np.diag(e.A.reshape(len(e.A), -1)), np.diag(e.J)
        levels = np.unique(j.round(7))
        if (
            len(levels) == 2
            and np.allclose(b, levels.sum() - j, atol=1e-6)
            and not np.allclose(levels, -levels[::-1])
        ):
            return ["inverted-mask"], f"slopes {levels[0]:.4g} and {levels[1]:.4g} are exchanged"
        # a slope for each channel
        for axis in range(e.value.ndim if np.any(j == 1) and e.m.subject.params else 0):
            b_, j_ = (
                np.moveaxis(v.reshape(e.value.shape), axis, 0).reshape(e.value.shape[axis], -1)
                for v in (b, j)
            )
            if np.ptp(b_ + j_, axis=1).max() < 1e-6 and np.all(
                (np.abs(j_ - 1) < 1e-6) | (np.abs(b_ - 1) < 1e-6)
            ):
                return [
                    "inverted-mask"
                ], f"the slopes of the two sides are exchanged, along axis {axis}"
    return None


def part_missing(e):
    """Signature: right or zero. Which part survives says whether ids repeat, windows overlap, or a
    path is left out."""
    if not e.shaped or np.isnan(e.G).any():
        return None
    for A, G in rows(e):
        a, g = supports(A, G, e)
        both, lost = a & g, g & ~a
        if not lost.any() or (a & ~g).any():
            continue
        if not both.any():
            if A is e.A and not np.any(e.A) and not elementwise(e):
                others = any(o.param and not o.right and np.any(o.A) for o in e.m.targets if o is not e)
                return (
                    (["not-written"], "all zero")
                    if e.param and not others
                    else (["lost-branch"], "all zero; no path leads back here")
                )
            continue
        found = common_ratio(A, G, both, e)
        if found is None or elementwise(e) and A is e.A:
            continue
        words = f"{int(lost.any(0).sum())} entries lack a part: what came from some of the outputs is zero, the rest is right"
        code, why = which_part(e, a, g) if A is e.A and e.unit else ("lost-branch", "")
        return [code, *found[0]], f"{words}{why}"
    return None


def which_part(e, a, g):
    """Of all outputs that use an entry, which ones are answered? a, g: (K, *value.shape), one row
    per output entry."""
    shape, y = e.value.shape, e.m.y
    a, g = a.reshape(len(a), -1), g.reshape(len(g), -1)
    order = np.arange(len(a))[:, None]
    uses = g.sum(axis=0)
    last = np.where(g, order, -1).max(axis=0)
    first = np.where(g, order, len(a)).min(axis=0)
    torn = uses > a.sum(axis=0)
    keeps_last = a[np.clip(last, 0, None), np.arange(a.shape[1])][torn].all()
    keeps_first = a[np.clip(first, 0, len(a) - 1), np.arange(a.shape[1])][torn].all()
    if (~torn & (uses > 0)).any() and keeps_last and not keeps_first and repeats(e):
        return (
            "repeated-index",
            "; only the last use of an id that occurs several times is answered",
        )
    if repeats(e) and e.param and keeps_last:
        return (
            "repeated-index",
            "; only the last use of an id that occurs several times is answered",
        )
    if (
        not e.param
        and len(shape) >= 2
        and (keeps_last or keeps_first or len(shape) == 4)
        and not whole_channels(y, a, g)
        and windows(e, first, last, uses)
    ):
        return "overlap-overwritten", "; where windows overlap, only one of them is answered"
    if e.param and y.ndim and len(y) > 1 and not e.m.subject.fresh_each_time:
        per_sample = a.reshape(len(y), -1, a.shape[1]).any(axis=1)
        if per_sample[0].any() and not per_sample[1:].any():
            return "missing-batch-sum", "; only the first sample's part is there"
    return "lost-branch", ""


def whole_channels(y, a, g):
    """Whether along some axis of the output (not the batch) each slice is answered in full or not
    at all."""
    for axis in range(1, y.ndim):
        a_, g_ = (
            np.moveaxis(v.reshape(*y.shape, -1), axis, 0).reshape(y.shape[axis], -1) for v in (a, g)
        )
        lost = (g_ & ~a_).any(axis=1)
        if lost.any() and not lost.all() and not (a_ & g_)[lost].any():
            return True
    return False


def windows(e, first, last, uses):
    """Whether entries are used by windows that slide: from entry to entry both the first and the
    last of its outputs move on."""
    if e.value.ndim == 4 and e.m.y.ndim == 4:
        return True
    inner = slice(0, e.value[0].size)  # within the first sample
    used = uses[inner] > 0
    return (
        all(len(np.unique(ends[inner][used])) > 1 for ends in (first, last))
        and len(np.unique(uses[inner][used])) > 1
    )


def repeats(e):
    """Whether the layer has integer ids, given or held, some of them repeated."""
    arrays = [x for x in e.m.subject.inputs if isinstance(x, np.ndarray)]
    if not arrays or e.m.y.ndim:
        arrays += [o for o in reachable(e.m.subject.work) if isinstance(o, np.ndarray)]
        arrays += [
            np.array(o)
            for o in reachable(e.m.subject.work)
            if isinstance(o, (list, tuple))
            and len(o) > 2
            and all(isinstance(i, (int, np.integer)) for i in o)
        ]
    return any(a.dtype.kind in "iu" and a.size > len(np.unique(a)) for a in arrays)
