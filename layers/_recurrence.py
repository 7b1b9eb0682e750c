"""The recurrence, written once: recurrent.py states the formula of one step, here it runs over one step or many.

Time is the first axis in here, so that a step is one stretch of memory. All that does not need the step before is done
for every step at once, outside the loop: x Wx + b and the derivatives of the gates before it, dWx, dWh, db and dx after
it. In the loop remains one product a step, h Wh on the way there and dq Whᵀ on the way back, for all gates together.
"""
import numpy as np

from ..common import checks, initializers
from ..common.layer import Layer
from ..common.rng import generator
from ..common.threads import product
from ._masks import boolean


class Cell(Layer):
    """One step. A subclass says how many gates it has and what its state is called, and states three formulas:

    - ``step(a, q, memo, old, new)``: given a = x Wx + b and q = h Wh (N, G·H), write the new state, overwrite ``a`` by
      the gates, and keep in ``memo`` (N, H) one value more if backward needs it;
    - ``slopes(gates, memo, old, new)``: all factors of the gradients that are known beforehand, a tuple of arrays;
      every argument may have more leading axes;
    - ``step_back(da, dq, dstate, *slopes)``: given the gradient of the new state, write those of a and q and overwrite
      ``dstate`` by that of the old state, except for what reaches h through q. Without a bias of its own q only ever
      occurs in a + q: then ``dq`` is ``da``.
    """
    gates = 1
    biases = 1
    state_names = ("h",)

    def __init__(self, Wx, Wh, b):
        """Raises ValueError unless the shapes are those in the class's docstring; all of one float dtype."""
        checks.needed(type(self).__name__, Wx=Wx, Wh=Wh, b=b)
        super().__init__(Wx=Wx, Wh=Wh, b=b)
        self.check_parameters()

    def check_parameters(self):
        who, (Wx, Wh, *biases) = type(self).__name__, self.params
        checks.array(who, "Wh", Wh, shape=("H", "G"))
        H, G = len(Wh), self.gates * len(Wh)
        checks.array(who, "Wh", Wh, shape=(H, G))
        checks.array(who, "Wx", Wx, shape=("D", G))
        for name, b in zip(self.names[2:], biases):
            checks.array(who, name, b, shape=(G,))

    @classmethod
    def init(cls, n_in, n_hidden, rng=None, initializer=initializers.xavier,
             recurrent_initializer=initializers.orthogonal, dtype=np.float32, **options):
        """A layer from D = n_in values to H = n_hidden: fresh Wx and Wh, drawn for each gate by itself, biases of zeros."""
        who = cls.__name__
        checks.counts(who, n_in=n_in, n_hidden=n_hidden)
        rng = generator(who, rng)
        draws = (initializer, n_in, "initializer"), (recurrent_initializer, n_hidden, "recurrent_initializer")
        Wx, Wh = (np.concatenate([initializers.weights(who, draw, (n, n_hidden), rng, dtype, name) for _ in range(cls.gates)],
                                 axis=1) for draw, n, name in draws)
        return cls(Wx, Wh, *(np.zeros(cls.gates * n_hidden, Wx.dtype) for _ in range(cls.biases)), **options)

    def forward(self, x, *state):
        (Wx, Wh, *_), names = self.params, self.state_names
        x = self.accept(x, shape=("N", len(Wx)))
        if len(state) != len(names):
            raise TypeError(checks.wrong(type(self).__name__, "forward", f"be given x, {', '.join(names)}",
                                         f"{1 + len(state)} inputs"))
        state = [self.accept(s, shape=(len(x), len(Wh)), name=name) for s, name in zip(state, names)]
        return single(self.run(x[None], state)[:, 1].copy())

    def backward(self, dout):
        x, *_ = self.recall()
        dx, dstate = self.run_back(None, self.stacked(dout, x.shape[1], "dout"))
        return None if dx is None else dx[0], *dstate

    def stacked(self, state, N, name):
        """A state, h or the tuple (h, c), as one new array (S, N, H); None stands for zeros."""
        who, names, (Wx, Wh) = type(self).__name__, self.state_names, self.params[:2]
        array = np.zeros((len(names), N, len(Wh)), Wx.dtype)
        if len(names) > 1 and state is not None and not (isinstance(state, (tuple, list)) and len(state) == len(names)):
            got = type(state).__name__ + (f" of length {len(state)}" if isinstance(state, (tuple, list)) else "")
            raise TypeError(checks.wrong(who, name, f"be a tuple ({', '.join(names)})", got))
        for row, part in zip(array, (state,) if len(names) == 1 else state or ()):
            if part is not None:
                row[...] = self.accept(part, shape=row.shape, name=name)
        return array

    def run(self, x, state, mask=None):
        """All states (S, T + 1, N, H), the first one given, over x (T, N, D). Where mask (T, N) is False a state stays."""
        (Wx, Wh, b, *bh), (T, N, D) = self.params, x.shape
        a = product(x.reshape(T * N, D), Wx)
        a += b
        a = a.reshape(T, N, -1)
        memo = np.empty((T, N, len(Wh)), a.dtype)
        states = np.empty((len(state), T + 1, N, len(Wh)), a.dtype)
        states[:, 0] = state
        for t in range(T):
            old, new = states[:, t], states[:, t + 1]
            q = old[0].dot(Wh)
            if bh:
                q += bh[0]
            self.step(a[t], q, memo[t], old, new)
            if mask is not None:
                np.copyto(new, old, where=~mask[t, :, None])
        self.cache = x, a, memo, states, mask
        return states

    def run_back(self, dout, dstate):
        """dL/dx (T, N, D) and dL/d(first state) (S, N, H), given dL/dh of each step (T, N, H), or None, and dL/d(last
        state), which is overwritten. Fills ``grads``."""
        (Wx, Wh, *_), (dWx, dWh, db, *dbh) = self.params, self.grads
        x, a, memo, states, mask = self.recall()
        T, N, D = x.shape
        slopes = self.slopes(a, memo, states[:, :-1], states[:, 1:])
        da = np.empty_like(a)
        dq = np.empty_like(a) if dbh else da
        WhT = Wh.T.copy()
        for t in reversed(range(T)):
            if dout is not None:
                dstate[0] += dout[t]
            if mask is not None:
                kept = dstate[:, ~mask[t]]
            self.step_back(da[t], dq[t], dstate, *(s[t] for s in slopes))
            if mask is not None:
                da[t, ~mask[t]] = dq[t, ~mask[t]] = 0
                dstate[:, ~mask[t]] = kept
            dstate[0] += dq[t].dot(WhT)
        da, dq, h = da.reshape(T * N, -1), dq.reshape(T * N, -1), states[0, :-1].reshape(T * N, -1)
        ones = np.ones(T * N, a.dtype)
        product(x.reshape(T * N, D).T, da, out=dWx)
        product(h.T, dq, out=dWh)
        np.dot(ones, da, out=db)
        if dbh:
            np.dot(ones, dq, out=dbh[0])
        return product(da, Wx.T).reshape(x.shape) if self.input_gradient else None, dstate


