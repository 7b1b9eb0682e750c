"""From evidence to findings: the first signature of the table that fits each wrong array."""
import contextlib
import itertools

import numpy as np

from .arrangement import reshaped
from .evidence import close
from .probes import batch_of_one
from .repair import search
from .report import Finding
from .rules import ALIKE, HINTS, RULES, SOFT, census
from .scaling import elementwise
from .smaller import BESIDES, LAST
from .tensors import other_tensor


def diagnose(m, known):
    """Findings for every array of a Measurement that is wrong; ``known``: codes that were found
    already."""
    found = []
    wrong = [e for e in m.targets if not e.right and not e.facts.get("right")]
    exchanged = [
        pair
        for pair in itertools.combinations([e for e in wrong if not e.param], 2)
        if in_wrong_order(*pair)
    ]
    for e in [e for e in wrong if e.param]:
        if other := next(
            (o for o in m.targets if o.param and o is not e and written_for(e, o)), None
        ):
            words = f"it is the right gradient of {other.where}, not of {e.where}"
            found.append(Finding("not-written", e.where, words, HINTS["not-written"]))
            wrong = [o for o in wrong if o is not e]
    for e, other in exchanged:
        words = (
            f"it is right for {other.where}, and the other way round: returned in the wrong order"
        )
        found += [Finding("not-returned", e.where, words, HINTS["not-returned"])]
        wrong = [o for o in wrong if o is not e and o is not other]
    if wrong and "nondeterministic" not in known:
        with contextlib.suppress(Exception):
            m.repairs = search(m)
    verdicts = [judge(e, RULES) for e in wrong]
    alone = all(codes == ["unrecognised"] for codes, _ in verdicts)
    for e, (codes, words) in zip(wrong, verdicts):
        if codes == ["unrecognised"]:
            later, why = judge(e, LAST)
            codes, words = (later, why) if alone or set(later) <= BESIDES else (codes, words)
        for code in dict.fromkeys(codes):
            if code not in known or code != "ignores-upstream":
                found.append(
                    Finding(
                        code,
                        e.where,
                        f"{words} ({worst(e)})" if words else worst(e),
                        HINTS[code],
                        picture(e),
                        *getattr(m.repairs.get(e.where), "line", (None, "")),
                    )
                )
    # Where a mistake is named, the arrays that it spoils further down are no news.
    named = [f for f in found if f.code != "unrecognised"]
    if (
        named
        or "ignores-upstream" in known
        or "stale-cache" in known
        or "nondeterministic" in known
    ):
        found = named
    return found


def in_wrong_order(e, other):
    """Whether each of two inputs got the other's gradient (elementwise: rather each other's
    factor)."""
    if elementwise(e) or e.A[0].shape != other.value.shape or other.A[0].shape != e.value.shape:
        return False
    (A, G), (B, H) = (
        (draws[0][0], draws[1][0])
        for draws in (o.facts.get("random", (o.A, o.G)) for o in (e, other))
    )
    return close(A, H) and close(B, G)


def written_for(e, other):
    """Whether what stands in a parameter's gradient is that of another one of its shape."""
    (A, G), (_, H) = (o.facts.get("random", (o.A, o.G))[:2] for o in (e, other))
    return A.shape == H.shape and not close(G, H, 1e-3) and close(A, H)


def judge(e, rules):
    if not np.isfinite(e.A).all():
        return ["unrecognised"], "backward gives NaN or infinity"
    for rule in rules:
        result = None
        # a signature may fail on a strange layer; the check may not
        with contextlib.suppress(Exception):
            result = rule.signature(e)
        if result and result[0]:
            repair = e.m.repairs.get(e.where)
            if (
                repair
                and repair.all
                and rule.signature in SOFT
                and repair.codes[0] not in ("lost-branch", "wrong-reshape", "not-returned")
                and (len(repair.heals) > 1 or rule.signature is other_tensor)
            ):
                return repair.codes, result[1]
            if rule.signature is reshaped:
                return result
            if (
                repair
                and repair.words != "with += for ="
                and len(result[0]) == 1
                and any({*result[0], *repair.codes} <= alike for alike in ALIKE)
            ):
                return repair.codes, result[1]
            return batch_of_one(e, result[0]), result[1]
    if not e.shaped:
        return [
            "unrecognised"
        ], f"the gradient has shape {e.A.shape[1:]}, should have {e.value.shape}"
    return ["unrecognised"], census(e)


def worst(e):
    """The entry that is furthest off, both values."""
    A, G, _ = e.facts.get("random", (e.A, e.G, None))
    if A.shape != G.shape:
        return f"shape {A.shape[1:]}, should be {G.shape[1:]}"
    error = np.where(np.isfinite(A[0]), np.abs(A[0] - G[0]), np.inf)
    error = np.where(np.isnan(error) & ~np.isnan(G[0]), np.inf, np.nan_to_num(error))
    at = np.unravel_index(np.argmax(error), error.shape)
    place = f"at {tuple(map(int, at))}: " if at else ""
    return f"{place}backward {A[0][at]:.6g}, numerical {G[0][at]:.6g}"


def picture(e):
    """|backward - numerical| for a random upstream gradient as a matrix, or None."""
    A, G, _ = e.facts.get("random", (e.A, e.G, None))
    if A.shape != G.shape or not G[0].size:
        return None
    d = np.abs(A[0] - G[0])
    return d.reshape(-1, d.shape[-1] if d.ndim else 1)
