"""The types that hints name again and again."""
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, SupportsFloat, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Axes
else:
    Axes = Any                       # matplotlib is loaded where something is drawn

Array: TypeAlias = NDArray[Any]
Pair: TypeAlias = tuple[Array, Array]                         # (x, t)
Arrays: TypeAlias = Sequence[Array] | Mapping[Any, Array]
Axis: TypeAlias = int | Sequence[int] | None                  # None for all of them
Distribution: TypeAlias = Literal["normal", "uniform"]
DType: TypeAlias = DTypeLike                                  # float32 or float64
Initializer: TypeAlias = Callable[..., Array]                 # of shape, rng and dtype
Inputs: TypeAlias = ArrayLike | tuple[ArrayLike, ...]         # a tuple for several inputs
Metric: TypeAlias = Callable[[Any, Any], SupportsFloat]       # of output and target
Padding: TypeAlias = int | tuple[int, int] | Literal["same"]
PathLike: TypeAlias = str | os.PathLike[str]
Rate: TypeAlias = float | Callable[[int], float]              # of the number of the step
Reduction: TypeAlias = Literal["mean", "sum", "none"]
Seed: TypeAlias = np.random.Generator | int | None
Shape: TypeAlias = tuple[int, ...]
Size: TypeAlias = int | tuple[int, int]                       # (height, width), or one for both
State: TypeAlias = Array | tuple[Array, Array]                # h, of an LSTM (h, c)


class Computes(Protocol):
    """What stands in a model: any object with a forward, a student's own class too."""

    def forward(self, *inputs: Any, **named: Any) -> Any: ...


class Penalty(Protocol):
    """What a model adds to its loss."""

    def loss(self, params: Any) -> Any: ...
    def add_gradients(self, *lists: Any, **named: Any) -> Any: ...


class Model(Protocol):
    """What is trained: any object with these, a student's own class too."""

    @property
    def params(self) -> Any: ...
    @property
    def grads(self) -> Any: ...
    def forward(self, *inputs: Any, **named: Any) -> Any: ...
    def backward(self, *dout: Any, **named: Any) -> Any: ...


class UpdateRule(Protocol):
    """What trains it."""

    def update(self, params: Any, grads: Any) -> Any: ...
