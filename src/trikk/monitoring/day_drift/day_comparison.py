"""Compare a monitor's days with earlier ones, beside its figures: a new day costs a day's work.

Each day's values are summed up once and kept; a reference is a merge of kept profiles, so that no table is read
for it. A day whose rows change is summed up again; it, and the days that were compared with it, are compared anew.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from trikk.core.errors import JournalError
from trikk.core.zones import zone_of
from trikk.models.registry import Registry
from trikk.monitoring.cases.ahead import row_days
from trikk.monitoring.cases.changes import Source, changes
from trikk.monitoring.cases.due_windows import batches, due
from trikk.monitoring.cases.windows import Window, window_at
from trikk.monitoring.day_drift.day_rows import absent, case_rows, day_profile, features_of, within
from trikk.monitoring.day_drift.drift_definition import Drift
from trikk.monitoring.day_drift.drift_records import DriftRecord, DriftRecords
from trikk.monitoring.day_drift.judgement import Judge, Look, failed, put
from trikk.monitoring.day_drift.reference_days import first_needed
from trikk.monitoring.figures.records import Cursor
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.monitoring.window_evaluation import AHEAD, BATCH

if TYPE_CHECKING:
    import polars as pl


def drifting(
    spec: MonitorSpec,
    source: Source,
    features: pl.LazyFrame | None,
    records: DriftRecords,
    *,
    now: datetime,
    run: str,
    identity: str,
) -> list[DriftRecord]:
    """Compare the days that are due and write down what is new.

    What can't be compared, for whatever reason, is written down as not comparable and tried again the next time.

    Args:
        spec: the monitor; its drift is declared.
        source: its tables.
        features: the table of features, if one is declared.
        records: its part of the ledger.
        now: the time, with its zone.
        run: the run that does this.
        identity: makes each entry once, however often this is tried.

    Returns:
        The days with something new, in order.

    Raises:
        JournalError: if the ledger can't be read or written. Nothing else.
    """
    look = Look(spec, Drift.read(spec.drift or {}), records, now, run, identity)
    days: list[Window] = []
    try:
        return _due_days(look, source, features, days)
    except JournalError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the figures must not fail for it
        days = days or [window_at("day", now, zone_of(spec.timezone))]
        return [r for day in days if (r := put(look, failed(look, day, error))) is not None]


def _due_days(look: Look, source: Source, features: pl.LazyFrame | None, days: list[Window]) -> list[DriftRecord]:
    """Sum up and compare what is due; `days` is filled with it first, for the case that something fails."""
    spec = look.spec
    cursor = look.records.cursor(look.definition)
    also = [look.drift.table.table_name] if look.drift.table else []
    new = changes(spec, source, cursor, also)
    whole = new.whole
    zone = zone_of(spec.timezone)
    since = whole[0] if whole else look.now
    needed = functools.partial(first_needed, look.drift.matched, zone=zone)
    if whole:
        # From before the first prediction: its first day is compared with truths that are older than it.
        whole = (needed(since), whole[1])
    tables = [source.predictions, source.truth, *([] if features is None else [features])]
    row_days_of = functools.partial(row_days, spec, tables, lambda _: (), "day")
    days += due("day", cursor, new.spans, whole, look.now + AHEAD, zone, row_days_of, needed).windows
    until = dict(cursor.until)
    records: list[DriftRecord | None] = []
    opened: set[str] = set()
    if days:
        until["day"] = max(days[-1].end.isoformat(), until.get("day", ""))
        summed = _summed(look, source, features, days)
        opened = summed.opened
        schema = (features if features is not None else source.predictions).collect_schema()
        judge = Judge(look, absent(look.drift, schema))
        records = [judge.failed(day, error) for day, error in summed.failed]
        for day in judge.affected(summed.changed, datetime.fromisoformat(until["day"])):
            # Days that are summed up for others to be compared with; nothing was predicted in them.
            if day.end <= since:
                continue
            try:
                records.append(judge.judged(day))
            except JournalError:
                raise
            except Exception as error:  # noqa: BLE001 - one day must not stop the others
                records.append(judge.failed(day, error))
                opened.add(day.label)
    after = Cursor(look.at, dict(source.versions), {"day": sorted(opened)}, until, new.reach)
    look.records.advance(after, look.definition, at=look.at, identity=look.identity)
    return sorted((record for record in records if record is not None), key=lambda record: record.start)


@dataclass(slots=True)
class _Summed:
    """Days that were summed up: those with another profile than before, open ones, and those that failed."""

    changed: list[Window] = field(default_factory=list)
    opened: set[str] = field(default_factory=set)
    failed: list[tuple[Window, Exception]] = field(default_factory=list)


def _summed(look: Look, source: Source, features: pl.LazyFrame | None, days: Sequence[Window]) -> _Summed:
    """Sum up days and keep their profiles."""
    summed = _Summed()
    schema = (features if features is not None else source.predictions).collect_schema()
    names = features_of(look.spec, look.drift, schema)
    own = names if features is None else []
    registry = Registry(look.records.ledger)
    for batch in batches(days, BATCH["day"]):
        rows = case_rows(look.spec, own, source, batch, registry)
        for day in batch:
            try:
                new = _day(look, day, rows, features, names, summed)
            except JournalError:
                raise
            except Exception as error:  # noqa: BLE001 - one day must not stop the others
                summed.failed.append((day, error))
                summed.opened.add(day.label)
            else:
                summed.changed += [day] if new else []
    return summed


def _day(
    look: Look, day: Window, rows: pl.DataFrame, features: pl.LazyFrame | None, names: list[str], summed: _Summed
) -> bool:
    """Sum up a day and keep it; whether it has changed, or has yet to be compared."""
    theirs = None
    if features is not None:
        theirs = within(look.spec, features, day).select(names).collect()
    profile = day_profile(look.spec, look.drift, day, within(look.spec, rows, day), theirs, names, look.now)
    if not profile.labels and look.now < day.end + look.spec.label_delay:
        summed.opened.add(day.label)
    record = look.records.window("day", day.label)
    if profile.is_empty and record is None and look.records.profiled(day.label) is None:
        return False
    kept = look.records.keep(profile, at=look.at, identity=f"{look.identity}/{profile.digest}")
    return kept or record is None or record.own != profile.digest or record.definition != look.definition
