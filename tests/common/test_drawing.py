"""Drawings: laws that hold for every picture, and what stands in some of them."""
import functools
import io
import itertools
import xml.etree.ElementTree as ET
from unittest import mock

import numpy as np
import pytest
from matplotlib import pyplot as plt

from chainrule import models
from chainrule.layers import (
    Add,
    Affine,
    Branch,
    Concatenate,
    Exp,
    MatMul,
    Maximum,
    Mean,
    ReLU,
    Sin,
    SoftmaxWithLoss,
    SquaredError,
    Tanh,
)
from chainrule.models import MLP, Graph, Input, Seq2Seq, Sequential
from chainrule.plotting import draw
from chainrule.plotting._layout import Box, layout
from chainrule.plotting._picture import text_width
from chainrule.plotting._ranks import apart, arrange, crossings, ranks, through_dummies, total
from chainrule.plotting.drawing import LARGEST, Vertex, page_cost, picture, row_cost
from tests.errors import refused

SVG = "{http://www.w3.org/2000/svg}"


def affine():
    return Affine.init(4, 4, rng=0)


def board():
    x1, x2 = Input(), Input()
    return Graph([x1, x2], x1 * x2 + Sin()(x2), trace=True)


def logistic():
    w0, w1, x1, w2, x2 = (Input(name) for name in ("w0", "w1", "x1", "w2", "x2"))
    return Graph([w0, w1, x1, w2, x2], 1 / (1 + Exp()(-(w0 + w1 * x1 + w2 * x2))))


def residual(blocks=1):
    x = y = Input("x")
    for _ in range(blocks):
        y = ReLU()(affine()(ReLU()(affine()(y))) + y)
    return Graph(x, y, loss=SoftmaxWithLoss())


def inception():
    x = Input("x")
    branches = [ReLU()(affine()(x)), *(ReLU()(affine()(ReLU()(affine()(x)))) for _ in range(2)), ReLU()(affine()(Tanh()(x)))]
    return Graph(x, Concatenate()(*branches))


def two_losses():
    u, v, s, t = Input("image"), Input("text"), Input("s"), Input("t")
    h = Concatenate()(Tanh()(affine()(u)), affine()(v))
    a, b = Affine.init(8, 3, rng=0)(h), Affine.init(8, 1, rng=0)(h)
    return Graph([u, v], [a, b], [s, t], loss=SoftmaxWithLoss()(a, s) + 0.3 * SquaredError()(b, t))


