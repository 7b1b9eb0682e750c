"""Convolution: one small set of weights, used at every place of an image."""
import numpy as np

from ..common import checks, initializers
from ..common.engine.channels import channel_sums
from ..common.engine.convolution import convolve, convolve_back
from ..common.engine.windows import pair, places
from ..common.layer import Layer


class Convolution(Layer):
    """y_nfij = b_f + Σ_c Σ_k Σ_l W_fckl x_nc,i+k,j+l: filter f laid over every place (i, j) of the image, all
    channels c at once (strictly a cross-correlation, for the filter is not turned round).

    Shapes: x (N, C, H, W), W (F, C, KH, KW), b (F,) or None, y (N, F, OH, OW) with OH = (H + 2 padding - KH) //
    stride + 1.

    Options, each an int or a pair (height, width): ``stride``, the steps of the filter; ``padding``, rows and columns
    of zeros around x, or ``"same"`` for OH = H and OW = W (stride 1; an odd row or column goes to the bottom or the
    right); ``dilation``, the distance of the pixels under neighbouring weights. With ``groups`` = G, W is (F, C / G,
    KH, KW): channels and filters fall into G parts, and filters see the channels of their own part only (G = C:
    "depthwise").

    Backward. x_ncpq meets y_nfij with factor W_fckl where p = i + k and q = j + l; collect all meetings of each letter:

        dL/dW_fckl = Σ_n Σ_i Σ_j x_nc,i+k,j+l dL/dy_nfij        dL/db_f = Σ_n Σ_i Σ_j dL/dy_nfij
        dL/dx_ncpq = Σ_f Σ_k Σ_l W_fckl dL/dy_nf,p-k,q-l

    The minus signs say that dx is again a convolution: of dy, padded, with the filters turned round and F and C
    exchanged. Kept for backward: x. Source: LeCun et al., Gradient-based learning applied to document recognition
    (1998); Dumoulin and Visin, A guide to convolution arithmetic for deep learning (2016). Speed:
    ``common/engine/convolution.py``.

    >>> layer = Convolution(W=np.array([[[[-1.0, 1.0]]]]))                  # a vertical edge
    >>> layer.forward(np.array([[[[0.0, 0.0, 5.0, 5.0]]]]))
    array([[[[0., 5., 0.]]]])
    >>> layer.backward(np.array([[[[0.0, 1.0, 0.0]]]]))
    array([[[[ 0., -1.,  1.,  0.]]]])
    >>> layer.grads[0]
    array([[[[0., 5.]]]])
    """
    shapes = "x (N, C, H, W), W (F, C / groups, KH, KW), b (F) -> y (N, F, OH, OW)"

    def __init__(self, W, b=None, stride=1, padding=0, dilation=1, groups=1):
        """Raises ValueError or TypeError for arrays or options that do not fit together."""
        who = "Convolution"
        checks.needed(who, W=W)
        super().__init__(W=W, b=b)
        checks.array(who, "W", W, W.dtype, ("F", "C / groups", "KH", "KW"))
        if b is not None:
            checks.array(who, "b", b, b.dtype, W.shape[:1])
        self.stride, self.dilation = pair(who, "stride", stride), pair(who, "dilation", dilation)
        self.padding = padding if isinstance(padding, str) else pair(who, "padding", padding, least=0)
        self.groups = checks.count(who, "groups", groups)
        if len(W) % self.groups:
            raise ValueError(checks.wrong(who, "groups", f"divide the number of filters, {len(W)}", groups))
        if self.padding == "same":
            if self.stride != (1, 1):
                raise ValueError(checks.wrong(who, "stride", 'be 1 with padding="same"', stride, "give the padding as a number"))
            total = [d * (k - 1) for d, k in zip(self.dilation, W.shape[2:])]
            self.pads = tuple((n // 2, n - n // 2) for n in total)
        elif isinstance(padding, str):
            raise ValueError(checks.wrong(who, "padding", 'be a number, a pair or "same"', repr(padding)))
        else:
            self.pads = tuple((p, p) for p in self.padding)
            PH, PW = self.padding
            checks.room(who, "padding", (W.shape[1], 2 * PH + 1, 2 * PW + 1), W.itemsize, got=padding)

    @classmethod
    def init(cls, n_in, n_out, size, stride=1, padding=0, dilation=1, groups=1, bias=True, rng=None,
             initializer=initializers.he, dtype=np.float32):
        """A layer from n_in to n_out channels with fresh filters of this size and, unless ``bias=False``, a bias of zeros."""
        who = "Convolution"
        checks.counts(who, n_in=n_in, n_out=n_out, groups=groups)
        if n_in % groups:
            raise ValueError(checks.wrong(who, "groups", f"divide the number of input channels, {n_in}", groups))
        W = initializers.weights(who, initializer, (n_out, n_in // groups, *pair(who, "size", size)), rng, dtype)
        b = np.zeros(n_out, W.dtype) if checks.flag(who, "bias", bias) else None
        return cls(W, b, stride, padding, dilation, groups)

    def forward(self, x):
        self.cache = x
        return convolve(x, *self.params, **self.options())

    def backward(self, dout):
        (W, *_), (dW, *db) = self.params, self.grads
        dx, dW[...] = convolve_back(dout, self.cache, W, **self.options(), dx=self.input_gradient)
        if db:
            db[0][...] = channel_sums(dout)
        return dx

    def options(self):
        return {"stride": self.stride, "pads": self.pads, "dilation": self.dilation, "groups": self.groups}

    def output_shape(self, shape):
        """The shape of y for x of ``shape`` (N, C, H, W); ValueError if the filter is larger than the padded image."""
        W = self.params[0]
        return (shape[0], len(W), *places("Convolution", shape, W.shape[2:], self.stride, self.pads, self.dilation))
