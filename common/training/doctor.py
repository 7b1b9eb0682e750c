"""Finds what is wrong with a training, before it and after it."""
from __future__ import annotations

import copy
import math
import time
from typing import Any

import numpy as np

from ..common import checks
from ..common.types import ArrayLike, Inputs
from . import arguments, memory, samples, signals, targets
from .outcome import Outcome, judge
from .report import Finding, Report
from .sweep import SMALLER, of_rates, of_schedule, sweep, update_ratio
from .trial import Case, Watch, aside, outputs, sampled

SECONDS = 2.5                     # for all that preflight tries


def preflight(trainer: Any, x: Inputs | None = None, t: ArrayLike | None = None,
              **fit_arguments: Any) -> Report:
    """Look for what is wrong before a training, as experienced people do by hand. Returns a Report.

    The arguments are those of ``trainer.fit``. It checks the data (scales, duplicates, order,
    classes), whether last layer, loss and metrics fit the targets, the memory of a step, the first
    weights, dead and saturated units, the gradients of each layer, and what a few steps of a copy
    do to the loss, at this learning rate and others. The steps are those of ``fit``, with weights,
    augmentation, frozen layers and all; callbacks alone are not called.

    The model, the optimizer, the data and every generator stay exactly as they are.

    >>> from chainrule.datasets import make_spiral
    >>> from chainrule.models import MLP
    >>> from chainrule.optimizers import Adam
    >>> from chainrule.training import Trainer
    >>> x, t = make_spiral(rng=0)
    >>> trainer = Trainer(MLP([2, 32, 3], rng=0), Adam(lr=0.01))
    >>> preflight(trainer, x, t, batch_size=30)
    MLP: nothing found
    >>> preflight(trainer, x, t + 1, batch_size=30)
    MLP: labels-mismatch in t
    """
    examination = examined("preflight", trainer, x, t, fit_arguments)
    return examination.report(healthy=examination.progresses())


def doctor(trainer: Any, x: Inputs | None = None, t: ArrayLike | None = None,
           validation_data: Any = None, **fit_arguments: Any) -> Report:
    """Train, and say what is wrong: ``preflight``, then ``trainer.fit``, then a look at the result.

    An unusual measurement before the training is reported only if the training ends badly: worse
    than nearest neighbours or a linear model on these data, or with weights that do not fit new
    samples. Then copies are trained from the same start with one thing changed (scaled inputs,
    another learning rate, no dropout, more epochs), and the report says what helped.

    >>> from chainrule.datasets import make_spiral
    >>> from chainrule.models import MLP
    >>> from chainrule.optimizers import SGD
    >>> from chainrule.training import Trainer
    >>> x, t = make_spiral(rng=0)
    >>> trainer = Trainer(MLP([2, 32, 3], rng=0), SGD(lr=1e-6))
    >>> doctor(trainer, x, t, epochs=20, rng=0, progress=False).findings[0].code
    'learning-rate-too-low'
    """
    options = {**fit_arguments, "validation_data": validation_data}
    examination = examined("doctor", trainer, x, t, options)
    if not examination.runs:
        return examination.report()
    metrics = trainer.metrics
    if examination.has("wrong-metric"):
        trainer.metrics = {}
    if options.get("batches") is not None:
        x = t = None
    try:
        with np.errstate(all="ignore"):
            trainer.fit(x, t, **options)
    except FloatingPointError as error:
        with aside(fit_arguments, trainer.model):
            examination.not_finite(error)
        return examination.report()
    finally:
        trainer.metrics = metrics
    with aside(fit_arguments, trainer.model):
        healthy = examination.after(trainer)
    return examination.report(healthy)


def examined(who, trainer, x, t, options):
    arguments.examined(who, trainer, x, t, options)
    with aside(options, trainer.model):
        examination = Examination(trainer, x, t, options)
        if examination.runs:
            examination.try_steps()
    return examination


