"""What is wrong with a training: looked for before it, and after it."""
from __future__ import annotations

import copy
import math
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from ..common.layer import walk
from ..common.types import ArrayLike, Inputs
from . import arguments, samples, signals, targets
from .diagnosis import diagnose
from .report import Finding, Report
from .samples import Baseline, standardized
from .sweep import sweep
from .trial import Case, Watch, outputs, unchanged

SECONDS = 2.5                     # for all that preflight tries
SMALLER = "a tenth of the learning rate; lr_range(trainer, x, t).plot() shows which suits"


def preflight(trainer: Any, x: Inputs | None = None, t: ArrayLike | None = None,
              **fit_arguments: Any) -> Report:
    """Look for what is wrong before a training, as experienced people do by hand; a Report.

    x, t and the other arguments are those of ``trainer.fit``. Looked at are the data (scales,
    duplicates, order, classes), whether last layer, loss and metrics fit the targets, the first
    weights, the share of units that do not answer, the gradients by layer, and what a few steps of
    a copy do to the loss, at this learning rate and at others.

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
    arguments.examined("preflight", trainer, x, t, fit_arguments)
    with aside(fit_arguments):
        examination = Examination(trainer, x, t, fit_arguments)
        if examination.runs:
            examination.try_steps()
    return examination.report(healthy=examination.progresses())


def doctor(trainer: Any, x: Inputs | None = None, t: ArrayLike | None = None,
           validation_data: Any = None, **fit_arguments: Any) -> Report:
    """Train, and say what is wrong: ``preflight``, then ``trainer.fit``, then a look at the result.

    What was out of the usual before the training is told only where it ended badly: worse than a
    nearest neighbour or a linear model on these data, or with weights that do not fit new samples.
    Then copies are trained anew from the same start with one thing changed, the inputs scaled,
    another learning rate, no dropout, more epochs, and what helped is in the report.

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
    arguments.examined("doctor", trainer, x, t, options)
    with aside(fit_arguments):
        examination = Examination(trainer, x, t, options)
        if examination.runs:
            examination.try_steps()
    if not examination.runs:
        return examination.report()
    metrics = trainer.metrics
    if examination.has("wrong-metric"):
        trainer.metrics = {}
    given = {} if options.get("batches") is not None else {"x": x, "t": t}
    try:
        with np.errstate(all="ignore"):
            trainer.fit(**given, **options)
    except FloatingPointError as error:
        with aside(fit_arguments):
            examination.not_finite(error)
        return examination.report()
    finally:
        trainer.metrics = metrics
    with aside(fit_arguments):
        healthy = examination.after(trainer)
    return examination.report(healthy)


@contextmanager
def aside(fit_arguments):
    """For what is tried: no warnings, and the generators of a user's functions stay as they are."""
    with unchanged(fit_arguments.get("batches"), fit_arguments.get("augment")), (
            np.errstate(all="ignore")):
        yield


