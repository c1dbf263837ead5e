"""Times in which no server was there: found by the next one, for nobody else could."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from trikk.alerts.rules.serving.server_rules import RETURNED, SERVING
from trikk.core.errors import RecordError
from trikk.runs.journals.lease import Holder
from trikk.runs.journals.ledger import Ledger
from trikk.runs.journals.server_beats import Server
from trikk.runs.living_servers import LOST_AFTER, IsAlive, living
from trikk.triggers.clock_triggers import ClockTrigger
from trikk.triggers.declared import Declared
from trikk.triggers.trigger_state import TriggerState, subject_of

_COUNTED = 1000


def note_absence(
    ledger: Ledger,
    known: Sequence[Server],
    triggers: Mapping[str, Declared],
    now: float,
    is_alive: IsAlive = Holder.is_alive,
) -> dict[str, int]:
    """Write down, once, what came due while no server was there.

    Args:
        ledger: where it is written.
        known: the servers that were known before this one began.
        triggers: the project's, by name.
        now: when this one began, seconds since 1970.
        is_alive: tells whether a process lives.

    Returns:
        By trigger how many of its moments came; empty if none came, or a server was there.
    """
    if not known or living(known, now, is_alive):
        return {}
    last = max(known, key=lambda server: server.at)
    if now - last.at <= LOST_AFTER:
        return {}
    begin, end = datetime.fromtimestamp(last.at, UTC), datetime.fromtimestamp(now, UTC)
    due = {
        name: count
        for name, declared in triggers.items()
        if isinstance(declared.trigger, ClockTrigger) and (since := _expected_since(ledger, name, begin, end))
        if (count := declared.trigger.count(since, end, _COUNTED))
    }
    if due:
        # Two servers that return at once have found the same absence.
        identity = f"after {last.id} {last.at!r}"
        ledger.add(SERVING, RETURNED, {"since": last.at, "until": now, "due": {**due}}, at=now, identity=identity)
    return due


def _expected_since(ledger: Ledger, trigger: str, begin: datetime, end: datetime) -> datetime | None:
    """Since when somebody expects a trigger; None if nobody does: it is paused, damaged, or no server has it."""
    try:
        state = TriggerState.of(ledger.last(subject_of(trigger)))
    except RecordError:  # of one that is damaged nothing is started, which `trikk triggers` tells
        return None
    if state is None or state.at(end).paused:
        return None
    return state.due_after(begin) if state.paused else begin
