"""The gates of LSTM and GRU as loops, in the place of the rules in common/engine/recurrence.py.

On the way back all factors are made on the spot; ``slopes``, which makes them for every step at
once, has nothing to do: a fifth to a seventh of the time. A tanh is NumPy's. Each loop over a row
writes one array, or the compiler makes no vectors of it.
"""
import numpy as np

from . import Loop


class LSTM:
    def __init__(self, H, dtype):
        self.scale = np.repeat(np.array([0.5, 0.5, 1, 0.5], dtype), H)
        self.shift = 1 - self.scale

    def step(self, a, q, memo, old, new):
        add_and_scale(a, q, self.scale)
        np.tanh(a, out=a)
        lstm_state(a, self.scale, self.shift, old[1], new[1])
        np.tanh(new[1], out=memo)
        np.multiply(a[:, 3 * memo.shape[1]:], memo, out=new[0])

    def slopes(self, gates, memo, old, new):
        return gates, memo, old[1]

    def step_back(self, da, dq, dstate, gates, memo, c):
        lstm_back(gates, memo, c, dstate[0], dstate[1], da)


class GRU:
    def __init__(self, H, dtype):
        self.scale = np.full(2 * H, 0.5, dtype)

    def step(self, a, q, memo, old, new):
        gates = a[:, :len(self.scale)]
        add_and_scale(gates, q, self.scale)
        np.tanh(gates, out=gates)
        gru_proposal(a, q, memo)
        n = a[:, len(self.scale):]
        np.tanh(n, out=n)
        gru_state(a, old[0], new[0])

    def slopes(self, gates, memo, old, new):
        return gates, memo, old[0]

    def step_back(self, da, dq, dstate, gates, memo, h):
        gru_back(gates, memo, h, dstate[0], da, dq)


@Loop
def add_and_scale(a, q, scale):
    for n in range(len(a)):
        row, other = a[n], q[n]
        for k in range(len(scale)):
            row[k] = (row[k] + other[k]) * scale[k]


@Loop
def lstm_state(a, scale, shift, c, c_new):
    H = c.shape[1]
    for n in range(len(a)):
        row, old, new = a[n], c[n], c_new[n]
        for k in range(4 * H):
            row[k] = row[k] * scale[k] + shift[k]
        i, f, g = row[:H], row[H:], row[2 * H:]
        for k in range(H):
            new[k] = f[k] * old[k] + i[k] * g[k]


@Loop
def lstm_back(gates, tanh_c, c, dh, dc, da):
    """dc becomes that of the old state, dh zero."""
    H, one = c.shape[1], c.dtype.type(1)
    for n in range(len(c)):
        i, f, g, o = gates[n], gates[n, H:], gates[n, 2 * H:], gates[n, 3 * H:]
        di, df, dg, do = da[n], da[n, H:], da[n, 2 * H:], da[n, 3 * H:]
        old, t, h, s = c[n], tanh_c[n], dh[n], dc[n]
        for k in range(H):
            s[k] += h[k] * (o[k] * (one - t[k] * t[k]))
        for k in range(H):
            di[k] = s[k] * (g[k] * (i[k] - i[k] * i[k]))
        for k in range(H):
            df[k] = s[k] * (old[k] * (f[k] - f[k] * f[k]))
        for k in range(H):
            dg[k] = s[k] * (i[k] * (one - g[k] * g[k]))
        for k in range(H):
            do[k] = h[k] * (t[k] * (o[k] - o[k] * o[k]))
        for k in range(H):
            s[k] *= f[k]
        for k in range(H):
            h[k] = 0


@Loop
def gru_proposal(a, q, memo):
    """The gates from their tanh; memo = q_n, and a_n + r q_n."""
    H, half = memo.shape[1], memo.dtype.type(0.5)
    for m in range(len(a)):
        r, n, q_n, kept = a[m], a[m, 2 * H:], q[m, 2 * H:], memo[m]
        for k in range(2 * H):
            r[k] = half * r[k] + half
        for k in range(H):
            kept[k] = q_n[k]
        for k in range(H):
            n[k] += r[k] * kept[k]


@Loop
def gru_state(a, h, h_new):
    H = h.shape[1]
    for m in range(len(a)):
        z, n, old, new = a[m, H:], a[m, 2 * H:], h[m], h_new[m]
        for k in range(H):
            new[k] = (old[k] - n[k]) * z[k] + n[k]


@Loop
def gru_back(gates, q_n, h, dh, da, dq):
    """dh becomes that part of the old state's which does not go through q."""
    H, one = h.shape[1], h.dtype.type(1)
    for m in range(len(h)):
        r, z, n = gates[m], gates[m, H:], gates[m, 2 * H:]
        dr, dz, dn, through = da[m], da[m, H:], da[m, 2 * H:], dq[m]
        old, q, d = h[m], q_n[m], dh[m]
        for k in range(H):
            dn[k] = d[k] * ((one - z[k]) * (one - n[k] * n[k]))
        for k in range(H):
            dr[k] = dn[k] * (q[k] * (r[k] - r[k] * r[k]))
        for k in range(H):
            dz[k] = d[k] * ((old[k] - n[k]) * (z[k] - z[k] * z[k]))
        for k in range(2 * H):
            through[k] = dr[k]
        last = through[2 * H:]
        for k in range(H):
            last[k] = dn[k] * r[k]
        for k in range(H):
            d[k] *= z[k]
