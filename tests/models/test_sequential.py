"""Sequential: the chain rule over layers, its three calls, sharing, prediction, and what it refuses."""
import copy
from pathlib import Path

import numpy as np
import pytest

from chainrule.common import L1, L2, Layer
from chainrule.common.checks import text
from chainrule.gradcheck import check_gradients, numerical_gradient
from chainrule.layers import (
    LSTM,
    Affine,
    BatchNorm,
    Branch,
    Concatenate,
    Convolution,
    Dropout,
    Flatten,
    LayerNorm,
    LeakyReLU,
    MaxPool,
    Mean,
    MultiHeadAttention,
    Power,
    ReLU,
    Reshape,
    Sigmoid,
    SoftmaxWithLoss,
    SquaredError,
    Tanh,
    Transpose,
)
from chainrule.models import MLP, Graph, Input, Sequential
from chainrule.optimizers import SGD
from tests.errors import refused


def affine(n_in, n_out, seed=0):
    return Affine.init(n_in, n_out, rng=seed, dtype=np.float64)


def network(**options):
    return Sequential(affine(4, 6), Tanh(), affine(6, 3, 1), **({"loss": SoftmaxWithLoss()} | options))


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return rng.standard_normal((5, 4)), rng.integers(0, 3, 5)


class Plain:
    """A student's layer: no base class, no names."""

    def __init__(self, W):
        self.params, self.grads = [W], [np.zeros_like(W)]

    def forward(self, x):
        self.x = x
        return x @ self.params[0]

    def backward(self, dout):
        self.grads[0][...] = self.x.T @ dout
        return dout @ self.params[0].T


class Softened(Plain):
    """A student's layer with an option."""

    def __init__(self, n):
        super().__init__(np.ones((2, 2)))
        self.n = n


# The three calls

def test_forward_of_x_is_the_output_and_with_t_the_loss(data):
    model = network()
    x, t = data
    y = x
    for layer in model.layers:
        y = layer.forward(y)
    np.testing.assert_array_equal(model.forward(x), y)
    loss = model.forward(x, t)
    assert type(loss) is float and loss == SoftmaxWithLoss().forward(y, t)
    np.testing.assert_array_equal(model.output, y)


def test_backward_returns_nothing_unless_the_input_gradient_is_wanted(data):
    model = network()
    model.forward(*data)
    assert model.backward() is None
    dx = model.backward(input_gradient=True)
    np.testing.assert_allclose(dx, numerical_gradient(lambda x: model.forward(x, data[1]), data[0]), atol=1e-8)


def test_backward_of_dout_follows_forward_of_x(data):
    model = network()
    y = model.forward(data[0])
    dout = np.random.default_rng(1).standard_normal(y.shape)
    dx = model.backward(dout)
    np.testing.assert_allclose(dx, numerical_gradient(model.forward, data[0], dout), atol=1e-8)


def test_gradients_of_the_whole_model(data):
    assert check_gradients(network(), *data, rng=0)
    assert check_gradients(network(penalty=L2(0.3)), *data, rng=0)
    assert check_gradients(network(), data[0], rng=0)


def test_leaving_out_the_input_gradient_changes_no_parameter_gradient(data):
    models = [Sequential(Flatten(), affine(4, 6), Tanh(), affine(6, 3, 1), loss=SoftmaxWithLoss()) for _ in range(2)]
    for model, wanted in zip(models, (False, True), strict=True):
        model.forward(*data)
        model.backward(input_gradient=wanted)
    for a, b in zip(models[0].grads, models[1].grads, strict=True):
        np.testing.assert_array_equal(a, b)
    assert all(layer.input_gradient for layer in models[0].layers)


def test_the_input_gradient_flag_comes_back_after_an_error(data):
    model = network()
    model.forward(*data)
    model.layers[1]._made = None
    with pytest.raises(RuntimeError):
        model.backward()
    assert model.layers[0].input_gradient


