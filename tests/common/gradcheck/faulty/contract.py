"""Mistakes about the object, right layers in unusual styles, exceptions, loops, kinks, precision."""
import numpy as np

from . import normal


class Base:
    """x W in float64; subclasses break or bend something."""

    def __init__(self):
        self.W = normal(3, 4)
        self.params, self.grads = [self.W], [np.zeros((3, 4))]

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, dout):
        self.grads[0][...] = self.x.T @ dout
        return dout @ self.W.T


class MutatesW(Base):
    def backward(self, dout):
        dx = super().backward(dout)
        self.W -= 0.01 * self.grads[0]
        return dx


class ExpInPlace(Base):
    def forward(self, x):
        self.x = np.exp(x, out=x)
        return self.x @ self.W

    def backward(self, dout):
        return super().backward(dout) * self.x


class Normalises(Base):
    def forward(self, x):
        x -= x.mean(axis=0)
        return super().forward(x)


class ZeroedThenAdds(Base):
    def backward(self, dout):
        self.grads[0].fill(0)
        for x, d in zip(self.x, dout):
            self.grads[0] += np.outer(x, d)
        return np.array([self.W @ d for d in dout])


class ViewStyle(Base):
    """One flat vector; W and dW are views of it."""

    def __init__(self):
        self.theta, self.dtheta = normal(12), np.zeros(12)
        self.W, self.dW = self.theta.reshape(3, 4), self.dtheta.reshape(3, 4)
        self.params, self.grads = [self.W], [self.dW]

    def backward(self, dout):
        np.matmul(self.x.T, dout, out=self.dW)
        return dout @ self.W.T


class TransposedHold(Base):
    """Keeps Wᵀ, a view, and multiplies by its transpose."""

    def __init__(self):
        super().__init__()
        self.WT = self.W.T

    def forward(self, x):
        self.x = x
        return x @ self.WT.T

    def backward(self, dout):
        self.grads[0].T[...] = dout.T @ self.x
        return (dout @ self.WT,)


class Float32(Base):
    def __init__(self):
        self.W = normal(3, 4).astype(np.float32)
        self.params, self.grads = [self.W], [np.zeros((3, 4), np.float32)]


class ListReturn(Base):
    def backward(self, dout):
        return [super().backward(dout)]


class Property(Base):
    """grads is a property that lists the same array each time."""

    def __init__(self):
        self.W, self.dW = normal(3, 4), np.zeros((3, 4))

    params = property(lambda self: [self.W])
    grads = property(lambda self: [self.dW])


class NoLists:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, dout):
        return dout * (1 - self.y ** 2)


class ReturnsText(NoLists):
    def backward(self, dout):
        return "gradient"


class PopsCache(NoLists):
    params = grads = ()

    def __init__(self):
        self.stack = []

    def forward(self, x):
        self.stack.append(np.tanh(x))
        return self.stack[-1]

    def backward(self, dout):
        return dout * (1 - self.stack.pop() ** 2)


class InPlaceCache(NoLists):
    def backward(self, dout):
        self.y **= 2
        np.subtract(1, self.y, out=self.y)
        self.y *= dout
        return self.y

    def forward(self, x):
        return super().forward(x).copy()


class SlotStyle:
    __slots__ = ("b", "params", "grads")

    def __init__(self):
        self.b = normal(3)
        self.params, self.grads = [self.b], [np.zeros(3)]

    def forward(self, x):
        return x + self.b

    def backward(self, dout):
        dout.sum(axis=0, out=self.grads[0])
        return dout


class StackedForgets(Base):
    """Two layers in one; writes only its first gradient."""

    def __init__(self):
        self.params = [normal(3, 4), normal(4, 2)]
        self.grads = [np.zeros((3, 4)), np.zeros((4, 2))]

    def forward(self, x):
        self.x, self.h = x, np.tanh(x @ self.params[0])
        return self.h @ self.params[1]

    def backward(self, dout):
        da = dout @ self.params[1].T * (1 - self.h ** 2)
        self.grads[0][...] = self.x.T @ da
        return da @ self.params[0].T


class LocalOnly(Base):
    def backward(self, dout):
        self.dW = self.x.T @ dout
        return dout @ self.W.T


class AddsWithPlus(Base):
    def backward(self, dout):
        self.grads[0] += self.x.T @ dout
        return dout @ self.W.T


class RebindsByPlus(Base):
    def backward(self, dout):
        self.grads[0] = self.grads[0] + self.x.T @ dout
        return dout @ self.W.T


class Appends(Base):
    def backward(self, dout):
        self.grads = []
        self.grads.append(self.x.T @ dout)
        return dout @ self.W.T


class NoReturn(Base):
    def backward(self, dout):
        self.grads[0][...] = self.x.T @ dout


class StaleFirst(Base):
    def forward(self, x):
        if not hasattr(self, "x"):
            self.x = x
        return x @ self.W


