"""Recurrent layers: a state h, which every step computes from the state before it and the step's
input.

A class with "Cell" in its name is one step; without, the same over a sequence. In the formulas of a
step x is (N, D), h and c are (N, H), and Wx (D, G), Wh (H, G) hold blocks of H columns side by
side, one for each gate or proposal: G = H for an RNN, 4H for an LSTM, 3H for a GRU. PyTorch stores
the transposes: Wx = weight_ih.T and Wh = weight_hh.T.
"""
from typing import Any, Self

import numpy as np

from ..common import checks, initializers
from ..common.engine import recurrence
from ..common.engine.products import column_sums, product
from ..common.engine.recurrence import blocks
from ..common.functions import sigmoid
from ..common.layer import Layer
from ..common.rng import generator
from ..common.types import Array, DType, Initializer, Seed, State
from .gates import Gates, Sequences, single


class Cell(Gates):
    """One step, from the state h to the next. A subclass states it, and the gradients of
    a = x Wx + b and q = h Wh (of a GRU h Wh + bh); the rest of its backward is that of two Affine
    layers, with Σ over the samples:

        dL/dWx = xᵀ dL/da        dL/db = Σ dL/da         dL/dx = dL/da Wxᵀ
        dL/dWh = hᵀ dL/dq        dL/dbh = Σ dL/dq        dL/dh = dL/dq Whᵀ

    Where only the sum s = a + q is used, dL/da = dL/dq = dL/ds.
    """

    def affine_back(self, x: Array, h: Array, da: Array, dq: Array) -> tuple[Array | None, Array]:
        (Wx, Wh, *_), (dWx, dWh, db, *dbh) = self.params, self.grads
        product(x.T, da, out=dWx)
        product(h.T, dq, out=dWh)
        column_sums(da, out=db)
        if dbh:
            column_sums(dq, out=dbh[0])
        return product(da, Wx.T) if self.input_gradient else None, product(dq, Wh.T)


class RNNCell(Cell):
    """h' = tanh(x Wx + h Wh + b).

    Shapes: x (N, D), h (N, H), Wx (D, H), Wh (H, H), b (H,). forward(x, h) returns h';
    backward(dL/dh') returns (dL/dx, dL/dh).

    Backward. With s = x Wx + h Wh + b and tanh' = 1 - tanh²,

        dL/ds = dL/dh' · (1 - h'²)

    The rest is as in Cell. On the way through T steps dL/dh is multiplied T times by tanh' and Whᵀ:
    it tends to vanish or to explode. LSTM and GRU were designed to keep it from vanishing; where it
    explodes, clipping bounds the gradients of the parameters. Source: Elman, Finding structure in
    time (1990); Saito, Deep Learning from Scratch 2, chapter 5.

    >>> cell = RNNCell(Wx=np.array([[1.0]]), Wh=np.array([[0.5]]), b=np.zeros(1))
    >>> cell.forward(np.array([[1.0]]), np.array([[-2.0]]))
    array([[0.]])
    >>> cell.backward(np.array([[10.0]]))
    (array([[10.]]), array([[5.]]))
    """
    shapes = "x (N, D), h (N, H), Wx (D, H), Wh (H, H), b (H) -> y (N, H)"

    def __init__(self, Wx: Array, Wh: Array, b: Array) -> None:
        super().__init__(Wx=Wx, Wh=Wh, b=b)

    def forward(self, x, h):
        Wx, Wh, b = self.params
        h_new = np.tanh(product(x, Wx) + product(h, Wh) + b)
        self.cache = x, h, h_new
        return h_new

    def backward(self, dout):
        x, h, h_new = self.cache
        ds = dout * (1 - h_new * h_new)
        return self.affine_back(x, h, ds, ds)


