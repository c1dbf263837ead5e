"""Runs that were there before with the same parameters, and whether another would do their work a second time.

A table write and an effect are done once for a run and step. A new run does them anew, so that a run that has
failed half-way is gone on with, never begun again, once it has changed something outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from trikk.core.errors import TrikkError
from trikk.core.record import Record
from trikk.core.values import JSON
from trikk.execution.project import Project
from trikk.pipeline.graph import Graph, Node
from trikk.pipeline.pipeline import parameters_for
from trikk.runs.journals.journal import RunRow
from trikk.runs.journals.lease import LEASE_TTL
from trikk.runs.run_state import RunState, TaskState
from trikk.runs.states import OVER, RunStatus, StepStatus

_LOOK_BACK = 500  # unfinished runs of a pipeline, of each state, that a warning is worth


class Earlier(Record, frozen=True):
    """What is known of earlier runs with some parameters.

    Attributes:
        succeeded: one that has succeeded.
        driven: one that is going on, or waits for people.
        unfinished: the newest that ended without success after it had changed something outside; one that clean-up
            has forgotten counts if its pipeline can.
        effects: the steps of `unfinished` that have.
    """

    succeeded: RunRow | None = None
    driven: RunRow | None = None
    unfinished: RunRow | None = None
    effects: tuple[str, ...] = ()


def earlier(
    project: Project,
    graph: Graph,
    given: Mapping[str, str],
    *,
    at: float | None = None,
    now: float,
    rows: Iterable[RunRow] | None = None,
) -> Earlier:
    """What became of earlier runs with these parameters (texts), whatever their code and data were.

    With `at`, only runs that a backfill told this time count; for a pipeline that has no day as a parameter.
    `rows` are all runs of the pipeline, the newest first, for a caller that has read them.
    """
    wanted = parameters_for(graph, given, text=True)
    dated = any(spec.kind.name == "date" for spec in graph.parameters)
    backfilled_at = None if dated else at
    known = project.journal.runs(pipeline=graph.pipeline, limit=None) if rows is None else rows
    same = [
        row
        for row in known
        if _is_same(row, wanted) and (backfilled_at is None or row.origin.get("at") == backfilled_at)
    ]
    return _judged(project, graph, same, now)


def left_with_effects(project: Project, graph: Graph, given: Mapping[str, str], *, now: float) -> Earlier:
    """As `earlier`, of the latest runs that have not succeeded; empty if one with these parameters has since."""
    wanted = parameters_for(graph, given, text=True)
    rows: list[RunRow] = []
    for state in (RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.RUNNING, RunStatus.WAITING):
        unfinished_rows = project.journal.runs(pipeline=graph.pipeline, state=state, limit=_LOOK_BACK)
        rows += [row for row in unfinished_rows if _is_same(row, wanted)]
    rows.sort(key=lambda row: row.created, reverse=True)
    judged = _judged(project, graph, rows, now)
    if judged.unfinished is not None:
        since = judged.unfinished.created
        done = project.journal.runs(pipeline=graph.pipeline, state=RunStatus.SUCCEEDED, limit=_LOOK_BACK)
        if any(row.created > since and _is_same(row, wanted) for row in done):
            return Earlier()
    return judged


def _is_same(row: RunRow, wanted: Mapping[str, JSON]) -> bool:
    return row.origin.get("kind") != "replay" and row.parameters == wanted


def _judged(project: Project, graph: Graph, rows: Iterable[RunRow], now: float) -> Earlier:
    succeeded = driven = None
    for row in rows:
        if row.state == RunStatus.SUCCEEDED:
            succeeded = succeeded or row
        elif row.state == RunStatus.WAITING or (row.state not in OVER and is_driven(project, row, now)):
            driven = driven or row
    if succeeded is None and driven is None:
        for row in rows:
            if effects := effects_of(project, graph, row):
                return Earlier(unfinished=row, effects=effects)
    return Earlier(succeeded, driven)


def is_driven(project: Project, row: RunRow, now: float) -> bool:
    """Whether a process is at a run, or has just written it down and is about to be."""
    return project.is_driven(row.id) or (row.state == RunStatus.QUEUED and now - row.created < LEASE_TTL)


def effects_of(project: Project, graph: Graph, row: RunRow) -> tuple[str, ...]:
    """The steps of a run that have changed something outside, or may have when they were stopped.

    They are those of its own graph; of a run that is forgotten, those of `graph` that would.
    """
    if row.forgotten:
        return tuple(name for name, node in graph.nodes.items() if node.effect or node.write is not None)
    state = project.run(row.id)
    try:
        nodes: Mapping[str, Node] = project.graph(state).nodes
    except TrikkError:
        nodes = graph.nodes
    return tuple(name for name in state.steps if name in nodes and _has_effect(state, name, nodes[name]))


def _has_effect(state: RunState, name: str, node: Node) -> bool:
    step = state.steps[name]
    tasks: list[TaskState] = [step, *step.items.values()]
    if node.effect:
        return any(task.attempts > 0 for task in tasks)
    stopped = (StepStatus.RUNNING, StepStatus.RETRYING, StepStatus.CANCELLED)
    return node.write is not None and any(
        "version" in (task.write or {}) or (task.attempts > 0 and task.state in stopped) for task in tasks
    )
