"""A run's state: the fold of its events, and nothing that is not in them.

    queued ──> running ──> succeeded
      ▲          │  ▲ ├──> failed ────┐
      │          │  │ └──> cancelled ─┤
      │          ▼  └──── resumed ────┘
      └─decided─ waiting

A run that waits for people is queued again by the first of their decisions, and resumed from there; one that has
failed or was cancelled, when somebody asks a server to resume it.

A step is waiting, running, retrying, succeeded, failed, skipped or cancelled. A driver that dies leaves steps
`running`; the next one starts them again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from trikk.core.record import Record
from trikk.core.values import JSON
from trikk.runs.approval_state import ApprovalState, asked
from trikk.runs.events import EventKind
from trikk.runs.journals.journal import Event
from trikk.runs.states import OVER, RunStatus, StepStatus

Task = tuple[str, int | None]
"""A step's name, and the position of the item if the step is mapped."""


class ResumeOptions(Record, frozen=True, kw_only=True, omit_defaults=True):
    """How a run is to go on, as somebody has asked for it.

    Attributes:
        code: whose, the run's own or the project's; None if both are the same.
        current_data: whether it is locked to the tables as they are now.
        again: steps that run again though they have succeeded.
        keep: steps whose results stay though their code has changed since.
    """

    code: Literal["locked", "current"] | None = None
    current_data: bool = False
    again: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()


@dataclass(slots=True)
class TaskState:
    """What is known of one step, or of one item of a mapped step.

    Attributes:
        state: see the module.
        attempts: how many were started.
        reused: whether the result was there before the run was last started or resumed.
        outputs: artifacts as JSON; None until it has succeeded.
        error: the last failure.
        allowed: whether it has failed and the run goes on (`allow_failure`).
        reason: why it was skipped, reused or invalidated.
        log: path of the last attempt's log, relative to the project's `.trikk`.
        seconds: how long the successful attempt took.
        started: wall time of the first start, seconds since 1970.
        ended: wall time at which it was over, seconds since 1970.
        write: what a write step committed: table, version, rows.
        peak_memory: bytes, of the successful attempt.
    """

    state: StepStatus = StepStatus.WAITING
    attempts: int = 0
    reused: bool = False
    outputs: list[dict[str, JSON]] | None = None
    error: dict[str, Any] | None = None
    allowed: bool = False
    reason: str | None = None
    log: str | None = None
    seconds: float | None = None
    started: float | None = None
    ended: float | None = None
    write: dict[str, Any] | None = None
    peak_memory: int | None = None

    def to_json(self) -> dict[str, JSON]:
        """What a program wants to know of it."""
        return {
            "state": self.state,
            "attempts": self.attempts,
            "reused": self.reused,
            "reason": self.reason,
            "seconds": self.seconds,
            "started": self.started,
            "ended": self.ended,
            "peak_memory": self.peak_memory,
            "error": self.error,
            "allowed": self.allowed,
            "write": self.write,
            "log": self.log,
            "outputs": list(self.outputs) if self.outputs is not None else None,
        }


@dataclass(slots=True)
class StepState(TaskState):
    """A `TaskState` of a whole step; a mapped one has `items`, and `count` of them."""

    count: int | None = None
    items: dict[int, TaskState] = field(default_factory=dict)


