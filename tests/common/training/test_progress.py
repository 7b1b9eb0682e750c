"""A bar shows how much there is and how long it takes, and is quiet in a file."""
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from chainrule.layers import Affine, SoftmaxWithLoss
from chainrule.models import Sequential
from chainrule.models.command import main
from chainrule.optimizers import SGD
from chainrule.training import Trainer, progress

X, T = np.random.default_rng(0).standard_normal((12, 4)), np.arange(12) % 3


def trainer():
    return Trainer(Sequential(Affine.init(4, 3, rng=0), loss=SoftmaxWithLoss()), SGD(0.1))


def test_in_a_file_each_state_is_a_line_of_its_own(capsys):
    trainer().fit(X, T, epochs=3, batch_size=4, validation_data=(X, T))
    first, *lines = capsys.readouterr().err.splitlines()
    assert first.startswith("0% 0/9")
    form = r"epoch {}/3: +\d+% {}/9 \[00:00<00:00\], loss \d\.\d{{4}}, val_loss \d\..*"
    assert len(lines) == 3
    for k, line in enumerate(lines, 1):
        assert re.fullmatch(form.format(k, 3 * k), line)


def test_without_a_console_nothing_is_shown(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    assert len(trainer().fit(X, T, epochs=2)) == 2


def test_long_trainings_write_few_lines(capsys):
    trainer().fit(X, T, epochs=1000, batch_size=12)
    lines = capsys.readouterr().err.splitlines()
    assert 20 < len(lines) < 80
    assert ["epoch 1/", "epoch 2/", "epoch 3/", "epoch 4/"] == [line[:8] for line in lines[1:5]]
    assert "1000/1000" in lines[-1]


def test_long_epochs_write_a_line_a_minute(capsys, monkeypatch):
    now = [0.0]

    def clock():
        now[0] += 10
        return now[0]
    monkeypatch.setattr(progress, "perf_counter", clock)
    trainer().fit(X, T, epochs=1, batch_size=1)
    lines = capsys.readouterr().err.splitlines()[1:]
    assert 1 < len(lines) <= 4 and "12/12" in lines[-1]


def test_a_terminal_shows_one_line_that_changes(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    trainer().fit(X, T, epochs=3, batch_size=4)
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1 and "9/9" in shown and "epoch 3/3" in shown


def test_of_batches_without_a_number_the_first_epoch_tells():
    bar = progress.Progress(SimpleNamespace(epochs=5, per_epoch=None, progress=True), 0)
    bar.begin(1)
    for _ in range(7):
        bar.batch(0.5)
    assert bar.bar.total is None
    bar.begin(2)
    assert bar.bar.total == 35
    bar.close()


@pytest.mark.parametrize("options", [[], ["--shift", "1"]], ids=str)
def test_the_command_shows_a_total_and_the_time_left(options, capsys, tmp_path):
    assert main(["train", "--epochs", "2", "--out", str(tmp_path), *options]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert re.match(r"epoch 1/2: +50% 41/82 \[00:\d\d<00:\d\d\], loss ", lines[1])
    assert "82/82" in lines[-1]


def test_nothing_is_shown_unless_asked_for(capsys):
    trainer().fit(X, T, epochs=2, progress=False)
    captured = capsys.readouterr()
    assert captured.err == captured.out == ""


def test_a_bar_starts_no_thread_and_warns_of_none_where_none_can_start(monkeypatch, capsys):
    import threading

    def refuse(self):
        raise RuntimeError("can't start new thread")
    monkeypatch.setattr(threading.Thread, "start", refuse)
    trainer().fit(X, T, epochs=2, batch_size=4)                     # a warning would be an error
    assert "epoch 2/2" in capsys.readouterr().err
