"""Drawings of models: the graph as one would put it on the board."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..common import checks
from ..common.types import Axes, Inputs
from ._layout import Box, layout
from ._picture import Picture, text_width

# LARGEST: so many layers a notebook draws unasked
MARGIN, PAGE, LARGEST = 14, 980, 250
# of letters: first line, others, names of inputs
SIZE, SMALL, TINY = 13, 11, 10
LINE, INK, FAINT = "#555555", "#222222", "#666666"
# blue and vermilion, as in _style.py
VALUE, GRAD = "#0072B2", "#C44601"
FILL = {"input": "#e8e8e8", "operation": "#ffffff", "layer": "#f4f4f4", "weights": "#dcebf7",
        "loss": "#fbe3d3", "model": "#ece6f5", "end": "#ffffff"}


@dataclass
class Vertex:
    """A box or circle with lines of text, of a ``kind`` in FILL, for a ``node``; at the edge that
    leaves it a shape, or a value and its gradient; at those that come in names, if they matter."""
    kind: str
    lines: list
    node: object = None
    note: str = ""
    value: str = ""
    grad: str = ""
    marks: list = field(default_factory=list)

    @property
    def round(self):
        return self.kind in ("input", "operation", "end")

    def text(self):
        """(text, size, bold) for each line."""
        return [(line, SMALL if i else SIZE, i == 0 and not self.round)
                for i, line in enumerate(self.lines)]

    def box(self, rightwards):
        """The room it takes."""
        wide = max(text_width(*line) for line in self.text())
        w, h = wide + 20, sum(size + 5 for _, size, _ in self.text()) + 9
        if self.round:
            w, h = max(28, wide + 14), 28
        if rightwards:
            h = max(h, 20 * len(self.marks))
        else:
            w = max(w, 24 * len(self.marks))
        note = max(text_width(text, SMALL) for text in (self.note, self.value, self.grad))
        corner, head = min(w, h) / 2 if self.round else 6, 14 if self.marks else 0
        if rightwards:
            head += max((text_width(mark, TINY) for mark in self.marks), default=0)
            return Box(w, h, 17 if note else 0, 17 if note else 0, head, note + 8 if note else 0,
                       corner)
        return Box(h, w, 0, note + 8, head, 18 if note else 0, corner)


def draw(model: Any, ax: Axes | None = None, values: bool = False, x: Inputs | None = None) -> Axes:
    """Draw a Sequential or a Graph on ``ax``, or for None on the Axes of a new figure of fitting
    size; returns the Axes. Any other model will do that has a method ``vertices_and_edges(values,
    x)``.

    Layers are boxes with their names and numbers of parameters, blue if they have any; losses are
    orange, models inside the model violet, inputs grey. Operations are circles, with the number
    that takes part, if there is one. Networks run downwards, operations from left to right as on
    the board; what is longer than a page continues in another column, or row.

    - x: an input, or a tuple of all inputs and perhaps targets: the shape of each value is written
      at its edge. They are run through a copy of the model;
    - values=True, for a Graph made with ``trace=True`` that has run: what the last forward and
      backward left, each value over the edge along which it went, in blue, and its gradient under
      it, in orange; of arrays of more than four entries the norm.

    >>> from chainrule.layers import Sin
    >>> from chainrule.models import Graph, Input
    >>> x1, x2 = Input(), Input()
    >>> f = Graph([x1, x2], x1 * x2 + Sin()(x2), trace=True)
    >>> y = f.forward(2.0, 5.0)
    >>> ax = draw(f, values=True)
    """
    return picture(model, values, x).paint(ax)


def to_svg(model, values=False, x=None):
    text = picture(model, values, x).file("svg").decode()
    text = text[text.index("<svg"):].replace("\n", "")
    return text.replace("<svg", '<svg style="max-width: 100%"', 1)


def for_notebook(model, kind):
    """What a notebook shows: the text of an SVG, or a PNG and its size; None if it is too large or
    cannot be drawn."""
    if not hasattr(model, "vertices_and_edges") or len(model.layers) > LARGEST:
        return None
    if kind == "svg":
        return to_svg(model, values=None)
    result = picture(model, values=None)
    return result.file("png"), {"width": round(result.width), "height": round(result.height)}


def picture(model, values=False, x=None):
    if not hasattr(model, "vertices_and_edges"):
        raise TypeError(f"draw: draws a Sequential or a Graph, got {checks.text(model)}")
    vertices, edges = model.vertices_and_edges(values, x)
    traced = any(v.value or v.grad for v in vertices)
    layers = [v for v in vertices if v.kind not in ("input", "end")]
    rightwards = traced or 2 * sum(v.kind == "operation" for v in layers) > len(layers)
    boxes = [v.box(rightwards) for v in vertices]
    place = layout(boxes, edges, centred=not rightwards, gap=14 if rightwards else 22,
                   cost=row_cost if rightwards else page_cost)
    width, height = place.size if rightwards else place.size[::-1]
    result = Picture(width + 2 * MARGIN, height + 2 * MARGIN, type(model).__name__)

    def at(along, across):
        return ((MARGIN + along, MARGIN + across) if rightwards
                else (MARGIN + across, MARGIN + along))

    for route in place.routes:
        draw_edge(result, route, at)
    for v, box, start, middle in zip(vertices, boxes, place.start, place.middle):
        (x0, y0), (x1, y1) = (at(start, middle - box.face / 2),
                              at(start + box.length, middle + box.face / 2))
        result.box(x0, y0, x1 - x0, y1 - y0, box.corner, fill=FILL[v.kind],
                   line="none" if v.kind == "end" else "#444444")
        y = (y0 + y1 - sum(size + 5 for _, size, _ in v.text())) / 2
        for i, (text, size, bold) in enumerate(v.text()):
            result.write((x0 + x1) / 2, y + size + 1, text, size, "center", FAINT if i else INK,
                         bold)
            y += size + 5
        x0, y0 = at(start + box.length, middle)
        if rightwards:
            result.write(x0 + 4, y0 - 5, v.value or v.note, SMALL, "left",
                         VALUE if v.value else FAINT)
            result.write(x0 + 4, y0 + 13, v.grad, SMALL, "left", GRAD)
        else:
            result.write(x0 + 6, y0 + 13, v.note, SMALL, "left", FAINT)
    for i, v in enumerate(vertices):
        for route, mark in zip([route for route, edge in zip(place.routes, edges) if edge[1] == i],
                               v.marks):
            x0, y0 = at(*route[-1])
            if rightwards:
                result.write(x0 - 10, y0 - 3, mark, TINY, "right", FAINT)
            else:
                result.write(x0 + 6, y0 - 5, mark, TINY, "left", FAINT)
    if traced:
        add_legend(result, any(v.grad for v in vertices))
    return result


def row_cost(along, across):
    """From left to right: not longer than a page is wide."""
    return across + 10 * max(0, along - PAGE)


def page_cost(along, across):
    """Downwards: no higher than a screen, if that does not make it wider than a page."""
    return max(0, along - 0.8 * PAGE) + 10 * max(0, across - PAGE)


def draw_edge(result, route, at):
    commands = [("M", at(*route[0]))]
    for (a, c), (b, d) in zip(route, route[1:]):
        half = (a + b) / 2
        commands.append(("C", at(half, c), at(half, d), at(b, d)) if a != b and c != d
                        else ("L", at(b, d)))
    result.shape(commands, line=LINE)
    result.shape([("M", at(b, d)), ("L", at(b - 8, d - 3.5)), ("L", at(b - 8, d + 3.5)), ("Z",)],
                 fill=LINE)


def add_legend(result, gradients):
    x = MARGIN
    for text, colour in (("over the edge: value", VALUE),
                         ("under the edge: gradient", GRAD))[: 1 + gradients]:
        result.write(x, result.height + 12, text, SMALL, "left", colour)
        x += text_width(text, SMALL) + 12
    result.width, result.height = max(result.width, x), result.height + 26
