"""What the project's code declares: its graphs, and what `trikk doctor` says of names in it that lead nowhere."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from trikk.core.errors import TrikkError
from trikk.execution.project import Project

if TYPE_CHECKING:
    from trikk.execution.upkeep.project_check import Finding
    from trikk.pipeline.graph import Graph


def declared_graphs(project: Project) -> dict[str, Graph]:
    """The project's pipelines by name, from a process that imports its code and then ends.

    Raises:
        TrikkError: if the code can't be loaded.
    """
    from trikk.execution.workers.process_executor import ProcessExecutor

    with closing(ProcessExecutor(project.settings)) as executor:
        return executor.graphs()


def examine(project: Project) -> list[Finding]:
    """Look at monitors' alarms and at reports; nothing if the code can't be loaded, which is told elsewhere."""
    from trikk.alerts.channel_check import of_starts
    from trikk.alerts.evaluations import declared as monitors_in
    from trikk.reports import subject_check as of_reports
    from trikk.reports.due_reports import declared as reports_in

    try:
        graphs = declared_graphs(project)
    except TrikkError:
        return []
    monitors = {spec.name: spec for spec in monitors_in(graphs).values()}
    reports = list(reports_in(graphs).values())
    return [*of_starts(project, list(monitors.values()), graphs), *of_reports.examine(reports, monitors)]