class LSTMCell(Cell):
    """Long short-term memory. The state is a pair: h, the output, and c, the memory, which is only
    ever scaled and added to.

        i, f, g, o = σ, σ, tanh, σ of the four blocks of x Wx + h Wh + b
        c' = f · c + i · g
        h' = o · tanh c'

    i decides what is let in, f what is kept, o what is shown. Shapes: x (N, D), h and c (N, H), Wx
    (D, 4H), Wh (H, 4H), b (4H,), the gates in PyTorch's order (b is PyTorch's bias_ih + bias_hh).
    forward(x, h, c) returns (h', c'); backward((dL/dh', dc_next)) returns (dL/dx, dL/dh, dL/dc).

    Backward. c' is used twice: the next step sends back dc_next, and h' adds its share,

        dL/dc' = dc_next + dL/dh' · o (1 - tanh² c')

    With σ' = σ (1 - σ) and s_i, s_f, s_g, s_o the blocks of x Wx + h Wh + b,

        dL/ds_i = dL/dc' · g i (1 - i)      dL/ds_g = dL/dc' · i (1 - g²)
        dL/ds_f = dL/dc' · c f (1 - f)      dL/ds_o = dL/dh' · tanh c' · o (1 - o)
        dL/dc = dL/dc' · f

    The rest is as in Cell, with the four side by side as dL/ds. Source: Hochreiter and Schmidhuber,
    Long short-term memory (1997), with the forget gate of Gers, Schmidhuber and Cummins (2000);
    Saito, Deep Learning from Scratch 2, chapter 6.

    >>> cell = LSTMCell(Wx=np.zeros((1, 4)), Wh=np.zeros((1, 4)), b=np.array([0.0, 1000.0, 0.0,
    ...     1000.0]))
    >>> h, c = cell.forward(np.ones((1, 1)), np.zeros((1, 1)), np.array([[0.5]]))
    >>> c, h.round(4)                                      # f = 1: c' = c; o = 1: h' = tanh 0.5
    (array([[0.5]]), array([[0.4621]]))
    >>> cell.backward((None, np.ones((1, 1))))[2]
    array([[1.]])
    """
    shapes = "x (N, D), h (N, H), c (N, H), Wx (D, G), Wh (H, G), b (G) -> y (N, H), c (N, H)"

    gates, state_names = 4, ("h", "c")

    def __init__(self, Wx: Array, Wh: Array, b: Array) -> None:
        super().__init__(Wx=Wx, Wh=Wh, b=b)

    @classmethod
    def init(
        cls, n_in: int, n_hidden: int, rng: Seed = None,
        initializer: Initializer = initializers.xavier,
        recurrent_initializer: Initializer = initializers.orthogonal, dtype: DType = np.float32,
        forget_bias: float = 0.0,
    ) -> Self:
        """A cell with fresh Wx and Wh, and biases of zeros except for the forget gate's.

        n_in, n_hidden: the sizes D of x (N, D) and H of h and c (N, H).
        rng: a Generator, a seed or None, to draw Wx and Wh with.
        initializer, recurrent_initializer: functions such as ``xavier`` and ``orthogonal`` of
            common/initializers.py, called for the parts (D, H) and (H, H) of each gate.
        dtype: np.float32 or np.float64, that of the parameters.
        forget_bias: each of the forget gate's biases. With 1 a cell keeps most of its memory from
            the start (f = 0.73, not 0.5), and long sequences are learned sooner: Jozefowicz,
            Zaremba and Sutskever, An empirical exploration of recurrent network architectures
            (2015).
        """
        layer = super().init(n_in, n_hidden, rng, initializer, recurrent_initializer, dtype)
        return with_forget_bias(layer, forget_bias)

    def forward(self, x, h, c):
        Wx, Wh, b = self.params
        s_i, s_f, s_g, s_o = blocks(product(x, Wx) + product(h, Wh) + b, 4)
        i, f, g, o = sigmoid(s_i), sigmoid(s_f), np.tanh(s_g), sigmoid(s_o)
        c_new = f * c + i * g
        tanh_c = np.tanh(c_new)
        self.cache = x, h, c, i, f, g, o, tanh_c
        return o * tanh_c, c_new

    def backward(self, dout):
        x, h, c, i, f, g, o, tanh_c = self.cache
        dh, dc_next = self.stacked("dout", dout, len(c))          # with zeros for a None
        dc = dc_next + dh * o * (1 - tanh_c * tanh_c)             # dL/dc'
        ds_i = dc * g * i * (1 - i)
        ds_f = dc * c * f * (1 - f)
        ds_g = dc * i * (1 - g * g)
        ds_o = dh * tanh_c * o * (1 - o)
        ds = np.concatenate([ds_i, ds_f, ds_g, ds_o], axis=1)
        return *self.affine_back(x, h, ds, ds), dc * f


