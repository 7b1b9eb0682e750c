"""Recurrent layers over time, attention, embeddings."""
import numpy as np

from . import cases, normal


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class RNN:
    """h_t = tanh(x_t Wx + h_{t-1} Wh + b), y = all h."""

    def __init__(self, fault, D=3, H=4):
        self.fault = fault
        self.params = [normal(D, H), 0.5 * normal(H, H), normal(H)]
        self.grads = [np.zeros_like(p) for p in self.params]

    def forward(self, x):
        Wx, Wh, b = self.params
        self.x = x
        self.h = np.zeros((len(x), x.shape[1] + 1, len(b)))
        for t in range(x.shape[1]):
            self.h[:, t + 1] = np.tanh(x[:, t] @ Wx + self.h[:, t] @ Wh + b)
        return self.h[:, 1:].copy()

    def backward(self, dout):
        Wx, Wh, b = self.params
        fault, x, h = self.fault, self.x, self.h
        T = x.shape[1]
        dx, dh = np.zeros_like(x), 0
        dWx, dWh, db = (np.zeros_like(p) for p in self.params)
        for t in reversed(range(T)):
            if fault in ("steps from 1", "steps from 1, db mean") and t == 0:
                break
            local = 1 - h[:, t + 1] ** 2
            if fault == "local at t":
                local = 1 - h[:, t] ** 2
            if fault == "no local":
                local = 1
            da = (dout[:, t] + dh) * local
            previous = h[:, t + 1] if fault in ("Wh from h_t", "Wh from h_t, dx sign") else h[:, t]
            dx[:, t] = da @ Wx.T
            dh = da @ (Wh if fault == "Wh not transposed" else Wh.T)
            if fault == "carry lost":
                dh = 0
            if fault == "params overwritten":
                dWx, dWh, db = x[:, t].T @ da, previous.T @ da, da.sum(0)
            else:
                dWx, dWh, db = dWx + x[:, t].T @ da, dWh + previous.T @ da, db + da.sum(0)
            if fault == "Wx overwritten":
                dWx = x[:, t].T @ da
        if fault == "Wh from h_t, dx sign":
            dx = -dx
        if fault == "db mean" or fault == "steps from 1, db mean":
            db = db / len(x)
        for g, value in zip(self.grads, (dWx, dWh, db)):
            g[...] = value
        return dx


class LSTM:
    def __init__(self, fault, D=3, H=4):
        self.fault = fault
        self.params = [normal(D, 4 * H), 0.5 * normal(H, 4 * H), normal(4 * H)]
        self.grads = [np.zeros_like(p) for p in self.params]

    def forward(self, x):
        Wx, Wh, b = self.params
        N, T, _ = x.shape
        H = len(b) // 4
        self.x, self.h, self.c, self.gates = x, np.zeros((N, T + 1, H)), np.zeros((N, T + 1, H)), []
        for t in range(T):
            i, f, g, o = np.split(x[:, t] @ Wx + self.h[:, t] @ Wh + b, 4, axis=1)
            i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
            self.c[:, t + 1] = f * self.c[:, t] + i * g
            self.h[:, t + 1] = o * np.tanh(self.c[:, t + 1])
            self.gates.append((i, f, g, o))
        return self.h[:, 1:].copy()

    def backward(self, dout):
        Wx, Wh, b = self.params
        fault, x, c = self.fault, self.x, self.c
        dx, dh, dc = np.zeros_like(x), 0, 0
        for g in self.grads:
            g[...] = 0
        for t in reversed(range(x.shape[1])):
            i, f, g, o = self.gates[t]
            tc = np.tanh(c[:, t + 1])
            dh = dh + dout[:, t]
            if fault == "no h to c":
                dct = dc
            elif fault == "c not added":
                dct = dh * o * (1 - tc ** 2)
            elif fault == "tanh of c twice":
                dct = dc + dh * o * (1 - np.tanh(tc) ** 2)
            else:
                dct = dc + dh * o * (1 - tc ** 2)
            before = c[:, t + 1] if fault == "f with c_t" else c[:, t]
            df, di, dg, do = dct * before, dct * g, dct * i, dh * tc
            dg = dg * ((1 - g) if fault == "g local" else (1 - g ** 2))
            if fault == "g local missing":
                dg = dct * i
            do = do * (o if fault == "o local" else o * (1 - o))
            if fault == "o sign":
                do = -do
            da = np.hstack([di * i * (1 - i), df * f * (1 - f), dg, do])
            dx[:, t] = da @ Wx.T
            dh = da @ Wh.T
            dc = dct * f
            if fault == "no forget in carry":
                dc = dct
            self.grads[0] += x[:, t].T @ da
            self.grads[1] += self.h[:, t].T @ da
            self.grads[2] += da.sum(axis=0)
        return dx


