"""The affine layer: a matrix product and a bias."""
from typing import Self

import numpy as np

from ..common import checks, initializers
from ..common.engine.products import column_sums, product, rows
from ..common.layer import Layer
from ..common.types import Array, DType, Initializer, Seed


class Affine(Layer):
    """y = x W + b: every sample a row, every output a weighted sum of all inputs and a bias.

    Shapes: x (N, ..., I), W (I, O), b (O,) or None, y (N, ..., O).

    Backward. Written out, y_nk = Σ_i x_ni W_ik + b_k. W_ik reaches the loss through column k of y,
    once per sample n, with factor x_ni; b_k once per sample; x_ni through row n, once per output k,
    with factor W_ik. Entry by entry, and as matrices:

        dL/dW_ik = Σ_n x_ni dL/dy_nk        dL/dW = xᵀ dL/dy
        dL/db_k  = Σ_n dL/dy_nk             dL/db = Σ_n dL/dy_n
        dL/dx_ni = Σ_k dL/dy_nk W_ik        dL/dx = dL/dy Wᵀ

    Each gradient has the shape of its array: a quick check that no factors are swapped and no
    transpose is missing (it proves nothing where the sizes are equal). n runs over all leading
    axes: ``rows(x)`` is x as a matrix with a sample in each row, ``column_sums`` is Σ_n,
    ``product`` the matrix product; ``*b`` is empty where there is no bias. backward writes into the
    arrays of ``grads``, which the optimizer holds, too. (Where nothing reads dL/dx, as below the
    lowest layer of a model that learns, ``input_gradient`` is False, and backward returns None.)
    Source: Saito, Deep Learning from Scratch 2, chapter 1.

    >>> layer = Affine(W=np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), b=np.zeros(3))
    >>> layer.forward(np.array([[1.0, 10.0]]))
    array([[41., 52., 63.]])
    >>> layer.backward(np.array([[1.0, 0.0, 0.0]]))
    array([[1., 4.]])
    >>> layer.grads[0]
    array([[ 1.,  0.,  0.],
           [10.,  0.,  0.]])
    """
    shapes = "x (N, ..., I), W (I, O), b (O) -> y (N, ..., O)"

    def __init__(self, W: Array, b: Array | None = None) -> None:
        """Raises ValueError unless W has two axes and b one entry per column of W; TypeError unless
        both are float arrays of one dtype."""
        checks.needed("Affine", W=W)
        super().__init__(W=W, b=b)

    @classmethod
    def init(
        cls, n_in: int, n_out: int, bias: bool = True, rng: Seed = None,
        initializer: Initializer = initializers.he, dtype: DType = np.float32,
    ) -> Self:
        """A layer with fresh weights and a bias of zeros.

        n_in, n_out: the sizes I of x (N, ..., I) and O of y (N, ..., O).
        bias: False leaves b out.
        rng: a Generator, a seed or None, to draw W with.
        initializer: a function such as ``he`` of common/initializers.py, called for shape (I, O).
        dtype: np.float32 or np.float64, that of the parameters.
        """
        checks.counts("Affine", n_in=n_in, n_out=n_out)
        checks.flag("Affine", "bias", bias)
        W = initializers.weights("Affine", initializer, (n_in, n_out), rng, dtype)
        b = np.zeros(n_out, W.dtype) if bias else None
        return cls(W, b)

    def forward(self, x):
        W, *b = self.params
        self.cache = x
        y = product(x, W)
        if b:
            y += b[0]
        return y

    def backward(self, dout):
        (W, *_), (dW, *db), x = self.params, self.grads, self.cache
        product(rows(x).T, rows(dout), out=dW)
        if db:
            column_sums(dout, out=db[0])
        return product(dout, W.T) if self.input_gradient else None