def test_a_class_in_place_of_a_loss_or_a_penalty_is_refused():
    with refused(TypeError, "Sequential: loss … object … loss=SoftmaxWithLoss(...) … the class SoftmaxWithLoss"):
        network(loss=SoftmaxWithLoss)
    with refused(TypeError, "Sequential: penalty … object … penalty=L2(...) … the class L2"):
        network(penalty=L2)
    for name, part, example in ("loss", "softmax", "SoftmaxWithLoss()"), ("penalty", 0.01, "L2(0.01)"):
        with refused(TypeError, f"Sequential: {name} … None … object … {name}={example} … {part!r}"):
            network(**{name: part})
    x = Input()
    with refused(TypeError, "Graph: loss … object…"):
        Graph(x, affine(4, 3)(x), loss=SoftmaxWithLoss)


def test_calls_in_the_wrong_order_are_refused(data):
    model = network()
    with refused(RuntimeError, "Sequential: backward … forward…"):
        model.backward()
    model.forward(data[0])
    with refused(RuntimeError, "Sequential: … backward() … forward(x, t)…"):
        model.backward()
    with refused(RuntimeError, "Sequential: … loss…"):
        network(loss=None).forward(*data)
    model.forward(*data)
    with pytest.raises(ValueError):
        model.forward(data[0][:, :2], data[1])
    with refused(RuntimeError, "Sequential: backward … forward…"):
        model.backward()


# Lists

def test_params_and_grads_pair_over_all_layers_and_name_them():
    model = Sequential(affine(4, 6), Sequential(Tanh(), affine(6, 5, 1)), Plain(np.ones((5, 2))))
    assert model.names == ("0.W", "0.b", "1.1.W", "1.1.b", "2.params.0")
    assert [p.shape for p in model.params] == [g.shape for g in model.grads] == [(4, 6), (6,), (6, 5), (5,), (5, 2)]
    assert model.params[2] is model.layers[1].layers[1].params[0]
    assert model.grads[4] is model.layers[2].grads[0]


def test_a_model_inside_a_model_trains_like_the_flat_one(data):
    flat = network()
    nested = Sequential(Sequential(affine(4, 6), Sequential(Tanh())), affine(6, 3, 1), loss=SoftmaxWithLoss())
    for model in (flat, nested):
        optimizer = SGD(0.5)
        for _ in range(3):
            loss = model.forward(*data)
            model.backward()
            optimizer.update(model.params, model.grads)
        model.last = loss
    assert flat.last == nested.last
    for p, q in zip(flat.params, nested.params, strict=True):
        np.testing.assert_array_equal(p, q)


def test_a_students_class_works_as_a_layer(data):
    model = Sequential(affine(4, 6), Plain(np.random.default_rng(0).standard_normal((6, 3))), loss=SoftmaxWithLoss())
    assert check_gradients(model, *data, rng=0)
    assert Sequential(Plain(np.ones((4, 3))), loss=SoftmaxWithLoss()).forward(*data) > 0


# Shared weights

@pytest.mark.parametrize("transposed", [False, True])
def test_a_shared_weight_is_listed_once_and_its_gradient_is_the_sum(transposed, data):
    rng = np.random.default_rng(0)
    W = rng.standard_normal((4, 4))
    view = W.T if transposed else W[:]
    first, second = Affine(W, np.zeros(4)), Affine(view, None)
    model = Sequential(first, Tanh(), second, loss=SquaredError(), penalty=L2(0.1))
    assert len(model.params) == 2 and model.params[0] is W
    x, t = data[0], rng.standard_normal((5, 4))
    model.forward(x, t)
    model.backward()
    expected = numerical_gradient(lambda V: with_value(model, W, V, x, t), W)
    np.testing.assert_allclose(model.grads[0], expected, atol=1e-7)
    assert not np.shares_memory(model.grads[0], first.grads[0])


def with_value(model, W, value, x, t):
    kept, W[...] = W.copy(), value
    loss = model.forward(x, t)
    W[...] = kept
    return loss


def test_equal_values_are_not_sharing():
    assert len(Sequential(affine(4, 4), affine(4, 4)).params) == 4


def test_weights_shared_with_a_nested_model():
    W = np.random.default_rng(0).standard_normal((4, 4))
    model = Sequential(Sequential(Affine(W, None), Tanh()), Affine(W.T, None), loss=SquaredError())
    assert [p is W for p in model.params] == [True]
    assert check_gradients(model, np.ones((5, 4)), np.zeros((5, 4)), rng=0)


