"""Signatures of the wrong array: backward reads another one than the right one, or only one of the
paths that an array takes."""
import numpy as np

from .copying import reachable
from .scaling import ratio, rows


def cached(e):
    """The arrays that backward could have used: inputs, output, all that the layer holds after
    forward."""
    subject = e.m.subject
    if "cached" not in subject.__dict__:
        y = subject.output()
        names = {id(v): f"self.{k}" for k, v in getattr(subject.work, "__dict__", {}).items()}
        subject.cached = [
            (("x" if i == 0 else f"inputs[{i}]"), x)
            for i, x in enumerate(subject.inputs)
            if isinstance(x, np.ndarray)
        ]
        subject.cached.append(("y", y))
        subject.cached += [
            (names.get(id(o), "a cached array"), o.copy())
            for o in reachable(subject.work)
            if isinstance(o, np.ndarray) and o.dtype.kind == "f" and o.size
        ]
    return subject.cached


def other_tensor(e):
    """Signature: for dout of ones the gradient is one of the cached arrays, and should be something
    else (nodes of several inputs, gains)."""
    if not e.unit or not e.shaped or not (e.m.subject.params or len(e.m.subject.inputs) > 1):
        return None
    axis = next((a for a in (-1, 1) if e.m.y.ndim > 1 and e.value.shape == (e.m.y.shape[a],)), None)
    if e.param and axis is not None:  # a gain: per sample, before the sum
        alone = all(o.right or o.facts.get("right") for o in e.m.targets if not o.param)
        channel = np.moveaxis(
            np.broadcast_to(np.arange(len(e.value)), np.moveaxis(e.m.y, axis, -1).shape), -1, axis
        )
        own = np.eye(len(e.value), dtype=bool)[channel.reshape(-1)]
        if np.any(np.abs(e.A[~own]) > 1e-9) or np.any(np.abs(e.G[~own]) > e.noise + 1e-9):
            return None
        b, j, shape = e.A[own], e.G[own], e.m.y.shape
        if axis == 1 and len(shape) > 2:  # channels last, as many keep them
            b, j = (np.moveaxis(v.reshape(shape), 1, -1).reshape(-1) for v in (b, j))
    elif not e.param:
        alone = True
        b, j, shape = e.A.sum(axis=0).reshape(-1), e.G.sum(axis=0).reshape(-1), e.value.shape
    else:
        return None
    if np.ptp(b) < 1e-9 or b.size < 3 or ratio(b, j, noise=10 * e.noise):
        return None
    if e.param and axis == 1 and len(shape) > 2:
        tensors = [
            (name, (np.moveaxis(t, 1, -1) if t.shape == shape else t).reshape(-1))
            for name, t in cached(e)
            if t.size == b.size and (t.shape == shape or t.shape[-1] == shape[1])
        ]
    else:
        tensors = [(name, t.reshape(-1)) for name, t in cached(e) if t.shape == shape]
    for name, t in tensors:
        c = ratio(b, t)
        if c and abs(abs(c) - 1) < 1e-4:
            right = [(n, k) for n, s in tensors if (k := ratio(j, s, noise=10 * e.noise))]
            if not right and not alone:
                # dx is wrong as well: no matter of this parameter alone
                continue
            if not right and shape == e.m.y.shape and ratio(t, e.m.y.reshape(-1)):
                continue  # y itself: rather a wrong derivative
            should = f" where it should be {right[0][0]}" if right else ""
            sign = ["wrong-sign"] if right and right[0][1] * c < 0 else []
            return ["stale-cache", *sign], f"the factor is {name}{should}"
    return None


def outer_named(e):
    """Signature: a weight's gradient is an outer product with another cached array, which is
    recognised."""
    found = outer(e)
    return found if found and "formed with the" not in found[1] else None


def outer(e):
    """Signature: a weight's gradient is an outer product with the wrong vector: some other array
    took the input's place."""
    if not e.unit or not e.shaped or not e.weight or e.value.ndim != 2:
        return None
    A, G = list(rows(e))[-1]
    if (
        not np.any(np.abs(G) > 100 * e.noise)
        and e.m.y.ndim == 3
        and e.m.y.shape[1] > 1
        and bias_rows(e, len(A)) is None
    ):  # no state came before the first step: the second
        A, G = (
            M.reshape(*e.m.y.shape, *e.value.shape)[:, 1].reshape(-1, *e.value.shape)
            for M in (e.A, e.G)
        )
    columns = e.wrong().any(axis=0)  # one gate of several, side by side
    A, G = A[:, :, columns], G[:, :, columns]
    N = len(e.m.y)
    per = A.shape[0] // N
    hits, used = 0, set()
    v_bias = bias_rows(e, A.shape[0]) if columns.all() else None
    for k, (a, g) in enumerate(zip(A, G)):
        if np.abs(a).max() < 1e-9:
            continue
        if np.abs(g).max() > 100 * e.noise:
            u, s, vt = np.linalg.svd(g)
            v, source = vt[0], u[:, 0] * s[0]
            if len(s) > 1 and s[1] > 1e-5 * s[0] + 10 * e.noise:
                return None
        elif v_bias is not None:
            v, source = v_bias[k], None
            if not np.any(v):
                return None
            v = v / np.linalg.norm(v)
        else:
            return None
        t = a @ v
        if np.abs(a - np.outer(t, v)).max() > 1e-4 * np.abs(a).max():
            return None
        if source is not None and ratio(t, source, 1e-4):
            return None
        used.add(lookup(e, t, k // per))
        hits += 1
    if not hits:
        return None
    if None not in used and used:
        return [
            "stale-cache"
        ], f"the outer product is formed with {sorted(used)[0]} where another array belongs"
    return ["stale-cache"], "the outer product is formed with the wrong array"


def bias_rows(e, n):
    bias = next(
        (
            o
            for o in e.m.targets
            if o.param and o.unit and o.value.ndim == 1 and len(o.value) == e.value.shape[1]
        ),
        None,
    )
    return None if bias is None else list(rows(bias))[-1][1].reshape(-1, len(bias.value))[:n]


def lookup(e, t, n):
    for name, array in cached(e):
        if (
            array.ndim >= 2
            and len(array) == e.m.batch
            and array.shape[-1] == len(t)
            and not name.startswith("x")
        ):
            for row in array[n].reshape(-1, len(t)):
                if ratio(t, row, 1e-4):
                    return name
    return None


def scores_transposed(e):
    """Signature: of an outer product of scores m and a row of another array Q, m Q stands where mᵀ
    Q belongs (attention's keys)."""
    if not e.unit or not e.shaped or e.param or e.value.ndim != 3 or e.m.y.ndim != 3:
        return None
    T, y = e.value.shape[1], e.m.y
    for name, Q in cached(e):
        if Q.shape != e.value.shape or y.shape[1] != T:
            continue
        fits = 0
        for r in range(y.size):
            b, i = divmod(r // y.shape[2], T)
            q = Q[b, i]
            m = e.G[r, b] @ q / (q @ q)
            if (
                np.abs(e.G[r, b] - np.outer(m, q)).max()
                > 1e-4 * np.abs(e.G[r]).max() + 10 * e.noise
            ):
                break
            if np.abs(e.A[r, b, i] - m @ Q[b]).max() > 1e-4 * np.abs(e.A[r]).max() + 10 * e.noise:
                break
            fits += 1
        if fits == y.size:
            return ["missing-transpose"], f"scores times {name} where the transposed scores belong"
    return None
