"""What can be trained on what, and a run's folder, from which its model is made again."""
import json
import math
from pathlib import Path

from ... import models
from ...common.files import write_whole
from ...datasets import load_mnist
from ...datasets.catalogue import CATALOGUE

WEIGHTS, CHECKPOINT, DESCRIPTION = "model.safetensors", "checkpoint.safetensors", "model.json"


def mlp(shape, classes):
    return "MLP", {"sizes": [math.prod(shape), 128, 64, classes]}


def convolutional(name, **options):
    def describe(shape, classes):
        return name, {**options, "input_shape": list(shape), "classes": classes}
    return describe


MODELS = {  # name: what it is; class and arguments for a sample's shape and a number of classes
    "mlp": ("multi-layer perceptron, two hidden layers of 128 and 64 ReLU units", mlp),
    "lenet": ("LeNet: two convolutions, three affine layers", convolutional("LeNet")),
    "vgg": ("VGG for small images: four convolutions, two affine layers",
            convolutional("VGG", depth=6)),
    "resnet": ("ResNet for small images: three residual blocks", convolutional("ResNet", depth=8)),
    "inception": ("a small network of two Inception blocks", convolutional("small_inception")),
}
CLASSES = {describe((1, 8, 8), 10)[0] for _, describe in MODELS.values()}
HALVES = "MNIST's test files alone: the first 8,000 images to train, the last 2,000 to test"
DATA = {name: HALVES if name == "mnist-test" else CATALOGUE[name].what
        for name in ("digits", "mnist", "mnist-test", "fashion-mnist", "cifar10")}
MNIST = {"shape": (28, 28), "height": 20, "widest": 20, "power": 1.0, "ink": 0.13}
PICTURES = {  # how digits stand in the images of these data: see pictures.py
    "digits": {"shape": (8, 8), "height": 8, "widest": 6.8, "power": 0.5, "ink": 0.305},
    "mnist": MNIST,
    "mnist-test": MNIST,
}


def load(name, folder):
    if name == "mnist-test":
        x, t = load_mnist("test", folder)
        return (x[:8000], t[:8000]), (x[8000:], t[8000:])
    return CATALOGUE[name].load(**{"folder": folder} if CATALOGUE[name].files else {})


def make(name, arguments, rng=None):
    return getattr(models, name)(**arguments, rng=rng)


def call(name, arguments):
    def text(value):
        return repr(tuple(value) if name != "MLP" and isinstance(value, list) else value)
    return f"{name}({', '.join(f'{key}={text(value)}' for key, value in arguments.items())})"


def describe(folder, name, arguments, training):
    text = json.dumps({"class": name, "arguments": arguments, "training": training}, indent=2)
    write_whole(Path(folder) / DESCRIPTION, f"{text}\n".encode())


def described(folder):
    """Class, arguments and training of a run's model, else ValueError."""
    path = Path(folder) / DESCRIPTION
    try:
        made = json.loads(path.read_text(encoding="utf-8"))
        name, arguments, training = made["class"], made["arguments"], made["training"]
    except FileNotFoundError:
        raise ValueError(f"{path} is missing; a run's folder is what chainrule train leaves, "
                         "such as runs/mlp-digits") from None
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read: {error!r}") from error
    if not (name in list(CLASSES) and isinstance(arguments, dict) and isinstance(training, dict)
            and training.get("data") in list(DATA)):
        raise ValueError(f"{path} is damaged: it names no model and data of chainrule train")
    return name, arguments, training


def trained(folder):
    """A run's model with its weights, and how it was trained; else ValueError or OSError."""
    name, arguments, training = described(folder)
    try:
        model = make(name, arguments)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{Path(folder) / DESCRIPTION} makes no model: {error}") from error
    model.load(Path(folder) / WEIGHTS)
    return model, training
