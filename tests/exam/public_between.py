"""Mistakes that were asked about or mended in public, rebuilt in a few lines each: the sets between the first and the
second, 30 and 28 mistakes, of which 22 and 24 were named rightly at first sight."""
from .reading import Cases

CASES = Cases()
right, wrong, odd = CASES.right, CASES.wrong, CASES.odd

right("glu", "GLU(r(4, 6), r(6)), r(5, 4)", '''
class GLU:
    def __init__(self, W, b):
        self.params, self.grads = [W, b], [np.zeros_like(W), np.zeros_like(b)]

    def forward(self, x):
        W, b = self.params
        self.x = x
        z = x @ W + b
        self.a, g = np.split(z, 2, axis=1)
        self.s = 1 / (1 + np.exp(-g))
        return self.a * self.s

    def backward(self, dout):
        W, b = self.params
        da = dout * self.s
        dg = dout * self.a * self.s * (1 - self.s)
        dz = np.concatenate([da, dg], axis=1)
        self.grads[0][...] = self.x.T @ dz
        self.grads[1][...] = dz.sum(0)
        return dz @ W.T
''')
wrong("wrong-reshape", "np.concatenate([da, dg], axis=1)", "np.concatenate([dg, da], axis=1)")
wrong("missing-local-derivative|wrong-local-derivative", "dg = dout * self.a * self.s * (1 - self.s)",
      "dg = dout * self.a * self.s")
wrong("wrong-local-derivative|stale-cache", "da = dout * self.s", "da = dout * self.a")

right("highway", "Highway(r(4, 4), r(4, 4)), r(5, 4)", '''
class Highway:
    def __init__(self, Wh, Wt):
        self.params, self.grads = [Wh, Wt], [np.zeros_like(Wh), np.zeros_like(Wt)]

    def forward(self, x):
        Wh, Wt = self.params
        self.x = x
        self.h = np.tanh(x @ Wh)
        self.t = 1 / (1 + np.exp(-(x @ Wt)))
        return self.t * self.h + (1 - self.t) * x

    def backward(self, dout):
        Wh, Wt = self.params
        dh = dout * self.t * (1 - self.h ** 2)
        dt = dout * (self.h - self.x) * self.t * (1 - self.t)
        self.grads[0][...] = self.x.T @ dh
        self.grads[1][...] = self.x.T @ dt
        return dh @ Wh.T + dt @ Wt.T + dout * (1 - self.t)
''')
wrong("lost-branch", " + dout * (1 - self.t)\n", "\n")
wrong("lost-branch", "(self.h - self.x)", "self.h")
wrong("missing-transpose", "dh @ Wh.T +", "dh @ Wh +")
wrong("stale-cache", "self.grads[1][...] = self.x.T @ dt", "self.grads[1][...] = self.h.T @ dt")

right("batchnorm2d", "BN(u(3), r(3)), r(2, 3, 3, 4)", '''
class BN:
    def __init__(self, g, b):
        self.params, self.grads = [g, b], [np.zeros_like(g), np.zeros_like(b)]

    def forward(self, x):
        g, b = self.params
        self.m = x.shape[0] * x.shape[2] * x.shape[3]
        mu = x.mean(axis=(0, 2, 3), keepdims=True)
        self.std = np.sqrt(x.var(axis=(0, 2, 3), keepdims=True) + 1e-5)
        self.xn = (x - mu) / self.std
        return self.xn * g[None, :, None, None] + b[None, :, None, None]

    def backward(self, dout):
        g, b = self.params
        self.grads[0][...] = np.sum(dout * self.xn, axis=(0, 2, 3))
        self.grads[1][...] = np.sum(dout, axis=(0, 2, 3))
        dxn = dout * g[None, :, None, None]
        s1 = dxn.sum(axis=(0, 2, 3), keepdims=True)
        s2 = (dxn * self.xn).sum(axis=(0, 2, 3), keepdims=True)
        return (dxn - s1 / self.m - self.xn * s2 / self.m) / self.std
''')
wrong("summed-too-far|missing-batch-sum|wrong-reshape", "self.grads[1][...] = np.sum(dout, axis=(0, 2, 3))",
      "self.grads[1][...] = np.sum(dout, axis=(0, 2))[0]")
