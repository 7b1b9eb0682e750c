"""The PyTorch code of a model, run: outputs and all gradients are those of the model."""
import numpy as np
import pytest

from chainrule import __version__
from chainrule.common import Layer
from chainrule.layers import (
    GRU,
    LSTM,
    RNN,
    Affine,
    BatchNorm,
    Bidirectional,
    Convolution,
    Embedding,
    Exp,
    LeakyReLU,
    Maximum,
    Mean,
    ReLU,
    Sin,
    Sum,
    Tanh,
    TransposedConvolution,
)
from chainrule.models import MLP, Graph, Input, LeNet, Recompute, Sequential, TransformerLM, to_source
from chainrule.models.export import Torch, register_exporter, source
from chainrule.models.export.helpers import needed
from chainrule.models.export.registry import SOURCE
from chainrule.models.export.source import alone, brackets
from chainrule.models.export.state import entries, translated
from tests.errors import refused
from tests.models.export.zoo import LAYERS, ZOO, network, unseen, zoo


def executed(text, model, tmp_path):
    """The module that the code makes, with the model's weights."""
    from safetensors.numpy import save_file

    from chainrule.models import to_torch_state
    path = tmp_path / "weights.safetensors"
    save_file(to_torch_state(model), path)
    names = {}
    exec(compile(text, "model.py", "exec"), names)
    return names["load"](path)


def backward_as_trained(model, inputs, rng):
    """The output in evaluation mode, a gradient for it, and the gradients of inputs and parameters in PyTorch's names."""
    model.training = False
    y = model.forward(*inputs)
    dout = rng.standard_normal(y.shape) if not isinstance(y, tuple) else tuple(rng.standard_normal(a.shape) for a in y)
    dx = model.backward(dout)
    return y, dout, dx


def compare(model, inputs, text, tmp_path, tolerance=1e-9):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    module = executed(text, model, tmp_path)
    given = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in inputs]
    y, dout, dx = backward_as_trained(model, inputs, np.random.default_rng(5))
    outputs = module(*given)
    pairs = zip(y, outputs, strict=True) if isinstance(y, tuple) else [(y, outputs)]
    for mine, theirs in pairs:
        np.testing.assert_allclose(theirs.detach().numpy(), mine, rtol=tolerance, atol=tolerance)
    torch.autograd.backward(outputs, [torch.tensor(d) for d in dout] if isinstance(y, tuple) else torch.tensor(dout))
    for mine, theirs in zip(dx if isinstance(dx, tuple) else (dx,), given):
        if theirs.requires_grad and mine is not None:
            np.testing.assert_allclose(mine, theirs.grad.numpy(), rtol=1e-6, atol=1e-6)
    check_parameters(model, module)


def check_parameters(model, module):
    """The gradients of all parameters; of a shared one the sum, in the layer that has it first."""
    theirs = {key: p.grad for key, p in module.named_parameters(remove_duplicate=False)}
    place = {id(p): k for k, p in enumerate(model.params)}
    for part in entries(model):
        grads = {name: model.grads[place[id(p)]] for name, p in part.ours.items() if id(p) in place}
        for name, mine in translated(part.layer, grads).items():
            grad = theirs.get(f"{part.start}{name}")         # None: not a parameter, or not on the way to the output
            if grad is not None and not ("bias_hh" in name and "b" in grads):        # our one bias is bias_ih
                np.testing.assert_allclose(mine, grad.numpy(), rtol=1e-6, atol=1e-6, err_msg=f"{part.start}{name}")
                theirs[f"{part.start}{name}"] = True
    assert any(grad is True for grad in theirs.values()) or not theirs


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer(name, tmp_path):
    model, inputs = network(name, np.float64)
    compare(model, inputs, to_source(model, None, *inputs), tmp_path)


@pytest.mark.parametrize("name", [name for name in ZOO if name != "AlexNet" and "Seq2Seq" not in name])
def test_every_model(name, tmp_path):
    model, inputs = zoo(name)
    model = model.astype(np.float64)
    inputs = [a.astype(np.float64) if a.dtype == np.float32 else a for a in inputs]
    compare(model, inputs, to_source(model), tmp_path, 1e-8)


