"""The engine of triggers: keeps in mind when each comes due next, and looks at those alone that are due.

What it keeps in memory is only that; everything that was decided is in the ledger, where other servers and
commands decide as well. One that is paused, fired or taken in anew by somebody else is seen when it comes due.
"""

from __future__ import annotations

import heapq
import logging
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from trikk.core.errors import JournalError, RecordError, TrikkError, UnknownName
from trikk.core.text import printable
from trikk.execution.project import Project
from trikk.pipeline.graph import Graph
from trikk.pipeline.parameters.trigger_event import Event
from trikk.server.schedule import trigger_actions as actions
from trikk.server.schedule.trigger_actions import Fired, Outcome
from trikk.server.schedule.trigger_standing import adopt, retire
from trikk.triggers.declared import Declared
from trikk.triggers.due_ticks import next_tick

_log = logging.getLogger("trikk.server")
_LONGEST_PAUSE = 5.0
"""Seconds: a clock that is put forward is noticed after so long."""
_AT_ONCE = 1000
"""Moments that one turn decides, so that none takes longer than some seconds."""
_AFTER_TROUBLE = timedelta(seconds=5)
"""How long until a trigger is looked at again that could not be decided, or waits for room in the queue."""
_WHILE_ELSEWHERE = timedelta(seconds=1)
"""How long a trigger is left to another server that decides it."""


class _Look(NamedTuple):
    """When a trigger is looked at next, and the first of its moments that is due then, or has been for long."""

    at: datetime
    due: datetime
    trigger: str


