"""Pictures of filters, feature maps, confusions and gradients: what is drawn, where, under which names."""
from types import SimpleNamespace

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb

from chainrule.layers import Affine, Convolution, MultiHeadAttention, ReLU, Sigmoid, SoftmaxWithLoss
from chainrule.models import Sequential
from chainrule.plotting import plot_activations, plot_attention, plot_confusion, plot_filters, plot_gradient_flow
from chainrule.plotting._style import best_columns
from tests.errors import refused

RNG = np.random.default_rng(0)
AFFINE = "the weights (C KH KW, F) of an Affine on flat images are W.T.reshape(F, C, KH, KW)"


@pytest.fixture(autouse=True)
def no_figure_is_left_open():
    assert not plt.get_fignums()
    yield
    plt.close("all")


def texts(ax):
    return [text.get_text() for text in ax.texts]


def ticks(axis):
    return [text.get_text() for text in axis.get_ticklabels()]


def corners(ax):
    """The top left corner of each image."""
    return [(image.get_extent()[0], image.get_extent()[3]) for image in ax.images]


def assert_nothing_is_cut_off(ax):
    """Drawn twice, as a notebook does: a layout may move things."""
    for _ in range(2):
        ax.figure.draw_without_rendering()
        box = ax.figure.get_tightbbox()
        width, height = ax.figure.get_size_inches()
        assert box.x0 > -0.02
        assert box.y0 > -0.02
        assert box.x1 < width + 0.02
        assert box.y1 < height + 0.02


def assert_captions_touch_nothing(ax):
    ax.figure.draw_without_rendering()
    boxes = [artist.get_window_extent() for artist in (*ax.texts, *ax.images)]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


