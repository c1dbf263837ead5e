"""Documents of a project's pipelines, as the commands make them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from trikk.execution.project import Project
from trikk.execution.run_options import How
from trikk.execution.session import Session
from trikk.targets.target_port import Problem, Source, target_named
from trikk.triggers.declared import project_triggers


def source_of(root: Path, pipeline: str, **other: str) -> Source:
    """What a pipeline's documents are compiled from, its settings changed; its code is in the store then."""
    with Session(Project.open(root), How()) as session:
        triggers = project_triggers(session.executor, session.project.settings)
        own = tuple(declared for declared in triggers.values() if declared.pipeline == pipeline)
        settings = replace(session.project.settings, **other)
        return Source(session.graph(pipeline), settings, session.lock.code, own)


def compiled(target: str, source: Source) -> str:
    """The document."""
    return target_named(target).document(source)


def problems(target: str, source: Source) -> list[Problem]:
    """All that is wrong with it, and notes."""
    return target_named(target).problems(source)
