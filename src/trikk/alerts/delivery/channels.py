"""Handing a message over: to files, to SNS, or to anything that Apprise knows. No address is ever shown."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from trikk.alerts.delivery.message import Message
from trikk.alerts.delivery.services import hand_over, target
from trikk.core.errors import BrokerError, MissingExtra, ProjectError
from trikk.core.names import check_name
from trikk.core.network.addresses import encoded_names
from trikk.core.settings import FILE, Settings

_SECONDS = 15  # a channel that is away must not hold up the look


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
        _to_sns(rest, channel, message)
    else:
        hand_over(address, channel, message, settings, encoded_names(given))


def check(settings: Settings, channel: str, given: str) -> None:
    """Check a channel's address without sending anything; arguments and errors as of `send`."""
    address = settings.filled(f"alerts.channels.{channel}", given)
    scheme, _, rest = address.partition(":")
    if scheme == "sns" and rest.startswith("arn:"):
        _region(rest, channel)
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


def _to_sns(arn: str, channel: str, message: Message) -> None:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as error:
        raise MissingExtra("SNS", "aws") from error
    region = _region(arn, channel)
    # One attempt: the outbox tries again, with pauses that are longer than boto3's.
    limits = Config(connect_timeout=_SECONDS, read_timeout=_SECONDS, retries={"max_attempts": 1})
    # What SNS takes as a subject: ASCII without line breaks, up to 100 characters.
    subject = "".join(c for c in message.subject if c.isascii() and c.isprintable())[:100]
    try:
        client: Any = boto3.client("sns", region_name=region, config=limits)
        client.publish(TopicArn=arn, Subject=subject or "trikk", Message=message.text)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "error")
        raise BrokerError(f"channel {channel}: SNS refused the message: {code}") from error
    except BotoCoreError as error:
        raise BrokerError(f"channel {channel}: SNS is away: {type(error).__name__}") from error


def _region(arn: str, channel: str) -> str:
    """The region of an SNS topic."""
    parts = arn.split(":")
    if len(parts) != 6 or parts[2] != "sns":
        raise ProjectError(
            f"channel {channel} is not a topic of SNS",
            where=FILE,
            next='write "sns:arn:aws:sns:REGION:ACCOUNT:TOPIC"',
        )
    return parts[3]
