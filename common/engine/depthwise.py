"""Depthwise convolution: each filter sees one channel, its own.

A product of matrices does not help here, because the windows of a channel would be multiplied with
a single column. But with channels last, all the values in a row of windows that meet the same
weight, one weight for each channel, are one run of memory, and so are the outputs. np.einsum
multiplies such runs with the weights, repeated along the row, and adds up. With a stride in the row
a run is one pixel long.
"""
import numpy as np
from numpy.lib.stride_tricks import as_strided

from . import compiled
from .channels import channels_first, channels_last
from .pieces import CACHE, portions


def convolve(x, W, b, y, stride, pads, dilation, apart=(1, 1)):
    """Fills y (N, OH, OW, C) with x (N, C, H, W) convolved with W (C, 1, KH, KW), plus b (C,) if
    there is one; between the pixels of x, so far apart, are zeros."""
    if compiled.takes(y):
        from .compiled import depthwise as loops
        return loops.convolve(x, W, b, y, stride, pads, dilation, apart)
    if apart != (1, 1):
        N, C, H, width = x.shape
        among = np.zeros((N, (H - 1) * apart[0] + 1, (width - 1) * apart[1] + 1, C), x.dtype)
        among[:, ::apart[0], ::apart[1]] = channels_last(x)
        x = channels_first(among)
    weights = np.ascontiguousarray(W[:, 0].transpose(1, 2, 0))
    for runs, out in pieces(x, W, y, stride, pads, dilation):
        repeats = out.shape[-1] // len(W)
        np.einsum("...kli,kli->...i", runs, np.tile(weights, repeats), out=out)
        if b is not None:
            out += np.tile(b, repeats)


def weight_gradient(x, W, dy, stride, pads, dilation):
    """dL/dW (C, 1, KH, KW): for each weight the sum of value times dL/dy over all places."""
    if compiled.takes(dy):
        from .compiled import depthwise as loops
        return loops.weight_gradient(x, W, dy, stride, pads, dilation)
    dweights = 0
    for runs, d in pieces(x, W, dy, stride, pads, dilation):
        places = "nhw"[:d.ndim - 1]
        dweights += np.einsum(f"{places}kli,{places}i->kli", runs, d)
    return dweights.reshape(*W.shape[2:], -1, len(W)).sum(axis=2).transpose(2, 0, 1)[:, None]


def pieces(x, W, y, stride, pads, dilation):
    """(runs, y) for a few images at a time: the runs (..., KH, KW, i) that belong to the runs y
    (..., i)."""
    (N, C, H, width), ((top, bottom), (left, right)) = x.shape, pads
    (OH, OW), (KH, KW), (SH, SW), (DH, DW) = y.shape[1:3], W.shape[2:], stride, dilation
    for images in portions(slice(0, N), x.nbytes // N, CACHE // 4):
        part = channels_last(x[images])
        padded = np.zeros((len(part), top + H + bottom, left + width + right, C), x.dtype)
        padded[:, top:top + H, left:left + width] = part
        n, h, w, c = padded.strides
        if SW == 1:
            yield (as_strided(padded, (len(part), OH, KH, KW, OW * C),
                              (n, h * SH, h * DH, w * DW, c)), y[images].reshape(len(part), OH, -1))
        else:
            yield (as_strided(padded, (len(part), OH, OW, KH, KW, C),
                              (n, h * SH, w * SW, h * DH, w * DW, c)), y[images])
