"""Letters, which are mails that are no reports: how far each has come, as the fold of the ledger's entries.

Subject `mail/IDENTITY`:
mail.queued     message (the mail's artifact) or subject, text and html; to (addresses), members (by topic), run
mail.sending    recipients, kind (smtp or file), holder (the process)
mail.reached    the same as below, of the first of many, while an attempt goes on
mail.attempted  kind, via, reached, refused, failed
mail.given_up   why

Subject `mails` is the index of those that are still on their way, so that a look reads no mail of long ago:
mail.listed     letter, since
mail.closed     letter, since
`since` is the `seq` of the index from which on everything is that may still be open.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from trikk.core.values import JSON
from trikk.runs.back_off import BackOff
from trikk.runs.claims import Claim
from trikk.runs.journals.ledger import Entry, Ledger
from trikk.runs.outbox import Progress, State

QUEUED, SENDING, ATTEMPTED, GIVEN_UP = "mail.queued", "mail.sending", "mail.attempted", "mail.given_up"
REACHED = "mail.reached"
INDEX, _LISTED, _CLOSED = "mails", "mail.listed", "mail.closed"
BACK_OFF = BackOff(first=60.0, longest=3600.0, give_up=7 * 86400.0)
"""A mail server may be away for a week; after that a mail is news to nobody."""


def subject_of(identity: str) -> str:
    """The ledger's subject of a letter."""
    return f"mail/{identity}"


@dataclass(slots=True)
class Letter:
    """How far a letter has come.

    Attributes:
        identity: what makes it this one: the run and step that send it, or what it is about.
        queued: what the first entry says; empty before that.
        at: when it was queued, seconds since 1970.
        reached: who has it.
        refused: who can't get it, and why.
        failed: whom the last attempt did not reach, and why.
        kind: how those were reached that have it: "smtp", or "file" where there is no mail server.
        progress: of the attempts.
        seq: of the last entry.
    """

    identity: str
    queued: dict[str, Any] = field(default_factory=dict)
    at: float = 0.0
    reached: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    kind: str = ""
    progress: Progress = field(default_factory=Progress)
    seq: int = 0

    @classmethod
    def read(cls, ledger: Ledger, identity: str) -> Letter:
        """The letter as it is now."""
        letter = cls(identity)
        for entry in ledger.entries(subject_of(identity)):
            letter.apply(entry)
        return letter

    def apply(self, entry: Entry) -> None:
        """Take one more entry in."""
        body: Mapping[str, Any] = entry.body
        self.seq = entry.seq
        if entry.kind == QUEUED:
            self.queued, self.at = entry.body, entry.at
        elif entry.kind == SENDING:
            self.progress.begin(Claim.read(entry.at, body), entry.at)
        elif entry.kind == GIVEN_UP:
            self.progress.end(State.GIVEN_UP, entry.at, body["why"])
        elif entry.kind == REACHED:
            self.reached += body["reached"]
        elif entry.kind == ATTEMPTED:
            self.reached += body["reached"]
            self.refused |= body["refused"]
            self.failed = dict(body["failed"])
            self.kind = body["kind"]
            why = next(iter(self.failed.values()), "")
            self.progress.end(State.FAILED if self.failed else State.DELIVERED, entry.at, why)

    @property
    def members(self) -> dict[str, list[str]]:
        """Who was to get it as a subscriber, by topic."""
        members: dict[str, list[str]] = self.queued.get("members", {})
        return members

    @property
    def recipients(self) -> list[str]:
        """Everybody who was to get it, each once."""
        people = [*self.queued.get("to", ()), *(one for group in self.members.values() for one in group)]
        return list(dict.fromkeys(people))

    def has_settled(self, address: str) -> bool:
        """Whether nothing more is to be done for one of them."""
        return address in self.reached or address in self.refused

    def outcome(self) -> dict[str, JSON]:
        """Whom it has reached, whom not (yet), and why."""
        return {
            "letter": self.identity,
            "recipients": [*self.recipients],
            "reached": [*self.reached],
            "refused": {**self.refused},
            "failed": {**self.failed},
            "state": self.progress.state.value,
        }


def list_letter(ledger: Ledger, identity: str, at: float) -> None:
    """Put a letter into the index: before it is queued, so that none is queued that nobody finds."""
    body: dict[str, JSON] = {"letter": identity, "since": _since(_span(ledger))}
    ledger.add(INDEX, _LISTED, body, at=at)


def close_letter(ledger: Ledger, identity: str, at: float) -> None:
    """Take a letter out of the index, as nothing more happens to it."""
    span = _span(ledger)
    still = [entry for entry in span if entry.body["letter"] != identity]
    since = _since(still) if _open(still) or not span else span[-1].seq + 1
    ledger.add(INDEX, _CLOSED, {"letter": identity, "since": since}, at=at)


def open_letters(ledger: Ledger) -> dict[str, float]:
    """The letters that are still on their way, oldest first, with the time at which each was listed."""
    return {str(entry.body["letter"]): entry.at for entry in _open(_span(ledger))}


def _span(ledger: Ledger) -> list[Entry]:
    """The part of the index in which anything may be open."""
    last = ledger.last(INDEX)
    if last is None:
        return []
    since: Any = last.body["since"]
    return ledger.entries(INDEX, after=since - 1)


def _open(span: Iterable[Entry]) -> list[Entry]:
    letters: dict[JSON, Entry] = {}
    for entry in span:
        if entry.kind == _LISTED:
            letters[entry.body["letter"]] = entry
        else:
            letters.pop(entry.body["letter"], None)
    return list(letters.values())


def _since(span: list[Entry]) -> int:
    """From where on the index has to be read. Only ever too early, if others write at the same time."""
    still = _open(span)
    if still:
        return still[0].seq
    return span[-1].seq + 1 if span else 1
