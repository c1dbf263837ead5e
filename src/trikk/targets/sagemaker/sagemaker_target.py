"""The target `sagemaker`: a pipeline definition of SageMaker Pipelines, version 2020-12-01.

Source: https://aws-sagemaker-mlops.github.io/sagemaker-model-building-pipeline-definition-JSON-schema/, and
what AWS's own SDK emits, with which tests compare step by step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from trikk.core.network.addresses import holds_secret
from trikk.core.record import Record
from trikk.core.settings import FILE, Settings
from trikk.core.values import JSON, canonical
from trikk.pipeline.graph import Graph, Node
from trikk.targets.mirroring.engine_status import Engine
from trikk.targets.safe_names import safe_names
from trikk.targets.sagemaker.condition_branches import Branch, Branches, branches_of
from trikk.targets.sagemaker.definition_limits import definition_problems
from trikk.targets.sagemaker.definition_names import LONGEST_NAME, pipeline_prefix, step_names
from trikk.targets.sagemaker.definition_parameters import TICK, TRIGGER, definition_parameter, text_parameter
from trikk.targets.sagemaker.definition_values import join, parameter, references
from trikk.targets.sagemaker.execution_status import SageMakerEngine
from trikk.targets.sagemaker.job_steps import DAY, JobPlaces, JobShape, job_step, longest_run
from trikk.targets.sagemaker.ml_instances import MACHINES, smallest_machine
from trikk.targets.sagemaker.model_packages import fitted_by, package_problems, package_step, registering
from trikk.targets.sagemaker.pipeline_problems import pipeline_problems
from trikk.targets.sagemaker.sagemaker_settings import NAME, VOLUME, JobKind, runtime_of, sagemaker_settings
from trikk.targets.target_port import Problem, Source, refuse
from trikk.targets.target_settings import TargetSettings

VERSION = "2020-12-01"
_OWN = ("Role", "Image", "Bucket")


class SageMaker:
    """Pipelines as definitions of SageMaker Pipelines."""

    name: ClassVar[str] = NAME

    def problems(self, source: Source) -> list[Problem]:
        """All that SageMaker can't do with a pipeline, and notes; raises as `Target.problems`."""
        return list(_compiled(source).problems)

    def engine(self, settings: Settings) -> Engine:
        """SageMaker itself, asked with the process's own credentials; raises as `Target.engine`."""
        return SageMakerEngine(pipeline_prefix(settings))

    def document(self, source: Source) -> str:
        """The definition as canonical JSON; raises as `Target.document`."""
        compiled = _compiled(source)
        refuse(compiled.problems, source, self.name)
        return compiled.text


class _Compiled(Record, frozen=True):
    text: str
    problems: tuple[Problem, ...]


def _compiled(source: Source) -> _Compiled:
    graph, section = source.graph, sagemaker_settings(source.settings)
    steps = step_names(graph.nodes)
    names = safe_names([spec.name for spec in graph.parameters], LONGEST_NAME)
    names |= {f"step/{name}": called for name, called in steps.items()}
    shapes = {name: _shape(node, section, source) for name, node in graph.nodes.items()}
    training = {name for name, shape in shapes.items() if shape.kind == JobKind.TRAINING}
    branches = branches_of(graph, names, training)
    places = _places(source, section)
    documents = _steps(graph, shapes, places, names, branches, section)
    definition: dict[str, JSON] = {
        "Version": VERSION,
        "Metadata": {},
        "Parameters": [*_parameters(graph, names, documents)],
        "Steps": documents,
    }
    text = canonical(definition).decode()
    problems = [
        *pipeline_problems(source, branches, names),
        *_shape_problems(graph, section),
        *_place_problems(source, section),
        *(package_problems(graph, training, branches.branches) if "model_group" in section.values else ()),
        *definition_problems(
            definition,
            text,
            graph,
            {called: name for name, called in steps.items()},
            in_s3=section.values.get("definition") == "s3",
        ),
    ]
    return _Compiled(text, tuple(problems))


def _shape(node: Node, section: TargetSettings, source: Source) -> JobShape:
    machine = smallest_machine(node.resources) or MACHINES[-1]
    where = str(source.settings.root / FILE)
    given = runtime_of(section.steps.get(node.name, {}).get("max_runtime"), where)
    runtime = given or longest_run(node) or runtime_of(section.values.get("max_runtime"), where) or DAY
    return JobShape(
        kind=JobKind(section.of_step(node.name, "kind", JobKind.PROCESSING)),
        instance=section.of_step(node.name, "instance", machine.name),
        volume=section.of_step(node.name, "volume", VOLUME),
        runtime=int(runtime),
    )


def _shape_problems(graph: Graph, section: TargetSettings) -> Iterator[Problem]:
    for node in graph.nodes.values():
        instance = section.of_step(node.name, "instance")
        if instance is None and smallest_machine(node.resources) is None:
            trouble = "no machine that trikk knows there has what its Resources ask for"
            mend = f"ask for less, or name one: instance in [targets.{NAME}.steps.{node.name}]"
            yield Problem(trouble, mend, node.name, node.where)
        if instance is not None and not instance.startswith("ml."):
            mend = f'write instance = "ml.m5.xlarge", or the like, in [targets.{NAME}]'
            yield Problem(f"{instance} is no instance type of SageMaker", mend, node.name, node.where)


