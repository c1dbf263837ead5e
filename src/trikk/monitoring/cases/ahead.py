"""Rows with a wrong clock: those dated in the future are counted, and none makes windows up to where it lies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from trikk.core.values import JSON
from trikk.core.zones import zone_of
from trikk.monitoring.cases.case_join import within
from trikk.monitoring.cases.changes import Changes, Source
from trikk.monitoring.cases.due_windows import RowDay
from trikk.monitoring.cases.windows import window_named
from trikk.monitoring.monitor_definition import Made, MonitorSpec

if TYPE_CHECKING:
    import polars as pl

_SHOWN = 5
_INSTANT = timedelta(microseconds=1)
_NEVER = datetime(9000, 1, 1, tzinfo=UTC)


def dated_ahead(spec: MonitorSpec, source: Source, new: Changes, now: datetime) -> dict[str, JSON]:
    """How many rows are dated after a time, and of which entities most are: truths, and predictions about now.

    A forecast is about the future and says nothing of anybody's clock.

    Args:
        spec: the monitor.
        source: its tables.
        new: how far they reach; if not beyond the time, no row is read.
        now: the time.

    Returns:
        `rows`, and `most`, the counts of the five entities with most of them by name; empty if there are none.
        The same of predictions as `predictions`.
    """
    counts = _ahead(spec, spec.truth, source.truth, new, now)
    if spec.made is Made.AFTER and (more := _ahead(spec, spec.predictions, source.predictions, new, now)):
        counts["predictions"] = more
    return counts


def _ahead(spec: MonitorSpec, table: str, scanned: pl.LazyFrame, new: Changes, now: datetime) -> dict[str, JSON]:

    reach = new.reach.get(f"{table}.{spec.slot} {spec.timezone}")
    if not reach or datetime.fromisoformat(reach[1]) <= now:
        return {}
    rows = within(spec, scanned, scanned.collect_schema(), now + _INSTANT, _NEVER)
    counts: pl.DataFrame = rows.group_by(*spec.key).len("rows").collect()
    total = int(counts["rows"].sum())
    most = counts.sort("rows", *spec.key, descending=[True, *[False] * len(spec.key)]).head(_SHOWN)
    named: dict[str, JSON] = {
        ", ".join(f"{name} {row[name]}" for name in spec.key): row["rows"] for row in most.iter_rows(named=True)
    }
    return {"rows": total, "most": named} if total else {}


def ahead_in_words(ahead: dict[str, Any]) -> str:
    """The same in words: "dated in the future: 30, device b"; "" if there are none."""
    if "predictions" in ahead:
        predictions = f"predictions {ahead_in_words(ahead['predictions'])}"
        truths = {name: value for name, value in ahead.items() if name != "predictions"}
        return f"truths {ahead_in_words(truths)}; {predictions}" if truths else predictions
    if not ahead:
        return ""
    most, total = ahead["most"], ahead["rows"]
    only = len(most) == 1 and total in most.values()
    named = [name if only else f"{name} ({count:,})" for name, count in most.items()]
    named += [] if sum(most.values()) == total else [f"others ({total - sum(most.values()):,})"]
    return f"dated in the future: {total:,}, {', '.join(named)}"


def row_days(
    spec: MonitorSpec,
    frames: Sequence[Any],
    labels: Callable[[str], Iterable[str]],
    kind: str,
    start: datetime,
    end: datetime,
) -> list[RowDay]:
    """The days of UTC that have rows or had some, in order.

    Args:
        spec: the monitor.
        frames: lazy frames with its slot: of the predictions, and of other tables.
        labels: those of the windows of a kind that are kept already: their rows may be gone.
        kind: hour, day or week.
        start: with its zone.
        end: with its zone.
    """
    import polars as pl

    slot, zone = pl.col(spec.slot), zone_of(spec.timezone)
    kept = [window_named(kind, label, zone).start for label in labels(kind)]
    schema = {spec.slot: pl.Datetime("us", "UTC")}
    times = pl.DataFrame({spec.slot: [one for one in kept if start <= one <= end]}, schema=schema).lazy()
    near = [within(spec, rows, rows.collect_schema(), start, end + _INSTANT) for rows in frames]
    alike = [rows.select(slot.dt.cast_time_unit("us"), of=pl.lit(n)) for n, rows in enumerate([times, *near])]
    is_own = pl.col("of") < 2  # a window that is kept counts as predicted
    days = pl.concat(alike).group_by(day=slot.dt.truncate("1d"))
    of_days = days.agg(slot.min().alias("first"), slot.max().alias("last"), slot.filter(is_own).min().alias("own"))
    rows: list[RowDay] = of_days.sort("day").select("first", "last", "own").collect().rows()
    return rows