class GRUCell(Cell):
    """The gated recurrent unit: one state, two gates, and a proposal n for the new state. With
    a = x Wx + bx and q = h Wh + bh, each in three blocks r, z, n,

        r, z = σ(a_r + q_r), σ(a_z + q_z)
        n = tanh(a_n + r · q_n)
        h' = (1 - z) · n + z · h

    r decides how much of the past the proposal sees, z how much of it stays. Shapes: x (N, D), h
    (N, H), Wx (D, 3H), Wh (H, 3H), bx and bh (3H,), gates and formula as in PyTorch. forward(x, h)
    returns h'; backward(dL/dh') returns (dL/dx, dL/dh).

    Backward. With σ' = σ (1 - σ) and tanh' = 1 - tanh²,

        dL/da_n = dL/dh' · (1 - z) (1 - n²)      dL/da_r = dL/da_n · q_n r (1 - r)
        dL/da_z = dL/dh' · (h - n) z (1 - z)     dL/dq_n = dL/da_n · r

    and dL/dq_r = dL/da_r, dL/dq_z = dL/da_z. The rest is as in Cell, with three blocks each in da
    and dq; h is also used for h' itself, so dL/dh = dL/dq Whᵀ + dL/dh' · z.

    Source: Cho et al., Learning phrase representations using RNN encoder-decoder (2014); but r
    multiplies q_n, after the product (as in PyTorch and cuDNN), not h before it.

    >>> cell = GRUCell(Wx=np.zeros((1, 3)), Wh=np.zeros((1, 3)), bx=np.array([0.0, 1000.0, 0.0]),
    ...     bh=np.zeros(3))
    >>> cell.forward(np.ones((1, 1)), np.array([[0.5]]))   # z = 1: the state stays
    array([[0.5]])
    >>> cell.backward(np.ones((1, 1)))
    (array([[0.]]), array([[1.]]))
    """
    shapes = "x (N, D), h (N, H), Wx (D, G), Wh (H, G), bx (G), bh (G) -> y (N, H)"

    gates, biases = 3, ("bx", "bh")

    def __init__(self, Wx: Array, Wh: Array, bx: Array, bh: Array) -> None:
        super().__init__(Wx=Wx, Wh=Wh, bx=bx, bh=bh)

    def forward(self, x, h):
        Wx, Wh, bx, bh = self.params
        a_r, a_z, a_n = blocks(product(x, Wx) + bx, 3)
        q_r, q_z, q_n = blocks(product(h, Wh) + bh, 3)
        r, z = sigmoid(a_r + q_r), sigmoid(a_z + q_z)
        n = np.tanh(a_n + r * q_n)
        self.cache = x, h, r, z, n, q_n
        return (1 - z) * n + z * h

    def backward(self, dout):
        x, h, r, z, n, q_n = self.cache
        da_n = dout * (1 - z) * (1 - n * n)
        da_z = dout * (h - n) * z * (1 - z)
        da_r = da_n * q_n * r * (1 - r)
        dq_n = da_n * r
        da = np.concatenate([da_r, da_z, da_n], axis=1)
        dq = np.concatenate([da_r, da_z, dq_n], axis=1)
        dx, dh = self.affine_back(x, h, da, dq)
        return dx, dh + dout * z


