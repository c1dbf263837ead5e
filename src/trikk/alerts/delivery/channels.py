"""Handing a message over: to files, to SNS, or to anything that Apprise knows. No address is ever shown."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

from trikk.alerts.delivery.message import Message
from trikk.alerts.delivery.services import hand_over, target
from trikk.core.errors import BrokerError, ProjectError, UsageError
from trikk.core.names import check_name
from trikk.core.network.addresses import encoded_names
from trikk.core.settings import FILE, Settings
from trikk.mailing.sns import publish, region_of
from trikk.mailing.topics.subscriptions import check_topic


def send(settings: Settings, channel: str, given: str, message: Message) -> None:
    """Hand a message to a channel.

    Raises:
        UsageError: if the address is wrong, or a variable or file is missing; it will not go well later.
        MissingExtra: if a package is missing.
        BrokerError: if it could not be handed over now.
    """
    check_name("channel", channel)
    address = settings.filled(f"alerts.channels.{channel}", given)
    scheme, _, rest = address.partition(":")
    if scheme == "file":
        _to_file(settings.root / rest.removeprefix("//"), channel, message)
    elif scheme == "sns" and rest.startswith("arn:"):
        _region(rest, channel)
        try:
            publish(rest, message.subject, message.text)
        except BrokerError as error:
            raise BrokerError(f"channel {channel}: {error.what}") from error
    else:
        hand_over(address, channel, message, settings, encoded_names(given))


def check(settings: Settings, channel: str, given: str) -> None:
    """Check a channel's address without sending anything; arguments and errors as of `send`."""
    address = settings.filled(f"alerts.channels.{channel}", given)
    scheme, _, rest = address.partition(":")
    if scheme == "sns" and rest.startswith("arn:"):
        _region(rest, channel)
    elif scheme == "topic":
        check_topic(rest)
    elif scheme != "file":
        target(address, channel, settings)


def _to_file(path: Path, channel: str, message: Message) -> None:
    """Append a line to a .jsonl file, or put a mail file into a folder; a repeated message replaces its file."""
    try:
        if path.suffix == ".jsonl":
            path.parent.mkdir(parents=True, exist_ok=True)
            line = json.dumps({"key": message.key, "subject": message.subject, **message.data}, allow_nan=False)
            # One write of a whole line: lines of two processes are not mixed (O_APPEND, write(2)).
            with path.open("ab", buffering=0) as file:
                file.write(line.encode() + b"\n")
                os.fsync(file.fileno())
            return
        path.mkdir(parents=True, exist_ok=True)
        at = message.data.get("at")
        stamp = datetime.fromtimestamp(float(at), UTC) if isinstance(at, int | float) else datetime.now(UTC)
        # A key has slashes, and of a slice whatever a user wrote: no part of a path.
        name = "".join(c if c.isalnum() or c in "-." else "-" for c in message.key)
        target = path / f"{stamp:%Y%m%dT%H%M%SZ}-{name[:120]}.eml"
        half = target.with_suffix(f".{os.getpid()}.part")
        half.write_bytes(mail(message, stamp))
        # A mail program that watches the folder sees whole files alone.
        half.replace(target)
    except OSError as error:
        raise BrokerError(
            f"channel {channel} could not write its file: {error.strerror}", next="check the folder and the disk"
        ) from error


def mail(message: Message, at: datetime) -> bytes:
    """The message as a mail file, which mail programs open (RFC 5322)."""
    mail_ = EmailMessage()
    mail_["Subject"] = " ".join(message.subject.split())
    mail_["From"], mail_["To"] = "trikk@localhost", "team@localhost"
    mail_["Date"] = format_datetime(at)
    mail_.set_content(message.text)
    mail_.add_alternative(message.html, subtype="html")
    return mail_.as_bytes()


def _region(arn: str, channel: str) -> str:
    """The region of an SNS topic."""
    try:
        return region_of(arn)
    except UsageError as error:
        raise ProjectError(f"channel {channel} is not a topic of SNS", where=FILE, next=error.next) from None
