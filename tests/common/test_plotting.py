"""Pictures: what is drawn, on which Axes, under which names."""
import io
import sys
from types import SimpleNamespace

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb

from chainrule import plotting
from chainrule.layers import Affine
from chainrule.models import Sequential
from chainrule.plotting import plot_attention, plot_confusion, plot_decision_boundary, plot_embedding, plot_history
from chainrule.plotting._style import COLORS
from chainrule.training import Uniform, random_search
from tests.errors import refused


@pytest.fixture(autouse=True)
def no_figure_is_left_open():
    assert not plt.get_fignums()
    yield
    plt.close("all")


def history(epochs=3, steps_per_epoch=4, names=("loss", "accuracy", "val_loss", "val_accuracy")):
    e, s = np.arange(1, epochs + 1), np.arange(1, epochs * steps_per_epoch + 1)
    return SimpleNamespace(
        epochs={"epoch": e.tolist(), **{name: (1 - 0.5**(e + i)).tolist() for i, name in enumerate(names)}},
        steps={"step": s.tolist(), "epoch": (s / steps_per_epoch).tolist(), "loss": (1 / s).tolist()})


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


class TestHistory:
    def test_a_panel_for_each_quantity_loss_first(self):
        axes = plot_history(history(names=("accuracy", "r2", "loss", "val_accuracy", "val_loss")))
        assert isinstance(axes, np.ndarray)
        assert axes.shape == (3,)
        assert [ax.get_title() for ax in axes] == ["Loss", "Accuracy", "R2"]
        assert [ax.get_ylabel() for ax in axes] == ["loss", "accuracy", "r2"]
        assert all(ax.get_xlabel() == "epoch" for ax in axes)
        assert labels(axes[0]) == ["train, each step", "train", "validation"]
        assert labels(axes[1]) == ["train", "validation"]
        assert labels(axes[2]) == ["train"]
        assert len(plt.get_fignums()) == 1

    def test_curves_hold_the_history(self):
        h = history()
        loss, accuracy = plot_history(h)
        steps, train, validation = loss.get_lines()
        np.testing.assert_array_equal(steps.get_xydata(), np.transpose([h.steps["epoch"], h.steps["loss"]]))
        np.testing.assert_array_equal(train.get_xydata(),                      # a mean over the epoch: in its middle
                                      np.transpose([np.array(h.epochs["epoch"]) - 0.5, h.epochs["loss"]]))
        np.testing.assert_array_equal(validation.get_ydata(), h.epochs["val_loss"])
        train, validation = accuracy.get_lines()
        np.testing.assert_array_equal(train.get_ydata(), h.epochs["accuracy"])
        np.testing.assert_array_equal(validation.get_ydata(), h.epochs["val_accuracy"])

    def test_curves_differ_without_colour_too(self):
        steps, train, validation = plot_history(history())[0].get_lines()
        assert (train.get_linestyle(), validation.get_linestyle()) == ("-", "--")
        assert train.get_marker() != validation.get_marker()
        assert train.get_color() != validation.get_color()
        assert steps.get_alpha() < 0.5

    def test_without_validation(self):
        axes = plot_history(history(names=("loss", "accuracy")))
        assert [len(ax.get_lines()) for ax in axes] == [2, 1]

    @pytest.mark.parametrize("epochs, marked", [(1, True), (20, True), (21, False), (300, False)])
    def test_markers_while_there_is_room(self, epochs, marked):
        axes = plot_history(history(epochs))
        axes[0].figure.canvas.draw()
        lines = [line for ax in axes for line in ax.get_lines() if "step" not in line.get_label()]
        assert {line.get_marker() not in ("None", None, "") for line in lines} == {marked}

    @pytest.mark.parametrize("epochs, step", [(1, 1), (2, 1), (45, 10), (300, 100)])
    def test_every_panel_spans_all_epochs_with_round_numbers(self, epochs, step):
        for ax in plot_history(history(epochs)):
            low, high = ax.get_xlim()
            assert -0.1 * epochs < low < 0
            assert epochs < high < 1.1 * epochs
            ticks = [tick for tick in ax.get_xticks() if low <= tick <= high]
            assert ticks == list(range(0, epochs + 1, step))

    def test_a_resumed_run_starts_where_it_started(self):
        h = history()
        h.epochs["epoch"] = [11, 12, 13]
        h.steps["epoch"] = (np.array(h.steps["epoch"]) + 10).tolist()
        low, high = plot_history(h)[0].get_xlim()
        assert 9.8 < low < 10
        assert 13 < high < 13.2

    def test_accuracy_reads_in_per_cent_and_never_above_a_hundred(self):
        h = history()
        h.epochs["accuracy"] = [0.5, 0.9, 1.0]
        accuracy = plot_history(h)[1]
        accuracy.figure.canvas.draw()
        low, high = accuracy.get_ylim()
        assert low < 0.5
        assert 1 < high < 1.02
        assert "90 %" in [tick.get_text().replace(".0", "") for tick in accuracy.get_yticklabels()]

    def test_long_runs_are_thinned_out(self):
        steps = plot_history(history(2, 30_000))[0].get_lines()[0]
        assert 2000 <= len(steps.get_xdata()) <= 5000
        assert steps.get_xdata()[-1] > 1.99

    @pytest.mark.parametrize("epochs", [{}, {"epoch": [], "loss": [], "val_loss": []}])
    def test_a_run_stopped_in_its_first_epoch_shows_its_steps(self, epochs):
        axes = plot_history(SimpleNamespace(epochs=epochs, steps=history(1).steps))
        assert [ax.get_title() for ax in axes] == ["Loss"]
        assert labels(axes[0]) == ["train, each step"]
        assert axes[0].get_xlim()[0] < 0 < 1 < axes[0].get_xlim()[1]

    def test_steps_may_be_missing(self):
        axes = plot_history(SimpleNamespace(epochs=history().epochs, steps={}))
        assert labels(axes[0]) == ["train", "validation"]

    def test_given_axes_are_used_and_no_figure_is_made(self):
        figure, axes = plt.subplots(2, 2)
        drawn = plot_history(history(), axes)
        assert list(drawn) == [axes[0, 0], axes[0, 1]]
        assert not axes[1, 0].get_lines()
        assert plt.get_fignums() == [figure.number]

    def test_one_axes_will_do_for_one_panel(self):
        _, ax = plt.subplots()
        assert plot_history(history(names=("loss",)), ax)[0] is ax

    def test_panels_wrap_after_three_and_leave_no_empty_one(self):
        axes = plot_history(history(names=("loss", "a", "b", "c")))
        assert len(axes) == len(axes[0].figure.axes) == 4
        assert axes[3].get_subplotspec().rowspan.start == 1

    @pytest.mark.parametrize("change, message", [
        (lambda h: h.epochs["loss"].pop(),
         "history.epochs … {'epoch': 3, 'loss': 2, 'accuracy': 3, 'val_loss': 3, 'val_accuracy': 3}"),
        (lambda h: h.steps["loss"].pop(), "history.steps … {'step': 12, 'epoch': 12, 'loss': 11}"),
        (lambda h: (h.epochs.clear(), h.steps.clear()), "history … none…"),
        (lambda h: (h.epochs.clear(), h.steps.update(step=[], epoch=[], loss=[])),
         "history … none…"),
    ])
    def test_errors(self, change, message):
        h = history()
        change(h)
        with refused(ValueError, f"plot_history: {message}"):
            plot_history(h)
        assert not plt.get_fignums()

    @pytest.mark.parametrize("wrong", [{"loss": [1, 2]}, None, SimpleNamespace(epochs={"epoch": [1]}, steps=None)])
    def test_what_is_no_history(self, wrong):
        with refused(TypeError, f"plot_history: history should have the dicts epochs and steps, got {type(wrong).__name__}; "
                                "Trainer.fit returns such a history"):
            plot_history(wrong)

    def test_too_few_axes(self):
        _, ax = plt.subplots()
        message = "plot_history: axes … 2 Axes … 1"
        with refused(ValueError, message):
            plot_history(history(), ax)


