"""What a training has led to, and what would have helped: one rule per function.

A rule takes the Outcome and yields findings. Most of them train a copy from the same start with one
thing changed: if that helps, it was the cause.
"""
import math
from functools import cached_property

import numpy as np

from ..common.layer import walk
from ..common.metrics import accuracy
from . import samples, scores, signals, targets
from .report import Finding
from .samples import Baseline, standardized
from .trial import sampled


class Outcome:
    """A training that has ended, beside what a simple method reaches on the same data.

    ``train``, ``val``: the share of right labels or R², None where neither applies; ``score``: that
    in validation, if there is any; ``simple``: that of nearest neighbours or a linear model;
    ``chance``: that of a guess.
    """

    def __init__(self, examination, trainer):
        self.case, self.task = examination.case, examination.task
        self.rates, self.lr = examination.rates, examination.lr
        self.model, self.history, self.has = trainer.model, trainer.history, examination.has
        self.curves = self.history.diagnose()
        self.base = base = Baseline(self.case, self.task)
        self.train, self.val = (scores.score(self.model, self.task, data) for data in
                                ((self.case.x, self.case.t), self.case.validation))
        self.score = self.train if self.val is None else self.val
        if self.score is not None:
            self.score = max(self.score, self.lately(trainer.metrics))
        self.simple = base.held_out if base.validation is None else base.validation
        self.chance = base.chance
        if self.task.kind == "several":
            self.chance = float(np.maximum(self.case.t.mean(0), 1 - self.case.t.mean(0)).mean())

    def lately(self, metrics):
        """The best accuracy in the last three epochs: the very last may be an outlier."""
        if self.task.kind == "values" or len(self.history) < 6:
            return -math.inf
        prefix = "" if self.val is None else "val_"
        return max((max(self.history[prefix + name][-3:]) for name, metric in metrics.items()
                    if metric is accuracy and prefix + name in self.history), default=-math.inf)

    @cached_property
    def measured(self):
        known = {"score": self.train, "validation": self.val, "simple method": self.base.held_out,
                 "on validation": self.base.validation, "chance": self.base.chance}
        return ", ".join(f"{k} {v:.3f}" for k, v in known.items() if v is not None)

    @cached_property
    def loss(self):
        """The loss on some samples of the training."""
        return self.loss_on(self.case.sample())

    @cached_property
    def judged(self):
        return self.loss_on(self.judges)

    @cached_property
    def judges(self):
        given = self.case.validation
        return self.case.sample() if given is None else sampled(512, *given)

    def loss_on(self, data):
        trial = self.case.trial()
        trial.model = self.model
        return trial.loss(*data)

    def anew(self, steps, seconds=2.5, **changes):
        """A copy trained from the same start, with something changed."""
        trial = self.case.trial(**changes)
        trial.run(steps, seconds)
        return trial

    @cached_property
    def rise(self):
        """The validation loss at the end by its lowest; 1 without one."""
        val = self.history.epochs.get("val_loss")
        return 1.0 if val is None else float(np.median(val[-3:])) / max(min(val), 1e-12)

    @cached_property
    def could_be_better(self):
        """Whether another learning rate leads further in a few steps."""
        return self.rates is not None and self.rates.losses.min() < 0.8 * self.loss

    @cached_property
    def progress(self):
        """How far the score is on the way from chance to a simple method's, if one is better."""
        if self.score is None or (self.simple is None and len(self.case.t) < 40
                                  and self.could_be_better):
            return 0.0 if self.could_be_better else 1.0
        simple = max(self.simple or 0.0, 0.5 * (1 + self.base.chance))
        return (self.score - self.base.chance) / (simple - self.base.chance)

    @cached_property
    def held(self):
        """Which share of the loss is left after 400 steps on one batch of different samples."""
        keys = samples.keys(self.case.sample(64)[0])
        first = [i for i, key in enumerate(keys) if key not in keys[:i]][:32]
        rows = np.random.default_rng(0).permutation(len(self.case.t))[:64][first]
        left = []
        for rate in (1.0, self.rates.factor, 10.0):
            trial = self.case.trial(rate=rate, rows=rows, batch_size=len(rows), accumulate=1,
                                    augment=None, prepare=no_dropout)
            before = trial.loss(trial.x, trial.t)
            trial.run(400, 0.7)
            left.append(trial.loss(trial.x, trial.t) / before if before > 0 else 0.0)
        return min(left)

    @cached_property
    def well(self):
        """Whether the result is as good as that of a simple method, and no guess."""
        score, simple, chance, loss = self.score, self.simple, self.chance, self.history["loss"]
        first = self.history.steps["loss"][0]
        if score is None:
            return loss[-1] < 0.6 * first and self.rise < 1.2 and not self.could_be_better
        if self.rates is not None and self.loss > self.rates.start:
            return False                                 # worse than before, however many are right
        if self.val is not None and score < 0.9 and self.by_heart:
            return False
        if simple is None and len(self.case.t) < 40 and self.could_be_better:
            return score > 0.95 and loss[-1] < 0.7 * self.rates.start
        if simple is not None and simple >= chance + 0.1 * (1 - chance):
            enough, judges = min(simple - 0.02, 0.97), self.case.validation or (self.case.t,)
            standard_error = math.sqrt(max(0.0, enough * (1 - enough)) / len(judges[-1]))
            return score > enough - standard_error
        if score > chance + 0.5 * (1 - chance):
            return True
        return (score > chance + 0.1 * (1 - chance) and self.train - score < 0.2
                and not self.could_be_better and not (self.rates and self.held > 0.1))

    @cached_property
    def by_heart(self):
        """Whether it is better in training, where the loss is far below the validation loss, or the
        validation loss has risen."""
        gap, rise = self.train - self.score, self.rise
        ratio = self.history["loss"][-1] / float(np.median(self.history["val_loss"][-3:]))
        return gap > 0.05 and (
            ratio < 0.5 and rise > 1.5 or ratio < 0.7 and (gap > 0.3 or gap > 0.1 and rise > 1.15)
            or ratio < 0.25 and gap > 0.2 or ratio < 0.05 and gap > 0.15)


