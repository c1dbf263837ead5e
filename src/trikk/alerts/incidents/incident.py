"""An incident as its entries tell it: the fold of what was decided, told, started and done by hand. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from trikk.alerts.incidents.decision import Change, Decision
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


@dataclass(slots=True)
class Incident:
    """Everything that is known of one incident.

    Attributes:
        id: the cause and a number.
        cause: what it is about; one incident of a cause is open at most.
        number: the how-many-th of its cause.
        state: open or resolved; none before it is opened.
        rule: the rule that opened it, as it was then.
        subject: the monitor or pipeline.
        part: the slice, or None.
        title: in a few words.
        severity: its rule's, when it was opened.
        opened: seconds since 1970, as are the other times.
        point: what was seen last.
        since: since when it was bad.
        resolved: when it was resolved; None while it is open.
        resolved_by: who did it by hand; "" if the condition was good again.
        acknowledged: by whom; "" for nobody.
        escalated: when it was last escalated, and `escalations` how often.
        told: what people are told, oldest first, each with what was seen last, then.
        worst_told: the badness that was told at the worst; if that was in a unit that points no longer have, the
            first one in theirs, so that a new way to measure is not told as news.
        worst_unit: its unit.
        suppressed: marks of points for which a new opening was held back after it was resolved.
        starts: attempts to start its pipeline.
        deliveries: by message and channel.
        seq: of its last entry; 0 if there is none.
    """

    id: str
    cause: str
    number: int
    state: IncidentState = IncidentState.NONE
    rule: Rule = field(default_factory=lambda: Rule(name=""))
    subject: str = ""
    part: tuple[str, str] | None = None
    title: str = ""
    severity: Severity = Severity.ALARM
    opened: float = 0.0
    opened_why: str = ""
    point: Point | None = None
    since: float = 0.0
    resolved: float | None = None
    resolved_by: str = ""
    resolved_why: str = ""
    acknowledged: str = ""
    escalated: float | None = None
    escalations: int = 0
    updates: int = 0
    told: list[Decision] = field(default_factory=list)
    worst_told: float = 0.0
    worst_unit: str = ""
    suppressed: list[str] = field(default_factory=list)
    starts: list[Attempt] = field(default_factory=list)
    deliveries: dict[tuple[str, str], Progress] = field(default_factory=dict)
    seq: int = 0

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

    @property
    def seen_until(self) -> float | None:
        """The end of the newest point that it has taken in."""
        return None if self.point is None else self.point.at

    @property
    def is_finished(self) -> bool:
        """Whether it is resolved, and everything that it had to tell has arrived or was given up."""
        ways = ((message.key, channel) for message in self.told for channel in message.channels)
        return self.state == IncidentState.RESOLVED and all(self.delivery(*way).state.is_over for way in ways)

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
