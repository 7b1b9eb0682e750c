"""What is measured before anything is judged: analytic and numerical gradients of every input and
parameter."""
import contextlib
from dataclasses import dataclass, field

import numpy as np

from .numerical import STEP
from .scope import unread as names_unread
from .source import Function, lines_run, running
from .subject import is_float

EPS = np.finfo(np.float64).eps
TOLERANCE = 1e-6  # relative to the largest entry
FULL = 400_000  # entries of all Jacobians together that are measured in full
SAMPLE = 40  # entries per array otherwise


@dataclass
class Evidence:
    """Backward (A) and numerical (G) gradient of one array, for K upstream gradients ``douts`` (K,
    *y.shape).

    Small layers: K random draws first; where they disagree the unit draws, one per output entry, so
    that A and G are the two Jacobians. Large layers: random draws, and G is NaN except at the
    entries that were sampled.
    """
    where: str
    value: np.ndarray
    A: np.ndarray  # (K, *whatever shape came back)
    G: np.ndarray  # (K, *value.shape)
    douts: np.ndarray
    noise: float  # the size of rounding errors in G
    m: object = None
    kinked: np.ndarray | None = None  # (*value.shape) where the one-sided differences disagree
    J: np.ndarray | None = None  # (y.size, value.size)
    index: int = 0
    param: bool = False
    unit: bool = False
    slack: np.ndarray | float = 0.0  # as value: half what one-sided differences differ by, if tiny
    level: float = 0.0  # of the noise, for draws of size 1
    random: tuple = ()  # A, G and douts of the random draws, once those are one per output entry
    was_right: bool = False  # by those

    @property
    def drawn(self):
        """Backward, numerical and upstream for the random draws."""
        return self.random or (self.A, self.G, self.douts)

    @property
    def weight(self):
        """Whether it is a parameter, kept or given: an input that has no axis of samples."""
        return (self.param or self.index > 0 and self.value.ndim > 0
                and len(self.value) != self.m.batch)

    @property
    def shaped(self):
        return self.A.shape == self.G.shape

    @property
    def right(self):
        if not self.shaped or close(self.A, self.G, self.m.tolerance, self.noise, self.slack):
            return self.shaped
        if self.was_right:
            return True
        # Tiny gradients of saturated layers: rounding inside the layer, at values about 1, that its
        # output does not show.
        vanishes = np.abs(self.m.y).max(initial=0) < 1e-10 * np.abs(self.value).max(initial=0)
        return bool(np.nanmax(np.abs(self.A - self.G)) < 1e-9) and (vanishes
                or close(self.A, self.G, 1e-2))

    def wrong(self):
        """Where the shapes agree: the entries that are wrong in any draw."""
        scale = max(np.nanmax(np.abs(self.G)), np.abs(self.A).max())
        return np.any(np.abs(self.A - self.G) > self.m.tolerance * scale + self.noise + self.slack,
                      axis=0)


@dataclass
class Measurement:
    """One check at one point: the subject, its output and the Evidence for each array."""
    subject: object
    y: np.ndarray
    targets: list
    # (where, numerical gradient for the first dout, is it a parameter) of those that did not come
    missing: list
    error: object = None  # backward's exception
    # what there is to know of the arrays where backward raised
    failed: list = field(default_factory=list)
    sampled: bool = False
    backwards: list | None = None  # what came back for each random draw
    douts: np.ndarray | None = None  # the draws
    tolerance: float = TOLERANCE  # relative to an array's largest entry
    repairs: dict = field(default_factory=dict)  # {where: the Repair that makes it right}
    corrections: list = field(default_factory=list)  # of all of it, where no change heals
    overwrites: bool = True  # whether backward's text assigns to parts of arrays
    settled: bool = False  # whether with the repairs a second backward gives the same

    @property
    def right(self):
        return self.error is None and not self.missing and all(e.right for e in self.targets)

    def draw(self, seed):
        """Another upstream gradient."""
        return np.random.default_rng(seed).normal(size=self.y.shape)

    @property
    def batch(self):
        x = next((x for x in self.subject.inputs if isinstance(x, np.ndarray) and x.ndim), None)
        return len(x) if x is not None else 1


