"""``chainrule train``."""
import os
import signal
import sys
import threading
from functools import partial
from pathlib import Path

from . import runs
from .arguments import Parser, known, positive, table, whole
from .runs import DATA, MODELS

KEPT = ("data", "folder", "epochs", "batch_size", "lr", "shift", "seed")  # in model.json
RESULTS = {
    "curves.png": "loss and accuracy over the epochs, for training and validation samples",
    "history.csv": "the same as a table",
    runs.WEIGHTS: "the weights; model.load(path) reads them back into the same model",
    runs.DESCRIPTION: "what the model is, for chainrule evaluate and chainrule predict",
    runs.CHECKPOINT: "where the training stood, for --resume",
}


def parser():
    result = Parser(
        "chainrule train",
        "Train a model on real data and report its accuracy on test samples that it has never "
        "seen.",
        "models:\n" + table({name: what for name, (what, _) in MODELS.items()})
        + "\ndata:\n" + table(DATA) + "\nresults, in OUT/MODEL-DATA:\n" + table(RESULTS)
        + "\nthe same models in Python, from chainrule.models, for digits:\n"
        + table({name: runs.call(*describe((1, 8, 8), 10))
                 for name, (_, describe) in MODELS.items()})
        + "\nexamples:\n  chainrule train\n"
          "  chainrule train mlp --data digits --epochs 60 --lr 0.0005 --seed 1\n"
          "  chainrule train mlp --resume\n")
    add, number = result.add, positive(int, "a whole number of at least 1")
    add("model", "which model", "mlp", known("model", MODELS), nargs="?")
    add("--data", "which data", "digits", known("data set", DATA), "NAME")
    add("--folder", "where files are, but for digits (default: fetched, see 'chainrule data')",
        metavar="FOLDER")
    add("--epochs", "passes over the training samples", 40, number, "N")
    add("--batch-size", "samples per step", 32, number, "N")
    add("--lr", "learning rate of Adam at the start; it falls to 0 along a cosine", 1e-3,
        positive(float, "a positive number"), "RATE")
    add("--shift", "move training images at random by up to so many pixels", 0, whole, "PIXELS")
    add("--seed", "seed of weights, shuffling and validation split; the same seed gives the same "
        "result", 0, whole, "N")
    add("--out", "where results go", "runs", metavar="FOLDER")
    add("--load", "begin with these weights: a run's folder, or a file that model.save wrote",
        metavar="PATH")
    result.add_argument("--resume", action="store_true", help="go on where the run in "
                        "OUT/MODEL-DATA was stopped or killed, with the same options, up to "
                        "--epochs in total")
    result.add_argument("--quiet", action="store_true", help="no progress bar")
    return result


