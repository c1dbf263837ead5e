"""Amazon SNS: a subject and a text to a topic."""

from __future__ import annotations

from typing import Any

from trikk.core.errors import BrokerError, MissingExtra, UsageError

PREFIX = "sns:"
_SECONDS = 15  # one that is away must not hold up what comes after it
_LONGEST = 256_000  # bytes, of which SNS takes 256 KiB


def region_of(arn: str) -> str:
    """The region of an SNS topic.

    Raises:
        UsageError: if it is not the ARN of one.
    """
    parts = arn.split(":")
    if len(parts) != 6 or parts[2] != "sns" or not all((parts[3], parts[4], parts[5])) or not arn.isprintable():
        raise UsageError(f"{arn[:80]!r} is no topic of SNS", next='write "sns:arn:aws:sns:REGION:ACCOUNT:TOPIC"')
    return parts[3]


def publish(arn: str, subject: str, text: str) -> None:
    """Hand a message to a topic.

    Raises:
        UsageError: if `arn` is not one of SNS.
        MissingExtra: if boto3 is not installed.
        BrokerError: if it could not be handed over now; the text begins with "SNS".
    """
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as error:
        raise MissingExtra("SNS", "aws") from error
    region = region_of(arn)
    # One attempt: the outbox tries again, with pauses that are longer than boto3's.
    limits = Config(connect_timeout=_SECONDS, read_timeout=_SECONDS, retries={"max_attempts": 1})
    # What SNS takes as a subject: ASCII without line breaks, up to 100 characters.
    subject = "".join(c for c in subject if c.isascii() and c.isprintable())[:100]
    cut = text.encode("utf-8", "replace")[:_LONGEST].decode("utf-8", "ignore")
    try:
        client: Any = boto3.client("sns", region_name=region, config=limits)
        client.publish(TopicArn=arn, Subject=subject or "trikk", Message=cut or "(no text)")
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "error")
        raise BrokerError(f"SNS refused the message: {code}") from error
    except BotoCoreError as error:
        raise BrokerError(f"SNS is away: {type(error).__name__}") from error
