"""A step of the graph as a step of the definition: a processing or a training job that runs the job command.

No job has a name: the service makes one of the execution and the step, which is new each time. Nothing is
cached there: the service compares addresses and not what lies at them. Sources:
https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-steps-types.html; bounds are botocore's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from trikk.core.record import Record
from trikk.core.values import JSON, canonical, plain
from trikk.pipeline.arguments import Constant, ParameterRef
from trikk.pipeline.graph import Graph, Node
from trikk.targets.sagemaker.condition_terms import OUTCOME
from trikk.targets.sagemaker.definition_parameters import may_be_empty
from trikk.targets.sagemaker.definition_values import EXECUTION_ID, join, parameter
from trikk.targets.sagemaker.retry_policies import retry_policies
from trikk.targets.sagemaker.sagemaker_settings import JobKind

COMMAND = ("-m", "trikk.targets.jobs.step_job")
DAY = 86_400
ANY_END = "Any"  # of the triggers Completed, Failed, Stopped and Any, which the SDK knows since 3.27
_STARTING = 600  # seconds for the image, the code and a first import
_OUTCOME_FOLDER = "/opt/ml/processing/outcome"
_OUTCOME_OUTPUT, _OUTCOME_FILE = "outcome", "outcome.json"
_MESSAGE = {JobKind.PROCESSING: "/opt/ml/output/message", JobKind.TRAINING: "/opt/ml/output/failure"}
_MODEL_FOLDER = "/opt/ml/model"
_LONGEST_HYPERPARAMETER = 2500


class JobPlaces(Record, frozen=True):
    """What all jobs of a pipeline are given: texts, or references to parameters of the definition."""

    role: Any
    image: Any
    exchange: Any
    store: Any
    tables: Any
    models: Any  # where training jobs leave what lies in /opt/ml/model
    code: str
    environment: str
    python: str
    variables: dict[str, str]
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()


class JobShape(Record, frozen=True):
    """What one job runs on, and as what."""

    kind: JobKind
    instance: str
    volume: int  # GB
    runtime: int  # seconds


def longest_run(node: Node) -> int | None:
    """How many seconds a job takes at most, with all attempts of its step; None if its author sets no limit."""
    if node.timeout is None or node.mapped is not None:
        return None
    retry: Any = node.retry or {"attempts": 1}
    pauses = (min(retry["max_delay"], _grown(retry, n)) for n in range(retry["attempts"] - 1))
    seconds: float = retry["attempts"] * node.timeout + sum(pauses)
    return math.ceil(seconds) + _STARTING


def _grown(retry: Mapping[str, Any], repeats: int) -> float:
    try:
        return float(retry["delay"] * retry["factor"] ** repeats)
    except OverflowError:
        return math.inf


def job_step(
    node: Node, graph: Graph, shape: JobShape, places: JobPlaces, names: Mapping[str, str], *, has_outcome: bool
) -> dict[str, JSON]:
    """A step of the definition.

    Args:
        node: the author's.
        graph: the pipeline.
        shape: what it runs on.
        places: what all jobs are given.
        names: by the author's name what a parameter is called there; steps as `step/NAME`.
        has_outcome: whether a condition looks at its output, so that the job writes it down for the service.
    """
    command = job_arguments(node, graph, places, names, message=_MESSAGE[shape.kind])
    if has_outcome:
        command += ["--outcome", f"{_OUTCOME_FOLDER}/{_OUTCOME_FILE}"]
    is_training = shape.kind == JobKind.TRAINING
    step: dict[str, JSON] = {
        "Name": names[f"step/{node.name}"],
        "Type": "Training" if is_training else "Processing",
        "Arguments": _training(node, graph, shape, places, names, command)
        if is_training
        else _processing(node, shape, places, command, names, has_outcome=has_outcome),
    }
    if has_outcome:
        file: JSON = {"PropertyFileName": OUTCOME, "OutputName": _OUTCOME_OUTPUT, "FilePath": _OUTCOME_FILE}
        step["PropertyFiles"] = [file]
    if upstream := sorted(node.upstream(), key=lambda up: names[f"step/{up}"]):
        step["DependsOn"] = [_dependency(graph.nodes[up], names) for up in upstream]
    if policies := retry_policies(node.retry):
        step["RetryPolicies"] = policies
    return step


def _dependency(upstream: Node, names: Mapping[str, str]) -> JSON:
    """How a step waits for one before it: for its success, or, if that one may fail, for its end.

    A job whose step fails as it may ends well by itself; this is for one that dies before it can say so.
    """
    name = names[f"step/{upstream.name}"]
    return {"Step": name, "Trigger": ANY_END} if upstream.allow_failure else name


def job_arguments(
    node: Node, graph: Graph, places: JobPlaces, names: Mapping[str, str], *, message: str
) -> list[JSON]:
    """What the job command is given."""
    options: dict[str, JSON] = {
        "pipeline": graph.pipeline,
        "execution": EXECUTION_ID,
        "engine": "sagemaker",
        "exchange": places.exchange,
        "store": places.store,
        "tables": places.tables,
        "code": places.code,
        "environment": places.environment,
        "trigger": parameter("Trigger"),
        "tick": parameter("Tick"),
        "message": message,
    }
    given: list[JSON] = [node.name]
    for option, value in options.items():
        given += [f"--{option}", value]
    for spec in graph.parameters:
        option = "--optional" if may_be_empty(spec) else "--parameter"
        given += [option, spec.name, as_text(spec.name, graph, names)]
    return given


def as_text(name: str, graph: Graph, names: Mapping[str, str]) -> JSON:
    """A parameter's value where a text has to stand."""
    value = parameter(names[name])
    is_text = next(s for s in graph.parameters if s.name == name).kind.name not in ("bool", "int", "float")
    return value if is_text else join(value, "")


