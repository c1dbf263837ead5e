"""When each attempt of a run's steps waited, worked and was over: a fold of the run's events. Pure.

An attempt waits from the moment at which all that it needs was there. Events of older builds tell less: what they
don't say is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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


class AttemptFold:
    """The attempts of a run, taken in event by event.

    Args:
        graph: what the run is of; None if it is gone: nothing is known of waiting for other steps then.
    """

    def __init__(self, graph: Graph | None) -> None:
        nodes = graph.nodes if graph is not None else {}
        self._upstream = {name: node.upstream() for name, node in nodes.items()}
        self._over: dict[str, float] = {}  # when each step was over
        self._again: dict[Task, float] = {}  # when an attempt that failed is tried again
        self._since: float | None = None  # the run has gone on since
        self._open: dict[Task, _Open] = {}
        self._ended: list[AttemptTimes] = []
        self._groups: dict[str, AttemptTimes] = {}  # by mapped step its items' attempts that have ended

    def take(self, events: Iterable[Event]) -> None:
        """Take more events in, which are in order."""
        for event in events:
            kind, at, body = event.kind, event.at, event.body
            if kind in _GOES_ON:
                self._lose(at, "lost")
                self._since = at
                self._again.clear()
            elif kind in _STOPS:
                self._lose(at, "cancelled")
            elif kind.startswith("step."):
                self._take_step(kind, at, body)
            elif kind == EventKind.APPROVAL_DECIDED:
                self._over[str(body["step"])] = at

    def attempts(self) -> list[AttemptTimes]:
        """All attempts, in the order in which they ended; those that go on, and mapped steps, come last."""
        ended, groups = list(self._ended), dict(self._groups)
        for task, attempt in self._open.items():
            running = _times(task, attempt, None, "running", {})
            if task[1] is None:
                ended.append(running)
            else:
                groups[task[0]] = _together(groups.get(task[0]), running)
        return [*ended, *groups.values()]

    def _take_step(self, kind: str, at: float, body: Mapping[str, Any]) -> None:
        step, item = str(body["step"]), body.get("item")
        task: Task = (step, item)
        if kind == EventKind.STEP_STARTED:
            self._open[task] = _Open(self._ready(task), at, int(body["attempt"]))
        elif kind in _ENDS:
            if kind == EventKind.STEP_FAILED and body.get("retry_in") is not None:
                self._again[task] = at + float(body["retry_in"])
            self._end(task, at, _ENDS[EventKind(kind)], body)
        if item is None and kind in (*_ENDS, EventKind.STEP_CACHED, EventKind.STEP_SKIPPED):
            self._over[step] = at

    def _ready(self, task: Task) -> float | None:
        if task in self._again:
            return self._again[task]
        times = [self._over[name] for name in self._upstream.get(task[0], ()) if name in self._over]
        times += [self._since] if self._since is not None else []
        return max(times, default=None)

    def _end(self, task: Task, at: float, state: str, body: Mapping[str, Any]) -> None:
        attempt = self._open.pop(task, None)
        if attempt is None:
            return
        times = _times(task, attempt, at, state, body)
        if task[1] is None:
            self._ended.append(times)
        else:
            self._groups[task[0]] = _together(self._groups.get(task[0]), times)

    def _lose(self, at: float, state: str) -> None:
        for task in list(self._open):
            self._end(task, at, state, {})


def _times(task: Task, attempt: _Open, at: float | None, state: str, body: Mapping[str, Any]) -> AttemptTimes:
    return AttemptTimes(
        task[0],
        attempt.number,
        state,
        attempt.ready,
        attempt.started,
        at,
        body.get("seconds"),
        body.get("loading", 0.0),
        body.get("storing", 0.0),
    )


_WORST = ("running", "failed", "lost", "cancelled", "succeeded")


def _together(group: AttemptTimes | None, another: AttemptTimes) -> AttemptTimes:
    """A mapped step's items as one stretch of time, with the state of the worst of them, and one more of them."""
    if group is None:
        return AttemptTimes(another.step, 0, another.state, another.ready, another.started, another.ended, count=1)
    ready = [at for at in (group.ready, another.ready) if at is not None]
    return AttemptTimes(
        group.step,
        0,
        min(group.state, another.state, key=_WORST.index),
        min(ready, default=None),
        min(group.started, another.started),
        None if group.ended is None or another.ended is None else max(group.ended, another.ended),
        count=(group.count or 0) + 1,
    )
