"""Step Functions as a visitor of graphs: what it can't do, and the definition of the state machine.

A step's dependencies become the order of states; its retries for the author's code, its time-outs and its items
stay in its job, which is the same command on every engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from trikk.core.settings import FILE, Settings
from trikk.core.values import JSON, canonical
from trikk.pipeline.graph import Node, ParameterSpec
from trikk.targets.jobs.exchange_place import exchange_of
from trikk.targets.mirroring.engine_status import Engine
from trikk.targets.sagemaker.job_steps import longest_run
from trikk.targets.sagemaker.ml_instances import smallest_machine
from trikk.targets.step_functions.job_tasks import (
    JobPlaces,
    JobShape,
    execution_id,
    fargate_size,
    joined,
    may_be_empty,
    task,
)
from trikk.targets.step_functions.machine_limits import (
    LARGEST_PAYLOAD,
    LONGEST_ARGUMENT,
    LONGEST_DEFINITION,
    LONGEST_JOB,
    MOST_ARGUMENTS,
    MOST_EVENTS,
    events_at_most,
    states_of,
)
from trikk.targets.step_functions.series_parallel import waits_for_more
from trikk.targets.step_functions.state_machine import Jobs, State, asked_steps, machine
from trikk.targets.step_functions.state_texts import REFUSED, Path, Text, refused_in
from trikk.targets.step_functions.step_functions_engine import open_engine
from trikk.targets.step_functions.step_functions_settings import (
    CONTAINER,
    NAME,
    VOLUME,
    JobKind,
    runtime_of,
    step_functions_settings,
)
from trikk.targets.target_port import Problem, Source, folder_problems, needs_ledger, refuse
from trikk.targets.target_settings import TargetSettings

_DAY = 86_400
_OWN = ("Role", "Image", "Bucket", "Trigger", "Tick")


class StepFunctions:
    """Compiles state machines."""

    name: ClassVar[str] = NAME

    def problems(self, source: Source) -> list[Problem]:
        """All that Step Functions can't do with this pipeline, and notes of what it does in another way."""
        section = step_functions_settings(source.settings)
        problems = [*_of_settings(source, section), *_of_parameters(source)]
        for node in source.graph.nodes.values():
            problems += _of_step(node, section)
        if not any(not problem.is_note for problem in problems):
            problems += _of_machine(_machine(source, section), source)
        return [*problems, *_notes(source)]

    def document(self, source: Source) -> str:
        """The definition in the Amazon States Language."""
        refuse(self.problems(source), source, self.name)
        return _text(_machine(source, step_functions_settings(source.settings)))

    def engine(self, settings: Settings) -> Engine | None:
        """The machines, if trikk.toml says which they are."""
        return open_engine(settings)


def _machine(source: Source, section: TargetSettings) -> dict[str, JSON]:
    graph, places = source.graph, _places(source, section)
    shapes = {name: _shape(node, section) for name, node in graph.nodes.items()}
    looked_at = {name for name in asked_steps(graph) if shapes[name].kind == JobKind.PROCESSING}
    tasks = {
        name: task(node, graph, shapes[name], places, has_outcome=name in looked_at)
        for name, node in graph.nodes.items()
    }
    bucket, prefix = _bucket_and_prefix(places.exchange)
    outcomes = (bucket, joined(prefix, execution_id(graph.pipeline), "/outcomes/"))
    jobs = Jobs(tasks, outcomes, looked_at, str(section.values.get("topic", "")))
    comment = f"Pipeline {graph.pipeline} of project {source.settings.name}, compiled by trikk"
    return machine(graph, jobs, _entry(source, section), comment)


def _entry(source: Source, section: TargetSettings) -> list[tuple[str, State]]:
    """The states that read the input: what it leaves out has its default, and nothing else may be left out."""
    graph = source.graph
    defaults: dict[str, JSON] = {"Trigger": "", "Tick": ""}
    defaults |= {_input_name(s.name): _default(s) for s in graph.parameters if _has_default(s)}
    needed = [_input_name(s.name) for s in graph.parameters if not _has_default(s)] + _open_places(source, section)
    entry: list[tuple[str, State]] = [
        ("defaults", {"Type": "Pass", "Result": {**defaults}}),
        (
            "input",
            {
                "Type": "Pass",
                "Parameters": {"all.$": "States.JsonMerge($, $$.Execution.Input, false)"},
                "OutputPath": "$.all",
            },
        ),
    ]
    read: State = {
        "p": {f"{s.name}.$": f"$['{_input_name(s.name)}']" for s in graph.parameters},
        "trigger.$": "$.Trigger",
        "tick.$": "$.Tick",
        "seen": {},
        **{f"{name.lower()}.$": f"$.{name}" for name in _open_places(source, section)},
    }
    if needed:
        absent = [
            {"Variable": f"$['{name}']", "IsPresent": False, "Next": "input is incomplete"} for name in needed
        ]
        cause = f"The input has to give {', '.join(needed)}"
        entry += [
            ("is all given", {"Type": "Choice", "Choices": absent, "Default": "parameters"}),
            ("input is incomplete", {"Type": "Fail", "Error": "InputIncomplete", "Cause": cause}),
        ]
    return [*entry, ("parameters", {"Type": "Pass", "Parameters": read})]


