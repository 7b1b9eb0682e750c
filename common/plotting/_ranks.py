"""The order of a graph's vertices in a picture: ranks along the edges, and places within the
ranks."""
import numpy as np


def ranks(n, edges):
    """The longest path from a source; a vertex with more edges out than in then moves up to its
    nearest successor.

    >>> ranks(4, [(0, 1), (1, 3), (2, 3)])
    [0, 1, 1, 2]
    """
    before, after = ([[u for u, w in edges if w == v] for v in range(n)],
                     [[w for u, w in edges if u == v] for v in range(n)])
    rank = [0] * n
    for v in range(n):
        rank[v] = max((rank[u] + 1 for u in before[v]), default=0)
    for v in reversed(range(n)):
        if len(set(after[v])) > len(set(before[v])):
            rank[v] = min(rank[w] for w in after[v]) - 1
    return rank


def through_dummies(rank, edges):
    """(the path of each edge, the vertices of each rank, the links from each rank to the next). The
    edges out of one vertex share their dummies: a value is one wire, which branches late."""
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
    """How many of the links between two rows cross."""
    at, to = {v: i for i, v in enumerate(row)}, {v: i for i, v in enumerate(below)}
    a, b = np.array([[at[u], to[v]] for u, v in pairs]).reshape(-1, 2).T
    return int(((a[:, None] < a) & (b[:, None] > b)).sum())


def total(rows, links):
    return sum(crossings(row, pairs, below) for row, pairs, below in zip(rows, links, rows[1:]))


def arrange(rows, links):
    """Sort each row in place for few crossings, by barycentres down and up, then by exchanging
    neighbours; returns how many are left."""
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
    return total(rows, links)


def neighbours(links):
    """For each vertex its neighbours in the row above, and in the row below."""
    up, down = {}, {}
    for pairs in links:
        for a, b in pairs:
            up.setdefault(b, []).append(a)
            down.setdefault(a, []).append(b)
    return up, down