@dataclass(slots=True)
class RunState:
    """A run as its events tell it."""

    id: str
    pipeline: str = ""
    state: RunStatus = RunStatus.QUEUED
    parameters: dict[str, JSON] = field(default_factory=dict)
    origin: dict[str, Any] = field(default_factory=dict)
    environment: str = ""
    lock: dict[str, Any] = field(default_factory=dict)
    graph: str = ""
    code: str = "locked"
    isolation: str | None = None
    created: float = 0.0
    started: float | None = None
    ended: float | None = None
    error: str | None = None
    cancel_requested: str | None = None
    resumed: int = 0
    forgotten: bool = False
    seq: int = 0
    resume_with: ResumeOptions | None = None  # how somebody wants it to be resumed; None if nobody does
    approvals: dict[str, ApprovalState] = field(default_factory=dict)
    steps: dict[str, StepState] = field(default_factory=dict)

    @classmethod
    def fold(cls, run: str, events: Iterable[Event], names: Iterable[str] = ()) -> RunState:
        """The state after these events; `names` lists the graph's steps, so that those not begun are there too."""
        state = cls(run)
        for name in names:
            state.steps[name] = StepState()
        for event in events:
            state.apply(event)
        return state

    def apply(self, event: Event) -> None:
        """Take one more event in; kinds that it does not know change nothing."""
        self.seq = event.seq
        body: Mapping[str, Any] = event.body
        if event.kind.startswith("step."):
            self._apply_step(event.kind, event.at, body)
        elif event.kind in _RUN:
            _RUN[event.kind](self, event.at, body)

    def successor(self, events: Iterable[Event]) -> RunState:
        """The state after more events; this one stays as it is, for others who read it.

        It costs as much as these events change, and not as much as the run has come to.
        """
        later = replace(
            self,
            steps=dict(self.steps),
            approvals={step: replace(approval) for step, approval in self.approvals.items()},
        )
        own: set[Task] = set()
        for event in events:
            for task in later._changed_by(event):
                later._own(task, own)
            later.apply(event)
        return later

    def _changed_by(self, event: Event) -> Iterable[Task]:
        """The tasks that an event may change, of those that there are."""
        if event.kind in _OF_ALL:
            return [task for task, _ in self.tasks()]
        body: Mapping[str, Any] = event.body
        name, item = body.get("step"), body.get("item")
        if not event.kind.startswith("step.") or name not in self.steps:
            return ()
        items = self.steps[name].items
        inside = list(items) if event.kind == EventKind.STEP_INVALIDATED else [item]
        return [(name, None), *((name, each) for each in inside if each in items)]

    def _own(self, task: Task, own: set[Task]) -> None:
        """Have a copy of a task for this state's own, if it is not among them; its step's comes first."""
        if task in own:
            return
        own.add(task)
        name, item = task
        step = self.steps[name]
        if item is None:
            self.steps[name] = replace(step, items=dict(step.items))
        else:
            step.items[item] = replace(step.items[item])

    def task(self, task: Task) -> TaskState:
        """The state of a step, or of one item of it."""
        step = self.steps.setdefault(task[0], StepState())
        return step if task[1] is None else step.items.setdefault(task[1], TaskState())

    @property
    def is_locked(self) -> bool:
        """Whether it is decided what exactly the run does; not while it waits in a queue."""
        return self.graph != ""

    @property
    def engine(self) -> str:
        """The engine elsewhere that carries it out; "" if a driver here does, as after it was resumed here."""
        engine = str(self.origin.get("engine", ""))
        return engine if self.isolation in (None, engine) else ""

    def culprit(self) -> tuple[str, StepState] | None:
        """The first step whose failure the run could not go on from; None if there is none."""
        return next(
            ((n, s) for n, s in self.steps.items() if s.state == StepStatus.FAILED and not s.allowed), None
        )

    def tasks(self) -> Iterator[tuple[Task, TaskState]]:
        """All steps and items that have been touched or are in the graph."""
        for name, step in self.steps.items():
            yield (name, None), step
            for index, item in step.items.items():
                yield (name, index), item

    def to_json(self) -> dict[str, JSON]:
        """The run as `trikk show --json` prints it."""
        return {
            "id": self.id,
            "pipeline": self.pipeline,
            "state": self.state,
            "parameters": self.parameters,
            "origin": self.origin,
            "environment": self.environment,
            "created": self.created,
            "started": self.started,
            "ended": self.ended,
            "error": self.error,
            "isolation": self.isolation,
            "lock": self.lock,
            "code": self.code,
            "resumed": self.resumed,
            "forgotten": self.forgotten,
            "approvals": [approval.to_json() for approval in self.approvals.values()],
            "steps": [_step_json(name, step) for name, step in self.steps.items()],
        }

    def open_approvals(self) -> list[ApprovalState]:
        """What the run asks and nobody has decided, in the order in which it was asked."""
        return [approval for approval in self.approvals.values() if approval.is_open]

    def _apply_step(self, kind: str, at: float, body: Mapping[str, Any]) -> None:
        name, item = body["step"], body.get("item")
        task = self.task((name, item))
        if kind == EventKind.STEP_STARTED:
            task.state, task.attempts, task.log = StepStatus.RUNNING, body["attempt"], body.get("log")
            task.started = at if task.started is None else task.started
            task.reused, task.reason, task.ended, task.allowed = False, None, None, False
        elif kind in (EventKind.STEP_SUCCEEDED, EventKind.STEP_CACHED):
            task.state, task.outputs, task.ended = StepStatus.SUCCEEDED, body["outputs"], at
            task.error, task.seconds, task.write = None, body.get("seconds"), body.get("write")
            task.reused, task.reason = kind == EventKind.STEP_CACHED, body.get("reason")
            task.peak_memory = body.get("peak_memory")
        elif kind == EventKind.STEP_FAILED:
            task.error = body["error"]
            final = body.get("retry_in") is None
            task.state = StepStatus.FAILED if final else StepStatus.RETRYING
            task.ended = at if final else None
            task.allowed = bool(body.get("allowed"))
        elif kind == EventKind.STEP_CANCELLED:
            task.state, task.ended = StepStatus.CANCELLED, at
        elif kind == EventKind.STEP_SKIPPED:
            task.state, task.reason, task.ended = StepStatus.SKIPPED, body["reason"], at
        elif kind == EventKind.STEP_INVALIDATED:
            _reset(task, body["reason"])
            self.approvals.pop(name, None)  # it was about what runs again, and is asked again
            for inside in self.steps[name].items.values() if item is None else ():
                _reset(inside, body["reason"])
        elif kind == EventKind.STEP_EXPANDED:
            self.steps[name].count = body["count"]
            self.steps[name].state = StepStatus.RUNNING
        if item is not None:
            self._apply_to_whole(name, task)

    def _apply_to_whole(self, name: str, item: TaskState) -> None:
        step = self.steps[name]
        step.attempts = max(step.attempts, item.attempts)
        ended_badly = (StepStatus.FAILED, StepStatus.CANCELLED)
        if item.state in ended_badly:
            step.state, step.error, step.log, step.allowed = item.state, item.error, item.log, item.allowed
        elif item.state in (StepStatus.RUNNING, StepStatus.RETRYING) and step.state not in (
            StepStatus.FAILED,
            StepStatus.CANCELLED,
        ):
            step.state = StepStatus.RUNNING
            step.started = item.started if step.started is None else step.started

    def _created(self, at: float, body: Mapping[str, Any]) -> None:
        self.created = at
        self.pipeline, self.parameters = body["pipeline"], body.get("parameters", {})
        self.origin, self.lock, self.graph = body.get("origin", {}), body.get("lock", {}), body.get("graph", "")
        self.environment = body.get("environment", "")

    def _asked(self, at: float, body: Mapping[str, Any]) -> None:
        self.approvals[body["step"]] = asked(at, body)

    def _decided(self, at: float, body: Mapping[str, Any]) -> None:
        if body["step"] in self.approvals:
            self.approvals[body["step"]].decide(at, body)
        if self.state == RunStatus.WAITING:
            self.state = RunStatus.QUEUED  # there is something to do again, and nobody at it

    def _waiting(self, at: float, body: Mapping[str, Any]) -> None:  # noqa: ARG002 - the table's signature
        self.state = RunStatus.WAITING

    def _resume_requested(self, at: float, body: Mapping[str, Any]) -> None:  # noqa: ARG002 - the table's signature
        if self.state in (RunStatus.FAILED, RunStatus.CANCELLED):
            self.state, self.ended, self.error, self.cancel_requested = RunStatus.QUEUED, None, None, None
            self.resume_with = ResumeOptions.read(body)

    def _started(self, at: float, body: Mapping[str, Any]) -> None:
        if self.state in OVER:  # it was stopped before it had begun, and is begun all the same
            self.cancel_requested = None
        self.state, self.started, self.ended, self.error = RunStatus.RUNNING, at, None, None
        self.isolation = body.get("isolation")
        # A run that waited in a queue is locked when it starts, to the tables and the code of that moment.
        self.graph, self.lock = body.get("graph", self.graph), body.get("lock", self.lock)

    def _resumed(self, at: float, body: Mapping[str, Any]) -> None:  # noqa: ARG002 - the table's signature
        self.state, self.ended, self.error, self.cancel_requested = RunStatus.RUNNING, None, None, None
        self.resumed, self.resume_with = self.resumed + 1, None
        self.isolation = body.get("isolation", self.isolation)
        self.code = body.get("code", self.code)
        self.graph = body.get("graph", self.graph)
        self.lock = body.get("lock", self.lock)
        for _, task in self.tasks():
            if task.state == StepStatus.SUCCEEDED:
                task.reused, task.reason = True, task.reason or "finished before"
            else:
                _reset(task, None)

    def _forgotten(self, at: float, body: Mapping[str, Any]) -> None:  # noqa: ARG002 - the table's signature
        self.forgotten = True
        self.state, self.error = RunStatus(body["state"]), body.get("error")
        self.started, self.ended = body.get("started"), body.get("ended")

    def _ended(self, at: float, body: Mapping[str, Any], state: RunStatus) -> None:
        self.state, self.ended, self.error = state, at, body.get("error")
        if state == RunStatus.CANCELLED:  # what it asked is withdrawn; a run that is resumed asks anew
            self.approvals = {step: one for step, one in self.approvals.items() if not one.is_open}
        for _, task in self.tasks():
            if task.state == StepStatus.RETRYING:  # the run ended before it was tried again
                task.state = StepStatus.FAILED


