"""A column of numbers that grows."""
from array import array
from collections.abc import MutableSequence, Sequence

import numpy as np


class Column(MutableSequence[float]):
    """Numbers in a row, 8 bytes each, where a list of Python floats takes 32; in all else a list.

    Whole numbers stay whole until the first that is not; None is stored as nan.
    """

    def __init__(self, values=()):
        self.numbers = array("q")
        self.extend(values)

    def fit(self, value):
        """``value`` as a number that ``numbers`` can hold, of floats from now on if need be."""
        if self.numbers.typecode == "q":
            if isinstance(value, (int, np.integer)) and -2**63 <= value < 2**63:
                return int(value)
            self.numbers = array("d", self.numbers)
        return float("nan") if value is None else float(value)

    def insert(self, index, value):
        try:
            self.numbers.insert(index, value)
        except (TypeError, OverflowError):
            value = self.fit(value)
            self.numbers.insert(index, value)

    def __getitem__(self, index):
        found = self.numbers[index]
        return found.tolist() if isinstance(found, array) else found

    def __setitem__(self, index, value):
        if isinstance(index, slice):
            numbers = list(self)
            numbers[index] = value
            self.numbers = Column(numbers).numbers
        else:
            value = self.fit(value)
            self.numbers[index] = value

    def __delitem__(self, index):
        del self.numbers[index]

    def __len__(self):
        return len(self.numbers)

    def __iter__(self):
        return iter(self.numbers)

    def __eq__(self, other):
        return isinstance(other, Sequence) and list(self) == list(other)

    def __add__(self, other):
        return [*self, *other]

    def __radd__(self, other):
        return [*other, *self]

    def __array__(self, dtype=None, copy=None):
        return np.array(self.numbers, dtype)          # a copy: what is looked at cannot grow

    def __repr__(self):
        return repr(self.numbers.tolist())
