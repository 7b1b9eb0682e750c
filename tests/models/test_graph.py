"""Graph: the board's examples with the known answers, gradients summed over paths, and what it refuses."""
import copy
import weakref

import numpy as np
import pytest

from chainrule.common import L2, Layer
from chainrule.gradcheck import check_gradients, numerical_gradient
from chainrule.layers import (
    Add,
    Affine,
    Branch,
    Concatenate,
    Dropout,
    Exp,
    Maximum,
    Mean,
    Multiply,
    ReLU,
    Sigmoid,
    Sin,
    SoftmaxWithLoss,
    SquaredError,
    Tanh,
)
from chainrule.models import Graph, Input, Sequential, node
from chainrule.optimizers import SGD
from tests.errors import refused


def affine(n_in, n_out, seed=0):
    return Affine.init(n_in, n_out, rng=seed, dtype=np.float64)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# The examples of the board

def test_product_plus_sine():
    x1, x2 = Input(), Input()
    f = Graph([x1, x2], x1 * x2 + Sin()(x2))
    assert f.forward(2.0, 5.0) == pytest.approx(10 + np.sin(5))
    assert f.backward(1.0) == pytest.approx((5.0, 2 + np.cos(5)))


def test_the_logistic_neuron_gradient_by_gradient():
    """f = 1 / (1 + exp(-(w0 x0 + w1 x1 + w2))) with w = (2, -3, -3), x = (-1, -2): CS231n's example and its numbers."""
    w0, x0, w1, x1, w2 = (Input(name) for name in ("w0", "x0", "w1", "x1", "w2"))
    sum_ = w0 * x0 + w1 * x1 + w2
    power = Exp()(-sum_)
    f = Graph([w0, x0, w1, x1, w2], 1 / (1 + power), trace=True)
    assert f.forward(2.0, -1.0, -3.0, -2.0, -3.0) == pytest.approx(0.73, abs=0.005)
    assert f.backward(1.0) == pytest.approx((-0.2, 0.39, -0.39, -0.59, 0.2), abs=0.005)
    assert (sum_.value, power.value) == pytest.approx((1.0, 0.37), abs=0.005)
    assert (sum_.grad, power.grad) == pytest.approx((0.2, -0.53), abs=0.005)


@pytest.mark.parametrize("make, derivative", [
    (lambda x: x * x, lambda x: 2 * x),
    (lambda x: x + x, lambda x: 2.0),
    (lambda x: x * Sin()(x) + x ** 3, lambda x: np.sin(x) + x * np.cos(x) + 3 * x * x),
    (lambda x: (x - 2) / (3 - x), lambda x: 1 / (3 - x) ** 2),
    (lambda x: 2 ** x, lambda x: np.log(2) * 2 ** x),
    (lambda x: -x + 1 - x, lambda x: -2.0),
    (lambda x: Maximum()(x, x), lambda x: 1.0),
    (lambda x: 1 / x, lambda x: -1 / x ** 2),
    (lambda x: x / 4 + 4 / x, lambda x: 0.25 - 4 / x ** 2),
    (lambda x: (x ** 2) ** 0.5, lambda x: 1.0),
])
def test_operators_and_values_used_on_several_paths(make, derivative):
    x = Input()
    f = Graph(x, make(x))
    f.forward(0.7)
    assert f.backward(1.0) == pytest.approx(derivative(0.7))


def test_patterns_of_gradient_flow(rng):
    a, b = rng.standard_normal((2, 4, 3))
    dout = rng.standard_normal((4, 3))
    for layer, expected in ((Add(), (dout, dout)), (Multiply(), (dout * b, dout * a)),
                            (Maximum(), (dout * (a > b), dout * (b > a)))):
        x, y = Input(), Input()
        graph = Graph([x, y], layer(x, y))
        graph.forward(a, b)
        np.testing.assert_allclose(graph.backward(dout), expected)


def test_arrays_take_part_as_constants_and_matmul_has_its_operator(rng):
    A, B, dout = rng.standard_normal((3, 4)), rng.standard_normal((4, 2)), rng.standard_normal((3, 2))
    x = Input()
    for f, value, derivative in ((x @ B, A @ B, dout @ B.T), (A @ x, A @ B, A.T @ dout), (x * dout + dout, None, None)):
        graph = Graph(x, f)
        if value is None:
            np.testing.assert_allclose(graph.forward(np.full((3, 2), 2.0)), 3 * dout)
            continue
        np.testing.assert_allclose(graph.forward(A if f.inputs[0] is x else B), value)
        np.testing.assert_allclose(graph.backward(dout), derivative)
    assert Graph(x, A + x).forward(A).tolist() == (2 * A).tolist()


