"""Signatures of sums: the gradient lacks a term (or has one too many) that can be named."""
import itertools

import numpy as np

from .evidence import again
from .scaling import elementwise, named, passes_dout, ratio


def draws(e):
    """Backward, numerical and upstream for the random draws."""
    return e.facts.get("random", (e.A, e.G, e.douts))


def decompose(e, term, need):
    """(c, k) with A = c G + k dout term in every draw, for a scalar output; None if there are
    none."""
    A, G, d = draws(e)
    if e.m.y.ndim or not e.shaped or A[0].size < need or np.isnan(G).any() or not np.any(term):
        return None
    basis = np.array([G.reshape(-1), (d.reshape(-1, *(1,) * e.value.ndim) * term).reshape(-1)]).T
    if np.linalg.matrix_rank(basis, 1e-6 * np.abs(basis).max()) < 2:
        return None
    (c, k), *_ = np.linalg.lstsq(basis, A.reshape(-1), rcond=None)
    off = np.abs(basis @ (c, k) - A.reshape(-1)).max()
    if (
        off > 1e-5 * np.abs(A).max() + e.noise
        or abs(k) * np.abs(term).max() < 1e-5 * np.abs(A).max()
        or abs(c) < 1e-5
    ):
        return None
    return float(c), float(k)


def penalty(e):
    """Signature: backward minus numerical is a multiple of the parameter itself, or of its sign."""
    if not e.param:
        return None
    for term, name in (
        (e.value, "the parameter itself"),
        (np.sign(e.value), "the parameter's sign"),
    ):
        if np.ptp(np.abs(term)) == 0 and term is e.value:
            continue
        A, G, d = draws(e)
        plain = (
            not e.m.y.ndim
            and e.shaped
            and not np.isnan(G).any()
            and e.value.size > 1
            and ratio(A - G, d.reshape(-1, *(1,) * e.value.ndim) * term, 1e-4, noise=e.noise)
        )
        if plain:
            return ["wrong-penalty"], f"backward - numerical = {plain:.4g} × {name}"
        found = decompose(e, term, 4)
        if found and (codes := named(found[0], e)) and codes[0]:
            return [
                *codes[0],
                "wrong-penalty",
            ], f"backward = {found[0]:.4g} × numerical + {found[1]:.4g} × {name}"
    return None


def label(e):
    """Signature: backward minus numerical is a multiple of the one-hot labels (or of the target
    probabilities)."""
    if e.param or len(e.m.subject.inputs) < 2 or e.m.y.ndim or e.value.ndim < 2:
        return None
    for t in e.m.subject.inputs[1:]:
        if not isinstance(t, np.ndarray):
            continue
        if t.dtype.kind in "iu" and t.size == e.value[..., 0].size and t.max() < e.value.shape[-1]:
            t = (t.reshape(e.value.shape[:-1])[..., None] == np.arange(e.value.shape[-1])) * 1.0
        elif t.shape != e.value.shape or np.any(t < 0) or not np.allclose(t.sum(axis=-1), 1):
            continue
        found = decompose(e, t * (np.abs(e.G).max(axis=0).max(axis=-1, keepdims=True) > e.noise), 4)
        if found and (codes := named(found[0], e)):
            k = found[1] / found[0]
            words = f"what is missing is {k:.4g} at each label and nothing elsewhere"
            return ["missing-label-subtraction", *codes[0]], words if not codes[
                0
            ] else f"{words}; {codes[1]}"
        weighted = e.shaped and np.isin(t, (0, 1)).all() and not np.isnan(e.G).any()
        live = np.any(np.abs(e.A) + np.abs(e.G) > e.noise, axis=0)
        wrong = weighted and e.wrong()
        beside = live & (t != 1)
        if (
            weighted
            and not wrong[t != 1].any()
            and wrong.sum() > 1
            and beside.any()
            and np.mean(wrong[(t == 1) & live]) > 0.5
        ):
            return ["missing-label-subtraction"], "right everywhere but at the labels"
    return None


