"""Every check: what passes, and the whole sentence for what does not."""
import numpy as np
import pytest

from chainrule.common import checks
from chainrule.models import Input
from tests.errors import refused

nan, inf = np.nan, np.inf


@pytest.mark.parametrize("shape, pattern, fits", [
    ((), (), True), ((1,), (), False),
    ((5,), (5,), True), ((5,), (4,), False), ((5,), ("N",), True), ((5, 1), ("N",), False),
    ((2, 3, 8, 8), ("N", 3, "H", "W"), True), ((2, 4, 8, 8), ("N", 3, "H", "W"), False), ((2, 3, 8), ("N", 3, "H", "W"), False),
    ((2, 5), ("N", ..., 5), True), ((2, 9, 9, 5), ("N", ..., 5), True),
    ((2, 5, 9), ("N", ..., 5), False), ((5,), ("N", ..., 5), False), ((5,), (..., "C"), True), ((), (..., "C"), False),
    ((7,), ("N", ...), True), ((7, 1, 2), ("N", ...), True), ((), ("N", ...), False),
    ((9, 2, 3), (..., 2, "M"), True), ((9, 3, 2), (..., 2, "M"), False), ((4, 1), (..., 4, "N", "K"), False)])
def test_a_pattern_fits(shape, pattern, fits):
    assert checks.matches(shape, pattern) is fits


@pytest.mark.parametrize("pattern, text", [
    ((), "()"), ((5,), "(5,)"), (("N",), "(N,)"), (("N", ..., 3), "(N, ..., 3)"), (("N", ...), "(N, ...)")])
def test_a_pattern_reads_as_a_shape(pattern, text):
    assert checks.shape_text(pattern) == text


def test_the_form_of_all_messages():
    assert checks.wrong("Who", "x", "be big", 3) == "Who: x should be big, got 3"
    assert checks.wrong("Who", "x", "be big", 3, "eat") == "Who: x should be big, got 3; eat"


class Column:
    """Of a table: NumPy makes an array of objects of it."""

    def __init__(self, values):
        self.values = values

    def __len__(self):
        return len(self.values)

    def __array__(self, dtype=None, copy=None):
        a = np.empty(len(self), object)
        a[:] = self.values
        return a


