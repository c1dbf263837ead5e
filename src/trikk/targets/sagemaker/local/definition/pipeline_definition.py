"""A SageMaker pipeline definition, read and checked whole before anything of it is done. Pure.

Its form: https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines-overview.html, and what the official SDK writes
(Version 2020-12-01). Whoever wrote it gets all that is wrong with it at once.
"""

from __future__ import annotations

import graphlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from trikk.core.errors import DefinitionError, ParameterError, UnknownName
from trikk.core.text import counted
from trikk.targets.sagemaker.local.definition.condition_verdict import check_conditions
from trikk.targets.sagemaker.local.definition.definition_expressions import Reference, references

VERSION = "2020-12-01"
EXECUTION_VARIABLES = {
    "PipelineExecutionId", "PipelineName", "PipelineArn", "PipelineExecutionArn", "StartDateTime",
    "CurrentDateTime", "TrainingJobName", "ProcessingJobName",
}  # fmt: skip
_LONGEST = 1_048_576  # characters of a definition that the service takes
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MOST_PROBLEMS = 20  # that one error lists


class StepKind(StrEnum):
    """The kinds of steps that are carried out here."""

    PROCESSING = "Processing"
    TRAINING = "Training"
    CONDITION = "Condition"
    FAIL = "Fail"
    LAMBDA = "Lambda"
    MODEL = "Model"
    REGISTER_MODEL = "RegisterModel"


class Trigger(StrEnum):
    """How the step that another depends on must end, so that the other one runs."""

    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPED = "Stopped"
    ANY = "Any"


@dataclass(frozen=True, slots=True)
class Dependency:
    """That a step waits for another one."""

    step: str
    trigger: Trigger = Trigger.COMPLETED


@dataclass(frozen=True, slots=True)
class DefinedStep:
    """A step of a definition.

    Attributes:
        name: unique in the whole definition.
        kind: what it does.
        body: the step as it was written, its expressions not evaluated.
        dependencies: what it waits for: by `DependsOn`, and the steps that its expressions name.
        branch: the condition step that it belongs to, and whether it runs where that holds; None outside of any.
    """

    name: str
    kind: StepKind
    body: Mapping[str, Any]
    dependencies: tuple[Dependency, ...]
    branch: tuple[str, bool] | None = None

    @property
    def arguments(self) -> Any:
        """The step's arguments, their expressions not evaluated."""
        return self.body.get("Arguments", {})


@dataclass(frozen=True, slots=True)
class DefinedParameter:
    """A parameter: its type (String, Integer, Float, Boolean), its default (None if it must be given)."""

    name: str
    type: str
    default: Any = None
    values: tuple[str, ...] = ()

    def read(self, given: Any) -> Any:
        """The value that a caller gives: a text as the API takes it, or a value of the type itself.

        Raises:
            ParameterError: if it is no value of the type, or none of those allowed.
        """
        value = _READERS[self.type](given)
        if value is None:
            raise ParameterError(
                f"parameter {self.name} = {given!r} is no {self.type}", next=f"give it a {self.type}"
            )
        if self.values and value not in self.values:
            raise ParameterError(
                f"parameter {self.name} = {given!r} is not allowed", next=f"there are: {', '.join(self.values)}"
            )
        return value


