"""The picture of an embedding: where the points are, and that each name belongs to one of them at a glance."""
from itertools import combinations

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.text import Text

from chainrule.plotting import plot_embedding
from tests.common.test_plotting_images import assert_nothing_is_cut_off
from tests.errors import refused

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def no_figure_is_left_open():
    assert not plt.get_fignums()
    yield
    plt.close("all")


def points(ax):
    return np.asarray(ax.collections[0].get_offsets())


def names(count):
    return [f"word{i}" for i in range(count)]


def lines(ax):
    """The lines that are seen, in pixels: one array (M, 2) of points along each."""
    found = {}
    for text in ax.texts:
        if text.arrow_patch is not None:
            path = text.arrow_patch.get_path().transformed(text.arrow_patch.get_transform())
            (x0, y0), (x1, y1) = path.vertices[0], path.vertices[-1]
            found[text] = np.linspace((x0, y0), (x1, y1), 200)
    return found


def assert_names_can_be_read(ax):
    """No name touches a name, a point or a line, or leaves the frame; no line touches another name's point or line; and
    names without one are beside a point."""
    ax.figure.draw_without_rendering()
    radius = np.sqrt(ax.collections[0].get_sizes()[0]) / 2 * ax.figure.dpi / 72
    at, seen, frame = ax.transData.transform(points(ax)), lines(ax), ax.get_window_extent()
    boxes = {text: Text.get_window_extent(text) for text in ax.texts}
    for text, box in boxes.items():
        assert frame.x0 < box.x0 < box.x1 < frame.x1
        assert frame.y0 < box.y0 < box.y1 < frame.y1
        gaps = np.linalg.norm(np.maximum(np.maximum(box.p0 - at, at - box.p1), 0), axis=1)
        assert gaps.min() > radius
        assert text in seen or gaps.min() < 8 * ax.figure.dpi / 72
        for other, line in seen.items():
            assert other is text or not ((box.p0 < line) & (line < box.p1)).all(axis=1).any()
    gap = 5 * ax.figure.dpi / 72
    assert not any(a.padded(gap, 0).overlaps(b) for a, b in combinations(boxes.values(), 2))
    for text, line in seen.items():
        own = ax.transData.transform(text.xy)
        others = at[np.linalg.norm(at - own, axis=1) > 9 * ax.figure.dpi / 72]
        assert (np.linalg.norm(line[:, None] - others, axis=-1) > radius).all()
    for a, b in combinations(seen.values(), 2):
        sides = [np.sign(np.linalg.det(np.stack([p[-1] - p[0], q[end] - p[0]]))) for p, q in ((a, b), (b, a)) for end in (0, -1)]
        assert sides[0] == sides[1] or sides[2] == sides[3]


class TestPoints:
    def test_two_columns_are_shown_as_they_are(self):
        x = RNG.normal(size=(5, 2))
        ax = plot_embedding(x, names(5))
        np.testing.assert_array_equal(points(ax), x)
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("$x_1$", "$x_2$")

    def test_a_plane_in_space_keeps_its_distances(self):
        plane = RNG.normal(size=(8, 2)) * (3, 1)
        Q = np.linalg.qr(RNG.normal(size=(6, 6)))[0]
        shown = points(plot_embedding(plane @ Q[:2] + 5, names(8)))
        distances = [np.linalg.norm(x[:, None] - x, axis=-1) for x in (plane, shown)]
        np.testing.assert_allclose(*distances, atol=1e-12)

    def test_the_axes_are_the_directions_of_most_variance(self):
        x = (RNG.normal(size=(50, 4)) * (1, 4, 2, 0.5)).astype(np.float32)
        ax = plot_embedding(x, names(50))
        variances, directions = np.linalg.eigh(np.cov(x.T.astype(float)))
        for i, label in enumerate((ax.get_xlabel(), ax.get_ylabel())):
            axis = directions[:, -1 - i] * np.sign(directions[np.abs(directions[:, -1 - i]).argmax(), -1 - i])
            np.testing.assert_allclose(points(ax)[:, i], (x - x.mean(axis=0)) @ axis, atol=1e-5)
            share = 100 * variances[-1 - i] / variances.sum()
            assert label == f"principal component {i + 1} ({share:.0f} % of the variance)"

    def test_both_axes_have_one_scale(self):
        ax = plot_embedding(RNG.normal(size=(9, 3)) * (9, 1, 1), names(9))
        ax.figure.draw_without_rendering()
        (across, up), = np.diff(ax.transData.transform([[0, 0], [1, 1]]), axis=0)
        assert across == pytest.approx(up, rel=0.01)                # a layout rounds

    @pytest.mark.parametrize("x", [np.ones((1, 5)), np.ones((3, 5)), np.array([[1.0, 2, 3], [3, 2, 1]])])
    def test_points_without_two_dimensions(self, x):
        shown = points(plot_embedding(x, names(len(x))))
        assert shown.shape == (len(x), 2)
        np.testing.assert_allclose(shown[:, 1], 0, atol=1e-12)


