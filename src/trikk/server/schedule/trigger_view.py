"""What is shown of triggers, by commands and over HTTP alike: when they come due, what became of their ticks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from trikk.core.clock import iso
from trikk.core.errors import RecordError, UnknownName
from trikk.core.record import Record
from trikk.core.values import JSON
from trikk.runs.journals.journal import Journal, RunRow
from trikk.runs.journals.ledger import Entry, Ledger
from trikk.runs.living_servers import living
from trikk.runs.run_state import RunState
from trikk.runs.states import RunStatus
from trikk.server.schedule.trigger_standing import Standing, standing_of
from trikk.triggers.clock_triggers import ClockTrigger
from trikk.triggers.declaration import Overlap
from trikk.triggers.declared import Declared
from trikk.triggers.due_ticks import next_tick
from trikk.triggers.trigger_state import TriggerEntry, described, subject_of, tick_text

_COMING = 5
_SOURCE = "source "  # in front of a trigger's name, where a server says how its source is
_FIRST_LOOK = 200  # numbers of entries, which all subjects share
_TOLD = ("tick", "run", "why", "by", "until", "first", "last", "count")


class TriggerRow(Record, frozen=True):
    """One line of `trikk triggers`.

    Attributes:
        name: the trigger's name.
        pipeline: what it starts.
        kind: such as `cron`.
        next: when it comes due, ISO in UTC; None for one that waits for events, and while it is paused.
        last: the tick of its newest run; None without one.
        paused: whether nothing is started by it but by hand.
        timezone: by whose clock it is declared.
        paused_until: when the pause ends by itself, ISO in UTC; "", which JSON leaves out, if it does not.
        trouble: why its last entry can't be read, and so nothing is started by it; "", which JSON leaves out, if
            it can.
        source_away: why what it waits for can't be looked at, as a living server says; "", which JSON leaves out,
            if it can.
    """

    name: str
    pipeline: str
    kind: str
    next: str | None
    last: str | None
    paused: bool
    timezone: str = "UTC"
    trouble: str = ""
    paused_until: str = ""
    source_away: str = ""

    def to_json(self) -> dict[str, JSON]:
        """As JSON."""
        return {key: value for key, value in super().to_json().items() if value != ""}


class TriggerDetails(Record, frozen=True):
    """One trigger, as `trikk triggers NAME` shows it.

    Attributes:
        row: its line.
        words: when it comes due, in words.
        where: where it is declared.
        declaration: the trigger as JSON.
        differs: whether servers go by another declaration than this one.
        away: why what it waits for can't be looked at, as a living server says: what, next, since; None if it can.
        held_up: the run that waits for people, and keeps later ones from starting: run, asks, since, and how
            many wait behind it; None if none does.
        coming: the next five moments, ISO in its time zone.
        happened: what became of its last ticks, and who paused it, the newest first: kind, at (ISO in UTC),
            and of tick, run, state, why, by, until, first, last, count those that there are.
    """

    row: TriggerRow
    words: str
    where: str
    declaration: dict[str, Any]
    differs: bool
    away: dict[str, Any] | None
    held_up: dict[str, Any] | None
    coming: tuple[str, ...]
    happened: tuple[dict[str, Any], ...]

    def to_json(self) -> dict[str, JSON]:
        """As JSON, with the line's keys first."""
        return {**self.row.to_json(), **{k: v for k, v in Record.to_json(self).items() if k != "row"}}


def trigger_rows(journal: Journal, triggers: Iterable[Declared], now: float) -> list[TriggerRow]:
    """A line for each trigger, in their order.

    Args:
        journal: where triggers are.
        triggers: the project's.
        now: wall time in seconds since 1970.
    """
    away = _sources_away(journal, now)
    return [
        _row(declared, *_read(journal, declared.name, now), now, away.get(declared.name, {}))
        for declared in triggers
    ]