def nearest(x):
    """Class 0 left of 0, class 1 right of it."""
    return np.hstack([-x[:, :1], x[:, :1]])


X = np.array([[-1.0, 0.0], [-2.0, 1.0], [2.0, 3.0]])
T = np.array([0, 0, 1])


class TestDecisionBoundary:
    def test_regions_are_the_largest_score(self):
        """Three classes in three quarters of the plane, in an image whose rows go up."""
        def scores(x):
            return np.stack([np.zeros(len(x)), x[:, 0], x[:, 1]], axis=1)
        x = np.array([[-1.0, -1.0], [1.0, 0.5], [0.5, 1.0]])
        ax = plot_decision_boundary(scores, x, [0, 1, 2], resolution=4)
        tints = 1 - 0.4 * (1 - np.array([to_rgb(color) for color in COLORS[:3]]))
        distances = np.abs(np.asarray(ax.images[0].get_array())[:, :, None] - tints).max(axis=-1)
        shown = distances.argmin(axis=-1).tolist()
        assert distances.min(axis=-1).max() < 1e-12
        assert shown == [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 1, 1], [2, 2, 2, 1]]
        assert ax.images[0].origin == "lower"

    def test_the_border_runs_where_the_classes_meet(self):
        """Between the two columns of points on either side of it."""
        x = np.array([[-1.0, 0.0], [1.0, 1.0]])
        ax = plot_decision_boundary(lambda x: x[:, :1] - 0.75, x, [0, 1], resolution=6)
        np.testing.assert_allclose(ax.collections[0].get_paths()[0].vertices[:, 0], 0.8)

    def test_points_lie_in_the_picture_with_a_margin(self):
        ax = plot_decision_boundary(nearest, X, T)
        np.testing.assert_allclose(ax.get_xlim(), (-2.4, 2.4))
        np.testing.assert_allclose(ax.get_ylim(), (-0.3, 3.3))
        np.testing.assert_allclose(ax.images[0].get_extent(), (-2.4, 2.4, -0.3, 3.3))

    def test_points_are_coloured_by_their_true_class(self):
        ax = plot_decision_boundary(nearest, X, [1, 0, 1])
        first, second = ax.collections[-2:]
        np.testing.assert_array_equal(first.get_offsets(), X[[1]])
        np.testing.assert_array_equal(second.get_offsets(), X[[0, 2]])
        np.testing.assert_allclose(first.get_facecolor()[0, :3], to_rgb(COLORS[0]))
        np.testing.assert_allclose(second.get_facecolor()[0, :3], to_rgb(COLORS[1]))
        assert not np.array_equal(first.get_paths()[0].vertices, second.get_paths()[0].vertices)

    def test_axes_are_named_and_every_class_is_in_the_legend(self):
        ax = plot_decision_boundary(lambda x: np.tile([1.0, 0.0, 0.0], (len(x), 1)), X, T)
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("$x_1$", "$x_2$")
        assert labels(ax) == ["class 0", "class 1", "class 2"]
        ax.figure.canvas.draw()
        assert ax.get_legend().get_window_extent().x1 < ax.get_window_extent().x1

    def test_many_classes_leave_their_legend_outside(self):
        ax = plot_decision_boundary(lambda x: np.tile(np.arange(12.0), (len(x), 1)), X, T)
        ax.figure.canvas.draw()
        assert len(labels(ax)) == 12
        assert ax.get_legend().get_window_extent().x0 > ax.get_window_extent().x1
        assert ax.get_legend().get_window_extent().x1 <= ax.figure.bbox.x1
        looks = {(str(c.get_paths()[0].vertices), str(c.get_facecolor())) for c in ax.collections}
        assert len(looks) == 12

    def test_many_classes_stay_inside_axes_that_cannot_make_room(self):
        _, axes = plt.subplots(1, 2)
        ax = plot_decision_boundary(lambda x: np.tile(np.arange(10.0), (len(x), 1)), X, T, ax=axes[0])
        ax.figure.canvas.draw()
        assert ax.get_legend().get_window_extent().x1 < ax.get_window_extent().x1

    def test_predict_is_preferred_and_asked_in_the_dtype_of_x(self):
        asked = []

        class Model:
            def predict(self, x):
                asked.append((x.shape, x.dtype))
                return nearest(x)

            def __call__(self, x):
                raise RuntimeError("predict should have been asked")

        plot_decision_boundary(Model(), X.astype(np.float32), T, resolution=30)
        assert asked == [((900, 2), np.float32)]

    def test_a_single_column_is_a_binary_logit(self):
        two = plot_decision_boundary(nearest, X, T, resolution=20).images[0].get_array()
        one = plot_decision_boundary(lambda x: x[:, :1], X, T, resolution=20).images[0].get_array()
        np.testing.assert_array_equal(one, two)

    def test_one_hot_targets(self):
        ax = plot_decision_boundary(nearest, X, np.eye(2)[[1, 0, 1]])
        np.testing.assert_array_equal(ax.collections[-1].get_offsets(), X[[0, 2]])

    def test_a_given_axes_is_used_and_no_figure_is_made(self):
        figure, (left, right) = plt.subplots(1, 2)
        assert plot_decision_boundary(nearest, X, T, ax=right) is right
        assert not left.images
        assert plt.get_fignums() == [figure.number]

    def test_points_on_one_line_still_make_a_picture(self):
        ax = plot_decision_boundary(nearest, np.array([[1.0, 2.0], [3.0, 2.0]]), [0, 1])
        np.testing.assert_allclose(ax.get_ylim(), (1.5, 2.5))

    @pytest.mark.parametrize("model, x, t, error, message", [
        (nearest, np.zeros((3, 3)), T, ValueError, "x … (N, 2) … (3, 3)"),
        (nearest, np.zeros((0, 2)), [], ValueError, "x … shape (0, 2)"),
        (nearest, X.astype(int), T, TypeError, "x … int64 ndarray…"),
        (nearest, np.where(X == 3, np.nan, X), T, ValueError,
         "x … nan at index (2, 1)"),
        (nearest, X, [0, 1, 2], ValueError, "t … 0..1 … 2 at index 2"),
        (nearest, X, [0, 1], ValueError, "t … (3,) … (2,)"),
        (nearest, X, [0.0, 1.0, 1.0], TypeError, "t … float64…"),
        (lambda x: x[:, 0], X, T, ValueError,
         "model … (40000, classes) … (40000, 2) … (40000,)"),
        (lambda x: x[:9], X, T, ValueError, "model … (40000, classes) … (40000, 2) … (9, 2)"),
        (lambda x: x * np.nan, X, T, ValueError, "model … nan"),
        (3, X, T, TypeError, "model … 3"),
        (dict, X, T, TypeError, "model … <class 'dict'>"),
    ])
    def test_errors_come_before_a_figure(self, model, x, t, error, message):
        with refused(error, f"plot_decision_boundary: {message}"):
            plot_decision_boundary(model, x, t)
        assert not plt.get_fignums()

    @pytest.mark.parametrize("resolution, error, got", [
        (1, ValueError, "2 … 1"), (2.5, TypeError, "2.5")])
    def test_resolution_is_a_whole_number(self, resolution, error, got):
        with refused(error, f"plot_decision_boundary: resolution … {got}"):
            plot_decision_boundary(nearest, X, T, resolution=resolution)


