"""From events to the line of `trikk runs`: one pure function, used by every backend and by its check."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from trikk.core.values import JSON
from trikk.runs.events import EventKind
from trikk.runs.journals.journal import Event, RunRow
from trikk.runs.states import RunStatus

_STATES: dict[str, RunStatus] = {
    EventKind.RUN_STARTED: RunStatus.RUNNING,
    EventKind.RUN_RESUMED: RunStatus.RUNNING,
    EventKind.RUN_WAITING: RunStatus.WAITING,
    EventKind.RUN_SUCCEEDED: RunStatus.SUCCEEDED,
    EventKind.RUN_FAILED: RunStatus.FAILED,
    EventKind.RUN_CANCELLED: RunStatus.CANCELLED,
}
_RESUMABLE = (RunStatus.FAILED, RunStatus.CANCELLED)
PROJECTED = frozenset(_STATES) | {
    EventKind.RUN_CREATED,
    EventKind.RUN_FORGOTTEN,
    EventKind.RUN_RESUME_REQUESTED,
    EventKind.APPROVAL_DECIDED,
}


def row_after(row: RunRow, event: Event) -> RunRow:
    """The row after one more event; kinds that say nothing of the run as a whole leave it as it is."""
    kind = event.kind
    if kind not in PROJECTED:
        return row
    if kind == EventKind.RUN_CREATED:
        return first_row(event)
    if kind == EventKind.RUN_FORGOTTEN:
        return _forgotten(row, event.body)
    if kind == EventKind.APPROVAL_DECIDED:
        return replace(row, state=RunStatus.QUEUED) if row.state == RunStatus.WAITING else row
    if kind == EventKind.RUN_RESUME_REQUESTED:
        is_over = row.state in _RESUMABLE
        return replace(row, state=RunStatus.QUEUED, ended=None, error=None) if is_over else row
    state = _STATES[kind]
    if state == RunStatus.WAITING:
        return replace(row, state=state, ended=None, error=None)
    started = event.at if row.started is None and state == RunStatus.RUNNING else row.started
    if state == RunStatus.RUNNING:
        return replace(row, state=state, started=started, ended=None, error=None)
    error = event.body.get("error")
    return replace(row, state=state, ended=event.at, error=error if isinstance(error, str) else None)


def first_row(event: Event) -> RunRow:
    """The row of a run that has only its `run.created` event."""
    body = event.body
    parameters, origin = body.get("parameters"), body.get("origin")
    return RunRow(
        id=event.run,
        pipeline=str(body.get("pipeline")),
        state=RunStatus.QUEUED,
        created=event.at,
        started=None,
        ended=None,
        parameters=parameters if isinstance(parameters, dict) else {},
        origin=origin if isinstance(origin, dict) else {"kind": "manual"},
        error=None,
    )


def fold(events: Iterable[Event]) -> RunRow | None:
    """The row that these events of one run give; None if they do not begin with `run.created`."""
    row: RunRow | None = None
    for event in events:
        if row is not None:
            row = row_after(row, event)
        elif event.kind == EventKind.RUN_CREATED:
            row = first_row(event)
        else:
            return None
    return row


def kept(row: RunRow) -> dict[str, JSON]:
    """The body of `run.forgotten`: what the dropped events had made of the row."""
    return {"state": row.state, "started": row.started, "ended": row.ended, "error": row.error}


def _forgotten(row: RunRow, body: dict[str, Any]) -> RunRow:
    return replace(
        row,
        state=RunStatus(body["state"]),
        started=body.get("started"),
        ended=body.get("ended"),
        error=body.get("error"),
        forgotten=True,
    )
