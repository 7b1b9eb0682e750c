"""The README's Python, run as a reader would: block after block in one session."""
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_the_code_in_the_readme_runs(monkeypatch, capsys):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) >= 5
    session, printing = {}, 0
    for block in blocks:
        exec(compile(block.replace("epochs=30", "epochs=2"), "README.md", "exec"), session)
        printed = capsys.readouterr().out
        if "print(" in block:
            assert f"{block}```\n\n```\n{printed}```\n" in text, f"the README should show what this prints:\n{printed}"
            printing += 1
    assert printing
    assert session["history"]["val_accuracy"][-1] > 0.5
    pyplot.close("all")


@pytest.mark.parametrize("command", [
    "python -m pip install . && chainrule train",
    'python -m pip install -e ".[test]" && python -m pytest'])
def test_each_command_stands_alone_in_a_block_before_any_other_mention(command):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"\n```\n{command}\n```\n" in text
    assert command.split(" && ")[1] not in text[:text.index(f"```\n{command}\n")]


def test_ci_reads_the_test_command_out_of_the_readme():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "README.md" in script and 'install -e ".[test]"' not in script
