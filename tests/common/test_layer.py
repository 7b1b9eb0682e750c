"""The base class, by layers of a few lines: what the constructor makes, what the checks let pass, what the modes change."""
from collections import OrderedDict

import numpy as np
import pytest

from chainrule.common import Layer
from chainrule.common.layer import evaluation, held, walk
from chainrule.layers import RNN, Affine, BatchNorm, Dropout, LeakyReLU, MaxPool, ReLU
from tests.errors import refused


class Scale(Layer):
    """y = a x + b."""

    def __init__(self, a, b=None, power=1, unkept=0):
        super().__init__(a=a, b=b)
        self.power = power


class Stack(Layer):
    def __init__(self, *layers):
        super().__init__()
        self.layers = layers


class Foreign:
    """A student's own class, which knows nothing of Layer."""
    params, grads = (), ()
    cache = "mine"


@pytest.fixture
def scale():
    return Scale(np.array([2.0, 3.0]), np.array([1.0, 1.0]))


class TestConstruction:
    def test_the_arrays_themselves_become_the_parameters(self):
        a, b = np.ones((2, 3), np.float32), np.ones(3, np.float32)
        layer = Scale(a, b)
        assert layer.names == ("a", "b") and layer.params[0] is a and layer.params[1] is b
        assert [g.shape for g in layer.grads] == [(2, 3), (3,)] and {g.dtype for g in layer.grads} == {np.dtype(np.float32)}
        assert not any(g.any() for g in layer.grads)

    def test_one_that_is_none_is_left_out(self):
        layer = Scale(np.ones(2))
        assert layer.names == ("a",) and len(layer.params) == len(layer.grads) == 1

    def test_without_parameters(self):
        layer = Layer()
        assert (layer.names, layer.params, layer.grads, layer.buffers, layer.cache) == ((), [], [], {}, None)
        assert layer.training is True and layer.input_gradient is True

    def test_arrays_without_a_name(self):
        class Twice(Layer):
            pass

        class Unnamed(Layer):
            def __init__(self, W):
                super().__init__(W)
        with refused(TypeError, "Twice: … without arguments … Twice() … forward(x)…"):
            Twice(np.ones(3))
        with refused(TypeError, "Unnamed: Layer.__init__ … by name … super().__init__(W=W)"):
            Unnamed(np.ones(3))

    def test_what_is_no_parameter_is_refused_by_the_name_of_the_class(self):
        with refused(TypeError, "Scale: a … NumPy … array … list … Scale.init(...)…"):
            Scale([1.0])
        with refused(TypeError, "Scale: all parameters … one dtype … float64 … float32"):
            Scale(np.ones(2), np.ones(2, np.float32))

    def test_two_layers_share_nothing_by_accident(self):
        one, other = Layer(), Layer()
        assert one.params is not other.params and one.grads is not other.grads and one.buffers is not other.buffers


class TestUnfinished:
    def test_a_layer_without_forward_or_backward_says_what_to_write(self):
        with refused(NotImplementedError, "Scale … no forward … forward(self, x)"):
            Scale(np.ones(1)).forward(np.ones(1))
        with refused(NotImplementedError, "Scale … no backward … backward(self, dout)"):
            Scale(np.ones(1)).backward(np.ones(1))


