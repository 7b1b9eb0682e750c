"""What all optimizers share: step and rate, state and checkpoints, and an error for every mistake."""
import copy
import math
import pickle

import numpy as np
import pytest

from chainrule.optimizers import (
    SGD,
    AdaDelta,
    AdaGrad,
    Adam,
    AdaMax,
    AdamW,
    Momentum,
    Nesterov,
    Optimizer,
    RMSProp,
    cosine_decay,
)
from tests.errors import refused

ALL = [SGD, Momentum, Nesterov, AdaGrad, RMSProp, AdaDelta, Adam, AdamW, AdaMax]
every_optimizer = pytest.mark.parametrize("make", ALL)


def arrays(*shapes, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.standard_normal(shape), dtype) for shape in shapes]


def train(optimizer, params, steps):
    """Descend f(W) = ΣW⁴ / 4 for ``steps`` steps, with one list of gradients for all of them."""
    grads = [np.empty_like(p) for p in params]
    for _ in range(steps):
        for p, g in zip(params, grads):
            g[...] = p * p * p
        optimizer.update(params, grads)


# Step and rate

@every_optimizer
def test_every_rule_descends(make):
    params = [np.array([2.0, -2.0])]
    train(make(), params, 50)
    assert np.abs(params[0]).max() < 2


def test_step_counts_updates_and_the_schedule_sees_it_from_zero():
    seen = []
    optimizer = SGD(lr=lambda step: seen.append(step) or 0.5 ** step)
    W, dW = np.zeros(1), np.ones(1)
    assert optimizer.step == 0
    for _ in range(3):
        optimizer.update([W], [dW])
    assert seen == [0, 1, 2] and optimizer.step == 3 and type(optimizer.step) is int
    assert W == -1.75


@pytest.mark.parametrize("rate", [np.float64(0.1), np.float32(0.1), np.array(0.1)])
def test_a_numpy_rate_does_not_promote(rate):
    class Spy(Optimizer):
        def rule(self, lr, p, g):
            assert type(lr) is float

    for lr in (rate, lambda step: rate):
        optimizer = Spy(lr)
        optimizer.update(arrays((3,)), arrays((3,)))
        optimizer = Spy(1.0)
        optimizer.lr = lr
        optimizer.update(arrays((3,)), arrays((3,)))


def test_the_rate_may_be_changed_between_updates():
    W, dW, optimizer = np.zeros(1), np.ones(1), SGD(lr=1.0)
    optimizer.update([W], [dW])
    optimizer.lr = 0.5
    optimizer.update([W], [dW])
    assert W == -1.5
    optimizer.lr = -0.5
    with refused(ValueError, "SGD: lr at step 2 … 0 … -0.5"):
        optimizer.update([W], [dW])


@pytest.mark.parametrize("rate", [math.nan, math.inf, -0.1, None, "0.1 at first"])
def test_a_bad_value_of_a_schedule_changes_nothing(rate):
    optimizer = Adam(lr=lambda step: 0.1 if step == 0 else rate)
    W, dW = np.ones(2), np.ones(2)
    optimizer.update([W], [dW])
    before, state = W.copy(), optimizer.state
    with refused((ValueError, TypeError), f"Adam: lr at step 1 … 0 … {rate!r}"):
        optimizer.update([W], [dW])
    np.testing.assert_array_equal(W, before)
    assert same(optimizer.state, state)


def test_a_rate_of_zero_moves_nothing():
    W, dW, optimizer = np.ones(2), np.ones(2), Adam(lr=lambda step: 0)
    optimizer.update([W], [dW])
    assert (W == 1).all() and optimizer.step == 1


SETTINGS = {SGD: "lr weight_decay", Momentum: "lr momentum", Nesterov: "lr momentum", AdaGrad: "lr eps",
            RMSProp: "lr decay eps", AdaDelta: "lr rho eps", Adam: "lr beta1 beta2 eps",
            AdamW: "lr beta1 beta2 eps weight_decay", AdaMax: "lr beta1 beta2 eps"}
NEVER = [-0.1, math.nan, math.inf, None, "much", [0.1, 0.2]]
BAD = {name: [*NEVER, 0.0] for name in ("lr", "eps")} | {"weight_decay": NEVER} | {
    name: [*NEVER, 1.0] for name in ("momentum", "decay", "rho", "beta1", "beta2")}


@pytest.mark.parametrize("make, name, value", [
    (make, name, value) for make, names in SETTINGS.items() for name in names.split() for value in BAD[name]])
def test_a_setting_out_of_range_is_refused(make, name, value):
    with refused((ValueError, TypeError), f"{make.__name__}: {name} … {value!r}"):
        make(**{name: value})


