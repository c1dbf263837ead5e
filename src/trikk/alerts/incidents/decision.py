"""What is decided about an incident: one thing, as it is decided, written down, and told to people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from trikk.alerts.rules.rule import Point, Reading, Severity
from trikk.core.errors import UsageError
from trikk.core.record import Record
from trikk.core.values import JSON
from trikk.core.zones import moment_named, zone_of
from trikk.runs.journals.ledger import Entry


class Change(StrEnum):
    """The kinds of decisions, which are the kinds of their entries."""

    OPENED = "incident.opened"
    UPDATED = "incident.updated"
    ESCALATED = "incident.escalated"
    SUPPRESSED = "incident.suppressed"
    ACKNOWLEDGED = "incident.acknowledged"
    RESOLVED = "incident.resolved"
    MUTED = "incident.muted"
    UNMUTED = "incident.unmuted"
    NOTED = "incident.noted"

    @property
    def word(self) -> str:
        """For people and programs: "opened"."""
        return self.value.rpartition(".")[2]


_CHANGES = {change.value: change for change in Change}


class Mute(Record, frozen=True, kw_only=True):
    """Until when nobody is told of an incident, nor of one that its cause opens meanwhile."""

    until: float  # seconds since 1970
    by: str
    why: str

    def counts(self, now: float) -> bool:
        """Whether it still does."""
        return now < self.until


def mute_end(text: str, zone: str, now: float) -> float:
    """When a mute is to end, seconds since 1970.

    Args:
        text: a time, or a day, at whose beginning it ends; ISO.
        zone: whose clock a time without a zone is of.
        now: seconds since 1970.

    Raises:
        UsageError: if it is neither, or is past.
    """
    end = moment_named(text, zone_of(zone)).timestamp()
    if end <= now:
        raise UsageError(f"a mute can't end at {text}, which is past", next="give a later time")
    return end


class Opening(Record, frozen=True, kw_only=True):
    """What an incident is about."""

    rule: dict[str, Any]  # the rule, as JSON
    subject: str  # the monitor, pipeline or table
    part: tuple[str, str] | None = None  # the slice, as (column, value); None for all of it
    title: str  # in a few words
    severity: Severity  # the rule's
    since: float  # since when it was bad, seconds since 1970

    @classmethod
    def of(cls, reading: Reading) -> Opening:
        """What an incident that a reading opens is about."""
        rule, first = reading.rule, reading.points[-reading.bad]
        return cls(
            rule=rule.to_json(),
            subject=reading.subject,
            part=reading.part,
            title=reading.title,
            severity=rule.severity,
            since=first.start,
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """One thing that is done with an incident."""

    kind: Change  # what is done
    key: str  # the entry's identity in the incident, and the name of the message
    why: str  # the reason
    tell: bool = False  # whether people are told
    point: Point | None = None  # what was seen last; None if nothing new was
    opening: Opening | None = None  # what it is about; None if it does not open
    mark: str = ""  # of a point for which an opening is held back; "" for none
    by: str = ""  # who did it by hand; "" for nobody
    mute: Mute | None = None  # that counts from then on; None if nothing was said of that
    at: float = 0.0  # when it was written down, seconds since 1970
    channels: tuple[str, ...] = ()  # names of the channels that get it, once it is written down

    @classmethod
    def read(cls, entry: Entry) -> Decision | None:
        """The decision that an entry tells of; None for entries on something else."""
        change = _CHANGES.get(entry.kind)
        if change is None:
            return None
        body: Any = entry.body
        return cls(
            kind=change,
            key=entry.identity or str(entry.seq),
            why=body.get("why", ""),
            tell="tell" in body,  # with no channel at all it is told nobody, and the cool-down begins all the same
            point=Point.read(body["point"]) if body.get("point") else None,
            opening=Opening.read(body) if change is Change.OPENED else None,
            mark=body.get("mark", ""),
            by=body.get("by", ""),
            mute=Mute.read(body["mute"]) if body.get("mute") else None,
            at=entry.at,
            channels=tuple(body.get("tell", ())),
        )

    def recorded(self, channels: Sequence[str]) -> dict[str, JSON]:
        """The body of its entry."""
        body: dict[str, JSON] = {} if self.opening is None else self.opening.to_json()
        if self.point is not None:
            body["point"] = self.point.to_json()
        if self.mute is not None:
            body["mute"] = self.mute.to_json()
        body |= {name: value for name, value in (("mark", self.mark), ("by", self.by)) if value}
        body["why"] = self.why
        return {**body, "tell": list(channels)} if self.tell else body
