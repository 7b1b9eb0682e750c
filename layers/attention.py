"""Attention: each query takes a weighted mean of values, the weights made by comparing it with keys."""
import numpy as np

from ..common import checks, initializers
from ..common.layer import Layer
from ..common.rng import generator
from ..common.threads import product
from ._masks import boolean


def attend(q, k, v, mask=None):
    """The outputs (..., Tq, E) and the weights (..., Tq, Tk); formula and shapes as in Attention, ``mask`` broadcasting."""
    scores = np.matmul(q * q.dtype.type(q.shape[-1] ** -0.5), k.swapaxes(-1, -2))
    if mask is not None:
        scores += np.where(mask, 0, -np.inf).astype(q.dtype)
    largest = scores.max(axis=-1, keepdims=True)
    if mask is not None:
        largest[largest == -np.inf] = 0           # a row with nothing allowed: exp makes it zeros
    scores -= largest
    weights = np.exp(scores, out=scores)
    # The sum over Tk as a product: 2-3 times as fast.
    total = np.matmul(weights, np.ones(weights.shape[-1], q.dtype))[..., None]
    if mask is not None:
        total[total == 0] = 1
    weights /= total
    return np.matmul(weights, v), weights


def attend_back(dy, q, k, v, y, weights):
    """dL/dq, dL/dk, dL/dv, as derived in Attention."""
    scale = q.dtype.type(q.shape[-1] ** -0.5)
    dv = np.matmul(weights.swapaxes(-1, -2), dy)
    ds = np.matmul(dy, v.swapaxes(-1, -2))
    ds -= np.matmul(dy * y, np.ones(y.shape[-1], y.dtype))[..., None]
    ds *= weights
    return np.matmul(ds, k) * scale, np.matmul(ds.swapaxes(-1, -2), q) * scale, dv


def gradients(*dinputs, mask):
    """What backward returns: a gradient for each input that forward was given, None for the mask."""
    dinputs += (None,) if mask is not None else ()
    return dinputs[0] if len(dinputs) == 1 else dinputs


class Attention(Layer):
    """Scaled dot-product attention: y = softmax(q kᵀ / √D) v.

    Shapes: q (N, Tq, D), k (N, Tk, D), v (N, Tk, E), y (N, Tq, E). mask (N, Tq, Tk), True where query i may look at
    key j; an axis of N or Tq may be 1 and then counts for all. A query that may look at nothing gives zeros and gets
    no gradient; a key that no query may look at may hold anything, NaN too.

    The weights w (N, Tq, Tk), each row positive and of sum 1, stay in ``weights`` for a plot. Without the 1/√D the
    scores, sums of D products, would grow with D and the softmax saturate.

    Backward. With s = q kᵀ / √D and w = softmax(s), y_i = Σ_j w_ij v_j gives

        dL/dv_j = Σ_i w_ij dL/dy_i        dL/dw_ij = dL/dy_i · v_j

    then through the softmax, dL/ds_ij = w_ij (dL/dw_ij - Σ_k dL/dw_ik w_ik), where the sum is dL/dy_i · Σ_k w_ik v_k,
    so

        dL/ds_ij = w_ij (dL/dw_ij - dL/dy_i · y_i)
        dL/dq_i = Σ_j dL/ds_ij k_j / √D        dL/dk_j = Σ_i dL/ds_ij q_i / √D

    backward returns (dL/dq, dL/dk, dL/dv), and None for a mask if there was one.
    Source: Vaswani et al., Attention is all you need (2017), 3.2.1; Saito, Deep Learning from Scratch 2, chapter 8.

    Raises ValueError for shapes that do not fit, TypeError for a mask that is not boolean.

    >>> layer = Attention()
    >>> q, k, v = np.array([[[1e6, 0.0]]]), np.array([[[0.0, 1.0], [1.0, 0.0]]]), np.array([[[3.0], [5.0]]])
    >>> layer.forward(q, k, v), layer.weights          # the query is like the second key
    (array([[[5.]]]), array([[[0., 1.]]]))
    >>> layer.forward(q, k, v, np.array([[[True, False]]]))
    array([[[3.]]])
    >>> dq, dk, dv, _ = layer.backward(np.ones((1, 1, 1)))
    >>> dv
    array([[[1.],
            [0.]]])
    """
    shapes = "q (N, Tq, D), k (N, Tk, D), v (N, Tk, E), mask? any -> y (N, Tq, E)"

    weights = None

    def forward(self, q, k, v, mask=None):
        k, v = k.astype(q.dtype, copy=False), v.astype(q.dtype, copy=False)
        if mask is not None:
            mask = attention_mask(self, mask, len(q), q.shape[1], k.shape[1])
            k, v = seen(k, mask), seen(v, mask)
        y, self.weights = attend(q, k, v, mask)
        self.cache = q, k, v, y, self.weights, mask
        return y

    def backward(self, dout):
        *cache, mask = self.cache
        return gradients(*attend_back(dout, *cache), mask=mask)


