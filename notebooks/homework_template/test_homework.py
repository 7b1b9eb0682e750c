"""One point for each forward, one for each backward. For other layers, change the table and layers_to_write.py."""
import layers_to_write
import numpy as np
import pytest

from chainrule import layers
from chainrule.gradcheck import check_gradients

rng = np.random.default_rng(0)
LAYERS = {   # name: (parameters, inputs); all sizes differ, so that axes cannot be confused
    "Affine": ((rng.normal(size=(3, 4)), rng.normal(size=4)), (rng.normal(size=(7, 3)),)),
    "ReLU": ((), (rng.normal(size=(7, 3)),)),
    "Sigmoid": ((), (rng.normal(size=(7, 3)),)),
    "Embedding": ((rng.normal(size=(6, 4)),), (rng.integers(0, 6, size=(7, 3)),)),
    "SoftmaxWithLoss": ((), (rng.normal(size=(7, 5)), np.array([0, 1, 4, 1, 3, 0, 1]))),
}
each_layer = pytest.mark.parametrize("name", LAYERS)


@each_layer
def test_forward(name):
    params, inputs = LAYERS[name]
    expected = getattr(layers, name)(*params).forward(*inputs)
    np.testing.assert_allclose(getattr(layers_to_write, name)(*params).forward(*inputs), expected)


@each_layer
def test_backward(name):
    test_forward(name)   # a right gradient of a wrong function earns nothing
    params, inputs = LAYERS[name]
    report = check_gradients(getattr(layers_to_write, name)(*params), *inputs, rng=0)
    assert report, str(report)                    # as text, for pytest shortens everything else
