"""Two sides of a monitor on exactly the same cases: which is better, by how much, and how sure that is."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import quote

from msgspec import Meta

from trikk.charts import Interval, Svg, interval_plot
from trikk.console.page_view import Sheet, View
from trikk.console.pages.monitors.monitor_choice import metrics_of
from trikk.core.errors import TrikkError
from trikk.monitoring.figures.records import Records
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.server.http.doors import Doors
from trikk.server.http.handlers.project.study_handlers import Day, SidesQuery, compare_sides
from trikk.server.http.routes import Call, Given

_SLICES = 30  # in the picture and on the page
_SUGGESTED = 40
_FIELDS = ("slice", "value", "cases", "first", "second", "difference", "share", "chance", "verdict", "reason")
_ROLES = {"better": "better", "worse": "worse"}


class SidesPageQuery(Given, frozen=True, rename={"start": "from", "end": "to"}):
    """What is compared; nothing yet without both sides."""

    first: Annotated[str, Meta(max_length=300)] = ""
    second: Annotated[str, Meta(max_length=300)] = ""
    metric: Annotated[str, Meta(pattern="^[^:]{1,100}$")] | None = None
    start: Day | None = None  # "from"
    end: Day | None = None  # "to", included
    matters: Annotated[float, Meta(gt=0)] | None = None


def show_sides(doors: Doors, call: Call) -> View:
    """Show two sides compared, and the form by which they are chosen."""
    query: SidesPageQuery = call.query
    name = call.path["monitor"]
    spec = Records(doors.site.project.journal, name).spec()
    compared: dict[str, Any] | None = None
    trouble = ""
    if query.first and query.second:
        wanted = SidesQuery(
            query.first,
            query.second,
            metric=query.metric,
            start=query.start,
            end=query.end,
            matters=query.matters,
        )
        try:
            compared = compare_sides(doors, replace(call, query=wanted)).document
        except TrikkError as error:  # beside the form, where it is mended
            trouble = f"{error.what}; {error.next}" if error.next else error.what
    slices = sorted((compared or {}).get("slices", []), key=_decided_first)
    context = {
        "spec": spec,
        "compared": compared,
        "trouble": trouble,
        "metrics": metrics_of(spec),
        "sides": _sides(doors, spec),
        "whole_picture": _picture([_whole(compared)], compared) if compared and compared["interval"] else "",
        "slices_picture": _picture(slices[:_SLICES], compared) if compared and slices else "",
        "slices": slices[:_SLICES],
        "more_slices": max(0, len(slices) - _SLICES),
    }
    address = f"/monitors/{quote(name, safe='')}"
    sides = " ".join(
        shlex.quote(side or what) for side, what in ((query.first, "FIRST"), (query.second, "SECOND"))
    )
    return View(
        f"{name}: A/B",
        "monitors/ab.html.j2",
        {"monitor": name, "compared": compared, "trouble": trouble or None},
        context,
        sheets={"slices": lambda: Sheet(_FIELDS, [[one.get(field) for field in _FIELDS] for one in slices])},
        trail=[("Monitors", "/monitors"), (name, address)],
        commands=[("Compare them:", f"trikk ab {name} {sides}")],
    )


def _sides(doors: Doors, spec: MonitorSpec) -> list[str]:
    """What could be compared: the baseline, and versions and aliases of the project's models, the newest first."""
    registry, environment = doors.site.models, doors.site.project.settings.environment
    sides = [f"column:{spec.baseline}"] if spec.baseline else []
    for model in registry.names():
        aliases = {move.alias for move in registry.moves(model, environment)}
        sides += [f"{model}@{alias}" for alias in sorted(aliases)]
        sides += [f"{model}:{version.version}" for version in reversed(registry.versions(model)[-10:])]
    return sides[:_SUGGESTED]


def _whole(compared: dict[str, Any]) -> dict[str, Any]:
    return {**compared, "slice": "", "value": "all cases"}


def _decided_first(one: dict[str, Any]) -> tuple[bool, float]:
    return one["verdict"] not in _ROLES, 1.0 if one.get("chance") is None else one["chance"]


def _picture(parts: list[dict[str, Any]], compared: dict[str, Any]) -> Svg | str:
    """The differences with their intervals; "" where none has one."""
    intervals = [
        Interval(
            f"{part['slice']}={part['value']}" if part["slice"] else part["value"],
            part["difference"],
            low=part["interval"][0],
            high=part["interval"][1],
            role=_ROLES.get(part["verdict"], "baseline"),
            title=f"{part['value']}: {part['difference']:+.4g}, {part['verdict']}: {part['reason']}",
        )
        for part in parts
        if part["interval"] is not None
    ]
    if not intervals:
        return ""
    return interval_plot(intervals, compared["sentence"], unit=f"difference of {compared['metric']}", width=720)