class TestFilters:
    def test_one_channel_is_grey_around_zero(self):
        W = RNG.normal(size=(6, 1, 3, 2))
        W[4, 0, 1, 1] = -7
        ax = plot_filters(W)
        assert len(ax.images) == 6
        for image, filter in zip(ax.images, W):
            np.testing.assert_array_equal(image.get_array(), filter[0])
            assert (image.get_cmap().name, image.get_clim()) == ("gray", (-7, 7))
        np.testing.assert_allclose(ax.images[0].to_rgba([0.0])[0, :3], 0.5, atol=0.01)
        assert texts(ax) == list("012345")
        assert ax.get_title() == "6 filters"
        assert ticks(ax.xaxis) == ticks(ax.yaxis) == []

    def test_tiles_run_row_by_row_and_stand_apart(self):
        """Six squares make two rows of three, the second below the first."""
        ax = plot_filters(np.ones((6, 1, 5, 5)))
        places = np.array(corners(ax)).reshape(2, 3, 2)
        assert np.ptp(places[:, :, 0], axis=0).tolist() == [0, 0, 0]
        assert np.ptp(places[:, :, 1], axis=1).tolist() == [0, 0]
        assert (np.diff(places[0, :, 0]) > 5).all()
        assert places[1, 0, 1] - places[0, 0, 1] > 5
        bottom, top = ax.get_ylim()
        assert bottom > top
        assert bottom > places[1, 0, 1] + 5
        assert ax.get_xlim()[1] >= places[0, 2, 0] + 5

    def test_rows_of_an_image_run_downwards(self):
        left, right, bottom, top = plot_filters(np.ones((1, 1, 2, 3))).images[0].get_extent()
        assert (right - left, bottom - top) == (3, 2)

    def test_three_channels_are_colours_around_grey(self):
        W = np.zeros((2, 3, 1, 2))
        W[0, 0, 0, 1], W[1, 2, 0, 0] = 4, -2
        ax = plot_filters(W)
        np.testing.assert_array_equal(ax.images[0].get_array(), [[[0.5, 0.5, 0.5], [1, 0.5, 0.5]]])
        np.testing.assert_array_equal(ax.images[1].get_array(), [[[0.5, 0.5, 0.25], [0.5, 0.5, 0.5]]])
        assert not ax.child_axes

    def test_more_channels_are_a_row_for_each_filter(self):
        W = RNG.normal(size=(3, 4, 2, 2))
        ax = plot_filters(W)
        for image, channel in zip(ax.images, W.reshape(12, 2, 2), strict=True):
            np.testing.assert_array_equal(image.get_array(), channel)
        assert (ticks(ax.xaxis), ticks(ax.yaxis)) == (list("0123"), list("012"))
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("channel", "filter")
        assert ax.get_title() == "3 filters, 4 channels"
        np.testing.assert_allclose(ax.get_xticks(), [x + 1 for x, _ in corners(ax)[:4]])
        np.testing.assert_allclose(ax.get_yticks(), [y + 1 for _, y in corners(ax)[::4]])

    def test_of_many_the_first_are_shown_and_the_title_says_so(self):
        assert plot_filters(RNG.normal(size=(9, 1, 2, 2)), most=4).get_title() == "4 of 9 filters"
        W = RNG.normal(size=(9, 5, 2, 2))
        ax = plot_filters(W, most=6)
        assert ax.get_title() == "2 of 9 filters, 2 of 5 channels"
        np.testing.assert_array_equal([image.get_array() for image in ax.images], W[:2, :2].reshape(4, 2, 2))

    def test_the_scale_counts_what_is_not_shown(self):
        assert plot_filters(np.array([1.0, -3.0]).reshape(2, 1, 1, 1), most=1).images[0].get_clim() == (-3, 3)

    def test_a_layer_and_a_model_give_their_first_parameter(self):
        layer = Convolution.init(1, 2, 3, rng=0)
        for source in (layer, Sequential(layer, ReLU())):
            np.testing.assert_array_equal(plot_filters(source).images[1].get_array(), layer.params[0][1, 0])

    def test_whole_numbers_and_zeros_will_do(self):
        assert plot_filters([[[[-1, 0, 1]]]]).images[0].get_clim() == (-1, 1)
        assert plot_filters(np.zeros((1, 1, 2, 2))).images[0].get_clim() == (-1, 1)

    def test_nothing_is_changed(self):
        W = RNG.normal(size=(2, 3, 2, 2))
        before = W.copy()
        plot_filters(W)
        np.testing.assert_array_equal(W, before)

    @pytest.mark.parametrize("W, most, error, message", [
        (np.ones((3, 2)), 64, ValueError, "W … shape (F, C, KH, KW) … (3, 2); " + AFFINE),
        (Affine.init(3, 2), 64, ValueError, "W … shape (F, C, KH, KW) … (3, 2); " + AFFINE),
        (ReLU(), 64, ValueError, "W … an array or a layer that has one … ReLU without"),
        (np.ones((2, 0, 3, 3)), 64, ValueError, "W … empty … shape (2, 0, 3, 3)"),
        ("filters", 64, TypeError, "W … an array of floats … <U7 str"),
        (np.full((1, 1, 1, 1), np.nan), 64, ValueError,
         "W … finite numbers only … nan at index (0, 0, 0, 0)"),
        (np.ones((1, 1, 1, 1)), 0, ValueError, "most … at least 1 … 0"),
    ])
    def test_errors_come_before_a_figure(self, W, most, error, message):
        with refused(error, f"plot_filters: {message}"):
            plot_filters(W, most=most)
        assert not plt.get_fignums()


