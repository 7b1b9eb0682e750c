"""What all pictures share: colours that colour-blind readers can tell apart, and markers
that tell classes apart in grey print."""
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


def new_axes(count=1, width=4.5, height=3.4):
    """The Axes of a new figure as a flat array: ``count`` panels, up to three in a row."""
    from matplotlib import pyplot as plt

    columns = min(count, 3)
    rows = -(-count // columns)
    figure = plt.figure(figsize=(width * columns, height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for spare in axes[count:]:
        spare.remove()
    return axes[:count]


def axes_for(who, given, count=1, name="ax", each="", **size):
    """``count`` Axes as a flat array: those given, one or an array of enough, or for None new ones.
    ``each``: what each is for."""
    if given is None:
        return new_axes(count, **size)
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