def output_name(step: str, place: int, count: int) -> str:
    """What people call one of so many results of a step, or of an item of it: "fit", "split.0", "load[3]"."""
    return step if count == 1 else f"{step}.{place}"


def _reset(task: TaskState, reason: str | None) -> None:
    task.state, task.outputs, task.reason, task.reused, task.ended = StepStatus.WAITING, None, reason, False, None
    task.allowed = False


def _step_json(name: str, step: StepState) -> dict[str, JSON]:
    fields: dict[str, JSON] = {"name": name, **step.to_json()}
    if step.count is not None:
        fields["count"] = step.count
        fields["items"] = [{"item": i, **t.to_json()} for i, t in sorted(step.items.items())]
    return fields


def _cancel(state: RunState, at: float, body: Mapping[str, Any]) -> None:  # noqa: ARG001 - the table's signature
    state.cancel_requested = body.get("by") or "someone"


_OF_ALL = (EventKind.RUN_RESUMED, EventKind.RUN_SUCCEEDED, EventKind.RUN_FAILED, EventKind.RUN_CANCELLED)
"""Events that change what is known of any step."""
_RUN: dict[str, Any] = {
    EventKind.RUN_CREATED: RunState._created,
    EventKind.RUN_STARTED: RunState._started,
    EventKind.RUN_RESUMED: RunState._resumed,
    EventKind.RUN_CANCEL_REQUESTED: _cancel,
    EventKind.RUN_RESUME_REQUESTED: RunState._resume_requested,
    EventKind.RUN_FORGOTTEN: RunState._forgotten,
    EventKind.APPROVAL_ASKED: RunState._asked,
    EventKind.APPROVAL_DECIDED: RunState._decided,
    EventKind.RUN_WAITING: RunState._waiting,
    EventKind.RUN_SUCCEEDED: lambda s, at, b: s._ended(at, b, RunStatus.SUCCEEDED),
    EventKind.RUN_FAILED: lambda s, at, b: s._ended(at, b, RunStatus.FAILED),
    EventKind.RUN_CANCELLED: lambda s, at, b: s._ended(at, b, RunStatus.CANCELLED),
}
