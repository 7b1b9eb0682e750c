"""Where the vertices of a directed acyclic graph stand, and how its edges run.

The method of Sugiyama, Tagawa and Toda, Methods for visual understanding of hierarchical system
structures (1981): vertices in ranks, so that every edge leads to a higher rank; a long edge passes
each rank between as a dummy vertex, which keeps it clear of the boxes; ranks are sorted for few
crossings, then moved so that edges are straight (_ranks.py).

``along`` is the direction of the edges, ``across`` the other one; the caller says which is x.
"""
from dataclasses import dataclass

from ._ranks import apart, arrange, ranks, straighten, through_dummies

GAP, LANE, GUTTER = 26, 16, 44      # between ranks; beside a passing edge; between columns of ranks


@dataclass
class Box:
    """A vertex to be placed: its ``length`` along the edges, with space before and after, ``head``
    and ``tail``, for straight edges; its ``face`` across; how far it reaches to either side, if
    further than that; the radius of its corners."""
    length: float
    face: float
    low: float = 0
    high: float = 0
    head: float = 0
    tail: float = 0
    corner: float = 0

    def __post_init__(self):
        self.low, self.high = max(self.low, self.face / 2), max(self.high, self.face / 2)

    @property
    def unit(self):
        return self.head + self.length + self.tail


DUMMY = Box(0, 0)


@dataclass
class Layout:
    """``start[v]``: where box v begins, along; ``middle[v]``: its middle, across. ``routes[e]``:
    the points of edge e; two that differ in both coordinates are joined by an S, others by a line.
    ``size``: along, across."""
    start: list
    middle: list
    routes: list
    size: tuple


def layout(boxes, edges, centred, gap, cost):
    """A Layout of boxes 0..n-1; edges are pairs (u, v) with u < v. ``centred``: boxes in the middle
    of their rank, else at its start. ``cost(along, across)``: how unwelcome that size is; where it
    helps, ranks continue in another column."""
    rank = ranks(len(boxes), edges)
    paths, rows, links = through_dummies(rank, edges)
    arrange(rows, links)
    n = len(boxes)
    boxes = [*boxes, *[DUMMY] * (sum(map(len, rows)) - n)]
    rooms = [[boxes[a].high + boxes[b].low + (gap if max(a, b) < n else LANE)
              for a, b in zip(row, row[1:])] for row in rows]
    across = straighten(rows, links, rooms, n)
    band = [max(boxes[v].unit for v in row) for row in rows]
    space = [GAP + min(40, 0.15 * max(abs(across[a] - across[b]) for a, b in pairs))
             for pairs in links]
    extent = [(min(across[v] - boxes[v].low for v in row),
               max(across[v] + boxes[v].high for v in row)) for row in rows]
    cuts = [len({a for a, _ in pairs}) == 1 for pairs in links]
    columns = broken([b + s for b, s in zip(band, [*space, 0])], extent, cuts, cost)

    # room at both ends for the edges from column to column
    lead = GAP * 0.7 if len(columns) > 1 else 0
    begin, shift, column_of, ends, gutters, right = {}, {}, {}, [], [], 0
    for c, column in enumerate(columns):
        at, left = lead, min(extent[r][0] for r in column)
        for r in column:
            begin[r], shift[r], column_of[r] = at, right - left, c
            at += band[r] + (space[r] if r != column[-1] else 0)
        right += max(extent[r][1] for r in column) - left
        ends.append(at + lead)
        gutters.append(right + GUTTER / 2)
        right += GUTTER
    rank_of = {v: r for r, row in enumerate(rows) for v in row}
    middle = {v: across[v] + shift[r] for v, r in rank_of.items()}
    start = [begin[r] + boxes[v].head + centred * (band[r] - boxes[v].unit) / 2
             for v, r in enumerate(rank)]

    routes = []
    for path, port in zip(paths, entries(boxes, edges, paths, middle)):
        u, v = path[0], path[-1]
        points = [(start[u] + boxes[u].length, middle[u])]
        for a, b in zip(path, path[1:]):
            r, place = rank_of[a], middle[b] + port * (b == v)
            points.append((begin[r] + band[r], middle[a]))
            if column_of[r] != column_of[r + 1]:
                end, gutter = ends[column_of[r]], gutters[column_of[r]]
                points += [(end, middle[a]), (end, gutter), (0, gutter), (0, place)]
            points.append((begin[r + 1], place))
        routes.append([*points, (start[v] + dent(boxes[v], port), middle[v] + port)])
    return Layout(start, [middle[v] for v in range(n)], routes, (max(ends), right - GUTTER))


def broken(step, extent, cuts, cost):
    """The ranks in columns, cut only where a single value goes on to the next rank."""
    whole = [list(range(len(step)))]

    def price(columns):
        wide = sum(max(extent[r][1] for r in c) - min(extent[r][0] for r in c) + GUTTER
                   for c in columns)
        return cost(max(sum(step[r] for r in c) for c in columns), wide)

    candidates = []
    for k in range(2, 1 + min(24, len(step))):
        columns = [[]]
        for r in whole[0]:
            columns[-1].append(r)
            if (r + 2 < len(step) and cuts[r]
                and sum(step[: r + 1]) + step[r + 1] / 2 >= sum(step) / k * len(columns)):
                columns.append([])
        candidates.append(columns)
    best = min(candidates, key=price, default=whole)
    return best if price(best) < 0.75 * price(whole) else whole


def entries(boxes, edges, paths, middle):
    """How far from its middle each edge meets its box: straight on if possible, apart."""
    ports = [0.0] * len(edges)
    for v, box in enumerate(boxes):
        coming = sorted((e for e, edge in enumerate(edges) if edge[1] == v),
                        key=lambda e: middle[paths[e][-2]])
        n, most = len(coming), max(0.35 * box.face, box.face / 2 - 10)
        pitch = min(18, 2 * most / max(n - 1, 2))
        wanted = [middle[paths[e][-2]] - middle[v] for e in coming] if n > 1 else [0] * n
        for i, (e, port) in enumerate(zip(coming, apart(wanted, [1] * n, [pitch] * (n - 1)))):
            ports[e] = min(max(port, i * pitch - most), most - (n - 1 - i) * pitch)
    return ports


def dent(box, port):
    """How far after the start of a box with round corners its outline is, ``port`` from its
    middle."""
    over = max(0.0, abs(port) - box.face / 2 + box.corner)
    return box.corner - (box.corner ** 2 - over ** 2) ** 0.5
