"""The driver: it alone decides what a run does next, and writes down each thing that happened.

It holds the run's lease, appends every event under it, and keeps no state that is not the fold of those
events, so that another process can take the run over at any moment. It never runs the author's code.
"""

from __future__ import annotations

import contextlib
import heapq
import os
import random
import signal
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trikk.core.clock import Clock
from trikk.core.errors import Conflict, RunError, TrikkError
from trikk.core.values import JSON
from trikk.execution.approvals.questions import never_decided, question_body, result_of
from trikk.execution.code.reuse import Hit, StepCache
from trikk.execution.driving import frontier as f
from trikk.execution.driving.attempts import AFTER_LOSS, Attempt, Attempts, judge
from trikk.execution.driving.binding import Binder
from trikk.execution.driving.limits import Capacity
from trikk.execution.driving.machine_share import MachineShare
from trikk.execution.step_messages import StepCall, StepResult, failure
from trikk.execution.workers.executor import Ended, Executor
from trikk.execution.workers.traces import headline
from trikk.pipeline.graph import Graph, Node
from trikk.pipeline.policies import delay_after
from trikk.runs.approval_state import by_expiry
from trikk.runs.events import EventKind
from trikk.runs.journals.journal import Event, Journal
from trikk.runs.journals.lease import LEASE_TTL, Lease
from trikk.runs.lock import step_seed
from trikk.runs.run_state import RunState, Task
from trikk.runs.states import DONE, RunStatus
from trikk.storage.artifact import Artifact
from trikk.storage.artifacts import Artifacts

_RENEW_EVERY = 5.0  # a sixth of a lease: five renewals in a row may fail or be late before the run can be taken
_LOOK_EVERY = 0.5  # how long a cancel waits at most; each look is a read of the journal
_LOOK_AHEAD = 32  # tasks that may overtake a first one that does not fit; more would only take time

_WORTH_TELLING = 0.001  # seconds of loading and storing
_SHUTDOWN = 1.0  # seconds within which all processes of a machine get their signal when it is shut down

Listener = Callable[[Event, RunState], None]


@dataclass(slots=True)
class Options:
    """How a run is driven.

    Attributes:
        keep_going: after a failure, finish every step that does not depend on it.
        dry: table writes are stored but not made (a replay).
        log_limit: bytes of one attempt's log that are kept.
        logs: the folder for the run's logs; None to leave output alone.
        state_dir: the project's state folder, to which the paths of logs are relative in events.
        codes: digests of the steps' code; None if no step's result may be taken from an earlier run.
        share: what is shared with other drivers of the machine; None to have it alone.
        is_watched: whether somebody has another process go on with the run if this one can't.
    """

    keep_going: bool = False
    dry: bool = False
    log_limit: int = 64_000_000
    logs: Path | None = None
    state_dir: Path | None = None
    codes: Mapping[str, str] | None = None
    share: MachineShare | None = None
    is_watched: bool = False


