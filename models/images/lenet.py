"""LeNet, the first convolutional network in daily use."""
import math
from collections.abc import Callable, Sequence

from ...common import checks
from ...common.types import Computes, Padding, Seed
from ...layers import Affine, Convolution, Flatten, MaxPool, ReLU, SoftmaxWithLoss
from ..sequential import Sequential
from .features import image_after, prepared


class LeNet(Sequential):
    """Two convolutions with an activation and a pooling each, then three affine layers.

    6 filters of 5 x 5, 16 filters of 5 x 5, then 120, 84 and ``classes`` units; ``padding`` is that
    of the first convolution. On images too small for it the second convolution is padded too.
    Shapes: x (N, *input_shape), scores (N, classes).

    Source: LeCun et al., Gradient-based learning applied to document recognition (1998). Differs
    from the paper as the courses do: every filter sees every channel, pooling has no weights, and
    ReLU, maximum pooling and softmax with cross-entropy are the defaults; ``pool=AveragePool,
    activation=Sigmoid`` comes closer.

    >>> sum(p.size for p in LeNet().params), sum(p.size for p in LeNet(padding=0).params)
    (61706, 44426)
    """

    def __init__(
        self, input_shape: Sequence[int] = (1, 28, 28), classes: int = 10, padding: Padding = 2,
        pool: Callable[[int], Computes] = MaxPool, activation: Callable[[], Computes] = ReLU,
        rng: Seed = None,
    ) -> None:
        input_shape, rng = prepared("LeNet", input_shape, classes, rng)
        checks.kind_of("LeNet", "pool", pool, "MaxPool", given=(2,))
        checks.kind_of("LeNet", "activation", activation, "ReLU", given=())
        features = [Convolution.init(input_shape[0], 6, 5, padding=padding, rng=rng), activation(),
                    pool(2)]
        small = min(image_after(features, input_shape)[1:]) < 6
        features += [Convolution.init(6, 16, 5, padding=2 if small else 0, rng=rng), activation(),
                     pool(2)]
        n = math.prod(image_after(features, input_shape))
        super().__init__(*features, Flatten(), Affine.init(n, 120, rng=rng), activation(),
                         Affine.init(120, 84, rng=rng), activation(),
                         Affine.init(84, classes, rng=rng), loss=SoftmaxWithLoss())
