"""The user's pictures, made like the images that a model was trained on."""
from itertools import product

import numpy as np

FINE = 8                      # a pixel of the model is drawn first as so many, in both directions
LARGEST = 128                 # pixels of a picture, high and wide
UPRIGHT = 0.75                # the share of a picture's slant taken away: it may be turned
# The views: pixels to the left for each pixel downwards, ink and width as shares of the training's.
SLANTS, INKS, WIDTHS = (0, -0.2, 0.2), (1, 0.82, 1.18), (0.98, 0.88, 1.09)


def views(path, shape, height, widest, power, ink):
    """The picture in a file as images (27, 1, H, W) for a model, which differ a little in slant,
    thickness and width.

    Most of its own slant is taken away. As in the training, it becomes ``height`` pixels high and
    ``widest`` (w/h)^power wide, and its strokes so thick that the mean is ``ink``. ValueError or
    OSError for a file without a picture.
    """
    from PIL import Image
    ink_at = drawn(grey(path))
    strokes, own = Image.fromarray(np.uint8(255 * ink_at)), UPRIGHT * slant(ink_at)
    images = [fitted(slanted(strokes, more - own), shape, height, width * widest, power, part * ink)
              for more, part, width in product(SLANTS, INKS, WIDTHS)]
    return np.array(images, np.float32)[:, np.newaxis]


def grey(path):
    """The picture in a file as an array of grey values, 0 for black to 1 for white."""
    from PIL import Image, ImageOps
    with Image.open(path) as opened:
        picture = ImageOps.exif_transpose(opened)
    if picture.mode[0] == "I":                                                        # 16 bits
        picture = Image.fromarray(np.uint8(np.asarray(picture) // 256))
    paper = Image.new("RGBA", picture.size, "white")
    picture = Image.alpha_composite(paper, picture.convert("RGBA")).convert("L")
    picture.thumbnail((LARGEST, LARGEST))
    return np.asarray(picture, float) / 255


def drawn(picture):
    """Where there is ink, as booleans. Paper is most of a picture, its brightness a plane in x and
    y; ink is darker or lighter."""
    H, W = picture.shape
    plane = np.stack([np.ones((H, W)), *np.mgrid[-1:1:H * 1j, -1:1:W * 1j]], 2).reshape(-1, 3)
    values, paper = picture.ravel(), np.ones(H * W, bool)
    for _ in range(5):
        fit = np.linalg.lstsq(plane[paper], values[paper], rcond=None)[0]
        away = values - plane @ fit
        paper = abs(away) <= 2 * np.median(abs(away)) + 1e-3
    away *= 1 if away @ abs(away) > 0 else -1
    if np.quantile(away, 0.998) < 0.08:
        raise ValueError("it is as good as blank")
    return (away > threshold(away.clip(0))).reshape(H, W)


def threshold(values):
    """Otsu, A threshold selection method from gray-level histograms (1979)."""
    counts, edges = np.histogram(values, 64)
    middles = (edges[1:] + edges[:-1]) / 2
    below, sums = np.cumsum(counts)[:-1], np.cumsum(counts * middles)[:-1]
    above, rest = counts.sum() - below, counts @ middles - sums
    return edges[1:-1][np.argmax(below * above * (sums / below - rest / above) ** 2)]


def slant(ink):
    """How far strokes go to the left on their way down: Σ x y / Σ y² about their middle."""
    y, x = np.nonzero(ink)
    y, x = y - y.mean(), x - x.mean()
    return -(x @ y) / max(y @ y, 1)


def slanted(picture, slant):
    from PIL import Image
    W, H = picture.size
    room = int(abs(slant) * H / 2) + 1
    wide = Image.new("L", (W + 2 * room, H))
    wide.paste(picture, (room, 0))
    return wide.transform(wide.size, Image.Transform.AFFINE, (1, slant, -slant * H / 2, 0, 1, 0),
                          Image.Resampling.BILINEAR)


def fitted(strokes, shape, height, widest, power, ink):
    """Strokes, black and white, as one image (H, W); see ``views``."""
    from PIL import Image, ImageFilter
    solid = np.asarray(strokes.filter(ImageFilter.MedianFilter(3))) > 127  # without specks
    if not solid.any():
        raise ValueError("there are no strokes on it")
    rows, columns = (np.flatnonzero(solid.any(axis=axis)) for axis in (1, 0))
    box = solid[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
    h, w = FINE * height, round(FINE * widest * min(1, box.shape[1] / box.shape[0]) ** power)
    digit = Image.fromarray(np.uint8(255 * box)).resize((max(w, 1), h), Image.Resampling.BOX)
    H, W = (FINE * n for n in shape)
    canvas = Image.new("L", (W, H))
    canvas.paste(digit, ((W - w) // 2, (H - h) // 2))
    soft = np.asarray(canvas.filter(ImageFilter.GaussianBlur(FINE / 2)))
    fine = soft > np.quantile(soft, 1 - ink)
    return fine.reshape(shape[0], FINE, shape[1], FINE).mean(axis=(1, 3))
