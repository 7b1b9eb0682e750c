"""``chainrule grade``: right work gets its marks, each mistake its name, and no cheat a point."""
import csv
import importlib.util
import json
from pathlib import Path

import pytest

from chainrule.models.command import main

ROOT = Path(__file__).parents[3]
SOLVED = (ROOT / "notebooks" / "homework_solutions" / "layers_to_write.py").read_text(encoding="utf-8")
spec = importlib.util.spec_from_file_location("cheats", Path(__file__).with_name("cheats.py"))
cheats = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cheats)


def call(*arguments):
    try:
        return main(["grade", *map(str, arguments)])
    except SystemExit as end:
        return end.code


def grade(folder, *options):
    """The entries of marks.json, by student."""
    assert call(folder, "--seed", 3, *options) == 0
    with open(folder / "marks.json", encoding="utf-8") as file:
        return {entry["student"]: entry for entry in json.load(file)["students"]}


def points(entry):
    return {layer["name"]: layer["mark"] for layer in entry["layers"]}


def said(entry):
    return " ".join([entry["error"], *(layer["refused"] for layer in entry["layers"]),
                     *(f["evidence"] for layer in entry["layers"] for f in layer["findings"])])


@pytest.fixture(scope="module")
def cheated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("class").resolve()
    (folder / "solved.py").write_text(SOLVED, encoding="utf-8")
    for i, cheat in enumerate(cheats.CHEATS):
        text = SOLVED
        if cheat.replaced:
            assert text.count(cheat.replaced[0]) == 1
            text = text.replace(*cheat.replaced)
        text = text.replace("FOLDER", repr(str(folder))) + "\n" + cheat.added + "\n"
        (folder / f"{i:03}.py").write_text(text, encoding="utf-8")
    before = (folder / "solved.py").read_bytes()
    marks = grade(folder, "--seconds", 3, "--memory", 1.5)
    assert (folder / "solved.py").read_bytes() == before
    with open(folder / "marks.csv", encoding="utf-8", newline="") as file:
        assert [row["student"] for row in csv.DictReader(file)] == sorted(marks)
    return marks


def test_right_work_beside_cheats_gets_all_its_marks(cheated):
    assert points(cheated["solved"]) == dict.fromkeys(cheats.ALL, 2)


@pytest.mark.parametrize("i, cheat", list(enumerate(cheats.CHEATS)), ids=[cheat.name for cheat in cheats.CHEATS])
def test_a_cheat_costs_what_it_touches_and_nothing_else(i, cheat, cheated):
    entry = cheated[f"{i:03}"]
    assert cheat.told in said(entry), said(entry)
    lost = {layer for layer, mark in points(entry).items() if mark < 2}
    if cheat.lost or not cheat.told:
        assert lost == set(cheat.lost), said(entry)
        assert not any(points(entry)[layer] for layer in cheat.lost)
    else:
        assert points(entry)["ReLU"] == 1 and lost == {"ReLU"}          # the forward is their own
