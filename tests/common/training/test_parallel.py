"""Data parallel training: on 2 and 4 ranks of MPI what one process does with the whole batch."""
import csv
import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest

from chainrule.layers import BatchNorm
from chainrule.training import Trainer
from tests.errors import refused
from tests.ranks import mpiexec

PROGRAM = Path(__file__).with_name("on_ranks.py")
spec = importlib.util.spec_from_file_location("on_ranks", PROGRAM)
on_ranks = importlib.util.module_from_spec(spec)
spec.loader.exec_module(on_ranks)


def run(case, n, folder, **options):
    """What rank 0 answers, and how the program ended."""
    done = mpiexec(n, PROGRAM, case, folder / "answer", **options)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "answer").read_text()), done


@pytest.fixture(scope="module", params=[2, 4])
def shared(request, tmp_path_factory):
    return run("same", request.param, tmp_path_factory.mktemp("ranks"))[0]


@pytest.mark.parametrize("name", on_ranks.SAME)
def test_the_steps_of_one_process_with_the_whole_batch(shared, name):
    """Some shares are unequal, some have no rows: batches have 5 rows, the last of an epoch 2."""
    alone = on_ranks.answer(on_ranks.train(name, seed=0))
    for mine, theirs in zip(alone["params"], shared[name]["params"], strict=True):
        np.testing.assert_allclose(theirs, mine, rtol=1e-6, atol=1e-9)
    for table in "epochs", "steps":
        assert list(alone[table]) == list(shared[name][table])
        for key, column in alone[table].items():
            np.testing.assert_allclose(shared[name][table][key], column, rtol=1e-6, err_msg=key)


@pytest.mark.parametrize("n", [2, 4])
def test_running_statistics_are_averaged(n, tmp_path):
    mean, var = run("statistics", n, tmp_path)[0]
    model = on_ranks.network(0, BatchNorm.init(8, dtype=np.float64))
    y = model.layers[0].forward(on_ranks.X)[np.random.default_rng(0).permutation(22)]
    shares = np.array_split(y, n)
    average = sum(len(share) * share.var(axis=0, ddof=1) for share in shares) / 22
    np.testing.assert_allclose(mean, 0.1 * y.mean(axis=0))
    np.testing.assert_allclose(var, 0.9 + 0.1 * average)


def test_each_rank_drops_units_of_its_own(tmp_path):
    first, second = run("dropout", 2, tmp_path)[0]
    assert len({*first, *second}) == 4


def test_a_checkpoint_goes_on_on_all_ranks_bit_for_bit(tmp_path):
    """Every rank drops units of its own and counts its own rows, before the break and after it."""
    whole, midway, at_the_end = run("resumed", 2, tmp_path)[0]
    assert midway == at_the_end == whole
    assert whole[0] == whole[1]


def test_a_checkpoint_goes_on_on_another_number_of_ranks_between_epochs(tmp_path):
    first, second = run("other_number", 2, tmp_path)[0]
    assert first[:3] == second[:3] == [4, 4, "this Sequential: number of ranks is 1 in this "
                                       "trainer, 2 in the file"]
    assert first[3] != second[3]                                 # each drops units of its own


def test_rank_0_decides_when_to_stop_and_shows_the_bar(tmp_path):
    epochs, done = run("stop", 2, tmp_path)
    assert epochs == [2, 2]
    assert done.stderr.count("epoch 2/9:  22%") >= 1 and "epoch 3/9" not in done.stderr
    assert done.stderr.count("epoch 1/9:  11%") == 1


def test_a_loss_that_is_not_finite_ends_in_the_same_error_everywhere(tmp_path):
    first, second = run("nan", 2, tmp_path)[0]
    assert first.startswith("Trainer.fit: the loss became nan in epoch 1, batch 1; try a smaller ")
    assert "batch 1 in epoch 1 should hold finite numbers only" in second


def test_a_gradient_that_is_not_finite_ends_in_the_same_error_everywhere(tmp_path):
    first, second = run("gradient", 2, tmp_path)[0]
    assert first == second
    assert first.startswith("Trainer.fit: step 1 has a gradient that is not finite, the gradient "
                            "of 0.W: layer 0 (Affine). ")


def test_ctrl_c_stops_all_ranks_after_the_same_step(tmp_path):
    assert run("interrupted", 2, tmp_path)[0] == [[1, 5], [1, 5]]


def test_models_that_differ_are_refused(tmp_path):
    first, second = run("different", 2, tmp_path)[0]
    assert first == second == ("Trainer.fit: model should be the same on every rank, got shapes "
                               "[(3, 4), (4,)] on rank 0; shapes [(3, 5), (5,)] on rank 1")


@pytest.mark.parametrize("n", [2, 4])
@pytest.mark.parametrize("case, sentence", [
    ("killed", "KILLED BY SIGNAL: 9|signal 9|Killed"),
    ("failing", "fit: rank 1 of .* failed, which ends all of them: OSError: the disk is full")])
def test_a_rank_that_is_lost_ends_all_with_a_sentence(case, sentence, n, tmp_path):
    done = mpiexec(n, PROGRAM, case, tmp_path / "answer", seconds=60)
    assert done.returncode
    assert re.search(sentence, done.stdout + done.stderr)
    assert not (tmp_path / "answer").exists()


def test_what_is_not_a_communicator_is_refused():
    with refused(TypeError, "Trainer: comm should be a communicator of mpi4py or None, got 2; "
                            "MPI.COMM_WORLD is one"):
        Trainer(on_ranks.network(0), on_ranks.SGD(0.1), comm=2)


def test_the_command_trains_on_all_ranks(tmp_path):
    outputs = {}
    for n in 1, 2:
        options = ["--epochs", "2", "--out", str(n)]
        done = mpiexec(n, "-m", "chainrule", "train", *options, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        with open(tmp_path / str(n) / "mlp-digits" / "history.csv", newline="") as file:
            outputs[n] = done.stdout.splitlines(), list(csv.DictReader(file))
        assert {path.name for path in (tmp_path / str(n) / "mlp-digits").iterdir()} == {
            "checkpoint.safetensors", "curves.png", "history.csv", "model.json",
                "model.safetensors"}
    (alone, history), (shared, shared_history) = outputs[1], outputs[2]
    assert len(alone) == len(shared) == 1 and shared[0].startswith("test accuracy")
    for mine, theirs in zip(history, shared_history, strict=True):
        assert float(mine["loss"]) == pytest.approx(float(theirs["loss"]), rel=1e-3)
