"""A report as a mail: text, the page with its pictures, the PDF attached; the same content, the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from trikk.core.digests import digest_json
from trikk.mailing.letter_message import message_id, settle_boundaries
from trikk.mailing.mail_server import POLICY
from trikk.reports.page import phrases
from trikk.reports.page.html import Image
from trikk.reports.page.page_content import Content


def mark_of(data: Mapping[str, Any]) -> str:
    """What tells the pictures of one page from those of another: a digest of its content as it was stored.

    Not of what is read of it, which has more fields with each release: a replay is to give the same mail.
    """
    return digest_json(dict(data))[:16]


def as_parts(mark: str) -> Image:
    """Pictures that come with the mail, as its page addresses them."""
    return lambda monitor: f"cid:{_cid(mark, monitor)}"


def _cid(mark: str, monitor: str) -> str:
    return f"{monitor}.{mark}@trikk"


def message(
    content: Content,
    *,
    plain: str,
    page: str,
    pictures: Mapping[str, bytes],
    files: Mapping[str, bytes],
    mark: str,
    identity: str,
    at: datetime,
) -> bytes:
    """The mail, but for who sends it and who gets it."""
    mail = EmailMessage(policy=POLICY)
    mail["Subject"] = phrases.headline(content)
    mail["Date"] = format_datetime(at.replace(microsecond=0))
    # From the page's identity, so that a mail that comes twice can be known for the same.
    mail["Message-ID"] = message_id(identity)
    # Else out-of-office programs answer it (RFC 3834).
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Trikk-Report"] = f"{content.report}/{content.period}/{phrases.whose(content.customer)}"
    mail.set_content(plain, cte="quoted-printable")
    mail.add_alternative(page, subtype="html", cte="quoted-printable")
    html: Any = mail.get_payload(1)
    for monitor, picture in pictures.items():
        cid = f"<{_cid(mark, monitor)}>"
        html.add_related(picture, "image", "png", cid=cid, disposition="inline", filename=f"{monitor}.png")
    for name, data in files.items():
        kind = ("application", "pdf") if name.endswith(".pdf") else ("text", "html")
        mail.add_attachment(data, *kind, filename=name)
    settle_boundaries(mail, identity)  # a replay is to give the same bytes
    return mail.as_bytes()
