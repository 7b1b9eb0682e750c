"""A recurrent cell run over a sequence, in one loop for all three kinds.

Time is the first axis in here, so that a step is one stretch of memory. All that does not need the
step before is done for every step at once, outside the loop: x Wx + b and the derivatives of the
gates before it, dWx, dWh, db and dx after it. In the loop remains one product a step, h Wh on the
way there and dq Whᵀ on the way back, for all gates together.
"""
import numpy as np

from ..functions import sigmoid
from . import compiled
from .products import column_sums, product, repeated, rows


def forward(kind, x, first, params, mask=None, reverse=False):
    """(y, last, cache), of sequences x (N, T, D) from the state ``first`` (S, N, H): every h (N, T,
    H), and the state after the last step. The loop, ``cell`` being the RNNCell, LSTMCell or GRUCell
    of these parameters:

        state = first
        for t in range(T):                                   # reversed(range(T)) if ``reverse``
            new = cell.forward(x[:, t], *state)
            state = np.where(mask[:, t, None], new, state)   # else the state stays
            y[:, t] = state[0] * mask[:, t, None]

    ``kind`` is Elman, LSTM or GRU; S = 2 for LSTM (h, c), else 1. Where the mask (N, T) is False x
    may hold anything, NaN too.
    """
    x = time_first(x, reverse)
    if mask is not None:
        mask = time_first(mask, reverse)
        x[~mask] = 0                                       # 0 · NaN would be NaN
    (Wx, Wh, b, *bh), (T, N, _), H = params, x.shape, len(params[1])
    a = product(x, Wx)
    a += b
    memo = np.empty((T, N, H), a.dtype)
    states = np.empty((len(first), T + 1, N, H), a.dtype)
    states[:, 0] = first
    if compiled.takes(a):
        from .compiled import recurrence as loops
        kind = getattr(loops, kind.__name__, kind)
    rule, times_Wh = kind(H, a.dtype), repeated(Wh, N, T)
    for t in range(T):
        old, new = states[:, t], states[:, t + 1]
        q = times_Wh(old[0])
        if bh:
            q += bh[0]
        rule.step(a[t], q, memo[t], old, new)
        if mask is not None:
            np.copyto(new, old, where=~mask[t, :, None])
    h = states[0, 1:]
    y = batch_first(h if mask is None else h * mask[..., None], reverse)
    return y, states[:, -1].copy(), (rule, x, a, memo, states, mask, reverse)


def backward(cache, dout, dstate, params, grads, dx=True):
    """(dL/dx, dL/dfirst) of ``forward``, given dL/dy, dout (N, T, H) or None, and dL/dlast, dstate
    (S, N, H), which is overwritten. Fills ``grads``. dL/dx is None if ``dx`` is False. The loop:

        for t in reversed(range(T)):
            dstate[0] += dout[:, t] * mask[:, t, None]
            dx[:, t], *dold = cell.backward(dstate)   # and its grads are added up
            dstate = np.where(mask[:, t, None], dold, dstate)
    """
    (Wx, Wh, *_), (dWx, dWh, db, *dbh) = params, grads
    rule, x, a, memo, states, mask, reverse = cache
    if dout is not None:
        dout = time_first(dout, reverse)
        if mask is not None:
            dout[~mask] = 0
    slopes = rule.slopes(a, memo, states[:, :-1], states[:, 1:])
    da = np.empty_like(a)
    dq = np.empty_like(a) if dbh else da
    back = repeated(Wh.T, a.shape[1], len(x))
    for t in reversed(range(len(x))):
        if dout is not None:
            dstate[0] += dout[t]
        if mask is not None:
            kept = dstate[:, ~mask[t]]
        rule.step_back(da[t], dq[t], dstate, *(s[t] for s in slopes))
        if mask is not None:
            da[t, ~mask[t]] = dq[t, ~mask[t]] = 0
            dstate[:, ~mask[t]] = kept
        dstate[0] += back(dq[t])
    product(rows(x).T, rows(da), out=dWx)
    product(rows(states[0, :-1]).T, rows(dq), out=dWh)
    column_sums(da, out=db)
    if dbh:
        column_sums(dq, out=dbh[0])
    return batch_first(product(da, Wx.T), reverse) if dx else None, dstate


