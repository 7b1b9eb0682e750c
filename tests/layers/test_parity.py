"""Values and gradients of every layer against PyTorch's, stored in data/ by tests/make_torch_reference.py.

The stored inputs, parameters and upstream gradients are float32 numbers, which float64 holds exactly; the stored results are
PyTorch's in float64. So one reference serves both dtypes, and float32 is measured against the true value.

The rule: no entry is further from the reference than 1e-10 (float64) or 1e-5 (float32) times the largest entry of its array.
"""
from pathlib import Path

import numpy as np
import pytest

from tests.layers.table import CASES, TABLE

FOLDER = Path(__file__).parent / "data"
TOLERANCE = {np.float64: 1e-10, np.float32: 1e-5}


class Draws:
    """In the place of a layer's generator: the stored numbers, whatever NumPy's random stream may become."""

    def __init__(self, numbers):
        self.numbers = numbers

    def random(self, shape, dtype):
        return self.numbers.reshape(shape).astype(dtype)


def run(case, stored, dtype, order=lambda a: a):
    """The row's layer on the stored numbers, in some order of memory: ``{"y.0", "dx.0", "grads.0", ...}``, and the layer."""
    layer = case.make(dtype)
    for p, value in zip(layer.params, series(stored, "params"), strict=True):
        p[...] = value
    if "draws" in stored:
        layer.buffers["rng"] = Draws(stored["draws"])
    y = layer.forward(*(order(cast(x, dtype)) for x in series(stored, "inputs")))
    dout = tuple(float(d) if isinstance(y, float) else order(cast(d, dtype)) for d in series(stored, "dout"))
    dx = layer.backward(dout if isinstance(y, tuple) else dout[0])
    return {**numbered("y", y), **numbered("dx", dx), **numbered("grads", layer.grads)}, layer


ORDERS = {
    "columns first": lambda a: np.asfortranarray(a),
    "channels last": lambda a: np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 1, -1)), -1, 1) if a.ndim > 1 else a,
    "every other": lambda a: np.repeat(a, 2, axis=-1)[..., ::2] if a.ndim else a,
    "backwards": lambda a: np.flip(np.ascontiguousarray(np.flip(a))),
}


def cast(x, dtype):
    return x.astype(dtype) if x.dtype.kind == "f" else x


def series(stored, what):
    return [stored[f"{what}.{i}"] for i in range(sum(key.startswith(f"{what}.") for key in stored))]


def numbered(what, arrays):
    """One array or several, named; an input without gradient, None, has no name."""
    arrays = arrays if isinstance(arrays, (tuple, list)) else (arrays,)
    return {f"{what}.{i}": a for i, a in enumerate(arrays) if a is not None}


def load(name):
    """The stored numbers of one row of the table, ``{"inputs.0": ..., "dout.0": ..., "y.0": ...}``; empty if there are none."""
    cls, _, row = name.partition(", ")
    path = FOLDER / f"{cls}.npz"
    if not path.exists():
        return {}
    with np.load(path) as data:
        return {key.split("|")[1]: data[key] for key in data.files if key.split("|")[0] == row}


def compare(got, expected, tolerance, what):
    assert np.shape(got) == expected.shape, what
    error, scale = float(np.abs(got - expected).max()), float(np.abs(expected).max())
    scale = max(scale, 0.1)              # some gradients are 0 on paper: that of an attention's key bias
    assert error <= tolerance * scale, f"{what} is {error:.1e} off, its largest entry is {scale:.1e}"


def check(name, dtype, **options):
    stored = load(name)
    assert stored, f"no reference for {name}: add it to REFERENCE in tests/make_torch_reference.py and run that"
    results, _ = run(CASES[name], stored, dtype, **options)
    assert set(results) == {key for key in stored if key.split(".")[0] in ("y", "dx", "grads")}
    for what, got in results.items():
        compare(got, stored[what], TOLERANCE[dtype], what)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=["float64", "float32"])
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_pytorch(name, dtype):
    check(name, dtype)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", CASES)
def test_the_order_of_memory_changes_nothing(name, order):
    check(name, np.float64, order=ORDERS[order])


def test_no_stored_file_is_left_over():
    assert {path.stem for path in FOLDER.glob("*.npz")} <= set(TABLE)