def _places(source: Source, section: TargetSettings) -> JobPlaces:
    values, settings = section.values, source.settings
    is_open = _open_places(source, section)
    bucket: Text = Path("$.bucket") if "Bucket" in is_open else str(values.get("bucket", ""))

    def place(kind: str, given: str) -> Text:
        return given if given.startswith("s3://") else joined("s3://", bucket, f"/{kind}")

    return JobPlaces(
        role=Path("$.role") if "Role" in is_open else values.get("role", ""),
        image=Path("$.image") if "Image" in is_open else values.get("image", ""),
        bucket=bucket,
        exchange=_exchange(source, section, bucket),
        store=place("artifacts", settings.artifacts),
        tables=place("tables", settings.tables),
        code=source.code,
        environment=settings.environment,
        python=values.get("python", "python"),
        variables=dict(values.get("environment", {})),
        subnets=tuple(values.get("subnets", ())),
        security_groups=tuple(values.get("security_groups", ())),
        cluster=values.get("cluster", ""),
        task_definition=values.get("task_definition", ""),
        container=values.get("container", CONTAINER),
    )


def _exchange(source: Source, section: TargetSettings, bucket: Text) -> Text:
    """As `exchange_of`, but for a bucket that the input gives."""
    if "exchange" in section.values or source.settings.artifacts.startswith("s3://"):
        return exchange_of(source.settings, NAME).rstrip("/")
    return joined("s3://", bucket, "/artifacts/exchange")


def _text(value: JSON) -> str:
    return canonical(value).decode()


def _open_places(source: Source, section: TargetSettings) -> list[str]:
    """What trikk.toml leaves open, so that the input has to give it."""
    values, settings = section.values, source.settings
    is_processing = [_kind(name, section) == JobKind.PROCESSING for name in source.graph.nodes]
    places = (settings.artifacts, settings.tables)
    needs_bucket = not all(place.startswith("s3://") for place in places)
    wanted = {"Role": any(is_processing), "Image": any(is_processing), "Bucket": needs_bucket}
    return [name for name, is_wanted in wanted.items() if is_wanted and name.lower() not in values]


def _bucket_and_prefix(exchange: Text) -> tuple[Text, Text]:
    """The bucket of an exchange, and its prefix with a slash at its end."""
    if isinstance(exchange, str):
        bucket, _, prefix = exchange.removeprefix("s3://").partition("/")
        return bucket, f"{prefix}/" if prefix else ""
    return Path("$.bucket"), "artifacts/exchange/"


def _kind(step: str, section: TargetSettings) -> str:
    return str(section.of_step(step, "run", JobKind.PROCESSING))


def _shape(node: Node, section: TargetSettings) -> JobShape:
    kind = _kind(node.name, section)
    given = runtime_of(section.of_step(node.name, "max_runtime"), "")
    runtime = round(given) if given is not None else longest_run(node) or _DAY
    if kind == JobKind.ECS:
        cpu, memory = fargate_size(node.resources) or (0, 0)
        return JobShape(kind, "", 0, runtime, cpu, memory)
    machine_type = smallest_machine(node.resources)
    instance = section.of_step(node.name, "instance", machine_type.name if machine_type else "")
    return JobShape(kind, instance, section.of_step(node.name, "volume", VOLUME), runtime)


def _input_name(name: str) -> str:
    """What a parameter is called in the input: the same as in the documents of other engines."""
    return name.replace("_", "-")


def _has_default(spec: ParameterSpec) -> bool:
    return not spec.required or may_be_empty(spec.kind.name)


def _default(spec: ParameterSpec) -> JSON:
    """A default as the input would give it: numbers as they are, so that choices can compare them."""
    if spec.required:
        return ""
    if spec.kind.name in ("bool", "int", "float"):
        return spec.default  # type: ignore[no-any-return]
    return spec.kind.to_text(spec.default)


def _of_settings(source: Source, section: TargetSettings) -> Iterator[Problem]:
    where = f"{source.settings.root / FILE}, [targets.{NAME}]"
    places = _places(source, section)
    texts: list[Text] = [places.exchange, places.store, places.tables, places.environment, places.bucket]
    character = next(filter(None, map(refused_in, texts)), "")
    if character:
        yield Problem(
            f"a place of storage has {character!r} in its address, which has a meaning to Step Functions",
            next=f"use an address without {' '.join(REFUSED)}",
            where=where,
        )
    for step in section.steps:
        if step not in source.graph.nodes:
            yield Problem(
                f"[targets.{NAME}.steps.{step}] is of no step of pipeline {source.graph.pipeline}",
                next="it counts for pipelines that have such a step",
                where=where,
                is_note=True,
            )
    yield from folder_problems(source)
    journal = source.settings.journal
    if not journal.startswith("postgres"):
        for step, reason in needs_ledger(source.graph).items():
            yield Problem(
                f"it {reason}, for which its job needs the project's journal, a file of this machine",
                next='set [storage] journal = "postgresql://..." that jobs can reach',
                step=step,
                where=source.graph.nodes[step].where,
            )


