"""docs/moving_on.md as a reader follows it: one folder, the scripts of the page, in its order."""
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

TEXT = (Path(__file__).parents[3] / "docs" / "moving_on.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", TEXT, re.DOTALL))
COMMANDS = re.findall(r"^\$ python (\S+)\n((?:(?!\$ |```).*\n)*)", TEXT, re.MULTILINE)
NEEDS = {"out.py": ["onnx_ir"], "with_onnx.py": ["onnx_ir", "onnxruntime"], "with_torch.py": ["onnx_ir", "torch"],
         "back.py": ["onnx_ir", "torch"], "registered.py": ["onnx_ir"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("moving_on")
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_every_script_is_run():
    assert [name for name, _ in COMMANDS] == list(FILES) and len(FILES) == TEXT.count("```python\n") == 6


@pytest.mark.parametrize("name, output", COMMANDS, ids=[name for name, _ in COMMANDS])
def test_each_script_prints_what_the_page_shows(name, output, folder):
    missing = [package for package in NEEDS.get(name, ()) if not find_spec(package)]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")
    if name == "back.py" and not (folder / "tuned.safetensors").exists():
        pytest.skip("with_torch.py has not run")
    done = subprocess.run([sys.executable, name], cwd=folder, capture_output=True, text=True, timeout=300,
                          env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert done.stdout == output
