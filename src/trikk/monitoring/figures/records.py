"""What a monitor has found, as entries of the ledger: each window's figures with all that they were before.

Subjects: `monitor/NAME` has the definitions, `monitor/NAME/cursor` how far evaluation has come,
`monitor/NAME/window/KIND/LABEL` a window's figures, `monitor/NAME/calibration/DAY` what a day's estimates rest on.
A window that is evaluated anew gets another entry; the last one holds.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

import msgspec

from trikk.core.digests import digest_json
from trikk.core.errors import UnknownName
from trikk.core.record import Record
from trikk.core.values import JSON
from trikk.core.zones import zone_of
from trikk.monitoring.cases.windows import Window, WindowState, labels_back, until_gap
from trikk.monitoring.figures.window_figures import Figures
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.runs.journals.ledger import Entry, Ledger

DEFINED = "monitor.defined"
EVALUATED = "window.evaluated"
RESTATED = "window.restated"
ADVANCED = "monitor.advanced"
CALIBRATED = "monitor.calibrated"
_INSTANT = timedelta(microseconds=1)
Window_ = TypeVar("Window_")


@dataclass(frozen=True, slots=True)
class WindowRecord:
    """A window as it was evaluated.

    Attributes:
        monitor: the monitor.
        kind: hour, day, week or month.
        label: what the window is called.
        start: its first moment.
        end: the moment after its last.
        state: empty, pending, partial, final or overdue.
        figures: of all cases first, then of the slices.
        at: the time as of which it was evaluated, seconds since 1970.
        run: the run that evaluated it.
        fingerprint: of the rows that it was made of.
        why: why it has other figures or another state than it had when its labels were due; "" if it has not.
        restated: how many times figures that were final have changed, by another definition excepted.
        classes: those that the versions know that predicted its cases, as texts, in the order of the newest.
        versions: how many of its predictions each version made, where estimates rest on earlier windows or figures
            are kept in a table.
    """

    monitor: str
    kind: str
    label: str
    start: datetime
    end: datetime
    state: WindowState
    figures: tuple[Figures, ...]
    at: float
    run: str = ""
    fingerprint: str = ""
    why: str = ""
    restated: int = 0
    classes: tuple[str, ...] = ()
    versions: dict[str, int] = field(default_factory=dict)

    @property
    def whole(self) -> Figures:
        """The figures of all its cases."""
        return self.figures[0]

    @property
    def judged(self) -> list[Figures]:
        """The figures without what later predictions say."""
        return [one.judged for one in self.figures]

    def of(self, column: str, value: str) -> Figures | None:
        """The figures of a slice; None if the window has none."""
        return next((f for f in self.figures if (f.slice, f.value) == (column, value)), None)

    def to_json(self) -> dict[str, JSON]:
        """The record as JSON."""
        fields: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        fields |= {"start": self.start.isoformat(), "end": self.end.isoformat()}
        fields |= {"classes": [*self.classes]} if fields.pop("classes") else {}
        fields |= {"versions": self.versions} if fields.pop("versions") else {}
        return fields | {"figures": [one.to_json() for one in self.figures]}

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> WindowRecord:
        """The record that `to_json` wrote."""
        fields = {name: data[name] for name in cls.__slots__ if name in data}
        fields |= {name: datetime.fromisoformat(data[name]) for name in ("start", "end")}
        fields |= {"classes": tuple(data.get("classes", ()))}
        fields |= {"state": WindowState(data["state"])}
        return cls(**{**fields, "figures": tuple(Figures.read(one) for one in data["figures"])})


class Cursor(Record, frozen=True):
    """How far a monitor's evaluation has come.

    Attributes:
        at: the time as of which it was evaluated last, seconds since 1970; None before the first.
        versions: the version of each table that was read.
        open: labels of the windows that are pending or partial, by kind.
        until: by kind, the end of the last window that was looked at.
        reach: by table, column and zone, the first and last time in the version that was read; empty without rows.
        definition: names what the figures were made by; "" where that was not kept.
        ahead: how many truths were dated after that time, `rows`, and of which entities `most`; empty if none.
    """

    at: float | None = None
    versions: dict[str, int | None] = msgspec.field(default_factory=dict)
    open: dict[str, list[str]] = msgspec.field(default_factory=dict)
    until: dict[str, str] = msgspec.field(default_factory=dict)
    reach: dict[str, list[str]] = msgspec.field(default_factory=dict)
    definition: str = ""
    ahead: dict[str, Any] = msgspec.field(default_factory=dict)

    def is_of_another(self, spec: MonitorSpec) -> bool:
        """Whether the figures were made by another definition, so that all have to be made anew."""
        return self.definition not in ("", spec.figured)


def reach_of(spec: MonitorSpec, table: str) -> str:
    """What a cursor's `reach` has the span of one of the monitor's tables under."""
    return f"{table}.{spec.slot} {spec.timezone}"


class OfWindow(Protocol):
    """What is written down of a window."""

    @property
    def start(self) -> datetime:
        """The window's first moment."""

    @classmethod
    def read(cls, data: Mapping[str, Any], /) -> Self:
        """The record that was written."""


