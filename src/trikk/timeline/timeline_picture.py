"""A monitor's story as a picture: its figures day by day, who was champion, and which incidents were open."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

from trikk.alerts.incidents.book import Book
from trikk.alerts.incidents.incident import Incident
from trikk.core.errors import UnknownName, UsageError
from trikk.core.zones import zone_of
from trikk.models.metrics.own_metric import Better
from trikk.models.registry import Registry
from trikk.models.state import MoveState
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.reports.monitor_history import MonitorHistory
from trikk.reports.page import words
from trikk.reports.page.chronicle import CHAMPION
from trikk.reports.page.figure_pictures import BLUE, GREY, INK, RED, alone, plain, png
from trikk.reports.periods import PeriodKind
from trikk.runs.journals.ledger import Ledger

_COLOURS = {"alarm": RED, "warning": "#b54708", "info": BLUE}
_WIDE = 12.0  # a largest value so many times the median is drawn on a logarithmic axis
_SIZE, _LANE = (8.0, 3.2), 0.22


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


def draw(drawn: Story) -> bytes:
    """The picture as PNG, 1600 pixels wide.

    Raises:
        MissingExtra: if matplotlib is not installed.
    """
    rows = max(1, len(drawn.lanes))
    height = _SIZE[1] + _LANE * rows
    return png(lambda figure: _fill(figure, drawn, rows), (_SIZE[0], height))


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
    order = list(_COLOURS)

    def at(seconds: float) -> datetime:
        return datetime.fromtimestamp(seconds, start.tzinfo)

    for cause in sorted(by_cause, key=lambda c: (order.index(by_cause[c][0].severity), c)):
        incidents = by_cause[cause]
        spans = tuple((at(one.opened), None if one.resolved is None else at(one.resolved)) for one in incidents)
        yield Lane(incidents[0].title.removeprefix(f"{monitor}: "), incidents[0].severity, spans)


def _fill(figure: Any, drawn: Story, rows: int) -> None:
    from matplotlib import dates

    top, below = figure.subplots(2, 1, sharex=True, height_ratios=[_SIZE[1] - 0.4, _LANE * rows + 0.2])
    _figures(top, drawn)
    _incidents(below, drawn)
    for at, version in drawn.champions:
        for axes in (top, below):
            axes.axvline(at, color=GREY, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
        _above(top, version.rpartition(" ")[2], at, "data", "center")
    if drawn.champions:
        _above(top, "champion:", 0, "axes fraction", "right")
    top.set_xlim(drawn.points[0][0], drawn.end)
    untyped: Any = dates
    days = untyped.AutoDateLocator(minticks=3, maxticks=9, tz=drawn.end.tzinfo)
    below.xaxis.set_major_locator(days)
    below.xaxis.set_major_formatter(untyped.ConciseDateFormatter(days, tz=drawn.end.tzinfo))
    below.xaxis.get_offset_text().set_fontsize(7.5)


def _above(axes: Any, text: str, place: Any, across: str, align: str) -> None:
    """A small text above the axes."""
    axes.annotate(
        text,
        (place, 1),
        xycoords=(across, "axes fraction"),
        xytext=(0, 4),
        textcoords="offset points",
        ha=align,
        fontsize=7,
        color=INK,
    )


def _figures(axes: Any, drawn: Story) -> None:
    times = [at for at, _, _ in drawn.points]
    values = [value for _, value, _ in drawn.points]
    known = [value for value in values if value is not None and value > 0]
    if any(baseline is not None for _, _, baseline in drawn.points):
        naive = [_or_nan(baseline) for _, _, baseline in drawn.points]
        axes.plot(times, naive, color=GREY, linewidth=1.2, linestyle=(0, (4, 2)), label="baseline")
        axes.plot(*alone(times, [b for _, _, b in drawn.points]), color=GREY, linestyle="", marker="_")
    axes.plot(times, [_or_nan(v) for v in values], color=BLUE, linewidth=1.8, label="prediction", zorder=3)
    axes.plot(*alone(times, values), color=BLUE, linestyle="", marker="o", markersize=3.5, zorder=3)
    scale = ""
    if known and max(known) > _WIDE * median(known) and drawn.better == Better.LOWER:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        scale = ", logarithmic"
    elif drawn.better == Better.LOWER:
        axes.set_ylim(bottom=0)
    axes.set_title(
        f"{drawn.title} per {drawn.window}{scale}",
        loc="left",
        fontsize=9.5,
        color=INK,
        fontweight="bold",
        pad=24,
    )
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.015, 1.04),
        ncols=3,
        frameon=False,
        fontsize=7.5,
        labelcolor=INK,
        borderaxespad=0.2,
    ).set_in_layout(False)
    plain(axes)
    axes.minorticks_off()


def _incidents(axes: Any, drawn: Story) -> None:
    for row, lane in enumerate(drawn.lanes):
        for opened, resolved in lane.spans:
            left = max(opened, drawn.points[0][0])
            width = (resolved or drawn.end) - left
            axes.barh(row, width, left=left, height=0.6, color=_COLOURS[lane.severity], zorder=3)
    axes.set_yticks(range(len(drawn.lanes)), [lane.title for lane in drawn.lanes])
    axes.set_ylim(max(len(drawn.lanes), 1) - 0.4, -0.6)
    plain(axes)
    axes.grid(visible=False)
    axes.tick_params(axis="y", labelsize=7)


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
