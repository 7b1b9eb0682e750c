"""Gradients that name their rows: some rules read these only; every rule gives what it gives on a plain array."""
import numpy as np
import pytest

from chainrule import optimizers
from chainrule.layers._rows import RowGradient

RULES = [optimizers.SGD(lr=0.1), optimizers.SGD(lr=0.1, weight_decay=0.1), optimizers.AdaGrad(lr=0.1),
         optimizers.Momentum(lr=0.1), optimizers.Nesterov(lr=0.1), optimizers.RMSProp(lr=0.1),
         optimizers.Adam(lr=0.1), optimizers.AdamW(lr=0.1)]
BY_ROWS = {repr(rule) for rule in RULES if type(rule) in (optimizers.AdaGrad, optimizers.Adam, optimizers.AdamW)}
BY_ROWS.add("SGD(lr=0.1, weight_decay=0.0)")


def start():
    W = np.random.default_rng(0).standard_normal((6, 3))
    return W, RowGradient.zeros_like(W), np.ones(2), np.full(2, 0.5)


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_the_same_steps_as_on_plain_arrays(rule):
    W, dW, b, db = start()
    plain_W, plain_b = W.copy(), b.copy()
    plain_dW, plain, rule = np.zeros((6, 3)), type(rule)(**settings(rule)), type(rule)(**settings(rule))
    for ids in ([1, 4, 1], [4, 0], [2], [3, 3]) * 6:        # more steps than Adam's powers last
        dW.write(np.array(ids), np.random.default_rng(ids).standard_normal((len(ids), 3)))
        if ids == [2]:
            dW += 0.25                          # a penalty, say: now no row is zero
        plain_dW[...] = dW
        rule.update([W, b], [dW, db])
        plain.update([plain_W, plain_b], [plain_dW, db])
        np.testing.assert_array_equal(W, plain_W)
        np.testing.assert_array_equal(b, plain_b)
    for a, c in zip(rule.state.values(), plain.state.values(), strict=True):
        np.testing.assert_array_equal(a, c)


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_which_rules_read_the_named_rows_only(rule):
    ends = []
    for hidden in (0.0, 1.0):                  # in row 5 behind its back: a rule that looks at all rows sees it
        W, dW, *_ = start()
        dW.write(np.array([1]), np.ones((1, 3)))
        dW.view(np.ndarray)[5] = hidden
        before, same = W.copy(), type(rule)(**settings(rule))
        same.update([W], [dW])
        same.update([W], [dW])
        assert (W[1] != before[1]).all()
        ends.append(W)
    assert (ends[0][5] == ends[1][5]).all() == (repr(rule) in BY_ROWS)


def settings(rule):
    return {name: value for name, value in vars(rule).items() if name[0] != "_" and name != "step"}
