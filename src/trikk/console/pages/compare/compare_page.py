"""Runs side by side: what differs first, and how a metric goes with a parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from trikk.charts import Dot, Svg, dot_chart
from trikk.console.page_view import Sheet, View
from trikk.core.errors import UsageError
from trikk.server.http.doors import Doors
from trikk.server.http.routes import NAME, Call, Given
from trikk.tracking.run_table import compare
from trikk.tracking.trials import rank, read_plan, rows_of, trial_of

if TYPE_CHECKING:
    from trikk.execution.project import Project

_MOST = 20  # runs beside each other
_TRIALS, _LOOKED = 200, 20_000  # trials of a search that are shown, of so many runs of its pipeline since it began
_GROUPS = {"run": "Run", "parameter": "Parameters", "metric": "Metrics", "table": "Tables", "model": "Models"}
_GROUPS |= {"code": "Code", "package": "Packages"}
_NAME = Annotated[str, Meta(max_length=200)]


class CompareQuery(Given, frozen=True):
    """Which runs are put side by side, and what a picture of them shows.

    `runs` are up to twenty ids with commas between them, or `sweep` is a search whose trials are shown; `x` is a
    parameter and `y` a metric.
    """

    runs: Annotated[str, Meta(max_length=3000, pattern=r"^[A-Za-z0-9_,-]*$")] = ""
    sweep: Annotated[str, Meta(pattern=NAME)] | None = None
    x: _NAME = ""
    y: _NAME = ""


def show_comparison(doors: Doors, call: Call) -> View:
    """Show runs side by side, or the trials of a search."""
    query: CompareQuery = call.query
    if query.sweep is not None:
        return _sweep_view(doors.site.project, query.sweep, query)
    runs = list(dict.fromkeys(run for run in query.runs.split(",") if run))
    if len(runs) > _MOST:
        raise UsageError(f"{len(runs)} runs are too many to be put side by side", next=f"choose at most {_MOST}")
    compared: Any = (
        compare(doors.site.project, runs, everything=True).to_json() if runs else {"runs": [], "rows": []}
    )
    rows = compared["rows"]
    parameters, metrics = _numbers(runs, rows, "parameter"), _numbers(runs, rows, "metric")
    states: list[str] = next((row["values"] for row in rows if row["name"] == "state"), [])
    points = [
        _Point(run, {n: v[run] for n, v in parameters.items()}, {n: v[run] for n, v in metrics.items()}, state)
        for run, state in zip(runs, states, strict=True)
    ]
    return View(
        "Compare",
        "compare/compare.html.j2",
        compared,
        {
            "differing": _grouped([row for row in rows if row["differs"]]),
            "alike": _grouped([row for row in rows if not row["differs"]]),
            **_picture(points, query),
        },
        {"rows": lambda: Sheet(("group", "name", *runs), ([r["group"], r["name"], *r["values"]] for r in rows))},
        [("Runs", "/runs")],
        commands=[("The same:", f"trikk compare {' '.join(runs)} --all")] if runs else [],
    )


def _sweep_view(project: Project, sweep: str, query: CompareQuery) -> View:
    plan = read_plan(project, sweep)
    rows, is_whole = rows_of(project, plan, _LOOKED)
    newest = sorted(rows, reverse=True)[:_TRIALS]
    trials = rank(
        [trial_of(project, plan, number, rows[number].id) for number in newest],
        maximize=plan.maximize,
        compared=plan.compared,
    )
    points = [
        _Point(t.run, t.parameters, {plan.metric: t.value}, t.state, f"trial {t.number}, rank {t.rank}")
        for t in trials
    ]
    names = list(plan.space.searched)
    return View(
        f"Sweep {sweep}",
        "compare/sweep.html.j2",
        {
            "sweep": plan.id,
            "pipeline": plan.pipeline,
            "metric": plan.metric,
            "trials": [t.to_json() for t in trials],
        },
        {
            "names": names,
            "left_out": len(rows) - len(trials),
            "looked_at": 0 if is_whole else _LOOKED,
            **_picture(points, query),
        },
        {
            "trials": lambda: Sheet(
                ("number", "run", "state", "rank", *names, plan.metric, "seconds"),
                (
                    [t.number, t.run, t.state, t.rank, *(t.parameters[n] for n in names), t.value, t.seconds]
                    for t in trials
                ),
            )
        },
        [("Runs", "/runs"), (plan.pipeline, f"/pipelines/{plan.pipeline}")],
        "project",
        [("Go on with it:", f"trikk sweep --resume {sweep}")],
    )


@dataclass(frozen=True, slots=True)
class _Point:
    """A run of a picture: what it was given and what came out."""

    run: str
    parameters: Mapping[str, Any]
    metrics: Mapping[str, Any]
    state: str
    title: str = ""


def _numbers(runs: Sequence[str], rows: Sequence[Mapping[str, Any]], group: str) -> dict[str, dict[str, Any]]:
    """By name the values of each run, of what differs in a group and is a number in at least two of them."""
    numbers = {}
    for row in rows:
        values = dict(zip(runs, row["values"], strict=True))
        if row["group"] == group and row["differs"] and sum(map(_is_number, values.values())) > 1:
            numbers[row["name"]] = values
    return numbers


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _picture(points: Sequence[_Point], query: CompareQuery) -> dict[str, Any]:
    """What may be drawn against what, what is, and the picture; None if there is nothing to draw."""
    xs = list(dict.fromkeys(n for p in points for n, value in p.parameters.items() if _is_number(value)))
    ys = list(dict.fromkeys(n for p in points for n, value in p.metrics.items() if _is_number(value)))
    x = query.x if query.x in xs else next(iter(xs), "")
    y = query.y if query.y in ys else next(iter(ys), "")
    return {"xs": xs, "ys": ys, "x": x, "y": y, "picture": _scatter(points, x, y) if x and y else None}


def _scatter(points: Sequence[_Point], x: str, y: str) -> Svg | None:
    dots = [
        Dot(
            float(point.parameters[x]),
            float(point.metrics[y]),
            state=point.state,
            href=f"/runs/{point.run}",
            title=f"{point.title or point.run}: {x}={point.parameters[x]}, {y}={point.metrics[y]:.6g}",
        )
        for point in points
        if _is_number(point.parameters.get(x)) and _is_number(point.metrics.get(y))
    ]
    if len(dots) < 2:
        return None
    return dot_chart(dots, f"{y} against {x} of {len(dots)} runs", x_title=x, y_title=y)


def _grouped(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(_GROUPS.get(row["group"], row["group"]), []).append(row)
    return groups
