"""Random search: the same trials wherever they run, failures on record, a file to go on from."""
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

from chainrule.layers import ReLU
from chainrule.plotting import plot_search
from chainrule.training import Choice, LogUniform, Uniform, random_search
from tests.errors import refused
from tests.ranks import mpiexec

X = {"x": Uniform(0, 1)}
SPACE = {"lr": LogUniform(1e-4, 1.0), "units": Choice([8, 16, 32]), "p": Uniform(0.0, 0.5)}


def bowl(lr, units, p, rng):
    """Least at lr = 0.01; with noise, to see that a trial's generator is its own."""
    if units == 32:
        raise ValueError("too large")
    return np.float32(np.log10(lr / 0.01) ** 2 + p + 0.001 * rng.standard_normal())


def processes(n):
    return ProcessPoolExecutor(n, mp_context=multiprocessing.get_context("spawn"))


def bare(search):
    return [(trial.params, trial.value) for trial in search.trials]


def search(n=12, **options):
    return random_search(bowl, SPACE, n, **({"rng": 3} | options))


class TestTrials:
    def test_params_come_from_the_space(self):
        trials = random_search(lambda lr, units, p: 0, SPACE, 300, rng=0).trials
        lr, units, p = (np.array([trial.params[name] for trial in trials]) for name in SPACE)
        assert 1e-4 <= lr.min() < 2e-4 and 0.5 < lr.max() <= 1
        assert abs(np.mean(lr < 1e-2) - 0.5) < 0.08
        assert set(units) == {8, 16, 32}
        assert 0 <= p.min() and p.max() <= 0.5 and abs(p.mean() - 0.25) < 0.03

    @pytest.mark.parametrize("pool", [ThreadPoolExecutor, processes])
    def test_the_same_seed_gives_the_same_trials_on_any_executor(self, pool):
        here = search()
        with pool(2) as executor:
            there = search(executor=executor)
        assert bare(there) == bare(here)
        assert there.best.params == here.best.params

    def test_the_first_trials_of_more_are_those_of_fewer(self):
        assert bare(search(20))[:12] == bare(search(12))
        assert bare(search(12, rng=4)) != bare(search(12))

    def test_best_is_least_or_with_maximize_largest(self):
        values = [trial.value for trial in search().trials if trial.value is not None]
        assert search().best.value == min(values) < max(values) == search(maximize=True).best.value

    def test_a_failed_trial_is_recorded_and_stops_nothing(self):
        found = search()
        failed = [trial for trial in found.trials if trial.params["units"] == 32]
        assert 0 < len(failed) < 12
        for trial in found.trials:
            assert (trial.value is None) == (trial.error is not None) == (trial in failed)
            assert trial.error is None or trial.error.endswith("ValueError: too large\n")
            assert trial.error is None or "in bowl" in trial.error

    @pytest.mark.parametrize("value, last", [
        ("0.5", "TypeError: random_search: objective should return a number, got '0.5'"),
        (None, "TypeError: random_search: objective should return a number, got None"),
        ([1.0], "TypeError: random_search: objective should return a number, got [1.0]")])
    def test_what_is_not_a_number_is_a_failure(self, value, last):
        trial, = random_search(lambda lr: value, {"lr": Uniform(0, 1)}, 1).trials
        assert trial.value is None and trial.error.splitlines()[-1] == last

    def test_nan_is_never_best_and_a_search_without_any_number_says_so(self):
        found = random_search(lambda x: float("nan") if x < 0.5 else x, X, 20, rng=0)
        assert found.best.value == min(t.value for t in found.trials if t.value >= 0.5)
        assert np.isnan(found.ranked()[-1].value)
        with refused(RuntimeError, "random_search: … 2 trials … trials[0] … ZeroDivisionError: division by zero"):
            _ = random_search(lambda x: 1 / 0, X, 2).best


class TestTable:
    def test_text_best_first_failures_last(self):
        found = search()
        head, *rows = repr(found).splitlines()
        assert head.split() == ["trial", "lr", "units", "p", "value", "seconds"]
        assert found.trials[int(rows[0].split()[0])] is found.best
        values = [float(row.split()[4]) for row in rows if "too large" not in row]
        assert values == sorted(values) and rows[-1].endswith("ValueError: too large")
        assert len(rows) == 12

    def test_html_has_the_same_cells(self):
        found = search()
        table = ET.fromstring(found._repr_html_())
        assert [[cell.text or "" for cell in row] for row in table] == list(found.cells())

    def test_a_choice_of_classes_shows_their_names(self):
        assert " ReLU " in repr(random_search(lambda kind: 1, {"kind": Choice([ReLU])}, 1))

    def test_every_value_stays_in_its_row(self):
        found = random_search(lambda W: 1, {"W": Choice([np.eye(2)])}, 1)
        assert repr(found).splitlines()[1].startswith("0      array([[1., 0.], [0., 1.]])  1  ")


