"""The one description of a pipeline: nodes and edges that every executor, compiler and command visits.

A graph is made by tracing (`trikk.pipeline.pipeline`) or read from JSON, and is checked in both cases: names
are unique and known, every edge leads to a node, and no node depends on itself by any path.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum
from typing import Any, TypeVar

from msgspec import UNSET, field

from trikk.core.errors import DefinitionError, UnknownName
from trikk.core.names import check_name
from trikk.core.record import Record
from trikk.core.values import JSON, decode
from trikk.pipeline.arguments import (
    Argument,
    Constant,
    ModelRef,
    OutputRef,
    ParameterRef,
    TableRef,
    read_argument,
    walk,
)
from trikk.pipeline.condition import Condition
from trikk.pipeline.parameters.parameter_kinds import Kind

T = TypeVar("T")


class Role(StrEnum):
    """What a step is to the project, beside a step of its pipeline; authors' own steps have none."""

    MONITOR = "monitor"
    """It evaluates the monitor that its argument `spec` describes."""
    REPORT = "report"
    """It begins the report that its argument `spec` describes."""
    PREDICTIONS = "predictions"
    """It returns a model's rows, which have one more column after a model with one more class."""


class WriteMode(StrEnum):
    """What a write does to the rows that a table has."""

    APPEND = "append"
    OVERWRITE = "overwrite"
    MERGE = "merge"


class SchemaMode(StrEnum):
    """What a write does where its rows have other columns than the table."""

    STRICT = "strict"
    """It refuses them."""
    MERGE = "merge"
    """It adds new columns."""


class WriteTo(Record, frozen=True):
    """What a node that writes does with the rows it is given."""

    table: str
    mode: WriteMode
    key: tuple[str, ...] = ()
    schema_mode: SchemaMode = SchemaMode.STRICT


class OnExpiry(StrEnum):
    """How a question is decided that nobody has decided in time."""

    REFUSE = "refuse"
    APPROVE = "approve"


class OnRefusal(StrEnum):
    """What becomes of what waits for a question that was refused."""

    SKIP = "skip"
    """It is skipped, and the run goes on."""
    FAIL = "fail"
    """The run fails."""


class Question(Record, frozen=True):
    """What a node that asks people wants to know, and what becomes of the answer."""

    text: str
    expires: float | None = None  # seconds after it was asked, or None for never
    on_expiry: OnExpiry = OnExpiry.REFUSE
    on_refusal: OnRefusal = OnRefusal.SKIP


class Node(Record, frozen=True, omit_defaults=True):
    """One step of a pipeline. Its JSON, from which digests are made, leaves out what is empty."""

    name: str  # unique within the pipeline
    function: str  # `module:qualname`, for people
    arguments: Mapping[str, Argument] = field(default_factory=dict)  # where each argument comes from
    outputs: int | None = None  # how many outputs a tuple annotation declares; None for a single one
    mapped: str | None = None  # the argument over whose items the step fans out, or None
    after: tuple[str, ...] = ()  # names of steps that come first though no data flows
    when: tuple[Condition, ...] = ()  # conditions of which all must hold, or the step is skipped
    retry: dict[str, JSON] | None = None  # `Retry` as JSON, or None for a single attempt
    timeout: float | None = None  # seconds an attempt may take, or None
    # `Resources` as JSON
    resources: dict[str, JSON] = field(default_factory=lambda: {"cpus": 1.0, "memory": 0, "gpus": 0})
    cache: dict[str, JSON] | None = None  # `Cache` as JSON, or None
    write: WriteTo | None = None  # set for a node that writes a table
    question: Question | None = None  # set for a node that asks people; no worker runs it
    # the step reads from outside what a run is locked to; a replay takes its result as it was
    source: bool = False
    effect: bool = False  # the step changes something outside; a replay takes its result and does not do it again
    allow_failure: bool = False  # if the step fails, what needs its output is skipped and the run goes on
    role: str = ""  # one of `Role`; "" for steps of no other meaning, and in graphs of earlier builds
    where: str = ""  # the author's `file:line`

    def data_from(self) -> Iterator[str]:
        """Names of the steps whose outputs this one is given."""
        return (part.step for part in self._given(OutputRef))

    def asks(self) -> Iterator[str]:
        """Names of the steps whose outputs decide whether this one runs."""
        return (o.step for condition in self.when for o in condition.arguments() if isinstance(o, OutputRef))

    def tables(self) -> Iterator[TableRef]:
        """The tables it reads."""
        return self._given(TableRef)

    def models(self) -> Iterator[ModelRef]:
        """The registered models it reads."""
        return self._given(ModelRef)

    def _given(self, kind: type[T]) -> Iterator[T]:
        return (part for argument in self.arguments.values() for part in walk(argument) if isinstance(part, kind))

    def upstream(self) -> tuple[str, ...]:
        """Names of all steps that must be over before this one is decided, each once, in a fixed order."""
        writes = (w for t in self.tables() for w in t.writes)
        return tuple(dict.fromkeys([*self.data_from(), *self.asks(), *self.after, *writes]))

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Node:
        """The node that `to_json` wrote; its arguments are read as `read_argument` tells them apart."""
        # Not by msgspec alone: it can't tell the kinds of arguments apart, and an earlier build's graph lacks
        # fields.
        fields = {name: data[name] for name in cls.__struct_fields__ if name in data}
        fields["arguments"] = {
            name: read_argument(argument) for name, argument in data.get("arguments", {}).items()
        }
        fields["when"] = tuple(Condition.read(condition) for condition in data.get("when", ()))
        fields["after"] = tuple(data.get("after", ()))
        fields["write"] = WriteTo.read(data["write"]) if data.get("write") else None
        fields["question"] = Question.read(data["question"]) if data.get("question") else None
        return cls(**fields)


