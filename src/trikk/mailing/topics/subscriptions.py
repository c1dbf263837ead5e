"""Topics with subscribers, apart from code: the fold of the ledger's entries.

Subject `topic/NAME`:
subscriber.asked      address, by, expires: a mail asks whether they want it; nothing is sent until they say so
subscriber.confirmed  address, by, how
subscriber.removed    address, by, how

A topic needs no declaration: it is there as long as somebody subscribes to it. Those that trikk writes to are
`report/NAME` (and `report/NAME/CUSTOMER`), `table/NAME` and `stream/NAME`; `mail(..., to="topic:NAME")` and
a channel `topic:NAME` write to any other.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from trikk.core.errors import Conflict, UsageError
from trikk.core.names import check_name
from trikk.core.record import Record
from trikk.mailing import sns
from trikk.mailing.mail_addresses import check_address
from trikk.runs.journals.ledger import Entry, Follower, Ledger

ASKED, CONFIRMED, REMOVED = "subscriber.asked", "subscriber.confirmed", "subscriber.removed"
KINDS = ("report", "table", "stream")
"""What the first part of a topic with a slash may be."""
TOPIC = "topic:"
"""What a recipient or a channel begins with that is a topic."""
ANSWER_WITHIN = 7 * 86400.0
_ROUNDS = 10  # of losing against others, each of which has changed the topic


class Standing(StrEnum):
    """How an address stands to a topic."""

    ASKED = "asked"
    SUBSCRIBED = "subscribed"


class Subscription(Record, frozen=True):
    """One address and one topic, as `trikk subscriptions --json` prints it.

    Attributes:
        topic: the topic.
        address: a mail address, or `sns:ARN`.
        state: "asked" until the person has confirmed.
        since: when it came to be so, seconds since 1970.
        by: who asked for it.
        expires: until when it can be confirmed, seconds since 1970; None once it is.
        seq: of the entry, so that a link confirms this very question.
    """

    topic: str
    address: str
    state: Standing
    since: float
    by: str
    expires: float | None = None
    seq: int = 0


class Change(Record, frozen=True):
    """The subscription as it is after a command or request, None if there is none, and whether that changed it."""

    subscription: Subscription | None
    changed: bool


def check_topic(text: object) -> str:
    """Return a topic's name: "city", "report/monthly", "table/readings".

    Raises:
        UsageError: if it is none.
    """
    parts = text.split("/") if isinstance(text, str) else []
    most = 3 if parts[:1] == ["report"] else 2
    if not 1 <= len(parts) <= most or (len(parts) > 1 and parts[0] not in KINDS):
        raise UsageError(
            f"{str(text)[:60]!r} is no topic",
            next="use a name such as city, report/NAME, report/NAME/CUSTOMER, table/NAME or stream/NAME",
        )
    for part in parts:
        check_name("topic", part)
    return str(text)


def check_subscriber(text: object) -> str:
    """Return an address that can subscribe: a mail address, or `sns:ARN`.

    Raises:
        UsageError: if it is neither.
    """
    if isinstance(text, str) and text.startswith(sns.PREFIX):
        sns.region_of(text.removeprefix(sns.PREFIX))
        return text
    return check_address(text)


def subject_of(topic: str) -> str:
    """The ledger's subject of a topic."""
    return f"topic/{topic}"


def of_topic(ledger: Ledger, topic: str) -> dict[str, Subscription]:
    """A topic's subscriptions by address, also those that wait for an answer."""
    return _fold(topic, ledger.entries(subject_of(topic)))


def subscribers(ledger: Ledger, topic: str) -> list[str]:
    """Who gets what is sent to a topic, in the order in which they came."""
    return [one.address for one in of_topic(ledger, topic).values() if one.state is Standing.SUBSCRIBED]


