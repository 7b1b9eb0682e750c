"""``chainrule train``: a model, real data, and what comes out in a folder."""
import argparse
import os
import sys
from functools import partial
from pathlib import Path

from . import runs
from .arguments import Parser, fail, known, positive, table, whole
from .runs import DATA, MODELS
from .stopping import Stopping

PROGRAM = "chainrule train"
KEPT = ("data", "folder", "epochs", "batch_size", "lr", "shift", "seed")      # in model.json
RESULTS = {
    "curves.png": "loss and accuracy over the epochs, for training and validation samples",
    "history.csv": "the same as a table",
    runs.WEIGHTS: "the weights; model.load(path) reads them back into the same model",
    runs.DESCRIPTION: "what the model is, for chainrule evaluate and chainrule predict",
    runs.CHECKPOINT: "where the training stood, for --resume",
}


def parser():
    result = Parser(
        prog=PROGRAM, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Train a model on real data and report its accuracy on test samples that it "
                    "has never seen.",
        epilog="models:\n" + table({name: what for name, (what, _) in MODELS.items()})
        + "\ndata:\n" + table(DATA) + "\nresults, in OUT/MODEL-DATA:\n" + table(RESULTS)
        + "\nthe same models in Python, from chainrule.models, for digits:\n"
        + table({name: runs.call(*describe((1, 8, 8), 10))
                 for name, (_, describe) in MODELS.items()})
        + "\nexamples:\n  chainrule train\n"
          "  chainrule train mlp --data digits --epochs 60 --lr 0.0005 --seed 1\n"
          "  chainrule train mlp --resume\n")
    add, number = result.add_argument, positive(int, "a whole number of at least 1")
    add("model", nargs="?", default="mlp", type=known("model", MODELS),
        help="which model (default: mlp)")
    add("--data", default="digits", type=known("data set", DATA), metavar="NAME",
        help="which data (default: digits)")
    add("--folder", metavar="FOLDER",
        help="where files are, for all but digits (default: see 'chainrule data')")
    add("--epochs", default=40, type=number, metavar="N",
        help="passes over the training samples (default: 40)")
    add("--batch-size", default=32, type=number, metavar="N",
        help="samples per step (default: 32)")
    add("--lr", default=1e-3, type=positive(float, "a positive number"), metavar="RATE",
        help="learning rate of Adam at the start; it falls to 0 along a cosine (default: 0.001)")
    add("--shift", default=0, type=whole, metavar="PIXELS",
        help="move training images at random by up to so many pixels (default: 0)")
    add("--seed", default=0, type=whole, metavar="N",
        help="seed of weights, shuffling and validation split; the same seed gives the same "
             "result (default: 0)")
    add("--out", default="runs", metavar="FOLDER", help="where results go (default: runs)")
    add("--load", metavar="PATH",
        help="begin with these weights: a run's folder, or a file that model.save wrote")
    add("--resume", action="store_true",
        help="go on where the run in OUT/MODEL-DATA was stopped or killed, with the same options, "
             "up to --epochs in total")
    add("--quiet", action="store_true", help="no progress bar")
    return result


def main(arguments):
    """Run the command; returns the exit code: 0, 2 for a wrong call, 130 after Ctrl-C and
    likewise 128 + n after another signal n that ends it."""
    options = parser().parse_args(arguments)
    folder = Path(options.out) / f"{options.model}-{options.data}"
    try:
        try:
            if options.resume:
                options = as_before(options, arguments, folder)
            data = runs.load(options.data, options.folder)
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
    except (FloatingPointError, ModuleNotFoundError) as error:
        return fail(PROGRAM, str(error))


