"""The gradient check: hand-written backward against numerical derivatives, with a verdict in
words."""
import contextlib
import linecache
import os
import re
import threading
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..common import checks
from ..common.rng import generator
from ..common.types import Seed
from . import conduct, inplace, pytorch, watching
from .bounded import TimeUp, Watchdog
from .conduct import finding
from .diagnosis import diagnose
from .evidence import FULL, TOLERANCE, arrays_of, close, measure
from .remarks import coarse, no_mistake, remarks
from .repair import search
from .report import GradientReport
from .rules import ORDER
from .source import users
from .styles import adapted, innermost, name_of
from .subject import NoOutput, Subject, called, cut, each_float, leaves

MODEL = "a model of several layers: locate(model, ...) names the one that is wrong"
alone = threading.RLock()
if hasattr(os, "register_at_fork"):  # no child in the midst of a change
    os.register_at_fork(before=alone.acquire, after_in_parent=alone.release,
                        after_in_child=alone.release)
LIMIT = 5.0  # seconds for one forward or backward
# what NumPy says when a gradient does not fit, and which mistake it is
MESSAGES = [
    ("mismatch in its core dimension|not aligned|matmul", "missing-transpose"),
    ("cannot reshape", "wrong-reshape"),
    ("could not broadcast input|non-broadcastable output|output parameter|output array",
     "missing-batch-sum"),
]


def check_gradients(layer: Any, *inputs: Any, gradient: Callable[..., Any] | None = None,
                    rng: Seed = None, tolerance: float = TOLERANCE) -> GradientReport:
    """Compare a layer's hand-written backward with numerical derivatives, and say which mistake it
    makes.

    ``layer`` is any object with ``forward(*inputs)`` and ``backward(dout)``, and, if it has
    parameters, ``params`` and ``grads``: a layer, a loss, a whole model. Or a function f, with
    ``gradient``: a function of the same inputs that gives the gradient of a scalar f, the
    derivative f'(x) of an elementwise one, or, if it takes one argument more, ``gradient(*inputs,
    dout)``. ``rng``: a Generator, a seed or None; draws the upstream gradients. ``tolerance``: how
    far a gradient may be off, relative to its largest entry.

    Other styles are known by their names: ``params`` and ``grads`` as dicts; arrays ``W`` and
    ``dW`` without lists; ``forward -> (out, cache)`` with ``backward(dout, cache)``, as a class or
    as a pair ``check_gradients((affine_forward, affine_backward), x, w, b)``, also with several
    outputs before the cache, each with its dout (an LSTM's step); parameters and gradients that lie
    anywhere in the layer under names that belong together (``W.value`` and ``W.grad``,
    ``weights[0]`` and ``dweights[0]``), or that backward returns as dx, dW, db; a net's ``loss(x, y)
    -> (loss, grads)`` or such a function, ``check_gradients(softmax_loss, x, y)``; ``backward(dout,
    learning_rate)`` that makes the step; a class ``torch.autograd.Function`` and a
    ``torch.nn.Module``. Inputs that are dicts, words or flags are passed on as they are.

    Checked is d(Σ dout · y) for random dout (never ones: a sum over a softmax is constant, and a
    backward that gives zeros would pass), by every float input and every parameter, in float64, on
    a copy: the layer and the inputs stay as they are. Integer inputs need no gradient, nor do the
    targets of a loss. A backward is linear in dout. Returns a GradientReport, which is true if all
    is right, so that

        assert check_gradients(MyAffine(W, b), x)

    is a whole test. Exceptions, wrong shapes and endless loops are findings, never raised. Raises
    TypeError for what is no layer and for inputs that are masked or no real numbers, ValueError for
    an empty input and for a tolerance that is not positive.

    >>> class Affine:
    ...     def __init__(self, W, b):
    ...         self.params, self.grads = [W, b], [np.zeros_like(W), np.zeros_like(b)]
    ...     def forward(self, x):
    ...         self.x = x
    ...         return x @ self.params[0] + self.params[1]
    ...     def backward(self, dout):
    ...         self.grads[0][...] = self.x.T @ dout
    ...         self.grads[1][...] = dout.mean(axis=0)
    ...         return dout @ self.params[0].T
    >>> rng = np.random.default_rng(0)
    >>> layer, x = Affine(rng.normal(size=(3, 4)), np.zeros(4)), rng.normal(size=(7, 3))
    >>> report = check_gradients(layer, x, rng=0)
    >>> report.ok, report.findings[0].code, report.findings[0].where
    (False, 'divided-by-N', 'params[1]')
    """
    name, rng = name_of(layer), generator("check_gradients", rng)
    checks.number("check_gradients", "tolerance", tolerance, np.finfo(float).tiny,
                  expected="be positive")
    with quiet(), Watchdog(LIMIT) as watchdog:
        try:
            layer, inputs = watchdog.call(taken, layer, gradient, inputs)
            return Check(name, layer, inputs, watchdog.call, rng, tolerance).run()
        except TimeUp as e:
            return GradientReport(name, [finding("unrecognised", "x",
                                                 f"a call {e}: an endless loop?")])


