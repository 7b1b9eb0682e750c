"""The matrix products of the bare NumPy step and nothing else, on its own arrays: a step can take no less on this BLAS.

There is no loss: it is NaN.
"""
import math
from functools import partial

import numpy as np
import peer_numpy  # noqa: F401 (it registers itself)
from workloads import PEERS, WORKLOADS

NAMES = "matmul", "dot", "einsum"


def build(workload, w):
    step = PEERS["numpy"][workload](w)
    step()
    calls = [step.products] if hasattr(step, "products") else calls_of(step)

    def products():
        for call in calls:
            call()
        return math.nan
    return products


def calls_of(step):
    """The products of ``step``, as functions that make them again."""
    calls, before = [], {name: getattr(np, name) for name in NAMES}

    def noted(function, *arguments, **options):
        result = function(*arguments, **options)
        calls.append(partial(function, *arguments, **{"out": result} | options))
        return result

    try:
        for name, function in before.items():
            setattr(np, name, partial(noted, function))
        step()
    finally:
        for name, function in before.items():
            setattr(np, name, function)
    return calls


for name in WORKLOADS:
    PEERS["products"][name] = partial(build, name)
