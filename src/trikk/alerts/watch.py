"""One look at a project: evaluate what is due, judge rules, keep incidents, tell people, start pipelines."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from trikk.core.values import JSON
from trikk.execution.project import Project
from trikk.execution.session import Session


@dataclass(slots=True)
class Looked:
    """What a look has done, for people and programs.

    Attributes:
        evaluated: monitors that were due: monitor, run, state, why.
        changes: what happened to incidents: incident, kind, title, why.
        delivered: messages: incident, channel, state ("delivered", "failed", "given up"), why.
        started: pipelines that incidents started: incident, pipeline, run, state.
        notes: what could not be done, in sentences; it is tried again at the next look.
        errors: what is wrong with the settings, in sentences.
    """

    evaluated: list[dict[str, JSON]] = field(default_factory=list)
    changes: list[dict[str, JSON]] = field(default_factory=list)
    delivered: list[dict[str, JSON]] = field(default_factory=list)
    started: list[dict[str, JSON]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, JSON]:
        """All of it as JSON."""
        found: dict[str, JSON] = {name: getattr(self, name) for name in self.__slots__}
        return found


def look(project: Project, session: Session, *, now: datetime) -> Looked:
    """Look at a project as of a time; safe to be done by several processes at once, and again after a kill.

    Args:
        project: the project.
        session: its code, loaded; monitors' pipelines and those that incidents start are run through it.
        now: the time, with its zone; everything that is recorded and decided takes it for the present.

    Raises:
        UsageError: if the project's rules are wrong; nothing was done.
    """
    raise NotImplementedError
