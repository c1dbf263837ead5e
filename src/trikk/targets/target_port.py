"""The port for engines: what is compiled, what an engine can't do, and where each engine's compiler is."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from trikk.core.errors import UnknownName, UsageError
from trikk.core.record import Record
from trikk.core.settings import Settings
from trikk.core.values import decode
from trikk.pipeline.arguments import Constant
from trikk.pipeline.graph import Graph, Node
from trikk.targets.mirroring.engine_status import Engine
from trikk.triggers.declared import Declared

_TARGETS = {
    "sagemaker": "trikk.targets.sagemaker.sagemaker_target:SageMaker",
    "stepfunctions": "trikk.targets.step_functions.step_functions_target:StepFunctions",
    "airflow": "trikk.targets.airflow.airflow_target:Airflow",
    "terraform": "trikk.targets.terraform.terraform_target:Terraform",
}
"""By the name on the command line, where the class is; it is imported when it is asked for."""


class Problem(Record, frozen=True, omit_defaults=True):
    """Something in a pipeline that an engine can't do, or does in another way.

    Attributes:
        what: one sentence.
        next: what to change.
        step: the step it is about; "" for the pipeline as a whole.
        where: the author's `file:line`, or the section of trikk.toml.
        is_note: whether the pipeline can be compiled all the same.
    """

    what: str
    next: str
    step: str = ""
    where: str = ""
    is_note: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """What a document is compiled from.

    Attributes:
        graph: the pipeline.
        settings: what trikk.toml says.
        code: digest of the project's code bundle, which jobs fetch from the artifact store.
        triggers: those of this pipeline.
    """

    graph: Graph
    settings: Settings
    code: str
    triggers: tuple[Declared, ...] = ()


class Target(Protocol):
    """An engine as a visitor of graphs.

    Attributes:
        name: as on the command line.
    """

    name: ClassVar[str]

    def problems(self, source: Source) -> list[Problem]:
        """All that the engine can't do with this pipeline, and notes of what it does in another way.

        Raises:
            ProjectError: if the engine's section of trikk.toml is wrong.
        """

    def engine(self, settings: Settings) -> Engine | None:
        """Who is asked about executions, and told to stop one; None to go by what jobs report alone.

        Raises:
            ProjectError: as `problems`.
        """

    def document(self, source: Source) -> str:
        """The pipeline in the engine's format: the same source gives the same text.

        Raises:
            UsageError: if there is a problem that is no note.
            ProjectError: as `problems`.
        """


def target_names() -> tuple[str, ...]:
    """The engines that documents can be compiled for."""
    return tuple(_TARGETS)


def target_named(name: str) -> Target:
    """An engine by its name; UnknownName if there is none."""
    if name not in _TARGETS:
        raise UnknownName("target", name, _TARGETS)
    module, _, cls = _TARGETS[name].partition(":")
    target: Target = getattr(importlib.import_module(module), cls)()
    return target


def refuse(problems: Iterable[Problem], source: Source, target: str) -> None:
    """Raise UsageError if one of the problems is no note; all are named."""
    real = [problem for problem in problems if not problem.is_note]
    if real:
        lines = [
            f"{p.where or p.step}: {p.what}; {p.next}" if p.where or p.step else f"{p.what}; {p.next}"
            for p in real
        ]
        raise UsageError(
            f"pipeline {source.graph.pipeline} can't run on {target}: " + "\n  ".join(lines),
            next=f"trikk check --target {target} {source.graph.pipeline} shows the same without compiling",
        )


def left_in_folder(node: Node) -> str:
    """What a step leaves in the project's own folder, and is lost with a job that has none; "" if nothing."""
    if node.function.endswith(":publish_rows"):
        to = _constant(node, "to")
        return f"messages in {to}" if isinstance(to, str) and to.startswith("stream:") else ""
    if node.function.endswith(":sync_rows"):
        definition = _constant(node, "definition")
        online = _constant(node, "to") or (definition.get("online") if isinstance(definition, dict) else None)
        return "" if online else "an online store"
    return ""


def folder_problems(source: Source) -> list[Problem]:
    """The steps of which something would be lost where jobs don't see the project's folder."""
    return (
        []
        if source.settings.shared_state
        else [
            Problem(
                f"it leaves {what} in the project's folder, which jobs don't see there",
                next="publish to kafka:// or mqtt://, or name an online store that jobs reach, such as redis://",
                step=name,
                where=node.where,
            )
            for name, node in source.graph.nodes.items()
            if (what := left_in_folder(node))
        ]
    )


def _constant(node: Node, argument: str) -> Any:
    """The value of an argument that is known when the pipeline is traced; None if it is not, or not given."""
    given = node.arguments.get(argument)
    return decode(given.value) if isinstance(given, Constant) else None


def needs_ledger(graph: Graph) -> Mapping[str, str]:
    """The steps that need the project's ledger while they run, each with the reason in half a sentence."""
    reasons: dict[str, Any] = {}
    for name, node in graph.nodes.items():
        if node.effect:
            reasons[name] = "changes something outside of the run, once"
        elif any(node.models()):
            reasons[name] = "reads a registered model"
    return reasons
