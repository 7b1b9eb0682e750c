"""Faulty layers in which the mistake is one step away from what can be measured: hidden layers below a loss, masks over
time, recurrent layers that give their last state alone, tables of words, kernels and labels."""

import numpy as np

rng = np.random.default_rng(4242)


def normal(*shape):
    return rng.normal(size=shape)


def sg(x):
    return 1 / (1 + np.exp(-x))


def relu(x):
    return np.maximum(x, 0)


def smx(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


class L:
    """What all of them share: parameters made by ``setup`` and one gradient for each."""

    def __init__(self, bug=""):
        self.bug, self.params = bug, []
        self.setup()
        self.grads = [np.zeros_like(p) for p in self.params]

    def setup(self):
        pass


class MRNN(L):
    """A recurrent layer that keeps its state where the mask is 0; gives the last state."""

    def setup(self, D=3, H=4):
        g = np.random.default_rng(14)
        self.params = [0.5 * g.normal(size=(D, H)), 0.5 * g.normal(size=(H, H))]

    def forward(self, x, mask):
        Wx, Wh = self.params
        N, T, D = x.shape
        h = np.zeros((N, len(Wh)))
        self.c = []
        self.m = mask
        self.x = x
        for t in range(T):
            n = np.tanh(x[:, t] @ Wx + h @ Wh)
            m = mask[:, t : t + 1]
            self.c.append((h, n))
            h = m * n + (1 - m) * h
        return h

    def backward(self, d):
        Wx, Wh = self.params
        B = self.bug
        dx = np.zeros_like(self.x)
        G = [np.zeros_like(p) for p in self.params]
        for t in reversed(range(self.x.shape[1])):
            h, n = self.c[t]
            m = self.m[:, t : t + 1]
            if B == "inv":
                m = 1 - m
            if B == "nomask":
                da = d * (1 - n * n)
            else:
                da = d * m * (1 - n * n)
            G[0] += self.x[:, t].T @ da
            G[1] += h.T @ da
            dx[:, t] = da @ Wx.T
            d = da @ Wh.T + (0 if B == "nopass" else d * (1 - m))
            if B == "nomask":
                d = da @ Wh.T
        for a, c in zip(self.grads, G):
            a[...] = c
        return dx


class GRU(L):
    """Gated recurrent unit; gives the last state."""

    def setup(self, D=3, H=4):
        g = np.random.default_rng(16)
        self.params = [0.5 * g.normal(size=(D, 3 * H)), 0.5 * g.normal(size=(H, 3 * H))]

    def forward(self, x):
        Wx, Wh = self.params
        N, T, D = x.shape
        H = len(Wh)
        h = np.zeros((N, H))
        self.x = x
        self.k = []
        for t in range(T):
            z = sg(x[:, t] @ Wx[:, :H] + h @ Wh[:, :H])
            q = sg(x[:, t] @ Wx[:, H : 2 * H] + h @ Wh[:, H : 2 * H])
            n = np.tanh(x[:, t] @ Wx[:, 2 * H :] + (q * h) @ Wh[:, 2 * H :])
            self.k.append((h, z, q, n))
            h = (1 - z) * h + z * n
        return h

    def backward(self, dh):
        Wx, Wh = self.params
        B = self.bug
        H = len(Wh)
        dx = np.zeros_like(self.x)
        GX, GH = np.zeros_like(Wx), np.zeros_like(Wh)
        for t in reversed(range(self.x.shape[1])):
            h, z, q, n = self.k[t]
            dn = dh * z * (1 - n**2)
            dz = dh * (n - h) * z * (1 - z)
            s = dn @ Wh[:, 2 * H :].T
            dq = s * h * q * (1 - q)
            if B == "dz sign":
                dz = -dz
            if B == "dn nottanh":
                dn = dh * z
            X = self.x[:, t]
            GX += X.T @ np.hstack([dz, dq, dn])
            GH[:, :H] += h.T @ dz
            GH[:, H : 2 * H] += h.T @ dq
            GH[:, 2 * H :] += ((h if B == "no q" else q * h).T) @ dn
            dx[:, t] = np.hstack([dz, dq, dn]) @ Wx.T
            dh = dh * (1 - z) * (B != "no 1-z") + dz @ Wh[:, :H].T + dq @ Wh[:, H : 2 * H].T + s * q * (B != "no s")
        self.grads[0][...] = GX
        self.grads[1][...] = GH
        return dx


class EmbDot(L):
    """word2vec's dot product with rows of a table."""

    def setup(self):
        self.params = [np.random.default_rng(21).normal(size=(8, 3))]

    def forward(self, h, i):
        self.h, self.i = h, i
        self.w = self.params[0][i]
        return (h * self.w).sum(1)

    def backward(self, d):
        B = self.bug
        d = d[:, None]
        g = self.grads[0]
        g[...] = 0
        if B == "=":
            g[self.i] = d * self.h
        elif B == "w":
            np.add.at(g, self.i, d * self.w)
        elif B == "-":
            np.add.at(g, self.i, -d * self.h)
        else:
            np.add.at(g, self.i, d * self.h)
        return d * self.h if B == "h" else d + 0 * self.h if B == "d" else d * self.w


class CBOW(L):
    """Continuous bag of words with softmax."""

    def setup(self):
        g = np.random.default_rng(22)
        self.params = [g.normal(size=(8, 3)), g.normal(size=(3, 8))]

    def forward(self, c, t):
        W, V = self.params
        self.c, self.t = c, t
        self.h = W[c].mean(1)
        self.y = smx(self.h @ V)
        return -np.log(self.y[np.arange(len(t)), t]).mean()

    def backward(self, dout=1):
        W, V = self.params
        B = self.bug
        N, C = self.c.shape
        d = self.y.copy()
        if B != "no1":
            d[np.arange(N), self.t] -= 1
        d *= dout / N
        self.grads[1][...] = self.h.T @ d
        dh = d @ V.T / (1 if B == "noC" else C)
        g = self.grads[0]
        g[...] = 0
        if B == "=":
            for k in range(C):
                g[self.c[:, k]] += dh
        elif B == "first":
            np.add.at(g, self.c[:, 0], dh)
        else:
            np.add.at(g, self.c, dh[:, None])


class Hinge(L):
    """Multi-class hinge loss."""

    def forward(self, s, t):
        N = len(s)
        self.t = t
        m = s - s[np.arange(N), t][:, None] + 1
        m[np.arange(N), t] = 0
        self.m = m
        return np.maximum(m, 0).sum() / N

    def backward(self, dout=1):
        N = len(self.m)
        B = self.bug
        d = (self.m > 0) * 1.0
        if B == "nomask":
            d = np.ones_like(d)
            d[np.arange(N), self.t] = 0
        if B == "nolabel":
            pass
        elif B == "once":
            d[np.arange(N), self.t] = -1
        else:
            d[np.arange(N), self.t] = -d.sum(1)
        if B == "inv":
            d = (self.m < 0) * 1.0
            d[np.arange(N), self.t] = -d.sum(1)
        if B == "noN":
            return d * dout
        if B == "sign":
            return -d * dout / N
        return d * dout / N


class Net2(L):
    """Two layers, softmax and a penalty."""

    def setup(self, reg=0.3):
        g = np.random.default_rng(19)
        self.reg = reg
        self.params = [g.normal(size=(4, 6)), g.normal(size=6), g.normal(size=(6, 3)), g.normal(size=3)]

    def forward(self, x, t):
        W1, b1, W2, b2 = self.params
        self.x = x
        self.h = relu(x @ W1 + b1)
        self.y = smx(self.h @ W2 + b2)
        self.t = t
        return -np.log(self.y[np.arange(len(x)), t]).mean() + 0.5 * self.reg * ((W1**2).sum() + (W2**2).sum())

    def backward(self, dout=1):
        W1, b1, W2, b2 = self.params
        B = self.bug
        N = len(self.x)
        d = self.y.copy()
        if B != "no1":
            d[np.arange(N), self.t] -= 1
        if B != "noN":
            d /= N
        d *= dout
        k = {"half": 0.5, "2": 2, "noreg": 0, "sign": -1}.get(B, 1) * self.reg * dout
        if B == "noupreg":
            k = self.reg
        self.grads[2][...] = self.h.T @ d + k * W2
        self.grads[3][...] = d.sum(0)
        dh = d @ W2.T
        if B != "nomask":
            dh = dh * (self.h > 0)
        self.grads[0][...] = self.x.T @ dh + (k * W1 if B != "only W2" else 0)
        self.grads[1][...] = dh.sum(0) + (k * b1 if B == "reg b" else 0)
        return dh @ W1.T


class ThreeNet(L):  # sigmoid hidden, MSE
    """Two sigmoid layers below a squared error."""

    def setup(self):
        g = np.random.default_rng(1)
        self.params = [
            g.normal(size=(4, 5)),
            g.normal(size=5),
            g.normal(size=(5, 5)),
            g.normal(size=5),
            g.normal(size=(5, 2)),
            g.normal(size=2),
        ]

    def forward(self, x, t):
        W1, b1, W2, b2, W3, b3 = self.params
        self.x = x
        self.h1 = sg(x @ W1 + b1)
        self.h2 = sg(self.h1 @ W2 + b2)
        self.e = self.h2 @ W3 + b3 - t
        return (self.e**2).sum() / len(x)

    def backward(self, dout=1):
        W1, b1, W2, b2, W3, b3 = self.params
        B = self.bug
        d = 2 * self.e / len(self.x) * dout
        G = [0] * 6
        if B == "sign":
            d = -d
        if B == "N":
            d = d / len(d)
        G[4], G[5] = self.h2.T @ d, d.sum(0)
        if B == "dW3 h1":
            G[4] = self.h1.T @ d
        d = d @ W3.T
        d = d * self.h2 * (1 - self.h2) if B != "nolocal2" else d
        G[2], G[3] = self.h1.T @ d, d.sum(0) if B != "mean b2" else d.mean(0)
        d = d @ (W2 if B == "W2T" else W2.T)
        d = d * self.h1 * (1 - self.h1) if B != "1-h" else d * (1 - self.h1)
        G[0], G[1] = self.x.T @ d, d.sum(0)
        for a, c in zip(self.grads, G):
            a[...] = c
        return d @ W1.T


class NegS(L):  # negative sampling loss
    """Negative sampling."""

    def setup(self):
        g = np.random.default_rng(5)
        self.params = [g.normal(size=(9, 3)), g.normal(size=(9, 3))]

    def forward(self, c, i, t):
        W, V = self.params
        self.c, self.i, self.t = c, i, t
        self.h = W[c]
        self.v = V[i]
        self.p = sg((self.h[:, None] * self.v).sum(-1))
        return -(t * np.log(self.p) + (1 - t) * np.log(1 - self.p)).sum() / len(c)

    def backward(self, dout=1):
        B = self.bug
        d = (self.p - self.t) / len(self.c) * dout
        if B == "noN":
            d = d * len(self.c)
        if B == "p":
            d = self.p / len(self.c) * dout
        if B == "sign":
            d = -d
        for g in self.grads:
            g[...] = 0
        if B == "=":
            self.grads[1][self.i] = d[..., None] * self.h[:, None]
        else:
            np.add.at(self.grads[1], self.i, d[..., None] * self.h[:, None])
        dh = (d[..., None] * self.v).sum(1)
        if B == "first":
            dh = d[:, 0, None] * self.v[:, 0]
        np.add.at(self.grads[0], self.c, dh)


class SelfPool(L):  # attention pooling
    """Attention pooling: scores from one vector."""

    def setup(self):
        self.params = [np.random.default_rng(7).normal(size=4)]

    def forward(self, x):
        (w,) = self.params
        self.x = x
        self.a = smx(x @ w)
        return (self.a[..., None] * x).sum(1)

    def backward(self, d):
        (w,) = self.params
        B = self.bug
        x, a = self.x, self.a
        da = (x * d[:, None]).sum(-1)
        ds = a * (da - (a * da).sum(1, keepdims=True))
        if B == "const":
            ds = a * da
        self.grads[0][...] = (ds[..., None] * x).sum((0, 1))
        if B == "values":
            return a[..., None] * d[:, None]
        if B == "scores":
            return ds[..., None] * w
        return a[..., None] * d[:, None] + ds[..., None] * w


def cases(layer, inputs, faults):
    return [
        (code, f"{layer.__name__}:{fault or 'right'}", lambda fault=fault: (layer(fault), inputs))
        for fault, code in faults.items()
    ]


class Halving:
    """Hyperbolic tangent that changes its input in backward."""

    params, grads = (), ()

    def forward(self, x):
        self.x = x
        return np.tanh(x)

    def backward(self, dout):
        dx = dout * (1 - np.tanh(self.x) ** 2)
        self.x /= 2
        return dx


class Correlation:
    """A row of x with a kernel that is an input."""

    params, grads = (), ()

    def forward(self, x, w):
        self.x, self.w = x, w
        return np.stack([x[:, i : i + 3] @ w for i in range(4)], axis=1)

    def backward(self, dout):
        dx, dw = np.zeros_like(self.x), np.zeros_like(self.w)
        for i in range(4):
            dx[:, i : i + 3] += dout[:, i : i + 1] * self.w[::-1]
            dw += dout[:, i] @ self.x[:, i : i + 3]
        return dx, dw


WORDS = np.array([1, 3, 3, 7, 0, 1, 1])
MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 0, 0]])
SAMPLED = np.array([1, 2, 2, 7, 5]), np.array([[0, 3, 4], [3, 3, 8], [5, 0, 1], [6, 2, 0], [7, 7, 1]]), np.array([[1, 0, 0]] * 5)
CONTEXT = np.array([[1, 2], [3, 3], [0, 7], [1, 5], [6, 2]]), np.array([0, 1, 4, 2, 7])