def operations(n=40):
    x = y = Input("x")
    for _ in range(n // 2):
        y = Sin()(y) + 1
    return Graph(x, y)


def long_shapes():
    x1, x2 = Input(), Input()
    return Graph([x1, x2], ReLU()(x1) + ReLU()(x2))


def marked():
    x1, x2 = Input(), Input()
    return Graph([x1, x2], (x1 @ x2) - x1)


def tangle():
    """Edges that cannot all be clear of each other."""
    rng = np.random.default_rng(0)
    nodes = [Input("x")]
    for _ in range(30):
        a, b = rng.integers(0, len(nodes), 2)
        nodes.append(nodes[a] + nodes[b] if rng.random() < 0.5 else affine()(nodes[a]))
    taken = {i for n in nodes for i in n.inputs}
    return Graph(nodes[0], [n for n in nodes if n not in taken])


MODELS = {
    "board": board(), "logistic": logistic(), "MLP": MLP([64, 128, 10], rng=0), "residual": residual(),
    "four blocks": residual(4),
    "inception": inception(), "two losses": two_losses(), "operations": operations(), "tangle": tangle(),
    "long shapes": long_shapes(), "marked": marked(),
    "chain": Sequential(*(layer for _ in range(20) for layer in (affine(), ReLU())), loss=SoftmaxWithLoss()),
    "nested": Sequential(affine(), Sequential(affine(), ReLU(), Sequential(Tanh())), loss=SoftmaxWithLoss()),
    "one layer": Sequential(ReLU()),
}
INPUTS = {
    "long shapes": (np.zeros((2, 128, 28, 28)),) * 2, "MLP": np.zeros((2, 1, 8, 8)), "inception": np.zeros((2, 4)),
    "board": (np.float64(1), np.float64(2)),
    "four blocks": np.zeros((2, 4)), "nested": (np.zeros((2, 4)), np.zeros(2, int)),
}
every_model = pytest.mark.parametrize("name", MODELS)
both_ways = pytest.mark.parametrize("rightwards", [False, True])


@functools.cache
def placed(name, rightwards):
    vertices, edges = MODELS[name].vertices_and_edges(x=INPUTS.get(name))
    boxes = [v.box(rightwards) for v in vertices]
    return vertices, edges, boxes, layout(boxes, edges, not rightwards, 14, row_cost if rightwards else page_cost)


def crossed(n, edges):
    """How many links between the ranks of a graph with n vertices cross, once these are in order."""
    _, rows, links = through_dummies(ranks(n, edges), edges)
    arrange(rows, links)
    return total(rows, links)


def outlines(boxes, place, notes=True):
    """(low along, high along, low across, high across) of each box, with the text beside its edge."""
    if notes:
        return [(s, s + b.length + b.tail, m - b.low, m + b.high) for b, s, m in zip(boxes, place.start, place.middle)]
    return [(s, s + b.length, m - b.face / 2, m + b.face / 2) for b, s, m in zip(boxes, place.start, place.middle)]


def along_route(route, steps=12):
    """Points on an edge, as it is drawn."""
    t = np.linspace(0, 1, steps)
    weights = np.stack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t ** 3], axis=1)
    for (a, c), (b, d) in itertools.pairwise(route):
        curve = a != b and c != d
        yield from weights @ ([(a, c), ((a + b) / 2, c), ((a + b) / 2, d), (b, d)] if curve else
                              [(a, c), (a + (b - a) / 3, c + (d - c) / 3), (b - (b - a) / 3, d - (d - c) / 3), (b, d)])


@every_model
def test_every_node_stands_there_once_and_the_edges_join_the_right_ones(name):
    model = MODELS[name]
    vertices, edges = model.vertices_and_edges()
    layers = [v.node.layer for v in vertices if v.node is not None and v.node.layer is not None]
    expected = list(model.layers) + [model.loss] * hasattr(model.loss, "forward")
    assert sorted(map(id, layers)) == sorted(map(id, expected))
    if isinstance(model, Graph):
        drawn = {v.node for v in vertices if v.node is not None}
        joined = [(vertices[u].node, vertices[v].node) for u, v in edges if vertices[v].kind != "end"]
        expected = [(i, n) for n in model.nodes for i in n.inputs if i in drawn]
        assert sorted((id(i), id(n)) for i, n in joined) == sorted((id(i), id(n)) for i, n in expected)
    else:
        chain = [v for v in vertices if v.kind != "end" and v.lines != ["t"]]
        assert [(chain.index(vertices[u]), chain.index(vertices[v])) for u, v in edges
                if vertices[u] in chain and vertices[v] in chain] == list(itertools.pairwise(range(len(chain))))


@both_ways
@every_model
def test_nothing_overlaps(name, rightwards):
    _, _, boxes, place = placed(name, rightwards)
    for (a, b, c, d), (e, f, g, h) in itertools.combinations(outlines(boxes, place), 2):
        assert b <= e + 1e-6 or f <= a + 1e-6 or d <= g + 1e-6 or h <= c + 1e-6


