"""The recurrent language model."""
from typing import Any

import numpy as np

from ...common import checks, initializers
from ...common.rng import generator
from ...common.types import DType, Seed
from ...layers import LSTM, Affine, Dropout, Embedding, SoftmaxWithLoss
from ...layers.dropout import share
from ...layers.recurrent import Recurrent
from ..sequential import Sequential
from .generating import TextModel, sequences


class LanguageModel(TextModel, Sequential):
    """p(next word | all words so far): embedding, recurrent layers, and a score for every word.

        e_t = W_e[x_t], h_t = recurrent layers of (e_t, h_{t-1}), s_t = h_t W_o + b, p = softmax s_t

    Shapes: ids x (N, T), scores (N, T, V), targets t (N, T), the word after each: x and t of
    ``text_batches``.

    Truncated back-propagation through time. A text is too long for one backward: it is read T words
    at a time, from the state at the end of the batch before (``stateful=True``), into which no
    gradient flows back. ``model.reset_states()`` begins a text anew. With ``stateful=False`` each
    row of each batch is a text of its own.

    - vocabulary: the number of words V; dimension: of a word's vector, D; hidden: of a state, H;
    - depth: recurrent layers one above the other; cell: RNN, LSTM or GRU;
    - dropout: the share dropped before, between and after the recurrent layers, never from a state
      to the next one;
    - tied: W_o is W_eᵀ: one vector for a word that is read and for one that is written, one array
      in ``params``, whose gradient is the sum of both uses. Needs H = D.

    Sources: Mikolov et al., Recurrent neural network based language model (2010); Zaremba,
    Sutskever and Vinyals, Recurrent neural network regularization (2014), for dropout; Press and
    Wolf, Using the output embedding to improve language models (2017), for tying; Saito, Deep
    Learning from Scratch 2, chapters 5 and 6.

    Raises ValueError for an id outside 0..V-1 and if the batch size changes while stateful,
    TypeError for ids that are not integers.

    >>> from chainrule.training import Trainer
    >>> from chainrule.datasets import Vocabulary, text_batches
    >>> from chainrule.optimizers import Adam
    >>> text = "you say goodbye and i say hello . " * 20
    >>> vocabulary = Vocabulary.from_text(text)
    >>> ids = vocabulary.encode(text)
    >>> model = LanguageModel(len(vocabulary), dimension=16, hidden=16, rng=0)
    >>> trainer = Trainer(model, Adam(lr=0.02), metrics=())
    >>> _ = trainer.fit(batches=lambda: text_batches(ids, batch_size=4, steps=8), epochs=20,
    ...     progress=False)
    >>> vocabulary.decode(model.generate(vocabulary.encode("you"), 7, temperature=0))
    'say goodbye and i say hello .'
    >>> model.perplexity(ids) < 1.2
    True
    """
    carries = True

    def __init__(
        self, vocabulary: int, dimension: int = 100, hidden: int = 100, depth: int = 1,
        cell: type[Recurrent] = LSTM, dropout: float = 0.0, tied: bool = False,
        stateful: bool = True, rng: Seed = None, dtype: DType = np.float32,
    ) -> None:
        checks.counts("LanguageModel", vocabulary=vocabulary, dimension=dimension, hidden=hidden)
        checks.count("LanguageModel", "depth", depth, most=1000)
        tied, stateful = (checks.flag("LanguageModel", "tied", tied),
                          checks.flag("LanguageModel", "stateful", stateful))
        dtype, dropout = (checks.float_type("LanguageModel", "dtype", dtype),
                          share("LanguageModel", "dropout", dropout))
        checks.kind_of("LanguageModel", "cell", cell, "LSTM", "init", "reset_state")
        rng, self.vocabulary = generator("LanguageModel", rng), vocabulary
        if tied and hidden != dimension:
            raise ValueError(checks.wrong("LanguageModel", "hidden",
                                          f"equal dimension={dimension} if tied", hidden))
        embedding = Embedding.init(vocabulary, dimension, rng=rng, dtype=dtype)
        layers: list[Any] = [embedding]
        n = dimension
        for _ in range(depth):
            layers += [*dropouts(dropout, rng),
                       cell.init(n, hidden, rng=rng, dtype=dtype, stateful=stateful)]
            n = hidden
        super().__init__(*layers, *dropouts(dropout, rng),
                         word_scores(embedding, hidden, tied, rng), loss=SoftmaxWithLoss())

    def forward(self, ids, t=None, *, weight=None):
        return super().forward(sequences(self, "ids", ids), t, weight=weight)


def dropouts(p, rng):
    """A list of one Dropout layer, or of none for p = 0."""
    return [Dropout(p, rng=rng)] if p else []


def word_scores(embedding, n, tied, rng):
    """The affine layer from n values to a score for each word; ``tied``: with the embedding's
    W.T."""
    W = embedding.params[0]
    W = W.T if tied else initializers.xavier((n, len(W)), rng=rng, dtype=W.dtype)
    return Affine(W, np.zeros(W.shape[1], W.dtype))
