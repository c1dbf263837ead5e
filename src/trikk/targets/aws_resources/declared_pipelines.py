"""The pipelines that a project puts at AWS, compiled for the environment, with what starts them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import Any

from trikk.core.errors import UnknownName, UsageError
from trikk.core.settings import FILE, Settings
from trikk.targets.aws_resources.aws_names import AwsNames
from trikk.targets.aws_resources.aws_settings import AwsSettings
from trikk.targets.aws_resources.environment_resources import EnginePipeline
from trikk.targets.aws_resources.schedule_payload import schedule_payload
from trikk.targets.safe_names import safe_names
from trikk.targets.target_port import Source, target_named
from trikk.triggers.clock_triggers import Cron
from trikk.triggers.declared import Declared

ENGINE = "sagemaker"
_LONGEST_PIPELINE, _LONGEST_SCHEDULE = 82, 64


def declared_pipelines(settings: AwsSettings, sources: Iterable[Source]) -> list[EnginePipeline]:
    """The pipelines that `[targets.aws]` names, or else those that a Cron trigger starts, compiled.

    Args:
        settings: of the environment.
        sources: of all pipelines of the project, with the settings of `for_environment`.

    Raises:
        UnknownName: if it names one that is not there.
        UsageError: if one can't be compiled, or a schedule leaves a parameter open.
    """
    by_name = {source.graph.pipeline: source for source in sources}
    chosen = settings.pipelines
    if chosen is None:
        chosen = tuple(name for name, source in by_name.items() if any(map(_is_cron, source.triggers)))
    if unknown := [name for name in chosen if name not in by_name]:
        raise UnknownName("pipeline", unknown[0], by_name)
    called = safe_names(chosen, _LONGEST_PIPELINE - len(settings.prefix) - 1)
    triggers = [declared.name for name in chosen for declared in by_name[name].triggers]
    schedules = safe_names(triggers, _LONGEST_SCHEDULE)
    pipelines = []
    for name in chosen:
        definition = json.loads(target_named(ENGINE).document(by_name[name]))
        pipelines.append(EnginePipeline(by_name[name], f"{settings.prefix}-{called[name]}", definition, schedules))
    for pipeline in pipelines:
        check_parameters(pipeline)
    return pipelines


def for_environment(settings: Settings, names: AwsNames) -> Settings:
    """The project's settings with the role and the bucket of the environment, where it names no others."""
    section = {"role": names.role_arn(names.jobs_role), "bucket": names.bucket, **settings.targets.get(ENGINE, {})}
    return dataclasses.replace(settings, targets={**settings.targets, ENGINE: section})


def check_parameters(pipeline: EnginePipeline) -> None:
    """Refuse a schedule that starts a pipeline without all of its parameters: it would fail each time."""
    needed = {p["Name"] for p in pipeline.definition.get("Parameters", []) if "DefaultValue" not in p}
    for declared in pipeline.triggers:
        if not _is_cron(declared):
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


def _is_cron(declared: Declared) -> bool:
    return isinstance(declared.trigger, Cron)


def _keys(value: Any) -> Iterable[str]:
    return value if isinstance(value, Mapping) else ()