def time_first(x, reverse):
    """``x.swapaxes(0, 1)``, each step a stretch of memory; the last one first if ``reverse``."""
    x = x.swapaxes(0, 1)
    return (x[::-1] if reverse else x).copy()


def batch_first(x, reverse):
    """The inverse of ``time_first``."""
    return (x[::-1] if reverse else x).swapaxes(0, 1).copy()


class Elman:
    """The rule of RNNCell, in three parts:

    - ``step(a, q, memo, old, new)``: given a = x Wx + b and q = h Wh (N, G), write the new state,
      overwrite ``a`` by the gates, and keep in ``memo`` (N, H) one value more if the way back needs
      it;
    - ``slopes(gates, memo, old, new)``: all factors of the gradients that are known beforehand, a
      tuple of arrays, for all steps at once;
    - ``step_back(da, dq, dstate, *slopes)``: given the gradient of the new state, write those of a
      and q and overwrite ``dstate`` by that of the old state, except for what reaches h through q.
      Without a bias of its own q only ever occurs in a + q: then ``dq`` is ``da``.
    """

    def __init__(self, H, dtype):
        pass

    def step(self, a, q, memo, old, new):
        a += q
        np.tanh(a, out=new[0])

    def slopes(self, gates, memo, old, new):
        h, = new
        return 1 - h * h,

    def step_back(self, da, dq, dstate, slope):
        dh, = dstate
        np.multiply(dh, slope, out=da)
        dh[...] = 0


class LSTM:
    """The rule of LSTMCell. σ(s) = ½ tanh(½ s) + ½, so that one tanh does all four blocks."""

    def __init__(self, H, dtype):
        self.scale = np.repeat(np.array([0.5, 0.5, 1, 0.5], dtype), H)
        self.shift = 1 - self.scale

    def step(self, a, q, memo, old, new):
        c, (h_new, c_new) = old[1], new
        a += q
        a *= self.scale
        np.tanh(a, out=a)
        a *= self.scale
        a += self.shift
        i, f, g, o = blocks(a, 4)
        np.multiply(f, c, out=c_new)
        c_new += i * g
        np.tanh(c_new, out=memo)
        np.multiply(o, memo, out=h_new)

    def slopes(self, gates, memo, old, new):
        (i, f, g, o), c, tanh_c = blocks(gates, 4), old[1], memo
        by_c = np.stack([g * (i - i * i), c * (f - f * f), i * (1 - g * g)], axis=-2)
        return by_c, tanh_c * (o - o * o), o * (1 - tanh_c * tanh_c), f

    def step_back(self, da, dq, dstate, by_c, o_by_h, c_by_h, f):
        dh, dc = dstate
        dc += dh * c_by_h
        ds = da.reshape(len(da), 4, -1)
        np.multiply(dc[:, None], by_c, out=ds[:, :3])
        np.multiply(dh, o_by_h, out=ds[:, 3])
        dc *= f
        dh[...] = 0


class GRU:
    """The rule of GRUCell."""

    def __init__(self, H, dtype):
        pass

    def step(self, a, q, memo, old, new):
        (h,), (h_new,), H = old, new, memo.shape[1]
        a[:, :2 * H] = sigmoid(a[:, :2 * H] + q[:, :2 * H])
        r, z, n = blocks(a, 3)
        memo[...] = q[:, 2 * H:]
        n += r * memo
        np.tanh(n, out=n)
        np.subtract(h, n, out=h_new)
        h_new *= z
        h_new += n

    def slopes(self, gates, memo, old, new):
        (r, z, n), (h,), q_n = blocks(gates, 3), old, memo
        by_n = (1 - z) * (1 - n * n)
        return (np.stack([by_n * q_n * (r - r * r), (h - n) * (z - z * z), by_n], axis=-2),
                by_n * r, z)

    def step_back(self, da, dq, dstate, gates_by_h, q_by_h, z):
        (dh,), H = dstate, z.shape[1]
        np.multiply(dh[:, None], gates_by_h, out=da.reshape(len(da), 3, H))
        dq[:, :2 * H] = da[:, :2 * H]
        np.multiply(dh, q_by_h, out=dq[:, 2 * H:])
        dh *= z


def blocks(a, count):
    """Views of ``count`` equal blocks of columns: (..., count · H) as ``count`` arrays (..., H)."""
    H = a.shape[-1] // count
    return [a[..., k * H:(k + 1) * H] for k in range(count)]
