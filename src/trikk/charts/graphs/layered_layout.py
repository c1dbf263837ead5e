"""Where the nodes of a graph go: in layers along its edges, in an order in which few edges cross.

After Sugiyama: edges that close a circle are turned around, each node lies one layer beyond the last of those that
lead to it, edges over several layers get a place in each, sweeps put everything beside its neighbours' middle, and
the same middles, kept apart, are the coordinates. Pure, and the same for the same input.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

_SWEEPS = 4
_MOST_BENDS = 4000  # of more the edges are drawn straight on
_BEND = 10.0  # the room that an edge takes where it passes a layer

Edge = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Layout:
    """Layers and places of nodes.

    Attributes:
        layers: of each node, from 0.
        middles: of each node, along its layer.
        bends: of each edge that passes layers, its places in them, in order from its first node.
        length: of the longest layer.
        turned: edges that lead back to an earlier layer.
    """

    layers: list[int]
    middles: list[float]
    bends: dict[Edge, list[float]]
    length: float
    turned: frozenset[Edge]


def layered(sizes: Sequence[float], edges: Sequence[Edge], *, gap: float = 24) -> Layout:
    """Lay a graph out.

    Args:
        sizes: of each node, along its layer.
        edges: from node to node, by their numbers; those of a node to itself count for nothing.
        gap: the least room between two nodes of a layer.
    """
    edges = list(dict.fromkeys(edge for edge in edges if edge[0] != edge[1]))
    turned = _backward(len(sizes), edges)
    forward = list(dict.fromkeys((b, a) if (a, b) in turned else (a, b) for a, b in edges))
    layers = _layers(len(sizes), forward)
    passed = sum(layers[b] - layers[a] - 1 for a, b in forward)
    size_of, layer_of, links = list(sizes), list(layers), []
    chains: dict[Edge, list[int]] = {}
    for a, b in forward:
        chain = [a]
        for layer in range(layers[a] + 1, layers[b]) if passed <= _MOST_BENDS else ():
            chain.append(len(size_of))
            size_of.append(_BEND)
            layer_of.append(layer)
        chain.append(b)
        links += list(itertools.pairwise(chain))
        chains[a, b] = chain[1:-1]
    rows = _ordered(layer_of, links)
    middles = _placed(rows, links, size_of, gap)
    length = max((middles[v] + size_of[v] / 2 for v in range(len(size_of))), default=0.0)
    bends = {
        edge: [middles[v] for v in (reversed(chain) if edge in turned else chain)]
        for edge in edges
        if (chain := chains[edge[::-1] if edge in turned else edge])
    }
    return Layout(layers, middles[: len(sizes)], bends, length, frozenset(turned))


def _backward(count: int, edges: Sequence[Edge]) -> set[Edge]:
    """The edges that lead to a node on the way to themselves; without them there is no circle."""
    after: list[list[int]] = [[] for _ in range(count)]
    for a, b in edges:
        after[a].append(b)
    fresh, open_, done = range(3)
    state, backward = [fresh] * count, set()
    entered = {b for _, b in edges}
    for root in sorted(range(count), key=lambda v: (v in entered, v)):
        if state[root] != fresh:
            continue
        state[root] = open_
        way = [(root, iter(after[root]))]
        while way:
            node, rest = way[-1]
            target = next(rest, None)
            if target is None:
                state[node] = done
                way.pop()
            elif state[target] == open_:
                backward.add((node, target))
            elif state[target] == fresh:
                state[target] = open_
                way.append((target, iter(after[target])))
    return backward


def _layers(count: int, edges: Sequence[Edge]) -> list[int]:
    """The longest way to each node; what nothing leads to lies just before what it leads to."""
    after: list[list[int]] = [[] for _ in range(count)]
    missing = [0] * count
    for a, b in edges:
        after[a].append(b)
        missing[b] += 1
    sources = [v for v in range(count) if not missing[v]]
    layers, ready = [0] * count, list(sources)
    while ready:
        node = ready.pop()
        for target in after[node]:
            layers[target] = max(layers[target], layers[node] + 1)
            missing[target] -= 1
            if not missing[target]:
                ready.append(target)
    for source in sources:
        layers[source] = min((layers[target] for target in after[source]), default=1) - 1
    return layers


def _ordered(layer_of: Sequence[int], links: Sequence[Edge]) -> list[list[int]]:
    """The vertices of each layer, after a few sweeps each beside the middle of its neighbours."""
    rows: list[list[int]] = [[] for _ in range(max(layer_of, default=-1) + 1)]
    before, after = _neighbours(len(layer_of), links)
    for vertex, layer in enumerate(layer_of):
        rows[layer].append(vertex)
    position = {vertex: float(i) for row in rows for i, vertex in enumerate(row)}
    best, fewest = [list(row) for row in rows], _crossings(rows, after)
    for sweep in range(_SWEEPS * 2):
        if not fewest:
            break
        neighbours = after if sweep % 2 else before
        for row in reversed(rows) if sweep % 2 else rows:
            middle = {
                v: sum(position[n] for n in neighbours[v]) / len(neighbours[v]) if neighbours[v] else position[v]
                for v in row
            }
            row.sort(key=middle.__getitem__)
            position.update((vertex, float(i)) for i, vertex in enumerate(row))
        if (crossings := _crossings(rows, after)) < fewest:
            best, fewest = [list(row) for row in rows], crossings
    return best


def _crossings(rows: Sequence[Sequence[int]], after: Sequence[Sequence[int]]) -> int:
    """How many links cross: pairs in the wrong order, counted with a tree of sums."""
    crossings = 0
    for row, below in itertools.pairwise(rows):
        place = {vertex: i for i, vertex in enumerate(below)}
        sums = [0] * (len(below) + 1)
        passed = 0
        for vertex in row:
            targets = sorted(place[target] for target in after[vertex])
            for target in targets:
                i, earlier = target + 1, 0
                while i:
                    earlier += sums[i]
                    i -= i & -i
                crossings += passed - earlier
            for target in targets:
                i = target + 1
                while i < len(sums):
                    sums[i] += 1
                    i += i & -i
            passed += len(targets)
    return crossings


def _neighbours(count: int, links: Sequence[Edge]) -> tuple[list[list[int]], list[list[int]]]:
    before: list[list[int]] = [[] for _ in range(count)]
    after: list[list[int]] = [[] for _ in range(count)]
    for a, b in links:
        after[a].append(b)
        before[b].append(a)
    return before, after


def _placed(
    rows: Sequence[Sequence[int]], links: Sequence[Edge], sizes: Sequence[float], gap: float
) -> list[float]:
    """The middle of each vertex: as near to those of its neighbours as the order and the room allow."""
    before, after = _neighbours(len(sizes), links)
    middles = [0.0] * len(sizes)
    for row in rows:
        _kept_apart(row, [0.0] * len(row), sizes, gap, middles)
    for neighbours, order in [(before, rows), (after, rows[::-1])] * 2 + [(before, rows)]:
        for row in order:
            wanted = [
                sum(middles[n] for n in neighbours[v]) / len(neighbours[v]) if neighbours[v] else middles[v]
                for v in row
            ]
            _kept_apart(row, wanted, sizes, gap, middles)
    first = min((middles[v] - sizes[v] / 2 for v in range(len(sizes))), default=0.0)
    return [middle - first for middle in middles]


def _kept_apart(
    row: Sequence[int], wanted: Sequence[float], sizes: Sequence[float], gap: float, middles: list[float]
) -> None:
    """Give the vertices of a layer the places that are nearest to the wanted ones, in order and apart.

    Less the room that those before them take, the places only have to rise: neighbours that would not are put
    together at their mean, which is the least sum of squares.
    """
    offsets, offset = [], 0.0
    for i, vertex in enumerate(row):
        if i:
            offset += (sizes[row[i - 1]] + sizes[vertex]) / 2 + gap
        offsets.append(offset)
    blocks: list[tuple[float, int]] = []  # sum and count of what lies together
    for want, room in zip(wanted, offsets, strict=True):
        total, count = want - room, 1
        while blocks and blocks[-1][0] / blocks[-1][1] >= total / count:
            earlier = blocks.pop()
            total, count = total + earlier[0], count + earlier[1]
        blocks.append((total, count))
    places = [total / count for total, count in blocks for _ in range(count)]
    for vertex, place, room in zip(row, places, offsets, strict=True):
        middles[vertex] = place + room
