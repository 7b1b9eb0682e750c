"""Each rule against numbers worked out by hand, against a loop over entries, and in every memory layout."""
import math
from functools import partial

import numpy as np
import pytest

from chainrule import optimizers
from chainrule.common.engine.pieces import CACHE, pieces
from chainrule.optimizers import SGD, AdaDelta, AdaGrad, Adam, AdaMax, AdamW, Momentum, Nesterov, RMSProp
from tests.errors import refused

# Two steps from W = 1 with gradient 2, then -1, worked out on paper.
BY_HAND = [
    (SGD(lr=0.1), [0.8, 0.9]),
    (SGD(lr=0.1, weight_decay=0.5), [0.75, 0.8125]),                         # 0.95 - 0.2, 0.95 * 0.75 + 0.1
    (Momentum(lr=0.1, momentum=0.5), [0.8, 0.8]),                            # v = 0.2, 0.1 - 0.1
    (Nesterov(lr=0.1, momentum=0.5), [0.7, 0.8]),                            # less 0.1 + 0.2, then 0 - 0.1
    (AdaGrad(lr=0.1, eps=1.0), [1 - 0.2 / 3, 1 - 0.2 / 3 + 0.1 / (math.sqrt(5) + 1)]),
    (RMSProp(lr=0.1, decay=0.75, eps=1.0), [0.9, 0.9 + 0.1 / 2]),            # h = 1, then 0.75 + 0.25
    (RMSProp(lr=0.1, decay=0.75, eps=1.0, centered=True),                    # h - m² = 1 - 1/4, then 1 - (1/8)²
     [1 - 0.2 / (1 + math.sqrt(3 / 4)), 1 - 0.2 / (1 + math.sqrt(3 / 4)) + 0.1 / (1 + math.sqrt(63 / 64))]),
    (AdaDelta(lr=0.5, rho=0.5, eps=2.0),                                     # E[g²] = 2, 1.5; Δ² = 2, so E[Δ²] = 1 at the second
     [1 - math.sqrt(2) / 2, 1 - math.sqrt(2) / 2 + 0.5 * math.sqrt(3 / 3.5)]),
    (AdaMax(lr=0.1, beta1=0.5, beta2=0.25, eps=1.0), [1 - 0.2 / 3, 1 - 0.2 / 3]),     # u = 3, 2; m = 1, then 0
    (Adam(lr=0.1, beta1=0.5, beta2=0.25, eps=1.0), [1 - 0.2 / 3, 1 - 0.2 / 3]),   # m = 2, then 0.5 * 2 - 1
    (Adam(lr=0.1, beta1=0.0, beta2=0.25, eps=1.0, amsgrad=True),             # v = 3, then 1.5; v_max stays 3, and v̂ = 3 / (15/16)
     [1 - 0.2 / 3, 1 - 0.2 / 3 + 0.1 / (math.sqrt(3.2) + 1)]),
    (AdamW(lr=0.1, beta1=0.5, beta2=0.25, eps=1.0, weight_decay=2.0), [0.8 - 0.2 / 3, 0.8 * (0.8 - 0.2 / 3)]),
]


@pytest.mark.parametrize("optimizer, expected", BY_HAND)
def test_two_steps_by_hand(optimizer, expected):
    W, dW = np.array([1.0]), np.array([0.0])
    for gradient, w in zip((2.0, -1.0), expected):
        dW[...] = gradient
        optimizer.update([W], [dW])
        assert W == pytest.approx(w, rel=1e-14)


def sgd(W, gs, lr=0.02, wd=0.3):
    for g in gs:
        W = (1 - lr * wd) * W - lr * g
    return W


def momentum(W, gs, lr=0.02, mu=0.8, nesterov=False):
    v = 0.0
    for g in gs:
        v = mu * v + lr * g
        W -= mu * v + lr * g if nesterov else v
    return W


def nesterov(W, gs):
    return momentum(W, gs, nesterov=True)


def adagrad(W, gs, lr=0.02, eps=1e-3):
    h = 0.0
    for g in gs:
        h += g ** 2
        W -= lr * g / (math.sqrt(h) + eps)
    return W


def rmsprop(W, gs, lr=0.02, decay=0.7, eps=1e-3, centered=False):
    h = m = 0.0
    for g in gs:
        h = decay * h + (1 - decay) * g ** 2
        m = decay * m + (1 - decay) * g
        W -= lr * g / (math.sqrt(h - m ** 2 if centered else h) + eps)
    return W


def adadelta(W, gs, lr=0.5, rho=0.7, eps=1e-3):
    squares = steps = 0.0
    for g in gs:
        squares = rho * squares + (1 - rho) * g ** 2
        step = math.sqrt((steps + eps) / (squares + eps)) * g
        steps = rho * steps + (1 - rho) * step ** 2
        W -= lr * step
    return W