def close(P, Q, tol=1e-5, noise=0.0, slack=0.0):
    """P and Q agree relative to their largest entry, and but for ``slack``; entries of Q that are
    NaN were not measured. False for NaN in P."""
    known = ~np.isnan(Q)
    if not np.isfinite(P).all():
        return False
    P, Q, slack = P[known], Q[known], np.broadcast_to(slack, Q.shape)[known]
    return bool(P.size == 0 or (np.abs(P - Q) - slack).max() <= tol * max(np.abs(P).max(),
            np.abs(Q).max()) + noise)


def agree(p, q):
    """Whether two gradients are the same, one that is missing or not finite included."""
    if p is None or q is None or p.shape != q.shape:
        return p is q
    return np.array_equal(p, q, equal_nan=True) or close(q, p, 1e-9, 1e-12)


def alike(one, two):
    """Whether two Backwards agree in all."""
    return all(map(agree, one.all, two.all))


def suspect(f, x, y, dout, A, rng):
    """Entries to look at in a large array: if the derivative in a random direction disagrees with
    backward's, halve the set of entries that move until one is left; it comes with its neighbours
    along each axis."""
    v = rng.normal(size=x.size)
    h = STEP * max(1.0, np.abs(x).max()) / np.sqrt(x.size)
    noise = 20 * EPS * np.sqrt((dout**2 * (y**2)).sum()) / h + 1e-7 * np.abs(A).max() * np.sqrt(
        x.size
    )

    def off(low, high):
        """How far backward and numbers disagree about moving the entries low..high at random."""
        before = x.flat[low:high]
        part = v[low:high]
        x.flat[low:high] = before + h * part
        up = f()
        x.flat[low:high] = before - h * part
        down = f()
        x.flat[low:high] = before
        return abs(np.sum(dout * (up - down)) / (2 * h) - A.flat[low:high] @ part)

    low, high = 0, x.size
    if not off(low, high) > noise:
        return []
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if off(low, middle) >= off(middle, high) else (middle, high)
    strides = np.cumprod([1, *x.shape[:0:-1]])
    return [low, *(low + k * s for s in strides for k in (-1, 1) if 0 <= low + k * s < x.size)]


def rightly(A, J, douts, noise):
    """Whether the first random draw agrees already."""
    G = douts[0].reshape(-1) @ J
    if np.any(A[0]) and noise > 1e-4 * np.abs(J).max(initial=0):
        return False
    return (A[0].size == G.size and np.isfinite(J).all()
            and close(A[0].reshape(-1), G, TOLERANCE / 10, noise))


