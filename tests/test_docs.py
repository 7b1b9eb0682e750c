"""The pages of docs/ as a reader follows them: files written, commands run, outputs compared."""
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ranks import ENVIRONMENT, launcher

DOCS = Path(__file__).parent.parent / "docs"
TEXT = (DOCS / "scaling_up.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", TEXT, re.DOTALL))
COMMANDS = re.findall(r"^\$ (.*)\n((?:(?!\$ |```).*\n)*)", TEXT, re.MULTILINE)
NEEDS = {"dask_search.py": "distributed", "samplers.py": "optuna"}


def test_every_block_of_python_is_a_file_that_a_command_runs():
    assert len(FILES) == TEXT.count("```python\n") >= 5
    assert all(any(name in command for command, _ in COMMANDS) for name in FILES)


@pytest.mark.parametrize("command, output", COMMANDS, ids=[command for command, _ in COMMANDS])
def test_each_command_prints_what_the_page_shows(command, output, tmp_path):
    *_, name = command.split()
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason=f"{NEEDS[name]} is not installed")
    for file, text in FILES.items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    words = {"python": sys.executable, "mpiexec": launcher() if "mpiexec" in command else ""}
    done = subprocess.run([words.get(word, word) for word in command.split()], cwd=tmp_path,
                          capture_output=True, text=True, timeout=300,
                          env={**os.environ, **ENVIRONMENT})
    assert done.returncode == 0, done.stderr
    assert done.stdout == output
