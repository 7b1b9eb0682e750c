"""What optimizers and schedules refuse, and where a schedule ends."""
import math

import numpy as np
import pytest

from chainrule.optimizers import SGD, Adam, step_decay
from tests.errors import refused


def arrays():
    return {"W": np.ones((2, 3)), "b": np.zeros(3)}, {"W": np.ones((2, 3)), "b": np.ones(3)}


def test_lists_or_dicts_but_not_one_of_each():
    params, grads = arrays()
    with refused(TypeError, "SGD: params and grads … a dict and a list"):
        SGD().update(params, list(grads.values()))


def test_a_key_in_one_of_them_alone():
    params, grads = arrays()
    with refused(ValueError, "SGD: grads … params … 'b'…"):
        SGD().update(params, {"W": grads["W"]})


def test_other_keys_are_another_net():
    params, grads = arrays()
    rule = Adam()
    rule.update(params, grads)
    with refused(RuntimeError, "Adam: params … W, b … V, b…"):
        rule.update({"V": params["W"], "b": params["b"]}, {"V": grads["W"], "b": grads["b"]})


def test_a_state_is_a_dict_by_name():
    for state in ([1, 2], {3: np.ones(2)}):
        with refused(TypeError, "Adam: state … dict…"):
            Adam().load_state(state)


@pytest.mark.parametrize("array, got", [
    (np.arange(3), "int64"), (np.ones(3, np.float16), "float16…"), ([1.0], "list")])
def test_what_is_no_parameter(array, got):
    with refused(TypeError, f"Adam: params[0] … {got}"):
        Adam().update([array], [np.ones(3)])


def test_a_schedule_that_grows_ends_at_infinity_and_takes_fractions():
    assert step_decay(0.1, every=1, factor=1e200)(3) == math.inf
    assert step_decay(0.1, every=2)(2.5) == step_decay(0.1, every=2)(3) == 0.1 * 0.1
    with refused(ValueError, "step_decay: step … 0 … -1"):
        step_decay(0.1, every=2)(-1)


def test_dicts_without_a_state():
    params, grads = arrays()
    rule = SGD(0.5)
    for _ in range(2):
        rule.update(params, grads)
    np.testing.assert_array_equal(params["b"], -np.ones(3))


def test_what_a_model_froze_is_left_alone():
    from chainrule.layers import Affine
    from chainrule.models import Sequential
    model = Sequential(Affine.init(2, 3, rng=0), Affine.init(3, 2, rng=1))
    model.freeze(model.layers[0])
    before = [p.copy() for p in model.params]
    Adam().update(model.params, [np.ones_like(p) for p in model.params])
    assert [np.array_equal(p, was) for p, was in zip(model.params, before)] == [True, True, False, False]
