"""Seeds: every function with ``rng`` says what it takes."""
import numpy as np
import pytest

from chainrule.common import initializers
from chainrule.common.rng import generator
from chainrule.datasets import make_addition, make_dates, make_spiral, pair_batches, random_shifts, train_test_split
from chainrule.models import CBOW
from chainrule.models.text import NegativeSampler
from tests.errors import refused

CALLS = {
    **{draw.__name__: lambda rng, draw=draw: draw((2, 3), rng=rng)
       for draw in (initializers.gaussian, initializers.uniform, initializers.xavier, initializers.he, initializers.orthogonal)},
    "make_addition": lambda rng: make_addition(3, rng=rng),
    "make_dates": lambda rng: make_dates(3, rng=rng),
    "make_spiral": lambda rng: make_spiral(rng=rng),
    "pair_batches": lambda rng: pair_batches([[1]], [[2]], rng=rng),
    "random_shifts": lambda rng: random_shifts(np.ones((1, 1, 3, 3)), rng=rng),
    "train_test_split": lambda rng: train_test_split(np.arange(5), rng=rng),
    "CBOW": lambda rng: CBOW(5, rng=rng),
    "NegativeSampler": lambda rng: NegativeSampler([1, 1], rng=rng),
}


@pytest.mark.parametrize("who", CALLS)
@pytest.mark.parametrize("rng, error", [("a", TypeError), (1.5, TypeError), (-1, ValueError)])
def test_what_is_no_seed_is_refused_by_name(who, rng, error):
    with refused(error, f"{who}: rng … numpy.random.Generator … seed … at least 0 … None … {rng!r}"):
        CALLS[who](rng)


def test_a_generator_stays_itself():
    rng = np.random.default_rng(3)
    assert generator("f", rng) is rng
    assert generator("f", 3).random() == np.random.default_rng(3).random()
    assert generator("f", None).random() != generator("f", None).random()
