"""A column of a table of numbers that grows."""
from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, MutableSequence, Sequence
from typing import Any, overload

import numpy as np

from ..common.types import Array


class Column(MutableSequence[float]):
    """Numbers in a row, 8 bytes each, where a list of Python floats takes 32; in all else a list.

    Whole numbers stay whole until the first that is not; None is stored as nan.

    >>> column = Column([1, 2])
    >>> column.append(3)
    >>> column, column == [1, 2, 3], float(np.mean(column))
    ([1, 2, 3], True, 2.0)
    >>> column[1:] + [0.5]
    [2, 3, 0.5]
    """
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, values: Iterable[float | None] = ()) -> None:
        self.numbers: array[Any] = array("q")
        self.extend(values)  # type: ignore[arg-type]

    def fit(self, value: float | None) -> float:
        """``value`` as a number that ``numbers`` can hold, of floats from now on if need be."""
        if self.numbers.typecode == "q":
            if isinstance(value, (int, np.integer)) and -2**63 <= value < 2**63:
                return int(value)
            self.numbers = array("d", self.numbers)
        return float("nan") if value is None else float(value)

    def append(self, value: float | None) -> None:
        try:
            self.numbers.append(value)
        except (TypeError, OverflowError):
            value = self.fit(value)
            self.numbers.append(value)

    def insert(self, index: int, value: float) -> None:
        value = self.fit(value)
        self.numbers.insert(index, value)

    @overload
    def __getitem__(self, index: int) -> float: ...
    @overload
    def __getitem__(self, index: slice) -> list[float]: ...
    def __getitem__(self, index: Any) -> Any:
        found = self.numbers[index]
        return found.tolist() if isinstance(found, array) else found

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            numbers = list(self)
            numbers[index] = value
            self.numbers = Column(numbers).numbers
        else:
            value = self.fit(value)
            self.numbers[index] = value

    def __delitem__(self, index: Any) -> None:
        del self.numbers[index]

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[float]:
        return iter(self.numbers)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def __add__(self, other: Sequence[float]) -> list[float]:
        return [*self, *other]

    def __radd__(self, other: Sequence[float]) -> list[float]:
        return [*other, *self]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.numbers, dtype)          # a copy: what is looked at cannot grow

    def __repr__(self) -> str:
        return repr(self.numbers.tolist())
