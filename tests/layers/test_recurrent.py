"""RNN, LSTM and GRU: PyTorch's values over a sweep of sizes, a plain loop, masks, carried states, construction and errors."""
import textwrap
from pathlib import Path

import numpy as np
import pytest

from chainrule.common import initializers
from chainrule.layers import Sum
from chainrule.layers.recurrent import GRU, LSTM, RNN, Bidirectional, GRUCell, LSTMCell, Recurrent, RNNCell
from tests.errors import refused

PATH = Path(__file__).parent / "sequences.npz"         # made by tests/make_torch_sequences.py
LAYERS = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}
CELLS = {"RNN": RNNCell, "LSTM": LSTMCell, "GRU": GRUCell}
GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}
STATES = {"RNN": 1, "LSTM": 2, "GRU": 1}
SIZES = [(1, 1, 1, 1), (1, 4, 3, 2), (3, 1, 2, 5), (2, 7, 1, 3), (3, 5, 2, 4)]      # N, T, D, H


def shapes(kind, sizes):
    """The arrays of one stored case, in their order in the file."""
    (N, T, D, H), G, S = sizes, GATES[kind] * sizes[3], STATES[kind]
    params = {"Wx": (D, G), "Wh": (H, G), "bx": (G,), "bh": (G,)}
    return {**params, "x": (N, T, D), "lengths": (N,), "dy": (N, T, H), "state": (S, N, H), "dlast": (S, N, H),
            "y": (N, T, H), "last": (S, N, H), "dx": (N, T, D), "dstate": (S, N, H),
            **{f"d{name}": shape for name, shape in params.items()}}


def load(kind, sizes, reverse):
    arrays, at = {}, 0
    with np.load(PATH) as data:
        numbers = data[f"{kind} {sizes} {reverse}"]
    for name, shape in shapes(kind, sizes).items():
        arrays[name] = numbers[at:(at := at + np.prod(shape))].reshape(shape)
    return arrays


each = pytest.mark.parametrize("kind", LAYERS)


def state_of(kind, arrays):
    return tuple(arrays) if kind == "LSTM" else arrays[0]


def states_in(state):
    return state if isinstance(state, tuple) else (state,)


def make(kind, D=3, H=4, seed=0, dtype=np.float64, **options):
    layer = LAYERS[kind].init(D, H, rng=seed, dtype=dtype, **options)
    for b in layer.params[2:]:
        b[...] = np.linspace(-0.5, 0.5, b.size)
    return layer


def draw(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape)


def same(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


class TestAgainstPyTorch:
    @pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-10), (np.float32, 1e-5)])
    @pytest.mark.parametrize("reverse", [False, True])
    @pytest.mark.parametrize("sizes", SIZES, ids=str)
    @each
    def test_packed_sequences(self, kind, sizes, reverse, dtype, tolerance):
        t = load(kind, sizes, reverse)
        biases = [t["bx"], t["bh"]] if kind == "GRU" else [t["bx"] + t["bh"]]
        params = [a.astype(dtype) for a in (t["Wx"], t["Wh"], *biases)]
        layer = LAYERS[kind](*params, initial_state=state_of(kind, t["state"]), reverse=reverse)
        y = layer.forward(t["x"], np.arange(sizes[1]) < t["lengths"][:, None])
        dx, _ = layer.backward(t["dy"], state_of(kind, t["dlast"]))
        results = {"y": y, "dx": dx, "last": np.array(states_in(layer.state)), "dstate": np.array(states_in(layer.dstate)),
                   **{f"d{name}": g for name, g in zip(("Wx", "Wh", "bx", "bh"), layer.grads)}}
        for name, a in results.items():
            assert a.dtype == dtype
            np.testing.assert_allclose(a, t[name], rtol=0, atol=tolerance * max(1, np.abs(t[name]).max()), err_msg=name)


