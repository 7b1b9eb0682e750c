"""What onnxruntime makes of an exported model is what ``predict`` makes, for every layer and every model."""
import sys

import numpy as np
import pytest

from chainrule.common import L2, Layer
from chainrule.layers import (
    LSTM,
    Affine,
    Attention,
    BatchNorm,
    Convolution,
    Embedding,
    Last,
    ReLU,
    SoftmaxWithLoss,
    SquaredError,
    Tanh,
)
from chainrule.models import MLP, Graph, Input, LeNet, Recompute, Seq2Seq, Sequential, SkipGram
from chainrule.models.export import register_exporter
from chainrule.models.export.registry import ONNX, SOURCE
from tests.errors import refused
from tests.models.export.zoo import LAYERS, LOSSES, ZOO, network, unseen, zoo

onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra onnx)")
runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytest.importorskip("onnx_ir", reason="onnx-ir is not installed (extra onnx)")


@pytest.fixture
def session(tmp_path):
    """A function of a model and examples: the model as onnxruntime has it."""
    def start(model, *examples, loss=False):
        path = tmp_path / "model.onnx"
        model.to_onnx(path, *examples, loss=loss)
        onnx.checker.check_model(path, full_check=True)
        options = runtime.SessionOptions()
        options.log_severity_level, options.intra_op_num_threads = 3, 1
        return runtime.InferenceSession(path, options)
    return start


def run(session, *inputs):
    names = [given.name for given in session.get_inputs()]
    return session.run(None, dict(zip(names, map(np.asarray, inputs), strict=True)))


def same(model, session, *inputs, tolerance=1e-5):
    wanted = model.predict(*inputs)
    for y, z in zip(wanted if isinstance(wanted, tuple) else (wanted,), run(session, *inputs), strict=True):
        assert y.dtype == z.dtype and y.shape == z.shape
        np.testing.assert_allclose(z, y, rtol=tolerance, atol=tolerance * max(1.0, np.abs(y).max()))


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer(name, session):
    model, inputs = network(name, np.float32)
    same(model, session(model, *inputs), *inputs)


@pytest.mark.parametrize("name", ZOO)
def test_every_model_and_any_size_of_batch(name, session):
    model, inputs = zoo(name)
    started = session(model) if len(inputs) < 3 else session(model, *inputs)
    same(model, started, *inputs)
    same(model, started, *(a[1:] for a in inputs))
    same(model, started, *(np.concatenate([a, a[:1], a]) for a in inputs))


@pytest.mark.parametrize("name", [name for name, case in LAYERS.items() if name.startswith(("RNN", "LSTM", "GRU", "Bi"))
                                  and name.endswith(("mask", "reverse"))])
def test_masks_with_gaps_with_padding_in_front_and_of_no_step(name, session):
    model, (x, mask) = network(name, np.float32)
    x = np.random.default_rng(3).standard_normal((5, 4, 3)).astype(np.float32)
    mask = np.array([[1, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0, 0]], bool)
    x[~mask] = np.nan
    same(model, session(model, x, mask), x, mask)


@pytest.mark.parametrize("name", ["Last, mask", "Attention, mask", "MultiHeadAttention, mask"])
def test_masks_that_leave_nothing_to_see_and_hide_nan(name, session):
    model, inputs = unseen(name, np.float32)
    assert np.isfinite(model.predict(*inputs)).all()
    same(model, session(model, *inputs), *inputs)


def test_ids_masks_and_numbers_are_inputs_of_their_kind(session):
    x, mask, more = Input("words"), Input("mask"), Input("more")
    h = LSTM.init(4, 5, rng=0)(Embedding.init(9, 4, rng=0)(x), mask)
    model = Graph([x, mask, more], Affine.init(5, 2, rng=0)(Last()(h, mask)) + 2 * more - np.array([1, 2], np.float32))
    started = session(model)
    assert [(i.name, i.type, i.shape) for i in started.get_inputs()] == [
        ("words", "tensor(int64)", ["N", "words_T"]), ("mask", "tensor(bool)", ["N", "mask_T"]),
        ("more", "tensor(float)", ["N", "more_T"])]
    assert [(o.name, o.type, o.shape[0]) for o in started.get_outputs()] == [("y", "tensor(float)", None)]
    mask = np.array([[True, True, True], [True, False, False]])
    same(model, started, np.array([[1, 2, 3], [4, 0, 0]]), mask, np.ones((2, 2), np.float32))


def test_axes_are_free_where_no_weight_fixes_them(session):
    started = session(LeNet(rng=0))
    assert started.get_inputs()[0].shape == ["N", 1, "H", "W"] and started.get_outputs()[0].shape == ["N", 10]
    model = Sequential(Convolution.init(3, 4, 3, stride=2, padding="same", dilation=2, rng=0), ReLU())
    started = session(model)
    for H, W in (7, 8), (5, 12), (6, 6):
        same(model, started, np.random.default_rng(0).standard_normal((2, 3, H, W)).astype(np.float32))