class TestAccept:
    def test_the_usual_case_is_passed_through(self, scale):
        x = np.ones((4, 2))
        for checked in (scale.accept(x), scale.accept(x, last=2), scale.accept(x, shape=("N", 2)), Layer().accept(x)):
            assert checked is x

    @pytest.mark.parametrize("x", [np.ones((4, 2), np.float32), np.ones((4, 2), int), [[1, 1]], np.ones((4, 2), bool)])
    def test_inputs_are_cast_to_the_parameters(self, scale, x):
        assert scale.accept(x, last=2).dtype == np.float64

    def test_without_parameters_a_float_keeps_its_dtype(self):
        assert Layer().accept(np.ones(2, np.float32)).dtype == np.float32
        with refused(TypeError, "Layer: x … array … int64 ndarray … x.astype(np.float32)"):
            Layer().accept(np.ones(2, np.int64))

    def test_an_array_in_the_byte_order_of_another_machine_is_cast(self, scale):
        assert scale.accept(np.ones((4, 2), ">f8"), last=2).dtype.isnative

    def test_a_subclass_becomes_a_plain_array(self, scale):
        assert type(scale.accept(np.ones((4, 2)).view(np.recarray), last=2)) is np.ndarray

    @pytest.mark.parametrize("options, message", [
        ({"last": 3}, "x … (N, ..., 3) … (4, 2)"),
        ({"shape": ("N", 3)}, "x … (N, 3) … (4, 2)"),
        ({"shape": (..., 3), "name": "b"}, "b … (..., 3) … (4, 2)")])
    def test_a_wrong_shape_is_refused(self, scale, options, message):
        with refused(ValueError, f"Scale: {message}"):
            scale.accept(np.ones((4, 2)), **options)

    @pytest.mark.parametrize("shape", [(2, 5), (4, 2, 5), (5, 2, 2, 5)])
    def test_the_last_axis_is_the_last(self, scale, shape):
        with refused(ValueError, "Scale: x … (N, ..., 2)…"):
            scale.accept(np.ones(shape), last=2)

    def test_one_axis_is_no_batch_of_rows(self, scale):
        with refused(ValueError, "Scale: x … (N, ..., 2) … (2,)…"):
            scale.accept(np.ones(2), last=2)
        assert scale.accept(np.ones((5, 4, 2)), last=2).shape == (5, 4, 2)

    def test_empty_is_refused(self, scale):
        with refused(ValueError, "Scale: x … empty … shape (0, 2)"):
            scale.accept(np.ones((0, 2)), last=2)


class TestRecall:
    def test_what_forward_left(self, scale):
        scale.cache = kept = np.ones(2)
        assert scale.recall() is kept

    def test_nothing_before_the_first_forward(self, scale):
        with refused(RuntimeError, "Scale: backward … before forward … forward(x) … predict…"):
            scale.recall()


class TestUpstream:
    def test_the_usual_case_is_passed_through(self, scale):
        dout = np.ones((4, 2))
        assert scale.upstream(dout, (4, 2), dout.dtype) is dout

    @pytest.mark.parametrize("dout", [np.ones((4, 2), np.float32), np.ones((4, 2), int), [[1, 1]] * 4])
    def test_it_is_cast_to_the_output(self, scale, dout):
        assert scale.upstream(dout, (4, 2), np.dtype(np.float64)).dtype == np.float64

    @pytest.mark.parametrize("shape", [(4, 3), (2, 4), (1, 2), (2,), (4, 2, 1)])
    def test_another_shape_is_refused_never_broadcast(self, scale, shape):
        with refused(ValueError, "Scale: dout … (4, 2)…"):
            scale.upstream(np.ones(shape), (4, 2), np.dtype(np.float64))


class TestCall:
    def test_on_arrays_it_is_forward(self):
        class Double(Layer):
            def forward(self, x, y):
                return 2 * x + y
        assert Double()(np.ones(1), np.ones(1)).tolist() == [3.0]

    def test_on_nodes_it_hands_over_to_the_node(self, scale):
        class Node:
            def connect(self, layer, *nodes):
                return self, layer, nodes
        one, other = Node(), Node()
        assert scale(one, other) == (one, scale, (one, other))
        assert scale(one) == (one, scale, (one,))

    def test_without_inputs_it_is_forward_too(self):
        class Three(Layer):
            def forward(self):
                return 3
        assert Three()() == 3


class TestRepr:
    def test_parameters_with_shapes_and_options_with_values(self, scale):
        assert repr(scale) == "Scale(a (2,), b (2,), power=1)"
        assert repr(Scale(np.ones((2, 3)), power="x")) == "Scale(a (2, 3), power='x')"
        assert repr(Layer()) == "Layer()"


class TestModels:
    def test_walk_visits_every_layer_in_order(self):
        a, b, c = Layer(), Foreign(), Layer()
        inner = Stack(b, c)
        outer = Stack(a, inner)
        assert list(walk(outer)) == [outer, a, inner, b, c]
        assert list(walk(b)) == [b]

    def test_walk_finds_layers_in_the_dict_of_the_first_book(self):
        net, a, b = Layer(), Layer(), Layer()
        net.layers, net.heads = OrderedDict(Affine1=a), OrderedDict(one=[b])
        assert list(held(net)) == [("", net), ("layers.Affine1", a), ("heads.one.0", b)]

    def test_evaluation_is_for_the_length_of_the_block(self, scale):
        frozen, foreign = Layer(), Foreign()
        frozen.training = False
        model = Stack(scale, Stack(frozen, foreign))
        for layer in (scale, frozen, model):
            layer.cache = np.ones(1)
        with evaluation(model):
            assert not any(layer.training for layer in (model, scale, frozen))
            assert not hasattr(foreign, "training")
        assert [layer.training for layer in (model, scale, frozen)] == [True, True, False]
        assert all(layer.cache is None for layer in (model, scale, frozen)) and foreign.cache == "mine"

    def test_evaluation_restores_also_after_an_error(self, scale):
        scale.cache = np.ones(1)
        with pytest.raises(KeyError), evaluation(scale):
            raise KeyError
        assert scale.training and scale.cache is None


