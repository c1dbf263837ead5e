"""Which models a monitor's predictions are of: as the code has it, or as the newest predictions say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from trikk.core.errors import TrikkError

if TYPE_CHECKING:
    from trikk.pipeline.graph import Graph
    from trikk.server.site import Site

_NEWEST = 1_000  # predictions that are read


def models_of(site: Site, predictions: str) -> set[str]:
    """The names of the models whose predictions a table holds; empty if nothing tells.

    Args:
        site: the server's project.
        predictions: the table.
    """
    return set(_given(site.code.current.graphs.values(), predictions)) or _named(site, predictions)


def _given(graphs: Iterable[Graph], predictions: str) -> Iterator[str]:
    """The models that steps are given which write the table, or on which these rest."""
    for graph in graphs:
        waiting = [node for node in graph.nodes.values() if node.write and node.write.table == predictions]
        seen = {node.name for node in waiting}
        while waiting:
            node = waiting.pop()
            yield from (ref.model.partition("@")[0].partition(":")[0] for ref in node.models())
            before = [graph.nodes[name] for name in node.data_from() if name not in seen]
            seen |= {one.name for one in before}
            waiting += before


def _named(site: Site, predictions: str) -> set[str]:
    """The models that the newest predictions name, as an endpoint's log does."""
    import polars as pl

    try:
        rows = site.project.tables.scan(predictions)
        if "model" not in rows.collect_schema():
            return set()
        return set(rows.select(pl.col("model").cast(pl.String)).tail(_NEWEST).collect()["model"].drop_nulls())
    except (TrikkError, pl.exceptions.PolarsError):  # its own page says what is wrong with the table
        return set()
