"""How long a pipeline's steps took in its last runs."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

from trikk.charts import Lines, Point, Series, Svg, line_chart
from trikk.console.pages.pipelines.pipeline_lines import PipelineLine
from trikk.core.durations import lasting
from trikk.core.record import Record
from trikk.runs.journals.journal import Journal, RunRow
from trikk.runs.run_state import RunState, StepState
from trikk.runs.states import OVER

_EVENTS = 3000  # of one run; one with more (thousands of items) is left out
_ROLES = [f"series-{number}" for number in range(1, 7)]  # of the lines; of more steps the longest are drawn
_KEPT = 2000  # runs in memory, which are over and so stay as they are


class StepDurations(Record, frozen=True):
    """One step.

    Attributes:
        step: its name.
        runs: how many times it was run to its end.
        last: seconds in the newest run that has it.
        median: seconds.
        longest: seconds.
        course: run, and seconds in it; the oldest first.
    """

    step: str
    runs: int
    last: float
    median: float
    longest: float
    course: tuple[tuple[str, float], ...]


def step_durations(journal: Journal, runs: Iterable[RunRow]) -> list[StepDurations]:
    """The steps of these runs, those that take longest first; `runs` has the newest first."""
    known: Any = journal
    courses: dict[str, list[tuple[str, float]]] = {}
    for row in reversed(list(runs)):
        if row.state in OVER and not row.forgotten:
            for step, seconds in _seconds_by_step(known, row.id, row.ended):
                courses.setdefault(step, []).append((row.id, seconds))
    steps = []
    for step, course in courses.items():
        seconds_each = [seconds for _, seconds in course]
        typical, longest = median(seconds_each), max(seconds_each)
        steps.append(StepDurations(step, len(course), seconds_each[-1], typical, longest, tuple(course)))
    return sorted(steps, key=lambda each: -each.median)


def durations_chart(line: PipelineLine, steps: list[StepDurations], zone: ZoneInfo) -> Svg:
    """The durations of the longest steps over time, each point leading to its run."""
    created = {run.id: run.created for run in line.runs}
    series = [
        Series(each.step, [_point(each.step, created[run], run, seconds) for run, seconds in each.course], role)
        for each, role in zip(steps, _ROLES, strict=False)
    ]
    label = f"seconds that the steps of {line.name} took: {steps[0].step} longest, {lasting(steps[0].median)}"
    return line_chart(Lines(label, series, unit="s", zero=True, zone=zone), width=900, height=280)


def _point(step: str, at: float, run: str, seconds: float) -> Point:
    return Point(at, seconds, href=f"/runs/{run}", title=f"{step} in {run}: {lasting(seconds)}")


@lru_cache(maxsize=_KEPT)
def _seconds_by_step(journal: Journal, run: str, ended: float | None) -> tuple[tuple[str, float], ...]:  # noqa: ARG001
    """What each step took; a run that is resumed ends anew, at another time."""
    events = journal.events(run, limit=_EVENTS)
    if len(events) == _EVENTS:
        return ()
    steps = RunState.fold(run, events).steps
    taken = ((name, _seconds(step)) for name, step in steps.items())
    return tuple((name, seconds) for name, seconds in taken if seconds is not None)


def _seconds(step: StepState) -> float | None:
    if step.reused or step.ended is None or step.started is None:
        return None
    return step.seconds if step.seconds is not None else step.ended - step.started