class TestRecurrent:
    @each
    def test_a_sequence_is_its_cell_step_by_step(self, kind):
        layer, x = make(kind), draw(2, 5, 3)
        y = layer.forward(x)
        cell = CELLS[kind](*layer.params)
        state = (np.zeros((2, 4)),) * STATES[kind]
        for t in range(5):
            state = states_in(cell.forward(x[:, t], *state))
            same(y[:, t], state[0])
        same(layer.state, state_of(kind, state))

    @each
    def test_backward_is_the_cells_from_last_to_first(self, kind):
        layer, x, dy = make(kind), draw(2, 5, 3), draw(2, 5, 4, seed=2)
        layer.forward(x)
        dx = layer.backward(dy)
        cells, state = [], (np.zeros((2, 4)),) * STATES[kind]
        for t in range(5):
            cells.append(CELLS[kind](*layer.params))
            state = states_in(cells[-1].forward(x[:, t], *state))
        dstate = np.zeros((STATES[kind], 2, 4))
        for t in reversed(range(5)):
            dstate[0] += dy[:, t]
            dxt, *dstate = cells[t].backward(state_of(kind, dstate))
            dstate = np.array(dstate)
            same(dx[:, t], dxt)
        same(np.array(states_in(layer.dstate)), dstate)
        for i, g in enumerate(layer.grads):
            same(g, sum(cell.grads[i] for cell in cells))

    @each
    def test_reverse_runs_on_the_reversed_sequence(self, kind):
        forward, back = make(kind), make(kind, reverse=True)
        x, dy = draw(2, 5, 3), draw(2, 5, 4, seed=2)
        same(back.forward(x), forward.forward(x[:, ::-1])[:, ::-1])
        same(back.state, forward.state)
        same(back.backward(dy), forward.backward(dy[:, ::-1])[:, ::-1])
        for a, b in zip(back.grads, forward.grads):
            same(a, b)

    @each
    def test_without_dout_the_gradient_comes_from_the_last_state_alone(self, kind):
        layer, x, g = make(kind), draw(2, 5, 3), draw(2, 4, seed=2)
        layer.forward(x)
        dx = layer.backward(None, (g, None) if kind == "LSTM" else g)
        dy = np.zeros((2, 5, 4))
        dy[:, -1] = g
        same(dx, layer.backward(dy))

    @each
    def test_the_given_arrays_are_kept(self, kind):
        a = make(kind)
        b = LAYERS[kind](*a.params)
        assert all(p is q for p, q in zip(a.params, b.params))

    @each
    def test_without_the_input_gradient(self, kind):
        layer = make(kind)
        y = layer.forward(draw(2, 5, 3))
        layer.backward(y)
        before = [g.copy() for g in layer.grads]
        layer.input_gradient = False
        assert layer.backward(y) is None
        for a, b in zip(layer.grads, before):
            np.testing.assert_array_equal(a, b)

    @each
    def test_no_sigmoid_overflows(self, kind):
        layer = make(kind, dtype=np.float32)
        y = layer.forward(draw(2, 5, 3).astype(np.float32) * 1e4)
        assert np.isfinite(y).all() and np.isfinite(layer.backward(y)).all()


class TestMask:
    @each
    def test_padding_is_as_if_it_were_not_there(self, kind):
        padded, alone = make(kind), make(kind)
        x, dy = draw(2, 5, 3), draw(2, 5, 4, seed=2)
        y = padded.forward(x, np.arange(5) < np.array([[3], [5]]))
        dx, none = padded.backward(dy)
        same(y[:1, :3], alone.forward(x[:1, :3]))
        same(np.array(states_in(padded.state))[:, :1], np.array(states_in(alone.state)))
        same(dx[:1, :3], alone.backward(dy[:1, :3]))
        same(np.array(states_in(padded.dstate))[:, :1], np.array(states_in(alone.dstate)))
        assert none is None and not y[0, 3:].any() and not dx[0, 3:].any()

    @each
    def test_a_hole_in_the_middle_carries_the_state_over(self, kind):
        layer, short, x = make(kind), make(kind), draw(1, 5, 3)
        real = np.array([True, True, False, False, True])
        same(layer.forward(x, real[None])[:, real], short.forward(x[:, real]))

    @each
    def test_nothing_but_padding_keeps_the_first_state(self, kind):
        first = state_of(kind, [draw(2, 4), draw(2, 4, seed=3)])
        layer = make(kind, initial_state=first)
        assert not layer.forward(draw(2, 5, 3), np.zeros((2, 5), bool)).any()
        same(np.array(layer.state), np.array(first))
        layer.backward(draw(2, 5, 4), first)
        same(np.array(layer.dstate), np.array(first))
        assert not any(g.any() for g in layer.grads)

    @each
    @pytest.mark.parametrize("reverse", [False, True])
    def test_padding_may_hold_anything(self, kind, reverse):
        layer, x, dy, mask = make(kind, reverse=reverse), draw(2, 5, 3), draw(2, 5, 4, seed=2), draw(2, 5, seed=3) > 0
        expected = [layer.forward(x, mask), layer.backward(dy)[0], *(g.copy() for g in layer.grads)]
        x[~mask], dy[~mask] = np.nan, np.inf
        for a, b in zip(expected, [layer.forward(x, mask), layer.backward(dy)[0], *layer.grads]):
            np.testing.assert_array_equal(a, b)
        assert np.isnan(x[~mask]).all()

    @each
    def test_a_size_that_is_none_is_refused(self, kind):
        with refused(ValueError, f"{kind}: n_in … at least 1 … 0"):
            LAYERS[kind].init(0, 5)
        with refused(ValueError, f"{kind}: n_hidden … at least 1 … 0"):
            LAYERS[kind].init(5, 0)

    @each
    def test_the_sum_over_the_steps_is_the_same_with_more_padding(self, kind):
        layer, x = make(kind), draw(2, 6, 3)
        mask = np.arange(6) < np.array([[2], [4]])
        y, cut = (Sum(axis=1).forward(layer.forward(x[:, :T], mask[:, :T])) for T in (6, 4))
        same(y, cut)

    @each
    def test_a_mask_of_the_wrong_kind(self, kind):
        layer, x = make(kind), draw(2, 5, 3)
        with refused(ValueError, f"{kind}: mask … (2, 5) … (5, 2) … mask.T"):
            layer.forward(x, np.ones((5, 2), bool))
        with refused(ValueError, f"{kind}: mask … (2, 5) … (2,) … np.arange(5)…"):
            layer.forward(x, np.array([5, 3]))
        with refused(TypeError, f"{kind}: mask … booleans … int64 ndarray…"):
            layer.forward(x, np.ones((2, 5), np.int64))


