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
    timezone: str
    trouble: NotRequired[str]
    paused_until: NotRequired[str]
    source_away: NotRequired[str]


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


class WindowDocument(TypedDict):
    """One window: the figures of all cases first, then of slices; `past` has it as of each evaluation."""

    monitor: str
    kind: str
    label: str
    start: str
    end: str
    state: str
    figures: list[dict[str, Any]]
    at: float
    run: str
    fingerprint: str
    why: str
    restated: int
    past: list[dict[str, Any]]
    classes: NotRequired[list[str]]
    versions: NotRequired[dict[str, int]]


class DriftDocument(TypedDict):
    """How the last days differ from earlier ones."""

    monitor: str
    drift: dict[str, Any] | None
    windows: list[dict[str, Any]]


class DriftDayDocument(TypedDict):
    """How one day differs from earlier ones; `past` has it as of each comparison."""

    monitor: str
    kind: str
    label: str
    start: str
    end: str
    verdict: str
    headline: str
    columns: list[dict[str, Any]]
    reference: dict[str, Any] | None
    rows: int
    settled: bool
    at: float
    run: str
    fingerprint: str
    own: str
    past: list[dict[str, Any]]


class BacktestDocument(TypedDict):
    """What the past says of a rule: the incidents that it would have opened, and what thresholds would have."""

    monitor: str
    rule: dict[str, Any]
    replayed: str
    template: str
    now: float | None
    chosen: str
    nights: dict[str, Any]
    good: dict[str, Any]
    windows: dict[str, int]
    accepted: dict[str, Any]
    incidents: list[dict[str, Any]] | None
    detections: list[dict[str, Any]]
    thresholds: list[dict[str, Any]]
    columns: list[dict[str, Any]]
    suggestion: dict[str, Any] | None
    write: str
    notes: list[str]


# By calls, as `from` can name no attribute.
SidesDocument = TypedDict(
    "SidesDocument",
    {
        "monitor": str,
        "metric": str,
        "better": str,
        "sides": list[str],
        "from": str | None,
        "to": str | None,
        "cases": int,
        "days": int,
        "first": float | None,
        "second": float | None,
        "difference": float,
        "share": float | None,
        "interval": list[float] | None,
        "verdict": str,
        "reason": str,
        "days_needed": int | None,
        "chance": NotRequired[float],
        "confidence": float,
        "over": str,
        "alike": float | None,
        "detectable": float | None,
        "unpaired": list[int],
        "unlabelled": int,
        "unpredicted": int,
        "unseen_classes": dict[str, Any],
        "unseen_words": list[str],
        "places": list[str],
        "sentence": str,
        "tables": list[list[dict[str, Any]]],
        "slices": list[dict[str, Any]],
    },
)


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
    mute: dict[str, Any] | None
    notes: list[dict[str, Any]]
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
