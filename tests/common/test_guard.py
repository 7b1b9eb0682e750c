"""The guard: what is looked at, what is cast, what is remembered, and what is left alone."""
import numpy as np
import pytest

from chainrule.common import Layer
from tests.errors import refused


class Scaled(Layer):
    """y = a x + b."""
    shapes = "x (N, D), b? (D), a (1) -> y (N, D)"

    def __init__(self):
        super().__init__(a=np.array([2.0], np.float32))
        self.seen = []

    def forward(self, x, b=None):
        self.seen.append((x, b))
        self.cache = x
        return x * self.a if b is None else x * self.a + b

    def backward(self, dout):
        self.grads[0][...] = np.sum(dout * self.cache)
        return dout * self.a


x32 = np.ones((2, 3), np.float32)


def test_inputs_that_fit_come_as_they_are_and_others_are_cast():
    layer, b = Scaled(), np.ones(3, np.float32)
    for _ in range(2):
        layer.forward(x32, b)
        assert layer.seen[-1][0] is x32 and layer.seen[-1][1] is b
    for other in x32.astype(np.float64), x32.astype(int), x32.tolist():
        for _ in range(2):                       # the first call teaches nothing wrong
            layer.forward(other)
            assert layer.seen[-1][0].dtype == np.float32
    layer.forward(np.ones((2, 3)), b=[1, 2, 3])
    assert layer.seen[-1][1].dtype == np.float32


@pytest.mark.parametrize("before", [(x32,), (x32, np.ones(3, np.float32))])
def test_what_fitted_before_lets_nothing_else_pass(before):
    layer = Scaled()
    layer.forward(*before)
    with refused(ValueError, "Scaled: x … (N, D) … (2,)…"):
        layer.forward(x32[:, 0], *before[1:])
    layer.forward(*before)
    with refused(ValueError, "Scaled: b … (3,) … (2,)…"):
        layer.forward(x32, np.ones(2, np.float32))
    with refused(ValueError, "Scaled: b … (4,) … (3,)…"):
        layer.forward(np.ones((2, 4), np.float32), np.ones(3, np.float32))


def test_too_few_and_too_many_inputs():
    with refused(TypeError, "Scaled: forward … x, b … 0 inputs"):
        Scaled().forward()
    with refused(TypeError, "Scaled: forward … x, b … 3 inputs"):
        Scaled().forward(x32, None, x32)


def test_backward_follows_forward_and_fits_it():
    layer = Scaled()
    with refused(RuntimeError, "Scaled: backward was called before forward…"):
        layer.backward(x32)
    y = layer.forward(x32)
    assert layer.backward(y.astype(np.float64)).dtype == np.float32
    with refused(ValueError, "Scaled: dout … (2, 3) … (3, 2)…"):
        layer.backward(x32.T)
    with refused(TypeError, "Scaled: dout … NoneType"):
        layer.backward(None)


class Plain(Layer):
    """Without a line: floats are cast, all else is left."""

    def __init__(self):
        super().__init__(a=np.array([2.0], np.float32))

    def forward(self, x, kind=None):
        self.cache, self.given = x, kind
        return x * self.a

    def backward(self, dout):
        return dout * self.a


def test_without_a_line_floats_alone_are_cast():
    layer = Plain()
    for _ in range(2):
        assert layer.forward(np.ones((2, 3))).dtype == layer.cache.dtype == np.float32
        layer.forward(x32, np.array([1, 2]))
        assert layer.given.dtype == int
    assert layer.forward(x32) is not None and layer.cache is x32
    with refused(ValueError, "Plain: dout … (2, 3) … (2,)…"):
        layer.backward(np.ones(2))


def test_a_child_may_call_its_parent_and_a_method_may_be_replaced():
    class Child(Scaled):
        def forward(self, x, b=None):
            return super().forward(x, b) + 1

        def backward(self, dout):
            return super().backward(dout)

    layer = Child()
    y = layer.forward(np.ones((2, 3)))
    assert y.dtype == np.float32 and layer.backward(y).shape == (2, 3)
    page = layer.forward
    layer.forward = lambda x: page(x) * 2
    np.testing.assert_array_equal(layer.forward(x32), 2 * y)
    layer.backward(y)


