"""What runs ask now, kept in memory for who is asked for it often: of each run only what is new is read.

A run that waits for people costs one look at an index; one that goes on, its new events.
"""

from __future__ import annotations

import threading
from itertools import islice

from trikk.core.values import JSON
from trikk.execution.approvals.decisions import asked_document
from trikk.runs.journals.journal import Journal
from trikk.runs.run_state import RunState
from trikk.runs.states import RunStatus


class ApprovalsMemory:
    """What the runs of a journal ask. Threads may share it.

    Args:
        journal: the project's.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        # By run the number of its last event, and what is asked by then.
        self._waiting: dict[str, tuple[int, list[dict[str, JSON]]]] = {}
        self._going: dict[str, RunState] = {}
        self._lock = threading.Lock()

    def documents(self, most: int) -> list[dict[str, JSON]]:
        """What is asked and nobody has decided, as `trikk approvals --json` lists it; the first so many."""
        with self._lock:
            asked = self._read()
        return list(islice(asked, most))

    def _read(self) -> list[dict[str, JSON]]:
        waiting = [row.id for row in self._journal.runs(state=RunStatus.WAITING, limit=None)]
        going = [
            row.id
            for state in (RunStatus.RUNNING, RunStatus.QUEUED)
            for row in self._journal.runs(state=state, limit=None)
            if row.started is not None  # thousands may wait for their first start, and have asked nothing
        ]
        self._waiting = {run: self._of_waiting(run) for run in waiting}
        self._going = {run: self._of_going(run) for run in going}
        documents = [document for _, asked in self._waiting.values() for document in asked]
        return documents + [document for state in self._going.values() for document in _asked(state)]

    def _of_waiting(self, run: str) -> tuple[int, list[dict[str, JSON]]]:
        known = self._waiting.get(run)
        if known is not None and known[0] == self._journal.last_seq(run):
            return known
        state = self._of_going(run)
        return state.seq, _asked(state)

    def _of_going(self, run: str) -> RunState:
        state = self._going.get(run)
        if state is None:
            return RunState.fold(run, self._journal.events(run))
        for event in self._journal.events(run, after=state.seq):
            state.apply(event)
        return state


def _asked(state: RunState) -> list[dict[str, JSON]]:
    return [asked_document(state, approval) for approval in state.open_approvals()]