class Recurrent(Sequences):
    """Runs a cell over a sequence: from x (N, T, D) to all h_t (N, T, H). Written with a cell
    object for every step, ``cells[t]``, each with the same parameters and its own cache; ``state``
    and ``dstate`` are here lists, [h] or, for an LSTM, [h, c]. (RNNCell and GRUCell return h and
    take its gradient bare: for them read [h] and dstate[0].)

        for t in range(T):
            state = cells[t].forward(x[:, t], *state)
            y[:, t] = state[0]

    Backward through time. h_t is an output and goes into step t + 1 as well, so its gradient is the
    sum of both; each step's gradients of Wx, Wh and the biases are added up. ``dstate`` starts as
    the gradient of the last state, zeros unless given:

        for t in reversed(range(T)):
            dstate[0] += dy[:, t]
            dx[:, t], *dstate = cells[t].backward(dstate)
            grads = [g + dg for g, dg in zip(grads, cells[t].grads)]       # zeros at first

    ``recurrence.forward`` and ``recurrence.backward`` do this without the objects. Of the matrix
    products only h Wh and dL/dq Whᵀ stay in the loops: x Wx, dx and the gradients of the parameters
    are made for all steps at once. ``rule`` is the cell's formula in the form that they call,
    ``stacked`` a state as one array (S, N, H), S = 1 or, for an LSTM, 2, and ``single`` its
    inverse. Options, mask and states stand in RNN.
    """
    shapes = "x (N, T, D), mask? bool (N, T), Wx (D, G), Wh (H, G) -> y (N, T, H)"

    def forward(self, x, mask=None):
        first = self.first_state(len(x))
        y, last, kept = recurrence.forward(self.rule, x, first, self.params, mask, self.reverse)
        self.cache, self.state = (len(x), mask is not None, *kept), single(last)
        return y

    def backward(self, dout, dstate=None):
        N, masked, *kept = self.cache
        dlast = self.stacked("dstate", dstate, N)
        dx, dfirst = recurrence.backward(kept, dout, dlast, self.params, self.grads,
                                         self.input_gradient)
        self.dstate = single(dfirst)
        return (dx, None) if masked else dx


class RNN(Recurrent):
    """RNNCell over a sequence: h_t = tanh(x_t Wx + h_{t-1} Wh + b) for t = 1 ... T; the output is
    all of them.

    Shapes: x (N, T, D), y (N, T, H), Wx (D, H), Wh (H, H), b (H,); mask (N, T).

    Backward through time, from the last step to the first, as in Recurrent:

        dL/dh_t = dL/dy_t + dL/ds_{t+1} Whᵀ

    (at t = T the argument ``dstate`` stands for the last term). From dL/dh_t the cell's formula
    goes on; dL/dWx, dL/dWh and dL/db are the sums over the steps.

    Options of RNN, LSTM and GRU, which may also be set as attributes between two calls:

    - ``initial_state``: h (N, H), for an LSTM the tuple (h, c); None: zeros;
    - ``stateful``: True: go on from the last call's state until ``reset_state()``. No gradient
      flows back into the call before: this is truncated back-propagation through time. The batch
      size must then stay the same;
    - ``reverse``: True: from the last step to the first. ``Bidirectional`` puts such a layer beside
      one that runs forward.

    ``state`` is the state in which the latest forward ended; the attribute ``dstate``, after
    backward, is the gradient of the *first* state, from which forward started (the argument
    ``dstate`` of backward is that of the *last* one).

    A mask is False at padding steps, for example after a short sequence: there the state stays as
    it was, so its gradient passes through unchanged; the output and dL/dx are 0, whatever x holds.
    So ``state`` is the one after the last real step. For one vector per sequence take ``Last()``
    with the same mask, of a layer with ``reverse`` y[:, 0]; or ``Sum(axis=1)``, where
    ``Mean(axis=1)`` would divide by the padding, too.

    backward(dout, dstate=None) also takes the gradient of ``state``, where that went on into
    another layer; it returns dL/dx or, if forward had a mask, (dL/dx, None).

    Raises ValueError for a sequence of length 0, for a mask or state of the wrong shape, and if the
    batch size changes while stateful; TypeError for a mask that is not boolean.

    >>> layer = RNN(Wx=np.array([[1.0]]), Wh=np.array([[0.5]]), b=np.zeros(1))
    >>> layer.forward(np.array([[[0.0], [1.0], [0.0]]])).round(4)
    array([[[0.    ],
            [0.7616],
            [0.3634]]])
    >>> layer.backward(np.array([[[0.0], [0.0], [1.0]]])).round(4)       # of the last output alone
    array([[[0.0911],
            [0.1823],
            [0.8679]]])
    >>> layer.state.round(4), layer.dstate.round(4)
    (array([[0.3634]]), array([[0.0456]]))
    """
    rule = recurrence.Elman

    def __init__(
        self, Wx: Array, Wh: Array, b: Array, stateful: bool = False,
        initial_state: State | None = None, reverse: bool = False,
    ) -> None:
        super().__init__(stateful, initial_state, reverse, Wx=Wx, Wh=Wh, b=b)


