"""The published accuracies: complete training runs, the median over seeds. Slow:

    python -m pytest -m slow tests/test_figures.py

The MNIST rows need its two test files; the environment variable CHAINRULE_DATA names their folder.
"""
import os
import re
from statistics import median

import pytest

from chainrule.datasets import make_addition, make_dates
from chainrule.models import AttentionSeq2Seq
from chainrule.models.command import main
from chainrule.optimizers import Adam, cosine_decay
from chainrule.training import Trainer

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
        assert main([*arguments, "--seed", str(seed)]) == 0
        accuracies.append(float(re.search(r"test accuracy ([\d.]+) %", capsys.readouterr().out)[1]))
    with capsys.disabled():
        print(f"\n{command}: median {median(accuracies):.1f} % of {sorted(accuracies)}")
    assert median(accuracies) >= promised


@pytest.mark.slow
@pytest.mark.parametrize("make, dimension, epochs, promised", [(make_addition, 16, 25, 95.0), (make_dates, 32, 9, 99.0)],
                         ids=["addition", "dates"])
def test_exact_answers_to_unseen_questions(make, dimension, epochs, promised, capsys):
    (x, t), vocabulary = make(50_000, rng=0)
    shares = []
    for seed in range(3):
        model = AttentionSeq2Seq(len(vocabulary), dimension=dimension, reverse=True, rng=seed)
        optimizer = Adam(lr=cosine_decay(0.005, epochs * -(-45_000 // 128)))
        Trainer(model, optimizer, metrics=()).fit(x[:45_000], t[:45_000], epochs=epochs, batch_size=128, max_grad_norm=5.0,
                                                  rng=seed, progress=False)
        answers = model.generate(x[45_000:], vocabulary["_"], t.shape[1] - 1)
        shares.append(100 * float((answers == t[45_000:, 1:]).all(axis=1).mean()))
    with capsys.disabled():
        print(f"\n{make.__name__}: median {median(shares):.1f} % of 5,000 unseen ({sorted(shares)})")
    assert median(shares) >= promised
