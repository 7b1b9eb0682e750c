"""The command line, run as a user runs it: results in a folder, one line for each mistake, a clean end by Ctrl-C."""
import csv
import importlib
import io
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure
from matplotlib.image import imread

from chainrule import models
from chainrule.datasets import load_digits
from chainrule.models import MLP
from chainrule.models.command import COMMANDS, main, runs


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def call(*arguments):
    try:
        return main(arguments)
    except SystemExit as end:
        return end.code


def test_train_leaves_curves_weights_and_history(tmp_path, capsys):
    assert call("train", "--epochs", "6", "--seed", "1") == 0
    shown = capsys.readouterr()
    last = shown.out.splitlines()[-1]
    folder = tmp_path / "runs" / "mlp-digits"
    with open(folder / "history.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"] and len(rows) == 6
    assert "epoch 6/6" in shown.err and "val_accuracy" in shown.err
    assert imread(folder / "curves.png").shape[0] > 300

    model = MLP([64, 128, 64, 10])
    model.load(folder / "model.safetensors")
    _, (x, t) = load_digits()
    accuracy = np.mean(model.predict(x).argmax(axis=1) == t)
    assert last == f"test accuracy {100 * accuracy:.1f} %  ({os.path.join('runs', 'mlp-digits')})" and accuracy > 0.9


def test_a_folder_whose_name_a_pipe_cannot_take(tmp_path, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "ascii", write_through=True))
    assert main(["train", "--epochs", "1", "--quiet", "--out", str(tmp_path / "ü")]) == 0
    assert b"/?/mlp-digits)" in raw.getvalue().replace(b"\\", b"/")


def test_the_seed_decides_the_result(capsys):
    for out, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        assert call("train", "--epochs", "1", "--quiet", "--seed", seed, "--out", out) == 0
    a, b, c = (Path(out, "mlp-digits", "model.safetensors").read_bytes() for out in "abc")
    assert a == b != c
    assert capsys.readouterr().err == ""


