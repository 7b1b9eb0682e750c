"""Depthwise convolution as loops: every place of the window adds a stretch of a row, wherever that
lies inside the image; no margin is made, and no window cut."""
import numpy as np

from ..channels import channels_last
from ..threads import spread
from . import Loop


def convolve(x, W, y, stride, pads, dilation):
    """common/engine/depthwise.py has the shapes; y is channels last, and one stretch of memory."""
    images, weights = as_rows(x), as_rows(W[None, :, 0])[0]
    numbers = (*stride, pads[0][0], pads[1][0], *dilation)
    spread(lambda part: convolve_rows(images[part], weights, y[part], *numbers), len(x),
           4 * y.size * weights.shape[0] * weights.shape[1])


def weight_gradient(x, W, dy, stride, pads, dilation):
    images = as_rows(x)
    numbers = (*stride, pads[0][0], pads[1][0], *dilation)

    def job(part):
        dweights = np.zeros((*W.shape[2:], len(W)), x.dtype)
        weight_rows(images[part], dweights, dy[part], *numbers)
        return dweights

    total = sum(spread(job, len(x), 4 * dy.size * W[0].size))
    return total.transpose(2, 0, 1)[:, None]


def as_rows(x):
    """(N, C, H, W) as a new (N, H, W, C), or the old one if its channels are last in memory."""
    return np.ascontiguousarray(channels_last(x))


@Loop
def convolve_rows(x, w, y, SH, SW, top, left, DH, DW):
    N, H, width, C = x.shape
    OH, OW = y.shape[1:3]
    KH, KW = w.shape[:2]
    sums, weights = np.empty(OW * C, x.dtype), np.empty((KH, KW, OW * C), x.dtype)
    for k in range(KH):
        for j in range(KW):
            for o in range(OW):
                weights[k, j, o * C:(o + 1) * C] = w[k, j]
    for n in range(N):
        for i in range(OH):
            sums[:] = 0
            for k in range(KH):
                h = i * SH + k * DH - top
                if h < 0 or h >= H:
                    continue
                for j in range(KW):
                    shift = j * DW - left
                    first = max(0, -(shift // SW))
                    last = min(OW, (width - 1 - shift) // SW + 1)
                    if SW == 1:
                        start = (first + shift) * C
                        row = x[n, h].reshape(-1)[start:]
                        part, factor = sums[first * C:last * C], weights[k, j, first * C:last * C]
                        for c in range((last - first) * C):
                            part[c] += row[c] * factor[c]
                    else:
                        for o in range(first, last):
                            pixel, part, factor = x[n, h, o * SW + shift], sums[o * C:], w[k, j]
                            for c in range(C):
                                part[c] += pixel[c] * factor[c]
            y[n, i].reshape(-1)[:] = sums


@Loop
def weight_rows(x, dw, dy, SH, SW, top, left, DH, DW):
    """Add up dL/dw (KH, KW, C)."""
    N, H, width, C = x.shape
    OH, OW = dy.shape[1:3]
    KH, KW = dw.shape[:2]
    sums = np.zeros((KH, KW, OW * C), x.dtype)
    for n in range(N):
        for i in range(OH):
            for k in range(KH):
                h = i * SH + k * DH - top
                if h < 0 or h >= H:
                    continue
                for j in range(KW):
                    shift = j * DW - left
                    first = max(0, -(shift // SW))
                    last = min(OW, (width - 1 - shift) // SW + 1)
                    if SW == 1:
                        start = (first + shift) * C
                        row = x[n, h].reshape(-1)[start:]
                        part, d = sums[k, j, first * C:], dy[n, i].reshape(-1)[first * C:]
                        for c in range((last - first) * C):
                            part[c] += row[c] * d[c]
                    else:
                        for o in range(first, last):
                            pixel, part = x[n, h, o * SW + shift], sums[k, j, o * C:]
                            d = dy[n, i, o]
                            for c in range(C):
                                part[c] += pixel[c] * d[c]
    for k in range(KH):
        for j in range(KW):
            for o in range(OW):
                for c in range(C):
                    dw[k, j, c] += sums[k, j, o * C + c]