def test_a_constant_does_not_change_the_dtype():
    x = Input()
    graph = Graph(x, (2 * x + 1) ** 2 / 3 - np.pi)
    assert graph.forward(np.ones((2, 2), np.float32)).dtype == np.float32
    assert graph.backward(np.ones((2, 2))).dtype == np.float32


# Networks

def residual(**options):
    x = Input("x")
    h = Tanh()(affine(4, 4)(x))
    return Graph(x, affine(4, 3, 1)(h + x), loss=SoftmaxWithLoss(), **options)


def test_a_residual_network_trains_and_its_gradients_are_right(rng):
    x, t = rng.standard_normal((5, 4)), rng.integers(0, 3, 5)
    model = residual(penalty=L2(0.1))
    assert check_gradients(model, x, t, rng=0)
    assert check_gradients(model, x, rng=0)
    optimizer, losses = SGD(0.5), []
    for _ in range(20):
        losses.append(model.forward(x, t))
        assert model.backward() is None
        optimizer.update(model.params, model.grads)
    assert type(losses[0]) is float and losses[-1] < 0.5 * losses[0]


def test_the_same_chain_as_sequential_gives_the_same_numbers(rng):
    x, t = rng.standard_normal((5, 4)), rng.integers(0, 3, 5)
    chain = Sequential(affine(4, 6), Sigmoid(), affine(6, 3, 1), loss=SoftmaxWithLoss())
    n = inputs = Input()
    for layer in copy.deepcopy(chain.layers):
        n = layer(n)
    graph = Graph(inputs, n, loss=SoftmaxWithLoss())
    assert graph.names == chain.names
    for model in (chain, graph):
        model.forward(x, t)
    np.testing.assert_array_equal(graph.backward(input_gradient=True), chain.backward(input_gradient=True))
    for g, h in zip(graph.grads, chain.grads, strict=True):
        np.testing.assert_array_equal(g, h)
    np.testing.assert_allclose(graph.predict(x, batch_size=2), chain.predict(x))


@pytest.mark.parametrize("trace", [False, True])
def test_leaving_out_the_input_gradient_changes_no_parameter_gradient(trace, rng):
    x, t = rng.standard_normal((5, 4)), rng.integers(0, 3, 5)
    model = residual(trace=trace)
    model.forward(x, t)
    model.backward()
    grads = copy.deepcopy(model.grads)
    dx = model.backward(input_gradient=True)
    for g, h in zip(model.grads, grads, strict=True):
        np.testing.assert_array_equal(g, h)
    np.testing.assert_allclose(dx, numerical_gradient(lambda x: model.forward(x, t), x), atol=1e-8)
    assert all(layer.input_gradient for layer in model.layers)


def test_several_inputs_outputs_and_weighted_losses(rng):
    a, b, t, s = Input("a"), Input("b"), Input("t"), Input("s")
    h = Tanh()(Concatenate()(affine(3, 4)(a), affine(2, 4, 1)(b)))
    y, z = affine(8, 3, 2)(h), affine(8, 2, 3)(h)
    loss = SoftmaxWithLoss()(y, t) + 0.3 * SquaredError()(z, s)
    model = Graph([a, b], [y, z], targets=[t, s], loss=loss, penalty=L2(0.01))
    data = rng.standard_normal((5, 3)), rng.standard_normal((5, 2)), rng.integers(0, 3, 5), rng.standard_normal((5, 2))
    out = model.forward(*data[:2])
    assert [o.shape for o in out] == [(5, 3), (5, 2)]
    expected = (SoftmaxWithLoss().forward(out[0], data[2]) + 0.3 * SquaredError().forward(out[1], data[3])
                + model.penalty.loss(model.params))
    assert model.forward(*data) == pytest.approx(expected) and type(model.forward(*data)) is float
    da, db = model.backward(input_gradient=True)
    np.testing.assert_allclose(da, numerical_gradient(lambda a: model.forward(a, *data[1:]), data[0]), atol=1e-8)
    np.testing.assert_allclose(db, numerical_gradient(lambda b: model.forward(data[0], b, *data[2:]), data[1]), atol=1e-8)
    W = model.params[0]
    np.testing.assert_allclose(model.grads[0], numerical_gradient(lambda V: with_value(model, W, V, data), W), atol=1e-8)


