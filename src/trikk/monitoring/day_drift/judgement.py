"""From kept profiles to verdicts: each day compared with the days that it is to be compared with."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from trikk.core.errors import TrikkError, UnknownName
from trikk.core.values import JSON
from trikk.core.zones import zone_of
from trikk.drift import ColumnDrift, Profile, Verdict, compare
from trikk.models.registry import Registry
from trikk.monitoring.cases.due_windows import merged
from trikk.monitoring.cases.windows import Window, windows_between
from trikk.monitoring.day_drift.drift_definition import Drift
from trikk.monitoring.day_drift.drift_records import DayProfile, DriftRecord, DriftRecords
from trikk.monitoring.day_drift.reference_days import Compared, compared_with, farthest
from trikk.monitoring.figures.records import fingerprint
from trikk.monitoring.monitor_definition import Made, MonitorSpec

_MOST = 400  # profiles that are held at once
_OF_SPEC = ("predictions", "truth", "key", "slot", "observed", "prediction", "made", "timezone", "delay", "least")


@dataclass(frozen=True, slots=True)
class Look:
    """One evaluation: the monitor and its ledger, the time, and who does it."""

    spec: MonitorSpec
    drift: Drift
    records: DriftRecords
    now: datetime
    run: str
    identity: str

    @property
    def at(self) -> float:
        """The time in seconds since 1970."""
        return self.now.timestamp()

    @property
    def definition(self) -> str:
        """Names what is compared with what: when it changes, every day is done anew."""
        return definition_of(self.spec, self.drift)


def definition_of(spec: MonitorSpec, drift: Drift) -> str:
    """Names what of a monitor is compared with what, and by which limits."""
    own = spec.to_json() | {"made": spec.made_at}
    nowcasts = [] if spec.made is Made.BEFORE else [[spec.made, spec.within]]
    of_classes = ["mistakes"] if any(spec.metric(name).of_classes for name in spec.metrics) else []
    return fingerprint([drift.to_json(), *(own[name] for name in _OF_SPEC), *nowcasts, *of_classes])


def basis_of(spec: MonitorSpec, drift: Drift) -> str:
    """Names the same without the limits: days of one basis can be judged anew by any."""
    return definition_of(spec, replace(drift, thresholds=None))


class Judge:
    """Compares days by their kept profiles; no table is read.

    Args:
        look: the evaluation.
        missing: features that are declared and that the table does not have.
    """

    def __init__(self, look: Look, missing: Collection[str]) -> None:
        self._look = look
        self._missing = missing
        self._zone = zone_of(look.spec.timezone)
        self._held: dict[str, tuple[DayProfile, str] | None] = {}
        self._registry = Registry(look.records.ledger)

    def affected(self, changed: Collection[Window], until: datetime) -> list[Window]:
        """The days whose profile has changed, and those up to `until` that are compared with one of them."""
        if not changed:
            return []
        labels = {window.label for window in changed}
        far = farthest(self._look.drift.matched)
        reach = until - min(changed).start if far is None else timedelta(days=far + 1)
        spans = merged((day.start, min(until, day.end + reach) - timedelta(microseconds=1)) for day in changed)
        days = {day: None for span in spans for day in windows_between("day", *span, self._zone)}
        return [day for day in days if day.label in labels or not labels.isdisjoint(self.compared(day).days)]

    def judged(self, day: Window) -> DriftRecord | None:
        """The day's verdict, put down; None if there is nothing new."""
        profiled = self._profile(day.label)
        if profiled is None:
            return None
        own, digest = profiled
        compared = self.compared(day)
        profiles = {label: known for label in compared.days if (known := self._profile(label)) is not None}
        marks: list[JSON] = [self._look.definition, digest, {label: mark for label, (_, mark) in profiles.items()}]
        marks += [compared.why, *sorted(self._missing)]
        reference = _merged({label: profile.profile for label, (profile, _) in profiles.items()})
        columns = self._columns(reference, own, compared)
        verdict, headline = concluded(columns)
        record = DriftRecord(
            monitor=self._look.spec.name,
            kind="day",
            label=day.label,
            start=day.start.astimezone(UTC),
            end=day.end.astimezone(UTC),
            verdict=verdict,
            headline=headline,
            columns=columns,
            reference=_described(list(profiles), reference),
            rows=own.profile.rows,
            settled=own.labels or not {"truth", "error"} & set(own.profile.columns),
            at=self._look.at,
            run=self._look.run,
            fingerprint=fingerprint(marks),
            own=digest,
            definition=self._look.definition,
            basis=basis_of(self._look.spec, self._look.drift),
        )
        return put(self._look, record)

    def failed(self, day: Window, error: Exception) -> DriftRecord | None:
        """A day that could not be compared, put down with the reason; None if that is known already."""
        return put(self._look, failed(self._look, day, error))

    def _columns(self, reference: Profile | None, own: DayProfile, compared: Compared) -> tuple[ColumnDrift, ...]:
        drift = self._look.drift
        before = reference or Profile(0, {})
        names = list(dict.fromkeys([*own.profile.columns, *before.columns]))
        wanted = [name for name in names if name not in self._missing]
        absent = [
            ColumnDrift(name, Verdict.NOT_COMPARABLE, "the table has no such column")
            for name in sorted(self._missing)
        ]
        if reference is None:
            why = compared.why or "there is no day yet to compare with"
            return (*(ColumnDrift(name, Verdict.INSUFFICIENT_DATA, why) for name in wanted), *absent)
        error = own.profile.columns.get("error")
        options = drift.options(wanted, numeric_error=error is not None and error.kind == "number")
        report = compare(before, own.profile, columns=wanted, **options)
        return (*(_waiting(column, own) for column in report.columns), *absent)

    def compared(self, day: Window) -> Compared:
        """The days that a day is compared with."""
        drift = self._look.drift
        profiled = self._profile(day.label) if farthest(drift.matched) is None else None
        return compared_with(
            drift.matched,
            day,
            self._zone,
            None if profiled is None else self._registered(profiled[0]),
            same_weekday=drift.same_weekday,
        )

    def _registered(self, day: DayProfile) -> datetime | None:
        if not day.model or day.version is None:
            return None
        try:
            created = self._registry.get(day.model, day.version).created
        except UnknownName:
            return None
        return datetime.fromtimestamp(created, UTC)

    def _profile(self, label: str) -> tuple[DayProfile, str] | None:
        if label not in self._held:
            # A backfill of years would hold them all; 400 are more than any reference needs at a time.
            if len(self._held) >= _MOST:
                self._held.clear()
            self._held[label] = self._look.records.profiled(label)
        return self._held[label]


