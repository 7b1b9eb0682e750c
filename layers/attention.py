"""Attention: each query takes a weighted mean of values, the weights made by comparing it with
keys."""
from typing import Any, Self

import numpy as np

from ..common import checks, initializers
from ..common.engine.products import row_sums
from ..common.engine.softmax import softmax
from ..common.layer import Layer
from ..common.masks import attention_mask, seen
from ..common.rng import generator
from ..common.types import Array, DType, Initializer, Seed
from .affine import Affine
from .dropout import Dropout, share


class Attention(Layer):
    """Scaled dot-product attention: y = softmax(q kᵀ / √D) v.

    Shapes: q (N, ..., Tq, D), k (N, ..., Tk, D), v (N, ..., Tk, E), y (N, ..., Tq, E). mask (N,
    ..., Tq, Tk), True where query i may look at key j; every axis but the last may be 1 and then
    counts for all. A query that may look at no key gives y = 0 and has gradient 0; its own entries
    must be finite all the same. A key that no query may look at, and that key's value, may hold
    anything, even NaN.

    The weights w (N, ..., Tq, Tk), each row of sum 1 (or 0, see above), stay in ``weights`` for a
    plot. q_i · k_j is a sum of D products: for independent entries of mean 0 and variance 1 its
    standard deviation is √D. Divided by √D it is 1 for every D; undivided, the softmax would
    saturate for a large D.

    Backward. With s = q kᵀ / √D and w = softmax(s), y_i = Σ_j w_ij v_j gives

        dL/dv_j = Σ_i w_ij dL/dy_i        dL/dw_ij = dL/dy_i · v_j

    then through the softmax. With [j = l] = 1 if j = l, else 0, its derivative is ∂w_il/∂s_ij =
    w_il ([j = l] - w_ij): s_ij moves every weight l of its row, so

        dL/ds_ij = Σ_l dL/dw_il ∂w_il/∂s_ij = w_ij (dL/dw_ij - Σ_l dL/dw_il w_il)

    The last sum is dL/dy_i · Σ_l w_il v_l = dL/dy_i · y_i, and so

        dL/ds_ij = w_ij (dL/dw_ij - dL/dy_i · y_i)
        dL/dq_i = Σ_j dL/ds_ij k_j / √D        dL/dk_j = Σ_i dL/ds_ij q_i / √D

    where dL/dy_i · y_i is a sum over the E entries, ``row_sums(dout * y)``. backward returns
    (dL/dq, dL/dk, dL/dv), and None for a mask if there was one. ``seen`` replaces keys and values
    that no query may look at by zeros.

    With ``dropout`` = p, in training, ``kept`` = Dropout(w) = w ⊙ m, entry by entry, replaces w in
    y and dL/dv, where m holds 0 or 1 / (1 - p) (``weights`` stays w). The product dL/dy_i · v_j is
    then dL/dkept_ij, and dL/dw = dL/dkept ⊙ m. The formula of dL/ds stays: Σ_l dL/dw_il w_il = Σ_l
    dL/dkept_il kept_il = dL/dy_i · y_i.

    Source: Vaswani et al., Attention is all you need (2017), 3.2.1; Saito, Deep Learning from
    Scratch 2, chapter 8.

    Raises ValueError for shapes that do not fit, TypeError for a mask that is not boolean.

    >>> layer = Attention()
    >>> q = np.array([[[1e6, 0.0]]])
    >>> k = np.array([[[0.0, 1.0], [1.0, 0.0]]])
    >>> v = np.array([[[3.0], [5.0]]])
    >>> layer.forward(q, k, v), layer.weights          # the query is like the second key
    (array([[[5.]]]), array([[[0., 1.]]]))
    >>> layer.forward(q, k, v, np.array([[[True, False]]]))
    array([[[3.]]])
    >>> dq, dk, dv, _ = layer.backward(np.ones((1, 1, 1)))
    >>> dv
    array([[[1.],
            [0.]]])
    """
    shapes = ("q (N, ..., Tq, D), k (N, ..., Tk, D), v (N, ..., Tk, E), mask? bool any"
              " -> y (N, ..., Tq, E)")
    weights: Any = None

    def __init__(self, dropout: float = 0.0, rng: Seed = None) -> None:
        """dropout: the share of the weights that is dropped in training. rng: a Generator, a seed
        or None."""
        super().__init__()
        p = share("Attention", "dropout", dropout)
        self.dropout = Dropout(p, rng) if p else None

    def check_inputs(self, q: Array, k: Array, v: Array, mask: Array | None = None) -> None:
        if mask is not None:
            attention_mask("Attention", mask, q.shape[:-2], q.shape[-2], k.shape[-2])

    def forward(self, q, k, v, mask=None):
        k = seen(k, mask)
        v = seen(v, mask)
        scale = q.shape[-1] ** -0.5                        # 1 / √D
        s = np.matmul(q * scale, transposed(k))
        self.weights = w = softmax(s, mask, out=s)
        kept = self.dropout.forward(w) if self.dropout and self.training else w
        y = np.matmul(kept, v)
        self.cache = q, k, v, y, w, kept, mask
        return y

    def backward(self, dout):
        q, k, v, y, w, kept, mask = self.cache
        scale = q.shape[-1] ** -0.5
        dv = np.matmul(transposed(kept), dout)
        dkept = np.matmul(dout, transposed(v))
        dw = dkept if kept is w else self.dropout.backward(dkept)
        # ds = w * (dw - row_sums(dout * y)), written over dw: one array (Tq, Tk) less
        dw -= row_sums(dout * y)
        ds = np.multiply(w, dw, out=dw)
        dq = np.matmul(ds, k) * scale
        dk = np.matmul(transposed(ds), q) * scale
        return (dq, dk, dv) if mask is None else (dq, dk, dv, None)


