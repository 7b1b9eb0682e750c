"""The matrix product as a node of its own."""
from typing import Self

import numpy as np

from ..common import checks, initializers
from ..common.engine.products import product, rows
from ..common.functions import sum_to
from ..common.layer import Layer
from ..common.types import Array, DType, Initializer, Seed


class MatMul(Layer):
    """y = a b, the matrix product over the last two axes: of two inputs, or of an input and held
    weights W.

    Shapes: a (..., N, K), b (..., K, M), y (..., N, M); leading axes broadcast as in NumPy.
    ``MatMul(W)`` holds b = W (K, M) as its parameter and takes x (N, ..., K).

    Backward. y_nm = Σ_k a_nk b_km, so a_nk reaches the loss through row n of y with factors b_km,
    and b_km through column m with factors a_nk:

        dL/da = dL/dy bᵀ        dL/db = aᵀ dL/dy

    summed over the leading axes along which an input was broadcast. Source: Saito, Deep Learning
    from Scratch 2, chapter 1.

    >>> node = MatMul()
    >>> node.forward(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
    array([[11.]])
    >>> node.backward(np.array([[10.0]]))
    (array([[30., 40.]]), array([[10.],
           [20.]]))
    """
    shapes = "a float, b? float, W (K, M) -> y (..., N, M)"

    def __init__(self, W: Array | None = None) -> None:
        super().__init__(W=W)

    @classmethod
    def init(
        cls, n_in: int, n_out: int, rng: Seed = None, initializer: Initializer = initializers.he,
        dtype: DType = np.float32,
    ) -> Self:
        """A layer that holds fresh weights W.

        n_in, n_out: the sizes K of x (N, ..., K) and M of y (N, ..., M).
        rng: a Generator, a seed or None, to draw W with.
        initializer: a function such as ``he`` of common/initializers.py, called for shape (K, M).
        dtype: np.float32 or np.float64, that of W.
        """
        checks.counts("MatMul", n_in=n_in, n_out=n_out)
        return cls(initializers.weights("MatMul", initializer, (n_in, n_out), rng, dtype))

    def check_inputs(self, a: Array, b: Array | None = None) -> None:
        if self.params and b is not None:
            raise TypeError("MatMul: this one holds its W and takes one input, got two; MatMul() "
                            "multiplies two inputs")
        if not self.params and b is None:
            raise TypeError("MatMul: this one holds no W and takes two inputs, got one; MatMul(W) "
                            "holds its own")
        if b is None:
            checks.array("MatMul", "x", a, a.dtype, ("N", ..., len(self.params[0])))
        else:
            checks.array("MatMul", "a", a, a.dtype, (..., "N", "K"))
            checks.array("MatMul", "b", b, b.dtype, (..., a.shape[-1], "M"))
            checks.broadcasting("MatMul", a, b, but=2)

    def forward(self, a, b=None):
        if self.params:
            b, = self.params
        self.cache = a, b
        return product(a, b) if b.ndim == 2 else np.matmul(a, b)

    def backward(self, dout):
        a, b = self.cache
        if self.params:
            product(rows(a).T, rows(dout), out=self.grads[0])
            return product(dout, b.T) if self.input_gradient else None
        da = np.matmul(dout, b.swapaxes(-1, -2))
        db = np.matmul(a.swapaxes(-1, -2), dout)
        return sum_to(da, a.shape, a.dtype), sum_to(db, b.shape, b.dtype)
