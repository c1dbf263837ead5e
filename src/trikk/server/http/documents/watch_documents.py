"""Triggers, monitors and incidents as answers have them."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from trikk.alerts.incidents.incident import IncidentState
from trikk.alerts.rules.rule import Severity


class ErrorDocument(TypedDict):
    """What commands say of an error."""

    code: str
    what: str
    where: str | None
    next: str | None


class TriggerDocument(TypedDict):
    """What starts runs by itself: when it comes due next, and the tick of its newest run."""

    name: str
    pipeline: str
    kind: str
    next: str | None
    last: str | None
    paused: bool
    trouble: NotRequired[str]
    paused_until: NotRequired[str]


class TriggerDetailsDocument(TriggerDocument):
    """A trigger in words, the times at which it comes due, and what became of its last ticks."""

    words: str
    where: str
    declaration: dict[str, Any]
    differs: bool
    away: dict[str, Any] | None
    held_up: dict[str, Any] | None
    coming: list[str]
    happened: list[dict[str, Any]]


class TriggersDocument(TypedDict):
    """The project's triggers, and why its code does not load, if it does not."""

    triggers: list[TriggerDocument]
    trouble: ErrorDocument | None


class HookDocument(TypedDict):
    """The run that a call has started, or why none."""

    run: str | None
    why: str


class MonitorDocument(TypedDict):
    """A monitor, and its newest window that has labels."""

    monitor: dict[str, Any]
    evaluated: float | None
    newest: dict[str, Any] | None


class MonitorsPage(TypedDict):
    """Monitors by name."""

    monitors: list[MonitorDocument]
    next: str | None


class WindowsDocument(TypedDict):
    """The last windows of a monitor, of one kind, and what they come to together."""

    monitor: dict[str, Any]
    kind: str
    windows: list[dict[str, Any]]
    estimates: list[dict[str, Any]]
    unseen_unknown: str | None
    unseen_class_unknown: str | None
    dated_in_the_future: dict[str, Any]
    confusion_matrix: NotRequired[dict[str, Any]]


class IncidentDocument(TypedDict):
    """An incident; times in seconds since 1970."""

    id: str
    cause: str
    number: int
    state: IncidentState
    subject: str
    title: str
    severity: Severity
    opened: float
    opened_why: str
    since: float
    resolved: float | None
    resolved_by: str
    resolved_why: str
    acknowledged: str
    escalations: int
    updates: int
    part: list[str] | None
    rule: dict[str, Any]
    point: dict[str, Any] | None
    messages: list[dict[str, Any]]
    starts: list[dict[str, Any]]


class IncidentDetailsDocument(IncidentDocument):
    """An incident with everything that happened to it."""

    timeline: list[dict[str, Any]]


class IncidentsPage(TypedDict):
    """Incidents."""

    incidents: list[IncidentDocument]
    next: str | None


class CasesDocument(TypedDict):
    """The cases behind a window's figures, the worst ones first."""

    cases: list[dict[str, Any]]
    confusion_matrix: NotRequired[dict[str, Any]]
