"""Where a monitor's tables have changed since the last look: work that grows with the change, not with a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from trikk.core.errors import TableError
from trikk.core.zones import zone_of
from trikk.monitoring.cases.due_windows import Span, merged, span_of, spans_of
from trikk.monitoring.figures.records import Cursor, reach_of
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.storage.tables.ranges import FileRange

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Source:
    """The rows of a monitor's tables at the versions that are read, and what their logs say of them.

    `aside` has those that could not be predicted; None if the monitor does not ask. `files` keeps the files of a
    table's version and `altered` what two versions differ in, since figures and drift ask for the same; `joined`
    the cases of the last days that figures were made of, by the time that they are of, so that drift need not read
    and join them again.
    """

    predictions: pl.LazyFrame
    truth: pl.LazyFrame
    tables: Any
    versions: Mapping[str, int | None]
    aside: pl.LazyFrame | None = None
    files: dict[tuple[str, int], list[FileRange]] = field(default_factory=dict, compare=False)
    altered: dict[tuple[str, int | None, int], list[FileRange]] = field(default_factory=dict, compare=False)
    joined: dict[Span, pl.DataFrame] = field(default_factory=dict, compare=False)


@dataclass(slots=True)
class Changes:
    """What is new in tables.

    Attributes:
        spans: of time in which rows came, went or were changed.
        whole: from the first prediction to the last row of any table; None if there are no rows.
        reach: for the next cursor.
    """

    spans: list[Span] = field(default_factory=list)
    whole: Span | None = None
    reach: dict[str, list[str]] = field(default_factory=dict)


def changes(spec: MonitorSpec, source: Source, cursor: Cursor, also: Sequence[str] = ()) -> Changes:
    """What has changed in the monitor's tables, and in others, since the cursor.

    Where rows were only added, their commits alone are read; else the files of both versions are compared, and of
    files that went and came the rows.
    """
    zone = zone_of(spec.timezone)
    news = Changes()
    wholes: list[Span] = []
    for table in dict.fromkeys((spec.predictions, spec.truth, *also)):
        version = source.versions.get(table)
        if version is None:
            continue
        name = reach_of(spec, table)
        spans, whole = _of_table(spec, source, table, version, cursor, cursor.reach.get(name), zone)
        news.spans += spans
        news.reach[name] = [] if whole is None else [moment.isoformat() for moment in whole]
        wholes += [] if whole is None else [whole]
    news.spans = merged(news.spans)
    news.whole = (wholes[0][0], max(whole[1] for whole in wholes)) if wholes else None
    return news


def _of_table(
    spec: MonitorSpec,
    source: Source,
    table: str,
    version: int,
    cursor: Cursor,
    reach: Sequence[str] | None,
    zone: ZoneInfo,
) -> tuple[list[Span], Span | None]:
    """The spans that have changed in one table, and the span of all its rows."""
    before = cursor.versions.get(table)
    if before is not None and reach is not None:
        # None where rows were changed or removed, too: which they were, only the files of both versions say.
        added = source.tables.added_ranges(table, spec.slot, before, version)
        if added is not None:
            spans = spans_of(added, zone)
            known = [(datetime.fromisoformat(reach[0]), datetime.fromisoformat(reach[1]))] if reach else []
            every = [*known, *spans]
            return spans, (min(s[0] for s in every), max(s[1] for s in every)) if every else None
    if (table, version) not in source.files:
        source.files[table, version] = source.tables.ranges(table, spec.slot, version)
    files = source.files[table, version]
    if before == version:
        return [], span_of(files, zone)
    if (table, before, version) not in source.altered:
        try:
            earlier = [] if before is None else source.tables.ranges(table, spec.slot, before)
        except TableError:  # made anew since, or its log was cleared: all of it is new
            earlier = []
        source.altered[table, before, version] = _altered(source, table, spec.slot, earlier, files)
    return spans_of(source.altered[table, before, version], zone), span_of(files, zone)


def _altered(
    source: Source, table: str, slot: str, before: Sequence[FileRange], now: Sequence[FileRange]
) -> list[FileRange]:
    """What differs between two versions: files that went or came, or the hours in which their rows are others.

    A merge of a day into a file that holds a year writes the year anew. To read both files costs what that write
    has cost; to look at the windows of a year again would cost many times as much.
    """
    import polars as pl

    earlier, later = {f.path for f in before}, {f.path for f in now}
    gone, came = [f for f in before if f.path not in later], [f for f in now if f.path not in earlier]
    if not (gone and came):
        return [*gone, *came]
    try:
        sides = [_hours(source.tables.rows_in(table, [f.path for f in files]), slot) for files in (gone, came)]
        # What both sides have alike is there twice, and left out.
        hours = pl.concat(sides, how="vertical_relaxed").unique(keep="none").collect(engine="streaming")
    except Exception:  # noqa: BLE001 - a file of an older version may be cleared away: then all of them count
        return [*gone, *came]
    return [FileRange("", *ends) for ends in hours.select("first", "last").iter_rows()]


def _hours(rows: pl.LazyFrame, slot: str) -> pl.LazyFrame:
    """By hour, the first and the last slot in it, how many rows there are, and the sum of their hashes."""
    import polars as pl

    if any(dtype.is_nested() for dtype in rows.collect_schema().values()):
        raise TypeError("nested values have no hash")
    times, hashes = pl.col(slot), pl.struct(pl.all()).hash()
    hourly = rows.select(time=times, hour=times.dt.truncate("1h"), hash=hashes).group_by("hour")
    return hourly.agg(
        first=pl.col("time").min(), last=pl.col("time").max(), rows=pl.len(), hash=pl.col("hash").sum()
    )
