"""Convolution: one small set of weights, used at every place of an image."""
from typing import Any, Literal

import numpy as np  # noqa: F401 (for the examples)

from ..common import checks
from ..common.engine.channels import channel_sums
from ..common.engine.convolution import convolve, convolve_back, transposed_convolve
from ..common.types import Array, Padding, Size
from .filters import Filters, TransposedFilters


class Convolution(Filters):
    """y_nfij = b_f + Σ_c Σ_k Σ_l W_fckl x_nc,i+k,j+l: filter f laid over every place (i, j) of the
    image, all channels c at once (strictly a cross-correlation: the filter is not flipped). That is
    for stride s = 1, dilation d = 1 and padding P = 0; in general the pixel is
    x_nc,is+kd-P,js+ld-P, and 0 outside the image.

    Shapes: x (N, C, H, W), W (F, C, KH, KW), b (F,) or None, y (N, F, OH, OW) with OH = (H + 2 P -
    (KH - 1) d - 1) // s + 1, OW likewise; s, d and P may differ between the axes (with "same" OH
    is as below, and P in an index the rows above, the columns left).

    Options, each an int or a pair (height, width):

    - ``stride``: the steps of the filter;
    - ``padding``: rows and columns of zeros around x, or ``"same"`` for OH = H / stride and
      OW = W / stride, rounded up, as in Keras (where the padding is odd, the extra row or column is
      at the bottom or the right);
    - ``dilation``: the distance of the pixels under neighbouring weights;
    - ``groups`` = G, a number: channels and filters fall into G parts, and filters see the channels
      of their own part only, W being (F, C / G, KH, KW) (G = C: "depthwise").

    Backward, first for s = d = 1 and P = 0. x_ncpq reaches y_nfij with factor W_fckl where
    p = i + k and q = j + l; the gradient of a pixel, a weight or a bias is the sum over all places
    where it is used (dL/dy counts as 0 outside of its OH rows and OW columns):

        dL/dx_ncpq = Σ_f Σ_k Σ_l W_fckl dL/dy_nf,p-k,q-l
        dL/dW_fckl = Σ_n Σ_i Σ_j x_nc,i+k,j+l dL/dy_nfij
        dL/db_f = Σ_n Σ_i Σ_j dL/dy_nfij

    The minus signs say that dx is again a convolution: of dy, framed by KH - 1 rows of zeros above
    and below and KW - 1 columns left and right, with the filters flipped and F and C exchanged. In
    general p = i s + k d - P and q = j s + l d - P, and the sum of dL/dx runs over all f, i, j, k,
    l with which that holds:

        dL/dW_fckl = Σ_n Σ_i Σ_j x_nc,is+kd-P,js+ld-P dL/dy_nfij
        dL/dx_ncpq = Σ W_fckl dL/dy_nfij

    dL/dx is what TransposedConvolution computes forward. With groups f and c stay within one.

    For s = d = 1, P = 0 and one group all of it is these loops, forward and backward in one to show
    them side by side (dy is known only after y; dx, dW and db start at zeros):

        for n, f, i, j in np.ndindex(y.shape):
            window, dwindow = (a[n, :, i:i + KH, j:j + KW] for a in (x, dx))
            y[n, f, i, j] = np.sum(W[f] * window) + b[f]
            dwindow += W[f] * dy[n, f, i, j]
            dW[f] += window * dy[n, f, i, j]
            db[f] += dy[n, f, i, j]

    ``convolve``, ``convolve_back`` and ``channel_sums`` compute the same for any options, tens to
    thousands of times faster, by *im2col*: with the N OH OW windows as rows of a matrix X, C KH KW
    values in each, and the filters as columns of a matrix V, Y = X V + b is the whole convolution.
    Backward can then be Affine's, with each entry of dL/dX added to the pixel that it was copied
    from. common/engine/convolution.py does so, a few windows at a time, with shortcuts for special
    cases.

    Source: LeCun et al., Gradient-based learning applied to document recognition (1998); Dumoulin
    and Visin, A guide to convolution arithmetic for deep learning (2016).

    >>> layer = Convolution(W=np.array([[[[-1.0, 1.0]]]]))                  # a vertical edge
    >>> layer.forward(np.array([[[[0.0, 0.0, 5.0, 5.0]]]]))
    array([[[[0., 5., 0.]]]])
    >>> layer.backward(np.array([[[[0.0, 1.0, 0.0]]]]))
    array([[[[ 0., -1.,  1.,  0.]]]])
    >>> layer.grads[0]
    array([[[[0., 5.]]]])
    """
    shapes = "x (N, C, H, W), W (F, C / groups, KH, KW), b (F) -> y (N, F, OH, OW)"

    def __init__(
        self, W: Array, b: Array | None = None, stride: Size = 1, padding: Padding = 0,
        dilation: Size = 1, groups: int = 1,
    ) -> None:
        super().__init__(W, b, stride, padding, dilation, groups)

    def forward(self, x):
        W, *b = self.params
        self.cache = x
        return convolve(x, W, *b, **self.options(x.shape))

    def backward(self, dout):
        (W, *_), (dW, *db), x = self.params, self.grads, self.cache
        dx, dW[...] = convolve_back(dout, x, W, **self.options(x.shape),
                                    want_dx=self.input_gradient)
        if db:
            channel_sums(dout, out=db[0])
        return dx


