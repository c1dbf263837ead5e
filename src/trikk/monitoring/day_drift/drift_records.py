"""What a monitor knows of drift, as entries of the ledger: a profile of each day's values, and each day's verdict.

Subjects: `monitor/NAME/profile/day/LABEL` has a day's profile, `monitor/NAME/drift/day/LABEL` its verdict,
`monitor/NAME/drift` how far this has come. What changes gets another entry; the last one holds.
"""

from __future__ import annotations

import base64
import functools
import itertools
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from trikk.core.digests import digest_json
from trikk.core.errors import StorageError
from trikk.core.values import JSON, decode
from trikk.core.zones import zone_of
from trikk.drift import ColumnDrift, Profile, Verdict
from trikk.drift.profile import dumps
from trikk.monitoring.cases.windows import WindowKind, labels_back, until_gap
from trikk.monitoring.figures.records import Cursor, WindowRecords, newest_of
from trikk.monitoring.monitor_definition import MonitorSpec

PROFILED = "day.profiled"
COMPARED = "day.compared"
REACHED = "drift.advanced"
AHEAD = timedelta(days=2)
"""How long before it begins a day may say something."""

Day = TypeVar("Day")


@dataclass(frozen=True)
class DayProfile:
    """A day's values, summed up.

    Attributes:
        label: the day.
        profile: of its features, predictions, truths and errors.
        labels: whether its truths are in; if not, truth and error are empty.
        model: the model that made most of its predictions; "" if that is not known.
        version: that model's version.
    """

    label: str
    profile: Profile
    labels: bool
    model: str = ""
    version: int | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there was no value at all."""
        return not any(column.rows for column in self.profile.columns.values())

    @functools.cached_property
    def written(self) -> dict[str, JSON]:
        """The profile as JSON."""
        return self.profile.to_json()

    @functools.cached_property
    def digest(self) -> str:
        """Names everything in it."""
        return digest_json([self.written, self.labels, self.model, self.version])[:16]

    def to_json(self) -> dict[str, JSON]:
        """The day as JSON; the profile compressed, which makes it about 1 kB a column."""
        packed = zlib.compress(dumps(self.written).encode(), 9)
        return {
            "label": self.label,
            "labels": self.labels,
            "model": self.model,
            "version": self.version,
            "rows": self.profile.rows,
            "digest": self.digest,
            "profile": base64.b85encode(packed).decode("ascii"),
        }

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> DayProfile:
        """The day that `to_json` wrote; StorageError if it is damaged."""
        try:
            profile = json.loads(zlib.decompress(base64.b85decode(data["profile"])))
        except (ValueError, zlib.error) as error:
            raise StorageError(f"the profile of day {data['label']} is damaged") from error
        return cls(data["label"], Profile.read(profile), data["labels"], data["model"], data["version"])


@dataclass(frozen=True, slots=True)
class DriftRecord:
    """What was found of a day.

    Attributes:
        monitor: the monitor.
        kind: day.
        label: the day.
        start: its first moment.
        end: the moment after its last.
        verdict: drift if any column drifts; else no drift if any could be judged; else insufficient data, or not
            comparable.
        headline: in a sentence: how many columns drift, and which most; or why there is no verdict.
        columns: each column's finding.
        reference: the days that it was compared with: `first`, `last`, `days`, and `rows` in them.
        rows: predictions of the day.
        settled: whether its labels are in, if they are compared; before that, "no drift" speaks of predictions and
            features only.
        at: the time as of which it was compared, seconds since 1970.
        run: the run that did it.
        fingerprint: of everything that was compared.
        own: the digest of the day's profile.
        definition: names what was to be compared with what.
        basis: names the same without the limits; "" in records of before it was kept.
        why: why it was compared anew; "" the first time.
    """

    monitor: str
    kind: str
    label: str
    start: datetime
    end: datetime
    verdict: Verdict
    headline: str
    columns: tuple[ColumnDrift, ...] = ()
    reference: dict[str, JSON] | None = None
    rows: int = 0
    settled: bool = False
    at: float = 0.0
    run: str = ""
    fingerprint: str = ""
    own: str = ""
    definition: str = ""
    basis: str = ""
    why: str = ""

    @property
    def drifted(self) -> tuple[ColumnDrift, ...]:
        """The columns that drift, the largest (in units of its limit) first."""
        drifting = [column for column in self.columns if column.verdict == Verdict.DRIFT]
        return tuple(sorted(drifting, key=lambda c: -c.size))

    @property
    def says_something(self) -> bool:
        """Whether it is a verdict that more labels won't change: drift, or none in a day that is settled."""
        return self.verdict == Verdict.DRIFT or (self.verdict == Verdict.NO_DRIFT and self.settled)

    def of(self, column: str) -> ColumnDrift | None:
        """The finding of one column; None if it was not compared."""
        return next((one for one in self.columns if one.column == column), None)

    def to_json(self) -> dict[str, JSON]:
        """The record as JSON."""
        fields: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        fields |= {"start": self.start.isoformat(), "end": self.end.isoformat()}
        return fields | {"columns": [column.to_json() for column in self.columns]}

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> DriftRecord:
        """The record that `to_json` wrote."""
        fields = {name: data[name] for name in cls.__slots__ if name in data}
        fields |= {name: datetime.fromisoformat(data[name]) for name in ("start", "end")}
        columns = tuple(_column(column) for column in data["columns"])
        return cls(**{**fields, "columns": columns})


