"""What of a monitor is shown: which windows, which figure, of which slice, and as of when it was known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode

from msgspec import Meta

from trikk.console.page_view import Sheet
from trikk.core.errors import UnknownName
from trikk.core.zones import day_start, moment_named, zone_of
from trikk.monitoring.drilldown.drill import slice_named
from trikk.monitoring.drilldown.recent_windows import check_kind
from trikk.monitoring.figures.figure_course import CourseWindow, Wanted, figure_course, span_of
from trikk.monitoring.figures.records import Records
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.server.http.doors import Doors
from trikk.server.http.routes import Call, Given
from trikk.web.refused import Refused

Tab = Literal["course", "slices", "drift", "classes", "alarms"]
_FIRST, _LAST = 1900, 2200  # years
MOST = 30_000  # windows: three years of hours
_Slice = Annotated[str, Meta(pattern="^[^=]+=", max_length=500)]
_Text = Annotated[str, Meta(max_length=300)]


class MonitorPageQuery(Given, frozen=True):
    """What of a monitor is shown."""

    tab: Tab = "course"
    kind: str | None = None  # hour, day, week or month; the monitor's first if not given
    metric: _Text | None = None  # the monitor's first if not given
    slice: _Slice | None = None  # column=value
    last: Annotated[int, Meta(ge=1, le=MOST)] = 60  # windows, unless days are given
    since: date | None = None  # the first day
    until: date | None = None  # the last day
    known_at: _Text | None = None  # figures as they were known then; a time in the monitor's zone, or a day's end
    before: _Text | None = None  # of the table, windows before this one
    by: _Text | None = None  # of slices, the column
    skip: Annotated[int, Meta(ge=0, le=100_000)] = 0  # of slices, how many are above the first that is shown
    day: _Text | None = None  # of drift, the day
    column: _Text | None = None  # of drift, the column


@dataclass(frozen=True, slots=True)
class Choice:
    """A monitor and what of it is shown."""

    doors: Doors
    call: Call
    spec: MonitorSpec
    records: Records
    kind: str
    metric: str
    part: tuple[str, str] | None

    @property
    def query(self) -> MonitorPageQuery:
        """The query."""
        query: MonitorPageQuery = self.call.query
        return query

    @property
    def address(self) -> str:
        """The monitor's page."""
        return f"/monitors/{quote(self.spec.name, safe='')}"

    def cases_address(self, label: str, part: tuple[str, str] | None = None, **more: str) -> str:
        """The page of the cases behind a window's figures."""
        part = part or self.part
        wanted = {"window": label} | ({"kind": self.kind} if self.kind != self.spec.windows[0] else {})
        wanted |= ({"slice": "=".join(part)} if part else {}) | more
        return f"{self.address}/cases?{urlencode(wanted)}"

    @property
    def known_at(self) -> float | None:
        """As of when figures are shown, seconds since 1970; None for now."""
        text = self.query.known_at
        zone = zone_of(self.spec.timezone)
        return None if text is None else moment_named(text, zone, day_ends=True).timestamp()

    @property
    def span(self) -> tuple[datetime, datetime] | None:
        """The time that is shown; None if there is nothing to show."""
        span = span_of(self.records.ledger, self.spec, self.kind, self.query.last)
        if span is None or (self.query.since is None and self.query.until is None):
            return span
        zone = zone_of(self.spec.timezone)
        first, after = self.query.since, self.query.until and self.query.until + timedelta(days=1)
        end = day_start(after, zone) if after else span[1]
        return day_start(first, zone) if first else end - (span[1] - span[0]), end

    def course(self) -> Sequence[CourseWindow]:
        """The windows that are shown, with the figure that is."""
        span = self.span
        wanted = Wanted(self.metric, self.part, self.known_at)
        return figure_course(self.records.ledger, self.spec, self.kind, wanted, *span) if span else ()


@dataclass(frozen=True, slots=True)
class TabView:
    """What one tab of a monitor's page shows: as `View`."""

    document: dict[str, Any]
    context: Mapping[str, Any] = field(default_factory=dict)
    sheets: Mapping[str, Callable[[], Sheet]] = field(default_factory=dict)
    commands: list[tuple[str, str]] = field(default_factory=list)


def choice_of(doors: Doors, call: Call) -> Choice:
    """What a query has chosen.

    Raises:
        UnknownName: if there is no such monitor, or it has no such windows, metric or slice.
        UsageError: if the time of knowing is none.
        Refused: 422 if the first day is after the last, or one of them is in another age.
    """
    query: MonitorPageQuery = call.query
    records = Records(doors.site.project.journal, call.path["monitor"])
    spec = records.spec()
    kind, metric = query.kind or spec.windows[0], query.metric or spec.metrics[0]
    part = slice_named(query.slice) if query.slice else None
    check_kind(spec, kind, part)
    if metric not in metrics_of(spec):
        raise UnknownName("metric", metric, metrics_of(spec))
    if query.since and query.until and query.since > query.until:
        raise Refused(422, f"{query.since} is after {query.until}", next="give the earlier day first")
    for day in filter(None, (query.since, query.until)):
        if not _FIRST <= day.year <= _LAST:
            raise Refused(422, f"{day} is too far away", next=f"give a day from {_FIRST} to {_LAST}")
    if query.known_at is not None:
        moment_named(query.known_at, zone_of(spec.timezone))
    return Choice(doors, call, spec, records, kind, metric, part)


def metrics_of(spec: MonitorSpec) -> tuple[str, ...]:
    """The figures that a monitor's windows have."""
    beside = [*(["coverage"] if spec.interval else []), *(["ece"] if spec.calibrated else [])]
    return tuple(dict.fromkeys([*spec.metrics, *beside]))
