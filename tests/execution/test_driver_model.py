"""The driver and its frontier over random graphs and outcomes, beside a plain account of what should happen."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from trikk import Retry
from trikk.execution.driving.driver import LEASE_TTL, Driver, Options
from trikk.execution.driving.limits import Capacity
from trikk.execution.step_messages import StepCall, StepResult, failure
from trikk.execution.workers.executor import Ended
from trikk.pipeline.arguments import Argument, Constant, OutputRef
from trikk.pipeline.condition import Condition
from trikk.pipeline.graph import Graph, Node
from trikk.runs.events import EventKind
from trikk.runs.journals.journal import Event
from trikk.runs.journals.lease import Holder
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.runs.lock import Lock
from trikk.runs.run_state import RunState, StepState, Task
from trikk.storage.artifacts import Artifacts
from trikk.storage.stores.memory_store import MemoryStore
from trikk.testing import ManualClock

RUN = "run"
ATTEMPTS = 3


@dataclass
class Plan:
    """One step: where it hangs, and what comes of it.

    `fails` is for each task (one, or one for each item) how many attempts fail; at ATTEMPTS it fails for good.
    """

    name: str
    data: list[str]
    after: list[str]
    asks: str | None
    mapped: bool
    fails: list[int]
    truth: bool
    may: bool = False

    def node(self) -> Node:
        arguments: dict[str, Argument] = {f"a{i}": OutputRef(up) for i, up in enumerate(self.data)}
        if self.mapped:
            arguments["items"] = Constant(list(range(len(self.fails))))
        return Node(
            self.name,
            "m:f",
            arguments,
            mapped="items" if self.mapped else None,
            after=tuple(self.after),
            when=(Condition("true", (OutputRef(self.asks),)),) if self.asks else (),
            retry=Retry(ATTEMPTS, delay=1).to_json(),
            allow_failure=self.may,
        )

    def tasks(self) -> list[Task]:
        return [(self.name, i) for i in range(len(self.fails))] if self.mapped else [(self.name, None)]

    @property
    def succeeds(self) -> bool:
        return all(n < ATTEMPTS for n in self.fails)

    @property
    def value(self) -> bool:
        """Whether a condition on its output holds; a list holds if it is not empty."""
        return bool(self.fails) if self.mapped else self.truth


@st.composite
def plans(draw: st.DrawFn) -> list[Plan]:
    found: list[Plan] = []
    for index in range(draw(st.integers(1, 7))):
        names = [p.name for p in found]
        some = st.lists(st.sampled_from(names), max_size=2, unique=True) if names else st.just([])
        mapped = draw(st.booleans())
        often = st.sampled_from([0, 0, 0, 1, ATTEMPTS])
        fails = draw(st.lists(often, max_size=3)) if mapped else [draw(often)]
        asks = draw(st.sampled_from([None, None, *names]))
        truth, may = draw(st.booleans()), draw(st.booleans())
        found.append(Plan(f"s{index}", draw(some), draw(some), asks, mapped, fails, truth, may))
    return found


def reference(plan: list[Plan]) -> dict[str, str]:
    """What should become of each step if all that can be done is done."""
    state: dict[str, str] = {}
    value = {p.name: p.value for p in plan}
    for p in plan:
        needs = [*p.data, *([p.asks] if p.asks else [])]
        if any(state[up] in ("failed", "blocked") for up in (*needs, *p.after)):
            state[p.name] = "blocked"
        elif any(state[up] in ("skipped", "allowed") for up in needs) or (p.asks and not value[p.asks]):
            state[p.name] = "skipped"
        else:
            state[p.name] = "succeeded" if p.succeeds else "allowed" if p.may else "failed"
    return state


class Crash(BaseException):
    """The driver dies."""


@dataclass
class World:
    """What outlives a driver: the journal, the store, and what the attempts were."""

    plan: list[Plan]
    luck: random.Random
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    artifacts: Artifacts = field(default_factory=lambda: Artifacts(MemoryStore()))
    clock: ManualClock = field(default_factory=ManualClock)
    done: dict[Task, int] = field(default_factory=dict)  # attempts that have ended, by task
    running: dict[str, StepCall] = field(default_factory=dict)

    isolation = "model"
    queues = False

    def __post_init__(self) -> None:
        self.graph = Graph.build("p", (), [p.node() for p in self.plan])
        self.steps = {p.name: p for p in self.plan}
        self.journal.create(RUN, "p", {"lock": Lock().to_json()}, at=0)

    # ---- an executor in which attempts end in any order

    def start(self, task: str, call: StepCall) -> None:
        assert task not in self.running
        self.running[task] = call

    def poll(self, timeout: float) -> list[Ended]:
        if not self.running:
            self.clock.sleep(timeout)
            return []
        task = self.luck.choice(sorted(self.running))
        return [Ended(task, self._result(self.running.pop(task)))]

    def _result(self, call: StepCall) -> StepResult:
        plan, task = self.steps[call.step], (call.step, call.item)
        self.done[task] = self.done.get(task, 0) + 1
        if self.done[task] <= plan.fails[call.item or 0]:
            return failure("raised", "bad luck", retryable=True)
        return StepResult([self.artifacts.save(plan.truth)])

    def stop(self, task: str, *, force: bool) -> None:
        self.running.pop(task, None)

    def close(self) -> None:
        self.running.clear()

    # ---- driving

    def drive(self, *, keep_going: bool, crash_after: int | None = None) -> RunState:
        """Start or resume the run; the driver dies after that many of its events."""
        self.running.clear()
        began = len(self.journal.events(RUN))
        lease = self.journal.acquire(RUN, Holder.current(), ttl=LEASE_TTL, now=self.clock.now())

        def listener(event: Event, state: RunState) -> None:
            again = RunState.fold(RUN, self.journal.events(RUN), self.graph.nodes)
            assert again.to_json() == state.to_json()
            if crash_after is not None and len(self.journal.events(RUN)) - began > crash_after:
                raise Crash

        kind = EventKind.RUN_STARTED if began == 1 else EventKind.RUN_RESUMED
        self.journal.append(RUN, kind, {}, at=self.clock.now(), lease=lease)
        driver = Driver(
            self.graph,
            RunState.fold(RUN, self.journal.events(RUN), self.graph.nodes),
            journal=self.journal,
            lease=lease,
            executor=self,
            artifacts=self.artifacts,
            clock=self.clock,
            capacity=Capacity(self.luck.choice([1.0, 2.0, 8.0]), 1e9, 0, float("inf")),
            options=Options(keep_going=keep_going),
            listener=listener,
        )
        try:
            return driver.drive()
        finally:
            self.journal.release(lease)

    def check_order(self) -> None:
        """No attempt before what it waits for, none beyond its tries, none after its success."""
        over: set[str] = set()
        succeeded: set[tuple[str, Any]] = set()
        open_tasks: set[tuple[str, Any]] = set()
        for event in self.journal.events(RUN):
            step, task = str(event.body.get("step")), (str(event.body.get("step")), event.body.get("item"))
            if event.kind in (EventKind.RUN_STARTED, EventKind.RUN_RESUMED):
                open_tasks.clear()
                over &= {step for step, item in succeeded if item is None}
            elif event.kind == EventKind.STEP_STARTED:
                assert task not in succeeded | open_tasks
                assert set(self.graph.nodes[step].upstream()) <= over
                open_tasks.add(task)
            elif event.kind == EventKind.STEP_SUCCEEDED:
                assert task not in succeeded
                succeeded.add(task)
                open_tasks.discard(task)
                over |= {step} if event.body.get("item") is None else set()
            elif event.kind == EventKind.STEP_FAILED:
                open_tasks.discard(task)
                over |= {step} if event.body.get("allowed") else set()
            elif event.kind == EventKind.STEP_SKIPPED:
                over.add(step)


def states(state: RunState) -> dict[str, str]:
    def told(step: StepState) -> str:
        return "blocked" if step.state == "waiting" else "allowed" if step.allowed else step.state

    return {name: told(step) for name, step in state.steps.items()}


@given(plans(), st.integers(0, 2**32))
@settings(max_examples=70, deadline=None)
def test_keeping_going_does_all_that_can_be_done_and_nothing_twice(plan: list[Plan], luck: int) -> None:
    world, wanted = World(plan, random.Random(luck)), reference(plan)
    state = world.drive(keep_going=True)
    world.check_order()
    assert states(state) == wanted
    assert state.state == ("failed" if "failed" in wanted.values() else "succeeded")
    ran = {t for p in plan if wanted[p.name] in ("succeeded", "failed", "allowed") for t in p.tasks()}
    assert set(world.done) == ran
    for name, item in ran:
        fails = world.steps[name].fails[item or 0]
        assert world.done[name, item] == min(fails + 1, ATTEMPTS)


@given(plans(), st.integers(0, 2**32))
@settings(max_examples=70, deadline=None)
def test_a_failure_stops_what_has_not_begun(plan: list[Plan], luck: int) -> None:
    world, wanted = World(plan, random.Random(luck)), reference(plan)
    state = world.drive(keep_going=False)
    world.check_order()
    if "failed" not in wanted.values():
        assert states(state) == wanted
        return
    assert state.state == "failed"
    unfinished = ("blocked", "retrying", "running")  # items or tries of it were still to come
    for name, step in states(state).items():
        assert step in (wanted[name], *unfinished) or (wanted[name], step) == ("allowed", "failed")
    events = world.journal.events(RUN)
    kinds = [(event.kind, event.body.get("retry_in", 0), event.body.get("allowed")) for event in events]
    first = kinds.index((EventKind.STEP_FAILED, None, None))
    assert EventKind.STEP_STARTED not in [kind for kind, _, _ in kinds[first:]]


@given(plans(), st.integers(0, 2**32), st.lists(st.integers(0, 12), max_size=4))
@settings(max_examples=100, deadline=None)
def test_a_run_whose_drivers_die_ends_as_if_none_had(plan: list[Plan], luck: int, deaths: list[int]) -> None:
    world, wanted = World(plan, random.Random(luck)), reference(plan)
    for death in deaths:
        try:
            world.drive(keep_going=True, crash_after=death)
        except Crash:
            continue
        break
    state = RunState.fold(RUN, world.journal.events(RUN), world.graph.nodes)
    if state.state not in ("succeeded", "failed"):
        state = world.drive(keep_going=True)
    world.check_order()
    if not {"failed", "allowed"} & set(wanted.values()):  # what used up its tries gets new ones in a resumed run
        assert states(state) == wanted
        assert state.state == "succeeded"


@given(plans(), st.integers(0, 2**32), st.integers(0, 30))
@settings(max_examples=50, deadline=None)
def test_folding_at_once_or_one_by_one_gives_the_same_state(plan: list[Plan], luck: int, cut: int) -> None:
    world = World(plan, random.Random(luck))
    world.drive(keep_going=True)
    events = world.journal.events(RUN)
    whole = RunState.fold(RUN, events, world.graph.nodes)
    parts = RunState.fold(RUN, events[:cut], world.graph.nodes)
    for event in events[cut:]:
        parts.apply(event)
    assert parts.to_json() == whole.to_json()
    stored = [Event(v.seq, v.run, v.kind, v.at, json.loads(json.dumps(v.body))) for v in events]
    assert RunState.fold(RUN, stored, world.graph.nodes).to_json() == whole.to_json()
