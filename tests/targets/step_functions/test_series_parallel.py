"""A graph as parts: every order of the graph is kept, and no other is added where none has to be."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping

from hypothesis import given
from hypothesis import strategies as st

from trikk.pipeline.graph import Graph, Node
from trikk.targets.step_functions.series_parallel import (
    Part,
    Series,
    Together,
    pairs,
    series_parallel,
    steps_of,
    waits_for_more,
)


def graph_of(edges: Mapping[str, Iterable[str]]) -> Graph:
    """A graph by what each step comes after."""
    return Graph.build("p", (), [Node(name, "m:f", after=tuple(up)) for name, up in edges.items()])


def ancestors(graph: Graph) -> set[tuple[str, str]]:
    before: dict[str, set[str]] = {}
    for name, node in graph.nodes.items():
        before[name] = {other for up in node.upstream() for other in (up, *before[up])}
    return {(up, name) for name, ups in before.items() for up in ups}


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    count = draw(st.integers(1, 12))
    names = [f"s{n}" for n in range(count)]
    edges = {
        name: draw(st.sets(st.sampled_from(names[:place]), max_size=3)) if place else set()
        for place, name in enumerate(names)
    }
    return graph_of({name: sorted(up) for name, up in edges.items()})


def nested(inner: st.SearchStrategy[Part]) -> st.SearchStrategy[Part]:
    several = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return several.map(Series) | several.map(Together)


PARTS: st.SearchStrategy[Part] = st.recursive(st.just("step"), nested, max_leaves=12)


def named(part: Part, numbers: Iterator[int]) -> Part:
    """The same nest with a name of its own for each step."""
    if isinstance(part, str):
        return f"s{next(numbers)}"
    if isinstance(part, Series):
        return Series(tuple(named(each, numbers) for each in part.parts))
    return Together(tuple(named(each, numbers) for each in part.branches))


@given(graphs())
def test_each_step_is_there_once_and_comes_after_all_that_it_waits_for(graph: Graph) -> None:
    part = series_parallel(graph)
    assert sorted(steps_of(part)) == sorted(graph.nodes)
    assert ancestors(graph) <= set(pairs(part))


@given(graphs())
def test_what_is_added_is_told(graph: Graph) -> None:
    more = {(first, second) for second, firsts in waits_for_more(graph).items() for first in firsts}
    assert set(pairs(series_parallel(graph))) == ancestors(graph) | more


@given(PARTS)
def test_a_series_parallel_graph_loses_nothing(shape: Part) -> None:
    part = named(shape, itertools.count())
    before: dict[str, list[str]] = {name: [] for name in steps_of(part)}
    for first, second in pairs(part):
        before[second].append(first)
    graph = graph_of(before)
    assert waits_for_more(graph) == {}


def test_steps_that_have_nothing_to_do_with_each_other_are_branches() -> None:
    part = series_parallel(graph_of({"a": [], "b": ["a"], "c": [], "d": ["c"]}))
    assert part == Together((Series(("a", "b")), Series(("c", "d"))))


def test_a_chain_is_one_series_and_a_diamond_has_its_branches_within() -> None:
    assert series_parallel(graph_of({"a": [], "b": ["a"], "c": ["b"]})) == Series(("a", "b", "c"))
    diamond = graph_of({"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]})
    assert series_parallel(diamond) == Series(("a", Together(("b", "c")), "d"))


def test_where_something_has_to_wait_for_more_it_is_as_little_as_a_level_allows() -> None:
    zigzag = graph_of({"a": [], "b": [], "c": ["a"], "d": ["a", "b"]})
    assert series_parallel(zigzag) == Series((Together(("a", "b")), Together(("c", "d"))))
    assert waits_for_more(zigzag) == {"c": ["b"]}


def test_a_large_graph_is_taken_apart_in_reasonable_steps() -> None:
    edges: dict[str, list[str]] = {"start": []}
    for n in range(300):
        edges[f"a{n}"] = [f"a{n - 1}"] if n else ["start"]
        edges[f"b{n}"] = [f"a{n}"]
    graph = graph_of(edges)
    assert ancestors(graph) <= set(pairs(series_parallel(graph)))
