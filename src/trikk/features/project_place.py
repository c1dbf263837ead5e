"""Where a project's tables, journal and online stores are: the running step's, or the current folder's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trikk.runs.context import current_step


@dataclass(frozen=True, slots=True)
class Place:
    """A project as feature tables see it."""

    tables: Any
    journal: Any  # its journal, which is a ledger
    state_dir: Path  # its `.trikk`
    moment: float | None  # seconds since 1970 that count as now: the run's, or None for the clock's


def place() -> Place:
    """The place of the step that runs, or of the project that the current folder lies in.

    Raises:
        ProjectError: outside of both.
    """
    context = current_step()
    if context is not None:
        return Place(context.tables, context.journal, context.state_dir, context.moment)
    from trikk.execution.project import Project

    project = Project.open()
    return Place(project.tables, project.journal, project.state_dir, None)


def state_folder() -> Path:
    """The `.trikk` of the running step's project, or of the one that the current folder lies in."""
    context = current_step()
    if context is not None:
        return context.state_dir
    from trikk.core.settings import STATE, find_project

    return find_project(Path.cwd()) / STATE
