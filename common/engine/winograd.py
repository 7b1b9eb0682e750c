"""Winograd's convolution: a filter of 3 x 3 at stride 1 makes four outputs with 16 multiplications
instead of 36.

It meets a tile d of 4 x 4 pixels in 2 x 2 places, y. Filter g and tile are transformed, multiplied
entry by entry, and transformed back:

    y = Aᵀ [(G g Gᵀ) ∘ (B d Bᵀ)] A

    A = [1  0]    B = [1  0 -1  0]    G = [ 1    0    0 ]
        [1  1]        [0  1  1  0]        [1/2  1/2  1/2]
        [1 -1]        [0 -1  1  0]        [1/2 -1/2  1/2]
        [0 -1]        [0  1  0 -1]        [ 0    0    1 ]

In a row, for example, y_0 = (d_0 - d_2) g_0 + (d_1 + d_2) (g_0 + g_1 + g_2) / 2
+ (d_2 - d_1) (g_0 - g_1 + g_2) / 2 = d_0 g_0 + d_1 g_1 + d_2 g_2. Summed over channels, each of the
16 entries is a matrix product, of all tiles with all filters. With a dilation the pixels of a tile
stand apart; groups of few channels share a product, whose matrix has blocks on its diagonal.

Backward, dL/dx is a convolution of dL/dy with turned filters, and by the formula above

    dL/dg = Gᵀ [(B d Bᵀ) ∘ (A dL/dy Aᵀ)] G

summed over the tiles. As in convolution.py one transform of dL/dy does for both: with dL/dy in the
place of the image, and x in that of dL/dy, the second is dL/dW turned round.

Compiled loops transform a few rows of tiles at a time, which stay in the cache: over 32 channels
half to three fifths of the time of window matrices. The error in float32, root mean square over the
result's, is below 1e-6, theirs below 5e-7. Where a result is not finite, window matrices are used
after all: infinity would become NaN, and sums of large numbers infinite.

Source: Winograd, Arithmetic complexity of computations (1980); Lavin and Gray, Fast algorithms for
convolutional neural networks (2016).
"""
import numpy as np

from . import compiled, threads
from .channels import channels_first, channels_last
from .pieces import CACHE, portions

# for each row two of its columns, then the two entries; all others are zero
A = np.array([[0, 1, 1, 0], [0, 1, 1, 1], [0, 1, 1, -1], [0, 1, 0, -1]])
B = np.array([[0, 2, 1, -1], [1, 2, 1, 1], [1, 2, -1, 1], [1, 3, 1, -1]])
G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
GG = np.kron(G, G)     # times g as a vector of nine: G g Gᵀ
LANES = 16             # channels up to which groups share a product
SHARES = 8             # of the tiles, to be distributed to threads; sums do not depend on how


