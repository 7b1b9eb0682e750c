"""What the convolutional networks share: their parts, and how large an image is after them."""
import math

from ...common import checks
from ...common.rng import generator
from ...layers import Affine, Convolution, Dropout, Flatten, MaxPool, ReLU


def prepared(who, shape, classes, rng):
    """``shape`` as (C, H, W), three ints, and a generator; errors name the model."""
    sizes = checks.as_array(shape)
    if sizes.shape != (3,) or sizes.dtype.kind not in "iu" or sizes.min() < 1:
        raise ValueError(
            checks.wrong(who, "input_shape", "be (C, H, W), three whole numbers of at least 1",
                         repr(shape)))
    checks.counts(who, classes=classes)
    return tuple(sizes.tolist()), generator(who, rng)


def image_after(layers, shape):
    """The shape (C, H, W) of an image of ``shape`` after convolutions and poolings; other layers
    leave it as it is."""
    for layer in layers:
        if hasattr(layer, "output_shape"):
            shape = layer.output_shape((1, *shape))[1:]
    return shape


def convolution(n_in, n_out, size, rng, **options):
    return [Convolution.init(n_in, n_out, size, rng=rng, **options), ReLU()]


def first_convolution(shape, rng):
    """AlexNet's and NiN's, for images of this shape."""
    small = min(shape[1:]) < 63
    return (convolution(shape[0], 96, 3, rng, padding=1) if small
            else convolution(shape[0], 96, 11, rng, stride=4))


def classifier(layers, shape, hidden, classes, rng):
    """The layers with affine ones behind them, of so many units and with dropout; the last gives a
    score for each class."""
    n, layers = math.prod(image_after(layers, shape)), [*layers, Flatten()]
    for units in hidden:
        layers += [Affine.init(n, units, rng=rng), ReLU(), Dropout(0.5, rng=rng)]
        n = units
    return [*layers, Affine.init(n, classes, rng=rng)]


def pooled(layers, shape, size):
    """The layers with a pooling of stride 2 behind them, if its window fits into an image there."""
    fits = min(image_after(layers, shape)[1:]) >= size
    return [*layers, MaxPool(size, stride=2)] if fits else layers
