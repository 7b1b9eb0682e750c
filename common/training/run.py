"""One ``fit``: its epochs, its position, its callbacks."""
from itertools import islice

from ..common import freezing
from ..common.rng import state_for
from . import answers, parallel
from .checkpoint import WHO, same
from .history import History
from .state import generators, plain, put_back, recurrent


class Run:
    """Where a training stands: ``epoch`` are finished, counted on from an earlier fit, and ``step``
    updates of the next one. ``frozen``: the layers frozen before ``freeze=``, if it was given."""

    def __init__(self, trainer, fit, frozen):
        self.trainer, self.fit, self.saved = trainer, fit, trainer.resumed
        self.frozen, self.at_first = frozen, freezing.frozen(trainer.model)
        self.step, self.ended, self.final = 0, False, False
        self.at_start, self.measures, self.generators = {}, None, {}
        self.callbacks = sorted(enumerate(fit.callbacks),
                                key=lambda item: getattr(item[1], "last", False))
        self.steppers = [call for _, call in self.callbacks if hasattr(call, "after_step")]
        self.keepers = [call for call in fit.callbacks if hasattr(call, "load_state")]
        self.tell("begin")
        if self.steppers or self.saved:
            self.generators = generators({"model": trainer.model, "optimizer": trainer.optimizer,
                                          "batches": fit.batches, "callbacks": fit.callbacks,
                                          "augment": fit.augment})
        if self.saved:
            self.take_up(self.saved)
        else:
            before, trainer.history = trainer.history, History()
            trainer.history.earlier = before.earlier + len(before)
        self.epoch = trainer.history.earlier + len(trainer.history)
        fit.epochs += trainer.history.earlier
        trainer.run, trainer.resumed = self, None

    def epochs(self):
        """The numbers of the epochs to come."""
        while self.epoch < self.fit.epochs and not self.ended:
            yield self.epoch + 1
        self.tell("end")

    def groups(self, total):
        """A group of batches for each update; when the next one is asked for, it has been made."""
        groups, saved, self.saved = self.fit.groups(self.epoch + 1), self.saved, None
        self.measures = total.measures
        if saved and self.step:
            total.batch = sum(len(list(group)) for group in islice(groups, self.step))
            self.draw_from(saved["generators"])
            put_back(total.measures, saved["measures"])
            for path, layer in recurrent(self.trainer.model).items():
                layer.state = saved["model"]["states"][path]
        else:
            self.at_start = states(self.generators)
        for group in groups:
            yield group
            self.step += 1
            for call in self.steppers:
                call.after_step(self.trainer)

    def after_epoch(self):
        self.epoch, self.step = self.epoch + 1, 0
        for i, call in self.callbacks:
            if answers.stops(call(self.trainer), i):
                self.ended = True
                self.final |= hasattr(call, "load_state")      # a function may let it go on later
        self.ended = parallel.agreed(self.trainer.comm, self.ended)

    def tell(self, moment):
        for _, call in self.callbacks:
            getattr(call, moment, lambda trainer: None)(self.trainer)

    @property
    def batches(self):
        """How many batches are done, if that is known."""
        number = self.fit.per_epoch or 0
        return self.epoch * number + min(self.step * self.fit.accumulate, number)

    def place(self):
        """What a checkpoint holds beside model, optimizer and history."""
        midway = self.step > 0
        return {"step": self.step, "ended": self.final,
                "per_epoch": self.fit.per_epoch, "accumulate": self.fit.accumulate,
                "frozen": [self.at_first, freezing.frozen(self.trainer.model)],
                "generators": states(self.generators),
                "at_start": self.at_start if midway else {},
                "measures": plain(self.measures) if midway else {},
                "callbacks": [{"class": type(call).__name__, "state": call.state}
                              for call in self.keepers]}

    def take_up(self, saved):
        """Stand where the file stands. ValueError for a training of other parts."""
        who = f"{WHO}: {saved['path']} does not fit this fit:"
        place, here = self.place(), "this fit"
        if saved["generators"] is not None:                  # they are, for a rank that is new
            same(who, kinds(place["generators"]), kinds(saved["generators"]), here)
        same(who, *({f"callback {i}, of those with a state,": kept.get("class")
                     for i, kept in enumerate(side["callbacks"])} for side in (place, saved)), here)
        if saved["step"]:
            same(who, *({"batches per epoch": side["per_epoch"], "accumulate": side["accumulate"]}
                        for side in (place, saved)), here)
        for name in ("generators", "at_start")[:1 + (saved["step"] > 0)]:
            for path, rng in self.generators.items() if saved[name] is not None else ():
                state_for(who, path, rng, saved[name].get(path))
        self.draw_from(saved["at_start"] if saved["step"] else saved["generators"])
        for call, kept in zip(self.keepers, saved["callbacks"]):
            try:
                call.load_state(kept["state"])
            except (KeyError, TypeError, AttributeError) as error:
                raise ValueError(f"{who} {kept['class']} cannot take its state: "
                                 f"{error!r}") from error
        if "frozen" in saved and saved["frozen"][0] == self.at_first:       # the same freeze=
            freezing.freeze_exactly(self.trainer.model, saved["frozen"][1])
        self.at_start = saved["at_start"]
        self.step, self.ended, self.final = saved["step"], saved["ended"], saved["ended"]

    def draw_from(self, saved):
        """Set every generator to its saved state; None: as they are."""
        for path, rng in self.generators.items() if saved is not None else ():
            rng.bit_generator.state = saved[path]

    def close(self):
        self.trainer.run = None

    def __reduce__(self):
        return type(None), ()                     # a trainer is copied without the fit under way


def states(found):
    return {path: rng.bit_generator.state for path, rng in found.items()}


def kinds(saved):
    return {path: f"a {state.get('bit_generator')} generator" for path, state in saved.items()}
