"""From evidence to findings: what is wrong with each array that is wrong."""
import contextlib
import itertools

import numpy as np

from . import edits, facts, watching
from .conduct import finding
from .evidence import again, close
from .repair import search
from .report import Finding
from .rules import HINTS
from .scaling import elementwise, passes_dout, ratio
from .subject import cut

# what is the same to the numbers, and not to the text
ALIKE = ({"factor-2", "scaled-by-N"}, {"factor-half", "divided-by-N"})


def diagnose(m, known):
    """Findings for every array of a Measurement that is wrong; ``known``: codes that were found
    already."""
    found = []
    wrong = [e for e in m.targets if not e.right]
    for e, other in itertools.combinations([e for e in wrong if not e.param], 2):
        if in_wrong_order(e, other):
            words = (f"it is right for {other.where}, and the other way round: returned in the "
                     "wrong order")
            found.append(watching.told(m.subject, finding("not-returned", e.where, words),
                                       watching.returning, m.douts[0]))
            wrong = [o for o in wrong if o is not e and o is not other]
    if wrong and "nondeterministic" not in known:
        with contextlib.suppress(Exception):
            m.repairs = search(m)
    for e in [e for e in wrong if e.param]:
        others = (o for o in m.targets if o.param and o is not e and written_for(e, o)
                  and (e.where not in m.repairs or written_for(o, e)))  # copied, or exchanged
        if other := next(others, None):
            words = f"it is the right gradient of {other.where}, not of {e.where}"
            found.append(finding("not-written", e.where, words))
            wrong = [o for o in wrong if o is not e]
    for e in wrong:
        codes, words = judge(e)
        told = m.repairs.get(e.where) or placed(m, codes)
        line = getattr(told, "line", (None, ""))
        words = f"{words} ({worst(e)})" if words else worst(e)
        new = [code for code in dict.fromkeys(codes)
               if code != "ignores-upstream" or code not in known]
        found += [Finding(code, e.where, words, HINTS[code], picture(e), *line) for code in new]
    # Where a mistake is named, the arrays that it spoils further down are no news.
    named = [f for f in found if f.code != "unrecognised"]
    explained = known & {"ignores-upstream", "stale-cache", "nondeterministic"}
    return named if named or explained else found


def in_wrong_order(e, other):
    """Whether each of two inputs got the other's gradient (elementwise: rather each other's
    factor)."""
    if elementwise(e) or e.A[0].shape != other.value.shape or other.A[0].shape != e.value.shape:
        return False
    (A, G, _), (B, H, _) = (e.drawn, other.drawn)
    return close(A[0], H[0]) and close(B[0], G[0])


def written_for(e, other):
    """Whether what stands in a parameter's gradient is that of another one of its shape."""
    (A, G, _), (_, H, _) = (e.drawn, other.drawn)
    return A.shape == H.shape and not close(G, H, 1e-3) and close(A, H)


def judge(e):
    """The codes of one array, with words: a constant, a sum or a penalty is told by the numbers,
    all else by the change of the text that heals; where none does, by what the numbers look like."""
    if not np.isfinite(e.A).all():
        return ["unrecognised"], "backward gives NaN or infinity"
    repair = e.m.repairs.get(e.where)
    if repair and repair.codes == ["ignores-upstream"]:
        return repair.codes, census(e)
    if found := first(e, facts.FIRST):
        if repair and any({*found[0], *repair.codes} <= alike for alike in ALIKE):
            return repair.codes, found[1]
        spread = found[0] == ["summed-too-far"] and repair and repair.all
        if spread and len(repair.heals) > 1 and "missing-mask" in repair.codes:
            return refined(e, repair)  # what lacks its mask looks like a sum
        if repair and len(found[0]) > 1 and "wrong-penalty" not in found[0]:
            return refined(e, repair)  # two mistakes that a single change undoes are one
        return batch_of_one(e, found[0]), found[1]
    if repair:
        return refined(e, repair)
    if found := first(e, facts.LATER):
        return batch_of_one(e, found[0]), found[1]
    told = telling(e.m)
    found = (told.codes, told.words) if told else first(e, [facts.own_factors])
    if not found and e.m.corrections:
        found = e.m.corrections[0].codes, e.m.corrections[0].words
    if found:
        return found
    if not e.shaped:
        words = f"the gradient has shape {e.A.shape[1:]}, should have {e.value.shape}"
        return ["unrecognised"], words
    return ["unrecognised"], census(e)


def telling(m):
    """The Correction that says more than that something is missing; of statistics, if it is the
    first of all."""
    return next((c for c in m.corrections if c.telling and (
        c is m.corrections[0] or c.codes != ["constant-statistics"])), None)


