"""What `trikk doctor` says of alerts: whether each channel could be sent to, before there is something to tell."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator

from trikk.alerts.config import AlertSettings, alert_settings
from trikk.alerts.delivery.channels import check
from trikk.alerts.rules.kinds import read_rule
from trikk.core.errors import ProjectError, TrikkError, UnknownName
from trikk.core.settings import FILE, Settings
from trikk.execution.project import Project
from trikk.execution.upkeep.project_check import Finding
from trikk.monitoring.monitor_definition import MonitorSpec


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
            # One by one: a channel with a wrong address says nothing about the next.
            check(project.settings, name, address)
            yield Finding(f"channel {name}", True, "its address can be used")
        except TrikkError as error:
            yield Finding(f"channel {name}", False, error.what, error.next)


def of_starts(project: Project, monitors: Iterable[MonitorSpec], pipelines: Collection[str]) -> Iterator[Finding]:
    """Look at what alarms start, wherever they are written; only what can't be started is told."""
    rules = [(f"monitor {spec.name}", read_rule(alarm)) for spec in monitors for alarm in spec.alarms]
    with contextlib.suppress(TrikkError):  # told above
        rules += [(FILE, rule) for rule in alert_settings(project.settings).rules]
    for where, rule in rules:
        if rule.starts and rule.starts not in pipelines:
            error = UnknownName("pipeline", rule.starts, pipelines)
            yield Finding(
                f"alarm {rule.name} of {where}", False, f"it starts {rule.starts!r}: {error.what}", error.next
            )


def unset(settings: Settings, alerts: AlertSettings) -> list[str]:
    """The channels whose address names a variable that is not set, in sentences."""
    problems = []
    for name, address in alerts.channels.items():
        try:
            settings.filled(f"alerts.channels.{name}", address)
        except ProjectError as error:
            problems.append(f"channel {name}: {error.what}; {error.next}")
    return problems
