"""A second set, written after the rules: other layers, other styles. It was scored before any rule was changed for
it."""
import numpy as np

from . import cases, normal


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class L:
    """Parameters by shape; subclasses write f (forward) and b (backward, which gives input gradients and parameter
    gradients)."""
    shapes = ()

    def __init__(self, fault=""):
        self.fault = fault
        self.params = [normal(*s, seed=17) for s in self.shapes]
        self.grads = [np.zeros_like(p) for p in self.params]

    def forward(self, *inputs):
        self.inputs = inputs
        return self.f(*inputs, *self.params)

    def backward(self, d=1.0):
        dx, *dp = self.b(d, *self.inputs, *self.params, self.fault)
        for g, value in zip(self.grads, dp):
            if value is not None:
                g[...] = value
        return dx


class ELU(L):
    def f(self, x):
        return np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1)

    def b(self, d, x, fault):
        neg = np.exp(np.minimum(x, 0))
        return (
            d
            * {
                "mask only": x > 0,
                "exp at y": np.where(x > 0, 1, np.exp(np.exp(neg - 1) - 1)),
                "inverted": np.where(x > 0, neg, 1) * (x <= 0),
                "no exp": np.ones_like(x),
            }.get(fault, np.where(x > 0, 1, neg)),
        )


class PReLU(L):
    shapes = ((4,),)

    def f(self, x, a):
        return np.where(x > 0, x, a * x)

    def b(self, d, x, a, fault):
        da = (d * x * (x <= 0))
        if fault == "da no mask":
            return d * np.where(x > 0, 1, a), (d * x).sum(0)
        if fault == "da wrong mask":
            return d * np.where(x > 0, 1, a), (d * x * (x > 0)).sum(0)
        if fault == "da mean":
            return d * np.where(x > 0, 1, a), da.mean(0)
        if fault == "dx swapped":
            return d * np.where(x > 0, a, 1), da.sum(0)
        return d * np.where(x > 0, 1, a), da.sum(0)


class GLU(L):
    def f(self, x):
        a, g = np.split(x, 2, axis=1)
        return a * sigmoid(g)

    def b(self, d, x, fault):
        a, g = np.split(x, 2, axis=1)
        s = sigmoid(g)
        da, dg = d * s, d * a * s * (1 - s)
        if fault == "gate lost":
            dg = 0 * dg
        if fault == "gate sign":
            dg = -dg
        if fault == "gate y":
            dg = d * a * s
        if fault == "halves swapped":
            return (np.hstack([dg, da]),)
        return (np.hstack([da, dg]),)


class Bilinear(L):
    """y_no = x_n W_o z_n."""
    shapes = ((3, 4, 2),)

    def f(self, x, z, W):
        return np.einsum("ni,ijo,nj->no", x, W, z)

    def b(self, d, x, z, W, fault):
        dx, dz = np.einsum("no,ijo,nj->ni", d, W, z), np.einsum("no,ijo,ni->nj", d, W, x)
        dW = np.einsum("no,ni,nj->ijo", d, x, z)
        if fault == "dW per sample":
            self.grads[0] = np.einsum("no,ni,nj->nijo", d, x, z)
            return (dx, dz), None
        if fault == "dz missing":
            return dx, dW
        if fault == "dW mean":
            dW = dW / len(x)
        return (dx, -dz if fault == "dz sign" else dz), dW


class RMSNorm(L):
    shapes = ((6,),)

    def f(self, x, g):
        self.r = np.sqrt((x ** 2).mean(-1, keepdims=True) + 1e-6)
        return g * x / self.r

    def b(self, d, x, g, fault):
        xh = x / self.r
        dg = (d * xh).sum(0)
        if fault == "dg from x":
            dg = (d * x).sum(0)
        dh = d * g
        dx = (dh - xh * (dh * xh).mean(-1, keepdims=True)) / self.r
        if fault == "constant":
            dx = dh / self.r
        if fault == "sum for mean":
            dx = (dh - xh * (dh * xh).sum(-1, keepdims=True)) / self.r
        if fault == "gain forgotten":
            dx = (d - xh * (d * xh).mean(-1, keepdims=True)) / self.r
        return dx, dg