class TestActivations:
    def test_maps_stand_under_the_numbers_of_their_channels(self):
        y = RNG.normal(size=(5, 4, 3))
        ax = plot_activations(y)
        for image, channel in zip(ax.images, y, strict=True):
            np.testing.assert_array_equal(image.get_array(), channel)
        assert texts(ax) == list("01234")
        assert ax.get_title() == "5 channels"
        for text, (x, top) in zip(ax.texts, corners(ax), strict=True):
            assert text.get_position()[0] == x + 1.5
            assert text.get_position()[1] < top

    def test_signs_decide_on_the_colours_and_all_maps_share_them(self):
        y = RNG.normal(size=(3, 2, 2))
        y[1, 0, 0] = 9
        for maps, look in ((y, ("RdBu_r", (-9, 9))), (np.abs(y), ("magma", (0, 9)))):
            assert {(i.get_cmap().name, i.get_clim()) for i in plot_activations(maps).images} == {look}
        assert plot_activations(np.zeros((1, 2, 2))).images[0].get_clim() == (0, 1)

    def test_the_scale_stands_beside_the_picture_as_high_as_that(self):
        ax = plot_activations(RNG.normal(size=(6, 4, 4)))
        ax.figure.draw_without_rendering()
        picture, bar = ax.get_window_extent(), ax.child_axes[0].get_window_extent()
        np.testing.assert_allclose((bar.y0, bar.y1), (picture.y0, picture.y1))
        assert picture.x1 < bar.x0 < picture.x1 + 30
        assert ax.get_anchor() == "W"

    @pytest.mark.parametrize("shape", [(1, 5, 5), (30, 8, 8), (12, 2, 9), (12, 9, 2)])
    def test_captions_touch_nothing(self, shape):
        assert_captions_touch_nothing(plot_activations(np.ones(shape)))
        _, axes = plt.subplots(2, 2)
        assert_captions_touch_nothing(plot_activations(np.ones(shape), axes[0, 0]))

    def test_a_sample_of_a_batch(self):
        y = RNG.normal(size=(4, 2, 3, 3))
        ax = plot_activations(y, sample=2)
        np.testing.assert_array_equal([image.get_array() for image in ax.images], y[2])
        assert ax.get_title() == "Sample 2: 2 channels"
        np.testing.assert_array_equal(plot_activations(y).images[0].get_array(), y[0, 0])

    def test_of_many_the_first_are_shown_and_the_title_says_so(self):
        ax = plot_activations(np.ones((9, 2, 2)), most=4)
        assert (len(ax.images), ax.get_title()) == (4, "4 of 9 channels")

    @pytest.mark.parametrize("y, options, error, message", [
        (np.ones((3, 4)), {}, ValueError, "y … shape (N, C, H, W) … (3, 4)"),
        (ReLU(), {}, TypeError, "y … an array, the output of a layer … ReLU; layer.forward(x) gives one"),
        (np.ones((2, 1, 3, 3)), {"sample": 2}, ValueError, "sample … in 0..1 … 2"),
        (np.ones((2, 3, 3)), {"sample": 1}, ValueError, "sample … in 0..0 … 1"),
        (np.ones((2, 3, 3)), {"sample": -1}, ValueError, "sample … at least 0 … -1"),
        (np.ones((2, 3, 3)), {"most": 1.5}, TypeError, "most … a whole number … 1.5"),
        (np.full((1, 1, 1), np.inf), {}, ValueError,
         "y … finite numbers only … inf at index (0, 0, 0)"),
    ])
    def test_errors_come_before_a_figure(self, y, options, error, message):
        with refused(error, f"plot_activations: {message}"):
            plot_activations(y, **options)
        assert not plt.get_fignums()


MATRIX = np.array([[50, 3, 0], [1, 40, 0], [0, 9, 0]])

# Three classes; samples 1, 2 and 4 are wrong, with the largest score 2, 6 and 4 above the others.
Y = np.array([[5.0, 0, 0], [0, 2, 0], [0, 0, 6], [0, 9, 0], [4, 0, 0]])
T = np.array([0, 2, 1, 1, 1])
X = np.linspace(0, 1, 5)[:, None, None, None] * np.ones((5, 1, 2, 3))


