"""What a run's steps have logged: the fold of the run's events, and nothing that is not in them.

A step that is tried again logs again. What it logged before stays, marked by its attempt; the run's own value of
a metric is that of the last attempt. Where several steps, or several items of a mapped step, log under one name,
each is told apart by its step: `fit_north.mae`, `fit[3].mae`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from trikk.core.errors import UnknownName
from trikk.core.values import JSON, decode
from trikk.runs.events import EventKind
from trikk.runs.journals.journal import Event, Journal
from trikk.runs.run_state import Task
from trikk.storage.artifact import Artifact

T = TypeVar("T", bound="Point | Param | LoggedArtifact")


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a metric."""

    value: float  # the number, which may be NaN or infinite
    index: int | None  # the epoch or iteration, or None
    at: float  # wall time at which it was logged, seconds since 1970
    attempt: int  # of the step that logged it


@dataclass(frozen=True, slots=True)
class Param:
    """A logged parameter's value, as `trikk.core.values` writes it, and the attempt that logged it."""

    value: JSON
    attempt: int


@dataclass(frozen=True, slots=True)
class LoggedArtifact:
    """A logged artifact, its kind (figure, file, value, report) and the attempt that logged it."""

    kind: str
    artifact: Artifact
    attempt: int


@dataclass(slots=True)
class Series(Generic[T]):
    """Everything that one step, or one item of it, logged under one name, in order."""

    name: str
    task: Task
    entries: list[T] = field(default_factory=list)


@dataclass(slots=True)
class RunRecord:
    """What the steps of one run have logged."""

    run: str  # the run's id
    # the last attempt of each step and item that was started
    attempts: dict[Task, int] = field(default_factory=dict)
    metrics: dict[tuple[Task, str], Series[Point]] = field(default_factory=dict)  # by task and name
    params: dict[tuple[Task, str], Series[Param]] = field(default_factory=dict)  # by task and name
    artifacts: dict[tuple[Task, str], Series[LoggedArtifact]] = field(default_factory=dict)  # by task and name
    # what the gates have found, as in quality.checked: the last attempt's, by task
    gates: dict[Task, Mapping[str, Any]] = field(default_factory=dict)
    # the steps and items whose result is that of another run, with its id
    reused: dict[Task, str] = field(default_factory=dict)

    @classmethod
    def fold(cls, run: str, events: Iterable[Event]) -> RunRecord:
        """The record after these events; kinds that it does not know change nothing."""
        record = cls(run)
        for event in events:
            record.apply(event)
        return record

    def apply(self, event: Event) -> None:
        """Take one more event in."""
        body: Any = event.body
        if event.kind == EventKind.STEP_STARTED:
            task = (body["step"], body.get("item"))
            self.attempts[task] = body["attempt"]
            # It was run after all: what it logs itself counts.
            self.reused.pop(task, None)
        elif event.kind == EventKind.STEP_CACHED and body.get("run"):
            self.reused[body["step"], body.get("item")] = body["run"]
        elif event.kind == EventKind.METRIC_LOGGED:
            at = event.at if body.get("at") is None else body["at"]
            self._add(self.metrics, body, Point(float(decode(body["value"])), body["index"], at, body["attempt"]))
        elif event.kind == EventKind.PARAM_LOGGED:
            self._add(self.params, body, Param(body["value"], body["attempt"]))
        elif event.kind == EventKind.ARTIFACT_LOGGED:
            stored = Artifact.read(body["artifact"])
            self._add(self.artifacts, body, LoggedArtifact(body["kind"], stored, body["attempt"]))
        elif event.kind == EventKind.QUALITY_CHECKED:
            self.gates[body["step"], body["item"]] = body

    def successor(self, events: Iterable[Event]) -> RunRecord:
        """The record after more events; this one stays as it is, for others who read it."""
        kept = (self.attempts, self.metrics, self.params, self.artifacts, self.gates, self.reused)
        later = RunRecord(self.run, *(dict(each) for each in kept))  # type: ignore[arg-type]
        own: set[int] = set()
        for event in events:
            logged = later._logged().get(event.kind)
            if logged is not None:
                _own(logged, event.body, own)
            later.apply(event)
        return later

    def _logged(self) -> dict[str, dict[tuple[Task, str], Any]]:
        return {
            EventKind.METRIC_LOGGED: self.metrics,
            EventKind.PARAM_LOGGED: self.params,
            EventKind.ARTIFACT_LOGGED: self.artifacts,
        }

    def values(self) -> dict[str, float]:
        """The run's metrics: for each name the last value of the last attempt."""
        return {name: series.entries[-1].value for name, series in self.history().items()}

    def history(self) -> dict[str, Series[Point]]:
        """For each metric the points of the last attempt, in the order in which they were logged."""
        return self._current(self.metrics)

    def parameters(self) -> dict[str, JSON]:
        """For each logged parameter its last value, as `trikk.core.values` writes it."""
        return {name: series.entries[-1].value for name, series in self._current(self.params).items()}

    def files(self) -> dict[str, Series[LoggedArtifact]]:
        """Each logged artifact, as the last attempt has logged it; the last entry counts."""
        return self._current(self.artifacts)

    def to_json(self) -> dict[str, JSON]:
        """The record as `trikk show --json` prints it: last values only; those that are not finite as texts."""
        return {
            "metrics": [
                {"name": name, "step": label(s.task), "value": shown(s.entries[-1].value), "count": len(s.entries)}
                for name, s in self.history().items()
            ],
            "logged_parameters": self.parameters(),
            "gates": [dict(gate) for gate in self.gates.values()],
            "artifacts": [
                {
                    "name": name,
                    "step": label(s.task),
                    "kind": s.entries[-1].kind,
                    "artifact": s.entries[-1].artifact.to_json(),
                }
                for name, s in self.files().items()
            ],
        }

    def inherit(self, task: Task, source: RunRecord) -> None:
        """Take over what a step logged in the run that did it, whose result this run has reused."""
        pairs: list[tuple[dict[Any, Any], dict[Any, Any]]] = [
            (self.metrics, source.metrics),
            (self.params, source.params),
            (self.artifacts, source.artifacts),
        ]
        for mine, theirs in pairs:
            mine |= {key: series for key, series in theirs.items() if key[0] == task}
        if task in source.gates:
            self.gates[task] = source.gates[task]
        if task in source.attempts:
            self.attempts[task] = source.attempts[task]

    def _add(self, kept: dict[tuple[Task, str], Series[T]], body: Any, entry: T) -> None:
        task: Task = (body["step"], body["item"])
        kept.setdefault((task, body["name"]), Series(body["name"], task)).entries.append(entry)
        self.attempts[task] = max(self.attempts.get(task, 0), body["attempt"])

    def _current(self, kept: dict[tuple[Task, str], Series[T]]) -> dict[str, Series[T]]:
        """What each task's last attempt logged, under names that tell tasks apart."""
        by_name: dict[str, list[Series[T]]] = {}
        for (task, name), series in kept.items():
            # A first attempt that failed half-way must not mix its values with the one that stands.
            entries = [entry for entry in series.entries if entry.attempt == self.attempts[task]]
            if entries:
                by_name.setdefault(name, []).append(Series(name, task, entries))
        named: dict[str, Series[T]] = {}
        for name, several in by_name.items():
            for series in several:
                named[name if len(several) == 1 else f"{label(series.task)}.{name}"] = series
        return named


