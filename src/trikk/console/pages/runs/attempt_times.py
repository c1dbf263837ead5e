"""When each attempt of a run's steps waited, worked and was over: a fold of the run's events. Pure.

An attempt waits from the moment at which all that it needs was there. Events of older builds tell less: what they
don't say is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trikk.core.record import Record
from trikk.runs.events import EventKind

if TYPE_CHECKING:
    from trikk.pipeline.graph import Graph
    from trikk.runs.journals.journal import Event
    from trikk.runs.run_state import Task

_ENDS = {
    EventKind.STEP_SUCCEEDED: "succeeded",
    EventKind.STEP_FAILED: "failed",
    EventKind.STEP_CANCELLED: "cancelled",
}
_GOES_ON = (EventKind.RUN_STARTED, EventKind.RUN_RESUMED)
_STOPS = (
    EventKind.RUN_SUCCEEDED,
    EventKind.RUN_FAILED,
    EventKind.RUN_CANCELLED,
    EventKind.RUN_WAITING,
    EventKind.RUN_HANDED_OVER,
)


class AttemptTimes(Record, frozen=True):
    """One attempt of a step, or all attempts of a mapped step's items together.

    Attributes:
        step: the step.
        attempt: which one; 0 for the items together.
        state: running, succeeded, failed, cancelled, or lost if its driver died.
        ready: when all that it needs was there; None if that is not known.
        started: when it was started; times are in seconds since 1970.
        ended: when it was over; None while it goes on.
        seconds: how long its process was at it, of one that has succeeded; None if the events do not say.
        loading: seconds of these until its arguments were loaded; 0 also where events do not say.
        storing: seconds of these in which its results were stored, likewise.
        count: how many attempts of a mapped step's items these are together; None for a single one.
    """

    step: str
    attempt: int
    state: str
    ready: float | None
    started: float
    ended: float | None
    seconds: float | None = None
    loading: float = 0.0
    storing: float = 0.0
    count: int | None = None


class _Open(Record, frozen=True):
    ready: float | None
    started: float
    number: int


class _Course:
    def __init__(self, upstream: Mapping[str, tuple[str, ...]]) -> None:
        self.upstream = upstream
        self.over: dict[str, float] = {}  # when each step was over
        self.again: dict[Task, float] = {}  # when an attempt that failed is tried again
        self.since: float | None = None  # the run has gone on since
        self.open: dict[Task, _Open] = {}
        self.attempts: list[AttemptTimes] = []
        self.groups: dict[str, list[AttemptTimes]] = {}

    def take(self, event: Event) -> None:
        kind, at, body = event.kind, event.at, event.body
        if kind in _GOES_ON:
            self.lose(at, "lost")
            self.since = at
            self.again.clear()
        elif kind in _STOPS:
            self.lose(at, "cancelled")
        elif kind.startswith("step."):
            self.take_step(kind, at, body)
        elif kind == EventKind.APPROVAL_DECIDED:
            self.over[str(body["step"])] = at

    def take_step(self, kind: str, at: float, body: Mapping[str, Any]) -> None:
        step, item = str(body["step"]), body.get("item")
        task: Task = (step, item)
        if kind == EventKind.STEP_STARTED:
            self.open[task] = _Open(self.ready(task), at, int(body["attempt"]))
        elif kind in _ENDS:
            if kind == EventKind.STEP_FAILED and body.get("retry_in") is not None:
                self.again[task] = at + float(body["retry_in"])
            self.end(task, at, _ENDS[EventKind(kind)], body)
        if item is None and kind in (*_ENDS, EventKind.STEP_CACHED, EventKind.STEP_SKIPPED):
            self.over[step] = at

    def ready(self, task: Task) -> float | None:
        if task in self.again:
            return self.again[task]
        times = [self.over[name] for name in self.upstream.get(task[0], ()) if name in self.over]
        times += [self.since] if self.since is not None else []
        return max(times, default=None)

    def end(self, task: Task, at: float | None, state: str, body: Mapping[str, Any]) -> None:
        attempt = self.open.pop(task, None)
        if attempt is None:
            return
        step, item = task
        one = AttemptTimes(
            step,
            attempt.number,
            state,
            attempt.ready,
            attempt.started,
            at,
            body.get("seconds"),
            body.get("loading", 0.0),
            body.get("storing", 0.0),
        )
        if item is None:
            self.attempts.append(one)
        else:
            self.groups.setdefault(step, []).append(one)

    def lose(self, at: float, state: str) -> None:
        for task in list(self.open):
            self.end(task, at, state, {})

    def result(self) -> list[AttemptTimes]:
        for task in list(self.open):
            self.end(task, None, "running", {})
        return [*self.attempts, *(_together(step, several) for step, several in self.groups.items())]


def attempt_times(events: Iterable[Event], graph: Graph | None) -> list[AttemptTimes]:
    """All attempts, in the order in which they ended; those that go on, and mapped steps, come last.

    Args:
        events: the run's, in order.
        graph: what the run is of; None if it is gone: nothing is known of waiting for other steps then.
    """
    nodes = graph.nodes if graph is not None else {}
    course = _Course({name: node.upstream() for name, node in nodes.items()})
    for event in events:
        course.take(event)
    return course.result()


_WORST = ("running", "failed", "lost", "cancelled", "succeeded")


def _together(step: str, several: Sequence[AttemptTimes]) -> AttemptTimes:
    """A mapped step's items as one stretch of time, with the state of the worst of them."""
    ends = [attempt.ended for attempt in several if attempt.ended is not None]
    return AttemptTimes(
        step,
        0,
        min((attempt.state for attempt in several), key=_WORST.index),
        min((attempt.ready for attempt in several if attempt.ready is not None), default=None),
        min(attempt.started for attempt in several),
        max(ends) if len(ends) == len(several) else None,
        count=len(several),
    )
