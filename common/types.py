"""The types that hints name again and again."""
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, SupportsFloat, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Axes
else:
    Axes = Any                       # matplotlib is loaded where something is drawn

Array: TypeAlias = NDArray[Any]
Pair: TypeAlias = tuple[Array, Array]                         # (x, t)
Arrays: TypeAlias = Sequence[Array] | Mapping[Any, Array]
Inputs: TypeAlias = ArrayLike | tuple[ArrayLike, ...]          # a tuple for several inputs
Metric: TypeAlias = Callable[[Any, Any], SupportsFloat]        # of output and target
PathLike: TypeAlias = str | os.PathLike[str]
Rate: TypeAlias = float | Callable[[int], float]               # of the number of the step
Seed: TypeAlias = np.random.Generator | int | None


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
