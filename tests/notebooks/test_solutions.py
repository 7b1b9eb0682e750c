"""Every exercise of every chapter has an answer, and every answer passes the judge that stands above it.

Here the solutions run in a short mode, in this process, which spares a kernel for each; as slow tests they run whole, in fresh
kernels, and show what the committed files show. ``python -m tests.notebooks.test_solutions notebooks/solutions/01_*.ipynb``
runs them anew and writes their outputs into the files.
"""
import linecache
import platform
import re
import sys
import tempfile
from pathlib import Path

import nbformat
import numpy as np
import pytest
from matplotlib import pyplot

from tests.notebooks.test_notebooks import CHAPTERS, FOLDER, alike, code_cells, execute, shown

SOLUTIONS = sorted((FOLDER / "solutions").glob("*.ipynb"))
HIDDEN = {"jupyter": {"source_hidden": True, "outputs_hidden": True}, "tags": ["hide-cell"]}
solutions = pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def section(path):
    """The text of a chapter's exercises; a folded cell of code is the word FOLDED."""
    folded = {cell.id for cell in read(path).cells if cell.metadata.get("jupyter", {}).get("source_hidden")}
    text = "\n".join("FOLDED" if cell.id in folded else cell.source for cell in read(path).cells
                     if cell.cell_type == "markdown" or cell.id in folded)
    return "".join(re.split(r"^## (?:Exercises|To go on)$", text, flags=re.MULTILINE)[1:]).split("\n## ")[0]


def exercises(path):
    """The exercises of a chapter: a title for each number."""
    return dict(re.findall(r"^(\d+)\. \*\*(.+?)\.?\*\*", section(path), re.MULTILINE))


def answers(path):
    """The answers of a solutions notebook: the cells of each number and title."""
    found, cells = {}, []
    for cell in read(path).cells:
        if head := re.match(r"## Exercise (\d+)\.(\d+): (.*)", cell.source):
            assert int(head[1]) == int(path.name[:2])
            cells = found[head[2], head[3]] = []
        cells.append(cell)
    return found


def answered_in_place(path):
    """The numbers of the exercises after which a chapter has a folded answer of its own, as text or as a cell."""
    parts = re.split(r"^(\d+)\. \*\*", section(path), flags=re.MULTILINE)
    return [number for number, part in zip(parts[1::2], parts[2::2]) if "FOLDED" in part or "Answer</summary>" in part]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_exercise_has_an_answer(path):
    """In the solutions notebook of the chapter, under its number and title, or folded in the chapter itself."""
    solution = FOLDER / "solutions" / path.name
    if solution.exists():
        assert list(answers(solution)) == list(exercises(path).items())
    else:
        assert answered_in_place(path) == list(exercises(path))


def test_there_are_solutions():
    assert {path.name for path in SOLUTIONS} <= {path.name for path in CHAPTERS}
    assert len(SOLUTIONS) >= 12


@solutions
def test_each_answer_has_a_hint_a_place_for_ones_own_a_judge_and_a_proof(path):
    for (number, title), (head, *cells) in answers(path).items():
        where = f"{path.name}, exercise {number}, {title}"
        assert "\n> " in head.source and f"](../{path.name}#" in head.source, where
        assert "<details><summary>Hint" in head.source, where
        yours, judge, text, proof = cells
        assert yours.source.startswith("# Your answer\n") and " = ..." in yours.source, where
        *_, last = judge.source.splitlines()
        called = re.fullmatch(r"judge\((\w+), .+\)", last)
        assert called and f"{called[1]}(" in proof.source, f"{where}: the proof runs the judge's check on the answer"
        assert text.source.startswith("<details><summary>Answer</summary>\n\n") and text.source.endswith("\n\n</details>"), where
        assert proof.metadata == HIDDEN, where


