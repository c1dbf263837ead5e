from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trikk import Cache, Resources, Retry
from trikk.core.errors import DefinitionError, UnknownName
from trikk.pipeline.arguments import Argument, Constant, Group, OutputRef, ParameterRef, TableRef
from trikk.pipeline.condition import Condition
from trikk.pipeline.graph import Graph, Node, ParameterSpec, Role, WriteTo
from trikk.pipeline.parameters.parameter_kinds import Kind

JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
)


def node(name: str, *upstream: str, **more: Any) -> Node:
    return Node(
        name, "m:f", {f"a{i}": OutputRef(up) for i, up in enumerate(upstream)}, where=f"f.py:{name}", **more
    )


@st.composite
def dags(draw: st.DrawFn, largest: int = 8) -> list[tuple[str, list[str]]]:
    """Steps with the steps above them, in an order in which they can run."""
    found: list[tuple[str, list[str]]] = []
    for index in range(draw(st.integers(1, largest))):
        above = [name for name, _ in found if draw(st.booleans())]
        found.append((f"s{index}", above))
    return found


@st.composite
def arguments(draw: st.DrawFn, above: list[str]) -> Argument:
    choices: list[st.SearchStrategy[Argument]] = [JSONS.map(Constant), st.just(ParameterRef("p"))]
    if above:
        steps = st.sampled_from(above)
        path = st.lists(st.integers(0, 9) | st.text(), max_size=2).map(tuple)
        choices.append(st.builds(OutputRef, steps, st.none() | st.integers(0, 3), path))
        choices.append(st.builds(TableRef, st.just("t"), st.lists(steps, max_size=2).map(tuple)))
    plain = st.one_of(choices)
    items = draw(st.lists(plain, min_size=1, max_size=3))
    keys = tuple(f"k{i}" for i in range(len(items)))
    return draw(
        st.sampled_from(
            [items[0], Group(tuple(items)), Group(tuple(items), keys), Group(tuple(items), is_tuple=True)]
        )
    )


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    nodes = []
    for name, above in draw(dags(6)):
        given_arguments = draw(st.dictionaries(st.sampled_from(["x", "y", "z"]), arguments(above)))
        wheres = st.builds(
            lambda op, a, b: Condition(op, (a, b)), st.sampled_from(["<", "=="]), arguments([]), arguments(above)
        )
        nodes.append(
            Node(
                name,
                "module:function",
                given_arguments,
                outputs=draw(st.none() | st.integers(1, 3)),
                mapped=draw(st.sampled_from([None, *given_arguments])),
                after=tuple(above),
                when=tuple(draw(st.lists(wheres, max_size=2))),
                retry=draw(st.sampled_from([None, Retry(2).to_json()])),
                timeout=draw(st.none() | st.floats(0, 1e6)),
                resources=draw(st.sampled_from([Resources().to_json(), Resources(2, "1GB").to_json()])),
                cache=draw(st.sampled_from([None, Cache("A").to_json()])),
                write=draw(st.sampled_from([None, WriteTo("t", "merge", ("k",))])),
                source=draw(st.booleans()),
                where=draw(st.sampled_from(["", "f.py:3"])),
            )
        )
    parameters = (ParameterSpec("p", Kind("list", Kind("int")), required=False, default=[1]),)
    return Graph.build("p", parameters, nodes, draw(st.text()))


@given(graphs())
@settings(max_examples=50, deadline=None)
def test_a_graph_goes_to_json_and_back(graph: Graph) -> None:
    again = Graph.read(json.loads(json.dumps(graph.to_json())))
    assert again == graph
    assert list(again.nodes) == list(graph.nodes)


@given(dags(), st.randoms())
def test_every_step_comes_after_those_it_waits_for(dag: list[tuple[str, list[str]]], luck: Any) -> None:
    shuffled = dag.copy()
    luck.shuffle(shuffled)
    order = list(Graph.build("p", (), [node(n, *above) for n, above in shuffled]).nodes)
    assert sorted(order) == sorted(n for n, _ in dag)
    assert all(order.index(up) < order.index(n) for n, above in dag for up in above)


@given(dags())
def test_an_order_that_works_is_kept(dag: list[tuple[str, list[str]]]) -> None:
    assert list(Graph.build("p", (), [node(n, *above) for n, above in dag]).nodes) == [n for n, _ in dag]


@given(dags(), st.data())
def test_a_cycle_is_found_and_named(dag: list[tuple[str, list[str]]], data: st.DataObject) -> None:
    last = data.draw(st.integers(0, len(dag) - 1))
    first = data.draw(st.integers(0, last))
    above = {name: list(ups) for name, ups in dag}
    for upper, lower in zip(range(first, last), range(first + 1, last + 1), strict=True):
        above[f"s{lower}"].append(f"s{upper}")
    above[f"s{first}"].append(f"s{last}")
    with pytest.raises(DefinitionError, match="wait for each other") as error:
        Graph.build("p", (), [node(n, *ups) for n, ups in above.items()])
    cycle = error.value.what.rpartition(": ")[2].split(" -> ")
    assert cycle[0] == cycle[-1]
    assert all(up in above[down] for down, up in pairwise(cycle))
    assert error.value.where == f"f.py:{cycle[0]}"
    assert error.value.next


@pytest.mark.parametrize("edge", ["after", "when", "table", "group"])
def test_a_cycle_is_found_by_whatever_edge(edge: str) -> None:
    first = Node(
        "a",
        "m:f",
        {
            "x": TableRef("t", ("b",)) if edge == "table" else Constant(1),
            "y": Group((OutputRef("b"),)) if edge == "group" else Constant(1),
        },
        after=("b",) if edge == "after" else (),
        when=(~Condition("true", (OutputRef("b"),)),) if edge == "when" else (),
    )
    with pytest.raises(DefinitionError, match=r"a -> b -> a|b -> a -> b"):
        Graph.build("p", (), [first, node("b", "a")])


def test_two_steps_of_one_name_are_refused_with_both_lines() -> None:
    with pytest.raises(DefinitionError) as error:
        Graph.build("p", (), [node("a"), node("a")])
    assert error.value.where == "f.py:a and f.py:a"


def test_an_edge_to_nowhere_is_refused() -> None:
    with pytest.raises(UnknownName, match="no step 'lod'") as error:
        Graph.build("p", (), [node("load"), node("fit", "lod")])
    assert error.value.where == "f.py:fit"
    assert error.value.next == "did you mean load?"
    with pytest.raises(UnknownName, match="no parameter 'day'"):
        Graph.build("p", (), [Node("a", "m:f", {"x": ParameterRef("day")})])


def test_a_hostile_name_in_stored_json_is_refused() -> None:
    data = Graph.build("p", (), [node("a")]).to_json()
    data["nodes"][0]["name"] = "../a"  # type: ignore[index,call-overload]
    with pytest.raises(Exception, match="can't name a step"):
        Graph.read(data)


def test_what_steps_declare_is_listed_by_their_role_and_older_graphs_declare_nothing() -> None:
    watching = Node("watch", "m:f", {"spec": Constant({"name": "people"})}, role=Role.MONITOR)
    graph = Graph.build("p", (), [watching, Node("plain", "m:g")])
    again = Graph.read(json.loads(json.dumps(graph.to_json())))
    assert [*again.declared(Role.MONITOR)] == [{"name": "people"}]
    assert [*again.declared(Role.REPORT)] == []
    older = graph.to_json()
    nodes: Any = older["nodes"]
    assert [node.pop("role", None) for node in nodes] == ["monitor", None]
    assert [*Graph.read(older).declared(Role.MONITOR)] == []
