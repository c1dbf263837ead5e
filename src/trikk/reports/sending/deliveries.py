"""To whom a page has come: the fold of the ledger's entries on it. Pure.

Subject `report/NAME/delivery/PERIOD/CUSTOMER`:
delivery.queued     digest (of the page), message (the mail's artifact), recipients, run
delivery.sending    digest, recipients, kind (smtp or file), holder (the process)
delivery.attempted  digest, kind, via, reached, refused, failed
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from trikk.core.values import JSON
from trikk.runs.journals.ledger import Entry

QUEUED, SENDING, ATTEMPTED = "delivery.queued", "delivery.sending", "delivery.attempted"
_UNKNOWN = 900.0  # seconds after which a sender of whom nothing is known is taken for dead
_FIRST, _LONGEST = 60.0, 86400.0  # seconds after the first attempt, and at most


def subject_of(report: str, period: str, customer: str) -> str:
    """The ledger's subject of a page's deliveries."""
    return f"report/{report}/delivery/{period}/{customer}"


@dataclass(slots=True)
class Delivery:
    """How far the newest page of a period has come; pages that it has replaced are not sent any more.

    Attributes:
        report: the report.
        period: the period's label.
        customer: whose page; "*" for the one on everything.
        digest: of the page.
        message: the mail's artifact, as JSON.
        recipients: everybody who is to get it, as of when it was last made.
        run: the run that made it.
        reached: who has it, by the kind of post.
        refused: who can't get it, and why.
        failed: whom the last attempts did not reach, and why.
        attempts: how many there were.
        sending: the process that is sending it, as JSON; None if none is.
        at: when the last thing happened, seconds since 1970.
        seq: of the last entry.
    """

    report: str
    period: str
    customer: str
    digest: str = ""
    message: dict[str, JSON] = field(default_factory=dict)
    recipients: list[str] = field(default_factory=list)
    run: str = ""
    reached: dict[str, list[str]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    attempts: int = 0
    sending: Mapping[str, Any] | None = None
    at: float = 0.0
    seq: int = 0

    @classmethod
    def fold(cls, subject: str, entries: Iterable[Entry]) -> Delivery:
        """The delivery after these entries of a subject, in order."""
        _, report, _, period, customer = subject.split("/", 4)
        found = cls(report, period, customer)
        for entry in entries:
            found.apply(entry)
        return found

    def apply(self, entry: Entry) -> None:
        """Take one more entry in."""
        body: Mapping[str, Any] = entry.body
        self.seq, self.at = entry.seq, entry.at
        if entry.kind == QUEUED:
            if body["digest"] != self.digest:
                self.reached, self.refused, self.failed, self.attempts = {}, {}, {}, 0
            self.digest, self.message, self.run = body["digest"], body["message"], body["run"]
            self.recipients = list(body["recipients"])
            self.failed = {who: why for who, why in self.failed.items() if who in self.recipients}
        elif entry.kind == SENDING:
            self.sending = body["holder"]
        elif entry.kind == ATTEMPTED:
            self.sending = None
            if body["digest"] == self.digest:
                self._attempted(body)

    def _attempted(self, body: Mapping[str, Any]) -> None:
        self.attempts += 1
        self.reached.setdefault(body["kind"], []).extend(body["reached"])
        self.refused |= body["refused"]
        self.failed = {a: why for a, why in self.failed.items() if a not in body["reached"]} | body["failed"]

    def outstanding(self, kind: str, subscribers: Collection[str]) -> list[str]:
        """Who of those that subscribe by now has yet to get it by this kind of post."""
        done = {*self.reached.get(kind, ()), *(self.refused if kind == "smtp" else ())}
        return [one for one in self.recipients if one in subscribers and one not in done]

    def waiting(self, kind: str, subscribers: Collection[str]) -> list[str]:
        """The same without those who have it by another kind of post."""
        reached = {one for people in self.reached.values() for one in people}
        return [one for one in self.outstanding(kind, subscribers) if one not in reached]

    def is_resting(self, now: float) -> bool:
        """Whether the pause after the last attempt goes on: 1, 2, 4 ... minutes, a day at most."""
        return self.attempts > 0 and now < self.at + min(_FIRST * 2 ** min(self.attempts - 1, 20), _LONGEST)

    def is_taken(self, alive: bool | None, now: float) -> bool:
        """Whether another process is sending it.

        Args:
            alive: whether the process that began to send it lives; None if that can't be told from here.
            now: the time, seconds since 1970.
        """
        return self.sending is not None and (alive is True or (alive is None and now < self.at + _UNKNOWN))