class MultiHeadAttention(Layer):
    """Attention in ``heads`` subspaces at once, each of D / heads columns, between affine maps.

        q = query Wq + bq,  k = memory Wk + bk,  v = memory Wv + bv
        y = [Attention of head 1 | ... | of the last head] Wo + bo

    Shapes: query (N, Tq, D), memory (N, Tk, D), every W (D, D), every b (D,), y (N, Tq, D), mask
    (N, Tq, Tk) as in Attention, whose D is here D / heads (where a query may look at nothing, y =
    bo). forward(x) is self-attention, memory = query = x (there a masked step is still a query, so
    it must hold finite numbers). With ``causal=True`` step i sees the steps j <= i only, so that a
    model that predicts the next step cannot look it up; ``dropout`` as in Attention. ``weights``
    (N, heads, Tq, Tk) holds those of the last forward.

    Backward. The maps as in Affine, the gradients of their W and b, too; dq, dk and dv are those of
    the heads, as in Attention, from dL/dy Woᵀ:

        dL/dquery = dq Wqᵀ        dL/dmemory = dk Wkᵀ + dv Wvᵀ

    In self-attention x is both query and memory: dL/dx = dL/dquery + dL/dmemory. (bk adds the same
    to all scores of a query, which a softmax does not see: its gradient is 0 apart from rounding.)
    backward returns a gradient for each input of forward: dL/dx for x alone, (dL/dquery,
    dL/dmemory) for two, and None in the place of a mask. Source: Vaswani et al. (2017), 3.2.2.

    In PyTorch's layer Wq, Wk, Wv are the thirds of in_proj_weight.T's columns and Wo is
    out_proj.weight.T; its boolean masks are True where a query may *not* look.

    Raises ValueError for shapes that do not fit, and if D cannot be divided by heads; TypeError for
    a mask that is not boolean.

    >>> layer = MultiHeadAttention.init(8, heads=2, causal=True, rng=0)
    >>> x = np.random.default_rng(1).normal(size=(1, 3, 8))
    >>> layer.forward(x).shape, layer.backward(x).shape
    ((1, 3, 8), (1, 3, 8))
    >>> (layer.weights[0, 0] > 0).astype(int)
    array([[1, 0, 0],
           [1, 1, 0],
           [1, 1, 1]])
    """
    shapes = ("query (N, Tq, D), memory? (N, Tk, D), mask? bool any, Wq (D, D), bq (D), Wk (D, D), "
              "bk (D), Wv (D, D), bv (D), Wo (D, D), bo (D) -> y (N, Tq, D)")

    weights: Any = None

    def __init__(
        self, Wq: Array, bq: Array, Wk: Array, bk: Array, Wv: Array, bv: Array, Wo: Array,
        bo: Array, heads: int, causal: bool = False, dropout: float = 0.0, rng: Seed = None,
    ) -> None:
        checks.needed("MultiHeadAttention", Wq=Wq, bq=bq, Wk=Wk, bk=bk, Wv=Wv, bv=bv, Wo=Wo, bo=bo)
        super().__init__(Wq=Wq, bq=bq, Wk=Wk, bk=bk, Wv=Wv, bv=bv, Wo=Wo, bo=bo)
        self.heads = checks.count("MultiHeadAttention", "heads", heads)
        self.causal = checks.flag("MultiHeadAttention", "causal", causal)
        if len(Wq) % heads:
            expected = f"divide D = {len(Wq)}"
            raise ValueError(checks.wrong("MultiHeadAttention", "heads", expected, heads))
        self.attention = Attention(share("MultiHeadAttention", "dropout", dropout), rng)
        # each map is an Affine on this layer's own arrays, whose backward fills this layer's grads
        maps = [Affine(*self.params[i:i + 2]) for i in (0, 2, 4, 6)]
        self.q, self.k, self.v, self.out = maps
        for i, affine in enumerate(maps):
            affine.grads[:] = self.grads[2 * i:2 * i + 2]

    @classmethod
    def init(
        cls, dimension: int, heads: int, causal: bool = False, dropout: float = 0.0,
        rng: Seed = None, initializer: Initializer = initializers.xavier, dtype: DType = np.float32,
    ) -> Self:
        """A layer with fresh weights and biases of zeros.

        dimension: D, of query, memory and y.
        heads: how many subspaces, each of D / heads columns.
        causal: True: step i sees the steps j <= i only.
        dropout: the share of attention's weights dropped in training, 0 <= dropout < 1.
        rng: a Generator, a seed or None, to draw every W with, and what is dropped.
        initializer: a function such as ``xavier`` of common/initializers.py, called for
            shape (D, D), four times.
        dtype: np.float32 or np.float64, that of the parameters.
        """
        checks.counts("MultiHeadAttention", dimension=dimension, heads=heads)
        rng = generator("MultiHeadAttention", rng)
        Ws = [initializers.weights("MultiHeadAttention", initializer, (dimension, dimension), rng,
                                   dtype) for _ in range(4)]
        (Wq, bq), (Wk, bk), (Wv, bv), (Wo, bo) = ((W, np.zeros(dimension, W.dtype)) for W in Ws)
        return cls(Wq, bq, Wk, bk, Wv, bv, Wo, bo, heads, causal, dropout, rng)

    def check_inputs(
        self, query: Array, memory: Array | None = None, mask: Array | None = None
    ) -> None:
        N, Tq, Tk = *query.shape[:2], (query if memory is None else memory).shape[1]
        if mask is not None:
            attention_mask("MultiHeadAttention", mask, (N,), Tq, Tk)
        if self.causal and Tq != Tk:
            expected = f"have {Tq} steps as the query has, if causal"
            raise ValueError(checks.wrong("MultiHeadAttention", "memory", expected, Tk))

    def forward(self, query, memory=None, mask=None):
        self.cache = memory is not None, mask is not None
        allowed = self.allowed(mask, query.shape[1])
        # dWk = memoryᵀ dk, and 0 · NaN is NaN: zeros for padding; [:, 0]: one mask for all heads
        memory = seen(query if memory is None else memory,
                      None if allowed is None else allowed[:, 0])
        q, k, v = self.q.forward(query), self.k.forward(memory), self.v.forward(memory)
        self.attention.training = self.training
        y = self.attention.forward(self.split(q), self.split(k), self.split(v), allowed)
        self.weights = self.attention.weights
        return self.out.forward(self.join(y))

    def backward(self, dout):
        dy = self.out.backward(dout)
        dq, dk, dv, *_ = self.attention.backward(self.split(dy))
        dquery = self.q.backward(self.join(dq))
        dmemory = self.k.backward(self.join(dk)) + self.v.backward(self.join(dv))
        return self.for_inputs(dquery, dmemory)

    def for_inputs(self, dquery: Array, dmemory: Array) -> Any:
        """One gradient for each input that forward was given: their sum for x, None for a mask."""
        two, masked = self.cache
        gradients = (dquery, dmemory) if two else (dquery + dmemory,)
        gradients += (None,) * masked
        return gradients if len(gradients) > 1 else gradients[0]

    def allowed(self, mask: Array | None, T: int) -> Array | None:
        """The mask for all heads, (N or 1, 1, Tq or 1, Tk): the given one and, if causal, that of
        the steps j <= i; or None."""
        mask = None if mask is None else mask[:, None]
        if self.causal:
            causal = np.tri(T, dtype=bool)[None, None]
            mask = causal if mask is None else mask & causal
        return mask

    def split(self, x: Array) -> Array:
        """(N, T, D) as (N, heads, T, D / heads), a view."""
        return x.reshape(*x.shape[:2], self.heads, -1).swapaxes(1, 2)

    def join(self, x: Array) -> Array:
        """(N, heads, T, D / heads) as (N, T, D)."""
        return x.swapaxes(1, 2).reshape(len(x), x.shape[2], -1)


