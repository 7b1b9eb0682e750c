"""What happened while a model trained."""
import csv

from ..common import checks


class History:
    """The record of a training run: ``steps`` and ``epochs``, two tables as dicts of equally long lists.

    ``steps`` has a row per update: ``step`` (from 1), ``epoch`` (a fraction), ``loss``, ``lr``, and ``grad_norm`` when
    gradients are clipped. ``epochs`` has a row per epoch: ``epoch`` (from 1), ``loss`` (mean over its samples) and the
    metrics, then the same for the validation data with ``val_`` in front. ``history["val_loss"]`` is short for
    ``history.epochs["val_loss"]``.

    >>> history = History()
    >>> history.add_epoch(epoch=1, loss=0.5, val_loss=0.75)
    >>> history["loss"]
    [0.5]
    >>> history
    History(1 epoch: loss 0.5, val_loss 0.75)
    """

    def __init__(self):
        self.steps, self.epochs = {}, {}

    def add_step(self, **row):
        add(self.steps, row)

    def add_epoch(self, **row):
        add(self.epochs, row)

    def __getitem__(self, name):
        if name not in self.epochs:
            raise KeyError(f"this history has no {name!r}, but {', '.join(map(repr, self.epochs)) or 'nothing yet'}"
                           + f"; history.steps[{name!r}] has it for each step" * (name in self.steps))
        return self.epochs[name]

    def __iter__(self):
        return iter(self.epochs)

    def __len__(self):
        return len(self.epochs.get("epoch", ()))

    def plot(self, axes=None):
        """Learning curves, a panel for the loss and one for each metric; returns the Axes."""
        from ..plotting import plot_history
        return plot_history(self, axes)

    def to_csv(self, path, per="epoch"):
        """Write the table of epochs (or, ``per="step"``, of steps) as comma-separated values with a header."""
        if per not in ("epoch", "step"):
            raise ValueError(checks.wrong("History.to_csv", "per", "be 'epoch' or 'step'", repr(per)))
        table = self.epochs if per == "epoch" else self.steps
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(table)
            writer.writerows(zip(*table.values()))

    def __repr__(self):
        last = ", ".join(f"{name} {column[-1]:.4g}" for name, column in self.epochs.items() if name != "epoch")
        return f"History({len(self)} epoch{'s' * (len(self) != 1)}{': ' * bool(last)}{last})"


def add(table, row):
    for name, value in row.items():
        table.setdefault(name, []).append(value)
