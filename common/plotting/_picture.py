"""A picture of outlines and words, on Axes or in a file."""
import io
from dataclasses import dataclass, field
from functools import cache

from ._style import axes_for

SCREEN = 96          # its dots per inch


@cache
def outline(text, size, bold):
    """A text as a Path of matplotlib that begins at (0, 0); y grows upwards."""
    from matplotlib.textpath import TextPath
    font = {"family": "sans-serif", "weight": "bold" if bold else "normal"}
    return TextPath((0, 0), text.replace("$", r"\$"), size, prop=font)


def text_width(text, size, bold=False):
    text = printed(text)
    return outline(text, size, bold).get_extents().width if text.strip() else 0.0


def printed(text):
    """The text without the characters that no font and no XML holds."""
    return "".join(c if c.isprintable() else " " for c in text)


@dataclass
class Picture:
    """Shapes are (commands, fill, line), the commands those of SVG's paths: M, L, C and Z with
    their points; words are (x, baseline, text, size, anchor, colour, bold), the anchor "left",
    "center" or "right". y grows downwards."""
    width: float
    height: float
    title: str
    shapes: list = field(default_factory=list)
    words: list = field(default_factory=list)

    def shape(self, commands, fill="none", line="none"):
        self.shapes.append((commands, fill, line))

    def write(self, x, y, text, size, anchor, colour, bold=False):
        if printed(text).strip():
            self.words.append((x, y, printed(text), size, anchor, colour, bold))

    def box(self, x, y, w, h, radius, **paint):
        r, k = radius, 0.4477 * radius
        right, low = x + w, y + h
        self.shape([("M", (x + r, y)), ("L", (right - r, y)),
                    ("C", (right - k, y), (right, y + k), (right, y + r)), ("L", (right, low - r)),
                    ("C", (right, low - k), (right - k, low), (right - r, low)),
                    ("L", (x + r, low)), ("C", (x + k, low), (x, low - k), (x, low - r)),
                    ("L", (x, y + r)), ("C", (x, y + k), (x + k, y), (x + r, y)), ("Z",)], **paint)

    def paint(self, ax):
        """Draw on Axes; None: those of a figure of the picture's size. Words are outlines, too:
        they fit at any size."""
        from matplotlib import pyplot
        from matplotlib.patches import PathPatch
        from matplotlib.transforms import Affine2D
        ax = self.axes(pyplot.figure, 72) if ax is None else axes_for("draw", ax)[0]
        self.paint_shapes(ax)
        for x, y, text, size, anchor, colour, bold in self.words:
            path = outline(text, size, bold)
            extent = path.get_extents()
            left = x - extent.x0 - extent.width * {"left": 0, "center": 0.5, "right": 1}[anchor]
            path = path.transformed(Affine2D().scale(1, -1).translate(left, y))
            ax.add_patch(PathPatch(path, facecolor=colour, linewidth=0, label=text))
        return ax

    def file(self, kind):
        """The bytes of a file, "svg" or "png", as large on a screen as the picture says; the words
        of an SVG are text."""
        from matplotlib import rc_context
        from matplotlib.figure import Figure
        ax, file = self.axes(Figure, SCREEN), io.BytesIO()
        self.paint_shapes(ax)
        for x, y, text, size, anchor, colour, bold in self.words:
            ax.text(x, y, text, size=size * 72 / SCREEN, weight="bold" if bold else "normal",
                    family="sans-serif", ha=anchor, color=colour, parse_math=False)
        about = {"Title": self.title}
        if kind == "svg":
            about |= dict.fromkeys(("Date", "Creator", "Format", "Type"))
        with rc_context({"svg.fonttype": "none", "svg.hashsalt": "", "savefig.bbox": None}):
            ax.figure.savefig(file, format=kind, dpi=2 * SCREEN, metadata=about)
        return file.getvalue()

    def axes(self, figure, dots):
        """The whole of a new figure, a unit being a dot of so many per inch."""
        size = self.width / dots, self.height / dots
        return figure(figsize=size, layout="none", facecolor="white").add_axes((0, 0, 1, 1))

    def paint_shapes(self, ax):
        from matplotlib.patches import PathPatch
        from matplotlib.path import Path
        scale = min(ax.bbox.width / self.width, ax.bbox.height / self.height) * 72 / ax.figure.dpi
        codes = {"M": [Path.MOVETO], "L": [Path.LINETO], "C": [Path.CURVE4] * 3,
                 "Z": [Path.CLOSEPOLY]}
        for commands, fill, line in self.shapes:
            path = Path([point for _, *points in commands for point in points or [(0, 0)]],
                        [code for command, *_ in commands for code in codes[command]])
            ax.add_patch(PathPatch(path, facecolor=fill, edgecolor=line, linewidth=1.2 * scale,
                                   joinstyle="round"))
        ax.set(xlim=(0, self.width), ylim=(self.height, 0), aspect="equal")
        ax.axis("off")
