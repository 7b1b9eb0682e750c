"""The ranks of a graph's vertices in a picture, their order in these, and where they stand so that
edges are straight."""
from graphlib import CycleError, TopologicalSorter

import numpy as np


def ranks(n, edges):
    """The longest path from a source; a vertex with more edges out than in then moves up to its
    nearest successor."""
    before, after = neighbours([edges])
    rank = [0] * n
    for v in range(n):
        rank[v] = max((rank[u] + 1 for u in before.get(v, ())), default=0)
    for v in reversed(range(n)):
        if len(set(after.get(v, ()))) > len(set(before.get(v, ()))):
            rank[v] = min(rank[w] for w in after[v]) - 1
    return rank


def through_dummies(rank, edges):
    """(the path of each edge, the vertices of each rank, the links to the next). Edges out of one
    vertex share their dummies: one wire, which branches late."""
    rows = [[v for v in range(len(rank)) if rank[v] == r] for r in range(max(rank) + 1)]
    links, dummies, paths = [{} for _ in rows[1:]], {}, []
    for u, v in edges:
        path = [u]
        for r in range(rank[u] + 1, rank[v]):
            if (u, r) not in dummies:
                dummies[u, r] = len(rank) + len(dummies)
                rows[r].append(dummies[u, r])
            path.append(dummies[u, r])
        paths.append([*path, v])
        for r, pair in enumerate(zip(path, [*path[1:], v]), rank[u]):
            links[r][pair] = True
    return paths, rows, [list(pairs) for pairs in links]


def crossings(row, pairs, below):
    at, to = {v: i for i, v in enumerate(row)}, {v: i for i, v in enumerate(below)}
    a, b = np.array([[at[u], to[v]] for u, v in pairs]).reshape(-1, 2).T
    return int(((a[:, None] < a) & (b[:, None] > b)).sum())


def total(rows, links):
    return sum(crossings(row, pairs, below) for row, pairs, below in zip(rows, links, rows[1:]))


def arrange(rows, links):
    """Sort each row in place for few crossings, by barycentres down and up, then by exchanging
    neighbours."""
    up, down = neighbours(links)
    best, least = [row[:] for row in rows], total(rows, links)
    for sweep in range(16):
        if not least:
            break
        near, order = (up, rows[1:]) if sweep % 2 == 0 else (down, rows[-2::-1])
        at = {v: i for row in rows for i, v in enumerate(row)}
        for row in order:
            centre = {v: np.mean([at[w] for w in near[v]]) if near.get(v) else at[v] for v in row}
            row.sort(key=centre.get)
            at.update((v, i) for i, v in enumerate(row))
        count = total(rows, links)
        if count < least:
            best, least = [row[:] for row in rows], count
    rows[:] = best
    improved = least > 0
    while improved:
        improved = False
        for r, row in enumerate(rows):
            around = slice(max(r - 1, 0), r + 2)
            for i in range(len(row) - 1):
                before = total(rows[around], links[around.start:r + 1])
                row[i], row[i + 1] = row[i + 1], row[i]
                if total(rows[around], links[around.start:r + 1]) < before:
                    improved = True
                else:
                    row[i], row[i + 1] = row[i + 1], row[i]


def neighbours(links):
    up, down = {}, {}
    for pairs in links:
        for a, b in pairs:
            up.setdefault(b, []).append(a)
            down.setdefault(a, []).append(b)
    return up, down


def straighten(rows, links, rooms, n):
    """The place of each vertex: near those it is linked to, in the order of its row, at least
    ``rooms[r][i]`` from the i-th of row r to the next. Vertices from n on are dummies."""
    up, down = neighbours(links)
    at = {}
    for row, room in zip(rows, rooms):
        places = np.cumsum([0, *room])
        at.update(zip(row, places - places.mean()))

    def boxes_of(side, v):
        return [w for w in side.get(v, ()) if w < n]

    def main(u, v):
        """Whether the link is to be straight: long edges and mere inputs give way to it."""
        return max(u, v) < n and (u in up or not any(w in up for w in boxes_of(up, v)))

    heavy = {(u, v) for pairs in links for u, v in pairs
             if main(u, v) or min(u, v) >= n}

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
        if u is not None and (boxes_of(down, u) == [v] if v < n else u >= n or down[u] == [v]):
            follows[v] = u
    return in_lines(rows, rooms, at, follows)


def in_lines(rows, rooms, at, follows):
    """Move each line of vertices to the mean of its members, as far as the lines to its left allow;
    the same from the right; then half-way between."""
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
    and i + 1: pool adjacent violators (Ayer et al., 1955)."""
    shift = np.cumsum([0, *room])
    pools = []                                   # mean, weight, members
    for place, weight in zip(np.asarray(wanted, float) - shift, weights):
        pools.append((place, weight, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (p, a, i), (q, b, j) = pools[-2:]
            pools[-2:] = [((a * p + b * q) / (a + b), a + b, i + j)]
    return [float(s + m) for s, m in zip(shift, (mean for mean, _, n in pools for _ in range(n)))]
