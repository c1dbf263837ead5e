"""Runs as their pages read them, once for all who look: to fold thousands of items takes a fifth of a second.

The pages of a run that is over ask again whenever the project changes, those of one that goes on whenever it does,
each in every browser that shows them.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from trikk.console.pages.runs.attempt_times import AttemptTimes, attempt_times
from trikk.core.errors import TrikkError
from trikk.tracking.fold import RunRecord, read_record

if TYPE_CHECKING:
    from trikk.execution.project import Project
    from trikk.pipeline.graph import Graph
    from trikk.runs.run_state import RunState

_KEPT = 3  # runs in memory; one of 5,000 items takes some megabytes


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


class _RunsMemory:
    def __init__(self, project: Project) -> None:
        self._project = project
        self._kept: dict[str, RunRead] = {}  # the one that was asked for last comes last
        self._lock = threading.Lock()

    def read(self, run: str) -> RunRead:
        seq = self._project.journal.last_seq(run)
        with self._lock:  # of many who hear of a change at the same time, one reads
            kept = self._kept.pop(run, None)
            # A graph that was away for a moment is looked for again.
            if kept is None or kept.state.seq < seq or kept.graph is None:
                kept = self._read(run)
            self._kept[run] = kept
            if len(self._kept) > _KEPT:
                del self._kept[next(iter(self._kept))]
        return kept

    def _read(self, run: str) -> RunRead:
        project = self._project
        events = project.journal.events(run)
        state = project.state_after(run, events)
        try:
            graph = project.graph(state)
        except TrikkError:
            graph = None
        return RunRead(state, read_record(project.journal, run, events), graph, attempt_times(events, graph))


@lru_cache(maxsize=1)  # a server has one project
def _memory(project: Project) -> _RunsMemory:
    return _RunsMemory(project)
