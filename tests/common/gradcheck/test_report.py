"""What surrounds the diagnosis: reports, functions, copies, limits, Numeric, locate, example_inputs."""
import threading
import time

import numpy as np
import pytest

from chainrule import layers as L
from chainrule.gradcheck import Numeric, check, check_gradients, example_inputs, locate
from chainrule.gradcheck.copying import float64_copy
from chainrule.models import MLP, Sequential
from tests.common.gradcheck.faulty import normal
from tests.errors import refused

X = np.random.default_rng(0).normal(size=(7, 3))


class MeanBias(L.Affine):
    def backward(self, dout):
        dx = super().backward(dout)
        self.grads[1] /= len(dout)
        return dx


def test_the_report_says_which_where_how_much_and_what_to_do():
    report = check_gradients(MeanBias.init(3, 4, rng=0), X, rng=0)
    assert not report and not report.ok and report.codes == ["divided-by-N"] and report.findings[0].where == "params[1]"
    assert repr(report).startswith("MeanBias: divided-by-N in params[1]. ") and "\n" not in repr(report)   # for pytest
    assert repr(report).endswith(report.findings[0].hint) and report.findings[0].evidence in repr(report)
    text = str(report)
    assert (
        text.startswith("MeanBias: 1 finding")
        and "0.1429 × numerical" in text
        and "look at" in text
        and "7 = the number of samples" in text
    )
    html = report._repr_html_()
    assert "<table>" in html and "<svg" in html and "divided-by-N" in html
    assert repr(check_gradients(L.Tanh(), X)) == "Tanh: gradients right (x)"


def test_layer_and_inputs_are_left_as_they_were():
    layer, x = MeanBias.init(3, 4, rng=0), X.astype(np.float32)
    params, grads, before = layer.params, layer.grads, [p.copy() for p in layer.params]
    np.random.seed(3)
    first = np.random.random()
    np.random.seed(3)
    check_gradients(layer, x, rng=0)
    assert np.random.random() == first
    assert layer.cache is None and layer.params is params and layer.grads is grads and layer.params[0].dtype == np.float32
    assert all(np.array_equal(p, q) for p, q in zip(params, before)) and not np.any(grads[0])
    np.testing.assert_array_equal(x, X.astype(np.float32))


def test_a_generator_in_the_buffers_is_rewound():
    layer = L.Dropout(0.4, rng=1)
    state = layer.buffers["rng"].bit_generator.state
    assert check_gradients(Sequential(L.Affine.init(3, 4, rng=0), layer), X)
    assert layer.buffers["rng"].bit_generator.state == state


def test_functions_with_their_derivative():
    assert check_gradients(np.sin, X, gradient=np.cos)
    assert check_gradients((lambda x: (x ** 2).sum(), lambda x: 2 * x), X)
    assert check_gradients(lambda x: x ** 2, X, gradient=lambda x, dout: 2 * x * dout)
    assert check_gradients(lambda a, b: a * b, X, X + 1, gradient=lambda a, b: (b, a))
    assert check_gradients(np.sin, X, gradient=np.sin).codes == ["wrong-local-derivative"]


def test_no_layer_is_refused():
    with refused(TypeError, "check_gradients: layer … the class Affine … Affine(...)"):
        check_gradients(L.Affine, X)
    with refused(TypeError, "check_gradients: layer … ufunc … gradient=df…"):
        check_gradients(np.sin, X)


def test_two_samples_are_too_few_and_the_report_says_so():
    report = check_gradients(MeanBias.init(3, 4, rng=0), X[:2], rng=0)
    assert report.codes == ["divided-by-N"] and "look the same" in report.notes[0]
    assert "one sample" in check_gradients(MeanBias.init(3, 4, rng=0), X[:1], rng=0).notes[0]


