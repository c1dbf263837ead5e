"""The log of changes: who changed what, when, from where, and how it went; by requests and by commands.

A change is written down before it is made, and its outcome after it: no kill lets a change go without a line, and
one that can't be written down is not made. What was refused at the door is a line of its own. These are bounded
(`Refusals`), as strangers make them; what is left out is counted.

Nothing that a request carries gets in but what it is about: names, and the reason that somebody gives.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

from trikk.access.identity import Identity, IdentityKind, Role
from trikk.access.tokens import without_secrets
from trikk.core.clock import Clock, iso
from trikk.core.errors import TrikkError
from trikk.core.record import Record
from trikk.core.text import printable, shorten
from trikk.core.values import JSON
from trikk.runs.journals.ledger import Entry, Ledger
from trikk.web.rate_limits import RateLimit

SUBJECT = "audit"
OUTCOMES = "audit/outcomes"  # each under the `seq` of its change
_LONGEST = 200  # characters of a text
_REFUSED_AT_ONCE, _REFUSED_PAUSE = 50, 60.0  # lines; seconds for each beyond
_log = logging.getLogger("trikk.access")


class AuditEntry(StrEnum):
    """Kinds of entries."""

    CHANGE = "audit.change"
    REFUSED = "audit.refused"
    OUTCOME = "audit.outcome"


class Outcome(StrEnum):
    """How it went."""

    DONE = "done"
    FAILED = "failed"  # it was tried, and the answer was an error
    REFUSED = "refused"  # it was not tried
    UNKNOWN = "unknown"  # it is being done, or the process has ended meanwhile


class AuditLine(Record, frozen=True):
    """One line of the log, as it is shown.

    Attributes:
        seq: its number; greater than those before.
        at: ISO 8601 in UTC.
        who: the caller's name; "" for somebody who gave none.
        kind: how that is known; "" likewise.
        source: the address or the machine that it came from.
        action: what was to be done, such as "pause_trigger".
        target: to what, by name.
        outcome: how it went.
        error: what was wrong, in one line; "" for nothing.
        left_out: refusals that have no line of their own, since the last that has.
    """

    seq: int
    at: str
    who: str
    kind: str
    source: str
    action: str
    target: dict[str, str]
    outcome: Outcome
    error: str = ""
    left_out: int = 0


class AuditPage(Record, frozen=True):
    """Lines, the newest first."""

    lines: list[AuditLine]
    next: str | None  # the cursor of the next page; null on the last


class Change:
    """A change that is being made.

    Attributes:
        made: what it made, by name; added to the line's target.
        error: why it has failed, where that is not raised.
    """

    def __init__(self) -> None:
        self.made: dict[str, str] = {}
        self.error = ""


@contextmanager
def recorded(
    ledger: Ledger, identity: Identity, source: str, action: str, target: Mapping[str, object], clock: Clock
) -> Iterator[Change]:
    """Write a change down, before and after it is made in the block.

    Raises:
        JournalError: if it can't be written down; the block is not begun then.
    """
    about = _about(identity, source, action, target)
    entry = ledger.add(SUBJECT, AuditEntry.CHANGE, about, at=clock.now()).entry
    change = Change()
    try:
        yield change
    except BaseException as problem:
        change.error = _error(problem)
        raise
    finally:
        outcome = Outcome.FAILED if change.error else Outcome.DONE
        body: dict[str, JSON] = {"outcome": outcome, "error": change.error, "target": _texts(change.made)}
        try:
            ledger.add(OUTCOMES, AuditEntry.OUTCOME, body, at=clock.now(), identity=str(entry.seq))
        except TrikkError as problem:  # what was done is done, and its caller has to hear of that
            _log.error("how %s of %s went can't be written down: %s", action, identity.name, problem)


def user_of_machine(name: str) -> tuple[Identity, str]:
    """The user of this machine at a command, and from where they come."""
    return Identity(name, IdentityKind.COMMAND, Role.ADMIN), socket.gethostname()


def read_page(ledger: Ledger, limit: int, before: int | None = None) -> AuditPage:
    """Lines of the log, the newest first.

    Args:
        ledger: the project's.
        limit: how many at most.
        before: only those with a smaller number.
    """
    entries = ledger.newest(SUBJECT, limit + 1, before=before)
    lines = [_line(ledger, entry) for entry in entries[:limit]]
    return AuditPage(lines, str(lines[-1].seq) if len(entries) > limit else None)


class Refusals:
    """Writes down what was refused at a server's door: 50 at once, and one a minute; the others are counted.

    It writes in a thread of its own, and holds nobody up: an answer does not wait for it.

    Args:
        ledger: the project's.
        clock: time.
    """

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "refusals")
        self._lock = threading.Lock()
        self._limit = RateLimit(1 / _REFUSED_PAUSE, _REFUSED_AT_ONCE, most=1)
        self._left_out = 0

    def note(
        self,
        identity: Identity | None,
        source: str,
        action: str,
        target: Mapping[str, object],
        error: BaseException,
    ) -> None:
        """Write one down, if there is room; may be called by any thread."""
        with self._lock:
            if self._limit.wait("", self._clock.monotonic()):
                self._left_out += 1
                return
            left_out, self._left_out = self._left_out, 0
        about = _about(identity, source, action, target)
        body: dict[str, JSON] = {**about, "error": _error(error), "left_out": left_out}
        self._thread.submit(self._write, body, self._clock.now())

    def _write(self, body: dict[str, JSON], at: float) -> None:
        try:
            self._ledger.add(SUBJECT, AuditEntry.REFUSED, body, at=at)
        except TrikkError as error:
            _log.warning("a refusal can't be written down: %s", error)

    def close(self) -> None:
        """Write what was noted, and no more."""
        self._thread.shutdown(wait=False)


def _about(identity: Identity | None, source: str, action: str, target: Mapping[str, object]) -> dict[str, JSON]:
    who: dict[str, JSON] = {"who": "", "kind": ""}
    if identity is not None:
        who = {"who": identity.name, "kind": identity.kind, "role": identity.role, "id": identity.id}
    return {**who, "from": _written(source), "action": action, "target": _texts(target)}


def _texts(target: Mapping[str, object]) -> dict[str, JSON]:
    return {name: _written(str(value)) for name, value in target.items()}


def _error(problem: BaseException) -> str:
    text = problem.what if isinstance(problem, TrikkError) else type(problem).__name__
    return _written(text)


def _written(text: str) -> str:
    return shorten(printable(without_secrets(text)), _LONGEST)


def _line(ledger: Ledger, entry: Entry) -> AuditLine:
    body: dict[str, Any] = entry.body
    target = dict(body["target"])
    outcome, error = Outcome.REFUSED, body.get("error", "")
    if entry.kind == AuditEntry.CHANGE:
        ended = ledger.of_identity(OUTCOMES, str(entry.seq))
        said: dict[str, Any] = {} if ended is None else ended.body
        outcome, error = Outcome(said.get("outcome", Outcome.UNKNOWN)), said.get("error", "")
        target |= said.get("target", {})
    return AuditLine(
        entry.seq,
        iso(entry.at),
        body["who"],
        body["kind"],
        body["from"],
        body["action"],
        target,
        outcome,
        error,
        body.get("left_out", 0),
    )
