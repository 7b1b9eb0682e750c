"""Text to model: the Penn Treebank, and the reference of the Python language."""
import re

from ..common import checks
from ..common.files import naming, path_of
from .vocabulary import Vocabulary, read_text

SPLITS = ("train", "valid", "test")


def load_ptb(split="train", folder=".", vocabulary=None):
    """The Penn Treebank as Mikolov prepared it for language models: 10,000 words, numbers as N, rare words as <unk>.

    - split: "train" (929,589 tokens), "valid" (73,760) or "test" (82,430);
    - folder: where ``ptb.train.txt``, ``ptb.valid.txt`` and ``ptb.test.txt`` are. The text is licensed and does not
      come with chainrule;
    - vocabulary: the Vocabulary that numbers the words. None: that of the first of the three files that is in the
      folder, so that all splits of a folder share one, made from the training text where there is any.

    Returns ``ids, vocabulary``: ids (T,) int64, the words in order, with <eos> at the end of each line. A word that is
    not in the vocabulary becomes <unk>.

    Raises FileNotFoundError for a file that is not there; ValueError for another split, for a file that is empty or not
    UTF-8, and for a word that a ``vocabulary`` without an unknown token lacks; TypeError for a folder that is no path and a
    vocabulary that is none.

    Source: Mikolov et al., Recurrent neural network based language model (2010); Saito, Deep Learning from Scratch 2,
    chapter 5.
    """
    if not isinstance(split, str) or split not in SPLITS:
        raise ValueError(f"load_ptb: split should be 'train', 'valid' or 'test', got {checks.text(split)}")
    if not isinstance(vocabulary, Vocabulary | None):
        raise TypeError(checks.wrong("load_ptb", "vocabulary", "be a Vocabulary or None", type(vocabulary).__name__,
                                     "Vocabulary.from_counts makes one of a dict"))
    folder = path_of("load_ptb", "folder", folder)
    files = {name: folder / f"ptb.{name}.txt" for name in SPLITS}
    with naming("load_ptb", files[split]):
        there = files[split].exists()
    if not there:
        raise FileNotFoundError(f"load_ptb: there is no ptb.{split}.txt in {folder.absolute()}; the text is "
                                "licensed: get Mikolov's ptb.train.txt, ptb.valid.txt and ptb.test.txt and put them "
                                "there, or name their folder: load_ptb(folder=...)")
    if vocabulary is None:
        first = next(path for path in files.values() if path.exists())
        vocabulary = Vocabulary.from_text(ptb_words(first), unknown="<unk>")
    return vocabulary.encode(ptb_words(files[split])), vocabulary


def ptb_words(path):
    text = read_text(path)
    if not text.strip():
        raise ValueError(f"load_ptb: {path} holds no words; get the file again")
    lines = text.removesuffix("\n").split("\n")
    return " <eos> ".join([*lines, ""]).split()


def load_python_docs():
    """The reference of the Python language, which CPython carries for its ``help()``: English prose, no download.

    Returns one str: the topics in alphabetical order, a blank line between paragraphs. A paragraph that stands in
    several topics, a fifth of the whole, is kept the first time only; else a model would know much of its test text
    from training.

    The text is that of the running Python and differs from version to version: name the version with every figure.

    Raises RuntimeError where a build of Python lacks it.

    >>> load_python_docs()[:22]
    'The "assert" statement'
    """
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise RuntimeError("load_python_docs: this build of Python lacks pydoc_data.topics; install the whole standard "
                           "library, or use a text of your own: read_text(path)") from None
    paragraphs = {}
    for name in sorted(topics):
        for paragraph in re.split(r"\n\s*\n", topics[name]):
            same = " ".join(paragraph.split())          # indentation and line breaks may differ between topics
            paragraphs.setdefault(same, "\n".join(line.rstrip() for line in paragraph.strip("\n").split("\n")))
    paragraphs.pop("", None)
    return "\n\n".join(paragraphs.values()) + "\n"
