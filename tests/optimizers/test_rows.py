"""Gradients that name their rows: some rules read these only; every rule gives what it gives on a plain array."""
import numpy as np
import pytest

from chainrule import optimizers
from chainrule.common.engine.rows import RowGradient
from tests.errors import refused

LAZY = [optimizers.SGD(lr=0.1), optimizers.AdaGrad(lr=0.1), optimizers.Adam(lr=0.1), optimizers.AdamW(lr=0.1)]
RULES = [*LAZY, optimizers.SGD(lr=0.1, weight_decay=0.1), optimizers.Momentum(lr=0.1), optimizers.Nesterov(lr=0.1),
         optimizers.RMSProp(lr=0.1), optimizers.RMSProp(lr=0.1, centered=True), optimizers.AdaDelta(),
         optimizers.Adam(lr=0.1, amsgrad=True), optimizers.AdamW(lr=0.1, amsgrad=True), optimizers.AdaMax(lr=0.1)]
BY_ROWS = {repr(rule) for rule in LAZY}


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
        np.testing.assert_allclose(W, plain_W, rtol=1e-11, atol=1e-13)
        np.testing.assert_array_equal(b, plain_b)
    state, expected = rule.state, plain.state
    assert {name for name in state if not name.startswith("kept.")} == set(expected)
    for name, a in expected.items():
        np.testing.assert_allclose(state[name], a, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize("steps", [1, 7, 21, 22, 23])          # the powers are multiplied in at 21
def test_a_state_goes_on_to_the_last_bit(rule, steps):
    one, (W, dW, b, db) = type(rule)(**settings(rule)), start()
    for i in range(steps):
        dW.write(np.array([i % 6]), np.random.default_rng(i).standard_normal((1, 3)))
        one.update([W, b], [dW, db])
    other, (V, dV, c, dc) = type(rule)(**settings(rule)), start()
    V[...], c[...] = W, b
    other.load_state(one.state)
    for i in range(40):
        for optimizer, p, g, q, dq in ((one, W, dW, b, db), (other, V, dV, c, dc)):
            g.write(np.array([i % 5]), np.random.default_rng(i).standard_normal((1, 3)))
            optimizer.update([p, q], [g, dq])
    np.testing.assert_array_equal(W, V)
    np.testing.assert_array_equal(b, c)


def test_a_state_goes_from_rows_to_plain_arrays_and_back():
    rule, (W, dW, *_) = optimizers.Adam(lr=0.1), start()
    plain, V, dV, before = optimizers.Adam(lr=0.1), start()[0], np.zeros((6, 3)), None
    for i in range(30):
        dW.write(np.array([i % 6]), np.ones((1, 3)))
        dV[...] = dW
        if i == 10:                                  # exchanged: each goes on from the other's state
            rule, plain = optimizers.Adam(lr=0.1), optimizers.Adam(lr=0.1)
            plain.load_state(before)
            rule.load_state({name: a for name, a in before.items() if not name.startswith("kept.")})
        rule.update([W], [dW])
        plain.update([V], [dV])
        before = rule.state
        np.testing.assert_allclose(W, V, rtol=1e-11)


@pytest.mark.parametrize("missing", ["kept.r.0", "kept.m.0"])
def test_half_of_what_is_kept_is_refused_or_made_anew(missing):
    rule, (W, dW, *_) = optimizers.Adam(lr=0.1), start()
    rule.update([W], [dW])
    state, other = {name: a for name, a in rule.state.items() if name != missing}, optimizers.Adam(lr=0.1)
    if missing == "kept.m.0":
        other.load_state(state)
        other.update([W], [dW])
    else:
        with refused(ValueError, "Adam: state … no 'kept.r.0'"):
            other.load_state(state)


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


class Halved(optimizers.Adam):
    """Adam by half of each gradient."""

    def rule(self, lr, W, g, *state):
        super().rule(lr, W, g / 2, *state)


def test_a_subclass_runs_its_own_rule_on_rows():
    rule, plain, (W, dW, *_) = Halved(lr=0.1, eps=1.0), Halved(lr=0.1, eps=1.0), start()
    V, dV = W.copy(), np.zeros((6, 3))
    for ids in ([1, 4], [4, 0], [2]):
        dW.write(np.array(ids), np.ones((len(ids), 3)))
        dV[...] = dW
        rule.update([W], [dW])
        plain.update([V], [dV])
    np.testing.assert_array_equal(W, V)
