"""Readings of pipelines: runs that failed, did not come, took too long, or whose quality gate warned."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from trikk.alerts.rules.reading import Point, Reading
from trikk.alerts.rules.rule import Rule
from trikk.core.durations import show_seconds
from trikk.core.values import JSON
from trikk.core.zones import start_of
from trikk.execution.project import Project
from trikk.quality.check_verdict import summary
from trikk.runs.events import QUALITY_CHECKED
from trikk.runs.journals.journal import RunRow

_PAGE = 100
_NOT_COUNTED = ("replay", "sweep")
_STATES = ("succeeded", "failed", "running")


def of_failures(project: Project, rule: Rule, pipeline: str, now: datetime) -> Reading:
    """Good for a run that succeeded, bad for one that failed or lost its process; cancelled ones do not count."""
    points = []
    for row in recent(project, pipeline, now, _least(rule), _STATES):
        dead = row.state == "running" and not project.is_driven(row.id)
        if row.state == "running" and not dead:
            continue
        bad = row.state != "succeeded"
        what = "the process that drove it is gone" if dead else (row.error or "failed")
        text = f"run {row.id} {'failed: ' + what if bad else 'succeeded'}"
        points.append(point_of(row, bad=bad, text=text, badness=1.0 if bad else 0.0))
    return Reading(rule, pipeline, f"{pipeline} failed", _counted(points))


def of_lengths(project: Project, rule: Rule, pipeline: str, now: datetime) -> Reading:
    """Bad for a run that took longer than its budget, or goes on for longer already."""
    points = []
    for row in recent(project, pipeline, now, _least(rule), _STATES):
        if row.started is None:
            continue
        took = (row.ended or now.timestamp()) - row.started
        if row.ended is None and took <= rule.budget:
            continue
        bad = took > rule.budget
        spent = f"took {show_seconds(took)}" if row.ended else f"has been running for more than {_budget(rule)}"
        facts: dict[str, JSON] = {"took": show_seconds(took), "budget": _budget(rule)} if row.ended else {}
        badness = took / rule.budget if bad and row.ended else float(bad)
        points.append(point_of(row, bad=bad, text=f"run {row.id} {spent}", badness=badness, facts=facts))
    return Reading(rule, pipeline, f"{pipeline} took longer than {_budget(rule)}", tuple(points))


def of_gates(project: Project, rule: Rule, pipeline: str, now: datetime) -> Reading:
    """Bad for a run that a quality gate let pass with a warning; runs without a gate don't count."""
    points = []
    rows = recent(project, pipeline, now, _least(rule), _STATES[:2])
    for row in rows[-2 * rule.windows - 1 :]:
        if row.forgotten:
            continue
        found: list[Any] = [e.body for e in project.journal.events(row.id) if e.kind == QUALITY_CHECKED]
        if not found:
            continue
        warned = [check for body in found if body["verdict"] == "warned" for check in body["checks"]]
        failing = [check for check in warned if check["ran"] and not check["passed"]]
        bad = any(body["verdict"] == "warned" for body in found)
        seen = "; ".join(f"{check['name']}: {check['observed']}" for check in failing)
        seen = seen or "; ".join(summary(body) for body in found if body["verdict"] == "warned")
        text = f"run {row.id}: " + (f"the gate warned: {seen}" if bad else "the gate did not warn")
        facts: dict[str, JSON] = {str(c["name"]): f"{c['observed']} (expected: {c['expected']})" for c in failing}
        points.append(point_of(row, bad=bad, text=text, badness=float(len(failing)) if bad else 0.0, facts=facts))
    return Reading(rule, pipeline, f"{pipeline}: a quality gate warned", tuple(points))