def with_value(model, W, value, data):
    kept, W[...] = W.copy(), value
    loss = model.forward(*data)
    W[...] = kept
    return loss


def test_an_output_without_a_gradient_counts_as_zero(rng):
    x = Input()
    used, unused = affine(3, 2), affine(3, 2, 1)
    model = Graph(x, [used(x), unused(x)])
    data, dout = rng.standard_normal((4, 3)), rng.standard_normal((4, 2))
    model.forward(data)
    model.backward((dout, dout))
    assert unused.grads[0].any()
    dx = model.backward((dout, None))
    assert not unused.grads[0].any() and not unused.grads[1].any()
    np.testing.assert_allclose(dx, dout @ used.params[0].T)
    with refused(ValueError, "… dout … tuple of 2…"):
        model.backward(dout)


def test_several_outputs_of_a_layer_are_selected(rng):
    x = Input()
    parts = Branch(3)(x)
    model = Graph(x, parts[0] * parts[2])
    data = rng.standard_normal((4, 3))
    np.testing.assert_allclose(model.forward(data), data ** 2)
    np.testing.assert_allclose(model.backward(np.ones((4, 3))), 2 * data)
    with refused(TypeError, "… one by one…"):
        _, _ = parts
    with refused(ValueError, "… node[3]: … 3 outputs…"):
        Graph(x, parts[3]).forward(data)


def test_graphs_and_chains_nest(rng):
    x = Input()
    block = Sequential(affine(4, 4, 2), ReLU())
    inner = residual()
    inner.loss = None
    model = Graph(x, Sequential(inner, Tanh())(block(x)) * 2, loss=SoftmaxWithLoss())
    assert check_gradients(model, rng.standard_normal((5, 4)), rng.integers(0, 3, 5), rng=0)
    assert model.names[0] == "0.0.W" and len(model.params) == 6


def test_a_class_without_the_base_becomes_a_node(rng):
    class Triple:
        params, grads = [], []

        def forward(self, x):
            return 3 * x

        def backward(self, dout):
            return 3 * dout
    x = Input()
    model = Graph(x, node(Triple(), x) + x)
    assert model.forward(2.0) == 8.0 and model.backward(1.0) == 4.0


def test_shared_weights(rng):
    W = rng.standard_normal((4, 4))
    x = Input()
    model = Graph(x, Affine(W.T, None)(Tanh()(Affine(W, None)(x))), loss=SquaredError())
    assert [p is W for p in model.params] == [True]
    assert check_gradients(model, rng.standard_normal((5, 4)), rng.standard_normal((5, 4)), rng=0)


def test_a_chain_of_ten_thousand_nodes():
    x = n = Input()
    for _ in range(10_000):
        n = n + 1
    model = Graph(x, n)
    assert model.forward(0.0) == 10_000 and model.backward(1.0) == 1.0


def test_values_are_let_go_as_soon_as_nobody_needs_them():
    alive = []

    class Watch(Layer):
        def forward(self, x):
            alive.append(sum(a() is not None for a in self.seen))
            y = self.accept(x) + 1
            self.seen.append(weakref.ref(y))
            return y
    Watch.seen = []
    x = n = Input()
    for _ in range(6):
        n = Watch()(n)
    Graph(x, n).forward(np.zeros(3))
    assert max(alive) == 1


def test_trace_keeps_values_and_gradients():
    x, y = Input(), Input()
    product = x * y
    model = Graph([x, y], product + x, trace=True)
    model.forward(3.0, 4.0)
    model.backward(1.0)
    assert (product.value, product.grad, x.grad, y.grad) == (12.0, 1.0, 5.0, 3.0)


def test_predict_leaves_no_trace(rng):
    x = Input()
    model = Graph(x, Dropout(0.5, rng=0)(affine(3, 2)(x)), loss=SoftmaxWithLoss())
    data = rng.standard_normal((5, 3))
    np.testing.assert_allclose(model.predict(data), model.predict(data, batch_size=2), rtol=1e-5, atol=1e-6)
    assert model.training and all(layer.cache is None for layer in model.layers)
    with refused(RuntimeError, "… backward … forward…"):
        model.backward()