def test_partial_overlap_is_an_error():
    W = np.ones((6, 4))
    with refused(ValueError, "… 0.W and 1.W overlap…"):
        Sequential(Affine(W[:4], None), Affine(W[2:6], None))


# Penalties

@pytest.mark.parametrize("penalty", [L1(0.2), L2(0.2)])
def test_the_penalty_is_in_the_loss_and_in_the_gradients_of_weights_only(penalty, data):
    plain, penalised = network(), network(penalty=penalty)
    weights = [p for p in plain.params if p.ndim > 1]
    s = 0.2 * sum(np.abs(W).sum() for W in weights) if isinstance(penalty, L1) else 0.1 * sum((W * W).sum() for W in weights)
    assert penalised.forward(*data) == pytest.approx(plain.forward(*data) + s)
    plain.backward()
    penalised.backward()
    for p, g, h in zip(plain.params, plain.grads, penalised.grads, strict=True):
        slope = np.sign(p) if isinstance(penalty, L1) else p
        np.testing.assert_allclose(h - g, 0.2 * slope if p.ndim > 1 else 0, atol=1e-12)


def test_a_scaled_loss_scales_its_penalty(data):
    model = network(penalty=L2(0.2))
    model.forward(*data)
    model.backward()
    grads = copy.deepcopy(model.grads)
    model.backward(3.0)
    for g, h in zip(model.grads, grads, strict=True):
        np.testing.assert_allclose(g, 3 * h)


def test_a_penalty_inside_another_model_is_refused():
    with refused(ValueError, "… penalty…"):
        Sequential(network(penalty=L2(0.1)))


# Prediction

def test_predict_runs_in_evaluation_mode_and_leaves_no_trace(data):
    model = Sequential(affine(4, 6), Dropout(0.5, rng=0), Sequential(affine(6, 3, 1), Dropout(0.5, rng=1)),
                       loss=SoftmaxWithLoss())
    frozen = model.layers[1]
    frozen.training = False
    state = frozen.buffers["rng"].bit_generator.state
    expected = model.layers[2].layers[0].forward(model.layers[0].forward(data[0]))
    np.testing.assert_allclose(model.predict(data[0]), expected)
    np.testing.assert_allclose(model.predict(data[0], batch_size=2), expected)
    assert model.training and not frozen.training and model.layers[2].layers[1].training
    assert frozen.buffers["rng"].bit_generator.state == state
    assert all(layer.cache is None for layer in model.layers)
    with refused(RuntimeError, "… backward … forward … predict…"):
        model.backward()


def test_after_predict_there_is_nothing_to_go_back_from():
    """Also where the layers are no Layers, and keep what they saw."""
    model, x = Sequential(Plain(np.eye(4)), loss=SquaredError()), np.ones((5, 4))
    model.forward(x, x)
    model.predict(x)
    assert model.output is None
    with refused(RuntimeError, "… backward … forward … predict…"):
        model.backward()


def test_samples_predicted_in_parts_do_not_follow_each_other():
    model = Sequential(LSTM.init(3, 4, stateful=True, rng=0, dtype=np.float64))
    x = np.random.default_rng(0).standard_normal((4, 5, 3))
    np.testing.assert_allclose(model.predict(x, batch_size=2), model.predict(x), rtol=1e-12)


def test_a_model_that_is_told_that_nobody_wants_its_input_gradient_calculates_none():
    first = affine(4, 6)
    inner, seen = Sequential(first, Tanh()), []
    outer = Sequential(inner, affine(6, 3, 1), loss=SoftmaxWithLoss())
    back = first.backward
    first.backward = lambda dout: seen.append(first.input_gradient) or back(dout)
    outer.forward(np.ones((2, 4)), np.array([0, 1]))
    outer.backward()
    outer.backward(input_gradient=True)
    assert seen == [False, True]


def test_a_layer_told_by_its_user_to_calculate_none_stays_so(data):
    first = affine(4, 6)
    model, first.input_gradient = Sequential(first, affine(6, 3, 1), loss=SoftmaxWithLoss()), False
    model.forward(*data)
    model.backward()
    assert not first.input_gradient and model.layers[1].input_gradient