def profiles_of(records: DriftRecords, spec: MonitorSpec, day: Window) -> tuple[Profile | None, Profile | None]:
    """A day's values, and those of the days that it is compared with, as they are kept; None where none are."""
    judge = Judge(Look(spec, Drift.read(spec.drift or {}), records, day.end, "", ""), ())
    own = records.profiled(day.label)
    days = judge.compared(day).days
    before = {label: known[0].profile for label in days if (known := records.profiled(label)) is not None}
    return None if own is None else own[0].profile, _merged(before)


def concluded(columns: Collection[ColumnDrift]) -> tuple[Verdict, str]:
    """The verdict on a day, and the sentence that goes with it."""
    drifted = sorted((c for c in columns if c.verdict == Verdict.DRIFT), key=lambda c: -c.size)
    judged = [c for c in columns if c.verdict in (Verdict.DRIFT, Verdict.NO_DRIFT)]
    if drifted:
        worst = drifted[0]
        return Verdict.DRIFT, f"{len(drifted)} of {len(judged)} columns; most {worst.column}: {worst.reason}"
    if judged:
        return Verdict.NO_DRIFT, f"none of {len(judged)} columns"
    first = next((c for c in columns if c.verdict == Verdict.INSUFFICIENT_DATA), next(iter(columns), None))
    if first is None:
        return Verdict.INSUFFICIENT_DATA, "there is nothing to compare"
    return first.verdict, f"{first.column}: {first.reason}"


def failed(look: Look, day: Window, error: Exception) -> DriftRecord:
    """The record of a day that could not be compared."""
    why = error.what if isinstance(error, TrikkError) else f"{type(error).__name__}: {error}"[:500]
    return DriftRecord(
        monitor=look.spec.name,
        kind="day",
        label=day.label,
        start=day.start.astimezone(UTC),
        end=day.end.astimezone(UTC),
        verdict=Verdict.NOT_COMPARABLE,
        headline=why,
        at=look.at,
        run=look.run,
        fingerprint=fingerprint(["failed", why]),
    )


def put(look: Look, record: DriftRecord) -> DriftRecord | None:
    """Put a record down with why it is another; None if the one that holds was made of the same."""
    before = look.records.window(record.kind, record.label)
    if before is not None and before.fingerprint == record.fingerprint:
        return None
    if before is not None:
        record = replace(record, why=_why(before, record))
    look.records.put(record, identity=f"{look.identity}/{record.fingerprint}")
    return record


def _why(before: DriftRecord, now: DriftRecord) -> str:
    """Why a day was compared anew."""
    if now.own != before.own:
        return "its values have changed"
    return "its reference has changed" if now.definition == before.definition else "the definition has changed"


def _waiting(column: ColumnDrift, own: DayProfile) -> ColumnDrift:
    if own.labels or column.column not in ("truth", "error"):
        return column
    return replace(column, verdict=Verdict.INSUFFICIENT_DATA, reason="labels have yet to come")


def _merged(parts: Mapping[str, Profile]) -> Profile | None:
    first, *rest = parts.values() or [None]
    return None if first is None else first.merge(*(one for one in rest if one is not None))


def _described(days: list[str], reference: Profile | None) -> dict[str, JSON] | None:
    if reference is None:
        return None
    return {"first": days[0], "last": days[-1], "days": len(days), "rows": reference.rows}
