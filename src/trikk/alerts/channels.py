"""Handing a message over: to files, to SNS, or to anything that Apprise knows. No address is ever shown."""

from __future__ import annotations

import json
import logging
import os
import warnings
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

from trikk.alerts.message import Message
from trikk.core.errors import BrokerError, MissingExtra, ProjectError, TrikkError
from trikk.core.names import check_name
from trikk.core.settings import FILE, Settings

_MAIL = ("mailto", "mailtos")
_SECONDS = 15


def send(settings: Settings, channel: str, given: str, message: Message) -> None:
    """Hand a message to a channel.

    Args:
        settings: the project's, for relative paths and variables.
        channel: the channel's name.
        given: its address as trikk.toml has it.
        message: the message.

    Raises:
        ProjectError: if the address is wrong, or a variable that it names is not set; it will not go well later.
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
        _to_apprise(address, scheme, channel, message, settings)


def _to_file(path: Path, channel: str, message: Message) -> None:
    """Append a line to a .jsonl file, or put a mail file into a folder; a repeated message replaces its file."""
    try:
        if path.suffix == ".jsonl":
            path.parent.mkdir(parents=True, exist_ok=True)
            line = json.dumps({"key": message.key, "subject": message.subject, **message.data}, allow_nan=False)
            with path.open("ab", buffering=0) as file:
                file.write(line.encode() + b"\n")
                os.fsync(file.fileno())
            return
        path.mkdir(parents=True, exist_ok=True)
        at = message.data.get("at")
        stamp = datetime.fromtimestamp(float(at), UTC) if isinstance(at, int | float) else datetime.now(UTC)
        name = "".join(c if c.isalnum() or c in "-." else "-" for c in message.key)
        target = path / f"{stamp:%Y%m%dT%H%M%SZ}-{name[:120]}.eml"
        half = target.with_suffix(f".{os.getpid()}.part")
        half.write_bytes(mail(message, stamp))
        half.replace(target)
    except OSError as error:
        raise BrokerError(
            f"channel {channel} could not write its file: {error.strerror}", next="check the folder and the disk"
        ) from error


def mail(message: Message, at: datetime) -> bytes:
    """The message as a mail file, which mail programs open (RFC 5322)."""
    found = EmailMessage()
    found["Subject"] = " ".join(message.subject.split())
    found["From"], found["To"] = "trikk@localhost", "team@localhost"
    found["Date"] = format_datetime(at)
    found.set_content(message.text)
    found.add_alternative(message.html, subtype="html")
    return found.as_bytes()


def _to_sns(arn: str, channel: str, message: Message) -> None:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as error:
        raise MissingExtra("SNS", "aws") from error
    parts = arn.split(":")
    if len(parts) != 6 or parts[2] != "sns":
        raise ProjectError(
            f"channel {channel} is no topic of SNS",
            where=FILE,
            next='write "sns:arn:aws:sns:REGION:ACCOUNT:TOPIC"',
        )
    limits = Config(connect_timeout=_SECONDS, read_timeout=_SECONDS, retries={"max_attempts": 1})
    subject = "".join(c for c in message.subject if c.isascii() and c.isprintable())[:100]
    try:
        client: Any = boto3.client("sns", region_name=parts[3], config=limits)
        client.publish(TopicArn=arn, Subject=subject or "trikk", Message=message.text)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "error")
        raise BrokerError(f"channel {channel}: SNS refused the message: {code}") from error
    except BotoCoreError as error:
        raise BrokerError(f"channel {channel}: SNS is away: {type(error).__name__}") from error


def _to_apprise(address: str, scheme: str, channel: str, message: Message, settings: Settings) -> None:
    with warnings.catch_warnings(), _Heard() as heard:
        warnings.simplefilter("ignore")  # of its own plugins, about modules that Python deprecates
        try:
            import apprise
        except ImportError as error:
            raise MissingExtra(f"channel {channel}", "alerts") from error
        asset = apprise.AppriseAsset(
            app_id="trikk", app_desc="trikk", app_url="", image_url_mask="", image_url_logo="", async_mode=False
        )
        target = apprise.Apprise(asset=asset)
        if not target.add(address):
            raise ProjectError(
                f"the address of channel {channel} is none that Apprise knows",
                where=str(settings.root / FILE),
                next="compare it with https://appriseit.com/services/",
            )
        as_html = scheme in _MAIL
        kind = "success" if message.resolved else {"alarm": "failure"}.get(message.severity, message.severity)
        try:
            good = target.notify(
                title=message.subject,
                body=message.html if as_html else message.text,
                body_format="html" if as_html else "text",
                notify_type=kind,
            )
        except TrikkError:
            raise
        except Exception as error:  # a hundred services, each with errors of its own
            raise BrokerError(f"channel {channel}: {type(error).__name__} while sending") from error
    if not good:
        said = _without(address, "; ".join(heard.lines)[:300]) or "it was not taken"
        raise BrokerError(f"channel {channel}: {said}", next="it is tried again at the next look")


class _Heard(logging.Handler):
    """Listens to what Apprise logs, which is the only place where it says why it failed."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line."""
        self.lines.append(record.getMessage())

    def __enter__(self) -> Self:
        logging.getLogger("apprise").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("apprise").removeHandler(self)


def _without(address: str, text: str) -> str:
    """A text without any part of an address that may be a secret."""
    body = address.partition(":")[2]
    pieces = {body, *(p for mark in "/@:?&=" for part in [body] for p in part.split(mark))}
    for separator in "/@:?&=#":
        pieces |= {part for piece in list(pieces) for part in piece.split(separator)}
    secrets = {p for piece in pieces for p in (piece, unquote(piece)) if len(p) >= 4 and p not in ("from", "mode")}
    for piece in sorted(secrets, key=len, reverse=True):
        text = text.replace(piece, "***")
    return text
