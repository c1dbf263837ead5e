"""A letter as a mail (RFC 5322): the same for the same content, and for each subscriber one with a link."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.utils import format_datetime
from html import escape
from mimetypes import guess_type
from typing import Any

from trikk.core.digests import digest_json
from trikk.core.text import printable, shorten
from trikk.mailing.letter_parts import Parts, within
from trikk.mailing.mail_server import POLICY
from trikk.mailing.topics.links import Leaving

_LONGEST_SUBJECT = 200


def compose(parts: Parts, *, subject: str, identity: str, at: datetime) -> bytes:
    """The mail, but for who sends it and who gets it.

    Args:
        parts: what is in it.
        subject: one line; whatever would break it is written out.
        identity: what makes the mail this one: its Message-ID follows from it.
        at: its date.
    """
    mail = EmailMessage(policy=POLICY)
    mail["Subject"] = shorten(printable(subject), _LONGEST_SUBJECT)
    mail["Date"] = format_datetime(at.replace(microsecond=0))
    mail["Message-ID"] = message_id(identity)
    mail["Auto-Submitted"] = "auto-generated"  # else out-of-office programs answer it (RFC 3834)
    text, html = parts.body(subject)
    mail.set_content(text, cte="quoted-printable")
    mail.add_alternative(html, subtype="html", cte="quoted-printable")
    page: Any = mail.get_payload(1)
    for number, (cid, (data, kind)) in enumerate(parts.pictures.items(), start=1):
        name = f"picture-{number}.{kind}"
        page.add_related(data, "image", kind, cid=f"<{cid}>", disposition="inline", filename=name)
    for name, data in parts.files.items():
        kind = guess_type(name)[0] or "application/octet-stream"
        mail.add_attachment(data, *kind.split("/", 1), filename=name)
    settle_boundaries(mail, identity)
    return mail.as_bytes()


def message_id(identity: str) -> str:
    """The Message-ID that follows from an identity: a mail that comes twice can be known for the same."""
    return f"<{digest_json([identity])[:32]}@trikk>"


def settle_boundaries(mail: EmailMessage, identity: str) -> None:
    """Name the boundaries between parts by an identity; Python makes them of random numbers."""
    mark = digest_json([identity])[:24]
    for number, part in enumerate(p for p in mail.walk() if p.is_multipart()):
        part.set_boundary(f"=_{mark}_{number}")


def personal(message: bytes, identity: str, leaving: Leaving) -> bytes:
    """The mail for one subscriber: with a Message-ID of its own, and how to unsubscribe (RFC 2369, RFC 8058)."""
    mail: Any = message_from_bytes(message, policy=POLICY)
    mail.replace_header("Message-ID", message_id(identity))
    mail["List-Id"] = f"<{leaving.topic.replace('/', '.')}.trikk>"
    if leaving.link:
        mail["List-Unsubscribe"] = f"<{leaving.link}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    why = f"You get this because you subscribe to {leaving.topic}."
    way = f"Unsubscribe: {leaving.link}" if leaving.link else f"To unsubscribe: {leaving.command}"
    linked = f'<a href="{escape(leaving.link)}">Unsubscribe</a>' if leaving.link else escape(way)
    foot = f'<p style="color:#667085;font-size:12px;">{escape(why)} {linked}</p>'
    for part in mail.walk():
        if part.get_content_disposition() == "attachment":
            continue
        if part.get_content_type() == "text/plain":
            part.set_content(f"{part.get_content().rstrip()}\n\n-- \n{why} {way}\n", cte="quoted-printable")
        elif part.get_content_type() == "text/html":
            part.set_content(within(part.get_content(), foot), subtype="html", cte="quoted-printable")
    settle_boundaries(mail, identity)
    whole: bytes = mail.as_bytes()
    return whole


def plain_text(message: bytes) -> tuple[str, str]:
    """A mail's subject and text, for what shows no more, such as SNS."""
    mail: Any = message_from_bytes(message, policy=POLICY)
    body = mail.get_body(("plain",))
    return str(mail["Subject"]), "" if body is None else body.get_content()


def short_letter(body: Mapping[str, Any], identity: str, at: datetime) -> bytes:
    """The mail of a letter whose words are in the ledger itself: subject, text and html."""
    parts = Parts(page=body["html"], text=[body["text"]])
    return compose(parts, subject=body["subject"], identity=identity, at=at)