def _column(data: Any) -> ColumnDrift:
    """A column's finding; what a later trikk added is left out."""
    fields: Any = decode(data)
    return ColumnDrift(**{name: fields[name] for name in ColumnDrift.__slots__ if name in fields})


class DriftRecords(WindowRecords[DriftRecord]):
    """A monitor's drift in the ledger: profiles of its days, how far it has come, and its windows' verdicts."""

    _part = "drift"
    _record = DriftRecord

    def history(self, kind: str) -> list[DriftRecord]:
        """Everything that was found of all windows of a kind, in the order in which it was found."""
        return [DriftRecord.read(entry.body) for entry in self.ledger.history(self._of(kind, ""))]

    def newest(self, spec: MonitorSpec, kind: str, most: int) -> list[DriftRecord]:
        """What holds of the last windows of a kind, at most so many, in the order of time."""
        entry = self.ledger.last(f"{self._subject}/drift")
        until = None if entry is None else Cursor.read(entry.body).until.get(kind)
        return newest_of(self, spec, kind, until, most)

    def put(self, record: DriftRecord, *, identity: str) -> None:
        """Add a window's verdict; once for each identity."""
        self.ledger.add(
            self._of(record.kind, record.label), COMPARED, record.to_json(), at=record.at, identity=identity
        )

    def profiled(self, label: str) -> tuple[DayProfile, str] | None:
        """A day's profile as it holds, and its digest; None if there is none."""
        entry = self.ledger.last(self._profile(label))
        return None if entry is None else (DayProfile.read(entry.body), str(entry.body["digest"]))

    def keep(self, day: DayProfile, *, at: float, identity: str) -> bool:
        """Write a day's profile down, if it is not the one that holds; whether it was written."""
        body = day.to_json()
        entry = self.ledger.last(self._profile(day.label))
        if entry is not None and entry.body["digest"] == body["digest"]:
            return False
        self.ledger.add(self._profile(day.label), PROFILED, body, at=at, identity=identity)
        return True

    def cursor(self, definition: str) -> Cursor:
        """How far this has come with a definition; a new cursor if that is another than before."""
        entry = self.ledger.last(f"{self._subject}/drift")
        return Cursor() if entry is None or entry.body["definition"] != definition else Cursor.read(entry.body)

    def advance(self, cursor: Cursor, definition: str, *, at: float, identity: str) -> None:
        """Write down how far this has come."""
        body: dict[str, JSON] = {**cursor.to_json(), "definition": definition}
        self.ledger.add(f"{self._subject}/drift", REACHED, body, at=at, identity=identity)

    def _profile(self, label: str) -> str:
        return f"{self._subject}/profile/day/{label}"


def drift_observations(
    records: DriftRecords, spec: MonitorSpec, now: datetime, most: int = 14
) -> list[DriftRecord]:
    """The last days that say something, oldest first, for alerts: those that drift, or are settled and do not.

    A day whose predictions drift says so before it begins.

    Args:
        records: the monitor's drift.
        spec: the monitor.
        now: the time, with its zone.
        most: how many days at most.
    """
    return observed(days_back(records, spec, now), lambda record: record.says_something, most)[::-1]


def days_back(records: DriftRecords, spec: MonitorSpec, now: datetime) -> Iterator[DriftRecord | None]:
    """What holds of each day (None: nothing) from the last that may say something backwards, without an end."""
    labels = labels_back(WindowKind.DAY, now + AHEAD, zone_of(spec.timezone))
    return (records.window(WindowKind.DAY, label) for label in labels)


def observed(days: Iterable[Day | None], says_something: Callable[[Day], bool], most: int) -> list[Day]:
    """The days that say something, the newest first, up to a gap (`until_gap`).

    Args:
        days: each day, the newest first; None where nothing is known.
        says_something: of a day.
        most: how many days at most.
    """
    saying = (day if day is not None and says_something(day) else None for day in days)
    return list(itertools.islice(until_gap(saying, with_last=True), most))
