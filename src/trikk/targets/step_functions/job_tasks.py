"""A step as a `Task` state: a SageMaker processing job, or a task on ECS, that runs the job command.

https://docs.aws.amazon.com/step-functions/latest/dg/connect-sagemaker.html
https://docs.aws.amazon.com/step-functions/latest/dg/connect-ecs.html
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from trikk.core.record import Record
from trikk.core.values import JSON
from trikk.pipeline.graph import Graph, Node
from trikk.targets.step_functions.state_machine import State
from trikk.targets.step_functions.state_texts import Path, Text, array, fields

OUTCOME_FOLDER = "/opt/ml/processing/outcome"
_COMMAND = ("-m", "trikk.targets.jobs.step_job")
_MESSAGE = "/opt/ml/output/message"
_LONGEST_NAME = 63  # of a processing job
_SHA1 = 40  # hexadecimal digits
_SERVICE = {
    # What the services themselves raise: too many requests, no room, no capacity. A job that has failed is
    # `States.TaskFailed`, which is never retried here: the author's code has had its attempts inside the job.
    "processing": ["SageMaker.AmazonSageMakerException", "SageMaker.ResourceLimitExceededException"],
    "ecs": [
        "ECS.AmazonECSException",
        "ECS.ServerException",
        "ECS.ThrottlingException",
        "ECS.LimitExceededException",
    ],
}
_USUAL_RETRY = {"attempts": 6, "delay": 30.0, "factor": 2.0, "max_delay": 600.0, "jitter": 1.0}
"""For a step whose author declares none: services are busy at times, and nothing has been done yet."""


class JobPlaces(Record, frozen=True):
    """What all jobs of a machine are given."""

    role: Any  # a Text, as are the next five
    image: Any
    bucket: Any
    exchange: Any
    store: Any
    tables: Any
    code: str
    environment: str
    python: str
    variables: dict[str, str]
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    cluster: str = ""
    task_definition: str = ""
    container: str = ""


class JobShape(Record, frozen=True):
    """What one job runs on, and as what."""

    kind: str
    instance: str
    volume: int  # GB
    runtime: int  # seconds
    cpu: int = 0  # of ECS: 1024 a core
    memory: int = 0  # MiB


def execution_id(pipeline: str) -> Text:
    """What jobs call an execution: its name is unique within its machine only, and the exchange is one for all."""
    return (f"{pipeline}.", Path("$$.Execution.Name"))


def joined(*texts: Text) -> Text:
    """Texts after each other."""
    parts = [part for text in texts for part in (text if isinstance(text, tuple) else (text,))]
    literal = [part for part in parts if isinstance(part, str)]
    return "".join(literal) if len(literal) == len(parts) else tuple(parts)


def job_arguments(
    node: Node, graph: Graph, places: JobPlaces, *, has_outcome: bool, has_message: bool
) -> list[Text]:
    """What the job command is given."""
    options: dict[str, Text] = {
        "pipeline": graph.pipeline,
        "execution": execution_id(graph.pipeline),
        "engine": "stepfunctions",
        "exchange": places.exchange,
        "store": places.store,
        "tables": places.tables,
        "code": places.code,
        "environment": places.environment,
        "trigger": Path("$.trigger"),
        "tick": Path("$.tick"),
    }
    if has_message:
        options["message"] = _MESSAGE
    if has_outcome:
        options["outcome"] = f"{OUTCOME_FOLDER}/outcome.json"
    given: list[Text] = [node.name]
    for option, value in options.items():
        given += [f"--{option}", value]
    for spec in graph.parameters:
        option = "--optional" if may_be_empty(spec.kind.name) else "--parameter"
        given += [option, spec.name, Path(f"$.p.{spec.name}")]
    return given


def may_be_empty(kind: str) -> bool:
    """Whether "" stands for a parameter of this kind that is not given."""
    return kind in ("event", "optional")


def task(node: Node, graph: Graph, shape: JobShape, places: JobPlaces, *, has_outcome: bool) -> State:
    """The state of a step, without its name and what follows it."""
    is_processing = shape.kind == "processing"
    arguments = job_arguments(
        node, graph, places, has_outcome=has_outcome and is_processing, has_message=is_processing
    )
    state: State = {
        "Type": "Task",
        "Resource": f"arn:aws:states:::{'sagemaker:createProcessingJob' if is_processing else 'ecs:runTask'}.sync",
        "Parameters": _processing(node, graph, shape, places, arguments, has_outcome=has_outcome)
        if is_processing
        else _ecs(shape, places, arguments),
        "Retry": [retrier(node.retry, _SERVICE[shape.kind])],
    }
    if not is_processing:
        state["TimeoutSeconds"] = shape.runtime
    return state


def retrier(retry: Mapping[str, Any] | None, errors: list[str]) -> dict[str, JSON]:
    """A `Retry` for what a service raises."""
    policy: Mapping[str, Any] = retry or _USUAL_RETRY
    interval = max(1, round(policy["delay"]))
    longest = max(round(policy["max_delay"]), interval + 1)  # it has to be the greater one
    return {
        "ErrorEquals": [*errors],
        "IntervalSeconds": interval,
        "BackoffRate": policy["factor"],
        "MaxAttempts": policy["attempts"] - 1,
        "MaxDelaySeconds": longest,
        "JitterStrategy": "FULL" if policy["jitter"] else "NONE",
    }


def job_name(step: str) -> dict[str, str]:
    """The field with a job's name: its step, and a digest of execution, step, redrive and attempt.

    A retry sends the same parameters again, and counting begins again after a redrive: only both numbers make a
    name new.
    """
    shown = step.replace("_", "-")[: _LONGEST_NAME - _SHA1 - 1].rstrip("-")
    seed = (
        f"States.Format('{{}} {step} {{}} {{}}', $$.Execution.Id, $$.Execution.RedriveCount, $$.State.RetryCount)"
    )
    return {"ProcessingJobName.$": f"States.Format('{shown}-{{}}', States.Hash({seed}, 'SHA-1'))"}


def _processing(
    node: Node, graph: Graph, shape: JobShape, places: JobPlaces, arguments: list[Text], *, has_outcome: bool
) -> dict[str, JSON]:
    cluster = {"InstanceType": shape.instance, "InstanceCount": 1, "VolumeSizeInGB": shape.volume}
    parameters: dict[str, Any] = {
        **job_name(node.name),
        **fields("RoleArn", places.role),
        "AppSpecification": {
            **fields("ImageUri", places.image),
            "ContainerEntrypoint": [places.python, *_COMMAND],
            **array("ContainerArguments", arguments),
        },
        "ProcessingResources": {"ClusterConfig": cluster},
        "StoppingCondition": {"MaxRuntimeInSeconds": shape.runtime},
    }
    if places.variables:
        parameters["Environment"] = {**places.variables}
    if has_outcome:
        address = joined(places.exchange, "/", execution_id(graph.pipeline), f"/outcomes/{node.name}")
        place = {**fields("S3Uri", address), "LocalPath": OUTCOME_FOLDER, "S3UploadMode": "EndOfJob"}
        outputs = [{"OutputName": "outcome", "AppManaged": False, "S3Output": place}]
        parameters["ProcessingOutputConfig"] = {"Outputs": outputs}
    if places.subnets:
        network = {"Subnets": [*places.subnets], "SecurityGroupIds": [*places.security_groups]}
        parameters["NetworkConfig"] = {"VpcConfig": network}
    return parameters


def _ecs(shape: JobShape, places: JobPlaces, arguments: list[Text]) -> dict[str, JSON]:
    variables: list[dict[str, JSON]] = [
        {"Name": name, "Value": value} for name, value in sorted(places.variables.items())
    ]
    network: dict[str, JSON] = {"Subnets": [*places.subnets], "SecurityGroups": [*places.security_groups]}
    container: dict[str, JSON] = {
        "Name": places.container,
        **array("Command", arguments),  # of the image's own entry point, which is the job command
        "Environment": [*variables],
    }
    return {
        "Cluster": places.cluster,
        "TaskDefinition": places.task_definition,
        "LaunchType": "FARGATE",
        "NetworkConfiguration": {"AwsvpcConfiguration": network},
        "Overrides": {
            "ContainerOverrides": [container],
            "Cpu": str(shape.cpu),
            "Memory": str(shape.memory),
        },
    }


def fargate_size(resources: Mapping[str, Any]) -> tuple[int, int] | None:
    """CPU (1024 a core) and MiB of the smallest Fargate task that has what a step asks for; None if none has.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html#fargate-tasks-size
    """
    cpus, memory, gpus = (float(resources.get(key, 0)) for key in ("cpus", "memory", "gpus"))
    if gpus:
        return None
    for cores, sizes in _FARGATE.items():
        fitting = next((gib for gib in sizes if gib * 2**30 >= memory), None)
        if cores >= cpus and fitting is not None:
            return math.ceil(cores * 1024), fitting * 1024
    return None


_FARGATE: Mapping[float, range] = {
    0.5: range(1, 5),
    1: range(2, 9),
    2: range(4, 17),
    4: range(8, 31),
    8: range(16, 61, 4),
    16: range(32, 121, 8),
}
"""By cores, the GiB that a task may have."""