class TestFile:
    def test_a_search_goes_on_where_it_was_stopped(self, tmp_path):
        path, calls = tmp_path / "search.json", []

        def objective(lr, units, p, rng):
            if len(calls) == 5:
                raise KeyboardInterrupt
            calls.append(lr)
            return bowl(lr, units, p, rng)
        with pytest.raises(KeyboardInterrupt):
            random_search(objective, SPACE, 12, rng=3, checkpoint=path)
        assert len(json.loads(path.read_text())["random_search"]) == 5
        calls.append(None)
        found = random_search(objective, SPACE, 12, rng=3, checkpoint=path)
        assert len(calls) == 13 and bare(found) == bare(search())
        assert found.trials[0].seconds > 0
        before = path.read_bytes()
        assert bare(search(checkpoint=path)) == bare(found) and path.read_bytes() == before
        assert bare(search(15, checkpoint=path)) == bare(search(15))

    def test_without_a_seed_the_file_keeps_one(self, tmp_path):
        first = search(3, rng=None, checkpoint=tmp_path / "a.json")
        assert bare(search(5, rng=None, checkpoint=tmp_path / "a.json"))[:3] == bare(first)
        assert bare(search(3, rng=None, checkpoint=tmp_path / "b.json")) != bare(first)

    def test_another_search_and_another_file_are_refused(self, tmp_path):
        search(checkpoint=tmp_path / "a.json")
        with refused(ValueError, "random_search: … a.json … trial 0 … {'lr': … {'lr': …"):
            search(rng=4, checkpoint=tmp_path / "a.json")
        for text in "", "[1]", '{"random_search": 1, "seed": 1}', '{"loss": 1}':
            (tmp_path / "b.json").write_text(text)
            with refused(ValueError, "random_search: … b.json…"):
                search(checkpoint=tmp_path / "b.json")
            assert (tmp_path / "b.json").read_text() == text

    def test_a_path_that_cannot_be_written_is_found_before_the_first_trial(self, tmp_path):
        with refused(OSError, f"[Errno 2] random_search: … '{tmp_path / 'no' / 'a'}'"):
            random_search(lambda x: pytest.fail("it ran"), X, 1, checkpoint=tmp_path / "no" / "a")


def ends_its_worker(x):
    if x > 0.5:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


