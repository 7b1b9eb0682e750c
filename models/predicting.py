"""Outputs of a trained model."""
import contextlib

import numpy as np

from ..common.layer import evaluation


@contextlib.contextmanager
def predicting(model):
    """Evaluation mode; afterwards, even if it fails, the model is as before, without caches."""
    try:
        with evaluation(model):
            yield
    finally:
        model._ready = model.output = None


def in_batches(model, forward, inputs, batch_size):
    """``forward`` of ``inputs`` in evaluation mode, ``batch_size`` samples at a time; the outputs
    joined, for several outputs a tuple."""
    from ..training.batches import batches

    with predicting(model):
        if batch_size is None:
            return forward(*inputs)
        parts = []
        for part in batches(*inputs, batch_size=batch_size, shuffle=False):
            model.reset_states()      # samples do not follow each other, wherever they are cut
            parts.append(forward(*part) if isinstance(part, tuple) else forward(part))
    if isinstance(parts[0], tuple):
        return tuple(map(np.concatenate, zip(*parts)))
    return np.concatenate(parts)