def steadier(f, x, y, J, K, noise):
    """The Jacobian with, for each column, the step that is steadiest: which agrees best with twice
    that step. For functions that bend sharply or that the usual step leaves (log near 0), and for
    derivatives that are small beside the value."""
    few = list(range(0, x.size, max(1, x.size // 6)))
    twice = numeric(f, x, y, few, 2 * STEP)[0]
    if (
        np.isfinite(J).all()
        and np.abs(twice - J[:, few]).max(initial=0)
        <= 1e-7 * np.abs(J).max() + noise
        < 1e-6 * np.abs(J).max()
    ):
        return J, K, noise
    tried, doubts = [], []
    for factor, floor in ((STEP, None), (STEP, 1.0), (1e-4, 1.0), (1e-3, 1.0), (STEP, 1e-2),
                          (STEP, 1e-4), (STEP, 1e-6), (1e-4, 0.0)):
        one, two = (numeric(f, x, y, range(x.size), k * factor, floor) for k in (1, 2))
        tried.append(one)
        doubts.append(np.where(np.isfinite(two[0] + one[0]).all(axis=0),
                               np.abs(two[0] - one[0]).max(axis=0) / 3 + one[2], np.inf))
    doubts = np.array(doubts)
    # the usual step, unless another one is clearly better
    doubts[0] /= 5
    best, every = np.argmin(doubts, axis=0), np.arange(x.size)
    J, K = (np.array([t[k] for t in tried])[best, :, every].T for k in (0, 1))
    doubt = doubts[best, every]
    # no step is steady: the function jumps here
    jumps = doubt > 1e-2 * np.abs(J).max(axis=0, initial=0)
    K = np.where(jumps, np.abs(J) + 1, K)
    return J, K, max(noise, doubt[doubt < 1e-4 * np.abs(J).max(initial=0)].max(initial=0))


def tried(f, y):
    """f(), flat; NaN where f refuses the step."""
    try:
        return f().reshape(-1)
    except Exception:
        return np.full(y.size, np.nan)


def numeric(f, x, y, entries, eps=None, floor=None):
    """The Jacobian's columns for some entries of x (changed in place and restored), how rough its
    slope is, and its noise."""
    columns, kinks, noise = [], [], 1e-15
    if floor is None:
        floor = float(np.clip(np.abs(x).max(initial=0), 1e-3, 1))
    flat, level = x.flat, np.abs(y).max(initial=0) * EPS
    for i in entries:
        before = flat[i]
        h = (eps or STEP) * (max(floor, abs(before)) or 1.0)
        flat[i] = above = before + h
        up = tried(f, y)
        flat[i] = below = before - h
        down = tried(f, y)
        flat[i] = before
        columns.append((up - down) / (above - below))
        kinks.append(
            (up - y.reshape(-1)) / (above - before) - (y.reshape(-1) - down) / (before - below)
        )
        noise = max(noise, 4 * level / h)
    return np.array(columns).T.reshape(y.size, -1), np.array(kinks).T.reshape(y.size, -1), noise


def arrays_of(subject, only=None):
    """(where, index, is it a parameter, the array) for each float input and each parameter."""
    arrays = [(subject.name(i, False), i, False, x)
              for i, x in enumerate(subject.inputs[: getattr(subject.work, "answers", None)])
              if is_float(x) and x.size]
    arrays += [(subject.name(i, True), i, True, p) for i, p in enumerate(subject.params)]
    return [a for a in arrays if only is None or a[0] in only]


def effort(subject):
    """About how many seconds a forward takes, the same on every machine, busy or not: 2 µs for each
    line of Python that runs, 5 ns for each number that the layer holds."""
    shapes = tuple(np.shape(x) for x in subject.inputs)
    if shapes not in subject.efforts:
        lines = lines_run(subject.output, lambda *_: True)
        held = sum(a.size for a in subject.arrays())
        subject.efforts[shapes] = 2e-6 * lines + 5e-9 * held
    return subject.efforts[shapes]


def measure(subject, rng, units=True, eps=None, only=None, draws=3, plain=False):
    """Measure everything; ``units``: with the Jacobians of what is wrong, where the layer is small
    enough; ``plain``: for dout of ones."""
    y, seconds = subject.output(), effort(subject)
    scalar = y.ndim == 0
    arrays = arrays_of(subject, only)
    size = sum(a[3].size for a in arrays)
    sampled = size * y.size > FULL or 2 * size * seconds > 2.0
    if not subject.takes_dout or plain:
        douts = np.ones((1, *y.shape))
    elif scalar:
        douts = rng.uniform(0.5, 2, draws)
    else:
        douts = rng.normal(size=(draws, *y.shape))
    m = Measurement(subject, y, [], [], sampled=sampled, tolerance=subject.tolerance)
    m.douts = douts
    m.backwards = [subject.gradients(d) for d in douts]
    if isinstance(m.backwards[0].error, ValueError) and not subject.recording:
        subject.recording = True  # perhaps a gradient of the wrong shape was written: see which
        subject.restart()
        m.backwards = [subject.gradients(d) for d in douts]
        arrays = arrays_of(subject, only)
    m.error = m.backwards[0].error
    for where, i, param, x in arrays:
        got = [(b.params if param else b.inputs) for b in m.backwards]
        A = [g[i] if i < len(g) else None for g in got]
        n = int(np.clip(0.5 / max(seconds, 1e-9) / len(arrays), 4, SAMPLE))
        entries = (np.unique(rng.integers(x.size, size=n)) if sampled and x.size > n
                   else range(x.size))
        others = [g for k, g in enumerate(got[0]) if 0 < k != i and g is not None]
        target = scalar and i > 0 and not param and A[0] is None and not others  # a loss's
        unread = [v for v in left_unread(subject, douts[0]) if np.shape(v) == x.shape
                  ] if target else ()
        if target and not unread:
            continue
        x = x if param else np.array(x)

        def f(i=i, param=param, x=x):
            inputs = subject.inputs
            return subject.output(inputs if param else inputs[:i] + (x,) + inputs[i + 1 :],
                                  watch=False)

        if target:  # no target, if its gradient is computed and not handed on
            G = douts[0] * numeric(f, x, y, range(x.size))[0].reshape(x.shape)
            if any(close(v, G) for v in unread):
                m.missing.append((where, G, param))
            continue
        if sampled and A[0] is not None and A[0].shape == x.shape:
            entries = np.union1d(entries, suspect(f, x, y, douts[0], A[0], rng)).astype(int)
        J, K, noise = numeric(f, x, y, entries, eps)
        quick = 16 * x.size * seconds < 2.0
        if (A[0] is not None and quick and not sampled and eps is None
            and not rightly(A, J, douts, noise)):
            J, K, noise = steadier(f, x, y, J, K, noise)
        G = np.full((len(douts), x.size), np.nan)
        G[:, list(entries)] = douts.reshape(len(douts), -1) @ J
        G = G.reshape(len(douts), *x.shape)
        # Where only the second derivative jumps, as Huber's does, the slope lies between the
        # one-sided differences.
        slack = np.zeros(x.size)
        slack[list(entries)] = (np.abs(douts.reshape(len(douts), -1)) @ np.abs(K)).max(axis=0) / 2
        slack = np.where(slack < 1e-5 * np.nanmax(np.abs(G), initial=0), slack, 0).reshape(x.shape)
        level = noise
        noise *= 3 * max(1, np.sqrt((douts**2).reshape(len(douts), -1).sum(axis=1)).max())
        rough = np.zeros(x.size, bool)
        rough[list(entries)] = np.any(np.abs(K) > 1e-3 * np.abs(J).max(initial=0) + 100 * noise,
                                      axis=0)
        largest = np.nanmax(np.abs(G), initial=0)
        if m.error is not None:
            A = [np.empty(0)] * len(douts)
        elif A[0] is None or (param and not np.any(A[0]) and largest > noise
                              and untouched(subject, i, douts[0])):
            if largest > 10 * noise or A[0] is None and param:
                m.missing.append((where, G[0], param))
            continue
        if any(a is None or a.shape != A[0].shape for a in A):
            A = [A[0]] * len(A)
        e = Evidence(where, np.array(x), np.array(A), G, douts, noise, m, rough.reshape(x.shape),
                     None if sampled else J, i, param, slack=slack, level=level)
        (m.targets if m.error is None else m.failed).append(e)
    if (units and not sampled and m.error is None and not scalar and subject.takes_dout
        and any(not e.right for e in m.targets)):
        unit_draws(subject, m)
    return m


def left_unread(subject, dout):
    """What backward computes, gives a name, and never reads."""
    for code, values in running(lambda: subject.backward(dout)).items():
        with contextlib.suppress(OSError, TypeError, SyntaxError):
            yield from (values[n] for n in names_unread(Function(code).tree) if n in values)


def untouched(subject, i, dout):
    """Whether backward leaves grads[i] as it found it: a strange number put there stays."""
    grads = getattr(subject.work, "grads", None)
    if not grads or i >= len(grads) or not isinstance(grads[i], np.ndarray):
        return True
    before = grads[i].copy()
    grads[i][...] = 7.7
    after = subject.gradients(dout, cleared=False).params
    stays = i < len(after) and after[i] is not None and np.all(after[i] == 7.7)
    grads[i][...] = before
    return bool(stays)


def unit_draws(subject, m):
    """Replace the random draws by one per output entry wherever something is wrong."""
    units = np.eye(m.y.size)
    rows = [subject.gradients(unit) for unit in units]
    for e in m.targets:
        A = [b.of(e) for b in rows]
        if any(a is None or a.shape != e.A.shape[1:] for a in A):
            continue
        e.was_right, e.random, e.noise = e.right, (e.A, e.G, e.douts), 3 * e.level
        e.A, e.G, e.unit = np.array(A), e.J.reshape(m.y.size, *e.value.shape), True
        e.douts = units.reshape(m.y.size, *m.y.shape)


def again(e, inputs=None, units=False):
    """The same array's evidence at other inputs, or with the parameters as they now stand."""
    subject = e.m.subject
    kept = subject.inputs
    try:
        if inputs is not None:
            subject.inputs = inputs
        m = measure(subject, np.random.default_rng(1), units=units, only=(e.where,))
        return m.targets[0] if m.targets and m.error is None else None
    except Exception:
        return None
    finally:
        subject.inputs = kept


def arrays_in(objects):
    return [o for o in objects if isinstance(o, np.ndarray)]