class PositionalEncoding(Layer):
    """y_t = x_t + p_t: attention, unless causal, does not know the order of its inputs; p_t says
    where each vector stands.

    Shapes: x (N, T, D), y (N, T, D). Without parameters p is fixed, waves of lengths from 2π to
    10000^(1 - 2/D) · 2π (for an even D),

        p_t,2i = sin(t / 10000^(2i/D))        p_t,2i+1 = cos(t / 10000^(2i/D))

    ``PositionalEncoding(W)`` has the rows of W (L, D) as p instead, learned, for sequences of up to
    L steps.

    Backward: dL/dx = dL/dy, and for learned positions dL/dW_t = Σ_n dL/dy_nt, zero for t >= T.
    Source: Vaswani et al., Attention is all you need (2017), 3.5.

    Raises ValueError if x is longer than W.

    >>> layer = PositionalEncoding()
    >>> layer.forward(np.zeros((1, 3, 4))).round(2)
    array([[[ 0.  ,  1.  ,  0.  ,  1.  ],
            [ 0.84,  0.54,  0.01,  1.  ],
            [ 0.91, -0.42,  0.02,  1.  ]]])
    >>> layer = PositionalEncoding(W=np.array([[1.0], [2.0], [3.0]]))
    >>> layer.forward(np.zeros((1, 2, 1))).tolist()
    [[[1.0], [2.0]]]
    """
    shapes = "x (N, T, D), W (L, D) -> y (N, T, D)"

    def __init__(self, W: Array | None = None) -> None:
        super().__init__(W=W)

    @classmethod
    def init(
        cls, length: int, dimension: int, rng: Seed = None,
        initializer: Initializer = initializers.gaussian, dtype: DType = np.float32,
    ) -> Self:
        """A layer with learned positions.

        length: the most steps that a sequence may have, L.
        dimension: D, of x (N, T, D).
        rng: a Generator, a seed or None, to draw W with.
        initializer: a function such as ``gaussian`` of common/initializers.py, called for
            shape (L, D).
        dtype: np.float32 or np.float64, that of W.
        """
        checks.counts("PositionalEncoding", length=length, dimension=dimension)
        return cls(initializers.weights("PositionalEncoding", initializer, (length, dimension), rng,
                                        dtype))

    def check_inputs(self, x: Array) -> None:
        if self.params and len(self.params[0]) < x.shape[1]:
            expected = f"have at most {len(self.params[0])} steps"
            raise ValueError(checks.wrong("PositionalEncoding", "x", expected, x.shape[1]))

    def forward(self, x):
        _, T, D = x.shape
        self.cache = T
        return x + (self.params[0][:T] if self.params else sinusoids(T, D).astype(x.dtype))

    def backward(self, dout):
        if self.params:
            (dW,), T = self.grads, self.cache
            np.sum(dout, axis=0, out=dW[:T])
            dW[T:] = 0
        return dout.copy()                  # dL/dx = dL/dy, in an array of its own


def transposed(x):
    """The last two axes exchanged."""
    return x.swapaxes(-1, -2)


def sinusoids(T, D):
    """The fixed positions p (T, D) of PositionalEncoding, in float64."""
    angles = np.arange(T)[:, None] / 10000.0 ** (np.arange(D) // 2 * 2 / D)
    return np.where(np.arange(D) % 2, np.cos(angles), np.sin(angles))
