"""``chainrule notebooks`` copies the chapters, keeps what a reader changed, and runs one."""
import configparser
import importlib.util
import json
import os
import zlib
from pathlib import Path

import pytest

from chainrule.models.command import main, notebooks

ROOT = Path(__file__).parents[3]
SHIPPED = sorted(ROOT.glob("notebooks/*.ipynb"))


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def call(*arguments):
    try:
        return main(("notebooks", *arguments))
    except SystemExit as end:
        return end.code


def test_every_chapter_is_copied_outputs_included(tmp_path, capsys):
    assert call() == 0
    copies = sorted(tmp_path.glob("notebooks/*.ipynb"))
    assert [path.read_bytes() for path in copies] == [path.read_bytes() for path in SHIPPED]
    shown = capsys.readouterr().out
    assert "05_convolution.ipynb  5. Convolution\n" in shown and "jupyter lab notebooks" in shown
    assert 'pip install "chainrule[notebooks]"' in shown


def test_what_a_reader_changed_is_kept(tmp_path, capsys):
    assert call("mine") == 0
    first, second = sorted(tmp_path.glob("mine/*.ipynb"))[:2]
    changed = first.read_text(encoding="utf-8").replace("#", "# Mine:", 1)
    first.write_text(changed, encoding="utf-8")
    second.unlink()
    capsys.readouterr()
    assert call("mine") == 0
    assert first.read_text(encoding="utf-8") == changed and second.exists()
    assert capsys.readouterr().out.count("kept") == 2


@pytest.mark.parametrize("text", ["{", "{}", "[]", '{"cells": [{}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'])
def test_a_copy_that_is_damaged_is_kept_and_named(text, tmp_path, capsys):
    path = tmp_path / "notebooks" / "05_convolution.ipynb"
    path.parent.mkdir()
    path.write_text(text)
    assert call() == 0
    assert f"{path.relative_to(tmp_path)}  5. Convolution  (kept)\n" in capsys.readouterr().out
    assert call("--run", "05") == 2
    assert capsys.readouterr().err.startswith(f"chainrule notebooks: {path.relative_to(tmp_path)} cannot be read: ")
    assert path.read_text() == text


@pytest.mark.parametrize("arguments", [(), ("--run", "05")])
def test_on_a_full_disk_nothing_is_left_half_written(arguments, tmp_path, capsys, monkeypatch):
    path = tmp_path / "notebooks" / "05_convolution.ipynb"
    path.parent.mkdir()
    path.write_text(notebook("a = 6"))

    def full(file):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr("os.fsync", full)
    assert call(*arguments) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert [p.name for p in path.parent.iterdir()] == [path.name] and path.read_text() == notebook("a = 6")


def test_the_wheel_takes_them_along_under_ten_megabytes():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    assert "*.ipynb" in config["options.package_data"]["chainrule.notebooks"]
    assert sum(len(zlib.compress(path.read_bytes(), 1)) for path in ROOT.glob("notebooks/**/*.ipynb")) < 8.2e6
    assert "scipy" in config["options.extras_require"]["notebooks"]


def notebook(*sources):
    cells = [{"cell_type": "code", "execution_count": None, "id": f"c{i}", "metadata": {}, "outputs": [],
              "source": source} for i, source in enumerate(sources)]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


@pytest.mark.parametrize("sources, code", [(["a = 6", "a * 7"], 0), (["print('before')", "1 / 0"], 1)])
def test_one_is_run_where_it_stands(sources, code, tmp_path, capsys):
    path = tmp_path / "notebooks" / "05_convolution.ipynb"
    path.parent.mkdir()
    path.write_text(notebook(*sources))                  # in the chapter's place, as a reader's own
    assert call("--run", "5") == code
    outputs = [cell["outputs"] for cell in json.loads(path.read_text())["cells"]]
    if code:
        assert outputs[1][0]["ename"] == "ZeroDivisionError"
        assert "ZeroDivisionError" in capsys.readouterr().err
    else:
        assert outputs[1][0]["data"]["text/plain"] == ["42"]
        assert "2 cells ran without an error" in capsys.readouterr().out


@pytest.mark.parametrize("death, code, said", [("os.kill(os.getppid(), 2)", 130, "stopped"), ("os._exit(1)", 2, "Kernel died")])
def test_ctrl_c_and_a_kernel_that_dies_are_told_in_a_line(death, code, said, tmp_path, capsys):
    if os.name != "posix":
        pytest.skip("cells know no parent's signals there")
    path = tmp_path / "notebooks" / "05_convolution.ipynb"
    path.parent.mkdir()
    path.write_text(notebook("1 + 1", f"import os, time\n{death}\ntime.sleep(60)"))
    assert call("--run", "5") == code
    assert capsys.readouterr().err.endswith(f"{said}\n")
    assert json.loads(path.read_text())["cells"][0]["outputs"][0]["data"]["text/plain"] == ["2"]


@pytest.mark.parametrize("text", ["5", "05", "05_convolution", "05_convolution.ipynb", "convolution"])
def test_a_chapter_by_number_or_name(text):
    names = [path.relative_to(ROOT / "notebooks") for path in SHIPPED]
    assert notebooks.chosen(text, names) == Path("05_convolution.ipynb")


def test_wrong_calls_are_one_line_and_code_2(tmp_path, capsys, monkeypatch):
    assert call("--run", "99") == 2
    assert "no chapter is called '99'; there is 0" in capsys.readouterr().err
    assert call("--run", "n") == 2
    assert "more than one chapter is called 'n'" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert call("file") == 2
    assert "cannot write into file: " in capsys.readouterr().err
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "nbclient" else found(name))
    assert call("--run", "05") == 2
    assert "running a chapter needs nbclient: python -m pip install" in capsys.readouterr().err