def test_a_loss_for_each_row(data):
    (x, t), apart, mean = data, network(loss=SoftmaxWithLoss(reduction="none")), network()
    losses = apart.forward(x, t)
    assert losses.shape == (5,) and losses.mean() == pytest.approx(mean.forward(x, t), rel=1e-14)
    apart.backward()                                         # of the sum
    mean.backward(5.0)
    for g, expected in zip(apart.grads, mean.grads):
        np.testing.assert_allclose(g, expected, rtol=1e-12, atol=1e-15)
    apart.backward(np.full(5, 0.2))
    mean.backward()
    for g, expected in zip(apart.grads, mean.grads):
        np.testing.assert_allclose(g, expected, rtol=1e-12, atol=1e-15)
    with refused(ValueError, "Sequential: penalty … None … L2(lam=0.1)"):
        network(loss=SoftmaxWithLoss(reduction="none"), penalty=L2(0.1))


def test_weights_of_rows_without_a_loss_are_refused(data):
    with refused(TypeError, "Sequential: weight … None … one…"):
        network().forward(data[0], weight=np.ones(5))


def test_predict_restores_the_mode_when_it_fails():
    model = network()
    with pytest.raises(ValueError):
        model.predict(np.ones((5, 3)))
    assert model.training and all(layer.training for layer in model.layers)


# What is refused

def test_one_layer_at_two_places_is_refused_with_the_way_to_share():
    layer = affine(4, 4)
    with refused(ValueError, "… one Affine … two places … 0 and 2 … Affine…"):
        Sequential(layer, Tanh(), layer)
    with refused(ValueError, "… one Affine … two places…"):
        Sequential(layer, Sequential(Tanh(), layer))


def test_what_is_no_layer_is_refused():
    with refused(TypeError, "… layer 1 … class ReLU … ReLU(...)…"):
        Sequential(affine(4, 4), ReLU)
    with refused(TypeError, "… layer 0 (function) … forward, backward, params, grads…"):
        Sequential(affine)
    with refused(ValueError, "Sequential: … at least one layer…"):
        Sequential()
    with refused(TypeError, "Sequential: … layers … list … Sequential(*layers)"):
        Sequential([affine(4, 4), Tanh()])
    with refused(TypeError, "Sequential: layer 1 … loss … loss=SquaredError()"):
        Sequential(affine(4, 4), SquaredError())

    class Forgetful(Layer):
        def __init__(self):
            pass
    with refused(TypeError, "… params, grads … super().__init__()…"):
        Sequential(Forgetful())

    unpaired = Plain(np.ones((3, 3)))
    unpaired.grads = [np.zeros(3)]
    with refused(ValueError, "… layer 0 (Plain): grads[0] … params[0]…"):
        Sequential(unpaired)
    unpaired.grads = []
    with refused(ValueError, "… 1 params … 0 grads…"):
        Sequential(unpaired)


def rebind_list(layer):
    layer.grads = [g.copy() for g in layer.grads]


def rebind_array(layer):
    layer.grads[0] = layer.grads[0].copy()


def rebind_parameter(layer):
    layer.params[0] = layer.params[0].copy()


def lengthen(layer):
    layer.grads.append(np.zeros(1))


@pytest.mark.parametrize("rebind, name", [
    (rebind_list, "grads"), (rebind_array, "grads"), (rebind_parameter, "params"), (lengthen, "grads")])
def test_a_rebound_list_or_array_is_found(rebind, name, data):
    model = network()
    model.forward(*data)
    rebind(model.layers[2])
    with refused(RuntimeError, f"… layer 2 (Affine) … {name} … self.{name}[i][...]…"):
        model.backward()


def replace_each(model):
    model.params[:] = [p - 0.1 * g for p, g in zip(model.params, model.grads)]


def replace_list(model):
    model.params = [p - 0.1 * g for p, g in zip(model.params, model.grads)]


def replace_gradient(model):
    model.grads[1] = model.grads[1] / 2


@pytest.mark.parametrize("replace, name", [
    (replace_each, "params[0]"), (replace_list, "params[0]"), (replace_gradient, "grads[1]")])
def test_a_step_that_replaces_arrays_of_the_model_is_refused(replace, name, data, tmp_path):
    model = network()
    model.forward(*data)
    model.backward()
    replace(model)
    model.forward(*data)
    message = f"Sequential: {name} … replaced … {name}[...] = value"
    with refused(RuntimeError, message):
        model.backward()
    if "params" in name:
        with refused(RuntimeError, message):
            model.save(tmp_path / "m")
    else:
        model.save(tmp_path / "m")