@both_ways
@every_model
def test_edges_join_the_outlines_of_their_boxes_and_cross_no_other(name, rightwards):
    _, edges, boxes, place = placed(name, rightwards)
    bare = outlines(boxes, place, notes=False)
    for (u, v), route in zip(edges, place.routes):
        assert route[0] == (bare[u][1], place.middle[u])
        (a, c), (low, high, left, right) = route[-1], bare[v]
        flat = boxes[v].face / 2 - boxes[v].corner
        over = max(0, abs(c - place.middle[v]) - flat)
        assert np.hypot(low + boxes[v].corner - a, over) == pytest.approx(boxes[v].corner) and left < c < right
        assert c == route[-2][1] and a - route[-2][0] >= boxes[v].head          # comes in straight
        a, c = np.transpose(list(along_route(route)))
        for i, (low, high, left, right) in enumerate(bare):
            if i not in (u, v):
                assert not np.any((low + 0.1 < a) & (a < high - 0.1) & (left + 0.1 < c) & (c < right - 0.1))


@every_model
def test_edges_that_end_at_one_box_end_apart(name):
    _, edges, _, place = placed(name, False)
    ends = [(v, route[-1][1]) for (_, v), route in zip(edges, place.routes)]
    for (v, c), (w, d) in itertools.combinations(ends, 2):
        assert v != w or abs(c - d) > 3


@every_model
def test_all_is_inside_the_picture(name):
    result = picture(MODELS[name], x=INPUTS.get(name))
    for commands, *_ in result.shapes:
        for x, y in (point for _, *points in commands for point in points):
            assert 0 < x < result.width and 0 < y < result.height
    for x, y, text, size, anchor, _, bold in result.words:
        left = x - text_width(text, size, bold) * {"left": 0, "center": 0.5, "right": 1}[anchor]
        assert left >= 0 and left + text_width(text, size, bold) <= result.width and size <= y <= result.height


@pytest.mark.parametrize("name", [name for name in MODELS if name != "tangle"])
def test_planar_graphs_have_no_crossings(name):
    vertices, edges, *_ = placed(name, False)
    assert crossed(len(vertices), edges) == 0


def test_a_crossing_that_must_be_is_counted():
    # K(3, 3) cannot be drawn without; and the first of two rows joined crosswise can be turned round.
    assert crossed(6, [(u, v) for u in range(3) for v in range(3, 6)]) > 0
    assert crossings([0, 1], [(0, 3), (1, 2)], [2, 3]) == 1
    assert crossed(4, [(0, 3), (1, 2)]) == 0


def test_lines_of_layers_are_straight():
    for name in ("MLP", "chain", "nested", "inception", "residual"):
        vertices, edges, _, place = placed(name, False)
        for (u, v), route in zip(edges, place.routes):
            alone = sum(e[0] == u for e in edges) == sum(e[1] == v for e in edges) == 1
            if alone and len(route) == 4:
                assert place.middle[u] == pytest.approx(place.middle[v]), (name, vertices[u].lines, vertices[v].lines)


def test_ranks_run_from_low_to_high_and_inputs_stand_by_their_use():
    edges = [(0, 2), (2, 3), (3, 4), (1, 4)]
    assert ranks(5, edges) == [0, 2, 1, 2, 3]


def test_apart_is_the_nearest_solution():
    places = apart([3, 1, 2, 9], [1, 1, 2, 1], [1, 1, 1])
    assert np.diff(places).min() >= 1 - 1e-12
    # 3, 1, 2 are pooled: minus their shifts 0, 1, 2 the weighted mean is (3 + 0 + 2 · 0) / 4.
    assert places == [0.75, 1.75, 2.75, 9]


def test_long_chains_go_on_in_the_next_column_or_row():
    for name in ("chain", "operations", "four blocks"):
        result = picture(MODELS[name], x=INPUTS.get(name))
        assert result.width < 1050 and result.height < 900, name


def test_the_way_to_the_next_column_is_rectangular():
    _, _, _, place = placed("chain", False)
    away = [route for route in place.routes if any(a == 0 for a, _ in route)]
    assert len(away) >= 2
    for route in away:
        assert all(a == b or c == d for (a, c), (b, d) in itertools.pairwise(route))


