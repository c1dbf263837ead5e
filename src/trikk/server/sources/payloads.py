"""What a message or a call from outside holds, as a run may be told of it, or why it can't be.

A payload becomes part of a run's parameters, which the journal keeps for ever and every look at the run reads, so
its size has a limit: what is larger belongs in a file or a table, of which the message tells. Pure.
"""

from __future__ import annotations

import msgspec

from trikk.core.durations import show_bytes
from trikk.core.values import JSON

LARGEST = 200_000
"""Bytes of a payload; a run's event, of which it is a part, may have 256,000."""
LONGEST_ID = 200
"""Characters of what an event is known by, where somebody else says it."""
_HEADERS_AT_MOST = 32
_HEADER_BYTES = 1_000


class Unreadable(Exception):
    """A payload that no run can be told of; the text says why, and holds nothing of the payload."""


def read_payload(data: bytes | None) -> JSON:
    """A payload as JSON where it is JSON, otherwise as a text; None for none.

    Raises:
        Unreadable: if it is too large, or neither JSON nor a text in UTF-8.
    """
    if data is None:
        return None
    if len(data) > LARGEST:
        raise Unreadable(f"it has {show_bytes(len(data))}, and at most {show_bytes(LARGEST)} are taken")
    try:
        value: JSON = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):  # NaN, lone surrogates and 1e400 are no JSON either
        return read_text(data)
    return value


def read_id(payload: JSON, place: str) -> str:
    """What a payload has at a place such as "$.order.number", as the identity of its event.

    Raises:
        Unreadable: if there is neither a text nor a whole number there, of 200 printable characters at most.
    """
    value = payload
    for name in place.removeprefix("$.").split("."):
        value = value.get(name) if isinstance(value, dict) else None
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not text.isprintable() or not 0 < len(text) <= LONGEST_ID:
        raise Unreadable(f"it has no id at {place}: a text or a whole number of {LONGEST_ID} characters at most")
    return text


def read_text(data: bytes) -> str:
    """A text in UTF-8; Unreadable if it is none."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Unreadable(f"it is neither JSON nor a text in UTF-8 (byte {error.start})") from None


def read_headers(pairs: list[tuple[str, bytes | str | None]]) -> dict[str, str]:
    """The headers that are short texts; the last of a name counts. Others tell a run nothing."""
    headers = {}
    for name, value in pairs[:_HEADERS_AT_MOST]:
        try:
            text = value if isinstance(value, str) else (value or b"").decode()
        except UnicodeDecodeError:
            continue
        if len(name) + len(text) <= _HEADER_BYTES:
            headers[name] = text
    return headers