def main(options):
    """Run the command; the exit code is 128 + n after a signal n."""
    folder = Path(options.out) / f"{options.model}-{options.data}"
    if options.resume:
        options = as_before(options, folder)
    data = runs.load(options.data, options.folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
        return train(options, data, folder)
    except OSError as error:
        raise ValueError(f"cannot write into {folder}: {error.strerror or error}; choose another "
                         "folder with --out") from error


def as_before(options, folder):
    """The options of the run that is resumed; ValueError where they differ."""
    if options.load:
        raise ValueError("--resume goes on with the run's own weights; leave out --load")
    if not (folder / runs.CHECKPOINT).exists():
        print(f"chainrule train: there is nothing to resume in {folder}; starting from the "
              "beginning", file=sys.stderr)
        options.resume = False
        return options
    *_, training = runs.described(folder)
    then = [f"--{name.replace('_', '-')}={training[name]}" for name in KEPT
            if training.get(name) is not None]
    before, now = (parser().parse_args([*then, *given]) for given in ((), options.given))
    for name in ("batch_size", "lr", "shift", "seed"):
        if vars(before)[name] != vars(now)[name]:
            option = f"--{name.replace('_', '-')}"
            raise ValueError(f"the run in {folder} was begun with {option} {vars(before)[name]}; "
                             f"with --resume leave out {option}")
    return now


def train(options, data, folder):
    """Train, and print the test accuracy; results go into ``folder``."""
    import numpy as np

    from ...datasets import train_test_split
    from ...optimizers import Adam, cosine_decay
    from ...training import Checkpoint, Trainer
    from ...training.parallel import world

    (x, t), test = data
    rng = np.random.default_rng(options.seed)
    x, x_val, t, t_val = train_test_split(x, t, test_size=0.1, stratify=t, rng=rng)
    name, arguments = MODELS[options.model][1](x.shape[1:], int(t.max()) + 1)
    steps = options.epochs * -(-len(x) // options.batch_size)
    trainer = Trainer(runs.make(name, arguments, rng), Adam(lr=cosine_decay(options.lr, steps)),
                      comm=world())
    speaks = trainer.comm is None or trainer.comm.rank == 0  # one of several ranks keeps results
    checkpoint = Checkpoint(folder / runs.CHECKPOINT)
    try:
        if options.resume:
            trainer.resume(checkpoint.path)
        elif options.load:
            start = Path(options.load)
            trainer.model.load(start / runs.WEIGHTS if start.is_dir() else start)
    except OSError as error:
        raise ValueError(str(error)) from error
    if speaks:
        if not options.resume:
            checkpoint.path.unlink(missing_ok=True)  # another training's
        runs.describe(folder, name, arguments, {name: vars(options)[name] for name in KEPT})
    try:
        stopped = fit(trainer, options, checkpoint, (x, t), (x_val, t_val), rng,
                      folder if speaks else None)
    except FloatingPointError:
        if speaks:
            raise
        return 2
    if stopped and speaks:
        print(f"stopped after {len(trainer.history)} of {options.epochs} epochs; history and "
              f"weights so far are in {folder}, and --resume goes on from there", file=sys.stderr)
    return stopped if stopped or not speaks else tell(trainer, test, options.lr, folder)


def fit(trainer, options, checkpoint, data, validation_data, rng, folder):
    """Train, and keep what comes of it; returns 0, or 128 + n after a signal n."""
    from ...datasets import random_shifts
    augment = partial(random_shifts, most=options.shift) if options.shift else None
    with Stopping(checkpoint) as stopping:
        try:
            trainer.fit(*data, options.epochs, options.batch_size, validation_data, rng=rng,
                        augment=augment, progress=not options.quiet,
                        callbacks=[checkpoint, stopping])
            stopped = 0
        except KeyboardInterrupt:
            stopped = 128 + (stopping.signal or 2)
        if folder is not None:
            keep(trainer, folder)
    return stopped


class Stopping:
    """A callback of ``fit``, in a ``with`` block: Ctrl-C, SIGTERM or SIGHUP ends the training after
    its step, with a last checkpoint, by KeyboardInterrupt; a second Ctrl-C at once."""
    last = True

    def __init__(self, checkpoint):
        self.checkpoint, self.signal, self.before = checkpoint, None, {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGINT", "SIGTERM", "SIGHUP"):
                number = getattr(signal, name, None)  # Windows has no SIGHUP
                if number and signal.getsignal(number) != signal.SIG_IGN:  # as nohup has it
                    self.before[number] = signal.signal(number, self.notice)
        return self

    def __exit__(self, *error):
        for number, before in self.before.items():
            signal.signal(number, before)

    def notice(self, number, frame):
        if self.signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number

    def after_step(self, trainer):
        comm = trainer.comm
        if any(comm.allgather(bool(self.signal))) if comm is not None else self.signal:
            self.checkpoint.write(trainer)
            raise KeyboardInterrupt

    __call__ = after_step


def tell(trainer, test, lr, folder):
    first, last = trainer.history.steps["loss"][0], trainer.history["loss"][-1]
    if last > 2 * first:
        raise FloatingPointError(
            f"the loss grew from {first:.3g} to {last:.3g}: the learning rate {lr:g} is too "
            f"large; try a smaller one, for instance --lr 0.001 (history and curves are in "
            f"{folder})")
    print(f"test accuracy {100 * trainer.evaluate(*test)['accuracy']:.1f} %  ({folder})")
    return 0


def keep(trainer, folder):
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
