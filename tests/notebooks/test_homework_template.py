"""The homework template for teachers: what it gives for work not begun, for work done, and for work with two mistakes in it."""
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TEMPLATE = Path(__file__).parents[2] / "notebooks" / "homework_template"
LEFT = "        raise NotImplementedError\n"
SOLUTIONS = {
    "Affine": ("self.x = x; return x @ self.params[0] + self.params[1]",
               "self.grads[0][...] = self.x.T @ dout; self.grads[1][...] = dout.sum(axis=0); return dout @ self.params[0].T"),
    "ReLU": ("self.mask = x > 0; return x * self.mask",
             "return dout * self.mask"),
    "Sigmoid": ("self.y = 1 / (1 + np.exp(-x)); return self.y",
                "return dout * self.y * (1 - self.y)"),
    "Embedding": ("self.ids = ids; return self.params[0][ids]",
                  "self.grads[0][...] = 0; np.add.at(self.grads[0], self.ids, dout)"),
    "SoftmaxWithLoss": ("n = np.arange(len(x)); self.p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True); "
                        "self.t = np.eye(x.shape[1])[t]; return -np.log(self.p[n, t]).mean()",
                        "return dout * (self.p - self.t) / len(self.p)"),
}


def output_for(folder, changes):
    """What pytest prints for a copy of the template: as it is (``changes`` None), or solved and then changed."""
    shutil.copytree(TEMPLATE, folder, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))
    path = folder / "layers_to_write.py"
    text = path.read_text(encoding="utf-8")
    if changes is not None:
        for method in (method for methods in SOLUTIONS.values() for method in methods):
            text = text.replace(LEFT, f"        {method}\n", 1)
        for right, wrong in changes:
            assert text.count(right) == 1
            text = text.replace(right, wrong)
        path.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "test_homework.py"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True).stdout


def test_the_template_leaves_just_the_methods_of_the_solutions():
    text = (TEMPLATE / "layers_to_write.py").read_text(encoding="utf-8")
    assert text.count(LEFT) == sum(map(len, SOLUTIONS.values()))
    assert [line[6:-1] for line in text.splitlines() if line.startswith("class ")] == list(SOLUTIONS)


@pytest.mark.parametrize("changes, marks", [
    (None, [0, 0, 0, 0, 0]),
    ([], [2, 2, 2, 2, 2]),
    ([("dout.sum(axis=0)", "dout.mean(axis=0)"), ("; return self.y", "; return self.y + 1")], [1, 2, 0, 2, 2]),
], ids=["not begun", "solved", "two mistakes"])
def test_the_mark_is_given_per_layer(changes, marks, tmp_path):
    output = output_for(tmp_path / "homework", changes)
    for layer, points in zip(SOLUTIONS, marks):
        assert f"\n{layer:18}{points} of 2\n" in output
    assert f"\nmark              {sum(marks)} of 10\n" in output
    passed, failed = sum(marks), 10 - sum(marks)
    counts = ", ".join([f"{failed} failed"] * (failed > 0) + [f"{passed} passed"] * (passed > 0))
    assert f"{counts} in " in output
    assert ("divided-by-N in params[1]" in output) == (failed == 3)
