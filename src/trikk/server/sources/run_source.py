"""Runs of a pipeline that have ended.

The journal is followed by the numbers of its events, so a look costs as much as has happened since the last one.
Where several machines write, an event may become visible after one with a greater number. So what is younger than
a minute is looked at again, and a run is given once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime

from trikk.core.clock import Clock
from trikk.core.errors import UnknownName
from trikk.core.record import Record
from trikk.pipeline.parameters.trigger_event import Event
from trikk.runs.journals.journal import Event as JournalEvent
from trikk.runs.journals.journal import Journal
from trikk.server.sources.source_memory import Kind, Memory

_UNSETTLED = 60.0  # seconds in which an event with a smaller number may still be committed
_FAR = 2_000  # events after which a source writes down how far it is
_BACK = 10_000  # events before the newest that a start looks at again: far more than a minute has


class RunEnd(Record, frozen=True):
    """A run that has ended.

    Attributes:
        seq: the number of the event by which it did.
        run: its id.
        pipeline: of the run.
        state: how it has ended.
        at: when, seconds since 1970.
        replay: whether it was a replay, which changes nothing outside and brings nothing about.
    """

    seq: int
    run: str
    pipeline: str
    state: str
    at: float
    replay: bool


class RunFeed:
    """The ends of runs, read once for all sources; used by one thread.

    Args:
        journal: of the project.
        clock: for what is settled.
        every: seconds between two looks into the journal.

    Attributes:
        settled: the number up to which no other event becomes visible any more.
    """

    def __init__(self, journal: Journal, clock: Clock, every: float = 1.0) -> None:
        self._journal = journal
        self._clock = clock
        self._every = every
        self._looked: float | None = None
        self._ends: dict[int, RunEnd] = {}
        self._heads: deque[tuple[float, int]] = deque()
        self._floor = 0
        self.settled = 0

    def ends(self, after: int) -> list[RunEnd]:
        """Those with a number greater than one, in order, as of a look that is at most `every` seconds old."""
        now = self._clock.monotonic()
        if self._looked is None or now - self._looked >= self._every:
            self._refresh(now)
        if after < self._floor:  # a source that starts, and has to catch up
            old, _ = self._journal.ends(after=after)
            return [end for event in old if (end := self._ends.get(event.seq) or self._read(event))]
        return [self._ends[seq] for seq in sorted(self._ends) if seq > after]

    def newest(self) -> int:
        """The number of the newest event."""
        return self._journal.ends(after=1 << 62)[1]

    def _refresh(self, now: float) -> None:
        if self._looked is None:
            self.settled = max(0, self.newest() - _BACK)
        events, head = self._journal.ends(after=self.settled)
        for event in events:
            if event.seq not in self._ends and (end := self._read(event)):
                self._ends[event.seq] = end
        self._looked = now
        self._heads.append((now, head))
        self._floor = self.settled  # up to which the sources have come by the look before
        while now - self._heads[0][0] >= _UNSETTLED:
            self.settled = self._heads.popleft()[1]
        self._ends = {seq: end for seq, end in self._ends.items() if seq > self._floor}

    def _read(self, event: JournalEvent) -> RunEnd | None:
        try:
            row = self._journal.row(event.run)
        except UnknownName:
            return None
        state = event.kind.removeprefix("run.")
        return RunEnd(event.seq, event.run, row.pipeline, state, event.at, row.origin.get("kind") == "replay")


class RunSource:
    """The ends of one pipeline's runs, as a source of events; arguments as of `Source` and `Memory`.

    Args:
        trigger: the trigger's name.
        pipeline: whose runs.
        state: how they have ended; "" for whichever way.
        feed: what has ended.
        memory: how far it was.
        clock: for the times of entries.
    """

    every = 1.0
    set_aside = (0, "")

    def __init__(
        self, trigger: str, pipeline: str, state: str, feed: RunFeed, memory: Memory, clock: Clock
    ) -> None:
        self.trigger = trigger
        self.place = "runs"
        self._pipeline = pipeline
        self._wanted = state
        self._feed = feed
        self._memory = memory
        self._clock = clock
        self._after: int | None = None
        self._written = 0
        self._seen: list[RunEnd] = []
        self._done: set[str] = set()

    def look(self) -> list[Event]:
        """The ends that are not settled, in the order of the journal."""
        if self._after is None:
            self._after = self._written = self._remembered()
        self._seen = [end for end in self._feed.ends(self._after) if self._is_meant(end)]
        self._advance()
        events: dict[str, Event] = {}
        for end in self._seen:
            at = datetime.fromtimestamp(end.at, UTC)
            if end.seq > self._after and end.run not in self._done:
                event = Event(id=end.run, kind="after-run", at=at, run=end.run, state=end.state)
                events.setdefault(end.run, event)  # a run that failed, and then was resumed, has two ends
        return list(events.values())

    def settle(self, events: Sequence[Event]) -> None:
        """Remember that these have their run."""
        self._done.update(event.id for event in events)
        self._advance()

    def close(self) -> None:
        """There is nothing to give back."""

    def _is_meant(self, end: RunEnd) -> bool:
        return end.pipeline == self._pipeline and self._wanted in ("", end.state) and not end.replay

    def _remembered(self) -> int:
        latest = self._memory.latest()
        if latest is None:
            self._memory.begin_or_move(Kind.BEGUN, {"after": self._feed.newest()}, self._clock.now())
            latest = self._memory.latest() or {"after": self._feed.newest()}
        return int(latest["after"])

    def _advance(self) -> None:
        """Leave behind what is settled in the journal, up to the first end that has no run yet."""
        assert self._after is not None
        waiting = [end.seq - 1 for end in self._seen if end.run not in self._done]
        self._after = max(self._after, min([self._feed.settled, *waiting]))
        self._done &= {end.run for end in self._seen if end.seq > self._after}
        if self._after - self._written >= _FAR:
            self._written = self._after
            if self._memory.begin_or_move(Kind.MOVED, {"after": self._after}, self._clock.now()) is None:
                self._memory.latest()  # another server is about as far; the next entry goes after its own
