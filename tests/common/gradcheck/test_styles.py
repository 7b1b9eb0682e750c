"""The styles in which learners write: each checked when right, and with one mistake, whose line is named."""
import functools
import json
import os
import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from chainrule.gradcheck import check_gradients, locate
from chainrule.layers import Affine
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


# ----------------------------------------------------------------------------- parameters wherever a learner keeps them

class Param:
    def __init__(self, value):
        self.value, self.grad = value, None


class Slotted:
    __slots__ = ("W", "b", "dW", "db", "x", "fault")


PLACES = {                                       # how W and b are kept, and under which names backward leaves their gradients
    "objects": ("self.W, self.b = Param(W), Param(B)", "self.W.value, self.b.value", "self.W.grad, self.b.grad"),
    "objects in a list": ("self.params = [Param(W), Param(B)]", "[p.value for p in self.params]",
                          "self.params[0].grad, self.params[1].grad"),
    "objects in a dict": ("self.params = {'W': Param(W), 'b': Param(B)}", "[p.value for p in self.params.values()]",
                          "self.params['W'].grad, self.params['b'].grad"),
    "a method": ("self._W, self._b = W, B", "self.params()", "self._grad_W, self._grad_b"),
    "namespaces": ("self.p, self.g = SimpleNamespace(W=W, b=B), SimpleNamespace()", "self.p.W, self.p.b", "self.g.W, self.g.b"),
    "dicts": ("self.parameters, self.gradients = {'W': W, 'b': B}, {}", "self.parameters.values()",
              "self.gradients['dW'], self.gradients['db']"),
    "lists": ("self.weights, self.dweights = [W, B], [None, None]", "self.weights", "self.dweights[0], self.dweights[1]"),
    "words": ("self.weights, self.bias = W, B", "self.weights, self.bias", "self.weights_gradient, self.gradient_bias"),
    "a layer inside": ("self.inner = SimpleNamespace(W=W, b=B, dW=None, db=None, forward=None)", "self.inner.W, self.inner.b",
                       "self.inner.dW, self.inner.db"),
    "slots": ("self.W, self.b = W, B", "self.W, self.b", "self.dW, self.db"),
}


def kept_in(place, fault):
    made, read, written = PLACES[place]
    space = {"W": W, "B": B, "Param": Param, "SimpleNamespace": SimpleNamespace, "Base": Slotted if place == "slots" else object}
    exec(f"class Own(Base):\n    __slots__ = {() if place == 'slots' else ('__dict__',)}\n"
         f"    def __init__(self, fault):\n        self.fault = fault\n        {made}\n"
         f"    def forward(self, x):\n        self.x = x\n        w, b = {read}\n        return x @ w + b\n"
         f"    def backward(self, dout):\n        w, b = {read}\n"
         f"        {written} = self.x.T @ dout, (dout.mean if self.fault else dout.sum)(axis=0)\n        return dout @ w.T\n"
         + "    def params(self):\n        return [self._W, self._b]\n" * (place == "a method"), space)
    return space["Own"](fault)


class Properties(Dicts):
    """Its dicts are made when they are asked for."""
    params = property(lambda self: {"W": self.arrays[0], "b": self.arrays[1]}, lambda self, value: None)
    grads = property(lambda self: dict(self.kept), lambda self, value: None)

    def __init__(self, fault=False):
        super().__init__(fault)
        self.arrays, self.kept = (W, B), {}

    def backward(self, dout):
        self.kept = {"W": self.x.T @ dout, "b": dout.mean(axis=0) if self.fault else dout.sum(axis=0)}
        return dout @ W.T


def test_dicts_that_are_properties():
    assert check_gradients(Properties(), X, rng=0).checked == ["x", "params['W']", "params['b']"]
    assert check_gradients(Properties(fault=True), X, rng=0).codes == ["divided-by-N"]


@pytest.mark.parametrize("place", PLACES)
def test_parameters_wherever_they_lie(place):
    right, wrong = (check_gradients(kept_in(place, fault), X, rng=0) for fault in (False, True))
    assert right.ok and len(right.checked) == 3 and not right.notes, right
    assert wrong.codes == ["divided-by-N"] and wrong.findings[0].where == right.checked[2], wrong


class Returned(Attributes):
    """Its gradients come back with the input's: dx, dW, db."""

    def backward(self, dout):
        dx = super().backward(dout)
        found = dx, vars(self).pop("dW"), vars(self).pop("db")
        return found


def test_gradients_that_are_returned_with_that_of_the_input():
    assert check_gradients(Returned(), X, rng=0).checked == ["x", "W", "b"]
    report = check_gradients(Returned(fault=True), X, rng=0)
    assert report.codes == ["divided-by-N"] and report.findings[0].where == "b", report