DRAW = {
    "draw": lambda **ax: plotting.draw(Sequential(Affine.init(2, 3)), **ax),
    "plot_activations": lambda **ax: plotting.plot_activations(np.ones((2, 4, 4)), **ax),
    "plot_attention": lambda **ax: plot_attention(np.eye(2), **ax),
    "plot_confusion": lambda **ax: plot_confusion(np.eye(2, dtype=int), **ax),
    "plot_decision_boundary": lambda **ax: plot_decision_boundary(nearest, X, T, **ax),
    "plot_embedding": lambda **ax: plot_embedding(np.eye(2), ["a", "b"], **ax),
    "plot_filters": lambda **ax: plotting.plot_filters(np.ones((2, 1, 3, 3)), **ax),
    "plot_gradient_flow": lambda **ax: plotting.plot_gradient_flow(
        SimpleNamespace(params=[np.ones((2, 2))], grads=[np.ones((2, 2))]), **ax),
    "plot_history": lambda ax: plot_history(history(), axes=ax),
    "plot_search": lambda ax: plotting.plot_search(
        random_search(lambda lr: lr, {"lr": Uniform(0, 1)}, 2, rng=0), axes=ax),
    "slide": lambda ax: plotting.slide(lambda ax, value: None, [1, 2], axes=ax),
}


