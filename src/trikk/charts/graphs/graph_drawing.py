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


def graph_drawing(
    nodes: Sequence[GraphNode], edges: Sequence[GraphEdge], label: str, *, downward: bool = True
) -> Svg:
    """A graph in layers, in its natural size: a page that is narrower scrolls it.

    Args:
        nodes: their order decides where the edges leave it open.
        edges: those of nodes that there are not are left out.
        label: the picture in words.
        downward: from above to below; else from left to right.
    """
    numbers = {node.key: place for place, node in enumerate(nodes)}
    known = [edge for edge in dict.fromkeys(edges) if edge.source in numbers and edge.target in numbers]
    pairs = [(numbers[edge.source], numbers[edge.target]) for edge in known]
    sizes = [_size(node) for node in nodes]
    layout = layered([w if downward else h for w, h in sizes], pairs, gap=18 if downward else 12)
    depths = [0.0] * (max(layout.layers, default=-1) + 1)
    for layer, (wide, high) in zip(layout.layers, sizes, strict=True):
        depths[layer] = max(depths[layer], high if downward else wide)
    starts = [_MARGIN]
    for depth in depths:
        starts.append(starts[-1] + depth + _BETWEEN)
    ways = _Ways(layout, starts, depths, [h if downward else w for w, h in sizes], downward=downward)
    solid = "".join(ways.of(pair) for edge, pair in zip(known, pairs, strict=True) if not edge.dashed)
    dashed = "".join(ways.of(pair) for edge, pair in zip(known, pairs, strict=True) if edge.dashed)
    parts = [path(way, f"{look} edge") for way, look in ((solid, "thin"), (dashed, "dashed")) if way]
    for place, (node, (wide, high)) in enumerate(zip(nodes, sizes, strict=True)):
        across, along = ways.middle(place), ways.depth(place)
        left, top = (across - wide / 2, along - high / 2) if downward else (along - wide / 2, across - high / 2)
        parts.append(_node(node, left, top, wide, high))
    length, depth = layout.length + 2 * _MARGIN, starts[-1] - _BETWEEN * bool(depths) + _MARGIN
    return drawing(*((length, depth) if downward else (depth, length)), label, parts, natural=True)


@dataclass(frozen=True, slots=True)
class _Ways:
    """Where edges run: out of a node's end, through their bends, into the next one's start."""

    layout: Layout
    starts: list[float]
    depths: list[float]
    sizes: list[float]
    downward: bool

    def middle(self, node: int) -> float:
        return self.layout.middles[node] + _MARGIN

    def depth(self, node: int) -> float:
        layer = self.layout.layers[node]
        return self.starts[layer] + self.depths[layer] / 2

    def of(self, pair: tuple[int, int]) -> str:
        a, b = pair
        sign = -1 if pair in self.layout.turned else 1
        along = [self.depth(a) + sign * self.sizes[a] / 2, self.depth(b) - sign * self.sizes[b] / 2]
        across = [self.middle(a), *(place + _MARGIN for place in self.layout.bends.get(pair, ())), self.middle(b)]
        if a == b:
            return ""
        way = f"M{self.spot(across[0], along[0])}"
        layer, here = self.layout.layers[a], along[0]
        for place, (start, end) in enumerate(itertools.pairwise(across)):
            last = place == len(across) - 2
            layer += sign
            first, second = self.starts[layer], self.starts[layer] + self.depths[layer]
            entry = along[1] if last else first if sign > 0 else second
            half = (here + entry) / 2
            if abs(start - end) < 0.1:
                way += f"L{self.spot(end, entry)}"
            else:
                way += f"C{self.spot(start, half)} {self.spot(end, half)} {self.spot(end, entry)}"
            here = entry
            if not last:
                here = second if sign > 0 else first
                way += f"L{self.spot(end, here)}"
        end, back = across[-1], here - 5 * sign
        return f"{way}M{self.spot(end - 3.5, back)}L{self.spot(end, here)}L{self.spot(end + 3.5, back)}"

    def spot(self, across: float, along: float) -> str:
        return spot((across, along) if self.downward else (along, across))


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
