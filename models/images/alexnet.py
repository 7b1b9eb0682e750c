"""AlexNet, the network that made images the field of deep learning."""
import math
from collections.abc import Sequence

from ...common.rng import generator
from ...common.types import Seed
from ...layers import Affine, Convolution, Dropout, Flatten, ReLU, SoftmaxWithLoss
from ..sequential import Sequential
from .features import first_convolution, image_after, image_shape, pooled


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
        input_shape, rng = image_shape("AlexNet", input_shape, classes), generator("AlexNet", rng)
        layers = [Convolution.init(input_shape[0], 96, **first_convolution(input_shape), rng=rng),
                  ReLU()]
        for n_in, n_out, size, pool in ((96, 256, 5, True), (256, 384, 3, True),
                                        (384, 384, 3, False), (384, 256, 3, False)):
            if pool:
                layers = pooled(layers, input_shape, 3)
            layers += [Convolution.init(n_in, n_out, size, padding="same", rng=rng), ReLU()]
        layers = pooled(layers, input_shape, 3)
        n = math.prod(image_after(layers, input_shape))
        super().__init__(*layers, Flatten(),
                         Affine.init(n, 4096, rng=rng), ReLU(), Dropout(0.5, rng=rng),
                         Affine.init(4096, 4096, rng=rng), ReLU(), Dropout(0.5, rng=rng),
                         Affine.init(4096, classes, rng=rng), loss=SoftmaxWithLoss())
