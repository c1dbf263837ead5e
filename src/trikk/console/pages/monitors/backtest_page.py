"""What an alarm would have done in the past, night by night, and what another threshold would have."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import quote

from msgspec import Meta

from trikk.charts import Lines, Point, Series, Svg, line_chart
from trikk.console.page_view import Sheet, View
from trikk.core.errors import TrikkError
from trikk.monitoring.figures.figure_course import span_of
from trikk.monitoring.figures.records import Records
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.server.http.doors import Doors
from trikk.server.http.handlers.project.study_handlers import BacktestQuery, Day, run_backtest
from trikk.server.http.routes import Call, Given

_ROWS = 40  # thresholds on the page
_EPISODES = 60
_SETTLES = timedelta(days=7)  # for incidents to resolve
_FIELDS = ("threshold", "alarms", "alarm_nights", "false_alarms", "false_nights", "false_alarms_per_month")


class BacktestPageQuery(Given, frozen=True, rename={"first": "from", "last": "to"}):
    """What is asked of a monitor's past; nothing yet without an alarm or a condition."""

    alarm: Annotated[str, Meta(max_length=200)] = ""
    when: Annotated[str, Meta(max_length=500)] = ""  # a condition; X is the threshold to find
    first: Day | None = None  # "from"
    last: Day | None = None  # "to"
    known_ok_from: Day | None = None
    known_ok_to: Day | None = None
    events: Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\d(,\d{4}-\d\d-\d\d){0,49}$")] | None = None
    accept: Annotated[str, Meta(max_length=40)] = "1/month"


def show_backtest(doors: Doors, call: Call) -> View:
    """Show what the past says of an alarm or a condition, and the form by which it is asked."""
    query: BacktestPageQuery = call.query
    name = call.path["monitor"]
    spec = Records(doors.site.project.journal, name).spec()
    answer: dict[str, Any] | None = None
    trouble = ""
    if query.alarm or query.when:
        fields = {field: getattr(query, field) for field in query.__struct_fields__}
        fields["last"] = _last_night(doors, spec, query.last)
        try:
            answer = run_backtest(doors, replace(call, query=BacktestQuery(**fields))).document
        except TrikkError as error:  # beside the form, where it is mended
            trouble = f"{error.what}; {error.next}" if error.next else error.what
    thresholds = answer["thresholds"] if answer else []
    episodes = (answer["incidents"] or []) if answer else []
    context = {
        "spec": spec,
        "answer": answer,
        "trouble": trouble,
        "accept": query.accept,
        "alarms": [alarm["name"] for alarm in spec.alarms],
        "episodes": episodes[:_EPISODES],
        "more_episodes": max(0, len(episodes) - _EPISODES),
        "thresholds": _some(thresholds, answer),
        "count": len(thresholds),
        "suggested": _suggested(answer),
        "picture": _picture(thresholds, answer) if answer and len(thresholds) > 1 else "",
    }
    given = f" --alarm {shlex.quote(query.alarm)}" if query.alarm else ""
    given += f" --when {shlex.quote(query.when)}" if query.when else ""
    given += "".join(f" --event {day}" for day in (query.events or "").split(",") if day)
    return View(
        f"{name}: the past",
        "monitors/backtest.html.j2",
        {"monitor": name, "answer": answer, "trouble": trouble or None},
        context,
        sheets={
            "thresholds": lambda: Sheet(_FIELDS, [[one.get(field) for field in _FIELDS] for one in thresholds])
        },
        trail=[("Monitors", "/monitors"), (name, f"/monitors/{quote(name, safe='')}")],
        commands=[("Ask the past:", f"trikk backtest {name}{given}")],
    )


def _last_night(doors: Doors, spec: MonitorSpec, wanted: date | None) -> date | None:
    """The night after which no window can tell anything new: a monitor that stands still has years of them."""
    span = span_of(doors.site.project.journal, spec, spec.windows[0], 1)
    if span is None:
        return wanted
    now = datetime.fromtimestamp(doors.site.clock.now(), UTC)
    night = min(span[1] + spec.label_delay + _SETTLES, now).date()
    return min(wanted or night, night)


def _suggested(answer: dict[str, Any] | None) -> float | None:
    return answer["suggestion"]["threshold"] if answer and answer["suggestion"] else None


def _some(thresholds: list[dict[str, Any]], answer: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The thresholds around the suggested one, or the middle ones."""
    suggested = _suggested(answer)
    place = next((i for i, one in enumerate(thresholds) if one["threshold"] == suggested), len(thresholds) // 2)
    first = max(0, min(place - _ROWS // 2, len(thresholds) - _ROWS))
    return thresholds[first : first + _ROWS]


def _picture(thresholds: list[dict[str, Any]], answer: dict[str, Any]) -> Svg:
    """How many false alarms each threshold gives; a threshold is a place on the axis, as they are not even."""
    ordered = sorted(thresholds, key=lambda one: one["threshold"])
    alarms = [Point(place, one["alarms"]) for place, one in enumerate(ordered)]
    false = [Point(place, one["false_alarms"]) for place, one in enumerate(ordered)]
    words = " to ".join(f"{one['alarms']} at {one['threshold']:.4g}" for one in (ordered[0], ordered[-1]))
    lines = Lines(
        f"alarms by threshold of {answer['template']}: from {words}",
        [Series("alarms", alarms), Series("false alarms", false, "worse", dashed=True)],
        names=[f"{one['threshold']:.4g}" for one in ordered],
        zero=True,
    )
    return line_chart(lines, width=720, height=200)
