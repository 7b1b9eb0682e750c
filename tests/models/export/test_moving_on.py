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


AFTER = {"with_onnx.py": "out.py", "with_torch.py": "out.py", "back.py": "with_torch.py"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A function that runs a script of the page, once, and before it the one whose files it reads."""
    folder, done = tmp_path_factory.mktemp("moving_on"), {}
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")

    def run(name):
        if name in AFTER:
            run(AFTER[name])
        for package in NEEDS.get(name, ()):
            if not find_spec(package):
                pytest.skip(f"{package} is not installed")
        if name not in done:
            done[name] = subprocess.run([sys.executable, name], cwd=folder, capture_output=True, text=True, timeout=300,
                                        env={**os.environ, "OMP_NUM_THREADS": "1"})
        return done[name]
    return run


def test_every_script_is_run():
    assert [name for name, _ in COMMANDS] == list(FILES) and len(FILES) == TEXT.count("```python\n") == 6


@pytest.mark.parametrize("name, output", COMMANDS, ids=[name for name, _ in COMMANDS])
def test_each_script_prints_what_the_page_shows(name, output, run):
    done = run(name)
    assert done.returncode == 0, done.stderr
    assert done.stdout == output
