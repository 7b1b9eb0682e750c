"""What recurrent layers share besides their formulas: weights of several gates, and states."""
from typing import Any, Self

import numpy as np

from ..common import checks, initializers
from ..common.layer import Layer
from ..common.rng import generator
from ..common.types import Array, DType, Initializer, Seed, State


class Gates(Layer):
    """Wx (D, G), Wh (H, G) and biases (G,), where G = gates · H columns hold the gates side by
    side; and a state of one part h (N, H) or more."""
    gates = 1
    biases: tuple[str, ...] = ("b",)
    state_names: tuple[str, ...] = ("h",)

    def __init__(self, **params: Array) -> None:
        """Raises ValueError unless the shapes are those in the class's docstring; TypeError unless
        all are float arrays of one dtype."""
        who = type(self).__name__
        checks.needed(who, **params)
        checks.parameters(who, params)
        Wh = params["Wh"]
        checks.array(who, "Wh", Wh, shape=("H", "G"))
        H, G = len(Wh), self.gates * len(Wh)
        checks.array(who, "Wh", Wh, shape=(H, G))
        checks.array(who, "Wx", params["Wx"], shape=("D", G))
        for name in self.biases:
            checks.array(who, name, params[name], shape=(G,))
        super().__init__(**params)

    @classmethod
    def init(
        cls, n_in: int, n_hidden: int, rng: Seed = None,
        initializer: Initializer = initializers.xavier,
        recurrent_initializer: Initializer = initializers.orthogonal, dtype: DType = np.float32,
    ) -> Self:
        """A cell with fresh Wx and Wh, drawn for each gate by itself, and biases of zeros.

        n_in, n_hidden: the sizes D of x (N, D) and H of the state (N, H).
        rng: a Generator, a seed or None, to draw Wx and Wh with.
        initializer, recurrent_initializer: functions such as ``xavier`` and ``orthogonal`` of
            common/initializers.py, called for the parts (D, H) and (H, H) of each gate.
        dtype: np.float32 or np.float64, that of the parameters.
        """
        return cls(**fresh(cls, n_in, n_hidden, rng, initializer, recurrent_initializer, dtype))

    def stacked(self, name: str, state: Any, N: int) -> Array:
        """A state, h or the tuple (h, c), as one new array (S, N, H), S the number of its parts;
        None stands for zeros."""
        who, names, (Wx, Wh) = type(self).__name__, self.state_names, self.params[:2]
        array = np.zeros((len(names), N, len(Wh)), Wx.dtype)
        several = isinstance(state, (tuple, list))
        if len(names) > 1 and state is not None and not (several and len(state) == len(names)):
            got = type(state).__name__ + (f" of length {len(state)}" if several else "")
            raise TypeError(checks.wrong(who, name, f"be a tuple ({', '.join(names)})", got))
        parts = (state,) if len(names) == 1 else state or ()
        for row, part in zip(array, parts):
            if part is not None:
                row[...] = checks.array(who, name, part, Wx.dtype, row.shape)
        return array


class Sequences(Gates):
    """The options of layers that run over sequences, as in RNN's docstring, and the state that they
    start from."""

    def __init__(
        self, stateful: bool, initial_state: State | None, reverse: bool, **params: Array
    ) -> None:
        super().__init__(**params)
        who = type(self).__name__
        self.stateful = checks.flag(who, "stateful", stateful)
        self.reverse = checks.flag(who, "reverse", reverse)
        self.initial_state = initial_state
        self.state = self.dstate = None

    @classmethod
    def init(
        cls, n_in: int, n_hidden: int, rng: Seed = None,
        initializer: Initializer = initializers.xavier,
        recurrent_initializer: Initializer = initializers.orthogonal, dtype: DType = np.float32,
        stateful: bool = False, initial_state: State | None = None, reverse: bool = False,
    ) -> Self:
        """A layer with fresh Wx and Wh, drawn for each gate by itself, and biases of zeros.

        n_in, n_hidden: the sizes D of x (N, T, D) and H of y (N, T, H).
        rng: a Generator, a seed or None, to draw Wx and Wh with.
        initializer, recurrent_initializer: functions such as ``xavier`` and ``orthogonal`` of
            common/initializers.py, called for the parts (D, H) and (H, H) of each gate.
        dtype: np.float32 or np.float64, that of the parameters.
        stateful, initial_state, reverse: as in RNN's docstring.
        """
        arrays = fresh(cls, n_in, n_hidden, rng, initializer, recurrent_initializer, dtype)
        return cls(**arrays, stateful=stateful, initial_state=initial_state, reverse=reverse)

    def reset_state(self) -> None:
        """Forget the state of the last call: the next one starts from ``initial_state`` or
        zeros."""
        self.state = None

    def first_state(self, N: int) -> Array:
        """The state to start from, (S, N, H): the one carried on if stateful, else
        ``initial_state``."""
        if not self.stateful or self.state is None:
            return self.stacked("initial_state", self.initial_state, N)
        h = (self.state if len(self.state_names) == 1 or not isinstance(self.state, (tuple, list))
             else self.state[0])
        carried = len(h) if np.ndim(h) == 2 else N       # ``stacked`` refuses other numbers of axes
        if carried != N:
            raise ValueError(
                checks.wrong(type(self).__name__, "x",
                             f"have the batch size of the state carried on, {carried}", N,
                             "reset_state() forgets that state, model.reset_states() those of "
                             "all layers in a model; where batches do not follow each "
                             "other, stateful=False"))
        return self.stacked("state", self.state, N)


def fresh(cls, n_in, n_hidden, rng, initializer, recurrent_initializer, dtype):
    """The arrays of a new layer of this class, by name."""
    who = cls.__name__
    checks.counts(who, n_in=n_in, n_hidden=n_hidden)
    rng = generator(who, rng)
    draws = ((initializer, n_in, "initializer"),
             (recurrent_initializer, n_hidden, "recurrent_initializer"))
    Wx, Wh = (np.concatenate([initializers.weights(who, draw, (n, n_hidden), rng, dtype, name)
                              for _ in range(cls.gates)], axis=1) for draw, n, name in draws)
    return {"Wx": Wx, "Wh": Wh, **{b: np.zeros(cls.gates * n_hidden, Wx.dtype) for b in cls.biases}}


def single(state: Array) -> Any:
    """A state (S, N, H) of one part as that part, of several as a tuple."""
    return state[0] if len(state) == 1 else tuple(state)