def test_every_function_is_in_the_table():
    assert sorted(DRAW) == plotting.__all__


@pytest.mark.parametrize("who", DRAW)
@pytest.mark.parametrize("wrong", [3, "ax", [None, 3]])
def test_what_are_no_axes(who, wrong):
    name = "axes" if who in ("plot_history", "plot_search", "slide") else "ax"
    with refused(TypeError, f"{who}: {name} should be Axes of matplotlib or None, got {wrong!r}; plt.subplots() makes them"):
        DRAW[who](ax=wrong)
    assert not plt.get_fignums()


class TestSlide:
    def test_without_a_notebook_it_is_a_still_picture(self):
        seen = []
        axes = plotting.slide(lambda ax, value: seen.append((ax, value)), "abc", start="b")
        assert [value for _, value in seen] == ["b"] and seen[0][0] is axes[0]
        panels = plotting.slide(lambda axes, value: seen.append((axes, value)), [1, 2], panels=2)
        assert seen[-1][1] == 2 and [ax in panels for ax in seen[-1][0]] == [True, True]

    def test_in_a_notebook_the_slider_paints_the_same_figure_anew(self, monkeypatch):
        sliders, shown, given = [], [], {}
        slider = SimpleNamespace(observe=lambda call, name: sliders.append((call, name)))
        monkeypatch.setattr("chainrule.training.live.in_notebook", lambda: True)
        widgets = SimpleNamespace(Layout=dict, SelectionSlider=lambda **options: given.update(options) or slider)
        monkeypatch.setitem(sys.modules, "ipywidgets", widgets)
        monkeypatch.setattr("IPython.display.display",
                            lambda what, **options: shown.append(what) or SimpleNamespace(update=shown.append))
        axes = plotting.slide(lambda ax, slope: ax.plot([0, 1], [0, slope]), [1, 2, 3], start=1)
        (moved, what), = sliders
        moved({"new": 2})
        assert what == "index" and shown == [axes[0].figure, slider, axes[0].figure]
        assert given["options"] == [("1", 0), ("2", 1), ("3", 2)] and given["index"] == 0
        assert [line.get_ydata().tolist() for line in axes[0].lines] == [[0, 3]]        # the line of slope 1 is gone

    @pytest.mark.parametrize("arguments, error, message", [
        ((3, [1]), TypeError, "paint should be a function of Axes and a value, got 3"),
        ((print, 3), TypeError, "values should be a list, got 3"),
        ((print, []), ValueError, "values should hold at least one, got none"),
        ((print, [1, 2], "", 3), ValueError, "start should be one of values, got 3")])
    def test_errors(self, arguments, error, message):
        with refused(error, f"slide: {message}"):
            plotting.slide(*arguments)
        assert not plt.get_fignums()


