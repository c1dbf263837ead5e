"""The newest times in a table, kept in the ledger, so that a look reads only what was appended since.

`silence/TABLE/RULE` has what is known as of some version of the table. It is written at most once an hour, since
it names every device; a look in between reads again what came after it. A table that was rewritten is scanned, but
not further back than a device is known for.

A row that is dated more than `TOLERANCE` ahead says that its device lives, not when: it counts as of the look that
reads it, and as of its own time when that has come.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from msgspec import field
from msgspec.structs import replace

from trikk.core.errors import Conflict, TableError, UsageError
from trikk.core.record import Record

if TYPE_CHECKING:
    import polars as pl

    from trikk.execution.project import Project
    from trikk.runs.journals.ledger import Entry

TOLERANCE = 3600.0
MOST = 5000
"""How many values of a slice a rule may have to do with."""

SEEN = "silence.seen"
_EVERY = 3600.0  # an entry names every device: one for each look would be 40 MB a day for 5,000
_FARTHEST = 100  # versions that are read one by one; a table that is further ahead is scanned
_BACK = 30 * 86400.0


@dataclass(frozen=True, slots=True)
class Rows:
    """What some rows say: the newest time of each value, and the values of which rows are dated ahead."""

    times: dict[str, int]
    ahead: list[str]


@dataclass(frozen=True, slots=True)
class Source:
    """Where times are read from."""

    rule: str  # the name of the rule that asks
    table: str
    time: str  # its column with the rows' times
    slice: str  # the column of which each value has a time of its own; "" for none
    known_for: float  # seconds after which a value that is not seen any more is forgotten


class Known(Record, frozen=True):
    """What is known of a table's rows."""

    first: float  # when the rule was looked at for the first time, seconds since 1970, as are the other times
    version: int | None = None  # the table's version up to which its rows were read; None if there is no table
    # the newest time of each value of the slice, in whole seconds; of "" for a rule without a slice
    times: dict[str, int] = field(default_factory=dict)
    until: float = 0.0  # rows that are dated later were not believed
    ahead: bool = False  # whether there are such rows