def test_an_endless_loop_is_reported_off_the_main_thread_too(monkeypatch):
    class Loop:
        def forward(self, x):
            return 2 * x

        def backward(self, dout):
            while True:
                try:
                    dout = dout + 0
                except BaseException:
                    pass
                else:
                    continue
                break
            while True:
                pass
    monkeypatch.setattr(check, "LIMIT", 0.3)
    reports = []
    thread = threading.Thread(target=lambda: reports.append(check_gradients(Loop(), X)))
    thread.start()
    thread.join(timeout=20)
    assert reports and reports[0].codes == ["unrecognised"] and "endless" in reports[0].findings[0].evidence


def test_the_limit_is_of_the_processors_time_and_ten_times_as_much_of_the_clocks(monkeypatch):
    """A busy machine, on which a call waits for its turn, ends none."""
    class Waiting:
        def __init__(self, seconds):
            self.seconds = seconds

        def forward(self, x):
            return 2 * x

        def backward(self, dout):
            end = time.monotonic() + self.seconds
            while time.monotonic() < end:
                time.sleep(0.05)
            return 2 * dout
    monkeypatch.setattr(check, "LIMIT", 0.1)
    assert check_gradients(Waiting(0.15), X[:2, :1]).ok
    assert "endless" in check_gradients(Waiting(2.5), X[:2, :1]).findings[0].evidence


def test_uninformative_says_what_would_tell():
    report = check_gradients(L.ReLU(), -np.abs(X))
    assert report.codes == ["uninformative"] and not report.ok and "rng.normal(size=(7, 3))" in report.findings[0].hint


def test_the_copy_keeps_what_is_shared():
    W = np.ones((2, 3), np.float32)
    copy, = float64_copy({"W": W, "again": W, "T": W.T, "row": W[1], "ids": np.arange(3), "other": W.copy()})
    assert copy["again"] is copy["W"] and copy["W"].dtype == np.float64 and copy["ids"].dtype.kind == "i"
    assert (
        np.shares_memory(copy["T"], copy["W"])
        and np.shares_memory(copy["row"], copy["W"])
        and not np.shares_memory(copy["other"], copy["W"])
    )
    copy["T"][2, 0] = 5
    assert copy["W"][0, 2] == 5 and W[0, 2] == 1