class OverTime(Cell):
    """A cell over a sequence, x (N, T, D) to all its h (N, T, H). RNN's docstring explains options, mask and states."""

    def __init__(self, Wx, Wh, b, stateful=False, initial_state=None, reverse=False):
        super().__init__(Wx, Wh, b)
        self.set_options(stateful, initial_state, reverse)

    def set_options(self, stateful, initial_state, reverse):
        who = type(self).__name__
        self.stateful, self.reverse = checks.flag(who, "stateful", stateful), checks.flag(who, "reverse", reverse)
        self.initial_state = initial_state
        self.state = self.dstate = None

    def reset_state(self):
        """Forget the state of the last call: the next one starts from ``initial_state`` or zeros."""
        self.state = None

    def forward(self, x, mask=None):
        x = self.accept(x, shape=("N", "T", len(self.params[0])))
        first, x = self.first_state(len(x)), self.time_first(x)
        if mask is not None:
            mask = self.time_first(boolean(type(self).__name__, "mask", mask, x.shape[1::-1]))
            x[~mask] = 0                 # padding may hold anything, NaN too, and 0 · NaN would be NaN
        states = self.run(x, first, mask)
        self.state = single(states[:, -1].copy())
        h = states[0, 1:]
        return self.batch_first(h if mask is None else h * mask[..., None])

    def backward(self, dout, dstate=None):
        x, _, _, states, mask = self.recall()
        T, N, _ = x.shape
        if dout is not None:
            dout = self.time_first(self.upstream(dout, (N, T, states.shape[-1]), states.dtype))
            if mask is not None:
                dout[~mask] = 0
        dx, dfirst = self.run_back(dout, self.stacked(dstate, N, "dstate"))
        self.dstate = single(dfirst)
        dx = None if dx is None else self.batch_first(dx)
        return dx if mask is None else (dx, None)

    def first_state(self, N):
        if not self.stateful or self.state is None:
            return self.stacked(self.initial_state, N, "initial_state")
        h = self.state if len(self.state_names) == 1 or not isinstance(self.state, (tuple, list)) else self.state[0]
        carried = len(h) if np.ndim(h) == 2 else N                  # else stacked says what a state is
        if carried != N:
            raise ValueError(checks.wrong(type(self).__name__, "x", f"have the batch size of the state carried on, {carried}",
                                          N, "reset_state() forgets that state, of all layers in a model "
                                          "chainrule.common.layer.reset_states(model); where batches do not follow each "
                                          "other, stateful=False"))
        return self.stacked(self.state, N, "state")

    def time_first(self, x):
        x = x.swapaxes(0, 1)
        return (x[::-1] if self.reverse else x).copy()

    def batch_first(self, x):
        return (x[::-1] if self.reverse else x).swapaxes(0, 1).copy()


def single(state):
    """A state of one part as that part, of several as a tuple."""
    return state[0] if len(state) == 1 else tuple(state)
