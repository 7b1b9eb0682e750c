"""Layers with planted mistakes: the right code comes first, both of a pair are named, and a right layer is let pass."""
from collections import Counter
from importlib import import_module

import pytest

from chainrule.gradcheck import check, check_gradients
from chainrule.gradcheck.report import NOTES
from chainrule.gradcheck.rules import HINTS, ORDER

MODULES = ("dense", "activations", "losses", "images", "sequences", "nodes", "contract", "unseen", "hidden",
           "blocks", "pairs")
PLANTED = [(module, *case) for module in MODULES for case in import_module(f"tests.common.gradcheck.faulty.{module}").CASES]

# Found under another name, and known: each of the two readings fits what can be measured from outside, or the text, in
# which all mistakes of a layer stand side by side, leads astray.
KNOWN_MISSES = {
    "Swish:first term",                     # one term of a product: wrong-local-derivative
    "Multiply:swapped", "Multiply:swapped, sign", "Maximum:inverted",       # each gradient in the other's place
    "Divide:not squared", "GRUCell:no direct path",
    "Mover:reshape for transpose",
    "Contrastive:negatives ignored",        # a coupling through distances, in a loss
    "CumSum:forwards",
    "MRNN:nomask",                          # the mask is missing in two places
    "MultiHead:join",                       # nothing in the text heals it; right with one time step
    "L1Loss:e",                             # planted in a dict of gradients, whose text leads astray: stale-cache
    "RNN:steps from 1, db mean",            # a step that is lost hides the mean in the same array
    "BatchNorm:right wrong-sign in params[0], summed-too-far in x",
}


@pytest.fixture(autouse=True)
def short_limit(monkeypatch):
    monkeypatch.setattr(check, "LIMIT", 1.0)


def verdict(make):
    layer, inputs = make()
    return check_gradients(layer, *inputs, rng=0)


# Two mistakes in one layer, and the slower layers, take seconds each: of these modules the suite runs one in so many,
# and all of them with -m slow.
EVERY = {"pairs": 5, "unseen": 2, "sequences": 2, "hidden": 2}


def marks(i, module):
    return [pytest.mark.slow] if i % EVERY.get(module, 1) else []


@pytest.mark.parametrize("codes, make", [
    pytest.param(codes, make, id=f"{module}/{name}", marks=marks(i, module))
    for i, (module, codes, name, make) in enumerate(PLANTED) if name not in KNOWN_MISSES])
def test_every_planted_mistake_is_named(codes, make):
    report = verdict(make)
    if codes == ():
        assert report.ok and not report.findings, report
    elif isinstance(codes, tuple):
        assert set(codes) <= set(report.codes), report
    else:
        assert report.codes[0] == codes, report
    assert report.ok == all(f.code in NOTES for f in report.findings)


def test_every_code_is_planted_in_three_places():
    planted = Counter(code for _, codes, name, _ in PLANTED for code in ([codes] if isinstance(codes, str) else codes))
    assert set(HINTS) == set(ORDER) == set(planted)
    assert min(planted.values()) >= 3, planted


def test_the_set_is_large_enough_to_mean_something():
    kinds = Counter("right" if codes == () else "pair" if isinstance(codes, tuple) else "single" for _, codes, _, _ in PLANTED)
    assert kinds["single"] >= 120 and kinds["right"] >= 60 and kinds["pair"] >= 20
    assert len(KNOWN_MISSES) < 0.05 * len(PLANTED)
