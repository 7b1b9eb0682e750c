"""Models that come trained: small ones, each made by a command in minutes."""
import re
from collections import Counter
from pathlib import Path
from typing import Any

from ..common import checks
from ..datasets import Vocabulary, load_python_docs
from . import saving
from .images import LeNet
from .text import SkipGram, TransformerLM

FOLDER = Path(__file__).with_name("data")


def load_pretrained(name: str) -> Any:
    """A trained model by its name:

    - ``"lenet-digits"``: LeNet on the digits of ``load_digits``, images (N, 1, 8, 8);
    - ``"lenet-mnist"``: LeNet on 8,000 of MNIST's test images, (N, 1, 28, 28); the other 2,000
      score it;
    - ``"skipgram-python"``: SkipGram on the words of ``load_python_docs(bundled=True)``;
    - ``"transformer-python"``: TransformerLM on the characters of the same.

    ``model.trained`` is a dict: the data, the command that makes it again, the seed and the score.
    Text models have their Vocabulary as ``tokenizer``.

    To fine-tune, train it on data of your own, all of it or, after ``model.freeze("0", "3")``, the
    layers above LeNet's convolutions.

    Raises ValueError for another name.

    >>> from chainrule.datasets import load_digits
    >>> _, (x, t) = load_digits()
    >>> model = load_pretrained("lenet-digits")
    >>> bool((model.predict(x).argmax(axis=1) == t).mean() > 0.97)
    True
    >>> sorted(model.trained)
    ['command', 'data', 'score', 'seed']
    """
    model = BUILD[checks.one_of("load_pretrained", "name", name, tuple(BUILD))]()
    path = FOLDER / f"{name}.safetensors"
    model.load(path)
    model.trained = saving.read(path, "load_pretrained")[1]["trained"]
    return model


def python_words():
    """The words that occur five times in Python's reference, and their Vocabulary."""
    words = re.findall(r"[^\W\d]\w*", load_python_docs(bundled=True))
    count = Counter(words)
    words = [word.lower() if count[word.lower()] > count[word] else word for word in words]
    vocabulary = Vocabulary.from_text(words, min_count=5)
    return [word for word in words if word in vocabulary], vocabulary


def skipgram():
    _, vocabulary = python_words()
    model = SkipGram(len(vocabulary), dimension=50, counts=vocabulary.counts, negatives=5, rng=0)
    model.tokenizer = vocabulary
    return model


def transformer():
    vocabulary = Vocabulary.from_text(load_python_docs(bundled=True), level="char")
    model = TransformerLM(len(vocabulary), dimension=64, heads=4, depth=2, length=64,
                          positions="sinusoidal", rng=0)
    model.tokenizer = vocabulary
    return model


BUILD = {"lenet-digits": lambda: LeNet((1, 8, 8)), "lenet-mnist": LeNet,
         "skipgram-python": skipgram, "transformer-python": transformer}
