"""The pages of the site: their Python runs and prints what they show, and every code of the checker has its example."""
import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from chainrule.gradcheck.report import NOTES
from chainrule.gradcheck.rules import HINTS

DOCS = Path(__file__).parents[2] / "docs"
spec = importlib.util.spec_from_file_location("mistakes", DOCS / "mistakes.py")
mistakes = importlib.util.module_from_spec(spec)
spec.loader.exec_module(mistakes)


def text(name):
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name, least", [("write_your_own_layer", 3), ("index", 1)])
def test_a_page_prints_what_it_shows(name, least, capsys, tmp_path):
    page, session = text(name), {"__name__": "mine"}
    blocks = re.findall(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```\n)?", page, re.DOTALL)
    assert sum(bool(shown) for _, shown in blocks) >= least
    for i, (block, shown) in enumerate(blocks):
        path = tmp_path / f"block_{i}.py"                    # a file, whose lines the checker can read
        path.write_text(block, encoding="utf-8")
        exec(compile(block, str(path), "exec"), session)
        assert capsys.readouterr().out == shown


def test_chainrules_column_of_the_ten_things_runs():
    page, rng = text("same_ten_things"), np.random.default_rng(0)
    rows = [line[1:-1].split(" | ") for line in page.splitlines() if line.startswith("| ")][2:]
    assert len(rows) == 10 and {len(row) for row in rows} == {6}
    session = {"x": rng.normal(size=(7, 3)), "t": np.array([0, 1, 2, 3, 0, 1, 2]), "dout": rng.normal(size=(7, 4))}
    exec(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], session)
    for row in rows:
        exec(row[1].strip(" `"), session)
    assert session["scores"].shape == (7, 4) and session["dW"].shape == (3, 4)
    assert len(session["history"]["loss"]) == 10


def test_the_cell_for_nbgrader_passes_a_right_layer_and_no_other():
    cell = re.search(r"```python\n(.*?)```", text("for_teachers"), re.DOTALL)[1]
    solved = (DOCS.parent / "notebooks" / "homework_solutions" / "layers_to_write.py").read_text(encoding="utf-8")
    exec(solved + cell, {})
    with pytest.raises(AssertionError, match="divided-by-N"):
        exec(solved.replace("dout.sum(axis=0)", "dout.mean(axis=0)") + cell, {})


@pytest.mark.parametrize("mistake", mistakes.MISTAKES, ids=[m.code for m in mistakes.MISTAKES])
def test_the_mistake_of_each_code_is_named_and_the_repair_is_one(mistake):
    assert mistakes.report(mistake).codes[0] == mistake.code
    if mistake.right:
        assert mistake.source.count(mistake.right) == 1
        assert mistakes.report(mistake, right=True).ok
    assert mistakes.report(mistake).ok == (mistake.code in NOTES)


def test_each_code_has_an_example():
    assert {m.code for m in mistakes.MISTAKES} == set(HINTS)
    page = mistakes.page()
    assert all(f"\n## {code}\n" in page for code in HINTS)


def test_the_readme_shows_chapters_that_there_are():
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    table = readme[readme.index("<!-- chapters -->"):readme.index("<!-- -->")]
    paths = re.findall(r"(?<=\()notebooks/\S+?(?=\))|(?<=src=\")docs/\S+?(?=\")", table)
    assert len(paths) >= 20 and all((DOCS.parent / path).exists() for path in paths)


def test_the_citation_names_this_version():
    import chainrule
    assert f"\nversion: {chainrule.__version__}\n" in (DOCS.parent / "CITATION.cff").read_text(encoding="utf-8")
