"""Vocabulary: ids by frequency, there and back without loss, unknown tokens only where one was asked for."""
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chainrule.datasets import Vocabulary, read_text
from tests.errors import refused

TEXT = "you say goodbye and i say hello ."
WORDS = st.lists(st.text("abcäß.", min_size=1, max_size=3), min_size=1, max_size=30)


def test_ids_run_from_the_most_frequent_token_and_ties_by_code_point():
    vocabulary = Vocabulary.from_text("b a ä c b B c")
    assert vocabulary.tokens == ("b", "c", "B", "a", "ä")
    assert vocabulary.counts.tolist() == [2, 2, 1, 1, 1] and vocabulary.counts.dtype == np.int64
    assert [vocabulary[token] for token in vocabulary] == [0, 1, 2, 3, 4]


def test_the_order_of_the_text_does_not_matter_only_its_counts():
    words = TEXT.split()
    assert Vocabulary.from_text(words[::-1]).tokens == Vocabulary.from_text(TEXT).tokens


def test_it_does_not_depend_on_the_hash_seed():
    code = f"from chainrule.datasets import Vocabulary; print(Vocabulary.from_text({TEXT!r}, unknown='?').tokens)"
    printed = {subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed},
                              capture_output=True, text=True, check=True).stdout for seed in "01"}
    assert printed == {"('?', 'say', '.', 'and', 'goodbye', 'hello', 'i', 'you')\n"}


@given(WORDS)
def test_words_there_and_back(words):
    vocabulary = Vocabulary.from_text(words)
    ids = vocabulary.encode(words)
    assert (ids.dtype, ids.shape) == (np.int64, (len(words),))
    assert [vocabulary.tokens[i] for i in ids] == words
    assert vocabulary.decode(ids) == " ".join(words)
    np.testing.assert_array_equal(vocabulary.encode(vocabulary.decode(ids)), ids)
    np.testing.assert_array_equal(np.bincount(ids), vocabulary.counts)
    assert (np.diff(vocabulary.counts) <= 0).all()


@given(st.text(min_size=1))
def test_characters_there_and_back(text):
    vocabulary = Vocabulary.from_text(text, level="char")
    assert vocabulary.decode(vocabulary.encode(text)) == text
    assert set(vocabulary) == set(text)


def test_a_table_of_ids_decodes_to_a_list_and_nothing_to_nothing():
    vocabulary = Vocabulary("abc", level="char")
    assert vocabulary.decode([[0, 1], [2, 2]]) == ["ab", "cc"]
    assert vocabulary.decode([]) == "" and vocabulary.encode("").shape == (0,) and vocabulary.encode("").dtype == np.int64
    assert vocabulary.decode(np.int64(1)) == "b"


def test_length_membership_and_repr():
    vocabulary = Vocabulary.from_text(TEXT, unknown="<unk>")
    assert len(vocabulary) == 8 and "say" in vocabulary and "goodnight" not in vocabulary
    assert repr(vocabulary) == "Vocabulary(8 words: '<unk>', 'say', '.', 'and', 'goodbye', ...)"
    assert repr(Vocabulary("ab", level="char")) == "Vocabulary(2 characters: 'a', 'b')"
    assert Vocabulary("ab").counts.tolist() == [0, 0]


def test_padding_and_unknown_come_first_whatever_they_count():
    vocabulary = Vocabulary.from_text("a a a <unk> b", unknown="<unk>", padding="<pad>")
    assert vocabulary.tokens == ("<pad>", "<unk>", "a", "b") and vocabulary.counts.tolist() == [0, 1, 3, 1]
    assert (vocabulary.unknown, vocabulary.padding) == ("<unk>", "<pad>")


def test_one_token_cannot_be_both():
    message = "Vocabulary: unknown and padding should be two tokens, got '?' for both"
    with refused(ValueError, message):
        Vocabulary.from_text("a", unknown="?", padding="?")
    with refused(ValueError, message):
        Vocabulary("a?", unknown="?", padding="?")


@pytest.mark.parametrize("counts, error, message", [
    (["a", "b"], TypeError, "counts should be a dict of tokens and how often each occurred, got list; from_text counts the "
                            "tokens of a text"),
    ({"a": "many"}, TypeError, "the count of 'a' should be a whole number, got 'many'"),
    ({"a": 2, "b": -1}, ValueError, "the count of 'b' should be at least 0, got -1"),
    ({"a": 1, 2: 1}, TypeError, "a text should be a str or a sequence of them, got 2"),
])
def test_counts_that_are_none(counts, error, message):
    with refused(error, f"Vocabulary: {message}"):
        Vocabulary.from_counts(counts)


