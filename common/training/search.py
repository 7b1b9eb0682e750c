"""Settings of a training, drawn at random and tried, here or on many machines."""
import inspect
import json
import math
import re
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import BrokenExecutor, CancelledError, Executor, as_completed
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

from ..common import checks
from ..common.files import naming, path_of, write_whole
from ..common.printing import printable
from ..common.rng import generator
from ..common.types import PathLike, Seed
from .report import table

WHO = "random_search"


class Choice:
    """One of several values, each as likely as the others, as in ``Choice([16, 32, 64])``.

    >>> Choice(["a", "b"]).draw(np.random.default_rng(0))
    'b'
    """
    scale = "category"

    def __init__(self, values: Iterable[Any]) -> None:
        try:
            self.values = [] if isinstance(values, str) else list(values)
        except TypeError:
            self.values = []
        if not self.values:
            raise TypeError(checks.wrong("Choice", "values", "be a list of at least one value",
                                         checks.text(values), "as in Choice([16, 32, 64])"))

    def draw(self, rng: np.random.Generator) -> Any:
        return self.values[rng.integers(len(self.values))]

    def __repr__(self) -> str:
        return f"Choice([{', '.join(map(shown, self.values))}])"


class Uniform:
    """A number between ``low`` and ``high``, every part of that range as likely as any other.

    >>> Uniform(0.0, 0.5).draw(np.random.default_rng(0))
    0.31848084366072715
    """
    scale = "linear"

    def __init__(self, low: float, high: float) -> None:
        who = type(self).__name__
        self.low = checks.number(who, "low", low)
        self.high = checks.number(who, "high", high, math.nextafter(self.low, math.inf),
                                  expected="be a number above low")

    def draw(self, rng: np.random.Generator) -> float:
        return float(rng.uniform(self.low, self.high))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.low:g}, {self.high:g})"


class LogUniform(Uniform):
    """A positive number whose logarithm is uniform: 0.001..0.01 is as likely as 0.01..0.1.

    For learning rates and penalties, whose order of magnitude is not known.

    >>> round(LogUniform(1e-4, 1e-1).draw(np.random.default_rng(0)), 6)
    0.008145
    """
    scale = "log"

    def __init__(self, low: float, high: float) -> None:
        checks.number("LogUniform", "low", low, math.ulp(0.0), expected="be a positive number")
        super().__init__(low, high)

    def draw(self, rng: np.random.Generator) -> float:
        drawn = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        return min(max(drawn, self.low), self.high)


@dataclass
class Trial:
    """One call of the objective. Where it failed, ``value`` is None and ``error`` the traceback."""
    params: dict[str, Any]
    value: float | None = None
    error: str | None = None
    seconds: float = 0.0
    seed: int = field(default=0, repr=False)


