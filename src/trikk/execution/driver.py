"""The driver: it alone decides what a run does next, and writes down each thing before it acts on it.

It holds the run's lease, appends every event under it, and keeps no state that is not the fold of those
events, so that another process can take the run over at any moment. It never runs the author's code.
"""

from __future__ import annotations

import heapq
import os
import random
import signal
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trikk.core.clock import Clock
from trikk.core.durations import show_bytes, show_seconds
from trikk.core.errors import TrikkError
from trikk.core.values import JSON
from trikk.execution import caching
from trikk.execution import frontier as f
from trikk.execution.binding import Binder
from trikk.execution.executor import Ended, Executor
from trikk.execution.limits import Capacity, oom_kills
from trikk.execution.messages import StepCall, StepResult, failure
from trikk.pipeline.graph import Graph
from trikk.pipeline.retry import delay_after
from trikk.runs import events as e
from trikk.runs.journal import Event, Journal
from trikk.runs.lease import Lease
from trikk.runs.lock import step_seed
from trikk.runs.state import RunState, Task
from trikk.storage.artifact import Artifact
from trikk.storage.artifacts import Artifacts

LEASE_TTL = 30.0
_RENEW_EVERY = 5.0
_LOOK_EVERY = 0.5
_GRACE = 5.0
_LOOK_AHEAD = 32

Listener = Callable[[Event, RunState], None]


@dataclass(slots=True)
class _Running:
    task: Task
    id: str
    need: tuple[float, float, int]
    began: float
    deadline: float | None
    log: Path | None
    stopping: str | None = None  # "timeout" or "cancel"
    kill_at: float | None = None
    oom_before: int = 0


@dataclass(slots=True)
class Options:
    """How a run is driven.

    Attributes:
        keep_going: after a failure, finish every step that does not depend on it.
        dry: table writes are stored but not made (a replay).
        log_limit: bytes of one attempt's log that are kept.
        logs: the folder for the run's logs; None to leave output alone.
        state_dir: the project's state folder, to which log paths are relative.
        use_cache: whether steps that say so may reuse an earlier run's result.
        codes: digests of the steps' code, for those that are cached.
    """

    keep_going: bool = False
    dry: bool = False
    log_limit: int = 64_000_000
    logs: Path | None = None
    state_dir: Path | None = None
    use_cache: bool = True
    codes: dict[str, str] = field(default_factory=dict)


