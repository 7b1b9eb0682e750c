"""Layers as students write them: for each code of the gradient checker a few that make that mistake, and many that make
none.

Each module has ``CASES``: (codes, name, make), where make() gives (layer, inputs). ``codes`` is the code that must be
named first; a tuple of two is a pair of simultaneous mistakes, both of which should be named; () is a right layer,
where nothing may be.
"""
import numpy as np


def normal(*shape, seed=0):
    return np.random.default_rng(seed + 1000 * len(shape) + sum(shape)).normal(size=shape)


def cases(cls, make, faults):
    """One case per fault of a class that takes ``fault`` first; () among the values marks a right one."""
    return [
        (codes, f"{cls.__name__}:{fault or 'right'}", lambda fault=fault: make(cls, fault)) for fault, codes in faults.items()
    ]