wrong("constant-statistics|scaled-by-N", "s1 / self.m", "s1")
wrong("constant-statistics|divided-by-N", "self.m = x.shape[0] * x.shape[2] * x.shape[3]",
      "self.m = x.shape[0] * x.shape[1] * x.shape[2] * x.shape[3]")
wrong("missing-local-derivative|wrong-local-derivative|lost-branch", "dxn = dout * g[None, :, None, None]", "dxn = dout")

right("transposed_conv", "TConv(r(2, 3, 2, 2)), r(2, 2, 3, 3)", '''
class TConv:
    """Stride 2, kernels of 2: every pixel becomes four."""
    def __init__(self, W):
        self.params, self.grads = [W], [np.zeros_like(W)]

    def forward(self, x):
        W, = self.params
        self.x = x
        N, C, H, Wd = x.shape
        out = np.zeros((N, W.shape[1], 2 * H, 2 * Wd))
        for i in range(2):
            for j in range(2):
                out[:, :, i::2, j::2] = np.einsum("nchw,cf->nfhw", x, W[:, :, i, j])
        return out

    def backward(self, dout):
        W, = self.params
        dx = np.zeros_like(self.x)
        for i in range(2):
            for j in range(2):
                d = dout[:, :, i::2, j::2]
                dx += np.einsum("nfhw,cf->nchw", d, W[:, :, i, j])
                self.grads[0][:, :, i, j] = np.einsum("nchw,nfhw->cf", self.x, d)
        return dx
''')
wrong("overlap-overwritten|lost-branch", "dx += np.einsum", "dx = np.einsum")
wrong("missing-transpose|flipped-kernel|stale-cache", "d, W[:, :, i, j])", "d, W[:, :, j, i])")

right("weightnorm", "WN(r(4, 3), u(3)), r(5, 4)", '''
class WN:
    def __init__(self, V, g):
        self.params, self.grads = [V, g], [np.zeros_like(V), np.zeros_like(g)]

    def forward(self, x):
        V, g = self.params
        self.x, self.n = x, np.sqrt((V ** 2).sum(axis=0))
        self.W = g * V / self.n
        return x @ self.W

    def backward(self, dout):
        V, g = self.params
        dW = self.x.T @ dout
        dg = (dW * V).sum(axis=0) / self.n
        self.grads[0][...] = g / self.n * dW - g * dg / self.n ** 2 * V
        self.grads[1][...] = dg
        return dout @ self.W.T
''')
wrong("constant-statistics|lost-branch", " - g * dg / self.n ** 2 * V", "")
wrong("stale-cache|missing-local-derivative|wrong-local-derivative", "return dout @ self.W.T", "return dout @ V.T")
wrong("wrong-local-derivative|stale-cache|missing-local-derivative|scaled-by-N", "dg = (dW * V).sum(axis=0) / self.n",
      "dg = (dW * V).sum(axis=0)")

right("fm", "FM(r(5), r(5, 3)), r(4, 5)", '''
class FM:
    """A factorisation machine: x w + 1/2 Σ_f ((x V)_f² - x² V²)."""
    def __init__(self, w, V):
        self.params, self.grads = [w, V], [np.zeros_like(w), np.zeros_like(V)]

    def forward(self, x):
        w, V = self.params
        self.x, self.xv = x, x @ V
        return x @ w + 0.5 * (self.xv ** 2 - x ** 2 @ V ** 2).sum(axis=1)

    def backward(self, dout):
        w, V = self.params
        d = dout[:, None]
        self.grads[0][...] = (d * self.x).sum(axis=0)
        self.grads[1][...] = self.x.T @ (d * self.xv) - (d * self.x ** 2).sum(axis=0)[:, None] * V
        return d * (w + self.xv @ V.T - self.x * (V ** 2).sum(axis=1))
''')
wrong("lost-branch|wrong-sign|constant-statistics", " - (d * self.x ** 2).sum(axis=0)[:, None] * V", "")
wrong("wrong-sign", "- self.x * (V ** 2)", "+ self.x * (V ** 2)")

