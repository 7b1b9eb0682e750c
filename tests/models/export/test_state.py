"""PyTorch's names and layouts: what its modules compute from a state, ours compute from it, gradients included.

The values of PyTorch are in data/torch.npz, made by tests/make_torch_export.py; where torch is installed it is asked itself.
"""
import pickle
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from chainrule import layers as L
from chainrule.common import Layer
from chainrule.models import MLP, LanguageModel, LeNet, ResNet, Sequential, load_torch_state, to_torch_state
from chainrule.models.export.state import entries, grouped, terms, translated
from tests.errors import refused
from tests.models.export.zoo import LAYERS, ZOO, zoo

WHO = "load_torch_state"
DATA = np.load(Path(__file__).with_name("data") / "torch.npz")
F64 = {"dtype": np.float64, "rng": 0}
MODULES = {
    "Linear": lambda: L.Affine.init(4, 3, **F64),
    "Conv2d": lambda: L.Convolution.init(4, 6, (3, 2), stride=2, padding=1, groups=2, **F64),
    "BatchNorm2d": lambda: L.BatchNorm.init(3, dtype=np.float64),
    "LayerNorm": lambda: L.LayerNorm.init(5, dtype=np.float64),
    "Embedding": lambda: L.Embedding.init(7, 3, **F64),
    "RNN": lambda: L.RNN.init(3, 4, **F64),
    "LSTM": lambda: L.LSTM.init(3, 4, **F64),
    "GRU": lambda: L.GRU.init(3, 4, **F64),
    "LSTM, bidirectional": lambda: L.Bidirectional.init(L.LSTM, 3, 4, **F64),
    "MultiheadAttention": lambda: L.MultiHeadAttention.init(6, 2, **F64),
    "lenet": lambda: small_lenet(),
}


def small_lenet():
    return Sequential(
        L.Convolution.init(1, 2, 5, padding=2, **F64), L.ReLU(), L.MaxPool(2), L.Convolution.init(2, 4, 5, **F64), L.ReLU(),
        L.MaxPool(2), L.Flatten(), L.Affine.init(4, 8, **F64), L.ReLU(), L.Affine.init(8, 6, **F64), L.ReLU(),
        L.Affine.init(6, 3, **F64), loss=L.SoftmaxWithLoss())


def stored(name):
    """What stands under a name in the file of PyTorch's values, as a dict."""
    return {key.removeprefix(f"{name}/"): DATA[key] for key in DATA.files if key.startswith(f"{name}/")}


def same(a, b, tolerance=1e-9):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", MODULES)
def test_outputs_and_all_gradients_are_those_of_pytorch(name):
    layer, values = MODULES[name](), stored(name)
    load_torch_state(layer, stored(f"{name}/state"))
    x = np.array([[3, 1, 3], [0, 6, 2]]) if name == "Embedding" else values["x0"]
    same(layer.forward(x), values["y"])
    dx = layer.backward(values["dout"])
    if name != "Embedding":
        same(dx, values["dx0"])
    mine = [g for path, one, arrays in entries_of(layer) for g in translated(one, gradients(one, arrays)).items()
            if "running" not in g[0] and "num" not in g[0]]
    theirs = stored(f"{name}/grad")
    assert len(mine) == len(theirs)
    for (key, ours), (_, expected) in zip(mine, theirs.items()):
        if "bias_hh" in key and not ours.any():                 # of two biases that are added up, ours is one
            ours = dict(mine)[key.replace("hh", "ih")]
        same(ours, expected, 1e-6)
    for key, after in stored(f"{name}/after").items():
        same(to_torch_state(layer)[key], after)


def entries_of(model):
    return [(part.path, part.layer, part.ours) for part in entries(model)]


def gradients(layer, arrays):
    return {name: layer.grads[i] for i, name in enumerate(layer.names) if name in arrays}


def test_a_language_model_of_pytorch_has_the_same_loss_here():
    values, state = stored("language model"), stored("language model/state")
    model = LanguageModel(11, 4, 5, depth=2, stateful=False, rng=0, dtype=np.float64)
    load_torch_state(model, state)
    same(model.forward(values["x0"], values["x1"]), values["y"])


