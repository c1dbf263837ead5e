"""Which windows have to be looked at: open ones, new ones, and those that a change of the tables has touched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from trikk.monitoring.cases.windows import Window, moments, window_named, windows_between
from trikk.monitoring.figures.records import Cursor
from trikk.storage.tables.ranges import FileRange

Span = tuple[datetime, datetime]
RowDay = tuple[datetime, datetime, datetime | None]
"""The first and the last slot of a day with rows, and the first one that was predicted."""

FAR = 400
"""So many windows without a row between two that have some are not made, but left out."""
_LENGTH = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
    "month": timedelta(days=30),
}
_FINEST = timedelta(milliseconds=1)  # to which a table's log rounds times


def spans_of(files: Iterable[FileRange], zone: ZoneInfo) -> list[Span]:
    """The spans of time that files, or parts of them, hold.

    Args:
        files: those with a time; others hold no row of any window.
        zone: of times that have none.
    """
    return merged(_span(f, zone) for f in files if isinstance(f.least, datetime))


def span_of(files: Sequence[FileRange], zone: ZoneInfo) -> Span | None:
    """The span of all files; None if they hold nothing."""
    spans = [_span(f, zone) for f in files if isinstance(f.least, datetime)]
    return (min(s[0] for s in spans), max(s[1] for s in spans)) if spans else None


def merged(spans: Iterable[Span]) -> list[Span]:
    """Spans in order, those that overlap or touch made one."""
    apart: list[Span] = []
    for first, last in sorted(spans):
        if apart and first <= apart[-1][1]:
            apart[-1] = (apart[-1][0], max(apart[-1][1], last))
        else:
            apart.append((first, last))
    return apart


def _span(file: FileRange, zone: ZoneInfo) -> Span:
    first, last = moments(file.least, file.greatest or file.least, zone)
    return first, last + _FINEST


@dataclass(frozen=True, slots=True)
class Due:
    """The windows of one kind to look at, in the order of time."""

    kind: str
    windows: tuple[Window, ...]


def due(
    kind: str,
    cursor: Cursor,
    touched: Sequence[Span],
    whole: Span | None,
    ahead: datetime,
    zone: ZoneInfo,
    row_days: Callable[[datetime, datetime], Sequence[RowDay]] | None = None,
    before: Callable[[datetime], datetime] = lambda first: first,
) -> Due:
    """Choose windows; a decision that costs as much as there are windows to look at.

    Args:
        kind: hour, day, week or month.
        cursor: how far evaluation has come.
        touched: spans in which the tables have changed since.
        whole: the span of the predictions and truths; None if there are none.
        ahead: windows that begin later are left for another time.
        zone: whose days.
        row_days: tells the days with rows in a time; asked where that is longer than `FAR` windows.
        before: the moment from which windows are due, given the first prediction.
    """
    if whole is None:
        return Due(kind, ())
    first, last = whole[0], min(whole[1], ahead)
    by_label = {w.label: w for label in cursor.open.get(kind, ()) for w in (window_named(kind, label, zone),)}
    new = datetime.fromisoformat(cursor.until[kind]) if kind in cursor.until else first
    # Beside what has changed, whatever time has reached since the last window that was looked at.
    spans = [*touched, (new, last)]
    for begin, end in merged((max(a, first), min(b, last)) for a, b in spans if a <= last and b >= first):
        parts: Sequence[Span] = [(begin, end)]
        # One row of the year 2087 must not make 60 years of empty windows: then rows are asked on which
        # days they lie.
        if row_days is not None and end - begin > FAR * _LENGTH[kind]:
            parts = [(max(begin, before(a)), b) for a, b in near(kind, row_days(begin, end))]
        for part in parts:
            for window in windows_between(kind, *part, zone):
                by_label.setdefault(window.label, window)
    return Due(kind, tuple(sorted(w for w in by_label.values() if w.start <= ahead)))


def near(kind: str, days: Sequence[RowDay]) -> list[Span]:
    """The parts of time in which rows lie near each other, each from its first prediction on; none without one.

    A row that is years away from all others, by a wrong clock, is a part of its own.

    Args:
        kind: hour, day, week or month; parts are `FAR` windows of it apart.
        days: the days with rows, in order.
    """
    parts: list[list[RowDay]] = []
    for day in days:
        if parts and day[0] - parts[-1][-1][1] <= FAR * _LENGTH[kind]:
            parts[-1].append(day)
        else:
            parts.append([day])
    firsts = [next((predicted for _, _, predicted in part if predicted), None) for part in parts]
    return [(first, part[-1][1]) for first, part in zip(firsts, parts, strict=True) if first]


def batches(windows: Sequence[Window], most: int) -> list[list[Window]]:
    """Windows in batches of neighbours, so that a batch is read from the tables at once."""
    neighbours: list[list[Window]] = []
    for window in windows:
        if neighbours and neighbours[-1][-1].end == window.start and len(neighbours[-1]) < most:
            neighbours[-1].append(window)
        else:
            neighbours.append([window])
    return neighbours
