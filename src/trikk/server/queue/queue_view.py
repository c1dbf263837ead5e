"""What the queue looks like from one machine: every run that is not over, and where it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection

from trikk.core.logs import tail_of
from trikk.core.settings import Settings
from trikk.core.text import printable, shorten
from trikk.execution.driving.limits import Capacity
from trikk.execution.project import Project
from trikk.runs.events import EventKind
from trikk.runs.journals.journal import RunRow
from trikk.runs.journals.lease import Holder, Lease, may_take
from trikk.runs.living_servers import living
from trikk.runs.states import OVER, RunStatus
from trikk.server.queue.launcher import log_of
from trikk.server.queue.run_needs import Needs
from trikk.server.queue.start_decision import Limits, Place, Unfinished, decide
from trikk.server.queue.start_records import Start, StartRecords

_PROGRESS = (
    EventKind.STEP_SUCCEEDED,
    EventKind.RUN_HANDED_OVER,
    EventKind.RUN_WAITING,
    EventKind.RUN_RESUME_REQUESTED,
)
UNLOADABLE = "the project's code does not load"
_SHOWN = 200  # characters of a driver's last words


class QueueView:
    """The queue as it is now.

    Args:
        project: the project.
        now: wall time in seconds since 1970.
        started_here: whether a run's process is there, of those that this very process has started; None if it has
            started none for it.

    Attributes:
        records: the processes that were started.
        runs: all that are not over.
    """

    def __init__(
        self, project: Project, now: float, started_here: Callable[[str], bool] = lambda _: False
    ) -> None:
        self.project = project
        self._journal = project.journal
        self._now = now
        self._me = Holder.current()
        self._started_here = started_here
        # The rows last: a run that ends meanwhile is not among them, rather than one that has lost its driver.
        self.records = StartRecords(self._journal)
        self._leases = self._journal.leases()
        states = [state for state in RunStatus if state not in OVER]
        rows = [row for state in states for row in self._journal.runs(state=state, limit=None)]
        self.runs = [self._unfinished(row) for row in rows]

    def _unfinished(self, row: RunRow) -> Unfinished:
        start, place = self.records.starts.get(row.id), self._place(row)
        attempts, trouble = 0, ""
        if start is not None and place in (Place.QUEUED, Place.LOST) and not self._has_gone_on(row, start):
            # That a server has died meanwhile is no fault of the run's: it goes on at once.
            attempts = start.attempts - (start.by.is_alive() is False)
            trouble = last_words(self.project, row.id)
        return Unfinished(
            run=row.id,
            pipeline=row.pipeline,
            place=place,
            created=row.created,
            begun=row.started is not None,
            trigger=str(row.origin.get("trigger", "")),
            tick=str(row.origin.get("tick", "")),
            attempts=attempts,
            last=start.at if start else 0.0,
            trouble=trouble,
        )

    def _place(self, row: RunRow) -> Place:
        start, lease = self.records.starts.get(row.id), self._leases.get(row.id)
        if row.state not in (RunStatus.QUEUED, RunStatus.RUNNING):
            return Place.ASKS
        if lease is not None and not self._is_free(lease):
            # What was started by hand takes no slot of the servers': it is up to whoever did so.
            return Place.HERE if start is not None and lease.holder.host == self._me.host else Place.ELSEWHERE
        if start is not None and self._is_on_its_way(row.id, start):
            return Place.HERE if start.by.host == self._me.host else Place.ELSEWHERE
        if row.origin.get("engine") and self.project.is_driven(row.id):
            return Place.ELSEWHERE
        return Place.QUEUED if row.state == RunStatus.QUEUED else Place.LOST

    def _is_free(self, lease: Lease) -> bool:
        return may_take(lease, self._me, lease.holder.is_alive(), self._now).take

    def _is_on_its_way(self, run: str, start: Start) -> bool:
        return self._started_here(run) if start.by == self._me else start.is_fresh(self._now)

    def _has_gone_on(self, row: RunRow, start: Start) -> bool:
        """Whether the run has come further since a process was started for it, or was asked for anew."""
        return any(event.kind in _PROGRESS for event in self._journal.events(row.id, after=start.seq))


def limits_of(settings: Settings) -> Limits:
    """What this machine has for runs, as trikk.toml says or else as it is."""
    machine = Capacity.of_machine()
    slots = settings.server.get("slots", max(16, 8 * (os.cpu_count() or 1)))
    return Limits(slots, float(settings.server.get("memory", machine.memory)), machine.gpus, settings.pools)


def last_words(project: Project, run: str) -> str:
    """The last line that a driver of the run has written on this machine; "" if there is none."""
    lines = tail_of(log_of(project, run), 1)
    return shorten(printable(lines[-1].strip()), _SHOWN) if lines else ""


def why_waiting(project: Project, now: float, runs: Collection[str]) -> dict[str, str]:
    """Why these runs are not driven, for those of them that wait, as a server on this machine would say.

    Args:
        project: the project.
        now: wall time in seconds since 1970.
        runs: their ids.
    """
    view = QueueView(project, now)
    if not {run.run for run in view.runs if run.is_waiting}.intersection(runs):
        return {}
    decision = decide(view.runs, Needs.written(project.journal), limits_of(project.settings), now)
    servers = living(project.journal.servers(), now)
    if not servers:
        nobody = "no server is there to start it: trikk serve, or by hand: trikk resume"
        return {run: f"{nobody} {run}" for run in runs if run in decision.waits or run in decision.start}
    soon = dict.fromkeys(decision.start, "it starts when a server next looks, within a second or two")
    if all(server.says.get("code") for server in servers):
        begun = {run.run for run in view.runs if run.begun}
        reason = f"{UNLOADABLE}: {servers[0].says['code'].get('what')}"
        soon |= {run: reason for run in decision.start if run not in begun}
    return {run: reason for run, reason in (soon | decision.waits).items() if run in runs}