def test_parameters_taken_from_the_lists_stand_still_and_are_saved(data, tmp_path):
    model = network()
    del model.params[:2], model.grads[:2]
    model.forward(*data)
    model.backward()
    model.save(tmp_path / "m")
    network().load(tmp_path / "m")


@pytest.mark.parametrize("change", [lambda layers: layers.append(affine(3, 3)), lambda layers: layers.pop(),
                                    lambda layers: layers.__setitem__(2, affine(6, 3))])
def test_layers_changed_after_construction_are_refused(change, data, tmp_path):
    inner = Sequential(affine(4, 6), Tanh(), affine(6, 3))
    model = Sequential(inner, loss=SquaredError())
    change(inner.layers)
    for call in (lambda: model.save(tmp_path / "m"),
                 lambda: model.forward(data[0], np.zeros_like(model.forward(data[0]))) and model.backward()):
        with refused(RuntimeError, "Sequential: … layers … make a new model…"):
            call()


def test_an_error_names_the_layer_and_its_place(data):
    model = Sequential(affine(4, 6), Sequential(ReLU(), affine(5, 3)))
    with refused(ValueError, "Affine: x … (N, ..., 5) … (5, 6)…") as caught:
        model.forward(data[0])
    assert caught.value.__notes__ == ["in layer 1 of Sequential: Affine", "in layer 1 of Sequential: Sequential"]


class Careless(Plain):
    """A student's layer that fails in its own lines."""

    def forward(self, x):
        return x + np.ones(5)


def test_a_traceback_shows_the_lines_of_the_user_and_no_others(data):
    here = Path(__file__).name
    for layer, files in ((affine(5, 3), [here]), (Careless(np.ones((4, 4))), [here, here])):
        model = Sequential(affine(4, 4), Sequential(ReLU(), layer), loss=SquaredError())
        for call in (model.forward, model.predict):
            with pytest.raises(ValueError) as caught:
                call(data[0])
            shown = [Path(frame.path).name for frame in caught.traceback]
            assert [name for name in shown if name == here] == files
            assert call == model.predict or shown == files
            assert caught.value.__notes__[-1] == "in layer 1 of Sequential: Sequential"


def test_an_error_of_the_loss_names_no_layer(data):
    model = Sequential(affine(4, 4), loss=SquaredError())
    with refused(ValueError, "SquaredError: t…") as caught:
        model.forward(data[0], np.ones((2, 2)))
    assert not hasattr(caught.value, "__notes__")


def test_reset_states_lets_the_layers_begin_anew():
    model = Sequential(Sequential(LSTM.init(3, 4, rng=0, stateful=True)))
    x = np.ones((2, 5, 3), np.float32)
    first, second = model.forward(x), model.forward(x)
    model.reset_states()
    assert not np.array_equal(first, second) and np.array_equal(model.forward(x), first)


def test_a_parameter_appended_later_is_a_parameter(data):
    layer = affine(4, 3)
    layer.params.append(np.ones(2))
    layer.grads.append(np.zeros(2))
    model = Sequential(layer)
    assert model.params[2] is layer.params[2] and model.names == ("0.W", "0.b", "0.params.2")


# On disk

def test_save_and_load_give_the_same_model(tmp_path, data):
    def make(seed):
        return Sequential(affine(4, 6, seed), Dropout(0.5, rng=seed), Plain(np.random.default_rng(seed).standard_normal((6, 3))),
                          loss=SoftmaxWithLoss())
    saved, loaded = make(0), make(1)
    saved.forward(*data)
    saved.save(tmp_path / "model.safetensors")
    arrays = list(loaded.params)
    loaded.load(tmp_path / "model.safetensors")
    assert all(p is q for p, q in zip(loaded.params, arrays, strict=True))
    assert loaded.forward(*data) == saved.forward(*data)          # the generator went with the rest
    from safetensors.numpy import load_file
    assert sorted(load_file(tmp_path / "model.safetensors")) == ["0.W", "0.b", "2.params.0"]
    loaded.load(tmp_path / "model.safetensors")
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model.safetensors").read_bytes()


