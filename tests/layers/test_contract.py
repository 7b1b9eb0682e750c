"""The laws of the contract (common/layer.py), each held against every exported layer. A layer outside the table fails."""
import copy
import pickle

import numpy as np
import pytest

from chainrule import layers
from chainrule.gradcheck import check_gradients
from tests.errors import refused
from tests.layers.table import CASES, TABLE

every = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
DTYPES = (np.float32, np.float64)


def run(layer, inputs):
    """Forward; the output's gradient at random; backward: (y, dout, gradients of the inputs as a tuple)."""
    y = layer.forward(*inputs)
    dout = upstream(y)
    return y, dout, as_tuple(layer.backward(dout))


def upstream(y, seed=3):
    rng = np.random.default_rng(seed)
    if isinstance(y, tuple):
        return tuple(rng.standard_normal(part.shape).astype(part.dtype) for part in y)
    return float(rng.standard_normal()) if isinstance(y, float) else rng.standard_normal(y.shape).astype(y.dtype)


def as_tuple(a):
    """The arrays that came back: None stands in the place of an integer input's gradient."""
    return tuple(x for x in (a if isinstance(a, tuple) else (a,)) if x is not None)


def inputs_of(case, dtype=np.float64, scale=1.0, seed=1):
    return case.inputs(np.random.default_rng(seed), dtype, scale)


def is_float(a):
    return isinstance(a, np.ndarray) and a.dtype.kind == "f"


def rewind(layer, seed=11):
    """The same random numbers again."""
    for key, value in layer.buffers.items():
        if isinstance(value, np.random.Generator):
            layer.buffers[key] = np.random.default_rng(seed)


def same(a, b, tolerance=1e-12):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def test_every_exported_layer_is_in_the_table():
    assert set(layers.__all__) == set(TABLE)


@every
def test_params_and_grads_are_paired_and_keep_their_identity(case):
    layer = case.make(np.float32)
    lists = layer.params, layer.grads
    arrays = [*layer.params, *layer.grads]
    run(layer, inputs_of(case))
    assert (layer.params, layer.grads) == lists and layer.params is lists[0] and layer.grads is lists[1]
    assert all(a is b for a, b in zip([*layer.params, *layer.grads], arrays, strict=True))
    assert [(p.shape, p.dtype) for p in layer.params] == [(g.shape, g.dtype) for g in layer.grads]
    assert len(layer.names) == len(layer.params)


@every
def test_no_argument_and_no_parameter_is_changed(case):
    layer = case.make(np.float64)
    inputs = inputs_of(case)
    before = copy.deepcopy((inputs, layer.params))
    y, dout, _ = run(layer, inputs)
    for a, b in zip([*inputs, *layer.params, *as_tuple(dout)], [*before[0], *before[1], *as_tuple(upstream(y))], strict=True):
        np.testing.assert_array_equal(a, b)


@every
def test_backward_again_gives_the_same_answer(case):
    layer = case.make(np.float64)
    _, dout, first = run(layer, inputs_of(case))
    grads = copy.deepcopy(layer.grads)
    for a, b in zip([*first, *grads], [*as_tuple(layer.backward(dout)), *layer.grads], strict=True):
        np.testing.assert_array_equal(a, b)


@every
def test_backward_is_linear_in_dout(case):
    layer = case.make(np.float64)
    y = layer.forward(*inputs_of(case))

    def answer(dout):
        return [g.copy() for g in (*as_tuple(layer.backward(dout)), *layer.grads)]
    d1, d2 = upstream(y, 3), upstream(y, 4)
    mixed = tuple(2 * a - 3 * b for a, b in zip(d1, d2)) if isinstance(y, tuple) else 2 * d1 - 3 * d2
    for a, b, both in zip(answer(d1), answer(d2), answer(mixed), strict=True):
        same(both, 2 * a - 3 * b)


@every
@pytest.mark.parametrize("dtype", DTYPES)
def test_output_and_gradients_have_the_dtype_of_the_layer(case, dtype):
    layer = case.make(dtype)
    y, _, dx = run(layer, inputs_of(case, dtype))
    assert isinstance(y, float) and not isinstance(y, np.floating) or all(a.dtype == dtype for a in as_tuple(y))
    assert all(a.dtype == dtype for a in (*dx, *layer.grads))


@every
def test_inputs_and_dout_are_cast_to_the_dtype_of_the_parameters(case):
    layer = case.make(np.float32)
    y = layer.forward(*inputs_of(case, np.float64))
    expected = np.float32 if layer.params else np.float64
    assert isinstance(y, float) or all(a.dtype == expected for a in as_tuple(y))
    ones = tuple(np.ones(np.shape(a), np.float16) for a in as_tuple(y))
    dx = layer.backward(1 if isinstance(y, float) else ones if isinstance(y, tuple) else ones[0])
    assert all(a.dtype == expected for a in as_tuple(dx))


@every
def test_gradients_have_the_shape_of_what_they_are_the_gradient_of(case):
    inputs = inputs_of(case)
    y, _, dx = run(case.make(np.float64), inputs)
    wanted = inputs[:1] if isinstance(y, float) else [x for x in inputs if is_float(x)]
    assert [a.shape for a in dx] == [x.shape for x in wanted]


@every
def test_results_are_fresh_arrays(case):
    layer = case.make(np.float64)
    inputs = inputs_of(case)
    y, dout, dx = run(layer, inputs)
    for result in (*as_tuple(y), *dx):
        assert not any(np.may_share_memory(result, a) for a in (*inputs, *as_tuple(dout), *layer.params, *layer.grads))
    kept = copy.deepcopy((y, dx))
    run(layer, inputs_of(case, seed=2))
    for a, b in zip((*as_tuple(y), *dx), (*as_tuple(kept[0]), *kept[1]), strict=True):
        np.testing.assert_array_equal(a, b)


