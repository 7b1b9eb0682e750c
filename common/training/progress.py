"""The progress bar of a training."""


class Progress:
    """How many batches are done, and of how many, if that is known; the losses beside it."""

    def __init__(self, fit, done):
        if fit.progress:
            from tqdm.auto import tqdm
        else:                               # auto looks for notebook widgets also to show nothing
            from tqdm import tqdm
        total = None if fit.per_epoch is None else fit.epochs * fit.per_epoch
        self.bar = tqdm(total=total, initial=done, disable=not fit.progress, unit="batch",
                        dynamic_ncols=True)
        self.epochs, self.validation = fit.epochs, ""

    def begin(self, epoch):
        self.bar.set_description(f"epoch {epoch}/{self.epochs}", refresh=False)

    def batch(self, loss):
        self.bar.set_postfix_str(f"loss {loss:.4f}{self.validation}", refresh=False)
        self.bar.update()

    def end(self, row):
        """Show an epoch's loss and validation results, which stay until there are new ones."""
        self.validation = "".join(f", {name} {value:.4f}" for name, value in row.items()
                                  if name.startswith("val_"))
        self.bar.set_postfix_str(f"loss {row['loss']:.4f}{self.validation}")

    def close(self):
        self.bar.close()
