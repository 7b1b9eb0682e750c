"""Signatures of local derivatives: the right structure times a factor that changes from entry to
entry."""
import numpy as np

from .probes import heals, with_params
from .scaling import elementwise, passes_dout, ratio
from .tensors import cached


def diagonals(e):
    """f'(x) as backward has it and as it is, x, and y, for an elementwise layer; also where the
    outputs are only a part of all, or in another order. Else None."""
    if not e.shaped or not e.unit or e.param:
        return None
    B, J = e.A.reshape(len(e.A), -1), e.J
    there = np.abs(J) > 1e-6 * np.abs(J).max() + e.noise
    if e.value.shape == e.m.y.shape and elementwise(e):
        row = np.arange(len(J))
    elif np.all(there.sum(axis=0) == 1) and there.sum(axis=1).max() == 1:
        row = there.argmax(axis=0)
    else:
        return None
    column = np.arange(len(row))
    other = B.copy()
    other[row, column] = 0
    if np.any(np.abs(other) > 1e-6 * np.abs(B).max()):
        return None
    return B[row, column], J[row, column], e.value.reshape(-1), e.m.y.reshape(-1)[row]


def term_lost(e):
    """Signature: for y = x g(x), only g or only x g' of the product rule; or one of two elementary
    summands."""
    found = diagonals(e)
    if not found:
        return None
    b, j, x, y = found
    if not np.all(x) or ratio(b, j, noise=e.noise):
        return None
    g = y / x
    if np.ptp(g) > 1e-6:
        for part, words in (
            (g, "y/x, the first term of the product rule, is there alone"),
            (j - g, "the first term, y/x, is missing"),
        ):
            c = ratio(b, part, noise=e.noise)
            if c and abs(c - 1) < 1e-4:
                return ["lost-branch"], words
    summands = {
        "1": np.ones_like(x),
        "x": x,
        "x²": x * x,
        "cos x": np.cos(x),
        "sin x": np.sin(x),
        "exp x": np.exp(x),
        "1/x": 1 / x,
        "[x > 0]": (x > 0) * 1.0,
        "1 - tanh²x": 1 - np.tanh(x) ** 2,
        "σ'(x)": np.exp(-abs(x)) / (1 + np.exp(-abs(x))) ** 2,
    }
    there = next((n for n, s in summands.items() if ratio(b, s)), None)
    lost = next((n for n, s in summands.items() if ratio(j - b, s, noise=e.noise)), None)
    if there and lost and there != lost and len(x) > 2:
        return ["lost-branch"], f"only the part ∝ {there}; the part ∝ {lost} is missing"
    return None


def same_signs(e):
    """Signature: zero at the same places and of the same sign everywhere, with a factor that
    varies."""
    if not e.shaped or np.isnan(e.G).any() or e.value.size < 5:
        return None
    scale = 1e-6 * max(np.abs(e.A).max(), np.abs(e.G).max()) + 10 * e.noise
    a, g = np.abs(e.A) > scale, np.abs(e.G) > scale
    if np.array_equal(a, g) and np.all((e.A * e.G)[g] > 0) and g.any():
        c = (e.A / np.where(g, e.G, 1))[g]
        return (
            ["wrong-local-derivative"],
            f"right signs, and zero where it should be; off by factors of {c.min():.4g} to "
            f"{c.max():.4g}",
        )
    return None


def bare(e):
    """Signature: each input entry is used by one output alone, and its derivative is 1 in
    backward."""
    if not e.unit or not e.shaped or e.m.y.ndim == 0:
        return None
    B, J = e.A.reshape(len(e.A), -1), e.G.reshape(len(e.G), -1)
    there = np.abs(J) > 1e-6 * np.abs(J).max() + 10 * e.noise
    if np.array_equal(B, there * 1.0) and there.sum(axis=0).max() == 1:
        return ["missing-local-derivative"], "dout goes to the right entries, multiplied by nothing"
    return None


def unchanged(e):
    """Signature: dout itself comes back; with a weight at zero rightly: a skip connection."""
    if not e.shaped or not passes_dout(e):
        return None
    for i, _, found in with_params(e, lambda p: 0 * p if p.ndim > 1 else None):
        if heals(found):
            return [
                "lost-branch"
            ], f"dout comes back unchanged: the path through params[{i}] is missing"
    return ["missing-local-derivative"], "dout comes back unchanged"


def factor(e):
    """Signature: elementwise, with a factor that is wrong from entry to entry."""
    found = diagonals(e)
    if not found:
        return None
    b, j, x, _ = found
    i = int(np.argmax(np.abs(b - j)))
    signs = ""
    if np.all(b * j <= 0) and np.any(b * j < 0):
        signs = "; its sign is wrong everywhere, too"
    return (
        ["wrong-local-derivative", *(["wrong-sign"] if signs else [])],
        f"at x = {x[i]:.4g} the derivative is {j[i]:.6g}, backward has {b[i]:.6g}{signs}",
    )