def adam(W, gs, lr=0.02, beta1=0.8, beta2=0.9, eps=1e-3, wd=0.0, amsgrad=False):
    """As the paper writes it."""
    m = v = largest = 0.0
    for t, g in enumerate(gs, 1):
        W *= 1 - lr * wd
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g ** 2
        largest = max(largest, v)
        W -= lr * (m / (1 - beta1 ** t)) / (math.sqrt((largest if amsgrad else v) / (1 - beta2 ** t)) + eps)
    return W


def adamax(W, gs, lr=0.02, beta1=0.8, beta2=0.9, eps=1e-3):
    m = u = 0.0
    for t, g in enumerate(gs, 1):
        m = beta1 * m + (1 - beta1) * g
        u = max(beta2 * u, abs(g) + eps)
        W -= lr / (1 - beta1 ** t) * m / u
    return W


RULES = {
    "SGD": (lambda: SGD(0.02, 0.3), sgd),
    "Momentum": (lambda: Momentum(0.02, 0.8), momentum),
    "Nesterov": (lambda: Nesterov(0.02, 0.8), nesterov),
    "AdaGrad": (lambda: AdaGrad(0.02, 1e-3), adagrad),
    "RMSProp": (lambda: RMSProp(0.02, 0.7, 1e-3), rmsprop),
    "RMSProp, centered": (lambda: RMSProp(0.02, 0.7, 1e-3, centered=True), partial(rmsprop, centered=True)),
    "AdaDelta": (lambda: AdaDelta(0.5, 0.7, 1e-3), adadelta),
    "Adam": (lambda: Adam(0.02, 0.8, 0.9, 1e-3), adam),
    "Adam, amsgrad": (lambda: Adam(0.02, 0.8, 0.5, 1e-3, amsgrad=True), partial(adam, beta2=0.5, amsgrad=True)),
    "AdamW": (lambda: AdamW(0.02, 0.8, 0.9, 1e-3, 0.3), partial(adam, wd=0.3)),
    "AdaMax": (lambda: AdaMax(0.02, 0.8, 0.9, 1e-3), adamax),
}
every_rule = pytest.mark.parametrize("name", RULES)


def test_every_exported_rule_is_tested():
    exported = {name: getattr(optimizers, name) for name in optimizers.__all__}
    rules = {name for name, value in exported.items() if hasattr(value, "rule")}
    assert rules == {*(name.partition(",")[0] for name in RULES), "Optimizer"}


def run(optimizer, params, gradients):
    """Update copies of ``params`` once per element of ``gradients`` (each a list); return the copies."""
    params = [p.copy(order="K") for p in params]
    grads = [np.empty_like(p) for p in params]
    for step in gradients:
        for mine, g in zip(grads, step):
            mine[...] = g
        optimizer.update(params, grads)
    return params


def problem(*shapes, dtype=np.float64, steps=5):
    rng = np.random.default_rng(0)
    params = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    return params, [[np.asarray(rng.standard_normal(p.shape), dtype) for p in params] for _ in range(steps)]


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.99, 0.5), (0.05, 0.3), (0.0, 0.9), (0.9, 0.0)])
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_adam_over_many_steps(betas, dtype, tolerance):
    params, gradients = problem((3,), dtype=dtype, steps=70)
    updated, = run(Adam(0.02, *betas), params, gradients)
    for before, after, gs in zip(params[0], updated, np.transpose(gradients)):
        expected = adam(float(before), [float(g) for g in gs[0]], 0.02, *betas, eps=1e-8)
        assert after == pytest.approx(expected, rel=tolerance, abs=tolerance)


@every_rule
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-13), (np.float32, 3e-6)])
def test_agrees_with_a_loop_over_entries(name, dtype, tolerance):
    make, reference = RULES[name]
    params, gradients = problem((), (3,), (2, 3), (0, 4), dtype=dtype)
    updated = run(make(), params, gradients)
    for i, (before, after) in enumerate(zip(params, updated)):
        assert after.dtype == dtype
        for at in np.ndindex(before.shape):
            expected = reference(float(before[at]), [float(g[i][at]) for g in gradients])
            assert after[at] == pytest.approx(expected, rel=tolerance, abs=tolerance)


@every_rule
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_state_has_the_dtype_of_the_parameter_and_gradients_stay(name, dtype):
    optimizer = RULES[name][0]()
    W, b = np.ones((2, 3), dtype), np.ones((), dtype)
    grads = [np.full((2, 3), 0.1, dtype), np.array(0.1, dtype)]
    before = [g.tobytes() for g in grads]
    for _ in range(3):
        optimizer.update([W, b], grads)
    assert [g.tobytes() for g in grads] == before
    assert W.dtype == b.dtype == dtype and np.all(W == b) and b < 1
    for key, array in optimizer.state.items():
        assert array.dtype == (np.int64 if key == "step" else dtype)