class GroupNorm(L):
    """(N, C, H, W), two groups, no gain."""

    def f(self, x):
        z = x.reshape(len(x), 2, -1)
        self.s = np.sqrt(z.var(-1, keepdims=True) + 1e-5)
        self.h = (z - z.mean(-1, keepdims=True)) / self.s
        return self.h.reshape(x.shape)

    def b(self, d, x, fault):
        d, h = d.reshape(self.h.shape), self.h
        m, c = d.mean(-1, keepdims=True), (d * h).mean(-1, keepdims=True)
        dz = {"constant": d, "mean only": d - m, "var only": d - h * c}.get(fault, d - m - h * c) / self.s
        return (dz.reshape(x.shape),)


class Conv1d(L):
    shapes = ((2, 3, 3), (2,))

    def f(self, x, W, b):
        return sum(np.einsum("nct,fc->nft", x[:, :, k:k + x.shape[2] - 2], W[:, :, k]) for k in range(3)) + b[:, None]

    def b(self, d, x, W, b, fault):
        T = d.shape[2]
        dW, dx = np.zeros_like(W), np.zeros_like(x)
        for k in range(3):
            dW[:, :, k] = np.einsum("nft,nct->fc", d, x[:, :, k:k + T])
            part = np.einsum("nft,fc->nct", d, W[:, :, 2 - k] if fault == "flipped" else W[:, :, k])
            if fault == "overwritten":
                dx[:, :, k:k + T] = part
            else:
                dx[:, :, k:k + T] += part
        if fault == "dW reversed":
            dW = dW[:, :, ::-1]
        if fault == "dW channels":
            dW = dW.reshape(3, 2, 3).transpose(1, 0, 2)
        db = {"db over batch only": d.sum(0), "db mean": d.mean((0, 2)), "db all": d.sum()}.get(fault, d.sum((0, 2)))
        if fault == "db over batch only":
            self.grads[1] = db
            db = None
        return dx, dW, db


class TimeAffine(L):
    """x W + b on (N, T, D)."""
    shapes = ((3, 4), (4,))

    def f(self, x, W, b):
        return x @ W + b

    def b(self, d, x, W, b, fault):
        rows, drows = x.reshape(-1, 3), d.reshape(-1, 4)
        dW, db = rows.T @ drows, drows.sum(0)
        if fault == "db over batch":
            self.grads[1] = d.sum(0)
            db = None
        if fault == "last step":
            dW = x[:, -1].T @ d[:, -1]
        if fault == "dW swapped":
            dW = d.reshape(-1, 4).T @ rows
        if fault == "rows mixed":
            dW = x.transpose(1, 0, 2).reshape(-1, 3).T @ drows
        if fault == "per step mean":
            dW, db = dW / x.shape[1], db / x.shape[1]
        return d @ W.T, dW, db


class Highway(L):
    """t·h + (1 - t)·x, h = tanh(x Wh), t = σ(x Wt)."""
    shapes = ((4, 4), (4, 4))

    def f(self, x, Wh, Wt):
        self.h, self.t = np.tanh(x @ Wh), sigmoid(x @ Wt)
        return self.t * self.h + (1 - self.t) * x

    def b(self, d, x, Wh, Wt, fault):
        h, t = self.h, self.t
        dh = d * t * (1 - h ** 2)
        dt = d * (h - x) * t * (1 - t)
        if fault == "gate without carry":
            dt = d * h * t * (1 - t)
        if fault == "gate unslope":
            dt = d * (h - x)
        carry = d * (1 - t)
        if fault == "no carry":
            carry = 0
        if fault == "carry t":
            carry = d * t
        dx = dh @ Wh.T + dt @ Wt.T + carry
        if fault == "no gate path":
            dx = dh @ Wh.T + carry
        return dx, x.T @ dh, x.T @ dt


class Huber(L):
    def f(self, x, t):
        e = x - t
        return np.where(np.abs(e) < 1, 0.5 * e ** 2, np.abs(e) - 0.5).mean()

    def b(self, d, x, t, fault):
        e = x - t
        g = {"no clip": e, "sign only": np.sign(e), "inverted": np.where(np.abs(e) < 1, np.sign(e), e)}.get(
            fault, np.clip(e, -1, 1)
        )
        return (d * g / (len(x) if fault == "by N" else 1 if fault == "sum" else e.size) * (-1 if fault == "minus" else 1),)