def test_two_lines_side_by_side_are_not_cut():
    edges = [(v, v + 2) for v in range(38)]
    place = layout([Box(20, 20)] * 40, edges, True, 24, lambda along, across: along)
    assert all(place.start[u] < place.start[v] for u, v in edges)
    whole = layout([Box(20, 20)] * 40, [(v, v + 1) for v in range(39)], True, 24, lambda along, across: along + across)
    assert whole.size[0] < 500


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_the_words_of_a_file_fill_the_room_that_was_kept_for_them(kind):
    """Measured by the renderer: at most an em's twentieth more than their outline's width."""
    result = picture(MODELS["MLP"], x=INPUTS["MLP"])
    with mock.patch("matplotlib.figure.Figure.savefig", autospec=True) as saved:
        result.file(kind)
    figure, = saved.call_args.args[:1]
    figure.dpi = 960                                           # so that no hinting rounds the widths
    drawn = {text.get_text(): text.get_window_extent().width / 10 for text in figure.axes[0].texts}
    assert len(drawn) > 8
    for _, _, text, size, _, _, bold in result.words:
        assert text_width(text, size, bold) == pytest.approx(drawn[text], abs=0.25 * size), text


def words(svg):
    return [text.text for text in ET.fromstring(svg).iter(f"{SVG}text")]


@every_model
def test_svg_is_xml_with_all_words_and_one_outline_per_vertex(name):
    svg = MODELS[name].to_svg(x=INPUTS.get(name))
    vertices, edges = MODELS[name].vertices_and_edges(x=INPUTS.get(name))
    found = words(svg)
    assert sorted(found) == sorted(t for v in vertices for t in (*v.lines, *filter(None, [v.note]), *v.marks))
    root = ET.fromstring(svg)
    shapes = [path for path in root.iter(f"{SVG}path") if "clip-path" in path.attrib]
    assert len(shapes) == len(vertices) + 2 * len(edges)
    size, view = picture(MODELS[name], x=INPUTS.get(name)), list(map(float, root.get("viewBox").split()))
    assert view == pytest.approx([0, 0, 0.75 * size.width, 0.75 * size.height], rel=1e-4)           # in points of a screen
    assert "fill: #ffffff" in next(root.iter(f"{SVG}path")).get("style")
    assert not [name for one in root.iter() for name in one.attrib if name.endswith("href")]


def test_names_are_escaped():
    x = Input('<x & "y">\x00 $a$')
    svg = Graph(x, Tanh()(x)).to_svg()
    assert '<x & "y">  $a$' in words(svg)
    x = Input("$x_1$")
    ax = Graph(x, Tanh()(x)).draw()
    width = {patch.get_label(): patch.get_path().get_extents().width for patch in ax.patches}
    assert width["$x_1$"] > 0.8 * text_width("$x_1$", 13)          # five letters, no formula
    plt.close(ax.figure)


def test_values_and_gradients_as_on_the_board():
    f = board()
    f.forward(2.0, 5.0)
    f.backward(1.0)
    vertices, _ = f.vertices_and_edges(values=True)
    assert {v.lines[0]: (v.value, v.grad) for v in vertices} == {
        "x1": ("2", "5"), "x2": ("5", "2.28"), "×": ("10", "1"), "sin": ("−0.959", "1"), "+": ("9.04", "1"), "y": ("", "")}
    result = picture(f, values=True)
    edge = {text: (y, colour) for _, y, text, _, _, colour, _ in result.words}
    assert edge["10"][0] < edge["9.04"][0] and edge["9.04"][1] != edge["2.28"][1]
    assert all(size < y < result.height for _, y, _, size, *_ in result.words)
    value, grad = (next(w for w in result.words if w[2] == text) for text in ("2", "2.28"))
    assert value[5] == edge["over the edge: value"][1] and grad[5] == edge["under the edge: gradient"][1]


