"""Arrays that are one in memory: two layers share a weight by holding the same whole array, or its
transpose."""
import numpy as np


def address(a):
    return a.__array_interface__["data"][0]


def extent(a):
    """First and one-past-last byte of an array's memory."""
    low = high = a.__array_interface__["data"][0]
    for n, step in zip(a.shape, a.strides):
        low, high = low + min(0, (n - 1) * step), high + max(0, (n - 1) * step)
    return low, high + a.itemsize


def overlapping(arrays):
    """The numbers of two arrays that have memory in common, or None."""
    before = []                              # (end, number) of those that may reach further
    for low, high, k in sorted((*extent(a), k) for k, a in enumerate(arrays)
                               if isinstance(a, np.ndarray) and a.size):
        before = [(end, j) for end, j in before if end > low]
        for _, j in before:
            if np.shares_memory(arrays[j], arrays[k]):
                return j, k
        before.append((high, k))
    return None


def relation(p, q):
    """How array q stands to array p: ``"same"`` memory, its ``"transposed"`` view, ``"overlap"``,
    or None."""
    def place(a):
        return address(a), a.shape, a.strides

    if not np.may_share_memory(p, q):
        return None
    if place(p) == place(q):
        return "same"
    if place(p) == place(q.T):
        return "transposed"
    return "overlap" if np.shares_memory(p, q) else None


def shared_arrays(arrays):
    """(k, first, how) for each array k that shares an earlier one's memory."""
    known, shared = {}, []
    for k, p in enumerate(arrays):
        first = known.setdefault(address(p), k) if p.size else k
        how = relation(arrays[first], p) if first < k and arrays[first] is not p else None
        if how in ("same", "transposed"):
            shared.append((k, first, how))
    return shared


def tie(places, shared):
    """Make one again, after a copy, what was one array before; ``places``: (list, index) of
    each."""
    for k, first, how in shared:
        (mine, j), (theirs, i) = places[k], places[first]
        if relation(theirs[i], mine[j]) != how:  # else whoever copied saw to it already
            mine[j] = theirs[i] if how == "same" else theirs[i].T
