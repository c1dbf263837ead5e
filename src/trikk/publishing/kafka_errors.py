"""What Kafka's errors mean for a publication: wait, try again later, or mend something first."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from trikk.core.errors import BrokerError, PermanentError, TrikkError
from trikk.core.network.tls import Trouble, client_context, explain, look

if TYPE_CHECKING:
    from trikk.publishing.broker_address import Address
    from trikk.publishing.shipment import Shipment

PREFIX = "trikk-"
_REFUSALS = {
    "_AUTHENTICATION": (
        "it does not know the user, or not this password",
        "check both, and the option mechanism=",
    ),
    "SASL_AUTHENTICATION_FAILED": ("it does not know the user, or not this password", "check both"),
    "UNSUPPORTED_SASL_MECHANISM": ("it does not know this kind of password", "set the option mechanism="),
    "_SSL": ("the connection can't be encrypted", "check the port, and what the broker logs"),
    "TOPIC_AUTHORIZATION_FAILED": ("the user may not write to the topic", "grant Write and Describe on it"),
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED": (
        "the user may not use transactions",
        f"grant Write and Describe on transactional ids that begin with {PREFIX}",
    ),
    "GROUP_AUTHORIZATION_FAILED": (
        "the user may not keep a publication's progress",
        f"grant Read on groups that begin with {PREFIX}",
    ),
    "CLUSTER_AUTHORIZATION_FAILED": ("the user may not write", "grant IdempotentWrite on the cluster"),
    "UNKNOWN_TOPIC_OR_PART": ("there is no such topic, and it makes none by itself", "create the topic"),
    "TOPIC_EXCEPTION": ("it does not take this name of a topic", "choose another"),
    "MSG_SIZE_TOO_LARGE": (
        "a message is larger than it takes",
        "raise max.message.bytes of the topic, or send less",
    ),
    "INVALID_TRANSACTION_TIMEOUT": (
        "it ends transactions too early",
        "set its transaction.max.timeout.ms to 2 min",
    ),
    "INVALID_RECORD": ("it does not take the messages", "a compacted topic wants a key: publish with key="),
    "POLICY_VIOLATION": ("its policy does not allow the messages", "ask who runs it"),
    **dict.fromkeys(
        ("_FENCED", "PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH"),
        (
            "another attempt of this publication has taken over, or it took this one for dead",
            "see which process publishes; if there is none, go on",
        ),
    ),
    "UNSUPPORTED_VERSION": ("it is too old for transactions", "use Apache Kafka 2.5 or newer"),
}
_READING = {
    "TOPIC_AUTHORIZATION_FAILED": ("the user may not read the topic", "grant Read and Describe on it"),
    "GROUP_AUTHORIZATION_FAILED": (
        "the user may not keep how far it has read",
        f"grant Read on groups that begin with {PREFIX}",
    ),
    "UNKNOWN_TOPIC_OR_PART": ("there is no such topic", "create it; it is read from its first message"),
}
_PASSING = {
    "_TRANSPORT",
    "_TIMED_OUT",
    "_TIMED_OUT_QUEUE",
    "_ALL_BROKERS_DOWN",
    "_RESOLVE",
    "_WAIT_COORD",
    "_MSG_TIMED_OUT",
    "LEADER_NOT_AVAILABLE",
    "NOT_LEADER_FOR_PARTITION",
    "REQUEST_TIMED_OUT",
    "BROKER_NOT_AVAILABLE",
    "NETWORK_EXCEPTION",
    "COORDINATOR_LOAD_IN_PROGRESS",
    "COORDINATOR_NOT_AVAILABLE",
    "NOT_COORDINATOR",
    "CONCURRENT_TRANSACTIONS",
    "UNSTABLE_OFFSET_COMMIT",
    "NOT_ENOUGH_REPLICAS",
    "UNKNOWN_TOPIC_OR_PART",
}

_MECHANISMS = re.compile(r"supported mechanisms: ([A-Z0-9,-]+)")
_TLS_HOST = re.compile(r"ssl://(.+?):(\d+)/")

quiet = logging.getLogger("trikk.kafka")
"""Takes what the client's library would print; errors carry what matters of it."""
quiet.addHandler(logging.NullHandler())
quiet.setLevel(logging.CRITICAL + 1)


