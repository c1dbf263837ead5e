"""How what a driver does grows with the steps of its run, in a chain and in a map; its workers do nothing here."""

from __future__ import annotations

import math
import time
import tracemalloc

import pytest

from trikk.core.clock import SystemClock
from trikk.execution.driving.driver import LEASE_TTL, Driver, Options
from trikk.execution.driving.limits import Capacity
from trikk.execution.step_messages import StepCall, StepResult
from trikk.execution.workers.executor import Ended
from trikk.pipeline.arguments import OutputRef
from trikk.pipeline.graph import Graph, Node
from trikk.runs.journals.lease import Holder
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.runs.lock import Lock
from trikk.runs.run_state import RunState
from trikk.runs.states import RunStatus
from trikk.storage.artifacts import Artifacts
from trikk.storage.stores.memory_store import MemoryStore

FEW, MANY = 400, 2000
SYSTEM = SystemClock()


class Answers:
    """An executor whose workers answer at once: `numbers` with a list, every other step with a number."""

    isolation = "none"
    queues = False

    def __init__(self, artifacts: Artifacts, count: int) -> None:
        self.results = {"numbers": artifacts.save(["some text in each item"] * count), "": artifacts.save(1)}
        self.queue: list[Ended] = []
        self.bytes = 0

    def start(self, task: str, call: StepCall) -> None:
        self.bytes += len(call.to_bytes())
        result = self.results.get(call.step, self.results[""])
        self.queue.append(Ended(task, StepResult([result], seconds=0.001)))

    def poll(self, timeout: float) -> list[Ended]:
        ended, self.queue = self.queue, []
        return ended

    def stop(self, task: str, *, force: bool) -> None: ...

    def close(self) -> None: ...


def chain(count: int) -> list[Node]:
    return [Node(f"s{i}", "m:f", {"value": OutputRef(f"s{i - 1}")} if i else {}) for i in range(count)]


def mapped(count: int) -> list[Node]:
    return [
        Node("numbers", "m:f", {}),
        Node("plus", "m:f", {"value": OutputRef("numbers")}, mapped="value"),
        Node("total", "m:f", {"values": OutputRef("plus")}),
    ]


class Drive:
    """A run of that many steps: CPU seconds, the peak of memory in bytes, bytes of calls, transactions."""

    def __init__(self, nodes: list[Node], count: int, *, trace: bool) -> None:
        graph = Graph.build("p", (), nodes)
        journal, artifacts = MemoryJournal(), Artifacts(MemoryStore())
        created = journal.create("run", "p", {"lock": Lock().to_json(), "parameters": {}}, at=0.0)
        state = RunState.fold("run", [created], graph.nodes)
        executor = Answers(artifacts, count)
        driver = Driver(
            graph,
            state,
            journal=journal,
            lease=journal.acquire("run", Holder.current(), ttl=LEASE_TTL, now=SYSTEM.now()),
            executor=executor,
            artifacts=artifacts,
            clock=SYSTEM,
            capacity=Capacity.of_machine(),
            options=Options(),
        )
        statements: list[str] = []
        journal._connection().set_trace_callback(statements.append if trace else None)
        if trace:
            tracemalloc.start()
        began = time.process_time()
        assert driver.drive().state == RunStatus.SUCCEEDED
        self.seconds = time.process_time() - began
        if trace:
            self.peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        self.transactions = statements.count("COMMIT")
        self.bytes = executor.bytes
        journal.close()


@pytest.mark.parametrize("shape", [chain, mapped])
def test_a_run_costs_its_driver_the_same_for_each_step(shape: object) -> None:
    nodes = {count: shape(count) for count in (FEW, MANY)}  # type: ignore[operator]
    few, many = (Drive(nodes[count], count, trace=True) for count in (FEW, MANY))
    assert many.bytes / MANY < 1.1 * few.bytes / FEW  # an item's call has the item, not the list
    assert few.transactions <= 2 * FEW + 20
    assert many.transactions <= 2 * MANY + 20  # a start and an end
    assert many.peak - few.peak < 4_500 * (MANY - FEW)  # bytes: its state keeps what each step made, to hand it on
    times = {c: min(Drive(nodes[c], c, trace=False).seconds for _ in range(2)) for c in (FEW, MANY)}
    assert math.log(times[MANY] / times[FEW], MANY / FEW) < 1.4, times  # 2 were quadratic