class Search:
    """What ``random_search`` found: ``trials`` as they were drawn; a table, best first."""

    def __init__(
        self, space: Mapping[str, Any], trials: list[Trial], maximize: bool = False
    ) -> None:
        self.space, self.trials, self.maximize = dict(space), trials, maximize

    @property
    def best(self) -> Trial:
        """The trial with the best value; RuntimeError if none has one."""
        first = self.ranked()[0]
        if rank(first, self.maximize)[0]:
            raise RuntimeError(f"{WHO}: none of the {len(self.trials)} trials gave a number; "
                               f"trials[0] ended with {last_line(self.trials[0])}")
        return first

    def ranked(self) -> list[Trial]:
        """The trials, best first; after them those whose value is NaN, and those that failed."""
        return sorted(self.trials, key=lambda trial: rank(trial, self.maximize))

    def cells(self):
        yield ["trial", *self.space, "value", "seconds", ""]
        for i, trial in sorted(enumerate(self.trials), key=lambda t: rank(t[1], self.maximize)):
            settings = [shown(trial.params[name], ".4g") for name in self.space]
            yield [str(i), *settings,
                   "-" if trial.value is None else f"{trial.value:.6g}", f"{trial.seconds:.3g}",
                   last_line(trial) if trial.error else ""]

    def __repr__(self) -> str:
        rows = list(self.cells())
        widths = [max(map(len, column)) for column in zip(*rows)]
        return printable("\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows))

    def _repr_html_(self) -> str:
        head, *rows = ([escape(cell) for cell in row] for row in self.cells())
        return table(rows, head)


def random_search(
    objective: Callable[..., Any],
    space: Mapping[str, Choice | Uniform],
    n_trials: int,
    rng: Seed = None,
    executor: Executor | None = None,
    checkpoint: PathLike | None = None,
    maximize: bool = False,
) -> Search:
    """Call ``objective(**params)`` ``n_trials`` times, with params drawn at random from ``space``.

    objective: returns a number, lower is better. One that takes ``rng`` is given a Generator of the
        trial's own. A trial that raises is recorded with its traceback and stops nothing.
    space: a dict of name: Choice([...]), Uniform(low, high) or LogUniform(low, high).
    rng: a Generator, a seed or None. The same seed gives the same trials on any executor; the
        first ten of twenty are those of ten.
    executor: any concurrent.futures.Executor; None calls the objective here, trial after trial.
        ``ProcessPoolExecutor()`` uses the cores of this machine, Dask's ``client.get_executor()``
        and ``mpi4py.futures.MPIPoolExecutor()`` those of many machines.
    checkpoint: a file (JSON) to which each trial goes as soon as it ends. The same call goes on
        from it: trials that it holds are not run again.
    maximize: higher is better.

    Returns a Search. Why at random and not on a grid: often few settings matter, and n random
    trials try n values of each, a grid over two of them only √n (Bergstra and Bengio 2012, Random
    search for hyper-parameter optimization).

    >>> def objective(lr, units):
    ...     return (lr - 0.1) ** 2 + 1 / units
    >>> space = {"lr": LogUniform(0.001, 1.0), "units": Choice([10, 20])}
    >>> random_search(objective, space, n_trials=4, rng=0).best.params
    {'lr': 0.081448869730761, 'units': 20}
    """
    space, n_trials = checked(objective, space), checks.count(WHO, "n_trials", n_trials)
    checks.flag(WHO, "maximize", maximize)
    if executor is not None and not hasattr(executor, "submit"):
        raise TypeError(checks.wrong(WHO, "executor", "be a concurrent.futures.Executor or None",
                                     checks.text(executor)))
    file = File(checkpoint, rng)
    rng = generator(WHO, rng if rng is not None else file.seed)
    trials = []
    for _ in range(n_trials):
        params = {name: part.draw(rng) for name, part in space.items()}
        trials.append(Trial(params, seed=int(rng.integers(2**63))))
    waiting = file.restore(trials)
    file.write()
    try:
        for i, ended in outcomes(executor, objective, trials, waiting):
            trials[i].value, trials[i].error, trials[i].seconds = ended
            file.keep(i, trials[i])
    except BrokenExecutor as error:
        raise RuntimeError(
            f"{WHO}: the executor broke, perhaps as a worker was killed; "
            + (f"the same call with a new one goes on from {file.path}" if file.path else
               "with checkpoint= the trials that ended would have been kept")) from error
    return Search(space, trials, maximize)


def attempt(objective, params, seed):
    """(value, error, seconds) of one trial, in plain types, which any worker can send back."""
    start, value, error = time.perf_counter(), None, None
    try:
        value = objective(**params, **rng_of(objective, seed))
        if np.ndim(value) or np.asarray(value).dtype.kind not in "iuf":
            raise TypeError(checks.wrong(WHO, "objective", "return a number", checks.text(value)))
        value = float(value)
    except (Exception, SystemExit):
        value, error = None, traceback.format_exc()
    return value, error, time.perf_counter() - start


def outcomes(executor, objective, trials, waiting):
    """(i, what ``attempt`` returns) for the trials that are ``waiting``, as they end."""
    if executor is None:
        for i in waiting:
            yield i, attempt(objective, trials[i].params, trials[i].seed)
        return
    futures = {executor.submit(attempt, objective, trials[i].params, trials[i].seed): i
               for i in waiting}
    try:
        for future in as_completed(futures):
            try:
                yield futures[future], future.result()
            except (BrokenExecutor, CancelledError):
                raise
            except Exception as error:          # the objective's come back as text
                if "pickle" in str(error).lower():
                    raise TypeError(checks.wrong(
                        WHO, "objective", "be a function that can be sent to the workers",
                        shown(objective), "define it with def at the top of a module")) from error
                yield futures[future], (None, "".join(traceback.format_exception(error)), 0.0)
    finally:
        for future in futures:
            future.cancel()


class File:
    """The trials that ended, in a file of JSON if there is a path."""

    def __init__(self, path, rng):
        self.path = None if path is None else path_of(WHO, "checkpoint", path)
        self.ended, self.seed = {}, None
        if self.path and self.path.exists():
            try:
                with naming(WHO, path):
                    kept = json.loads(self.path.read_text(encoding="utf-8"))
                ended, self.seed = dict(kept["random_search"]), kept["seed"]
                self.ended = {str(int(i)): vars(Trial(**trial)) for i, trial in ended.items()}
            except (ValueError, LookupError, TypeError):
                raise ValueError(f"{WHO}: {self.path} does not hold a random search; take it away, "
                                 "or name another file as checkpoint") from None
        elif rng is None:
            self.seed = np.random.SeedSequence().entropy

    def restore(self, trials):
        """Fill in the trials that ended; returns the numbers of the others."""
        for i, kept in self.ended.items():
            if int(i) < len(trials):
                trial = trials[int(i)]
                mine = texts(trial.params)
                if kept["params"] != mine or kept["seed"] != trial.seed:
                    raise ValueError(f"{WHO}: {self.path} holds another search: its trial {i} has "
                                     f"{kept['params']}, here it has {mine}; the same space and "
                                     "the same rng go on")
                vars(trial).update(kept | {"params": trial.params})
        return [i for i in range(len(trials)) if str(i) not in self.ended]

    def keep(self, i, trial):
        self.ended[str(i)] = vars(trial) | {"params": texts(trial.params)}
        self.write()

    def write(self):
        if self.path:
            with naming(WHO, self.path):
                text = json.dumps({"random_search": self.ended, "seed": self.seed}, indent=1)
                write_whole(self.path, text.encode())


def checked(objective, space):
    """The space as a dict."""
    if not callable(objective):
        raise TypeError(checks.wrong(WHO, "objective", "be a function", checks.text(objective)))
    hint = 'as in {"lr": LogUniform(1e-4, 1e-1)}'
    if not isinstance(space, Mapping) or not space:
        raise TypeError(checks.wrong(WHO, "space", "be a dict of at least one name",
                                     checks.text(space), hint))
    for name, part in space.items():
        if not isinstance(name, str) or name == "rng":
            raise ValueError(checks.wrong(WHO, "space", "have names of arguments, other than rng",
                                          checks.text(name)))
        if not hasattr(part, "draw") or isinstance(part, type):
            raise TypeError(checks.wrong(
                WHO, f"space[{name!r}]", "be drawn, as by Choice or LogUniform", checks.text(part),
                hint))
    if not checks.fitting(objective, (), {**space, **rng_of(objective, None)}):
        raise TypeError(checks.wrong(WHO, "objective", f"take {', '.join(space)} and need no more",
                                     f"{shown(objective)}{inspect.signature(objective)}"))
    return dict(space)


def rng_of(objective, seed):
    """The argument rng as a dict, if the objective takes it."""
    try:
        takes = "rng" in inspect.signature(objective).parameters
    except ValueError:
        takes = False
    return {"rng": np.random.default_rng(seed)} if takes else {}


def rank(trial, maximize):
    """A key to sort by, best first."""
    if trial.value is None:
        return (2,)
    return (1,) if math.isnan(trial.value) else (0, -trial.value if maximize else trial.value)


def shown(value, form=""):
    """A value in a few letters; of a function or a class its name."""
    if isinstance(value, float):
        return format(float(value), form) if form else repr(float(value))
    text = getattr(value, "__qualname__", None) or repr(value)
    return " ".join(re.sub(r" at 0x\w+", "", text).split())


def texts(params):
    return {name: shown(value) for name, value in params.items()}


def last_line(trial):
    return (trial.error or "NaN").strip().splitlines()[-1]