class GRUCell:
    """One step on (x, h): r, z, n in one matrix each."""

    def __init__(self, fault, D=3, H=4):
        self.fault = fault
        self.params = [normal(D, H), normal(H, H), normal(D, H, seed=2), normal(H, H, seed=2)]
        self.grads = [np.zeros_like(p) for p in self.params]

    def forward(self, x, h):
        Wz, Uz, Wn, Un = self.params
        self.x, self.h = x, h
        self.z = sigmoid(x @ Wz + h @ Uz)
        self.n = np.tanh(x @ Wn + h @ Un)
        return (1 - self.z) * self.n + self.z * h

    def backward(self, d):
        Wz, Uz, Wn, Un = self.params
        x, h, z, n, fault = self.x, self.h, self.z, self.n, self.fault
        dz = d * ((h + n) if fault == "plus" else (h - n)) * z * (1 - z)
        dn = d * (1 - z) * (1 - n ** 2)
        for g, value in zip(self.grads, (x.T @ dz, h.T @ dz, x.T @ dn, h.T @ dn)):
            g[...] = value
        dx = dz @ Wz.T + dn @ Wn.T
        dh = dz @ Uz.T + dn @ Un.T + d * z
        if fault == "no direct path":
            dh = dh - d * z
        if fault == "no gate path":
            dh, dx = dn @ Un.T + d * z, dn @ Wn.T
        if fault == "no h":
            return dx
        return dx, dh


class Attention:
    """softmax(q kᵀ / √D) v on (q, k, v)."""

    def __init__(self, fault):
        self.fault, self.params, self.grads = fault, [], []

    def forward(self, q, k, v):
        s = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1])
        e = np.exp(s - s.max(-1, keepdims=True))
        self.p = e / e.sum(-1, keepdims=True)
        self.qkv = q, k, v
        return self.p @ v

    def backward(self, d):
        (q, k, v), p, fault = self.qkv, self.p, self.fault
        scale = 1 / np.sqrt(q.shape[-1])
        dv = p.transpose(0, 2, 1) @ d
        if fault == "dv":
            dv = p @ d
        dp = d @ v.transpose(0, 2, 1)
        ds = dp * p
        if fault != "normaliser constant":
            ds = ds - p * ds.sum(-1, keepdims=True)
        if fault != "no scale":
            ds = ds * scale
        dk = (ds if fault == "dk" else ds.transpose(0, 2, 1)) @ q
        return ds @ k, dk, dv


class SelfAttention:
    """softmax(x xᵀ) x: x is used three times."""

    def __init__(self, fault):
        self.fault, self.params, self.grads = fault, [], []
        self.inner = Attention("")

    def forward(self, x):
        return self.inner.forward(x, x, x)

    def backward(self, d):
        a, b, c = self.inner.backward(d)
        return {"values only": c, "keys lost": a + c, "values lost": a + b}.get(self.fault, a + b + c)


class Embedding:
    def __init__(self, fault, V=7, D=3):
        self.fault, self.params, self.grads = fault, [normal(V, D)], [np.zeros((V, D))]

    def forward(self, ids):
        self.ids = ids
        return self.params[0][ids]

    def backward(self, dout):
        dW, = self.grads
        if self.fault == "accumulates":
            np.add.at(dW, self.ids, dout)
            return None
        dW[...] = 0
        if self.fault == "assigned" or self.fault == "assigned, doubled":
            dW[self.ids] = dout
            if self.fault != "assigned":
                dW *= 2
        elif self.fault == "buffered":
            dW[self.ids] += dout
        elif self.fault == "loop":
            for i, g in zip(self.ids.reshape(-1), dout.reshape(-1, dout.shape[-1])):
                dW[i] = g
        elif self.fault == "mean":
            np.add.at(dW, self.ids, dout / len(self.ids))
        else:
            np.add.at(dW, self.ids, dout)
        return None


class Gather:
    """Columns of x by a fixed index with repeats."""

    def __init__(self, fault):
        self.fault, self.params, self.grads, self.index = fault, [], [], np.array([1, 3, 3, 0, 1])

    def forward(self, x):
        self.shape = x.shape
        return x[:, self.index]

    def backward(self, d):
        dx = np.zeros(self.shape)
        if self.fault == "buffered":
            dx[:, self.index] += d
        else:
            np.add.at(dx, (slice(None), self.index), d)
        return dx


