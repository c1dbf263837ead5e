"""A run's spans: the fold of its events, as its state is. Pure.

    people                                       the pipeline, from its creation or its resumption to its end
    ├── queued                                   until a driver had it
    ├── rows                                     one attempt of a step
    ├── fit                                      ...
    │   └── what the author's code has begun     comes from the worker, see `step_tracing`
    ├── score                                    a mapped step
    │   ├── score                                one attempt of an item
    │   └── score
    ├── approval publish                         from the question to the decision
    └── people                                   the run goes on after it was resumed: in the same trace

A span is known when the event is written that ends it. What a driver that has died left open ends, as lost, when
the run is resumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trikk.runs.events import EventKind
from trikk.telemetry.span_records import ERROR, NANO, SpanEvent, SpanLink, SpanRecord, span_of, trace_of

if TYPE_CHECKING:
    from trikk.runs.journals.journal import Event
    from trikk.runs.run_state import Task

_OUTCOMES = {
    EventKind.RUN_SUCCEEDED: "succeeded",
    EventKind.RUN_FAILED: "failed",
    EventKind.RUN_CANCELLED: "cancelled",
    EventKind.RUN_HANDED_OVER: "handed_over",
    EventKind.RUN_WAITING: "waiting",
}
_BAD = ("failed", "cancelled", "lost")
LOST = "its driver has died"


@dataclass(slots=True)
class Ending:
    """A span that is over.

    Attributes:
        record: the span.
        log: the attempt's log, relative to the project's `.trikk`, beside which its worker's spans are; else None.
    """

    record: SpanRecord
    log: str | None = None


@dataclass(slots=True)
class _Attempt:
    at: float
    number: int
    log: str | None


class RunSpans:
    """The spans of one run, event by event."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._trace = trace_of(run)
        self._common: dict[str, Any] = {"trikk.run": run}
        self._name = "run"
        self._links: list[SpanLink] = []
        self._drives = -1  # how often it was begun or resumed, less one
        self._since: float | None = None  # the present driving; None between two
        self._queued: float | None = None
        self._attempts: dict[Task, _Attempt] = {}
        self._mapped: dict[str, float] = {}
        self._questions: dict[str, float] = {}

    def take(self, event: Event) -> list[Ending]:
        """The spans that an event ends; kinds that it does not know end none."""
        if event.kind.startswith("step."):
            return self._take_step(event)
        if event.kind in _OUTCOMES:
            error = event.body.get("error")
            return self._end_drive(event.at, _OUTCOMES[EventKind(event.kind)], str(error) if error else "")
        return self._take_run(event)

    def _take_run(self, event: Event) -> list[Ending]:
        kind, at, body = event.kind, event.at, event.body
        if kind == EventKind.RUN_CREATED:
            self._created(body)
            self._queued = at
        elif kind in (EventKind.RUN_STARTED, EventKind.RUN_RESUMED):
            return self._begin_drive(at, waited="graph" in body if kind == EventKind.RUN_STARTED else True)
        elif kind == EventKind.RUN_RESUME_REQUESTED:
            self._queued = at
        elif kind == EventKind.APPROVAL_ASKED:
            self._questions[str(body["step"])] = at
        elif kind == EventKind.APPROVAL_DECIDED:
            self._queued = at if self._since is None and self._queued is None else self._queued
            return self._decided(at, body)
        return []

    def _created(self, body: Mapping[str, Any]) -> None:
        self._name = str(body["pipeline"])
        origin = body.get("origin") or {}
        self._common |= {"trikk.pipeline": self._name, "trikk.environment": body.get("environment") or "main"}
        self._common["trikk.origin"] = str(origin.get("kind", "manual"))
        if origin.get("kind") == "replay":
            self._links = [_link(str(origin.get("of")), "replay of")]

    def _begin_drive(self, at: float, *, waited: bool) -> list[Ending]:
        endings = [] if self._since is None else self._end_drive(at, "lost", LOST)
        self._drives += 1
        queued, self._queued = self._queued, None
        self._since = at if queued is None else queued
        if waited and queued is not None:
            span = span_of(self._run, "queued", self._drives)
            endings.append(Ending(self._span("queued", span, queued, at, self._drive_span, {})))
        return endings

    def _end_drive(self, at: float, outcome: str, error: str) -> list[Ending]:
        """What is still open ends with the driving: nobody will say how it ended."""
        if self._since is None:
            if self._queued is None:
                return []
            self._begin_drive(at, waited=False)  # it ends without ever having had a driver
        since, self._since = self._since, None
        assert since is not None
        left = "lost" if outcome == "lost" else "cancelled"
        endings = [self._end_attempt(task, at, left, error) for task in list(self._attempts)]
        endings += [self._end_mapped(step, at, left) for step in list(self._mapped)]
        is_first = self._drives == 0
        parent = "" if is_first else span_of(self._run, "run", 0)
        links = self._links if is_first else []
        attributes = {"trikk.outcome": outcome}
        record = self._span(self._name, self._drive_span, since, at, parent, attributes, error=error, links=links)
        return [*endings, Ending(record)]

    def _decided(self, at: float, body: Mapping[str, Any]) -> list[Ending]:
        step = str(body["step"])
        asked = self._questions.pop(step, None)
        if asked is None:
            return []
        attributes = {"trikk.step": step, "trikk.approved": bool(body.get("approved"))}
        span = span_of(self._run, "approval", step, int(asked * NANO))
        return [Ending(self._span(f"approval {step}", span, asked, at, self._drive_span, attributes))]

    def _take_step(self, event: Event) -> list[Ending]:
        kind, at, body = event.kind, event.at, event.body
        step, item = str(body["step"]), body.get("item")
        task: Task = (step, item if isinstance(item, int) else None)
        if kind == EventKind.STEP_STARTED:
            endings = [self._end_attempt(task, at, "lost", LOST)] if task in self._attempts else []
            log = body.get("log")
            self._attempts[task] = _Attempt(at, int(str(body["attempt"])), str(log) if log else None)
            if task[1] is not None:
                self._mapped.setdefault(step, at)
            return endings
        if kind == EventKind.STEP_EXPANDED:
            self._mapped.setdefault(step, at)
        elif kind == EventKind.STEP_SUCCEEDED:
            if task in self._attempts:
                return [self._end_attempt(task, at, "succeeded", "", body)]
            if step in self._mapped:
                return [self._end_mapped(step, at, "succeeded")]
        elif kind == EventKind.STEP_FAILED:
            if task not in self._attempts:  # it could not even begin
                self._attempts[task] = _Attempt(at, int(str(body.get("attempt") or 0)), None)
            return [self._end_attempt(task, at, "failed", "", body)]
        elif kind == EventKind.STEP_CANCELLED and task in self._attempts:
            return [self._end_attempt(task, at, "cancelled", "")]
        elif kind == EventKind.STEP_CACHED:
            self._attempts[task] = _Attempt(at, 0, None)
            return [self._end_attempt(task, at, "cached", "", body)]
        return []

    def _end_attempt(
        self, task: Task, at: float, outcome: str, error: str, body: Mapping[str, Any] | None = None
    ) -> Ending:
        attempt, (step, item), body = self._attempts.pop(task), task, body or {}
        attributes: dict[str, Any] = {
            "trikk.step": step,
            "trikk.attempt": attempt.number,
            "trikk.outcome": outcome,
        }
        if item is not None:
            attributes["trikk.item"] = item
        if body.get("peak_memory"):
            attributes["trikk.peak_memory"] = body["peak_memory"]
        if body.get("retry_in") is not None:
            attributes["trikk.retry_in"] = body["retry_in"]
        events: list[SpanEvent] = []
        failure = body.get("error")
        if failure:
            error = f"{failure['type'] or failure['kind']}: {failure['message']}"
            attributes |= {"error.type": failure["type"] or failure["kind"], "trikk.failure": failure["kind"]}
            said = {"exception.type": failure["type"] or failure["kind"], "exception.message": failure["message"]}
            events = [SpanEvent("exception", int(at * NANO), said)]
        links = [_link(str(body["run"]), "result of")] if outcome == "cached" else []
        span = span_of(self._run, step, item, attempt.number)
        if outcome == "cached":
            span = span_of(self._run, step, item, "cached", self._drives)
        parent = self._mapped_span(step) if item is not None else self._drive_span
        record = self._span(
            step, span, attempt.at, at, parent, attributes, error=error, links=links, events=events
        )
        return Ending(record, attempt.log)

    def _end_mapped(self, step: str, at: float, outcome: str) -> Ending:
        began, span = self._mapped.pop(step), self._mapped_span(step)
        attributes = {"trikk.step": step, "trikk.outcome": outcome, "trikk.mapped": True}
        return Ending(self._span(step, span, began, at, self._drive_span, attributes))

    @property
    def _drive_span(self) -> str:
        return span_of(self._run, "run", max(self._drives, 0))

    def _mapped_span(self, step: str) -> str:
        return span_of(self._run, step, "items", self._drives)

    def _span(
        self,
        name: str,
        span: str,
        start: float,
        end: float,
        parent: str,
        attributes: dict[str, Any],
        *,
        error: str = "",
        links: list[SpanLink] | None = None,
        events: list[SpanEvent] | None = None,
    ) -> SpanRecord:
        is_bad = bool(error) or attributes.get("trikk.outcome") in _BAD
        return SpanRecord(
            name,
            self._trace,
            span,
            int(start * NANO),
            # A clock that was set back between two events: a span that ends before it begins is refused by many.
            max(int(end * NANO), int(start * NANO)),
            parent,
            attributes={**self._common, **attributes},
            status=ERROR if is_bad else 0,
            message=error,
            links=links or [],
            events=events or [],
        )


def _link(run: str, why: str) -> SpanLink:
    return SpanLink(trace_of(run), span_of(run, "run", 0), {"trikk.run": run, "trikk.link": why})
