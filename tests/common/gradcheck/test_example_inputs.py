"""example_inputs: every layer of the table, and the models, get inputs that they accept."""
import numpy as np
import pytest

from chainrule import layers as L
from chainrule.gradcheck import check_gradients, example_inputs, locate
from chainrule.models import AttentionSeq2Seq, LeNet, Seq2Seq
from tests.errors import refused
from tests.layers.table import TABLE

ELSEWHERE = {"Reshape"}           # takes a number of entries that nothing but its own arguments tell


@pytest.mark.parametrize("case", [case for name, cases in TABLE.items() if name not in ELSEWHERE for case in cases], ids=repr)
def test_every_layer_gets_inputs(case):
    layer = case.make(np.float64)
    inputs = example_inputs(layer, rng=0)
    assert np.isfinite(layer.forward(*inputs)).all()


@pytest.mark.parametrize("layer, shapes", [
    (L.Convolution.init(4, 4, 3, groups=2, rng=0), [(5, 4, 7, 11)]),
    (L.Convolution.init(2, 3, 3, dilation=4, rng=0), [(3, 2, 17, 19)]),
    (L.MaxPool(8), [(3, 3, 17, 19)]),
    (L.LSTMCell.init(3, 4, rng=0), [(7, 3), (7, 4), (7, 4)]),
    (L.Log(), [(7, 5)]),
    (L.Power(), [(7, 5), (7, 5)]),
    (L.KLDivergence(), [(7, 5), (7, 5)]),
])
def test_the_shapes_and_that_they_tell(layer, shapes):
    inputs = example_inputs(layer, rng=0)
    assert [x.shape for x in inputs] == shapes
    assert check_gradients(layer, *inputs, rng=0)


@pytest.mark.parametrize("model, shapes", [
    (LeNet(rng=0), [(3, 1, 28, 28)]),
    (LeNet(input_shape=(3, 8, 8), rng=0), [(3, 3, 8, 8)]),
    (Seq2Seq(13, dimension=4, hidden=5, rng=0), [(7, 3), (7, 5)]),
    (AttentionSeq2Seq(13, dimension=4, hidden=5, rng=0), [(7, 3), (7, 5)]),
])
def test_models(model, shapes):
    inputs = example_inputs(model, rng=0)
    assert [x.shape for x in inputs] == shapes
    assert np.isfinite(model.forward(*inputs)).all()


def test_what_is_no_layer_and_no_seed():
    with refused(TypeError, "example_inputs: layer … object … the class Log … Log(...)"):
        example_inputs(L.Log)
    with refused(TypeError, "example_inputs: layer … forward … 3"):
        example_inputs(3)
    for who, call in (("example_inputs", example_inputs), ("locate", lambda layer, rng: locate(layer, np.ones((2, 3)), rng=rng))):
        with refused(ValueError, f"{who}: rng … numpy.random.Generator … seed…"):
            call(L.Sigmoid(), rng=-1)


def test_a_state_does_not_outlive_its_candidate():
    class Remembering:
        total = 0.0

        def forward(self, x):
            self.total = self.total + np.log(x).sum()
            return x + self.total
    assert (example_inputs(Remembering())[0] > 0).all()
    layer = L.LSTM.init(3, 4, stateful=True, rng=0)
    layer.forward(np.ones((2, 5, 3), np.float32))
    assert [x.shape for x in example_inputs(layer)] == [(5, 3, 3)]
