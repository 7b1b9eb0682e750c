"""Where vertices that are in order stand, so that edges are straight."""
from graphlib import CycleError, TopologicalSorter

import numpy as np

from ._ranks import neighbours


def straighten(rows, links, rooms, boxes):
    """The place of each vertex: near those it is linked to, in the order of its row, at least
    ``rooms[r][i]`` from the i-th of row r to the next. Vertices that are not in ``boxes`` are
    dummies."""
    up, down = neighbours(links)
    at = {}
    for row, room in zip(rows, rooms):
        places = np.cumsum([0, *room])
        at.update(zip(row, places - places.mean()))

    def boxes_of(side, v):
        return [w for w in side.get(v, ()) if w in boxes]

    def main(u, v):
        """The link is part of a line of boxes that is to be straight: long edges and mere inputs
        give way to it."""
        return u in boxes and v in boxes and (u in up or not any(w in up for w in boxes_of(up, v)))

    heavy = {(u, v) for pairs in links for u, v in pairs
             if main(u, v) or u not in boxes and v not in boxes}

    def move(order, *near):
        for r in order:
            wanted, weights = [], []
            for v in rows[r]:
                pull = [(at[w], 4 if {(v, w), (w, v)} & heavy else 0.5) for side in near
                        for w in side.get(v, ())]
                weights.append(sum(k for _, k in pull) or 0.1)
                wanted.append(sum(k * p for p, k in pull) / weights[-1] if pull else at[v])
            at.update(zip(rows[r], apart(wanted, weights, rooms[r])))

    forth, back = range(len(rows)), range(len(rows))[::-1]
    for _ in range(4):
        move(forth, up)
        move(back, down)
    for _ in range(12):
        move(forth, up, down)
        move(back, up, down)
    follows = {}                                 # lines from vertex to vertex
    for v in at:
        ahead = [u for u in up.get(v, ()) if main(u, v)] or up.get(v, ())
        u = ahead[0] if len(ahead) == 1 else None
        if u is not None and (boxes_of(down, u) == [v] if v in boxes
                              else u not in boxes or down[u] == [v]):
            follows[v] = u
    return in_lines(rows, rooms, at, follows)


def in_lines(rows, rooms, at, follows):
    """Move each vertex to the place of the one that it follows: every line to the mean of its
    members, pushed aside as far as the lines left of it need; the same from the right; and half-way
    between the two, which leaves the same room."""
    line = {}
    for row in rows:
        for v in row:
            line[v] = line[follows[v]] if v in follows else v
    while True:
        left = {v: [] for v in line.values()}
        for row, room in zip(rows, rooms):
            for a, b, r in zip(row, row[1:], room):
                left[line[b]].append((line[a], r))
        try:
            before = {b: {a for a, _ in near} for b, near in left.items()}
            order = list(TopologicalSorter(before).static_order())
            break
        except CycleError as error:                  # lines that cross cannot all be straight
            crossed = set(error.args[1])
            line = {v: v if first in crossed else first for v, first in line.items()}
    members = {b: [] for b in order}
    for v, b in line.items():
        members[b].append(at[v])
    low = {b: float(np.mean(members[b])) for b in order}
    high = dict(low)
    for b in order:
        low[b] = max([low[b], *(low[a] + r for a, r in left[b])])
    for b in reversed(order):
        for a, r in left[b]:
            high[a] = min(high[a], high[b] - r)
    return {v: (low[b] + high[b]) / 2 for v, b in line.items()}


def apart(wanted, weights, room):
    """The places nearest to those wanted, in weighted squares, with at least ``room[i]`` between i
    and i + 1: pool adjacent violators (Ayer et al., 1955).

    >>> apart([0, 0, 9], [1, 1, 1], [4, 4])
    [-2.0, 2.0, 9.0]
    """
    shift = np.cumsum([0, *room])
    pools = []                                   # mean, weight, members
    for place, weight in zip(np.asarray(wanted, float) - shift, weights):
        pools.append((place, weight, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (p, a, i), (q, b, j) = pools[-2:]
            pools[-2:] = [((a * p + b * q) / (a + b), a + b, i + j)]
    return [float(s + m) for s, m in zip(shift, (mean for mean, _, n in pools for _ in range(n)))]
