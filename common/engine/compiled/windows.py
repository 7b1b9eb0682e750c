"""Adding window matrices back as a loop: one window after another, so that those that overlap need
not be kept apart. Four to seven times faster."""
from . import Loop


def add_back(windows, matrix, rows, padded):
    """``windows.add_back(matrix, rows, padded)``."""
    (SH, SW), (DH, DW), B, (H, W, D) = (windows.stride, windows.dilation, windows.block,
                                        padded.shape[2:])
    each = rows.stop - rows.start, windows.places[1] // B, windows.size[0], windows.width, D
    add_runs(matrix.reshape(-1, *each), padded.reshape(-1, H, W, D), rows.start * SH, SH, SW * B,
             DH, DW)


@Loop
def add_runs(windows, images, top, SH, step, DH, DW):
    """windows (M, R, J, KH, T, D), those of a row a ``step`` apart, onto images (M, H, W, D); the T
    pixels of a window's row are one run of memory if DW is 1."""
    M, R, J, KH, T, D = windows.shape
    H, W = images.shape[1:3]
    values, pixels, used = windows.reshape(-1), images.reshape(-1), 0
    runs, length = (1, T * D) if DW == 1 else (T, D)
    for n in range(M):
        for r in range(R):
            for j in range(J):
                for k in range(KH):
                    start = ((n * H + top + r * SH + k * DH) * W + j * step) * D
                    for t in range(runs):
                        run, to = values[used:], pixels[start + t * DW * D:]
                        for e in range(length):
                            to[e] += run[e]
                        used += length
