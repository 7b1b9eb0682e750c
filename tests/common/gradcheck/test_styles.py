"""The styles in which learners write: each checked when right, and with one mistake, whose line is named."""
import json

import numpy as np
import pytest

from chainrule.gradcheck import check_gradients, locate
from tests.common.gradcheck.faulty import normal
from tests.errors import refused

X, W, B, IDS = normal(6, 4), normal(4, 3), normal(3), np.array([0, 1, 2, 1, 0, 2])


class Dicts:
    def __init__(self, fault=False):
        self.params, self.grads, self.fault = {"W": W, "b": B}, {}, fault

    def forward(self, x):
        self.x = x
        return x @ self.params["W"] + self.params["b"]

    def backward(self, dout):
        self.grads["W"] = self.x.T @ dout
        self.grads["b"] = dout.mean(axis=0) if self.fault else dout.sum(axis=0)
        return dout @ self.params["W"].T


class Attributes:
    def __init__(self, fault=False):
        self.W, self.b, self.fault = W, B, fault

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout):
        self.dW = self.x.T @ dout
        self.db = dout.mean(axis=0) if self.fault else dout.sum(axis=0)
        return dout @ self.W.T


class CacheHanded:
    def __init__(self, fault=False):
        self.params, self.grads, self.fault = [W, B], [np.zeros_like(W), np.zeros_like(B)], fault

    def forward(self, x):
        return x @ self.params[0] + self.params[1], x

    def backward(self, dout, cache):
        self.grads[0][...] = cache.T @ dout
        self.grads[1][...] = dout.mean(axis=0) if self.fault else dout.sum(axis=0)
        return dout @ self.params[0].T


class Steps:
    def __init__(self, fault=False):
        self.weights, self.bias, self.fault = W.copy(), B.copy(), fault

    def forward(self, x):
        self.x = x
        return x @ self.weights + self.bias

    def backward(self, grad, learning_rate):
        dx = grad @ self.weights.T
        self.weights = self.weights - learning_rate * self.x.T @ grad
        self.bias -= learning_rate * (grad.mean(axis=0) if self.fault else grad.sum(axis=0))
        return dx


class ReturnsDict:
    def __init__(self, fault=False):
        self.params, self.fault = {"W": W, "b": B}, fault

    def forward(self, x):
        self.x = x
        return x @ self.params["W"] + self.params["b"]

    def backward(self, dout):
        db = dout.mean(axis=0) if self.fault else dout.sum(axis=0)
        return dout @ self.params["W"].T, {"dW": self.x.T @ dout, "db": db}


def affine_forward(x, w, b):
    return x @ w + b, (x, w)