class ParameterSpec(Record, frozen=True):
    """A parameter of a pipeline: its kind, and its default as the kind's JSON unless it is required."""

    name: str
    kind: Kind
    required: bool
    default: Any = UNSET


class Graph(Record, frozen=True):
    """A pipeline as nodes in an order in which they can run.

    Raises:
        DefinitionError: when made from nodes of which two share a name, or some form a cycle (which is named).
        UnknownName: when one refers to a step or a parameter that is not there.
    """

    pipeline: str
    parameters: tuple[ParameterSpec, ...]
    nodes: Mapping[str, Node]
    doc: str = ""
    pools: tuple[str, ...] = ()  # in each of which a run takes a place that `trikk serve` starts

    @classmethod
    def build(
        cls,
        pipeline: str,
        parameters: tuple[ParameterSpec, ...],
        nodes: list[Node],
        doc: str = "",
        pools: tuple[str, ...] = (),
    ) -> Graph:
        """Check the nodes and put them into an order in which they can run."""
        named: dict[str, Node] = {}
        for node in nodes:
            check_name("step", node.name, where=node.where)
            if node.name in named:
                raise DefinitionError(
                    f"two steps of pipeline {pipeline} are named {node.name!r}",
                    where=f"{node.where} and {named[node.name].where}",
                    next='give one another name: step.options(name="...")(...)',
                )
            named[node.name] = node
        for node in nodes:
            _check_edges(node, named, {p.name for p in parameters})
        return cls(pipeline, parameters, _sorted(pipeline, named), doc, pools)

    def tables_read(self) -> tuple[str, ...]:
        """Names of the tables that any step reads, each once, sorted."""
        return tuple(sorted({t.table for node in self.nodes.values() for t in node.tables()}))

    def tables_written(self) -> tuple[str, ...]:
        """Names of the tables that any step writes, each once, sorted."""
        return tuple(sorted({node.write.table for node in self.nodes.values() if node.write}))

    def declared(self, role: Role) -> Iterator[Any]:
        """What its steps of a role declare: the JSON that their author gave as `spec`."""
        for node in self.nodes.values():
            spec = node.arguments.get("spec")
            if node.role == role and isinstance(spec, Constant):
                yield decode(spec.value)

    def to_json(self) -> dict[str, JSON]:
        """The graph as JSON."""
        return {
            "pipeline": self.pipeline,
            "doc": self.doc,
            "parameters": [p.to_json() for p in self.parameters],
            "nodes": [n.to_json() for n in self.nodes.values()],
            **({"pools": list(self.pools)} if self.pools else {}),
        }

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Graph:
        """The graph that `to_json` wrote, checked again."""
        return cls.build(
            data["pipeline"],
            tuple(ParameterSpec.read(p) for p in data["parameters"]),
            [Node.read(n) for n in data["nodes"]],
            data.get("doc", ""),
            tuple(data.get("pools", ())),
        )


def _check_edges(node: Node, steps: Collection[str], parameters: Collection[str]) -> None:
    """Every edge must lead to a step or parameter of this pipeline; another pipeline's may have leaked in."""
    operands = (part for condition in node.when for part in condition.arguments())
    given = (part for argument in node.arguments.values() for part in walk(argument))
    wanted = [
        (part.name, "parameter", parameters) for part in (*given, *operands) if isinstance(part, ParameterRef)
    ]
    wanted += [(name, "step", steps) for name in node.upstream()]
    for name, kind, known in wanted:
        if name not in known:
            error = UnknownName(kind, name, known)
            error.where = node.where or None
            raise error


def _sorted(pipeline: str, nodes: Mapping[str, Node]) -> dict[str, Node]:
    """The nodes in an order in which they can run, the author's order where there is a choice (Kahn, 1962)."""
    place = {name: position for position, name in enumerate(nodes)}
    waiting = {name: len(node.upstream()) for name, node in nodes.items()}
    below: dict[str, list[str]] = {name: [] for name in nodes}
    for name, node in nodes.items():
        for up in node.upstream():
            below[up].append(name)
    # By the author's order and not by that of a set: the same source has to give the same graph and digest.
    ready = [(place[name], name) for name in nodes if not waiting[name]]
    order: dict[str, Node] = {}
    while ready:
        _, name = heapq.heappop(ready)
        order[name] = nodes[name]
        for down in below[name]:
            waiting[down] -= 1
            if not waiting[down]:
                heapq.heappush(ready, (place[down], down))
    if len(order) < len(nodes):
        stuck = [name for name in nodes if name not in order]
        cycle = _cycle(nodes, set(stuck))
        raise DefinitionError(
            f"steps of pipeline {pipeline} wait for each other: {' -> '.join(cycle)}",
            where=nodes[cycle[0]].where,
            next="remove one of these dependencies",
        )
    return order


def _cycle(nodes: Mapping[str, Node], stuck: set[str]) -> list[str]:
    path: list[str] = []
    # Any stuck node leads into a cycle, as each waits for another stuck one; the least, so that it is the same
    # each time.
    name = min(stuck)
    while name not in path:
        path.append(name)
        name = next(up for up in nodes[name].upstream() if up in stuck)
    return [*path[path.index(name) :], name]
