"""Affine layers, small networks, weight tying, penalties."""
import numpy as np

from . import cases, normal


class Affine:
    def __init__(self, fault, W, b):
        self.fault = fault
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]

    def forward(self, x):
        W, b = self.params
        self.x = x
        return x @ W + b

    def backward(self, dout):
        fault = self.fault
        W, b = self.params
        dW, db, dx = self.x.T @ dout, dout.sum(axis=0), dout @ W.T
        if fault == "db kept per sample, rebound":
            self.grads[1] = dout
        if fault == "db kept per sample, written":
            self.grads[1][...] = dout
        if fault == "db first row":
            db = dout[0]
        if fault == "db mean":
            db = dout.mean(axis=0)
        if fault == "db all":
            db = dout.sum()
        if fault == "dW divided by N":
            dW /= len(self.x)
        if fault == "all divided by N":
            dW, db, dx = dW / len(self.x), db / len(self.x), dx / len(self.x)
        if fault == "dW transposed":
            dW = dout.T @ self.x
        if fault == "dx not transposed":
            dx = dout @ W
        if fault == "dW x not transposed":
            dW = self.x @ dout
        if fault == "dx sign":
            dx = -dx
        if fault == "dW sign":
            dW = -dW
        if fault == "dW doubled":
            dW = 2 * dW
        if fault == "db halved":
            db = db / 2
        if fault == "dW times N":
            dW = dW * len(self.x)
        if fault == "loop keeps last":
            for n in range(len(self.x)):
                dW = np.outer(self.x[n], dout[n])
        if fault == "ones upstream":
            dW, db, dx = self.x.T @ np.ones_like(dout), np.full(db.shape, float(len(dout))), np.ones_like(dout) @ W.T
        if fault == "no db":
            db = None
        if fault == "dx summed":
            dx = np.broadcast_to(dx.sum(axis=0), dx.shape)
        if fault == "transposed and doubled":
            dW = 2 * (dout.T @ self.x)
        if fault == "dW sign, db mean":
            dW, db = -dW, dout.mean(axis=0)
        if fault == "dx not transposed, db all":
            dx, db = dout @ W, dout.sum()
        if fault == "dW doubled, no db":
            dW, db = 2 * dW, None
        if fault == "dx sign, accumulates":
            dx = -dx
        if fault == "dW/N, no dx":
            dW, dx = dW / len(dout), None
        if "accumulates" in fault:
            self.grads[0] += dW
            self.grads[1] += db
            return dx
        if fault.startswith("rebinds the list"):
            if "doubled" in fault:
                dW = 2 * dW
            self.grads = [dW, db]
            return dx
        if fault == "rebinds an array":
            self.grads[0] = dW
            self.grads[1][...] = db
            return dx
        self.grads[0][...] = dW
        if not fault.startswith("db kept") and db is not None:
            self.grads[1][...] = db
        return None if fault == "no dx" else dx


def affine(cls, fault):
    return cls(fault, normal(3, 4), normal(4)), (normal(7, 3),)


def square(cls, fault):
    return cls(fault, normal(4, 4), normal(4)), (normal(7, 4),)


def all_square(cls, fault):
    return cls(fault, normal(5, 5), normal(5)), (normal(5, 5, seed=3),)


class AffineSigmoid:
    """Fused, with attributes for everything."""

    def __init__(self, fault, W, b):
        self.fault, self.W, self.b = fault, W, b
        self.dW, self.db = np.zeros_like(W), np.zeros_like(b)
        self.params, self.grads = [self.W, self.b], [self.dW, self.db]

    def forward(self, x):
        self.x = x
        self.z = x @ self.W + self.b
        self.out = 1 / (1 + np.exp(-self.z))
        return self.out

    def backward(self, dout):
        y, fault = self.out, self.fault
        local = {"local missing": 1.0, "y": y, "1 - y": 1 - y, "at y": np.exp(-y) / (1 + np.exp(-y)) ** 2}.get(fault, y * (1 - y))
        dz = dout * local
        x = {"dW with y": y, "dW with z": self.z}.get(fault, self.x)
        if fault == "first x":
            self.first = getattr(self, "first", self.x)
            x = self.first
        self.dW[:] = np.dot(x.T, dz)
        self.db[:] = np.sum(dout if fault == "db from dout" else dz, axis=0)
        return np.dot(dz, self.W.T)