@pytest.mark.parametrize("options, tokens, counts", [
    ({"size": 3}, ("?", "a", "b"), [4, 4, 2]),
    ({"min_count": 2}, ("?", "a", "b", "c"), [2, 4, 2, 2]),
    ({"min_count": 2, "size": 2}, ("?", "a"), [6, 4]),
    ({"size": 99}, ("?", "a", "b", "c", "d"), [1, 4, 2, 2, 1]),
])
def test_size_bounds_all_ids_min_count_each_and_unknown_counts_the_rest(options, tokens, counts):
    vocabulary = Vocabulary.from_text("a a a a b b c c d ?", unknown="?", **options)
    assert (vocabulary.tokens, vocabulary.counts.tolist()) == (tokens, counts)


@given(WORDS, st.integers(2, 6), st.integers(1, 2))
def test_every_token_is_counted_once(words, size, least):
    try:
        vocabulary = Vocabulary.from_text(words, size=size, min_count=least, unknown="<unk>", padding=None)
    except ValueError:
        assert all(words.count(word) < least for word in words)
        return
    assert len(vocabulary) <= size
    np.testing.assert_array_equal(np.bincount(vocabulary.encode(words), minlength=len(vocabulary)), vocabulary.counts)


def test_without_unknown_a_new_word_is_an_error_that_names_it():
    vocabulary = Vocabulary.from_text(TEXT)
    message = ("Vocabulary: 'goodnight' is not among its 7 words; to have a token that stands for all others, make it "
               'with unknown="<unk>"')
    with refused(ValueError, message):
        vocabulary.encode("i say goodnight")
    with refused(ValueError, message):
        vocabulary["goodnight"]
    with refused(ValueError, "Vocabulary: 'ü' … 2…"):
        Vocabulary("ab", level="char").encode("aü")


def test_an_id_in_the_place_of_a_token_is_no_unknown_word():
    with refused(TypeError, "Vocabulary: a token should be a str, got 3; the token of an id is vocabulary.tokens[id]"):
        Vocabulary.from_text(TEXT, unknown="?")[3]


@pytest.mark.parametrize("ids, error, message", [
    ([0, 3], ValueError, "Vocabulary.decode: ids should hold integers in 0..2, got 3"),
    ([[0], [-1]], ValueError, "Vocabulary.decode: ids should hold integers in 0..2, got -1"),
    ([0.0], TypeError, "Vocabulary.decode: ids should hold integers in 0..2, got float64 list"),
    (0.5, TypeError, "Vocabulary.decode: ids should hold integers in 0..2, got float64 float"),
    (np.ones((2, 3)), TypeError, "Vocabulary.decode: ids should hold integers in 0..2, got float64 ndarray; of scores take "
     ".argmax(axis=-1)"),
    ("ab", TypeError, "Vocabulary.decode: ids should hold integers in 0..2, got <U2 str"),
])
def test_ids_that_are_none(ids, error, message):
    with refused(error, message):
        Vocabulary("abc", level="char").decode(ids)


@pytest.mark.parametrize("arguments, error, message", [
    ({"tokens": []}, ValueError, "Vocabulary: tokens should hold at least one, got none"),
    ({"tokens": "abca"}, ValueError, "Vocabulary: tokens should differ from each other, got 'a' twice"),
    ({"tokens": ["a", 1]}, TypeError, "Vocabulary: a text should be a str or a sequence of them, got 1"),
    ({"tokens": 5}, TypeError, "Vocabulary: a text should be a str or a sequence of them, got 5"),
    ({"tokens": "ab", "counts": [1]}, ValueError, "Vocabulary: counts should be 2 whole numbers of at least 0, got [1]"),
    ({"tokens": "ab", "counts": [1, -1]}, ValueError, "Vocabulary: counts should be 2 whole numbers of at least 0, got [ 1 -1]"),
    ({"tokens": "ab", "counts": [1., 2]}, ValueError, "Vocabulary: counts should be 2 whole numbers of at least 0, got [1. 2.]"),
    ({"tokens": "ab", "level": "letter"}, ValueError, "Vocabulary: level should be 'word' or 'char', got 'letter'"),
    ({"tokens": "ab", "unknown": "?"}, ValueError, "Vocabulary: unknown should be None or one of the tokens, got '?'"),
    ({"tokens": "ab", "padding": "_"}, ValueError, "Vocabulary: padding should be None or one of the tokens, got '_'"),
])
def test_a_wrong_argument(arguments, error, message):
    with refused(error, message):
        Vocabulary(**arguments)


@pytest.mark.parametrize("text, options, error, message", [
    ("", {}, ValueError, "Vocabulary: the text … an empty one"),
    ("a b", {"min_count": 2}, ValueError, "Vocabulary: … text's 2 … size=None … min_count=2…"),
    ("a b", {"size": 1, "unknown": "?"}, ValueError, "Vocabulary: … text's 2 … size=1…"),
    ("a b", {"size": 1, "unknown": "?", "padding": "_"}, ValueError, "Vocabulary: … text's 2 … size=1…"),
    ("a b", {"size": 0}, ValueError, "Vocabulary: size … 1 … 0"),
    ("a b", {"min_count": 0.5}, TypeError, "Vocabulary: min_count … 0.5"),
    (b"a b", {}, TypeError, "Vocabulary: a text … 97"),
    ([["a"], ["b"]], {}, TypeError, "Vocabulary: a text … ['a']"),
])
def test_a_text_of_which_nothing_is_left(text, options, error, message):
    with refused(error, message):
        Vocabulary.from_text(text, **options)