class LSTM(Recurrent):
    """LSTMCell over a sequence: from x (N, T, D) to all h (N, T, H). Options, mask, states and
    errors as in RNN; a state is the tuple (h, c), each (N, H).

    Shapes: Wx (D, 4H), Wh (H, 4H), b (4H,), the blocks in the order i, f, g, o.

    Backward through time. Both parts of the state are used twice, in step t and in step t + 1:

        dL/dh_t = dL/dy_t + dL/ds_{t+1} Whᵀ
        dL/dc_t = dL/dh_t · o_t (1 - tanh² c_t) + dL/dc_{t+1} · f_{t+1}

    where at t = T ``dstate`` stands for the terms of step t + 1. Along c a gradient is multiplied
    by no matrix, only by f < 1: on this path it cannot explode, and where f is near 1 it shrinks
    slowly.

    >>> layer = LSTM.init(3, 5, rng=0)
    >>> y = layer.forward(np.ones((2, 7, 3)))
    >>> h, c = layer.state
    >>> y.shape, np.array_equal(y[:, -1], h), c.shape
    ((2, 7, 5), True, (2, 5))
    >>> layer.backward(y).shape
    (2, 7, 3)
    """
    rule, gates, state_names = recurrence.LSTM, 4, ("h", "c")

    def __init__(
        self, Wx: Array, Wh: Array, b: Array, stateful: bool = False,
        initial_state: State | None = None, reverse: bool = False,
    ) -> None:
        super().__init__(stateful, initial_state, reverse, Wx=Wx, Wh=Wh, b=b)

    @classmethod
    def init(
        cls, n_in: int, n_hidden: int, rng: Seed = None,
        initializer: Initializer = initializers.xavier,
        recurrent_initializer: Initializer = initializers.orthogonal, dtype: DType = np.float32,
        forget_bias: float = 0.0, stateful: bool = False, initial_state: State | None = None,
        reverse: bool = False,
    ) -> Self:
        """A layer with fresh Wx and Wh, and biases of zeros except for the forget gate's.

        n_in, n_hidden: the sizes D of x (N, T, D) and H of y (N, T, H).
        rng, initializer, recurrent_initializer, dtype, forget_bias: as in LSTMCell.init.
        stateful, initial_state, reverse: as in RNN's docstring.
        """
        layer = super().init(n_in, n_hidden, rng, initializer, recurrent_initializer, dtype,
                             stateful, initial_state, reverse)
        return with_forget_bias(layer, forget_bias)


class GRU(Recurrent):
    """GRUCell over a sequence: from x (N, T, D) to all h (N, T, H). Options, mask, states and
    errors as in RNN.

    Shapes: Wx (D, 3H), Wh (H, 3H), bx and bh (3H,), the blocks in the order r, z, n.

    Backward through time. h_t is used three times: as y_t, in q_{t+1} by r, z and n of the next
    step, and for h_{t+1} itself:

        dL/dh_t = dL/dy_t + dL/dq_{t+1} Whᵀ + dL/dh_{t+1} · z_{t+1}

    In the last term a gradient is multiplied by no matrix, only by z < 1: on this path it cannot
    explode, and where z is near 1 it shrinks slowly.

    >>> layer = GRU.init(3, 5, rng=0)
    >>> mask = np.arange(7) < np.array([[7], [4]])         # the second sequence has 4 steps
    >>> y = layer.forward(np.ones((2, 7, 3)), mask)
    >>> np.array_equal(y[1, 3], layer.state[1]), np.array_equal(y[1, 4:], np.zeros((3, 5)))
    (True, True)
    """
    rule, gates, biases = recurrence.GRU, 3, ("bx", "bh")

    def __init__(
        self, Wx: Array, Wh: Array, bx: Array, bh: Array, stateful: bool = False,
        initial_state: State | None = None, reverse: bool = False,
    ) -> None:
        super().__init__(stateful, initial_state, reverse, Wx=Wx, Wh=Wh, bx=bx, bh=bh)


