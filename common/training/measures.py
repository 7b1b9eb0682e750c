"""The loss and the metrics of many batches, as if they were one."""
import numpy as np

from ..common import checks
from ..common.metrics import accuracy, as_mean
from . import answers


class Mean:
    """The mean of values that come in batches."""

    def __init__(self):
        self.sum, self.count = 0.0, 0

    def add(self, total, count):
        self.sum, self.count = self.sum + total, self.count + count

    def value(self, of_none=np.nan):
        return self.sum / self.count if self.count else of_none


class AddedUp:
    """A metric that is a mean (see ``metrics.averaged``), added up batch by batch."""

    def __init__(self, values, then):
        self.values, self.then, self.mean = values, then, Mean()

    def add(self, output, target):
        values = self.values(output, target)
        total = np.count_nonzero(values) if values.dtype == bool else values.sum(dtype=np.float64)
        self.mean.add(float(total), values.size)

    def value(self):
        return self.then(self.mean.value())


class OfTheWhole:
    """Any other metric, given the outputs and targets of all batches at once."""

    def __init__(self, metric):
        self.metric, self.outputs, self.targets = metric, [], []

    def add(self, output, target):
        for kept, a in ((self.outputs, output), (self.targets, target)):
            if isinstance(a, tuple) or kept and np.shape(a)[1:] != kept[0].shape[1:]:
                raise ValueError("it needs an epoch's outputs as one array, "
                                 "and these batches do not make one")
            kept.append(np.array(a))             # a copy: outputs may share one buffer

    def value(self):
        return self.metric(np.concatenate(self.outputs), np.concatenate(self.targets))


class Measures:
    """A model's loss and its metrics, a dict by name, over several batches."""

    def __init__(self, model, metrics, who):
        self.model, self.who, self.loss = model, who, Mean()
        self.unweighted = Mean()                                # where no row of any counts
        self.first = next(iter(getattr(model, "losses", None) or ()), None)     # of a graph
        self.by_default = list(metrics.values()) in ([], [accuracy])
        self.metrics = {name: AddedUp(*as_mean(metric)) if as_mean(metric) else OfTheWhole(metric)
                        for name, metric in metrics.items()}

    def of(self):
        """The model's loss layer; of a graph with several the first."""
        return self.first or getattr(self.model, "loss", None)

    def summed(self):
        """Whether the loss is a sum over rows."""
        return getattr(self.of(), "reduction", "mean") == "sum"

    def add(self, loss, batch):
        """Count in the batch that the model has just seen; returns its weight."""
        weight = getattr(self.of(), "count", None)              # the rows that are not ignored
        weight = len(batch[0]) if weight is None else weight
        if self.summed():
            weight = 1                                          # an epoch's loss is a mean of sums
        self.loss.add(weight * loss, weight)
        self.unweighted.add(loss, 1)
        output = getattr(self.model, "output", None)
        if output is None:
            if not self.by_default:
                raise TypeError(checks.wrong(
                    self.who, type(self.model).__name__, "keep its last output for the metrics",
                    "no output", "write self.output = y in its forward"))
            self.metrics = {}
        for name, metric in self.metrics.items():
            self.suited(name, metric.add, output, batch[-1])
        return weight

    def summary(self):
        row = {"loss": self.loss.value(self.unweighted.value(0.0))}
        for name, metric in self.metrics.items():
            row[name] = answers.metric(self.suited(name, metric.value), name, self.who)
        return row

    def suited(self, name, method, *arrays):
        """What a metric's method returns, or an error that says what to do."""
        try:
            return method(*arrays)
        except (TypeError, ValueError, IndexError) as error:
            ignored = getattr(getattr(self.model, "loss", None), "ignore_label", None)
            hint = "to train without it: Trainer(model, optimizer, metrics=())"
            if f"got {ignored} at" in str(error):
                hint = (f"the loss ignores the label {ignored}, the metric does not: "
                        f"metrics={{{name!r}: functools.partial({name}, ignore_label={ignored})}}")
            raise ValueError(f"{self.who}: the metric {name} does not suit "
                             f"{type(self.model).__name__} and these targets ({error}); {hint}"
                             ) from error