def _own(kept: dict[tuple[Task, str], Series[Any]], body: Any, own: set[int]) -> None:
    """Have a copy of the series that an entry is to be added to, unless it is one."""
    key = ((body["step"], body["item"]), body["name"])
    series = kept.get(key)
    if series is not None and id(series) not in own:
        kept[key] = series = Series(series.name, series.task, list(series.entries))
        own.add(id(series))


def shown(value: float) -> JSON:
    """A number as JSON: NaN and infinities, which it does not know, as texts."""
    return value if math.isfinite(value) else str(value)


def label(task: Task) -> str:
    """A step's name, with the item's position if there is one: "fit[3]"."""
    return task[0] if task[1] is None else f"{task[0]}[{task[1]}]"


def read_record(journal: Journal, run: str, events: Iterable[Event] | None = None) -> RunRecord:
    """A run's record, with what its reused steps logged in the runs that did them.

    Args:
        journal: the project's.
        run: the run's id.
        events: all that the run has, if they have been read already.

    Raises:
        UnknownName: if there is no such run.
        JournalError: if the journal can't be read.
    """
    record = RunRecord.fold(run, journal.events(run) if events is None else events)
    known = {run: record}
    for task, source in record.reused.items():
        done_by = _origin(journal, task, source, known)
        if done_by is not None:
            record.inherit(task, done_by)
    return record


def _origin(journal: Journal, task: Task, source: str, known: dict[str, RunRecord]) -> RunRecord | None:
    """The record of the run that did a step, found through runs that reused it; None if it is gone."""
    seen: set[str] = set()
    # A run may have reused what another had reused; and a damaged journal may lead in a circle.
    while source not in seen:
        seen.add(source)
        if source not in known:
            try:
                known[source] = RunRecord.fold(source, journal.events(source))
            except UnknownName:
                return None
        if task not in known[source].reused:
            return known[source]
        source = known[source].reused[task]
    return None
