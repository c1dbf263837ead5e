"""What the pages of runs read, once for all who look, and from then on only what is new.

The pages of a run that is over ask again whenever the project changes, those of one that goes on whenever it does,
each in every browser that shows them. To fold a run of thousands of items takes a fifth of a second; what has
happened to it since the last look, next to nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from trikk.console.pages.runs.attempt_times import AttemptFold, AttemptTimes
from trikk.core.errors import TrikkError
from trikk.runs.events import EventKind
from trikk.tracking.fold import RunRecord, read_record

if TYPE_CHECKING:
    from trikk.execution.project import Project
    from trikk.pipeline.graph import Graph
    from trikk.runs.journals.journal import Event
    from trikk.runs.run_state import RunState

_KEPT = 3  # runs in memory; one of 5,000 items takes some megabytes
_READ_ANEW = (EventKind.RUN_STARTED, EventKind.RUN_RESUMED, EventKind.RUN_FORGOTTEN)
"""After which a run may have another graph, or other events."""


@dataclass(frozen=True, slots=True)
class RunRead:
    """A run after one of its events; all who look share it, and change nothing of it.

    Attributes:
        state: what it is at.
        record: what its steps have logged.
        graph: what it is of; None if it waits in a queue, or clean-up has removed the graph.
        attempts: when each was at it.
    """

    state: RunState
    record: RunRecord
    graph: Graph | None
    attempts: list[AttemptTimes]


def read_run(project: Project, run: str) -> RunRead:
    """A run as it is now.

    Raises:
        UnknownName: if there is no such run.
    """
    return _memory(project).read(run)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A run that was read, and what its next events are added to."""

    read: RunRead
    attempts: AttemptFold


class _RunsMemory:
    def __init__(self, project: Project) -> None:
        self._project = project
        self._kept: dict[str, _Kept] = {}  # the one that was asked for last comes last
        self._lock = threading.Lock()

    def read(self, run: str) -> RunRead:
        seq = self._project.journal.last_seq(run)
        with self._lock:  # of many who hear of a change at the same time, one reads
            kept = self._kept.pop(run, None)
            # A graph that was away for a moment is looked for again.
            if kept is None or kept.read.graph is None:
                kept = self._read(run)
            elif kept.read.state.seq < seq:
                kept = self._read_on(kept)
            self._kept[run] = kept
            if len(self._kept) > _KEPT:
                del self._kept[next(iter(self._kept))]
        return kept.read

    def _read(self, run: str) -> _Kept:
        project = self._project
        events = project.journal.events(run)
        state = project.state_after(run, events)
        try:
            graph = project.graph(state)
        except TrikkError:
            graph = None
        record = read_record(project.journal, run, events)
        fold = AttemptFold(graph)
        fold.take(events)
        return _Kept(RunRead(state, record, graph, fold.attempts()), fold)

    def _read_on(self, kept: _Kept) -> _Kept:
        read = kept.read
        events = self._project.journal.events(read.state.id, after=read.state.seq)
        if _is_read_anew(events):
            return self._read(read.state.id)
        kept.attempts.take(events)
        state, record = read.state.successor(events), read.record.successor(events)
        return _Kept(RunRead(state, record, read.graph, kept.attempts.attempts()), kept.attempts)


def _is_read_anew(events: Sequence[Event]) -> bool:
    """Whether what these events tell can't be added to what was read; what a reused step logged is elsewhere."""
    return any(
        event.kind in _READ_ANEW or (event.kind == EventKind.STEP_CACHED and event.body.get("run"))
        for event in events
    )


@lru_cache(maxsize=1)  # a server has one project
def _memory(project: Project) -> _RunsMemory:
    return _RunsMemory(project)
