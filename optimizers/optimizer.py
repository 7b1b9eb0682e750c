"""What all optimizers share: the step number, the learning rate, state kept by position, and the
checks."""
import functools
import math
from collections.abc import Mapping
from operator import is_
from typing import Any

import numpy as np

from ..common import checks
from ..common.engine import compiled, lazy
from ..common.engine.pieces import pieces
from ..common.engine.rows import set_rows
from ..common.engine.squares import SumOfSquares
from ..common.sharing import overlapping
from ..common.types import Array, ArrayLike, Arrays, Rate

POSITIVE = {"low": math.ulp(0.0), "expected": "be a positive number"}
AT_LEAST_0 = {"low": 0.0, "expected": "be a number of at least 0"}
FRACTION = {"low": 0.0, "high": math.nextafter(1.0, 0.0),
            "expected": "be a number of at least 0 and below 1"}


class Optimizer:
    """An object whose ``update(params, grads)`` moves the parameters one step downhill.

    - ``lr``: the learning rate, a positive number or a function of the step number (0 at the first
      update);
    - ``step``: the number of updates made so far;
    - ``state``, ``load_state``: all that the rule remembers, as named arrays, for checkpoints.

    A rule of your own names the arrays it keeps for each parameter, zeros at first, and states its
    formula:

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
    names: Any = ()                 # of the state arrays that the rule keeps for each parameter
    # True: where g is 0 the rule changes nothing, so rows of zeros may be left out
    skips_zeros: Any = False
    _twin: Any = None               # the rule's on the compiled floor, if there is one

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._twin = compiled.twin(cls)

    def __init__(self, lr: Rate) -> None:
        self.lr = lr if callable(lr) else self._number("lr", lr, **POSITIVE)
        self.step = 0
        # for each parameter a tuple of arrays of its shape, in the order of names
        self._state: list[tuple[Array, ...]] = []
        self._frozen: list[int] = []            # the numbers of the parameters that learn nothing
        self._lazily: set[int] = set()          # of those whose state is kept as ``lazy`` does
        self._held: Any = None                  # all params, then all grads, of the first update
        self._keys: Any = None                  # of its dicts, if dicts they were
        self._squares: Any = None               # of the gradients: the look for NaN
        self._rowwise: Any = None               # the gradients that name their rows
        self._by_rows: Any = None               # (param, grad, *state) of these; what drifts
        self._pieces: Any = None                # views of the others; None: to be cut

    def rule(self, lr: float, p: Array, g: Array, *state: Array) -> None:
        """Change ``p`` and the ``state`` arrays in place, given the gradient ``g``, all of one
        shape.

        ``lr`` is a float and ``self.step`` already counts this update. The rule is called on one
        piece of a parameter at a time, so it must work element by element.
        """
        raise NotImplementedError(f"{type(self).__name__}: rule is still to be written; "
                                  "write rule(self, lr, p, g, *state)")

    def update(self, params: Arrays, grads: Arrays) -> None:
        """Make one step: change the arrays of ``params`` in place, leave those of ``grads`` as they
        are.

        - ``params``, ``grads``: lists of float arrays, ``grads[i]`` of the shape and dtype of
          ``params[i]``; or two dicts with the same keys, by which the state is then named
          (``m.W1``). State belongs to the parameters: every update takes the same arrays in the
          same order. Gradients may be new arrays each time.

        Raises ValueError or TypeError for lists that do not pair, for an array listed twice, a
        read-only parameter or a negative or infinite learning rate, FloatingPointError for a
        gradient that is NaN or infinite, and, if the rule keeps a state, RuntimeError for other
        parameters than at the first update. Nothing is changed then.
        """
        frozen = getattr(params, "frozen", [])       # of a model: the places of what learns nothing
        if not isinstance(params, list) or not isinstance(grads, list):
            params, grads = self._lists(params, grads)
        lr = self.lr(self.step) if callable(self.lr) else self.lr
        if type(lr) is not float or not 0 <= lr < math.inf:
            lr = self._number(f"lr at step {self.step}", lr, **AT_LEAST_0)
        arrays = [*params, *grads]
        if (self._pieces is None or len(arrays) != len(self._held)
            or not all(map(is_, arrays, self._held)) or frozen != self._frozen
            or not all([p.flags.writeable for p in params])):  # noqa: C419 (a generator is slower)
            self._bind(params, grads, frozen)
        # dense, but 0 outside of the rows that they name, if they do
        taken = [np.asarray(g if g.rows is None else g.take(g.rows, axis=0)) for g in self._rowwise]
        if not self._squares(taken) < math.inf:
            self._refuse(grads)
        self.step += 1
        for rule, piece in self._pieces:
            rule(lr, *piece)
        for (arrays, drifting), rows in zip(self._by_rows, taken):
            self._rule_on_rows(lr, rows, *arrays)
            for p, *kept in drifting:
                self.lazy.drift(self, lr, p, *kept)

    @property
    def lazy(self) -> Any:
        """The module for gradients that name their rows, where the rule has such a form; else
        None."""
        return lazy if lazy.fits(self) else None

    @property
    def state(self) -> dict[str, Array]:
        """Copies of all that the next step depends on, under the paper's names: ``{"step": ...,
        "m.0": ..., "v.0": ...}``; of an Embedding's weights Adam also gives ``"kept.m.0"`` and
        ``"kept.r.0"``, the form in which it keeps these.

        A training that is to go on another day writes ``model.save("model.safetensors")`` and
        ``np.savez("optimizer.npz", **optimizer.state)``, and begins then with ``model.load`` and
        ``optimizer.load_state(np.load("optimizer.npz"))``.
        """
        arrays: dict[str, Array] = {}
        for i, (key, kept) in enumerate(zip(self._keys or range(len(self._state)), self._state)):
            # also what is kept, so that a training that continues is the same to the last bit
            if i in self._lazily:
                arrays |= {f"kept.{name}.{key}": a.copy() for name, a in zip(self.lazy.NAMES, kept)}
                kept = self.lazy.shown(self, *kept)
            arrays |= {f"{name}.{key}": a.copy() for name, a in zip(self.names, kept)}
        return {"step": np.array(self.step, np.int64), **arrays}

    def load_state(self, state: Mapping[Any, ArrayLike]) -> None:
        """Go on from a ``state`` taken earlier, bit for bit as if there had been no break.

        Raises ValueError or TypeError, and keeps what was there, unless names, shapes and dtypes
        fit. Before the first update there is nothing to compare shapes with: that update makes this
        check.
        """
        who, names, given = type(self).__name__, self.names, state
        if not isinstance(state, Mapping) or not all(isinstance(key, str) for key in state):
            raise TypeError(
                checks.wrong(who, "state", "be a dict of named arrays, as optimizer.state is",
                             checks.text(state)))
        state = {key: a for key, a in given.items() if not (self.lazy and key.startswith("kept."))}
        step = checks.count(who, "state['step']", checks.as_array(state.get("step"))[()], least=0)
        keys: Any = [key.partition(".")[2] for key in state
                     if names and key.startswith(f"{names[0]}.")]
        by_key = not all(key.isdecimal() for key in keys)
        if not by_key:
            keys = range(max((sum(key.startswith(f"{name}.") for key in state) for name in names),
                             default=0))
        wanted = {"step", *(f"{name}.{i}" for name in names for i in (keys or range(step > 0)))}
        wrong = [f"no {key}" for key in sorted(wanted - state.keys())]
        wrong += sorted(state.keys() - wanted)
        if wrong:
            expected = (f"hold step and {', '.join(names)} of each parameter" if names
                        else "hold step alone")
            raise ValueError(checks.wrong(who, "state", expected, ", ".join(wrong[:4])))
        loaded = [tuple(np.array(checks.as_array(state[f"{name}.{i}"])) for name in names)
                  for i in keys]
        if self._held is not None:
            n = len(self._held) // 2
            self._check(self._held[:n], self._held[n:], loaded)
        lazily = {i for i, key in enumerate(keys) if self.lazy
                  and f"kept.{self.lazy.NAMES[0]}.{key}" in given}
        try:
            for i in lazily:
                loaded[i] = tuple(np.array(checks.as_array(given[f"kept.{name}.{keys[i]}"]))
                                  for name in self.lazy.NAMES)
        except KeyError as missing:
            raise ValueError(checks.wrong(who, "state", "be whole", f"no {missing}")) from None
        if self._held is not None:
            self._check(self._held[:n], self._held[n:], loaded)
        self.step, self._state, self._pieces = step, loaded, None
        self._keys, self._lazily = keys if by_key else None, lazily

    def __repr__(self):
        shown = ", ".join(f"{name}={value!r}" for name, value in vars(self).items()
                          if name[0] != "_" and name != "step")
        return f"{type(self).__name__}({shown})"

    def __getstate__(self):
        """A copied or pickled optimizer is bound to no arrays: its pieces would be views of
        nothing."""
        return {**vars(self), "_held": None, "_pieces": None, "_by_rows": None, "_squares": None,
                "_rowwise": None}

    def _number(self, name, value, **limits):
        return checks.number(type(self).__name__, name, value, **limits)

    def _bind(self, params, grads, frozen):
        """Check the lists, make the state where there is none yet, cut all into pieces."""
        if self._held is not None and self.names:
            self._check_same(params, grads)
        self._check(params, grads, self._state if self.names else [])
        if not self._state or not self.names:
            self._state = [tuple(np.zeros_like(p, subok=False) for _ in self.names) for p in params]
        self._held, self._frozen = [*params, *grads], frozen
        self._pieces, self._by_rows = [], []
        learning = [g for i, g in enumerate(grads) if i not in frozen]
        self._rowwise = [g for g in learning if hasattr(g, "rows")]     # all in _by_rows, or none
        self._squares = SumOfSquares([np.asarray(g) for g in learning if not hasattr(g, "rows")])
        for i, (p, g) in enumerate(zip(params, grads)):
            by_rows = i not in frozen and hasattr(g, "rows") and bool(self.skips_zeros or self.lazy)
            if self.lazy and by_rows != (i in self._lazily):
                turn = self.lazy.kept if by_rows else self.lazy.shown
                self._state[i] = turn(self, *self._state[i])
                self._lazily ^= {i}
            kept = self._state[i]
            if by_rows:
                drifting = () if self.skips_zeros else compiled.whole(p, *kept) or pieces(p, *kept)
                self._by_rows.append(((p, g, *kept), drifting))
            elif i not in frozen:
                arrays = p, np.asarray(g), *kept
                whole = compiled.whole(*arrays) if self._twin else None
                rule = functools.partial(self._twin.rule, self) if whole else self.rule
                self._pieces += [(rule, piece) for piece in whole or pieces(*arrays)]

    def _rule_on_rows(self, lr, taken, p, g, *kept):
        """The rule, or the part of it that learns, on the rows alone that ``g.rows`` names;
        ``taken`` are g's."""
        rows, changed = g.rows, (p, *kept) if self.skips_zeros else kept
        parts = changed if rows is None else [a.take(rows, axis=0) for a in changed]
        if self.skips_zeros:
            self.rule(lr, parts[0], taken, *parts[1:])
        else:
            self.lazy.learn(self, taken, *parts)
        if rows is not None:
            for a, part in zip(changed, parts):
                set_rows(a, rows, part)

    def _lists(self, params, grads):
        """Lists made of tuples, iterators, or two dicts with the same keys."""
        who = type(self).__name__
        if not isinstance(params, dict) and not isinstance(grads, dict):
            return (checks.items(who, "params", params, "arrays"),
                    checks.items(who, "grads", grads, "arrays"))
        if not (isinstance(params, dict) and isinstance(grads, dict)):
            raise TypeError(checks.wrong(who, "params and grads", "be two lists or two dicts",
                                         f"a {type(params).__name__} and a {type(grads).__name__}"))
        odd = [repr(key) for key in [*params, *grads] if not (key in params and key in grads)]
        if odd:
            raise ValueError(checks.wrong(who, "grads", "have the keys of params",
                                          f"{', '.join(odd[:4])} in one of them alone"))
        keys = [str(key) for key in params]
        if self._keys is not None and self._keys != keys:
            raise RuntimeError(
                checks.wrong(who, "params", f"have the keys {', '.join(self._keys)}, as before",
                             ", ".join(keys), "another net needs another optimizer"))
        if self.names:
            self._keys = keys
        return list(params.values()), [grads[key] for key in params]

    def _refuse(self, grads):
        """A sum of squares may overflow where no gradient does: then nothing is refused."""
        for i, g in enumerate(grads):
            bad = ~np.isfinite(np.asarray(g))
            if bad.any():
                name = repr(self._keys[i]) if self._keys else i
                raise FloatingPointError(
                    f"{type(self).__name__}: grads[{name}] holds {checks.first(g, bad)}; the "
                    "update was not made, and no parameter has changed")

    def _check_same(self, params, grads):
        who, n = type(self).__name__, len(self._held) // 2
        if not len(params) == len(grads) == n:
            raise RuntimeError(
                checks.wrong(who, "params and grads", f"hold {n} arrays each, as before",
                             f"{len(params)} and {len(grads)}",
                             "a new model needs a new optimizer"))
        for i, (new, old) in enumerate(zip(params, self._held)):
            if new is not old:
                place = f"params[{self._keys[i]!r}]" if self._keys else f"params[{i}]"
                raise RuntimeError(checks.wrong(
                    who, place, "be the same array at every update", "another",
                    f"most likely a layer replaced its array: write `{place}[...] = ` instead "
                    "(a new model needs a new optimizer)"))

    def _check(self, params, grads, state):
        """ValueError or TypeError unless gradients and state fit the parameters and these can be
        changed."""
        who = type(self).__name__
        for name, n in (("grads", len(grads)), ("state", len(state or params))):
            if n != len(params):
                raise ValueError(checks.wrong(who, name, f"match {len(params)} parameters", n,
                                              f"index {min(n, len(params))} has no partner"))
        if pair := overlapping(params):
            first, i = sorted(pair)
            raise ValueError(
                f"{who}: params[{first}] and params[{i}] are one array (or views of one), which "
                "would be stepped twice; list it once, with the sum of both gradients (a "
                "Sequential or Graph does that for weights that its layers share)")
        for i, p in enumerate(params):
            arrays = {f"params[{i}]": p, f"grads[{i}]": grads[i]}
            if state:
                arrays |= {f"state['{name}.{i}']": a for name, a in zip(self.names, state[i])}
            for name, a in arrays.items():
                if not isinstance(a, np.ndarray) or a.dtype.kind != "f":
                    raise TypeError(
                        checks.wrong(who, name, "be a NumPy array of floats", checks.dtype_text(a)))
                if a.dtype.itemsize not in (4, 8) or not a.dtype.isnative:
                    raise TypeError(
                        checks.wrong(who, name,
                                     "be float32 or float64, in this machine's byte order", a.dtype,
                                     "cast it: .astype(np.float32)"))
                if a.shape != p.shape or a.dtype != p.dtype:
                    raise ValueError(
                        checks.wrong(who, name, f"be {p.dtype} {p.shape} as params[{i}] is",
                                     f"{a.dtype} {a.shape}"))
            if not p.flags.writeable:
                raise ValueError(
                    checks.wrong(who, f"params[{i}]", "be writable", "a read-only array",
                                 "build the layer with a copy of it"))