class TestConfusion:
    def test_rows_are_true_and_columns_predicted_with_counts(self):
        ax = plot_confusion(MATRIX)
        counts = {text.get_position(): int(text.get_text()) for text in ax.texts}
        assert counts == {(0, 0): 50, (1, 0): 3, (0, 1): 1, (1, 1): 40, (1, 2): 9, (2, 2): 0}
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted", "true")
        assert ax.get_ylim() == (2.5, -0.5)
        assert ax.get_title() == "13 of 103 wrong (accuracy 87.4 %)"

    def test_the_diagonal_does_not_drown_the_errors(self):
        image = plot_confusion(MATRIX).images[0]
        assert image.get_clim() == (0, 9)
        shown = image.to_rgba(image.get_array())[..., :3]
        np.testing.assert_allclose(shown[np.eye(3, dtype=bool)], [to_rgb("#d3e5f3")] * 3, atol=1e-9)
        brightness = shown.mean(axis=-1)
        assert brightness[2, 1] < brightness[0, 1] < brightness[1, 0] < brightness[0, 2]

    def test_counts_can_be_read_on_their_cells(self):
        ax = plot_confusion(MATRIX)
        image = ax.images[0]
        shown = image.to_rgba(image.get_array())[..., :3].mean(axis=-1)
        for text in ax.texts:
            j, i = text.get_position()
            assert abs(np.mean(to_rgb(text.get_color())) - shown[i, j]) > 0.4

    def test_scores_and_targets_are_counted(self):
        ax = plot_confusion(Y, T)
        assert {text.get_position(): text.get_text() for text in ax.texts} == {
            (0, 0): "1", (0, 1): "1", (1, 1): "1", (2, 1): "1", (1, 2): "1", (2, 2): "0"}
        assert texts(plot_confusion(Y, np.eye(3)[T])) == texts(ax)

    def test_names_of_classes(self):
        ax = plot_confusion(MATRIX, labels=["cat", "dog", "axolotl"])
        assert ticks(ax.xaxis) == ticks(ax.yaxis) == ["cat", "dog", "axolotl"]
        assert ax.get_xticklabels()[0].get_rotation() == 45
        assert plot_confusion(MATRIX).get_xticklabels()[0].get_rotation() == 0

    def test_many_classes_have_a_colour_bar_in_place_of_counts(self):
        ax = plot_confusion(np.eye(100, dtype=int) + np.eye(100, k=1, dtype=int))
        assert not ax.texts
        assert len(ax.child_axes) == 1
        assert ticks(ax.xaxis)[:3] == ["0", "5", "10"]

    def test_the_surest_errors_come_first(self):
        ax = plot_confusion(Y, T, labels="abc", x=X)
        samples, = ax.child_axes
        p = [100 / (1 + 2 * np.exp(-score)) for score in (6, 4, 2)]
        assert texts(samples) == [f"b → c\n{p[0]:.0f} %", f"b → a\n{p[1]:.0f} %", f"c → b\n{p[2]:.0f} %"]
        np.testing.assert_array_equal([image.get_array() for image in samples.images], X[[2, 4, 1], 0])
        assert texts(plot_confusion(Y, T, x=X, most=1).child_axes[0]) == ["1 → 2\n100 %"]

    def test_probabilities_are_taken_as_they_are(self):
        y = np.array([[0.2, 0.8], [0.9, 0.1]])
        samples, = plot_confusion(y, np.array([0, 1]), x=X[:2]).child_axes
        assert texts(samples) == ["1 → 0\n90 %", "0 → 1\n80 %"]

    def test_a_binary_logit(self):
        samples, = plot_confusion(np.array([[1.0], [-2.0]]), np.array([[0], [0]]), x=X[:2]).child_axes
        assert texts(samples) == ["0 → 1\n73 %"]

    def test_colour_images_and_images_outside_0_to_1(self):
        x = RNG.normal(size=(5, 3, 2, 2))
        samples, = plot_confusion(Y, T, x=x).child_axes
        shown = np.array([image.get_array() for image in samples.images])
        wrong = x[[2, 4, 1]].transpose(0, 2, 3, 1)
        np.testing.assert_allclose(shown, (wrong - wrong.min()) / np.ptp(wrong))
        flat, = plot_confusion(Y, T, x=np.full((5, 1, 2, 2), 7)).child_axes
        assert np.isfinite(flat.images[0].get_array()).all()

    def test_no_error_at_all(self):
        samples, = plot_confusion(Y, Y.argmax(axis=1), x=X).child_axes
        assert (texts(samples), len(samples.images)) == (["none"], 0)

    @pytest.mark.parametrize("most", [1, 2, 6, 11])
    def test_samples_stand_to_the_right_and_captions_do_not_touch(self, most):
        y = np.roll(np.eye(12), 1, axis=0) * 3
        names = [f"class number {i}" for i in range(12)]
        ax = plot_confusion(y, np.arange(12), labels=names, x=RNG.random((12, 1, 4, 4)), most=most)
        samples, = ax.child_axes
        assert_captions_touch_nothing(samples)
        assert samples.get_window_extent().x0 > ax.get_window_extent().x1

    @pytest.mark.parametrize("arguments, error, message", [
        ({"y_or_matrix": np.ones((3, 2))}, ValueError,
         "matrix … square, (classes, classes) … (3, 2); of scores y, pass the targets t too"),
        ({"y_or_matrix": [[1, -1], [0, 2]]}, ValueError,
         "matrix … counts: whole numbers, none negative, not all 0 … -1 to 2"),
        ({"y_or_matrix": [[0.5, 0.5], [0, 1]]}, ValueError,
         "matrix … counts: whole numbers, none negative, not all 0 … 0 to 1"),
        ({"y_or_matrix": [[0, 0], [0, 0]]}, ValueError,
         "matrix … counts: whole numbers, none negative, not all 0 … 0 to 0"),
        ({"y_or_matrix": MATRIX, "x": X}, ValueError,
         "x needs the scores y and the targets t of its samples … only counts"),
        ({"y_or_matrix": Y.argmax(axis=1), "t": T}, ValueError, f"y … scores (N, C) … shape {T.shape}; "
         "pass what the model gives, not its argmax, and the targets t after it"),
        ({"y_or_matrix": MATRIX, "labels": ["a"]}, ValueError,
         "labels should name the 3 classes … 1 names"),
        ({"y_or_matrix": MATRIX, "labels": 3}, TypeError, "labels should name the 3 classes … 3"),
        ({"y_or_matrix": Y, "t": [0, 1, 2, 3, 0]}, ValueError,
         "t … labels in 0..2 … 3 at index 3"),
        ({"y_or_matrix": np.where(Y == 9, np.nan, Y), "t": T}, ValueError,
         "y … finite numbers only … nan at index (3, 1)"),
        ({"y_or_matrix": Y, "t": T, "x": X[:4]}, ValueError,
         "x … shape (5, 1 or 3, H, W) … (4, 1, 2, 3)"),
        ({"y_or_matrix": Y, "t": T, "x": np.ones((5, 2, 4, 4))}, ValueError,
         "x … images of 1 or 3 channels … 2"),
        ({"y_or_matrix": Y, "t": T, "x": X, "most": 0}, ValueError, "most … at least 1 … 0"),
    ])
    def test_errors_come_before_a_figure(self, arguments, error, message):
        with refused(error, f"plot_confusion: {message}"):
            plot_confusion(**arguments)
        assert not plt.get_fignums()