CASES = [
    *cases(MRNN, (normal(6, 5, 3), MASK), {"": (), "nomask": "missing-mask", "inv": "inverted-mask", "nopass": "lost-branch"}),
    *cases(
        GRU,
        (normal(5, 4, 3),),
        {"": (), "no 1-z": "lost-branch", "no s": "lost-branch", "dz sign": "wrong-sign", "no q": "stale-cache"},
    ),
    *cases(
        EmbDot,
        (normal(7, 3), WORDS),
        {
            "": (),
            "=": "repeated-index",
            "w": "stale-cache",
            "-": "wrong-sign",
            "h": "stale-cache",
            "d": "missing-local-derivative",
        },
    ),
    *cases(CBOW, CONTEXT, {"": (), "no1": "missing-label-subtraction", "=": "repeated-index"}),
    *cases(
        Hinge,
        (normal(7, 5), np.array([0, 2, 1, 4, 4, 3, 2])),
        {"": (), "noN": "scaled-by-N", "sign": "wrong-sign", "inv": "inverted-mask", "nomask": "missing-mask"},
    ),
    *cases(
        Net2,
        (normal(7, 4), np.array([0, 2, 1, 1, 2, 0, 0])),
        {
            "": (),
            "half": "wrong-penalty",
            "2": "wrong-penalty",
            "noreg": "wrong-penalty",
            "sign": "wrong-penalty",
            "only W2": "wrong-penalty",
            "no1": "missing-label-subtraction",
            "nomask": "missing-mask",
            "noN": "scaled-by-N",
            "noupreg": "ignores-upstream",
        },
    ),
    *cases(
        ThreeNet,
        (normal(7, 4), normal(7, 2)),
        {
            "": (),
            "sign": "wrong-sign",
            "N": "divided-by-N",
            "dW3 h1": "stale-cache",
            "nolocal2": "missing-local-derivative",
            "mean b2": "divided-by-N",
            "W2T": "missing-transpose",
            "1-h": "wrong-local-derivative",
        },
    ),
    *cases(
        NegS,
        SAMPLED,
        {"": (), "noN": "scaled-by-N", "p": "missing-label-subtraction", "sign": "wrong-sign", "=": "repeated-index"},
    ),
    *cases(
        SelfPool, (normal(5, 3, 4),), {"": (), "const": "constant-statistics", "values": "lost-branch", "scores": "lost-branch"}
    ),
    ("mutates-input", "Halving:halves x in backward", lambda: (Halving(), (normal(5, 3),))),
    ("flipped-kernel", "Correlation:turned", lambda: (Correlation(), (normal(5, 6), normal(3)))),
]
