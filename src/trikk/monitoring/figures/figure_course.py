"""How one figure of a monitor went over many windows: read without its slices, so that three years of hours are.

A record of a window has the figures of all its slices, most of which a line through thousands of windows does not
show. So of each record only what the line needs is made from its text.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from trikk.core.errors import JournalError
from trikk.core.record import Record
from trikk.core.values import JSON
from trikk.core.zones import zone_of
from trikk.monitoring.cases.windows import WindowKind, WindowState, window_at
from trikk.monitoring.figures.metric_names import renewed_figures
from trikk.monitoring.figures.records import Records
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.runs.journals.journal import load
from trikk.runs.journals.ledger import Ledger

SURE = 1.96  # standard errors to either side: 95 % of a normal distribution
_SHARES = ("accuracy", "coverage")
_LENGTHS = {
    WindowKind.HOUR: timedelta(hours=1),
    WindowKind.DAY: timedelta(days=1),
    WindowKind.WEEK: timedelta(days=7),
    WindowKind.MONTH: timedelta(days=31),
}
_Values = dict[str, float | None]


class CourseWindow(Record, frozen=True):
    """What one window comes to in a line.

    Attributes:
        label: what it is called.
        start: its first moment, seconds since 1970.
        end: the moment after its last.
        state: empty, pending, partial, final or overdue.
        at: as of when it was evaluated.
        predicted: cases with a prediction.
        observed: cases with a truth.
        labelled: cases with both.
        value: the figure; None where it has none (yet).
        interval: where the figure of all such cases lies with 95 %, if cases are independent; None if not known.
        baseline: the baseline's figure.
        own: the figure on the cases that have a baseline.
        estimated: the figure as it was to be expected before labels.
        restated: how often figures that were final have changed.
        why: why it was evaluated anew.
    """

    label: str
    start: float
    end: float
    state: str
    at: float
    predicted: int = 0
    observed: int = 0
    labelled: int = 0
    value: float | None = None
    interval: tuple[float, float] | None = None
    baseline: float | None = None
    own: float | None = None
    estimated: float | None = None
    restated: int = 0
    why: str = ""

    @property
    def coverage(self) -> float | None:
        """The share of predicted cases that have a truth; None if nothing was predicted."""
        return self.labelled / self.predicted if self.predicted else None

    def to_json(self) -> dict[str, JSON]:
        """As JSON, with the coverage."""
        return {**super().to_json(), "coverage": self.coverage}


class _Figures(msgspec.Struct, gc=False):
    slice: str = ""
    value: str = ""
    predicted: int = 0
    observed: int = 0
    labelled: int = 0
    metrics: _Values = {}
    baseline: _Values = {}
    own: _Values = {}
    estimated: _Values = {}


class _Window(msgspec.Struct, gc=False):
    label: str
    start: datetime
    end: datetime
    state: str
    at: float
    figures: list[msgspec.Raw]
    restated: int = 0
    why: str = ""


_WINDOW, _FIGURES = msgspec.json.Decoder(_Window), msgspec.json.Decoder(_Figures)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which figure: of all cases, or of a slice (column and value as text); as it was known then, or is now."""

    metric: str
    part: tuple[str, str] | None = None
    known_at: float | None = None


def span_of(ledger: Ledger, spec: MonitorSpec, kind: str, last: int) -> tuple[datetime, datetime] | None:
    """The time that the last so many windows of a kind take; None if none was evaluated."""
    until = Records(ledger, spec.name).cursor().until.get(kind)
    if until is None:
        return None
    end = datetime.fromisoformat(until)
    try:
        return end - last * _LENGTHS[WindowKind(kind)], end
    except OverflowError:
        return datetime.min.replace(tzinfo=end.tzinfo) + timedelta(days=2), end


def figure_course(
    ledger: Ledger, spec: MonitorSpec, kind: str, wanted: Wanted, since: datetime, until: datetime
) -> Sequence[CourseWindow]:
    """The windows of a kind that begin from `since` to before `until`, in the order of time.

    Raises:
        JournalError: if a record is damaged.
    """
    cursor = ledger.last(f"monitor/{spec.name}/cursor")
    seq = 0 if cursor is None else cursor.seq
    known: Any = ledger  # by which instance it is
    return _course(known, spec.name, spec.timezone, kind, wanted, since, until, seq)