class TwoLayer:
    """y = relu(x W1 + b1) W2 + b2 in one class."""
    relu = True

    def __init__(self, fault, sizes=(3, 6, 4)):
        D, H, O = sizes
        self.fault = fault
        self.params = [normal(D, H), normal(H), normal(H, O), normal(O)]
        self.grads = [np.zeros_like(p) for p in self.params]

    def forward(self, x):
        W1, b1, W2, b2 = self.params
        self.x, self.a = x, x @ W1 + b1
        self.h = np.maximum(self.a, 0) if self.relu else np.tanh(self.a)
        return self.h @ W2 + b2

    def backward(self, dout):
        W1, b1, W2, b2 = self.params
        fault = self.fault
        dh = dout @ W2.T
        mask = (self.a > 0) if self.relu else 1 - self.h ** 2
        if fault == "no mask" or fault == "no local":
            mask = 1
        if fault == "inverted":
            mask = self.a <= 0
        if fault == "at h":
            mask = 1 - np.tanh(self.h) ** 2
        da = dh * mask
        h = self.a if fault == "dW2 from a" else self.h
        for g, value in zip(self.grads, (self.x.T @ da, da.sum(0), h.T @ dout, dout.sum(0))):
            g[...] = value
        if fault == "db1 per sample":
            self.grads[1] = da
        if fault == "no mask, db2 mean":
            self.grads[3][...] = dout.mean(0)
            self.grads[0][...] = self.x.T @ dh
            self.grads[1][...] = dh.sum(0)
            return dh @ W1.T
        return da @ W1.T


class TwoLayerTanh(TwoLayer):
    relu = False


class Residual:
    """y = x + tanh(x W1) W2; or relu of it."""

    def __init__(self, fault, outer=False, D=4, H=6):
        self.fault, self.outer = fault, outer
        self.params = [normal(D, H), normal(H, D)]
        self.grads = [np.zeros_like(p) for p in self.params]

    def forward(self, x):
        W1, W2 = self.params
        self.x, self.h = x, np.tanh(x @ W1)
        y = x + self.h @ W2
        self.y = y
        return np.maximum(y, 0) if self.outer else y

    def backward(self, dout):
        W1, W2 = self.params
        if self.outer:
            dout = dout * (self.y > 0)
        self.grads[1][...] = self.h.T @ dout
        da = (dout @ W2.T) * (1 - self.h ** 2)
        self.grads[0][...] = self.x.T @ da
        dx = da @ W1.T
        if self.fault == "no skip":
            return dx
        if self.fault == "only skip":
            return dout
        return dx + dout


class OuterResidual(Residual):
    pass


class Tied:
    """y = tanh(x W) Wᵀ: one weight used twice."""

    def __init__(self, fault, linear=False):
        self.fault, self.linear = fault, linear
        self.params, self.grads = [normal(5, 3)], [np.zeros((5, 3))]

    def forward(self, x):
        W, = self.params
        self.x, self.h = x, (x @ W if self.linear else np.tanh(x @ W))
        return self.h @ W.T

    def backward(self, dout):
        W, = self.params
        dh = dout @ W
        da = dh if self.linear else dh * (1 - self.h ** 2)
        dW = self.x.T @ da
        if self.fault == "decoder only":
            dW = dout.T @ self.h
        elif self.fault != "encoder only":
            dW += dout.T @ self.h
        self.grads[0][...] = dW
        return da @ W.T


class Branches:
    """y = x W1 + sin(x W2): fan-out into two branches."""

    def __init__(self, fault):
        self.fault = fault
        self.params, self.grads = [normal(3, 4), normal(3, 4, seed=5)], [np.zeros((3, 4)), np.zeros((3, 4))]

    def forward(self, x):
        self.x = x
        return x @ self.params[0] + np.sin(x @ self.params[1])

    def backward(self, dout):
        W1, W2 = self.params
        d2 = dout * np.cos(self.x @ W2)
        self.grads[0][...] = self.x.T @ dout
        self.grads[1][...] = self.x.T @ d2
        dx = dout @ W1.T
        if self.fault == "second overwrites":
            dx = d2 @ W2.T
        elif self.fault != "first only":
            dx += d2 @ W2.T
        return dx


class Ridge:
    """Mean squared error of x W with λ/2 ‖W‖² (or λ‖W‖₁), the whole of a linear regression in one class."""
    lam = 0.3

    def __init__(self, fault, l1=False):
        self.fault, self.l1 = fault, l1
        self.params, self.grads = [normal(3, 2), normal(2)], [np.zeros((3, 2)), np.zeros(2)]

    def forward(self, x, t):
        W, b = self.params
        self.x, self.d = x, x @ W + b - t
        penalty = self.lam * np.abs(W).sum() if self.l1 else self.lam / 2 * (W ** 2).sum()
        return 0.5 * np.sum(self.d ** 2) / len(x) + penalty

    def backward(self, dout=1.0):
        W, b = self.params
        d = self.d / len(self.d) * dout
        term = dout * self.lam * (np.sign(W) if self.l1 else W)
        c = {"no penalty": 0, "doubled": 2, "halved": 0.5, "sign": -1}.get(self.fault, 1)
        dW = self.x.T @ d + c * term
        if self.fault == "bias too":
            self.grads[1][...] = d.sum(0) + dout * self.lam * b
        else:
            self.grads[1][...] = d.sum(0)
        if self.fault == "bias sign, no penalty":
            dW, self.grads[1][...] = dW - term, -d.sum(0)
        self.grads[0][...] = dW
        return d @ W.T