@pytest.mark.parametrize("make, option", [(RMSProp, "centered"), (Adam, "amsgrad"), (AdamW, "amsgrad")])
def test_an_option_is_true_or_false(make, option):
    with refused(TypeError, f"{make.__name__}: {option} … True … False … 'yes'"):
        make(**{option: "yes"})


def test_the_ends_of_the_ranges_are_allowed():
    for optimizer in (SGD(1, weight_decay=0), Momentum(momentum=0), RMSProp(decay=0), AdaDelta(rho=0),
                      Adam(beta1=0, beta2=0), AdaMax(beta1=0, beta2=0)):
        W, dW = np.ones(1), np.ones(1)
        optimizer.update([W], [dW])
        assert W < 1


def test_repr_shows_the_settings():
    assert repr(Adam(lr=0.5)) == "Adam(lr=0.5, beta1=0.9, beta2=0.999, eps=1e-08, amsgrad=False)"
    assert (repr(SGD(lr=cosine_decay(0.1, 5)))
            == "SGD(lr=cosine_decay(lr=0.1, steps=5, final_lr=0.0), weight_decay=0.0)")


def test_a_class_without_a_rule_says_so():
    with refused(NotImplementedError, "Optimizer: rule … rule(self, lr, p, g, *state)"):
        Optimizer(0.1).update([np.ones(1)], [np.ones(1)])


# The lists

def test_lists_that_do_not_pair():
    W, b = np.ones((2, 3), np.float32), np.ones(3, np.float32)
    for grads, error, match in [
            ([W], ValueError, "SGD: grads … 2 … 1; index 1…"),
            ([W, b[:2]], ValueError,
             "SGD: grads[1] … float32 (3,) … params[1] … float32 (2,)"),
            ([W, b.astype(np.float64)], ValueError,
             "SGD: grads[1] … float32 (3,) … params[1] … float64 (3,)"),
            ([W, None], TypeError, "SGD: grads[1] … NumPy … NoneType"),
            ([W, [0.0, 0.0, 0.0]], TypeError, "SGD: grads[1] … NumPy … list")]:
        with refused(error, match):
            SGD().update([W, b], grads)
    with refused(TypeError, "SGD: params[0] … NumPy … int64"):
        SGD().update([np.ones(2, np.int64)], [np.ones(2, np.int64)])
    assert (W == 1).all() and (b == 1).all()


def test_read_only_parameters_are_left_alone():
    W, b, dW, db = np.ones(2), np.ones((300, 300)), np.ones(2), np.ones((300, 300))
    b.flags.writeable = False
    optimizer = SGD()
    with refused(ValueError, "SGD: params[1] … a read-only array…"):
        optimizer.update([W, b], [dW, db])
    assert (W == 1).all() and (b == 1).all() and optimizer.step == 0
    b.flags.writeable = True
    optimizer.update([W, b], [dW, db])
    before = b.copy()
    b.flags.writeable = False                 # later, when views of it have long been cut
    with refused(ValueError, "SGD: params[1] … a read-only array…"):
        optimizer.update([W, b], [dW, db])
    np.testing.assert_array_equal(b, before)
    assert optimizer.step == 1


@pytest.mark.parametrize("what, i", [("params", 0), ("params", 1)])
@pytest.mark.parametrize("other", [lambda a: a.copy(), lambda a: np.ones(7), lambda a: a[:], lambda a: None])
def test_a_replaced_array_is_named(what, i, other):
    lists = {"params": arrays((2, 2), (3,)), "grads": arrays((2, 2), (3,))}
    optimizer = Momentum()
    optimizer.update(**lists)
    before = [a.copy() for a in lists["params"]]
    lists[what][i] = other(lists[what][i])
    with refused(RuntimeError, f"Momentum: {what}[{i}] … `{what}[{i}][...] = `…"):
        optimizer.update(**lists)
    assert optimizer.step == 1
    for j, (a, b) in enumerate(zip(lists["params"], before)):
        assert (what, j) == (what, i) or np.array_equal(a, b)


@pytest.mark.parametrize("params, grads", [(1, 2), (2, 1), (3, 1), (1, 1), (3, 3), (0, 0)])
def test_lists_of_another_length(params, grads):
    P, G = arrays((2,), (2,), (2,)), arrays((2,), (2,), (2,))
    optimizer = Momentum()
    optimizer.update(P[:2], G[:2])
    with refused(RuntimeError, f"Momentum: params and grads … 2 arrays … {params} and {grads}…"):
        optimizer.update(P[:params], G[:grads])


def test_new_lists_of_the_same_arrays_are_fine():
    params, grads = arrays((2,), (3,)), arrays((2,), (3,))
    optimizer = Adam()
    optimizer.update(params, grads)
    optimizer.update(tuple(params), list(grads))
    assert optimizer.step == 2