def attention_mask(layer, mask, N, Tq, Tk):
    """A mask as an array of booleans (N or 1, Tq or 1, Tk)."""
    shape = checks.as_array(mask).shape
    if shape == (N, Tk):
        raise ValueError(checks.wrong(type(layer).__name__, "mask", f"have shape {(N, Tq, Tk)}", (N, Tk),
                                      "if it says which keys there are, mask[:, None] says so to every query"))
    lead = tuple(1 if given == 1 else n for given, n in zip(shape, (N, Tq)))
    return boolean(type(layer).__name__, "mask", mask, (lead if len(lead) == 2 else (N, Tq)) + (Tk,))


def seen(memory, mask):
    """``memory`` (N, Tk, D) with zeros where no query may look: padding may hold anything, NaN too, and 0 · NaN is NaN."""
    allowed = mask.any(axis=1)
    return memory if allowed.all() else np.where(allowed[..., None], memory, 0)


class MultiHeadAttention(Layer):
    """Attention in ``heads`` subspaces at once, each of D / heads columns, between affine maps.

        q = query Wq + bq,  k = memory Wk + bk,  v = memory Wv + bv
        y = [Attention of head 1 | ... | of the last head] Wo + bo

    Shapes: query (N, Tq, D), memory (N, Tk, D), all W (D, D), all b (D,), y (N, Tq, D), mask (N, Tq, Tk) as in
    Attention. forward(x) is self-attention, memory = query = x. With ``causal=True`` step i sees the steps j <= i
    only, so that a model that predicts the next step cannot look it up. ``weights`` (N, heads, Tq, Tk) are there for
    a plot.

    Backward. The maps as in Affine, the heads as in Attention; in self-attention x is used three times, so that dL/dx
    is the sum of what comes back through q, k and v. (bk adds the same to all scores of a query, which a softmax does
    not see: its gradient is 0 but for rounding.) backward returns a gradient for each input that forward was given:
    dL/dx; or (dL/dquery, dL/dmemory); None for a mask. Source: Vaswani et al. (2017), 3.2.2.

    Beside PyTorch's: Wq, Wk, Wv are the thirds of in_proj_weight.T, Wo is out_proj.weight.T; its masks mean the
    opposite.

    Raises ValueError for shapes that do not fit, and if D cannot be divided by heads; TypeError for a mask that is
    not boolean.

    >>> layer = MultiHeadAttention.init(8, heads=2, causal=True, rng=0)
    >>> x = np.random.default_rng(1).normal(size=(1, 3, 8))
    >>> layer.forward(x).shape, layer.backward(x).shape
    ((1, 3, 8), (1, 3, 8))
    >>> (layer.weights[0, 0] > 0).astype(int)
    array([[1, 0, 0],
           [1, 1, 0],
           [1, 1, 1]])
    """
    weights = None

    def __init__(self, Wq, bq, Wk, bk, Wv, bv, Wo, bo, heads, causal=False):
        checks.needed("MultiHeadAttention", Wq=Wq, bq=bq, Wk=Wk, bk=bk, Wv=Wv, bv=bv, Wo=Wo, bo=bo)
        super().__init__(Wq=Wq, bq=bq, Wk=Wk, bk=bk, Wv=Wv, bv=bv, Wo=Wo, bo=bo)
        checks.array("MultiHeadAttention", "Wq", Wq, shape=("D", "D"))
        D = len(Wq)
        for name, p in zip(self.names, self.params):
            checks.array("MultiHeadAttention", name, p, shape=(D, D) if name[0] == "W" else (D,))
        self.heads = checks.count("MultiHeadAttention", "heads", heads)
        self.causal = checks.flag("MultiHeadAttention", "causal", causal)
        if D % heads:
            raise ValueError(checks.wrong("MultiHeadAttention", "heads", f"divide D = {D}", heads))

    @classmethod
    def init(cls, dimension, heads, causal=False, rng=None, initializer=initializers.xavier, dtype=np.float32):
        """A layer for vectors of ``dimension`` numbers with fresh weights and biases of zeros."""
        checks.counts("MultiHeadAttention", dimension=dimension, heads=heads)
        rng = generator("MultiHeadAttention", rng)
        Ws = [initializers.weights("MultiHeadAttention", initializer, (dimension, dimension), rng, dtype) for _ in range(4)]
        pairs = [(W, np.zeros(dimension, W.dtype)) for W in Ws]
        return cls(*(p for pair in pairs for p in pair), heads=heads, causal=causal)

    def forward(self, query, memory=None, mask=None):
        Wq, bq, Wk, bk, Wv, bv, Wo, bo = self.params
        query = self.accept(query, shape=("N", "Tq", len(Wq)), name="x" if memory is None else "query")
        N, Tq, D = query.shape
        source = query if memory is None else self.accept(memory, shape=(N, "Tk", D), name="memory")
        if mask is not None:
            mask = attention_mask(self, mask, N, Tq, source.shape[1])
            source = seen(source, mask)
        q, k, v = (self.split(affine(x, W, b)) for x, W, b in ((query, Wq, bq), (source, Wk, bk), (source, Wv, bv)))
        y, self.weights = attend(q, k, v, self.allowed(mask, Tq, source.shape[1]))
        joined = self.join(y)
        self.cache = query, source, q, k, v, y, self.weights, joined, memory is not None, mask
        return affine(joined, Wo, bo)

    def backward(self, dout):
        Wq, bq, Wk, bk, Wv, bv, Wo, bo = self.params
        query, source, *attention, joined, two, mask = self.cache
        dy = self.split(self.affine_back(joined, dout, 6))
        dq, dk, dv = map(self.join, attend_back(dy, *attention))
        dquery = self.affine_back(query, dq, 0)
        dsource = self.affine_back(source, dk, 2)
        dsource += self.affine_back(source, dv, 4)
        return gradients(dquery, dsource, mask=mask) if two else gradients(dquery + dsource, mask=mask)

    def affine_back(self, x, dy, i):
        """Backward of x W + b with W = params[i], b = params[i + 1]."""
        rows, drows = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
        product(rows.T, drows, out=self.grads[i])
        np.dot(np.ones(len(drows), dy.dtype), drows, out=self.grads[i + 1])
        return product(drows, self.params[i].T).reshape(x.shape)

    def allowed(self, mask, Tq, Tk):
        """The mask of all heads (N or 1, 1, Tq or 1, Tk), with the causal one if there is; or None."""
        if mask is not None:
            mask = mask[:, None]
        if self.causal:
            if Tq != Tk:
                raise ValueError(checks.wrong("MultiHeadAttention", "memory", f"have {Tq} steps as the query has, if causal", Tk))
            causal = np.tri(Tq, dtype=bool)
            mask = causal if mask is None else mask & causal
        return mask

    def split(self, x):
        """(N, T, D) as (N, heads, T, D / heads), a view."""
        return x.reshape(*x.shape[:2], self.heads, -1).swapaxes(1, 2)

    def join(self, x):
        """(N, heads, T, D / heads) as (N, T, D)."""
        return x.swapaxes(1, 2).reshape(len(x), x.shape[2], -1)


