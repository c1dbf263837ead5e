"""What a processing or training job asks for, checked; and the files that its container finds. Pure.

The contract: https://docs.aws.amazon.com/sagemaker/latest/dg/build-your-own-processing-container.html and
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from trikk.core.errors import DefinitionError
from trikk.core.values import JSON
from trikk.targets.sagemaker.local.definition.definition_expressions import GET, function_of
from trikk.targets.sagemaker.local.definition.pipeline_definition import DefinedStep, PipelineDefinition, StepKind
from trikk.targets.sagemaker.local.definition.service_retries import check_policies

HOST = "algo-1"
"""What the only machine of a job is called."""
_LONGEST_NAME = 63
_ML = "/opt/ml/"
_CHANNEL = re.compile(r"[A-Za-z0-9.\-_]{1,64}")
_DAY = 86_400.0


def check_requests(definition: PipelineDefinition) -> None:
    """Check that what the steps ask for can be had here, as far as it is known before they run.

    Raises:
        DefinitionError: if something can't.
    """
    for step in definition.steps.values():
        try:
            check_request(step.kind, step.arguments)
            for label, value in _texts(step):
                _check_text(value, label, definition)
            check_policies(step.body.get("RetryPolicies") or [])
        except DefinitionError as error:
            raise DefinitionError(f"step {step.name}: {error.what}", next=error.next) from None


def check_request(kind: StepKind, request: Mapping[str, Any]) -> None:
    """Check what a step asks for; what an expression will say is left out.

    Raises:
        DefinitionError: if it can't be had here, or is no request of its kind.
    """
    try:
        if kind == StepKind.PROCESSING:
            _check_processing(request)
        elif kind == StepKind.TRAINING:
            _check_training(request)
    except (KeyError, TypeError, AttributeError) as error:
        raise DefinitionError(
            f"it is no {kind}: {type(error).__name__} {error}", next="its Arguments are those of the Create call"
        ) from None


def _check_processing(request: Mapping[str, Any]) -> None:
    entry = request["AppSpecification"].get("ContainerEntrypoint")
    if not isinstance(entry, list) or not entry:
        raise DefinitionError(
            "it has no ContainerEntrypoint, and the image, which has one, is not run here",
            next="write the command into AppSpecification.ContainerEntrypoint",
        )
    _check_machines(request["ProcessingResources"]["ClusterConfig"])
    for given in request.get("ProcessingInputs") or []:
        source = given.get("S3Input")
        if source is None:
            raise DefinitionError(f"input {given.get('InputName')} does not come from S3", next="use S3Input")
        _check_path(source["LocalPath"])
        _check_mode(source.get("S3InputMode", "File"), source.get("S3DataType", "S3Prefix"))
        if source.get("S3CompressionType", "None") != "None":
            raise DefinitionError("S3CompressionType Gzip is not done here", next="let the job unpack it")
    for given in request.get("ProcessingOutputConfig", {}).get("Outputs", []):
        target = given.get("S3Output")
        if target is None:
            raise DefinitionError(f"output {given.get('OutputName')} does not go to S3", next="use S3Output")
        _check_path(target["LocalPath"])


def _check_training(request: Mapping[str, Any]) -> None:
    algorithm = request["AlgorithmSpecification"]
    if "AlgorithmName" in algorithm:
        raise DefinitionError("an algorithm of the marketplace can't run here", next="use a TrainingImage")
    _check_machines(request["ResourceConfig"])
    for channel in request.get("InputDataConfig") or []:
        if not isinstance(channel["ChannelName"], str) or not _CHANNEL.fullmatch(channel["ChannelName"]):
            raise DefinitionError(
                f"{channel['ChannelName']!r} is no name of a channel", next="use letters and digits"
            )
        source = channel["DataSource"].get("S3DataSource")
        if source is None:
            raise DefinitionError(f"channel {channel['ChannelName']} is not on S3", next="use an S3DataSource")
        mode = channel.get("InputMode") or algorithm.get("TrainingInputMode", "File")
        _check_mode(mode, source.get("S3DataType", "S3Prefix"))
        if channel.get("CompressionType", "None") != "None":
            raise DefinitionError("a channel's Gzip is not undone here", next="let the job unpack it")
    _ = request["OutputDataConfig"]["S3OutputPath"]


def _check_machines(resources: Mapping[str, Any]) -> None:
    count = resources.get("InstanceCount", 1)
    if (count != 1 and function_of(count) is None) or resources.get("InstanceGroups"):
        raise DefinitionError("a job here has one machine, and it asks for more", next="InstanceCount: 1")


def _check_mode(mode: Any, kind: Any) -> None:
    if function_of(mode) is None and mode not in ("File", "FastFile"):
        raise DefinitionError(f"input mode {mode!r} is not done here", next="use File")
    if function_of(kind) is None and kind not in ("S3Prefix", "ManifestFile"):
        raise DefinitionError(f"S3DataType {kind!r} is not done here", next="use S3Prefix or ManifestFile")


def _check_path(path: Any) -> None:
    if function_of(path) is not None:
        return
    if not isinstance(path, str) or not path.startswith(_ML) or ".." in path.split("/"):
        raise DefinitionError(f"LocalPath {path!r} is not below {_ML}", next=f"use {_ML}processing/...")


def _texts(step: DefinedStep) -> Iterator[tuple[str, Any]]:
    """Every value that the API takes as text only, with what it is called."""
    request = step.arguments
    container = request.get("AppSpecification") or request.get("AlgorithmSpecification") or {}
    if step.kind not in (StepKind.PROCESSING, StepKind.TRAINING):
        return
    for key in ("ContainerEntrypoint", "ContainerArguments"):
        for value in container.get(key) or []:
            yield key, value
    for key in ("Environment", "HyperParameters"):
        for name, value in (request.get(key) or {}).items():
            yield f"{key}.{name}", value


def _check_text(value: Any, label: str, definition: PipelineDefinition) -> None:
    """The service turns nothing into text by itself."""
    kind = type(value).__name__
    if function_of(value) == GET:
        root, _, name = value[GET].partition(".")
        if root != "Parameters" or definition.parameters[name].type == "String":
            return
        kind = definition.parameters[name].type
    elif isinstance(value, str) or function_of(value) is not None:
        return
    raise DefinitionError(
        f"{label} is a {kind}, and must be a text", next='wrap it: {"Std:Join": {"On": "", "Values": [...]}}'
    )


# ---- files and variables


def job_name(execution: str, step: str, attempt: int) -> str:
    """A job's name, in the form that the service makes."""
    safe = re.sub(r"[^A-Za-z0-9]+", "-", step).strip("-")
    tail = f"-{attempt}"
    return f"pipelines-{execution}-{safe}"[: _LONGEST_NAME - len(tail)].rstrip("-") + tail


