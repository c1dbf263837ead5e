"""A pipeline or a lineage as a graph: each kind of node has its form, and its state's colour and sign."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trikk.charts.drawing.glyph_widths import fitted, text_width
from trikk.charts.drawing.marks import Svg, drawing, linked, number, path, rect, spot, text
from trikk.charts.graphs.layered_layout import Layout, layered
from trikk.charts.state_icons import STATES, known_state, state_sign

_LEAST, _MOST = 84.0, 200.0  # widths of a node
_HIGH, _LINE, _BETWEEN = 30.0, 14.0, 34.0  # its height, that of each further line, the room between two layers
_EDGE, _SIGN = 12.0, 16.0
_MARGIN = 6.0


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A node.

    Attributes:
        key: by which edges name it.
        name: what is written in it.
        kind: "step", "table", "model", "gate", "question" or "stream"; its form.
        state: of runs and steps; "" for none.
        detail: a second line, in small letters.
        counts: how many items of a mapped step are in which state: the step is one node, however many they are.
        href: where it leads.
        title: what is shown where one points at it; kind, name and state if not given.
    """

    key: str
    name: str
    kind: str = "step"
    state: str = ""
    detail: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    href: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class GraphEdge:
    """From which node to which; dashed if it is an order only, by which no value goes."""

    source: str
    target: str
    dashed: bool = False


def graph_drawing(nodes: Sequence[GraphNode], edges: Sequence[GraphEdge], label: str) -> Svg:
    """A graph in layers from left to right, in its natural size: a page that is narrower scrolls it.

    Args:
        nodes: their order decides where the edges leave it open.
        edges: those of nodes that there are not are left out.
        label: the picture in words.
    """
    numbers = {node.key: place for place, node in enumerate(nodes)}
    known = [edge for edge in dict.fromkeys(edges) if edge.source in numbers and edge.target in numbers]
    pairs = [(numbers[edge.source], numbers[edge.target]) for edge in known]
    sizes = [_size(node) for node in nodes]
    layout = layered([high for _, high in sizes], pairs, gap=12)
    depths = [0.0] * (max(layout.layers, default=-1) + 1)
    for layer, (wide, _) in zip(layout.layers, sizes, strict=True):
        depths[layer] = max(depths[layer], wide)
    starts = [_MARGIN]
    for depth in depths:
        starts.append(starts[-1] + depth + _BETWEEN)
    ways = _Ways(layout, starts, depths, [wide for wide, _ in sizes])
    solid = "".join(ways.of(pair) for edge, pair in zip(known, pairs, strict=True) if not edge.dashed)
    dashed = "".join(ways.of(pair) for edge, pair in zip(known, pairs, strict=True) if edge.dashed)
    parts = [path(way, f"{look} edge") for way, look in ((solid, "thin"), (dashed, "dashed")) if way]
    for place, (node, (wide, high)) in enumerate(zip(nodes, sizes, strict=True)):
        left, top = ways.along(place) - wide / 2, ways.across(place) - high / 2
        parts.append(_node(node, left, top, wide, high))
    width = starts[-1] - _BETWEEN * bool(depths) + _MARGIN
    return drawing(width, layout.length + 2 * _MARGIN, label, parts, natural=True)


@dataclass(frozen=True, slots=True)
class _Ways:
    """Where edges run: out of a node's right end, through their bends, into the next one's left."""

    layout: Layout
    starts: list[float]
    depths: list[float]
    widths: list[float]

    def across(self, node: int) -> float:
        """How far down a node's middle is."""
        return self.layout.middles[node] + _MARGIN

    def along(self, node: int) -> float:
        """How far to the right it is."""
        layer = self.layout.layers[node]
        return self.starts[layer] + self.depths[layer] / 2

    def of(self, pair: tuple[int, int]) -> str:
        a, b = pair
        if a == b:
            return ""
        sign = -1 if pair in self.layout.turned else 1
        here, target = self.along(a) + sign * self.widths[a] / 2, self.along(b) - sign * self.widths[b] / 2
        bends = (place + _MARGIN for place in self.layout.bends.get(pair, ()))
        across = [self.across(a), *bends, self.across(b)]
        way, layer = f"M{spot((here, across[0]))}", self.layout.layers[a]
        for place, (start, end) in enumerate(itertools.pairwise(across)):
            last = place == len(across) - 2
            layer += sign
            first, second = self.starts[layer], self.starts[layer] + self.depths[layer]
            entry = target if last else first if sign > 0 else second
            half = (here + entry) / 2
            if abs(start - end) < 0.1:
                way += f"L{spot((entry, end))}"
            else:
                way += f"C{spot((half, start))} {spot((half, end))} {spot((entry, end))}"
            here = entry
            if not last:
                here = second if sign > 0 else first
                way += f"L{spot((here, end))}"
        end, back = across[-1], here - 5 * sign
        return f"{way}M{spot((back, end - 3.5))}L{spot((here, end))}L{spot((back, end + 3.5))}"