class TestState:
    @each
    def test_stateful_goes_on_where_it_stopped(self, kind):
        whole, parts, x = make(kind), make(kind, stateful=True), draw(2, 6, 3)
        y = whole.forward(x)
        same(np.concatenate([parts.forward(x[:, :2]), parts.forward(x[:, 2:])], axis=1), y)
        parts.reset_state()
        same(parts.forward(x), y)

    @each
    def test_otherwise_every_call_starts_afresh(self, kind):
        layer, x = make(kind), draw(2, 6, 3)
        np.testing.assert_array_equal(layer.forward(x), layer.forward(x))

    @each
    def test_a_carried_state_comes_before_the_initial_one(self, kind):
        first = state_of(kind, [draw(2, 4), draw(2, 4, seed=3)])
        layer, x = make(kind, stateful=True, initial_state=first), draw(2, 6, 3)
        from_first = layer.forward(x)
        assert np.abs(layer.forward(x) - from_first).max() > 1e-3
        layer.reset_state()
        np.testing.assert_array_equal(layer.forward(x), from_first)

    @each
    def test_an_earlier_state_is_never_written_to(self, kind):
        layer, x = make(kind, stateful=True), draw(2, 6, 3)
        layer.forward(x)
        state = layer.state
        kept = np.array(state)
        layer.backward(layer.forward(x))
        np.testing.assert_array_equal(np.array(state), kept)

    @each
    def test_backward_holds_nothing_that_forward_gave_away(self, kind):
        x, dy = draw(2, 5, 3), draw(2, 5, 4, seed=2)
        layer, cell = make(kind), CELLS[kind](*make(kind).params)
        y, h = layer.forward(x), cell.forward(x[:, 0], *(dy[:, t] for t in range(STATES[kind])))
        dh = state_of(kind, [dy[:, 2], dy[:, 3]])
        expected = layer.backward(dy), *cell.backward(dh)
        for given in y, *states_in(layer.state), *(() if kind == "RNN" else states_in(h)):      # RNNCell keeps h, as Tanh does
            given[...] = 9
        for a, b in zip(expected, (layer.backward(dy), *cell.backward(dh)), strict=True):
            np.testing.assert_array_equal(a, b)

    @each
    def test_states_can_be_handed_from_layer_to_layer(self, kind):
        encoder, decoder = make(kind), make(kind, seed=5)
        encoder.forward(draw(2, 6, 3))
        decoder.initial_state = encoder.state
        decoder.backward(decoder.forward(draw(2, 3, 3, seed=2)))
        encoder.backward(None, decoder.dstate)
        assert all(np.abs(g).max() > 1e-6 for g in encoder.grads)

    @each
    def test_a_new_batch_size_while_stateful(self, kind):
        layer = make(kind, stateful=True)
        layer.forward(draw(3, 6, 3))
        with refused(ValueError, f"{kind}: x … 3 … 2 … reset_state() … model.reset_states() … stateful=False"):
            layer.forward(draw(2, 6, 3))
        layer.reset_state()
        assert layer.forward(draw(2, 6, 3)).shape == (2, 6, 4)

    @each
    def test_a_state_set_by_hand_that_is_none(self, kind):
        layer = make(kind, stateful=True)
        several = kind == "LSTM"
        for state in ([0.0] * 4, np.zeros(4)):
            layer.state = state
            error, sentence = (TypeError, "tuple (h, c)") if several else (ValueError, "(2, 4) … (4,)")
            with refused(error, f"{kind}: state … {sentence}…"):
                layer.forward(draw(2, 6, 3))

    @each
    def test_a_state_of_the_wrong_shape(self, kind):
        layer = make(kind, initial_state=state_of(kind, [np.ones((2, 4)), np.ones((4, 2))][::-1]))
        with refused(ValueError, f"{kind}: initial_state … (2, 4) … (4, 2) … initial_state.T"):
            layer.forward(draw(2, 6, 3))

    def test_an_lstm_needs_both_states(self):
        layer = make("LSTM", initial_state=np.ones((2, 4)))
        with refused(TypeError, "LSTM: initial_state … tuple … (h, c) … ndarray"):
            layer.forward(draw(2, 6, 3))
        for n in (1, 3):
            layer.initial_state = (np.ones((2, 4)),) * n
            with refused(TypeError, f"LSTM: initial_state … tuple … (h, c) … tuple of length {n}"):
                layer.forward(draw(2, 6, 3))
        layer.initial_state = np.ones((2, 4)), None            # None: zeros
        assert layer.forward(draw(2, 6, 3)).shape == (2, 6, 4)