def test_value_over_and_gradient_under_the_edge():
    x = Input("x")
    f = Graph(x, x * 3, trace=True)
    f.forward(2.0)
    f.backward(1.0)
    result = picture(f, values=True)
    y = {text: y for _, y, text, *_ in result.words}
    assert y["6"] < y["y"] - 5 < y["1"]          # baselines: the edge runs through the middle of "y"


def test_small_arrays_are_written_out_and_larger_ones_as_their_norm():
    x = Input("x")
    f = Graph(x, x * 2.0, trace=True)
    for value, text in ((np.array([1.0, -2.5]), "[1, −2.5]"), (np.ones(5), "‖·‖ 2.24"), (np.array([[1.0], [2.0]]), "[[1], [2]]"),
                        (np.full((5, 5), 2.0), "‖·‖ 10"), (np.full((2, 5, 10), 0.5), "‖·‖ 5")):
        f.forward(value)
        assert f.vertices_and_edges(values=True)[0][0].value == text


def test_numbers_stand_in_the_circle_of_their_operation():
    x = Input("x")
    y = Maximum()(2 * (1 - x) / 4 - 1, 0.5) ** 2 + 1 / x - np.array([1.0, 2.0])
    f = Graph(x, Mean(axis=None)(y @ np.ones((2, 7))))
    assert {v.lines[0] for v in f.vertices_and_edges()[0]} == {
        "x", "1 −", "× 2", "/ 4", "− 1", "max 0.5", "^ 2", "1 /", "+", "[1, 2]", "a − b", "‖·‖ 3.74", "a @ b", "mean", "y"}


def test_a_constant_is_written_in_its_vertex_only():
    x = Input("x")
    f = Graph(x, x - np.array([1.0, 2.0]), trace=True)
    f.forward(np.ones(2))
    assert [(v.lines, v.value) for v in f.vertices_and_edges(values=True)[0] if v.lines[0].startswith("[")] == [(["[1, 2]"], "")]
    two = Graph(x, x + x.connect(Add(), 1, 2))
    assert sorted(v.lines[0] for v in two.vertices_and_edges()[0]) == ["+", "+", "1", "2", "x", "y"]


def test_an_output_is_named_unless_it_goes_straight_into_the_loss():
    x, t = Input("x"), Input("t")
    y = Tanh()(x)
    for loss, ends in ((SquaredError(), ["loss"]), (Mean(axis=None)((y - t) ** 2), ["y", "loss"]), (None, ["y"])):
        f = Graph(x, y, [t] if loss else (), loss=loss)
        assert [v.lines[0] for v in f.vertices_and_edges()[0] if v.kind == "end"] == ends


def test_inputs_that_are_not_alike_are_marked():
    x1, x2 = Input(), Input()
    for layer, marks in ((MatMul(), ["a", "b"]), (Add(), []), (Concatenate(), []), (SquaredError(), [])):
        vertices, _ = Graph([x1, x2], layer(x1, x2)).vertices_and_edges()
        assert vertices[2].marks == marks


def test_shapes_stand_at_the_edges_once_they_are_known():
    model = MLP([64, 16, 10], rng=0)
    assert all(v.note == "" for v in model.vertices_and_edges()[0])
    notes = {v.lines[0]: v.note for v in model.vertices_and_edges(x=np.zeros((2, 1, 8, 8)))[0] if v.kind != "weights"}
    assert notes == {"x": "(2, 1, 8, 8)", "Flatten": "(2, 64)", "ReLU": "(2, 16)", "t": "", "SoftmaxWithLoss": "", "loss": ""}
    x = Input("x")
    two = Branch(2)(x)
    vertices, _ = Graph(x, two[0] * two[1]).vertices_and_edges(x=np.ones(3))
    assert {v.lines[0]: v.note for v in vertices} == {
        "x": "(3,)", "Branch": "((3,), (3,))", "[0]": "(3,)", "[1]": "(3,)", "×": "(3,)", "y": ""}


