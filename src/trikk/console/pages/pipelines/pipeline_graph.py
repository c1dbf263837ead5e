"""A pipeline's graph as a picture: steps, gates, questions, and the tables and models that they read and write."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from trikk.charts import GraphEdge, GraphNode, Svg, graph_drawing
from trikk.pipeline.graph import Graph, Node

if TYPE_CHECKING:
    from trikk.runs.run_state import RunState

_GATES = "trikk.quality."
_MOST = 400  # nodes; of more a picture shows nothing, and the list of steps has them all


def pipeline_picture(graph: Graph, state: RunState | None = None) -> Svg | None:
    """The graph as it is declared, or lit by what a run of it is at; None if it is too large to be seen.

    A step leads to its definition, or to its page in that run.
    """
    if not 0 < len(graph.nodes) <= _MOST:
        return None
    nodes = [_step(graph, node, state) for node in graph.nodes.values()]
    edges = [edge for node in graph.nodes.values() for edge in _edges_into(node)]
    for kind, names in (("table", _tables(graph)), ("model", _models(graph))):
        nodes += [GraphNode(f"{kind} {name}", name, kind, href=f"/{kind}s/{name}") for name in names]
    for node in graph.nodes.values():
        edges += [GraphEdge(f"table {table.table}", node.name) for table in node.tables() if not table.writes]
        edges += [GraphEdge(f"model {model.model}", node.name) for model in node.models()]
        if node.write is not None:
            edges.append(GraphEdge(node.name, f"table {node.write.table}"))
    label = f"the graph of {graph.pipeline}: {len(graph.nodes)} steps, {len(_tables(graph))} tables"
    return graph_drawing(nodes, edges, label)


def kind_of_step(node: Node) -> str:
    """What a step is, beside a step: a gate, or a question to people."""
    if node.question is not None:
        return "question"
    return "gate" if node.function.startswith(_GATES) else "step"


def _step(graph: Graph, node: Node, state: RunState | None) -> GraphNode:
    detail = "for each item" if node.mapped else "if asked for" if node.when else ""
    if state is not None and (task := state.steps.get(node.name)) is not None:
        counts = Counter(str(item.state) for item in task.items.values())
        href = f"/runs/{state.id}/steps/{node.name}"
        return GraphNode(node.name, node.name, kind_of_step(node), str(task.state), counts=counts, href=href)
    href = f"/pipelines/{graph.pipeline}?tab=definition#step-{node.name}"
    return GraphNode(node.name, node.name, kind_of_step(node), detail=detail, href=href)


def _edges_into(node: Node) -> list[GraphEdge]:
    data = set(node.data_from())
    return [GraphEdge(up, node.name, dashed=up not in data) for up in node.upstream()]


def _tables(graph: Graph) -> list[str]:
    """Tables that are read as they were before the run, or written."""
    read = {table.table for node in graph.nodes.values() for table in node.tables()}
    return sorted(read | set(graph.tables_written()))


def _models(graph: Graph) -> list[str]:
    return sorted({model.model for node in graph.nodes.values() for model in node.models()})