class Examination:
    """What is found out about a training; ``runs`` says whether a step can be made."""

    def __init__(self, trainer, x, t, options):
        self.trainer, self.measured, self.runs = trainer, {}, False
        self.rates, self.lr, self.n = None, None, 128
        if options.get("batches") is not None:
            x = t = None
        self.case = case = Case(trainer, x, t, options)
        arrays = {"x" if len(case.x) == 1 else f"x[{i}]": a for i, a in enumerate(case.x)}
        arrays["t"] = case.t
        if case.validation is not None:
            arrays |= {"validation x": case.validation[0][0], "validation t": case.validation[1]}
        self.findings = list(samples.not_finite(arrays))
        if not self.findings:
            self.task = self.task_of(case)
            self.look_at_data(list(arrays))
            self.look_at_memory()
            if not self.has("too-little-memory"):
                self.look_at_ends()

    def task_of(self, case):
        """What the targets ask for: quantities if they repeat the inputs, or if the loss is a
        distance and samples near each other differ by little."""
        loss = targets.loss_of(self.trainer.model)[0]
        same = case.t.shape == case.x[0].shape and np.array_equal(case.t, case.x[0])
        task = targets.Task(case.t, loss, quantities=same)
        if task.codes and loss == "distance" and samples.ordered(case.x, task.labels):
            return targets.Task(case.t, quantities=True)
        return task

    def has(self, *codes):
        return any(f.code in codes for f in self.findings)

    def look_at_data(self, names):
        case, task = self.case, self.task
        x_val = case.validation and case.validation[0]
        self.findings += samples.scales(case.x, case.t, task, names)
        if x_val is not None:
            self.findings += samples.validation_scales(case.x, x_val)
        self.findings += [*samples.leakage(case.x, case.t, x_val, task),
                          *samples.order(case, task)]
        if task.labels is not None:
            classes, counts = np.unique(task.labels, return_counts=True)
            self.measured["classes"] = (f"{len(classes)}, of {counts.min()} to {counts.max()} "
                                        "samples")
        self.measured["inputs"] = ", ".join(f"{a.shape} from {a.min():.4g} to {a.max():.4g}"
                                            for a in case.x)

    def look_at_memory(self):
        """What a step takes, predicted and measured."""
        case, limit = self.case, checks.memory()
        try:
            step = memory.Step(case)
        except (TypeError, ValueError, IndexError):
            return                                       # look_at_ends says what does not fit
        data = sum(a.nbytes for a in (*case.x, case.t))
        self.measured["memory of a step"] = f"predicted {step}"
        self.findings += memory.too_large(step, data, limit)
        if self.has("too-little-memory"):
            return
        self.measured["memory of a step"] += f"; measured {checks.bytes_text(step.measured())}"
        self.n = max(2, min(128, int((limit - data) / 4 / (step.each + 1))))

    def look_at_ends(self):
        """Outputs, loss and metrics, on some samples; whether a step can be made."""
        case, (x, t) = self.case, self.case.sample(self.n)
        model = case.trial().model
        y = outputs(model, x, t)
        of_all = None if y is None else np.broadcast_to(y[:1], (len(case.t), *y.shape[1:]))
        self.findings += targets.output_and_loss(case.origin[0], self.task, case.t, of_all)
        where = "t"
        try:
            float(model.forward(*x, t))
            where = "validation_data"
            if case.validation is not None:
                case.trial().loss(*sampled(self.n, *case.validation))
        except (TypeError, ValueError, IndexError) as error:
            if where != "t" or not any(f.certain for f in self.findings):
                self.findings.append(Finding("labels-mismatch", where, str(error),
                                             targets.OUT_OF_SHAPE, True))
            return
        if getattr(model, "output", None) is not None:
            task = copy.copy(self.task)
            if task.labels is not None:
                task.labels = sampled(self.n, (), task.labels)[1]
            self.findings += targets.metrics(self.trainer.metrics, case.origin[0], task, t, y)
        self.runs = True

    def try_steps(self):
        """What runs through the layers at the start and after some steps; learning rates."""
        case, begin, some = self.case, time.process_time(), self.case.sample(self.n)
        try:
            before = signals.Signals(case.origin[0], *some)
        except FloatingPointError:
            return
        lr = getattr(case.trainer.optimizer, "lr", None)
        plan = [float(lr(int(k))) if callable(lr) else lr
                for k in np.linspace(0, case.steps - 1, 50)]
        self.lr = None if plan[0] is None else max(plan)
        ratio = update_ratio(case.trial())
        self.measured |= {"loss at the start": self.expected_loss(before.loss),
                          "update / weight": f"{ratio:.1e} at the first steps",
                          "gradient norm": f"{before.norm:.3g}"}
        self.findings += signals.straight(case.origin[0], before)
        self.findings += of_schedule(plan)
        self.after_some_steps(before, some)
        self.findings += signals.first_values(before)
        self.findings += signals.flat_units(before, "before training")
        self.findings += signals.flow(before, case.options.get("max_grad_norm") is not None)
        left = max(0.5, SECONDS - (time.process_time() - begin))
        self.rates = sweep(case, max(10, min(50, case.steps)), 0.7 * left)
        self.measured["learning rates"] = repr(self.rates)
        if self.lr is not None and math.isfinite(self.rates.start):
            self.findings += of_rates(self.rates, self.lr, ratio)

    def after_some_steps(self, before, some):
        """What stays unchanged after steps at a rate that is not tiny."""
        case = self.case
        tiny = self.lr is not None and self.lr < 1e-4
        quick = case.trial(rate=1e-3 / max(self.lr, 1e-12) if tiny else 1.0)
        if self.lr == 0:
            quick.optimizer.lr = 1e-3
        quick.run(8, 0.5)
        if math.isfinite(before.loss) and np.isfinite(quick.losses).all():
            later = signals.Signals(quick.model, *some)
            self.findings += signals.equal_units(before, later)
            # of moderate size: units that saturate are not cut off
            x = samples.standard_inputs(some[0])
            self.findings += signals.not_moved(signals.Signals(case.origin[0], x, some[1]),
                                               signals.Signals(quick.model, x, some[1]))

    def expected_loss(self, loss):
        """The first loss beside that of a guess, in words."""
        kind, labels = targets.loss_of(self.trainer.model)[0], self.task.labels
        if kind in ("softmax", "sigmoid"):
            C = 2 if kind == "sigmoid" else self.case.t.shape[-1]
            if kind == "softmax" and labels is not None:
                C = len(np.unique(labels))
            return f"{loss:.4g}, log {C} is {math.log(max(C, 2)):.4g}"
        if kind == "distance":
            return f"{loss:.4g}, half of the targets' variance is {self.case.t.var() / 2:.4g}"
        return f"{loss:.4g}"

    def progresses(self):
        """Whether the tried steps lower the loss nearly as much as steps at the best rate."""
        if self.rates is None:
            return False
        losses, start = self.rates.losses, self.rates.start
        return start - losses[self.rates.middle] > 0.3 * (start - losses.min()) > 0

    def not_finite(self, error):
        """The first array that was not finite, when a copy is trained again; then the cause."""
        trial = self.case.trial()
        watch = Watch(trial.model)
        losses = trial.run(min(20_000, self.case.steps), SECONDS)
        grown = [v for v in losses if math.isfinite(v)]
        diverged = len(grown) > 1 and max(grown) > 50 * max(abs(grown[0]), 1e-6)
        where = f"step {len(losses)}, {watch.first}" if watch.first else "the training"
        self.findings.append(Finding("non-finite", where, str(error), "see the next finding" if
                                     diverged or len(self.findings) else "log and division: keep "
                                     "their arguments away from 0; sqrt has no slope at 0", True))
        if diverged and not self.has("learning-rate-too-high", "inputs-not-scaled",
                                     "bad-initialisation", "exploding-gradient"):
            self.findings.append(Finding(
                "learning-rate-too-high", "the training", f"the loss grew from {grown[0]:.4g} to "
                f"{max(grown):.4g} in {len(grown)} steps", SMALLER))

    def after(self, trainer):
        outcome = Outcome(self, trainer)
        self.measured |= outcome.curves.measured | {"right, or R²": outcome.measured}
        self.findings, well = judge(outcome, self.findings)
        return well

    def report(self, healthy=False):
        findings = [f for f in self.findings if f.certain or not healthy]
        return Report(type(self.trainer.model).__name__, findings, self.measured)
