"""A graph as parts that follow each other and parts that run side by side, for engines that know nothing else.

A state machine has no edges between branches that run side by side: `Parallel` waits for all of them. Every
graph can be written so that each step still comes after all that it waits for; only in some graphs a step has to
wait for more than it would at home. The decomposition is exact where the graph is series-parallel (Valdes,
Tarjan and Lawler, 1982, https://doi.org/10.1137/0211023), and adds as few pairs as its greedy choice of a level
finds where it is not. Pure.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from trikk.pipeline.graph import Graph


@dataclass(frozen=True, slots=True)
class Series:
    """Parts of which each begins when the one before it is over."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Together:
    """Parts that run side by side, over when all of them are."""

    branches: tuple[Part, ...]


_DEEPEST = 12  # branches within branches; a definition that goes deeper is no longer read by anybody
Part = str | Series | Together
"""A step by its name, or parts."""


def series_parallel(graph: Graph) -> Part:
    """The steps of a graph as parts; a step comes after every step that it waits for, by any path.

    Args:
        graph: with one step at least.
    """
    return _Order(graph).part((1 << len(graph.nodes)) - 1, 0)


def pairs(part: Part) -> Iterator[tuple[str, str]]:
    """All pairs of steps of which the first is over before the second begins."""
    if isinstance(part, str):
        return
    inner = part.parts if isinstance(part, Series) else part.branches
    for each in inner:
        yield from pairs(each)
    if isinstance(part, Series):
        before: list[str] = []
        for each in inner:
            names = list(steps_of(each))
            yield from ((first, second) for first in before for second in names)
            before += names


def steps_of(part: Part) -> Iterator[str]:
    """The names of the steps in a part, in order."""
    if isinstance(part, str):
        yield part
        return
    for each in part.parts if isinstance(part, Series) else part.branches:
        yield from steps_of(each)


def waits_for_more(graph: Graph) -> dict[str, list[str]]:
    """By step, the steps that it waits for as parts although the graph does not ask for it."""
    order = _Order(graph)
    more: dict[str, list[str]] = {}
    for first, second in pairs(series_parallel(graph)):
        if not order.comes_before(first, second):
            more.setdefault(second, []).append(first)
    return more


class _Order:
    """Which step comes before which, as sets of bits: bit i is the step at place i of the graph's order."""

    def __init__(self, graph: Graph) -> None:
        self._names = list(graph.nodes)
        self._place = {name: place for place, name in enumerate(self._names)}
        self._before = [0] * len(self._names)
        for place, node in enumerate(graph.nodes.values()):
            for up in node.upstream():
                self._before[place] |= self._before[self._place[up]] | 1 << self._place[up]
        self._after = [0] * len(self._names)
        for place, before in enumerate(self._before):
            for earlier in _places(before):
                self._after[earlier] |= 1 << place

    def comes_before(self, first: str, second: str) -> bool:
        """Whether a step waits for another by any path."""
        return bool(self._before[self._place[second]] >> self._place[first] & 1)

    def part(self, steps: int, depth: int) -> Part:
        """Some steps as parts, within so many branches."""
        if steps & (steps - 1) == 0:
            return self._names[steps.bit_length() - 1]
        if depth == _DEEPEST:
            return self._in_levels(steps)
        components = list(self._components(steps))
        if len(components) > 1:
            return Together(tuple(self.part(component, depth + 1) for component in components))
        parts: list[Part] = []
        for section in self._sections(steps):
            part = self.part(section, depth)
            parts += part.parts if isinstance(part, Series) else (part,)
        return Series(tuple(parts))

    def _in_levels(self, steps: int) -> Part:
        """The steps level by level, without branches in branches."""
        cuts = [0, *self._upper_parts(steps), steps]
        levels = [[self._names[place] for place in _places(high & ~low)] for low, high in itertools.pairwise(cuts)]
        parts = [Together(tuple(names)) if len(names) > 1 else names[0] for names in levels]
        return Series(tuple(parts)) if len(parts) > 1 else parts[0]

    def _components(self, steps: int) -> Iterator[int]:
        """The steps by whether any path of waiting connects them, whichever way it leads."""
        while steps:
            component, new = 0, steps & -steps
            while new:
                component |= new
                near = 0
                for place in _places(new):
                    near |= self._before[place] | self._after[place]
                new = near & steps & ~component
            yield component
            steps &= ~component

    def _sections(self, steps: int) -> list[int]:
        """Connected steps, cut where nothing is lost; where no cut is like that, in two where least is."""
        upper = self._upper_parts(steps)
        lost = [sum((up & ~self._before[place]).bit_count() for place in _places(steps & ~up)) for up in upper]
        least = min(lost)
        cuts = [up for up, count in zip(upper, lost, strict=True) if count == 0] or [upper[lost.index(least)]]
        return [high & ~low for low, high in itertools.pairwise([0, *cuts, steps])]

    def _upper_parts(self, steps: int) -> list[int]:
        """The steps above each level but the first; a level is how many steps wait for each other before a step.

        A cut that loses nothing is one of these: what comes after all steps of the upper part is on a lower
        level than each.
        """
        level: dict[int, int] = {}
        for place in _places(steps):  # in the graph's order, so that what comes before a step has its level
            level[place] = 1 + max((level[up] for up in _places(self._before[place] & steps)), default=-1)
        above = [0] * max(level.values())
        for place, own in level.items():
            for cut in range(own, len(above)):
                above[cut] |= 1 << place
        return above


def _places(bits: int) -> Iterator[int]:
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low