def test_a_layer_that_has_run_before_is_not_checked_by_the_input_of_then():
    layer = Attributes()
    layer.forward(X)
    layer.dx = layer.backward(normal(6, 3))
    assert check_gradients(layer, X, rng=0).checked == ["x", "W", "b"]


class HalfWritten(Attributes):
    def backward(self, dout):
        dx = super().backward(dout)
        del self.db
        return dx


def test_what_has_no_gradient_anywhere_is_named():
    assert any("depends on b, not" in note for note in check_gradients(HalfWritten(), X, rng=0).notes)


def test_a_function_object_that_gives_its_gradients():
    assert check_gradients(functools.partial(squares, fault=False), X, rng=0).ok
    assert check_gradients(functools.partial(squares, fault=True), X, rng=0).codes == ["factor-half"]


def test_gradients_in_a_dict_under_the_names_of_the_arguments():
    def line(W, b, x, fault=1):
        return ((x @ W + b) ** 2).sum() / 2, {"dW": x.T @ (x @ W + b), "db": fault * (x @ W + b).sum(axis=0)}

    assert check_gradients(line, W, B, X, rng=0).checked == ["x", "inputs[1]"]
    report = check_gradients(lambda W, b, x: line(W, b, x, fault=2), W, B, X, rng=0)
    assert report.codes == ["factor-2"] and report.findings[0].where == "inputs[1]", report


class Gives:
    def __init__(self, found):
        self.found = found

    def forward(self, x):
        return self.found

    def backward(self, dout):
        return dout


@pytest.mark.parametrize("found, words", [(None, "NoneType"), ("y", "str"), ({"y": X}, "dict"), (X + 1j, "complex128")])
def test_what_forward_gives_is_named_if_it_is_no_array_of_floats(found, words):
    finding, = check_gradients(Gives(found), X, rng=0).findings
    assert finding.evidence.startswith("forward returned") and words in finding.evidence


@pytest.mark.parametrize("x, error, sentence", [
    (np.ma.masked_array(X, X > 0), TypeError, "check_gradients: inputs[1] … without a mask…"),
    (X.astype(object), TypeError, "check_gradients: inputs[1] … numbers … objects (float)…"),
    (X + 1j, TypeError, "check_gradients: inputs[1] … numbers … complex128…"),
    (X[:0], ValueError, "check_gradients: inputs[1] … empty … (0, 4)")])
def test_inputs_that_cannot_be_checked(x, error, sentence):
    with refused(error, sentence):
        check_gradients(Attributes(), X, x, rng=0)


def test_a_layer_that_holds_what_cannot_be_copied(tmp_path):
    with open(tmp_path / "log", "w") as log:
        for held in (threading.Lock(), log, (i for i in range(3)), [threading.Condition()]):
            layer = Attributes()
            layer.held = held
            assert check_gradients(layer, X, rng=0).ok


class Names:
    """Names that look like those of gradients, optimizers' and averages' arrays among them."""

    def __init__(self):
        self.W, self.gW, self.Wd, self.decoder, self.delta, self.data, self.s, self.pos = (
            normal(4, 4, seed=i) for i in range(8))
        self.mW, self.vW, self.W_average, self.dW = (np.zeros((4, 4)) for _ in range(4))
        self.store = [self.W]

    def forward(self, x):
        self.x = x
        return x @ (self.W + 2 * self.gW + 3 * self.Wd + 4 * self.decoder + 5 * self.delta + 6 * self.data
                    + 7 * self.s + 8 * self.pos)

    def backward(self, dout):
        g = self.x.T @ dout
        self.dW, self.d_gW, self.dWd, self.d_decoder, self.ddelta, self.d_data, self.ds, self.dpos = (
            k * g for k in range(1, 9))
        return dout @ (self.W + 2 * self.gW + 3 * self.Wd + 4 * self.decoder + 5 * self.delta + 6 * self.data
                       + 7 * self.s + 8 * self.pos).T


def test_parameters_by_names_that_look_like_gradients():
    assert check_gradients(Names(), X, rng=0).checked == ["x", "W", "gW", "Wd", "decoder", "delta", "data", "s", "pos"]


