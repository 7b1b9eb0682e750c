"""Layers inside a layer or model of which one changes in place what another one reads later."""
import contextlib
import functools

import numpy as np

from .conduct import finding
from .copying import paths, reachable, spoken
from .evidence import alike, measure
from .styles import innermost
from .subject import Subject, grads_of, is_layer, same

WAYS = {"backward": "its dout", "forward": "its input"}


class Apart(Subject):
    """A subject whose inner layers are given copies and give copies: none can change what another
    one reads."""

    def restart(self):
        super().restart()
        for layer in self.inner():
            for way in WAYS:
                # an object with slots cannot be listened to
                with contextlib.suppress(AttributeError):
                    setattr(layer, way, functools.partial(self.heard, layer, way,
                                                          getattr(layer, way)))

    def inner(self):
        return [o for o in reachable(self.work) if o is not self.work
                and o is not innermost(self.work) and is_layer(o)]

    def heard(self, layer, way, call, *given, **named):
        return copies(call(*map(copies, given), **named))


class Watched(Apart):
    """The same without copies, but ``seen`` notes (layer, in words what was changed): first what a
    layer keeps, then dout, then inputs."""

    def restart(self):
        # {(layer, array), by id: (layer, array, what it was)}
        self.kept = {}
        self.seen = {"kept": [], **{way: [] for way in WAYS}}
        super().restart()
        layers = [self.work, *self.inner()]
        self.names = paths(self.work)
        self.known = [a for o in layers for a in (*(getattr(o, "params", None) or ()), *grads_of(o))
                      if isinstance(a, np.ndarray)]

    def heard(self, layer, way, call, *given, **named):
        self.look(None)
        self.keep(self.work)
        before = copies(given)
        result = call(*given, **named)
        self.look(layer)
        self.kept = {key: value for key, value in self.kept.items() if value[0] is not layer}
        if way == "forward":
            self.keep(layer)
        words = f"its {way} changes {WAYS[way]} in place, which is read elsewhere, too"
        self.seen[way] += [(layer, words) for a, b in zip(before, given)
                           if isinstance(a, np.ndarray) and not same(a, b)]
        return result

    def keep(self, layer):
        """Note what a layer keeps for backward: what it holds that is no parameter and that no
        layer inside it keeps."""
        inside = {id(o) for o in reachable(layer) if o is not layer and is_layer(o)}
        theirs = {array for owner, array in self.kept if owner in inside}
        for a in reachable(layer):
            if (isinstance(a, np.ndarray) and id(a) not in theirs
                and (key := (id(layer), id(a))) not in self.kept
                and not any(np.may_share_memory(a, b) for b in self.known)):
                self.kept[key] = layer, a, a.copy()

    def look(self, by):
        """Note which of the arrays that are kept have changed: by the layer ``by``, or between the
        calls of layers (None)."""
        for key, (layer, a, before) in list(self.kept.items()):
            if not same(a, before):
                del self.kept[key]
                if layer is not by and not (by is None and layer is self.work):
                    place = (f"in {self.called(by)}" if by is not None
                             else f"in {type(self.work).__name__}, between its layers")
                    self.seen["kept"].append(
                        (layer, f"what it keeps for backward is changed in place {place}")
                    )

    def called(self, layer):
        path = self.names.get(id(layer), "")
        if layer is self.work or not path:
            return type(layer).__name__
        return f"{spoken(path)} ({type(layer).__name__})"


class Stacked(Apart):
    """The same, but each call of an inner layer's forward has a memory of its own, which the
    backwards take up in reverse order; ``twice``: the layers that one forward calls again."""

    def restart(self):
        self.stacks, self.twice = {}, {}
        super().restart()
        self.names = paths(self.work)

    def output(self, *args, **named):
        self.stacks = {}
        return super().output(*args, **named)

    def heard(self, layer, way, call, *given, **named):
        stack = self.stacks.setdefault(id(layer), [])
        if way == "backward" and stack:
            vars(layer).update(stack.pop())
        result = call(*given, **named)
        if way == "forward":
            stack.append(dict(vars(layer)))
            if len(stack) > 1:
                self.twice[id(layer)] = layer
        return result


def used_twice(m, rng, make):
    """(measurement, findings) where an inner layer is called twice in one forward and keeps one
    call's arrays only; else None."""
    subject = make(Stacked)
    before, after = (s.gradients(m.draw(9)) for s in (m.subject, subject))
    if not subject.twice or after.error or alike(before, after):
        return None
    layer = next(iter(subject.twice.values()))
    path = spoken(subject.names.get(id(layer), ""))
    found = measure(subject, rng)
    if sum(e.right for e in found.targets) <= sum(e.right for e in m.targets):
        return None
    words = ("one forward calls this layer twice, and it keeps what the last call left: make a "
             "layer for each place")
    return found, [finding("stale-cache", f"{path} ({type(layer).__name__})", words)]


def apart(m, rng, make):
    """(measurement, findings): of a subject that ``make(Apart)`` gives, if layers that share no
    arrays have other gradients; else None."""
    watched = make(Watched)
    before = watched.gradients(m.draw(9))
    changes = [change for noted in watched.seen.values() for change in noted]
    if not changes or before.error:
        return None
    subject = make(Apart)
    after = subject.gradients(m.draw(9))
    if after.error or alike(before, after):
        return None
    subject.restart()
    found = measure(subject, rng)
    words = "all gradients are right" if found.right else "the gradients change"
    layer, evidence = changes[0]
    return found, [finding("mutates-cache", watched.called(layer),
                           f"{evidence}; with copies for each layer {words}")]


def copies(value):
    """Arrays, also those in a tuple or list, as copies."""
    if isinstance(value, (tuple, list)):
        return type(value)(map(copies, value))
    return value.copy() if isinstance(value, np.ndarray) else value
