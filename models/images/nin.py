"""Network in network: a small network at every pixel."""
from collections.abc import Sequence

from ...common.rng import generator
from ...common.types import Seed
from ...layers import Convolution, Dropout, GlobalAveragePool, ReLU, SoftmaxWithLoss
from ..sequential import Sequential
from .features import first_convolution, image_shape, pooled


class NiN(Sequential):
    """Blocks of a convolution and two 1 x 1 convolutions, which are affine layers at every pixel;
    the last block has a channel for each class, and its mean over the image is the score: no affine
    layers, few weights.

    Shapes: x (N, *input_shape), scores (N, classes). Small images as in AlexNet.

    Source: Lin, Chen and Yan, Network in network (2013), with the sizes of AlexNet that courses
    use.

    >>> sum(p.size for p in NiN(input_shape=(1, 224, 224), classes=10).params)
    1992166
    """

    def __init__(
        self, input_shape: Sequence[int] = (3, 224, 224), classes: int = 1000, rng: Seed = None
    ) -> None:
        input_shape, rng = image_shape("NiN", input_shape, classes), generator("NiN", rng)
        channels, layers = input_shape[0], []
        for filters, options in ((96, first_convolution(input_shape)),
                                 (256, dict(size=5, padding=2)),
                                 (384, dict(size=3, padding=1))):
            layers += block(channels, filters, rng, **options)
            layers = pooled(layers, input_shape, 3)
            channels = filters
        super().__init__(*layers, Dropout(0.5, rng=rng),
                         *block(channels, classes, rng, size=3, padding=1), GlobalAveragePool(),
                         loss=SoftmaxWithLoss())


def block(n_in, n_out, rng, **options):
    return [Convolution.init(n_in, n_out, **options, rng=rng), ReLU(),
            Convolution.init(n_out, n_out, 1, rng=rng), ReLU(),
            Convolution.init(n_out, n_out, 1, rng=rng), ReLU()]