class Convolution1D(Convolution):
    """y_nft = b_f + Σ_c Σ_k W_fck x_nc,t+k: a Convolution along one axis, over a sequence or a
    signal of C channels.

    Shapes: x (N, C, T), W (F, C / groups, K), b (F,) or None, y (N, F, OT) with OT = (T + 2 padding
    - (K - 1) dilation - 1) // stride + 1. (Sequences (N, T, D) of other layers come in by
    ``Transpose((0, 2, 1))``, and leave by the same.) Options as in Convolution, each an int
    (``padding`` may be ``"same"``).

    Forward and backward are a Convolution's with one axis less; here for stride = dilation = 1 and
    padding = 0:

        dL/dx_ncp = Σ_f Σ_k W_fck dL/dy_nf,p-k
        dL/dW_fck = Σ_n Σ_t x_nc,t+k dL/dy_nft
        dL/db_f = Σ_n Σ_t dL/dy_nft

    Source: Waibel et al., Phoneme recognition using time-delay neural networks (1989).

    >>> layer = Convolution1D(W=np.array([[[-1.0, 1.0]]]))  # the difference of neighbours
    >>> layer.forward(np.array([[[0.0, 0.0, 5.0, 5.0]]]))
    array([[[0., 5., 0.]]])
    >>> layer.backward(np.array([[[0.0, 1.0, 0.0]]]))
    array([[[ 0., -1.,  1.,  0.]]])
    """
    shapes = "x (N, C, T), W (F, C / groups, K), b (F) -> y (N, F, OT)"

    def __init__(
        self, W: Array, b: Array | None = None, stride: int = 1, padding: int | Literal["same"] = 0,
        dilation: int = 1, groups: int = 1,
    ) -> None:
        super().__init__(W, b, stride, padding, dilation, groups)

    @classmethod
    def sizes(cls, name: str, value: Any, least: int = 1) -> Any:
        return checks.count(cls.__name__, name, value, least)


class TransposedConvolution(TransposedFilters):
    """A Convolution's dL/dx as a forward pass, which with a stride makes small images large: every
    pixel x_ncpq puts the filter W_c, times its value, onto y, ``stride`` apart; what overlaps adds
    up.

        y_nf,ps+kd-P,qs+ld-P += x_ncpq W_cfkl        for all n, c, f, p, q, k, l

    What falls outside y is dropped; b_f is added once to each pixel. As loops, for d = 1 and P = 0,
    y starting at zeros:

        for n, c, p, q in np.ndindex(x.shape):
            y[n, :, p * s:p * s + KH, q * s:q * s + KW] += x[n, c, p, q] * W[c]
        y += b[:, None, None]

    Shapes: x (N, C, H, W), W (C, F, KH, KW), b (F,) or None, y (N, F, OH, OW) with OH = (H - 1)
    stride + (KH - 1) dilation + 1 - 2 padding + output_padding: a Convolution with the same options
    restores H from OH. ``padding`` cuts rows and columns off, ``"same"`` as many as make OH = H ·
    stride, or adds them where the filter is narrower than the stride; ``output_padding`` (less than
    the stride; not with ``"same"``) adds at the bottom and the right; with ``groups`` = G,
    W is (C, F / G, KH, KW). The weights are those of PyTorch's ConvTranspose2d.

    Backward. What was scattered is gathered, so dx is a convolution, and x and dy change places in
    dW:

        dL/dx_ncpq = Σ_f Σ_k Σ_l W_cfkl dL/dy_nf,ps+kd-P,qs+ld-P
        dL/dW_cfkl = Σ_n Σ_p Σ_q x_ncpq dL/dy_nf,ps+kd-P,qs+ld-P
        dL/db_f = Σ_n Σ_i Σ_j dL/dy_nfij

    Source: Zeiler et al., Deconvolutional networks (2010); Dumoulin and Visin, A guide to
    convolution arithmetic for deep learning (2016), chapter 4.

    >>> layer = TransposedConvolution(W=np.array([[[[1.0, 2.0]]]]), stride=(1, 2))
    >>> layer.forward(np.array([[[[1.0, 10.0]]]]))
    array([[[[ 1.,  2., 10., 20.]]]])
    >>> layer.backward(np.array([[[[1.0, 0.0, 0.0, 1.0]]]]))
    array([[[[1., 2.]]]])
    """
    shapes = "x (N, C, H, W), W (C, F / groups, KH, KW), b (F) -> y (N, F, OH, OW)"

    def __init__(
        self, W: Array, b: Array | None = None, stride: Size = 1, padding: Padding = 0,
        output_padding: Size = 0, dilation: Size = 1, groups: int = 1,
    ) -> None:
        super().__init__(W, b, stride, padding, output_padding, dilation, groups)

    def forward(self, x):
        (W, *b), self.cache = self.params, x
        y = transposed_convolve(x, W, self.output_shape(x.shape), **self.options())
        if b:
            y += b[0][:, None, None]
        return y

    def backward(self, dout):
        (W, *_), (dW, *db), x = self.params, self.grads, self.cache
        # to the convolution whose backward this layer is, dout is the input, x its dL/dy
        _, dW[...] = convolve_back(x, dout, W, **self.options(), want_dx=False)
        if db:
            channel_sums(dout, out=db[0])
        return convolve(dout, W, **self.options()) if self.input_gradient else None
