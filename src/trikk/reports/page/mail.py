"""A report as a mail: text, the page with its pictures, the PDF attached; the same content, the same bytes."""

from __future__ import annotations

import email.policy
from collections.abc import Mapping
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from trikk.core.digests import digest_json
from trikk.reports.page import phrases
from trikk.reports.page.html import Image
from trikk.reports.page.page_content import Content

POLICY = email.policy.SMTP


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
    mail["Message-ID"] = f"<{digest_json([identity])[:32]}@trikk>"
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
    # Python makes boundaries of random numbers; a replay is to give the same bytes.
    mark = digest_json([identity])[:24]
    for number, part in enumerate(p for p in mail.walk() if p.is_multipart()):
        part.set_boundary(f"=_{mark}_{number}")
    return mail.as_bytes()
