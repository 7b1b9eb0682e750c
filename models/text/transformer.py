"""The Transformer as a language model."""
from functools import partial
from typing import Literal

import numpy as np

from ...common import checks, initializers
from ...common.rng import generator
from ...common.types import DType, Seed
from ...layers import (
    GELU,
    Affine,
    Embedding,
    LayerNorm,
    MultiHeadAttention,
    PositionalEncoding,
    SoftmaxWithLoss,
)
from ...layers.dropout import share
from ..graph import Graph
from ..node import Input, through
from .generating import TextModel, sequences
from .language_model import dropouts, word_scores


class TransformerLM(TextModel, Graph):
    """p(next token | up to L tokens so far), by attention alone: every position sees all before it
    at once.

        x = W_e[ids] + p_t                                         token and position
        x = x + MultiHeadAttention(LayerNorm(x))                   ``depth`` times: what others say,
        x = x + Affine(GELU(Affine(LayerNorm(x))))                 and what to make of it
        s = LayerNorm(x) W_o + b

    Each block adds to x, so the gradient of x runs undamped from the scores to the embedding; the
    norm stands before each sum's new part ("pre-norm"), which trains without a warm-up. A causal
    mask keeps position t from the tokens after it: one forward gives T predictions, none of which
    knows its answer.

    Shapes: ids (N, T), T <= L; scores (N, T, V); targets t (N, T), the token after each. x (N, T,
    D) inside.

    - vocabulary: the number of tokens V; dimension: D; heads: of attention, a divisor of D;
    - depth: blocks; length: L, the longest that it reads; hidden: units of the inner affine layer,
      None: 4 D;
    - positions: "learned", a row of a matrix for each t < L, or "sinusoidal", waves
      (PositionalEncoding);
    - dropout: the share dropped of x at first and of each part before it is added;
    - tied: W_o is W_eᵀ, one array with one gradient, as in LanguageModel.

    Sources: Vaswani et al., Attention is all you need (2017); pre-norm: Xiong et al., On layer
    normalization in the Transformer architecture (2020); GELU and learned positions as in Radford
    et al., Language models are unsupervised multitask learners (2019).

    Train on windows that begin anywhere in the text: at always the same places it learns what
    stands at which position. ``tests/test_figures_transformer.py`` trains it so, character by
    character: AdamW with weight_decay=0.1, lr up to 0.006 in 100 steps and down along a cosine,
    gradients clipped to 1, batches of 32.

    Raises ValueError for an id outside 0..V-1, for a text longer than L and for heads that do not
    divide D; TypeError for ids that are not integers.

    >>> model = TransformerLM(vocabulary=11, dimension=8, heads=2, depth=1, length=6, rng=0)
    >>> ids = np.array([[3, 1, 4, 1, 5]])
    >>> model.predict(ids).shape
    (1, 5, 11)
    >>> np.array_equal(model.predict(ids)[:, :3], model.predict(np.array([[3, 1, 4, 9, 2]]))[:, :3])
    True
    >>> model.generate([3, 1, 4], 8, rng=0).shape
    (8,)
    """

    def __init__(
        self, vocabulary: int, dimension: int = 128, heads: int = 4, depth: int = 2,
        length: int = 64, positions: Literal["learned", "sinusoidal"] = "learned",
        hidden: int | None = None, dropout: float = 0.0, tied: bool = False, rng: Seed = None,
        dtype: DType = np.float32,
    ) -> None:
        hidden = (4 * checks.count("TransformerLM", "dimension", dimension) if hidden is None
                  else hidden)
        checks.counts("TransformerLM", vocabulary=vocabulary, dimension=dimension, heads=heads,
                      length=length, hidden=hidden)
        checks.count("TransformerLM", "depth", depth, most=1000)
        dtype, dropout = (checks.float_type("TransformerLM", "dtype", dtype),
                          share("TransformerLM", "dropout", dropout))
        tied = checks.flag("TransformerLM", "tied", tied)
        rng, self.vocabulary, D = generator("TransformerLM", rng), vocabulary, dimension
        # perplexity: each token has at least half of L before it
        self.length, self.steps = length, (length + 1) // 2
        checks.one_of("TransformerLM", "positions", positions, ("learned", "sinusoidal"))
        # Beside waves, whose entries are about 0.7, smaller vectors would drown.
        draw = partial(initializers.gaussian, std=0.02 if positions == "learned" else 0.3)
        embedding, position = Embedding.init(vocabulary, D, rng, draw, dtype), PositionalEncoding()
        if positions == "learned":
            position = PositionalEncoding.init(length, D, rng, draw, dtype)

        def norm():
            return LayerNorm.init(D, dtype=dtype)

        def affine(n_in, n_out):
            return Affine.init(n_in, n_out, rng=rng, initializer=initializers.xavier, dtype=dtype)

        ids = Input("ids")
        x = through(ids, embedding, position, *dropouts(dropout, rng))
        for _ in range(depth):
            x = x + through(x, norm(),
                            MultiHeadAttention.init(D, heads, causal=True, rng=rng, dtype=dtype),
                            *dropouts(dropout, rng))
            x = x + through(x, norm(), affine(D, hidden), GELU(), affine(hidden, D),
                            *dropouts(dropout, rng))
        scores = through(x, norm(), word_scores(embedding, D, tied, rng))
        super().__init__(ids, scores, loss=SoftmaxWithLoss())

    def forward(self, ids, *targets, weight=None):
        """The scores of ids (N, T) or, with targets t, the loss."""
        ids = sequences(self, "ids", ids)
        if ids.shape[1] > self.length:
            raise ValueError(checks.wrong("TransformerLM", "ids",
                                          f"have at most length={self.length} steps", ids.shape[1]))
        return super().forward(ids, *targets, weight=weight)