class TestCells:
    def test_rnn_by_hand(self):
        cell = RNNCell(np.array([[2.0]]), np.array([[3.0]]), np.array([0.5]))
        h = cell.forward(np.array([[0.1]]), np.array([[0.2]]))
        same(h, np.tanh(0.2 + 0.6 + 0.5))
        ds = 1 - h.item() ** 2
        dx, dh = cell.backward(np.ones((1, 1)))
        same([dx.item(), dh.item(), *(g.item() for g in cell.grads)], [2 * ds, 3 * ds, 0.1 * ds, 0.2 * ds, ds])

    def test_the_order_of_an_lstms_gates(self):
        b = {"i": 0.3, "f": -0.2, "g": 0.7, "o": 0.4}
        cell = LSTMCell(np.zeros((1, 4)), np.zeros((1, 4)), np.array(list(b.values())))
        h, c = cell.forward(np.ones((1, 1)), np.ones((1, 1)), np.array([[2.0]]))
        s = {name: 1 / (1 + np.exp(-value)) for name, value in b.items()}
        same(c, s["f"] * 2 + s["i"] * np.tanh(b["g"]))
        same(h, s["o"] * np.tanh(c))

    def test_the_order_of_a_grus_gates(self):
        bx, bh = np.array([0.3, -0.2, 0.7]), np.array([0.1, 0.4, 0.6])
        cell = GRUCell(np.zeros((1, 3)), np.zeros((1, 3)), bx, bh)
        h = cell.forward(np.ones((1, 1)), np.array([[2.0]]))
        r, z, _ = 1 / (1 + np.exp(-bx - bh))
        same(h, (1 - z) * np.tanh(0.7 + r * 0.6) + z * 2)

    @each
    def test_the_number_of_inputs(self, kind):
        cell = CELLS[kind](*make(kind).params)
        states = "h, c" if kind == "LSTM" else "h"
        with refused(TypeError, f"{kind}Cell: forward … {states} … 1 inputs"):
            cell.forward(draw(2, 3))

    @each
    def test_inputs_of_the_wrong_shape(self, kind):
        cell, *states = CELLS[kind](*make(kind).params), *[draw(2, 4)] * STATES[kind]
        with refused(ValueError, f"{kind}Cell: x … (N, 3) … (2, 5, 3)"):
            cell.forward(draw(2, 5, 3), *states)
        states[-1] = draw(3, 4)
        with refused(ValueError, f"{kind}Cell: {'c' if kind == 'LSTM' else 'h'} … (2, 4) … (3, 4)"):
            cell.forward(draw(2, 3), *states)

    def test_none_stands_for_a_zero_gradient(self):
        cell = LSTMCell(*make("LSTM").params)
        cell.forward(draw(2, 3), draw(2, 4), draw(2, 4, seed=3))
        g = draw(2, 4, seed=4)
        for a, b in zip(cell.backward((g, None)), cell.backward((g, np.zeros((2, 4))))):
            np.testing.assert_array_equal(a, b)


