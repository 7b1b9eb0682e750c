"""The table of convolutions beside PyTorch's: does it come out, and is what it times the layer that it names?"""
import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

FILE = Path(__file__).with_name("convolutions.py")
spec = importlib.util.spec_from_file_location("convolutions", FILE)
convolutions = importlib.util.module_from_spec(spec)
spec.loader.exec_module(convolutions)


def test_one_command_prints_the_kinds_with_all_words():
    done = subprocess.run([sys.executable, FILE, "5x5", "few"], capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    header, row = done.stdout.splitlines()
    assert header.startswith("forward and backward") and row.startswith("5x5, few channels ") and float(row[28:41]) > 0


@pytest.mark.parametrize("kind", convolutions.KINDS)
def test_every_kind_goes_forward_and_back(kind):
    _, C, side, filters, size, options = convolutions.KINDS[kind]
    y, dx = convolutions.ours(1, C, side, filters, size, options)()
    assert dx.shape == (1, C, side, side) and dx.dtype == y.dtype == np.float32
    assert y.shape[1] == (C if isinstance(filters, type) else filters)
