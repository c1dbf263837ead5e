"""What becomes of an incident: a pure function from what is known and what is seen, with the time passed in.

             bad for `windows` points                good for `windows` points, or by hand
    (none) ---------------------------> open ----------------------------------------------> resolved
              ^                        |    ^                                                   |
              |                        +----+ updated, escalated                                |
              +-------------- bad again, after the cool-down, as the cause's next incident -----+

`turn` says what a look means for whether an incident is open; `decide` says what is written down and told of it.
It gives one decision at a time; whoever applies it looks again, until there is none. Every decision changes what
is known in such a way that it is not made twice.

People are told of an opening, of the all-clear, and between the two at most once in a cool-down, only when it has
become clearly worse than they know, or is unresolved for too long. An incident that somebody has acknowledged is
told again when it ends. Of one that is muted nobody is told anything, its end neither, nor of one that its cause
opens meanwhile; if it is bad when that is over, people are told so once.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol

from trikk.alerts.incidents.decision import Change, Decision, Opening
from trikk.alerts.incidents.incident import Incident
from trikk.alerts.rules.rule import Point, Reading, Rule
from trikk.core.durations import lasting


class Turn(Enum):
    """What a look means for whether an incident of its cause is open."""

    OPEN = auto()
    STAY_OPEN = auto()
    RESOLVE = auto()
    WAIT = auto()
    """It is bad again, within the cool-down."""
    STAY_RESOLVED = auto()
    """It is bad, and somebody who resolved it by hand has seen that."""


class Standing(Protocol):
    """What decides, of a cause's newest incident, what a look means for it; times are seconds since 1970."""

    @property
    def is_open(self) -> bool:
        """Whether it is open; else it was resolved."""

    @property
    def opened(self) -> float:
        """When it was opened."""

    @property
    def resolved(self) -> float | None:
        """When it was resolved; None while it is open."""

    @property
    def resolved_by(self) -> str:
        """Who did it by hand; "" if the condition was good again."""

    @property
    def seen_until(self) -> float | None:
        """The end of the newest point that it has taken in."""


def turn(latest: Standing | None, bad: int, good: int, newest: float, rule: Rule, now: float) -> Turn | None:
    """What a look at a cause means for whether an incident of it is open; None if nothing.

    `bad` or `good` points in a row were the last; the newest ended at `newest`, seconds since 1970.
    """
    if latest is None:
        return Turn.OPEN if bad >= rule.windows else None
    if latest.seen_until is not None and newest < latest.seen_until:
        return None  # somebody has seen more than this already
    if now < max(latest.opened, latest.resolved or 0.0) and not latest.resolved_by:
        return None  # it happened after the time that is asked about
    if latest.is_open:
        return Turn.RESOLVE if good >= rule.windows else Turn.STAY_OPEN
    if bad < rule.windows:
        return None
    if latest.resolved_by and latest.seen_until is not None and newest <= latest.seen_until:
        return Turn.STAY_RESOLVED
    # From the end on, not from the last message: a cause that comes and goes is told once in a cool-down.
    return Turn.WAIT if now < (latest.resolved or 0.0) + rule.cooldown else Turn.OPEN


def decide(latest: Incident | None, reading: Reading, now: float) -> Decision | None:
    """What to do next about a cause; None if nothing."""
    if not reading.points:
        return None
    if latest is not None and not latest.state:
        latest = None
    rule, last = reading.rule, reading.points[-1]
    turned = turn(latest, reading.bad, reading.good, last.at, rule, now)
    if turned is None:
        return None
    if latest is None or turned is Turn.OPEN:
        return _opened(reading, latest, now)
    if turned is Turn.RESOLVE:
        return _resolved(latest, reading, now)
    if turned is Turn.STAY_OPEN:
        return _of_open(latest, reading, now)
    if turned is Turn.WAIT:
        return _held_back(latest, last, f"bad again within the cool-down of {lasting(rule.cooldown)}")
    return _held_back(latest, last, f"nothing new since {latest.resolved_by} resolved it")


def withdrawn(incident: Incident, why: str, now: float) -> Decision:
    """The end of an incident whose rule or subject is there no more."""
    return Decision(Change.RESOLVED, "resolved", why, tell=_is_told_of_end(incident, now))


def start_is_due(incident: Incident) -> bool:
    """Whether the incident's pipeline is still to be started."""
    return incident.is_open and bool(incident.rule.starts) and not incident.starts