def newer(times: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    """The newest time of each value of either; nothing that was seen is taken back."""
    return {**times, **{value: max(at, times.get(value, at)) for value, at in more.items()}}


def known_by(project: Project, source: Source, now: float) -> Known:
    """What is known of a table by now; written down if it is time.

    Raises:
        UsageError: if the table does not have the columns, or the slice has too many values.
    """
    subject = f"silence/{source.table}/{source.rule}"
    basis: dict[str, Any] = {"time": source.time, "slice": source.slice}
    last = project.journal.last(subject)
    entry = None if last is None or last.body["of"] != basis else last
    before = Known(now) if entry is None else Known.read(entry.body)
    known, scanned = _read(project, source, before, now)
    kept = known.times
    if source.slice:
        kept = {value: at for value, at in known.times.items() if now - at <= 2 * source.known_for}
        if len(kept) > MOST:
            raise UsageError(
                f"column {source.slice} of table {source.table} has more than {MOST:,} values",
                next="slice by something coarser, or leave slice out",
            )
    if entry is None or _is_due(entry, before, known, now, scanned=scanned):
        body = {**replace(known, times=kept).to_json(), "of": basis, "scanned": scanned}
        with contextlib.suppress(Conflict):  # another look has written the same
            project.journal.add(subject, SEEN, body, at=now, after=last.seq if last else 0)
    return known


def _is_due(entry: Entry, before: Known, known: Known, now: float, *, scanned: bool) -> bool:
    """Whether what came since the last entry is worth another one. Pure.

    The first of several scans is, so that one write over a table is not scanned again and again; a table that is
    merged into all the time is scanned at each look anyway.
    """
    if known.version == before.version:
        return False
    if known.version is None or before.version is None or abs(now - entry.at) >= _EVERY:
        return True
    return not entry.body["scanned"] if scanned else known.version - before.version > _FARTHEST // 2


def _read(project: Project, source: Source, before: Known, now: float) -> tuple[Known, bool]:
    """What is known when everything up to the newest version is read, and whether it took a scan."""
    tables = project.tables
    version = tables.version(source.table)
    limit = now + TOLERANCE
    if version is None:
        return replace(before, version=None), False
    times, ahead = dict(before.times), before.ahead
    more: Any = None
    if before.version is not None and 0 <= version - before.version <= _FARTHEST:
        more = tables.appended(source.table, before.version, version) if version > before.version else _NOTHING
    if more is None:
        rows = _scanned(tables.scan(source.table, version), source, now)
        times = newer(times, rows.times)
        alive = {value: int(now) for value in rows.ahead if value not in times}
        return Known(before.first, version, {**times, **alive}, limit, bool(rows.ahead)), True
    if before.ahead and limit != before.until:
        due = tables.scan(source.table, version)
        # rows that were not believed then, and whose time may have come
        rows = newest(due.filter(_from(due, source, before.until)), source, limit)
        times, ahead = newer(times, rows.times), bool(rows.ahead)
    if more is not _NOTHING:
        rows = newest(more, source, limit)
        alive = dict.fromkeys(rows.ahead, int(now))
        times, ahead = newer(newer(times, rows.times), alive), ahead or bool(rows.ahead)
    return Known(before.first, version, times, limit, ahead), False


_NOTHING = object()


def _scanned(frame: pl.LazyFrame, source: Source, now: float) -> Rows:
    """What the rows say of the time for which a device is known; of a whole table, if these say nothing, all."""
    limit = now + TOLERANCE
    back = max(source.known_for, _BACK if not source.slice else 0.0)
    recent = newest(frame.filter(_from(frame, source, now - back)), source, limit)
    return newest(frame, source, limit) if not (source.slice or recent.times) else recent


def newest(frame: pl.LazyFrame, source: Source, limit: float) -> Rows:
    """The newest time of each value among rows that are dated up to a limit, and the values of those beyond.

    Rows without a time or a value say nothing; a time before 1970 counts as 1970.

    Raises:
        UsageError: if a column is missing or of a type that can't be used.
        TableError: if the rows can't be read.
    """
    import polars as pl

    _check(frame.collect_schema(), source)
    value = pl.col(source.slice).cast(pl.String) if source.slice else pl.lit("")
    at = pl.col("at")
    seconds = pl.col(source.time).dt.epoch("s").clip(lower_bound=0)
    rows = frame.select(seconds.alias("at"), value.alias("value")).drop_nulls()
    believed = at <= limit
    by_value = rows.group_by("value").agg(at.filter(believed).max().alias("at"), (~believed).any().alias("ahead"))
    try:
        collected = by_value.collect()
    except Exception as error:  # polars and deltalake have no common base
        problem = f"table {source.table} can't be read: {str(error).partition(chr(10))[0]}"
        raise TableError(problem, next="trikk doctor looks at all its files") from error
    times = collected.drop_nulls("at")
    return Rows(
        dict(zip(times["value"].to_list(), times["at"].to_list(), strict=True)),
        collected.filter("ahead")["value"].to_list(),
    )


def _from(frame: pl.LazyFrame, source: Source, moment: float) -> pl.Expr:
    """The rows from a moment on, in the column's own type, so that whole files are left out by their ranges."""
    import polars as pl

    schema = frame.collect_schema()
    _check(schema, source)
    zone = schema[source.time].time_zone  # type: ignore[attr-defined]
    bound = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=max(0.0, moment))
    return pl.col(source.time) >= (bound.astimezone(UTC) if zone else bound.replace(tzinfo=None))


def _check(schema: pl.Schema, source: Source) -> None:
    import polars as pl

    for column in (source.time, source.slice):
        if column and column not in schema:
            listed = ", ".join(list(schema)[:12])
            raise UsageError(f"table {source.table} has no column {column!r}", next=f"it has: {listed}")
    if not isinstance(schema[source.time], pl.Datetime):
        raise UsageError(
            f"column {source.time} of table {source.table} is {schema[source.time]}, and no time",
            next="name a column of type Datetime: time = ...",
        )
    if source.slice and (schema[source.slice].is_nested() or schema[source.slice] == pl.Binary):
        raise UsageError(
            f"column {source.slice} of table {source.table} is {schema[source.slice]}, which names no device",
            next="slice by a column of texts or numbers",
        )
