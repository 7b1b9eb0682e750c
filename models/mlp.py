"""Multi-layer perceptrons."""
from collections.abc import Callable, Sequence
from itertools import pairwise

from ..common import checks, initializers
from ..common.rng import generator
from ..common.types import Computes, Penalty, Seed
from ..layers import Affine, Flatten, ReLU, Sigmoid, SoftmaxWithLoss, Tanh
from .sequential import Sequential


def perceptron(who, sizes, activation, rng):
    """Affine layers of these sizes, an activation between each two."""
    checks.kind_of(who, "activation", activation, "ReLU", given=())
    sizes = [checks.count(who, f"sizes[{i}]", n) for i, n in enumerate(
        checks.items(who, "sizes", sizes, "sizes, such as [784, 10]"))]
    if len(sizes) < 2:
        raise ValueError(
            checks.wrong(who, "sizes",
                         "name at least the inputs and the outputs, such as [784, 10]", sizes))
    rng = generator(who, rng)
    initializer = initializers.xavier if activation in (Sigmoid, Tanh) else initializers.he
    layers = []
    for n_in, n_out in pairwise(sizes):
        layers += [Affine.init(n_in, n_out, rng=rng, initializer=initializer), activation()]
    return layers[:-1]


class TwoLayerNet(Sequential):
    """Affine, activation, Affine, softmax with loss: the first network of every course.

    Shapes: x (N, input_size), scores (N, output_size). Source: Saito, Deep Learning from Scratch 2,
    1.4.

    >>> model = TwoLayerNet(2, 10, 3, rng=0)
    >>> [p.shape for p in model.params]
    [(2, 10), (10,), (10, 3), (3,)]
    """

    def __init__(
        self, input_size: int, hidden_size: int, output_size: int,
        activation: Callable[[], Computes] = Sigmoid, penalty: Penalty | None = None,
        rng: Seed = None,
    ) -> None:
        checks.counts("TwoLayerNet", input_size=input_size, hidden_size=hidden_size,
                      output_size=output_size)
        super().__init__(*perceptron("TwoLayerNet", (input_size, hidden_size, output_size),
                                     activation, rng), loss=SoftmaxWithLoss(), penalty=penalty)


class MLP(Sequential):
    """A multi-layer perceptron: affine layers of the given sizes with an activation between them,
    softmax with loss on top.

    ``sizes`` = [784, 256, 10] has 784 inputs, 256 hidden units and 10 classes. Images (N, C, H, W)
    may come as they are. Weights are drawn by He et al. (2015) for ReLU and its kin, by Glorot and
    Bengio (2010) for Sigmoid and Tanh.

    >>> MLP([64, 32, 10], rng=0)
    MLP(
      0: Flatten()
      1: Affine(W (64, 32), b (32,))
      2: ReLU()
      3: Affine(W (32, 10), b (10,))
      loss: SoftmaxWithLoss(ignore_label=None)
    )
    """

    def __init__(
        self, sizes: Sequence[int], activation: Callable[[], Computes] = ReLU, rng: Seed = None
    ) -> None:
        super().__init__(Flatten(), *perceptron("MLP", sizes, activation, rng),
                         loss=SoftmaxWithLoss())