def test_published_data_of_a_folder(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for part in "train", "t10k":
        for name, a in (("images-idx3", rng.integers(0, 256, (100, 28, 28), np.uint8)),
                        ("labels-idx1", np.repeat(np.arange(10, dtype=np.uint8), 10))):
            head = bytes([0, 0, 8, a.ndim]) + struct.pack(f">{a.ndim}I", *a.shape)
            (tmp_path / f"{part}-{name}-ubyte").write_bytes(head + a.tobytes())
    for data in "mnist", "fashion-mnist":
        assert call("train", "--data", data, "--folder", ".", "--epochs", "1", "--quiet") == 0
    assert "mlp-fashion-mnist" in capsys.readouterr().out
    assert call("train", "--data", "cifar10", "--folder", ".") == 2
    assert "chainrule train: load_cifar10: there is no cifar-10-binary.tar.gz" in capsys.readouterr().err


def test_no_figure_stays_open(monkeypatch):
    before = pyplot.get_fignums()
    assert call("train", "--epochs", "1", "--quiet") == 0
    assert pyplot.get_fignums() == before
    monkeypatch.setattr(Figure, "savefig", lambda *arguments, **options: (_ for _ in ()).throw(OSError(28, "No space left")))
    assert call("train", "--epochs", "1", "--quiet") == 2
    assert pyplot.get_fignums() == before


@pytest.mark.parametrize("arguments, message", [
    (["train", "mpl"], "chainrule train: argument model: no model is called 'mpl'; "
                       "there is mlp, lenet, vgg, resnet, inception (did you mean mlp?)"),
    (["train", "--data", "letters"], "chainrule train: argument --data: no data set is called 'letters'; "
                                     "there is digits, mnist, mnist-test, fashion-mnist, cifar10"),
    (["train", "--epoch", "3"], "chainrule train: there is no option --epoch; did you mean --epochs?"),
    (["train", "--epochs", "none"], "chainrule train: argument --epochs: should be a whole number of at least 1, got 'none'"),
    (["train", "--epochs", "0"], "chainrule train: argument --epochs: should be a whole number of at least 1, got '0'"),
    (["train", "--batch-size", "-1"], "chainrule train: argument --batch-size: should be a whole number of at least 1, got '-1'"),
    (["train", "--lr", "nan"], "chainrule train: argument --lr: should be a positive number, got 'nan'"),
    (["train", "--seed", "x"], "chainrule train: argument --seed: should be a whole number, 0 or larger, got 'x'"),
    (["train", "--epochs"], "chainrule train: argument --epochs: expected one argument"),
    (["tarin"], "chainrule: argument command: no command is called 'tarin'; "
                f"there is {', '.join(COMMANDS)} (did you mean train?)"),
    ([], f"chainrule: a command is missing; there is {', '.join(COMMANDS)}, as in: chainrule train"),
])
def test_a_wrong_call_ends_with_one_line_and_code_2(arguments, message, capsys):
    assert call(*arguments) == 2
    assert capsys.readouterr().err == message + "\n"


def test_a_folder_that_cannot_be_written_ends_with_one_line_and_code_2(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert call("train", "--out", "file") == 2
    error = capsys.readouterr().err
    assert error.startswith(f"chainrule train: cannot write into {os.path.join('file', 'mlp-digits')}: ")
    assert error.endswith("; choose another folder with --out\n") and error.count("\n") == 1


def test_a_learning_rate_that_is_far_too_large_is_told(capsys):
    with np.errstate(all="ignore"):
        assert call("train", "--epochs", "3", "--lr", "1e30", "--quiet") == 2
    error = capsys.readouterr().err
    assert "the loss became nan" in error and error.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"]])
def test_help(arguments, capsys):
    assert call(*arguments) == 0
    text = capsys.readouterr().out
    assert "train" in text and max(map(len, text.splitlines())) <= 100
    if arguments[0] == "train":
        for word in ("--epochs", "--seed", "curves.png", "examples:", "digits", "mlp"):
            assert word in text


@pytest.mark.parametrize("command", COMMANDS)
def test_ctrl_c_ends_every_command_in_a_word(command, capsys, monkeypatch):
    def stop():
        raise KeyboardInterrupt
    monkeypatch.setattr(f"chainrule.models.command.{command}.parser", stop)
    assert call(command) == 130
    assert capsys.readouterr().err == "stopped\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_tells_the_defaults(command, capsys):
    assert call(command, "--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    module = importlib.import_module(f"chainrule.models.command.{command}")
    for action in module.parser()._actions:
        if action.default not in (None, False, "==SUPPRESS==", []):
            shown = f"{action.default:g}" if isinstance(action.default, float) else action.default
            assert f"(default: {shown})" in text


def test_help_says_how_to_make_the_models_in_python(capsys):
    call("train", "--help")
    text = capsys.readouterr().out
    for _, describe in runs.MODELS.values():
        name, arguments = describe((1, 8, 8), 10)
        assert runs.call(name, arguments) in text
        assert repr(eval(runs.call(name, arguments), vars(models))) == repr(runs.make(name, arguments, 0))


def started(*arguments, folder, until="epoch 1/", wait=0.0):
    """A training in a process of its own, when its progress bar shows this text."""
    process = subprocess.Popen([sys.executable, "-m", "chainrule", "train", *arguments], cwd=folder,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=0)
    seen = ""
    while until not in seen:
        seen += process.stderr.read(40)
    time.sleep(wait)
    return process


SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("until", ["epoch 1/", "epoch 3/"])
def test_a_signal_keeps_history_curves_and_weights(tmp_path, number, until):
    process = started("--epochs", "100000", folder=tmp_path, until=until)
    process.send_signal(number)
    output, error = process.communicate(timeout=60)
    assert process.returncode == 128 + number and "Traceback" not in error and output == ""
    assert "history and weights so far are in" in error.splitlines()[-1]
    folder = tmp_path / "runs" / "mlp-digits"
    MLP([64, 128, 64, 10]).load(folder / "model.safetensors")
    with open(folder / "history.csv", newline="") as file:
        assert len(list(csv.reader(file))) > 1
    assert (folder / "curves.png").exists()
    assert not list(folder.glob("*.part"))


SIX_EPOCHS = ["--epochs", "6", "--batch-size", "4", "--shift", "1"]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    assert call("train", *SIX_EPOCHS, "--quiet", "--out", str(folder)) == 0
    return folder / "mlp-digits"


@pytest.mark.parametrize("number", [*SIGNALS[:2], getattr(signal, "SIGKILL", SIGNALS[0])])
def test_a_run_that_was_ended_is_resumed_bit_for_bit(tmp_path, number, uninterrupted):
    process = started(*SIX_EPOCHS, folder=tmp_path, until="epoch 3/", wait=0.05)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert call("train", "--resume", "--quiet") == 0
    for name in ("model.safetensors", "history.csv", "model.json"):
        assert Path("runs", "mlp-digits", name).read_bytes() == (uninterrupted / name).read_bytes()


def test_resume_without_a_run_and_with_other_options(capsys):
    assert call("train", "--resume", "--epochs", "1", "--quiet") == 0
    assert "nothing to resume in runs" in capsys.readouterr().err.replace(os.sep, "/")
    assert call("train", "--resume", "--lr", "0.5") == 2
    assert capsys.readouterr().err.endswith("was begun with --lr 0.001; with --resume leave out --lr\n")
    assert call("train", "--resume", "--load", "x") == 2
    assert capsys.readouterr().err.endswith("leave out --load\n")
    Path("runs", "mlp-digits", "checkpoint.safetensors").write_bytes(b"no")
    assert call("train", "--resume") == 2
    assert "should be a file that Checkpoint wrote" in capsys.readouterr().err


def test_a_training_begins_with_weights_that_are_loaded(capsys):
    assert call("train", "--epochs", "8", "--quiet") == 0
    path = os.path.join("runs", "mlp-digits")
    for start in (path, os.path.join(path, "model.safetensors")):
        assert call("train", "--epochs", "1", "--quiet", "--out", "next", "--load", start) == 0
        with open(Path("next", "mlp-digits", "history.csv"), newline="") as file:
            assert float(list(csv.DictReader(file))[0]["accuracy"]) > 0.9
    capsys.readouterr()
    assert call("train", "lenet", "--quiet", "--load", path) == 2
    assert "does not fit this LeNet" in capsys.readouterr().err
    assert call("train", "--quiet", "--load", "nothing") == 2
    assert capsys.readouterr().err == "chainrule train: MLP.load: there is no file nothing\n"