NAMES = ["$x^$", "$\\foo$"]


@pytest.mark.parametrize("draw, where", [
    (lambda: plot_attention(np.eye(2), NAMES), [lambda ax: ax.get_xticklabels(), lambda ax: ax.get_yticklabels()]),
    (lambda: plot_confusion(np.array([[3.0, 0], [2, 0]]), t=[0, 1], labels=NAMES, x=np.ones((2, 1, 4, 4))),
     [lambda ax: ax.get_xticklabels(), lambda ax: ax.get_yticklabels(), lambda ax: ax.child_axes[0].texts]),
    (lambda: plot_embedding(np.eye(2), NAMES), [lambda ax: ax.texts]),
    (lambda: plotting.plot_gradient_flow(SimpleNamespace(params=[np.ones((2, 2))] * 2, grads=[np.ones((2, 2))] * 2, names=NAMES)),
     [lambda ax: ax.get_xticklabels()]),
    (lambda: plot_history(SimpleNamespace(epochs={"epoch": [1], NAMES[0]: [1.0]}, steps={}))[0],
     [lambda ax: [ax.title], lambda ax: [ax.yaxis.label]]),
])
def test_a_dollar_in_a_name_is_no_formula(draw, where):
    ax = draw()
    ax.figure.savefig(io.BytesIO())
    for texts in where:
        assert any("$" in text.get_text() for text in texts(ax))