class Driver:
    """Drives one run to its end.

    Args:
        graph: the run's graph.
        state: the fold of its events so far.
        journal: where events go.
        lease: this process's right to drive the run.
        executor: who carries calls to workers.
        artifacts: where outputs are.
        clock: time.
        capacity: what may be used at once.
        options: see `Options`.
        listener: told of every event after it was written.
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
    ) -> None:
        self.graph = graph
        self.state = state
        self.journal = journal
        self.lease = lease
        self.executor = executor
        self.artifacts = artifacts
        self.clock = clock
        self.whole = capacity
        self.free = Capacity(capacity.cpus, capacity.memory, capacity.gpus, capacity.slots)
        self.options = options
        self.listener = listener
        self.binder = Binder(graph, state, artifacts)
        self.frontier = f.Frontier(graph, state, self.binder.value, self.binder.length)
        self.queue: deque[Task] = deque()
        self.running: dict[str, _Running] = {}
        self.delayed: list[tuple[float, Task]] = []
        self.tries: dict[Task, int] = {}
        self.failed: list[Task] = []
        self._failed_steps: set[str] = set()
        self._cache_keys: dict[Task, tuple[str, caching.Components]] = {}
        self.cancel: str | None = None
        self._renew_at = clock.monotonic() + _RENEW_EVERY
        self._look_at = clock.monotonic() + _LOOK_EVERY

    def interrupt(self, by: str) -> None:
        """Ask the run to stop, from a signal handler; a second time ends its steps at once."""
        if self.cancel is not None:
            for running in self.running.values():
                running.kill_at = self.clock.monotonic()
        self.cancel = self.cancel or by

    def drive(self) -> RunState:
        """Go on until nothing is left to do, and write how the run ended. The executor is closed by its owner.

        Raises:
            LeaseLost: if another driver has taken the run; nothing more was written.
            JournalError: if the journal can't be written; the run can be resumed.
        """
        while self._turn():
            pass
        self._finish()
        return self.state

    def _turn(self) -> bool:
        if self.cancel is None:
            self._advance()
        else:
            self._stop_all()
        if not self.running and (self.cancel is not None or not (self.queue or self.delayed)):
            return False
        if not self.running and not self.queue and self._stopped_by_failure():
            return False
        for ended in self.executor.poll(self._patience()):
            self._ended(ended)
        self._tick()
        return True

    def _advance(self) -> None:
        """Decide and start until nothing more can be; skipped and cached steps settle on the way."""
        while True:
            for decision in self.frontier.decide():
                self._take(decision)
            self._start_what_fits()
            if self.frontier.idle:
                return

    def _stopped_by_failure(self) -> bool:
        return bool(self.failed) and not self.options.keep_going

    def _patience(self) -> float:
        """Seconds until something is due."""
        now = self.clock.monotonic()
        due = [self._look_at, self._renew_at]
        due += [self.delayed[0][0]] if self.delayed else []
        for running in self.running.values():
            due += [t for t in (running.deadline, running.kill_at) if t is not None]
        return max(0.0, min(due) - now)

    # -- deciding ---------------------------------------------------------------------------------

    def _take(self, decision: f.Decision) -> None:
        if isinstance(decision, f.Start):
            self.queue.append(decision.task)
        elif isinstance(decision, f.Skip):
            self._record(e.STEP_SKIPPED, {"step": decision.step, "reason": decision.reason})
            self.frontier.settled(decision.step)
        elif isinstance(decision, f.Expand):
            self._record(e.STEP_EXPANDED, {"step": decision.step, "count": decision.count})
        elif isinstance(decision, f.Collect):
            self._collect(decision.step)
        else:
            result = failure("raised", decision.message, retryable=False)
            self._fail((decision.step, None), 0, result)

    def _collect(self, step: str) -> None:
        items = self.state.steps[step].items
        count = self.state.steps[step].count or 0
        parts = [Artifact.from_json((items[i].outputs or [])[0]) for i in range(count)]
        try:
            whole = self.artifacts.collect(parts)
        except TrikkError as error:
            self._fail((step, None), 0, failure("stored", str(error), retryable=False))
            return
        seconds = sum(items[i].seconds or 0.0 for i in range(count))
        self._record(e.STEP_SUCCEEDED, {"step": step, "outputs": [whole.to_json()], "seconds": seconds})
        self.frontier.settled(step)

    # -- starting ---------------------------------------------------------------------------------

    def _start_what_fits(self) -> None:
        now = self.clock.monotonic()
        while self.delayed and self.delayed[0][0] <= now:
            self.queue.append(heapq.heappop(self.delayed)[1])
        if self._stopped_by_failure():
            self.queue.clear()
            self.delayed.clear()
            return
        started = True
        while started:
            started = False
            for position in range(min(len(self.queue), _LOOK_AHEAD)):
                task = self.queue[position]
                need = self.free.need(self.graph.nodes[task[0]].resources, self.whole)
                if self.free.fits(need):
                    del self.queue[position]
                    self._start(task, need)
                    started = True
                    break

    def _start(self, task: Task, need: tuple[float, float, int]) -> None:
        name, item = task
        node = self.graph.nodes[name]
        try:
            arguments = self.binder.arguments(node, item)
            if node.cache is not None and self.options.use_cache and self._from_cache(task, arguments):
                return
        except (TrikkError, LookupError) as error:
            self._fail(task, 0, failure("loaded", str(error), retryable=False))
            return
        attempt = self.state.task(task).attempts + 1
        log = self._log_path(task, attempt)
        call = StepCall(
            run=self.state.id,
            pipeline=self.graph.pipeline,
            step=name,
            item=item,
            attempt=attempt,
            arguments=arguments,
            outputs=node.outputs,
            write=node.write.to_json() if node.write else None,
            dry=self.options.dry,
            seed=step_seed(int(self.state.lock["seed"]), name, item),
            log=str(log) if log else "",
            on=list(node.retry["on"]) if node.retry else None,  # type: ignore[arg-type]
        )
        shown = str(log.relative_to(self.options.state_dir)) if log and self.options.state_dir else None
        self._record(e.STEP_STARTED, {**_where(task), "attempt": attempt, "log": shown})
        now = self.clock.monotonic()
        deadline = None if node.timeout is None else now + node.timeout
        identity = f"{name}.{item}.{attempt}"
        self.running[identity] = _Running(task, identity, need, now, deadline, log, oom_before=oom_kills())
        self.free.take(need)
        self.executor.start(identity, call)

    def _log_path(self, task: Task, attempt: int) -> Path | None:
        if self.options.logs is None:
            return None
        item = "" if task[1] is None else f".{task[1]}"
        return self.options.logs / f"{task[0]}{item}.{attempt}.log"

    def _from_cache(self, task: Task, arguments: dict[str, Any]) -> bool:
        name = task[0]
        node = self.graph.nodes[name]
        assert node.cache is not None
        found = caching.components(self.options.codes.get(name, ""), arguments, node.cache, node.outputs)
        key = caching.cache_key(self.graph.pipeline, name, found)
        self._cache_keys[task] = (key, found)
        entry: Any = self.journal.cache_get(key)
        if entry is not None and all(self._is_there(a) for a in entry["outputs"]):
            reason = f"cached: the result of run {entry['run']} stands, nothing that it depends on changed"
            self._record(
                e.STEP_CACHED, {**_where(task), "outputs": entry["outputs"], "run": entry["run"], "reason": reason}
            )
            self._settle(task)
            return True
        latest: Any = entry or self.journal.cache_latest(self.graph.pipeline, name)
        why = caching.first_difference(latest["components"] if latest else None, found)
        self._record(e.STEP_CACHE_MISSED, {**_where(task), "reason": why})
        return False

    def _is_there(self, output: dict[str, Any]) -> bool:
        try:
            self.artifacts.verify(Artifact.from_json(output))
        except TrikkError:
            return False
        return True

    # -- ending -----------------------------------------------------------------------------------

    def _ended(self, ended: Ended) -> None:
        running = self.running.pop(ended.task)
        self.free.take(running.need, -1)
        task = running.task
        attempt = self.state.task(task).attempts
        if running.stopping == "cancel":
            self._record(e.STEP_CANCELLED, {**_where(task), "attempt": attempt})
            return
        result = self._judge(running, ended)
        if result.error is not None:
            self._fail(task, attempt, result)
            return
        body: dict[str, Any] = {**_where(task), "outputs": result.outputs, "seconds": round(result.seconds, 6)}
        body["peak_memory"] = ended.peak or result.peak_memory
        if result.write is not None:
            body["write"] = result.write
        self._record(e.STEP_SUCCEEDED, body)
        if task in self._cache_keys:
            key, components = self._cache_keys.pop(task)
            entry: dict[str, Any] = {"run": self.state.id, "outputs": result.outputs, "components": components}
            self.journal.cache_put(key, self.graph.pipeline, task[0], entry, at=self.clock.now())
        self._settle(task)

    def _settle(self, task: Task) -> None:
        if task[1] is None:
            self.frontier.settled(task[0])
        else:
            for decision in self.frontier.item_settled(task[0]):
                self._take(decision)

    def _judge(self, running: _Running, ended: Ended) -> StepResult:
        retryable = self.graph.nodes[running.task[0]].retry is not None
        if running.stopping == "timeout":
            limit = self.graph.nodes[running.task[0]].timeout or 0.0
            message = f"it took longer than its time-out of {show_seconds(limit)}; its processes were ended"
            return failure("timeout", message, retryable=retryable)
        if ended.result is not None:
            return ended.result
        if os.WIFSIGNALED(ended.status):
            return failure("killed", _killed(ended, running.oom_before), retryable=retryable)
        code = os.waitstatus_to_exitcode(ended.status)
        message = (
            f"its process ended with status {code} and no result (os._exit, or a library that ends the process?)"
        )
        return failure("exited", message, retryable=retryable)

    def _fail(self, task: Task, attempt: int, result: StepResult) -> None:
        assert result.error is not None
        policy = self.graph.nodes[task[0]].retry
        tries = self.tries[task] = self.tries.get(task, 0) + 1
        delay = None
        if policy is not None and result.error["retryable"] and self.cancel is None:
            delay = delay_after(policy, tries, random.random())  # noqa: S311 - jitter, not a secret
        body: dict[str, Any] = {**_where(task), "attempt": attempt, "error": result.error, "retry_in": delay}
        self._record(e.STEP_FAILED, body)
        if delay is not None:
            heapq.heappush(self.delayed, (self.clock.monotonic() + delay, task))
            return
        self.failed.append(task)
        if task[1] is None or self.state.steps[task[0]].state == "failed":
            self._settle_failed(task[0])

    def _settle_failed(self, step: str) -> None:
        if step not in self._failed_steps:
            self._failed_steps.add(step)
            self.frontier.settled(step)

    # -- time -------------------------------------------------------------------------------------

    def _tick(self) -> None:
        now = self.clock.monotonic()
        for running in self.running.values():
            if running.deadline is not None and now >= running.deadline and running.stopping is None:
                self._stop(running, "timeout")
            if running.kill_at is not None and now >= running.kill_at:
                running.kill_at = None
                self.executor.stop(running.id, force=True)
        if now >= self._renew_at:
            self.lease = self.journal.renew(self.lease, ttl=LEASE_TTL, now=self.clock.now())
            self._renew_at = now + _RENEW_EVERY
        if now >= self._look_at:
            self._look_at = now + _LOOK_EVERY
            self._look_for_cancel()
            for running in self.running.values():
                _trim(running.log, self.options.log_limit)

    def _look_for_cancel(self) -> None:
        if self.journal.last_seq(self.state.id) <= self.state.seq:
            return
        for event in self.journal.events(self.state.id, after=self.state.seq):
            self.state.apply(event)
            if event.kind == e.RUN_CANCEL_REQUESTED:
                self.cancel = self.state.cancel_requested

    def _stop(self, running: _Running, why: str) -> None:
        running.stopping = why
        running.kill_at = self.clock.monotonic() + _GRACE
        self.executor.stop(running.id, force=False)

    def _stop_all(self) -> None:
        for running in self.running.values():
            if running.stopping is None:
                self._stop(running, "cancel")

    # -- writing ----------------------------------------------------------------------------------

    def _record(self, kind: str, body: dict[str, JSON]) -> None:
        event = self.journal.append(self.state.id, kind, body, at=self.clock.now(), lease=self.lease)
        self.state.apply(event)
        if self.listener is not None:
            self.listener(event, self.state)

    def _finish(self) -> None:
        if self.cancel is not None and not self._complete():
            self._record(e.RUN_CANCELLED, {"error": f"cancelled by {self.cancel}"})
        elif self.failed:
            self._record(e.RUN_FAILED, {"error": self._first_error()})
        else:
            self._record(e.RUN_SUCCEEDED, {})

    def _complete(self) -> bool:
        return all(step.state in ("succeeded", "skipped") for step in self.state.steps.values())

    def _first_error(self) -> str:
        name, item = self.failed[0]
        error = self.state.task(self.failed[0]).error or {}
        label = name if item is None else f"{name}[{item}]"
        first = str(error.get("message", "")).splitlines()
        return f"step {label}: {first[0] if first else 'failed'}"


def _where(task: Task) -> dict[str, JSON]:
    return {"step": task[0]} if task[1] is None else {"step": task[0], "item": task[1]}


def _killed(ended: Ended, oom_before: int) -> str:
    number = os.WTERMSIG(ended.status)
    name = signal.Signals(number).name if number in signal.valid_signals() else f"signal {number}"
    peak = f"; it had used up to {show_bytes(ended.peak)} of memory" if ended.peak else ""
    if number == signal.SIGKILL and oom_kills() > oom_before:
        return f"the kernel killed its process because memory ran out{peak}"
    if number == signal.SIGKILL:
        return f"its process was killed from outside (SIGKILL); most often memory ran out{peak}"
    return f"its process died of {name}{peak}"


def _trim(log: Path | None, limit: int) -> None:
    """Keep a log within its limit: its beginning stays, what came since the last look is dropped."""
    if log is None:
        return
    try:
        if log.stat().st_size > limit:
            os.truncate(log, limit)
            with log.open("ab") as file:
                file.write(b"\n[... trikk cut this log here: it is longer than log_limit ...]\n")
    except OSError:
        return