def of_missing(project: Project, rule: Rule, pipeline: str, now: datetime) -> Reading:
    """A point for each of the last days: good if a run succeeded since the deadline of the day before.

    A run that comes after the deadline makes its day good as well, until the next deadline.
    """
    zone = ZoneInfo(project.settings.timezone)
    deadlines = _deadlines(rule, zone, now, _least(rule))
    rows = _counting(project, pipeline, deadlines[0].timestamp() if deadlines else 0.0, ("succeeded",))
    came = sorted((_moment(row), row.id) for row in rows)
    points = []
    for before, due, after in zip(deadlines, deadlines[1:], [*deadlines[2:], now], strict=False):
        run = next((i for at, i in came if before.timestamp() < at <= due.timestamp()), "")
        late = next((i for at, i in came if due.timestamp() < at <= after.timestamp()), "") if after is now else ""
        day = f"{due:%Y-%m-%d}"
        bad = not (run or late)
        said = f"run {run} came in time" if run else f"run {late} came late" if late else f"no run by {rule.by}"
        facts: dict[str, JSON] = {"day": day, "expected by": f"{due:%Y-%m-%d %H:%M %Z}"}
        if not bad:
            facts["run"] = run or late
        points.append(
            Point(day, due.timestamp(), due.timestamp(), bad, f"{day}: {said}", 1.0 if bad else 0.0, facts)
        )
    return Reading(rule, pipeline, f"{pipeline} did not come by {rule.by}", _counted(points))


def _deadlines(rule: Rule, zone: ZoneInfo, now: datetime, most: int) -> list[datetime]:
    """The last so many deadlines that are over, oldest first, and the one before."""
    hour, today = time.fromisoformat(rule.by), now.astimezone(zone).date()
    days = [today + timedelta(days=1 - back) for back in range(most + 4)]
    dues = sorted({start_of(datetime.combine(day, hour), zone) for day in days})  # one for a day that is left out
    return [due.astimezone(zone) for due in dues if due <= now][-most - 1 :]


def recent(
    project: Project,
    pipeline: str,
    now: datetime,
    most: int,
    states: tuple[str, ...],
    but: tuple[str, ...] = _NOT_COUNTED,
) -> list[RunRow]:
    """The last runs of a pipeline in one of these states that had begun by `now`, oldest first.

    Args:
        project: whose runs.
        pipeline: the pipeline.
        now: the time.
        most: how many at most.
        states: the states that count.
        but: kinds of origins that do not.
    """
    latest: list[tuple[float, str, RunRow]] = []  # a heap: the earliest of them first
    for row in _counting(project, pipeline, 0.0, states, but):
        if len(latest) == most and latest[0][0] >= row.created:
            break  # nothing that was created before this can be later
        if _moment(row) <= now.timestamp():
            (heapq.heappushpop if len(latest) == most else heapq.heappush)(latest, (_moment(row), row.id, row))
    return [row for _, _, row in sorted(latest, key=lambda one: one[:2])]


def _counting(
    project: Project, pipeline: str, since: float, states: tuple[str, ...], but: tuple[str, ...] = _NOT_COUNTED
) -> Iterator[RunRow]:
    """The runs of a pipeline that were created after a moment and count, the newest first."""
    for offset in itertools.count(0, _PAGE):
        page = project.journal.runs(pipeline=pipeline, limit=_PAGE, offset=offset)
        for row in page:
            if row.created < since:
                return
            if row.state in states and row.origin.get("kind") not in but:
                yield row
        if len(page) < _PAGE:
            return


def _moment(row: RunRow) -> float:
    """When a run was over, or began if it is not; a backfilled one happened at the time that it was told."""
    told = row.origin.get("at")
    return float(told) if isinstance(told, int | float) else (row.ended or row.started or row.created)


def point_of(row: RunRow, *, bad: bool, text: str, badness: float, facts: dict[str, JSON] | None = None) -> Point:
    """A run, judged; `facts` are told beside its id, pipeline and parameters."""
    at = _moment(row)
    parameters = " ".join(f"{name}={value}" for name, value in _plain(row.parameters))
    shown: dict[str, JSON] = {"run": row.id, "pipeline": row.pipeline, "parameters": parameters or "-"}
    return Point(row.id, at, at, bad, text, badness, {**shown, **(facts or {})})


def _plain(parameters: dict[str, JSON]) -> Iterable[tuple[str, JSON]]:
    for name, value in parameters.items():
        yield name, value["v"] if isinstance(value, dict) and "v" in value else value


def _counted(points: Iterable[Point]) -> tuple[Point, ...]:
    """Points of which each bad one is as bad as there are bad ones in a row up to it."""
    from dataclasses import replace

    found, row = [], 0
    for point in points:
        row = row + 1 if point.bad else 0
        found.append(replace(point, badness=float(row)))
    return tuple(found)


def _budget(rule: Rule) -> str:
    return show_seconds(rule.budget)


def _least(rule: Rule) -> int:
    return max(5, 2 * rule.windows + 1)
