"""Windows habits, looked for on any machine: text files name their encoding, what POSIX alone has is asked for first."""
import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = [path for folder in ("common", "layers", "optimizers", "datasets", "models", "docs") for path in
         sorted((ROOT / folder).rglob("*.py")) if "_build" not in path.parts]
POSIX = r"\b(?:killpg|fork|SIGKILL|SIGHUP|SIGALRM|getuid|geteuid|fchmod|resource|fcntl|pwd|grp|uname|sched_getaffinity)\b"
ASKED = r"hasattr\(|getattr\(|os\.name|suppress\(|except (?:\(|ImportError|AttributeError)|sys\.platform"


def calls(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield node, getattr(node.func, "attr", getattr(node.func, "id", ""))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_text_files_name_their_encoding(path):
    for node, name in calls(path):
        named = {word.arg for word in node.keywords}
        modes = [a.value for a in node.args[1:2] if isinstance(a, ast.Constant)] + [
            word.value.value for word in node.keywords if word.arg == "mode" and isinstance(word.value, ast.Constant)]
        if name == "open" and isinstance(node.func, ast.Name):
            assert "encoding" in named or any("b" in str(mode) for mode in modes), f"{path}:{node.lineno}"
        if name in ("read_text", "write_text"):
            given = len(node.args) > (name == "write_text")
            assert "encoding" in named or given, f"{path}:{node.lineno}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_posix_alone_has_is_asked_for_first(path):
    text = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = ast.unparse(ast.Module(body=node.body, type_ignores=[]))
            code = re.sub(r'"[^"\n]*"|\'[^\'\n]*\'', "", body)
            if re.search(rf"(?:\bos|\bsignal)\.{POSIX[2:]}|import (?:resource|fcntl|pwd|grp)\b", code):
                assert re.search(ASKED, body), f"{path}: {node.name}"


def test_a_console_that_does_not_know_all_letters(tmp_path):
    folder = tmp_path / "Übung 3"
    folder.mkdir()
    (folder / "Zoë Σ.py").write_text("# ∂\nclass ReLU:\n    def forward(self, x):\n        print('∂')\n        return x\n",
                                    encoding="utf-8")
    env = {**os.environ, "PYTHONUTF8": "0", "PYTHONIOENCODING": "cp1252"}
    for words in (["grade", folder], ["notebooks", tmp_path / "ß"]):
        done = subprocess.run([sys.executable, "-m", "chainrule", *words], env=env, cwd=tmp_path, capture_output=True)
        assert done.returncode == 0, done.stderr
        done.stdout.decode("cp1252")
    assert "Zoë Σ,0,10" in (folder / "marks.csv").read_text(encoding="utf-8")