def test_a_transposed_weight_is_saved_as_it_looks(tmp_path):
    W = np.arange(12.0).reshape(3, 4)
    Sequential(Affine(W.T, None)).save(tmp_path / "m")
    other = Sequential(Affine(np.zeros((4, 3)), None))
    other.load(tmp_path / "m")
    np.testing.assert_array_equal(other.params[0], W.T)


def test_a_file_that_does_not_fit_changes_nothing(tmp_path):
    Sequential(affine(4, 6), affine(6, 3)).save(tmp_path / "m")
    for other, message in (
            (Sequential(affine(4, 6)), "layer 1 … missing … Affine…"),
            (Sequential(affine(4, 6), Affine(np.ones((6, 3)), None)),
             "1.b … missing … (3,)…"),
            (Sequential(affine(4, 6), affine(6, 2)),
             "1.W … (6, 2) … (6, 3)…")):
        before = copy.deepcopy(other.params)
        with refused(ValueError, f"{tmp_path / 'm'} … Sequential: {message}"):
            other.load(tmp_path / "m")
        for p, q in zip(other.params, before, strict=True):
            np.testing.assert_array_equal(p, q)


class Squash(Tanh):
    """A student's layer: y = 1.7 tanh(x)."""

    def forward(self, x):
        return 1.7 * super().forward(x)


def test_the_classes_of_layers_are_compared(tmp_path):
    def make(*layers):
        return Sequential(affine(4, 4), Sequential(*layers), affine(4, 4, 1))
    saved = make(ReLU(), Squash())
    saved.save(tmp_path / "m")
    make(ReLU(), Squash()).load(tmp_path / "m")
    for layers, message in (((Tanh(), Squash()), "layer 1.0 … Tanh … ReLU…"),
                            ((ReLU(), Tanh()), "layer 1.1 … Tanh … Squash…"),
                            ((ReLU(),), "layer 1.1 … missing … Squash…"),
                            ((ReLU(), Squash(), Tanh()), "layer 1.2 … Tanh … missing…")):
        other = make(*layers)
        other.params[0][...] = 0
        with refused(ValueError, f"{tmp_path / 'm'} … Sequential: {message}"):
            other.load(tmp_path / "m")
        assert not other.params[0].any()


def test_a_model_is_compared_by_its_layers_not_by_its_own_class(tmp_path):
    model = MLP([4, 6, 3], rng=0)
    model.save(tmp_path / "m")
    other = Sequential(Flatten(), Affine.init(4, 6), ReLU(), Affine.init(6, 3))
    other.load(tmp_path / "m")
    np.testing.assert_array_equal(model.params[0], other.params[0])


def test_options_that_shape_the_output_are_saved_too(tmp_path):
    def make(heads, size=2):
        inner = Sequential(Convolution.init(1, 2, 3, padding="same", rng=0), MaxPool(size))
        return Sequential(inner, MultiHeadAttention.init(4, heads, rng=0))
    saved = make(2)
    saved.save(tmp_path / "m")
    make(2).load(tmp_path / "m")
    for other, message in ((make(4), "1.heads … 4 … 2…"),
                           (make(2, size=3), "0.1.size … [3, 3] … [2, 2]…")):
        with refused(ValueError, f"{tmp_path / 'm'} … Sequential: {message}"):
            other.load(tmp_path / "m")


@pytest.mark.parametrize("make, option", [
    (lambda causal: MultiHeadAttention.init(4, 2, causal=causal, rng=0), {"causal": (False, True)}),
    (lambda reverse: LSTM.init(3, 4, reverse=reverse, rng=0), {"reverse": (False, True)}),
    (lambda groups: Convolution(np.ones((4, 2, 3, 3)), groups=groups), {"groups": (1, 2)}),
    (lambda stride: MaxPool(2, stride), {"stride": (1, 2)}),
    (lambda padding: Convolution(np.ones((4, 2, 3, 3)), padding=padding), {"padding": (1, "same")}),
    (lambda dilation: Convolution(np.ones((4, 2, 3, 3)), dilation=dilation), {"dilation": (1, (1, 2))}),
    (LeakyReLU, {"slope": (0.1, 0.2)}), (Power, {"exponent": (2, 3)}), (Branch, {"n": (2, 3)}), (Softened, {"n": (2, 3)}),
    (Concatenate, {"axis": (1, -1)}), (lambda keepdims: Mean(1, keepdims), {"keepdims": (True, False)}),
    (Transpose, {"axes": (None, (0, 2, 1))}), (Reshape, {"shape": ((-1, 2, 2), (-1, 4))}),
    (lambda eps: LayerNorm(np.ones(4), np.ones(4), eps), {"eps": (1e-5, 1e-3)})])