right("hinge_multi", "Hinge(1.0), r(5, 4), ids(4, 5)", '''
class Hinge:
    def __init__(self, delta):
        self.delta = delta

    def forward(self, s, y):
        rows = np.arange(len(y))
        m = s - s[rows, y][:, None] + self.delta
        m[rows, y] = 0
        self.pos, self.y = m > 0, y
        return np.maximum(m, 0).sum() / len(y)

    def backward(self, dout=1.0):
        ds = self.pos.astype(float)
        ds[np.arange(len(ds)), self.y] -= self.pos.sum(axis=1)
        return ds * dout / len(ds)
''')
wrong("missing-label-subtraction|lost-branch|wrong-local-derivative", "-= self.pos.sum(axis=1)", "-= 1")
wrong("scaled-by-N", "ds * dout / len(ds)", "ds * dout")
wrong("missing-label-subtraction|lost-branch", "        ds[np.arange(len(ds)), self.y] -= self.pos.sum(axis=1)\n", "")

right("birnn", "Bi(r(3, 4), r(4, 4), r(3, 4), r(4, 4)), r(2, 4, 3)", '''
class Bi:
    def __init__(self, *params):
        self.params = list(params)
        self.grads = [np.zeros_like(p) for p in params]

    def run(self, x, Wx, Wh):
        h = [np.zeros((len(x), len(Wh)))]
        for t in range(x.shape[1]):
            h.append(np.tanh(x[:, t] @ Wx + h[-1] @ Wh))
        return h

    def forward(self, x):
        A, B, C, D = self.params
        self.x = x
        self.f = self.run(x, A, B)
        self.b = self.run(x[:, ::-1], C, D)
        return np.concatenate([np.stack(self.f[1:], 1), np.stack(self.b[1:], 1)[:, ::-1]], axis=2)

    def back(self, d, x, h, Wx, Wh):
        dx, dWx, dWh, dh = np.zeros_like(x), 0, 0, 0
        for t in range(x.shape[1] - 1, -1, -1):
            da = (d[:, t] + dh) * (1 - h[t + 1] ** 2)
            dWx = dWx + x[:, t].T @ da
            dWh = dWh + h[t].T @ da
            dx[:, t] = da @ Wx.T
            dh = da @ Wh.T
        return dx, dWx, dWh

    def backward(self, dout):
        A, B, C, D = self.params
        H = B.shape[0]
        df, db = dout[:, :, :H], dout[:, ::-1, H:]
        dx1, g0, g1 = self.back(df, self.x, self.f, A, B)
        dx2, g2, g3 = self.back(db, self.x[:, ::-1], self.b, C, D)
        for g, v in zip(self.grads, (g0, g1, g2, g3)):
            g[...] = v
        return dx1 + dx2[:, ::-1]
''')
wrong("flipped-kernel|wrong-reshape", "return dx1 + dx2[:, ::-1]", "return dx1 + dx2")
wrong("lost-branch", "return dx1 + dx2[:, ::-1]", "return dx1")
wrong("flipped-kernel|wrong-reshape|stale-cache", "dout[:, ::-1, H:]", "dout[:, :, H:]")

right("posenc", "Emb(r(6, 4), r(5, 4)), np.array([[0, 3, 3], [2, 2, 1]])", '''
class Emb:
    def __init__(self, W, P):
        self.params, self.grads = [W, P], [np.zeros_like(W), np.zeros_like(P)]

    def forward(self, ids):
        W, P = self.params
        self.ids = ids
        return W[ids] * 2.0 + P[:ids.shape[1]]

    def backward(self, dout):
        for g in self.grads:
            g[...] = 0
        np.add.at(self.grads[0], self.ids, 2.0 * dout)
        self.grads[1][:dout.shape[1]] = dout.sum(axis=0)
''')
wrong("factor-half", "2.0 * dout)", "dout)")
wrong("repeated-index", "np.add.at(self.grads[0], self.ids, 2.0 * dout)", "self.grads[0][self.ids] += 2.0 * dout")
wrong("divided-by-N", "dout.sum(axis=0)", "dout.mean(axis=0)")