class TestExecutors:
    def test_a_broken_pool_is_said_and_what_ended_is_kept(self, tmp_path):
        path = tmp_path / "a.json"
        with processes(1) as pool, refused(RuntimeError, f"random_search: … executor … {path}"):
            random_search(ends_its_worker, X, 9, rng=0, executor=pool, checkpoint=path)
        drawn = [trial.params["x"] for trial in random_search(lambda x: x, X, 9, rng=0).trials]
        deadly = next(i for i, x in enumerate(drawn) if x > 0.5)
        kept = json.loads(path.read_text())["random_search"]
        assert list(kept) == [str(i) for i in range(deadly)]

    def test_a_function_that_cannot_be_sent_is_refused(self):
        with processes(1) as pool, refused(TypeError, "random_search: objective … def…"):
            random_search(lambda x: x, X, 3, executor=pool)

    def test_dask_with_a_worker_killed_in_the_middle(self, tmp_path):
        pytest.importorskip("distributed", reason="distributed is not installed (extra search)")
        (tmp_path / "job.py").write_text(DASK)
        done = subprocess.run([sys.executable, "-W", "ignore", "job.py"], cwd=tmp_path, text=True,
                              capture_output=True, timeout=120)
        assert done.returncode == 0, done.stderr
        killed, *values = json.loads(done.stdout.splitlines()[-1])
        assert killed
        assert values == [trial.value for trial in random_search(noisy, X, 12, rng=0).trials]

    def test_mpi(self, tmp_path):
        (tmp_path / "job.py").write_text(MPI)
        done = mpiexec(3, "-m", "mpi4py.futures", "job.py", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        ranks, *values = json.loads(done.stdout.splitlines()[-1])
        assert set(ranks) == {1, 2}
        assert values == [trial.value for trial in random_search(noisy, X, 12, rng=0).trials]


def noisy(x, rng):
    return x + rng.random()


DASK = """
import json, os, signal, threading, time
from distributed import Client
from chainrule.training import Uniform, random_search

def slow(x, rng):
    time.sleep(0.3)
    return x + rng.random()

def kill(client, killed):
    time.sleep(0.7)
    pid = next(iter(client.run(os.getpid).values()))
    os.kill(pid, signal.SIGKILL)
    killed.append(pid)

if __name__ == "__main__":
    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        killed = []
        thread = threading.Thread(target=kill, args=(client, killed))
        thread.start()
        found = random_search(slow, {"x": Uniform(0, 1)}, 12, rng=0, executor=client.get_executor())
        thread.join()
        print(json.dumps([killed[0], *(trial.value for trial in found.trials)]))
"""

MPI = """
import json
from mpi4py import MPI
from mpi4py.futures import MPIPoolExecutor
from chainrule.training import Uniform, random_search

def slow(x, rng):
    return x + rng.random()

def where(i):
    import time
    time.sleep(0.05)
    return MPI.COMM_WORLD.rank

if __name__ == "__main__":
    with MPIPoolExecutor() as executor:
        found = random_search(slow, {"x": Uniform(0, 1)}, 12, rng=0, executor=executor)
        ranks = sorted(set(executor.map(where, range(8))))
        print(json.dumps([ranks, *(trial.value for trial in found.trials)]))
"""


@pytest.mark.parametrize("kept", ["3", "[3]", '{"0": 3}', '{"0": {}}', '{"x": {"params": {}}}'])
def test_a_damaged_file_is_refused(tmp_path, kept):
    path = tmp_path / "s.json"
    path.write_text(f'{{"random_search": {kept}, "seed": null}}')
    with refused(ValueError, f"random_search: {path} does not hold a random search…"):
        search(checkpoint=path)


@pytest.mark.parametrize("change, error, message", [
    (dict(objective=3), TypeError, "random_search: objective should be a function, got 3"),
    (dict(n_trials=0), ValueError, "random_search: n_trials should be at least 1, got 0"),
    (dict(space={}), TypeError, "random_search: space should be a dict of at least one name, "
                                'got {}; as in {"lr": LogUniform(1e-4, 1e-1)}'),
    (dict(space={"lr": (0, 1)}), TypeError,
     "random_search: space['lr'] should be drawn, as by Choice or LogUniform, got (0, 1); "
     'as in {"lr": LogUniform(1e-4, 1e-1)}'),
    (dict(space={"rng": Uniform(0, 1)}), ValueError,
     "random_search: space should have names of arguments, other than rng, got 'rng'"),
    (dict(space=X), TypeError,
     "random_search: objective should take x and need no more, got bowl(lr, units, p, rng)"),
    (dict(executor=4), TypeError,
     "random_search: executor should be a concurrent.futures.Executor or None, got 4"),
    (dict(rng=-1), ValueError, "random_search: rng should be a numpy.random.Generator, "
                               "a seed (a whole number of at least 0) or None, got -1"),
])
def test_malformed_calls(change, error, message):
    call = dict(objective=bowl, space=SPACE, n_trials=1) | change
    with refused(error, message):
        random_search(**call)


@pytest.mark.parametrize("make, error, message", [
    (lambda: Choice([]), TypeError,
     "Choice: values should be a list of at least one value, got []; as in Choice([16, 32, 64])"),
    (lambda: Choice("a"), TypeError,
     "Choice: values should be a list of at least one value, got 'a'; as in Choice([16, 32, 64])"),
    (lambda: Uniform(1, 1), ValueError, "Uniform: high should be a number above low, got 1"),
    (lambda: Uniform(2, 1), ValueError, "Uniform: high should be a number above low, got 1"),
    (lambda: LogUniform(0, 1), ValueError, "LogUniform: low should be a positive number, got 0"),
])
def test_malformed_spaces(make, error, message):
    with refused(error, message):
        make()


def test_plot():
    from matplotlib import pyplot
    found = search()
    axes = plot_search(found)
    try:
        assert [ax.get_xlabel() for ax in axes] == list(SPACE)
        assert [ax.get_xscale() for ax in axes] == ["log", "linear", "linear"]
        lr, units, _ = ({line.get_label(): line for line in ax.get_lines()} for ax in axes)
        ended = [trial for trial in found.trials if trial.value is not None]
        points = [(trial.params["lr"], trial.value) for trial in ended]
        np.testing.assert_array_equal(lr["trials"].get_xydata(), points)
        assert lr["best"].get_xydata().tolist() == [[found.best.params["lr"], found.best.value]]
        assert len(lr["no number"].get_xdata()) == 12 - len(ended)
        assert [label.get_text() for label in axes[1].get_xticklabels()] == ["8", "16", "32"]
        assert np.round(units["no number"].get_xdata()).tolist() == [2] * (12 - len(ended))
    finally:
        pyplot.close("all")
