"""A pipeline's graph as a picture: steps, gates, questions, and the tables and models that they read and write."""

from __future__ import annotations

from trikk.charts import GraphEdge, GraphNode, Svg, graph_drawing
from trikk.pipeline.graph import Graph, Node

_GATES = "trikk.quality."
_MOST = 400  # nodes; of more a picture shows nothing, and the list of steps has them all


def pipeline_picture(graph: Graph) -> Svg | None:
    """The graph, each step leading to its definition; None if it is too large to be seen."""
    if not 0 < len(graph.nodes) <= _MOST:
        return None
    nodes = [_step(graph, node) for node in graph.nodes.values()]
    edges = [edge for node in graph.nodes.values() for edge in _edges_into(node)]
    for kind, names in (("table", _tables(graph)), ("model", _models(graph))):
        nodes += [GraphNode(f"{kind} {name}", name, kind, href=f"/{kind}s/{name}") for name in names]
    for node in graph.nodes.values():
        edges += [GraphEdge(f"table {table.table}", node.name) for table in node.tables() if not table.writes]
        edges += [GraphEdge(f"model {model.model}", node.name) for model in node.models()]
        if node.write is not None:
            edges.append(GraphEdge(node.name, f"table {node.write.table}"))
    label = f"the graph of {graph.pipeline}: {len(graph.nodes)} steps, {len(_tables(graph))} tables"
    return graph_drawing(nodes, edges, label, downward=False)


def kind_of_step(node: Node) -> str:
    """What a step is, beside a step: a gate, or a question to people."""
    if node.question is not None:
        return "question"
    return "gate" if node.function.startswith(_GATES) else "step"


def _step(graph: Graph, node: Node) -> GraphNode:
    detail = "for each item" if node.mapped else "if asked for" if node.when else ""
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
