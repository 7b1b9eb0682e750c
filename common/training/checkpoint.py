"""Checkpoints: a training saved to a file, and resumed from it bit for bit."""
import warnings
from typing import Any

import numpy as np

from ..common import checks, freezing
from ..common.engine import compiled
from ..common.files import naming, path_of, read_arrays, write_arrays, write_whole
from ..common.layer import held
from ..common.types import PathLike
from .callbacks import Watching
from .column import Column
from .history import History
from .state import buffers, pack, plain, put_back, recurrent, relearn, unpack, weights

WHO = "Trainer.resume"
PARTS = {"model": dict, "optimizer": dict, "history": dict, "generators": dict, "at_start": dict,
         "measures": dict, "callbacks": list, "step": int, "ended": bool}


class Checkpoint:
    """A callback that keeps a training in a file, for ``trainer.resume``.

    - path: the file, in the format of safetensors, whole at every instant: a kill leaves the old
      one or the new one, and nothing beside it;
    - every: "epoch", or a number of steps (updates, counted from the first of this fit);
    - keep: how many to keep; the ones before are ``name.1.safetensors``, ``name.2.safetensors``...;
    - best: a name in the history, such as "val_loss": keep the best epoch's instead of the last
      one's; ``maximize``: whether higher is better (None: as it is for chainrule's own metrics).

    The file contains the weights and buffers of the model, which layers are frozen, the states of
    its recurrent layers, the optimizer, the history, the place in the epoch, the callbacks that
    have a ``state``, and every numpy.random.Generator that can be reached from the model, the
    optimizer, the callbacks and what yields the batches.

    >>> Checkpoint("run.safetensors", every=1000, keep=2)
    Checkpoint('run.safetensors', every=1000, keep=2)
    """
    last = True               # called after the callbacks whose states it keeps

    def __init__(self, path: PathLike, every: int | str = "epoch", keep: int = 1,
                 best: str | None = None, maximize: bool | None = None) -> None:
        self.path = path_of("Checkpoint", "path", path)
        if not isinstance(every, str):
            every = checks.count("Checkpoint", "every", every)
        elif every != "epoch":
            raise ValueError(checks.wrong("Checkpoint", "every", "be 'epoch' or a number of steps",
                                          repr(every)))
        if best is not None and every != "epoch":
            raise ValueError(f"Checkpoint: best={best!r} is known after an epoch; leave out every")
        self.every, self.keep = every, checks.count("Checkpoint", "keep", keep)
        self.best = None if best is None else Best(best, maximize)

    def __call__(self, trainer: Any) -> None:
        if self.every == "epoch" and (self.best is None or self.best.leads(trainer)):
            self.write(trainer)

    def after_step(self, trainer: Any) -> None:
        if isinstance(self.every, int) and len(trainer.history.steps["step"]) % self.every == 0:
            self.write(trainer)

    def write(self, trainer: Any) -> None:
        """Write the file, whatever ``every`` and ``best`` say. Of several ranks all call it, and
        the first writes."""
        tree, comm = contents(trainer.run), trainer.comm
        if comm is not None:
            tree["ranks"] = comm.gather(of_rank(tree))
            if comm.rank:
                return
        arrays: dict[str, Any] = {}
        tree = pack(tree, "training", arrays)
        with naming("Checkpoint", self.path):
            if not self.path.parent.is_dir():
                raise FileNotFoundError(2, "there is no such folder", str(self.path))
            for i in range(self.keep - 1, 0, -1):
                if self._numbered(i - 1).exists():
                    write_whole(self._numbered(i), self._numbered(i - 1).read_bytes())
            write_arrays(self.path, arrays, {"training": tree})

    def _numbered(self, i):
        return self.path.with_suffix(f".{i}{self.path.suffix}") if i else self.path

    def __repr__(self) -> str:
        best = f", best={self.best.monitor!r}" if self.best else ""
        return f"Checkpoint({str(self.path)!r}, every={self.every!r}, keep={self.keep}{best})"


class Best(Watching):
    """The column by which Checkpoint finds the best epoch."""

    def leads(self, trainer):
        """Whether the newest value is better than all before it."""
        *before, value = self.values(trainer)
        return value == value and not any(v <= value for v in before)


Best.__name__ = "Checkpoint"                   # which speaks in its errors


