"""What convolutions share: weights, a bias, and the options, checked."""
from typing import Any, Self

import numpy as np

from ..common import checks, initializers
from ..common.engine.windows import pair, places, same_pads
from ..common.layer import Layer
from ..common.types import Array, DType, Initializer, Padding, Seed, Shape, Size


class Filters(Layer):
    """A layer with W, its first two axes channels, a bias or none, and the options, checked."""
    first_axis = "filters"                                  # what W has along its first axis

    def __init__(
        self, W: Array, b: Array | None, stride: Size, padding: Padding, dilation: Size, groups: int
    ) -> None:
        """Raises ValueError or TypeError for arrays or options that do not fit together."""
        who = type(self).__name__
        checks.needed(who, W=W)
        self.groups = checks.count(who, "groups", groups)
        super().__init__(W=W, b=b)
        self.stride, self.dilation = self.sizes("stride", stride), self.sizes("dilation", dilation)
        self.padding = padding
        if not isinstance(padding, str):
            self.padding = self.sizes("padding", padding, least=0)
            # the smallest padded image has one pixel and its margins
            margins = [2 * p + 1 for p in np.atleast_1d(self.padding).tolist()]
            checks.room(who, "padding", (W.shape[1], *margins), W.itemsize, got=padding)
        elif padding != "same":
            raise ValueError(
                checks.wrong(who, "padding", 'be a number, a pair or "same"', repr(padding)))
        if len(W) % groups:
            raise ValueError(
                checks.wrong(who, "groups", f"divide the number of {self.first_axis}, {len(W)}",
                             groups))

    @classmethod
    def sizes(cls, name: str, value: Any, least: int = 1) -> Any:
        """An option as (height, width): an int stands for both."""
        return pair(cls.__name__, name, value, least)

    def check_inputs(self, x: Array) -> None:
        self.output_shape(x.shape)                          # raises if no filter fits

    def options(self, shape: Shape) -> dict[str, Any]:
        """The engine's options for x of this shape: a number for each axis of the filter; ``pads``
        has a pair (before, after) for each."""
        size = self.params[0].shape[2:]
        stride, dilation = axes(self.stride), axes(self.dilation)
        pads = (same_pads(shape[2:], size, stride, dilation) if self.padding == "same"
                else tuple((p, p) for p in axes(self.padding)))
        return dict(stride=stride, pads=pads, dilation=dilation, groups=self.groups)

    def output_shape(self, shape: Shape) -> Shape:
        """The shape of y for x of this shape; ValueError if the filter is larger than the padded
        x."""
        W, o = self.params[0], self.options(shape)
        at = places(type(self).__name__, shape, W.shape[2:], o["stride"], o["pads"], o["dilation"])
        return (shape[0], len(W), *at)

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


class TransposedFilters(Filters):
    """What transposed convolutions add: weights (C, F / groups, ...), and sizes the other way
    round."""
    first_axis = "input channels"

    def __init__(
        self, W: Array, b: Array | None, stride: Size, padding: Padding, output_padding: Size,
        dilation: Size, groups: int,
    ) -> None:
        super().__init__(W, b, stride, padding, dilation, groups)
        self.output_padding = self.sizes("output_padding", output_padding, least=0)
        if any(p >= s for p, s in zip(self.output_padding, self.stride)):
            raise ValueError(checks.wrong(type(self).__name__, "output_padding",
                                          f"be less than the stride {self.stride}", output_padding))
        if self.padding == "same" and any(self.output_padding):
            raise ValueError(checks.wrong(type(self).__name__, "output_padding",
                                          'be 0 with padding="same"', output_padding))

    @classmethod
    def init(
        cls, n_in: int, n_out: int, size: Size, stride: Size = 1, padding: Padding = 0,
        output_padding: Size = 0, dilation: Size = 1, groups: int = 1, bias: bool = True,
        rng: Seed = None, initializer: Initializer = initializers.he, dtype: DType = np.float32,
    ) -> Self:
        """A layer with fresh filters and a bias of zeros.

        n_in, n_out: the numbers of channels, C of x and F of y.
        size: of a filter, in pixels: an int or a pair (KH, KW).
        stride, padding, output_padding, dilation, groups: as in the class's docstring.
        bias: False leaves b out.
        rng: a Generator, a seed or None, to draw W with.
        initializer: a function such as ``he`` of common/initializers.py, called for the shape of
            W, where it finds F / groups · KH KW as fan-in, as PyTorch does (a pixel of y is a sum
            of some C / groups · KH KW / stride² terms).
        dtype: np.float32 or np.float64, that of the parameters.
        """
        who = cls.__name__
        checks.counts(who, n_in=n_in, n_out=n_out, groups=groups)
        if n_out % groups:
            raise ValueError(checks.wrong(who, "groups",
                                          f"divide the number of output channels, {n_out}", groups))
        W = initializers.weights(who, initializer,
                                 (n_in, n_out // groups, *pair(who, "size", size)), rng, dtype)
        b = np.zeros(n_out, W.dtype) if checks.flag(who, "bias", bias) else None
        return cls(W, b, stride, padding, output_padding, dilation, groups)

    def options(self, shape: Shape = ()) -> dict[str, Any]:
        """The engine's options of the convolution whose backward this layer's forward is."""
        if self.padding != "same":
            return super().options(shape)
        cut = (max(span - s, 0) for span, s in zip(self.spans(), self.stride))
        return dict(stride=self.stride, pads=tuple((n // 2, n - n // 2) for n in cut),
                    dilation=self.dilation, groups=self.groups)

    def spans(self) -> list[int]:
        """How many rows and columns a filter covers."""
        return [(k - 1) * d + 1 for k, d in zip(self.params[0].shape[2:], self.dilation)]

    def output_shape(self, shape: Shape) -> Shape:
        """The shape of y for x of ``shape`` (N, C, H, W); ValueError if nothing is left of it."""
        pads, rest = self.options()["pads"], self.output_padding
        if self.padding == "same":
            rest = [max(s - span, 0) for span, s in zip(self.spans(), self.stride)]
        size = [(n - 1) * s + span - sum(p) + more
                for n, s, span, p, more in zip(shape[2:], self.stride, self.spans(), pads, rest)]
        if min(size) < 1:
            raise ValueError(checks.wrong(type(self).__name__, "padding",
                                          "leave something of y", f"{size[0]} x {size[1]}"))
        return (shape[0], self.params[0].shape[1] * self.groups, *size)


def axes(n: int | tuple[int, ...]) -> tuple[int, ...]:
    """An option as a tuple, with a number for each axis of the filter."""
    return n if isinstance(n, tuple) else (n,)
