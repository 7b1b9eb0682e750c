"""What optimizers and schedules refuse, and where a schedule ends."""
import math

import numpy as np
import pytest

from chainrule.optimizers import SGD, Adam, step_decay


def arrays():
    return {"W": np.ones((2, 3)), "b": np.zeros(3)}, {"W": np.ones((2, 3)), "b": np.ones(3)}


def test_lists_or_dicts_but_not_one_of_each():
    params, grads = arrays()
    with pytest.raises(TypeError, match="SGD: params and grads should be two lists or two dicts, got a dict and a list"):
        SGD().update(params, list(grads.values()))


def test_a_key_in_one_of_them_alone():
    params, grads = arrays()
    with pytest.raises(ValueError, match="'b'"):
        SGD().update(params, {"W": grads["W"]})


def test_other_keys_are_another_net():
    params, grads = arrays()
    rule = Adam()
    rule.update(params, grads)
    with pytest.raises(RuntimeError, match="have the keys W, b, as before, got V, b; another net needs another optimizer"):
        rule.update({"V": params["W"], "b": params["b"]}, {"V": grads["W"], "b": grads["b"]})


def test_a_state_is_a_dict_by_name():
    for state in ([1, 2], {3: np.ones(2)}):
        with pytest.raises(TypeError, match="Adam: state should"):
            Adam().load_state(state)


@pytest.mark.parametrize("array, words", [(np.arange(3), "floats"), (np.ones(3, np.float16), "float16"), ([1.0], "array")])
def test_what_is_no_parameter(array, words):
    with pytest.raises(TypeError, match=words):
        Adam().update([array], [np.ones(3)])


def test_a_schedule_that_grows_ends_at_infinity_and_takes_fractions():
    assert step_decay(0.1, every=1, factor=1e200)(3) == math.inf
    assert step_decay(0.1, every=2)(2.5) == step_decay(0.1, every=2)(3) == 0.1 * 0.1
    with pytest.raises(ValueError, match="step should be a number of at least 0"):
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
