"""The record of a training: columns that grow, files, several in one plot, live curves."""
import copy
import pickle
import sys
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot as plt

from chainrule.layers import Affine, SoftmaxWithLoss
from chainrule.models import Sequential
from chainrule.optimizers import SGD
from chainrule.plotting import plot_history
from chainrule.training import History, LivePlot, Trainer
from chainrule.training.column import Column
from tests.errors import refused

X = np.random.default_rng(0).standard_normal((12, 4))
T = np.arange(12) % 3


def trainer(**options):
    model = Sequential(Affine.init(4, 3, rng=0), loss=SoftmaxWithLoss())
    return Trainer(model, SGD(0.1), **options)


def trained(epochs=2, **options):
    one = trainer()
    one.fit(X, T, epochs=epochs, batch_size=4, rng=0, progress=False, **options)
    return one.history


numbers = st.lists(st.integers(-2**63, 2**63 - 1) | st.floats(allow_nan=False))


class TestColumn:
    @given(numbers, numbers, st.integers(-9, 9), st.integers(-9, 9))
    def test_it_is_a_list_of_numbers(self, a, b, i, j):
        column, listed = Column(a), list(a)
        column.extend(b)
        listed += b
        if any(isinstance(value, float) for value in listed):
            listed = [float(value) for value in listed]
        assert column == listed == list(column) and listed == column
        assert column != [*listed, 1]
        assert column[i:j] == listed[i:j] and type(column[i:j]) is list
        assert repr(column) == repr(listed) and len(column) == len(listed)
        assert column + [1] == [*listed, 1] and [1] + column == [1, *listed]
        assert copy.deepcopy(column) == pickle.loads(pickle.dumps(column)) == listed
        np.testing.assert_array_equal(np.asarray(column, float), np.array(listed, float))
        if listed:
            assert column[-1] == listed[-1] and max(column) == max(listed)
            assert type(column[-1]) is type(listed[-1])

    def test_it_changes_as_a_list_does(self):
        column = Column([1, 2, 3, 4])
        assert column.pop() == 4 and column == [1, 2, 3]
        column[0] = 0.5
        column.insert(1, 7)
        del column[2]
        column[1:] = [9, 8]
        assert column == [0.5, 9, 8]
        column.append(None)
        column.append(np.float32(2))
        np.testing.assert_array_equal(column, [0.5, 9, 8, np.nan, 2])
        with pytest.raises((TypeError, ValueError)):
            column.append("one")
        with pytest.raises(IndexError):
            column[9]

    def test_it_grows_while_an_array_of_it_lives(self):
        column = Column([0.5])
        array = np.asarray(column)
        column.append(1.5)
        assert array.tolist() == [0.5] and column == [0.5, 1.5]

    def test_large_whole_numbers(self):
        assert Column([1, 2**70]) == [1.0, 2.0**70]


def test_a_value_takes_eight_bytes():
    history, n = History(), 20_000
    tracemalloc.start()
    try:
        with history.in_epoch(1):
            for k in range(n):
                history.add_step(step=k + 1, loss=1 / (k + 1), lr=0.1)
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held < 4 * n * 8 * 1.15
    assert history.steps["step"][-1] == n and history.steps["epoch"][-1] == 1


def test_a_table_that_a_spreadsheet_saved_is_read(tmp_path):
    path = tmp_path / "h.csv"
    path.write_bytes("\ufeffepoch,loss\r\n1,0.5\r\n".encode())
    assert History.load(path)["loss"] == [0.5]


def test_columns_stay_equally_long():
    history = History()
    history.add_epoch(epoch=1, loss=0.5)
    history.add_epoch(epoch=2, loss=0.4, val_loss=0.6)
    history.add_epoch(epoch=3, loss=0.3)
    np.testing.assert_array_equal(history["val_loss"], [np.nan, 0.6, np.nan])
    for epoch, names in enumerate((("loss",), ("loss", "grad_norm"), ("loss",)), 1):
        with history.in_epoch(epoch):
            for step in range(2):
                history.add_step(step=step, **dict.fromkeys(names, 1.0))
    assert [len(column) for column in history.steps.values()] == [6] * 4
    assert np.isnan(history.steps["grad_norm"]).tolist() == [True] * 2 + [False] * 2 + [True] * 2