def processing_files(request: Mapping[str, Any], name: str, arn: str) -> dict[str, JSON]:
    """The files under /opt/ml that a processing container finds beside its inputs, as JSON by path."""
    config = {**request, "ProcessingJobName": name, "ProcessingJobArn": arn}
    return {
        "config/processingjobconfig.json": config,
        "config/resourceconfig.json": {"current_host": HOST, "hosts": [HOST]},
    }


def training_files(request: Mapping[str, Any]) -> dict[str, JSON]:
    """The files under /opt/ml that a training container finds beside its channels, as JSON by path."""
    instance = request["ResourceConfig"].get("InstanceType", "local")
    channels: dict[str, JSON] = {
        channel["ChannelName"]: {
            "TrainingInputMode": channel.get("InputMode")
            or request["AlgorithmSpecification"].get("TrainingInputMode", "File"),
            "S3DistributionType": channel["DataSource"]["S3DataSource"].get(
                "S3DataDistributionType", "FullyReplicated"
            ),
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
            **({"ContentType": channel["ContentType"]} if "ContentType" in channel else {}),
        }
        for channel in request.get("InputDataConfig") or []
    }
    group = {"instance_group_name": "homogeneousCluster", "instance_type": instance, "hosts": [HOST]}
    return {
        "input/config/hyperparameters.json": dict(request.get("HyperParameters") or {}),
        "input/config/inputdataconfig.json": channels,
        "input/config/resourceconfig.json": {
            "current_host": HOST,
            "current_instance_type": instance,
            "current_group_name": "homogeneousCluster",
            "hosts": [HOST],
            "instance_groups": [group],
            "network_interface_name": "lo",
        },
    }


def seconds_of(request: Mapping[str, Any]) -> float:
    """How long a job may run: what it asks for, or the day that the service gives it."""
    return float(request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", _DAY))


def volume_of(request: Mapping[str, Any]) -> int | None:
    """Bytes of the disk that a job asks for."""
    resources = request.get("ResourceConfig") or request.get("ProcessingResources", {}).get("ClusterConfig") or {}
    size = resources.get("VolumeSizeInGB")
    return None if size is None else int(size) << 30