Record_ = TypeVar("Record_", bound=OfWindow)


class WindowRecords(Generic[Record_]):
    """What the ledger has of a monitor's windows: a subject for each, whose last entry holds.

    Args:
        ledger: where the entries are; every journal is one.
        monitor: the monitor's name.
    """

    _part: ClassVar[str]  # of the monitor's subject
    _record: type[Record_]

    def __init__(self, ledger: Ledger, monitor: str) -> None:
        self.ledger = ledger
        self.monitor = monitor
        self._subject = f"monitor/{monitor}"

    def window(self, kind: str, label: str) -> Record_ | None:
        """What holds of a window; None if nothing was written down."""
        entry = self.ledger.last(self._of(kind, label))
        return None if entry is None else self._read(entry.body)

    def past(self, kind: str, label: str) -> list[Record_]:
        """Everything that was written down of a window, oldest first."""
        return [self._read(entry.body) for entry in self.ledger.entries(self._of(kind, label))]

    def windows(self, kind: str) -> list[Record_]:
        """What holds of all windows of a kind, in the order of time."""
        newest: dict[str, Entry] = {}
        for entry in self.ledger.history(self._of(kind, "")):
            newest[entry.subject] = entry
        return sorted((self._read(entry.body) for entry in newest.values()), key=lambda record: record.start)

    def _read(self, body: Mapping[str, Any]) -> Record_:
        return self._record.read(body)

    def _of(self, kind: str, label: str) -> str:
        return f"{self._subject}/{self._part}/{kind}/{label}"


class Records(WindowRecords[WindowRecord]):
    """A monitor's part of the ledger: its definition, how far it has come, and its windows' figures.

    Args:
        ledger: where the entries are; every journal is one.
        monitor: the monitor's name.
        sliced_by: the one column whose slices' figures are read beside those of all cases, "" for none; all slices
            if not given. A rule reads many windows at each look, and few of their figures.
    """

    _part = "window"
    _record = WindowRecord

    def __init__(self, ledger: Ledger, monitor: str, *, sliced_by: str | None = None) -> None:
        super().__init__(ledger, monitor)
        self._sliced_by = sliced_by

    def _read(self, body: Mapping[str, Any]) -> WindowRecord:
        if self._sliced_by is None:
            return WindowRecord.read(body)
        figures = [one for one in body["figures"] if one["slice"] in ("", self._sliced_by)]
        return WindowRecord.read({**body, "figures": figures})

    def define(self, spec: MonitorSpec, at: float) -> None:
        """Write the definition down, if it is not the one that holds."""
        body = spec.to_json()
        entry = self.ledger.last(self._subject)
        if entry is None or entry.body != body:
            self.ledger.add(self._subject, DEFINED, body, at=at)

    def spec(self) -> MonitorSpec:
        """The definition that holds.

        Raises:
            UnknownName: if there is no such monitor.
        """
        entry = self.ledger.last(self._subject)
        if entry is None:
            raise unknown_monitor(self.monitor, names(self.ledger))
        return MonitorSpec.read(entry.body)

    def cursor(self) -> Cursor:
        """How far evaluation has come."""
        entry = self.ledger.last(f"{self._subject}/cursor")
        return Cursor() if entry is None else Cursor.read(entry.body)

    def newest_truth(self) -> datetime | None:
        """The newest slot that has a truth, as of the last evaluation; None if none has, or nobody has looked."""
        if not (reach := self.cursor().reach):
            return None
        spec = self.spec()
        span = reach.get(reach_of(spec, spec.truth))
        return datetime.fromisoformat(span[1]) if span else None

    def advance(self, cursor: Cursor, *, at: float, identity: str) -> None:
        """Write down how far evaluation has come."""
        self.ledger.add(f"{self._subject}/cursor", ADVANCED, cursor.to_json(), at=at, identity=identity)

    def put(self, record: WindowRecord, *, identity: str) -> None:
        """Add a window's figures; once for each identity."""
        kind = RESTATED if record.why else EVALUATED
        subject = self._of(record.kind, record.label)
        self.ledger.add(subject, kind, record.to_json(), at=record.at, identity=identity)

    def calibration(self, day: str, definition: str) -> dict[str, JSON] | None:
        """What estimates of a day rest on, if that was written down for a definition (`MonitorSpec.figured`)."""
        entries = self.ledger.entries(f"{self._subject}/calibration/{day}")
        return next((entry.body for entry in entries if entry.identity == definition), None)

    def calibrate(self, day: str, definition: str, body: dict[str, JSON], at: float) -> dict[str, JSON]:
        """Write down what estimates of a day rest on; the first to do so is right, and its body is returned."""
        subject = f"{self._subject}/calibration/{day}"
        return self.ledger.add(subject, CALIBRATED, body, at=at, identity=definition).entry.body

    def labels(self, kind: str) -> list[str]:
        """The labels of all windows of a kind that were evaluated."""
        prefix = self._of(kind, "")
        return [subject.removeprefix(prefix) for subject in self.ledger.subjects(prefix)]

    def newest(
        self, spec: MonitorSpec, kind: str, most: int, wanted: Callable[[WindowRecord], object] = bool
    ) -> list[WindowRecord]:
        """The last windows of a kind that are wanted, at most so many, in the order of time.

        It costs as much as there are windows to look at, however long the history is.
        """
        return newest_of(self, spec, kind, self.cursor().until.get(kind), most, wanted)


