"""Seconds that ``chainrule grade`` takes for a class: solved homework, and with a mistake each.

    python tests/benchmarks/classroom.py [HOW_MANY, 100]
"""
import contextlib
import io
import os
import sys
import tempfile
import time
from pathlib import Path

from chainrule.models.command import main

SOLVED = Path(__file__).parents[2] / "notebooks" / "homework_solutions" / "layers_to_write.py"
MISTAKES = [("", ""), ("dout.sum(axis=0)", "dout.mean(axis=0)"), ("return dout * self.mask", "return dout"),
            ("self.y * (1 - self.y)", "(1 - self.y)"),
            ("np.add.at(self.grads[0], self.ids, dout)", "self.grads[0][self.ids] = dout"),
            (".mean()", ".sum()"), ("x @ W + b", "x @ W"), ("        self.mask = x > 0\n", "        raise NotImplementedError\n")]


def measure(how_many):
    text = SOLVED.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        for i in range(how_many):
            mistaken = text.replace(*MISTAKES[i % len(MISTAKES)])
            (Path(folder) / f"student_{i:03}.py").write_text(mistaken, encoding="utf-8")
        begun = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            assert main(["grade", folder]) == 0
        return time.perf_counter() - begun


if __name__ == "__main__":
    how_many = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    print(f"{how_many} hand-ins: {measure(how_many):.0f} s on {os.cpu_count()} cores")