right("scalar_param", "Temp(np.array([1.7])), r(5, 4), ids(4, 5)", '''
class Temp:
    """Cross-entropy with a temperature that is learned."""
    def __init__(self, T):
        self.params, self.grads = [T], [np.zeros_like(T)]

    def forward(self, x, t):
        T, = self.params
        z = x / T
        e = np.exp(z - z.max(axis=1, keepdims=True))
        self.p, self.x, self.t = e / e.sum(axis=1, keepdims=True), x, t
        return -np.log(self.p[np.arange(len(t)), t]).mean()

    def backward(self, dout=1.0):
        T, = self.params
        dz = self.p.copy()
        dz[np.arange(len(dz)), self.t] -= 1
        dz *= dout / len(dz)
        self.grads[0][...] = -(dz * self.x).sum() / T ** 2
        return dz / T
''')
wrong("wrong-sign", "= -(dz * self.x).sum()", "= (dz * self.x).sum()")
wrong("wrong-local-derivative|constant-statistics|missing-local-derivative", "-(dz * self.x).sum() / T ** 2",
      "-(dz * self.x).sum() / T")
wrong("missing-local-derivative|wrong-local-derivative", "return dz / T", "return dz")

right("time_affine", "TimeAffine(r(4, 3), r(3)), r(2, 5, 4)", '''
class TimeAffine:
    def __init__(self, W, b):
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]
        self.x = None

    def forward(self, x):
        N, T, D = x.shape
        W, b = self.params
        rx = x.reshape(N * T, -1)
        out = np.dot(rx, W) + b
        self.x = x
        return out.reshape(N, T, -1)

    def backward(self, dout):
        x = self.x
        N, T, D = x.shape
        W, b = self.params
        dout = dout.reshape(N * T, -1)
        rx = x.reshape(N * T, -1)
        db = np.sum(dout, axis=0)
        dW = np.dot(rx.T, dout)
        dx = np.dot(dout, W.T)
        dx = dx.reshape(*x.shape)
        self.grads[0][...] = dW
        self.grads[1][...] = db
        return dx
''')
wrong("missing-transpose|wrong-reshape", "dx = dx.reshape(*x.shape)", "dx = dx.reshape(T, N, D).transpose(1, 0, 2)")
wrong("wrong-reshape", "rx = x.reshape(N * T, -1)\n        db", "rx = x.transpose(1, 0, 2).reshape(N * T, -1)\n        db")
wrong("not-written|rebound-grads", "self.grads[1][...] = db", "self.grads[1] = db")
wrong("summed-too-far|divided-by-N", "db = np.sum(dout, axis=0)", "db = np.sum(dout)")

right("time_softmax", "TSL(-1), r(2, 4, 3), np.array([[0, 2, -1, 1], [1, -1, -1, 2]])", '''
class TSL:
    def __init__(self, ignore):
        self.ignore = ignore

    def forward(self, xs, ts):
        N, T, V = xs.shape
        mask = ts.reshape(-1) != self.ignore
        xs, ts = xs.reshape(N * T, V), ts.reshape(-1)
        e = np.exp(xs - xs.max(axis=1, keepdims=True))
        ys = e / e.sum(axis=1, keepdims=True)
        ls = np.log(ys[np.arange(N * T), ts]) * mask
        self.cache = ts, ys, mask, (N, T, V)
        return -ls.sum() / mask.sum()

    def backward(self, dout=1):
        ts, ys, mask, shape = self.cache
        dx = ys.copy()
        dx[np.arange(len(ts)), ts] -= 1
        dx *= dout
        dx /= mask.sum()
        dx *= mask[:, np.newaxis]
        return dx.reshape(shape)
''')
wrong("missing-mask", "        dx *= mask[:, np.newaxis]\n", "")
wrong("divided-by-N", "dx /= mask.sum()", "dx /= len(mask)")

