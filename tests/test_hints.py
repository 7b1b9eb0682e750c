"""The public API says its types; they hold in chainrule's own code, and find mistakes in a user's."""
import configparser
import importlib
import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from chainrule import layers

ROOT = Path(__file__).parent.parent
CONFIG = configparser.ConfigParser()
CONFIG.read(ROOT / "setup.cfg")
ROOMS = CONFIG["mypy"]["packages"].replace(",", "").split()
PUBLIC = {f"{room}.{name}": getattr(package, name)
          for room in ROOMS for package in [importlib.import_module(room)] for name in package.__all__}
# What a layer's line ``shapes`` says, and formulas that a base class asks for.
FORMULAS = {"forward", "backward", "rule", "value", "gradients", "losses", "gradient", "scaled"}

# Lines with a mistake end in a comment; mypy is to complain of these, and of no other.
HOMEWORK = '''
import numpy as np
from matplotlib import pyplot as plt

from chainrule.common import L2, Layer, accuracy, he, softmax
from chainrule.datasets import Vocabulary, batches, load_digits, make_spiral, text_batches
from chainrule.gradcheck import check_gradients, example_inputs, numerical_gradient
from chainrule.layers import LSTM, Affine, BatchNorm, Bidirectional, Convolution, MaxPool, ReLU
from chainrule.layers import SoftmaxWithLoss
from chainrule.models import CBOW, MLP, Graph, Input, LanguageModel, LeNet, NGram, Sequential
from chainrule.models import TwoLayerNet
from chainrule.optimizers import SGD, Adam, Optimizer, cosine_decay, warmup
from chainrule.plotting import plot_filters, plot_history
from chainrule.training import Trainer, clip_gradients


class Own:
    def __init__(self) -> None:
        self.params, self.grads = [np.ones(1)], [np.zeros(1)]

    def forward(self, x, t):
        return float((self.params[0] * x - t).mean())

    def backward(self):
        clip_gradients(self.grads, max_norm=1)


class SignedSGD(Optimizer):
    def rule(self, lr, p, g):
        p -= lr * np.sign(g)


class Scale(Layer):
    shapes = "x (...), a (1) -> y (...)"

    def __init__(self, a: np.ndarray) -> None:
        super().__init__(a=a)

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.cache = x
        return x * self.a

    def backward(self, dout: np.ndarray) -> np.ndarray:
        self.da[0] = (dout * self.cache).sum()
        return dout * self.a


class Square:
    def forward(self, x: np.ndarray) -> np.ndarray:
        return x * x


x, t = make_spiral(rng=np.random.default_rng(0))
for optimizer in SGD(0.1), Adam(warmup(cosine_decay(0.1, 90), 10)), SignedSGD(lambda step: 0.1 / (step + 1)):
    trainer = Trainer(TwoLayerNet(2, 10, 3), optimizer, [accuracy])
trainer = Trainer(Own(), SGD(), {"right": accuracy, "one": lambda y, t: np.float32(1)})
history = trainer.fit(x, t, validation_data=(x, t), callbacks=[lambda trainer: len(trainer.history) > 3])
history = trainer.fit(batches=lambda: text_batches([1, 2, 3], 1), max_grad_norm=1, rng=0)
last: float = history["loss"][-1]
(x_train, t_train), test = load_digits()
for x_batch, t_batch in batches(x_train, t_train.tolist()):
    print(x_batch.shape, trainer.evaluate(x_batch, t_batch)["loss"] + 1)
ids = Vocabulary.from_text("a b".split()).encode("b a") + 1
figure, ax = plt.subplots()
plot_filters(x_train, ax).set_title(str(plot_history(history)[0]))

wide = lambda shape, rng, dtype: he(shape, rng, dtype, gain=2.0)
affine = Affine.init(4, 8, rng=0, initializer=wide, dtype=np.float64)
affine.W[0] = softmax([1, 2, 3]).max()
scale = Scale(np.ones(1)).astype("float32")
criterion = SoftmaxWithLoss(reduction="sum")
net = Sequential(affine, scale, ReLU(), Affine(np.ones((8, 3))), loss=criterion, penalty=L2(0.1))
loss: float = net.forward(x, t)
net.backward()
net.params[0][...] -= net.grads[0]
net.save("net.safetensors")
print(net.summary(x).parameters + 1, net.draw().get_title(), net(x), scale.astype(float).a)
a, b = Input(), Input("b")
graph = Graph([a, b], 2 * ReLU()(a) + b, loss=SoftmaxWithLoss())
for network in LeNet(pool=MaxPool), MLP([9, 9], ReLU), Graph(a, a**2), LanguageModel(9, cell=LSTM):
    trainer = Trainer(network, Adam(), metrics=[accuracy])
convolution = Convolution.init(1, 2, (3, 3), padding="same")
Sequential(convolution, BatchNorm.init(2, momentum=0.5), Square()).predict(x, batch_size=1)
Bidirectional.init(LSTM, 3, 5, forget_bias=1.0).forward(x)
perplexity = NGram(10).fit([1, 2, 3]).perplexity([1, 2]) + CBOW(10).vectors.max()
report = check_gradients(affine, *example_inputs(affine), rng=0)
print(report.ok, report.findings[0].code, numerical_gradient(lambda x: x ** 2, [1.0]).sum())

SGD("0.1")                                          # wrong
SGD(momentum=0.9)                                   # wrong
Trainer(TwoLayerNet(2, 10, 3), SGD)                 # wrong
Trainer(Own().forward, SGD())                       # wrong
trainer.fit(x, t, epochs="10")                      # wrong
trainer.fit(x, t, validation_data=0.2)              # wrong
trainer.fit(batches=text_batches([1, 2, 3]))        # wrong
trainer.evaluate(x)                                 # wrong
history["loss"].shape                               # wrong
history.to_csv(7)                                   # wrong
make_spiral(rng="seed")                             # wrong
Vocabulary.from_text("a b", level="letter")         # wrong
plot_filters(x_train, figure)                       # wrong
Affine.init(4, "8")                                 # wrong
Affine.init(4, 8, initializer="he")                 # wrong
Affine.init(4, 8, activation=ReLU)                  # wrong
Affine(3, 4)                                        # wrong
ReLU(0.1)                                           # wrong
LSTM.init(3, 5, stateful=None)                      # wrong
Bidirectional.init(ReLU, 3, 5)                      # wrong
SoftmaxWithLoss(reduction="average")                # wrong
Sequential(affine, "ReLU")                          # wrong
Sequential(affine, penalty=0.1)                     # wrong
MLP(64, 10)                                         # wrong
MLP([64, 10], activation="relu")                    # wrong
LanguageModel(9, cell=ReLU)                         # wrong
net.save(3)                                         # wrong
softmax(x, axis="last")                             # wrong
accuracy(x)                                         # wrong
L2("0.1")                                           # wrong
check_gradients(affine, x, rng="seed")              # wrong
report.findings.code                                # wrong
'''