def _lines(node: GraphNode) -> list[str]:
    lines = [node.detail] if node.detail else []
    if node.counts:
        parts = [f"{node.counts[state]:,} {state}" for state in STATES if node.counts.get(state)]
        lines.append(", ".join(parts) or "no items")
    return lines


def _size(node: GraphNode) -> tuple[float, float]:
    text_wide = max([text_width(node.name), *(text_width(line, 10) for line in _lines(node))])
    wide = text_wide + 2 * _EDGE + _SIGN * bool(node.state)
    return min(max(wide, _LEAST), _MOST), _HIGH + _LINE * len(_lines(node)) + 6 * bool(node.counts)


def _node(node: GraphNode, left: float, top: float, wide: float, high: float) -> str:
    role = known_state(node.state) if node.state else "edge"
    look = f"{'unsure' if role in ('queued', 'skipped') else 'hollow'} {role}"
    body = _form("step", left + 3, top + 3, wide, high, look) if node.counts else ""
    body += _form(node.kind, left, top, wide, high, look)
    first = left + _EDGE + _SIGN * bool(node.state)
    room = left + wide - _EDGE - first
    if node.state:
        body += state_sign(node.state, (left + _EDGE + 4, top + 15), 9)
    body += text(fitted(node.name, room), (first, top + 19), "text ink")
    for place, line in enumerate(_lines(node)):
        shown = fitted(line, wide - 2 * _EDGE, 10)
        body += text(shown, (left + _EDGE, top + _HIGH + 2 + _LINE * place), "small soft")
    if node.counts:
        body += _shares(node.counts, left + _EDGE, top + high - 9, wide - 2 * _EDGE)
    state = f": {node.state}" if node.state else ""
    lines = "".join(f", {line}" for line in _lines(node))
    return linked(body, node.title or f"{node.kind} {node.name}{state}{lines}", node.href)


def _shares(counts: Mapping[str, int], left: float, top: float, wide: float) -> str:
    """How much of a mapped step is in which state, as parts of a bar; each state that there is can be seen."""
    total = sum(counts.values()) or 1
    present = [state for state in STATES if counts.get(state)]
    widths = {state: max(wide * counts[state] / total, 2.0) for state in present}
    shrunk = wide / max(sum(widths.values()), 1.0)
    parts, at = [], left
    for state in present:
        parts.append(rect(at, top, widths[state] * shrunk, 4, f"fill {state}"))
        at += widths[state] * shrunk
    return "".join(parts)


def _form(kind: str, left: float, top: float, wide: float, high: float, look: str) -> str:
    right, bottom, middle = left + wide, top + high, top + high / 2
    match kind:
        case "table":  # a cylinder
            arc = f"a{number(wide / 2)} 4 0 0"
            sides = (
                f"M{spot((left, top + 4))}{arc} 1 {number(wide)} 0V{number(bottom - 4)}{arc} 1 {number(-wide)} 0z"
            )
            return path(f"{sides}M{spot((left, top + 4))}{arc} 0 {number(wide)} 0", look)
        case "model":  # a hexagon
            outline = [(left + 9, top), (right - 9, top), (right, middle), (right - 9, bottom), (left + 9, bottom)]
            return path(f"M{'L'.join(map(spot, [*outline, (left, middle)]))}z", look)
        case "gate":  # cut corners
            outline = [
                (left + 8, top),
                (right - 8, top),
                (right, top + 8),
                (right, bottom - 8),
                (right - 8, bottom),
            ]
            outline += [(left + 8, bottom), (left, bottom - 8), (left, top + 8)]
            return path(f"M{'L'.join(map(spot, outline))}z", look)
        case "stream":  # a slanted box
            return path(f"M{spot((left + 8, top))}H{number(right)}l-8 {number(high)}H{number(left)}z", look)
        case "question":
            return rect(left, top, wide, high, look, round_by=high / 2)
        case _:
            return rect(left, top, wide, high, look, round_by=5)
