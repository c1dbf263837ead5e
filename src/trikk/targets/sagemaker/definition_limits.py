"""The limits of the service, looked for in the definition before anything is uploaded.

Sources: the shapes of botocore's model of the API, named beside each; the quota of steps is one that AWS raises
on request.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from trikk.core.text import shorten
from trikk.pipeline.graph import Graph, Node
from trikk.targets.sagemaker.definition_values import LONGEST_PARAMETER, literal_length
from trikk.targets.target_port import Problem

LONGEST_DEFINITION = 1_048_576  # characters: PipelineDefinition
_LONGEST_ARGUMENT = 256  # ContainerArgument, TrainingContainerArgument
_MOST_ARGUMENTS = 100  # ContainerArguments, TrainingContainerArguments
_MOST_PARAMETERS = 200  # ParameterList
_MOST_VARIABLES = 100  # ProcessingEnvironmentMap, TrainingEnvironmentMap
_LONGEST_VARIABLE = {"Processing": 256, "Training": 512}  # ProcessingEnvironmentValue, TrainingEnvironmentValue
_MOST_HYPERPARAMETERS = 100  # HyperParameters
_LONGEST_IMAGE, _LONGEST_URI = 255, 1024  # ImageUri, S3Uri
_USUAL_STEPS = 50
LONGEST_RUN = {"Processing": 777_600, "Training": 2_419_200}  # ProcessingMaxRuntimeInSeconds; 28 days
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*\Z")  # as rules of EventBridge take them, and the API, too
_VARIABLE = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")  # ProcessingEnvironmentKey


def definition_problems(
    definition: Mapping[str, Any], text: str, graph: Graph, steps: Mapping[str, str], *, in_s3: bool
) -> list[Problem]:
    """All limits that a definition is beyond.

    Args:
        definition: the document.
        text: the document as it is sent.
        graph: what it was compiled from.
        steps: by what a job's step is called there, the author's name.
        in_s3: whether it is given by its place in S3 rather than in a request.
    """
    problems = [*_of_parameters(definition["Parameters"])]
    count = 0
    for step in all_steps(definition["Steps"]):
        count += 1
        if step["Name"] in steps:
            problems += _of_job(step, graph.nodes[steps[step["Name"]]])
    if count > _USUAL_STEPS:
        trouble = f"it has {count} steps there, and an account has {_USUAL_STEPS} unless it asks for more"
        problems.append(
            Problem(trouble, "ask AWS for a higher quota, or map over a list in one step", is_note=True)
        )
    if len(text) > LONGEST_DEFINITION:
        trouble = f"the definition has {len(text):,} characters, and a request takes {LONGEST_DEFINITION:,}"
        mend = 'put it into S3, create the pipeline by PipelineDefinitionS3Location, and set definition = "s3"'
        problems.append(Problem(trouble, f"split the pipeline; or {mend}", is_note=in_s3))
    return problems


def all_steps(steps: Any) -> Iterator[dict[str, Any]]:
    """The steps of a definition, those in branches too."""
    for step in steps:
        yield step
        if step["Type"] == "Condition":
            yield from all_steps([*step["Arguments"]["IfSteps"], *step["Arguments"]["ElseSteps"]])


def _of_parameters(parameters: list[dict[str, Any]]) -> Iterator[Problem]:
    if len(parameters) > _MOST_PARAMETERS:
        trouble = f"it has {len(parameters)} parameters there, and an execution takes {_MOST_PARAMETERS}"
        yield Problem(trouble, "put some of them together, such as in a list")
    names = [each["Name"] for each in parameters]
    for each in parameters:
        name, default = each["Name"], each.get("DefaultValue")
        if not _NAME.match(name):
            trouble = f"parameter {name} has a name that SageMaker and EventBridge don't take"
            yield Problem(trouble, "use letters, digits and, within the name, underscores")
        if names.count(name) > 1:
            trouble = f"parameter {name} is one that the definition has for itself"
            yield Problem(trouble, "give it another name, or set role, image and bucket in [targets.sagemaker]")
        if isinstance(default, str) and len(default) > LONGEST_PARAMETER:
            trouble = (
                f"the default of parameter {name} has {len(default)} characters, of {LONGEST_PARAMETER} at most"
            )
            yield Problem(trouble, "let a step read it from a file or a table")


def _of_job(step: Mapping[str, Any], node: Node) -> Iterator[Problem]:
    def problem(trouble: str, mend: str) -> Problem:
        return Problem(trouble, mend, node.name, node.where)

    arguments = step["Arguments"]
    container = arguments["AppSpecification" if step["Type"] == "Processing" else "AlgorithmSpecification"]
    given = container["ContainerArguments"]
    if len(given) > _MOST_ARGUMENTS:
        trouble = f"its job gets {len(given)} arguments, of {_MOST_ARGUMENTS} at most: too many parameters"
        yield problem(
            trouble, f"have {(len(given) - _MOST_ARGUMENTS + 2) // 3} fewer, such as by a list or a dict of them"
        )
    for long in (each for each in given if literal_length(each) > _LONGEST_ARGUMENT):
        trouble = f"its job's argument {shorten(str(long), 60)} has over {_LONGEST_ARGUMENT} characters"
        yield problem(trouble, "shorten the names, or the addresses in trikk.toml")
    if literal_length(container.get("ImageUri", container.get("TrainingImage"))) > _LONGEST_IMAGE:
        yield problem(f"its image has an address of over {_LONGEST_IMAGE} characters", "shorten it")
    variables = arguments.get("Environment", {})
    if len(variables) > _MOST_VARIABLES:
        trouble = f"its job has {len(variables)} variables, and takes {_MOST_VARIABLES}"
        yield problem(trouble, "shorten environment in [targets.sagemaker]")
    for name, value in variables.items():
        longest = _LONGEST_VARIABLE[step["Type"]]
        if not _VARIABLE.match(name) or len(value) > longest:
            trouble = f"the variable {shorten(name, 60)} can't be set: letters, digits and _, {longest} characters"
            yield problem(trouble, "change environment in [targets.sagemaker]")
    if len(arguments.get("HyperParameters", {})) > _MOST_HYPERPARAMETERS:
        trouble = f"its training job has over {_MOST_HYPERPARAMETERS} hyperparameters"
        yield problem(trouble, "give the step a dict instead of single arguments")
    runtime, longest = arguments["StoppingCondition"]["MaxRuntimeInSeconds"], LONGEST_RUN[step["Type"]]
    if runtime > longest:
        trouble = (
            f"its job may take {runtime} s with all attempts, and {step['Type'].lower()} jobs end after {longest}"
        )
        yield problem(trouble, "shorten its time-out or its retries, or set max_runtime in [targets.sagemaker]")
