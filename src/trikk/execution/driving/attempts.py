"""The attempts that run right now: what they take of the machine, how long they may take, how they ended."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from trikk.core.clock import Clock
from trikk.core.durations import show_bytes, show_seconds
from trikk.execution.driving.limits import Capacity, oom_kills
from trikk.execution.driving.machine_share import LOOK_EVERY, MachineShare
from trikk.execution.step_messages import StepCall, StepResult, failure
from trikk.execution.workers.executor import Began, Ended, Executor
from trikk.pipeline.graph import Node
from trikk.pipeline.policies import Retry
from trikk.runs.run_state import Task

GRACE = 5.0
"""Seconds from SIGTERM to SIGKILL: for a step that wants to put something away. Kubernetes gives 30, docker 10."""
AFTER_LOSS = Retry(attempts=4, delay="1s", max_delay="10s").to_json()
"""When a step is tried again whose machine or worker was lost, which is no failure of its own."""
_END = 64_000  # bytes of a cut log's end that are kept
_CUT = b"\n[... trikk cut this log here: it is longer than log_limit ...]\n"

Need = tuple[float, float, int]


@dataclass(slots=True)
class Attempt:
    """One attempt that runs.

    Attributes:
        task: what it is an attempt of.
        id: its name for the executor.
        need: cores, bytes of memory and accelerators that it takes.
        timeout: seconds that it may take; None for any.
        deadline: monotonic time at which it has taken too long; None for never, or if it may not have begun.
        log: where its output goes; None if it is not captured.
        stopping: why it was asked to end ("timeout" or "cancel"); None if it was not.
        kill_at: monotonic time at which it is ended by force.
        taken: what it has of the machine that drivers share.
    """

    task: Task
    id: str
    need: Need
    timeout: float | None
    deadline: float | None
    log: Path | None
    stopping: str | None = None
    kill_at: float | None = None
    taken: frozenset[int] = frozenset()


class Attempts:
    """Starts attempts as long as they fit, and stops those that must end.

    Args:
        executor: who carries calls to workers.
        clock: time.
        capacity: what may be used at once.
        log_limit: bytes of one attempt's log that are kept.
        share: what is shared with other drivers of the machine; None to have the machine alone.
    """

    def __init__(
        self,
        executor: Executor,
        clock: Clock,
        capacity: Capacity,
        log_limit: int,
        share: MachineShare | None = None,
    ) -> None:
        self.executor = executor
        self.clock = clock
        self.whole = capacity
        self.free = replace(capacity)
        self.log_limit = log_limit
        self._share = share
        self._reserved: frozenset[int] = frozenset()
        self.oom_before = oom_kills()  # of the whole machine: a kill since then is most likely one of ours
        self._running: dict[str, Attempt] = {}

    def __bool__(self) -> bool:
        return bool(self._running)

    def fits(self, node: Node) -> bool:
        """Whether an attempt of this step may start now; what it needs is reserved then, until `settle`."""
        need = self.free.need(node.resources, self.whole)
        if not self.free.fits(need):
            return False
        if self._share is None:
            return True
        self._share.give(self._reserved)  # for a step that needed no attempt, as its result stands
        taken = self._share.take(need)
        self._reserved = taken or frozenset()
        return taken is not None

    def settle(self, *, waits: bool) -> None:
        """Let others have what was reserved and not used, and their turn, unless a step waits here for its own."""
        if self._share is not None:
            self._share.give(self._reserved)
            self._reserved = frozenset()
            if not waits:
                self._share.wait_no_more()

    def start(self, task: Task, node: Node, call: StepCall) -> None:
        """Start an attempt; `fits` was true."""
        need = self.free.need(node.resources, self.whole)
        seconds = None if self.executor.queues else node.timeout
        deadline = None if seconds is None else self.clock.monotonic() + seconds
        name = f"{call.step}.{call.item}.{call.attempt}"
        log = Path(call.log) if call.log else None
        taken, self._reserved = self._reserved, frozenset()
        self._running[name] = Attempt(task, name, need, node.timeout, deadline, log, taken=taken)
        self.free.take(need)
        self.executor.start(name, call)

    def ended(self, timeout: float) -> Iterator[tuple[Attempt, Ended]]:
        """The attempts that have ended, waiting at most `timeout` seconds for one."""
        for end in self.executor.poll(timeout):
            if isinstance(end, Began):
                self._has_begun(self._running[end.task], end.seconds)
                continue
            attempt = self._running.pop(end.task)
            self.free.take(attempt.need, -1)
            if self._share is not None:
                self._share.give(attempt.taken)
            if attempt.log is not None:
                trim_log(attempt.log, self.log_limit)
            yield attempt, end

    def _has_begun(self, attempt: Attempt, seconds: float) -> None:
        if attempt.timeout is not None and attempt.stopping is None:
            attempt.deadline = self.clock.monotonic() - seconds + attempt.timeout

    def drop(self) -> list[Attempt]:
        """Forget all attempts that run, since there is no executor any more that could tell of their end."""
        lost = list(self._running.values())
        self._running.clear()
        return lost

    def due(self) -> Iterator[float]:
        """Monotonic times at which `watch` has something to do."""
        for attempt in self._running.values():
            yield from (t for t in (attempt.deadline, attempt.kill_at) if t is not None)
        if self._share is not None and self._share.is_waiting:
            yield self.clock.monotonic() + LOOK_EVERY

    def watch(self) -> None:
        """Ask attempts that have taken too long to end, and end by force those that did not listen."""
        now = self.clock.monotonic()
        for attempt in self._running.values():
            if attempt.deadline is not None and now >= attempt.deadline and attempt.stopping is None:
                self._stop(attempt, "timeout")
            if attempt.kill_at is not None and now >= attempt.kill_at:
                attempt.kill_at = None
                self.executor.stop(attempt.id, force=True)

    def stop_all(self) -> None:
        """Ask every attempt to end; the run was cancelled."""
        self.settle(waits=False)
        for attempt in self._running.values():
            if attempt.stopping is None:
                self._stop(attempt, "cancel")

    def hurry(self) -> None:
        """End by force, at the next `watch`, what was asked to end."""
        for attempt in self._running.values():
            attempt.kill_at = self.clock.monotonic()

    def trim_logs(self) -> None:
        """Keep logs within their limit: their beginning and their latest end stay, what is between is dropped."""
        for attempt in self._running.values():
            if attempt.log is not None:
                trim_log(attempt.log, self.log_limit)

    def _stop(self, attempt: Attempt, why: str) -> None:
        attempt.stopping = why
        attempt.deadline = None
        attempt.kill_at = self.clock.monotonic() + GRACE
        self.executor.stop(attempt.id, force=False)


def judge(attempt: Attempt, end: Ended, node: Node, oom_before: int) -> StepResult:
    """What an attempt's end means: its own answer, or in words why there is none."""
    retryable = node.retry is not None
    if attempt.stopping == "timeout":
        message = (
            f"it took longer than its time-out of {show_seconds(node.timeout or 0.0)}; its processes were ended"
        )
        return failure("timeout", message, retryable=retryable)
    if end.result is not None:
        return end.result
    if os.WIFSIGNALED(end.status):
        return failure("killed", _killed(end, oom_before), retryable=retryable)
    code = os.waitstatus_to_exitcode(end.status)
    message = f"its process ended with status {code} and no result (os._exit, or a library that ends the process?)"
    return failure("exited", message, retryable=retryable)


def _killed(end: Ended, oom_before: int) -> str:
    number = os.WTERMSIG(end.status)
    name = signal.Signals(number).name if number in signal.valid_signals() else f"signal {number}"
    peak = f"; it had used up to {show_bytes(end.peak)} of memory" if end.peak else ""
    if number == signal.SIGKILL and oom_kills() > oom_before:
        return f"the kernel killed its process because memory ran out{peak}"
    if number == signal.SIGKILL:
        return f"its process was killed from outside (SIGKILL); most often memory ran out{peak}"
    return f"its process died of {name}{peak}"


def kept_head(limit: int) -> int:
    """How many bytes of a log's beginning stay, however long it grows."""
    return max(0, limit - min(_END, limit // 4) - len(_CUT))


def trim_log(log: Path, limit: int) -> None:
    """Keep a log within its limit: its beginning, and its latest end."""
    try:
        if log.stat().st_size <= limit:
            return
        end = min(_END, limit // 4)
        with log.open("r+b") as file:
            file.seek(-end, os.SEEK_END)
            last = file.read()[-end:]
            file.truncate(kept_head(limit))
        with log.open("ab") as file:
            file.write(_CUT + last)
    except OSError:
        return  # a log is not worth a run
