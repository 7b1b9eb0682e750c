"""summary(x): numbers against hand counts, and no trace of the run."""
import copy
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from chainrule.common import Layer
from chainrule.layers import Add, Affine, Dropout, MatMul, ReLU, Sigmoid, SoftmaxWithLoss, Tanh
from chainrule.layers.attention import Attention, MultiHeadAttention
from chainrule.layers.convolution import Convolution, Convolution1D, TransposedConvolution
from chainrule.layers.recurrent import LSTM, Bidirectional, LSTMCell
from chainrule.models import Graph, Input, Sequential
from chainrule.models.summary import Row, multiply_adds, observe
from tests.errors import refused
from tests.layers.table import TABLE

X = np.ones((5, 4), np.float32)


def net(*between):
    return Sequential(Affine.init(4, 8, rng=0), ReLU(), *between, Affine.init(8, 3, rng=1), loss=SoftmaxWithLoss())


def test_numbers_of_a_small_network():
    table = net().summary(X)
    assert table.rows == [
        Row("0", "Affine", (5, 8), 4 * 8 + 8, 5 * 4 * 4, 5 * 4 * 8),            # keeps x
        Row("1", "ReLU", (5, 8), 0, 5 * 8 * 4, 0),                              # keeps y
        Row("2", "Affine", (5, 3), 8 * 3 + 3, 0, 5 * 8 * 3),                    # keeps the very same y
    ]
    assert (table.parameters, table.cached, table.multiply_adds) == (67, 240, 280)


def test_with_targets_the_loss_has_a_row():
    *rows, loss = net().summary(X, np.zeros(5, int)).rows
    assert len(rows) == 3
    assert (loss.index, loss.layer, loss.output, loss.parameters, loss.multiply_adds) == ("loss", "SoftmaxWithLoss", (), 0, 0)
    assert loss.cached >= 5 * 3 * 4


def test_layers_of_inner_models_have_dotted_numbers():
    x = Input()
    inner = Graph(x, Tanh()(Affine.init(8, 8, rng=2)(x)) + x)
    rows = net(Sequential(inner, Sequential(ReLU()))).summary(X).rows
    assert [(row.index, row.layer) for row in rows] == [
        ("0", "Affine"), ("1", "ReLU"), ("2.0.0", "Affine"), ("2.0.1", "Tanh"), ("2.0.2", "Add"),
        ("2.1.0", "ReLU"), ("3", "Affine")]


def test_shared_weights_count_once():
    W = np.ones((4, 4), np.float32)
    table = Sequential(MatMul(W), MatMul(W.T), Affine(W, np.zeros(4, np.float32))).summary(X)
    assert [row.parameters for row in table.rows] == [16, 0, 4]
    # MatMul keeps its weights in the cache: they are there anyway, so only the inputs count.
    assert [row.cached for row in table.rows] == [80, 80, 80]


def test_a_cached_view_counts_the_memory_it_keeps_alive():
    class Corner(Layer):
        def forward(self, x):
            y = np.zeros((100,), np.float32)
            self.cache = y[:1], np.broadcast_to(y[:1], (1000,)), "no array"
            return x
    assert Sequential(Corner()).summary(X[:2]).cached == 400


@pytest.mark.parametrize("layer, inputs, output, count", [
    (Affine.init(4, 3, rng=0), [(2, 5, 4)], (2, 5, 3), 2 * 5 * 4 * 3),
    (MatMul(), [(7, 2, 3), (3, 5)], (7, 2, 5), 7 * 2 * 3 * 5),
    (Convolution.init(6, 4, (3, 5), groups=2, rng=0), [(2, 6, 10, 10)], (2, 4, 8, 6), 2 * 4 * 8 * 6 * 3 * 3 * 5),
    (Convolution1D.init(6, 4, 3, groups=2, rng=0), [(2, 6, 10)], (2, 4, 8), 2 * 4 * 8 * 3 * 3),
    (TransposedConvolution.init(2, 3, (3, 5), rng=0), [(2, 2, 4, 4)], (2, 3, 6, 8), 2 * 2 * 4 * 4 * 3 * 3 * 5),
    (Bidirectional.init(LSTM, 3, 2, rng=0), [(5, 7, 3)], (5, 7, 4), 2 * 5 * 7 * 8 * (3 + 2)),
    (LSTMCell.init(3, 2, rng=0), [(5, 3), (5, 2), (5, 2)], ((5, 2), (5, 2)), 5 * 8 * (3 + 2)),
    (LSTM.init(3, 2, rng=0), [(5, 7, 3)], (5, 7, 2), 5 * 7 * 8 * (3 + 2)),
    (Attention(), [(2, 3, 4), (2, 5, 4), (2, 5, 6)], (2, 3, 6), 2 * 3 * 5 * (4 + 6)),
    (MultiHeadAttention.init(4, 2, rng=0), [(2, 3, 4)], (2, 3, 4), 4 * (2 * 3 * 4 * 4) + 2 * (2 * 3 * 3 * 4)),
    (MultiHeadAttention.init(4, 2, rng=0), [(2, 3, 4), (2, 5, 4)], (2, 3, 4),
     2 * (2 * 3 * 4 * 4) + 2 * (2 * 5 * 4 * 4) + 2 * (2 * 3 * 5 * 4)),
    (ReLU(), [(2, 3)], (2, 3), 0),
    (Add(), [(2, 3), (3,)], (2, 3), 0),
])
def test_multiply_adds(layer, inputs, output, count):
    assert multiply_adds(layer, *inputs, output=output) == count
    y = layer.forward(*(np.ones(shape, np.float32) for shape in inputs))
    assert (tuple(map(np.shape, y)) if isinstance(y, tuple) else y.shape) == output


