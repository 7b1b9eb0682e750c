"""What convolutions share: weights, a bias, and the options, checked."""
from typing import Any, Self

import numpy as np

from ..common import checks, initializers
from ..common.engine.windows import pair
from ..common.layer import Layer
from ..common.types import Array, DType, Initializer, Padding, Seed, Size


class Filters(Layer):
    """What convolutions share: weights whose first two axes are channels, a bias, and options."""

    def __init__(
        self, W: Array, b: Array | None, stride: Size, padding: Padding, dilation: Size, groups: int
    ) -> None:
        """Raises ValueError or TypeError for arrays or options that do not fit together."""
        who = type(self).__name__
        checks.needed(who, W=W)
        super().__init__(W=W, b=b)
        checks.array(who, "W", W, W.dtype, self.pattern)
        self.stride, self.dilation = self.sizes("stride", stride), self.sizes("dilation", dilation)
        self.padding = (padding if isinstance(padding, str)
                        else self.sizes("padding", padding, least=0))
        self.groups = checks.count(who, "groups", groups)
        if len(W) % self.groups:
            raise ValueError(
                checks.wrong(who, "groups", f"divide the number of filters, {len(W)}", groups))
        if isinstance(padding, str) and padding != "same":
            raise ValueError(
                checks.wrong(who, "padding", 'be a number, a pair or "same"', repr(padding)))
        if padding != "same":
            margins = [2 * p + 1 for p in np.atleast_1d(self.padding).tolist()]
            checks.room(who, "padding", (W.shape[1], *margins), W.itemsize, got=padding)
        if b is not None:
            checks.array(who, "b", b, b.dtype, (self.filters(W),))

    @classmethod
    def sizes(cls, name: str, value: Any, least: int = 1) -> Any:
        """An option as (height, width): an int stands for both."""
        return pair(cls.__name__, name, value, least)

    def filters(self, W: Array) -> int:
        return len(W)

    @classmethod
    def init(
        cls, n_in: int, n_out: int, size: Size, stride: Size = 1, padding: Padding = 0,
        dilation: Size = 1, groups: int = 1, bias: bool = True, rng: Seed = None,
        initializer: Initializer = initializers.he, dtype: DType = np.float32,
    ) -> Self:
        """A layer with fresh filters and a bias of zeros.

        n_in, n_out: the numbers of channels, C of x and F of y.
        size: of a filter, in pixels: an int or a pair (KH, KW); of a Convolution1D an int, K steps.
        stride, padding, dilation, groups: as in the class's docstring.
        bias: False leaves b out.
        rng: a Generator, a seed or None, to draw W with.
        initializer: a function such as ``he`` of common/initializers.py, called for the shape of W.
        dtype: np.float32 or np.float64, that of the parameters.
        """
        who = cls.__name__
        checks.counts(who, n_in=n_in, n_out=n_out, groups=groups)
        if n_in % groups:
            raise ValueError(
                checks.wrong(who, "groups", f"divide the number of input channels, {n_in}", groups))
        kernel = np.atleast_1d(cls.sizes("size", size))
        W = initializers.weights(who, initializer, (n_out, n_in // groups, *kernel), rng, dtype)
        b = np.zeros(n_out, W.dtype) if checks.flag(who, "bias", bias) else None
        return cls(W, b, stride, padding, dilation, groups)
