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
from trikk.runs.back_off import BackOff
from trikk.runs.claims import Claim
from trikk.runs.journals.ledger import Entry
from trikk.runs.outbox import Progress, State

QUEUED, SENDING, ATTEMPTED = "delivery.queued", "delivery.sending", "delivery.attempted"
BACK_OFF = BackOff(first=60.0, longest=86400.0)
"""A mail is never given up: the page is of use as long as its period is, and the next page replaces it."""


def subject_of(report: str, period: str, customer: str) -> str:
    """The ledger's subject of a page's deliveries."""
    return f"report/{report}/delivery/{period}/{customer}"


@dataclass(slots=True)
class Delivery:
    """How far the newest page of a period has come; pages that it has replaced are not sent any more."""

    report: str
    period: str  # the period's label
    customer: str  # whose page; "*" for the one on everything
    digest: str = ""  # of the page
    message: dict[str, JSON] = field(default_factory=dict)  # the mail's artifact, as JSON
    recipients: list[str] = field(default_factory=list)  # everybody who is to get it, as of when it was last made
    run: str = ""  # the run that made it
    reached: dict[str, list[str]] = field(default_factory=dict)  # who has it, by the kind of post
    refused: dict[str, str] = field(default_factory=dict)  # who can't get it, and why
    failed: dict[str, str] = field(default_factory=dict)  # whom the last attempts did not reach, and why
    progress: Progress = field(default_factory=Progress)  # of the attempts to send this page
    seq: int = 0  # of the last entry

    @classmethod
    def fold(cls, subject: str, entries: Iterable[Entry]) -> Delivery:
        """The delivery after these entries of a subject, in order."""
        _, report, _, period, customer = subject.split("/", 4)
        delivery = cls(report, period, customer)
        for entry in entries:
            delivery.apply(entry)
        return delivery

    def apply(self, entry: Entry) -> None:
        """Take one more entry in."""
        body: Mapping[str, Any] = entry.body
        self.seq = entry.seq
        if entry.kind == QUEUED:
            if body["digest"] != self.digest:
                self.reached, self.refused, self.failed = {}, {}, {}
                # Its pauses begin anew; but whoever is sending the page before it is waited for.
                self.progress.attempts = 0
                if self.progress.state is not State.SENDING:
                    self.progress = Progress()
            self.digest, self.message, self.run = body["digest"], body["message"], body["run"]
            self.recipients = list(body["recipients"])
            # Of those who do not get it any more, nothing is outstanding.
            self.failed = {who: why for who, why in self.failed.items() if who in self.recipients}
        elif entry.kind == SENDING:
            self.progress.begin(Claim.read(entry.at, body), entry.at)
        elif entry.kind == ATTEMPTED and body["digest"] != self.digest:
            self.progress = Progress()  # of a page that was replaced while it was sent
        elif entry.kind == ATTEMPTED:
            # Never delivered for good: those who subscribe later, or have it as a file alone, get it yet.
            self.progress.end(State.FAILED, entry.at)
            self._attempted(body)

    def _attempted(self, body: Mapping[str, Any]) -> None:
        self.reached.setdefault(body["kind"], []).extend(body["reached"])
        self.refused |= body["refused"]
        self.failed = {a: why for a, why in self.failed.items() if a not in body["reached"]} | body["failed"]

    def outstanding(self, kind: str, subscribers: Collection[str]) -> list[str]:
        """Who of those that subscribe by now has yet to get it by this kind of post."""
        # A server refuses an address, a folder none: with another kind of post it is tried once more.
        done = {*self.reached.get(kind, ()), *(self.refused if kind == "smtp" else ())}
        return [one for one in self.recipients if one in subscribers and one not in done]

    def waiting(self, kind: str, subscribers: Collection[str]) -> list[str]:
        """The same without those who have it by another kind of post."""
        reached = {one for people in self.reached.values() for one in people}
        return [one for one in self.outstanding(kind, subscribers) if one not in reached]

    def outcome(self) -> dict[str, Any]:
        """Whom it has reached by any kind of post, whom not (yet), and why, as `--json` shows it."""
        return {
            "customer": self.customer,
            "digest": self.digest,
            "recipients": self.recipients,
            "reached": sorted({one for reached in self.reached.values() for one in reached}),
            "refused": self.refused,
            "failed": self.failed,
        }
