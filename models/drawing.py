"""Drawings of models: the graph as one would put it on the board."""
from ._layout import layout
from ._picture import Picture, text_width
from ._vertices import SMALL, vertices_and_edges
from .sequential import Sequential

MARGIN, PAGE, LARGEST = 14, 980, 250                      # LARGEST: so many layers a notebook draws unasked
LINE, INK, FAINT = "#555555", "#222222", "#666666"
VALUE, GRAD = "#0072B2", "#C44601"                        # blue and vermilion, told apart by all eyes
FILL = {"input": "#e8e8e8", "operation": "#ffffff", "layer": "#f4f4f4", "weights": "#dcebf7", "loss": "#fbe3d3",
        "model": "#ece6f5", "end": "#ffffff"}


def draw(model, ax=None, values=False, x=None):
    """Draw a Sequential or a Graph on ``ax``, or for None on the Axes of a new figure of fitting size; returns the
    Axes.

    Layers are boxes with their names and numbers of parameters: blue with parameters, orange losses, violet models
    inside the model. Operations are circles, a number that one takes in the circle; grey are inputs. Networks run
    downwards, operations as on the board from left to right; what is longer than a page goes on in a next column, or
    row.

    - x: an input, or a tuple of all inputs and perhaps targets: the shape of each value is written at its edge. They
      are run through a copy of the model;
    - values=True, for a Graph made with ``trace=True`` that has run: what the last forward and backward left, each
      value over the edge along which it went, in blue, and its gradient under it, in orange; of arrays of more than
      four entries the norm.

    >>> from chainrule.layers import Sin
    >>> from chainrule.models import Graph, Input
    >>> x1, x2 = Input(), Input()
    >>> f = Graph([x1, x2], x1 * x2 + Sin()(x2), trace=True)
    >>> y = f.forward(2.0, 5.0)
    >>> ax = draw(f, values=True)
    >>> from matplotlib import pyplot; pyplot.close(ax.figure)
    """
    return picture(model, values, x).paint(ax)


def to_svg(model, values=False, x=None):
    """The picture as the text of an SVG file; arguments as in ``draw``."""
    return picture(model, values, x).svg()


def notebook_svg(model):
    """The picture with which a notebook shows the model; None, and so its text, if it is too large or of another kind."""
    if not isinstance(model, Sequential) and not hasattr(model, "nodes") or len(model.layers) > LARGEST:
        return None
    return to_svg(model, values=getattr(model, "trace", False) and any(n.value is not None for n in model.nodes))


def picture(model, values=False, x=None):
    vertices, edges = vertices_and_edges(model, values, x)
    layers = [v for v in vertices if v.kind not in ("input", "end")]
    rightwards = values or 2 * sum(v.kind == "operation" for v in layers) > len(layers)
    boxes = [v.box(rightwards) for v in vertices]
    place = layout(boxes, edges, centred=not rightwards, gap=14 if rightwards else 22, cost=row_cost if rightwards else page_cost)
    width, height = place.size if rightwards else place.size[::-1]
    result = Picture(width + 2 * MARGIN, height + 2 * MARGIN, type(model).__name__)

    def at(along, across):
        return (MARGIN + along, MARGIN + across) if rightwards else (MARGIN + across, MARGIN + along)

    for route in place.routes:
        draw_edge(result, route, at)
    for v, box, start, middle in zip(vertices, boxes, place.start, place.middle):
        (x0, y0), (x1, y1) = at(start, middle - box.face / 2), at(start + box.length, middle + box.face / 2)
        result.box(x0, y0, x1 - x0, y1 - y0, box.corner, fill=FILL[v.kind], line="none" if v.kind == "end" else "#444444")
        y = (y0 + y1 - sum(size + 5 for _, size, _ in v.text())) / 2
        for i, (text, size, bold) in enumerate(v.text()):
            result.write((x0 + x1) / 2, y + size + 1, text, size, "middle", FAINT if i else INK, bold)
            y += size + 5
        x0, y0 = at(start + box.length, middle)
        if rightwards:
            result.write(x0 + 4, y0 - 5, v.note, SMALL, "start", VALUE if values else FAINT)
            result.write(x0 + 4, y0 + 13, v.grad, SMALL, "start", GRAD)
        else:
            result.write(x0 + 6, y0 + 13, v.note, SMALL, "start", FAINT)
    for i, v in enumerate(vertices):
        for route, mark in zip([route for route, edge in zip(place.routes, edges) if edge[1] == i], v.marks):
            x0, y0 = at(*route[-1])
            if rightwards:
                result.write(x0 - 10, y0 - 3, mark, 10, "end", FAINT)
            else:
                result.write(x0 + 6, y0 - 5, mark, 10, "start", FAINT)
    if values:
        add_legend(result)
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
        commands.append(("C", at(half, c), at(half, d), at(b, d)) if a != b and c != d else ("L", at(b, d)))
    result.shape(commands, line=LINE)
    a, c = route[-1]
    result.shape([("M", at(a, c)), ("L", at(a - 8, c - 3.5)), ("L", at(a - 8, c + 3.5)), ("Z",)], fill=LINE)


def add_legend(result):
    x = MARGIN
    for text, colour in (("over the edge: value", VALUE), ("under the edge: gradient", GRAD)):
        result.write(x, result.height + 12, text, SMALL, "start", colour)
        x += text_width(text, SMALL) + 12
    result.width, result.height = max(result.width, x), result.height + 26