def takes(x, W, stride):
    """Whether a convolution gains this way: not with less than 8 channels, nor over so few pixels
    that transforming the filters takes longer."""
    C, few = x.shape[1], compiled.LARGE >> 11                          # 8; in tests of all sizes 0
    return (W.shape[2:] == (3, 3) and stride == (1, 1) and compiled.takes(x)
            and min(C, len(W)) >= few and x.size // C >= max(32 * few, C + len(W)))


def convolve(x, W, b, y, pads, dilation, groups):
    """Fills y (N, OH, OW, F) as convolution.convolve would. Whether all of it is finite."""
    tiles = Tiles(y.shape, W, dilation, groups)
    return tiles.run(np.ascontiguousarray(channels_last(x)), pads, tiles.filters(W), y, b)[0]


def convolve_back(dy, x, W, rest, dilation, groups, want_dx):
    """(dL/dx, dL/dW) of convolution.convolve for dy (N, OH, OW, F) and the padding ``rest`` of dy;
    None if they are not finite."""
    pixels = np.ascontiguousarray(channels_last(x))
    tiles = Tiles(pixels.shape, W, dilation, groups)
    dx = np.empty(pixels.shape, W.dtype) if want_dx else None
    U = tiles.filters(turned(W, groups)) if want_dx else None
    finite, sums = tiles.run(np.ascontiguousarray(dy), rest, U, dx, None, pixels)
    with quiet():
        dW = GG.T.astype(W.dtype) @ tiles.blocks(sum(sums)).reshape(16, -1)
    if not (finite and np.isfinite(dW).all()):
        return None
    return (channels_first(dx) if want_dx else None,
            dW[::-1].reshape(3, 3, len(W), -1).transpose(2, 3, 0, 1))


def turned(W, groups):
    """The filters (C, F / groups, 3, 3) by which dL/dy becomes dL/dx."""
    F, D = W.shape[:2]
    apart = W[:, :, ::-1, ::-1].reshape(groups, F // groups, D, 3, 3)
    return apart.swapaxes(1, 2).reshape(groups * D, F // groups, 3, 3)


def quiet():
    """No warnings about what is thrown away if it is not finite."""
    return np.errstate(over="ignore", invalid="ignore")


def aligned(size, dtype):
    """``np.empty(size, dtype)`` that begins with a line of the cache: loops are a fifth faster."""
    a = np.empty(size + 64 // dtype.itemsize, dtype)
    return a[-a.ctypes.data % 64 // dtype.itemsize:][:size]


class Tiles:
    """The tiles that cover images (N, OH, OW, any) with 2 x 2 places each, in N DH ``high`` rows of
    DW ``wide``, DH and DW being the dilation.

    Letters: T tiles of a piece, S products side by side, each of C / S channels with F / S filters.
    Transformed tiles are (16, T, C) or (16, T, F), filters (16, S, C / S, F / S).
    """

    def __init__(self, shape, W, dilation, groups):
        (F, D), self.dtype, self.dilation, self.groups = W.shape[:2], W.dtype, dilation, groups
        self.high, self.wide = (-(-n // (2 * d)) for n, d in zip(shape[1:3], dilation))
        self.across = dilation[1] * self.wide
        each = max(D, F // groups)
        self.split = min(S for S in range(1, groups + 1)
                         if groups % S == 0 and groups // S * each <= max(LANES, each))
        rows, weights = shape[0] * dilation[0] * self.high, 16 * F * D * groups // self.split
        self.work = rows * self.across * weights
        # with many filters more tiles, because each piece reads all weights, or adds to their sums
        row = 16 * self.across * (D * groups + F) * W.itemsize
        limit = max(CACHE, 2 * weights * W.itemsize)
        shares = portions(slice(0, rows), row, max(limit, -(-rows // SHARES) * row))
        self.shares = [portions(share, row, limit) for share in shares]

    def run(self, images, pads, U, out, b, others=None):
        """Fills the images ``out`` with Aᵀ [U ∘ (B d Bᵀ)] A + b of the tiles d of padded images
        (N, H, W, C), and adds up (B d Bᵀ) ∘ (A e Aᵀ) of those e of ``others``, where these are not
        None. (Whether all of ``out`` is finite, of each share the sums, like U.)"""
        from .compiled.winograd import from_tiles, to_tiles
        grid, S, top, left = (self.high, self.wide), self.split, pads[0][0], pads[1][0]
        channels = images.shape[3], (out if others is None else others).shape[3]
        bias = np.zeros(channels[1], self.dtype) if b is None else b

        def job(part):
            finite, shares = True, self.shares[part]
            # and one more, for what is added
            count = 0 if others is None else len(shares) + 1
            sums = np.zeros((count, 16, S, *(C // S for C in channels)), self.dtype)
            most = self.across * max(rows.stop - rows.start for share in shares for rows in share)
            rooms = [aligned(16 * most * C, self.dtype) for C in channels]
            with quiet():
                for i, rows in ((i, rows) for i, share in enumerate(shares) for rows in share):
                    T, first = self.across * (rows.stop - rows.start), rows.start
                    V, M = (a[:16 * T * C].reshape(16, T, C) for a, C in zip(rooms, channels))
                    v, m = (a.reshape(16, T, S, -1).swapaxes(1, 2) for a in (V, M))
                    to_tiles(images, V, first, *grid, top, left, *self.dilation, B)
                    if out is not None:
                        np.matmul(v, U, out=m)
                        finite &= from_tiles(M, out, first, *grid, *self.dilation, bias)
                    if others is not None:
                        to_tiles(others, M, first, *grid, 0, 0, *self.dilation, A)
                        sums[i] += np.matmul(v.swapaxes(2, 3), m, out=sums[-1])
            return finite, sums[:-1]

        parts = threads.spread(job, len(self.shares), self.work)
        return all(finite for finite, _ in parts), [total for _, sums in parts for total in sums]

    def filters(self, W):
        """G g Gᵀ of filters (F, D, 3, 3)."""
        (F, D), S = W.shape[:2], self.split
        g = W.reshape(self.groups, F // self.groups, D, 9).transpose(3, 0, 2, 1)
        each = (GG.astype(W.dtype) @ g.reshape(9, -1)).reshape(16, S, -1, D, F // self.groups)
        if S == self.groups:
            return each[:, :, 0]
        U = np.zeros((16, S, D * self.groups // S, F // S), W.dtype)
        self.blocks(U)[...] = each
        return U

    def blocks(self, U):
        """The blocks (16, S, groups / S, D, F / groups) on the diagonals of U, a view."""
        _, S, C, F = U.shape
        n = self.groups // S
        return np.einsum("ksadaf->ksadf", U.reshape(16, S, n, C // n, n, F // n))