def test_several_forwards_before_one_backward():
    layer = Scaled()
    layer.forward(np.ones((5, 3)))
    layer.forward(x32)
    layer.backward(x32)
    layer.cache = np.ones((5, 3), np.float32)
    assert layer.backward(np.ones((5, 3))).shape == (5, 3)          # of the first forward
    with refused(ValueError, "Scaled: dout … (2, 3) … (4, 3)…"):
        layer.backward(np.ones((4, 3)))


def test_a_number_among_douts_of_several_outputs():
    class Two(Layer):
        shapes = "x (...) -> y (...), z (...)"

        def forward(self, x):
            return x, 2 * x

        def backward(self, dout):
            a, b = dout
            return (0 if a is None else a) + 2 * (0 if b is None else b)

    layer = Two()
    layer.forward(x32)
    assert layer.backward((None, np.ones((2, 3)))).dtype == np.float32
    for wrong in (x32.T, x32), [x32, x32.T]:
        with refused(ValueError, "Two: dout … (2, 3) … (3, 2)…"):
            layer.backward(wrong)


class Joined(Layer):
    """y = x1 + x2 + ..., of one shape."""
    shapes = "*parts float -> y float"
    looks = 0

    def check_inputs(self, *parts):
        self.looks += 1
        if len({p.shape for p in parts}) > 1:
            raise ValueError("Joined: parts should be alike")

    def forward(self, *parts):
        self.cache = len(parts)
        return sum(parts)

    def backward(self, dout):
        return (dout,) * self.cache


def test_any_number_of_inputs_each_under_its_own_name():
    layer = Joined()
    assert layer.forward(x32, x32, x32)[0, 0] == 3 and len(layer.backward(x32)) == 3
    assert layer.forward(x32)[0, 0] == 1
    with refused(TypeError, "Joined: forward … at least one input … none"):
        layer.forward()
    with refused(TypeError, "Joined: forward … Joined()(a, b) … list…"):
        layer.forward([x32, x32])
    with refused(TypeError, "Joined: parts[1] … array of floats … int64…"):
        layer.forward(x32, np.ones((2, 3), int))


def test_what_a_layer_checks_itself_is_checked_when_the_shapes_change():
    layer = Joined()
    for _ in range(3):
        layer.forward(x32, x32)
    assert layer.looks == 1
    with refused(ValueError, "Joined: parts…"):
        layer.forward(x32, x32.T)
    layer.forward(x32, x32)
    assert layer.looks == 3


def test_a_number_takes_the_dtype_of_the_array_beside_it():
    layer = Joined()
    layer.check_inputs = lambda *parts: None
    for parts in (x32, 2.0), (2, x32), (x32, np.float64(2)):
        assert layer.forward(*parts).dtype == np.float32
    assert layer.forward(x32.astype(np.float64), 2).dtype == np.float64
    with refused(ValueError, "Joined: parts[0] … finite number … 603 digits"):
        layer.forward(2**2000, x32)


def test_parameters_have_the_shapes_of_the_line():
    class Two(Layer):
        shapes = "x (N, D), W (D, D), b (D), c (2) -> y (N, D)"

    def made(W, b, c=(2,)):
        return Two(W=np.ones(W), b=np.ones(b), c=np.ones(c))

    made((3, 3), (3,))
    for shapes, sentence in {((3,), (3,)): "W … (D, D) … (3,)", ((3, 4), (3,)): "W … (3, 3) … (3, 4)…",
                             ((3, 3), (4,)): "b … (3,) … (4,)", ((3, 3), (3,), (3,)): "c … (2,) … (3,)"}.items():
        with refused(ValueError, f"Two: {sentence}"):
            made(*shapes)
