"""A project's channels as people see them, and a message by which they see whether one arrives.

An address may hold a secret, so that only its kind is told.
"""

from __future__ import annotations

import os
from html import escape

from trikk.alerts.config import ESCALATION, AlertSettings, alert_settings
from trikk.alerts.delivery.channel_records import Channel, TestMessage
from trikk.alerts.delivery.channels import check
from trikk.alerts.delivery.message import Message
from trikk.alerts.delivery.sender import hand_to
from trikk.alerts.rules.rule import Severity
from trikk.core.errors import TrikkError, UnknownName
from trikk.core.zones import local_text
from trikk.execution.project import Project


def channels(project: Project) -> list[Channel]:
    """All channels; nothing is sent.

    Raises:
        ProjectError: if the section [alerts] is wrong.
    """
    settings = alert_settings(project.settings)
    return [_channel(project, settings, name) for name in settings.channels]


def send_test(project: Project, name: str, *, by: str, at: float) -> TestMessage:
    """Send a message to a channel that says it is a test; it is about nothing, and nothing is to be done.

    Args:
        project: the project.
        name: the channel.
        by: who wants to see it.
        at: wall time in seconds since 1970.

    Raises:
        UnknownName: if there is no such channel.
        UsageError, BrokerError, MissingExtra: if it can't be handed over.
    """
    settings = alert_settings(project.settings)
    if name not in settings.channels:
        raise UnknownName("channel", name, settings.channels)
    moment = local_text(at, project.settings.timezone)
    subject = f"[{project.settings.name}] test of channel {name}"
    text = f"{by} has sent this at {moment} to see whether messages arrive. Nothing is wrong."
    message = Message(
        key=f"test/{name}/{os.urandom(4).hex()}",
        severity=Severity.INFO,
        resolved=False,
        subject=subject,
        text=text,
        html=f"<p>{escape(text)}</p>",
        data={"at": at, "test": True, "by": by},
    )
    hand_to(project, settings, name, message, at)
    return TestMessage(name, subject, at)


def _channel(project: Project, settings: AlertSettings, name: str) -> Channel:
    address = settings.channels[name]
    gets = [severity.value for severity in Severity if name in settings.route(severity)]
    gets += [ESCALATION] * (name in settings.routes.get(ESCALATION, ()))
    try:
        kind = project.settings.filled(f"alerts.channels.{name}", address).partition(":")[0]
        check(project.settings, name, address)
    except TrikkError as error:
        known = address.partition(":")[0]
        return Channel(name, "" if "$" in known else known, gets, error.what, error.next or "")
    return Channel(name, kind, gets)