def parameters(*pairs, **more):
    """A model whose parameter i is filled with one number and its gradient with another."""
    return SimpleNamespace(params=[np.full(shape, p) for shape, p, _ in pairs],
                           grads=[np.full(shape, g) for shape, _, g in pairs], **more)


def curves(ax):
    return {line.get_label(): line.get_xydata().tolist() for line in ax.get_lines()}


class TestGradientFlow:
    def test_means_and_ratios_of_weights_and_biases(self):
        model = parameters(((2, 3), 2.0, -0.5), ((3,), -0.1, 0.2), ((3, 1), -4.0, 0.8))
        model.grads[0][0] = 0.1
        ax = plot_gradient_flow(model)
        expected = {"|gradient|": [[0, 0.3], [2, 0.8]], "|gradient|, biases": [[1, 0.2]],
                    "|gradient| / |weight|": [[0, 0.15], [2, 0.2]],
                    "|gradient| / |weight|, biases": [[1, 2.0]]}
        found = curves(ax)
        assert list(found) == list(expected)
        for label in expected:
            np.testing.assert_allclose(found[label], expected[label])
        assert ax.get_yscale() == "log"
        assert all((ax.get_title(), ax.get_xlabel(), ax.get_ylabel()))

    def test_series_differ_without_colour_too(self):
        model = parameters(((2, 2), 1.0, 1.0), ((2,), 1.0, 1.0))
        lines = plot_gradient_flow(model).get_lines()
        looks = {(line.get_marker(), line.get_markerfacecolor() == "white") for line in lines}
        assert len(looks) == 4

    def test_names_come_from_the_model_or_from_the_places(self):
        layers = Affine.init(4, 3, rng=0), Sigmoid(), Affine.init(3, 2, rng=1)
        model = Sequential(*layers, loss=SoftmaxWithLoss())
        model.forward(RNG.normal(size=(5, 4)), RNG.integers(2, size=5))
        model.backward()
        ax = plot_gradient_flow(model)
        assert ticks(ax.xaxis) == ["0.W", "0.b", "2.W", "2.b"]
        np.testing.assert_allclose(curves(ax)["|gradient|"][1], [2, np.abs(model.grads[2]).mean()], rtol=1e-6)
        ax = plot_gradient_flow(parameters(((2,), 1.0, 1.0), ((2,), 1.0, 1.0)))
        assert ticks(ax.xaxis) == ["params[0]", "params[1]"]

    def test_zeros_have_no_place_on_a_log_axis(self):
        model = parameters(((2, 2), 1.0, 0.0), ((2,), 0.0, 0.1), ((2, 2), 1.0, 0.1))
        ax = plot_gradient_flow(model)
        found = curves(ax)
        assert found["gradient is zero"] == [[0, 0]]
        assert "|gradient| / |weight|, biases" not in found
        assert np.isnan(found["|gradient|"][0][1])
        assert ax.get_lines()[-1].get_transform() == ax.get_xaxis_transform()

    def test_many_arrays_thin_out_their_names(self):
        ax = plot_gradient_flow(parameters(*[((2, 2), 1.0, 1.0)] * 161))
        assert ticks(ax.xaxis) == [f"params[{i}]" for i in range(0, 161, 3)]
        assert ax.get_xticks().tolist() == list(range(0, 161, 3))
        assert ax.figure.get_size_inches()[0] <= 14
        assert ax.get_xticklabels()[0].get_rotation() == 90

    def test_the_legend_covers_no_marker(self):
        ax = plot_gradient_flow(parameters(*[((2, 2), 1.0, 0.3), ((2,), 1.0, 0.4)] * 3))
        ax.figure.draw_without_rendering()
        legend = ax.get_legend().get_window_extent()
        for line in ax.get_lines():
            assert (line.get_transform().transform(line.get_xydata())[:, 1] < legend.y0).all()

    @pytest.mark.parametrize("model, error, message", [
        (parameters(((2,), 1.0, 0.0)), RuntimeError,
         "all gradients are zero; call forward(x, t) and backward() first"),
        (parameters(((2,), 1.0, 0.1), ((1, 1), 1.0, np.nan), names=["W", "b"]), ValueError,
         "the gradient of b … finite numbers only … nan at index (0, 0)"),
        (parameters(), ValueError, "model … parameters … none"),
        (np.ones(3), TypeError, "model … params and grads … ndarray"),
    ])
    def test_errors_come_before_a_figure(self, model, error, message):
        with refused(error, f"plot_gradient_flow: {message}"):
            plot_gradient_flow(model)
        assert not plt.get_fignums()


