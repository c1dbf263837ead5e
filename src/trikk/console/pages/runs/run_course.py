"""The course of a run as a picture: each step's attempts over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trikk.charts import Attempt, Phase, StepLane, Svg, step_lanes
from trikk.core.durations import lasting
from trikk.runs.states import OVER

if TYPE_CHECKING:
    from trikk.console.pages.runs.attempt_times import AttemptTimes
    from trikk.runs.run_state import RunState

_LANES = 200  # of more a picture shows nothing
_WIDTH = 960


def course_picture(state: RunState, attempts: Sequence[AttemptTimes], now: float) -> Svg | None:
    """When each step waited, worked and was over; None if nothing has begun, or if it is too much to be seen.

    Args:
        state: the run's.
        attempts: of its steps.
        now: seconds since 1970, to which what goes on is drawn.
    """
    lanes: dict[str, list[AttemptTimes]] = {name: [] for name in state.steps}
    for attempt in attempts:
        lanes.setdefault(attempt.step, []).append(attempt)
    lanes = {name: several for name, several in lanes.items() if several}
    if not 0 < len(lanes) <= _LANES:
        return None
    begin = min(a.started if a.ready is None else a.ready for several in lanes.values() for a in several)
    until = (
        now
        if state.state not in OVER
        else max(a.ended or a.started for several in lanes.values() for a in several)
    )
    return step_lanes(
        [
            StepLane(name, [_attempt(state, a, begin, until) for a in several], _href(state, name))
            for name, several in lanes.items()
        ],
        f"the course of run {state.id}: {len(lanes)} steps in {lasting(max(0.0, until - begin))}",
        width=_WIDTH,
    )


def _href(state: RunState, step: str) -> str:
    return f"/runs/{state.id}/steps/{step}"


def _attempt(state: RunState, attempt: AttemptTimes, begin: float, until: float) -> Attempt:
    end = max(until if attempt.ended is None else attempt.ended, attempt.started)
    # Until its process is there, an attempt waits, too.
    began = attempt.started if attempt.seconds is None else max(attempt.started, end - attempt.seconds)
    loaded = min(began + attempt.loading, end)
    stored = max(end - attempt.storing, loaded)
    parts = [
        ("waiting", attempt.started if attempt.ready is None else min(attempt.ready, attempt.started), began),
        ("loading", began, loaded),
        ("working", loaded, stored),
        ("storing", stored, end),
    ]
    phases = [
        Phase(kind, start - begin, stop - begin)
        for kind, start, stop in parts
        if stop > start or kind == "working"
    ]
    # A mapped step is what its items have come to, also where one of them had failed and was tried again.
    shown = attempt.state if attempt.count is None else str(state.steps[attempt.step].state)
    number = f"{attempt.count:,} attempts of its items" if attempt.count is not None else f"try {attempt.attempt}"
    lasted = ", ".join(f"{kind} {lasting(stop - start)}" for kind, start, stop in parts if stop > start)
    href = _href(state, attempt.step) + ("" if attempt.count is not None else f"?attempt={attempt.attempt}")
    return Attempt(phases, shown, href, f"{attempt.step}, {number}: {shown}; {lasted}")
