"""What is to be done by a trigger: which of its moments have a run, which are skipped, which were missed. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from trikk.pipeline.parameters.trigger_event import Event
from trikk.triggers.clock_triggers import ClockTrigger
from trikk.triggers.declaration import Missed, Overlap
from trikk.triggers.declared import Declared
from trikk.triggers.trigger_state import TriggerState, tick_text

PROMPT = timedelta(minutes=1)
"""How late a moment with `missed="skip"` still has its run: later, nobody was looking when it came."""
COUNTED = 1000
"""How many missed moments of a cron line are counted."""
QUEUED_AT_MOST = 1000
"""How many runs of a trigger may wait for each other; what comes then has to wait itself, or has none."""
LOSSES = 2
"""How often a process may meet another at one trigger's moments before it leaves them to that one for a while.
Each time, all that is due is read and decided anew, and several that go on so slow each other down."""
FULL = f"{QUEUED_AT_MOST} of its runs wait already"
_LEAST = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Start:
    """A tick has its run.

    Attributes:
        event: what the run is for; its `id` is the tick.
        cancels: whether earlier runs of the trigger are cancelled first.
    """

    event: Event
    cancels: bool = False


@dataclass(frozen=True, slots=True)
class Skip:
    """A tick has no run.

    Attributes:
        tick: the scheduled moment as text, or the event's id.
        why: in a sentence.
    """

    tick: str
    why: str


@dataclass(frozen=True, slots=True)
class Miss:
    """Scheduled moments have no run, since nobody was looking when they came.

    Attributes:
        first: the first of them.
        last: the last of them.
        count: how many there are; `COUNTED` for more as well.
        why: in a sentence.
    """

    first: datetime
    last: datetime
    count: int
    why: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Moments stay due: each is to have its run, and there is no room for one now.

    Attributes:
        why: in a sentence.
    """

    why: str


Decision = Start | Skip | Miss | Wait


def due(declared: Declared, state: TriggerState, now: datetime, unfinished: int = 0) -> list[Decision]:
    """What is to be done by the clock, in order; nothing for a trigger that waits for events.

    Args:
        declared: the trigger.
        state: what was decided.
        now: the time, with its zone.
        unfinished: how many of its runs are not over.
    """
    trigger, state = declared.trigger, state.at(now)
    if state.paused or not isinstance(trigger, ClockTrigger):
        return []
    newest = trigger.newest(state.decided, now, trigger.at_most if trigger.missed is Missed.ALL else 1)
    if not newest:
        return []
    decisions: list[Decision] = []
    late = trigger.missed is Missed.SKIP and now - newest[-1] > PROMPT
    until = newest[-1] if late else newest[0] - _LEAST
    if missed := _missed(trigger, state.decided, until):
        decisions.append(missed)
    for tick in () if late else newest:
        event = Event(id=tick_text(tick), kind=trigger.kind, at=tick)
        decisions.append(by_event(declared, state, event, unfinished))
    return decisions


def within(room: int, declared: Declared, decisions: list[Decision]) -> list[Decision]:
    """What can be done of what is due, in order, as long as so many more of the trigger's runs may wait.

    What there is no room for is skipped; with `missed="all"` it waits, since each moment is to have its run. Then
    the oldest come first, and of more than `at_most` that wait, the older ones are missed.
    """
    starts = sum(isinstance(decision, Start) for decision in decisions)
    if starts <= room:
        return decisions
    trigger = declared.trigger
    if isinstance(trigger, ClockTrigger) and trigger.missed is Missed.ALL:  # its starts are its last decisions
        return [*decisions[: len(decisions) - starts + room], Wait(FULL)]
    return [Skip(each.event.id, FULL) if isinstance(each, Start) else each for each in decisions]


def by_event(declared: Declared, state: TriggerState, event: Event, unfinished: int = 0) -> Start | Skip:
    """What is to be done for one event, or one scheduled moment; arguments as of `due`."""
    overlap = declared.trigger.overlap
    if unfinished and overlap is Overlap.SKIP:
        return Skip(event.id, f"run {state.unfinished[-1]} is not over")
    return Start(event, cancels=bool(unfinished) and overlap is Overlap.CANCEL)


def _missed(trigger: ClockTrigger, after: datetime, until: datetime) -> Miss | None:
    """The moments in between, if there are any."""
    last = trigger.newest(after, until, 1)
    first = trigger.next_after(after) if last else None
    if first is None:
        return None
    count = trigger.count(after, until, COUNTED)
    why = "no server was looking when they came"
    if trigger.missed is Missed.LATEST:
        why = "there was a later one when a server looked"
    elif trigger.missed is Missed.ALL:
        why = f"there were {trigger.at_most} later ones when a server looked"
    return Miss(first, last[0], count, why)


def next_tick(declared: Declared, state: TriggerState | None, now: datetime) -> datetime | None:
    """When a trigger comes due next, in UTC; None for one that waits for events.

    Of one that is paused for good, when it would if it were not.
    """
    trigger = declared.trigger
    if not isinstance(trigger, ClockTrigger):
        return None
    return trigger.next_after(now if state is None else state.due_after(now))
