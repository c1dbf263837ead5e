"""Graphs: layers along the edges, nothing on top of anything else, few crossings, and in time."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from trikk.charts import GraphEdge, GraphNode, graph_drawing
from trikk.charts.graphs.layered_layout import layered

GRAPHS = st.integers(1, 25).flatmap(
    lambda count: st.tuples(
        st.lists(st.floats(10, 200), min_size=count, max_size=count),
        st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=60),
    )
)


@given(GRAPHS)
def test_edges_lead_onwards_and_nodes_of_a_layer_are_apart(
    graph: tuple[list[float], list[tuple[int, int]]],
) -> None:
    sizes, edges = graph
    layout = layered(sizes, edges, gap=10)
    for a, b in edges:
        if a != b:
            forward = layout.layers[a] < layout.layers[b]
            assert forward != ((a, b) in layout.turned)
            assert len(layout.bends.get((a, b), [])) == abs(layout.layers[a] - layout.layers[b]) - 1
    by_layer = defaultdict(list)
    for node, layer in enumerate(layout.layers):
        by_layer[layer].append((layout.middles[node], sizes[node]))
    assert sorted(by_layer) == list(range(len(by_layer))), "no layer is empty"
    for row in by_layer.values():
        for (left, first), (right, second) in pairwise(sorted(row)):
            assert left + first / 2 + 10 <= right - second / 2 + 1e-6
    assert all(middle - size / 2 >= -1e-6 for middle, size in zip(layout.middles, sizes, strict=True))
    assert layout == layered(sizes, edges, gap=10)


def test_edges_turn_around_only_where_there_is_a_circle() -> None:
    assert not layered([10] * 4, [(3, 2), (2, 1), (1, 0), (3, 0)]).turned
    assert len(layered([10] * 3, [(0, 1), (1, 2), (2, 0)]).turned) == 1


def test_what_is_given_crosswise_is_drawn_without_a_crossing() -> None:
    layout = layered([10] * 6, [(0, 5), (1, 4), (2, 3)])
    assert [layout.middles[a] == layout.middles[b] for a, b in ((0, 5), (1, 4), (2, 3))] == [True] * 3


def test_what_nothing_leads_to_lies_next_to_what_it_leads_to() -> None:
    assert layered([10] * 4, [(0, 1), (1, 2), (3, 2)]).layers == [0, 1, 2, 1]


def test_a_mapped_step_is_one_node_that_counts_its_items() -> None:
    node = GraphNode("train", "train", state="running", counts={"succeeded": 4988, "failed": 12})
    picture = graph_drawing([node], [GraphEdge("train", "gone")], "one step")
    assert "4,988 succeeded, 12 failed" in picture
    assert len(picture) < 2_000
