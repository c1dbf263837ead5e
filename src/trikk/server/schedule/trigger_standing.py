"""How a trigger stands, by the last entry of its subject: taken in, retired, paused; by a server or a command.

Whatever is written is written on the condition that the entry that was read still is the last one: if somebody
else was faster, it is read and decided again.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from trikk.core.errors import Conflict, RecordError
from trikk.core.values import JSON
from trikk.runs.journals.ledger import Entry, Ledger
from trikk.triggers.declared import Declared
from trikk.triggers.trigger_state import (
    TRIGGERS,
    TriggerEntry,
    TriggerState,
    adoption,
    body_of,
    subject_of,
    tick_text,
)


@dataclass(slots=True)
class Standing:
    """A trigger as its last entry has it."""

    entry: Entry
    state: TriggerState

    @property
    def is_retired(self) -> bool:
        """Whether it was no longer declared when somebody looked last."""
        return self.entry.kind == TriggerEntry.RETIRED


def standing_of(ledger: Ledger, trigger: str, now: datetime) -> Standing | None:
    """A trigger's last entry, and its state at this time; None if no server has taken it in yet."""
    entry = ledger.last(subject_of(trigger))
    state = TriggerState.of(entry)
    return None if entry is None or state is None else Standing(entry, state.at(now))


def taken_in(ledger: Ledger) -> dict[str, Declared]:
    """The triggers that servers go by, by name: what is known of them without the project's code.

    Those that are no longer declared are left out, and those of which what is written can't be read.
    """
    triggers = {}
    for subject in ledger.subjects(TRIGGERS):
        entry = ledger.last(subject)
        if entry is not None and entry.kind != TriggerEntry.RETIRED:
            with suppress(RecordError):
                triggers[subject.removeprefix(TRIGGERS)] = TriggerState.read(entry.body).declared
    return triggers


def adopt(ledger: Ledger, declared: Declared, now: datetime) -> Standing:
    """Take a trigger in as it is declared now, if that is new; what came before is not due."""
    while True:
        standing = standing_of(ledger, declared.name, now)
        known = None if standing is None or standing.is_retired else standing.state
        state = adoption(known, declared, now)
        if state is None:
            assert standing is not None
            return standing
        if standing is not None:  # it is as it was left in what has nothing to do with when it comes due
            kept = standing.state
            state = replace(
                state,
                paused=kept.paused,
                paused_until=kept.paused_until,
                last_tick=kept.last_tick,
                last_run=kept.last_run,
                unfinished=kept.unfinished,
            )
        after = 0 if standing is None else standing.entry.seq
        if entry := add_after(ledger, declared.name, TriggerEntry.ADOPTED, body_of(state), now, after):
            return Standing(entry, state)


def retire(ledger: Ledger, declared: Mapping[str, Declared], now: datetime) -> list[str]:
    """Write down which triggers are no longer declared; when one is declared again, it begins anew.

    Returns:
        Their names.
    """
    names = []
    for subject in ledger.subjects(TRIGGERS):
        name = subject.removeprefix(TRIGGERS)
        if name in declared:
            continue
        standing = standing_of(ledger, name, now)
        if standing is None or standing.is_retired:
            continue
        body = body_of(standing.state)
        if add_after(ledger, name, TriggerEntry.RETIRED, body, now, standing.entry.seq):
            names.append(name)
    return names


def set_paused(
    ledger: Ledger,
    declared: Declared,
    *,
    paused: bool,
    by: str,
    now: datetime,
    why: str = "",
    until: datetime | None = None,
) -> TriggerState:
    """Pause a trigger, or end its pause; moments of the pause are not made up for.

    Args:
        ledger: where triggers are.
        declared: the trigger.
        paused: whether it is to be paused.
        by: who asks for it.
        now: the time, with its zone.
        why: as whoever asks for it says.
        until: when the pause ends by itself, with its zone; a pause that goes on already ends then.
    """
    end = "" if until is None else tick_text(until)
    kind = TriggerEntry.PAUSED if paused else TriggerEntry.UNPAUSED
    while True:
        standing = as_it_counts(ledger, declared, now)
        if (standing.state.paused, standing.state.paused_until) == (paused, end):
            return standing.state
        state = replace(standing.state, paused=paused, paused_until=end)
        if not paused:
            state = replace(state, cursor=tick_text(now))
        body = body_of(state, by=by, why=why, **({"until": end} if end else {}))
        if add_after(ledger, declared.name, kind, body, now, standing.entry.seq):
            return state


def counts_otherwise(standing: Standing, declared: Declared, now: datetime) -> bool:
    """Whether it is by another declaration that a trigger counts: that of a later release, or none any more."""
    return standing.is_retired or adoption(standing.state, declared, now) is not None


def as_it_counts(ledger: Ledger, declared: Declared, now: datetime) -> Standing:
    """A trigger as servers go by it, be it declared otherwise here; taken in if none knows it.

    A command may be given in a copy of the project that no server serves: that must not change what they go by.
    """
    standing = standing_of(ledger, declared.name, now)
    return adopt(ledger, declared, now) if standing is None or standing.is_retired else standing


def add_after(
    ledger: Ledger, trigger: str, kind: str, body: dict[str, JSON], now: datetime, after: int
) -> Entry | None:
    """The entry that was added; None if somebody else was faster."""
    try:
        return ledger.add(subject_of(trigger), kind, body, at=now.timestamp(), after=after).entry
    except Conflict:
        return None