class TestNames:
    @pytest.mark.parametrize("scale", [(1, 1), (1, 0.02)], ids=["cloud", "stripe"])
    @pytest.mark.parametrize("count", [2, 20, 80])
    def test_names_can_be_read(self, scale, count):
        x = np.random.default_rng(count).standard_t(3, size=(count, 2)) * scale
        ax = plot_embedding(x, [f"{'_' * (i % 9)}w{i}" for i in range(count)])
        assert len(ax.texts) >= min(count / 2, 10)
        assert_names_can_be_read(ax)

    @pytest.mark.parametrize("dpi", [40, 300])
    def test_small_and_fine_figures(self, dpi):
        _, axes = plt.subplots(1, 2, figsize=(9, 3.5), dpi=dpi)
        plot_embedding(RNG.normal(size=(30, 2)), names(30), axes[0])
        plot_embedding(RNG.normal(size=(30, 5)), names(30), axes[1])
        for ax in axes:
            assert len(ax.texts) > 15
            assert_names_can_be_read(ax)

    def test_names_belong_to_their_points(self):
        x = RNG.normal(size=(40, 2))
        ax = plot_embedding(x, names(40))
        assert len(ax.texts) > 35
        for text in ax.texts:
            np.testing.assert_array_equal(text.xy, x[int(text.get_text()[4:])])

    def test_lines_are_as_short_as_they_can_be(self):
        x = np.array([[0.0, 0], [0, 0], [0, 0], [0, 0], [0, 0], [0, 0], [0, 0], [-9, 9], [9, -9]])
        ax = plot_embedding(x, [*names(7), "", ""])
        ax.figure.draw_without_rendering()
        lengths = [np.ptp(line, axis=0).max() * 72 / ax.figure.dpi for line in lines(ax).values()]
        assert 0 < min(lengths) < 12

    def test_where_there_is_room_names_stand_right_beside_their_points_without_a_line(self):
        x = np.stack(np.meshgrid([0, 1, 2], [0, 1, 2]), axis=-1).reshape(-1, 2).astype(float)
        ax = plot_embedding(x, names(9))
        ax.figure.draw_without_rendering()
        assert not lines(ax)
        for text, (across, up) in zip(sorted(ax.texts, key=lambda t: t.get_text()), ax.transData.transform(x)):
            box = Text.get_window_extent(text)
            assert 0 < box.x0 - across < 10
            assert box.y0 < up < box.y1

    def test_what_finds_no_place_is_left_out_and_counted(self):
        x = np.zeros((300, 2))
        x[:2] = (-9, 0), (9, 0)
        ax = plot_embedding(x, names(300))
        assert {"word0", "word1"} < {text.get_text() for text in ax.texts}
        assert ax.get_title() == f"300 points, {300 - len(ax.texts)} without their names"
        assert 5 < len(ax.texts) < 300
        assert_names_can_be_read(ax)

    def test_where_points_crowd_names_choose_first(self):
        ring = 9 * np.exp(1j * np.arange(6))
        x = np.concatenate([ring.view(float).reshape(-1, 2), np.array([[0, 0], [0, 0.5], [0.5, 0]])])
        chosen = [text.get_text() for text in plot_embedding(x, names(9)).texts]
        assert set(chosen[:3]) == {"word6", "word7", "word8"}

    def test_of_equals_the_first_gets_the_best_place(self):
        x = np.array([[0.0, 0], [0, 0], [-9, 9], [9, -9]])
        for words in ("ab", "ba"):
            first, second = plot_embedding(x, [*words, "", ""]).texts
            assert first.get_text() + second.get_text() == words
            assert first.get_position()[0] > 0 > second.get_position()[0]

    def test_empty_names_are_not_written(self):
        ax = plot_embedding(RNG.normal(size=(3, 2)), ["a", "", "b"])
        assert {text.get_text() for text in ax.texts} == {"a", "b"}
        assert ax.get_title() == "3 points"
        assert len(points(ax)) == 3

    def test_names_are_no_formulas(self):
        ax = plot_embedding(np.eye(2), ["$x", "_$^$"])
        ax.figure.draw_without_rendering()
        assert {text.get_text() for text in ax.texts} == {"$x", "_$^$"}
        assert not any(text.get_parse_math() for text in ax.texts)

    def test_names_need_not_be_strings(self):
        assert {text.get_text() for text in plot_embedding(np.eye(3), range(3)).texts} == set("012")


def test_nothing_is_changed():
    x = RNG.normal(size=(6, 4))
    before = x.copy()
    plot_embedding(x, names(6))
    np.testing.assert_array_equal(x, before)


def test_a_new_figure_and_a_given_axes():
    ax = plot_embedding(RNG.normal(size=(9, 4)), names(9))
    assert plt.get_fignums() == [ax.figure.number]
    assert_nothing_is_cut_off(ax)
    figure, (left, right) = plt.subplots(1, 2)
    assert plot_embedding(RNG.normal(size=(9, 4)), names(9), left) is left
    assert figure.axes == [left, right]
    assert not right.has_data()


@pytest.mark.parametrize("x, words, error, message", [
    (np.ones(3), names(3), ValueError, "vectors … shape (V, D) … (3,)"),
    (np.ones((3, 1)), names(3), ValueError, "vectors … two columns or more … shape (3, 1)"),
    (np.ones((0, 2)), [], ValueError, "vectors … empty … shape (0, 2)"),
    (np.array([[1.0, np.inf]]), ["a"], ValueError, "vectors … finite numbers only … inf at index (0, 1)"),
    (np.ones((3, 2)), names(2), ValueError, "names should name the 3 rows of vectors … 2 names"),
    (np.ones((3, 2)), "abc", ValueError, "names should name the 3 rows of vectors … 1 names"),
    (np.ones((3, 2)), None, TypeError, "names should name the 3 rows of vectors … None"),
    (np.ones((3, 2), int), names(3), TypeError,
     "vectors … an array of floats … int64 ndarray; cast it first, for instance vectors.astype(np.float32)"),
])
def test_errors_come_before_a_figure(x, words, error, message):
    with refused(error, f"plot_embedding: {message}"):
        plot_embedding(x, words)
    assert not plt.get_fignums()
