"""Handing a message over to a service that Apprise knows: only to one that is trusted, and saying why it failed.

Apprise tells a failure in its log alone: in warnings, and the reason in a line for debugging, which may hold parts
of the address. So its log is listened to while it sends, goes nowhere else meanwhile, and only what is recognised
of such a reason is told.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

from trikk.alerts.delivery.message import Message
from trikk.alerts.rules.rule import Severity
from trikk.core.errors import BrokerError, MissingExtra, ProjectError, TrikkError
from trikk.core.network.tls import VARIABLE, explain, is_here, trusted
from trikk.core.settings import FILE, Settings

_MAIL = ("mailto", "mailtos")
_KINDS = {Severity.ALARM: "failure", Severity.WARNING: "warning", Severity.INFO: "info"}
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_CODE = re.compile(r"\((\d{3}), b")
_PASSWORD = ("530", "534", "535")
_REASONS = (
    ("starttls extension not supported", "it offers no TLS: nothing was sent"),
    ("auth extension not supported", "it takes no password"),
    ("connection refused", "nobody listens there"),
    ("timed out", "it does not answer in time"),
    ("name or service not known", "its name is not known"),
    ("failed to resolve", "its name is not known"),
    ("codec can't encode", "user, password and addresses may have letters of ASCII only"),
)


def hand_over(address: str, channel: str, message: Message, settings: Settings, hint: str = "") -> None:
    """Send a message through Apprise.

    Raises:
        UsageError: if the address or the file of trusted authorities can't be used, or a password would go in
            the clear.
        MissingExtra: if Apprise is not installed.
        BrokerError: if it could not be handed over now.
    """
    # Heard from before the address is read: a plugin may log parts of it while it takes it apart.
    with warnings.catch_warnings(), _Heard() as heard, _trusting():
        warnings.simplefilter("ignore")  # of its own plugins, about modules that Python deprecates
        service = target(address, channel, settings)
        as_html = address.partition(":")[0] in _MAIL
        kind = "success" if message.resolved else _KINDS[message.severity]
        try:
            good = service.notify(
                title=message.subject,
                body=message.html if as_html else message.text,
                body_format="html" if as_html else "text",
                notify_type=kind,
            )
        except TrikkError:
            raise
        except Exception as error:  # noqa: BLE001 - a hundred services, each with errors of its own
            text = f"channel {channel}: {_reason(str(error)) or f'{type(error).__name__} while sending'}"
            raise BrokerError(text) from None  # such an error may hold the address
    if not good:
        said = heard.reason or _without(address, "; ".join(heard.lines))[:300] or "it was not taken"
        if hint and any(sign in said for sign in ("user and password", "401", "403")):
            said = f"{said}; {hint}"
        raise BrokerError(f"channel {channel}: {said}", next="it is tried again at the next look")


def target(address: str, channel: str, settings: Settings) -> Any:
    """What Apprise makes of an address; nothing is sent. Arguments and errors as of `hand_over`."""
    try:
        import apprise
    except ImportError as error:
        raise MissingExtra(f"channel {channel}", "alerts") from error
    asset = apprise.AppriseAsset(
        # No pictures: who reads the message would fetch them from elsewhere.
        app_id="trikk",
        app_desc="trikk",
        app_url="",
        image_url_mask="",
        image_url_logo="",
        async_mode=False,
    )
    apprise_ = apprise.Apprise(asset=asset)
    if not apprise_.add(address):
        raise ProjectError(
            f"the address of channel {channel} is not one that Apprise knows",
            where=str(settings.root / FILE),
            next="compare it with https://appriseit.com/services/",
        )
    for one in apprise_:
        in_the_clear = getattr(one, "secure_mode", "") == "insecure" and getattr(one, "password", None)
        if in_the_clear and not is_here(str(getattr(one, "smtp_host", ""))):
            raise ProjectError(
                f"channel {channel} would send its password in the clear",
                where=str(settings.root / FILE),
                next="write mailtos:// in the place of mailto://; behind it, mode=ssl if TLS begins at once",
            )
    return apprise_


@contextlib.contextmanager
def _trusting() -> Iterator[None]:
    """Have web services trust whom the rest of trikk trusts; what is set for them alone comes first."""
    own = next((name for name in _BUNDLES if os.environ.get(name)), "")
    if own and not Path(os.environ[own]).exists():
        raise ProjectError(f"{own} names no file", next="name a PEM file with certificates of authorities")
    file = trusted()
    if own or not file:
        yield
        return
    os.environ[_BUNDLES[0]] = file
    try:
        yield
    finally:
        del os.environ[_BUNDLES[0]]


class _Heard(logging.Handler):
    """Listens to what Apprise logs."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self.reason = ""
        self._logger = logging.getLogger("apprise")
        self._before = (self._logger.level, self._logger.propagate, self._logger.handlers)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line."""
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            self.lines.append(text)
        elif text.startswith(("Socket Exception", "Notification Exception")):
            self.reason = _reason(text) or self.reason

    def __enter__(self) -> Self:
        self._set(logging.DEBUG, False, [self])
        return self

    def __exit__(self, *_: object) -> None:
        self._set(*self._before)

    def _set(self, level: int, propagate: bool, handlers: list[logging.Handler]) -> None:
        self._logger.setLevel(level)
        self._logger.propagate, self._logger.handlers = propagate, handlers


def _reason(text: str) -> str:
    """What is recognised of a reason; nothing of the text itself."""
    if (
        trouble := explain(text, mend=f"name a file with the authority's certificate: {VARIABLE}=FILE")
    ) is not None:
        return f"{trouble.what}; {trouble.next}"
    if (code := _CODE.search(text)) is not None:
        return "it does not take the user and password" if code[1] in _PASSWORD else f"it answers {code[1]}"
    low = text.lower()
    return next((words for sign, words in _REASONS if sign in low), "")


def _without(address: str, text: str) -> str:
    """A text without any part of an address that may be a secret."""
    body = address.partition(":")[2]
    pieces = {body, *(p for mark in "/@:?&=" for part in [body] for p in part.split(mark))}
    for separator in "/@:?&=#":
        pieces |= {part for piece in list(pieces) for part in piece.split(separator)}
    secrets = {p for piece in pieces for p in (piece, unquote(piece)) if len(p) >= 4 and p not in ("from", "mode")}
    # The longest first: a shorter piece inside it would leave the rest readable.
    for piece in sorted(secrets, key=len, reverse=True):
        text = text.replace(piece, "***")
    return text
