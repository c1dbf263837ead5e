"""What calls of a webhook may be signed with; read at each call, so that variables may change."""

from __future__ import annotations

from trikk.core.network.addresses import fill
from trikk.server.sources.webhook_signature import read_secret
from trikk.triggers.event_triggers import Webhook


def webhook_keys(webhook: Webhook, where: str) -> list[bytes]:
    """The keys that count: the secret's, and the former one's as long as it is declared.

    Args:
        webhook: as it is declared.
        where: in which file.

    Raises:
        UsageError: if a variable that a secret names is not set, or a secret can't be one.
    """
    secrets = [webhook.secret, *([webhook.former_secret] if webhook.former_secret else [])]
    return [read_secret(fill(written, where=where).text, webhook.hook) for written in secrets]