def _opened(reading: Reading, before: Incident | None, now: float) -> Decision:
    last = reading.points[-1]
    why = last.text if reading.rule.windows == 1 else f"{last.text}, the {_nth(reading.bad)} time in a row"
    # What comes and goes would else be told of although somebody has muted it.
    mute = before.mute if before is not None and before.is_muted(now) else None
    opening = Opening.of(reading)
    return Decision(Change.OPENED, "opened", why, tell=mute is None, point=last, opening=opening, mute=mute)


def _resolved(incident: Incident, reading: Reading, now: float) -> Decision:
    last = reading.points[-1]
    times = "" if reading.rule.windows == 1 else f", the {_nth(reading.good)} good one in a row"
    tell = _is_told_of_end(incident, now)
    return Decision(Change.RESOLVED, "resolved", f"{last.text}{times}", tell=tell, point=last)


def _is_told_of_end(incident: Incident, now: float) -> bool:
    """Whether people hear that it is over: those who never heard of it need not."""
    return bool(incident.told) and not incident.is_muted(now)


def _of_open(incident: Incident, reading: Reading, now: float) -> Decision | None:
    rule, last = reading.rule, reading.points[-1]
    is_quiet = incident.is_muted(now) or bool(incident.acknowledged) or now < _quiet_until(incident, rule)
    if incident.mute is not None and last.bad and not is_quiet:
        why = f"{last.text}: no longer muted by {incident.mute.by}"
        return Decision(Change.UNMUTED, f"unmuted/{incident.unmutes + 1}", why, tell=True, point=last)
    is_worse = last.bad and last.unit == incident.worst_unit and last.badness > _clearly_worse(incident)
    is_new = incident.point is None or _differs(incident.point, last)
    # What was seen is written down even if nobody is told: an escalation and the next comparison rest on it. Once
    # the cool-down is over, the same point is written again if it is still worse than people know.
    if is_new or (is_worse and not is_quiet):
        return _updated(incident, reading, now, tell=is_worse and not is_quiet)
    if rule.escalate_after and last.bad and now >= _escalation_due(incident) and not is_quiet:
        why = f"unresolved for {lasting(now - incident.opened)} and not acknowledged"
        return Decision(Change.ESCALATED, f"escalated/{incident.escalations + 1}", why, tell=True)
    return None


def _quiet_until(incident: Incident, rule: Rule) -> float:
    """When the cool-down since people were told last is over."""
    return incident.told[-1].at + rule.cooldown if incident.told else incident.opened


def _clearly_worse(incident: Incident) -> float:
    """Beyond which badness there is something to tell."""
    return incident.worst_told * incident.rule.clearly_worse


def _escalation_due(incident: Incident) -> float:
    """When it is told again: after the rule's time, then whenever twice as much has gone by as the last time."""
    lasted = incident.rule.escalate_after
    if incident.escalated is not None:
        # Each time twice as long: a reminder every day for a month is one that nobody reads.
        lasted = max(lasted, 2 * (incident.escalated - incident.opened))
    return incident.opened + lasted


def _updated(incident: Incident, reading: Reading, now: float, *, tell: bool) -> Decision:
    rule, last = reading.rule, reading.points[-1]
    if not last.bad:
        why = f"{last.text}: good {reading.good} of {rule.windows} times that resolve it"
    elif tell:
        why = f"{last.text}: {rule.worse}"
    elif last.unit != incident.worst_unit or last.badness <= _clearly_worse(incident):
        why = f"{last.text}: no worse than was told"
    elif incident.mute is not None and incident.is_muted(now):
        why = f"{last.text}: worse, not told since {incident.mute.by} has muted it"
    elif incident.acknowledged:
        why = f"{last.text}: worse, not told since {incident.acknowledged} knows"
    else:
        left = lasting(_quiet_until(incident, rule) - now)
        why = f"{last.text}: worse, told in {left} at the earliest (cool-down)"
    return Decision(Change.UPDATED, f"updated/{incident.updates + 1}", why, tell=tell, point=last)


def _held_back(incident: Incident, last: Point, why: str) -> Decision | None:
    if last.mark in incident.suppressed:
        return None
    return Decision(Change.SUPPRESSED, f"suppressed/{last.mark}", f"{last.text}: {why}", mark=last.mark)


def _differs(before: Point, now: Point) -> bool:
    return (before.mark, before.bad, before.text) != (now.mark, now.bad, now.text)


def _nth(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10 if number % 100 not in (11, 12, 13) else 0, "th")
    return f"{number}{ending}"