class Seen:
    """Keeps the last thing that the client complained about in the background.

    Attributes:
        refusal: a complaint that waiting does not mend.
        last: the last one of any kind, as a text.
    """

    def __init__(self) -> None:
        self.refusal: Any = None
        self.last = ""

    def __call__(self, error: Any) -> None:
        """Take a complaint; the client calls this from `poll` and the like.

        It may do so while an error of its own is on its way to us, so nothing is imported here.
        """
        name = error.name()
        if (name in _REFUSALS and not passes(error)) or (name == "_TRANSPORT" and _encryption(error)):
            self.refusal = error
        elif name != "_ALL_BROKERS_DOWN":
            self.last = str(error.str())

    def delivered(self, error: Any, message: Any) -> None:  # noqa: ARG002 - the client's signature
        """A message was given up; the client calls this for failures only."""
        if error is not None:
            self(error)


def passes(error: Any) -> bool:
    """Whether the same call may go well in a moment."""
    return bool(error.retriable()) or error.name() in _PASSING


def refusal(shipment: Shipment, error: Any, sent: int) -> PermanentError | None:
    """The error for a broker that will not take the messages before something was mended; None if it may."""
    cause = lasting_cause(shipment.address, error)
    if cause is None:
        return None
    return PermanentError(cause[0], where=shipment.address.label, next=f"{cause[1]}; {shipment.waiting(sent)}")


def lasting_cause(address: Address, error: Any, *, reading: bool = False) -> tuple[str, str] | None:
    """What is wrong, and what to do, where waiting does not help; None where it may.

    Args:
        address: of the broker.
        error: what the client complained about; None for nothing.
        reading: whether messages are read, not written.
    """
    if error is None:
        return None
    if (trouble := _encryption(error)) is not None:
        seen = _seen_for_oneself(address, error.str()) or trouble
        return f"no connection to the broker: {seen.what}", seen.next
    name = error.name()
    if name not in _REFUSALS:
        return None
    reason, mend = _READING.get(name, _REFUSALS[name]) if reading else _REFUSALS[name]
    if known := _MECHANISMS.search(error.str()):
        reason, mend = (
            _REFUSALS["UNSUPPORTED_SASL_MECHANISM"][0],
            f"set the option mechanism=; it knows {known[1]}",
        )
    return f"the broker refuses: {reason}", address.advice(mend) if "AUTHENTICATION" in name else mend


def away(shipment: Shipment, error: Any, last: str, sent: int) -> TrikkError:
    """The error for a broker that is away: another attempt may go well."""
    text = last or ("it takes no messages" if error is None else error.str())
    if not last and error is not None and error.name() == "_TRANSPORT":
        text = "it ends connections at once; does its port want TLS (kafkas://), or a user and password?"
    problem = f"the broker is away: {shipment.address.hide(text)[:500]}"
    return BrokerError(problem, where=shipment.address.label, next=shipment.waiting(sent))


def _encryption(error: Any) -> Trouble | None:
    """What is wrong with TLS for good, if that is what the client complains about."""
    if error.name() not in ("_SSL", "_TRANSPORT"):
        return None
    trouble = explain(error.str())
    return trouble if trouble is not None and trouble.lasting else None


def _seen_for_oneself(address: Address, text: str) -> Trouble | None:
    """What is wrong with a certificate: the client does not tell, so shake hands with the broker once more."""
    if "certificate verify failed" in text and (place := _TLS_HOST.search(text)):
        return look(place[1].strip("[]"), int(place[2]), client_context(*address.files))
    return None
