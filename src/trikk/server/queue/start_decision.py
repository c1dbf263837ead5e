"""Which runs start now, and why the others wait. Pure: facts and the time go in, a decision comes out.

- A run that was begun goes on first, the oldest before the others: it may hold something, and others wait for it.
- Then pipelines take turns: the one of which the fewest runs go on is next, and of its runs the oldest.
- A run of a trigger waits until the older runs of the same trigger are over, unless the trigger allows more.
- A run takes a slot, its memory and its accelerators on the machine that drives it, and a place in each pool that
  its pipeline names, wherever that is. A run that needs more than there is runs alone.
- While a run waits for memory or accelerators, no younger one that needs some goes before it: else it might never
  start.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from trikk.core.clock import iso
from trikk.core.durations import show_bytes
from trikk.core.text import counted
from trikk.runs.back_off import BackOff
from trikk.server.queue.run_needs import Need, Needs

PAUSES = BackOff(first=5.0, longest=320.0)
"""Between attempts to drive a run none of whose steps has succeeded since the attempt before."""
ATTEMPTS = 8
"""Such attempts in a row after which a run fails; with the pauses, ten minutes."""


class Place(StrEnum):
    """Where a run is that is not over."""

    QUEUED = "queued"
    """It waits for its turn."""
    LOST = "lost"
    """It was begun, and nobody drives it."""
    HERE = "here"
    """It is driven, or about to be, by a process that a server on this machine has started."""
    ELSEWHERE = "elsewhere"
    """It is driven by another process, on whatever machine."""
    ASKS = "asks"
    """It waits for people, and needs nothing until then."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A run that is not over.

    Attributes:
        run: its id.
        pipeline: the pipeline's name.
        place: where it is.
        created: wall time in seconds since 1970.
        begun: whether it was ever started.
        trigger: what has started it; "" if no trigger did.
        tick: which of that trigger's moments or events.
        attempts: in a row, to drive it, that were in vain.
        last: when the last of them began, wall time in seconds since 1970.
        trouble: what that one has said last.
        hindrance: why this server can't drive it at all; "" if it can.
    """

    run: str
    pipeline: str
    place: Place
    created: float = 0.0
    begun: bool = False
    trigger: str = ""
    tick: str = ""
    attempts: int = 0
    last: float = 0.0
    trouble: str = ""
    hindrance: str = ""

    @property
    def is_waiting(self) -> bool:
        """Whether a process is to be started for it when its turn comes."""
        return self.place in (Place.QUEUED, Place.LOST)

    @property
    def age(self) -> tuple[float, str, str]:
        """What puts runs in the order in which they were asked for."""
        return (self.created, self.tick, self.run)


@dataclass(frozen=True, slots=True)
class Limits:
    """What there is.

    Attributes:
        slots: runs at once on this machine.
        memory: bytes on this machine.
        gpus: accelerators of this machine.
        pools: places in each pool, for all machines together.
    """

    slots: int
    memory: float
    gpus: int = 0
    pools: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Decision:
    """What is to be done.

    Attributes:
        start: the runs to start, in this order.
        fail: the runs to give up.
        waits: by run why it waits.
        next_at: when one of these comes due by itself, wall time in seconds since 1970; None if none does.
    """

    start: list[str] = field(default_factory=list)
    fail: list[str] = field(default_factory=list)
    waits: dict[str, str] = field(default_factory=dict)
    next_at: float | None = None


def decide(runs: Sequence[Unfinished], needs: Needs, limits: Limits, now: float) -> Decision:
    """Decide what is started now.

    Args:
        runs: all that are not over.
        needs: what the runs of each pipeline take, and which triggers let their runs overlap.
        limits: what there is.
        now: wall time in seconds since 1970.
    """
    decision, free = Decision(), _Free(runs, needs, limits)
    before = _Before(runs, needs)
    ready = [run for run in runs if run.is_waiting and _is_ready(run, before.blocker(run), decision, now)]
    for run in sorted((run for run in ready if run.begun), key=lambda run: run.age):
        free.take_or_wait(run, decision)
    going = Counter(run.pipeline for run in runs if run.begun and run.place is not Place.ASKS)
    queues: dict[str, list[Unfinished]] = defaultdict(list)
    for run in sorted((run for run in ready if not run.begun), key=lambda run: run.age, reverse=True):
        queues[run.pipeline].append(run)
    turns = [(going[pipeline], queue[-1].age, pipeline) for pipeline, queue in queues.items()]
    heapq.heapify(turns)
    while turns:
        count, _, pipeline = heapq.heappop(turns)
        count += free.take_or_wait(queues[pipeline].pop(), decision)
        if queues[pipeline]:
            heapq.heappush(turns, (count, queues[pipeline][-1].age, pipeline))
    return decision


def _is_ready(run: Unfinished, blocker: Unfinished | None, decision: Decision, now: float) -> bool:
    """Whether it may start as far as it is up to the run itself; otherwise the decision says why it waits."""
    due = run.last + PAUSES.pause(run.attempts) if run.attempts else now
    if run.hindrance:
        decision.waits[run.run] = run.hindrance
    elif run.attempts >= ATTEMPTS:
        decision.fail.append(run.run)
    elif now < due:
        decision.next_at = min(due, decision.next_at or due)
        trouble = f" ({run.trouble})" if run.trouble else ""
        failed = counted(run.attempts, "attempt")
        decision.waits[run.run] = f"{failed} to drive it did not get anywhere{trouble}; the next is at {iso(due)}"
    elif blocker is not None:
        asks = ": it waits for a decision, see trikk approvals" if blocker.place is Place.ASKS else ""
        decision.waits[run.run] = f"run {blocker.run} of the same trigger, {run.trigger}, is not over{asks}"
    else:
        return True
    return False


class _Before:
    """Which runs of a trigger are to be over before others of it start."""

    def __init__(self, runs: Sequence[Unfinished], needs: Needs) -> None:
        self._oldest: dict[str, Unfinished] = {}
        self._begun: dict[str, Unfinished] = {}
        for run in sorted(runs, key=lambda run: run.age, reverse=True):
            if run.trigger and run.trigger not in needs.overlapping:
                self._oldest[run.trigger] = run
                if run.begun or not run.is_waiting:
                    self._begun[run.trigger] = run

    def blocker(self, run: Unfinished) -> Unfinished | None:
        """The run that this one waits for; None if it waits for none, as one that was begun does."""
        if run.begun or run.trigger not in self._oldest:
            return None
        oldest = self._oldest[run.trigger]
        return oldest if oldest is not run else self._begun.get(run.trigger)


class _Free:
    """What is left of the limits while a decision is made."""

    def __init__(self, runs: Sequence[Unfinished], needs: Needs, limits: Limits) -> None:
        self._limits, self._needs = limits, needs
        here = [needs.of(run.pipeline) for run in runs if run.place is Place.HERE]
        self._slots = limits.slots - len(here)
        self._memory = limits.memory - sum(need.memory for need in here)
        self._gpus = limits.gpus - sum(need.gpus for need in here)
        # A run that has lost its driver keeps its places: it may be in the middle of what they are there for.
        has_places = [run for run in runs if run.place in (Place.HERE, Place.ELSEWHERE, Place.LOST)]
        self._pools = Counter(pool for run in has_places for pool in needs.of(run.pipeline).pools)
        self._is_awaited = False  # a run waits for memory or accelerators: none may take more of them before it

    def take_or_wait(self, run: Unfinished, decision: Decision) -> bool:
        """Start a run if it fits, or say why it waits; whether it starts."""
        need = self._needs.of(run.pipeline)
        pools = () if run.place is Place.LOST else need.pools
        wait = self._why_not(need, pools)
        if wait:
            decision.waits[run.run] = wait
            return False
        decision.start.append(run.run)
        self._slots -= 1
        self._memory -= need.memory
        self._gpus -= need.gpus
        self._pools.update(pools)
        return True

    def _why_not(self, need: Need, pools: Sequence[str]) -> str:
        for pool in pools:
            places = self._limits.pools.get(pool, 1)
            if self._pools[pool] >= places:
                return f"pool {pool} is full: {self._pools[pool]} of {counted(places, 'place')} taken"
        if self._slots < 1:
            return f"all slots of this machine are taken: {self._limits.slots}"
        memory, gpus = min(need.memory, self._limits.memory), min(need.gpus, self._limits.gpus)
        if not (need.memory or need.gpus):
            return ""
        if self._is_awaited:
            return "an older run waits for memory or accelerators of this machine"
        if memory > self._memory or gpus > self._gpus:
            self._is_awaited = True
            free = f"{show_bytes(max(0.0, self._memory))} and {counted(max(0, self._gpus), 'gpu')}"
            return f"it needs {show_bytes(need.memory)} and {counted(need.gpus, 'gpu')}; free here: {free}"
        return ""
