"""What is said where no mistake is found, and what the inputs of a check cannot tell. ``check`` is
the Check that ran."""
import contextlib

import numpy as np

from .conduct import finding
from .copying import places
from .evidence import close, measure
from .styles import innermost, read
from .subject import Subject, called, each_float, grads_of, is_float


def no_mistake(check, m):
    """Right; is there anything that a reader of the verdict should know?"""
    # What is within the rounding of the sums that it stands for counts as zero, backward's too.
    if not any(max(np.nanmax(np.abs(a), initial=0) for a in (e.G, e.A)) > 10 * e.noise
               for e in m.targets):
        whole = [integers(check, i) for i in range(len(check.given))]
        words = ("every gradient is zero but for rounding, backward's and the numerical ones"
                 if m.targets else "there is no float input and no parameter")
        check.findings.append(finding("uninformative", m.targets[0].where if m.targets else "x",
                                      words))
        check.findings[-1].hint += next(filter(None, whole), None) or advice(check)
    else:
        words = ("the differences to the left and to the right disagree, exactly where backward "
                 "and numbers do; a small step beside these inputs all is right")
        check.findings += [finding("kink", where, words) for where in check.kinks]
    if (check.rough is not None or coarse(check.subject)
        and any(np.nanmax(np.abs(e.G), initial=0) > 10 * e.noise for e in m.targets)):
        words = ("inside, the layer rounds to float32: it does not feel a change in the ninth "
                 "digit, and with larger steps backward and numbers agree")
        check.findings.append(finding("precision", m.targets[0].where, words))
    else:
        precision(check, m)


def precision(check, m):
    """Does the layer agree with the numbers in its own dtype, too?"""
    try:
        own = Subject(check.layer, check.given, check.call, cast=False)
        dtypes = {a.dtype for a in (*own.inputs, *own.params) if is_float(a)}
        if dtypes <= {np.dtype(np.float64)}:
            return
        y, lowest = own.output(), sorted(map(str, dtypes))[0]
        if (off := np.abs(y - m.y).max()) > 1e-2 * np.abs(m.y).max():
            words = f"in {lowest} the output is off by {off:.3g}; in float64 backward and numbers agree"
            check.findings.append(finding("precision", "x", words))
            return
        low, high = (subject.gradients(m.draw(12)) for subject in (own, m.subject))
    except Exception:
        return
    for e in m.targets:
        a, b = low.of(e), high.of(e)
        if (a is not None and b is not None and a.shape == b.shape and np.any(b)
            and not close(a, b, 1e-2)):
            words = (f"in {lowest} it is off by {np.abs(a - b).max():.3g}, in float64 it is right to "
                     f"{m.tolerance:g}")
            check.findings.append(finding("precision", e.where, words))


def remarks(check, m):
    """What these inputs cannot tell, and what was not looked at."""
    check.notes += [note[2:] for i in range(len(check.given)) if m.targets
                    and (note := integers(check, i, m))]
    x = next((x for x in m.subject.inputs if isinstance(x, np.ndarray) and x.ndim), None)
    samples = len(x) if x is not None and x.ndim > 1 else None
    square = [e.where for e in m.targets
              if e.param and e.value.ndim == 2 and e.value.shape[0] == e.value.shape[1]]
    as_long = square and x is not None and np.shape(x)[:1] == m.targets[-1].value.shape[:1]
    check.notes += [note for told, note in (
        (m.sampled, "large: a random choice of entries and of upstream gradients was checked, not "
         "all"),
        (samples == 1, "one sample only: a missing sum over the batch and a factor N cannot be "
         "seen; N >= 5 would show them"),
        (samples == 2, "two samples: factor-2 and scaled-by-N (factor-half and divided-by-N) look "
         "the same; N >= 5 tells them apart"),
    ) if told]
    check.notes.extend(contract(check, m))
    if as_long:
        check.notes.append(f"{', '.join(square)} square and as long as the batch: distinct prime "
                           "sizes show a wrong transpose by shape")


def contract(check, m):
    """What a model would trip over, though the numbers are right; and what was not looked at."""
    subject, raw = m.subject, m.backwards[0].raw
    if isinstance(raw, tuple) and len(raw) != max(len(subject.inputs), 2):
        yield (f"backward returned a tuple of {len(raw)} for {len(subject.inputs)} inputs: a model "
               "wants one array for one input")
    if not subject.takes_dout and not m.y.ndim:
        yield ("backward takes no argument: a model calls backward(1.0); write backward(self, "
               "dout=1.0)")
    if not type(innermost(check.layer)).__module__.startswith("chainrule.") and (
        names := list(outside_params(check.layer, subject))
    ):
        yield (f"the output depends on {', '.join(names)}, not in params: no gradient was checked "
               "there")


def outside_params(layer, subject):
    """Where a layer holds float arrays that matter to the output and are no parameters."""
    known = [a for a in (*(getattr(layer, "params", None) or ()), *grads_of(innermost(layer)))
             if isinstance(a, np.ndarray)]
    for path, text, mine in places(innermost(layer)):
        if not is_float(mine) or not mine.size or any(np.shares_memory(k, mine) for k in known):
            continue
        known.append(mine)
        y = subject.output()
        subject.restart()
        with contextlib.suppress(Exception):
            read(innermost(subject.work), path)[...] += 0.1 + 0.1 * np.abs(mine)
            moved = subject.output()
            if moved.shape != y.shape or not close(moved, y, 1e-9):
                yield text
        subject.restart()


def coarse(subject):
    """Whether the layer, given float64, computes in less: a change in the tenth digit of everything
    leaves the output as it is."""
    if subject.dtype != np.float64:
        return True
    rng = np.random.default_rng(14)
    moved = each_float(subject.inputs, lambda x: x * (1 + 1e-10 * rng.normal(size=x.shape)))
    y = subject.output()
    return (any(x is not m for x, m in zip(subject.inputs, moved)) and bool(np.any(y))
            and np.array_equal(subject.output(moved), y))


def integers(check, i, m=None):
    """What to say of an input of integers for which backward has a gradient all the same, or
    nothing."""
    x, raw = check.subject.inputs[i], m.backwards[0].inputs[i : i + 1] if m else [True]
    if not isinstance(x, np.ndarray) or x.dtype.kind not in "iu" or not raw or raw[0] is None:
        return ""
    name = called(i)
    return f"; {name} holds integers, by which no derivative is taken: pass {name}.astype(float)"


def advice(check):
    """Which inputs would tell."""
    rng = np.random.default_rng(13)
    for scale in (1.0, 3.0):
        subject = Subject(check.layer, check.given, check.call)
        subject.inputs = each_float(subject.inputs,
                                 lambda x, scale=scale: scale * rng.normal(size=x.shape))
        with contextlib.suppress(Exception):
            m = measure(subject, rng, units=False)
            if any(np.nanmax(np.abs(e.G), initial=0) > 10 * e.noise for e in m.targets):
                size = subject.inputs[0].shape
                return f"; inputs of both signs would, such as rng.normal(size={size})"
    return "; try inputs of both signs, and parameters that are not zero"
