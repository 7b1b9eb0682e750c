"""Convolution by loops and by im2col, pooling, and layers that move entries."""
import numpy as np

from . import cases, normal


class Conv:
    """(N, C, H, W), no padding; loops over the output."""

    def __init__(self, fault, F=3, C=2, K=3, stride=1):
        self.fault, self.stride = fault, stride
        self.params, self.grads = [normal(F, C, K, K), normal(F)], [np.zeros((F, C, K, K)), np.zeros(F)]

    def forward(self, x):
        W, b = self.params
        self.x, s = x, self.stride
        K = W.shape[-1]
        OH, OW = (x.shape[2] - K) // s + 1, (x.shape[3] - K) // s + 1
        y = np.empty((len(x), len(W), OH, OW))
        for i in range(OH):
            for j in range(OW):
                y[:, :, i, j] = np.einsum("nckl,fckl->nf", x[:, :, i * s:i * s + K, j * s:j * s + K], W)
        return y + b[:, None, None]

    def backward(self, dout):
        W, b = self.params
        fault, x, s = self.fault, self.x, self.stride
        K = W.shape[-1]
        dW, dx = np.zeros_like(W), np.zeros_like(x)
        V = W[:, :, ::-1, ::-1] if fault in ("dx flipped", "dx flipped, db mean") else W
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                window = (slice(None), slice(None), slice(i * s, i * s + K), slice(j * s, j * s + K))
                g = dout[:, :, i, j]
                dW += np.einsum("nf,nckl->fckl", g, x[window])
                if fault == "overwritten":
                    dx[window] = np.einsum("nf,fckl->nckl", g, V)
                else:
                    dx[window] += np.einsum("nf,fckl->nckl", g, V)
                if fault == "dW last window":
                    dW = np.einsum("nf,nckl->fckl", g, x[window])
        if fault == "dW flipped":
            dW = dW[:, :, ::-1, ::-1]
        if fault == "dW flipped one axis":
            dW = dW[..., ::-1]
        if fault == "dW spatial transposed":
            dW = dW.transpose(0, 1, 3, 2)
        db = dout.sum(axis=(0, 2, 3))
        if fault in ("db mean", "dx flipped, db mean"):
            db = dout.mean(axis=(0, 2, 3))
        if fault == "db everything":
            db = dout.sum()
        if fault == "db batch only":
            self.grads[1] = dout.sum(axis=0)
        else:
            self.grads[1][...] = db
        self.grads[0][...] = dW
        return dx


class Im2col:
    """The same by im2col, as in the book."""

    def __init__(self, fault, F=3, C=2, K=3):
        self.fault, self.K = fault, K
        self.W, self.b = normal(F, C, K, K), normal(F)
        self.dW, self.db = np.zeros_like(self.W), np.zeros_like(self.b)
        self.params, self.grads = [self.W, self.b], [self.dW, self.db]

    def windows(self, x):
        return np.lib.stride_tricks.sliding_window_view(x, (self.K, self.K), axis=(2, 3))        # N C OH OW K K

    def forward(self, x):
        self.shape = x.shape
        w = self.windows(x)
        self.out = w.shape[2:4]
        self.col = w.transpose(0, 2, 3, 1, 4, 5).reshape(-1, self.W[0].size)
        y = self.col @ self.W.reshape(len(self.W), -1).T + self.b
        return y.reshape(len(x), *self.out, -1).transpose(0, 3, 1, 2)

    def backward(self, dout):
        F, fault = len(self.W), self.fault
        N, C, H, W = self.shape
        d = dout.transpose(0, 2, 3, 1).reshape(-1, F)
        if fault == "dout reshaped":
            d = dout.reshape(-1, F)
        self.db[...] = d.sum(axis=0)
        dW = (self.col.T @ d).T.reshape(self.W.shape)
        if fault == "dW reshaped":
            dW = (self.col.T @ d).reshape(self.W.shape)
        self.dW[...] = dW
        dcol = (d @ self.W.reshape(F, -1)).reshape(N, *self.out, C, self.K, self.K)
        dx = np.zeros(self.shape)
        OH, OW = self.out
        for k in range(self.K):
            for l in range(self.K):
                part = dcol[..., k, l].transpose(0, 3, 1, 2)
                if fault == "overwritten":
                    dx[:, :, k:k + OH, l:l + OW] = part
                else:
                    dx[:, :, k:k + OH, l:l + OW] += part
        return dx


