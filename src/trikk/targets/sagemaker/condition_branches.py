"""Which steps stand in the branch of a Condition step, so that no machine is started for what is not to run.

A branch is a convenience only: the job of a step decides its conditions in any case. So a step stands in one
only where the service is sure to decide as trikk does, and where nothing outside waits for it, since the
service lets nothing depend on a step in a branch, nor one condition on another's branch. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from trikk.core.record import Record
from trikk.core.values import JSON, canonical
from trikk.pipeline.arguments import OutputRef
from trikk.pipeline.condition import Condition
from trikk.pipeline.graph import Graph, Node
from trikk.targets.sagemaker.condition_terms import InexpressibleError, condition_terms


class Branch(Record, frozen=True):
    """A Condition step.

    Attributes:
        condition: the author's.
        terms: the service's conditions, of which all must hold.
        steps: the steps that run then, in the graph's order.
    """

    condition: Condition
    terms: tuple[Any, ...]
    steps: tuple[str, ...]


class Branches(Record, frozen=True):
    """All branches of a pipeline.

    Attributes:
        branches: the Condition steps.
        by_job: by step that has a condition and stands in no branch, why.
    """

    branches: tuple[Branch, ...]
    by_job: Mapping[str, str] = msgspec.field(default_factory=dict)

    @property
    def asked(self) -> set[str]:
        """The steps whose outputs the branches' conditions look at."""
        operands = (operand for branch in self.branches for operand in branch.condition.arguments())
        return {operand.step for operand in operands if isinstance(operand, OutputRef)}


def branches_of(graph: Graph, names: Mapping[str, str], without_outcome: Collection[str] = ()) -> Branches:
    """The branches of a pipeline.

    Args:
        graph: the pipeline.
        names: as of `condition_terms`.
        without_outcome: steps whose outputs the service can't look at, since their jobs are of another kind.
    """
    leading = {name: canonical(node.when[0].to_json()) for name, node in graph.nodes.items() if node.when}
    conditions = {key: graph.nodes[name].when[0] for name, key in leading.items()}
    terms: dict[bytes, list[JSON]] = {}
    reasons: dict[bytes, str] = {}
    optional = steps_that_may_be_missing(graph)
    for key, condition in conditions.items():
        try:
            _check_asked(condition, optional, without_outcome)
            terms[key] = condition_terms(condition, graph, names)
        except InexpressibleError as error:
            reasons[key] = str(error)
    owners = _owners(graph, {name: key for name, key in leading.items() if key in terms})
    members = {key: tuple(name for name in graph.nodes if owners.get(name) == key) for key in terms}
    branches = tuple(Branch(conditions[key], tuple(terms[key]), members[key]) for key in terms if members[key])
    by_job = {
        name: reasons.get(key, "a step outside of the branch comes after it, or after what follows it")
        for name, key in leading.items()
        if name not in owners
    }
    return Branches(branches, by_job)


def steps_that_may_be_missing(graph: Graph) -> set[str]:
    """The steps that may have no output in a run that succeeds: skipped, or failed as they may."""
    missing: set[str] = set()
    for name, node in graph.nodes.items():  # in the graph's order: what a step needs comes before it
        if node.when or node.allow_failure or missing.intersection(_needs(node)):
            missing.add(name)
    return missing


def _needs(node: Node) -> tuple[str, ...]:
    return (*node.data_from(), *node.asks())


def _check_asked(condition: Condition, optional: Collection[str], without_outcome: Collection[str]) -> None:
    steps_asked = [operand.step for operand in condition.arguments() if isinstance(operand, OutputRef)]
    for step in steps_asked:
        if step in optional:
            raise InexpressibleError(f"step {step} may have no output, and the service would fail there")
        if step in without_outcome:
            raise InexpressibleError(
                f"step {step} is a training job, and the service reads outputs of processing jobs only"
            )


def _owners(graph: Graph, leading: Mapping[str, bytes]) -> dict[str, bytes]:
    """By step in a branch, the branch."""
    owners: dict[str, bytes] = {}
    for name, node in graph.nodes.items():
        # What needs the output of a step in a branch is skipped with it, and so may stand there, too.
        wanted = {owners[up] for up in _needs(node) if up in owners} | (
            {leading[name]} if name in leading else set()
        )
        if len(wanted) == 1:
            owners[name] = wanted.pop()
    below: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for name, node in graph.nodes.items():
        for up in node.upstream():
            below[up].append(name)
    # From the end: a step can stay only if all that come after it stay in the same branch.
    for name in [*graph.nodes][::-1]:
        if name in owners and any(owners.get(down) != owners[name] for down in below[name]):
            del owners[name]
    return owners