def as_before(options, arguments, folder):
    """The options of the run that is resumed; ValueError where one is given that differs."""
    if options.load:
        raise ValueError("--resume goes on with the run's own weights; leave out --load")
    if not (folder / runs.CHECKPOINT).exists():
        print(f"{PROGRAM}: there is nothing to resume in {folder}; starting from the beginning",
              file=sys.stderr)
        options.resume = False
        return options
    *_, training = runs.described(folder)
    then = [f"--{name.replace('_', '-')}={training[name]}" for name in KEPT
            if training.get(name) is not None]
    before, now = (parser().parse_args([*then, *given]) for given in ((), arguments))
    for name in ("batch_size", "lr", "shift", "seed"):
        if vars(before)[name] != vars(now)[name]:
            option = f"--{name.replace('_', '-')}"
            raise ValueError(f"the run in {folder} was begun with {option} {vars(before)[name]}; "
                             f"with --resume leave out {option}")
    return now


def train(options, data, folder):
    """Train, keep curves, history and weights in ``folder``, and print the test accuracy."""
    import numpy as np

    from ...datasets import random_shifts, train_test_split
    from ...optimizers import Adam, cosine_decay
    from ...training import Checkpoint, Trainer
    from ...training.parallel import world

    (x, t), (x_test, t_test) = data
    rng = np.random.default_rng(options.seed)
    x, x_val, t, t_val = train_test_split(x, t, test_size=0.1, stratify=t, rng=rng)
    name, arguments = MODELS[options.model][1](x.shape[1:], int(t.max()) + 1)
    model = runs.make(name, arguments, rng)
    per_epoch = -(-len(x) // options.batch_size)
    comm = world()
    rule = Adam(lr=cosine_decay(options.lr, options.epochs * per_epoch))
    trainer = Trainer(model, rule, comm=comm)
    speaks = comm is None or comm.rank == 0              # one of several ranks keeps the results
    checkpoint = Checkpoint(folder / runs.CHECKPOINT)
    try:
        if options.resume:
            trainer.resume(checkpoint.path)
        elif options.load:
            start = Path(options.load)
            model.load(start / runs.WEIGHTS if start.is_dir() else start)
    except (OSError, ValueError) as error:
        return fail(PROGRAM, str(error))
    if speaks and not options.resume:
        checkpoint.path.unlink(missing_ok=True)              # another training's
    if speaks:
        runs.describe(folder, name, arguments, {name: vars(options)[name] for name in KEPT})

    augment = partial(random_shifts, most=options.shift) if options.shift else None
    with Stopping(checkpoint) as stopping:
        try:
            trainer.fit(x, t, options.epochs, options.batch_size, (x_val, t_val), rng=rng,
                        augment=augment, progress=not options.quiet,
                        callbacks=[checkpoint, stopping])
        except KeyboardInterrupt:
            if speaks:
                keep(trainer, folder)
                print(f"stopped after {len(trainer.history)} of {options.epochs} epochs; history "
                      f"and weights so far are in {folder}, and --resume goes on from there",
                      file=sys.stderr)
            return 128 + (stopping.signal or 2)
        except FloatingPointError:
            if speaks:
                raise
            return 2
        if not speaks:
            return 0
        keep(trainer, folder)
    first, last = trainer.history.steps["loss"][0], trainer.history["loss"][-1]
    if last > 2 * first:
        raise FloatingPointError(
            f"the loss grew from {first:.3g} to {last:.3g}: the learning rate {options.lr:g} is "
            "too large; try a smaller one, for instance --lr 0.001 (history and curves are in "
            f"{folder})")
    accuracy = trainer.evaluate(x_test, t_test)["accuracy"]
    print(f"test accuracy {100 * accuracy:.1f} %  ({folder})")
    return 0


def keep(trainer, folder):
    """Write what a run leaves: weights, history and curves."""
    history = trainer.history
    trainer.model.save(folder / runs.WEIGHTS)
    history.to_csv(folder / "history.csv", per="epoch" if len(history) else "step")
    if history.steps:
        import matplotlib
        matplotlib.use("Agg")
        from matplotlib import pyplot
        figure = history.plot()[0].figure
        try:
            figure.savefig(folder / "curves.png", dpi=150)
        finally:
            pyplot.close(figure)
