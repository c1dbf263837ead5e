"""An incident as its entries tell it: the fold of what was decided, told, started and done by hand. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from trikk.alerts.rules.kinds import read_rule
from trikk.alerts.rules.rule import Point, Rule
from trikk.core.values import JSON
from trikk.execution.once import CLAIMED, KINDS, Attempt, take_in
from trikk.runs.claims import Claim
from trikk.runs.journals.ledger import Entry
from trikk.runs.outbox import Progress, State

OPENED = "incident.opened"
UPDATED = "incident.updated"
ESCALATED = "incident.escalated"
SUPPRESSED = "incident.suppressed"
ACKNOWLEDGED = "incident.acknowledged"
RESOLVED = "incident.resolved"
STARTING = CLAIMED
SENDING = "message.sending"
DELIVERED = "message.delivered"
UNDELIVERED = "message.failed"
GIVEN_UP = "message.given_up"
_ENDS = {DELIVERED: State.DELIVERED, UNDELIVERED: State.FAILED, GIVEN_UP: State.GIVEN_UP}
TELLING = (OPENED, UPDATED, ESCALATED, RESOLVED)


@dataclass(frozen=True, slots=True)
class Told:
    """Something that people are told of an incident.

    Attributes:
        key: names the message within the incident.
        kind: of the entry that it tells of.
        at: when it was decided, seconds since 1970.
        why: the decision's reason.
        point: what was seen last, then.
        channels: names of the channels that get it.
    """

    key: str
    kind: str
    at: float
    why: str
    point: Point | None
    channels: tuple[str, ...]


@dataclass(slots=True)
class Incident:
    """Everything that is known of one incident.

    Attributes:
        id: the cause and a number.
        cause: what it is about; one incident of a cause is open at most.
        number: the how-many-th of its cause.
        state: open or resolved; "" before it is opened.
        rule: the rule that opened it, as it was then.
        subject: the monitor or pipeline.
        part: the slice, or None.
        title: in a few words.
        severity: info, warning or alarm.
        opened: seconds since 1970, as are the other times.
        point: what was seen last.
        since: since when it was bad.
        resolved: when it was resolved; None while it is open.
        resolved_by: who did it by hand; "" if the condition was good again.
        acknowledged: by whom; "" for nobody.
        escalated: when it was last escalated, and `escalations` how often.
        told: messages, oldest first.
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
    state: str = ""
    rule: Rule = field(default_factory=lambda: Rule(name=""))
    subject: str = ""
    part: tuple[str, str] | None = None
    title: str = ""
    severity: str = "alarm"
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
    told: list[Told] = field(default_factory=list)
    worst_told: float = 0.0
    worst_unit: str = ""
    suppressed: list[str] = field(default_factory=list)
    starts: list[Attempt] = field(default_factory=list)
    deliveries: dict[tuple[str, str], Progress] = field(default_factory=dict)
    seq: int = 0

    @classmethod
    def fold(cls, cause: str, number: int, entries: Iterable[Entry]) -> Incident:
        """The incident after these entries."""
        found = cls(f"{cause}-{number}", cause, number)
        for entry in entries:
            found.apply(entry)
        return found

    @property
    def is_open(self) -> bool:
        """Whether it has been opened and not resolved."""
        return self.state == "open"

    @property
    def seen_until(self) -> float | None:
        """The end of the newest point that it has taken in."""
        return None if self.point is None else self.point.at

    @property
    def is_finished(self) -> bool:
        """Whether it is resolved, and everything that it had to tell has arrived or was given up."""
        sent = all(
            self.delivery(told.key, channel).state.is_over for told in self.told for channel in told.channels
        )
        return self.state == "resolved" and sent

    def apply(self, entry: Entry) -> None:
        """Take one more entry in; kinds that it does not know change nothing."""
        self.seq = entry.seq
        body: Mapping[str, Any] = entry.body
        if entry.kind in TELLING:
            self._decided(entry.kind, entry.at, body)
            if "tell" in body:
                self._told(entry, body)
        elif entry.kind == SUPPRESSED:
            self.suppressed.append(body["mark"])
        elif entry.kind == ACKNOWLEDGED:
            self.acknowledged = body["by"]
        elif entry.kind in KINDS:
            take_in(self.starts, entry)
        elif entry.kind in (SENDING, DELIVERED, UNDELIVERED, GIVEN_UP):
            self._on_its_way(entry, body)

    def _on_its_way(self, entry: Entry, body: Mapping[str, Any]) -> None:
        delivery = self.deliveries.setdefault((body["message"], body["channel"]), Progress())
        if entry.kind == SENDING:
            delivery.begin(Claim.read(entry.at, body), entry.at)
        else:
            delivery.end(_ENDS[entry.kind], entry.at, body.get("why", ""))

    def _decided(self, kind: str, at: float, body: Mapping[str, Any]) -> None:
        if body.get("point"):
            self.point = Point.read(body["point"])
            if self.point.bad and self.point.unit != self.worst_unit:
                self.worst_told, self.worst_unit = self.point.badness, self.point.unit
        if kind == OPENED:
            part = body.get("part")
            self.rule, self.subject = read_rule(body["rule"]), body["subject"]
            self.part = (part[0], part[1]) if part else None
            self.title, self.severity = body["title"], body["severity"]
            self.state, self.opened, self.since, self.opened_why = "open", at, body["since"], body["why"]
        elif kind == UPDATED:
            self.updates += 1
        elif kind == ESCALATED:
            self.escalated, self.escalations = at, self.escalations + 1
        elif kind == RESOLVED:
            self.state, self.resolved = "resolved", at
            self.resolved_by, self.resolved_why = body.get("by", ""), body["why"]

    def _told(self, entry: Entry, body: Mapping[str, Any]) -> None:
        key = entry.identity or str(entry.seq)
        self.told.append(Told(key, entry.kind, entry.at, body["why"], self.point, tuple(body["tell"])))
        if entry.kind != RESOLVED and self.point is not None:
            self.worst_told = max(self.worst_told, self.point.badness)

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
        found: dict[str, Any] = {name: getattr(self, name) for name in plain}
        return {
            **found,
            "part": list(self.part) if self.part else None,
            "rule": self.rule.to_json(),
            "point": self.point.to_json() if self.point else None,
            "messages": [
                {
                    "key": t.key,
                    "kind": t.kind.rpartition(".")[2],
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
