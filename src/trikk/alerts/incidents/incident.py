"""An incident as its entries tell it: the fold of what was decided, told, started and done by hand. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import msgspec

from trikk.alerts.incidents.decision import Change, Decision, Mute
from trikk.alerts.rules.kinds import read_rule
from trikk.alerts.rules.rule import Point, Rule, Severity
from trikk.core.values import JSON
from trikk.execution.once import CLAIMED, KINDS, Attempt, take_in
from trikk.runs.claims import Claim
from trikk.runs.journals.ledger import Entry
from trikk.runs.outbox import Progress, State

STARTING = CLAIMED
SENDING = "message.sending"
DELIVERED = "message.delivered"
UNDELIVERED = "message.failed"
GIVEN_UP = "message.given_up"
_ENDS = {DELIVERED: State.DELIVERED, UNDELIVERED: State.FAILED, GIVEN_UP: State.GIVEN_UP}


class IncidentState(StrEnum):
    """How far an incident has come."""

    NONE = ""
    OPEN = "open"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Note:
    """What somebody has written down about an incident."""

    at: float  # seconds since 1970
    by: str
    text: str


@dataclass(slots=True)
class Incident:
    """Everything that is known of one incident."""

    id: str  # the cause and a number
    cause: str  # what it is about; one incident of a cause is open at most
    number: int  # the how-many-th of its cause
    state: IncidentState = IncidentState.NONE  # open or resolved; none before it is opened
    rule: Rule = field(default_factory=lambda: Rule(name=""))  # the rule that opened it, as it was then
    subject: str = ""  # the monitor or pipeline
    part: tuple[str, str] | None = None  # the slice, or None
    title: str = ""  # in a few words
    severity: Severity = Severity.ALARM  # its rule's, when it was opened
    opened: float = 0.0  # seconds since 1970, as are the other times
    opened_why: str = ""
    point: Point | None = None  # what was seen last
    since: float = 0.0  # since when it was bad
    resolved: float | None = None  # when it was resolved; None while it is open
    resolved_by: str = ""  # who did it by hand; "" if the condition was good again
    resolved_why: str = ""
    acknowledged: str = ""  # by whom; "" for nobody
    # the last one; None if there is none, or people were told again since it was over
    mute: Mute | None = None
    mutes: int = 0  # how often it was muted, and `unmutes` how often that came to an end that was written down
    unmutes: int = 0
    notes: list[Note] = field(default_factory=list)  # oldest first
    escalated: float | None = None  # when it was last escalated, and `escalations` how often
    escalations: int = 0
    updates: int = 0
    # what people are told, oldest first, each with what was seen last, then
    told: list[Decision] = field(default_factory=list)
    # the badness that was told at the worst; if that was in a unit that points no longer have, the first one in
    # theirs, so that a new way to measure is not told as news
    worst_told: float = 0.0
    worst_unit: str = ""
    # marks of points for which a new opening was held back after it was resolved
    suppressed: list[str] = field(default_factory=list)
    starts: list[Attempt] = field(default_factory=list)  # attempts to start its pipeline
    deliveries: dict[tuple[str, str], Progress] = field(default_factory=dict)  # by message and channel
    seq: int = 0  # of its last entry; 0 if there is none

    @classmethod
    def fold(cls, cause: str, number: int, entries: Iterable[Entry]) -> Incident:
        """The incident after these entries."""
        incident = cls(f"{cause}-{number}", cause, number)
        for entry in entries:
            incident.apply(entry)
        return incident

    @property
    def is_open(self) -> bool:
        """Whether it has been opened and not resolved."""
        return self.state == IncidentState.OPEN

    def is_muted(self, now: float) -> bool:
        """Whether nobody is told anything of it at a time, seconds since 1970."""
        return self.mute is not None and self.mute.counts(now)

    @property
    def seen_until(self) -> float | None:
        """The end of the newest point that it has taken in."""
        return None if self.point is None else self.point.at

    @property
    def is_finished(self) -> bool:
        """Whether it is resolved, what it had to tell has arrived or was given up, and what it queued is over."""
        if self.state != IncidentState.RESOLVED or any(attempt.is_queued for attempt in self.starts):
            return False
        ways = ((message.key, channel) for message in self.told for channel in message.channels)
        return all(self.delivery(*way).state.is_over for way in ways)

    def apply(self, entry: Entry) -> None:
        """Take one more entry in; kinds that it does not know change nothing."""
        # Also of kinds that are not known: `after=` refuses a decision that has not seen them.
        self.seq = entry.seq
        decision = Decision.read(entry)
        if decision is not None:
            self._take_in(decision)
        elif entry.kind in KINDS:
            take_in(self.starts, entry)
        elif entry.kind in (SENDING, DELIVERED, UNDELIVERED, GIVEN_UP):
            self._on_its_way(entry, entry.body)

    def _on_its_way(self, entry: Entry, body: Mapping[str, Any]) -> None:
        delivery = self.deliveries.setdefault((body["message"], body["channel"]), Progress())
        if entry.kind == SENDING:
            delivery.begin(Claim.read(entry.at, body), entry.at)
        else:
            delivery.end(_ENDS[entry.kind], entry.at, body.get("why", ""))

    def _take_in(self, decision: Decision) -> None:
        if decision.point is not None:
            self._see(decision.point)
        match decision.kind:
            case Change.OPENED:
                self._open(decision)
            case Change.UPDATED:
                self.updates += 1
            case Change.ESCALATED:
                self.escalated, self.escalations = decision.at, self.escalations + 1
            case Change.SUPPRESSED:
                self.suppressed.append(decision.mark)
            case Change.ACKNOWLEDGED:
                self.acknowledged = decision.by
            case Change.RESOLVED:
                self.state, self.resolved = IncidentState.RESOLVED, decision.at
                self.resolved_by, self.resolved_why = decision.by, decision.why
            case Change.NOTED:
                self.notes.append(Note(decision.at, decision.by, decision.why))
            case _:
                self._change_mute(decision)
        if decision.tell:
            # an escalation sees nothing new: its message shows what was seen last, then
            self.told.append(replace(decision, point=self.point))
            if decision.kind is not Change.RESOLVED and self.point is not None:
                self.worst_told = max(self.worst_told, self.point.badness)

    def _open(self, decision: Decision) -> None:
        opening = decision.opening
        assert opening is not None
        self.rule, self.subject, self.part = read_rule(opening.rule), opening.subject, opening.part
        self.title, self.severity, self.since = opening.title, opening.severity, opening.since
        self.state, self.opened, self.opened_why = IncidentState.OPEN, decision.at, decision.why
        self.mute = decision.mute

    def _change_mute(self, decision: Decision) -> None:
        if decision.kind is Change.MUTED:
            self.mute, self.mutes = decision.mute, self.mutes + 1
            return
        self.unmutes += 1
        if not decision.by:  # people were told
            self.mute = None
        elif self.mute is not None:  # it is over from now on, and people are to be told if it is bad still
            self.mute = msgspec.structs.replace(self.mute, until=min(self.mute.until, decision.at))

    def _see(self, point: Point) -> None:
        self.point = point
        # badness in another unit can't be compared: what is seen first in the new one counts as told
        if point.bad and point.unit != self.worst_unit:
            self.worst_told, self.worst_unit = point.badness, point.unit

    def to_json(self) -> dict[str, JSON]:
        """The incident as `trikk incidents --json` prints it."""
        plain = (
            "id",
            "cause",
            "number",
            "state",
            "subject",
            "title",
            "severity",
            "opened",
            "opened_why",
            "since",
            "resolved",
            "resolved_by",
            "resolved_why",
            "acknowledged",
            "escalations",
            "updates",
        )
        return {
            **{name: getattr(self, name) for name in plain},
            "part": list(self.part) if self.part else None,
            "mute": self.mute.to_json() if self.mute else None,
            "notes": [{"at": note.at, "by": note.by, "text": note.text} for note in self.notes],
            "rule": self.rule.to_json(),
            "point": self.point.to_json() if self.point else None,
            "messages": [
                {
                    "key": t.key,
                    "kind": t.kind.word,
                    "at": t.at,
                    "why": t.why,
                    "channels": {c: self.delivery(t.key, c).state for c in t.channels},
                }
                for t in self.told
            ],
            "starts": [
                {"pipeline": s.pipeline, "parameters": s.parameters, "run": s.run, "state": s.state, "why": s.why}
                for s in self.starts
            ],
        }

    def delivery(self, message: str, channel: str) -> Progress:
        """How far a message has come on a channel."""
        return self.deliveries.get((message, channel), Progress())