class Examination:
    """All that is found about a training; ``runs`` says whether a step of it can be made."""

    def __init__(self, trainer, x, t, options):
        self.trainer, self.findings, self.measured, self.runs = trainer, [], {}, False
        self.rates = self.baseline = None
        if options.get("batches") is not None:
            x = t = None
        self.case = case = Case(trainer, x, t, options)
        arrays = {"x" if len(case.x) == 1 else f"x[{i}]": a for i, a in enumerate(case.x)}
        arrays["t"] = case.t
        if case.validation is not None:
            arrays |= {"validation x": case.validation[0][0], "validation t": case.validation[1]}
        self.findings += samples.not_finite(arrays)
        if self.findings:
            return
        same = case.t.shape == case.x[0].shape and np.array_equal(case.t, case.x[0])
        self.task = targets.Task(case.t, targets.loss_of(trainer.model)[0], quantities=same)
        if (self.task.codes and targets.loss_of(trainer.model)[0] == "distance"
                and samples.ordered(case.x, self.task.labels)):
            self.task = targets.Task(case.t, quantities=True)
        self.look_at_data(list(arrays))
        self.look_at_ends()

    def has(self, *codes):
        return any(f.code in codes for f in self.findings)

    def look_at_data(self, names):
        case, task = self.case, self.task
        self.findings += samples.scales(case.x, case.t, task, names)
        if case.validation is not None:
            self.findings += samples.validation_scales(case.x, case.validation[0])
        self.findings += samples.leakage(case.x, case.t, case.validation and case.validation[0],
                                         task)
        self.findings += samples.order(case, task)
        if task.labels is not None:
            classes, counts = np.unique(task.labels, return_counts=True)
            self.measured["classes"] = (f"{len(classes)}, of {counts.min()} to {counts.max()} "
                                        "samples")
        self.measured["inputs"] = ", ".join(f"{a.shape} from {a.min():.4g} to {a.max():.4g}"
                                            for a in case.x)

    def look_at_ends(self):
        """Outputs, loss and metrics, on some samples; whether a step can be made."""
        case, (x, t) = self.case, self.case.sample(128)
        model = case.trial().model
        y = outputs(model, x, t)
        self.findings += targets.output_and_loss(case.origin[0], self.task, case.t,
                                                 y if y is None else resized(y, case.t))
        try:
            with np.errstate(all="ignore"):
                float(model.forward(*x, t))
        except (TypeError, ValueError, IndexError) as error:
            if not any(f.certain for f in self.findings):
                self.findings.append(Finding("labels-mismatch", "t", str(error),
                                             targets.OUT_OF_SHAPE, True))
            return
        if getattr(model, "output", None) is not None:
            self.findings += targets.metrics(self.trainer.metrics, case.origin[0],
                                             part(self.task, case), t, y)
        self.runs = True

    def try_steps(self):
        """What runs through the layers at the start and after some steps; learning rates."""
        case, begin = self.case, time.process_time()
        some = case.sample(128)
        try:
            before = signals.Signals(case.origin[0], *some)
        except FloatingPointError:
            return
        self.findings += signals.straight(case.origin[0], some[0], before)
        trial = case.trial()
        planned = case.epochs * case.steps_per_epoch
        plan = [rate_of(case.trainer.optimizer, int(k)) for k in np.linspace(0, planned - 1, 50)]
        self.lr = None if plan[0] is None else max(plan)
        self.findings += of_schedule(plan)
        wanted = 1.0 if self.lr is None or self.lr >= 1e-4 else 1e-3 / max(self.lr, 1e-12)
        quick = case.trial(rate=wanted)
        if self.lr == 0:
            quick.optimizer.lr = 1e-3
        quick.run(8, 0.5)
        self.measured["loss at the start"] = self.expected_loss(before.loss)
        if math.isfinite(before.loss) and np.isfinite(quick.losses).all():
            later = signals.Signals(quick.model, *some)
            self.findings += signals.equal_units(before, later)
            self.findings += signals.not_moved(before, later)
        self.findings += signals.first_values(before)
        self.findings += signals.flat_units(before, "before training")
        clipped = case.options.get("max_grad_norm") is not None
        self.findings += signals.flow(before, clipped)
        self.ratio = update_ratio(trial)
        self.measured["update / weight"] = f"{self.ratio:.1e} at the first steps"
        self.measured["gradient norm"] = f"{before.norm:.3g}"
        steps = max(10, min(50, case.epochs * case.steps_per_epoch))
        left = max(0.5, SECONDS - (time.process_time() - begin))
        self.rates = sweep(case, steps, 0.7 * left)
        self.measured["learning rates"] = repr(self.rates)
        self.findings += self.learning_rate()

    def expected_loss(self, loss):
        """The first loss beside that of a guess, in words."""
        kind, _ = targets.loss_of(self.trainer.model)
        if kind in ("softmax", "sigmoid"):
            C = 2 if kind == "sigmoid" else len(np.unique(self.task.labels)) if (
                self.task.labels is not None) else self.case.t.shape[-1]
            return f"{loss:.4g}, log {C} is {math.log(max(C, 2)):.4g}"
        if kind == "distance":
            return f"{loss:.4g}, half of the targets' variance is {self.case.t.var() / 2:.4g}"
        return f"{loss:.4g}"

    def learning_rate(self):
        """Findings on the sweep: what these steps reach, and what others would."""
        rates = self.rates
        if rates is None or self.lr is None:
            return
        middle = int(np.argmin(np.abs(np.log(rates.rates / (rates.current or 1.0)))))
        now, start = rates.losses[middle], rates.start
        if not math.isfinite(start):
            return
        low, high = rates.losses[:middle - 1], rates.losses[middle + 2:]
        text = f"after {rates.steps} steps the loss is {now:.4g}, from {start:.4g}; with {{}} {{}}"
        if self.lr == 0:
            yield Finding("learning-rate-too-low", "optimizer.lr", "it is 0", "a positive rate")
        elif low.size and low.min() < start and start - low.min() > 1.5 * (start - now):
            yield Finding("learning-rate-too-high", f"optimizer.lr = {self.lr:.3g}", text.format(
                f"{rates.rates[low.argmin()]:.2g} it is", f"{low.min():.4g}"), SMALLER)
        elif high.size and start - high.min() > 3 * (start - now) and high.min() < 0.9 * start and (
                self.ratio < 2e-4):
            at = rates.rates[middle + 2 + high.argmin()]
            yield Finding("learning-rate-too-low", f"optimizer.lr = {self.lr:.3g}", text.format(
                f"{at:.2g} it is", f"{high.min():.4g}") + f"; a step changes weights by "
                f"{self.ratio:.1e} of their size, 1e-3 is usual", f"about {at / 3:.1g}")

    def progresses(self):
        """Whether the tried steps lower the loss nearly as much as steps at the best rate."""
        if self.rates is None or not self.runs:
            return False
        middle = int(np.argmin(np.abs(np.log(self.rates.rates / (self.rates.current or 1.0)))))
        gain, best = (self.rates.start - v for v in (self.rates.losses[middle],
                                                     self.rates.losses.min()))
        return gain > 0.3 * best > 0

    def not_finite(self, error):
        """The first array that was not finite, found by training a copy again; then the cause."""
        trial = self.case.trial()
        watch = Watch(trial.model)
        losses = trial.run(min(20_000, self.case.epochs * self.case.steps_per_epoch), SECONDS)
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
        """Judge what came out; whether it is as good as can be asked."""
        case, history = self.case, trainer.history
        diagnosis = diagnose(history)
        self.measured |= diagnosis.measured
        self.baseline = base = Baseline(case, self.task)
        self.train, self.val = (self.score(trainer.model, data) for data in (
            (case.x, case.t), case.validation))
        known = {name: value for name, value in (("score", self.train), ("validation", self.val),
                 ("simple method", base.held_out), ("on validation", base.validation),
                 ("chance", base.chance)) if value is not None}
        self.measured["right, or R²"] = ", ".join(f"{k} {v:.3f}" for k, v in known.items())
        self.findings += self.unbalanced(trainer.model)
        self.findings += self.mismatched()
        self.findings += self.unmoved(trainer.model)
        for f in diagnosis.findings:
            if f.code == "non-finite":
                self.findings.append(replace(f, certain=True))
        if self.well(history):
            self.findings += self.of_dropout(0.8, 0.5)
            for f in self.findings:
                f.certain |= f.code == "inputs-not-scaled" and self.starts_high() and (
                    self.confirmed(f))
            return True
        self.findings = [f for f in self.findings if f.certain or self.confirmed(f)]
        over = self.overfits(history)
        self.findings += [] if over is None else [over]
        self.findings += [*self.of_dropout(0.6, 0.8), *self.of_batches(), *self.of_freezing()]
        if not self.has("learning-rate-too-high", "learning-rate-too-low", "non-finite"):
            self.findings += [f for f in diagnosis.findings if f.code == "learning-rate-too-high"]
        if not self.findings:
            late = signals.Signals(trainer.model, *case.sample(128))
            self.findings += signals.flat_units(late, "after training")
        if not [f for f in self.findings if f.code != "imbalanced-classes"] and (
                self.progress() < (0.95 if len(history) <= 3 else 0.85)):
            self.findings += self.of_time_and_size(history)
        return False

    def score(self, model, data):
        """The share of right labels, or R²; None where neither applies."""
        if data is None:
            return None
        x, t = data
        rows = np.random.default_rng(2).permutation(len(t))[:2000]
        x, t = tuple(a[rows] for a in x), t[rows]
        y = outputs(model, x, t)
        if y is None:
            return None
        right = self.right(model, y, t)
        if right is not None:
            return float(right.mean())
        if self.task.kind != "values" or y.size != t.size:
            return None
        return samples.explained(y.reshape(len(t), -1).astype(float), samples.columns(t))

    def right(self, model, y, t):
        """Which labels are right, as booleans; None where that is no question."""
        task, loss = self.task, targets.loss_of(model)[0]
        last = targets.last_layer(model)
        bounded = last is not None and targets.reach(last) in ("fraction", "probabilities")
        cut = 0.5 if bounded or loss == "distance" else 0.0
        if task.kind == "classes" and y.ndim > 1 and y.shape[-1] > 1:
            labels = t.argmax(-1) if task.one_hot else t
            if labels.size * y.shape[-1] != y.size:
                return None
            labels = labels.reshape(y.shape[:-1])
            kept = labels >= 0
            return (y.argmax(-1) == labels)[kept]
        if task.kind == "binary" and y.ndim > 1 and y.shape[-1] > 1:
            return y.argmax(-1) == t.reshape(len(t))
        if task.kind in ("binary", "several") and y.size == t.size:
            return (y.reshape(t.shape) > cut) == (t > 0.5)
        if task.kind == "classes" and y.size == t.size:
            return np.round(y.reshape(t.shape)) == t
        return None

    def well(self, history):
        """Whether the result is as good as that of a simple method, and no guess."""
        base, chance = self.baseline, self.baseline.chance
        score = self.train if self.val is None else self.val
        simple = base.held_out if base.validation is None else base.validation
        val, loss = history.epochs.get("val_loss"), history["loss"]
        end = None if val is None else float(np.median(val[-3:]))
        rise = 1.0 if val is None else end / max(min(val), 1e-12)
        if score is None:
            return loss[-1] < 0.6 * history.steps["loss"][0] and (
                rise < 1.2 and not self.could_be_better())
        if self.task.kind == "several":
            chance = float(np.maximum(self.case.t.mean(0), 1 - self.case.t.mean(0)).mean())
        if val is not None and score < 0.9 and by_heart(self.train - score, rise, loss[-1] / end):
            return False
        if simple is None and len(self.case.t) < 40 and self.could_be_better():
            return score > 0.95 and loss[-1] < 0.7 * self.rates.start
        if simple is None or simple < chance + 0.1 * (1 - chance):
            return score > chance + 0.5 * (1 - chance) or (
                score > chance + 0.1 * (1 - chance) and self.train - score < 0.2
                and not self.could_be_better())
        return score > min(simple - 0.02, 0.97)

    def could_be_better(self):
        """Whether another learning rate reaches in a few steps what this training did not."""
        last = self.trained_loss()
        return self.rates is not None and self.rates.losses.min() < 0.8 * last

    def trained_loss(self):
        x, t = self.case.sample()
        trial = self.case.trial()
        trial.model = copy.deepcopy(self.trainer.model)
        return trial.loss(x, t)

    def unbalanced(self, model):
        """Rare classes that the model does not know."""
        labels = self.task.labels
        if labels is None or labels.ndim > 1:
            return
        classes, counts = np.unique(labels, return_counts=True)
        if len(classes) > 20 or counts.min() * len(classes) > 0.45 * len(labels):
            return
        x, t = self.case.validation if self.case.validation is not None else (self.case.x,
                                                                              self.case.t)
        y = outputs(model, x, t)
        right = None if y is None else self.right(model, y, t)
        flat = t.argmax(-1) if self.task.one_hot else t.reshape(len(t))
        if right is None or len(right) != len(flat):
            return
        right = right.reshape(len(flat), -1)[:, 0]
        recall = {int(c): float(right[flat == c].mean()) for c in classes if (flat == c).any()}
        rare = int(classes[counts.argmin()])
        most = int(classes[counts.argmax()])
        if rare in recall and most in recall and recall[rare] < 0.6 and recall[most] > (
                recall[rare] + 0.3):
            yield Finding("imbalanced-classes", f"class {rare}", f"{counts.min()} of {len(labels)} "
                          f"samples are of it; {recall[rare]:.0%} of it are recognised, "
                          f"{recall[most]:.0%} of class {most}",
                          "class_weight, more samples of it, and a metric such as f1", True)

    def mismatched(self):
        """Labels that inputs say nothing about, or other labels in validation."""
        base, n = self.baseline, len(self.case.t)
        if base.held_out is None or n < 80 or self.val is None and self.train is None:
            return
        free = 0.12 * (1 - base.chance)
        score = self.train if self.val is None else self.val
        if base.held_out > base.chance + 3 * free and base.validation is not None and (
                base.validation < base.chance + free) and score < base.chance + free:
            if not self.has("inputs-not-scaled", "not-shuffled"):
                yield Finding("labels-mismatch", "validation t", f"nearest neighbours are right in "
                              f"{base.held_out:.2f} of the training samples, {base.validation:.2f} "
                              "of the validation samples", "compare some samples with their labels",
                              True)
        elif base.held_out < base.chance + free and score < base.chance + 2 * free:
            yield Finding("labels-mismatch", "t", "neither nearest neighbours nor a linear model "
                          f"predict t from x: {base.held_out:.3f}, chance is {base.chance:.3f}",
                          "was x shuffled or sorted without t? look at some pairs")

    def unmoved(self, model):
        """Parameters that the whole training left as they were."""
        before = self.case.origin[0].params
        same = [np.array_equal(p, q) for p, q in zip(before, model.params) if p.size > 1]
        if same and all(same) and not self.has("bad-initialisation", "dead-units") and (
                self.lr is None or self.lr > 1e-9):
            yield Finding("frozen", "the model", "no weight has changed", "is the optimizer given "
                          "the model's lists, is everything in freeze=?", True)

    def confirmed(self, finding):
        """Whether a measure out of the usual matters: where it can be mended, mending helps."""
        case, code = self.case, finding.code
        if code == "inputs-not-scaled":
            changes = {"x": tuple(a if samples.are_ids(a) else standardized(a) for a in case.x)}
            if any(f.code == code and f.where == "t" for f in self.findings):
                changes |= {"t": standardized(case.t), "unit": float(case.t.var()) or 1.0}
            return self.helps(finding, **changes)
        if code == "bad-initialisation":
            return self.helps(finding, prepare=drawn_anew)
        return True

    def helps(self, finding, unit=1.0, **changes):
        """Whether the same steps with a change end with a clearly lower loss, at some rate."""
        case = self.case
        steps = min(400, case.epochs * case.steps_per_epoch)
        last = self.trained_loss() / unit
        reached = math.inf
        for rate in (1.0, 0.1):
            trial = case.trial(rate=rate, **changes)
            trial.run(steps, 1.0)
            some = np.random.default_rng(0).permutation(len(case.t))[:256]
            reached = min(reached, trial.loss(tuple(a[some] for a in trial.x), trial.t[some]))
        finding.evidence += (f"; so changed, {steps} steps end with a loss of {reached:.3g}, not "
                             f"{last:.3g}")
        return reached < 0.8 * last

    def overfits(self, history):
        """The finding that samples were learned by heart, or None."""
        val, loss = history.epochs.get("val_loss"), history["loss"]
        if val is None or self.val is None or self.train is None:
            return None
        low, end = int(np.argmin(val)), float(np.median(val[-3:]))
        if by_heart(self.train - self.val, end / max(val[low], 1e-12), loss[-1] / end):
            return Finding("overfitting", "val_loss", f"{val[low]:.4g} in epoch {low + 1}, "
                           f"{val[-1]:.4g} at the end, where the training loss is {loss[-1]:.4g}; "
                           f"{self.train:.3f} in training, {self.val:.3f} in validation",
                           "more data, augment=, weight_decay=, Dropout, a smaller model, or stop "
                           f"after epoch {low + 1}")
        return None

    def reached(self, steps, seconds=2.5, **changes):
        """The loss of a copy trained from the same start with something changed."""
        trial = self.case.trial(**changes)
        trial.run(int(steps), seconds)
        return trial.loss(*self.case.sample())

    def starts_high(self):
        """Whether the first loss is far above that of a guess."""
        kind, _ = targets.loss_of(self.trainer.model)
        if kind == "distance":
            guess = 0.5 * float(np.square(self.case.t, dtype=float).sum()) / len(self.case.t)
        else:
            guess = math.log(max(2, len(np.unique(self.task.labels)))) if (
                self.task.labels is not None) else math.inf
        return self.rates is not None and not self.rates.start < 3 * guess

    def of_dropout(self, from_p, factor):
        """Whether much dropout kept the loss up."""
        case, last = self.case, self.trained_loss()
        total = case.epochs * case.steps_per_epoch
        drops = [layer.p for layer in walk(case.origin[0]) if getattr(layer, "p", 0.0)
                 and "rng" in getattr(layer, "buffers", {}) and layer.p >= from_p]
        if drops:
            without = self.reached(min(total, 1500), prepare=no_dropout)
            if without < factor * last:
                yield Finding("dropout-too-high", f"Dropout(p={max(drops)})", f"without it "
                              f"{min(total, 1500)} steps end with a loss of {without:.4g}, not "
                              f"{last:.4g}", "p=0.2 to 0.5", factor < 0.8)

    def of_freezing(self):
        """Whether the layers that freeze= holds would have to learn."""
        frozen, last = self.case.options.get("freeze"), self.trained_loss()
        if frozen:
            steps = min(self.case.epochs * self.case.steps_per_epoch, 1500)
            loss = self.reached(steps)
            if loss < 0.7 * last:
                yield Finding("frozen", f"freeze={frozen}", f"if all layers learn, {steps} steps "
                              f"end with a loss of {loss:.4g}, not {last:.4g}",
                              "freeze only layers whose weights come from another training", True)

    def of_batches(self):
        """Whether batches of 32 would have helped."""
        case, last = self.case, self.trained_loss()
        total = case.epochs * case.steps_per_epoch
        N, B = len(case.t), case.batch_size
        if case.function is None and (B > max(64, N / 4) or B <= 2) and N >= 60:
            steps = min(case.epochs * -(-N // 32), 2000)
            loss = self.reached(steps, batch_size=32)
            if loss < 0.75 * last:
                yield Finding("batch-size", f"batch_size={B}", f"{total} steps; with batches of 32 "
                              f"and as many epochs the loss is {loss:.4g}, not {last:.4g}",
                              "batch_size=32")

    def of_time_and_size(self, history):
        """Whether the training ended too early, or the model cannot hold what there is to learn."""
        case, last, loss = self.case, self.trained_loss(), history["loss"]
        total = case.epochs * case.steps_per_epoch
        fell = (loss[-2] - loss[-1]) / loss[-2] if len(loss) > 1 else 1.0
        more = self.reached(min(10 * total, 4000))
        held = self.memorized()
        if held > 0.1 and more > 0.1 * self.rates.start:
            yield Finding("too-small-model", "the model", f"{narrowest(case.origin[0])} of one "
                          f"batch of 32 samples it learns no more than to a loss of {held:.0%} of "
                          f"the first, in 400 steps; {self.measured['right, or R²']}",
                          "wider or more hidden layers")
        elif more < 0.8 * last and (fell > 0.06 or len(loss) <= 5 or self.poor()):
            yield Finding("too-few-epochs", f"epochs={case.epochs}", f"the loss is {last:.4g} and "
                          f"still falls; ten times the steps lead to {more:.4g}", "more epochs")
        elif self.poor() and self.rates is not None:
            best = self.rates.best
            low = best > (self.rates.current or best)
            yield Finding(f"learning-rate-too-{'low' if low else 'high'}", "optimizer.lr",
                          f"{repr(self.rates)}; this training ends at {last:.4g}",
                          f"about {best / 3:.1g}")

    def progress(self):
        """How far the result is on the way from chance to a simple method's, if one is better."""
        base, score = self.baseline, self.train if self.val is None else self.val
        simple = base.held_out if base.validation is None else base.validation
        if score is None:
            return 0.0 if self.could_be_better() else 1.0
        if simple is None and len(self.case.t) < 40 and self.could_be_better():
            return 0.0
        simple = max(simple or 0.0, 0.5 * (1 + base.chance))
        return (score - base.chance) / (simple - base.chance)

    def poor(self):
        return self.progress() < 0.5

    def memorized(self):
        """Which share of the loss is left after 400 steps on one small batch, at the best rate."""
        x, t = self.case.sample(32)
        shares = []
        best = self.rates.best / self.rates.current if self.rates.current else 1.0
        for rate in (1.0, best, 10.0):
            trial = self.case.trial(rate=rate, x=x, t=t, batch_size=len(t), prepare=no_dropout)
            first = trial.loss(x, t)
            trial.run(400, 0.7)
            shares.append(trial.loss(x, t) / first if first > 0 else 0.0)
        return min(shares)

    def report(self, healthy=False):
        findings = [f for f in self.findings if f.certain or not healthy]
        return Report(type(self.trainer.model).__name__, findings, self.measured)


def by_heart(gap, rise, ratio):
    """Whether a model has learned samples instead of what they have in common: ``gap``, how much
    better it is in training; ``rise`` of the validation loss from its lowest; ``ratio``, the
    training loss by the validation loss."""
    return gap > 0.05 and (
        ratio < 0.5 and rise > 1.5 or ratio < 0.7 and (gap > 0.3 or gap > 0.1 and rise > 1.15)
        or ratio < 0.25 and gap > 0.2 or ratio < 0.05 and gap > 0.15)


def resized(y, t):
    """Outputs of some samples, in a shape as if there were as many as targets."""
    return np.broadcast_to(y[:1], (len(t), *y.shape[1:]))


def part(task, case):
    """The task of the sample that ``case.sample(128)`` gives."""
    few = copy.copy(task)
    if task.labels is not None:
        few.labels = task.labels[np.random.default_rng(0).permutation(len(case.t))[:128]]
    return few


def of_schedule(plan):
    """A learning rate that is next to nothing for most of the training."""
    if plan[0] is not None and max(plan) > 0:
        gone = sum(lr < 1e-4 * max(plan) for lr in plan) / len(plan)
        if gone > 0.7:
            yield Finding("learning-rate-too-low", "optimizer.lr", f"it falls from {max(plan):.3g} "
                          f"to {plan[-1]:.3g}: for {gone:.0%} of the steps it is next to nothing",
                          "a schedule that falls over the whole training, such as cosine_decay")


def rate_of(optimizer, step):
    lr = getattr(optimizer, "lr", None)
    return float(lr(step)) if callable(lr) else lr


def update_ratio(trial):
    """The size of an update by that of the weights, over a few steps."""
    before = [p.copy() for p in trial.model.params]
    trial.run(5, 0.5)
    moved = sum(float(np.square(p - q, dtype=float).sum())
                for p, q in zip(trial.model.params, before))
    size = sum(float(np.square(q, dtype=float).sum()) for q in before)
    return math.sqrt(moved / size) / max(1, len(trial.losses)) if size else 0.0


def drawn_anew(model):
    """Draw all weights again with fan_in · Var(W) = 1.5, and biases of 0."""
    rng = np.random.default_rng(0)
    for p in model.params:
        if p.ndim > 1:
            p[...] = np.sqrt(1.5 / signals.variance_gain(np.ones_like(p))) * rng.standard_normal(
                p.shape)


def no_dropout(model):
    for layer in walk(model):
        if getattr(layer, "p", None) and "rng" in getattr(layer, "buffers", {}):
            layer.p = 0.0


def narrowest(model):
    """Which layer of weights is the narrowest, in words."""
    widths = [p.shape[1] if p.ndim == 2 else p.shape[0] for p in model.params if p.ndim > 1][:-1]
    return f"its narrowest hidden layer has {min(widths)} units;" if widths else "no hidden layer;"