def test_files_count_as_one_text(tmp_path):
    (tmp_path / "1").write_text("b ä\n", encoding="utf-8")
    (tmp_path / "2").write_text("ä c b ä", encoding="utf-8")
    options = {"size": 3, "min_count": 2, "unknown": "?"}
    vocabulary = Vocabulary.from_files(tmp_path / "1", str(tmp_path / "2"), **options)
    assert vocabulary.tokens == ("?", "ä", "b") and vocabulary.counts.tolist() == [1, 3, 2]
    letters = Vocabulary.from_files(tmp_path / "1", tmp_path / "2", level="char", padding="_")
    assert letters.level == "char" and letters.tokens == ("_", " ", "ä", "b", "\n", "c")


@pytest.mark.parametrize("prefix", [b"", b"\xef\xbb\xbf", b"ok \n" * 5000])
def test_a_file_that_is_not_utf_8_is_named_with_the_byte(tmp_path, prefix):
    path, content = tmp_path / "latin", prefix + b"caf\xe9 noir"
    path.write_bytes(content)
    message = (f"read_text: {path} should be UTF-8, got byte 0xe9 at offset {len(prefix) + 3} (invalid continuation byte); "
               "save it as UTF-8, or open it in its own encoding and pass the text")
    with refused(ValueError, message):
        Vocabulary.from_files(path)
    assert path.read_bytes() == content


def test_read_text_knows_the_line_ends_and_marks_of_all_systems(tmp_path):
    path = tmp_path / "text"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\rthr\xc3\xa9e\n\n")
    assert read_text(path) == "one\ntwo\nthrée\n\n"


@given(st.lists(st.text(), min_size=1, unique=True), st.sampled_from(["word", "char"]), st.data())
def test_saved_and_loaded(tmp_path_factory, tokens, level, data):
    path = tmp_path_factory.getbasetemp() / "vocabulary.json"
    counts = data.draw(st.lists(st.integers(0, 2**62), min_size=len(tokens), max_size=len(tokens)))
    unknown, padding = (data.draw(st.sampled_from([None, *tokens])) for _ in range(2))
    assume(unknown is None or unknown != padding)
    saved = Vocabulary(tokens, counts, level, unknown, padding)
    saved.save(path)
    loaded = Vocabulary.load(path)
    for name in ("tokens", "level", "unknown", "padding", "ids"):
        assert getattr(loaded, name) == getattr(saved, name)
    np.testing.assert_array_equal(loaded.counts, saved.counts)


def test_the_file_can_be_read_and_a_failed_save_leaves_the_one_before(tmp_path):
    path = tmp_path / "vocabulary.json"
    Vocabulary.from_text("ä b b").save(path)
    assert '"b": 2,\n  "ä": 1' in path.read_text(encoding="utf-8")
    with pytest.raises(UnicodeEncodeError):
        Vocabulary(["\ud800"]).save(path)
    assert Vocabulary.load(path).tokens == ("b", "ä") and os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("name, error", [("nowhere/x", FileNotFoundError), (".", IsADirectoryError)])
def test_a_save_that_cannot_be_names_the_file_asked_for(tmp_path, name, error):
    with pytest.raises(error) as caught:
        Vocabulary("ab").save(tmp_path / name)
    assert not os.listdir(tmp_path) and not os.path.exists(f"{tmp_path}.part")
    assert "Vocabulary.save: " in str(caught.value) and str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize("call, who", [(Vocabulary("ab").save, "Vocabulary.save"), (read_text, "read_text"),
                                       (Vocabulary.load, "Vocabulary.load")])
def test_what_is_no_path(call, who):
    with refused(TypeError, f"{who}: path should be a path, got None"):
        call(None)


@pytest.mark.parametrize("content", ["", "[]", "7", "{}", '{"tokens": 5}', '{"tokens": []}', '{"tokens": {"a": 1}, "size": 1}',
                                     "[" * 100_000])
def test_a_file_that_holds_no_vocabulary(tmp_path, content):
    path = tmp_path / "vocabulary.json"
    path.write_text(content)
    with refused(ValueError, f"Vocabulary.load: {path}…"):
        Vocabulary.load(path)


def test_a_file_whose_counts_are_wrong(tmp_path):
    path = tmp_path / "vocabulary.json"
    path.write_text(json.dumps({"tokens": {"a": "many"}}))
    with refused(ValueError, "Vocabulary: counts … 1 … 0 … ['many']"):
        Vocabulary.load(path)
