"""A model package for each model that a pipeline registers, where `model_group` is set.

The version in the project's registry is made by the step's own job, as everywhere. The package stands beside
it, for those who approve and deploy by SageMaker; its files are what the training job that fitted the model
left in /opt/ml/model. Source:
https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-steps-types.html#step-type-register-model.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from trikk.core.values import JSON
from trikk.pipeline.arguments import OutputRef
from trikk.pipeline.graph import Graph, Node
from trikk.targets.sagemaker.condition_branches import Branch, steps_that_may_be_missing
from trikk.targets.sagemaker.definition_values import EXECUTION_ID
from trikk.targets.target_port import Problem

REGISTERS = "trikk.models.register:register_given"
_TYPES = ("application/json",)


def registering(graph: Graph) -> list[Node]:
    """The steps that register a model."""
    return [node for node in graph.nodes.values() if node.function == REGISTERS]


def fitted_by(node: Node) -> str | None:
    """The step whose output a step registers as a whole; None if it is something else."""
    model = node.arguments.get("model")
    is_whole = isinstance(model, OutputRef) and model.index is None and not model.path
    return model.step if isinstance(model, OutputRef) and is_whole else None


def package_step(
    node: Node, group: str, image: JSON, code: str, names: Mapping[str, str], name: str
) -> dict[str, JSON]:
    """The step that makes the package of a model.

    Args:
        node: the step that registers it, whose model a training job has fitted.
        group: the model package group.
        image: that serves it.
        code: digest of the code bundle.
        names: as of `job_step`.
        name: of the step.
    """
    fitted = names[f"step/{fitted_by(node)}"]
    container: dict[str, JSON] = {
        "Image": image,
        "ModelDataUrl": {"Get": f"Steps.{fitted}.ModelArtifacts.S3ModelArtifacts"},
    }
    return {
        "Name": name,
        "Type": "RegisterModel",
        "Arguments": {
            "ModelPackageGroupName": group,
            "ModelApprovalStatus": "PendingManualApproval",
            "InferenceSpecification": {
                "Containers": [container],
                "SupportedContentTypes": [*_TYPES],
                "SupportedResponseMIMETypes": [*_TYPES],
            },
            "CustomerMetadataProperties": {"trikk-code": code, "trikk-execution": EXECUTION_ID},
        },
        "DependsOn": [names[f"step/{node.name}"]],
    }


def package_problems(graph: Graph, training: Collection[str], branches: Collection[Branch]) -> list[Problem]:
    """What stands in the way of packages."""
    problems = []
    for node in registering(graph):
        fitted = fitted_by(node)
        if fitted is None or fitted not in training:
            step = fitted or "the one that fits the model"
            trouble = (
                f"the model that {node.name} registers is not made by a training job, whose files a package is of"
            )
            mend = f'set kind = "training" in [targets.sagemaker.steps.{step}], or leave out model_group'
            problems.append(Problem(trouble, mend, node.name, node.where))
        if not _runs_surely(node, graph, branches):
            trouble = f"{node.name} may be skipped by its own job, and SageMaker would make a package all the same"
            mend = "leave out model_group, or give it a condition that SageMaker can decide (see the notes)"
            problems.append(Problem(trouble, mend, node.name, node.where))
    return problems


def _runs_surely(node: Node, graph: Graph, branches: Collection[Branch]) -> bool:
    """Whether a step runs whenever the service starts it: the branch it stands in has all conditions before it."""
    around = [branch for branch in branches if node.name in branch.steps]
    missing = steps_that_may_be_missing(graph)
    if not around:
        return node.name not in missing
    inside, conditions = around[0].steps, {(), (around[0].condition,)}
    before = [node]
    for each in before:
        if each.when not in conditions or (each.allow_failure and each is not node) or each.allow_failure:
            return False
        needed = [graph.nodes[up] for up in (*each.data_from(), *each.asks())]
        before += [up for up in needed if up.name in inside and up not in before]
        if any(up.name in missing and up.name not in inside for up in needed):
            return False
    return True