class Driver:
    """Drives one run to its end.

    Args:
        graph: the run's graph.
        state: the fold of its events so far.
        journal: where events go.
        lease: this process's right to drive the run.
        executor: who carries calls to workers; closed by its owner.
        artifacts: where outputs are.
        clock: time.
        capacity: what may be used at once.
        options: see `Options`.
        listener: told of every event after it was written.
        since: the event after which is news what others have written; the last one of `state` if not given.
    """

    def __init__(
        self,
        graph: Graph,
        state: RunState,
        *,
        journal: Journal,
        lease: Lease,
        executor: Executor,
        artifacts: Artifacts,
        clock: Clock,
        capacity: Capacity,
        options: Options,
        listener: Listener | None = None,
        since: int | None = None,
    ) -> None:
        self.graph = graph
        self.state = state
        self.journal = journal
        self.lease = lease
        self.artifacts = artifacts
        self.clock = clock
        self.options = options
        self.listener = listener
        self.attempts = Attempts(executor, clock, capacity, options.log_limit, options.share)
        self.binder = Binder(graph, state, artifacts)
        self.frontier = f.Frontier(graph, state, self.binder.value, self.binder.length)
        self.cache = StepCache(journal, graph.pipeline, options.codes or {}, artifacts.reuse)
        self.queue: deque[Task] = deque()
        self.delayed: list[tuple[float, Task]] = []
        self.asking: dict[str, None] = {}  # steps that wait for people, in the order in which they asked
        self.failures: dict[Task, int] = {}
        self.losses: dict[Task, int] = {}
        self.lost: dict[str, Task] = {}  # steps that have failed for good, with the task that did
        self.cancelled_by: str | None = None
        self.hands_over = False
        self.is_broken = False
        # Events that others may have added are looked for after this one.
        self._looked_at = state.seq if since is None else since
        self._renew_at = clock.monotonic() + _RENEW_EVERY
        self._look_at = clock.monotonic() + _LOOK_EVERY

    def interrupt(self, by: str, *, hand_over: bool = False) -> None:
        """Ask the run to stop, from a signal handler; a second time ends its steps at once.

        With `hand_over` it is not over then: another driver goes on with it where this one stops.
        """
        if self.cancelled_by is not None:
            self.attempts.hurry()
        self.hands_over = hand_over and (self.hands_over or self.cancelled_by is None)
        self.cancelled_by = self.cancelled_by or by

    def drive(self) -> RunState:
        """Go on until nothing is left to do, and write how the run ended, or that it waits for people.

        Raises:
            LeaseLost: if another driver has taken the run; nothing more was written.
            RunError: if the executor is gone and the run is watched: another driver goes on with what has ended.
            JournalError: if the journal can't be written; the run can be resumed.
        """
        try:
            while self._turn() or self._is_answered():
                pass
        except RunError as error:
            if self.options.is_watched:
                raise
            self._lose_all(error.what)
        except KeyboardInterrupt:  # only where steps run in this very process; elsewhere `interrupt` is called
            self.cancelled_by = "Ctrl-C"
            for attempt in self.attempts.drop():
                number = self.state.task(attempt.task).attempts
                self._record(EventKind.STEP_CANCELLED, {**_where(attempt.task), "attempt": number})
        if self.state.state == RunStatus.WAITING:
            return self.state
        if self.hands_over and not self._is_complete() and not self.lost:
            self._record(EventKind.RUN_HANDED_OVER, {"by": str(self.cancelled_by)})
        elif self.cancelled_by is not None and not self.hands_over and not self._is_complete():
            self._record(EventKind.RUN_CANCELLED, {"error": f"cancelled by {self.cancelled_by}"})
        elif self.lost:
            self._record(EventKind.RUN_FAILED, {"error": self._first_error()})
        else:
            self._record(EventKind.RUN_SUCCEEDED, {})
        return self.state

    def _turn(self) -> bool:
        if self.cancelled_by is None:
            self._advance()
        else:
            self.queue.clear()
            self.delayed.clear()
            self.attempts.stop_all()
        if not (self.attempts or self.queue or self.delayed):
            return False
        for attempt, end in self.attempts.ended(self._patience()):
            self._ended(attempt, end)
        self._keep_time()
        return True

    def _patience(self) -> float:
        """Seconds until something is due."""
        due = [self._look_at, self._renew_at, *self.attempts.due()]
        if self.delayed:
            due.append(self.delayed[0][0])
        return max(0.0, min(due) - self.clock.monotonic())

    def _keep_time(self) -> None:
        self.attempts.watch()
        now = self.clock.monotonic()
        if now >= self._renew_at:
            self.lease = self.journal.renew(self.lease, ttl=LEASE_TTL, now=self.clock.now())
            self._renew_at = now + _RENEW_EVERY
        if now >= self._look_at:
            self._look_at = now + _LOOK_EVERY
            self._look()
            self.attempts.trim_logs()

    def _look(self) -> None:
        """Take in what others have written: that the run is to stop, and what people have decided."""
        for event in self.journal.events(self.state.id, after=self._looked_at):
            self._looked_at = event.seq
            is_first = self.hands_over or self.cancelled_by is None  # what was to go on elsewhere is to stop now
            if event.kind == EventKind.RUN_CANCEL_REQUESTED and is_first:
                self.cancelled_by, self.hands_over = str(event.body["by"]), False
            elif event.kind == EventKind.APPROVAL_DECIDED:
                self._decided(event)

    # -- what is next -----------------------------------------------------------------------------

    def _advance(self) -> None:
        """Decide and start until nothing more can be; skipped and cached steps settle on the way."""
        while True:
            for decision in self.frontier.decide():
                self._take(decision)
            self._take_answers()
            self._start_what_fits()
            if self.frontier.idle:
                return

    def _take(self, decision: f.Decision) -> None:
        if isinstance(decision, f.Start):
            if self.graph.nodes[decision.task[0]].question is None:
                self.queue.append(decision.task)
            elif not self._stops_at_failure:
                self._ask(decision.task[0])
        elif isinstance(decision, f.Skip):
            self._record(EventKind.STEP_SKIPPED, {"step": decision.step, "reason": decision.reason})
            self.frontier.settled(decision.step)
        elif isinstance(decision, f.Expand):
            self._record(EventKind.STEP_EXPANDED, {"step": decision.step, "count": decision.count})
        elif isinstance(decision, f.Collect):
            self._collect(decision.step)
        else:
            self._failed((decision.step, None), 0, failure("raised", decision.message, retryable=False))

    def _start_what_fits(self) -> None:
        now = self.clock.monotonic()
        while self.delayed and self.delayed[0][0] <= now:
            self.queue.append(heapq.heappop(self.delayed)[1])
        if self._stops_at_failure:
            self.queue.clear()  # what runs goes on to its end: its result is reused when the run is resumed
            self.delayed.clear()
        while (position := self._first_that_fits()) is not None:
            task = self.queue[position]
            del self.queue[position]
            self._start(task)
        self.attempts.settle(waits=bool(self.queue))

    def _first_that_fits(self) -> int | None:
        for position in range(min(len(self.queue), _LOOK_AHEAD)):
            if self.attempts.fits(self.graph.nodes[self.queue[position][0]]):
                return position
        return None

    def _start(self, task: Task) -> None:
        node = self.graph.nodes[task[0]]
        try:
            arguments = self.binder.arguments(node, task[1])
            if node.cache is not None and self.options.codes is not None and self._reuse(task, node, arguments):
                return
        except (TrikkError, LookupError) as error:
            self._failed(task, 0, failure("loaded", str(error), retryable=False))
            return
        call = self._call(task, node, arguments)
        log = call.log
        if log and self.options.state_dir is not None:
            log = str(Path(log).relative_to(self.options.state_dir))
        # Written before it happens: a driver that dies in between leaves a step `running` that never ran, which
        # the next one starts again. The other way round an attempt could run that no event tells of.
        self._record(EventKind.STEP_STARTED, {**_where(task), "attempt": call.attempt, "log": log or None})
        self.attempts.start(task, node, call)

    def _call(self, task: Task, node: Node, arguments: dict[str, Any]) -> StepCall:
        name, item = task
        attempt = self.state.task(task).attempts + 1
        log = ""
        # An attempt has a log of its own, so that the one before can be read after a retry.
        if self.options.logs is not None:
            log = str(self.options.logs / f"{name}{'' if item is None else f'.{item}'}.{attempt}.log")
        return StepCall(
            run=self.state.id,
            pipeline=self.graph.pipeline,
            step=name,
            item=item,
            attempt=attempt,
            arguments=arguments,
            outputs=node.outputs,
            write=node.write.to_json() if node.write else None,
            dry=self.options.dry,
            acts_as=str(self.state.lock.get("run") or self.state.id),
            moment=float(self.state.lock.get("moment") or self.state.created),
            as_of=bool(self.state.lock.get("as_of")),
            seed=step_seed(int(self.state.lock["seed"]), name, item),
            cpus=float(str(node.resources["cpus"])),
            memory=float(str(node.resources["memory"])),
            gpus=int(str(node.resources["gpus"])),
            log=log,
            on=list(node.retry["on"]) if node.retry else None,  # type: ignore[arg-type]
        )

    def _reuse(self, task: Task, node: Node, arguments: dict[str, Any]) -> bool:
        answer = self.cache.find(task, node, arguments)
        if isinstance(answer, Hit):
            reason = f"the result of run {answer.run} stands: nothing that it depends on has changed"
            body: dict[str, Any] = {**_where(task), "outputs": answer.outputs, "run": answer.run, "reason": reason}
            self._record(EventKind.STEP_CACHED, body)
            self._settle(task)
            return True
        self._record(EventKind.STEP_CACHE_MISSED, {**_where(task), "reason": answer.reason})
        return False

    # -- what people decide -----------------------------------------------------------------------

    def _ask(self, step: str) -> None:
        """Ask, unless that was done before this driver came; a repetition of a run asks nobody."""
        if step not in self.state.approvals:
            if self.options.dry:
                self._failed((step, None), 0, never_decided(str(self.state.origin.get("of"))))
                return
            try:
                body = question_body(self.graph.nodes[step], self.binder, self.clock.now())
            except (TrikkError, LookupError) as error:
                self._failed((step, None), 0, failure("loaded", str(error), retryable=False))
                return
            self._record(EventKind.APPROVAL_ASKED, body)
        self.asking[step] = None

    def _decided(self, event: Event) -> None:
        approval = self.state.approvals.get(str(event.body["step"]))
        if approval is not None and approval.is_open:
            approval.decide(event.at, event.body)
            if self.listener is not None:
                self.listener(event, self.state)

    def _take_answers(self) -> None:
        """Settle the steps that are decided, by somebody or because they have expired."""
        for step in list(self.asking):
            approval = self.state.approvals[step]
            if approval.has_expired(self.clock.now()):
                self._look()
                # Somebody may decide at this very moment: whoever writes first has decided.
                with contextlib.suppress(Conflict):
                    self._record(EventKind.APPROVAL_DECIDED, by_expiry(approval), after=self._looked_at)
            if not approval.is_open:
                del self.asking[step]
                self._answered(step)

    def _answered(self, step: str) -> None:
        approval = self.state.approvals[step]
        try:
            result = result_of(self.graph.nodes[step], approval, self.artifacts)
        except TrikkError as error:
            result = failure("stored", str(error), retryable=False)
        if result.error is not None:
            self._failed((step, None), 0, result)
            return
        outputs: list[JSON] = [output.to_json() for output in result.outputs]
        self._record(EventKind.STEP_SUCCEEDED, {"step": step, "outputs": outputs, "reason": approval.verdict})
        self.frontier.settled(step)

    def _is_answered(self) -> bool:
        """Whether there is something to do again; if only people have, write down that the run waits for them."""
        while self.asking and self.cancelled_by is None and not self._stops_at_failure:
            self._look()
            approvals = [self.state.approvals[step] for step in self.asking]
            now = self.clock.now()
            if self.cancelled_by is not None or any(not a.is_open or a.has_expired(now) for a in approvals):
                return True
            until = min((a.expires for a in approvals if a.expires is not None), default=None)
            body: dict[str, JSON] = {"steps": [*self.asking], "until": until}
            # After what was just read: a decision since then would reach a driver that is about to leave.
            with contextlib.suppress(Conflict):
                self._record(EventKind.RUN_WAITING, body, after=self._looked_at)
                return False
        return False

    # -- what has ended ---------------------------------------------------------------------------

    def _ended(self, attempt: Attempt, end: Ended) -> None:
        task = attempt.task
        number = self.state.task(task).attempts
        is_stopped = attempt.stopping == "cancel"
        if _is_from_outside(attempt, end):
            self._await_own_signal()
            is_stopped = self.cancelled_by is not None
        if is_stopped:  # whatever it answered: it may have been ended in the middle of its work
            self._record(EventKind.STEP_CANCELLED, {**_where(task), "attempt": number})
            return
        result = judge(attempt, end, self.graph.nodes[task[0]], self.attempts.oom_before)
        if result.error is not None:
            self._failed(task, number, result)
            return
        outputs = [output.to_json() for output in result.outputs]
        body: dict[str, Any] = {**_where(task), "outputs": outputs, "seconds": round(result.seconds, 6)}
        phases = {"loading": round(result.loading, 6), "storing": round(result.storing, 6)}
        body |= {phase: lasted for phase, lasted in phases.items() if lasted >= _WORTH_TELLING}
        body["peak_memory"] = end.peak or None
        if result.write is not None:
            body["write"] = result.write
        if result.note:
            body["note"] = result.note
        self._record(EventKind.STEP_SUCCEEDED, body)
        # After the event: the index of results is a hint. One that is missing costs a step, no run.
        self.cache.keep(task, self.state.id, outputs, at=self.clock.now())
        self._settle(task)

    def _await_own_signal(self) -> None:
        """A machine that is shut down sends SIGTERM to all: perhaps to a worker just before it does so to this."""
        until = self.clock.monotonic() + _SHUTDOWN
        while self.cancelled_by is None and self.clock.monotonic() < until:
            self.clock.sleep(_SHUTDOWN / 20)

    def _settle(self, task: Task) -> None:
        if task[1] is None:
            self.frontier.settled(task[0])
        else:
            for decision in self.frontier.item_settled(task[0]):
                self._take(decision)

    def _collect(self, step: str) -> None:
        items = self.state.steps[step].items
        ordered = [items[i] for i in range(self.state.steps[step].count or 0)]
        try:
            whole = self.artifacts.collect([Artifact.read((item.outputs or [])[0]) for item in ordered])
        except TrikkError as error:
            self._failed((step, None), 0, failure("stored", str(error), retryable=False))
            return
        seconds = sum(item.seconds or 0.0 for item in ordered)
        self._record(
            EventKind.STEP_SUCCEEDED, {"step": step, "outputs": [whole.to_json()], "seconds": round(seconds, 6)}
        )
        self.frontier.settled(step)

    def _failed(self, task: Task, attempt: int, result: StepResult) -> None:
        assert result.error is not None
        delay = self._delay(task, result.error)
        body: dict[str, Any] = {**_where(task), "attempt": attempt, "error": result.error, "retry_in": delay}
        allowed = delay is None and self.graph.nodes[task[0]].allow_failure and not self.is_broken
        is_settled = task[0] in self.lost if not allowed else self.state.steps[task[0]].allowed
        body |= {"allowed": True} if allowed else {}
        self._record(EventKind.STEP_FAILED, body)
        if delay is not None:
            heapq.heappush(self.delayed, (self.clock.monotonic() + delay, task))
            return
        if not allowed:
            self.lost.setdefault(task[0], task)
        if not is_settled:
            self.frontier.settled(task[0])

    def _delay(self, task: Task, error: Mapping[str, Any]) -> float | None:
        """Seconds until a task is tried again; None if it is not. What was lost does not count as its failure."""
        is_loss = error["kind"] == "lost"
        policy = AFTER_LOSS if is_loss else self.graph.nodes[task[0]].retry
        count = self.losses if is_loss else self.failures
        count[task] = count.get(task, 0) + 1
        if policy is None or not error["retryable"] or self.cancelled_by is not None:
            return None
        return delay_after(policy, count[task], random.random())  # noqa: S311 - jitter, not a secret

    def _lose_all(self, why: str) -> None:
        """The executor is broken: what ran is lost, and nothing more can run."""
        self.is_broken = True
        for attempt in self.attempts.drop():
            number = self.state.task(attempt.task).attempts
            self._failed(attempt.task, number, failure("lost", why, retryable=False))

    def _record(self, kind: str, body: dict[str, JSON], *, after: int | None = None) -> None:
        now = self.clock.now()
        event = self.journal.append(self.state.id, kind, body, at=now, lease=self.lease, after=after)
        if self._looked_at == self.state.seq and event.seq == self.state.seq + 1:
            self._looked_at = event.seq  # nobody else can have come between
        self.state.apply(event)
        if self.listener is not None:
            self.listener(event, self.state)

    @property
    def _stops_at_failure(self) -> bool:
        """Whether nothing more is begun, since a step has failed for good."""
        return bool(self.lost) and not self.options.keep_going

    def _is_complete(self) -> bool:
        return all(step.state in DONE or step.allowed for step in self.state.steps.values())

    def _first_error(self) -> str:
        name, item = next(iter(self.lost.values()))
        label = name if item is None else f"{name}[{item}]"
        return f"step {label}: {headline(self.state.task((name, item)).error)}"


def _is_from_outside(attempt: Attempt, end: Ended) -> bool:
    """Whether an attempt died of a SIGTERM that this driver has not sent."""
    is_terminated = os.WIFSIGNALED(end.status) and os.WTERMSIG(end.status) == signal.SIGTERM
    return end.result is None and is_terminated and attempt.stopping is None


def _where(task: Task) -> dict[str, JSON]:
    return {"step": task[0]} if task[1] is None else {"step": task[0], "item": task[1]}
