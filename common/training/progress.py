"""The progress bar of a training."""
import sys
from time import perf_counter

from .live import in_notebook

LINE = "{desc}{percentage:3.0f}% {n_fmt}/{total_fmt} [{elapsed}<{remaining}]{postfix}"


class Progress:
    """Batches done, time left, losses. In a file it is a line for each of the first ten epochs, for
    each tenth more of them, and one a minute."""
    bar, pause = None, 0.1                                  # seconds between two looks

    def __init__(self, fit, done):
        self.epochs, self.per_epoch = fit.epochs, fit.per_epoch
        self.done, self.text, self.validation, self.first = done, "", "", None
        self.due, self.shown = 0.0, perf_counter()                   # due: the epoch to be shown
        if not fit.progress or sys.stderr is None:
            return
        total = None if fit.per_epoch is None else fit.epochs * fit.per_epoch
        if in_notebook() or sys.stderr.isatty():
            from tqdm.auto import tqdm
            look = {"dynamic_ncols": True}
        else:
            from tqdm import tqdm
            look, self.pause = {"file": Lines(sys.stderr), "bar_format": LINE}, 60
        # without its monitor: where no thread can start, as in a browser, it would warn
        bar = type(tqdm.__name__, (tqdm,), {"monitor_interval": 0})
        self.bar = bar(total=total, initial=done, unit="batch", mininterval=0, miniters=0, **look)

    def begin(self, epoch):
        self.first, self.epoch = self.first or epoch, epoch
        if self.bar is not None:
            self.bar.set_description(f"epoch {epoch}/{self.epochs}", refresh=False)
            if self.per_epoch is None and epoch > self.first:    # as many as in the epochs so far
                share = (epoch - self.first) / (self.epochs - self.first + 1)
                self.bar.total = round(self.done / share)

    def batch(self, loss):
        self.done += 1
        if self.bar is not None and perf_counter() - self.shown >= self.pause:
            self.show(loss)

    def end(self, row):
        """Show an epoch's losses; those of the validation stay until the next."""
        if self.bar is None:
            return
        self.validation = "".join(f", {name} {value:.4f}" for name, value in row.items()
                                  if name.startswith("val_"))
        self.text = f"loss {row['loss']:.4f}{self.validation}"
        if self.epoch >= self.due or perf_counter() - self.shown >= self.pause:
            self.show()
            self.due = 1.1 * self.epoch

    def show(self, loss=None):
        if loss is not None:
            self.text = f"loss {loss:.4f}{self.validation}"
        self.bar.set_postfix_str(self.text, refresh=False)
        self.bar.update(self.done - self.bar.n)
        self.shown = perf_counter()

    def close(self):
        if self.bar is not None:
            self.show()
            self.bar.close()


class Lines:
    """A file in which each new state of a bar is a line of its own."""

    def __init__(self, file):
        self.file, self.last = file, ""

    def write(self, text):
        text = text.strip()
        if text and text != self.last:
            self.file.write(f"{text}\n")
            self.last = text

    def flush(self):
        self.file.flush()
