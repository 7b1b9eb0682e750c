"""What the convolutional networks share: how large an image is after some layers."""
from ...common import checks
from ...layers.convolution import Convolution
from ...layers.pooling import Pool


def image_shape(who, shape, classes):
    """``shape`` as (C, H, W), three ints, or an error that names the model; the number of classes is looked at too."""
    sizes = checks.as_array(shape)
    if sizes.shape != (3,) or sizes.dtype.kind not in "iu" or sizes.min() < 1:
        raise ValueError(checks.wrong(who, "input_shape", "be (C, H, W), three whole numbers of at least 1", repr(shape)))
    checks.counts(who, classes=classes)
    return tuple(sizes.tolist())


def image_after(layers, shape):
    """The shape (C, H, W) of an image of ``shape`` after convolutions and poolings; other layers leave it as it is.

    >>> image_after([Convolution.init(3, 8, 5), Pool(2)], (3, 28, 28))
    (8, 12, 12)
    """
    for layer in layers:
        if isinstance(layer, Convolution):
            shape = (len(layer.params[0]), *layer._windows((1, *shape)).places)
        elif isinstance(layer, Pool):
            shape = (shape[0], *layer._places((1, *shape)))
    return shape


def fits(size, shape):
    """Whether a window of this size fits into an image (C, H, W)."""
    return min(shape[1:]) >= size