def labels_ignored(e):
    """Signature: with other labels the numerical gradient changes, and backward does not."""
    inputs = e.m.subject.inputs
    if e.m.y.ndim or not e.shaped or not np.any(e.A):
        return None
    for i, t in enumerate(inputs[1:], 1):
        if not isinstance(t, np.ndarray) or not t.ndim or len(t) != e.m.batch or not np.ptp(t):
            continue
        if t.dtype.kind == "f" and not np.isin(t, (0, 1)).all():
            continue
        first = np.array([np.array_equal(row, t[0]) for row in t])
        several, one = t.copy(), t.copy()  # not rolled along the batch: their sum would stay
        # each label becomes the next one; those that do not count stay
        if t.dtype.kind in "iu":
            values = np.unique(t[t >= 0])
            counts = np.flatnonzero(t.reshape(-1) >= 0)
            later = values[(np.searchsorted(values, t) + 1) % len(values)]
            several[...] = np.where(t >= 0, later, t)
            one.flat[counts[:1]] = later.flat[counts[:1]]
        elif first.all():
            several[...], one[0] = np.roll(t, 1, axis=-1), np.roll(t[0], 1)
        else:
            several[first], several[~first], one[0] = t[~first][0], t[0], t[~first][0]
        before = again(e)
        others = [again(e, (*inputs[:i], changed, *inputs[i + 1 :])) for changed in (several, one)]
        if before is not None and all(
            o is not None
            and o.A.shape == before.A.shape
            and np.allclose(o.A, before.A, 1e-9, 0)
            and np.abs(o.G - before.G).max() > 1e-4 * np.abs(before.G).max() + 10 * e.noise
            for o in others
        ):
            if t.dtype.kind in "iu" and any(sampled(o, t) for o in e.m.targets):
                return [
                    "lost-branch"
                ], f"with other ids in inputs[{i}] backward gives the same: their part is missing"
            return [
                "missing-label-subtraction"
            ], f"with other labels in inputs[{i}] backward gives the same"
    return None


def sampled(e, ids):
    """Whether a parameter is a table of which rows are used, those of the ids among them, and not
    the others."""
    if (
        not e.param
        or e.value.ndim != 2
        or np.isnan(e.G).any()
        or not 0 <= ids.min() <= ids.max() < len(e.value)
    ):
        return False
    used = np.abs(e.G).max(axis=(0, 2)) > e.noise
    return bool(used[ids].all() and not used.all())


def own_multiple(e):
    """Signature: wrong by a multiple of the array itself in each row or column."""
    if not e.shaped or np.isnan(e.G).any() or e.value.ndim < 2 or e.m.y.ndim and not e.unit:
        return None
    A, G, _ = draws(e)
    every = tuple(range(e.value.ndim))
    for axes in [every, *([every[1:], every[2:]] if e.value.ndim > 2 else [])]:
        if axes and np.any(A - G) and in_span(A - G, [np.ones_like(e.value)], axes):
            words = (
                f"off by the same amount along axes {axes}: a path through a sum or mean is missing"
            )
            return ["lost-branch"], words
    for axis in every:
        if e.value.shape[axis] > 2 and np.any(e.value) and in_span(A - G, [e.value], (axis,)):
            words = f"wrong by a multiple of {e.where} itself along axis {axis}"
            return ["lost-branch"], f"{words}: the part in which it stands beside others is missing"
    return None


def skip(e):
    """Signature: the missing part, or the only part there, is dout itself (or dout through a mask):
    one side of a skip connection."""
    if not e.unit or not e.shaped or e.value.shape != e.m.y.shape or elementwise(e):
        return None
    B, J = e.A.reshape(e.J.shape), e.J
    R = J - B
    scale = 1e-6 * np.abs(J).max() + e.noise
    if np.all(np.abs(R - np.diag(np.diag(R))) <= scale):
        levels = set(np.unique(np.diag(R).round(6)))
        what = (
            "dout itself, a skip connection's part"
            if levels <= {0.0, 1.0}
            else "a path that goes entry by entry"
        )
        return ["lost-branch"], f"what is missing is {what}"
    return None


