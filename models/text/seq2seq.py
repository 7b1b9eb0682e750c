"""From one sequence to another: an encoder reads, a decoder writes."""
from typing import Any

import numpy as np

from ...common import checks, initializers
from ...common.rng import generator
from ...common.types import Array, ArrayLike, DType, Seed
from ...layers import LSTM, Affine, Attention, Embedding, SoftmaxWithLoss
from ...layers.recurrent import Recurrent
from ..model import Model
from ..passes import Backward, Forward
from ..predicting import in_batches
from .generating import aside, sequences


class Seq2Seq(Model):
    """Two recurrent networks: one reads the question x, the other goes on from its state and writes
    the answer t.

        encoder   h_i = LSTM(W_x[x_i], h_{i-1})                     i = 1 .. Tx
        decoder   g_j = LSTM(W_t[t_{j-1}], g_{j-1}),  g_0 = h_Tx    j = 1 .. Tt - 1
                  s_j = g_j W_o + b                                 scores of t_j

    Shapes: x (N, Tx) and t (N, Tt) ids; t begins with the id that starts an answer: the decoder
    reads ``t[:, :-1]`` and is to predict ``t[:, 1:]``. Scores (N, Tt - 1, V).

    - ``forward(x, t)`` gives the loss, the mean over all tokens of the answers; the decoder reads
      the true answer ("teacher forcing"), whatever it would have written;
    - ``forward(x, t, x_mask, t_mask)``: masks (N, Tx) and (N, Tt) of ``pair_batches``, False at
      padding, which the encoder passes over and the loss does not count;
    - ``predict(x, t)`` gives the scores, ``generate(x, start_id, length)`` writes by itself.

    Backward. The decoder's gradient of its first state is the encoder's gradient of its last one.

    - vocabulary: the number of tokens V, one numbering for both sides; dimension: of a token's
      vector, D; hidden: of a state, H;
    - reverse: read the question from its end, so that its beginning is near the answer's;
    - peeky: every step of decoder and output sees h_Tx beside its input: [W_t[t_{j-1}], h_Tx] and
      [g_j, h_Tx]. The gradient of h_Tx is the sum over all these;
    - cell: RNN, LSTM or GRU.

    Sources: Sutskever, Vinyals and Le, Sequence to sequence learning with neural networks (2014);
    peeky: Cho et al., Learning phrase representations using RNN encoder-decoder (2014); Saito, Deep
    Learning from Scratch 2, chapter 7.

    Raises ValueError for an id outside 0..V-1 and for an answer of one token, TypeError for ids
    that are not integers.

    >>> model = Seq2Seq(13, dimension=8, hidden=16, reverse=True, peeky=True, rng=0)
    >>> x, t = np.array([[3, 4, 1]]), np.array([[12, 7, 0]])
    >>> round(model.forward(x, t), 1)          # log 13: knows nothing yet
    2.6
    >>> model.backward()
    >>> model.predict(x, t).shape, model.generate(x, start_id=12, length=5).shape
    ((1, 2, 13), (1, 5))
    """
    looking: Any = None

    def __init__(
        self, vocabulary: int, dimension: int = 16, hidden: int = 128, reverse: bool = False,
        peeky: bool = False, cell: type[Recurrent] = LSTM, rng: Seed = None,
        dtype: DType = np.float32,
    ) -> None:
        who = type(self).__name__
        self.peeky = checks.flag(who, "peeky", peeky)
        between: list[Any] = [] if self.looking is None else [self.looking]
        checks.counts(who, vocabulary=vocabulary, dimension=dimension, hidden=hidden)
        checks.kind_of(who, "cell", cell, "LSTM", "init", "reset_state")
        dtype, reverse = (checks.float_type(who, "dtype", dtype),
                          checks.flag(who, "reverse", reverse))
        rng, self.vocabulary = generator(who, rng), vocabulary
        options: dict[str, Any] = {"rng": rng, "dtype": dtype}
        self.source, self.target = (Embedding.init(vocabulary, dimension, **options)
                                    for _ in range(2))
        self.encoder = cell.init(dimension, hidden, reverse=reverse, **options)
        self.decoder = cell.init(dimension + hidden * peeky, hidden, **options)
        self.scores = Affine.init(hidden * (2 if peeky or between else 1), vocabulary,
                                  initializer=initializers.xavier, **options)
        super().__init__([self.source, self.encoder, self.target, self.decoder, *between,
                          self.scores], SoftmaxWithLoss(ignore_label=-1))

    def forward(self, x, t, x_mask=None, t_mask=None, *, weight=None):
        """The loss, a float; ``weight``: of each answer, or of each token of t but the first."""
        x, t = self.pair(x, t)
        wanted = t[:, 1:]
        if t_mask is not None:
            wanted = np.where(checks.boolean(type(self).__name__, "t_mask", t_mask, t.shape)[:, 1:],
                              wanted, -1)
        with Forward(self, targets=True):
            self.output = y = self.run(x, t, x_mask)
            return self.loss_of(y, wanted, weight)

    def run(self, x: Array, t: Array, x_mask: ArrayLike | None = None) -> Array:
        """The scores of each token of t but the first."""
        try:
            return self.decode(t[:, :-1], self.encode(x, x_mask), x_mask)
        finally:
            self.decoder.initial_state = None

    def pair(self, x: ArrayLike, t: ArrayLike) -> tuple[Array, Array]:
        """Questions and answers as ids, as many of one as of the other."""
        x, t = sequences(self, "x", x), sequences(self, "t", t)
        if len(t) != len(x) or t.shape[1] < 2:
            raise ValueError(
                checks.wrong(type(self).__name__, "t", f"have shape ({len(x)}, Tt) with Tt > 1",
                             t.shape, "it starts with the token before the answer"))
        return x, t

    def encode(self, x: ArrayLike, x_mask: ArrayLike | None) -> Array:
        """All h (N, Tx, H); the decoder's first state is set to the encoder's last."""
        hs = self.encoder.forward(self.source.forward(sequences(self, "x", x)), x_mask)
        self.decoder.initial_state = self.encoder.state
        return hs

    def decode(self, t: Array, hs: Array, x_mask: ArrayLike | None) -> Array:
        """The scores of the tokens that follow each of t (N, T)."""
        beside = []
        if self.peeky:
            h = hidden_part(self.decoder.initial_state)
            beside = [np.repeat(h[:, None], t.shape[1], axis=1)]
        g = self.decoder.forward(beside_each(self.target.forward(t), *beside))
        return self.scores.forward(beside_each(g, *beside))

    def backward(self, dout=None, input_gradient=False):
        """Fill ``grads``. Ids have no gradient: returns None."""
        with Backward(self, dout, input_gradient):
            dhs, dstate = self.decode_back(self.output_gradient(dout))
            dx = self.encoder.backward(dhs, dstate)
            self.source.backward(dx[0] if isinstance(dx, tuple) else dx)

    def predict(
        self, x: ArrayLike, t: ArrayLike | None = None, x_mask: ArrayLike | None = None,
        batch_size: int | None = None,
    ) -> Array:
        """The scores (N, Tt - 1, V) in evaluation mode, ``batch_size`` samples at a time, without a
        trace."""
        if t is None:
            raise TypeError(
                f"{type(self).__name__}: predict takes x and t, and scores each token of t; to "
                "write an answer to x alone: generate(x, start_id, length)")
        inputs = (*self.pair(x, t), *(() if x_mask is None else (x_mask,)))
        return in_batches(self, self.run, inputs, batch_size)

    def decode_back(self, dout: Array) -> tuple[Array | None, Any]:
        """The gradients of all h, or None, and of the decoder's first state."""
        H, D = self.decoder.params[1].shape[0], self.target.params[0].shape[1]
        dg = self.scores.backward(dout)
        de = self.decoder.backward(dg[..., :H])
        self.target.backward(de[..., :D])
        dstate = self.decoder.dstate
        if self.peeky:
            dh = hidden_part(dstate)
            dh += dg[..., H:].sum(axis=1)
            dh += de[..., D:].sum(axis=1)
        return None, dstate

    def generate(
        self, x: ArrayLike, start_id: int, length: int, x_mask: ArrayLike | None = None,
        batch_size: int = 256,
    ) -> Array:
        """Answers (N, length) to questions x (N, Tx), ``batch_size`` at a time: each token the
        likeliest given ``start_id`` and those written so far. Leaves no trace in the model."""
        who, x = f"{type(self).__name__}.generate", sequences(self, "x", x)
        checks.counts(who, length=length, batch_size=batch_size)
        if checks.count(who, "start_id", start_id, least=0) >= self.vocabulary:
            raise ValueError(
                checks.wrong(who, "start_id", f"be in 0..{self.vocabulary - 1}", start_id))
        if x_mask is not None:
            x_mask = checks.boolean(who, "x_mask", x_mask, x.shape)
        checks.room(who, "length", (len(x), length + 1), got=length)
        answers = np.empty((len(x), length + 1), np.int64)
        answers[:, 0] = start_id
        for i in range(0, len(x), batch_size):
            part = slice(i, i + batch_size)
            mask = None if x_mask is None else x_mask[part]
            try:
                with aside(self):
                    hs = self.encode(x[part], mask)
                    for j in range(length):
                        scores = self.decode(answers[part, j:j + 1], hs, mask)
                        answers[part, j + 1] = scores[:, 0].argmax(axis=1)
            finally:
                self.decoder.initial_state = None
        return answers[:, 1:]


