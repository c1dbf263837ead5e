"""Whether a call to a webhook comes from who has the secret, and has not come before. Pure.

The scheme is that of Standard Webhooks (https://www.standardwebhooks.com), for which there are libraries in most
languages: `webhook-id`, `webhook-timestamp` (seconds since 1970) and `webhook-signature`, which holds one or more
`v1,BASE64` with a blank between them; signed is `ID.TIMESTAMP.BODY` with HMAC-SHA256. Stripe signs the time too,
but knows the event by its body alone; GitHub signs the body alone, so that an old call can be sent again for
ever.

The id is signed, and is the event's: a caller that tries again with the id of its first try starts one run.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from trikk.core.durations import show_seconds
from trikk.core.errors import UsageError, WebhookRefused
from trikk.pipeline.parameters.trigger_event import Event
from trikk.server.sources.payloads import Unreadable, read_payload

TOLERANCE = 300.0
"""Seconds by which a call's time may differ from ours, either way."""
SECRET_PREFIX = "whsec_"  # noqa: S105 - of a secret, not one
_SHORTEST_SECRET = 24  # bytes, as the scheme wants them
# Without a dot: ID.TIMESTAMP.BODY could otherwise be cut at another place, and stay validly signed.
_ID = re.compile(r"[!-\-/-~]{1,200}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_MAKE = "openssl rand -base64 32"


def read_secret(text: str, hook: str) -> bytes:
    """The key that a secret stands for: base64, with or without `whsec_` before it.

    Raises:
        UsageError: if it is not base64 or shorter than 24 bytes; it is not repeated.
    """
    try:
        key = base64.b64decode(text.strip().removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) < _SHORTEST_SECRET:
        raise UsageError(
            f"the secret of webhook {hook} is not {_SHORTEST_SECRET} bytes or more in base64",
            next=f"make one: {_MAKE}",
        )
    return key


def sign(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature` for a call; what a caller does, and tests do."""
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def verify(
    headers: Mapping[str, str],
    body: bytes,
    keys: Sequence[bytes],
    now: float,
    *,
    hook: str,
    tolerance: float = TOLERANCE,
) -> Event:
    """The event that a call brings.

    Args:
        headers: of the call, by names in small letters.
        body: as it came, byte by byte.
        keys: from `read_secret`; one of them must have signed the call. While a secret is exchanged there are two.
        now: the time, seconds since 1970.
        hook: the webhook's name.
        tolerance: seconds by which the call's time may differ from `now`.

    Raises:
        WebhookRefused: if a header is missing or malformed, the call is too old or too early, no key has signed
            it, or no run can be told of the body. It holds nothing of the secret, nor of the right signature.
    """
    message_id = _header(headers, "webhook-id", hook)
    timestamp = _header(headers, "webhook-timestamp", hook)
    signatures = _header(headers, "webhook-signature", hook)
    if not _ID.fullmatch(message_id):
        raise _refused(hook, "webhook-id is not 1 to 200 printable characters without a dot", "send another id")
    if not _TIMESTAMP.fullmatch(timestamp):
        raise _refused(hook, "webhook-timestamp is not a number of seconds since 1970", "send whole seconds")
    if not _is_signed(signatures, keys, message_id, int(timestamp), body):
        raise _refused(
            hook,
            "none of the signatures is right",
            "sign ID.TIMESTAMP.BODY, byte by byte as it is sent, with the webhook's secret decoded from base64",
        )
    # After the signature: who does not have the secret learns nothing of our clock.
    late = now - int(timestamp)
    if abs(late) > tolerance:
        side = "old" if late > 0 else "in the future"
        raise _refused(
            hook,
            f"the call is {show_seconds(abs(late))} {side}, and {show_seconds(tolerance)} are allowed",
            "sign again when trying again, with the same id; are both clocks right?",
        )
    try:
        payload = read_payload(body or None)
    except Unreadable as error:
        mend = "send JSON or text, and large data elsewhere"
        raise _refused(hook, f"the body can't be taken: {error}", mend) from None
    kind = headers.get("content-type", "")[:200]
    return Event(
        id=message_id,
        kind="webhook",
        at=datetime.fromtimestamp(int(timestamp), UTC),
        payload=payload,
        headers={"content-type": kind} if kind.isprintable() and kind else {},
    )


def _is_signed(signatures: str, keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> bool:
    """Whether a key has signed the call; takes as long wherever a wrong signature differs from the right one."""
    sent = [text.encode() for text in signatures.split(" ")[:16] if text.startswith("v1,")]
    right = [sign(key, message_id, timestamp, body).encode() for key in keys]
    return any([hmac.compare_digest(one, another) for one in sent for another in right])  # noqa: C419 - all of them


def _header(headers: Mapping[str, str], name: str, hook: str) -> str:
    value = headers.get(name, "").strip()
    if not value:
        mend = "sign calls as Standard Webhooks does: see docs/triggers.md"
        raise _refused(hook, f"the header {name} is missing", mend)
    return value


def _refused(hook: str, why: str, mend: str) -> WebhookRefused:
    return WebhookRefused(f"webhook {hook} does not take this call: {why}", next=mend)