class BagOfWords:
    """The mean of a sentence's word vectors, as in CBOW."""

    def __init__(self, fault):
        self.fault, self.params, self.grads = fault, [normal(7, 4)], [np.zeros((7, 4))]

    def forward(self, ids):
        self.ids = ids
        return self.params[0][ids].mean(axis=1)

    def backward(self, d):
        dW, C = self.grads[0], self.ids.shape[1]
        dW[...] = 0
        g = np.repeat(d[:, None], C, axis=1) / (1 if self.fault == "no mean" else C)
        if self.fault == "assigned":
            dW[self.ids] = g
        else:
            np.add.at(dW, self.ids, g)


class WordProduct:
    """The product of two word vectors, entry by entry: with one id in both places each use's factor depends on the other."""

    def __init__(self, fault):
        self.fault, self.params, self.grads = fault, [normal(11, 4)], [np.zeros((11, 4))]

    def forward(self, ids):
        self.ids, self.a, self.b = ids, self.params[0][ids[:, 0]], self.params[0][ids[:, 1]]
        return self.a * self.b

    def backward(self, d):
        dW = self.grads[0]
        dW[...] = 0
        if self.fault == "plus equals":
            dW[self.ids[:, 0]] += d * self.b
            dW[self.ids[:, 1]] += d * self.a
        else:
            np.add.at(dW, self.ids[:, 0], d * self.b)
            np.add.at(dW, self.ids[:, 1], d * self.a)


class MaskedSum:
    """The sum over time of tanh(x) where a 0/1 mask allows."""

    def __init__(self, fault):
        self.fault, self.params, self.grads = fault, [], []

    def forward(self, x, mask):
        self.y, self.mask = np.tanh(x), mask[:, :, None]
        return (self.y * self.mask).sum(axis=1)

    def backward(self, d):
        m = {"no mask": 1, "inverted": 1 - self.mask}.get(self.fault, self.mask)
        return d[:, None] * (1 - self.y ** 2) * m, None


def sequence(cls, fault):
    return cls(fault), (normal(3, 4, 3),)


def attention(cls, fault):
    return cls(fault), (normal(2, 4, 3), normal(2, 4, 3, seed=1), normal(2, 4, 3, seed=2))


PAIRS = np.array([[1, 4], [1, 1], [3, 4], [2, 2], [1, 3]])
IDS = np.array([[1, 4, 1], [0, 1, 6], [3, 4, 2]])
CASES = [
    *cases(WordProduct, lambda c, f: (c(f), (PAIRS,)), {"": (), "plus equals": "repeated-index"}),
    *cases(
        RNN,
        sequence,
        {
            "": (),
            "carry lost": "lost-branch",
            "steps from 1": "lost-branch",
            "local at t": "stale-cache",
            "no local": "missing-local-derivative",
            "Wh from h_t": "stale-cache",
            "Wh not transposed": "missing-transpose",
            "params overwritten": "lost-branch",
            "Wx overwritten": "lost-branch",
            "db mean": "divided-by-N",
            "Wh from h_t, dx sign": ("stale-cache", "wrong-sign"),
            "steps from 1, db mean": ("lost-branch", "divided-by-N"),
        },
    ),
    *cases(
        LSTM,
        sequence,
        {
            "": (),
            "no h to c": "lost-branch",
            "c not added": "lost-branch",
            "f with c_t": "stale-cache",
            "g local": "wrong-local-derivative",
            "o local": "wrong-local-derivative",
            "g local missing": "missing-local-derivative",
            "o sign": "wrong-sign",
        },
    ),
    *cases(
        GRUCell,
        lambda c, f: (c(f), (normal(5, 3), normal(5, 4))),
        {"": (), "no direct path": "lost-branch", "no gate path": "lost-branch", "no h": "not-returned"},
    ),
    *cases(
        Attention,
        attention,
        {"": (), "dv": "missing-transpose", "dk": "missing-transpose", "normaliser constant": "constant-statistics"},
    ),
    *cases(
        SelfAttention, sequence, {"": (), "values only": "lost-branch", "keys lost": "lost-branch", "values lost": "lost-branch"}
    ),
    *cases(
        Embedding,
        lambda c, f: (c(f), (IDS,)),
        {
            "": (),
            "assigned": "repeated-index",
            "buffered": "repeated-index",
            "loop": "repeated-index",
            "mean": "divided-by-N",
            "accumulates": "accumulates",
            "assigned, doubled": ("repeated-index", "factor-2"),
        },
    ),
    *cases(Gather, lambda c, f: (c(f), (normal(3, 5),)), {"": (), "buffered": "repeated-index"}),
    *cases(BagOfWords, lambda c, f: (c(f), (IDS,)), {"": (), "assigned": "repeated-index", "no mean": "scaled-by-N"}),
    *cases(
        MaskedSum,
        lambda c, f: (c(f), (normal(3, 5, 4), normal(3, 5) > 0)),
        {"": (), "no mask": "missing-mask", "inverted": "inverted-mask"},
    ),
]