class TestArray:
    def test_an_array_of_the_right_dtype_is_passed_through(self):
        x = np.ones((2, 3), np.float32)
        assert checks.array("Who", "x", x) is x
        assert checks.array("Who", "x", x, np.float32, ("N", 3)) is x

    @pytest.mark.parametrize("x", [[[1, 0]], np.array([[True, False]]), np.array([[1, 0]], np.uint8), [[1.0, 0.0]]])
    def test_any_real_number_is_cast_where_a_dtype_is_asked(self, x):
        a = checks.array("Who", "x", x, np.float32)
        assert a.dtype == np.float32 and a.tolist() == [[1.0, 0.0]]

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_without_one_a_float_keeps_its_own(self, dtype):
        assert checks.array("Who", "x", np.ones(2, dtype)).dtype == dtype

    def test_a_python_number_is_a_float(self):
        a = checks.array("Who", "x", 2)
        assert a.dtype == np.float64 and a == 2 and checks.array("Who", "x", 2, np.float32).dtype == np.float32

    @pytest.mark.parametrize("x, got", [
        (np.ones(2, np.int64), "int64 ndarray … x.astype(np.float32)"),
        (np.ones(2, np.uint8), "uint8 ndarray … x.astype(np.float32)"),
        (np.ones(2, bool), "bool ndarray … x.astype(np.float32)"),
        ([2], "int64 list … np.array(x, np.float32)"),
        (True, "bool bool … np.array(x, np.float32)"),
        ("abc", "<U3 str"), (np.ones(2, complex), "complex128 ndarray"), (None, "NoneType"), ({}, "dict"),
        ([[1.0], [1.0, 2.0]], "a ragged list"), ([None, 1.0], "list of objects (NoneType, float)"),
        (np.array([None, "a", 1, 2.0, 3]), "ndarray of objects (NoneType, str, int, ...)"), (np.array(None), "ndarray"),
        (np.array([True, 2.5], object), "ndarray of objects (bool, float) … x.astype(np.float32)"),
        (Column([1, 2]), "Column of objects (int) … np.array(x, np.float32)"),
        (Column([np.ones(2), np.ones(2)]), "Column of objects (ndarray) … np.stack(x)…"),
        (Column([np.ones(2), np.ones(3)]), "Column of objects (ndarray)"), (np.empty(0, object), "ndarray")])
    def test_without_one_all_else_is_refused(self, x, got):
        with refused(TypeError, f"Who: x … array of floats … {got}"):
            checks.array("Who", "x", x)

    @pytest.mark.parametrize("x, got", [("abc", "<U3 str"), (np.ones(2, complex), "complex128 ndarray"), (None, "NoneType"),
                                        ([[1.0], [1.0, 2.0]], "a ragged list")])
    def test_what_is_no_real_number_is_refused_with_one_too(self, x, got):
        with refused(TypeError, f"Who: x … array of floats … {got}"):
            checks.array("Who", "x", x, np.float32)

    @pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)])
    def test_an_empty_array_is_refused(self, shape):
        with refused(ValueError, f"Who: x … empty … shape {shape}"):
            checks.array("Who", "x", np.ones(shape))

    @pytest.mark.parametrize("shape, pattern, message", [
        ((2, 3), ("N", ..., 4), "(N, ..., 4) … (2, 3)"),
        ((6, 28, 28), ("N", ..., 784),
         "(N, ..., 784) … (6, 28, 28) … Flatten()…"),
        ((784, 1, 1), ("N", ..., 784), "(N, ..., 784) … (784, 1, 1)"),
        ((784, 2), ("N", ..., 784), "(N, ..., 784) … (784, 2)"),
        ((4,), ("N", ..., 4), "(N, ..., 4) … (4,) … x[None, :]"),
        ((3,), ("N", ..., 4), "(N, ..., 4) … (3,)"),
        ((5,), (5, 1), "(5, 1) … (5,) … reshape … (5, 1)"),
        ((5, 1), (5,), "(5,) … (5, 1) … reshape … (5,)"),
        ((1, 5), (5, 1), "(5, 1) … (1, 5) … reshape … (5, 1)"),
        ((2, 3), (3, 2), "(3, 2) … (2, 3) … x.T"),
        ((4, 2, 3), (2, 3, 4), "(2, 3, 4) … (4, 2, 3) … x.transpose(1, 2, 0)"),
        ((2, 3, 2), (2, 2, 3), "(2, 2, 3) … (2, 3, 2) … axes…"),
        ((2, 6), (3, 4), "(3, 4) … (2, 6)"),
        ((3, 2), ("N", 3), "(N, 3) … (3, 2)"),
        ((4, 3), (3, 3), "(3, 3) … (4, 3)"),
        ((2,), (), "() … (2,)"),
        ((12,), ("N", 12), "(N, 12) … (12,) … x[None, :]"),
        ((12, 1), ("N", 2, 6), "(N, 2, 6) … (12, 1)")])
    def test_a_wrong_shape_is_refused_with_the_way_out(self, shape, pattern, message):
        with refused(ValueError, f"Who: x … shape {message}"):
            checks.array("Who", "x", np.ones(shape), np.float64, pattern)

    def test_the_way_out_names_the_argument(self):
        with refused(ValueError, "Who: h … shape (N, 2) … (2,) … h[None, :]"):
            checks.array("Who", "h", np.ones(2), np.float64, ("N", 2))


