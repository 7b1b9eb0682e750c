"""Chapters 13 and 14: their exercises, and the whole chapters, which the other tests only run in short. Slow:

    python -m pytest -m slow tests/notebooks/test_training_chapters.py
"""
import re

import nbformat
import pytest

from tests.notebooks.test_notebooks import CHAPTERS, alike, code_cells, execute, shown, tidy

both = pytest.mark.parametrize("path", [path for path in CHAPTERS if path.stem[:2] in ("13", "14")], ids=lambda path: path.stem)


@both
def test_each_exercise_has_a_hint_and_an_answer_that_judges_itself(path):
    cells = nbformat.read(path, as_version=4).cells
    exercises = [(cell, answer) for cell, answer in zip(cells, cells[1:])
                 if cell.cell_type == "markdown" and re.search(r"^\d+\. \*\*", cell.source, re.MULTILINE)]
    assert len(exercises) == 9
    for number, (text, answer) in enumerate(exercises, 1):
        assert re.search(rf"^{number}\. \*\*.*<summary>Hint</summary>", text.source, re.MULTILINE | re.DOTALL)
        assert answer.metadata.jupyter.source_hidden and "assert " in answer.source and answer.outputs


@both
@pytest.mark.slow
def test_the_whole_chapter_shows_what_is_committed(path, tmp_path):
    fresh = code_cells(tidy(execute(path, tmp_path, timeout=3600)))
    for now, then in zip(fresh, code_cells(nbformat.read(path, as_version=4)), strict=True):
        if "import optuna" in now.source:                    # which may be missing, and draws otherwise in another version
            continue
        for (_, text), (_, before) in zip(shown(now), shown(then), strict=True):
            assert alike(text, before), f"now:\n{text}\ncommitted:\n{before}\nin the cell:\n{now.source}"
