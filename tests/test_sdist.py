"""The archive of the sources, installed elsewhere, passes its whole suite: nothing that the tests need is left at home."""
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(*words, cwd):
    env = {name: value for name, value in os.environ.items() if not name.startswith(("CHAINRULE_", "PYTHON", "PYTEST"))}
    return subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True)


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sdist")
    built = run(sys.executable, "-m", "build", "--sdist", "--outdir", folder, ROOT, cwd=folder)
    assert built.returncode == 0, built.stderr
    archive, = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    inside, = (path for path in folder.iterdir() if path.is_dir())
    return inside


@pytest.mark.slow
def test_it_holds_every_file_of_the_repository(unpacked):
    listed = run("git", "ls-files", cwd=ROOT)
    if listed.returncode:
        pytest.skip("not in a clone")
    missing = [name for name in listed.stdout.splitlines() if not (unpacked / name).exists()]
    assert not missing


@pytest.mark.slow
def test_its_whole_suite_passes(unpacked, tmp_path):
    assert run(sys.executable, "-m", "venv", tmp_path / "env", cwd=tmp_path).returncode == 0
    python = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    installed = run(python, "-m", "pip", "install", "--quiet", f"{unpacked}[test]", cwd=tmp_path)
    assert installed.returncode == 0, installed.stderr
    done = run(python, "-m", "pytest", "-q", cwd=unpacked)
    assert done.returncode == 0, done.stdout[-3000:]
