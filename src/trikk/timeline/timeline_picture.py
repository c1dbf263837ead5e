"""A monitor's story as a picture: its figures day by day, who was champion, and which incidents were open."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from trikk import charts
from trikk.alerts.incidents.book import Book
from trikk.alerts.incidents.incident import Incident
from trikk.alerts.rules.rule import Severity
from trikk.charts import Event, Lines, Point, Series, Span, Svg, line_chart
from trikk.charts.drawing.scales import is_wide
from trikk.core.errors import UnknownName, UsageError
from trikk.core.zones import zone_of
from trikk.models.metrics.own_metric import Better
from trikk.models.registry import Registry
from trikk.models.state import MoveState
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.reports.monitor_history import MonitorHistory
from trikk.reports.page import words
from trikk.reports.page.chronicle import CHAMPION
from trikk.reports.periods import PeriodKind
from trikk.runs.journals.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Lane:
    """The incidents of one cause: what it is, how severe, from when to when each was open (None: it still is)."""

    title: str
    severity: str
    spans: tuple[tuple[datetime, datetime | None], ...]


@dataclass(frozen=True, slots=True)
class Story:
    """What the picture shows; times have the monitor's zone."""

    monitor: str  # its name
    metric: str  # the figure that is drawn
    better: str  # which way it is better; "" if that is not known
    window: str  # what kind of window
    # start of each window, its figure, the baseline's
    points: tuple[tuple[datetime, float | None, float | None], ...]
    champions: tuple[tuple[datetime, str], ...]  # when which version became champion
    lanes: tuple[Lane, ...]  # incidents by cause
    end: datetime  # where the picture ends
    title: str  # of the monitor and the figure


def story(
    ledger: Ledger,
    monitor: str,
    environment: str,
    *,
    metric: str = "",
    since: float | None = None,
    until: float | None = None,
) -> Story:
    """Read a monitor's story.

    Args:
        ledger: where it is.
        monitor: the monitor's name.
        environment: whose champions.
        metric: the figure to draw; the monitor's first if not given.
        since: seconds since 1970; the monitor's first window if not given.
        until: not included; after its last window if not given.

    Raises:
        UnknownName: if there is no such monitor.
        UsageError: if it has no window in that time.
    """
    history = MonitorHistory(ledger, monitor)
    metric = metric or history.spec.metrics[0]
    if metric not in history.spec.metrics:
        raise UnknownName("metric", metric, history.spec.metrics)
    zone, kind = zone_of(history.spec.timezone), history.kind_for(PeriodKind.MONTH)
    records = [
        record
        for record in history.records.windows(kind)
        if (since is None or record.start.timestamp() >= since)
        and (until is None or record.start.timestamp() < until)
    ]
    if not records:
        raise UsageError(f"monitor {monitor} has no window in that time", next="choose other days: --from, --to")
    start, end = records[0].start.astimezone(zone), max(record.end for record in records).astimezone(zone)
    return Story(
        monitor,
        metric,
        history.spec.better(metric),
        kind,
        tuple(
            (r.start.astimezone(zone), r.whole.metrics.get(metric), r.whole.baseline.get(metric)) for r in records
        ),
        tuple(_champions(ledger, environment, start, end)),
        tuple(_lanes(ledger, monitor, start, end)),
        end,
        _title(history.spec, metric),
    )


def _title(spec: MonitorSpec, metric: str) -> str:
    titles, unit = spec.titles, spec.titles.unit_of(metric)
    name = titles.metric(metric) or words.title_of(metric).lower()
    return f"{titles.monitor() or spec.name}: {name}{f' ({unit})' if unit else ''}"


def drawn(told: Story) -> Svg:
    """The picture, 800 pixels wide."""
    values = [value for _, value, _ in told.points]
    wide = told.better == Better.LOWER and is_wide(values)
    series = [Series("prediction", [Point(at.timestamp(), value) for at, value, _ in told.points])]
    if any(baseline is not None for _, _, baseline in told.points):
        points = [Point(at.timestamp(), baseline) for at, _, baseline in told.points]
        series.append(Series("baseline", points, "baseline", dashed=True))
    end = told.end.timestamp()
    chart = Lines(
        f"{told.title}, per {told.window}, with champions and incidents",
        series,
        title=f"{told.title} per {told.window}",
        unit="%" if words.is_share(told.metric) else "",
        zero=told.better == Better.LOWER,
        log=wide,
        zone=told.end.tzinfo or UTC,
        span=(told.points[0][0].timestamp(), end),
        events=[
            Event(at.timestamp(), version.partition(" ")[2], title=f"{version} became champion")
            for at, version in told.champions
        ],
        events_name="champion:",
        lanes=[_drawn_lane(lane, end) for lane in told.lanes],
    )
    return line_chart(chart, width=800, height=300)


def _drawn_lane(lane: Lane, end: float) -> charts.Lane:
    spans = [
        Span(opened.timestamp(), end if resolved is None else resolved.timestamp(), lane.severity)
        for opened, resolved in lane.spans
    ]
    return charts.Lane(lane.title, spans)


def _champions(ledger: Ledger, environment: str, start: datetime, end: datetime) -> Iterator[tuple[datetime, str]]:
    registry = Registry(ledger)
    for name in registry.names():
        for move in registry.moves(name, environment):
            at = datetime.fromtimestamp(move.at, start.tzinfo)
            if move.alias == CHAMPION and start <= at < end:
                yield at, f"{name} {move.version}{' again' if move.state == MoveState.RETURNED else ''}"


def _lanes(ledger: Ledger, monitor: str, start: datetime, end: datetime) -> Iterator[Lane]:
    """A lane for each cause that has to do with the monitor, the most severe first."""
    by_cause: dict[str, list[Incident]] = defaultdict(list)
    for incident in Book(ledger).all():
        over = incident.resolved is not None and incident.resolved < start.timestamp()
        if incident.subject == monitor and incident.opened < end.timestamp() and not over:
            by_cause[incident.cause].append(incident)
    order = list(Severity)

    def at(seconds: float) -> datetime:
        return datetime.fromtimestamp(seconds, start.tzinfo)

    for cause in sorted(by_cause, key=lambda c: (order.index(by_cause[c][0].severity), c)):
        incidents = by_cause[cause]
        spans = tuple((at(one.opened), None if one.resolved is None else at(one.resolved)) for one in incidents)
        yield Lane(incidents[0].title.removeprefix(f"{monitor}: "), incidents[0].severity, spans)