class L1Loss(L):
    def f(self, x, t):
        return np.abs(x - t).sum() / len(x)

    def b(self, d, x, t, fault):
        g = np.sign(x - t)
        return (
            d
            * {"no mean": g, "minus": -g / len(x), "size": g / g.size, "abs": np.abs(g) / len(x), "e": (x - t) / len(x)}.get(
                fault, g / len(x)
            ),
        )


class Triplet(L):
    def f(self, a, p, n):
        self.m = ((a - p) ** 2).sum(1) - ((a - n) ** 2).sum(1) + 1
        return np.maximum(self.m, 0).sum()

    def b(self, d, a, p, n, fault):
        on = (self.m > 0)[:, None] * d
        if fault == "no mask":
            on = d
        da, dp, dn = 2 * (n - p) * on, -2 * (a - p) * on, 2 * (a - n) * on
        if fault == "dn sign":
            dn = -dn
        if fault == "no two":
            dp = dp / 2
        if fault == "da half":
            da = 2 * (a - p) * on
        return ((da, dp, dn),)


class Pad(L):
    def f(self, x):
        return np.pad(x, ((0, 0), (1, 1), (2, 1)))

    def b(self, d, x, fault):
        n, h, w = x.shape
        return ({"shifted": d[:, :h, :w], "uncropped": d}.get(fault, d[:, 1:1 + h, 2:2 + w]),)


class Upsample(L):
    def f(self, x):
        return x.repeat(2, axis=1).repeat(3, axis=2)

    def b(self, d, x, fault):
        n, h, w = x.shape
        blocks = d.reshape(n, h, 2, w, 3)
        return ({"picked": blocks[:, :, 0, :, 0], "mean": blocks.mean((2, 4)), "order": d.reshape(n, 2, h, 3, w).sum((1, 3))
                 }.get(fault, blocks.sum((2, 4))),)


class CumSum(L):
    def f(self, x):
        return np.cumsum(x, axis=1)

    def b(self, d, x, fault):
        return ({"forwards": np.cumsum(d, axis=1), "dout": d}.get(fault, np.cumsum(d[:, ::-1], axis=1)[:, ::-1]),)


class MultiHead(L):
    """Self-attention in two heads, with projections."""
    shapes = ((4, 4), (4, 4), (4, 4), (4, 4))

    def split(self, x):
        return x.reshape(*x.shape[:2], 2, 2).transpose(0, 2, 1, 3)

    def join(self, x):
        return x.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], 4)

    def f(self, x, Wq, Wk, Wv, Wo):
        self.q, self.k, self.v = self.split(x @ Wq), self.split(x @ Wk), self.split(x @ Wv)
        e = np.exp(self.q @ self.k.swapaxes(-1, -2) / np.sqrt(2))
        self.p = e / e.sum(-1, keepdims=True)
        self.o = self.join(self.p @ self.v)
        return self.o @ Wo

    def b(self, d, x, Wq, Wk, Wv, Wo, fault):
        def flat(a):
            return a.reshape(-1, 4)
        dWo = flat(self.o).T @ flat(d)
        do = self.split(d @ Wo.T)
        dv, dp = self.p.swapaxes(-1, -2) @ do, do @ self.v.swapaxes(-1, -2)
        ds = self.p * dp if fault == "normaliser" else self.p * (dp - (dp * self.p).sum(-1, keepdims=True))
        if fault != "no scale":
            ds = ds / np.sqrt(2)
        dq, dk = ds @ self.k, ds.swapaxes(-1, -2) @ self.q
        if fault == "join":
            dq, dk, dv = (a.reshape(x.shape) for a in (dq, dk, dv))
        else:
            dq, dk, dv = map(self.join, (dq, dk, dv))
        dx = dq @ Wq.T + dk @ Wk.T + dv @ Wv.T
        if fault == "keys lost":
            dx = dq @ Wq.T + dv @ Wv.T
        if fault == "values only":
            dx = dv @ Wv.T
        if fault == "Wq not transposed":
            dx = dq @ Wq + dk @ Wk.T + dv @ Wv.T
        return dx, flat(x).T @ flat(dq), flat(x).T @ flat(dk), flat(x).T @ flat(dv), dWo