class Engine:
    """All triggers of a project, as one server looks at them. Safe to use from several threads.

    Args:
        project: the project.
        on_queued: called after a run was queued: whoever starts runs need not look for it.
    """

    def __init__(self, project: Project, on_queued: Callable[[], None] = lambda: None) -> None:
        self._project = project
        self._on_queued = on_queued
        self._lock = threading.Lock()
        self._graphs: Mapping[str, Graph] = {}
        self._looks: list[_Look] = []  # a heap
        self.declared: Mapping[str, Declared] = {}
        self._told: dict[str, str] = {}  # by trigger, what the log has of why it can't be decided

    def adopt(self, declared: Mapping[str, Declared], graphs: Mapping[str, Graph], now: float) -> None:
        """Look at these triggers from now on; those that are new or have changed begin at this moment.

        Only for a server whose release counts: the other servers' engines do nothing by a trigger from then on, if
        theirs is another.

        Args:
            declared: all triggers of the project by name, as of `project_triggers`.
            graphs: the pipelines by name.
            now: wall time in seconds since 1970.
        """
        moment = _moment(now)
        looks: list[_Look] = []
        for trigger in declared.values():
            try:
                standing = adopt(self._project.journal, trigger, moment)
            except RecordError as error:  # what is damaged of one holds up no other
                _log.warning("trigger %s can't be taken in: %s", trigger.name, error)
                continue
            # from the cursor and not from now: what came while no server was there is due
            if (tick := next_tick(trigger, standing.state, standing.state.decided)) is not None:
                looks.append(_Look(tick, tick, trigger.name))
        retire(self._project.journal, declared, moment)
        heapq.heapify(looks)
        with self._lock:
            self.declared, self._graphs, self._looks = dict(declared), dict(graphs), looks
            self._told = {}

    def turn(self, now: float) -> float:
        """Decide what is due.

        Args:
            now: wall time in seconds since 1970.

        Returns:
            Seconds until it wants its next turn.

        Raises:
            TrikkError: if the journal can't be read or written; what is due stays due.
        """
        moment, left = _moment(now), _AT_ONCE
        while left > 0 and (taken := self._take_due(moment)) is not None:
            look, declared = taken
            again = look._replace(at=moment)
            try:
                outcome = self._decide(declared, moment, left)
                left -= max(1, len(outcome.fired))
                again = _look_after(outcome, declared, moment, is_whole=left > 0)
            except JournalError:
                raise  # nobody else's turn would go better
            except TrikkError as error:
                again = look._replace(at=moment + _AFTER_TROUBLE)
                self._tell(declared.name, error.what, str(error))
            except BaseException:
                again = look._replace(at=moment + _AFTER_TROUBLE)
                raise
            finally:  # what is due stays due, whatever goes wrong
                with self._lock:
                    if self.declared.get(declared.name) is declared:
                        heapq.heappush(self._looks, again)
        with self._lock:
            pause = (self._looks[0].at - moment).total_seconds() if self._looks else _LONGEST_PAUSE
        return min(_LONGEST_PAUSE, max(0.0, pause))

    def deliver(self, trigger: str, event: Event, now: float) -> Fired:
        """Start the run that an event calls for, unless it has one; it may be given again without harm.

        Args:
            trigger: the trigger's name.
            event: what has happened.
            now: wall time in seconds since 1970.

        Returns:
            The run, or why there is none; if it `waits` (the trigger is paused, or not there), nothing was
            decided, and the event is to be given again later.

        Raises:
            TrikkError: if it can't be written down: it is to be given again later.
        """
        declared = self.declared.get(trigger)
        if declared is None:
            return Fired(waits=True, why=f"there is no trigger {printable(trigger)}")
        fired = actions.give_event(self._project, declared, self._graph(declared), event, _moment(now))
        if fired.run and not fired.repeated:
            self._log_queued(declared, fired)
            self._on_queued()
        return fired

    def lag(self, now: float) -> float:
        """Seconds for which the moment that is due and undecided for longest has been due; 0 if none is."""
        moment = _moment(now)
        with self._lock:
            first = min((look.due for look in self._looks), default=moment)
        return max(0.0, (moment - first).total_seconds())

    def _take_due(self, moment: datetime) -> tuple[_Look, Declared] | None:
        """A look whose time has come, which is out of the heap then, and its trigger; None if there is none."""
        with self._lock:
            if not self._looks or self._looks[0].at > moment:
                return None
            look = heapq.heappop(self._looks)
            return look, self.declared[look.trigger]

    def _decide(self, declared: Declared, moment: datetime, at_most: int) -> Outcome:
        outcome = actions.decide_due(self._project, declared, self._graph(declared), moment, at_most)
        if outcome.waits:
            self._tell(declared.name, outcome.waits, outcome.waits)
        else:
            self._told.pop(declared.name, None)
        with_runs = [each for each in outcome.fired if each.run]
        for each in with_runs:
            self._log_queued(declared, each)
        if with_runs:
            self._on_queued()
        return outcome

    def _log_queued(self, declared: Declared, fired: Fired) -> None:
        _log.info("trigger %s has queued run %s of %s", declared.name, fired.run, declared.pipeline)

    def _graph(self, declared: Declared) -> Graph:
        if declared.pipeline not in self._graphs:
            raise UnknownName("pipeline", declared.pipeline, self._graphs)
        return self._graphs[declared.pipeline]

    def _tell(self, trigger: str, why: str, text: str) -> None:
        if self._told.get(trigger) != why:  # once, not at each look
            _log.warning("trigger %s could not be decided: %s", trigger, text)
        self._told[trigger] = why


def _look_after(outcome: Outcome, declared: Declared, moment: datetime, *, is_whole: bool) -> _Look:
    """When a trigger is looked at after this; at once where not all that was due could be decided in this turn."""
    at = moment
    if outcome.is_elsewhere:
        at += _WHILE_ELSEWHERE
    elif outcome.waits:
        at += _AFTER_TROUBLE
    elif is_whole:
        at = next_tick(declared, None, moment) or datetime.max.replace(tzinfo=UTC)
    return _Look(at, outcome.since or at, declared.name)


def _moment(now: float) -> datetime:
    return datetime.fromtimestamp(now, UTC)