@pytest.mark.parametrize("names", [
    None, {"features.0": "0", "features.3": "3", "classifier.0": "7", "classifier.2": "9", "classifier.4": "11"}])
def test_a_network_with_names_of_its_own_is_read_in_order_or_as_the_names_say(names):
    model, values, state = small_lenet(), stored("lenet"), stored("lenet/state")
    assert list(state)[0] == "features.0.weight"
    if names:
        state = dict(reversed(state.items()))
    load_torch_state(model, state, names)
    same(model.predict(values["x0"]), values["y"])


KEYS = {
    "Affine": {"weight": (3, 7), "bias": (3,)}, "MatMul, W": {"weight": (3, 7)},
    "Convolution, groups": {"weight": (4, 1, 3, 3), "bias": (4,)}, "Convolution1D, no bias": {"weight": (3, 4, 2)},
    "TransposedConvolution": {"weight": (3, 4, 3, 2), "bias": (4,)},
    "Embedding": {"weight": (4, 3)}, "EmbeddingDot": {"weight": (4, 3)}, "PositionalEncoding, learned": {"weight": (6, 5)},
    "LayerNorm": {"weight": (7,), "bias": (7,)}, "GroupNorm": {"weight": (6,), "bias": (6,)},
    "BatchNorm": {"weight": (4,), "bias": (4,), "running_mean": (4,), "running_var": (4,), "num_batches_tracked": ()},
    "RNNCell": {"weight_ih": (5, 3), "weight_hh": (5, 5), "bias_ih": (5,), "bias_hh": (5,)},
    "LSTMCell": {"weight_ih": (20, 3), "weight_hh": (20, 5), "bias_ih": (20,), "bias_hh": (20,)},
    "GRUCell": {"weight_ih": (15, 3), "weight_hh": (15, 5), "bias_ih": (15,), "bias_hh": (15,)},
    "RNN": {"weight_ih_l0": (5, 3), "weight_hh_l0": (5, 5), "bias_ih_l0": (5,), "bias_hh_l0": (5,)},
    "LSTM": {"weight_ih_l0": (20, 3), "weight_hh_l0": (20, 5), "bias_ih_l0": (20,), "bias_hh_l0": (20,)},
    "GRU": {"weight_ih_l0": (15, 3), "weight_hh_l0": (15, 5), "bias_ih_l0": (15,), "bias_hh_l0": (15,)},
    "Bidirectional, GRU": {
        f"{name}_l0{end}": shape for end in ("", "_reverse")
        for name, shape in (("weight_ih", (15, 3)), ("weight_hh", (15, 5)), ("bias_ih", (15,)), ("bias_hh", (15,)))},
    "MultiHeadAttention, itself": {
        "in_proj_weight": (18, 6), "in_proj_bias": (18,), "out_proj.weight": (6, 6), "out_proj.bias": (6,)},
}


def test_every_layer_with_parameters_has_pytorchs_names_and_shapes():
    for name, keys in KEYS.items():
        state = to_torch_state(LAYERS[name].make(np.float64))
        assert {key: array.shape for key, array in state.items()} == keys, name
    classes = {name.partition(",")[0] for name, case in LAYERS.items() if case.make(np.float64).params}
    assert classes == {name.partition(",")[0] for name in KEYS}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", [name for name, case in LAYERS.items() if case.make(np.float64).params])
def test_there_and_back_every_bit_is_the_same(name, dtype):
    layer, other = (LAYERS[name].make(dtype) for _ in range(2))
    for p in layer.params:
        p *= -1
        p.flat[:2] = [-0.0, 1e-30]
    state = to_torch_state(layer)
    assert all(a.dtype == dtype or key == "num_batches_tracked" for key, a in state.items())
    load_torch_state(other, state)
    assert [p.tobytes() for p in layer.params] == [p.tobytes() for p in other.params]
    assert not any(np.shares_memory(a, p) for a in state.values() for p in layer.params)


