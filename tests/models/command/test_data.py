"""``chainrule data`` lists what there is, and fetches what is named."""
import pytest

from chainrule.datasets import download
from chainrule.datasets.catalogue import CATALOGUE
from chainrule.models.command import main


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CHAINRULE_DATA", str(tmp_path))
    return tmp_path


def call(*arguments):
    try:
        return main(("data", *arguments))
    except SystemExit as end:
        return end.code


def test_the_list_says_what_is_there(folder, capsys):
    for name in "train", "valid", "test":
        (folder / f"ptb.{name}.txt").write_text("a")
    (folder / "t10k-labels-idx1-ubyte").write_text("a")
    assert call() == 0
    first, _, *lines = capsys.readouterr().out.splitlines()
    assert first == f"data folder: {folder}" and len(lines) == 2 * len(CATALOGUE)
    state = {name.split()[0]: after.strip() for name, after in zip(lines[::2], lines[1::2])}
    assert state["digits"] == "comes with chainrule" and state["ptb"] == "there"
    assert state["mnist"] == "3 of 4 files missing, 12 MB"
    assert state["cifar10"] == "1 of 1 files missing, 170 MB"


def test_what_is_named_is_fetched(folder, capsys, monkeypatch):
    monkeypatch.setattr(download, "fetch", lambda who, file, at: at / file.name)
    assert call("fashion-mnist", "digits") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(folder / "fashion-mnist" / "train-images-idx3-ubyte.gz")
    assert len(lines) == 5 and lines[-1] == "digits comes with chainrule"


def test_what_cannot_be_fetched_ends_with_one_line_and_code_2(capsys, monkeypatch):
    def refuse(who, file, at):
        raise FileNotFoundError(f"{who}: no {file.name}")
    monkeypatch.setattr(download, "fetch", refuse)
    assert call("mnist") == 2
    assert capsys.readouterr().err == "chainrule data: load_mnist: no train-images-idx3-ubyte.gz\n"


def test_an_unknown_name(capsys):
    assert call("mnits") == 2
    assert "no data set is called 'mnits'; there is digits, mnist, " in capsys.readouterr().err


def test_help(capsys):
    assert call("--help") == 0
    text = capsys.readouterr().out
    assert "CHAINRULE_DATA" in text and max(map(len, text.splitlines())) <= 100
