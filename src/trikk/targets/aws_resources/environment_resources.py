"""The resources of an environment, from its settings, its compiled pipelines and their triggers. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trikk.core.errors import TrikkError, UsageError
from trikk.core.zones import zone_of
from trikk.pipeline.graph import Graph
from trikk.targets.aws_resources import rights
from trikk.targets.aws_resources.aws_names import AwsNames
from trikk.targets.aws_resources.aws_settings import AwsSettings
from trikk.targets.aws_resources.function_archive import HANDLER, code_sum, function_archive
from trikk.targets.aws_resources.kinds.resource_port import Kind, Resource
from trikk.targets.aws_resources.schedule_expression import clock_notes, longest_gap, schedule_expression
from trikk.targets.aws_resources.schedule_payload import schedule_payload
from trikk.targets.target_port import Source
from trikk.triggers.clock_triggers import Cron
from trikk.triggers.declaration import Overlap
from trikk.triggers.declared import Declared

RUNTIME = "python3.13"
_METRICS = "AWS/Sagemaker/ModelBuildingPipeline"  # so spelt
_HOUR = 3600
_HOURS_LOOKED_AT = 7 * 24  # the longest time that an alarm with hourly periods looks back
_EXCHANGE_DAYS = 90
_REPLACED_DAYS, _UPLOAD_DAYS = 30, 7
_MESSAGE = (
    "<pipeline> has failed at <at>. Execution: <execution>. Once it is mended, it goes on where it stopped: "
    "aws sagemaker retry-pipeline-execution --pipeline-execution-arn <execution>"
)
_FAILED = "SageMaker Model Building Pipeline Execution Status Change"


@dataclass(frozen=True, slots=True)
class EnginePipeline:
    """A pipeline as it is put at AWS.

    Attributes:
        source: what it is compiled from.
        name: what it is called there.
        definition: the compiled document.
        schedules: what the schedule of each trigger is called, by the trigger's name.
    """

    source: Source
    name: str
    definition: Mapping[str, Any]
    schedules: Mapping[str, str]

    @property
    def graph(self) -> Graph:
        """The pipeline."""
        return self.source.graph

    @property
    def triggers(self) -> tuple[Declared, ...]:
        """What starts it."""
        return self.source.triggers


def environment_resources(
    settings: AwsSettings, names: AwsNames, pipelines: Sequence[EnginePipeline]
) -> list[Resource]:
    """All resources of an environment.

    Raises:
        UsageError: if Scheduler can't say when a trigger comes due; all such triggers are named.
    """
    tags = settings.all_tags
    bare = [
        *_storage(settings, names),
        *_roles(settings, names, pipelines),
        _function(names),
        Resource(Kind.TOPIC, names.topic, {"policy": rights.topic_policy(names)}, "what people are told"),
        _rule(names),
        Resource(Kind.SCHEDULE_GROUP, names.schedule_group, {}, "the schedules, and whose they are"),
    ]
    for pipeline in pipelines:
        bare.append(_pipeline(names, pipeline))
        bare += _alarms(names, pipeline)
    tagged = [Resource(r.kind, r.name, {**r.attributes, "tags": tags}, r.why) for r in bare]
    return [*tagged, *_subscriptions(settings), *_schedules(names, pipelines)]


def _storage(settings: AwsSettings, names: AwsNames) -> Iterator[Resource]:
    yield Resource(Kind.LOG_GROUP, names.log_group, {"retention": settings.retention}, "the function's logs")
    attributes = {
        "region": names.region,
        "versioning": "Enabled",
        "encryption": "AES256",
        "public_access": "blocked",
        "policy": rights.bucket_policy(names),
        "expiry": {
            **_of_exchange(settings, names),
            "replaced": {"prefix": "", "replaced_days": _REPLACED_DAYS, "upload_days": _UPLOAD_DAYS},
        },
    }
    yield Resource(Kind.BUCKET, names.bucket, attributes, "artifacts, tables, code, and what jobs tell each other")


def _of_exchange(settings: AwsSettings, names: AwsNames) -> dict[str, Any]:
    """The rule for what jobs tell each other, unless that lies in another bucket."""
    bucket, _, prefix = settings.exchange.partition("/")
    return {"exchange": {"prefix": f"{prefix}/", "days": _EXCHANGE_DAYS}} if bucket in ("", names.bucket) else {}


def _roles(settings: AwsSettings, names: AwsNames, pipelines: Sequence[EnginePipeline]) -> Iterator[Resource]:
    jobs = rights.jobs_policy(names, settings.secrets, [pipeline.definition for pipeline in pipelines])
    start = rights.start_policy(names, [pipeline.name for pipeline in pipelines])
    call = rights.scheduler_policy(names)
    by_sagemaker, by_scheduler = (rights.trusted_by(service, names) for service in ("sagemaker", "scheduler"))
    by_lambda = rights.trusted_by("lambda", None)
    for name, trust, policies, why in (
        (names.jobs_role, by_sagemaker, {"jobs": jobs}, "pipelines and their jobs"),
        (names.function, by_lambda, {"start": start}, "the start function"),
        (names.scheduler_role, by_scheduler, {"call": call}, "Scheduler, to call the function"),
    ):
        yield Resource(Kind.ROLE, name, {"trust": trust, "policies": policies, "attached_policies": []}, why)


def _function(names: AwsNames) -> Resource:
    attributes = {
        "runtime": RUNTIME,
        "handler": HANDLER,
        "architecture": "arm64",
        "memory": 256,
        "timeout": 60,
        "role": names.role_arn(names.function),
        "code": code_sum(function_archive()),
        "log_group": names.log_group,
        "retries": 1,  # Lambda waits a minute before it
        "event_age": 300,
        "failed_calls_to": names.arn("sns", names.topic),
    }
    return Resource(Kind.FUNCTION, names.function, attributes, "starts pipelines, each tick once")


def _rule(names: AwsNames) -> Resource:
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": [_FAILED],
        "detail": {
            "currentPipelineExecutionStatus": ["Failed"],
            "pipelineArn": [{"prefix": names.arn("sagemaker", f"pipeline/{names.prefix}-")}],
        },
    }
    paths = {"execution": "$.detail.pipelineExecutionArn", "pipeline": "$.detail.pipelineArn", "at": "$.time"}
    message = {"InputPathsMap": paths, "InputTemplate": f'"{_MESSAGE}"'}
    target = {"Arn": names.arn("sns", names.topic), "InputTransformer": message}
    attributes = {"pattern": pattern, "state": "ENABLED", "targets": {"alerts": target}}
    return Resource(Kind.RULE, names.rule, attributes, "tells the topic of executions that fail")


def _subscriptions(settings: AwsSettings) -> Iterator[Resource]:
    for address in settings.alerts:
        yield Resource(Kind.SUBSCRIPTION, address, {}, "is told what the topic is told")


def _pipeline(names: AwsNames, pipeline: EnginePipeline) -> Resource:
    attributes = {"definition": pipeline.definition, "role": names.role_arn(names.jobs_role)}
    return Resource(Kind.PIPELINE, pipeline.name, attributes, f"pipeline {pipeline.graph.pipeline}")


def _schedules(names: AwsNames, pipelines: Sequence[EnginePipeline]) -> list[Resource]:
    schedules, refused = [], []
    for pipeline in pipelines:
        for declared in pipeline.triggers:
            if not isinstance(declared.trigger, Cron):
                continue
            try:
                schedules.append(_schedule(names, pipeline, declared, declared.trigger))
            except TrikkError as error:
                refused.append(f"trigger {declared.name} ({declared.where}): {error.what}; {error.next}")
    if refused:
        raise UsageError(
            "\n  ".join(refused),
            next="change these triggers, or leave their pipelines out: [targets.aws] pipelines",
        )
    return schedules


def _schedule(names: AwsNames, pipeline: EnginePipeline, declared: Declared, trigger: Cron) -> Resource:
    payload = schedule_payload(pipeline.name, pipeline.graph, declared, pipeline.definition)
    attributes = {
        "expression": schedule_expression(trigger.line),
        "zone": trigger.zone.key,
        "state": "ENABLED",
        "window": "OFF",
        "function": names.arn("lambda", f"function:{names.function}"),
        "role": names.role_arn(names.scheduler_role),
        "input": payload,
        "retries": 1,
        "event_age": 60,
    }
    return Resource(
        Kind.SCHEDULE,
        pipeline.schedules[declared.name],
        attributes,
        f"trigger {declared.name}: {trigger.in_words()}",
    )


def _alarms(names: AwsNames, pipeline: EnginePipeline) -> Iterator[Resource]:
    name = pipeline.name
    common = {
        "namespace": _METRICS,
        "dimensions": {"PipelineName": name},
        "statistic": "Sum",
        "threshold": 1.0,
        "actions": [names.arn("sns", names.topic)],
    }
    failed = {
        "metric": "ExecutionFailed",
        "comparison": "GreaterThanOrEqualToThreshold",
        "missing": "notBreaching",
        "period": 300,
        "periods": 1,
        "description": f"Executions of {name} fail.",
    }
    yield Resource(Kind.ALARM, f"{name}-failed", {**common, **failed}, "an execution has failed")
    hours = missed_after(pipeline.triggers)
    if hours is not None:
        said = f"No execution of {name} was started for {hours} hours. Its schedule, "
        missed = {
            "metric": "ExecutionStarted",
            "comparison": "LessThanThreshold",
            "missing": "breaching",
            "period": _HOUR,
            "periods": hours,
            "description": f"{said}the function {names.function} and its log say why.",
        }
        yield Resource(Kind.ALARM, f"{name}-missed", {**common, **missed}, f"none was started for {hours} hours")


def missed_after(triggers: Sequence[Declared]) -> int | None:
    """The hours without a start after which one is missing; None if nobody can say, or that is over a week."""
    gaps = [longest_gap(declared.trigger.line) for declared in triggers if isinstance(declared.trigger, Cron)]
    hours = min(gaps, default=_HOURS_LOOKED_AT) + 2  # one for a clock that is put back, one for a slow start
    return hours if hours <= _HOURS_LOOKED_AT else None


def notes(pipelines: Sequence[EnginePipeline]) -> list[str]:
    """What is otherwise at AWS than with `trikk serve`, each in a sentence."""
    said = []
    for pipeline in pipelines:
        for declared in pipeline.triggers:
            trigger = declared.trigger
            if not isinstance(trigger, Cron):
                said.append(f"trigger {declared.name}: it is no Cron, so it starts nothing at AWS")
                continue
            said += (
                f"trigger {declared.name}: {note}" for note in clock_notes(trigger.line, zone_of(trigger.zone.key))
            )
            if trigger.overlap is not Overlap.ALLOW:
                said.append(
                    f"trigger {declared.name}: an execution is started while an earlier one is not over, too"
                )
        if pipeline.triggers and missed_after(pipeline.triggers) is None:
            said.append(f"pipeline {pipeline.graph.pipeline}: no alarm looks back so far that it could miss a run")
    return said
