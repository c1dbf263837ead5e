"""What `trikk doctor` says of what the code declares: names that lead nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trikk.core.errors import TrikkError
from trikk.execution.project import Project

if TYPE_CHECKING:
    from trikk.execution.upkeep.project_check import Finding


def examine(project: Project) -> list[Finding]:
    """Look at monitors' alarms and at reports; nothing if the code can't be loaded, which is told elsewhere."""
    from trikk.alerts.channel_check import of_starts
    from trikk.alerts.evaluations import declared as monitors_in
    from trikk.execution.workers.process_executor import ProcessExecutor
    from trikk.reports import subject_check as of_reports
    from trikk.reports.due_reports import declared as reports_in

    executor = ProcessExecutor(project.settings)
    try:
        graphs = executor.graphs()
    except TrikkError:
        return []
    finally:
        executor.close()
    monitors = {spec.name: spec for spec in monitors_in(graphs).values()}
    reports = list(reports_in(graphs).values())
    return [*of_starts(project, list(monitors.values()), graphs), *of_reports.examine(reports, monitors)]