class TestConstruction:
    @each
    def test_shapes_names_and_dtype(self, kind):
        layer, G = LAYERS[kind].init(3, 5, rng=0), GATES[kind] * 5
        biases = {"bx": (G,), "bh": (G,)} if kind == "GRU" else {"b": (G,)}
        assert dict(zip(layer.names, (p.shape for p in layer.params))) == {"Wx": (3, G), "Wh": (5, G), **biases}
        assert {p.dtype for p in layer.params} == {np.dtype(np.float32)} and not any(b.any() for b in layer.params[2:])

    @each
    def test_each_gate_is_drawn_for_itself(self, kind):
        Wx, Wh, *_ = LAYERS[kind].init(400, 400, rng=0, dtype=np.float64).params
        assert Wx.std() == pytest.approx(np.sqrt(2 / 800), rel=0.02)                   # Xavier over (D, H), not (D, G·H)
        for gate in np.split(Wh, GATES[kind], axis=1):
            same(gate.T @ gate, np.eye(400))

    @each
    def test_one_seed_one_layer_and_any_initializer(self, kind):
        a, b, c = (LAYERS[kind].init(3, 5, rng=seed).params[1] for seed in (0, 0, 1))
        assert (a == b).all() and (a != c).any()
        layer = LAYERS[kind].init(3, 5, initializer=initializers.constant, recurrent_initializer=initializers.constant)
        assert not any(p.any() for p in layer.params)

    @pytest.mark.parametrize("cls", [LSTM, LSTMCell])
    def test_forget_bias(self, cls):
        layer, plain = cls.init(3, 5, rng=0, forget_bias=1), cls.init(3, 5, rng=0)
        np.testing.assert_array_equal(layer.params[2], np.repeat([0, 1, 0, 0], 5))
        for p, q in zip(layer.params[:2], plain.params[:2]):
            np.testing.assert_array_equal(p, q)
        with refused(ValueError, f"{cls.__name__}: forget_bias … finite … nan"):
            cls.init(3, 5, forget_bias=np.nan)

    @each
    def test_options_are_passed_on_and_show(self, kind):
        layer = LAYERS[kind].init(3, 5, stateful=True, reverse=True)
        assert layer.stateful and layer.reverse
        assert repr(layer).endswith("stateful=True, initial_state=None, reverse=True)")

    @pytest.mark.parametrize("kind, cls", [*LAYERS.items(), *CELLS.items()])
    def test_arrays_that_do_not_fit(self, kind, cls):
        Wx, Wh, *biases = make(kind).params
        G = 4 * GATES[kind]
        with refused(ValueError, f"{cls.__name__}: Wh … (H, G) … (4,)"):
            cls(Wx, np.ones(4), *biases)
        with refused(ValueError, f"{cls.__name__}: Wh … (4, {G}) … (4, {G + 1})"):
            cls(Wx, np.ones((4, G + 1)), *biases)
        with refused(ValueError, f"{cls.__name__}: Wx … (D, {G}) … (3, {G - 1})"):
            cls(Wx[:, 1:], Wh, *biases)
        name = "bh" if kind == "GRU" else "b"
        with refused(ValueError, f"{cls.__name__}: {name} … ({G},) … ({G - 1},)"):
            cls(Wx, Wh, *biases[:-1], biases[-1][1:])


class TestErrors:
    @each
    def test_a_sequence_of_length_0(self, kind):
        with refused(ValueError, f"{kind}: x … empty … shape (2, 0, 3)"):
            make(kind).forward(np.ones((2, 0, 3)))

    @each
    def test_a_single_step_is_no_sequence(self, kind):
        with refused(ValueError, f"{kind}: x … (N, T, 3) … (2, 3)"):
            make(kind).forward(draw(2, 3))

    @each
    def test_a_wrong_gradient_of_the_last_state(self, kind):
        layer = make(kind)
        y = layer.forward(draw(2, 5, 3))
        with refused(ValueError, f"{kind}: dstate … (2, 4) … (2, 5)"):
            layer.backward(y, state_of(kind, [np.ones((2, 5)), np.ones((2, 4))]))


