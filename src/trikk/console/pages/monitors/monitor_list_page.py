"""All monitors: each one's figure beside its baseline, how far labels have come, and what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from trikk.alerts.evaluations import declared
from trikk.alerts.incidents.book import Book
from trikk.charts import Svg, sparkline
from trikk.console.page_view import Sheet, View
from trikk.core.errors import TrikkError
from trikk.monitoring.cases.windows import WindowState
from trikk.monitoring.figures.figure_course import CourseWindow, Wanted, figure_course, span_of
from trikk.monitoring.figures.records import Records, names
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.runs.journals.ledger import Ledger
from trikk.server.http.doors import Doors
from trikk.server.http.handlers.watch_handlers import list_monitors
from trikk.server.http.routes import Call

_WINDOWS = 30
_COLUMNS = ("monitor", "kind", "window", "state", "metric", "value", "baseline", "coverage", "incidents")


def show_monitors(doors: Doors, call: Call) -> View:
    """Show all monitors that were evaluated."""
    ledger = doors.site.project.journal
    document: Any = list_monitors(doors, call).document
    open_of = Counter(one.subject for one in Book(ledger).each(open_only=True) if one.rule.about == "monitor")
    lines = [_line(ledger, one["monitor"]["name"], open_of) for one in document["monitors"]]

    waiting = _only_declared(doors) if call.query.cursor is None else []

    def sheet() -> Sheet:
        return Sheet(_COLUMNS, [[line.get(name) for name in _COLUMNS] for line in lines])

    return View(
        "Monitors",
        "monitors/monitors.html.j2",
        {
            **document,
            "lines": [{k: v for k, v in line.items() if k != "picture"} for line in lines],
            "declared": [spec.to_json() for spec in waiting],
        },
        {"lines": lines, "waiting": waiting},
        sheets={"monitors": sheet},
        live="project",
        commands=[("List them:", "trikk monitor"), ("Evaluate them:", "trikk watch --once")],
    )


def _only_declared(doors: Doors) -> list[MonitorSpec]:
    """The monitors that the code declares and nobody has evaluated; none while the code does not load."""
    try:
        specs = declared(doors.site.graphs()).values()
    except TrikkError:
        return []
    evaluated = set(names(doors.site.project.journal))
    return sorted((spec for spec in specs if spec.name not in evaluated), key=lambda spec: spec.name)


def _line(ledger: Ledger, name: str, open_of: Counter[str]) -> dict[str, Any]:
    """What the list has of one monitor; of one that can't be read, why."""
    line: dict[str, Any] = {"monitor": name, "incidents": open_of[name], "trouble": "", "picture": ""}
    try:
        spec = Records(ledger, name).spec()
        metric, kind = spec.metrics[0], spec.windows[0]
        span = span_of(ledger, spec, kind, _WINDOWS)
        windows = figure_course(ledger, spec, kind, Wanted(metric), *span) if span else ()
    except TrikkError as error:
        return {**line, "trouble": error.what}
    newest = next((one for one in reversed(windows) if one.value is not None), None)
    line |= {
        "title": spec.titles.monitor(),
        "predictions": spec.predictions,
        "truth": spec.truth,
        "kind": kind,
        "metric": metric,
        "has_baseline": bool(spec.baseline),
        "evaluated": Records(ledger, name).cursor().at,
        "waiting": sum(WindowState(one.state).is_open for one in windows),
        "overdue": sum(one.state == WindowState.OVERDUE for one in windows),
    }
    if newest is not None:
        line |= {"window": newest.label, "state": newest.state, "value": newest.value}
        line |= {"baseline": newest.baseline, "coverage": newest.coverage}
    if windows:
        line["picture"] = _picture(name, metric, windows)
    return line


def _picture(name: str, metric: str, windows: Sequence[CourseWindow]) -> Svg:
    last = next((f"{one.value:.4g}" for one in reversed(windows) if one.value is not None), "no value yet")
    return sparkline(
        [one.value for one in windows],
        f"{metric} of {name} over {len(windows)} windows, the last {last}",
        baseline=[one.baseline for one in windows],
        href=f"/monitors/{name}",
        title=f"{metric}: {last}",
        width=180,
    )