class Bidirectional(Layer):
    """Two recurrent layers side by side, one from the first step to the last, one from the last to
    the first:

        y_t = [h_t of the one | h_t of the other]

    so that every step knows what follows it, too. Shapes: x (N, T, D), y (N, T, H1 + H2), mask (N,
    T) as in RNN. States are those of ``ahead`` and ``back``. ``Bidirectional(LSTM.init(3, 5),
    LSTM.init(3, 5, reverse=True))``, or shorter ``Bidirectional.init(LSTM, 3, 5)``.

    Backward. Each receives its columns of dL/dy; x went into both, so that dL/dx is the sum of what
    they send back. With a mask backward returns (dL/dx, None). Source: Schuster and Paliwal,
    Bidirectional recurrent neural networks (1997).

    Raises TypeError for anything but recurrent layers, ValueError unless the first has
    reverse=False and the second True.

    >>> layer = Bidirectional.init(GRU, 3, 5, rng=0)
    >>> y = layer.forward(np.ones((2, 7, 3)))
    >>> y.shape, layer.backward(y).shape
    ((2, 7, 10), (2, 7, 3))
    >>> layer.names
    ('Wx', 'Wh', 'bx', 'bh', 'Wx_reverse', 'Wh_reverse', 'bx_reverse', 'bh_reverse')
    """
    shapes = "x (N, T, D), mask? bool (N, T), Wx (D, G) -> y (N, T, H)"

    def __init__(self, ahead: Recurrent, back: Recurrent) -> None:
        for name, layer, reverse in ("ahead", ahead, False), ("back", back, True):
            if not isinstance(layer, Recurrent):
                raise TypeError(checks.wrong("Bidirectional", name, "be an RNN, LSTM or GRU",
                                             checks.text(layer)))
            if layer.reverse != reverse:
                raise ValueError(checks.wrong("Bidirectional", name, f"have reverse={reverse}",
                                              f"reverse={layer.reverse}"))
        super().__init__(**dict(zip(ahead.names, ahead.params)),
                         **{f"{n}_reverse": p for n, p in zip(back.names, back.params)})
        self.ahead, self.back = ahead, back
        self.grads[:] = *ahead.grads, *back.grads

    @classmethod
    def init(
        cls, kind: type[Recurrent], n_in: int, n_hidden: int, rng: Seed = None,
        initializer: Initializer = initializers.xavier,
        recurrent_initializer: Initializer = initializers.orthogonal, dtype: DType = np.float32,
        forget_bias: float | None = None, stateful: bool = False,
        initial_state: State | None = None,
    ) -> Self:
        """Two fresh layers of one kind.

        kind: RNN, LSTM or GRU.
        n_in, n_hidden: the sizes D of x (N, T, D) and H = H1 = H2 of either half of y (N, T, 2H).
        rng, initializer, recurrent_initializer, dtype: as in ``kind.init``.
        forget_bias: each of the forget gate's biases, for an LSTM only; None: zeros.
        stateful, initial_state: as in RNN's docstring, for both. (``stateful`` suits the
            first alone: reading backwards, the second would have to start from the state after the
            *next* piece of a text, but goes on from that of the piece before.)
        """
        checks.kind_of("Bidirectional", "kind", kind, "LSTM", "init")
        rng = generator("Bidirectional", rng)
        options: dict[str, Any] = dict(
            initializer=initializer, recurrent_initializer=recurrent_initializer, dtype=dtype,
            stateful=stateful, initial_state=initial_state)
        if forget_bias is not None:
            if not issubclass(kind, LSTM):
                expected = "be None for all but an LSTM"
                raise TypeError(checks.wrong("Bidirectional", "forget_bias", expected, forget_bias))
            options["forget_bias"] = forget_bias
        ahead, back = (kind.init(n_in, n_hidden, rng, **options, reverse=reverse)
                       for reverse in (False, True))
        return cls(ahead, back)

    def forward(self, x, mask=None):
        self.cache = (mask is not None,)
        return np.concatenate([self.ahead.forward(x, mask), self.back.forward(x, mask)], axis=-1)

    def backward(self, dout):
        (masked,), H = self.cache, len(self.ahead.params[1])
        self.ahead.input_gradient = self.back.input_gradient = self.input_gradient
        dx_ahead, dx_back = self.ahead.backward(dout[..., :H]), self.back.backward(dout[..., H:])
        if masked:
            (dx_ahead, _), (dx_back, _) = dx_ahead, dx_back
        dx = dx_ahead + dx_back if self.input_gradient else None
        return (dx, None) if masked else dx


def with_forget_bias(layer, forget_bias):
    """The layer, an LSTM or its cell, with the forget gate's biases set."""
    H = len(layer.params[1])
    layer.params[2][H:2 * H] = checks.number(type(layer).__name__, "forget_bias", forget_bias)
    return layer