def row_factor(e):
    """Signature: each output's row of the Jacobian is right up to a factor of its own: dout is not
    multiplied by f'(z), or wrongly."""
    if not e.unit or not e.shaped or elementwise(e) or not e.m.y.ndim:
        return None
    A, G = e.A.reshape(len(e.A), -1), e.G.reshape(len(e.G), -1)
    live = np.abs(G).max(axis=1) > 1e-6 * np.abs(G).max() + 10 * e.noise
    if live.sum() < 3:
        return None
    bias = e.param and e.value.ndim == 1 and np.all((np.abs(G) > 10 * e.noise).sum(axis=1) <= 1)
    if bias:  # one entry per output, whose factor is the local derivative itself
        if not np.array_equal(np.abs(A) > 1e-9, np.abs(G) > 10 * e.noise):
            return None
    elif (
        np.abs(A[~live]).max(initial=0) > 1e-6 * np.abs(A).max()
        or (np.abs(G[live]) > e.noise).sum(axis=1).max() < 2
    ):
        return None
    c = np.array([ratio(a, g, noise=10 * e.noise) or np.nan for a, g in zip(A[live], G[live])])
    if np.isnan(c).any() or np.ptp(c) < 1e-4 * np.abs(c).max():
        return None
    return missing_or_wrong(e, c, e.A, "row of the Jacobian")


def missing_or_wrong(e, c, A, what):
    """A factor c that varies: is the local derivative left out (nothing in backward depends on the
    data any more), or wrong?"""
    words = f"each {what} is off by a factor of its own, {c.min():.4g} to {c.max():.4g}"
    if data_free(e):
        return [
            "missing-local-derivative"
        ], f"{words}; backward's factors are the same for every sample"
    if np.all(c > 1 - 1e-6) and reciprocal_slope(e, c):
        return ["missing-local-derivative"], f"{words}, which is 1 / f'"
    return ["wrong-local-derivative", *(["wrong-sign"] if np.all(c < 0) else [])], words


def reciprocal_slope(e, c):
    """Whether all the factors are 1/(1 - s²) or 1/(s(1 - s)) of something that was cached."""
    values = np.unique(np.concatenate([t.reshape(-1) for _, t in cached(e)]).round(7))
    for slope in (1 - values**2, values * (1 - values), 1 - np.tanh(values) ** 2):
        slope = np.sort(1 / slope[slope > 1e-6])
        if not slope.size:
            continue
        at = (
            np.clip(np.searchsorted(slope, c), 1, len(slope) - 1)
            if len(slope) > 1
            else np.zeros(len(c), int)
        )
        near = np.minimum(np.abs(slope[at] - c), np.abs(slope[at - 1] - c))
        if np.all(near < 2e-5 * c * c):
            return True
    return False


def data_free(e):
    """Whether backward's Jacobian is the same for every sample: by a bias or the input of each
    sample, no f'(z) is in it."""
    y, B = e.m.y, e.A
    if e.param and e.value.ndim == 1:
        B = B.reshape(len(y), -1, B[0].size)
        return bool(np.allclose(B, B[:1]))
    bias = next(
        (
            o
            for o in e.m.targets
            if o.param
            and o.value.ndim == 1
            and o.unit
            and o.shaped
            and not o.right
            and np.ptp(np.abs(o.value.shape[-1] - np.array(e.value.shape))) >= 0
            and o.value.shape[-1] in e.value.shape[-1:]
        ),
        None,
    )
    if bias is not None and e.param:
        return data_free(bias)
    if not e.param and len(e.value) == len(y):
        B = B.reshape(len(y), y[0].size, len(y), -1)
        blocks = np.array([B[n, :, n] for n in range(len(y))])
        return bool(np.allclose(blocks, blocks[:1]))
    x = e.m.subject.inputs[0]
    if e.param and e.value.ndim == 2 and x.shape[-1] == len(e.value) and x.ndim == 2:
        with np.errstate(all="ignore"):
            B = B.reshape(len(y), -1, *e.value.shape) / x[:, None, :, None]
        return bool(np.allclose(B, B[:1]))
    return False


def unit_factor(e):
    """Signature: each hidden unit of each sample has a factor of its own: f' of a hidden layer is
    missing or wrong."""
    if not e.unit or not e.shaped or not e.weight or e.m.y.ndim < 2 or e.value.ndim < 2:
        return None
    N = len(e.m.y)
    units = [
        M.reshape(N, -1, int(np.prod(e.value.shape[:-1])), e.value.shape[-1])
        .transpose(0, 3, 1, 2)
        .reshape(N * e.value.shape[-1], -1)
        for M in (e.A, e.G)
    ]  # a row per sample and hidden unit
    c = np.array(
        [
            ratio(p, q, 1e-4, noise=10 * e.noise) or np.nan
            for p, q in zip(*units)
            if np.abs(q).max() > 1e-3 * np.abs(e.G).max()
        ]
    )
    if not c.size or np.isnan(c).any() or np.ptp(c) < 1e-4:
        return None
    return missing_or_wrong(e, c, e.A, "hidden unit")