class AllSubscriptions:
    """Every subscription, kept in memory: each look reads what is new. Threads may share it.

    Args:
        ledger: where they are written down.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._follower = Follower(ledger, "topic/")
        self._topics: dict[str, dict[str, Subscription]] = {}
        self._listed: list[Subscription] = []
        self._lock = threading.Lock()

    def listed(self) -> list[Subscription]:
        """All of them by topic and address; not to be changed."""
        with self._lock:
            if new := self._follower.new():
                for entry in new:
                    topic = entry.subject.removeprefix("topic/")
                    _take_in(topic, self._topics.setdefault(topic, {}), entry)
                every = (one for by_address in self._topics.values() for one in by_address.values())
                self._listed = sorted(every, key=place_of)
            return self._listed


def place_of(subscription: Subscription) -> tuple[str, str]:
    """Where a subscription is in a list."""
    return subscription.topic, subscription.address


def subscribe(ledger: Ledger, topic: str, address: str, *, by: str, agreed: bool, at: float) -> Change:
    """Have an address get what is sent to a topic, or be asked whether it wants to.

    Args:
        ledger: where it is written down.
        topic: the topic.
        address: who.
        by: who asks for it.
        agreed: whether they are known to want it; else they are to be asked.
        at: the time, seconds since 1970.

    Raises:
        UsageError: if the topic or the address is none.
        Conflict: if others keep changing the topic at this very moment.
    """
    check_topic(topic)
    check_subscriber(address)

    def decide(known: Subscription | None) -> tuple[str, dict[str, Any]] | None:
        if known is not None and known.state is Standing.SUBSCRIBED:
            return None
        if agreed:
            return CONFIRMED, {"address": address, "by": by, "how": "said to have agreed"}
        if known is not None and known.expires is not None and at < known.expires:
            return None  # one question at a time, however often somebody asks for it
        return ASKED, {"address": address, "by": by, "expires": at + ANSWER_WITHIN}

    return _change(ledger, topic, address, decide, at)


def confirm(ledger: Ledger, topic: str, address: str, *, seq: int, at: float) -> Change:
    """Take the yes of somebody who was asked by the entry `seq`.

    Raises:
        UsageError: if that question is no longer open.
        Conflict: as of `subscribe`.
    """

    def decide(known: Subscription | None) -> tuple[str, dict[str, Any]] | None:
        if known is not None and known.state is Standing.SUBSCRIBED:
            return None
        if known is None or known.seq != seq or known.expires is None or at >= known.expires:
            raise UsageError("this link has expired, or was taken back", next="ask to be subscribed again")
        return CONFIRMED, {"address": address, "by": known.by, "how": "confirmed by link"}

    return _change(ledger, topic, address, decide, at)


def unsubscribe(ledger: Ledger, topic: str, address: str, *, by: str, how: str, at: float) -> Change:
    """Have an address get nothing more; the same twice changes nothing. Raises Conflict as `subscribe`."""

    def decide(known: Subscription | None) -> tuple[str, dict[str, Any]] | None:
        return None if known is None else (REMOVED, {"address": address, "by": by, "how": how})

    return _change(ledger, topic, address, decide, at)


def _change(ledger: Ledger, topic: str, address: str, decide: Any, at: float) -> Change:
    """Decide and write it down on condition that nobody has changed the topic meanwhile."""
    subject = subject_of(topic)
    for _ in range(_ROUNDS):
        entries = ledger.entries(subject)
        known = _fold(topic, entries).get(address)
        step = decide(known)
        if step is None:
            return Change(known, False)
        kind, body = step
        try:
            added = ledger.add(subject, kind, body, at=at, after=entries[-1].seq if entries else 0)
        except Conflict:
            continue
        return Change(_fold(topic, [*entries, added.entry]).get(address), True)
    raise Conflict(f"topic {topic} is being changed by others", next="try again")


def _fold(topic: str, entries: Iterable[Entry]) -> dict[str, Subscription]:
    by_address: dict[str, Subscription] = {}
    for entry in entries:
        _take_in(topic, by_address, entry)
    return by_address


def _take_in(topic: str, by_address: dict[str, Subscription], entry: Entry) -> None:
    body: dict[str, Any] = entry.body
    address = body["address"]
    if entry.kind == REMOVED:
        by_address.pop(address, None)
    elif entry.kind == CONFIRMED:
        by_address[address] = Subscription(
            topic, address, Standing.SUBSCRIBED, entry.at, body["by"], None, entry.seq
        )
    elif entry.kind == ASKED:
        by_address[address] = Subscription(
            topic, address, Standing.ASKED, entry.at, body["by"], body["expires"], entry.seq
        )
