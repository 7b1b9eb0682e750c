"""Rows of a matrix by their number, as loops."""
import numpy as np

from . import Loop


@Loop
def write(matrix, old, ids, values):
    """The ``old`` rows zeroed, ``values`` added up in the rows ``ids``: these rows, each once."""
    rows, seen, D = np.empty(len(ids), np.intp), np.zeros(len(matrix), np.bool_), matrix.shape[1]
    for i in old:
        for d in range(D):
            matrix[i, d] = 0
    count = 0
    for k in range(len(ids)):
        i = ids[k]
        if seen[i]:
            for d in range(D):
                matrix[i, d] += values[k, d]
        else:
            seen[i] = True
            rows[count] = i
            count += 1
            for d in range(D):
                matrix[i, d] = values[k, d]
    return rows[:count]