right("attention_sum", "Attn(), r(3, 5, 4), r(3, 4)", '''
class Attn:
    def forward(self, hs, h):
        self.hs, self.h = hs, h
        s = (hs * h[:, None, :]).sum(axis=2)
        e = np.exp(s - s.max(axis=1, keepdims=True))
        self.a = e / e.sum(axis=1, keepdims=True)
        return (hs * self.a[:, :, None]).sum(axis=1)

    def backward(self, dc):
        N, T, H = self.hs.shape
        dt = dc[:, None, :].repeat(T, axis=1)
        da = (dt * self.hs).sum(axis=2)
        dhs = dt * self.a[:, :, None]
        ds = self.a * da
        ds -= self.a * ds.sum(axis=1, keepdims=True)
        dt2 = ds[:, :, None].repeat(H, axis=2)
        dhs += dt2 * self.h[:, None, :]
        dh = (dt2 * self.hs).sum(axis=1)
        return dhs, dh
''')
wrong("lost-branch", "        dhs += dt2 * self.h[:, None, :]\n", "")
wrong("constant-statistics|lost-branch|wrong-local-derivative", "        ds -= self.a * ds.sum(axis=1, keepdims=True)\n", "")
wrong("divided-by-N", "dh = (dt2 * self.hs).sum(axis=1)", "dh = (dt2 * self.hs).mean(axis=1)")

right("selu", "SELU(), signs(4, 5)", '''
class SELU:
    scale, alpha = 1.0507, 1.6733

    def forward(self, x):
        self.x = x
        return self.scale * np.where(x > 0, x, self.alpha * (np.exp(x) - 1))

    def backward(self, dout):
        return dout * np.where(self.x > 0, self.scale, self.scale * self.alpha * np.exp(self.x))
''')
wrong("wrong-local-derivative", "np.where(self.x > 0, self.scale,", "np.where(self.x > 0, 1,")
wrong("wrong-local-derivative", "self.alpha * np.exp(self.x))", "np.exp(self.x))")

right("hardswish", "HS(), np.array([[-4.0, -1.0, 0.7], [2.2, 3.5, -2.0], [1.1, 5.0, -3.3]])", '''
class HS:
    def forward(self, x):
        self.x = x
        return x * np.clip(x + 3, 0, 6) / 6

    def backward(self, dout):
        x = self.x
        d = np.where(x <= -3, 0, np.where(x >= 3, 1, (2 * x + 3) / 6))
        return dout * d
''')
wrong("wrong-local-derivative", "(2 * x + 3) / 6", "(x + 3) / 6")
wrong("wrong-local-derivative|missing-mask", "np.where(x <= -3, 0, ", "np.where(x <= -9, 0, ")

right("poisson", "NLL(), r(5, 2), r(5, 2), r(5, 2)", '''
class NLL:
    """Of a normal distribution with mean m and log-variance s, at t."""
    def forward(self, m, s, t):
        self.m, self.s, self.t = m, s, t
        return 0.5 * (s + (t - m) ** 2 * np.exp(-s)).sum() / len(m)

    def backward(self, dout=1.0):
        e = self.t - self.m
        k = dout / len(e)
        iv = np.exp(-self.s)
        dm = -k * e * iv
        ds = 0.5 * k * (1 - e ** 2 * iv)
        dt = k * e * iv
        return dm, ds, dt
''')
wrong("wrong-sign", "dm = -k * e * iv", "dm = k * e * iv")
wrong("wrong-local-derivative|stale-cache|missing-local-derivative", "dm = -k * e * iv", "dm = -k * e")
wrong("lost-branch|wrong-local-derivative", "(1 - e ** 2 * iv)", "(-e ** 2 * iv)")

right("dilated", "Dil(r(3, 2, 2)), r(2, 2, 7)", '''
class Dil:
    """Kernels of two, dilation 2."""
    def __init__(self, K):
        self.params, self.grads = [K], [np.zeros_like(K)]

    def forward(self, x):
        K, = self.params
        self.x, self.L = x, x.shape[2] - 2
        return sum(np.einsum("ncl,fc->nfl", x[:, :, 2 * k:2 * k + self.L], K[:, :, k]) for k in range(2))

    def backward(self, dout):
        K, = self.params
        dx = np.zeros_like(self.x)
        for k in range(2):
            dx[:, :, 2 * k:2 * k + self.L] += np.einsum("nfl,fc->ncl", dout, K[:, :, k])
            self.grads[0][:, :, k] = np.einsum("nfl,ncl->fc", dout, self.x[:, :, 2 * k:2 * k + self.L])
        return dx
''')
wrong("stale-cache|wrong-reshape|flipped-kernel|wrong-local-derivative", "dout, self.x[:, :, 2 * k:2 * k + self.L])",
      "dout, self.x[:, :, k:k + self.L])")
