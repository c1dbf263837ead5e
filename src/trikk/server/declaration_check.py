"""What the project's code declares, and what `trikk doctor` says of names in it that lead nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from trikk.core.errors import TrikkError, UnknownName, UsageError
from trikk.execution.project import Project

if TYPE_CHECKING:
    from trikk.execution.upkeep.project_check import Finding
    from trikk.monitoring.monitor_definition import MonitorSpec
    from trikk.pipeline.graph import Graph
    from trikk.reports.report_definition import ReportSpec
    from trikk.triggers.declared import Declared


def declared_graphs(project: Project) -> dict[str, Graph]:
    """The project's pipelines by name, from a process that imports its code and then ends.

    Raises:
        TrikkError: if the code can't be loaded.
    """
    from trikk.execution.workers.process_executor import ProcessExecutor

    with closing(ProcessExecutor(project.settings)) as executor:
        return executor.graphs()


def declared_triggers(project: Project) -> tuple[dict[str, Declared], dict[str, Graph]]:
    """The project's triggers and pipelines by name; errors as of `project_triggers`."""
    from trikk.execution.workers.process_executor import ProcessExecutor
    from trikk.triggers.declared import project_triggers

    with closing(ProcessExecutor(project.settings)) as executor:
        return project_triggers(executor, project.settings), executor.graphs()


def check_project(project: Project) -> Iterator[Finding]:
    """All that `trikk doctor` says, each as soon as it is there: on a large project the next may take its time."""
    from trikk.alerts import channel_check
    from trikk.execution.upkeep import project_check

    yield from project_check.examine(project)
    yield from channel_check.examine(project)
    yield from examine(project)


def examine(project: Project) -> list[Finding]:
    """Look at alarms, reports and triggers; nothing if the code can't be loaded, which is told elsewhere."""
    from trikk.alerts.channel_check import of_starts
    from trikk.alerts.evaluations import declared as monitors_in
    from trikk.reports.due_reports import declared as reports_in

    try:
        graphs = declared_graphs(project)
    except TrikkError:
        return []
    monitors = {spec.name: spec for spec in monitors_in(graphs).values()}
    reports = list(reports_in(graphs).values())
    starts = of_starts(project, list(monitors.values()), graphs)
    return [*starts, *_of_reports(reports, monitors), *_of_triggers(project)]


def _of_triggers(project: Project) -> Iterator[Finding]:
    """Whether triggers, of code and trikk.toml together, can be gone by, and webhooks know their calls."""
    from trikk.execution.upkeep.project_check import Finding
    from trikk.server.sources.webhook_keys import webhook_keys
    from trikk.triggers.event_triggers import Webhook

    try:
        triggers, _ = declared_triggers(project)
    except TrikkError as error:
        where = f" ({error.where})" if error.where else ""
        yield Finding("triggers", False, f"{error.what}{where}", error.next)
        return
    if triggers:
        yield Finding("triggers", True, f"they are well declared: {', '.join(triggers)}")
    for name, declared in triggers.items():
        if isinstance(declared.trigger, Webhook):
            try:
                webhook_keys(declared.trigger, declared.where)
                yield Finding(f"webhook {name}", True, "its secret is set")
            except UsageError as error:
                yield Finding(f"webhook {name}", False, f"it can take no call: {error.what}", error.next)


def _of_reports(reports: Sequence[ReportSpec], monitors: Mapping[str, MonitorSpec]) -> Iterator[Finding]:
    """Whether the monitors that reports name are there, and slice as is needed."""
    from trikk.execution.upkeep.project_check import Finding

    for spec in reports:
        wrong = [one for name in spec.monitors if (one := _wrong(spec, name, monitors)) is not None]
        for error in wrong:
            yield Finding(f"report {spec.name}", False, error.what, error.next)
        if not wrong:
            yield Finding(f"report {spec.name}", True, f"its monitors are declared: {', '.join(spec.monitors)}")


def _wrong(spec: ReportSpec, name: str, monitors: Mapping[str, MonitorSpec]) -> UnknownName | None:
    if name not in monitors:
        return UnknownName("monitor", name, monitors)
    slices = monitors[name].slices
    if spec.customers and spec.customer_slice not in slices:
        mend = f"add {spec.customer_slice!r} to the slices of monitor {name}"
        return UnknownName(f"slice of monitor {name}", spec.customer_slice, slices, next=mend)
    return None