class Own:
    """A layer without the base class."""

    def __init__(self):
        self.params, self.grads = [np.ones(3)], [np.zeros(3)]

    def forward(self, x):
        return 2 * x

    def backward(self, dout):
        return 2 * dout


@pytest.mark.parametrize("name", TABLE)
def test_the_number_is_known_of_every_layer_here(name):
    case = TABLE[name][0]
    layer, inputs = case.make(np.float32), case.inputs(np.random.default_rng(0), np.float32)
    y = layer.forward(*inputs)
    assert multiply_adds(layer, *map(np.shape, inputs), output=np.shape(y)) is not None


def test_caches_of_layers_that_a_layer_holds_are_counted():
    x = np.ones((2, 5, 3), np.float32)
    ahead, back = (LSTM.init(3, 4, rng=0, reverse=flag) for flag in (False, True))
    assert Sequential(Bidirectional(ahead, back)).summary(x).cached == 2 * Sequential(ahead).summary(x).cached > 0


def test_a_class_of_ones_own_shows_a_dash_and_makes_the_total_a_bound():
    table = Sequential(Own(), MatMul(np.ones((4, 4), np.float32))).summary(X)
    assert table.rows[0] == Row("0", "Own", (5, 4), 3, None, None)
    assert str(table).splitlines()[4].split() == ["0", "Own", "(5,", "4)", "3", "-", "-"]
    assert str(table).splitlines()[-1].split() == ["total", "19", "≥", "80", "≥", "80"]


def test_a_class_of_ones_own_may_say_its_multiply_adds():
    class Counted(Own):
        def multiply_adds(self, x, y):
            return x[0] * y[1]
    assert Sequential(Counted()).summary(X).multiply_adds == 20


def test_an_inherited_forward_keeps_its_formula_and_a_new_one_does_not():
    class Named(Affine):
        pass

    class Other(Affine):
        def forward(self, x):
            return super().forward(x)
    assert multiply_adds(Named.init(4, 3, rng=0), (5, 4), output=(5, 3)) == 60
    assert multiply_adds(Other.init(4, 3, rng=0), (5, 4), output=(5, 3)) is None


def state(model):
    """Everything that a run could change, by value."""
    layers = [model, *model.layers, model.loss]
    return ([layer.training for layer in layers], [copy.deepcopy(layer.cache) for layer in layers],
            [layer.forward.__func__ for layer in layers], [{**vars(layer), "cache": 0}.keys() for layer in layers],
            [p.copy() for p in model.params], [g.copy() for g in model.grads], model.output, model._ready)


@pytest.mark.parametrize("use", [lambda m: m.summary(X), lambda m: m.summary(X, np.zeros(5, int)), lambda m: m.to_svg(x=X)])
def test_no_trace(use):
    dropout = Dropout(0.5, rng=3)
    model = net(dropout)
    model.forward(X, np.zeros(5, int))
    before, rng = state(model), dropout.buffers["rng"].bit_generator.state
    use(model)
    np.testing.assert_equal(state(model), before)
    assert dropout.buffers["rng"].bit_generator.state == rng
    model.backward()                                     # the caches of the last forward are still there


def test_training_mode_is_measured_whatever_the_model_is_in():
    seen = []

    class Spy(Sigmoid):
        def forward(self, x):
            seen.append(self.training)
            return super().forward(x)
    model = Sequential(Spy())
    model.training = False
    model.summary(X)
    observe(model, (X,))
    assert seen == [True, False]
    assert model.training is model.layers[0].training is False


def test_a_traced_graph_keeps_its_values():
    x = Input()
    f = Graph(x, x * x, trace=True)
    f.forward(3.0)
    f.backward(1.0)
    f.summary(5.0)
    assert (float(x.value), float(x.grad)) == (3.0, 6.0)


def test_a_chain_of_thousands_of_nodes():
    x = y = Input()
    for _ in range(3000):
        y = y + 1
    assert len(Graph(x, y).summary(np.zeros(2)).rows) == 3000


def test_without_an_input():
    with refused(TypeError, "Sequential: … summary(x)…"):
        net().summary()


def test_html_is_a_table_of_the_same_cells_with_names_escaped():
    class Odd(Own):
        pass
    Odd.__name__ = "<b>&"
    table = Sequential(Odd(), *net().layers).summary(X)
    html = ET.fromstring(table._repr_html_())
    assert [tuple(cell.text or "" for cell in row) for row in html.iter("tr")] == list(table.cells())
    assert "<b>&" in str(table)
