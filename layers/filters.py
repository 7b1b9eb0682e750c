"""What convolutions share: weights, a bias, and the options, checked."""
import numpy as np

from ..common import checks, initializers
from ..common.engine.windows import pair
from ..common.layer import Layer


class Filters(Layer):
    """What convolutions share: weights whose first two axes are channels, a bias, and options."""

    def __init__(self, W, b, stride, padding, dilation, groups):
        """Raises ValueError or TypeError for arrays or options that do not fit together."""
        who = type(self).__name__
        checks.needed(who, W=W)
        super().__init__(W=W, b=b)
        checks.array(who, "W", W, W.dtype, self.pattern)
        self.stride, self.dilation = self.sizes("stride", stride), self.sizes("dilation", dilation)
        self.padding = padding if isinstance(padding, str) else self.sizes("padding", padding, least=0)
        self.groups = checks.count(who, "groups", groups)
        if len(W) % self.groups:
            raise ValueError(checks.wrong(who, "groups", f"divide the number of filters, {len(W)}", groups))
        if isinstance(padding, str) and padding != "same":
            raise ValueError(checks.wrong(who, "padding", 'be a number, a pair or "same"', repr(padding)))
        if padding != "same":
            margins = [2 * p + 1 for p in np.atleast_1d(self.padding).tolist()]
            checks.room(who, "padding", (W.shape[1], *margins), W.itemsize, got=padding)
        if b is not None:
            checks.array(who, "b", b, b.dtype, (self.filters(W),))

    @classmethod
    def sizes(cls, name, value, least=1):
        """An option as (height, width): an int stands for both."""
        return pair(cls.__name__, name, value, least)

    def filters(self, W):
        return len(W)

    @classmethod
    def init(cls, n_in, n_out, size, stride=1, padding=0, dilation=1, groups=1, bias=True, rng=None,
             initializer=initializers.he, dtype=np.float32):
        """A layer from n_in to n_out channels with fresh filters of this size and, unless ``bias=False``, a bias of zeros."""
        who = cls.__name__
        checks.counts(who, n_in=n_in, n_out=n_out, groups=groups)
        if n_in % groups:
            raise ValueError(checks.wrong(who, "groups", f"divide the number of input channels, {n_in}", groups))
        size = np.atleast_1d(cls.sizes("size", size)).tolist()
        W = initializers.weights(who, initializer, (n_out, n_in // groups, *size), rng, dtype)
        b = np.zeros(n_out, W.dtype) if checks.flag(who, "bias", bias) else None
        return cls(W, b, stride, padding, dilation, groups)
