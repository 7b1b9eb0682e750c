"""Recurrent layers: a state h that each step of a sequence makes from the state before and the step's input.

A class with "Cell" in its name is one step; without, the same over a sequence (_recurrence.py has the loop, and
backward through time). In every formula x is (N, D), h and c are (N, H), and Wx, Wh hold the gates side by side, each
H columns wide. Beside the weights of PyTorch's layers, which are transposed, Wx = weight_ih.T and Wh = weight_hh.T.
"""
import numpy as np

from ..common import checks
from ..common.functions import sigmoid
from ..common.layer import Layer
from ._recurrence import Cell, OverTime


class RNNCell(Cell):
    """h' = tanh(x Wx + h Wh + b).

    Shapes: x (N, D), h (N, H), Wx (D, H), Wh (H, H), b (H,). forward(x, h) returns h'; backward(dL/dh') returns
    (dL/dx, dL/dh).

    Backward. With s = x Wx + h Wh + b and tanh' = 1 - tanh²,

        dL/ds = dL/dh' · (1 - h'²)

    and from there as in Affine: dL/dWx = xᵀ dL/ds, dL/dWh = hᵀ dL/ds, dL/db = Σ_n dL/ds, dL/dx = dL/ds Wxᵀ,
    dL/dh = dL/ds Whᵀ. Over T steps dL/dh is multiplied by Whᵀ T times: it vanishes or explodes with Wh's singular
    values, which is what LSTM and GRU are for. Source: Elman, Finding structure in time (1990); Saito, Deep Learning
    from Scratch 2, chapter 5.

    >>> cell = RNNCell(Wx=np.array([[1.0]]), Wh=np.array([[0.5]]), b=np.zeros(1))
    >>> cell.forward(np.array([[1.0]]), np.array([[-2.0]]))
    array([[0.]])
    >>> cell.backward(np.array([[10.0]]))
    (array([[10.]]), array([[5.]]))
    """

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


class LSTMCell(Cell):
    """Long short-term memory. The state is a pair: h, the output, and c, the memory, which is only ever scaled and
    added to.

        i, f, g, o = σ, σ, tanh, σ of the four blocks of x Wx + h Wh + b
        c' = f · c + i · g
        h' = o · tanh c'

    i decides what is let in, f what is kept, o what is shown. Shapes: x (N, D), h and c (N, H), Wx (D, 4H), Wh (H, 4H),
    b (4H,), the gates in PyTorch's order (b is PyTorch's bias_ih + bias_hh). forward(x, h, c) returns (h', c');
    backward((dL/dh', dL/dc')) returns (dL/dx, dL/dh, dL/dc).

    Backward. c' is used twice, by h' and by the next step, so what comes from above adds up to

        dc' = dL/dc' + dL/dh' · o (1 - tanh² c')

    With σ' = σ (1 - σ) and s_i, s_f, s_g, s_o the blocks of x Wx + h Wh + b,

        dL/ds_i = dc' · g i (1 - i)      dL/ds_g = dc' · i (1 - g²)      dL/dc = dc' · f
        dL/ds_f = dc' · c f (1 - f)      dL/ds_o = dL/dh' · tanh c' · o (1 - o)

    and from the four side by side as in RNNCell. Source: Hochreiter and Schmidhuber, Long short-term memory (1997),
    with the forget gate of Gers, Schmidhuber and Cummins (2000); Saito, Deep Learning from Scratch 2, chapter 6.

    >>> cell = LSTMCell(Wx=np.zeros((1, 4)), Wh=np.zeros((1, 4)), b=np.array([0.0, 1000.0, 0.0, 1000.0]))
    >>> h, c = cell.forward(np.ones((1, 1)), np.zeros((1, 1)), np.array([[0.5]]))     # f = 1: keeps its memory
    >>> c, h.round(4)                                                                 # o = 1: h = tanh 0.5
    (array([[0.5]]), array([[0.4621]]))
    >>> cell.backward((None, np.ones((1, 1))))[2]
    array([[1.]])
    """
    gates = 4
    state_names = ("h", "c")

    def __init__(self, Wx, Wh, b):
        super().__init__(Wx, Wh, b)
        # σ(s) = ½ tanh(½ s) + ½, so that one tanh does all four blocks.
        self.scale = np.repeat(np.array([0.5, 0.5, 1, 0.5], b.dtype), len(Wh))
        self.shift = 1 - self.scale

    @classmethod
    def init(cls, n_in, n_hidden, *arguments, forget_bias=0.0, **options):
        """A layer with fresh weights, as for every cell, and biases of zeros, but the forget gate's are ``forget_bias``.

        With 1 a cell keeps most of its memory from the start (f = 0.73, not 0.5), and long sequences are learned sooner:
        Jozefowicz, Zaremba and Sutskever, An empirical exploration of recurrent network architectures (2015).
        """
        layer = super().init(n_in, n_hidden, *arguments, **options)
        layer.params[2][n_hidden:2 * n_hidden] = checks.number(cls.__name__, "forget_bias", forget_bias)
        return layer

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