def _of_parameters(source: Source) -> Iterator[Problem]:
    names: dict[str, str] = dict.fromkeys(_OWN, "the machine's own")
    for spec in source.graph.parameters:
        name = _input_name(spec.name)
        if name in names:
            yield Problem(
                f"parameter {spec.name} is {name} in the input, and so is {names[name]}",
                next="give one of them another name",
            )
        names[name] = f"parameter {spec.name}"
        text = spec.kind.to_text(spec.default) if not spec.required else ""
        if len(text) > LONGEST_ARGUMENT:
            yield Problem(
                f"the default of parameter {spec.name} has {len(text)} characters; a job takes {LONGEST_ARGUMENT}",
                next="put the value into a table or a file, and give its name",
            )


def _of_step(node: Node, section: TargetSettings) -> Iterator[Problem]:
    def problem(what: str, mend: str) -> Problem:
        return Problem(what, next=mend, step=node.name, where=node.where)

    if node.question is not None:
        yield problem(
            "it asks people, and a job can't wait for them",
            "run the pipeline on trikk serve, or split it at the question",
        )
        return
    shape = _shape(node, section)
    resources = ", ".join(f"{key} {value:g}" for key, value in node.resources.items() if value)
    if shape.kind == JobKind.PROCESSING and not shape.instance:
        mend = f"set instance in [targets.{NAME}.steps.{node.name}]"
        yield problem(f"no instance type is known that has what it asks for ({resources})", mend)
    if shape.kind == JobKind.ECS and not shape.cpu:
        mend = f'set run = "processing" in [targets.{NAME}.steps.{node.name}]'
        yield problem(f"no Fargate task has what it asks for ({resources})", mend)
    if shape.kind == JobKind.PROCESSING and not 1 <= shape.runtime <= LONGEST_JOB:
        mend = f"set a shorter time-out, or max_runtime in [targets.{NAME}.steps.{node.name}]"
        yield problem(f"its job may take {shape.runtime} s, and a processing job takes {LONGEST_JOB} s", mend)


def _of_machine(definition: dict[str, Any], source: Source) -> Iterator[Problem]:
    text = _text(definition)
    if len(text) > LONGEST_DEFINITION:
        yield Problem(
            f"the definition has {len(text):,} characters; Step Functions takes {LONGEST_DEFINITION:,}",
            next="split the pipeline, or use step.map, whose items run within one job",
        )
    payload = len(_text(definition["States"]["defaults"]["Result"]).encode())
    if payload > LARGEST_PAYLOAD:
        yield Problem(
            f"the defaults of its parameters take {payload:,} bytes; a state passes on {LARGEST_PAYLOAD:,}",
            next="put large values into tables or files, and give their names",
        )
    well, at_most = events_at_most(definition)
    if well > MOST_EVENTS:
        yield Problem(
            f"an execution has {well:,} events; Step Functions keeps {MOST_EVENTS:,} and ends there",
            next="split the pipeline, or use step.map, whose items run within one job",
        )
    elif at_most > MOST_EVENTS:
        yield Problem(
            f"an execution in which every retry is needed has {at_most:,} events, and ends at {MOST_EVENTS:,}",
            next="declare fewer attempts",
            is_note=True,
        )
    for name, state in states_of(definition):
        yield from _of_arguments(name, state, source)


def _of_arguments(name: str, state: State, source: Source) -> Iterator[Problem]:
    node = source.graph.nodes.get(name)
    specification = state.get("Parameters", {}).get("AppSpecification")
    if node is None or specification is None:
        return
    count = specification["ContainerArguments.$"].count(", ") + 1
    if count > MOST_ARGUMENTS:
        yield Problem(
            f"its job has {count} arguments; a processing job takes {MOST_ARGUMENTS}",
            next="give the pipeline fewer parameters: each takes three arguments",
            step=name,
            where=node.where,
        )


def _notes(source: Source) -> Iterator[Problem]:
    graph = source.graph
    for step, more in waits_for_more(graph).items():
        yield Problem(
            f"it waits for {_listed(more)}, too, since states side by side have to end together",
            next="nothing has to be done; on other engines it begins earlier",
            step=step,
            where=graph.nodes[step].where,
            is_note=True,
        )
    if graph.pools:
        yield Problem(
            f"places in pools ({', '.join(graph.pools)}) are not taken",
            next="limit what runs at the same time in Step Functions",
            is_note=True,
        )


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
