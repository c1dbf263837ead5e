"""Which mail server takes a project's mails, and who sends them: `smtp` and `sender` of [reports] in trikk.toml.

Without `smtp`, mails are written to files in .trikk/outbox.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from trikk.core.errors import ProjectError, UsageError
from trikk.core.network.addresses import encoded_names
from trikk.core.settings import FILE, Settings
from trikk.mailing.mail_addresses import check_sender

_PORTS = {"smtp": 25, "smtps": 465}
_SENDER = "trikk@localhost"


@dataclass(frozen=True, slots=True)
class Server:
    """A mail server."""

    scheme: str  # smtp (TLS from STARTTLS, where the server offers it) or smtps
    host: str  # its name
    port: int
    user: str = ""  # "" for none
    password: str = field(default="", repr=False)  # never shown
    # a file with the authority of its certificate, "" for those that are trusted anyway. A server for which it is
    # given is never spoken to without TLS
    ca: str = ""
    hint: str = ""  # what may be wrong with its password where it is not taken, "" if nothing is known

    @property
    def shown(self) -> str:
        """The address without user and password."""
        return f"{self.scheme}://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class MailSettings:
    """Where mails go and whom they are from, checked."""

    server: Server | None  # None where mails are written to files
    sender: tuple[str, str]  # name ("" for none) and address


def mail_settings(settings: Settings, *, with_server: bool = True) -> MailSettings:
    """Read it; `with_server` also fills in the mail server's address, which is None otherwise.

    Raises:
        ProjectError: if something in it can't be used, or a variable is not set.
    """
    data: Mapping[str, Any] = settings.reports
    try:
        _check(data)
        smtp = settings.filled("reports.smtp", data.get("smtp", "")) if with_server else ""
        return MailSettings(
            server=_server(smtp, settings.root, encoded_names(data.get("smtp", ""))) if smtp else None,
            sender=check_sender(data.get("sender") or _SENDER),
        )
    except ProjectError:
        raise
    except UsageError as error:
        raise ProjectError(error.what, where=str(settings.root / FILE), next=error.next) from None


def _check(data: Mapping[str, Any]) -> None:
    for key in ("smtp", "sender"):
        if not isinstance(data.get(key, ""), str):
            raise UsageError(f"reports.{key} must be a text", next=f'write {key} = "..."')


def _server(text: str, root: Path, hint: str) -> Server:
    wrong = UsageError(
        "reports.smtp names no mail server",
        next='write smtp = "smtp://user:${PASSWORD}@host:587"; the variable holds the password as it is',
    )
    try:
        parts = urlsplit(text)
        port = parts.port
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True)) if parts.query else {}
    except ValueError:
        raise wrong from None
    host = parts.hostname or ""
    if (
        parts.scheme not in _PORTS
        or not host.isascii()
        or not host
        or parts.path.strip("/")
        or parts.fragment
        or not text.isprintable()
    ):
        raise wrong
    if set(options) - {"ca"} or not options.get("ca", "file"):
        raise UsageError("reports.smtp has an option that is not known", next="there is: ?ca=FILE")
    user, password = (unquote(part or "") for part in (parts.username, parts.password))
    return Server(
        parts.scheme,
        host,
        # 587 is where users log in, 25 where servers meet (RFC 6409)
        port or (587 if user and parts.scheme == "smtp" else _PORTS[parts.scheme]),
        user,
        password,
        str(root / options["ca"]) if options else "",
        hint,
    )
