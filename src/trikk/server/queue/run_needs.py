"""What runs take while they go on, as the code declares it, written down for all servers and for whoever asks why.

A run that waits has no graph yet, and who looks at the queue (another server, `trikk runs`) has not imported the
project. So a server that has read the code writes down what matters for the queue whenever that is new.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from trikk.core.values import JSON
from trikk.pipeline.graph import Graph
from trikk.runs.journals.ledger import Ledger

SUBJECT, CHANGED = "queue/needs", "needs.changed"


@dataclass(frozen=True, slots=True)
class Need:
    """What a run of one pipeline takes.

    Attributes:
        memory: bytes, of the step that needs most.
        gpus: accelerators, of the step that needs most.
        pools: the pools in each of which it takes a place.
    """

    memory: float = 0.0
    gpus: int = 0
    pools: tuple[str, ...] = ()


_NOTHING = Need()


@dataclass(frozen=True, slots=True)
class Needs:
    """What runs take.

    Attributes:
        pipelines: by name; a pipeline that is not there takes a slot and nothing else.
        overlapping: names of the triggers whose runs may go on side by side.
    """

    pipelines: Mapping[str, Need] = field(default_factory=dict)
    overlapping: frozenset[str] = frozenset()

    def of(self, pipeline: str) -> Need:
        """What a run of a pipeline takes."""
        return self.pipelines.get(pipeline, _NOTHING)

    @classmethod
    def declared(cls, graphs: Mapping[str, Graph], overlapping: Iterable[str] = ()) -> Needs:
        """What the code declares.

        Args:
            graphs: its pipelines by name.
            overlapping: its triggers whose runs may go on side by side.
        """
        needs = {name: _need(graph) for name, graph in graphs.items()}
        return cls({name: need for name, need in needs.items() if need != _NOTHING}, frozenset(overlapping))

    @classmethod
    def written(cls, ledger: Ledger) -> Needs:
        """What was written down last."""
        entry = ledger.last(SUBJECT)
        if entry is None:
            return cls()
        body: Mapping[str, Any] = entry.body
        pipelines = {
            name: Need(need["memory"], need["gpus"], tuple(need["pools"]))
            for name, need in body["pipelines"].items()
        }
        return cls(pipelines, frozenset(body["overlapping"]))

    def write(self, ledger: Ledger, at: float) -> None:
        """Write it down, unless that is what was written down last.

        Args:
            ledger: the project's.
            at: wall time in seconds since 1970.
        """
        if self.written(ledger) == self:
            return
        pipelines: dict[str, JSON] = {
            name: {"memory": need.memory, "gpus": need.gpus, "pools": list(need.pools)}
            for name, need in sorted(self.pipelines.items())
        }
        body: dict[str, JSON] = {"pipelines": pipelines, "overlapping": [*sorted(self.overlapping)]}
        ledger.add(SUBJECT, CHANGED, body, at=at)


def _need(graph: Graph) -> Need:
    resources = [node.resources for node in graph.nodes.values()]
    memory = max((float(str(r["memory"])) for r in resources), default=0.0)
    return Need(memory, max((int(str(r["gpus"])) for r in resources), default=0), graph.pools)
