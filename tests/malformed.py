"""Malformed calls of everything public: a call that is right, one argument of it replaced by what should not stand there.

A call is legal all the same, or ends in a sentence: ValueError, TypeError, RuntimeError, OSError or FloatingPointError,
raised by a ``raise`` of chainrule's own, with a message that names what was called and is none of NumPy's or Python's.
Then nothing that was passed has changed. ``python -m tests.malformed --calls 20000`` tries so many of all there are.
"""
import argparse
import atexit
import contextlib
import copy
import dis
import fcntl
import inspect
import itertools
import json
import os
import re
import shutil
import signal
import struct
import sys
import tarfile
import tempfile
import time
import traceback
import types
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np

from chainrule import common, datasets, gradcheck, layers, models, optimizers, plotting, training
from chainrule.common.layer import Layer
from chainrule.models import passes
from tests.layers.table import TABLE

PACKAGES = common, layers, models, optimizers, datasets, training, gradcheck, plotting
PUBLIC = sorted({name for package in PACKAGES for name in package.__all__})
HOUSE = Path(__file__).parents[1]
SECONDS, ROOM = 10, 3 << 30                 # a call's time, and the bytes of address space beyond those of the imports


# ---------------------------------------------------------------------------------------------- right calls

@dataclass(frozen=True)
class Right:
    """``make()`` gives a function and its arguments, all fresh; ``names`` are those of which a message has one;
    ``long`` names the arguments by which a caller asks for long work: no large number takes their place."""
    label: str
    make: callable
    names: tuple
    long: tuple = ()


RIGHT = []


def right(label, function, *args, names=None, long=(), **options):
    """A right call: of ``function``, or of what a function of no arguments named ``make`` gives."""
    def make():
        f = function() if getattr(function, "__name__", "") == "make" else function
        return f, copy.deepcopy(args), copy.deepcopy(options)
    own = label.split(".")[0]
    RIGHT.append(Right(label, make, (own,) if names is None else tuple(names), long))


def method(build, name):
    """The bound method of a new object."""
    def make():
        return getattr(build(), name)
    return make


def behind(build, *inputs):
    """``backward`` of a new layer that has run forward."""
    def make():
        layer = build()
        layer.forward(*copy.deepcopy(inputs))
        return layer.backward
    return make


def drawn(*shape, dtype=np.float32, seed=3):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def constructor(name, make):
    """The arguments with which a row of the layers' table calls the class."""
    seen, cls = [], getattr(layers, name)
    init = cls.__init__

    def listening(self, *args, **options):
        seen.append((args, options))
        init(self, *args, **options)
    with mock.patch.object(cls, "__init__", listening):
        make(np.float32)
    args, options = seen[0]
    bound = inspect.signature(init).bind(None, *args, **options).arguments
    return {key: value for key, value in bound.items() if key != "self"}


SIZES = {
    "Affine": dict(n_in=3, n_out=2), "MatMul": dict(n_in=3, n_out=2), "Convolution": dict(n_in=2, n_out=4, size=3),
    "Embedding": dict(vocabulary=4, dimension=3), "EmbeddingDot": dict(vocabulary=4, dimension=3),
    "MultiHeadAttention": dict(dimension=4, heads=2), "PositionalEncoding": dict(length=5, dimension=4),
    "BatchNorm": dict(n=3), "LayerNorm": dict(n=3), "GroupNorm": dict(n=4, groups=2),
    "Convolution1D": dict(n_in=2, n_out=4, size=3), "TransposedConvolution": dict(n_in=2, n_out=4, size=3),
    "Bidirectional": dict(kind=layers.GRU, n_in=3, n_hidden=2),
    **{name: dict(n_in=3, n_hidden=2) for name in ("RNNCell", "LSTMCell", "GRUCell", "RNN", "LSTM", "GRU")}}


def of_layers():
    for name, cases in TABLE.items():
        for case in cases:
            build = partial(case.make, np.float32)
            inputs = case.inputs(np.random.default_rng(1), np.float32)
            layer = build()
            y = layer.forward(*inputs)
            dout = 1.0 if isinstance(y, float) else copy.deepcopy(y)
            right(f"{name}.forward", method(build, "forward"), *inputs)
            right(f"{name}.backward", behind(build, *inputs), dout)
        given = constructor(name, cases[0].make)
        right(name, getattr(layers, name), **given)
        if hasattr(getattr(layers, name), "init"):
            inner = ("GRU",) if name == "Bidirectional" else ()
            right(f"{name}.init", getattr(layers, name).init, **SIZES[name], names=(name, *inner))