class GRU(L):
    """h_t = (1 - z) n + z h over time."""
    shapes = ((3, 12), (4, 12))

    def f(self, x, W, U):
        N, T, _ = x.shape
        h, self.steps = np.zeros((N, 4)), []
        out = []
        for t in range(T):
            a, c = np.split(x[:, t] @ W, 3, 1), np.split(h @ U, 3, 1)
            r, z = sigmoid(a[0] + c[0]), sigmoid(a[1] + c[1])
            n = np.tanh(a[2] + r * c[2])
            self.steps.append((h, r, z, n, c[2]))
            h = (1 - z) * n + z * h
            out.append(h)
        return np.stack(out, 1)

    def b(self, d, x, W, U, fault):
        dW, dU, dx, dh = np.zeros_like(W), np.zeros_like(U), np.zeros_like(x), 0
        for t in range(x.shape[1] - 1, -1, -1):
            h, r, z, n, c = self.steps[t]
            g = d[:, t] + dh
            dn = g * (1 - z) * (1 - n ** 2)
            dz = g * (h - n) * z * (1 - z)
            dr = dn * c * r * (1 - r)
            if fault == "z sign":
                dz = -dz
            if fault == "r unslope":
                dr = dn * c
            da = np.hstack([dr, dz, dn])
            dc = np.hstack([dr, dz, dn if fault == "r forgotten" else dn * r])
            if fault == "last step only":
                dW, dU = x[:, t].T @ da, h.T @ dc
            else:
                dW, dU = dW + x[:, t].T @ da, dU + h.T @ dc
            dx[:, t] = da @ W.T
            dh = dc @ U.T + g * z
            if fault == "direct lost":
                dh = dc @ U.T
            if fault == "carry lost":
                dh = 0
        return dx, dW, dU


class EmbeddingDot(L):
    """h · W[ids], as in negative sampling."""
    shapes = ((6, 3),)

    def f(self, h, ids, W):
        return (h * W[ids]).sum(1)

    def b(self, d, h, ids, W, fault):
        dh, dW = d[:, None] * W[ids], np.zeros_like(W)
        part = d[:, None] * h
        if fault == "assigned":
            dW[ids] = part
        elif fault == "plus equals":
            dW[ids] += part
        else:
            np.add.at(dW, ids, part)
        return (d[:, None] * h if fault == "swapped" else dh), dW


class Standardise(L):
    """By the whole batch's mean and deviation, scalars."""

    def f(self, x):
        self.s = x.std()
        self.h = (x - x.mean()) / self.s
        return self.h

    def b(self, d, x, fault):
        h = self.h
        return ({"constant": d, "mean only": d - d.mean()}.get(fault, d - d.mean() - h * (d * h).mean()) / self.s,)


class Autoencoder(L):
    """A whole loss with tied weights: mean ½‖σ(xW)Wᵀ - x‖², backward for W only."""
    shapes = ((5, 3),)

    def f(self, x, W):
        self.h = sigmoid(x @ W)
        self.e = self.h @ W.T - x
        return 0.5 * (self.e ** 2).sum() / len(x) + 0.05 * (W ** 2).sum()

    def b(self, d, x, W, fault):
        e = d * self.e / len(x)
        da = (e @ W) * self.h * (1 - self.h)
        one, two, pen = x.T @ da, e.T @ self.h, 0.1 * d * W
        dW = {
            "decoder only": two + pen,
            "no penalty": one + two,
            "half penalty": one + two + pen / 2,
            "no mean": (one + two) * len(x) + pen,
            "no slope": x.T @ (e @ W) + two + pen,
        }.get(fault, one + two + pen)
        return da @ W.T - (0 if fault == "x path" else e), dW


def make(*shapes, ints=None):
    def build(cls, fault):
        return cls(fault), tuple(normal(*s, seed=i) for i, s in enumerate(shapes))
    return build


def with_ids(cls, fault):
    return cls(fault), (normal(5, 3), np.array([1, 4, 1, 0, 4]))