def judge(outcome, found):
    """The findings on a training, with those ``found`` before it that turn out to matter; and
    whether it went well."""
    for f in outcome.curves.findings:
        f.certain = f.code == "non-finite"
    found = [*found, *unbalanced(outcome), *mismatched(outcome), *unmoved(outcome),
             *(f for f in outcome.curves.findings if f.certain)]
    if outcome.well:
        for f in found:
            f.certain |= f.code == "inputs-not-scaled" and starts_high(outcome) and confirmed(
                outcome, f, found)
        return [*found, *dropped(outcome, 0.8, 0.5)], True
    found = [f for f in found if f.certain or confirmed(outcome, f, found)]
    found += [*overfits(outcome), *dropped(outcome, 0.6, 0.8), *batch_size(outcome),
              *kept_frozen(outcome)]
    if not {f.code for f in found} & {"learning-rate-too-high", "learning-rate-too-low",
                                      "non-finite"}:
        found += [f for f in outcome.curves.findings if f.code == "learning-rate-too-high"]
    early, progress = len(outcome.history) <= 3, outcome.progress
    if unexplained(found) and progress < (0.95 if early else 0.85):
        found += too_small(outcome)
    if not found:
        late = signals.Signals(outcome.model, *outcome.case.sample(128))
        found += signals.flat_units(late, "after training")
    if unexplained(found) and progress < (0.95 if early else 0.75):
        found += unfinished(outcome)
    return found, False


def unexplained(found):
    """Whether no finding says why a training ended badly for all classes."""
    return all(f.code == "imbalanced-classes" for f in found)


def unbalanced(outcome):
    """Rare classes that the model does not know."""
    labels = outcome.task.labels
    if labels is None or labels.ndim > 1:
        return
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) > 20 or counts.min() * len(classes) > 0.45 * len(labels):
        return
    case = outcome.case
    recall = scores.recalls(outcome.model, outcome.task, case.validation or (case.x, case.t))
    rare, most = int(classes[counts.argmin()]), int(classes[counts.argmax()])
    if rare in recall and recall[rare] < 0.6 and recall.get(most, 0.0) > recall[rare] + 0.3:
        yield Finding("imbalanced-classes", f"class {rare}", f"{counts.min()} of {len(labels)} "
                      f"samples are of it; {recall[rare]:.0%} of it are recognised, "
                      f"{recall[most]:.0%} of class {most}",
                      "class_weight, more samples of it, and a metric such as f1", True)