def affine(x, W, b):
    y = product(x.reshape(-1, len(W)), W)
    y += b
    return y.reshape(x.shape)


class PositionalEncoding(Layer):
    """y_t = x_t + p_t: tells a network that sees a sequence as a set, as attention does, where each vector stands.

    Shapes: x (N, T, D), y (N, T, D). Without parameters p is fixed, waves of lengths from 2π to 10000 · 2π,

        p_t,2i = sin(t / 10000^(2i/D))        p_t,2i+1 = cos(t / 10000^(2i/D))

    ``PositionalEncoding(W)`` has the rows of W (L, D) as p instead, learned, for sequences of up to L steps.

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

    def __init__(self, W=None):
        super().__init__(W=W)
        if W is not None:
            checks.array("PositionalEncoding", "W", W, shape=("L", "D"))

    @classmethod
    def init(cls, length, dimension, rng=None, initializer=initializers.gaussian, dtype=np.float32):
        """Learned positions for up to ``length`` steps."""
        checks.counts("PositionalEncoding", length=length, dimension=dimension)
        return cls(initializers.weights("PositionalEncoding", initializer, (length, dimension), rng, dtype))

    def forward(self, x):
        N, T, D = x.shape
        p = self.params[0][:T] if self.params else sinusoids(T, D).astype(x.dtype)
        if len(p) < T:
            raise ValueError(checks.wrong("PositionalEncoding", "x", f"have at most {len(p)} steps", T))
        self.cache = x.shape, x.dtype
        return x + p

    def backward(self, dout):
        shape, dtype = self.cache
        if self.params:
            dW, T = self.grads[0], shape[1]
            np.sum(dout, axis=0, out=dW[:T])
            dW[T:] = 0
        return dout.copy()


def sinusoids(T, D):
    """The fixed positions p (T, D) of PositionalEncoding, in float64."""
    angles = np.arange(T)[:, None] / 10000.0 ** (np.arange(D) // 2 * 2 / D)
    return np.where(np.arange(D) % 2, np.cos(angles), np.sin(angles))
