"""Chapters 13 and 14: a figure in a text stands in a cell beside it, in what the cell shows or in what it sets.

The chapters at full length, whose cells then have to show what is committed, to two digits. Slow:

    python -m pytest -m slow tests/notebooks/test_figures_in_texts.py
"""
import re

import nbformat
import pytest

from tests.notebooks.test_notebooks import CHAPTERS, alike, code_cells, execute, shown, tidy

MINE = [path for path in CHAPTERS if path.stem[:2] in ("13", "14")]
CODE, FORMULA, LINK, HINT = "```.*?```|`[^`]*`", r"\$\$.*?\$\$|\$[^$]*\$", r"\[[^]]*\]\([^)]*\)", "<summary>.*?</summary>"
NUMBERED = r"\b(?:19|20)\d\d\b|(?:[Ss]ection|[Cc]hapter|[Ll]ecture)s? [\d.]+|^#+ [\d.]+|^\d+\. "             # years, titles
NO_FIGURE = re.compile("|".join((CODE, FORMULA, LINK, HINT, NUMBERED)), re.DOTALL | re.MULTILINE)
FIGURE = re.compile(r"(?<![\w.])(\d[\d,]*(?:\.\d+)?(?:e-?\d+)?)( ?%)?")


def figures(text):
    """(as written, value, unit of the last digit) of each figure in prose that somebody must have measured or set."""
    for written, percent in FIGURE.findall(NO_FIGURE.sub(" ", text)):
        written = written.rstrip(",")
        value, decimals = float(written.replace(",", "")), len(written.partition(".")[2].partition("e")[0])
        if value >= 10 or "." in written or "e" in written or percent:
            yield written + percent, value, 10.0 ** -decimals if "e" not in written else 0.0


def numbers(text):
    return [abs(float(n.replace(",", ""))) for n in re.findall(r"\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?", text.replace("_", ""))]


def unfounded(cells):
    """The figures in texts that neither the two code cells before nor the one after has."""
    wrong = []
    for i, cell in enumerate(cells):
        if cell.cell_type == "markdown":
            before, after = ([other for other in part if other.cell_type == "code"] for part in (cells[:i], cells[i + 1:]))
            beside = before[-2:] + after[:1]
            known = [n for one in beside for text in (one.source, *(text for _, text in shown(one))) for n in numbers(text)]
            for written, value, unit in figures(cell.source):
                scales = (1, 100) if "%" in written else (1,)
                if not any(abs(n * scale - value) <= unit / 2 + 1e-9 * value for n in known for scale in scales):
                    wrong.append(f"{written} in: {cell.source[:60]!r}")
    return wrong


def cells(*pairs):
    return [nbformat.v4.new_markdown_cell(text) if kind == "text" else
            nbformat.v4.new_code_cell(text, outputs=[nbformat.v4.new_output("stream", text=kind)]) for kind, text in pairs]


def test_a_figure_without_a_cell_is_found():
    section = ("text", "## 1.1 Title\n\nIn 1998 it was $0.3$, see section 1.7."), ("accuracy 0.8712", "lr = 0.05")
    assert not unfounded(cells(*section, ("text", "At 0.05 it is 87 %, or 0.871.")))
    wrong = unfounded(cells(*section, ("text", "At 0.06 it is 88 %.")))
    assert [text.partition(" in")[0] for text in wrong] == ["0.06", "88 %"]
    assert unfounded(cells(*section, ("no figure", "pass"), ("nor here", "pass"), ("text", "At 0.05 again.")))


@pytest.mark.parametrize("path", MINE, ids=lambda path: path.stem)
def test_each_figure_in_a_text_is_in_a_cell_beside_it(path):
    assert not unfounded(nbformat.read(path, as_version=4).cells)


@pytest.mark.parametrize("path", MINE, ids=lambda path: path.stem)
def test_each_exercise_has_a_hint_and_an_answer_that_is_run(path):
    chapter = nbformat.read(path, as_version=4).cells
    exercises = [i for i, cell in enumerate(chapter)
                 if cell.cell_type == "markdown" and re.search(r"^\d+\. \*\*", cell.source, re.MULTILINE)]
    assert len(exercises) >= 8
    for number, i in enumerate(exercises, 1):
        assert re.search(rf"^{number}\. \*\*.*<summary>Hint</summary>", chapter[i].source, re.MULTILINE | re.DOTALL)
        assert chapter[i + 1].metadata.jupyter.source_hidden and "assert" in chapter[i + 1].source and chapter[i + 1].outputs


@pytest.mark.slow
@pytest.mark.parametrize("path", MINE, ids=lambda path: path.stem)
def test_the_whole_chapter_shows_what_is_committed(path, tmp_path):
    fresh = code_cells(tidy(execute(path, tmp_path, timeout=3600)))
    for now, then in zip(fresh, code_cells(nbformat.read(path, as_version=4))):
        if "import optuna" in now.source:                    # which may be missing, and draws otherwise in another version
            continue
        for (_, text), (_, before) in zip(shown(now), shown(then), strict=True):
            assert alike(text, before), f"now:\n{text}\ncommitted:\n{before}\nin the cell:\n{now.source}"