class AttentionSeq2Seq(Seq2Seq):
    """A decoder that looks back: at each step a mean of all the encoder's states, weighted by how
    each fits.

        c_j = Σ_i a_ji h_i,  a_j = softmax over i of (g_j · h_i / √H)   s_j = [g_j, c_j] W_o + b

    The question need not pass through one state of fixed size, and the weights a_j show where the
    model looks: ``attention(x, t)``, for ``plot_attention``. Shapes, masks, options and methods as
    in Seq2Seq.

    Backward. h_i has two gradients to add up: from the attention, and through the state.

    ``tests/test_figures.py`` trains it on ``make_addition`` and ``make_dates``: hidden=128,
    reverse=True, Adam with lr from 0.005 down along a cosine, gradients clipped to 5, batches of
    128.

    Sources: Bahdanau, Cho and Bengio, Neural machine translation by jointly learning to align and
    translate (2015); with dot products: Luong, Pham and Manning (2015); Saito, Deep Learning from
    Scratch 2, chapter 8.

    >>> model = AttentionSeq2Seq(13, dimension=8, hidden=16, rng=0)
    >>> x, t = np.array([[3, 4, 1]]), np.array([[12, 7, 0]])
    >>> # for each of two tokens after the first, three places to look at
    >>> model.attention(x, t).shape
    (1, 2, 3)
    """

    def __init__(
        self, vocabulary: int, dimension: int = 16, hidden: int = 128, reverse: bool = False,
        cell: type[Recurrent] = LSTM, rng: Seed = None, dtype: DType = np.float32,
    ) -> None:
        self.looking = Attention()
        super().__init__(vocabulary, dimension, hidden, reverse, False, cell, rng, dtype)

    def decode(self, t: Array, hs: Array, x_mask: ArrayLike | None) -> Array:
        g = self.decoder.forward(self.target.forward(t))
        mask = None if x_mask is None else np.asarray(x_mask)[:, None]
        return self.scores.forward(beside_each(g, self.looking.forward(g, hs, hs, mask)))

    def decode_back(self, dout: Array) -> tuple[Array | None, Any]:
        H = self.decoder.params[1].shape[0]
        d = self.scores.backward(dout)
        dg, dk, dv = self.looking.backward(d[..., H:])[:3]
        self.target.backward(self.decoder.backward(d[..., :H] + dg))
        return dk + dv, self.decoder.dstate

    def attention(self, x: ArrayLike, t: ArrayLike, x_mask: ArrayLike | None = None) -> Array:
        """The weights (N, Tt - 1, Tx): row j says where the decoder looks before it writes t[:, j +
        1]."""
        self.predict(x, t, x_mask)
        return self.looking.weights


def hidden_part(state):
    """h of a state: an LSTM's is the tuple (h, c)."""
    return state[0] if isinstance(state, tuple) else state


def beside_each(*parts):
    return np.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]