def test_no_parameters_at_all():
    optimizer = Adam()
    optimizer.update([], [])
    optimizer.update([], [])
    assert optimizer.step == 2 and set(optimizer.state) == {"step"}


# State

def same(a, b):
    return a.keys() == b.keys() and all(a[k].dtype == b[k].dtype and np.array_equal(a[k], b[k]) for k in a)


SHAPES = (200, 200), (5,), ()


@every_optimizer
def test_a_run_that_was_interrupted_ends_the_same(make):
    def start():
        return make(lr=cosine_decay(0.01, 9)), arrays(*SHAPES)

    optimizer, uninterrupted = start()
    train(optimizer, uninterrupted, 10)

    first, params = start()
    train(first, params, 4)
    for used in (False, True):                # into a new optimizer, and into one that has moved on
        second, _ = start()
        continued = [p.copy() for p in params]
        if used:
            train(second, arrays(*SHAPES, seed=1), 3)
            second = copy.deepcopy(second)
        second.load_state(first.state)
        assert same(second.state, first.state) and second.step == 4
        train(second, continued, 6)
        for a, b in zip(continued, uninterrupted):
            np.testing.assert_array_equal(a, b)
        assert same(second.state, optimizer.state)


def test_going_back_while_training():
    params, grads = arrays((3, 4)), arrays((3, 4), seed=1)
    optimizer = Adam()
    start, untouched = params[0].copy(), optimizer.state
    for _ in range(3):
        optimizer.update(params, grads)
    middle, state = params[0].copy(), optimizer.state
    optimizer.update(params, grads)
    end = params[0].copy()
    for weights, saved, steps in ((middle, state, 1), (start, untouched, 4)):
        params[0][...] = weights
        optimizer.load_state(saved)
        for _ in range(steps):
            optimizer.update(params, grads)
        np.testing.assert_array_equal(params[0], end)


def test_state_names_and_independence():
    params, grads = arrays((2, 3), ()), arrays((2, 3), ())
    optimizer = Adam()
    assert same(optimizer.state, {"step": np.array(0)})
    optimizer.update(params, grads)
    state = optimizer.state
    assert list(state) == ["step", "m.0", "v.0", "m.1", "v.1"]
    assert state["step"].dtype == np.int64 and state["step"].shape == ()
    np.testing.assert_allclose(state["m.0"], 0.1 * grads[0], rtol=1e-6)             # (1 - beta1) g, as in the paper
    np.testing.assert_allclose(state["v.1"], 0.001 * grads[1] ** 2, rtol=1e-6)
    kept = state["m.0"].copy()
    optimizer.update(params, grads)                      # a state taken does not follow the optimizer
    np.testing.assert_array_equal(state["m.0"], kept)
    optimizer.load_state(state)
    state["m.0"][...] = 7                                # nor the optimizer a state it was given
    np.testing.assert_array_equal(optimizer.state["m.0"], kept)


def without(state, *names):
    return {k: v for k, v in state.items() if k not in names}


BAD_STATES = [
    (lambda s: without(s, "v.1"), ValueError,
     "Adam: state … no v.1"),
    (lambda s: without(s, "m.1", "v.1"), ValueError,
     "Adam: state … 2 … 1; index 1…"),
    (lambda s: {"step": s["step"]}, ValueError, "Adam: state … no m.0, no v.0"),
    (lambda s: {**s, "h.0": s["m.0"]}, ValueError, "Adam: state … h.0"),
    (lambda s: without(s, "step"), TypeError, "Adam: state['step'] … None"),
    (lambda s: {**s, "step": np.array(-1)}, ValueError, "Adam: state['step'] … 0 … -1"),
    (lambda s: {**s, "step": np.array(1.0)}, TypeError, f"Adam: state['step'] … {np.float64(1.0)!r}"),
    (lambda s: {**s, "step": np.array([1])}, TypeError, "Adam: state['step'] … array…"),
    (lambda s: {**s, "v.1": s["v.1"][:2]}, ValueError,
     "Adam: state['v.1'] … float32 (3,) … params[1] … float32 (2,)"),
    (lambda s: {**s, "m.0": s["m.0"].astype(np.float64)}, ValueError,
     "Adam: state['m.0'] … float32 (2, 2) … params[0] … float64 (2, 2)"),
]


@pytest.mark.parametrize("spoil, error, match", BAD_STATES)
def test_a_state_that_does_not_fit_changes_nothing(spoil, error, match):
    params, grads = arrays((2, 2), (3,)), arrays((2, 2), (3,))
    optimizer = Adam()
    optimizer.update(params, grads)
    before = optimizer.state
    with refused(error, match):
        optimizer.load_state(spoil(before))
    assert same(optimizer.state, before)
    optimizer.update(params, grads)
    assert optimizer.step == 2

    new, weights = Adam(), params[0].copy()      # a new optimizer learns of the shapes at its first update
    with refused(error, match):
        new.load_state(spoil(before))
        assert new.step == 1
        new.update(params, grads)
    np.testing.assert_array_equal(params[0], weights)
    new.load_state(before)
    new.update(params, grads)
    assert same(new.state, optimizer.state)


