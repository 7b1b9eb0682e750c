"""Layers to which each sample is by itself: a large batch in pieces that stay in the cache, shared
out among threads. On two processors LayerNorm and GroupNorm take three fifths of the time.

A piece goes through the layer's own page, by a copy of the layer; the gradients that copies find
for their parameters are added up. An elementwise layer gains nothing: its result would be written
twice.
"""
import functools

import numpy as np

from .pieces import CACHE, portions
from .threads import spread, threads

APART = "LayerNorm", "GroupNorm"
WORK = 16            # what a value counts in ``spread``, in multiplications
LARGE = 1 << 19      # values from which it gains


class Pieces(list):
    """The cache of a forward in pieces: which samples, and what the page kept of them."""


def use_pieces(cls):
    """Let a layer's class run on pieces, if it is one of APART; a subclass runs as written."""
    if cls.__name__ not in APART or not cls.__module__.startswith("chainrule."):
        return
    page, page_back = cls.forward, cls.backward

    @functools.wraps(page)
    def forward(layer, x):
        if x.size < LARGE or len(x) == 1 or threads() == 1 or layer.__class__ is not cls:
            return page(layer, x)
        y = np.empty_like(x)

        def job(part):
            mine, kept = copied(layer), []
            for samples in portions(part, x.nbytes // len(x), CACHE):
                y[samples] = page(mine, x[samples])
                kept.append((samples, mine.cache))
            return kept

        layer.cache = Pieces(sum(spread(job, len(x), WORK * x.size), []))
        return y

    @functools.wraps(page_back)
    def backward(layer, dout):
        if layer.cache.__class__ is not Pieces:
            return page_back(layer, dout)
        dx, pieces = np.empty_like(dout), layer.cache

        def job(part):
            grads = []
            for samples, cache in pieces[part]:
                mine = copied(layer)
                mine.cache = cache
                found = page_back(mine, dout[samples])
                if found is not None:
                    dx[samples] = found
                grads.append(mine.grads)
            return grads

        grads = sum(spread(job, len(pieces), WORK * dout.size), [])
        for g, *parts in zip(layer.grads, *grads):
            g[...] = sum(parts)
        return dx if layer.input_gradient else None

    cls.forward, cls.backward = forward, backward


def copied(layer):
    copy = object.__new__(layer.__class__)
    vars(copy).update(vars(layer), grads=[np.empty_like(g) for g in layer.grads])
    return copy