# Kept, as whoever looks at years turns them about. Every evaluation that has found something moves the cursor.
@lru_cache(maxsize=4)
def _course(
    ledger: Ledger,
    monitor: str,
    timezone: str,
    kind: str,
    wanted: Wanted,
    since: datetime,
    until: datetime,
    seq: int,  # noqa: ARG001 - of the cursor, with which figures change
) -> Sequence[CourseWindow]:
    newest: dict[str, CourseWindow] = {}
    for _, _, text in _texts(ledger, monitor, timezone, kind, since, until):
        window = _decoded(text, monitor)
        if wanted.known_at is not None and window.at > wanted.known_at:
            continue
        if since <= window.start < until:
            newest[window.label] = _course_window(window, wanted)
    return tuple(sorted(newest.values(), key=lambda window: window.start))


def _decoded(text: str, monitor: str) -> _Window:
    try:
        return _WINDOW.decode(text)
    except msgspec.MsgspecError:
        pass
    try:  # not JSON as others read it: a figure that is not finite, which is none here
        return _WINDOW.decode(msgspec.json.encode(load(text)))
    except msgspec.MsgspecError as error:
        raise JournalError(f"a window of monitor {monitor} is damaged: {error}") from error


def _texts(
    ledger: Ledger, monitor: str, timezone: str, kind: str, since: datetime, until: datetime
) -> Iterator[tuple[str, int, str]]:
    """The records of windows; those of hours a month at a time, since years of them fill a memory."""
    zone = zone_of(timezone)
    prefix = f"monitor/{monitor}/window/{kind}/"
    first = date.fromisoformat(window_at(WindowKind.DAY, since, zone).label)
    first -= timedelta(days=min(7, (first - date.min).days)) if kind == WindowKind.WEEK else timedelta(0)
    last = until.astimezone(zone).date()
    step = timedelta(days=31 if kind == WindowKind.HOUR else 36_500)
    while first <= last:
        # A label begins with its date, and what comes after it in a text is greater than the date alone.
        begin = f"{first:%Y-%m}" if kind == WindowKind.MONTH else first.isoformat()
        first = min(first, date.max - step) + step
        yield from ledger.texts(prefix, begin, first.isoformat() if first <= last else "")


def _course_window(window: _Window, wanted: Wanted) -> CourseWindow:
    figures = _figures(window, wanted.part)
    metrics = renewed_figures(figures.metrics)
    metric = wanted.metric
    return CourseWindow(
        label=window.label,
        start=window.start.timestamp(),
        end=window.end.timestamp(),
        state=window.state,
        at=window.at,
        predicted=figures.predicted,
        observed=figures.observed,
        labelled=figures.labelled,
        value=metrics.get(metric),
        interval=interval_of(metric, metrics, figures.labelled),
        baseline=renewed_figures(figures.baseline).get(metric),
        own=renewed_figures(figures.own).get(metric),
        estimated=figures.estimated.get(metric),
        restated=window.restated,
        why=window.why,
    )


def _figures(window: _Window, part: tuple[str, str] | None) -> _Figures:
    """The figures of all cases, which come first, or of a slice."""
    if part is None:
        return _FIGURES.decode(window.figures[0]) if window.figures else _Figures()
    decoded = map(_FIGURES.decode, window.figures)
    return next((one for one in decoded if (one.slice, one.value) == part), _Figures())


def interval_of(metric: str, metrics: Mapping[str, float | None], cases: int) -> tuple[float, float] | None:
    """Where a figure lies with 95 %, as far as the figures beside it tell, if cases are independent of each other.

    Of a mean of errors the mean of squares tells how they are spread; of a share its size does (E. B. Wilson, J.
    Am. Stat. Assoc. 22 (1927) 209-212). None of others.
    """
    value, root = metrics.get(metric), metrics.get("rmse")
    if value is None or cases < 2:
        return None
    if metric in _SHARES and 0 <= value <= 1:
        spread = SURE**2 / cases
        middle = (value + spread / 2) / (1 + spread)
        half = SURE * math.sqrt(value * (1 - value) / cases + spread / (4 * cases)) / (1 + spread)
        return middle - half, middle + half
    if metric not in ("mae", "bias") or root is None:
        return None
    half = SURE * math.sqrt(max(0.0, root**2 - value**2) / (cases - 1))
    return value - half, value + half


def open_states(windows: Sequence[CourseWindow]) -> list[CourseWindow]:
    """Those whose figures are not the last word: labels have yet to come, or did not come."""
    return [one for one in windows if one.state not in (WindowState.FINAL, WindowState.EMPTY)]


def as_rows(windows: Sequence[CourseWindow]) -> tuple[tuple[str, ...], list[list[Any]]]:
    """Columns and rows for a table of all of them."""
    columns = ("window", "state", "predicted", "labelled", "value", "baseline", "estimated", "restated", "why")
    rows = [
        [w.label, w.state, w.predicted, w.labelled, w.value, w.baseline, w.estimated, w.restated, w.why]
        for w in windows
    ]
    return columns, rows
