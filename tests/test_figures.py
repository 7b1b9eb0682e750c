"""The published accuracies: complete training runs by the command line, the median over seeds. Slow:

    python -m pytest -m slow tests/test_figures.py

The MNIST rows need its two test files; the environment variable CHAINRULE_DATA names their folder.
"""
import os
import re
from statistics import median

import pytest

from chainrule.models import cli

FIGURES = [     # command, seeds, the median that is promised in per cent
    ("train mlp", 5, 97.0),
    ("train lenet", 5, 98.0),
    ("train resnet", 3, 98.0),
    ("train inception", 3, 98.0),
    ("train lenet --data mnist-test --epochs 20", 3, 98.0),
    ("train lenet --data mnist-test --epochs 30 --shift 2", 3, 98.5),
]


@pytest.mark.slow
@pytest.mark.parametrize("command, seeds, promised", FIGURES, ids=[command for command, *_ in FIGURES])
def test_accuracy(command, seeds, promised, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = command.split() + ["--quiet"]
    if "mnist" in command:
        assert "CHAINRULE_DATA" in os.environ, "CHAINRULE_DATA should name the folder of MNIST's test files"
        arguments += ["--folder", os.environ["CHAINRULE_DATA"]]
    accuracies = []
    for seed in range(seeds):
        assert cli.main([*arguments, "--seed", str(seed)]) == 0
        accuracies.append(float(re.search(r"test accuracy ([\d.]+) %", capsys.readouterr().out)[1]))
    with capsys.disabled():
        print(f"\n{command}: median {median(accuracies):.1f} % of {sorted(accuracies)}")
    assert median(accuracies) >= promised
