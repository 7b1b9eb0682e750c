"""What the table does not reach: numbers in the place of arrays, and what single layers refuse."""
import numpy as np
import pytest

from chainrule.layers import Add, BatchNorm, Log, Multiply, Power, Reshape, Subtract
from tests.errors import refused

X = np.array([[1.0, -2.0], [3.0, 4.0]])


@pytest.mark.parametrize("a, b, expected", [
    (2, X, 2 - X), (2.5, X, 2.5 - X), (X, 3, X - 3), (X, 0.5, X - 0.5),
    (X.astype(np.float32), X, 0 * X), (X, np.ones((3, 1, 2)), None)])
def test_numbers_and_other_dtypes_beside_an_array(a, b, expected):
    y = Subtract().forward(a, b)
    np.testing.assert_array_equal(y, X - np.ones((3, 1, 2)) if expected is None else expected)
    assert y.dtype == np.float64


def test_a_number_takes_the_dtype_of_the_array():
    x = X.astype(np.float32)
    assert Add().forward(x, 2).dtype == Multiply().forward(0.1, x).dtype == np.float32
    layer = Multiply()
    layer.forward(3.0, x)
    da, db = layer.backward(np.ones_like(x))
    assert da == x.sum() and (db == 3).all()


def test_shapes_that_do_not_broadcast():
    with refused(ValueError, "Add: a and b … (2, 2) and (3,)"):
        Add().forward(X, np.ones(3))


def test_a_power_has_one_exponent():
    with refused(TypeError, "Power: … Power(2) … Power()…"):
        Power().forward(X)
    with refused(TypeError, "Power: … Power(2) … Power()…"):
        Power(2).forward(X, X)


def test_a_logarithm_of_what_has_none_names_the_entry_and_keeps_nothing():
    layer = Log()
    with refused(ValueError, "Log: x … -2.0 … (0, 1)"):
        layer.forward(X)
    assert layer.cache is None


def test_a_batch_that_is_not_finite_leaves_the_running_statistics():
    layer = BatchNorm.init(2, dtype=np.float64)
    with np.errstate(all="ignore"):
        layer.forward(np.array([[1.0, np.inf], [2.0, 3.0]]))
    assert (layer.running_mean == 0).all() and (layer.running_var == 1).all()


def test_a_shape_is_a_tuple_with_one_open_size():
    with refused(TypeError, "Reshape: shape … 6 … Reshape((-1, 6))…"):
        Reshape(6)
    with refused(ValueError, "Reshape: shape … -1 … (-1, -1)"):
        Reshape((-1, -1))