def mismatched(outcome):
    """Labels that do not depend on the inputs, or other labels in validation."""
    base, score = outcome.base, outcome.score
    if base.held_out is None or len(outcome.case.t) < 80 or score is None:
        return
    free = 0.12 * (1 - base.chance)
    if base.held_out > base.chance + 3 * free and base.validation is not None and (
            base.validation < base.chance + free) and score < base.chance + free:
        if not outcome.has("inputs-not-scaled", "not-shuffled"):
            yield Finding("labels-mismatch", "validation t", f"nearest neighbours are right in "
                          f"{base.held_out:.2f} of the training samples, {base.validation:.2f} "
                          "of the validation samples", "compare some samples with their labels",
                          True)
    elif base.chance < 0.9 and base.held_out < base.chance + free and (
            score < base.chance + 2 * free):              # of rare classes accuracy tells nothing
        yield Finding("labels-mismatch", "t", "neither nearest neighbours nor a linear model "
                      f"predict t from x: {base.held_out:.3f}, chance is {base.chance:.3f}",
                      "was x shuffled or sorted without t? look at some pairs")


def unmoved(outcome):
    """Parameters that the whole training left as they were."""
    same = [np.array_equal(p, q) for p, q in zip(outcome.case.origin[0].params,
                                                 outcome.model.params) if p.size > 1]
    if same and all(same) and not outcome.has("bad-initialisation", "dead-units") and (
            outcome.lr is None or outcome.lr > 1e-9):
        yield Finding("frozen", "the model", "no weight has changed", "is the optimizer given "
                      "the model's lists, is everything in freeze=?", True)


def confirmed(outcome, finding, found):
    """Whether an unusual measurement matters: correcting it must help."""
    case = outcome.case
    if finding.code == "inputs-not-scaled":
        changes = {"x": samples.standard_inputs(case.x)}
        if any(f.code == finding.code and f.where == "t" for f in found):
            changes |= {"t": standardized(case.t), "unit": float(case.t.var()) or 1.0}
        return helps(outcome, finding, **changes)
    if finding.code == "bad-initialisation":
        return helps(outcome, finding, prepare=drawn_anew)
    if finding.where.startswith("optimizer.lr =") and outcome.lr:
        steps, best = min(case.steps, 1500), outcome.rates.factor
        return any(outcome.anew(steps, rate=rate).loss(*case.sample()) < 0.8 * outcome.loss
                   for rate in (best, best / 3))
    return True


def helps(outcome, finding, unit=1.0, **changes):
    """Whether a change leads to a clearly lower loss, at this rate or a tenth of it: in training,
    or in validation compared with the best epoch."""
    case, val = outcome.case, outcome.history.epochs.get("val_loss")
    steps = min(400, case.steps)
    last, reached, judged = outcome.loss / unit, math.inf, math.inf
    for rate in (1.0, 0.1):
        trial = outcome.anew(steps, 1.0, rate=rate, **changes)
        reached = min(reached, trial.loss(*sampled(256, trial.x, trial.t)))
        if val is not None and "prepare" in changes:
            judged = min(judged, trial.loss(*outcome.judges))
    finding.evidence += (f"; so changed, {steps} steps end with a loss of {reached:.3g}, not "
                         f"{last:.3g}")
    if reached >= 0.8 * last and judged < 0.5 * min(val or [0.0]):
        finding.evidence += f" (in validation {judged:.3g}, not {min(val):.3g})"
        return True
    return reached < 0.8 * last


def starts_high(outcome):
    """Whether the first loss is far above that of a guess."""
    t, labels = outcome.case.t, outcome.task.labels
    if targets.loss_of(outcome.model)[0] == "distance":
        guess = 0.5 * float(np.square(t, dtype=float).sum()) / len(t)
    else:
        guess = math.inf if labels is None else math.log(max(2, len(np.unique(labels))))
    return outcome.rates is not None and not outcome.rates.start < 3 * guess


def overfits(outcome):
    """A model that has memorised its samples."""
    val = outcome.history.epochs.get("val_loss")
    if val is not None and outcome.val is not None and outcome.by_heart:
        low = int(np.argmin(val))
        yield Finding("overfitting", "val_loss", f"{val[low]:.4g} in epoch {low + 1}, "
                      f"{val[-1]:.4g} at the end, where the training loss is "
                      f"{outcome.history['loss'][-1]:.4g}; {outcome.train:.3f} in training, "
                      f"{outcome.val:.3f} in validation", "more data, augment=, weight_decay=, "
                      f"Dropout, a smaller model, or stop after epoch {low + 1}")


