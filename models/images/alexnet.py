"""AlexNet, which made images the field of deep learning."""
from collections.abc import Sequence

from ...common.types import Seed
from ...layers import SoftmaxWithLoss
from ..sequential import Sequential
from .features import classifier, convolution, first_convolution, pooled, prepared


class AlexNet(Sequential):
    """Five convolutions, three poolings, and three affine layers with dropout.

    Shapes: x (N, *input_shape), scores (N, classes). On images under 63 pixels the first
    convolution is 3 x 3 with stride 1 in place of 11 x 11 with stride 4, and a pooling that does
    not fit is left out.

    Source: Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural
    networks (2012). Differs from the paper as the courses do: one tower in place of two on two
    GPUs, and no local response normalisation.

    62,378,344 parameters in this form, most of them in the first affine layer:

    >>> AlexNet(input_shape=(1, 8, 8), classes=10).params[10].shape
    (256, 4096)
    """

    def __init__(
        self, input_shape: Sequence[int] = (3, 227, 227), classes: int = 1000, rng: Seed = None
    ) -> None:
        input_shape, rng = prepared("AlexNet", input_shape, classes, rng)
        layers = pooled(first_convolution(input_shape, rng), input_shape, 3)
        layers += convolution(96, 256, 5, rng, padding="same")
        layers = pooled(layers, input_shape, 3)
        for n_in, n_out in ((256, 384), (384, 384), (384, 256)):
            layers += convolution(n_in, n_out, 3, rng, padding="same")
        layers = pooled(layers, input_shape, 3)
        super().__init__(*classifier(layers, input_shape, (4096, 4096), classes, rng),
                         loss=SoftmaxWithLoss())