def test_formulas_keep_their_brackets(tmp_path):
    a, b = Input("a"), Input("b")
    for y in ((Exp()(a) + Sin()(b)) * (a - b), -(a + b) ** 2 - (a - (b - 1)), 2 / (Exp()(a) + b ** 2) ** -1, (a @ (b - a)) @ b,
              Exp()(a + b) ** 0.5 * Sin()(a) - Sum(axis=0, keepdims=True)(a * b)):
        model = Graph([a, b], y)
        compare(model, np.random.default_rng(0).standard_normal((2, 3, 3)), to_source(model), tmp_path)


@pytest.mark.parametrize("name", [name for name in ZOO if "Seq2Seq" in name])
def test_from_sequence_to_sequence(name, tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    model, inputs = zoo(name)
    model = model.astype(np.float64)
    module = executed(to_source(model), model, tmp_path)
    y = module(*map(torch.tensor, inputs))
    np.testing.assert_allclose(y.detach().numpy(), model.predict(*inputs), rtol=1e-9, atol=1e-12)
    x, t, *mask = inputs
    loss = model.forward(x, t, *mask)
    model.backward()
    theirs = torch.nn.functional.cross_entropy(y.flatten(0, 1), torch.tensor(t[:, 1:].ravel()))
    theirs.backward()
    assert abs(loss - float(theirs.detach())) < 1e-9
    check_parameters(model, module)


@pytest.mark.parametrize("cell", [RNN, LSTM, GRU])
def test_masks_with_gaps_and_of_no_step(cell, tmp_path):
    x, mask = Input("x"), Input("mask")
    for make in (lambda: cell.init(3, 4, rng=0, dtype=np.float64), lambda: cell.init(3, 4, rng=0, reverse=True, dtype=np.float64),
                 lambda: Bidirectional.init(cell, 3, 4, rng=0, dtype=np.float64)):
        model = Graph([x, mask], make()(x, mask))
        inputs = np.random.default_rng(0).standard_normal((4, 4, 3)), np.array(
            [[1, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1]], bool)
        compare(model, inputs, to_source(model), tmp_path)


@pytest.mark.parametrize("name", ["Last, mask", "Attention, mask", "MultiHeadAttention, mask"])
def test_masks_that_leave_nothing_to_see(name, tmp_path):
    model, inputs = unseen(name, np.float64)
    compare(model, [np.nan_to_num(a) if a.dtype.kind == "f" else a for a in inputs], to_source(model, None, *inputs), tmp_path)


@pytest.mark.parametrize("options", [
    {"stride": 2, "padding": "same"}, {"stride": (3, 1), "padding": "same", "dilation": (1, 2)},
    {"padding": "same", "dilation": 3}, {"padding": (1, 0), "stride": (1, 2)}])
@pytest.mark.parametrize("kind", [Convolution, TransposedConvolution])
def test_options_of_convolutions(kind, options, tmp_path):
    for size in 2, (3, 4), 5:
        model = Sequential(kind.init(2, 3, size, **options, rng=0, dtype=np.float64))
        compare(model, [np.random.default_rng(0).standard_normal((2, 2, 9, 8))], to_source(model), tmp_path)


def test_a_network_of_modules_reads_as_one_would_write_it():
    source = to_source(LeNet((1, 12, 12), rng=0)).replace(__version__, "VERSION")
    assert source == '''"""LeNet, as PyTorch code: exported from chainrule VERSION."""
from pathlib import Path

from safetensors.torch import load_file
from torch import nn


class LeNet(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 6, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(16, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, 10),
        )


def load(path=None):
    """The model with its weights: those beside this file, or another safetensors file."""
    path = path or Path(__file__).with_name("lenet.safetensors")
    model = LeNet()
    model.load_state_dict(load_file(path))
    return model.eval()
'''


def test_a_graph_says_how_values_run():
    text = to_source(TransformerLM(11, 8, 2, 1, 6, rng=0, dtype=np.float64))
    assert '''    def forward(self, ids):
        h1 = self["1"](self["0"](ids))
        h2 = h1 + self["3"](self["2"](h1))
        h3 = h2 + self["8"](self["7"](self["6"](self["5"](h2))))
        return self["11"](self["10"](h3))
''' in text
    assert '"3": SelfAttention(8, 2, causal=True),' in text and "model = TransformerLM().double()" in text


def test_blocks_that_differ_in_sizes_alone_are_one_class():
    from chainrule.models import GoogLeNet
    text = to_source(GoogLeNet((1, 32, 32), 10, rng=0))
    assert text.count("\nclass ") == 2 and "def __init__(self, a, b, c, d, e, f, g):" in text
    assert '"3": Inception(192, 64, 96, 128, 16, 32, 32),' in text and len(text.splitlines()) < 80


@pytest.mark.parametrize("name", ZOO)
def test_a_model_takes_one_screen_and_lines_stay_short(name):
    model, _ = zoo(name)
    text = to_source(model)
    compile(text, "model.py", "exec")
    assert max(map(len, text.splitlines())) <= 100
    assert len(text.splitlines()) < 110, text


def test_a_shared_array_is_one_parameter():
    text = to_source(ZOO["LanguageModel, tied GRU"][0]())
    assert '        self.get_submodule("2").weight = self.get_submodule("0").weight\n\n    def forward' in text
    W = np.ones((3, 3))
    with refused(ValueError, "to_source: layer 1 (Affine) cannot be exported: its W is shared with another layer, where "
                             "PyTorch has it in another layout"):
        to_source(Sequential(Affine(W), Affine(W.T)))


def test_files_stand_side_by_side_and_load_each_other(tmp_path):
    model = LeNet((1, 8, 8), rng=0)
    text = to_source(model, tmp_path / "digits.py")
    assert (tmp_path / "digits.py").read_text() == text and 'with_name("digits.safetensors")' in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digits.py", "digits.safetensors"]
    torch = pytest.importorskip("torch", reason="torch is not installed")
    names = {"__file__": str(tmp_path / "digits.py")}
    exec(text, names)
    x = np.random.default_rng(0).standard_normal((3, 1, 8, 8)).astype(np.float32)
    module = names["load"]()
    assert not module.training
    np.testing.assert_allclose(module(torch.tensor(x)).detach().numpy(), model.predict(x), rtol=1e-4, atol=1e-5)


def test_names_of_a_users_run_no_code():
    evil = Input("x): import os #")
    model = Graph(evil, ReLU()(evil))
    model.__class__ = type("A(object): pass; print", (Graph,), {})
    text = to_source(model)
    assert "import os" not in text and "print" not in text and "def forward(self, x1):" in text
    compile(text, "model.py", "exec")


def test_inputs_of_one_name_and_names_that_are_taken():
    a, b, c = Input("x"), Input("x"), Input("attention")
    assert "def forward(self, x1, x2, attention3):" in to_source(Graph([a, b, c], a + b + c))
    assert "def forward(self, x1):" in to_source(Graph(c, ReLU()(c)))
    a, b = Input("class"), Input("x1")
    assert "def forward(self, x11, x12):" in to_source(Graph([a, b], a - b))
    assert "class Model(nn.Sequential):" in to_source(type("Path", (Sequential,), {})(ReLU()))


X = Input("x")


@pytest.mark.parametrize("model", [
    Graph(X, Maximum()(X, 0.1)), Graph(X, X.connect(Maximum(), -np.inf, X)), Graph(X, X * np.array([1.0, np.inf, -2.0])),
    Graph(X, Mean(axis=np.int64(1))(X)), Graph(X, Sum(axis=(np.int64(0), np.int64(-1)))(X)),
    Sequential(*(Graph(x := Input("x"), x + LeakyReLU(slope)(x)) for slope in (0.1, 1e-20, 1e20, 3.0))),
    Sequential(Recompute(Affine.init(3, 4, rng=0, dtype=np.float64), Tanh()), Recompute(Sin())),
], ids=["number", "-inf", "inf", "axis", "axes", "1e+20", "Recompute"])
def test_numbers_of_any_kind_and_size(model, tmp_path):
    text = to_source(model)
    compile(text, "model.py", "exec")
    compare(model, [np.random.default_rng(0).standard_normal((4, 3))], text, tmp_path)


def test_an_array_in_a_graph_has_the_dtype_of_the_parameters():
    text = to_source(Graph(X, Affine.init(2, 3)(X) @ np.ones((3, 1))))
    assert "torch.tensor([[1.0], [1.0], [1.0]], dtype=torch.float32)" in text


def test_brackets_around_a_sum_stay_brackets_on_several_lines(tmp_path):
    x = Input("x")
    model = Graph(x, [Tanh()(x) * 0.25 + Sin()(x), 2 * x - 0.25, (x + 1) * 3, 1 / (1 + Exp()(-x))])
    text = to_source(model)
    assert "1.0 / (\n" in text
    compare(model, [np.random.default_rng(0).standard_normal((4, 3))], text, tmp_path)


class Shrink(Tanh):
    def forward(self, x):
        return x - super().forward(x)

    def backward(self, dout):
        return dout - super().backward(dout)


class Scale(Layer):
    def __init__(self, a):
        super().__init__(a=a)

    def forward(self, x):
        self.cache = x
        return x * self.a

    def backward(self, dout):
        self.da = (dout * self.cache).sum(axis=0)
        return dout * self.a


REGISTER = "to say how it is written, call chainrule.models.export.register_exporter"


@pytest.mark.parametrize("model, error, message", [
    (Sequential(ReLU(), Sequential(Shrink())), TypeError,
     f"layer 1.0 (Shrink) cannot be exported, it is a layer of your own; {REGISTER}(Shrink, source=...)"),
    (Sequential(Embedding.init(3, 2), LSTM.init(2, 3, initial_state=(np.zeros((2, 3)), np.zeros((2, 3))))), ValueError,
     "layer 1 (LSTM) cannot be exported: its initial_state has a fixed number of samples; set it to None"),
    (Sequential(Bidirectional(LSTM.init(2, 3), LSTM.init(2, 4, reverse=True))), ValueError,
     "layer 0 (Bidirectional) cannot be exported: PyTorch's bidirectional layers have two halves of one kind and size"),
    (ReLU(), TypeError, "model should be a model, got ReLU()"), (LeNet, TypeError, "model should be a model, got …"),
])
def test_what_cannot_be_written_says_which_layer_and_why(model, error, message):
    with refused(error, f"to_source: {message}"):
        to_source(model)


def test_paths(tmp_path, monkeypatch):
    with refused(ValueError, "to_source: path should end in .py, got 'model.txt'"):
        to_source(MLP([2, 2]), "model.txt")
    with refused(OSError, "[Errno 2] to_source: … model.py'"):
        to_source(MLP([2, 2]), tmp_path / "no" / "model.py")
    (tmp_path / "model.safetensors").mkdir()
    with refused(OSError, "to_source: … model.safetensors is a folder…"):
        to_source(MLP([2, 2]), tmp_path / "model.py")
    (tmp_path / "model.safetensors").rmdir()

    def full(path, data):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(source, "write_whole", lambda path, data: path.suffix == ".py" or full(path, data))
    with refused(OSError, "[Errno 28] to_source: No space left on device: … model.safetensors'"):
        to_source(MLP([2, 2]), tmp_path / "model.py")


def test_a_layer_of_ones_own_is_written_as_it_was_registered(tmp_path):
    register_exporter(Shrink, source=lambda layer: Torch("{0} - torch.tanh({0})"))
    register_exporter(Scale, source=lambda layer: Torch(
        '{0} * {m}["a"]', f'nn.ParameterDict({{"a": torch.empty({len(layer.a)})}})'))
    try:
        model = Sequential(Affine.init(2, 2, rng=0, dtype=np.float64), Scale(np.array([2.0, 3.0])), Shrink())
        text = to_source(model)
        compare(model, [np.random.default_rng(0).standard_normal((4, 2))], text, tmp_path)
    finally:
        del SOURCE[Scale], SOURCE[Shrink]


def test_batch_norm_has_as_many_dimensions_as_its_inputs():
    convolution = Convolution.init(1, 3, 3, rng=0)
    assert "nn.BatchNorm2d(3)" in to_source(Sequential(convolution, BatchNorm.init(3)))
    assert "nn.BatchNorm1d(3)" in to_source(Sequential(Affine.init(2, 3), BatchNorm.init(3)))
    assert "nn.BatchNorm2d(3, momentum=0.3)" in to_source(
        Sequential(BatchNorm.init(3, momentum=0.3)), None, np.ones((2, 3, 4, 4)))


def test_only_what_binds_most_closely_stands_without_brackets():
    texts = 'self["1"](x + y)[0].mean((2, 3))', "exp(x) + exp(y)", "-1.0"
    assert [alone(text) for text in texts] == [True, False, False]


def test_brackets_have_the_commas_right_inside_them():
    assert list(brackets("f()(a, (b, c))")) == [[1, 2], [3, 5, 13]]


def test_a_helper_comes_after_those_it_needs():
    found = [code.split("(")[0] for code in needed("x = SelfAttention(8, 2)")]
    assert found == ["def attention", "class CrossAttention", "class SelfAttention"]
