"""Starts what may start: runs that wait, and runs whose driver has died. Any number of servers may do so at once.

Each turn reads the queue, decides (`start_decision`), writes down what it starts (`start_records`), and only then
starts processes. Nothing is kept that the next turn, of this server or another, would need: what is lost with a
killed server is a process that was about to be started, and the run waits as before.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from trikk.core.clock import Clock, SystemClock
from trikk.core.errors import LeaseHeld, TrikkError
from trikk.core.text import counted
from trikk.execution.approvals.decisions import expire
from trikk.execution.launch import leased
from trikk.execution.project import Project
from trikk.pipeline.graph import Graph
from trikk.runs.events import EventKind
from trikk.runs.journals.lease import Holder
from trikk.runs.states import RunStatus
from trikk.server.queue.launcher import Launcher
from trikk.server.queue.queue_view import UNLOADABLE, QueueView, limits_of
from trikk.server.queue.run_needs import Needs
from trikk.server.queue.start_decision import Place, Unfinished, decide
from trikk.server.queue.start_records import Start

_EVERY = 1.0  # seconds between looks if nobody wakes it: what other processes ask for is seen then
_BUSY = 0.25  # while runs wait for others to end
_EXPIRE_EVERY = 10.0  # seconds between looks for questions that nobody has decided in time: they wait for days
_SHARE = 0.05  # of a core that looking at a long queue may take
_log = logging.getLogger("trikk.server")


class Dispatcher:
    """The part of a server that has runs driven.

    Args:
        project: the project.
        launcher: starts the processes; closed with the dispatcher.
        clock: time; the machine's if not given.
        is_draining: whether nothing new is to be started.
        is_outdone: whether another server's release counts: then this one begins no run, which would be locked to
            its code, and only goes on with runs that were begun.
        trouble: why the code on the disk does not load; None if it does. Runs wait that would be locked to it.

    Attributes:
        waits: by run why it waits, as of the last turn; replaced, never changed.
    """

    name = "queue"

    def __init__(
        self,
        project: Project,
        launcher: Launcher,
        clock: Clock | None = None,
        is_draining: Callable[[], bool] = lambda: False,
        is_outdone: Callable[[], bool] = lambda: False,
        trouble: Callable[[], TrikkError | None] = lambda: None,
    ) -> None:
        self._project = project
        self._launcher = launcher
        self._clock = clock or SystemClock()
        self._is_draining = is_draining
        self._is_outdone = is_outdone
        self._trouble = trouble
        self._me = Holder.current()
        self._foreign: dict[str, str] = {}  # by run the environment, where it is not this server's
        self._expire_at = 0.0
        self._troubles: dict[str, str] = {}  # by run why no process could be started
        self.waits: Mapping[str, str] = {}

    def learn(self, graphs: Mapping[str, Graph], overlapping: Iterable[str], now: float) -> None:
        """Take in what the project's code declares; whenever it was read anew.

        Args:
            graphs: its pipelines by name.
            overlapping: names of the triggers whose runs may go on side by side.
            now: wall time in seconds since 1970.
        """
        Needs.declared(graphs, overlapping).write(self._project.journal, now)

    def turn(self, now: float) -> float:
        """Start what may start; seconds until there may be more to do, if nobody says so before."""
        began = time.thread_time()
        self._launcher.look()
        if now >= self._expire_at:
            self._expire_at = now + _EXPIRE_EVERY
            expire(self._project.journal, now)
        view = QueueView(self._project, now, self._launcher.is_there)
        runs = {run.run: self._judged(run) for run in view.runs}
        needs, limits = Needs.written(self._project.journal), limits_of(self._project.settings)
        decision = decide(list(runs.values()), needs, limits, now)
        self.waits = decision.waits
        for run in decision.fail:
            self._give_up(runs[run], now)
        if self._is_draining():
            return _EVERY
        if not self._start(view, [runs[run] for run in decision.start], now):
            return 0.0
        pause = _BUSY if decision.start or decision.waits else _EVERY
        if decision.next_at is not None:
            pause = min(pause, max(0.0, decision.next_at - now))
        return max(pause, (time.thread_time() - began) / _SHARE)

    def close(self) -> None:
        """Start no more; runs go on."""
        self._launcher.close()

    def _judged(self, run: Unfinished) -> Unfinished:
        """The run with what this server knows of it beside what is written down."""
        if (environment := self._foreign.get(run.run)) is not None:
            ours = self._project.settings.environment
            return replace(run, hindrance=f"it is of environment {environment}, and this server is of {ours}")
        if run.is_waiting and not run.begun:
            if self._is_outdone():
                return replace(run, hindrance="a server of the release that counts starts it")
            trouble = self._trouble()
            if trouble is not None and not self._launcher.has_code:
                return replace(run, hindrance=f"{UNLOADABLE}: {trouble.what}")
        if run.attempts and run.run in self._troubles:
            return replace(run, trouble=self._troubles[run.run])
        return run

    def _start(self, view: QueueView, runs: Sequence[Unfinished], now: float) -> bool:
        """Start processes for these runs; False if the queue is to be looked at again before any is started."""
        if [run for run in runs if self._is_foreign(run)]:
            return False
        # It was seen without a driver after its lease was read: it may have got one in between, or have ended.
        runs = [run for run in runs if run.place is not Place.LOST or self._is_lost(run)]
        if not runs:
            return True
        journal = self._project.journal
        starts = {
            run.run: Start(self._me, now, run.attempts + 1, journal.last_seq(run.run) if run.begun else 0)
            for run in runs
        }
        if not view.records.add(starts, {run.run for run in view.runs}, now):
            return False
        for run in runs:
            self._troubles.pop(run.run, None)
            try:
                self._launcher.start(run.run)
            except TrikkError as error:
                self._troubles[run.run] = error.what
                _log.warning("%s", error)
        return True

    def _is_foreign(self, run: Unfinished) -> bool:
        """Whether a run is of another environment: its steps would see that one's models, and are left to it."""
        (created,) = self._project.journal.events(run.run, limit=1)  # which says it; a long run has thousands
        environment = str(created.body.get("environment", ""))
        if environment in ("", self._project.settings.environment):
            return False
        self._foreign[run.run] = environment
        return True

    def _is_lost(self, run: Unfinished) -> bool:
        journal = self._project.journal
        return not self._project.is_driven(run.run) and journal.row(run.run).state == RunStatus.RUNNING

    def _give_up(self, run: Unfinished, now: float) -> None:
        """Fail a run that no process gets any further with."""
        if self._is_foreign(run):
            return
        journal = self._project.journal
        said = f", and said: {run.trouble}" if run.trouble else ""
        text = f"no process could drive it: {counted(run.attempts, 'attempt')} in a row ended{said}"
        try:
            with leased(journal, run.run, self._clock) as lease:
                if journal.row(run.run).state in (RunStatus.QUEUED, RunStatus.RUNNING):
                    journal.append(run.run, EventKind.RUN_FAILED, {"error": text}, at=now, lease=lease)
                    _log.warning("run %s was given up: %s", run.run, text)
        except LeaseHeld:
            return  # somebody has just begun to drive it