def test_state_of_another_rule():
    momentum, adagrad = Momentum(), AdaGrad()
    momentum.update([np.ones(1)], [np.ones(1)])
    for other in (adagrad, SGD(), Adam()):
        with refused(ValueError, f"{type(other).__name__}: state … step…"):
            other.load_state(momentum.state)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_a_copy_goes_on_with_the_arrays_it_is_given(duplicate):
    params, grads = arrays((300, 300), (2,)), arrays((300, 300), (2,))
    optimizer = Adam(lr=cosine_decay(0.1, 10))
    optimizer.update(params, grads)
    theirs, twin = [p.copy() for p in params], duplicate(optimizer)
    twin.update(theirs, [g.copy() for g in grads])
    optimizer.update(params, grads)
    for a, b in zip(params, theirs):
        np.testing.assert_array_equal(a, b)
    assert same(twin.state, optimizer.state)


def test_gradients_may_be_new_arrays_at_each_update():
    (W,), optimizer = arrays((2,)), Momentum(lr=0.5, momentum=0.5)
    W[...] = 0
    for _ in range(2):
        optimizer.update([W], [np.ones_like(W)])
    np.testing.assert_allclose(W, -0.5 - 0.75)


def test_one_sgd_serves_two_nets():
    (A,), (B,), optimizer = arrays((2,)), arrays((3,)), SGD(lr=1.0)
    A[...], B[...] = 0, 0
    for W in A, B, A:
        optimizer.update([W], [np.ones_like(W)])
    assert A.tolist() == [-2, -2] and B.tolist() == [-1, -1, -1]


def test_dicts_pair_by_key_and_name_the_state():
    params, grads = {"W1": np.zeros(2), "b1": np.zeros(1)}, {"b1": np.full(1, 2.0), "W1": np.ones(2)}
    optimizer = Momentum(lr=0.5)
    optimizer.update(params, grads)
    assert params["W1"].tolist() == [-0.5, -0.5] and params["b1"].tolist() == [-1.0]
    assert list(optimizer.state) == ["step", "v.W1", "v.b1"]
    other, copy = Momentum(lr=0.5), {key: a.copy() for key, a in params.items()}
    other.load_state(optimizer.state)
    for o, p in (optimizer, params), (other, copy):
        o.update(p, grads)
    assert all(np.array_equal(params[key], copy[key]) for key in params)


@pytest.mark.parametrize("grads", [{"W1": np.ones(2)}, {"W1": np.ones(2), "b2": np.ones(1)}])
def test_dicts_with_other_keys_are_refused(grads):
    params = {"W1": np.zeros(2), "b1": np.zeros(1)}
    with refused(ValueError, "SGD: grads … params … 'b1'…"):
        SGD().update(params, grads)
    assert not params["W1"].any()


@pytest.mark.parametrize("rule", [SGD, Momentum])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("order", "CF")
def test_a_gradient_that_is_not_finite_changes_nothing(rule, bad, order):
    params, grads = arrays((2, 3), (2,)), arrays((2, 3), (2,))
    grads[0] = np.array(grads[0], order=order)
    grads[0][1, 2] = bad
    before, optimizer = [p.copy() for p in params], rule()
    with refused(FloatingPointError, "… grads[0] … at index (1, 2)…"):
        optimizer.update(params, grads)
    assert optimizer.step == 0 and all(map(np.array_equal, params, before))


def test_huge_gradients_are_no_error():
    W = np.zeros(2, np.float32)
    SGD(lr=1e-30).update([W], [np.array([1e30, -1e30], np.float32)])
    np.testing.assert_allclose(W, [-1, 1])


@pytest.mark.parametrize("view", [lambda W: W, lambda W: W.T, lambda W: W[:1], lambda W: W[1:], lambda W: W[::-1],
                                  lambda W: W[1, 1:2]])
def test_one_array_listed_twice_is_refused(view):
    W = np.zeros((3, 3))
    with refused(ValueError, "SGD: params[0] and params[1]…"):
        SGD().update([W, view(W)], [np.zeros((3, 3)), np.zeros(view(W).shape)])


def test_views_that_have_no_entry_in_common_are_parameters_of_their_own():
    W = np.zeros((4, 2))
    SGD(lr=1.0).update([W[::2], W[1], W[3:]], [np.ones((2, 2)), np.full(2, 2.0), np.full((1, 2), 3.0)])
    assert W[:, 0].tolist() == [-1, -2, -1, -3]