class TestLabels:
    @pytest.mark.parametrize("t", [
        [0, 2, 1], np.array([0, 2, 1], np.uint8), np.array([0, 2, 1], ">i4"), np.array([0, 0, 2, 0, 1, 0])[::2]])
    def test_integers_of_any_kind_pass(self, t):
        t = checks.labels("Who", t, (3,), 3)
        assert t.dtype == np.intp and t.tolist() == [0, 2, 1]

    @pytest.mark.parametrize("dtype", [float, bool, np.float32])
    def test_other_kinds_are_refused(self, dtype):
        with refused(TypeError, f"Who: t … integer class labels … {np.dtype(dtype)} … t.astype(int)…"):
            checks.labels("Who", np.ones(3, dtype), (3,), 3)

    @pytest.mark.parametrize("t, hint", [
        (np.eye(3), " … one-hot … t.argmax(axis=-1)…"),
        (np.eye(3, dtype=bool), " … one-hot … t.argmax(axis=-1)…"),
        (np.ones((3, 3)), " … t.astype(int)…"), (np.eye(2), " … t.astype(int)…"),
        (np.eye(3) * 2, " … t.astype(int)…"), (np.array([0.5]), ""), (np.array([nan]), "")])
    def test_the_way_to_integers_that_keeps_the_meaning(self, t, hint):
        with refused(TypeError, f"Who: t … integer class labels … {t.dtype}{hint}"):
            checks.labels("Who", t, t.shape, 3)

    @pytest.mark.parametrize("t, got", [
        (None, "NoneType"), ([[0], [1, 2]], "a ragged list"), (np.array([0, None, 2]), "ndarray of objects (int, NoneType)"),
        (["a", "b", "c"], "<U1 … np.unique(t, return_inverse=True)[1]…"),
        (np.array(["a", "bc"], object), "ndarray of objects (str) … np.unique(t, return_inverse=True)[1]…"),
        (np.array([0, 2, 1], object), "ndarray of objects (int) … t.astype(int)…")])
    def test_what_is_no_number_is_refused(self, t, got):
        with refused(TypeError, f"Who: t … integer class labels … {got}"):
            checks.labels("Who", t, (3,), 3)

    @pytest.mark.parametrize("shape, got, hint", [
        ((3,), (3, 1), " … reshape … (3,)"), ((3,), (4,), ""), ((3,), (), ""),
        ((2, 3), (3, 2), " … t.T"), ((2, 3), (6,), ""), ((3,), (0,), "")])
    def test_another_shape_is_refused(self, shape, got, hint):
        with refused(ValueError, f"Who: t … shape {shape} … {got}{hint}"):
            checks.labels("Who", np.zeros(got, int), shape, 3)

    @pytest.mark.parametrize("t, got", [
        ([0, 3, -1], "3 at index 1"), ([0, 1, -1], "-1 at index 2"), ([[0, 1], [2, 9]], "9 at index (1, 1)"),
        (np.array([0, 255], np.uint8), "255 at index 1")])
    def test_a_label_outside_the_classes_is_refused(self, t, got):
        with refused(ValueError, f"Who: t … labels in 0..2 … {got}"):
            checks.labels("Who", t, np.shape(t), 3)

    @pytest.mark.parametrize("ignore", [-1, 255, 1])
    def test_the_label_to_ignore_passes_and_no_other(self, ignore):
        assert checks.labels("Who", [0, ignore], (2,), 3, ignore).tolist() == [0, ignore]
        with refused(ValueError, "Who: t … labels in 0..2 … -7 at index 1"):
            checks.labels("Who", [ignore, -7], (2,), 3, ignore)

    def test_none_at_all_pass(self):
        assert checks.labels("Who", np.zeros(0, int), (0,), 3).shape == (0,)
        with refused(ValueError, "Who: t … shape (3,) … (0,)"):
            checks.labels("Who", [], (3,), 3)


def test_finite_numbers_pass_and_the_first_other_is_named():
    checks.finite("Who", "x", np.array([[1.0, -1e300]]))
    checks.finite("Who", "x", [1, 2])
    checks.finite("Who", "x", np.array(["no", "number"]))
    for bad in (nan, inf, -inf):
        with refused(ValueError, f"Who: x … finite numbers only … {bad} at index (1, 0)"):
            checks.finite("Who", "x", np.array([[1.0, 2.0], [bad, nan]]))


class TestCount:
    @pytest.mark.parametrize("n", [1, 7, np.int64(7), np.uint8(7)])
    def test_a_whole_number_becomes_an_int(self, n):
        result = checks.count("Who", "n", n)
        assert type(result) is int and result == n

    @pytest.mark.parametrize("n", [1.0, "1", None, True, np.True_, [1], np.float64(2)])
    def test_what_is_none_is_refused(self, n):
        with refused(TypeError, f"Who: n … whole number … {n!r}"):
            checks.count("Who", "n", n)

    def test_what_has_a_length_is_told_to_give_it(self):
        class Words:
            def __len__(self):
                return 3
        with refused(TypeError, "Who: n … whole number … Words … len(n)…"):
            checks.count("Who", "n", Words())

    def test_several(self):
        checks.counts("Who", n=1, m=2)
        with refused(ValueError, "Who: m … at least 1 … 0"):
            checks.counts("Who", n=1, m=0)

    def test_a_smaller_one_is_refused(self):
        with refused(ValueError, "Who: n … at least 1 … 0"):
            checks.count("Who", "n", 0)
        assert checks.count("Who", "n", 0, least=0) == 0
        with refused(ValueError, "Who: n … at least 0 … -1"):
            checks.count("Who", "n", -1, least=0)


def test_a_whole_number_may_have_any_sign():
    assert checks.whole("Who", "axis", -(2**40)) == -(2**40)
    given = checks.axis("Who", np.int64(1)), *checks.axis("Who", (np.int8(0), -1))
    assert given == (1, 0, -1) and {type(a) for a in given} == {int} and checks.axis("Who", None) is None
    with refused(TypeError, "Who: axis … whole number … 1.0"):
        checks.whole("Who", "axis", 1.0)


