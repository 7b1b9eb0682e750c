"""Arithmetic on one or two inputs: the nodes that courses draw on the board.

Two inputs broadcast as in NumPy. What forward copied, backward sums: the gradient of an input is
added up over the axes along which it was broadcast. A Python number in place of an input takes the
dtype of the other one.
"""
import numpy as np

from ..common import checks
from ..common.functions import sum_to
from ..common.layer import Layer
from ..common.types import Array


class Binary(Layer):
    """What nodes of two inputs share: broadcasting, and its backward. A subclass states y and, for
    each input, dL/dinput."""
    shapes = "a float, b float -> y float"

    def check_inputs(self, a: Array, b: Array) -> None:
        checks.broadcasting(type(self).__name__, a, b)

    def forward(self, a, b):
        self.cache = a, b
        return self.value(a, b)

    def backward(self, dout):
        a, b = self.cache
        da, db = self.gradients(dout, a, b)
        return sum_to(da, a.shape, a.dtype), sum_to(db, b.shape, b.dtype)


class Additive(Binary):
    """What sum and difference share: backward needs only the shapes of the inputs, so no array is
    kept."""
    shapes = Binary.shapes

    def forward(self, a, b):
        self.cache = (a.shape, a.dtype), (b.shape, b.dtype)
        return self.value(a, b)

    def backward(self, dout):
        return tuple(sum_to(d, *like) for d, like in zip(self.gradients(dout), self.cache))


class Add(Additive):
    """y = a + b. Backward: the gradient is copied to both,

        dL/da = dL/dy        dL/db = dL/dy

    >>> node = Add()
    >>> node.forward(np.array([[1.0], [2.0]]), np.array([10.0, 20.0]))
    array([[11., 21.],
           [12., 22.]])
    >>> da, db = node.backward(np.array([[1.0, 2.0], [3.0, 4.0]]))
    >>> da, db          # summed over the axes that were broadcast
    (array([[3.],
           [7.]]), array([4., 6.]))
    """

    def value(self, a, b):
        return a + b

    def gradients(self, dout):
        return dout.copy(), dout.copy()


class Subtract(Additive):
    """y = a - b. Backward:

        dL/da = dL/dy        dL/db = -dL/dy

    >>> node = Subtract()
    >>> node.forward(np.array([3.0]), np.array([5.0]))
    array([-2.])
    >>> node.backward(np.array([1.0]))
    (array([1.]), array([-1.]))
    """

    def value(self, a, b):
        return a - b

    def gradients(self, dout):
        return dout.copy(), -dout


class Multiply(Binary):
    """y = a · b, elementwise. Backward: the gradient is multiplied by the other input,

        dL/da = dL/dy · b        dL/db = dL/dy · a

    >>> node = Multiply()
    >>> node.forward(np.array([3.0]), np.array([5.0]))
    array([15.])
    >>> node.backward(np.array([1.0]))
    (array([5.]), array([3.]))
    """

    def value(self, a, b):
        return a * b

    def gradients(self, dout, a, b):
        return dout * b, dout * a


class Divide(Binary):
    """y = a / b, elementwise. Backward:

        dL/da = dL/dy / b        dL/db = -dL/dy · a / b²

    Raises ValueError where b is 0.

    >>> node = Divide()
    >>> node.forward(np.array([3.0]), np.array([2.0]))
    array([1.5])
    >>> node.backward(np.array([1.0]))
    (array([0.5]), array([-0.75]))
    """

    def value(self, a, b):
        refuse(self, "b", b, b == 0, "not be 0")
        return a / b

    def gradients(self, dout, a, b):
        da = dout / b
        return da, -da * (a / b)             # b² might leave the range where this does not


class Maximum(Binary):
    """y = max(a, b), elementwise. Backward: the gradient goes to the larger input; a tie is split
    evenly,

        dL/da = dL/dy · ([a > b] + ½ [a = b])        dL/db = dL/dy · ([b > a] + ½ [a = b])

    >>> node = Maximum()
    >>> node.forward(np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0]))
    array([3., 2., 3.])
    >>> node.backward(np.array([1.0, 1.0, 1.0]))
    (array([0. , 0.5, 1. ]), array([1. , 0.5, 0. ]))
    """

    def value(self, a, b):
        return np.maximum(a, b)

    def gradients(self, dout, a, b):
        half = dout * 0.5
        return half * (a > b) + half * (a >= b), half * (b > a) + half * (b >= a)