class TestBidirectional:
    @each
    def test_it_is_both_layers_side_by_side(self, kind):
        layer = Bidirectional.init(LAYERS[kind], 3, 4, rng=0, dtype=np.float64)
        ahead, back = (LAYERS[kind](*part.params, reverse=part.reverse) for part in (layer.ahead, layer.back))
        x, mask, dy = draw(2, 5, 3), np.arange(5) < np.array([[5], [3]]), draw(2, 5, 8, seed=2)
        same(layer.forward(x, mask), np.concatenate([ahead.forward(x, mask), back.forward(x, mask)], axis=-1))
        dx, none = layer.backward(dy)
        same(dx, ahead.backward(dy[..., :4])[0] + back.backward(dy[..., 4:])[0])
        assert none is None
        for g, expected in zip(layer.grads, [*ahead.grads, *back.grads], strict=True):
            same(g, expected)
        layer.input_gradient = False
        layer.forward(x)
        assert layer.backward(dy) is None

    def test_options_of_init_are_those_of_both(self):
        first = np.ones((2, 4)), np.zeros((2, 4))
        layer = Bidirectional.init(LSTM, 3, 4, initializer=initializers.constant, forget_bias=1.0,
                                   stateful=True, initial_state=first)
        for part in layer.ahead, layer.back:
            Wx, _, b = part.params
            assert not Wx.any() and part.stateful and part.initial_state is first
            same(b, np.repeat([0.0, 1.0, 0.0, 0.0], 4))
        with refused(TypeError, "Bidirectional: forget_bias … LSTM … 1.0"):
            Bidirectional.init(GRU, 3, 4, forget_bias=1.0)

    def test_inputs_that_are_none(self):
        for call, message in ((lambda: Bidirectional(RNN.init(3, 4), RNN.init(3, 4)),
                               "Bidirectional: back … reverse=True … reverse=False"),
                              (lambda: Bidirectional(RNN.init(3, 4, reverse=True), RNN.init(3, 4)),
                               "Bidirectional: ahead … reverse=False … reverse=True")):
            with refused(ValueError, message):
                call()
        with refused(TypeError, "Bidirectional: back … RNN … LSTM … GRU … RNNCell(Wx (3, 4), Wh (4, 4), b (4,))"):
            Bidirectional(RNN.init(3, 4), RNNCell.init(3, 4))


class Steps:
    """A cell as Recurrent's docstring calls it: states are lists."""

    def __init__(self, cell):
        self.cell, self.caches, self.grads = cell, [], cell.grads

    def forward(self, x, *state):
        new = self.cell.forward(x, *state)
        self.caches.append(self.cell.cache)
        return list(new) if isinstance(new, tuple) else [new]

    def backward(self, dstate):
        self.cell.cache = self.caches.pop()
        return self.cell.backward(tuple(dstate) if len(dstate) > 1 else dstate[0])


@pytest.mark.parametrize("layer, cell", [(RNN, RNNCell), (LSTM, LSTMCell), (GRU, GRUCell)])
def test_the_loops_of_the_docstring_are_the_layer(layer, cell):
    rng = np.random.default_rng(0)
    layer, x, dy = layer.init(3, 5, rng=0, dtype=np.float64), rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 4, 5))
    text, steps, parts = Recurrent.__doc__, Steps(cell(*layer.params)), len(layer.state_names)
    arrays = {"T": 4, "x": x, "dy": dy, "y": np.zeros_like(dy), "dx": np.zeros_like(x), "cells": [steps] * 4,
              "state": [np.zeros((2, 5))] * parts, "dstate": [np.zeros((2, 5)) for _ in range(parts)],
              "grads": [np.zeros_like(g) for g in layer.grads]}
    for first in "for t in range(T)", "for t in reversed":
        loop = text[text.index(f"        {first}"):]
        exec(textwrap.dedent(loop[:loop.index("\n\n")]), arrays)
    for name, expected in ("y", layer.forward(x)), ("dx", layer.backward(dy)):
        np.testing.assert_allclose(arrays[name], expected, rtol=1e-12, atol=1e-12)
    for total, expected in zip(arrays["grads"], layer.grads, strict=True):
        np.testing.assert_allclose(total, expected, rtol=1e-12, atol=1e-12)