class TestKind:
    class Made:
        def forward(self, x):
            return x

    def test_classes_and_functions_pass(self):
        checks.kind_of("Who", "kind", self.Made, "ReLU")
        checks.kind_of("Who", "kind", self.Made, "ReLU", "forward")
        checks.kind_of("Who", "kind", lambda: self.Made(), "ReLU")

    @pytest.mark.parametrize("kind, got", [("relu", "'relu'"), (None, "None"), (3, "3")])
    def test_what_is_none_is_refused(self, kind, got):
        with refused(TypeError, f"Who: kind … a class such as ReLU … {got}; kind=ReLU…"):
            checks.kind_of("Who", "kind", kind, "ReLU")

    def test_a_layer_and_a_class_without_the_method_are_refused(self):
        class Callable(self.Made):
            __call__ = self.Made.forward
        with refused(TypeError, "Who: kind … ReLU … kind=ReLU…"):
            checks.kind_of("Who", "kind", Callable(), "ReLU")
        with refused(TypeError, "Who: kind … a class such as LSTM … Made; kind=LSTM…"):
            checks.kind_of("Who", "kind", self.Made, "LSTM", "reset_state")


class TestNumber:
    @pytest.mark.parametrize("value", [2, 2.0, np.float32(2), np.array(2.0), np.int8(2)])
    def test_a_number_becomes_a_float(self, value):
        result = checks.number("Who", "n", value)
        assert type(result) is float and result == 2.0

    @pytest.mark.parametrize("value", [nan, inf, -inf, np.array([1.0, 2.0]), [1.0]])
    def test_what_is_not_one_finite_number_is_refused(self, value):
        with refused(ValueError, f"Who: n … finite number … {value!r}"):
            checks.number("Who", "n", value)

    @pytest.mark.parametrize("value", ["fast", "0.1", b"1", None, True, np.True_, 1j, np.complex64(1), len])
    def test_what_is_no_number_is_refused(self, value):
        with refused(TypeError, f"Who: n … finite number … {value!r}"):
            checks.number("Who", "n", value)

    def test_limits_belong_to_the_range(self):
        assert [checks.number("Who", "n", n, 0, 1) for n in (0, 0.5, 1)] == [0, 0.5, 1]
        for n in (-1e-9, 1 + 1e-9):
            with refused(ValueError, f"Who: n … a share … {n}"):
                checks.number("Who", "n", n, 0, 1, expected="be a share")


class TestParameters:
    def test_float_arrays_of_one_dtype_pass(self):
        checks.parameters("Who", {})
        checks.parameters("Who", {"W": np.ones((2, 3), np.float32), "b": np.ones(1, np.float32)})

    @pytest.mark.parametrize("dtype", [np.float16, np.longdouble])
    def test_other_sizes_of_floats_are_refused_with_the_cast_that_helps(self, dtype):
        with refused(TypeError, "Who: W … float32 … float64 … W.astype(np.float32)"):
            checks.parameters("Who", {"W": np.ones((2, 3), dtype)})

    @pytest.mark.parametrize("p", [np.ma.array([1.0], mask=[True]), np.ones((1, 1)).view(np.matrix)])
    def test_a_mask_or_a_matrix_is_refused(self, p):
        with refused(TypeError, "Who: W … NumPy … np.array(W)…"):
            checks.parameters("Who", {"W": p})

    @pytest.mark.parametrize("p, got", [
        ([1.0], "list"), (1.0, "float"), (np.float64(1), "float64"), (np.ones(2, int), "int64"), (np.ones(2, bool), "bool"),
        (np.ones(2, complex), "complex128"), (np.array(["a"]), "<U1"), (np.array([None]), "ndarray of objects (NoneType)")])
    def test_what_is_no_float_array_is_refused(self, p, got):
        with refused(TypeError, f"Who: b … array of floats … {got} … Who.init(...)…"):
            checks.parameters("Who", {"W": np.ones(2), "b": p})

    def test_an_empty_one_is_refused(self):
        with refused(ValueError, "Who: W … empty … shape (3, 0)"):
            checks.parameters("Who", {"W": np.ones((3, 0))})

    def test_a_read_only_one_is_refused(self):
        W = np.ones(2)
        W.flags.writeable = False
        with refused(ValueError, "Who: W … writable … read-only … "
                                 "pass W.copy()"):
            checks.parameters("Who", {"W": W})

    def test_mixed_dtypes_are_refused(self):
        params = {"W": np.ones(2, np.float32), "U": np.ones(2, np.float32), "b": np.ones(2)}
        with refused(TypeError, "Who: all parameters … one dtype … W of float32 and b of float64"):
            checks.parameters("Who", params)


@pytest.mark.parametrize("value", [3, np.float32(3), list, Input()])
def test_a_single_thing_is_not_a_list(value):
    assert checks.single(value) and not checks.single([value])
    with refused(TypeError, "Who: x … a list of arrays, got …"):
        checks.items("Who", "x", value, "arrays")