def statistics(e):
    """Signature: a shift or a scaling of a whole group leaves the output as it is, but not
    backward; and what is wrong is, in each group, a combination of 1 and x (or of y): the paths
    through mean, variance, norm or normaliser."""
    if e.param or not e.shaped or np.isnan(e.G).any() or e.J is None:
        return None
    A, G, _ = draws(e)
    y = e.m.y if e.m.y.shape == e.value.shape else None
    for shape, axes in groups(e.value.shape):
        if not invariance_broken(e, shape, axes):
            continue
        x, R = e.value.reshape(shape), (A - G).reshape(-1, *shape)
        bases = [[np.ones_like(x)], [x], [np.ones_like(x), x]]
        if y is not None:
            bases += [[y.reshape(shape)], [np.exp(np.minimum(y.reshape(shape), 50))]]
        size = int(np.prod([shape[a] for a in axes]))
        for basis in bases:
            if size > len(basis) and in_span(R, basis, axes):
                if leaks(e):
                    return [
                        "summed-too-far"
                    ], "backward sends gradient from one sample to another, forward nothing"
                what = "one vector" if len(basis) == 1 else "1 and x"
                return (
                    ["constant-statistics"],
                    f"what is missing is, in each group of {size}, a multiple of {what}: a path "
                    f"through its statistics",
                )
        if y is not None and e.unit and diagonal_of(e):
            return (
                ["constant-statistics"],
                "only the diagonal of the Jacobian is there: the paths through the normaliser are "
                "missing",
            )
    return None


def leaks(e):
    """Whether backward mixes samples that the forward keeps apart."""
    y, x = e.m.y, e.value
    if not e.unit or not x.ndim or len(x) != e.m.batch or not y.ndim or len(y) != len(x):
        return False
    B, J = (
        M.reshape(len(y), -1, len(x), x[0].size).swapaxes(1, 2)[~np.eye(len(y), dtype=bool)]
        for M in (e.A, e.G)
    )
    scale = 1e-6 * np.abs(e.G).max() + e.noise
    return bool(np.abs(B).max() > scale >= np.abs(J).max())


def scale_free(e):
    """Signature: the output stays when a group of this parameter's entries grows together, and
    backward does not know."""
    if not e.param or not e.shaped or e.J is None or np.isnan(e.G).any() or e.value.ndim < 2:
        return None
    for shape, axes in groups(e.value.shape):
        if invariance_broken(e, shape, axes, shift=False):
            words = f"scaled together along axis {axes} this parameter changes nothing, but backward says it does"
            return ["constant-statistics"], words
    return None


def broken(e):
    """Signature: only the invariance is broken."""
    if e.param or not e.shaped or np.isnan(e.G).any() or e.J is None or not e.m.y.ndim:
        return None
    for shape, axes in groups(e.value.shape):
        if invariance_broken(e, shape, axes):
            return ["constant-statistics"], (
                "the output does not change when the values of a group of "
                f"{int(np.prod([shape[a] for a in axes]))} shift or scale together, but backward "
                f"says it does"
            )
    return None