class TestFiles:
    @pytest.mark.parametrize("per", ["epoch", "step"])
    def test_what_was_written_is_read(self, tmp_path, per):
        history = trained(3, validation_split=0.25, max_grad_norm=1.0)
        history.to_csv(tmp_path / "history.csv", per=per)
        again = History.load(tmp_path / "history.csv")
        expected = History()
        setattr(expected, f"{per}s", getattr(history, f"{per}s"))
        assert repr([again.epochs, again.steps]) == repr([expected.epochs, expected.steps])
        plt.close(again.plot()[0].figure)

    def test_values_that_are_not_finite_and_no_rows(self, tmp_path):
        history = History()
        history.to_csv(tmp_path / "empty.csv")
        assert History.load(tmp_path / "empty.csv").epochs == {}
        for loss in np.nan, -np.inf, 1e-300:
            history.add_epoch(epoch=len(history) + 1, loss=loss)
        history.to_csv(tmp_path / "history.csv")
        again = History.load(tmp_path / "history.csv")
        np.testing.assert_array_equal(again["loss"], history["loss"])

    @pytest.mark.parametrize("text", [
        b"", b"a,b\n1,2\n", b"epoch,loss\n1\n", b"epoch,loss\n1,x\n", b"\xff\xfe\n",
        b"epoch,epoch\n1,1\n", b"epoch,loss\n1,2,3\n", b"\x89PNG\r\n\x1a\n\x00"])
    def test_other_files_are_refused_by_name(self, tmp_path, text):
        (tmp_path / "other.csv").write_bytes(text)
        with refused(ValueError, "History.load: … other.csv … History.to_csv…"):
            History.load(tmp_path / "other.csv")

    def test_no_file(self, tmp_path):
        with refused(FileNotFoundError, "[Errno 2] History.load: … nowhere.csv'"):
            History.load(tmp_path / "nowhere.csv")


class TestSeveralInOnePlot:
    @pytest.fixture(autouse=True)
    def close(self):
        yield
        plt.close("all")

    def labels(self, panel):
        return [text.get_text() for text in panel.get_legend().get_texts()]

    def test_each_has_its_colour_and_its_name(self):
        one, two = trained(3, validation_data=(X, T)), trained(5)
        axes = plot_history({"SGD": one, "Adam": two})
        assert [ax.get_title() for ax in axes] == ["Loss", "Accuracy"]
        assert self.labels(axes[0]) == ["SGD", "SGD, validation", "Adam"]
        sgd, validation, adam = axes[0].get_lines()
        assert sgd.get_color() == validation.get_color() != adam.get_color()
        assert (sgd.get_linestyle(), validation.get_linestyle()) == ("-", "--")
        np.testing.assert_array_equal(adam.get_ydata(), two["loss"])
        assert axes[0].get_xlim()[1] > 5
        assert self.labels(plot_history([one, two])[0]) == ["run 1", "run 1, validation", "run 2"]

    def test_one_that_was_stopped_and_one_with_more_metrics(self):
        stopped = SimpleNamespace(epochs={}, steps=trained(1).steps)
        axes = plot_history({"a": trained(2), "b": stopped})
        assert self.labels(axes[0]) == ["a", "b, each step"] and self.labels(axes[1]) == ["a"]

    @pytest.mark.parametrize("several", [{}, [], {"a": 3}, [None]])
    def test_what_is_no_history(self, several):
        with refused(TypeError, "plot_history: history … epochs and steps…"):
            plot_history(several)


class TestLivePlot:
    def test_curves_grow_after_each_epoch(self):
        _, axes = plt.subplots(1, 2)
        live, lengths = LivePlot(axes), []

        def length(trainer):
            lengths.append([len(line.get_xdata()) for line in axes[0].get_lines()])
        trainer().fit(X, T, epochs=3, batch_size=4, callbacks=[live, length], progress=False)
        assert lengths == [[3, 1], [6, 2], [9, 3]]
        assert list(live.axes) == list(axes)
        plt.close("all")

    def test_in_a_notebook_one_figure_grows_in_place(self, monkeypatch):
        shown = []

        def note(what, figure):
            shown.append((what, len(figure.axes[0].get_lines()[1].get_xdata())))

        def display(figure, display_id):
            note("new", figure)
            return SimpleNamespace(update=lambda figure: note("update", figure))
        ipython = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=1))
        monkeypatch.setitem(sys.modules, "IPython", ipython)
        monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))
        live, one = LivePlot(), trainer()
        one.fit(X, T, epochs=3, callbacks=[live], progress=False)
        one.fit(X, T, epochs=1, callbacks=[live], progress=False)
        assert shown == [("new", 1), ("update", 2), ("update", 3), ("new", 1)]
        assert not plt.get_fignums()                            # or the cell shows it once more


@pytest.mark.slow
def test_in_a_real_notebook():
    import nbformat
    from nbclient import NotebookClient
    code = """
import numpy as np
from chainrule.models import MLP
from chainrule.optimizers import SGD
from chainrule.training import LivePlot, Trainer
x, t = np.ones((8, 4)), np.arange(8) % 3
Trainer(MLP([4, 3]), SGD(0.1)).fit(x, t, epochs=3, callbacks=[LivePlot()], progress=False);"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    NotebookClient(notebook, timeout=120).execute()
    assert [o.output_type for o in notebook.cells[0].outputs] == ["display_data"]
    assert "image/png" in notebook.cells[0].outputs[0].data
