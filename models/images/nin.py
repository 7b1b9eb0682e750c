"""Network in network: a small network at every pixel."""
from collections.abc import Sequence

from ...common.types import Seed
from ...layers import Dropout, GlobalAveragePool, SoftmaxWithLoss
from ..sequential import Sequential
from .features import convolution, first_convolution, pooled, prepared


class NiN(Sequential):
    """Blocks of a convolution and two of 1 x 1, which are affine layers at every pixel; the last
    has a channel for each class, whose mean over the image is the score: few weights.

    Shapes: x (N, *input_shape), scores (N, classes). Small images as in AlexNet.

    Source: Lin, Chen and Yan, Network in network (2013), with the sizes of AlexNet that courses
    use.

    >>> sum(p.size for p in NiN(input_shape=(1, 224, 224), classes=10).params)
    1992166
    """

    def __init__(
        self, input_shape: Sequence[int] = (3, 224, 224), classes: int = 1000, rng: Seed = None
    ) -> None:
        input_shape, rng = prepared("NiN", input_shape, classes, rng)

        def block(first, n):
            return first + convolution(n, n, 1, rng) + convolution(n, n, 1, rng)
        layers = pooled(block(first_convolution(input_shape, rng), 96), input_shape, 3)
        for n_in, n_out, size in ((96, 256, 5), (256, 384, 3)):
            layers += block(convolution(n_in, n_out, size, rng, padding=size // 2), n_out)
            layers = pooled(layers, input_shape, 3)
        last = block(convolution(384, classes, 3, rng, padding=1), classes)
        super().__init__(*layers, Dropout(0.5, rng=rng), *last, GlobalAveragePool(),
                         loss=SoftmaxWithLoss())