@pytest.mark.parametrize("name", [name for name in ZOO if name != "AlexNet"])          # which is large
def test_every_model_there_and_back(name, tmp_path):
    (model, inputs), (other, _) = zoo(name), zoo(name)
    for p in other.params:
        p[...] = 0
    save_file(to_torch_state(model), tmp_path / "state.safetensors")
    load_torch_state(other, tmp_path / "state.safetensors")
    np.testing.assert_array_equal(model.predict(*inputs), other.predict(*inputs))


def test_keys_are_those_of_nn_sequential():
    assert list(to_torch_state(LeNet(rng=0))) == [
        f"{i}.{name}" for i in (0, 3, 7, 9, 11) for name in ("weight", "bias")]
    keys = list(to_torch_state(ResNet(8, (1, 8, 8), 4)))
    assert keys[:6] == ["0.weight", *(f"1.{name}" for name in KEYS["BatchNorm"])]
    assert "3.0.0.weight" in keys and "4.1.1.running_var" in keys
    assert list(to_torch_state(L.Affine.init(2, 3))) == ["weight", "bias"]


def test_a_shared_array_comes_for_each_holder_and_has_to_agree():
    model = LanguageModel(7, 4, 4, tied=True, rng=0)
    state = to_torch_state(model)
    np.testing.assert_array_equal(state["0.weight"], state["2.weight"])
    new = {key: a + 1 for key, a in state.items()}
    load_torch_state(model, new)
    np.testing.assert_array_equal(model.layers[0].W, new["0.weight"])
    before = model.layers[0].W.copy()
    message = (f"{WHO}: 0.W and 2.W are one array here, and differ in the state; train them tied there too, or make the "
               "model untied")
    with refused(ValueError, message):
        load_torch_state(model, {**new, "2.weight": state["2.weight"]})
    np.testing.assert_array_equal(model.layers[0].W, before)


class Scale(Layer):
    def __init__(self, a):
        super().__init__(a=a)
        self.buffers["seen"] = np.zeros(2)


class Block(Layer):
    """Holds layers, whose arrays it lists, and one of its own."""

    def __init__(self):
        self.norm, self.maps = L.LayerNorm.init(2), [L.Affine.init(2, 2, rng=0)]
        super().__init__(alpha=np.ones(1, np.float32))
        for layer in self.norm, *self.maps:
            self.params += layer.params
            self.grads += layer.grads


class Bare:
    def __init__(self):
        self.params, self.grads = [np.ones(2)], [np.zeros(2)]

    def forward(self, x):
        return x


class Turned(L.Affine):
    """Not what nn.Linear computes, so nn.Linear's names are not for it."""

    def forward(self, x):
        return super().forward(-x)


def test_layers_of_ones_own_have_their_own_names():
    model = Sequential(Scale(np.ones(2)), Sequential(Block()), Bare(), Turned.init(2, 3, bias=False))
    state = to_torch_state(model)
    assert {key: a.shape for key, a in state.items()} == {
        "0.a": (2,), "0.seen": (2,), "1.0.norm.weight": (2,), "1.0.norm.bias": (2,), "1.0.maps.0.weight": (2, 2),
        "1.0.maps.0.bias": (2,), "1.0.alpha": (1,), "2.params.0": (2,), "3.W": (2, 3)}
    load_torch_state(model, {key: a + 1 for key, a in state.items()})
    assert model.layers[0].buffers["seen"].tolist() == [1, 1] and model.layers[2].params[0].tolist() == [2, 2]


def changed(**changes):
    state = to_torch_state(Sequential(L.Affine.init(2, 3, rng=0), L.BatchNorm.init(3)))
    for key, value in changes.items():
        key = key.replace("_", ".", 1)[1:]
        if value is None:
            del state[key]
        else:
            state[key] = value
    return state