def taken(layer, gradient, inputs):
    """The layer and its inputs in our style, whoever's it is."""
    if (found := pytorch.adapted(layer)) is not None:
        return found, tuple(map(pytorch.array, inputs))
    for i, x in enumerate(inputs):
        name, a = called(i), checks.as_array(x)
        checks.unmasked("check_gradients", name, x)
        if a.ndim and a.dtype.kind in "cO":
            raise TypeError(checks.wrong("check_gradients", name, "be an array of numbers",
                                         checks.kind_text(x, a), checks.cast_hint(name, x, a)))
        if a.ndim and not a.size:
            raise ValueError(checks.wrong("check_gradients", name, "not be empty",
                                          f"shape {a.shape}"))
    return adapted(layer, gradient, inputs)


@contextlib.contextmanager
def quiet():
    """No floating-point warnings, and NumPy's global generator as it was; in one thread at a time,
    since changes are tried in the code of the class itself."""
    with alone:
        state = np.random.get_state()  # noqa: NPY002
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            np.random.set_state(state)  # noqa: NPY002


class Check:
    """One run of the checker."""

    def __init__(self, name, layer, inputs, call, rng, tolerance):
        self.name, self.layer, self.given, self.call, self.rng = name, layer, inputs, call, rng
        self.tolerance = tolerance
        self.findings, self.notes = [], []

    def run(self):
        try:
            self.subject = self.subject_of(self.layer, self.given)
            y = self.subject.output()
        except NoOutput as e:
            return self.report([finding("unrecognised", "x", str(e))])
        except Exception as e:
            refused = finding("unrecognised", "x", f"forward raised {error_text(e)}")
            refused.hint = ("forward does not take these inputs, so backward was not checked: "
                            "pass others (see example_inputs)")
            return self.report([refused])
        if not self.subject.has_backward:
            return self.report([finding("not-returned", "x", "there is no backward")])
        if not np.isfinite(y).all():
            return self.report([finding("unrecognised", "x",
                                        "forward gives NaN or infinity at these inputs")])
        try:
            if not self.repeatable(y):
                return self.report()
            m = self.measured()
        except TimeUp:
            raise
        except Exception as e:
            return self.report([finding("unrecognised", "x", f"raised {error_text(e)}")])
        self.conduct(m)
        self.mistakes(m)
        if not self.findings:
            no_mistake(self, m)
        remarks(self, m)
        if self.findings and len(leaves(innermost(self.layer))) > 1:
            self.notes.append(MODEL)
        return self.report(checked=[e.where for e in m.targets])

    def subject_of(self, layer, inputs, kind=Subject):
        subject = kind(layer, inputs, self.call)
        subject.tolerance = self.tolerance
        if hasattr(self, "subject"):
            subject.fresh_each_time = self.subject.fresh_each_time
        return subject

    def report(self, findings=(), checked=()):
        self.findings += findings

        # a parameter that changes under way spoils everything else
        def order(f):
            return (-1 if f.code == "mutates-input" and f.where.startswith("params")
                    else ORDER.index(f.code))

        self.findings.sort(key=lambda f: (order(f), f.line is None))
        return GradientReport(self.name, self.findings, self.notes, checked)

    def repeatable(self, y):
        """Two forwards agree; if not, go on with fresh copies and a fixed global seed, if that
        helps."""
        subject = self.subject
        again = subject.output()
        if y.shape == again.shape and close(again, y, 1e-12):
            return True
        apart = "of two shapes"
        if y.shape == again.shape:
            apart = f"{np.abs(y - again).max():.3g} apart"
        words = f"two forwards with the same input gave two outputs, {apart}"
        self.findings.append(watching.told(subject, finding("nondeterministic", "x", words),
                                           watching.apart))
        subject.fresh_each_time = True
        return np.array_equal(subject.output(), subject.output())

    def measured(self):
        """Measure at the given inputs or, where the function has kinks that matter, a small step
        beside them."""
        m = measure(self.subject, self.rng)
        self.kinks, self.rough = [], None
        if m.right or m.error is not None:
            return m
        m = self.apart(m)
        if m.right:
            return m
        # right but for a ten-thousandth: a bend of the function here, or a mistake
        if (all(e.shaped and close(e.A, e.G, 1e-4) for e in m.targets) and not m.missing
            and m.error is None):
            beside = self.beside(1e-2, False, 11)
            if beside is not None and beside.right:
                self.subject = beside.subject
                return beside
        if m.sampled:
            m = self.beside_kinks(m)
            if m.right:
                return m
            if (small := self.smaller()) and not (small := self.beside_kinks(small)).right:
                self.notes.append("a mistake of a large layer: diagnosed on a part of the inputs")
                return small
            self.subject = m.subject
        if coarse(self.subject):
            rough = measure(self.subject, self.rng, units=False, eps=3e-3)
            if all(e.shaped and close(e.A, e.G, 3e-2, 1e-5) for e in rough.targets):
                self.rough = rough
                return rough
        return self.beside_kinks(m)

    def apart(self, m):
        """The measurement with arrays of its own for each inner layer, if that makes a difference;
        else the same."""

        def make(kind):
            return self.subject_of(self.layer, self.given, kind)

        for look in (inplace.apart, inplace.used_twice):
            found = None
            with contextlib.suppress(Exception):
                found = look(m, self.rng, make)
            if found is not None:
                m, findings = found
                self.findings += findings
                m.subject.changed |= self.subject.changed
                self.subject = m.subject
                break
        return m

    def beside_kinks(self, m):
        """The measurement a small step beside these inputs, if some of what is wrong is so at
        kinks; else the same."""
        self.kinks = at_kinks(m)
        if not self.kinks:
            return m
        tries = ((1e-3, False), (1e-2, False), (1e-3, True), (0.1, False), (0.1, True),
                 (1e-2, False), (1e-3, False))
        # other steps each time: values may come near each other
        for seed, (size, outwards) in enumerate(tries, 11):
            beside = self.beside(size, outwards, seed)
            if beside is not None and not at_kinks(beside):
                self.subject = beside.subject
                return beside
        return m

    def smaller(self):
        """The measurement of the same layer on a part of its inputs that is small enough to be
        measured in full and wrong, too."""
        for samples, width in ((5, 7), (5, None), (5, 5), (3, 7), (3, 5), (5, 8), (3, 6), (4, 4)):
            batch = len(self.subject.inputs[0]) if np.ndim(self.subject.inputs[0]) else 0
            with contextlib.suppress(Exception):
                subject = self.subject_of(self.layer, cut(self.given, batch, samples, width))
                entries = sum(a.size for *_, a in arrays_of(subject))
                if entries * subject.output().size > FULL:
                    continue
                m = measure(subject, self.rng)
                if not m.sampled and m.error is None and not m.right:
                    self.subject = subject
                    return m
        return None

    def beside(self, size, outwards, seed):
        """The same measurement at inputs and parameters moved by a random step of relative length
        ``size`` (``outwards``: away from zero)."""
        subject = self.subject_of(self.layer, self.subject.inputs)
        scalar = self.subject.output().ndim == 0
        rng = np.random.default_rng(seed)

        def moved(a):
            step = size * rng.uniform(0.5, 1, a.shape) * np.maximum(np.abs(a), 0.05)
            return a + step * (np.where(a < 0, -1, 1) if outwards else rng.choice((-1, 1), a.shape))

        first = 1 if scalar else len(subject.inputs)
        subject.inputs = each_float(subject.inputs[:first], moved) + subject.inputs[first:]
        for p in list(getattr(subject.pristine, "params", None) or ()):
            p[...] = moved(p)
        subject.restart()
        try:
            return measure(subject, self.rng)
        except Exception:
            return None

    def conduct(self, m):
        """Findings about the object."""
        for where in sorted(self.subject.changed):
            words = f"{where} is not what it was after a call"
            self.findings.append(watching.told(self.subject, finding("mutates-input", where, words),
                                               watching.changing, where, m.douts[0]))
        if m.error is not None:
            return
        for look in (conduct.upstream, conduct.growing, conduct.history, conduct.rebound):
            if not (self.subject.fresh_each_time and look in (conduct.growing, conduct.history)):
                with contextlib.suppress(Exception):
                    known = {f.code for f in self.findings} & {"mutates-cache", "stale-cache"}
                    found = list(look(m))
                    self.findings += [f for f in found if f.code != "mutates-cache" or not known]
        self.subject.restart()

    def mistakes(self, m):
        for where, G, param in m.missing:
            code = "not-written" if param else "not-returned"
            words = f"no gradient; numerically its largest entry is {np.nanmax(np.abs(G)):.4g}"
            look = (watching.computing, G) if param else (watching.returning,)
            self.findings.append(watching.told(self.subject, finding(code, where, words), *look,
                                               m.douts[0]))
        if m.error is not None:
            self.findings += raised(m)
            return
        deaf = [f for f in self.findings if f.code == "ignores-upstream"]
        plain = m
        if m.y.ndim == 0 and deaf:
            with contextlib.suppress(Exception):
                m.repairs = search(m)
            # what else is wrong shows for dout = 1
            plain = measure(self.subject, self.rng, plain=True)
        if self.rough is None:
            self.findings += diagnose(plain, {f.code for f in self.findings})
        if plain.settled:  # then it is the same mistake
            self.findings = [f for f in self.findings if f.evidence != conduct.ANOTHER]
        for f in deaf:
            repair = m.repairs.get(f.where)
            if repair and repair.codes == [f.code]:
                f.line, f.text = repair.line


def at_kinks(m):
    """The arrays some of which is wrong at kinks."""
    return [e.where for e in m.targets if not e.right and e.shaped
            and np.any(e.kinked & e.wrong())]


def raised(m):
    """An exception in backward: a change of its text that mends it says which mistake it was, and
    often a message about shapes does."""
    text, place = f"backward raised {error_text(m.error)}", raising(m.error)
    with contextlib.suppress(Exception):
        m.repairs = search(m)
    if m.repairs:
        repair = next(iter(m.repairs.values()))
        if place:
            line = linecache.getline(place[0].co_filename, place[1]).strip()
            text += f", in line {place[1]}: `{line}`"
        for code in repair.codes:
            found = finding(code, "x", text)
            found.line, found.text = repair.line
            yield found
        return
    code = next((code for words, code in MESSAGES if re.search(words, text)), "unrecognised")
    yield watching.at(finding(code, "x", text), place)


def error_text(e):
    return f"{type(e).__name__}: {e}"


def raising(e):
    """(code, number) of the line of the user's own in which an exception arose, or None."""
    return next(((f.f_code, n) for f, n in reversed([*traceback.walk_tb(e.__traceback__)])
                 if users(f.f_code, f)), None)
