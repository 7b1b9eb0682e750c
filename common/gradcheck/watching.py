"""Which line does it: the user's functions, looked at after each line that they run."""
import contextlib
import linecache
import re
import sys

import numpy as np

from .bounded import TimeUp
from .evidence import close
from .report import Finding
from .source import Function, lines_run, users
from .styles import Held, gradient_of, innermost
from .subject import grads_of, is_float

MOST, HEAVY = 5000, 1e8  # lines looked at; lines times the numbers that are held


def steps(run, look):
    """[(code, number of the line that has just run, ``look(frame, outermost)``)] for the user's
    functions during ``run()``; the number is None where a function begins."""
    found, last, before = [], {}, sys.gettrace()

    def within(frame, event, _):
        if len(found) >= MOST:
            return sys.settrace(None)
        if event == "exception":
            return within
        outermost = not users(frame.f_back.f_code, frame.f_back)
        found.append((frame.f_code, last.get(frame), look(frame, outermost)))
        last[frame] = frame.f_lineno if event != "call" else None
        return within

    def begin(frame, *more):
        return within(frame, *more) if users(frame.f_code, frame) else None

    sys.settrace(begin)
    try:
        run()
    finally:
        sys.settrace(before)
    return found


def at(finding, line):
    """The finding, with a line (code, number) if there is one, in a text that is what runs."""
    with contextlib.suppress(Exception):
        if line[1] and Function(line[0]).compiled().co_code == line[0].co_code:
            finding.line, finding.watched = line[1], True
            finding.text = linecache.getline(line[0].co_filename, finding.line).strip()
    return finding


def told(subject, finding, look, *more):
    """The finding with the line that ``look(subject, *more)`` gives; as it is where that fails or
    would take long."""
    held = sum(a.size for a in subject.arrays())
    with contextlib.suppress(Exception, TimeUp):
        if lines_run(subject.output) * held < HEAVY:
            return at(finding, look(subject, *more))
    return finding


def first(found):
    """The line after which the look is no longer what it was in the beginning."""
    return next((step for step in found if step[2] != found[0][2]), None)


def changing(subject, where, dout):
    """The line that changes an argument, a parameter or, ``where`` "cache", what forward kept for
    backward; or that gives it the name under which it is changed."""
    backwards, entered, known, kept = where in ("dout", "cache"), [], set(), []
    if backwards:
        subject.output()
    if where == "cache":
        kept = [a for a in subject.arrays() if not any(a is g for g in grads_of(subject.work))]
    elif where.startswith("params"):
        kept = subject.params
    watched = [(a, a.tobytes()) for a in kept]

    def look(frame, outermost):
        if outermost and frame not in entered and not kept:
            entered.append(frame)
            given = {n: v for n, v in frame.f_locals.items() if is_float(v)}
            known.update(given)
            watched.extend((a, a.tobytes()) for a in given.values())
        return (any(a.tobytes() != b for a, b in watched),
                {n for n, v in frame.f_locals.items() if any(v is a for a, _ in watched)} - known)

    found = [] if backwards else steps(subject.output, look)
    found += steps(lambda: subject.backward(dout), look)
    done = next((s for s in found if s[2][0]), None)
    name = re.match(r"\w*", at(Finding("", "", "", ""), done).text)[0]
    return next((s for s in found if name in s[2][1]), done)


def gradient(subject, i):
    """The gradient of parameter i as it stands at this moment."""
    work = subject.work
    if isinstance(work, Held) and work.paths:
        return gradient_of(work.layer, work.paths[i], work.known)
    return grads_of(work)[i]


def adding(subject, i, dout):
    """The line that adds to a gradient, if it is a single one, run once."""
    subject.output()
    subject.backward(dout)
    subject.output()
    values = steps(lambda: subject.backward(dout),
                   lambda *_: np.array(gradient(subject, i)).tobytes())
    lines = [b for a, b in zip(values, values[1:]) if a[2] != b[2]]
    return lines[0] if len(lines) == 1 else None


def rebinding(subject, dout):
    """The line that puts another list, or another array, in the place of the gradients."""
    subject.output()
    layer = innermost(subject.work)
    kept = [layer.grads, *grads_of(layer)]
    return first(steps(lambda: subject.backward(dout), lambda *_: [
        g is k for g, k in zip([layer.grads, *grads_of(layer)], kept)]))


def computing(subject, G, dout):
    """The line that computes a gradient that is not written."""
    subject.output()
    return first(steps(lambda: subject.backward(dout), lambda frame, _: any(
        isinstance(v, np.ndarray) and v.shape == G.shape and close(v, G)
        for v in frame.f_locals.values())))


def returning(subject, dout):
    """The line with which backward ends."""
    subject.output()
    return steps(lambda: subject.backward(dout), lambda *_: None)[-1]


def apart(subject, one=None, two=None):
    """The first line that does another thing in the second of two runs looked at by ``state``; of
    two forwards, if none are given."""
    one, two = (run or steps(subject.output, state) for run in (one, two))
    before = {}
    for k, ((code, line, s), (code2, line2, t)) in enumerate(zip(one, two)):
        if (code, line) != (code2, line2):
            return one[k - 1]
        p, q = before.get(code, (s, t)) if line else (s, t)
        if any(s[n] != t.get(n) and (s[n] != p.get(n) or t.get(n) != q.get(n)) for n in s):
            return code, line
        before[code] = s, t
    return None


def state(frame, _):
    """The numbers that a function and its object hold, in a form that can be compared."""
    own = frame.f_locals.get("self")
    held = {f"self.{n}": v for n, v in getattr(own, "__dict__", {}).items()}
    return {n: mark(v) for n, v in {**frame.f_locals, **held}.items()}


def mark(v):
    if isinstance(v, np.ndarray):
        return v.shape, v.tobytes()
    if isinstance(v, np.random.Generator):
        return str(v.bit_generator.state)
    if isinstance(v, (tuple, list)):
        return [*map(mark, v)]
    return v if isinstance(v, (int, float, np.number)) else None