def _processing(
    node: Node,
    shape: JobShape,
    places: JobPlaces,
    command: Sequence[JSON],
    names: Mapping[str, str],
    *,
    has_outcome: bool,
) -> dict[str, JSON]:
    cluster: dict[str, JSON] = {"InstanceType": shape.instance, "InstanceCount": 1, "VolumeSizeInGB": shape.volume}
    arguments: dict[str, JSON] = {
        "RoleArn": places.role,
        "AppSpecification": {
            "ImageUri": places.image,
            "ContainerEntrypoint": [places.python, *COMMAND],
            "ContainerArguments": [*command],
        },
        "ProcessingResources": {"ClusterConfig": cluster},
        "StoppingCondition": {"MaxRuntimeInSeconds": shape.runtime},
    }
    if places.variables:
        arguments["Environment"] = {**places.variables}
    if has_outcome:
        address = join(places.exchange, "/", EXECUTION_ID, "/outcomes/", names[f"step/{node.name}"])
        arguments["ProcessingOutputConfig"] = {
            "Outputs": [
                {
                    "OutputName": _OUTCOME_OUTPUT,
                    "AppManaged": False,
                    "S3Output": {"S3Uri": address, "LocalPath": _OUTCOME_FOLDER, "S3UploadMode": "EndOfJob"},
                }
            ]
        }
    if network := _network(places):
        arguments["NetworkConfig"] = {"VpcConfig": network}
    return arguments


def _training(
    node: Node,
    graph: Graph,
    shape: JobShape,
    places: JobPlaces,
    names: Mapping[str, str],
    command: Sequence[JSON],
) -> dict[str, JSON]:
    arguments: dict[str, JSON] = {
        "RoleArn": places.role,
        "AlgorithmSpecification": {
            "TrainingImage": places.image,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": [places.python, *COMMAND],
            "ContainerArguments": [*command, "--model", _MODEL_FOLDER],
        },
        "OutputDataConfig": {"S3OutputPath": places.models},
        "ResourceConfig": {"InstanceType": shape.instance, "InstanceCount": 1, "VolumeSizeInGB": shape.volume},
        "StoppingCondition": {"MaxRuntimeInSeconds": shape.runtime},
    }
    if settled := _hyperparameters(node, graph, names):
        arguments["HyperParameters"] = settled
    if places.variables:
        arguments["Environment"] = {**places.variables}
    if network := _network(places):
        arguments["VpcConfig"] = network
    return arguments


def _hyperparameters(node: Node, graph: Graph, names: Mapping[str, str]) -> dict[str, JSON]:
    """The step's plain arguments as texts, for people who look at the job; the job itself reads none of them."""
    shown: dict[str, JSON] = {}
    for name, argument in node.arguments.items():
        if isinstance(argument, ParameterRef):
            shown[name] = as_text(argument.name, graph, names)
        elif isinstance(argument, Constant):
            value = plain(argument.value)
            text = value if isinstance(value, str) else canonical(value).decode()
            if len(text) <= _LONGEST_HYPERPARAMETER:
                shown[name] = text
    return shown


def _network(places: JobPlaces) -> dict[str, JSON]:
    if not places.subnets:
        return {}
    return {"Subnets": [*places.subnets], "SecurityGroupIds": [*places.security_groups]}
