"""Malformed calls of everything public end in sentences, soon, in little memory, and change nothing (see malformed.py)."""
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from chainrule.common import accuracy, he, one_hot, relu, roc_auc, sigmoid, softmax
from chainrule.datasets import batches, load_mnist, make_spiral, random_shifts
from chainrule.gradcheck import GradientReport, HessianOperator, jacobian, numerical_gradient
from chainrule.layers import (
    GRU,
    RNN,
    Affine,
    AveragePool,
    Branch,
    Convolution,
    Embedding,
    LayerNorm,
    MaxPool,
    MultiHeadAttention,
    ReLU,
    Repeat,
    Reshape,
    Sum,
    Transpose,
)
from chainrule.models import MLP, Input, NGram, Seq2Seq, TransformerLM
from chainrule.optimizers import SGD, Adam, clip_gradients, step_decay
from tests.errors import refused
from tests.malformed import PUBLIC, RIGHT, Call, Right, every_call, outcome

ROOT = Path(__file__).parents[1]


def tried(calls, seed, seconds):
    """The report of a process of its own, which has so much memory and no more."""
    one_core = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [sys.executable, "-m", "tests.malformed", "--calls", str(calls), "--seed", str(seed)]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **one_core}, capture_output=True, text=True, timeout=seconds)
    assert not done.returncode, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def found(report):
    return "\n".join(report["found"])


def test_a_thousand_calls():
    report = tried(1_000, seed=0, seconds=60)
    assert not found(report), found(report)
    assert report["clear"] > 500 and report["seconds"] < 20


@pytest.mark.slow
def test_twenty_thousand_calls():
    report = tried(20_000, seed=1, seconds=600)
    assert not found(report), found(report)


def test_everything_public_is_called():
    called = {call.right.label.split(".")[0] for call in every_call()} | {row.label for row in RIGHT}
    assert not set(PUBLIC) - called


def test_the_right_calls_are_right():
    """Else an argument would be refused for another one's sake."""
    for row in {call.right for call in every_call()}:
        function, args, options = row.make()
        function(*args, **options)


@pytest.mark.parametrize(("function", "wrong"), [
    (lambda x: x.nothing, "AttributeError"), (lambda x: x[0] + 1, "not raised by chainrule"), (lambda x: (_ for _ in ()).throw(
        ValueError("Affine: nothing")), "not raised by chainrule"), (lambda x: ReLU().forward(x), "names none"),
    (lambda x: bytearray(10 ** 15), "MemoryError"), (lambda x: exec("while True: pass"), "TooLong")])
def test_what_is_bare_is_found(function, wrong):
    kind, text = outcome(Call(Right("Affine", lambda: (function, ("a",), {}), ("Affine",)), "x", "None"), seconds=0.5)
    assert kind == "bare" and text.startswith(wrong)


def test_what_has_changed_is_found():
    def clears(x, keep):
        keep.clear()
        ReLU().forward(x)
    kind, text = outcome(Call(Right("ReLU", lambda: (clears, ("a", [1]), {}), ("ReLU",)), "x", "None"))
    assert kind == "bare" and text.startswith("what was passed has changed")


