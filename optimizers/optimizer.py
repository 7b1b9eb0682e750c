"""What all optimizers share: the step number, the learning rate, state kept by position, and its checks."""
import math
from operator import is_

import numpy as np

from ..common import checks
from ._pieces import pieces

POSITIVE = {"low": math.ulp(0.0), "expected": "be a positive number"}
AT_LEAST_0 = {"low": 0.0, "expected": "be a number of at least 0"}
FRACTION = {"low": 0.0, "high": math.nextafter(1.0, 0.0), "expected": "be a number of at least 0 and below 1"}


class Optimizer:
    """An object whose ``update(params, grads)`` moves the parameters one step downhill.

    - ``lr``: the learning rate, a positive number or a function of the step number (0 at the first update);
    - ``step``: the number of updates made so far;
    - ``state``, ``load_state``: what the rule remembers, as named arrays, for checkpoints.

    A rule of your own names the arrays it keeps for each parameter (zeros at first) and states its formula, in place:

    >>> class SignedMomentum(Optimizer):
    ...     '''m <- 0.5 m + g, W <- W - lr sign(m).'''
    ...     names = ("m",)
    ...     def rule(self, lr, p, g, m):
    ...         m *= 0.5
    ...         m += g
    ...         p -= lr * np.sign(m)
    >>> W, dW = np.array([1.0, 2.0]), np.array([0.3, -4.0])
    >>> optimizer = SignedMomentum(lr=0.5)
    >>> optimizer.update([W], [dW])
    >>> W
    array([0.5, 2.5])
    >>> optimizer.state
    {'step': array(1), 'm.0': array([ 0.3, -4. ])}
    """
    names = ()        # of the state arrays that a rule keeps for each parameter

    def __init__(self, lr):
        self.lr = lr if callable(lr) else self._number("lr", lr, **POSITIVE)
        self.step = 0
        self._state = []         # for each parameter a tuple of arrays of its shape, in the order of names
        self._held = None        # params and grads of the first update, in one list
        self._pieces = None      # views of params, grads and state; None: to be cut anew

    def rule(self, lr, p, g, *state):
        """Change ``p`` and the ``state`` arrays in place, given the gradient ``g``, all of one shape.

        ``lr`` is a float; ``self.step`` already counts this update. Called once for each piece of each parameter, so the
        formula must work element by element.
        """
        raise NotImplementedError(f"{type(self).__name__} has no rule yet: write rule(self, lr, p, g, *state)")

    def update(self, params, grads):
        """Make one step: change the arrays of ``params`` in place and leave those of ``grads`` as they are.

        - ``params``, ``grads``: lists of float arrays; ``grads[i]`` has the shape and dtype of ``params[i]``. State is
          kept by position, so every update takes the same arrays in the same order.

        Raises ValueError or TypeError for lists that do not pair, a read-only parameter and a learning rate that is
        negative or not finite; RuntimeError for other arrays than at the first update. Nothing is changed then.
        """
        lr = float(self.lr) if not callable(self.lr) else self._number(f"lr({self.step})", self.lr(self.step), **AT_LEAST_0)
        arrays = [*params, *grads]
        if not (self._pieces is not None and len(arrays) == len(self._held) and all(map(is_, arrays, self._held))
                and all(p.flags.writeable for p in params)):
            self._bind(params, grads)
        self.step += 1
        for piece in self._pieces:
            self.rule(lr, *piece)

    @property
    def state(self):
        """Copies of all that the next step depends on: ``{"step": ..., "m.0": ..., "v.0": ..., "m.1": ...}``."""
        arrays = {f"{name}.{i}": a.copy() for i, kept in enumerate(self._state) for name, a in zip(self.names, kept)}
        return {"step": np.array(self.step, np.int64), **arrays}

    def load_state(self, state):
        """Go on from a ``state`` taken earlier, bit for bit as if there had been no break.

        Raises ValueError or TypeError, and keeps what was there, if names, shapes or dtypes do not fit. Before the first
        update there are no parameters to compare the shapes with, so that update makes this check.
        """
        who, names = type(self).__name__, self.names
        step = checks.count(who, "state['step']", np.asarray(state.get("step"))[()], least=0)
        count = max((sum(key.startswith(f"{name}.") for key in state) for name in names), default=0)
        wanted = [f"{name}.{i}" for i in range(max(count, step > 0)) for name in names]
        if state.keys() != {"step", *wanted}:
            text = ", ".join(sorted(state.keys() ^ {"step", *wanted}))
            raise ValueError(checks.wrong(who, "state", f"hold 'step' and {' and '.join(names) or 'nothing else'}"
                                          f"{' of every parameter' if names else ''}", f"one that differs in {text}"))
        loaded = [tuple(np.array(state[f"{name}.{i}"]) for name in names) for i in range(count)]
        if self._held:
            self._fit(loaded, self._held[:len(self._held) // 2])
        self.step, self._state, self._pieces = step, loaded, None

    def __repr__(self):
        settings = (f"{name}={value!r}" for name, value in vars(self).items() if name[0] != "_" and name != "step")
        return f"{type(self).__name__}({', '.join(settings)})"

    def __getstate__(self):
        """A copied or pickled optimizer has the state, not the arrays it was used on: views would no longer be views."""
        return {**vars(self), "_held": None, "_pieces": None}

    def _number(self, name, value, **limits):
        return checks.number(type(self).__name__, name, value, **limits)

    def _bind(self, params, grads):
        """Check the lists, or raise; make the state if there is none; cut everything into pieces."""
        if self._held is not None:
            self._same(params, grads)
        self._pair(params, grads)
        self._fit(self._state, params)
        self._held = [*params, *grads]
        if not self._state:
            self._state = [tuple(np.zeros_like(p, subok=False) for _ in self.names) for p in params]
        self._pieces = [piece for p, g, kept in zip(params, grads, self._state) for piece in pieces(p, g, *kept)]

    def _same(self, params, grads):
        """RuntimeError unless these are the arrays of the updates before."""
        who, n = type(self).__name__, len(self._held) // 2
        for what, arrays, held in (("params", params, self._held[:n]), ("grads", grads, self._held[n:])):
            if len(arrays) != n:
                raise RuntimeError(checks.wrong(who, what, f"hold {n} arrays as before", len(arrays),
                                                "a new model needs a new optimizer"))
            for i, (new, old) in enumerate(zip(arrays, held)):
                if new is not old:
                    raise RuntimeError(checks.wrong(
                        who, f"{what}[{i}]", "be the same array at every update", "another one",
                        f"most likely a layer replaced its array: write `{what}[{i}][...] = ` instead "
                        "(a new model needs a new optimizer)"))

    def _pair(self, params, grads):
        """ValueError or TypeError unless every parameter can be changed and has a gradient like itself."""
        who = type(self).__name__
        if len(params) != len(grads):
            raise ValueError(checks.wrong(who, "params and grads", "be of one length", f"{len(params)} and {len(grads)}",
                                          f"index {min(len(params), len(grads))} has no partner"))
        for i, (p, g) in enumerate(zip(params, grads)):
            for name, a in ((f"params[{i}]", p), (f"grads[{i}]", g)):
                if not isinstance(a, np.ndarray) or a.dtype.kind != "f":
                    got = a.dtype if isinstance(a, np.ndarray) else type(a).__name__
                    raise TypeError(checks.wrong(who, name, "be a NumPy array of floats", got))
            self._alike(f"grads[{i}]", g, f"params[{i}]", p)
            if not p.flags.writeable:
                raise ValueError(checks.wrong(who, f"params[{i}]", "be writable", "a read-only array",
                                              "build the layer with a copy of it"))

    def _fit(self, state, params):
        """ValueError unless there is no state yet or it is one of such parameters."""
        if state and len(state) != len(params):
            raise ValueError(checks.wrong(type(self).__name__, "state", f"be of {len(params)} parameters", len(state)))
        for i, (p, kept) in enumerate(zip(params, state)):
            for name, a in zip(self.names, kept):
                self._alike(f"state['{name}.{i}']", a, f"params[{i}]", p)

    def _alike(self, name, a, model, b):
        if a.shape != b.shape or a.dtype != b.dtype:
            raise ValueError(checks.wrong(type(self).__name__, name, f"be {b.dtype} of shape {b.shape} as {model} is",
                                          f"{a.dtype} of shape {a.shape}"))