def placed(m, codes):
    """A Correction with these codes whose line is the only one there is, of what could be."""
    alike = [c for c in m.corrections if c.telling and c.codes == codes]
    return alike[0] if alike and alike[0].sure and len({c.line for c in alike}) == 1 else None


def first(e, questions):
    for ask in questions:
        # a question may fail on a strange layer; the check may not
        with contextlib.suppress(Exception):
            if (found := ask(e)) and found[0]:
                return found
    return None


def refined(e, repair):
    """What a change says, but where the numbers know better: whether a sum goes over ids, windows
    or paths; what a sum over other axes is part of."""
    questions, codes = (), repair.codes
    if e.param and codes == ["wrong-local-derivative"] and e.value.ndim == 2:
        questions = (facts.outer,)
    elif codes == ["stale-cache"] and elementwise(e) and len(e.m.targets) == 1:
        codes = ["wrong-local-derivative"]  # f'(x) written in y, or f'(y) in x
    elif codes == ["missing-batch-sum"] and e.shaped and not e.weight and (
            repair.family is not edits.means):
        codes = ["lost-branch"]
    elif codes == ["constant-statistics"] and passes_dout(e) and not facts.term_missing(e):
        codes = ["missing-local-derivative"]
    elif codes == ["lost-branch"] and repair.family is edits.unread:
        questions = (facts.term_missing,)
    elif codes == ["missing-local-derivative"] and not e.param and not passes_dout(e):
        questions = (facts.invariance,)
    elif repair.family is None and codes[0] in ("lost-branch", "overlap-overwritten"):
        part = first(e, (facts.part_missing,))
        if part and part[0][0] not in ("lost-branch", "not-written"):
            return part
    elif codes[0] in ("summed-too-far", "missing-batch-sum"):
        questions = (facts.samples, facts.invariance)
    return first(e, questions) or (codes, in_numbers(e, codes[0]))


def in_numbers(e, code):
    """What the numbers say of a mistake that the text has named: of the questions that give the
    same code, the first one's words; else how many entries are wrong."""
    known = e.shaped and ratio(e.A, e.G, noise=e.noise)  # then the census says it
    for ask in () if known else (*facts.LATER[:-1], facts.own_factors):
        with contextlib.suppress(Exception):
            if (found := ask(e)) and found[0][0] == code:
                return found[1]
    return census(e) if e.shaped else ""


def batch_of_one(e, codes):
    """Two samples: is a factor 2 that of N? With one sample alone it would be gone."""
    if e.m.batch != 2 or not {"factor-2", "factor-half"} & set(codes):
        return codes
    alone = again(e, cut(e.m.subject.inputs, 2, 1))
    if alone is None or not alone.right or np.abs(alone.G).max() <= 10 * alone.noise:
        return codes
    named = {"factor-2": "scaled-by-N", "factor-half": "divided-by-N"}
    return [named.get(code, code) for code in codes]


def census(e):
    """How many entries are wrong, and in which slices of an axis, if not in all."""
    wrong = e.wrong()
    text = f"{int(wrong.sum())} of {int(np.sum(~np.isnan(e.G[0])))} entries are wrong"
    if (c := ratio(e.A, e.G, noise=e.noise)) and f"{c:.6g}" != "1":
        text += f", backward = {c:.6g} × numerical"
    for axis in range(wrong.ndim):
        lines = wrong.any(axis=tuple(a for a in range(wrong.ndim) if a != axis))
        if lines.any() and not lines.all():
            text += f", only in slices {np.flatnonzero(lines).tolist()} of axis {axis}"
    return text


def worst(e):
    """The entry that is furthest off, both values."""
    A, G, _ = e.drawn
    if A.shape != G.shape:
        return f"shape {A.shape[1:]}, should be {G.shape[1:]}"
    error = np.where(np.isfinite(A[0]), np.abs(A[0] - G[0]), np.inf)
    error = np.where(np.isnan(error) & ~np.isnan(G[0]), np.inf, np.nan_to_num(error))
    at = np.unravel_index(np.argmax(error), error.shape)
    place = f"at {tuple(map(int, at))}: " if at else ""
    return f"{place}backward {A[0][at]:.6g}, numerical {G[0][at]:.6g}"


def picture(e):
    """|backward - numerical| for a random upstream gradient as a matrix, or None."""
    A, G, _ = e.drawn
    if A.shape != G.shape or not G[0].size:
        return None
    d = np.abs(A[0] - G[0])
    return d.reshape(-1, d.shape[-1] if d.ndim else 1)