def _places(source: Source, section: TargetSettings) -> JobPlaces:
    values, settings = section.values, source.settings
    bucket = values.get("bucket", parameter("Bucket"))
    store = settings.artifacts if _is_remote(settings.artifacts) else join("s3://", bucket, "/artifacts")
    return JobPlaces(
        role=values.get("role", parameter("Role")),
        image=values.get("image", parameter("Image")),
        exchange=values.get("exchange", "").rstrip("/") or join(store, "/exchange"),
        store=store,
        tables=settings.tables if _is_remote(settings.tables) else join("s3://", bucket, "/tables"),
        models=join("s3://", bucket, "/models"),
        code=source.code,
        environment=settings.environment,
        python=values.get("python", "python"),
        variables=dict(values.get("environment", {})),
        subnets=tuple(values.get("subnets", ())),
        security_groups=tuple(values.get("security_groups", ())),
    )


def _place_problems(source: Source, section: TargetSettings) -> Iterator[Problem]:
    settings, where = source.settings, f"{FILE}, [storage]"
    addresses = {place: str(getattr(settings, place)) for place in ("artifacts", "tables")}
    for place in (place for place, address in addresses.items() if "${" in address):
        trouble = f"{place} names a variable, which would be filled in for all to see"
        yield Problem(trouble, f"write {place} without it, or set TRIKK_{place.upper()}", where=where)
    here = [place for place, address in addresses.items() if "://" not in address and "${" not in address]
    if here:
        trouble = (
            f"jobs have their {' and '.join(here)} in the bucket, and this project has its own on this machine"
        )
        mend = f'set {here[0]} = "s3://..." to have the same'
        yield Problem(trouble, mend, where=where, is_note=True)
    if missing := [key for key in _OWN if key.lower() not in section.values]:
        trouble = f"{', '.join(missing)} are not set: whoever starts an execution has to give them as parameters"
        yield Problem(trouble, f"set them in [targets.{NAME}] for schedules", is_note=True)
    for spec in source.graph.parameters:
        if isinstance(spec.default, str) and holds_secret(spec.default):
            trouble = (
                f"the default of parameter {spec.name} holds a password or a key, and anybody can read definitions"
            )
            yield Problem(trouble, 'leave it out, and have the step ask for it: secret("NAME")')


def _is_remote(address: str) -> bool:
    return "://" in address and "${" not in address


def _steps(
    graph: Graph,
    shapes: Mapping[str, JobShape],
    places: JobPlaces,
    names: Mapping[str, str],
    branches: Branches,
    section: TargetSettings,
) -> list[JSON]:
    """The steps as the definition has them, those of branches inside of these."""
    used_names = {called for name, called in names.items() if name.startswith("step/")}
    documents: dict[str, list[JSON]] = {}
    for name, node in graph.nodes.items():
        has_outcome = name in branches.asked
        documents[name] = [job_step(node, graph, shapes[name], places, names, has_outcome=has_outcome)]
    group = section.values.get("model_group")
    for node in registering(graph) if group else []:
        if (step := _package(node, str(group), places, names, section, used_names)) is not None:
            documents[node.name].append(step)
    placed: dict[str, JSON] = {}
    for branch in branches.branches:
        inside = [document for name in branch.steps for document in documents.pop(name)]
        placed[branch.steps[0]] = _condition_step(branch, inside, names, used_names)
    # In the author's order, which has no meaning there and is easier to read.
    return [
        document
        for name in graph.nodes
        for document in (*documents.get(name, ()), *([placed[name]] if name in placed else ()))
    ]


def _package(
    node: Node,
    group: str,
    places: JobPlaces,
    names: Mapping[str, str],
    section: TargetSettings,
    used_names: set[str],
) -> JSON | None:
    fitted = fitted_by(node)
    if fitted is None:
        return None  # which is a problem that is told of
    image = section.values.get("serving_image", places.image)
    name = _free_name(f"{names[f'step/{node.name}']}-package", used_names)
    return package_step(node, group, image, places.code, names, name)


def _condition_step(
    branch: Branch, inside: list[JSON], names: Mapping[str, str], used_names: set[str]
) -> dict[str, JSON]:
    return {
        "Name": _free_name(f"when-{names[f'step/{branch.steps[0]}']}", used_names),
        "Type": "Condition",
        "Arguments": {"Conditions": [*branch.terms], "IfSteps": inside, "ElseSteps": []},
    }


def _free_name(wanted: str, used_names: set[str]) -> str:
    """A name for a step of the definition's own that no other step has."""
    name = safe_names([wanted], LONGEST_NAME)[wanted]
    number = 1
    while name in used_names:
        number += 1
        name = safe_names([f"{wanted}-{number}"], LONGEST_NAME)[f"{wanted}-{number}"]
    used_names.add(name)
    return name


def _parameters(graph: Graph, names: Mapping[str, str], steps: JSON) -> Iterator[dict[str, JSON]]:
    """The author's parameters, and those of the definition's own that a step refers to."""
    for spec in graph.parameters:
        yield definition_parameter(spec, names[spec.name])
    used = set(references(steps))
    yield from (text_parameter(name) for name in _OWN if f"Parameters.{name}" in used)
    yield from (text_parameter(name, "") for name in (TRIGGER, TICK))