def contents(run):
    model, optimizer, history = run.trainer.model, run.trainer.optimizer, run.trainer.history
    lr = getattr(optimizer, "lr", None)
    return {
        "floor": compiled.running(),
        "model": {
            "layers": layers(model),
            "weights": weights(model),
            "buffers": buffers(model),
            "states": {path: layer.state for path, layer in recurrent(model).items()},
            "frozen": freezing.frozen(model) if run.frozen is None else run.frozen,
        },
        "optimizer": {
            "class": type(optimizer).__name__,
            "lr": None if callable(lr) else lr,
            "state": optimizer.state if hasattr(optimizer, "load_state") else plain(optimizer),
        },
        "history": {"earlier": history.earlier,
                    "steps": {name: np.asarray(c) for name, c in history.steps.items()},
                    "epochs": {name: np.asarray(c) for name, c in history.epochs.items()}},
        **run.place(),
    }


def of_rank(tree):
    """What differs from rank to rank."""
    return {"states": tree["model"]["states"]} | {
        name: tree[name] for name in ("generators", "at_start", "measures")}


def take_part(trainer, tree, who):
    """Put into the tree what this rank had. A new rank, after an epoch, keeps its generators."""
    comm, ranks = trainer.comm, tree.get("ranks") or [of_rank(tree)]
    size, rank = (1, 0) if comm is None else (comm.size, comm.rank)
    if tree["step"]:
        same(who, {"number of ranks": size}, {"number of ranks": len(ranks)},
             "this trainer")
    mine = dict(ranks[rank]) if rank < len(ranks) else {"generators": None, "at_start": None}
    tree["model"]["states"] = mine.pop("states", tree["model"]["states"])
    tree |= mine


def layers(model):
    return {path or "model": type(layer).__name__ for path, layer in held(model)}


def recorded(saved):
    history = History()
    history.earlier = saved["earlier"]
    history.steps, history.epochs = (
        {name: Column(np.asarray(values).tolist()) for name, values in saved[table].items()}
        for table in ("steps", "epochs"))
    return history


def read(path):
    """The tree in a checkpoint's file."""
    arrays, tree = read_arrays(WHO, path, "Checkpoint")
    if not isinstance(tree, dict) or "training" not in tree:
        raise ValueError(f"{WHO}: {path} should be a file that Checkpoint wrote"
                         + (" (what save wrote is read by model.load)" if tree else ""))
    try:
        tree = unpack(tree["training"], arrays)
        for name, kind in PARTS.items():
            if not isinstance(tree[name], kind):
                raise TypeError(f"{name} is a {type(tree[name]).__name__}")
        for number in (tree["step"], tree["history"]["earlier"]):
            checks.count(WHO, "a number", number, least=0)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ValueError(f"{WHO}: {path} is damaged: {error!r}") from error
    return tree


def resume(trainer, path):
    """Give the trainer what the file holds; returns its tree, for the next ``fit``."""
    path = path_of(WHO, "path", path)
    tree, model, optimizer = read(path), trainer.model, trainer.optimizer
    who = f"{WHO}: {path} does not fit this {type(model).__name__}:"
    try:
        take_part(trainer, tree, who)
        saved = tree["model"]
        same(who, layers(model), saved["layers"])
        same(who, words(weights(model)), words(saved["weights"]))
        same(who, words(buffers(model)), words(saved["buffers"]))
        same(who, dict.fromkeys(recurrent(model), "a state"),
             dict.fromkeys(saved["states"], "a state"))
        same(who, {"optimizer": type(optimizer).__name__},
             {"optimizer": tree["optimizer"]["class"]}, "this trainer")
        history, state = recorded(tree["history"]), tree["optimizer"]["state"]
        if hasattr(optimizer, "load_state"):
            optimizer.load_state(state)
        else:
            put_back(optimizer, state)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{WHO}: {path} is damaged: {error!r}") from error
    here = compiled.running()
    there = tree.get("floor", here)
    if there != here:
        warnings.warn(f"{WHO}: {path} was written where large arrays ran on the {there} floor, "
                      f"and here they run on the {here} floor; from here on the last bits may "
                      "differ from a training without a break", stacklevel=3)
    # From here on nothing can fail.
    if tree["optimizer"]["lr"] is not None and not callable(optimizer.lr):
        optimizer.lr = tree["optimizer"]["lr"]
    relearn(model, saved["weights"] | saved["buffers"])
    for name, layer in recurrent(model).items():
        layer.state = saved["states"][name]
    if "frozen" in saved:                            # not in older files
        freezing.freeze_exactly(model, saved["frozen"])
    trainer.history = history
    return tree | {"path": path}


def same(who, here, there, place="the model"):
    """ValueError at the first name that differs in ``place`` and file."""
    for name in here | there:
        mine, theirs = here.get(name, "missing"), there.get(name, "missing")
        if mine != theirs:
            raise ValueError(f"{who} {name} is {mine} in {place}, {theirs} in the file")


def words(arrays):
    return {name: f"{a.dtype} {a.shape}" if hasattr(a, "dtype") else type(a).__name__
            for name, a in arrays.items()}