def test_numeric_trains_before_its_backward_is_written():
    class Swish:
        def forward(self, x):
            return x / (1 + np.exp(-x))
    model = Sequential(L.Affine.init(3, 4, rng=0), Numeric(Swish()), L.Affine.init(4, 2, rng=1), loss=L.SoftmaxWithLoss())
    assert check_gradients(model, X.astype(np.float32), np.array([0, 1, 0, 1, 1, 0, 1]), rng=0)
    layer, numeric = L.Affine.init(3, 4, rng=0), Numeric(L.Affine.init(3, 4, rng=0))
    for each in (layer, numeric):
        each.forward(X.astype(np.float32))
    dout = np.random.default_rng(1).normal(size=(7, 4)).astype(np.float32)
    np.testing.assert_allclose(numeric.backward(dout), layer.backward(dout), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(numeric.grads[0], layer.grads[0], rtol=1e-5, atol=1e-6)
    assert numeric.params[0] is numeric.layer.params[0] and numeric.grads[0].dtype == np.float32


def test_locate_names_the_first_wrong_layer():
    model = Sequential(
        L.Affine.init(3, 4, rng=0), L.Sigmoid(), MeanBias.init(4, 5, rng=1), MeanBias.init(5, 2, rng=1), loss=L.SoftmaxWithLoss()
    )
    t = np.array([0, 1, 0, 1, 1, 0, 1])
    report = locate(model, X.astype(np.float32), t, rng=0)
    assert report.name == "layer 2 (MeanBias)" and report.codes == ["divided-by-N"]
    assert all(layer.cache is None for layer in model.layers)
    assert locate(MLP([3, 4, 2], rng=0), X, t, rng=0).ok


def test_locate_blames_the_model_where_all_layers_are_right():
    class Skip:
        def __init__(self):
            self.a, self.params, self.grads = L.Tanh(), [], []

        def forward(self, x):
            return x + self.a.forward(x)

        def backward(self, dout):
            return self.a.backward(dout)
    report = locate(Skip(), X, rng=0)
    assert report.name == "Skip" and report.codes == ["lost-branch"]


@pytest.mark.parametrize("layer, shapes", [
    (L.Affine.init(3, 4), [(7, 3)]), (L.SoftmaxWithLoss(), [(7, 5), (7,)]), (L.Multiply(), [(7, 5), (7, 5)])])
def test_example_inputs_are_accepted_and_tell(layer, shapes):
    inputs = example_inputs(layer, rng=0)
    assert [x.shape for x in inputs] == shapes
    assert check_gradients(layer, *inputs, rng=0)


def test_example_inputs_for_nothing_that_is_usual():
    class Picky:
        def forward(self, x):
            raise ValueError
    with refused(ValueError, "example_inputs: Picky … check_gradients"):
        example_inputs(Picky())


def test_recurrent_layers_begin_anew_in_every_call():
    layer = L.LSTM.init(4, 3, rng=0)
    layer.stateful = True
    x = normal(5, 3, 4)
    layer.forward(x)
    state = layer.state
    assert check_gradients(layer, x, rng=0).ok and layer.state is state


def test_gradients_in_the_wrong_order():
    class Product:
        def forward(self, a, b):
            self.a, self.b = a, b
            return a @ b

        def backward(self, dout):
            return self.a.T @ dout, dout @ self.b.T
    for a, b in ((normal(5, 5), normal(5, 5, seed=1)), (normal(7, 3), normal(3, 5))):
        report = check_gradients(Product(), a, b, rng=0)
        assert report.codes == ["not-returned"] and "wrong order" in report.findings[0].evidence, report


def test_notes_say_what_a_model_would_trip_over_and_what_was_not_looked_at():
    class Outside:
        def __init__(self):
            self.W, self.unused = normal(4, 3), normal(2)

        def forward(self, x):
            self.x = x
            return x @ self.W

        def backward(self, dout):
            return (dout @ self.W.T,)

    class Mean:
        def forward(self, x):
            self.n = x.size
            return float(x.mean())

        def backward(self):
            return np.full((6, 4), 1 / self.n)
    notes = check_gradients(Outside(), normal(6, 4), rng=0).notes
    assert "tuple of 1" in notes[0] and "depends on W, not in params" in notes[1] and "unused" not in notes[1]
    assert "backward(self, dout=1.0)" in check_gradients(Mean(), normal(6, 4), rng=0).notes[0]
    assert not check_gradients(L.LSTM.init(4, 3, rng=0), normal(5, 3, 4), rng=0).notes


def test_inputs_that_forward_refuses_are_not_called_a_wrong_backward():
    report = check_gradients(L.Affine.init(4, 3, rng=0), normal(5, 2), rng=0)
    assert report.codes == ["unrecognised"] and "backward was not checked" in report.findings[0].hint


def test_a_gradient_that_is_nearly_right_is_no_matter_of_places():
    class Off:
        def forward(self, x):
            self.x = x
            return np.exp(x)

        def backward(self, dout):
            return dout * np.exp(self.x) * (1 + 1e-5)
    report = check_gradients(Off(), normal(5, 4), rng=0)
    assert report.codes == ["wrong-local-derivative"] and "1.00001" in report.findings[0].evidence


def test_the_worst_entry_is_the_one_that_is_not_finite():
    class Root:
        def forward(self, x):
            self.x = x
            return np.sqrt(x)

        def backward(self, dout):
            return dout / (2 * np.sqrt(self.x))
    report = check_gradients(Root(), np.array([[1.0, 0.0], [2.0, 3.0], [4.0, 5.0]]), rng=0)
    assert "(0, 1)" in report.findings[0].evidence
