"""Gradient descent and its two forms with momentum."""
from ..common.types import Rate
from .optimizer import AT_LEAST_0, FRACTION, Optimizer


class SGD(Optimizer):
    """Stochastic gradient descent: W <- W - lr g.

    - ``lr``: the learning rate, a positive number or a function of the step number;
    - ``weight_decay``: wd in W <- (1 - lr wd) W - lr g, for biases too. To SGD it is what a penalty
      wd/2 ΣW² is.

    Robbins and Monro 1951, A Stochastic Approximation Method.

    >>> import numpy as np
    >>> W, dW = np.array([1.0, 2.0]), np.array([0.5, -1.0])
    >>> SGD(lr=0.1).update([W], [dW])
    >>> W
    array([0.95, 2.1 ])
    """
    def __init__(self, lr: Rate = 0.01, weight_decay: float = 0.0) -> None:
        super().__init__(lr)
        self.weight_decay = self._number("weight_decay", weight_decay, **AT_LEAST_0)

    @property
    def skips_zeros(self) -> bool:
        return not self.weight_decay

    def rule(self, lr, W, g):
        if self.weight_decay:
            W *= 1 - lr * self.weight_decay
        W -= lr * g


class Momentum(Optimizer):
    """A ball that rolls downhill: v <- momentum v + lr g, W <- W - v.

    Where gradients agree from step to step, steps become up to 1 / (1 - momentum) times longer;
    where they alternate, they cancel. The velocity v is zero at first. PyTorch keeps v / lr, which
    comes to the same while lr is constant; here a new rate acts on new gradients only.

    Polyak 1964, Some Methods of Speeding up the Convergence of Iteration Methods.

    >>> import numpy as np
    >>> W, dW = np.array([1.0]), np.array([1.0])
    >>> optimizer = Momentum(lr=0.1, momentum=0.5)
    >>> for step in range(2):
    ...     optimizer.update([W], [dW])
    ...     print(W)
    [0.9]
    [0.75]
    """
    names = ("v",)

    def __init__(self, lr: Rate = 0.01, momentum: float = 0.9) -> None:
        super().__init__(lr)
        self.momentum = self._number("momentum", momentum, **FRACTION)

    def rule(self, lr, W, g, v):
        v *= self.momentum
        v += lr * g
        W -= v


class Nesterov(Momentum):
    """Momentum that looks ahead: v <- momentum v + lr g, W <- W - (momentum v + lr g), by the new
    v.

    Nesterov's gradient is taken where the velocity is about to carry the weights. W stands for that
    point: it is always momentum v ahead of the weights that Momentum would have, and the gradient
    at W is the one needed. The same as PyTorch's ``nesterov=True`` while lr is constant.

    Nesterov 1983; in this form Bengio, Boulanger-Lewandowski and Pascanu 2012, Advances in
    Optimizing Recurrent Networks.

    >>> import numpy as np
    >>> W, dW = np.array([1.0]), np.array([1.0])
    >>> optimizer = Nesterov(lr=0.1, momentum=0.5)
    >>> for step in range(2):
    ...     optimizer.update([W], [dW])
    ...     print(W)
    [0.85]
    [0.675]
    """
    def rule(self, lr, W, g, v):
        v *= self.momentum
        v += lr * g
        W -= self.momentum * v + lr * g
