"""What models of sequences share: running aside, and texts that they write and measure."""
import contextlib
import math
from typing import Any

import numpy as np

from ...common import checks
from ...common.functions import log_softmax
from ...common.layer import walk
from ...common.rng import generator
from ...common.types import Array, ArrayLike, Seed
from ..predicting import predicting


@contextlib.contextmanager
def aside(model):
    """Evaluation mode from fresh states, which recurrent layers carry on within."""
    carried = [(layer, layer.stateful) for layer in walk(model) if hasattr(layer, "stateful")]
    try:
        with predicting(model):
            for layer, _ in carried:
                layer.stateful = True
            yield
    finally:
        for layer, flag in carried:
            layer.stateful = flag


def sequences(model, name, ids, axes=2) -> Array:
    """``ids`` as an array of row numbers (N, T), or with ``axes=1`` (T,), each in 0..V-1."""
    who = type(model).__name__
    ids = checks.row_numbers(who, name, ids, model.vocabulary)
    if ids.ndim != axes:
        shape = ("N", "T")[-axes:]
        raise ValueError(
            checks.wrong(who, name, f"have shape {checks.shape_text(shape)}", ids.shape))
    return ids


def a_text(model, ids) -> Array:
    """``sequences`` of a single text, of two tokens or more."""
    ids = sequences(model, "ids", ids, axes=1)
    if len(ids) < 2:
        raise ValueError(
            checks.wrong(type(model).__name__, "ids", "hold at least two tokens", "one"))
    return ids


class TextModel:
    """A model that predicts each token of a text from those before."""
    vocabulary: int        # the number of tokens V
    forward: Any           # the subclass's
    carries = False        # whether a state carries what it has read
    length = math.inf      # the longest that it reads at a time
    steps = 35             # that perplexity reads at a time

    def window(self, ids: Array, i: int, j: int) -> Array:
        """What it reads to predict the tokens i+1 to j, having read those before i."""
        return ids[i if self.carries else max(0, j - self.length):j]

    def generate(
        self, start: ArrayLike, length: int, temperature: float = 1.0, rng: Seed = None
    ) -> Array:
        """Go on writing: the ids (length,) that follow ``start`` (T,), each drawn given all before
        it.

        With scores s the next id is i with probability softmax(s / temperature)_i. 1: as the model
        has learned; below, more of the likely; 0: always the likeliest. (Drawn as argmax(s +
        temperature · g), g from Gumbel's distribution: Gumbel 1954.) Leaves no trace in the model.
        ``rng`` is a numpy.random.Generator, a seed or None.
        """
        who = f"{type(self).__name__}.generate"
        temperature = checks.number(who, "temperature", temperature, 0,
                                    expected="be a number of at least 0")
        rng, read = generator(who, rng), 0
        ids = sequences(self, "start", np.atleast_1d(checks.as_array(start)), axes=1)
        checks.room(who, "length", (checks.count(who, "length", length, least=0),))
        ids = np.concatenate([ids, np.empty(length, np.int64)])
        with aside(self):
            for n in range(len(ids) - length, len(ids)):
                scores = self.forward(self.window(ids, read, n)[None])[0, -1]
                ids[n] = np.argmax(scores + temperature * rng.gumbel(size=len(scores)))
                read = n
        return ids[len(ids) - length:]

    def log_probabilities(self, ids: ArrayLike, steps: int | None = None) -> Array:
        """log p(token | all before it, as far as the model reads), of each token of a text ids (M,)
        but the first: (M - 1,).

        The text is read in order, ``steps`` tokens at a time, without a trace in the model. Raises
        ValueError for a text of fewer than two tokens.
        """
        who, ids = type(self).__name__, a_text(self, ids)
        M, steps = len(ids) - 1, checks.count(who, "steps", self.steps if steps is None else steps)
        if steps > self.length:
            raise ValueError(checks.wrong(who, "steps", f"be at most length={self.length}", steps))
        parts = []
        with aside(self):
            for i in range(0, M, steps):
                j = min(i + steps, M)
                scores = self.forward(self.window(ids, i, j)[None])[0, i - j:]
                parts.append(log_softmax(scores)[np.arange(j - i), ids[i + 1:j + 1]])
        return np.concatenate(parts)

    def perplexity(self, ids: ArrayLike, steps: int | None = None) -> float:
        """exp of the mean of -log p of a text's tokens, as ``log_probabilities`` has them; its
        logarithm to base 2 is the number of bits per token."""
        return math.exp(min(-self.log_probabilities(ids, steps).mean(dtype=np.float64), 709.0))