def attention(*shape):
    """Weights as behind a softmax."""
    weights = np.exp(3 * RNG.normal(size=shape))
    return weights / weights.sum(axis=-1, keepdims=True)


class TestAttention:
    def test_a_row_for_each_query_and_a_column_for_each_key(self):
        weights = attention(2, 3)
        ax = plot_attention(weights, queries=["le", "chat"], keys=["the", "black", "cat"])
        np.testing.assert_array_equal(ax.images[0].get_array(), weights)
        assert (ticks(ax.yaxis), ticks(ax.xaxis)) == (["le", "chat"], ["the", "black", "cat"])
        assert (ax.get_yticks().tolist(), ax.get_xticks().tolist()) == ([0, 1], [0, 1, 2])
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("key", "query")
        bottom, top = ax.get_ylim()
        assert bottom > top

    def test_the_scale_is_0_to_1_whatever_the_weights(self):
        ax = plot_attention(np.full((2, 5), 0.2))
        assert ax.images[0].get_clim() == (0, 1)
        assert len(ax.child_axes) == 1
        pale, dark = ax.images[0].to_rgba([0.0, 1.0])[:, :3].mean(axis=1)
        assert pale > 0.95 and dark < 0.4

    def test_names_are_characters_with_blanks_made_visible_or_numbers(self):
        ax = plot_attention(attention(2, 4), queries="ab", keys="a \n\t")
        assert (ticks(ax.yaxis), ticks(ax.xaxis)) == (["a", "b"], ["a", "␣", "↵", "→"])
        ax = plot_attention(attention(2, 3))
        assert (ticks(ax.yaxis), ticks(ax.xaxis)) == (["0", "1"], ["0", "1", "2"])

    def test_self_attention_needs_its_tokens_once(self):
        assert ticks(plot_attention(attention(3, 3), "abc").xaxis) == ["a", "b", "c"]
        assert ticks(plot_attention(attention(3, 3), "abc", "xyz").xaxis) == ["x", "y", "z"]
        assert ticks(plot_attention(attention(3, 2), "abc").xaxis) == ["0", "1"]

    def test_heads_have_a_panel_each_and_share_one_scale(self):
        layer = MultiHeadAttention.init(8, heads=4, rng=0)
        layer.forward(RNG.normal(size=(2, 3, 8)))
        panels = plot_attention(layer.weights[1], "abc")
        assert [panel.get_title() for panel in panels] == ["head 0", "head 1", "head 2", "head 3"]
        for panel, head in zip(panels, layer.weights[1], strict=True):
            np.testing.assert_array_equal(panel.images[0].get_array(), head)
            assert ticks(panel.xaxis) == ticks(panel.yaxis) == ["a", "b", "c"]
        assert [len(panel.child_axes) for panel in panels] == [0, 0, 0, 1]

    def test_draws_where_it_is_told(self):
        figure, axes = plt.subplots(2, 2)
        assert plot_attention(attention(2, 2), ax=axes[0, 1]) is axes[0, 1]
        panels = plot_attention(attention(3, 2, 2), ax=axes)
        assert list(panels) == list(axes.ravel()[:3])
        assert not axes[1, 1].images
        assert plt.get_fignums() == [figure.number]

    def test_long_names_stand_upright(self):
        rotations = [plot_attention(attention(2, 2), keys=keys).get_xticklabels()[0].get_rotation()
                     for keys in (["ab", "c"], ["abc", "d"])]
        assert rotations == [0, 90]

    def test_of_many_names_some_are_left_out_at_equal_steps(self):
        _, axes = plt.subplots(1, 2, figsize=(5, 3))
        ax = plot_attention(attention(90, 90), "abc" * 30, ax=axes[0])
        for axis in (ax.xaxis, ax.yaxis):
            step, = set(np.diff(axis.get_ticklocs()))
            assert step > 1
            assert ticks(axis) == ["abc"[int(i) % 3] for i in axis.get_ticklocs()]

    @pytest.mark.parametrize("Tq, Tk, names", [(10, 29, None), (64, 64, None), (1, 1, None), (3, 40, "x"),
                                               (6, 5, "a long name of a key")])
    def test_nothing_is_cut_off_and_no_names_touch(self, Tq, Tk, names):
        ax = plot_attention(attention(Tq, Tk), keys=names and [names] * Tk)
        assert_nothing_is_cut_off(ax)
        for axis in (ax.xaxis, ax.yaxis):
            boxes = [text.get_window_extent() for text in axis.get_ticklabels()]
            assert not any(a.overlaps(b) for a, b in zip(boxes, boxes[1:]))

    @pytest.mark.parametrize("weights, options, error, message", [
        (np.ones(3), {}, ValueError, "weights … shape (Tq, Tk), or (heads, Tq, Tk) for the heads of one sample, "
                                     "got (3,)"),
        (np.ones((1, 2, 3, 4)), {}, ValueError, "weights … shape (Tq, Tk), or (heads, Tq, Tk) for the heads of one "
                                                "sample … (1, 2, 3, 4); one sample of a batch is weights[0]"),
        (np.ones((2, 3)), {"queries": 4}, TypeError,
         "queries should name 2 tokens, one for each row of weights … 4"),
        ("ab", {}, TypeError, "weights … an array of floats … <U2 str"),
        (np.array([[0.5, np.nan]]), {}, ValueError, "weights … finite numbers only … nan at index (0, 1)"),
        (np.array([[0.5, -2.0]]), {}, ValueError, "weights … in 0..1 … -2 to 0.5 … softmax"),
        (np.array([[0.5, 1.5]]), {}, ValueError, "weights … in 0..1 … 0.5 to 1.5 … softmax"),
        (np.ones((2, 3)), {"queries": "abc"}, ValueError,
         "queries should name 2 tokens, one for each row of weights … 3 names"),
        (np.ones((2, 3)), {"keys": "ab"}, ValueError,
         "keys should name 3 tokens, one for each column of weights … 2 names"),
    ])
    def test_errors_come_before_a_figure(self, weights, options, error, message):
        with refused(error, f"plot_attention: {message}"):
            plot_attention(weights, **options)
        assert not plt.get_fignums()

    def test_too_few_axes(self):
        _, axes = plt.subplots(1, 2)
        with refused(ValueError, "plot_attention: ax … 3 Axes, one for each head of one sample … 2"):
            plot_attention(attention(3, 2, 2), ax=axes)
        assert not axes[0].images