def test_each_option_is_compared(tmp_path, make, option):
    (name, values), = option.items()
    saved, other = (Sequential(affine(4, 4), make(value)) for value in values)
    saved.save(tmp_path / "m")
    saved.load(tmp_path / "m")
    with refused(ValueError, f"{tmp_path / 'm'} … Sequential: 1.{name} … in the model … in the file"):
        other.load(tmp_path / "m")


def test_an_option_that_json_does_not_know_is_not_compared(tmp_path):
    for n in (np.ones(2), object()):
        Sequential(Softened(n)).save(tmp_path / "m")
        Sequential(Softened(np.zeros(3))).load(tmp_path / "m")


def test_what_a_layer_notes_while_it_runs_is_no_option(tmp_path):
    class Noting(Plain):
        def forward(self, x):
            self.size, self.n = x.size, len(x)
            return super().forward(x)
    models = [Sequential(Noting(np.ones((2, 2)))) for _ in range(2)]
    for model, N in zip(models, (3, 4)):
        model.forward(np.ones((N, 2)))
    models[0].save(tmp_path / "m")
    models[1].load(tmp_path / "m")


def test_options_that_count_in_training_alone_may_differ(tmp_path):
    def make(p, momentum, flag):
        ones = np.ones(4, np.float32)
        return Sequential(LSTM.init(4, 4, rng=0, stateful=flag), MultiHeadAttention.init(4, 2, rng=0, dropout=p),
                          BatchNorm(ones, ones, momentum, unbiased=flag), Dropout(p, rng=0))
    make(0.5, 0.1, False).save(tmp_path / "m")
    make(0.2, 0.3, True).load(tmp_path / "m")


@pytest.mark.parametrize("texts", [None, {"format": "np"}, {"options": "{}"}, {"chainrule": '{"options": {}}'}])
def test_a_file_of_another_program_is_refused(texts, tmp_path):
    from safetensors.numpy import save_file
    model = Sequential(affine(4, 4))
    save_file({name: 0 * p for name, p in zip(model.names, model.params)}, tmp_path / "m", metadata=texts)
    with refused(ValueError, f"Sequential.load: {tmp_path / 'm'}…"):
        model.load(tmp_path / "m")
    assert model.params[0].any()


@pytest.mark.parametrize("path", [None, 3, b"m", ["m"], np.zeros(2)])
def test_what_is_not_a_path(path):
    for name in ("save", "load"):
        with refused(TypeError, f"Sequential.{name}: path … str … Path … {text(path)}"):
            getattr(Sequential(ReLU()), name)(path)


def test_a_file_that_is_not_there(tmp_path):
    with refused(FileNotFoundError, f"Sequential.load: … {tmp_path / 'm'}"):
        Sequential(ReLU()).load(tmp_path / "m")


class Remembering(Plain):
    """A student's layer with state in its buffers."""

    def __init__(self, **buffers):
        super().__init__(np.ones((2, 2)))
        self.buffers = buffers


def test_numbers_among_the_buffers(tmp_path):
    buffers = {"seen": 3, "mean": np.float64(0.5), "last": [1, 2], "array": np.array(2.0)}
    Sequential(Remembering(**buffers)).save(tmp_path / "m")
    array = np.array(0.0)
    other = Remembering(seen=0, mean=np.float64(0), last=[0, 0], array=array)
    Sequential(other).load(tmp_path / "m")
    assert other.buffers == buffers and [type(value) for value in other.buffers.values()] == [int, np.float64, list, np.ndarray]
    assert other.buffers["array"] is array