@pytest.mark.parametrize("state, error, message", [
    (changed(k0_weight=None), ValueError, "0.weight is missing, an array of shape (3, 2); the state has …"),
    (changed(k7_weight=np.ones(2)), ValueError, "there is no place for 7.weight; the model has 0.weight, …"),
    (changed(k0_weight=np.ones((2, 3))), ValueError, "0.weight should have shape (3, 2), got (2, 3)"),
    (changed(k0_bias=np.array([1, np.nan, 2])), ValueError, "0.b holds NaN or infinite numbers in the file"),
    (changed(k1_running_var=np.full(3, 1e300)), ValueError, "1.running_var holds numbers too large for float32 in the file"),
    (changed(k0_bias=np.array(["a", "b", "c"])), TypeError, "0.bias should be an array of numbers, got <U1 ndarray"),
    ({0: np.ones(2)}, TypeError, "state should be a dict of arrays by name, or a path, got {0: array([1., 1.])}"),
    (3, TypeError, "state should be a dict of arrays by name, or a path, got 3"),
    ({"a.weight": np.ones((3, 2)), "a.bias": np.ones(3)}, ValueError,
     "the model has 2 layers with weights (layer 0 (Affine), layer 1 (BatchNorm)), the state 1 modules (a); say which is "
     "which by names="),
    ({"a.weight": np.ones((3, 2)), "a.bias": np.ones(3), "b.weight": np.ones(4)}, ValueError,
     "in order, b of the state is for layer 1 (BatchNorm), but its weight (4,) does not fit there, where (3,) is expected; "
     "say which is which by names="),
    ({"a.weight": np.ones((3, 2)), "a.bias": np.ones(3), "b.scale": np.ones(3)}, ValueError,
     "in order, b of the state is for layer 1 (BatchNorm), but its scale (3,) does not fit there; …"),
])
def test_a_state_that_does_not_fit_changes_nothing(state, error, message):
    model = Sequential(L.Affine.init(2, 3, rng=1), L.BatchNorm.init(3))
    before = to_torch_state(model)
    with pytest.raises(error) as caught:
        load_torch_state(model, state)
    start, _, end = message.partition("…")
    assert str(caught.value).replace(f"{WHO}: ", "", 1).startswith(start) and (end or "…" in message or str(
        caught.value).endswith(start))
    after = to_torch_state(model)
    assert all(np.array_equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("names, error, message", [
    ({"z": "0"}, ValueError, "names should name modules of the state, which are 0, 1, got 'z'"),
    (3, TypeError, "names should be a dict such as {'conv1': '0'}, got 3"),
    ({"0": "5"}, ValueError, "0.weight is missing, an array of shape (3, 2); the state has 5.weight"),
])
def test_names_that_do_not_fit(names, error, message):
    with pytest.raises(error) as caught:
        load_torch_state(Sequential(L.Affine.init(2, 3), L.BatchNorm.init(3)), changed(), names)
    assert message in str(caught.value)


def test_a_recurrent_module_without_biases_has_zeros_and_counts_of_batches_do_not_matter():
    model = Sequential(L.LSTM.init(2, 3, rng=0, forget_bias=1.0), L.BatchNorm.init(3))
    state = {key: a for key, a in to_torch_state(model).items() if "bias_" not in key and "num" not in key}
    load_torch_state(model, state)
    assert not model.layers[0].b.any()
    with refused(ValueError, "load_torch_state: 0.bias_hh_l0 … missing…"):
        load_torch_state(model, {**state, "0.bias_ih_l0": np.ones(12)})


def test_a_count_of_ones_own_takes_whole_numbers():
    layer = Scale(np.ones(2))
    layer.buffers["seen"] = np.zeros(2, np.int64)
    load_torch_state(layer, {"a": np.ones(2), "seen": np.arange(2)})
    assert layer.buffers["seen"].tolist() == [0, 1]
    with refused(ValueError, f"{WHO}: seen should hold int64, got float64"):
        load_torch_state(layer, {"a": np.ones(2), "seen": np.ones(2)})


def test_two_biases_are_added_up():
    layer = L.RNN.init(2, 3, rng=0)
    load_torch_state(layer, {**to_torch_state(layer), "bias_ih_l0": np.ones(3), "bias_hh_l0": np.arange(3.0)})
    assert layer.b.tolist() == [1, 2, 3]


@pytest.mark.parametrize("model", [3, LeNet, None, "model"])
def test_what_is_no_model(model):
    with refused(TypeError, f"to_torch_state: model … {model!r}"):
        to_torch_state(model)


def test_files_from_strangers_are_data(tmp_path):
    model, path = MLP([2, 3], rng=0), tmp_path / "weights.pt"
    path.write_bytes(pickle.dumps(to_torch_state(model)))
    with refused(ValueError, "load_torch_state: … weights.pt … safetensors … torch.save…"):
        load_torch_state(model, path)
    with refused(FileNotFoundError, f"{WHO}: … {tmp_path / 'nothing'}"):
        load_torch_state(model, tmp_path / "nothing")
    save_file({"1.weight": np.zeros((1000, 1000), np.float32)}, path)
    with refused(ValueError, f"{WHO}: {path} should hold at most 9 numbers, as the model does, got 1,000,000"):
        load_torch_state(model, path)
    save_file(to_torch_state(model), path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-4])
    with refused(ValueError, "load_torch_state: … weights.pt … safetensors…"):
        load_torch_state(model, path)
    path.write_bytes(whole)
    assert load_file(path).keys() == to_torch_state(model).keys()


