"""How a monitor's figure went, beside its baseline, what was expected, what alarms allow, and what happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import Any
from urllib.parse import quote

from trikk.alerts.incidents.book import Book
from trikk.alerts.incidents.incident import Incident
from trikk.charts import Event, Lane, Lines, Point, Series, Span, Svg, Window, line_chart
from trikk.console.page_view import Sheet
from trikk.console.pages.monitors.alarm_limits import Limits, limits_of
from trikk.console.pages.monitors.monitor_choice import Choice, TabView
from trikk.console.pages.monitors.monitor_models import models_of
from trikk.core.zones import zone_of
from trikk.models.state import Move
from trikk.monitoring.cases.windows import WindowState
from trikk.monitoring.drilldown.recent_windows import recent_windows
from trikk.monitoring.figures.figure_course import CourseWindow, as_rows

_ROWS = 30  # of the table of windows
_MARKED = 400  # windows up to which those that are restated or open are marked one by one
_COLUMNS = 960  # pixels of the picture
_DOCUMENTED = 1000  # windows in the JSON
_MOST_EVENTS = 40
_MOST_READ = 300  # incidents that are looked at, the newest first: each is a query
CHAMPION = "champion"
_Value = Callable[[CourseWindow], float | None]


def course_tab(choice: Choice) -> TabView:
    """The figure's course, as a picture and a table."""
    windows = choice.course()
    incidents = _incidents(choice, windows)
    moves = _champions(choice, windows)
    limits = limits_of(choice, windows)
    # By place: where clocks are put back, labels are not in the order of time.
    place = next((i for i, one in enumerate(windows) if one.label == choice.query.before), len(windows))
    older = windows[:place]
    shown = older[-_ROWS:][::-1]
    recent = recent_windows(choice.doors.site.project, choice.spec, choice.kind, 1)
    document: dict[str, Any] = {
        "windows": [one.to_json() for one in windows[-_DOCUMENTED:]],
        "windows_count": len(windows),
        "limits": [limit.to_json() for limit in limits],
        "champions": [{"model": name, **move.to_json()} for name, move in moves],
        "incidents": [one.id for one in incidents],
        "estimates": [one.to_json() for one in recent.trusted],
        "dated_in_the_future": recent.ahead,
    }
    context = {
        "picture": _figures(choice, windows, incidents, moves, limits) if windows else "",
        "labels": _labels(choice, windows) if windows else "",
        "rows": shown,
        "older": shown[-1].label if shown and len(older) > len(shown) else None,
        "has_estimate": any(one.estimated is not None for one in windows),
        "cases_address": choice.cases_address,
    }
    sheet = {"windows": lambda: Sheet(*as_rows(windows))}
    name = choice.spec.name
    kind = "" if choice.kind == choice.spec.windows[0] else f" --kind {choice.kind}"
    return TabView(document, context, sheet, [("Show it:", f"trikk monitor {name}{kind} --last {_ROWS}")])


def _figures(
    choice: Choice,
    windows: Sequence[CourseWindow],
    incidents: Sequence[Incident],
    moves: Sequence[tuple[str, Move]],
    limits: Sequence[Limits],
) -> Svg:
    spec, metric = choice.spec, choice.metric
    is_marked = len(windows) <= _MARKED
    drawn = _drawn(windows, lambda one: one.value)
    series = [Series(metric, [_point(choice, one, is_marked=is_marked) for one in drawn])]
    if spec.baseline:
        named = spec.titles.baseline or f"baseline {spec.baseline}"
        series.append(_beside(named, windows, "baseline", lambda one: one.baseline))
    if any(one.estimated is not None for one in windows):
        series.append(_beside("estimated before labels", windows, "estimate", lambda one: one.estimated))
    series += [limit.series() for limit in limits if limit.varies]
    last = next((one for one in reversed(windows) if one.value is not None), None)
    words = "no figure yet" if last is None else f"the last {last.value:.4g} of {last.label}"
    lines = Lines(
        f"{metric} of {spec.name} in {len(windows)} windows, {words}",
        series,
        unit=spec.titles.unit_of(metric),
        zone=zone_of(spec.timezone),
        thresholds=[limit.threshold() for limit in limits if not limit.varies],
        windows=list(_open(choice, windows)),
        events=[
            Event(
                move.at,
                f"{name} {move.version}",
                href=f"/models/{quote(name, safe='')}",
                title=f"{name}@{CHAMPION} became {move.version}" + (f": {move.why}" if move.why else ""),
            )
            for name, move in moves
        ],
        events_name=CHAMPION if moves else "",
        lanes=_lanes(windows, incidents),
        span=(windows[0].start, windows[-1].end),
    )
    return line_chart(lines, width=_COLUMNS, height=280)


def _beside(name: str, windows: Sequence[CourseWindow], role: str, value: _Value) -> Series:
    """A line beside the figure's."""
    return Series(name, [Point(_middle(one), value(one)) for one in _drawn(windows, value)], role, dashed=True)