def affine_backward(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout, dout.sum(axis=0)


def mean_backward(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout, dout.mean(axis=0)


def scaled_forward(x, settings):
    return x * settings["scale"], (x, settings)


def scaled_backward(dout, cache):
    return dout * cache[1]["scale"]


class Net:
    def __init__(self, fault=False):
        self.params, self.fault = {"W": W}, fault

    def loss(self, x, y):
        scores = x @ self.params["W"]
        e = np.exp(scores - scores.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        loss = -np.log(p[np.arange(len(y)), y]).mean() + 0.05 * (self.params["W"] ** 2).sum()
        d = p - np.eye(3)[y]
        return loss, {"W": x.T @ d / len(y) + (0.05 if self.fault else 0.1) * self.params["W"]}


def squares(x, fault=False):
    return (x ** 2).sum(), (1.0 if fault else 2.0) * x


@pytest.mark.parametrize("cls", [Dicts, Attributes, CacheHanded, Steps, ReturnsDict])
def test_a_class_in_each_style(cls):
    right, wrong = check_gradients(cls(), X, rng=0), check_gradients(cls(fault=True), X, rng=0)
    assert right.ok and len(right.checked) == 3, right
    assert wrong.codes == ["divided-by-N"] and wrong.findings[0].where == wrong.checked[2], wrong


def test_the_layer_and_its_arrays_stay_as_they_are():
    layer = Steps()
    before, array = layer.weights.copy(), layer.bias
    assert check_gradients(layer, X, rng=0).ok
    assert layer.bias is array and np.array_equal(layer.weights, before) and not hasattr(layer, "x")


def test_a_pair_of_functions():
    assert check_gradients((affine_forward, affine_backward), X, W, B, rng=0).checked == ["x", "inputs[1]", "inputs[2]"]
    report = check_gradients((affine_forward, mean_backward), X, W, B, rng=0)
    assert report.codes == ["divided-by-N"] and "dout.mean(axis=0)" in report.findings[0].text
    assert check_gradients((scaled_forward, scaled_backward), X, {"scale": 3.0}, rng=0).ok


def test_an_input_handed_out_as_the_cache_is_no_output():
    def cube(x):
        return x ** 3, x

    def back(dy, x):
        return 3 * dy * x ** 2

    def back_last(x, dy):                                    # of two outputs
        return 3 * x ** 2 * dy[0] + dy[1]

    assert check_gradients((cube, back), X, rng=0).ok
    assert check_gradients((cube, back_last), X, rng=0).ok


@pytest.mark.parametrize("forward, backward", [
    (lambda x: (np.tanh(x), np.tanh(x)), lambda gy, y: gy * (1 - y * y)),                  # the output is the cache
    (lambda x: (np.exp(x), x), lambda g, x: g * np.exp(x))])                               # the input, under its own name
def test_an_array_as_the_cache_whatever_the_gradient_is_called(forward, backward):
    x = np.random.default_rng(0).normal(size=(3, 2))
    assert check_gradients((forward, backward), x, rng=0).ok
    assert not check_gradients((forward, lambda g, kept: 2 * backward(g, kept)), x, rng=0).ok


class Gain:
    """y = a x, with an a that has no axes."""

    def __init__(self, sign=1):
        self.params, self.grads, self.sign = [np.eye(3), np.array(0.7)], [np.zeros((3, 3)), np.zeros(())], sign

    def forward(self, x):
        self.x = x
        return self.params[1] * (x @ self.params[0])

    def backward(self, dout):
        self.grads[0][...] = self.params[1] * self.x.T @ dout
        self.grads[1][...] = self.sign * np.sum(dout * (self.x @ self.params[0]))
        return self.params[1] * dout @ self.params[0].T


@pytest.mark.parametrize("N", [3, 5])
def test_a_parameter_without_axes(N):
    x = np.random.default_rng(0).normal(size=(N, 3))
    assert check_gradients(Gain(), x, rng=0).ok
    assert check_gradients(Gain(-1), x, rng=0).codes == ["wrong-sign"]


def test_a_loss_that_gives_its_gradients():
    right, wrong = check_gradients(Net(), X, IDS, rng=0), check_gradients(Net(fault=True), X, IDS, rng=0)
    assert right.ok and right.checked == ["params['W']"]
    assert wrong.codes == ["wrong-penalty"], wrong
    assert check_gradients(squares, X, rng=0).ok
    assert check_gradients(lambda x: squares(x, fault=True), X, rng=0).codes == ["factor-half"]


def test_what_is_no_style():
    with refused(TypeError, "check_gradients: layer … object…"):
        check_gradients(object(), X)
    with refused(TypeError, "check_gradients: layer … ufunc … check_gradients(f, x, gradient=df)"):
        check_gradients(np.tanh, X)
    with refused(ValueError, "check_gradients: tolerance … 0"):
        check_gradients(Dicts(), X, tolerance=0)


def test_tolerance():
    class Nearly:
        def forward(self, x):
            self.x = x
            return x ** 2

        def backward(self, dout):
            return dout * 2.001 * self.x

    assert not check_gradients(Nearly(), X, rng=0) and check_gradients(Nearly(), X, rng=0, tolerance=1e-2)


# ------------------------------------------------------------------------------------- what a backward owes besides

class Guided:
    """Lets only positive gradients pass, as pictures of what a network looks at do."""

    def forward(self, x):
        self.x = x
        return np.maximum(x, 0)

    def backward(self, dout):
        return dout * (self.x > 0) * (dout > 0)


class Bias:
    def forward(self, x):
        return 2 * x

    def backward(self, dout):
        return 2 * dout + 1e-3


@pytest.mark.parametrize("layer, code, words", [
    (Guided(), "missing-mask", "negated"), (Bias(), "ignores-upstream", "doubled")])
def test_a_backward_is_linear_in_dout(layer, code, words):
    found = next(f for f in check_gradients(layer, X, rng=0).findings if f.code == code)
    assert words in found.evidence


def lstm_like(x, c, w):
    gate = 1 / (1 + np.exp(-x * w))
    return gate, gate * c, (x, c, w, gate)


def lstm_like_back(dgate, dstate, cache):
    x, c, w, gate = cache
    dz = (dgate + dstate * c) * gate * (1 - gate)
    return dz * w, dstate * gate, (dz * x).sum(axis=0)


class LstmLike:
    forward = staticmethod(lstm_like)
    backward = staticmethod(lambda dgate, dstate, cache: lstm_like_back(dgate, dstate, cache)[:2])


def test_several_outputs_before_the_cache():
    x, c, w = normal(4, 3), normal(4, 3, seed=1), normal(3)
    assert check_gradients((lstm_like, lstm_like_back), x, c, w, rng=0).checked == ["x", "inputs[1]", "inputs[2]"]
    report = check_gradients((lstm_like, lambda a, b, cache: lstm_like_back(a, -b, cache)), x, c, w, rng=0)
    assert report.codes == ["wrong-sign"], report
    assert check_gradients(LstmLike(), x, c, w, rng=0).codes == ["not-returned"]


def rows(ids, table):
    return table[ids], (ids, table.shape)


def test_gradients_of_the_float_inputs_alone():
    def back(dout, cache, scale=1.0):
        g = np.zeros(cache[1])
        np.add.at(g, cache[0], scale * dout)
        return g
    ids = np.array([2, 0, 2, 1])
    assert check_gradients((rows, lambda dout, cache: back(dout, cache)), ids, normal(3, 5), rng=0).checked == ["inputs[1]"]
    report = check_gradients((rows, lambda dout, cache: back(dout, cache, 2.0)), ids, normal(3, 5), rng=0)
    assert report.codes == ["factor-2"], report


class SpoilsItsCache:
    def forward(self, x, t):
        e = np.exp(x)
        self.y, self.t = e / e.sum(axis=1, keepdims=True), t
        return -np.log(self.y[np.arange(len(t)), t]).mean()

    def backward(self, dout=1.0):
        dx = self.y
        dx[np.arange(len(dx)), self.t] -= 1
        return dx * dout / len(dx)


def test_a_second_backward_that_gives_another_answer_is_found():
    report = check_gradients(SpoilsItsCache(), X, IDS, rng=0)
    assert report.codes == ["mutates-cache"] and "a second backward" in report.findings[0].evidence, report


class Square:
    def forward(self, x):
        self.x = x
        return x ** 2

    def backward(self, dout):
        return dout * 2 * self.x


class Chain:
    """(x² - 0.3)², its layers in a dict."""
    params, grads = (), ()

    def __init__(self, first, second):
        self.layers = {"one": first, "two": second}

    def forward(self, x):
        return self.layers["two"].forward(self.layers["one"].forward(x) - 0.3)

    def backward(self, dout):
        return self.layers["one"].backward(self.layers["two"].backward(dout))


def test_one_object_used_twice():
    square = Square()
    assert check_gradients(Chain(Square(), Square()), X, rng=0).ok
    report = check_gradients(Chain(square, square), X, rng=0)
    assert report.codes[0] == "stale-cache" and "calls this layer twice" in report.findings[0].evidence, report


class InPlace(Square):
    def forward(self, x):
        x *= 0.5
        return super().forward(x)


class Half(Square):
    def backward(self, dout):
        return dout * self.x


def test_locate_names_a_layer_in_a_dict_and_a_model_says_so():
    model = Chain(Square(), Half())
    report = check_gradients(model, X, rng=0)
    assert any("locate(model, ...)" in note for note in report.notes)
    found = locate(model, X, rng=0)
    assert found.name == "layers['two'] (Half)" and not any("locate" in note for note in found.notes)
    report = check_gradients(Chain(Square(), InPlace()), X, rng=0)
    assert not report.ok and any("locate(model, ...)" in note for note in report.notes), report


class Exchanged:
    def __init__(self):
        self.params = [normal(4) + 2, normal(4, seed=3)]
        self.grads = [np.zeros(4), np.zeros(4)]

    def forward(self, x):
        self.x = x
        return x * self.params[0] + self.params[1]

    def backward(self, dout):
        self.grads[1][...] = (dout * self.x).sum(axis=0)
        self.grads[0][...] = dout.sum(axis=0)
        return dout * self.params[0]


def test_gradients_of_two_parameters_exchanged():
    report = check_gradients(Exchanged(), X, rng=0)
    assert report.codes == ["not-written"] and "gradient of params[1]" in report.findings[0].evidence, report


# ---------------------------------------------------------------------------------------------- what the learner reads

def test_levels_of_hints():
    report = check_gradients(Attributes(fault=True), X, rng=0)
    texts = [report.text(level) for level in range(4)]
    assert texts[0] == "Attributes: not right yet"
    assert "wrong in b" in texts[1] and "divided-by-N" not in texts[1]
    assert "divided-by-N" in texts[2] and "now `" not in texts[2]
    assert texts[3] == str(report) and "now `self.db = dout.mean(axis=0) if self.fault else" in texts[3]
    with refused(ValueError, "GradientReport: level … 0, 1, 2 … 3 … 4"):
        report.text(4)


def test_a_report_as_data():
    report = check_gradients(Attributes(fault=True), X, rng=0)
    data = json.loads(json.dumps(report.to_dict()))
    assert not data["ok"] and data["checked"] == ["x", "W", "b"]
    finding, = data["findings"]
    assert finding["code"] == "divided-by-N" and finding["where"] == "b"
    assert "dout.mean(axis=0)" in finding["text"] and isinstance(finding["line"], int)


class Raises:
    def __init__(self):
        self.params, self.grads = [W], [np.zeros_like(W)]

    def forward(self, x):
        self.x = x
        return x @ self.params[0]

    def backward(self, dout):
        self.grads[0][...] = self.x.T @ dout
        return dout @ self.params[0]


def test_an_exception_in_backward_names_its_line():
    report = check_gradients(Raises(), X, rng=0)
    finding, = report.findings
    assert finding.code == "missing-transpose" and "`return dout @ self.params[0]`" in finding.evidence
    assert finding.text == "return dout @ self.params[0]"