def test_kinds_and_parameter_counts():
    vertices, _ = MODELS["nested"].vertices_and_edges()
    assert [(v.kind, v.lines) for v in vertices] == [
        ("input", ["x"]), ("weights", ["Affine", "20 parameters"]),
        ("model", ["Sequential", "Affine", "ReLU", "Sequential", "20 parameters"]),
        ("input", ["t"]), ("loss", ["SoftmaxWithLoss"]), ("end", ["loss"])]
    long = Sequential(Sequential(*(ReLU() for _ in range(20))))
    assert long.vertices_and_edges()[0][1].lines == ["Sequential", *["ReLU"] * 7, "… 13 more"]


def test_draw_returns_the_axes_it_drew_on():
    figure, ax = plt.subplots()
    assert MODELS["MLP"].draw(ax) is ax
    assert {patch.get_label() for patch in ax.patches} >= {"Flatten", "SoftmaxWithLoss", "loss"}
    own = MODELS["MLP"].draw()
    size = picture(MODELS["MLP"])
    middle = {text: x for x, _, text, *_ in size.words}
    for patch in own.patches:
        if patch.get_label() in middle:
            extents = patch.get_path().get_extents()
            assert extents.x0 + extents.width / 2 == pytest.approx(middle[patch.get_label()], abs=1)
    assert tuple(own.figure.get_size_inches() * 72) == pytest.approx((size.width, size.height))
    assert own.get_xlim() == (0, size.width) and own.get_ylim() == (size.height, 0)
    plt.close(figure)
    plt.close(own.figure)


def test_a_notebook_shows_values_if_there_are_any_and_text_if_the_picture_would_be_too_large():
    f = board()
    assert f._repr_svg_() == f.to_svg()
    f.forward(2.0, 5.0)
    assert f._repr_svg_() == f.to_svg(values=True) != f.to_svg()
    for model in (operations(LARGEST + 10), Seq2Seq(7, 4, 5, rng=0)):
        assert model._repr_svg_() is None and model._repr_png_() is None


def test_a_notebook_that_is_not_trusted_shows_the_png_as_large_as_the_svg():
    data, shown = MODELS["MLP"]._repr_png_()
    pixels, size = plt.imread(io.BytesIO(data)), picture(MODELS["MLP"])
    assert shown == {"width": round(size.width), "height": round(size.height)}
    assert pixels.shape[:2] == pytest.approx((2 * size.height, 2 * size.width), abs=2)
    assert (pixels[0, :, :3] == 1).all() and pixels[..., :3].min() < 0.5
    before = plt.get_fignums()
    MODELS["MLP"]._repr_svg_()
    assert plt.get_fignums() == before


def test_draw_takes_any_model_that_says_its_vertices_and_edges():
    class Mine:
        def vertices_and_edges(self, values=False, x=None):
            return [Vertex("input", ["u"]), Vertex("layer", ["Mine"])], [(0, 1)]

    ax = draw(Mine())
    assert [patch.get_label() for patch in ax.patches if patch.get_label()] == ["u", "Mine"]
    plt.close(ax.figure)
    for other, name in ((Seq2Seq(7, 4, 5, rng=0), "Seq2Seq"), (3, "3")):
        with refused(TypeError, f"draw: … Sequential … Graph … {name}"):
            draw(other)


def test_blocks_bear_their_names():
    x = Input("x")
    model = Sequential(models.inception(4, (2, (2, 2), (2, 2), 2), rng=0), models.residual(8, 8, rng=0), Graph(x, ReLU()(x)))
    lines = [v.lines for v in model.vertices_and_edges()[0] if v.kind == "model"]
    assert [line[:2] for line in lines] == [["Inception", "14 layers"], ["Residual", "7 layers"], ["Graph", "1 layer"]]


def test_values_that_are_not_there_are_an_error():
    x = Input()
    for model in (MODELS["MLP"], Graph(x, Sin()(x)), board()):
        with refused(ValueError, f"{type(model).__name__}: values=True … Graph(..., trace=True)…"):
            model.to_svg(values=True)
