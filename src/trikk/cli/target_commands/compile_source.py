"""What documents are compiled from: the project's graphs and triggers, and the digest of its code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from trikk.core.errors import UnknownName, UsageError
from trikk.core.settings import STATE
from trikk.execution.process_environment import changed_variables
from trikk.execution.project import Project
from trikk.runs.bundle import bundle_digest, capture, manifest
from trikk.targets.target_port import Source

_ON_THIS_MACHINE = ("airflow",)
"""Engines whose jobs may see a folder of this machine."""


def sources(project: Project, pipeline: str | None = None) -> Iterator[Source]:
    """The sources of a project's pipelines, or of the one of that name.

    Raises:
        UnknownName: if there is no such pipeline.
        ProjectError: if the code can't be loaded.
    """
    from trikk.execution.workers.process_executor import ProcessExecutor
    from trikk.triggers.declared import project_triggers

    with _storage_left_alone(), closing(ProcessExecutor(project.settings)) as executor:
        graphs, triggers = executor.graphs(), project_triggers(executor, project.settings)
    if pipeline is not None and pipeline not in graphs:
        raise UnknownName("pipeline", pipeline, graphs)
    code = bundle_digest(manifest(project.root, project.settings.code))
    for name, graph in graphs.items():
        if pipeline in (None, name):
            own = tuple(declared for declared in triggers.values() if declared.pipeline == name)
            yield Source(graph, project.settings, code, own)


@contextmanager
def _storage_left_alone() -> Iterator[None]:
    """Import the project without its storage: a machine that compiles may have no password of its database."""
    own = {f"TRIKK_{place.upper()}": str(Path(STATE) / place) for place in ("artifacts", "tables", "journal")}
    with changed_variables(own):
        yield


def upload(project: Project, source: Source, target: str) -> None:
    """Put the code bundle and the graph where jobs fetch them.

    Raises:
        UsageError: if that would be a folder of this machine, which jobs don't see.
        StorageError: if it can't be written.
    """
    settings = project.settings
    bucket = settings.targets.get(target, {}).get("bucket")
    if "://" not in settings.artifacts and target not in _ON_THIS_MACHINE:
        if not bucket:
            raise UsageError(
                "the project's artifacts are in a folder of this machine, which jobs don't see",
                next=f'set bucket in [targets.{target}], or [storage] artifacts = "s3://..."',
            )
        project = Project(replace(settings, artifacts=f"s3://{bucket}/artifacts"))
    code = capture(project.root, settings.code, project.store)
    if code != source.code:
        raise UsageError("the project's code was changed meanwhile", next="start the command again")
    project.keep_json(source.graph.to_json())
