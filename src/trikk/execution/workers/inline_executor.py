"""Everything in this process, one step after the other: for breakpoints, for tests, and where nothing may fork."""

from __future__ import annotations

from collections import deque

from trikk.core.clock import Clock
from trikk.core.errors import TrikkError
from trikk.core.values import JSON
from trikk.execution.code.fingerprint import step_codes
from trikk.execution.driving.limits import Capacity, check_gpus
from trikk.execution.step_messages import StepCall
from trikk.execution.workers.attempt import Workplace, run_call
from trikk.execution.workers.executor import Ended
from trikk.pipeline.graph import Graph


class InlineExecutor:
    """Runs each call when it is polled for. Time-outs are not enforced and output is not captured.

    Args:
        place: the loaded project and its storage.
        clock: by which it waits when there is nothing to do but wait.
    """

    isolation = "inline"
    queues = False

    def __init__(self, place: Workplace, clock: Clock) -> None:
        self.place = place
        self.clock = clock
        self._queue: deque[tuple[str, StepCall]] = deque()

    def graphs(self) -> dict[str, Graph]:
        """The project's pipelines as graphs."""
        return {name: p.graph for name, p in self.place.loaded.pipelines.items()}

    def triggers(self) -> list[dict[str, JSON]]:
        """The triggers that its code declares."""
        return self.place.loaded.triggers()

    def codes(self, pipeline: str) -> dict[str, str]:
        """For each step the digest of the code that it reaches in the project."""
        return step_codes(self.place.loaded.pipeline(pipeline), None)

    def check(self, graph: Graph, code: str) -> None:  # noqa: ARG002 - it has been imported
        """Raise UsageError if a step needs more accelerators than this machine has."""
        check_gpus(graph, Capacity.of_machine())

    def capacity(self, max_parallel: int | None) -> Capacity:
        """What this machine takes at once."""
        return Capacity.of_machine(max_parallel)

    def start(self, task: str, call: StepCall) -> None:
        """Queue the call."""
        self._queue.append((task, call))

    def poll(self, timeout: float) -> list[Ended]:
        """Do the next call, here and now; wait if there is none."""
        if not self._queue:
            self.clock.sleep(timeout)
            return []
        task, call = self._queue.popleft()
        return [Ended(task, run_call(call, self.place))]

    def stop(self, task: str, *, force: bool) -> None:  # noqa: ARG002 - it is queued, not running
        """Forget a call that has not begun."""
        left = [(t, c) for t, c in self._queue if t != task]
        if len(left) == len(self._queue):
            raise TrikkError(f"{task} is running in this very process")
        self._queue = deque(left)

    def close(self) -> None:
        """Forget what has not begun."""
        self._queue.clear()