@dataclass(frozen=True, slots=True)
class PipelineDefinition:
    """A definition that can be carried out."""

    parameters: dict[str, DefinedParameter]
    steps: dict[str, DefinedStep]

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The value of every parameter.

        Raises:
            UnknownName: if one that is given does not exist.
            ParameterError: if one is missing, or has a value that does not fit.
        """
        for name in given:
            if name not in self.parameters:
                raise UnknownName("pipeline parameter", name, self.parameters)
        values = {}
        for name, parameter in self.parameters.items():
            if name not in given and parameter.default is None:
                raise ParameterError(
                    f"parameter {name} has no default and was not given", next=f"give {name} a value"
                )
            values[name] = parameter.read(given[name]) if name in given else parameter.default
        return values


def read_definition(text: str) -> PipelineDefinition:
    """Read a definition.

    Args:
        text: the JSON document, as CreatePipeline takes it.

    Raises:
        DefinitionError: with all that is wrong with it.
    """
    if len(text) > _LONGEST:
        raise DefinitionError(
            f"the definition has {len(text):,} characters", next=f"the service takes at most {_LONGEST:,}"
        )
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DefinitionError(f"the definition is no JSON: {error}", next="compile it again") from error
    if not isinstance(document, dict) or document.get("Version") != VERSION:
        raise DefinitionError("this is no pipeline definition", next=f'it has "Version": "{VERSION}" at its top')
    problems: list[str] = []
    parameters = dict(_parameters(document.get("Parameters") or [], problems))
    bodies = list(_bodies(document.get("Steps"), None, problems))
    steps: dict[str, DefinedStep] = {}
    names = {name for name, _, _ in bodies}
    for name, body, branch in bodies:
        if name in steps:
            problems.append(f"two steps are named {name}")
        step = _step(name, body, branch, problems)
        if step is not None:
            steps[name] = step
    for step in steps.values():
        problems += _bad_references(step, names, steps, parameters)
    problems += _cycle(steps)
    if problems:
        raise _all_of(problems)
    return PipelineDefinition(parameters, steps)


def _all_of(problems: list[str]) -> DefinitionError:
    if len(problems) == 1:
        return DefinitionError(problems[0], next="mend the definition; nothing was started")
    shown = problems[:_MOST_PROBLEMS] + (["..."] if len(problems) > _MOST_PROBLEMS else [])
    listed = "".join(f"\n  - {problem}" for problem in shown)
    return DefinitionError(
        f"the definition has {counted(len(problems), 'problem')}:{listed}", next="mend them; nothing was started"
    )


def _parameters(given: Any, problems: list[str]) -> Iterator[tuple[str, DefinedParameter]]:
    if not isinstance(given, list):
        problems.append("Parameters is no list")
        return
    for each in given:
        name, kind = (each.get("Name"), each.get("Type")) if isinstance(each, dict) else (None, None)
        if not isinstance(name, str) or not _NAME.fullmatch(name) or kind not in _READERS:
            problems.append(f"{each!r} is no parameter: it has a Name and a Type of {', '.join(_READERS)}")
            continue
        parameter = DefinedParameter(name, kind, each.get("DefaultValue"), tuple(each.get("EnumValues") or ()))
        try:
            if parameter.default is not None:
                parameter.read(parameter.default)
        except ParameterError as error:
            problems.append(f"the default of {error.what}")
        yield name, parameter


def _bodies(
    given: Any, branch: tuple[str, bool] | None, problems: list[str]
) -> Iterator[tuple[str, Mapping[str, Any], tuple[str, bool] | None]]:
    """Each step's name, body and branch, those inside conditions among them."""
    if not isinstance(given, list) or (not given and branch is None):
        problems.append("there are no steps" if branch is None else f"the branches of {branch[0]} are no lists")
        return
    for body in given:
        name = body.get("Name") if isinstance(body, dict) else None
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            problems.append(f"a step has the name {name!r}: use up to 64 letters, digits, - and _")
            continue
        yield name, body, branch
        arguments = body.get("Arguments")
        if body.get("Type") == StepKind.CONDITION and isinstance(arguments, dict):
            for key, holds in (("IfSteps", True), ("ElseSteps", False)):
                yield from _bodies(arguments.get(key) or [], (name, holds), problems)


