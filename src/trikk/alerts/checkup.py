"""What `trikk doctor` says of alerts: whether each channel could be sent to, before there is something to tell."""

from __future__ import annotations

from collections.abc import Iterator

from trikk.alerts.channels import check
from trikk.alerts.config import AlertSettings, alert_settings
from trikk.core.errors import ProjectError, TrikkError
from trikk.core.settings import Settings
from trikk.execution.checkup import Finding
from trikk.execution.project import Project


def examine(project: Project) -> list[Finding]:
    """Look at the settings and at each channel; nothing is sent."""
    try:
        settings = alert_settings(project.settings)
    except TrikkError as error:
        return [Finding("alerts", False, error.what, error.next)]
    return list(_channels(project, settings))


def _channels(project: Project, settings: AlertSettings) -> Iterator[Finding]:
    for name, address in settings.channels.items():
        try:
            check(project.settings, name, address)
            yield Finding(f"channel {name}", True, "its address can be used")
        except TrikkError as error:
            yield Finding(f"channel {name}", False, error.what, error.next)


def unset(settings: Settings, alerts: AlertSettings) -> list[str]:
    """The channels whose address names a variable that is not set, in sentences."""
    found = []
    for name, address in alerts.channels.items():
        try:
            settings.filled(f"alerts.channels.{name}", address)
        except ProjectError as error:
            found.append(f"channel {name}: {error.what}; {error.next}")
    return found
