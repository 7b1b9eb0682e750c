"""Where a seed becomes a generator."""
import numpy as np

from . import checks


def generator(who, rng) -> np.random.Generator:
    """``rng`` as a numpy.random.Generator: itself if it is one, a new one for a seed, a fresh one
    for None.

    Raises TypeError or ValueError, naming ``who`` was called, for what numpy.random.default_rng
    does not take.
    """
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        expected = "be a numpy.random.Generator, a seed (a whole number of at least 0) or None"
        raise type(error)(checks.wrong(who, "rng", expected, repr(rng))) from None


def state_for(who, name, rng, state):
    """``state`` if ``rng`` can take it, else ValueError: ``who`` begins the sentence."""
    try:
        type(rng.bit_generator)(0).state = state
    except (TypeError, ValueError, KeyError, OverflowError, AttributeError) as error:
        kind = type(rng.bit_generator).__name__
        raise ValueError(f"{who} {name} is not the state of a {kind} generator: "
                         f"{error!r}") from error
    return state
