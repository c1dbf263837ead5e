"""Which steps wait for a gate, over arbitrary pipelines: exactly those below it that use what it looked at."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trikk.pipeline.arguments import Constant, OutputRef
from trikk.pipeline.graph import Graph, Node
from trikk.pipeline.tracing import Trace

SHAPES = st.lists(st.sets(st.integers(0, 11), max_size=3), min_size=2, max_size=12)


def ancestors(nodes: dict[str, Node], name: str) -> set[str]:
    found: set[str] = set()
    queue = list(nodes[name].upstream())
    while queue:
        up = queue.pop()
        if up not in found:
            found.add(up)
            queue += nodes[up].upstream()
    return found


@given(SHAPES, st.integers(0, 11), st.integers(0, 11))
def test_below_a_gate_exactly_what_descends_from_its_rows_waits(
    shape: list[set[int]], subject: int, place: int
) -> None:
    place = 1 + place % (len(shape) - 1)
    subject %= place
    trace = Trace("p")
    plain: dict[str, set[int]] = {}
    for number, given_to in enumerate(shape):
        if number == place:
            trace.add(Node("gate", "f", {"rows": OutputRef(f"s{subject}"), "checks": Constant([])}), None)
            trace.hold("rows")
        plain[f"s{number}"] = {up % number for up in given_to} if number else set()
        arguments = {f"a{up}": OutputRef(f"s{up}") for up in plain[f"s{number}"]}
        trace.add(Node(f"s{number}", "f", arguments), None)
    nodes = {node.name: node for node in trace.nodes}
    Graph.build("p", (), trace.nodes)  # no cycle, no unknown step
    derived = {subject}
    for number in range(subject + 1, len(shape)):
        if plain[f"s{number}"] & derived:
            derived.add(number)
    for number in range(len(shape)):
        waits = "gate" in ancestors(nodes, f"s{number}")
        assert waits == (number >= place and number in derived and number != subject)
