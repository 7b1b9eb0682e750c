"""Look-up layers: a row of W for each id. Their gradients are zero but in the rows that were looked
up."""
from typing import Self

import numpy as np

from ..common import checks, initializers
from ..common.engine.rows import RowGradient
from ..common.layer import Layer
from ..common.types import Array, ArrayLike, DType, Initializer, Seed


class Lookup(Layer):
    """What both share: W (V, D), a row for each of V words, and a gradient that knows its rows."""

    def __init__(self, W: Array) -> None:
        """Raises ValueError unless W has two axes."""
        checks.needed(type(self).__name__, W=W)
        super().__init__(W=W)
        self.grads[0] = RowGradient.zeros_like(self.params[0])

    @classmethod
    def init(
        cls, vocabulary: int, dimension: int, rng: Seed = None,
        initializer: Initializer = initializers.gaussian, dtype: DType = np.float32,
    ) -> Self:
        """A layer with fresh vectors.

        vocabulary: how many words there are, V; their ids are 0..V-1.
        dimension: of a word's vector, D.
        rng: a Generator, a seed or None, to draw W with.
        initializer: a function such as ``gaussian`` of common/initializers.py, called for
            shape (V, D).
        dtype: np.float32 or np.float64, that of W.
        """
        checks.counts(cls.__name__, vocabulary=vocabulary, dimension=dimension)
        return cls(
            initializers.weights(cls.__name__, initializer, (vocabulary, dimension), rng, dtype))

    def accept_ids(self, ids: ArrayLike) -> Array:
        return checks.row_numbers(type(self).__name__, "ids", ids, len(self.params[0]))


class Embedding(Lookup):
    """y = W[ids]: for each id its row of W, a vector that stands for a word.

    Shapes: ids (...), integers in 0..V-1, W (V, D), y (..., D).

    It is the product of one-hot rows with W, y_nd = Σ_v [ids_n = v] W_vd, without the
    multiplications by zero.

    Backward. A row that was looked up several times receives the gradient of each use, a row that
    was not, zero:

        dL/dW_v = Σ over all n with ids_n = v of dL/dy_n

    Ids have no gradient: backward returns None. ``grads[0]`` is dense, and carries in ``.rows`` the
    rows written, so that SGD and AdaGrad may skip all others. Source: Saito, Deep Learning
    from Scratch 2, chapter 4.1.

    Raises TypeError for ids that are not integers, ValueError for one outside 0..V-1 and for an
    empty array.

    >>> layer = Embedding(W=np.array([[0.0, 1.0], [10.0, 11.0], [20.0, 21.0]]))
    >>> layer.forward(np.array([2, 0, 2]))
    array([[20., 21.],
           [ 0.,  1.],
           [20., 21.]])
    >>> layer.backward(np.array([[1.0, 1.0], [2.0, 2.0], [5.0, 5.0]]))
    >>> layer.grads[0].tolist(), layer.grads[0].rows
    ([[2.0, 2.0], [0.0, 0.0], [6.0, 6.0]], array([0, 2]))
    """
    shapes = "ids any, W (V, D) -> y (..., D)"

    def forward(self, ids):
        self.cache = ids = self.accept_ids(ids)
        # the ids are checked: "clip" skips a second check
        return self.params[0].take(ids, axis=0, mode="clip")

    def backward(self, dout):
        (W,), ids = self.params, self.cache
        self.grads[0].write(ids.reshape(-1), dout.reshape(-1, W.shape[1]))


class EmbeddingDot(Lookup):
    """s_k = h · W[ids_k]: the scores of a few words only, instead of the product of h with all of
    Wᵀ.

    Shapes: h (..., D), ids (..., K) with the same leading axes, integers in 0..V-1, W (V, D), s
    (..., K).

    With one true word and some random false ones as ids, and SigmoidWithLoss, this is negative
    sampling.

    Backward. With y_k = W[ids_k], s_k = Σ_d h_d y_kd, so

        dL/dh = Σ_k dL/ds_k y_k        dL/dW_v = Σ over all n, k with ids_nk = v of dL/ds_nk h_n

    Returned as (dL/dh, None). ``grads[0]`` carries ``.rows`` as Embedding's does. Source: Saito,
    Deep Learning from Scratch 2, chapter 4.2; Mikolov et al., Distributed representations of words
    and phrases and their compositionality (2013).

    Raises TypeError for ids that are not integers, ValueError for one outside 0..V-1 and for wrong
    shapes.

    >>> layer = EmbeddingDot(W=np.array([[0.0, 1.0], [10.0, 11.0], [20.0, 21.0]]))
    >>> layer.forward(np.array([[1.0, 100.0]]), np.array([[2, 0]]))
    array([[2120.,  100.]])
    >>> layer.backward(np.array([[1.0, -1.0]]))
    (array([[20., 20.]]), None)
    >>> layer.grads[0].tolist()
    [[-1.0, -100.0], [0.0, 0.0], [1.0, 100.0]]
    """
    shapes = "h (N, ..., D), ids any, W (V, D) -> y (N, ..., K)"

    def forward(self, h, ids):
        W, = self.params
        ids = self.accept_ids(ids)
        if ids.shape[:-1] != h.shape[:-1]:
            checks.array("EmbeddingDot", "ids", ids, ids.dtype, h.shape[:-1] + ("K",))
        y = W.take(ids, axis=0, mode="clip")
        self.cache = h, ids, y
        return np.matmul(y, h[..., None])[..., 0]

    def backward(self, dout):
        h, ids, y = self.cache
        dy = dout[..., None] * h[..., None, :]
        self.grads[0].write(ids.reshape(-1), dy.reshape(-1, h.shape[-1]))
        return np.matmul(dout[..., None, :], y)[..., 0, :], None