class Power(Binary):
    """y = x^p with a fixed number p, ``Power(p)`` on one input; or y = a^b, ``Power()`` on two.
    Backward:

        dL/dx = dL/dy · p x^(p-1)
        dL/da = dL/dy · b a^(b-1)        dL/db = dL/dy · a^b log a

    Raises ValueError where the power is not a real number: x = 0 with p < 0, x < 0 with a fraction
    p, a <= 0 with two inputs.

    >>> node = Power(3)
    >>> node.forward(np.array([2.0, -1.0]))
    array([ 8., -1.])
    >>> node.backward(np.array([1.0, 1.0]))
    array([12.,  3.])
    """
    shapes = "a float, b? float -> y float"

    def __init__(self, exponent: float | None = None) -> None:
        super().__init__()
        self.exponent = None if exponent is None else checks.number("Power", "exponent", exponent)

    def check_inputs(self, a: Array, b: Array | None = None) -> None:
        if (self.exponent is None) == (b is None):
            got = "one" if b is None else "two"
            raise TypeError("Power: takes one input with a fixed exponent, Power(2), and two "
                            f"without, Power(); got {got}")
        if b is not None:
            super().check_inputs(a, b)

    def forward(self, a, b=None):
        p = self.exponent
        if p is None:
            return super().forward(a, b)
        self.cache = x = a
        if p < 1 and p != 0:
            refuse(self, "x", x, x == 0, f"not be 0, because x^{p:g} has no derivative there")
        if p % 1:
            refuse(self, "x", x, x < 0, f"not be negative, because x^{p:g} is not real there")
        return power(x, p)

    def value(self, a, b):
        refuse(self, "a", a, a <= 0, "be positive")
        return np.power(a, b)

    def backward(self, dout):
        if self.exponent is None:
            return super().backward(dout)
        x = self.cache
        return dout * (self.exponent * power(x, self.exponent - 1))

    def gradients(self, dout, a, b):
        return dout * b * np.power(a, b - 1), dout * np.power(a, b) * np.log(a)


def power(x, p):
    """x^p; for small whole p by multiplication, hundreds of times faster than NumPy's power of
    floats.

    >>> power(np.array([3.0]), 3.0), power(np.array([4.0]), 0.5), power(np.array([2.0]), 0.0)
    (array([27.]), array([2.]), array([1.]))
    """
    if p % 1 or not 0 < p <= 16:
        return np.power(x, x.dtype.type(p)) if p else np.ones_like(x)
    half = power(x, p // 2) if p > 1 else 1
    return half * half * x if p % 2 else half * half


class Exp(Layer):
    """y = exp(x). Backward: dy/dx = y, so

        dL/dx = dL/dy · y

    >>> node = Exp()
    >>> node.forward(np.array([0.0]))
    array([1.])
    >>> node.backward(np.array([2.0]))
    array([2.])
    """
    shapes = "x (...) -> y (...)"

    def forward(self, x):
        self.cache = y = np.exp(x)
        return y

    def backward(self, dout):
        y = self.cache
        return dout * y


class Log(Layer):
    """y = log x, the natural logarithm of positive x. Backward:

        dL/dx = dL/dy / x

    Raises ValueError where x is not positive.

    >>> node = Log()
    >>> node.forward(np.array([1.0]))
    array([0.])
    >>> node.backward(np.array([2.0]))
    array([2.])
    """
    shapes = "x (...) -> y (...)"

    def forward(self, x):
        self.cache = x
        refuse(self, "x", x, x <= 0, "be positive")
        return np.log(x)

    def backward(self, dout):
        x = self.cache
        return dout / x


class Sin(Layer):
    """y = sin x. Backward:

        dL/dx = dL/dy · cos x

    >>> node = Sin()
    >>> node.forward(np.array([0.0]))
    array([0.])
    >>> node.backward(np.array([2.0]))
    array([2.])
    """
    shapes = "x (...) -> y (...)"

    def forward(self, x):
        self.cache = x
        return np.sin(x)

    def backward(self, dout):
        x = self.cache
        return dout * np.cos(x)


def refuse(layer, name, x, bad, expected):
    """ValueError naming the first entry where ``bad`` is true."""
    if np.any(bad):
        layer.cache = None
        raise ValueError(checks.wrong(type(layer).__name__, name, expected,
                                      checks.first(x, bad) if x.ndim else x))