def test_an_example_says_how_many_axes_an_input_has(session):
    model, x = MLP([18, 4, 2], rng=0), np.random.default_rng(0).standard_normal((5, 2, 3, 3)).astype(np.float32)
    assert session(model).get_inputs()[0].shape == ["N", "D0"]
    same(model, session(model, x[:1]), x)
    x = np.ones((2, 1, 3, 1, 2, 2), np.float32)
    same(Sequential(Tanh()), session(Sequential(Tanh()), x), x)
    with refused(ValueError, "MLP.to_onnx: the examples … 2 of them"):
        model.to_onnx("model.onnx", x, x)


def test_inputs_of_any_name_and_outputs_that_are_inputs(session):
    a, b, mask = Input("y"), Input("y"), Input("Add_1")
    model = Graph([a, b, mask], [a + b, mask])
    started = session(model)
    assert [i.name for i in started.get_inputs()] == ["y1", "y2", "Add_13"]
    same(model, started, *(np.full((2, 2), i, np.float32) for i in range(3)))
    x = Input("y")
    model = Graph(x, ReLU()(x))
    assert session(model).get_outputs()[0].name == "y_"


@pytest.mark.parametrize("name", ["0.W", "/Relu_2", "/constant_0"])
def test_an_input_keeps_a_name_that_a_weight_or_a_node_would_have(name, session):
    x = Input(name)
    model = Graph(x, ReLU()(Affine.init(12, 11, rng=0)(x) * 2.0))
    started = session(model)
    assert [i.name for i in started.get_inputs()] == [name]
    same(model, started, np.random.default_rng(0).standard_normal((3, 12)).astype(np.float32))


def test_a_target_of_an_inputs_name_and_two_of_one_name(session):
    x, t, u = Input("t"), Input("u"), Input("u")
    a, b = Affine.init(4, 3, rng=0)(x), Affine.init(4, 2, rng=1)(x)
    model = Graph(x, [a, b], [t, u], loss=SoftmaxWithLoss()(a, t) + 0.3 * SquaredError()(b, u))
    given = np.ones((3, 4), np.float32), np.array([0, 1, 2]), np.ones((3, 2), np.float32)
    started = session(model, loss=True)
    assert [i.name for i in started.get_inputs()] == ["t", "u1", "u2"]
    np.testing.assert_allclose(run(started, *given)[0], model.forward(*given), rtol=1e-5)
    model = Graph(x, a, loss=SoftmaxWithLoss())
    started = session(model, loss=True)
    assert [i.name for i in started.get_inputs()] == ["t", "t_"]
    np.testing.assert_allclose(run(started, *given[:2])[0], model.forward(*given[:2]), rtol=1e-5)


def test_a_mask_may_be_a_constant(session):
    x = Input("x")
    seen = np.tril(np.ones((3, 3), bool))[None]
    model = Graph(x, x.connect(Attention(), x, x, x, np.repeat(seen, 2, axis=0)))
    given = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)
    same(model, session(model, given), given)


def test_blocks_that_compute_forward_again_are_blocks(session):
    model = Sequential(Recompute(Affine.init(3, 4, rng=0), Tanh()), Affine.init(4, 2, rng=0))
    same(model, session(model), np.ones((2, 3), np.float32))


def test_weights_have_their_names_and_a_shared_one_comes_once(tmp_path):
    model, _ = zoo("LanguageModel, tied GRU")
    model.to_onnx(tmp_path / "model.onnx")
    kept = onnx.load(tmp_path / "model.onnx").graph.initializer
    assert {"0.W", "2.b"} <= {a.name for a in kept}
    small, _ = zoo("MLP")
    small.to_onnx(tmp_path / "model.onnx")
    assert [a.name for a in onnx.load(tmp_path / "model.onnx").graph.initializer] == ["1.W", "1.b", "3.W", "3.b"]


def test_float64_stays_float64(session):
    model = Sequential(Affine.init(4, 3, rng=0, dtype=np.float64), BatchNorm.init(3, dtype=np.float64), Tanh())
    x = np.random.default_rng(0).standard_normal((5, 4))
    same(model, session(model), x, tolerance=1e-12)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_with_targets_as_inputs(name, reduction, session):
    loss = LOSSES[name].make(np.float32)
    loss.reduction = reduction
    x, t = LOSSES[name].inputs(np.random.default_rng(0), np.float32, 1.0)
    a = Input("x")
    started = session(Graph(a, ReLU()(a), loss=loss), x, loss=True)
    assert [i.name for i in started.get_inputs()] == ["x", "t"] and started.get_outputs()[0].name == "loss"
    for rows in slice(None), slice(1, 3):
        wanted = loss.forward(np.maximum(x[rows], 0), t[rows])
        y, = run(started, x[rows], t[rows])
        assert y.shape == np.shape(wanted)
        np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-6)


def test_of_a_batch_in_which_no_label_counts_the_loss_is_0(session):
    started = session(Sequential(Affine.init(2, 3, rng=0), loss=SoftmaxWithLoss(ignore_label=-1)), loss=True)
    assert run(started, np.ones((2, 2), np.float32), np.array([-1, -1])) == [0]