def test_a_buffer_that_no_file_can_keep(tmp_path):
    for value, name in ((None, "NoneType"), ("abc", "str"), (np.random.RandomState(0), "RandomState")):
        with refused(TypeError, "Sequential.save: buffer 0.state … array … numpy.random.Generator …"
                                + name):
            Sequential(Remembering(state=value)).save(tmp_path / "m")


def test_a_generator_of_another_kind_changes_nothing(tmp_path):
    saved = Remembering(rng=np.random.Generator(np.random.MT19937(0)))
    saved.params[0][...] = 2
    Sequential(saved).save(tmp_path / "m")
    for value, kind in ((np.random.default_rng(0), "a PCG64 generator"), (np.ones(2), "an array of shape (2,)")):
        other = Sequential(Remembering(rng=value))
        with refused(ValueError, f"{tmp_path / 'm'} … Sequential: 0.rng … {kind} … MT19937 generator…"):
            other.load(tmp_path / "m")
        assert (other.params[0] == 1).all()


@pytest.mark.parametrize("nested", [False, True])
def test_an_array_that_a_layer_replaced_is_not_lost_without_a_word(nested, tmp_path):
    layer = affine(3, 3)
    model = Sequential(Sequential(layer)) if nested else Sequential(layer)
    model.save(tmp_path / "m")
    layer.grads[0] = np.ones((3, 3))          # of no concern to a file
    model.save(tmp_path / "m")
    layer.params[0] = np.ones((3, 3))
    for call in model.save, model.load:
        with refused(RuntimeError, "… layer 0 (Affine) … params…"):
            call(tmp_path / "m")


def test_what_is_no_whole_file_is_refused_in_words(tmp_path):
    model = Sequential(affine(4, 3))
    model.save(tmp_path / "whole")
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("a model should stand here")
    (tmp_path / "cut").write_bytes((tmp_path / "whole").read_bytes()[:-4])
    for name in "empty", "text", "cut", ".":
        with refused(ValueError, f"Sequential.load: {tmp_path / name} … save … whole…"):
            model.load(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        model.load(tmp_path / "nothing")


def test_a_path_that_is_no_place_for_a_file_is_refused_in_words(tmp_path):
    with refused(FileNotFoundError, f"Sequential.save: … folder {tmp_path / 'new'}…"):
        Sequential(affine(4, 3)).save(tmp_path / "new" / "m")
    with refused(IsADirectoryError, f"Sequential.save: {tmp_path} … folder…"):
        Sequential(affine(4, 3)).save(tmp_path)
    assert not list(tmp_path.iterdir())


def test_repr_lists_the_layers():
    text = repr(Sequential(affine(4, 6), Sequential(Sigmoid()), loss=SquaredError(), penalty=L2(0.1)))
    assert text == ("Sequential(\n  0: Affine(W (4, 6), b (6,))\n  1: Sequential(\n    0: Sigmoid()\n  )\n"
                    "  loss: SquaredError()\n  penalty: L2(lam=0.1)\n)")


class Gains:
    """A user's layer, which computes dL/dx whether anyone reads it or not."""

    def __init__(self):
        self.params, self.grads = [np.full(6, 2.0)], [np.zeros(6)]

    def forward(self, x):
        self.x = x
        return x * self.params[0]

    def backward(self, dout):
        self.grads[0][...] = (dout * self.x).sum(axis=0)
        return dout * self.params[0]


def test_a_model_inside_another_returns_its_input_gradient_or_none():
    """Its lowest layer is frozen: what reaches the one above is not the gradient of its input."""
    inner = Sequential(affine(4, 6), Gains())
    outer = Sequential(inner, affine(6, 3, 2), loss=SoftmaxWithLoss())
    inner.freeze("0")
    returned, backward = [], inner.backward
    inner.backward = lambda *arguments: returned.append(backward(*arguments)) or returned[-1]
    x, t = np.ones((2, 4)), np.array([0, 1])
    for wanted in False, True:
        outer.forward(x, t)
        outer.backward(input_gradient=wanted)
    assert returned[0] is None and returned[1].shape == x.shape


def test_arrays_are_related_by_memory_never_by_value():
    from chainrule.models.sharing import relation
    W = np.ones((2, 3))
    others = W, W.T, W[:1], W.copy()
    assert [relation(W, other) for other in others] == ["same", "transposed", "overlap", None]