wrong("overlap-overwritten", "] += np.einsum", "] = np.einsum")

right("pool_overlap", "Avg(), r(2, 2, 7)", '''
class Avg:
    """Windows of three, stride two."""
    def forward(self, x):
        self.shape = x.shape
        return np.stack([x[:, :, i:i + 3].mean(axis=2) for i in range(0, x.shape[2] - 2, 2)], axis=2)

    def backward(self, dout):
        dx = np.zeros(self.shape)
        for j in range(dout.shape[2]):
            i = 2 * j
            dx[:, :, i:i + 3] += dout[:, :, j:j + 1] / 3
        return dx
''')
wrong("overlap-overwritten", "dx[:, :, i:i + 3] +=", "dx[:, :, i:i + 3] =")
wrong("scaled-by-N", "dout[:, :, j:j + 1] / 3", "dout[:, :, j:j + 1]")

right("squash", "Squash(), r(3, 4)", '''
class Squash:
    """A capsule's nonlinearity, y = x ‖x‖ / (1 + ‖x‖²)."""
    def forward(self, x):
        self.x = x
        self.n = np.sqrt((x ** 2).sum(axis=1, keepdims=True))
        return x * self.n / (1 + self.n ** 2)

    def backward(self, dout):
        x, n = self.x, self.n
        f = n / (1 + n ** 2)
        df = (1 - n ** 2) / (1 + n ** 2) ** 2
        inner = (dout * x).sum(axis=1, keepdims=True)
        return dout * f + x * inner * df / n
''')
wrong("lost-branch|constant-statistics", "return dout * f + x * inner * df / n", "return dout * f")
wrong("constant-statistics|wrong-local-derivative|lost-branch|missing-local-derivative|stale-cache", "x * inner * df / n",
      "x * inner * df")

right("film", "FiLM(r(3, 8)), r(4, 4), r(4, 3)", '''
class FiLM:
    def __init__(self, W):
        self.params, self.grads = [W], [np.zeros_like(W)]

    def forward(self, x, c):
        W, = self.params
        self.x, self.c = x, c
        self.g, self.b = np.split(c @ W, 2, axis=1)
        return (1 + self.g) * x + self.b

    def backward(self, dout):
        W, = self.params
        dg = dout * self.x
        db = dout
        dz = np.hstack([dg, db])
        self.grads[0][...] = self.c.T @ dz
        return dout * (1 + self.g), dz @ W.T
''')
wrong("wrong-local-derivative|lost-branch", "return dout * (1 + self.g),", "return dout * self.g,")
wrong("not-returned|stale-cache|lost-branch", "return dout * (1 + self.g), dz @ W.T", "return dout * (1 + self.g), None")

right("bn_relu_net", "Net(r(3, 4), u(4), r(4), r(4, 2)), r(6, 3)", '''
class Net:
    def __init__(self, W1, g, b, W2):
        self.params = {"W1": W1, "g": g, "b": b, "W2": W2}
        self.grads = {}

    def forward(self, x):
        p = self.params
        self.x = x
        a = x @ p["W1"]
        self.s = np.sqrt(a.var(0) + 1e-5)
        self.n = (a - a.mean(0)) / self.s
        z = p["g"] * self.n + p["b"]
        self.h = np.maximum(z, 0)
        return self.h @ p["W2"]

    def backward(self, dout):
        p = self.params
        self.grads["W2"] = self.h.T @ dout
        dz = dout @ p["W2"].T * (self.h > 0)
        self.grads["g"] = (dz * self.n).sum(0)
        self.grads["b"] = dz.sum(0)
        dn = dz * p["g"]
        da = (dn - dn.mean(0) - self.n * (dn * self.n).mean(0)) / self.s
        self.grads["W1"] = self.x.T @ da
        return da @ p["W1"].T
''')
wrong("constant-statistics", "(dn - dn.mean(0) - self.n * (dn * self.n).mean(0))", "dn")
wrong("missing-mask", " * (self.h > 0)\n", "\n")
wrong("stale-cache|wrong-local-derivative", "(dz * self.n).sum(0)", "(dz * self.h).sum(0)")
wrong("missing-local-derivative|stale-cache|wrong-local-derivative", "dn = dz * p[\"g\"]", "dn = dz")
