"""Convolution: one small set of weights, used at every place of an image."""
import numpy as np

from ..common import checks, initializers
from ..common.layer import Layer
from . import _depthwise
from ._windows import Windows, block, channels_first, channels_last, in_groups, pair, places


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
    (1998); Dumoulin and Visin, A guide to convolution arithmetic for deep learning (2016). Speed: ``_windows.py``.

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
            self._pads = tuple((n // 2, n - n // 2) for n in total)
        elif isinstance(padding, str):
            raise ValueError(checks.wrong(who, "padding", 'be a number, a pair or "same"', repr(padding)))
        else:
            self._pads = tuple((p, p) for p in self.padding)
            PH, PW = self.padding
            checks.room(who, "padding", (W.shape[1], 2 * PH + 1, 2 * PW + 1), W.itemsize, got=padding)
        self._depthwise = W.shape[1] == 1 < len(W) == self.groups

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
        W, *b = self.params
        self.cache = x
        windows = self._windows(x.shape)
        y = np.empty((len(x), *windows.places, len(W)), W.dtype)
        if self._depthwise:
            _depthwise.convolve(x, W, y, self.stride, self._pads, self.dilation)
            if b:
                add_bias(y, b[0])
            return channels_first(y)
        band = windows.band(W).transpose(0, 2, 1)

        def convolve(part):
            for images, rows, matrix in windows.pieces(x, part):
                windows.multiply(matrix, band, y[images, rows])
                if b:
                    add_bias(y[images, rows], b[0])

        windows.spread(convolve, len(x))
        return channels_first(y)

    def backward(self, dout):
        (W, *b), (_, *db) = self.params, self.grads
        x = self.cache
        windows = self._windows(x.shape)
        dy = channels_last(dout)
        if b:
            lines(dy).sum(axis=0).reshape(-1, len(W)).sum(axis=0, out=db[0])
        rest = windows.rest(x.shape)
        if min(map(min, rest)) >= 0:
            if self._depthwise:
                return self._channel_by_channel(x, dy, rest)
            if self.stride == (1, 1) and W.shape[1] >= max(4, len(W) // self.groups // 2):
                return self._from_windows_of_dout(x, dy, rest)
        return self._from_windows_of_x(x, dy, windows)

    def _windows(self, shape):
        W = self.params[0]
        size = W.shape[2:]
        at = places("Convolution", shape, size, self.stride, self._pads, self.dilation)
        B = block(W.shape, self.groups, at, self.dilation)
        return Windows(shape, W.dtype, size, len(W), at, self.stride, self._pads, self.dilation, self.groups, B)

    def _channel_by_channel(self, x, dy, rest):
        """Both gradients of filters that see one channel each: see _depthwise."""
        (W, *_), (dW, *_), (SH, SW), (N, OH, OW, C) = self.params, self.grads, self.stride, dy.shape
        dW[...] = _depthwise.weight_gradient(x, W, np.ascontiguousarray(dy), self.stride, self._pads, self.dilation)
        if not self.input_gradient:
            return None
        apart = dy
        if self.stride != (1, 1):
            apart = np.zeros((N, (OH - 1) * SH + 1, (OW - 1) * SW + 1, C), W.dtype)
            apart[:, ::SH, ::SW] = dy
        dx = np.empty((N, *x.shape[2:], C), W.dtype)
        _depthwise.convolve(channels_first(apart), W[:, :, ::-1, ::-1], dx, (1, 1), rest, self.dilation)
        return channels_first(dx)

    def _from_windows_of_dout(self, x, dy, rest):
        """Both gradients from one window matrix, that of dL/dy: times the turned filters it is dL/dx; transposed,
        times x, it is dL/dW turned round. At stride 1 only, and slower for few channels; else in half the time, for
        nothing is added back."""
        (W, *_), (dW, *_), G = self.params, self.grads, self.groups
        F, D, KH, KW = W.shape
        N, C, H, width = x.shape
        turned = W.reshape(G, F // G, D, KH, KW)[..., ::-1, ::-1].transpose(0, 3, 4, 1, 2).reshape(G, -1, D)
        pixels, dx = channels_last(x), np.empty((N, H, width, C), W.dtype) if self.input_gradient else None
        dout = channels_first(dy)
        windows = Windows(dout.shape, W.dtype, (KH, KW), C, (H, width), pads=rest, dilation=self.dilation, groups=G)

        def gradients(part):
            dturned = np.zeros_like(turned)
            for images, rows, matrix in windows.pieces(dout, part):
                if dx is not None:
                    windows.multiply(matrix, turned, dx[images, rows])
                dturned += np.matmul(matrix.transpose(0, 2, 1), in_groups(pixels[images, rows], G)[:, :, 0])
            return dturned

        dturned = sum(windows.spread(gradients, N))
        dW.reshape(G, F // G, D, KH, KW)[...] = dturned.reshape(G, KH, KW, F // G, D).transpose(0, 3, 4, 1, 2)[..., ::-1, ::-1]
        return None if dx is None else channels_first(dx)

    def _from_windows_of_x(self, x, dy, windows):
        """As for Affine, with y = windows(x) · bandᵀ: dL/dband = (dL/dy)ᵀ · windows(x), to be summed over the B places
        of a weight, and dL/dx = dL/dy · band, each window's values added back to where it was cut from."""
        (W, *_), (dW, *_), G = self.params, self.grads, self.groups
        band = windows.band(W)
        N, C, H, width = x.shape
        dx = channels_first(np.empty((N, H, width, C), W.dtype)) if self.input_gradient else None

        def gradients(part):
            dband = np.zeros_like(band)
            for images, rows, matrix in windows.pieces(x, part):
                lanes = in_groups(dy[images, rows], G, windows.block).reshape(G, matrix.shape[1], -1)
                dband += np.matmul(lanes.transpose(0, 2, 1), matrix)
                if dx is None:
                    continue
                if rows.start == 0:
                    padded = windows.blank(images.stop - images.start, x.shape)
                windows.add_back(np.matmul(lanes, band, out=matrix), rows, padded)        # the matrix has done its work
                if rows.stop == windows.places[0]:
                    windows.grouped(dx[images])[...] = windows.inside(padded)
            return windows.kernels(dband).sum(axis=-1)

        dW[...] = sum(windows.spread(gradients, N)).reshape(W.shape)
        return dx


def lines(y):
    """(m, R, OW, F) as (m R, OW F): long runs of memory, which NumPy adds faster than short ones."""
    return y.reshape(-1, y.shape[2] * y.shape[3])


def add_bias(y, b):
    """y (m, R, OW, F) += b (F,)."""
    each = lines(y)
    each += np.tile(b, y.shape[2])
