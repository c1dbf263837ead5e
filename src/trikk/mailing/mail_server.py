"""Hands a mail over: to a mail server, or to a folder of files."""

from __future__ import annotations

import contextlib
import email.policy
import os
import smtplib
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email import message_from_bytes
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Protocol

from trikk.core.errors import UsageError
from trikk.core.network.tls import client_context, explain, is_here
from trikk.core.text import printable, shorten
from trikk.mailing.mail_settings import MailSettings, Server

POLICY = email.policy.SMTP
_SECONDS = 20.0  # of silence; a look must not hang on a server that takes connections and says nothing
_LONGEST = 200  # characters of what a server says


@dataclass(slots=True)
class Outcome:
    """What became of a mail."""

    reached: list[str] = field(default_factory=list)  # addresses that were taken
    refused: dict[str, str] = field(default_factory=dict)  # addresses that were refused for good, and why
    # addresses for which another attempt may go well, and why not this one
    failed: dict[str, str] = field(default_factory=dict)

    def add(self, other: Outcome) -> None:
        """Take in what became of another part of the recipients."""
        self.reached += other.reached
        self.refused |= other.refused
        self.failed |= other.failed


class Post(Protocol):
    """Where mails go."""

    kind: str
    """smtp or file: what one of them was given, the other was not."""
    shown: str
    """Its address for people, without secrets."""

    def give(self, message: bytes, recipients: Sequence[str], name: str) -> Outcome:
        """Hand a mail over; whatever goes wrong is in the outcome."""


def addressed(message: bytes, sender: tuple[str, str], recipients: Sequence[str]) -> EmailMessage:
    """A mail with its From and To."""
    mail: Any = message_from_bytes(message, policy=POLICY)
    mail["From"] = Address(display_name=sender[0], addr_spec=sender[1])
    mail["To"] = [Address(addr_spec=one) for one in recipients]
    whole: EmailMessage = mail
    return whole


class MailFolder:
    """A folder in which each mail is a file."""

    kind = "file"

    def __init__(self, folder: Path, sender: tuple[str, str]) -> None:
        self.folder = folder
        self.sender = sender
        self.shown = f"files in {folder}"

    def give(self, message: bytes, recipients: Sequence[str], name: str) -> Outcome:
        """Write the file, whole or not at all."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # Whoever sends what is in the folder sees whole mails alone: a rename within a folder is one step.
            half = self.folder / f".{name}.{os.getpid()}"
            half.write_bytes(addressed(message, self.sender, recipients).as_bytes())
            half.replace(self.folder / name)
        except OSError as error:
            return Outcome(failed=dict.fromkeys(recipients, f"the file can't be written: {error.strerror}"))
        return Outcome(reached=list(recipients))


class Smtp:
    """A mail server; one connection for all mails, and no second try in one go when it is away."""

    kind = "smtp"

    def __init__(self, server: Server, sender: tuple[str, str]) -> None:
        self.server = server
        self.sender = sender
        self.shown = server.shown
        self._connection: smtplib.SMTP | None = None
        self._away = ""

    def give(self, message: bytes, recipients: Sequence[str], name: str) -> Outcome:  # noqa: ARG002 - the port's
        """Send it; addresses that the server refuses for good are told from those that it may take later."""
        if self._away:
            return Outcome(failed=dict.fromkeys(recipients, self._away))
        try:
            connection = self._connected()
            refused = connection.send_message(
                addressed(message, self.sender, recipients), self.sender[1], list(recipients)
            )
        # Raised only if all are refused; some alone come back as the result.
        except smtplib.SMTPRecipientsRefused as error:
            refused = error.recipients
        except (OSError, smtplib.SMTPException, UsageError) as error:
            self.close()
            why = _why(error, self.server.hint)
            # These two are about this mail; anything else will befall the next mail, too, after the same time-out.
            if not isinstance(error, smtplib.SMTPDataError | smtplib.SMTPSenderRefused):
                self._away = why
            return Outcome(failed=dict.fromkeys(recipients, why))
        refusals = {address: (code, _clean(text)) for address, (code, text) in refused.items()}
        # 5yz: "the command should not be repeated"; 4yz: "try again later" (RFC 5321, 4.2.1)
        return Outcome(
            reached=[one for one in recipients if one not in refusals],
            refused={a: f"{code} {text}" for a, (code, text) in refusals.items() if code >= 500},
            failed={a: f"{code} {text}" for a, (code, text) in refusals.items() if code < 500},
        )

    def _connected(self) -> smtplib.SMTP:
        if self._connection is None:
            context = client_context(self.server.ca)  # first: nothing is sent where it fails
            self._connection = self._open(context)
            self._connection.ehlo()
            is_safe = self._secured(self._connection, context)
            if not is_safe and self.server.ca:
                raise smtplib.SMTPNotSupportedError("it offers no TLS, and ?ca= asks for it: nothing was sent")
            if self.server.user:
                self._log_in(self._connection, is_safe)
        return self._connection

    def _open(self, context: ssl.SSLContext) -> smtplib.SMTP:
        host, port = self.server.host, self.server.port
        if self.server.scheme == "smtps":
            return smtplib.SMTP_SSL(host, port, timeout=_SECONDS, context=context)
        return smtplib.SMTP(host, port, timeout=_SECONDS)

    def _secured(self, connection: smtplib.SMTP, context: ssl.SSLContext) -> bool:
        """Ask for TLS where it is not there from the start; whether it is there then."""
        if self.server.scheme == "smtps":
            return True
        if not connection.has_extn("starttls"):
            return False
        connection.starttls(context=context)
        connection.ehlo()  # what it said in the clear counts no more (RFC 3207, 4.2)
        return True

    def _log_in(self, connection: smtplib.SMTP, is_safe: bool) -> None:
        server = self.server
        if not is_safe and not is_here(server.host):
            raise smtplib.SMTPNotSupportedError("it offers no TLS, without which no password is sent to it")
        if not (server.user + server.password).isascii():
            raise smtplib.SMTPNotSupportedError("user and password may have letters of ASCII only")
        connection.login(server.user, server.password)

    def close(self) -> None:
        """End the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(OSError, smtplib.SMTPException):
                connection.quit()
            connection.close()


def _why(error: Exception, hint: str = "") -> str:
    if isinstance(error, UsageError):
        return f"{error.what}; {error.next}"
    # Before the codes: what a server says to a wrong password may repeat the user.
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return "it does not take the user and password" + (f"; {hint}" if hint else "")
    if (trouble := explain(error)) is not None:
        return f"{trouble.what}; {trouble.next}"
    if isinstance(error, TimeoutError) or "timed out" in str(error):
        return "it does not answer in time; is it there, and does its port want TLS at once (smtps://), or not?"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_clean(error.smtp_error)}"
    if isinstance(error, OSError) and not isinstance(error, smtplib.SMTPException):
        return _clean(error.strerror or str(error) or type(error).__name__)
    return _clean(str(error))


def _clean(text: bytes | str) -> str:
    shown = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return shorten(printable(shown), _LONGEST)


@contextlib.contextmanager
def post(settings: MailSettings, outbox: Path) -> Iterator[Post]:
    """The mail server that the settings name, or the folder `outbox`."""
    if settings.server is None:
        yield MailFolder(outbox, settings.sender)
        return
    smtp = Smtp(settings.server, settings.sender)
    try:
        yield smtp
    finally:
        smtp.close()