def _drawn(windows: Sequence[CourseWindow], value: _Value) -> Sequence[CourseWindow]:
    """Of very many windows those that a line shows: of each column of pixels the ends, the lowest, the highest."""
    if len(windows) <= 4 * _COLUMNS:
        return windows
    drawn: list[CourseWindow] = []
    each = len(windows) / _COLUMNS
    for column in range(_COLUMNS):
        part = windows[int(column * each) : int((column + 1) * each)]
        known = [(value_, one.start, one) for one in part if (value_ := value(one)) is not None]
        extremes = [min(known)[2], max(known)[2]] if known else []
        kept = {one.start: one for one in (part[0], *extremes, part[-1])}
        drawn += [kept[start] for start in sorted(kept)]
    return drawn


def _point(choice: Choice, one: CourseWindow, *, is_marked: bool) -> Point:
    low, high = one.interval or (None, None)
    if not is_marked:  # of so many none is a link, and words for each would take longer than the picture
        return Point(_middle(one), one.value, low, high)
    state = "final"
    if one.state in (WindowState.PARTIAL, WindowState.PENDING, WindowState.OVERDUE):
        state = one.state
    elif one.restated:
        state = "restated"
    return Point(_middle(one), one.value, low, high, state, choice.cases_address(one.label), _words(choice, one))


def _words(choice: Choice, one: CourseWindow) -> str:
    value = "no value" if one.value is None else f"{one.value:.4g}"
    beside = "" if one.baseline is None else f", baseline {one.baseline:.4g}"
    changed = f", restated {one.restated}x" if one.restated else ""
    return (
        f"{one.label}: {choice.metric} {value}{beside}; {one.state}{changed}, "
        f"{one.labelled:,} of {one.predicted:,} labelled"
    )


def _open(choice: Choice, windows: Sequence[CourseWindow]) -> Iterator[Window]:
    """Spans whose figures are not final: windows of one state that follow each other are one."""
    for state, alike in groupby(windows, key=lambda one: one.state):
        if state in (WindowState.PENDING, WindowState.PARTIAL, WindowState.OVERDUE):
            part = list(alike)
            count = f"{len(part)} windows" if len(part) > 1 else part[0].label
            href = choice.cases_address(part[0].label) if len(part) == 1 else ""
            name = "overdue" if state == WindowState.OVERDUE else "pending"
            yield Window(part[0].start, part[-1].end, name, href, f"{count}: {state}")
    for earlier, later in pairwise(windows):
        if later.start > earlier.end:
            yield Window(earlier.end, later.start, "missing", title="not evaluated")


def _labels(choice: Choice, windows: Sequence[CourseWindow]) -> Svg:
    """How many of the predictions have a truth: windows that wait look as if they did."""
    is_marked = len(windows) <= _MARKED
    points = [
        # What waits for all of its labels has no share yet: 0 % would look as if they had not come.
        Point(
            _middle(one),
            None if one.state == WindowState.PENDING else one.coverage,
            state=one.state if is_marked and one.state == WindowState.PARTIAL else "final",
        )
        for one in _drawn(windows, lambda one: one.coverage)
    ]
    known = [one.coverage for one in windows if one.coverage is not None]
    lines = Lines(
        f"labels of {choice.spec.name}, "
        + (f"the least share {min(known):.0%}, the last {known[-1]:.0%}" if known else "none yet"),
        [Series("labelled", points, "truth")],
        unit="%",
        zero=True,
        zone=zone_of(choice.spec.timezone),
        windows=list(_open(choice, windows)),
        span=(windows[0].start, windows[-1].end),
    )
    return line_chart(lines, width=_COLUMNS, height=130)


def _lanes(windows: Sequence[CourseWindow], incidents: Sequence[Incident]) -> list[Lane]:
    """When incidents were bad: a lane for each rule."""
    end = windows[-1].end
    lanes: dict[str, list[Span]] = {}
    for one in incidents:
        until = min(one.resolved, end) if one.resolved else end
        title = f"{one.id}: {one.title}, {one.state}"
        span = Span(max(one.since, windows[0].start), until, one.severity, f"/incidents/{quote(one.id)}", title)
        lanes.setdefault(one.rule.name, []).append(span)
    return [Lane(name, spans) for name, spans in lanes.items()]


def _incidents(choice: Choice, windows: Sequence[CourseWindow]) -> list[Incident]:
    """The monitor's incidents in the time that is shown, of the slice that is; the newest first, oldest last."""
    if not windows:
        return []
    start, end = windows[0].start, windows[-1].end
    within: list[Incident] = []
    for number, one in enumerate(Book(choice.records.ledger).newest()):
        if len(within) >= _MOST_EVENTS or number >= _MOST_READ:
            break
        is_of = one.subject == choice.spec.name and one.rule.about == "monitor"
        if is_of and (choice.part is None or one.part in (None, choice.part)):
            within += [one] if one.since < end and (one.resolved is None or one.resolved > start) else []
    return within


def _champions(choice: Choice, windows: Sequence[CourseWindow]) -> list[tuple[str, Move]]:
    """Which versions of the models that predict became champion in the time that is shown."""
    if not windows:
        return []
    site = choice.doors.site
    known = set(site.models.names())
    moves = [
        (name, move)
        for name in models_of(site, choice.spec.predictions) & known
        for move in site.models.moves(name, site.project.settings.environment)
        if move.alias == CHAMPION and windows[0].start <= move.at < windows[-1].end
    ]
    return sorted(moves, key=lambda pair: (pair[1].at, pair[0]))[-_MOST_EVENTS:]


def _middle(one: CourseWindow) -> float:
    return (one.start + one.end) / 2