def of_common():
    x, t = drawn(5, 4), np.array([0, 2, 1, 3, 0])
    for name in ("sigmoid", "softmax", "log_softmax", "logsumexp", "relu"):
        right(name, getattr(common, name), x=x)
    right("one_hot", common.one_hot, t=t, classes=4)
    right("cross_entropy", common.cross_entropy, y=common.softmax(x), t=t)
    for name in ("constant", "gaussian", "uniform", "xavier", "he", "orthogonal"):
        right(name, getattr(common, name), shape=(4, 3), rng=0)
    for name in ("L1", "L2"):
        right(name, getattr(common, name), lam=0.1)
        right(f"{name}.loss", method(partial(getattr(common, name), 0.1), "loss"), [x])
        right(f"{name}.add_gradients", method(partial(getattr(common, name), 0.1), "add_gradients"), [x], [np.ones_like(x)])
    for name in ("accuracy", "top_k_accuracy", "confusion_matrix", "perplexity"):
        right(name, getattr(common, name), y=x, t=t, **({"k": 2} if name == "top_k_accuracy" else {}))
        right(name, getattr(common, name), y=x, t=common.one_hot(t, 4), **({"k": 2} if name == "top_k_accuracy" else {}))
    right("accuracy", common.accuracy, y=x[:, :1], t=np.array([[0], [1], [1], [0], [1]]))
    right("roc_auc", common.roc_auc, scores=x[:, 0], t=np.array([0, 1, 1, 0, 1]))
    for name in "precision", "recall", "f1":
        right(name, getattr(common, name), y=drawn(6, 3), t=np.arange(6) % 3, average="macro", ignore_label=2)
    right("mean_absolute_error", common.mean_absolute_error, y=x, t=drawn(5, 4, seed=4))
    right("r2", common.r2, y=x, t=drawn(5, 4, seed=4))
    right("Layer", Layer, W=x)
    right("Layer.astype", method(partial(Layer, W=x), "astype"), np.float64)


def of_models():
    R, A = layers.ReLU, layers.Affine
    ids, images, inner = np.arange(12) % 7, drawn(2, 1, 8, 8), layers.__all__          # inner: a layer of the model may speak
    x, t = drawn(5, 4), np.array([0, 2, 1, 2, 0])

    def chain():
        return models.Sequential(A.init(4, 6, rng=0), R(), A.init(6, 3, rng=1), loss=layers.SoftmaxWithLoss())

    def graph():
        a = models.Input("x")
        h = A.init(4, 6, rng=0)(a)
        return models.Graph(a, A.init(6, 3, rng=1)(R()(h) + h), loss=layers.SoftmaxWithLoss())
    right("Sequential", models.Sequential, A.init(4, 3, rng=0), R(), loss=layers.SoftmaxWithLoss(), penalty=common.L2(0.1),
          names=("Sequential", "layer"))
    right("Recompute", models.Recompute, A.init(4, 3, rng=0), R(), names=("Recompute", "layer"))
    for name, build in (("Sequential", chain), ("Graph", graph)):
        right(f"{name}.forward", method(build, "forward"), x, t, names=PUBLIC)
        right(f"{name}.predict", method(build, "predict"), x, batch_size=2, names=PUBLIC)
        right(f"{name}.backward", behind(build, x, t), names=PUBLIC)
        right(f"{name}.backward", behind(build, x), drawn(5, 3), names=PUBLIC)
        right(f"{name}.summary", method(build, "summary"), x, t, names=PUBLIC)
        right(f"{name}.profile", method(build, "profile"), x, t, steps=1, names=PUBLIC, long=("steps",))
        right(f"{name}.astype", method(build, "astype"), np.float64, names=PUBLIC)
        right(f"{name}.draw", method(build, "draw"), x=x, names=PUBLIC)
        right(f"{name}.to_svg", method(build, "to_svg"), x=x, names=PUBLIC)
        right(f"{name}.save", method(build, "save"), os.path.join(FOLDER, f"{name}.safetensors"))
        right(f"{name}.load", method(build, "load"), saved(build(), f"{name}.saved"))
        right("to_torch_state", models.to_torch_state, build())
        right("load_torch_state", models.load_torch_state, build(), models.to_torch_state(build()), {"0": "0"})
        right("to_source", models.to_source, build(), os.path.join(FOLDER, f"{name}.py"), x)
    a, b = models.Input("x"), models.Input("b")
    right("Graph", models.Graph, [a, b], [R()(a) * b, a + b], trace=False, names=(*PUBLIC, "layer"))
    right("Graph", models.Graph, a, R()(a), loss=layers.SquaredError(), penalty=common.L1(0.1), names=(*PUBLIC, "layer"))
    right("Input", models.Input, "x")
    right("node", models.node, R(), a)
    right("Affine of a node", A.init(4, 3, rng=0), a, names=PUBLIC)
    right("Input.__add__", a.__add__, 2.0, names=PUBLIC)
    right("Input.__pow__", a.__pow__, 2.0, names=PUBLIC)
    right("Input.__getitem__", a.__getitem__, 0, names=("node",))
    right("TwoLayerNet", models.TwoLayerNet, 2, 5, 3, rng=0, names=("TwoLayerNet", "layer", *inner))
    right("MLP", models.MLP, [4, 5, 3], rng=0, names=("MLP", "layer", *inner))
    right("relu_interpolant", models.relu_interpolant, np.array([0.0, 1.0, 3.0]), np.array([1.0, 3.0, -1.0]))
    right("LeNet", models.LeNet, (1, 12, 12), 3, rng=0, names=("LeNet", "layer", *inner))
    for name in ("NiN", "AlexNet"):
        right(name, getattr(models, name), (1, 8, 8), 3, rng=0, names=(name, *inner))
    right("GoogLeNet", models.GoogLeNet, (1, 8, 8), 3, rng=0, names=("GoogLeNet", *inner))
    right("VGG", models.VGG, 6, (1, 8, 8), 3, rng=0, names=("VGG", *inner))
    right("ResNet", models.ResNet, 8, (1, 8, 8), 3, rng=0, names=("ResNet", *inner))
    right("inception", models.inception, 2, (2, (2, 3), (2, 3), 2), rng=0, names=("inception", *inner))
    right("small_inception", models.small_inception, (1, 8, 8), 3, rng=0, names=("small_inception", *inner))
    right("residual", models.residual, 2, 3, 2, rng=0, names=("residual", *inner))
    right("small_inception.predict", method(partial(models.small_inception, rng=0), "predict"), images, names=PUBLIC)
    for name in ("CBOW", "SkipGram"):
        cls = getattr(models, name)
        contexts, words = models.context_windows(ids, 1)
        arrays = (contexts, words) if name == "CBOW" else (words, contexts)
        right(name, cls, 7, dimension=4, counts=np.bincount(ids), negatives=2, rng=0, names=(name, "NegativeSampler", *inner))
        for options in ({}, {"counts": np.bincount(ids), "negatives": 2}):
            right(f"{name}.forward", method(partial(cls, 7, 4, rng=0, **options), "forward"), *arrays,
                  names=(*PUBLIC, "NegativeSampler"))
    right("load_pretrained", models.load_pretrained, "lenet-digits")
    right("context_windows", models.context_windows, ids, 1)
    right("nearest", models.nearest, drawn(7, 4), [1, 2], k=3)
    right("LanguageModel", models.LanguageModel, 7, 4, 4, rng=0, names=("LanguageModel", *inner))
    right("TransformerLM", models.TransformerLM, 7, 8, 2, 1, 12, rng=0, names=("TransformerLM", *inner))
    pairs = np.array([[3, 4, 1], [2, 2, 0]]), np.array([[6, 1, 0], [6, 3, 2]])
    masks = np.array([[True, True, False], [True] * 3]), np.array([[True, True, False], [True] * 3])
    for name in ("Seq2Seq", "AttentionSeq2Seq"):
        cls = getattr(models, name)
        build = partial(cls, 7, 4, 5, rng=0)
        right(name, cls, 7, 4, 5, rng=0, names=(name, *inner))
        right(f"{name}.forward", method(build, "forward"), *pairs, *masks, names=PUBLIC)
        right(f"{name}.predict", method(build, "predict"), *pairs, names=PUBLIC)
        right(f"{name}.generate", method(build, "generate"), pairs[0], start_id=6, length=4, long=("length",), names=PUBLIC)
    right("AttentionSeq2Seq.attention", method(build, "attention"), *pairs, names=PUBLIC)
    texts = {"LanguageModel": partial(models.LanguageModel, 7, 4, 4, rng=0),
             "TransformerLM": partial(models.TransformerLM, 7, 8, 2, 1, 12, rng=0),
             "NGram": lambda: models.NGram(7, 2).fit(ids), "KneserNey": lambda: models.KneserNey(7, 2).fit(ids)}
    for name, build in texts.items():
        right(f"{name}.generate", method(build, "generate"), [1, 2], 3, rng=0, long=("length",), names=PUBLIC)
        right(f"{name}.log_probabilities", method(build, "log_probabilities"), ids, steps=5, names=PUBLIC)
        right(f"{name}.perplexity", method(build, "perplexity"), ids, names=PUBLIC)
    for name in ("LanguageModel", "TransformerLM"):
        right(f"{name}.forward", method(texts[name], "forward"), ids.reshape(2, 6), ids.reshape(2, 6), names=PUBLIC)
    for name in ("NGram", "KneserNey"):
        right(name, getattr(models, name), 7, 2)
        right(f"{name}.fit", method(partial(getattr(models, name), 7, 2), "fit"), ids)