@every_rule
def test_pieces_change_no_bit(name, monkeypatch):
    make, _ = RULES[name]
    params, gradients = problem((7, 5), (40,), (3, 2, 2), dtype=np.float32)
    whole = run(make(), params, gradients)
    monkeypatch.setattr("chainrule.common.engine.pieces.CACHE", 240)
    cut = run(make(), params, gradients)
    for a, b in zip(whole, cut):
        np.testing.assert_array_equal(a, b)


@every_rule
@pytest.mark.parametrize("cache", [240, CACHE])
def test_any_memory_layout(name, cache, monkeypatch):
    monkeypatch.setattr("chainrule.common.engine.pieces.CACHE", cache)
    make, _ = RULES[name]
    params, gradients = problem((4, 6, 3), dtype=np.float32)
    expected, = run(make(), params, gradients)
    base = np.zeros((3, 12, 4), np.float32)
    strided, flipped = base.T[:, ::2], np.asfortranarray(params[0])[::-1]
    strided[...] = params[0]
    same, reverse = slice(None), slice(None, None, -1)
    for p, order in ((np.asfortranarray(params[0]), same), (strided, same), (flipped, reverse)):
        optimizer, g = make(), np.empty((4, 6, 3), np.float32)
        for step in gradients:
            g[...] = step[0][order]
            optimizer.update([p], [g])
        # to rounding: compiled loops take over what lies in one stretch of memory, and is large
        np.testing.assert_allclose(p, expected[order], rtol=1e-5, atol=1e-6)
    assert not base.T[:, 1::2].any()


def test_pieces_are_views_that_cover_every_entry_once():
    def zeros(shape):
        return np.zeros(shape, np.float32)

    for a, count in ((zeros((256, 512)), 4), (zeros((70, 1001)), 3), (zeros((1001, 70)).T, 3),
                     (zeros((3, 32_769)), 3), (zeros((8, 64, 3, 99)), 8), (np.zeros(()), 1)):
        b = np.zeros(a.shape)
        cut = pieces(a, b)
        assert len(cut) == count
        for x, y in cut:
            assert x.shape == y.shape and x.ndim
            x += 1
            y += 1
        assert (a == 1).all() and (b == 1).all()


def test_pieces_of_a_transposed_array_are_stretches_of_memory():
    (first, _), *_ = pieces(np.zeros((1001, 70)).T, np.zeros((70, 1001)))
    assert first.flags.c_contiguous


def test_weight_decay_is_decoupled():
    """A gradient of zero leaves the decay alone, whatever the rule makes of gradients."""
    for optimizer in (SGD(lr=0.5, weight_decay=0.1), AdamW(lr=0.5, weight_decay=0.1)):
        W, b = np.array([[4.0]]), np.array([-4.0])
        optimizer.update([W, b], [np.zeros((1, 1)), np.zeros(1)])
        assert W == pytest.approx(3.8) and b == pytest.approx(-3.8)
    assert AdamW().weight_decay == 0.01 and SGD().weight_decay == 0.0


def test_momentum_with_a_changing_rate_keeps_what_it_has():
    """v holds steps already scaled: a rate of zero stops new gradients, not the ball."""
    W, dW = np.array([1.0]), np.array([1.0])
    optimizer = Momentum(lr=lambda step: 0.1 if step == 0 else 0.0, momentum=0.5)
    for expected in (0.9, 0.85, 0.825):
        optimizer.update([W], [dW])
        assert W == pytest.approx(expected)


@pytest.mark.parametrize("make, option, names", [(RMSProp, "centered", ["h", "m"]), (Adam, "amsgrad", ["m", "v", "v_max"]),
                                                 (AdamW, "amsgrad", ["m", "v", "v_max"])])
def test_an_option_keeps_its_array_only_where_it_is_asked_for(make, option, names):
    states = []
    for on in (False, True):
        optimizer = make(**{option: on})
        optimizer.update([np.ones(2)], [np.ones(2)])
        states.append(optimizer.state)
        assert list(states[on]) == ["step", *(f"{name}.0" for name in (names if on else names[:-1]))]
    for on in (False, True):
        with refused(ValueError, f"{make.__name__}: state … {names[-1]}.0"):
            make(**{option: on}).load_state(states[not on])


def test_centered_where_all_gradients_are_equal():
    """h - m² falls to 0, which rounding may miss on either side: no NaN."""
    W, optimizer = np.ones(50, np.float32), RMSProp(lr=1e-3, decay=0.3, eps=1e-2, centered=True)
    for _ in range(60):
        optimizer.update([W], [np.linspace(-3, 3, 50, dtype=np.float32)])
    assert np.isfinite(W).all()