class History(Protocol[Window_]):
    """What is kept of windows: `Records`, or a monitor's drift."""

    def window(self, kind: str, label: str, /) -> Window_ | None:
        """What holds of one window; None if nothing is known of it."""

    def windows(self, kind: str, /) -> list[Window_]:
        """What holds of all, in the order of time; it reads the whole history."""


def newest_of(
    history: History[Window_],
    spec: MonitorSpec,
    kind: str,
    until: str | None,
    most: int,
    wanted: Callable[[Window_], object] = bool,
) -> list[Window_]:
    """The last windows of a kind that are wanted, at most so many, in the order of time.

    Args:
        history: what is kept of them.
        spec: the monitor, whose days count.
        kind: hour, day, week or month.
        until: the end of the last window, as the cursor has it; None without one.
        most: how many.
        wanted: which.
    """
    if until is not None:
        last, zone = datetime.fromisoformat(until) - _INSTANT, zone_of(spec.timezone)
        known = until_gap(history.window(kind, label) for label in labels_back(kind, last, zone))
        newest = list(itertools.islice(filter(wanted, known), most))
        if len(newest) == most:
            return newest[::-1]
    # A gap ended the search, and others may lie before it: a monitor that stood still for a season.
    return [window for window in history.windows(kind) if wanted(window)][-most:]


def unknown_monitor(name: str, known: Iterable[str]) -> UnknownName:
    """That no monitor of a name was evaluated; and what could be meant, or how they are evaluated."""
    error = UnknownName("evaluated monitor", name, known)
    if not error.close:
        error.next = f"{error.next}; trikk watch --once evaluates those that are declared"
    return error


def names(ledger: Ledger) -> list[str]:
    """The monitors that have been evaluated."""
    return ledger.children("monitor/")


def restated(before: WindowRecord | None, now: WindowRecord) -> str:
    """In words, what made the figures of a window others than they were; "" if nothing that was final changed."""
    if before is None or not before.state.is_over:
        return ""
    # What later predictions say changes no figure, and a figure that did not change was not restated.
    if before.judged == now.judged:
        return "" if before.state == now.state else f"it is {now.state} now"
    # Before the labels are counted: predictions that became too late take their labels with them.
    late = [one.whole.nowcasts.get("too_late", 0) for one in (before, now)]
    if (gone := before.whole.predicted - now.whole.predicted) > 0 and late[1] > late[0]:
        return f"{gone} prediction{'' if gone == 1 else 's'} made in time {'is' if gone == 1 else 'are'} gone"
    return reason_for(now.whole.labelled - before.whole.labelled)


def reason_for(more: int) -> str:
    """Why figures are others than they were, by how many more labels there are."""
    labels = f"{abs(more)} label{'' if abs(more) == 1 else 's'}"
    if more > 0:
        return f"{labels} came late"
    if more < 0:
        return f"{labels} {'is' if more == -1 else 'are'} gone"
    return "values were corrected"


def open_labels(records: Iterable[tuple[Window, WindowState]]) -> dict[str, list[str]]:
    """The labels of windows whose state time alone will change, by kind, from windows and their states."""
    by_kind: dict[str, list[str]] = {}
    for window, state in records:
        if state.is_open:
            by_kind.setdefault(window.kind, []).append(window.label)
    return by_kind


def fingerprint(parts: object) -> str:
    """A short digest of what a window's figures were made of."""
    return digest_json(parts)[:16]  # type: ignore[arg-type]