class GRUCell(Cell):
    """The gated recurrent unit: one state, two gates, and a proposal n for the new state.

        r, z = σ of the first two blocks of x Wx + bx + h Wh + bh
        n = tanh(x Wx_n + bx_n + r · (h Wh_n + bh_n))        with the third blocks
        h' = (1 - z) · n + z · h

    r decides how much of the past the proposal sees, z how much of it stays. Shapes: x (N, D), h (N, H), Wx (D, 3H),
    Wh (H, 3H), bx and bh (3H,), gates and formula as in PyTorch. forward(x, h) returns h'; backward(dL/dh') returns
    (dL/dx, dL/dh).

    Backward. Write q_n = h Wh_n + bh_n. Then with s_r, s_z, s_n for what σ, σ and tanh are applied to,

        dL/ds_n = dL/dh' · (1 - z) (1 - n²)      dL/ds_r = dL/ds_n · q_n r (1 - r)
        dL/ds_z = dL/dh' · (h - n) z (1 - z)     dL/dq_n = dL/ds_n · r

    x Wx + bx has the gradient (dL/ds_r, dL/ds_z, dL/ds_n), h Wh + bh has (dL/ds_r, dL/ds_z, dL/dq_n), and

        dL/dh = (dL/ds_r, dL/ds_z, dL/dq_n) Whᵀ + dL/dh' · z

    Source: Cho et al., Learning phrase representations using RNN encoder-decoder (2014), with r after the product.

    >>> cell = GRUCell(Wx=np.zeros((1, 3)), Wh=np.zeros((1, 3)), bx=np.array([0.0, 1000.0, 0.0]), bh=np.zeros(3))
    >>> cell.forward(np.ones((1, 1)), np.array([[0.5]]))                       # z = 1: the state stays
    array([[0.5]])
    >>> cell.backward(np.ones((1, 1)))
    (array([[0.]]), array([[1.]]))
    """
    gates = 3
    biases = 2

    def __init__(self, Wx, Wh, bx, bh):
        checks.needed(type(self).__name__, Wx=Wx, Wh=Wh, bx=bx, bh=bh)
        Layer.__init__(self, Wx=Wx, Wh=Wh, bx=bx, bh=bh)
        self.check_parameters()

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
        return np.stack([by_n * q_n * (r - r * r), (h - n) * (z - z * z), by_n], axis=-2), by_n * r, z

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