DRAWINGS = {
    "one filter": lambda ax=None: plot_filters(RNG.normal(size=(1, 1, 5, 5)), ax),
    "filters": lambda ax=None: plot_filters(RNG.normal(size=(16, 1, 5, 5)), ax),
    "filters in colour": lambda ax=None: plot_filters(RNG.normal(size=(6, 3, 3, 3)), ax),
    "filters of many channels": lambda ax=None: plot_filters(RNG.normal(size=(8, 6, 5, 5)), ax),
    "wide filters": lambda ax=None: plot_filters(RNG.normal(size=(2, 2, 1, 9)), ax),
    "activations": lambda ax=None: plot_activations(100 * RNG.normal(size=(6, 8, 8)), ax),
    "few activations": lambda ax=None: plot_activations(3.6 * np.cos(np.arange(384)).reshape(6, 8, 8), ax),
    "high activations": lambda ax=None: plot_activations(RNG.random((3, 20, 2)), ax),
    "confusion": lambda ax=None: plot_confusion(MATRIX, ax=ax, labels=["cat", "dog", "axolotl"]),
    "confusion with samples": lambda ax=None: plot_confusion(Y, T, ax, x=X),
    "gradient flow": lambda ax=None: plot_gradient_flow(parameters(*[((2, 2), 1.0, 0.1)] * 12), ax),
    "attention": lambda ax=None: plot_attention(attention(3, 5), "abc", [f"word {i}" for i in range(5)], ax),
}


@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS)
def test_a_new_figure_shows_everything(draw):
    ax = draw()
    assert plt.get_fignums() == [ax.figure.number]
    assert_nothing_is_cut_off(ax)


@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS)
def test_a_given_axes_is_used_and_its_neighbour_left_alone(draw):
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    before = right.get_position().bounds
    assert draw(left) is left
    assert plt.get_fignums() == [figure.number]
    assert figure.axes == [left, right]
    assert not right.has_data()
    assert right.get_position().bounds == before


def test_tiles_are_about_half_as_wide_again_as_high_with_a_full_last_row():
    assert [best_columns(count, 8, 8) for count in (1, 6, 7, 16, 32, 64)] == [1, 3, 4, 4, 8, 8]
