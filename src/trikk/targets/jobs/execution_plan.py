"""What all jobs of one execution go by: the run that it is, its parameters, and what it is locked to.

An engine starts jobs and knows nothing of tables and models. The first job of an execution to come pins them and
puts the plan into the exchange; jobs that come at the same time find that one there, and go by it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from trikk.core.names import run_id_of
from trikk.core.record import Record
from trikk.core.values import JSON
from trikk.targets.jobs.exchange import Exchange

_NAME = "plan.json"


class ExecutionPlan(Record, frozen=True):
    """What an execution does.

    Attributes:
        run: the run's id, made of the execution's.
        pipeline: the pipeline's name.
        engine: the target's name.
        execution: what the engine calls the execution.
        environment: whose aliases of models it sees.
        parameters: as their kinds' JSON.
        origin: why the run exists; with `engine` and `execution`.
        lock: a `Lock` as JSON.
        graph: digest of the graph's JSON in the store.
        created: seconds since 1970.
    """

    run: str
    pipeline: str
    engine: str
    execution: str
    environment: str
    parameters: dict[str, Any]
    origin: dict[str, Any]
    lock: dict[str, Any]
    graph: str
    created: float

    def created_body(self) -> dict[str, JSON]:
        """The body of the run's `run.created`, without the pipeline's name."""
        body = self.to_json()
        return {key: body[key] for key in ("parameters", "origin", "lock", "graph", "environment")}


def run_of_execution(pipeline: str, execution: str) -> str:
    """The id of the run that an engine's execution is: the same for every job, and for whoever mirrors it."""
    return run_id_of(f"{pipeline}/{execution}")


def read_plan(exchange: Exchange, execution: str) -> ExecutionPlan | None:
    """The plan of an execution; None if no job has come yet.

    Raises:
        StorageError: if the exchange can't be reached, or the plan can't be read.
    """
    data = exchange.get(f"{execution}/{_NAME}")
    return None if data is None else ExecutionPlan.from_bytes(data)


def executions(exchange: Exchange) -> list[str]:
    """What the engine calls the executions that a job has begun; StorageError if the exchange can't be reached."""
    return [name.partition("/")[0] for name in exchange.names("") if name.endswith(f"/{_NAME}")]


def agreed_plan(exchange: Exchange, execution: str, make: Callable[[], ExecutionPlan]) -> ExecutionPlan:
    """The plan of an execution; the one that `make` gives, if no other job was first.

    Raises:
        StorageError: as `read_plan`.
        UsageError: whatever `make` raises.
    """
    plan = read_plan(exchange, execution)
    if plan is not None:
        return plan
    plan = make()
    if exchange.put_new(f"{execution}/{_NAME}", plan.to_bytes()):
        return plan
    first = read_plan(exchange, execution)
    assert first is not None, "it was there a moment ago, and nobody removes it"
    return first


def origin_of(engine: str, execution: str, trigger: str = "", tick: str = "") -> dict[str, JSON]:
    """The origin of a run that an engine carries out; by a trigger, if it was started for one's tick."""
    why: Mapping[str, JSON] = (
        {"kind": "trigger", "trigger": trigger, "tick": tick} if trigger else {"kind": "manual"}
    )
    return {**why, "engine": engine, "execution": execution}
