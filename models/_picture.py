"""A picture of outlines and words, as SVG or on matplotlib's Axes."""
from dataclasses import dataclass, field
from html import escape

from ..plotting._style import axes_for

# In ems, as wide as in DejaVu Sans, which matplotlib brings along and which is wider than the usual fonts of browsers.
WIDTHS = {c: width for width, group in ((0.32, "'ijlIJ ,.·"), (0.42, "/:;\\|f-()[]tr!"), (0.54, '"*_`‖sz?'),
                                        (0.84, "w#+<=>^~→−×"), (1, "Mm%W@…")) for c in group}


def text_width(text, size, bold=False):
    """An estimate from above of how wide a text is."""
    return size * sum(WIDTHS.get(c, 0.79 if c.isupper() else 0.65 if ord(c) < 1024 else 1) for c in text) * (1.15 if bold else 1)


@dataclass
class Picture:
    """Shapes are (commands, fill, line colour, line width), the commands those of SVG's paths: M, L, C and Z with
    their points; words are (x, baseline, text, size, anchor, colour, bold), the anchor "start", "middle" or "end". y
    grows downwards."""
    width: float
    height: float
    title: str
    shapes: list = field(default_factory=list)
    words: list = field(default_factory=list)

    def shape(self, commands, fill="none", line="none", width=1.2):
        self.shapes.append((commands, fill, line, width))

    def write(self, x, y, text, size, anchor="middle", colour="#222222", bold=False):
        if text.strip():
            self.words.append((x, y, text, size, anchor, colour, bold))

    def box(self, x, y, w, h, radius, **paint):
        """A rectangle with round corners."""
        r, k = radius, 0.4477 * radius
        self.shape([("M", (x + r, y)), ("L", (x + w - r, y)), ("C", (x + w - k, y), (x + w, y + k), (x + w, y + r)),
                    ("L", (x + w, y + h - r)), ("C", (x + w, y + h - k), (x + w - k, y + h), (x + w - r, y + h)),
                    ("L", (x + r, y + h)), ("C", (x + k, y + h), (x, y + h - k), (x, y + h - r)),
                    ("L", (x, y + r)), ("C", (x, y + k), (x + k, y), (x + r, y)), ("Z",)], **paint)

    def svg(self):
        """A document that needs nothing from elsewhere, on a white ground."""
        w, h = f"{self.width:.0f}", f"{self.height:.0f}"
        lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}" '
                 'style="max-width: 100%" font-family="Helvetica, Arial, DejaVu Sans, sans-serif">',
                 f"<title>{escaped(self.title)}</title>", f'<rect width="{w}" height="{h}" fill="#ffffff"/>']
        for commands, fill, line, width in self.shapes:
            d = " ".join(c + " ".join(f"{x:.1f},{y:.1f}" for x, y in points) for c, *points in commands)
            lines.append(f'<path d="{d}" fill="{fill}" stroke="{line}" stroke-width="{width}" stroke-linejoin="round"/>')
        for x, y, text, size, anchor, colour, bold in self.words:
            weight = ' font-weight="bold"' if bold else ""
            lines.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}"{weight} '
                         f'xml:space="preserve">{escaped(text)}</text>')
        return "\n".join([*lines, "</svg>"])

    def paint(self, ax=None):
        """Draw on Axes; None makes a figure of the picture's size. Words are outlines too, so that they fit at any size."""
        from matplotlib import pyplot as plt
        from matplotlib.font_manager import FontProperties
        from matplotlib.patches import PathPatch
        from matplotlib.path import Path
        from matplotlib.textpath import TextPath
        from matplotlib.transforms import Affine2D

        if ax is not None:
            ax = axes_for("draw", ax)[0]
        else:
            figure = plt.figure(figsize=(self.width / 72, self.height / 72), layout="none")
            ax = figure.add_axes((0, 0, 1, 1))
        scale = min(ax.bbox.width / self.width, ax.bbox.height / self.height) * 72 / ax.figure.dpi
        codes = {"M": [Path.MOVETO], "L": [Path.LINETO], "C": [Path.CURVE4] * 3, "Z": [Path.CLOSEPOLY]}
        for commands, fill, line, width in self.shapes:
            points = [p for c, *given in commands for p in (given or [(0, 0)])]
            path = Path(points, [code for c, *_ in commands for code in codes[c]])
            ax.add_patch(PathPatch(path, facecolor=fill, edgecolor=line, linewidth=width * scale, joinstyle="round"))
        for x, y, text, size, anchor, colour, bold in self.words:
            path = TextPath((0, 0), text.replace("$", r"\$"), size, prop=FontProperties(weight="bold" if bold else "normal"))
            extent = path.get_extents()
            left = x - extent.x0 - extent.width * {"start": 0, "middle": 0.5, "end": 1}[anchor]
            path = path.transformed(Affine2D().scale(1, -1).translate(left, y))
            ax.add_patch(PathPatch(path, facecolor=colour, linewidth=0, label=text))
        ax.set(xlim=(0, self.width), ylim=(self.height, 0), aspect="equal")
        ax.axis("off")
        return ax


def escaped(text):
    """Text for XML, without the characters that XML cannot hold."""
    return escape("".join(c if c.isprintable() else " " for c in text))