CS, WL, SIGN = "constant-statistics", "wrong-local-derivative", "wrong-sign"
CASES = [
    *cases(ELU, make((5, 4)), {"": (), "mask only": WL, "exp at y": WL, "no exp": "missing-local-derivative"}),
    *cases(
        PReLU, make((7, 4)), {"": (), "da no mask": "missing-mask", "da wrong mask": "inverted-mask", "da mean": "divided-by-N"}
    ),
    *cases(
        GLU,
        make((5, 6)),
        {"": (), "gate lost": "lost-branch", "gate sign": SIGN, "gate y": WL, "halves swapped": "wrong-reshape"},
    ),
    *cases(
        Bilinear,
        make((5, 3), (5, 4)),
        {"": (), "dW per sample": "missing-batch-sum", "dz missing": "not-returned", "dW mean": "divided-by-N", "dz sign": SIGN},
    ),
    *cases(RMSNorm, make((5, 6)), {"": (), "dg from x": "stale-cache", "constant": CS, "sum for mean": CS}),
    *cases(GroupNorm, make((2, 4, 2, 3)), {"": (), "constant": CS, "mean only": CS, "var only": CS}),
    *cases(
        Conv1d,
        make((3, 3, 6)),
        {
            "": (),
            "flipped": "flipped-kernel",
            "overwritten": "overlap-overwritten",
            "dW reversed": "flipped-kernel",
            "dW channels": "wrong-reshape",
            "db over batch only": "missing-batch-sum",
            "db mean": "divided-by-N",
            "db all": "summed-too-far",
        },
    ),
    *cases(
        TimeAffine,
        make((3, 4, 3)),
        {
            "": (),
            "db over batch": "missing-batch-sum",
            "last step": "lost-branch",
            "dW swapped": "missing-transpose",
            "per step mean": "divided-by-N",
            "rows mixed": "wrong-reshape",
        },
    ),
    *cases(
        Highway,
        make((5, 4)),
        {
            "": (),
            "no carry": "lost-branch",
            "no gate path": "lost-branch",
            "gate without carry": "lost-branch",
            "gate unslope": "missing-local-derivative",
        },
    ),
    *cases(Huber, make((7, 3), (7, 3)), {"": (), "by N": "scaled-by-N", "sum": "scaled-by-N", "minus": SIGN, "sign only": WL}),
    *cases(L1Loss, make((7, 3), (7, 3)), {"": (), "no mean": "scaled-by-N", "minus": SIGN, "size": "divided-by-N", "e": WL}),
    *cases(Triplet, make((5, 3), (5, 3), (5, 3)), {"": (), "no mask": "missing-mask", "dn sign": SIGN, "no two": "factor-half"}),
    *cases(Pad, make((2, 3, 4)), {"": ()}),
    *cases(Upsample, make((2, 3, 4)), {"": (), "picked": "lost-branch", "mean": "divided-by-N", "order": "wrong-reshape"}),
    *cases(CumSum, make((3, 5)), {"": (), "dout": "lost-branch", "forwards": "missing-transpose"}),
    *cases(
        MultiHead,
        make((2, 3, 4)),
        {
            "": (),
            "normaliser": CS,
            "no scale": WL,
            "join": "wrong-reshape",
            "keys lost": "lost-branch",
            "values only": "lost-branch",
            "Wq not transposed": "missing-transpose",
        },
    ),
    *cases(
        GRU,
        make((3, 4, 3)),
        {
            "": (),
            "z sign": SIGN,
            "r unslope": "missing-local-derivative",
            "last step only": "lost-branch",
            "direct lost": "lost-branch",
            "carry lost": "lost-branch",
            "r forgotten": "missing-local-derivative",
        },
    ),
    *cases(
        EmbeddingDot, with_ids, {"": (), "assigned": "repeated-index", "plus equals": "repeated-index", "swapped": "stale-cache"}
    ),
    *cases(Standardise, make((5, 3)), {"": (), "constant": CS, "mean only": CS}),
    *cases(
        Autoencoder,
        make((7, 5)),
        {
            "": (),
            "decoder only": "lost-branch",
            "no penalty": "wrong-penalty",
            "half penalty": "wrong-penalty",
            "no slope": "missing-local-derivative",
        },
    ),
]