def functions(value):
    """(name, function) of a function, or of the constructor and the public methods of a class."""
    if not inspect.isclass(value):
        return [("", value)]
    own = {name: member for cls in reversed(value.__mro__) if cls.__module__.startswith("chainrule")
           for name, member in vars(cls).items() if name == "__init__" or name[0] != "_"}
    bare = {name: getattr(member, "fget", None) or getattr(member, "__func__", member) for name, member in own.items()}
    return [(name, f) for name, f in bare.items() if inspect.isfunction(f)]


@pytest.mark.parametrize("value", PUBLIC.values(), ids=PUBLIC)
def test_everything_public_says_its_types(value):
    for name, function in functions(value):
        if name not in FORMULAS:
            said = {"self", "cls", *function.__annotations__}
            assert not {*inspect.signature(function).parameters, "return"} - said, name


@pytest.mark.parametrize("name", [n for n in layers.__all__ if hasattr(getattr(layers, n), "init")])
def test_init_has_every_argument_by_name_and_explains_it(name):
    layer = getattr(layers, name)
    parameters = inspect.signature(layer.init).parameters.values()
    assert {p.kind for p in parameters} == {inspect.Parameter.POSITIONAL_OR_KEYWORD}
    lists = re.findall(r"^([a-z_]+(?:, [a-z_]+)*): ", inspect.getdoc(layer.init), re.M)
    assert [name for names in lists for name in names.split(", ")] == [p.name for p in parameters]


def test_the_types_hold(tmp_path):
    """Asked of the packages as a wheel lays them out, since mypy cannot see through an editable install."""
    for line in CONFIG["options"]["package_dir"].strip().splitlines():
        package, folder = line.split(" = ")
        inside = tmp_path.joinpath(*package.split("."))
        inside.mkdir(parents=True, exist_ok=True)
        for path in (ROOT / folder).glob("*.py*"):
            shutil.copy(path, inside)
    (tmp_path / "homework.py").write_text(HOMEWORK)
    asked = [part for room in ROOMS for part in ("-p", room)]
    command = [sys.executable, "-m", "mypy", "--config-file", ROOT / "setup.cfg", "--cache-dir", tmp_path / "cache",
               *asked, "-m", "homework"]
    environment = {**os.environ, "MYPYPATH": str(tmp_path)}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    errors = [line for line in result.stdout.splitlines() if ": error: " in line]
    assert not result.stderr and not [error for error in errors if not error.startswith("homework.py")], result.stdout
    wrong = {i for i, line in enumerate(HOMEWORK.splitlines(), 1) if line.endswith("# wrong")}
    assert {int(error.split(":")[1]) for error in errors} == wrong, result.stdout