@pytest.mark.parametrize("name", ["MLP", "ResNet 8", "GoogLeNet", "LanguageModel", "TransformerLM", "CBOW"])
def test_the_loss_of_a_model(name, session):
    model, (x,) = zoo(name)
    model.penalty = L2(0.1)
    t = np.random.default_rng(1).integers(0, 3, x.shape if name.endswith(("LM", "Model")) else len(x))
    started = session(model, x, loss=True)
    assert [(i.name, i.type) for i in started.get_inputs()][1] == ("t", "tensor(int64)")
    model.training = False
    np.testing.assert_allclose(run(started, x, t)[0], model.forward(x, t), rtol=1e-5)


@pytest.mark.parametrize("model, message", [
    (Sequential(ReLU()), "Sequential.to_onnx: loss=True needs a model with a loss"),
    (Seq2Seq(5), "Seq2Seq.to_onnx: loss=True needs a network whose values go from layer to layer; …"),
    (SkipGram(5, counts=np.ones(5), negatives=2), "SkipGram.to_onnx: layer 1 (NegativeSampler), which the targets go into, "
                                                  "cannot be exported; leave out loss=True")])
def test_a_loss_that_cannot_be_exported(model, message, tmp_path):
    with refused(ValueError, message):
        model.to_onnx(tmp_path / "model.onnx", loss=True)


class Shrink(Tanh):
    def forward(self, x):
        return x - super().forward(x)


class Same(Tanh):
    """A subclass that computes the same."""


class Net(Sequential):
    def forward(self, x, t=None, *, weight=None):
        return super().forward(2 * x, t)


REGISTER = "to say how it is written, call chainrule.models.export.register_exporter"


@pytest.mark.parametrize("model, error, message", [
    (Sequential(ReLU(), Sequential(Shrink())), TypeError,
     f"to_onnx: layer 1.0 (Shrink) cannot be exported, it is a layer of your own; {REGISTER}(Shrink, onnx=...)"),
    (Net(ReLU()), TypeError,
     f"Net.to_onnx: Net cannot be exported, it is a model with a forward of its own; {REGISTER}(Net, onnx=...)"),
    (Sequential(LSTM.init(2, 3, initial_state=(np.zeros((2, 3)), np.zeros((2, 3))))), ValueError,
     "to_onnx: layer 0 (LSTM) cannot be exported: its initial_state has a fixed number of samples; set it to None"),
    (Sequential(Convolution.init(1, 1, 1), LSTM.init(2, 3)), ValueError,
     "Sequential.to_onnx: how many axes the inputs have cannot be told from the layers (layer 0 (Convolution) takes "
     "x (N, C, H, W), no array of 2 axes); give an example of each"),
], ids=["layer", "model", "state", "axes"])
def test_what_cannot_be_exported_says_which_layer_and_why(model, error, message, tmp_path):
    with refused(error, message):
        model.to_onnx(tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_forward_that_was_put_in_its_place_is_not_passed_over(tmp_path):
    layer = ReLU()
    layer.forward = lambda x: x
    with refused(TypeError, "to_onnx: layer 0 (ReLU)…"):
        Sequential(layer).to_onnx(tmp_path / "model.onnx")


def test_a_layer_of_ones_own_is_exported_as_it_was_registered(session):
    class Scale(Layer):
        def __init__(self, a):
            super().__init__(a=a)

        def forward(self, x):
            return x * self.a

    register_exporter(Scale, onnx=lambda to, layer, x: to.Mul(x, to.array(layer.a)))
    register_exporter(Shrink, onnx=lambda to, layer, x: to.Sub(x, to.Tanh(x)))
    try:
        model = Sequential(Scale(np.array([2.0, 3.0], np.float32)), Shrink(), Same())
        same(model, session(model), np.ones((4, 2), np.float32))
    finally:
        del ONNX[Scale], ONNX[Shrink]
    assert Shrink not in SOURCE


@pytest.mark.parametrize("arguments, message", [
    ((3,), "cls should be a class, got 3"), ((Shrink, "Tanh"), "onnx should be a function, got 'Tanh'"),
    ((Shrink, None, 3), "source should be a function, got 3")])
def test_what_is_registered_is_looked_at(arguments, message):
    with refused(TypeError, f"register_exporter: {message}"):
        register_exporter(*arguments)


def test_without_the_extra_a_sentence_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx_ir", None)
    with refused(ImportError, "LeNet.to_onnx … onnx-ir … 'chainrule[onnx]'…"):
        LeNet().to_onnx(tmp_path / "model.onnx")


@pytest.mark.parametrize("path, error", [(3, TypeError), ("no/folder/model.onnx", OSError), (".", OSError)])
def test_paths_that_are_none(path, error, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with refused(error, "… MLP.to_onnx: …"):
        MLP([2, 2]).to_onnx(path)


def test_exporting_changes_nothing(tmp_path):
    model, inputs = zoo("LanguageModel")
    model.forward(*inputs)
    before = [p.copy() for p in model.params], model.layers[2].state, model.training
    model.to_onnx(tmp_path / "a.onnx")
    model.to_onnx(tmp_path / "b.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    assert all(map(np.array_equal, before[0], model.params)) and model.training == before[2]
    assert model.layers[2].state is before[1]