def dropped(outcome, from_p, factor):
    """Much dropout, without which the loss would be lower."""
    case, last = outcome.case, outcome.loss
    drops = [layer.p for layer in walk(case.origin[0]) if drops_units(layer) and layer.p >= from_p]
    if drops:
        steps = min(case.steps, 1500)
        without = outcome.anew(steps, prepare=no_dropout).loss(*case.sample())
        if without < factor * last:
            yield Finding("dropout-too-high", f"Dropout(p={max(drops)})", f"without it {steps} "
                          f"steps end with a loss of {without:.4g}, not {last:.4g}",
                          "p=0.2 to 0.5", factor < 0.8)


def batch_size(outcome):
    """Batches of unusual size, where those of 32 lead further in as many epochs."""
    case, last = outcome.case, outcome.loss
    N, B = len(case.t), case.batch_size
    if case.function is None and (B > max(64, N / 4) or B <= 2) and N >= 60:
        steps = min(case.epochs * -(-N // 32), 2000)
        loss = outcome.anew(steps, batch_size=32).loss(*case.sample())
        if loss < 0.75 * last:
            yield Finding("batch-size", f"batch_size={B}", f"{case.steps} steps; with batches of "
                          f"32 and as many epochs the loss is {loss:.4g}, not {last:.4g}",
                          "batch_size=32")


def kept_frozen(outcome):
    """Layers in freeze= that would have to learn."""
    case, frozen = outcome.case, outcome.case.options.get("freeze")
    if frozen:
        steps = min(case.steps, 1500)
        loss = outcome.anew(steps, freeze=()).loss(*case.sample())
        if loss < 0.7 * outcome.loss:
            yield Finding("frozen", f"freeze={frozen}", f"if all layers learn, {steps} steps end "
                          f"with a loss of {loss:.4g}, not {outcome.loss:.4g}",
                          "freeze only layers whose weights come from another training", True)


def too_small(outcome):
    """A model that cannot hold even one batch."""
    if outcome.rates is None or outcome.held <= 0.1:
        return
    more = outcome.anew(min(10 * outcome.case.steps, 4000)).loss(*outcome.case.sample())
    if more > 0.1 * outcome.rates.start:
        yield Finding("too-small-model", "the model", f"{narrowest(outcome.case.origin[0])} of one "
                      f"batch of 32 samples it learns no more than to a loss of "
                      f"{outcome.held:.0%} of the first, in 400 steps; {outcome.measured}",
                      "wider or more hidden layers")


def unfinished(outcome):
    """A training that ended too early, or whose learning rate is far from the best."""
    case, last, loss = outcome.case, outcome.judged, outcome.history["loss"]
    fell = (loss[-2] - loss[-1]) / loss[-2] if len(loss) > 1 else 1.0
    poor = outcome.progress < 0.5
    if fell > 0.06 or len(loss) <= 5 or poor:
        longer = outcome.anew(min(10 * case.steps, 4000))
        more, trained = longer.loss(*outcome.judges), longer.loss(*case.sample())
        if more < 0.8 * last or trained < 0.8 * outcome.loss and more < 0.95 * last:
            yield Finding("too-few-epochs", f"epochs={case.epochs}", f"the loss is {last:.4g} and "
                          f"still falls; ten times the steps lead to {more:.4g}", "more epochs")
            return
    if poor and outcome.rates is not None:
        factor, best = outcome.rates.factor, outcome.rates.best
        reached = outcome.anew(min(case.steps, 1500), rate=factor).loss(*outcome.judges)
        if reached < 0.8 * last:
            yield Finding(f"learning-rate-too-{'low' if factor > 1 else 'high'}", "optimizer.lr",
                          f"{outcome.rates!r}; with {best:.2g} the training ends at {reached:.4g}, "
                          f"not {last:.4g}", f"about {best / 3:.1g}")


def drops_units(layer):
    return bool(getattr(layer, "p", None)) and "rng" in getattr(layer, "buffers", {})


def no_dropout(model):
    for layer in walk(model):
        if drops_units(layer):
            layer.p = 0.0


def drawn_anew(model):
    """Draw all weights again with fan_in · Var(W) = 1.5."""
    rng = np.random.default_rng(0)
    for p in model.params:
        if p.ndim > 1:
            fan_in = signals.variance_gain(np.ones_like(p))
            p[...] = np.sqrt(1.5 / fan_in) * rng.standard_normal(p.shape)


def narrowest(model):
    widths = [p.shape[1] if p.ndim == 2 else p.shape[0] for p in model.params if p.ndim > 1][:-1]
    return f"its narrowest hidden layer has {min(widths)} units;" if widths else "no hidden layer;"