# These couple the samples of a batch, or make other rows of them than there are samples; their docstrings say so.
COUPLED = [CASES[name] for name in (
    "Repeat", "Repeat, each row", "Sum", "Mean", "Mean, all", "LogSumExp, all", "Reshape, all", "Transpose, reversed",
    "Transpose, cycle", "BatchNorm", "BatchNorm, image", "BatchNorm, evaluation")]


@every
def test_a_sample_does_not_depend_on_its_neighbours(case):
    layer = case.make(np.float64)
    layer.training = False
    if any(case is other for other in COUPLED):
        return
    inputs = inputs_of(case)
    y = layer.forward(*inputs)
    alone, counts = [], []
    for n in range(len(inputs[0])):
        alone.append(layer.forward(*(a[n:n + 1] for a in inputs)))
        counts.append(getattr(layer, "count", 1))
    if isinstance(y, float):
        same(y, np.sum(alone) if layer.reduction == "sum" else np.average(alone, weights=counts))
    else:
        for whole, parts in zip(as_tuple(y), zip(*map(as_tuple, alone)), strict=True):
            same(whole, np.concatenate(parts))


@pytest.mark.parametrize("case", [c for c in CASES.values() if c.leading], ids=[n for n, c in CASES.items() if c.leading])
def test_leading_axes_do_not_matter(case):
    inputs = inputs_of(case)
    y, dout, dx = run(case.make(np.float64), inputs)
    layer = case.make(np.float64)
    deep = layer.forward(*(a.reshape(1, 5, 1, *a.shape[1:]) for a in inputs))
    same(np.reshape(deep, np.shape(y)), y)
    deep_dx = layer.backward(dout if isinstance(y, float) else dout.reshape(1, 5, 1, *y.shape[1:]))
    for a, b in zip(as_tuple(deep_dx), dx, strict=True):
        same(a.reshape(b.shape), b)


@every
def test_gradients_agree_with_numerical_ones(case):
    report = check_gradients(case.make(np.float64), *inputs_of(case), rng=0)
    assert report.ok, report


@every
@pytest.mark.parametrize("dtype, scale", [(np.float64, 1000), (np.float32, 1e4)])
def test_safe_at_large_inputs(case, dtype, scale):
    layer = case.make(dtype)
    y, _, dx = run(layer, inputs_of(case, dtype, scale))
    assert all(np.isfinite(a).all() for a in (*as_tuple(y), *dx, *layer.grads))


@every
def test_backward_before_forward_is_refused(case):
    layer = case.make(np.float64)
    assert layer.cache is None
    with refused(RuntimeError, f"{type(layer).__name__}: backward … before forward…"):
        layer.backward(1.0)


@every
def test_a_wrong_dout_is_refused(case):
    layer = case.make(np.float64)
    y = layer.forward(*inputs_of(case))
    with refused((ValueError, TypeError), f"{type(layer).__name__}: dout…"):
        layer.backward(np.ones((2, 3, 1, 2, 2)))
    with refused(TypeError, f"{type(layer).__name__}: dout…"):
        layer.backward("up" if isinstance(y, float) else tuple(np.full(a.shape, "up") for a in y) if isinstance(y, tuple)
                       else np.full(y.shape, "up"))


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if is_float(inputs_of(case)[0])])
def test_what_is_no_array_of_floats_is_refused(name):
    case = CASES[name]
    layer = case.make(np.float64)
    first, *rest = inputs_of(case)
    name = type(layer).__name__
    bad = [np.full(first.shape, "x"), np.full(first.shape, 1j), [[1.0], [1.0, 2.0]]]
    for wrong in bad if layer.params else [*bad, np.ones(first.shape, int)]:
        with refused(TypeError, f"{name}:… array of floats…"):
            layer.forward(wrong, *rest)
    with refused(ValueError, f"{name}:… empty … shape…"):
        layer.forward(first[:0], *rest)


@every
def test_the_input_gradient_may_be_left_out(case):
    layer = case.make(np.float64)
    _, dout, _ = run(layer, inputs_of(case))
    grads = copy.deepcopy(layer.grads)
    layer.input_gradient = False
    layer.backward(dout)
    for a, b in zip(layer.grads, grads, strict=True):
        np.testing.assert_array_equal(a, b)


@every
def test_evaluation_mode_is_deterministic_and_leaves_the_buffers(case):
    layer = case.make(np.float64)
    inputs = inputs_of(case)
    run(layer, inputs)
    layer.training = False
    before = pickle.dumps(layer.buffers)
    for a, b in zip(as_tuple(layer.forward(*inputs)), as_tuple(layer.forward(*inputs)), strict=True):
        np.testing.assert_array_equal(a, b)
    assert pickle.dumps(layer.buffers) == before


@every
def test_a_copy_lives_a_life_of_its_own(case):
    layer = case.make(np.float64)
    inputs = inputs_of(case)
    y, dout, _ = run(layer, inputs)
    twin = pickle.loads(pickle.dumps(layer))
    for p in twin.params:
        p += 1
    rewind(layer)
    again = layer.forward(*inputs)
    rewind(layer)
    for a, b in zip(as_tuple(again), as_tuple(layer.forward(*inputs)), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not any(np.may_share_memory(p, q) for p, q in zip(layer.params, twin.params, strict=True))


@every
def test_the_name_shows(case):
    layer = case.make(np.float64)
    assert repr(layer).startswith(f"{type(layer).__name__}(")
    assert all(name in repr(layer) for name in layer.names)
