"""The published shares of related words, by running chapter 7 in full, whose text says how they are measured. Slow:

    python -m pytest -m slow tests/test_figures_words.py
"""
import re

import pytest

from tests.notebooks.test_notebooks import FOLDER, code_cells, execute, shown

PROMISED = {"rows of PPMI": 65, "PPMI and SVD, D = 100": 65, "CBOW, full softmax": 55, "CBOW, negative sampling": 50,
            "SkipGram, full softmax": 60, "SkipGram, negative sampling": 60}


@pytest.mark.slow
def test_shares_of_related_words_among_the_nearest(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("CHAINRULE_FAST", raising=False)
    chapter = execute(FOLDER / "07_word_vectors.ipynb", tmp_path)
    text, = (text for cell in code_cells(chapter) for _, text in shown(cell) if "answered with yes" in text)
    with capsys.disabled():
        print(f"\n{text}")
    shares = {name: int(percent) for name, percent in re.findall(r"^(.+?) +(\d+)%", text, re.MULTILINE)}
    assert shares.keys() == PROMISED.keys()
    assert all(shares[name] >= promised for name, promised in PROMISED.items())
    assert shares["PPMI and SVD, D = 100"] > max(shares[name] for name in PROMISED if "PPMI" not in name)