@solutions
def test_the_committed_file_is_clean(path):
    notebook = read(path)
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert {kind for cell in cells for kind, _ in shown(cell)} <= {"stdout", "image/png text/plain", "text/plain"}
    assert not [line for cell in cells for line in cell.source.splitlines() if len(line) > 100]
    judged = [text for cell in cells if "\njudge(" in cell.source for kind, text in shown(cell) if kind == "stdout"]
    assert len(judged) == len(answers(path))
    assert all(text.endswith("not begun\n") for text in judged)


NUMBER = re.compile(r"(?<![\w.,])\d[\d,]*(?:\.\d+)?%|(?<![\w.,])\d+\.\d+(?!\d)")


@solutions
def test_each_figure_of_a_text_stands_in_an_output_of_its_cells(path):
    """Percentages and decimal fractions of the answers, formulas and code apart, rounded as the text rounds them."""
    for (number, title), cells in answers(path).items():
        text = re.sub(r"\$\$.*?\$\$|\$.*?\$|`.*?`|\(.*?(?:19|20)\d\d\)", "", cells[3].source, flags=re.DOTALL)
        text = re.sub(r"\b(?:[Cc]hapters?|[Ss]ections?|[Ee]xercises?) [\d.]+(?:(?:,| and| to) [\d.]+\d)*", "", text)
        output = "\n".join(said for cell in cells if cell.cell_type == "code" for _, said in shown(cell))
        have = re.findall(r"\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?", output)
        for figure in NUMBER.findall(text):
            wanted = figure.rstrip("%").replace(",", "")
            digits = len(wanted.partition(".")[2])
            near = [h for h in have if abs(float(h.replace(",", "")) - float(wanted)) <= 0.5001 * 10 ** -digits]
            assert near, f"{path.name}, exercise {number}, {title}: {figure} stands in no output"


@solutions
def test_the_answers_pass_their_judges(path, monkeypatch, tmp_path, capsys):
    """And with nothing but dots in their places, the judges say that nothing is begun."""
    pyplot.switch_backend("agg")
    monkeypatch.setattr(pyplot, "show", lambda: pyplot.close("all"))
    monkeypatch.setenv("CHAINRULE_FAST", "1")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    with pyplot.rc_context(), np.printoptions():
        for cell in code_cells(read(path)):
            file = f"{path.name}, {cell.id}"
            linecache.cache[file] = len(cell.source), None, cell.source.splitlines(keepends=True), file
            exec(compile(cell.source, file, "exec"), names)
            said = capsys.readouterr().out
            assert "\njudge(" not in cell.source or said.endswith("not begun\n"), f"{said}\nin the cell:\n{cell.source}"
    pyplot.close("all")


@pytest.mark.slow
@solutions
def test_a_fresh_run_shows_what_is_committed(path, tmp_path):
    written = read(path).metadata.language_info.version
    another = platform.python_version_tuple()[:2] != tuple(written.split(".")[:2])
    if another and "load_python_docs" in path.read_text(encoding="utf-8"):
        pytest.skip(f"it reads the documentation of Python itself, and was written with that of {written}")
    fresh = execute(path, tmp_path, timeout=3600)
    for cell, committed in zip(code_cells(fresh), code_cells(read(path)), strict=True):
        now, then = list(shown(cell)), list(shown(committed))
        assert [kind for kind, _ in now] == [kind for kind, _ in then], f"run {path.name} again; the cell:\n{cell.source}"
        for (_, text), (_, before) in zip(now, then):
            assert alike(text, before), f"now:\n{text}\ncommitted:\n{before}\nin the cell:\n{cell.source}"


def write(path):
    """Run a solutions notebook and keep its outputs, without what differs from machine to machine."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        notebook = execute(path, folder, timeout=3600)
    notebook.metadata = read(FOLDER / Path(path).name).metadata
    for count, cell in enumerate(code_cells(notebook), 1):
        cell.execution_count = count
        cell.metadata = nbformat.from_dict(HIDDEN if "jupyter" in cell.metadata else {})
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = count
    Path(path).write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for path in sys.argv[1:] or SOLUTIONS:
        write(path)
