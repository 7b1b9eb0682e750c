"""The published figures of the Transformer: bits per character of held-out text, against counting. Slow:

    python -m pytest -m slow tests/test_figures_transformer.py

The text is the reference of the Python that runs this, and so are the figures.
"""
import sys
from math import log2
from statistics import median

import numpy as np
import pytest

from chainrule.datasets import Vocabulary, load_python_docs
from chainrule.models import KneserNey, NGram, TransformerLM
from chainrule.optimizers import AdamW, clip_gradients, cosine_decay, warmup


def trained(train, vocabulary, seed, steps=2_000, batch_size=32):
    model = TransformerLM(vocabulary, dimension=128, heads=4, depth=2, length=64, positions="sinusoidal", rng=seed)
    optimizer = AdamW(lr=warmup(cosine_decay(0.006, steps * 19 // 20), steps // 20), weight_decay=0.1)
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        at = rng.integers(0, len(train) - model.length, batch_size)[:, None] + np.arange(model.length + 1)
        model.forward(train[at[:, :-1]], train[at[:, 1:]])
        model.backward()
        clip_gradients(model.grads, 1.0)
        optimizer.update(model.params, model.grads)
    return model


@pytest.mark.slow
def test_bits_per_character_against_counting(capsys):
    text = load_python_docs()
    vocabulary = Vocabulary.from_text(text, level="char")
    ids = vocabulary.encode(text)
    train, held_out = np.split(ids, [len(ids) * 9 // 10])
    counted = {f"{n}-gram, {kind.__name__}": log2(kind(len(vocabulary), n).fit(train).perplexity(held_out))
               for n, kind in ((5, NGram), (5, KneserNey), (8, KneserNey))}
    bits = []
    with capsys.disabled():
        print(f"\nPython {sys.version.split()[0]}, {len(held_out):,} held-out characters, bits per character")
        for name, b in counted.items():
            print(f"{name} {b:.3f}")
        for seed in range(3):
            bits.append(log2(trained(train, len(vocabulary), seed).perplexity(held_out)))
            print(f"TransformerLM, seed {seed}: {bits[-1]:.3f}")
        print(f"TransformerLM, median {median(bits):.3f}")
    assert median(bits) < min(counted.values())
