"""``chainrule train``: a model, real data, and what comes out in a folder."""
import argparse
import math
import os
import sys
from functools import partial
from pathlib import Path

from ... import models
from .arguments import Parser, fail, known, positive, whole


def mlp(shape, classes, rng):
    return models.MLP([math.prod(shape), 128, 64, classes], rng=rng)


def convolutional(name, **options):
    """A function that makes the model ``name`` for images."""
    def make(shape, classes, rng):
        return getattr(models, name)(input_shape=shape, classes=classes, rng=rng, **options)
    return make


PROGRAM = "chainrule train"
MODELS = {      # name: what it is, and a function of a sample's shape, the number of classes and a generator
    "mlp": ("multi-layer perceptron, two hidden layers of 128 and 64 ReLU units", mlp),
    "lenet": ("LeNet: two convolutions, three affine layers", convolutional("LeNet")),
    "vgg": ("VGG for small images: four convolutions, two affine layers", convolutional("VGG", depth=6)),
    "resnet": ("ResNet for small images: three residual blocks", convolutional("ResNet", depth=8)),
    "inception": ("a small network of two Inception blocks", convolutional("small_inception")),
}
PYTHON = {      # the same models for digits, to load weights into
    "mlp": "MLP([64, 128, 64, 10])",
    "lenet": "LeNet(input_shape=(1, 8, 8))",
    "vgg": "VGG(depth=6, input_shape=(1, 8, 8), classes=10)",
    "resnet": "ResNet(depth=8, input_shape=(1, 8, 8), classes=10)",
    "inception": "small_inception(input_shape=(1, 8, 8))",
}
DATA = {
    "digits": "1,797 handwritten digits of 8 x 8 pixels (UCI), bundled: no download",
    "mnist": "70,000 handwritten digits of 28 x 28 pixels, its four files in --folder",
    "mnist-test": "MNIST's test files alone: the first 8,000 images to train, the last 2,000 to test",
}


def load(name, folder):
    """(x_train, t_train), (x_test, t_test)"""
    from ...datasets import load_digits, load_mnist
    if name == "digits":
        return load_digits()
    if name == "mnist":
        return load_mnist(folder=folder)
    x, t = load_mnist("test", folder)
    return (x[:8000], t[:8000]), (x[8000:], t[8000:])


def parser():
    result = Parser(
        prog=PROGRAM, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Train a model on real data and report its accuracy on test samples that it has never seen.",
        epilog="models:\n" + "".join(f"  {name:10} {what}\n" for name, (what, _) in MODELS.items())
        + "\ndata:\n" + "".join(f"  {name:11} {what}\n" for name, what in DATA.items())
        + "\nresults, in OUT/MODEL-DATA:\n"
          "  curves.png         loss and accuracy over the epochs, for training and validation samples\n"
          "  history.csv        the same as a table\n"
          "  model.safetensors  the weights; model.load(path) reads them back into the same model\n"
          "\nthe same models in Python, from chainrule.models, for digits:\n"
        + "".join(f"  {name:10} {call}\n" for name, call in PYTHON.items()) +
          "\nexamples:\n  chainrule train\n  chainrule train mlp --data digits --epochs 60 --lr 0.0005 --seed 1\n")
    result.add_argument("model", nargs="?", default="mlp", type=known("model", MODELS), help="which model (default: mlp)")
    result.add_argument("--data", default="digits", type=known("data set", DATA), metavar="NAME",
                        help="which data (default: digits)")
    result.add_argument("--folder", default=".", metavar="FOLDER", help="where data files are, for mnist (default: here)")
    result.add_argument("--epochs", default=40, type=positive(int, "a whole number of at least 1"), metavar="N",
                        help="passes over the training samples (default: 40)")
    result.add_argument("--batch-size", default=32, type=positive(int, "a whole number of at least 1"), metavar="N",
                        help="samples per step (default: 32)")
    result.add_argument("--lr", default=1e-3, type=positive(float, "a positive number"), metavar="RATE",
                        help="learning rate of Adam at the start; it falls to 0 along a cosine (default: 0.001)")
    result.add_argument("--shift", default=0, type=whole, metavar="PIXELS",
                        help="move training images at random by up to so many pixels (default: 0)")
    result.add_argument("--seed", default=0, type=whole, metavar="N",
                        help="seed of weights, shuffling and validation split; the same seed gives the same result (default: 0)")
    result.add_argument("--out", default="runs", metavar="FOLDER", help="where results go (default: runs)")
    result.add_argument("--quiet", action="store_true", help="no progress bar")
    return result


def main(arguments):
    """Run the command; returns the exit code: 0, 2 for a wrong call, 130 after Ctrl-C."""
    options = parser().parse_args(arguments)
    folder = Path(options.out) / f"{options.model}-{options.data}"
    try:
        try:
            data = load(options.data, options.folder)
        except (OSError, ValueError) as error:
            return fail(PROGRAM, str(error))
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
        return train(options, data, folder)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except OSError as error:
        return fail(PROGRAM, f"cannot write into {folder}: {error.strerror or error}; "
                                 "choose another folder with --out")
    except FloatingPointError as error:
        return fail(PROGRAM, str(error))


def train(options, data, folder):
    """Train, keep curves, history and weights in ``folder``, and print the test accuracy."""
    import numpy as np

    from ...datasets import random_shifts, train_test_split
    from ...optimizers import Adam, cosine_decay
    from ...training import Trainer

    (x, t), (x_test, t_test) = data
    rng = np.random.default_rng(options.seed)
    x, x_val, t, t_val = train_test_split(x, t, test_size=0.1, stratify=t, rng=rng)
    model = MODELS[options.model][1](x.shape[1:], int(t.max()) + 1, rng)
    steps = options.epochs * -(-len(x) // options.batch_size)
    trainer = Trainer(model, Adam(lr=cosine_decay(options.lr, steps)))
    augment = partial(random_shifts, most=options.shift) if options.shift else None
    try:
        trainer.fit(x, t, options.epochs, options.batch_size, (x_val, t_val), rng=rng,
                    augment=augment, progress=not options.quiet)
    except KeyboardInterrupt:
        keep(trainer, folder)
        print(f"stopped after {len(trainer.history)} of {options.epochs} epochs; history and weights so far are in {folder}",
              file=sys.stderr)
        return 130
    keep(trainer, folder)
    first, last = trainer.history.steps["loss"][0], trainer.history["loss"][-1]
    if last > 2 * first:
        raise FloatingPointError(f"the loss grew from {first:.3g} to {last:.3g}: the learning rate {options.lr:g} is too large; "
                                 f"try a smaller one, for instance --lr 0.001 (history and curves are in {folder})")
    print(f"test accuracy {100 * trainer.evaluate(x_test, t_test)['accuracy']:.1f} %  ({folder})")
    return 0


def keep(trainer, folder):
    """Write what a run leaves behind: weights, history and, once an epoch is complete, its curves."""
    history = trainer.history
    trainer.model.save(folder / "model.safetensors")
    history.to_csv(folder / "history.csv", per="epoch" if len(history) else "step")
    if len(history):
        import matplotlib
        matplotlib.use("Agg")
        from matplotlib import pyplot
        figure = history.plot()[0].figure
        try:
            figure.savefig(folder / "curves.png", dpi=150)
        finally:
            pyplot.close(figure)
