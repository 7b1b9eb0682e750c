"""GoogLeNet: blocks of parallel branches."""
from collections.abc import Sequence
from typing import Any

from ...common import checks
from ...common.rng import generator
from ...common.types import Seed
from ...layers import Affine, Concatenate, GlobalAveragePool, MaxPool, SoftmaxWithLoss
from ..graph import Graph
from ..node import Input, through
from ..sequential import Sequential
from .features import convolution, image_after, prepared

# For each stage its blocks, as ``inception`` takes them.
STAGES = (
    ((64, (96, 128), (16, 32), 32), (128, (128, 192), (32, 96), 64)),
    ((192, (96, 208), (16, 48), 64), (160, (112, 224), (24, 64), 64),
     (128, (128, 256), (24, 64), 64), (112, (144, 288), (32, 64), 64),
     (256, (160, 320), (32, 128), 128)),
    ((256, (160, 320), (32, 128), 128), (384, (192, 384), (48, 128), 128)))


class Inception(Graph):
    """The block that ``inception`` makes."""


def inception(channels: int, filters: Sequence[Any], rng: Seed = None) -> Inception:
    """A block (N, channels, H, W) -> (N, sum of the filters, H, W): four ways to look at the image,
    side by side.

    ``filters`` = (a, (b, c), (d, e), f): a of 1 x 1; c of 3 x 3 after b of 1 x 1; e of 5 x 5
    after d of 1 x 1; f of 1 x 1 after a 3 x 3 maximum. The 1 x 1 convolutions in front leave few
    channels: that makes the larger ones affordable.
    """
    try:
        one, (three_in, three), (five_in, five), pooled = filters
    except (TypeError, ValueError):
        raise ValueError(checks.wrong("inception", "filters", "be (a, (b, c), (d, e), f)",
                                      repr(filters))) from None
    checks.counts("inception", channels=channels, a=one, b=three_in, c=three, d=five_in, e=five,
                  f=pooled)
    x, rng = Input("x"), generator("inception", rng)
    branches = [
        convolution(channels, one, 1, rng),
        convolution(channels, three_in, 1, rng) + convolution(three_in, three, 3, rng, padding=1),
        convolution(channels, five_in, 1, rng) + convolution(five_in, five, 5, rng, padding=2),
        [MaxPool(3, stride=1, padding=1)] + convolution(channels, pooled, 1, rng),
    ]
    return Inception(x, Concatenate(axis=1)(*[through(x, *branch) for branch in branches]))


class GoogLeNet(Graph):
    """A stem of convolutions, nine Inception blocks in three stages, the mean over the image, and
    one affine layer.

    Shapes: x (N, *input_shape), scores (N, classes). On images under 63 pixels the stem is one 3 x
    3 convolution of stride 1, and a pooling that does not fit is left out.

    ``auxiliary=True`` adds two classifiers after the first and the fourth block of the second
    stage, whose losses count 0.3 each: gradients reach the lower layers by a shorter way.
    ``forward(x)`` is without them. Source: Szegedy et al., Going deeper with convolutions (2014).
    Differs from the paper as the courses do: no local response normalisation and no dropout; an
    auxiliary classifier is a 1 x 1 convolution, the mean over the image and an affine layer.

    >>> sum(p.size for p in GoogLeNet(input_shape=(1, 96, 96), classes=10).params)
    5977530
    """

    def __init__(
        self, input_shape: Sequence[int] = (3, 224, 224), classes: int = 1000,
        auxiliary: bool = False, rng: Seed = None,
    ) -> None:
        input_shape, rng = prepared("GoogLeNet", input_shape, classes, rng)
        auxiliary = checks.flag("GoogLeNet", "auxiliary", auxiliary)
        x, t, channels = Input("x"), Input("t"), 192
        if min(input_shape[1:]) < 63:
            stem = convolution(input_shape[0], 192, 3, rng, padding=1)
        else:
            stem = [*convolution(input_shape[0], 64, 7, rng, stride=2, padding=3),
                    MaxPool(3, stride=2, padding=1), *convolution(64, 64, 1, rng),
                    *convolution(64, 192, 3, rng, padding=1)]
        node, shape, branches = through(x, *stem), image_after(stem, input_shape), []
        for stage, blocks in enumerate(STAGES):
            if min(shape[1:]) >= 4:
                pool = MaxPool(3, stride=2, padding=1)
                node, shape = pool(node), image_after([pool], shape)
            for i, filters in enumerate(blocks):
                node = inception(channels, filters, rng)(node)
                channels = filters[0] + filters[1][1] + filters[2][1] + filters[3]
                if auxiliary and stage == 1 and i in (0, 3):
                    head = [*convolution(channels, 128, 1, rng), GlobalAveragePool(),
                            Affine.init(128, classes, rng=rng)]
                    branches.append(through(node, *head))
        y = through(node, GlobalAveragePool(), Affine.init(channels, classes, rng=rng))
        if not auxiliary:
            super().__init__(x, y, loss=SoftmaxWithLoss())
        else:
            loss = SoftmaxWithLoss()(y, t)
            for branch in branches:
                loss = loss + 0.3 * SoftmaxWithLoss()(branch, t)
            super().__init__(x, y, targets=t, loss=loss)


def small_inception(
    input_shape: Sequence[int] = (1, 8, 8), classes: int = 10, rng: Seed = None
) -> Sequential:
    """Two Inception blocks for small images, a hundredth of GoogLeNet in size: a Sequential.

    >>> sum(p.size for p in small_inception().params)
    35942
    """
    input_shape, rng = prepared("small_inception", input_shape, classes, rng)
    return Sequential(*convolution(input_shape[0], 32, 3, rng, padding=1),
                      inception(32, (16, (16, 32), (4, 8), 8), rng), MaxPool(2),
                      inception(64, (32, (32, 64), (8, 16), 16), rng), GlobalAveragePool(),
                      Affine.init(128, classes, rng=rng), loss=SoftmaxWithLoss())
