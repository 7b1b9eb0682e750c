"""What is found by watching the object at work: lists replaced, sums that grow, caches of another
call, upstream ignored."""
import numpy as np

from . import watching
from .evidence import agree, alike, close
from .report import Finding
from .rules import HINTS
from .styles import Adapted
from .subject import cut, each_float, grads_of

ANOTHER = ("a second backward after one forward gives another gradient: backward changes what "
           "forward kept")


def finding(code, where, evidence):
    return Finding(code, where, evidence, HINTS[code])


def upstream(m):
    """The answer should double when dout doubles, turn its sign with it, and be zero for none."""
    subject = m.subject
    if not subject.takes_dout:
        if m.y.ndim:
            yield finding("ignores-upstream", "x",
                          "backward takes no dout, though the output is an array")
        return
    d = m.draw(5)
    one, same = subject.gradients(d), subject.gradients(d)
    told = set()
    if not alike(one, same):
        return  # it changes with every call
    for factor, change, should in ((2, "doubled", "double"), (-1, "negated", "change its sign"),
                                   (0, "zero", "be zero")):
        other = subject.gradients(factor * d)
        if one.error or other.error:
            return
        for (where, p), q in zip(subject.named(one), other.all):
            if (where in told or p is None or q is None or p.shape != q.shape
                or not np.isfinite(p).all() or not np.isfinite(q).all()
                or np.abs(q - factor * p).max(initial=0) <= 1e-7 * np.abs(p).max(initial=0)):
                continue
            at = np.unravel_index(np.argmax(np.abs(q - factor * p)), p.shape)
            told.add(where)
            code = "ignores-upstream"
            if getattr(subject.work, "rate", False):
                code = "stale-cache"  # a backward that makes the step, and reads what it has moved
            elif factor == -1:
                code = "missing-mask"  # twice is twice: a mask by the gradient's own sign
            words = ("does not change" if close(q, p, 1e-7)
                     else f"goes from {p[at]:.6g} to {q[at]:.6g}")
            yield finding(code, where,
                          f"with dout {change} the gradient {words}, where it should {should}")


def growing(m):
    """A second forward and backward, and a backward alone, should give what the first gave."""
    subject = m.subject
    subject.restart()
    d = m.draw(6).reshape(subject.output().shape)
    rounds = [subject.backward(d)]
    subject.output()
    rounds += [subject.backward(d), subject.backward(d)]
    first = rounds[0].all
    names = [where for where, _ in subject.named(rounds[0])]
    if rounds[0].error:
        return
    for added, later in ((2, rounds[1]), (3, rounds[2])):
        told = False
        for where, p, q in zip(names, first, later.all):
            if (later.error or p is None or q is None or p.shape != q.shape or not np.any(p)
                or not np.isfinite(q).all() or close(q, p, 1e-7)):
                continue
            if any(close(q, k * p, 1e-7) for k in (2, added)):
                told = True
                times = f"{float(np.vdot(p, q) / np.vdot(p, p)):.4g}"
                words = f"a second backward with the same dout gives {times} times the first"
                yield watching.told(subject, finding("accumulates", where, words), watching.adding,
                                    names.index(where) - len(rounds[0].inputs), d)
        if told:
            return
    for where, p, q in zip(names, rounds[1].all, later.all):
        if not later.error and not agree(p, q):
            yield watching.told(subject, finding("mutates-cache", where, ANOTHER),
                                watching.changing, "cache", d)
            return


def history(m):
    """What backward gives should not depend on which inputs the layer saw before."""
    subject, rng = m.subject, np.random.default_rng(7)
    d = m.draw(7)

    def other(x):
        return x * (1 + 0.5 * rng.uniform(size=x.shape)) + 0.1 * np.abs(x).mean() * (x != 0)

    subject.restart()
    y_before, before = subject.output(), subject.gradients(d)
    if before.error:
        return
    for inputs, with_what in ((each_float(subject.inputs, other), "other inputs"),
                              (cut(subject.inputs, m.batch, max(1, m.batch - 1)),
                               "a smaller batch")):
        try:
            afterwards(subject, inputs)
            # a forward that answers otherwise, too, keeps state: no matter of backward
            if not agree(subject.output(), y_before):
                continue
            after = subject.gradients(d)
        except Exception:
            continue
        if after.error is None and not alike(before, after):
            words = ("the gradient depends on an earlier call: after a forward with "
                     f"{with_what} it is another one")
            for (where, p), q in zip(subject.named(before), after.all):
                if not agree(p, q):
                    yield watching.told(subject, finding("stale-cache", where, words), earlier,
                                        inputs, d)
            return
    subject.restart()


def afterwards(subject, inputs):
    """A fresh layer after a forward and backward with other inputs."""
    subject.restart()
    subject.backward(np.ones(subject.output(inputs).shape))


def earlier(subject, inputs, d):
    """The first line that does another thing after a call with other inputs."""

    def call():
        subject.output()
        subject.backward(d)

    subject.restart()
    fresh = watching.steps(call, watching.state)
    afterwards(subject, inputs)
    return watching.apart(subject, fresh, watching.steps(call, watching.state))


def rebound(m):
    """The lists grads and params, and the arrays in them, stay the same objects."""
    subject = m.subject
    subject.restart()
    layer = subject.work
    if not hasattr(layer, "grads") or isinstance(layer, Adapted):
        return
    if not grads_of(layer):
        subject.output()  # parameters made by the first forward
    held, arrays = layer.grads, grads_of(layer)
    computed = isinstance(getattr(type(layer), "grads", None), property)
    d = m.draw(8)
    subject.output()
    if subject.backward(d).error:
        return
    now = grads_of(layer)
    if layer.grads is not held and not computed and (arrays or now):
        other = {"params[0]": "layer.grads is another list"}
    else:
        other = {f"params[{i}]": f"grads[{i}] is another array" for i, g in enumerate(now)
                 if i >= len(arrays) or g is not arrays[i]}
    for where, what in other.items():
        words = f"after backward, {what} than before"
        yield watching.told(subject, finding("rebound-grads", where, words), watching.rebinding, d)
