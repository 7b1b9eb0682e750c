"""The benchmarks measure equal work: the peers agree on the losses, and the command says so when they do not."""
import importlib
import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def bench():
    """bench(name) imports a file of this folder as run.py does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(HERE)
        yield importlib.import_module


def command(*arguments):
    return subprocess.run([sys.executable, HERE / "run.py", *arguments], capture_output=True, encoding="utf-8")


def train(bench, peer, workload, w, steps=10):
    bench(f"peer_{peer}")
    step = bench("workloads").PEERS[peer][workload](w)
    return [float(step()) for _ in range(steps)]


REDUCED = {"W1": {}, "W2": {"batch": 8}, "W3": {"batch": 8, "sizes": (1024, 256, 128, 10)},
           "W4": {"batch": 8}, "W5": {"batch": 2, "sizes": (32, 10)},
           "W6": {"vocabulary": 50, "dimension": 6, "hidden": 5, "steps": 7, "batch": 4},
           "W7": {"vocabulary": 10, "dimension": 8, "heads": 2, "steps": 6, "batch": 3},
           "W8": {"vocabulary": 30, "dimension": 6}, "W8s": {"vocabulary": 30, "dimension": 6}}


def test_every_workload_is_in_the_table_of_these_tests(bench):
    assert set(REDUCED) == set(bench("workloads").WORKLOADS)


@pytest.mark.parametrize("workload", REDUCED)
def test_chainrule_does_the_same_work_as_bare_numpy(bench, workload):
    w = bench("workloads").WORKLOADS[workload].make(**REDUCED[workload])
    np.testing.assert_allclose(train(bench, "chainrule", workload, w), train(bench, "numpy", workload, w), rtol=1e-4)


@pytest.mark.parametrize("workload", ["W1", "W2"])
def test_bare_numpy_follows_the_formulas(bench, workload):
    w = bench("workloads").WORKLOADS[workload].make(batch=8)
    x, t = w.batches[0]
    for i in range(0, len(w.params), 2):
        a = x @ w.params[i] + w.params[i + 1]
        x = 1 / (1 + np.exp(-a)) if w.activation == "Sigmoid" else np.maximum(a, 0)
    expected = np.mean(np.log(np.exp(a).sum(axis=1)) - a[np.arange(len(t)), t])
    losses = train(bench, "numpy", workload, w, steps=60)
    assert losses[0] == pytest.approx(expected, rel=1e-5)
    assert np.mean(losses[-8:]) < 0.98 * np.mean(losses[:8])


@pytest.mark.parametrize("workload", REDUCED)
def test_jax_does_the_same_work(bench, workload, monkeypatch):
    pytest.importorskip("jax", reason="JAX is not installed: no peer to compare with")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)       # by which the peer limits its process
    w = bench("workloads").WORKLOADS[workload].make(**REDUCED[workload])
    np.testing.assert_allclose(train(bench, "jax", workload, w, 4), train(bench, "numpy", workload, w, 4), rtol=1e-4)


def test_a_workload_is_the_same_at_every_call_and_left_as_it_was(bench):
    make = bench("workloads").WORKLOADS["W2"].make
    first, again = make(batch=8), make(batch=8)
    for peer in ["numpy", "chainrule"]:
        train(bench, peer, "W2", first, steps=2)
    for a, b in zip([*first.params, *sum(first.batches, ())], [*again.params, *sum(again.batches, ())], strict=True):
        np.testing.assert_array_equal(a, b)


def test_registering_adds_a_builder_under_the_name_of_its_file(bench, monkeypatch):
    workloads = bench("workloads")
    monkeypatch.delitem(workloads.PEERS, "mine", raising=False)

    def build(w):
        return None
    build.__module__ = "peer_mine"
    assert workloads.register("W1", "W3")(build) is build
    assert workloads.PEERS["mine"] == {"W1": build, "W3": build}


def test_one_command_prints_the_table_and_keeps_the_figures(bench, tmp_path):
    done = command("W1", "--peers", "numpy,chainrule", "--rounds", "3", "--block", "0.01", "--threads", "1",
                   "--blas", "haswell", "--json", tmp_path / "figures.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NumPy " + np.__version__ in done.stdout and "OPENBLAS_CORETYPE Haswell" in done.stdout
    rows = [line.split()[0] for line in done.stdout.splitlines() if line]
    assert rows[2:] == ["W1", "peer", "numpy", "chainrule"]
    results = json.loads((tmp_path / "figures.json").read_text())["workloads"]["W1"]
    assert len(results["chainrule"]["times"]) == 3
    losses = train(bench, "numpy", "W1", bench("workloads").WORKLOADS["W1"].make(), steps=24)
    for peer in ["chainrule", "numpy"]:
        assert results[peer]["losses"] == pytest.approx([losses[0], losses[23]], rel=1e-4)


@pytest.mark.parametrize("workload, count", {"W2": 12, "W4": 18, "W6": 8 + 2 * 7, "W7": 48, "W8": 3}.items())
def test_products_alone_are_those_of_the_step(bench, workload, count):
    peer, w = bench("peer_products"), bench("workloads").WORKLOADS[workload].make(**REDUCED[workload])
    assert len(peer.calls_of(bench("workloads").PEERS["numpy"][workload](w))) == count
    assert np.isnan(bench("workloads").PEERS["products"][workload](w)())


def test_products_that_cannot_be_seen_are_named_by_the_step(bench):
    bench("peer_products")
    step = bench("workloads").PEERS["numpy"]["W1"](bench("workloads").WORKLOADS["W1"].make())
    step.products()
    assert not bench("peer_products").calls_of(step)            # it calls .dot


def test_products_alone_are_made_again(bench):
    a, b, out = np.ones((2, 3)), np.ones((3, 4)), np.empty((2, 4))

    def step():
        np.matmul(a, b, out=out)
        return np.dot(out, b.T) + np.einsum("ij->i", a)[:, None]

    before = np.matmul
    calls = bench("peer_products").calls_of(step)
    a[...] = 2
    for call in calls:
        call()
    assert (out == 6).all() and len(calls) == 3 and np.matmul is before


def test_one_table_has_all_peers_at_one_thread_and_at_two(tmp_path):
    run = command("W1", "W2", "--table", "--peers", "chainrule:numpy,products,numpy", "--rounds", "1", "--block", "0.01",
                  "--json", tmp_path / "found.json")
    assert (run.returncode, run.stderr) == (0, "")
    lines = run.stdout.splitlines()
    assert lines[1].split() == ["over", "torch", "1", "thread", "2", "threads"]
    assert lines[2].split() == [":numpy", "products", "numpy"] * 2
    assert [line.split()[0] for line in lines[3:]] == ["W1", "W2"]
    assert [len(line.split()) for line in lines[3:]] == [7, 7]               # without torch each is nan
    found = json.loads((tmp_path / "found.json").read_text())["workloads"]
    assert set(found["W2"]) == {"1", "2"} and set(found["W2"]["2"]) == {"chainrule:numpy", "products", "numpy"}


def test_memory_is_that_of_a_step_built_anew(bench):
    worker, w = bench("worker"), bench("workloads").WORKLOADS["W3"].make(batch=8, sizes=(1024, 1024, 10))
    bench("peer_chainrule")

    def build():
        return bench("workloads").PEERS["chainrule"]["W3"](w)
    build()()
    step, most = worker.growth(build)
    assert np.isfinite(step())
    if sys.platform == "linux":                                # parameters, gradients and two states of 4 MiB each
        assert 15 < most < 24


def test_the_table_of_memory_has_medians_and_a_ratio(bench, monkeypatch):
    run, found = bench("run"), iter([1.0, 9.0, 2.0])
    monkeypatch.setattr(run, "measure", lambda *_: ({"chainrule": {"memory": next(found)}, "torch": {"memory": 4.0},
                                                     "numpy": {"memory": None}}, 0))
    _, line = run.memory_table(["W1"], ["chainrule", "numpy", "torch"], {}, 3)
    assert line.split() == ["W1", "2.0", "4.0", "0.50"]


@pytest.mark.parametrize("arguments, message", [
    (["W9"], "run.py: unknown workload 'W9'; there are W1, W2, W3, W4, W5, W6, W7, W8, W8s\n"),
    (["--peers", "numpy,tench"], "run.py: unknown peer 'tench'; there are chainrule, jax, numpy, products, torch\n"),
    (["--rounds", "0"], "run.py: argument --rounds: invalid positive int value: '0'\n"),
    (["--json", "nowhere/x.json"], "run.py: --json nowhere/x.json: the folder does not exist\n"),
])
def test_a_bad_argument_is_one_line_and_exit_code_2(arguments, message):
    done = command(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", message)


def result(*times, losses=(1.2, 0.9)):
    return {"times": list(times), "losses": list(losses), "memory": 1.0}


def test_losses_that_differ_are_named(bench):
    disagreements = bench("run").disagreements
    assert not list(disagreements({"numpy": result(1), "torch": result(1, losses=(1.2001, 0.9))}))
    for losses in [(1.2, 0.902), (1.2, float("nan"))]:
        (line,) = disagreements({"numpy": result(1), "torch": result(1, losses=losses)})
        assert line.startswith("torch does not do the work that numpy does") and "24th" in line


def test_losses_that_differ_fail_the_run(bench, monkeypatch, capsys):
    run = bench("run")
    for loss, code in (0.9, 0), (0.8, 1):
        peers = {"numpy": result(1), "torch": result(1, losses=(1.2, loss))}
        monkeypatch.setattr(run, "measure", lambda *_, peers=peers: (peers, 0))
        assert run.main(["W1"]) == code
        assert ("torch does not do the work" in capsys.readouterr().out) == (code == 1)


def test_a_verdict_compares_medians_with_the_target(bench):
    results = {"chainrule": result(1, 7, 99), "numpy": result(6.5, 6.5, 1), "torch": result(10, 10, 10)}
    assert list(bench("run").verdicts("W2", results, avx512=False)) == [
        "✓ chainrule takes 0.700 of torch's time, target 0.82", "✓ chainrule takes 1.077 of numpy's time, target 1.10"]
    assert list(bench("run").verdicts("W3", results, avx512=True)) == [
        "✗ chainrule takes 0.700 of torch's time, target 0.50", "✗ chainrule takes 1.077 of numpy's time, target 1.05"]
    del results["torch"]
    assert not list(bench("run").verdicts("W1", results, avx512=False))


def test_a_peer_that_dies_is_reported_with_its_last_words(bench):
    run = bench("run")
    env = run.environment("auto", threads=1)
    with ExitStack() as stack:
        with pytest.raises(RuntimeError, match="ModuleNotFoundError: No module named 'peer_nobody'"):
            run.Worker("nobody", "W1", env=env, stack=stack).ask()
        worker = run.Worker("numpy", "W1", env=env, stack=stack)
        assert len(worker.ask()["losses"]) == 2
        worker.process.kill()
        worker.process.wait()
        with pytest.raises(RuntimeError, match="exit code"):
            worker.ask("0.01\n")


def test_a_crash_leaves_the_other_peers_and_fails_the_run(bench, capsys):
    run = bench("run")
    results, crashed = run.measure("W1", ["nobody", "numpy"], run.environment("auto", threads=1), rounds=2, block=0.01)
    assert list(results) == ["numpy"] and len(results["numpy"]["times"]) == 2 and crashed == 1
    assert capsys.readouterr().out == "nobody crashed: ModuleNotFoundError: No module named 'peer_nobody'\n"


def test_a_missing_library_is_left_out_in_one_line(bench, monkeypatch, capsys, tmp_path):
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')\n")
    run = bench("run")
    env = run.environment("auto", threads=1) | {"PYTHONPATH": str(tmp_path)}
    assert run.measure("W1", ["torch"], env, rounds=1, block=0.01) == ({}, 0)
    assert capsys.readouterr().out == "torch left out: torch is not installed\n"
