"""A model's gradients against differences of its loss."""
import numpy as np


def assert_gradients(model, *batch, before=lambda: None, h=1e-6, entries=6, rtol=1e-5):
    """A few entries of every parameter; ``before`` runs before each forward: it brings back states and generators."""
    def loss():
        before()
        return model.forward(*batch)

    loss()
    model.backward()
    rng, grads = np.random.default_rng(7), [np.array(g) for g in model.grads]
    for name, p, g in zip(model.names, model.params, grads):
        largest = np.argsort(-np.abs(g), axis=None)[:entries // 2]       # where a mistake shows; some at random
        for i in {*largest.tolist(), *rng.integers(0, p.size, entries // 2).tolist()}:
            at = np.unravel_index(i, p.shape)
            value = p[at]
            p[at] = value + h
            up = loss()
            p[at] = value - h
            down = loss()
            p[at] = value
            slope = (up - down) / (2 * h)
            np.testing.assert_allclose(g[at], slope, rtol=rtol, atol=1e-8, err_msg=f"{name}{at}")


def scale_up(model, rng=0):
    """Weights so large that nothing is nearly linear."""
    rng = np.random.default_rng(rng)
    for p in model.params:
        p[...] = rng.normal(size=p.shape) * 0.5
    return model