class Lasso(Ridge):
    def __init__(self, fault):
        super().__init__(fault, l1=True)


CASES = [
    *cases(
        Affine,
        affine,
        {
            "": (),
            "db kept per sample, rebound": "missing-batch-sum",
            "db kept per sample, written": "missing-batch-sum",
            "db first row": "missing-batch-sum",
            "db mean": "divided-by-N",
            "db all": "summed-too-far",
            "dW divided by N": "divided-by-N",
            "all divided by N": "divided-by-N",
            "dW transposed": "missing-transpose",
            "dx not transposed": "missing-transpose",
            "dx sign": "wrong-sign",
            "dW sign": "wrong-sign",
            "dW doubled": "factor-2",
            "db halved": "factor-half",
            "dW times N": "scaled-by-N",
            "loop keeps last": "lost-branch",
            "ones upstream": "ignores-upstream",
            "no db": "not-written",
            "dx summed": "summed-too-far",
            "accumulates": "accumulates",
            "rebinds the list": "rebound-grads",
            "rebinds an array": "rebound-grads",
            "rebinds the list, dW doubled": ("factor-2", "rebound-grads"),
            "transposed and doubled": ("missing-transpose", "factor-2"),
            "dW sign, db mean": ("wrong-sign", "divided-by-N"),
            "dW doubled, no db": ("factor-2", "not-written"),
            "dx sign, accumulates": ("wrong-sign", "accumulates"),
            "dW/N, no dx": ("divided-by-N", "not-returned"),
            "no dx": "not-returned",
        },
    ),
    *cases(
        type("Square", (Affine,), {}),
        square,
        {
            "": (),
            "dx not transposed": "missing-transpose",
            "dW transposed": "missing-transpose",
            "dx not transposed, db all": ("missing-transpose", "summed-too-far"),
            "transposed and doubled": ("missing-transpose", "factor-2"),
        },
    ),
    *cases(
        type("AllSquare", (Affine,), {}),
        all_square,
        {"": (), "dW x not transposed": "missing-transpose", "dx not transposed": "missing-transpose"},
    ),
    *cases(
        AffineSigmoid,
        lambda c, f: (c(f, normal(4, 4), normal(4)), (normal(5, 4),)),
        {
            "": (),
            "local missing": "missing-local-derivative",
            "y": "wrong-local-derivative",
            "1 - y": "wrong-local-derivative",
            "at y": "wrong-local-derivative",
            "dW with y": "stale-cache",
            "dW with z": "stale-cache",
            "first x": "stale-cache",
            "db from dout": "missing-local-derivative",
        },
    ),
    *cases(
        TwoLayer,
        lambda c, f: (c(f), (normal(5, 3),)),
        {
            "": (),
            "no mask": "missing-mask",
            "inverted": "inverted-mask",
            "dW2 from a": "stale-cache",
            "db1 per sample": "missing-batch-sum",
            "no mask, db2 mean": ("missing-mask", "divided-by-N"),
        },
    ),
    *cases(
        TwoLayerTanh,
        lambda c, f: (c(f), (normal(5, 3),)),
        {"": (), "no local": "missing-local-derivative", "at h": "wrong-local-derivative", "dW2 from a": "stale-cache"},
    ),
    *cases(Residual, lambda c, f: (c(f), (normal(5, 4),)), {"": (), "no skip": "lost-branch", "only skip": "lost-branch"}),
    *cases(
        OuterResidual, lambda c, f: (c(f, True), (normal(5, 4),)), {"": (), "no skip": "lost-branch", "only skip": "lost-branch"}
    ),
    *cases(Tied, lambda c, f: (c(f), (normal(7, 5),)), {"": (), "encoder only": "lost-branch", "decoder only": "lost-branch"}),
    *cases(
        type("TiedLinear", (Tied,), {}),
        lambda c, f: (c(f, True), (normal(7, 5),)),
        {"": (), "encoder only": "lost-branch", "decoder only": "lost-branch"},
    ),
    *cases(
        Branches, lambda c, f: (c(f), (normal(5, 3),)), {"": (), "second overwrites": "lost-branch", "first only": "lost-branch"}
    ),
    *cases(
        Ridge,
        lambda c, f: (c(f), (normal(7, 3), normal(7, 2))),
        {
            "": (),
            "no penalty": "wrong-penalty",
            "doubled": "wrong-penalty",
            "halved": "wrong-penalty",
            "sign": "wrong-penalty",
            "bias too": "wrong-penalty",
            "bias sign, no penalty": ("wrong-sign", "wrong-penalty"),
        },
    ),
    *cases(
        Lasso, lambda c, f: (c(f), (normal(7, 3), normal(7, 2))), {"": (), "no penalty": "wrong-penalty", "sign": "wrong-penalty"}
    ),
]
