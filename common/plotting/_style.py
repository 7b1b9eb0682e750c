"""What pictures share: colours that colour-blind readers can tell apart, markers for grey print,
new Axes, and many small pictures on one of them."""
import numpy as np

from ..common import checks

# blue and vermilion (Okabe and Ito 2008, Color Universal Design)
TRAIN, VALIDATION = "#0072B2", "#D55E00"

# Petroff 2021, Accessible color sequences for data visualization. Ten colours and seven markers,
# with no common divisor, make seventy classes that all look different.
COLORS = ("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70",
          "#717581", "#92dadd")
MARKERS = "os^DvPX"

# for texts of users: a $ in them is a dollar, not the start of a formula
PLAIN = {"parse_math": False}


def axes_for(who, given, count=1, name="ax", each="", width=4.5, height=3.4):
    """``count`` Axes as a flat array: those given, or for None new ones of this size, up to three
    in a row. ``each``: what each is for."""
    if given is None:
        from matplotlib import pyplot as plt
        columns = min(count, 3)
        rows = -(-count // columns)
        figure = plt.figure(figsize=(width * columns, height * rows), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for spare in axes[count:]:
            spare.remove()
        return axes[:count]
    from matplotlib.axes import Axes

    panels = np.atleast_1d(np.asarray(given, object)).ravel()
    if not all(isinstance(panel, Axes) for panel in panels):
        raise TypeError(checks.wrong(who, name, "be Axes of matplotlib or None", repr(given),
                                     "plt.subplots() makes them"))
    if len(panels) < count:
        raise ValueError(checks.wrong(who, name, f"hold {count} Axes{each}", len(panels)))
    return panels[:count]


def names_of(who, name, given, count, what):
    """``given`` as a list of ``count`` str, one for each of ``what``; to be written with PLAIN."""
    try:
        # for which fonts have no glyph
        names = [str(one).replace("\0", "␀") for one in given]
    except TypeError:
        raise TypeError(checks.wrong(who, name, f"name {what}", repr(given))) from None
    if len(names) != count:
        raise ValueError(checks.wrong(who, name, f"name {what}", f"{len(names)} names"))
    return names


def show_tiles(who, tiles, ax=None, columns=None, captions=None, **look):
    """Draw ``tiles`` (M, H, W), or (M, H, W, 3) in colour, row by row, each under its caption; a
    pixel is a unit of the axes, ``look`` goes to imshow. Returns the Axes, and the centres of the
    columns and of the rows."""
    from matplotlib.patches import Rectangle

    count, H, W = tiles.shape[:3]
    columns = columns or best_columns(count, H, W)
    rows = -(-count // columns)
    unit = max(H, W)
    lines = [line for text in captions or () for line in text.split("\n")]
    gap, head = 0.12 * unit, (0.12 + 0.2 * len(lines) / count) * unit
    across, down = W + gap, H + head
    width, height = columns * across, rows * down
    # Too low rather than too narrow: what then is spare is the room for a colour bar.
    scale = min(min(max(0.75 * columns, 4.5), 9) / width, 9 / height)
    ax = axes_for(who, ax, width=scale * width + 1.5, height=scale * height + 0.4)[0]
    box = ax.get_window_extent()
    points = min(box.width / width, box.height / height) * 72 / ax.figure.dpi
    size = min(9, 0.16 * unit * points, across * points / (0.65 * max(map(len, lines), default=1)))

    for i, tile in enumerate(tiles):
        left, top = i % columns * across, i // columns * down
        ax.imshow(tile, extent=(left, left + W, top + H, top), interpolation="nearest", **look)
        ax.add_patch(Rectangle((left, top), W, H, fill=False, edgecolor="0.6", linewidth=0.5))
        if captions:
            ax.text(left + W / 2, top - 0.03 * unit, captions[i], ha="center", va="bottom",
                    fontsize=size, linespacing=1, **PLAIN)
    edge = 0.02 * unit
    ax.set(xlim=(-edge, width - gap + edge), ylim=(height - head + edge, gap - head - edge),
           xticks=[], yticks=[])
    ax.set_anchor("W")        # what is spare stands on the right, where a colour bar goes
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    return ax, [c * across + W / 2 for c in range(columns)], [r * down + H / 2 for r in range(rows)]


def best_columns(count, H, W, shape=1.5):
    """In how many columns ``count`` tiles of H×W are about ``shape`` times as wide as high; a full
    last row is worth a deviation."""
    def fault(columns):
        rows = -(-count // columns)
        return abs(np.log(columns * W / (rows * H) / shape)) + 0.5 * (count % columns > 0)
    return min(range(1, count + 1), key=fault)


def color_bar(ax, **options):
    """The scale of the first image, beside the Axes and as high."""
    ax.figure.colorbar(ax.images[0], cax=ax.inset_axes([1.03, 0, 0.03, 1]), **options)


def number_of(shown, total, what):
    """``6 filters``, or ``4 of 6 filters``."""
    return (f"{shown} of " if shown < total else "") + f"{total} {what}" + "s" * (total > 1)
