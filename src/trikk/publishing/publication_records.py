"""What is written down about a publication, so that the next attempt knows what this one did.

Entries of the ledger, subject `publication/ID`: `publication.begun` (which rows), `publication.sending` (from
now on messages may arrive), `publication.stopped` (an attempt failed, and this is known to have arrived), and
`publication.done`. The state is their fold. When all has arrived there is an entry for the address, too, subject
`published/ADDRESS`, by which rules see that nothing comes. Outside of a run nothing is written down.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from trikk.core.values import JSON

if TYPE_CHECKING:
    from trikk.publishing.broker_messages import Messages
    from trikk.runs.context import StepContext
    from trikk.runs.journals.ledger import Entry, Ledger


PUBLISHED = "published/"
"""Begins the subject of what was published to an address; its label follows."""


class Moment(StrEnum):
    """What happens to a publication: the kinds of its entries."""

    BEGUN = "publication.begun"
    SENDING = "publication.sending"
    STOPPED = "publication.stopped"
    DONE = "publication.done"


@dataclass(frozen=True, slots=True)
class Known:
    """The fold of a publication's entries.

    Attributes:
        digest: of the rows with which it was begun; None if it was not.
        sent: so many messages, from the first on, are known to have arrived.
        open_since: when an attempt began to send whose end is not known, in seconds since 1970; None if none did.
        done: what it returned; None if it is not over.
    """

    digest: str | None = None
    sent: int = 0
    open_since: float | None = None
    done: dict[str, JSON] | None = None


def fold(entries: list[Entry]) -> Known:
    """What is known from a publication's entries."""
    digest: str | None = None
    sent, open_since, done = 0, None, None
    for entry in entries:
        if entry.kind == Moment.BEGUN:
            digest = str(entry.body["digest"])
        elif entry.kind == Moment.SENDING:
            open_since = entry.at
        elif entry.kind == Moment.STOPPED:
            arrived = entry.body["sent"]
            assert isinstance(arrived, int)
            sent, open_since = max(sent, arrived), None
        elif entry.kind == Moment.DONE:
            result = entry.body["result"]
            assert isinstance(result, dict)
            done = result
    return Known(digest, sent, open_since, done)


@dataclass(slots=True)
class PublicationRecords:
    """The entries of one publication.

    Attributes:
        subject: `publication/ID`.
        ledger: where they are; None outside of a run.
        run: the run, for errors; empty outside of one.
        about: what the first entry says: identity, address, run, step.
        known: their fold.
    """

    subject: str
    ledger: Ledger | None
    run: str
    about: dict[str, JSON]
    known: Known = field(default_factory=Known)

    @classmethod
    def of(cls, context: StepContext | None, publication: str, identity: str, label: str) -> PublicationRecords:
        """What is known of a publication; raises JournalError if the ledger can't be read."""
        subject = f"publication/{publication}"
        if context is None:
            return cls(subject, None, "", {})
        about: dict[str, JSON] = {
            "identity": identity,
            "to": label,
            "run": context.run,
            "step": context.step,
            "pipeline": context.pipeline,
        }
        return cls(subject, context.journal, context.run, about, fold(context.journal.entries(subject)))

    def begin(self, messages: Messages, label: str) -> None:
        """Write down which rows it is, and the schema that its readers need."""
        if self.ledger is None:
            return
        schema: dict[str, JSON] = {"content_type": messages.content_type, "schema": messages.schema}
        self.ledger.add(
            f"stream/{label}", "stream.schema", schema, at=time.time(), identity=messages.schema_digest
        )
        body: dict[str, JSON] = {**self.about, "digest": messages.digest, "messages": len(messages)}
        if self.known.digest != messages.digest:
            self._add(Moment.BEGUN, body)

    def sending(self) -> None:
        """Write down that from now on messages may arrive."""
        self._add(Moment.SENDING, {})

    def stopped(self, sent: int) -> None:
        """Write down that an attempt is over and that exactly so many messages have arrived."""
        self._add(Moment.STOPPED, {"sent": sent})

    def done(self, result: dict[str, JSON], arrived: int) -> None:
        """Write down that all have arrived; `arrived` were there before this attempt."""
        if self.ledger is not None:
            # First: once it is done, no attempt comes back here.
            body = {name: self.about[name] for name in ("run", "step")} | {"messages": result["messages"]}
            name = self.subject.removeprefix("publication/")
            subject = f"{PUBLISHED}{result['to']}"
            self.ledger.add(subject, "stream.published", body, at=time.time(), identity=name)
        self._add(Moment.DONE, {"result": result, "found": arrived}, identity="done")

    def _add(self, kind: Moment, body: dict[str, JSON], identity: str | None = None) -> None:
        if self.ledger is not None:
            self.ledger.add(self.subject, kind.value, body, at=time.time(), identity=identity)