def test_save_and_load(tmp_path, rng):
    data = rng.standard_normal((5, 4))
    model, other = residual(), residual()
    other.params[0][...] = 0
    model.save(tmp_path / "m")
    other.load(tmp_path / "m")
    np.testing.assert_array_equal(model.forward(data), other.forward(data))


def test_a_graph_is_loaded_without_its_loss_or_with_another(tmp_path):
    def make(loss=None, activation=ReLU):
        x, t = Input(), Input()
        y = activation()(affine(3, 3)(x))
        return Graph(x, y, t if loss else (), loss=loss and loss(y, t))
    make(lambda y, t: Mean(axis=None)(Mean(axis=1)(y - t))).save(tmp_path / "m")
    make().load(tmp_path / "m")
    for loss in SquaredError(), lambda y, t: Mean(axis=None)(Mean(axis=0)(y - t)):
        make(loss).load(tmp_path / "m")
    with refused(ValueError, "… layer 1 … Tanh in the model … ReLU in the file…"):
        make(activation=Tanh).load(tmp_path / "m")


# What is refused

def test_a_number_takes_the_dtype_of_a_value_without_axes():
    x = Input()
    graph = Graph(x, (2 * Mean(axis=None)(x) + 1) / 3)
    y = graph.forward(np.ones((2, 2), np.float32))
    assert y == 1 and y.dtype == graph.backward(np.float32(1)).dtype == np.float32
    assert Graph(x, 2.0 * x).forward(3.0).dtype == np.float64


def test_what_cannot_be_a_graph():
    x, y = Input("x"), Input("y")
    layer = affine(3, 3)
    with refused(ValueError, "… one Affine … two places … share…"):
        Graph(x, layer(layer(x)))
    with refused(ValueError, "Graph: Input(y) … not listed…"):
        Graph(x, x + y)
    for inputs, targets in ([x, x], ()), ([x], [x]):
        with refused(ValueError, "Graph: Input(x) is listed twice"):
            Graph(inputs, x * 2, targets)
    with refused(ValueError, "Graph: Input(y) … output…"):
        Graph([x, y], x + 1)
    with refused(TypeError, "Graph: inputs and targets … Input()…"):
        Graph([x + 1], x + 2)
    with refused(TypeError, "Graph: inputs and targets … Input() … SquaredError() … loss="):
        Graph(x, x + 1, SquaredError())
    with refused(TypeError, "Graph: outputs … nodes … y = ReLU()(x) … Tanh()"):
        Graph(x, Tanh())
    with refused(TypeError, "Input: name … str … None … (3,)…"):
        Input((3,))
    with refused(ValueError, "Graph: … loss … one output and one target…"):
        Graph(x, [x + 1, x + 2], loss=SquaredError())


def test_wrong_numbers_of_arrays_and_a_loss_that_is_no_number(rng):
    x, t = Input("x"), Input("t")
    model = Graph(x, affine(3, 2)(x), loss=SquaredError())
    data = rng.standard_normal((5, 3))
    with refused(TypeError, "Graph: forward … (x) … targets … 3 arrays"):
        model.forward(data, data, data)
    with refused(TypeError, "… 0 arrays…"):
        model.forward()
    with refused(TypeError, "Graph: forward … (x) … 2 … Graph(x, y, loss=SoftmaxWithLoss())"):
        Graph(x, affine(3, 2)(x)).forward(data, data)
    y = affine(3, 2)(x)
    with refused(ValueError, "Graph: … loss … one number … shape (5, 2)…"):
        Graph(x, y, targets=t, loss=y - t).forward(data, np.zeros((5, 2)))
    assert Graph(x, y, targets=t, loss=Mean(axis=None)((y - t) ** 2)).forward(data, np.zeros((5, 2))) > 0


def test_an_error_names_the_layer_and_its_place(rng):
    x = Input()
    with refused(ValueError, "Affine: x … (N, ..., 3) … (5, 4)…") as caught:
        Graph(x, affine(3, 2)(Tanh()(x))).forward(rng.standard_normal((5, 4)))
    assert caught.value.__notes__ == ["in layer 1 of Graph: Affine"]