def groups(shape):
    """The ways to see an array as groups: (shape, axes that make one group); the channels of images
    also split in equal parts."""
    shapes = [shape]
    if len(shape) > 1:
        shapes += [
            (shape[0], g, shape[1] // g, *shape[2:])
            for g in range(2, shape[1])
            if shape[1] % g == 0
        ]
    for s in shapes:
        for r in range(1, len(s) + 1):
            for axes in itertools.combinations(range(len(s)), r):
                if np.prod([s[a] for a in axes]) > 1:
                    yield s, axes


def invariance_broken(e, shape, axes, shift=True):
    """Whether shifting or scaling a group together changes nothing in truth, but something for
    backward."""
    axes = tuple(a + 1 for a in axes)
    x, J = e.value.reshape(shape), e.J.reshape(-1, *shape)
    B = e.A.reshape(-1, *shape) if e.unit or not e.m.y.ndim else None
    if not np.any(J):
        return False
    for direction in (np.ones(shape), x)[not shift :]:

        def moves(M, direction=direction):
            return np.abs((M * direction).sum(axis=axes)).max() / max(
                np.abs(M * direction).sum(axis=axes).max(), 1e-300
            )

        if moves(J) < 0.01 and (B is None or moves(B) > 0.05):
            return True
    return False


def in_span(R, basis, axes):
    """Whether R is, in each group along ``axes`` and for each draw, a combination of the basis
    arrays."""
    rest = [a for a in range(R.ndim - 1) if a not in axes]

    def grouped(a):
        lead = a.ndim - len(rest) - len(axes)
        a = a.transpose(*range(lead), *(lead + r for r in rest), *(lead + s for s in axes))
        return a.reshape(*a.shape[:lead], int(np.prod(a.shape[lead : lead + len(rest)])), -1)

    R, basis, off = grouped(R), [grouped(b) for b in basis], 0.0
    for g in range(R.shape[1]):
        M = np.array([b[g] for b in basis]).T
        off = max(off, np.abs(R[:, g].T - M @ np.linalg.lstsq(M, R[:, g].T, rcond=None)[0]).max())
    return off < 1e-3 * np.abs(R).max()


def diagonal_of(e):
    B = e.A.reshape(e.J.shape)
    return np.allclose(B, np.diag(np.diag(e.J)), atol=1e-6 * np.abs(e.J).max() + e.noise)


def elementwise_only(e):
    """Whether backward's Jacobian is diagonal."""
    B = e.A.reshape(e.J.shape)
    return not np.any(np.abs(B - np.diag(np.diag(B))) > 1e-9 * np.abs(B).max())


def no_samples_first(e):
    """Whether the first axis is no axis of samples: samples lie in columns, or it is time, along
    which values go one way only."""
    x, y = e.value, e.m.y
    if e.J is None or x.ndim < 2 or y.ndim < 2:
        return False
    large = np.abs(e.J).reshape(*y.shape, *x.shape) > 1e-6 * np.abs(e.J).max() + e.noise

    def between(a, b):
        others = tuple(k for k in range(large.ndim) if k not in (a, y.ndim + b))
        return large.any(axis=others)

    columns = any(p.ndim == 2 and p.shape[1] in (len(x), 1) for p in e.m.subject.params)
    if y.shape[-1] == x.shape[-1] > 1 and x.ndim == 2 and columns:
        last = between(y.ndim - 1, x.ndim - 1)
        if not last[~np.eye(len(last), dtype=bool)].any() and not elementwise(e):
            return True
    first = between(0, 0)
    return bool(
        len(y) == len(x) and x.ndim == 2 and np.triu(first, 1).any() != np.tril(first, -1).any()
    )


def samples_alone(e):
    """Signature: the forward couples the samples; backward treats each sample alone."""
    y, x = e.m.y, e.value
    if e.param or not e.shaped or e.m.batch < 2 or len(x) != e.m.batch or not x.ndim:
        return None
    if no_samples_first(e):
        return None
    if y.ndim and e.unit and len(y) == len(x):
        B, J = (M.reshape(len(y), -1, len(x), x[0].size) for M in (e.A, e.G))
        other = ~np.eye(len(y), dtype=bool)
        scale = 1e-6 * np.abs(J).max() + e.noise
        Bo, Jo = (M.swapaxes(1, 2)[other] for M in (B, J))
        own = [M.swapaxes(1, 2)[~other] for M in (B, J)]
        if (
            passes_dout(e)
            or y.shape == x.shape
            and elementwise_only(e)
            and any(
                0 in axes and invariance_broken(e, shape, axes) for shape, axes in groups(x.shape)
            )
        ):
            # rather the statistics of the batch, or dout itself
            return None
        if np.abs(Jo).max() > scale and np.abs(Bo).max() <= scale:
            right = np.abs(own[0] - own[1]).max() <= 1e-5 * np.abs(own[1]).max() + e.noise
            return ["cross-sample"], (
                "the output of a sample depends on the others, but backward sends nothing from one "
                "to another" + ("; within each sample it is right" if right else "")
            )
        if (
            np.abs(Jo).max() > scale
            and np.abs(own[0] - own[1]).max() <= 1e-5 * np.abs(own[1]).max() + e.noise
        ):
            return ["cross-sample"], "right within each sample, wrong from one sample to another"
    return None