class TestParametersByName:
    def test_reading_gives_the_arrays_of_the_lists(self):
        W, b = np.ones((3, 2)), np.zeros(2)
        layer = Affine(W, b)
        assert layer.W is W and layer.b is b and layer.dW is layer.grads[0] and layer.db is layer.grads[1]

    def test_assigning_writes_in_place(self):
        layer = Affine(np.ones((3, 2)), np.zeros(2))
        W, dW = layer.W, layer.dW
        layer.W, layer.dW = np.full((3, 2), 7), layer.dW + 1
        layer.b -= 3
        assert layer.params[0] is W and (W == 7).all() and (layer.params[1] == -3).all()
        assert layer.grads[0] is dW and (dW == 1).all()

    @pytest.mark.parametrize("value, error", [(np.ones((2, 3)), ValueError), (np.ones(2), ValueError), ("text", TypeError)])
    def test_what_does_not_fit_is_a_sentence(self, value, error):
        layer = Affine(np.ones((3, 2)))
        with refused(error, "Affine: W…"):
            layer.W = value
        assert (layer.W == 1).all()

    def test_a_layer_without_a_bias_has_none(self):
        Affine(np.ones((3, 2)), np.zeros(2))
        with refused(AttributeError, "Affine … no b"):
            _ = Affine(np.ones((3, 2))).b

    def test_an_own_layer_may_assign_before_and_after(self):
        class Mine(Layer):
            def __init__(self, W):
                self.W = W
                super().__init__(W=W)
                self.W, self.other = W, self.dW
        W = np.ones(3)
        layer = Mine(W)
        assert layer.W is W and layer.other is layer.grads[0]

    def test_a_name_that_the_class_has_stays_its_own(self):
        class Mine(Layer):
            W = "mine"
        assert Mine(W=np.ones(2)).W == "mine"


class TestNamesOfOtherBooks:
    @pytest.mark.parametrize("layer, name, here", [(ReLU(), "train_flg", "training"), (Dropout(), "dropout_ratio", "p"),
                                                   (BatchNorm.init(2), "moving_mean", "running_mean")])
    def test_attributes_say_what_they_are_called_here(self, layer, name, here):
        with refused(AttributeError, f"{type(layer).__name__} … {name} … {here}"):
            setattr(layer, name, 1)
        with refused(AttributeError, f"{type(layer).__name__} … {name} … {here}"):
            getattr(layer, name)
        assert not hasattr(layer, name)

    @pytest.mark.parametrize("make, message", [
        (lambda: MaxPool(2, pad=1), "MaxPool: … 'pad' … padding"),
        (lambda: MaxPool(pool_h=2, pool_w=2), "MaxPool: … 'pool_h' … size"),
        (lambda: Dropout(dropout_ratio=0.2), "Dropout: … 'dropout_ratio' … p"),
        (lambda: LeakyReLU(slop=0.1), "LeakyReLU: … 'slop' … slope"),
        (lambda: ReLU(inplace=True), "ReLU: … 'inplace' … none"),
    ])
    def test_arguments_do_too(self, make, message):
        with refused(TypeError, message):
            make()

    def test_an_own_layer_has_arguments_of_its_own(self):
        class Mine(Layer):
            def __init__(self, pad, **more):
                super().__init__()
                self.got = pad, more
        assert Mine(pad=3, x=1).got == (3, {"x": 1})


def test_a_state_that_is_carried_survives_evaluation():
    layer, x = RNN.init(2, 3, rng=0, stateful=True), np.ones((1, 2, 2), np.float32)
    layer.forward(x)
    carried = layer.state
    with evaluation(layer):
        assert layer.state is None
        layer.forward(2 * x)
    assert layer.state is carried
