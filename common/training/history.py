"""What happened while a model trained."""
from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from ..common import checks
from ..common.files import naming, path_of
from ..common.types import Array, Axes, PathLike
from .column import Column
from .diagnosis import diagnose
from .report import Report


class History:
    """The record of a training: ``steps`` and ``epochs``, tables as dicts of equally long columns.

    A column is an array that grows and otherwise behaves as a list; what a row lacks is nan.

    ``steps`` has a row per update: ``step`` (from 1), ``epoch`` (a fraction), ``loss``, ``lr``, and
    ``grad_norm`` when gradients are clipped. ``epochs`` has a row per epoch: ``epoch`` (from 1, in
    a second fit going on from the first), ``loss`` (mean over its samples) and the metrics, then
    the same for the validation data with ``val_`` in front. ``history["val_loss"]`` is short for
    ``history.epochs["val_loss"]``.

    >>> history = History()
    >>> history.add_epoch(epoch=1, loss=0.5, val_loss=0.75)
    >>> history["loss"]
    [0.5]
    >>> history
    History(1 epoch: loss 0.5, val_loss 0.75)
    """

    def __init__(self) -> None:
        self.steps: dict[str, Column] = {}
        self.epochs: dict[str, Column] = {}
        self.earlier = 0                              # epochs of earlier calls of fit

    def add_step(self, **row: float) -> None:
        add(self.steps, row)

    def add_epoch(self, **row: float) -> None:
        add(self.epochs, row)
        level(self.epochs)

    @contextmanager
    def in_epoch(self, epoch: int) -> Iterator[None]:
        """The steps added in this block divide the epoch evenly, whether it is finished or not."""
        try:
            yield
        finally:
            column = self.steps.setdefault("epoch", Column())
            new = len(self.steps.get("step", ())) - len(column)
            column.extend(epoch - 1 + (k + 1) / new for k in range(new))
            level(self.steps)

    def __getitem__(self, name: str) -> Column:
        if name not in self.epochs:
            names = ", ".join(map(repr, self.epochs)) or "nothing yet"
            hint = f"; history.steps[{name!r}] has it for each step" if name in self.steps else ""
            raise KeyError(f"this history has no {name!r}, but {names}{hint}")
        return self.epochs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.epochs)

    def __len__(self) -> int:
        return len(self.epochs.get("epoch", ()))

    def plot(self, axes: Axes | Array | None = None) -> Array:
        """The learning curves, as ``plot_history`` draws them; returns the Axes."""
        from ..plotting import plot_history
        return plot_history(self, axes)

    def diagnose(self) -> Report:
        """What the curves tell, as a Report: diverging, too slow, overfitting, not finished."""
        return diagnose(self)

    def to_csv(self, path: PathLike, per: Literal["epoch", "step"] = "epoch") -> None:
        """Write the table of epochs, or with ``per="step"`` of steps, as comma-separated values."""
        who = "History.to_csv"
        checks.one_of(who, "per", per, ("epoch", "step"))
        table, path = self.epochs if per == "epoch" else self.steps, path_of(who, "path", path)
        with naming(who, path), open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(table)
            writer.writerows(zip(*table.values()))

    @classmethod
    def load(cls, path: PathLike) -> History:
        """Read what ``to_csv`` wrote: a history with that table of epochs, or of steps.

        Raises OSError for a file that cannot be read, ValueError for any other table.
        """
        who, history = "History.load", cls()
        path = path_of(who, "path", path)
        with naming(who, path), open(path, newline="", encoding="utf-8-sig") as file:
            try:
                names, *rows = csv.reader(file)
                columns = {name: Column() for name in names}
                for row in rows:
                    for column, text in zip(columns.values(), row, strict=True):
                        column.append(int(text) if text.isdecimal() else float(text))
            except (ValueError, csv.Error):
                names = None
        if names is None or len(columns) < len(names) or names and "epoch" not in names:
            raise ValueError(f"{who}: {path} is not a table that History.to_csv wrote")
        if "step" in columns:
            history.steps = columns
        else:
            history.epochs = columns
        return history

    def __repr__(self) -> str:
        last = [f"{name} {self[name][-1]:.4g}" for name in self if name != "epoch"]
        number = f"{len(self)} epoch{'s' * (len(self) != 1)}"
        number += f" after {self.earlier} of an earlier fit" * (self.earlier > 0)
        return f"History({number}: {', '.join(last)})" if last else f"History({number})"


def add(table, row):
    if not row.keys() <= table.keys():
        table |= {name: Column() for name in row if name not in table}
        level(table)
    for name, value in row.items():
        table[name].append(value)


def level(table):
    """Make all columns equally long."""
    longest = max(map(len, table.values()), default=0)
    for column in table.values():
        if len(column) < longest:
            column.extend([None] * (longest - len(column)))