def of_optimizers():
    p, g = drawn(3, 4), drawn(3, 4, seed=5)

    def stepped(cls):
        optimizer = cls()
        optimizer.update([p.copy()], [g])
        return optimizer
    for name in ("SGD", "Momentum", "Nesterov", "AdaGrad", "AdaDelta", "RMSProp", "Adam", "AdamW", "AdaMax"):
        cls = getattr(optimizers, name)
        right(name, cls)
        right(f"{name}.update", method(cls, "update"), [p], [g])
        right(f"{name}.load_state", method(partial(stepped, cls), "load_state"), stepped(cls).state)
    amsgrad = partial(optimizers.Adam, amsgrad=True)
    right("Adam.load_state", method(partial(stepped, amsgrad), "load_state"), stepped(amsgrad).state)
    right("SGD.update", method(optimizers.SGD, "update"), {"W": p}, {"W": g})
    right("Optimizer", optimizers.Optimizer, 0.1)
    right("step_decay", optimizers.step_decay, 0.1, 10)
    right("step_decay", optimizers.step_decay(0.1, 10), 5)
    right("cosine_decay", optimizers.cosine_decay, 0.1, 10)
    right("cosine_decay", optimizers.cosine_decay(0.1, 10), 5)
    right("warmup", optimizers.warmup, 0.1, 10)
    right("warmup", optimizers.warmup(0.1, 10), 5)
    right("clip_gradients", optimizers.clip_gradients, [g], 1.0)


FOLDER = tempfile.mkdtemp(prefix="malformed")


@atexit.register
def clear(owner=os.getpid()):                     # noqa: B008 (a forked child shares the folder, and leaves it)
    if os.getpid() == owner:
        shutil.rmtree(FOLDER, ignore_errors=True)




def written(name, content):
    path = Path(FOLDER, name)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return str(path)


def saved(model, name):
    model.save(Path(FOLDER, name))
    return str(Path(FOLDER, name))


