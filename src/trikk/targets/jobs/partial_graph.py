"""The part of a graph that one job needs: its step, and all steps before it."""

from __future__ import annotations

from trikk.core.errors import UnknownName
from trikk.pipeline.graph import Graph


def steps_before(graph: Graph, step: str) -> tuple[str, ...]:
    """The steps that come before a step by any path, in an order in which they can run.

    Raises:
        UnknownName: if the graph has no such step.
    """
    if step not in graph.nodes:
        raise UnknownName("step", step, graph.nodes)
    before: set[str] = set()
    open_steps = [step]
    while open_steps:
        upstream = [name for name in graph.nodes[open_steps.pop()].upstream() if name not in before]
        before.update(upstream)
        open_steps += upstream
    return tuple(name for name in graph.nodes if name in before)


def up_to(graph: Graph, step: str) -> Graph:
    """The graph of a step and of all steps before it; raises as `steps_before`."""
    names = {*steps_before(graph, step), step}
    nodes = [node for name, node in graph.nodes.items() if name in names]
    return Graph.build(graph.pipeline, graph.parameters, nodes, graph.doc)