class RNN(OverTime, RNNCell):
    """RNNCell over a sequence: h_t = tanh(x_t Wx + h_{t-1} Wh + b) for t = 1 ... T, all of them the output.

    Shapes: x (N, T, D), y (N, T, H), Wx (D, H), Wh (H, H), b (H,); mask (N, T).

    Backward through time. h_t is an output and goes into step t + 1 as well, so its gradient is the sum of both,

        dL/dh_t = dL/dy_t + dL/ds_{t+1} Whᵀ

    from the last step to the first, each by the cell's formula; dL/dWx, dL/dWh and dL/db are the sums over the steps.

    Options of RNN, LSTM and GRU, which may also be set as attributes between two calls:

    - ``initial_state``: h (N, H), for an LSTM the tuple (h, c); None: zeros;
    - ``stateful``: True: go on from the last call's state until ``reset_state()``. No gradient flows back into the call
      before: this is truncated back-propagation through time. The batch size must then stay the same;
    - ``reverse``: True: from the last step to the first. Beside one that runs forward, a bidirectional layer.

    ``state`` is the state after the last forward, ``dstate`` after backward the gradient of the first state.

    A mask is False at steps that are none, the padding behind a short sequence say: there the state stays as it was,
    the output is 0 and no gradient flows, whatever x holds there, so that ``state`` is the one after the last real step.
    For one vector per sequence put ``Sum(axis=1)`` behind; ``Mean(axis=1)`` would divide by the padding, too.

    backward(dout, dstate=None) also takes the gradient of ``state``, where that went on into another layer; it returns
    dL/dx or, if forward had a mask, (dL/dx, None).

    Raises ValueError for a sequence of length 0, for a mask or state of the wrong shape, and if the batch size changes
    while stateful; TypeError for a mask that is not boolean.

    >>> layer = RNN(Wx=np.array([[1.0]]), Wh=np.array([[0.5]]), b=np.zeros(1))
    >>> layer.forward(np.array([[[0.0], [1.0], [0.0]]])).round(4)
    array([[[0.    ],
            [0.7616],
            [0.3634]]])
    >>> layer.backward(np.array([[[0.0], [0.0], [1.0]]])).round(4)      # the last output's gradient, on its way back
    array([[[0.0911],
            [0.1823],
            [0.8679]]])
    >>> layer.state.round(4), layer.dstate.round(4)
    (array([[0.3634]]), array([[0.0456]]))
    """


class LSTM(OverTime, LSTMCell):
    """LSTMCell over a sequence: x (N, T, D) to all h (N, T, H). Options, mask, ``state`` and ``dstate`` as in RNN; a
    state is the tuple (h, c), each (N, H).

    Shapes: Wx (D, 4H), Wh (H, 4H), b (4H,), the gates in the order i, f, g, o.

    Backward through time. dL/dh_t is the sum of dL/dy_t and what reaches h_t through the gates of step t + 1; dL/dc_t
    comes from step t + 1 times f only, with no matrix in between: where f is near 1 it neither vanishes nor explodes.

    >>> layer = LSTM.init(3, 5, rng=0)
    >>> y = layer.forward(np.ones((2, 7, 3)))
    >>> h, c = layer.state
    >>> y.shape, np.array_equal(y[:, -1], h), c.shape
    ((2, 7, 5), True, (2, 5))
    >>> layer.backward(y).shape
    (2, 7, 3)
    """


class GRU(OverTime, GRUCell):
    """GRUCell over a sequence: x (N, T, D) to all h (N, T, H). Options, mask, ``state`` and ``dstate`` as in RNN.

    Shapes: Wx (D, 3H), Wh (H, 3H), bx and bh (3H,), the gates in the order r, z, n.

    Backward through time. dL/dh_t is the sum of dL/dy_t, what reaches h_t through the gates of step t + 1, and
    dL/dh_{t+1} times z, with no matrix in between: where z is near 1 it neither vanishes nor explodes.

    >>> layer = GRU.init(3, 5, rng=0)
    >>> y = layer.forward(np.ones((2, 7, 3)), np.arange(7) < np.array([[7], [4]]))       # the second: 4 steps long
    >>> np.array_equal(y[1, 3], layer.state[1]), np.array_equal(y[1, 4:], np.zeros((3, 5)))
    (True, True)
    """

    def __init__(self, Wx, Wh, bx, bh, stateful=False, initial_state=None, reverse=False):
        GRUCell.__init__(self, Wx, Wh, bx, bh)
        self.set_options(stateful, initial_state, reverse)