def idx(*shape):
    return b"\0\0\x08" + bytes([len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + bytes(int(np.prod(shape)))


def of_datasets():
    x, t = drawn(12, 3), np.arange(12) % 3
    text = written("ptb.train.txt", b"you say goodbye\nand i say hello\n")
    for part, n in (("train", 3), ("t10k", 2)):
        for inside in "", "fashion-mnist/":
            written(f"{inside}{part}-images-idx3-ubyte", idx(n, 4, 4))
            written(f"{inside}{part}-labels-idx1-ubyte", idx(n))
    with tarfile.open(Path(FOLDER, "cifar-10-binary.tar"), "w") as archive:
        for name in (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"):
            archive.add(written(name, bytes(3073)), f"cifar-10-batches-bin/{name}")
    vocabulary = datasets.Vocabulary.from_text("you say goodbye and i say hello .", unknown="<unk>")
    vocabulary.save(Path(FOLDER, "vocabulary.json"))
    for name, package in (("batches", datasets), ("batches", training)):
        right(name, package.batches, x, t, batch_size=5, rng=0)
    right("load_digits", datasets.load_digits)
    right("load_python_docs", datasets.load_python_docs)
    right("load_mnist", datasets.load_mnist, "train", FOLDER)
    right("load_fashion_mnist", datasets.load_fashion_mnist, "train", FOLDER)
    right("load_cifar10", datasets.load_cifar10, "test", FOLDER)
    right("load_ptb", datasets.load_ptb, "train", FOLDER)
    right("class_names", datasets.class_names, "cifar10")
    right("make_addition", datasets.make_addition, 20, 2, rng=0)
    right("make_dates", datasets.make_dates, 20, rng=0)
    for name in "make_moons", "make_circles", "make_regression_1d":
        right(name, getattr(datasets, name), 10, rng=0)
    right("make_spiral", datasets.make_spiral, 10, rng=0)
    right("pair_batches", datasets.pair_batches, [[1, 2], [3], [4, 5]], [[6], [7, 8], [9, 10, 11]], batch_size=2, rng=0)
    right("ragged_batches", datasets.ragged_batches, [x[:2], x[:1], x[:4]], t[:3], batch_size=2, rng=0)
    right("random_shifts", datasets.random_shifts, drawn(3, 1, 5, 5), rng=0, most=2)
    right("random_flips", datasets.random_flips, drawn(3, 1, 5, 5), rng=0)
    right("random_crops", datasets.random_crops, drawn(3, 1, 5, 5), rng=0, size=(3, 4), padding=1)
    right("merge", datasets.merge, x, x[:, :2], columns=(["a", "b", "c"], ["b", "d"]))
    right("Normalizer", datasets.Normalizer, "standard", 0.1)
    right("Normalizer.fit", method(datasets.Normalizer, "fit"), x)
    for kind in "minmax", "zca-whiten":
        normalizer = datasets.Normalizer(kind).fit(x)
        right("Normalizer.transform", normalizer.transform, x)
        right("Normalizer.inverse_transform", normalizer.inverse_transform, x)
    right("read_text", datasets.read_text, text)
    right("text_batches", datasets.text_batches, np.arange(20), batch_size=3, steps=2)
    right("train_test_split", datasets.train_test_split, x, t, test_size=0.5, stratify=t, rng=0)
    right("Vocabulary", datasets.Vocabulary, ["a", "b", "c"], [3, 2, 1], unknown="a", padding="b")
    right("Vocabulary.from_text", datasets.Vocabulary.from_text, "you say goodbye and i say hello", size=5, unknown="<unk>")
    right("Vocabulary.from_files", datasets.Vocabulary.from_files, text, names=("Vocabulary", "read_text"))
    right("Vocabulary.from_counts", datasets.Vocabulary.from_counts, {"a": 3, "b": 2})
    right("Vocabulary.encode", vocabulary.encode, "i say hello")
    right("Vocabulary.decode", vocabulary.decode, [6, 1, 5])
    right("Vocabulary.save", vocabulary.save, os.path.join(FOLDER, "another.json"))
    right("Vocabulary.load", datasets.Vocabulary.load, os.path.join(FOLDER, "vocabulary.json"), names=("Vocabulary", "read_text"))
    right("Vocabulary.__getitem__", vocabulary.__getitem__, "say")
    right("Vocabulary.__contains__", vocabulary.__contains__, "say")


def of_training():
    x, t = drawn(8, 4), np.arange(8) % 3

    def trainer():
        model = models.Sequential(layers.Affine.init(4, 3, rng=0), loss=layers.SoftmaxWithLoss())
        return training.Trainer(model, optimizers.SGD())

    def history():
        made = training.History()
        made.add_epoch(epoch=1, loss=0.5)
        return made
    right("History", training.History)
    right("Trainer", training.Trainer, models.MLP([4, 3], rng=0), optimizers.SGD(), metrics=(common.accuracy,))
    right("Trainer.fit", method(trainer, "fit"), x, t, epochs=1, batch_size=4, validation_data=(x, t), rng=0, progress=False,
          names=PUBLIC, long=("epochs",))
    right("Trainer.fit", method(trainer, "fit"), x, t, epochs=1, validation_split=0.25,
          class_weight={0: 2.0}, sample_weight=np.ones(8), augment=lambda x, rng: x, freeze=(),
          progress=False, names=PUBLIC, long=("epochs",))
    right("Trainer.fit", method(trainer, "fit"), batches=lambda: [(x, t)], epochs=1, progress=False, names=PUBLIC,
          long=("epochs",))
    right("Trainer.evaluate", method(trainer, "evaluate"), x, t, names=PUBLIC)
    for name in "preflight", "doctor", "lr_range":
        right(name, getattr(training, name), trainer(), x, t, batch_size=5, names=PUBLIC)
    right("Report", training.Report, "MLP", [training.Finding("frozen", "layer 0", "", "")])
    right("EarlyStopping", training.EarlyStopping, "val_loss", patience=5, restore_best=True,
          maximize=False)
    right("ReduceOnPlateau", training.ReduceOnPlateau, "val_loss", factor=0.1, patience=3, min_lr=0.0,
          maximize=False)
    path = os.path.join(FOLDER, "checkpoint.safetensors")
    right("Checkpoint", training.Checkpoint, path, every="epoch", keep=1, best="val_loss",
          maximize=False)
    kept = trainer()
    kept.fit(x, t, epochs=1, callbacks=[training.Checkpoint(path)], progress=False)
    right("Trainer.resume", method(trainer, "resume"), path)
    right("History.to_csv", method(history, "to_csv"), os.path.join(FOLDER, "history.csv"))
    table = os.path.join(FOLDER, "table.csv")
    history().to_csv(table)
    right("History.load", training.History.load, table)
    right("History.plot", method(history, "plot"), names=("plot_history",))
    right("LivePlot", training.LivePlot)
    right("clip_gradients", training.clip_gradients, {"W": x}, 1.0)
    right("random_search", training.random_search, lambda lr: lr, {"lr": training.Uniform(0, 1)},
          n_trials=2, rng=0, checkpoint=None, long=("n_trials",))
    right("Choice", training.Choice, [1, 2])
    right("Uniform", training.Uniform, 0.0, 1.0)
    right("LogUniform", training.LogUniform, 0.1, 1.0, names=("LogUniform", "Uniform"))


def of_gradcheck():
    x, t = drawn(3, 4, dtype=np.float64), np.array([0, 2, 1])
    affine = partial(layers.Affine.init, 4, 3, rng=0, dtype=np.float64)
    chain = models.Sequential(affine(), layers.ReLU(), loss=layers.SoftmaxWithLoss())
    vector = drawn(sum(p.size for p in chain.params), dtype=np.float64)
    right("numerical_gradient", gradcheck.numerical_gradient, lambda x: x ** 2, x, np.ones((3, 4)))
    right("jacobian", gradcheck.jacobian, affine(), x, names=PUBLIC)
    right("check_gradients", gradcheck.check_gradients, affine(), x, rng=0, names=PUBLIC)
    right("locate", gradcheck.locate, chain, x, t, rng=0, names=PUBLIC)
    right("GradientReport", gradcheck.GradientReport, "Affine")
    right("Finding", gradcheck.Finding, "code", "x", "evidence", "hint")
    right("Numeric", gradcheck.Numeric, affine())
    right("Numeric.forward", method(lambda: gradcheck.Numeric(affine()), "forward"), x, names=PUBLIC)
    right("Numeric.backward", behind(lambda: gradcheck.Numeric(affine()), x), drawn(3, 3), names=PUBLIC)
    right("example_inputs", gradcheck.example_inputs, affine(), names=PUBLIC)
    right("hessian_vector_product", gradcheck.hessian_vector_product, chain, x, t, vector, names=PUBLIC)
    right("HessianOperator", gradcheck.HessianOperator, chain, x, t, names=PUBLIC)


def of_plotting():
    x, t = drawn(6, 3), np.array([0, 2, 1, 2, 0, 1])
    record = types.SimpleNamespace(epochs={"epoch": [1, 2], "loss": [0.9, 0.5]}, steps={"epoch": [0.5, 1.0], "loss": [1.0, 0.8]})
    flow = types.SimpleNamespace(params=[drawn(2, 2)], grads=[drawn(2, 2)])
    right("draw", plotting.draw, models.Sequential(layers.Affine.init(3, 2, rng=0), layers.ReLU()), x=x, names=PUBLIC)
    right("plot_activations", plotting.plot_activations, drawn(2, 3, 4, 4), sample=1)
    right("plot_attention", plotting.plot_attention, common.softmax(x), queries="abcdef", keys=["le", "chat", "noir"])
    right("plot_confusion", plotting.plot_confusion, x, t=t, labels=["a", "b", "c"], x=drawn(6, 1, 4, 4))
    right("plot_confusion", plotting.plot_confusion, np.array([[3, 1], [0, 2]]))
    right("plot_decision_boundary", plotting.plot_decision_boundary, lambda x: x, drawn(6, 2), t % 2, resolution=20)
    right("plot_embedding", plotting.plot_embedding, x, list("abcdef"))
    right("plot_filters", plotting.plot_filters, drawn(4, 2, 3, 3))
    right("plot_gradient_flow", plotting.plot_gradient_flow, flow)
    right("plot_history", plotting.plot_history, record)
    right("plot_history", plotting.plot_history, {"one": record, "two": record})
    search = training.random_search(lambda lr: lr, {"lr": training.Uniform(0, 1)}, 3, rng=0)
    right("plot_search", plotting.plot_search, search)
    right("slide", plotting.slide, lambda ax, value: None, [1, 2, 3], start=2)


# ---------------------------------------------------------------------------------------------- malformed values

class Odd:
    """Something with no method that anything asks for."""

    def __repr__(self):
        return "Odd()"


ANY = {
    "None": lambda v: None, "True": lambda v: True, "text": lambda v: "text", "'3'": lambda v: "3", "bytes": lambda v: b"\0\1",
    "3": lambda v: 3, "-1": lambda v: -1, "0": lambda v: 0, "1.5": lambda v: 1.5, "nan": lambda v: np.nan,
    "-inf": lambda v: -np.inf,
    "1j": lambda v: 1j, "10**12": lambda v: 10 ** 12, "-10**30": lambda v: -10 ** 30, "10**400": lambda v: 10 ** 400,
    "[]": lambda v: [], "()": lambda v: (), "{}": lambda v: {}, "ragged": lambda v: [[1.0], [2.0, 3.0]],
    "[None]": lambda v: [None],
    "a set": lambda v: {1, 2}, "a dict": lambda v: {"a": 1}, "an object": lambda v: Odd(),
    "a function": lambda v: lambda *_, **__: None,
    "a class": lambda v: layers.ReLU, "a layer": lambda v: layers.ReLU(), "an iterator": lambda v: iter([1, 2]),
    "array of text": lambda v: np.array(["a", "b"]), "array of objects": lambda v: np.array([None, 1]),
    "array of complex": lambda v: np.array([1j, 2]), "array of dates": lambda v: np.array(["2000-01-01"], "M8[D]"),
    "zeros (0, 3)": lambda v: np.zeros((0, 3)), "ones (2, 3)": lambda v: np.ones((2, 3), np.float32),
    "array 0-d": lambda v: np.array(2.0),
    "a record": lambda v: np.zeros(3, "i4,f4"), "a node": lambda v: models.Input("x"), "a path": lambda v: Path("nowhere"),
}
ARRAY = {
    "one axis more": lambda v: v[None], "one axis less": lambda v: v[0], "transposed": lambda v: v.T, "flat": lambda v: v.ravel(),
    "a column": lambda v: v.reshape(-1, 1), "last axis shorter": lambda v: v[..., :-1],
    "last axis longer": lambda v: np.concatenate([v, v], -1),
    "one row less": lambda v: v[:-1], "one row more": lambda v: np.concatenate([v, v[:1]]), "no rows": lambda v: v[:0],
    "upside down": lambda v: v[::-1], "two axes swapped": lambda v: v.swapaxes(0, -1),
    "four axes more": lambda v: v[None, None, None, None],
    **{f"as {dtype}": partial(lambda dtype, v: v.astype(dtype), dtype)
       for dtype in ("f2", ">f4", "f8", "g", "c8", "i4", "u1", "?", "O", "U")},
    "as a list": lambda v: v.tolist(), "as a tuple of rows": lambda v: tuple(v), "read-only": lambda v: locked(v),
    "masked": lambda v: np.ma.masked_array(v, np.zeros(v.shape, bool)), "matrix": lambda v: v.reshape(len(v), -1).view(np.matrix),
    "with NaN": lambda v: holding(v, np.nan), "with -inf": lambda v: holding(v, -np.inf), "with 1e30": lambda v: holding(v, 1e30),
    "negative": lambda v: -v.astype(np.result_type(v, np.int8)) - 1, "too large": lambda v: v + 10 ** 6,
    "list of arrays": lambda v: [v],
    "every other": lambda v: v[..., ::2],
}
NUMBER = {
    "negative": lambda v: -v - 1, "as float": lambda v: float(v), "plus a half": lambda v: v + 0.5, "as text": lambda v: str(v),
    "a list": lambda v: [v], "a pair": lambda v: (v, v), "a triple": lambda v: (v, v, v), "array": lambda v: np.array([v]),
    "array 0-d": lambda v: np.array(v), "10**9": lambda v: 10 ** 9, "10**18": lambda v: 10 ** 18, "1e300": lambda v: 1e300,
    "uint8": lambda v: np.uint8(int(v) % 256), "float32": lambda v: np.float32(v), "inf": lambda v: np.inf,
    "longdouble": lambda v: np.longdouble(v),
    "7": lambda v: 7,
}
SEQUENCE = {
    "reversed": lambda v: v[::-1], "shorter": lambda v: v[:-1], "longer": lambda v: v + v[-1:], "twice": lambda v: v + v,
    "nested": lambda v: [v],
    "as text": lambda v: str(v), "the other kind": lambda v: list(v) if isinstance(v, tuple) else tuple(v),
    "a generator": lambda v: (a for a in v),
    "array of objects": lambda v: boxed(v), "(0, 0)": lambda v: (0, 0), "24": lambda v: 24, "negative": lambda v: (-1, -1, -1),
    "large": lambda v: (10 ** 9, 10 ** 9), "(10**12, 1)": lambda v: (10 ** 12, 1), "floats": lambda v: (1.5, 2.0),
}
TEXT = {"upper": lambda v: v.upper(), "empty": lambda v: "", "bytes": lambda v: v.encode(), "list": lambda v: [v],
        "with a zero": lambda v: "a\0b", "long": lambda v: "x" * 5000}
DTYPE = {"'>f4'": lambda v: ">f4", "float16": lambda v: np.float16, "longdouble": lambda v: np.longdouble, "int": lambda v: int,
         "complex": lambda v: np.complex64, "object": lambda v: object, "'U5'": lambda v: "U5", "'f4,f4'": lambda v: "f4,f4",
         "'M8[s]'": lambda v: "M8[s]", "an instance": lambda v: np.float32(1), "(float, 2)": lambda v: (np.float32, 2)}
FUNCTION = {"its name": lambda v: getattr(v, "__name__", "relu"), "'he'": lambda v: "he",
            "gives text": lambda v: lambda *_, **__: "text",
            "gives 0-d": lambda v: lambda *_, **__: np.array(1.0),
            "gives float64": lambda v: lambda shape=3, *_, **__: np.ones(shape if isinstance(shape, tuple) else 3),
            "gives another shape": lambda v: lambda *_, **__: np.ones((9, 9), np.float32), "its result": lambda v: object()}
MAPPING = {"a key less": lambda v: dict(list(v.items())[1:]), "a key more": lambda v: {**v, "m.7": np.ones(2)},
           "other keys": lambda v: {f"{key}2": value for key, value in v.items()},
           "numbers as keys": lambda v: dict(enumerate(v.values())),
           "a list": lambda v: list(v.values()), "values of text": lambda v: dict.fromkeys(v, "text"),
           "values None": lambda v: dict.fromkeys(v)}


def locked(v):
    v = v.copy()
    v.flags.writeable = False
    return v


def holding(v, value):
    v = v.astype(np.float64) if v.dtype.kind != "f" else v.copy()
    v.flat[0] = value
    return v


def boxed(v):
    made = np.empty(len(v), object)
    made[:] = list(v)
    return made


def malformed(value):
    """{label: function of the value} of what may stand in its place."""
    return {label: change for label, change in of_kind(value).items() if works(change, value)}


def works(change, value):
    try:
        change(value)
        return True
    except (IndexError, ValueError, TypeError, OverflowError):          # an array of no axes has no row less
        return False


def of_kind(value):
    """The same by the kind of the value alone."""
    if isinstance(value, np.ndarray):
        return {**ANY, **ARRAY}
    if isinstance(value, bool | int | float | np.number):
        return {**ANY, **NUMBER}
    if isinstance(value, str):
        return {**ANY, **TEXT}
    if isinstance(value, dict):
        entries = {f"entry: {label}": partial(lambda change, v: {**v, next(iter(v)): change(next(iter(v.values())))}, change)
                   for label, change in of_kind(next(iter(value.values()))).items()} if value else {}
        return {**ANY, **MAPPING, **entries}
    if isinstance(value, list | tuple):
        entries = {f"entry: {label}": partial(lambda change, v: type(v)((change(v[0]), *v[1:])), change)
                   for label, change in of_kind(value[0]).items()} if value else {}
        return {**ANY, **SEQUENCE, **entries}
    if isinstance(value, type) and issubclass(value, np.generic):
        return {**ANY, **DTYPE}
    if value is None:
        return {**ANY, **{f"as a number: {label}": partial(lambda change, v: change(3), change)
                          for label, change in NUMBER.items()}}
    return {**ANY, **FUNCTION} if callable(value) else ANY


LARGE = re.compile(r"10\*\*|1e300|large")


# ---------------------------------------------------------------------------------------------- calls

@dataclass(frozen=True)
class Call:
    """A right call with ``change`` in the place of one argument."""
    right: Right
    argument: str
    label: str

    def __str__(self):
        return f"{self.right.label} with {self.argument}: {self.label}"

    def prepared(self):
        """(function, positional arguments, options)."""
        function, args, options = self.right.make()
        bound = bind(function, args, options)
        name, _, i = self.argument.partition("#")
        if "<->" in name:
            a, b = name.split("<->")
            bound.arguments[a], bound.arguments[b] = bound.arguments[b], bound.arguments[a]
            return function, bound.args, bound.kwargs
        value = bound.arguments[name]
        if not i:
            bound.arguments[name] = of_kind(value)[self.label](value)
        elif isinstance(value, dict):
            bound.arguments[name] = {**value, i: of_kind(value[i])[self.label](value[i])}
        else:
            at = int(i)
            bound.arguments[name] = (*value[:at], of_kind(value[at])[self.label](value[at]), *value[at + 1:])
        return function, bound.args, bound.kwargs


def bind(function, args, options):
    bound = inspect.signature(function).bind(*args, **options)
    bound.apply_defaults()
    return bound


def every_call():
    """All malformed calls there are."""
    if not RIGHT:
        for fill in (of_common, of_layers, of_models, of_optimizers, of_datasets, of_training, of_gradcheck, of_plotting):
            fill()
    calls = []
    for row in RIGHT:
        bound = bind(*row.make())
        parameters, places = inspect.signature(row.make()[0]).parameters, []
        for name, value in bound.arguments.items():
            kind = parameters[name].kind
            if kind is kind.VAR_POSITIONAL:
                places += [(f"{name}#{i}", one) for i, one in enumerate(value)]
            elif kind is kind.VAR_KEYWORD:
                places += [(f"{name}#{key}", one) for key, one in value.items()]
            else:
                places.append((name, value))
        for name, value in places:
            calls += [Call(row, name, label) for label in malformed(value) if not (name in row.long and LARGE.search(label))]
        plain = [name for name, _ in places if "#" not in name]
        calls += [Call(row, f"{a}<->{b}", "swapped") for a, b in itertools.pairwise(plain)
                  if not {a, b} & set(row.long)]
    return calls


# ---------------------------------------------------------------------------------------------- what comes of them

CLEAR = ValueError, TypeError, RuntimeError, OSError
BARE = re.compile("|".join((
    r"could not be broadcast|not aligned|mismatch in its core|cannot reshape|has no attribute",
    r"is not (callable|iterable|subscriptable)|object cannot be interpreted|too large to|setting an array",
    r"unsupported operand|ufunc '|invalid literal|could not convert|not understood|[Cc]annot (cast|interpret|construct|convert)",
    r"positional argument|unexpected keyword|must be real|out of bounds|has no len|not supported between|truth value",
    r"Unable to allocate|Maximum allowed|negative dimensions|unhashable|to unpack|inhomogeneous",
    r"embedded null|does not support|cannot perform|no loop matching|bad operand|NoneType' object")))


def outcome(call, seconds=SECONDS):
    """("legal" | "clear", "") or ("bare", what is wrong)."""
    function, args, options = call.prepared()
    passed = [*args, *options.values(), getattr(function, "__self__", None)]
    before = frozen(passed)
    try:
        with (limited(seconds), warnings.catch_warnings(), np.errstate(all="ignore"), contextlib.redirect_stdout(None),
              mock.patch.dict(os.environ, CHAINRULE_DATA=FOLDER),                           # nothing is fetched
              mock.patch.object(passes, "plainly", lambda error: None)):                    # a traceback shows all frames
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", "constrained_layout not applied|Glyph", UserWarning)          # about a caption
            result = function(*args, **options)
            if inspect.isgenerator(result):
                list(itertools.islice(result, 3))
        return "legal", ""
    except CLEAR as error:
        wrong = complaint(error, call.right.names)
        if not wrong and frozen(passed) != before:
            wrong = "what was passed has changed"
        return ("bare" if wrong else "clear"), wrong and told(error, wrong)
    except ArithmeticError as error:
        wrong = complaint(error, call.right.names) if isinstance(error, FloatingPointError) else type(error).__name__
        return ("bare" if wrong else "clear"), wrong and told(error, wrong)
    except (Exception, TooLong) as error:
        return "bare", told(error, type(error).__name__)
    finally:
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close("all")


def complaint(error, names):
    """What is wrong with an error, or ""."""
    text = str(error)
    if isinstance(error, Warning):
        return "a warning"
    if not raised_by_us(error):
        return "not raised by chainrule"
    if BARE.search(text):
        return f"a bare message ({BARE.search(text).group()})"
    if not any(re.search(rf"(?<![\w.]){re.escape(name)}", text) for name in names):
        return f"names none of {', '.join(names[:3])}"
    return ""


def raised_by_us(error):
    """Whether the innermost frame is in a module of chainrule and stands at a ``raise``."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    tb = error.__traceback__
    while tb.tb_next:
        tb = tb.tb_next
    path = Path(frame.f_code.co_filename)
    return path.is_relative_to(HOUSE) and "tests" not in path.parts and \
        dis.opname[frame.f_code.co_code[tb.tb_lasti]] == "RAISE_VARARGS"


def told(error, wrong):
    frames = traceback.extract_tb(error.__traceback__)
    place = next((f for f in reversed(frames) if Path(f.filename).is_relative_to(HOUSE)), frames[-1])
    return f"{wrong}: {type(error).__name__}: {str(error)[:200]} [{Path(place.filename).name}:{place.lineno} {place.line}]"


class TooLong(BaseException):
    pass


@contextlib.contextmanager
def limited(seconds):
    def stop(*_):
        raise TooLong(f"took more than {seconds} s")
    old = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


def frozen(value, depth=0):
    """What can be seen of a value, to be compared later."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, repr(value.tolist()) if value.dtype.kind == "O" else value.tobytes()
    if isinstance(value, np.random.Generator):
        return repr(value.bit_generator.state)
    if isinstance(value, list | tuple):
        return type(value).__name__, *(frozen(v, depth) for v in value)
    if isinstance(value, dict):
        return "dict", *((repr(k), frozen(v, depth)) for k, v in value.items())
    if hasattr(value, "params") and hasattr(value, "forward") and not isinstance(value, type):
        return frozen([value.params, getattr(value, "buffers", None), getattr(value, "training", None),
                       list(getattr(value, "layers", ()))], depth)
    if isinstance(value, optimizers.Optimizer):
        return frozen(value.state)
    return repr(value) if isinstance(value, int | float | str | bytes | complex) else id(value)


def run(calls, seed):
    """Try ``calls`` of all malformed calls (None: all), drawn by ``seed``: counts, and what was not clear."""
    every, start = every_call(), time.perf_counter()
    order = np.random.default_rng(seed).permutation(len(every))[:calls]
    counts, found = {"legal": 0, "clear": 0, "bare": 0}, []
    for i in order:
        kind, wrong = outcome(every[i])
        counts[kind] += 1
        if wrong:
            found.append(f"{every[i]}: {wrong}")
    return {"of": len(every), "calls": len(order), **counts, "seconds": time.perf_counter() - start, "found": found}


def bounded():
    """Leave this process so much more memory, and no more."""
    import resource
    used, pages = 1 << 30, Path("/proc/self/statm")
    if pages.exists():
        used = int(pages.read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, resource.getrlimit(resource.RLIMIT_AS)[1]))


def main():
    parser = argparse.ArgumentParser(description="malformed calls of everything public")
    parser.add_argument("--calls", type=int)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    import matplotlib
    matplotlib.use("agg")
    import matplotlib.pyplot
    os.chdir(FOLDER)
    bounded()
    out = os.fdopen(fcntl.fcntl(1, fcntl.F_DUPFD, 100), "w")           # a number may be taken for a file's: 1 is stdout
    print(json.dumps(run(options.calls, options.seed)), file=out, flush=True)


if __name__ == "__main__":
    main()