def test_tensors_of_torch_are_taken_both_ways(tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from safetensors.torch import load_file as load_tensors
    from safetensors.torch import save_file as save_tensors
    model, other = MLP([2, 3, 2], rng=0), MLP([2, 3, 2], rng=1)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    save_file(to_torch_state(model), tmp_path / "ours.safetensors")
    net.load_state_dict(load_tensors(tmp_path / "ours.safetensors"))
    load_torch_state(other, net.state_dict())
    assert all(map(np.array_equal, model.params, other.params))
    for dtype in torch.float16, torch.bfloat16, torch.float64:
        load_torch_state(other, {key: a.to(dtype) for key, a in net.state_dict().items()})
        np.testing.assert_allclose(other.params[0], model.params[0], rtol=1e-2)
    save_tensors({key: a.bfloat16() for key, a in net.state_dict().items()}, tmp_path / "theirs.safetensors")
    with refused(ValueError, "load_torch_state: 1.bias … theirs.safetensors … BF16; … PyTorch…"):
        load_torch_state(other, tmp_path / "theirs.safetensors")
    save_tensors(net.state_dict(), tmp_path / "theirs.safetensors")
    load_torch_state(other, tmp_path / "theirs.safetensors")
    assert all(map(np.array_equal, model.params, other.params))


@pytest.mark.parametrize("name", MODULES)
def test_the_stored_values_are_those_of_todays_torch(name):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from tests.make_torch_export import modules
    module, shapes, call = modules()[name]
    module.double().load_state_dict({key: torch.tensor(a) for key, a in stored(f"{name}/state").items()})
    inputs = [torch.tensor(stored(name)["x0"])] if shapes else []
    same(call(module, *inputs).detach().numpy(), stored(name)["y"])


def test_each_layer_of_a_recurrent_module_is_a_module():
    state = dict.fromkeys(["a.b.weight", "rnn.weight_ih_l0", "rnn.weight_ih_l1"], np.ones(1))
    names = {module: list(arrays) for module, arrays in grouped(state).items()}
    assert names == {"a.b": ["weight"], "rnn": ["weight_ih_l0"], "rnn.1": ["weight_ih_l0"]}


def test_a_line_of_the_layout_names_arrays_and_which_are_transposed():
    assert terms("Wq.T Wk.T") == [("Wq", True), ("Wk", True)] and terms("+b") == [("b", False)]


@pytest.mark.parametrize("model, got", [(None, "None"), (LeNet, "<class 'chainrule.models.images.lenet.LeNet'>")])
def test_what_a_state_is_read_into_is_a_model(model, got):
    with refused(TypeError, f"load_torch_state: model should be a model or a layer, got {got}"):
        load_torch_state(model, {})