class MaxPool:
    def __init__(self, fault, size=2, stride=2):
        self.fault, self.size, self.stride, self.params, self.grads = fault, size, stride, [], []

    def places(self, x):
        for i in range(0, x.shape[2] - self.size + 1, self.stride):
            for j in range(0, x.shape[3] - self.size + 1, self.stride):
                yield (
                    i // self.stride,
                    j // self.stride,
                    (slice(None), slice(None), slice(i, i + self.size), slice(j, j + self.size)),
                )

    def forward(self, x):
        self.x = x
        out = [(n - self.size) // self.stride + 1 for n in x.shape[2:]]
        y = np.zeros((*x.shape[:2], *out))
        for i, j, w in self.places(x):
            y[:, :, i, j] = self.pool(x[w])
        self.y = y
        return y

    def pool(self, w):
        return w.max(axis=(2, 3))

    def backward(self, dout):
        dx = np.zeros_like(self.x)
        for i, j, w in self.places(self.x):
            g = dout[:, :, i, j][:, :, None, None]
            part = g * self.share(self.x[w])
            if self.fault == "overwritten":
                dx[w] = part
            else:
                dx[w] += part
        return dx

    def share(self, w):
        top = w == w.max(axis=(2, 3), keepdims=True)
        return {"no mask": np.ones_like(w), "inverted": 1.0 * ~top, "averaged": top / w[0, 0].size}.get(self.fault, 1.0 * top)


class OverwrittenMax(MaxPool):
    """Overwrites only where the maximum is."""

    def backward(self, dout):
        dx = np.zeros_like(self.x)
        for i, j, w in self.places(self.x):
            for n in range(len(dx)):
                for c in range(dx.shape[1]):
                    k, l = np.unravel_index(self.x[n, c][w[2:]].argmax(), (self.size, self.size))
                    at = n, c, i * self.stride + k, j * self.stride + l
                    dx[at] = dout[n, c, i, j] if self.fault else dx[at] + dout[n, c, i, j]
        return dx


class AveragePool(MaxPool):
    def pool(self, w):
        return w.mean(axis=(2, 3))

    def share(self, w):
        n = w[0, 0].size
        return np.ones_like(w) * {"no mean": 1, "twice": 1 / n ** 2, "doubled": 2 / n}.get(self.fault, 1 / n)


class GlobalAverage:
    def __init__(self, fault):
        self.fault, self.params, self.grads = fault, [], []

    def forward(self, x):
        self.shape = x.shape
        return x.mean(axis=(2, 3))

    def backward(self, d):
        H, W = self.shape[2:]
        dx = np.broadcast_to(d[:, :, None, None], self.shape)
        return dx if self.fault == "no mean" else dx / (H * W)


class Mover:
    """Transpose, reshape, flatten, flip: forward(x) = places moved."""

    def __init__(self, fault, forward, backward):
        self.fault, self.params, self.grads, self.f, self.g = fault, [], [], forward, backward

    def forward(self, x):
        self.shape = x.shape
        return self.f(x)

    def backward(self, d):
        return self.g(d, self.shape)


def mover(codes, name, f, g, *shape):
    return codes, f"Mover:{name}", lambda: (Mover(name, f, g), (normal(*shape),))


def image(cls, fault):
    return cls(fault), (normal(3, 2, 5, 5),)


def big(cls, fault):
    return cls(fault), (normal(2, 2, 6, 4),)


def overlapping(cls, fault):
    return cls(fault, 3, 1), (normal(2, 2, 5, 6),)


CASES = [
    *cases(
        Conv,
        image,
        {
            "": (),
            "dx flipped": "flipped-kernel",
            "overwritten": "overlap-overwritten",
            "dW last window": "lost-branch",
            "dW flipped": "flipped-kernel",
            "dW flipped one axis": "flipped-kernel",
            "dW spatial transposed": "missing-transpose",
            "db mean": "divided-by-N",
            "db everything": "summed-too-far",
            "db batch only": "missing-batch-sum",
            "dx flipped, db mean": ("flipped-kernel", "divided-by-N"),
        },
    ),
    *cases(
        Im2col,
        image,
        {"": (), "dW reshaped": "wrong-reshape", "overwritten": "overlap-overwritten", "dout reshaped": "wrong-reshape"},
    ),
    *cases(MaxPool, big, {"": (), "no mask": "missing-mask", "inverted": "inverted-mask"}),
    *cases(type("MaxPoolOverlap", (MaxPool,), {}), overlapping, {"": (), "overwritten": "overlap-overwritten"}),
    *cases(OverwrittenMax, overlapping, {"": (), "overwritten": "overlap-overwritten"}),
    *cases(AveragePool, big, {"": (), "no mean": "scaled-by-N", "twice": "divided-by-N", "doubled": "factor-2"}),
    *cases(
        type("AveragePoolOverlap", (AveragePool,), {}),
        overlapping,
        {"": (), "overwritten": "overlap-overwritten", "no mean": "scaled-by-N"},
    ),
    *cases(GlobalAverage, big, {"": (), "no mean": "scaled-by-N"}),
    mover((), "transpose", lambda x: x.transpose(1, 2, 0), lambda d, s: d.transpose(2, 0, 1), 2, 3, 4),
    mover("missing-transpose", "transpose same perm", lambda x: x.transpose(1, 2, 0), lambda d, s: d.transpose(1, 2, 0), 2, 3, 4),
    mover(
        "missing-transpose",
        "transpose same perm cube",
        lambda x: x.transpose(1, 2, 0),
        lambda d, s: d.transpose(1, 2, 0),
        3,
        3,
        3,
    ),
    mover("missing-transpose", "transpose left out", lambda x: x.transpose(0, 2, 1), lambda d, s: d, 3, 4, 4),
    mover("missing-transpose", "channels last left", lambda x: x.transpose(0, 2, 3, 1), lambda d, s: d, 2, 3, 4, 5),
    mover("wrong-reshape", "reshape for transpose", lambda x: x.transpose(0, 2, 1), lambda d, s: d.reshape(s), 2, 3, 4),
    mover("wrong-reshape", "flatten F", lambda x: x.reshape(len(x), -1), lambda d, s: d.reshape(s, order="F"), 3, 2, 4),
    mover(
        "wrong-reshape",
        "flatten after transpose",
        lambda x: x.transpose(0, 2, 3, 1).reshape(len(x), -1),
        lambda d, s: d.reshape(s),
        3,
        2,
        4,
        5,
    ),
    mover("wrong-reshape", "not reshaped", lambda x: x.reshape(len(x), -1), lambda d, s: d, 3, 2, 4),
    mover((), "flatten", lambda x: x.reshape(len(x), -1), lambda d, s: d.reshape(s), 3, 2, 4),
]