class StaleBatchSize:
    """Remembers the mean's N from its first call."""
    N = None

    def forward(self, x, t):
        self.N = self.N or len(x)
        self.d = x - t
        return 0.5 * (self.d ** 2).sum() / len(x)

    def backward(self, dout=1.0):
        return dout * self.d / self.N


class Raises(Base):
    def backward(self, dout):
        raise ZeroDivisionError("something is zero")


class ForwardRaises(Base):
    def forward(self, x):
        return x @ self.W.T


class Loops(Base):
    def backward(self, dout):
        t = 3
        while t > 0:
            t = t + 1 if t < 10 else t
        return dout


class LoopsForward(Base):
    def forward(self, x):
        while True:
            pass


class WrongShape(Base):
    def backward(self, dout):
        super().backward(dout)
        return np.zeros((2, 2, 9))


class ReturnsNaN(Base):
    def backward(self, dout):
        return super().backward(dout) * np.nan


class Relu(NoLists):
    def forward(self, x):
        self.x = x
        return np.maximum(x, 0)

    def backward(self, dout):
        return dout * (self.x > 0)


class Abs(NoLists):
    def forward(self, x):
        self.x = x
        return np.abs(x).sum(axis=1)

    def backward(self, dout):
        return dout[:, None] * np.where(self.x >= 0, 1, -1)


class RowMax(NoLists):
    def forward(self, x):
        self.x = x
        return x.max(axis=1)

    def backward(self, dout):
        dx = np.zeros_like(self.x)
        dx[np.arange(len(dx)), self.x.argmax(axis=1)] = dout
        return dx


class ShiftedVariance(NoLists):
    """E[x²] - E[x]²: right, but lost in float32 far from zero."""

    def forward(self, x):
        self.x = x
        return (x ** 2).mean(axis=1) - x.mean(axis=1) ** 2

    def backward(self, dout):
        return dout[:, None] * 2 * (self.x - self.x.mean(axis=1, keepdims=True)) / self.x.shape[1]


class CastsToFloat32(Base):
    def forward(self, x):
        self.x = x.astype(np.float32)
        return np.tanh(self.x @ self.W.astype(np.float32))

    def backward(self, dout):
        y = np.tanh(self.x @ self.W.astype(np.float32))
        da = (dout * (1 - y ** 2)).astype(np.float32)
        self.grads[0][...] = self.x.T @ da
        return da @ self.W.T.astype(np.float32)


class SaturatedExp(NoLists):
    def forward(self, x):
        self.y = 1 - np.exp(-x)
        return np.log(self.y)

    def backward(self, dout):
        return dout * (1 - self.y) / self.y


class RoundOff(NoLists):
    def forward(self, x):
        return np.sign(x)

    def backward(self, dout):
        return 0 * dout


zeros = np.zeros((5, 3))
ties = np.array([[1.0, 2.0, 2.0], [0.5, 0.5, 0.1], [3.0, 1.0, 2.0]])


def plain(codes, cls, *inputs):
    inputs = inputs or (normal(5, 3),)
    return codes, cls.__name__, lambda: (cls(), tuple(np.array(x) for x in inputs))


CASES = [
    *(
        plain((), cls)
        for cls in (
            Base,
            ZeroedThenAdds,
            ViewStyle,
            TransposedHold,
            Float32,
            ListReturn,
            Property,
            NoLists,
            PopsCache,
            SlotStyle,
            Relu,
            Abs,
            RowMax,
        )
    ),
    plain("mutates-cache", InPlaceCache),
    plain("mutates-input", MutatesW),
    plain("mutates-input", ExpInPlace),
    plain(("mutates-input", "constant-statistics"), Normalises),
    plain("not-written", StackedForgets),
    plain("not-written", LocalOnly),
    plain("accumulates", AddsWithPlus),
    plain(("rebound-grads", "accumulates"), RebindsByPlus),
    plain("rebound-grads", Appends),
    plain("not-returned", NoReturn),
    plain("stale-cache", StaleFirst),
    plain("stale-cache", StaleBatchSize, normal(7, 3), normal(7, 3, seed=2)),
    plain("unrecognised", Raises),
    plain("unrecognised", ForwardRaises),
    plain("unrecognised", Loops),
    plain("unrecognised", LoopsForward),
    plain("unrecognised", WrongShape),
    plain("unrecognised", ReturnsText),
    plain("unrecognised", ReturnsNaN),
    plain("kink", Relu, np.where(normal(5, 3) > 0, normal(5, 3), 0)),
    plain("kink", Abs, np.round(normal(5, 3))),
    plain("kink", RowMax, ties),
    plain("precision", ShiftedVariance, (normal(5, 4) + 3000).astype(np.float32)),
    plain("precision", CastsToFloat32),
    plain("precision", SaturatedExp, np.float32([[1e-4, 2e-5, 3e-6]])),
    plain("uninformative", Relu, -np.abs(normal(5, 3))),
    plain("uninformative", Relu, zeros - 1),
    plain("uninformative", RoundOff),
]