def trigger_details(journal: Journal, declared: Declared, now: float, *, ticks: int = 10) -> TriggerDetails:
    """One trigger, with what became of its last ticks."""
    name, away = declared.name, _sources_away(journal, now).get(declared.name)
    standing, trouble = _read(journal, name, now)
    differs = standing is not None and (standing.is_retired or standing.state.declaration != described(declared))
    moment = datetime.fromtimestamp(now, UTC)
    coming: list[str] = []
    if isinstance(declared.trigger, ClockTrigger):
        after = moment if standing is None else standing.state.due_after(moment)
        zone = declared.trigger.zone
        coming = [t.astimezone(zone).isoformat() for t in islice(declared.trigger.ticks(after), _COMING)]
    return TriggerDetails(
        row=_row(declared, standing, trouble, now, away or {}),
        words=declared.trigger.in_words(),
        where=declared.where,
        declaration=declared.trigger.to_json(),
        differs=differs,
        away=away,
        held_up=_held_up(journal, declared),
        coming=tuple(coming),
        happened=tuple(_told(journal, entry) for entry in reversed(newest_entries(journal, name, ticks))),
    )


def _sources_away(journal: Journal, now: float) -> dict[str, dict[str, Any]]:
    """What living servers say of sources that are away, by trigger."""
    said = (item for server in living(journal.servers(), now) for item in server.says.items())
    return {name.removeprefix(_SOURCE): trouble for name, trouble in said if trouble and name.startswith(_SOURCE)}


def _held_up(journal: Journal, declared: Declared) -> dict[str, Any] | None:
    """The oldest run of a trigger that waits for people, where others of it have to wait until it is over."""
    if declared.trigger.overlap not in (Overlap.QUEUE, Overlap.SKIP):
        return None
    asking = _rows(journal, declared, RunStatus.WAITING)
    if not asking:
        return None
    run = asking[-1].id
    questions = RunState.fold(run, journal.events(run)).open_approvals()
    return {
        "run": run,
        "asks": [each.question for each in questions],
        "since": iso(min((each.asked for each in questions), default=asking[-1].created)),
        "waiting": len(_rows(journal, declared, RunStatus.QUEUED)),
    }


def _rows(journal: Journal, declared: Declared, state: RunStatus) -> list[RunRow]:
    """The runs of a trigger that are in a state, the newest first."""
    rows = journal.runs(pipeline=declared.pipeline, state=state, limit=None)
    return [row for row in rows if row.origin.get("trigger") == declared.name]


def newest_entries(ledger: Ledger, trigger: str, count: int) -> list[Entry]:
    """The last entries of a trigger, in order; its other entries are not read, however many there are."""
    subject = subject_of(trigger)
    last = ledger.last(subject)
    if last is None:
        return []
    span = _FIRST_LOOK
    while True:
        entries = ledger.entries(subject, after=max(0, last.seq - span))
        if len(entries) >= count or span >= last.seq:
            return entries[-count:]
        span *= 8


def _read(ledger: Ledger, trigger: str, now: float) -> tuple[Standing | None, str]:
    """A trigger's last entry and state, or why they can't be read: what is damaged of one hides no other."""
    try:
        return standing_of(ledger, trigger, datetime.fromtimestamp(now, UTC)), ""
    except RecordError as error:
        return None, error.what


def _row(
    declared: Declared, standing: Standing | None, trouble: str, now: float, away: Mapping[str, Any]
) -> TriggerRow:
    state = None if standing is None or standing.is_retired else standing.state
    tick = next_tick(declared, state, datetime.fromtimestamp(now, UTC))
    is_paused = state is not None and state.paused
    return TriggerRow(
        name=declared.name,
        pipeline=declared.pipeline,
        kind=declared.trigger.kind,
        next=None if tick is None or is_paused or trouble else tick_text(tick),
        last=(state.last_tick or None) if state else None,
        paused=is_paused,
        paused_until=state.paused_until if state is not None else "",
        trouble=trouble,
        timezone=declared.trigger.timezone or "UTC",
        source_away=away.get("what", ""),
    )


def _told(journal: Journal, entry: Entry) -> dict[str, Any]:
    """What an entry tells beside the state; with the state of its run."""
    told: dict[str, Any] = {"kind": str(entry.kind), "at": iso(entry.at)}
    told |= {key: entry.body[key] for key in _TOLD if entry.body.get(key) not in (None, "")}
    if entry.kind in (TriggerEntry.STARTED, TriggerEntry.PASSED) and told.get("run"):
        try:
            told["state"] = str(journal.row(told["run"]).state)
        except UnknownName:
            told["state"] = "unknown"
    return told
