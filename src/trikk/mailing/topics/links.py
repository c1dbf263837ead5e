"""Links by which people confirm and end a subscription: signed, so that nobody does it for others.

The key is in the environment variable `TRIKK_LINK_KEY`, or else in the file `.trikk/link.key`, which is made when
it is first needed. It is in no journal and no artifact. Where several machines send mails and serve links, all
need the same one. Whoever loses it loses nothing but the links that were mailed: the commands still work.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from trikk.core.errors import ProjectError, UsageError
from trikk.core.settings import Settings

VARIABLE = "TRIKK_LINK_KEY"
UNSUBSCRIBE, CONFIRM = "unsubscribe", "confirm"
_SHORTEST_KEY = 16
_LONGEST_TOKEN = 2_000
_MAC = 32  # bytes of a signature


class Ticket(msgspec.Struct, frozen=True, array_like=True):
    """What a link may do.

    Attributes:
        purpose: "unsubscribe" or "confirm".
        topic: of which topic.
        address: for whom.
        seq: of the entry that is confirmed; 0 for an unsubscription, which is always right.
    """

    purpose: str
    topic: str
    address: str
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Leaving:
    """How a subscriber gets no more of a topic's mails.

    Attributes:
        topic: the topic.
        link: where to unsubscribe; "" where the project has no address on the web.
        command: what does the same on the command line.
    """

    topic: str
    link: str
    command: str


def link_key(state_dir: Path) -> bytes:
    """The key of this project.

    Raises:
        ProjectError: if the variable holds too short a key, or the file can't be read or made.
    """
    given = os.environ.get(VARIABLE, "")
    if given:
        if len(given) < _SHORTEST_KEY:
            raise ProjectError(f"{VARIABLE} is too short", next="openssl rand -hex 32 makes one")
        return given.encode("utf-8", "surrogateescape")
    file = state_dir / "link.key"
    try:
        if not file.exists():
            half = state_dir / f".link.key.{os.getpid()}.{secrets.token_hex(4)}"
            with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
                new.write(secrets.token_hex(32))
            try:
                os.link(half, file)  # whole or not at all; of two processes one makes it
            except FileExistsError:
                pass
            finally:
                half.unlink()
        key = file.read_bytes()
    except OSError as error:
        raise ProjectError(f"the key of links can't be used: {error.strerror}", where=str(file)) from error
    if len(key) < _SHORTEST_KEY:
        raise ProjectError(
            "the key of links is damaged", where=str(file), next="remove the file: a new one is made"
        )
    return key


def signed(key: bytes, ticket: Ticket) -> str:
    """A ticket as a text for a link."""
    body = msgspec.json.encode(ticket)
    return base64.urlsafe_b64encode(_mac(key, body) + body).decode().rstrip("=")


def opened(key: bytes, token: str, purpose: str) -> Ticket:
    """The ticket of a link.

    Raises:
        UsageError: if it was not signed with this key for this purpose.
    """
    wrong = UsageError(
        "this link is not valid", next="use the link of a mail as it is, or ask who runs the project"
    )
    if len(token) > _LONGEST_TOKEN or not token.isascii():
        raise wrong
    try:
        data = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        raise wrong from None
    mac, body = data[:_MAC], data[_MAC:]
    if not hmac.compare_digest(mac, _mac(key, body)):
        raise wrong
    ticket = msgspec.json.decode(body, type=Ticket)
    if ticket.purpose != purpose:
        raise wrong
    return ticket


def link(settings: Settings, state_dir: Path, ticket: Ticket) -> str:
    """The link of a ticket; "" where the project has no address on the web (`url` of [alerts])."""
    base: Any = settings.alerts.get("url", "")
    if not isinstance(base, str) or not base:
        return ""
    return f"{base.rstrip('/')}/{ticket.purpose}?token={signed(link_key(state_dir), ticket)}"


def leaving(settings: Settings, state_dir: Path, topic: str, address: str) -> Leaving:
    """How a subscriber gets no more of a topic."""
    url = link(settings, state_dir, Ticket(UNSUBSCRIBE, topic, address))
    return Leaving(topic, url, f"trikk unsubscribe {topic} {quote(address, safe='@:+')}")


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.new(key, b"trikk link\0" + body, hashlib.sha256).digest()
