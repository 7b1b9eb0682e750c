"""The published perplexities of a recurrent language model: three complete training runs. Slow:

    python -m pytest -m slow tests/test_figures_language.py

The text is the Penn Treebank's, which is licensed; the environment variable CHAINRULE_DATA names the folder of ptb.valid.txt,
to train on, and ptb.test.txt, of which the first 20,000 words are the test.
"""
import os
from statistics import median

import numpy as np
import pytest

from chainrule.common.layer import reset_states
from chainrule.datasets import load_ptb, text_batches
from chainrule.models import KneserNey, LanguageModel, NGram
from chainrule.optimizers import AdamW, cosine_decay
from chainrule.training import Trainer

EPOCHS, STREAMS, STEPS = 15, 5, 35


def trained(ids, vocabulary, seed):
    model = LanguageModel(vocabulary, dimension=200, hidden=200, dropout=0.5, tied=True, rng=seed)
    updates = EPOCHS * sum(1 for _ in text_batches(ids, STREAMS, STEPS))
    trainer = Trainer(model, AdamW(lr=cosine_decay(0.005, updates), weight_decay=0.1), metrics=())
    trainer.fit(batches=lambda: text_batches(ids, STREAMS, STEPS), epochs=EPOCHS, max_grad_norm=1.0, progress=False,
                callbacks=[lambda trainer: reset_states(model)])
    return model


@pytest.mark.slow
def test_the_lstm_predicts_better_than_models_that_count(capsys):
    assert "CHAINRULE_DATA" in os.environ, "CHAINRULE_DATA should name the folder of ptb.valid.txt and ptb.test.txt"
    ids, vocabulary = load_ptb("valid", os.environ["CHAINRULE_DATA"])
    test, V = load_ptb("test", os.environ["CHAINRULE_DATA"], vocabulary)[0][:20_000], len(vocabulary)
    counted = {"unigram": NGram(V, 1), "interpolated trigram": NGram(V, 3), "Kneser-Ney trigram": KneserNey(V, 3)}
    log_p = {name: model.fit(ids).log_probabilities(test) for name, model in counted.items()}
    perplexities = {name: np.exp(-p.mean()) for name, p in log_p.items()}

    runs = [trained(ids, V, seed).log_probabilities(test).astype(np.float64) for seed in range(3)]
    lstm = [np.exp(-p.mean()) for p in runs]
    mixed = [np.exp(-np.logaddexp(p, log_p["Kneser-Ney trigram"]).mean() + np.log(2)) for p in runs]
    with capsys.disabled():
        print("\n" + ", ".join(f"{name} {value:.1f}" for name, value in perplexities.items()))
        for name, values in (("LSTM", lstm), ("LSTM and Kneser-Ney, half and half", mixed)):
            print(f"{name}: median {median(values):.1f} of {[round(float(value), 1) for value in sorted(values)]}")
    assert median(lstm) < perplexities["Kneser-Ney trigram"] < perplexities["interpolated trigram"]
    assert median(mixed) < median(lstm)