x, labels, image = np.ones((2, 3), np.float32), np.array([0, 1]), np.ones((1, 1, 4, 4), np.float32)


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda: Affine.init(3, 2, initializer="he"), TypeError,
     "Affine: initializer should be a function such as he, of chainrule.common, got 'he'; initializer=he, without quotes"),
    (lambda: Affine.init(3, 2, initializer=lambda *_, **__: x), TypeError,
     "Affine: initializer should return an array of floats of shape (3, 2), got float32 of shape (2, 3)"),
    (lambda: GRU.init(3, 2, recurrent_initializer=3), TypeError,
     "GRU: recurrent_initializer should be a function such as he, of chainrule.common, got 3"),
    (lambda: Affine.init(3, 2, dtype=">f4"), TypeError, "Affine: dtype should be np.float32 or np.float64, got '>f4'"),
    (lambda: LayerNorm.init(3, dtype=None), TypeError, "LayerNorm: dtype should be np.float32 or np.float64, got None"),
    (lambda: Affine.init(3, 2, bias=labels), TypeError, "Affine: bias should be True or False, got ndarray"),
    (lambda: he((3, 2), dtype="number"), TypeError, "he: dtype should be a float type, got 'number'; np.float32 is usual"),
    (lambda: Convolution(None), TypeError,
     "Convolution: W should be a NumPy array of floats, got None; Convolution.init(...) makes one"),
    (lambda: RNN(x, None, x), TypeError, "RNN: Wh should be a NumPy array of floats, got None; RNN.init(...) makes one"),
    (lambda: MultiHeadAttention(*[None] * 8, heads=1), TypeError,
     "MultiHeadAttention: Wq should be a NumPy array of floats, got None; MultiHeadAttention.init(...) makes one"),
    (lambda: Sum((0, 0)), ValueError, "Sum: axis should be an axis, a tuple of different ones or None for all, got (0, 0)"),
    (lambda: Sum((1, -1)).forward(x), ValueError, "Sum: x should have different axes (1, -1), got shape (2, 3)"),
    (lambda: Reshape(24), TypeError, "Reshape: shape should be a tuple, got 24; Reshape((-1, 24)) makes rows of that size"),
    (lambda: Transpose("01"), TypeError, "Transpose: axes should be a list of axes, got '01'"),
    (lambda: accuracy([2, 0], [2, 1]), TypeError, "accuracy: y should hold scores, shape (N, ..., C), got labels, int64 (2,); "
     "pass the scores whose argmax they are; the share of right labels is (y == t).mean()"),
    (lambda: roc_auc([0, 1], [1, 0]), TypeError,
     "roc_auc: scores should be an array of floats, got labels, 0 or 1; pass the scores from which these were decided"),
    (lambda: relu("text"), TypeError, "relu: x should be an array of numbers, got <U4 str"),
    (lambda: sigmoid(None), TypeError, "sigmoid: x should be an array of numbers, got NoneType"),
    (lambda: softmax(3.0), ValueError, "softmax: x should have shape (..., C), got ()"),
    (lambda: accuracy(x, labels, ignore_label="3"), TypeError, "accuracy: ignore_label should be a whole number, got '3'"),
    (lambda: step_decay(0.1, 5)("3"), TypeError, "step_decay: step should be a number of at least 0, got '3'"),
    (lambda: Seq2Seq(7, 4, 5, reverse="no"), TypeError, "Seq2Seq: reverse should be True or False, got 'no'"),
    (lambda: TransformerLM(7, 8, 2, depth=10**9), ValueError, "TransformerLM: depth should be at most 1000, got 1000000000"),
    (lambda: SGD().update(3, [x]), TypeError, "SGD: params should be a list of arrays, got 3"),
    (lambda: SGD().update([x], Input("x")), TypeError, "SGD: grads should be a list of arrays, got Input(x)"),
    (lambda: Adam().load_state([x]), TypeError,
     "Adam: state should be a dict of named arrays, as optimizer.state is, got [array([[1., 1., 1.],\n       [1., 1., 1.]], "
     "dtype=float32)]"),
    (lambda: Adam().load_state({3: x}), TypeError,
     "Adam: state should be a dict of named arrays, as optimizer.state is, got {3: array([[1., 1., 1.],\n       [1., 1., 1.]], "
     "dtype=float32)}"),
    (lambda: clip_gradients(3.0, 1.0), TypeError, "clip_gradients: grads should be a list of arrays, got 3.0"),
    (lambda: clip_gradients([x, np.broadcast_to(x, (2, 3))], 1.0), ValueError,
     "clip_gradients: grads[1] should be writable, got a read-only array"),
    (lambda: batches(x, shuffle="no"), TypeError, "batches: shuffle should be True or False, got 'no'"),
    (lambda: jacobian(ReLU(), x, numerical="yes"), TypeError, "jacobian: numerical should be True or False, got 'yes'"),
    (lambda: numerical_gradient(ReLU, x), TypeError,
     "numerical_gradient: f should be a function of an array, got the class ReLU; make a layer of it: ReLU(...).forward"),
    (lambda: numerical_gradient(np.sin, x, dout=1j * x), TypeError,
     "numerical_gradient: dout should be an array of floats, got complex64 ndarray"),
    (lambda: GradientReport("Affine", notes="text"), TypeError, "GradientReport: notes should be a list of notes, got 'text'"),
    (lambda: HessianOperator(MLP([3, 2]), tuple(x), labels), TypeError,
     "HessianOperator: x and t should be what model.forward takes, got 3 arrays; a tuple stands for several inputs; of rows "
     "make one array"),
    (lambda: HessianOperator(MLP([3, 2]), x, [[0], [0, 1]]), TypeError,
     "HessianOperator: t should be an array of numbers, got a ragged list"),
    (lambda: NGram(7, 10**9), ValueError, "NGram: n should be smaller for a vocabulary of 7: (V + 1)^n < 2^63, got 1000000000"),
    (lambda: load_mnist(["train"]), ValueError, "load_mnist: split should be 'train', 'test' or None for both, got ['train']"),
    (lambda: Repeat(10**400), ValueError, "Repeat: n should be at most 4611686018427387904, got a number of 401 digits"),
])
def test_in_a_sentence(call, error, message):
    with refused(error, message):
        call()


@pytest.mark.parametrize(("who", "name", "call"), [
    ("Affine", "the sizes", lambda: Affine.init(10**9, 10**9)), ("Embedding", "the sizes", lambda: Embedding.init(10**12, 100)),
    ("one_hot", "classes", lambda: one_hot(labels, 10**12)), ("Repeat", "n", lambda: Repeat(10**12).forward(x)),
    ("Branch", "n", lambda: Branch(10**12).forward(x)), ("he", "shape", lambda: he((10**9, 10**9))),
    ("Convolution", "padding", lambda: Convolution(np.ones((1, 1, 3, 3)), padding=10**9)),
    ("MaxPool", "padding", lambda: MaxPool(10**7, padding=10**6 * 5)),
    ("AveragePool", "size", lambda: AveragePool((1, 10**12))),
    ("make_spiral", "n_per_class and classes", lambda: make_spiral(10**12)),
    ("random_shifts", "most", lambda: random_shifts(image, most=10**9))])
def test_what_fits_into_no_memory(who, name, call):
    """Refused before anything is allocated; the numbers are those of the machine."""
    with pytest.raises(ValueError, match=rf"^{who}: {name} should make an array that fits into memory, [\d.]+ [KMGTP]B, got "
                                         r".*, (thousands of |[\d.e+]+ )PB|.*TB; make it smaller$"):
        call()