def _step(
    name: str, body: Mapping[str, Any], branch: tuple[str, bool] | None, problems: list[str]
) -> DefinedStep | None:
    kind = body.get("Type")
    if kind not in list(StepKind):
        problems.append(f"step {name} is of type {kind!r}; here run: {', '.join(StepKind)}")
        return None
    if not isinstance(body.get("Arguments", {}), dict):
        problems.append(f"the Arguments of step {name} are no object")
        return None
    dependencies: dict[str, Dependency] = {}
    try:
        if kind == StepKind.CONDITION:
            check_conditions(body["Arguments"].get("Conditions") if "Arguments" in body else None)
        for ref in references(own_expressions(body)):
            if ref.root == "Steps" and isinstance(ref.path[0], str):
                dependencies[ref.path[0]] = Dependency(ref.path[0])
        for each in body.get("DependsOn") or []:
            dependency = _dependency(each)
            dependencies[dependency.step] = dependency
    except DefinitionError as error:
        problems.append(f"step {name}: {error.what} ({error.next})")
        return None
    return DefinedStep(name, StepKind(kind), body, tuple(dependencies.values()), branch)


def own_expressions(body: Mapping[str, Any]) -> list[Any]:
    """What of a step may hold its expressions: not the steps in the branches of a condition."""
    arguments = body.get("Arguments", {})
    inner = {"IfSteps", "ElseSteps"} if body.get("Type") == StepKind.CONDITION else set()
    return [{key: value for key, value in arguments.items() if key not in inner}]


def _dependency(given: Any) -> Dependency:
    if isinstance(given, str):
        return Dependency(given)
    step, trigger = (
        (given.get("Step"), given.get("Trigger", Trigger.COMPLETED)) if isinstance(given, dict) else ("", "")
    )
    if not isinstance(step, str) or not step or trigger not in list(Trigger):
        raise DefinitionError(
            f"DependsOn holds {given!r}", next='write a name, or {"Step": NAME, "Trigger": "Failed"}'
        )
    return Dependency(step, Trigger(trigger))


def _bad_references(
    step: DefinedStep,
    names: set[str],
    steps: Mapping[str, DefinedStep],
    parameters: Mapping[str, DefinedParameter],
) -> Iterator[str]:
    for dependency in step.dependencies:
        needed = steps.get(dependency.step)
        if dependency.step not in names:
            yield f"step {step.name} needs step {dependency.step}, which there is not"
        elif needed is not None and needed.kind == StepKind.FAIL:
            yield f"step {step.name} needs step {dependency.step}, which ends the execution"
    for ref in references(own_expressions(step.body)):
        if problem := _unknown(ref, steps, parameters):
            yield f"step {step.name}: {ref.text}: {problem}"


def _unknown(
    ref: Reference, steps: Mapping[str, DefinedStep], parameters: Mapping[str, DefinedParameter]
) -> str | None:
    name = ref.path[0]
    if ref.root == "Parameters":
        return None if name in parameters and len(ref.path) == 1 else "there is no such parameter"
    if ref.root == "Execution":
        known = ", ".join(sorted(EXECUTION_VARIABLES))
        return None if name in EXECUTION_VARIABLES and len(ref.path) == 1 else f"an execution has {known}"
    if ref.root != "Steps":
        return "a Get begins with Parameters, Execution or Steps"
    if len(ref.path) < 2:
        return "name a property of the step"
    named = steps.get(str(name))
    if named is not None and ref.path[1] == "PropertyFiles":
        files = [file.get("PropertyFileName") for file in named.body.get("PropertyFiles") or []]
        return (
            None if len(ref.path) == 3 and ref.path[2] in files else f"step {name} declares no such property file"
        )
    return None


def _cycle(steps: Mapping[str, DefinedStep]) -> list[str]:
    graph = {
        step.name: {dependency.step for dependency in step.dependencies}
        | ({step.branch[0]} if step.branch else set())
        for step in steps.values()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return [f"these steps wait for each other: {' -> '.join(reversed(error.args[1]))}"]
    return []


def _integer(given: Any) -> int | None:
    try:
        return None if isinstance(given, bool | float) else int(given)
    except (TypeError, ValueError):
        return None


def _float(given: Any) -> float | None:
    try:
        return None if isinstance(given, bool) else float(given)
    except (TypeError, ValueError):
        return None


def _boolean(given: Any) -> bool | None:
    return {"true": True, "false": False}.get(str(given).lower())


_READERS = {
    "String": lambda given: given if isinstance(given, str) else None,
    "Integer": _integer,
    "Float": _float,
    "Boolean": _boolean,
}
