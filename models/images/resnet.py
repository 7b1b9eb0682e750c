"""ResNet: layers that learn what to add."""
from collections.abc import Sequence

from ...common import checks
from ...common.rng import generator
from ...common.types import Seed
from ...layers import (
    Add,
    Affine,
    BatchNorm,
    Convolution,
    GlobalAveragePool,
    MaxPool,
    ReLU,
    SoftmaxWithLoss,
)
from ..graph import Graph
from ..node import Input
from ..sequential import Sequential
from .features import prepared


def convolution(n_in, n_out, size, rng, stride=1):
    """A convolution that keeps the image's size (with stride 1), and a batch norm, whose beta is
    the bias."""
    return [Convolution.init(n_in, n_out, size, stride=stride, padding=size // 2, bias=False,
                             rng=rng), BatchNorm.init(n_out)]


class Residual(Graph):
    """The block that ``residual`` makes."""


def residual(n_in: int, n_out: int, stride: int = 1, rng: Seed = None) -> Residual:
    """A block y = ReLU(f(x) + x), where f is two 3 x 3 convolutions with batch norm.

    f learns only what is to be added to x, and the gradient reaches x undamped: dL/dx = dL/ds
    (∂f/∂x + I). Where f changes the shape, a 1 x 1 convolution with batch norm takes the place of
    x.
    """
    checks.counts("residual", n_in=n_in, n_out=n_out, stride=stride)
    x, rng = Input("x"), generator("residual", rng)
    f = Sequential(*convolution(n_in, n_out, 3, rng, stride), ReLU(),
                   *convolution(n_out, n_out, 3, rng))
    skip = (x if n_in == n_out and stride == 1
            else Sequential(*convolution(n_in, n_out, 1, rng, stride))(x))
    return Residual(x, ReLU()(Add()(f(x), skip)))


class ResNet(Sequential):
    """A convolution, stages of residual blocks, the mean over the image, and one affine layer.

    ``depth`` counts the layers with weights: 18 as in the paper for ImageNet, four stages of two
    blocks with 64 to 512 channels after a 7 x 7 convolution and a pooling; or 8, 14, 20, ..., 6 n
    + 2, as in the paper for small images: three stages of n blocks with 16, 32 and 64 channels
    after a 3 x 3 convolution. Shapes: x (N, *input_shape), scores (N, classes).

    Source: He, Zhang, Ren and Sun, Deep residual learning for image recognition (2015). Differs
    from the paper for small images: where the shape changes, the skip is a 1 x 1 convolution there
    too.

    >>> sum(p.size for p in ResNet().params)
    11689512
    """

    def __init__(
        self, depth: int = 18, input_shape: Sequence[int] = (3, 224, 224), classes: int = 1000,
        rng: Seed = None,
    ) -> None:
        input_shape, rng = prepared("ResNet", input_shape, classes, rng)
        stages: tuple[int, ...]
        if checks.count("ResNet", "depth", depth, least=8, most=5000) == 18:
            channels, stages, n = 64, (64, 128, 256, 512), 2
            layers = [*convolution(input_shape[0], 64, 7, rng, stride=2), ReLU(),
                      MaxPool(3, stride=2, padding=1)]
        elif depth % 6 == 2:
            channels, stages, n = 16, (16, 32, 64), depth // 6
            layers = [*convolution(input_shape[0], 16, 3, rng), ReLU()]
        else:
            raise ValueError(checks.wrong("ResNet", "depth",
                                          "be 18, or 8, 14, 20 and so on for small images", depth))
        for filters in stages:
            for i in range(n):
                layers.append(
                    residual(channels, filters, 2 if i == 0 and filters != stages[0] else 1, rng))
                channels = filters
        super().__init__(*layers, GlobalAveragePool(), Affine.init(channels, classes, rng=rng),
                         loss=SoftmaxWithLoss())
