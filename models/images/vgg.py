"""VGG: depth from blocks of small convolutions."""
from collections.abc import Sequence

import numpy as np

from ...common import checks
from ...common.types import Seed
from ...layers import SoftmaxWithLoss
from ..sequential import Sequential
from .features import classifier, convolution, pooled, prepared

# depth: for each block (number of convolutions, filters); units of the hidden affine layers
BLOCKS = {6: (((2, 32), (2, 64)), (256,)),
          11: (((1, 64), (1, 128), (2, 256), (2, 512), (2, 512)), (4096, 4096)),
          16: (((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)), (4096, 4096))}


class VGG(Sequential):
    """Blocks of 3 x 3 convolutions, each block ending in a 2 x 2 pooling, then affine layers with
    dropout.

    Two 3 x 3 convolutions see as far as one of 5 x 5, with fewer weights and one more
    non-linearity. ``depth`` counts the layers with weights: 11 or 16 as in the paper (A and D), or
    6 for small images. A pooling that does not fit is left out. Shapes: x (N, *input_shape), scores
    (N, classes).

    Source: Simonyan and Zisserman, Very deep convolutional networks for large-scale image
    recognition (2014).

    >>> sum(p.size for p in VGG(6, input_shape=(3, 32, 32), classes=10).params)
    1116970
    """

    def __init__(
        self, depth: int = 16, input_shape: Sequence[int] = (3, 224, 224), classes: int = 1000,
        rng: Seed = None,
    ) -> None:
        if not isinstance(depth, (int, np.integer)) or depth not in BLOCKS:
            raise ValueError(
                checks.wrong("VGG", "depth", f"be one of {', '.join(map(str, BLOCKS))}",
                             checks.text(depth)))
        input_shape, rng = prepared("VGG", input_shape, classes, rng)
        (blocks, hidden), channels, layers = BLOCKS[depth], input_shape[0], []
        for convolutions, filters in blocks:
            for _ in range(convolutions):
                layers += convolution(channels, filters, 3, rng, padding=1)
                channels = filters
            layers = pooled(layers, input_shape, 2)
        super().__init__(*classifier(layers, input_shape, hidden, classes, rng),
                         loss=SoftmaxWithLoss())
