"""The pipelines that a project puts at AWS, compiled for the environment, with what starts them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import Any

from trikk.core.errors import UnknownName, UsageError
from trikk.core.settings import FILE, Settings
from trikk.execution.project import Project
from trikk.runs.bundle import bundle_digest, manifest
from trikk.targets.aws_resources.aws_names import AwsNames
from trikk.targets.aws_resources.aws_settings import AwsSettings
from trikk.targets.aws_resources.environment_resources import EnginePipeline
from trikk.targets.aws_resources.schedule_payload import schedule_payload
from trikk.targets.safe_names import safe_names
from trikk.targets.target_port import Source, target_named
from trikk.triggers.clock_triggers import Cron
from trikk.triggers.declared import project_triggers

ENGINE = "sagemaker"
_LONGEST_PIPELINE, _LONGEST_SCHEDULE = 82, 64


def declared_pipelines(project: Project, settings: AwsSettings, names: AwsNames) -> list[EnginePipeline]:
    """The pipelines that `[targets.aws]` names, or else those that a Cron trigger starts, compiled.

    Raises:
        UnknownName: if it names one that is not there.
        UsageError: if one can't be compiled, or a schedule leaves a parameter open.
    """
    from trikk.execution.workers.process_executor import ProcessExecutor

    with closing(ProcessExecutor(project.settings)) as executor:
        triggers = project_triggers(executor, project.settings)
        graphs = executor.graphs()
    chosen = settings.pipelines
    if chosen is None:
        chosen = tuple(dict.fromkeys(d.pipeline for d in triggers.values() if isinstance(d.trigger, Cron)))
    if unknown := [name for name in chosen if name not in graphs]:
        raise UnknownName("pipeline", unknown[0], graphs)
    code = bundle_digest(manifest(project.settings.root, project.settings.code))
    source = {
        name: Source(
            graphs[name],
            for_environment(project.settings, names),
            code,
            tuple(declared for declared in triggers.values() if declared.pipeline == name),
        )
        for name in chosen
    }
    return engine_pipelines(settings, {name: (each, _compiled(each)) for name, each in source.items()})


def engine_pipelines(
    settings: AwsSettings, compiled: Mapping[str, tuple[Source, Mapping[str, Any]]]
) -> list[EnginePipeline]:
    """Compiled pipelines with the names that they and their schedules have at AWS.

    Args:
        settings: of the environment.
        compiled: by pipeline, what was compiled, and the document.

    Raises:
        UsageError: if a schedule leaves a parameter open.
    """
    called = safe_names(compiled, _LONGEST_PIPELINE - len(settings.prefix) - 1)
    triggers = [declared.name for source, _ in compiled.values() for declared in source.triggers]
    schedules = safe_names(triggers, _LONGEST_SCHEDULE)
    pipelines = [
        EnginePipeline(source.graph, f"{settings.prefix}-{called[name]}", document, source.triggers, schedules)
        for name, (source, document) in compiled.items()
    ]
    for pipeline in pipelines:
        _check_parameters(pipeline)
    return pipelines


def for_environment(settings: Settings, names: AwsNames) -> Settings:
    """The project's settings with the role and the bucket of the environment, where it names no others."""
    section = {"role": names.role_arn(names.jobs_role), "bucket": names.bucket, **settings.targets.get(ENGINE, {})}
    return dataclasses.replace(settings, targets={**settings.targets, ENGINE: section})


def _compiled(source: Source) -> Mapping[str, Any]:
    document: Mapping[str, Any] = json.loads(target_named(ENGINE).document(source))
    return document


def _check_parameters(pipeline: EnginePipeline) -> None:
    """Refuse a schedule that starts a pipeline without all of its parameters: it would fail each time."""
    needed = {p["Name"] for p in pipeline.definition.get("Parameters", []) if "DefaultValue" not in p}
    for declared in pipeline.triggers:
        if not isinstance(declared.trigger, Cron):
            continue
        payload = schedule_payload(pipeline.name, pipeline.graph, declared, pipeline.definition)
        given = {
            *_keys(payload["parameters"]),
            *_keys(payload["fill"]),
            *(("Trigger", "Tick") if payload["origin"] else ()),
        }
        if left := sorted(needed - given):
            raise UsageError(
                f"trigger {declared.name} leaves {', '.join(left)} of pipeline {pipeline.graph.pipeline} open",
                where=declared.where,
                next=f"set image, role, bucket in {FILE}, [targets.{ENGINE}], others by the trigger: parameters=",
            )


def _keys(value: Any) -> Iterable[str]:
    return value if isinstance(value, Mapping) else ()