@pytest.mark.parametrize("second", [lambda w: w, lambda w: w.T])
def test_a_weight_that_two_inner_layers_hold_is_no_mistake(second):
    class Two:
        def __init__(self):
            w = normal(4, 4)
            self.one, self.two = Affine(w), Affine(second(w), normal(4))

        def forward(self, x):
            return self.two.forward(self.one.forward(x))

        def backward(self, dout):
            return self.one.backward(self.two.backward(dout))

    report = check_gradients(Two(), X, rng=0)
    assert report.ok and report.checked == ["x", "two.params[1]"] and "one.params[0], not in params" in report.notes[0], report


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_waits_for_the_check_of_another_thread():
    code = """
import os, threading, time
import numpy as np
from chainrule.gradcheck import check_gradients
from chainrule.layers import Tanh
inside = threading.Event()

class Slow:
    params, grads = [], []
    def forward(self, x):
        inside.set()
        time.sleep(0.001)
        return x.sum()
    def backward(self, dout):
        return np.ones((2, 3)) * dout

thread = threading.Thread(target=check_gradients, args=(Slow(), np.ones((2, 3))))
thread.start()
inside.wait()
child = os.fork()
if not child:
    os._exit(not check_gradients(Tanh(), np.ones((2, 3))).ok)
thread.join()
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], timeout=60).returncode == 0


def test_checks_in_several_threads_keep_out_of_each_others_way():
    code, reports = Attributes.backward.__code__, []
    threads = [threading.Thread(target=lambda: reports.append(str(check_gradients(Attributes(fault=True), X, rng=0))))
               for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(reports) == {str(check_gradients(Attributes(fault=True), X, rng=0))} and len(reports) == 6
    assert Attributes.backward.__code__ is code


class Forgets(Dicts):
    def backward(self, dout):
        dx = super().backward(dout)
        del self.grads["b"]
        return dx


def test_a_gradient_that_is_not_in_the_dict():
    finding, = check_gradients(Forgets(), X, rng=0).findings
    assert (finding.code, finding.where) == ("not-written", "params['b']")


@pytest.mark.parametrize("packed", [lambda g: g, lambda g: (g,), lambda g: {"dx": g}, lambda g: {"x_grad": g}])
def test_one_gradient_of_a_loss_however_it_is_packed(packed):
    assert check_gradients(lambda x: ((x ** 2).sum(), packed(2 * x)), X, rng=0).ok
    assert check_gradients(lambda x: ((x ** 2).sum(), packed(x)), X, rng=0).codes == ["factor-half"]


def test_gradients_of_a_loss_under_other_names_are_missing():
    assert check_gradients(lambda x: ((x ** 2).sum(), {"theta": 2 * x}), X, rng=0).codes == ["not-returned"]


class OneWeight:
    """One parameter, and two things returned: the second is no gradient of it, or holds it."""

    def __init__(self, second, fault=1.0):
        self.params, self.second, self.fault = {"W": W}, second, fault

    def forward(self, x):
        self.x = x
        return x @ self.params["W"]

    def backward(self, dout):
        g = self.fault * self.x.T @ dout
        if self.second is None:
            self.dW = g
        return dout @ self.params["W"].T, self.second and {self.second: g}


@pytest.mark.parametrize("second", [None, "W", "dW", "grad_W"])
def test_as_many_things_returned_as_there_are_inputs_and_parameters(second):
    assert check_gradients(OneWeight(second), X, rng=0).checked == ["x", "params['W']"]
    report = check_gradients(OneWeight(second, 2.0), X, rng=0)
    assert report.codes == ["factor-2"] and report.findings[0].where == "params['W']", report


class Shifted:
    """By a constant, which has no gradient."""

    def __init__(self):
        self.shift = normal(4)

    def forward(self, x):
        return 3 * x + self.shift

    def backward(self, dout):
        return 3 * dout, None


def test_a_constant_is_no_parameter_whatever_is_returned():
    report = check_gradients(Shifted(), X, rng=0)
    assert report.ok and any("depends on shift, not" in note for note in report.notes), report


class ShortNames:
    """Parameters called d, g and s: grads is no gradient of s."""

    def __init__(self):
        self.params, self.grads = {k: normal(4, seed=i) for i, k in enumerate(("d", "g", "s"))}, {}

    def forward(self, x):
        self.x = x
        return self.params["d"] * x + self.params["g"] * x ** 2 + self.params["s"]

    def backward(self, dout):
        self.grads.update(d=(dout * self.x).sum(axis=0), g=(dout * self.x ** 2).sum(axis=0), s=dout.sum(axis=0))
        return dout * (self.params["d"] + 2 * self.params["g"] * self.x)


def test_parameters_that_are_called_as_marks_of_gradients_are():
    assert check_gradients(ShortNames(), X, rng=0).checked == ["x", "params['d']", "params['g']", "params['s']"]

    class Whole:
        def __init__(self):
            self.parts = {"d": Attributes(), "g": Attributes()}
            self.parts["g"].W, self.parts["g"].b = normal(4, 3, seed=5), normal(3, seed=6)

        def forward(self, x):
            return self.parts["d"].forward(x) - self.parts["g"].forward(x)

        def backward(self, dout):
            return self.parts["d"].backward(dout) + self.parts["g"].backward(-dout)

    report = check_gradients(Whole(), X, rng=0)
    assert report.ok and not report.notes and report.checked == ["x", *(f"parts['{k}'].{n}" for k in "dg" for n in "Wb")]
